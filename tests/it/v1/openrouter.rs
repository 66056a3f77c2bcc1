//! What OpenRouter has of its own: fields, figures, and a cache of answers that belongs to a key.

use std::{collections::BTreeMap, io::Write as _};

use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TOKEN, TestApp, chat},
    raw::{self, Raw},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";

async fn openrouter(keys: &[&str], base_url: &str, response_cache_s: Option<u32>) -> TestApp {
    let app = TestApp::start().await;
    app.token().await;
    app.channel_with("c", base_url, keys, |channel| {
        channel.provider = "openrouter".into();
        channel.shaping.response_cache_s = response_cache_s;
    })
    .await;
    app
}

async fn ask(app: &TestApp, body: &Value, headers: &[(&str, &str)]) -> Reply {
    let request = app.http.post(app.url(CHAT)).bearer_auth(TOKEN).json(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Reply::read(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn fields_of_its_own_pass_both_ways() {
    const BODY: &str = r#"{"id":"x","provider":"Venice","choices":[{"index":0,"message":{"role":"assistant","content":"","images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}],"reasoning":"so","reasoning_details":[{"type":"reasoning.text","text":"so","signature":"s"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0.000123,"cost_details":{"upstream_inference_cost":null}}}"#;
    let upstream = Raw::answer(|_, socket| raw::write_json(socket, BODY));
    let app = openrouter(&["key-1"], &upstream.base_url(), None).await;
    assert_eq!(app.chat(false, "hi").await.text(), BODY);
    app.stop().await;

    let upstream = Upstream::start();
    let app = openrouter(&["key-1"], &upstream.base_url(), None).await;
    let mut body = chat("m", false, "hi");
    let own = json!({
        "provider": {"order": ["venice"], "max_price": {"prompt": 1.0}}, "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "16:9"}, "reasoning": {"effort": "high", "exclude": true}, "models": ["m", "n"],
        "plugins": [{"id": "web", "max_results": 3}], "transforms": ["middle-out"], "usage": {"include": true},
    });
    for (name, value) in own.as_object().unwrap() {
        body[name] = value.clone();
    }
    body["messages"] = json!([{"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, {"role": "user", "content": "c"}]);
    assert_eq!(app.post(CHAT, &body).await.status, 200);
    assert_eq!(upstream.inferences()[0].body, body);
    app.stop().await;
}

#[tokio::test]
async fn equal_requests_go_to_one_key_while_the_cache_is_on() {
    let upstream = Upstream::start();
    let app = openrouter(&["key-1", "key-2", "key-3", "key-4"], &upstream.base_url(), None).await;
    let on = [("X-OpenRouter-Cache", "true"), ("X-OpenRouter-Cache-TTL", "600")];
    for round in 0..3 {
        for number in 0..6 {
            let reply = ask(&app, &chat("m", false, &format!("number {number}")), &on).await;
            assert_eq!(reply.status, 200, "{round}: {}", reply.text());
        }
    }
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for call in upstream.inferences() {
        assert_eq!(call.request.header("x-openrouter-cache"), Some("true"));
        assert_eq!(call.request.header("x-openrouter-cache-ttl"), Some("600"));
        let prompt = call.body["messages"][0]["content"].to_string();
        keys.entry(prompt).or_default().push(call.key.unwrap_or_default());
    }
    for (prompt, keys) in &keys {
        assert!(keys.iter().all(|key| *key == keys[0]), "{prompt}: {keys:?}");
    }
    let mut used: Vec<&String> = keys.values().map(|keys| &keys[0]).collect();
    used.sort();
    used.dedup();
    assert!(used.len() > 1, "different requests are spread: {keys:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_channel_turns_the_cache_on_and_a_client_counts_more() {
    let upstream = Upstream::start();
    let app = openrouter(&["key-1"], &upstream.base_url(), Some(300)).await;
    let body = chat("m", false, "hi");
    let headers = |number: usize| {
        let call = upstream.inferences()[number].clone();
        ["x-openrouter-cache", "x-openrouter-cache-ttl", "x-openrouter-cache-clear"]
            .map(|name| call.request.header(name).map(str::to_owned))
    };
    ask(&app, &body, &[]).await;
    ask(&app, &body, &[("x-openrouter-cache", "false")]).await;
    ask(&app, &body, &[("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "5")]).await;
    ask(&app, &body, &[("x-openrouter-cache-clear", "true")]).await;
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(headers(0), [said("true"), said("300"), None]);
    assert_eq!(headers(1), [said("false"), None, None]);
    assert_eq!(headers(2), [said("true"), said("5"), None]);
    assert_eq!(headers(3), [said("true"), said("300"), said("true")]);
    app.stop().await;
}

#[tokio::test]
async fn the_headers_of_the_cache_go_to_openrouter_only() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let reply = ask(&app, &chat("m", false, "hi"), &[("X-OpenRouter-Cache", "true")]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(upstream.inferences()[0].request.header("x-openrouter-cache"), None);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_from_the_cache_is_told_and_booked_with_a_usage_of_zero() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\nX-OpenRouter-Cache-Status: HIT\r\nX-OpenRouter-Cache-Age: 12\r\nX-OpenRouter-Cache-TTL: 288\r\nX-Secret: s\r\n";
    const USAGE: &str = r#""usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#;
    let upstream = Raw::answer(|request, socket| {
        let streamed = String::from_utf8_lossy(&request.body).contains("\"stream\":true");
        let _ = if streamed {
            write!(
                socket,
                "{HEAD}content-type: text/event-stream\r\n\r\ndata: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"pong\"}},\"finish_reason\":\"stop\"}}]}}\n\ndata: {{\"choices\":[],{USAGE}}}\n\ndata: [DONE]\n\n"
            )
        } else {
            let body = format!(
                r#"{{"id":"x","choices":[{{"index":0,"message":{{"role":"assistant","content":"pong"}},"finish_reason":"stop"}}],{USAGE}}}"#
            );
            write!(
                socket,
                "{HEAD}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
    });
    let app = openrouter(&["key-1"], &upstream.base_url(), Some(300)).await;
    for stream in [false, true] {
        let reply = app.chat(stream, "a long prompt that would be estimated").await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "pong"), "{}", reply.text());
        assert_eq!(reply.header("x-openrouter-cache-status"), Some("HIT"));
        assert_eq!(reply.header("x-openrouter-cache-age"), Some("12"));
        assert_eq!(reply.header("x-openrouter-cache-ttl"), Some("288"));
        assert_eq!(reply.header("x-secret"), None);
    }
    for row in app.rows().await {
        assert_eq!(
            [&row["prompt"], &row["completion"], &row["cost"], &row["estimated"]],
            [0, 0, 0, 0],
            "{row}"
        );
    }
    app.stop().await;
}
