//! The bar chart of requests over time: numbers for an SVG that the server draws.

use std::collections::BTreeMap;

use jiff::{Span, ToSpan, civil::Date, tz::TimeZone};

use super::period::{Period, start_of_day};
use crate::{
    i18n::Messages,
    model::time::UnixMs,
    storage::usage_query::report::Point,
    web::format::{number, short_count},
};

/// Where the bars stand, in units of the drawing.
const LEFT: i64 = 48;
const RIGHT: i64 = 992;
const TOP: i64 = 12;
const BOTTOM: i64 = 196;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The most bars; longer periods show their last ones.
const MAX_BARS: usize = 400;

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An hour.
    Hour,
    /// A local day.
    Day,
    /// A local month.
    Month,
}

/// A bar: all of it is failures at the bottom and answers above.
#[derive(Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it begins.
    pub when: String,
    /// All calls.
    pub requests: String,
    /// Those that failed.
    pub failed: String,
    /// All of it in words.
    pub title: String,
    /// Left border.
    pub x: i64,
    /// Width.
    pub width: i64,
    /// Top and height of the part that stands for answers.
    pub answered: (i64, i64),
    /// Top and height of the part that stands for failures.
    pub failures: (i64, i64),
}

/// The drawing.
#[derive(Debug)]
pub struct Chart {
    /// What a bar stands for.
    pub step: Step,
    /// The bars, from left to right.
    pub bars: Vec<Bar>,
    /// Lines across, each with its height and its number.
    pub grid: Vec<(i64, String)>,
    /// Texts below bars, each with its place.
    pub ticks: Vec<(i64, String)>,
}

impl Chart {
    /// Adds quarters of an hour up to bars over a period that ends now or earlier; `None` if there is nothing to draw.
    pub fn new(
        t: Messages,
        series: &BTreeMap<UnixMs, Point>,
        period: &Period,
        now: UnixMs,
        zone: &TimeZone,
    ) -> Option<Self> {
        let (first, last) = (*series.first_key_value()?.0, *series.last_key_value()?.0);
        let end = period.to.unwrap_or(now).min(now).max(UnixMs(last.0.saturating_add(1)));
        let mut start = period.from.unwrap_or(first);
        if end.0.saturating_sub(start.0) > 92 * DAY_MS {
            start = start.max(first);
        }
        let (step, starts) = starts(start, end, zone)?;
        let mut points = vec![Point::default(); starts.len()];
        for (bucket, point) in series {
            // What lies before the first bar of a very long period is left out of the drawing.
            let Some(index) = starts.partition_point(|start| start <= bucket).checked_sub(1) else {
                continue;
            };
            points[index].requests = points[index].requests.saturating_add(point.requests);
            points[index].failed = points[index].failed.saturating_add(point.failed);
        }
        Some(draw(t, step, &starts, &points, zone))
    }
}

/// The starts of the bars from the one that `start` lies in to the last before `end`.
fn starts(start: UnixMs, end: UnixMs, zone: &TimeZone) -> Option<(Step, Vec<UnixMs>)> {
    let (step, mut starts) = match end.0.saturating_sub(start.0) {
        ..=259_200_000 => {
            let offset = i64::from(zone.to_offset(start.timestamp()).seconds()) * 1000;
            let first = start.0 - (start.0 + offset).rem_euclid(HOUR_MS);
            (Step::Hour, (0..=73).map(|hour| UnixMs(first + hour * HOUR_MS)).collect::<Vec<_>>())
        }
        span if span <= 120 * DAY_MS => {
            let days = |day: Date| day.series(1.day()).take(122);
            let first = start.zoned(zone).date();
            (Step::Day, days(first).filter_map(|day| start_of_day(day, zone)).collect())
        }
        _ => {
            let last = end.zoned(zone).date().first_of_month();
            let months = (0..MAX_BARS as i64).rev();
            let first = start.zoned(zone).date().first_of_month();
            let months = months.map(|back| last.saturating_sub(Span::new().months(back)));
            let starts = months.filter(|month| *month >= first).filter_map(|month| start_of_day(month, zone));
            (Step::Month, starts.collect())
        }
    };
    starts.retain(|start| *start < end);
    (!starts.is_empty()).then_some((step, starts))
}

fn draw(t: Messages, step: Step, starts: &[UnixMs], points: &[Point], zone: &TimeZone) -> Chart {
    let most = points.iter().map(|point| point.requests).max().unwrap_or(0);
    let top = round_up(most);
    // 128 bits, because a sum of calls times the height may be larger than 64.
    let height = |value: i64| {
        let height = i128::from(value.max(0)) * i128::from(BOTTOM - TOP) / i128::from(top);
        // What there is can be seen.
        i64::try_from(height).unwrap_or(BOTTOM - TOP).max(i64::from(value > 0)).min(BOTTOM - TOP)
    };
    let count = starts.len().max(1) as i64;
    let place = |index: usize| LEFT + (RIGHT - LEFT) * index as i64 / count;
    let label = |start: UnixMs, long: bool| {
        let pattern = match (step, long) {
            (Step::Hour, true) => t.format.day_and_time(),
            (Step::Hour, false) => "%H:%M",
            (Step::Day, _) => t.format.day(),
            (Step::Month, _) => t.format.month(),
        };
        start.zoned(zone).strftime(pattern).to_string()
    };
    let bars = starts
        .iter()
        .zip(points)
        .enumerate()
        .map(|(index, (start, point))| {
            let (x, next) = (place(index), place(index + 1));
            let gap = i64::from(next - x > 4) + i64::from(next - x > 12);
            let failures = height(point.failed);
            let answered = (height(point.requests) - failures).max(i64::from(point.requests > point.failed));
            let when = label(*start, true);
            let (requests, failed) = (number(point.requests), number(point.failed));
            Bar {
                title: t.usage.bar_title(&when, &requests, &failed),
                when,
                requests,
                failed,
                x,
                width: (next - x - gap).max(1),
                answered: (BOTTOM - failures - answered, answered),
                failures: (BOTTOM - failures, failures),
            }
        })
        .collect();
    let every = starts.len().div_ceil(8).max(1);
    let ticks = starts.iter().enumerate().step_by(every);
    Chart {
        step,
        bars,
        grid: [0, top / 2, top]
            .map(|value| (BOTTOM - height(value), short_count(value.unsigned_abs())))
            .to_vec(),
        ticks: ticks.map(|(index, start)| (place(index), label(*start, false))).collect(),
    }
}

/// The next of 2, 4, 10, 20, 40, 100 ...: even, so that half of it is a whole number.
fn round_up(most: i64) -> i64 {
    let mut unit = 1_i64;
    loop {
        for factor in [2, 4, 10] {
            let value = unit.saturating_mul(factor);
            if value >= most {
                return value;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        storage::rollups::BUCKET_MS,
        web::{
            admin::usage::period::Choice,
            form::{FieldErrors, Fields},
        },
    };

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn chart(query: &str, zone: &str, now: &str, series: &[(&str, i64, i64)]) -> Option<Chart> {
        let (zone, now) = (TimeZone::get(zone).unwrap(), at(now));
        let fields = Fields::parse(query.as_bytes());
        let t = Messages::of(Lang::En);
        let period = Period::read(&fields, Choice::All, now, &zone, t, &mut FieldErrors::default());
        let point = |(when, requests, failed): &(&str, i64, i64)| {
            (at(when), Point { requests: *requests, failed: *failed })
        };
        Chart::new(t, &series.iter().map(point).collect(), &period.aligned(), now, &zone)
    }

    #[test]
    fn bars_are_local_hours_or_days_and_hold_every_call() {
        let series = [("2026-03-29T00:45:00Z", 3, 0), ("2026-03-29T22:15:00Z", 5, 5)];
        let hours = chart("period=24h", "Asia/Kolkata", "2026-03-29T23:10:00Z", &series).unwrap();
        assert_eq!((hours.step, hours.bars.len()), (Step::Hour, 24));
        assert_eq!(hours.bars[1].title, "Mar 29, 06:00: 3 requests, 0 failed");
        // The day on which the clocks change has 23 hours, and the evening belongs to the next day.
        let days = chart("period=7d", "Europe/Berlin", "2026-03-29T23:10:00Z", &series).unwrap();
        assert_eq!((days.step, days.bars.len()), (Step::Day, 7));
        assert_eq!((days.bars[5].when.as_str(), days.bars[5].requests.as_str()), ("Mar 29", "3"));
        assert_eq!((days.bars[6].when.as_str(), days.bars[6].failed.as_str()), ("Mar 30", "5"));
        let months = chart("", "UTC", "2027-01-10T00:00:00Z", &series).unwrap();
        assert_eq!((months.step, months.bars.len()), (Step::Month, 11));
        assert_eq!(months.bars[0].requests, "8");
    }

    #[test]
    fn a_bar_is_as_high_as_its_calls_and_failures_can_be_seen() {
        let series = [("2026-03-29T01:00:00Z", 1000, 1), ("2026-03-29T02:00:00Z", 500, 0)];
        let chart = chart("period=24h", "UTC", "2026-03-29T02:30:00Z", &series).unwrap();
        let [.., high, half] = chart.bars.as_slice() else { panic!() };
        assert_eq!(high.failures.1, 1);
        assert_eq!(high.answered.0, TOP);
        assert_eq!(half.answered.1 * 2, BOTTOM - TOP);
        assert_eq!(chart.grid.last().unwrap(), &(TOP, "1,000".to_owned()));
    }

    #[test]
    fn absurd_periods_and_counts_are_still_bounded() {
        assert!(chart("period=7d", "UTC", "2026-03-29T02:30:00Z", &[]).is_none());
        let series = [("2026-03-29T01:00:00Z", i64::MAX, i64::MAX)];
        let years = "from=0001-01-01&to=9998-12-31";
        let chart = chart(years, "UTC", "2026-03-29T02:30:00Z", &series).unwrap();
        assert!(chart.bars.len() <= MAX_BARS);
        assert!(chart.bars.iter().all(|bar| bar.answered.0 >= TOP && bar.failures.0 >= TOP));
        assert_eq!(chart.bars.iter().filter(|bar| bar.requests != "0").count(), 1);
        assert_eq!(BUCKET_MS * 4, HOUR_MS);
    }
}
