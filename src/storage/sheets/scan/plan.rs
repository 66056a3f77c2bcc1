//! How a question is answered: which days by their sums, which quarters of an hour from sheets, and which entries of these.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

use super::{
    super::{CALL_COLUMNS, QUARTER, QUARTERS, Results, call, days::Dimension},
    sheet::Sheet,
};
use crate::storage::{
    StorageResult,
    rollups::BUCKET_MS,
    usage_query::report::{Measure, OrderBy},
};

/// Ids below this have their place in a list; larger ones are looked up.
pub(super) const DENSE: u64 = 1 << 20;

/// Some ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    dense: Vec<bool>,
    more: HashSet<u64>,
}

impl FromIterator<u64> for Ids {
    fn from_iter<I: IntoIterator<Item = u64>>(ids: I) -> Self {
        let mut all = Self::default();
        ids.into_iter().for_each(|id| all.insert(id));
        all
    }
}

impl Ids {
    fn insert(&mut self, id: u64) {
        if id < DENSE {
            let place = id as usize;
            self.dense.resize(self.dense.len().max(place + 1), false);
            self.dense[place] = true;
        } else {
            self.more.insert(id);
        }
    }

    #[inline]
    pub(super) fn contains(&self, id: u64) -> bool {
        if id < DENSE { self.dense.get(id as usize).is_some_and(|is| *is) } else { self.more.contains(&id) }
    }
}

/// What entries must be like, by their columns.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Is(usize, u64, bool),
    In(usize, Ids),
    Either(usize, usize, Ids),
    Flag(u64, bool),
    Between(usize, u64, u64),
}

impl Condition {
    fn columns(&self) -> Vec<usize> {
        match self {
            Self::Is(column, ..) | Self::In(column, _) | Self::Between(column, ..) => vec![*column],
            Self::Either(one, other, _) => vec![*one, *other],
            Self::Flag(..) => vec![call::FLAGS],
        }
    }

    fn retain(&self, sheet: &Sheet<'_>, places: &mut Vec<u32>) -> StorageResult<()> {
        match self {
            Self::Is(by, value, is) => {
                sheet.column(*by)?.retain(places, |found| (found == *value) == *is);
            }
            Self::In(by, ids) => sheet.column(*by)?.retain(places, |found| ids.contains(found)),
            Self::Either(one, other, ids) => {
                let (mut ones, mut others) = (Vec::new(), Vec::new());
                sheet.column(*one)?.unpack(places, &mut ones);
                sheet.column(*other)?.unpack(places, &mut others);
                let mut found =
                    ones.iter().zip(&others).map(|(one, other)| ids.contains(*one) || ids.contains(*other));
                places.retain(|_| found.next() == Some(true));
            }
            Self::Flag(flag, is) => {
                sheet.column(call::FLAGS)?.retain(places, |flags| (flags & flag != 0) == *is);
            }
            Self::Between(by, lowest, highest) => {
                sheet.column(*by)?.retain(places, |found| (*lowest..=*highest).contains(&found));
            }
        }
        Ok(())
    }
}

/// Quarters of an hour that are read from sheets, and the step that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub quarters: Range<i64>,
    pub step: usize,
}

/// How a question is answered.
#[derive(Clone)]
pub(super) struct Plan {
    pub by: Dimension,
    pub conditions: Vec<Condition>,
    /// The one group that is asked for, if that is all that is asked.
    pub only: Option<u64>,
    pub steps: usize,
    pub spans: Vec<Span>,
    /// The whole period in spans: rows that are in no sheet may belong to a day that is read as a whole.
    pub late: Vec<Span>,
    /// The whole days that are read, by their starts, and their steps.
    pub days: BTreeMap<i64, usize>,
    pub results: Results,
}

impl Plan {
    /// The parts of a day's sheet that are asked for: which entries, and their step.
    pub(super) fn places(&self, day: i64, sheet: &Sheet<'_>) -> StorageResult<Vec<(usize, Vec<u32>)>> {
        let first = day * QUARTERS;
        let begin = self.spans.partition_point(|span| span.quarters.end <= first);
        let spans = self.spans[begin..].iter().take_while(|span| span.quarters.start < first + QUARTERS);
        spans
            .map(|span| {
                let quarter = |quarter: i64| (quarter - first).clamp(0, QUARTERS).unsigned_abs();
                let mut places = sheet.places(quarter(span.quarters.start), quarter(span.quarters.end))?;
                for condition in &self.conditions {
                    condition.retain(sheet, &mut places)?;
                }
                Ok((span.step, places))
            })
            .collect()
    }

    /// The columns that are unpacked of the calls that count: the group, and all that is summed up.
    pub(super) fn summed(&self) -> Vec<usize> {
        self.by
            .column()
            .into_iter()
            .filter(|column| *column < call::RESULT)
            .chain(call::RESULT..CALL_COLUMNS)
            .collect()
    }

    /// The columns that are unpacked for one measure; `None`: for all.
    pub(super) fn measured(&self, measure: Option<Measure>) -> Vec<usize> {
        let needed: &[usize] = match measure {
            None => return self.summed(),
            Some(Measure::Sum(by)) => match by {
                OrderBy::Requests | OrderBy::Failed => &[],
                OrderBy::Tokens => &[call::PROMPT, call::COMPLETION],
                OrderBy::Prompt => &[call::PROMPT],
                OrderBy::Completion => &[call::COMPLETION],
                OrderBy::Cached => &[call::CACHED],
                OrderBy::Reasoning => &[call::REASONING],
                OrderBy::Cost => &[call::COST],
            },
            Some(Measure::Queue) => &[call::QUEUE],
            Some(Measure::FirstToken) => &[call::FIRST],
            Some(Measure::Total) => &[call::TOTAL],
        };
        self.by
            .column()
            .into_iter()
            .chain([call::RESULT, call::FLAGS])
            .chain(needed.iter().copied())
            .collect()
    }

    /// The columns of calls that are read: those, when the calls were, and what conditions are about.
    pub(super) fn columns(&self) -> Vec<usize> {
        self.with_conditions(self.summed())
    }

    /// Some columns (of calls or attempts), when entries were, and what conditions are about.
    pub(super) fn with_conditions(&self, mut columns: Vec<usize>) -> Vec<usize> {
        columns.extend(self.conditions.iter().flat_map(Condition::columns));
        columns.push(QUARTER);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The plan for rows that are in no sheet: sums of days do not know of them.
    pub(super) fn late(&self) -> Self {
        Self { spans: self.late.clone(), days: BTreeMap::new(), ..self.clone() }
    }

    /// The days (UTC) whose sheets are read, as ranges.
    pub(super) fn sheet_days(&self) -> Vec<Range<i64>> {
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for span in &self.spans {
            let (start, end) =
                (span.quarters.start.div_euclid(QUARTERS), (span.quarters.end - 1).div_euclid(QUARTERS) + 1);
            match ranges.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => ranges.push(start..end),
            }
        }
        ranges
    }
}

/// Divides a period (in quarters) into whole days of which there are sums (their borders in milliseconds) and that lie within
/// one step, and spans of one step each between them.
pub(super) fn split(
    period: &Range<i64>,
    known: &[(i64, i64)],
    starts: &[i64],
) -> (BTreeMap<i64, usize>, Vec<Span>) {
    let step_of = |quarter: i64| {
        starts.partition_point(|start| *start <= quarter.saturating_mul(BUCKET_MS)).saturating_sub(1)
    };
    let mut cuts: Vec<i64> = starts
        .iter()
        .skip(1)
        .map(|start| start.div_euclid(BUCKET_MS) + i64::from(start % BUCKET_MS != 0))
        .collect();
    cuts.push(i64::MAX);
    let (mut days, mut spans) = (BTreeMap::new(), Vec::new());
    let mut fill = |from: i64, to: i64| {
        let mut from = from;
        while from < to {
            let end = cuts[cuts.partition_point(|cut| *cut <= from).min(cuts.len() - 1)].min(to);
            spans.push(Span { quarters: from..end, step: step_of(from) });
            from = end;
        }
    };
    let mut at = period.start;
    for (start, until) in known {
        let (first, end) = (start.div_euclid(BUCKET_MS), until.div_euclid(BUCKET_MS));
        if first < at || end > period.end || step_of(first) != step_of(end - 1) {
            continue;
        }
        fill(at, first);
        days.insert(*start, step_of(first));
        at = end;
    }
    fill(at, period.end);
    (days, spans)
}
