//! Accounts and their browser sessions.

use super::{Db, StorageResult, on};
use crate::model::{
    id::{SessionId, UserId},
    secret::SecretHash,
    time::UnixMs,
    user::User,
};

impl Db {
    /// The account and session of a session cookie's hash, if it has not ended.
    pub async fn find_session(
        &self,
        secret: &SecretHash,
        now: UnixMs,
    ) -> StorageResult<Option<(User, SessionId)>> {
        let row: Option<(i64, i64, String, bool, Option<String>, Option<String>)> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT s.id, u.id, u.name, u.must_change_password, u.language, u.theme
                 FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.secret_hash = $1 AND s.expires_at > $2",
            )
            .bind(&secret.0[..])
            .bind(now.0)
            .fetch_optional(pool)
        })?;
        Ok(row.map(|(session, id, name, must_change_password, language, theme)| {
            (User { id: UserId(id), name, must_change_password, language, theme }, SessionId(session))
        }))
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
