//! What is used and known of the limits of keys, so that a restart begins where the run before it ended.

use super::{Db, StorageResult, on};

/// What was saved last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The state, JSON.
    pub saved: String,
    /// Whether the run that saved it ended in good order, so that nothing came after it.
    pub complete: bool,
}

impl Db {
    /// Replaces the saved state, JSON; `complete` says that nothing will come after it.
    pub async fn save_ledger(&self, saved: &str, complete: bool) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO ledger (id, saved, complete) VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE \
                           SET saved = excluded.saved, complete = excluded.complete";
        on!(self.write, |pool| sqlx::query(SQL).bind(saved).bind(complete).execute(pool))?;
        Ok(())
    }

    /// The saved state, if there is one.
    pub async fn load_ledger(&self) -> StorageResult<Option<LedgerRow>> {
        let row: Option<(String, bool)> = on!(self.read, |pool| {
            sqlx::query_as("SELECT saved, complete FROM ledger WHERE id = 1").fetch_optional(pool)
        })?;
        Ok(row.map(|(saved, complete)| LedgerRow { saved, complete }))
    }

    /// Notes that a run has begun: what is saved is no longer complete.
    pub async fn open_ledger(&self) -> StorageResult<()> {
        on!(self.write, |pool| sqlx::query("UPDATE ledger SET complete = FALSE WHERE id = 1").execute(pool))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::LedgerRow;
    use crate::storage::recording::tests::open;

    #[tokio::test]
    async fn a_state_is_complete_until_the_next_run_begins() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.open_ledger().await.unwrap();
        assert_eq!(db.load_ledger().await.unwrap(), None);
        db.save_ledger("{}", false).await.unwrap();
        db.save_ledger("[]", true).await.unwrap();
        let row = |complete| Some(LedgerRow { saved: "[]".into(), complete });
        assert_eq!(db.load_ledger().await.unwrap(), row(true));
        db.open_ledger().await.unwrap();
        assert_eq!(db.load_ledger().await.unwrap(), row(false));
    }
}
