//! The operator's pages. Each page is a file: handlers beside the template structs that they fill.
//!
//! Every handler that needs an operator takes [`visit::Operator`]; without a session the visitor is sent to the login.
//! All forms are protected by the Origin / Sec-Fetch-Site check of the router's CSRF layer.

mod access_tokens;
pub mod account;
pub mod budgets;
mod capacity;
pub mod chains;
pub mod channels;
pub mod chosen;
pub mod confirm;
mod documents;
pub mod grants;
pub(in crate::web) mod health;
pub mod live;
pub mod log;
pub mod login;
mod models;
mod notifications;
pub mod openclaw;
mod overview;
pub mod playground;
pub mod preferences;
mod prices;
pub mod ranking;
mod routes;
mod search;
pub mod settings;
pub mod setup;
pub mod setup_code;
pub mod throttle;
pub mod tokens;
pub mod usage;
pub mod visit;

use std::path::PathBuf;

use axum::{
    Router,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::future::BoxFuture;
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};

use super::{Site, face};
use crate::{
    discovery::round::Rounds,
    error::Error,
    i18n::Messages,
    model::recording::{Alarm, Broken},
    storage::backup::{Backup, BackupError},
};

/// What pages share in memory: nothing of it outlives the process.
#[derive(Default)]
pub struct Shared {
    /// Checks and hashes passwords.
    pub passwords: confirm::Passwords,
    /// What sessions may do because their operator confirmed the password.
    pub grants: grants::Grants,
    /// Who has guessed access tokens lately.
    pub failed_tries: super::api::auth::FailedTries,
    /// The code of the set-up link, while there is no account.
    pub setup: setup_code::SetupCode,
    /// Says what is wrong with the recording of usage.
    pub recording: Option<RecordingState>,
    /// Asks several upstreams for their models, beside the pages.
    pub rounds: Rounds,
    /// Held while a script's change is made from the present state.
    pub changing: tokio::sync::Mutex<()>,
    /// Begins repairs and knows how they stand, if the server can.
    pub repairs: Option<crate::repair::desk::Repairs>,
    /// Pieces of pages that keep themselves up to date, and their numbers.
    pub live: live::Pieces,
    /// The numbers of the overview.
    pub figures: overview::Figures,
    /// What was found out about the installation last, and the codes of the test of streams.
    pub diagnostics: health::Diagnostics,
    /// Calls of the playground that may be under way.
    pub playground: playground::Places,
    /// Makes a backup, if the server can.
    pub backup: Option<MakeBackup>,
}

/// Copies the database, with the journal's rows, to a file that must not exist yet.
pub type MakeBackup = Box<dyn Fn(PathBuf) -> BoxFuture<'static, Result<Backup, BackupError>> + Send + Sync>;

/// Asks the recorder for its alarm.
pub type RecordingState = Box<dyn Fn() -> Option<Alarm> + Send + Sync>;

impl Shared {
    /// What every page should warn of, if anything.
    pub fn alarm(&self, t: Messages) -> Option<String> {
        let alarm = self.recording.as_ref()?()?;
        Some(match alarm.what {
            Broken::Journal => t.common.alarm_journal(&alarm.detail),
            Broken::Database => t.common.alarm_database(&alarm.detail),
        })
    }
}

/// All pages.
pub fn router(site: Site) -> Router {
    let csrf = CsrfLayer::new()
        .with_rejection_response(|_| Error::Forbidden("the request came from another site").into_response());
    Router::new()
        .merge(overview::router())
        .merge(budgets::router())
        .merge(capacity::router())
        .merge(chains::router())
        .merge(channels::router())
        .merge(documents::router())
        .merge(routes::router())
        .merge(log::router())
        .merge(login::router())
        .merge(health::router())
        .merge(models::router())
        .merge(notifications::router())
        .merge(openclaw::router())
        .merge(playground::router())
        .merge(preferences::router())
        .merge(prices::router())
        .merge(ranking::router())
        .merge(search::router())
        .merge(tokens::router())
        .merge(setup::router())
        .merge(account::router())
        .merge(access_tokens::router())
        .merge(super::api::page())
        .merge(settings::router())
        .merge(usage::router())
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(csrf)
        .layer(CatchPanicLayer::custom(face::panicked))
        .layer(axum::middleware::from_fn_with_state(site.clone(), draw))
        .with_state(site)
}

/// Draws errors as pages in the visitor's language, and sets the headers that every page has.
async fn draw(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = visit::Visit::of(&mut parts, &site).await;
    parts.extensions.insert(visit.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(face::Undrawn(error)) = response.extensions_mut().remove::<face::Undrawn>() {
        face::log(&error, &visit.request_id);
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        response = visit::error_page(visit, &error);
        *response.status_mut() = status;
        response.headers_mut().extend(headers.into_iter().filter_map(|(name, value)| Some((name?, value))));
    }
    visit::set_page_headers(response.headers_mut());
    response
}
