//! How many calls there were lately.

use crate::{
    model::{time::UnixMs, usage::CallResult},
    storage::{Db, StorageResult, on},
};

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
                "SELECT COUNT(*), COALESCE(CAST(SUM(CASE WHEN result <> $1 THEN 1 ELSE 0 END) AS BIGINT), 0)
                 FROM usage WHERE at >= $2",
            )
            .bind(CallResult::Ok.as_str())
            .bind(since.0)
            .fetch_one(pool)
        })?;
        Ok(CallCounts { calls, failed })
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
    }
}
