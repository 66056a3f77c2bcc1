//! What the embedded data allows.

use super::super::{Confidence, DeclaredLimit, Providers, Scope, Status, load::embedded_files};
use crate::model::limit::{CalendarUnit, Metric, Window};

fn limits(provider: &str, model: &str, plan: Option<&str>) -> Vec<DeclaredLimit> {
    Providers::embedded().find(provider).expect("a known provider").limits_for(model, plan)
}

fn max(provider: &str, model: &str, plan: Option<&str>, metric: Metric, window: &Window) -> Option<u64> {
    limits(provider, model, plan)
        .into_iter()
        .find(|limit| limit.metric == metric && limit.window == *window)
        .and_then(|limit| limit.max)
}

fn day(zone: &str) -> Window {
    let offset_minutes = if zone == "Asia/Shanghai" { 5 } else { 0 };
    Window::Calendar { unit: CalendarUnit::Day, zone: zone.to_owned(), offset_minutes }
}

const MINUTE: Window = Window::Rolling { ms: 60_000 };

#[test]
fn openrouters_day_depends_on_what_was_ever_bought_and_holds_for_free_models_only() {
    let day = day("UTC");
    for (model, plan, expected) in [
        ("openai/gpt-oss-20b:free", None, Some(50)),
        ("openai/gpt-oss-20b:free", Some("free"), Some(50)),
        ("openai/gpt-oss-20b:free", Some("credits"), Some(1000)),
        ("openai/gpt-oss-20b", None, None),
    ] {
        assert_eq!(max("openrouter", model, plan, Metric::Requests, &day), expected, "{model} {plan:?}");
    }
    let limits = limits("openrouter", "a:free", None);
    assert!(limits.iter().all(|limit| limit.scope == Scope::Group), "all free models count together");
    assert!(limits.iter().all(|limit| limit.models.fits("b:free") && !limit.models.fits("b")));
}

#[test]
fn a_models_own_limit_comes_before_the_general_one() {
    let los_angeles = day("America/Los_Angeles");
    for (model, minute, day) in [
        ("gemini-3.5-flash", Some(5), Some(20)),
        ("models/gemini-3.5-flash", Some(5), Some(20)),
        ("gemini-3.1-flash-lite", Some(15), Some(500)),
        ("gemini-2.5-flash-lite", Some(10), Some(20)),
        ("gemma-3-27b-it", Some(30), Some(14_400)),
        ("gemma-4-31b-it", None, None),
    ] {
        assert_eq!(max("google", model, None, Metric::Requests, &MINUTE), minute, "{model}");
        assert_eq!(max("google", model, None, Metric::Requests, &los_angeles), day, "{model}");
    }
    let lite = limits("google", "gemini-3.1-flash-lite", None);
    assert_eq!(lite.len(), 3, "one limit each on a minute's and a day's requests and on tokens: {lite:?}");
    let day = Window::Bucket { ms: 86_400_000, burst: None };
    assert_eq!(max("groq", "groq/compound-mini", None, Metric::Requests, &day), Some(250));
    assert_eq!(max("groq", "openai/gpt-oss-120b", None, Metric::Requests, &day), Some(1000));
    assert_eq!(max("groq", "openai/gpt-oss-120b", None, Metric::Tokens, &MINUTE), Some(8000));
}

#[test]
fn modelscope_counts_its_account_and_each_model_in_days_of_shanghai() {
    let limits = limits("modelscope", "ZhipuAI/GLM-5", None);
    let day = day("Asia/Shanghai");
    let of = |scope, metric| limits.iter().find(|limit| limit.scope == scope && limit.metric == metric);
    let account = of(Scope::Group, Metric::Requests).expect("a limit of the account");
    let model = of(Scope::GroupModel, Metric::Requests).expect("a limit of the model");
    assert_eq!(
        [(account.max, &account.window), (model.max, &model.window)],
        [(Some(2000), &day), (Some(200), &day)]
    );
    let units = of(Scope::Group, Metric::Units).expect("a limit in magicubes");
    assert_eq!((units.max, units.per_call, units.is_binding()), (Some(250), Some(2), false));
}

#[test]
fn a_limit_of_unknown_size_and_a_mere_report_hold_no_call_back() {
    let dashscope = limits("dashscope", "qwen-max", None);
    let unknown: Vec<_> = dashscope.iter().filter(|limit| limit.max.is_none()).collect();
    assert!(!unknown.is_empty() && unknown.iter().all(|limit| !limit.is_binding()));
    let nvidia = limits("nvidia", "openai/gpt-oss-20b", None);
    let binding: Vec<_> = nvidia.iter().filter(|limit| limit.is_binding()).collect();
    assert_eq!(binding.len(), 1);
    assert_eq!((binding[0].max, &binding[0].window, binding[0].scope), (Some(40), &MINUTE, Scope::Key));
    assert!(nvidia.iter().any(|limit| limit.confidence == Confidence::Low));
}

#[test]
fn the_generic_provider_declares_nothing() {
    let providers = Providers::embedded();
    let generic = providers.generic();
    assert_eq!(generic.limits_for("any", None), []);
    assert_eq!((generic.status, generic.base_urls.len(), generic.zone()), (Status::Unknown, 0, None));
}

#[test]
fn every_provider_is_dated_sourced_and_named_in_both_languages() {
    let providers = Providers::embedded();
    for provider in providers.all() {
        assert!(provider.checked.year() >= 2026 && !provider.sources.is_empty(), "{}", provider.id);
        assert!(provider.sources.iter().all(|source| source.starts_with("https://")), "{}", provider.id);
        for text in provider.notes.iter().chain(provider.plans.iter().map(|plan| &plan.name)) {
            assert!(!text.en.is_empty() && !text.zh.is_empty(), "{}", provider.id);
        }
        let local = provider.status == Status::Local;
        assert!(provider.base_urls.iter().all(|url| local || url.starts_with("https://")), "{}", provider.id);
    }
}

#[test]
fn every_file_is_named_after_its_provider() {
    let files: Vec<_> = embedded_files().collect();
    assert!(files.len() >= 27, "{} files", files.len());
    let providers = Providers::embedded();
    assert_eq!(providers.all().count(), files.len());
    for (name, text) in files {
        let id = name.strip_suffix(".json").expect("a JSON file");
        assert!(text.contains(&format!("\"id\": \"{id}\"")), "{name}");
        assert!(providers.find(id).is_some(), "{name}");
    }
}

#[test]
fn a_provider_is_proposed_by_the_host_of_an_address_and_by_the_form_of_a_key() {
    let providers = Providers::embedded();
    let at = |url: &str| providers.at(url).map(|provider| provider.id.clone());
    for (url, expected) in [
        ("https://api.groq.com/openai/v1", Some("groq")),
        ("https://API.Groq.com/openai/v1/", Some("groq")),
        ("https://api.z.ai/api/paas/v4", Some("zhipu")),
        ("https://api.cloudflare.com/client/v4/accounts/0123/ai/v1", Some("cloudflare")),
        ("http://127.0.0.1:11434/v1", Some("ollama")),
        ("http://127.0.0.1:8080/v1", None),
        ("https://api.groq.com.example/v1", None),
        ("not an address", None),
    ] {
        assert_eq!(at(url).as_deref(), expected, "{url}");
    }
    let like = |key: &str| {
        providers.with_key_like(key).iter().map(|provider| provider.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(like("sk-or-v1-0000"), ["openrouter"]);
    assert_eq!(like("nvapi-0000"), ["nvidia"]);
    assert_eq!(like("sk-0000"), ["dashscope", "deepseek", "moonshot", "siliconflow"]);
    assert_eq!(like("0000"), Vec::<String>::new());
}
