//! Saving and restoring what is used and what was learned.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::Pool;
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
    },
    scheduler::{
        gauge::{Gauge, Usage},
        limit::{Cost, LimitScope, Metric, Source, Window},
        now::Now,
        window::Bucket,
    },
};

/// One limit as it is saved; times are times of day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedLimit {
    /// Whom it holds for.
    pub scope: LimitScope,
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// Where it is known from.
    pub source: Source,
    /// What was declared, if anything.
    pub declared: Option<u64>,
    /// What is allowed, as far as known.
    pub max: u64,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
    /// The margin, in milliseconds.
    pub margin_ms: i64,
    /// How much the pace is stretched.
    pub stretch_permille: u32,
    /// Calls must not come in bursts.
    pub smooth: bool,
    /// How many clean windows, in quarters, the next growth waits for.
    pub growth_quarters: u32,
    /// By how much it then grows.
    #[serde(default)]
    pub step: u64,
    /// How many calls of a window were once accepted, where nothing is declared.
    #[serde(default)]
    pub proved: u64,
    /// Its pace is still being looked for.
    #[serde(default)]
    pub searching: bool,
    /// When it last refused a call that was thought to fit; when it was taken over, if that is not known.
    #[serde(default)]
    pub refused_at: Option<UnixMs>,
    /// What was sent when, for rolling windows: pairs of time and amount.
    pub sends: Vec<(UnixMs, u64)>,
    /// What is used, for counters.
    pub used: u64,
    /// When the unit of the calendar ends, or when the bucket is full again.
    pub ends: Option<UnixMs>,
}

/// The pool's state as it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// When it was saved, as a time of day.
    pub at: UnixMs,
    /// The limits of which something is used or learned.
    pub limits: Vec<SavedLimit>,
    /// Keys and models that have ever answered.
    pub proven: Vec<LimitScope>,
}

/// A call that went out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// When, as a time of day.
    pub at: UnixMs,
    /// To which channel.
    pub channel: ChannelId,
    /// With which key.
    pub key: KeyId,
    /// To which model, by its name in the pool.
    pub model: Arc<str>,
    /// What it was expected to take.
    pub cost: Cost,
}

impl Pool {
    /// What is worth saving.
    pub fn save(&mut self, now: Now) -> Saved {
        let now = self.advance(now);
        let mut limits = Vec::new();
        for gauge in self.gauges.iter_mut().filter(|gauge| gauge.active) {
            gauge.refresh(now);
            let wall = |at: i64| now.to_wall(UnixMs(at));
            let sends = match &gauge.usage {
                Usage::Log(log) => log.pairs().map(|(at, amount)| (wall(at), amount)).collect(),
                _ => Vec::new(),
            };
            let ends = match &gauge.usage {
                Usage::Calendar(calendar) => Some(calendar.ends_wall()),
                Usage::Bucket(bucket) => Some(wall(bucket.full_at.ceil() as i64)),
                _ => None,
            };
            let used = if matches!(gauge.usage, Usage::Held(_)) { 0 } else { gauge.used() };
            let untouched = used == 0 && sends.is_empty() && gauge.declared == Some(gauge.max);
            if untouched && !matches!(gauge.usage, Usage::Bucket(_)) {
                continue;
            }
            limits.push(SavedLimit {
                scope: self.nodes[gauge.node as usize].scope.clone(),
                metric: gauge.metric,
                window: gauge.window.clone(),
                source: gauge.source,
                declared: gauge.declared,
                max: gauge.max,
                confidence: gauge.learn.confidence,
                margin_ms: gauge.learn.margin_ms,
                stretch_permille: gauge.learn.stretch_permille,
                smooth: gauge.learn.smooth,
                growth_quarters: gauge.learn.growth_quarters,
                step: gauge.learn.step,
                proved: gauge.learn.proved,
                searching: gauge.learn.searching,
                refused_at: gauge.learn.last_refusal().map(wall),
                sends,
                used,
                ends,
            });
        }
        let proven = self.nodes.iter().filter(|node| node.proven);
        let telling = proven.filter(|node| matches!(node.scope, LimitScope::Key(_) | LimitScope::Model(..)));
        Saved { at: now.wall, limits, proven: telling.map(|node| node.scope.clone()).collect() }
    }

    /// Takes over what an earlier process saved, after the pool was declared. If that process did not end in good order,
    /// `unsaved` is the time that may have passed since it last saved: calls that it may have sent in it are
    /// taken for sent, one more than in its busiest time of that length.
    pub fn restore(&mut self, saved: &Saved, unsaved: Option<Duration>, now: Now) {
        let now = self.advance(now);
        // A clock that was set back in between must not make what was sent look older than it is.
        let shift = (saved.at.0 - now.wall.0).max(0);
        for scope in &saved.proven {
            if let Some(&node) = self.node_of.get(scope) {
                self.nodes[node as usize].proven = true;
            }
        }
        for limit in &saved.limits {
            let Some(node) = self.find_node(&limit.scope) else { continue };
            let index = match self.find_limit(node, limit.metric, &limit.window) {
                Some(index) => index,
                None if matches!(limit.source, Source::Declared | Source::Operator) => continue,
                None => {
                    let gauge =
                        Gauge::new(limit.metric, limit.window.clone(), limit.max.max(1), limit.source, now);
                    self.add_limit(node, gauge)
                }
            };
            self.gauges[index as usize].take_over(limit, shift, unsaved, now);
        }
        self.changes += 1;
    }

    /// Counts calls that went out after the state was [saved](Self::save) `saved_at`, the oldest first; earlier ones are
    /// part of it. Call it after [`restore`](Self::restore).
    pub fn replay(&mut self, sent: &[Sent], saved_at: UnixMs, now: Now) {
        let now = self.advance(now);
        for call in sent.iter().filter(|call| call.at >= saved_at) {
            let Some(stem) = self.find_stem(call.channel, &call.model) else { continue };
            let Some(&lane) = self.lane_of.get(&(stem.0, call.key)) else { continue };
            let cost = self.cost_at(stem.0, call.cost);
            let nodes: Vec<u32> = self.every_node(lane).collect();
            for node in nodes {
                for place in 0..self.nodes[node as usize].limits.len() {
                    let limit = self.nodes[node as usize].limits[place];
                    let gauge = &mut self.gauges[limit as usize];
                    let amount = cost.of(gauge.metric);
                    gauge.was_sent(amount, call.at, now);
                }
            }
        }
        self.changes += 1;
    }
}

impl Gauge {
    /// Counts a call of an earlier run.
    fn was_sent(&mut self, amount: u64, at: UnixMs, now: Now) {
        let steady = now.to_steady(at).0.min(now.ms());
        let (span, counts, interval) = (self.span_ms(), self.counts_ms(), self.interval_ms());
        match &mut self.usage {
            Usage::Log(log) if steady > now.ms() - counts => {
                let number = log.push(steady, amount, span);
                log.accept(number, amount);
            }
            Usage::Calendar(calendar) => calendar.was_sent(amount, steady),
            Usage::Bucket(bucket) => {
                bucket.full_at = bucket.full_at.max(steady as f64) + amount as f64 * interval;
            }
            Usage::Spent(used) => *used = used.saturating_add(amount),
            Usage::Log(_) | Usage::Held(_) => {}
        }
    }

    fn take_over(&mut self, saved: &SavedLimit, shift: i64, unsaved: Option<Duration>, now: Now) {
        if self.declared == saved.declared && self.source != Source::Operator {
            self.max = saved.max.max(1);
        }
        self.learn.confidence = saved.confidence.min(100);
        self.learn.margin_ms = saved.margin_ms.clamp(0, 2_000).max(self.learn.margin_ms);
        self.learn.stretch_permille = saved.stretch_permille.min(2_000);
        self.learn.smooth = saved.smooth;
        let refused_at = saved.refused_at.map(|at| now.to_steady(at).0.min(now.ms()));
        self.learn.resumed(refused_at, now.ms());
        self.learn.growth_quarters = saved.growth_quarters.clamp(1, 240);
        self.learn.step = saved.step.clamp(1, (self.max / 4).max(4));
        self.learn.proved = saved.proved;
        self.learn.searching = saved.searching;
        let (span, counts, max) = (self.span_ms(), self.counts_ms(), self.max);
        let unsaved_ms = unsaved.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        match &mut self.usage {
            Usage::Log(log) => {
                for &(sent, amount) in &saved.sends {
                    let sent = now.to_steady(UnixMs(sent.0.saturating_sub(shift))).0.min(now.ms());
                    let number = log.push(sent, amount, span);
                    log.accept(number, amount);
                }
                let busiest = log.busiest(unsaved_ms.unwrap_or(0).max(1));
                log.prune(now.ms() - counts);
                if unsaved_ms.is_some() && busiest > 0 {
                    let slack = (busiest + 1).min(max.saturating_sub(log.sum()));
                    if slack > 0 {
                        // It may have sent them up to its end. When that was is not known: nothing is saved while nothing
                        // changes.
                        let number = log.push(now.ms(), slack, span);
                        log.accept(number, slack);
                    }
                }
            }
            Usage::Calendar(calendar) => {
                let ends = saved.ends.unwrap_or(UnixMs(0));
                // A day's counter is short of a few calls at most.
                let slack = if unsaved_ms.is_some() && saved.used > 0 { 1 + max / 500 } else { 0 };
                calendar.restore(saved.used.saturating_add(slack), ends, now);
            }
            Usage::Bucket(bucket) => {
                let full_at = saved.ends.map_or(now.ms(), |ends| now.to_steady(UnixMs(ends.0 - shift)).0);
                let slack = unsaved_ms.unwrap_or(0);
                *bucket = Bucket { full_at: (full_at + slack).min(now.ms() + span) as f64 };
            }
            Usage::Spent(used) => *used = (*used).max(saved.used),
            Usage::Held(_) => {}
        }
    }
}
