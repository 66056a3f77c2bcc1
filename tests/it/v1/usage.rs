//! The usage log: what a row says of a call, and that sums are the sums of rows.

use onepool::model::channel::Price;
use serde_json::{Value, json};

use crate::support::{
    app::{TOKEN, TestApp, chat, model, number, redirect, sums},
    upstream::{Fault, Upstream},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_row_says_who_asked_what_which_way_it_took_and_what_it_cost() {
    let (app, bad, good) = (TestApp::start().await, Upstream::start(), Upstream::start());
    let token = app.token().await;
    let first = app
        .channel_with("bad", &bad.base_url(), &["sk-upstream-bad-1"], |channel| {
            channel.priority = 1;
            channel.redirects = vec![redirect("Smart", "bad-name")];
        })
        .await;
    let second = app
        .channel_with("good", &good.base_url(), &["sk-upstream-good-1"], |channel| {
            let mut model = model("good-name");
            model.price =
                Some(Price { input: 3_000_000, cached: Some(500_000), output: 10_000_000, reasoning: None });
            channel.models = vec![model];
            channel.redirects = vec![redirect("smart", "good-name")];
        })
        .await;
    bad.fail_all(Fault::RateLimitedSeconds);
    let prompt = "marker=abc words=4 cached=2 reasoning=3 six seven";
    for stream in [false, true] {
        let request = app
            .request(reqwest::Method::POST, CHAT)
            .header("traceparent", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01")
            .header("user-agent", "OpenAI/JS 6.1.0")
            .json(&chat("SMART", stream, prompt));
        let reply = crate::support::app::Reply::read(request.send().await.unwrap()).await;
        assert_eq!(reply.status, 200);
        let row = app.rows().await.remove(0);
        let expect = [
            ("request_id", json!(reply.header("x-request-id").unwrap())),
            ("token", json!(token.0)),
            ("channel", json!(second.0)),
            ("key", json!(app.keys_of(second)[0].0)),
            ("asked", json!("SMART")),
            ("served", json!("good-name")),
            ("endpoint", json!("chat")),
            ("stream", json!(u8::from(stream))),
            ("status", json!(200)),
            ("result", json!("ok")),
            ("code", Value::Null),
            ("prompt", json!(6)),
            ("completion", json!(8)),
            ("cached", json!(2)),
            ("reasoning", json!(3)),
            ("estimated", json!(0)),
            // Four fresh tokens of the prompt at 3, two cached ones at 0.5, eight of the answer at 10.
            ("cost", json!(12 + 1 + 80)),
            ("address", json!("127.0.0.1")),
            ("kind", json!("openai-node")),
            ("trace", json!("4bf92f3577b34da6a3ce929d0e0e4736")),
        ];
        for (field, value) in expect {
            assert_eq!(row[field], value, "{field} of {row}");
        }
        assert!(row["first_token_ms"].is_number());
        let attempts = row["attempts"].as_array().unwrap();
        let last = attempts.last().unwrap();
        assert_eq!((&last["channel"], &last["class"]), (&json!(second.0), &json!("success")));
        if !stream {
            // By the second call the first channel rests.
            assert_eq!(attempts.len(), 2);
            assert_eq!(attempts[0]["channel"], first.0);
            assert_eq!(attempts[0]["key"], app.keys_of(first)[0].0);
            assert_eq!(
                (&attempts[0]["class"], &attempts[0]["status"]),
                (&json!("rate_limited"), &json!(429))
            );
            assert_eq!(attempts[0]["model"], "bad-name");
            assert!(attempts[0]["detail"].as_str().unwrap().contains("Rate limit reached"));
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn counts_that_the_upstream_does_not_give_are_estimated_and_marked() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for (fault, stream, estimated) in [
        (Fault::UsageMissing, false, 1),
        (Fault::UsageMissing, true, 1),
        (Fault::UsageNull, true, 1),
        (Fault::UsageNegative, false, 1),
        (Fault::UsageCumulative, true, 0),
        (Fault::UsageInLastChoice, true, 0),
        (Fault::UsageInsideChoice, true, 0),
        (Fault::UsageXGroq, true, 0),
        (Fault::UsageAfterDone, true, 0),
        (Fault::JsonToStream, true, 0),
    ] {
        upstream.fail_all(fault);
        assert_eq!(app.chat(stream, "marker=abc words=20").await.status, 200);
        let row = app.rows().await.remove(0);
        let usage_after_done_was_lost = fault == Fault::UsageAfterDone && row["estimated"] == 1;
        assert!(row["estimated"] == estimated || usage_after_done_was_lost, "{fault:?} {row}");
        let completion = row["completion"].as_i64().unwrap();
        if row["estimated"] == 0 {
            assert_eq!((&row["prompt"], completion), (&json!(2), 21), "{fault:?}");
        } else {
            assert!(
                (10..=200).contains(&completion) && row["prompt"].as_i64().unwrap() > 0,
                "{fault:?} {row}"
            );
        }
        assert!(row["cost"].as_i64().unwrap() > 0);
    }
    app.stop().await;
}

#[tokio::test]
async fn official_clients_are_known_by_their_user_agents() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for (agent, kind) in [
        ("OpenAI/Python 2.8.1", "openai-python"),
        ("AsyncOpenAI/Python 2.8.1", "openai-python"),
        ("OpenAI/JS 6.9.0", "openai-node"),
        ("curl/8.5.0", "curl"),
        ("made-up-by-a-client-4711", "other"),
    ] {
        let reply = app.chat_with(|request| request.bearer_auth(TOKEN).header("user-agent", agent)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(app.rows().await[0]["kind"], kind, "{agent}");
    }
    let openclaw = app.chat_with(|request| {
        request.bearer_auth(TOKEN).header("user-agent", "OpenAI/JS 6.9.0").header("x-client", "openclaw")
    });
    assert_eq!(openclaw.await.status, 200);
    assert_eq!(app.rows().await[0]["kind"], "openclaw");
    for bad in ["", "00-xyz-1-01", "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", "nonsense"] {
        app.chat_with(|request| request.bearer_auth(TOKEN).header("traceparent", bad)).await;
        assert_eq!(app.rows().await[0]["trace"], Value::Null, "{bad}");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_call_of_a_token_has_one_row_and_the_id_that_the_client_saw() {
    let (app, upstream) = (TestApp::start_with(&[("MAX_BODY_MB", "1")]).await, Upstream::start());
    app.token_with(|token| token.models = vec!["m".into(), "missing".into()]).await;
    app.channel("c", &upstream, &["key-1"]).await;
    let mut ids = Vec::new();
    for (body, status, result) in [
        (chat("m", false, "hi"), 200, "ok"),
        (chat("missing", false, "hi"), 404, "client_error"),
        (chat("other", true, "hi"), 403, "client_error"),
        (json!({"model": "m"}), 400, "client_error"),
    ] {
        let reply = app.post(CHAT, &body).await;
        assert_eq!(reply.status, status);
        let id = reply.header("x-request-id").unwrap().to_owned();
        if status != 200 {
            assert!(reply.json()["error"]["message"].as_str().unwrap().contains(&id));
        }
        let row = app.rows().await.remove(0);
        assert_eq!(
            (&row["request_id"], &row["status"], &row["result"]),
            (&json!(id), &json!(status), &json!(result))
        );
        ids.push(id);
    }
    let too_large = app.chat(false, &"x".repeat(1_100_000)).await;
    let row = app.rows().await.remove(0);
    assert_eq!(
        (too_large.status, &row["status"], &row["code"]),
        (413, &json!(413), &json!("request_too_large"))
    );
    assert_eq!(row["request_id"], too_large.header("x-request-id").unwrap());
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), app.rows().await.len()), (4, 5));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sums_are_those_of_the_rows() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1", "key-2"], |channel| {
        channel.models.push(model("n"))
    })
    .await;
    for round in 0..4 {
        upstream.fail_next([
            Some(Fault::RateLimitedMs),
            None,
            Some(Fault::UsageMissing),
            Some(Fault::BadRequest),
        ]);
        let calls = (0..10).map(|call| {
            let body = chat(
                ["m", "n", "missing"][call % 3],
                call % 2 == 0,
                &format!("marker=r{round} words={call} cached=1"),
            );
            let app = &app;
            async move { app.post(CHAT, &body).await.status }
        });
        futures_util::future::join_all(calls).await;
    }
    assert_eq!(app.rows().await.len(), 40);
    let db = &app.app.site().db;
    // As rows, and then in sheets.
    for _ in 0..2 {
        let (sums, attempts) = sums(db).await;
        for (sum, rows) in [
            (sums.requests, "SELECT COUNT(*) FROM usage"),
            (sums.tokens.prompt as i64, "SELECT SUM(prompt_tokens) FROM usage"),
            (sums.tokens.completion as i64, "SELECT SUM(completion_tokens) FROM usage"),
            (sums.tokens.cached as i64, "SELECT SUM(cached_tokens) FROM usage"),
            (sums.cost_micros, "SELECT SUM(cost_micros) FROM usage"),
            (sums.estimated, "SELECT SUM(estimated) FROM usage"),
            (sums.retried, "SELECT COUNT(*) FROM usage WHERE attempt_count > 1"),
            (sums.ok, "SELECT COUNT(*) FROM usage WHERE result = 'ok'"),
            (attempts, "SELECT COUNT(*) FROM attempts"),
            (attempts, "SELECT SUM(attempt_count) FROM usage"),
        ] {
            assert_eq!(sum, number(&app.database(), rows).await, "{rows}");
        }
        db.fold_usage(1000).await.expect("sheets");
    }
    app.stop().await;
}

#[tokio::test]
async fn no_text_of_a_prompt_or_an_answer_and_no_secret_is_on_the_disk() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    // A refused key rests, so there are some more.
    let keys: Vec<String> = (0..6).map(|key| format!("sk-upstream-key-to-hide-{key}")).collect();
    app.channel("c", &upstream, &keys.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let prompt = "marker=answerword words=5 promptword";
    for stream in [true, false] {
        assert_eq!(app.chat(stream, prompt).await.status, 200);
        for fault in [Fault::UnauthorizedEcho, Fault::BadRequest, Fault::EofAfterContent] {
            upstream.fail_next([Some(fault)]);
            app.chat(stream, prompt).await;
        }
    }
    let data = app.stop().await;
    let mut folders = vec![data.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            for secret in ["promptword", "answerword", "sk-upstream-key-to-hide", TOKEN, "correct horse"] {
                let found = memchr::memmem::find(&bytes, secret.as_bytes());
                assert!(found.is_none(), "{secret} in {}", entry.path().display());
            }
        }
    }
}

#[tokio::test]
async fn a_refused_token_of_ours_is_in_the_log_and_a_strangers_is_not() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    let token = app.token_with(|token| token.cidrs = vec!["203.0.113.0/24".parse().unwrap()]).await;
    assert_eq!(app.chat(false, "hi").await.status, 403);
    app.app.site().db.set_token_enabled(token, false).await.unwrap();
    app.reload().await;
    assert_eq!(app.chat(false, "hi").await.status, 401);
    app.app.site().db.delete_token(token).await.unwrap();
    app.reload().await;
    assert_eq!(app.chat(false, "hi").await.status, 401);
    let rows = app.rows().await;
    let seen: Vec<_> = rows.iter().map(|row| (row["status"].clone(), row["code"].clone())).collect();
    assert_eq!(seen, [(401.into(), "invalid_api_key".into()), (403.into(), "ip_not_allowed".into())]);
    assert!(rows.iter().all(|row| row["cost"] == 0 && row["attempts"] == serde_json::json!([])));
    app.stop().await;
}
