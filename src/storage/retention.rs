//! Deletes what has had its time, in short transactions.

use super::{Db, StorageResult, on};
use crate::model::time::UnixMs;

impl Db {
    /// Deletes up to `limit` of the oldest usage rows of calls that arrived before `before`, with their attempts; says
    /// how many. Sums stay, and rows that are in no sheet yet.
    pub async fn delete_usage_before(&self, before: UnixMs, limit: u32) -> StorageResult<u64> {
        const OLD: &str =
            "SELECT id FROM calls WHERE at < $1 AND id <= (SELECT folded_to FROM folds) ORDER BY at LIMIT $2";
        let mut tx = self.begin().await?;
        let ids: Vec<i64> =
            sqlx::query_scalar(OLD).bind(before.0).bind(i64::from(limit)).fetch_all(&mut *tx).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        for table in ["call_attempts WHERE call_id", "calls WHERE id"] {
            let sql = format!("DELETE FROM {table} IN ({list})");
            sqlx::query(sqlx::AssertSqlSafe(sql)).persistent(false).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(ids.len() as u64)
    }

    /// Deletes sessions that ended before `now`; says how many.
    pub async fn delete_ended_sessions(&self, now: UnixMs) -> StorageResult<u64> {
        const SQL: &str = "DELETE FROM sessions WHERE expires_at < $1";
        Ok(on!(self.write, |pool| sqlx::query(SQL).bind(now.0).execute(pool))?.rows_affected())
    }

    /// Deletes replaced token values whose grace time ended before `before`; says how many.
    pub async fn delete_replaced_token_values(&self, before: UnixMs) -> StorageResult<u64> {
        const SQL: &str = "DELETE FROM token_values WHERE valid_until < $1";
        Ok(on!(self.write, |pool| sqlx::query(SQL).bind(before.0).execute(pool))?.rows_affected())
    }

    /// Deletes what keys and channels spent in periods of their budgets that began before `before`; says how many.
    pub async fn delete_budget_spending_before(&self, before: UnixMs) -> StorageResult<u64> {
        const SQL: &str = "DELETE FROM budget_spending WHERE period_start > 0 AND period_start < $1";
        Ok(on!(self.write, |pool| sqlx::query(SQL).bind(before.0).execute(pool))?.rows_affected())
    }

    /// Deletes what tokens spent in quota periods that began before `before`; says how many. Quotas that are never
    /// reset have no such period.
    pub async fn delete_spending_before(&self, before: UnixMs) -> StorageResult<u64> {
        const SQL: &str = "DELETE FROM token_spending WHERE period_start > 0 AND period_start < $1";
        Ok(on!(self.write, |pool| sqlx::query(SQL).bind(before.0).execute(pool))?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::recording::tests::{number, open};

    #[tokio::test]
    async fn only_what_has_ended_goes() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        for sql in [
            "INSERT INTO users (id, name, password_hash, created_at) VALUES (1, 'ann', '', 0)",
            "INSERT INTO sessions (secret_hash, user_id, created_at, seen_at, expires_at, address, user_agent) \
             VALUES ('a', 1, 0, 0, 99, '', ''), ('b', 1, 0, 0, 101, '', '')",
            "INSERT INTO tokens (id, name, models, channel_groups, cidrs, profile, note, enabled, created_at, \
             updated_at) VALUES (1, 't', '[]', '[]', '[]', 'generic', '', TRUE, 0, 0)",
            "INSERT INTO token_values (hash, token_id, sealed, last4, created_at, valid_until) \
             VALUES ('a', 1, '', '', 0, 99), ('b', 1, '', '', 0, 101), ('c', 1, '', '', 0, NULL)",
            "INSERT INTO token_spending (token_id, period_start, unit, spent) \
             VALUES (1, 0, 'tokens', 1), (1, 99, 'tokens', 1), (1, 101, 'tokens', 1)",
        ] {
            on!(db.write, |pool| sqlx::query(sql).execute(pool)).unwrap();
        }

        assert_eq!(db.delete_ended_sessions(UnixMs(100)).await.unwrap(), 1);
        assert_eq!(db.delete_replaced_token_values(UnixMs(100)).await.unwrap(), 1);
        assert_eq!(db.delete_spending_before(UnixMs(100)).await.unwrap(), 1);

        assert_eq!(number(&db, "SELECT COUNT(*) FROM sessions").await, 1);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM token_values").await, 2);
        assert_eq!(number(&db, "SELECT SUM(period_start) FROM token_spending").await, 101);
    }
}
