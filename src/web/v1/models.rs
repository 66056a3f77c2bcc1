//! `GET /v1/models`: what a token may ask for.
//!
//! Beside OpenAI's own fields stand those that clients look for elsewhere: OpenRouter's
//! (<https://openrouter.ai/docs/api-reference>), LiteLLM's (<https://docs.litellm.ai/docs/proxy/model_management>), and all
//! that OpenClaw's bundled provider `litellm` reads. What is unknown is left out, so that a client's own knowledge holds.

use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::{auth, into_response, request_id};
use crate::{
    model::{
        catalog::PublicModel,
        endpoint::{Dialect, Endpoint},
        token::{ClientProfile, Token},
    },
    relay::{ending::Ending, error_answer},
    web::Site,
};

/// `GET /v1/models`.
pub(super) async fn index(State(site): State<Site>, request: Request) -> Response {
    answer(&site, request, |site, token| {
        let catalog = site.catalog.load();
        let models: Vec<Value> =
            catalog.models_for(token).map(|model| describe(site, model, token)).collect();
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
            .map(|model| describe(site, model, token))
            .ok_or(Ending::ModelNotFound { model: id.chars().take(200).collect() })
    })
}

/// Answers whoever presents a token that may be used now.
pub(super) fn answer(
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

/// A model as clients read it; what holds whichever of its routes serves a call.
fn describe(site: &Site, model: &PublicModel, token: &Token) -> Value {
    let (offer, served) = (model.offer(token), site.relay.served(model, token));
    let mut entry = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            entry.insert(name.to_owned(), value);
        }
    };
    set("id", Some(model.name.as_str().into()));
    set("object", Some("model".into()));
    set("created", Some(0.into()));
    set("owned_by", Some("onepool".into()));
    set("name", Some(model.name.as_str().into()));
    for name in ["context_length", "context_window", "max_input_tokens"] {
        set(name, offer.context_window.map(Value::from));
    }
    for name in ["max_completion_tokens", "max_output_tokens"] {
        set(name, offer.max_output.map(Value::from));
    }
    let inputs = offer.vision.map(|vision| if vision { json!(["text", "image"]) } else { json!(["text"]) });
    let outputs = served.said.then(|| json!(outputs(&served.endpoints)));
    set("input_modalities", inputs.clone());
    set("output_modalities", outputs.clone());
    let both = [("input_modalities", inputs), ("output_modalities", outputs)];
    let architecture: Map<String, Value> =
        both.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    set("architecture", (!architecture.is_empty()).then_some(Value::Object(architecture)));
    set("supports_vision", offer.vision.map(Value::from));
    set("supports_function_calling", offer.tools.map(Value::from));
    for name in ["supports_reasoning", "reasoning"] {
        set(name, offer.reasoning.map(Value::from));
    }
    // A list without tools would say that there are none, so there is a list only if that is known.
    let parameters = offer.tools.map(|tools| {
        let tools: &[&str] = if tools { &["tools", "tool_choice"] } else { &[] };
        let reasoning: &[&str] = if offer.reasoning == Some(true) { &["reasoning"] } else { &[] };
        json!([tools, reasoning].concat())
    });
    set("supported_parameters", parameters);
    let paths =
        || served.endpoints.iter().map(|endpoint| format!("/v1/{}", endpoint.path())).collect::<Vec<_>>();
    set("supported_endpoints", served.said.then(|| json!(paths())));
    Value::Object(entry)
}

/// What the answers of some endpoints are made of, each kind once.
fn outputs(endpoints: &[Endpoint]) -> Vec<&'static str> {
    let mut outputs = Vec::new();
    for endpoint in endpoints {
        let output = match endpoint.shape().dialect {
            Dialect::Chat
            | Dialect::Completion
            | Dialect::Response
            | Dialect::Message
            | Dialect::Transcript => "text",
            Dialect::Images => "image",
            Dialect::Speech => "audio",
            Dialect::Video => "video",
            Dialect::Embeddings => "embeddings",
            Dialect::Ranking => "rerank",
            Dialect::Moderation => "moderation",
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    outputs
}
