//! Tokens, their values, and what they have spent.
//!
//! A value is stored twice: as a hash, by which a call's credential is looked up, and sealed, so that the operator can
//! copy it again. A replaced value stays valid until its grace time ends; the row with `valid_until` NULL is the present
//! one.

use std::{collections::HashMap, time::Duration};

use ipnet::IpNet;
use rand::distr::{Alphanumeric, SampleString};
use sqlx::Row;

use super::{Db, StorageError, StorageResult, WriteTransaction, on, spending};
use crate::model::{
    id::TokenId,
    secret::{Secret, SecretHash},
    time::UnixMs,
    token::{AtLimit, ClientProfile, Quota, QuotaReset, QuotaUnit, Token},
};

/// Random characters of a generated value, after `sk-`: 285 bits.
const RANDOM_CHARACTERS: usize = 48;
/// The length in characters of a value that is taken over from elsewhere.
pub const VALUE_LENGTH: std::ops::RangeInclusive<usize> = 32..=128;

/// A token that is to be made.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The operator's name for it.
    pub name: String,
    /// What clients present: [`new_value`], or one that passed [`check_value`].
    pub value: Secret,
    /// Models that it may ask for: names, or prefixes written `prefix*`. Empty means all.
    pub models: Vec<String>,
    /// Channel groups that it may use. Empty means all.
    pub groups: Vec<String>,
    /// Addresses that it may come from. Empty means all.
    pub cidrs: Vec<IpNet>,
    /// When it ends.
    pub expires_at: Option<UnixMs>,
    /// How much it may spend.
    pub quota: Option<Quota>,
    /// How many requests it may make in any 60 seconds.
    pub requests_per_minute: Option<u32>,
    /// Its share of the calls that wait; see [`Token::weight`].
    pub weight: u32,
    /// How its client reads errors.
    pub profile: ClientProfile,
    /// The operator's note.
    pub note: String,
    /// Off means: refused.
    pub enabled: bool,
}

impl NewToken {
    /// A token that is on and may do everything.
    pub fn unlimited(name: impl Into<String>, value: Secret) -> Self {
        Self {
            name: name.into(),
            value,
            models: Vec::new(),
            groups: Vec::new(),
            cidrs: Vec::new(),
            expires_at: None,
            quota: None,
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
        }
    }
}

impl From<(Token, Secret)> for NewToken {
    fn from((token, value): (Token, Secret)) -> Self {
        Self {
            name: token.name,
            value,
            models: token.models,
            groups: token.groups,
            cidrs: token.cidrs,
            expires_at: token.expires_at,
            quota: token.quota,
            requests_per_minute: token.requests_per_minute,
            weight: token.weight,
            profile: token.profile,
            note: token.note,
            enabled: token.enabled,
        }
    }
}

/// Why a value cannot be taken over from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// Its length is not in [`VALUE_LENGTH`].
    #[error("a token's value has 32 to 128 characters")]
    Length,
    /// It has a character that is not visible ASCII, such as a space.
    #[error("a token's value has visible ASCII characters only, and no space")]
    Characters,
}

/// A fresh value: `sk-` and 48 characters of `0-9A-Za-z`, evenly distributed, from the system-seeded generator.
pub fn new_value() -> Secret {
    let mut value = String::with_capacity(3 + RANDOM_CHARACTERS);
    value.push_str("sk-");
    Alphanumeric.append_string(&mut rand::rng(), &mut value, RANDOM_CHARACTERS);
    Secret::new(value)
}

/// Whether a value from elsewhere can be a token's: 32 to 128 visible ASCII characters.
pub fn check_value(value: &str) -> Result<(), ValueProblem> {
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ValueProblem::Characters);
    }
    if VALUE_LENGTH.contains(&value.len()) { Ok(()) } else { Err(ValueProblem::Length) }
}

/// A token on the index page.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// The token.
    pub token: Token,
    /// When its last call came in, as far as the usage log reaches.
    pub last_used_at: Option<UnixMs>,
    /// What it has spent in the present period of its quota, in the quota's unit; 0 without a quota.
    pub spent: i64,
}

/// A replaced value that still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousValue {
    /// Its last four characters.
    pub last4: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it ends.
    pub valid_until: UnixMs,
}

const COLUMNS: &str =
    "SELECT t.id, t.name, t.models, t.channel_groups, t.cidrs, t.expires_at, t.quota_unit, t.quota_limit,
        t.quota_reset, t.quota_warn_at, t.quota_at_limit, t.requests_per_minute, t.weight, t.profile, t.note, t.enabled, t.created_at, v.last4
    FROM tokens t JOIN token_values v ON v.token_id = t.id AND v.valid_until IS NULL
    WHERE t.deleted_at IS NULL";

impl Db {
    /// Every token that is not deleted, by name.
    pub async fn tokens(&self) -> StorageResult<Vec<Token>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY LOWER(t.name), t.id"));
        let rows = on!(self.read, |pool| sqlx::query(sql).fetch_all(pool))?;
        rows.iter().map(read_token).collect()
    }

    /// The token of an id, unless it is deleted.
    pub async fn find_token(&self, id: TokenId) -> StorageResult<Option<Token>> {
        let sql = sqlx::AssertSqlSafe(format!("{COLUMNS} AND t.id = $1"));
        let row = on!(self.read, |pool| sqlx::query(sql).bind(id.0).fetch_optional(pool))?;
        row.as_ref().map(read_token).transpose()
    }

    /// The hash of every value that is valid now, its token, and when the value ends if it was replaced.
    pub(crate) async fn token_credentials(
        &self,
    ) -> StorageResult<Vec<(SecretHash, TokenId, Option<UnixMs>)>> {
        let rows: Vec<(Vec<u8>, i64, Option<i64>)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT v.hash, v.token_id, v.valid_until
                 FROM token_values v JOIN tokens t ON t.id = v.token_id
                 WHERE t.deleted_at IS NULL AND (v.valid_until IS NULL OR v.valid_until > $1)",
            )
            .bind(self.now().0)
            .fetch_all(pool)
        })?;
        rows.into_iter()
            .map(|(hash, id, valid_until)| {
                let hash = hash.try_into().map_err(|_| {
                    StorageError::Unreadable(format!("a hash of token {id} is not 32 bytes long"))
                })?;
                Ok((SecretHash(hash), TokenId(id), valid_until.map(UnixMs)))
            })
            .collect()
    }

    /// Every token with its last use and with what it has spent in the quota period that `now` lies in, in `zone`.
    pub async fn token_rows(&self, now: UnixMs, zone: &jiff::tz::TimeZone) -> StorageResult<Vec<TokenRow>> {
        let used: Vec<(i64, Option<i64>)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT t.id, (SELECT MAX(u.at) FROM usage u WHERE u.token_id = t.id)
                 FROM tokens t WHERE t.deleted_at IS NULL",
            )
            .fetch_all(pool)
        })?;
        let used: HashMap<i64, Option<i64>> = used.into_iter().collect();
        let start = |reset: QuotaReset| reset.period_start(now, zone).0;
        let columns = "token_id, period_start, unit, spent";
        let sql = spending::of_periods(columns, &spending::present_starts(now, zone));
        let spent: Vec<(i64, i64, String, i64)> =
            on!(self.read, |pool| sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(pool))?;
        let spent: HashMap<(i64, i64, String), i64> =
            spent.into_iter().map(|(id, start, unit, spent)| ((id, start, unit), spent)).collect();
        let rows = self.tokens().await?.into_iter().map(|token| {
            let spent = token.quota.and_then(|quota| {
                spent.get(&(token.id.0, start(quota.reset), quota.unit.as_str().to_owned())).copied()
            });
            TokenRow {
                last_used_at: used.get(&token.id.0).copied().flatten().map(UnixMs),
                spent: spent.unwrap_or(0),
                token,
            }
        });
        Ok(rows.collect())
    }

    /// The same for one token, unless it is deleted.
    pub async fn find_token_row(
        &self,
        id: TokenId,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
    ) -> StorageResult<Option<TokenRow>> {
        let Some(token) = self.find_token(id).await? else { return Ok(None) };
        let last_used_at: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT MAX(at) FROM usage WHERE token_id = $1").bind(id.0).fetch_one(pool)
        })?;
        let spent = match token.quota {
            Some(quota) => self.spent(id, quota.unit, quota.reset.period_start(now, zone)).await?,
            None => 0,
        };
        Ok(Some(TokenRow { token, last_used_at: last_used_at.map(UnixMs), spent }))
    }

    /// How many calls a token has made since a time, as far as the usage log reaches.
    pub async fn token_call_count(&self, id: TokenId, since: UnixMs) -> StorageResult<i64> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT COUNT(*) FROM usage WHERE token_id = $1 AND at >= $2")
                .bind(id.0)
                .bind(since.0)
                .fetch_one(pool)
        })?)
    }

    /// The replaced values of a token that still work, the one that ends last first.
    pub async fn previous_values(&self, id: TokenId) -> StorageResult<Vec<PreviousValue>> {
        let rows: Vec<(String, i64, i64)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT last4, created_at, valid_until FROM token_values
                 WHERE token_id = $1 AND valid_until > $2 ORDER BY valid_until DESC",
            )
            .bind(id.0)
            .bind(self.now().0)
            .fetch_all(pool)
        })?;
        Ok(rows
            .into_iter()
            .map(|(last4, created_at, valid_until)| PreviousValue {
                last4,
                created_at: UnixMs(created_at),
                valid_until: UnixMs(valid_until),
            })
            .collect())
    }

    /// Makes a token. [`StorageError::Taken`] says `name` or `value`. Reload the catalog afterwards.
    pub async fn create_token(&self, token: &NewToken) -> StorageResult<TokenId> {
        let mut tx = self.begin().await?;
        let id = self.insert_token(&mut tx, token).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same within a transaction.
    pub(super) async fn insert_token(
        &self,
        tx: &mut WriteTransaction,
        token: &NewToken,
    ) -> StorageResult<TokenId> {
        let now = self.now();
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO tokens (name, models, channel_groups, cidrs, expires_at, quota_unit, quota_limit, quota_reset,
                 requests_per_minute, weight, profile, note, enabled, created_at, updated_at, quota_warn_at,
                 quota_at_limit)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15, $16) RETURNING id",
        )
        .bind(&token.name)
        .bind(json(&token.models)?)
        .bind(json(&token.groups)?)
        .bind(json(&token.cidrs)?)
        .bind(token.expires_at.map(|at| at.0))
        .bind(token.quota.map(|quota| quota.unit.as_str()))
        .bind(token.quota.map(|quota| quota.limit))
        .bind(token.quota.map(|quota| quota.reset.as_str()))
        .bind(token.requests_per_minute.map(i64::from))
        .bind(i64::from(token.weight))
        .bind(token.profile.as_str())
        .bind(&token.note)
        .bind(token.enabled)
        .bind(now.0)
        .bind(json(&token.quota.map(|quota| quota.warn_at).unwrap_or_default())?)
        .bind(token.quota.map_or(AtLimit::Stop, |quota| quota.at_limit).as_str())
        .fetch_one(&mut **tx)
        .await
        .map_err(|error| taken(error, "name"))?;
        self.add_value(tx, TokenId(id), &token.value, now).await?;
        Ok(TokenId(id))
    }

    /// Saves a token's name, scope, limits, note and state; its value, `last4` and `created_at` stay as they are.
    /// [`StorageError::Taken`] says `name`. Reload the catalog afterwards.
    pub async fn update_token(&self, token: &Token) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.write_token(&mut tx, token).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn write_token(&self, tx: &mut WriteTransaction, token: &Token) -> StorageResult<()> {
        let done = sqlx::query(
            "UPDATE tokens SET name = $2, models = $3, channel_groups = $4, cidrs = $5, expires_at = $6,
                 quota_unit = $7, quota_limit = $8, quota_reset = $9, requests_per_minute = $10, weight = $11,
                 profile = $12, note = $13, enabled = $14, updated_at = $15, quota_warn_at = $16,
                 quota_at_limit = $17
             WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(token.id.0)
        .bind(&token.name)
        .bind(json(&token.models)?)
        .bind(json(&token.groups)?)
        .bind(json(&token.cidrs)?)
        .bind(token.expires_at.map(|at| at.0))
        .bind(token.quota.map(|quota| quota.unit.as_str()))
        .bind(token.quota.map(|quota| quota.limit))
        .bind(token.quota.map(|quota| quota.reset.as_str()))
        .bind(token.requests_per_minute.map(i64::from))
        .bind(i64::from(token.weight))
        .bind(token.profile.as_str())
        .bind(&token.note)
        .bind(token.enabled)
        .bind(self.now().0)
        .bind(json(&token.quota.map(|quota| quota.warn_at).unwrap_or_default())?)
        .bind(token.quota.map_or(AtLimit::Stop, |quota| quota.at_limit).as_str())
        .execute(&mut **tx)
        .await
        .map_err(|error| taken(error, "name"))?;
        found(done.rows_affected())
    }

    /// Switches a token on or off. Reload the catalog afterwards.
    pub async fn set_token_enabled(&self, id: TokenId, enabled: bool) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.switch_token(&mut tx, id, enabled).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn switch_token(
        &self,
        tx: &mut WriteTransaction,
        id: TokenId,
        enabled: bool,
    ) -> StorageResult<()> {
        let done = sqlx::query(
            "UPDATE tokens SET enabled = $2, updated_at = $3 WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(id.0)
        .bind(enabled)
        .bind(self.now().0)
        .execute(&mut **tx)
        .await?;
        found(done.rows_affected())
    }

    /// Gives a token a new value. The present one stays valid for `grace`; without grace it ends at once. Earlier
    /// values keep the end that they have. [`StorageError::Taken`] says `value`. Reload the catalog afterwards.
    pub async fn rotate_token(&self, id: TokenId, value: &Secret, grace: Duration) -> StorageResult<()> {
        let now = self.now();
        let mut tx = self.begin().await?;
        self.end_value(&mut tx, id, now + grace).await?;
        self.add_value(&mut tx, id, value, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a token's present value end at a time. Give it another one in the same transaction.
    pub(super) async fn end_value(
        &self,
        tx: &mut WriteTransaction,
        id: TokenId,
        valid_until: UnixMs,
    ) -> StorageResult<()> {
        let done = sqlx::query("UPDATE tokens SET updated_at = $2 WHERE id = $1 AND deleted_at IS NULL")
            .bind(id.0)
            .bind(self.now().0)
            .execute(&mut **tx)
            .await?;
        found(done.rows_affected())?;
        sqlx::query("UPDATE token_values SET valid_until = $2 WHERE token_id = $1 AND valid_until IS NULL")
            .bind(id.0)
            .bind(valid_until.0)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Ends every replaced value of a token at once; says how many there were. Reload the catalog afterwards.
    pub async fn revoke_previous_values(&self, id: TokenId) -> StorageResult<u64> {
        let done = on!(self.write, |pool| {
            sqlx::query("DELETE FROM token_values WHERE token_id = $1 AND valid_until IS NOT NULL")
                .bind(id.0)
                .execute(pool)
        })?;
        Ok(done.rows_affected())
    }

    /// Deletes a token: its values are erased, its name stays for the usage log. Reload the catalog afterwards.
    pub async fn delete_token(&self, id: TokenId) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.erase_token(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn erase_token(&self, tx: &mut WriteTransaction, id: TokenId) -> StorageResult<()> {
        let done = sqlx::query(
            "UPDATE tokens SET deleted_at = $2, enabled = FALSE WHERE id = $1 AND deleted_at IS NULL",
        )
        .bind(id.0)
        .bind(self.now().0)
        .execute(&mut **tx)
        .await?;
        found(done.rows_affected())?;
        sqlx::query("DELETE FROM token_values WHERE token_id = $1").bind(id.0).execute(&mut **tx).await?;
        sqlx::query("DELETE FROM token_clients WHERE token_id = $1").bind(id.0).execute(&mut **tx).await?;
        sqlx::query("DELETE FROM openclaw_exports WHERE token_id = $1").bind(id.0).execute(&mut **tx).await?;
        sqlx::query("DELETE FROM captures WHERE token_id = $1").bind(id.0).execute(&mut **tx).await?;
        Ok(())
    }

    /// The present value of every token, opened: only for an operator who asked for secrets.
    pub(super) async fn token_values(&self) -> StorageResult<HashMap<TokenId, Secret>> {
        let rows: Vec<(i64, Vec<u8>)> = on!(self.read, |pool| {
            sqlx::query_as("SELECT token_id, sealed FROM token_values WHERE valid_until IS NULL")
                .fetch_all(pool)
        })?;
        rows.into_iter()
            .map(|(id, sealed)| {
                let id = TokenId(id);
                Ok((id, self.vault().open(&context(id), &sealed)?))
            })
            .collect()
    }

    /// The present value of a token, opened. Only for an operator who has just confirmed the password.
    pub async fn reveal_token(&self, id: TokenId) -> StorageResult<Secret> {
        let sealed: Option<Vec<u8>> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT sealed FROM token_values WHERE token_id = $1 AND valid_until IS NULL")
                .bind(id.0)
                .fetch_optional(pool)
        })?;
        self.vault().open(&context(id), &sealed.ok_or(StorageError::Missing)?)
    }

    /// Makes `value` the present one, and erases values whose grace time is over.
    pub(super) async fn add_value(
        &self,
        tx: &mut WriteTransaction,
        id: TokenId,
        value: &Secret,
        now: UnixMs,
    ) -> StorageResult<()> {
        self.check_key_in_force(tx).await?;
        sqlx::query("DELETE FROM token_values WHERE valid_until <= $1")
            .bind(now.0)
            .execute(&mut **tx)
            .await?;
        sqlx::query(
            "INSERT INTO token_values (hash, token_id, sealed, last4, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&SecretHash::of(value.expose()).0[..])
        .bind(id.0)
        .bind(self.vault().seal(&context(id), value.expose()))
        .bind(value.last4())
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(|error| taken(error, "value"))?;
        Ok(())
    }
}

pub(super) fn context(id: TokenId) -> String {
    format!("token:{id}")
}

fn found(rows: u64) -> StorageResult<()> {
    if rows == 0 { Err(StorageError::Missing) } else { Ok(()) }
}

fn taken(error: sqlx::Error, what: &'static str) -> StorageError {
    let unique = error.as_database_error().is_some_and(|error| error.is_unique_violation());
    if unique { StorageError::Taken(what) } else { error.into() }
}

fn json(value: &impl serde::Serialize) -> StorageResult<String> {
    serde_json::to_string(value).map_err(|error| StorageError::Unreadable(error.to_string()))
}

fn read_token<R>(row: &R) -> StorageResult<Token>
where
    R: Row,
    for<'a> &'a str: sqlx::ColumnIndex<R>,
    for<'a> i64: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
    for<'a> bool: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
    for<'a> String: sqlx::Decode<'a, R::Database> + sqlx::Type<R::Database>,
{
    let id: i64 = row.try_get("id")?;
    let unreadable = |column: &str| StorageError::Unreadable(format!("{column} of token {id}"));
    let text = |column: &str| row.try_get::<String, _>(column);
    let list = |column: &str| -> StorageResult<Vec<String>> {
        serde_json::from_str(&text(column)?).map_err(|_| unreadable(column))
    };
    let quota = match row.try_get::<Option<String>, _>("quota_unit")? {
        None => None,
        Some(unit) => Some(Quota {
            unit: QuotaUnit::from_name(&unit).ok_or_else(|| unreadable("quota_unit"))?,
            limit: row.try_get("quota_limit")?,
            reset: QuotaReset::from_name(&text("quota_reset")?).ok_or_else(|| unreadable("quota_reset"))?,
            warn_at: serde_json::from_str(&text("quota_warn_at")?)
                .map_err(|_| unreadable("quota_warn_at"))?,
            at_limit: AtLimit::from_name(&text("quota_at_limit")?)
                .ok_or_else(|| unreadable("quota_at_limit"))?,
        }),
    };
    let requests_per_minute = row
        .try_get::<Option<i64>, _>("requests_per_minute")?
        .map(|rate| u32::try_from(rate).map_err(|_| unreadable("requests_per_minute")))
        .transpose()?;
    Ok(Token {
        id: TokenId(id),
        name: text("name")?,
        last4: text("last4")?,
        models: list("models")?,
        groups: list("channel_groups")?,
        cidrs: serde_json::from_str(&text("cidrs")?).map_err(|_| unreadable("cidrs"))?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixMs),
        quota,
        requests_per_minute,
        weight: u32::try_from(row.try_get::<i64, _>("weight")?).map_err(|_| unreadable("weight"))?,
        profile: ClientProfile::from_name(&text("profile")?).ok_or_else(|| unreadable("profile"))?,
        note: text("note")?,
        enabled: row.try_get("enabled")?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

#[cfg(test)]
mod tests;
