//! Gauges, pauses, capacity and routes by script.

use std::time::Duration;

use onepool::model::{
    endpoint::Endpoint,
    id::ChannelId,
    limit::{CalendarUnit, Limit, Metric, Models, Per, Source, Window},
};
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::upstream::Upstream;

async fn with_limits() -> (Api, Upstream) {
    let (api, upstream) = (Api::start().await, Upstream::start());
    let channel = json!({
        "name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["m", "n"], "groups": ["free"],
    });
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    let keys = json!({"keys": [
        {"secret": "upstream-key-0000-alpha", "quota_group": "account"},
        {"secret": "upstream-key-0000-beta", "quota_group": "account"},
    ]});
    assert_eq!(api.post("/api/channels/1/keys", keys).await.status, 200);
    let limit = |window, max| Limit {
        models: Models::default(),
        per: Per::Owner,
        metric: Metric::Requests,
        window,
        max,
        source: Source::Declared,
    };
    let day = Window::Calendar { unit: CalendarUnit::Day, zone: "Asia/Shanghai".into(), offset_minutes: 0 };
    let limits = [limit(Window::MINUTE, 2), limit(day, 50)];
    api.app.app.site().db.set_limits(ChannelId(1), None, &limits).await.unwrap();
    api.app.token().await;
    (api, upstream)
}

fn hurdles(routes: &Value) -> Vec<&str> {
    let all = routes["candidates"].as_array().unwrap().iter();
    all.map(|one| one["hurdle"]["kind"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn gauges_tell_what_is_left_and_when_it_comes_back() {
    let (api, _upstream) = with_limits().await;
    assert_eq!(api.app.chat(false, "hi").await.status, 200);
    let gauges = api.get("/api/channels/1/gauges").await;
    let [minute, day] = &gauges["items"].as_array().unwrap()[..] else { panic!("{gauges}") };
    assert_eq!(
        (&minute["used"], &minute["left"], &minute["max"], &minute["window"]["kind"]),
        (&json!(1), &json!(1), &json!(2), &json!("rolling"))
    );
    assert_eq!(minute["holder"]["group"], "account");
    assert_eq!(
        (&day["left"], &day["window"]["zone"], &day["resets_at"]),
        (&json!(49), &json!("Asia/Shanghai"), &json!("2026-11-20T16:00:00Z"))
    );
    assert_eq!((&day["source"], &day["confidence"]), (&json!("declared"), &day["confidence"]));
    assert_eq!(api.get("/api/keys/2/gauges").await, gauges, "keys of one account share them");
    let first = api.get("/api/channels/1/gauges?limit=1").await;
    let rest = api.get(&format!("/api/channels/1/gauges?cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(rest["items"], json!([day]));
    assert_eq!(api.send(reqwest::Method::GET, "/api/keys/99/gauges", None).await.status, 404);
    api.stop().await;
}

#[tokio::test]
async fn a_pause_holds_calls_back_survives_a_restart_and_ends_on_a_word() {
    let (api, upstream) = with_limits().await;
    for (body, field) in [
        (json!({"for_minutes": 0}), "for_minutes"),
        (json!({"for_minutes": 43_201}), "for_minutes"),
        (json!({"for_minutes": 60, "model": "x"}), "model"),
    ] {
        let reply = api.post("/api/channels/1/pause", body).await;
        assert_refused(&reply, 422, "invalid_input");
        assert_eq!(fields(&reply), [field]);
    }
    let paused = api.post("/api/channels/1/pause", json!({"for_minutes": 300})).await;
    assert_eq!(paused.json(), json!({"until": "2026-11-20T17:00:00Z"}));
    assert_eq!(api.get("/api/channels/1").await["state"], "paused");
    assert_eq!(api.get("/api/rests").await["items"][0]["rest"]["class"], "paused");
    assert_eq!(hurdles(&api.get("/api/routes?model=m").await), ["paused", "paused"]);
    assert_eq!(api.app.chat(false, "hi").await.status, 503);
    assert!(upstream.inferences().is_empty(), "a pause is no doubt that a call may overlook");

    let clock = api.app.clock.clone();
    let Api { app, user, access_token, document } = api;
    let data = app.stop().await;
    let app = crate::support::app::TestApp::start_in(data, clock, &[]).await;
    let api = Api { app, user, access_token, document };
    assert_eq!(api.get("/api/channels/1").await["state"], "paused");
    assert_eq!(api.post("/api/channels/1/retry", json!({})).await.json(), json!({"ended": 1}));
    assert_eq!(api.app.chat(false, "hi").await.status, 200);

    api.post("/api/keys/1/pause", json!({"for_minutes": 1})).await;
    assert_eq!(api.get("/api/keys/1").await["state"], "paused");
    api.app.clock.advance(Duration::from_secs(60));
    assert_eq!(api.get("/api/keys/1").await["state"], "available");
    api.stop().await;
}

#[tokio::test]
async fn a_paused_model_leaves_the_others_alone() {
    let (api, _upstream) = with_limits().await;
    api.post("/api/keys/1/pause", json!({"for_minutes": 60, "model": "m"})).await;
    let hindered = api.get("/api/routes?model=m").await;
    assert_eq!(hurdles(&hindered), ["-", "paused"]);
    assert_eq!(hindered["candidates"][0]["key_id"], 2);
    assert_eq!(hindered["candidates"][1]["ready_at"], "2026-11-20T13:00:00Z");
    assert_eq!(hurdles(&api.get("/api/routes?model=n").await), ["-", "-"]);
    let end = json!({"scope": {"kind": "key_model", "key_id": 1, "model": "m"}});
    assert_eq!(
        api.post("/api/rests/end", end).await.json()["ended"],
        Endpoint::ALL.len(),
        "one for each endpoint"
    );
    api.stop().await;
}

#[tokio::test]
async fn capacity_counts_what_an_account_shares_once() {
    let (api, _upstream) = with_limits().await;
    let capacity = api.get("/api/capacity").await;
    let model = &capacity["items"][0];
    assert_eq!(
        (&model["model"], &model["capacity"]["keys"], &model["capacity"]["accounts"]),
        (&json!("m"), &json!(2), &json!(1))
    );
    assert_eq!(
        (&model["capacity"]["per_minute"], &model["capacity"]["per_day"]),
        (&json!(2), &json!(50)),
        "{model}"
    );
    assert_eq!(
        (&model["binding"][0]["per"], &model["binding"][0]["max"], &model["binding"][1]["max"]),
        (&json!("group"), &json!(2), &json!(50))
    );
    assert_eq!(capacity["pool"]["per_day"], 50, "models of one key share its limits");
    assert_eq!(api.app.chat(false, "hi").await.status, 200);
    let now = api.get("/api/capacity?model=M").await;
    assert_eq!(now["items"].as_array().unwrap().len(), 1);
    assert_eq!(now["items"][0]["capacity"]["next_minute"], 1);
    let wrong = api.send(reqwest::Method::GET, "/api/capacity?prompt_tokens=-1", None).await;
    assert_eq!(fields(&wrong), ["prompt_tokens"]);
    api.stop().await;
}

#[tokio::test]
async fn routes_are_those_that_a_call_takes() {
    let (api, _upstream) = with_limits().await;
    let predicted = api.get("/api/routes?model=m&token=1").await["candidates"][0]["key_id"].clone();
    assert_eq!(api.app.chat(false, "hi").await.status, 200);
    assert_eq!(api.app.rows().await[0]["key"], predicted);
    assert_eq!(api.app.chat(false, "hi").await.status, 200);
    let full = api.get("/api/routes?model=m&token=1").await;
    assert_eq!(hurdles(&full), ["limit", "limit"]);
    let limit = &full["candidates"][0]["hurdle"];
    assert_eq!((&limit["limit"]["left"], &limit["holder"]["kind"]), (&json!(0), &json!("group")));
    assert_eq!(
        limit["message"], "limit used up (quota group account): 2 of 2 requests per minute",
        "{limit}"
    );
    assert!(full["candidates"][0]["ready_at"].is_string());

    api.patch("/api/tokens/1", json!({"groups": ["paid"]})).await;
    let barred = api.get("/api/routes?model=m&token=1").await;
    assert_eq!((&barred["refused"], hurdles(&barred)), (&json!("no_channel"), vec!["group"]));
    assert_eq!(api.app.chat(false, "hi").await.status, 404);
    api.patch("/api/channels/1", json!({"enabled": false})).await;
    let off = api.get("/api/routes?model=m").await;
    assert_eq!((&off["refused"], hurdles(&off)), (&json!("unknown_model"), vec!["channel_off"]));
    assert_eq!(fields(&api.send(reqwest::Method::GET, "/api/routes", None).await), ["model"]);
    api.stop().await;
}
