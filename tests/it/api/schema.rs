//! Holds answers against an OpenAPI document: as much of JSON Schema as the document uses, and stricter in one point: a
//! field that the document does not name is an error.

use reqwest::Method;
use serde_json::Value;

use crate::support::app::Reply;

/// The server's OpenAPI document.
pub struct Document(pub Value);

impl Document {
    /// Every operation: method and path.
    pub fn operations(&self) -> Vec<(Method, String)> {
        let paths = self.0["paths"].as_object().unwrap();
        let of_path = |(path, methods): (&String, &Value)| {
            let methods: Vec<String> = methods.as_object().unwrap().keys().cloned().collect();
            let path = path.clone();
            methods.into_iter().map(move |method| (method.to_uppercase().parse().unwrap(), path.clone()))
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// The operation that a request goes to.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap();
        let method = method.as_str().to_lowercase();
        if let Some(operation) = self.0["paths"].get(path).and_then(|methods| methods.get(&method)) {
            return Some(operation);
        }
        let matches = |template: &str| {
            let (wanted, given): (Vec<&str>, Vec<&str>) =
                (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        let paths = self.0["paths"].as_object().unwrap();
        paths.iter().find(|(template, _)| matches(template)).and_then(|(_, methods)| methods.get(&method))
    }

    /// Asserts that an answer is one that the document promises.
    pub fn check(&self, method: &Method, path: &str, reply: &Reply) {
        let Some(operation) = self.operation(method, path) else {
            assert!(matches!(reply.status, 401 | 404 | 405 | 429), "{method} {path} is not documented");
            return;
        };
        let at = format!("{method} {path} -> {}", reply.status);
        let response = operation["responses"].get(reply.status.to_string());
        let response = response.unwrap_or_else(|| panic!("{at} is not documented: {}", reply.text()));
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            assert!(reply.body.is_empty(), "{at} has a body: {}", reply.text());
            return;
        }
        assert_eq!(reply.header("content-type"), Some("application/json"), "{at}");
        let problems = self.problems(schema, &reply.json(), "");
        assert!(problems.is_empty(), "{at}: {problems:?} in {}", reply.text());
    }

    /// What is wrong with a value.
    pub fn problems(&self, schema: &Value, value: &Value, path: &str) -> Vec<String> {
        let wrong = |text: String| vec![format!("{path}: {text}")];
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#'));
            return match target {
                Some(target) => self.problems(target, value, path),
                None => wrong(format!("{reference} leads nowhere")),
            };
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(parts) = schema[choice].as_array() {
                let found: Vec<Vec<String>> =
                    parts.iter().map(|part| self.problems(part, value, path)).collect();
                return if found.iter().any(Vec::is_empty) { Vec::new() } else { found.concat() };
            }
        }
        let mut problems = Vec::new();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            problems.extend(self.problems(part, value, path));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let is = |name: &str| match name {
            "null" => value.is_null(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{path}: the type {other}"),
        };
        if !types.is_empty() && !types.iter().any(|name| is(name)) {
            return wrong(format!("{value} is not {types:?}"));
        }
        if let Some(values) = schema["enum"].as_array()
            && !values.contains(value)
        {
            problems.extend(wrong(format!("{value} is not one of {values:?}")));
        }
        match (schema["format"].as_str(), value) {
            (Some("date-time"), Value::String(text)) if text.parse::<jiff::Timestamp>().is_err() => {
                problems.extend(wrong(format!("{text} is no time")));
            }
            (Some("uuid"), Value::String(text)) if uuid::Uuid::parse_str(text).is_err() => {
                problems.extend(wrong(format!("{text} is no UUID")));
            }
            _ => {}
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            if schema.get("items").is_some() {
                problems.extend(self.problems(&schema["items"], item, &format!("{path}[{index}]")));
            }
        }
        if let Value::Object(object) = value {
            problems.extend(self.object_problems(schema, object, path));
        }
        problems
    }

    fn object_problems(
        &self,
        schema: &Value,
        object: &serde_json::Map<String, Value>,
        path: &str,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                problems.push(format!("{path}: {name} is missing"));
            }
        }
        for (name, value) in object {
            let path = format!("{path}.{name}");
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(property), _) => problems.extend(self.problems(property, value, &path)),
                (None, Some(Value::Bool(true))) => {}
                (None, Some(rest)) if rest.is_object() => problems.extend(self.problems(rest, value, &path)),
                _ => problems.push(format!("{path} is not documented")),
            }
        }
        problems
    }
}
