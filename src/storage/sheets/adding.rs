//! Adds calls, which are unpacked, to sums.

use std::ops::Range;

use super::{
    OK_PLACE, Results, Table, call, flag,
    totals::{Totals, sum},
};
use crate::storage::StorageResult;

/// From so many calls of a group on it is quicker to go through them column by column.
const MANY: usize = 4;

/// The columns of calls that are summed up.
pub(super) struct Calls<'a> {
    entries: usize,
    result: &'a [u64],
    flags: &'a [u64],
    cost: &'a [u64],
    /// The sums that these columns are added to, in the order of the columns.
    counts: [(usize, &'a [u64]); 5],
    queue: &'a [u64],
    first: &'a [u64],
    total: &'a [u64],
    /// Whether some are only more cost of a call.
    corrected: bool,
}

impl<'a> Calls<'a> {
    /// Those of a table that has all these columns.
    pub(super) fn of(table: &'a Table) -> Self {
        let column = |column: usize| &table.columns[column][..table.entries];
        let flags = column(call::FLAGS);
        Self {
            entries: table.entries,
            result: column(call::RESULT),
            flags,
            cost: column(call::COST),
            counts: [
                (sum::PROMPT, column(call::PROMPT)),
                (sum::COMPLETION, column(call::COMPLETION)),
                (sum::CACHED, column(call::CACHED)),
                (sum::REASONING, column(call::REASONING)),
                (sum::QUEUE_MS, column(call::QUEUE_MS)),
            ],
            queue: column(call::QUEUE),
            first: column(call::FIRST),
            total: column(call::TOTAL),
            corrected: flags.iter().any(|flags| flags & flag::CORRECTION != 0),
        }
    }

    /// Adds all of them to the same sums.
    pub(super) fn add_all(&self, totals: &mut Totals, results: &Results) -> StorageResult<()> {
        self.add_range(0..self.entries, totals, results)
    }

    /// Adds some of them to the same sums.
    pub(super) fn add_range(
        &self,
        range: Range<usize>,
        totals: &mut Totals,
        results: &Results,
    ) -> StorageResult<()> {
        if self.corrected || range.len() < MANY {
            for place in range {
                self.add(place, totals, results)?;
            }
            return Ok(());
        }
        let (mut word, mut result) = (0, None);
        for (found, flags) in self.result[range.clone()].iter().zip(&self.flags[range.clone()]) {
            let place = match result {
                Some(place) if *found == word => place,
                _ => results.place(*found)?,
            };
            (word, result) = (*found, Some(place));
            add_flags(totals, place, *flags);
        }
        let count = |sum: &mut u64, values: &[u64]| {
            *sum = values.iter().fold(*sum, |sum, value| sum.saturating_add(*value));
        };
        totals.sums[sum::REQUESTS] = totals.sums[sum::REQUESTS].saturating_add(range.len() as u64);
        count(&mut totals.sums[sum::COST], &self.cost[range.clone()]);
        for (sum, values) in self.counts {
            count(&mut totals.sums[sum], &values[range.clone()]);
        }
        let [queue, first, total] = &mut totals.histograms;
        self.queue[range.clone()].iter().for_each(|bin| add_bin(queue, *bin));
        // 0, "none", becomes a bin that there is not.
        self.first[range.clone()].iter().for_each(|bin| add_bin(first, bin.wrapping_sub(1)));
        self.total[range].iter().for_each(|bin| add_bin(total, *bin));
        Ok(())
    }

    /// Adds one of them.
    pub(super) fn add(&self, place: usize, totals: &mut Totals, results: &Results) -> StorageResult<()> {
        let cost = &mut totals.sums[sum::COST];
        *cost = cost.saturating_add(self.cost[place]);
        if self.flags[place] & flag::CORRECTION != 0 {
            return Ok(());
        }
        add_flags(totals, results.place(self.result[place])?, self.flags[place]);
        totals.sums[sum::REQUESTS] = totals.sums[sum::REQUESTS].saturating_add(1);
        for (sum, values) in self.counts {
            totals.sums[sum] = totals.sums[sum].saturating_add(values[place]);
        }
        let [queue, first, total] = &mut totals.histograms;
        add_bin(queue, self.queue[place]);
        add_bin(first, self.first[place].wrapping_sub(1));
        add_bin(total, self.total[place]);
        Ok(())
    }
}

/// What the result and the flags of a call add to sums.
#[inline]
fn add_flags(totals: &mut Totals, result: usize, flags: u64) {
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    let retried = u64::from(flags & flag::RETRIED != 0);
    if result == OK_PLACE {
        add(&mut totals.sums[sum::OK], 1);
        add(&mut totals.sums[sum::OK_AT_ONCE], 1 - retried);
    } else {
        add(&mut totals.failures[result], 1);
    }
    add(&mut totals.sums[sum::RETRIED], retried);
    add(&mut totals.sums[sum::ESTIMATED], u64::from(flags & flag::ESTIMATED != 0));
}

#[inline]
fn add_bin(bins: &mut [u32], bin: u64) {
    if let Some(count) = bins.get_mut(bin as usize) {
        *count = count.saturating_add(1);
    }
}
