//! Who gets a call: tiers, weights, turns, redirects, groups and scopes.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use onepool::model::token::ClientProfile;

use crate::support::{
    app::{TestApp, chat, model, redirect},
    upstream::{Fault, Upstream},
};

/// How many inference calls each key made.
fn calls_by_key(upstream: &Upstream) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in upstream.inferences() {
        *counts.entry(call.key.unwrap_or_default()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn a_lower_tier_serves_only_what_the_higher_one_cannot() {
    let (app, high, low) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.token().await;
    app.channel("low", &low, &["key-low-1"]).await;
    app.channel_with("high", &high.base_url(), &["key-high-1"], |channel| channel.priority = 5).await;
    for _ in 0..10 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    assert_eq!((high.inferences().len(), low.inferences().len()), (10, 0));
    high.fail_all(Fault::Status503);
    for _ in 0..3 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    assert_eq!(low.inferences().len(), 3);
    assert_eq!(high.inferences().len(), 11, "the failed channel rests");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_a_tier_share_the_calls_by_weight() {
    let (app, heavy, light) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.token().await;
    app.channel_with("heavy", &heavy.base_url(), &["key-1"], |channel| channel.weight = 3).await;
    app.channel("light", &light, &["key-2"]).await;
    let replies: Vec<u16> = stream::iter(0..240)
        .map(|_| async { app.chat(false, "hi").await.status })
        .buffer_unordered(16)
        .collect()
        .await;
    assert!(replies.iter().all(|status| *status == 200));
    // 180 are expected; this is five times the standard deviation to each side.
    let heavy = heavy.inferences().len();
    assert!((146..=214).contains(&heavy), "{heavy} of 240");
    assert_eq!(heavy + light.inferences().len(), 240);
    app.stop().await;
}

#[tokio::test]
async fn the_keys_of_a_channel_take_turns_evenly() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1", "key-2", "key-3"]).await;
    for call in 0..30 {
        assert_eq!(app.chat(call % 2 == 0, "hi").await.status, 200);
    }
    assert_eq!(calls_by_key(&upstream).into_values().collect::<Vec<_>>(), [10, 10, 10]);
    app.stop().await;
}

#[tokio::test]
async fn no_key_is_tried_twice_for_a_call_that_does_not_wait_and_the_log_has_every_attempt() {
    let app = TestApp::start_with(&[("QUEUE_WAIT_SECONDS", "0")]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel("c", &upstream, &["key-1", "key-2", "key-3"]).await;
    upstream.fail_all(Fault::RateLimitedSeconds);
    let reply = app.chat(false, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "pool_exhausted"));
    assert!((1..=7).contains(&reply.header("retry-after").unwrap().parse::<u64>().unwrap()));
    assert_eq!(calls_by_key(&upstream).into_values().collect::<Vec<_>>(), [1, 1, 1]);
    let row = &app.rows().await[0];
    assert_eq!(row["attempts"].as_array().unwrap().len(), 3);
    assert!(row["attempts"].as_array().unwrap().iter().all(|attempt| attempt["class"] == "rate_limited"));
    app.stop().await;
}

#[tokio::test]
async fn a_call_makes_at_most_the_allowed_number_of_attempts() {
    let app = TestApp::start_with(&[("MAX_ATTEMPTS", "4")]).await;
    let upstream = Upstream::start();
    app.token().await;
    let keys: Vec<String> = (0..9).map(|key| format!("key-{key}")).collect();
    app.channel("c", &upstream, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    upstream.fail_all(Fault::RateLimitedBare);
    assert_eq!(app.chat(true, "hi").await.status, 429);
    assert_eq!(upstream.inferences().len(), 4);
    app.stop().await;
}

#[tokio::test]
async fn one_public_name_is_served_by_several_upstream_names_and_the_client_sees_only_the_public_one() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_models(&["vendor/a-001", "vendor/b-002"]);
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![];
        channel.redirects = vec![redirect("Smart", "vendor/a-001"), redirect("Smart", "vendor/b-002")];
    })
    .await;
    for call in 0..24 {
        // Neither name nor letter case must matter to the client.
        let name = ["Smart", "smart", "SMART"][call % 3];
        let reply = app.post("/v1/chat/completions", &chat(name, call % 2 == 1, "hi")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert!(!reply.text().contains("vendor/"), "{}", reply.text());
        let models: Vec<String> = reply
            .chunks()
            .into_iter()
            .chain(Some(reply.json()).filter(|json| !json.is_null()))
            .map(|json| json["model"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert!(!models.is_empty() && models.iter().all(|model| model == "Smart"), "{models:?}");
    }
    let asked: Vec<String> = upstream.inferences().into_iter().map(|call| call.model).collect();
    // Each is drawn as often as the other; that one of them never is happens once in eight million runs.
    let first = asked.iter().filter(|model| *model == "vendor/a-001").count();
    assert!((1..=23).contains(&first), "{asked:?}");
    let rows = app.rows().await;
    assert_eq!((&rows[0]["asked"], &rows[22]["asked"]), (&"SMART".into(), &"smart".into()));
    assert!(rows[0]["served"].as_str().unwrap().starts_with("vendor/"));
    app.stop().await;
}

#[tokio::test]
async fn an_upstream_name_that_fails_leads_to_the_other_name_of_the_same_key() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.fail_model("vendor/a", Fault::ModelNotFound);
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.redirects = vec![redirect("smart", "vendor/a"), redirect("smart", "vendor/b")];
    })
    .await;
    for _ in 0..4 {
        assert_eq!(app.post("/v1/chat/completions", &chat("smart", false, "hi")).await.status, 200);
    }
    let to_a = upstream.inferences().iter().filter(|call| call.model == "vendor/a").count();
    assert_eq!(to_a, 1, "the missing model rests");
    app.stop().await;
}

#[tokio::test]
async fn a_token_of_a_group_uses_only_the_channels_of_its_group() {
    let (app, vip, rest) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.token_with(|token| token.groups = vec!["vip".into()]).await;
    app.channel_with("rest", &rest.base_url(), &["key-1"], |channel| {
        channel.priority = 9;
        channel.models.push(model("only-here"));
    })
    .await;
    app.channel_with("vip", &vip.base_url(), &["key-2"], |channel| channel.groups = vec!["vip".into()]).await;
    for _ in 0..4 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    let missing = app.post("/v1/chat/completions", &chat("only-here", false, "hi")).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "model_not_found"));
    assert_eq!((vip.inferences().len(), rest.inferences().len()), (4, 0));
    app.stop().await;
}

#[tokio::test]
async fn a_channel_or_a_key_that_is_switched_off_takes_no_calls() {
    let (app, first, second) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.token().await;
    let off = app.channel_with("off", &first.base_url(), &["key-1"], |channel| channel.priority = 9).await;
    let on = app.channel("on", &second, &["key-2", "key-3"]).await;
    let db = &app.app.site().db;
    db.set_channel_enabled(off, false).await.unwrap();
    db.set_key_enabled(app.keys_of(on)[0], false).await.unwrap();
    app.reload().await;
    for _ in 0..4 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    assert!(first.inferences().is_empty());
    assert_eq!(calls_by_key(&second), BTreeMap::from([("key-3".to_owned(), 4)]));
    db.set_key_enabled(app.keys_of(on)[1], false).await.unwrap();
    app.reload().await;
    let reply = app.chat(false, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "no_available_channel"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(reply.header("x-should-retry"), Some("false"), "waiting does not switch a key on");
    app.stop().await;
}

#[tokio::test]
async fn a_token_may_ask_only_for_the_models_of_its_scope() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| token.models = vec!["gpt-*".into(), "Exact".into()]).await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = ["gpt-5", "GPT-mini", "exact", "exactly", "m"].map(model).into();
    })
    .await;
    for (name, status, code) in [
        ("gpt-5", 200, ""),
        ("GPT-5", 200, ""),
        ("gpt-mini", 200, ""),
        ("EXACT", 200, ""),
        ("exactly", 403, "model_not_allowed"),
        ("m", 403, "model_not_allowed"),
        ("gpt-unknown", 404, "model_not_found"),
    ] {
        let reply = app.post("/v1/chat/completions", &chat(name, false, "hi")).await;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{name}");
    }
    assert_eq!(upstream.inferences().len(), 4);
    app.stop().await;
}

#[tokio::test]
async fn a_model_outside_its_scope_is_a_404_to_openclaw_which_then_takes_its_next_model() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| {
        token.models = vec!["gpt-*".into()];
        token.profile = ClientProfile::OpenClaw;
    })
    .await;
    app.channel("c", &upstream, &["key-1"]).await;
    let reply = app.chat(false, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    app.stop().await;
}

#[tokio::test]
async fn a_request_that_is_at_fault_is_answered_once_and_not_held_against_the_key() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1", "key-2"]).await;
    for (fault, status, code) in [
        (Fault::BadRequest, 400, "invalid_value"),
        (Fault::ContextLength400, 400, "context_length_exceeded"),
        (Fault::PayloadTooLarge, 413, "request_too_large"),
        (Fault::Unprocessable, 422, "invalid_request_error"),
    ] {
        for stream in [false, true] {
            upstream.forget_calls();
            upstream.fail_next([Some(fault)]);
            let reply = app.chat(stream, "hi").await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
            assert_eq!(upstream.inferences().len(), 1, "{fault:?} is asked once");
        }
    }
    upstream.forget_calls();
    for _ in 0..4 {
        assert_eq!(app.chat(false, "hi").await.status, 200);
    }
    assert_eq!(
        calls_by_key(&upstream).into_values().collect::<Vec<_>>(),
        [2, 2],
        "both keys still take calls"
    );
    app.stop().await;
}
