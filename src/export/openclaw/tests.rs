//! Exports of a rich world, as OpenClaw reads them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{schema::unknown_keys, *};
use crate::model::{
    chain::{Chain, ChainStep},
    channel::{Channel, ChannelModel, Price, Protocol},
    endpoint::{Endpoint, Endpoints},
    id::{ChainId, ChannelId, TokenId},
    settings::RuntimeSettings,
    time::UnixMs,
    token::{ClientProfile, Token},
};

const VALUE: &str = "sk-value-of-the-token";

fn channel(id: i64, provider: &str, models: Vec<ChannelModel>) -> Channel {
    Channel {
        id: ChannelId(id),
        name: format!("channel {id}"),
        base_url: "https://upstream.example".into(),
        protocol: Protocol::OpenAi,
        provider: provider.into(),
        plan: None,
        priority: 0,
        weight: 1,
        groups: vec![format!("group{id}")],
        headers: Vec::new(),
        proxy: None,
        timeouts: Default::default(),
        allow_private: false,
        note: String::new(),
        enabled: true,
        endpoints: Default::default(),
        models,
        redirects: Vec::new(),
        limits: Vec::new(),
        shaping: Default::default(),
        budget: None,
    }
}

fn token(models: &[&str], groups: &[&str]) -> Token {
    Token {
        id: TokenId(1),
        name: "t".into(),
        last4: "abcd".into(),
        models: models.iter().map(ToString::to_string).collect(),
        groups: groups.iter().map(ToString::to_string).collect(),
        cidrs: Vec::new(),
        expires_at: None,
        quota: None,
        requests_per_minute: None,
        weight: 1,
        profile: ClientProfile::OpenClaw,
        note: String::new(),
        enabled: true,
        created_at: UnixMs(0),
    }
}

fn model(name: &str) -> ChannelModel {
    ChannelModel { name: name.into(), ..Default::default() }
}

fn for_use(name: &str, endpoint: Endpoint) -> ChannelModel {
    ChannelModel { endpoints: Endpoints::default().with(endpoint), ..model(name) }
}

fn catalog_with(settings: RuntimeSettings, channels: Vec<Channel>) -> Catalog {
    let channels = channels.into_iter().map(|channel| (channel, Vec::new())).collect();
    Catalog::new(settings, jiff::tz::TimeZone::UTC, channels, Vec::new(), Vec::new())
}

fn catalog(channels: Vec<Channel>) -> Catalog {
    catalog_with(RuntimeSettings::sample(), channels)
}

/// Models of every kind, on providers with and without words of their own, and a chain over them.
fn rich() -> Catalog {
    let seeing = ChannelModel {
        context_window: Some(131_072),
        max_output: Some(8192),
        vision: Some(true),
        tools: Some(true),
        reasoning: Some(true),
        price: Some(Price { input: 150_000, cached: Some(75_000), output: 3_000_000, reasoning: None }),
        ..model("org/big:free")
    };
    let thinking = ChannelModel { reasoning: Some(true), vision: Some(true), ..model("thinker") };
    let mute = ChannelModel { tools: Some(false), ..model("no-tools") };
    let media = vec![
        for_use("embed-1", Endpoint::Embeddings),
        for_use("tts-1", Endpoint::Speech),
        for_use("whisper-1", Endpoint::Transcriptions),
        for_use("picture-1", Endpoint::Images),
        for_use("film-1", Endpoint::Videos),
    ];
    let plain = vec![thinking, mute, model("plain")];
    let channels = vec![
        channel(1, "openrouter", vec![seeing]),
        channel(2, "generic", plain),
        channel(3, "generic", media),
    ];
    let step = |name: &str| ChainStep::new(name);
    let chain = Chain {
        id: ChainId(1),
        name: "best".into(),
        enabled: true,
        steps: vec![step("org/big:free"), step("plain")],
    };
    catalog(channels).with_chains(vec![chain])
}

fn options(query: &str) -> ExportOptions {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    ExportOptions::read(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap()
}

fn try_export(
    catalog: &Catalog,
    token: &Token,
    query: &str,
    last: Option<&ExportRecord>,
) -> Result<Export, Vec<OptionFault>> {
    let providers = Providers::embedded();
    let base_url = "http://127.0.0.1:3000/v1";
    let options = options(query);
    let value = (options.key != Some(KeyForm::Environment)).then_some(VALUE);
    for_token(&World { catalog, providers: &providers, token, base_url, value }, &options, last)
}

fn export(catalog: &Catalog, query: &str, last: Option<&ExportRecord>) -> Export {
    try_export(catalog, &token(&[], &[]), query, last).unwrap()
}

fn entry<'a>(document: &'a Value, id: &str) -> &'a Value {
    let models = document["models"]["providers"]["onepool"]["models"].as_array().unwrap();
    models.iter().find(|model| model["id"] == id).unwrap()
}

#[test]
fn no_export_holds_a_key_that_openclaw_does_not_know() {
    let catalog = rich();
    let everything = "model=best&model=org/big:free&model=thinker&model=no-tools&alias=best:b&alias=thinker:t&image_model=first\
                      &pdf_model=thinker&utility_model=no-tools";
    let first = export(&catalog, everything, None);
    let media = export(&catalog, "part=media&voice=alloy", None);
    for document in [
        &first.document,
        &media.document,
        &export(&catalog, "", None).document,
        &export(&catalog, "form=file&alias=plain:p", None).document,
        &export(&catalog, "model=plain", Some(&first.record)).document,
        &export(&catalog, "part=media&embeddings=none&speech=none", Some(&media.record)).document,
    ] {
        assert_eq!(unknown_keys(document), Vec::<String>::new(), "{document:#}");
    }
}

#[test]
fn a_model_is_told_with_everything_that_is_known_of_it() {
    let value = export(&rich(), "key=environment&model=org/big:free&model=plain&form=file", None).document;
    let compat = json!({
        "supportsStore": false, "supportsDeveloperRole": false, "supportsReasoningEffort": false,
        "supportsUsageInStreaming": true, "maxTokensField": "max_tokens",
    });
    let mut reasoning = compat.clone();
    reasoning["supportsReasoningEffort"] = true.into();
    reasoning["thinkingFormat"] = "openai".into();
    reasoning["supportedReasoningEfforts"] = json!(["none", "low", "medium", "high"]);
    assert_eq!(
        value,
        json!({
            "models": { "mode": "merge", "providers": { "onepool": {
                "baseUrl": "http://127.0.0.1:3000/v1",
                "apiKey": "${ONEPOOL_API_KEY}",
                "api": "openai-completions",
                "headers": { "X-Client": "openclaw" },
                "models": [
                    { "id": "org/big:free", "name": "org/big:free", "reasoning": true, "input": ["text", "image"],
                      "cost": { "input": 0.15, "output": 3, "cacheRead": 0.075, "cacheWrite": 0.15 },
                      "contextWindow": 131072, "maxTokens": 8192, "compat": reasoning },
                    { "id": "plain", "name": "plain", "reasoning": false, "input": ["text"], "compat": compat },
                ],
            } } },
            "agents": { "defaults": { "model": {
                "primary": "onepool/org/big:free", "fallbacks": ["onepool/plain"],
            } } },
        })
    );
}

#[test]
fn compat_flags_say_how_calls_are_passed_on() {
    let document = export(&rich(), "", None).document;
    let compat = |id: &str| &entry(&document, id)["compat"];
    assert_eq!(
        compat("org/big:free")["supportsReasoningEffort"],
        true,
        "a fix says it in OpenRouter's words"
    );
    assert_eq!(compat("thinker")["supportsReasoningEffort"], false, "nobody knows the upstream's words");
    assert_eq!(compat("no-tools")["supportsTools"], false);
    assert_eq!(compat("plain").get("supportsTools"), None);

    let effort = BTreeMap::from([("effort-thinking".to_owned(), true)]);
    let thinker = ChannelModel { reasoning: Some(true), ..model("thinker") };
    let mut switched = channel(1, "generic", vec![thinker]);
    switched.shaping.fixes = effort;
    let document = export(&catalog(vec![switched]), "", None).document;
    assert_eq!(entry(&document, "thinker")["compat"]["supportsReasoningEffort"], true);
}

#[test]
fn a_chain_is_a_model_and_what_does_not_chat_is_none() {
    let document = export(&rich(), "", None).document;
    let models = document["models"]["providers"]["onepool"]["models"].as_array().unwrap();
    let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["best", "no-tools", "org/big:free", "plain", "thinker"]);
    assert_eq!(entry(&document, "best")["input"], json!(["text"]), "not every step reads images");
    assert!(!document["agents"].to_string().contains("whisper-1"));
}

#[test]
fn the_chosen_order_decides_and_so_do_primary_and_fallbacks_if_they_are_named() {
    let catalog = catalog(vec![channel(1, "generic", vec![model("one"), model("Two"), model("three")])]);
    let of = |query: &str| export(&catalog, query, None).document["agents"]["defaults"]["model"].clone();
    assert_eq!(
        of("model=two&model=ONE&model=two"),
        json!({"primary": "onepool/Two", "fallbacks": ["onepool/one"]})
    );
    assert_eq!(
        of("primary=two&fallback=three"),
        json!({"primary": "onepool/Two", "fallbacks": ["onepool/three"]})
    );
    assert_eq!(of("primary=two&fallback=none"), json!({"primary": "onepool/Two", "fallbacks": []}));
    assert_eq!(of("primary=none"), Value::Null);
    let many = (0..20).map(|number| model(&format!("m{number:02}"))).collect();
    let many = export(&self::catalog(vec![channel(1, "generic", many)]), "", None);
    assert_eq!(
        many.document["agents"]["defaults"]["model"]["fallbacks"].as_array().unwrap().len(),
        MAX_FALLBACKS
    );
}

#[test]
fn a_wrong_choice_is_refused_with_its_option() {
    let catalog = rich();
    let limited = token(&["plain", "whisper-1"], &[]);
    for (token, query, option) in [
        (&token(&[], &[]), "model=nobody", "model"),
        (&token(&[], &[]), "model=whisper-1", "model"),
        (&limited, "model=thinker", "model"),
        (&limited, "primary=thinker", "primary"),
        (&limited, "fallback=thinker", "fallback"),
        (&limited, "primary=none&fallback=plain", "fallback"),
        (&limited, "alias=thinker:t", "alias"),
        (&limited, "image_model=plain", "image_model"),
        (&limited, "pdf_model=first", "pdf_model"),
        (&limited, "utility_model=thinker", "utility_model"),
        (&limited, "part=media&speech=plain", "speech"),
        (&limited, "part=media&transcription=nobody", "transcription"),
        (&limited, "part=media&images=picture-1", "images"),
    ] {
        let faults = try_export(&catalog, token, query, None).unwrap_err();
        assert_eq!(faults[0].option, option, "{query}: {faults:?}");
    }
    let wrong = ExportOptions { provider_id: "a.b".into(), ..ExportOptions::default() };
    let providers = Providers::embedded();
    let world = World {
        catalog: &catalog,
        providers: &providers,
        token: &limited,
        base_url: "http://h/v1",
        value: None,
    };
    assert_eq!(
        for_token(&world, &wrong, None).unwrap_err()[0].option,
        "provider",
        "whoever made the options"
    );
}

#[test]
fn image_and_pdf_models_are_those_that_see_and_the_others_that_do_follow() {
    let document = export(&rich(), "image_model=first&pdf_model=thinker&utility_model=plain", None).document;
    let defaults = &document["agents"]["defaults"];
    let seeing = json!({"primary": "onepool/org/big:free", "fallbacks": ["onepool/thinker"]});
    assert_eq!(defaults["imageModel"], seeing);
    assert_eq!(defaults["pdfModel"]["primary"], "onepool/thinker");
    assert_eq!(defaults["utilityModel"], "onepool/plain");
    assert_eq!(export(&rich(), "", None).document["agents"]["defaults"].get("imageModel"), None);
}

#[test]
fn a_hand_copied_file_with_aliases_lets_every_model_of_ours_be_chosen() {
    let aliases = |query: &str| export(&rich(), query, None).document["agents"]["defaults"]["models"].clone();
    assert_eq!(aliases("alias=org/big:free:big"), json!({"onepool/org/big:free": {"alias": "big"}}));
    assert_eq!(
        aliases("form=file&alias=org/big:free:big&provider=onepool"),
        json!({"onepool/org/big:free": {"alias": "big"}, "onepool/*": {}})
    );
    assert_eq!(aliases("form=file"), Value::Null);
}

#[test]
fn the_next_patch_takes_back_what_is_gone_and_goes_on_to_do_so() {
    let catalog = rich();
    let first = export(&catalog, "alias=plain:p&alias=thinker:t&alias=best:b&image_model=first", None);
    let query = "model=plain&model=best&alias=best:bb";
    let second = export(&catalog, query, Some(&first.record));
    let defaults = &second.document["agents"]["defaults"];
    assert_eq!(
        defaults["models"],
        json!({"onepool/best": {"alias": "bb"}, "onepool/plain": {"alias": null}, "onepool/thinker": null}),
        "of a model that is still there only the alias goes"
    );
    assert_eq!(defaults.get("imageModel"), Some(&Value::Null));
    assert_eq!(second.replace_paths, ["models.providers.onepool.models"]);
    // Nobody knows whether OpenClaw has seen the second one.
    let third = export(&catalog, query, Some(&second.record));
    assert_eq!(third.document["agents"]["defaults"]["models"]["onepool/thinker"], Value::Null);
    assert!(
        third.document["agents"]["defaults"]["models"].as_object().unwrap().contains_key("onepool/thinker")
    );
    let back = export(&catalog, "alias=thinker:t", Some(&third.record));
    assert_eq!(back.document["agents"]["defaults"]["models"]["onepool/thinker"], json!({"alias": "t"}));
    // A file is read as it is: no null belongs there.
    let file = export(&catalog, "form=file&model=plain", Some(&first.record));
    assert!(!file.document.to_string().contains("null"), "{:#}", file.document);
    // A primary model is always needed.
    let without = export(&catalog, "primary=none", Some(&first.record));
    assert_eq!(without.document["agents"]["defaults"].get("model"), None);
}

#[test]
fn what_changed_is_told_by_model_and_limit() {
    let at = |window: u32, models: &[&str]| {
        let models = models.iter().map(|name| ChannelModel { context_window: Some(window), ..model(name) });
        catalog(vec![channel(1, "generic", models.collect())])
    };
    let old = export(&at(64_000, &["a", "b"]), "alias=a:x&alias=b:y", None).record;
    let new = export(&at(128_000, &["a", "c"]), "alias=a:z", Some(&old)).record;
    let changes = Changes::between(&old, &new);
    assert_eq!(
        (changes.added.clone(), changes.removed.clone()),
        (vec!["c".to_owned()], vec!["b".to_owned()])
    );
    let window = Change { fact: Fact::ContextWindow, before: Some(64_000), after: Some(128_000) };
    assert_eq!(changes.changed, [("a".to_owned(), vec![window])]);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(changes.aliases, [("a".into(), text("x"), text("z")), ("b".into(), text("y"), None)]);
    assert!(!changes.other && !changes.is_empty());
    assert!(Changes::between(&new, &new.clone()).is_empty());
    // The value of the token is no change, its address is one.
    let same = export(&at(128_000, &["a", "c"]), "alias=a:z&key=environment", Some(&old)).record;
    assert_eq!(same.hash, new.hash);
    let moved = ExportRecord { hash: "other".into(), ..new.clone() };
    assert!(Changes::between(&new, &moved).other);
}

#[test]
fn no_record_holds_the_tokens_value() {
    let export = export(&rich(), "", None);
    assert!(export.document.to_string().contains(VALUE));
    assert!(!serde_json::to_string(&export.record).unwrap().contains(VALUE));
}

#[test]
fn media_point_openclaws_own_providers_here_for_models_that_serve_them() {
    let made = export(&rich(), "part=media&key=environment&voice=alloy", None);
    let (url, key) = ("http://127.0.0.1:3000/v1", "${ONEPOOL_API_KEY}");
    assert_eq!(
        made.document,
        json!({
            "memory": { "search": { "provider": "onepool", "model": "embed-1" } },
            "tts": { "provider": "openai", "providers": { "openai": {
                "apiKey": key, "baseUrl": url, "model": "tts-1", "speakerVoice": "alloy",
            } } },
            "tools": { "media": {
                "models": [{ "provider": "openai", "model": "whisper-1", "capabilities": ["audio"], "baseUrl": url }],
                "audio": { "enabled": true },
            } },
            "agents": { "defaults": { "mediaModels": {
                "image": { "primary": "litellm/picture-1" }, "video": { "primary": "openai/film-1" },
            } } },
            "models": { "providers": {
                "openai": { "baseUrl": url, "apiKey": key, "request": { "allowPrivateNetwork": true } },
                "litellm": { "baseUrl": url, "apiKey": key },
            } },
        })
    );
    let nothing = catalog(vec![channel(1, "generic", vec![model("plain")])]);
    assert_eq!(
        export(&nothing, "part=media", None).document,
        json!({}),
        "that all serve embeddings says nothing"
    );
    let embeddings = export(&nothing, "part=media&embeddings=plain", None).document;
    assert_eq!(embeddings["memory"]["search"]["model"], "plain", "unless somebody says so");
}

#[test]
fn media_that_are_not_wanted_any_more_are_taken_back_and_what_others_need_stays() {
    let first = export(&rich(), "part=media", None);
    let second = export(&rich(), "part=media&speech=none&images=none&embeddings=none", Some(&first.record));
    let document = &second.document;
    assert_eq!(document["tts"]["providers"].get("openai"), Some(&Value::Null));
    assert_eq!(document["memory"]["search"].get("model"), Some(&Value::Null));
    assert_eq!(document["agents"]["defaults"]["mediaModels"].get("image"), Some(&Value::Null));
    assert_eq!(document["models"]["providers"].get("litellm"), Some(&Value::Null));
    assert!(document["models"]["providers"]["openai"].is_object(), "transcription and video need it");
    let none = "part=media&embeddings=none&speech=none&transcription=none&images=none&video=none";
    let last = export(&rich(), none, Some(&second.record)).document;
    assert_eq!(last["models"]["providers"].get("openai"), Some(&Value::Null));
}

#[test]
fn a_model_with_several_routes_promises_only_what_each_of_the_tokens_routes_holds() {
    let small = ChannelModel { context_window: Some(32_000), vision: Some(true), ..model("m") };
    let large = ChannelModel { context_window: Some(128_000), vision: None, ..model("m") };
    let tiny = ChannelModel { context_window: Some(4_000), ..model("m") };
    let catalog = catalog(vec![
        channel(1, "generic", vec![small]),
        channel(2, "generic", vec![large]),
        channel(3, "generic", vec![tiny]),
    ]);
    let of = |groups: &[&str]| {
        let document = try_export(&catalog, &token(&[], groups), "", None).unwrap().document;
        (entry(&document, "m")["contextWindow"].clone(), entry(&document, "m")["input"].clone())
    };
    assert_eq!(of(&["group1", "group2"]), (json!(32_000), json!(["text"])));
    assert_eq!(of(&["group1"]), (json!(32_000), json!(["text", "image"])));
    assert_eq!(of(&["group2"]), (json!(128_000), json!(["text"])));
    assert_eq!(of(&[]).0, json!(32_000), "no call that is too long for the tiny one goes there");
    assert_eq!(of(&["group3"]).0, json!(4_000));
}

#[test]
fn three_hundred_models_fit_into_what_openclaw_reads_and_more_than_a_thousand_are_refused() {
    let many = |count: usize| {
        let models = (0..count).map(|number| ChannelModel {
            context_window: Some(1_048_576),
            max_output: Some(65_536),
            vision: Some(true),
            reasoning: Some(true),
            price: Some(Price {
                input: 1_234_567,
                cached: Some(123_456),
                output: 12_345_678,
                reasoning: None,
            }),
            ..model(&format!("some-organisation/a-rather-long-name-of-a-model-{number:04}:free"))
        });
        catalog(vec![channel(1, "openrouter", models.collect())])
    };
    assert!(export(&many(300), "", None).document.to_string().len() < 1 << 18);
    assert!(export(&many(MAX_MODELS), "", None).document.to_string().len() < 1 << 20);
    let faults = try_export(&many(MAX_MODELS + 1), &token(&[], &[]), "", None).unwrap_err();
    assert_eq!(faults[0].problem, Problem::TooMany { models: MAX_MODELS + 1, most: MAX_MODELS });
}

#[test]
fn openclaws_time_limit_is_raised_only_where_keep_alives_are_rare() {
    let of = |every_ms: u32| {
        let settings = RuntimeSettings { keepalive_every_ms: every_ms, ..RuntimeSettings::sample() };
        let document = export(&catalog_with(settings, Vec::new()), "", None).document;
        document["models"]["providers"]["onepool"].get("timeoutSeconds").cloned()
    };
    assert_eq!((of(15_000), of(120_000)), (None, Some(json!(1800))));
}

#[test]
fn without_models_openclaws_present_choice_is_left_alone() {
    let document = export(&catalog(Vec::new()), "image_model=first", None).document;
    assert!(document.get("agents").is_none());
    assert_eq!(document["models"]["providers"]["onepool"]["models"], json!([]));
}

#[test]
fn a_price_is_an_exact_decimal_and_a_literal_key_is_never_read_as_a_variable() {
    for (micros, text) in
        [(0, "0"), (1, "1e-6"), (150_000, "0.15"), (2_500_000, "2.5"), (123_456_789, "123.456789")]
    {
        assert_eq!(chat::dollars(micros).to_string(), text);
    }
    let (catalog, providers, token) = (catalog(Vec::new()), Providers::embedded(), token(&[], &[]));
    let world = World {
        catalog: &catalog,
        providers: &providers,
        token: &token,
        base_url: "http://h/v1",
        value: Some("sk-${HOME}"),
    };
    let document = for_token(&world, &ExportOptions::default(), None).unwrap().document;
    assert_eq!(document["models"]["providers"]["onepool"]["apiKey"], "sk-$${HOME}");
}
