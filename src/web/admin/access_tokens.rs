//! Access tokens on the account page: the list, a new one, and revoking one.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::Response,
    routing::{get, post},
};

use super::{
    Shared,
    confirm::confirm_password,
    visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{id::AccessTokenId, secret::Secret, time::UnixMs, user::AccessToken},
    pool::rules::check_name,
    storage::{
        Db,
        access_tokens::{MOST_ACCESS_TOKENS, NotMade, new_access_token},
    },
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// Lifetimes that the form offers, in days; without one a token never ends.
const LIFETIMES: [&str; 4] = ["7", "30", "90", "365"];

/// What lies below `/account/access-tokens`.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/account/access-tokens/new", get(show_new).post(create))
        .route("/account/access-tokens/{id}/revoke", post(revoke))
}

/// An access token in the account page's table.
pub(super) struct AccessTokenRow {
    pub id: AccessTokenId,
    pub name: String,
    pub masked: String,
    pub created: String,
    pub expires: String,
    pub expired: bool,
    pub last_used: String,
}

impl AccessTokenRow {
    /// A row, with times on the wall clock of `zone`.
    pub(super) fn of(token: AccessToken, now: UnixMs, zone: &jiff::tz::TimeZone, t: Messages) -> Self {
        let time = |at: UnixMs| at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string();
        Self {
            id: token.id,
            name: token.name,
            masked: format!("op-…{}", token.last4),
            created: time(token.created_at),
            expires: token.expires_at.map_or_else(|| t.api.never().to_owned(), time),
            expired: token.expires_at.is_some_and(|end| end <= now),
            last_used: token.last_used_at.map_or_else(|| t.api.never_used().to_owned(), time),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/account_access_token.html")]
struct NewPage {
    c: Chrome,
    name: String,
    expires_days: String,
    lifetimes: [(&'static str, &'static str); 5],
    errors: FieldErrors,
}

impl NewPage {
    fn new(operator: &Operator, name: &str, expires_days: &str, errors: FieldErrors) -> Self {
        let t = operator.t().api;
        let [week, month, quarter, year] = LIFETIMES;
        Self {
            c: operator.chrome(Section::Account),
            name: name.to_owned(),
            expires_days: expires_days.to_owned(),
            lifetimes: [
                (week, t.days_7()),
                (month, t.days_30()),
                (quarter, t.days_90()),
                (year, t.days_365()),
                ("", t.never()),
            ],
            errors,
        }
    }
}

#[derive(Template)]
#[template(path = "pages/account_access_token_made.html")]
struct MadePage {
    c: Chrome,
    name: String,
    value: Secret,
}

async fn show_new(operator: Operator) -> Result<Response> {
    let [_, _, quarter, _] = LIFETIMES;
    render(&NewPage::new(&operator, "", quarter, FieldErrors::default()))
}

async fn create(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let (name, days, password) = (fields.text("name"), fields.text("expires_days"), fields.raw("password"));
    let mut errors = FieldErrors::default();
    if let Err(message) = check_name(t, name) {
        errors.add("name", message);
    }
    if !days.is_empty() && !LIFETIMES.contains(&days) {
        errors.add("expires_days", t.common.check_fields());
    }
    if password.is_empty() {
        errors.add("password", t.common.field_required());
    }
    let again = |errors: FieldErrors| NewPage::new(&operator, name, days, errors);
    if !errors.is_empty() {
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &again(errors));
    }
    match confirm_password(&shared, &db, &operator, password).await {
        Ok(true) => {}
        Ok(false) => {
            errors.add("password", t.api.confirm_wrong());
            return render_with(StatusCode::UNPROCESSABLE_ENTITY, &again(errors));
        }
        Err(Error::TooManyRequests { retry_after_s }) => {
            errors.add("password", t.login.throttled(retry_after_s));
            let mut response = render_with(StatusCode::TOO_MANY_REQUESTS, &again(errors))?;
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
            return Ok(response);
        }
        Err(error) => return Err(error),
    }
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let expires_at = days.parse().ok().map(|days: u32| db.now() + DAY * days);
    let value = new_access_token();
    match db.create_access_token(operator.user.id, name, &value, expires_at).await {
        Ok(_) => {}
        Err(NotMade::NameTaken) => errors.add("name", t.api.name_taken()),
        Err(NotMade::TooMany) => errors.add("name", t.api.too_many(MOST_ACCESS_TOKENS)),
        Err(NotMade::Storage(error)) => return Err(error.into()),
    }
    if !errors.is_empty() {
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &again(errors));
    }
    tracing::info!(account = operator.user.name, name, "an access token was made");
    render(&MadePage { c: operator.chrome(Section::Account), name: name.to_owned(), value })
}

async fn revoke(State(db): State<Db>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let id: AccessTokenId = id.parse().map_err(|_| Error::NotFound)?;
    let tokens = db.access_tokens(operator.user.id).await?;
    let name = tokens.into_iter().find(|token| token.id == id).ok_or(Error::NotFound)?.name;
    db.delete_access_token(operator.user.id, id).await?;
    tracing::info!(account = operator.user.name, name, "an access token was revoked");
    Ok(see_other_with("/account#access-tokens", FlashKind::Ok, operator.t().api.revoked(&name)))
}
