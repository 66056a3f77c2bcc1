//! What is left of limits, pauses, the capacity page and the route inspector, as an operator's browser sees them.

use std::time::Duration;

use axum::http::StatusCode;
use onepool::model::{
    id::{ChannelId, KeyId},
    key::PastedKey,
    limit::{CalendarUnit, Limit, Metric, Models, Per, Source, Window},
    secret::Secret,
    token::ClientProfile,
};

use super::Browser;

fn limit(per: Per, metric: Metric, window: Window, max: u64) -> Limit {
    Limit { models: Models::default(), per, metric, window, max, source: Source::Declared }
}

impl Browser {
    /// A channel with the models `small` and `large`, three keys (two of one account), and limits.
    async fn with_limits() -> Self {
        let browser = Self::start().await;
        browser.add_channel(&[("small", true), ("large", false)]).await;
        let db = &browser.app.site().db;
        let key = |secret: &str, group: Option<&str>| PastedKey {
            label: String::new(),
            secret: Secret::new(secret),
            quota_group: group.map(str::to_owned),
            limits: Vec::new(),
            budget: None,
        };
        let keys = [
            key("key-one-aaaa", Some("mine")),
            key("key-two-bbbb", Some("mine")),
            key("key-three-cccc", None),
        ];
        db.add_keys(ChannelId(1), &keys).await.unwrap();
        let pacific = Window::Calendar {
            unit: CalendarUnit::Day,
            zone: "America/Los_Angeles".into(),
            offset_minutes: 0,
        };
        let limits = [
            limit(Per::Owner, Metric::Requests, Window::MINUTE, 40),
            limit(Per::Owner, Metric::Requests, pacific, 1000),
            limit(Per::Channel, Metric::Tokens, Window::MINUTE, 90_000),
        ];
        db.set_limits(ChannelId(1), None, &limits).await.unwrap();
        browser.app.site().catalog.reload().await.unwrap();
        browser
    }
}

#[tokio::test]
async fn a_keys_page_shows_what_is_left_and_when_it_comes_back_on_both_clocks() {
    let browser = Browser::with_limits().await;
    let page = browser.get("/channels/1/keys/3").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "requests per minute",
        "40 of 40",
        "1,000 of 1,000",
        "requests per calendar day",
        "in America/Los_Angeles",
        "tokens per minute",
        "the whole channel",
        "declared",
        "<meter min=\"0\" max=\"1000\" value=\"1000\"",
    ] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    assert!(!page.has("quota group mine"), "another account's limits are none of this key's");
    assert!(browser.get("/channels/1/keys/1").await.has("quota group mine"));
    let channel = browser.get("/channels/1").await;
    assert!(channel.has("Tightest limit") && channel.has("90,000 of 90,000"), "{}", channel.body);
}

#[tokio::test]
async fn where_no_limit_is_known_the_page_says_so() {
    let browser = Browser::start().await;
    browser.add_channel(&[("m", true)]).await;
    assert!(browser.get("/channels/1").await.has("No limit is known here"));
}

#[tokio::test]
async fn a_pause_looks_like_no_fault_counts_down_and_is_ended_by_hand_or_by_the_clock() {
    let browser = Browser::with_limits().await;
    let paused = browser.post("/channels/1/keys/3/pause", "minutes=60").await;
    assert_eq!((paused.status, paused.location.as_str()), (StatusCode::SEE_OTHER, "/channels/1/keys/3"));
    let page = browser.get("/channels/1/keys/3").await;
    assert!(page.has("<span class=\"badge \">Paused 1:00:00</span>"), "{}", page.body);
    assert!(
        page.has("paused by operator") && page.has("Resume now") && !page.has("Retry now"),
        "{}",
        page.body
    );
    browser.wait(Duration::from_secs(3600));
    assert!(!browser.get("/channels/1/keys/3").await.has("paused by operator"));

    browser.post("/channels/1/pause", "minutes=1440").await;
    assert!(browser.get("/channels").await.has("Paused 24:00:00"));
    browser.post("/channels/1/rests", "").await;
    assert!(!browser.get("/channels").await.has("Paused 24:00:00"));

    browser.post("/channels/1/pause", "minutes=300&model=small").await;
    let page = browser.get("/channels/1").await;
    assert_eq!(
        page.body.matches("Resume now</button>").count(),
        1,
        "one row for all endpoints: {}",
        page.body
    );
    browser.post("/channels/1/rests", "scope=%7B%22channel_model%22%3A%5B1%2C%22small%22%5D%7D").await;
    let pool = browser.app.site().dispatch.lock();
    assert_eq!(pool.rests().all_active(browser.clock.steady()).count(), 0, "all of them end with it");
}

#[tokio::test]
async fn a_pause_of_nothing_or_without_a_length_is_refused() {
    let browser = Browser::with_limits().await;
    for form in ["", "minutes=0", "minutes=x", "minutes=999999999"] {
        assert_eq!(browser.post("/channels/1/pause", form).await.status, StatusCode::BAD_REQUEST, "{form}");
    }
    let unknown = browser.post("/channels/1/keys/3/pause", "minutes=60&model=other").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/channels/1/keys/3/pause").await.location, "/channels/1/keys/3");
}

#[tokio::test]
async fn the_capacity_page_counts_an_account_once_and_says_what_binds() {
    let browser = Browser::with_limits().await;
    let page = browser.get("/capacity").await;
    for text in [
        "3 keys of 2 accounts",
        "1 keys share a quota group with others",
        "<strong>60</strong> / 60",
        "90,000 tokens per minute per channel",
    ] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    let small = browser.get("/capacity?prompt=10&completion=10&q=small").await;
    assert!(small.has("<strong>80</strong> / 80") && !small.has(">large<"), "{}", small.body);
    assert!(small.has("40 requests per minute per quota group"), "{}", small.body);

    browser.post("/channels/1/keys/3/pause", "minutes=60").await;
    let paused = browser.get("/capacity?prompt=10&completion=10").await;
    assert!(paused.has("<strong>40</strong> / 80") && paused.has("1 resting"), "{}", paused.body);
    let wrong = browser.get("/capacity?prompt=many").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.has("Please enter a whole number"));
}

#[tokio::test]
async fn what_nobody_knows_is_said_to_be_unknown() {
    let browser = Browser::start().await;
    assert!(browser.get("/capacity").await.has("No channel that is on offers a model."));
    browser.add_channel(&[("m", true)]).await;
    let keys = [PastedKey {
        label: String::new(),
        secret: Secret::new("key-aaaa"),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    }];
    browser.app.site().db.add_keys(ChannelId(1), &keys).await.unwrap();
    browser.app.site().catalog.reload().await.unwrap();
    let page = browser.get("/capacity").await;
    assert!(
        page.has("<strong>unknown</strong> / unknown") && page.has("1 keys with unknown limits"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn the_inspector_names_the_order_and_why_each_other_candidate_is_not_tried() {
    let browser = Browser::with_limits().await;
    let site = browser.app.site();
    browser.post("/channels/1/keys/1/pause", "minutes=60").await;
    site.db.set_key_enabled(KeyId(2), false).await.unwrap();
    site.catalog.reload().await.unwrap();
    let page = browser.get("/routes?model=SMALL").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in
        ["would be tried", "paused by operator (key …aaaa)", "in 1 h", "the key is switched off", "…cccc"]
    {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    let large = browser.get("/routes?model=small&prompt=100000").await;
    assert!(
        large.has("the call is too large (the whole channel): at most 90,000 tokens per minute"),
        "{}",
        large.body
    );
    assert!(browser.get("/routes?model=nobody").await.has("No channel that is on offers this model"));
    assert_eq!(browser.get("/routes?model=small&token=77").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_inspector_asks_as_a_token() {
    let browser = Browser::with_limits().await;
    let site = browser.app.site();
    let token = onepool::storage::tokens::NewToken {
        name: "laptop".into(),
        value: Secret::new("sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        models: vec!["sm*".into()],
        groups: vec!["paid".into()],
        cidrs: Vec::new(),
        expires_at: None,
        quota: None,
        requests_per_minute: None,
        weight: 1,
        profile: ClientProfile::Generic,
        note: String::new(),
        enabled: true,
    };
    let id = site.db.create_token(&token).await.unwrap();
    site.catalog.reload().await.unwrap();
    let page = browser.get(&format!("/routes?model=large&token={id}")).await;
    assert!(
        page.has("not in the token&#39;s scope") || page.has("not in the token's scope"),
        "{}",
        page.body
    );
    let page = browser.get(&format!("/routes?model=small&token={id}")).await;
    assert!(
        page.has("allow none of the channels") && page.has("may not use this channel (groups)"),
        "{}",
        page.body
    );
    assert!(!page.has("would be tried"), "{}", page.body);
    assert!(browser.get(&format!("/tokens/{id}")).await.has(&format!("/routes?token={id}")));
}
