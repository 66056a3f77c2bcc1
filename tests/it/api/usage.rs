//! The usage log and its sums by script, compared with what the pages show.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::{
    app::{TestApp, eventually},
    upstream::{Fault, Upstream},
};

/// A server with three calls: one answered at once, one by the second key, one refused.
async fn with_calls() -> (Api, Upstream) {
    let upstream = Upstream::start();
    let api = Api::of(TestApp::start().await).await;
    api.app.channel("u", &upstream, &["upstream-key-0000-alpha", "upstream-key-0000-beta"]).await;
    api.app.token().await;
    assert_eq!(api.app.chat(false, "words=3").await.status, 200);
    upstream.fail_next([Some(Fault::RateLimitedSeconds)]);
    assert_eq!(api.app.chat(true, "words=3").await.status, 200);
    let refused =
        api.app.post("/v1/chat/completions", &crate::support::app::chat("nobody", false, "x")).await;
    assert_eq!(refused.status, 404);
    api.app.app.flush_usage().await;
    (api, upstream)
}

#[tokio::test]
async fn calls_are_listed_with_filters_and_pages_and_shown_with_their_attempts() {
    let (api, _upstream) = with_calls().await;
    let all = api.get("/api/usage").await;
    let items = all["items"].as_array().unwrap();
    assert_eq!(
        items.iter().map(|call| call["status"].as_i64().unwrap()).collect::<Vec<_>>(),
        [404, 200, 200]
    );
    assert_eq!(
        (&items[2]["asked_model"], &items[2]["token"]["name"], &items[2]["channel"]["name"]),
        (&json!("m"), &json!("test"), &json!("u"))
    );
    assert!(items[2]["cost"].as_f64().unwrap() > 0.0, "{}", items[2]);
    let counts =
        async |query: &str| api.get(&format!("/api/usage?{query}")).await["items"].as_array().unwrap().len();
    for (query, count) in [
        ("result=failed", 1),
        ("result=ok", 2),
        ("status=4xx", 1),
        ("stream=true", 1),
        ("model=nob*", 1),
        ("token_id=1&channel_id=1", 2),
        ("key_id=99", 0),
        ("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z", 0),
    ] {
        assert_eq!(counts(query).await, count, "{query}");
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut path = "/api/usage?limit=1".to_owned();
    loop {
        let page = api.get(&path).await;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/usage?limit=1&cursor={next}");
    }
    assert_eq!(seen, *items, "pages follow each other without a gap");

    let id = items[1]["request_id"].as_str().unwrap();
    let call = api.get(&format!("/api/usage/{id}")).await;
    assert_eq!(call["call"], items[1]);
    let statuses: Vec<_> = call["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["status"].as_i64().unwrap())
        .collect();
    assert_eq!(statuses, [429, 200]);
    assert!(api.page(&format!("/log/{id}")).await.contains("429"));
    for id in ["00000000-0000-0000-0000-000000000000", "nonsense"] {
        assert_refused(&api.send(Method::GET, &format!("/api/usage/{id}"), None).await, 404, "not_found");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_call_says_what_it_waited_for() {
    let (upstream, api) = (Upstream::start(), Api::start().await);
    let channel = api.app.channel("u", &upstream, &["upstream-key-0000-alpha"]).await;
    let limits = json!({"limits": [{"max": 1, "window": "10s"}]});
    assert_eq!(api.patch(&format!("/api/channels/{channel}"), limits).await.status, 200);
    api.app.token().await;
    assert_eq!(api.app.chat(false, "words=3").await.status, 200);
    let room = async {
        eventually("a call in line", async || api.app.app.site().dispatch.waiting() == 1).await;
        api.app.clock.advance(Duration::from_secs(12));
    };
    let (reply, ()) = tokio::join!(api.app.chat(false, "words=3"), room);
    assert_eq!(reply.status, 200, "{}", reply.text());
    api.app.app.flush_usage().await;
    let calls = api.get("/api/usage").await;
    for (place, expected) in [(0, json!("limit")), (1, Value::Null)] {
        let id = calls["items"][place]["request_id"].as_str().unwrap();
        let call = api.get(&format!("/api/usage/{id}")).await;
        let attempt = &call["attempts"][0];
        assert_eq!(attempt["waited_for"], expected, "{call}");
        assert!(attempt["waited_ms"].as_u64() <= call["call"]["queue_ms"].as_u64(), "{call}");
        assert!(attempt["waited_ms"].is_u64(), "{call}");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_report_sums_up_what_the_log_lists() {
    let (api, _upstream) = with_calls().await;
    let calls = api.get("/api/usage").await;
    let tokens: i64 = calls["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["tokens"]["prompt"].as_i64().unwrap())
        .sum();
    for by in ["token", "channel", "key", "model", "upstream"] {
        for period in ["", "&period=7d", "&period=all", "&from=2020-01-01T00:00:00Z"] {
            let report = api.get(&format!("/api/usage/report?by={by}{period}")).await;
            assert_eq!(report["by"], by);
            assert_eq!(
                (&report["totals"]["requests"], &report["totals"]["ok"]),
                (&json!(3), &json!(2)),
                "{by}{period}"
            );
            assert_eq!(report["totals"]["tokens"]["prompt"], tokens);
            let groups = report["groups"].as_array().unwrap();
            let requests: i64 = groups.iter().map(|group| group["sums"]["requests"].as_i64().unwrap()).sum();
            assert_eq!(requests, 3, "{by}{period}: {groups:?}");
        }
    }
    let channels = api.get("/api/usage/report?by=channel").await;
    let channel =
        channels["groups"].as_array().unwrap().iter().find(|group| group["kind"] == "channel").unwrap();
    assert_eq!((&channel["name"], &channel["attempts"]), (&json!("u"), &json!({"total": 3, "failed": 1})));
    let nothing = api.get("/api/usage/report?to=2020-01-01T00:00:00Z").await;
    assert_eq!((&nothing["totals"]["requests"], &nothing["groups"]), (&json!(0), &json!([])));
    api.stop().await;
}

#[tokio::test]
async fn calls_with_one_trace_id_are_listed_as_a_turn_and_found_by_it() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (api, _upstream) = with_calls().await;
    let traced = |span: &str| {
        let parent = format!("00-{}-{span}-01", TRACE.to_uppercase());
        api.app.chat_with(move |request| {
            request
                .bearer_auth(crate::support::app::TOKEN)
                .header("traceparent", parent)
                .header("x-client", "openclaw/2026.9.6")
        })
    };
    assert_eq!(traced("00f067aa0ba902b7").await.status, 200);
    assert_eq!(traced("00f067aa0ba902b8").await.status, 200);
    api.app.app.flush_usage().await;
    let turns = api.get("/api/usage/turns").await;
    let items = turns["items"].as_array().unwrap();
    assert_eq!((items.len(), &turns["next"]), (1, &Value::Null));
    let calls = api.get(&format!("/api/usage?trace_id={TRACE}")).await;
    let calls = calls["items"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let sum = |of: &dyn Fn(&Value) -> f64| calls.iter().map(of).sum::<f64>();
    let turn = &items[0];
    assert_eq!(
        (&turn["trace_id"], &turn["token"]["name"], &turn["client_kind"]),
        (&json!(TRACE), &json!("test"), &json!("openclaw"))
    );
    assert_eq!(
        (&turn["calls"], &turn["failed"], &turn["models"], &turn["result"]),
        (&json!(2), &json!(0), &json!(["m"]), &json!("ok"))
    );
    let prompt = sum(&|call| call["tokens"]["prompt"].as_f64().unwrap());
    assert_eq!(turn["tokens"]["prompt"].as_f64(), Some(prompt));
    let cost = sum(&|call| call["cost"].as_f64().unwrap());
    assert!((turn["cost"].as_f64().unwrap() - cost).abs() < 1e-9, "{turn}");
    for (query, count) in [("result=failed", 0), ("model=m", 1), ("token_id=99", 0)] {
        let found = api.get(&format!("/api/usage/turns?{query}")).await;
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
    for path in ["/api/usage", "/api/usage/turns"] {
        let refused = api.send(Method::GET, &format!("{path}?trace_id=abc"), None).await;
        assert_refused(&refused, 422, "invalid_input");
        assert_eq!(fields(&refused), ["trace_id"]);
    }

    let token = api.get("/api/tokens/1").await;
    assert_eq!(
        (
            &token["clients"][0]["kind"],
            &token["clients"][0]["version"],
            token["clients"].as_array().unwrap().len()
        ),
        (&json!("openclaw"), &json!("2026.9.6"), 2)
    );
    assert_eq!(
        (&token["recent_models"][0]["model"], &token["recent_models"][0]["calls"]),
        (&json!("m"), &json!(4))
    );
    api.stop().await;
}
