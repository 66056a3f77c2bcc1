//! Choosing a lane for a call, and reserving on every limit that it touches, in one step.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use super::{Lane, NONE, On, Place, Pool, Slot, SlotId, StemId, ready::Ready};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::{
        limit::{Cost, Metric},
        now::Now,
    },
};

/// The most ready lanes of a stem that are compared.
const COMPARED: usize = 3;

/// The most lanes that wait of which it is found out what for.
const LOOKED_AT: usize = 64;

/// So many more calls under way make a key fuller than another one.
const CROWD: u32 = 8;

/// Stems of equal standing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tier {
    /// The stems, each with its share of the calls.
    pub stems: Vec<(StemId, u32)>,
    /// How long a call waits for this tier before it looks at the next one; `i64::MAX` means: for ever.
    pub spill_ms: i64,
}

/// Who may serve a call: tiers, tried in order. The tiers of a chain's first step come before those of its second.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The tiers; a stem occurs once.
    pub tiers: Vec<Tier>,
}

/// A call that looks for a lane.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Who may serve it.
    pub plan: &'a Plan,
    /// What it takes, estimated.
    pub cost: Cost,
    /// A number for its conversation, if it has one: it stays with its lane while that costs nothing.
    pub conversation: Option<u64>,
    /// How long it has waited, in milliseconds.
    pub waited_ms: i64,
    /// At what part of the full pace calls are to be sent, in thousandths: 0 means as they come. See
    /// [`crate::scheduler::desk`].
    pub pace_permille: u32,
    /// How many calls wait in its line, itself included; 0 if there is none.
    pub waiting: u64,
    /// A fresh random number.
    pub random: u64,
}

/// What a call tried in vain and is not to try again.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    pub(super) lanes: Vec<u32>,
    /// Hosts that failed; they are tried again only if there is no other.
    pub(super) channels: Vec<ChannelId>,
    pub(super) last_resort: bool,
    /// How often it found out whether something that rests is back.
    pub(super) trials: u8,
}

impl Tried {
    /// Whether nothing was tried in vain.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}

/// A lane that was chosen; one call may be sent to it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The permission.
    pub slot: SlotId,
    /// The stem.
    pub stem: StemId,
    /// Its channel.
    pub channel: ChannelId,
    /// The upstream's name of the model.
    pub model: Arc<str>,
    /// The key.
    pub key: KeyId,
    /// The place of its tier in the plan.
    pub tier: usize,
    /// The call finds out whether what rests is back: see [`Pool::try_resting`].
    pub trial: bool,
    /// How many calls in a row have got no answer from it in time.
    pub hangs: u32,
}

/// Why a call cannot be sent now, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Limits are used up.
    Limit,
    /// What there is rests after bad answers of this class.
    Rest(OutcomeClass),
    /// It waits for answers to calls under way.
    Busy,
    /// The call is larger than what the limits allow at all.
    TooLarge,
    /// What was allowed once is used up, and nothing comes back.
    Spent,
    /// Everything was tried.
    Tried,
    /// There is nobody.
    Nobody,
}

/// What a call may do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Send.
    Take(Taken),
    /// Wait.
    Wait {
        /// Until this time on the steady clock, if it is known; an event may come earlier.
        until: Option<UnixMs>,
        /// For this.
        why: Why,
        /// A smaller call might not have to wait.
        sized: bool,
        /// When the first of those comes free that merely wait for a limit that is no guess, or for answers to calls under way, if
        /// there are such.
        sure: Option<UnixMs>,
        /// A call is finding out whether what rests is back, so it may end before its time.
        under_trial: bool,
    },
    /// Give up.
    Nothing(Why),
}

/// Which lane each conversation was with last: two generations, so that the oldest half is forgotten at once.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    young: HashMap<u64, u32>,
    old: HashMap<u64, u32>,
}

impl Conversations {
    const GENERATION: usize = 8192;

    fn find(&self, conversation: u64) -> Option<u32> {
        self.young.get(&conversation).or_else(|| self.old.get(&conversation)).copied()
    }

    fn note(&mut self, conversation: u64, lane: u32) {
        if self.young.len() >= Self::GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(conversation, lane);
    }
}

/// What is known of why nothing could be taken.
#[derive(Debug, Clone, Copy, Default)]
struct Wait {
    until: Option<i64>,
    why: Option<Why>,
    on_event: bool,
    too_large: bool,
    spent: bool,
    sized: bool,
    sure: Option<i64>,
    under_trial: bool,
}

impl Wait {
    /// Something comes free at a time; `is_sure` if that is known, and not a guess.
    fn at(&mut self, at: i64, why: Why, is_sure: bool) {
        if is_sure {
            self.sure = Some(self.sure.map_or(at, |sure| sure.min(at)));
        }
        if self.until.is_none_or(|until| at < until) {
            (self.until, self.why) = (Some(at), Some(why));
        }
    }

    fn merge(&mut self, other: Self) {
        if let (Some(at), Some(why)) = (other.until, other.why) {
            self.at(at, why, false);
        }
        self.on_event |= other.on_event;
        self.too_large |= other.too_large;
        self.spent |= other.spent;
        self.sized |= other.sized;
        self.sure = [self.sure, other.sure].into_iter().flatten().min();
        self.under_trial |= other.under_trial;
    }

    /// The choice that it makes, until a time at the latest.
    fn choice(self, until: Option<UnixMs>, now: Now) -> Choice {
        // An event may come at any time.
        let sure = if self.on_event { Some(now.steady) } else { self.sure.map(UnixMs) };
        let why = self.why.unwrap_or(Why::Busy);
        Choice::Wait { until, why, sized: self.sized, sure, under_trial: self.under_trial }
    }
}

impl Pool {
    /// Finds a lane for a call and reserves it.
    ///
    /// A tier is left for the next one only if its first lane would be ready later than the tier's spill time
    /// allows. Inside a tier, lanes in good standing come first, then those whose quota is the least scarce; among
    /// equals a stem is drawn by weight, and of it the key is taken that has clearly fewer calls under way, or was used longest
    /// ago.
    pub fn choose(&mut self, ask: &Ask<'_>, tried: &mut Tried, now: Now) -> Choice {
        let now = self.advance(now);
        let choice = self.choose_among(ask, tried, true, now);
        match choice {
            Choice::Take(_) => choice,
            Choice::Nothing(_) if !tried.channels.is_empty() => self.choose_among(ask, tried, false, now),
            _ if tried.lanes.is_empty() && !tried.last_resort => {
                tried.last_resort = true;
                self.doubtful(ask, now).unwrap_or(choice)
            }
            _ => choice,
        }
    }

    /// Takes one key's lane for a call that is to find out about this very key: whatever rests, and charged to every
    /// limit like any other. With `only_if_allowed` it is not taken if a limit has no room. `Ok(None)` if the stem has
    /// no lane of the key: then nothing is known to be charged.
    pub fn take_key(
        &mut self,
        stem: StemId,
        key: KeyId,
        cost: Cost,
        only_if_allowed: bool,
        now: Now,
    ) -> Result<Option<Taken>, Why> {
        let now = self.advance(now);
        let lanes = &self.stems[stem.0 as usize].lanes;
        let lane = lanes.iter().copied().find(|&lane| self.lanes[lane as usize].key == key);
        let Some(lane) = lane else { return Ok(None) };
        if only_if_allowed && !self.limits_allow(lane, self.cost_at(stem.0, cost), false, now) {
            return Err(Why::Limit);
        }
        let plan = Plan { tiers: Vec::new() };
        let ask = Ask {
            plan: &plan,
            cost,
            conversation: None,
            waited_ms: 0,
            pace_permille: 0,
            waiting: 0,
            random: 0,
        };
        Ok(Some(self.take(lane, 0, &ask, now)))
    }

    fn choose_among(&mut self, ask: &Ask<'_>, tried: &Tried, avoid: bool, now: Now) -> Choice {
        let mut wait = Wait::default();
        for (place, tier) in ask.plan.tiers.iter().enumerate() {
            match self.choose_in_tier(ask, tier, tried, avoid, now) {
                Ok(lane) => return Choice::Take(self.take(lane, place, ask, now)),
                Err(here) => {
                    wait.merge(here);
                    let patience = tier.spill_ms.saturating_sub(ask.waited_ms);
                    let soon = here.until.is_some_and(|at| at.saturating_sub(now.ms()) <= patience);
                    let busy = here.until.is_none() && here.on_event && patience > 0;
                    if (soon || busy) && place + 1 < ask.plan.tiers.len() {
                        let spill = UnixMs(now.ms().saturating_add(patience));
                        let until = here.until.map_or(spill, |at| UnixMs(at).min(spill));
                        return here.choice(Some(until), now);
                    }
                }
            }
        }
        if wait.until.is_some() || wait.on_event {
            return wait.choice(wait.until.map(UnixMs), now);
        }
        Choice::Nothing(match () {
            () if wait.too_large => Why::TooLarge,
            () if wait.spent => Why::Spent,
            () if !tried.lanes.is_empty() => Why::Tried,
            () => Why::Nobody,
        })
    }

    fn choose_in_tier(
        &mut self,
        ask: &Ask<'_>,
        tier: &Tier,
        tried: &Tried,
        avoid: bool,
        now: Now,
    ) -> Result<u32, Wait> {
        let mut wait = Wait::default();
        if let Some(lane) = self.faithful(ask, tier, tried, now) {
            return Ok(lane);
        }
        // The best lane of each stem, the best standing, and the sum of the weights of those that have it.
        let (mut best, mut standing, mut total) = (NONE, u64::MAX, 0u64);
        for &(StemId(stem), weight) in &tier.stems {
            if avoid && tried.channels.contains(&self.stems[stem as usize].channel) {
                continue;
            }
            let Some((lane, rank)) = self.choose_in_stem(stem, ask, tried, now, &mut wait) else { continue };
            let weight = u64::from(weight.max(1));
            // Draws one of the equals by weight without a list of them: each newcomer wins with its share so far.
            if rank < standing {
                (best, standing, total) = (lane, rank, weight);
            } else if rank == standing {
                total += weight;
                let draw = ask.random.rotate_left(stem % 64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
                if draw % total < weight {
                    best = lane;
                }
            }
        }
        if best == NONE { Err(wait) } else { Ok(best) }
    }

    /// The lane that the conversation was with, if it is as good as any other.
    fn faithful(&mut self, ask: &Ask<'_>, tier: &Tier, tried: &Tried, now: Now) -> Option<u32> {
        let lane = self.conversations.find(ask.conversation?)?;
        let Lane { stem, place, .. } = self.lanes[lane as usize];
        let cost = self.cost_at(stem, ask.cost);
        let fits = place == Place::Listed
            && tier.stems.iter().any(|(StemId(other), _)| *other == stem)
            && !tried.lanes.contains(&lane);
        let ready = fits
            && self.stem_ready(stem, cost, false, now) == Ready::Now
            && self.lane_ready(lane, cost, false, now) == Ready::Now
            && self.standing(lane, now.ms()) < 3;
        ready.then_some(lane)
    }

    fn choose_in_stem(
        &mut self,
        stem: u32,
        ask: &Ask<'_>,
        tried: &Tried,
        now: Now,
        wait: &mut Wait,
    ) -> Option<(u32, u64)> {
        if self.stems[stem as usize].active_lanes == 0 || self.is_all_tried(stem, tried) {
            return None;
        }
        let cost = self.cost_at(stem, ask.cost);
        let own = self.stem_ready(stem, cost, false, now);
        match own {
            Ready::Now => {}
            Ready::Never(limit) => {
                self.note_never(limit, cost, wait);
                return None;
            }
            Ready::OnEvent(on) => {
                self.note_stem_blocked(on);
                wait.on_event = true;
                return None;
            }
            Ready::At(at, on) => {
                self.note_stem_blocked(on);
                // The keys may be later still.
                let at = if self.stems[stem as usize].first == NONE {
                    self.first_due(stem).map_or(at, |due| due.max(at))
                } else {
                    at
                };
                let (why, is_sure) = (self.why(on), self.is_sure(on));
                wait.sized |= matches!(on, On::Limit(limit)
                    if self.gauges[limit as usize].metric != Metric::Requests);
                wait.under_trial |= self.is_under_trial(on, now);
                wait.at(at, why, is_sure);
                return None;
            }
        }
        self.bring_due(stem, now.ms());
        let (mut best, mut compared) = (None::<(u64, u32, i64, u32)>, 0);
        let share = self.share_while_in_doubt(stem, ask, tried, now);
        let mut next = self.stems[stem as usize].first;
        while next != NONE && compared < COMPARED {
            let lane = next;
            next = self.lanes[lane as usize].after;
            if tried.lanes.contains(&lane) {
                continue;
            }
            match self.lane_ready(lane, cost, false, now) {
                Ready::Now => {
                    compared += 1;
                    let in_flight = self.nodes[self.lanes[lane as usize].nodes[1] as usize].in_flight;
                    if let Some((most, until)) = share
                        && u64::from(in_flight) >= most
                    {
                        wait.at(until, Why::Busy, true);
                        continue;
                    }
                    // A few calls more or less under way say nothing of how full a key is.
                    let crowd = in_flight / CROWD;
                    let rank = self.standing(lane, now.ms());
                    let used = self.nodes[self.lanes[lane as usize].nodes[0] as usize].last_used;
                    // The list has them in the order of their last use, so the first of equals wins.
                    if best.is_none_or(|(best, fewest, last, _)| (rank, crowd, used) < (best, fewest, last)) {
                        best = Some((rank, crowd, used, lane));
                    }
                }
                Ready::Never(limit) => {
                    if self.gauges[limit as usize].metric == Metric::Requests {
                        self.block(lane, None, On::Limit(limit));
                    }
                    self.note_never(limit, cost, wait);
                }
                Ready::OnEvent(on) => {
                    self.block(lane, None, on);
                    wait.on_event = true;
                }
                Ready::At(at, on) => {
                    let depends_on_size = matches!(on, On::Limit(limit)
                        if self.gauges[limit as usize].metric != Metric::Requests);
                    if depends_on_size {
                        wait.sized = true;
                        wait.at(at, Why::Limit, self.is_sure(on));
                    } else {
                        self.block(lane, Some(at), on);
                    }
                }
            }
        }
        if best.is_none() {
            self.note_wait(stem, tried, wait, now);
        }
        best.map(|(rank, _, _, lane)| (lane, rank))
    }

    /// Whether a call has tried every lane of a stem in vain, so that waiting for it is no use.
    fn is_all_tried(&self, stem: u32, tried: &Tried) -> bool {
        let entry = &self.stems[stem as usize];
        let is_done =
            |lane: &u32| self.lanes[*lane as usize].place == Place::Off || tried.lanes.contains(lane);
        tried.lanes.len() >= entry.active_lanes as usize && entry.lanes.iter().all(is_done)
    }

    /// While keys that have never answered are about to, how many calls the others may have under way, and until when: who
    /// answers first is not to get the whole line.
    fn share_while_in_doubt(
        &mut self,
        stem: u32,
        ask: &Ask<'_>,
        tried: &Tried,
        now: Now,
    ) -> Option<(u64, i64)> {
        if ask.waiting == 0 || !tried.is_empty() {
            return None;
        }
        let until = self.first_due(stem)?;
        let lane = self.stems[stem as usize].blocked.peek()?.0.1;
        let Place::Blocked(On::Node(node)) = self.lanes[lane as usize].place else { return None };
        let node = &self.nodes[node as usize];
        if node.proven || node.strikes > 0 || node.pending == 0 || until <= now.ms() {
            return None;
        }
        let stem = &self.stems[stem as usize];
        if !self.nodes[stem.nodes[1] as usize].proven {
            // Nobody has answered: the doubt ends when its time is over, and nobody has the line for himself.
            return None;
        }
        let under_way = u64::from(self.nodes[stem.nodes[1] as usize].in_flight);
        Some(((ask.waiting + under_way).div_ceil(u64::from(stem.active_lanes.max(1))), until))
    }

    /// What the lanes of a stem that are out of the list wait for.
    fn note_wait(&mut self, stem: u32, tried: &Tried, wait: &mut Wait, now: Now) {
        let due = match self.first_due(stem) {
            Some(_) if !tried.lanes.is_empty() => {
                let entries = self.stems[stem as usize].blocked.iter();
                let open = entries.filter(|entry| {
                    let (_, lane, generation) = entry.0;
                    self.lanes[lane as usize].generation == generation && !tried.lanes.contains(&lane)
                });
                open.map(|entry| (entry.0.0, entry.0.1)).min()
            }
            Some(_) => self.stems[stem as usize].blocked.peek().map(|entry| (entry.0.0, entry.0.1)),
            None => None,
        };
        if let Some((at, lane)) = due
            && let Place::Blocked(on) = self.lanes[lane as usize].place
        {
            let is_sure = self.is_sure(on);
            wait.at(at, self.why(on), is_sure);
            if !is_sure {
                wait.under_trial |= self.is_under_trial(on, now);
                self.note_sure(stem, tried, wait);
            }
        }
        let entry = &self.stems[stem as usize];
        if due.is_none() && entry.first == NONE && entry.active_lanes > 0 {
            let waits = |lane: &u32| match self.lanes[*lane as usize].place {
                Place::Blocked(On::Limit(limit)) => {
                    !matches!(self.gauges[limit as usize].window, crate::scheduler::limit::Window::OneShot)
                }
                Place::Blocked(_) => true,
                Place::Listed | Place::Off => false,
            };
            if entry.lanes.iter().any(waits) {
                wait.on_event = true;
            } else {
                wait.spent = true;
            }
        }
    }

    /// Nobody knows whether the first lane comes back; others may only wait for a limit.
    fn note_sure(&self, stem: u32, tried: &Tried, wait: &mut Wait) {
        for &Reverse((at, lane, generation)) in self.stems[stem as usize].blocked.iter().take(LOOKED_AT) {
            let entry = &self.lanes[lane as usize];
            if entry.generation == generation
                && !tried.lanes.contains(&lane)
                && let Place::Blocked(on) = entry.place
            {
                wait.at(at, self.why(on), self.is_sure(on));
            }
        }
    }

    fn note_never(&self, limit: u32, cost: Cost, wait: &mut Wait) {
        let gauge = &self.gauges[limit as usize];
        if cost.of(gauge.metric) > gauge.max {
            wait.too_large = true;
        } else {
            wait.spent = true;
        }
    }

    /// A limit of a whole stem has no list of lanes to wake; it is enough to know that somebody waits.
    fn note_stem_blocked(&mut self, on: On) {
        if let On::Limit(limit) = on {
            self.gauges[limit as usize].blocked = 1;
        }
    }

    /// Whether it is known when what stands in the way ends: the end of a rest and of a guessed limit is not.
    fn is_sure(&self, on: On) -> bool {
        match on {
            On::Limit(limit) => !self.gauges[limit as usize].is_guess(),
            On::SlowStart(_) | On::Node(_) => !matches!(self.why(on), Why::Rest(_)),
        }
    }

    pub(super) fn why(&self, on: On) -> Why {
        match on {
            On::Limit(_) => Why::Limit,
            On::SlowStart(_) => Why::Busy,
            On::Node(node) => {
                let node = &self.nodes[node as usize];
                match node.strike_class {
                    Some(class @ (OutcomeClass::Paused | OutcomeClass::BudgetReached)) => Why::Rest(class),
                    Some(class) if node.strikes > 0 => Why::Rest(class),
                    _ => Why::Busy,
                }
            }
        }
    }

    /// If everything rests, a lane that is merely in doubt: a call should not fail on a suspicion.
    fn doubtful(&mut self, ask: &Ask<'_>, now: Now) -> Option<Choice> {
        for (place, tier) in ask.plan.tiers.iter().enumerate() {
            for &(StemId(stem), _) in &tier.stems {
                let cost = self.cost_at(stem, ask.cost);
                for at in 0..self.stems[stem as usize].lanes.len().min(64) {
                    let lane = self.stems[stem as usize].lanes[at];
                    let in_doubt = |node: u32| {
                        let node = &self.nodes[node as usize];
                        node.strikes > 0 && node.rest_until > now.ms()
                    };
                    let fits = self.lanes[lane as usize].place != Place::Off
                        && self.every_node(lane).any(in_doubt)
                        && self.stem_ready(stem, cost, true, now) == Ready::Now
                        && self.lane_ready(lane, cost, true, now) == Ready::Now;
                    if fits {
                        return Some(Choice::Take(self.take(lane, place, ask, now)));
                    }
                }
            }
        }
        None
    }

    pub(super) fn take(&mut self, lane: u32, place: usize, ask: &Ask<'_>, now: Now) -> Taken {
        let index = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let Lane { stem, key, hangs, .. } = self.lanes[lane as usize];
        let cost = self.cost_at(stem, ask.cost);
        let mut slot = std::mem::take(&mut self.slots[index as usize]);
        slot.entries.clear();
        let at = now.ms();
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            let entry = &mut self.nodes[node as usize];
            if entry.pending == 0 {
                entry.pending_since = at;
            }
            entry.pending += 1;
            entry.in_flight += 1;
            entry.last_used = at;
            for &limit in &entry.limits {
                let gauge = &mut self.gauges[limit as usize];
                let amount = cost.of(gauge.metric);
                let number = gauge.push(amount, ask.pace_permille, now);
                slot.entries.push((limit, number, amount));
            }
        }
        if !self.is_measured(lane) {
            let recent = &mut self.lanes[lane as usize].recent;
            recent.prune(at - 60_000);
            slot.recent = recent.push(at, 1, 60_000);
        }
        if self.lanes[lane as usize].place == Place::Listed {
            self.unlist(lane);
            self.list_last(lane);
        }
        if let Some(conversation) = ask.conversation {
            self.conversations.note(conversation, lane);
        }
        slot.generation = slot.generation.wrapping_add(1);
        (slot.open, slot.answered, slot.lane, slot.sent_at) = (true, false, lane, at);
        (slot.trial, slot.beyond) = (false, false);
        let id = SlotId { index, generation: slot.generation };
        self.slots[index as usize] = slot;
        self.changes += 1;
        let Stem { channel, model } = self.stem_name(stem);
        Taken { slot: id, stem: StemId(stem), channel, model, key, tier: place, trial: false, hangs }
    }

    fn stem_name(&self, stem: u32) -> Stem {
        let stem = &self.stems[stem as usize];
        Stem { channel: stem.channel, model: stem.model.clone() }
    }
}

struct Stem {
    channel: ChannelId,
    model: Arc<str>,
}
