//! Modelled providers: how they count, and what they refuse.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use super::{Counting, Enforced, Provider, TroubleKind, load::Dice};
use crate::{
    model::time::UnixMs,
    scheduler::{calendar::next_reset, limit::CalendarUnit},
};

/// What a provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// More than a limit of a minute.
    TooFast,
    /// The day's limit is used up.
    DayOver,
    WrongKey,
    GoneModel,
    HostFault,
}

/// One enforced limit of one account.
#[derive(Debug)]
enum Counter {
    Rolling(VecDeque<i64>),
    Fixed { phase: i64, window: i64, count: u64 },
    Bucket { level: f64, at: i64, burst: f64 },
    Sliding { phase: i64, window: i64, before: u64, count: u64 },
    Day { zone: TimeZone, offset_minutes: u16, ends: i64, count: u64 },
}

impl Counter {
    fn new(enforced: &Enforced, dice: &mut Dice) -> Self {
        let phase = (dice.unit() * enforced.span_ms as f64) as i64;
        match &enforced.counting {
            Counting::Rolling => Self::Rolling(VecDeque::new()),
            Counting::Fixed => Self::Fixed { phase, window: i64::MIN, count: 0 },
            Counting::Bucket => {
                Self::Bucket { level: enforced.max as f64, at: i64::MIN, burst: enforced.max as f64 }
            }
            Counting::Even => Self::Bucket { level: 1.0, at: i64::MIN, burst: 1.0 },
            Counting::SlidingCounter => Self::Sliding { phase, window: i64::MIN, before: 0, count: 0 },
            Counting::Day { zone, offset_minutes } => Self::Day {
                zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC),
                offset_minutes: *offset_minutes,
                ends: i64::MIN,
                count: 0,
            },
        }
    }

    /// Whether one more call fits.
    fn fits(&mut self, enforced: &Enforced, now: i64) -> bool {
        let (max, span) = (enforced.max, enforced.span_ms as i64);
        match self {
            Self::Rolling(log) => {
                while log.front().is_some_and(|at| *at + span <= now) {
                    log.pop_front();
                }
                (log.len() as u64) < max
            }
            Self::Fixed { phase, window, count } => {
                let current = (now - *phase).div_euclid(span);
                if current != *window {
                    (*window, *count) = (current, 0);
                }
                *count < max
            }
            Self::Bucket { level, at, burst } => {
                if *at != i64::MIN {
                    *level = (*level + (now - *at) as f64 * max as f64 / span as f64).min(*burst);
                }
                *at = now;
                *level >= 1.0 - 1e-9
            }
            Self::Sliding { phase, window, before, count } => {
                let current = (now - *phase).div_euclid(span);
                if current != *window {
                    *before = if window.checked_add(1) == Some(current) { *count } else { 0 };
                    (*window, *count) = (current, 0);
                }
                let passed = (now - *phase).rem_euclid(span) as f64 / span as f64;
                *before as f64 * (1.0 - passed) + *count as f64 + 1.0 <= max as f64 + 1e-9
            }
            Self::Day { zone, offset_minutes, ends, count } => {
                if now >= *ends {
                    *ends = next_reset(CalendarUnit::Day, zone, *offset_minutes, UnixMs(now)).0;
                    *count = 0;
                }
                *count < max
            }
        }
    }

    fn count(&mut self, now: i64) {
        match self {
            Self::Rolling(log) => log.push_back(now),
            Self::Fixed { count, .. } | Self::Sliding { count, .. } | Self::Day { count, .. } => *count += 1,
            Self::Bucket { level, .. } => *level -= 1.0,
        }
    }
}

/// A provider at work.
#[derive(Debug)]
pub(super) struct Model<'a> {
    provider: &'a Provider,
    /// For each account, each limit.
    accounts: Vec<Vec<Counter>>,
    start: i64,
}

impl<'a> Model<'a> {
    pub fn new(provider: &'a Provider, start: i64, dice: &mut Dice) -> Self {
        let accounts = provider.keys.div_ceil(provider.keys_per_account);
        let counters = |_| provider.enforced.iter().map(|enforced| Counter::new(enforced, dice)).collect();
        Self { provider, accounts: (0..accounts).map(counters).collect(), start }
    }

    /// The trouble that a key is in.
    pub fn trouble(&self, key: u32, now: i64) -> Option<Verdict> {
        let passed = (now - self.start) / 1000;
        let current = self
            .provider
            .troubles
            .iter()
            .filter(|trouble| (trouble.from_s as i64..trouble.until_s as i64).contains(&passed));
        current
            .filter_map(|trouble| match trouble.kind {
                TroubleKind::DeadKey(dead) => (dead == key).then_some(Verdict::WrongKey),
                TroubleKind::GoneModel => Some(Verdict::GoneModel),
                TroubleKind::Outage => Some(Verdict::HostFault),
            })
            .next()
    }

    /// A call with a key arrives.
    pub fn arrive(&mut self, key: u32, now: i64) -> Verdict {
        if let Some(verdict) = self.trouble(key, now) {
            return verdict;
        }
        let counters = &mut self.accounts[(key / self.provider.keys_per_account) as usize];
        let mut verdict = Verdict::Accepted;
        for (counter, enforced) in counters.iter_mut().zip(&self.provider.enforced) {
            if !counter.fits(enforced, now) {
                verdict = match counter {
                    Counter::Day { .. } => Verdict::DayOver,
                    _ if verdict == Verdict::DayOver => Verdict::DayOver,
                    _ => Verdict::TooFast,
                };
            }
        }
        if verdict == Verdict::Accepted || self.provider.counts_refused {
            for counter in counters {
                counter.count(now);
            }
        }
        verdict
    }

    /// What all accounts allow in a time, by the limits of minutes.
    pub fn allowed(&self, span_ms: i64) -> Option<f64> {
        let each = self
            .provider
            .enforced
            .iter()
            .filter(|enforced| !matches!(enforced.counting, Counting::Day { .. }));
        let least = each
            .map(|enforced| enforced.max as f64 * span_ms as f64 / enforced.span_ms as f64)
            .min_by(f64::total_cmp)?;
        Some(least * self.accounts.len() as f64)
    }
}
