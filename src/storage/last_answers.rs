//! When models answered last: from the sums of the usage log, and from what was proved of listed models.

use std::collections::BTreeMap;

use super::{Db, StorageResult, on};
use crate::model::{id::ChannelId, time::UnixMs, usage::OutcomeClass};

/// Answers that are older are no longer told.
const TOLD_MS: i64 = 30 * 86_400_000;

impl Db {
    /// When each model at a channel answered last, within the last 30 days, to a quarter of an hour; a model that did not is left out.
    pub async fn last_answers(&self, now: UnixMs) -> StorageResult<BTreeMap<(ChannelId, String), UnixMs>> {
        let rows: Vec<(i64, String, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT channel_id, model, MAX(at) FROM (
                     SELECT channel_id, model, bucket AS at FROM attempt_rollups WHERE bucket >= $1 AND class = $2
                     UNION ALL
                     SELECT channel_id, name AS model, answered_at AS at FROM discovered_models
                     WHERE answered_at >= $1) answers
                 GROUP BY channel_id, model",
            )
            .bind(now.0 - TOLD_MS)
            .bind(OutcomeClass::Success.as_str())
            .fetch_all(pool)
        })?;
        Ok(rows.into_iter().map(|(channel, model, at)| ((ChannelId(channel), model), UnixMs(at))).collect())
    }
}
