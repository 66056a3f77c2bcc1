//! When an upstream says that it may be asked again.

use std::time::Duration;

use http::HeaderMap;

use crate::{
    model::time::UnixMs,
    protocol::error_body::{ErrorBody, seconds_of},
};

/// Headers that give the wait itself, in the order in which they are believed; the flag says that a bare number is
/// milliseconds.
const WAIT_HEADERS: &[(&str, bool)] =
    &[("retry-after-ms", true), ("x-ms-retry-after-ms", true), ("retry-after", false)];

/// Pairs of headers: when a window opens again, and what is left in it. OpenAI's and Groq's
/// (<https://console.groq.com/docs/rate-limits>), OpenRouter's, Anthropic's
/// (<https://docs.anthropic.com/en/api/rate-limits>).
const RESET_HEADERS: &[(&str, &str)] = &[
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("x-ratelimit-reset-requests-day", "x-ratelimit-remaining-requests-day"),
    ("x-ratelimit-reset-tokens-minute", "x-ratelimit-remaining-tokens-minute"),
    ("x-ratelimit-reset", "x-ratelimit-remaining"),
    ("ratelimit-reset", "ratelimit-remaining"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"),
    ("anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"),
];

/// Phrases that announce a wait, in lower case.
const PHRASES: &[&str] = &[
    "try again in ",
    "try again after ",
    "retry in ",
    "retry after ",
    "please wait ",
    "wait for ",
    "available again in ",
    "resets in ",
];

/// The wait that an answer asks for: from its headers, then its body's fields and text, then the headers that say when
/// a used-up window opens again. `None` if it asks for none, or for no time at all.
pub(super) fn wait(headers: &HeaderMap, body: &ErrorBody, now: UnixMs) -> Option<Duration> {
    let quoted =
        |name: &str| body.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let find = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).or_else(|| quoted(name));
    // A date is meant on the upstream's clock.
    let their_now = find("date").and_then(http_date).unwrap_or(now);
    let direct = WAIT_HEADERS.iter().find_map(|(name, milliseconds)| {
        let text = find(name)?.trim();
        if *milliseconds { seconds_of(text.parse::<f64>().ok()? / 1000.0) } else { moment(text, their_now) }
    });
    direct
        .or(body.retry_after)
        .or_else(|| in_text(&body.message))
        .or_else(|| in_text(body.raw.as_deref()?))
        .or_else(|| {
            let opens = RESET_HEADERS.iter().filter_map(|(reset, remaining)| {
                let used_up =
                    find(remaining).is_none_or(|left| left.trim().parse().is_ok_and(|left: f64| left <= 0.0));
                moment(find(reset).filter(|_| used_up)?.trim(), their_now)
            });
            opens.max()
        })
        .filter(|wait| !wait.is_zero())
}

/// A point in time or a wait, as headers write it: seconds, seconds or milliseconds since 1970, a Go duration such as
/// `1m2.5s`, an HTTP date, or RFC 3339.
fn moment(text: &str, now: UnixMs) -> Option<Duration> {
    if let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) {
        return match number {
            number if number >= 1e11 => Some(UnixMs(number as i64).since(now)),
            number if number >= 1e9 => Some(UnixMs((number * 1000.0) as i64).since(now)),
            number => seconds_of(number),
        };
    }
    if let Some((wait, "")) = span(text) {
        return Some(wait);
    }
    let date =
        http_date(text).or_else(|| Some(UnixMs(text.parse::<jiff::Timestamp>().ok()?.as_millisecond())))?;
    Some(date.since(now))
}

fn http_date(text: &str) -> Option<UnixMs> {
    let timestamp = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(UnixMs(timestamp.as_millisecond()))
}

/// A wait that a sentence announces, such as `Please try again in 7m30.5s`.
fn in_text(text: &str) -> Option<Duration> {
    let text: String = text.chars().take(4000).collect::<String>().to_lowercase();
    PHRASES.iter().find_map(|phrase| {
        text.match_indices(phrase).take(8).find_map(|(at, _)| Some(span(&text[at + phrase.len()..])?.0))
    })
}

/// Reads numbers with units (`1m2.5s`, `12ms`, `2 minutes`) from the start of a text; a number without a unit is
/// seconds. Gives the sum and the rest of the text.
fn span(text: &str) -> Option<(Duration, &str)> {
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
    Some((seconds_of(total?)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: UnixMs = UnixMs(1_791_331_140_000);

    fn from_headers(headers: &[(&'static str, &str)]) -> Option<f64> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        wait(&headers, &ErrorBody::default(), NOW).map(|wait| wait.as_secs_f64())
    }

    fn from_body(body: &str) -> Option<f64> {
        wait(&HeaderMap::new(), &ErrorBody::read(body.as_bytes()), NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_header_dialect_is_read() {
        for (name, value, expected) in [
            ("retry-after", "17", 17.0),
            ("retry-after", "1.5", 1.5),
            ("retry-after-ms", "250", 0.25),
            ("x-ms-retry-after-ms", "1500", 1.5),
            ("x-ratelimit-reset-requests", "1m2.5s", 62.5),
            ("x-ratelimit-reset-tokens", "12ms", 0.012),
            ("x-ratelimit-reset-requests", "2m59.56s", 179.56),
            ("x-ratelimit-reset", "1791331200000", 60.0),
            ("x-ratelimit-reset", "1791331200", 60.0),
            ("x-ratelimit-reset-tokens-minute", "33.011382", 33.011382),
            ("anthropic-ratelimit-tokens-reset", "2026-10-07T00:00:00Z", 60.0),
        ] {
            assert_eq!(from_headers(&[(name, value)]), Some(expected), "{name}: {value}");
        }
    }

    #[test]
    fn a_date_is_read_on_the_upstreams_clock() {
        let date = "Wed, 07 Oct 2026 00:00:00 GMT";
        assert_eq!(from_headers(&[("retry-after", date)]), Some(60.0));
        let theirs = "Tue, 06 Oct 2026 23:59:50 GMT";
        assert_eq!(from_headers(&[("retry-after", date), ("date", theirs)]), Some(10.0));
    }

    #[test]
    fn the_window_that_is_used_up_decides() {
        let headers = [
            ("x-ratelimit-reset-requests", "9s"),
            ("x-ratelimit-remaining-requests", "12"),
            ("x-ratelimit-reset-tokens", "3s"),
            ("x-ratelimit-remaining-tokens", "0"),
        ];
        assert_eq!(from_headers(&headers), Some(3.0));
        assert_eq!(from_headers(&[("x-ratelimit-reset-tokens", "3s"), ("retry-after", "5")]), Some(5.0));
    }

    #[test]
    fn a_zero_a_past_date_or_nonsense_is_no_hint() {
        for value in ["0", "-5", "soon", "Tue, 06 Oct 2020 00:00:00 GMT", "NaN", "inf", "1e400", ""] {
            assert_eq!(from_headers(&[("retry-after", value)]), None, "{value}");
        }
    }

    #[test]
    fn a_wait_in_the_text_is_read() {
        for (text, expected) in [
            ("Please try again in 20s.", 20.0),
            ("Please try again in 7m30.5s. Visit", 450.5),
            ("try again in 2 minutes", 120.0),
            ("Please retry in 38.5s.", 38.5),
            ("Please wait 5631 seconds before retrying.", 5631.0),
            ("Retry after 1 hour", 3600.0),
            ("try again in 350ms", 0.35),
        ] {
            assert_eq!(
                from_body(&format!(r#"{{"error":{{"message":"{text}"}}}}"#)),
                Some(expected),
                "{text}"
            );
        }
        assert_eq!(from_body(r#"{"error":"please try again in a while"}"#), None);
        assert_eq!(from_body(r#"{"error":"try again in 3 requests"}"#), None);
    }

    #[test]
    fn a_wait_in_the_bodys_fields_is_read() {
        assert_eq!(from_body(r#"[{"error":{"details":[{"retryDelay":"17s"}]}}]"#), Some(17.0));
        assert_eq!(from_body(r#"{"error":{"metadata":{"retry_after_seconds":17}}}"#), Some(17.0));
        assert_eq!(from_body(r#"{"error":{"metadata":{"headers":{"Retry-After":"17"}}}}"#), Some(17.0));
        assert_eq!(
            from_body(r#"{"error":{"metadata":{"headers":{"X-RateLimit-Reset":"1791331200000"}}}}"#),
            Some(60.0)
        );
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,60}", now in any::<i64>(), digits in "[0-9.eE+-]{1,24}[a-zµ]{0,3}") {
            moment(&text, UnixMs(now));
            moment(&digits, UnixMs(now));
            in_text(&format!("try again in {digits} {text}"));
        }
    }
}
