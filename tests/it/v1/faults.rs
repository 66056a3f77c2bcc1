//! Every fault of an upstream, with a good channel beside the bad one and without, streaming and not: what the client
//! sees, and that the log has a row for it.

use serde_json::Value;

use crate::support::{
    app::{Reply, TestApp},
    upstream::{Fault, Seen, Upstream, answer},
};

const PROMPT: &str = "marker=abc words=8";

/// Says what is wrong with a reply, if anything is.
fn wrong(reply: &Reply, stream: bool, seen: Seen) -> Option<String> {
    let answered = reply.status == 200
        && reply.whole
        && reply.content() == answer::text("abc", 8)
        && (!stream || reply.done())
        && !reply.text().contains("\"error\"");
    let refused = |statuses: &[u16]| {
        let error = &reply.json()["error"];
        statuses.contains(&reply.status)
            && error["message"].as_str().is_some_and(|text| text.contains("request id: "))
            && error["code"].is_string()
            && error["type"].is_string()
            && (!matches!(reply.status, 429 | 503) || reply.header("retry-after").is_some())
    };
    let right = match seen {
        Seen::Answer => answered,
        Seen::AnswerOr(statuses) => answered || refused(statuses),
        Seen::Status(statuses) => refused(statuses),
        Seen::ErrorEvent => {
            let last = reply.chunks().pop().unwrap_or_default();
            reply.status == 200 && last["error"]["code"].is_string() && !reply.text().contains("[DONE]")
        }
    };
    let leaked = ["sk-upstream", "upstream-model-secret"]
        .iter()
        .any(|secret| reply.text().contains(secret) || format!("{:?}", reply.headers).contains(secret));
    (!right || leaked)
        .then(|| format!("{seen:?} expected, leaked={leaked}, got {} {}", reply.status, reply.text()))
}

/// Runs every fault in one constellation on a fresh server each, some at a time.
async fn run(stream: bool, good_channel_beside: bool) {
    let cases: Vec<Fault> = Fault::ALL.iter().copied().filter(|fault| fault.applies_to(stream)).collect();
    let mut failures = Vec::new();
    for group in cases.chunks(12) {
        let runs = group.iter().map(|&fault| async move {
            // Short limits only where a limit is what is tested: this machine may be slow.
            let limit = if fault.waits_for_a_time_limit() { "2000" } else { "30000" };
            // A keep-alive would decide the status before the fault does.
            let keep_alive = ("KEEPALIVE_AFTER_MS", "60000");
            let settings = [
                ("FIRST_BYTE_TIMEOUT_MS", limit),
                ("IDLE_TIMEOUT_MS", limit),
                keep_alive,
                // What a call that may not wait is told; how calls wait is tested elsewhere.
                ("QUEUE_WAIT_SECONDS", "0"),
                ("QUEUE_WAIT_STREAM_SECONDS", "0"),
            ];
            let app = TestApp::start_with(&settings).await;
            app.token().await;
            let bad = Upstream::start();
            bad.fail_all(fault);
            app.channel_with("bad", &bad.base_url(), &["sk-upstream-bad-key-0001"], |channel| {
                channel.priority = 1
            })
            .await;
            let good = Upstream::start();
            if good_channel_beside {
                app.channel("good", &good, &["sk-upstream-good-key-0001"]).await;
            }
            let reply = app.chat(stream, PROMPT).await;
            let mut problem = wrong(&reply, stream, fault.seen(stream, good_channel_beside));
            let rows = app.rows().await;
            let row = rows.first().cloned().unwrap_or(Value::Null);
            if rows.len() != 1 || row["status"] != reply.status || row["attempts"][0]["class"].is_null() {
                problem.get_or_insert(format!("the row is {row}"));
            }
            app.stop().await;
            problem.map(|problem| format!("{fault:?}: {problem}; row {row}"))
        });
        failures.extend(futures_util::future::join_all(runs).await.into_iter().flatten());
    }
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_survives_every_fault_of_one_channel_beside_a_good_one() {
    run(true, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_call_survives_every_fault_of_one_channel_beside_a_good_one() {
    run(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_from_a_faulty_channel_alone_ends_in_a_clear_error() {
    run(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_call_to_a_faulty_channel_alone_ends_in_a_clear_error() {
    run(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_got_too_little_of_a_calls_time_does_not_rest_for_it() {
    let app =
        TestApp::start_with(&[("FIRST_BYTE_TIMEOUT_MS", "20000"), ("FIRST_CONTENT_DEADLINE_SECONDS", "1")])
            .await;
    app.token().await;
    let slow = Upstream::start();
    slow.fail_all(Fault::HangBeforeHeaders);
    app.channel("slow", &slow, &["sk-upstream-slow-key-0001"]).await;

    let reply = app.chat(false, PROMPT).await;

    assert_eq!(reply.status, 504, "{}", reply.text());
    let resting = app.app.site().dispatch.lock().rests().all_active(app.clock.steady()).count();
    assert_eq!(resting, 0, "the call's own deadline ended the attempt long before the channel's limit");
    app.stop().await;
}
