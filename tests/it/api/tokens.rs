//! Tokens by script, and as the pages show them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};

async fn works(api: &Api, value: &str) -> bool {
    api.app.http.get(api.app.url("/v1/models")).bearer_auth(value).send().await.unwrap().status() == 200
}

#[tokio::test]
async fn a_token_is_made_changed_and_deleted_and_the_pages_agree() {
    let api = Api::start().await;
    let input = json!({
        "name": "laptop", "models": ["gpt-*"], "groups": ["free"], "cidrs": ["127.0.0.0/8"],
        "expires_at": "2027-01-01T00:00:00Z", "quota": {"unit": "dollars", "limit": 2.5, "reset": "month", "warn_at": [50, 80], "at_limit": "warn"},
        "requests_per_minute": 60, "profile": "openclaw", "note": "Lin's",
    });
    let made = api.post("/api/tokens", input.clone()).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/api/tokens/1")));
    let (token, value) = (made.json()["token"].clone(), made.json()["value"].as_str().unwrap().to_owned());
    for (field, expected) in input.as_object().unwrap() {
        assert_eq!(token[field], *expected, "{field}");
    }
    assert_eq!((&token["spent"], &token["quota_resets_at"]), (&json!(0), &json!("2026-12-01T00:00:00Z")));
    assert!(value.starts_with("sk-") && works(&api, &value).await);
    let page = api.page("/tokens/1").await;
    assert!(page.contains("laptop") && page.contains("$0 of $2.50") && !page.contains(&value), "{page}");
    assert!(!api.get("/api/tokens/1").await.to_string().contains(&value));
    assert!(!api.get("/api/tokens").await.to_string().contains(&value));
    assert_eq!(api.send(Method::POST, "/api/tokens/1/reveal", None).await.json()["value"], *value);

    let off = api.patch("/api/tokens/1", json!({"enabled": false, "quota": null, "cidrs": []})).await.json();
    assert_eq!(
        (&off["quota"], &off["usable"], &off["name"]),
        (&Value::Null, &json!(false), &json!("laptop"))
    );
    assert!(!works(&api, &value).await);
    api.form("/tokens/1/switch", &[("enabled", "true")]).await;
    assert_eq!(api.get("/api/tokens/1").await["token"]["usable"], true);
    let put = api.send(Method::PUT, "/api/tokens/1", Some(json!({"name": "desktop"}))).await.json();
    assert_eq!(
        (&put["models"], &put["profile"], &put["expires_at"]),
        (&json!([]), &json!("generic"), &Value::Null)
    );
    assert!(api.page("/tokens").await.contains("desktop"));
    assert_eq!(api.delete("/api/tokens/1").await.status, 204);
    assert!(!works(&api, &value).await);
    assert_refused(&api.send(Method::POST, "/api/tokens/1/reveal", None).await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn faults_of_a_token_and_of_its_value_are_named_together() {
    let api = Api::start().await;
    let reply = api
        .post("/api/tokens", json!({"name": "", "cidrs": ["10.0.0.300"], "quota": {"unit": "tokens", "limit": 1.5}, "value": "short"}))
        .await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["name", "cidrs[0]", "quota.limit", "value"]);
    let reply = api.post("/api/tokens", json!({"nmae": "x", "value": 5})).await;
    assert_eq!(fields(&reply), ["nmae", "name", "value"]);

    let value = "taken-over-from-another-gateway-0001";
    let taken = async |name: &str| api.post("/api/tokens", json!({"name": name, "value": value})).await;
    assert_eq!(taken("first").await.json()["value"], value);
    assert!(works(&api, value).await);
    let again = taken("second").await;
    assert_refused(&again, 409, "conflict");
    assert_eq!(fields(&again), ["value"]);
    let again = api.post("/api/tokens", json!({"name": "FIRST"})).await;
    assert_eq!((again.status, fields(&again)), (409, vec!["name".to_owned()]));
    assert_refused(&api.patch("/api/tokens/99", json!({"note": "x"})).await, 404, "not_found");
    let past = api.patch("/api/tokens/1", json!({"expires_at": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(fields(&past), ["expires_at"]);
    let no_time = api.patch("/api/tokens/1", json!({"expires_at": "soon"})).await;
    assert_eq!(fields(&no_time), ["expires_at"]);
    api.stop().await;
}

#[tokio::test]
async fn a_replaced_value_works_for_its_grace_time_or_until_it_is_ended() {
    let api = Api::start().await;
    let old =
        api.post("/api/tokens", json!({"name": "t"})).await.json()["value"].as_str().unwrap().to_owned();
    let replace = "/api/tokens/1/replace-value";
    let new =
        api.post(replace, json!({"grace_ms": 60_000})).await.json()["value"].as_str().unwrap().to_owned();
    assert!(new != old && works(&api, &old).await && works(&api, &new).await);
    let previous = &api.get("/api/tokens/1").await["previous_values"];
    assert_eq!(
        (&previous[0]["last4"], &previous[0]["valid_until"]),
        (&json!(old[old.len() - 4..]), &json!("2026-11-20T12:01:00Z"))
    );
    assert!(api.page("/tokens/1").await.contains(&old[old.len() - 4..]));
    api.app.clock.advance(Duration::from_secs(60));
    assert!(!works(&api, &old).await);

    api.post(replace, json!({"grace_ms": 60_000})).await;
    assert!(works(&api, &new).await);
    assert_eq!(api.send(Method::POST, "/api/tokens/1/revoke-previous", None).await.json()["ended"], 1);
    assert!(!works(&api, &new).await);
    assert_eq!(fields(&api.post(replace, json!({"grace_ms": -1})).await), ["grace_ms"]);
    for path in ["replace-value", "revoke-previous", "reset-quota", "reveal"] {
        let reply = api.send(Method::POST, &format!("/api/tokens/99/{path}"), None).await;
        assert_refused(&reply, 404, "not_found");
    }
    api.stop().await;
}
