//! Recorded headers of every dialect.

use super::{super::Scope, observed, seconds_until};
use crate::model::limit::{CalendarUnit, Metric, Metric::*, Window};

const MINUTE: Window = Window::Rolling { ms: 60_000 };
const DAY_BUCKET: Window = Window::Bucket { ms: 86_400_000, burst: None };

/// What an observation says, with the reset in seconds from now.
type Said = (Metric, Option<Window>, Scope, Option<u64>, Option<u64>, Option<f64>);

#[track_caller]
fn assert_says(provider: &str, headers: &[(&str, &str)], expected: &[Said]) {
    let said: Vec<Said> = observed(provider, headers)
        .into_iter()
        .map(|limit| {
            let reset = seconds_until(limit.reset);
            (limit.metric, limit.window, limit.scope, limit.max, limit.remaining, reset)
        })
        .collect();
    assert_eq!(said, expected, "{provider}: {headers:?}");
}

/// <https://console.groq.com/docs/rate-limits>: requests are a day's, tokens a minute's, resets Go durations.
#[test]
fn groqs_requests_are_a_days_and_its_tokens_a_minutes() {
    assert_says(
        "groq",
        &[
            ("x-ratelimit-limit-requests", "1000"),
            ("x-ratelimit-limit-tokens", "8000"),
            ("x-ratelimit-remaining-requests", "998"),
            ("x-ratelimit-remaining-tokens", "5069"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-reset-tokens", "134ms"),
        ],
        &[
            (Requests, Some(DAY_BUCKET), Scope::GroupModel, Some(1000), Some(998), Some(179.56)),
            (Tokens, Some(MINUTE), Scope::GroupModel, Some(8000), Some(5069), Some(0.134)),
        ],
    );
}

/// <https://platform.openai.com/docs/guides/rate-limits>: the same names as Groq's, but nothing says of which window.
#[test]
fn the_same_headers_from_an_unknown_server_speak_of_an_unknown_window() {
    assert_says(
        "generic",
        &[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "6m0s"),
        ],
        &[(Requests, None, Scope::Key, Some(60), Some(0), Some(360.0))],
    );
}

/// <https://docs.anthropic.com/en/api/rate-limits>.
#[test]
fn anthropics_resets_are_rfc_3339() {
    assert_says(
        "generic",
        &[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2026-10-06T23:59:12Z"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "28000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-10-06T23:59:04Z"),
        ],
        &[
            (Requests, Some(MINUTE), Scope::Key, Some(50), Some(49), Some(12.0)),
            (InputTokens, Some(MINUTE), Scope::Key, Some(30_000), Some(28_000), Some(4.0)),
        ],
    );
}

/// <https://openrouter.ai/docs/api-reference/limits>: only on its own 429, in milliseconds since 1970, and the window is
/// told by the message alone.
#[test]
fn openrouters_reset_is_milliseconds_since_1970() {
    assert_says(
        "openrouter",
        &[
            ("x-ratelimit-limit", "50"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1791331200000"),
        ],
        &[(Requests, None, Scope::Group, Some(50), Some(0), Some(60.0))],
    );
}

/// <https://inference-docs.cerebras.ai/support/rate-limits>: seconds with fractions.
#[test]
fn cerebras_resets_are_seconds_with_fractions() {
    assert_says(
        "cerebras",
        &[
            ("x-ratelimit-limit-requests-day", "14400"),
            ("x-ratelimit-remaining-requests-day", "14399"),
            ("x-ratelimit-reset-requests-day", "33011.382867"),
            ("x-ratelimit-limit-tokens-minute", "60000"),
            ("x-ratelimit-remaining-tokens-minute", "59000"),
            ("x-ratelimit-reset-tokens-minute", "11.5"),
        ],
        &[
            (Requests, Some(DAY_BUCKET), Scope::GroupModel, Some(14_400), Some(14_399), Some(33_011.382)),
            (Tokens, Some(MINUTE), Scope::GroupModel, Some(60_000), Some(59_000), Some(11.5)),
        ],
    );
}

/// <https://docs.sambanova.ai/docs/en/models/rate-limits>: seconds since 1970 or seconds from now, told by the size.
#[test]
fn sambanovas_resets_are_told_apart_by_their_size() {
    let day = Window::Rolling { ms: 86_400_000 };
    assert_says(
        "sambanova",
        &[
            ("x-ratelimit-limit-requests", "20"),
            ("x-ratelimit-remaining-requests", "19"),
            ("x-ratelimit-reset-requests", "1791331170"),
            ("x-ratelimit-limit-requests-day", "400"),
            ("x-ratelimit-remaining-requests-day", "12"),
            ("x-ratelimit-reset-requests-day", "3600"),
        ],
        &[
            (Requests, Some(MINUTE), Scope::GroupModel, Some(20), Some(19), Some(30.0)),
            (Requests, Some(day), Scope::GroupModel, Some(400), Some(12), Some(3600.0)),
        ],
    );
}

/// Names as several clients recorded them; no reset.
#[test]
fn mistral_counts_minutes_and_months_without_a_reset() {
    let month = Window::Calendar { unit: CalendarUnit::Month, zone: "UTC".to_owned(), offset_minutes: 0 };
    assert_says(
        "mistral",
        &[
            ("x-ratelimit-limit-req-minute", "60"),
            ("x-ratelimit-remaining-req-minute", "59"),
            ("x-ratelimit-limit-tokens-minute", "500000"),
            ("x-ratelimit-remaining-tokens-minute", "499000"),
            ("x-ratelimit-limit-tokens-month", "1000000000"),
            ("x-ratelimit-remaining-tokens-month", "999000000"),
            ("x-ratelimit-tokens-query-cost", "1000"),
        ],
        &[
            (Requests, Some(MINUTE), Scope::Group, Some(60), Some(59), None),
            (Tokens, Some(MINUTE), Scope::GroupModel, Some(500_000), Some(499_000), None),
            (Tokens, Some(month), Scope::Group, Some(1_000_000_000), Some(999_000_000), None),
        ],
    );
}

/// <https://modelscope.cn/docs/model-service/API-Inference/limits>: the account's day and the model's.
#[test]
fn modelscope_tells_the_accounts_day_from_the_models() {
    let day = || {
        let zone = "Asia/Shanghai".to_owned();
        Some(Window::Calendar { unit: CalendarUnit::Day, zone, offset_minutes: 5 })
    };
    assert_says(
        "modelscope",
        &[
            ("modelscope-ratelimit-requests-limit", "2000"),
            ("modelscope-ratelimit-requests-remaining", "1500"),
            ("modelscope-ratelimit-model-requests-limit", "200"),
            ("modelscope-ratelimit-model-requests-remaining", "0"),
        ],
        &[
            (Requests, day(), Scope::Group, Some(2000), Some(1500), None),
            (Requests, day(), Scope::GroupModel, Some(200), Some(0), None),
        ],
    );
}

/// <https://platform.moonshot.ai/docs/pricing/limits> names the headers, not the format of the reset.
#[test]
fn a_reset_of_unknown_format_is_read_by_its_looks() {
    for (reset, seconds) in [
        ("30", 30.0),
        ("1m2.5s", 62.5),
        ("1791331200", 60.0),
        ("1791331200000", 60.0),
        ("2026-10-07T00:00:00Z", 60.0),
        ("2026-10-07T08:00:00+08:00", 60.0),
        ("Wed, 07 Oct 2026 00:00:00 GMT", 60.0),
    ] {
        assert_says(
            "moonshot",
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)],
            &[(Requests, None, Scope::Group, None, Some(0), Some(seconds))],
        );
    }
}

#[test]
fn a_point_in_time_is_meant_on_the_clock_of_the_answers_date() {
    let two_hours_slow = ("date", "Tue, 06 Oct 2026 21:59:00 GMT");
    let says = |reset| {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset), two_hours_slow];
        seconds_until(observed("openrouter", &headers)[0].reset)
    };
    assert_eq!(says("1791323960000"), Some(20.0), "their 21:59:20");
    assert_eq!(says("1791323900000"), None, "their past");
}

#[test]
fn what_headers_cannot_mean_is_left_out() {
    let limit = |max: &str, remaining: &str, reset: &str| {
        let headers = [
            ("x-ratelimit-limit-requests", max),
            ("x-ratelimit-remaining-requests", remaining),
            ("x-ratelimit-reset-requests", reset),
        ];
        observed("groq", &headers).first().map(|limit| (limit.max, limit.remaining, limit.reset.is_some()))
    };
    for (max, remaining, reset, expected) in [
        ("0", "0", "", Some((None, Some(0), false))),
        ("-1", "-1", "1s", None),
        ("1000", "-3", "1s", Some((Some(1000), Some(0), true))),
        ("1000", "5000", "1s", Some((Some(1000), Some(1000), true))),
        ("99999999999999", "5", "1s", Some((None, Some(5), true))),
        ("NaN", "inf", "1s", None),
        ("1000", "", "-5s", Some((Some(1000), None, false))),
        ("1000", "", "1791331200", Some((Some(1000), None, false))),
        ("unlimited", "soon", "1s", None),
    ] {
        assert_eq!(limit(max, remaining, reset), expected, "{max} {remaining} {reset}");
    }
}

#[test]
fn a_reset_further_away_than_the_window_is_brought_back_into_it() {
    let headers = |reset| {
        [
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-limit-tokens", "8000"),
            ("x-ratelimit-reset-tokens", reset),
        ]
    };
    for (reset, seconds) in [("59s", 59.0), ("90s", 60.0), ("400h", 60.0)] {
        assert_eq!(seconds_until(observed("groq", &headers(reset))[0].reset), Some(seconds), "{reset}");
    }
    let openrouter = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "4000000000000")];
    assert_eq!(seconds_until(observed("openrouter", &openrouter)[0].reset), Some(26.0 * 3600.0));
}

#[test]
fn what_a_header_says_beyond_what_is_known_can_be_held_back() {
    let headers = [("x-ratelimit-limit-tokens", "9000000"), ("x-ratelimit-remaining-tokens", "8999999")];
    let said = observed("groq", &headers).remove(0);
    let held = said.clone().at_most(8000);
    assert_eq!((held.max, held.remaining), (Some(8000), Some(8000)));
    assert_eq!(said.clone().at_most(u64::MAX), said);
}
