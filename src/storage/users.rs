//! Accounts and their browser sessions.

use std::time::Duration;

use super::{Db, StorageResult, on};
use crate::model::{
    id::{SessionId, UserId},
    secret::SecretHash,
    time::UnixMs,
    user::{Session, User},
};

/// A session ends this long after its login, used or not.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// A session ends when it was not used for this long.
pub const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How exactly a session's last use is kept.
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// The most sessions of an account; a further login ends the one that was unused for longest.
const MOST_SESSIONS: i64 = 100;

type UserRow = (i64, String, bool, Option<String>, Option<String>);

fn user((id, name, must_change_password, language, theme): UserRow) -> User {
    User { id: UserId(id), name, must_change_password, language, theme }
}

impl Db {
    /// The account and session of a session cookie's hash, if it has not ended: neither its lifetime nor its idle time
    /// is over at `now`.
    pub async fn find_session(
        &self,
        secret: &SecretHash,
        now: UnixMs,
    ) -> StorageResult<Option<(User, Session)>> {
        type Row = (i64, i64, i64, String, String, i64, String, bool, Option<String>, Option<String>);
        let row: Option<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT s.id, s.created_at, s.seen_at, s.address, s.user_agent,
                        u.id, u.name, u.must_change_password, u.language, u.theme
                 FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.secret_hash = $1 AND s.expires_at > $2 AND s.seen_at > $3",
            )
            .bind(&secret.0[..])
            .bind(now.0)
            .bind((now - SESSION_IDLE).0)
            .fetch_optional(pool)
        })?;
        Ok(row.map(
            |(id, created, seen, address, user_agent, user_id, name, must_change, language, theme)| {
                let session = Session {
                    id: SessionId(id),
                    user_id: UserId(user_id),
                    created_at: UnixMs(created),
                    seen_at: UnixMs(seen),
                    address,
                    user_agent,
                };
                (user((user_id, name, must_change, language, theme)), session)
            },
        ))
    }

    /// Notes that a session is in use, and from which address; writes at most once a minute per session.
    pub async fn touch_session(&self, session: &Session, address: &str, now: UnixMs) -> StorageResult<()> {
        if now.since(session.seen_at) < SEEN_EVERY && session.address == address {
            return Ok(());
        }
        on!(self.write, |pool| {
            sqlx::query("UPDATE sessions SET seen_at = $1, address = $2 WHERE id = $3 AND seen_at <= $1")
                .bind(now.0)
                .bind(address)
                .bind(session.id.0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// Starts a session, and clears away those that have ended.
    pub async fn create_session(
        &self,
        user: UserId,
        secret: &SecretHash,
        address: &str,
        user_agent: &str,
        now: UnixMs,
    ) -> StorageResult<SessionId> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR seen_at <= $2")
            .bind(now.0)
            .bind((now - SESSION_IDLE).0)
            .execute(&mut *tx)
            .await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO sessions (secret_hash, user_id, created_at, seen_at, expires_at, address, user_agent)
             VALUES ($1, $2, $3, $3, $4, $5, $6) RETURNING id",
        )
        .bind(&secret.0[..])
        .bind(user.0)
        .bind(now.0)
        .bind((now + SESSION_LIFETIME).0)
        .bind(address)
        .bind(user_agent)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND id NOT IN
             (SELECT id FROM sessions WHERE user_id = $1 ORDER BY seen_at DESC, id DESC LIMIT $2)",
        )
        .bind(user.0)
        .bind(MOST_SESSIONS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(SessionId(id))
    }

    /// The sessions of an account that have not ended, the last used first.
    pub async fn sessions(&self, user: UserId, now: UnixMs) -> StorageResult<Vec<Session>> {
        let rows: Vec<(i64, i64, i64, String, String)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, created_at, seen_at, address, user_agent FROM sessions
                 WHERE user_id = $1 AND expires_at > $2 AND seen_at > $3 ORDER BY seen_at DESC, id DESC",
            )
            .bind(user.0)
            .bind(now.0)
            .bind((now - SESSION_IDLE).0)
            .fetch_all(pool)
        })?;
        Ok(rows
            .into_iter()
            .map(|(id, created, seen, address, user_agent)| Session {
                id: SessionId(id),
                user_id: user,
                created_at: UnixMs(created),
                seen_at: UnixMs(seen),
                address,
                user_agent,
            })
            .collect())
    }

    /// Ends a session of an account.
    pub async fn delete_session(&self, user: UserId, session: SessionId) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query("DELETE FROM sessions WHERE id = $1 AND user_id = $2")
                .bind(session.0)
                .bind(user.0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// Ends every session of an account except one.
    pub async fn delete_other_sessions(&self, user: UserId, kept: SessionId) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id <> $2")
                .bind(user.0)
                .bind(kept.0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// The account of a name (letter case does not matter), with its password's hash.
    pub async fn find_credentials(&self, name: &str) -> StorageResult<Option<(User, String)>> {
        type Row = (i64, String, bool, Option<String>, Option<String>, String);
        let row: Option<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, name, must_change_password, language, theme, password_hash FROM users
                     WHERE LOWER(name) = LOWER($1)",
            )
            .bind(name)
            .fetch_optional(pool)
        })?;
        Ok(row.map(|(id, name, must_change, language, theme, hash)| {
            (user((id, name, must_change, language, theme)), hash)
        }))
    }

    /// Gives an account a new password, by its hash, and ends all of its sessions except `kept`.
    pub async fn set_password(
        &self,
        user: UserId,
        password_hash: &str,
        kept: SessionId,
    ) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE users SET password_hash = $1, must_change_password = FALSE WHERE id = $2")
            .bind(password_hash)
            .bind(user.0)
            .execute(&mut *tx)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id <> $2")
            .bind(user.0)
            .bind(kept.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sets an account's language and theme; a theme of `None` follows the system.
    pub async fn set_preferences(
        &self,
        user: UserId,
        language: &str,
        theme: Option<&str>,
    ) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query("UPDATE users SET language = $1, theme = $2 WHERE id = $3")
                .bind(language)
                .bind(theme)
                .bind(user.0)
                .execute(pool)
        })?;
        Ok(())
    }
}
