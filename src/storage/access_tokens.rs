//! Access tokens: credentials of scripts for the admin API. They belong to an account and act for it. Only the hash of a
//! value is kept, so it cannot be shown again.

use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};

use super::{Db, StorageError, StorageResult, on};
use crate::model::{
    id::{AccessTokenId, UserId},
    secret::{Secret, SecretHash},
    time::UnixMs,
    user::{AccessToken, User},
};

/// What a value begins with, so that people and secret scanners know it.
pub const PREFIX: &str = "op-";
/// Random characters of a value, after [`PREFIX`]: 285 bits.
const RANDOM_CHARACTERS: usize = 48;
/// The most access tokens of an account.
pub const MOST_ACCESS_TOKENS: usize = 100;
/// How exactly an access token's last use is kept.
const USED_EVERY: Duration = Duration::from_secs(60);

/// A fresh random value.
pub fn new_access_token() -> Secret {
    Secret::new(format!("{PREFIX}{}", Alphanumeric.sample_string(&mut rand::rng(), RANDOM_CHARACTERS)))
}

/// Why an access token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    /// The account has one of this name.
    #[error("the name is taken")]
    NameTaken,
    /// The account has [`MOST_ACCESS_TOKENS`] already.
    #[error("there are too many access tokens")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<sqlx::Error> for NotMade {
    fn from(error: sqlx::Error) -> Self {
        if error.as_database_error().is_some_and(|error| error.is_unique_violation()) {
            Self::NameTaken
        } else {
            Self::Storage(error.into())
        }
    }
}

type Row = (i64, String, String, i64, Option<i64>, Option<i64>);

fn access_token((id, name, last4, created, expires, used): Row) -> AccessToken {
    AccessToken {
        id: AccessTokenId(id),
        name,
        last4,
        created_at: UnixMs(created),
        expires_at: expires.map(UnixMs),
        last_used_at: used.map(UnixMs),
    }
}

impl Db {
    /// Makes an access token of an account. Its name is unique in the account, letter case aside.
    pub async fn create_access_token(
        &self,
        user: UserId,
        name: &str,
        value: &Secret,
        expires_at: Option<UnixMs>,
    ) -> Result<AccessTokenId, NotMade> {
        let mut tx = self.begin().await?;
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM access_tokens WHERE user_id = $1")
            .bind(user.0)
            .fetch_one(&mut *tx)
            .await?;
        if usize::try_from(count).is_ok_and(|count| count >= MOST_ACCESS_TOKENS) {
            return Err(NotMade::TooMany);
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO access_tokens (user_id, name, hash, last4, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(user.0)
        .bind(name)
        .bind(&SecretHash::of(value.expose()).0[..])
        .bind(value.last4())
        .bind(self.now().0)
        .bind(expires_at.map(|at| at.0))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(AccessTokenId(id))
    }

    /// The account and access token of a presented value's hash, unless it has ended. Finding it by the hash of what was
    /// presented takes the same work whatever that is.
    pub async fn find_access_token(
        &self,
        hash: &SecretHash,
        now: UnixMs,
    ) -> StorageResult<Option<(User, AccessToken)>> {
        type Found = (
            i64,
            String,
            String,
            i64,
            Option<i64>,
            Option<i64>,
            i64,
            String,
            bool,
            Option<String>,
            Option<String>,
        );
        let row: Option<Found> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT a.id, a.name, a.last4, a.created_at, a.expires_at, a.last_used_at,
                        u.id, u.name, u.must_change_password, u.language, u.theme
                 FROM access_tokens a JOIN users u ON u.id = a.user_id WHERE a.hash = $1",
            )
            .bind(&hash.0[..])
            .fetch_optional(pool)
        })?;
        let Some((id, name, last4, created, expires, used, user, user_name, must_change, language, theme)) =
            row
        else {
            return Ok(None);
        };
        let token = access_token((id, name, last4, created, expires, used));
        if token.expires_at.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        let user =
            User { id: UserId(user), name: user_name, must_change_password: must_change, language, theme };
        Ok(Some((user, token)))
    }

    /// Notes that an access token is in use; writes at most once a minute.
    pub async fn touch_access_token(&self, token: &AccessToken, now: UnixMs) -> StorageResult<()> {
        if token.last_used_at.is_some_and(|used| now.since(used) < USED_EVERY) {
            return Ok(());
        }
        on!(self.write, |pool| {
            sqlx::query("UPDATE access_tokens SET last_used_at = $1 WHERE id = $2")
                .bind(now.0)
                .bind(token.id.0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// The access tokens of an account, ended ones included, by name; at most [`MOST_ACCESS_TOKENS`].
    pub async fn access_tokens(&self, user: UserId) -> StorageResult<Vec<AccessToken>> {
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, name, last4, created_at, expires_at, last_used_at FROM access_tokens
                 WHERE user_id = $1 ORDER BY LOWER(name), id",
            )
            .bind(user.0)
            .fetch_all(pool)
        })?;
        Ok(rows.into_iter().map(access_token).collect())
    }

    /// Revokes an access token of an account: it is refused from then on. [`StorageError::Missing`] if there is none.
    pub async fn delete_access_token(&self, user: UserId, id: AccessTokenId) -> StorageResult<()> {
        let done = on!(self.write, |pool| {
            sqlx::query("DELETE FROM access_tokens WHERE id = $1 AND user_id = $2")
                .bind(id.0)
                .bind(user.0)
                .execute(pool)
        })?;
        if done.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::time::Clock, storage::vault::Vault};

    async fn open() -> (tempfile::TempDir, Db, Clock, UserId) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(UnixMs(1_000_000));
        let vault = Vault::new(&Secret::new("a master key of a test, long enough"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, clock.clone()).await.unwrap();
        let user = db.create_account("Ada", "hash", false).await.unwrap();
        (folder, db, clock, user)
    }

    #[tokio::test]
    async fn a_value_is_found_by_its_hash_until_it_ends_or_is_revoked() {
        let (_folder, db, clock, user) = open().await;
        let (value, other) = (new_access_token(), new_access_token());
        assert!(value.expose().starts_with("op-") && value.expose().len() == 51 && value != other);
        let minute = Duration::from_secs(60);
        db.create_access_token(user, "deploy", &value, Some(clock.now() + 3 * minute)).await.unwrap();
        let hash = SecretHash::of(value.expose());
        let (owner, found) = db.find_access_token(&hash, clock.now()).await.unwrap().unwrap();
        assert_eq!((owner.name.as_str(), found.name.as_str(), found.last4), ("Ada", "deploy", value.last4()));
        assert!(db.find_access_token(&SecretHash::of(other.expose()), clock.now()).await.unwrap().is_none());
        clock.advance(3 * minute);
        assert!(db.find_access_token(&hash, clock.now()).await.unwrap().is_none(), "it has ended");

        let id = db.create_access_token(user, "ci", &other, None).await.unwrap();
        let hash = SecretHash::of(other.expose());
        assert!(db.find_access_token(&hash, clock.now()).await.unwrap().is_some());
        assert!(matches!(db.delete_access_token(UserId(99), id).await, Err(StorageError::Missing)));
        db.delete_access_token(user, id).await.unwrap();
        assert!(db.find_access_token(&hash, clock.now()).await.unwrap().is_none(), "it was revoked");
    }

    #[tokio::test]
    async fn the_last_use_is_kept_to_the_minute_without_a_write_per_call() {
        let (_folder, db, clock, user) = open().await;
        let value = new_access_token();
        db.create_access_token(user, "a", &value, None).await.unwrap();
        let hash = SecretHash::of(value.expose());
        let start = clock.now();
        let used = async || db.access_tokens(user).await.unwrap()[0].last_used_at;
        for (seconds, expected) in [(0, start), (59, start), (1, start + Duration::from_secs(60))] {
            clock.advance(Duration::from_secs(seconds));
            let (_, token) = db.find_access_token(&hash, clock.now()).await.unwrap().unwrap();
            db.touch_access_token(&token, clock.now()).await.unwrap();
            assert_eq!(used().await, Some(expected));
        }
    }

    #[tokio::test]
    async fn names_are_unique_and_the_number_is_bounded() {
        let (_folder, db, _clock, user) = open().await;
        db.create_access_token(user, "Deploy", &new_access_token(), None).await.unwrap();
        let again = db.create_access_token(user, "deploy", &new_access_token(), None).await;
        assert!(matches!(again, Err(NotMade::NameTaken)));
        for number in 1..MOST_ACCESS_TOKENS {
            db.create_access_token(user, &number.to_string(), &new_access_token(), None).await.unwrap();
        }
        let more = db.create_access_token(user, "more", &new_access_token(), None).await;
        assert!(matches!(more, Err(NotMade::TooMany)));
    }
}
