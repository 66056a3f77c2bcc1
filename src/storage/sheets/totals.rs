//! Sums while they are summed up, and how a day's sums by one dimension are kept as bytes.
//!
//! The bytes are numbers of variable length (seven bits per byte, the lowest first). For each group in the order of ids: how
//! much larger its id is than the one before, how many bytes follow for it, and these: its sums, its failures by result, and
//! for each distribution the places that are not empty. So a reader skips the groups that it does not look for.

use crate::{
    model::usage::CallResult,
    storage::{StorageError, StorageResult, rollups::BINS},
};

/// How many sums there are beside failures and distributions.
const SUMS: usize = 11;
/// How many distributions: waiting, first content, end.
const HISTOGRAMS: usize = 3;

/// The places of [`Totals::sums`].
pub(in crate::storage) mod sum {
    pub const REQUESTS: usize = 0;
    pub const OK: usize = 1;
    pub const OK_AT_ONCE: usize = 2;
    pub const RETRIED: usize = 3;
    pub const ESTIMATED: usize = 4;
    pub const PROMPT: usize = 5;
    pub const COMPLETION: usize = 6;
    pub const CACHED: usize = 7;
    pub const REASONING: usize = 8;
    pub const COST: usize = 9;
    pub const QUEUE_MS: usize = 10;
}

/// How many results a call may have.
pub(super) const RESULTS: usize = CallResult::ALL.len();

/// Everything that is summed up of some calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::storage) struct Totals {
    pub sums: [u64; SUMS],
    /// By the place of the result in `CallResult::ALL`.
    pub failures: [u64; RESULTS],
    /// Waiting, first content, end: how many durations fell into each bin.
    pub histograms: [[u32; BINS]; HISTOGRAMS],
}

impl Default for Totals {
    fn default() -> Self {
        Self { sums: [0; SUMS], failures: [0; RESULTS], histograms: [[0; BINS]; HISTOGRAMS] }
    }
}

impl Totals {
    /// Adds all that `other` counts.
    pub(in crate::storage) fn merge(&mut self, other: &Self) {
        self.combine(other, u64::saturating_add, u32::saturating_add);
    }

    /// Takes away all that `other` counts, which is part of it.
    pub(in crate::storage) fn take_away(&mut self, other: &Self) {
        self.combine(other, u64::saturating_sub, u32::saturating_sub);
    }

    fn combine(&mut self, other: &Self, sum: impl Fn(u64, u64) -> u64, count: impl Fn(u32, u32) -> u32) {
        for (mine, other) in self.sums.iter_mut().zip(&other.sums) {
            *mine = sum(*mine, *other);
        }
        for (mine, other) in self.failures.iter_mut().zip(&other.failures) {
            *mine = sum(*mine, *other);
        }
        for (mine, other) in self.histograms.iter_mut().flatten().zip(other.histograms.iter().flatten()) {
            *mine = count(*mine, *other);
        }
    }

    /// Adds a group's bytes. `result_of` gives the place of a result's word.
    fn add_bytes(&mut self, mut bytes: &[u8], result_of: &dyn Fn(u64) -> Option<usize>) -> Option<()> {
        let bytes = &mut bytes;
        for sum in &mut self.sums {
            *sum = sum.saturating_add(read(bytes)?);
        }
        for _ in 0..read(bytes)? {
            let place = result_of(read(bytes)?)?;
            self.failures[place] = self.failures[place].saturating_add(read(bytes)?);
        }
        for histogram in &mut self.histograms {
            for _ in 0..read(bytes)? {
                let bin = histogram.get_mut(usize::try_from(read(bytes)?).ok()?)?;
                *bin = bin.saturating_add(u32::try_from(read(bytes)?).unwrap_or(u32::MAX));
            }
        }
        bytes.is_empty().then_some(())
    }

    fn write(&self, bytes: &mut Vec<u8>, word_of: &dyn Fn(usize) -> u64) {
        self.sums.iter().for_each(|sum| write(bytes, *sum));
        write(bytes, self.failures.iter().filter(|count| **count > 0).count() as u64);
        for (place, count) in self.failures.iter().enumerate().filter(|(_, count)| **count > 0) {
            write(bytes, word_of(place));
            write(bytes, *count);
        }
        for histogram in &self.histograms {
            write(bytes, histogram.iter().filter(|count| **count > 0).count() as u64);
            for (bin, count) in histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
                write(bytes, bin as u64);
                write(bytes, u64::from(*count));
            }
        }
    }
}

/// The bytes of groups, which are sorted by id here. `word_of` gives the word of a result.
pub(super) fn encode<'a>(
    groups: impl Iterator<Item = (u64, &'a Totals)>,
    word_of: &dyn Fn(usize) -> u64,
) -> Vec<u8> {
    encode_groups(groups, |totals, body| totals.write(body, word_of))
}

/// The bytes of how many attempts each group had, by the word of their class.
pub(super) fn encode_attempts<'a>(groups: impl Iterator<Item = (u64, &'a [(u64, u64)])>) -> Vec<u8> {
    encode_groups(groups, |classes, body| {
        for (class, count) in classes {
            write(body, *class);
            write(body, *count);
        }
    })
}

fn encode_groups<T>(groups: impl Iterator<Item = (u64, T)>, body_of: impl Fn(T, &mut Vec<u8>)) -> Vec<u8> {
    let mut groups: Vec<(u64, T)> = groups.collect();
    groups.sort_by_key(|(id, _)| *id);
    let (mut bytes, mut body, mut before) = (Vec::new(), Vec::new(), 0);
    for (id, group) in groups {
        body.clear();
        body_of(group, &mut body);
        write(&mut bytes, id - before);
        write(&mut bytes, body.len() as u64);
        bytes.extend_from_slice(&body);
        before = id;
    }
    bytes
}

/// A group's bytes.
pub(super) struct Body<'a> {
    bytes: &'a [u8],
    result_of: &'a dyn Fn(u64) -> Option<usize>,
}

impl Body<'_> {
    /// Adds them to sums; `None` if they do not read back.
    pub(super) fn add_to(&self, totals: &mut Totals) -> Option<()> {
        totals.add_bytes(self.bytes, self.result_of)
    }
}

/// Goes through the groups of a day; `result_of` gives the place of a result's word.
pub(super) fn decode(
    bytes: &[u8],
    result_of: &dyn Fn(u64) -> Option<usize>,
    mut each: impl FnMut(u64, Body<'_>) -> Option<()>,
) -> StorageResult<()> {
    groups(bytes, |id, bytes| each(id, Body { bytes, result_of }))
}

/// The same of attempts: group, word of the class, how many.
pub(super) fn decode_attempts(bytes: &[u8], mut add: impl FnMut(u64, u64, u64)) -> StorageResult<()> {
    groups(bytes, |id, mut body| {
        while !body.is_empty() {
            let class = read(&mut body)?;
            add(id, class, read(&mut body)?);
        }
        Some(())
    })
}

fn groups(mut bytes: &[u8], mut each: impl FnMut(u64, &[u8]) -> Option<()>) -> StorageResult<()> {
    let mut id: u64 = 0;
    let mut one = |bytes: &mut &[u8]| {
        id = id.checked_add(read(bytes)?)?;
        let length = usize::try_from(read(bytes)?).ok()?;
        let (body, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        each(id, body)
    };
    while !bytes.is_empty() {
        one(&mut bytes).ok_or_else(|| StorageError::Unreadable("the sums of a day".to_owned()))?;
    }
    Ok(())
}

fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_read_back_whether_small_or_absurd_and_groups_are_skipped() {
        let mut large =
            Totals { sums: [u64::MAX, 1, 127, 128, 0, 16_384, 3, 4, 5, 6, 7], ..Totals::default() };
        large.failures[2] = 9;
        large.histograms[1][63] = u32::MAX;
        large.histograms[2][0] = 300;
        let small = Totals { sums: [1; SUMS], ..Totals::default() };
        let groups = [(900, &large), (3, &small), (0, &small)];
        let bytes = encode(groups.into_iter(), &|place| place as u64 + 40);
        let result_of = |word: u64| usize::try_from(word).ok()?.checked_sub(40);
        let (mut first, mut last) = (Totals::default(), Totals::default());
        let mut seen = Vec::new();
        decode(&bytes, &result_of, |id, body| {
            seen.push(id);
            match id {
                3 => body.add_to(&mut first),
                900 => body.add_to(&mut last),
                _ => Some(()),
            }
        })
        .unwrap();
        assert_eq!(seen, [0, 3, 900]);
        assert_eq!((&first, &last), (&small, &large));
        for cut in 1..bytes.len() {
            let _ = decode(&bytes[..cut], &result_of, |_, _| Some(()));
        }
        assert!(decode(&bytes[..bytes.len() - 1], &result_of, |_, _| Some(())).is_err());
        last.take_away(&large);
        assert_eq!(last, Totals::default());
    }

    #[test]
    fn attempts_read_back_by_class() {
        let bytes = encode_attempts([(5, &[(2, 300), (7, 1)][..]), (1, &[(2, 1)][..])].into_iter());
        let mut found = Vec::new();
        decode_attempts(&bytes, |id, class, count| found.push((id, class, count))).unwrap();
        assert_eq!(found, [(1, 2, 1), (5, 2, 300), (5, 7, 1)]);
    }
}
