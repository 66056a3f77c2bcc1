//! Why each candidate of a plan is taken or not: what the route inspector shows.

use std::collections::BTreeSet;

use super::{NONE, On, Place, Plan, Pool, StemId, ready::Ready};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
    },
    scheduler::{
        gauge::Reading,
        limit::{Cost, LimitScope},
        now::Now,
        rest::{Rest, Scope},
    },
};

/// What stands in a candidate's way.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// It rests.
    Rest {
        /// What of it.
        scope: LimitScope,
        /// Why, since when and until when; its times are those of the steady clock.
        rest: Rest,
    },
    /// A limit is used up.
    Limit {
        /// Of whom.
        scope: LimitScope,
        /// The limit.
        reading: Reading,
    },
    /// Answers to the calls under way are waited for, before more are sent.
    Answers {
        /// Of whom.
        scope: LimitScope,
    },
    /// The call is larger than the limit allows at all.
    TooLarge {
        /// Of whom.
        scope: LimitScope,
        /// The limit.
        reading: Reading,
    },
}

/// How a candidate of a plan stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The place of its tier in the plan.
    pub tier: usize,
    /// The stem.
    pub stem: StemId,
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name of the model.
    pub model: String,
    /// The key.
    pub key: KeyId,
    /// Its place in the order in which candidates would be tried now, from 0; `None` if it is not ready.
    pub rank: Option<usize>,
    /// When it would be ready, as a time of day; `None` if it is ready, or nobody knows.
    pub ready_at: Option<UnixMs>,
    /// What stands in its way for the longest time.
    pub obstacle: Option<Obstacle>,
    /// It rests, and a call that nobody else can serve would try it all the same.
    pub last_resort: bool,
}

impl Pool {
    /// How each candidate of a plan stands now for a call of this cost: first those that would be tried, in order, then
    /// the others by the time at which they will be ready.
    pub fn explain(&mut self, plan: &Plan, cost: Cost, now: Now) -> Vec<Standing> {
        let now = self.advance(now);
        let mut all = Vec::new();
        for (tier, stems) in plan.tiers.iter().enumerate() {
            for &(stem, weight) in &stems.stems {
                let cost = self.cost_at(stem.0, cost);
                for place in 0..self.stems[stem.0 as usize].lanes.len() {
                    let lane = self.stems[stem.0 as usize].lanes[place];
                    if self.lanes[lane as usize].place == Place::Off {
                        continue;
                    }
                    let of_stem = self.stem_ready(stem.0, cost, false, now);
                    let ready = match of_stem {
                        Ready::Now => self.lane_ready(lane, cost, false, now),
                        other => other,
                    };
                    let standing = self.standing(lane, now.ms());
                    let key = self.lanes[lane as usize].key;
                    let last_used = self.nodes[self.lanes[lane as usize].nodes[0] as usize].last_used;
                    let entry = &self.stems[stem.0 as usize];
                    let (channel, model) = (entry.channel, entry.model.to_string());
                    let (ready_at, obstacle) = match ready {
                        Ready::Now => (None, None),
                        Ready::At(at, on) => (Some(now.to_wall(UnixMs(at))), Some(self.obstacle(on, now))),
                        Ready::OnEvent(on) => (None, Some(self.obstacle(on, now))),
                        Ready::Never(limit) => {
                            let scope = self.scope_of(self.gauges[limit as usize].node);
                            let reading = self.gauges[limit as usize].reading(now);
                            (None, Some(Obstacle::TooLarge { scope, reading }))
                        }
                    };
                    let tried_at_last = obstacle.is_some() && self.trial_due(lane, false, now.ms()).is_some();
                    let last_resort = tried_at_last && self.limits_allow(lane, cost, false, now);
                    let order = (
                        obstacle.is_some(),
                        if obstacle.is_some() { ready_at.map_or(i64::MAX, |at| at.0) } else { 0 },
                        tier,
                        standing,
                        u32::MAX - weight,
                        last_used,
                    );
                    all.push((
                        order,
                        Standing {
                            tier,
                            stem,
                            channel,
                            model,
                            key,
                            rank: None,
                            ready_at,
                            obstacle,
                            last_resort,
                        },
                    ));
                }
            }
        }
        all.sort_by_key(|(order, _)| *order);
        all.into_iter()
            .enumerate()
            .map(|(place, (_, standing))| Standing {
                rank: standing.obstacle.is_none().then_some(place),
                ..standing
            })
            .collect()
    }

    /// The limits of a channel that is on: of it as a whole, and of its models, groups and keys, each with whom it holds for.
    /// With `only` a key, those that its calls count for.
    pub fn readings_of_channel(
        &mut self,
        channel: ChannelId,
        only: Option<KeyId>,
        now: Now,
    ) -> Vec<(LimitScope, Reading)> {
        let now = self.advance(now);
        let mut limits = BTreeSet::new();
        for stem in self.stem_of.get(&channel).into_iter().flat_map(|stems| stems.values()) {
            let stem = &self.stems[*stem as usize];
            let mut found = false;
            for lane in stem.lanes.iter().map(|&lane| &self.lanes[lane as usize]) {
                if lane.place == Place::Off || only.is_some_and(|key| key != lane.key) {
                    continue;
                }
                found = true;
                for node in lane.own_nodes() {
                    limits.extend(&self.nodes[node as usize].limits);
                }
            }
            if found {
                for node in stem.every_node() {
                    limits.extend(&self.nodes[node as usize].limits);
                }
            }
        }
        let mut readings: Vec<(LimitScope, Reading)> = limits
            .into_iter()
            .map(|limit: u32| {
                let gauge = &mut self.gauges[limit as usize];
                let (node, reading) = (gauge.node, gauge.reading(now));
                (self.scope_of(node), reading)
            })
            .collect();
        readings.sort_by(|(scope, one), (other_scope, other)| {
            let order = |reading: &Reading| (reading.metric, reading.window.span_ms().unwrap_or(u64::MAX));
            (scope, order(one)).cmp(&(other_scope, order(other)))
        });
        readings
    }

    fn scope_of(&self, node: u32) -> LimitScope {
        debug_assert_ne!(node, NONE);
        self.nodes[node as usize].scope.clone()
    }

    fn obstacle(&mut self, on: On, now: Now) -> Obstacle {
        match on {
            On::Limit(limit) => {
                let scope = self.scope_of(self.gauges[limit as usize].node);
                Obstacle::Limit { scope, reading: self.gauges[limit as usize].reading(now) }
            }
            On::SlowStart(node) => Obstacle::Answers { scope: self.scope_of(node) },
            On::Node(node) => {
                let scope = self.scope_of(node);
                let rest = self.rests.active(&Scope::from(&scope), now.steady).cloned();
                match rest {
                    Some(rest) => Obstacle::Rest { scope, rest },
                    None => Obstacle::Answers { scope },
                }
            }
        }
    }
}
