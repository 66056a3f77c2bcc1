//! What tokens' OpenClaws were last given, so that the next export can say what changed and take back what is gone.

use super::{Db, StorageError, StorageResult, on};
use crate::model::{
    id::TokenId,
    openclaw_export::{ExportRecord, SavedExport},
    time::UnixMs,
};

/// The most exports that are remembered of a token: each has a provider id or a part of its own. The oldest are forgotten.
pub const MOST_EXPORTS: u32 = 16;
/// The largest record in bytes: a thousand models with long names. A larger one is not remembered.
const MAX_RECORD_BYTES: usize = 1 << 20;
/// An export that is the same as the last one is not written again within this time.
const SAME_FOR_MS: i64 = 60_000;

impl Db {
    /// What is remembered of a token's last export of a part with a provider id.
    pub async fn find_openclaw_export(
        &self,
        token: TokenId,
        provider_id: &str,
        part: &str,
    ) -> StorageResult<Option<SavedExport>> {
        let row: Option<(i64, String)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT exported_at, record FROM openclaw_exports
                 WHERE token_id = $1 AND provider_id = $2 AND part = $3",
            )
            .bind(token.0)
            .bind(provider_id)
            .bind(part)
            .fetch_optional(pool)
        })?;
        // What another version wrote otherwise is as good as nothing: the next export writes it anew.
        Ok(row.and_then(|(at, record)| {
            let record = serde_json::from_str(&record).ok()?;
            Some(SavedExport { record, at: UnixMs(at) })
        }))
    }

    /// Remembers an export in place of the one before. The same one again within a minute changes nothing.
    pub async fn save_openclaw_export(
        &self,
        token: TokenId,
        provider_id: &str,
        part: &str,
        record: &ExportRecord,
    ) -> StorageResult<()> {
        let now = self.now();
        let last = self.find_openclaw_export(token, provider_id, part).await?;
        if last.is_some_and(|last| last.record == *record && now.0 - last.at.0 < SAME_FOR_MS) {
            return Ok(());
        }
        let text = serde_json::to_string(record)
            .map_err(|error| StorageError::Unreadable(format!("an export of OpenClaw's: {error}")))?;
        if text.len() > MAX_RECORD_BYTES {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO openclaw_exports (token_id, provider_id, part, exported_at, record)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (token_id, provider_id, part)
             DO UPDATE SET exported_at = excluded.exported_at, record = excluded.record",
        )
        .bind(token.0)
        .bind(provider_id)
        .bind(part)
        .bind(now.0)
        .bind(text)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM openclaw_exports WHERE token_id = $1 AND (provider_id, part) IN (
                 SELECT provider_id, part FROM openclaw_exports WHERE token_id = $1
                 ORDER BY exported_at DESC, provider_id, part LIMIT 1000 OFFSET $2)",
        )
        .bind(token.0)
        .bind(MOST_EXPORTS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{openclaw_export::RecordedModel, secret::Secret},
        storage::{recording::tests::open, tokens::NewToken},
    };

    fn record(model: &str) -> ExportRecord {
        let models =
            vec![RecordedModel { id: model.into(), context_window: Some(8000), ..Default::default() }];
        let aliases = [(model.to_owned(), "short".to_owned())].into();
        ExportRecord { models, aliases, hash: "00".into(), options: "model=m".into(), ..Default::default() }
    }

    async fn token(db: &Db, name: &str) -> TokenId {
        let value = Secret::new(format!("sk-{name}0000000000000000000000000000000000000"));
        db.create_token(&NewToken::unlimited(name, value)).await.unwrap()
    }

    #[tokio::test]
    async fn the_last_export_of_each_token_provider_and_part_is_found_until_the_token_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let (one, other) = (token(&db, "a").await, token(&db, "b").await);
        assert_eq!(db.find_openclaw_export(one, "onepool", "chat").await.unwrap(), None);
        db.save_openclaw_export(one, "onepool", "chat", &record("old")).await.unwrap();
        db.save_openclaw_export(one, "onepool", "chat", &record("new")).await.unwrap();
        db.save_openclaw_export(one, "onepool", "media", &record("media")).await.unwrap();
        db.save_openclaw_export(other, "onepool", "chat", &record("other")).await.unwrap();
        let found = db.find_openclaw_export(one, "onepool", "chat").await.unwrap().unwrap();
        assert_eq!(found.record, record("new"));
        assert!(found.at <= db.now());
        assert_eq!(db.find_openclaw_export(one, "pool", "chat").await.unwrap(), None);
        db.delete_token(one).await.unwrap();
        assert_eq!(db.find_openclaw_export(one, "onepool", "chat").await.unwrap(), None);
        assert!(db.find_openclaw_export(other, "onepool", "chat").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn of_many_provider_ids_only_the_last_ones_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let token = token(&db, "a").await;
        for number in 0..MOST_EXPORTS + 4 {
            db.save_openclaw_export(token, &format!("p{number:03}"), "chat", &record("m")).await.unwrap();
        }
        let mut kept = 0;
        for number in 0..MOST_EXPORTS + 4 {
            let found = db.find_openclaw_export(token, &format!("p{number:03}"), "chat").await.unwrap();
            kept += u32::from(found.is_some());
        }
        assert_eq!(kept, MOST_EXPORTS);
        let huge = record(&"m".repeat(MAX_RECORD_BYTES));
        db.save_openclaw_export(token, "huge", "chat", &huge).await.unwrap();
        assert_eq!(db.find_openclaw_export(token, "huge", "chat").await.unwrap(), None);
    }
}
