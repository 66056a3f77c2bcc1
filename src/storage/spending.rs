//! What tokens have spent of their quotas: sums per quota period, written with the usage rows that they sum up.

use std::collections::BTreeMap;

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::model::{
    id::TokenId,
    time::UnixMs,
    token::{QuotaReset, QuotaUnit},
};

impl Db {
    /// What a token has spent in the quota period that began at `period_start`: micro-dollars, tokens or requests.
    pub async fn spent(&self, token: TokenId, unit: QuotaUnit, period_start: UnixMs) -> StorageResult<i64> {
        const SQL: &str =
            "SELECT spent FROM token_spending WHERE token_id = $1 AND period_start = $2 AND unit = $3";
        let spent: Option<i64> = on!(self.read, |pool| sqlx::query_scalar(SQL)
            .bind(token.0)
            .bind(period_start.0)
            .bind(unit.as_str())
            .fetch_optional(pool))?;
        Ok(spent.unwrap_or(0))
    }

    /// What every token has spent, by token and start of the period; for rebuilding the counts at start, after the
    /// recorder's replay.
    pub async fn all_spending(&self) -> StorageResult<Vec<(TokenId, UnixMs, QuotaUnit, i64)>> {
        const SQL: &str = "SELECT token_id, period_start, unit, spent FROM token_spending ORDER BY token_id, period_start, unit";
        let rows: Vec<(i64, i64, String, i64)> = on!(self.read, |pool| sqlx::query_as(SQL).fetch_all(pool))?;
        rows.into_iter()
            .map(|(token, period_start, unit, spent)| {
                let unit = QuotaUnit::from_name(&unit)
                    .ok_or_else(|| StorageError::Unreadable(format!("the quota unit {unit:?}")))?;
                Ok((TokenId(token), UnixMs(period_start), unit, spent))
            })
            .collect()
    }

    /// Forgets what a token has spent in a period, in every unit. Rows that are still on their way through the
    /// recorder are added afterwards; flush it first.
    pub async fn reset_spending(&self, token: TokenId, period_start: UnixMs) -> StorageResult<()> {
        const SQL: &str = "DELETE FROM token_spending WHERE token_id = $1 AND period_start = $2";
        on!(self.write, |pool| sqlx::query(SQL).bind(token.0).bind(period_start.0).execute(pool))?;
        Ok(())
    }
}

/// The statement that finds what tokens have spent in periods that began at one of these times (numbers with commas between
/// them). It goes by the tokens that there are: each of them has many periods that are over.
pub(super) fn of_periods(columns: &str, starts: &str) -> String {
    format!(
        "SELECT {columns} FROM token_spending \
         WHERE token_id IN (SELECT id FROM tokens WHERE deleted_at IS NULL) AND period_start IN ({starts})"
    )
}

/// The starts of all kinds of periods that `now` lies in, with commas between them.
pub(super) fn present_starts(now: UnixMs, zone: &jiff::tz::TimeZone) -> String {
    let starts: Vec<String> =
        QuotaReset::ALL.iter().map(|reset| reset.period_start(now, zone).0.to_string()).collect();
    starts.join(", ")
}

/// Adds to what tokens have spent.
pub(super) async fn add(
    tx: &mut WriteTransaction,
    spent: &BTreeMap<(TokenId, UnixMs, QuotaUnit), i64>,
) -> StorageResult<()> {
    const SQL: &str = "INSERT INTO token_spending (token_id, period_start, unit, spent) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (token_id, period_start, unit) DO UPDATE SET \
                       spent = token_spending.spent + excluded.spent";
    for ((token, period_start, unit), amount) in spent {
        sqlx::query(SQL)
            .bind(token.0)
            .bind(period_start.0)
            .bind(unit.as_str())
            .bind(amount)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::UsageRecord,
        storage::recording::tests::{open, record},
    };

    #[tokio::test]
    async fn spending_is_kept_per_period_and_a_reset_forgets_one_period() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let today = UsageRecord { quota_period: UnixMs(86_400_000), ..record(2) };
        db.insert_usage(&[record(1), today]).await.unwrap();
        assert_eq!(
            db.all_spending().await.unwrap(),
            [
                (TokenId(1), UnixMs(0), QuotaUnit::Tokens, 11),
                (TokenId(1), UnixMs(86_400_000), QuotaUnit::Tokens, 12)
            ]
        );
        db.reset_spending(TokenId(1), UnixMs(86_400_000)).await.unwrap();
        assert_eq!(db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(86_400_000)).await.unwrap(), 0);
        assert_eq!(db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(0)).await.unwrap(), 11);
    }
}
