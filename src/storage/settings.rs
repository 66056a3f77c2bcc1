//! Settings that were changed on the settings page.

use std::collections::BTreeMap;

use super::{Db, StorageResult, on};

impl Db {
    /// Every saved setting, by its environment name.
    pub async fn settings(&self) -> StorageResult<BTreeMap<String, String>> {
        let rows: Vec<(String, String)> =
            on!(self.read, |pool| sqlx::query_as("SELECT name, value FROM settings").fetch_all(pool))?;
        Ok(rows.into_iter().collect())
    }

    /// Makes `values` the saved settings, all of them or none; what is not among them falls back to its default.
    pub async fn save_settings(&self, values: &BTreeMap<String, String>) -> StorageResult<()> {
        let now = self.now();
        let mut tx = self.begin().await?;
        let saved: Vec<String> = sqlx::query_scalar("SELECT name FROM settings").fetch_all(&mut *tx).await?;
        for name in saved.iter().filter(|name| !values.contains_key(*name)) {
            sqlx::query("DELETE FROM settings WHERE name = $1").bind(name).execute(&mut *tx).await?;
        }
        for (name, value) in values {
            sqlx::query(
                "INSERT INTO settings (name, value, updated_at) VALUES ($1, $2, $3)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
                 WHERE settings.value <> excluded.value",
            )
            .bind(name)
            .bind(value)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{secret::Secret, time::Clock},
        storage::vault::Vault,
    };

    #[tokio::test]
    async fn saving_replaces_what_was_saved_before() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("a master key of a test, long enough"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, Clock::system()).await.unwrap();
        let map = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect::<BTreeMap<_, _>>()
        };
        db.save_settings(&map(&[("MAX_ATTEMPTS", "3"), ("RETENTION_DAYS", "7")])).await.unwrap();
        let second = map(&[("RETENTION_DAYS", "8")]);
        db.save_settings(&second).await.unwrap();
        assert_eq!(db.settings().await.unwrap(), second);
    }
}
