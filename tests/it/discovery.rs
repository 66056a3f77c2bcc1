//! What upstreams list, and what a test of a key proves: against modelled providers.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use onepool::{
    discovery::{
        RefreshFailure, Refreshed,
        proof::{self, Depth, Subject},
        refresh,
    },
    model::{
        catalog::ChannelEntry,
        channel::EffectiveTimeouts,
        id::ChannelId,
        key::{CheckKind, KeyCheck, KeyVerdict},
        limit::{Limit, Metric, Per, Source, Window},
    },
    storage::discovery::{ChangeKind, DiscoveredModel, ModelFilter},
};
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, model},
    raw::{Raw, RawRequest, write_json},
    upstream::{Fault, KeyRules, KeyState, Upstream},
};

const SHORT: EffectiveTimeouts = EffectiveTimeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_millis(400),
    idle: Duration::from_secs(5),
};

fn entry(app: &TestApp, id: ChannelId) -> Arc<ChannelEntry> {
    app.app.site().catalog.load().channel(id).unwrap().clone()
}

pub async fn asked(app: &TestApp, id: ChannelId) -> Result<Refreshed, RefreshFailure> {
    let site = app.app.site();
    let entry = entry(app, id);
    let timeouts = EffectiveTimeouts { first_byte: Duration::from_secs(20), ..SHORT };
    let provider = site.catalog.provider_of(&entry.channel);
    refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await
}

async fn listed(app: &TestApp) -> Vec<DiscoveredModel> {
    app.app.site().db.discovered_models(&ModelFilter::default(), 0, 10_000).await.unwrap().0
}

async fn names(app: &TestApp) -> Vec<String> {
    listed(app).await.into_iter().map(|model| model.facts.id).collect()
}

/// A provider whose list is whatever a test puts there; requests that it saw.
struct Lists {
    body: Arc<Mutex<String>>,
    seen: Arc<Mutex<Vec<String>>>,
    raw: Raw,
}

impl Lists {
    fn start(body: &str) -> Self {
        let body = Arc::new(Mutex::new(body.to_owned()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, note) = (body.clone(), seen.clone());
        let raw = Raw::answer(move |request: &RawRequest, socket| {
            note.lock().unwrap().push(request.head.clone());
            write_json(socket, &answer.lock().unwrap());
        });
        Self { body, seen, raw }
    }

    fn says(&self, body: impl Into<String>) {
        *self.body.lock().unwrap() = body.into();
    }
}

#[tokio::test]
async fn a_malformed_list_is_told_with_its_place_and_changes_nothing() {
    let app = TestApp::start().await;
    let lists = Lists::start(r#"{"data":[{"id":"one"},{"id":"two"}]}"#);
    let id = app.channel_with("lists", &lists.raw.base_url(), &["key-0"], |_| {}).await;
    assert!(asked(&app, id).await.unwrap().saved.first);
    for (body, place) in [
        (r#"{"data":[{"id":"one"}"#, "line 1, column 21"),
        (r#"{"data":{"one":{}}}"#, "data:"),
        (r#"{"error":"no"}"#, "the list:"),
        (r#"{"data":[7]}"#, "data[0]:"),
        ("<html>", "line 1, column 1"),
    ] {
        lists.says(body);
        let Err(RefreshFailure::Fetch(failure)) = asked(&app, id).await else { panic!("{body} is no list") };
        assert!(failure.text.starts_with(place), "{body}: {}", failure.text);
        assert_eq!(names(&app).await, ["one", "two"], "{body}");
        let known = app.app.site().db.discoveries().await.unwrap();
        let state = &known[&id];
        assert!(state.fault.as_ref().unwrap().contains(place) && state.models == 2, "{state:?}");
    }
    lists.says(r#"{"data":[{"id":"one"},7]}"#);
    let refreshed = asked(&app, id).await.unwrap();
    assert_eq!(
        (refreshed.saved.vanished, refreshed.saved.unproved),
        (0, 1),
        "a list in part unread proves nothing"
    );
    assert_eq!(names(&app).await, ["one", "two"]);
}

#[tokio::test]
async fn a_list_that_is_slow_or_endless_ends_in_time_and_takes_no_more_than_its_bytes() {
    let app = TestApp::start().await;
    let slow = Raw::answer(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"data\":[");
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(50));
            if socket.write_all(b" ").is_err() {
                return;
            }
        }
    });
    let endless = Raw::answer(|_, socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"data\":[");
        while socket.write_all(&[b' '; 65_536]).is_ok() {}
    });
    let site = app.app.site();
    for (name, raw, timeouts, told) in [
        ("slow", &slow, SHORT, "no answer within 0.4 s"),
        (
            "endless",
            &endless,
            EffectiveTimeouts { first_byte: Duration::from_secs(30), ..SHORT },
            "larger than",
        ),
    ] {
        let id = app.channel_with(name, &raw.base_url(), &["key-0"], |_| {}).await;
        let entry = entry(&app, id);
        let provider = site.catalog.provider_of(&entry.channel);
        let outcome = refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await;
        let Err(RefreshFailure::Fetch(failure)) = outcome else { panic!("{name}") };
        assert!(failure.text.contains(told), "{name}: {}", failure.text);
    }
}

#[tokio::test]
async fn lists_are_read_at_the_providers_place_in_its_shape_and_with_its_header() {
    let app = TestApp::start().await;
    let google = Lists::start(r#"{"models":[{"name":"models/gemini-x","inputTokenLimit":1000}]}"#);
    let id = app
        .channel_with("g", &google.raw.base_url(), &["key-of-google"], |new| new.provider = "google".into())
        .await;
    asked(&app, id).await.unwrap();
    assert_eq!(names(&app).await, ["gemini-x"]);
    let head = google.seen.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET /models?pageSize=1000 "), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("x-goog-api-key: key-of-google") && !head.contains("authorization:"), "{head}");

    // A relay that speaks like OpenAI in front of a provider with a list of its own.
    let relay = Upstream::start();
    relay.set_models(&["llama"]);
    let id = app.channel_with("o", &relay.base_url(), &["key-0"], |new| new.provider = "ollama".into()).await;
    asked(&app, id).await.unwrap();
    assert_eq!(names(&app).await, ["gemini-x", "llama"]);
}

#[tokio::test]
async fn what_appears_changes_vanishes_and_returns_is_kept() {
    let app = TestApp::start().await;
    let lists = Lists::start(r#"{"data":[{"id":"a","context_length":1000},{"id":"b"}]}"#);
    let id = app.channel_with("lists", &lists.raw.base_url(), &["key-0"], |_| {}).await;
    asked(&app, id).await.unwrap();
    let db = &app.app.site().db;
    let changes = async || db.model_changes(Default::default(), None, 100).await.unwrap().0;
    assert_eq!(changes().await, [], "nothing of the first list is new");

    lists.says(r#"{"data":[{"id":"a","context_length":2000},{"id":"c"}]}"#);
    let saved = asked(&app, id).await.unwrap().saved;
    assert_eq!((saved.appeared, saved.changed, saved.vanished), (1, 1, 1));
    let told: Vec<(ChangeKind, String)> =
        changes().await.into_iter().map(|one| (one.kind, one.name)).collect();
    let change = |kind, name: &str| (kind, name.to_owned());
    assert_eq!(
        told,
        [
            change(ChangeKind::Changed, "a"),
            change(ChangeKind::Appeared, "c"),
            change(ChangeKind::Vanished, "b")
        ]
    );
    assert_eq!(changes().await[0].fields, [("context_window".to_owned(), json!(1000), json!(2000))]);
    let gone = ModelFilter { gone: true, ..ModelFilter::default() };
    assert_eq!(db.discovered_models(&gone, 0, 10).await.unwrap().1, 1);

    // A list that says more of a model, or is empty, takes nothing away.
    lists.says(r#"{"data":[]}"#);
    assert_eq!(asked(&app, id).await.unwrap().saved.unproved, 2);
    lists.says(r#"{"data":[{"id":"a","context_length":2000},{"id":"b","max_model_len":5},{"id":"c"}]}"#);
    let saved = asked(&app, id).await.unwrap().saved;
    assert_eq!((saved.appeared, saved.changed, saved.vanished), (1, 0, 0), "b is back");
    assert!(listed(&app).await.iter().all(|model| model.vanished_at.is_none()));
    assert_eq!(changes().await.len(), 4);
}

/// A list of many models as OpenRouter writes it.
fn long_list(count: usize) -> String {
    let model = |number: usize| {
        json!({
            "id": format!("vendor-{}/model-{number:05}:free", number % 40), "context_length": 131_072,
            "description": "A model that is described at some length, as lists of vendors do. ".repeat(6),
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "supported_parameters": ["tools", "reasoning"],
            "pricing": {"prompt": "0", "completion": "0"},
        })
    };
    json!({ "data": (0..count).map(model).collect::<Vec<Value>>() }).to_string()
}

#[tokio::test]
async fn of_a_list_of_more_than_five_thousand_models_as_many_are_kept_and_it_proves_nothing() {
    let app = TestApp::start().await;
    let lists = Lists::start(&long_list(5100));
    let id = app
        .channel_with("long", &lists.raw.base_url(), &["key-0"], |new| new.provider = "openrouter".into())
        .await;
    let refreshed = asked(&app, id).await.unwrap();
    assert_eq!((refreshed.fetched.listing.models.len(), refreshed.fetched.listing.truncated), (5000, true));
    lists.says(long_list(1));
    asked(&app, id).await.unwrap();
    lists.says(long_list(5100));
    let saved = asked(&app, id).await.unwrap().saved;
    assert_eq!((saved.appeared, saved.vanished), (4999, 0));
    let free = ModelFilter { free: true, search: "MODEL-0499".into(), ..ModelFilter::default() };
    let (found, total) = app.app.site().db.discovered_models(&free, 0, 5).await.unwrap();
    assert_eq!((found.len(), total), (5, 10));
    assert_eq!((found[0].facts.free, found[0].callable()), (Some(true), None), "listed is not callable");
}

async fn check(app: &TestApp, id: ChannelId, model: Option<&str>, depth: Depth) -> KeyCheck {
    let site = app.app.site();
    let entry = entry(app, id);
    let provider = site.catalog.provider_of(&entry.channel);
    let timeouts = EffectiveTimeouts { first_byte: Duration::from_secs(10), ..SHORT };
    let subject = Subject { entry: &entry, key: &entry.keys[0], provider: &provider, timeouts };
    let check =
        proof::check_key(&site.clients, &site.dispatch, &subject, model, depth, site.clock.now()).await;
    proof::save(&site.db, &subject, &check).await.unwrap();
    check
}

#[tokio::test]
async fn a_public_list_proves_nothing_about_a_key() {
    let app = TestApp::start().await;
    let upstream = Raw::answer(|request, socket| {
        if request.head.starts_with("GET ") {
            write_json(socket, r#"{"data":[{"id":"m"}]}"#);
        } else if request.head.contains("a-right-key") {
            let choice = json!({"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"});
            write_json(
                socket,
                &json!({"id": "x", "object": "chat.completion", "choices": [choice]}).to_string(),
            );
        } else {
            let _ = socket
                .write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
        }
    });
    let channel = async |name, key| app.channel_with(name, &upstream.base_url(), &[key], |_| {}).await;
    let bogus = channel("bogus", "a-bogus-key").await;
    asked(&app, bogus).await.unwrap();
    assert_eq!(names(&app).await, ["m"], "anybody may read the list");
    let found = check(&app, bogus, None, Depth::Full).await;
    assert!(found.steps[0].kind == CheckKind::List && found.steps[0].ok, "{found:?}");
    assert_eq!(found.verdict, KeyVerdict::Invalid);
    let right = channel("right", "a-right-key").await;
    let found = check(&app, right, None, Depth::Proof).await;
    assert_eq!((found.verdict, found.model.as_deref()), (KeyVerdict::Callable, Some("m")));
    assert_eq!(found.steps.len(), 1, "one call is enough");
}

#[tokio::test]
async fn limits_gated_and_removed_models_and_faults_say_nothing_about_a_key() {
    let app = TestApp::start().await;
    for fault in [
        Fault::ModelNotFound,
        Fault::ModelGone,
        Fault::NotFoundHtml,
        Fault::Status500,
        Fault::Status502,
        Fault::Status503,
        Fault::Status504,
        Fault::BadRequest,
    ] {
        let upstream = Upstream::start();
        upstream.fail_all(fault);
        let id = app.channel(&format!("{fault:?}"), &upstream, &["key-0"]).await;
        let found = check(&app, id, None, Depth::Proof).await;
        assert_eq!(found.verdict, KeyVerdict::NotKnown, "{fault:?}: {found:?}");
    }
    let gated = Upstream::start();
    gated.set_key("key-0", KeyRules { forbidden_models: vec!["m".into()], ..KeyRules::default() });
    let id = app.channel("gated", &gated, &["key-0"]).await;
    assert_eq!(check(&app, id, None, Depth::Proof).await.verdict, KeyVerdict::NotKnown);
    let limited = Upstream::start();
    limited.refuse_as_recorded(None, None, 429, &[], r#"{"error":{"message":"Rate limit exceeded"}}"#);
    let id = app.channel("limited", &limited, &["key-0"]).await;
    assert_eq!(check(&app, id, None, Depth::Proof).await.verdict, KeyVerdict::NotKnown);
    let blocked = Upstream::start();
    blocked.set_key("key-0", KeyRules { state: KeyState::RegionBlocked, ..KeyRules::default() });
    let id = app.channel("blocked", &blocked, &["key-0"]).await;
    assert_eq!(check(&app, id, None, Depth::Proof).await.verdict, KeyVerdict::NotKnown);
}

#[tokio::test]
async fn a_model_that_is_gated_or_gone_is_passed_over_for_the_next_one() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    upstream.set_key("key-0", KeyRules { forbidden_models: vec!["gated".into()], ..KeyRules::default() });
    upstream.fail_model("gone", Fault::ModelGone);
    let id = app
        .channel_with("u", &upstream.base_url(), &["key-0"], |new| {
            new.models = ["gone", "gated", "open"].map(model).to_vec();
        })
        .await;
    let found = check(&app, id, None, Depth::Proof).await;
    assert_eq!((found.verdict, found.model.as_deref()), (KeyVerdict::Callable, Some("open")));
    assert_eq!(upstream.inferences().len(), 3);
}

#[tokio::test]
async fn the_providers_own_word_on_a_key_costs_no_call() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    upstream.set_page(
        "/v1/key",
        &json!({"data": {"creator_user_id": "user_1", "is_free_tier": true, "label": "sk-or-v1-abc"}}),
    );
    let id = app
        .channel_with("or", &upstream.base_url(), &["sk-or-v1-0123456789"], |new| {
            new.provider = "openrouter".into();
        })
        .await;
    let found = check(&app, id, None, Depth::Proof).await;
    assert_eq!((found.verdict, found.account.as_deref()), (KeyVerdict::Known, Some("user_1")));
    assert!(upstream.inferences().is_empty());
    // A full test calls as well, and a model that is gone does not make the key wrong.
    upstream.fail_all(Fault::ModelGone);
    let found = check(&app, id, None, Depth::Full).await;
    assert_eq!(found.verdict, KeyVerdict::Known, "{found:?}");
}

#[tokio::test]
async fn calls_of_a_test_count_against_the_keys_limits_and_none_is_made_that_a_limit_forbids() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    let limit = Limit {
        models: Default::default(),
        per: Per::Key,
        metric: Metric::Requests,
        window: Window::Rolling { ms: 3_600_000 },
        max: 2,
        source: Source::Operator,
    };
    let id = app.channel_with("u", &upstream.base_url(), &["key-0"], |new| new.limits = vec![limit]).await;
    assert_eq!(check(&app, id, None, Depth::Full).await.verdict, KeyVerdict::Callable);
    assert_eq!(upstream.inferences().len(), 2, "one call, and one that is streamed");
    let found = check(&app, id, None, Depth::Proof).await;
    assert_eq!(found.verdict, KeyVerdict::NotKnown);
    assert!(found.steps[0].text.contains("a limit of this key is used up"), "{found:?}");
    assert_eq!(upstream.inferences().len(), 2, "the limit is kept");
    app.token().await;
    let refused = app.chat(false, "marker=abc").await;
    assert_eq!(refused.status, 429, "clients' calls share the limit: {}", refused.text());
}

#[tokio::test]
async fn a_model_counts_as_callable_once_it_answered_and_no_more_once_it_is_gone() {
    let app = TestApp::start().await;
    let lists = Upstream::start();
    lists.set_models(&["m", "other"]);
    let id = app.channel("u", &lists, &["key-0"]).await;
    asked(&app, id).await.unwrap();
    let callable = async |name: &str| {
        let models = listed(&app).await;
        models.iter().find(|model| model.facts.id == name).unwrap().callable()
    };
    assert_eq!((callable("m").await, callable("other").await), (None, None));
    check(&app, id, Some("m"), Depth::Proof).await;
    assert_eq!((callable("m").await, callable("other").await), (Some(true), None));
    lists.fail_model("other", Fault::ModelGone);
    check(&app, id, Some("other"), Depth::Proof).await;
    assert_eq!(callable("other").await, Some(false));
    let filter = ModelFilter { callable: true, ..ModelFilter::default() };
    assert_eq!(app.app.site().db.discovered_models(&filter, 0, 10).await.unwrap().1, 1);
}
