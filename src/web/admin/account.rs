//! The operator's account: preferences, password, sessions; its access tokens are in `access_tokens`.

use std::sync::Arc;

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
    access_tokens::AccessTokenRow,
    confirm::{LEAST_CHARACTERS, MOST_CHARACTERS, confirm_password},
    visit::{Chrome, FlashKind, Operator, Section, render, render_with, see_other_with},
};
use crate::{
    config::Config,
    error::{Error, Result},
    i18n::Messages,
    model::{id::SessionId, time::UnixMs},
    storage::{
        Db,
        users::{SESSION_IDLE, SESSION_LIFETIME},
    },
    web::{
        Site,
        form::{FieldErrors, Fields},
    },
};

/// `/account` and what lies below it.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/account", get(show))
        .route("/account/password", get(show_password).post(change_password))
        .route("/account/sessions/{id}/end", post(end_session))
        .route("/account/sessions/end-others", post(end_others))
}

/// A session in the table.
struct SessionRow {
    id: SessionId,
    browser: String,
    user_agent: String,
    address: String,
    logged_in_at: String,
    seen_at: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage {
    c: Chrome,
    name: String,
    sessions: Vec<SessionRow>,
    access_tokens: Vec<AccessTokenRow>,
    idle_days: u64,
    lifetime_days: u64,
}

async fn show(
    State(db): State<Db>,
    State(config): State<Arc<Config>>,
    operator: Operator,
) -> Result<Response> {
    let time = |at: UnixMs| at.zoned(&config.zone).strftime("%Y-%m-%d %H:%M").to_string();
    let sessions = db.sessions(operator.user.id, db.now()).await?;
    let row = |token| AccessTokenRow::of(token, db.now(), &config.zone, operator.t());
    let access_tokens = db.access_tokens(operator.user.id).await?.into_iter().map(row).collect();
    let days = |duration: std::time::Duration| duration.as_secs() / (24 * 3600);
    render(&AccountPage {
        c: operator.chrome(Section::Account),
        name: operator.user.name.clone(),
        sessions: sessions
            .into_iter()
            .map(|session| SessionRow {
                id: session.id,
                browser: browser(&session.user_agent, operator.t()),
                logged_in_at: time(session.created_at),
                seen_at: time(session.seen_at),
                current: session.id == operator.session,
                user_agent: session.user_agent,
                address: session.address,
            })
            .collect(),
        access_tokens,
        idle_days: days(SESSION_IDLE),
        lifetime_days: days(SESSION_LIFETIME),
    })
}

async fn end_session(
    State(db): State<Db>,
    operator: Operator,
    Path(id): Path<SessionId>,
) -> Result<Response> {
    db.delete_session(operator.user.id, id).await?;
    Ok(see_other_with("/account", FlashKind::Ok, operator.t().account.session_ended()))
}

async fn end_others(State(db): State<Db>, operator: Operator) -> Result<Response> {
    db.delete_other_sessions(operator.user.id, operator.session).await?;
    Ok(see_other_with("/account", FlashKind::Ok, operator.t().account.sessions_ended()))
}

#[derive(Template)]
#[template(path = "pages/account_password.html")]
struct PasswordPage {
    c: Chrome,
    forced: bool,
    least: usize,
    errors: FieldErrors,
}

impl PasswordPage {
    fn new(operator: &Operator, errors: FieldErrors) -> Self {
        Self {
            c: operator.chrome(Section::Account),
            forced: operator.user.must_change_password,
            least: LEAST_CHARACTERS,
            errors,
        }
    }
}

async fn show_password(operator: Operator) -> Result<Response> {
    render(&PasswordPage::new(&operator, FieldErrors::default()))
}

async fn change_password(
    State(db): State<Db>,
    State(shared): State<Arc<Shared>>,
    operator: Operator,
    fields: Fields,
) -> Result<Response> {
    let t = operator.t();
    let (current, password) = (fields.raw("current"), fields.raw("password"));
    let mut errors = FieldErrors::default();
    check_new_password(&mut errors, password, fields.raw("repeat"), t);
    if current.is_empty() {
        errors.add("current", t.common.field_required());
    } else if current == password {
        errors.add("password", t.account.same_password());
    }
    if !errors.is_empty() {
        return render_with(StatusCode::UNPROCESSABLE_ENTITY, &PasswordPage::new(&operator, errors));
    }
    match confirm_password(&shared, &db, &operator, current).await {
        Ok(true) => {}
        Ok(false) => {
            errors.add("current", t.account.current_wrong());
            return render_with(StatusCode::UNPROCESSABLE_ENTITY, &PasswordPage::new(&operator, errors));
        }
        Err(Error::TooManyRequests { retry_after_s }) => {
            errors.add("current", t.login.throttled(retry_after_s));
            let page = PasswordPage::new(&operator, errors);
            let mut response = render_with(StatusCode::TOO_MANY_REQUESTS, &page)?;
            response.headers_mut().insert(header::RETRY_AFTER, retry_after_s.into());
            return Ok(response);
        }
        Err(error) => return Err(error),
    }
    let hash = shared.passwords.hash(password).await?;
    db.set_password(operator.user.id, &hash, operator.session).await?;
    tracing::info!(account = operator.user.name, "a password was changed");
    Ok(see_other_with("/account", FlashKind::Ok, t.account.password_changed()))
}

/// Notes what is wrong with a new password (field `password`) and its repetition (field `repeat`).
pub fn check_new_password(errors: &mut FieldErrors, password: &str, repeat: &str, t: Messages) {
    let length = password.chars().count();
    if length < LEAST_CHARACTERS {
        errors.add("password", t.login.password_too_short(LEAST_CHARACTERS));
    } else if length > MOST_CHARACTERS {
        errors.add("password", t.common.field_too_long(MOST_CHARACTERS));
    } else if password != repeat {
        errors.add("repeat", t.login.passwords_differ());
    }
}

/// What a `User-Agent` says in words, such as "Firefox on Linux". Browsers name their relatives, so the order matters.
fn browser(user_agent: &str, t: Messages) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("MicroMessenger", "WeChat"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => t.account.browser_on(browser, system),
        (Some(browser), None) => browser.to_owned(),
        _ if user_agent.is_empty() => t.account.unknown_browser().to_owned(),
        _ => user_agent.chars().take(40).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn a_session_names_its_browser_in_words() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                    Safari/537.36 Edg/126.0.0.0";
        assert_eq!(browser(edge, Messages::of(Lang::En)), "Edge on Windows");
        assert_eq!(browser(edge, Messages::of(Lang::Zh)), "Windows 上的 Edge");
        assert_eq!(browser("curl/8.5.0", Messages::of(Lang::En)), "curl/8.5.0");
        assert_eq!(browser("", Messages::of(Lang::En)), "unknown");
    }
}
