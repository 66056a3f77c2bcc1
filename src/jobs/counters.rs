//! Asks providers that count for a key what it has used, at the start and then every so often, so that what others used of
//! the same account, and what a crash forgot, is known.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::id::{ChannelId, KeyId},
    scheduler::rest::Scope,
    storage::catalog::CatalogStore,
    upstream::{client::Clients, counter::read_counter},
};

/// How soon a new key is asked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Asks for every key that is on and does not rest, one after the other and one of each quota group, as often as its
/// provider's data allow. What does not answer is asked again at its next turn; until then what is known stays.
pub async fn run(catalog: CatalogStore, dispatch: Dispatch, clients: Clients, stopping: CancellationToken) {
    let mut asked = HashMap::new();
    loop {
        tokio::select! {
            () = ask(&catalog, &dispatch, &clients, &mut asked) => {}
            () = stopping.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn ask(
    catalog: &CatalogStore,
    dispatch: &Dispatch,
    clients: &Clients,
    asked: &mut HashMap<(ChannelId, KeyId), Instant>,
) {
    let snapshot = catalog.load();
    let mut known = HashMap::new();
    for entry in snapshot.channels().filter(|entry| entry.channel.enabled) {
        let channel = &entry.channel;
        let provider = catalog.provider_of(channel);
        let Some((_, every)) = provider.counter() else { continue };
        let mut groups = Vec::new();
        for key in entry.keys.iter().filter(|key| key.enabled) {
            if let Some(group) = &key.quota_group {
                if groups.contains(&group) {
                    continue;
                }
                groups.push(group);
            }
            let id = (channel.id, key.id);
            let due = asked.get(&id).is_none_or(|at| at.elapsed() >= every);
            let rests = {
                let pool = dispatch.lock();
                pool.rests().active(&Scope::Key(key.id), dispatch.now().steady).is_some()
            };
            if !due || rests {
                known.extend(asked.get_key_value(&id));
                continue;
            }
            known.insert(id, Instant::now());
            let timeouts = snapshot.timeouts(channel);
            let Some(reading) = read_counter(clients, channel, &provider, &key.secret, timeouts).await else {
                tracing::debug!(channel = %channel.id, key = %key.id, "the provider's counter does not answer");
                continue;
            };
            // Keys of one account have its plan and its limits.
            let shared = |other: &KeyId, group: &Option<String>| {
                *other == key.id || (group.is_some() && *group == key.quota_group)
            };
            for other in entry.keys.iter().filter(|other| shared(&other.id, &other.quota_group)) {
                dispatch.counted(channel.id, other.id, &reading);
            }
        }
    }
    *asked = known;
}
