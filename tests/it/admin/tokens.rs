//! Tokens and the OpenClaw page.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};

use super::{Browser, PASSWORD, Page};

const VALUE: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz";
const MINUTES: Duration = Duration::from_secs(60);

/// What a client with a token's value gets.
async fn call(browser: &Browser, path: &str, value: &str) -> Page {
    let request = Request::get(path).header(header::HOST, "pool.lan:3000");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {value}"));
    browser.send(request.body(Body::empty()).unwrap()).await
}

async fn add_token(browser: &Browser, more: &str) {
    let form = format!("name=Laptop&enabled=true&value_source=given&value={VALUE}&expiry=entered{more}");
    let page = browser.post("/tokens/new", &form).await;
    assert_eq!(
        (page.status, page.location.as_str()),
        (StatusCode::SEE_OTHER, "/tokens/1/value"),
        "{}",
        page.body
    );
}

#[tokio::test]
async fn a_new_token_works_at_once_and_its_value_is_shown_for_minutes_only() {
    let browser = Browser::start().await;
    assert!(browser.get("/tokens").await.has("No tokens yet"));
    browser.add_channel(&[("small-model", false)]).await;
    add_token(&browser, "").await;
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::OK);
    let shown = browser.get("/tokens/1/value").await;
    assert!(
        shown.has(VALUE) && shown.has("small-model") && shown.has("http://pool.lan:3000/v1"),
        "{}",
        shown.body
    );
    let index = browser.get("/tokens").await;
    assert!(index.has("sk-…wxyz") && !index.has(VALUE), "{}", index.body);

    browser.wait(6 * MINUTES);
    let asked = browser.get("/tokens/1/value").await;
    assert!(!asked.has(VALUE) && asked.has("Confirm your password"), "{}", asked.body);
    let wrong = browser.post("/tokens/1/value", "password=guess&next=/tokens/1/value").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.has("not your password") && !wrong.has(VALUE));
    let form = format!("password={}&next=/tokens/1/value", PASSWORD.replace(' ', "+"));
    let right = browser.post("/tokens/1/value", &form).await;
    assert_eq!(right.location, "/tokens/1/value");
    assert!(browser.get("/tokens/1/value").await.has(VALUE));
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_form_with_mistakes_comes_back_with_its_values_and_a_message_at_each_field() {
    let browser = Browser::start().await;
    let page = browser
        .post("/tokens/new", "name=My+%3Cb%3E&cidrs=10.0.0.300&quota_unit=dollars&quota_limit=1,5&models=g*t")
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for text in
        ["value=\"My &#60;b&#62;\"", "value=\"1,5\"", "`10.0.0.300`", "`g*t`", "id=\"quota_limit-error\""]
    {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    add_token(&browser, "").await;
    let page = browser.post("/tokens/new", "name=laptop&value_source=generated").await;
    assert!(
        page.status == StatusCode::UNPROCESSABLE_ENTITY && page.has("This name is taken"),
        "{}",
        page.body
    );
    let page = browser.post("/tokens/new", &format!("name=other&value_source=given&value={VALUE}")).await;
    assert!(page.has("Another token has this value"), "{}", page.body);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_token_that_is_off_or_deleted_is_refused_from_the_next_call_on() {
    let browser = Browser::start().await;
    add_token(&browser, "").await;
    assert_eq!(browser.post("/tokens/1/switch", "").await.location, "/tokens/1");
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::UNAUTHORIZED);
    browser.post("/tokens/1/switch", "enabled=true").await;
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::OK);
    assert!(browser.get("/tokens/1/delete").await.has("No requests in the last 7 days"));
    assert_eq!(browser.post("/tokens/1/delete", "").await.location, "/tokens");
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/tokens/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/tokens/x").await.status, StatusCode::NOT_FOUND);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_replaced_value_works_for_its_grace_time_or_until_it_is_ended() {
    let browser = Browser::start().await;
    add_token(&browser, "").await;
    assert_eq!(browser.post("/tokens/1/rotate", "grace=hour").await.location, "/tokens/1/value");
    assert!(!browser.get("/tokens/1/value").await.has(VALUE), "the page shows the new value");
    assert!(browser.get("/tokens/1").await.has("sk-…wxyz"), "the old value is listed");
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::OK);
    browser.wait(60 * MINUTES);
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::UNAUTHORIZED, "grace is over");
    browser.app.shutdown().await;

    let browser = Browser::start().await;
    add_token(&browser, "").await;
    browser.post("/tokens/1/rotate", "grace=week").await;
    browser.post("/tokens/1/end-previous", "").await;
    assert_eq!(call(&browser, "/v1/models", VALUE).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.post("/tokens/1/rotate", "grace=ever").await.status, StatusCode::BAD_REQUEST);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn an_edit_keeps_what_was_not_touched_and_warns_of_models_without_a_price() {
    let browser = Browser::start().await;
    browser.add_channel(&[("free-model", false), ("paid-model", true)]).await;
    add_token(&browser, "&note=for+Lin").await;
    let form = "name=Desktop&enabled=true&note=for+Lin&pick=free-model&models=paid-model&quota_unit=dollars&quota_limit=2.50&quota_reset=month";
    assert_eq!(browser.post("/tokens/1", form).await.location, "/tokens/1");
    let page = browser.get("/tokens/1").await;
    for text in ["Desktop", "value=\"2.50\"", "$0 of $2.50", "paid-model\nfree-model", "for Lin"] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    assert!(page.has("models without a price are refused: free-model."), "{}", page.body);
    assert_eq!(browser.post("/tokens/1/reset-quota", "").await.location, "/tokens/1");
    assert!(browser.get("/tokens?q=desk").await.has("Desktop"));
    assert!(browser.get("/tokens?q=nothing").await.has("No token matches"));
    browser.app.shutdown().await;
}

#[tokio::test]
async fn the_openclaw_page_of_more_models_than_openclaw_reads_says_what_to_do_and_takes_a_few_of_them() {
    let browser = Browser::start().await;
    let names: Vec<String> = (0..1500).map(|number| format!("model-{number:04}")).collect();
    let models: Vec<(&str, bool)> = names.iter().map(|name| (name.as_str(), false)).collect();
    browser.add_channel(&models).await;
    add_token(&browser, "&profile=openclaw").await;
    let chain = browser
        .post("/chains/new", "name=zusammen&enabled=true&model=model-0001&spill=&model=model-0002&spill=")
        .await;
    assert_eq!(chain.status, StatusCode::SEE_OTHER, "{}", chain.body);

    let page = browser.get("/openclaw?token=1").await;
    assert_eq!(page.status, StatusCode::OK);
    let catalog = browser.app.site().catalog.load();
    let token = catalog.tokens().next().unwrap();
    let count = onepool::export::openclaw::models_of(&catalog, token).count();
    let told = format!("This token may use {count} models, and OpenClaw reads at most 1000");
    assert!(page.has(&told) && page.has("href=\"/chains\"") && page.has("href=\"/tokens/1\""));
    assert!(!page.has("role=\"alert\"") && !page.has("None ticked means all") && !page.has("config patch"));
    let place = |name: &str| page.body.find(&format!("value=\"{name}\"")).unwrap();
    assert!(place("zusammen") < place("model-0000"), "chains come first");
    let chosen = browser.get("/openclaw?token=1&model=zusammen&model=model-0007").await;
    assert_eq!(chosen.status, StatusCode::OK);
    assert!(
        chosen.has("onepool/zusammen") && chosen.has("config patch") && !chosen.has("This token may use")
    );
    let all: String = names[..1001].iter().map(|name| format!("&model={name}")).collect();
    let page = browser.get(&format!("/openclaw?token=1{all}")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.has("1001 models are too many"));
    browser.app.shutdown().await;
}

#[tokio::test]
async fn the_openclaw_page_and_the_command_it_gives_yield_the_same_models() {
    let browser = Browser::start().await;
    assert!(browser.get("/openclaw").await.has("Make one first"));
    browser.add_channel(&[("alpha", false), ("beta", false), ("gamma", false)]).await;
    add_token(&browser, "&profile=openclaw").await;
    let page = browser.get("/openclaw?token=1&model=alpha&model=beta&up=beta").await;
    assert!(page.has("onepool/beta") && page.has("${ONEPOOL_API_KEY}") && !page.has(VALUE), "{}", page.body);
    assert!(page.has("/openclaw.json5?model=beta&#38;model=alpha"), "{}", page.body);

    let export = call(&browser, "/openclaw.json5?model=beta&model=alpha", VALUE).await;
    let export: serde_json::Value = serde_json::from_str(&export.body).unwrap();
    assert_eq!(export["models"]["providers"]["onepool"]["apiKey"], VALUE);
    assert_eq!(export["models"]["providers"]["onepool"]["baseUrl"], "http://pool.lan:3000/v1");
    let model = &export["agents"]["defaults"]["model"];
    assert_eq!(
        (&model["primary"], &model["fallbacks"][0]),
        (&"onepool/beta".into(), &"onepool/alpha".into())
    );
    assert_eq!(call(&browser, "/openclaw.json5", "sk-wrong").await.status, StatusCode::UNAUTHORIZED);

    // The command has fetched both models, so the page tells what the next one changes, and the next one takes back.
    let aliased = "/openclaw.json5?model=beta&model=alpha&alias=alpha:a&image_model=none";
    assert!(call(&browser, aliased, VALUE).await.body.contains(r#""onepool/alpha":{"alias":"a"}"#));
    let page = browser.get("/openclaw?token=1&model=beta").await;
    for text in ["Models that are gone", "alpha", "Alias of alpha", "a → none"] {
        assert!(page.has(text), "{text} is missing in {}", page.body);
    }
    let look = call(&browser, "/openclaw.json5?model=beta&remember=false", VALUE).await;
    assert!(look.body.contains(r#""onepool/alpha":null"#), "{}", look.body);
    assert!(
        browser.get("/openclaw?token=1&model=beta").await.has("Models that are gone"),
        "a look is no export"
    );
    let file = browser.get("/openclaw/file?token=1&model=beta&alias=beta:b").await;
    assert!(file.body.contains(r#""onepool/*": {}"#) && !file.body.contains("null"), "{}", file.body);
    assert!(browser.get("/openclaw?token=1&model=beta&alias:beta=b").await.has("Nothing has changed."));
    assert_eq!(browser.post("/openclaw/copied?token=1&model=alpha", "").await.status, StatusCode::NO_CONTENT);
    assert!(browser.get("/openclaw?token=1&model=alpha").await.has("Nothing has changed."));

    for (query, option) in [
        ("modle=beta", "modle"),
        ("model=nobody", "model"),
        ("provider=a.b", "provider"),
        ("alias=beta:x&alias=alpha:X", "alias"),
        ("model=beta&alias=alpha:x", "alias"),
        ("image_model=beta", "image_model"),
        ("part=media&speech=beta", "speech"),
    ] {
        let refused = call(&browser, &format!("/openclaw.json5?{query}"), VALUE).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {}", refused.body);
        let body: serde_json::Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(body["error"]["param"], option, "{query}: {body}");
        let page = browser.get(&format!("/openclaw?token=1&{query}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(!page.has("config patch"), "{query}: nothing to apply");
    }
    assert!(
        browser.get("/openclaw?token=1&model=alpha").await.has("Nothing has changed."),
        "nothing was written"
    );

    let literal = "/openclaw?token=1&key=literal";
    assert!(browser.get(literal).await.has(VALUE), "the session has just made the token");
    browser.wait(6 * MINUTES);
    assert!(browser.get(literal).await.location.starts_with("/tokens/1/value?next=%2Fopenclaw%3Ftoken%3D1"));
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_tokens_page_shows_its_clients_with_their_versions_and_the_models_they_asked_for() {
    let browser = Browser::start().await;
    browser.add_channel(&[("small-model", false)]).await;
    add_token(&browser, "").await;
    assert!(browser.get("/tokens/1").await.has("No client has used this token yet."));
    let request = Request::post("/v1/chat/completions").header(header::HOST, "pool.lan:3000");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {VALUE}"));
    let request =
        request.header("x-client", "openclaw/2026.9.6").header(header::USER_AGENT, "OpenAI/JS 7.15.0");
    let body = r#"{"model": "Nobody-Has-<This>", "messages": [{"role": "user", "content": "hi"}]}"#;
    let answer = browser.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    browser.app.flush_usage().await;
    let page = browser.get("/tokens/1").await;
    for text in ["<code>openclaw</code>", "2026.9.6", "Nobody-Has-&#60;This&#62;", "just now"] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    assert!(!page.has("Nobody-Has-<This>"));
    assert!(page.has("href=\"/log/turns?token=1\""), "{}", page.body);
}
