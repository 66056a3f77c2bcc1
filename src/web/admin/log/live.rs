//! The part of the log that keeps itself up to date: calls under way, and below them the newest calls that have ended.

use std::{sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
    routing::get,
};

use super::{list::RowView, look::PAGE_LINES, query::LogQuery};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::Catalog,
        in_flight::{CallInFlight, InFlightStage},
    },
    storage::{
        StorageError,
        usage_query::rows::{Place, UsagePage},
    },
    web::{
        Site,
        admin::{channels::key_name, live::Piece, visit::Operator},
        format::{Moment, NOTHING},
    },
};

/// How long a drawn part holds at least.
const HOLDS: Duration = Duration::from_secs(1);
/// The most calls under way that are shown.
const MOST_UNDER_WAY: usize = 50;

/// `GET /log/live`, with the log's filter.
pub fn router() -> Router<Site> {
    Router::new().route("/log/live", get(live))
}

/// A call under way as a row of a table.
struct UnderWay {
    /// Its id, as the log will have it.
    id: String,
    token: String,
    model: String,
    stream: bool,
    stage: &'static str,
    style: &'static str,
    sent_to: String,
    key: String,
    attempts: u32,
    /// When it arrived and since when it is where it is, for the script that counts.
    arrived: String,
    since: String,
    /// The same for people.
    arrived_text: String,
    since_text: String,
    /// The same with the day and the offset.
    arrived_exact: String,
    since_exact: String,
}

impl UnderWay {
    fn new(t: Messages, catalog: &Catalog, call: CallInFlight) -> Self {
        let (stage, style) = match call.stage {
            InFlightStage::Waiting => (t.log.stage_waiting(), "warn"),
            InFlightStage::Upstream => (t.log.stage_upstream(), ""),
            InFlightStage::Answering => (t.log.stage_answering(), "ok"),
        };
        let channel = call.sent_to.and_then(|(channel, _)| catalog.channel(channel));
        let key = channel
            .and_then(|entry| entry.keys.iter().find(|key| Some(key.id) == call.sent_to.map(|to| to.1)));
        let iso = |at: crate::model::time::UnixMs| {
            at.zoned(&catalog.zone).strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()
        };
        let exact = |at| Moment::new(t, at, at, &catalog.zone).exact;
        let text = |at: crate::model::time::UnixMs| at.zoned(&catalog.zone).strftime("%H:%M:%S").to_string();
        Self {
            id: call.request_id.to_string(),
            token: catalog
                .token(call.token)
                .map_or_else(|| format!("#{}", call.token), |token| token.name.clone()),
            stream: call.stream,
            stage,
            style,
            sent_to: channel.map_or_else(String::new, |entry| entry.channel.name.clone()),
            key: key.map_or_else(String::new, |key| key_name(key)),
            attempts: call.attempts,
            arrived: iso(call.at),
            since: iso(call.since),
            arrived_text: text(call.at),
            since_text: text(call.since),
            arrived_exact: exact(call.at),
            since_exact: exact(call.since),
            model: call.model,
        }
    }
}

/// The part of the page.
#[derive(Template)]
#[template(path = "partials/log_live.html")]
struct LivePart {
    t: Messages,
    under_way: Vec<UnderWay>,
    under_way_title: String,
    rows: Vec<RowView>,
    calls_label: &'static str,
    too_slow: bool,
    nothing: &'static str,
}

/// Whether the filter takes a call under way, as far as anything is known of it. What has not ended has no result.
fn fits(q: &LogQuery, call: &CallInFlight) -> bool {
    let filter = &q.filter;
    let (channel, key) = call.sent_to.unzip();
    let model = |wanted: &str| matches_pattern(wanted, &call.model);
    filter.result.is_none()
        && filter.status.is_none()
        && filter.trace.is_none()
        && filter.client_kind.is_none()
        && filter.served_model.is_none()
        && filter.token.is_none_or(|token| token == call.token)
        && filter.channel.is_none_or(|wanted| channel == Some(wanted))
        && filter.key.is_none_or(|wanted| key == Some(wanted))
        && filter.endpoint.is_none_or(|endpoint| endpoint == call.endpoint)
        && filter.stream.is_none_or(|stream| stream == call.stream)
        && filter.model.as_deref().is_none_or(model)
        && filter.asked_model.as_deref().is_none_or(|asked| asked.eq_ignore_ascii_case(&call.model))
        && filter
            .search
            .as_deref()
            .is_none_or(|text| call.request_id.to_string().contains(&text.to_lowercase()))
}

/// Whether a text is what a pattern means, in which `*` stands for anything; letter case does not matter.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut ended = rest.is_empty();
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
        ended = part.is_empty() || rest.is_empty() || text.ends_with(part);
    }
    ended
}

/// The part for a filter, in a language: drawn once for all who look through it.
pub(super) async fn piece(site: &Site, t: Messages, query: &str) -> Result<Arc<Piece>> {
    let (now, catalog) = (site.clock.now(), site.catalog.load());
    let q = LogQuery::read(query, now, &catalog.zone, t);
    // The name is made of what was understood, so that other fields make no further piece.
    let name = format!("log {} {}", t.lang.as_str(), q.url_with("", []));
    site.admin.live.of(name, HOLDS, draw(site, t, &catalog, q)).await
}

async fn draw(site: &Site, t: Messages, catalog: &Catalog, q: LogQuery) -> Result<String> {
    let now = site.clock.now();
    let (mut page, mut too_slow) = (UsagePage { rows: Vec::new(), newer: false, older: false }, false);
    let mut calls = Vec::new();
    if q.errors.is_empty() {
        match site.db.usage_page(&q.filter, Place::Newest, PAGE_LINES).await {
            Ok(found) => page = found,
            Err(StorageError::TooSlow) => too_slow = true,
            Err(error) => return Err(error.into()),
        }
        calls = site.in_flight.list(MOST_UNDER_WAY + 1, |call| fits(&q, call));
    }
    let more = calls.len() > MOST_UNDER_WAY;
    calls.truncate(MOST_UNDER_WAY);
    let part = LivePart {
        t,
        under_way_title: if more { t.log.under_way_more(calls.len()) } else { t.log.under_way(calls.len()) },
        under_way: calls.into_iter().map(|call| UnderWay::new(t, catalog, call)).collect(),
        rows: page.rows.iter().map(|row| RowView::new(t, row, now, &catalog.zone)).collect(),
        calls_label: t.log.table(),
        too_slow,
        nothing: NOTHING,
    };
    part.render().map_err(|error| Error::Internal(error.into()))
}

async fn live(
    State(site): State<Site>,
    operator: Operator,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    Ok(piece(&site, operator.t(), &query.unwrap_or_default()).await?.answer(&headers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_also_in_calls_under_way() {
        for (pattern, text, fits) in [
            ("gpt-4", "GPT-4", true),
            ("gpt-4", "gpt-4o", false),
            ("gpt-4*", "gpt-4o", true),
            ("*4o", "gpt-4o", true),
            ("*4", "gpt-4o", false),
            ("g*-*o", "gpt-4o", true),
            ("*", "anything", true),
            ("*x*", "gpt-4o", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), fits, "{pattern} {text}");
        }
    }
}
