//! What sums up the usage log and is kept for good: sheets, and the sums of whole days that are made of them.
//!
//! - A *sheet* holds calls (or attempts) of one day (UTC) as columns, a number per call in each: to the quarter of an hour
//!   when it was, all that may be asked for, and all that is summed up. [`fold`] moves the log into sheets, a slice at a time
//!   and in the order of the rows' ids: `folds.folded_to` is the last row that is in one, later rows are read as they are. So
//!   every call counts once, however late its row comes.
//! - The *sums of a day* ([`days`]) are a sheet's by one dimension, of a day on the server's clock. They are only quicker to
//!   read: they are deleted in the transaction that changes a sheet of that day, and made anew afterwards.
//! - [`scan`] reads all three for a question.
//! - [`convert`] makes sheets of what older versions kept instead.

mod adding;
mod column;
mod convert;
pub(super) mod days;
pub(super) mod fold;
pub(super) mod scan;
pub(super) mod totals;

#[cfg(test)]
mod tests;

pub use fold::ROWS_AT_A_TIME;

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow, SqliteConnection};

use super::{
    StorageError, StorageResult,
    rollups::{BUCKET_MS, bin_of},
    words::Words,
};
use crate::model::usage::{CallResult, OutcomeClass};

/// Quarters of an hour in a day (UTC).
const QUARTERS: i64 = 96;

/// The numbers of a sheet's columns begin at so many times its own.
const PLACES: i64 = 32;

/// What a sheet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Calls = 0,
    Attempts = 1,
}

impl Kind {
    /// How many columns it has.
    fn columns(self) -> usize {
        match self {
            Self::Calls => CALL_COLUMNS,
            Self::Attempts => ATTEMPT_COLUMNS,
        }
    }
}

/// The column of calls and of attempts that has the quarter of the day: 0 to 95. Entries are sorted by it.
const QUARTER: usize = 0;

/// The further columns of calls. The numbers are in the database. Models, endpoints, clients and results are words; 0 is
/// "none".
mod call {
    pub const TOKEN: usize = 1;
    pub const CHANNEL: usize = 2;
    pub const KEY: usize = 3;
    pub const ASKED: usize = 4;
    pub const SERVED: usize = 5;
    pub const ENDPOINT: usize = 6;
    pub const CLIENT: usize = 7;
    pub const STATUS: usize = 8;
    pub const RESULT: usize = 9;
    pub const FLAGS: usize = 10;
    pub const PROMPT: usize = 11;
    pub const COMPLETION: usize = 12;
    pub const CACHED: usize = 13;
    pub const REASONING: usize = 14;
    pub const COST: usize = 15;
    pub const QUEUE_MS: usize = 16;
    /// The bin of the time in line, of the time to the end; of the time to the first content, plus one; 0 is "none".
    pub const QUEUE: usize = 17;
    pub const FIRST: usize = 18;
    pub const TOTAL: usize = 19;
}
const CALL_COLUMNS: usize = 20;

/// The further columns of attempts.
mod attempt {
    pub const CHANNEL: usize = 1;
    pub const KEY: usize = 2;
    pub const MODEL: usize = 3;
    pub const CLASS: usize = 4;
}
const ATTEMPT_COLUMNS: usize = 5;

/// Bits of [`call::FLAGS`].
mod flag {
    pub const STREAM: u64 = 1;
    pub const ESTIMATED: u64 = 2;
    pub const RETRIED: u64 = 4;
    /// No call, only more cost of one.
    pub const CORRECTION: u64 = 8;
}

/// A call or an attempt: a number for each column.
type Entry = Vec<u64>;

/// Entries as columns; a column that was not read is empty.
#[derive(Debug, Clone)]
struct Table {
    entries: usize,
    columns: Vec<Vec<u64>>,
}

impl Table {
    fn empty(kind: Kind) -> Self {
        Self { entries: 0, columns: vec![Vec::new(); kind.columns()] }
    }

    fn push(&mut self, entry: &[u64]) {
        self.entries += 1;
        self.columns.iter_mut().zip(entry).for_each(|(column, value)| column.push(*value));
    }

    /// Sorts the entries by quarter, if they are not; those of one quarter stay in their order.
    fn sort(&mut self) {
        if self.columns[QUARTER].is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.entries).collect();
        order.sort_by_key(|place| self.columns[QUARTER][*place]);
        for column in &mut self.columns {
            *column = order.iter().map(|place| column[*place]).collect();
        }
    }

    /// The places of the entries of some quarters of the day.
    fn range(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let quarters = &self.columns[QUARTER];
        let start = quarters.partition_point(|quarter| *quarter < from);
        start..start.max(quarters.partition_point(|quarter| *quarter < to))
    }
}

/// The place of `CallResult::Ok` in `ALL`; it is the first one.
const OK_PLACE: usize = 0;

/// Which word is which result.
#[derive(Debug, Clone)]
pub(super) struct Results {
    /// By the place in `CallResult::ALL`; 0 for what is not yet a word.
    words: Vec<u64>,
}

impl Results {
    fn of(words: &Words) -> Self {
        let word = |result: &CallResult| words.find(result.as_str()).unwrap_or(0).unsigned_abs();
        Self { words: CallResult::ALL.iter().map(word).collect() }
    }

    fn find(&self, word: u64) -> Option<usize> {
        self.words.iter().position(|known| *known == word && word > 0)
    }

    fn place(&self, word: u64) -> StorageResult<usize> {
        self.find(word).ok_or_else(|| StorageError::Unreadable(format!("result {word} of a sheet")))
    }

    fn word(&self, place: usize) -> u64 {
        self.words.get(place).copied().unwrap_or(0)
    }
}

/// Which word is which class of attempts.
pub(super) fn classes_of(words: &Words) -> HashMap<u64, OutcomeClass> {
    let word = |class: &OutcomeClass| Some((words.find(class.as_str())?.unsigned_abs(), *class));
    OutcomeClass::ALL.iter().filter_map(word).collect()
}

/// A row of the log, as far as sheets know of it.
#[derive(FromRow)]
struct CallRow {
    id: i64,
    at: i64,
    token_id: i64,
    channel_id: i64,
    key_id: i64,
    /// A word; 0 if it is a made-up name.
    asked_word: i64,
    made_up: String,
    served_model: i64,
    endpoint: i64,
    client_kind: i64,
    stream: bool,
    status: i64,
    result: i64,
    estimated: bool,
    attempt_count: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    cost_micros: i64,
    queue_ms: i64,
    first_token_ms: Option<i64>,
    total_ms: i64,
}

const CALL_ROW: &str = "SELECT id, at, token_id, COALESCE(channel_id, 0) AS channel_id, COALESCE(key_id, 0) AS key_id, \
    CASE typeof(asked_model) WHEN 'integer' THEN asked_model ELSE 0 END AS asked_word, \
    CASE typeof(asked_model) WHEN 'integer' THEN '' ELSE asked_model END AS made_up, \
    COALESCE(served_model, 0) AS served_model, endpoint, client_kind, stream, status, result, estimated, attempt_count, \
    prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_micros, queue_ms, first_token_ms, total_ms \
    FROM calls";

impl CallRow {
    /// The quarter of an hour since 1970 in which it arrived.
    fn quarter(&self) -> i64 {
        self.at.div_euclid(BUCKET_MS)
    }

    /// Its entry. `asked` is the number of the model's name.
    fn entry(&self, asked: u64) -> Entry {
        let number = |value: i64| value.max(0).unsigned_abs();
        let bin = |ms: i64| bin_of(u32::try_from(ms.max(0)).unwrap_or(u32::MAX)) as u64;
        let mut entry = vec![0; CALL_COLUMNS];
        entry[QUARTER] = number(self.quarter().rem_euclid(QUARTERS));
        entry[call::TOKEN] = number(self.token_id);
        entry[call::CHANNEL] = number(self.channel_id);
        entry[call::KEY] = number(self.key_id);
        entry[call::ASKED] = asked;
        entry[call::SERVED] = number(self.served_model);
        entry[call::ENDPOINT] = number(self.endpoint);
        entry[call::CLIENT] = number(self.client_kind);
        entry[call::STATUS] = number(self.status);
        entry[call::RESULT] = number(self.result);
        entry[call::FLAGS] = if self.stream { flag::STREAM } else { 0 }
            | if self.estimated { flag::ESTIMATED } else { 0 }
            | if self.attempt_count > 1 { flag::RETRIED } else { 0 };
        entry[call::PROMPT] = number(self.prompt_tokens);
        entry[call::COMPLETION] = number(self.completion_tokens);
        entry[call::CACHED] = number(self.cached_tokens);
        entry[call::REASONING] = number(self.reasoning_tokens);
        entry[call::COST] = number(self.cost_micros);
        entry[call::QUEUE_MS] = number(self.queue_ms);
        entry[call::QUEUE] = bin(self.queue_ms);
        entry[call::FIRST] = self.first_token_ms.map_or(0, |ms| bin(ms) + 1);
        entry[call::TOTAL] = bin(self.total_ms);
        entry
    }
}

/// An attempt, as far as sheets know of it.
#[derive(FromRow)]
struct AttemptRow {
    /// When it began.
    at: i64,
    channel_id: i64,
    key_id: i64,
    model: i64,
    class: i64,
}

const ATTEMPT_ROW: &str = "SELECT c.at + a.started_ms AS at, a.channel_id, a.key_id, a.model, a.class \
    FROM calls c JOIN call_attempts a ON a.call_id = c.id";

impl AttemptRow {
    fn quarter(&self) -> i64 {
        self.at.div_euclid(BUCKET_MS)
    }

    fn entry(&self) -> Entry {
        let number = |value: i64| value.max(0).unsigned_abs();
        let mut entry = vec![0; ATTEMPT_COLUMNS];
        entry[QUARTER] = number(self.quarter().rem_euclid(QUARTERS));
        entry[attempt::CHANNEL] = number(self.channel_id);
        entry[attempt::KEY] = number(self.key_id);
        entry[attempt::MODEL] = number(self.model);
        entry[attempt::CLASS] = number(self.class);
        entry
    }
}

/// Up to which row the sheets hold the log.
async fn folded_to(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT folded_to FROM folds WHERE id = 1").fetch_one(connection).await
}

/// `(1, 2, 3)`.
fn list<T: ToString>(values: &[T]) -> String {
    format!("({})", values.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
}

/// The columns of one sheet.
async fn read_sheet(
    connection: &mut SqliteConnection,
    kind: Kind,
    id: i64,
    entries: usize,
) -> StorageResult<Table> {
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id - $1, data FROM sheet_columns WHERE id >= $1 AND id < $2 ORDER BY id")
            .bind(id * PLACES)
            .bind((id + 1) * PLACES)
            .fetch_all(connection)
            .await?;
    let mut table = Table { entries, ..Table::empty(kind) };
    for (place, data) in rows {
        let column = usize::try_from(place).ok().and_then(|place| table.columns.get_mut(place));
        let column =
            column.ok_or_else(|| StorageError::Unreadable(format!("column {place} of sheet {id}")))?;
        *column = column::decode(&data, entries)?;
    }
    if table.columns.iter().any(|column| column.len() != entries) {
        return Err(StorageError::Unreadable(format!("sheet {id} lacks columns")));
    }
    Ok(table)
}

/// How many entries the sheets of some days (UTC) have: it changes whenever one of them does.
async fn entries_of(connection: &mut SqliteConnection, days: std::ops::Range<i64>) -> StorageResult<i64> {
    let sql = "SELECT CAST(COALESCE(SUM(entries), 0) AS BIGINT) FROM sheets WHERE kind IN (0, 1) AND day >= $1 AND day < $2";
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(days.start).bind(days.end).fetch_one(connection).await?)
}
