//! Status, models, OpenClaw's configuration, settings and sessions by script.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::app::TestApp;

#[tokio::test]
async fn the_status_counts_what_there_is_and_models_name_their_candidates() {
    let api = Api::start().await;
    let models = json!(["M", {"name": "n", "price": {"input": 1, "output": 2}}]);
    let channel = json!({"name": "u", "base_url": "https://a.example", "models": models, "redirects": {"smart": "n"}, "priority": 3});
    api.post("/api/channels", channel).await;
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}, {"secret": "upstream-key-0000-beta", "enabled": false}]})).await;
    api.post("/api/tokens", json!({"name": "t", "enabled": false})).await;
    let status = api.get("/api/status").await;
    assert_eq!(status["keys"], json!({"total": 2, "enabled": 1, "available": 1}));
    assert_eq!(
        (&status["channels"], &status["tokens"]),
        (&json!({"total": 1, "enabled": 1}), &json!({"total": 1, "enabled": 0}))
    );
    assert_eq!(
        (&status["models"], &status["alarm"], &status["now"]),
        (&json!(3), &Value::Null, &json!("2026-11-20T12:00:00Z"))
    );

    let listed = api.get("/api/models").await;
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["M", "n", "smart"]);
    let candidate = &listed["items"][2]["candidates"][0];
    assert_eq!(
        (
            &candidate["channel"],
            &candidate["model"]["name"],
            &candidate["priority"],
            &candidate["available_keys"]
        ),
        (&json!("u"), &json!("n"), &json!(3), &json!(1))
    );
    let first = api.get("/api/models?limit=1").await;
    let second = api.get(&format!("/api/models?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(second["items"][0]["name"], "n");
    assert_eq!(api.get("/api/models?name=SMART").await["items"].as_array().unwrap().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn openclaws_configuration_names_the_variable_unless_the_value_is_asked_for() {
    let api = Api::start().await;
    api.post(
        "/api/channels",
        json!({"name": "u", "base_url": "https://a.example", "models": ["a", "b", "c"]}),
    )
    .await;
    let made = api.post("/api/tokens", json!({"name": "claw", "models": ["a", "b"]})).await.json();
    let value = made["value"].as_str().unwrap();
    let export = api.get("/api/openclaw?token_id=1&model=b&model=a").await;
    assert_eq!(export["models"]["providers"]["onepool"]["apiKey"], "${ONEPOOL_API_KEY}");
    assert_eq!(
        export["agents"]["defaults"]["model"],
        json!({"primary": "onepool/b", "fallbacks": ["onepool/a"]})
    );
    assert!(!export.to_string().contains(value));
    let literal = api.get("/api/openclaw?token_id=1&key=literal").await;
    assert_eq!(literal["models"]["providers"]["onepool"]["apiKey"], value);
    let chosen =
        "/api/openclaw?token_id=1&provider=pool&alias=a:x&primary=b&fallback=none&variable=KEY&form=patch";
    let export = api.get(chosen).await;
    assert_eq!(export["models"]["providers"]["pool"]["apiKey"], "${KEY}");
    assert_eq!(
        export["agents"]["defaults"],
        json!({"model": {"primary": "pool/b", "fallbacks": []}, "models": {"pool/a": {"alias": "x"}}})
    );
    for (query, option) in [
        ("model=c", "model"),
        ("primary=c", "primary"),
        ("provider=openai", "provider"),
        ("alias=a", "alias"),
        ("alias=a:x&alias=b:x", "alias"),
        ("pdf_model=first", "pdf_model"),
        ("part=media&video=a", "video"),
        ("form=json", "form"),
        ("modle=a", "modle"),
    ] {
        let refused = api.send(Method::GET, &format!("/api/openclaw?token_id=1&{query}"), None).await;
        assert_eq!(fields(&refused), [option], "{query}");
    }
    api.stop().await;
}

#[tokio::test]
async fn settings_are_changed_together_or_not_at_all_and_secrets_are_not_shown() {
    let api = Api::of(TestApp::start_with(&[("KEEPALIVE_AFTER_MS", "9000")]).await).await;
    let find = |list: &Value, name: &str| {
        list["items"].as_array().unwrap().iter().find(|item| item["name"] == name).unwrap().clone()
    };
    let list = api.get("/api/settings").await;
    let password = find(&list, "ADMIN_PASSWORD");
    assert_eq!(
        (&password["value"], &password["is_set"], &password["locked"]),
        (&Value::Null, &json!(true), &json!(true))
    );
    assert_eq!(find(&list, "MAX_ATTEMPTS")["value"], find(&list, "MAX_ATTEMPTS")["default"]);

    let changed = api
        .patch(
            "/api/settings",
            json!({"MAX_ATTEMPTS": 3, "DIAGNOSTIC_HEADERS": false, "PUBLIC_URL": "https://pool.example"}),
        )
        .await;
    let max = find(&changed.json(), "MAX_ATTEMPTS");
    assert_eq!((&max["value"], &max["is_set"]), (&json!("3"), &json!(true)));
    assert_eq!(api.get("/api/status").await["public_url"], "https://pool.example", "it is in force at once");
    assert!(api.page("/settings").await.contains("value=\"https://pool.example\""));
    let wrong = json!({"MAX_ATEMPTS": 4, "MAX_ATTEMPTS": 0, "TZ": "UTC", "KEEPALIVE_AFTER_MS": 5, "RETENTION_DAYS": 7});
    let reply = api.patch("/api/settings", wrong).await;
    assert_refused(&reply, 422, "invalid_input");
    let mut named = fields(&reply);
    named.sort();
    assert_eq!(named, ["KEEPALIVE_AFTER_MS", "MAX_ATEMPTS", "MAX_ATTEMPTS", "TZ"]);
    assert!(reply.text().contains("Did you mean `MAX_ATTEMPTS`?"), "{}", reply.text());
    let after = api.get("/api/settings").await;
    assert_eq!(find(&after, "RETENTION_DAYS")["is_set"], false, "nothing was changed");
    assert_eq!(fields(&api.patch("/api/settings", json!({"MAX_ATTEMPTS": [1]})).await), ["MAX_ATTEMPTS"]);

    api.patch("/api/settings", json!({"PUBLIC_URL": null})).await;
    let replaced = api.send(Method::PUT, "/api/settings", Some(json!({"RETENTION_DAYS": "9"}))).await.json();
    assert_eq!(
        (&find(&replaced, "RETENTION_DAYS")["value"], &find(&replaced, "MAX_ATTEMPTS")["is_set"]),
        (&json!("9"), &json!(false))
    );
    assert_eq!(
        (&find(&replaced, "PUBLIC_URL")["value"], &find(&replaced, "KEEPALIVE_AFTER_MS")["value"]),
        (&Value::Null, &json!("9000"))
    );
    api.stop().await;
}

#[tokio::test]
async fn browser_sessions_are_listed_and_ended() {
    let api = Api::start().await;
    let sessions = api.get("/api/sessions").await;
    assert_eq!(sessions["items"][0]["user_agent"], "a browser");
    assert_refused(&api.delete("/api/sessions/99").await, 404, "not_found");
    let id = sessions["items"][0]["id"].as_i64().unwrap();
    assert_eq!(api.delete(&format!("/api/sessions/{id}")).await.status, 204);
    assert_eq!(api.get("/api/sessions").await["items"], json!([]));
    assert_eq!(api.delete("/api/sessions").await.json()["ended"], 0);
    let page = api.form("/account/sessions/end-others", &[]).await;
    assert!(page.text().contains("name=\"password\""), "the browser is at the login again");
    api.stop().await;
}
