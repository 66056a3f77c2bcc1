//! Calls go to models that are known to take them: tools, images, reasoning, room for the prompt.

use std::sync::Arc;

use onepool::{
    model::{
        chain::{Chain, ChainStep},
        channel::ChannelModel,
        endpoint::Endpoint,
        id::{ChainId, ChannelId},
        probe::{NO_HOLDS, ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        time::Clock,
    },
    provider::{listing, preset::ListShape},
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, at, chat, eventually, model},
    upstream::{Fault, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

/// Channels for the model `m`, the first with the highest priority.
struct Shops {
    app: TestApp,
    channels: Vec<ChannelId>,
    upstreams: Vec<Upstream>,
}

impl Shops {
    async fn of(models: Vec<ChannelModel>) -> Self {
        Self::in_app(TestApp::start().await, models).await
    }

    async fn in_app(app: TestApp, models: Vec<ChannelModel>) -> Self {
        app.token().await;
        let (mut upstreams, mut channels) = (Vec::new(), Vec::new());
        for (number, known) in models.into_iter().enumerate() {
            let upstream = Upstream::start();
            let id = app
                .channel_with(&format!("c{number}"), &upstream.base_url(), &["key"], |channel| {
                    channel.models = vec![known];
                    channel.priority = -(number as i64);
                })
                .await;
            channels.push(id);
            upstreams.push(upstream);
        }
        Self { app, channels, upstreams }
    }

    /// A channel's upstream lists this of the model, as OpenRouter does; the server has seen it.
    async fn list(&self, number: usize, mut facts: Value) {
        facts["id"] = "m".into();
        let body = json!({"data": [facts]}).to_string();
        let listing = listing::parse(ListShape::Openrouter, body.as_bytes()).expect("a list");
        let site = self.app.app.site();
        site.db.save_listing(self.channels[number], &listing, self.app.clock.now()).await.expect("saved");
        self.seen().await;
    }

    /// A probe has shown this of a channel's model; the server has seen it.
    async fn probe(&self, number: usize, kind: ProbeKind, verdict: ProbeVerdict, detail: &str) {
        let result = ProbeResult {
            channel: self.channels[number],
            model: "m".into(),
            kind,
            verdict,
            at: self.app.clock.now(),
            duration_ms: 5,
            first_token_ms: None,
            tokens_per_second: None,
            detail: detail.into(),
            source: ProbeSource::Probe,
        };
        self.app.app.site().db.save_probes(&[result]).await.expect("saved");
        self.seen().await;
    }

    async fn seen(&self) {
        let catalog = &self.app.app.site().catalog;
        eventually("the server's look at what is new", async || {
            !catalog.has_new_findings().await.expect("the database")
        })
        .await;
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

fn sound() -> Value {
    json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA".repeat(1000), "format": "wav"}}]}]})
}

fn schema() -> Value {
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}})
}

fn effort() -> Value {
    json!({"reasoning_effort": "high"})
}

/// A model of which its operator says nothing.
fn unsaid() -> ChannelModel {
    ChannelModel { name: "m".into(), ..ChannelModel::default() }
}

/// A prompt of so many words.
fn words(count: usize) -> Value {
    json!({"messages": [{"role": "user", "content": "word ".repeat(count)}]})
}

#[tokio::test]
async fn what_upstreams_list_steers_calls_and_an_operators_word_counts_before_it() {
    let said = known(Some(true), Some(true), Some(true));
    let shops = Shops::of(vec![model("m"), model("m"), model("m"), said]).await;
    shops
        .list(
            0,
            json!({"supported_parameters": ["max_tokens"], "architecture": {"input_modalities": ["text"]}}),
        )
        .await;
    shops
        .list(
            2,
            json!({"supported_parameters": ["tools", "response_format", "structured_outputs", "reasoning"],
                "architecture": {"input_modalities": ["text", "image", "audio"]}}),
        )
        .await;
    shops
        .list(
            3,
            json!({"supported_parameters": ["max_tokens"], "architecture": {"input_modalities": ["text"]}}),
        )
        .await;
    for (number, fields) in [tools(), image(), sound(), schema(), effort()].into_iter().enumerate() {
        let reply = shops.ask(fields.clone()).await;
        assert_eq!((reply.status, shops.calls()), (200, vec![0, 0, number + 1, 0]), "{fields}");
    }
    assert_eq!(shops.ask(json!({})).await.status, 200);
    assert_eq!(shops.calls(), [1, 0, 5, 0]);
    // The one that lists it fails: the operator's word stands against the last one's list, and the unknown one comes last.
    shops.upstreams[2].fail_all(Fault::RateLimitedSeconds);
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.calls(), [1, 0, 6, 1]);
    shops.upstreams[3].fail_all(Fault::RateLimitedSeconds);
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.calls(), [1, 1, 6, 2]);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_list_that_changes_counts_from_the_next_call_on() {
    let shops = Shops::of(vec![model("m")]).await;
    shops.list(0, json!({"supported_parameters": ["max_tokens"]})).await;
    for (fields, param) in [(tools(), "tools"), (schema(), "response_format"), (effort(), "reasoning_effort")]
    {
        let reply = shops.ask(fields).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{}", reply.text());
    }
    assert_eq!(shops.calls(), [0]);
    // That JSON can be asked for does not tell whether a schema can.
    shops.list(0, json!({"supported_parameters": ["tools", "response_format"]})).await;
    assert_eq!((shops.ask(tools()).await.status, shops.ask(schema()).await.status), (200, 200));
    // What is known is kept when somebody changes something else.
    shops.app.reload().await;
    assert_eq!(shops.ask(effort()).await.status, 400);
    shops.app.stop().await;
}

#[tokio::test]
async fn what_a_probe_has_shown_counts_before_the_list_for_as_long_as_it_holds() {
    let clock = Clock::manual(at("2026-11-20T12:00:00Z"));
    let app = TestApp::start_in(Arc::new(tempfile::tempdir().unwrap()), clock, &[]).await;
    let shops = Shops::in_app(app, vec![model("m"), model("m")]).await;
    let all = json!({"supported_parameters": ["tools", "reasoning", "structured_outputs"],
        "architecture": {"input_modalities": ["text", "image"]}});
    shops.list(0, all).await;
    shops.probe(0, ProbeKind::Tools, ProbeVerdict::Not, "it answered with text").await;
    shops.probe(0, ProbeKind::Vision, ProbeVerdict::Not, "no image").await;
    shops.probe(0, ProbeKind::Json, ProbeVerdict::Not, "json_schema: the answer is not JSON").await;
    for (number, fields) in [tools(), image(), schema()].into_iter().enumerate() {
        assert_eq!(shops.ask(fields.clone()).await.status, 200);
        assert_eq!(shops.calls(), [0, number + 1], "{fields}");
    }
    // That it did not reason unasked, or gave no JSON without a schema, does not say that it would not when it is asked to.
    shops.probe(0, ProbeKind::Reasoning, ProbeVerdict::Not, "no reasoning was shown unasked").await;
    shops.probe(0, ProbeKind::Json, ProbeVerdict::Not, "json_object: the answer is not JSON").await;
    assert_eq!((shops.ask(effort()).await.status, shops.ask(schema()).await.status), (200, 200));
    assert_eq!(shops.calls(), [2, 3]);
    // A probe that shows it counts for a model that nobody lists.
    shops.probe(1, ProbeKind::Tools, ProbeVerdict::Ok, "tool_choice required").await;
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.calls(), [2, 4]);
    shops.app.clock.advance(NO_HOLDS);
    shops.app.app.site().catalog.learn_findings().await.unwrap();
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.calls(), [3, 4], "a no is believed for a day");
    shops.app.stop().await;
}

#[tokio::test]
async fn what_a_providers_file_says_counts_where_nobody_else_says_anything() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let folder = data.path().join("data/providers");
    std::fs::create_dir_all(&folder).unwrap();
    let file = |window: u32| {
        json!({"id": "mine", "name": {"en": "Mine", "zh": "我的"}, "checked": "2026-11-20",
            "sources": ["https://example.com/docs"], "status": "unknown", "base_urls": [],
            "models": [{"id": "m", "context_window": window, "input": ["text"], "tools": false, "seen": "2026-11-20",
                "source": "https://example.com/docs"}]})
        .to_string()
    };
    std::fs::write(folder.join("mine.json"), file(900)).unwrap();
    let app = TestApp::start_in(data, Clock::system(), &[]).await;
    app.token().await;
    let upstream = Upstream::start();
    let id = app
        .channel_with("c", &upstream.base_url(), &["key"], |channel| {
            channel.provider = "mine".into();
            channel.models = vec![unsaid()];
        })
        .await;
    let shops = Shops { app, channels: vec![id], upstreams: vec![upstream] };
    for (fields, param) in
        [(tools(), "tools"), (image(), "messages"), (sound(), "messages"), (words(6000), "messages")]
    {
        let reply = shops.ask(fields).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{}", reply.text());
    }
    // A file that is changed counts without a restart; a list counts before it.
    std::fs::write(folder.join("mine.json"), file(50_000)).unwrap();
    eventually("the new file", async || shops.ask(words(6000)).await.status == 200).await;
    shops.list(0, json!({"supported_parameters": ["tools"], "context_length": 1000})).await;
    assert_eq!(shops.ask(tools()).await.status, 200);
    assert_eq!(shops.ask(words(6000)).await.code(), "context_length_exceeded");
    shops.app.stop().await;
}

#[tokio::test]
async fn a_short_prompt_is_measured_against_every_window_that_is_known() {
    let shops = Shops::of(vec![unsaid(), unsaid()]).await;
    shops.list(0, json!({"context_length": 1000})).await;
    assert_eq!(shops.ask(words(6000)).await.status, 200);
    assert_eq!(shops.calls(), [0, 1]);
    shops.list(1, json!({"context_length": 1200})).await;
    let reply = shops.ask(words(6000)).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "context_length_exceeded"));
    assert!(reply.text().contains("maximum context length is 1200 tokens"), "{}", reply.text());
    assert_eq!(shops.ask(json!({})).await.status, 200);
    assert_eq!(shops.calls(), [1, 1]);
    shops.app.stop().await;
}

#[tokio::test]
async fn a_larger_model_must_serve_the_endpoint_and_take_what_else_the_call_needs() {
    let app = TestApp::start().await;
    app.token().await;
    let upstream = Upstream::start();
    let large = |name: &str| ChannelModel { context_window: Some(64_000), ..model(name) };
    app.channel_with("c", &upstream.base_url(), &["key"], |channel| {
        channel.models = vec![
            ChannelModel { context_window: Some(8000), tools: Some(true), ..model("small") },
            ChannelModel { endpoints: [Endpoint::Embeddings].into_iter().collect(), ..large("embeds") },
            ChannelModel { tools: Some(false), ..large("toolless") },
            large("large"),
        ];
    })
    .await;
    let steps = ["small", "embeds", "toolless", "large"]
        .map(|model| ChainStep { model: model.into(), spill_ms: None });
    let chain = Chain { id: ChainId(0), name: "auto".into(), enabled: true, steps: steps.into() };
    app.app.site().db.create_chain(&chain).await.expect("a chain");
    app.reload().await;
    upstream.fail_model("small", Fault::ContextLength400);
    let mut body = chat("auto", false, "hi");
    body["tools"] = tools()["tools"].clone();
    let reply = app.post(CHAT, &body).await;
    assert_eq!((reply.status, reply.header("x-onepool-model")), (200, Some("large")), "{}", reply.text());
    let asked: Vec<String> = upstream.inferences().into_iter().map(|call| call.model).collect();
    assert_eq!(asked, ["small", "large"]);
    app.stop().await;
}
