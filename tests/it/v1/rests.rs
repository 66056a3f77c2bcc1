//! What rests after a bad answer, for how long, and how it comes back.

use std::{sync::Arc, time::Duration};

use onepool::{model::time::Clock, scheduler::rest::Scope};

use crate::support::{
    app::{Reply, TestApp, at, chat, model},
    upstream::{Fault, Upstream},
};

/// Calls that do not wait in line, but are told when to come back.
const NO_WAITING: [(&str, &str); 2] = [("QUEUE_WAIT_SECONDS", "0"), ("QUEUE_WAIT_STREAM_SECONDS", "0")];

/// A server whose clock stands still at a noon, and where nobody waits.
async fn start() -> TestApp {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &NO_WAITING).await;
    app.token().await;
    app
}

async fn ask(app: &TestApp, model: &str) -> Reply {
    app.post("/v1/chat/completions", &chat(model, false, "hi")).await
}

#[tokio::test]
async fn a_429_rests_exactly_the_key_and_the_model_for_as_long_as_it_says() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.models.push(model("n"))).await;
    upstream.fail_next([Some(Fault::RateLimitedSeconds)]);
    let limited = ask(&app, "m").await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    assert_eq!(ask(&app, "n").await.status, 200, "another model of the key goes on");
    app.clock.advance(Duration::from_millis(3500));
    let still = ask(&app, "m").await;
    assert_eq!((still.status, still.header("retry-after")), (429, Some("4")), "rounded up");
    assert_eq!(upstream.inferences().len(), 2, "a resting key is not asked");
    app.clock.advance(Duration::from_millis(3499));
    assert_eq!(ask(&app, "m").await.status, 429);
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(ask(&app, "m").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn another_key_takes_over_while_one_rests() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1", "key-2"]).await;
    upstream.fail_key("key-1", Fault::RateLimitedSeconds);
    for _ in 0..3 {
        assert_eq!(ask(&app, "m").await.status, 200);
        // What one key refuses the other is probably not allowed either, so its calls go out evenly.
        app.clock.advance(Duration::from_millis(3400));
    }
    let tried = upstream.inferences().iter().filter(|call| call.key.as_deref() == Some("key-1")).count();
    assert_eq!(tried, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_refused_key_rests_for_every_model_until_the_operator_or_a_call_without_another_way_ends_that() {
    let (app, upstream) = (start().await, Upstream::start());
    let channel = app
        .channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.models.push(model("n")))
        .await;
    upstream.fail_all(Fault::UnauthorizedEcho);
    let refused = ask(&app, "m").await;
    assert_eq!(refused.status, 502, "an upstream's 401 is never the client's");
    upstream.heal();
    let resting = ask(&app, "n").await;
    assert_eq!((resting.status, resting.header("retry-after")), (503, Some("3600")));
    assert_eq!(upstream.inferences().len(), 1);
    let scope = Scope::Key(app.keys_of(channel)[0]);
    {
        let pool = app.app.site().dispatch.lock();
        let reason = pool.rests().active(&scope, app.clock.steady()).expect("a rest that pages show");
        assert_eq!(reason.status, Some(401));
        assert!(reason.detail.contains("401") && !reason.detail.contains("key-1"), "{}", reason.detail);
    }
    assert!(app.app.site().dispatch.lock().rests_mut().clear(&scope));
    assert_eq!(ask(&app, "n").await.status, 200);

    upstream.fail_all(Fault::Unauthorized);
    assert_eq!(ask(&app, "m").await.status, 502);
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&app, "n").await.status, 502, "a call that nobody else can serve finds out, in vain");
    upstream.heal();
    assert_eq!(ask(&app, "n").await.status, 503, "but not in the same moment");
    app.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&app, "n").await.status, 200);
    let resting = app.app.site().dispatch.lock().rests().all_active(app.clock.steady()).count();
    assert_eq!(resting, 0, "it is over for all");
    app.stop().await;
}

#[tokio::test]
async fn a_busy_provider_behind_the_upstream_rests_the_model_and_no_key() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel_with("c", &upstream.base_url(), &["key-1", "key-2"], |channel| {
        channel.models.push(model("n"))
    })
    .await;
    upstream.fail_model("m", Fault::OpenRouterProvider429);
    assert_eq!(ask(&app, "m").await.status, 429);
    assert_eq!(upstream.inferences().len(), 1, "another key would meet the same provider");
    assert_eq!((ask(&app, "n").await.status, ask(&app, "n").await.status), (200, 200));
    let keys: Vec<_> = upstream.inferences()[1..].iter().map(|call| call.key.clone().unwrap()).collect();
    assert!(keys.contains(&"key-1".to_owned()) && keys.contains(&"key-2".to_owned()), "{keys:?}");
    app.stop().await;
}

#[tokio::test]
async fn keys_of_one_account_rest_together() {
    use onepool::model::{key::PastedKey, secret::Secret};
    let (app, upstream) = (start().await, Upstream::start());
    let channel = app.channel("c", &upstream, &[]).await;
    let key = |key: &str, group: Option<&str>| PastedKey {
        label: String::new(),
        secret: Secret::new(key),
        quota_group: group.map(str::to_owned),
        limits: Vec::new(),
        budget: None,
    };
    let keys = [key("key-1", Some("acme")), key("key-2", Some("acme")), key("key-3", None)];
    app.app.site().db.add_keys(channel, &keys).await.unwrap();
    app.reload().await;
    upstream.fail_key("key-1", Fault::OpenRouter402);
    upstream.fail_key("key-2", Fault::OpenRouter402);
    for _ in 0..4 {
        assert_eq!(ask(&app, "m").await.status, 200);
    }
    let of_the_account =
        upstream.inferences().iter().filter(|call| call.key.as_deref() != Some("key-3")).count();
    assert_eq!(of_the_account, 1);
    app.stop().await;
}

#[tokio::test]
async fn rests_survive_a_restart() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_next([Some(Fault::Unauthorized)]);
    assert_eq!(ask(&app, "m").await.status, 502);
    let clock = app.clock.clone();
    let data = app.stop().await;
    clock.advance(Duration::from_secs(1800));
    let app = TestApp::start_in(data, clock, &NO_WAITING).await;
    let left: Vec<Duration> = {
        let now = app.clock.steady();
        let pool = app.app.site().dispatch.lock();
        pool.rests().all_active(now).map(|(_, rest)| rest.until.since(now)).collect()
    };
    assert_eq!(left, [Duration::from_secs(1800)]);
    app.stop().await;
}

#[tokio::test]
async fn a_host_in_doubt_is_tried_once_as_the_last_resort() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1", "key-2"]).await;
    upstream.fail_all(Fault::CloseBeforeHeaders);
    for call in 1..=5 {
        assert_eq!(ask(&app, "m").await.status, 502);
        // The first fault rests nothing, so the other key is tried too.
        assert_eq!(upstream.inferences().len(), call + 1, "a total outage is not multiplied");
        app.clock.advance(Duration::from_millis(10));
    }
    upstream.heal();
    assert_eq!(ask(&app, "m").await.status, 200, "service resumes at once, whatever the rest says");
    app.stop().await;
}

#[tokio::test]
async fn a_channel_whose_host_recovered_takes_its_calls_again_after_its_rest() {
    let (app, first, second) = (start().await, Upstream::start(), Upstream::start());
    app.channel_with("first", &first.base_url(), &["key-1"], |channel| channel.priority = 1).await;
    app.channel("second", &second, &["key-2"]).await;
    first.fail_all(Fault::ResetBeforeHeaders);
    for _ in 0..2 {
        assert_eq!(ask(&app, "m").await.status, 200);
        app.clock.advance(Duration::from_millis(10));
    }
    first.heal();
    assert_eq!(ask(&app, "m").await.status, 200);
    let seen = (first.inferences().len(), second.inferences().len());
    assert_eq!(seen, (2, 3), "one fault rests nothing, a second one does");
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(ask(&app, "m").await.status, 200);
    assert_eq!((first.inferences().len(), second.inferences().len()), (3, 3));
    app.stop().await;
}

#[tokio::test]
async fn a_success_of_the_last_resort_ends_the_doubt() {
    let (app, first, second) = (start().await, Upstream::start(), Upstream::start());
    app.channel_with("first", &first.base_url(), &["key-1"], |channel| channel.priority = 1).await;
    app.channel("second", &second, &["key-2"]).await;
    first.fail_all(Fault::ResetBeforeHeaders);
    second.fail_all(Fault::ResetBeforeHeaders);
    for _ in 0..2 {
        assert_eq!(ask(&app, "m").await.status, 502);
        app.clock.advance(Duration::from_millis(10));
    }
    first.heal();
    assert_eq!(ask(&app, "m").await.status, 200);
    // Were the rest still in force, the first channel would be passed over for as long as it lasts.
    let resting = app.app.site().dispatch.lock().rests().all_active(app.clock.steady()).count();
    assert_eq!(resting, 1, "the second channel alone");
    assert_eq!(ask(&app, "m").await.status, 200);
    assert_eq!((first.inferences().len(), second.inferences().len()), (4, 2));
    app.stop().await;
}

#[tokio::test]
async fn a_daily_limit_without_a_time_is_tried_again_after_an_hour_not_after_seconds() {
    let (app, upstream) = (start().await, Upstream::start());
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| channel.priority = 1).await;
    app.channel("beside", &upstream, &["key-2"]).await;
    upstream.fail_next([Some(Fault::RateLimitedDaily)]);
    let of_limited =
        || upstream.inferences().iter().filter(|call| call.key.as_deref() == Some("key-1")).count();
    assert_eq!(ask(&app, "m").await.status, 200);
    for _ in 0..59 {
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(ask(&app, "m").await.status, 200);
    }
    assert_eq!(of_limited(), 1, "the limited key is left alone while another one serves");
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(ask(&app, "m").await.status, 200);
    assert_eq!(of_limited(), 2);
    app.stop().await;
}
