//! Usage rows, written in batches by the relay's recorder together with everything that sums them up.

use std::collections::{BTreeMap, HashMap};

use sqlx::AssertSqlSafe;

use super::{
    Db, StorageResult, WriteTransaction,
    rollups::{Batch, clamp_amount, clamp_count},
    spending,
};
use crate::model::{
    id::TokenId,
    time::UnixMs,
    token::QuotaUnit,
    usage::{Attempt, UsageRecord, WaitReason},
};

impl Db {
    /// Inserts rows with their attempts, and adds them to what their tokens have spent and to the roll-ups, all in one
    /// transaction. A row whose request id is there already changes nothing, so a batch may be repeated. Says how many
    /// rows were new. Dropping the future before it ends leaves either all or nothing.
    pub async fn insert_usage(&self, records: &[UsageRecord]) -> StorageResult<u64> {
        let mut tx = self.begin().await?;
        let mut spent: BTreeMap<(TokenId, UnixMs, QuotaUnit), i64> = BTreeMap::new();
        let mut rollups = Batch::default();
        let mut inserted = 0;
        for (group, mut ids) in insert_rows(&mut tx, records).await? {
            let mut attempts = Vec::new();
            for record in group {
                // Of two rows with one id only the first is new.
                let Some(usage_id) = ids.remove(&record.request_id.to_string()) else { continue };
                attempts.extend(
                    (0_i64..).zip(&record.attempts).map(|(position, attempt)| (usage_id, position, attempt)),
                );
                inserted += 1;
                rollups.add(record);
                let charge = clamp_amount(record.quota_charge);
                if let (Some(unit), 1..) = (record.quota_unit, charge) {
                    let sum = spent.entry((record.token_id, record.quota_period, unit)).or_default();
                    *sum = sum.saturating_add(charge);
                }
            }
            insert_attempts(&mut tx, &attempts).await?;
        }
        spending::add(&mut tx, &spent).await?;
        rollups.write(&mut tx).await?;
        tx.commit().await?;
        Ok(inserted)
    }
}

/// How many rows one statement takes. A statement costs two switches of threads, whatever it does, so a busy server's rows
/// go in large groups; few sizes, so that each is prepared once.
const GROUPS: [usize; 4] = [64, 16, 4, 1];

/// Splits a slice into groups of the sizes above, the largest first.
fn groups<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = GROUPS.into_iter().find(|size| *size <= rest.len())?;
        let (group, later) = rest.split_at(size);
        rest = later;
        Some(group)
    })
}

/// `(?, ?), (?, ?)` for two rows of two columns. Nameless, because SQLite looks names up one by one, which for many
/// parameters takes longer than all else.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", ["?"].repeat(columns).join(", "));
    [row.as_str()].repeat(rows).join(", ")
}

/// Inserts rows; gives them in groups, each with the ids of those of its rows that were new, by request id.
async fn insert_rows<'a>(
    tx: &mut WriteTransaction,
    records: &'a [UsageRecord],
) -> StorageResult<Vec<(&'a [UsageRecord], HashMap<String, i64>)>> {
    const COLUMNS: usize = 26;
    let mut done = Vec::new();
    for group in groups(records) {
        let sql = format!(
            "INSERT INTO usage (request_id, at, token_id, channel_id, key_id, asked_model, served_model, endpoint, stream, \
             status, result, error_code, queue_ms, first_token_ms, total_ms, prompt_tokens, completion_tokens, \
             cached_tokens, reasoning_tokens, estimated, cost_micros, client_address, client_kind, trace_id, \
             attempt_count, units) VALUES {} ON CONFLICT (request_id) DO NOTHING RETURNING request_id, id",
            placeholders(group.len(), COLUMNS)
        );
        let mut query = sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(sql));
        for record in group {
            query = query
                .bind(record.request_id.to_string())
                .bind(record.at.0)
                .bind(record.token_id.0)
                .bind(record.channel_id.map(|id| id.0))
                .bind(record.key_id.map(|id| id.0))
                .bind(&record.asked_model)
                .bind(&record.served_model)
                .bind(record.endpoint.as_str())
                .bind(record.stream)
                .bind(i64::from(record.status))
                .bind(record.result.as_str())
                .bind(&record.error_code)
                .bind(i64::from(record.queue_ms))
                .bind(record.first_token_ms.map(i64::from))
                .bind(i64::from(record.total_ms))
                .bind(clamp_count(record.tokens.prompt))
                .bind(clamp_count(record.tokens.completion))
                .bind(clamp_count(record.tokens.cached))
                .bind(clamp_count(record.tokens.reasoning))
                .bind(record.estimated)
                .bind(clamp_amount(record.cost_micros))
                .bind(&record.client_address)
                .bind(&record.client_kind)
                .bind(&record.trace_id)
                .bind(i64::try_from(record.attempts.len()).unwrap_or(i64::MAX))
                .bind(record.units.as_ref().and_then(|units| serde_json::to_string(units).ok()));
        }
        done.push((group, query.fetch_all(&mut **tx).await?.into_iter().collect()));
    }
    Ok(done)
}

/// Inserts attempts, each with the id of its row and its position in it.
async fn insert_attempts(tx: &mut WriteTransaction, attempts: &[(i64, i64, &Attempt)]) -> StorageResult<()> {
    const COLUMNS: usize = 13;
    for group in groups(attempts) {
        let sql = format!(
            "INSERT INTO attempts (usage_id, position, channel_id, key_id, model, started_ms, first_byte_ms, \
             duration_ms, status, class, detail, waited_ms, waited_for) VALUES {}",
            placeholders(group.len(), COLUMNS)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (usage_id, position, attempt) in group {
            query = query
                .bind(usage_id)
                .bind(position)
                .bind(attempt.channel_id.0)
                .bind(attempt.key_id.0)
                .bind(&attempt.model)
                .bind(i64::from(attempt.started_ms))
                .bind(attempt.first_byte_ms.map(i64::from))
                .bind(i64::from(attempt.duration_ms))
                .bind(attempt.status.map(i64::from))
                .bind(attempt.class.as_str())
                .bind(&attempt.detail)
                .bind(i64::from(attempt.waited_ms))
                .bind(attempt.waited_for.map(WaitReason::as_str));
        }
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        model::{
            id::{ChannelId, KeyId, RequestId},
            secret::Secret,
            time::Clock,
            usage::{CallResult, Endpoint, OutcomeClass, TokenCounts},
        },
        storage::vault::Vault,
    };

    /// Opens (or creates) the database of a folder.
    pub(crate) async fn open(folder: &std::path::Path) -> Db {
        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        Db::open(&folder.join("onepool.db"), vault, Clock::system()).await.unwrap()
    }

    /// The `n`th of many different calls of token 1; each takes two attempts.
    pub(crate) fn record(n: u32) -> UsageRecord {
        let attempt = Attempt {
            channel_id: ChannelId(1),
            key_id: KeyId(2),
            model: "llama".into(),
            waited_ms: 4,
            waited_for: Some(WaitReason::Limit),
            started_ms: 5,
            first_byte_ms: None,
            duration_ms: 20,
            status: Some(429),
            class: OutcomeClass::RateLimited,
            detail: "slow\ndown".into(),
        };
        let second = Attempt { key_id: KeyId(3), class: OutcomeClass::Success, ..attempt.clone() };
        UsageRecord {
            request_id: RequestId(uuid::Uuid::from_u128(u128::from(n))),
            at: UnixMs(1_800_000_000_000),
            token_id: TokenId(1),
            channel_id: Some(ChannelId(1)),
            key_id: Some(KeyId(3)),
            asked_model: "Llama".into(),
            served_model: Some("llama".into()),
            endpoint: Endpoint::Chat,
            stream: n.is_multiple_of(2),
            status: 200,
            result: CallResult::Ok,
            error_code: None,
            queue_ms: 3,
            first_token_ms: Some(100 + n % 50),
            total_ms: 900,
            tokens: TokenCounts { prompt: 10, completion: u64::from(n), cached: 4, reasoning: 1 },
            estimated: n.is_multiple_of(3),
            units: None,
            cost_micros: 7,
            client_address: "127.0.0.1".into(),
            client_kind: "curl".into(),
            trace_id: None,
            quota_unit: Some(QuotaUnit::Tokens),
            quota_charge: 10 + i64::from(n),
            quota_period: UnixMs(0),
            attempts: vec![attempt, second],
        }
    }

    /// The single number that a query gives.
    pub(crate) async fn number(db: &Db, sql: &'static str) -> i64 {
        super::super::on!(db.read, |pool| sqlx::query_scalar(sql).fetch_one(pool)).unwrap()
    }

    #[tokio::test]
    async fn roll_ups_equal_the_sums_of_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let mut records: Vec<_> = (1..=40).map(record).collect();
        records[3].at = UnixMs(1_800_000_000_000 + 3 * super::super::rollups::BUCKET_MS);
        records[4].attempts.truncate(1);
        records[5] = UsageRecord { channel_id: None, key_id: None, served_model: None, ..record(6) };
        db.insert_usage(&records[..15]).await.unwrap();
        db.insert_usage(&records[15..]).await.unwrap();

        for (sum, of_rows) in [
            ("requests", "COUNT(*)"),
            ("prompt_tokens", "SUM(prompt_tokens)"),
            ("completion_tokens", "SUM(completion_tokens)"),
            ("cached_tokens", "SUM(cached_tokens)"),
            ("reasoning_tokens", "SUM(reasoning_tokens)"),
            ("cost_micros", "SUM(cost_micros)"),
            ("queue_ms", "SUM(queue_ms)"),
            ("estimated", "SUM(estimated)"),
            ("retried", "SUM(attempt_count > 1)"),
        ] {
            let difference: i64 = super::super::on!(db.read, |pool| sqlx::query_scalar(sqlx::AssertSqlSafe(
                format!("SELECT (SELECT SUM({sum}) FROM rollups) - (SELECT {of_rows} FROM usage)")
            ))
            .fetch_one(pool))
            .unwrap();
            assert_eq!(difference, 0, "{sum}");
        }
        assert_eq!(number(&db, "SELECT SUM(attempts) FROM attempt_rollups").await, 79);
        assert_eq!(number(&db, "SELECT SUM(duration_ms) FROM attempt_rollups").await, 79 * 20);
        let texts: Vec<String> = super::super::on!(db.read, |pool| sqlx::query_scalar(
            "SELECT first_token_histogram FROM rollups"
        )
        .fetch_all(pool))
        .unwrap();
        let mut all = super::super::rollups::Histogram::default();
        texts.iter().for_each(|text| all.merge(&super::super::rollups::Histogram::from_json(text).unwrap()));
        assert_eq!(all.count(), 40);
    }

    #[tokio::test]
    async fn a_repeated_row_counts_once_and_a_call_without_quota_charges_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let without_quota = UsageRecord { quota_unit: None, ..record(2) };
        assert_eq!(db.insert_usage(&[record(1), without_quota, record(1)]).await.unwrap(), 2);
        assert_eq!(db.insert_usage(&[record(1), record(3)]).await.unwrap(), 1);
        assert_eq!(db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(0)).await.unwrap(), 11 + 13);
        assert_eq!(number(&db, "SELECT SUM(requests) FROM rollups").await, 3);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 6);
    }

    #[tokio::test]
    async fn absurd_counts_of_an_upstream_neither_fail_nor_overflow() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let tokens = TokenCounts { prompt: u64::MAX, completion: u64::MAX, cached: 0, reasoning: 0 };
        for n in 1..=3 {
            let absurd = UsageRecord { tokens, quota_charge: i64::MAX, cost_micros: -5, ..record(n) };
            db.insert_usage(&[absurd]).await.unwrap();
        }
        assert!(db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(0)).await.unwrap() > 0);
        assert_eq!(number(&db, "SELECT CAST(SUM(cost_micros) AS BIGINT) FROM rollups").await, 0);
    }

    #[tokio::test]
    async fn made_up_model_names_do_not_fill_the_roll_ups() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let made_up = |n: u32| UsageRecord {
            channel_id: None,
            key_id: None,
            served_model: None,
            stream: false,
            asked_model: format!("made-up-{n}"),
            ..record(n)
        };
        db.insert_usage(&(1..=90).map(made_up).collect::<Vec<_>>()).await.unwrap();
        db.insert_usage(&(80..=300).map(made_up).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(number(&db, "SELECT COUNT(DISTINCT asked_model) FROM rollups").await, 101);
        assert_eq!(number(&db, "SELECT SUM(requests) FROM rollups").await, 300);
    }
}
