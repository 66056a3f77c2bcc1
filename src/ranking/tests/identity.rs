//! One model under many names, and models that only look alike.

use super::super::identity::{Identities, Identity, NameKind, OwnName};

fn identity(table: &Identities, provider: &str, name: &str) -> String {
    table.identify(provider, name).identity.to_string()
}

#[test]
fn the_same_model_is_recognised_under_the_names_of_its_providers() {
    let table = Identities::embedded();
    for (model, names) in [
        (
            "gpt-oss-120b",
            &[
                ("groq", "openai/gpt-oss-120b"),
                ("openrouter", "openai/gpt-oss-120b:free"),
                ("cloudflare", "@cf/openai/gpt-oss-120b"),
                ("cerebras", "gpt-oss-120b"),
                ("ollama-cloud", "gpt-oss:120b"),
                ("huggingface", "OpenAI/GPT-OSS-120B:cheapest"),
            ][..],
        ),
        (
            "qwen3.5-397b-a17b",
            &[
                ("modelscope", "Qwen/Qwen3.5-397B-A17B"),
                ("nvidia", "qwen/qwen3.5-397b-a17b"),
                ("ovh", "Qwen3.5-397B-A17B"),
                ("ollama-cloud", "qwen3.5:397b"),
            ],
        ),
        (
            "glm-5.2",
            &[
                ("modelscope", "ZhipuAI/GLM-5.2"),
                ("nvidia", "z-ai/glm-5.2"),
                ("modelscope-intl", "zai-org/GLM-5.2"),
            ],
        ),
        (
            "deepseek-v4-pro",
            &[("modelscope", "deepseek-ai/DeepSeek-V4-Pro"), ("x", "deepseek/deepseek-v4-pro")],
        ),
        ("qwen3-8b", &[("siliconflow", "Qwen/Qwen3-8B"), ("siliconflow", "Pro/Qwen/Qwen3-8B")]),
        (
            "llama-3.3-70b-instruct",
            &[
                ("cloudflare", "@cf/meta/llama-3.3-70b-instruct-fp8-fast"),
                ("openrouter", "meta-llama/llama-3.3-70b-instruct:free"),
            ],
        ),
        ("gemini-2.5-flash", &[("google", "gemini-2.5-flash"), ("x", "models/gemini-2.5-flash")]),
    ] {
        for (provider, name) in names {
            assert_eq!(identity(&table, provider, name), model, "{name} at {provider}");
        }
    }
}

#[test]
fn models_that_only_look_alike_stay_apart() {
    let table = Identities::embedded();
    for (one, other) in [
        ("openai/gpt-oss-120b", "openai/gpt-oss-20b"),
        ("Qwen/Qwen3.5-27B", "Qwen/Qwen3.5-35B-A3B"),
        ("Qwen/Qwen3.5-27B", "Qwen/Qwen3.6-27B"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3.5-8B"),
        ("qwen3-30b-a3b-instruct-2507", "qwen3-30b-a3b-thinking-2507"),
        ("qwen3-30b-a3b-instruct-2507", "qwen3-30b-a3b-instruct"),
        ("deepseek-ai/DeepSeek-V4-Pro", "deepseek-ai/DeepSeek-V4-Pro-0813"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek-ai/DeepSeek-V3.1-Terminus"),
        ("nvidia/nemotron-nano-12b-v2-vl:free", "nvidia/nemotron-nano-12b-v2:free"),
        ("glm-4.6v-flash", "glm-4.6-flash"),
        ("glm-4-flash-250414", "glm-4-flash"),
        ("ZhipuAI/GLM-5", "ZhipuAI/GLM-5.2"),
        ("google/gemma-4-31b-it", "google/gemma-4-31b"),
        ("gemini-3.1-flash-lite", "gemini-3.1-flash"),
        ("command-a-03-2025", "command-a-plus-05-2026"),
        ("moonshotai/Kimi-K2.5", "moonshotai/Kimi-K2-Thinking"),
        ("deepseek/deepseek-r1", "deepseek/deepseek-r1:thinking"),
        ("openai/gpt-oss-120b", "acme/gpt-oss-120b"),
        ("gpt-oss:120b", "gpt-oss"),
    ] {
        assert_ne!(identity(&table, "x", one), identity(&table, "x", other), "{one} and {other}");
    }
}

#[test]
fn a_moving_name_is_the_same_at_one_provider_alone_and_a_router_is_no_model() {
    let table = Identities::embedded();
    let mistral = table.identify("mistral", "mistral-small-latest");
    assert_eq!(mistral.kind, NameKind::Moving);
    assert_ne!(mistral.identity, table.identify("relay", "mistral-small-latest").identity);
    for (provider, name) in
        [("openrouter", "openrouter/free"), ("kilo", "kilo-auto/free"), ("groq", "groq/compound")]
    {
        assert_eq!(table.identify(provider, name).kind, NameKind::Router, "{name}");
    }
    assert_eq!(table.identify("groq", "openai/gpt-oss-20b").kind, NameKind::Model);
}

#[test]
fn a_file_adds_names_and_parts_what_the_table_joins() {
    let file = r#"{
        "prefixes": ["acme"], "apart": ["Pro/Qwen/Qwen3-8B"],
        "models": [{"id": "Mistral-Small-4", "names": ["mistral-small-latest"]}, {"id": "gpt-oss-20b", "names": ["oss-small"]}]
    }"#;
    let table = Identities::with_overrides(&[("mine.json".into(), file.into())]).expect("no fault");
    assert_eq!(identity(&table, "x", "acme/gpt-oss-120b"), "gpt-oss-120b");
    assert_eq!(identity(&table, "x", "Pro/Qwen/Qwen3-8B"), "pro/qwen/qwen3-8b");
    assert_eq!(identity(&table, "x", "Qwen/Qwen3-8B"), "qwen3-8b");
    assert_eq!(identity(&table, "mistral", "mistral-small-latest"), "mistral-small-4");
    assert_eq!(identity(&table, "x", "OSS-small"), "gpt-oss-20b");
    assert_eq!(
        identity(&table, "x", "gpt-oss:20b"),
        "gpt-oss:20b",
        "a model's names are replaced as a whole"
    );
}

#[test]
fn a_malformed_table_is_refused_with_its_place() {
    for (text, place, words) in [
        ("[]", "line 1, column 1", "one JSON object"),
        ("{\n\"prefix\": []}", "line 2, column 8", "unknown field `prefix`"),
        (r#"{"prefixes": ["a/b"]}"#, "prefixes[0]", "without `/`"),
        (r#"{"suffixes": ["-it"]}"#, "suffixes[0]", "begins with"),
        (r#"{"moving": ["*"]}"#, "moving[0]", "every model"),
        (r#"{"apart": [""]}"#, "apart[0]", "1 to 200"),
        (r#"{"models": [{"id": "a b", "names": []}]}"#, "models[0].id", "no blanks"),
        (
            r#"{"models": [{"id": "a", "names": ["x"]}, {"id": "b", "names": ["y", "X"]}]}"#,
            "models[1].names[1]",
            "another model",
        ),
    ] {
        let faults = Identities::with_overrides(&[("mine.json".into(), text.into())]).expect_err(text);
        let found = faults
            .iter()
            .any(|fault| fault.file == "mine.json" && fault.place == place && fault.message.contains(words));
        assert!(found, "{text}: {faults:?}");
    }
}

#[test]
fn a_saved_identity_reads_back() {
    let identity = Identity::new(" GLM-5.2 ");
    let saved = serde_json::to_string(&identity).expect("JSON");
    assert_eq!(
        (saved.as_str(), serde_json::from_str::<Identity>(&saved).ok()),
        ("\"glm-5.2\"", Some(identity))
    );
}

#[test]
fn a_name_that_an_operator_has_joined_counts_before_all_else_first_at_its_provider() {
    let own = |name: &str, provider: Option<&str>, model: &str| OwnName {
        name: name.into(),
        provider: provider.map(str::to_owned),
        identity: Identity::new(model),
    };
    let table = Identities::embedded().with_own(&[
        own("House-Model", None, "big"),
        own("house-model", Some("groq"), "small"),
        own("openai/gpt-oss-20b", None, "another"),
    ]);
    let identity = |provider: &str, name: &str| table.identify(provider, name).identity.to_string();
    assert_eq!(identity("generic", "openai/house-model:free"), "big");
    assert_eq!(identity("groq", "HOUSE-MODEL"), "small");
    assert_eq!(identity("groq", "openai/gpt-oss-20b"), "another");
    assert_eq!(identity("groq", "gpt-oss-20b"), "gpt-oss-20b", "only the name that was joined");
}
