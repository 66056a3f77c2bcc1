//! The page of models, and a channel from two fields.

use onepool::{
    model::{channel::ChannelModel, id::ChannelId, key::PastedKey, secret::Secret},
    provider::Providers,
    storage::channels::NewChannel,
};

use super::Browser;
use crate::support::{
    raw::{Gate, Raw, write_json},
    upstream::{
        Upstream,
        skill::{Skills, Tools},
    },
};

/// A channel whose upstream listed this many models.
async fn listed(browser: &Browser, name: &str, count: usize) -> ChannelId {
    let site = browser.app.site();
    let new = NewChannel {
        name: name.into(),
        base_url: "http://127.0.0.1:9".into(),
        enabled: true,
        ..NewChannel::default()
    };
    let id = site.db.create_channel(&new).await.unwrap();
    let model = |number: usize| {
        serde_json::json!({"id": format!("vendor/a-model-with-a-name-of-the-usual-length-{number:05}:free"),
            "context_length": 131_072, "supported_parameters": ["tools", "reasoning"],
            "architecture": {"input_modalities": ["text", "image", "file"]},
            "top_provider": {"max_completion_tokens": 65_536}, "pricing": {"prompt": "0", "completion": "0"}})
    };
    let body = serde_json::json!({ "data": (0..count).map(model).collect::<Vec<_>>() }).to_string();
    let listing = Providers::embedded().find("openrouter").unwrap().read_list(body.as_bytes()).unwrap();
    site.db.save_listing(id, &listing, site.clock.now()).await.unwrap();
    site.catalog.reload().await.unwrap();
    id
}

#[tokio::test]
async fn five_thousand_models_are_searched_and_paged_on_pages_of_bounded_length() {
    let browser = Browser::start().await;
    listed(&browser, "Many", 5000).await;
    let first = browser.get("/upstream-models").await;
    assert!(
        first.has("5000 models") && first.has("Page 1 of 50") && first.has("-00000:free"),
        "{}",
        first.body
    );
    assert!(first.body.len() < 150_000, "{} bytes", first.body.len());
    let last = browser.get("/upstream-models?show=free&page=50").await;
    assert!(last.has("-04999:free") && !last.has("rel=\"next\""), "{}", last.body);
    let found = browser.get("/upstream-models?q=LENGTH-0042&show=new").await;
    assert!(found.has("10 models") && found.has("-00429:free"), "{}", found.body);
    assert!(
        browser.get("/upstream-models?q=%25").await.has("No model fits."),
        "a sign of the search is no wildcard"
    );
    assert!(browser.get("/upstream-models?show=callable").await.has("No model fits."));
    let channel = browser.get("/channels/1").await;
    assert!(channel.has("5000 models of the last list are not offered here") && channel.body.len() < 150_000);
}

#[tokio::test]
async fn selected_models_are_offered_by_their_channels_with_what_is_known_of_them() {
    let browser = Browser::start().await;
    let id = listed(&browser, "Some", 3).await;
    let name = "vendor/a-model-with-a-name-of-the-usual-length-00001:free";
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("offer", format!("{id} {name}")),
            ("offer", format!("{id} unknown")),
            ("back", "page=1".into()),
        ])
        .finish();
    let done = browser.post("/upstream-models/offer", &form).await;
    assert_eq!((done.status.as_u16(), done.location.as_str()), (303, "/upstream-models?page=1"));
    let entry = browser.app.site().catalog.load().channel(id).unwrap().clone();
    let [model] = &entry.channel.models[..] else { panic!("{:?}", entry.channel.models) };
    assert_eq!((model.name.as_str(), model.context_window, model.vision), (name, Some(131_072), Some(true)));
    let again = browser.post("/upstream-models/offer", &form).await;
    assert_eq!(again.status.as_u16(), 303);
    assert_eq!(browser.app.site().catalog.load().channel(id).unwrap().channel.models.len(), 1);
}

#[tokio::test]
async fn changes_are_shown_until_the_operator_has_seen_them() {
    let browser = Browser::start().await;
    let id = listed(&browser, "Some", 3).await;
    let site = browser.app.site();
    browser.wait(std::time::Duration::from_secs(60));
    let listing = Providers::embedded().generic().read_list(br#"{"data":[{"id":"brand-new"}]}"#).unwrap();
    site.db.save_listing(id, &listing, site.clock.now()).await.unwrap();
    let page = browser.get("/upstream-models").await;
    assert!(page.has("Changes so far") && page.has("appeared") && page.has("brand-new"), "{}", page.body);
    browser.post("/upstream-models/seen", &format!("at={}", site.clock.now().0)).await;
    assert!(browser.get("/upstream-models").await.has("Nothing has changed since you looked last."));
}

#[tokio::test]
async fn the_page_asks_upstreams_and_says_which_gave_no_list() {
    let browser = Browser::start().await;
    assert!(browser.get("/upstream-models").await.has("No upstream was asked"));
    let upstream = Upstream::start();
    upstream.set_models(&["m", "n"]);
    let new = |name: &str, base_url: String| NewChannel {
        name: name.into(),
        base_url,
        allow_private: true,
        enabled: true,
        ..NewChannel::default()
    };
    let site = browser.app.site();
    for (name, base_url) in [("Good", upstream.base_url()), ("Bad", "http://127.0.0.1:9".to_owned())] {
        let id = site.db.create_channel(&new(name, base_url)).await.unwrap();
        let key = PastedKey {
            label: String::new(),
            secret: Secret::new("key-0000"),
            quota_group: None,
            limits: Vec::new(),
            budget: None,
        };
        site.db.add_keys(id, &[key]).await.unwrap();
    }
    site.catalog.reload().await.unwrap();
    assert_eq!(browser.post("/upstream-models/refresh", "channel=").await.status.as_u16(), 303);
    let progress = site.admin.rounds.finished().await;
    assert_eq!((progress.done, progress.models, progress.failed), (2, 2, vec!["Bad".to_owned()]));
    let page = browser.get("/upstream-models").await;
    assert!(page.has("2 models") && page.has("no connection: refused"), "{}", page.body);
}

#[tokio::test]
async fn a_page_shows_how_far_asking_has_come_and_is_loaded_anew_at_the_end() {
    let browser = Browser::start().await;
    listed(&browser, "Some", 3).await;
    let gate = Gate::default();
    let held = gate.clone();
    let slow = Raw::answer(move |_, socket| {
        held.wait();
        write_json(socket, r#"{"data":[{"id":"late"}]}"#);
    });
    let site = browser.app.site();
    let new = NewChannel {
        name: "Slow".into(),
        base_url: slow.base_url(),
        allow_private: true,
        enabled: true,
        provider: "ollama".into(),
        ..NewChannel::default()
    };
    site.db.create_channel(&new).await.unwrap();
    site.catalog.reload().await.unwrap();
    assert_eq!(browser.post("/upstream-models/refresh", "channel=").await.status.as_u16(), 303);
    let asking = "Asking the upstreams: 0 of 1 have answered.";
    let page = browser.get("/upstream-models").await;
    assert!(page.has(asking) && page.has("hx-get=\"/upstream-models/progress\""), "{}", page.body);
    assert!(browser.get("/upstream-models/progress").await.has(asking));
    gate.open();
    site.admin.rounds.finished().await;
    assert_eq!(browser.get("/upstream-models/progress").await.body, "");
    assert!(!browser.get("/upstream-models").await.has("Asking the upstreams"));
}

#[tokio::test]
async fn a_provider_and_a_key_make_a_channel_and_the_keys_form_proposes_the_provider() {
    let browser = Browser::start().await;
    let fields = "protocol=openai&priority=0&weight=1&enabled=true";
    let form = browser.get("/channels/new?provider=openrouter").await;
    assert!(
        form.has("value=\"https://openrouter.ai/api/v1\"") && form.has("https://openrouter.ai/settings/keys"),
        "{}",
        form.body
    );
    assert!(form.has("more keys or accounts of yours do not raise your limits"), "what the terms say");
    let made = browser
        .post("/channels/new", &format!("{fields}&provider=openrouter&keys=sk-or-v1-0123456789"))
        .await;
    assert_eq!(made.status.as_u16(), 303, "{}", made.body);
    let channel = browser.app.site().catalog.load().channel(ChannelId(1)).unwrap().channel.clone();
    assert_eq!(
        (channel.name.as_str(), channel.base_url.as_str(), channel.provider.as_str()),
        ("OpenRouter", "https://openrouter.ai/api/v1", "openrouter")
    );
    let proposed = browser.post("/channels/new", &format!("{fields}&keys=nvapi-0123456789")).await;
    assert_eq!(proposed.status.as_u16(), 422);
    assert!(
        proposed.has("This looks like a key of NVIDIA")
            && proposed.has("https://integrate.api.nvidia.com/v1"),
        "{}",
        proposed.body
    );
    let unclear = browser.post("/channels/new", &format!("{fields}&keys=sk-0123456789")).await;
    assert!(unclear.status.as_u16() == 422 && unclear.has("keys like this belong to"), "{}", unclear.body);
}

#[tokio::test]
async fn what_a_model_can_do_is_found_out_by_a_button_and_shown_in_tags() {
    let browser = Browser::start().await;
    let upstream = Upstream::start();
    upstream.set_skills("one", Skills { tools: Tools::Refused, ..Skills::default() });
    let site = browser.app.site();
    let new = NewChannel {
        name: "u".into(),
        base_url: upstream.base_url(),
        allow_private: true,
        enabled: true,
        ..NewChannel::default()
    };
    let id = site.db.create_channel(&new).await.unwrap();
    let listing =
        Providers::embedded().find("generic").unwrap().read_list(br#"{"data":[{"id":"one"}]}"#).unwrap();
    site.db.save_listing(id, &listing, site.clock.now()).await.unwrap();
    site.catalog.reload().await.unwrap();
    let probe = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("probe", format!("{id} one")), ("back", "q=one".into())])
        .finish();
    let done = browser.post("/upstream-models/probe", &probe).await;
    assert_eq!((done.status.as_u16(), done.location.as_str()), (303, "/upstream-models?q=one"));
    assert_eq!(upstream.inferences().len(), 0, "there is no key");
    let key = PastedKey {
        label: String::new(),
        secret: Secret::new("key-0"),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    };
    site.db.add_keys(id, &[key]).await.unwrap();
    site.catalog.reload().await.unwrap();
    browser.post("/upstream-models/probe", &probe).await;
    assert_eq!(upstream.inferences().len(), 4);
    let page = browser.get("/upstream-models").await;
    for text in ["images: yes", "tools: no", "JSON: yes", "first content after", "does not support tools"] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    browser.post("/upstream-models/probe", &probe).await;
    assert_eq!(upstream.inferences().len(), 4, "what is known is not asked again");
    let unknown = browser.post("/upstream-models/probe", "probe=1+unknown").await;
    assert_eq!((unknown.status.as_u16(), upstream.inferences().len()), (303, 4));
}

#[tokio::test]
async fn a_channel_with_thousands_of_models_shows_them_in_parts_and_keeps_those_that_are_not_shown() {
    let browser = Browser::start().await;
    let site = browser.app.site();
    let model =
        |number: usize| ChannelModel { name: format!("model-{number:04}"), ..ChannelModel::default() };
    let new = NewChannel {
        name: "Many".into(),
        base_url: "http://127.0.0.1:9".into(),
        enabled: true,
        models: (0..2000).map(model).collect(),
        ..NewChannel::default()
    };
    let id = site.db.create_channel(&new).await.unwrap();
    site.catalog.reload().await.unwrap();
    let first = browser.get("/channels/1").await;
    assert!(
        first.has("Page 1 of 20")
            && first.has("value=\"model-0099\"")
            && !first.has("value=\"model-0100\" aria")
    );
    let found = browser.get("/channels/1?q=MODEL-190&page=1").await;
    assert!(found.has("10 models") && found.has("Page 1 of 1") && found.has("value=\"model-1907\" aria"));

    // Of what is shown one is renamed, one removed and one added; what is not shown stays.
    let rows = |names: &[&str]| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("shown", r#"["model-0001","model-0002"]"#)
            .append_pair("q", "x")
            .append_pair("page", "1");
        for name in names {
            form.append_pair("model", name);
        }
        form.finish()
    };
    let saved = browser.post("/channels/1/models", &rows(&["renamed", "added", ""])).await;
    assert_eq!(saved.status.as_u16(), 303, "{}", saved.body);
    assert_eq!(saved.location, "/channels/1?q=x&page=1#models");
    let names = |from: usize, count: usize| -> Vec<String> {
        let entry = site.catalog.load().channel(id).unwrap().clone();
        entry.channel.models.iter().skip(from).take(count).map(|model| model.name.clone()).collect()
    };
    assert_eq!(names(0, 4), ["model-0000", "renamed", "added", "model-0003"]);
    assert_eq!(names(0, 9999).len(), 2000);
    let twice = browser.post("/channels/1/models", &rows(&["model-0003"])).await;
    assert_eq!(twice.status.as_u16(), 422, "a model that is not shown has this name");
    assert_eq!(names(0, 9999).len(), 2000);
}
