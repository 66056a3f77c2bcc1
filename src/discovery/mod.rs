//! What upstreams have to offer: their models ([`refresh`], several at once: [`round`]), and which keys they take ([`proof`]). The job, the pages, the
//! admin API and the commands ask by the same functions.

pub mod proof;
pub mod round;

use crate::{
    model::{catalog::ChannelEntry, channel::EffectiveTimeouts, key::Key, secret::Secret, time::UnixMs},
    provider::Provider,
    storage::{Db, StorageError, discovery::Saved},
    upstream::{
        client::Clients,
        models::{FetchFailure, Fetched, fetch_list},
    },
};
use std::sync::Arc;

/// What came of asking an upstream for its models.
#[derive(Debug)]
pub struct Refreshed {
    /// What it lists.
    pub fetched: Fetched,
    /// What that changed.
    pub saved: Saved,
}

/// Why there is nothing new.
#[derive(Debug)]
pub enum RefreshFailure {
    /// The channel has no key to ask with, and its provider wants one.
    NoKey,
    /// The upstream gave no list; what is known stays, and the reason is noted.
    Fetch(FetchFailure),
    /// The database.
    Storage(StorageError),
}

impl From<StorageError> for RefreshFailure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// The key that asks for a channel's list: the first one that is switched on, else the first.
pub fn asking_key(entry: &ChannelEntry) -> Option<&Arc<Key>> {
    entry.keys.iter().find(|key| key.enabled).or(entry.keys.first())
}

/// Whether a channel's upstream can be asked for its list: with one of its keys, or because its provider needs none.
pub fn can_be_asked(entry: &ChannelEntry, provider: &Provider) -> bool {
    !entry.keys.is_empty() || provider.lists_without_key()
}

/// Asks a channel's upstream for its models, and notes what it lists and what changed since the last time. Takes at most
/// the time until the first byte, and longer only while long lists of others are in memory; dropping the future cancels
/// the request.
pub async fn refresh(
    db: &Db,
    clients: &Clients,
    entry: &ChannelEntry,
    provider: &Arc<Provider>,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<Refreshed, RefreshFailure> {
    let no_key = Secret::new("");
    let key = match asking_key(entry) {
        Some(key) => &key.secret,
        None if provider.lists_without_key() => &no_key,
        None => return Err(RefreshFailure::NoKey),
    };
    let channel = &entry.channel;
    match fetch_list(clients, channel, provider, key, timeouts, now).await {
        Ok(fetched) => {
            let saved = db.save_listing(channel.id, &fetched.listing, now).await?;
            Ok(Refreshed { fetched, saved })
        }
        Err(failure) => {
            db.save_failed_listing(channel.id, &summary(&failure), now).await?;
            Err(RefreshFailure::Fetch(failure))
        }
    }
}

/// A failure in one text: the status, the class and the upstream's words.
pub fn summary(failure: &FetchFailure) -> String {
    let status = failure.status.map(|status| format!("HTTP {status}"));
    let class = failure.class.map(|class| class.to_string());
    let parts: Vec<String> = [status, class, Some(failure.text.clone())]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(": ")
}
