//! Notifications, by the admin API.

use reqwest::Method;
use serde_json::json;

use super::{Api, assert_refused};
use crate::support::raw::{Raw, write_json};

#[tokio::test]
async fn a_script_adds_changes_tests_and_removes_a_webhook_without_ever_reading_its_secrets() {
    let api = Api::start().await;
    let receiver = Raw::answer(|_, socket| write_json(socket, "{}"));
    let url = format!("http://{}/hook/part-that-is-secret", receiver.address());
    let input = json!({"name": "ops", "url": url, "secret": "a-word-between-us", "events": ["key_invalid"]});
    let refused = api.post("/api/notification-targets", input.clone()).await;
    assert_refused(&refused, 422, "invalid_input");
    assert!(refused.text().contains("private"), "{}", refused.text());
    let mut allowed = input.clone();
    allowed["allow_private"] = true.into();
    let made = api.post("/api/notification-targets", allowed.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_refused(&api.post("/api/notification-targets", allowed).await, 409, "conflict");
    let tested = api.send(Method::POST, "/api/notification-targets/1/test", None).await.json();
    assert_eq!((&tested["ok"], &tested["detail"]), (&json!(true), &json!("HTTP 200")));
    let change = json!({"enabled": false, "events": ["models_appeared"]});
    let changed = api.send(Method::PATCH, "/api/notification-targets/1", Some(change)).await.json();
    assert_eq!((&changed["enabled"], &changed["events"]), (&json!(false), &json!(["models_appeared"])));
    let away = json!({"url": "https://elsewhere.example/x"});
    let refused = api.send(Method::PATCH, "/api/notification-targets/1", Some(away)).await;
    assert_refused(&refused, 422, "invalid_input");
    let shown = api.send(Method::GET, "/api/notification-targets/1", None).await;
    assert_eq!(shown.json()["header"], "X-OnePool-Secret");
    for secret in ["a-word-between-us", "part-that-is-secret"] {
        assert!(!shown.text().contains(secret), "{}", shown.text());
    }
    assert_eq!(api.send(Method::DELETE, "/api/notification-targets/1", None).await.status, 204);
    assert_eq!(api.send(Method::GET, "/api/notification-targets/1", None).await.status, 404);
    api.stop().await;
}

#[tokio::test]
async fn every_upstream_is_asked_beside_the_request_and_progress_is_told() {
    let api = Api::start().await;
    let idle = api.get("/api/discovered-models/refresh").await;
    assert_eq!((&idle["running"], &idle["total"]), (&json!(false), &json!(0)));
    let channel =
        json!({"name": "u", "base_url": "http://127.0.0.1:9", "allow_private": true, "models": ["one"]});
    api.post("/api/channels", channel).await;
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}]})).await;
    let begun = api.send(Method::POST, "/api/discovered-models/refresh", None).await.json();
    assert_eq!(begun["total"], 1);
    api.app.app.site().admin.rounds.finished().await;
    let ended = api.get("/api/discovered-models/refresh").await;
    assert_eq!((&ended["done"], &ended["failed"]), (&json!(1), &json!(["u"])));
    api.stop().await;
}
