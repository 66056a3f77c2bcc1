//! What a plan can do: per minute and per day, in theory and now.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{NONE, Place, Plan, Pool, SlotId, StemId, ready::Ready};
use crate::{
    model::{id::KeyId, time::UnixMs, usage::OutcomeClass},
    scheduler::{
        gauge::Usage,
        limit::{Cost, LimitScope, Metric, Window},
        now::Now,
    },
};

/// How many lanes are looked at to predict a wait; of more, an even sample.
const SAMPLE: usize = 128;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// Calls that a plan can serve; `None` means that no known limit bounds them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Per minute, if every key were healthy.
    pub per_minute: Option<u64>,
    /// Per day, if every key were healthy.
    pub per_day: Option<u64>,
    /// In the next minute, as things are.
    pub next_minute: Option<u64>,
    /// Until the day is over or for a day, as things are.
    pub next_day: Option<u64>,
}

/// Calls that the keys with known limits can serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Per minute, if every key were healthy.
    pub per_minute: u64,
    /// Per day, if every key were healthy.
    pub per_day: u64,
    /// In the next minute, as things are.
    pub next_minute: u64,
    /// In the next 24 hours, as things are.
    pub next_day: u64,
}

/// Limits of one kind that hold a plan back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// One that they hold for, to tell the kind.
    pub scope: LimitScope,
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// How much each allows.
    pub max: u64,
    /// How many of them there are.
    pub limits: usize,
}

/// What a plan can do, and what holds it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Keys that are on.
    pub keys: usize,
    /// Owners of quotas among them: keys of one group are one.
    pub owners: usize,
    /// Keys of which nothing takes calls now.
    pub resting: usize,
    /// Keys of which some model has no known limit per minute or per day, so that nobody knows what they can do.
    pub unknown: usize,
    /// What the others can do.
    pub calls: Calls,
    /// What holds them back most, in a minute and in a day.
    pub binding: Vec<Binding>,
}

/// What is left of the long windows (more than an hour) of a plan's limits, over all of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No limit is known at all.
    Unknown,
    /// So many calls, as things are.
    Calls(u64),
    /// Limits are known, and some key has none of a long window.
    NoEnd,
}

/// The most kinds of limits that an outlook names for a span.
const MOST_BINDING: usize = 3;

/// What some lanes can do in a span.
#[derive(Default)]
struct Total {
    calls: u64,
    /// Lanes that no known limit bounds.
    unbounded: Vec<u32>,
    /// The limits that hold lanes back, with the number of those.
    binding: BTreeMap<u32, usize>,
}

impl Pool {
    /// What a plan can do with calls of this cost, and what holds it back. See [`capacity`](Self::capacity).
    pub fn outlook(&mut self, plan: &Plan, cost: Cost, now: Now) -> Outlook {
        let now = self.advance(now);
        let lanes = self.refreshed_lanes(plan, now);
        let (mut keys, mut awake, mut owners) = (HashSet::new(), HashSet::new(), HashSet::new());
        for &lane in &lanes {
            let [key, _, group, _] = self.lanes[lane as usize].nodes;
            keys.insert(key);
            owners.insert(if group == NONE { key } else { group });
            let rests = self.nodes_of(lane).iter().any(|&node| self.rests_through(node, now, 0));
            if !rests {
                awake.insert(key);
            }
        }
        let minute = self.total(&lanes, cost, MINUTE_MS, None);
        let day = self.total(&lanes, cost, DAY_MS, None);
        let unknown: HashSet<u32> =
            minute.unbounded.iter().map(|&lane| self.lanes[lane as usize].nodes[0]).collect();
        let mut binding = self.binding(&minute);
        for more in self.binding(&day) {
            if !binding.contains(&more) {
                binding.push(more);
            }
        }
        Outlook {
            keys: keys.len(),
            owners: owners.len(),
            resting: keys.difference(&awake).count(),
            unknown: unknown.len(),
            calls: Calls {
                per_minute: minute.calls,
                per_day: day.calls,
                next_minute: self.total(&lanes, cost, MINUTE_MS, Some(now)).calls,
                next_day: self.total(&lanes, cost, DAY_MS, Some(now)).calls,
            },
            binding,
        }
    }

    /// The keys that an outlook counts as [`unknown`](Outlook::unknown).
    pub fn keys_without_limits(&mut self, plan: &Plan, cost: Cost, now: Now) -> BTreeSet<KeyId> {
        let now = self.advance(now);
        let lanes = self.refreshed_lanes(plan, now);
        let minute = self.total(&lanes, cost, MINUTE_MS, None);
        minute.unbounded.iter().map(|&lane| self.lanes[lane as usize].key).collect()
    }

    /// Limits that hold lanes back, alike ones together; those of most lanes first.
    fn binding(&self, total: &Total) -> Vec<Binding> {
        let mut kinds: Vec<(usize, Binding)> = Vec::new();
        for (&limit, &lanes) in &total.binding {
            let gauge = &self.gauges[limit as usize];
            let scope = &self.nodes[gauge.node as usize].scope;
            let alike = |other: &Binding| {
                std::mem::discriminant(&other.scope) == std::mem::discriminant(scope)
                    && (other.metric, other.max) == (gauge.metric, gauge.max)
                    && other.window == gauge.window
            };
            match kinds.iter_mut().find(|(_, other)| alike(other)) {
                Some((sum, other)) => {
                    *sum += lanes;
                    other.limits += 1;
                }
                None => kinds.push((
                    lanes,
                    Binding {
                        scope: scope.clone(),
                        metric: gauge.metric,
                        window: gauge.window.clone(),
                        max: gauge.max,
                        limits: 1,
                    },
                )),
            }
        }
        kinds.sort_by_key(|(lanes, _)| std::cmp::Reverse(*lanes));
        kinds.into_iter().take(MOST_BINDING).map(|(_, binding)| binding).collect()
    }

    /// What is left of today's calls of a plan, or of a longer time's, by calls of this cost. Keys of one account share
    /// what is left.
    pub fn left(&mut self, plan: &Plan, cost: Cost, now: Now) -> Left {
        let now = self.advance(now);
        let lanes = self.lanes_of(plan);
        self.left_of_lanes(&lanes, cost, now)
    }

    /// The same of one model at its channel.
    pub fn left_of(&mut self, stem: StemId, cost: Cost, now: Now) -> Left {
        let now = self.advance(now);
        let of_stem = &self.stems[stem.0 as usize].lanes;
        let is_on = |lane: &u32| self.lanes[*lane as usize].place != Place::Off;
        let lanes: Vec<u32> = of_stem.iter().copied().filter(is_on).collect();
        self.left_of_lanes(&lanes, cost, now)
    }

    fn left_of_lanes(&mut self, lanes: &[u32], cost: Cost, now: Now) -> Left {
        // What is left of each limit, whose usage is brought up to date when it is met first.
        let mut left: HashMap<u32, u64> = HashMap::new();
        let mut limits: Vec<u32> = Vec::new();
        let (mut calls, mut endless, mut unlimited) = (0u64, false, true);
        for &lane in lanes {
            let cost = self.cost_at(self.lanes[lane as usize].stem, cost);
            limits.clear();
            limits.extend(self.every_node(lane).flat_map(|node| &self.nodes[node as usize].limits));
            unlimited &= limits.is_empty();
            limits.retain(|&limit| {
                let gauge = &self.gauges[limit as usize];
                gauge.metric != Metric::Concurrency && cost.of(gauge.metric) > 0 && !gauge.window.is_short()
            });
            let mut share = None;
            for &limit in &limits {
                let of_limit = *left.entry(limit).or_insert_with(|| {
                    let gauge = &mut self.gauges[limit as usize];
                    gauge.refresh(now);
                    gauge.max.saturating_sub(gauge.used()) / cost.of(gauge.metric).max(1)
                });
                share = Some(share.map_or(of_limit, |share: u64| share.min(of_limit)));
            }
            let Some(share) = share else {
                endless = true;
                continue;
            };
            for limit in &limits {
                if let Some(left) = left.get_mut(limit) {
                    *left = left.saturating_sub(share);
                }
            }
            calls = calls.saturating_add(share);
        }
        match (unlimited, endless) {
            (true, _) => Left::Unknown,
            (false, true) => Left::NoEnd,
            (false, false) => Left::Calls(calls),
        }
    }

    /// The lanes of a plan; what has ended of their limits is forgotten.
    fn refreshed_lanes(&mut self, plan: &Plan, now: Now) -> Vec<u32> {
        let lanes = self.lanes_of(plan);
        let mut limits: Vec<u32> = Vec::new();
        for &lane in &lanes {
            for node in self.nodes_of(lane) {
                limits.extend(&self.nodes[node as usize].limits);
            }
        }
        limits.sort_unstable();
        limits.dedup();
        for limit in limits {
            self.gauges[limit as usize].refresh(now);
        }
        lanes
    }

    fn lanes_of(&self, plan: &Plan) -> Vec<u32> {
        let stems = plan.tiers.iter().flat_map(|tier| &tier.stems);
        stems
            .flat_map(|(stem, _)| self.stems[stem.0 as usize].lanes.iter().copied())
            .filter(|&lane| self.lanes[lane as usize].place != Place::Off)
            .collect()
    }

    /// What a plan can do with calls of this cost, all models together. Keys of one account share their limits; calls are
    /// dealt to the lanes in turn, so this is what an even use reaches.
    pub fn capacity(&mut self, plan: &Plan, cost: Cost, now: Now) -> Capacity {
        let now = self.advance(now);
        for limit in 0..self.gauges.len() {
            self.gauges[limit].refresh(now);
        }
        let lanes = self.lanes_of(plan);
        let known = |total: Total| total.unbounded.is_empty().then_some(total.calls);
        Capacity {
            per_minute: known(self.total(&lanes, cost, MINUTE_MS, None)),
            per_day: known(self.total(&lanes, cost, DAY_MS, None)),
            next_minute: known(self.total(&lanes, cost, MINUTE_MS, Some(now))),
            next_day: known(self.total(&lanes, cost, DAY_MS, Some(now))),
        }
    }

    /// How many calls fit into a span: in theory, or from now on.
    fn total(&self, lanes: &[u32], cost: Cost, span: i64, from: Option<Now>) -> Total {
        let mut left: HashMap<u32, u64> = HashMap::new();
        let mut total = Total::default();
        for &lane in lanes {
            let cost = self.cost_at(self.lanes[lane as usize].stem, cost);
            let nodes = self.nodes_of(lane);
            if from.is_some_and(|now| nodes.iter().any(|&node| self.rests_through(node, now, span))) {
                continue;
            }
            let limits: Vec<u32> =
                nodes.iter().flat_map(|&node| self.nodes[node as usize].limits.iter().copied()).collect();
            let counted = |limit: &&u32| {
                let gauge = &self.gauges[**limit as usize];
                gauge.metric != Metric::Concurrency && cost.of(gauge.metric) > 0
            };
            let share = limits
                .iter()
                .filter(counted)
                .map(|&limit| {
                    let left = *left.entry(limit).or_insert_with(|| {
                        let gauge = &self.gauges[limit as usize];
                        let amount = match from {
                            Some(now) => gauge.room_by(now.ms() + span, now.ms()),
                            None => per_span(gauge.max, &gauge.window, span),
                        };
                        amount / cost.of(gauge.metric).max(1)
                    });
                    (left, limit)
                })
                .min();
            let Some((share, tightest)) = share else {
                total.unbounded.push(lane);
                continue;
            };
            *total.binding.entry(tightest).or_default() += 1;
            for limit in limits.iter().filter(counted) {
                if let Some(left) = left.get_mut(limit) {
                    *left = left.saturating_sub(share);
                }
            }
            total.calls = total.calls.saturating_add(share);
        }
        total
    }

    fn nodes_of(&self, lane: u32) -> Vec<u32> {
        self.every_node(lane).collect()
    }

    fn rests_through(&self, node: u32, now: Now, span: i64) -> bool {
        self.nodes[node as usize].rest_until > now.ms().saturating_add(span)
    }

    /// How many calls of a plan can be sent up to a time, at most; looks at a bounded number of lanes. `None` if nothing
    /// known bounds them.
    pub(in crate::scheduler) fn room_by(&self, plan: &Plan, until: i64, now: Now) -> Option<u64> {
        let mut room = 0u64;
        for &(stem, _) in plan.tiers.iter().flat_map(|tier| &tier.stems) {
            let entry = &self.stems[stem.0 as usize];
            let rests = |node: u32| self.nodes[node as usize].rest_until > until;
            if entry.active_lanes == 0 || entry.every_node().any(rests) {
                continue;
            }
            let step = entry.lanes.len().div_ceil(SAMPLE);
            let mut of_lanes = Some(0u64);
            for &lane in entry.lanes.iter().step_by(step) {
                let lane = &self.lanes[lane as usize];
                let nodes = || lane.own_nodes();
                if lane.place == Place::Off || nodes().any(rests) {
                    continue;
                }
                let least = nodes()
                    .filter_map(|node| {
                        let room = self.least_room(node, until, now)?;
                        if lane.nodes[..2].contains(&node) {
                            // Of a model, a key has one lane.
                            return Some(room);
                        }
                        let lanes = self.nodes[node as usize].lanes.iter();
                        let sharing = lanes.filter(|&&other| self.lanes[other as usize].stem == lane.stem);
                        Some(room.div_ceil((sharing.take(SAMPLE).count() as u64).max(1)))
                    })
                    .min();
                of_lanes = of_lanes.zip(least).map(|(sum, room)| sum.saturating_add(room));
            }
            let of_lanes = of_lanes.map(|sum| sum.saturating_mul(step as u64));
            let of_stem = entry.every_node().filter_map(|node| self.least_room(node, until, now)).min();
            room = room.saturating_add(match (of_lanes, of_stem) {
                (Some(lanes), Some(stem)) => lanes.min(stem),
                (Some(room), None) | (None, Some(room)) => room,
                (None, None) => return None,
            });
        }
        Some(room)
    }

    /// Whether anybody else of a plan could take one more call now like one that is under way.
    pub fn could_take_beside(&mut self, slot: SlotId, plan: &Plan, cost: Cost, now: Now) -> bool {
        let now = self.advance(now);
        let own = self.slots.get(slot.index as usize).map(|slot| slot.lane);
        for &(StemId(stem), _) in plan.tiers.iter().flat_map(|tier| &tier.stems) {
            if self.stem_ready(stem, cost, false, now) != Ready::Now {
                continue;
            }
            self.bring_due(stem, now.ms());
            let mut next = self.stems[stem as usize].first;
            while next != NONE {
                let lane = next;
                next = self.lanes[lane as usize].after;
                if own != Some(lane) && self.lane_ready(lane, cost, false, now) == Ready::Now {
                    return true;
                }
            }
        }
        false
    }

    /// Whether so many calls of a plan can be sent now, all of them; looks at as few lanes as tell.
    pub(in crate::scheduler) fn fits_now(&mut self, plan: &Plan, calls: u64, now: Now) -> bool {
        let mut room = 0u64;
        for &(StemId(stem), _) in plan.tiers.iter().flat_map(|tier| &tier.stems) {
            let own: Vec<u32> = self.stems[stem as usize].every_node().collect();
            let most = self.free_now(&own, now).min(calls - room);
            self.bring_due(stem, now.ms());
            let (mut of_stem, mut groups) = (0u64, Vec::new());
            let mut next = self.stems[stem as usize].first;
            while next != NONE && of_stem < most {
                let lane = next;
                next = self.lanes[lane as usize].after;
                // Keys of one group share its room.
                let group = self.lanes[lane as usize].nodes[2];
                if group != NONE && groups.contains(&group) {
                    continue;
                }
                let nodes: Vec<u32> = self.lanes[lane as usize].own_nodes().collect();
                let free = self.free_now(&nodes, now);
                if group != NONE && free > 0 && !self.nodes[group as usize].limits.is_empty() {
                    groups.push(group);
                }
                of_stem = of_stem.saturating_add(free);
            }
            room += of_stem.min(most);
            if room >= calls {
                return true;
            }
        }
        false
    }

    /// How many calls these nodes let through at once.
    fn free_now(&mut self, nodes: &[u32], now: Now) -> u64 {
        let mut free = u64::MAX;
        for &node in nodes {
            if self.nodes[node as usize].rest_until > now.ms() {
                return 0;
            }
            for place in 0..self.nodes[node as usize].limits.len() {
                let limit = self.nodes[node as usize].limits[place];
                free = free.min(self.gauges[limit as usize].free_now(now));
            }
        }
        free
    }

    fn least_room(&self, node: u32, until: i64, now: Now) -> Option<u64> {
        let limits = self.nodes[node as usize].limits.iter().map(|&limit| &self.gauges[limit as usize]);
        limits
            .filter(|gauge| gauge.metric == Metric::Requests && !matches!(gauge.usage, Usage::Held(_)))
            .map(|gauge| gauge.room_by(until, now.ms()))
            .min()
    }

    /// Whether what blocks a plan is known to end only by a rest of this class, for the honest answer to a client.
    pub fn longest_rest(&self, plan: &Plan, now: Now) -> Option<(OutcomeClass, UnixMs)> {
        let stems = plan.tiers.iter().flat_map(|tier| &tier.stems);
        stems
            .flat_map(|(stem, _)| self.stems[stem.0 as usize].every_node())
            .filter_map(|node| {
                let node = &self.nodes[node as usize];
                (node.rest_until > now.ms()).then_some((node.strike_class?, UnixMs(node.rest_until)))
            })
            .max_by_key(|(_, until)| *until)
    }
}

/// How much a limit allows in a span, in the long run.
fn per_span(max: u64, window: &Window, span: i64) -> u64 {
    match window.span_ms() {
        Some(ms) if ms <= span.unsigned_abs() => max.saturating_mul(span.unsigned_abs() / ms),
        _ => max,
    }
}
