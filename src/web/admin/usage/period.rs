//! The period that a page looks at, from the URL, in the server's time zone.
//!
//! Ready-made periods begin with a whole local hour or day, so that a chart has whole bars, and end with now. The log
//! and the usage page share this, so a link from one to the other finds the same calls.

use jiff::{
    RoundMode, Span, Timestamp, ToSpan, Unit, ZonedRound,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::{
    i18n::Messages,
    model::{time::UnixMs, token::named_enum},
    storage::{
        rollups::{BUCKET_MS, bucket_of},
        usage_query::steps::midnight,
    },
    web::form::{FieldErrors, Fields},
};

const HOUR_MS: i64 = 3_600_000;

named_enum! {
    /// Which period.
    Choice {
        /// The running quarter of an hour and the hour before it.
        Hour = "1h",
        /// Today.
        Today = "today",
        /// Yesterday.
        Yesterday = "yesterday",
        /// The running hour and the 23 before it.
        Day = "24h",
        /// Today and the 6 days before.
        Week = "7d",
        /// Today and the 29 days before.
        Month = "30d",
        /// This month.
        ThisMonth = "month",
        /// Today and the 89 days before.
        Quarter = "90d",
        /// Today and the 364 days before.
        Year = "365d",
        /// Everything.
        All = "all",
        /// From and to, as the visitor writes it.
        Range = "range",
    }
}

impl Choice {
    /// What it is called.
    pub fn label(self, t: Messages) -> &'static str {
        match self {
            Self::Hour => t.log.period_1h(),
            Self::Today => t.log.period_today(),
            Self::Yesterday => t.log.period_yesterday(),
            Self::Day => t.log.period_24h(),
            Self::Week => t.log.period_7d(),
            Self::Month => t.log.period_30d(),
            Self::ThisMonth => t.log.period_month(),
            Self::Quarter => t.log.period_90d(),
            Self::Year => t.log.period_365d(),
            Self::All => t.log.period_all(),
            Self::Range => t.log.period_range(),
        }
    }
}

/// A period, and the texts that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Which one.
    pub choice: Choice,
    /// The visitor's own start, as it was written.
    pub from_text: String,
    /// The visitor's own end, as it was written.
    pub to_text: String,
    /// The start; `None` without one.
    pub from: Option<UnixMs>,
    /// The end, which is outside; `None` is now.
    pub to: Option<UnixMs>,
}

impl Period {
    /// Reads `period`, `from` and `to`. A start or an end that is filled in counts more than a ready-made period.
    pub fn read(
        fields: &Fields,
        default: Choice,
        now: UnixMs,
        zone: &TimeZone,
        t: Messages,
        errors: &mut FieldErrors,
    ) -> Self {
        let text = |name| fields.text(name).chars().take(40).collect::<String>();
        let (from_text, to_text) = (text("from"), text("to"));
        if !from_text.is_empty() || !to_text.is_empty() {
            let mut read = |name: &str, text: &str, end: bool| {
                let read = border(text, end, zone);
                if read.is_none() && !text.is_empty() {
                    errors.add(name, t.log.range_unreadable());
                }
                read
            };
            let (from, to) = (read("from", &from_text, false), read("to", &to_text, true));
            if matches!((from, to), (Some(from), Some(to)) if from >= to) {
                errors.add("to", t.log.range_backwards());
            }
            return Self { choice: Choice::Range, from_text, to_text, from, to };
        }
        let choice = Choice::from_name(fields.text("period"))
            .filter(|choice| *choice != Choice::Range)
            .unwrap_or(default);
        let today = now.zoned(zone).date();
        let days = |days: i64| midnight(today.saturating_sub(Span::new().days(days)), zone);
        let from = match choice {
            Choice::Hour => Some(bucket_of(UnixMs(now.0.saturating_sub(HOUR_MS)))),
            Choice::Today => days(0),
            Choice::Yesterday => days(1),
            Choice::Day => {
                let hour =
                    now.zoned(zone).round(ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc));
                hour.ok()
                    .and_then(|hour| hour.timestamp().checked_sub(23.hours()).ok())
                    .map(|start| UnixMs(start.as_millisecond()))
            }
            Choice::Week => days(6),
            Choice::Month => days(29),
            Choice::ThisMonth => midnight(today.first_of_month(), zone),
            Choice::Quarter => days(89),
            Choice::Year => days(364),
            Choice::All | Choice::Range => None,
        };
        let to = (choice == Choice::Yesterday).then(|| days(0)).flatten();
        Self { choice, from_text, to_text, from, to }
    }

    /// The same with borders moved outwards to whole quarters of an hour, for roll-ups.
    pub fn aligned(mut self) -> Self {
        self.from = self.from.map(bucket_of);
        self.to = self.to.map(next_bucket);
        self
    }

    /// The period to compare with: as long as this one and right before it, in whole quarters of an hour. Of days and
    /// months that are not over, the same part of those before: today until noon compares with yesterday until noon.
    pub fn before(&self, now: UnixMs, zone: &TimeZone) -> Option<(UnixMs, UnixMs)> {
        let from = self.from?;
        let end = self.to.unwrap_or(now).min(now);
        if end <= from {
            return None;
        }
        let span = match self.choice {
            Choice::Today | Choice::Yesterday => Span::new().days(1),
            Choice::Week => Span::new().days(7),
            Choice::Month => Span::new().days(30),
            Choice::Quarter => Span::new().days(90),
            Choice::Year => Span::new().days(365),
            Choice::ThisMonth => Span::new().months(1),
            Choice::Range => match whole_days(from, self.to, now, zone) {
                Some(days) => Span::new().days(days),
                None => return straight_before(from, end),
            },
            Choice::Hour | Choice::Day => return straight_before(from, end),
            Choice::All => return None,
        };
        let earlier = |at: UnixMs| {
            let local = at.zoned(zone).datetime().checked_sub(span).ok()?;
            Some(UnixMs(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
        };
        let (start, stop) = (bucket_of(earlier(from)?), next_bucket(earlier(end)?).min(from));
        (start < stop).then_some((start, stop))
    }

    /// The fields of a URL that read as this period, its borders where they count: an own period names its moments with
    /// their offsets, so that it means the same in the hour that comes twice.
    pub fn exact_query(&self, zone: &TimeZone) -> Vec<(&'static str, String)> {
        if self.choice != Choice::Range {
            return self.query();
        }
        let text = |at: Option<UnixMs>| at.map(|at| moment(at, zone)).unwrap_or_default();
        vec![("from", text(self.from)), ("to", text(self.to))]
    }

    /// The fields of a URL that read as this period.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        match self.choice {
            Choice::Range => vec![("from", self.from_text.clone()), ("to", self.to_text.clone())],
            choice => vec![("period", choice.as_str().to_owned())],
        }
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
    }

    /// The ready-made choices.
    pub fn choices() -> impl Iterator<Item = Choice> {
        Choice::ALL.iter().copied().filter(|choice| *choice != Choice::Range)
    }
}

/// How many days lie between two midnights; `None` if one of them is none. Without an end, today is the last day.
fn whole_days(from: UnixMs, to: Option<UnixMs>, now: UnixMs, zone: &TimeZone) -> Option<i64> {
    let last = match to {
        Some(to) => to.zoned(zone).date(),
        None => now.zoned(zone).date().tomorrow().ok()?,
    };
    let first = from.zoned(zone).date();
    let whole = midnight(first, zone) == Some(from) && to.is_none_or(|to| midnight(last, zone) == Some(to));
    let days = i64::from(first.until(last).ok()?.get_days());
    (whole && days > 0).then_some(days)
}

/// As long as from `from` to `end`, and right before it.
fn straight_before(from: UnixMs, end: UnixMs) -> Option<(UnixMs, UnixMs)> {
    let length = next_bucket(end).0.checked_sub(from.0)?;
    Some((UnixMs(from.0.checked_sub(length)?), from))
}

/// The end of the quarter of an hour that a time lies in, or the time if one ends there.
fn next_bucket(at: UnixMs) -> UnixMs {
    bucket_of(UnixMs(at.0.saturating_add(BUCKET_MS - 1)))
}

/// A point in time with its offset, which reads back as itself.
pub fn moment(at: UnixMs, zone: &TimeZone) -> String {
    at.zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// A path with the fields that are not empty.
pub fn url<'a>(path: &str, fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if !value.is_empty() {
            query.append_pair(name, &value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Reads a day or a point in time; a day as an end means its last moment.
fn border(text: &str, end: bool, zone: &TimeZone) -> Option<UnixMs> {
    if text.len() == 10 {
        let day: Date = text.parse().ok()?;
        return midnight(if end { day.tomorrow().ok()? } else { day }, zone);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(UnixMs(moment.as_millisecond()));
    }
    let time: DateTime = text.parse().ok()?;
    Some(UnixMs(time.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn read(query: &str, zone: &str) -> (Period, FieldErrors) {
        let mut errors = FieldErrors::default();
        let zone = TimeZone::get(zone).unwrap();
        let now = at("2026-03-31T10:20:30Z");
        let fields = Fields::parse(query.as_bytes());
        let period = Period::read(&fields, Choice::Day, now, &zone, Messages::of(Lang::En), &mut errors);
        (period, errors)
    }

    #[test]
    fn ready_made_periods_begin_with_a_whole_local_hour_or_day() {
        assert_eq!(read("", "UTC").0.from, Some(at("2026-03-30T11:00:00Z")));
        assert_eq!(read("period=24h", "Asia/Kolkata").0.from, Some(at("2026-03-30T10:30:00Z")));
        // Six days back, beyond the change to summer time on the 29th.
        assert_eq!(read("period=7d", "Europe/Berlin").0.from, Some(at("2026-03-24T23:00:00Z")));
        assert_eq!(read("period=1h", "UTC").0.from, Some(at("2026-03-31T09:15:00Z")));
        assert_eq!(read("period=today", "Asia/Kolkata").0.from, Some(at("2026-03-30T18:30:00Z")));
        let yesterday = read("period=yesterday", "Europe/Berlin").0;
        assert_eq!(
            (yesterday.from, yesterday.to),
            (Some(at("2026-03-29T22:00:00Z")), Some(at("2026-03-30T22:00:00Z")))
        );
        assert_eq!(read("period=month", "UTC").0.from, Some(at("2026-03-01T00:00:00Z")));
        assert_eq!(read("period=365d", "UTC").0.from, Some(at("2025-04-01T00:00:00Z")));
        assert_eq!(read("period=all", "UTC").0.from, None);
        assert_eq!(read("period=nonsense", "UTC").0.choice, Choice::Day);
        assert_eq!(read("period=range", "UTC").0.choice, Choice::Day, "a range needs a start or an end");
    }

    #[test]
    fn an_own_period_includes_its_last_day() {
        let (period, errors) = read("period=7d&from=2026-03-28&to=2026-03-29", "Europe/Berlin");
        assert!(errors.is_empty());
        assert_eq!(period.choice, Choice::Range);
        assert_eq!(
            (period.from, period.to),
            (Some(at("2026-03-27T23:00:00Z")), Some(at("2026-03-29T22:00:00Z")))
        );
        assert_eq!(period.query(), [("from", "2026-03-28".to_owned()), ("to", "2026-03-29".to_owned())]);
        let period = read("from=2026-03-28T10:07&to=2026-03-28T10:20", "UTC").0.aligned();
        assert_eq!(
            (period.from, period.to),
            (Some(at("2026-03-28T10:00:00Z")), Some(at("2026-03-28T10:30:00Z")))
        );
    }

    #[test]
    fn the_period_before_is_as_long_and_of_running_days_the_same_part() {
        let before = |query: &str, zone: &str| {
            let (period, errors) = read(query, zone);
            assert!(errors.is_empty(), "{query}");
            let zone = TimeZone::get(zone).unwrap();
            let before = period.aligned().before(at("2026-03-31T10:20:30Z"), &zone);
            before.map(|(from, to)| (from.timestamp().to_string(), to.timestamp().to_string()))
        };
        let is = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(before("period=today", "UTC"), is("2026-03-30T00:00:00Z", "2026-03-30T10:30:00Z"));
        assert_eq!(before("period=yesterday", "UTC"), is("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"));
        // A week ago there was winter time.
        assert_eq!(before("period=7d", "Europe/Berlin"), is("2026-03-17T23:00:00Z", "2026-03-24T11:30:00Z"));
        assert_eq!(before("period=month", "UTC"), is("2026-02-01T00:00:00Z", "2026-02-28T10:30:00Z"));
        assert_eq!(before("period=24h", "UTC"), is("2026-03-29T11:30:00Z", "2026-03-30T11:00:00Z"));
        assert_eq!(before("period=1h", "UTC"), is("2026-03-31T08:00:00Z", "2026-03-31T09:15:00Z"));
        assert_eq!(before("period=all", "UTC"), None);
        let days = "from=2026-03-28&to=2026-03-29";
        assert_eq!(before(days, "Europe/Berlin"), is("2026-03-25T23:00:00Z", "2026-03-27T23:00:00Z"));
        assert_eq!(before("from=2026-03-30", "UTC"), is("2026-03-28T00:00:00Z", "2026-03-29T10:30:00Z"));
        let hours = "from=2026-03-28T10:00&to=2026-03-28T12:00";
        assert_eq!(before(hours, "UTC"), is("2026-03-28T08:00:00Z", "2026-03-28T10:00:00Z"));
        assert_eq!(before("from=2027-01-01", "UTC"), None);
    }

    #[test]
    fn a_link_to_the_same_calls_means_the_same_in_the_hour_that_comes_twice() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let second = at("2026-10-25T01:15:00Z");
        assert_eq!(moment(second, &zone), "2026-10-25T02:15:00+01:00");
        let query = "from=2026-10-25T02%3A15%3A00%2B01%3A00&to=2026-10-25T01%3A30%3A00Z";
        let (period, errors) = read(query, "Europe/Berlin");
        assert!(errors.is_empty());
        assert_eq!((period.from, period.to), (Some(second), Some(at("2026-10-25T01:30:00Z"))));
        let again = period.exact_query(&zone);
        assert_eq!(again[0], ("from", "2026-10-25T02:15:00+01:00".to_owned()));
        assert_eq!(again[1], ("to", "2026-10-25T02:30:00+01:00".to_owned()));
    }

    #[test]
    fn a_period_that_cannot_be_read_names_its_field_and_keeps_the_text() {
        let (period, errors) = read("from=yesterday&to=2026-13-01", "UTC");
        assert!(errors.find("from").is_some() && errors.find("to").is_some());
        assert_eq!(period.from_text, "yesterday");
        assert!(read("from=2026-03-02&to=2026-03-01", "UTC").1.find("to").is_some());
        assert!(read("from=-9999-01-01&to=9999-12-31", "UTC").1.find("from").is_some());
    }
}
