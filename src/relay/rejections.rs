//! What upstream models refuse, as their answers said, so that it is not sent there again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{endpoint::Endpoint, fix::Fix, id::ChannelId};

/// Where a field was refused.
pub(super) type Place = (ChannelId, Arc<str>, Endpoint);

/// How long it is believed: upstreams learn, and a field that is missing is seldom missed.
const BELIEVED_FOR: Duration = Duration::from_secs(24 * 3600);
/// The most places that are remembered.
const MAX_PLACES: usize = 4096;
/// The most fields of a place.
const MAX_FIXES: usize = 16;

/// Fixes by place, each with its end. Lost with the process: the first call finds it out anew.
#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// Whether there are any, so that calls need not look.
    any: AtomicBool,
    places: Mutex<HashMap<Place, Vec<(Fix, Instant)>>>,
}

impl Rejections {
    /// What to do about requests for a place.
    pub fn known(&self, place: &Place, now: Instant) -> Vec<Fix> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.get(place).into_iter().flatten();
        known.filter(|(_, until)| *until > now).map(|(fix, _)| fix.clone()).collect()
    }

    /// Notes what helped.
    pub fn remember(&self, place: &Place, fixes: Vec<Fix>, now: Instant) {
        if fixes.is_empty() {
            return;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MAX_PLACES && !places.contains_key(place) {
            places.retain(|_, known| known.iter().any(|(_, until)| *until > now));
            if places.len() >= MAX_PLACES {
                places.clear();
            }
        }
        let known = places.entry(place.clone()).or_default();
        known.retain(|(fix, until)| *until > now && !fixes.contains(fix));
        known.extend(fixes.into_iter().map(|fix| (fix, now + BELIEVED_FOR)));
        let surplus = known.len().saturating_sub(MAX_FIXES);
        known.drain(..surplus);
        self.any.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(channel: i64) -> Place {
        (ChannelId(channel), "m".into(), Endpoint::Chat)
    }

    fn drop(name: &str) -> Fix {
        Fix::Drop(vec![name.to_owned()])
    }

    #[test]
    fn what_helped_is_known_for_a_day_at_its_place() {
        let (rejections, now) = (Rejections::default(), Instant::now());
        let later = now + BELIEVED_FOR / 2;
        rejections.remember(&place(1), vec![drop("store")], now);
        rejections.remember(&place(1), vec![drop("seed")], later);
        assert_eq!(rejections.known(&place(1), later), [drop("store"), drop("seed")]);
        assert!(rejections.known(&place(2), later).is_empty());
        assert_eq!(rejections.known(&place(1), now + BELIEVED_FOR), [drop("seed")]);
    }

    #[test]
    fn places_and_their_fields_are_bounded() {
        let (rejections, now) = (Rejections::default(), Instant::now());
        for channel in 0..5000 {
            rejections.remember(&place(channel), vec![drop("a")], now);
        }
        assert!(rejections.places.lock().unwrap().len() <= MAX_PLACES);
        for number in 0..100 {
            rejections.remember(&place(1), vec![drop(&number.to_string())], now);
        }
        assert_eq!(rejections.known(&place(1), now).len(), MAX_FIXES);
    }
}
