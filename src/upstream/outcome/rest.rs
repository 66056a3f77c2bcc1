//! When an upstream says that it may be asked again.

use std::time::Duration;

use http::HeaderMap;

use crate::{
    model::time::UnixMs,
    protocol::error_body::{ErrorBody, seconds_of},
    provider::moment,
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
    let their_now = find("date").and_then(moment::http_date).unwrap_or(now);
    let direct = WAIT_HEADERS.iter().find_map(|(name, milliseconds)| {
        let text = find(name)?.trim();
        if *milliseconds {
            seconds_of(text.parse::<f64>().ok()? / 1000.0)
        } else {
            moment::wait(text, their_now)
        }
    });
    direct
        .or(body.retry_after)
        .or_else(|| in_text(&body.message))
        .or_else(|| in_text(body.raw.as_deref()?))
        .or_else(|| {
            let opens = RESET_HEADERS.iter().filter_map(|(reset, remaining)| {
                let used_up =
                    find(remaining).is_none_or(|left| left.trim().parse().is_ok_and(|left: f64| left <= 0.0));
                moment::wait(find(reset).filter(|_| used_up)?.trim(), their_now)
            });
            opens.max()
        })
        .filter(|wait| !wait.is_zero())
}

/// A wait that a sentence announces, such as `Please try again in 7m30.5s`.
fn in_text(text: &str) -> Option<Duration> {
    let text: String = text.chars().take(4000).collect::<String>().to_lowercase();
    PHRASES.iter().find_map(|phrase| {
        text.match_indices(phrase)
            .take(8)
            .find_map(|(at, _)| Some(moment::span(&text[at + phrase.len()..])?.0))
    })
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
            moment::wait(&text, UnixMs(now));
            moment::wait(&digits, UnixMs(now));
            in_text(&format!("try again in {digits} {text}"));
        }
    }
}
