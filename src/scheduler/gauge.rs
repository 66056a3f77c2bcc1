//! A limit at work: what is allowed, what is used, and when the next call fits.

use super::{
    calendar::Calendar,
    learn::Learn,
    limit::{Metric, Source, Window},
    now::Now,
    window::{Bucket, Fits, Log},
};
use crate::model::time::UnixMs;

/// What is used of a limit.
#[derive(Debug, Clone)]
pub(super) enum Usage {
    /// Of a rolling window.
    Log(Log),
    /// Of a unit of the calendar.
    Calendar(Box<Calendar>),
    /// Of a bucket.
    Bucket(Bucket),
    /// Of what is given once.
    Spent(u64),
    /// At the same time.
    Held(u64),
}

/// A limit at work.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// Where the limit is known from.
    pub source: Source,
    /// What was declared, if anything; what is learned never exceeds it.
    pub declared: Option<u64>,
    /// What is allowed, as far as known.
    pub max: u64,
    /// What was learned, and how sure it is.
    pub(super) learn: Learn,
    pub(super) usage: Usage,
    /// No call before this time: the pace.
    pub(super) not_before: i64,
    /// A larger amount than `max`, if the provider's last word was that it allows as much.
    said_more_allowed: Option<u64>,
    /// When it last had room again after it had been full.
    opened_at: i64,
    /// Where in the pool it stands.
    pub(super) node: u32,
    /// How many lanes wait for it.
    pub(super) blocked: u32,
    /// Whether it is still declared or believed.
    pub(super) active: bool,
}

/// What a page shows of a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// Where it is known from.
    pub source: Source,
    /// How much is allowed.
    pub max: u64,
    /// How much is used now, reservations included.
    pub used: u64,
    /// When something comes back, as a time of day: the next entry of a log, the end of a unit. `None` if nothing is
    /// used, or nothing comes back.
    pub resets_at: Option<UnixMs>,
    /// How sure it is, 0 to 100.
    pub confidence: u8,
}

impl Gauge {
    /// An unused limit.
    pub fn new(metric: Metric, window: Window, max: u64, source: Source, now: Now) -> Self {
        let usage = match &window {
            Window::Rolling { .. } => Usage::Log(Log::default()),
            Window::Calendar { unit, zone, offset_minutes } => {
                Usage::Calendar(Box::new(Calendar::new(*unit, zone, *offset_minutes, now)))
            }
            Window::Bucket { .. } => Usage::Bucket(Bucket { full_at: now.ms() as f64 }),
            Window::OneShot => Usage::Spent(0),
            Window::AtOnce => Usage::Held(0),
        };
        let declared = (source != Source::Learned).then_some(max);
        let learn = Learn::new(&window, source);
        let (node, blocked, active) = (u32::MAX, 0, true);
        Self {
            metric,
            window,
            source,
            declared,
            max,
            learn,
            usage,
            not_before: 0,
            said_more_allowed: None,
            opened_at: i64::MIN / 4,
            node,
            blocked,
            active,
        }
    }

    pub(super) fn span_ms(&self) -> i64 {
        self.window.span_ms().map_or(60_000, |ms| i64::try_from(ms).unwrap_or(i64::MAX / 4))
    }

    /// How long an entry of the log counts: the span, and a margin for what the network takes more for one call than
    /// for another.
    pub(super) fn counts_ms(&self) -> i64 {
        self.span_ms() + self.learn.margin()
    }

    /// The time in which one comes back, stretched by what refusals taught.
    pub(super) fn interval_ms(&self) -> f64 {
        let span = self.span_ms() as f64;
        span / self.max.max(1) as f64 * (1.0 + f64::from(self.learn.stretch_permille) / 1000.0)
    }

    /// Forgets what has ended.
    pub(super) fn refresh(&mut self, now: Now) {
        let counts = self.counts_ms();
        match &mut self.usage {
            Usage::Log(log) => {
                let was_full = log.sum() >= self.max;
                let last = log.prune(now.ms() - counts);
                if let Some(last) = last.filter(|_| was_full) {
                    self.opened_at = last + counts;
                }
            }
            Usage::Calendar(calendar) => calendar.roll(now),
            _ => {}
        }
    }

    /// When `amount` more fits.
    pub fn fits(&mut self, amount: u64, now: Now) -> Fits {
        self.refresh(now);
        let max = self.max;
        if amount > self.declared.unwrap_or(u64::MAX).max(max) {
            return Fits::Never;
        }
        // What is learned may be too little: a large call then gets a window of its own.
        let amount = amount.min(max);
        let fits = match &self.usage {
            Usage::Log(log) => match log.blocking(amount, max) {
                None => Fits::At(self.not_before),
                Some(at) => Fits::At((at + self.counts_ms()).max(self.not_before)),
            },
            Usage::Calendar(calendar) => calendar.fits(amount, max, now.ms()),
            Usage::Bucket(bucket) => bucket.fits(amount, self.burst(), self.interval_ms()),
            Usage::Spent(used) if used + amount > max => Fits::Never,
            Usage::Held(held) if held + amount > max => Fits::OnRelease,
            Usage::Spent(_) | Usage::Held(_) => Fits::At(0),
        };
        match fits {
            Fits::At(at) => Fits::At(at.max(self.not_before)),
            other => other,
        }
    }

    fn burst(&self) -> u64 {
        match self.window {
            Window::Bucket { burst: Some(burst), .. } => burst.min(self.max),
            _ => self.max,
        }
    }

    /// Reserves an amount; gives the number of the entry. `pace_permille` is the part of the interval
    /// that the next one keeps as a distance.
    pub(super) fn push(&mut self, amount: u64, pace_permille: u32, now: Now) -> u64 {
        let (at, span, interval) = (now.ms(), self.span_ms(), self.interval_ms());
        let smooth = self.learn.smooth;
        match &mut self.usage {
            Usage::Log(log) => {
                let number = log.push(at, amount, span);
                self.learn.sent(at, self.opened_at);
                let counts_calls = self.metric == Metric::Requests && self.window.is_short();
                if counts_calls && (pace_permille > 0 || smooth) {
                    self.learn.pressed = at as f64 <= self.not_before as f64 + interval;
                    let part = if smooth { 1.0 } else { f64::from(pace_permille) / 1000.0 };
                    // The pace's own fractions are kept, so that rounding does not slow it down.
                    self.not_before = self.learn.paced_from(at, interval * part);
                }
                number
            }
            Usage::Calendar(calendar) => calendar.push(amount),
            Usage::Bucket(bucket) => {
                bucket.push(at, amount, interval);
                0
            }
            Usage::Spent(used) => {
                *used += amount;
                0
            }
            Usage::Held(held) => {
                *held += amount;
                0
            }
        }
    }

    /// Replaces a reserved amount by the real one, at the time of the reservation.
    pub(super) fn correct(&mut self, number: u64, from: u64, to: u64) {
        let interval = self.interval_ms();
        match &mut self.usage {
            Usage::Log(log) => log.correct(number, from, to),
            Usage::Calendar(calendar) if calendar.number == number => {
                calendar.used = (calendar.used + to).saturating_sub(from);
            }
            Usage::Calendar(_) => {}
            Usage::Bucket(bucket) => bucket.correct(from, to, interval),
            Usage::Spent(used) => *used = (*used + to).saturating_sub(from),
            Usage::Held(_) => {}
        }
    }

    /// Gives back what was held at the same time.
    pub(super) fn release(&mut self, amount: u64) {
        if let Usage::Held(held) = &mut self.usage {
            *held = held.saturating_sub(amount);
        }
    }

    /// Notes that a call that was sent at `sent_at` was accepted.
    pub(super) fn accepted(&mut self, number: u64, amount: u64, sent_at: i64, now: Now) {
        match &mut self.usage {
            Usage::Calendar(calendar) => calendar.answered(number, true),
            Usage::Log(log) => log.accept(number, amount),
            _ => {}
        }
        self.learn.answered_after(now.ms() - sent_at);
        self.grow(sent_at, now);
    }

    /// Notes that a call was not accepted, whatever the reason.
    pub(super) fn not_accepted(&mut self, number: u64) {
        if let Usage::Calendar(calendar) = &mut self.usage {
            calendar.answered(number, false);
        }
    }

    /// Takes it as used up until it resets; gives that time on the steady clock.
    pub(super) fn exhaust(&mut self, now: Now) -> Option<UnixMs> {
        self.refresh(now);
        match &mut self.usage {
            Usage::Calendar(calendar) => {
                let until = calendar.exhaust(self.max, now.ms());
                if until < calendar.ends && self.metric == Metric::Requests {
                    // The provider took the call for one of the day before.
                    calendar.used = calendar.used.saturating_sub(1);
                }
                Some(UnixMs(until))
            }
            Usage::Spent(used) => {
                *used = (*used).max(self.max);
                None
            }
            _ => None,
        }
    }

    /// A call that was sent at `sent_at` was refused because calls came in a burst: from now on they go out evenly.
    pub(super) fn too_uneven(&mut self, sent_at: i64, now: Now) {
        if self.source != Source::Operator && self.learn.is_news(sent_at) {
            self.learn.smooth = true;
            self.learn.reacted(now.ms());
        }
    }

    /// Takes over how much a provider says it allows. Less counts at once, more only if it says so twice in a row; never more
    /// than was declared.
    pub(super) fn provider_allows(&mut self, allowed: u64) {
        let declared = (self.source == Source::Declared).then_some(self.declared).flatten();
        let allowed = allowed.min(declared.unwrap_or(u64::MAX));
        let agreed = self.said_more_allowed == Some(allowed);
        self.said_more_allowed = (allowed > self.max).then_some(allowed);
        if allowed > self.max && !agreed {
            return;
        }
        self.max = allowed;
        if declared.is_none() {
            (self.declared, self.source) = (Some(allowed), Source::Header);
        }
        self.learn.confidence = self.learn.confidence.max(90);
    }

    /// Takes over what a provider says is left. Less than we think counts at once; more only if it says so twice,
    /// and only for a calendar's unit: our own log of a minute knows better.
    pub(super) fn provider_says(&mut self, left: u64, now: Now) {
        self.refresh(now);
        let used = self.max.saturating_sub(left);
        let believed = self.used();
        let more_left = used < believed;
        let agreed = more_left && self.learn.said_more_left;
        self.learn.said_more_left = more_left && !agreed;
        let at = now.ms();
        let span = self.span_ms();
        match &mut self.usage {
            Usage::Log(log) if !more_left && used > believed => {
                let number = log.push(at, used - believed, span);
                log.accept(number, used - believed);
            }
            Usage::Calendar(calendar) if agreed || used > believed => calendar.used = used,
            Usage::Spent(spent) if agreed || used > believed => *spent = used,
            _ => {}
        }
    }

    /// What is used now, as of the last refresh.
    pub fn used(&self) -> u64 {
        match &self.usage {
            Usage::Log(log) => log.sum(),
            Usage::Calendar(calendar) => calendar.used,
            Usage::Spent(used) | Usage::Held(used) => *used,
            Usage::Bucket(_) => 0,
        }
    }

    /// How many more calls fit up to a time, if nobody else takes them.
    pub(super) fn room_by(&self, until: i64, now: i64) -> u64 {
        let left = self.max.saturating_sub(self.used());
        match &self.usage {
            Usage::Log(log) => {
                // What is free now and what comes back is free again after each further window. More may be used than
                // is allowed; the first to come back make up for that.
                let counts = self.counts_ms();
                let windows = ((until - now) / counts).max(0);
                if windows > 4 {
                    return self.max.saturating_mul(windows.unsigned_abs());
                }
                let ended: u64 =
                    (0..=windows).map(|again| log.ended_by(until - counts * (again + 1)) as u64).sum();
                let over = log.sum().saturating_sub(self.max);
                (left * (1 + windows.unsigned_abs()) + ended)
                    .saturating_sub(over * (1 + windows.unsigned_abs()))
            }
            Usage::Calendar(calendar) if until >= calendar.ends => left + self.max,
            Usage::Bucket(bucket) => {
                let from = bucket.full_at - self.burst() as f64 * self.interval_ms();
                ((until as f64 - from) / self.interval_ms()).max(0.0) as u64
            }
            Usage::Held(_) => u64::MAX,
            Usage::Calendar(_) | Usage::Spent(_) => left,
        }
    }

    /// How many calls fit at once: one, if they have to keep a distance.
    pub(super) fn free_now(&mut self, now: Now) -> u64 {
        if !matches!(self.metric, Metric::Requests | Metric::Concurrency) {
            return u64::MAX;
        }
        if !matches!(self.fits(1, now), Fits::At(at) if at <= now.ms()) {
            return 0;
        }
        match &self.usage {
            _ if self.learn.smooth => 1,
            Usage::Bucket(bucket) => {
                let missing = (bucket.full_at - now.ms() as f64).max(0.0) / self.interval_ms();
                self.burst().saturating_sub(missing.ceil() as u64)
            }
            _ => self.max.saturating_sub(self.used()),
        }
    }

    /// For pages.
    pub fn reading(&mut self, now: Now) -> Reading {
        self.refresh(now);
        let resets_at = match &self.usage {
            Usage::Log(log) => log.pairs().next().map(|(at, _)| now.to_wall(UnixMs(at + self.counts_ms()))),
            Usage::Calendar(calendar) => Some(calendar.ends_wall()),
            _ => None,
        };
        let used = match &self.usage {
            Usage::Bucket(bucket) => {
                let missing = (bucket.full_at - now.ms() as f64) / self.interval_ms();
                (missing.max(0.0).ceil() as u64).min(self.max)
            }
            _ => self.used(),
        };
        let (metric, source, max) = (self.metric, self.source, self.max);
        let confidence = self.learn.confidence;
        Reading { metric, window: self.window.clone(), source, max, used, resets_at, confidence }
    }

    /// How soon what is left of a long window should be spent: `None` for short ones; above 1, it would expire
    /// unspent at an even pace; below, it has to be spared. What is given once is spared most.
    pub(super) fn urgency(&self, now: i64) -> Option<f64> {
        match &self.usage {
            Usage::Calendar(calendar) if !self.window.is_short() => {
                let left = self.max.saturating_sub(calendar.used) as f64 / self.max.max(1) as f64;
                let time_left = (calendar.ends - now).max(1) as f64 / self.span_ms() as f64;
                Some(left / time_left)
            }
            Usage::Log(log) if !self.window.is_short() => {
                Some(self.max.saturating_sub(log.sum()) as f64 / self.max.max(1) as f64)
            }
            Usage::Spent(_) => Some(0.0),
            _ => None,
        }
    }
}
