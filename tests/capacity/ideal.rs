//! What nobody could avoid: the waits and refusals of a scheduler that knows the enforced windows, has no network between
//! itself and the upstream, and serves calls in the order in which they come.

use std::collections::VecDeque;

/// Which windows a limit is enforced in; all times are milliseconds from the start of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// Every span of the window's length.
    Rolling,
    /// Spans one after the other; one begins at this time.
    Fixed(i64),
}

/// A key: so many calls in each window of this length.
#[derive(Clone, Debug)]
pub struct Key {
    max: usize,
    span: i64,
    windows: Windows,
    /// When it dies.
    end: i64,
    /// The last `max` sends.
    sends: VecDeque<i64>,
}

impl Key {
    /// One that has sent nothing.
    pub fn new(max: usize, span: i64, windows: Windows) -> Self {
        Self { max, span, windows, end: i64::MAX, sends: VecDeque::new() }
    }

    /// The same, if it dies then.
    pub fn dying(self, end: i64) -> Self {
        Self { end, ..self }
    }

    /// When it may send, at `from` at the earliest, and until when it would have to in order to waste nothing.
    fn earliest(&self, from: i64) -> (i64, i64) {
        match self.windows {
            Windows::Rolling => {
                let full = self.sends.len() >= self.max;
                let free = self.sends.front().filter(|_| full).map_or(from, |first| first + self.span);
                (free.max(from), i64::MAX)
            }
            Windows::Fixed(begin) => {
                let end = |at: i64| at - (at - begin).rem_euclid(self.span) + self.span;
                let here = self.sends.iter().filter(|&&sent| end(sent) == end(from)).count();
                let at = if here < self.max { from } else { end(from) };
                (at, end(at))
            }
        }
    }

    fn send(&mut self, at: i64) {
        if self.sends.len() >= self.max {
            self.sends.pop_front();
        }
        self.sends.push_back(at);
    }
}

/// A call: when it comes, and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: i64,
    pub patience: i64,
}

/// How long each call waits; `None` for one that would have to wait for longer than it may, which is refused when it comes.
/// The calls are in the order of their coming.
pub fn waits(mut keys: Vec<Key>, calls: &[Call]) -> Vec<Option<i64>> {
    let mut last = i64::MIN;
    let mut waits = Vec::with_capacity(calls.len());
    for call in calls {
        let from = call.at.max(last);
        // The earliest; of several that can send then, the one whose room expires first.
        let alive = (0..keys.len()).filter(|&key| keys[key].earliest(from).0 < keys[key].end);
        let best = alive.min_by_key(|&key| keys[key].earliest(from));
        let sent = best.map(|key| (key, keys[key].earliest(from).0));
        waits.push(sent.filter(|(_, at)| at - call.at <= call.patience).map(|(key, at)| {
            keys[key].send(at);
            last = at;
            at - call.at
        }));
    }
    waits
}

/// The least of the values that so many hundredths of them do not exceed; 0 for none.
pub fn percentile(values: &[i64], hundredths: usize) -> i64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(windows: [Windows; 3]) -> Vec<Key> {
        windows.map(|windows| Key::new(40, 60_000, windows)).into()
    }

    fn bursts(of: usize, every: i64, count: i64) -> Vec<Call> {
        let burst = |number| std::iter::repeat_n(Call { at: number * every, patience: 60_000 }, of);
        (0..count).flat_map(burst).collect()
    }

    #[test]
    fn nobody_waits_up_to_the_capacity_whether_calls_come_evenly_or_in_bursts() {
        for windows in
            [[Windows::Rolling; 3], [Windows::Fixed(7), Windows::Fixed(23_000), Windows::Fixed(-9)]]
        {
            for calls in [bursts(1, 500, 360), bursts(60, 30_000, 6), bursts(60, 33_333, 6)] {
                assert!(waits(keys(windows), &calls).iter().all(|wait| *wait == Some(0)), "{windows:?}");
            }
        }
    }

    #[test]
    fn a_full_rolling_window_makes_calls_wait_until_its_first_send_is_over() {
        let key = || vec![Key::new(2, 1000, Windows::Rolling)];
        let calls: Vec<_> = [0, 10, 20, 30].map(|at| Call { at, patience: 5000 }).into();
        assert_eq!(waits(key(), &calls), [Some(0), Some(0), Some(980), Some(980)]);
    }

    #[test]
    fn a_fixed_window_opens_at_its_edge_and_room_that_expires_first_is_used_first() {
        let key = |begin| Key::new(1, 1000, Windows::Fixed(begin));
        let calls: Vec<_> = [950, 960, 970].map(|at| Call { at, patience: 5000 }).into();
        assert_eq!(waits(vec![key(0)], &calls), [Some(0), Some(40), Some(1030)]);
        // The first key's window ends at 1000: used at once, it has room again there.
        assert_eq!(waits(vec![key(500), key(0)], &calls), [Some(0), Some(0), Some(30)]);
    }

    #[test]
    fn a_call_that_would_wait_too_long_is_refused_and_takes_no_room() {
        let calls: Vec<_> = [0, 1, 400, 401].map(|at| Call { at, patience: 600 }).into();
        let waits = waits(vec![Key::new(1, 1000, Windows::Rolling)], &calls);
        assert_eq!(waits, [Some(0), None, Some(600), None]);
    }

    #[test]
    fn a_key_that_dies_serves_nobody_from_then_on() {
        let key = |end| Key::new(1, 1000, Windows::Rolling).dying(end);
        let calls: Vec<_> = [0, 1, 500].map(|at| Call { at, patience: 2000 }).into();
        assert_eq!(waits(vec![key(1), key(900)], &calls), [Some(0), Some(0), None]);
        assert_eq!(waits(vec![key(1), key(2000)], &calls), [Some(0), Some(0), Some(501)]);
    }

    #[test]
    fn at_twice_the_capacity_a_third_is_refused_while_a_minute_of_calls_may_wait() {
        // Four minutes' worth of calls are served in three minutes and the minute after: 120 at once, and each 60 s later.
        let waits = waits(keys([Windows::Rolling; 3]), &bursts(1, 250, 720));
        assert_eq!(waits.iter().filter(|wait| wait.is_none()).count(), 240);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(percentile(&[], 95), 0);
        assert_eq!(percentile(&[5], 95), 5);
        let values: Vec<i64> = (1..=100).rev().collect();
        assert_eq!(
            (percentile(&values, 50), percentile(&values, 95), percentile(&values, 100)),
            (50, 95, 100)
        );
    }
}
