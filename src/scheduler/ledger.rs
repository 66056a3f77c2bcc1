//! The ledger: what each candidate may do now, and whose turn it is.
//!
//! All checks and reservations of a call happen in one critical section of its owner (a mutex in the relay), so nothing
//! is checked now and spent later. So far it knows rests and turns; limits join it here.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::rest::{Report, Rest, RestBook, Scope};
use crate::model::{
    id::{ChannelId, KeyId},
    time::UnixMs,
    usage::OutcomeClass,
};

/// One way to serve a call: a key of a channel and the upstream's model name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The channel.
    pub channel: ChannelId,
    /// The key.
    pub key: KeyId,
    /// The upstream's model name.
    pub model: Arc<str>,
    /// The quota group of the key, if it shares one.
    pub group: Option<String>,
    /// The channel's tier; higher ones first.
    pub priority: i64,
    /// The channel's share of the calls in its tier.
    pub weight: u32,
}

impl Candidate {
    fn scopes(&self) -> impl Iterator<Item = Scope> + '_ {
        [
            Scope::Channel(self.channel),
            Scope::Key(self.key),
            Scope::KeyModel(self.key, self.model.to_string()),
            Scope::ChannelModel(self.channel, self.model.to_string()),
        ]
        .into_iter()
        .chain(self.group.clone().map(|group| Scope::Group(self.channel, group)))
    }
}

/// Which part of a candidate rests after a bad answer, from the narrowest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RestScope {
    /// Nothing: only this request does not fit this candidate.
    Request,
    /// This model on this key.
    KeyModel,
    /// The key, for every model.
    Key,
    /// The key's quota group; the key alone, if it shares none.
    Group,
    /// The model, on every key of the channel.
    ChannelModel,
    /// The channel's host.
    Channel,
}

impl RestScope {
    /// What of a candidate rests.
    pub fn of(self, candidate: &Candidate) -> Option<Scope> {
        Some(match (self, &candidate.group) {
            (Self::Request, _) => return None,
            (Self::KeyModel, _) => Scope::KeyModel(candidate.key, candidate.model.to_string()),
            (Self::Group, Some(group)) => Scope::Group(candidate.channel, group.clone()),
            (Self::Key | Self::Group, _) => Scope::Key(candidate.key),
            (Self::ChannelModel, _) => Scope::ChannelModel(candidate.channel, candidate.model.to_string()),
            (Self::Channel, _) => Scope::Channel(candidate.channel),
        })
    }
}

/// What a call has tried already. Nothing is tried twice.
#[derive(Debug, Default)]
pub struct Tried {
    candidates: HashSet<(KeyId, Arc<str>)>,
    last_resort: bool,
}

impl Tried {
    /// Lets a candidate be tried again: the limit that it was at is over.
    pub fn forget(&mut self, candidate: &Candidate) {
        self.candidates.remove(&(candidate.key, candidate.model.clone()));
    }

    /// Whether a candidate was tried.
    pub fn has(&self, candidate: &Candidate) -> bool {
        self.candidates.contains(&(candidate.key, candidate.model.clone()))
    }
}

/// What a call may do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Send to this candidate, by its place in the list.
    Send(usize),
    /// Everything that was not tried rests; the first one comes back then, and it rests for this reason.
    Wait {
        /// When the first one comes back.
        until: UnixMs,
        /// Why that one rests.
        class: OutcomeClass,
    },
    /// Everything was tried, or there was nothing.
    Nothing,
}

/// The pure bookkeeping of all candidates.
#[derive(Debug, Default)]
pub struct Ledger {
    rests: RestBook,
    /// When each key (and model on it) was last sent to, as a count of calls.
    turns: HashMap<(KeyId, Arc<str>), u64>,
    key_turns: HashMap<KeyId, u64>,
    turn: u64,
}

impl Ledger {
    /// The rests, for pages and for saving.
    pub fn rests(&self) -> &RestBook {
        &self.rests
    }

    /// The rests, to restore, clear or save them.
    pub fn rests_mut(&mut self) -> &mut RestBook {
        &mut self.rests
    }

    /// When a candidate may be sent to, and what stands in the way until then: the longest of its rests.
    pub fn earliest(&self, candidate: &Candidate, now: UnixMs) -> (UnixMs, Option<&Rest>) {
        if self.rests.is_empty() {
            return (now, None);
        }
        candidate
            .scopes()
            .filter_map(|scope| self.rests.active(&scope, now))
            .max_by_key(|rest| rest.until)
            .map_or((now, None), |rest| (rest.until, Some(rest)))
    }

    /// Picks the next candidate of a call and notes that it was tried.
    ///
    /// Of the highest tier that has a ready candidate, a channel is drawn by weight (`random` is a fresh random number),
    /// and of that channel the key that was used least recently. If all rest and nothing was sent yet, one candidate
    /// whose host or answer was merely doubtful is tried all the same: a call should not fail on a suspicion.
    pub fn choose(
        &mut self,
        candidates: &[Candidate],
        tried: &mut Tried,
        now: UnixMs,
        random: u64,
    ) -> Choice {
        let mut ready = Vec::new();
        let mut doubtful = Vec::new();
        let mut first_back: Option<(UnixMs, OutcomeClass)> = None;
        for (index, candidate) in candidates.iter().enumerate().filter(|(_, c)| !tried.has(c)) {
            match self.earliest(candidate, now) {
                (_, None) => ready.push(index),
                (until, Some(rest)) => {
                    if rest.is_doubt() {
                        doubtful.push(index);
                    }
                    if first_back.is_none_or(|(earlier, _)| until < earlier) {
                        first_back = Some((until, rest.class));
                    }
                }
            }
        }
        if ready.is_empty() && tried.candidates.is_empty() && !tried.last_resort {
            tried.last_resort = true;
            ready = doubtful;
        }
        let Some(index) = self.pick(candidates, &ready, random) else {
            return first_back.map_or(Choice::Nothing, |(until, class)| Choice::Wait { until, class });
        };
        let candidate = &candidates[index];
        self.turn += 1;
        self.turns.insert((candidate.key, candidate.model.clone()), self.turn);
        self.key_turns.insert(candidate.key, self.turn);
        tried.candidates.insert((candidate.key, candidate.model.clone()));
        Choice::Send(index)
    }

    fn pick(&self, candidates: &[Candidate], ready: &[usize], random: u64) -> Option<usize> {
        let tier = ready.iter().map(|&index| candidates[index].priority).max()?;
        let in_tier: Vec<usize> =
            ready.iter().copied().filter(|&index| candidates[index].priority == tier).collect();
        let mut channels: Vec<(ChannelId, u64)> = Vec::new();
        for &index in &in_tier {
            let Candidate { channel, weight, .. } = candidates[index];
            if channels.iter().all(|(known, _)| *known != channel) {
                channels.push((channel, u64::from(weight.max(1))));
            }
        }
        let total: u64 = channels.iter().map(|(_, weight)| weight).sum();
        let mut draw = random % total;
        let (channel, _) = channels.into_iter().find(|(_, weight)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        })?;
        in_tier.into_iter().filter(|&index| candidates[index].channel == channel).min_by_key(|&index| {
            let Candidate { key, model, .. } = &candidates[index];
            let key_turn = self.key_turns.get(key).copied().unwrap_or(0);
            (key_turn, self.turns.get(&(*key, model.clone())).copied().unwrap_or(0))
        })
    }

    /// Notes a good answer of a candidate to a call that was sent at `sent_at`.
    pub fn succeed(&mut self, candidate: &Candidate, sent_at: UnixMs, now: UnixMs) {
        if self.rests.is_empty() {
            return;
        }
        for scope in candidate.scopes() {
            self.rests.succeed(&scope, sent_at, now);
        }
    }

    /// Notes a bad answer; returns what rests now and until when.
    pub fn fail(
        &mut self,
        candidate: &Candidate,
        scope: RestScope,
        report: Report,
        now: UnixMs,
    ) -> Option<(Scope, UnixMs)> {
        let scope = scope.of(candidate)?;
        let until = self.rests.report(scope.clone(), report, now);
        Some((scope, until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: UnixMs = UnixMs(1_000_000);

    fn candidate(channel: i64, key: i64, priority: i64, weight: u32) -> Candidate {
        Candidate {
            channel: ChannelId(channel),
            key: KeyId(key),
            model: "m".into(),
            group: None,
            priority,
            weight,
        }
    }

    fn bad(class: OutcomeClass) -> Report {
        Report { class, asked: Some(Duration::from_secs(30)), status: None, detail: String::new() }
    }

    fn sent(ledger: &mut Ledger, candidates: &[Candidate], random: u64) -> usize {
        match ledger.choose(candidates, &mut Tried::default(), NOW, random) {
            Choice::Send(index) => index,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_keys_of_a_channel_take_turns_evenly() {
        let candidates = [candidate(1, 1, 0, 1), candidate(1, 2, 0, 1), candidate(1, 3, 0, 1)];
        let mut ledger = Ledger::default();
        let mut counts = [0; 3];
        for random in 0..300 {
            counts[sent(&mut ledger, &candidates, random)] += 1;
        }
        assert_eq!(counts, [100, 100, 100]);
    }

    #[test]
    fn channels_of_a_tier_share_the_calls_by_weight() {
        let candidates = [candidate(1, 1, 0, 3), candidate(2, 2, 0, 1)];
        let mut ledger = Ledger::default();
        let first = (0..400).filter(|&random| sent(&mut ledger, &candidates, random) == 0).count();
        assert_eq!(first, 300);
    }

    #[test]
    fn a_lower_tier_is_used_only_when_the_higher_one_rests_or_was_tried() {
        let candidates = [candidate(1, 1, 0, 1), candidate(2, 2, 10, 1)];
        let mut ledger = Ledger::default();
        let mut tried = Tried::default();
        assert_eq!(ledger.choose(&candidates, &mut tried, NOW, 0), Choice::Send(1));
        assert_eq!(ledger.choose(&candidates, &mut tried, NOW, 0), Choice::Send(0));
        assert_eq!(ledger.choose(&candidates, &mut tried, NOW, 0), Choice::Nothing);
        ledger.fail(&candidates[1], RestScope::Key, bad(OutcomeClass::RateLimited), NOW);
        assert_eq!(sent(&mut ledger, &candidates, 0), 0);
    }

    #[test]
    fn a_call_to_a_pool_that_rests_is_told_when_the_first_key_comes_back() {
        let candidates = [candidate(1, 1, 0, 1), candidate(1, 2, 0, 1)];
        let mut ledger = Ledger::default();
        ledger.fail(&candidates[0], RestScope::Key, bad(OutcomeClass::RateLimited), NOW);
        ledger.fail(
            &candidates[1],
            RestScope::Key,
            bad(OutcomeClass::RateLimited),
            NOW + Duration::from_secs(5),
        );
        let choice = ledger.choose(&candidates, &mut Tried::default(), NOW + Duration::from_secs(6), 0);
        assert_eq!(
            choice,
            Choice::Wait { until: NOW + Duration::from_secs(30), class: OutcomeClass::RateLimited }
        );
    }

    #[test]
    fn a_host_in_doubt_is_tried_once_when_nothing_else_is_left() {
        let candidates = [candidate(1, 1, 0, 1), candidate(1, 2, 0, 1)];
        let mut ledger = Ledger::default();
        ledger.fail(&candidates[0], RestScope::Channel, bad(OutcomeClass::HostError), NOW);
        let mut tried = Tried::default();
        assert!(matches!(ledger.choose(&candidates, &mut tried, NOW, 0), Choice::Send(_)));
        assert!(matches!(ledger.choose(&candidates, &mut tried, NOW, 0), Choice::Wait { .. }));
    }

    #[test]
    fn keys_of_one_account_rest_together() {
        let mut candidates = [candidate(1, 1, 0, 1), candidate(1, 2, 0, 1), candidate(1, 3, 0, 1)];
        candidates[0].group = Some("account".into());
        candidates[1].group = Some("account".into());
        let mut ledger = Ledger::default();
        ledger.fail(&candidates[0], RestScope::Group, bad(OutcomeClass::RateLimited), NOW);
        assert!(ledger.earliest(&candidates[1], NOW).1.is_some());
        assert!(ledger.earliest(&candidates[2], NOW).1.is_none());
    }
}
