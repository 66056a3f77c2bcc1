//! How many calls there were lately.

use std::time::Duration;

use sqlx::Connection as _;

use super::reader::bounded;
use crate::{
    model::{id::TokenId, time::UnixMs, usage::CallResult},
    storage::{
        Db, StorageResult, on,
        rollups::{BUCKET_MS, bucket_of},
        sheets::{
            days::Dimension,
            scan::{Ask, Source, Wanted},
            totals::sum,
        },
    },
};

/// How long the sums of a token may take the database: clients ask for them.
const SUMS_LIMIT: Duration = Duration::from_secs(2);

/// What a token has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenSums {
    /// All calls.
    pub requests: i64,
    /// Prompt and completion tokens.
    pub tokens: i64,
    /// Cost in micro-dollars.
    pub cost_micros: i64,
}

/// Calls since a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// All of them.
    pub calls: i64,
    /// Those that were not answered completely.
    pub failed: i64,
}

impl Db {
    /// The calls that arrived at `since` or later, as far as the usage log reaches.
    pub async fn call_counts(&self, since: UnixMs) -> StorageResult<CallCounts> {
        let (calls, failed): (i64, i64) = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT COUNT(*), COALESCE(CAST(SUM(result <> (SELECT id FROM words WHERE text = $1)) AS BIGINT), 0)
                 FROM calls WHERE at >= $2",
            )
            .bind(CallResult::Ok.as_str())
            .bind(since.0)
            .fetch_one(pool)
        })?;
        Ok(CallCounts { calls, failed })
    }

    /// What a token has used since a time, which is moved to the start of its quarter of an hour.
    ///
    /// Fails with [`TooSlow`](crate::storage::StorageError::TooSlow) if the database needs more than 2 seconds.
    pub async fn token_sums(&self, token: TokenId, since: UnixMs) -> StorageResult<TokenSums> {
        let ask = Ask {
            from: Some(bucket_of(since).0 / BUCKET_MS),
            to: None,
            by: Dimension::Token,
            wanted: vec![Wanted::Id(Dimension::Token, token.0)],
            starts: Vec::new(),
        };
        let mut reader = self.bounded_reader(SUMS_LIMIT).await?;
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let source = Source::open(&mut snapshot, &self.words, &ask).await?;
        let whole = source.sum(&mut snapshot, false).await?.whole;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        let of = |place: usize| whole.iter().fold(0, |all: u64, step| all.saturating_add(step.sums[place]));
        let number = |sum: u64| i64::try_from(sum).unwrap_or(i64::MAX);
        Ok(TokenSums {
            requests: number(of(sum::REQUESTS)),
            tokens: number(of(sum::PROMPT).saturating_add(of(sum::COMPLETION))),
            cost_micros: number(of(sum::COST)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::UsageRecord,
        storage::recording::tests::{open, record},
    };

    #[tokio::test]
    async fn calls_and_failures_since_a_time_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        assert_eq!(db.call_counts(UnixMs(0)).await.unwrap(), CallCounts::default());
        let at = |number, at, result| UsageRecord { at: UnixMs(at), result, ..record(number) };
        let calls = [
            at(1, 10, CallResult::Ok),
            at(2, 20, CallResult::Ok),
            at(3, 20, CallResult::Timeout),
            at(4, 30, CallResult::UpstreamError),
        ];
        db.insert_usage(&calls).await.unwrap();
        assert_eq!(db.call_counts(UnixMs(20)).await.unwrap(), CallCounts { calls: 3, failed: 2 });
        let sums = db.token_sums(TokenId(1), UnixMs(0)).await.unwrap();
        assert_eq!(sums, TokenSums { requests: 4, tokens: 40 + 1 + 2 + 3 + 4, cost_micros: 28 });
        assert_eq!(db.token_sums(TokenId(2), UnixMs(0)).await.unwrap(), TokenSums::default());
    }
}
