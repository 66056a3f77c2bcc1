//! Lists in several pages, lists without a key, and several upstreams asked at once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use onepool::{
    discovery::RefreshFailure,
    model::id::ChannelId,
    storage::discovery::{DiscoveredModel, ModelFilter},
    upstream::models::MAX_PAGES,
};
use serde_json::json;

use crate::{
    discovery::asked,
    support::{
        app::TestApp,
        raw::{Gate, Raw, RawRequest, write_json},
        upstream::Upstream,
    },
};

/// A provider whose list has pages: what it answers to a path with its query, and what it was asked.
struct Pages {
    raw: Raw,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Pages {
    fn start(answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = asked.clone();
        let raw = Raw::answer(move |request: &RawRequest, socket| {
            let target = request.head.split(' ').nth(1).unwrap_or_default().to_owned();
            note.lock().unwrap().push(target.clone());
            match answer(&target) {
                Some(body) => write_json(socket, &body),
                None => {
                    use std::io::Write as _;
                    let _ = socket.write_all(
                        b"HTTP/1.1 500 Oops\r\ncontent-length: 6\r\nconnection: close\r\n\r\nbroken",
                    );
                }
            }
        });
        Self { raw, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn channel(app: &TestApp, name: &str, pages: &Pages, provider: &str) -> ChannelId {
    app.channel_with(name, &pages.raw.base_url(), &["key-0"], |new| new.provider = provider.into()).await
}

async fn models(app: &TestApp, id: ChannelId) -> Vec<DiscoveredModel> {
    let filter = ModelFilter { channel: Some(id), ..ModelFilter::default() };
    app.app.site().db.discovered_models(&filter, 0, 10_000).await.unwrap().0
}

async fn names(app: &TestApp, id: ChannelId) -> Vec<String> {
    models(app, id).await.into_iter().map(|model| model.facts.id).collect()
}

#[tokio::test]
async fn a_list_is_followed_through_its_pages_in_every_dialect() {
    let app = TestApp::start().await;
    let openrouter = Pages::start(|target| {
        Some(match target {
            "/v1/models" => json!({"data": [{"id": "a"}], "links": {"next": "/v1/models?offset=1&limit=1"}}),
            "/v1/models?offset=1&limit=1" => json!({"data": [{"id": "b"}], "links": {"next": null}}),
            _ => return None,
        })
        .map(|body: serde_json::Value| body.to_string())
    });
    let google = Pages::start(|target| {
        let model = |name: &str| json!([{"name": format!("models/{name}"), "supportedGenerationMethods": ["generateContent"]}]);
        Some(match target {
            "/models?pageSize=1000" => json!({"models": model("a"), "nextPageToken": "x y"}),
            "/models?pageSize=1000&pageToken=x+y" => json!({"models": model("b"), "nextPageToken": "z"}),
            "/models?pageSize=1000&pageToken=z" => json!({"models": model("c")}),
            _ => return None,
        })
        .map(|body: serde_json::Value| body.to_string())
    });
    let openai = Pages::start(|target| {
        Some(match target {
            "/v1/models" => json!({"data": [{"id": "b"}, {"id": "a"}], "has_more": true}),
            "/v1/models?after=a" => json!({"data": [{"id": "d"}], "has_more": true, "last_id": "the-last"}),
            "/v1/models?after=the-last" => json!({"data": [{"id": "c"}], "has_more": false}),
            _ => return None,
        })
        .map(|body: serde_json::Value| body.to_string())
    });
    for (provider, pages, expected) in [
        ("openrouter", &openrouter, &["a", "b"][..]),
        ("google", &google, &["a", "b", "c"]),
        ("", &openai, &["a", "b", "c", "d"]),
    ] {
        let id = channel(&app, &format!("of {provider}"), pages, provider).await;
        let fetched = asked(&app, id).await.unwrap().fetched;
        assert!(fetched.listing.is_complete(), "{provider}: {:?}", fetched.listing.skipped);
        assert_eq!(names(&app, id).await, expected, "{provider}: {:?}", pages.asked());
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_had_proves_nothing_gone_and_is_told() {
    let app = TestApp::start().await;
    let broken = Arc::new(Mutex::new(false));
    let is_broken = broken.clone();
    let pages = Pages::start(move |target| match target {
        "/v1/models" => Some(r#"{"data":[{"id":"a"}],"has_more":true}"#.into()),
        _ if *is_broken.lock().unwrap() => None,
        _ => Some(r#"{"data":[{"id":"b"}]}"#.into()),
    });
    let id = channel(&app, "u", &pages, "").await;
    asked(&app, id).await.unwrap();
    assert_eq!(names(&app, id).await, ["a", "b"]);
    *broken.lock().unwrap() = true;
    let saved = asked(&app, id).await.unwrap().saved;
    assert_eq!((saved.vanished, saved.unproved), (0, 1));
    assert_eq!(names(&app, id).await, ["a", "b"], "what stood on the broken page is kept");
    let state = app.app.site().db.discoveries().await.unwrap()[&id].clone();
    assert!(!state.complete && state.fault.as_deref() == Some("page 2: HTTP 500: broken"), "{state:?}");
}

#[tokio::test]
async fn pages_without_end_in_a_circle_or_elsewhere_end_the_list() {
    let app = TestApp::start().await;
    let elsewhere = Pages::start(|_| Some(r#"{"data":[{"id":"stolen"}]}"#.into()));
    let address = elsewhere.raw.base_url();
    let moved = Pages::start(move |_| {
        Some(
            json!({"data": [{"id": "a"}], "links": {"next": format!("{address}/models?page=2")}}).to_string(),
        )
    });
    let circle = Pages::start(|_| Some(r#"{"models":[{"name":"a"}],"next_page_token":"again"}"#.into()));
    let endless = Pages::start(|target| {
        let number = target.rsplit('m').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        Some(json!({"data": [{"id": format!("m{}", number + 1)}], "has_more": true}).to_string())
    });
    for (name, pages, most, told) in [
        ("moved", &moved, 1, "page 2: it is on another host"),
        ("circle", &circle, 2, "page 3: the list leads back"),
        ("endless", &endless, MAX_PAGES, "the list has more than 100 pages"),
    ] {
        let provider = if name == "circle" { "cohere" } else { "" };
        let pages_of = channel(&app, name, pages, provider).await;
        let listing = asked(&app, pages_of).await.unwrap().fetched.listing;
        assert!(
            !listing.is_complete() && listing.skipped[0].to_string().contains(told),
            "{name}: {listing:?}"
        );
        assert_eq!(pages.asked().len(), most, "{name}");
    }
    assert_eq!(elsewhere.asked(), [""; 0], "no key goes to a host that a list names");
}

#[tokio::test]
async fn a_provider_that_needs_no_key_is_asked_without_one() {
    let app = TestApp::start().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = seen.clone();
    let raw = Raw::answer(move |request: &RawRequest, socket| {
        note.lock().unwrap().push(request.head.to_lowercase());
        write_json(socket, r#"{"models":[{"name":"llama"}]}"#);
    });
    let of = async |name: &str, provider: &str| {
        app.channel_with(name, &raw.base_url(), &[], |new| new.provider = provider.into()).await
    };
    let (keyless, other) = (of("o", "ollama").await, of("g", "groq").await);
    asked(&app, keyless).await.unwrap();
    assert_eq!(names(&app, keyless).await, ["llama"]);
    let heads = seen.lock().unwrap().clone();
    assert!(heads.len() == 1 && !heads[0].contains("authorization"), "{heads:?}");
    assert!(matches!(asked(&app, other).await, Err(RefreshFailure::NoKey)));
    assert_eq!(app.app.site().askable_channels(), [keyless]);
}

#[tokio::test]
async fn a_slow_upstream_holds_up_neither_the_others_nor_who_asked() {
    let app = TestApp::start().await;
    let gate = Gate::default();
    let held = gate.clone();
    let slow = Raw::answer(move |_, socket| {
        held.wait();
        write_json(socket, r#"{"data":[{"id":"late"}]}"#);
    });
    let quick = Upstream::start();
    quick.set_models(&["m"]);
    let first = app.channel_with("slow", &slow.base_url(), &["key-0"], |_| {}).await;
    for number in 0..10 {
        app.channel(&format!("quick {number}"), &quick, &["key-0"]).await;
    }
    let rounds = app.app.site().admin.rounds.clone();
    rounds.ask(app.app.site().askable_channels());
    let others = tokio::time::timeout(Duration::from_secs(15), async {
        while rounds.progress().done < 10 {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    others.await.expect("ten quick ones do not wait for the slow one");
    let progress = rounds.progress();
    assert!(progress.running && progress.total == 11 && progress.models == 10, "{progress:?}");
    gate.open();
    let progress = tokio::time::timeout(Duration::from_secs(15), rounds.finished()).await.unwrap();
    assert_eq!((progress.done, progress.models, progress.failed.len()), (11, 11, 0));
    assert_eq!(names(&app, first).await, ["late"]);
}
