//! The period that a page looks at, from the URL, in the server's time zone.
//!
//! Ready-made periods begin with a whole local hour or day, so that a chart has whole bars, and end with now. The log
//! and the usage page share this, so a link from one to the other finds the same calls.

use jiff::{
    RoundMode, Span, ToSpan, Unit, ZonedRound,
    civil::{Date, DateTime},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

use crate::{
    i18n::Messages,
    model::{time::UnixMs, token::named_enum},
    storage::rollups::{BUCKET_MS, bucket_of},
    web::form::{FieldErrors, Fields},
};

named_enum! {
    /// Which period.
    Choice {
        /// The running hour and the 23 before it.
        Day = "24h",
        /// Today and the 6 days before.
        Week = "7d",
        /// Today and the 29 days before.
        Month = "30d",
        /// Today and the 89 days before.
        Quarter = "90d",
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
            Self::Day => t.log.period_24h(),
            Self::Week => t.log.period_7d(),
            Self::Month => t.log.period_30d(),
            Self::Quarter => t.log.period_90d(),
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
        let days = |days: i64| {
            let first = now.zoned(zone).date().saturating_sub(Span::new().days(days));
            start_of_day(first, zone)
        };
        let from = match choice {
            Choice::Day => {
                let hour =
                    now.zoned(zone).round(ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc));
                hour.ok()
                    .and_then(|hour| hour.timestamp().checked_sub(23.hours()).ok())
                    .map(|start| UnixMs(start.as_millisecond()))
            }
            Choice::Week => days(6),
            Choice::Month => days(29),
            Choice::Quarter => days(89),
            Choice::All | Choice::Range => None,
        };
        Self { choice, from_text, to_text, from, to: None }
    }

    /// The same with borders moved outwards to whole quarters of an hour, for roll-ups.
    pub fn aligned(mut self) -> Self {
        self.from = self.from.map(bucket_of);
        self.to = self.to.map(|to| bucket_of(UnixMs(to.0.saturating_add(BUCKET_MS - 1))));
        self
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
        return start_of_day(if end { day.tomorrow().ok()? } else { day }, zone);
    }
    let time: DateTime = text.parse().ok()?;
    Some(UnixMs(time.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

/// Local midnight, or the first moment after it that exists.
pub fn start_of_day(day: Date, zone: &TimeZone) -> Option<UnixMs> {
    Some(UnixMs(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
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
    fn a_period_that_cannot_be_read_names_its_field_and_keeps_the_text() {
        let (period, errors) = read("from=yesterday&to=2026-13-01", "UTC");
        assert!(errors.find("from").is_some() && errors.find("to").is_some());
        assert_eq!(period.from_text, "yesterday");
        assert!(read("from=2026-03-02&to=2026-03-01", "UTC").1.find("to").is_some());
        assert!(read("from=-9999-01-01&to=9999-12-31", "UTC").1.find("from").is_some());
    }
}
