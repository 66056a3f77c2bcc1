//! Bytes: what passes untouched, what is patched, and what never passes, in both directions.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use onepool::{model::secret::Secret, storage::channels::NewChannel};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, chat, model, redirect},
    raw::{self, Raw},
    upstream::{Fault, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_request_passes_byte_for_byte_but_for_the_model() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.redirects = vec![redirect("smart", "vendor/\"odd\" name")];
    })
    .await;
    let body = "{ \"zeta\":1.0,\r\n\t\"model\"  : \"sm\\u0061rt\" , \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9é\",\
                \"x\":1e400}],\"big\":123456789012345678901234567890, \"neg\":-0.0,\"alpha\":{\"b\":1,\"a\":0.10},\
                \"provider\":{\"order\":[\"x\"]},\"stream\":false,\"exp\":1E5}\n";
    let reply = app.post_raw(CHAT, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let expected = body.replace("\"sm\\u0061rt\"", r#""vendor/\"odd\" name""#);
    assert_eq!(String::from_utf8_lossy(&upstream.calls()[0].request.body), expected);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_passes_byte_for_byte_but_for_the_model() {
    const BODY: &str = "{\"id\":\"x\", \"vendor_field\":1.0,\"created\":1.7e9,\n \"model\" : \"secret-name\",\"choices\":[{\"index\":0,\
                        \"message\":{\"role\":\"assistant\",\"content\":\"h\\u00e9é\",\"z\":1e400},\"finish_reason\":\"stop\"}],\
                        \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"cost\":0.0000010},\
                        \"big\":123456789012345678901234567890}";
    let app = TestApp::start().await;
    let upstream = Raw::answer(|_, socket| raw::write_json(socket, BODY));
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |_| {}).await;
    let reply = app.chat(false, "hi").await;
    assert_eq!(reply.text(), BODY.replace("\"secret-name\"", "\"m\""));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    app.stop().await;
}

#[tokio::test]
async fn the_chunks_of_a_stream_pass_byte_for_byte_but_for_the_model() {
    const CHUNK: &str = "{\"id\":\"x\", \"vendor\":1.0,\"model\" : \"secret-name\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"é\",\
                         \"reasoning_details\":[1e400]},\"finish_reason\":\"stop\"}],\"big\":123456789012345678901234567890}";
    let app = TestApp::start().await;
    let upstream = Raw::answer(|_, socket| {
        raw::write_stream_head(socket);
        let _ = write!(socket, "data: {CHUNK}\n\ndata: [DONE]\n\n");
    });
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |_| {}).await;
    let reply = app.chat(true, "hi").await;
    let chunk = CHUNK.replace("\"secret-name\"", "\"m\"");
    assert_eq!(reply.text(), format!("data: {chunk}\n\ndata: [DONE]\n\n"));
    app.stop().await;
}

#[tokio::test]
async fn usage_is_asked_for_in_streams_and_its_chunk_removed_unless_the_client_asked_too() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let without = app.chat(true, "marker=abc words=3").await;
    assert!(
        without.done() && without.chunks().iter().all(|chunk| chunk["usage"].is_null()),
        "{}",
        without.text()
    );
    assert!(without.chunks().iter().all(|chunk| chunk["choices"] != json!([])), "{}", without.text());
    let mut body = chat("m", true, "marker=abc words=3");
    body["stream_options"] = json!({"include_usage": true, "other": 1});
    let with = app.post(CHAT, &body).await;
    assert!(with.chunks().iter().any(|chunk| chunk["usage"]["completion_tokens"] == 4), "{}", with.text());
    body["stream_options"] = json!({"include_usage": false});
    let declined = app.post(CHAT, &body).await;
    assert!(declined.chunks().iter().all(|chunk| chunk["usage"].is_null()));
    for call in upstream.inferences() {
        assert_eq!(call.body["stream_options"]["include_usage"], true);
    }
    for row in app.rows().await {
        assert_eq!((&row["completion"], &row["estimated"]), (&json!(4), &json!(0)), "{row}");
    }
    let plain = app.chat(false, "hi").await;
    assert_eq!(plain.status, 200);
    assert!(upstream.inferences().last().unwrap().body["stream_options"].is_null(), "only streams are asked");
    app.stop().await;
}

#[tokio::test]
async fn an_upstream_that_refuses_stream_options_is_asked_without_from_then_on() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1", "key-2"], |channel| {
        channel.models.push(model("n"))
    })
    .await;
    upstream.fail_all(Fault::StreamOptionsRejected);
    for (call, sent) in [(1, 2), (2, 3), (3, 4)] {
        let reply = app.chat(true, "marker=abc words=3").await;
        assert!(reply.status == 200 && reply.done(), "call {call}: {}", reply.text());
        assert_eq!(upstream.inferences().len(), sent, "call {call}");
    }
    assert_eq!(app.post(CHAT, &chat("n", true, "hi")).await.status, 200);
    assert_eq!(upstream.inferences().len(), 6, "each model is known for itself");
    app.stop().await;
}

#[tokio::test]
async fn nothing_of_the_client_reaches_the_upstream_but_its_body() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let reply = app
        .chat_with(|mut request| {
            request = request.bearer_auth(crate::support::app::TOKEN);
            for name in [
                "cookie",
                "x-api-key",
                "x-forwarded-for",
                "x-forwarded-host",
                "x-forwarded-proto",
                "x-real-ip",
                "forwarded",
                "via",
                "referer",
                "origin",
                "x-custom",
                "openai-organization",
                "openai-project",
                "x-stainless-lang",
                "proxy-authorization",
                "http-referer",
                "x-title",
                "traceparent",
                "anthropic-beta",
                "api-key",
                "x-goog-api-key",
                "te",
                "accept-language",
            ] {
                request = request.header(name, "client-secret");
            }
            request.header("user-agent", "OpenAI/Python 1.0")
        })
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = &upstream.calls()[0];
    let mut names: Vec<&str> = call.request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "host",
            "user-agent"
        ]
    );
    assert_eq!(call.request.header("authorization"), Some("Bearer key-1"));
    assert_eq!(call.request.header("host"), Some(upstream.address().to_string().as_str()));
    let text = format!("{:?}", call.request.headers);
    assert!(
        !text.contains("client-secret") && !text.contains("Python") && !text.contains("sk-test"),
        "{text}"
    );
    app.stop().await;
}

#[tokio::test]
async fn nothing_of_the_upstreams_headers_reaches_the_client() {
    let app = TestApp::start_with(&[("DIAGNOSTIC_HEADERS", "false")]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_all(Fault::PrivateHeaders);
    for stream in [false, true] {
        let reply = app.chat(stream, "hi").await;
        assert_eq!(reply.status, 200);
        let allowed = [
            "content-type",
            "content-length",
            "transfer-encoding",
            "date",
            "x-request-id",
            "cache-control",
            "x-accel-buffering",
            "vary",
            "access-control-allow-origin",
            "access-control-expose-headers",
        ];
        let strange: Vec<_> =
            reply.headers.keys().map(|name| name.as_str()).filter(|name| !allowed.contains(name)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(!format!("{:?}", reply.headers).contains("upstream-secret"));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_channels_own_headers_reach_its_upstream() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.headers = vec![
            ("HTTP-Referer".into(), Secret::new("https://pool.example")),
            ("X-Title".into(), Secret::new("Pool")),
            ("User-Agent".into(), Secret::new("own-agent/1")),
        ];
    })
    .await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    let request = &upstream.calls()[0].request;
    assert_eq!(request.header("http-referer"), Some("https://pool.example"));
    assert_eq!(request.header("x-title"), Some("Pool"));
    assert_eq!(request.header("user-agent"), Some("own-agent/1"));
    app.stop().await;
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn compressed(app: &TestApp, coding: &str, body: Vec<u8>) -> Reply {
    let request = app.request(reqwest::Method::POST, CHAT).header("content-encoding", coding);
    Reply::read(request.header("content-type", "application/json").body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_gzip_body_is_read_and_a_bomb_is_refused() {
    let app = TestApp::start_with(&[("MAX_BODY_MB", "1")]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let body = chat("m", false, "marker=abc words=3").to_string();
    let reply = compressed(&app, "gzip", gzip(body.as_bytes())).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "abc.0 abc.1 abc.2 终🙂"));
    assert_eq!(upstream.calls()[0].request.body, body.as_bytes(), "the upstream gets it as it was");

    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20, "it is small on the wire");
    let reply = compressed(&app, "gzip", bomb).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
    for (coding, body) in [
        ("gzip", body.clone().into_bytes()),
        ("br", b"x".to_vec()),
        ("gzip", gzip(body.as_bytes())[..20].to_vec()),
    ] {
        let reply = compressed(&app, coding, body).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_request_error"), "{coding}");
    }
    assert_eq!(upstream.calls().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_413_that_the_client_can_read() {
    let app = TestApp::start_with(&[("MAX_BODY_MB", "1")]).await;
    let upstream = Upstream::start();
    app.token().await;
    let any_length = |channel: &mut NewChannel| channel.models[0].context_window = None;
    app.channel_with("c", &upstream.base_url(), &["key-1"], any_length).await;
    let fits = app.chat(false, &"x".repeat(1_000_000)).await;
    assert_eq!(fits.status, 200);
    for bytes in [1_100_000, 8_000_000] {
        let reply = app.chat(false, &"x".repeat(bytes)).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"));
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("1 MB"));
    }
    assert_eq!(upstream.calls().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_request_is_a_400_that_names_the_field_and_reaches_no_upstream() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let deep = format!("{{\"model\":\"m\",\"messages\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let cases: [(&[u8], Option<&str>); 18] = [
        (b"", None),
        (b"not json", None),
        (b"{\"model\":\"m\",", None),
        (b"[]", None),
        (b"null", None),
        (b"{\"model\":\"m\",\"messages\":[]\xff}", None),
        (deep.as_bytes(), None),
        (b"{}", Some("messages")),
        (b"{\"model\":\"m\"}", Some("messages")),
        (b"{\"messages\":[]}", Some("model")),
        (b"{\"model\":7,\"messages\":[]}", Some("model")),
        (b"{\"model\":\"\",\"messages\":[]}", Some("model")),
        (b"{\"model\":\"m\",\"messages\":\"hi\"}", Some("messages")),
        (b"{\"model\":\"m\",\"messages\":[],\"stream\":\"yes\"}", Some("stream")),
        (b"{\"model\":\"m\",\"messages\":[],\"stream_options\":1}", Some("stream_options")),
        (b"{\"model\":\"m\",\"messages\":[],\"max_tokens\":\"many\"}", Some("max_tokens")),
        (b"{\"model\":\"m\",\"model\":\"n\",\"messages\":[]}", Some("model")),
        (b"{\"model\":\"m\",\"messages\":[],\"n\":0}", Some("n")),
    ];
    for (body, param) in cases {
        let reply = app.post_raw(CHAT, body.to_vec()).await;
        let error = reply.json()["error"].take();
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert_eq!(reply.status, 400, "{shown}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{shown}");
        assert_eq!(error["param"], param.map_or(Value::Null, Value::from), "{shown}: {error}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains("request id: ")), "{shown}");
    }
    assert!(upstream.calls().is_empty());
    assert_eq!(app.rows().await.len(), cases.len(), "each has its row");
    app.stop().await;
}

#[tokio::test]
async fn text_completions_and_embeddings_are_relayed_too() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.redirects = vec![redirect("smart", "vendor-name")];
    })
    .await;
    let text = app.post("/v1/completions", &json!({"model": "smart", "prompt": "marker=abc words=2"})).await;
    assert_eq!(text.json()["choices"][0]["text"], "abc.0 abc.1 终🙂", "{}", text.text());
    assert_eq!(text.json()["model"], "smart");
    let body = json!({"model": "smart", "prompt": "marker=abc words=2", "stream": true});
    let stream = app.post("/v1/completions", &body).await;
    let words: String =
        stream.chunks().iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert!(words == "abc.0 abc.1 终🙂" && stream.done(), "{}", stream.text());
    let vectors = app.post("/v1/embeddings", &json!({"model": "smart", "input": ["a", "bc"]})).await;
    assert_eq!(vectors.json()["data"][1]["embedding"][0], 2.0, "{}", vectors.text());
    assert_eq!(vectors.json()["model"], "smart");
    let encoded = app
        .post("/v1/embeddings", &json!({"model": "smart", "input": "a", "encoding_format": "base64"}))
        .await;
    assert!(encoded.json()["data"][0]["embedding"].is_string(), "{}", encoded.text());
    let endpoints: Vec<_> = app.rows().await.iter().map(|row| row["endpoint"].clone()).collect();
    assert_eq!(endpoints, ["embeddings", "embeddings", "completions", "completions"]);
    app.stop().await;
}
