//! Chains as clients meet them.

use std::{sync::Arc, time::Duration};

use onepool::model::{
    chain::{Chain, ChainStep},
    id::{ChainId, ChannelId},
    limit::{Limit, Metric, Models, Per, Source, Window},
    time::Clock,
};
use serde_json::Value;

use crate::support::{
    app::{Reply, TestApp, at, chat, eventually, model},
    upstream::{Fault, Upstream},
};

/// Adds a chain; a step is a model and its spill time.
async fn add_chain(app: &TestApp, name: &str, steps: &[(&str, Option<u32>)]) {
    let steps =
        steps.iter().map(|(model, spill_ms)| ChainStep { model: (*model).into(), spill_ms: *spill_ms });
    let chain = Chain { id: ChainId(0), name: name.into(), enabled: true, steps: steps.collect() };
    app.app.site().db.create_chain(&chain).await.unwrap();
    app.reload().await;
}

async fn listed(app: &TestApp) -> Vec<Value> {
    let request = app.request(reqwest::Method::GET, "/v1/models").send().await.unwrap();
    request.json::<Value>().await.unwrap()["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_token_for_a_chain_may_use_it_and_not_the_models_behind_it() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_models(&["large", "small"]);
    app.token_with(|token| token.models = vec!["Smart".into()]).await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![model("large"), model("small")];
        channel.models[1].context_window = Some(8192);
    })
    .await;
    add_chain(&app, "smart", &[("large", Some(0)), ("small", None), ("gone", None)]).await;
    let models = listed(&app).await;
    assert_eq!(models.len(), 1);
    assert_eq!(
        (&models[0]["id"], &models[0]["context_length"]),
        (&"smart".into(), &8192.into()),
        "the smallest counts"
    );
    for stream in [false, true] {
        let reply = app.post("/v1/chat/completions", &chat("SMART", stream, "hi")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let answers: Vec<Value> = if stream { reply.chunks() } else { vec![reply.json()] };
        assert!(answers.iter().all(|answer| answer["model"] == "smart"), "{answers:?}");
    }
    let behind = app.post("/v1/chat/completions", &chat("large", false, "hi")).await;
    assert_eq!((behind.status, behind.code().as_str()), (403, "model_not_allowed"));
    app.stop().await;
}

#[tokio::test]
async fn a_chain_that_nobody_serves_is_no_model() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    add_chain(&app, "empty", &[("gone", None)]).await;
    assert_eq!(listed(&app).await.len(), 1);
    let reply = app.post("/v1/chat/completions", &chat("empty", false, "hi")).await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    app.stop().await;
}

/// A server whose clock stands still, with a channel for each of two models. A key of the first one may make one call in
/// `window_ms`; a chain leaves it after `spill_ms`.
async fn two_models(upstream: &Upstream, window_ms: u64, spill_ms: Option<u32>) -> TestApp {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &[]).await;
    app.token().await;
    upstream.set_models(&["large", "small"]);
    let only = |name: &'static str| {
        move |channel: &mut onepool::storage::channels::NewChannel| channel.models = vec![model(name)]
    };
    let first = app.channel_with("first", &upstream.base_url(), &["key-1", "key-2"], only("large")).await;
    app.channel_with("second", &upstream.base_url(), &["key-3"], only("small")).await;
    limit(&app, first, window_ms).await;
    add_chain(&app, "smart", &[("large", spill_ms), ("small", Some(0))]).await;
    app
}

/// Lets each key of a channel make one call in a time.
async fn limit(app: &TestApp, channel: ChannelId, window_ms: u64) {
    let limit = Limit {
        models: Models::default(),
        per: Per::Key,
        metric: Metric::Requests,
        window: Window::Rolling { ms: window_ms },
        max: 1,
        source: Source::Declared,
    };
    app.app.site().db.set_limits(channel, None, &[limit]).await.unwrap();
    app.reload().await;
}

async fn ask(app: &TestApp, stream: bool) -> Reply {
    let reply = app.post("/v1/chat/completions", &chat("smart", stream, "hi")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

#[tokio::test]
async fn a_chain_falls_to_its_second_model_when_the_keys_of_the_first_are_exhausted() {
    let upstream = Upstream::start();
    let app = two_models(&upstream, 3_600_000, Some(2000)).await;
    for served in ["large", "large", "small", "small"] {
        let reply = ask(&app, served == "small").await;
        assert_eq!(reply.header("x-onepool-model"), Some(served));
        let named = reply.chunks().into_iter().chain(Some(reply.json()).filter(|json| !json.is_null()));
        assert!(named.into_iter().all(|answer| answer["model"] == "smart"), "{}", reply.text());
    }
    let rows = app.rows().await;
    let of_rows: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| (row["asked"].as_str().unwrap(), row["served"].as_str().unwrap()))
        .collect();
    assert_eq!(of_rows, [("smart", "large"), ("smart", "large"), ("smart", "small"), ("smart", "small")]);
    assert!(
        rows.iter().all(|row| row["attempts"].as_array().unwrap().len() == 1),
        "nothing was sent in vain"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_fails_is_followed_by_the_next_within_the_call() {
    let upstream = Upstream::start();
    let app = two_models(&upstream, 3_600_000, Some(2000)).await;
    upstream.fail_model("large", Fault::Status503);
    let reply = ask(&app, true).await;
    assert_eq!(reply.header("x-onepool-model"), Some("small"));
    let row = &app.rows().await[0];
    assert_eq!((row["asked"].as_str(), row["served"].as_str()), (Some("smart"), Some("small")));
    app.stop().await;
}

#[tokio::test]
async fn a_step_is_left_at_once_after_its_time_or_never() {
    // The keys of the first model have room again after one second.
    for (spill_ms, served) in
        [(Some(0), "small"), (Some(500), "small"), (Some(2000), "large"), (None, "large")]
    {
        let upstream = Upstream::start();
        let app = two_models(&upstream, 1000, spill_ms).await;
        for _ in 0..2 {
            assert_eq!(ask(&app, false).await.header("x-onepool-model"), Some("large"));
        }
        let later = async {
            if served == "large" {
                eventually("a call in line", async || app.app.site().dispatch.waiting() == 1).await;
                // Not as far as the two seconds of the one step.
                for _ in 0..18 {
                    app.clock.advance(Duration::from_millis(100));
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        let (reply, ()) = tokio::join!(ask(&app, false), later);
        assert_eq!(reply.header("x-onepool-model"), Some(served), "{spill_ms:?}");
        app.stop().await;
    }
}

#[tokio::test]
async fn a_step_that_is_never_left_refuses_rather_than_to_spill() {
    let upstream = Upstream::start();
    let app = two_models(&upstream, 3_600_000, None).await;
    ask(&app, false).await;
    ask(&app, true).await;
    let refused = app.post("/v1/chat/completions", &chat("smart", false, "hi")).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "pool_exhausted"));
    assert_eq!(upstream.inferences().len(), 2);
    app.stop().await;
}
