//! The usage log: calls, and one call with its attempts. Sums are in `usage_report`.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::Result,
    shapes::{At, Page, dollars, unknown_cursor},
};
use crate::{
    error::Error,
    i18n::Messages,
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        time::UnixMs,
        usage::{CallResult, Endpoint as Called, OutcomeClass, TokenCounts, WaitReason, trace_id},
    },
    pool::{
        input::{Decimal, Faults},
        rules::optional_time,
    },
    storage::usage_query::{
        ResultFilter, UsageFilter,
        names::{KeyName, Named},
        rows::{AttemptRow, Cursor, Place, UsageRow},
    },
    web::admin::log::status_range,
};

/// The longest text of a filter, in characters; models' names are at most this long.
pub(super) const MAX_CHARS: usize = 200;

/// What a status looks like.
pub(super) const STATUS_SHAPE: &str = "Use a status such as `429`, or a class of them such as `4xx`.";

/// When the database gives up.
pub(super) const TOO_SLOW: &str = "The question takes the database too long; narrow it down.";

/// The endpoints of this file, and the report.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/usage", "List calls", list)
            .about("The newest first. No prompt and no answer is kept.")
            .fails(StatusCode::SERVICE_UNAVAILABLE, TOO_SLOW),
        super::usage_report::endpoint(),
        super::turns::endpoint(),
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
    #[serde(default, deserialize_with = "optional_time")]
    from: Option<jiff::Timestamp>,
    /// Calls that arrived before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional_time")]
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
    /// The trace id: 32 hexadecimal digits.
    trace_id: Option<String>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub(super) limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    cursor: Option<String>,
}

impl UsageQuery {
    /// Where the answer begins.
    pub(super) fn place(&self) -> Result<Place> {
        Ok(match &self.cursor {
            Some(cursor) => Place::Before(cursor.parse::<Cursor>().map_err(|()| unknown_cursor())?),
            None => Place::Newest,
        })
    }

    pub(super) fn filter(&self, t: Messages) -> Result<UsageFilter, Faults> {
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
        let result = result_filter(self.result.as_deref(), &mut faults);
        let status = self.status.as_deref().and_then(|text| {
            let range = status_range(text);
            if range.is_none() {
                faults.add("status", STATUS_SHAPE);
            }
            range
        });
        let trace = self.trace_id.as_deref().and_then(|text| {
            let trace = trace_id(text);
            if trace.is_none() {
                faults.add("trace_id", t.log.trace_unreadable());
            }
            trace
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
            trace,
        })
    }
}

/// Which ends of a call a text means.
pub(super) fn result_filter(text: Option<&str>, faults: &mut Faults) -> Option<ResultFilter> {
    match text? {
        "failed" => Some(ResultFilter::Failed),
        name => {
            let result = CallResult::from_name(name).map(ResultFilter::Is);
            if result.is_none() {
                faults.add("result", "Use `failed`, or a result as calls have it, such as `timeout`.");
            }
            result
        }
    }
}

/// A time that was sent.
pub(super) fn at(timestamp: jiff::Timestamp) -> UnixMs {
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

pub(super) fn token_name(token: &Named<TokenId>) -> NamedView {
    NamedView { id: token.id.0, name: token.name.clone(), deleted: token.deleted }
}

pub(super) fn channel_name(channel: &Named<ChannelId>) -> NamedView {
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
    /// Milliseconds spent waiting in line, before and between attempts.
    queue_ms: u32,
    /// Milliseconds from arrival to the first content for the client.
    first_token_ms: Option<u32>,
    /// Milliseconds from arrival to the end.
    total_ms: u32,
    /// Token counts.
    tokens: CountsView,
    /// Whether the counts are an estimate.
    estimated: bool,
    /// What was used beside tokens; null if nothing was.
    units: Option<crate::model::usage::Units>,
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
            units: row.units.clone(),
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
    /// Milliseconds that the call waited in line right before it.
    waited_ms: u32,
    /// What it waited for; null if it did not.
    waited_for: Option<WaitReason>,
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
            waited_ms: attempt.waited_ms,
            waited_for: attempt.waited_for,
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
    let place = query.place()?;
    let page = asked.site.db.usage_page(&filter, place, limit).await?;
    let next = page.rows.last().filter(|_| page.older).map(|row| row.cursor().to_string());
    Ok(Shown(CallList { items: page.rows.iter().map(CallView::of).collect(), next }))
}

async fn show(asked: Asked<RequestId>) -> Result<Shown<CallDetails>> {
    let (row, attempts) = asked.site.db.usage_find(asked.path).await?.ok_or(Error::NotFound)?;
    let attempts = attempts.iter().map(AttemptView::of).collect();
    Ok(Shown(CallDetails { call: CallView::of(&row), attempts }))
}
