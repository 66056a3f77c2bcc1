//! What holds now against what held at the last look: told when it begins (or once it has held for long enough), and only
//! again after it has ended.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{
        catalog::Catalog,
        id::ChannelId,
        notice::{Event, Occurrence, Place},
        time::UnixMs,
    },
    storage::{
        StorageResult,
        notice_queue::{KnownFact, News},
    },
};

/// That facts were looked at before; the first time all of them count as known.
pub(super) const MARK: &str = "facts";
/// What the facts about channels that take no calls begin with.
pub(super) const CHANNEL_DOWN: &str = "channel_down:";

/// Something that holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// What tells it from others, and is the same as long as it holds.
    pub name: String,
    /// For how long it has to hold before it is told.
    pub after: Duration,
    /// What is told; `None` if another fact tells it already.
    pub event: Option<Event>,
}

impl Fact {
    /// A fact that is told at once.
    pub fn new(name: String, event: Event) -> Self {
        Self { name, after: Duration::ZERO, event: Some(event) }
    }

    /// A fact that counts as told without a word.
    pub fn untold(name: String) -> Self {
        Self { name, after: Duration::ZERO, event: None }
    }
}

/// What holds now, as far as it could be looked up.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// What holds.
    pub facts: Vec<Fact>,
    /// Names of facts of which nobody knows now whether they hold; or what such names begin with, up to a colon.
    unknown: Vec<String>,
}

impl Held {
    /// Takes what a source has found. If it has failed, the facts of this name count as they did, or of all names that begin
    /// so, if it ends in a colon: they have neither begun nor ended.
    pub fn take(&mut self, names: &str, found: StorageResult<impl IntoIterator<Item = Fact>>) {
        match found {
            Ok(facts) => self.facts.extend(facts),
            Err(error) => {
                tracing::warn!(names, %error, "cannot look up what is to be notified; trying again");
                self.unknown.push(names.to_owned());
            }
        }
    }

    /// Takes what was found earlier.
    pub fn take_again(&mut self, earlier: &Self) {
        self.facts.extend_from_slice(&earlier.facts);
        self.unknown.extend_from_slice(&earlier.unknown);
    }

    /// Leaves a fact as it was: neither begun nor ended.
    pub fn leave(&mut self, name: String) {
        self.unknown.push(name);
    }

    fn is_unknown(&self, name: &str) -> bool {
        self.unknown.iter().any(|known| known == name || (known.ends_with(':') && name.starts_with(known)))
    }
}

/// Notes what has begun, what has held for long enough and what has ended.
pub(super) fn compare(
    news: &mut News,
    held: &Held,
    known: &BTreeMap<String, KnownFact>,
    first: bool,
    catalog: &Catalog,
    now: UnixMs,
) {
    let mut holds: BTreeMap<&str, &Fact> = BTreeMap::new();
    for fact in &held.facts {
        holds.insert(&fact.name, fact);
    }
    for fact in holds.values() {
        let before = known.get(&fact.name).copied();
        let since = before.map_or(now, |known| known.since);
        if first {
            news.facts.push((fact.name.clone(), KnownFact { since: UnixMs(0), told: true }));
        } else if before.is_none_or(|known| !known.told) {
            let told = now.since(since) >= fact.after;
            if told {
                news.events.extend(fact.event.as_ref().map(|event| since_then(event, since)));
            }
            if told || before.is_none() {
                news.facts.push((fact.name.clone(), KnownFact { since, told }));
            }
        }
    }
    for (name, known) in known {
        if holds.contains_key(name.as_str()) || held.is_unknown(name) {
            continue;
        }
        news.ended.push(name.clone());
        // Only of what was told is the end worth telling.
        if known.told && known.since.0 > 0 {
            news.events.extend(ended(name, known.since, catalog, now));
        }
    }
    if first {
        news.marks.push((MARK.to_owned(), 1));
    }
}

/// The event with the time since which it holds.
fn since_then(event: &Event, began: UnixMs) -> Event {
    let mut event = event.clone();
    if let Occurrence::ChannelDown { since, .. } = &mut event.what {
        *since = began;
    }
    event
}

fn ended(name: &str, since: UnixMs, catalog: &Catalog, now: UnixMs) -> Option<Event> {
    let id: ChannelId = name.strip_prefix(CHANNEL_DOWN)?.parse().ok()?;
    // A channel that was switched off or deleted does not take calls again.
    let entry = catalog.channel(id).filter(|entry| entry.channel.enabled)?;
    entry.keys.iter().find(|key| key.enabled)?;
    let lasted_ms = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
    Some(Event {
        at: now,
        channel: Some(Place { id, name: entry.channel.name.clone() }),
        what: Occurrence::ChannelUp { lasted_ms },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{notice::EventKind, settings::RuntimeSettings},
        storage::StorageError,
    };

    fn catalog() -> Catalog {
        Catalog::new(RuntimeSettings::sample(), jiff::tz::TimeZone::UTC, vec![], vec![], vec![])
    }

    fn fact(name: &str, after_s: u64) -> Fact {
        let what = Occurrence::ChainEmpty { chain: name.into() };
        Fact {
            name: name.into(),
            after: Duration::from_secs(after_s),
            event: Some(Event { at: UnixMs(0), channel: None, what }),
        }
    }

    /// What is told at each of these times, from which facts hold then.
    fn told(looks: &[(i64, Vec<Fact>)]) -> Vec<usize> {
        let mut known = BTreeMap::new();
        let mut counts = Vec::new();
        for (place, (now, held)) in looks.iter().enumerate() {
            let mut news = News::default();
            let held = Held { facts: held.clone(), ..Held::default() };
            compare(&mut news, &held, &known, place == 0, &catalog(), UnixMs(*now));
            known.extend(news.facts);
            for name in &news.ended {
                known.remove(name);
            }
            counts.push(news.events.len());
            assert!(news.events.iter().all(|event| event.kind() == EventKind::ChainEmpty));
        }
        counts
    }

    #[test]
    fn a_fact_is_told_once_until_it_has_ended_and_nothing_from_before_the_first_look() {
        let (a, b) = (fact("a", 0), fact("b", 0));
        let looks = [
            (1, vec![a.clone()]),
            (2, vec![a.clone(), b.clone()]),
            (3, vec![a.clone(), b.clone()]),
            (4, vec![b.clone()]),
            (5, vec![a, b]),
        ];
        assert_eq!(told(&looks), [0, 1, 0, 0, 1]);
    }

    #[test]
    fn what_has_to_hold_for_a_while_is_told_when_it_has_and_not_at_all_if_it_ends_before() {
        let slow = fact("a", 60);
        let looks = [
            (0, vec![]),
            (1_000, vec![slow.clone()]),
            (60_999, vec![slow.clone()]),
            (61_000, vec![slow.clone()]),
            (62_000, vec![slow.clone()]),
            (63_000, vec![]),
            (64_000, vec![slow.clone()]),
            (65_000, vec![]),
            (200_000, vec![slow]),
        ];
        assert_eq!(told(&looks), [0, 0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn what_nobody_knows_now_is_left_as_it_was_by_its_name_or_by_how_its_name_begins() {
        let at = |since| KnownFact { since: UnixMs(since), told: true };
        let names = ["channel_down:3", "channel_down:30", "budget:key:1", "budget:key:2", "budgets"];
        let known: BTreeMap<String, KnownFact> = names.iter().map(|name| ((*name).into(), at(1))).collect();
        let mut held = Held::default();
        held.take("budget:", Err::<Vec<Fact>, _>(StorageError::TooSlow));
        held.leave("channel_down:3".into());
        let mut news = News::default();
        compare(&mut news, &held, &known, false, &catalog(), UnixMs(9));
        assert_eq!(news.ended, ["budgets", "channel_down:30"]);
        assert_eq!((news.facts, news.events), (vec![], vec![]));
    }
}
