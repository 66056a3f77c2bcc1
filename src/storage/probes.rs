//! What models can do, as probes and real calls have shown; and which calls the probes made.

use std::collections::BTreeMap;

use sqlx::FromRow;

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::model::{
    id::{ChannelId, KeyId},
    probe::{NO_HOLDS, ProbeCall, ProbeKind, ProbeResult, ProbeSource, ProbeVerdict, YES_HOLDS},
    time::UnixMs,
};

/// The most results that are kept, of all channels together.
const MOST_RESULTS: i64 = 50_000;
/// How long results are kept, in milliseconds; what is older is long outdated.
const RESULTS_KEPT_MS: i64 = 90 * 86_400_000;
/// How long calls are kept: longer than any day of a quota.
const CALLS_KEPT_MS: i64 = 2 * 86_400_000;
/// The most characters of a result's detail.
const MOST_DETAIL: usize = 300;
/// An answer of fewer tokens, or one that came faster, tells nothing about the speed.
const LEAST_TOKENS: i64 = 16;
const LEAST_MS: i64 = 50;

/// The results of some models, by channel and upstream name.
pub type ProbeBook = BTreeMap<(ChannelId, String), Vec<ProbeResult>>;

#[derive(FromRow)]
struct ResultRow {
    channel_id: i64,
    model: String,
    kind: String,
    verdict: String,
    at: i64,
    duration_ms: i64,
    first_token_ms: Option<i64>,
    tokens_per_second: Option<i64>,
    detail: String,
    source: String,
}

fn small(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

impl ResultRow {
    fn result(self) -> StorageResult<ProbeResult> {
        let unreadable = |what: &str| StorageError::Unreadable(format!("a probe's {what}"));
        Ok(ProbeResult {
            channel: ChannelId(self.channel_id),
            model: self.model,
            kind: ProbeKind::from_name(&self.kind).ok_or_else(|| unreadable("kind"))?,
            verdict: ProbeVerdict::from_name(&self.verdict).ok_or_else(|| unreadable("verdict"))?,
            at: UnixMs(self.at),
            duration_ms: small(self.duration_ms),
            first_token_ms: self.first_token_ms.map(small),
            tokens_per_second: self.tokens_per_second.map(small),
            detail: self.detail,
            source: ProbeSource::from_name(&self.source).ok_or_else(|| unreadable("source"))?,
        })
    }
}

const COLUMNS: &str = "p.channel_id, p.model, p.kind, p.verdict, p.at, p.duration_ms, p.first_token_ms,
    p.tokens_per_second, p.detail, p.source";

impl Db {
    /// Takes over results. A result that is unclear does not replace one that still holds; one of a channel that is gone is
    /// passed over.
    pub async fn save_probes(&self, results: &[ProbeResult]) -> StorageResult<()> {
        if results.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        for result in results {
            let detail: String = result.detail.chars().take(MOST_DETAIL).collect();
            sqlx::query(
                "INSERT INTO probes (channel_id, model, kind, verdict, at, duration_ms, first_token_ms,
                                     tokens_per_second, detail, source)
                 SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10 FROM channels WHERE id = $1 AND deleted_at IS NULL
                 ON CONFLICT (channel_id, model, kind) DO UPDATE SET verdict = excluded.verdict, at = excluded.at,
                     duration_ms = excluded.duration_ms, first_token_ms = excluded.first_token_ms,
                     tokens_per_second = excluded.tokens_per_second, detail = excluded.detail, source = excluded.source
                 WHERE excluded.verdict <> 'unclear' OR probes.verdict = 'unclear'
                     OR probes.at < excluded.at - (CASE probes.verdict WHEN 'ok' THEN $11 ELSE $12 END)",
            )
            .bind(result.channel.0)
            .bind(&result.model)
            .bind(result.kind.as_str())
            .bind(result.verdict.as_str())
            .bind(result.at.0)
            .bind(i64::from(result.duration_ms))
            .bind(result.first_token_ms.map(i64::from))
            .bind(result.tokens_per_second.map(i64::from))
            .bind(detail)
            .bind(result.source.as_str())
            .bind(ms(YES_HOLDS))
            .bind(ms(NO_HOLDS))
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What is known, of every channel or of one, by channel, model and kind.
    pub async fn probes(&self, channel: Option<ChannelId>) -> StorageResult<ProbeBook> {
        let sql = format!(
            "SELECT {COLUMNS} FROM probes p JOIN channels c ON c.id = p.channel_id
             WHERE c.deleted_at IS NULL AND ($1 IS NULL OR p.channel_id = $1) ORDER BY p.channel_id, p.model, p.kind"
        );
        let rows: Vec<ResultRow> = on!(self.read, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(channel.map(|id| id.0)).fetch_all(pool)
        })?;
        book(rows)
    }

    /// What is known of some models, at most a few hundred.
    pub async fn probes_of(&self, models: &[(ChannelId, &str)]) -> StorageResult<ProbeBook> {
        if models.is_empty() {
            return Ok(ProbeBook::new());
        }
        let places = vec!["(?, ?)"; models.len()].join(", ");
        let sql = format!(
            "SELECT {COLUMNS} FROM probes p WHERE (p.channel_id, p.model) IN (VALUES {places})
             ORDER BY p.channel_id, p.model, p.kind"
        );
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
        for (channel, model) in models {
            query = query.bind(channel.0).bind(*model);
        }
        let rows: Vec<ResultRow> = on!(self.read, |pool| query.fetch_all(pool))?;
        book(rows)
    }

    /// What is known of the abilities of every model that managed chains ask for, at once, in no order; durations and details are
    /// left out.
    pub async fn probed_abilities(&self) -> StorageResult<Vec<ProbeResult>> {
        type Row<'a> = (i64, String, &'a str, &'a str, i64, Option<i64>, Option<i64>, &'a str);
        let text: String = on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT json_group_array(json_array(channel_id, model, kind, verdict, at, first_token_ms,
                                                    tokens_per_second, source))
                 FROM probes WHERE kind <> 'json'",
            )
            .fetch_one(pool)
        })?;
        let rows: Vec<Row<'_>> = serde_json::from_str(&text)
            .map_err(|error| StorageError::Unreadable(format!("results of probes: {error}")))?;
        let result =
            |(channel, model, kind, verdict, at, first_token_ms, tokens_per_second, source): Row<'_>| {
                let unreadable = |what: &str| StorageError::Unreadable(format!("a probe's {what}"));
                Ok(ProbeResult {
                    channel: ChannelId(channel),
                    model,
                    kind: ProbeKind::from_name(kind).ok_or_else(|| unreadable("kind"))?,
                    verdict: ProbeVerdict::from_name(verdict).ok_or_else(|| unreadable("verdict"))?,
                    at: UnixMs(at),
                    duration_ms: 0,
                    first_token_ms: first_token_ms.map(small),
                    tokens_per_second: tokens_per_second.map(small),
                    detail: String::new(),
                    source: ProbeSource::from_name(source).ok_or_else(|| unreadable("source"))?,
                })
            };
        rows.into_iter().map(result).collect()
    }

    /// Notes that a probe is about to make a call, if `allows` says so of those that were made at this channel since a time.
    /// Two programs that ask at once do not both get the last one.
    pub async fn take_probe_call(
        &self,
        call: &ProbeCall,
        since: UnixMs,
        allows: impl FnOnce(&[ProbeCall]) -> bool,
    ) -> StorageResult<bool> {
        let mut tx = self.begin().await?;
        let made = calls(&mut tx, call.channel, since).await?;
        if !allows(&made) {
            return Ok(false);
        }
        sqlx::query("INSERT INTO probe_calls (at, channel_id, key_id, model) VALUES ($1, $2, $3, $4)")
            .bind(call.at.0)
            .bind(call.channel.0)
            .bind(call.key.0)
            .bind(&call.model)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The calls that probes made at a channel since a time.
    pub async fn probe_calls(&self, channel: ChannelId, since: UnixMs) -> StorageResult<Vec<ProbeCall>> {
        let mut tx = self.begin().await?;
        calls(&mut tx, channel, since).await
    }

    /// Takes over what clients' chat calls since a time have shown: answered streams with their mean first content and
    /// speed, and reasoning.
    pub async fn note_probes_of_traffic(&self, since: UnixMs) -> StorageResult<()> {
        type Row = (i64, String, i64, Option<i64>, Option<f64>, Option<f64>);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT a.channel_id, a.model,
                        MAX(CASE WHEN u.stream THEN u.at ELSE 0 END),
                        MAX(CASE WHEN u.reasoning_tokens > 0 THEN u.at END),
                        AVG(CASE WHEN u.stream THEN a.first_byte_ms END),
                        AVG(CASE WHEN u.stream AND u.completion_tokens >= $2
                                 AND a.duration_ms - a.first_byte_ms >= $3
                            THEN u.completion_tokens * 1000.0 / (a.duration_ms - a.first_byte_ms) END)
                 FROM usage u JOIN attempts a ON a.usage_id = u.id AND a.class = 'success'
                 WHERE u.at >= $1 AND u.result = 'ok' AND u.endpoint = 'chat'
                 GROUP BY a.channel_id, a.model",
            )
            .bind(since.0)
            .bind(LEAST_TOKENS)
            .bind(LEAST_MS)
            .fetch_all(pool)
        })?;
        let mut results = Vec::new();
        for (channel, model, streamed_at, reasoned_at, first_token_ms, tokens_per_second) in rows {
            let whole = |value: Option<f64>| value.map(|value| value.round() as u32);
            let result = |kind, at| ProbeResult {
                channel: ChannelId(channel),
                model: model.clone(),
                kind,
                verdict: ProbeVerdict::Ok,
                at: UnixMs(at),
                duration_ms: 0,
                first_token_ms: None,
                tokens_per_second: None,
                detail: String::new(),
                source: ProbeSource::Traffic,
            };
            if streamed_at > 0 {
                results.push(ProbeResult {
                    first_token_ms: whole(first_token_ms),
                    tokens_per_second: whole(tokens_per_second),
                    ..result(ProbeKind::Stream, streamed_at)
                });
            }
            results.extend(reasoned_at.map(|at| result(ProbeKind::Reasoning, at)));
        }
        self.save_probes(&results).await
    }

    /// Deletes what is too old or too much.
    pub async fn forget_old_probes(&self, now: UnixMs) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM probes WHERE at < $1 OR (channel_id, model, kind) IN
             (SELECT channel_id, model, kind FROM probes ORDER BY at DESC LIMIT -1 OFFSET $2)",
        )
        .bind(now.0 - RESULTS_KEPT_MS)
        .bind(MOST_RESULTS)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM probe_calls WHERE at < $1")
            .bind(now.0 - CALLS_KEPT_MS)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Forgets what is known of the models of a channel that is deleted.
    pub(super) async fn erase_probes(tx: &mut WriteTransaction, channel: ChannelId) -> StorageResult<()> {
        for sql in
            ["DELETE FROM probes WHERE channel_id = $1", "DELETE FROM probe_calls WHERE channel_id = $1"]
        {
            sqlx::query(sql).bind(channel.0).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

fn ms(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn book(rows: Vec<ResultRow>) -> StorageResult<ProbeBook> {
    let mut book = ProbeBook::new();
    for row in rows {
        let result = row.result()?;
        book.entry((result.channel, result.model.clone())).or_default().push(result);
    }
    Ok(book)
}

async fn calls(
    tx: &mut WriteTransaction,
    channel: ChannelId,
    since: UnixMs,
) -> StorageResult<Vec<ProbeCall>> {
    let rows: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT at, key_id, model FROM probe_calls WHERE channel_id = $1 AND at > $2 ORDER BY id",
    )
    .bind(channel.0)
    .bind(since.0)
    .fetch_all(&mut **tx)
    .await?;
    let call = |(at, key, model)| ProbeCall { at: UnixMs(at), channel, key: KeyId(key), model };
    Ok(rows.into_iter().map(call).collect())
}
