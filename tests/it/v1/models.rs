//! The list of models, and the paths around it.

use serde_json::{Value, json};

use onepool::model::{
    chain::{Chain, ChainStep},
    channel::ChannelModel,
    endpoint::Endpoint,
    id::ChainId,
    token::{Quota, QuotaReset, QuotaUnit},
};

use crate::support::{
    app::{Reply, TestApp, chat, model, redirect},
    upstream::Upstream,
};

async fn get(app: &TestApp, path: &str) -> Reply {
    Reply::read(app.request(reqwest::Method::GET, path).send().await.unwrap()).await
}

fn ids(reply: &Reply) -> Vec<String> {
    let list = reply.json();
    assert_eq!(list["object"], "list", "{}", reply.text());
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn models_are_listed_as_clients_read_them() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        let mut able = model("Able");
        (able.vision, able.tools, able.reasoning) = (Some(true), Some(true), Some(true));
        channel.models = vec![able, model("vendor/plain:free")];
    })
    .await;
    app.channel_with("d", &upstream.base_url(), &["key-2"], |channel| {
        let mut weaker = model("weaker");
        weaker.context_window = Some(8192);
        weaker.vision = Some(false);
        channel.models = vec![weaker];
        channel.redirects = vec![redirect("able", "weaker")];
    })
    .await;
    let list = get(&app, "/v1/models").await;
    assert_eq!(list.status, 200);
    assert_eq!(ids(&list), ["Able", "vendor/plain:free", "weaker"]);
    let able = list.json()["data"][0].take();
    assert_eq!((&able["object"], &able["owned_by"]), (&json!("model"), &json!("onepool")));
    assert!(able["created"].is_i64());
    assert_eq!(able["context_window"], 8192, "the least of those who may serve it");
    assert_eq!(able["max_completion_tokens"], 1000);
    assert_eq!(able["architecture"]["input_modalities"], json!(["text"]), "the weaker one sees no pictures");
    let one = get(&app, "/v1/models/vendor/plain:free").await;
    assert_eq!((one.status, &one.json()["id"]), (200, &json!("vendor/plain:free")));
    let escaped = get(&app, "/v1/models/vendor%2Fplain%3Afree").await;
    assert_eq!(escaped.json(), one.json());
    assert_eq!(get(&app, "/v1/models/ABLE").await.json()["id"], "Able");
    let missing = get(&app, "/v1/models/vendor/none").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "model_not_found"));
    assert!(!list.text().contains(&upstream.address().to_string()) && !list.text().contains("key-1"));
    app.stop().await;
}

#[tokio::test]
async fn a_token_sees_only_what_it_may_use() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| {
        token.models = vec!["gpt-*".into(), "own".into()];
        token.groups = vec!["vip".into()];
    })
    .await;
    app.channel_with("vip", &upstream.base_url(), &["key-1"], |channel| {
        channel.groups = vec!["vip".into()];
        channel.models = ["gpt-1", "own", "else"].map(model).into();
    })
    .await;
    app.channel_with("other", &upstream.base_url(), &["key-1"], |channel| {
        channel.models = vec![model("gpt-2")];
    })
    .await;
    app.channel_with("off", &upstream.base_url(), &["key-1"], |channel| {
        channel.groups = vec!["vip".into()];
        channel.models = vec![model("gpt-3")];
        channel.enabled = false;
    })
    .await;
    assert_eq!(ids(&get(&app, "/v1/models").await), ["gpt-1", "own"]);
    for (id, status) in [("gpt-1", 200), ("gpt-2", 404), ("gpt-3", 404), ("else", 404)] {
        assert_eq!(get(&app, &format!("/v1/models/{id}")).await.status, status, "{id}");
    }
    app.stop().await;
}

#[tokio::test]
async fn paths_work_with_and_without_their_version_and_a_slash_at_the_end() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for path in ["/v1/models", "/v1/models/", "/models", "/models/"] {
        assert_eq!(ids(&get(&app, path).await), ["m"], "{path}");
    }
    assert_eq!(get(&app, "/models/m").await.status, 200);
    assert_eq!(get(&app, "/v1/models/m/").await.status, 200);
    for prefix in ["/v1", ""] {
        for slash in ["", "/"] {
            let chat = app.post(&format!("{prefix}/chat/completions{slash}"), &chat("m", false, "hi")).await;
            let text = app
                .post(&format!("{prefix}/completions{slash}"), &json!({"model": "m", "prompt": "hi"}))
                .await;
            let vectors =
                app.post(&format!("{prefix}/embeddings{slash}"), &json!({"model": "m", "input": "hi"})).await;
            assert_eq!((chat.status, text.status, vectors.status), (200, 200, 200), "{prefix} {slash}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_in_json() {
    let app = TestApp::start().await;
    app.token().await;
    for (method, path, status) in [
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/chat", 404),
        ("POST", "/v1/v1/chat/completions", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/v1/chat/completions", 405),
        ("POST", "/v1/models/m", 405),
    ] {
        let request = app.request(method.parse().unwrap(), path);
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!(reply.status, status, "{method} {path}");
        let error = reply.json()["error"].take();
        assert_eq!(error["type"], "invalid_request_error", "{method} {path}: {}", reply.text());
        assert!(error["code"].is_string() && error["param"] == Value::Null);
        assert!(error["message"].as_str().unwrap().contains("request id: "));
        if status == 405 {
            assert!(reply.header("allow").is_some(), "{method} {path}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_page_of_another_origin_may_call_with_a_token() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for path in ["/v1/chat/completions", "/v1/models"] {
        let request = app
            .http
            .request(reqwest::Method::OPTIONS, app.url(path))
            .header("origin", "https://app.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-stainless-os");
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert!((200..300).contains(&reply.status), "{path}: {}", reply.status);
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
        let headers = reply.header("access-control-allow-headers").unwrap();
        assert!(headers.contains("authorization") && headers.contains("x-stainless-os"), "{headers}");
        assert!(reply.header("access-control-allow-credentials").is_none());
    }
    for reply in [
        app.chat_with(|request| {
            request.bearer_auth(crate::support::app::TOKEN).header("origin", "https://app.example")
        })
        .await,
        app.chat_with(|request| request.header("origin", "https://app.example")).await,
    ] {
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{}", reply.status);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_model_has_every_field_that_clients_look_for_and_what_is_unknown_is_left_out() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        let mut full = model("full");
        (full.vision, full.tools, full.reasoning) = (Some(true), Some(true), Some(true));
        full.endpoints = [Endpoint::Chat, Endpoint::Responses].into_iter().collect();
        let mut plain = model("plain");
        (plain.vision, plain.tools, plain.reasoning) = (Some(false), Some(false), Some(false));
        let mut voice = ChannelModel { name: "voice".into(), ..ChannelModel::default() };
        voice.endpoints = [Endpoint::Speech].into_iter().collect();
        channel.models =
            vec![full, plain, voice, ChannelModel { name: "bare".into(), ..ChannelModel::default() }];
    })
    .await;
    let steps = ["full", "plain"].map(|model| ChainStep { model: model.into(), spill_ms: None });
    let chain = Chain { id: ChainId(0), name: "both".into(), enabled: true, steps: steps.into() };
    app.app.site().db.create_chain(&chain).await.unwrap();
    app.reload().await;
    let list = get(&app, "/v1/models").await.json();
    let found = |id: &str| {
        let of = |model: &&Value| model["id"] == id;
        let mut model = list["data"].as_array().unwrap().iter().find(of).unwrap().clone();
        for always in ["id", "name"] {
            assert_eq!(model.as_object_mut().unwrap().remove(always), Some(json!(id)));
        }
        for (always, value) in
            [("object", json!("model")), ("created", json!(0)), ("owned_by", json!("onepool"))]
        {
            assert_eq!(model.as_object_mut().unwrap().remove(always), Some(value), "{id}");
        }
        model
    };
    let limits = json!({
        "context_length": 32_768, "context_window": 32_768, "max_input_tokens": 32_768,
        "max_completion_tokens": 1000, "max_output_tokens": 1000,
    });
    let with = |more: Value| {
        let mut all = limits.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let full = json!({
        "input_modalities": ["text", "image"], "output_modalities": ["text"],
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "supports_vision": true, "supports_function_calling": true, "supports_reasoning": true, "reasoning": true,
        "supported_parameters": ["tools", "tool_choice", "reasoning"],
        "supported_endpoints": ["/v1/chat/completions", "/v1/responses"],
    });
    assert_eq!(found("full"), with(full));
    let plain = json!({
        "input_modalities": ["text"], "architecture": {"input_modalities": ["text"]}, "supports_vision": false,
        "supports_function_calling": false, "supports_reasoning": false, "reasoning": false, "supported_parameters": [],
    });
    assert_eq!(found("plain"), with(plain.clone()));
    assert_eq!(found("both"), with(plain), "a chain has what all its models have");
    assert_eq!(found("bare"), json!({}));
    let voice = json!({
        "output_modalities": ["audio"], "architecture": {"output_modalities": ["audio"]},
        "supported_endpoints": ["/v1/audio/speech"],
    });
    assert_eq!(found("voice"), voice);
    app.stop().await;
}

#[tokio::test]
async fn a_token_that_counts_dollars_sees_no_model_without_a_price() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.models.push(ChannelModel { name: "free".into(), ..ChannelModel::default() });
    })
    .await;
    app.token_with(|token| {
        token.quota = Some(Quota::new(QuotaUnit::Dollars, 1_000_000, QuotaReset::Never));
    })
    .await;
    let listed = get(&app, "/v1/models").await.json();
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(names, ["m"]);
    app.stop().await;
}
