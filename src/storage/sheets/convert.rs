//! Makes sheets of what versions before the sheets kept: a row of sums per quarter of an hour and combination of everything.
//!
//! A row becomes as many entries as it counts calls. Only sums and distributions can be asked for, so it does not matter which
//! of them gets which part: the first one has the sums, and the distributions are dealt out in their order.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::{
    CALL_COLUMNS, Entry, Kind, QUARTER, QUARTERS, call, flag,
    fold::{ByDay, append},
};
use crate::storage::{
    Db, StorageResult, WriteTransaction,
    rollups::{BUCKET_MS, Histogram},
};

/// A row of the sums of calls, with the numbers of its texts.
#[derive(FromRow)]
struct OldSums {
    bucket: i64,
    token_id: i64,
    channel_id: i64,
    key_id: i64,
    asked: i64,
    served: i64,
    endpoint: i64,
    client: i64,
    stream: bool,
    status: i64,
    result: i64,
    requests: i64,
    retried: i64,
    estimated: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    cost_micros: i64,
    queue_ms: i64,
    queue_histogram: String,
    first_token_histogram: String,
    total_histogram: String,
}

const OLD_SUMS: &str = "SELECT bucket, token_id, channel_id, key_id, \
    (SELECT id FROM words WHERE text = asked_model) AS asked, \
    COALESCE((SELECT id FROM words WHERE text = served_model AND served_model <> ''), 0) AS served, \
    (SELECT id FROM words WHERE text = r.endpoint) AS endpoint, (SELECT id FROM words WHERE text = client_kind) AS client, \
    stream, status, (SELECT id FROM words WHERE text = r.result) AS result, requests, retried, estimated, prompt_tokens, \
    completion_tokens, cached_tokens, reasoning_tokens, cost_micros, queue_ms, queue_histogram, first_token_histogram, \
    total_histogram FROM old_rollups r WHERE bucket >= $1 AND bucket < $2";

const OLD_ATTEMPTS: &str = "SELECT bucket, channel_id, key_id, (SELECT id FROM words WHERE text = model), \
    (SELECT id FROM words WHERE text = class), attempts FROM old_attempt_rollups WHERE bucket >= $1 AND bucket < $2";

impl Db {
    /// Moves the sums of an older version into sheets, a day in each transaction, and drops their tables in the end. Does
    /// nothing if there are none.
    pub(in crate::storage) async fn convert_old_sums(&self) -> StorageResult<()> {
        const TABLES: &str =
            "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('old_rollups', 'old_attempt_rollups')";
        loop {
            let mut tx = self.begin().await?;
            let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(&mut *tx).await?;
            if tables < 2 {
                return Ok(());
            }
            let first: Option<i64> = sqlx::query_scalar(
                "SELECT MIN(bucket) FROM (SELECT MIN(bucket) AS bucket FROM old_rollups \
                 UNION ALL SELECT MIN(bucket) FROM old_attempt_rollups)",
            )
            .fetch_one(&mut *tx)
            .await?;
            match first {
                Some(first) => convert_day(&mut tx, first.div_euclid(BUCKET_MS * QUARTERS)).await?,
                None => {
                    sqlx::query("DROP TABLE old_rollups").execute(&mut *tx).await?;
                    sqlx::query("DROP TABLE old_attempt_rollups").execute(&mut *tx).await?;
                }
            }
            tx.commit().await?;
        }
    }
}

async fn convert_day(tx: &mut WriteTransaction, day: i64) -> StorageResult<()> {
    let (from, to) = (day * QUARTERS * BUCKET_MS, (day + 1) * QUARTERS * BUCKET_MS);
    let rows: Vec<OldSums> = sqlx::query_as(OLD_SUMS).bind(from).bind(to).fetch_all(&mut **tx).await?;
    let calls: Vec<(i64, Entry)> = rows.iter().flat_map(entries).collect();
    append(tx, Kind::Calls, ByDay::from([(day, calls)]), &BTreeMap::new()).await?;
    let rows: Vec<(i64, i64, i64, i64, i64, i64)> =
        sqlx::query_as(OLD_ATTEMPTS).bind(from).bind(to).fetch_all(&mut **tx).await?;
    let number = |value: i64| value.max(0).unsigned_abs();
    let attempts: Vec<(i64, Entry)> = rows
        .into_iter()
        .flat_map(|(bucket, channel, key, model, class, attempts)| {
            let quarter = bucket.div_euclid(BUCKET_MS);
            let entry = vec![
                number(quarter.rem_euclid(QUARTERS)),
                number(channel),
                number(key),
                number(model),
                number(class),
            ];
            (0..attempts).map(move |_| (quarter, entry.clone()))
        })
        .collect();
    append(tx, Kind::Attempts, ByDay::from([(day, attempts)]), &BTreeMap::new()).await?;
    for table in ["DELETE FROM old_rollups", "DELETE FROM old_attempt_rollups"] {
        let sql = format!("{table} WHERE bucket >= $1 AND bucket < $2");
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(from).bind(to).execute(&mut **tx).await?;
    }
    Ok(())
}

/// The entries of a row; together they count what it counts.
fn entries(row: &OldSums) -> Vec<(i64, Entry)> {
    let number = |value: i64| value.max(0).unsigned_abs();
    let quarter = row.bucket.div_euclid(BUCKET_MS);
    let mut each = vec![0; CALL_COLUMNS];
    each[QUARTER] = number(quarter.rem_euclid(QUARTERS));
    each[call::TOKEN] = number(row.token_id);
    each[call::CHANNEL] = number(row.channel_id);
    each[call::KEY] = number(row.key_id);
    each[call::ASKED] = number(row.asked);
    each[call::SERVED] = number(row.served);
    each[call::ENDPOINT] = number(row.endpoint);
    each[call::CLIENT] = number(row.client);
    each[call::STATUS] = number(row.status);
    each[call::RESULT] = number(row.result);
    // A distribution that does not read back costs its percentiles; the call itself counts.
    let dealt = |text: &str| {
        let histogram = Histogram::from_json(text).unwrap_or_default();
        let bins: Vec<u64> = histogram
            .bins()
            .flat_map(|(bin, count)| {
                std::iter::repeat_n(bin as u64, usize::try_from(count).unwrap_or(usize::MAX))
            })
            .take(usize::try_from(row.requests.max(0)).unwrap_or(usize::MAX))
            .collect();
        bins
    };
    let (queue, first, total) =
        (dealt(&row.queue_histogram), dealt(&row.first_token_histogram), dealt(&row.total_histogram));
    (0..row.requests)
        .map(|n| {
            let mut entry = each.clone();
            let place = usize::try_from(n).unwrap_or(usize::MAX);
            entry[call::FLAGS] = if row.stream { flag::STREAM } else { 0 }
                | if n < row.estimated { flag::ESTIMATED } else { 0 }
                | if n < row.retried { flag::RETRIED } else { 0 };
            entry[call::QUEUE] = queue.get(place).copied().unwrap_or_default();
            entry[call::FIRST] = first.get(place).map_or(0, |bin| bin + 1);
            entry[call::TOTAL] = total.get(place).copied().unwrap_or_default();
            if n == 0 {
                for (column, sum) in [
                    (call::PROMPT, row.prompt_tokens),
                    (call::COMPLETION, row.completion_tokens),
                    (call::CACHED, row.cached_tokens),
                    (call::REASONING, row.reasoning_tokens),
                    (call::COST, row.cost_micros),
                    (call::QUEUE_MS, row.queue_ms),
                ] {
                    entry[column] = number(sum);
                }
            }
            (quarter, entry)
        })
        .collect()
}
