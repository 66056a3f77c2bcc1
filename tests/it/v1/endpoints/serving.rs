//! Which channels are asked on which endpoint.

use onepool::model::endpoint::{Endpoint, Endpoints};
use serde_json::json;

use crate::support::{
    app::{TestApp, model},
    upstream::{Fault, Upstream},
};

const IMAGES: &str = "/v1/images/generations";

fn only(endpoint: Endpoint) -> Endpoints {
    Endpoints::default().with(endpoint)
}

#[tokio::test]
async fn who_is_said_to_serve_an_endpoint_is_asked_before_those_of_whom_nobody_knows_and_others_never() {
    let app = TestApp::start().await;
    app.token().await;
    let [unknown, never, known] = [Upstream::start(), Upstream::start(), Upstream::start()];
    app.channel_with("unknown", &unknown.base_url(), &["sk-a"], |channel| channel.priority = 9).await;
    app.channel_with("never", &never.base_url(), &["sk-b"], |channel| {
        channel.priority = 9;
        channel.endpoints = only(Endpoint::Chat);
    })
    .await;
    app.channel_with("known", &known.base_url(), &["sk-c"], |channel| {
        channel.endpoints = only(Endpoint::Images);
    })
    .await;
    let asked = json!({"model": "m", "prompt": "a cat"});
    let ask = || app.post(IMAGES, &asked);
    assert_eq!(ask().await.status, 200);
    assert_eq!((known.inferences().len(), unknown.inferences().len()), (1, 0));
    known.fail_all(Fault::Status500);
    assert_eq!(ask().await.status, 200);
    assert_eq!((unknown.inferences().len(), never.inferences().len()), (1, 0));
    assert_eq!(app.chat(false, "marker=abc").await.status, 200);
    assert_eq!(known.inferences().len(), 2, "what serves pictures only gets no chat");
    app.stop().await;
}

#[tokio::test]
async fn a_model_may_serve_other_endpoints_than_its_channel() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["sk-a"], |channel| {
        channel.endpoints = only(Endpoint::Chat);
        let mut painter = model("painter");
        painter.endpoints = only(Endpoint::Images);
        channel.models = vec![model("m"), painter];
    })
    .await;
    assert_eq!(app.post(IMAGES, &json!({"model": "painter", "prompt": "a"})).await.status, 200);
    let refused = app.post(IMAGES, &json!({"model": "m", "prompt": "a"})).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "model_not_on_endpoint"));
    assert_eq!(refused.json()["error"]["param"], "model");
    assert!(refused.text().contains("/v1/images/generations"), "{}", refused.text());
    let chat = app.post("/v1/chat/completions", &crate::support::app::chat("painter", false, "a")).await;
    assert_eq!((chat.status, chat.code().as_str()), (404, "model_not_on_endpoint"));
    assert_eq!(upstream.inferences().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn what_an_upstream_answers_on_a_path_that_nobody_knows_of_harms_no_chat() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["sk-a"]).await;
    for fault in [
        Fault::Unauthorized,
        Fault::ForbiddenBanned,
        Fault::NotFoundHtml,
        Fault::PaymentRequired,
        Fault::ForbiddenRegion,
    ] {
        upstream.fail_all(fault);
        let reply = app.post("/v1/rerank", &json!({"model": "m", "query": "q", "documents": ["a"]})).await;
        assert!(reply.status >= 400, "{fault:?}");
        upstream.heal();
        assert_eq!(app.chat(false, "marker=abc").await.status, 200, "{fault:?}");
    }
    app.stop().await;
}
