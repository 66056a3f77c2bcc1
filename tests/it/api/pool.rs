//! The pool as a whole by script: declared, exported, backed up.

use reqwest::Method;
use serde_json::json;

use super::{Api, PASSWORD, assert_refused, fields};

#[tokio::test]
async fn a_declared_pool_is_planned_applied_once_and_exported_without_secrets() {
    let api = Api::start().await;
    let pool = json!({
        "channels": [{
            "name": "u", "base_url": "https://a.example", "models": ["m"],
            "headers": {"X-Secret": "header-value-that-is-secret"},
            "keys": [{"secret": "upstream-key-0000-alpha", "label": "a"}],
        }],
        "tokens": [{"name": "t"}],
    });
    let planned = api.post("/api/apply", json!({"pool": pool, "dry_run": true})).await.json();
    assert_eq!((&planned["changed"], planned["steps"].as_array().unwrap().len()), (&json!(false), 3));
    assert_eq!(api.get("/api/status").await["channels"]["total"], 0, "a dry run changes nothing");

    let done = api.post("/api/apply", json!({"pool": pool})).await.json();
    assert_eq!(done["changed"], true);
    assert!(done["new_tokens"][0]["value"].as_str().unwrap().starts_with("sk-"));
    assert!(api.page("/channels").await.contains("a.example"), "the page shows it");
    let again = api.post("/api/apply", json!({"pool": pool})).await.json();
    assert_eq!((&again["changed"], &again["steps"]), (&json!(false), &json!([])));

    let export = api.get("/api/export").await;
    let back = api.post("/api/apply", json!({"pool": export, "prune": true})).await.json();
    assert_eq!(back["changed"], false, "an export describes the pool as it is: {back}");
    api.stop().await;
}

#[tokio::test]
async fn a_pool_that_sends_keys_elsewhere_needs_the_password_and_a_wrong_one_changes_nothing() {
    let api = Api::start().await;
    let pool = |url: &str| {
        json!({"pool": {"channels": [{
            "name": "u", "base_url": url, "keys": [{"secret": "upstream-key-0000-alpha"}],
        }]}})
    };
    assert_eq!(api.post("/api/apply", pool("https://a.example")).await.status, 200);
    let moved = pool("https://elsewhere.example");
    assert_refused(&api.post("/api/apply", moved.clone()).await, 403, "password_required");
    assert_eq!(api.get("/api/channels/1").await["base_url"], "https://a.example");
    let reply = api
        .send_with(Method::POST, "/api/apply", Some(moved), |request| {
            request.header("x-onepool-password", PASSWORD)
        })
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(api.get("/api/channels/1").await["base_url"], "https://elsewhere.example");
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_declared_pool_is_named_by_its_field_and_nothing_is_applied() {
    let api = Api::start().await;
    let good = json!({"name": "good", "base_url": "https://a.example"});
    let wrong =
        json!({"name": "bad", "base_url": "https://a.example", "weight": 0, "keys": [{"secret": "env:KEY"}]});
    let reply = api.post("/api/apply", json!({"pool": {"channels": [good, wrong]}})).await;
    assert_refused(&reply, 422, "invalid_input");
    assert!(fields(&reply).contains(&"pool.channels[1].weight".to_owned()), "{}", reply.text());
    let reply = api.post("/api/apply", json!({"pool": {"chanels": []}})).await;
    assert!(reply.text().contains("Did you mean `channels`?"), "{}", reply.text());
    assert_eq!(api.get("/api/status").await["channels"]["total"], 0);
    api.stop().await;
}

#[tokio::test]
async fn a_backup_is_made_while_the_server_runs_and_holds_what_there_is() {
    let api = Api::start().await;
    api.post("/api/channels", json!({"name": "u", "base_url": "https://a.example"})).await;
    let made = api.post("/api/backup", json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!((&made["channels"], &made["keys"]), (&json!(1), &json!(0)));
    let path = std::path::Path::new(made["path"].as_str().unwrap());
    assert_eq!(std::fs::metadata(path).unwrap().len(), made["bytes"].as_u64().unwrap());
    let another = api.post("/api/backup", json!({})).await.json();
    assert_ne!(another["path"], made["path"], "an earlier backup stays");
    api.stop().await;
}
