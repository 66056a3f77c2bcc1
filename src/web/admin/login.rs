//! Login and logout.

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{StatusCode, header},
    response::Response,
    routing::{get, post},
};

use super::visit::{
    Chrome, Operator, Section, Visit, local_path, render, render_with, see_other, session_cookie_name,
};
use crate::{
    error::Result,
    storage::Db,
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// `/login` and `/logout`.
pub fn router() -> Router<Site> {
    Router::new().route("/login", get(show).post(log_in)).route("/logout", post(log_out))
}

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LoginPage {
    c: Chrome,
    next: String,
    name: String,
    errors: FieldErrors,
}

async fn show(visit: Visit, RawQuery(query): RawQuery) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let next = local_path(query.text("next")).to_owned();
    if visit.user().is_some() {
        return Ok(see_other(&next));
    }
    render(&LoginPage {
        c: visit.chrome(Section::None),
        next,
        name: String::new(),
        errors: FieldErrors::default(),
    })
}

async fn log_in(State(_db): State<Db>, visit: Visit, fields: Fields) -> Result<Response> {
    let mut errors = FieldErrors::default();
    errors.add("password", visit.t.common.field_required());
    let page = LoginPage {
        c: visit.chrome(Section::None),
        next: local_path(fields.text("next")).to_owned(),
        name: fields.text("name").to_owned(),
        errors,
    };
    render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn log_out(State(db): State<Db>, operator: Operator) -> Result<Response> {
    db.delete_session(operator.user.id, operator.session).await?;
    let mut response = see_other("/login");
    let cookie = format!("{}=; Path=/; Max-Age=0; HttpOnly", session_cookie_name(operator.visit.https));
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
