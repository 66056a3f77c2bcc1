//! Channels by script, and as the pages show them.

use std::time::Duration;

use onepool::{
    model::{id::ChannelId, usage::OutcomeClass},
    scheduler::rest::{Report, Scope},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, PASSWORD, assert_refused, fields};
use crate::support::upstream::{Fault, Upstream};

fn full() -> Value {
    json!({
        "name": "Example", "base_url": "https://api.example.com/v1", "priority": 5, "weight": 2, "groups": ["free"],
        "headers": {"X-Secret": "header-value-that-is-secret"},
        "proxy": "socks5://user:proxy-password-that-is-secret@127.0.0.1:1080",
        "timeouts": {"idle_ms": 5000}, "note": "ours",
        "models": ["plain", {"name": "priced", "context_window": 8192, "price": {"input": 0.15, "output": "0.6"}}],
        "redirects": {"smart": ["priced", "plain"]},
    })
}

#[tokio::test]
async fn what_a_script_does_to_a_channel_is_on_the_page_and_what_the_page_does_is_in_the_api() {
    let api = Api::start().await;
    let made = api.post("/api/channels", full()).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/api/channels/1")));
    let channel = made.json();
    assert_eq!(channel["headers"], json!({"X-Secret": "••••cret"}));
    assert_eq!(channel["proxy"], "socks5://user:••••@127.0.0.1:1080");
    assert_eq!((&channel["state"], &channel["weight"]), (&json!("no_keys"), &json!(2)));
    assert_eq!(channel["models"][1]["price"], json!({"input": 0.15, "output": 0.6}));
    assert_eq!(channel["redirects"], json!({"smart": ["priced", "plain"]}));
    assert_eq!(api.get("/api/channels/1").await, channel);

    let page = api.page("/channels/1").await;
    assert!(page.contains("Example") && page.contains("ours") && page.contains("priced"), "{page}");
    api.form("/channels/1/enabled", &[("enabled", "false")]).await;
    assert_eq!(api.get("/api/channels/1").await["state"], "off");
    let on = api
        .patch("/api/channels/1", json!({"enabled": true, "note": null, "timeouts": {"connect_ms": 900}}))
        .await;
    assert_eq!(on.json()["timeouts"], json!({"connect_ms": 900, "idle_ms": 5000}));
    let page = api.page("/channels/1").await;
    assert!(!page.contains("ours") && page.contains("0.9"), "{page}");
    api.stop().await;
}

#[tokio::test]
async fn a_patch_keeps_secrets_and_a_put_replaces_them() {
    let api = Api::start().await;
    api.post("/api/channels", full()).await;
    api.patch("/api/channels/1", json!({"priority": 9})).await;
    let catalog = api.app.app.site().catalog.load();
    let kept = catalog.channel(ChannelId(1)).unwrap();
    assert_eq!(kept.channel.headers[0].1.expose(), "header-value-that-is-secret");
    assert!(kept.channel.proxy.as_ref().unwrap().expose().contains("proxy-password"));

    let shown = api.get("/api/channels/1").await;
    let back = json!({"name": "Example", "base_url": "https://api.example.com/v1",
        "headers": shown["headers"], "proxy": shown["proxy"]});
    let reply = api.send(Method::PUT, "/api/channels/1", Some(back)).await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["headers.X-Secret", "proxy"]);
    let plain = json!({"name": "Example", "base_url": "https://api.example.com/v1"});
    let reply = api.send(Method::PUT, "/api/channels/1", Some(plain)).await;
    let channel = reply.json();
    assert_eq!(
        (&channel["headers"], &channel["proxy"], &channel["models"]),
        (&json!({}), &Value::Null, &json!([]))
    );
    api.stop().await;
}

#[tokio::test]
async fn every_fault_of_an_input_is_named_and_nothing_is_changed() {
    let api = Api::start().await;
    let reply = api
        .post(
            "/api/channels",
            json!({"name": "a", "base_url": "https://a.example", "wieght": 2, "priority": "high"}),
        )
        .await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["wieght", "priority"]);
    assert!(reply.text().contains("Did you mean `weight`?"), "{}", reply.text());
    let reply = api
        .post(
            "/api/channels",
            json!({"name": "", "base_url": "http://127.0.0.1:9", "weight": 0, "models": ["a", "a b"]}),
        )
        .await;
    assert_eq!(fields(&reply), ["name", "base_url", "weight", "models[1]"]);
    assert_eq!(api.get("/api/channels").await["items"], json!([]));

    api.post("/api/channels", full()).await;
    let taken = api.post("/api/channels", json!({"name": "EXAMPLE", "base_url": "https://b.example"})).await;
    assert_refused(&taken, 409, "conflict");
    assert_eq!(fields(&taken), ["name"]);
    let reply = api.patch("/api/channels/1", json!({"timeouts": {"idle": null}})).await;
    assert_eq!(fields(&reply), ["timeouts.idle"]);
    for (method, path) in [
        (Method::GET, "/api/channels/99"),
        (Method::DELETE, "/api/channels/99"),
        (Method::GET, "/api/channels/x"),
        (Method::POST, "/api/channels/99/retry"),
    ] {
        assert_refused(&api.send(method, path, None).await, 404, "not_found");
    }
    assert_refused(&api.patch("/api/channels/99", json!({"note": "x"})).await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn keys_follow_a_channel_to_another_host_by_password_only() {
    let api = Api::start().await;
    api.post("/api/channels", full()).await;
    let elsewhere = || json!({"base_url": "https://other.example"});
    let moved = api.patch("/api/channels/1", json!({"base_url": "https://new.example"})).await;
    assert_refused(&moved, 403, "password_required");
    let bare = json!({"base_url": "https://new.example", "headers": null});
    assert_eq!(
        api.patch("/api/channels/1", bare).await.status,
        200,
        "without keys and headers there is nothing to lose"
    );
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}]})).await;
    for change in [elsewhere(), json!({"proxy": "http://127.0.0.1:9"})] {
        assert_refused(&api.patch("/api/channels/1", change).await, 403, "password_required");
    }
    let with = async |password: &str| {
        let header = |request: reqwest::RequestBuilder| request.header("x-onepool-password", password);
        api.send_with(Method::PATCH, "/api/channels/1", Some(elsewhere()), header).await
    };
    assert_refused(&with("guess").await, 403, "password_required");
    assert_eq!(with(PASSWORD).await.json()["base_url"], "https://other.example");
    let same =
        api.patch("/api/channels/1", json!({"base_url": "https://other.example/v1", "priority": 1})).await;
    assert_eq!(same.status, 200, "another path of the host needs no password");
    api.stop().await;
}

#[tokio::test]
async fn the_upstreams_models_are_listed_and_taken_over() {
    let (api, upstream) = (Api::start().await, Upstream::start());
    upstream.set_models(&["one", "two", "three"]);
    let channel = json!({"name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["one", "gone"]});
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    let fetch = "/api/channels/1/models/fetch";
    assert_refused(&api.post(fetch, json!({})).await, 409, "no_key");
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}]})).await;
    let listed = api.send(Method::POST, fetch, None).await.json();
    let states: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["model"]["name"].as_str().unwrap(), item["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [("one", "offered"), ("three", "new"), ("two", "new"), ("gone", "not_listed")]);
    assert_eq!(api.get("/api/channels/1").await["models"], json!(["one", "gone"]), "only asked");
    assert_eq!(fields(&api.post(fetch, json!({"apply": true, "models": ["four"]})).await), ["models[0]"]);
    api.post(fetch, json!({"apply": true, "models": ["two", "gone"]})).await;
    assert_eq!(api.get("/api/channels/1").await["models"], json!(["gone", "two"]));
    assert_eq!(api.post(fetch, json!({"apply": true})).await.json()["offered"], 3);
    assert!(api.page("/channels/1").await.contains("three"));

    upstream.fail_models_list(Fault::Status503);
    assert_refused(&api.post(fetch, json!({})).await, 502, "upstream_failed");
    api.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_and_a_name_finds_its_channel() {
    let api = Api::start().await;
    for name in ["a", "b", "c"] {
        api.post("/api/channels", json!({"name": name, "base_url": "https://a.example"})).await;
    }
    let first = api.get("/api/channels?limit=2").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    let next = first["next"].as_str().unwrap();
    let second = api.get(&format!("/api/channels?limit=2&cursor={next}")).await;
    assert_eq!((&second["items"][0]["name"], &second["next"]), (&json!("c"), &Value::Null));
    let named = api.get("/api/channels?name=B").await;
    assert_eq!((named["items"].as_array().unwrap().len(), &named["items"][0]["id"]), (1, &json!(2)));
    api.stop().await;
}

#[tokio::test]
async fn rests_are_listed_and_ended_one_by_one_or_all_of_a_channel() {
    let api = Api::start().await;
    api.post("/api/channels", full()).await;
    api.post(
        "/api/channels/1/keys",
        json!({"keys": [{"secret": "upstream-key-0000-alpha", "quota_group": "g"}]}),
    )
    .await;
    let key = api.app.keys_of(ChannelId(1))[0];
    let rest = |scope: Scope| {
        let report = Report {
            class: OutcomeClass::RateLimited,
            asked: None,
            counted: false,
            status: Some(429),
            detail: "wait".into(),
        };
        let site = api.app.app.site();
        let now = site.clock.steady();
        site.dispatch.lock().rests_mut().strike(&scope, report, Duration::from_secs(5), now, now);
    };
    let scopes = || {
        [
            Scope::Key(key),
            Scope::Group(ChannelId(1), "g".into()),
            Scope::KeyModel(key, "plain".into()),
            Scope::ChannelModel(ChannelId(1), "plain".into()),
            Scope::Channel(ChannelId(1)),
        ]
    };
    scopes().into_iter().for_each(rest);
    let listed = api.get("/api/rests").await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 5);
    assert_eq!(items[0]["rest"]["until"], "2026-11-20T12:00:05Z");
    assert_eq!(api.get("/api/rests?channel_id=1&limit=2").await["next"], "2");
    assert_eq!(api.get("/api/channels/1").await["state"], "resting");
    assert_eq!(api.get(&format!("/api/keys/{key}")).await["rest"]["class"], "rate_limited");
    assert!(api.page("/channels/1").await.contains("429"));

    for item in items {
        let ended = api.post("/api/rests/end", json!({"scope": item["scope"]})).await;
        assert_eq!(ended.json()["ended"], 1, "{item}");
    }
    assert_eq!(api.get("/api/channels/1").await["state"], "available");
    let incomplete = api.post("/api/rests/end", json!({"scope": {"kind": "group", "channel_id": 1}})).await;
    assert_eq!(fields(&incomplete), ["scope.group"]);
    let odd = api.post("/api/rests/end", json!({"scope": {"kind": "key", "key_id": 1, "model": "m"}})).await;
    assert_eq!(fields(&odd), ["scope"]);

    scopes().into_iter().for_each(rest);
    let of_key = api.send(Method::POST, &format!("/api/keys/{key}/retry"), None).await;
    assert_eq!(of_key.json()["ended"], 3, "the key, its group and its model");
    assert_eq!(api.send(Method::POST, "/api/channels/1/retry", None).await.json()["ended"], 2);
    assert_eq!(api.get("/api/rests").await["items"], json!([]));

    scopes().into_iter().for_each(rest);
    assert_eq!(api.delete("/api/channels/1").await.status, 204);
    assert_eq!(api.get("/api/rests").await["items"], json!([]), "the channel's rests go with it");
    assert_refused(&api.delete("/api/channels/1").await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn how_a_channels_requests_are_shaped_is_set_shown_kept_and_checked() {
    let api = Api::start().await;
    let mut channel = full();
    channel["provider"] = "openrouter".into();
    let shaping = json!({"fixes": {"cache-control": true}, "response_cache_s": 300});
    channel["shaping"] = shaping.clone();
    channel["models"][0] = json!({"name": "plain", "endpoints": ["chat", "responses"]});
    let made = api.post("/api/channels", channel.clone()).await;
    assert_eq!((made.status, &made.json()["shaping"]), (201, &shaping), "{}", made.text());
    assert_eq!(made.json()["models"][0]["endpoints"], json!(["chat", "responses"]));
    let kept = api.patch("/api/channels/1", json!({"note": "x"})).await.json();
    assert_eq!((&kept["shaping"], &kept["models"]), (&shaping, &made.json()["models"]));
    // A part of it replaces all of it, as with every other object; an empty one takes all away.
    let less = json!({"fixes": {"cache-control": false}});
    let reply = api.patch("/api/channels/1", json!({"shaping": less})).await;
    assert_eq!((reply.status, &reply.json()["shaping"]["fixes"]), (200, &less["fixes"]), "{}", reply.text());
    for (wrong, field) in [
        (json!({"fixes": {"no-such-fix": true}}), "shaping.fixes.no-such-fix"),
        (json!({"response_cache_s": 0}), "shaping.response_cache_s"),
        (json!({"response_cache_s": 86_401}), "shaping.response_cache_s"),
    ] {
        let reply = api.patch("/api/channels/1", json!({"shaping": wrong})).await;
        assert_refused(&reply, 422, "invalid_input");
        assert_eq!(fields(&reply), [field], "{}", reply.text());
    }
    let mut other = full();
    (other["name"], other["shaping"]) = ("Other".into(), json!({"response_cache_s": 60}));
    let reply = api.post("/api/channels", other).await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["shaping.response_cache_s"], "only OpenRouter has such a cache");
    api.stop().await;
}
