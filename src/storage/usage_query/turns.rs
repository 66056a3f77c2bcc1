//! Turns: the calls of one token with the same trace id, which an agent makes to answer one message.

use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{
    Conditions, UsageFilter, Value,
    names::Named,
    reader::bounded,
    rows::{Cursor, Place, number},
    trace_bytes,
};
use crate::{
    model::{
        id::TokenId,
        time::UnixMs,
        usage::{CallResult, TokenCounts},
    },
    storage::{Db, StorageError, StorageResult},
};

/// How long a page of turns may take the database.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

/// The most calls of a turn that are summed up: a client may give all its calls one trace id.
pub const MAX_CALLS: u32 = 1000;

/// The most models of a turn that are named.
pub const MAX_MODELS: usize = 8;

/// A turn and the sums of its calls; of more than [`MAX_CALLS`] the newest count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who asked.
    pub token: Named<TokenId>,
    /// The trace id that its calls share: 32 hexadecimal digits.
    pub trace_id: String,
    /// When its first call arrived.
    pub started_at: UnixMs,
    /// When its last call ended.
    pub ended_at: UnixMs,
    /// How many calls it has, at most [`MAX_CALLS`].
    pub calls: u32,
    /// Whether it has more.
    pub more: bool,
    /// How many of them were not answered completely.
    pub failed: u32,
    /// The models as asked, in the order of their first calls, each once, at most [`MAX_MODELS`].
    pub models: Vec<String>,
    /// How many further models were asked.
    pub more_models: usize,
    /// What kind of client it is.
    pub client_kind: String,
    /// Token counts.
    pub tokens: TokenCounts,
    /// Whether some of the counts are our estimate.
    pub estimated: bool,
    /// Cost in micro-dollars.
    pub cost_micros: i64,
    /// The status of the call that ended last.
    pub status: u16,
    /// How that call ended.
    pub result: CallResult,
    /// Its place in the list of turns.
    pub cursor: Cursor,
}

impl Turn {
    /// Milliseconds from the arrival of its first call to the end of its last.
    pub fn duration_ms(&self) -> u32 {
        u32::try_from(self.ended_at.0.saturating_sub(self.started_at.0).max(0)).unwrap_or(u32::MAX)
    }
}

/// A page of turns, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnPage {
    /// The turns.
    pub turns: Vec<Turn>,
    /// Whether the filter finds newer ones.
    pub newer: bool,
    /// Whether the filter finds older ones.
    pub older: bool,
}

impl Db {
    /// At most `limit` turns of which a call is one that the filter finds. A turn stands where that of these calls is
    /// which ended last; its sums are of all its calls.
    ///
    /// Fails with [`StorageError::TooSlow`] if the database needs more than 5 seconds.
    pub async fn turn_page(
        &self,
        filter: &UsageFilter,
        place: Place,
        limit: usize,
    ) -> StorageResult<TurnPage> {
        let mut conditions = Conditions::of(filter);
        // The same conditions on the later calls of a turn; their values are bound once for both.
        let later = conditions.sql.replacen(" WHERE ", " AND ", 1).replace("u.", "n.");
        let (order, cursor) = match place {
            Place::Newest => ("DESC", None),
            Place::Before(cursor) => ("DESC", Some(("<", cursor))),
            Place::After(cursor) => ("ASC", Some((">", cursor))),
        };
        if let Some((comparison, cursor)) = cursor {
            conditions.add_place(comparison, cursor);
        }
        conditions.add_plain("u.trace_id IS NOT NULL");
        conditions.add_plain(&format!(
            "NOT EXISTS (SELECT 1 FROM calls n INDEXED BY calls_trace WHERE n.trace_id IS NOT NULL \
             AND substr(n.trace_id, -4) = substr(u.trace_id, -4) AND n.id > u.id AND n.trace_id = u.trace_id \
             AND n.token_id = u.token_id{later})"
        ));
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let sql = format!(
            "SELECT u.at, u.id, \
             CASE typeof(u.trace_id) WHEN 'blob' THEN lower(hex(u.trace_id)) ELSE u.trace_id END AS trace_id, u.token_id, COALESCE(t.name, '') AS token_name, \
             t.id IS NULL OR t.deleted_at IS NOT NULL AS token_deleted \
             FROM calls u LEFT JOIN tokens t ON t.id = u.token_id{} ORDER BY u.at {order}, u.id {order} LIMIT {wanted}",
            conditions.sql
        );
        let mut query = sqlx::query_as::<_, RawHead>(AssertSqlSafe(sql));
        for value in conditions.values {
            query = match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
            };
        }
        let mut reader = self.bounded_reader(PAGE_LIMIT).await?;
        let mut heads = query.fetch_all(reader.connection()).await.map_err(bounded)?;
        let more = heads.len() > limit;
        heads.truncate(limit);
        let (newer, older) = match place {
            Place::Newest => (false, more),
            Place::Before(_) => (true, more),
            Place::After(_) => {
                heads.reverse();
                (more, true)
            }
        };
        let mut turns = Vec::with_capacity(heads.len());
        for head in heads {
            // The retention may have deleted it meanwhile.
            turns.extend(sum(reader.connection(), head.into()).await?);
        }
        reader.finish().await?;
        Ok(TurnPage { turns, newer, older })
    }

    /// A turn of a token, deleted or not, by the trace id of its calls; `None` if the log has no such call.
    ///
    /// Fails with [`StorageError::TooSlow`] if the database needs more than 5 seconds.
    pub async fn find_turn(&self, token: TokenId, trace_id: &str) -> StorageResult<Option<Turn>> {
        const NAME: &str = "SELECT COALESCE(MAX(name), ''), COUNT(*) = 0 OR MAX(deleted_at) IS NOT NULL FROM tokens WHERE id = $1";
        let mut reader = self.bounded_reader(PAGE_LIMIT).await?;
        let (token_name, token_deleted) =
            sqlx::query_as(NAME).bind(token.0).fetch_one(reader.connection()).await.map_err(bounded)?;
        let token = Named { id: token, name: token_name, deleted: token_deleted };
        let head = Head { place: None, trace_id: trace_id.to_owned(), token };
        let turn = sum(reader.connection(), head).await?;
        reader.finish().await?;
        Ok(turn)
    }
}

#[derive(sqlx::FromRow)]
struct RawHead {
    at: i64,
    id: i64,
    trace_id: String,
    token_id: i64,
    token_name: String,
    token_deleted: bool,
}

/// Whose turn to sum up.
struct Head {
    /// Its place in the list, if that is not where its last call is.
    place: Option<Cursor>,
    trace_id: String,
    token: Named<TokenId>,
}

impl From<RawHead> for Head {
    fn from(raw: RawHead) -> Self {
        Self {
            place: Some(Cursor::new(UnixMs(raw.at), raw.id)),
            trace_id: raw.trace_id,
            token: Named { id: TokenId(raw.token_id), name: raw.token_name, deleted: raw.token_deleted },
        }
    }
}

#[derive(sqlx::FromRow)]
struct RawCall {
    id: i64,
    at: i64,
    total_ms: i64,
    asked_model: String,
    status: i64,
    result: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    estimated: bool,
    cost_micros: i64,
    client_kind: String,
}

/// Sums up a turn's calls, from the one that ended last backwards.
async fn sum(connection: &mut SqliteConnection, head: Head) -> StorageResult<Option<Turn>> {
    // The plus: see `Conditions::of`.
    const CALLS: &str = "SELECT x.id, x.at, x.total_ms, x.asked_model, x.status, x.result, x.prompt_tokens, \
         x.completion_tokens, x.cached_tokens, x.reasoning_tokens, x.estimated, x.cost_micros, x.client_kind \
         FROM calls u INDEXED BY calls_trace CROSS JOIN usage x ON x.id = u.id \
         WHERE u.trace_id IS NOT NULL AND substr(u.trace_id, -4) = substr($2, -4) AND +u.trace_id = $2 \
         AND u.token_id = $1 ORDER BY u.id DESC LIMIT $3";
    let query = sqlx::query_as(CALLS).bind(head.token.id.0);
    let query = match trace_bytes(&head.trace_id) {
        Some(bytes) => query.bind(bytes),
        None => query.bind(head.trace_id.clone()),
    };
    let mut calls: Vec<RawCall> =
        query.bind(i64::from(MAX_CALLS) + 1).fetch_all(connection).await.map_err(bounded)?;
    let more = calls.len() > MAX_CALLS as usize;
    calls.truncate(MAX_CALLS as usize);
    let Some(last) = calls.first() else { return Ok(None) };
    let result = |call: &RawCall| {
        CallResult::from_name(&call.result).ok_or_else(|| {
            StorageError::Unreadable(format!("result `{}` of a usage row", call.result.escape_debug()))
        })
    };
    let mut turn = Turn {
        token: head.token,
        trace_id: head.trace_id,
        started_at: UnixMs(last.at),
        ended_at: UnixMs(last.at),
        calls: number(i64::try_from(calls.len()).unwrap_or(i64::MAX)),
        more,
        failed: 0,
        models: Vec::new(),
        more_models: 0,
        client_kind: last.client_kind.clone(),
        tokens: TokenCounts::default(),
        estimated: false,
        cost_micros: 0,
        status: number(last.status),
        result: result(last)?,
        cursor: head.place.unwrap_or_else(|| Cursor::new(UnixMs(last.at), last.id)),
    };
    for call in &calls {
        turn.failed += u32::from(result(call)? != CallResult::Ok);
        turn.started_at.0 = turn.started_at.0.min(call.at);
        turn.ended_at.0 = turn.ended_at.0.max(call.at.saturating_add(call.total_ms));
        let add = |sum: &mut u64, more: i64| *sum = sum.saturating_add(more.max(0).unsigned_abs());
        add(&mut turn.tokens.prompt, call.prompt_tokens);
        add(&mut turn.tokens.completion, call.completion_tokens);
        add(&mut turn.tokens.cached, call.cached_tokens);
        add(&mut turn.tokens.reasoning, call.reasoning_tokens);
        turn.estimated |= call.estimated;
        turn.cost_micros = turn.cost_micros.saturating_add(call.cost_micros);
    }
    calls.sort_by_key(|call| call.at);
    for call in calls {
        if !turn.models.iter().any(|model| model.eq_ignore_ascii_case(&call.asked_model)) {
            turn.models.push(call.asked_model);
        }
    }
    turn.more_models = turn.models.len().saturating_sub(MAX_MODELS);
    turn.models.truncate(MAX_MODELS);
    Ok(Some(turn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::UsageRecord,
        storage::recording::tests::{open, record},
        storage::usage_query::fixtures,
    };

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn call(n: u32, at_s: i64, trace: Option<&str>) -> UsageRecord {
        UsageRecord {
            at: UnixMs(1_800_000_000_000 + at_s * 1000),
            total_ms: 900,
            cost_micros: 10,
            trace_id: trace.map(str::to_owned),
            ..record(n)
        }
    }

    /// A trace id that ends like [`TRACE`].
    fn alike() -> String {
        format!("ffff{}", &TRACE[4..])
    }

    async fn world(folder: &tempfile::TempDir, calls: &[UsageRecord]) -> Db {
        let db = open(folder.path()).await;
        fixtures::names(&db).await;
        db.insert_usage(calls).await.unwrap();
        db
    }

    #[tokio::test]
    async fn calls_of_one_token_with_one_trace_id_are_a_turn_with_their_sums() {
        let folder = tempfile::tempdir().unwrap();
        let failed = UsageRecord { result: CallResult::Timeout, status: 504, ..call(3, 5, Some(TRACE)) };
        let other_token = UsageRecord { token_id: TokenId(2), ..call(4, 6, Some(TRACE)) };
        let other_model = UsageRecord { asked_model: "other".into(), ..call(5, 9, Some(TRACE)) };
        let calls = [
            call(1, 0, Some(TRACE)),
            call(2, 3, None),
            failed,
            other_token,
            other_model,
            call(6, 7, Some(&alike())),
        ];
        let db = world(&folder, &calls).await;
        let page = db.turn_page(&UsageFilter::default(), Place::Newest, 10).await.unwrap();
        assert_eq!((page.turns.len(), page.newer, page.older), (3, false, false));
        let turn = &page.turns[0];
        assert_eq!((turn.token.name.as_str(), turn.trace_id.as_str()), ("laptop", TRACE));
        assert_eq!((turn.calls, turn.failed, turn.more), (3, 1, false));
        assert_eq!(turn.duration_ms(), 9900);
        assert_eq!(turn.models, ["Llama", "other"]);
        assert_eq!((turn.status, turn.result), (calls[4].status, calls[4].result), "as its last call ended");
        assert_eq!((turn.cost_micros, turn.tokens.prompt), (30, 3 * calls[0].tokens.prompt));
        assert_eq!(page.turns[1].trace_id, alike());
        assert_eq!(page.turns[2].token.name, "old phone");
        assert_eq!(db.find_turn(TokenId(1), TRACE).await.unwrap().as_ref(), Some(turn));
        assert_eq!(db.find_turn(TokenId(3), TRACE).await.unwrap(), None);
    }

    #[tokio::test]
    async fn turns_are_paged_without_one_twice_and_a_filter_finds_the_whole_turn_by_one_call() {
        let folder = tempfile::tempdir().unwrap();
        let trace = |n: u32| format!("{n:032x}");
        // Turn n has three calls; those of neighbours overlap.
        let calls: Vec<_> = (1..=5)
            .flat_map(|n| (0..3).map(move |k| (n, k)))
            .map(|(n, k)| {
                let mut call = call(n * 10 + k, i64::from(n * 2 + k), Some(&trace(n)));
                if n == 2 && k == 0 {
                    call.result = CallResult::Timeout;
                }
                call
            })
            .collect();
        let db = world(&folder, &calls).await;
        let any = UsageFilter::default();
        let names = |page: &TurnPage| page.turns.iter().map(|turn| turn.trace_id.clone()).collect::<Vec<_>>();
        let first = db.turn_page(&any, Place::Newest, 2).await.unwrap();
        assert_eq!((names(&first), first.older), (vec![trace(5), trace(4)], true));
        let second = db.turn_page(&any, Place::Before(first.turns[1].cursor), 2).await.unwrap();
        assert_eq!((names(&second), second.newer, second.older), (vec![trace(3), trace(2)], true, true));
        let last = db.turn_page(&any, Place::Before(second.turns[1].cursor), 2).await.unwrap();
        assert_eq!((names(&last), last.older), (vec![trace(1)], false));
        let back = db.turn_page(&any, Place::After(last.turns[0].cursor), 2).await.unwrap();
        assert_eq!(names(&back), names(&second));
        let failed = UsageFilter { result: Some(super::super::ResultFilter::Failed), ..any };
        let found = db.turn_page(&failed, Place::Newest, 2).await.unwrap();
        assert_eq!((names(&found), found.turns[0].calls), (vec![trace(2)], 3));
    }

    #[tokio::test]
    async fn a_turn_of_very_many_calls_counts_its_newest() {
        let folder = tempfile::tempdir().unwrap();
        let calls: Vec<_> = (1..=MAX_CALLS + 5).map(|n| call(n, i64::from(n), Some(TRACE))).collect();
        let db = world(&folder, &calls).await;
        let turn = db.find_turn(TokenId(1), TRACE).await.unwrap().unwrap();
        assert_eq!((turn.calls, turn.more), (MAX_CALLS, true));
        assert_eq!(turn.started_at, calls[5].at);
    }

    #[tokio::test]
    async fn no_question_for_turns_reads_calls_without_a_trace_id() {
        let folder = tempfile::tempdir().unwrap();
        let db = world(&folder, &[call(1, 0, Some(TRACE))]).await;
        let plan = |sql: &'static str| {
            let db = db.clone();
            async move {
                let plan: Vec<(i64, i64, i64, String)> = crate::storage::on!(db.read, |pool| {
                    sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(pool)
                })
                .unwrap();
                plan.into_iter().map(|(.., line)| line).collect::<Vec<_>>().join("\n")
            }
        };
        let list = plan(
            "SELECT u.id FROM calls u WHERE u.at >= 0 AND u.trace_id IS NOT NULL ORDER BY u.at DESC, u.id DESC LIMIT 50",
        )
        .await;
        assert!(list.contains("calls_traced_at") && !list.contains("B-TREE"), "{list}");
        let one = plan(
            "SELECT u.id FROM calls u WHERE u.trace_id IS NOT NULL AND substr(u.trace_id, -4) = substr(x'ab', -4) \
             AND +u.trace_id = x'ab' AND +u.token_id = 1 ORDER BY u.at DESC, u.id DESC LIMIT 50",
        )
        .await;
        assert!(one.contains("calls_trace (<expr>"), "{one}");
    }
}
