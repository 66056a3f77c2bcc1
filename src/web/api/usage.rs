//! The usage log: calls, one call with its attempts, and sums over a period.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, Page, dollars, unknown_cursor},
};
use crate::{
    error::Error,
    i18n::Messages,
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        time::UnixMs,
        usage::{CallResult, Endpoint as Called, OutcomeClass, TokenCounts},
    },
    pool::input::{Decimal, Faults},
    storage::usage_query::{
        ResultFilter, UsageFilter,
        names::{KeyName, Named},
        report::{Group, GroupBy, GroupName, Sums},
        rows::{AttemptRow, Cursor, Place, UsageRow},
    },
    web::{
        admin::{
            log::status_range,
            usage::period::{Choice, Period},
        },
        form::{FieldErrors, Fields},
    },
};

/// The longest text of a filter, in characters; models' names are at most this long.
const MAX_CHARS: usize = 200;

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    let slow = "The question takes the database too long; narrow it down.";
    vec![
        Endpoint::new(Method::GET, "/api/usage", "List calls", list)
            .about("The newest first. No prompt and no answer is kept.")
            .fails(StatusCode::SERVICE_UNAVAILABLE, slow),
        Endpoint::new(Method::GET, "/api/usage/report", "Sum up calls", report)
            .about(
                "Sums over a period by token, channel, key, model as asked, or upstream's model. They are kept when the log's \
                 own rows are deleted. Borders are moved outwards to whole quarters of an hour.",
            )
            .fails(StatusCode::SERVICE_UNAVAILABLE, slow),
        Endpoint::new(Method::GET, "/api/usage/{id}", "Show a call with its attempts", show)
            .about("`id` is the request's id, which the client got as `x-request-id`."),
    ]
}

/// Which calls to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Calls that arrived then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// Calls that arrived before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
    /// Who asked.
    token_id: Option<i64>,
    /// The channel that served, or was tried last.
    channel_id: Option<i64>,
    /// The key that served, or was tried last.
    key_id: Option<i64>,
    /// The model as asked or as served; `*` stands for any text.
    model: Option<String>,
    /// The model as asked, the whole name.
    asked_model: Option<String>,
    /// The upstream's model, the whole name.
    served_model: Option<String>,
    /// The endpoint.
    endpoint: Option<Called>,
    /// Streaming or not.
    stream: Option<bool>,
    /// How the call ended: a result as calls have it, or `failed` for all but `ok`.
    result: Option<String>,
    /// The status that the client got: `429`, or `4xx`.
    status: Option<String>,
    /// The kind of client; `*` stands for any text.
    client: Option<String>,
    /// A part of the request's id or of the trace id.
    search: Option<String>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    cursor: Option<String>,
}

impl UsageQuery {
    fn filter(&self, t: Messages) -> Result<UsageFilter, Faults> {
        let mut faults = Faults::default();
        for (field, text) in [
            ("model", &self.model),
            ("asked_model", &self.asked_model),
            ("served_model", &self.served_model),
            ("client", &self.client),
            ("search", &self.search),
        ] {
            let length = text.as_ref().map_or(0, |text| text.chars().count());
            if length > MAX_CHARS {
                faults.add(field, t.common.field_too_long(MAX_CHARS));
            }
        }
        let (from, to) = (self.from.map(at), self.to.map(at));
        if matches!((from, to), (Some(from), Some(to)) if from >= to) {
            faults.add("to", t.log.range_backwards());
        }
        let result = match self.result.as_deref() {
            None => None,
            Some("failed") => Some(ResultFilter::Failed),
            Some(name) => {
                let result = CallResult::from_name(name).map(ResultFilter::Is);
                if result.is_none() {
                    faults.add("result", "Use `failed`, or a result as calls have it, such as `timeout`.");
                }
                result
            }
        };
        let status = self.status.as_deref().and_then(|text| {
            let range = status_range(text);
            if range.is_none() {
                faults.add("status", "Use a status such as `429`, or a class of them such as `4xx`.");
            }
            range
        });
        faults.or(UsageFilter {
            from,
            to,
            token: self.token_id.map(TokenId),
            channel: self.channel_id.map(ChannelId),
            key: self.key_id.map(KeyId),
            model: self.model.clone(),
            asked_model: self.asked_model.clone(),
            served_model: self.served_model.clone(),
            endpoint: self.endpoint,
            stream: self.stream,
            result,
            status,
            client_kind: self.client.clone(),
            search: self.search.clone(),
        })
    }
}

fn at(timestamp: jiff::Timestamp) -> UnixMs {
    UnixMs(timestamp.as_millisecond())
}

/// A token or channel by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedView {
    /// Its id.
    id: i64,
    /// Its name; empty if nothing is left of it.
    name: String,
    /// Whether it was deleted.
    deleted: bool,
}

/// A key by its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyNameView {
    /// Its id.
    id: i64,
    /// The operator's name for it.
    label: String,
    /// Its last four characters.
    last4: String,
    /// Whether it was deleted.
    deleted: bool,
}

fn token_name(token: &Named<TokenId>) -> NamedView {
    NamedView { id: token.id.0, name: token.name.clone(), deleted: token.deleted }
}

fn channel_name(channel: &Named<ChannelId>) -> NamedView {
    NamedView { id: channel.id.0, name: channel.name.clone(), deleted: channel.deleted }
}

fn key_name(key: &KeyName) -> KeyNameView {
    KeyNameView { id: key.id.0, label: key.label.clone(), last4: key.last4.clone(), deleted: key.deleted }
}

/// Token counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// Prompt tokens, cached ones included.
    prompt: u64,
    /// Completion tokens, reasoning included.
    completion: u64,
    /// Prompt tokens that the upstream had cached.
    cached: u64,
    /// Completion tokens spent on reasoning.
    reasoning: u64,
}

impl From<TokenCounts> for CountsView {
    fn from(counts: TokenCounts) -> Self {
        Self {
            prompt: counts.prompt,
            completion: counts.completion,
            cached: counts.cached,
            reasoning: counts.reasoning,
        }
    }
}

/// A call of a client.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallView {
    /// Its id, which the client got as `x-request-id`.
    #[schema(value_type = String, format = Uuid)]
    request_id: String,
    /// When it arrived.
    at: At,
    /// Who asked.
    token: NamedView,
    /// The channel that served it, or that was tried last.
    channel: Option<NamedView>,
    /// The key that served it, or that was tried last.
    key: Option<KeyNameView>,
    /// The model as the client named it.
    asked_model: String,
    /// The upstream's model that served it.
    served_model: Option<String>,
    /// The endpoint.
    endpoint: Called,
    /// Whether the client asked for a stream.
    stream: bool,
    /// The status that the client got; 499 if it left first.
    status: u16,
    /// How it ended.
    result: CallResult,
    /// Our code for the error.
    error_code: Option<String>,
    /// Milliseconds spent waiting for something that rested.
    queue_ms: u32,
    /// Milliseconds from arrival to the first content for the client.
    first_token_ms: Option<u32>,
    /// Milliseconds from arrival to the end.
    total_ms: u32,
    /// Token counts.
    tokens: CountsView,
    /// Whether the counts are an estimate.
    estimated: bool,
    /// Its cost in dollars.
    cost: Decimal,
    /// The client's address.
    client_address: String,
    /// What kind of client it is.
    client_kind: String,
    /// The trace id of a `traceparent` header.
    trace_id: Option<String>,
    /// How many upstream calls were made.
    attempt_count: u32,
}

impl CallView {
    fn of(row: &UsageRow) -> Self {
        Self {
            request_id: row.request_id.to_string(),
            at: row.at.into(),
            token: token_name(&row.token),
            channel: row.channel.as_ref().map(channel_name),
            key: row.key.as_ref().map(key_name),
            asked_model: row.asked_model.clone(),
            served_model: row.served_model.clone(),
            endpoint: row.endpoint,
            stream: row.stream,
            status: row.status,
            result: row.result,
            error_code: row.error_code.clone(),
            queue_ms: row.queue_ms,
            first_token_ms: row.first_token_ms,
            total_ms: row.total_ms,
            tokens: row.tokens.into(),
            estimated: row.estimated,
            cost: dollars(row.cost_micros),
            client_address: row.client_address.clone(),
            client_kind: row.client_kind.clone(),
            trace_id: row.trace_id.clone(),
            attempt_count: row.attempt_count,
        }
    }
}

/// A page of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallList {
    /// The calls, the newest first.
    items: Vec<CallView>,
    /// The `cursor` that goes on to older calls; null at the end.
    next: Option<String>,
}

/// A call with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallDetails {
    /// The call.
    call: CallView,
    /// Every upstream call that was made for it, in order.
    attempts: Vec<AttemptView>,
}

/// One upstream call.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// The channel.
    channel: NamedView,
    /// The key.
    key: KeyNameView,
    /// The upstream's model.
    model: String,
    /// Milliseconds from the call's arrival to the attempt's start.
    started_ms: u32,
    /// Milliseconds from the attempt's start to the upstream's first content.
    first_byte_ms: Option<u32>,
    /// Milliseconds that it took.
    duration_ms: u32,
    /// The upstream's status, if it answered.
    status: Option<u16>,
    /// What the answer was taken for.
    class: OutcomeClass,
    /// Why; may quote the upstream, secrets masked.
    detail: String,
}

impl AttemptView {
    fn of(attempt: &AttemptRow) -> Self {
        Self {
            channel: channel_name(&attempt.channel),
            key: key_name(&attempt.key),
            model: attempt.model.clone(),
            started_ms: attempt.started_ms,
            first_byte_ms: attempt.first_byte_ms,
            duration_ms: attempt.duration_ms,
            status: attempt.status,
            class: attempt.class,
            detail: attempt.detail.clone(),
        }
    }
}

async fn list(asked: Asked<(), Query<UsageQuery>>) -> Result<Shown<CallList>> {
    let query = &asked.query.0;
    let filter = query.filter(asked.caller.t())?;
    let limit = Page::read(query.limit, None)?.limit();
    let place = match &query.cursor {
        Some(cursor) => Place::Before(cursor.parse::<Cursor>().map_err(|()| unknown_cursor())?),
        None => Place::Newest,
    };
    let page = asked.site.db.usage_page(&filter, place, limit).await?;
    let next = page.rows.last().filter(|_| page.older).map(|row| row.cursor().to_string());
    Ok(Shown(CallList { items: page.rows.iter().map(CallView::of).collect(), next }))
}

async fn show(asked: Asked<RequestId>) -> Result<Shown<CallDetails>> {
    let (row, attempts) = asked.site.db.usage_find(asked.path).await?.ok_or(Error::NotFound)?;
    let attempts = attempts.iter().map(AttemptView::of).collect();
    Ok(Shown(CallDetails { call: CallView::of(&row), attempts }))
}

/// What to sum up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// What to have one line for; `token` by default.
    by: Option<GroupBy>,
    /// A ready-made period; `24h` by default, if neither `from` nor `to` is given.
    period: Option<ReportPeriod>,
    /// Calls that arrived then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<jiff::Timestamp>,
    /// Calls that arrived before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<jiff::Timestamp>,
}

/// A ready-made period, in the server's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub enum ReportPeriod {
    /// The running hour and the 23 before it.
    #[serde(rename = "24h")]
    Day,
    /// Today and the 6 days before.
    #[serde(rename = "7d")]
    Week,
    /// Today and the 29 days before.
    #[serde(rename = "30d")]
    Month,
    /// Today and the 89 days before.
    #[serde(rename = "90d")]
    Quarter,
    /// Everything.
    #[serde(rename = "all")]
    All,
}

impl ReportPeriod {
    fn choice(self) -> Choice {
        match self {
            Self::Day => Choice::Day,
            Self::Week => Choice::Week,
            Self::Month => Choice::Month,
            Self::Quarter => Choice::Quarter,
            Self::All => Choice::All,
        }
    }
}

/// Sums over a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// What each group is.
    by: GroupBy,
    /// The start of the period; null without one.
    from: Option<At>,
    /// The end of the period, which is outside; null means now.
    to: Option<At>,
    /// Of all calls.
    totals: SumsView,
    /// By group, the one with the most calls first. Beyond 200 groups the rest is summed up as `others`.
    groups: Vec<GroupView>,
}

/// Sums of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct SumsView {
    /// All calls.
    requests: i64,
    /// Calls that were answered completely.
    ok: i64,
    /// Calls that were not.
    failed: i64,
    /// Token counts.
    tokens: CountsView,
    /// Calls whose counts are an estimate.
    estimated: i64,
    /// Their cost in dollars.
    cost: Decimal,
    /// The median time to the first content, in milliseconds.
    first_token_p50_ms: Option<u32>,
    /// The time to the first content that 95 of 100 calls did not exceed, in milliseconds.
    first_token_p95_ms: Option<u32>,
    /// The median time to the end, in milliseconds.
    total_p50_ms: Option<u32>,
    /// The time to the end that 95 of 100 calls did not exceed, in milliseconds.
    total_p95_ms: Option<u32>,
}

impl SumsView {
    fn of(sums: &Sums) -> Self {
        Self {
            requests: sums.requests,
            ok: sums.ok,
            failed: sums.failed(),
            tokens: sums.tokens.into(),
            estimated: sums.estimated,
            cost: dollars(sums.cost_micros),
            first_token_p50_ms: sums.first_token.quantile(0.5),
            first_token_p95_ms: sums.first_token.quantile(0.95),
            total_p50_ms: sums.total.quantile(0.5),
            total_p95_ms: sums.total.quantile(0.95),
        }
    }
}

/// What a group of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Calls that reached no channel, key or upstream's model.
    None,
    /// A token.
    Token,
    /// A channel.
    Channel,
    /// A key.
    Key,
    /// A model as asked.
    Model,
    /// An upstream's model.
    Upstream,
    /// All further groups.
    Others,
}

/// A group of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// What it is.
    kind: GroupKind,
    /// The id of the token, channel or key.
    id: Option<i64>,
    /// The name of the token, channel or model, or the key's label.
    name: String,
    /// The last four characters of a key.
    last4: Option<String>,
    /// The channel of a key.
    channel: Option<NamedView>,
    /// Whether it was deleted.
    deleted: bool,
    /// Its calls.
    sums: SumsView,
    /// Its upstream calls, also those that another key or channel answered in the end; only by channel, key and
    /// upstream's model.
    attempts: Option<AttemptSums>,
}

/// Sums of upstream calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptSums {
    /// All of them.
    total: i64,
    /// Those without a usable answer.
    failed: i64,
}

impl GroupView {
    fn of(group: &Group) -> Self {
        let (kind, id, name, deleted) = match &group.name {
            GroupName::None => (GroupKind::None, None, "", false),
            GroupName::Others => (GroupKind::Others, None, "", false),
            GroupName::Token(token) => {
                (GroupKind::Token, Some(token.id.0), token.name.as_str(), token.deleted)
            }
            GroupName::Channel(channel) => {
                (GroupKind::Channel, Some(channel.id.0), channel.name.as_str(), channel.deleted)
            }
            GroupName::Key(key, _) => (GroupKind::Key, Some(key.id.0), key.label.as_str(), key.deleted),
            GroupName::Model(name) => (GroupKind::Model, None, name.as_str(), false),
            GroupName::Upstream(name) => (GroupKind::Upstream, None, name.as_str(), false),
        };
        let (last4, channel) = match &group.name {
            GroupName::Key(key, channel) => (Some(key.last4.clone()), channel.as_ref().map(channel_name)),
            _ => (None, None),
        };
        Self {
            kind,
            id,
            name: name.to_owned(),
            last4,
            channel,
            deleted,
            sums: SumsView::of(&group.sums),
            attempts: group
                .attempts
                .as_ref()
                .map(|attempts| AttemptSums { total: attempts.all(), failed: attempts.failed() }),
        }
    }
}

async fn report(asked: Asked<(), Query<ReportQuery>>) -> Result<Shown<ReportView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let ReportQuery { by, period, from, to } = asked.query.0;
    let given = from.is_some() || to.is_some();
    if given && period.is_some() {
        return Err(Refusal::at("period", "Give either `period`, or `from` and `to`."));
    }
    let choice = period.map_or(if given { Choice::Range } else { Choice::Day }, ReportPeriod::choice);
    let now = site.clock.now();
    let zone = &site.catalog.load().zone;
    let mut read = Period::read(&Fields::default(), choice, now, zone, t, &mut FieldErrors::default());
    if given {
        (read.from, read.to) = (from.map(at), to.map(at));
        if matches!((read.from, read.to), (Some(from), Some(to)) if from >= to) {
            return Err(Refusal::at("to", t.log.range_backwards()));
        }
    }
    let read = read.aligned();
    let by = by.unwrap_or(GroupBy::Token);
    let report = site.db.usage_report(read.from, read.to, by).await?;
    Ok(Shown(ReportView {
        by,
        from: read.from.map(At),
        to: read.to.map(At),
        totals: SumsView::of(&report.sums),
        groups: report.groups.iter().map(GroupView::of).collect(),
    }))
}
