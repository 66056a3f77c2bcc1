//! Whatever headers and bodies say: nothing panics, no limit opens, nothing rests for ever.

use std::{collections::HashMap, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};

use super::{
    super::{Fields, Provider, Providers},
    NOW,
};
use crate::model::{limit::Period, time::UnixMs, usage::OutcomeClass};

/// Every header that the data names, and those that all answers may have.
fn header_names() -> Vec<String> {
    let providers = Providers::embedded();
    let named = providers.all().flat_map(|provider| {
        provider.headers.iter().flat_map(|dialect| [&dialect.max, &dialect.remaining, &dialect.reset])
    });
    let mut names: Vec<String> = named.flatten().cloned().collect();
    names.extend(["date", "retry-after", "retry-after-ms"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// What headers hold, from sensible to absurd.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        (0_i64..4_000_000_000_000).prop_map(|number| number.to_string()),
        "[0-9]{1,30}(ms|s|m|h|d)?",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:00:00Z",
        "(Mon|Tue), [0-9]{2} Oct [0-9]{4} [0-9]{2}:00:00 GMT",
        ".{0,40}",
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "Rate limit exceeded: free-models-per-day.",
        "Rate limit reached on tokens per day (TPD): Limit 99999999999999999, Used 1. Please try again in 999999h",
        "Please try again in 99999999999999999999999s",
        "Rate limit of 0 per 86400s exceeded for UserByModelByDay. Please wait 1e400 seconds",
        "You are using a Trial key, which is limited to 99999999999999 API calls / month",
        "daily free allocation of 10,000 neurons",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "Your limit will reset at 9999-12-31 23:59:59",
        "您的限额将在 -009999-01-01 00:00:00 重置",
        "Worker local total request limit reached (16/16)",
        "\u{0130}API key not valid",
    ]);
    let code = prop::sample::select(vec![
        "1113",
        "1300",
        "1308",
        "3036",
        "insufficient_quota",
        "API_KEY_INVALID",
        "429",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        ".{0,100}".prop_map(String::into_bytes),
        (words, code, value()).prop_map(|(words, code, value)| {
            let error = serde_json::json!({
                "message": words, "code": code, "retry_after": value,
                "metadata": { "provider_name": words, "retry_after_seconds": value, "headers": { "X-RateLimit-Reset": value, "X-RateLimit-Limit": value } },
                "details": [{ "retryDelay": value, "reason": code, "violations": [{ "quotaId": words, "quotaValue": value }] }],
            });
            serde_json::json!([{ "error": error }]).to_string().into_bytes()
        }),
    ]
}

fn assert_bounded(
    provider: &Provider,
    headers: &HashMap<String, String>,
    status: Option<u16>,
    body: &Fields,
    now: UnixMs,
) {
    let told = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for limit in provider.observe(told, now) {
        assert!(limit.max.is_none_or(|max| (1..=1_000_000_000_000).contains(&max)), "{limit:?}");
        assert!(limit.max.is_none_or(|max| limit.remaining.is_none_or(|left| left <= max)), "{limit:?}");
        assert!(limit.remaining.is_none_or(|left| left <= 1_000_000_000_000), "{limit:?}");
        let longest = limit.window.as_ref().and_then(crate::model::limit::Window::span_ms);
        let longest = longest.map_or(Duration::from_secs(26 * 3600), Duration::from_millis);
        assert!(limit.reset.is_none_or(|reset| reset > now && reset.since(now) <= longest), "{limit:?}");
        for known in [1, 40, 8000] {
            let held = limit.clone().at_most(known);
            assert!(held.max.is_none_or(|max| max <= known), "{held:?}");
            assert!(held.remaining.is_none_or(|left| left <= known), "{held:?}");
        }
    }
    let find = |name: &str| headers.get(name).map(String::as_str);
    let Some(verdict) = provider.judge(status, find, body, now) else { return };
    assert!(!matches!(verdict.class, OutcomeClass::Success | OutcomeClass::ClientClosed), "{verdict:?}");
    let longest = match verdict.period {
        Some(Period::Month) => Duration::from_secs(32 * 86_400),
        _ => Duration::from_secs(26 * 3600),
    };
    assert!(verdict.until.is_none_or(|until| until > now && until.since(now) <= longest), "{verdict:?}");
    let limit = verdict.limit.as_ref();
    assert!(
        limit.and_then(|limit| limit.max).is_none_or(|max| (1..=1_000_000_000_000).contains(&max)),
        "{verdict:?}"
    );
}

/// Runs a test on 256 values; what it needs is built once.
fn on_all<S: Strategy>(values: S, test: impl Fn(S::Value)) {
    let run = TestRunner::default().run(&values, |value| {
        test(value);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}

#[test]
fn arbitrary_answers_never_panic_and_never_open_a_limit() {
    let providers = Providers::embedded();
    let names = header_names();
    let status = prop_oneof![Just(None), (300_u16..600).prop_map(Some), Just(Some(429)), Just(Some(400))];
    let now =
        prop_oneof![Just(NOW), any::<i64>().prop_map(UnixMs), (0_i64..4_000_000_000_000).prop_map(UnixMs)];
    let values = prop::collection::vec(prop::option::of(value()), names.len());
    on_all((values, status, body(), now), |(values, status, body, now)| {
        let headers: HashMap<String, String> =
            names.iter().cloned().zip(values).filter_map(|(name, value)| Some((name, value?))).collect();
        let body = Fields::read(&body);
        for provider in providers.all() {
            assert_bounded(provider, &headers, status, &body, now);
        }
    });
}

#[test]
fn a_reset_is_always_ahead_and_within_its_period() {
    let providers = Providers::embedded();
    on_all((0_i64..4_000_000_000_000).prop_map(UnixMs), |now| {
        for provider in providers.all().filter(|provider| provider.zone().is_some()) {
            for (period, hours) in [(Period::Hour, 1), (Period::Day, 25), (Period::Month, 31 * 24 + 1)] {
                let reset = provider.reset_at(period, now).expect("a reset");
                let in_time = reset > now && reset.since(now) <= Duration::from_secs(hours * 3600);
                assert!(in_time, "{} {period:?} {now:?}", provider.id);
            }
        }
    });
}

#[test]
fn arbitrary_overrides_never_panic() {
    let fields = r#"[\{\}\[\]":,a-z0-9 ]{0,60}"#;
    let run = TestRunner::new(ProptestConfig::with_cases(32)).run(&(".{0,80}", fields), |(text, fields)| {
        for text in [text, format!(r#"{{"id": "groq", {fields}}}"#)] {
            let read = Providers::with_overrides(&[("x.json".to_owned(), text)]);
            prop_assert!(read.map_or_else(|faults| !faults.is_empty(), |all| all.find("groq").is_some()));
        }
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
}
