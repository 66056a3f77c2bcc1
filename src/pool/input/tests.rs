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
    "redirects": {"one": "a", "two": ["a", "b"]}
}"#;

#[test]
fn a_channel_reads_back_as_it_was_written() {
    let checked = channel(FULL).unwrap().check(None, Some(&Providers::embedded()), t()).unwrap();
    assert_eq!(
        (checked.base_url.as_str(), checked.weight, checked.enabled),
        ("https://api.example.com/v1", 3, false)
    );
    assert_eq!(checked.models[1].price, Some(Price { input: 150_000, cached: None, output: 600_000 }));
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
        "requests_per_minute": 60, "profile": "openclaw"}"#;
    let input: TokenInput = serde_json::from_str(json).unwrap();
    let token = input.check(None, NOW, t()).unwrap();
    assert_eq!(token.quota.unwrap().limit, 2_500_000);
    let written = TokenInput::of(&token);
    assert_eq!(written.cidrs, ["10.0.0.0/8", "192.0.2.1"]);
    assert_eq!(TokenInput::of(&written.check(Some(&token), NOW, t()).unwrap()), written);

    let json = r#"{"name": "", "models": ["a*b"], "cidrs": ["10.0.0.300"], "expires_at": "2020-01-01T00:00:00Z",
        "quota": {"unit": "tokens", "limit": 1.5}, "requests_per_minute": 0}"#;
    let wrong: TokenInput = serde_json::from_str(json).unwrap();
    let fields: Vec<String> =
        wrong.check(None, NOW, t()).unwrap_err().0.into_iter().map(|fault| fault.field).collect();
    assert_eq!(fields, ["name", "models[0]", "cidrs[0]", "expires_at", "quota.limit", "requests_per_minute"]);
}
