//! Deletes what has had its time, in short transactions.

use super::{Db, StorageResult, on, spending};
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

    /// Deletes what was spent in all but the last `most` periods of each budget and unit, except in those that `now` lies in: of a
    /// budget that was of a month before it was of an hour, the month goes on. Says how many.
    pub async fn delete_periods_beyond(
        &self,
        most: u32,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
    ) -> StorageResult<u64> {
        let present = spending::present_starts(now, zone);
        let mut deleted = 0;
        for (table, kind, id) in
            [("token_spending", "'token'", "token_id"), ("budget_spending", "owner_kind", "owner_id")]
        {
            let full = format!(
                "SELECT {kind}, {id}, unit FROM {table} WHERE period_start > 0 \
                 GROUP BY {kind}, {id}, unit HAVING COUNT(*) > $1"
            );
            let full: Vec<(String, i64, String)> = on!(self.read, |pool| {
                sqlx::query_as(sqlx::AssertSqlSafe(full)).bind(i64::from(most)).fetch_all(pool)
            })?;
            let one = format!("{kind} = $1 AND {id} = $2 AND unit = $3 AND period_start > 0");
            let sql = format!(
                "DELETE FROM {table} WHERE {one} AND period_start NOT IN ({present}) AND period_start <= \
                 (SELECT period_start FROM {table} WHERE {one} ORDER BY period_start DESC LIMIT 1 OFFSET $4)"
            );
            for (kind, id, unit) in full {
                deleted += on!(self.write, |pool| {
                    sqlx::query(sqlx::AssertSqlSafe(sql.clone()))
                        .bind(kind)
                        .bind(id)
                        .bind(unit)
                        .bind(i64::from(most))
                        .execute(pool)
                })?
                .rows_affected();
            }
        }
        Ok(deleted)
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
    use crate::{
        model::token::QuotaReset,
        storage::recording::tests::{number, open},
    };

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

    #[tokio::test]
    async fn of_each_budget_the_last_periods_stay_and_those_that_go_on() {
        const HOURS: &str =
            "WITH RECURSIVE hours(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM hours WHERE n < 300)";
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let zone = jiff::tz::TimeZone::UTC;
        // The 20th of a month, at midnight.
        let now = UnixMs(1_800_403_200_000);
        let month = QuotaReset::Month.period_start(now, &zone).0;
        for sql in [
            format!(
                "INSERT INTO token_spending {HOURS} SELECT 1, {now} - n * 3600000, 'tokens', n FROM hours",
                now = now.0
            ),
            format!(
                "INSERT INTO budget_spending {HOURS} SELECT 'key', 1, {now} - n * 3600000, 'tokens', n FROM hours",
                now = now.0
            ),
            format!("INSERT INTO token_spending VALUES (1, 0, 'tokens', 7), (1, {month}, 'tokens', 8)"),
            format!(
                "INSERT INTO token_spending VALUES (1, {}, 'dollars', 9), (2, 3, 'tokens', 9)",
                month - 1
            ),
            "INSERT INTO budget_spending VALUES ('key', 1, 0, 'tokens', 7), ('channel', 1, 3, 'tokens', 8)"
                .to_owned(),
        ] {
            on!(db.write, |pool| sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool)).unwrap();
        }
        assert_eq!(db.delete_periods_beyond(100, now, &zone).await.unwrap(), 400);
        assert_eq!(db.delete_periods_beyond(100, now, &zone).await.unwrap(), 0);
        for (count, sql) in [
            (1, "SELECT COUNT(*) FROM token_spending WHERE unit = 'dollars'"),
            (1, "SELECT COUNT(*) FROM token_spending WHERE token_id = 2"),
            (100, "SELECT COUNT(*) FROM token_spending WHERE spent <= 100 AND period_start > 1800000000000"),
            (100, "SELECT COUNT(*) FROM budget_spending WHERE spent <= 100 AND period_start > 1800000000000"),
            (
                2,
                "SELECT COUNT(*) FROM token_spending WHERE token_id = 1 AND unit = 'tokens' AND spent IN (7, 8) \
                 AND period_start < 1800000000000",
            ),
            (2, "SELECT COUNT(*) FROM budget_spending WHERE period_start < 1800000000000"),
        ] {
            assert_eq!(number(&db, sql).await, count, "{sql}");
        }
    }
}
