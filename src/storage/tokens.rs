//! Tokens and their values.

use super::{Db, StorageResult};
use crate::model::{id::TokenId, secret::SecretHash, time::UnixMs, token::Token};

impl Db {
    /// Every token that is not deleted.
    pub async fn tokens(&self) -> StorageResult<Vec<Token>> {
        Ok(Vec::new())
    }

    /// The hash of every value, its token, and when the value ends if it was replaced.
    pub(crate) async fn token_credentials(
        &self,
    ) -> StorageResult<Vec<(SecretHash, TokenId, Option<UnixMs>)>> {
        Ok(Vec::new())
    }
}
