//! Keys that their providers refuse, and how keys are shown.

use std::collections::BTreeSet;

use super::{Parts, facts::Fact};
use crate::{
    model::{
        catalog::Catalog,
        id::KeyId,
        key::Key,
        notice::{Event, Occurrence, Place},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::rest::Scope,
    storage::StorageResult,
};

/// What the names of these facts begin with.
pub(super) const NAMES: &str = "key_invalid:";

/// Keys that are on and that their providers refuse, by a test or by a call.
pub(super) async fn refused(parts: &Parts, now: UnixMs) -> StorageResult<Vec<Fact>> {
    let refused = refused_ids(parts, &[OutcomeClass::KeyInvalid]).await?;
    let catalog = parts.catalog.load();
    let mut facts = Vec::new();
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        for key in entry.keys.iter().filter(|key| key.enabled && refused.contains(&key.id)) {
            let event = Event {
                at: now,
                channel: Some(Place { id: entry.channel.id, name: entry.channel.name.clone() }),
                what: Occurrence::KeyInvalid { key: key.id, shown: shown(key) },
            };
            facts.push(Fact::new(format!("{NAMES}{}", key.id), event));
        }
    }
    Ok(facts)
}

async fn refused_ids(parts: &Parts, classes: &[OutcomeClass]) -> StorageResult<BTreeSet<KeyId>> {
    let mut refused: BTreeSet<KeyId> = parts.db.refused_keys().await?.into_iter().collect();
    let pool = parts.dispatch.lock();
    // Also after the rest is over: until the key has answered, nothing has changed.
    refused.extend(pool.rests().all().filter_map(|(scope, rest)| match scope {
        Scope::Key(key) if rest.is_of(classes) => Some(*key),
        _ => None,
    }));
    Ok(refused)
}

/// Keys that need a hand, as `channel: key`: refused, or out of credit.
pub(super) async fn that_need_a_hand(parts: &Parts, catalog: &Catalog) -> StorageResult<Vec<String>> {
    let ids = refused_ids(parts, &[OutcomeClass::KeyInvalid, OutcomeClass::OutOfCredit]).await?;
    let on = catalog.channels().filter(|entry| entry.channel.enabled);
    Ok(on
        .flat_map(|entry| {
            let wanted = entry.keys.iter().filter(|key| key.enabled && ids.contains(&key.id));
            wanted.map(|key| format!("{}: {}", entry.channel.name, shown(key)))
        })
        .collect())
}

/// A key as pages show it: never the secret.
pub(super) fn shown(key: &Key) -> String {
    let last4 = if key.last4.is_empty() { String::new() } else { format!("…{}", key.last4) };
    let parts = [key.label.clone(), last4].into_iter().filter(|part| !part.is_empty());
    match parts.collect::<Vec<_>>().join(" ") {
        text if text.is_empty() => format!("#{}", key.id),
        text => text,
    }
}
