//! Points in time and waits, as headers, fields and sentences write them.

use std::time::Duration;

use super::data::Format;
use crate::model::time::UnixMs;

/// The wait that a text means, by its looks: seconds, seconds or milliseconds since 1970, a Go duration such as
/// `1m2.5s`, an HTTP date, or RFC 3339. Points in time are meant on the clock that shows `their_now`; one that is past
/// is no wait (zero).
pub fn wait(text: &str, their_now: UnixMs) -> Option<Duration> {
    wait_in(text, Format::Any, their_now)
}

/// The wait that a text means in a format.
pub(super) fn wait_in(text: &str, format: Format, their_now: UnixMs) -> Option<Duration> {
    let text = text.trim();
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    let date = |date: Option<UnixMs>| Some(date?.since(their_now));
    match format {
        Format::Seconds => seconds(number()?),
        Format::Milliseconds => seconds(number()? / 1000.0),
        // The casts saturate.
        Format::UnixSeconds => Some(UnixMs((number()? * 1000.0) as i64).since(their_now)),
        Format::UnixMs => Some(UnixMs(number()? as i64).since(their_now)),
        // A number without a unit is no Go duration.
        Format::Duration if number().is_some() => None,
        Format::Duration => whole_span(text),
        Format::Rfc3339 => date(rfc3339(text)),
        Format::HttpDate => date(http_date(text)),
        Format::Any => match number() {
            Some(number) if number >= 1e11 => wait_in(text, Format::UnixMs, their_now),
            Some(number) if number >= 1e9 => wait_in(text, Format::UnixSeconds, their_now),
            Some(number) => seconds(number),
            None => whole_span(text).or_else(|| date(http_date(text).or_else(|| rfc3339(text)))),
        },
    }
}

/// The point in time of an HTTP date, such as the `Date` header's.
pub fn http_date(text: &str) -> Option<UnixMs> {
    let timestamp = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(UnixMs(timestamp.as_millisecond()))
}

/// Reads numbers with units (`1m2.5s`, `12ms`, `2 minutes`) from the start of a text in lower case; a number without a
/// unit is seconds. Gives the sum and the rest of the text.
pub fn span(text: &str) -> Option<(Duration, &str)> {
    let mut total = None::<f64>;
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start();
        let digits =
            trimmed.find(|char: char| !(char.is_ascii_digit() || char == '.')).unwrap_or(trimmed.len());
        let Ok(number) = trimmed[..digits].trim_end_matches('.').parse::<f64>() else { break };
        let after = trimmed[digits..].trim_start();
        let letters = after.find(|char: char| !char.is_alphabetic()).unwrap_or(after.len());
        let factor = match &after[..letters] {
            "" | "s" | "sec" | "secs" | "second" | "seconds" | "秒" => 1.0,
            "ms" | "millis" | "milliseconds" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
            "d" | "day" | "days" => 86_400.0,
            // "in 2 requests" is no wait.
            _ => break,
        };
        total = Some(total.unwrap_or(0.0) + number * factor);
        rest = &after[letters..];
        if letters == 0 {
            break;
        }
    }
    Some((seconds(total?)?, rest))
}

fn whole_span(text: &str) -> Option<Duration> {
    match span(text) {
        Some((wait, "")) => Some(wait),
        _ => None,
    }
}

fn rfc3339(text: &str) -> Option<UnixMs> {
    Some(UnixMs(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

/// `None` for what is negative or larger than a duration can be.
fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
