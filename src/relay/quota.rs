//! What tokens may still spend: requests per minute, and quotas that are reserved before a call and settled after it.
//!
//! Everything is in memory, in one critical section per reservation, so that parallel calls cannot pass a check
//! together. At start the spent sums are read from the database, where they are written together with the usage rows.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::model::{
    id::TokenId,
    time::UnixMs,
    token::{Quota, QuotaUnit, Token},
};

const MINUTE: Duration = Duration::from_secs(60);

/// The longest quota period: what was spent in a period that began earlier counts no more.
const LONGEST_PERIOD: Duration = Duration::from_secs(32 * 24 * 3600);

/// The meters of all tokens. Cheap to clone.
#[derive(Clone, Default)]
pub struct TokenMeters {
    meters: Arc<Mutex<HashMap<TokenId, Meter>>>,
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

/// Why a token may not make a call now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverLimit {
    /// Its requests of this minute are used up.
    Rate {
        /// Until the oldest of them is a minute old.
        retry_after: Duration,
    },
    /// Its quota has no room for the reservation.
    Quota {
        /// Until the quota starts anew, if it does.
        resets_in: Option<Duration>,
    },
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

impl TokenMeters {
    /// Takes over what the database says was spent.
    pub fn restore(&self, spent: impl IntoIterator<Item = (TokenId, UnixMs, QuotaUnit, i64)>) {
        let mut meters = self.lock();
        for (token, period, unit, amount) in spent {
            meters.entry(token).or_default().spent.entry((period, unit)).or_default().settled = amount;
        }
    }

    /// Counts a request against the token's rate, or refuses it.
    pub fn count_request(&self, token: &Token, now: UnixMs) -> Result<Option<RateState>, OverLimit> {
        let Some(limit) = token.requests_per_minute else { return Ok(None) };
        let mut meters = self.lock();
        let recent = &mut meters.entry(token.id).or_default().recent;
        while recent.front().is_some_and(|&oldest| now.since(oldest) >= MINUTE) {
            recent.pop_front();
        }
        if recent.len() >= limit as usize {
            let oldest = recent.front().copied().unwrap_or(now);
            return Err(OverLimit::Rate { retry_after: MINUTE.saturating_sub(now.since(oldest)) });
        }
        recent.push_back(now);
        let remaining = limit - recent.len() as u32;
        Ok(Some(RateState { limit, remaining, reset: MINUTE }))
    }

    /// Reserves `amount` (in the quota's unit) of a token's quota, or refuses the call. The reservation is given back
    /// when it is dropped, unless it was settled.
    pub fn reserve(
        &self,
        token: &Token,
        quota: Quota,
        amount: i64,
        now: UnixMs,
        zone: &jiff::tz::TimeZone,
    ) -> Result<Reservation, OverLimit> {
        let period = quota.reset.period_start(now, zone);
        let mut meters = self.lock();
        let spent = &mut meters.entry(token.id).or_default().spent;
        spent.retain(|(start, _), spending| {
            *start == UnixMs(0) || now.since(*start) < LONGEST_PERIOD || spending.reserved > 0
        });
        let spending = spent.entry((period, quota.unit)).or_default();
        let taken = spending.settled.saturating_add(spending.reserved);
        if taken >= quota.limit || taken.saturating_add(amount) > quota.limit {
            let resets_in = quota.reset.period_end(now, zone).map(|end| end.since(now));
            return Err(OverLimit::Quota { resets_in });
        }
        spending.reserved += amount;
        Ok(Reservation {
            meters: self.clone(),
            token: token.id,
            period,
            unit: quota.unit,
            amount,
            open: true,
        })
    }

    /// Forgets what a token spent (an operator's reset), reservations aside.
    pub fn reset(&self, token: TokenId) {
        if let Some(meter) = self.lock().get_mut(&token) {
            for spending in meter.spent.values_mut() {
                spending.settled = 0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room in a token's quota, held for one call.
pub struct Reservation {
    meters: TokenMeters,
    token: TokenId,
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
                meters.entry(self.token).or_default().spent.entry((self.period, self.unit)).or_default();
            spending.reserved -= self.amount;
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
    use crate::model::token::{ClientProfile, QuotaReset};

    const NOW: UnixMs = UnixMs(1_800_000_000_000);

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
        Quota { unit: QuotaUnit::Requests, limit, reset }
    }

    #[test]
    fn parallel_reservations_never_exceed_a_quota_and_a_dropped_one_gives_its_room_back() {
        let meters = TokenMeters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let reserve = || meters.reserve(&token(None), quota(10, QuotaReset::Never), 1, NOW, &utc);
        let mut held: Vec<_> = (0..200).filter_map(|_| reserve().ok()).collect();
        assert_eq!(held.len(), 10);
        held.pop().unwrap().settle(1);
        assert!(reserve().is_err(), "a settled call has spent its room");
        held.pop();
        assert!(reserve().is_ok(), "a failed call gave its room back");
    }

    #[test]
    fn a_daily_quota_starts_anew_at_midnight_and_the_refusal_says_when() {
        let meters = TokenMeters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let daily = quota(1, QuotaReset::Day);
        meters.reserve(&token(None), daily, 1, NOW, &utc).unwrap().settle(1);
        let Err(OverLimit::Quota { resets_in: Some(wait) }) =
            meters.reserve(&token(None), daily, 1, NOW, &utc)
        else {
            panic!("the quota is used up")
        };
        assert!(meters.reserve(&token(None), daily, 1, NOW + wait, &utc).is_ok());
    }

    #[test]
    fn a_quota_that_is_made_daily_for_a_while_still_knows_what_was_spent_this_month() {
        let meters = TokenMeters::default();
        let utc = jiff::tz::TimeZone::UTC;
        let reserve = |reset| meters.reserve(&token(None), quota(1, reset), 1, NOW, &utc);
        reserve(QuotaReset::Month).unwrap().settle(1);
        reserve(QuotaReset::Day).unwrap().settle(1);
        assert!(reserve(QuotaReset::Month).is_err());
    }

    #[test]
    fn spending_from_before_a_restart_counts() {
        let meters = TokenMeters::default();
        meters.restore([(TokenId(1), UnixMs(0), QuotaUnit::Requests, 10)]);
        let refused =
            meters.reserve(&token(None), quota(10, QuotaReset::Never), 1, NOW, &jiff::tz::TimeZone::UTC);
        assert!(refused.is_err());
    }

    #[test]
    fn requests_per_minute_are_counted_over_any_sixty_seconds() {
        let meters = TokenMeters::default();
        let token = token(Some(2));
        assert!(meters.count_request(&token, NOW).is_ok());
        assert!(meters.count_request(&token, NOW + Duration::from_secs(30)).is_ok());
        let refused = meters.count_request(&token, NOW + Duration::from_secs(45)).unwrap_err();
        assert_eq!(refused, OverLimit::Rate { retry_after: Duration::from_secs(15) });
        assert!(meters.count_request(&token, NOW + Duration::from_secs(60)).is_ok());
    }
}
