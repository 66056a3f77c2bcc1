//! The time series as a drawing that the server makes: stacked bars of what adds up, lines of percentiles. Everything in
//! it is also in a table, so the drawing itself is hidden from screen readers.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::metric::{Metric, Unit};
use crate::{
    i18n::Messages,
    model::time::UnixMs,
    storage::usage_query::{
        report::{Series, Sums},
        steps::Step,
    },
};

/// Where the bars stand, in units of the drawing.
const LEFT: i64 = 64;
const RIGHT: i64 = 992;
const TOP: i64 = 14;
const BOTTOM: i64 = 216;

/// The widest bar: of few steps, most of the drawing stays empty.
const MAX_BAR: i64 = 84;

/// How many groups are drawn as lines: more of them can't be told apart.
const MAX_LINES: usize = 5;
/// How many groups the title of a bar names.
const TITLE_GROUPS: usize = 5;

/// What is drawn of a group.
#[derive(Debug, PartialEq, Eq)]
pub struct Layer {
    /// The style sheet's class: `g0` and on, `gx` of all others, `all` of all calls.
    pub class: String,
    /// What it is called.
    pub name: String,
    /// The path.
    pub path: String,
}

/// A step: what is seen when it is pointed at, and where it leads.
#[derive(Debug, PartialEq, Eq)]
pub struct Hit {
    /// Left border.
    pub x: i64,
    /// Width.
    pub width: i64,
    /// All of it in words.
    pub title: String,
    /// Its calls in the log.
    pub href: String,
}

/// A line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// When it begins.
    pub when: String,
    /// Its calls in the log.
    pub href: String,
    /// A number for each column.
    pub cells: Vec<String>,
}

/// The drawing and its table.
#[derive(Debug)]
pub struct Chart {
    /// What a step is.
    pub step: Step,
    /// Lines in place of bars.
    pub lines: bool,
    /// Lines across, each with its height and its number.
    pub grid: Vec<(i64, String)>,
    /// Texts below steps, each with its place.
    pub ticks: Vec<(i64, String)>,
    /// What is drawn, from back to front.
    pub layers: Vec<Layer>,
    /// The course of the period before.
    pub before: Option<String>,
    /// The steps.
    pub hits: Vec<Hit>,
    /// The headings of the table, beside that of the time.
    pub columns: Vec<String>,
    /// The table.
    pub rows: Vec<Row>,
}

/// What a drawing is made from.
pub struct Sheet<'a> {
    /// The language.
    pub t: Messages,
    /// Which number.
    pub metric: Metric,
    /// The steps.
    pub series: &'a Series,
    /// The names of the series' groups, in their order.
    pub names: &'a [String],
    /// The period before.
    pub before: Option<&'a Series>,
    /// Whose clock the steps are labelled by.
    pub zone: &'a TimeZone,
    /// Where a step leads, from its start to its end.
    pub link: &'a dyn Fn(UnixMs, Option<UnixMs>) -> String,
}

impl Chart {
    /// A drawing of a series; `None` if there is nothing to see in it.
    pub fn new(sheet: &Sheet<'_>) -> Option<Self> {
        let Sheet { t, metric, series, names, before, .. } = *sheet;
        let lines = !metric.adds_up();
        let value = |sums: &Sums| metric.value(sums).unwrap_or(0).max(0);
        let most = |points: &[Sums]| points.iter().map(value).max().unwrap_or(0);
        let before = before.map(|before| before.whole.as_slice()).filter(|points| most(points) > 0);
        if most(&series.whole) == 0 && before.is_none() {
            return None;
        }
        let drawn = series.groups.len().min(if lines { MAX_LINES } else { usize::MAX });
        let groups = || series.groups.iter().zip(names).take(drawn);
        let of_lines = groups().map(|(group, _)| most(&group.points)).max().filter(|_| lines).unwrap_or(0);
        let highest = most(&series.whole).max(before.map_or(0, most)).max(of_lines);
        let (tick, top) = scale(highest, metric.unit());
        let plan = Plan { count: series.whole.len(), top };
        let labels = labels(sheet);

        let others = |index: usize| {
            index + 1 == series.groups.len() && series.groups[index].name.is_others() && index > 0
        };
        let class = |index: usize| if others(index) { "gx".to_owned() } else { format!("g{index}") };
        let mut layers = Vec::new();
        if lines {
            for (index, (group, name)) in groups().enumerate() {
                let path = plan.line(group.points.iter().map(|sums| metric.value(sums)));
                layers.push(Layer { class: class(index), name: name.clone(), path });
            }
            let path = plan.line(series.whole.iter().map(|sums| metric.value(sums)));
            layers.push(Layer { class: "all".into(), name: t.usage.all_calls().to_owned(), path });
        } else if series.groups.is_empty() {
            let path = plan.bars(&series.whole.iter().map(|sums| (0, value(sums))).collect::<Vec<_>>());
            layers.push(Layer { class: "g0".into(), name: t.usage.all_calls().to_owned(), path });
        } else {
            let mut below = vec![0_i64; series.whole.len()];
            for (index, (group, name)) in groups().enumerate() {
                let spans: Vec<(i64, i64)> = below
                    .iter()
                    .zip(&group.points)
                    .map(|(below, sums)| (*below, below.saturating_add(value(sums))))
                    .collect();
                layers.push(Layer { class: class(index), name: name.clone(), path: plan.bars(&spans) });
                below = spans.into_iter().map(|(_, above)| above).collect();
            }
        }
        let course = before.map(|points| plan.line(points.iter().map(|sums| metric.value(sums))));

        let mut columns = vec![metric.label(t).to_owned()];
        columns.extend(groups().map(|(_, name)| name.clone()));
        columns.extend(before.map(|_| t.usage.period_before().to_owned()));
        let starts = series.steps.starts();
        let (mut hits, mut rows) = (Vec::new(), Vec::new());
        for (index, start) in starts.iter().enumerate() {
            let whole = &series.whole[index];
            let of_groups = groups().map(|(group, name)| (name, &group.points[index]));
            let mut cells = vec![metric.text(t, whole)];
            cells.extend(of_groups.clone().map(|(_, sums)| metric.text(t, sums)));
            if let Some(points) = before {
                cells.push(points.get(index).map(|sums| metric.text(t, sums)).unwrap_or_default());
            }
            let mut title = t.usage.bar_title(&labels[index], &metric.exact_text(t, whole));
            let mut parts: Vec<_> = of_groups.filter(|(_, sums)| value(sums) > 0).collect();
            parts.sort_by_key(|(_, sums)| std::cmp::Reverse(value(sums)));
            for (name, sums) in parts.into_iter().take(TITLE_GROUPS) {
                let name: String = name.chars().take(40).collect();
                let _ = write!(title, "\n{name}: {}", metric.text(t, sums));
            }
            let href = (sheet.link)(*start, starts.get(index + 1).copied());
            let (x, next) = (plan.place(index), plan.place(index + 1));
            hits.push(Hit { x, width: (next - x).max(1), title, href: href.clone() });
            rows.push(Row { when: labels[index].clone(), href, cells });
        }
        let grid = (0..=top / tick).map(|line| {
            let value = line * tick;
            (plan.height(value), metric.short(t, value))
        });
        Some(Self {
            step: series.steps.step(),
            lines,
            grid: grid.collect(),
            ticks: ticks(sheet, &plan),
            layers,
            before: course,
            hits,
            columns,
            rows,
        })
    }
}

/// Where things are.
struct Plan {
    count: usize,
    top: i64,
}

impl Plan {
    /// The left border of a step.
    fn place(&self, index: usize) -> i64 {
        LEFT + (RIGHT - LEFT) * index as i64 / self.count.max(1) as i64
    }

    /// How high up a number is.
    fn height(&self, value: i64) -> i64 {
        // 128 bits, because a number times the height may be larger than 64.
        let height = i128::from(value.clamp(0, self.top)) * i128::from(BOTTOM - TOP) / i128::from(self.top);
        BOTTOM - i64::try_from(height).unwrap_or(BOTTOM - TOP)
    }

    /// A box for each step, from a number to another.
    fn bars(&self, spans: &[(i64, i64)]) -> String {
        let mut path = String::new();
        for (index, (from, to)) in spans.iter().enumerate().filter(|(_, (from, to))| to > from) {
            let (x, next) = (self.place(index), self.place(index + 1));
            let gap = i64::from(next - x > 3) + i64::from(next - x > 10) + i64::from(next - x > 24) * 2;
            let width = (next - x - gap).clamp(1, MAX_BAR);
            let x = x + (next - x - gap - width) / 2;
            let bottom = self.height(*from);
            // What stands alone can be seen, however small it is.
            let top = self.height(*to).min(bottom - i64::from(*from == 0)).max(TOP);
            if top < bottom {
                let _ = write!(path, "M{x} {bottom}V{top}h{width}V{bottom}z");
            }
        }
        path
    }

    /// A line through the middles of the steps, with gaps where there is no number.
    fn line(&self, values: impl Iterator<Item = Option<i64>>) -> String {
        let mut path = String::new();
        let mut drawing = false;
        for (index, value) in values.enumerate().take(self.count) {
            let Some(value) = value else {
                drawing = false;
                continue;
            };
            let x = (self.place(index) + self.place(index + 1)) / 2;
            // A line of no length is a dot, since lines have round ends.
            let _ = match drawing {
                true => write!(path, "L{x} {}", self.height(value)),
                false => write!(path, "M{x} {}h0", self.height(value)),
            };
            drawing = true;
        }
        path
    }
}

/// The distance of the lines across and the highest of them: at most five lines, at numbers that are easily read.
fn scale(highest: i64, unit: Unit) -> (i64, i64) {
    let highest = highest.max(1);
    // A minute has 60 seconds, and an hour 60 minutes.
    const TIMES: [i64; 12] = [
        15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
        14_400_000, 28_800_000,
    ];
    let lines = |tick: i64| (highest - 1) / tick + 1;
    if unit == Unit::Ms
        && highest > 30_000
        && let Some(tick) = TIMES.into_iter().find(|tick| lines(*tick) <= 4)
    {
        return (tick, lines(tick) * tick);
    }
    let mut power = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            let tick = power.saturating_mul(factor);
            if lines(tick) <= 4 {
                return (tick, lines(tick).saturating_mul(tick));
            }
        }
        power = power.saturating_mul(10);
    }
}

/// When each step begins, as the table says it. In the hour that comes twice the offset tells which one is meant.
fn labels(sheet: &Sheet<'_>) -> Vec<String> {
    let format = sheet.t.format;
    let starts = sheet.series.steps.starts();
    let pattern = match sheet.series.steps.step() {
        Step::Quarter | Step::Hour => format.day_and_time(),
        Step::Month => format.month(),
        Step::Day | Step::Week => {
            let years = (starts.first(), starts.last());
            let year = |at: Option<&UnixMs>| at.map(|at| at.zoned(sheet.zone).year());
            if year(years.0) == year(years.1) { format.day() } else { format.full_day() }
        }
    };
    let text = |at: &UnixMs| at.zoned(sheet.zone).strftime(pattern).to_string();
    let mut texts: Vec<String> = starts.iter().map(text).collect();
    let mut seen = std::collections::HashMap::new();
    for (index, text) in texts.clone().into_iter().enumerate() {
        if let Some(other) = seen.insert(text, index) {
            for twice in [other, index] {
                texts[twice] =
                    starts[twice].zoned(sheet.zone).strftime(&format!("{pattern} %:z")).to_string();
            }
        }
    }
    texts
}

/// At most nine texts below the steps. Between hours, the day stands below its first one.
fn ticks(sheet: &Sheet<'_>, plan: &Plan) -> Vec<(i64, String)> {
    let format = sheet.t.format;
    let (step, starts) = (sheet.series.steps.step(), sheet.series.steps.starts());
    let short = matches!(step, Step::Quarter | Step::Hour);
    let local = |index: usize| starts[index].zoned(sheet.zone);
    let is_midnight = |index: &usize| local(*index).hour() == 0 && local(*index).minute() == 0;
    let least = starts.len().div_ceil(8).max(1);
    let every = match step {
        Step::Quarter => [1, 2, 4, 8, 16, 24].into_iter().find(|every| *every >= least).unwrap_or(least),
        Step::Hour => [1, 2, 3, 4, 6, 12, 24].into_iter().find(|every| *every >= least).unwrap_or(least),
        _ => least,
    };
    let first = if short { (0..starts.len()).find(is_midnight).unwrap_or(0) % every } else { 0 };
    (first..starts.len())
        .step_by(every)
        .map(|index| {
            let pattern = match step {
                Step::Quarter | Step::Hour if is_midnight(&index) => format.day(),
                Step::Quarter | Step::Hour => "%H:%M",
                Step::Day | Step::Week => format.day(),
                Step::Month => format.month(),
            };
            let middle = (plan.place(index) + plan.place(index + 1)) / 2;
            (middle, local(index).strftime(pattern).to_string())
        })
        .collect()
}

/// A row of small bars, as wide as a line of a table has room: a course at a glance.
#[derive(Debug, PartialEq, Eq)]
pub struct Spark {
    /// The path of what was answered and what was not.
    pub path: String,
    /// The path of what was not answered, over it.
    pub failed: String,
    /// All of it in words.
    pub title: String,
}

impl Spark {
    /// Width and height of the drawing.
    pub const SIZE: (i64, i64) = (112, 24);

    /// Calls of a group, step by step.
    pub fn new(t: Messages, points: &[Sums]) -> Self {
        let (width, height) = Self::SIZE;
        let most = points.iter().map(|sums| sums.requests).max().unwrap_or(0).max(1);
        let place = |index: usize| width * index as i64 / points.len().max(1) as i64;
        let draw = |value: &dyn Fn(&Sums) -> i64| {
            let mut path = String::new();
            for (index, sums) in points.iter().enumerate().filter(|(_, sums)| value(sums) > 0) {
                let tall = i128::from(value(sums)) * i128::from(height) / i128::from(most);
                let tall = i64::try_from(tall).unwrap_or(height).clamp(1, height);
                let (x, next) = (place(index), place(index + 1));
                let _ = write!(path, "M{x} {height}v-{tall}h{}v{tall}z", (next - x - 2).max(1));
            }
            path
        };
        let numbers: Vec<String> = points.iter().map(|sums| sums.requests.to_string()).collect();
        Self {
            path: draw(&|sums| sums.requests),
            failed: draw(&Sums::failed),
            title: t.usage.spark_title(points.len(), &numbers.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        storage::usage_query::{
            report::{GroupName, GroupSeries},
            steps::Steps,
        },
    };

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn calls(requests: i64, failed: i64) -> Sums {
        Sums { requests, ok: requests - failed, ..Sums::default() }
    }

    /// Two groups with the same calls each, every so many hours.
    fn chart(metric: Metric, zone: &str, period: (&str, &str), points: &[Sums]) -> Option<Chart> {
        let zone = TimeZone::get(zone).unwrap();
        let steps = Steps::new(Step::Hour, at(period.0), at(period.1), &zone);
        let points: Vec<Sums> = points.iter().cycle().take(steps.starts().len()).cloned().collect();
        let twice = |sums: &Sums| {
            let mut both = sums.clone();
            both.merge(sums);
            both
        };
        let series = Series {
            steps,
            whole: points.iter().map(twice).collect(),
            groups: [GroupName::Model("a".into()), GroupName::Others]
                .map(|name| GroupSeries { name, points: points.clone() })
                .to_vec(),
        };
        let link = |from: UnixMs, to: Option<UnixMs>| format!("/{}-{}", from.0, to.map_or(0, |to| to.0));
        Chart::new(&Sheet {
            t: Messages::of(Lang::En),
            metric,
            series: &series,
            names: &["a".to_owned(), "others".to_owned()],
            before: None,
            zone: &zone,
            link: &link,
        })
    }

    const DAY: (&str, &str) = ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z");

    #[test]
    fn groups_stand_on_each_other_and_every_step_is_in_the_table() {
        let chart = chart(Metric::Requests, "UTC", DAY, &[calls(500, 0), calls(0, 0)]).unwrap();
        assert_eq!((chart.hits.len(), chart.rows.len(), chart.layers.len()), (24, 24, 2));
        assert_eq!(
            chart.grid.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
            ["0", "500", "1,000"]
        );
        let (low, high) = (&chart.layers[0], &chart.layers[1]);
        assert_eq!((low.class.as_str(), high.class.as_str()), ("g0", "gx"));
        let middle = (TOP + BOTTOM) / 2;
        assert!(low.path.starts_with(&format!("M{LEFT} {BOTTOM}V{middle}h")), "{}", low.path);
        assert!(high.path.starts_with(&format!("M{LEFT} {middle}V{TOP}h")), "{}", high.path);
        assert_eq!(low.path.matches('M').count(), 12, "a step without calls has no bar");
        assert_eq!(chart.rows[0].cells, ["1,000", "500", "500"]);
        assert_eq!(chart.hits[0].title, "May 1, 00:00: 1,000\na: 500\nothers: 500");
        assert_eq!(chart.hits[0].href, format!("/{}-{}", at(DAY.0).0, at("2026-05-01T01:00:00Z").0));
        assert!(chart.ticks.len() <= 9 && chart.ticks[0].1 == "May 1" && chart.ticks[1].1 == "03:00");
    }

    #[test]
    fn percentiles_are_lines_with_gaps() {
        let mut fast = calls(1, 0);
        fast.total.add(1000);
        let chart = chart(Metric::TotalP95, "UTC", DAY, &[fast, calls(0, 0)]).unwrap();
        assert!(chart.lines);
        assert_eq!(chart.layers.last().unwrap().class, "all");
        assert_eq!(chart.layers[0].path.matches("h0").count(), 12);
        assert!(!chart.layers[0].path.contains('L'));
        assert_eq!(chart.rows[1].cells, ["—", "—", "—"]);
    }

    #[test]
    fn the_hour_that_comes_twice_says_which_one_it_is() {
        let period = ("2026-10-24T23:00:00Z", "2026-10-25T03:00:00Z");
        let chart = chart(Metric::Requests, "Europe/Berlin", period, &[calls(1, 0)]).unwrap();
        let when: Vec<&str> = chart.rows.iter().map(|row| row.when.as_str()).collect();
        assert_eq!(when, ["Oct 25, 01:00", "Oct 25, 02:00 +02:00", "Oct 25, 02:00 +01:00", "Oct 25, 03:00"]);
    }

    #[test]
    fn absurd_counts_stay_within_the_drawing_and_nothing_is_no_drawing() {
        assert!(chart(Metric::Requests, "UTC", DAY, &[calls(0, 0)]).is_none());
        assert!(chart(Metric::Errors, "UTC", DAY, &[calls(9, 0)]).is_none());
        let chart = chart(Metric::Errors, "UTC", DAY, &[calls(i64::MAX, i64::MAX), calls(1, 1)]).unwrap();
        let heights = chart.layers.iter().flat_map(|layer| layer.path.split('V').skip(1));
        for height in heights {
            let height: i64 = height.split(['h', 'z']).next().unwrap().parse().unwrap();
            assert!((TOP..=BOTTOM).contains(&height), "{height}");
        }
        for highest in [1, 2, 3, 7, 99, 1_234, 59_000, 61_000, 4_000_000, i64::MAX] {
            for unit in [Unit::Count, Unit::Ms] {
                let (tick, top) = scale(highest, unit);
                assert!(top >= highest && tick > 0 && top / tick <= 5, "{highest}: {tick} {top}");
            }
        }
    }

    #[test]
    fn a_spark_shows_failures_over_calls() {
        let spark = Spark::new(Messages::of(Lang::En), &[calls(10, 5), calls(0, 0), calls(1, 0)]);
        assert!(spark.path.starts_with("M0 24v-24h") && spark.failed == "M0 24v-12h35v12z", "{spark:?}");
        assert!(spark.title.contains("10, 0, 1"), "{}", spark.title);
    }
}
