//! Modelled providers: how they count, and what they refuse.

use std::collections::VecDeque;

use jiff::tz::TimeZone;

use super::{Counting, Each, Enforced, Provider, TroubleKind, load::Dice};
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
    /// The account's limit of the day is used up.
    DayOver,
    /// The model's limit of the day is used up.
    ModelDayOver,
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
    accounts: Vec<Account>,
    start: i64,
    /// From when on calls are measured.
    measured_from: i64,
}

#[derive(Debug)]
struct Account {
    /// For each limit: one counter, or one for each model that is asked for.
    counters: Vec<Vec<Counter>>,
    /// What was accepted of each model before the measuring began.
    accepted_before: Vec<u64>,
}

impl<'a> Model<'a> {
    /// `models` is how many are asked for.
    pub fn new(provider: &'a Provider, models: usize, times: [i64; 2], dice: &mut Dice) -> Self {
        let mut account = || {
            let counters = provider.enforced.iter().map(|enforced| {
                let count = if enforced.each == Each::Model { models } else { 1 };
                (0..count).map(|_| Counter::new(enforced, dice)).collect()
            });
            Account { counters: counters.collect(), accepted_before: vec![0; models] }
        };
        let accounts = provider.keys.div_ceil(provider.keys_per_account);
        let accounts = (0..accounts).map(|_| account()).collect();
        Self { provider, accounts, start: times[0], measured_from: times[1] }
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

    /// A call for a model with a key arrives.
    pub fn arrive(&mut self, key: u32, model: usize, now: i64) -> Verdict {
        if let Some(verdict) = self.trouble(key, now) {
            return verdict;
        }
        let account = &mut self.accounts[(key / self.provider.keys_per_account) as usize];
        let place = |enforced: &Enforced| if enforced.each == Each::Model { model } else { 0 };
        let mut verdict = Verdict::Accepted;
        for (counters, enforced) in account.counters.iter_mut().zip(&self.provider.enforced) {
            let counter = &mut counters[place(enforced)];
            if !counter.fits(enforced, now) {
                verdict = match (counter, enforced.each) {
                    (Counter::Day { .. }, Each::Account) => Verdict::DayOver,
                    _ if verdict == Verdict::DayOver => Verdict::DayOver,
                    (Counter::Day { .. }, Each::Model) => Verdict::ModelDayOver,
                    _ if verdict == Verdict::ModelDayOver => Verdict::ModelDayOver,
                    _ => Verdict::TooFast,
                };
            }
        }
        if verdict == Verdict::Accepted || self.provider.counts_refused {
            for (counters, enforced) in account.counters.iter_mut().zip(&self.provider.enforced) {
                counters[place(enforced)].count(now);
            }
        }
        if verdict == Verdict::Accepted && now < self.measured_from {
            account.accepted_before[model] += 1;
        }
        verdict
    }

    /// What all accounts allow of these models from the beginning of the measuring to `end`; `None` without a limit.
    pub fn allowed(&self, models: &[usize], end: i64) -> Option<f64> {
        let mut sum = 0.0;
        for account in &self.accounts {
            let used = |models: &[usize]| models.iter().map(|model| account.accepted_before[*model]).sum();
            let whole = self.least(Each::Account, used(models), end);
            let each: Option<f64> =
                models.iter().map(|model| self.least(Each::Model, used(&[*model]), end)).sum();
            sum += match (whole, each) {
                (Some(whole), Some(each)) => whole.min(each),
                (whole, each) => whole.or(each)?,
            };
        }
        Some(sum)
    }

    /// The least of the limits of a kind, of which `used` calls were taken before the measuring began.
    fn least(&self, each: Each, used: u64, end: i64) -> Option<f64> {
        let limits = self.provider.enforced.iter().filter(|enforced| enforced.each == each);
        let allowed = |enforced: &Enforced| match &enforced.counting {
            Counting::Day { zone, offset_minutes } => {
                let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
                let (mut days, mut at) = (0.0, self.start);
                while at < end {
                    at = next_reset(CalendarUnit::Day, &zone, *offset_minutes, UnixMs(at)).0;
                    days += 1.0;
                }
                (enforced.max as f64 * days - used as f64).max(0.0)
            }
            _ => enforced.max as f64 * (end - self.measured_from) as f64 / enforced.span_ms as f64,
        };
        limits.map(allowed).min_by(f64::total_cmp)
    }
}
