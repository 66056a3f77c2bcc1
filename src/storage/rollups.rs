//! What all sums of the usage log share: quarters of an hour, bounds of what one call may count, and distributions. The sums
//! themselves are in `sheets`.

use std::collections::BTreeMap;

use crate::model::time::UnixMs;

/// The length of a bucket in milliseconds: 15 minutes divide every time zone's days and hours.
pub const BUCKET_MS: i64 = 15 * 60 * 1000;

/// The start of the bucket (UTC) that a time lies in.
pub fn bucket_of(at: UnixMs) -> UnixMs {
    UnixMs(at.0 - at.0.rem_euclid(BUCKET_MS))
}

/// The largest count, charge or cost of one row; what is above is an upstream's nonsense, and would in the end
/// overflow the sums.
const LARGEST: i64 = 1_000_000_000_000_000;

/// A count as the database keeps it.
pub(super) fn clamp_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(LARGEST).min(LARGEST)
}

/// An amount as the database keeps it: never negative.
pub(super) fn clamp_amount(amount: i64) -> i64 {
    amount.clamp(0, LARGEST)
}

/// The inclusive upper bounds of a histogram's buckets in milliseconds: the preferred numbers of ISO 3's R10 series,
/// ten per decade, from 1 ms to a little over an hour.
#[rustfmt::skip]
const BOUNDS: [u32; 64] = [
    1, 2, 3, 4, 5, 6, 8,
    10, 12, 16, 20, 25, 31, 40, 50, 63, 80,
    100, 125, 160, 200, 250, 315, 400, 500, 630, 800,
    1_000, 1_250, 1_600, 2_000, 2_500, 3_150, 4_000, 5_000, 6_300, 8_000,
    10_000, 12_500, 16_000, 20_000, 25_000, 31_500, 40_000, 50_000, 63_000, 80_000,
    100_000, 125_000, 160_000, 200_000, 250_000, 315_000, 400_000, 500_000, 630_000, 800_000,
    1_000_000, 1_250_000, 1_600_000, 2_000_000, 2_500_000, 3_150_000, 4_000_000,
];

/// How many buckets a histogram has.
pub(super) const BINS: usize = BOUNDS.len();

/// The place of a duration's bucket.
pub(super) fn bin_of(ms: u32) -> usize {
    BOUNDS.partition_point(|bound| *bound < ms).min(BINS - 1)
}

/// A distribution of durations in buckets that grow by at most 33 %.
///
/// Durations longer than the largest bound (4 000 s) count as that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u32, u64>);

impl Histogram {
    /// Counts one duration, in milliseconds.
    pub fn add(&mut self, ms: u32) {
        self.add_many(BOUNDS[bin_of(ms)], 1);
    }

    /// The distribution of which so many durations are in each bucket.
    pub(super) fn from_bins(bins: &[u32; BINS]) -> Self {
        let filled = BOUNDS.iter().zip(bins).filter(|(_, count)| **count > 0);
        Self(filled.map(|(bound, count)| (*bound, u64::from(*count))).collect())
    }

    /// The place of each bucket that is not empty, and how many durations it counts.
    pub(super) fn bins(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0.iter().map(|(bound, count)| (bin_of(*bound), *count))
    }

    /// Counts everything that `other` counts.
    pub fn merge(&mut self, other: &Self) {
        for (bound, count) in &other.0 {
            self.add_many(*bound, *count);
        }
    }

    fn add_many(&mut self, bound: u32, count: u64) {
        let sum = self.0.entry(bound).or_default();
        *sum = sum.saturating_add(count);
    }

    /// How many durations it counts.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The duration in milliseconds that a share `p` (0 to 1) of all durations does not exceed; `None` if there are
    /// none.
    ///
    /// Interpolated inside the bucket in which the exact value lies, so it differs from that by less than the bucket's
    /// width: less than 33 % of the exact value, and less than 4 ms for values of up to 16 ms.
    pub fn quantile(&self, p: f64) -> Option<u32> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        let rank = (p.clamp(0.0, 1.0) * total as f64).ceil().max(1.0);
        let mut below = 0.0;
        for (bound, count) in &self.0 {
            let count = *count as f64;
            if below + count >= rank {
                let lower =
                    BOUNDS[..BOUNDS.partition_point(|other| other < bound)].last().copied().unwrap_or(0);
                let share = (rank - below) / count;
                return Some((f64::from(lower) + share * f64::from(bound - lower)).round() as u32);
            }
            below += count;
        }
        self.0.last_key_value().map(|(bound, _)| *bound)
    }

    /// Reads a histogram's JSON, as older versions kept it; `None` if it is not one. Bounds that are not ours are rounded up to one that is.
    pub fn from_json(text: &str) -> Option<Self> {
        let read: BTreeMap<u32, u64> = serde_json::from_str(text).ok()?;
        let mut histogram = Self::default();
        for (bound, count) in read {
            histogram.add_many(BOUNDS[bin_of(bound)], count);
        }
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_within_the_documented_distance_of_the_exact_value() {
        // A long-tailed set of durations from 1 ms to 20 minutes.
        let mut exact: Vec<u32> = (0..5_000_u32).map(|i| 1 + (1.0028_f64.powi(i as i32) as u32)).collect();
        let mut histogram = Histogram::default();
        exact.iter().for_each(|ms| histogram.add(*ms));
        exact.sort_unstable();
        for p in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0] {
            let rank = ((p * exact.len() as f64).ceil() as usize).max(1);
            let expected = f64::from(exact[rank - 1]);
            let found = f64::from(histogram.quantile(p).unwrap());
            let allowed = if expected <= 16.0 { 4.0 } else { expected * 0.33 };
            assert!((found - expected).abs() < allowed, "p{p}: {found} instead of {expected}");
        }
    }

    #[test]
    fn buckets_grow_by_a_third_at_most() {
        for pair in BOUNDS.windows(2).filter(|pair| pair[0] >= 6) {
            assert!(pair[0] < pair[1] && f64::from(pair[1]) / f64::from(pair[0]) < 1.34, "{pair:?}");
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn a_histogram_reads_back_and_merging_is_like_adding_everything_to_one() {
        let (mut left, mut right, mut all) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for ms in [0, 1, 7, 130, 130, 4_000_000, u32::MAX] {
            left.add(ms);
            all.add(ms);
        }
        for ms in [130, 90_000] {
            right.add(ms);
            all.add(ms);
        }
        left.merge(&right);
        assert_eq!(left, all);
        assert_eq!(
            Histogram::from_json(r#"{"1":2,"8":1,"160":3,"100000":1,"4000000":2}"#),
            Some(all.clone())
        );
        let mut bins = [0; BINS];
        all.bins().for_each(|(bin, count)| bins[bin] = count as u32);
        assert_eq!(Histogram::from_bins(&bins), all);
        assert_eq!(Histogram::from_json("[1]"), None);
    }

    #[test]
    fn a_bucket_begins_at_a_quarter_of_an_hour() {
        let at: jiff::Timestamp = "2026-05-01T10:29:59.999Z".parse().unwrap();
        let start: jiff::Timestamp = "2026-05-01T10:15:00Z".parse().unwrap();
        assert_eq!(bucket_of(UnixMs(at.as_millisecond())), UnixMs(start.as_millisecond()));
    }
}
