//! Changes of models, as any process has noted them.

use std::collections::BTreeMap;

use crate::{
    model::{
        id::ChannelId,
        notice::{Event, EventKind, Occurrence, Place},
        time::UnixMs,
    },
    storage::{
        Db, StorageResult,
        discovery::{ChangeKind, MOST_CHANGES_OF_ONE},
        notices::UntoldChange,
    },
};

/// How many changes are taken at a time: more than one list adds, so that each list is seen whole.
const CHANGES_AT_A_TIME: usize = 2 * MOST_CHANGES_OF_ONE;
/// How many models an event names.
const MOST_NAMES: usize = 20;

/// What was not told yet, and up to which change that is.
pub(super) async fn news(db: &Db) -> StorageResult<(Vec<Event>, Option<i64>)> {
    let mut changes = db.untold_changes(CHANGES_AT_A_TIME).await?;
    if changes.len() == CHANGES_AT_A_TIME {
        // The last list may go on; the next look sees it whole.
        let last = changes.last().map(|change| (change.channel, change.at));
        changes.retain(|change| Some((change.channel, change.at)) != last);
    }
    Ok((events(&changes), changes.last().map(|change| change.id)))
}

/// An event for what appeared, for what changed and for what vanished at once in a channel's list.
fn events(changes: &[UntoldChange]) -> Vec<Event> {
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
            channel: Some(Place { id: change.channel, name: change.channel_name.clone() }),
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
        let told: Vec<(i64, i64, usize, usize, bool)> = events(&changes)
            .into_iter()
            .map(|event| {
                let Occurrence::Models { names, count, more, .. } = &event.what else { panic!("{event:?}") };
                let (count, more) = (*count, *more);
                (event.at.0, event.channel.map_or(0, |place| place.id.0), names.len(), count, more)
            })
            .collect();
        assert_eq!(
            told,
            [(5, 1, 1, 1, false), (5, 1, 20, 30, false), (5, 2, 1, 1, false), (9, 1, 1, 1, false)]
        );
        let many: Vec<_> =
            (0..MOST_CHANGES_OF_ONE as i64).map(|id| change(id, 5, 1, ChangeKind::Appeared)).collect();
        let Occurrence::Models { more, .. } = events(&many)[0].what else { panic!("models") };
        assert!(more, "there may be more than are noted");
    }
}
