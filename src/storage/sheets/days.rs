//! The sums of whole days on the server's clock, by one dimension each: quicker to read than the sheets that they are made of.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use jiff::tz::TimeZone;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use super::{
    Kind, QUARTERS, Results, Table,
    adding::Calls,
    attempt, call, entries_of, list, read_sheet,
    totals::{self, Totals},
};
use crate::{
    model::time::UnixMs,
    storage::{Db, Engine, StorageError, StorageResult, WriteTransaction, rollups::BUCKET_MS},
};

const DAY_MS: i64 = QUARTERS * BUCKET_MS;

/// The longest day on any clock: a day on which clocks go back, and some more.
const LONGEST_MS: i64 = 2 * DAY_MS;

/// What the sums of a day are by. The numbers are in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::storage) enum Dimension {
    /// One group, 0.
    All = 0,
    Token = 1,
    Channel = 2,
    Key = 3,
    Model = 4,
    Upstream = 5,
    Endpoint = 6,
    Client = 7,
    Status = 8,
}

impl Dimension {
    const ALL: [Self; 9] = [
        Self::All,
        Self::Token,
        Self::Channel,
        Self::Key,
        Self::Model,
        Self::Upstream,
        Self::Endpoint,
        Self::Client,
        Self::Status,
    ];

    /// The column of calls that has the group; `None` if there is one group only.
    pub(super) fn column(self) -> Option<usize> {
        Some(match self {
            Self::All => return None,
            Self::Token => call::TOKEN,
            Self::Channel => call::CHANNEL,
            Self::Key => call::KEY,
            Self::Model => call::ASKED,
            Self::Upstream => call::SERVED,
            Self::Endpoint => call::ENDPOINT,
            Self::Client => call::CLIENT,
            Self::Status => call::STATUS,
        })
    }

    /// The column of attempts that has the group, if attempts know of it.
    pub(super) fn attempt_column(self) -> Option<usize> {
        match self {
            Self::Channel => Some(attempt::CHANNEL),
            Self::Key => Some(attempt::KEY),
            Self::Upstream => Some(attempt::MODEL),
            _ => None,
        }
    }

    /// Whether attempts know of it.
    pub(in crate::storage) fn attempt_column_known(self) -> bool {
        self.attempt_column().is_some()
    }

    /// The number of a day's sums of calls.
    pub(super) fn of_calls(self) -> i64 {
        self as i64
    }

    /// The number of a day's sums of attempts.
    pub(super) fn of_attempts(self) -> i64 {
        20 + self as i64
    }
}

/// Every number in the table.
fn numbers() -> Vec<i64> {
    let attempts = Dimension::ALL.into_iter().filter(|by| by.attempt_column().is_some());
    Dimension::ALL.into_iter().map(Dimension::of_calls).chain(attempts.map(Dimension::of_attempts)).collect()
}

/// Deletes the sums of the days that have a part of a time, in milliseconds.
pub(super) async fn forget(tx: &mut WriteTransaction, from: i64, until: i64) -> StorageResult<()> {
    let sql = format!(
        "DELETE FROM day_sums WHERE dimension IN {} AND start > $1 AND start < $2 AND until > $3",
        list(&numbers())
    );
    sqlx::query(AssertSqlSafe(sql))
        .bind(from.saturating_sub(LONGEST_MS))
        .bind(until)
        .bind(from)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The start and the end of a day on a clock, if they lie at quarters of an hour, as in every zone of today.
fn borders(day: jiff::civil::Date, zone: &TimeZone) -> Option<Range<i64>> {
    let start = |day: jiff::civil::Date| {
        let start = day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond();
        (start.rem_euclid(BUCKET_MS) == 0).then_some(start)
    };
    let (start, end) = (start(day)?, start(day.tomorrow().ok()?)?);
    (start < end && end - start < LONGEST_MS).then_some(start..end)
}

impl Db {
    /// Makes the sums of one more day that is over and has none, the latest first, and says whether there was one. Those of
    /// another clock than `zone`'s are deleted. The rows of the log must be in sheets by then.
    pub async fn sum_up_day(&self, now: UnixMs, zone: &TimeZone) -> StorageResult<bool> {
        let Engine::Sqlite(pool) = &self.read;
        let mut connection = pool.acquire().await?;
        let mut snapshot = connection.begin().await?;
        let sheets: Vec<i64> =
            sqlx::query_scalar("SELECT DISTINCT day FROM sheets WHERE kind IN (0, 1) ORDER BY day DESC")
                .fetch_all(&mut *snapshot)
                .await?;
        let done: Vec<(i64, i64)> = sqlx::query_as("SELECT start, until FROM day_sums WHERE dimension = 0")
            .fetch_all(&mut *snapshot)
            .await?;
        let done: HashMap<i64, i64> = done.into_iter().collect();
        let mut wrong = Vec::new();
        for (start, until) in &done {
            let day = UnixMs(*start).zoned(zone).date();
            if borders(day, zone) != Some(*start..*until) {
                wrong.push(*start);
            }
        }
        if !wrong.is_empty() {
            drop(snapshot);
            let sql = format!(
                "DELETE FROM day_sums WHERE dimension IN {} AND start IN {}",
                list(&numbers()),
                list(&wrong)
            );
            let mut tx = self.begin().await?;
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
            tx.commit().await?;
            return Ok(true);
        }
        let next = sheets.iter().flat_map(|day| {
            // A day (UTC) has parts of two or three days of another clock.
            let ends = [(day + 1) * DAY_MS - 1, day * DAY_MS];
            ends.map(|at| UnixMs(at).zoned(zone).date())
        });
        let next = next
            .filter_map(|day| borders(day, zone))
            .find(|borders| borders.end <= now.0 && !done.contains_key(&borders.start));
        let Some(borders) = next else { return Ok(false) };
        self.words.refresh(&mut snapshot).await?;
        let days = borders.start.div_euclid(DAY_MS)..(borders.end - 1).div_euclid(DAY_MS) + 1;
        let entries = entries_of(&mut snapshot, days.clone()).await?;
        let sums = sums_of(&mut snapshot, &borders, days.clone(), Results::of(&self.words)).await?;
        snapshot.commit().await?;
        drop(connection);

        let mut tx = self.begin().await?;
        if entries_of(&mut tx, days).await? != entries {
            // Something was added meanwhile: the next time.
            return Ok(true);
        }
        for (number, data) in sums {
            sqlx::query(
                "INSERT OR REPLACE INTO day_sums (dimension, start, until, data) VALUES ($1, $2, $3, $4)",
            )
            .bind(number)
            .bind(borders.start)
            .bind(borders.end)
            .bind(data)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// A day's sums by every dimension, read from its sheets.
async fn sums_of(
    connection: &mut SqliteConnection,
    borders: &Range<i64>,
    days: Range<i64>,
    results: Results,
) -> StorageResult<Vec<(i64, Vec<u8>)>> {
    let sheets: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT id, kind, day, entries FROM sheets WHERE kind IN (0, 1) AND day >= $1 AND day < $2 ORDER BY id",
    )
    .bind(days.start)
    .bind(days.end)
    .fetch_all(&mut *connection)
    .await?;
    let mut sums = Sums::default();
    for (id, kind, day, entries) in sheets {
        let kind = if kind == Kind::Calls as i64 { Kind::Calls } else { Kind::Attempts };
        let table = read_sheet(connection, kind, id, entries.unsigned_abs() as usize).await?;
        let quarter = |at: i64| (at / BUCKET_MS - day * QUARTERS).clamp(0, QUARTERS).unsigned_abs();
        let (from, to) = (quarter(borders.start), quarter(borders.end));
        let results = results.clone();
        sums = blocking(move || sums.add(kind, &table, from, to, &results)).await?;
    }
    blocking(move || Ok(sums.encode(&results))).await
}

/// Does what takes long where that holds nobody up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StorageResult<T> + Send + 'static,
) -> StorageResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StorageError::Unreadable(error.to_string())))
}

#[derive(Default)]
struct Sums {
    calls: BTreeMap<Dimension, HashMap<u64, Totals>>,
    attempts: BTreeMap<Dimension, HashMap<u64, BTreeMap<u64, u64>>>,
}

impl Sums {
    fn add(
        mut self,
        kind: Kind,
        table: &Table,
        from: u64,
        to: u64,
        results: &Results,
    ) -> StorageResult<Self> {
        for by in Dimension::ALL {
            match kind {
                Kind::Calls => {
                    let (groups, calls) = (self.calls.entry(by).or_default(), Calls::of(table));
                    for place in table.range(from, to) {
                        let group = by.column().map_or(0, |column| table.columns[column][place]);
                        calls.add(place, groups.entry(group).or_default(), results)?;
                    }
                }
                Kind::Attempts => {
                    let Some(column) = by.attempt_column() else { continue };
                    let groups = self.attempts.entry(by).or_default();
                    for place in table.range(from, to) {
                        let classes = groups.entry(table.columns[column][place]).or_default();
                        *classes.entry(table.columns[attempt::CLASS][place]).or_default() += 1;
                    }
                }
            }
        }
        Ok(self)
    }

    fn encode(&self, results: &Results) -> Vec<(i64, Vec<u8>)> {
        let mut sums = Vec::new();
        let (no_calls, no_attempts) = (HashMap::new(), HashMap::new());
        for by in Dimension::ALL {
            let groups = self.calls.get(&by).unwrap_or(&no_calls);
            let groups = groups.iter().map(|(id, totals)| (*id, totals));
            sums.push((by.of_calls(), totals::encode(groups, &|place| results.word(place))));
            if by.attempt_column().is_some() {
                let groups = self.attempts.get(&by).unwrap_or(&no_attempts);
                let groups: Vec<(u64, Vec<(u64, u64)>)> = groups
                    .iter()
                    .map(|(id, classes)| {
                        (*id, classes.iter().map(|(class, count)| (*class, *count)).collect())
                    })
                    .collect();
                let groups = groups.iter().map(|(id, classes)| (*id, &classes[..]));
                sums.push((by.of_attempts(), totals::encode_attempts(groups)));
            }
        }
        sums
    }
}
