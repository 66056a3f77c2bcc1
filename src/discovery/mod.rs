//! What upstreams have to offer: their models ([`refresh`], several at once: [`round`]), which keys they take ([`proof`])
//! and whose those are ([`accounts`]), and what models can do ([`probe`]). The job, the pages, the
//! admin API and the commands ask by the same functions.

pub mod accounts;
pub mod probe;
pub mod proof;
pub mod round;
pub mod scan;

use crate::{
    model::{
        catalog::ChannelEntry,
        channel::{ChannelModel, EffectiveTimeouts},
        key::Key,
        secret::Secret,
        time::UnixMs,
    },
    pool::rules::{MAX_MODELS, is_model_name, is_price},
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
        Ok(mut fetched) => {
            let saved = db.save_listing(channel.id, &fetched.listing, now).await?;
            fetched.give_room_back();
            Ok(Refreshed { fetched, saved })
        }
        Err(failure) => {
            db.save_failed_listing(channel.id, &summary(&failure), now).await?;
            Err(RefreshFailure::Fetch(failure))
        }
    }
}

/// Which listed models a channel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Everything that is listed.
    All,
    /// Those that cost nothing, if the provider has some; else everything.
    FreeFirst,
}

/// What a channel began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offered {
    /// Models that it offers now.
    pub offered: usize,
    /// Models that the upstream lists.
    pub listed: usize,
}

/// [`refresh`], and then the channel offers what is listed, in place of what it offered before; at most as many models as a
/// channel may have.
pub async fn offer_listed(
    db: &Db,
    clients: &Clients,
    entry: &ChannelEntry,
    provider: &Arc<Provider>,
    timeouts: EffectiveTimeouts,
    choice: Choice,
    now: UnixMs,
) -> Result<Offered, RefreshFailure> {
    let refreshed = refresh(db, clients, entry, provider, timeouts, now).await?;
    let usable = |model: &ChannelModel| is_model_name(&model.name) && model.price.is_none_or(is_price);
    let mut models: Vec<ChannelModel> = refreshed.fetched.models().into_iter().filter(usable).collect();
    let facts = &refreshed.fetched.listing.models;
    if choice == Choice::FreeFirst && facts.iter().any(|facts| facts.free == Some(true)) {
        let free: std::collections::HashSet<&str> =
            facts.iter().filter(|facts| facts.free == Some(true)).map(|facts| facts.id.as_str()).collect();
        models.retain(|model| free.contains(model.name.as_str()));
    }
    models.truncate(MAX_MODELS);
    db.set_channel_models(entry.channel.id, &models, &entry.channel.redirects).await?;
    Ok(Offered { offered: models.len(), listed: facts.len() })
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
