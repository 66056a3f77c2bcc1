//! Limits how often passwords can be tried.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, FakeRelativeClock},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::DashMapStateStore,
};

use crate::model::time::UnixMs;

/// Tries of one address for one name in a row; one more every `PERIOD` / [`PER_NAME`].
pub const PER_NAME: u32 = 10;
/// Tries of one address in a row, whatever the names.
const PER_ADDRESS: u32 = 30;
const PERIOD: Duration = Duration::from_secs(60);
/// Addresses (and names) that are counted apart. Beyond them newcomers share one count.
const MOST_KEPT: usize = 20_000;

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, FakeRelativeClock, NoOpMiddleware<Nanos>>;

/// Counts tries by address, and by address and name. Never by name alone, or anybody could lock an operator out.
#[derive(Debug)]
pub struct Throttle {
    by_address: Limiter<IpAddr>,
    by_name: Limiter<(IpAddr, String)>,
    /// The limiters' time: moved on by callers' clock, never back, so that a corrected system clock locks nobody out.
    elapsed: FakeRelativeClock,
    last: Mutex<UnixMs>,
}

impl Default for Throttle {
    fn default() -> Self {
        let elapsed = FakeRelativeClock::default();
        Self {
            by_address: limiter(PER_ADDRESS, &elapsed),
            by_name: limiter(PER_NAME, &elapsed),
            elapsed,
            last: Mutex::default(),
        }
    }
}

impl Throttle {
    /// Counts a try; if it is one too many, returns in how many seconds the next one may come.
    pub fn check(&self, ip: IpAddr, name: &str, now: UnixMs) -> Result<(), u64> {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            // More than a period needs no counting: everything is forgotten by then.
            self.elapsed.advance(now.since(*last).min(2 * PERIOD));
            *last = now;
        }
        let network = network(ip);
        let name = name.chars().take(100).collect::<String>().to_lowercase();
        check(&self.by_address, network, IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
        check(&self.by_name, (network, name), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), String::new()))
    }
}

fn limiter<K: std::hash::Hash + Eq + Clone>(tries: u32, clock: &FakeRelativeClock) -> Limiter<K> {
    let burst = NonZeroU32::new(tries).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(PERIOD / tries).unwrap_or(Quota::per_minute(burst)).allow_burst(burst);
    RateLimiter::new(quota, DashMapStateStore::default(), clock.clone())
}

fn check<K: std::hash::Hash + Eq + Clone>(limiter: &Limiter<K>, key: K, crowd: K) -> Result<(), u64> {
    if limiter.len() >= MOST_KEPT {
        limiter.retain_recent();
    }
    let key = if limiter.len() >= MOST_KEPT { crowd } else { key };
    limiter.check_key(&key).map_err(|not_until| {
        let wait = not_until.wait_time_from(limiter.clock().now());
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    })
}

/// The part of an address that one visitor cannot choose: all of IPv4, the first 64 bits of IPv6.
pub(in crate::web) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_try_waits_and_another_address_does_not() {
        let (throttle, now) = (Throttle::default(), UnixMs(1_000_000));
        for _ in 0..PER_NAME {
            throttle.check(ip("192.0.2.1"), "admin", now).unwrap();
        }
        assert_eq!(throttle.check(ip("192.0.2.1"), "ADMIN", now), Err(6));
        assert_eq!(throttle.check(ip("192.0.2.2"), "admin", now), Ok(()));
        assert_eq!(throttle.check(ip("192.0.2.1"), "other", now), Ok(()));
        // A clock that is put back does not lengthen the wait.
        assert_eq!(throttle.check(ip("192.0.2.1"), "admin", UnixMs(0)), Err(6));
        assert_eq!(throttle.check(ip("192.0.2.1"), "admin", UnixMs(6000)), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_names_waits_too_even_from_all_of_its_ipv6_network() {
        let (throttle, now) = (Throttle::default(), UnixMs(1_000_000));
        for number in 0..PER_ADDRESS {
            throttle.check(ip(&format!("2001:db8::{number:x}")), &format!("user{number}"), now).unwrap();
        }
        assert_eq!(throttle.check(ip("2001:db8::ffff"), "one more", now), Err(2));
        assert_eq!(throttle.check(ip("2001:db8:0:1::1"), "one more", now), Ok(()));
    }
}
