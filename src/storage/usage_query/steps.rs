//! The steps of a time series: where each begins, on the clock of a time zone. Pure.

use jiff::{Span, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    model::{time::UnixMs, token::named_enum},
    storage::rollups::BUCKET_MS,
};

/// The most steps of a series.
pub const MAX_STEPS: usize = 400;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

named_enum! {
    /// How long a step is.
    #[schema(as = UsageStep)]
    Step {
        /// A quarter of an hour, the shortest time for which sums are kept.
        Quarter = "15m",
        /// An hour of the local clock.
        Hour = "hour",
        /// A local day, which has 23 or 25 hours when the clocks change.
        Day = "day",
        /// A local week from Monday.
        Week = "week",
        /// A local month.
        Month = "month",
    }
}

impl Step {
    /// The step in which a period is easily read: 10 to 120 steps for all but very short and very long ones.
    pub fn fitting(from: UnixMs, to: UnixMs) -> Self {
        match to.0.saturating_sub(from.0) {
            ..=21_600_000 => Self::Quarter,
            // Three days, one of which may have 25 hours.
            span if span <= 73 * HOUR_MS => Self::Hour,
            span if span <= 120 * DAY_MS => Self::Day,
            span if span <= 400 * DAY_MS => Self::Week,
            _ => Self::Month,
        }
    }

    fn longer(self) -> Option<Self> {
        let place = Self::ALL.iter().position(|step| *step == self)?;
        Self::ALL.get(place + 1).copied()
    }

    /// The start of the step that a time lies in.
    fn start_of(self, at: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
        let day = at.zoned(zone).date();
        match self {
            Self::Quarter => Some(UnixMs(at.0 - at.0.rem_euclid(BUCKET_MS))),
            Self::Hour => Some(UnixMs(at.0 - into_hour(at, zone))),
            Self::Day => midnight(day, zone),
            Self::Week => {
                let back = i64::from(day.weekday().to_monday_zero_offset());
                midnight(day.checked_sub(Span::new().days(back)).ok()?, zone)
            }
            Self::Month => midnight(day.first_of_month(), zone),
        }
    }

    /// The start of the step after the one that begins at `start`.
    fn after(self, start: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
        let day = || start.zoned(zone).date();
        let next = match self {
            Self::Quarter => UnixMs(start.0.checked_add(BUCKET_MS)?),
            Self::Hour => {
                let next = UnixMs(start.0.checked_add(HOUR_MS)?);
                // Where clocks change by half an hour, the steps go on with the whole hours of the new time.
                let whole = UnixMs(next.0 - into_hour(next, zone));
                if whole > start { whole } else { next }
            }
            Self::Day => midnight(day().tomorrow().ok()?, zone)?,
            Self::Week => midnight(day().checked_add(Span::new().weeks(1)).ok()?, zone)?,
            Self::Month => midnight(day().checked_add(Span::new().months(1)).ok()?, zone)?,
        };
        (next > start).then_some(next)
    }
}

/// How many milliseconds of its local hour have passed at a time.
fn into_hour(at: UnixMs, zone: &TimeZone) -> i64 {
    let offset = i64::from(zone.to_offset(at.timestamp()).seconds()) * 1000;
    at.0.saturating_add(offset).rem_euclid(HOUR_MS)
}

/// Local midnight, or the first moment after it that exists.
pub fn midnight(day: Date, zone: &TimeZone) -> Option<UnixMs> {
    Some(UnixMs(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

/// The steps of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    step: Step,
    starts: Vec<UnixMs>,
}

impl Steps {
    /// The steps from the one that `from` lies in to the last one before `to`. If they were more than [`MAX_STEPS`],
    /// longer ones are taken; of more than 400 months the first step is as long as need be.
    pub fn new(step: Step, from: UnixMs, to: UnixMs, zone: &TimeZone) -> Self {
        let mut step = step;
        loop {
            if let Some(steps) = Self::exactly(step, from, to, zone) {
                return steps;
            }
            let Some(longer) = step.longer() else { break };
            step = longer;
        }
        let last = to.zoned(zone).date().first_of_month();
        let months = (0..MAX_STEPS as i64 - 1).rev();
        let months = months.filter_map(|back| last.checked_sub(Span::new().months(back)).ok());
        let starts = months.filter_map(|day| midnight(day, zone)).filter(|start| *start < to);
        Self { step, starts: std::iter::once(from).chain(starts).collect() }
    }

    /// The same with steps of just this length; `None` if they were more than [`MAX_STEPS`].
    pub fn exactly(step: Step, from: UnixMs, to: UnixMs, zone: &TimeZone) -> Option<Self> {
        let mut starts = vec![step.start_of(from, zone).unwrap_or(from)];
        while let Some(next) = starts.last().and_then(|start| step.after(*start, zone)) {
            if next >= to {
                break;
            }
            if starts.len() == MAX_STEPS {
                return None;
            }
            starts.push(next);
        }
        Some(Self { step, starts })
    }

    /// How long a step is.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The start of each step, in order; never empty.
    pub fn starts(&self) -> &[UnixMs] {
        &self.starts
    }

    /// The place of the step that a time lies in. What lies before the first one belongs to that.
    pub fn index_of(&self, at: UnixMs) -> usize {
        self.starts.partition_point(|start| *start <= at).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn steps(step: Step, from: &str, to: &str, zone: &str) -> Vec<String> {
        let steps = Steps::new(step, at(from), at(to), &TimeZone::get(zone).unwrap());
        assert_eq!(steps.step(), step);
        steps.starts().iter().map(|start| start.timestamp().to_string()).collect()
    }

    #[test]
    fn days_weeks_and_months_begin_at_local_midnight_whatever_the_clocks_do() {
        let days = steps(Step::Day, "2026-10-24T10:00:00Z", "2026-10-26T10:00:00Z", "Europe/Berlin");
        assert_eq!(days, ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
        let weeks = steps(Step::Week, "2026-03-25T10:00:00Z", "2026-04-01T10:00:00Z", "Europe/Berlin");
        assert_eq!(weeks, ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"]);
        let months = steps(Step::Month, "2026-02-25T10:00:00Z", "2026-04-01T00:00:00Z", "Asia/Kolkata");
        assert_eq!(months, ["2026-01-31T18:30:00Z", "2026-02-28T18:30:00Z", "2026-03-31T18:30:00Z"]);
    }

    #[test]
    fn hours_are_those_of_the_local_clock() {
        let kolkata = steps(Step::Hour, "2026-05-01T10:45:00Z", "2026-05-01T12:30:00Z", "Asia/Kolkata");
        assert_eq!(kolkata, ["2026-05-01T10:30:00Z", "2026-05-01T11:30:00Z"]);
        // The hour from 2 to 3 comes twice.
        let berlin = steps(Step::Hour, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "Europe/Berlin");
        assert_eq!(berlin, ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]);
        // The clocks go back by half an hour at 15:00 UTC.
        let lord_howe =
            steps(Step::Hour, "2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z", "Australia/Lord_Howe");
        assert_eq!(lord_howe, ["2026-04-04T14:00:00Z", "2026-04-04T14:30:00Z", "2026-04-04T15:30:00Z"]);
    }

    #[test]
    fn a_time_belongs_to_the_step_that_began_last() {
        let zone = TimeZone::UTC;
        let steps = Steps::new(Step::Day, at("2026-05-01T10:00:00Z"), at("2026-05-03T00:00:00Z"), &zone);
        assert_eq!(steps.starts().len(), 2);
        assert_eq!(steps.index_of(at("2026-05-01T23:45:00Z")), 0);
        assert_eq!(steps.index_of(at("2026-05-02T00:00:00Z")), 1);
        assert_eq!(steps.index_of(at("2026-06-02T00:00:00Z")), 1);
        assert_eq!(steps.index_of(at("2025-01-01T00:00:00Z")), 0);
    }

    #[test]
    fn absurd_periods_have_few_steps_and_begin_where_they_begin() {
        let zone = TimeZone::UTC;
        let (from, to) = (at("0001-01-01T00:00:00Z"), at("9998-12-31T00:00:00Z"));
        let steps = Steps::new(Step::Quarter, from, to, &zone);
        assert_eq!((steps.step(), steps.starts().len(), steps.starts()[0]), (Step::Month, MAX_STEPS, from));
        assert!(Steps::exactly(Step::Day, from, to, &zone).is_none());
        let year = Steps::new(Step::Hour, at("2025-05-01T00:00:00Z"), at("2026-05-01T00:00:00Z"), &zone);
        assert_eq!((year.step(), year.starts().len()), (Step::Day, 365));
        let nothing = Steps::new(Step::Day, to, from, &zone);
        assert_eq!(nothing.starts().len(), 1);
        let edge = Steps::new(Step::Day, UnixMs(i64::MIN), UnixMs(i64::MAX), &zone);
        assert!(edge.starts().len() <= MAX_STEPS);
    }

    #[test]
    fn the_step_suits_the_period() {
        let to = at("2026-05-01T00:00:00Z");
        for (hours, step) in [
            (1, Step::Quarter),
            (24, Step::Hour),
            (73, Step::Hour),
            (7 * 24, Step::Day),
            (90 * 24, Step::Day),
            (366 * 24, Step::Week),
            (3 * 366 * 24, Step::Month),
        ] {
            assert_eq!(Step::fitting(UnixMs(to.0 - hours * HOUR_MS), to), step, "{hours} hours");
        }
    }
}
