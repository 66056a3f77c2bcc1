//! When models answered last: from the sums of the usage log, and from what was proved of listed models.

use std::collections::BTreeMap;

use super::{Db, StorageResult, on, rollups::BUCKET_MS};
use crate::model::{id::ChannelId, time::UnixMs, usage::OutcomeClass};

/// Answers that are older are no longer told.
const TOLD_MS: i64 = 30 * 86_400_000;

impl Db {
    /// When each model at a channel answered last, within the last 30 days, to a quarter of an hour; a model that did not is left out.
    pub async fn last_answers(&self, now: UnixMs) -> StorageResult<BTreeMap<(ChannelId, String), UnixMs>> {
        let rows: Vec<(i64, String, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT channel_id, model, MAX(at) FROM (
                     SELECT channel_id, w.text AS model, at FROM (
                         SELECT channel_id, model, at FROM last_tries
                         WHERE at >= $1 AND class = (SELECT id FROM words WHERE text = $2)
                         UNION ALL
                         SELECT a.channel_id, a.model, (c.at + a.started_ms) / $3 * $3
                         FROM calls c JOIN call_attempts a ON a.call_id = c.id
                         WHERE c.id > (SELECT folded_to FROM folds) AND +c.at >= $1
                         AND a.class = (SELECT id FROM words WHERE text = $2)) t
                     JOIN words w ON w.id = t.model
                     UNION ALL
                     SELECT channel_id, name AS model, answered_at AS at FROM discovered_models
                     WHERE answered_at >= $1) answers
                 GROUP BY channel_id, model",
            )
            .bind(now.0 - TOLD_MS)
            .bind(OutcomeClass::Success.as_str())
            .bind(BUCKET_MS)
            .fetch_all(pool)
        })?;
        Ok(rows.into_iter().map(|(channel, model, at)| ((ChannelId(channel), model), UnixMs(at))).collect())
    }
}
