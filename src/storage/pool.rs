//! The whole pool at one moment, and changes of it that happen together or not at all.

use std::collections::HashMap;

use super::{Db, StorageError, StorageResult, channels::NewChannel, keys, tokens};
use crate::model::{
    chain::Chain,
    channel::Channel,
    id::{ChainId, ChannelId, KeyId, TokenId},
    key::{Key, PastedKey},
    secret::{Secret, SecretHash},
    time::UnixMs,
    token::Token,
};

/// How often the reading of the pool begins anew because somebody changed it meanwhile.
const READS: usize = 20;

/// Every channel, key, chain and token at one moment.
#[derive(Debug, Clone, Default)]
pub struct PoolState {
    /// The [`Db::catalog_version`] of the moment.
    pub version: i64,
    /// Channels with their keys, secrets opened, in the order in which they were made.
    pub channels: Vec<(Channel, Vec<Key>)>,
    /// Chains, by name.
    pub chains: Vec<Chain>,
    /// Tokens, by name.
    pub tokens: Vec<Token>,
    /// The hash of every valid token value, its token, and when it ends if it was replaced.
    pub credentials: Vec<(SecretHash, TokenId, Option<UnixMs>)>,
    /// The present value of each token; empty unless it was asked for.
    pub values: HashMap<TokenId, Secret>,
}

/// Changes that happen together.
#[derive(Debug, Clone, Default)]
pub struct PoolChange {
    /// Tokens to delete.
    pub erase_tokens: Vec<TokenId>,
    /// Channels to delete, with their keys.
    pub erase_channels: Vec<ChannelId>,
    /// Chains to delete.
    pub erase_chains: Vec<ChainId>,
    /// Channels to make or to change, in this order.
    pub channels: Vec<ChannelChange>,
    /// Chains to make or to change, in this order.
    pub chains: Vec<ChainChange>,
    /// Tokens to make or to change, in this order.
    pub tokens: Vec<TokenChange>,
}

/// What happens to a channel and its keys.
#[derive(Debug, Clone, Default)]
pub struct ChannelChange {
    /// The channel; `None` makes one, from `write`.
    pub id: Option<ChannelId>,
    /// Everything that an operator says of it; `None` leaves it as it is.
    pub write: Option<NewChannel>,
    /// Keys to delete.
    pub erase_keys: Vec<KeyId>,
    /// Keys whose label, quota group, limits or state change.
    pub write_keys: Vec<Key>,
    /// Keys to add, and whether they take calls.
    pub add_keys: Vec<(PastedKey, bool)>,
}

/// What happens to a chain.
#[derive(Debug, Clone)]
pub struct ChainChange {
    /// The chain as it should be; its id counts unless it is `new`.
    pub chain: Chain,
    /// Whether the chain is to be made.
    pub new: bool,
}

/// What happens to a token.
#[derive(Debug, Clone)]
pub struct TokenChange {
    /// The token as it should be; its id counts unless it is `new`.
    pub token: Token,
    /// Whether the token is to be made.
    pub new: bool,
    /// Whether more than the value changes.
    pub write: bool,
    /// The value that it gets: the present one then ends at once. `None` leaves it, and gives a new token a random one.
    pub value: Option<Secret>,
}

/// What a change brought.
#[derive(Debug)]
pub enum Applied {
    /// Everything was done. The names of tokens that got a random value, and the values.
    Done(Vec<(String, Secret)>),
    /// Nothing was done: the pool is no longer the one that the change was made for.
    Outdated,
}

impl Db {
    /// Every channel, key, chain and token at one moment; `with_values` also opens the tokens' values.
    pub async fn pool_state(&self, with_values: bool) -> StorageResult<PoolState> {
        for _ in 0..READS {
            let version = self.catalog_version().await?;
            let state = PoolState {
                version,
                channels: self.channels_with_keys().await?,
                chains: self.chains().await?,
                tokens: self.tokens().await?,
                credentials: self.token_credentials().await?,
                values: if with_values { self.token_values().await? } else { HashMap::new() },
            };
            // The queries are not one snapshot, but nothing has changed between the first and the last.
            if self.catalog_version().await? == version {
                return Ok(state);
            }
        }
        Err(StorageError::Unreadable("the pool was changed all the time while it was read; try again".into()))
    }

    /// Does everything in one transaction, if the pool is still the one of `version`. That no chain leads back to itself
    /// afterwards is the caller's to know. A process that dies in the middle
    /// leaves it as it was. Reload the catalog afterwards.
    pub async fn apply_pool(&self, version: i64, change: &PoolChange) -> StorageResult<Applied> {
        let mut tx = self.begin().await?;
        let present: i64 = sqlx::query_scalar("SELECT version FROM catalog_version WHERE id = 1")
            .fetch_one(&mut *tx)
            .await?;
        if present != version {
            return Ok(Applied::Outdated);
        }
        // What goes makes room for what comes: names and values are unique.
        for id in &change.erase_tokens {
            self.erase_token(&mut tx, *id).await?;
        }
        for id in &change.erase_channels {
            self.erase_channel(&mut tx, *id).await?;
        }
        for channel in &change.channels {
            let id = match (channel.id, &channel.write) {
                (Some(id), write) => {
                    if let Some(write) = write {
                        self.write_channel(&mut tx, id, write).await?;
                    }
                    id
                }
                (None, Some(write)) => self.insert_channel(&mut tx, write).await?,
                (None, None) => return Err(StorageError::Missing),
            };
            for key in &channel.erase_keys {
                self.erase_key(&mut tx, *key).await?;
            }
            for key in &channel.write_keys {
                keys::write_whole_key(&mut tx, key).await?;
            }
            for (key, enabled) in &channel.add_keys {
                self.insert_key(&mut tx, id, key, *enabled).await?;
            }
        }
        for id in &change.erase_chains {
            self.erase_chain(&mut tx, *id).await?;
        }
        for change in &change.chains {
            if change.new {
                self.insert_chain(&mut tx, &change.chain).await?;
            } else {
                self.write_chain(&mut tx, &change.chain).await?;
            }
        }
        let generated = self.write_tokens(&mut tx, &change.tokens).await?;
        tx.commit().await?;
        Ok(Applied::Done(generated))
    }

    async fn write_tokens(
        &self,
        tx: &mut super::WriteTransaction,
        changes: &[TokenChange],
    ) -> StorageResult<Vec<(String, Secret)>> {
        let now = self.now();
        // All old values end before the first new one begins, so that tokens can exchange theirs.
        for change in changes.iter().filter(|change| !change.new && change.value.is_some()) {
            self.end_value(tx, change.token.id, now).await?;
        }
        let mut generated = Vec::new();
        for change in changes {
            if change.new {
                let value = change.value.clone().unwrap_or_else(|| {
                    let value = tokens::new_value();
                    generated.push((change.token.name.clone(), value.clone()));
                    value
                });
                self.insert_token(tx, &(change.token.clone(), value).into()).await?;
                continue;
            }
            if change.write {
                self.write_token(tx, &change.token).await?;
            }
            if let Some(value) = &change.value {
                // It may be one that the token had before and that is in its grace time.
                sqlx::query("DELETE FROM token_values WHERE token_id = $1 AND hash = $2")
                    .bind(change.token.id.0)
                    .bind(&SecretHash::of(value.expose()).0[..])
                    .execute(&mut **tx)
                    .await?;
                self.add_value(tx, change.token.id, value, now).await?;
            }
        }
        Ok(generated)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::storage::{recording::tests::open, tokens::NewToken};

    fn value(letter: &str) -> Secret {
        Secret::new(letter.repeat(40))
    }

    async fn token(db: &Db, id: TokenId) -> Token {
        db.find_token(id).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_change_that_was_made_for_an_earlier_pool_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let state = db.pool_state(false).await.unwrap();
        let write = NewChannel { name: "a".into(), ..NewChannel::default() };
        let change = PoolChange {
            channels: vec![ChannelChange { write: Some(write), ..ChannelChange::default() }],
            ..PoolChange::default()
        };
        db.create_token(&NewToken::unlimited("meanwhile", value("a"))).await.unwrap();
        assert!(matches!(db.apply_pool(state.version, &change).await.unwrap(), Applied::Outdated));
        let state = db.pool_state(false).await.unwrap();
        assert!(state.channels.is_empty());
        assert!(matches!(db.apply_pool(state.version, &change).await.unwrap(), Applied::Done(_)));
        assert_eq!(db.pool_state(false).await.unwrap().channels.len(), 1);
    }

    #[tokio::test]
    async fn a_change_of_which_one_part_fails_does_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let id = db.create_token(&NewToken::unlimited("t", value("a"))).await.unwrap();
        let named = |name: &str| ChannelChange {
            write: Some(NewChannel { name: name.into(), ..NewChannel::default() }),
            ..ChannelChange::default()
        };
        let change = PoolChange {
            erase_tokens: vec![id],
            channels: vec![named("a"), named("A")],
            ..PoolChange::default()
        };
        let before = db.pool_state(true).await.unwrap();
        let result = db.apply_pool(before.version, &change).await;
        assert!(matches!(result, Err(StorageError::Taken("name"))), "{result:?}");
        let after = db.pool_state(true).await.unwrap();
        assert_eq!((after.version, after.channels.len(), after.tokens.len()), (before.version, 0, 1));
    }

    #[tokio::test]
    async fn a_given_value_ends_the_present_one_at_once_and_may_be_one_in_its_grace_time() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let id = db.create_token(&NewToken::unlimited("t", value("a"))).await.unwrap();
        db.rotate_token(id, &value("b"), Duration::from_secs(3600)).await.unwrap();
        let change =
            TokenChange { token: token(&db, id).await, new: false, write: false, value: Some(value("a")) };
        let change = PoolChange { tokens: vec![change], ..PoolChange::default() };
        let version = db.pool_state(false).await.unwrap().version;
        db.apply_pool(version, &change).await.unwrap();
        let state = db.pool_state(true).await.unwrap();
        assert_eq!(state.values[&id], value("a"));
        assert_eq!(state.credentials.len(), 1, "the replaced value still works");
    }
}
