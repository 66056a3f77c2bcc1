//! Calls go to models that are known to take them: tools, images, reasoning, room for the prompt.

use onepool::model::{
    chain::{Chain, ChainStep},
    channel::ChannelModel,
    id::ChainId,
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, chat, model},
    upstream::{Fault, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

/// Channels for the model `m`, the first with the highest priority.
struct Shops {
    app: TestApp,
    upstreams: Vec<Upstream>,
}

impl Shops {
    async fn of(models: Vec<ChannelModel>) -> Self {
        let app = TestApp::start().await;
        app.token().await;
        let mut upstreams = Vec::new();
        for (number, known) in models.into_iter().enumerate() {
            let upstream = Upstream::start();
            app.channel_with(&format!("c{number}"), &upstream.base_url(), &["key"], |channel| {
                channel.models = vec![known];
                channel.priority = -(number as i64);
            })
            .await;
            upstreams.push(upstream);
        }
        Self { app, upstreams }
    }

    async fn ask(&self, fields: Value) -> Reply {
        let mut body = chat("m", false, "hi");
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.app.post(CHAT, &body).await
    }

    /// How many calls each upstream got.
    fn calls(&self) -> Vec<usize> {
        self.upstreams.iter().map(|upstream| upstream.inferences().len()).collect()
    }
}

fn tools() -> Value {
    json!({"tools": [{"type": "function", "function": {"name": "f"}}]})
}

fn image() -> Value {
    json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}]})
}

fn known(tools: Option<bool>, vision: Option<bool>, reasoning: Option<bool>) -> ChannelModel {
    ChannelModel { tools, vision, reasoning, ..model("m") }
}

#[tokio::test]
async fn models_that_are_known_to_take_a_call_come_first_and_those_known_not_to_are_left_out() {
    let no = known(Some(false), Some(false), Some(false));
    let yes = known(Some(true), Some(true), Some(true));
    let shops = Shops::of(vec![no, known(None, None, None), yes]).await;
    let effort = json!({"reasoning_effort": "high"});
    for (number, fields) in [tools(), image(), effort].into_iter().enumerate() {
        assert_eq!(shops.ask(fields).await.status, 200);
        assert_eq!(shops.calls(), [0, 0, number + 1]);
    }
    assert_eq!(shops.ask(json!({"tools": [], "reasoning_effort": "none"})).await.status, 200);
    assert_eq!(shops.calls(), [1, 0, 3], "nothing is needed");
    // The one that is known fails: the unknown one is tried, the one that cannot is not.
    shops.upstreams[2].fail_all(Fault::RateLimitedSeconds);
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.calls(), [1, 1, 4]);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_call_that_no_model_takes_is_refused_with_what_is_missing() {
    let shops = Shops::of(vec![known(Some(false), Some(false), Some(false))]).await;
    for (fields, param, words) in [
        (tools(), "tools", "does not call tools"),
        (image(), "messages", "does not take images"),
        (json!({"reasoning_effort": "high"}), "reasoning_effort", "does not reason"),
    ] {
        let reply = shops.ask(fields).await;
        let error = &reply.json()["error"];
        assert_eq!(
            (reply.status, &error["type"], &error["param"]),
            (400, &json!("invalid_request_error"), &json!(param))
        );
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    assert_eq!(shops.calls(), [0]);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_prompt_that_fits_no_model_is_refused_in_openais_words_before_any_call() {
    let small = ChannelModel { context_window: Some(1000), ..model("m") };
    let shops = Shops::of(vec![small]).await;
    let long = "word ".repeat(4000);
    let reply = shops.ask(json!({"messages": [{"role": "user", "content": long}]})).await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status, reply.code().as_str()), (400, "context_length_exceeded"));
    assert!(
        error["message"].as_str().unwrap().starts_with("This model's maximum context length is 1000 tokens."),
        "{error}"
    );
    assert_eq!(shops.calls(), [0]);
    assert_eq!(shops.ask(json!({})).await.status, 200);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_long_prompt_goes_to_the_model_that_has_room_for_it() {
    let small = ChannelModel { context_window: Some(1000), ..model("m") };
    let large = ChannelModel { context_window: Some(100_000), ..model("m") };
    let shops = Shops::of(vec![small, large]).await;
    let long = "word ".repeat(4000);
    assert_eq!(shops.ask(json!({"messages": [{"role": "user", "content": long}]})).await.status, 200);
    assert_eq!(shops.calls(), [0, 1]);
    assert_eq!(shops.ask(json!({})).await.status, 200);
    assert_eq!(shops.calls(), [1, 1]);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_prompt_that_an_upstream_finds_too_long_goes_to_a_larger_model_of_the_chain() {
    let app = TestApp::start().await;
    app.token().await;
    let upstream = Upstream::start();
    let size = |name: &str, window: Option<u32>| ChannelModel { context_window: window, ..model(name) };
    app.channel_with("c", &upstream.base_url(), &["key"], |channel| {
        channel.models = vec![
            size("small", Some(8000)),
            size("same", Some(8000)),
            size("large", Some(64_000)),
            size("unknown", None),
        ];
    })
    .await;
    let steps =
        ["small", "same", "unknown", "large"].map(|model| ChainStep { model: model.into(), spill_ms: None });
    app.app
        .site()
        .db
        .create_chain(&Chain { id: ChainId(0), name: "auto".into(), enabled: true, steps: steps.into() })
        .await
        .expect("a chain");
    app.reload().await;
    upstream.fail_model("small", Fault::ContextLength400);
    let reply = app.post(CHAT, &chat("auto", false, "marker=abc words=3")).await;
    assert_eq!((reply.status, reply.header("x-onepool-model")), (200, Some("large")), "{}", reply.text());
    let asked: Vec<String> = upstream.inferences().into_iter().map(|call| call.model).collect();
    assert_eq!(asked, ["small", "large"]);
    // None is larger: the client learns why.
    upstream.fail_model("large", Fault::ContextLength400);
    let reply = app.post(CHAT, &chat("auto", false, "hi")).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "context_length_exceeded"));
    app.stop().await;
}
