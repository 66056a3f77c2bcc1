//! What upstreams have to offer: their models ([`refresh`]), which keys they take ([`proof`]), and what models
//! can do ([`probe`]). The job, the pages, the
//! admin API and the commands ask by the same functions.

pub mod probe;
pub mod proof;

use crate::{
    model::{catalog::ChannelEntry, channel::EffectiveTimeouts, key::Key, time::UnixMs},
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
    /// The channel has no key to ask with.
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

/// Asks a channel's upstream for its models, and notes what it lists and what changed since the last time. Takes at most
/// the time until the first byte; dropping the future cancels the request.
pub async fn refresh(
    db: &Db,
    clients: &Clients,
    entry: &ChannelEntry,
    provider: &Arc<Provider>,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<Refreshed, RefreshFailure> {
    let key = asking_key(entry).ok_or(RefreshFailure::NoKey)?;
    let channel = &entry.channel;
    match fetch_list(clients, channel, provider, &key.secret, timeouts, now).await {
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
