//! The document and the router say the same, both ways; and the page shows the document.

use onepool::web::api;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused};

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
    serde_json::from_value::<utoipa::openapi::OpenApi>(document.clone()).expect("OpenAPI as utoipa reads it");
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let described = |schema: &Value| schema["description"].as_str().is_some_and(|text| !text.is_empty());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(described(schema), "{name} is not described");
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let own = described(property) || described(&property["anyOf"][0]);
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
