//! What became of a call: accepted, settled, failed or cancelled, and what headers say of limits.

use std::{sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Lane, NONE, Pool, SlotId, StemId, Taken, Tried};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::{
        calendar::next_reset,
        gauge::{Gauge, Usage},
        limit::{CalendarUnit, Cost, Metric, Models, Per, Period, Source, Window},
        now::Now,
        rest::RestScope,
        rest::{Report, Scope},
        window::Fate,
    },
};

/// How long a day's or month's limit rests if nobody says where the provider's day begins: it may be any hour of ours.
const LONG_REST: Duration = Duration::from_secs(3600);

/// If an answer shows that a limit opens so much earlier, in milliseconds, those who wait for it are told.
const MARGIN_NEWS_MS: i64 = 50;

/// For so long after a reset a refusal may mean that the provider's new day has not begun yet.
const LATE_MS: i64 = 2 * 3_600_000;

/// The provider's clock may be behind ours by so much; a new day is not tried before.
const RESET_DELTA_MS: i64 = 60_000;

/// Fewer accepted calls than this say little about how many are allowed, and nothing about the other keys.
const TELLING: u64 = 10;

/// A single refusal hints at an unknown limit for so long, and so many of calls that were under way together are more
/// than a hint.
const HINT_MS: i64 = 120_000;
const HINTS_AT_ONCE: u32 = 3;

/// So many calls a minute are tried then, evenly.
pub(super) const FIRST_GUESS: u64 = 20;

/// A bad answer to a call.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What it was taken for, how long the upstream asks to wait, and why.
    pub report: Report,
    /// What of the lane it speaks of.
    pub scope: RestScope,
    /// The kind of limit, if it was one and the answer tells.
    pub period: Option<Period>,
    /// Of a key, a group or a channel only these models; all, if there is no pattern.
    pub models: Models,
    /// What was counted, if the answer tells; calls, if not.
    pub metric: Option<Metric>,
    /// How much is allowed, if the answer tells.
    pub allowed: Option<u64>,
    /// In which window, if the answer tells; the usual one of `period`, if not.
    pub window: Option<Window>,
    /// Calls came too quickly one after another: there is room, but not for a burst.
    pub pace: bool,
    /// There was no answer in time.
    pub hung: bool,
}

/// A day's limit is used up.
struct Over {
    /// When calls may be tried again.
    until: UnixMs,
    /// The provider's new day has probably not begun yet, though ours has.
    is_late: bool,
}

impl Gauge {
    fn over(&mut self, now: Now) -> Option<Over> {
        let until = self.exhaust(now)?;
        let is_late = matches!(&self.usage, Usage::Calendar(calendar) if until.0 < calendar.ends);
        Some(Over { until, is_late })
    }
}

/// What an answer's headers say of one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whom it holds for: the key, its group, or the model on either.
    pub per: super::Per,
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// How much is allowed, if it says so.
    pub allowed: Option<u64>,
    /// How much is left after this call, if it says so.
    pub left: Option<u64>,
}

/// A call under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it holds.
    pub slot: SlotId,
    /// The channel.
    pub channel: ChannelId,
    /// The key.
    pub key: KeyId,
    /// The upstream's model.
    pub model: Arc<str>,
    /// Since when, on the steady clock.
    pub since: UnixMs,
}

impl Pool {
    pub(super) fn open_slot(&self, id: SlotId) -> Option<&super::Slot> {
        self.slots.get(id.index as usize).filter(|slot| slot.open && slot.generation == id.generation)
    }

    /// Notes that the upstream accepted a call: its status is one of success. Whether it went well, its content shows: see
    /// [`proved`](Self::proved).
    pub fn accepted(&mut self, id: SlotId, now: Now) {
        let now = self.advance(now);
        let Some(slot) = self.open_slot(id).filter(|slot| !slot.answered) else { return };
        let (lane, sent_at, recent) = (slot.lane, slot.sent_at, slot.recent);
        let slot = &mut self.slots[id.index as usize];
        slot.answered = true;
        for place in 0..slot.entries.len() {
            let (limit, number, amount) = self.slots[id.index as usize].entries[place];
            let gauge = &mut self.gauges[limit as usize];
            let before = gauge.counts_ms();
            gauge.accepted(number, amount, sent_at, now);
            if before - gauge.counts_ms() >= MARGIN_NEWS_MS {
                // Who found it full reckoned with more.
                self.wake_limit(limit);
            }
        }
        let entry = &mut self.lanes[lane as usize];
        entry.answers = entry.answers.saturating_add(1);
        entry.recent.accept(recent, 1);
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            let entry = &mut self.nodes[node as usize];
            entry.pending = entry.pending.saturating_sub(1);
            let news = !entry.proven || entry.strikes > 0 || entry.blocked > 0;
            entry.proven = true;
            if news {
                self.wake_node(node);
            }
        }
    }

    /// Ends a call that was answered to its end; `used` is what it really took, if that is known. The reservation is
    /// corrected at the time of the call.
    pub fn settle(&mut self, id: SlotId, used: Option<Cost>, now: Now) {
        self.accepted(id, now);
        if let Some(slot) = self.open_slot(id) {
            let lane = slot.lane;
            self.lanes[lane as usize].hangs = 0;
            self.proved(id, now);
        }
        let used = self.used_by(id, used);
        self.close(id, |metric, reserved| match (metric, used) {
            (Metric::Requests | Metric::Concurrency, _) | (_, None) => reserved,
            (metric, Some(used)) => used.of(metric),
        });
    }

    /// Ends a call whose client left. If it was never sent, all of its reservation comes back; if it was, the call
    /// counts, and of the rest what `used` says.
    pub fn cancel(&mut self, id: SlotId, sent: bool, used: Option<Cost>, now: Now) {
        self.advance(now);
        let used = self.used_by(id, used);
        self.close(id, |metric, reserved| match (metric, used) {
            _ if !sent => 0,
            (Metric::Requests | Metric::Concurrency, _) | (_, None) => reserved,
            (metric, Some(used)) => used.of(metric),
        });
    }

    /// What a call took, as its provider counts.
    fn used_by(&self, id: SlotId, used: Option<Cost>) -> Option<Cost> {
        let stem = self.lanes[self.open_slot(id)?.lane as usize].stem;
        Some(self.cost_at(stem, used?))
    }

    /// Gives a slot back, with what each of its amounts becomes.
    fn close(&mut self, id: SlotId, becomes: impl Fn(Metric, u64) -> u64) {
        let Some(slot) = self.open_slot(id) else { return };
        let (lane, answered) = (slot.lane, slot.answered);
        let mut slot = std::mem::take(&mut self.slots[id.index as usize]);
        for &(limit, number, amount) in &slot.entries {
            let gauge = &mut self.gauges[limit as usize];
            let after = becomes(gauge.metric, amount);
            gauge.correct(number, amount, after);
            if !answered {
                gauge.not_accepted(number);
            }
            if after < amount {
                self.wake_limit(limit);
            }
        }
        for place in 0..self.node_places(lane) {
            let Some(node) = self.node_at(lane, place) else { continue };
            let entry = &mut self.nodes[node as usize];
            entry.in_flight = entry.in_flight.saturating_sub(1);
            entry.pending = entry.pending.saturating_sub(u32::from(!answered));
            let waited_for = entry.blocked > 0 && !answered;
            for place in 0..self.nodes[node as usize].limits.len() {
                let limit = self.nodes[node as usize].limits[place];
                let gauge = &mut self.gauges[limit as usize];
                if gauge.metric == Metric::Concurrency {
                    gauge.release(1);
                    self.wake_limit(limit);
                }
            }
            if waited_for {
                self.wake_node(node);
            }
        }
        slot.open = false;
        self.slots[id.index as usize] = slot;
        self.free_slots.push(id.index);
        self.changes += 1;
    }

    /// Takes a call back that was never sent, and does not offer it this lane again; with `whole_channel`, none of the channel's
    /// for this model.
    pub fn withhold(&mut self, taken: &Taken, whole_channel: bool, tried: &mut Tried, now: Now) {
        let Some(slot) = self.open_slot(taken.slot) else { return };
        let lane = slot.lane;
        if whole_channel {
            let lanes = &self.stems[self.lanes[lane as usize].stem as usize].lanes;
            tried
                .lanes
                .extend(lanes.iter().filter(|lane| !tried.lanes.contains(lane)).copied().collect::<Vec<_>>());
        } else {
            tried.lanes.push(lane);
        }
        self.cancel(taken.slot, false, None, now);
    }

    /// Ends a call that was answered badly, or not at all: what it speaks of learns, and rests if it must. Gives what
    /// rests and until when (on the steady clock). The call is counted as the upstream may have counted it.
    pub fn fail(
        &mut self,
        taken: &Taken,
        fault: &Fault,
        tried: &mut Tried,
        now: Now,
    ) -> Option<(Scope, UnixMs)> {
        let now = self.advance(now);
        let slot = self.open_slot(taken.slot)?;
        let (lane, sent_at, recent, trial) = (slot.lane, slot.sent_at, slot.recent, slot.trial);
        let entries: Vec<u32> = slot.entries.iter().map(|(limit, ..)| *limit).collect();
        if fault.report.class == OutcomeClass::RateLimited {
            for place in 0..entries.len() {
                let (limit, number, amount) = self.slots[taken.slot.index as usize].entries[place];
                if let Usage::Log(log) = &mut self.gauges[limit as usize].usage {
                    log.refuse(number, amount);
                }
            }
            self.lanes[lane as usize].recent.refuse(recent, 1);
        }
        let refused = matches!(fault.report.class, OutcomeClass::RateLimited | OutcomeClass::OutOfCredit);
        let entry = &mut self.lanes[lane as usize];
        if fault.hung {
            (entry.hangs, entry.hung_at) = (entry.hangs.saturating_add(1), now.ms());
        } else if fault.report.status.is_some() {
            entry.hangs = 0;
        }
        if trial {
            self.tried_in_vain(lane);
        }
        // Who is merely limited may be asked again by the same call, unless the call itself has just found out that it still is.
        if fault.report.class != OutcomeClass::RateLimited || trial {
            tried.lanes.push(lane);
            if fault.scope == RestScope::Channel {
                tried.channels.push(taken.channel);
            }
        }
        let node = self.node_of_scope(lane, fault.scope, &fault.models);
        let mut until_reset = None;
        let mut interval_ms = None;
        if let Some(node) = node.filter(|_| fault.report.class == OutcomeClass::RateLimited) {
            match fault.period {
                Some(Period::Day | Period::Month | Period::Hour) => {
                    until_reset = self.day_is_over(node, lane, &entries, fault, now);
                }
                Some(Period::Concurrent) => self.too_many_at_once(node, fault, now),
                Some(Period::Minute) | None if fault.scope != RestScope::ChannelModel => {
                    interval_ms = self.too_fast(node, lane, &entries, sent_at, fault, now);
                }
                Some(Period::Minute) | None => {}
            }
        }
        // What failed without being a refusal took no tokens; what was refused took none either.
        self.close(taken.slot, |metric, reserved| match metric {
            Metric::Requests | Metric::Concurrency => reserved,
            Metric::InputTokens | Metric::Tokens | Metric::Units if refused => 0,
            _ => reserved,
        });
        if fault.report.class == OutcomeClass::RateLimited {
            self.lanes[lane as usize].answers = 0;
        }
        let scope = Scope::from(&self.nodes[node? as usize].scope);
        let renewed = self.rests.active(&scope, now.steady).filter(|_| trial).map(|rest| rest.strikes.max(1));
        let strikes = renewed.unwrap_or_else(|| self.rests.strikes_with(&scope, UnixMs(sent_at)));
        let rest_for = match (until_reset, fault.report.asked) {
            // What is asked for then is most of a day.
            (Some(Over { until, is_late: true }), _) => until.since(now.steady),
            (Some(Over { until, .. }), asked) => asked.unwrap_or_default().max(until.since(now.steady)),
            (None, Some(asked)) => asked,
            (None, None) => own_rest(fault, strikes, interval_ms),
        };
        let until = renewed
            .and_then(|_| self.rests.renew(&scope, &fault.report, rest_for, now.steady))
            .unwrap_or_else(|| {
                self.rests.strike(&scope, fault.report.clone(), rest_for, UnixMs(sent_at), now.steady)
            });
        self.learn_rests();
        Some((scope, until))
    }

    /// What a bad answer speaks of. An answer about models that the call's own is not among speaks of nothing here.
    fn node_of_scope(&mut self, lane: u32, scope: RestScope, models: &Models) -> Option<u32> {
        let stem = self.lanes[lane as usize].stem;
        let per = match scope {
            RestScope::Request => return None,
            RestScope::KeyModel => Per::KeyModel,
            RestScope::Key => Per::Key,
            RestScope::GroupModel => Per::OwnerModel,
            RestScope::Group => Per::Owner,
            RestScope::ChannelModel => Per::Model,
            RestScope::Channel => Per::Channel,
        };
        let fits = models.fits(&self.stems[stem as usize].model);
        // The model that was asked for is meant in any case; of the others, those that fit.
        Some(self.node_for(if fits { per } else { narrow(per) }, models, stem, lane))
    }

    /// A limit of a day or longer is used up: until when.
    fn day_is_over(
        &mut self,
        node: u32,
        lane: u32,
        entries: &[u32],
        fault: &Fault,
        now: Now,
    ) -> Option<Over> {
        let unit = match fault.period {
            Some(Period::Month) => CalendarUnit::Month,
            Some(Period::Hour) => CalendarUnit::Hour,
            _ => CalendarUnit::Day,
        };
        let metric = fault.metric.unwrap_or(Metric::Requests);
        let told = fault.window.as_ref().filter(|window| window.span_ms().is_some());
        let meant = entries.iter().copied().filter(|&limit| {
            let gauge = &self.gauges[limit as usize];
            let is_of_unit = matches!(gauge.window, Window::Calendar { unit: own, .. } if own == unit);
            gauge.metric == metric && (is_of_unit || told == Some(&gauge.window))
        });
        // The limit at the scope that the answer names, else the fullest.
        let known = meant.max_by_key(|&limit| {
            let gauge = &self.gauges[limit as usize];
            (gauge.node == node, gauge.used().saturating_mul(1000) / gauge.max.max(1))
        });
        if let Some(limit) = known {
            let gauge = &mut self.gauges[limit as usize];
            if let Some(allowed) = fault.allowed.filter(|_| gauge.source != Source::Operator) {
                gauge.max = allowed.clamp(1, gauge.declared.unwrap_or(u64::MAX).max(1));
            }
            return gauge.over(now);
        }
        let channel = self.stems[self.lanes[lane as usize].stem as usize].channel;
        let of_channel = self.resets.get(&channel).map(|(zone, offset_minutes)| Window::Calendar {
            unit,
            zone: zone.clone(),
            offset_minutes: *offset_minutes,
        });
        let window = told.cloned().or(of_channel)?;
        if let Some(allowed) = fault.allowed.filter(|allowed| *allowed > 0) {
            // The provider told how much a day allows: from now on it is known.
            let gauge = Gauge::new(metric, window.clone(), allowed, Source::ErrorBody, now);
            let limit = self.add_limit(node, gauge);
            return self.gauges[limit as usize].over(now);
        }
        let Window::Calendar { zone, offset_minutes, .. } = window else { return None };
        let zone = TimeZone::get(&zone).ok()?;
        // Nothing was accepted since the last reset, and that was not long ago: the provider's day begins later than ours.
        let earlier = UnixMs(now.wall.0.saturating_sub(LATE_MS));
        let last = next_reset(unit, &zone, offset_minutes, earlier);
        if self.nodes[node as usize].strikes > 0 && last <= now.wall {
            let passed = now.wall.0 - last.0;
            return Some(Over { until: UnixMs(now.ms() + passed.max(RESET_DELTA_MS)), is_late: true });
        }
        let reset = now.to_steady(next_reset(unit, &zone, offset_minutes, now.wall));
        Some(Over { until: UnixMs(reset.0.saturating_add(RESET_DELTA_MS)), is_late: false })
    }

    /// Too many calls at the same time: so many are too many.
    fn too_many_at_once(&mut self, node: u32, fault: &Fault, now: Now) {
        let in_flight = u64::from(self.nodes[node as usize].in_flight);
        let max = fault.allowed.unwrap_or(in_flight.saturating_sub(1)).max(1);
        match self.find_limit(node, Metric::Concurrency, &Window::AtOnce) {
            Some(limit) => {
                let gauge = &mut self.gauges[limit as usize];
                if gauge.source != Source::Operator {
                    gauge.max = gauge.max.min(max);
                }
                gauge.learn.reacted(now.ms());
            }
            None => {
                let mut gauge = Gauge::new(Metric::Concurrency, Window::AtOnce, max, Source::Learned, now);
                gauge.usage = Usage::Held(in_flight);
                gauge.learn.reacted(now.ms());
                self.add_limit(node, gauge);
            }
        }
    }

    /// Calls came faster than a limit of a minute or less allows. Gives the time in which one comes back, if known.
    fn too_fast(
        &mut self,
        node: u32,
        lane: u32,
        entries: &[u32],
        sent_at: i64,
        fault: &Fault,
        now: Now,
    ) -> Option<i64> {
        let metric = fault.metric.unwrap_or(Metric::Requests);
        // The limit at the scope that the answer names, else the fullest. It may have been learned while the call was
        // under way; then the refusal says nothing new, and makes no second one.
        let blamed = entries
            .iter()
            .chain(&self.nodes[node as usize].limits)
            .copied()
            .filter(|&limit| {
                let gauge = &self.gauges[limit as usize];
                let is_meant = match &fault.window {
                    // What is said of another window says nothing of this one.
                    Some(window) if fault.allowed.is_some() => gauge.window == *window,
                    _ => gauge.window.is_short(),
                };
                gauge.metric == metric && is_meant
            })
            .max_by_key(|&limit| {
                let gauge = &self.gauges[limit as usize];
                (gauge.node == node, gauge.used() * 1000 / gauge.max.max(1))
            });
        if let Some(limit) = blamed {
            let gauge = &mut self.gauges[limit as usize];
            match fault.allowed {
                Some(allowed) if allowed > 0 && gauge.source != Source::Operator => {
                    gauge.max = allowed.min(gauge.declared.unwrap_or(u64::MAX));
                }
                _ if fault.pace => gauge.too_uneven(sent_at, now),
                _ => gauge.refused(sent_at, now),
            }
            // At an even pace the next call is on time by when the refusal is here.
            let interval = gauge.span_ms() / i64::try_from(gauge.max.max(1)).unwrap_or(i64::MAX);
            let interval = if gauge.learn.smooth { interval / 8 } else { interval };
            self.wake_limit(limit);
            self.share_margin(limit, lane, now);
            return Some(interval);
        }
        if metric != Metric::Requests && fault.allowed.is_none() {
            return None;
        }
        let below = if self.nodes[node as usize].lanes.is_empty() {
            vec![lane]
        } else {
            self.nodes[node as usize].lanes.clone()
        };
        let fate = self.fate_of(&below, sent_at);
        if fault.allowed.is_none() {
            // One refusal may be a whim of the provider's. Another one later counts, and so do many at once.
            let entry = &mut self.nodes[node as usize];
            if entry.hinted_at.saturating_add(HINT_MS) < sent_at {
                (entry.hinted_at, entry.hints) = (now.ms(), 0);
            }
            entry.hints += 1;
            let is_whim = sent_at <= entry.hinted_at && entry.hints < HINTS_AT_ONCE;
            if is_whim || fate.is_unclear() {
                return None;
            }
        }
        let accepted = fate.accepted;
        let source = if fault.allowed.is_some() { Source::ErrorBody } else { Source::Learned };
        // Too few were accepted to tell how many are allowed, or how evenly: an even pace finds out.
        let search = fault.allowed.is_none() && accepted < TELLING;
        let sure = accepted.saturating_sub(fate.unanswered);
        let max = fault.allowed.unwrap_or(if search { FIRST_GUESS } else { sure }).max(1);
        let told =
            fault.window.clone().filter(|window| fault.allowed.is_some() && window.span_ms().is_some());
        let window = told.unwrap_or(Window::MINUTE);
        let span = window.span_ms().map_or(60_000, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let mut gauge = Gauge::new(metric, window.clone(), max, source, now);
        if fault.allowed.is_none() && !search {
            gauge.learn.perhaps(max, accepted);
        }
        self.learn_limit(node, &below, gauge, search, now);
        if metric == Metric::Requests && !search {
            // The other keys are probably allowed as much, and not less than they were allowed already; they soon try
            // whether it is more. A guess at a pace is no reason to slow them down.
            let place = self.lanes[lane as usize].nodes.iter().position(|&own| own == node);
            let siblings = self.stems[self.lanes[lane as usize].stem as usize].lanes.clone();
            for sibling in siblings {
                let other = place.map_or(NONE, |place| self.lanes[sibling as usize].nodes[place]);
                if other != NONE && other != node && !self.is_measured(sibling) {
                    let below = self.nodes[other as usize].lanes.clone();
                    let max = max.max(self.fate_of(&below, now.ms()).accepted);
                    let mut gauge = Gauge::new(metric, window.clone(), max, Source::Learned, now);
                    gauge.learn.hearsay(max);
                    gauge.learn.proved = max;
                    self.learn_limit(other, &below, gauge, false, now);
                }
            }
        }
        Some(span / i64::try_from(max).unwrap_or(i64::MAX))
    }

    /// What a refusal taught of the margin holds for all keys of a model: they share the network.
    fn share_margin(&mut self, limit: u32, lane: u32, now: Now) {
        let gauge = &self.gauges[limit as usize];
        let (margin_ms, window) = (gauge.learn.margin_for_others(), gauge.window.clone());
        let stem = self.lanes[lane as usize].stem;
        for place in 0..self.stems[stem as usize].lanes.len() {
            let lane = self.stems[stem as usize].lanes[place];
            for place in 0..self.node_places(lane) {
                let Some(node) = self.node_at(lane, place) else { continue };
                for &limit in &self.nodes[node as usize].limits {
                    let gauge = &mut self.gauges[limit as usize];
                    if gauge.window == window {
                        gauge.learn.widened_to(margin_ms, now.ms());
                    }
                }
            }
        }
    }

    /// What became of the calls of the minute before a time, on lanes that nothing is known of.
    fn fate_of(&self, lanes: &[u32], until: i64) -> Fate {
        let recent = lanes.iter().map(|&lane| &self.lanes[lane as usize].recent);
        recent.map(|log| log.between(until - 60_000, until)).fold(Fate::default(), Fate::plus)
    }

    /// Hangs a limit on a node that nothing was known of, with what its lanes sent lately.
    fn learn_limit(&mut self, node: u32, below: &[u32], mut gauge: Gauge, search: bool, now: Now) {
        if gauge.metric == Metric::Requests {
            for &lane in below {
                let recent = std::mem::take(&mut self.lanes[lane as usize].recent);
                if let Usage::Log(log) = &mut gauge.usage {
                    log.absorb(&recent);
                }
            }
        }
        // The calls that are still under way say nothing new.
        gauge.learn.reacted(now.ms());
        if search {
            gauge.learn.search();
        }
        self.add_limit(node, gauge);
    }

    /// Takes over what an answer's headers say of a limit. It never opens one: what was declared or what the operator
    /// insists on stays the most.
    pub fn told(&mut self, taken: &Taken, told: &Told, now: Now) {
        let Some(&lane) = self.lane_of.get(&(taken.stem.0, taken.key)) else { return };
        let node = self.node_told_of(told, taken.stem.0, lane);
        self.told_of_node(node, told, now);
    }

    /// The same of a key of a stem, without a call, from a counter that the provider has; of some `models` only, if there are
    /// patterns.
    pub fn told_of(&mut self, stem: StemId, key: KeyId, models: &Models, told: &Told, now: Now) {
        let Some(&lane) = self.lane_of.get(&(stem.0, key)) else { return };
        let node = self.node_for(told.per, models, stem.0, lane);
        self.told_of_node(node, told, now);
    }

    fn told_of_node(&mut self, node: u32, told: &Told, now: Now) {
        let now = self.advance(now);
        let limit = match self.find_limit(node, told.metric, &told.window) {
            Some(limit) => limit,
            None => {
                let Some(allowed) = told.allowed.filter(|allowed| *allowed > 0) else { return };
                let gauge = Gauge::new(told.metric, told.window.clone(), allowed, Source::Header, now);
                self.add_limit(node, gauge)
            }
        };
        let gauge = &mut self.gauges[limit as usize];
        if let Some(allowed) = told.allowed.filter(|allowed| *allowed > 0)
            && gauge.source != Source::Operator
        {
            gauge.provider_allows(allowed);
        }
        // What is more than all that is allowed speaks of another limit, or is nonsense.
        let most = self.gauges[limit as usize].max;
        if let Some(left) = told.left.filter(|left| *left <= most) {
            // Calls under way may not be counted in it yet; this one is.
            let under_way = u64::from(self.nodes[node as usize].pending);
            let gauge = &mut self.gauges[limit as usize];
            let under_way = if told.metric == Metric::Requests { under_way } else { 0 };
            gauge.provider_says(left.saturating_sub(under_way), now);
        }
        self.changes += 1;
    }

    /// Nothing is left until a time on the steady clock, by an answer's headers that do not say of which window: a reason to
    /// wait, but no limit.
    pub fn used_up(&mut self, taken: &Taken, per: Per, until: UnixMs, detail: String, now: Now) {
        let now = self.advance(now);
        let Some(&lane) = self.lane_of.get(&(taken.stem.0, taken.key)) else { return };
        let node = self.node_for(per, &Models::default(), taken.stem.0, lane);
        let scope = Scope::from(&self.nodes[node as usize].scope);
        let asked = until.since(now.steady);
        let class = OutcomeClass::RateLimited;
        let report = Report { class, asked: Some(asked), counted: true, status: None, detail };
        // The call itself was served: this is news of the time after it.
        self.rests.strike(&scope, report, asked, now.steady, now.steady);
        self.learn_rests();
    }

    /// Whom a header's limit holds for. If such a limit is known for some models only, and this call's is one of them,
    /// that is the one.
    fn node_told_of(&mut self, told: &Told, stem: u32, lane: u32) -> u32 {
        let whole = self.node_for(told.per, &Models::default(), stem, lane);
        if self.find_limit(whole, told.metric, &told.window).is_none() {
            for &node in &self.nodes[whole as usize].partial {
                let is_below = self.lanes[lane as usize].partial.contains(&node)
                    || self.stems[stem as usize].partial.contains(&node);
                if is_below && self.find_limit(node, told.metric, &told.window).is_some() {
                    return node;
                }
            }
        }
        whole
    }

    /// The calls under way, with the time at which each got its slot.
    pub fn under_way(&self) -> Vec<Held> {
        let open = self.slots.iter().enumerate().filter(|(_, slot)| slot.open);
        open.map(|(index, slot)| {
            let Lane { stem, key, .. } = self.lanes[slot.lane as usize];
            let (channel, model) = {
                let stem = &self.stems[stem as usize];
                (stem.channel, stem.model.clone())
            };
            let id = SlotId { index: index as u32, generation: slot.generation };
            Held { slot: id, channel, key, model, since: UnixMs(slot.sent_at) }
        })
        .collect()
    }

    /// The time at which a call was sent, while its slot is open.
    pub fn sent_at(&self, id: SlotId) -> Option<UnixMs> {
        self.open_slot(id).map(|slot| UnixMs(slot.sent_at))
    }
}

/// The same for one model: what is left of a scope whose patterns the model of the call does not fit.
fn narrow(per: Per) -> Per {
    match per {
        Per::Key | Per::KeyModel => Per::KeyModel,
        Per::Owner | Per::OwnerModel => Per::OwnerModel,
        Per::Model | Per::Channel => Per::Model,
    }
}

/// How long to rest when the upstream does not say: short at first, longer with evidence.
///
/// A limit whose amount comes back every so often is tried again after about that time; a first fault of a host rests nothing,
/// because hosts stumble; a revoked key or an empty account is the operator's to mend.
fn own_rest(fault: &Fault, strikes: u32, interval_ms: Option<i64>) -> Duration {
    let interval = interval_ms.unwrap_or(2_000);
    let long = matches!(fault.period, Some(Period::Day | Period::Month));
    let millis: [i64; 6] = match fault.report.class {
        OutcomeClass::RateLimited if long => [3_600_000; 6],
        // A model that is busy at its provider is so for seconds, whoever asks.
        OutcomeClass::RateLimited if fault.scope == RestScope::ChannelModel => {
            [5_000, 15_000, 30_000, 60_000, 60_000, 60_000]
        }
        OutcomeClass::RateLimited => {
            let first = (interval / 2).clamp(250, 5_000);
            [first, (interval * 2).clamp(500, 10_000), 15_000, 60_000, 300_000, 900_000]
        }
        OutcomeClass::ModelUnavailable => [10_000, 600_000, 1_800_000, 3_600_000, 3_600_000, 3_600_000],
        OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit => {
            [3_600_000, 6 * 3_600_000, 24 * 3_600_000, 24 * 3_600_000, 24 * 3_600_000, 24 * 3_600_000]
        }
        OutcomeClass::HostError => [0, 2_000, 5_000, 15_000, 60_000, 300_000],
        OutcomeClass::Ambiguous => [0, 1_000, 5_000, 15_000, 60_000, 60_000],
        OutcomeClass::Success
        | OutcomeClass::ClientError
        | OutcomeClass::ClientClosed
        | OutcomeClass::Paused
        | OutcomeClass::BudgetReached => [0; 6],
    };
    let step = (strikes.max(1) as usize - 1).min(millis.len() - 1);
    let rest = Duration::from_millis(millis[step].unsigned_abs());
    if long { rest.max(LONG_REST) } else { rest }
}
