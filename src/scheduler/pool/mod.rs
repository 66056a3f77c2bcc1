//! The pool: every key of every model, the limits that hold for them, and what is known of their state.
//!
//! A *stem* is an upstream model of a channel; a *lane* is a key of a stem. Limits and rests hang on *nodes*, one for
//! each scope: the channel, the model, the key, its group, and the model on either. A lane is ready when no node of it stands in
//! the way. Lanes that are not ready wait in their stem's heap by the time at which they may be, the others stand in
//! a list, the one that was used longest ago first; so a choice looks at a few lanes, however many there are.
//!
//! Everything is decided and reserved in one call under the owner's lock. Start at [`Pool::choose`].

mod capacity;
mod choose;
mod explain;
mod lists;
mod ready;
mod settle;
mod state;
#[cfg(test)]
mod tests;
mod trial;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use capacity::{Binding, Calls, Capacity, Left, Outlook};
pub use choose::{Ask, Choice, Plan, Taken, Tier, Tried, Why};
pub use explain::{Obstacle, Standing};
pub use settle::{Fault, Held, Told};
pub use state::{Saved, SavedLimit, Sent};
pub use trial::{TRIAL_EVERY, TRIAL_EVERY_AT_LAST, TRIALS_AT_ONCE};

use super::{
    gauge::{Gauge, Reading},
    limit::{Cost, Counts, LimitScope, Metric, Models, Per, Rule, Source, Window},
    now::Now,
    rest::{RestBook, RestEnd, Scope},
    window::Log,
};
use crate::model::{
    id::{ChannelId, KeyId},
    time::UnixMs,
    usage::OutcomeClass,
};

/// No node, lane or limit.
const NONE: u32 = u32::MAX;

/// An upstream model of a channel, in the pool. Stays valid as long as the pool lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StemId(pub(super) u32);

/// A permission to send one call now. It must be given back by exactly one of [`Pool::settle`], [`Pool::fail`]
/// and [`Pool::cancel`]; a second one finds nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId {
    index: u32,
    generation: u32,
}

/// An upstream model of a channel and the keys that it may be asked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemSpec {
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name of the model (with the endpoint, where that makes a difference).
    pub model: Arc<str>,
    /// The keys that are on, each with its quota group.
    pub keys: Vec<(KeyId, Option<String>)>,
}

#[derive(Debug)]
struct Node {
    scope: LimitScope,
    limits: Vec<u32>,
    /// Nodes of some of its models.
    partial: Vec<u32>,
    /// The lanes below it; empty for channels and models, whose stems are asked instead.
    lanes: Vec<u32>,
    stems: Vec<u32>,
    rest_until: i64,
    strikes: u32,
    strike_class: Option<OutcomeClass>,
    struck_at: i64,
    rest_end: RestEnd,
    /// When a call last found out whether it is back, how many did in vain in a row, and the one that does now.
    trial_at: i64,
    trials: u32,
    trial: Option<SlotId>,
    /// How many trials were made lately, of what this is; of a key, also those of all its models.
    allowance: trial::Allowance,
    key_allowance: trial::Allowance,
    /// When a refusal first hinted at a limit that nothing is known of.
    hinted_at: i64,
    hints: u32,
    /// Whether a call was ever accepted.
    proven: bool,
    /// Calls that are sent and not yet answered, and since when there are any.
    pending: u32,
    pending_since: i64,
    in_flight: u32,
    last_used: i64,
    blocked: u32,
}

/// What a lane waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// A rest, or an answer to the calls under way.
    Node(u32),
    /// A limit.
    Limit(u32),
    /// Answers, because nothing is known of its limits yet.
    SlowStart(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Not declared any more.
    Off,
    /// In the list.
    Listed,
    /// In the heap, or waiting for an event.
    Blocked(On),
}

#[derive(Debug)]
struct Lane {
    stem: u32,
    key: KeyId,
    /// Its key's node, the model's on the key, the group's, the model's on the group.
    nodes: [u32; 4],
    /// Nodes of some models of its key or group, of which its model is one.
    partial: Vec<u32>,
    place: Place,
    generation: u32,
    before: u32,
    after: u32,
    /// Answers without a refusal while nothing is known of its limits.
    answers: u32,
    /// What was sent lately, while nothing is known of its limits.
    recent: Log,
    /// How many calls in a row got no answer in time, and when the last one gave up.
    hangs: u32,
    hung_at: i64,
}

#[derive(Debug)]
struct Stem {
    channel: ChannelId,
    model: Arc<str>,
    /// The channel's node and the model's.
    nodes: [u32; 2],
    /// Nodes of some models of the channel, of which this is one.
    partial: Vec<u32>,
    lanes: Vec<u32>,
    /// How its provider counts a call.
    counts: Counts,
    active_lanes: u32,
    first: u32,
    last: u32,
    blocked: BinaryHeap<Reverse<(i64, u32, u32)>>,
    touched: bool,
}

impl Lane {
    /// The nodes of the key and of its group.
    fn own_nodes(&self) -> impl Iterator<Item = u32> + '_ {
        self.nodes.iter().chain(&self.partial).copied().filter(|&node| node != NONE)
    }
}

impl Node {
    /// Whether a model is among those that it is about.
    fn has(&self, model: &str) -> bool {
        match &self.scope {
            LimitScope::Models(_, models) => models.fits(model),
            _ => true,
        }
    }
}

impl Stem {
    /// The nodes of the model and its channel.
    fn every_node(&self) -> impl Iterator<Item = u32> + '_ {
        self.nodes.iter().chain(&self.partial).copied()
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    open: bool,
    answered: bool,
    /// It finds out whether what rests is back, and has not yet.
    trial: bool,
    /// It is a trial though a guessed limit leaves no room for it.
    beyond: bool,
    lane: u32,
    sent_at: i64,
    recent: u64,
    /// Limits, the numbers of their entries, and the amounts.
    entries: Vec<(u32, u64, u64)>,
}

/// The pool.
#[derive(Debug, Default)]
pub struct Pool {
    nodes: Vec<Node>,
    gauges: Vec<Gauge>,
    lanes: Vec<Lane>,
    stems: Vec<Stem>,
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    node_of: HashMap<LimitScope, u32>,
    stem_of: HashMap<ChannelId, HashMap<Arc<str>, u32>>,
    lane_of: HashMap<(u32, KeyId), u32>,
    /// Where each channel's provider begins its day: a time zone and minutes after midnight.
    resets: HashMap<ChannelId, (String, u16)>,
    rests: RestBook,
    /// The state of `rests` that the nodes know.
    known_rests: u64,
    resting: Vec<u32>,
    conversations: choose::Conversations,
    /// Stems that something was given back to.
    touched: Vec<u32>,
    /// The latest time seen: time never goes back in here.
    latest: i64,
    changes: u64,
}

impl Pool {
    /// Declares what there is: stems with their keys, the rules of limits (checked by [`Rule::check_all`]), and for channels
    /// whose provider is known to begin its day at some time, that time as a zone and minutes after midnight.
    /// What was known of a scope or limit that is declared again stays; the rest takes no calls any more.
    pub fn declare(
        &mut self,
        stems: &[StemSpec],
        rules: &[Rule],
        resets: HashMap<ChannelId, (String, u16)>,
        now: Now,
    ) {
        let now = self.advance(now);
        self.resets = resets;
        for lane in 0..self.lanes.len() as u32 {
            self.unlist(lane);
            self.lanes[lane as usize].place = Place::Off;
            self.lanes[lane as usize].generation += 1;
        }
        for stem in &mut self.stems {
            stem.blocked.clear();
            stem.active_lanes = 0;
            stem.counts = Counts::default();
        }
        for gauge in &mut self.gauges {
            gauge.blocked = 0;
            gauge.active &= !matches!(gauge.source, Source::Declared | Source::Operator);
        }
        for node in &mut self.nodes {
            node.blocked = 0;
        }
        for spec in stems {
            let stem = self.stem(spec.channel, &spec.model);
            // There may be new keys for those who wait.
            self.touch(stem);
            let of_stem: Vec<&Rule> = rules
                .iter()
                .filter(|rule| rule.channel == spec.channel && rule.models.fits(&spec.model))
                .collect();
            for (key, group) in &spec.keys {
                let lane = self.lane(stem, *key, group.as_deref());
                if self.lanes[lane as usize].place == Place::Off {
                    self.list_last(lane);
                    self.stems[stem as usize].active_lanes += 1;
                }
                for rule in of_stem.iter().filter(|rule| rule.key.is_none_or(|only| only == *key)) {
                    let node = self.node_for(rule.per, &rule.models, stem, lane);
                    self.ensure_limit(node, rule, now);
                }
            }
        }
        for node in &mut self.nodes {
            node.limits.retain(|&limit| self.gauges[limit as usize].active);
        }
        // What is new here may have rested before it was declared; rests of some models may have waited for their keys.
        self.learn_rests();
        self.changes += 1;
    }

    /// What a call that may only go to one key begins with: every other lane of these stems counts as tried.
    pub fn all_but(&self, stems: impl IntoIterator<Item = StemId>, key: KeyId) -> Tried {
        let lanes = stems.into_iter().flat_map(|stem| &self.stems[stem.0 as usize].lanes);
        let others = lanes.copied().filter(|&lane| self.lanes[lane as usize].key != key);
        Tried { lanes: others.collect(), ..Tried::default() }
    }

    fn stem(&mut self, channel: ChannelId, model: &Arc<str>) -> u32 {
        if let Some(&stem) = self.stem_of.get(&channel).and_then(|stems| stems.get(model)) {
            return stem;
        }
        let stem = self.stems.len() as u32;
        let nodes = [
            self.node(LimitScope::Channel(channel)),
            self.node(LimitScope::Model(channel, model.to_string())),
        ];
        let mut partial = self.nodes[nodes[0] as usize].partial.clone();
        partial.retain(|&node| self.nodes[node as usize].has(model));
        for node in nodes.iter().chain(&partial) {
            self.nodes[*node as usize].stems.push(stem);
        }
        self.stems.push(Stem {
            channel,
            model: model.clone(),
            nodes,
            partial,
            lanes: Vec::new(),
            counts: Counts::default(),
            active_lanes: 0,
            first: NONE,
            last: NONE,
            blocked: BinaryHeap::new(),
            touched: false,
        });
        self.stem_of.entry(channel).or_default().insert(model.clone(), stem);
        stem
    }

    fn lane(&mut self, stem: u32, key: KeyId, group: Option<&str>) -> u32 {
        let (channel, model) = {
            let stem = &self.stems[stem as usize];
            (stem.channel, stem.model.to_string())
        };
        let scopes = [
            Some(LimitScope::Key(key)),
            Some(LimitScope::KeyModel(key, model.clone())),
            group.map(|group| LimitScope::Group(channel, group.to_owned())),
            group.map(|group| LimitScope::GroupModel(channel, group.to_owned(), model)),
        ];
        let nodes = scopes.map(|scope| scope.map_or(NONE, |scope| self.node(scope)));
        let lane = match self.lane_of.get(&(stem, key)) {
            Some(&lane) => lane,
            None => {
                let lane = self.lanes.len() as u32;
                self.lanes.push(Lane {
                    stem,
                    key,
                    nodes: [NONE; 4],
                    partial: Vec::new(),
                    place: Place::Off,
                    generation: 0,
                    before: NONE,
                    after: NONE,
                    answers: 0,
                    recent: Log::default(),
                    hangs: 0,
                    hung_at: i64::MIN,
                });
                self.lane_of.insert((stem, key), lane);
                self.stems[stem as usize].lanes.push(lane);
                lane
            }
        };
        if self.lanes[lane as usize].nodes == nodes {
            return lane;
        }
        let name = &self.stems[stem as usize].model;
        let partial = [nodes[0], nodes[2]]
            .into_iter()
            .filter(|&node| node != NONE)
            .flat_map(|node| &self.nodes[node as usize].partial)
            .copied()
            .filter(|&node| self.nodes[node as usize].has(name))
            .collect();
        let entry = &mut self.lanes[lane as usize];
        let old = std::mem::replace(&mut entry.nodes, nodes);
        let old_partial = std::mem::replace(&mut entry.partial, partial);
        for old in old.into_iter().chain(old_partial).filter(|&node| node != NONE) {
            self.nodes[old as usize].lanes.retain(|&other| other != lane);
        }
        for place in 0..4 + self.lanes[lane as usize].partial.len() {
            if let Some(new) = self.own_node_at(lane, place) {
                self.nodes[new as usize].lanes.push(lane);
            }
        }
        lane
    }

    /// The node of some models of a key's, a group's or a channel's node. Lanes and stems that fit stand below it.
    fn partial_node(&mut self, whole: u32, models: &Models) -> u32 {
        let scope = LimitScope::Models(Box::new(self.nodes[whole as usize].scope.clone()), models.clone());
        if let Some(&node) = self.node_of.get(&scope) {
            return node;
        }
        let node = self.node(scope);
        self.nodes[whole as usize].partial.push(node);
        let mut lanes = self.nodes[whole as usize].lanes.clone();
        lanes.retain(|&lane| {
            let stem = self.lanes[lane as usize].stem;
            models.fits(&self.stems[stem as usize].model)
        });
        for &lane in &lanes {
            self.lanes[lane as usize].partial.push(node);
        }
        let mut stems = self.nodes[whole as usize].stems.clone();
        stems.retain(|&stem| models.fits(&self.stems[stem as usize].model));
        for &stem in &stems {
            self.stems[stem as usize].partial.push(node);
        }
        let entry = &mut self.nodes[node as usize];
        (entry.lanes, entry.stems) = (lanes, stems);
        node
    }

    /// Every node that a lane stands below: its own and its stem's.
    fn every_node(&self, lane: u32) -> impl Iterator<Item = u32> + '_ {
        let lane = &self.lanes[lane as usize];
        lane.own_nodes().chain(self.stems[lane.stem as usize].every_node())
    }

    /// In how many places [`node_at`](Self::node_at) may find a node.
    fn node_places(&self, lane: u32) -> usize {
        let lane = &self.lanes[lane as usize];
        6 + lane.partial.len() + self.stems[lane.stem as usize].partial.len()
    }

    /// The node of a lane at a place, if there is one: for loops that change nodes.
    fn node_at(&self, lane: u32, place: usize) -> Option<u32> {
        let entry = &self.lanes[lane as usize];
        let own = 4 + entry.partial.len();
        if place < own {
            return self.own_node_at(lane, place);
        }
        self.stems[entry.stem as usize].every_node().nth(place - own)
    }

    fn own_node_at(&self, lane: u32, place: usize) -> Option<u32> {
        let entry = &self.lanes[lane as usize];
        let node = if place < 4 { entry.nodes[place] } else { entry.partial[place - 4] };
        (node != NONE).then_some(node)
    }

    fn node(&mut self, scope: LimitScope) -> u32 {
        if let Some(&node) = self.node_of.get(&scope) {
            return node;
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node {
            scope: scope.clone(),
            limits: Vec::new(),
            partial: Vec::new(),
            lanes: Vec::new(),
            stems: Vec::new(),
            rest_until: i64::MIN,
            strikes: 0,
            strike_class: None,
            struck_at: i64::MIN,
            rest_end: RestEnd::Guessed,
            trial_at: i64::MIN,
            trials: 0,
            trial: None,
            allowance: trial::Allowance::default(),
            key_allowance: trial::Allowance::default(),
            hinted_at: i64::MIN,
            hints: 0,
            proven: false,
            pending: 0,
            pending_since: 0,
            in_flight: 0,
            last_used: i64::MIN,
            blocked: 0,
        });
        self.node_of.insert(scope, node);
        node
    }

    /// Whom something is about that names a kind of scope and perhaps some models only.
    fn node_for(&mut self, per: Per, models: &Models, stem: u32, lane: u32) -> u32 {
        let [key, key_model, group, group_model] = self.lanes[lane as usize].nodes;
        let [channel, model] = self.stems[stem as usize].nodes;
        let whole = match per {
            Per::KeyModel => return key_model,
            Per::OwnerModel => return if group_model == NONE { key_model } else { group_model },
            Per::Model => return model,
            Per::Owner if group != NONE => group,
            Per::Owner | Per::Key => key,
            Per::Channel => channel,
        };
        if models.is_all() { whole } else { self.partial_node(whole, models) }
    }

    fn ensure_limit(&mut self, node: u32, rule: &Rule, now: Now) {
        match self.find_limit(node, rule.metric, &rule.window) {
            Some(limit) => {
                let gauge = &mut self.gauges[limit as usize];
                let stronger = gauge.active && gauge.source > rule.source;
                if gauge.declared != Some(rule.max) && !stronger {
                    gauge.max = rule.max;
                }
                if !stronger {
                    (gauge.declared, gauge.source) = (Some(rule.max), rule.source);
                }
                gauge.active = true;
            }
            None => {
                self.add_limit(
                    node,
                    Gauge::new(rule.metric, rule.window.clone(), rule.max, rule.source, now),
                );
            }
        }
    }

    fn find_limit(&self, node: u32, metric: Metric, window: &Window) -> Option<u32> {
        self.nodes[node as usize].limits.iter().copied().find(|&limit| {
            let gauge = &self.gauges[limit as usize];
            gauge.metric == metric && gauge.window == *window
        })
    }

    fn add_limit(&mut self, node: u32, mut gauge: Gauge) -> u32 {
        let limit = self.gauges.len() as u32;
        gauge.node = node;
        self.gauges.push(gauge);
        self.nodes[node as usize].limits.push(limit);
        self.changes += 1;
        limit
    }

    /// Says how the provider of a stem counts a call; as plain as can be, until the next declaration, if nobody says.
    pub fn set_counts(&mut self, stem: StemId, counts: Counts) {
        self.stems[stem.0 as usize].counts = counts;
    }

    /// What a call takes of the limits of a stem.
    fn cost_at(&self, stem: u32, cost: Cost) -> Cost {
        self.stems[stem as usize].counts.of(cost)
    }

    /// The stem of a channel's upstream model, for plans.
    pub fn find_stem(&self, channel: ChannelId, model: &str) -> Option<StemId> {
        self.stem_of.get(&channel)?.get(model).map(|&stem| StemId(stem))
    }

    /// What rests, for pages and for saving.
    pub fn rests(&self) -> &RestBook {
        &self.rests
    }

    /// What rests, to restore or clear it; the pool takes notice at its next choice.
    pub fn rests_mut(&mut self) -> &mut RestBook {
        &mut self.rests
    }

    /// Lets a scope rest until a time on the steady clock, on an operator's word ("pause").
    pub fn pause(&mut self, scope: &Scope, until: UnixMs, now: Now) {
        self.rests.pause(scope, until, now.steady);
    }

    /// Lets a key or a channel take no calls until a time on the steady clock, because its budget is used up. Says whether this
    /// is news.
    pub fn hold_for_budget(&mut self, scope: &Scope, until: UnixMs, now: Now) -> bool {
        self.rests.hold_for_budget(scope, until, now.steady)
    }

    /// The limits of a scope, with what is used of each.
    pub fn readings(&mut self, scope: &LimitScope, now: Now) -> Vec<Reading> {
        let now = self.advance(now);
        let Some(&node) = self.node_of.get(scope) else { return Vec::new() };
        let limits = self.nodes[node as usize].limits.clone();
        limits.into_iter().map(|limit| self.gauges[limit as usize].reading(now)).collect()
    }

    /// Whether a lane has answered badly since its last good answer.
    pub fn is_suspect(&self, taken: &Taken) -> bool {
        let Some(&lane) = self.lane_of.get(&(taken.stem.0, taken.key)) else { return false };
        self.every_node(lane).any(|node| self.nodes[node as usize].strikes > 0)
    }

    /// A number that grows with everything that is worth saving.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Time never goes back in the pool: callers read the clock before they hold the lock.
    fn advance(&mut self, now: Now) -> Now {
        self.latest = self.latest.max(now.ms());
        if self.known_rests != self.rests.changes() {
            self.learn_rests();
        }
        Now { steady: UnixMs(self.latest), wall: now.wall }
    }

    /// The node of a scope, if its key, group, model or channel is known.
    fn find_node(&mut self, scope: &LimitScope) -> Option<u32> {
        match (self.node_of.get(scope), scope) {
            (Some(&node), _) => Some(node),
            (None, LimitScope::Models(whole, models)) => {
                let &whole = self.node_of.get(&**whole)?;
                Some(self.partial_node(whole, models))
            }
            (None, _) => None,
        }
    }

    /// Copies the book of rests to the nodes.
    fn learn_rests(&mut self) {
        self.known_rests = self.rests.changes();
        let before: Vec<(u32, i64)> = std::mem::take(&mut self.resting)
            .into_iter()
            .map(|node| (node, self.nodes[node as usize].rest_until))
            .collect();
        let all = self.rests.all().map(|(scope, rest)| {
            let known = (rest.until.0, rest.strikes, rest.class, rest.struck_at.0, rest.end);
            (LimitScope::from(scope), known)
        });
        let all: Vec<_> = all.collect();
        let mut found = Vec::new();
        for (scope, known) in all {
            if let Some(node) = self.find_node(&scope) {
                found.push((node, known));
            }
        }
        for &(node, _) in &before {
            let node = &mut self.nodes[node as usize];
            (node.rest_until, node.strikes, node.strike_class) = (i64::MIN, 0, None);
        }
        for (node, (until, strikes, class, struck_at, end)) in found {
            let entry = &mut self.nodes[node as usize];
            (entry.rest_until, entry.strikes, entry.strike_class) = (until, strikes, Some(class));
            (entry.struck_at, entry.rest_end) = (struck_at, end);
            self.resting.push(node);
        }
        for (node, until) in before {
            if self.nodes[node as usize].strike_class.is_none() {
                let node = &mut self.nodes[node as usize];
                (node.trials, node.allowance) = (0, trial::Allowance::default());
            }
            // Over, or shorter than it was: an operator may put a pause in place of a rest.
            if self.nodes[node as usize].rest_until < until {
                self.wake_node(node);
            }
        }
    }
}
