//! `GET /openclaw.json5`: the part of OpenClaw's configuration that makes it use this server, for the token that asks.

use axum::{
    Json,
    extract::{RawQuery, Request, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::{auth, into_response, request_id};
use crate::{
    export::openclaw::{ApiKey, for_token},
    model::token::ClientProfile,
    relay::error_answer,
    web::{Site, client::ClientAddress, form::Fields, public_url::PublicUrl},
};

/// Answers with the models named by `?model=a&model=b`, in that order, or with all that the token may use. The presented
/// value stands in it literally: whoever reads the answer has sent it.
pub(super) async fn show(State(site): State<Site>, RawQuery(query): RawQuery, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let catalog = site.catalog.load();
    let token = match auth::token(&parts, &catalog, site.clock.now()) {
        Ok(token) => token,
        Err(refused) => {
            let told = refused.ending.told(ClientProfile::Generic);
            return into_response(error_answer(&told, None, request_id(&parts.extensions)));
        }
    };
    let https = parts.extensions.get::<ClientAddress>().is_some_and(|client| client.https);
    let url = PublicUrl::of(&catalog.settings, &parts.headers, https);
    let key = ApiKey::Literal(auth::presented(&parts).unwrap_or_default());
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let chosen: Vec<String> = fields.all("model").map(str::to_owned).collect();
    let export = for_token(&catalog, &token, &url.base_url(), key, &chosen);
    ([(header::CACHE_CONTROL, "no-store")], Json(export)).into_response()
}
