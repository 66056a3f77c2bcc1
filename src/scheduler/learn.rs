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
};

/// The largest margin.
const MAX_MARGIN_MS: i64 = 2_000;

/// How much a refused pace is stretched, and how much of it each accepted call takes back: about one call in twenty
/// finds out whether the pace could be faster.
const STRETCH_PERMILLE: u32 = 20;

/// Without a refusal for this long, what was learned is forgotten.
const FORGET_MS: i64 = 7 * 86_400_000;

/// After this many clean windows the limit first grows, in quarters of a window.
const FIRST_GROWTH: u32 = 6;

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
    base_margin_ms: i64,
    /// The pace's next time, with fractions.
    next: f64,
    /// Calls sent before this say nothing that a refusal has not said already.
    reacted_at: i64,
    refused_at: i64,
    accepted_since: bool,
    near_refused_at: i64,
    clean_from: i64,
    step: u64,
    grown_from: Option<u64>,
}

impl Learn {
    pub fn new(window: &Window, source: Source) -> Self {
        let span = window.span_ms().map_or(0, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
        let base_margin_ms = (span / 80).clamp(150, 750);
        let never = i64::MIN / 4;
        Self {
            confidence: match source {
                Source::Learned => 30,
                Source::Declared => 60,
                Source::Header | Source::ErrorBody => 90,
                Source::Operator => 100,
            },
            margin_ms: base_margin_ms,
            stretch_permille: 0,
            smooth: false,
            said_more_left: false,
            base_margin_ms,
            next: 0.0,
            reacted_at: never,
            refused_at: never,
            accepted_since: true,
            near_refused_at: never,
            clean_from: never,
            growth_quarters: FIRST_GROWTH,
            step: 1,
            grown_from: None,
        }
    }

    /// Notes that a refusal at this time has been reacted to.
    pub fn reacted(&mut self, at: i64) {
        (self.reacted_at, self.refused_at, self.clean_from) = (at, at, at);
        self.accepted_since = false;
    }

    /// The time before which a paced call is not followed by the next.
    pub fn paced_from(&mut self, at: i64, interval_ms: f64) -> i64 {
        let from = if self.next > at as f64 - 1.0 && self.next <= at as f64 { self.next } else { at as f64 };
        self.next = from + interval_ms;
        self.next.ceil() as i64
    }
}

impl Gauge {
    /// Notes a refusal that speaks of this limit, to a call that was sent at `sent_at`.
    pub(super) fn refused(&mut self, sent_at: i64, now: Now) {
        let at = now.ms();
        if sent_at <= self.learn.reacted_at {
            return;
        }
        let consecutive = !self.learn.accepted_since;
        let previous = self.learn.refused_at;
        self.learn.reacted(at);
        let span = self.span_ms();
        let Usage::Log(log) = &self.usage else {
            if let Usage::Bucket(_) = self.usage {
                self.learn.stretch_permille = (self.learn.stretch_permille + STRETCH_PERMILLE).min(2000);
            }
            return;
        };
        let accepted = log.accepted_since(sent_at - span);
        let requests = self.metric == Metric::Requests;
        let paced = self.learn.next > 0.0 && sent_at - span / 4 <= self.learn.next as i64;
        if let Some(before) = self.learn.grown_from.take() {
            self.max = self.max.min(accepted.max(before)).max(1);
            self.learn.step = 1;
            self.learn.growth_quarters = (self.learn.growth_quarters * 2).min(LAST_GROWTH);
        } else if accepted + 1 + self.max / 40 >= self.max || !requests {
            self.learn.margin_ms = (self.learn.margin_ms * 3 / 2).min(MAX_MARGIN_MS);
            if at - self.learn.near_refused_at < 3 * span {
                self.cut(self.max - (self.max / 40).clamp(1, self.max.max(2) - 1));
            }
            self.learn.near_refused_at = at;
        } else if paced || accepted * 2 < self.max {
            self.learn.smooth = true;
            self.learn.stretch_permille = (self.learn.stretch_permille + STRETCH_PERMILLE).min(2000);
            if consecutive && at - previous < span {
                self.cut(accepted.max(self.max * 7 / 10));
            }
        } else {
            self.cut(accepted);
        }
    }

    fn cut(&mut self, max: u64) {
        if self.source != Source::Operator {
            self.max = self.max.min(max.max(1));
            self.learn.confidence = (self.learn.confidence + 10).min(90);
        }
    }

    /// Lets the limit grow after clean windows in which it was needed. Called for each accepted call.
    pub(super) fn grow(&mut self, now: Now) {
        let at = now.ms();
        let learn = &mut self.learn;
        learn.accepted_since = true;
        learn.stretch_permille = learn.stretch_permille.saturating_sub(1);
        if learn.margin_ms > learn.base_margin_ms {
            learn.margin_ms -= 1;
        }
        let ceiling = self.declared.unwrap_or(u64::MAX);
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
        let span = self.window.span_ms().map_or(60_000, |ms| ms as i64);
        if at - learn.clean_from >= span * i64::from(learn.growth_quarters) / 4 {
            learn.clean_from = at;
            let used = self.used();
            if used * 5 >= self.max * 4 {
                let learn = &mut self.learn;
                if learn.grown_from.is_some() {
                    // The last step was taken up without a refusal: the limit really is higher.
                    learn.step = (learn.step * 2).min((self.max / 4).max(1));
                    learn.growth_quarters = FIRST_GROWTH;
                }
                learn.grown_from = Some(self.max);
                self.max = self.max.saturating_add(learn.step).min(ceiling);
            }
        }
    }
}
