//! What refusals teach about a limit: how much is really allowed, how evenly, and with how much of a margin.
//!
//! A refusal with the window nearly full is a matter of margin: the network took longer for one call than for
//! another. A refusal long before that means that less is allowed than was thought, and the calls that were accepted in
//! the last window say how much; or that calls must not come in bursts. From there the limit grows by small steps that
//! become rarer as they are refused, so that an unknown limit costs few refusals in the long run.

use super::{
    gauge::{Gauge, Usage},
    limit::{Metric, Source, Window},
    now::Now,
    window::Fate,
};

/// The largest margin after refusals, and before them.
const MAX_MARGIN_MS: i64 = 2_000;
const MAX_MEASURED_MS: i64 = 900;

/// Models may think for so long before they answer.
const SLOW_ANSWERS_MS: i64 = 10_000;

/// After refusals the margin shrinks by a millisecond for so many accepted calls: refusals that found it too small shall be
/// rare, but a slow hour of the network shall not cost for a day.
const ACCEPTED_TO_SHRINK: u32 = 8;

/// Before any refusal, a call that was sent as soon as a full window opened, and was accepted, shows that the margin is not
/// too small; it then shrinks by so much, down to two thirds.
const PROBED_MS: i64 = 3;

/// A call was sent as soon as its window opened if it was sent so long after.
const AT_ONCE_MS: i64 = 50;

/// The first margin is this part of the window, at least and at most so much; the first refusal makes it a sixtieth, at most
/// a second.
const FIRST_MARGIN: i64 = 8;
const FIRST_MARGIN_MS: [i64; 2] = [150, 300];
const REFUSED_MARGIN_MS: i64 = 1_000;

/// The smallest margin, and how many answers must have been timed before it is believed.
const MIN_MARGIN_MS: i64 = 100;
const TELLING_ANSWERS: u32 = 10;

/// While a pace is looked for, it grows by half after so many accepted calls.
const ACCEPTED_TO_GROW: u32 = 4;

/// How much a refused pace is stretched, and how much of it each accepted call takes back: about one call in twenty
/// finds out whether the pace could be faster.
const STRETCH_PERMILLE: u32 = 20;

/// So many accepted calls in a row are a long run.
const LONG_RUN: u32 = 30;

/// Beyond this, not the pace is at fault, but less is allowed.
const MAX_STRETCH_PERMILLE: u32 = 500;

/// After so many windows without a refusal, bursts are tried again.
const SMOOTH_WINDOWS: i64 = 30;

/// Without a refusal for this long, what was learned is forgotten.
const FORGET_MS: i64 = 7 * 86_400_000;

/// Before any time of the clock.
const NEVER: i64 = i64::MIN / 4;

/// After this many clean windows the limit first grows, in quarters of a window.
const FIRST_GROWTH: u32 = 20;

/// It never waits longer than this, in quarters of a window: an hour, for windows of a minute.
const LAST_GROWTH: u32 = 240;

/// What was learned of a limit.
#[derive(Debug, Clone)]
pub(super) struct Learn {
    /// How sure the limit is, 0 to 100.
    pub confidence: u8,
    /// How long an entry counts beyond its window.
    pub margin_ms: i64,
    /// How much slower than the bare interval calls are paced.
    pub stretch_permille: u32,
    /// Calls must never come in bursts.
    pub smooth: bool,
    /// A header said that more is left than we think; counts if the next one agrees.
    pub said_more_left: bool,
    /// How many clean windows, in quarters, the next growth waits for.
    pub growth_quarters: u32,
    /// How many calls of a window were once accepted, where nothing is declared.
    pub proved: u64,
    base_margin_ms: i64,
    /// The least margin after a refusal.
    refused_margin_ms: i64,
    /// When refusals last made the margin larger.
    widened_at: i64,
    /// From when until when calls were sent as soon as there was room.
    tight: [i64; 2],
    /// How long answers take at most, at least and usually, lately: a call arrives before its answer does.
    slowest_answer_ms: i64,
    fastest_answer_ms: i64,
    usual_answer_ms: i64,
    answers: u32,
    /// The largest margin that answers may ask for, and the largest that refusals may.
    largest_measured_ms: i64,
    largest_margin_ms: i64,
    /// The pace is still being looked for, by doublings.
    pub searching: bool,
    accepted_at_pace: u32,
    /// The last call was sent about as soon as the pace allowed.
    pub pressed: bool,
    /// The pace's next time, with fractions.
    next: f64,
    /// Calls sent before this say nothing that a refusal has not said already.
    reacted_at: i64,
    refused_at: i64,
    accepted_since: bool,
    near_refused_at: i64,
    refused_in_row: u32,
    accepted_in_row: u32,
    clean_from: i64,
    /// By how much the limit grows next.
    pub step: u64,
    grown_from: Option<u64>,
}

impl Learn {
    pub fn new(window: &Window, source: Source) -> Self {
        let span = window.span_ms().map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
        // A stall of a machine does not become shorter with the window.
        let [least, most] = FIRST_MARGIN_MS;
        let base_margin_ms = (span / FIRST_MARGIN).clamp(least, most);
        let refused_margin_ms = (span / 60).clamp(base_margin_ms, REFUSED_MARGIN_MS);
        Self {
            confidence: match source {
                Source::Learned => 30,
                Source::Declared => 60,
                Source::Header | Source::ErrorBody => 90,
                Source::Operator => 100,
            },
            // Where nothing is declared, only refusals say how much is allowed, and a margin must not be taken for less.
            margin_ms: if source == Source::Learned { refused_margin_ms } else { base_margin_ms },
            stretch_permille: 0,
            smooth: false,
            said_more_left: false,
            base_margin_ms,
            refused_margin_ms,
            widened_at: NEVER,
            tight: [NEVER; 2],
            slowest_answer_ms: 0,
            fastest_answer_ms: i64::MAX,
            usual_answer_ms: 0,
            answers: 0,
            largest_measured_ms: (span / 3).clamp(base_margin_ms, MAX_MEASURED_MS.max(base_margin_ms)),
            largest_margin_ms: (span / 2).clamp(base_margin_ms, MAX_MARGIN_MS),
            searching: false,
            accepted_at_pace: 0,
            pressed: false,
            next: 0.0,
            reacted_at: NEVER,
            refused_at: NEVER,
            accepted_since: true,
            near_refused_at: NEVER,
            refused_in_row: 0,
            accepted_in_row: 0,
            clean_from: NEVER,
            growth_quarters: FIRST_GROWTH,
            proved: 0,
            step: 4,
            grown_from: None,
        }
    }

    /// How long an entry counts beyond its window.
    ///
    /// It must exceed what one call takes longer to arrive than another. Where answers usually come at once, that shows in
    /// them: the margin follows the spread of their times, also that of a busy machine. Where models think for
    /// longer than that, answers tell only if all of them come faster than the margin, and refusals tell the rest: it begins
    /// small, shrinks with each accepted call that relied on it, and one refusal makes it large for all keys of a model.
    pub fn margin(&self) -> i64 {
        let shrinks = self.answers >= TELLING_ANSWERS && self.widened_at == NEVER;
        let slowest = (self.slowest_answer_ms + MIN_MARGIN_MS / 2).max(MIN_MARGIN_MS);
        let least = if shrinks { self.margin_ms.min(slowest) } else { self.margin_ms };
        if self.answers > 0 && self.usual_answer_ms <= self.largest_measured_ms / 2 {
            // Of the spread there and back, most may have been on the way there.
            let spread = self.slowest_answer_ms - self.fastest_answer_ms.min(self.slowest_answer_ms);
            return least.max((spread * 3 / 4 + MIN_MARGIN_MS / 2).min(self.largest_measured_ms));
        }
        least
    }

    /// Notes a send at this time, and when its window opened if it had been full.
    pub fn sent(&mut self, at: i64, opened_at: i64) {
        let is_tight = at - opened_at <= AT_ONCE_MS;
        match &mut self.tight {
            [_, until] if is_tight && *until != NEVER => *until = at,
            tight if is_tight => *tight = [at; 2],
            tight => *tight = [NEVER; 2],
        }
    }

    /// Notes that a call that was sent at this time was accepted.
    fn relied_on(&mut self, sent_at: i64) {
        let [from, until] = self.tight;
        let can_grow = self.refused_margin_ms > self.base_margin_ms;
        let least = if can_grow { self.base_margin_ms * 2 / 3 } else { self.base_margin_ms };
        if (from..=until).contains(&sent_at) && (least..=self.base_margin_ms).contains(&self.margin_ms) {
            self.margin_ms = (self.margin_ms - PROBED_MS).max(least);
        }
    }

    /// What is worth telling other keys: that the first margin was too small. What it grows beyond is this key's matter.
    pub fn margin_for_others(&self) -> i64 {
        self.margin_ms.min(self.refused_margin_ms)
    }

    /// Takes over a larger margin at this time: another key's refusal found that it is needed.
    pub fn widened_to(&mut self, margin_ms: i64, at: i64) {
        let margin_ms = margin_ms.min(self.largest_margin_ms);
        if margin_ms > self.margin_ms {
            (self.margin_ms, self.widened_at) = (margin_ms, at);
        }
    }

    /// Notes how long an answer took to begin.
    pub fn answered_after(&mut self, ms: i64) {
        self.answers = self.answers.saturating_add(1);
        self.slowest_answer_ms = (self.slowest_answer_ms - self.slowest_answer_ms / 64).max(ms);
        self.fastest_answer_ms =
            self.fastest_answer_ms.saturating_add(self.fastest_answer_ms / 64).min(ms.max(0));
        self.usual_answer_ms = match self.answers {
            1 => ms,
            _ => self.usual_answer_ms + (ms - self.usual_answer_ms) / 8,
        };
    }

    /// Notes that a limit is taken over at this time: nothing grows before it has proved itself again, and what was learned
    /// is as old as its last refusal.
    pub fn resumed(&mut self, refused_at: Option<i64>, at: i64) {
        (self.clean_from, self.refused_at) = (at, refused_at.unwrap_or(at));
    }

    /// When a call was last refused that was thought to fit.
    pub fn last_refusal(&self) -> Option<i64> {
        (self.refused_at > NEVER).then_some(self.refused_at)
    }

    /// Notes that only another key's refusals speak for the limit: more is tried soon, and in large steps.
    pub fn hearsay(&mut self, max: u64) {
        (self.confidence, self.step, self.growth_quarters) = (15, (max / 4).max(1), 6);
    }

    /// Notes that more than the limit was perhaps accepted: that is soon tried.
    pub fn perhaps(&mut self, max: u64, proved: u64) {
        self.proved = proved;
        (self.step, self.growth_quarters) = (proved.saturating_sub(max).max(1), 10);
    }

    /// Looks for an even pace.
    pub fn search(&mut self) {
        (self.searching, self.smooth, self.confidence) = (true, true, 10);
    }

    /// Notes that a refusal at this time has been reacted to.
    pub fn reacted(&mut self, at: i64) {
        (self.reacted_at, self.refused_at, self.clean_from) = (at, at, at);
        self.accepted_since = false;
        self.refused_in_row = self.refused_in_row.saturating_add(1);
        self.accepted_in_row = 0;
    }

    /// Whether refusals alone speak: no answer has come since the last of them, or the pace is still looked for.
    pub fn is_unconfirmed(&self) -> bool {
        self.searching || !self.accepted_since
    }

    /// Whether a refusal of a call that was sent at this time says something that was not reacted to yet.
    pub fn is_news(&self, sent_at: i64) -> bool {
        sent_at > self.reacted_at
    }

    /// Whether calls were sent at an even pace around this time.
    fn paced_at(&self, at: i64, span: i64) -> bool {
        self.next > 0.0 && at - span / 4 <= self.next as i64
    }

    /// The time before which a paced call is not followed by the next.
    pub fn paced_from(&mut self, at: i64, interval_ms: f64) -> i64 {
        let from = if self.next > at as f64 - 1.0 && self.next <= at as f64 { self.next } else { at as f64 };
        self.next = from + interval_ms;
        self.next.ceil() as i64
    }
}

impl Gauge {
    /// Whether it is a mere guess, which no answer has confirmed since the last refusal: it may be no limit at all, but a fault
    /// that is told like one.
    pub(super) fn is_guess(&self) -> bool {
        self.source == Source::Learned && self.metric == Metric::Requests && self.learn.is_unconfirmed()
    }

    /// Whether it is a guess and leaves no room for a call now.
    pub(super) fn guesses_full(&self, now: i64) -> bool {
        self.is_guess() && (self.not_before > now || self.used() >= self.max)
    }

    /// A call was served for which a guess had left no room: it begins anew, with half more than was used.
    pub(super) fn refuted(&mut self, first_guess: u64, now: i64) {
        self.max = self.max.max(first_guess).max(self.used() + self.used().div_ceil(2));
        self.not_before = self.not_before.min(now);
        self.learn.search();
    }

    /// Notes a refusal that speaks of this limit, to a call that was sent at `sent_at`.
    pub(super) fn refused(&mut self, sent_at: i64, now: Now) {
        let at = now.ms();
        if sent_at <= self.learn.reacted_at {
            return;
        }
        let span = self.span_ms();
        let Usage::Log(log) = &self.usage else {
            if let Usage::Bucket(_) = self.usage {
                self.stretch(!self.learn.accepted_since);
                self.learn.reacted(at);
            }
            return;
        };
        // The refused call itself is among those that were sent.
        let fate = log.between(sent_at - span, sent_at);
        if fate.is_unclear() {
            // The refusals that are still on their way will tell; where answers take as long as the window, none ever
            // will, and what is declared is believed.
            if self.declared == Some(self.max) && span < SLOW_ANSWERS_MS && fate.sent >= self.max {
                self.widen_margin(at);
                self.learn.refused_at = at;
                self.learn.reacted_at = at;
            }
            return;
        }
        let Fate { sent, accepted, unanswered } = fate;
        let consecutive = !self.learn.accepted_since;
        let soon_again = at - self.learn.refused_at < span;
        self.learn.reacted(at);
        let requests = self.metric == Metric::Requests;
        // The first margin was a guess, and calls that were under way when it was given up say nothing new.
        let guessed = self.learn.margin() < self.learn.refused_margin_ms || sent_at <= self.learn.widened_at;
        self.learn.widened_to(self.learn.refused_margin_ms, at);
        self.learn.accepted_at_pace = 0;
        let spare = if self.declared.is_none() && !self.learn.smooth { self.max / 10 } else { self.max / 40 };
        let near = accepted + 1 + spare >= self.max;
        let paced = self.learn.paced_at(sent_at, span);
        let believed = self.declared.unwrap_or(self.learn.proved);
        let known = believed == self.max;
        let is_declared = known && self.declared.is_some();
        let believes = believed > 0;
        if self.learn.searching {
            // Having grown and been refused, the pace is known to a third; having been refused again, it was far off.
            let factor = if consecutive { 60 } else { 80 };
            self.learn.searching = consecutive;
            self.cut((self.max * factor / 100).max(accepted.min(self.max - 1)));
            (self.learn.step, self.learn.growth_quarters) = ((self.max / 12).max(1), 4);
        } else if let Some(before) = self.learn.grown_from.take() {
            // Of the calls under way nothing is known yet.
            self.max = self.max.min(accepted.saturating_sub(unanswered).max(before)).max(1);
            self.learn.proved = self.learn.proved.min(self.max);
            self.learn.step = 1;
            self.learn.growth_quarters = (self.learn.growth_quarters * 2).min(LAST_GROWTH);
        } else if near || !requests {
            let again = at - self.learn.near_refused_at < 3 * span;
            self.learn.near_refused_at = at;
            if guessed && requests && !self.learn.smooth && self.declared.is_some() {
                return;
            }
            self.widen_margin(at);
            if self.declared.is_none() && requests && (!self.learn.smooth || consecutive) {
                // Calls that were under way when the limit was learned may have been taken for accepted.
                self.cut(accepted);
                if again {
                    self.learn.proved = self.learn.proved.min(self.max);
                }
            } else if requests && (self.learn.smooth || (paced && believes)) {
                self.stretch(consecutive);
            } else {
                if !known && requests {
                    self.cut(accepted);
                } else if again {
                    self.cut(self.max - (self.max / 40).clamp(1, self.max.max(2) - 1));
                }
            }
        } else if self.learn.smooth {
            let counted = self.declared.is_none() && self.learn.proved > 0;
            let many = sent >= accepted + 3 + self.max / 16;
            if counted && many && accepted * 10 < self.max * 9 && accepted * 2 >= self.max {
                // What was once accepted was a gift; at an even pace, what is accepted in a window is what is allowed.
                self.learn.stretch_permille /= 2;
                self.cut(accepted + 1);
                self.learn.proved = (self.learn.proved + self.max) / 2;
            } else if self.learn.refused_in_row >= 3 {
                self.cut(accepted.max(self.max * 7 / 10));
            } else {
                self.stretch(consecutive);
            }
        } else if believes && paced && accepted * 20 >= self.max * if is_declared { 17 } else { 18 } {
            // Calls kept their distance while there was a line; again and again that was not enough.
            self.learn.smooth |= is_declared && soon_again;
            self.stretch(consecutive);
        } else if believes && (accepted * 4 < self.max * 3 || (paced && sent * 5 < self.max * 4)) {
            // So few were accepted that calls must have come too unevenly.
            self.learn.smooth = true;
            self.stretch(false);
        } else {
            self.cut(accepted.max(self.max / 2));
            // The first window may have been a gift.
            self.learn.proved = (self.learn.proved + self.max) / 2;
        }
        if self.learn.smooth {
            // What was refused at an even pace left its place free: the next call need not wait for a whole interval.
            self.not_before = self.not_before.min(at);
        }
    }

    fn widen_margin(&mut self, at: i64) {
        let can_jump = self.learn.refused_margin_ms > self.learn.base_margin_ms;
        let [more, of] = if can_jump { [5, 4] } else { [3, 2] };
        let wider = (self.learn.margin() * more / of).max(self.learn.refused_margin_ms);
        self.learn.widened_to(wider, at);
    }

    /// Calls at an even pace still come too fast, or too unevenly.
    fn stretch(&mut self, consecutive: bool) {
        // A window of which a few calls are refused needs less than one that takes no bursts at all.
        let more = if self.learn.smooth { STRETCH_PERMILLE } else { STRETCH_PERMILLE / 2 };
        let more = if consecutive { 2 * more } else { more };
        self.learn.stretch_permille += more;
        if self.learn.stretch_permille > MAX_STRETCH_PERMILLE {
            self.learn.stretch_permille = 0;
            self.cut(self.max * 1000 / u64::from(1000 + MAX_STRETCH_PERMILLE));
        }
    }

    fn cut(&mut self, max: u64) {
        if self.source != Source::Operator {
            self.max = self.max.min(max.max(1));
            // It is probably the declared limit after all: half of the way back is tried soon.
            (self.learn.step, self.learn.growth_quarters) = match self.declared {
                declared if declared.is_some() || self.learn.proved > self.max => {
                    let believed = declared.unwrap_or(self.learn.proved);
                    ((believed.saturating_sub(self.max) / 2).max(1), if declared.is_some() { 6 } else { 8 })
                }
                _ => ((self.max / 8).max(1), FIRST_GROWTH),
            };
            self.learn.confidence = (self.learn.confidence + 10).min(90);
        }
    }

    /// Lets the limit grow after clean windows in which it was needed. Called for each accepted call.
    pub(super) fn grow(&mut self, sent_at: i64, now: Now) {
        let at = now.ms();
        self.learn.relied_on(sent_at);
        let span = self.window.span_ms().map_or(60_000, |ms| ms as i64);
        let learn = &mut self.learn;
        learn.accepted_since = true;
        learn.refused_in_row = 0;
        learn.smooth &= at - learn.refused_at < SMOOTH_WINDOWS * span;
        learn.accepted_in_row = learn.accepted_in_row.saturating_add(1);
        // After a long run without a refusal, what stretched the pace is probably over.
        let faster = if learn.accepted_in_row > LONG_RUN { learn.stretch_permille / 16 } else { 0 };
        learn.stretch_permille = learn.stretch_permille.saturating_sub(1 + faster);
        if learn.margin_ms > learn.base_margin_ms && learn.accepted_in_row.is_multiple_of(ACCEPTED_TO_SHRINK)
        {
            learn.margin_ms -= 1;
        }
        let ceiling = self.declared.unwrap_or(u64::MAX);
        if learn.searching {
            // A pace that nobody needs proves nothing.
            learn.accepted_at_pace += u32::from(learn.pressed);
            if learn.accepted_at_pace >= ACCEPTED_TO_GROW {
                learn.accepted_at_pace = 0;
                self.max = (self.max + self.max.div_ceil(2)).min(ceiling);
            }
            return;
        }
        if self.max >= ceiling || self.source == Source::Operator {
            return;
        }
        if at - learn.refused_at > FORGET_MS {
            learn.refused_at = at;
            learn.smooth = false;
            learn.confidence = learn.confidence.saturating_sub(20);
            self.max = self.max.saturating_mul(2).min(ceiling);
            return;
        }
        // What was proved once is soon tried again; more than that, later.
        let (quarters, ceiling) = match self.max < learn.proved {
            true => (learn.growth_quarters, ceiling.min(learn.proved)),
            false if self.declared.is_none() => (learn.growth_quarters.max(FIRST_GROWTH), ceiling),
            false => (learn.growth_quarters, ceiling),
        };
        if at - learn.clean_from >= span * i64::from(quarters) / 4 {
            learn.clean_from = at;
            let used = self.used();
            if used * 5 >= self.max * 4 {
                let learn = &mut self.learn;
                if learn.grown_from.is_some() {
                    // The last step was taken up without a refusal: the limit really is higher.
                    learn.step = (learn.step * 2).min((self.max / 4).max(1));
                    learn.growth_quarters = FIRST_GROWTH;
                    learn.proved = learn.proved.max(self.max);
                }
                learn.grown_from = Some(self.max);
                self.max = self.max.saturating_add(learn.step).min(ceiling);
            }
        }
    }
}
