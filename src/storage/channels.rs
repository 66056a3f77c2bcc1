//! Channels with their models, redirects and keys.

use super::{Db, StorageResult};
use crate::model::{channel::Channel, key::Key};

impl Db {
    /// Every channel that is not deleted, with its keys, secrets opened: what the catalog is built from.
    pub(crate) async fn channels_with_keys(&self) -> StorageResult<Vec<(Channel, Vec<Key>)>> {
        Ok(Vec::new())
    }
}
