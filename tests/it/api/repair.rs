//! Repairs, by the admin API.

use reqwest::Method;
use serde_json::json;

use super::{Api, assert_refused};
use crate::support::app::eventually;

#[tokio::test]
async fn a_repair_begins_and_its_report_can_be_asked_for() {
    let api = Api::start().await;
    assert_eq!(api.get("/api/repair").await, json!({"running": null, "last": null}));
    let steps = json!({"dry_run": true, "steps": ["server", "config"]});
    assert_eq!(api.post("/api/repair", steps).await.status, 200);
    eventually("it is done", async || api.get("/api/repair").await["running"].is_null()).await;
    let last = &api.get("/api/repair").await["last"];
    assert_eq!((&last["dry_run"], &last["ok"]), (&json!(true), &json!(true)), "{last:#}");
    let findings = last["findings"].as_array().unwrap();
    let has = |code: &str| findings.iter().any(|finding| finding["code"] == code);
    assert!(has("database_sound") && has("settings_fine"), "{last:#}");
    assert!(findings.iter().all(|finding| finding["step"] == "server" || finding["step"] == "config"));

    assert_eq!(api.post("/api/repair", json!({})).await.status, 200);
    eventually("it is done", async || api.get("/api/repair").await["last"]["dry_run"] == json!(false)).await;
    let wrong = api.send(Method::POST, "/api/repair", Some(json!({"steps": ["tea"]}))).await;
    assert_refused(&wrong, 422, "invalid_input");
    api.stop().await;
}
