//! The rests of keys, models and hosts, so that a restart does not send at once what was just refused.

use super::{Db, StorageResult, on};

impl Db {
    /// Replaces all saved rests; each is a scope and a rest, both JSON. All or nothing.
    pub async fn save_rests(&self, rests: &[(String, String)]) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO rests (scope, rest) VALUES ($1, $2) \
                           ON CONFLICT (scope) DO UPDATE SET rest = excluded.rest";
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM rests").execute(&mut *tx).await?;
        for (scope, rest) in rests {
            sqlx::query(SQL).bind(scope).bind(rest).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Every saved rest, as [`save_rests`](Self::save_rests) took it.
    pub async fn load_rests(&self) -> StorageResult<Vec<(String, String)>> {
        Ok(on!(self.read, |pool| sqlx::query_as("SELECT scope, rest FROM rests ORDER BY scope")
            .fetch_all(pool))?)
    }

    /// Asks the running server, within a second, to end a rest; `scope` is JSON. Without a server it is done at the next
    /// start. What is saved of the rest is gone at once.
    pub async fn ask_for_retry(&self, scope: &str) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO retries (scope) VALUES ($1)").bind(scope).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM rests WHERE scope = $1").bind(scope).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Asks the running server, within a second, to let a scope rest; without a server it rests from the next start on.
    /// `wish` is what [`take_retries`](Self::take_retries) gives then, `rest` what is saved at once; all are JSON.
    pub async fn ask_for_pause(&self, scope: &str, rest: &str, wish: &str) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO rests (scope, rest) VALUES ($1, $2) \
                           ON CONFLICT (scope) DO UPDATE SET rest = excluded.rest";
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO retries (scope) VALUES ($1)").bind(wish).execute(&mut *tx).await?;
        sqlx::query(SQL).bind(scope).bind(rest).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Leaves a wish (JSON) for the running server, which carries it out within a second; else for the next start.
    pub async fn leave_wish(&self, wish: &str) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO retries (scope) VALUES ($1)").bind(wish).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes away every scope that [`ask_for_retry`](Self::ask_for_retry) was called for and every wish of
    /// [`ask_for_pause`](Self::ask_for_pause), in their order.
    pub async fn take_retries(&self) -> StorageResult<Vec<String>> {
        let mut rows: Vec<(i64, String)> = on!(self.write, |pool| {
            sqlx::query_as("DELETE FROM retries RETURNING id, scope").fetch_all(pool)
        })?;
        rows.sort_unstable();
        Ok(rows.into_iter().map(|(_, wish)| wish).collect())
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::recording::tests::open;

    #[tokio::test]
    async fn saving_replaces_the_rests_that_were_saved_before() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let rest = |scope: &str| (scope.to_owned(), r#"{"until":5}"#.to_owned());
        db.save_rests(&[rest("a"), rest("b")]).await.unwrap();
        db.save_rests(&[rest("c"), rest("b")]).await.unwrap();
        assert_eq!(db.load_rests().await.unwrap(), [rest("b"), rest("c")]);
        db.save_rests(&[]).await.unwrap();
        assert_eq!(db.load_rests().await.unwrap(), []);
    }

    #[tokio::test]
    async fn asking_for_a_retry_forgets_what_is_saved_and_is_carried_out_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let rest = |scope: &str| (scope.to_owned(), r#"{"until":5}"#.to_owned());
        db.save_rests(&[rest("a"), rest("b")]).await.unwrap();
        db.ask_for_retry("a").await.unwrap();
        assert_eq!(db.load_rests().await.unwrap(), [rest("b")]);
        assert_eq!(db.take_retries().await.unwrap(), ["a"]);
        assert!(db.take_retries().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_pause_is_saved_at_once_and_wishes_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.ask_for_retry("a").await.unwrap();
        db.ask_for_pause("a", "{}", "pause a").await.unwrap();
        assert_eq!(db.load_rests().await.unwrap(), [("a".to_owned(), "{}".to_owned())]);
        assert_eq!(db.take_retries().await.unwrap(), ["a", "pause a"]);
    }
}
