//! Sums of the usage log per 15 minutes, which stay when the log's own rows are deleted.
//!
//! `Batch` adds up the rows of one transaction in memory and merges the sums into the tables. Merging reads and then
//! writes; that is right because the write connection is the only writer.

use std::collections::{BTreeMap, BTreeSet};

use super::{StorageResult, WriteTransaction};
use crate::model::{
    time::UnixMs,
    usage::{Attempt, CallResult, Endpoint, OutcomeClass, UsageRecord},
};

/// The length of a bucket in milliseconds: 15 minutes divide every time zone's days and hours.
pub const BUCKET_MS: i64 = 15 * 60 * 1000;

/// The start of the bucket (UTC) that a time lies in.
pub fn bucket_of(at: UnixMs) -> UnixMs {
    UnixMs(at.0 - at.0.rem_euclid(BUCKET_MS))
}

/// How many different model names of calls that reached no channel a bucket keeps apart. The names are the client's
/// free choice, and sums are kept for good.
const UNSERVED_NAMES: usize = 100;

/// The name under which further ones are summed up.
const OTHER_NAMES: &str = "(other)";

/// The largest count, charge or cost of one row; what is above is an upstream's nonsense, and would in the end
/// overflow the sums.
const LARGEST: i64 = 1_000_000_000_000_000;

/// A count as the database keeps it.
pub(super) fn clamp_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(LARGEST).min(LARGEST)
}

/// An amount as the database keeps it: never negative.
pub(super) fn clamp_amount(amount: i64) -> i64 {
    amount.clamp(0, LARGEST)
}

/// The inclusive upper bounds of a histogram's buckets in milliseconds: the preferred numbers of ISO 3's R10 series,
/// ten per decade, from 1 ms to a little over an hour.
#[rustfmt::skip]
const BOUNDS: [u32; 64] = [
    1, 2, 3, 4, 5, 6, 8,
    10, 12, 16, 20, 25, 31, 40, 50, 63, 80,
    100, 125, 160, 200, 250, 315, 400, 500, 630, 800,
    1_000, 1_250, 1_600, 2_000, 2_500, 3_150, 4_000, 5_000, 6_300, 8_000,
    10_000, 12_500, 16_000, 20_000, 25_000, 31_500, 40_000, 50_000, 63_000, 80_000,
    100_000, 125_000, 160_000, 200_000, 250_000, 315_000, 400_000, 500_000, 630_000, 800_000,
    1_000_000, 1_250_000, 1_600_000, 2_000_000, 2_500_000, 3_150_000, 4_000_000,
];

/// A distribution of durations in buckets that grow by at most 33 %.
///
/// In the database it is a JSON object of the buckets that are not empty, `{"160":3,"200":1}`: upper bound in
/// milliseconds, and how many durations lie between the next smaller bound and this one. Longer ones than the largest
/// bound (4 000 s) count as that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u32, u64>);

impl Histogram {
    /// Counts one duration, in milliseconds.
    pub fn add(&mut self, ms: u32) {
        let index = BOUNDS.partition_point(|bound| *bound < ms).min(BOUNDS.len() - 1);
        self.add_many(BOUNDS[index], 1);
    }

    /// Counts everything that `other` counts.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            self.add_many(*bound, *count);
        }
    }

    fn add_many(&mut self, bound: u32, count: u64) {
        let sum = self.0.entry(bound).or_default();
        *sum = sum.saturating_add(count);
    }

    /// How many durations it counts.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration in milliseconds that a share `p` (0 to 1) of all durations does not exceed; `None` if there are
    /// none.
    ///
    /// Interpolated inside the bucket in which the exact value lies, so it differs from that by less than the bucket's
    /// width: less than 33 % of the exact value, and less than 4 ms for values of up to 16 ms.
    pub fn quantile(&self, p: f64) -> Option<u32> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = (p.clamp(0.0, 1.0) * total as f64).ceil().max(1.0);
        let mut below = 0.0;
        for (bound, count) in &self.0 {
            let count = *count as f64;
            if below + count >= rank {
                let lower =
                    BOUNDS[..BOUNDS.partition_point(|other| other < bound)].last().copied().unwrap_or(0);
                let share = (rank - below) / count;
                return Some((f64::from(lower) + share * f64::from(bound - lower)).round() as u32);
            }
            below += count;
        }
        self.0.last_key_value().map(|(bound, _)| *bound)
    }

    /// The text that [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("a map of numbers is always JSON")
    }

    /// Reads a histogram's JSON; `None` if it is not one. Bounds that are not ours are rounded up to one that is.
    pub fn from_json(text: &str) -> Option<Self> {
        let read: BTreeMap<u32, u64> = serde_json::from_str(text).ok()?;
        let mut histogram = Self::default();
        for (bound, count) in read {
            let index = BOUNDS.partition_point(|own| *own < bound).min(BOUNDS.len() - 1);
            histogram.add_many(BOUNDS[index], count);
        }
        Some(histogram)
    }
}

/// Every dimension of a row in `rollups`; 0 and empty texts stand for "none".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    bucket: UnixMs,
    token_id: i64,
    channel_id: i64,
    key_id: i64,
    asked_model: String,
    served_model: String,
    endpoint: Endpoint,
    client_kind: String,
    stream: bool,
    status: u16,
    result: CallResult,
}

impl Key {
    fn of(record: &UsageRecord) -> Self {
        Self {
            bucket: bucket_of(record.at),
            token_id: record.token_id.0,
            channel_id: record.channel_id.map_or(0, |id| id.0),
            key_id: record.key_id.map_or(0, |id| id.0),
            asked_model: record.asked_model.clone(),
            served_model: record.served_model.clone().unwrap_or_default(),
            endpoint: record.endpoint,
            client_kind: record.client_kind.clone(),
            stream: record.stream,
            status: record.status,
            result: record.result,
        }
    }
}

/// Bucket, channel, key, model and class of a row in `attempt_rollups`.
type AttemptKey = (UnixMs, i64, i64, String, OutcomeClass);

#[derive(Debug, Default)]
struct Sums {
    requests: i64,
    retried: i64,
    estimated: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    cost_micros: i64,
    queue_ms: i64,
    queue: Histogram,
    first_token: Histogram,
    total: Histogram,
}

impl Sums {
    fn add(&mut self, record: &UsageRecord) {
        let tokens = &record.tokens;
        self.requests += 1;
        self.retried += i64::from(record.attempts.len() > 1);
        self.estimated += i64::from(record.estimated);
        for (sum, count) in [
            (&mut self.prompt_tokens, tokens.prompt),
            (&mut self.completion_tokens, tokens.completion),
            (&mut self.cached_tokens, tokens.cached),
            (&mut self.reasoning_tokens, tokens.reasoning),
        ] {
            *sum = sum.saturating_add(clamp_count(count));
        }
        self.cost_micros = self.cost_micros.saturating_add(clamp_amount(record.cost_micros));
        self.queue_ms += i64::from(record.queue_ms);
        self.queue.add(record.queue_ms);
        if let Some(ms) = record.first_token_ms {
            self.first_token.add(ms);
        }
        self.total.add(record.total_ms);
    }

    fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.requests, other.requests),
            (&mut self.retried, other.retried),
            (&mut self.estimated, other.estimated),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
            (&mut self.cached_tokens, other.cached_tokens),
            (&mut self.reasoning_tokens, other.reasoning_tokens),
            (&mut self.cost_micros, other.cost_micros),
            (&mut self.queue_ms, other.queue_ms),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.queue.merge(&other.queue);
        self.first_token.merge(&other.first_token);
        self.total.merge(&other.total);
    }
}

/// The sums of the rows of one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    calls: BTreeMap<Key, Sums>,
    /// How many, and their milliseconds.
    attempts: BTreeMap<AttemptKey, (i64, i64)>,
}

impl Batch {
    /// Adds a row that was inserted, with its attempts.
    pub(super) fn add(&mut self, record: &UsageRecord) {
        self.calls.entry(Key::of(record)).or_default().add(record);
        for Attempt { channel_id, key_id, model, started_ms, duration_ms, class, .. } in &record.attempts {
            let bucket = bucket_of(UnixMs(record.at.0.saturating_add(i64::from(*started_ms))));
            let key = (bucket, channel_id.0, key_id.0, model.clone(), *class);
            let (count, ms) = self.attempts.entry(key).or_default();
            *count += 1;
            *ms += i64::from(*duration_ms);
        }
    }

    /// Merges the sums into the tables.
    pub(super) async fn write(mut self, tx: &mut WriteTransaction) -> StorageResult<()> {
        self.bound_unserved_names(tx).await?;
        for (key, sums) in &self.calls {
            write_calls(tx, key, sums).await?;
        }
        for ((bucket, channel_id, key_id, model, class), (count, ms)) in &self.attempts {
            const SQL: &str = "INSERT INTO attempt_rollups (bucket, channel_id, key_id, model, class, attempts, \
                               duration_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                               ON CONFLICT (bucket, channel_id, key_id, model, class) DO UPDATE SET \
                               attempts = attempt_rollups.attempts + excluded.attempts, \
                               duration_ms = attempt_rollups.duration_ms + excluded.duration_ms";
            sqlx::query(SQL)
                .bind(bucket.0)
                .bind(channel_id)
                .bind(key_id)
                .bind(model)
                .bind(class.as_str())
                .bind(count)
                .bind(ms)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Sums the calls for ever more made-up model names under one name.
    async fn bound_unserved_names(&mut self, tx: &mut WriteTransaction) -> StorageResult<()> {
        let buckets: BTreeSet<UnixMs> =
            self.calls.keys().filter(|key| key.channel_id == 0).map(|key| key.bucket).collect();
        for bucket in buckets {
            const SQL: &str = "SELECT DISTINCT asked_model FROM rollups WHERE bucket = $1 AND channel_id = 0";
            let names: Vec<String> = sqlx::query_scalar(SQL).bind(bucket.0).fetch_all(&mut **tx).await?;
            let mut names: BTreeSet<String> = names.into_iter().collect();
            let mut surplus = Vec::new();
            for key in self.calls.keys().filter(|key| key.channel_id == 0 && key.bucket == bucket) {
                if names.contains(&key.asked_model) {
                    continue;
                }
                if names.len() < UNSERVED_NAMES {
                    names.insert(key.asked_model.clone());
                } else {
                    surplus.push(key.clone());
                }
            }
            for mut key in surplus {
                let Some(sums) = self.calls.remove(&key) else { continue };
                OTHER_NAMES.clone_into(&mut key.asked_model);
                self.calls.entry(key).or_default().merge(&sums);
            }
        }
        Ok(())
    }
}

async fn write_calls(tx: &mut WriteTransaction, key: &Key, sums: &Sums) -> StorageResult<()> {
    const FIND: &str = "SELECT queue_histogram, first_token_histogram, total_histogram FROM rollups \
                        WHERE bucket = $1 AND token_id = $2 AND channel_id = $3 AND key_id = $4 AND asked_model = $5 \
                        AND served_model = $6 AND endpoint = $7 AND client_kind = $8 AND stream = $9 \
                        AND status = $10 AND result = $11";
    const WRITE: &str = "INSERT INTO rollups (bucket, token_id, channel_id, key_id, asked_model, served_model, endpoint, client_kind, \
         stream, status, result, requests, retried, estimated, prompt_tokens, completion_tokens, cached_tokens, \
         reasoning_tokens, cost_micros, queue_ms, queue_histogram, first_token_histogram, total_histogram) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23) \
         ON CONFLICT (bucket, token_id, channel_id, key_id, asked_model, served_model, endpoint, client_kind, stream, \
         status, result) DO UPDATE SET \
         requests = rollups.requests + excluded.requests, retried = rollups.retried + excluded.retried, \
         estimated = rollups.estimated + excluded.estimated, \
         prompt_tokens = rollups.prompt_tokens + excluded.prompt_tokens, \
         completion_tokens = rollups.completion_tokens + excluded.completion_tokens, \
         cached_tokens = rollups.cached_tokens + excluded.cached_tokens, \
         reasoning_tokens = rollups.reasoning_tokens + excluded.reasoning_tokens, \
         cost_micros = rollups.cost_micros + excluded.cost_micros, queue_ms = rollups.queue_ms + excluded.queue_ms, \
         queue_histogram = excluded.queue_histogram, first_token_histogram = excluded.first_token_histogram, \
         total_histogram = excluded.total_histogram";
    let present: Option<(String, String, String)> = sqlx::query_as(FIND)
        .bind(key.bucket.0)
        .bind(key.token_id)
        .bind(key.channel_id)
        .bind(key.key_id)
        .bind(&key.asked_model)
        .bind(&key.served_model)
        .bind(key.endpoint.as_str())
        .bind(&key.client_kind)
        .bind(key.stream)
        .bind(i64::from(key.status))
        .bind(key.result.as_str())
        .fetch_optional(&mut **tx)
        .await?;
    let (queue, first_token, total) = present.unwrap_or_default();
    sqlx::query(WRITE)
        .bind(key.bucket.0)
        .bind(key.token_id)
        .bind(key.channel_id)
        .bind(key.key_id)
        .bind(&key.asked_model)
        .bind(&key.served_model)
        .bind(key.endpoint.as_str())
        .bind(&key.client_kind)
        .bind(key.stream)
        .bind(i64::from(key.status))
        .bind(key.result.as_str())
        .bind(sums.requests)
        .bind(sums.retried)
        .bind(sums.estimated)
        .bind(sums.prompt_tokens)
        .bind(sums.completion_tokens)
        .bind(sums.cached_tokens)
        .bind(sums.reasoning_tokens)
        .bind(sums.cost_micros)
        .bind(sums.queue_ms)
        .bind(merged(&queue, &sums.queue))
        .bind(merged(&first_token, &sums.first_token))
        .bind(merged(&total, &sums.total))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The JSON of `present` (empty: none yet) and `more` together. A histogram that does not read back begins anew: it
/// must not keep every later row out of the database.
fn merged(present: &str, more: &Histogram) -> String {
    let mut histogram = if present.is_empty() {
        Histogram::default()
    } else {
        Histogram::from_json(present).unwrap_or_else(|| {
            tracing::warn!("a histogram in the database was unreadable and begins anew");
            Histogram::default()
        })
    };
    histogram.merge(more);
    histogram.to_json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_within_the_documented_distance_of_the_exact_value() {
        // A long-tailed set of durations from 1 ms to 20 minutes.
        let mut exact: Vec<u32> = (0..5_000_u32).map(|i| 1 + (1.0028_f64.powi(i as i32) as u32)).collect();
        let mut histogram = Histogram::default();
        exact.iter().for_each(|ms| histogram.add(*ms));
        exact.sort_unstable();
        for p in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0] {
            let rank = ((p * exact.len() as f64).ceil() as usize).max(1);
            let expected = f64::from(exact[rank - 1]);
            let found = f64::from(histogram.quantile(p).unwrap());
            let allowed = if expected <= 16.0 { 4.0 } else { expected * 0.33 };
            assert!((found - expected).abs() < allowed, "p{p}: {found} instead of {expected}");
        }
    }

    #[test]
    fn buckets_grow_by_a_third_at_most() {
        for pair in BOUNDS.windows(2).filter(|pair| pair[0] >= 6) {
            assert!(pair[0] < pair[1] && f64::from(pair[1]) / f64::from(pair[0]) < 1.34, "{pair:?}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::default().to_json(), "{}");
    }

    #[test]
    fn a_histogram_survives_the_database_and_merging_is_like_adding_everything_to_one() {
        let (mut left, mut right, mut all) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for ms in [0, 1, 7, 130, 130, 4_000_000, u32::MAX] {
            left.add(ms);
            all.add(ms);
        }
        for ms in [130, 90_000] {
            right.add(ms);
            all.add(ms);
        }
        left.merge(&right);
        assert_eq!(left, all);
        assert_eq!(all.to_json(), r#"{"1":2,"8":1,"160":3,"100000":1,"4000000":2}"#);
        assert_eq!(Histogram::from_json(&all.to_json()), Some(all));
        assert_eq!(Histogram::from_json("[1]"), None);
    }

    #[test]
    fn a_bucket_begins_at_a_quarter_of_an_hour() {
        let at: jiff::Timestamp = "2026-05-01T10:29:59.999Z".parse().unwrap();
        let start: jiff::Timestamp = "2026-05-01T10:15:00Z".parse().unwrap();
        assert_eq!(bucket_of(UnixMs(at.as_millisecond())), UnixMs(start.as_millisecond()));
    }
}
