//! Login and logout.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Shared,
    visit::{
        Chrome, Operator, Section, Visit, local_path, render, render_with, see_other, session_cookie_name,
    },
};
use crate::{
    error::{Error, Result},
    model::{
        id::{SessionId, UserId},
        secret::SecretHash,
    },
    storage::{Db, users::SESSION_LIFETIME},
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
    exposed: bool,
    throttled: Option<String>,
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
        exposed: visit.is_exposed(),
        throttled: None,
        errors: FieldErrors::default(),
    })
}

async fn log_in(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    visit: Visit,
    fields: Fields,
) -> Result<Response> {
    let (name, password) = (fields.text("name"), fields.raw("password"));
    let mut page = LoginPage {
        c: visit.chrome(Section::None),
        next: local_path(fields.text("next")).to_owned(),
        name: name.to_owned(),
        exposed: visit.is_exposed(),
        throttled: None,
        errors: FieldErrors::default(),
    };
    if name.is_empty() {
        page.errors.add("name", visit.t.common.field_required());
    }
    if password.is_empty() {
        page.errors.add("password", visit.t.common.field_required());
    }
    if !page.errors.is_empty() {
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    match shared.passwords.log_in(&db, visit.ip, name, password).await {
        Ok(Some(user)) => start_session(&db, &shared, &visit, user.id, &page.next).await,
        Ok(None) => {
            tracing::warn!(address = %visit.ip, "a login failed");
            page.errors.add("password", visit.t.login.wrong());
            render_with(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
        Err(Error::TooManyRequests { retry_after_s }) => {
            page.throttled = Some(visit.t.login.throttled(retry_after_s));
            let mut response = render_with(StatusCode::TOO_MANY_REQUESTS, &page)?;
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

/// Starts a new session for an account, in place of the one that the visitor may have, and sends the browser on.
pub async fn start_session(
    db: &Db,
    shared: &Shared,
    visit: &Visit,
    user: UserId,
    next: &str,
) -> Result<Response> {
    if let (Some(old), Some(session)) = (visit.user(), visit.session()) {
        db.delete_session(old.id, session).await?;
    }
    let (secret, cookie) = new_cookie(visit.https)?;
    let session: SessionId =
        db.create_session(user, &secret, &visit.ip.to_string(), &visit.user_agent, db.now()).await?;
    shared.grants.forget(session);
    let mut response = see_other(next);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

/// A random session secret of 256 bits: its hash for the database, and the cookie. `Lax`, so that a link in a mail
/// finds its reader logged in; forms of other sites are refused by the router's CSRF layer.
fn new_cookie(https: bool) -> Result<(SecretHash, HeaderValue)> {
    let value = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let cookie = format!(
        "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{}",
        session_cookie_name(https),
        SESSION_LIFETIME.as_secs(),
        if https { "; Secure" } else { "" },
    );
    let mut cookie = HeaderValue::try_from(cookie).map_err(|error| Error::Internal(error.into()))?;
    cookie.set_sensitive(true);
    Ok((SecretHash::of(&value), cookie))
}

async fn log_out(State(db): State<Db>, operator: Operator) -> Result<Response> {
    db.delete_session(operator.user.id, operator.session).await?;
    let mut response = see_other("/login");
    let https = operator.visit.https;
    let cookie = format!(
        "{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{}",
        session_cookie_name(https),
        if https { "; Secure" } else { "" },
    );
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
