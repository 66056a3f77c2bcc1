//! Times as people write them in options.

use std::time::Duration;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use crate::model::time::UnixMs;

/// Reads a length of time such as `90s`, `15m`, `24h`, `7d` or `2w`; at most a hundred years.
pub fn length(text: &str) -> Option<Duration> {
    const MOST_SECONDS: u64 = 100 * 366 * 24 * 3600;
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let count = text[..text.len() - unit.len_utf8()].parse::<u32>().ok()?;
    let seconds = u64::from(count) * seconds;
    (seconds <= MOST_SECONDS).then(|| Duration::from_secs(seconds))
}

/// Reads a point in time: RFC 3339 with an offset, or a date and time or a date alone on the clock of `zone`. A date
/// alone is its first moment; as an `end` it is the first moment of the next day, so that the day is included.
pub fn point(text: &str, zone: &TimeZone, end: bool) -> Option<UnixMs> {
    let of = |timestamp: Timestamp| UnixMs(timestamp.as_millisecond());
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(of(timestamp));
    }
    // A text that is only a date also reads as a date and time.
    if !text.contains(['T', ' ', ':']) {
        let day: Date = text.parse().ok()?;
        let day = if end { day.tomorrow().ok()? } else { day };
        return Some(of(day.to_zoned(zone.clone()).ok()?.timestamp()));
    }
    let time: DateTime = text.parse().ok()?;
    Some(of(time.to_zoned(zone.clone()).ok()?.timestamp()))
}

/// The same, or a length of time before `now`.
pub fn point_or_ago(text: &str, now: UnixMs, zone: &TimeZone, end: bool) -> Option<UnixMs> {
    length(text).map(|ago| now - ago).or_else(|| point(text, zone, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMs {
        UnixMs(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn lengths_have_a_number_and_a_unit() {
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600)]
        {
            assert_eq!(length(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "24", "-1h", "1.5h", "24 h", "1y", "4000000000w", "1时"] {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn points_are_rfc_3339_or_on_the_local_clock() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text, end| point(text, &berlin, end);
        assert_eq!(read("2026-03-28T10:00:00Z", false), Some(at("2026-03-28T10:00:00Z")));
        assert_eq!(read("2026-03-28T10:00:00+02:00", false), Some(at("2026-03-28T08:00:00Z")));
        assert_eq!(read("2026-03-28T10:00", false), Some(at("2026-03-28T09:00:00Z")));
        assert_eq!(read("2026-03-29", false), Some(at("2026-03-28T23:00:00Z")));
        assert_eq!(
            read("2026-03-29", true),
            Some(at("2026-03-29T22:00:00Z")),
            "an hour is missing on that day"
        );
        assert_eq!(read("yesterday", false), None);
        let now = at("2026-03-28T10:00:00Z");
        assert_eq!(point_or_ago("24h", now, &berlin, false), Some(at("2026-03-27T10:00:00Z")));
    }
}
