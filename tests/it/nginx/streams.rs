//! Answers and bodies pass piece by piece, and whole.

use std::{
    io::Write as _,
    sync::{Mutex, mpsc},
    time::Duration,
};

use bytes::Bytes;
use onepool::storage::channels::NewChannel;

use super::{Nginx, SOON, Shipped, TRUSTS_NGINX};
use crate::support::{
    app::{Reply, TOKEN, TestApp, chat},
    raw::{Raw, write_chunk, write_json, write_stream_head},
    upstream::{CallEnd, Upstream},
};

const CHAT: &str = "/v1/chat/completions";
const ME: [u8; 4] = [127, 0, 0, 1];

const PIECES: usize = 8;

/// An upstream that sends each piece of its stream only when it is told that the client has the one before.
fn patient_upstream() -> (Raw, mpsc::Sender<()>) {
    let (seen, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Raw::answer(move |_, socket| {
        write_stream_head(socket);
        for piece in 0..PIECES {
            write_chunk(socket, &format!("<piece {piece}>"), None);
            if wait.lock().unwrap().recv_timeout(SOON).is_err() {
                return;
            }
        }
        write_chunk(socket, "", Some("stop"));
        let _ = socket.write_all(b"data: [DONE]\n\n");
    });
    (upstream, seen)
}

/// Asks for a stream through nginx, and reads it piece by piece.
async fn read_patiently(nginx: &Nginx, seen: mpsc::Sender<()>) {
    let shipped = nginx.shipped;
    let request = nginx.client(ME).post(nginx.url(CHAT)).bearer_auth(TOKEN);
    let request = request.header("accept-encoding", "gzip, br").json(&chat("m", true, "hi"));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200, "{shipped:?}");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers().get("content-encoding").is_none(), "a compressed stream is held back");
    let mut text = String::new();
    for piece in 0..PIECES {
        while !text.contains(&format!("<piece {piece}>")) {
            let chunk = tokio::time::timeout(SOON / 2, response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("{shipped:?}: piece {piece} is held back"));
            text.push_str(std::str::from_utf8(&chunk.unwrap().expect("more")).unwrap());
        }
        seen.send(()).unwrap();
    }
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_piece_of_a_stream_arrives_before_the_upstream_sends_the_next() {
    for shipped in Shipped::BOTH {
        let (upstream, seen) = patient_upstream();
        let app = TestApp::start_with(&[TRUSTS_NGINX]).await;
        app.token().await;
        app.channel_with("c", &upstream.base_url(), &["key-1"], |_| {}).await;
        let nginx = Nginx::start(shipped, app.app.address());
        read_patiently(&nginx, seen).await;
        drop(nginx);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_holds_nothing_back_also_if_the_answer_does_not_ask_for_that() {
    for shipped in Shipped::BOTH {
        // OnePool's answers have `X-Accel-Buffering: no`; these have not.
        let (upstream, seen) = patient_upstream();
        let nginx = Nginx::start(shipped, upstream.address());
        read_patiently(&nginx, seen).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_60_mb_passes_and_what_is_too_large_is_refused_as_programs_expect_it() {
    const MB: usize = 1 << 20;
    let upstream = Raw::answer(|request, socket| {
        let answer = serde_json::json!({
            "id": "raw", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": request.body.len().to_string()}}],
        });
        write_json(socket, &answer.to_string());
    });
    let app = TestApp::start_with(&[TRUSTS_NGINX]).await;
    app.token().await;
    // A model of unknown length, for which no call is too long.
    let any_length = |channel: &mut NewChannel| channel.models[0].context_window = None;
    app.channel_with("c", &upstream.base_url(), &["key-1"], any_length).await;
    let large = Bytes::from(chat("m", false, &"x".repeat(60 * MB)).to_string());
    let too_large = Bytes::from(vec![b' '; 65 * MB]);
    for shipped in Shipped::BOTH {
        let nginx = Nginx::start(shipped, app.app.address());
        let http = nginx.client(ME);
        let post = |token: &str, body: reqwest::Body| {
            let request = http.post(nginx.url(CHAT)).bearer_auth(token);
            request.header("content-type", "application/json").body(body).send()
        };
        let reply = Reply::read(post(TOKEN, large.clone().into()).await.unwrap()).await;
        assert_eq!(reply.content(), large.len().to_string(), "{shipped:?} {}", reply.text());

        // Without a length beforehand.
        let parts: Vec<_> =
            large.chunks(MB).map(|part| Ok::<_, std::io::Error>(large.slice_ref(part))).collect();
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(parts));
        let reply = Reply::read(post(TOKEN, body).await.unwrap()).await;
        assert_eq!(reply.content(), large.len().to_string(), "{shipped:?} {}", reply.text());

        let reply = Reply::read(post(TOKEN, too_large.clone().into()).await.unwrap()).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "request_too_large"), "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));

        assert!(!nginx.error_log().contains("buffered to a temporary file"), "{}", nginx.error_log());
    }
    // The server's own words are the same.
    let reply = app.post_raw(CHAT, too_large).await;
    let ours = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    for shipped in Shipped::BOTH {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(shipped.file());
        let words = ours.split(" (").next().unwrap_or_default();
        assert!(words.len() > 20 && std::fs::read_to_string(file).unwrap().contains(words), "{ours}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_before_the_body_was_read_reaches_the_client() {
    let app = TestApp::start_with(&[TRUSTS_NGINX]).await;
    for shipped in Shipped::BOTH {
        let nginx = Nginx::start(shipped, app.app.address());
        let http = nginx.client(ME);
        for megabytes in [1, 8, 30] {
            let body = Bytes::from(vec![b' '; megabytes << 20]);
            let request = http.post(nginx.url(CHAT)).bearer_auth("sk-nobodys").body(body);
            let reply = Reply::read(request.send().await.unwrap()).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (401, "invalid_api_key"),
                "{shipped:?}, {megabytes} MB: {} {}",
                reply.text(),
                nginx.error_log()
            );
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_its_upstream_call() {
    for shipped in Shipped::BOTH {
        let (app, upstream) = (TestApp::start_with(&[TRUSTS_NGINX]).await, Upstream::start());
        app.token().await;
        app.channel("c", &upstream, &["key-1"]).await;
        let nginx = Nginx::start(shipped, app.app.address());
        let request = nginx.client(ME).post(nginx.url(CHAT)).bearer_auth(TOKEN);
        let mut response = request.json(&chat("m", true, "words=2000 delay=20")).send().await.unwrap();
        assert!(response.chunk().await.unwrap().is_some());
        drop(response);
        let calls =
            upstream.wait_for(Duration::from_secs(20), |calls| calls[0].end != CallEnd::Running).await;
        assert_eq!(calls[0].end, CallEnd::ClientLeft, "{shipped:?}");
        drop(nginx);
        app.stop().await;
    }
}
