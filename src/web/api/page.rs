//! `/api`: the OpenAPI document as a page to read, without a script.

use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use serde_json::{Map, Value};

use super::{document::document, nouns};
use crate::{
    error::Result,
    export::openclaw::shell_quoted,
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        public_url::PublicUrl,
    },
};

/// `/api`, for operators.
pub fn router() -> Router<Site> {
    Router::new().route("/api", get(show))
}

#[derive(Template)]
#[template(path = "pages/api.html")]
struct ApiPage {
    c: Chrome,
    first_try: String,
    groups: Vec<GroupView>,
    schemas: Vec<SchemaView>,
}

/// A description in parts; whether each is code, which descriptions write between backticks.
fn in_parts(text: &str) -> Vec<(bool, &str)> {
    let parts = text.split('`').enumerate().map(|(index, part)| (index % 2 == 1, part));
    parts.filter(|(_, part)| !part.is_empty()).collect()
}

/// Endpoints that belong together.
struct GroupView {
    id: String,
    name: String,
    description: String,
    operations: Vec<OperationView>,
}

struct OperationView {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<FieldView>,
    body: Option<BodyView>,
    answers: Vec<AnswerView>,
    curl: String,
}

struct BodyView {
    media_type: String,
    required: bool,
    kind: Vec<Piece>,
}

struct AnswerView {
    status: String,
    description: String,
    kind: Vec<Piece>,
}

/// A parameter, or a field of a schema.
struct FieldView {
    name: String,
    /// Where a parameter stands; empty for fields.
    place: String,
    kind: Vec<Piece>,
    required: bool,
    description: String,
}

struct SchemaView {
    name: String,
    description: String,
    /// What it is, if it is no object with fields.
    kind: Vec<Piece>,
    fields: Vec<FieldView>,
}

/// A piece of a type's name; one that names a schema is a link to it.
struct Piece {
    text: String,
    link: bool,
}

fn plain(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), link: false }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn joined(parts: Vec<Vec<Piece>>, between: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in parts {
        if !pieces.is_empty() {
            pieces.push(plain(between));
        }
        pieces.extend(part);
    }
    pieces
}

/// A schema's type in words.
fn kind(schema: &Value) -> Vec<Piece> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return vec![Piece { text: name.to_owned(), link: true }];
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[several].as_array() {
            return joined(parts.iter().map(kind).collect(), " | ");
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return joined(values.iter().map(|value| vec![plain(value.to_string())]).collect(), " | ");
    }
    if let Some(types) = schema["type"].as_array() {
        let one = |name: &Value| {
            let mut schema = schema.clone();
            schema["type"] = name.clone();
            kind(&schema)
        };
        return joined(types.iter().map(one).collect(), " | ");
    }
    match schema["type"].as_str() {
        Some("array") => std::iter::once(plain("list of ")).chain(kind(&schema["items"])).collect(),
        Some("object") if schema["additionalProperties"].is_object() => {
            std::iter::once(plain("object of ")).chain(kind(&schema["additionalProperties"])).collect()
        }
        Some("null") => vec![plain("null")],
        Some(name) => {
            let format = schema["format"].as_str().map(|format| format!(" ({format})")).unwrap_or_default();
            vec![plain(format!("{name}{format}"))]
        }
        None => vec![plain("any")],
    }
}

fn fields(schema: &Value) -> Vec<FieldView> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|required| required.iter().any(|known| known == name))
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(name, property)| FieldView {
            name: name.clone(),
            place: String::new(),
            kind: kind(property),
            required: required(name),
            description: description(property),
        })
        .collect()
}

/// A field's description, with its default and limits.
fn description(schema: &Value) -> String {
    let inner = ["oneOf", "anyOf"].map(|several| text(&schema[several][0]["description"]));
    let mut description = text(&schema["description"]);
    if description.is_empty() {
        description = inner.concat();
    }
    let mut facts = Vec::new();
    for (name, label) in [("default", "default"), ("minimum", "at least"), ("maximum", "at most")] {
        match &schema[name] {
            Value::Null => {}
            Value::String(value) => facts.push(format!("{label} {value}")),
            value => facts.push(format!("{label} {value}")),
        }
    }
    if !facts.is_empty() {
        description = format!("{description} ({})", facts.join(", "));
    }
    description.trim().to_owned()
}

fn operation_view(method: &str, path: &str, operation: &Value, url: &str) -> OperationView {
    let parameter = |parameter: &Value| FieldView {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        kind: kind(&parameter["schema"]),
        required: parameter["required"] == true,
        description: [text(&parameter["description"]), description(&parameter["schema"])]
            .join(" ")
            .trim()
            .to_owned(),
    };
    let content = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
    let answer = |(status, response): (&String, &Value)| AnswerView {
        status: status.clone(),
        description: text(&response["description"]),
        kind: match &response["content"]["application/json"]["schema"] {
            Value::Null => Vec::new(),
            schema => kind(schema),
        },
    };
    OperationView {
        id: text(&operation["operationId"]),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        description: text(&operation["description"]),
        parameters: operation["parameters"].as_array().into_iter().flatten().map(parameter).collect(),
        body: content.map(|(media_type, content)| BodyView {
            media_type: media_type.clone(),
            required: operation["requestBody"]["required"] == true,
            kind: kind(&content["schema"]),
        }),
        answers: operation["responses"].as_object().into_iter().flatten().map(answer).collect(),
        curl: curl(method, &format!("{url}{path}"), content.map(|(_, content)| &content["example"])),
    }
}

/// A call to paste into a shell; ids are 1.
fn curl(method: &str, url: &str, example: Option<&Value>) -> String {
    let mut command = String::from("curl -sS");
    if method != "get" {
        command.push_str(&format!(" -X {}", method.to_ascii_uppercase()));
    }
    command.push_str(&format!(
        " -H \"Authorization: Bearer $ONEPOOL_ACCESS_TOKEN\" {}",
        shell_quoted(&url.replace("{id}", "1"))
    ));
    if let Some(example) = example.filter(|example| !example.is_null()) {
        command.push_str(&format!(
            " \\\n  -H 'Content-Type: application/json' -d {}",
            shell_quoted(&example.to_string())
        ));
    }
    command
}

fn groups(document: &Value, url: &str) -> Vec<GroupView> {
    let nothing = Map::new();
    let paths = document["paths"].as_object().unwrap_or(&nothing);
    let of_tag = |tag: &Value| {
        let operations = paths.iter().flat_map(|(path, methods)| {
            methods
                .as_object()
                .into_iter()
                .flatten()
                .map(move |(method, operation)| (path, method, operation))
        });
        operations
            .filter(|(_, _, operation)| operation["tags"][0] == *tag)
            .map(|(path, method, operation)| operation_view(method, path, operation, url))
            .collect()
    };
    let view = |tag: &Value| GroupView {
        id: format!("group-{}", text(&tag["name"]).to_lowercase()),
        name: text(&tag["name"]),
        description: text(&tag["description"]),
        operations: of_tag(&tag["name"]),
    };
    document["tags"].as_array().into_iter().flatten().map(view).collect()
}

fn schemas(document: &Value) -> Vec<SchemaView> {
    let view = |(name, schema): (&String, &Value)| {
        let fields = fields(schema);
        SchemaView {
            name: name.clone(),
            description: text(&schema["description"]),
            kind: if fields.is_empty() { kind(schema) } else { Vec::new() },
            fields,
        }
    };
    document["components"]["schemas"].as_object().into_iter().flatten().map(view).collect()
}

async fn show(State(site): State<Site>, operator: Operator, headers: HeaderMap) -> Result<Response> {
    let url = PublicUrl::of(&site.catalog.load().settings, &headers, operator.visit.https).url;
    let document = document(&nouns());
    let first_try =
        format!("export ONEPOOL_ACCESS_TOKEN=op-…\n{}", curl("get", &format!("{url}/api/status"), None));
    render(&ApiPage {
        c: operator.chrome(Section::Account),
        first_try,
        groups: groups(&document, &url),
        schemas: schemas(&document),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(schema: Value) -> String {
        kind(&schema).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn a_type_is_told_in_words() {
        assert_eq!(words(json!({"type": ["integer", "null"], "format": "int64"})), "integer (int64) | null");
        assert_eq!(
            words(json!({"type": "array", "items": {"$ref": "#/components/schemas/Key"}})),
            "list of Key"
        );
        assert_eq!(
            words(json!({"type": "object", "additionalProperties": {"type": "string"}})),
            "object of string"
        );
        assert_eq!(words(json!({"type": "string", "enum": ["a", "b"]})), "\"a\" | \"b\"");
    }

    #[test]
    fn an_example_survives_the_shell() {
        let command = curl("post", "http://h/api/keys/{id}/check", Some(&json!({"model": "it's"})));
        assert_eq!(
            command,
            "curl -sS -X POST -H \"Authorization: Bearer $ONEPOOL_ACCESS_TOKEN\" http://h/api/keys/1/check \\\n  \
             -H 'Content-Type: application/json' -d '{\"model\":\"it'\\''s\"}'"
        );
    }
}
