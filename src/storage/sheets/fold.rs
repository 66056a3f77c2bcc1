//! Moves the log into sheets.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AssertSqlSafe;

use super::{
    ATTEMPT_ROW, AttemptRow, CALL_COLUMNS, CALL_ROW, CallRow, Entry, Kind, PLACES, QUARTERS, Table, call,
    column, days, flag, folded_to, read_sheet,
};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    storage::{Db, StorageResult, WriteTransaction, rollups::BUCKET_MS, words::NewWords},
};

/// How many rows go into sheets in one transaction: some milliseconds of work.
pub const ROWS_AT_A_TIME: u32 = 2000;

/// A sheet grows until it has so many entries.
const MOST_ENTRIES: usize = 65_536;

/// How many made-up names of models (of calls that reached no channel) become words in a day; sheets are kept for good.
const MOST_NAMES: i64 = 100;

/// The name under which further ones are summed up.
const OTHER_NAMES: &str = "(other)";

/// How many made-up names of a day are words: in its sheets, and new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Names {
    before: i64,
    new: i64,
}

/// Entries by day (UTC), each with the quarter since 1970 that it belongs to.
pub(super) type ByDay = BTreeMap<i64, Vec<(i64, Entry)>>;

impl Db {
    /// Moves the oldest rows of the log that are in no sheet yet into sheets, at most `limit` of them, in one transaction;
    /// says how many. The rows stay in the log.
    pub async fn fold_usage(&self, limit: u32) -> StorageResult<u64> {
        let mut tx = self.begin().await?;
        let from = folded_to(&mut tx).await?;
        let sql = format!("{CALL_ROW} WHERE id > $1 ORDER BY id LIMIT $2");
        let rows: Vec<CallRow> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(from).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
        let Some(to) = rows.last().map(|row| row.id) else { return Ok(0) };
        let sql = format!("{ATTEMPT_ROW} WHERE c.id > $1 AND c.id <= $2 ORDER BY c.id, a.position");
        let attempts: Vec<AttemptRow> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(from).bind(to).fetch_all(&mut *tx).await?;
        let mut words = NewWords::new(&self.words);
        add_calls(&mut tx, &rows, &mut words).await?;
        let mut by_day = ByDay::new();
        for row in &attempts {
            by_day.entry(row.quarter().div_euclid(QUARTERS)).or_default().push((row.quarter(), row.entry()));
        }
        append(&mut tx, Kind::Attempts, by_day, &BTreeMap::new()).await?;
        note_last_tries(&mut tx, &attempts, &mut words).await?;
        sqlx::query("UPDATE folds SET folded_to = $1 WHERE id = 1").bind(to).execute(&mut *tx).await?;
        tx.commit().await?;
        words.committed();
        Ok(rows.len() as u64)
    }

    /// How many rows of the log are in no sheet yet (at most 100,000 are counted), and when the oldest of them arrived.
    pub async fn unfolded_usage(&self) -> StorageResult<(u64, Option<crate::model::time::UnixMs>)> {
        const SQL: &str = "SELECT COUNT(*), (SELECT at FROM calls WHERE id > (SELECT folded_to FROM folds) ORDER BY id LIMIT 1) \
                           FROM (SELECT 1 FROM calls WHERE id > (SELECT folded_to FROM folds) LIMIT 100000)";
        let (rows, at): (i64, Option<i64>) =
            crate::storage::on!(self.read, |pool| sqlx::query_as(SQL).fetch_one(pool))?;
        Ok((rows.unsigned_abs(), at.map(crate::model::time::UnixMs)))
    }
}

/// Puts calls into sheets; those that reached no channel under a bounded number of names.
async fn add_calls(tx: &mut WriteTransaction, rows: &[CallRow], words: &mut NewWords) -> StorageResult<()> {
    let mut by_day = ByDay::new();
    let mut names: BTreeMap<i64, Names> = BTreeMap::new();
    for row in rows {
        let day = row.quarter().div_euclid(QUARTERS);
        let asked = match row.asked_word {
            0 => name(tx, words, day, &row.made_up, &mut names).await?,
            word => word,
        };
        by_day.entry(day).or_default().push((row.quarter(), row.entry(asked.unsigned_abs())));
    }
    append(tx, Kind::Calls, by_day, &names).await
}

/// The word of a made-up name; that of all others, if the day has had its share.
async fn name(
    tx: &mut WriteTransaction,
    words: &mut NewWords,
    day: i64,
    text: &str,
    names: &mut BTreeMap<i64, Names>,
) -> StorageResult<i64> {
    if let Some(word) = words.find(tx, text).await? {
        return Ok(word);
    }
    if let std::collections::btree_map::Entry::Vacant(entry) = names.entry(day) {
        const SQL: &str =
            "SELECT CAST(COALESCE(SUM(names), 0) AS BIGINT) FROM sheets WHERE kind = 0 AND day = $1";
        let before: i64 = sqlx::query_scalar(SQL).bind(day).fetch_one(&mut **tx).await?;
        entry.insert(Names { before, new: 0 });
    }
    let count = names.entry(day).or_default();
    let text = if count.before + count.new < MOST_NAMES {
        count.new += 1;
        text
    } else {
        OTHER_NAMES
    };
    words.add(tx, [text]).await?;
    Ok(words.id(text))
}

/// Adds entries to the last sheet of their days, or to new ones, and lets go of the days' sums.
pub(super) async fn append(
    tx: &mut WriteTransaction,
    kind: Kind,
    by_day: ByDay,
    names: &BTreeMap<i64, Names>,
) -> StorageResult<()> {
    for (day, entries) in by_day {
        let quarters = || entries.iter().map(|(quarter, _)| *quarter);
        if let (Some(first), Some(last)) = (quarters().min(), quarters().max()) {
            days::forget(tx, first * BUCKET_MS, (last + 1) * BUCKET_MS).await?;
        }
        let mut new_names = names.get(&day).map_or(0, |count| count.new);
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let last: Option<(i64, i64, i64)> = sqlx::query_as(
                "SELECT id, entries, names FROM sheets WHERE kind = $1 AND day = $2 ORDER BY id DESC LIMIT 1",
            )
            .bind(kind as i64)
            .bind(day)
            .fetch_optional(&mut **tx)
            .await?;
            let (id, mut table, old_names) = match last {
                Some((id, entries, names)) if (entries.unsigned_abs() as usize) < MOST_ENTRIES => {
                    (id, read_sheet(tx, kind, id, entries.unsigned_abs() as usize).await?, names)
                }
                _ => {
                    let id: i64 = sqlx::query_scalar(
                        "INSERT INTO sheets (kind, day, entries, names) VALUES ($1, $2, 0, 0) RETURNING id",
                    )
                    .bind(kind as i64)
                    .bind(day)
                    .fetch_one(&mut **tx)
                    .await?;
                    (id, Table::empty(kind), 0)
                }
            };
            let (now, later) = rest.split_at(rest.len().min(MOST_ENTRIES - table.entries));
            rest = later;
            now.iter().for_each(|(_, entry)| table.push(entry));
            table.sort();
            sqlx::query("UPDATE sheets SET entries = $2, names = $3 WHERE id = $1")
                .bind(id)
                .bind(i64::try_from(table.entries).unwrap_or(i64::MAX))
                .bind(old_names + std::mem::take(&mut new_names))
                .execute(&mut **tx)
                .await?;
            for (place, values) in table.columns.iter().enumerate() {
                sqlx::query("INSERT OR REPLACE INTO sheet_columns (id, data) VALUES ($1, $2)")
                    .bind(id * PLACES + place as i64)
                    .bind(column::encode(values))
                    .execute(&mut **tx)
                    .await?;
            }
        }
    }
    Ok(())
}

/// Remembers when models at channels answered and were refused.
async fn note_last_tries(
    tx: &mut WriteTransaction,
    attempts: &[AttemptRow],
    words: &mut NewWords,
) -> StorageResult<()> {
    let mut told = BTreeSet::new();
    for class in [OutcomeClass::Success, OutcomeClass::ModelUnavailable] {
        told.extend(words.find(tx, class.as_str()).await?);
    }
    let mut last: BTreeMap<(i64, i64, i64), i64> = BTreeMap::new();
    for row in attempts.iter().filter(|row| told.contains(&row.class)) {
        let at = last.entry((row.channel_id, row.model, row.class)).or_insert(i64::MIN);
        *at = (*at).max(row.quarter() * BUCKET_MS);
    }
    for ((channel, model, class), at) in last {
        sqlx::query(
            "INSERT INTO last_tries (channel_id, model, class, at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (channel_id, model, class) DO UPDATE SET at = excluded.at WHERE excluded.at > at",
        )
        .bind(channel)
        .bind(model)
        .bind(class)
        .bind(at)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

/// Adds to the cost of a call; gives when it arrived, its channel and its key (0: none), or `None` if there is no such row. If it
/// is in a sheet, an entry of its own says so there, since entries are never looked for.
pub(in crate::storage) async fn add_cost(
    tx: &mut WriteTransaction,
    request_id: &[u8],
    micros: i64,
    words: &mut NewWords,
) -> StorageResult<Option<(UnixMs, ChannelId, KeyId)>> {
    let sql = format!("{CALL_ROW} WHERE request_id = $1");
    let row: Option<CallRow> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(request_id).fetch_optional(&mut **tx).await?;
    let Some(row) = row else { return Ok(None) };
    sqlx::query("UPDATE calls SET cost_micros = cost_micros + $1 WHERE id = $2")
        .bind(micros)
        .bind(row.id)
        .execute(&mut **tx)
        .await?;
    if row.id <= folded_to(tx).await? {
        let day = row.quarter().div_euclid(QUARTERS);
        let mut names = BTreeMap::new();
        let asked = match row.asked_word {
            0 => name(tx, words, day, &row.made_up, &mut names).await?,
            word => word,
        };
        let of_call = row.entry(asked.unsigned_abs());
        let mut entry = vec![0; CALL_COLUMNS];
        entry[..call::FLAGS].copy_from_slice(&of_call[..call::FLAGS]);
        entry[call::FLAGS] = (of_call[call::FLAGS] & flag::STREAM) | flag::CORRECTION;
        entry[call::COST] = micros.max(0).unsigned_abs();
        append(tx, Kind::Calls, ByDay::from([(day, vec![(row.quarter(), entry)])]), &names).await?;
    }
    Ok(Some((UnixMs(row.at), ChannelId(row.channel_id), KeyId(row.key_id))))
}
