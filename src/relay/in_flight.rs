//! The calls under way, for pages to look at, and how long the relay itself took for those that were answered lately.
//!
//! A call takes the list's lock when it comes and when it goes, and its own entry's lock when it gets somewhere; nobody else
//! waits for either. What is kept of a call is what its usage row will have, and nothing of what it says.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::model::{
    id::{ChannelId, KeyId, RequestId, TokenId},
    in_flight::{CallInFlight, InFlightCounts, InFlightStage, Overhead},
    time::UnixMs,
    usage::Endpoint,
};

/// The most calls that are listed; further ones are only not seen.
const MOST: usize = 20_000;

/// For how many minutes the relay's own times are kept.
const MINUTES: usize = 60;

/// Ranges of microseconds: four to each doubling, up to 16 seconds.
const RANGES: usize = 96;

/// Knows the calls under way. Cheap to clone; all clones see the same.
#[derive(Debug, Clone, Default)]
pub struct CallsInFlight(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    open: Mutex<Open>,
    changes: AtomicU64,
    unlisted: AtomicUsize,
    own_times: Mutex<OwnTimes>,
}

#[derive(Debug, Default)]
struct Open {
    entries: Vec<Option<Arc<Entry>>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    request_id: RequestId,
    token: TokenId,
    endpoint: Endpoint,
    model: String,
    stream: bool,
    at: UnixMs,
    arrived: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    stage: InFlightStage,
    /// Milliseconds from its arrival.
    since_ms: i64,
    sent_to: Option<(ChannelId, KeyId)>,
    attempts: u32,
}

/// A call that comes.
pub(super) struct Arrival {
    pub request_id: RequestId,
    pub token: TokenId,
    pub endpoint: Endpoint,
    pub model: String,
    pub stream: bool,
    pub at: UnixMs,
    pub arrived: Instant,
}

/// A call's place in the list; dropping it takes the call off.
#[derive(Debug)]
pub(super) struct Place {
    calls: CallsInFlight,
    entry: Option<(usize, Arc<Entry>)>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CallsInFlight {
    /// Puts a call on the list, as one that waits.
    pub(super) fn enter(&self, arrival: Arrival) -> Place {
        let Arrival { request_id, token, endpoint, model, stream, at, arrived } = arrival;
        let state = State { stage: InFlightStage::Waiting, since_ms: 0, sent_to: None, attempts: 0 };
        let state = Mutex::new(state);
        let entry = Arc::new(Entry { request_id, token, endpoint, model, stream, at, arrived, state });
        let mut open = locked(&self.0.open);
        let index = match open.free.pop() {
            Some(index) => Some(index),
            None if open.entries.len() < MOST => {
                open.entries.push(None);
                Some(open.entries.len() - 1)
            }
            None => None,
        };
        let entry = index.map(|index| {
            open.entries[index] = Some(entry.clone());
            (index, entry)
        });
        drop(open);
        if entry.is_none() {
            self.0.unlisted.fetch_add(1, Ordering::Relaxed);
        }
        self.changed();
        Place { calls: self.clone(), entry }
    }

    fn changed(&self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that differs after something came, went or got somewhere.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// How many calls are where. Those beyond the most that are listed count as being at an upstream.
    pub fn counts(&self) -> InFlightCounts {
        let upstream = self.0.unlisted.load(Ordering::Relaxed);
        let mut counts = InFlightCounts { upstream, ..InFlightCounts::default() };
        for entry in locked(&self.0.open).entries.iter().flatten() {
            match locked(&entry.state).stage {
                InFlightStage::Waiting => counts.waiting += 1,
                InFlightStage::Upstream => counts.upstream += 1,
                InFlightStage::Answering => counts.answering += 1,
            }
        }
        counts
    }

    /// The calls under way that `wanted` takes, at most `most`: those that came first.
    pub fn list(&self, most: usize, wanted: impl Fn(&CallInFlight) -> bool) -> Vec<CallInFlight> {
        // The lock is not held while texts are copied.
        let mut entries: Vec<Arc<Entry>> = locked(&self.0.open).entries.iter().flatten().cloned().collect();
        entries.sort_unstable_by_key(|entry| (entry.at, entry.request_id.0));
        entries.iter().map(|entry| entry.view()).filter(wanted).take(most).collect()
    }

    /// Notes how long the relay itself took for an answered call.
    pub(super) fn took(&self, own: Duration, now: UnixMs) {
        locked(&self.0.own_times).add(own, now);
    }

    /// How long the relay itself took for calls of the last hour, to a quarter.
    pub fn overhead(&self, now: UnixMs) -> Overhead {
        locked(&self.0.own_times).sum(now)
    }
}

impl Entry {
    fn view(&self) -> CallInFlight {
        let state = *locked(&self.state);
        CallInFlight {
            request_id: self.request_id,
            token: self.token,
            endpoint: self.endpoint,
            model: self.model.clone(),
            stream: self.stream,
            at: self.at,
            stage: state.stage,
            since: UnixMs(self.at.0.saturating_add(state.since_ms)),
            sent_to: state.sent_to,
            attempts: state.attempts,
        }
    }
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some((_, entry)) = &self.entry {
            let since_ms = i64::try_from(entry.arrived.elapsed().as_millis()).unwrap_or(i64::MAX);
            let mut state = locked(&entry.state);
            state.since_ms = since_ms;
            change(&mut state);
            drop(state);
            self.calls.changed();
        }
    }

    /// The call stands in line.
    pub fn waits(&self) {
        self.change(|state| state.stage = InFlightStage::Waiting);
    }

    /// The call goes out to a key.
    pub fn sent(&self, channel: ChannelId, key: KeyId) {
        self.change(|state| {
            state.stage = InFlightStage::Upstream;
            state.sent_to = Some((channel, key));
            state.attempts += 1;
        });
    }

    /// Its answer begins.
    pub fn answers(&self) {
        self.change(|state| state.stage = InFlightStage::Answering);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self.entry.take() {
            Some((index, _)) => {
                let mut open = locked(&self.calls.0.open);
                open.entries[index] = None;
                open.free.push(index);
            }
            None => {
                self.calls.0.unlisted.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.calls.changed();
    }
}

/// How often each range of microseconds was met, minute by minute.
#[derive(Debug)]
struct OwnTimes {
    minutes: Vec<(i64, [u32; RANGES])>,
}

impl Default for OwnTimes {
    fn default() -> Self {
        Self { minutes: vec![(i64::MIN, [0; RANGES]); MINUTES] }
    }
}

fn minute_of(at: UnixMs) -> i64 {
    at.0.div_euclid(60_000)
}

impl OwnTimes {
    fn add(&mut self, own: Duration, now: UnixMs) {
        let minute = minute_of(now);
        let slot = &mut self.minutes[minute.rem_euclid(MINUTES as i64) as usize];
        if slot.0 != minute {
            *slot = (minute, [0; RANGES]);
        }
        let range = &mut slot.1[range_of(u64::try_from(own.as_micros()).unwrap_or(u64::MAX))];
        *range = range.saturating_add(1);
    }

    fn sum(&self, now: UnixMs) -> Overhead {
        let minute = minute_of(now);
        let mut ranges = [0_u64; RANGES];
        let recent = |at: i64| at <= minute && at > minute - MINUTES as i64;
        for (_, counts) in self.minutes.iter().filter(|(at, _)| recent(*at)) {
            for (sum, count) in ranges.iter_mut().zip(counts) {
                *sum += u64::from(*count);
            }
        }
        let calls: u64 = ranges.iter().sum();
        let below = |percent: u64| {
            let rank = (calls * percent).div_ceil(100).max(1);
            let mut seen = 0;
            let reaches = |(index, count): (usize, &u64)| {
                seen += count;
                (seen >= rank).then(|| upper_end(index))
            };
            ranges.iter().enumerate().find_map(reaches).unwrap_or(0)
        };
        match calls {
            0 => Overhead::default(),
            _ => Overhead { calls, p50_us: below(50), p95_us: below(95) },
        }
    }
}

/// The range that a number of microseconds lies in: 0 to 3 stand for themselves, then four to each doubling.
fn range_of(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let doublings = us.ilog2();
    let quarter = (us >> (doublings - 2)) & 3;
    (((doublings - 1) * 4) as usize + quarter as usize).min(RANGES - 1)
}

/// The largest number of microseconds in a range.
fn upper_end(range: usize) -> u64 {
    if range < 4 {
        return range as u64;
    }
    let (doublings, quarter) = (range as u32 / 4 + 1, range as u64 % 4);
    ((4 + quarter + 1) << (doublings - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(number: u128) -> Arrival {
        Arrival {
            request_id: RequestId(uuid::Uuid::from_u128(number)),
            token: TokenId(1),
            endpoint: Endpoint::Chat,
            model: format!("model-{number}"),
            stream: true,
            at: UnixMs(1_000),
            arrived: Instant::now(),
        }
    }

    #[test]
    fn each_number_lies_in_a_range_that_is_at_most_a_quarter_too_wide() {
        for us in (0..5_000).chain([65_535, 1_000_000, 12_345_678]) {
            let end = upper_end(range_of(us));
            assert!(end >= us && end <= us + us / 4, "{us}: {end}");
        }
        assert_eq!(range_of(u64::MAX), RANGES - 1);
    }

    #[tokio::test]
    async fn a_call_is_listed_from_its_arrival_until_it_is_dropped() {
        let calls = CallsInFlight::default();
        let (one, two) = (calls.enter(arrival(1)), calls.enter(arrival(2)));
        assert_eq!(calls.counts(), InFlightCounts { waiting: 2, ..InFlightCounts::default() });
        let before = calls.changes();
        two.sent(ChannelId(3), KeyId(4));
        two.answers();
        assert!(calls.changes() > before);
        assert_eq!(calls.counts(), InFlightCounts { waiting: 1, answering: 1, upstream: 0 });
        let listed = calls.list(10, |_| true);
        assert_eq!(listed.iter().map(|call| call.model.as_str()).collect::<Vec<_>>(), ["model-1", "model-2"]);
        assert_eq!((listed[1].sent_to, listed[1].attempts), (Some((ChannelId(3), KeyId(4))), 1));
        assert_eq!(calls.list(1, |call| call.stage == InFlightStage::Answering), listed[1..]);
        drop(one);
        drop(two);
        assert_eq!(calls.counts().all(), 0);
        drop(calls.enter(arrival(3)));
        assert_eq!(locked(&calls.0.open).entries.len(), 2, "places are used again");
    }

    #[test]
    fn own_times_of_the_last_hour_count_and_older_ones_do_not() {
        let calls = CallsInFlight::default();
        let hour = 3_600_000;
        assert_eq!(calls.overhead(UnixMs(0)), Overhead::default());
        calls.took(Duration::from_secs(5), UnixMs(0));
        for _ in 0..99 {
            calls.took(Duration::from_micros(100), UnixMs(hour));
        }
        calls.took(Duration::from_millis(80), UnixMs(hour));
        let overhead = calls.overhead(UnixMs(hour + 60_000));
        assert_eq!(overhead.calls, 100);
        assert!((100..=125).contains(&overhead.p50_us) && overhead.p95_us == overhead.p50_us, "{overhead:?}");
        assert_eq!(calls.overhead(UnixMs(2 * hour)), Overhead::default());
    }
}
