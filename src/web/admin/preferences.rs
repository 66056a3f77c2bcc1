//! Language and theme, for visitors (a cookie) and operators (their account).

use axum::{Router, extract::State, http::header, response::Response, routing::post};

use super::visit::{Visit, local_path, see_other};
use crate::{
    error::Result,
    i18n::Lang,
    storage::Db,
    web::{Site, form::Fields},
};

/// `POST /preferences`.
pub fn router() -> Router<Site> {
    Router::new().route("/preferences", post(update))
}

async fn update(State(db): State<Db>, visit: Visit, fields: Fields) -> Result<Response> {
    let language = Lang::from_code(fields.text("language")).unwrap_or(visit.t.lang).as_str();
    let theme = Some(fields.text("theme")).filter(|theme| matches!(*theme, "light" | "dark"));
    if let Some(user) = visit.user() {
        db.set_preferences(user.id, language, theme).await?;
    }
    let mut response = see_other(local_path(fields.text("back")));
    for (name, value) in [("onepool_language", language), ("onepool_theme", theme.unwrap_or(""))] {
        let cookie = format!("{name}={value}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}
