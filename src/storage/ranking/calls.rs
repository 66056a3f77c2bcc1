//! What the usage log says of models: measurements, summed up by the database, and signs of life in their order.
//!
//! Both read the tables themselves and not the views that show texts, and only what says something leaves the database: a
//! busy server's log is read as fast as it is written.

use sqlx::{AssertSqlSafe, FromRow};

use super::{DAY_MS, DAYS, TurnOf, day_of, note_signs};
use crate::{
    model::{
        id::ChannelId,
        time::UnixMs,
        usage::{Endpoint, ModelFault, OutcomeClass},
    },
    ranking::liveness::Sign,
    storage::{Db, StorageResult, WriteTransaction, on},
};

/// How many rows of the usage log are read at a time, and how often in a row.
const ROWS: i64 = 1000;
const TURNS: usize = 50;
/// Shorter answers, in tokens and milliseconds after the first content, tell nothing about speed.
const SHORTEST_TOKENS: i64 = 16;
const SHORTEST_MS: i64 = 100;
/// What is faster is an upstream that sent all at once.
const FASTEST: i64 = 10_000;

impl Db {
    /// Reads the part of the usage log that has not been read, for measurements and signs of life; then the lists that
    /// came since. Says which models left or returned. At most 50,000 calls are read; the rest waits for the next time.
    pub async fn note_model_signs(&self, now: UnixMs) -> StorageResult<Vec<TurnOf>> {
        let mut turns = Vec::new();
        for _ in 0..TURNS {
            match self.read_calls(now).await? {
                Some(more) => turns.extend(more),
                None => break,
            }
        }
        turns.extend(self.read_lists(now).await?);
        Ok(turns)
    }

    /// Reads some calls; `None` if there are none.
    async fn read_calls(&self, now: UnixMs) -> StorageResult<Option<Vec<TurnOf>>> {
        let (read_to, last): (Option<i64>, Option<i64>) = on!(self.read, |pool| {
            sqlx::query_as("SELECT read_to, (SELECT MAX(id) FROM calls) FROM ranking WHERE id = 1")
                .fetch_one(pool)
        })?;
        let from = match (read_to, last) {
            (_, None) => return Ok(None),
            // Ids are never used twice; of those that were read the last ones may be deleted by now.
            (Some(read), Some(last)) if read >= last => return Ok(None),
            (Some(read), Some(_)) => read,
            (None, Some(_)) => self.first_call_of_days(now).await?,
        };
        let end: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT MAX(id) FROM (SELECT id FROM calls WHERE id > $1 ORDER BY id LIMIT $2)",
            )
            .bind(from)
            .bind(ROWS)
            .fetch_one(pool)
        })?;
        let Some(end) = end else { return Ok(None) };
        let mut tx = self.begin().await?;
        let moved = sqlx::query("UPDATE ranking SET read_to = $2 WHERE id = 1 AND (read_to = $1 OR (read_to IS NULL AND $1 IS NULL))")
            .bind(read_to)
            .bind(end)
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() == 0 {
            // Another process has read them.
            return Ok(Some(Vec::new()));
        }
        sqlx::query(AssertSqlSafe(measure()))
            .bind(from)
            .bind(end)
            .bind(day_of(now) - DAYS)
            .execute(&mut *tx)
            .await?;
        let turns = note_calls(&mut tx, from, end).await?;
        tx.commit().await?;
        Ok(Some(turns))
    }

    /// The id before that of the first call of the days that count.
    async fn first_call_of_days(&self, now: UnixMs) -> StorageResult<i64> {
        let first: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT MIN(id) FROM calls WHERE at >= $1")
                .bind((day_of(now) - DAYS + 1) * DAY_MS)
                .fetch_one(pool)
        })?;
        let last: Option<i64> =
            on!(self.read, |pool| sqlx::query_scalar("SELECT MAX(id) FROM calls").fetch_one(pool))?;
        Ok(first.map(|first| first - 1).or(last).unwrap_or_default())
    }
}

/// Takes note of the signs of some calls, by their ids.
async fn note_calls(tx: &mut WriteTransaction, from: i64, end: i64) -> StorageResult<Vec<TurnOf>> {
    let rows: Vec<SignRow> =
        sqlx::query_as(AssertSqlSafe(signs())).bind(from).bind(end).fetch_all(&mut **tx).await?;
    let signs: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let sign = match (row.answered, row.gone) {
                (true, _) => Sign::Answered,
                (false, true) => Sign::Refused,
                (false, false) => Sign::Failed,
            };
            ((ChannelId(row.channel_id), row.model), sign, UnixMs(row.at))
        })
        .collect();
    note_signs(tx, &signs).await
}

/// What an attempt says of its model.
#[derive(FromRow)]
struct SignRow {
    at: i64,
    channel_id: i64,
    model: String,
    answered: bool,
    gone: bool,
}

fn word(text: &str) -> String {
    format!("(SELECT id FROM words WHERE text = '{text}')")
}

/// Attempts of the calls after `$1` and up to `$2` that say something of their models, and what follows `FROM`: only chats do,
/// at channels that are there, and only what answered or is the model's fault.
fn telling() -> String {
    format!(
        "calls c JOIN call_attempts a ON a.call_id = c.id
         WHERE c.id > $1 AND c.id <= $2 AND c.endpoint = {}
               AND (a.class = {} OR a.model_fault IN ({}, {}))
               AND a.channel_id IN (SELECT id FROM channels WHERE deleted_at IS NULL)",
        word(Endpoint::Chat.as_str()),
        word(OutcomeClass::Success.as_str()),
        word(ModelFault::Failed.as_str()),
        word(ModelFault::Gone.as_str()),
    )
}

/// Adds what was measured in some calls to the sums of their days after `$3`. What does not stream has its first content at
/// its end.
fn measure() -> String {
    format!(
        "INSERT INTO model_days (day, channel_id, model, answered, failed, first_tokens, first_token_ms, speeds, speed)
         SELECT s.day, s.channel_id, w.text, s.answered, s.failed, s.first_tokens, s.first_token_ms, s.speeds, s.speed
         FROM (SELECT day, channel_id, model, SUM(answered) AS answered, SUM(NOT answered) AS failed,
                      COUNT(first_ms) AS first_tokens, COALESCE(SUM(first_ms), 0) AS first_token_ms,
                      COUNT(speed) AS speeds, COALESCE(SUM(speed), 0) AS speed
               FROM (SELECT day, channel_id, model, answered, first_ms,
                            CASE WHEN first_ms IS NOT NULL AND NOT estimated AND completion_tokens >= {SHORTEST_TOKENS}
                                      AND duration_ms - first_ms >= {SHORTEST_MS}
                                 THEN MIN(completion_tokens * 1000 / (duration_ms - first_ms), {FASTEST}) END AS speed
                     FROM (SELECT (c.at + a.started_ms + a.duration_ms) / {DAY_MS} AS day, a.channel_id, a.model,
                                  a.class = {success} AS answered, c.estimated, c.completion_tokens, a.duration_ms,
                                  CASE WHEN c.stream AND a.class = {success} THEN a.first_byte_ms END AS first_ms
                           FROM {telling}))
               WHERE day > $3 GROUP BY day, channel_id, model) s
         JOIN words w ON w.id = s.model WHERE TRUE
         ON CONFLICT (day, channel_id, model) DO UPDATE SET answered = answered + excluded.answered,
         failed = failed + excluded.failed, first_tokens = first_tokens + excluded.first_tokens,
         first_token_ms = first_token_ms + excluded.first_token_ms, speeds = speeds + excluded.speeds,
         speed = speed + excluded.speed",
        success = word(OutcomeClass::Success.as_str()),
        telling = telling(),
    )
}

/// What some calls say, in their order, of models against which something speaks already or in these calls. An answer of
/// any other changes nothing.
fn signs() -> String {
    format!(
        "SELECT c.at + a.started_ms + a.duration_ms AS at, a.channel_id, (SELECT text FROM words WHERE id = a.model) AS model,
                a.class = {success} AS answered, COALESCE(a.model_fault = {gone}, FALSE) AS gone
         FROM {telling}
               AND (a.channel_id, a.model) IN
                   (SELECT h.channel_id, w.id FROM model_health h JOIN words w ON w.text = h.model
                    UNION ALL SELECT a.channel_id, a.model FROM {telling} AND a.class <> {success})
         ORDER BY c.id, a.position",
        success = word(OutcomeClass::Success.as_str()),
        gone = word(ModelFault::Gone.as_str()),
        telling = telling(),
    )
}
