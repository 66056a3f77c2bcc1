//! When days and months begin at their providers.

use super::super::Providers;
use crate::model::limit::Period;
use crate::model::time::UnixMs;

fn reset(provider: &str, period: Period, now: &str) -> Option<String> {
    let now = UnixMs(now.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond());
    let next = Providers::embedded().find(provider)?.reset_at(period, now)?;
    Some(next.timestamp().to_string())
}

/// The Gemini API's days begin at midnight in Los Angeles (<https://ai.google.dev/gemini-api/docs/rate-limits>). There
/// the clocks went forward on 2026-03-08 and went back on 2026-11-01, both at 02:00.
#[test]
fn a_day_in_los_angeles_ends_at_its_own_midnight_also_when_the_clocks_change() {
    for (now, next) in [
        ("2026-03-07T07:59:59Z", "2026-03-07T08:00:00Z"),
        // Midnight of the short day itself is still on winter time.
        ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
        // The day of 23 hours.
        ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
        ("2026-03-09T06:59:59.999Z", "2026-03-09T07:00:00Z"),
        ("2026-10-31T12:00:00Z", "2026-11-01T07:00:00Z"),
        // The day of 25 hours; between its two hours called one o'clock, too.
        ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-11-01T08:30:00Z", "2026-11-02T08:00:00Z"),
        ("2026-11-01T09:30:00Z", "2026-11-02T08:00:00Z"),
        ("2026-11-02T07:30:00Z", "2026-11-02T08:00:00Z"),
    ] {
        assert_eq!(reset("google", Period::Day, now).as_deref(), Some(next), "{now}");
    }
    assert_eq!(
        reset("google", Period::Month, "2026-10-31T12:00:00Z").as_deref(),
        Some("2026-11-01T07:00:00Z"),
        "November begins before the clocks go back"
    );
    assert_eq!(
        reset("google", Period::Month, "2026-11-15T00:00:00Z").as_deref(),
        Some("2026-12-01T08:00:00Z")
    );
}

#[test]
fn a_day_at_modelscope_begins_five_minutes_after_midnight_in_shanghai() {
    for (now, next) in [
        ("2026-10-07T15:59:59Z", "2026-10-07T16:05:00Z"),
        // Past midnight, but before the reset: the old day still counts.
        ("2026-10-07T16:04:59Z", "2026-10-07T16:05:00Z"),
        ("2026-10-07T16:05:00Z", "2026-10-08T16:05:00Z"),
    ] {
        assert_eq!(reset("modelscope", Period::Day, now).as_deref(), Some(next), "{now}");
    }
    assert_eq!(
        reset("zhipu", Period::Day, "2026-10-07T15:59:59Z").as_deref(),
        Some("2026-10-07T16:00:00Z"),
        "without an offset, midnight itself"
    );
}

#[test]
fn hours_days_and_months_end_in_utc_where_the_provider_counts_so() {
    for (period, next) in [
        (Period::Hour, "2026-12-31T23:00:00Z"),
        (Period::Day, "2027-01-01T00:00:00Z"),
        (Period::Month, "2027-01-01T00:00:00Z"),
    ] {
        assert_eq!(reset("openrouter", period, "2026-12-31T22:10:00.5Z").as_deref(), Some(next));
    }
}

#[test]
fn what_has_no_calendar_has_no_reset() {
    assert_eq!(reset("openrouter", Period::Minute, "2026-12-31T22:10:00Z"), None);
    assert_eq!(reset("openrouter", Period::Concurrent, "2026-12-31T22:10:00Z"), None);
    assert_eq!(reset("nvidia", Period::Day, "2026-12-31T22:10:00Z"), None, "nobody knows NVIDIA's day");
}
