//! `/log`: the calls, newest first, 50 on a page.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};
use jiff::tz::TimeZone;

use super::{
    filters::{Filters, View},
    live,
    look::{Look, look},
    names::{Label, result_style},
    query::LogQuery,
};
use crate::{
    error::Result,
    i18n::Messages,
    model::time::UnixMs,
    storage::usage_query::rows::{Place, UsagePage, UsageRow},
    web::{
        Site,
        admin::{
            live::Piece,
            visit::{Chrome, Operator, Section, render_with},
        },
        form::Fields,
        format::{
            Moment, NOTHING, approximate, count, duration, exact_money, money, optional_duration, short_count,
        },
    },
};

/// `GET /log`.
pub fn router() -> Router<Site> {
    Router::new().route("/log", get(show))
}

/// A call as a row of a table.
pub(super) struct RowView {
    /// Whether it is the one that the page is about.
    pub current: bool,
    pub href: String,
    pub time: Moment,
    pub token: Label,
    pub asked: String,
    pub served: Option<String>,
    pub channel: Option<Label>,
    pub key: Option<Label>,
    pub style: &'static str,
    pub status: u16,
    pub result: &'static str,
    pub stream: bool,
    pub first: String,
    pub total: String,
    pub tokens: String,
    pub tokens_detail: String,
    pub cost: String,
    pub cost_exact: String,
    pub attempts: u32,
}

impl RowView {
    /// A call as seen from `now`, in the server's zone.
    pub fn new(t: Messages, row: &UsageRow, now: UnixMs, zone: &TimeZone) -> Self {
        let tokens = &row.tokens;
        let mut tokens_detail = t.log.tokens_detail(
            &count(tokens.prompt),
            &count(tokens.cached),
            &count(tokens.completion),
            &count(tokens.reasoning),
        );
        if row.estimated {
            tokens_detail = format!("{tokens_detail} · {}", t.log.estimated());
        }
        Self {
            current: false,
            href: format!("/log/{}", row.request_id),
            time: Moment::new(t, row.at, now, zone),
            token: Label::named(&row.token),
            asked: row.asked_model.clone(),
            served: row.served_model.clone().filter(|served| *served != row.asked_model),
            channel: row.channel.as_ref().map(Label::named),
            key: row.key.as_ref().map(Label::key),
            style: result_style(row.result),
            status: row.status,
            result: t.log.result_name(row.result),
            stream: row.stream,
            first: optional_duration(t, row.first_token_ms),
            total: duration(t, row.total_ms),
            tokens: approximate(
                format!("{} / {}", short_count(tokens.prompt), short_count(tokens.completion)),
                row.estimated,
            ),
            tokens_detail,
            cost: approximate(money(row.cost_micros), row.estimated && row.cost_micros != 0),
            cost_exact: exact_money(row.cost_micros),
            attempts: row.attempt_count,
        }
    }
}

#[derive(Template)]
#[template(path = "pages/log.html")]
struct LogPage {
    c: Chrome,
    f: Filters,
    problem: Option<&'static str>,
    rows: Vec<RowView>,
    /// The file of these calls; of none there is none.
    csv: Option<String>,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    nothing: &'static str,
    /// The part that keeps itself up to date, if the visitor wants it.
    live: Option<Arc<Piece>>,
    live_url: String,
    /// Where the log keeps itself up to date, if this page can.
    to_live: Option<String>,
    to_list: String,
    now_ms: i64,
}

async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let (t, now, catalog) = (operator.t(), site.clock.now(), site.catalog.load());
    let zone = &catalog.zone;
    let query = query.unwrap_or_default();
    let q = LogQuery::read(&query, now, zone, t);
    let wants_live = Fields::parse(query.as_bytes()).checked("live");
    // What has ended before now does not go on.
    let can_be_live = q.errors.is_empty() && q.place == Place::Newest && q.period.to.is_none();
    // The part that keeps itself up to date finds its calls itself, once for all who look.
    let (live, look) = match can_be_live && wants_live {
        true => (Some(live::piece(&site, t, &query).await?), Look::nothing()),
        false => (None, look::<UsagePage>(&site.db, &q, View::Calls, t).await?),
    };
    let names = site.db.usage_names(q.filter.channel).await?;
    let page = LogPage {
        c: operator.chrome(Section::Log),
        problem: look.problem,
        rows: look.page.rows.iter().map(|row| RowView::new(t, row, now, zone)).collect(),
        csv: (live.is_some() || !look.page.rows.is_empty()).then(|| q.url_with("/log.csv", [])),
        newest: look.newest,
        newer: look.newer,
        older: look.older,
        nothing: NOTHING,
        live,
        live_url: q.url_with("/log/live", []),
        to_live: can_be_live.then(|| q.url_with("/log", [("live", "true".to_owned())])),
        to_list: q.url_with("/log", []),
        now_ms: now.0,
        f: Filters::new(t, q, View::Calls, &catalog, &names),
    };
    render_with(look.status, &page)
}
