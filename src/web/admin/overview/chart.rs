//! The small chart of the last hours: numbers for an SVG that the server draws.

use jiff::tz::TimeZone;

use super::figures::Lately;
use crate::{i18n::Messages, model::time::UnixMs, web::format::number};

/// The length of what a bar stands for.
const STEP_MS: i64 = 30 * 60_000;
/// How many bars there are: a day.
const BARS: i64 = 48;
/// The height of the drawing.
const HEIGHT: i64 = 100;

/// A bar of the chart: failures at the bottom, answers above.
#[derive(Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its place, from the left.
    pub place: i64,
    /// What it says.
    pub title: String,
    /// Top and height of the answers' part.
    pub answered: (i64, i64),
    /// Top and height of the failures' part.
    pub failed: (i64, i64),
}

/// What a bar is made of.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    requests: i64,
    failed: i64,
}

/// The chart.
#[derive(Debug)]
pub struct Chart {
    /// Its bars that are not empty.
    pub bars: Vec<Bar>,
    /// All of it in a sentence.
    pub summary: String,
    /// What stands below it from left to right, before "now".
    pub ticks: Vec<String>,
}

impl Chart {
    /// The bars of a day that begins with the sums; `None` if there was no call.
    pub fn new(t: Messages, lately: &Lately, zone: &TimeZone) -> Option<Self> {
        let sums = &lately.report.sums;
        if sums.requests == 0 {
            return None;
        }
        let mut points = vec![Point::default(); BARS as usize];
        if let Some(series) = &lately.report.series {
            for (start, sums) in series.steps.starts().iter().zip(&series.whole) {
                let place = (start.0 - lately.from.0).div_euclid(STEP_MS).clamp(0, BARS - 1);
                let sum = &mut points[place as usize];
                sum.requests = sum.requests.saturating_add(sums.requests);
                sum.failed = sum.failed.saturating_add(sums.failed());
            }
        }
        let most = points.iter().map(|point| point.requests).max().unwrap_or(0).max(1);
        let clock =
            |place: i64| UnixMs(lately.from.0 + place * STEP_MS).zoned(zone).strftime("%H:%M").to_string();
        // What there is can be seen, however little it is beside the largest.
        let height = |count: i64| match count {
            0 => 0,
            count => {
                i64::try_from(i128::from(count) * i128::from(HEIGHT) / i128::from(most)).unwrap_or(0).max(2)
            }
        };
        let bar = |(place, point): (i64, &Point)| {
            let failed = height(point.failed);
            let answered = height(point.requests.saturating_sub(point.failed)).min(HEIGHT - failed);
            let title = t.overview.bar_title(&clock(place), &number(point.requests), &number(point.failed));
            Bar {
                place,
                title,
                answered: (HEIGHT - failed - answered, answered),
                failed: (HEIGHT - failed, failed),
            }
        };
        Some(Self {
            bars: (0..).zip(&points).filter(|(_, point)| point.requests > 0).map(bar).collect(),
            summary: t.overview.chart_summary(&number(sums.requests), &number(sums.failed())),
            ticks: [0, BARS / 4, BARS / 2, BARS / 4 * 3].map(clock).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        storage::usage_query::{
            report::{Series, Sums, UsageReport},
            steps::{Step, Steps},
        },
    };

    #[test]
    fn half_hours_become_bars_and_nothing_becomes_no_chart() {
        let t = Messages::of(Lang::En);
        let mut lately = Lately { from: UnixMs(0), report: UsageReport::default(), saved_micros: None };
        assert!(Chart::new(t, &lately, &TimeZone::UTC).is_none());
        lately.report.sums.requests = 44;
        let steps = Steps::new(Step::Quarter, UnixMs(0), UnixMs(BARS * STEP_MS), &TimeZone::UTC);
        let mut whole = vec![Sums::default(); steps.starts().len()];
        for (quarter, requests, ok) in [(0, 10, 10), (1, 30, 0), (4, 4, 4)] {
            whole[quarter] = Sums { requests, ok, ..Sums::default() };
        }
        lately.report.series = Some(Series { steps, whole, groups: Vec::new() });
        let chart = Chart::new(t, &lately, &TimeZone::UTC).unwrap();
        let places: Vec<i64> = chart.bars.iter().map(|bar| bar.place).collect();
        assert_eq!(places, [0, 2]);
        assert_eq!((chart.bars[0].answered, chart.bars[0].failed), ((0, 25), (25, 75)));
        assert_eq!(chart.bars[0].title, "00:00: 40 requests, 30 failed");
        assert_eq!(chart.bars[1].answered, (90, 10));
        assert_eq!(chart.ticks, ["00:00", "06:00", "12:00", "18:00"]);
    }
}
