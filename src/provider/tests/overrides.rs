//! Files of the data folder over the embedded ones.

use super::super::{DataFault, Providers, Scope};
use crate::model::limit::{Metric, Window};

fn with(name: &str, text: &str) -> Result<Providers, Vec<DataFault>> {
    Providers::with_overrides(&[(name.to_owned(), text.to_owned())])
}

#[track_caller]
fn faults(text: &str) -> Vec<(String, String)> {
    let faults = with("mine.json", text).expect_err("a fault");
    assert!(faults.iter().all(|fault| fault.file == "mine.json"), "{faults:?}");
    faults.into_iter().map(|fault| (fault.place, fault.message)).collect()
}

/// One fault, at this place, with these words.
#[track_caller]
fn assert_fault(text: &str, place: &str, words: &str) {
    let found = faults(text);
    assert!(found.iter().any(|(at, message)| at == place && message.contains(words)), "{text}: {found:?}");
}

#[test]
fn a_file_replaces_the_fields_that_it_has_and_leaves_the_others() {
    let providers = with(
        "groq.json",
        r#"{
            "id": "groq",
            "limits": [{ "metric": "requests", "window": {"rolling": "1m"}, "scope": "key", "max": 7, "confidence": "high" }]
        }"#,
    )
    .expect("no fault");
    let groq = providers.find("groq").expect("groq");
    let limits = groq.limits_for("openai/gpt-oss-120b", None);
    assert_eq!(limits.len(), 1);
    assert_eq!((limits[0].max, limits[0].scope), (Some(7), Scope::Key));
    assert_eq!(groq.base_urls, ["https://api.groq.com/openai/v1"]);
    assert_eq!(groq.headers.len(), 2, "the header dialect is the embedded one");
}

#[test]
fn a_file_with_a_new_id_adds_a_provider() {
    let providers = with(
        "acme.json",
        r#"{
            "id": "acme", "checked": "2026-11-20", "name": {"en": "Acme", "zh": "顶点"}, "status": "paid",
            "base_urls": ["https://llm.acme.example/v1"], "reset": {"zone": "Asia/Tokyo"},
            "limits": [{ "metric": "tokens", "window": {"calendar": "day"}, "scope": "group", "max": 9, "confidence": "low" }]
        }"#,
    )
    .expect("no fault");
    let acme = providers.find("acme").expect("acme");
    assert_eq!(acme.zone(), Some("Asia/Tokyo"));
    let limit = acme.limits_for("x", None).remove(0);
    assert_eq!(limit.metric, Metric::Tokens);
    assert!(matches!(limit.window, Window::Calendar { zone, .. } if zone == "Asia/Tokyo"));
    assert_eq!(providers.at("https://llm.acme.example").map(|provider| provider.id.as_str()), Some("acme"));
}

#[test]
fn later_files_lie_over_earlier_ones() {
    let file = |prefix: &str| format!(r#"{{"id": "groq", "key_prefix": "{prefix}"}}"#);
    let files = [("a.json".to_owned(), file("one-")), ("b.json".to_owned(), file("two-"))];
    let providers = Providers::with_overrides(&files).expect("no fault");
    assert_eq!(providers.find("groq").and_then(|groq| groq.key_prefix.as_deref()), Some("two-"));
}

#[test]
fn what_is_no_json_or_has_an_unknown_field_is_reported_with_its_line_and_column() {
    assert_fault("{\n  \"id\": \"groq\",\n  oops\n}", "line 3, column 3", "key must be a string");
    assert_fault("{\n  \"id\": \"groq\",\n  \"limit\": []\n}", "line 3, column 9", "unknown field `limit`");
    assert_fault("", "line 1, column 1", "one JSON object");
    assert_fault(r#"["groq"]"#, "line 1, column 1", "one JSON object");
    assert_fault(r#"{"id": "groq""#, "line 1, column 13", "EOF");
    assert_fault(r#"{"name": {"en": "x", "zh": "x"}}"#, "line 1, column 32", "missing field `id`");
    assert_fault(
        "{\"id\": \"groq\", \"limits\": [\n{\"metric\": \"calls\"}]}",
        "line 2, column 18",
        "unknown variant `calls`",
    );
    assert_fault(
        r#"{"id": "groq", "headers": [{"metric": "requests", "scope": "key", "window": {"rolling": "1 minute"}}]}"#,
        "line 1, column 99",
        "`1 minute` is no span of time",
    );
    assert_fault(&format!(r#"{{"id": "{}"}}"#, "x".repeat(300_000)), "the file", "longer than");
}

#[test]
fn a_new_provider_without_what_it_needs_is_refused() {
    assert_fault(r#"{"id": "acme"}"#, "name", "is missing");
    assert_fault(r#"{"id": "acme", "name": {"en": "A", "zh": "A"}}"#, "checked", "is missing");
    assert_fault(r#"{"id": "Acme!"}"#, "id", "lower-case");
}

#[test]
fn limits_that_cannot_be_are_refused_with_the_field_named() {
    let limit = |limit: &str| {
        format!(r#"{{"id": "nvidia", "limits": [{{"scope": "key", "confidence": "high", {limit}}}]}}"#)
    };
    for (text, place, words) in [
        (r#""metric": "requests", "window": {"rolling": "1m"}, "max": 0"#, "limits[0].max", "cannot be"),
        (
            r#""metric": "requests", "window": {"rolling": "0s"}, "max": 1"#,
            "limits[0].window",
            "at least 1 ms",
        ),
        (r#""metric": "requests", "window": {"rolling": "401d"}, "max": 1"#, "limits[0].window", "400 days"),
        (r#""metric": "requests", "window": "at_once", "max": 1"#, "limits[0].window", "concurrency"),
        (
            r#""metric": "concurrency", "window": {"rolling": "1m"}, "max": 1"#,
            "limits[0].window",
            "concurrency",
        ),
        (
            r#""metric": "requests", "window": {"calendar": "day"}, "max": 1"#,
            "limits[0].window",
            "reset.zone",
        ),
        (
            r#""metric": "requests", "window": {"bucket": {"per": "1m", "burst": 9}}, "max": 1"#,
            "limits[0].window.burst",
            "at most `max`",
        ),
        (
            r#""metric": "requests", "window": "one_shot", "max": 1, "plan": "gold""#,
            "limits[0].plan",
            "no plan",
        ),
        (
            r#""metric": "requests", "window": "one_shot", "max": 1, "models": [""]"#,
            "limits[0].models[0]",
            "1 to 200",
        ),
        (
            r#""metric": "requests", "window": "one_shot", "max": 1, "per_call": 2"#,
            "limits[0].per_call",
            "units",
        ),
    ] {
        assert_fault(&limit(text), place, words);
    }
    let scope =
        limit(r#""metric": "requests", "window": "one_shot", "max": 1"#).replace("\"key\"", "\"request\"");
    assert_fault(&scope, "limits[0].scope", "more than one request");
    let twice = r#"{"id": "nvidia", "limits": [
        {"scope": "key", "confidence": "high", "metric": "requests", "window": {"rolling": "1m"}, "max": 40},
        {"scope": "key", "confidence": "low", "metric": "requests", "window": {"rolling": "60s"}, "max": 30}
    ]}"#;
    assert_fault(twice, "limits[1]", "limits[0] is about the same calls");
}

#[test]
fn unknown_time_zones_and_addresses_are_refused() {
    assert_fault(r#"{"id": "google", "reset": {"zone": "Mars/Base"}}"#, "reset.zone", "`Mars/Base`");
    assert_fault(
        r#"{"id": "google", "reset": {"zone": "UTC", "offset_minutes": 1440}}"#,
        "reset.offset_minutes",
        "1440",
    );
    assert_fault(r#"{"id": "google", "base_urls": ["ftp://x"]}"#, "base_urls[0]", "no http");
}

#[test]
fn header_names_that_cannot_be_are_refused() {
    let file = |header: &str| {
        format!(r#"{{"id": "nvidia", "headers": [{{"metric": "requests", "scope": "key", {header}}}]}}"#)
    };
    assert_fault(&file(r#""max": "X-Limit""#), "headers[0].max", "lower case");
    assert_fault(&file(r#""reset": "x-reset""#), "headers[0]", "name the header");
}

#[test]
fn rules_by_loose_words_and_rules_that_contradict_themselves_are_refused() {
    let rule = |rule: &str| format!(r#"{{"id": "nvidia", "refusals": [{{"id": "x", {rule}}}]}}"#);
    let text = |word: &str| {
        rule(&format!(
            r#""status": [429], "class": "rate_limited", "scope": "key", "when": [{{"field": "text", "contains": ["{word}"]}}]"#
        ))
    };
    for word in ["billing", "quota", "(TPM)", "余额"] {
        assert_fault(&text(word), "refusals[0].when[0]", "too loose");
    }
    for sentence in ["monthly quota", "余额不足", "rate_limited"] {
        assert!(with("mine.json", &text(sentence)).is_ok(), "{sentence}");
    }
    for (text, place, words) in [
        (r#""status": [], "class": "rate_limited", "scope": "key""#, "refusals[0].status", "300 to 599"),
        (r#""status": [200], "class": "rate_limited", "scope": "key""#, "refusals[0].status", "300 to 599"),
        (r#""status": [0], "class": "rate_limited", "scope": "key""#, "refusals[0].when", "condition"),
        (r#""status": [429], "class": "success", "scope": "key""#, "refusals[0].class", "not what a refusal"),
        (
            r#""status": [400], "class": "client_error", "scope": "key""#,
            "refusals[0].scope",
            "`request` alone",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "permanent": true"#,
            "refusals[0].permanent",
            "ends by itself",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "when": [{"field": "a", "header": "b", "is": ["c"]}]"#,
            "refusals[0].when[0]",
            "either",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "when": [{"field": "a"}]"#,
            "refusals[0].when[0]",
            "say what is there",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "until": [{"header": "a", "field": "b"}]"#,
            "refusals[0].until[0]",
            "exactly one",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "period": "day", "until": [{"end_of_period": true}]"#,
            "refusals[0].until[0]",
            "reset.zone",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "until": [{"date_after": "will reset at "}]"#,
            "refusals[0].until[0]",
            "reset.zone",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "until": [{"after": "in "}]"#,
            "refusals[0].until[0]",
            "too loose",
        ),
        (
            r#""status": [429], "class": "rate_limited", "scope": "key", "limit": {"metric": "requests", "window": {"rolling": "1m"}, "scope": "key", "max": []}"#,
            "refusals[0].limit.max",
            "where the amount",
        ),
    ] {
        assert_fault(&rule(text), place, words);
    }
}

#[test]
fn every_fault_of_every_file_is_reported_and_nothing_is_taken_over() {
    let files = [
        ("a.json".to_owned(), r#"{"id": "groq", "key_prefix": "good-"}"#.to_owned()),
        ("b.json".to_owned(), "{".to_owned()),
        (
            "c.json".to_owned(),
            r#"{"id": "google", "reset": {"zone": "X", "offset_minutes": 2000}}"#.to_owned(),
        ),
    ];
    let faults = Providers::with_overrides(&files).expect_err("faults");
    let places: Vec<_> = faults.iter().map(|fault| (fault.file.as_str(), fault.place.as_str())).collect();
    assert_eq!(
        places,
        [("b.json", "line 1, column 1"), ("c.json", "reset.zone"), ("c.json", "reset.offset_minutes")]
    );
    assert!(
        faults[1].to_string().starts_with("c.json: reset.zone: `X` is no IANA time zone"),
        "{}",
        faults[1]
    );
}

#[test]
fn more_files_than_are_read_are_refused() {
    let file = |number: usize| (format!("{number}.json"), r#"{"id": "groq"}"#.to_owned());
    let files: Vec<_> = (0..201).map(file).collect();
    let faults = Providers::with_overrides(&files).expect_err("a fault");
    assert_eq!((faults.len(), faults[0].file.as_str()), (1, "200.json"));
}
