//! What may still be spent: requests per minute of tokens, and budgets of tokens, keys and channels, which are reserved before a
//! call and settled after it.
//!
//! Everything is in memory, in one critical section per reservation, so that parallel calls cannot pass a check
//! together. At start the spent sums are read from the database, where they are written together with the usage rows.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::model::{
    budget::{Charge, Owner},
    time::UnixMs,
    token::{Quota, QuotaUnit, Token},
};

const MINUTE: Duration = Duration::from_secs(60);

/// The longest quota period: what was spent in a period that began earlier counts no more.
const LONGEST_PERIOD: Duration = Duration::from_secs(32 * 24 * 3600);

/// The meters of everybody who has a budget. Cheap to clone.
#[derive(Clone, Default)]
pub struct Meters {
    meters: Arc<Mutex<HashMap<Owner, Meter>>>,
}

#[derive(Default)]
struct Meter {
    /// What was spent, per quota period and unit. Periods that are over, whatever the quota's reset, are dropped.
    spent: HashMap<(UnixMs, QuotaUnit), Spending>,
    /// When the requests of the last minute arrived.
    recent: VecDeque<UnixMs>,
}

#[derive(Default, Clone, Copy)]
struct Spending {
    settled: i64,
    reserved: i64,
}

/// A token's requests of this minute are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverRate {
    /// Until the oldest of them is a minute old.
    pub retry_after: Duration,
}

/// The state of a token's requests per minute, for `x-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// The limit.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// Until all of it is back.
    pub reset: Duration,
}

impl RateState {
    /// Nothing is left of this limit.
    pub fn used_up(limit: u32) -> Self {
        Self { limit, remaining: 0, reset: MINUTE }
    }
}

/// Why a budget has no room for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRoom {
    /// Whether all of it is spent, so that no other call fits either.
    pub used_up: bool,
    /// When it starts anew, if it does.
    pub resets_at: Option<UnixMs>,
}

impl Meters {
    /// Takes over what the database says was spent. What was settled here meanwhile is in it, or counts if it is more.
    pub fn restore(&self, spent: impl IntoIterator<Item = (Owner, UnixMs, QuotaUnit, i64)>) {
        let mut meters = self.lock();
        for (owner, period, unit, amount) in spent {
            let spending = meters.entry(owner).or_default().spent.entry((period, unit)).or_default();
            spending.settled = spending.settled.max(amount);
        }
    }

    /// What was spent of a budget in the period that `now` lies in, reservations aside.
    pub fn spent(&self, owner: Owner, quota: Quota, now: UnixMs, zone: &jiff::tz::TimeZone) -> i64 {
        let key = (quota.reset.period_start(now, zone), quota.unit);
        let meters = self.lock();
        meters.get(&owner).and_then(|meter| meter.spent.get(&key)).map_or(0, |spending| spending.settled)
    }

    /// Adds what a call turned out to cost after it was settled.
    pub fn charge(&self, charge: &Charge) {
        let mut meters = self.lock();
        let spent = &mut meters.entry(charge.owner).or_default().spent;
        let spending = spent.entry((charge.period, charge.unit)).or_default();
        spending.settled = spending.settled.saturating_add(charge.amount);
    }

    /// Counts a request against the token's rate, or refuses it.
    pub fn count_request(&self, token: &Token, now: UnixMs) -> Result<Option<RateState>, OverRate> {
        let Some(limit) = token.requests_per_minute else { return Ok(None) };
        let mut meters = self.lock();
        let recent = &mut meters.entry(Owner::Token(token.id)).or_default().recent;
        while recent.front().is_some_and(|&oldest| now.since(oldest) >= MINUTE) {
            recent.pop_front();
        }
        if recent.len() >= limit as usize {
            let oldest = recent.front().copied().unwrap_or(now);
            return Err(OverRate { retry_after: MINUTE.saturating_sub(now.since(oldest)) });
        }
        recent.push_back(now);
        let remaining = limit - recent.len() as u32;
        Ok(Some(RateState { limit, remaining, reset: MINUTE }))
    }

    /// Reserves `amount` (in the budget's unit) of a budget, or refuses the call. The reservation is given back
    /// when it is dropped, unless it was settled. A budget that only warns has room for everything.
    pub fn reserve(
        &self,
        owner: Owner,
        quota: Quota,
        amount: i64,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
    ) -> Result<Reservation, NoRoom> {
        let period = quota.reset.period_start(now, zone);
        let mut meters = self.lock();
        let spent = &mut meters.entry(owner).or_default().spent;
        spent.retain(|(start, _), spending| {
            *start == UnixMs(0) || now.since(*start) < LONGEST_PERIOD || spending.reserved > 0
        });
        let spending = spent.entry((period, quota.unit)).or_default();
        let taken = spending.settled.saturating_add(spending.reserved);
        if quota.stops() && (taken >= quota.limit || taken.saturating_add(amount) > quota.limit) {
            let used_up = spending.settled >= quota.limit;
            return Err(NoRoom { used_up, resets_at: quota.reset.period_end(now, zone) });
        }
        spending.reserved = spending.reserved.saturating_add(amount);
        Ok(Reservation { meters: self.clone(), owner, period, unit: quota.unit, amount, open: true })
    }

    /// Forgets what was spent, reservations aside: an operator has it begin anew, or the budget counts something else.
    pub fn reset(&self, owner: Owner) {
        if let Some(meter) = self.lock().get_mut(&owner) {
            for spending in meter.spent.values_mut() {
                spending.settled = 0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room in a budget, held for one call.
pub struct Reservation {
    meters: Meters,
    /// Whose budget it is.
    pub owner: Owner,
    /// The period that it belongs to.
    pub period: UnixMs,
    /// The unit that it counts.
    pub unit: QuotaUnit,
    amount: i64,
    open: bool,
}

impl Reservation {
    /// Replaces the reservation by what the call really cost.
    pub fn settle(&mut self, actual: i64) {
        self.close(actual);
    }

    fn close(&mut self, actual: i64) {
        if std::mem::take(&mut self.open) {
            let mut meters = self.meters.lock();
            let spending =
                meters.entry(self.owner).or_default().spent.entry((self.period, self.unit)).or_default();
            spending.reserved = spending.reserved.saturating_sub(self.amount);
            spending.settled = spending.settled.saturating_add(actual);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.close(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        id::TokenId,
        token::{AtLimit, ClientProfile, QuotaReset},
    };

    const NOW: UnixMs = UnixMs(1_800_000_000_000);
    const OWNER: Owner = Owner::Token(TokenId(1));

    fn token(requests_per_minute: Option<u32>) -> Token {
        Token {
            id: TokenId(1),
            name: "t".into(),
            last4: String::new(),
            models: vec![],
            groups: vec![],
            cidrs: vec![],
            expires_at: None,
            quota: None,
            requests_per_minute,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
            created_at: NOW,
        }
    }

    fn quota(limit: i64, reset: QuotaReset) -> Quota {
        Quota::new(QuotaUnit::Requests, limit, reset)
    }

    #[test]
    fn parallel_reservations_never_exceed_a_quota_and_a_dropped_one_gives_its_room_back() {
        let meters = Meters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let reserve = || meters.reserve(OWNER, quota(10, QuotaReset::Never), 1, NOW, &utc);
        let mut held: Vec<_> = (0..200).filter_map(|_| reserve().ok()).collect();
        assert_eq!(held.len(), 10);
        held.pop().unwrap().settle(1);
        assert!(reserve().is_err(), "a settled call has spent its room");
        held.pop();
        assert!(reserve().is_ok(), "a failed call gave its room back");
    }

    #[test]
    fn a_daily_quota_starts_anew_at_midnight_and_the_refusal_says_when() {
        let meters = Meters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let daily = quota(1, QuotaReset::Day);
        meters.reserve(OWNER, daily, 1, NOW, &utc).unwrap().settle(1);
        let Err(NoRoom { used_up: true, resets_at: Some(end) }) = meters.reserve(OWNER, daily, 1, NOW, &utc)
        else {
            panic!("the quota is used up")
        };
        assert!(meters.reserve(OWNER, daily, 1, end, &utc).is_ok());
    }

    #[test]
    fn a_quota_that_is_made_daily_for_a_while_still_knows_what_was_spent_this_month() {
        let meters = Meters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let reserve = |reset| meters.reserve(OWNER, quota(1, reset), 1, NOW, &utc);
        reserve(QuotaReset::Month).unwrap().settle(1);
        reserve(QuotaReset::Day).unwrap().settle(1);
        assert!(reserve(QuotaReset::Month).is_err());
    }

    #[test]
    fn spending_from_before_a_restart_counts() {
        let meters = Meters::default();
        meters.restore([(OWNER, UnixMs(0), QuotaUnit::Requests, 10)]);
        let refused = meters.reserve(OWNER, quota(10, QuotaReset::Never), 1, NOW, &jiff::tz::TimeZone::UTC);
        assert!(refused.is_err());
    }

    #[test]
    fn what_is_only_reserved_is_not_used_up_and_a_budget_that_warns_has_room_for_everything() {
        let meters = Meters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let stops = quota(10, QuotaReset::Hour);
        let held = meters.reserve(OWNER, stops, 8, NOW, &utc).ok();
        let refused = meters.reserve(OWNER, stops, 8, NOW, &utc).err().unwrap();
        assert!(!refused.used_up && refused.resets_at.is_some_and(|end| end > NOW));
        let warns = Quota { at_limit: AtLimit::Warn, ..stops };
        meters.reserve(OWNER, warns, 500, NOW, &utc).ok().unwrap().settle(500);
        drop(held);
        assert_eq!(meters.spent(OWNER, stops, NOW, &utc), 500);
        assert!(meters.reserve(OWNER, stops, 0, NOW, &utc).is_err_and(|refused| refused.used_up));
        assert!(meters.reserve(OWNER, warns, 1, NOW, &utc).is_ok());
    }

    #[test]
    fn a_hundred_calls_at_once_settle_within_the_budget_if_none_costs_more_than_it_reserved() {
        let meters = Meters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let budget = Quota::new(QuotaUnit::Dollars, 1_000_000, QuotaReset::Month);
        let calls: Vec<_> = (0..100)
            .map(|_| {
                let meters = meters.clone();
                let utc = utc.clone();
                std::thread::spawn(move || {
                    if let Ok(mut held) = meters.reserve(OWNER, budget, 30_000, NOW, &utc) {
                        std::thread::yield_now();
                        held.settle(29_999);
                    }
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
        let spent = meters.spent(OWNER, budget, NOW, &utc);
        assert!((33 * 29_999..=1_000_000).contains(&spent), "{spent}");
    }

    #[test]
    fn requests_per_minute_are_counted_over_any_sixty_seconds() {
        let meters = Meters::default();
        let token = token(Some(2));
        assert!(meters.count_request(&token, NOW).is_ok());
        assert!(meters.count_request(&token, NOW + Duration::from_secs(30)).is_ok());
        let refused = meters.count_request(&token, NOW + Duration::from_secs(45)).unwrap_err();
        assert_eq!(refused, OverRate { retry_after: Duration::from_secs(15) });
        assert!(meters.count_request(&token, NOW + Duration::from_secs(60)).is_ok());
    }
}
