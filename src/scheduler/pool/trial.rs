//! Trials: when a call would be sent away only because of bad answers, it finds out itself whether things are better.
//!
//! A rest after a bad answer is a guess of how long a fault lasts, and most faults end earlier: a key is paid for, a model
//! comes back, a host is started again. As long as anybody else can serve the calls, that costs nobody anything. When
//! nobody can, a call that would be refused is sent to what rests instead, seldom enough that no upstream is hammered.
//! Limits that are known or counted and pauses of operators are never tried. A limit that was only guessed from refusals is: it may
//! be a fault that is told like one.

use std::time::Duration;

use super::{Ask, On, Place, Pool, SlotId, StemId, Taken, Tried, settle::FIRST_GUESS};
use crate::{
    model::{time::UnixMs, usage::OutcomeClass},
    scheduler::{
        limit::{Metric, Source},
        now::Now,
        rest::{RestEnd, Scope},
    },
};

/// So many trials of whatever rests may follow each other at once, and one more comes back in each [`TRIAL_EVERY`]: turns of
/// an agent follow each other in less than a second, and the one after a repair is to be served.
pub const TRIALS_AT_ONCE: u32 = 5;

/// The time in which one more trial may be made.
pub const TRIAL_EVERY: Duration = Duration::from_secs(5);

/// The same after many in vain: then the time doubles with each, up to this.
pub const TRIAL_EVERY_AT_LAST: Duration = Duration::from_secs(60);

/// So many trials are made in vain before the time between them grows.
const PATIENT: u32 = 8;

/// Trials of all models of one key: so many at once, and one more in each of these times, in milliseconds.
const AT_ONCE_PER_KEY: u32 = 10;
const EVERY_PER_KEY_MS: i64 = 1_000;

/// So soon after a bad answer, in milliseconds, the same call must not ask again by another way.
const NEWS_MS: i64 = 50;

/// If an upstream asks to be left alone for no longer than this, in milliseconds, it is. A longer time is that of a day's limit or
/// of an account, and these may be lifted early.
const WORD_MS: i64 = 60_000;

/// The most trials of one call.
const MOST_TRIALS: u8 = 3;

/// The most lanes of a stem that are looked at.
const LOOKED_AT: usize = 256;

impl Pool {
    /// For a call that would otherwise be sent away: takes the lane that stands best among those in whose way is nothing but
    /// learned rests, if a trial of it is due. Of a tier it is the one whose last bad answer is the oldest.
    ///
    /// What rests because of a limit, or has no room by a guessed one, is tried only with `limits_too`: who can wait, or has nowhere
    /// else to go, gains little by asking an upstream that is merely busy. It is not used while anybody is ready. At most one trial
    /// is under way of whatever rests.
    pub fn try_resting(
        &mut self,
        ask: &Ask<'_>,
        tried: &mut Tried,
        limits_too: bool,
        now: Now,
    ) -> Option<Taken> {
        let now = self.advance(now);
        if tried.trials >= MOST_TRIALS {
            return None;
        }
        for (place, tier) in ask.plan.tiers.iter().enumerate() {
            let mut best: Option<(i64, u32)> = None;
            for &(StemId(stem), _) in &tier.stems {
                if tried.channels.contains(&self.stems[stem as usize].channel) {
                    continue;
                }
                let cost = self.cost_at(stem, ask.cost);
                for at in 0..self.stems[stem as usize].lanes.len().min(LOOKED_AT) {
                    let lane = self.stems[stem as usize].lanes[at];
                    if tried.lanes.contains(&lane) {
                        continue;
                    }
                    let Some(due) = self.trial_due(lane, limits_too, now.ms()) else { continue };
                    if due.from <= now.ms()
                        && best.is_none_or(|(first, _)| due.struck_at < first)
                        && self.limits_allow(lane, cost, limits_too, now)
                    {
                        best = Some((due.struck_at, lane));
                    }
                }
            }
            if let Some((_, lane)) = best {
                tried.trials += 1;
                return Some(self.begin_trial(lane, place, ask, limits_too, now));
            }
        }
        None
    }

    fn begin_trial(&mut self, lane: u32, place: usize, ask: &Ask<'_>, limits_too: bool, now: Now) -> Taken {
        let guessed: Vec<u32> =
            self.every_node(lane).filter(|&node| limits_too && self.guesses_full(node, now.ms())).collect();
        let taken = self.take(lane, place, ask, now);
        let slot = &mut self.slots[taken.slot.index as usize];
        (slot.trial, slot.beyond) = (true, !guessed.is_empty());
        for place in 0..self.node_places(lane) {
            let Some(index) = self.node_at(lane, place) else { continue };
            let node = &mut self.nodes[index as usize];
            if node.rest_until > now.ms() || guessed.contains(&index) {
                let every_ms = node.trial_every_ms();
                (node.trial, node.trial_at) = (Some(taken.slot), now.ms());
                node.allowance.spend(now.ms(), every_ms);
            }
        }
        let key = self.lanes[lane as usize].nodes[0];
        self.nodes[key as usize].key_allowance.spend(now.ms(), EVERY_PER_KEY_MS);
        Taken { trial: true, ..taken }
    }

    /// When a trial of a lane may be made; `None` if it is not for a trial: it does not rest, somebody is finding out
    /// already, it is paused, or its upstream's word holds. Whether its limits have room is another question.
    pub(super) fn trial_due(&self, lane: u32, limits_too: bool, now: i64) -> Option<Due> {
        let entry = &self.lanes[lane as usize];
        if entry.place == Place::Off {
            return None;
        }
        let (mut rests, mut due) = (false, Due { from: i64::MIN, struck_at: i64::MIN });
        for node in self.every_node(lane) {
            let guessed = limits_too && self.guesses_full(node, now);
            let node = &self.nodes[node as usize];
            if node.rest_until > now {
                let is_word = match node.rest_end {
                    RestEnd::Guessed => false,
                    RestEnd::Asked => node.rest_until - node.struck_at <= WORD_MS,
                    RestEnd::Counted => true,
                };
                let limited = node.strike_class == Some(OutcomeClass::RateLimited);
                let is_held =
                    matches!(node.strike_class, Some(OutcomeClass::Paused | OutcomeClass::BudgetReached));
                if is_held || (limited && (is_word || !limits_too)) {
                    return None;
                }
            }
            if node.rest_until > now || guessed {
                if node.trial.is_some_and(|slot| self.is_trial(slot)) {
                    return None;
                }
                rests = true;
                let opens = node.allowance.opens(now, node.trial_every_ms(), TRIALS_AT_ONCE);
                due.from = due.from.max(opens).max(node.struck_at.saturating_add(NEWS_MS));
                due.struck_at = due.struck_at.max(node.struck_at).max(node.trial_at);
            } else if node.caution_ms().is_some_and(|patience| node.pending_since + patience > now) {
                return None;
            }
        }
        let of_key = self.nodes[entry.nodes[0] as usize].key_allowance;
        due.from = due.from.max(of_key.opens(now, EVERY_PER_KEY_MS, AT_ONCE_PER_KEY));
        rests.then_some(due)
    }

    /// Notes that a call brought content: bad answers before it are forgotten. If it was a trial, what stood in its way is over, for
    /// everybody.
    pub fn proved(&mut self, id: SlotId, now: Now) {
        let now = self.advance(now);
        let Some(slot) = self.open_slot(id) else { return };
        let (lane, sent_at, trial, beyond) = (slot.lane, slot.sent_at, slot.trial, slot.beyond);
        let slot = &mut self.slots[id.index as usize];
        (slot.trial, slot.beyond) = (false, false);
        for place in 0..if beyond { slot.entries.len() } else { 0 } {
            let (limit, ..) = self.slots[id.index as usize].entries[place];
            let gauge = &mut self.gauges[limit as usize];
            if gauge.source == Source::Learned && gauge.metric == Metric::Requests {
                gauge.refuted(FIRST_GUESS, now.ms());
                self.wake_limit(limit);
            }
        }
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            let node = &self.nodes[node as usize];
            if node.strikes > 0 {
                let scope = Scope::from(&node.scope);
                if trial {
                    self.rests.prove(&scope, UnixMs(sent_at));
                } else {
                    self.rests.succeed(&scope, UnixMs(sent_at), now.steady);
                }
            }
        }
        if self.known_rests != self.rests.changes() {
            self.learn_rests();
        }
    }

    /// A trial of a lane went badly.
    pub(super) fn tried_in_vain(&mut self, lane: u32) {
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            let node = &mut self.nodes[node as usize];
            if node.trial.take().is_some() {
                node.trials = node.trials.saturating_add(1);
            }
        }
    }

    /// Whether a call that may end it is finding out about what stands in the way.
    pub(super) fn is_under_trial(&self, on: On, now: Now) -> bool {
        let (node, is_over) = match on {
            On::Node(node) => (node, self.nodes[node as usize].rest_until <= now.ms()),
            On::Limit(limit) => (self.gauges[limit as usize].node, false),
            On::SlowStart(_) => return false,
        };
        is_over || self.nodes[node as usize].trial.is_some_and(|slot| self.is_trial(slot))
    }

    /// Whether a guessed limit of a node leaves no room.
    fn guesses_full(&self, node: u32, now: i64) -> bool {
        let limits = &self.nodes[node as usize].limits;
        limits.iter().any(|&limit| self.gauges[limit as usize].guesses_full(now))
    }

    fn is_trial(&self, slot: SlotId) -> bool {
        self.open_slot(slot).is_some_and(|slot| slot.trial)
    }
}

/// When a lane may be tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// From when on.
    pub from: i64,
    /// When it last went badly.
    struck_at: i64,
}

/// How many trials were made of late: a bucket that is emptied again one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Allowance {
    spent: u32,
    since: i64,
}

impl Allowance {
    fn at(self, now: i64, every_ms: i64) -> Self {
        let back = (now - self.since).max(0) / every_ms;
        if back >= i64::from(self.spent) {
            return Self { spent: 0, since: now };
        }
        let spent = self.spent - u32::try_from(back).unwrap_or(self.spent);
        Self { spent, since: self.since + back * every_ms }
    }

    /// From when on there is room for one more.
    fn opens(self, now: i64, every_ms: i64, at_once: u32) -> i64 {
        let known = self.at(now, every_ms);
        if known.spent < at_once { now } else { known.since + every_ms }
    }

    fn spend(&mut self, now: i64, every_ms: i64) {
        *self = self.at(now, every_ms);
        self.spent += 1;
    }
}

impl super::Node {
    fn trial_every_ms(&self) -> i64 {
        let gap = TRIAL_EVERY * (1 << self.trials.saturating_sub(PATIENT).min(8));
        i64::try_from(gap.min(TRIAL_EVERY_AT_LAST).as_millis()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests;
