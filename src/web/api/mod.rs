//! The admin API: everything that the pages do, as JSON, for scripts that present an access token.
//!
//! - [`endpoint`]: what an endpoint is; its handler's types are also its documentation.
//! - [`auth`], [`input`], [`refusal`]: who asks, what is sent, and why it is refused.
//! - One file per noun: `channels`, `keys`, `models`, `rests`, `capacity`, `chains`, `ranking`, `tokens`, `budgets`, `usage`, `settings`, `pool`, `server`,
//! - One file per noun: `channels`, `keys`, `models`, `probes`, `rests`, `capacity`, `chains`, `tokens`, `usage`, `settings`, `pool`, `server`,
//! - One file per noun: `channels`, `keys`, `models`, `rests`, `capacity`, `chains`, `tokens`, `usage`, `settings`, `notifications`, `pool`, `server`,
//!   `account`.
//! - [`document`] and [`page`]: the OpenAPI document, and the page that shows it.

mod account;
pub mod auth;
pub mod budgets;
pub mod capacity;
mod chains;
mod channels;
pub mod document;
pub mod endpoint;
pub mod input;
mod keys;
pub mod models;
mod new_channel;
mod notifications;
mod openclaw;
mod page;
mod pool;
pub mod probes;
pub mod ranking;
pub mod refusal;
mod repair;
mod rests;
mod server;
mod settings;
mod shapes;
mod tokens;
mod turns;
mod usage;
mod usage_report;

use axum::{
    Router,
    http::header,
    response::IntoResponse,
    routing::{any, get},
};
use bytes::Bytes;
use tower_http::catch_panic::CatchPanicLayer;

use self::endpoint::Endpoint;
use super::{Site, face};
use crate::error::Error;

pub use page::router as page;

/// Endpoints that belong together.
pub struct Noun {
    /// What they are about.
    pub name: &'static str,
    /// The same in a sentence.
    pub description: &'static str,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// Every endpoint of the admin API: the router and the document are both made from this.
pub fn nouns() -> Vec<Noun> {
    let noun = |name, description, endpoints| Noun { name, description, endpoints };
    vec![
        noun("Channels", "Upstream endpoints, what they serve and at what price.", channels::endpoints()),
        noun("Keys", "Upstream credentials. Their values can be written, never read.", keys::endpoints()),
        noun("Discovery", "What upstreams list, and what changed in their lists.", models::endpoints()),
        noun("Probes", "What models can do, as probes and real calls have shown.", probes::endpoints()),
        noun(
            "Rests",
            "What takes no calls now: after a bad answer, or on an operator's word.",
            rests::endpoints(),
        ),
        noun(
            "Capacity",
            "What is left of limits, what the pool can do, and where calls go.",
            capacity::endpoints(),
        ),
        noun("Chains", "Virtual models: ordered lists of models, made by hand.", chains::endpoints()),
        noun(
            "Managed chains",
            "Virtual models that are built from a ranking: `auto` and its kin.",
            ranking::endpoints(),
        ),
        noun("Tokens", "What clients present, and what they may do with it.", tokens::endpoints()),
        noun(
            "Budgets and prices",
            "What may be spent, what is spent, and what models cost.",
            budgets::endpoints(),
        ),
        noun("Usage", "The log of calls, and sums of it.", usage::endpoints()),
        noun("Settings", "The server's settings.", settings::endpoints()),
        noun("Notifications", "Who is told of what happens in the pool.", notifications::endpoints()),
        noun("Pool", "The pool as a whole: declared, exported, backed up.", pool::endpoints()),
        noun("OpenClaw", "Configuration for OpenClaw.", openclaw::endpoints()),
        noun("Server", "The server as a whole.", server::endpoints()),
        noun("Repair", "Looking after the installation, and what that found.", repair::endpoints()),
        noun("Account", "The account that the access token belongs to.", account::endpoints()),
    ]
}

/// Everything below `/api/`.
pub fn router(site: Site) -> Router {
    let nouns = nouns();
    let document: Bytes = document::document(&nouns).to_string().into();
    let mut guarded = Router::new();
    for endpoint in nouns.iter().flat_map(|noun| &noun.endpoints) {
        guarded = guarded.route(endpoint.path, endpoint.route());
    }
    guarded
        .route("/api/", any(async || Error::NotFound))
        .route("/api/{*rest}", any(async || Error::NotFound))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(axum::middleware::from_fn_with_state(site.clone(), auth::guard))
        // The document is the same for everybody, holds no data, and is read by tools that send no credential.
        .route(
            "/api/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], document).into_response())
                .fallback(async || Error::MethodNotAllowed),
        )
        .layer(CatchPanicLayer::custom(face::panicked))
        .layer(axum::middleware::from_fn(refusal::draw))
        .with_state(site)
}

/// Held from reading what is there until what was made of it is written, so that of two changes at a time neither is
/// undone by the other. What a command has changed a moment ago is known from here on.
async fn changing(site: &Site) -> refusal::Result<tokio::sync::MutexGuard<'_, ()>> {
    let guard = site.admin.changing.lock().await;
    site.catalog.follow().await?;
    Ok(guard)
}
