//! Single calls.

use std::time::Duration;

use sqlx::AssertSqlSafe;

use super::{
    Conditions, UsageFilter, Value,
    names::{KeyName, Named},
    reader::bounded,
};
use crate::{
    model::{
        id::{ChannelId, KeyId, RequestId, TokenId},
        time::UnixMs,
        usage::{CallResult, Endpoint, OutcomeClass, TokenCounts, Units, WaitReason},
    },
    storage::{Db, StorageError, StorageResult, on},
};

/// How long a page of the log may take the database.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// A call in the usage log, with the names of what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The row's id, in the order in which calls ended.
    pub id: i64,
    /// The call.
    pub request_id: RequestId,
    /// When it arrived.
    pub at: UnixMs,
    /// Who asked.
    pub token: Named<TokenId>,
    /// The channel that served it, or that was tried last.
    pub channel: Option<Named<ChannelId>>,
    /// The key that served it, or that was tried last.
    pub key: Option<KeyName>,
    /// The model as the client named it.
    pub asked_model: String,
    /// The upstream's model that served it.
    pub served_model: Option<String>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The HTTP status that the client got; 499 if it left first.
    pub status: u16,
    /// How it ended.
    pub result: CallResult,
    /// Our own code for the error.
    pub error_code: Option<String>,
    /// Milliseconds spent waiting for a candidate that rested.
    pub queue_ms: u32,
    /// Milliseconds from arrival to the first content for the client.
    pub first_token_ms: Option<u32>,
    /// Milliseconds from arrival to the end.
    pub total_ms: u32,
    /// Token counts.
    pub tokens: TokenCounts,
    /// Whether the counts are our estimate.
    pub estimated: bool,
    /// What was used beside tokens, if anything was.
    pub units: Option<Units>,
    /// Cost in micro-dollars.
    pub cost_micros: i64,
    /// The client's address.
    pub client_address: String,
    /// What kind of client it is.
    pub client_kind: String,
    /// The trace id of a `traceparent` header.
    pub trace_id: Option<String>,
    /// How many upstream calls were made.
    pub attempt_count: u32,
}

impl UsageRow {
    /// Its place in the log.
    pub fn cursor(&self) -> Cursor {
        Cursor { at: self.at, id: self.id }
    }
}

/// One upstream call, with the names of what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// The channel.
    pub channel: Named<ChannelId>,
    /// The key.
    pub key: KeyName,
    /// The upstream's model name.
    pub model: String,
    /// Milliseconds that the call waited in line right before it.
    pub waited_ms: u32,
    /// What it waited for, if it had to.
    pub waited_for: Option<WaitReason>,
    /// Milliseconds from the call's arrival to the attempt's start.
    pub started_ms: u32,
    /// Milliseconds from the attempt's start to the upstream's first content.
    pub first_byte_ms: Option<u32>,
    /// Milliseconds that it took.
    pub duration_ms: u32,
    /// The upstream's HTTP status, if it answered.
    pub status: Option<u16>,
    /// What it was taken for.
    pub class: OutcomeClass,
    /// Why; for operators only.
    pub detail: String,
}

/// A place in the log, which is ordered by arrival: a page begins before or after it, so rows that arrive meanwhile
/// neither repeat nor hide others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: UnixMs,
    id: i64,
}

impl Cursor {
    /// The place of a row.
    pub(super) fn new(at: UnixMs, id: i64) -> Self {
        Self { at, id }
    }

    /// When the row's call arrived, and its id.
    pub(super) fn parts(self) -> (UnixMs, i64) {
        (self.at, self.id)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at.0, self.id)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('-').ok_or(())?;
        Ok(Self { at: UnixMs(at.parse().map_err(|_| ())?), id: id.parse().map_err(|_| ())? })
    }
}

/// Which part of the log to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The newest rows.
    Newest,
    /// The rows next older than a place.
    Before(Cursor),
    /// The rows next newer than a place.
    After(Cursor),
}

/// A page of the log, the newest row first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePage {
    /// The rows.
    pub rows: Vec<UsageRow>,
    /// Whether the filter finds newer rows.
    pub newer: bool,
    /// Whether the filter finds older rows.
    pub older: bool,
}

impl Db {
    /// At most `limit` rows of the log that a filter finds.
    ///
    /// Fails with [`StorageError::TooSlow`] if the database needs more than 5 seconds.
    pub async fn usage_page(
        &self,
        filter: &UsageFilter,
        place: Place,
        limit: usize,
    ) -> StorageResult<UsagePage> {
        let mut conditions = Conditions::of(filter);
        let (order, cursor) = match place {
            Place::Newest => ("DESC", None),
            Place::Before(cursor) => ("DESC", Some(("<", cursor))),
            Place::After(cursor) => ("ASC", Some((">", cursor))),
        };
        if let Some((comparison, cursor)) = cursor {
            conditions.add_place(comparison, cursor);
        }
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let sql = format!("{SELECT}{} ORDER BY u.at {order}, u.id {order} LIMIT {wanted}", conditions.sql);
        let mut query = sqlx::query_as::<_, RawRow>(AssertSqlSafe(sql));
        for value in conditions.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        let mut reader = self.bounded_reader(PAGE_LIMIT).await?;
        let found = query.fetch_all(reader.connection()).await.map_err(bounded)?;
        reader.finish().await?;

        let more = found.len() > limit;
        let mut rows =
            found.into_iter().take(limit).map(UsageRow::try_from).collect::<StorageResult<Vec<_>>>()?;
        let (newer, older) = match place {
            Place::Newest => (false, more),
            Place::Before(_) => (true, more),
            Place::After(_) => {
                rows.reverse();
                (more, true)
            }
        };
        Ok(UsagePage { rows, newer, older })
    }

    /// One call with its attempts in the order in which they were made.
    pub async fn usage_find(
        &self,
        request_id: RequestId,
    ) -> StorageResult<Option<(UsageRow, Vec<AttemptRow>)>> {
        const ATTEMPTS: &str = "SELECT a.channel_id, COALESCE(c.name, '') AS channel_name, \
             c.id IS NULL OR c.deleted_at IS NOT NULL AS channel_deleted, a.key_id, \
             COALESCE(k.label, '') AS key_label, COALESCE(k.last4, '') AS key_last4, \
             k.id IS NULL OR k.deleted_at IS NOT NULL AS key_deleted, \
             a.model, a.waited_ms, a.waited_for, a.started_ms, a.first_byte_ms, a.duration_ms, a.status, a.class, a.detail \
             FROM attempts a LEFT JOIN channels c ON c.id = a.channel_id LEFT JOIN keys k ON k.id = a.key_id \
             WHERE a.usage_id = $1 ORDER BY a.position LIMIT 1000";
        let sql = format!("{SELECT} WHERE u.request_id = $1");
        let found: Option<RawRow> = on!(self.read, |pool| sqlx::query_as(AssertSqlSafe(sql))
            .bind(&request_id.0.as_bytes()[..])
            .fetch_optional(pool))?;
        let Some(row) = found.map(UsageRow::try_from).transpose()? else { return Ok(None) };
        let attempts: Vec<RawAttempt> =
            on!(self.read, |pool| sqlx::query_as(ATTEMPTS).bind(row.id).fetch_all(pool))?;
        let attempts = attempts.into_iter().map(AttemptRow::try_from).collect::<StorageResult<_>>()?;
        Ok(Some((row, attempts)))
    }
}

/// `u` is what conditions are about, `x` the same row with its texts.
const SELECT: &str = "SELECT x.id, x.request_id, x.at, x.token_id, COALESCE(t.name, '') AS token_name, \
    t.id IS NULL OR t.deleted_at IS NOT NULL AS token_deleted, x.channel_id, COALESCE(c.name, '') AS channel_name, \
    c.id IS NULL OR c.deleted_at IS NOT NULL AS channel_deleted, x.key_id, COALESCE(k.label, '') AS key_label, \
    COALESCE(k.last4, '') AS key_last4, k.id IS NULL OR k.deleted_at IS NOT NULL AS key_deleted, \
    x.asked_model, x.served_model, x.endpoint, x.stream, x.status, x.result, x.error_code, x.queue_ms, \
    x.first_token_ms, x.total_ms, x.prompt_tokens, x.completion_tokens, x.cached_tokens, x.reasoning_tokens, \
    x.estimated, x.cost_micros, x.client_address, x.client_kind, x.trace_id, x.attempt_count, x.units \
    FROM calls u CROSS JOIN usage x ON x.id = u.id LEFT JOIN tokens t ON t.id = u.token_id \
    LEFT JOIN channels c ON c.id = u.channel_id LEFT JOIN keys k ON k.id = u.key_id";

#[derive(sqlx::FromRow)]
struct RawRow {
    id: i64,
    request_id: String,
    at: i64,
    token_id: i64,
    token_name: String,
    token_deleted: bool,
    channel_id: Option<i64>,
    channel_name: String,
    channel_deleted: bool,
    key_id: Option<i64>,
    key_label: String,
    key_last4: String,
    key_deleted: bool,
    asked_model: String,
    served_model: Option<String>,
    endpoint: String,
    stream: bool,
    status: i64,
    result: String,
    error_code: Option<String>,
    queue_ms: i64,
    first_token_ms: Option<i64>,
    total_ms: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    estimated: bool,
    cost_micros: i64,
    client_address: String,
    client_kind: String,
    trace_id: Option<String>,
    attempt_count: i64,
    units: Option<String>,
}

impl TryFrom<RawRow> for UsageRow {
    type Error = StorageError;

    fn try_from(raw: RawRow) -> StorageResult<Self> {
        let unknown = |what: &str, text: &str| {
            StorageError::Unreadable(format!("{what} `{}` of usage row {}", text.escape_debug(), raw.id))
        };
        Ok(Self {
            id: raw.id,
            request_id: raw.request_id.parse().map_err(|_| unknown("request id", &raw.request_id))?,
            at: UnixMs(raw.at),
            token: Named { id: TokenId(raw.token_id), name: raw.token_name, deleted: raw.token_deleted },
            channel: raw.channel_id.map(|id| Named {
                id: ChannelId(id),
                name: raw.channel_name,
                deleted: raw.channel_deleted,
            }),
            key: raw.key_id.map(|id| KeyName {
                id: KeyId(id),
                label: raw.key_label,
                last4: raw.key_last4,
                deleted: raw.key_deleted,
            }),
            asked_model: raw.asked_model,
            served_model: raw.served_model,
            endpoint: Endpoint::from_name(&raw.endpoint).ok_or_else(|| unknown("endpoint", &raw.endpoint))?,
            stream: raw.stream,
            status: number(raw.status),
            result: CallResult::from_name(&raw.result).ok_or_else(|| unknown("result", &raw.result))?,
            error_code: raw.error_code,
            queue_ms: number(raw.queue_ms),
            first_token_ms: raw.first_token_ms.map(number),
            total_ms: number(raw.total_ms),
            tokens: TokenCounts {
                prompt: number(raw.prompt_tokens),
                completion: number(raw.completion_tokens),
                cached: number(raw.cached_tokens),
                reasoning: number(raw.reasoning_tokens),
            },
            estimated: raw.estimated,
            units: raw.units.and_then(|text| serde_json::from_str(&text).ok()),
            cost_micros: raw.cost_micros,
            client_address: raw.client_address,
            client_kind: raw.client_kind,
            trace_id: raw.trace_id,
            attempt_count: number(raw.attempt_count),
        })
    }
}

#[derive(sqlx::FromRow)]
struct RawAttempt {
    channel_id: i64,
    channel_name: String,
    channel_deleted: bool,
    key_id: i64,
    key_label: String,
    key_last4: String,
    key_deleted: bool,
    model: String,
    waited_ms: i64,
    waited_for: Option<String>,
    started_ms: i64,
    first_byte_ms: Option<i64>,
    duration_ms: i64,
    status: Option<i64>,
    class: String,
    detail: String,
}

impl TryFrom<RawAttempt> for AttemptRow {
    type Error = StorageError;

    fn try_from(raw: RawAttempt) -> StorageResult<Self> {
        Ok(Self {
            channel: Named {
                id: ChannelId(raw.channel_id),
                name: raw.channel_name,
                deleted: raw.channel_deleted,
            },
            key: KeyName {
                id: KeyId(raw.key_id),
                label: raw.key_label,
                last4: raw.key_last4,
                deleted: raw.key_deleted,
            },
            model: raw.model,
            waited_ms: number(raw.waited_ms),
            waited_for: raw.waited_for.as_deref().and_then(WaitReason::from_name),
            started_ms: number(raw.started_ms),
            first_byte_ms: raw.first_byte_ms.map(number),
            duration_ms: number(raw.duration_ms),
            status: raw.status.map(number),
            class: OutcomeClass::from_name(&raw.class).ok_or_else(|| {
                StorageError::Unreadable(format!("class `{}` of an attempt", raw.class.escape_debug()))
            })?,
            detail: raw.detail,
        })
    }
}

/// A number of the database in the type that it was written from; what does not fit becomes 0.
pub(super) fn number<T: TryFrom<i64> + Default>(value: i64) -> T {
    T::try_from(value).unwrap_or_default()
}
