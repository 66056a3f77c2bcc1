//! Inputs read, checked and written again.

use super::*;
use crate::{
    i18n::Lang,
    model::{
        channel::{Channel, Price},
        time::UnixMs,
    },
    provider::Providers,
    storage::channels::NewChannel,
};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn t() -> Messages {
    Messages::of(Lang::En)
}

fn channel(json: &str) -> Result<ChannelInput, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn faults(json: &str) -> Vec<String> {
    let faults = channel(json).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap_err();
    faults.0.into_iter().map(|fault| fault.field).collect()
}

fn saved(new: NewChannel) -> Channel {
    new.with_id(crate::model::id::ChannelId(1))
}

const FULL: &str = r#"{
    "name": "A", "base_url": "https://api.example.com/v1/", "protocol": "openai", "provider": "openrouter", "plan": "credits", "priority": 2, "weight": 3,
    "groups": ["g"], "headers": {"X-Title": "mine"}, "proxy": "socks5://user:pass@127.0.0.1:1080",
    "timeouts": {"idle_ms": 5000}, "allow_private": true, "note": "n", "enabled": false,
    "models": ["a", {"name": "b", "context_window": 8192, "price": {"input": 0.15, "output": "0.6"}}],
    "redirects": {"one": "a", "two": ["a", "b"]}, "shaping": {"fixes": {"cache-control": true}, "response_cache_s": 300}
}"#;

#[test]
fn a_channel_reads_back_as_it_was_written() {
    let checked = channel(FULL).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap();
    assert_eq!(
        (checked.base_url.as_str(), checked.weight, checked.enabled),
        ("https://api.example.com/v1", 3, false)
    );
    assert_eq!(
        checked.models[1].price,
        Some(Price { input: 150_000, cached: None, output: 600_000, reasoning: None })
    );
    assert_eq!(checked.redirects.len(), 3);
    let channel = saved(checked);
    let written = ChannelInput::of(&channel);
    let json = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<ChannelInput>(&json).unwrap(), written);
    assert_eq!(
        ChannelInput::of(&saved(written.check(Some(&channel), Some(&Providers::embedded()), t()).unwrap())),
        written
    );
    assert!(!format!("{written:?}").contains("pass"), "a secret is not printed");
}

#[test]
fn a_name_alone_keeps_what_is_known_of_a_model_and_an_object_replaces_it() {
    let known = saved(channel(FULL).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap());
    let again = |models: &str| {
        let json = format!(r#"{{"name": "A", "base_url": "https://a.example", "models": {models}}}"#);
        channel(&json).unwrap().check(Some(&known), None, t()).unwrap().models
    };
    assert_eq!(again(r#"["b"]"#)[0].context_window, Some(8192));
    assert_eq!(again(r#"[{"name": "b"}]"#)[0].context_window, None);
}

#[test]
fn a_provider_that_is_not_named_is_that_of_the_base_url_and_an_unknown_one_is_told_the_nearest() {
    let providers = Providers::embedded();
    let provider = |fields: &str, known: Option<&Channel>| {
        let input = channel(&format!(r#"{{"name": "A", {fields}}}"#)).unwrap();
        input.check(known, Some(&providers), t()).map(|new| new.provider)
    };
    for (fields, expected) in [
        (r#""base_url": "https://api.groq.com/openai/v1""#, "groq"),
        (r#""base_url": "https://a.example""#, "generic"),
        (r#""base_url": "https://api.groq.com", "provider": null"#, "groq"),
        (r#""base_url": "https://api.groq.com", "provider": "generic""#, "generic"),
        (r#""base_url": "https://a.example", "provider": "nvidia""#, "nvidia"),
    ] {
        assert_eq!(provider(fields, None), Ok(expected.to_owned()), "{fields}");
    }
    let removed = r#""base_url": "https://a.example", "provider": "grok""#;
    let told = provider(removed, None).unwrap_err().0.remove(0);
    assert_eq!(told.field, "provider");
    assert!(told.message.contains("“groq”") && told.message.contains("generic, "), "{}", told.message);

    let mut known = saved(channel(FULL).unwrap().check(None, Some(&providers), t()).unwrap());
    known.provider = "grok".into();
    assert_eq!(provider(removed, Some(&known)), Ok("grok".into()), "what is there may stay");
    assert!(provider(&removed.replace("grok", "grok2"), Some(&known)).is_err());
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    for json in [
        r#"{"name": "A", "base_url": "https://a.example", "wieght": 2}"#,
        r#"{"name": "A", "base_url": "https://a.example", "timeouts": {"idle": 2}}"#,
        r#"{"name": "A", "base_url": "https://a.example", "models": [{"name": "a", "ctx": 1}]}"#,
    ] {
        assert!(channel(json).unwrap_err().contains("unknown field"), "{json}");
    }
}

#[test]
fn every_fault_of_a_channel_is_named_by_its_field() {
    let fields = faults(
        r#"{"name": "", "base_url": "http://127.0.0.1:9", "provider": "grok", "weight": 0, "headers": {"Host": "x", "a b": "y"},
            "proxy": "ftp://x", "timeouts": {"idle_ms": 1},
            "models": ["a", "a", "b c", {"name": "d", "price": {"input": -1, "output": 1}}],
            "redirects": {"x": [], "y": "b c"}}"#,
    );
    assert_eq!(
        fields,
        [
            "name",
            "base_url",
            "provider",
            "weight",
            "headers.Host",
            "headers.a b",
            "proxy",
            "timeouts.idle_ms",
            "models[1]",
            "models[2]",
            "models[3].price",
            "redirects.x",
            "redirects.y"
        ]
    );
}

#[test]
fn a_token_reads_back_as_it_was_written_and_its_faults_are_named() {
    let json = r#"{"name": "t", "models": ["gpt-*"], "groups": ["g"], "cidrs": ["10.1.2.3/8", "192.0.2.1"],
        "expires_at": "2030-01-01T00:00:00Z", "quota": {"unit": "dollars", "limit": 2.5, "reset": "month"},
        "requests_per_minute": 60, "weight": 3, "profile": "openclaw"}"#;
    let input: TokenInput = serde_json::from_str(json).unwrap();
    let token = input.check(None, NOW, t()).unwrap();
    assert_eq!(token.weight, 3);
    assert_eq!(token.quota.unwrap().limit, 2_500_000);
    let written = TokenInput::of(&token);
    assert_eq!(written.cidrs, ["10.0.0.0/8", "192.0.2.1"]);
    assert_eq!(TokenInput::of(&written.check(Some(&token), NOW, t()).unwrap()), written);

    let json = r#"{"name": "", "models": ["a*b"], "cidrs": ["10.0.0.300"], "expires_at": "2020-01-01T00:00:00Z",
        "quota": {"unit": "tokens", "limit": 1.5}, "requests_per_minute": 0, "weight": 101}"#;
    let wrong: TokenInput = serde_json::from_str(json).unwrap();
    let fields: Vec<String> =
        wrong.check(None, NOW, t()).unwrap_err().0.into_iter().map(|fault| fault.field).collect();
    assert_eq!(
        fields,
        ["name", "models[0]", "cidrs[0]", "expires_at", "quota.limit", "requests_per_minute", "weight"]
    );
}

/// The faults of limits on a channel of a provider, or on a key of it: fields and messages.
fn limit_faults(json: &str, provider: &str, key: bool) -> Vec<(String, String)> {
    let inputs: Vec<LimitInput> = serde_json::from_str(json).unwrap();
    let providers = Providers::embedded();
    let mut faults = Faults::default();
    let of = Limited { key, provider: Some(providers.of(provider)) };
    let limits = check_limits(&inputs, of, "", t(), &mut faults);
    assert!(limits.is_empty() || faults.0.is_empty());
    faults.0.into_iter().map(|fault| (fault.field, fault.message)).collect()
}

#[test]
fn a_wrong_limit_is_refused_with_its_field_and_a_remedy() {
    for (json, field, remedy) in [
        (r#"{"max": 0, "window": "1m"}"#, "limits[0].max", "Switch the key or the channel off"),
        (r#"{"max": -1, "window": "1m"}"#, "limits[0].max", "from 1"),
        (r#"{"max": 1000000000001, "window": "1m"}"#, "limits[0].max", "1000000000000"),
        (r#"{"max": 40}"#, "limits[0].window", "such as 1m"),
        (r#"{"max": 40, "window": "1 fortnight"}"#, "limits[0].window", "Write a span"),
        (r#"{"max": 40, "window": "0m"}"#, "limits[0].window", "400 days"),
        (r#"{"max": 40, "window": "401d"}"#, "limits[0].window", "400 days"),
        (r#"{"max": 40, "window": "99999999999999999999d"}"#, "limits[0].window", "Write a span"),
        (r#"{"max": 40, "window": "day"}"#, "limits[0].window", "day@UTC"),
        (r#"{"max": 40, "window": {"calendar": "day"}}"#, "limits[0].window.zone", "day@UTC"),
        (r#"{"max": 40, "window": "day@Mars/Base"}"#, "limits[0].window", "Asia/Shanghai"),
        (
            r#"{"max": 40, "window": {"calendar": "day", "zone": "Mars/Base"}}"#,
            "limits[0].window.zone",
            "IANA",
        ),
        (r#"{"max": 40, "window": "hour@UTC+60m"}"#, "limits[0].window", "0 to 59"),
        (
            r#"{"max": 40, "window": {"calendar": "day", "zone": "UTC", "offset_minutes": 1440}}"#,
            "limits[0].window.offset_minutes",
            "1439",
        ),
        (r#"{"max": 40, "window": {}}"#, "limits[0].window", "either calendar"),
        (r#"{"max": 40, "window": {"bucket": "soon"}}"#, "limits[0].window.bucket", "such as 1s"),
        (r#"{"max": 40, "window": {"bucket": "1s", "burst": 41}}"#, "limits[0].window.burst", "from 1"),
        (r#"{"max": 40, "window": {"bucket": "1s", "burst": -1}}"#, "limits[0].window.burst", "at least 1"),
        (
            r#"{"max": 40, "window": {"bucket": "1s", "zone": "UTC"}}"#,
            "limits[0].window.zone",
            "leave this out",
        ),
        (
            r#"{"max": 40, "window": {"calendar": "day", "zone": "UTC", "burst": 3}}"#,
            "limits[0].window.burst",
            "leave it out",
        ),
        (r#"{"metric": "concurrency", "max": 4, "window": "1m"}"#, "limits[0].window", "leave it out"),
        (r#"{"max": 4, "window": "at_once"}"#, "limits[0].window", "count concurrency"),
        (r#"{"max": 4, "window": "1m", "models": ["a b"]}"#, "limits[0].models[0]", "no spaces"),
    ] {
        let found = limit_faults(&format!("[{json}]"), "generic", false);
        assert!(found.len() == 1 && found[0].0 == field && found[0].1.contains(remedy), "{json}: {found:?}");
    }
    let long = vec![r#"{"max": 1, "window": "1m"}"#; 51].join(",");
    let found = limit_faults(&format!("[{long}]"), "generic", false);
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("limits", "At most 50 limits."));
}

#[test]
fn two_limits_that_contradict_each_other_or_stand_twice_name_each_other() {
    let contradicting = r#"[{"max": 40, "window": "1m", "models": ["b", "a"]}, {"max": 9, "window": "1h"},
        {"max": 30, "window": "minute", "models": ["a", "b"], "insist": true}]"#;
    let found = limit_faults(contradicting, "generic", false);
    assert!(found.len() == 1 && found[0].0 == "limits[2]" && found[0].1.contains("limits[0]"), "{found:?}");
    let twice = r#"[{"max": 40, "window": "day"}, {"max": 40, "window": "day@Asia/Shanghai+5m"}]"#;
    let found = limit_faults(twice, "modelscope", false);
    assert!(found.len() == 1 && found[0].0 == "limits[1]" && found[0].1.contains("limits[0]"), "{found:?}");
}

#[test]
fn a_limit_of_a_key_is_not_wider_than_the_key() {
    for per in ["group", "group_model", "model", "channel"] {
        let json = format!(r#"[{{"max": 40, "window": "1m", "per": "{per}"}}]"#);
        assert_eq!(limit_faults(&json, "generic", false), [], "{per}");
        let found = limit_faults(&json, "generic", true);
        assert!(found.len() == 1 && found[0].0 == "limits[0].per", "{per}: {found:?}");
    }
    assert_eq!(limit_faults(r#"[{"max": 40, "window": "1m", "per": "key_model"}]"#, "generic", true), []);
}

#[test]
fn a_limit_has_one_meaning_in_json_and_on_a_line_and_reads_back() {
    let providers = Providers::embedded();
    let of = Limited { key: false, provider: Some(providers.of("modelscope")) };
    let checked = |input: LimitInput| {
        let mut faults = Faults::default();
        let limits = check_limits(&[input], of, "", t(), &mut faults);
        assert_eq!(faults.0, []);
        limits
    };
    for (json, line, shown) in [
        (r#"{"max": 40, "window": "1m"}"#, "40/min", "40 requests/1m per key"),
        (r#"{"max": 40, "window": "60s"}"#, "40 requests / minute per key", "40 requests/1m per key"),
        (
            r#"{"metric": "tokens", "max": 5, "window": "5h", "per": "group_model", "insist": true}"#,
            "5 tokens/300m per group_model insist",
            "5 tokens/5h per group_model insist",
        ),
        // The provider's calendar holds where none is named, minutes included.
        (
            r#"{"max": 1000, "window": "day", "per": "group", "models": ["z/y", "*:free"]}"#,
            "1000/day per group models=*:free,z/y",
            "1000 requests/day@Asia/Shanghai+5m per group models=*:free,z/y",
        ),
        (
            r#"{"max": 9, "window": {"calendar": "month", "zone": "Etc/GMT+5"}, "models": ["*", "a"]}"#,
            "9 calls/month@Etc/GMT+5",
            "9 requests/month@Etc/GMT+5 per key",
        ),
        (
            r#"{"max": 3, "window": {"bucket": "1s", "burst": 1}, "per": "channel"}"#,
            "3/bucket:1s,burst=1 per channel",
            "3 requests/bucket:1s,burst=1 per channel",
        ),
        (
            r#"{"metric": "units", "max": 3, "window": "one_shot", "models": ["a/b"]}"#,
            "3 units once models=a/b",
            "3 units/one_shot per key models=a/b",
        ),
        (
            r#"{"metric": "concurrency", "max": 4, "per": "key_model"}"#,
            "4 at once per key_model",
            "4 at once per key_model",
        ),
    ] {
        let limits = checked(serde_json::from_str(json).unwrap());
        assert_eq!(checked(LimitInput::read(line, t()).unwrap()), limits, "{line}");
        let written = LimitInput::of(&limits[0]);
        assert_eq!(written.to_string(), shown);
        assert_eq!(checked(LimitInput::read(shown, t()).unwrap()), limits, "{shown}");
        let again = serde_json::from_value(serde_json::to_value(&written).unwrap()).unwrap();
        assert_eq!(checked(again), limits, "{json}");
    }
    for (line, told) in [
        ("many/min", "“many”"),
        ("", "begins with a whole number"),
        ("40 apples/min", "requests, input_tokens"),
        ("40/min per person", "“person”"),
        ("40/min for me", "AMOUNT"),
        ("40 requests per minute", "“minute”"),
    ] {
        let message = LimitInput::read(line, t()).unwrap_err();
        assert!(message.contains(told), "{line}: {message}");
    }
}
