//! What OpenClaw's provider `clawrouter` asks for: the catalogue of a token, and what it has used.

use onepool::model::{
    channel::{ChannelModel, Price},
    endpoint::Endpoint,
    token::{Quota, QuotaReset, QuotaUnit},
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TestApp, chat, model},
    upstream::Upstream,
};

async fn get(app: &TestApp, path: &str) -> Reply {
    Reply::read(app.request(reqwest::Method::GET, path).send().await.unwrap()).await
}

#[tokio::test]
async fn the_catalogue_holds_the_models_of_the_token_with_prices_and_abilities() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    upstream.set_models(&["claude"]);
    app.token_with(|token| token.models = vec!["open/*".into(), "claude".into(), "voice".into()]).await;
    app.channel_with("c", &upstream.base_url(), &["sk-upstream-secret"], |channel| {
        let mut priced = model("open/priced");
        priced.price = Some(Price { input: 150_000, cached: Some(75_000), output: 600_000, reasoning: None });
        let bare = ChannelModel { name: "open/bare".into(), ..ChannelModel::default() };
        let only = |name: &str, endpoint: Endpoint| ChannelModel {
            name: name.into(),
            endpoints: [endpoint].into_iter().collect(),
            ..ChannelModel::default()
        };
        channel.models = vec![
            priced,
            bare,
            model("not-in-scope"),
            only("open/responses", Endpoint::Responses),
            only("claude", Endpoint::Messages),
            only("voice", Endpoint::Speech),
        ];
    })
    .await;
    for path in ["/v1/catalog", "/v1/catalog/"] {
        let reply = get(&app, path).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let catalog = reply.json();
        let provider = &catalog["providers"][0];
        assert_eq!(
            (&provider["id"], &provider["openaiCompatible"], &provider["nativeBaseUrl"]),
            (&json!("onepool"), &json!(true), &json!("/v1/native/onepool"))
        );
        let entry = |id: &str, capability: &str, pricing: Value| json!({"id": id, "displayName": id, "upstream": id, "capabilities": [capability], "pricing": pricing});
        let priced = json!({
            "inputMicrosPerMillion": 150_000, "outputMicrosPerMillion": 600_000, "cachedInputMicrosPerMillion": 75_000,
            "cacheWrite5mInputMicrosPerMillion": 150_000, "maxInputTokens": 32_768, "defaultMaxOutputTokens": 1000,
        });
        let unknown = json!({"defaultMaxOutputTokens": 8192});
        let expected = json!([
            entry("claude", "llm.messages", unknown.clone()),
            entry("open/bare", "llm.chat", unknown.clone()),
            entry("open/priced", "llm.chat", priced),
            entry("open/responses", "llm.responses", unknown),
        ]);
        assert_eq!(provider["models"], expected);
        assert!(
            !reply.text().contains("sk-upstream") && !reply.text().contains(&upstream.address().to_string())
        );
    }
    // The native path of a model that speaks Anthropic's protocol only.
    let body =
        json!({"model": "claude", "max_tokens": 20, "messages": [{"role": "user", "content": "words=3"}]});
    let reply = app.post("/v1/native/onepool/v1/messages", &body).await;
    assert_eq!((reply.status, &reply.json()["type"]), (200, &json!("message")), "{}", reply.text());
    for (path, method) in [("/v1/catalog", "POST"), ("/v1/usage", "DELETE")] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(app.request(method, path).send().await.unwrap().status(), 405, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn usage_tells_the_budget_in_dollars_and_what_the_token_used_this_month() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    let quota = Quota::new(QuotaUnit::Dollars, 5_000_000, QuotaReset::Month);
    let id = app.token_with(|token| token.quota = Some(quota)).await;
    assert_eq!(app.post("/v1/chat/completions", &chat("m", false, "one words=3")).await.status, 200);
    let row = app.rows().await.remove(0);
    let used = get(&app, "/v1/usage").await.json();
    let zone = &app.app.site().catalog.load().zone;
    let month = app.app.site().clock.now().zoned(zone).strftime("month/%Y-%m").to_string();
    let expected = json!({
        "budget": {"configured": true, "limitMicros": 5_000_000, "spentMicros": row["cost"], "windowKey": month},
        "usage": {"summary": {
            "requestCount": 1,
            "totalTokens": row["prompt"].as_i64().unwrap() + row["completion"].as_i64().unwrap(),
            "actualCostMicros": row["cost"],
        }},
    });
    assert_eq!(used, expected);
    assert!(row["cost"].as_i64().unwrap() > 0);

    let db = &app.app.site().db;
    for (unit, reset, budget) in [
        (QuotaUnit::Dollars, QuotaReset::Never, json!("all")),
        (QuotaUnit::Requests, QuotaReset::Month, Value::Null),
    ] {
        let mut token = db.find_token(id).await.unwrap().unwrap();
        token.quota = Some(Quota { unit, reset, ..quota });
        db.update_token(&token).await.unwrap();
        app.reload().await;
        let used = get(&app, "/v1/usage").await.json();
        assert_eq!(used["budget"]["windowKey"], budget);
        assert_eq!(used["budget"]["configured"], !budget.is_null(), "{used}");
    }
    app.stop().await;
}

#[tokio::test]
async fn nobody_learns_a_catalogue_or_a_budget_without_a_token() {
    let app = TestApp::start().await;
    for path in ["/v1/catalog", "/v1/usage"] {
        let reply = Reply::read(app.http.get(app.url(path)).send().await.unwrap()).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_api_key"), "{path}");
    }
    app.stop().await;
}
