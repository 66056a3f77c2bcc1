//! The desk: takes calls, sends them to the pool's lanes or puts them in line, and serves the line as lanes come free.
//!
//! Pure, like everything here. The owner calls [`Desk::acquire`] for a new call, reports to [`Desk::pool_mut`], calls
//! [`Desk::poll`] after either, and sets one timer for [`Desk::next_wake`]. Nothing is polled in between.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    limit::Cost,
    now::Now,
    pool::{Ask, Choice, Plan, Pool, StemId, Taken, Tried, Why},
    queue::{Alarms, Class, Line, Place, Turns},
};
use crate::model::{id::TokenId, time::UnixMs};

/// If the first call in line cannot be served for a reason of its own, so many behind it are looked at.
const LOOKED_AT: usize = 8;

/// How long it is believed how many calls can be sent: so long at most, and this part of the time that a call may wait.
const ROOM_MS: i64 = 1_000;
const ROOM_PART: i64 = 60;

/// How long a prediction for refused calls of a set holds, in milliseconds.
const PREDICTION_MS: i64 = 250;

/// If somebody has been waiting for so long without a break, calls are sent at an even pace: more come than the window
/// holds, and bursts would only make the last one wait for a whole window. A burst that fits soon goes as a burst.
const BACKLOG_MS: i64 = 5_000;

/// A line is long if it takes this part of what can be sent in a minute, and fits well if so much of it is to spare.
const BURST_PARTS: u64 = 8;
const BURST_SPARE: u64 = 2;

/// Everybody is to be served so long before his deadline.
const DEADLINE_SLACK_MS: i64 = 1_500;

/// So often it is looked at what a call waits for that is not to wait for what rests.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The longest time that a prediction looks ahead.
const HORIZON_MS: i64 = 32 * 86_400_000;

/// Bounds of the waiting.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most calls that wait for one set of candidates.
    pub per_set: usize,
    /// The most calls that wait at all.
    pub total: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_set: 512, total: 10_000 }
    }
}

/// A call that wants to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who may serve it. Calls with the same plan (the same `Arc`'s contents) should share a `set`.
    pub plan: Arc<Plan>,
    /// A number for the plan: calls of one set wait in one line.
    pub set: u64,
    /// What it takes, estimated.
    pub cost: Cost,
    /// A number for its conversation, if it has one.
    pub conversation: Option<u64>,
    /// Whose it is.
    pub token: TokenId,
    /// The token's share.
    pub weight: u32,
    /// Whether somebody waits for it.
    pub class: Class,
    /// When it came, on the steady clock.
    pub arrived: UnixMs,
    /// Until when it may wait, on the steady clock.
    pub deadline: UnixMs,
    /// Until when it may wait for what rests after bad answers; waiting for limits is another matter.
    pub rests_until: UnixMs,
    /// What it tried in vain.
    pub tried: Tried,
    /// Its place in line, if it had one before: a call that failed does not go to the end again.
    pub place: Option<Place>,
}

impl Call {
    /// Whether it waits for a choice that may come at `until` or earlier: for what is sure to come free until its deadline, for
    /// what merely rests, or has no room by a guessed limit, only as long as it may. If somebody is finding out whether that is
    /// over, the answer is awaited for as long.
    fn waits(&self, until: Option<UnixMs>, sure: Option<UnixMs>, under_trial: bool, now: Now) -> bool {
        if !self.is_in_a_hurry() {
            return until.is_none_or(|until| until <= self.deadline);
        }
        until.is_some_and(|until| until <= self.rests_until)
            || sure.is_some_and(|sure| sure <= self.deadline)
            || (under_trial && now.steady < self.rests_until)
    }

    /// Whether it has somewhere else to go, so that it does not wait for what rests as it does for limits.
    fn is_in_a_hurry(&self) -> bool {
        self.rests_until < self.deadline
    }

    /// When to look again whether it should go on waiting.
    fn next_alarm(&self, now: Now) -> i64 {
        let soon = if now.steady < self.rests_until { self.rests_until } else { now.steady + LOOK_AGAIN };
        soon.min(self.deadline).0
    }
}

/// A call in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WaiterId {
    index: u32,
    generation: u32,
}

/// A call that may be sent.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Where to.
    pub taken: Taken,
    /// The call, to come back with if it fails.
    pub call: Call,
    /// What it had to wait for, if it had to.
    pub waited_for: Option<Why>,
}

/// A call that is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// After how long a call like it would be served, as far as can be told.
    pub retry_after: Option<Duration>,
}

/// What becomes of a new call.
#[derive(Debug)]
pub enum Answer {
    /// Send it now.
    Send(Box<Grant>),
    /// It waits; an [`Event`] will tell.
    Queued(WaiterId),
    /// It cannot be served in time.
    Refused(Refusal),
}

/// What becomes of a call in line.
#[derive(Debug)]
pub enum Event {
    /// Send it now.
    Send(WaiterId, Box<Grant>),
    /// It cannot be served in time.
    Refused(WaiterId, Refusal),
}

#[derive(Debug, Default)]
struct Set {
    line: Line,
    plan: Option<Arc<Plan>>,
    /// Since when somebody has been waiting.
    since: i64,
    wake: Option<i64>,
    /// Why the first in line could not be sent when it was last looked at, and when the first of those comes free that do not
    /// rest.
    why: Option<Why>,
    sure: Option<UnixMs>,
    /// A call was finding out then whether what rests is back.
    under_trial: bool,
    /// When it was last found out how many calls a minute the set can do, and the result.
    per_minute: Option<(i64, u64)>,
    /// There was room for all of a long line at once: they go at once.
    is_burst: bool,
    /// When the pace was last found out, and the result.
    pace: Option<(i64, u32)>,
    /// How many calls can be sent up to some time, as last found out.
    room: Option<Room>,
    /// When a refused call was last predicted, for how many in front of it, and the result.
    predicted: Option<(i64, u64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Room {
    at: i64,
    until: i64,
    room: Option<u64>,
    /// Calls of the set that were sent since.
    sent: u64,
}

#[derive(Debug)]
struct Waiter {
    generation: u32,
    call: Option<Call>,
    place: Option<Place>,
    /// When it is looked at whether it should go on waiting.
    alarm: i64,
    /// What it waits for, or what those in front of it waited for when it came.
    why: Option<Why>,
}

/// The desk.
#[derive(Debug, Default)]
pub struct Desk {
    pool: Pool,
    bounds: Bounds,
    turns: Turns,
    sets: HashMap<u64, Set>,
    waiters: Vec<Waiter>,
    free: Vec<u32>,
    waiting: usize,
    of_stem: HashMap<StemId, Vec<u64>>,
    /// Sets worth a look.
    dirty: BTreeSet<u64>,
    wakes: Alarms,
    deadlines: Alarms,
}

impl Desk {
    /// An empty desk.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Changes the bounds of the waiting. Who waits already goes on.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The pool, for pages.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The pool, to declare, report, settle and save.
    pub fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// A call is to be sent: at once, later, or not at all. Nobody is overtaken: if others wait for the same
    /// candidates, or for any that have just come free, the call goes in line.
    pub fn acquire(&mut self, mut call: Call, now: Now, random: u64) -> Answer {
        let place = match call.place {
            Some(place) => place,
            None => self.turns.place(call.token, call.class, call.weight),
        };
        call.place = Some(place);
        let alone = self.sets.get(&call.set).is_none_or(|set| set.line.is_empty());
        let others_due = !self.dirty.is_empty() || self.wakes.next().is_some_and(|at| at <= now.ms());
        let mut why = self.sets.get(&call.set).and_then(|set| set.why).unwrap_or(Why::Limit);
        let send_away = |desk: &mut Self, call, refusal| match desk.send_away(call, refusal, now, random) {
            Ok(grant) => Answer::Send(grant),
            Err(refusal) => Answer::Refused(refusal),
        };
        if alone && !others_due {
            let ask = Ask {
                plan: &call.plan,
                cost: call.cost,
                conversation: call.conversation,
                waited_ms: now.ms() - call.arrived.0,
                pace_permille: 0,
                waiting: 0,
                random,
            };
            match self.pool.choose(&ask, &mut call.tried, now) {
                Choice::Take(taken) => {
                    self.turns.served(place);
                    return Answer::Send(Box::new(Grant { taken, call, waited_for: None }));
                }
                Choice::Nothing(why) => return Answer::Refused(Refusal { why, retry_after: None }),
                Choice::Wait { until, why: reason, sure, under_trial, .. } => {
                    why = reason;
                    if !call.waits(until, sure, under_trial, now) {
                        let retry_after = until.map(|until| until.since(now.steady));
                        return send_away(self, call, Refusal { why, retry_after });
                    }
                    self.wake_set(call.set, until.map(|until| until.0));
                    if let Some(set) = self.sets.get_mut(&call.set) {
                        (set.why, set.sure, set.under_trial) = (Some(why), sure, under_trial);
                    }
                }
            }
        } else {
            self.dirty.insert(call.set);
        }
        let in_line = self.sets.get(&call.set).map_or(0, |set| set.line.len());
        let too_late = if in_line >= self.bounds.per_set || self.waiting >= self.bounds.total {
            Some(in_line as u64)
        } else {
            let ahead = self.sets.get(&call.set).map_or(0, |set| set.line.before(place)) as u64;
            // A trial may make room that nobody can foresee.
            let awaits_trial =
                call.is_in_a_hurry() && self.sets.get(&call.set).is_some_and(|set| set.under_trial);
            let is_full = !awaits_trial && self.room(&call, now).is_some_and(|room| room <= ahead);
            is_full.then_some(ahead)
        };
        if let Some(ahead) = too_late {
            let until = self.predict(&call, ahead, now);
            self.forget_if_empty(call.set);
            let retry_after = until.map(|at| UnixMs(at).since(now.steady));
            return send_away(self, call, Refusal { why, retry_after });
        }
        Answer::Queued(self.enqueue(call, place, why, now))
    }

    /// What becomes of a call that cannot be served in time: it finds out whether something that rests is back, or it is told.
    fn send_away(
        &mut self,
        mut call: Call,
        refusal: Refusal,
        now: Now,
        random: u64,
    ) -> Result<Box<Grant>, Refusal> {
        let limits_too = call.is_in_a_hurry();
        let ask = Ask {
            plan: &call.plan,
            cost: call.cost,
            conversation: None,
            waited_ms: now.ms() - call.arrived.0,
            pace_permille: 0,
            waiting: 0,
            random,
        };
        match self.pool.try_resting(&ask, &mut call.tried, limits_too, now) {
            Some(taken) => Ok(Box::new(Grant { taken, call, waited_for: None })),
            None => Err(refusal),
        }
    }

    fn enqueue(&mut self, call: Call, place: Place, why: Why, now: Now) -> WaiterId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.waiters.push(Waiter { generation: 0, call: None, place: None, alarm: 0, why: None });
            self.waiters.len() as u32 - 1
        });
        let set = self.sets.entry(call.set).or_default();
        if set.plan.is_none() {
            for (stem, _) in call.plan.tiers.iter().flat_map(|tier| &tier.stems) {
                self.of_stem.entry(*stem).or_default().push(call.set);
            }
            set.plan = Some(call.plan.clone());
        }
        if set.line.is_empty() {
            set.since = call.arrived.0;
        }
        set.line.push(place, index);
        let alarm = call.next_alarm(now);
        self.deadlines.set(alarm, u64::from(index));
        let waiter = &mut self.waiters[index as usize];
        waiter.alarm = alarm;
        waiter.generation = waiter.generation.wrapping_add(1);
        waiter.place = Some(place);
        waiter.why = Some(why);
        waiter.call = Some(call);
        self.waiting += 1;
        WaiterId { index, generation: waiter.generation }
    }

    /// How many calls can be sent until a call's deadline, those in front of it included; `None` if nothing bounds them. What was
    /// found out a moment ago for an earlier deadline, less what was sent since, is close and never too much.
    fn room(&mut self, call: &Call, now: Now) -> Option<u64> {
        let until = call.deadline.0 - DEADLINE_SLACK_MS;
        if let Some(known) = self.sets.get(&call.set).and_then(|set| set.room)
            && now.ms() - known.at < ((until - now.ms()) / ROOM_PART).min(ROOM_MS)
            && (known.until..known.until + 2 * ROOM_MS).contains(&until)
        {
            return known.room.map(|room| room.saturating_sub(known.sent));
        }
        let room = self.pool.room_by(&call.plan, until, now);
        if let Some(set) = self.sets.get_mut(&call.set) {
            set.room = Some(Room { at: now.ms(), until, room, sent: 0 });
        }
        room
    }

    /// When a call with so many in front of it would be sent, at the earliest.
    fn predict(&mut self, call: &Call, ahead: u64, now: Now) -> Option<i64> {
        let known = self.sets.get(&call.set).and_then(|set| set.predicted);
        if let Some((at, for_ahead, result)) = known
            && now.ms() - at < PREDICTION_MS
            && for_ahead.abs_diff(ahead) <= 4
        {
            return Some(result.max(now.ms()));
        }
        let fits = |pool: &Pool, at: i64| pool.room_by(&call.plan, at, now).is_none_or(|room| room > ahead);
        let (mut low, mut step) = (now.ms(), 1_000);
        while !fits(&self.pool, low + step) {
            low += step;
            step *= 2;
            if step > HORIZON_MS {
                return None;
            }
        }
        // To a sixteenth of the step, or a quarter of a second.
        let mut high = low + step;
        while high - low > (step / 16).max(250) {
            let middle = low + (high - low) / 2;
            if fits(&self.pool, middle) { high = middle } else { low = middle }
        }
        if let Some(set) = self.sets.get_mut(&call.set) {
            set.predicted = Some((now.ms(), ahead, high));
        }
        Some(high)
    }

    /// Serves who can be served, and sends away whose time is over.
    pub fn poll(&mut self, now: Now, mut random: impl FnMut() -> u64) -> Vec<Event> {
        let mut events = Vec::new();
        for stem in self.pool.take_touched(now) {
            if let Some(sets) = self.of_stem.get(&stem) {
                self.dirty.extend(sets);
            }
        }
        while let Some(set) = self.wakes.pop_due(now.ms()) {
            if let Some(entry) = self.sets.get_mut(&set) {
                entry.wake = None;
                self.dirty.insert(set);
            }
        }
        while let Some(set) = self.next_dirty() {
            match self.serve(set, now, random()) {
                Some(event) => events.push(event),
                None => {
                    self.dirty.remove(&set);
                }
            }
        }
        while let Some(index) = self.deadlines.pop_due(now.ms()) {
            let index = index as u32;
            let Some(call) = self.waiters[index as usize].call.clone() else { continue };
            let id = WaiterId { index, generation: self.waiters[index as usize].generation };
            let known = self.sets.get(&call.set).and_then(|set| Some((set.why?, set.sure)));
            let (why, sure) = known.unwrap_or((Why::Limit, Some(now.steady)));
            if call.deadline > now.steady && call.waits(None, sure, false, now) {
                // It still waits for a limit.
                let alarm = call.next_alarm(now);
                self.deadlines.set(alarm, u64::from(index));
                self.waiters[index as usize].alarm = alarm;
                continue;
            }
            let ahead = self.sets.get(&call.set).map_or(0, |set| set.line.len()) as u64;
            let until = self.predict(&call, ahead, now);
            let Some(call) = self.leave(id) else { continue };
            let retry_after = until.map(|at| UnixMs(at).since(now.steady));
            events.push(match self.send_away(call, Refusal { why, retry_after }, now, random()) {
                Ok(grant) => Event::Send(id, grant),
                Err(refusal) => Event::Refused(id, refusal),
            });
        }
        events
    }

    /// The set whose first call has the lowest place of all that are worth a look.
    fn next_dirty(&mut self) -> Option<u64> {
        let sets = &self.sets;
        self.dirty.retain(|set| sets.get(set).is_some_and(|set| !set.line.is_empty()));
        let first = |set: &u64| sets.get(set).and_then(|set| set.line.all().next()).map(|(place, _)| place);
        self.dirty.iter().copied().min_by_key(first)
    }

    /// Serves one call of a set, or notes when the set is worth a look again.
    fn serve(&mut self, set: u64, now: Now, random: u64) -> Option<Event> {
        let waiters = &self.waiters;
        let arrived = |index: u32| waiters[index as usize].call.as_ref().map_or(0, |call| call.arrived.0);
        let first = self.sets.get(&set)?.line.first(LOOKED_AT, now.ms(), arrived);
        let pace_permille = self.pace_permille(set, now);
        let waiting = self.sets.get(&set)?.line.len() as u64;
        let mut wake: Option<i64> = None;
        for (place, index) in first {
            let id = WaiterId { index, generation: self.waiters[index as usize].generation };
            let Some(call) = self.waiters[index as usize].call.as_mut() else { continue };
            let waited_ms = now.ms() - call.arrived.0;
            let plan = call.plan.clone();
            let ask = Ask {
                plan: &plan,
                cost: call.cost,
                conversation: call.conversation,
                waited_ms,
                pace_permille,
                waiting,
                random,
            };
            match self.pool.choose(&ask, &mut call.tried, now) {
                Choice::Take(taken) => {
                    self.turns.served(place);
                    if let Some(entry) = self.sets.get_mut(&set) {
                        entry.line.served(place);
                        if let Some(room) = &mut entry.room {
                            room.sent += 1;
                        }
                    }
                    let waited_for = self.waiters[index as usize].why;
                    let call = self.leave(id)?;
                    return Some(Event::Send(id, Box::new(Grant { taken, call, waited_for })));
                }
                Choice::Nothing(why) => {
                    self.leave(id);
                    return Some(Event::Refused(id, Refusal { why, retry_after: None }));
                }
                Choice::Wait { until, why, sized, sure, under_trial } => {
                    let waits = call.waits(until, sure, under_trial, now);
                    if let Some(entry) = self.sets.get_mut(&set) {
                        (entry.why, entry.sure, entry.under_trial) = (Some(why), sure, under_trial);
                    }
                    if !waits {
                        let call = self.leave(id)?;
                        let retry_after = until.map(|until| until.since(now.steady));
                        return Some(match self.send_away(call, Refusal { why, retry_after }, now, random) {
                            Ok(grant) => Event::Send(id, grant),
                            Err(refusal) => Event::Refused(id, refusal),
                        });
                    }
                    if let Some(until) = until {
                        wake = Some(wake.map_or(until.0, |wake| wake.min(until.0)));
                    }
                    let plain = !sized
                        && self.waiters[index as usize]
                            .call
                            .as_ref()
                            .is_some_and(|call| call.tried.is_empty());
                    if plain {
                        break;
                    }
                }
            }
        }
        self.wake_set(set, wake);
        None
    }

    /// At what part of the full pace calls of a set are to be sent, in thousandths: nothing, until somebody has been waiting
    /// for some time, and nothing while there is room for all at once; then as evenly as everybody's deadline allows.
    fn pace_permille(&mut self, set: u64, now: Now) -> u32 {
        let Some(entry) = self.sets.get_mut(&set).filter(|entry| now.ms() - entry.since > BACKLOG_MS) else {
            return 0;
        };
        let known = entry.per_minute.filter(|(at, _)| now.ms() - at < 1_000);
        let per_minute = match (known, &entry.plan) {
            (Some((_, per_minute)), _) => per_minute,
            (None, Some(plan)) => {
                let room = self.pool.room_by(plan, now.ms() + 60_000, now).unwrap_or(u64::MAX);
                entry.per_minute = Some((now.ms(), room));
                room
            }
            (None, None) => return 0,
        };
        // A line that is long for what a minute holds, and yet fits with room to spare, is a burst; a short one always is
        // about to fit, and where more come than fit, a full window opens just for those who wait.
        let waiting = entry.line.len() as u64;
        entry.is_burst &= waiting > 0;
        if (entry.is_burst || waiting * BURST_PARTS >= per_minute)
            && let Some(plan) = &entry.plan
        {
            let room = if entry.is_burst { waiting } else { waiting + waiting / BURST_SPARE };
            entry.is_burst = self.pool.fits_now(plan, room, now);
            if entry.is_burst {
                return 0;
            }
        }
        if let Some((at, permille)) = entry.pace
            && now.ms() - at < 100
        {
            return permille;
        }
        // The pace at which each is served in time, given how many are in front of him.
        let part = |(ahead, (_, index)): (usize, (Place, u32))| {
            let call = self.waiters[index as usize].call.as_ref()?;
            let left_ms = (call.deadline.0 - now.ms() - DEADLINE_SLACK_MS).max(0).unsigned_abs();
            Some(left_ms.saturating_mul(per_minute) / 60 / (ahead as u64 + 1))
        };
        let least = entry.line.all().enumerate().filter_map(part).min().unwrap_or(0);
        let permille = u32::try_from(least.min(1000)).unwrap_or(1000);
        entry.pace = Some((now.ms(), permille));
        permille
    }

    fn wake_set(&mut self, set: u64, at: Option<i64>) {
        let entry = self.sets.entry(set).or_default();
        if let Some(old) = entry.wake.take() {
            self.wakes.clear(old, set);
        }
        if let Some(at) = at {
            self.wakes.set(at, set);
            entry.wake = Some(at);
        }
    }

    /// A call in line leaves: its client is gone. Gives the call back, if it still waited.
    pub fn cancel(&mut self, id: WaiterId) -> Option<Call> {
        self.leave(id)
    }

    fn leave(&mut self, id: WaiterId) -> Option<Call> {
        let waiter = self.waiters.get_mut(id.index as usize)?;
        if waiter.generation != id.generation {
            return None;
        }
        let call = waiter.call.take()?;
        let place = waiter.place.take()?;
        self.free.push(id.index);
        self.waiting -= 1;
        self.deadlines.clear(waiter.alarm, u64::from(id.index));
        if let Some(set) = self.sets.get_mut(&call.set) {
            set.line.remove(place);
        }
        self.forget_if_empty(call.set);
        Some(call)
    }

    fn forget_if_empty(&mut self, set: u64) {
        if self.sets.get(&set).is_some_and(|entry| entry.line.is_empty()) {
            let Some(entry) = self.sets.remove(&set) else { return };
            if let Some(at) = entry.wake {
                self.wakes.clear(at, set);
            }
            self.dirty.remove(&set);
            for (stem, _) in entry.plan.iter().flat_map(|plan| &plan.tiers).flat_map(|tier| &tier.stems) {
                if let Some(sets) = self.of_stem.get_mut(stem) {
                    sets.retain(|other| *other != set);
                    if sets.is_empty() {
                        self.of_stem.remove(stem);
                    }
                }
            }
        }
    }

    /// When to call [`poll`](Self::poll) again, on the steady clock, if nothing happens before.
    pub fn next_wake(&self) -> Option<UnixMs> {
        let next = [self.wakes.next(), self.deadlines.next()].into_iter().flatten().min();
        next.map(UnixMs)
    }
}

#[cfg(test)]
mod tests;
