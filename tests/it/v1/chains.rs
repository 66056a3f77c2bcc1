//! Chains as clients meet them.

use onepool::model::{
    chain::{Chain, ChainStep},
    id::ChainId,
};
use serde_json::Value;

use crate::support::{
    app::{TestApp, chat, model},
    upstream::Upstream,
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
