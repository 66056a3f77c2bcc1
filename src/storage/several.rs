//! A change of several channels, keys or tokens: all of it in one transaction, or nothing.

use super::{Db, StorageError, StorageResult};
use crate::model::id::{ChannelId, KeyId, TokenId};

/// What becomes of each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is switched on.
    On,
    /// It is switched off.
    Off,
    /// It is deleted, and its secrets are erased.
    Delete,
}

/// Those that were not there when their turn came.
#[derive(Debug)]
struct Missing<T>(Vec<T>);

impl<T> Missing<T> {
    /// Notes one if it was not there; every other error ends the change.
    fn note(&mut self, id: T, outcome: StorageResult<()>) -> StorageResult<()> {
        match outcome {
            Err(StorageError::Missing) => self.0.push(id),
            other => other?,
        }
        Ok(())
    }
}

impl Db {
    /// Switches or deletes channels; gives those that there are not. Reload the catalog afterwards.
    pub async fn change_channels(&self, ids: &[ChannelId], change: Change) -> StorageResult<Vec<ChannelId>> {
        let mut missing = Missing(Vec::new());
        let mut tx = self.begin().await?;
        for id in ids {
            let outcome = match change {
                Change::On | Change::Off => self.switch_channel(&mut tx, *id, change == Change::On).await,
                Change::Delete => self.erase_channel(&mut tx, *id).await,
            };
            missing.note(*id, outcome)?;
        }
        tx.commit().await?;
        Ok(missing.0)
    }

    /// Switches or deletes keys; gives those that there are not. Reload the catalog afterwards.
    pub async fn change_keys(&self, ids: &[KeyId], change: Change) -> StorageResult<Vec<KeyId>> {
        let mut missing = Missing(Vec::new());
        let mut tx = self.begin().await?;
        for id in ids {
            let outcome = match change {
                Change::On | Change::Off => super::keys::switch_key(&mut tx, *id, change == Change::On).await,
                Change::Delete => self.erase_key(&mut tx, *id).await,
            };
            missing.note(*id, outcome)?;
        }
        tx.commit().await?;
        Ok(missing.0)
    }

    /// Switches or deletes tokens; gives those that there are not. Reload the catalog afterwards.
    pub async fn change_tokens(&self, ids: &[TokenId], change: Change) -> StorageResult<Vec<TokenId>> {
        let mut missing = Missing(Vec::new());
        let mut tx = self.begin().await?;
        for id in ids {
            let outcome = match change {
                Change::On | Change::Off => self.switch_token(&mut tx, *id, change == Change::On).await,
                Change::Delete => self.erase_token(&mut tx, *id).await,
            };
            missing.note(*id, outcome)?;
        }
        tx.commit().await?;
        Ok(missing.0)
    }
}
