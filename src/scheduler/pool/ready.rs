//! Whether a lane may be sent to now, and how well it stands.

use super::{NONE, On, Pool};
use crate::{
    model::usage::OutcomeClass,
    scheduler::{
        limit::{Cost, LimitScope, Metric},
        now::Now,
        window::Fits,
    },
};

/// While nothing is known of a lane's limits, so many calls may be unanswered, and one more for each answer.
const SLOW_START: u32 = 10;

/// So many unanswered calls may go to a key or model that has never answered, and for so long: a wrong key or a model
/// that is gone refuses within a round trip.
const UNPROVEN_CALLS: u32 = 2;
const UNPROVEN_MS: i64 = 450;

/// So long after its rest is over, others come before what answered badly; longer after each bad answer.
const TROUBLE_MS: i64 = 20_000;

/// The same for what did not answer in time: finding out costs a call all of its patience.
const HUNG_MS: i64 = 60_000;

/// After bad answers, one call at a time finds out whether things are better; it is waited for so long.
const PROBATION_MS: i64 = 10_000;

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
    pub(super) fn later(self, other: Self) -> Self {
        let rank = |ready: &Self| match ready {
            Self::Now => (0, i64::MIN),
            Self::At(at, _) => (1, *at),
            Self::OnEvent(_) => (2, 0),
            Self::Never(_) => (3, 0),
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

impl Pool {
    /// Whether a lane's own nodes let a call through. `trusting` overlooks mere doubts.
    pub(super) fn lane_ready(&mut self, lane: u32, cost: Cost, trusting: bool, now: Now) -> Ready {
        let nodes = self.lanes[lane as usize].nodes;
        let mut ready = self.nodes_ready(&nodes, cost, trusting, now);
        for place in 0..self.lanes[lane as usize].partial.len() {
            let node = self.lanes[lane as usize].partial[place];
            ready = ready.later(self.nodes_ready(&[node], cost, trusting, now));
        }
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

    /// Whether the nodes of a whole stem let a call through.
    pub(super) fn stem_ready(&mut self, stem: u32, cost: Cost, trusting: bool, now: Now) -> Ready {
        let nodes = self.stems[stem as usize].nodes;
        let mut ready = self.nodes_ready(&nodes, cost, trusting, now);
        for place in 0..self.stems[stem as usize].partial.len() {
            let node = self.stems[stem as usize].partial[place];
            ready = ready.later(self.nodes_ready(&[node], cost, trusting, now));
        }
        ready
    }

    /// Whether every limit that a call with a lane counts for has room now, whatever rests; with `but_guesses`, guessed limits
    /// do not matter.
    pub(super) fn limits_allow(&mut self, lane: u32, cost: Cost, but_guesses: bool, now: Now) -> bool {
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            for at in 0..self.nodes[node as usize].limits.len() {
                let limit = self.nodes[node as usize].limits[at];
                let gauge = &mut self.gauges[limit as usize];
                let amount = cost.of(gauge.metric);
                let fits = amount == 0
                    || (but_guesses && gauge.is_guess())
                    || matches!(gauge.fits(amount, now), Fits::At(at) if at <= now.ms());
                if !fits {
                    return false;
                }
            }
        }
        true
    }

    /// Whether a short limit on calls is known for a lane.
    pub(super) fn is_measured(&self, lane: u32) -> bool {
        self.every_node(lane).any(|node| {
            self.nodes[node as usize].limits.iter().any(|&limit| {
                let gauge = &self.gauges[limit as usize];
                gauge.metric == Metric::Requests && gauge.window.is_short()
            })
        })
    }

    fn nodes_ready(&mut self, nodes: &[u32], cost: Cost, trusting: bool, now: Now) -> Ready {
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
        let (mut trouble, mut scarcity) = (0, 0);
        if self.lanes[lane as usize].has_hung(now) {
            trouble = 8;
        }
        for node in self.every_node(lane) {
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
}

impl super::Lane {
    /// Whether it left calls without an answer so recently that others come first; longer after each.
    fn has_hung(&self, now: i64) -> bool {
        self.hangs > 0 && now < self.hung_at + (HUNG_MS << (self.hangs - 1).min(4))
    }
}

impl super::Node {
    /// Whether bad answers are so recent that others come first. They are not held against it for ever: somebody must
    /// find out that things are better.
    pub(super) fn is_in_trouble(&self, now: i64) -> bool {
        self.strikes > 0 && now < self.rest_until + (TROUBLE_MS << (self.strikes - 1).min(5))
    }

    /// How long answers to the calls under way are waited for before the next one is sent, if there are too many.
    pub(super) fn caution_ms(&self) -> Option<i64> {
        let grave = matches!(
            self.strike_class,
            Some(OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit | OutcomeClass::ModelUnavailable)
        );
        if self.strikes >= 2 || (self.strikes == 1 && grave) {
            return (self.pending >= 1).then_some(PROBATION_MS);
        }
        let may_be_wrong = matches!(self.scope, LimitScope::Key(_) | LimitScope::Model(..));
        (!self.proven && may_be_wrong && self.pending >= UNPROVEN_CALLS).then_some(UNPROVEN_MS)
    }
}
