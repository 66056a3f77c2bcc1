//! Stopping: no new calls, running streams get their time, and an error event if they need more.

use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, chat, eventually, usage_rows},
    upstream::{Fault, Upstream, answer},
};

const CHAT: &str = "/v1/chat/completions";

/// Starts a stream and returns when its first bytes are there.
async fn begin(app: &TestApp, prompt: &str) -> (String, reqwest::Response) {
    let request = app.request(reqwest::Method::POST, CHAT).json(&chat("m", true, prompt));
    let mut response = request.send().await.unwrap();
    let first = response.chunk().await.unwrap().expect("a beginning");
    (String::from_utf8(first.to_vec()).unwrap(), response)
}

/// Stops a server; meanwhile, once it takes no new calls, runs something. The usage rows then.
async fn stop_while(app: TestApp, meanwhile: impl Future<Output = ()>) -> Vec<Value> {
    let (url, http, database) = (app.url(CHAT), app.http.clone(), app.database());
    let refused = async {
        eventually("new calls are refused", async || {
            // A fresh client has no connection to use again.
            let fresh = reqwest::Client::builder().no_proxy().build().unwrap();
            fresh.post(&url).json(&chat("m", false, "hi")).send().await.is_err()
        })
        .await;
        assert!(http.post(&url).json(&chat("m", false, "hi")).send().await.is_err());
        meanwhile.await;
    };
    let (data, ()) = tokio::join!(app.stop(), refused);
    let rows = usage_rows(&database).await;
    drop(data);
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_stream_finishes_untouched_while_the_server_stops() {
    let (app, upstream) = (TestApp::start_with(&[("DRAIN_SECONDS", "60")]).await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let (first, response) = begin(&app, "marker=abc words=30 delay=50").await;
    let rows = stop_while(app, async {
        let mut reply = Reply::read(response).await;
        reply.body = [first.as_bytes(), &reply.body].concat().into();
        assert_eq!(reply.content(), answer::text("abc", 30));
        assert!(reply.done() && reply.whole);
    })
    .await;
    assert_eq!((rows.len(), &rows[0]["result"]), (1, &json!("ok")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_stream_ends_with_an_error_event() {
    let (app, upstream) = (TestApp::start_with(&[("DRAIN_SECONDS", "2")]).await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let (_, response) = begin(&app, "marker=abc words=1000000 delay=20").await;
    let rows = stop_while(app, async {
        let reply = Reply::read(response).await;
        let last = reply.chunks().pop().unwrap();
        assert_eq!(last["error"]["code"], "shutting_down", "{last}");
        assert!(!reply.text().contains("[DONE]") && reply.whole);
    })
    .await;
    assert_eq!((rows.len(), &rows[0]["result"]), (1, &json!("shutting_down")));
    assert!(rows[0]["completion"].as_i64().unwrap() > 0, "what was delivered is booked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_still_waits_for_content_is_told_to_come_back() {
    let (app, upstream) = (TestApp::start_with(&[("DRAIN_SECONDS", "1")]).await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_all(Fault::HangBeforeHeaders);
    let mut waiting = Box::pin(app.request(reqwest::Method::POST, CHAT).json(&chat("m", false, "hi")).send());
    tokio::select! {
        _ = &mut waiting => panic!("it hangs"),
        () = eventually("the upstream gets the call", async || !upstream.inferences().is_empty()) => {}
    }
    let database = app.database();
    let (data, reply) = tokio::join!(app.stop(), waiting);
    let reply = Reply::read(reply.unwrap()).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "shutting_down"), "{}", reply.text());
    assert!(reply.header("retry-after").is_some());
    let rows = usage_rows(&database).await;
    assert_eq!((rows.len(), &rows[0]["cost"]), (1, &json!(0)));
    drop(data);
}
