//! The document and the router say the same, both ways; and the page shows the document.

use onepool::web::api;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused};
use crate::support::{
    app::TOKEN,
    upstream::{Fault, Upstream},
};

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[tokio::test]
async fn the_router_serves_what_the_document_names_and_nothing_else() {
    let api = Api::start().await;
    let documented = api.document.operations();
    assert!(documented.len() > 40, "{documented:?}");
    for (_, path) in &documented {
        let asked = path.replace("{id}", "999999");
        for method in METHODS {
            let named = documented.contains(&(method.clone(), path.clone()));
            // Sending nobody's access token changes nothing, and tells whether there is a route.
            let request = api.app.http.request(method.clone(), api.app.url(&asked));
            let status = request
                .bearer_auth("op-nobody")
                .header("x-forwarded-for", "unused")
                .send()
                .await
                .unwrap()
                .status();
            assert!(matches!(status.as_u16(), 401 | 429), "{method} {asked}: {status}");
            if !named {
                let reply = api.send(method.clone(), &asked, None).await;
                assert_refused(&reply, 405, "method_not_allowed");
                assert!(reply.header("allow").is_some(), "{method} {asked}");
            }
            // The refused tries above must not make this address wait.
            api.app.clock.advance(std::time::Duration::from_secs(60));
        }
    }
    for path in ["/api/nothing", "/api/channels/1/nothing", "/api/", "/api/channels/"] {
        let reply = api.send(Method::GET, path, None).await;
        assert_refused(&reply, 404, "not_found");
    }
    api.stop().await;
}

#[tokio::test]
async fn the_document_names_every_endpoint_and_every_example_can_be_sent() {
    let api = Api::start().await;
    let documented = api.document.operations();
    let mut count = 0;
    for endpoint in api::nouns().iter().flat_map(|noun| &noun.endpoints) {
        let operation = (endpoint.method.clone(), endpoint.path.to_owned());
        assert!(documented.contains(&operation), "{operation:?} is not documented");
        count += 1;
        let reply = api
            .send(endpoint.method.clone(), &endpoint.path.replace("{id}", "999999"), Some(json!({})))
            .await;
        assert_ne!(reply.status, 405, "{operation:?} is not served");
        if let Some(example) = &endpoint.example {
            let faults = (endpoint.check_body)(example.clone()).err();
            assert!(faults.is_none(), "the example of {operation:?}: {faults:?}");
            let schema = endpoint.body.as_ref().map(|body| &body.schema).unwrap();
            let problems = api.document.problems(schema, example, "");
            assert!(problems.is_empty(), "the example of {operation:?}: {problems:?}");
        }
    }
    assert_eq!(count, documented.len());
    api.stop().await;
}

#[tokio::test]
async fn the_document_is_sound_openapi_and_every_reference_leads_somewhere() {
    let api = Api::start().await;
    let document = &api.document.0;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let read = serde_json::from_value::<utoipa::openapi::RefOr<utoipa::openapi::Schema>>(schema.clone());
        assert!(read.is_ok(), "utoipa cannot read its own schema of {name}: {schema:#}");
    }
    serde_json::from_value::<utoipa::openapi::OpenApi>(document.clone()).expect("OpenAPI as utoipa reads it");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(described(schema), "{name} is not described");
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let own = ["oneOf", "anyOf"].iter().any(|several| described(&property[several][0]));
            // A field of a patch is described as deep as it is nested in choices.
            let deeper = property["anyOf"][0]["oneOf"].get(0).is_some_and(described);
            let own = own || deeper || described(property);
            assert!(own, "{name}.{field} is not described: {property}");
        }
    }
    let ids: Vec<&str> =
        text.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "two operations have one id");
    api.stop().await;
}

#[tokio::test]
async fn every_thing_that_can_be_read_answers_as_documented_and_tells_no_secret() {
    let (api, upstream) = (Api::start().await, Upstream::start());
    let channel = json!({
        "name": "full", "base_url": upstream.base_url(), "allow_private": true, "groups": ["g"], "note": "n",
        "budget": {"unit": "tokens", "limit": 1_000_000, "reset": "hour", "warn_at": [50], "at_limit": "warn"},
        "headers": {"X-Secret": "header-value-that-is-secret"}, "timeouts": {"idle_ms": 9000},
        "limits": [{"max": 40, "window": "1m"}],
        "models": ["n", {"name": "m", "context_window": 8192, "vision": true, "price": {"input": 1, "output": 2}}],
        "redirects": {"smart": ["m", "n"], "one": "m"}, "limits": [{"max": 40, "window": "1m"}],
    });
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    let keys = json!({"keys": [
        {"secret": "upstream-key-0000-alpha", "label": "a", "quota_group": "q"}, {"secret": "upstream-key-0000-beta"},
    ]});
    assert_eq!(api.post("/api/channels/1/keys", keys).await.json()["added"], 2);
    assert_eq!(api.post("/api/keys/1/check", json!({"model": "m"})).await.status, 200);
    for names in [&["m", "n", "one"][..], &["m", "n", "two"]] {
        upstream.set_models(names);
        assert_eq!(api.send(Method::POST, "/api/channels/1/refresh", None).await.status, 200);
    }
    let probe = json!({"channel_id": 1, "model": "m", "kinds": ["stream"]});
    assert_eq!(api.post("/api/probes", probe).await.json()["items"][0]["verdict"], "ok");
    let quota = json!({"unit": "dollars", "limit": 5, "reset": "day"});
    let token = json!({"name": "t", "value": TOKEN, "quota": quota, "expires_at": "2030-01-01T00:00:00Z"});
    assert_eq!(api.post("/api/tokens", token).await.status, 201);
    assert_eq!(api.post("/api/tokens/1/replace-value", json!({"grace_ms": 3_600_000})).await.status, 200);
    upstream.fail_next([Some(Fault::RateLimitedSeconds)]);
    let chain = json!({"name": "c", "steps": ["m", {"model": "gone", "spill_ms": "never"}]});
    assert_eq!(api.post("/api/chains", chain).await.status, 201);
    let own = json!({"model": "m", "price": {"input": 1, "cached": 0.5, "output": 2, "reasoning": 3}, "unit_prices": {"image": 0.04}});
    assert_eq!(api.send(Method::PUT, "/api/prices/own", Some(own)).await.status, 200);
    let name = json!({"name": "n", "model": "m"});
    assert_eq!(api.post("/api/ranking/names", name).await.status, 201);
    let webhook = json!({"name": "ops", "url": "http://127.0.0.1:9/secret-of-the-address", "allow_private": true,
        "secret": "header-value-that-is-secret", "events": ["key_invalid"]});
    assert_eq!(api.post("/api/notification-targets", webhook).await.status, 201);
    assert_eq!(api.send(Method::POST, "/api/notification-targets/1/test", None).await.status, 200);
    let call = api.app.chat(true, "words=3").await;
    assert_eq!(call.status, 200);
    let traced = |request: reqwest::RequestBuilder| {
        request
            .bearer_auth(TOKEN)
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    };
    assert_eq!(api.app.chat_with(traced).await.status, 200);
    api.app.app.flush_usage().await;
    let request_id = call.header("x-request-id").unwrap().to_owned();
    assert_eq!(api.get("/api/rests").await["items"].as_array().unwrap().len(), 1);
    let mut read = 0;
    for (method, path) in api.document.operations() {
        if method != Method::GET {
            continue;
        }
        let id = match path.as_str() {
            usage if usage.starts_with("/api/usage/") => request_id.as_str(),
            managed if managed.starts_with("/api/managed-chains/") => "auto",
            _ => "1",
        };
        let query = match path.as_str() {
            "/api/openclaw" => "?token_id=1",
            "/api/routes" => "?model=m",
            _ => "",
        };
        let reply = api.send(method, &format!("{}{query}", path.replace("{id}", id)), None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(!reply.text().contains(TOKEN), "{path} tells a token's value");
        if let Some(items) = reply.json()["items"].as_array() {
            assert!(!items.is_empty(), "{path} has nothing to hold against the document: {}", reply.text());
        }
        read += 1;
    }
    assert!(read >= 15, "{read}");
    api.stop().await;
}

#[tokio::test]
async fn the_page_shows_every_endpoint_to_operators_only() {
    let api = Api::start().await;
    let page = api.page("/api").await;
    for (method, path) in api.document.operations() {
        let line = format!("<span class=\"method\">{method}</span> <code>{path}</code>");
        assert!(page.contains(&line), "{line}");
    }
    for name in api.document.0["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    let link = page.split("href=\"#schema-").skip(1).filter_map(|rest| rest.split('"').next());
    for name in link {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "a link to {name} leads nowhere");
    }
    assert!(page.contains("curl -sS -X POST"), "{page}");
    assert!(api.page("/account").await.contains("href=\"/api\""));
    assert!(api.page("/settings").await.contains("href=\"/api\""));
    let stranger =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = stranger.get(api.app.url("/api")).send().await.unwrap();
    assert_eq!(response.headers()["location"], "/login?next=%2Fapi");
    api.stop().await;
}
