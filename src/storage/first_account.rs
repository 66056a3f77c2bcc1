//! What the start and the command line need of accounts: whether there is one, the first one, and a lost password.

use super::{Db, StorageError, StorageResult, on};
use crate::model::id::UserId;

impl Db {
    /// Whether any account exists.
    pub async fn has_account(&self) -> StorageResult<bool> {
        let count: i64 =
            on!(self.read, |pool| sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(pool))?;
        Ok(count > 0)
    }

    /// The names of all accounts, in the order of their creation.
    pub async fn account_names(&self) -> StorageResult<Vec<String>> {
        Ok(on!(self.read, |pool| sqlx::query_scalar("SELECT name FROM users ORDER BY id").fetch_all(pool))?)
    }

    /// Creates the first account. `password_hash` comes from [`password::hash`](super::password::hash).
    ///
    /// [`StorageError::Taken`] if any account exists: of two set-ups at the same time one wins.
    pub async fn create_account(
        &self,
        name: &str,
        password_hash: &str,
        must_change_password: bool,
    ) -> StorageResult<UserId> {
        let id: Option<i64> = on!(self.write, |pool| {
            sqlx::query_scalar(
                "INSERT INTO users (name, password_hash, must_change_password, created_at)
                 SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM users)
                 RETURNING id",
            )
            .bind(name)
            .bind(password_hash)
            .bind(must_change_password)
            .bind(self.now().0)
            .fetch_optional(pool)
        })?;
        id.map(UserId).ok_or(StorageError::Taken("the first account"))
    }

    /// Gives an account (letter case of the name does not matter) a password that must be changed at the next login,
    /// and ends all of its sessions. [`StorageError::Missing`] if there is no such account.
    pub async fn reset_password(&self, name: &str, password_hash: &str) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let id: Option<i64> = sqlx::query_scalar(
            "UPDATE users SET password_hash = $1, must_change_password = TRUE WHERE LOWER(name) = LOWER($2)
             RETURNING id",
        )
        .bind(password_hash)
        .bind(name)
        .fetch_optional(&mut *tx)
        .await?;
        let id = id.ok_or(StorageError::Missing)?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(id).execute(&mut *tx).await?;
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
    async fn only_one_first_account_can_be_created_and_its_password_can_be_reset() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("a master key of a test, long enough"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, Clock::system()).await.unwrap();
        assert!(!db.has_account().await.unwrap());
        assert!(matches!(db.reset_password("admin", "hash").await, Err(StorageError::Missing)));
        db.create_account("Admin", "hash", false).await.unwrap();
        assert!(db.has_account().await.unwrap());
        assert!(matches!(db.create_account("eve", "hash", false).await, Err(StorageError::Taken(_))));
        db.reset_password("admin", "other").await.unwrap();
        assert_eq!(db.account_names().await.unwrap(), ["Admin"]);
        let row: (String, bool) =
            on!(db.read, |pool| sqlx::query_as("SELECT password_hash, must_change_password FROM users")
                .fetch_one(pool))
            .unwrap();
        assert_eq!(row, ("other".into(), true));
    }
}
