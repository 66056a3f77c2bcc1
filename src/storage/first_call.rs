//! The call that shows a new operator that everything works.

use super::{Db, StorageResult, on};
use crate::model::{id::TokenId, usage::CallResult};

/// A call with a token, as the last step of the set-up shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCall {
    /// The model as the client named it.
    pub model: String,
    /// The channel that served it, or was tried last.
    pub channel: Option<String>,
    /// Milliseconds from arrival to the end.
    pub total_ms: i64,
    /// The HTTP status that the client got.
    pub status: i64,
    /// Whether it was answered completely.
    pub answered: bool,
    /// Our code for the error.
    pub error_code: Option<String>,
}

impl Db {
    /// The latest call with a token that was answered; if none was, the latest one at all.
    pub async fn find_token_call(&self, token: TokenId) -> StorageResult<Option<TokenCall>> {
        type Row = (String, Option<String>, i64, i64, String, Option<String>);
        let mut row: Option<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT u.asked_model, c.name, u.total_ms, u.status, u.result, u.error_code
                 FROM usage u LEFT JOIN channels c ON c.id = u.channel_id
                 WHERE u.token_id = $1 AND u.result = $2 ORDER BY u.at DESC LIMIT 1",
            )
            .bind(token.0)
            .bind(CallResult::Ok.as_str())
            .fetch_optional(pool)
        })?;
        if row.is_none() {
            row = on!(self.read, |pool| {
                sqlx::query_as(
                    "SELECT u.asked_model, c.name, u.total_ms, u.status, u.result, u.error_code
                     FROM usage u LEFT JOIN channels c ON c.id = u.channel_id
                     WHERE u.token_id = $1 ORDER BY u.at DESC LIMIT 1",
                )
                .bind(token.0)
                .fetch_optional(pool)
            })?;
        }
        Ok(row.map(|(model, channel, total_ms, status, result, error_code)| TokenCall {
            model,
            channel,
            total_ms,
            status,
            answered: result == CallResult::Ok.as_str(),
            error_code,
        }))
    }
}
