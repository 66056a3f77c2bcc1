//! `/log/turns`: what agents called to answer one message, together; and one such turn with its calls.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::get,
};
use jiff::tz::TimeZone;

use super::{
    filters::{Filters, View},
    list::RowView,
    look::look,
    names::{Label, result_style},
    query::LogQuery,
    waterfall::Waterfall,
};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::Catalog,
        id::TokenId,
        time::{Clock, UnixMs},
        usage::trace_id,
    },
    storage::{
        Db, StorageError,
        usage_query::{
            UsageFilter,
            rows::{Place, UsageRow},
            turns::{Turn, TurnPage},
        },
    },
    web::{
        Site,
        admin::{
            usage::period::url,
            visit::{Chrome, Operator, Section, render, render_with},
        },
        format::{Moment, NOTHING, approximate, count, duration, exact_money, money, short_count},
    },
};

/// The most calls that are shown of a turn.
pub(super) const SHOWN_CALLS: usize = 100;

/// `GET /log/turns` and `GET /log/turns/{token}/{trace id}`.
pub fn router() -> Router<Site> {
    Router::new().route("/log/turns", get(list)).route("/log/turns/{token}/{trace_id}", get(show))
}

/// Where a turn's page is.
pub(super) fn path(token: TokenId, trace_id: &str) -> String {
    format!("/log/turns/{token}/{trace_id}")
}

/// A turn as pages show it.
pub(super) struct TurnView {
    pub href: String,
    pub time: Moment,
    /// From when to when, on the server's clock.
    pub span: String,
    pub token: Label,
    pub client: String,
    pub models: String,
    pub more_models: String,
    pub style: &'static str,
    pub status: u16,
    pub result: &'static str,
    /// How many calls failed; empty if none did.
    pub failed: String,
    pub calls: String,
    pub duration: String,
    pub tokens: String,
    pub tokens_detail: String,
    pub cost: String,
    pub cost_exact: String,
    /// All sums in one line.
    pub sums: String,
}

impl TurnView {
    /// A turn as seen from `now`, in the server's zone.
    pub fn new(t: Messages, turn: &Turn, now: UnixMs, zone: &TimeZone) -> Self {
        let tokens = &turn.tokens;
        let mut tokens_detail = t.log.tokens_detail(
            &count(tokens.prompt),
            &count(tokens.cached),
            &count(tokens.completion),
            &count(tokens.reasoning),
        );
        if turn.estimated {
            tokens_detail = format!("{tokens_detail} · {}", t.log.estimated());
        }
        let calls = format!("{}{}", count(turn.calls.into()), if turn.more { "+" } else { "" });
        let time = duration(t, turn.duration_ms());
        let tokens_text = approximate(
            format!("{} / {}", short_count(tokens.prompt), short_count(tokens.completion)),
            turn.estimated,
        );
        let cost = approximate(money(turn.cost_micros), turn.estimated && turn.cost_micros != 0);
        Self {
            href: path(turn.token.id, &turn.trace_id),
            time: Moment::new(t, turn.started_at, now, zone),
            span: span(t, turn, zone),
            token: Label::named(&turn.token),
            client: turn.client_kind.clone(),
            models: turn.models.join(", "),
            more_models: match turn.more_models {
                0 => String::new(),
                more => t.log.turn_more_models(more),
            },
            style: result_style(turn.result),
            status: turn.status,
            result: t.log.result_name(turn.result),
            failed: if turn.failed > 0 { t.log.turn_failed(turn.failed) } else { String::new() },
            sums: t.log.turn_sums(&calls, &time, &tokens_text, &cost),
            calls,
            duration: time,
            tokens: tokens_text,
            tokens_detail,
            cost,
            cost_exact: exact_money(turn.cost_micros),
        }
    }
}

/// `14:03:22 to 14:03:41`; the day of the end only if it is another one.
fn span(t: Messages, turn: &Turn, zone: &TimeZone) -> String {
    let (start, end) = (turn.started_at.zoned(zone), turn.ended_at.zoned(zone));
    let pattern = if start.date() == end.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    t.log.turn_span(&start.strftime("%H:%M:%S").to_string(), &end.strftime(pattern).to_string())
}

#[derive(Template)]
#[template(path = "pages/log_turns.html")]
struct TurnsPage {
    c: Chrome,
    f: Filters,
    problem: Option<&'static str>,
    turns: Vec<TurnView>,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
}

async fn list(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let (t, now, zone) = (operator.t(), clock.now(), &catalog.zone);
    let q = LogQuery::read(&query.unwrap_or_default(), now, zone, t);
    let look = look::<TurnPage>(&db, &q, View::Turns, t).await?;
    let names = db.usage_names(q.filter.channel).await?;
    let page = TurnsPage {
        c: operator.chrome(Section::Log),
        problem: look.problem,
        turns: look.page.turns.iter().map(|turn| TurnView::new(t, turn, now, zone)).collect(),
        newest: look.newest,
        newer: look.newer,
        older: look.older,
        f: Filters::new(t, q, View::Turns, &catalog, &names),
    };
    render_with(look.status, &page)
}

/// A turn with its calls in the order of their arrival: the newest [`SHOWN_CALLS`]; `None` if there is no such turn.
pub(super) async fn with_calls(
    db: &Db,
    token: TokenId,
    trace_id: &str,
) -> Result<Option<(Turn, Vec<UsageRow>)>, StorageError> {
    let Some(turn) = db.find_turn(token, trace_id).await? else { return Ok(None) };
    let filter =
        UsageFilter { token: Some(token), trace: Some(trace_id.to_owned()), ..UsageFilter::default() };
    let mut rows = db.usage_page(&filter, Place::Newest, SHOWN_CALLS).await?.rows;
    rows.reverse();
    Ok(Some((turn, rows)))
}

#[derive(Template)]
#[template(path = "pages/log_turn.html")]
struct TurnPageView {
    c: Chrome,
    turn: TurnView,
    trace_id: String,
    started: String,
    ended: String,
    waterfall: Waterfall,
    summary: String,
    rows: Vec<RowView>,
    /// Said if it has more calls than are shown.
    shortened: Option<String>,
    /// Its calls in the list of calls.
    calls_path: String,
    nothing: &'static str,
}

async fn show(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    Path((token, trace)): Path<(String, String)>,
) -> Result<Response> {
    let (t, now, zone) = (operator.t(), clock.now(), &catalog.zone);
    let token: TokenId = token.parse().map_err(|_| Error::NotFound)?;
    let trace = trace_id(&trace).ok_or(Error::NotFound)?;
    let (turn, rows) = with_calls(&db, token, &trace).await?.ok_or(Error::NotFound)?;
    let exact = |at: UnixMs| at.zoned(zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    render(&TurnPageView {
        c: operator.chrome(Section::Log),
        started: exact(turn.started_at),
        ended: exact(turn.ended_at),
        waterfall: Waterfall::of_calls(t, &rows),
        summary: t.log.turn_course_summary(rows.len(), &duration(t, turn.duration_ms())),
        shortened: (turn.more || turn.calls as usize > rows.len()).then(|| t.log.turn_shortened(rows.len())),
        calls_path: url("/log", [("token", token.to_string()), ("trace", trace.clone())]),
        turn: TurnView::new(t, &turn, now, zone),
        trace_id: trace,
        rows: rows.iter().map(|row| RowView::new(t, row, now, zone)).collect(),
        nothing: NOTHING,
    })
}
