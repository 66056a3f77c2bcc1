//! Streams: exact, prompt, ended as they should, and cancelled when the client leaves.

use std::time::Duration;

use onepool::model::token::ClientProfile;
use serde_json::json;

use crate::support::{
    app::{Reply, TOKEN, TestApp, chat, eventually},
    raw::{self, Gate, Raw},
    upstream::{CallEnd, Fault, Upstream, answer},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_streams_at_once_arrive_whole_and_unmixed() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1", "key-2"]).await;
    let calls = (0..40).map(|call| {
        let app = &app;
        async move {
            let reply = app.chat(true, &format!("marker=s{call} words=30 delay=2")).await;
            assert_eq!(reply.content(), answer::text(&format!("s{call}"), 30));
            assert!(reply.done() && reply.whole);
        }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(app.rows().await.len(), 40);
    app.stop().await;
}

#[tokio::test]
async fn characters_that_arrive_in_halves_leave_whole() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for fault in [Fault::SplitUtf8, Fault::SlowDrip, Fault::LargeEvent, Fault::MultiLineData, Fault::Gzipped]
    {
        upstream.fail_all(fault);
        let reply = app.chat(true, "marker=é终🙂 words=3").await;
        assert!(reply.content().ends_with(&answer::text("é终🙂", 3)), "{fault:?}: {}", reply.text());
        assert!(reply.done());
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_chunk_arrives_before_the_next_one_is_sent() {
    let app = TestApp::start().await;
    let gates: [Gate; 3] = Default::default();
    let upstream = Raw::answer({
        let gates = gates.clone();
        move |_, socket| {
            raw::write_stream_head(socket);
            for (index, gate) in gates.iter().enumerate() {
                gate.wait();
                raw::write_chunk(socket, &format!("piece{index}"), (index == 2).then_some("stop"));
            }
        }
    });
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |_| {}).await;
    gates[0].open();
    let mut response =
        app.request(reqwest::Method::POST, CHAT).json(&chat("m", true, "hi")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    assert!(response.headers()["cache-control"].to_str().unwrap().contains("no-cache"));
    let mut text = String::new();
    for index in 0..3 {
        // Only what the upstream has sent can be here; the next piece waits for this one's arrival.
        while !text.contains(&format!("piece{index}")) {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        if let Some(gate) = gates.get(index + 1) {
            assert!(!text.contains(&format!("piece{}", index + 1)));
            gate.open();
        }
    }
    let rest = Reply::read(response).await;
    assert!(rest.whole && rest.done(), "{}", rest.text());
    app.stop().await;
}

#[tokio::test]
async fn done_is_sent_exactly_once() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for fault in [None, Some(Fault::NoDone), Some(Fault::DoubleDone), Some(Fault::UsageAfterDone)] {
        upstream.fail_all(fault);
        let reply = app.chat(true, "hi").await;
        assert_eq!(reply.text().matches("[DONE]").count(), 1, "{fault:?}: {}", reply.text());
        assert!(reply.done() && reply.whole);
    }
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_an_error_event_and_no_second_upstream() {
    let app = TestApp::start().await;
    let (bad, good) = (Upstream::start(), Upstream::start());
    app.token().await;
    app.channel_with("bad", &bad.base_url(), &["key-1"], |channel| channel.priority = 1).await;
    app.channel("good", &good, &["key-2"]).await;
    bad.fail_next([Some(Fault::EofAfterContent)]);
    let reply = app.chat(true, "marker=abc words=9").await;
    assert_eq!(reply.status, 200);
    let last = reply.chunks().pop().unwrap();
    assert_eq!(last["error"]["code"], "upstream_interrupted", "{}", reply.text());
    assert!(last["error"]["message"].is_string() && last["error"]["type"].is_string());
    assert!(!reply.text().contains("[DONE]") && reply.content().starts_with("abc.0"));
    assert!(good.calls().is_empty());
    let row = &app.rows().await[0];
    assert_eq!((&row["result"], &row["status"]), (&json!("interrupted"), &json!(200)));
    assert!(row["completion"].as_i64().unwrap() > 0, "what was delivered is booked: {row}");
    app.stop().await;
}

#[tokio::test]
async fn a_stream_that_waits_long_gets_comments_and_still_fails_over() {
    let app = TestApp::start_with(&[("KEEPALIVE_AFTER_MS", "100"), ("KEEPALIVE_EVERY_MS", "100")]).await;
    let (bad, good) = (Upstream::start(), Upstream::start());
    app.token().await;
    app.channel_with("bad", &bad.base_url(), &["key-1"], |channel| {
        channel.priority = 1;
        channel.timeouts.first_byte_ms = Some(700);
    })
    .await;
    app.channel("good", &good, &["key-2"]).await;
    bad.fail_all(Fault::HangBeforeHeaders);
    let reply = app.chat(true, "marker=abc words=9").await;
    assert_eq!(reply.content(), answer::text("abc", 9));
    assert!(reply.text().starts_with(": "), "comments come first: {}", reply.text());
    assert!(reply.done());
    let row = &app.rows().await[0];
    assert_eq!(row["attempts"].as_array().unwrap().len(), 2, "{row}");
    app.stop().await;
}

#[tokio::test]
async fn a_failure_after_a_keep_alive_is_an_error_event() {
    let app = TestApp::start_with(&[("KEEPALIVE_AFTER_MS", "100"), ("KEEPALIVE_EVERY_MS", "100")]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    upstream
        .set_pace(crate::support::upstream::Pace { first: Duration::from_millis(800), ..Default::default() });
    upstream.fail_all(Fault::Unauthorized);
    let reply = app.chat(true, "hi").await;
    assert_eq!(reply.status, 200, "it was sent with the first comment");
    assert!(reply.text().starts_with(": "));
    assert_eq!(reply.chunks().pop().unwrap()["error"]["code"], "upstream_error", "{}", reply.text());
    assert!(!reply.text().contains("[DONE]") && reply.whole);
    let row = &app.rows().await[0];
    assert_eq!((&row["result"], &row["cost"]), (&json!("upstream_error"), &json!(0)));
    app.stop().await;
}

#[tokio::test]
async fn openclaw_gets_a_chunk_as_its_keep_alive() {
    let app = TestApp::start_with(&[("KEEPALIVE_AFTER_MS", "100"), ("KEEPALIVE_EVERY_MS", "100")]).await;
    let upstream = Upstream::start();
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    app.channel("c", &upstream, &["key-1"]).await;
    let reply = app.chat(true, "marker=abc words=2 first=700 delay=400").await;
    assert!(!reply.text().lines().any(|line| line.starts_with(':')), "{}", reply.text());
    let alive =
        reply.chunks().iter().filter(|chunk| chunk["id"] == "" && chunk["choices"] == json!([])).count();
    assert!(alive >= 2, "{}", reply.text());
    assert_eq!(reply.content(), answer::text("abc", 2));
    assert!(reply.done());
    app.stop().await;
}

#[tokio::test]
async fn openclaw_is_told_of_a_broken_answer_in_words_that_lead_it_to_its_next_model() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    app.channel("c", &upstream, &["key-1"]).await;
    for fault in [Fault::EofAfterContent, Fault::CutAfterContent, Fault::ErrorAfterContent] {
        upstream.fail_next([Some(fault)]);
        let reply = app.chat(true, "marker=abc words=9").await;
        let error = reply.chunks().pop().unwrap()["error"].take();
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("rate_limit_error"), &json!("upstream_interrupted"))
        );
        assert!(error["message"].as_str().unwrap().contains("try again in 120 s"), "{fault:?}: {error}");
        assert!(!reply.text().contains("[DONE]"));
        app.clock.advance(Duration::from_secs(120));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_quiet_stream_gets_comments_between_its_pieces() {
    let app = TestApp::start_with(&[("KEEPALIVE_EVERY_MS", "100")]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let reply = app.chat(true, "marker=abc words=1 delay=600").await;
    let first = reply.text().find("abc.0").unwrap();
    assert!(reply.text()[first..].contains("\n: "), "{}", reply.text());
    assert_eq!(reply.content(), answer::text("abc", 1));
    app.stop().await;
}

/// Leaves a call once the upstream has it, or once the first bytes are there; checks that the upstream notices, that nothing
/// is retried and that a row is written, and returns the row.
async fn leave(
    stream: bool,
    prompt: &str,
    settings: &[(&str, &str)],
    fault: Option<Fault>,
    content_first: bool,
) -> serde_json::Value {
    let app = TestApp::start_with(settings).await;
    let (upstream, beside) = (Upstream::start(), Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["sk-upstream-key-1"], |channel| channel.priority = 1).await;
    app.channel("beside", &beside, &["key-2"]).await;
    upstream.fail_all(fault);
    let request = app.http.post(app.url(CHAT)).bearer_auth(TOKEN).json(&chat("m", stream, prompt));
    if content_first || !settings.is_empty() {
        let mut response = request.send().await.unwrap();
        let chunk = response.chunk().await.unwrap().expect("something");
        assert_eq!(String::from_utf8_lossy(&chunk).contains("content"), content_first);
    } else {
        let mut sending = Box::pin(request.send());
        let seen = eventually("the upstream gets the call", async || !upstream.inferences().is_empty());
        tokio::select! {
            answer = &mut sending => panic!("{answer:?}"),
            () = seen => {}
        }
    }
    // The client is gone now. No limit of the gateway ends the call as early as this.
    upstream
        .wait_for(Duration::from_secs(5), |calls| calls.iter().all(|call| call.end == CallEnd::ClientLeft))
        .await;
    eventually("a row", async || app.rows().await.len() == 1).await;
    assert_eq!(upstream.inferences().len() + beside.inferences().len(), 1, "nothing is retried for nobody");
    let row = app.rows().await.remove(0);
    assert_eq!((&row["status"], &row["result"]), (&json!(499), &json!("client_closed")), "{row}");
    assert_eq!(row["attempts"][0]["class"], "client_closed", "{row}");
    let resting = app.app.site().dispatch.lock().rests().all_active(app.clock.steady()).count();
    assert_eq!(resting, 0, "no key is to blame");
    app.stop().await;
    row
}

fn costs_nothing(row: &serde_json::Value) {
    assert_eq!(
        (&row["prompt"], &row["completion"], &row["cost"]),
        (&json!(0), &json!(0), &json!(0)),
        "{row}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_while_the_upstream_is_silent_cancels_it_and_pays_nothing() {
    costs_nothing(&leave(true, "hi", &[], Some(Fault::HangBeforeHeaders), false).await);
    costs_nothing(&leave(false, "hi", &[], Some(Fault::HangBeforeHeaders), false).await);
}

#[tokio::test]
async fn a_client_that_leaves_after_the_headers_or_the_role_cancels_the_upstream_and_pays_nothing() {
    costs_nothing(&leave(true, "hi", &[], Some(Fault::RoleThenHang), false).await);
    costs_nothing(&leave(false, "hi", &[], Some(Fault::HangAfterHeaders), false).await);
}

#[tokio::test]
async fn a_client_that_leaves_after_a_keep_alive_cancels_the_upstream_and_pays_nothing() {
    let settings = [("KEEPALIVE_AFTER_MS", "100")];
    costs_nothing(&leave(true, "hi", &settings, Some(Fault::OnlyPings), false).await);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_pays_an_estimate_of_what_it_got() {
    let row = leave(true, "marker=abc words=100000 delay=100", &[], None, true).await;
    assert_eq!(row["estimated"], 1, "{row}");
    assert!(row["prompt"].as_i64().unwrap() > 0 && row["completion"].as_i64().unwrap() > 0, "{row}");
    assert!(row["cost"].as_i64().unwrap() > 0, "{row}");
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_stream_cancels_it() {
    let row = leave(true, "marker=abc words=9", &[], Some(Fault::StallAfterContent), true).await;
    assert!(row["completion"].as_i64().unwrap() > 0, "{row}");
}
