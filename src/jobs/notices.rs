//! Notices what operators want to be told of, and tells them: changes of models that any process has noted, keys that
//! became invalid. What was told is remembered across restarts; a message on its way is not.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    model::{
        id::{ChannelId, KeyId},
        key::Key,
        notice::{Event, EventKind, Occurrence, Target},
        time::{Clock, UnixMs},
        usage::OutcomeClass,
    },
    notices::{
        Outcome, deliver,
        outbox::{Message, Outbox},
    },
    scheduler::rest::Scope,
    storage::{
        Db, StorageResult,
        catalog::CatalogStore,
        discovery::{ChangeKind, MOST_CHANGES_OF_ONE},
        notices::UntoldChange,
    },
    upstream::client::Clients,
};

/// How often the job looks for news.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many changes are taken at a time: more than one list adds, so that each list is seen whole.
const CHANGES_AT_A_TIME: usize = 2 * MOST_CHANGES_OF_ONE;
/// How many models an event names.
const MOST_NAMES: usize = 20;

/// What the job works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Channels and keys.
    pub catalog: CatalogStore,
    /// What rests, and why.
    pub dispatch: Dispatch,
    /// The network.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
}

/// Looks for ever. Deliveries run beside the looking and beside each other; each has its time limit.
pub async fn run(parts: Parts, stopping: CancellationToken) {
    let mut outbox = Outbox::default();
    let mut targets = Vec::new();
    let mut deliveries: FuturesUnordered<BoxFuture<'static, (Message, Outcome)>> = FuturesUnordered::new();
    let mut next_look = Instant::now() + LOOK_EVERY;
    loop {
        let due = outbox.next_due().unwrap_or(next_look).min(next_look);
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            Some((message, outcome)) = deliveries.next() => {
                note(&parts.db, &mut outbox, message, outcome).await;
                continue;
            }
            () = stopping.cancelled() => return,
        }
        if Instant::now() >= next_look {
            next_look = Instant::now() + LOOK_EVERY;
            match look(&parts).await {
                Ok((known, events)) => {
                    outbox.keep(&known);
                    let now = Instant::now();
                    events.iter().for_each(|event| outbox.push(&known, event, now));
                    targets = known;
                }
                Err(error) => tracing::warn!(%error, "cannot look for what is to be notified; trying again"),
            }
        }
        for message in outbox.take_due(Instant::now()) {
            let Some(target) = targets.iter().find(|target| target.id == message.target) else { continue };
            let (set, clients, clock) = (target.set.clone(), parts.clients.clone(), parts.clock.clone());
            let delivery = async move {
                let outcome = deliver(&clients, &set, &message.events, message.left_out, clock.now()).await;
                (message, outcome)
            };
            deliveries.push(delivery.boxed());
        }
    }
}

async fn note(db: &Db, outbox: &mut Outbox, message: Message, outcome: Outcome) {
    let target = message.target;
    if let Err(error) = db.note_delivery(target, &outcome.delivery).await {
        tracing::warn!(%error, "cannot note what came of a notification");
    }
    if outcome.delivery.ok {
        outbox.sent(target, Instant::now());
        return;
    }
    let again = outcome.worth_another && outbox.failed(message, Instant::now());
    if !again {
        outbox.sent(target, Instant::now());
        tracing::warn!(
            target_id = target.0,
            detail = outcome.delivery.detail,
            "a notification was not taken"
        );
    }
}

/// Who is to be told, and of what. Whatever is given was told then.
pub async fn look(parts: &Parts) -> StorageResult<(Vec<Target>, Vec<Event>)> {
    let targets = parts.db.notice_targets().await?;
    let mut changes = parts.db.untold_changes(CHANGES_AT_A_TIME).await?;
    if changes.len() == CHANGES_AT_A_TIME {
        // The last list may go on; the next look sees it whole.
        let last = changes.last().map(|change| (change.channel, change.at));
        changes.retain(|change| Some((change.channel, change.at)) != last);
    }
    let mut events = model_events(&changes);
    let invalid = invalid_keys(parts).await?;
    let facts: Vec<String> = invalid.iter().map(|(key, _)| fact(*key)).collect();
    let new = parts.db.note_facts(&facts).await?;
    let at = parts.clock.now();
    events.extend(invalid.into_iter().filter(|(key, _)| new.contains(&fact(*key))).map(|(_, mut event)| {
        event.at = at;
        event
    }));
    if let Some(last) = changes.last() {
        parts.db.mark_changes_told(last.id).await?;
    }
    Ok((targets, events))
}

fn fact(key: KeyId) -> String {
    format!("{}:{key}", EventKind::KeyInvalid.as_str())
}

/// An event for what appeared, for what changed and for what vanished at once in a channel's list.
fn model_events(changes: &[UntoldChange]) -> Vec<Event> {
    let mut of_list: BTreeMap<(UnixMs, ChannelId), usize> = BTreeMap::new();
    for change in changes {
        *of_list.entry((change.at, change.channel)).or_default() += 1;
    }
    let mut events: BTreeMap<(UnixMs, ChannelId, EventKind), Event> = BTreeMap::new();
    for change in changes {
        let kind = match change.kind {
            ChangeKind::Appeared => EventKind::ModelsAppeared,
            ChangeKind::Changed => EventKind::ModelsChanged,
            ChangeKind::Vanished => EventKind::ModelsVanished,
        };
        // Of a longer list the changes beyond that were not noted one by one.
        let more =
            of_list.get(&(change.at, change.channel)).is_some_and(|count| *count >= MOST_CHANGES_OF_ONE);
        let event = events.entry((change.at, change.channel, kind)).or_insert_with(|| Event {
            at: change.at,
            channel: change.channel,
            channel_name: change.channel_name.clone(),
            what: Occurrence::Models { kind, names: Vec::new(), count: 0, more },
        });
        if let Occurrence::Models { names, count, .. } = &mut event.what {
            *count += 1;
            if names.len() < MOST_NAMES {
                names.push(change.name.clone());
            }
        }
    }
    events.into_values().collect()
}

/// Keys that are on and that their providers refuse, by a test or by a call.
async fn invalid_keys(parts: &Parts) -> StorageResult<Vec<(KeyId, Event)>> {
    let mut refused = parts.db.refused_keys().await?;
    {
        let pool = parts.dispatch.lock();
        // Also after the rest is over: until the key has answered, nothing has changed.
        refused.extend(pool.rests().all().filter_map(|(scope, rest)| match scope {
            Scope::Key(key) if rest.class == OutcomeClass::KeyInvalid => Some(*key),
            _ => None,
        }));
    }
    let catalog = parts.catalog.load();
    let mut events = Vec::new();
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        for key in entry.keys.iter().filter(|key| key.enabled && refused.contains(&key.id)) {
            let event = Event {
                at: UnixMs(0),
                channel: entry.channel.id,
                channel_name: entry.channel.name.clone(),
                what: Occurrence::KeyInvalid { key: key.id, shown: shown(key) },
            };
            events.push((key.id, event));
        }
    }
    Ok(events)
}

/// A key as pages show it: never the secret.
fn shown(key: &Key) -> String {
    let last4 = if key.last4.is_empty() { String::new() } else { format!("…{}", key.last4) };
    let parts = [key.label.clone(), last4].into_iter().filter(|part| !part.is_empty());
    match parts.collect::<Vec<_>>().join(" ") {
        text if text.is_empty() => format!("#{}", key.id),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: i64, at: i64, channel: i64, kind: ChangeKind) -> UntoldChange {
        UntoldChange {
            id,
            at: UnixMs(at),
            channel: ChannelId(channel),
            channel_name: format!("c{channel}"),
            name: format!("m{id}"),
            kind,
        }
    }

    #[test]
    fn the_changes_of_one_list_are_one_event_for_each_kind() {
        let mut changes: Vec<_> = (0..30).map(|id| change(id, 5, 1, ChangeKind::Appeared)).collect();
        changes.push(change(30, 5, 1, ChangeKind::Vanished));
        changes.push(change(31, 5, 2, ChangeKind::Appeared));
        changes.push(change(32, 9, 1, ChangeKind::Appeared));
        let told: Vec<(i64, i64, usize, usize, bool)> = model_events(&changes)
            .into_iter()
            .map(|event| {
                let Occurrence::Models { names, count, more, .. } = event.what else { panic!("{event:?}") };
                (event.at.0, event.channel.0, names.len(), count, more)
            })
            .collect();
        assert_eq!(
            told,
            [(5, 1, 20, 30, false), (5, 1, 1, 1, false), (5, 2, 1, 1, false), (9, 1, 1, 1, false)]
        );
        let many: Vec<_> =
            (0..MOST_CHANGES_OF_ONE as i64).map(|id| change(id, 5, 1, ChangeKind::Appeared)).collect();
        let Occurrence::Models { more, .. } = model_events(&many)[0].what else { panic!("models") };
        assert!(more, "there may be more than are noted");
    }
}
