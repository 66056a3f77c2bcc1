//! What the ids in the usage log are called. Deleted tokens, channels and keys keep their names.

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::{
    model::id::{ChannelId, KeyId, TokenId},
    storage::{Db, Engine, StorageResult, on},
};

/// The most names of a kind that a filter offers.
const MAX_CHOICES: i64 = 1000;

/// A token or a channel by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<Id> {
    /// Its id.
    pub id: Id,
    /// Its name; empty if nothing is left of it.
    pub name: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A key by what pages may show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// Its id.
    pub id: KeyId,
    /// The operator's name for it; may be empty.
    pub label: String,
    /// Its last four characters; may be empty.
    pub last4: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What a filter may choose from, those that are not deleted first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageNames {
    /// Tokens, by name.
    pub tokens: Vec<Named<TokenId>>,
    /// Channels, by name.
    pub channels: Vec<Named<ChannelId>>,
    /// Keys of the chosen channel, in the order in which they were added.
    pub keys: Vec<KeyName>,
}

impl Db {
    /// The names of tokens and channels and, if one is chosen, of a channel's keys: at most 1000 of each.
    pub async fn usage_names(&self, channel: Option<ChannelId>) -> StorageResult<UsageNames> {
        const TOKENS: &str = "SELECT id, name, deleted_at IS NOT NULL FROM tokens \
                              ORDER BY deleted_at IS NOT NULL, LOWER(name), id LIMIT $1";
        const CHANNELS: &str = "SELECT id, name, deleted_at IS NOT NULL FROM channels \
                                ORDER BY deleted_at IS NOT NULL, LOWER(name), id LIMIT $1";
        const KEYS: &str = "SELECT id, label, last4, deleted_at IS NOT NULL FROM keys WHERE channel_id = $1 \
                            ORDER BY deleted_at IS NOT NULL, id LIMIT $2";
        let tokens: Vec<(i64, String, bool)> =
            on!(self.read, |pool| sqlx::query_as(TOKENS).bind(MAX_CHOICES).fetch_all(pool))?;
        let channels: Vec<(i64, String, bool)> =
            on!(self.read, |pool| sqlx::query_as(CHANNELS).bind(MAX_CHOICES).fetch_all(pool))?;
        let keys: Vec<(i64, String, String, bool)> = match channel {
            Some(id) => {
                on!(self.read, |pool| sqlx::query_as(KEYS).bind(id.0).bind(MAX_CHOICES).fetch_all(pool))?
            }
            None => Vec::new(),
        };
        Ok(UsageNames {
            tokens: tokens
                .into_iter()
                .map(|(id, name, deleted)| Named { id: TokenId(id), name, deleted })
                .collect(),
            channels: channels
                .into_iter()
                .map(|(id, name, deleted)| Named { id: ChannelId(id), name, deleted })
                .collect(),
            keys: keys
                .into_iter()
                .map(|(id, label, last4, deleted)| KeyName { id: KeyId(id), label, last4, deleted })
                .collect(),
        })
    }
}

/// What single ids are called: each `None` if it was not asked for or nothing is left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamesOf {
    /// The token.
    pub token: Option<Named<TokenId>>,
    /// The channel.
    pub channel: Option<Named<ChannelId>>,
    /// The key.
    pub key: Option<KeyName>,
}

impl Db {
    /// What a token, a channel and a key are called.
    pub async fn usage_names_of(
        &self,
        token: Option<TokenId>,
        channel: Option<ChannelId>,
        key: Option<KeyId>,
    ) -> StorageResult<NamesOf> {
        let Engine::Sqlite(pool) = &self.read;
        let mut connection = pool.acquire().await?;
        let mut names = NamesOf::default();
        if let Some(id) = token {
            let found = names_of(&mut connection, "tokens", &[id.0]).await?.pop();
            names.token = found.map(|(id, name, deleted)| Named { id: TokenId(id), name, deleted });
        }
        if let Some(id) = channel {
            let found = names_of(&mut connection, "channels", &[id.0]).await?.pop();
            names.channel = found.map(|(id, name, deleted)| Named { id: ChannelId(id), name, deleted });
        }
        if let Some(id) = key {
            let found = key_names_of(&mut connection, &[id.0]).await?.pop();
            names.key =
                found.map(|(id, label, last4, deleted, ..)| KeyName { id: KeyId(id), label, last4, deleted });
        }
        Ok(names)
    }
}

/// The names of some rows of `tokens` or `channels`; what is gone has none.
pub(super) async fn names_of(
    connection: &mut SqliteConnection,
    table: &'static str,
    ids: &[i64],
) -> Result<Vec<(i64, String, bool)>, sqlx::Error> {
    let sql = format!("SELECT id, name, deleted_at IS NOT NULL FROM {table} WHERE id IN ({})", list(ids));
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
}

/// A key with its channel: id, label, last four characters, whether it was deleted, and the channel's id and name and
/// whether that was deleted.
pub(super) type KeyRow = (i64, String, String, bool, i64, String, bool);

/// The names of some keys and of their channels; what is gone has none.
pub(super) async fn key_names_of(
    connection: &mut SqliteConnection,
    ids: &[i64],
) -> Result<Vec<KeyRow>, sqlx::Error> {
    let sql = format!(
        "SELECT k.id, k.label, k.last4, k.deleted_at IS NOT NULL, c.id, c.name, c.deleted_at IS NOT NULL \
         FROM keys k JOIN channels c ON c.id = k.channel_id WHERE k.id IN ({})",
        list(ids)
    );
    sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await
}

fn list(ids: &[i64]) -> String {
    ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
