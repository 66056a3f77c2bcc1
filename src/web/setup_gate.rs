//! Until an account exists, only the set-up answers: a visitor who finds the server first learns and changes nothing.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Site,
    admin::visit::{Chrome, Section, Visit, render_with, set_page_headers},
};
use crate::model::usage::Endpoint;

/// What answers before the set-up: it holds no data, or asks for a secret itself (`/setup`, `/metrics`).
fn is_exempt(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics" | "/setup" | "/preferences")
        || path.starts_with("/setup/")
        || path.starts_with("/static/")
}

/// Whether the path is an endpoint of clients; those also work without `/v1`.
fn is_for_programs(path: &str) -> bool {
    let path = path.trim_matches('/');
    path == "v1"
        || path == "openclaw.json5"
        || path.starts_with("api/")
        || path.starts_with("v1/")
        || path == "models"
        || path.starts_with("models/")
        || path.starts_with("videos/")
        || path.starts_with("responses/")
        || Endpoint::ALL.iter().any(|endpoint| endpoint.path() == path)
}

#[derive(Template)]
#[template(path = "pages/not_set_up.html")]
struct NotSetUpPage {
    c: Chrome,
}

/// The layer: 503 for programs (`/v1/...`), a page that explains what to do for everybody else.
pub async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    if !site.admin.setup.is_open() || is_exempt(request.uri().path()) {
        return next.run(request).await;
    }
    if is_for_programs(request.uri().path()) {
        let body = r#"{"error":{"message":"OnePool is not set up yet: open the set-up link that the server printed when it started.","type":"server_error","param":null,"code":"not_set_up"}}"#;
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, "application/json")], body)
            .into_response();
    }
    let (mut parts, _) = request.into_parts();
    let visit = Visit::of(&mut parts, &site).await;
    let page = NotSetUpPage { c: visit.chrome(Section::None) };
    let mut response =
        render_with(StatusCode::FORBIDDEN, &page).unwrap_or_else(|error| error.status().into_response());
    set_page_headers(response.headers_mut());
    response
}
