//! Windows: how much is used, and when there is room again. All times are milliseconds on the steady clock.

use std::collections::VecDeque;

/// From this many entries on, sends that are close together share one.
const EXACT_ENTRIES: usize = 1024;

/// Sends that share an entry are at most this part of the span apart, so a log never holds more than
/// `EXACT_ENTRIES + SHARED_PARTS` entries.
const SHARED_PARTS: i64 = 1024;

/// When an amount fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fits {
    /// At this time; a time that is over means at once.
    At(i64),
    /// When something that is held is given back.
    OnRelease,
    /// Never: it is more than the limit, or nothing comes back.
    Never,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: i64,
    amount: u64,
    accepted: u64,
    refused: u64,
}

/// What became of the sends of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// What was sent.
    pub sent: u64,
    /// What of it was not refused, as far as known: what is still under way was sent before the call that was.
    pub accepted: u64,
    /// What of it is not answered yet.
    pub unanswered: u64,
}

impl Fate {
    /// Adds another log's.
    pub fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            accepted: self.accepted + other.accepted,
            unanswered: self.unanswered + other.unanswered,
        }
    }

    /// Whether too little is answered to tell how much is allowed.
    pub fn is_unclear(&self) -> bool {
        self.unanswered * 6 > self.sent && self.accepted.saturating_sub(self.unanswered) < 10
    }
}

/// A bounded log of what was sent when: exact up to a thousand sends per window, slightly cautious beyond.
#[derive(Debug, Clone, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    sum: u64,
}

impl Log {
    /// The sum of what is in the log.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in the log.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops what was sent at `until` or earlier; gives the time of the last send that was dropped.
    pub fn prune(&mut self, until: i64) -> Option<i64> {
        let mut last = None;
        while let Some(entry) = self.entries.front().filter(|entry| entry.at <= until) {
            self.sum -= entry.amount;
            last = Some(entry.at);
            self.entries.pop_front();
            self.first += 1;
        }
        if self.entries.is_empty() && self.entries.capacity() > 64 {
            self.entries = VecDeque::new();
        }
        last
    }

    /// Notes an amount; gives the number of its entry. Times never go back.
    pub fn push(&mut self, at: i64, amount: u64, span_ms: i64) -> u64 {
        self.sum += amount;
        // An entry is shared until it is so much later than the one before it.
        let crowded = self.entries.len() >= EXACT_ENTRIES
            && at - self.entries[self.entries.len() - 2].at <= span_ms / SHARED_PARTS;
        match self.entries.back_mut() {
            Some(last) if crowded => {
                last.amount += amount;
                last.at = last.at.max(at);
            }
            last => {
                let at = last.map_or(at, |last| last.at.max(at));
                self.entries.push_back(Entry { at, amount, accepted: 0, refused: 0 });
            }
        }
        self.first + self.entries.len() as u64 - 1
    }

    /// Changes the amount of an entry that is still in the log.
    pub fn correct(&mut self, number: u64, from: u64, to: u64) {
        if let Some(entry) = self.entry(number) {
            let before = entry.amount;
            let after = (before + to).saturating_sub(from);
            entry.amount = after;
            self.sum = self.sum + after - before;
        }
    }

    /// Notes that so much of an entry was refused. It goes on to count, since the provider may count it.
    pub fn refuse(&mut self, number: u64, amount: u64) {
        if let Some(entry) = self.entry(number) {
            entry.refused += amount;
        }
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Notes that so much of an entry was accepted.
    pub fn accept(&mut self, number: u64, amount: u64) {
        if let Some(entry) = self.entry(number) {
            entry.accepted += amount;
        }
    }

    /// What became of what was sent after `since`, up to `until`.
    pub fn between(&self, since: i64, until: i64) -> Fate {
        let start = self.entries.partition_point(|entry| entry.at <= since);
        let end = self.entries.partition_point(|entry| entry.at <= until);
        let entries = self.entries.range(start..end.max(start));
        entries.fold(Fate::default(), |fate, entry| {
            let answered = (entry.accepted + entry.refused).min(entry.amount);
            fate.plus(Fate {
                sent: entry.amount,
                accepted: entry.amount.saturating_sub(entry.refused),
                unanswered: entry.amount - answered,
            })
        })
    }

    /// The time of the send after whose end `amount` more fits below `max`; `None` if it fits now.
    pub fn blocking(&self, amount: u64, max: u64) -> Option<i64> {
        let mut over = (self.sum + amount).saturating_sub(max);
        if over == 0 {
            return None;
        }
        for entry in &self.entries {
            over = over.saturating_sub(entry.amount);
            if over == 0 {
                return Some(entry.at);
            }
        }
        None
    }

    /// How many entries were made at `until` or earlier.
    pub fn ended_by(&self, until: i64) -> usize {
        self.entries.partition_point(|entry| entry.at <= until)
    }

    /// The time of the last send.
    pub fn last(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.at)
    }

    /// The most that was noted within any `span_ms`.
    pub fn busiest(&self, span_ms: i64) -> u64 {
        let (mut start, mut sum, mut most) = (0, 0u64, 0);
        for end in 0..self.entries.len() {
            sum += self.entries[end].amount;
            while self.entries[end].at - self.entries[start].at >= span_ms {
                sum -= self.entries[start].amount;
                start += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// What is in the log, as pairs of time and amount.
    pub fn pairs(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.entries.iter().map(|entry| (entry.at, entry.amount))
    }

    /// Copies the sends of another log; both must be of the same span.
    pub fn absorb(&mut self, other: &Self) {
        let mut all: Vec<Entry> = self.entries.drain(..).collect();
        all.extend(&other.entries);
        all.sort_by_key(|entry| entry.at);
        self.sum = all.iter().map(|entry| entry.amount).sum();
        self.entries = all.into();
    }
}

/// A bucket, as the time at which it will be full again (the generic cell rate algorithm). Fractions of a millisecond are
/// kept, since amounts may flow in thousands per second.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// When it is full again.
    pub full_at: f64,
}

impl Bucket {
    /// When `amount` fits; `interval_ms` is the time in which one flows in.
    pub fn fits(&self, amount: u64, burst: u64, interval_ms: f64) -> Fits {
        if amount > burst {
            return Fits::Never;
        }
        let earliest = self.full_at + (amount as f64 - burst as f64) * interval_ms;
        Fits::At(earliest.ceil() as i64)
    }

    /// Takes an amount out.
    pub fn push(&mut self, at: i64, amount: u64, interval_ms: f64) {
        self.full_at = self.full_at.max(at as f64) + amount as f64 * interval_ms;
    }

    /// Puts back what was reserved and not used, or takes more out.
    pub fn correct(&mut self, from: u64, to: u64, interval_ms: f64) {
        self.full_at += (to as f64 - from as f64) * interval_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_frees_room_as_its_entries_end() {
        let mut log = Log::default();
        let first = log.push(0, 3, 60_000);
        log.push(1000, 4, 60_000);
        assert_eq!(log.blocking(3, 10), None);
        assert_eq!(log.blocking(4, 10), Some(0));
        assert_eq!(log.blocking(7, 10), Some(1000));
        log.correct(first, 3, 1);
        assert_eq!(log.blocking(5, 10), None);
        log.prune(0);
        assert_eq!((log.sum(), log.len()), (4, 1));
        log.correct(first, 1, 9);
        assert_eq!(log.sum(), 4, "a correction of what has ended changes nothing");
    }

    #[test]
    fn a_log_is_bounded_and_never_forgets_an_amount() {
        let mut log = Log::default();
        for at in 0..1_000_000 {
            log.push(at, 1, 600_000);
            log.prune(at - 600_000);
        }
        assert_eq!(log.sum(), log.pairs().map(|(_, amount)| amount).sum::<u64>());
        assert!(log.sum() >= 600_000 && log.sum() <= 602_000, "{}", log.sum());
        assert!(log.len() <= EXACT_ENTRIES + SHARED_PARTS as usize + 1, "{}", log.len());
    }

    #[test]
    fn a_bucket_refills_evenly() {
        let mut bucket = Bucket { full_at: 0.0 };
        for _ in 0..3 {
            assert_eq!(bucket.fits(1, 3, 1500.0), Fits::At((bucket.full_at - 3000.0) as i64));
            bucket.push(0, 1, 1500.0);
        }
        assert_eq!(bucket.fits(1, 3, 1500.0), Fits::At(1500));
        bucket.correct(1, 0, 1500.0);
        assert_eq!(bucket.fits(1, 3, 1500.0), Fits::At(0));
        assert_eq!(bucket.fits(4, 3, 1500.0), Fits::Never);
    }
}
