//! Choosing a lane for a call, and reserving on every limit that it touches, in one step.

use std::{collections::HashMap, sync::Arc};

use super::{Lane, NONE, On, Place, Pool, Slot, SlotId, StemId};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::{
        limit::{Cost, Metric},
        now::Now,
        window::Fits,
    },
};

/// The most ready lanes of a stem that are compared.
const COMPARED: usize = 3;

/// While nothing is known of a lane's limits, so many calls may be unanswered, and one more for each answer.
const SLOW_START: u32 = 10;

/// So many unanswered calls may go to a key or model that has never answered, and for so long: a wrong key or a model
/// that is gone refuses within a round trip.
const UNPROVEN_CALLS: u32 = 2;
const UNPROVEN_MS: i64 = 900;

/// So long after its rest is over, others come before what answered badly; longer after each bad answer.
const TROUBLE_MS: i64 = 20_000;

/// After bad answers, one call at a time finds out whether things are better; it is waited for so long.
const PROBATION_MS: i64 = 10_000;

/// Stems of equal standing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// The stems, each with its share of the calls.
    pub stems: Vec<(StemId, u32)>,
    /// How long a call waits for this tier before it looks at the next one; `i64::MAX` means: for ever.
    pub spill_ms: i64,
}

/// Who may serve a call: tiers, tried in order. The tiers of a chain's first step come before those of its second.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    },
    /// Give up.
    Nothing(Why),
}

/// Whether a lane or a node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Now,
    At(i64, On),
    OnEvent(On),
    /// Not at all, because of this limit.
    Never(u32),
}

impl Ready {
    /// The one that is later.
    fn later(self, other: Self) -> Self {
        let rank = |ready: &Self| match ready {
            Self::Now => (0, i64::MIN),
            Self::At(at, _) => (1, *at),
            Self::OnEvent(_) => (2, 0),
            Self::Never(_) => (3, 0),
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
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
    sized: bool,
}

impl Wait {
    fn at(&mut self, at: i64, why: Why) {
        if self.until.is_none_or(|until| at < until) {
            (self.until, self.why) = (Some(at), Some(why));
        }
    }

    fn merge(&mut self, other: Self) {
        if let (Some(at), Some(why)) = (other.until, other.why) {
            self.at(at, why);
        }
        self.on_event |= other.on_event;
        self.too_large |= other.too_large;
        self.sized |= other.sized;
    }
}

impl Pool {
    /// Finds a lane for a call and reserves it.
    ///
    /// A tier is left for the next one only if its first lane would be ready later than the tier's spill time
    /// allows. Inside a tier, lanes in good standing come first, then those whose quota is the least scarce; among
    /// equals a stem is drawn by weight, and of it the key is taken that was used longest ago.
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
                        let why = here.why.unwrap_or(Why::Busy);
                        return Choice::Wait { until: Some(until), why, sized: here.sized };
                    }
                }
            }
        }
        if wait.until.is_some() || wait.on_event {
            let why = wait.why.unwrap_or(Why::Busy);
            return Choice::Wait { until: wait.until.map(UnixMs), why, sized: wait.sized };
        }
        Choice::Nothing(match () {
            () if wait.too_large => Why::TooLarge,
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
        let fits = place == Place::Listed
            && tier.stems.iter().any(|(StemId(other), _)| *other == stem)
            && !tried.lanes.contains(&lane);
        let ready = fits
            && self.nodes_ready(&self.stems[stem as usize].nodes.clone(), ask.cost, false, now) == Ready::Now
            && self.lane_ready(lane, ask.cost, false, now) == Ready::Now
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
        if self.stems[stem as usize].active_lanes == 0 {
            return None;
        }
        let own = self.nodes_ready(&self.stems[stem as usize].nodes.clone(), ask.cost, false, now);
        match own {
            Ready::Now => {}
            Ready::Never(_) => {
                wait.too_large = true;
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
                let why = self.why(on);
                wait.sized |= matches!(on, On::Limit(limit)
                    if self.gauges[limit as usize].metric != Metric::Requests);
                wait.at(at, why);
                return None;
            }
        }
        self.bring_due(stem, now.ms());
        let (mut best, mut compared) = (None::<(u64, i64, u32)>, 0);
        let mut next = self.stems[stem as usize].first;
        while next != NONE && compared < COMPARED {
            let lane = next;
            next = self.lanes[lane as usize].after;
            if tried.lanes.contains(&lane) {
                continue;
            }
            match self.lane_ready(lane, ask.cost, false, now) {
                Ready::Now => {
                    compared += 1;
                    let rank = self.standing(lane, now.ms());
                    let used = self.nodes[self.lanes[lane as usize].nodes[0] as usize].last_used;
                    if best.is_none_or(|best| (rank, used, lane) < best) {
                        best = Some((rank, used, lane));
                    }
                }
                Ready::Never(limit) => {
                    if self.gauges[limit as usize].metric == Metric::Requests {
                        self.block(lane, None, On::Limit(limit));
                    }
                    wait.too_large = true;
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
                        wait.at(at, Why::Limit);
                    } else {
                        self.block(lane, Some(at), on);
                    }
                }
            }
        }
        if best.is_none() {
            self.note_wait(stem, tried, wait);
        }
        best.map(|(rank, _, lane)| (lane, rank))
    }

    /// What the lanes of a stem that are out of the list wait for.
    fn note_wait(&mut self, stem: u32, tried: &Tried, wait: &mut Wait) {
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
            let why = self.why(on);
            wait.at(at, why);
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
                wait.too_large = true;
            }
        }
    }

    /// A limit of a whole stem has no list of lanes to wake; it is enough to know that somebody waits.
    fn note_stem_blocked(&mut self, on: On) {
        if let On::Limit(limit) = on {
            self.gauges[limit as usize].blocked = 1;
        }
    }

    pub(super) fn why(&self, on: On) -> Why {
        match on {
            On::Limit(_) => Why::Limit,
            On::SlowStart(_) => Why::Busy,
            On::Node(node) => {
                let node = &self.nodes[node as usize];
                match node.strike_class {
                    Some(class) if node.strikes > 0 => Why::Rest(class),
                    _ => Why::Busy,
                }
            }
        }
    }

    /// Whether a lane's own nodes let a call through. `trusting` overlooks mere doubts.
    pub(super) fn lane_ready(&mut self, lane: u32, cost: Cost, trusting: bool, now: Now) -> Ready {
        let nodes = self.lanes[lane as usize].nodes;
        let ready = self.nodes_ready(&nodes, cost, trusting, now);
        if ready != Ready::Now {
            return ready;
        }
        let entry = &self.lanes[lane as usize];
        let pending = self.nodes[nodes[1] as usize].pending;
        if pending >= SLOW_START.saturating_add(entry.answers) && !self.is_measured(lane) {
            return Ready::OnEvent(On::SlowStart(nodes[1]));
        }
        Ready::Now
    }

    /// Whether a short limit on calls is known for a lane.
    pub(super) fn is_measured(&self, lane: u32) -> bool {
        let entry = &self.lanes[lane as usize];
        let nodes = entry.nodes.iter().chain(&self.stems[entry.stem as usize].nodes);
        nodes.filter(|&&node| node != NONE).any(|&node| {
            self.nodes[node as usize].limits.iter().any(|&limit| {
                let gauge = &self.gauges[limit as usize];
                gauge.metric == Metric::Requests && gauge.window.is_short()
            })
        })
    }

    pub(super) fn nodes_ready(&mut self, nodes: &[u32], cost: Cost, trusting: bool, now: Now) -> Ready {
        let mut ready = Ready::Now;
        for &node in nodes.iter().filter(|&&node| node != NONE) {
            let entry = &self.nodes[node as usize];
            let doubt = matches!(entry.strike_class, Some(OutcomeClass::HostError | OutcomeClass::Ambiguous));
            if !(trusting && doubt) {
                if entry.rest_until > now.ms() {
                    ready = ready.later(Ready::At(entry.rest_until, On::Node(node)));
                } else if let Some(patience) = entry.caution_ms() {
                    let until = entry.pending_since + patience;
                    if until > now.ms() {
                        ready = ready.later(Ready::At(until, On::Node(node)));
                    }
                }
            }
            for place in 0..self.nodes[node as usize].limits.len() {
                let limit = self.nodes[node as usize].limits[place];
                let gauge = &mut self.gauges[limit as usize];
                let amount = cost.of(gauge.metric);
                if amount == 0 {
                    continue;
                }
                ready = ready.later(match gauge.fits(amount, now) {
                    Fits::At(at) if at <= now.ms() => Ready::Now,
                    Fits::At(at) => Ready::At(at, On::Limit(limit)),
                    Fits::OnRelease => Ready::OnEvent(On::Limit(limit)),
                    Fits::Never => Ready::Never(limit),
                });
            }
        }
        ready
    }

    /// A lane's standing; less is better. Trouble counts most, then how scarce its quota is.
    pub(super) fn standing(&self, lane: u32, now: i64) -> u64 {
        let entry = &self.lanes[lane as usize];
        let nodes = entry.nodes.iter().chain(&self.stems[entry.stem as usize].nodes);
        let (mut trouble, mut scarcity) = (0, 0);
        for &node in nodes.filter(|&&node| node != NONE) {
            let node = &self.nodes[node as usize];
            if node.is_in_trouble(now) {
                trouble = 8;
            }
            for &limit in &node.limits {
                let urgency = self.gauges[limit as usize].urgency(now);
                scarcity = scarcity.max(urgency.map_or(0, |urgency| match urgency {
                    urgency if urgency >= 4.0 => 0,
                    urgency if urgency >= 1.5 => 1,
                    urgency if urgency >= 1.0 => 2,
                    urgency if urgency > 0.0 => 3,
                    _ => 4,
                }));
            }
        }
        trouble + scarcity
    }

    /// If everything rests, a lane that is merely in doubt: a call should not fail on a suspicion.
    fn doubtful(&mut self, ask: &Ask<'_>, now: Now) -> Option<Choice> {
        for (place, tier) in ask.plan.tiers.iter().enumerate() {
            for &(StemId(stem), _) in &tier.stems {
                let nodes = self.stems[stem as usize].nodes;
                let in_doubt = |pool: &Self, nodes: &[u32]| {
                    nodes.iter().filter(|&&node| node != NONE).any(|&node| {
                        pool.nodes[node as usize].strikes > 0
                            && pool.nodes[node as usize].rest_until > now.ms()
                    })
                };
                for at in 0..self.stems[stem as usize].lanes.len().min(64) {
                    let lane = self.stems[stem as usize].lanes[at];
                    let own = self.lanes[lane as usize].nodes;
                    let fits = self.lanes[lane as usize].place != Place::Off
                        && (in_doubt(self, &nodes) || in_doubt(self, &own))
                        && self.nodes_ready(&nodes, ask.cost, true, now) == Ready::Now
                        && self.lane_ready(lane, ask.cost, true, now) == Ready::Now;
                    if fits {
                        return Some(Choice::Take(self.take(lane, place, ask, now)));
                    }
                }
            }
        }
        None
    }

    fn take(&mut self, lane: u32, place: usize, ask: &Ask<'_>, now: Now) -> Taken {
        let index = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let Lane { stem, key, nodes, .. } = self.lanes[lane as usize];
        let mut slot = std::mem::take(&mut self.slots[index as usize]);
        slot.entries.clear();
        let at = now.ms();
        let of_stem = self.stems[stem as usize].nodes;
        for node in nodes.into_iter().chain(of_stem).filter(|node| *node != NONE) {
            let entry = &mut self.nodes[node as usize];
            if entry.pending == 0 {
                entry.pending_since = at;
            }
            entry.pending += 1;
            entry.in_flight += 1;
            entry.last_used = at;
            for &limit in &entry.limits {
                let gauge = &mut self.gauges[limit as usize];
                let amount = ask.cost.of(gauge.metric);
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
        let id = SlotId { index, generation: slot.generation };
        self.slots[index as usize] = slot;
        self.changes += 1;
        let Stem { channel, model } = self.stem_name(stem);
        Taken { slot: id, stem: StemId(stem), channel, model, key, tier: place }
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

impl super::Node {
    /// Whether bad answers are so recent that others come first. They are not held against it for ever: somebody must
    /// find out that things are better.
    pub(super) fn is_in_trouble(&self, now: i64) -> bool {
        self.strikes > 0 && now < self.rest_until + (TROUBLE_MS << (self.strikes - 1).min(5))
    }

    /// How long answers to the calls under way are waited for before the next one is sent, if there are too many.
    fn caution_ms(&self) -> Option<i64> {
        let grave = matches!(
            self.strike_class,
            Some(OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit | OutcomeClass::ModelUnavailable)
        );
        if self.strikes >= 2 || (self.strikes == 1 && grave) {
            return (self.pending >= 1).then_some(PROBATION_MS);
        }
        let may_be_wrong = matches!(
            self.scope,
            crate::scheduler::limit::LimitScope::Key(_) | crate::scheduler::limit::LimitScope::Model(..)
        );
        (!self.proven && may_be_wrong && self.pending >= UNPROVEN_CALLS).then_some(UNPROVEN_MS)
    }
}
