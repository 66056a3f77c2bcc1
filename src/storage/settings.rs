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
}
