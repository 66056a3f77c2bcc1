//! Usage rows, written in batches by the relay's recorder together with what tokens have spent. What sums them up is made of
//! the rows afterwards, by `sheets`.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use sqlx::AssertSqlSafe;

use super::{
    Db, StorageResult, WriteTransaction, budgets,
    rollups::{clamp_amount, clamp_count},
    spending,
    token_clients::Seen,
    words::NewWords,
};
use crate::model::{
    id::TokenId,
    time::UnixMs,
    token::QuotaUnit,
    usage::{Attempt, ModelFault, UsageRecord, WaitReason},
};

impl Db {
    /// Inserts rows with their attempts, and adds them to what their tokens have spent, all in one transaction. A row whose
    /// request id is there already changes nothing, so a batch may be repeated. Says how many rows were new. Dropping the
    /// future before it ends leaves either all or nothing.
    pub async fn insert_usage(&self, records: &[UsageRecord]) -> StorageResult<u64> {
        let mut tx = self.begin().await?;
        let mut spent: BTreeMap<(TokenId, UnixMs, QuotaUnit), i64> = BTreeMap::new();
        let mut books = budgets::Books::default();
        let mut clients = Seen::default();
        let mut inserted = 0;
        let mut words = NewWords::new(&self.words);
        words.add(&mut tx, records.iter().flat_map(texts)).await?;
        for (group, mut ids) in insert_rows(&mut tx, records, &words).await? {
            let mut attempts = Vec::new();
            for record in group {
                // Of two rows with one id only the first is new.
                let Some(call_id) = ids.remove(&record.request_id.0.as_bytes()[..]) else { continue };
                attempts.extend(
                    (0_i64..).zip(&record.attempts).map(|(position, attempt)| (call_id, position, attempt)),
                );
                inserted += 1;
                clients.add(record);
                let charge = clamp_amount(record.quota_charge);
                if let (Some(unit), 1..) = (record.quota_unit, charge) {
                    let sum = spent.entry((record.token_id, record.quota_period, unit)).or_default();
                    *sum = sum.saturating_add(charge);
                }
                books.add(record);
            }
            insert_attempts(&mut tx, &attempts, &words).await?;
        }
        spending::add(&mut tx, &spent).await?;
        books.write(&mut tx).await?;
        clients.write(&mut tx).await?;
        tx.commit().await?;
        words.committed();
        Ok(inserted)
    }
}

/// The texts of a row that are kept as words. The name of a model that nobody serves is not, nor the code of an error:
/// clients make such names up, and upstreams such codes.
fn texts(record: &UsageRecord) -> impl Iterator<Item = &str> {
    let asked = record.channel_id.map(|_| record.asked_model.as_str());
    let row = [record.endpoint.as_str(), record.result.as_str(), record.client_kind.as_str()];
    let attempts = record.attempts.iter().flat_map(|attempt| {
        let waited_for = attempt.waited_for.map(WaitReason::as_str);
        let fault = attempt.model_fault.map(ModelFault::as_str);
        [attempt.model.as_str(), attempt.class.as_str()].into_iter().chain(waited_for).chain(fault)
    });
    row.into_iter().chain(asked).chain(record.served_model.as_deref()).chain(attempts)
}

/// A trace id as the database has it, if it is one as tracers make them: 16 bytes.
pub(super) fn trace_bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != 32 || !text.bytes().all(digit) {
        return None;
    }
    Some(u128::from_str_radix(text, 16).ok()?.to_be_bytes().to_vec())
}

/// How many rows one statement takes. A statement costs two switches of threads, whatever it does, so a busy server's rows
/// go in large groups; few sizes, so that each is prepared once.
const GROUPS: [usize; 4] = [64, 16, 4, 1];

/// Splits a slice into groups of the sizes above, the largest first.
pub(super) fn groups<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = GROUPS.into_iter().find(|size| *size <= rest.len())?;
        let (group, later) = rest.split_at(size);
        rest = later;
        Some(group)
    })
}

/// `(?, ?), (?, ?)` for two rows of two columns. Nameless, because SQLite looks names up one by one, which for many
/// parameters takes longer than all else.
pub(super) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", ["?"].repeat(columns).join(", "));
    [row.as_str()].repeat(rows).join(", ")
}

/// Inserts rows; gives them in groups, each with the ids of those of its rows that were new, by request id.
async fn insert_rows<'a>(
    tx: &mut WriteTransaction,
    records: &'a [UsageRecord],
    words: &NewWords,
) -> StorageResult<Vec<(&'a [UsageRecord], HashMap<Vec<u8>, i64>)>> {
    const COLUMNS: usize = 26;
    let mut done = Vec::new();
    for group in groups(records) {
        let sql = format!(
            "INSERT INTO calls (request_id, at, token_id, channel_id, key_id, asked_model, served_model, endpoint, stream, \
             status, result, error_code, queue_ms, first_token_ms, total_ms, prompt_tokens, completion_tokens, \
             cached_tokens, reasoning_tokens, estimated, cost_micros, client_address, client_kind, trace_id, \
             attempt_count, units) VALUES {} ON CONFLICT (request_id) DO NOTHING RETURNING request_id, id",
            placeholders(group.len(), COLUMNS)
        );
        let mut query = sqlx::query_as::<_, (Vec<u8>, i64)>(AssertSqlSafe(sql));
        for record in group {
            query = query
                .bind(&record.request_id.0.as_bytes()[..])
                .bind(record.at.0)
                .bind(record.token_id.0)
                .bind(record.channel_id.map(|id| id.0))
                .bind(record.key_id.map(|id| id.0));
            query = match record.channel_id {
                Some(_) => query.bind(words.id(&record.asked_model)),
                None => query.bind(&record.asked_model),
            };
            query = query
                .bind(record.served_model.as_deref().map(|text| words.id(text)))
                .bind(words.id(record.endpoint.as_str()))
                .bind(record.stream)
                .bind(i64::from(record.status))
                .bind(words.id(record.result.as_str()))
                .bind(record.error_code.as_deref())
                .bind(i64::from(record.queue_ms))
                .bind(record.first_token_ms.map(i64::from))
                .bind(i64::from(record.total_ms))
                .bind(clamp_count(record.tokens.prompt))
                .bind(clamp_count(record.tokens.completion))
                .bind(clamp_count(record.tokens.cached))
                .bind(clamp_count(record.tokens.reasoning))
                .bind(record.estimated)
                .bind(clamp_amount(record.cost_micros));
            query = match record.client_address.parse::<Ipv4Addr>() {
                Ok(address) => query.bind(i64::from(address.to_bits())),
                Err(_) => query.bind(&record.client_address),
            };
            query = query.bind(words.id(&record.client_kind));
            query = match record.trace_id.as_deref().map(|text| (text, trace_bytes(text))) {
                Some((_, Some(bytes))) => query.bind(bytes),
                Some((text, None)) => query.bind(text),
                None => query.bind(None::<i64>),
            };
            query = query
                .bind(i64::try_from(record.attempts.len()).unwrap_or(i64::MAX))
                .bind(record.units.as_ref().and_then(|units| serde_json::to_string(units).ok()));
        }
        done.push((group, query.fetch_all(&mut **tx).await?.into_iter().collect()));
    }
    Ok(done)
}

/// Inserts attempts, each with the id of its row and its position in it.
async fn insert_attempts(
    tx: &mut WriteTransaction,
    attempts: &[(i64, i64, &Attempt)],
    words: &NewWords,
) -> StorageResult<()> {
    const COLUMNS: usize = 14;
    for group in groups(attempts) {
        let sql = format!(
            "INSERT INTO call_attempts (call_id, position, channel_id, key_id, model, started_ms, first_byte_ms, \
             duration_ms, status, class, detail, waited_ms, waited_for, model_fault) VALUES {}",
            placeholders(group.len(), COLUMNS)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (call_id, position, attempt) in group {
            query = query
                .bind(call_id)
                .bind(position)
                .bind(attempt.channel_id.0)
                .bind(attempt.key_id.0)
                .bind(words.id(&attempt.model))
                .bind(i64::from(attempt.started_ms))
                .bind(attempt.first_byte_ms.map(i64::from))
                .bind(i64::from(attempt.duration_ms))
                .bind(attempt.status.map(i64::from))
                .bind(words.id(attempt.class.as_str()))
                .bind(Some(&attempt.detail).filter(|detail| !detail.is_empty()))
                .bind(i64::from(attempt.waited_ms))
                .bind(attempt.waited_for.map(|reason| words.id(reason.as_str())))
                .bind(attempt.model_fault.map(|fault| words.id(fault.as_str())));
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
        storage::{
            usage_query::{
                UsageFilter,
                report::{Apart, GroupBy, GroupName, Question, Sums},
            },
            vault::Vault,
        },
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
            model_fault: None,
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
            saved_micros: 0,
            client_address: "127.0.0.1".into(),
            client_kind: "curl".into(),
            client_version: None,
            trace_id: None,
            quota_unit: Some(QuotaUnit::Tokens),
            quota_charge: 10 + i64::from(n),
            quota_period: UnixMs(0),
            charges: Vec::new(),
            attempts: vec![attempt, second],
        }
    }

    /// The single number that a query gives.
    pub(crate) async fn number(db: &Db, sql: &'static str) -> i64 {
        super::super::on!(db.read, |pool| sqlx::query_scalar(sql).fetch_one(pool)).unwrap()
    }

    /// The sums of all calls.
    pub(crate) async fn all_sums(db: &Db) -> Sums {
        db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Token)).await.unwrap().sums
    }

    #[tokio::test]
    async fn a_repeated_row_counts_once_and_a_call_without_quota_charges_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let without_quota = UsageRecord { quota_unit: None, ..record(2) };
        assert_eq!(db.insert_usage(&[record(1), without_quota, record(1)]).await.unwrap(), 2);
        assert_eq!(db.insert_usage(&[record(1), record(3)]).await.unwrap(), 1);
        assert_eq!(db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(0)).await.unwrap(), 11 + 13);
        assert_eq!(all_sums(&db).await.requests, 3);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 6);
        db.fold_usage(100).await.unwrap();
        assert_eq!(db.insert_usage(&[record(3), record(2)]).await.unwrap(), 0);
        assert_eq!(all_sums(&db).await.requests, 3);
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
        for _ in 0..2 {
            let sums = all_sums(&db).await;
            assert_eq!((sums.requests, sums.cost_micros), (3, 0));
            assert_eq!(sums.tokens.prompt, 3_000_000_000_000_000);
            db.fold_usage(100).await.unwrap();
        }
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
        db.fold_usage(1000).await.unwrap();
        db.insert_usage(&(80..=300).map(made_up).collect::<Vec<_>>()).await.unwrap();
        db.fold_usage(50).await.unwrap();
        db.fold_usage(1000).await.unwrap();
        let mut question = Question::new(UsageFilter::default(), GroupBy::Model);
        question.apart = Apart::Largest(1000);
        let report = db.usage_report(&question).await.unwrap();
        assert_eq!((report.groups.len(), report.sums.requests), (101, 300));
        assert_eq!(report.groups[0].name, GroupName::Model("(other)".into()));
        assert_eq!(number(&db, "SELECT COUNT(*) FROM words WHERE text LIKE 'made-up-%'").await, 100);
        assert_eq!(
            number(&db, "SELECT COUNT(DISTINCT asked_model) FROM usage").await,
            300,
            "the log has them all"
        );
    }

    #[tokio::test]
    async fn addresses_and_traces_of_every_kind_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let trace = "0af7651916cd43dd8448eb211c80319c";
        for (n, address, trace) in [
            (1, "203.0.113.255", Some(trace)),
            (2, "0.0.0.0", Some("not-a-trace")),
            (3, "2001:db8::1", Some("0AF7651916CD43DD8448EB211C80319C")),
            (4, "", None),
        ] {
            let call = UsageRecord {
                client_address: address.into(),
                trace_id: trace.map(str::to_owned),
                ..record(n)
            };
            db.insert_usage(std::slice::from_ref(&call)).await.unwrap();
            let (row, attempts) = db.usage_find(call.request_id).await.unwrap().unwrap();
            assert_eq!((row.client_address.as_str(), row.trace_id.as_deref()), (address, trace));
            assert_eq!((row.request_id, row.asked_model.as_str()), (call.request_id, "Llama"));
            assert_eq!((row.served_model.as_deref(), row.client_kind.as_str()), (Some("llama"), "curl"));
            assert_eq!(
                (attempts[0].waited_for, attempts[0].class),
                (Some(WaitReason::Limit), OutcomeClass::RateLimited)
            );
        }
    }
}
