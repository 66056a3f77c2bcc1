//! Fixes of requests: what the embedded files list, and rules that are wrong.

use std::collections::BTreeMap;

use super::super::{DataFault, Providers};
use crate::model::{endpoint::Endpoint, fix::Fix};

fn ids(provider: &str, model: &str, stream: bool, switches: &[(&str, bool)]) -> Vec<String> {
    let providers = Providers::embedded();
    let provider = providers.find(provider).expect("a known provider");
    let switches: BTreeMap<String, bool> = switches.iter().map(|(id, on)| ((*id).to_owned(), *on)).collect();
    let rules = provider.fixes_for(model, Endpoint::Chat, stream, &switches);
    rules.map(|rule| rule.id.clone()).collect()
}

#[test]
fn a_rule_counts_for_its_models_streams_and_endpoints() {
    let thinking = "no-thinking-without-stream".to_owned();
    assert!(ids("modelscope", "Qwen/Qwen3-8B", false, &[]).contains(&thinking));
    assert!(!ids("modelscope", "Qwen/Qwen3-8B", true, &[]).contains(&thinking));
    assert!(!ids("modelscope", "ZhipuAI/GLM-5", false, &[]).contains(&thinking));
    let providers = Providers::embedded();
    let mistral = providers.find("mistral").expect("mistral");
    let none = BTreeMap::new();
    assert_eq!(mistral.fixes_for("m", Endpoint::Embeddings, false, &none).count(), 0, "chat is meant");
}

#[test]
fn an_operator_switches_rules_on_and_off_by_their_ids() {
    assert_eq!(ids("generic", "m", false, &[]), [""; 0], "nothing is known of any server");
    assert_eq!(ids("generic", "m", false, &[("cache-control", true)]), ["cache-control"]);
    assert_eq!(ids("groq", "m", false, &[]), ["unknown-fields"]);
    assert_eq!(ids("groq", "m", false, &[("unknown-fields", false)]), [""; 0]);
    assert_eq!(ids("groq", "m", false, &[("max-tokens", true)]), ["unknown-fields", "max-tokens"]);
    let claude = "anthropic/claude-sonnet-4.5";
    let of_openrouter = |model: &str| ids("openrouter", model, false, &[("cache-control", true)]);
    assert!(of_openrouter(claude).contains(&"cache-control".to_owned()));
    assert!(
        !of_openrouter("openai/gpt-5").contains(&"cache-control".to_owned()),
        "its own rule is for Claude"
    );
}

#[test]
fn every_rule_of_the_files_is_used_in_a_test_of_relayed_calls() {
    // Whoever adds a rule looks at a call that goes through it.
    let tests = include_str!("../../../tests/it/v1/fixes.rs");
    for provider in Providers::embedded().all() {
        for rule in provider.fixes() {
            assert!(
                tests.contains(&format!("\"{}\"", rule.id)),
                "{} of {} has no test",
                rule.id,
                provider.id
            );
        }
    }
}

#[test]
fn wrong_rules_are_told_with_their_places() {
    let fault = |rule: &str| {
        let text = format!(r#"{{"id": "groq", "fixes": [{rule}]}}"#);
        let faults = Providers::with_overrides(&[("groq.json".to_owned(), text)]).expect_err(rule);
        let DataFault { place, .. } = faults[0].clone();
        place
    };
    let rule = |id: &str, fix: &str, more: &str| {
        format!(
            r#"{{"id": "{id}", "fix": {fix}, "confidence": "high", "source": "https://a.example/b"{more}}}"#
        )
    };
    for (wrong, place) in [
        (rule("A", r#"{"drop": ["x"]}"#, ""), "fixes[0].id"),
        (rule("a", r#"{"drop": ["messages"]}"#, ""), "fixes[0].fix.drop[0]"),
        (rule("a", r#"{"drop": []}"#, ""), "fixes[0].fix.drop"),
        (rule("a", r#"{"drop": ["a..b"]}"#, ""), "fixes[0].fix.drop[0]"),
        (rule("a", r#"{"set": {"field": "model", "value": 1}}"#, ""), "fixes[0].fix.set.field"),
        (rule("a", r#"{"rename": {"from": "a", "to": "tools"}}"#, ""), "fixes[0].fix.rename.to"),
        (rule("a", r#"{"rename": {"from": "a", "to": "a"}}"#, ""), "fixes[0].fix.rename"),
        (rule("a", r#"{"role": {"from": "", "to": "system"}}"#, ""), "fixes[0].fix.role.from"),
        (
            rule("a", r#"{"replace": {"field": "a b", "from": "x", "to": "y"}}"#, ""),
            "fixes[0].fix.replace.field",
        ),
        (rule("a", "\"drop_prefill\"", r#", "when": {"has": [""]}"#), "fixes[0].when.has[0]"),
        (rule("a", "\"drop_prefill\"", r#", "models": [""]"#), "fixes[0].models[0]"),
        (rule("a", "\"drop_prefill\"", "").replace("https:", "http:"), "fixes[0].source"),
        ([rule("a", "\"drop_prefill\"", ""), rule("a", "\"drop_prefill\"", "")].join(","), "fixes[1].id"),
    ] {
        assert_eq!(fault(&wrong), place, "{wrong}");
    }
    assert!(fault(&rule("a", r#"{"invent": 1}"#, "")).starts_with("line 1"));
    let generic = format!(r#"{{"id": "generic", "fixes": [{}]}}"#, rule("a", "\"drop_prefill\"", ""));
    let faults = Providers::with_overrides(&[("generic.json".to_owned(), generic)]).expect_err("a fault");
    assert_eq!(faults[0].place, "fixes[0].off", "nothing is done to requests of which nothing is known");
}

#[test]
fn a_file_of_the_data_folder_replaces_the_rules() {
    let rule =
        r#"{"id": "mine", "fix": {"drop": ["x"]}, "confidence": "low", "source": "https://a.example/b"}"#;
    let text = format!(r#"{{"id": "groq", "fixes": [{rule}]}}"#);
    let providers = Providers::with_overrides(&[("groq.json".to_owned(), text)]).expect("no fault");
    let groq = providers.find("groq").expect("groq");
    let none = BTreeMap::new();
    let fixes: Vec<&Fix> = groq.fixes_for("m", Endpoint::Chat, true, &none).map(|rule| &rule.fix).collect();
    assert_eq!(fixes, [&Fix::Drop(vec!["x".into()])]);
}
