//! Limits by script: what is refused, what stays, and that they hold calls back at once.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::upstream::Upstream;

fn channel(limits: Value) -> Value {
    json!({"name": "Pool", "base_url": "https://api-inference.modelscope.cn/v1", "models": ["m"], "limits": limits})
}

#[tokio::test]
async fn limits_are_shown_as_they_hold_and_stay_until_somebody_names_them() {
    let api = Api::start().await;
    let limits = json!([
        {"max": 40, "window": "60s"},
        {"metric": "tokens", "max": 1_000_000, "window": "day", "per": "group", "models": ["z", "*:free"], "insist": true},
        {"metric": "concurrency", "max": 4, "per": "channel"},
    ]);
    let made = api.post("/api/channels", channel(limits)).await;
    assert_eq!(made.status, 201, "{}", made.text());
    // The day is the provider's; what holds is written out.
    let shown = json!([
        {"metric": "requests", "max": 40, "window": "1m", "per": "key"},
        {"metric": "tokens", "max": 1_000_000, "per": "group", "models": ["*:free", "z"], "insist": true,
            "window": {"calendar": "day", "zone": "Asia/Shanghai", "offset_minutes": 5}},
        {"metric": "concurrency", "max": 4, "per": "channel"},
    ]);
    assert_eq!(made.json()["limits"], shown);
    let keys =
        json!({"keys": [{"secret": "upstream-key-0000-alpha", "limits": [{"max": 20, "window": "1m"}]}]});
    assert_eq!(api.post("/api/channels/1/keys", keys).await.json()["added"], 1);
    let of_key = json!([{"metric": "requests", "max": 20, "window": "1m", "per": "key"}]);

    // Whatever else changes, by script or on a page, they stay.
    assert_eq!(api.patch("/api/channels/1", json!({"priority": 9})).await.json()["limits"], shown);
    assert_eq!(api.patch("/api/keys/1", json!({"label": "first"})).await.json()["limits"], of_key);
    api.form("/channels/1/enabled", &[("enabled", "false")]).await;
    let form = [
        ("name", "Pool"),
        ("base_url", "https://api-inference.modelscope.cn/v1"),
        ("protocol", "openai"),
        ("models", "m"),
        ("priority", "1"),
        ("weight", "1"),
    ];
    assert_eq!(api.form("/channels/1/edit", &form).await.status, 200);
    assert_eq!(api.form("/channels/1/keys/1", &[("label", "mine")]).await.status, 200);
    assert_eq!(api.get("/api/channels/1").await["limits"], shown);
    assert_eq!(api.get("/api/keys/1").await["limits"], of_key);

    let page = api.page("/channels/1").await;
    assert!(page.contains("day@Asia/Shanghai+5m") && page.contains("declared, insisted on"), "{page}");
    assert!(page.contains("magicubes") && page.contains("several reports"), "the provider's own: {page}");
    assert!(api.page("/channels/1/keys/1").await.contains("1m"));

    assert_eq!(api.patch("/api/keys/1", json!({"limits": null})).await.json()["limits"], json!([]));
    let plain = json!({"name": "Pool", "base_url": "https://api-inference.modelscope.cn/v1"});
    let put = api.send(Method::PUT, "/api/channels/1", Some(plain)).await;
    assert_eq!(put.json()["limits"], json!([]), "a replacement says everything");
    api.stop().await;
}

#[tokio::test]
async fn wrong_limits_are_refused_with_every_field_named_and_change_nothing() {
    let api = Api::start().await;
    let wrong = json!([
        {"max": 0, "window": "1m"},
        {"max": 5, "window": {"calendar": "day", "zone": "Mars/Base"}},
        {"metric": "concurrency", "max": 4, "window": "1m"},
        {"max": 40, "window": "1h"},
        {"max": 30, "window": "60m"},
    ]);
    let reply = api.post("/api/channels", channel(wrong)).await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["limits[0].max", "limits[1].window.zone", "limits[2].window", "limits[4]"]);
    for (limit, field) in [
        (json!({"max": 1, "window": "1m", "metrik": "tokens"}), "limits[0].metrik"),
        (json!({"max": 1, "window": {"rolling": "1m"}}), "limits[0].window.rolling"),
        (json!({"max": 1, "window": "1m", "per": "person"}), "limits[0].per"),
        (json!({"window": "1m"}), "limits[0].max"),
    ] {
        let reply = api.post("/api/channels", channel(json!([limit]))).await;
        assert_refused(&reply, 422, "invalid_input");
        assert_eq!(fields(&reply), [field]);
    }
    assert_eq!(api.get("/api/channels").await["items"], json!([]));

    api.post("/api/channels", channel(json!([{"max": 9, "window": "1m"}]))).await;
    let generic = json!({"provider": "generic", "limits": [{"max": 9, "window": "day"}]});
    let reply = api.patch("/api/channels/1", generic).await;
    assert_refused(&reply, 422, "invalid_input");
    assert!(reply.text().contains("day@UTC"), "the remedy is named: {}", reply.text());
    assert_eq!(fields(&reply), ["limits[0].window"]);
    let keys = json!({"keys": [{"secret": "upstream-key-0000-alpha", "limits": [{"max": 2, "window": "1m", "per": "group"}]}]});
    let reply = api.post("/api/channels/1/keys", keys).await;
    assert_eq!(fields(&reply), ["keys[0].limits[0].per"]);
    assert_eq!(api.get("/api/channels/1").await["limits"][0]["max"], 9);
    api.stop().await;
}

#[tokio::test]
async fn a_limit_that_is_declared_holds_calls_back_at_once_and_one_that_is_lifted_does_not() {
    let (api, upstream) = (Api::start().await, Upstream::start());
    api.app.token().await;
    api.app.channel("c", &upstream, &["key-1", "key-2"]).await;
    let status = async || api.app.chat(false, "hi").await.status;
    assert_eq!(status().await, 200);
    let limit = |max: u64| json!({"limits": [{"max": max, "window": "1h"}]});
    assert_eq!(api.patch("/api/channels/1", limit(2)).await.status, 200);
    let mut served = 0;
    while status().await == 200 {
        served += 1;
        assert!(served <= 4, "two keys may serve two calls each");
    }
    let refused = api.app.chat(false, "hi").await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "pool_exhausted"), "{}", refused.text());
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() > 3000);

    // A key's own counts in place of the channel's, and only for this key.
    assert_eq!(api.patch("/api/keys/2", limit(3)).await.status, 200);
    let before = upstream.inferences().len();
    assert_eq!((status().await, status().await), (200, 429));
    assert_eq!(
        upstream.inferences()[before..].iter().filter(|call| call.key.as_deref() == Some("key-2")).count(),
        1
    );

    assert_eq!(api.patch("/api/channels/1", json!({"limits": null})).await.status, 200);
    assert_eq!(status().await, 200);
    api.stop().await;
}
