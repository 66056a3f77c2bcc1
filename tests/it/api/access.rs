//! Who may ask, and how a request that is malformed is refused.

use std::time::Duration;

use onepool::storage::access_tokens::new_access_token;
use reqwest::Method;
use serde_json::json;

use super::{Api, COOKIE, PASSWORD, assert_refused, fields};
use crate::support::app::{Reply, TOKEN};

#[tokio::test]
async fn only_a_valid_access_token_is_let_in_and_a_cookie_is_not() {
    let api = Api::start().await;
    api.app.token().await;
    for credential in [None, Some("op-wrong"), Some(TOKEN), Some("")] {
        let reply = api
            .send_with(Method::GET, "/api/status", None, |_| {
                let request = api.app.http.get(api.app.url("/api/status"));
                let request = request.header("cookie", format!("onepool_session={COOKIE}"));
                match credential {
                    Some(credential) => request.bearer_auth(credential),
                    None => request,
                }
            })
            .await;
        assert_refused(&reply, 401, "unauthorized");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"onepool\""));
        assert!(reply.header("access-control-allow-origin").is_none());
    }
    assert_eq!(api.get("/api/status").await["version"], env!("CARGO_PKG_VERSION"));
    // An access token is not a token: clients' endpoints do not take it.
    let call =
        api.app.http.get(api.app.url("/v1/models")).bearer_auth(api.access_token.expose()).send().await;
    assert_eq!(call.unwrap().status(), 401);
    api.stop().await;
}

#[tokio::test]
async fn an_access_token_is_refused_once_it_has_ended_or_is_revoked() {
    let api = Api::start().await;
    let db = &api.app.app.site().db;
    let short = new_access_token();
    let end = api.app.clock.now() + Duration::from_secs(3600);
    db.create_access_token(api.user, "short", &short, Some(end)).await.unwrap();
    let ask = async || {
        let request = api.app.http.get(api.app.url("/api/status")).bearer_auth(short.expose());
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);
    api.app.clock.advance(Duration::from_secs(3600));
    assert_eq!(ask().await, 401);

    let list = api.get("/api/access-tokens").await;
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["the test's", "short"]);
    assert!(list["items"][0]["last_used_at"].is_string());
    assert_refused(&api.delete("/api/access-tokens/99").await, 404, "not_found");
    let own = list["items"][0]["id"].as_i64().unwrap();
    assert_eq!(api.delete(&format!("/api/access-tokens/{own}")).await.status, 204);
    assert_refused(&api.send(Method::GET, "/api/status", None).await, 401, "unauthorized");
    api.stop().await;
}

#[tokio::test]
async fn whoever_guesses_waits_and_the_address_is_let_in_again_later() {
    let api = Api::start().await;
    let guess = async || {
        let request =
            api.app.http.get(api.app.url("/api/status")).bearer_auth("op-guess").send().await.unwrap();
        Reply::read(request).await
    };
    for _ in 0..11 {
        assert_refused(&guess().await, 401, "unauthorized");
    }
    let refused = guess().await;
    assert_refused(&refused, 429, "rate_limit_exceeded");
    assert_eq!(refused.header("retry-after"), Some("6"));
    assert_refused(&api.send(Method::GET, "/api/status", None).await, 429, "rate_limit_exceeded");
    api.app.clock.advance(Duration::from_secs(6));
    for _ in 0..50 {
        assert_eq!(
            api.send(Method::GET, "/api/status", None).await.status,
            200,
            "good tries are not counted"
        );
    }
    api.stop().await;
}

#[tokio::test]
async fn an_access_token_is_made_on_the_account_page_with_the_password_and_shown_once() {
    let api = Api::start().await;
    assert!(api.page("/account").await.contains("the test&#39;s"));
    let path = "/account/access-tokens/new";
    let wrong = api.form(path, &[("name", "deploy"), ("expires_days", "30"), ("password", "guess")]).await;
    assert!(wrong.status == 422 && wrong.text().contains("not your password"), "{}", wrong.text());
    let taken = api.form(path, &[("name", "The Test's"), ("expires_days", ""), ("password", PASSWORD)]).await;
    assert!(taken.status == 422 && taken.text().contains("of this name"), "{}", taken.text());

    let made = api.form(path, &[("name", "deploy"), ("expires_days", "30"), ("password", PASSWORD)]).await;
    let text = made.text();
    let value =
        text.split("value=\"").find(|part| part.starts_with("op-")).unwrap().split('"').next().unwrap();
    let request = api.app.http.get(api.app.url("/api/status")).bearer_auth(value);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let account = api.page("/account").await;
    assert!(
        account.contains(&format!("op-…{}", &value[value.len() - 4..])) && !account.contains(value),
        "{account}"
    );
    let listed = api.get("/api/access-tokens").await;
    assert_eq!(listed["items"][1]["expires_at"], "2026-12-20T12:00:00Z");

    let id = listed["items"][1]["id"].as_i64().unwrap();
    api.form(&format!("/account/access-tokens/{id}/revoke"), &[]).await;
    let request = api.app.http.get(api.app.url("/api/status")).bearer_auth(value);
    assert_eq!(request.send().await.unwrap().status(), 401);
    api.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_large_is_refused_with_its_reason() {
    let api = Api::start().await;
    let send = async |body: String, media_type: &'static str| {
        api.send_with(Method::POST, "/api/channels", None, |request| {
            request.header("content-type", media_type).body(body)
        })
        .await
    };
    assert_refused(&send("{".into(), "application/json").await, 400, "invalid_json");
    assert_refused(
        &send("name=a".into(), "application/x-www-form-urlencoded").await,
        415,
        "unsupported_media_type",
    );
    assert_refused(
        &send(format!("\"{}\"", "x".repeat(5 << 20)), "application/json").await,
        413,
        "request_too_large",
    );
    let whole = send("[1]".into(), "application/json; charset=utf-8").await;
    assert_refused(&whole, 422, "invalid_input");
    assert_eq!(fields(&whole), ["body"]);
    assert_refused(&send(String::new(), "application/json").await, 422, "invalid_input");
    api.stop().await;
}

#[tokio::test]
async fn a_parameter_that_is_not_known_or_out_of_range_is_named() {
    let api = Api::start().await;
    for (path, field) in [
        ("/api/channels?limt=5", "limt"),
        ("/api/channels?limit=0", "limit"),
        ("/api/channels?limit=many", "limit"),
        ("/api/channels?cursor=x", "cursor"),
        ("/api/status?verbose=1", "verbose"),
        ("/api/usage?status=abc", "status"),
        ("/api/usage?from=yesterday", "from"),
        ("/api/usage?stream=maybe", "stream"),
        ("/api/usage?endpoint=pictures", "endpoint"),
        ("/api/usage?result=odd", "result"),
        ("/api/usage?cursor=x", "cursor"),
        ("/api/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("/api/usage/report?by=colour", "by"),
        ("/api/usage/report?period=24h&from=2026-01-02T00:00:00Z", "period"),
        ("/api/openclaw", "token_id"),
        ("/api/openclaw?token_id=99", "token_id"),
        ("/api/rests?channel_id=99", "channel_id"),
    ] {
        let reply = api.send(Method::GET, path, None).await;
        assert_refused(&reply, 422, "invalid_input");
        assert_eq!(fields(&reply), [field], "{path}");
    }
    assert_eq!(json!(api.get("/api/channels?limit=5").await["items"]), json!([]));
    api.stop().await;
}
