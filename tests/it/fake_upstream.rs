//! The fake upstream itself: a test that trusts it must be able to.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::support::upstream::{
    CallEnd, Fault, KeyRules, KeyState, Pace, RetryAfter, Upstream, Windows, answer, vendor::Vendor,
};

/// Sends one request and returns what comes until the connection ends, `at_most` passes or 256 KiB are there.
async fn exchange(upstream: &Upstream, key: &str, path: &str, body: &Value, at_most: Duration) -> Vec<u8> {
    let mut socket = TcpStream::connect(upstream.address()).await.expect("the fake listens");
    let body = body.to_string();
    let head = format!(
        "POST /v1/{path} HTTP/1.1\r\nhost: fake\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut seen = Vec::new();
    // A fault may reset the connection while this writes.
    _ = socket.write_all((head + &body).as_bytes()).await;
    _ = timeout(at_most, async {
        while seen.len() < 256 << 10 {
            match socket.read_buf(&mut seen).await {
                Ok(0) | Err(_) => return,
                Ok(_) if seen.ends_with(b"0\r\n\r\n") => return,
                Ok(_) if whole(&seen) => return,
                Ok(_) => {}
            }
        }
    })
    .await;
    seen
}

/// Whether an answer with a `content-length` is all there.
fn whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| body.len() >= length)
}

async fn status(upstream: &Upstream, key: &str, body: &Value) -> u16 {
    let seen = exchange(upstream, key, "chat/completions", body, Duration::from_secs(5)).await;
    String::from_utf8_lossy(&seen).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn chat(prompt: &str, stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": prompt}]})
}

fn body_of(seen: &[u8]) -> Value {
    let text = String::from_utf8_lossy(seen);
    serde_json::from_str(text.split_once("\r\n\r\n").expect("a head").1).expect("a JSON body")
}

#[test]
fn every_fault_is_found_by_its_name() {
    let names: BTreeSet<String> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    assert_eq!(names.len(), Fault::ALL.len());
    for &fault in Fault::ALL {
        assert_eq!(Fault::find(&fault.name()), Some(fault));
        assert!(fault.applies_to(true) || fault.applies_to(false));
    }
}

#[tokio::test]
async fn a_plain_answer_follows_from_the_prompt() {
    let upstream = Upstream::start();
    let body = chat("please marker=abc words=3 cached=1", false);
    let seen = exchange(&upstream, "k", "chat/completions", &body, Duration::from_secs(5)).await;
    let answer = body_of(&seen);
    assert_eq!(answer["choices"][0]["message"]["content"], answer::text("abc", 3));
    assert_eq!(answer::text("abc", 3), "abc.0 abc.1 abc.2 终🙂");
    assert_eq!(answer["usage"]["prompt_tokens"], 4);
    assert_eq!(answer["usage"]["completion_tokens"], 4);
    assert_eq!(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
}

#[tokio::test]
async fn a_stream_tells_the_same_text_in_pieces_and_its_usage_only_when_asked() {
    let upstream = Upstream::start();
    for asked in [false, true] {
        let mut body = chat("marker=abc words=3", true);
        if asked {
            body["stream_options"] = json!({"include_usage": true});
        }
        let seen = exchange(&upstream, "k", "chat/completions", &body, Duration::from_secs(5)).await;
        let seen = String::from_utf8(seen).expect("UTF-8");
        let events: Vec<&str> = seen.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(events.last(), Some(&"[DONE]"));
        let chunks: Vec<Value> = events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
        let text: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(text, answer::text("abc", 3));
        assert_eq!(chunks.iter().any(|chunk| !chunk["usage"].is_null()), asked);
    }
}

#[tokio::test]
async fn embeddings_and_text_completions_follow_from_the_input() {
    let upstream = Upstream::start();
    let at_most = Duration::from_secs(5);
    let body = json!({"model": "m", "input": ["one", "two"]});
    let answer = body_of(&exchange(&upstream, "k", "embeddings", &body, at_most).await);
    assert_eq!(answer["data"][1]["embedding"], json!(answer::embedding("two")));
    let body = json!({"model": "m", "prompt": "marker=x words=2"});
    let answer = body_of(&exchange(&upstream, "k", "completions", &body, at_most).await);
    assert_eq!(answer["choices"][0]["text"], answer::text("x", 2));
}

#[tokio::test]
async fn keys_are_refused_limited_and_admitted_again() {
    let upstream = Upstream::start();
    upstream.set_key("revoked", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    upstream.set_key("poor", KeyRules { state: KeyState::OutOfCredit, ..KeyRules::default() });
    upstream.set_key("banned", KeyRules { state: KeyState::Banned, ..KeyRules::default() });
    upstream.set_key(
        "limited",
        KeyRules {
            requests: Some((2, Duration::from_millis(400))),
            retry_after: RetryAfter::Seconds,
            ..KeyRules::default()
        },
    );
    let body = chat("hi", false);
    assert_eq!(status(&upstream, "unknown", &body).await, 401);
    assert_eq!(status(&upstream, "revoked", &body).await, 401);
    assert_eq!(status(&upstream, "poor", &body).await, 402);
    assert_eq!(status(&upstream, "banned", &body).await, 403);
    assert_eq!(status(&upstream, "limited", &body).await, 200);
    assert_eq!(status(&upstream, "limited", &body).await, 200);
    assert_eq!(status(&upstream, "limited", &body).await, 429);
    // The fake's window is real time, as a vendor's is; waiting for it is what is tested.
    tokio::time::sleep(Duration::from_millis(420)).await;
    assert_eq!(status(&upstream, "limited", &body).await, 200);
    upstream.set_models(&["other"]);
    assert_eq!(status(&upstream, "limited", &body).await, 404);
}

#[test]
fn fixed_windows_begin_anew_at_their_edge_and_rolling_ones_do_not() {
    let (begin, second) = (Instant::now(), Duration::from_secs(1));
    for (windows, admitted) in [(Windows::Fixed(begin + 90 * second), 4), (Windows::Rolling, 2)] {
        let mut vendor = Vendor::default();
        vendor.set_key("k", KeyRules { requests: Some((2, 60 * second)), windows, ..KeyRules::default() });
        // The windows are those from -30 to 30 and from 30 to 90 seconds.
        let times = [27, 28, 29, 30, 31, 32];
        let admits = |at: &&u32| vendor.begin(Some("k"), "m", begin + **at * second).is_ok();
        assert_eq!(times.iter().filter(admits).count(), admitted, "{windows:?}");
    }
}

#[tokio::test]
async fn a_key_serves_only_so_many_calls_at_once() {
    let upstream = Upstream::start();
    upstream.set_key("k", KeyRules { concurrency: Some(1), ..KeyRules::default() });
    let mut calls = JoinSet::new();
    let upstream = std::sync::Arc::new(upstream);
    for _ in 0..3 {
        let upstream = upstream.clone();
        calls.spawn(async move { status(&upstream, "k", &chat("first=300", false)).await });
    }
    let mut statuses = calls.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429, 429]);
    assert_eq!(status(&upstream, "k", &chat("hi", false)).await, 200);
}

#[tokio::test]
async fn a_client_that_leaves_is_recorded_with_what_it_got() {
    let upstream = Upstream::start();
    let body = chat("words=100 delay=20", true);
    exchange(&upstream, "k", "chat/completions", &body, Duration::from_millis(150)).await;
    let calls = upstream
        .wait_for(Duration::from_secs(2), |calls| calls.iter().any(|call| call.end != CallEnd::Running))
        .await;
    assert_eq!(calls[0].end, CallEnd::ClientLeft);
    assert!((1..100).contains(&calls[0].pieces), "{}", calls[0].pieces);
}

#[tokio::test]
async fn faults_hold_for_a_key_a_model_or_the_next_calls() {
    let upstream = Upstream::start();
    upstream.set_pace(Pace { words: 1, ..Pace::default() });
    upstream.fail_key("bad", Fault::Status500);
    upstream.fail_model("gone", Fault::ModelNotFound);
    upstream.fail_next([Some(Fault::Status529), None]);
    let body = chat("hi", false);
    assert_eq!(status(&upstream, "good", &body).await, 529);
    assert_eq!(status(&upstream, "bad", &body).await, 200);
    assert_eq!(status(&upstream, "bad", &body).await, 500);
    let mut gone = body.clone();
    gone["model"] = "gone".into();
    assert_eq!(status(&upstream, "good", &gone).await, 404);
    gone["model"] = "fault:status503".into();
    assert_eq!(status(&upstream, "good", &gone).await, 503);
    upstream.heal();
    assert_eq!(status(&upstream, "bad", &body).await, 200);
}

#[tokio::test]
async fn every_fault_ends_or_hangs_and_leaves_the_fake_alive() {
    let upstream = std::sync::Arc::new(Upstream::start());
    let mut exchanges = JoinSet::new();
    for &fault in Fault::ALL {
        for stream in [false, true].into_iter().filter(|&stream| fault.applies_to(stream)) {
            let upstream = upstream.clone();
            exchanges.spawn(async move {
                let mut body = chat("marker=abc words=4", stream);
                body["model"] = format!("fault:{}", fault.name()).into();
                body["stream_options"] = if stream { json!({"include_usage": true}) } else { Value::Null };
                let at_most = Duration::from_secs(if fault.waits_for_a_time_limit() { 1 } else { 20 });
                (fault, stream, exchange(&upstream, "key-secret", "chat/completions", &body, at_most).await)
            });
        }
    }
    for (fault, stream, seen) in exchanges.join_all().await {
        let text = String::from_utf8_lossy(&seen);
        let told_content = text.contains("abc.0");
        match fault {
            Fault::ResetOnAccept | Fault::ResetBeforeHeaders | Fault::CloseBeforeHeaders => {
                assert!(seen.is_empty())
            }
            Fault::SplitUtf8
            | Fault::SlowDrip
            | Fault::Gzipped
            | Fault::LargeEvent
            | Fault::StreamOptionsRejected => {
                assert!(text.starts_with("HTTP/1.1 "), "{fault:?}");
            }
            Fault::HangBeforeHeaders => assert!(seen.is_empty()),
            Fault::Continue100 => assert!(text.starts_with("HTTP/1.1 100 "), "{text}"),
            fault => {
                let class = fault.class();
                use crate::support::upstream::fault::Class;
                assert!(!seen.is_empty(), "{fault:?}, stream {stream}: nothing came");
                match class {
                    Class::Harmless | Class::Tolerable => assert!(told_content, "{fault:?}: {text}"),
                    Class::AfterContent if stream => {
                        assert!(told_content && !text.contains("abc.3"), "{fault:?}: {text}");
                    }
                    Class::AfterContent => {}
                    _ => assert!(!text.contains("abc.3 "), "{fault:?}, stream {stream}: {text}"),
                }
            }
        }
    }
    assert_eq!(status(&upstream, "k", &chat("hi", false)).await, 200);
}
