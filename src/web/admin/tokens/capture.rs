//! Capturing a token's calls: how it stands, and the buttons.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::post,
};

use super::{edit::token_id, local_minute};
use crate::{
    capture::{MOST_BYTES, MOST_CALLS},
    error::{Error, Result},
    i18n::Messages,
    model::{capture::LENGTH, id::TokenId},
    storage::StorageError,
    web::{
        Site,
        admin::visit::{FlashKind, Operator, see_other_with},
        form::Fields,
        format::bytes,
    },
};

/// `/tokens/{id}/capture` and what ends it.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .route("/tokens/{id}/capture", post(start))
        .route("/tokens/{id}/capture/stop", post(stop))
        .route("/tokens/{id}/capture/erase", post(erase))
}

/// How the capture of a token stands.
pub(super) struct CaptureView {
    /// What to know of it; empty if there is none.
    pub state: String,
    pub runs: bool,
    /// How much is kept; empty without a capture.
    pub kept: String,
    pub full: bool,
    /// What bounds it.
    pub bounds: String,
    /// Lengths in minutes, with their names.
    pub lengths: [(&'static str, &'static str); 4],
}

impl CaptureView {
    /// Looks it up.
    pub async fn of(site: &Site, t: Messages, token: TokenId) -> Self {
        let (p, now) = (t.capture, site.clock.now());
        let catalog = site.catalog.load();
        let mut view = Self {
            state: String::new(),
            runs: false,
            kept: String::new(),
            full: false,
            bounds: p.bounds(MOST_CALLS, MOST_BYTES >> 20),
            lengths: [
                ("15", p.minutes_15()),
                ("60", p.hour_1()),
                ("360", p.hours_6()),
                ("1440", p.hours_24()),
            ],
        };
        if let Some(capture) = catalog.captures().iter().find(|capture| capture.token_id == token) {
            let at = |at| local_minute(at, &catalog.zone);
            let (ends, until) = (at(capture.ends_at), at(capture.keep_until));
            view.runs = capture.runs(now);
            view.state = if view.runs {
                p.runs(&ends, &capture.started_by)
            } else {
                p.ended(&ends, &capture.started_by, &until)
            };
            let (calls, size) = site.captures.size(token).await;
            view.kept = p.kept(calls, &bytes(size));
            view.full = view.runs && (calls >= MOST_CALLS || size >= MOST_BYTES);
        }
        view
    }
}

fn back(id: TokenId, kind: FlashKind, text: &str) -> Response {
    see_other_with(&format!("/tokens/{id}#capture"), kind, text)
}

async fn start(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let (id, t) = (token_id(&id)?, operator.t().capture);
    let length = fields.text("minutes").parse().ok().map(|minutes: u32| Duration::from_secs(60) * minutes);
    let Some(length) = length.filter(|length| LENGTH.contains(length)) else {
        return Err(Error::BadRequest(t.bad_length().to_owned()));
    };
    match site.db.start_capture(id, length, &operator.user.name).await {
        Ok(_) => {}
        Err(StorageError::Taken(_)) => return Ok(back(id, FlashKind::Bad, t.other_runs())),
        Err(error) => return Err(error.into()),
    }
    site.catalog.reload().await?;
    tracing::info!(account = operator.user.name, token = %id, minutes = length.as_secs() / 60, "a capture was started");
    Ok(back(id, FlashKind::Ok, t.started()))
}

async fn stop(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let id = token_id(&id)?;
    site.db.stop_capture(id).await?;
    site.catalog.reload().await?;
    Ok(back(id, FlashKind::Ok, operator.t().capture.stopped()))
}

async fn erase(State(site): State<Site>, operator: Operator, Path(id): Path<String>) -> Result<Response> {
    let id = token_id(&id)?;
    erase_all(&site, id).await?;
    Ok(back(id, FlashKind::Ok, operator.t().capture.erased()))
}

/// Ends a token's capture and erases what it has.
pub(in crate::web) async fn erase_all(site: &Site, id: TokenId) -> Result<()> {
    site.db.end_capture(id).await?;
    site.catalog.reload().await?;
    site.captures.erase(id).await.map_err(|error| Error::Internal(error.into()))
}
