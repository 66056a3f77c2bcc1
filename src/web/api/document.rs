//! The OpenAPI 3.1 document, made from the endpoints themselves.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    Noun,
    endpoint::{Endpoint, Schemas, add_schema, reference},
    refusal::ErrorBody,
};

/// Makes the document.
pub fn document(nouns: &[Noun]) -> Value {
    let mut schemas = Schemas::new();
    let error = add_schema::<ErrorBody>(&mut schemas);
    let mut paths: Map<String, Value> = Map::new();
    for noun in nouns {
        for endpoint in &noun.endpoints {
            schemas.extend(endpoint.schemas.iter().map(|(name, schema)| (name.clone(), schema.clone())));
            let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
            path[endpoint.method.as_str().to_ascii_lowercase()] = operation(noun, endpoint, &error);
        }
    }
    let tags: Vec<Value> =
        nouns.iter().map(|noun| json!({"name": noun.name, "description": noun.description})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OnePool admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Everything that operators do on OnePool's pages, for scripts. Times are RFC 3339, money is \
                            decimal dollars, durations are milliseconds. Unknown fields are refused.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "security": [{"access_token": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {"access_token": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token, `op-...`, from the account page or `onepool admin access-token`.",
            }},
            "schemas": schemas,
        },
    })
}

fn operation(noun: &Noun, endpoint: &Endpoint, error: &str) -> Value {
    let mut operation = json!({
        "tags": [noun.name],
        "summary": endpoint.summary,
        "operationId": operation_id(endpoint),
    });
    if !endpoint.description.is_empty() {
        operation["description"] = endpoint.description.into();
    }
    let parameters = parameters(endpoint);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &endpoint.body {
        let mut content = json!({"schema": body.schema});
        if let Some(example) = &endpoint.example {
            content["example"] = example.clone();
        }
        operation["requestBody"] = json!({"required": body.required, "content": {body.media_type: content}});
    }
    let (status, schema) = &endpoint.success;
    let mut responses = Map::new();
    let mut success =
        json!({"description": if schema.is_some() { "Done." } else { "Done; there is no body." }});
    if let Some(schema) = schema {
        success["content"] = json!({"application/json": {"schema": schema}});
    }
    if *status == StatusCode::CREATED {
        success["headers"] =
            json!({"Location": {"description": "Where it is.", "schema": {"type": "string"}}});
    }
    responses.insert(status.as_str().to_owned(), success);
    for (status, when) in failures(endpoint) {
        responses.insert(
            status.as_str().to_owned(),
            json!({"description": when, "content": {"application/json": {"schema": reference(error)}}}),
        );
    }
    operation["responses"] = responses.into();
    operation
}

/// The parameters of an endpoint's path and query.
fn parameters(endpoint: &Endpoint) -> Vec<Value> {
    let of_path = endpoint.parameter.as_ref().map(
        |schema| json!({"name": "id", "in": "path", "required": true, "description": "Its id.", "schema": schema}),
    );
    let properties = endpoint.query.as_ref().and_then(|query| query["properties"].as_object());
    let required = |name: &str| {
        let required = endpoint.query.as_ref().and_then(|query| query["required"].as_array());
        required.is_some_and(|required| required.iter().any(|known| known == name))
    };
    let of_query = properties.into_iter().flatten().map(|(name, schema)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.shift_remove("description"));
        json!({
            "name": name, "in": "query", "required": required(name), "description": description, "schema": schema,
        })
    });
    of_path.into_iter().chain(of_query).collect()
}

/// Every way in which an endpoint fails, in the order of the statuses.
fn failures(endpoint: &Endpoint) -> Vec<(StatusCode, &'static str)> {
    let mut failures = vec![
        (StatusCode::UNAUTHORIZED, "No access token, or one that is unknown, revoked or past its end."),
        (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many failed tries from this address; `Retry-After` says when to try again.",
        ),
        (StatusCode::INTERNAL_SERVER_ERROR, "A fault of the server; its log says more."),
    ];
    if endpoint.parameter.is_some() {
        failures.push((StatusCode::NOT_FOUND, "There is nothing of this id."));
    }
    if endpoint.body.is_some() {
        failures.push((StatusCode::BAD_REQUEST, "The body is not JSON."));
        failures.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."));
        failures.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not declared as JSON."));
    }
    failures.push((StatusCode::UNPROCESSABLE_ENTITY, "The input is wrong; `fields` names every fault."));
    failures.extend(&endpoint.failures);
    failures.sort_by_key(|(status, _)| *status);
    failures
}

/// `get_channels_id_keys`.
fn operation_id(endpoint: &Endpoint) -> String {
    let path = endpoint.path.trim_start_matches("/api/").replace(['/', '-'], "_").replace(['{', '}'], "");
    format!("{}_{path}", endpoint.method.as_str().to_ascii_lowercase())
}
