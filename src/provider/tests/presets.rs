//! What presets say beyond limits and refusals, and presets that are wrong.

use super::super::{
    Providers,
    preset::{AccountsStance, CheckMethod, KeyCheck, ListShape, PromptsStance},
};

#[track_caller]
fn assert_fault(fields: &str, place: &str, words: &str) {
    let text = format!(r#"{{"id": "groq", {fields}}}"#);
    let faults = Providers::with_overrides(&[("mine.json".to_owned(), text)]).expect_err(fields);
    let found = faults
        .iter()
        .any(|fault| fault.file == "mine.json" && fault.place == place && fault.message.contains(words));
    assert!(found, "{fields}: {faults:?}");
}

#[test]
fn a_malformed_preset_is_refused_with_its_place() {
    for (fields, place, words) in [
        (r#""list": {"url": "a b"}"#, "list.url", "no address"),
        (r#""list": {"url": "//elsewhere.example/models"}"#, "list.url", "no address"),
        (r#""list": {"url": "file:///etc/passwd"}"#, "list.url", "no address"),
        (r#""list": {"key_header": "X-Key"}"#, "list.key_header", "lower case"),
        (r#""list": {"except": [""]}"#, "list.except[0]", "1 to 200"),
        (r#""list": {"shape": "odd"}"#, "line 1, column 38", "unknown variant `odd`"),
        (
            r#""key_check": {"endpoint": {"url": "", "source": "https://a.example"}}"#,
            "key_check.endpoint.url",
            "no address",
        ),
        (
            r#""key_check": {"endpoint": {"url": "key", "source": "docs"}}"#,
            "key_check.endpoint.source",
            "no http",
        ),
        (
            r#""key_check": {"endpoint": {"url": "key", "source": "https://a.example", "account": "data..id"}}"#,
            "key_check.endpoint.account",
            "field's path",
        ),
        (r#""key_check": {"completion": {"models": [""]}}"#, "key_check.completion.models[0]", "1 to 200"),
        (r#""key_check": "list""#, "line 1, column 34", "unknown variant `list`"),
        (r#""free": {"all": true, "price_zero": true}"#, "free.all", "decide nothing"),
        (r#""links": {"keys": "javascript:alert(1)"}"#, "links.keys", "no http"),
        (r#""terms": {"prompts": {"stance": "may_train"}}"#, "terms.prompts.text", "both languages"),
        (
            r#""terms": {"several_accounts": {"text": {"en": "a", "zh": "b"}}}"#,
            "terms.several_accounts.text",
            "other than `unknown`",
        ),
        (
            r#""terms": {"several_accounts": {"stance": "forbidden", "text": {"en": "a", "zh": " "}}}"#,
            "terms.several_accounts.text",
            "both languages",
        ),
        (
            r#""models": [{"id": "a", "seen": "2026-11-01", "source": "https://a.example", "context_window": 0}]"#,
            "models[0].context_window",
            "leave it out",
        ),
        (
            r#""models": [{"id": "a", "seen": "2026-11-01", "source": "https://a.example"}, {"id": "A", "seen": "2026-11-01", "source": "x"}]"#,
            "models[1].id",
            "there twice",
        ),
        (r#""models": [{"id": "a", "seen": "2026-11-01"}]"#, "line 1, column 59", "missing field `source`"),
    ] {
        assert_fault(fields, place, words);
    }
}

#[test]
fn a_preset_from_the_data_folder_replaces_whole_fields() {
    let file = r#"{"id": "groq", "free": {"others_are_paid": true}, "list": {"url": "catalogue"}}"#;
    let providers =
        Providers::with_overrides(&[("groq.json".to_owned(), file.to_owned())]).expect("no fault");
    let groq = providers.find("groq").expect("groq");
    assert_eq!(
        (groq.list.url.as_str(), groq.list.needs_key, groq.list.shape),
        ("catalogue", None, ListShape::Openai)
    );
    assert!(groq.free.as_ref().is_some_and(|free| free.models.is_empty() && free.others_are_paid));
    assert!(groq.models.iter().any(|model| model.id == "openai/gpt-oss-120b"), "the embedded models stay");
}

#[test]
fn a_provider_of_ones_own_needs_none_of_it_and_its_keys_are_proved_by_a_completion() {
    let file = r#"{"id": "acme", "checked": "2026-11-20", "name": {"en": "A", "zh": "A"}, "status": "paid", "base_urls": []}"#;
    let providers =
        Providers::with_overrides(&[("acme.json".to_owned(), file.to_owned())]).expect("no fault");
    let acme = providers.find("acme").expect("acme");
    assert_eq!(
        acme.list_address("https://acme.example/v1").as_deref(),
        Some("https://acme.example/v1/models")
    );
    assert!(matches!(&acme.key_check, KeyCheck::Completion(completion) if completion.models.is_empty()));
    assert_eq!((acme.free.as_ref(), acme.key_endpoint("https://acme.example/v1")), (None, None));
    assert_eq!(acme.terms.prompts.stance, PromptsStance::Unknown);
}

#[test]
fn a_public_list_never_proves_a_key() {
    let providers = Providers::embedded();
    for id in ["openrouter", "modelscope", "sambanova"] {
        let provider = providers.find(id).expect("a known provider");
        assert_eq!(provider.list.needs_key, Some(false), "{id}");
        assert!(!matches!(provider.key_check, KeyCheck::None), "{id}");
    }
}

#[test]
fn endpoints_tell_the_account_and_what_is_left_where_the_provider_has_them() {
    let providers = Providers::embedded();
    let endpoint = |id: &str, base_url: &str| {
        let provider = providers.find(id).expect("a known provider");
        provider.key_endpoint(base_url).map(|(endpoint, address)| (endpoint.clone(), address)).expect(id)
    };
    let (openrouter, address) = endpoint("openrouter", "https://openrouter.ai/api/v1");
    assert_eq!(address, "https://openrouter.ai/api/v1/key");
    assert_eq!(openrouter.account.as_deref(), Some("data.creator_user_id"));
    assert_eq!(openrouter.calls_left.as_deref(), Some("data.free_model_daily_requests.remaining"));
    let (cohere, address) = endpoint("cohere", "https://api.cohere.ai/compatibility/v1");
    assert_eq!(
        (address.as_str(), cohere.method),
        ("https://api.cohere.com/v1/check-api-key", CheckMethod::Post)
    );
    assert_eq!(cohere.valid.as_deref(), Some("valid"));
    assert_eq!(endpoint("deepseek", "https://api.deepseek.com").1, "https://api.deepseek.com/user/balance");
    assert_eq!(
        endpoint("moonshot", "https://api.moonshot.ai/v1").1,
        "https://api.moonshot.ai/v1/users/me/balance"
    );
}

#[test]
fn presets_warn_where_more_accounts_add_nothing_and_where_prompts_are_kept() {
    let providers = Providers::embedded();
    let terms = |id: &str| &providers.find(id).expect("a known provider").terms;
    assert_eq!(terms("openrouter").several_accounts.stance, AccountsStance::NoGain);
    assert_eq!(terms("google").prompts.stance, PromptsStance::MayTrain);
    assert_eq!(terms("kilo").prompts.stance, PromptsStance::MayBeLogged);
    assert_eq!(terms("nvidia").prompts.stance, PromptsStance::Unknown, "nobody has read them");
}

#[test]
fn every_model_that_a_preset_promises_as_free_is_so_by_its_own_rule() {
    let providers = Providers::embedded();
    let modelscope = providers.find("modelscope").expect("modelscope");
    let list = br#"{"data":[{"id":"Qwen/Qwen3.5-397B-A17B"},{"id":"ZhipuAI/GLM-5"},{"id":"MiniMax/MiniMax-M2.5"},{"id":"moonshotai/Kimi-K2.5"}]}"#;
    let listing = modelscope.read_list(list).expect("a list");
    assert_eq!(listing.models.len(), 4);
    assert!(listing.models.iter().all(|model| model.free == Some(true)));
}
