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
    assert_eq!((&tested["ok"], &tested["detail"]), (&json!(true), &json!("status 200")));
    let sent = api.get("/api/notification-targets/1/deliveries").await;
    assert_eq!((&sent["items"][0]["test"], &sent["items"][0]["ok"]), (&json!(true), &json!(true)));
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
async fn each_way_to_reach_people_takes_its_own_fields_and_no_others() {
    let api = Api::start().await;
    let answer = r#"{"errcode":93000,"errmsg":"invalid webhook url t0ken-1"}"#;
    let receiver = Raw::answer(move |_, socket| write_json(socket, answer));
    let url = format!("http://{}/send?key=t0ken-1", receiver.address());
    let robot = json!({"name": "robot", "transport": "wecom", "url": url, "allow_private": true, "events": ["digest"],
        "quiet_hours": "22:00-07:30", "digest_weekly": true});
    let made = api.post("/api/notification-targets", robot).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let tested = api.send(Method::POST, "/api/notification-targets/1/test", None).await;
    let said = tested.json();
    assert_eq!((&said["ok"], &said["fault"]), (&json!(false), &json!("rejected")));
    assert!(
        said["detail"].as_str().unwrap().contains("93000") && !tested.text().contains("t0ken-1"),
        "{said}"
    );
    let mail = json!({"name": "mail", "transport": "email", "server": "smtp.example.com", "from": "a@b.example",
        "to": ["c@d.example"], "events": ["digest"]});
    let made = api.post("/api/notification-targets", mail.clone()).await.json();
    assert_eq!(
        (&made["transport"], &made["port"], &made["security"]),
        (&json!("email"), &json!(587), &json!("starttls"))
    );
    let mut wrong = mail;
    wrong["name"] = "other".into();
    wrong["chat"] = "-100".into();
    assert_refused(&api.post("/api/notification-targets", wrong).await, 422, "invalid_input");
    let other_way = json!({"transport": "bark"});
    let refused = api.send(Method::PATCH, "/api/notification-targets/2", Some(other_way)).await;
    assert_refused(&refused, 422, "invalid_input");
    assert!(refused.text().contains("cannot be changed"), "{}", refused.text());
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
