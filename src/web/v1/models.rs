//! `GET /v1/models`: what a token may ask for.

use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{auth, into_response, request_id};
use crate::{
    model::{
        catalog::PublicModel,
        token::{ClientProfile, Token},
    },
    relay::{ending::Ending, error_answer},
    web::Site,
};

/// `GET /v1/models`.
pub(super) async fn index(State(site): State<Site>, request: Request) -> Response {
    answer(&site, request, |site, token| {
        let catalog = site.catalog.load();
        let models: Vec<Value> = catalog.models_for(token).map(|model| describe(model, token)).collect();
        Ok(json!({ "object": "list", "data": models }))
    })
}

/// `GET /v1/models/{id}`; ids may hold slashes.
pub(super) async fn show(State(site): State<Site>, Path(id): Path<String>, request: Request) -> Response {
    answer(&site, request, |site, token| {
        let catalog = site.catalog.load();
        let id = id.trim_end_matches('/');
        let found = catalog.models_for(token).find(|model| model.name.eq_ignore_ascii_case(id));
        found
            .map(|model| describe(model, token))
            .ok_or(Ending::ModelNotFound { model: id.chars().take(200).collect() })
    })
}

fn answer(
    site: &Site,
    request: Request,
    make: impl FnOnce(&Site, &Token) -> Result<Value, Ending>,
) -> Response {
    let (parts, _) = request.into_parts();
    let refuse = |ending: Ending, profile| {
        into_response(error_answer(&ending.told(profile), None, request_id(&parts.extensions)))
    };
    match auth::token(&parts, &site.catalog.load(), site.clock.now()) {
        Ok(token) => match make(site, &token) {
            Ok(value) => Json(value).into_response(),
            Err(ending) => refuse(ending, token.profile),
        },
        Err(refused) => refuse(refused.ending, ClientProfile::Generic),
    }
}

/// A model as clients read it. Of several routes the least capable counts: any of them may serve a call.
fn describe(model: &PublicModel, token: &Token) -> Value {
    let routes = || {
        let usable = |groups: &[String]| token.allows_groups(groups);
        model
            .routes
            .iter()
            .filter(move |route| usable(&route.channel.channel.groups))
            .map(|route| &*route.model)
    };
    let least =
        |value: fn(&crate::model::channel::ChannelModel) -> Option<u32>| routes().filter_map(value).min();
    let all = |value: fn(&crate::model::channel::ChannelModel) -> Option<bool>| {
        routes().all(|model| value(model) == Some(true))
    };
    let context = least(|model| model.context_window);
    let output = least(|model| model.max_output);
    let mut inputs = vec!["text"];
    if all(|model| model.vision) {
        inputs.push("image");
    }
    let mut parameters = Vec::new();
    if all(|model| model.tools) {
        parameters.extend(["tools", "tool_choice"]);
    }
    if all(|model| model.reasoning) {
        parameters.push("reasoning");
    }
    json!({
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "onepool",
        "context_length": context,
        "context_window": context,
        "max_completion_tokens": output,
        "architecture": { "input_modalities": inputs, "output_modalities": ["text"] },
        "supported_parameters": parameters,
    })
}
