//! `/log`: the calls, newest first, 50 on a page.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use jiff::tz::TimeZone;

use super::{
    names::{Label, result_style},
    query::LogQuery,
};
use crate::{
    error::Result,
    i18n::Messages,
    model::{
        catalog::Catalog,
        time::{Clock, UnixMs},
        usage::{CallResult, Endpoint},
    },
    storage::{
        Db, StorageError,
        usage_query::{
            names::UsageNames,
            rows::{Place, UsagePage, UsageRow},
        },
    },
    web::{
        Site,
        admin::{
            usage::period::Period,
            visit::{Chrome, Operator, Section, render_with},
        },
        form::FieldErrors,
        format::{
            Moment, NOTHING, approximate, count, duration, exact_money, money, optional_duration, short_count,
        },
    },
};

/// Rows on a page.
const PAGE_ROWS: usize = 50;

/// The most models that the filter suggests.
const MAX_SUGGESTIONS: usize = 500;

/// `GET /log`.
pub fn router() -> Router<Site> {
    Router::new().route("/log", get(show))
}

struct RowView {
    href: String,
    time: Moment,
    token: Label,
    asked: String,
    served: Option<String>,
    channel: Option<Label>,
    key: Option<Label>,
    style: &'static str,
    status: u16,
    result: &'static str,
    stream: bool,
    first: String,
    total: String,
    tokens: String,
    tokens_detail: String,
    cost: String,
    cost_exact: String,
    attempts: u32,
}

impl RowView {
    fn new(t: Messages, row: &UsageRow, now: UnixMs, zone: &TimeZone) -> Self {
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

type Choices = Vec<(String, String)>;

struct PeriodLink {
    href: String,
    label: &'static str,
    current: bool,
}

#[derive(Template)]
#[template(path = "pages/log.html")]
struct LogPage {
    c: Chrome,
    q: LogQuery,
    errors: FieldErrors,
    problem: Option<&'static str>,
    zone: String,
    periods: Vec<PeriodLink>,
    tokens: Choices,
    channels: Choices,
    keys: Choices,
    endpoints: Choices,
    streams: Choices,
    results: Choices,
    models: Vec<String>,
    rows: Vec<RowView>,
    csv: String,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
    nothing: &'static str,
}

impl LogPage {
    /// Whether anything narrows the log down.
    fn filtered(&self) -> bool {
        self.q.active() > 0 || self.q.period.from.is_some() || self.q.period.to.is_some()
    }
}

async fn show(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let (t, now, zone) = (operator.t(), clock.now(), &catalog.zone);
    let q = LogQuery::read(&query.unwrap_or_default(), now, zone, t);
    let (mut status, mut problem) = (StatusCode::OK, None);
    let mut page = UsagePage { rows: Vec::new(), newer: false, older: false };
    if q.errors.is_empty() {
        match find(&db, &q).await {
            Ok(found) => page = found,
            Err(StorageError::TooSlow) => {
                (status, problem) = (StatusCode::SERVICE_UNAVAILABLE, Some(t.log.too_slow()));
            }
            Err(error) => return Err(error.into()),
        }
    } else {
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    let names = db.usage_names(q.filter.channel).await?;
    let edge = |field: &'static str, row: Option<&UsageRow>, there: bool| {
        row.filter(|_| there).map(|row| q.url_with("/log", [(field, row.cursor().to_string())]))
    };
    let page = LogPage {
        c: operator.chrome(Section::Log),
        errors: q.errors.clone(),
        problem,
        zone: t.log.zone(zone.iana_name().unwrap_or("UTC")),
        periods: Period::choices()
            .map(|choice| PeriodLink {
                href: q.url_in("/log", choice),
                label: choice.label(t),
                current: choice == q.period.choice,
            })
            .collect(),
        endpoints: choices(
            t,
            Endpoint::ALL.iter().map(|endpoint| (endpoint.to_string(), endpoint.path().to_owned())),
        ),
        streams: choices(
            t,
            [("true", t.log.streaming()), ("false", t.log.not_streaming())]
                .map(|(value, label)| (value.to_owned(), label.to_owned())),
        ),
        results: choices(
            t,
            std::iter::once(("failed".to_owned(), t.log.any_failure().to_owned())).chain(
                CallResult::ALL
                    .iter()
                    .map(|result| (result.to_string(), t.log.result_name(*result).to_owned())),
            ),
        ),
        models: catalog.models().take(MAX_SUGGESTIONS).map(|model| model.name.clone()).collect(),
        rows: page.rows.iter().map(|row| RowView::new(t, row, now, zone)).collect(),
        csv: q.url_with("/log.csv", []),
        newest: page.newer.then(|| q.url_with("/log", [])),
        newer: edge("after", page.rows.first(), page.newer),
        older: edge("before", page.rows.last(), page.older),
        nothing: NOTHING,
        tokens: Choices::new(),
        channels: Choices::new(),
        keys: Choices::new(),
        q,
    };
    render_with(status, &page.with_names(t, &names))
}

/// The page that the filter asks for. If fewer newer rows are left than fill a page, the newest page shows them and
/// what follows.
async fn find(db: &Db, q: &LogQuery) -> Result<UsagePage, StorageError> {
    let page = db.usage_page(&q.filter, q.place, PAGE_ROWS).await?;
    if matches!(q.place, Place::After(_)) && page.rows.len() < PAGE_ROWS {
        return db.usage_page(&q.filter, Place::Newest, PAGE_ROWS).await;
    }
    Ok(page)
}

impl LogPage {
    fn with_names(mut self, t: Messages, names: &UsageNames) -> Self {
        let label = |label: Label| match label.deleted {
            true => format!("{} ({})", label.text, t.log.deleted()),
            false => label.text,
        };
        let chosen = |name: &str, choices: Choices| {
            let (text, mut choices) = (self.q.text(name), self::choices(t, choices));
            // What is chosen but not among the names stays chosen.
            if !choices.iter().any(|(value, _)| value == text) {
                choices.push((text.to_owned(), format!("#{text}")));
            }
            choices
        };
        let tokens = names.tokens.iter().map(|token| (token.id.to_string(), label(Label::named(token))));
        let channels =
            names.channels.iter().map(|channel| (channel.id.to_string(), label(Label::named(channel))));
        let keys = names.keys.iter().map(|key| (key.id.to_string(), label(Label::key(key))));
        let (tokens, channels, keys) = (
            chosen("token", tokens.collect()),
            chosen("channel", channels.collect()),
            chosen("key", keys.collect()),
        );
        (self.tokens, self.channels, self.keys) = (tokens, channels, keys);
        self
    }
}

/// "All", and what may be chosen instead.
fn choices(t: Messages, values: impl IntoIterator<Item = (String, String)>) -> Choices {
    std::iter::once((String::new(), t.common.all().to_owned())).chain(values).collect()
}
