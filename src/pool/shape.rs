//! The JSON schema of pool files, made from the types that read them, and the check of a document against it.
//!
//! The check tells every fault at once and in the reader's language, which a deserialiser cannot. It knows the part of
//! JSON Schema that our types need.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{file::PoolFile, input::Faults, rules};
use crate::i18n::Messages;

/// The most faults that are told; a file with more is of another kind altogether.
pub const MAX_FAULTS: usize = 100;

/// JSON Schema 2020-12 of a pool file, self-contained.
pub fn schema() -> Value {
    schema_of::<PoolFile>("OnePool pool file")
}

/// JSON Schema 2020-12 of a type, self-contained.
pub fn schema_of<T: ToSchema>(title: &str) -> Value {
    let mut definitions = Vec::new();
    T::schemas(&mut definitions);
    let mut document = Map::new();
    document.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    document.insert("title".into(), json!(title));
    if let Ok(Value::Object(root)) = serde_json::to_value(T::schema()) {
        document.extend(root);
    }
    let mut by_name: Vec<(String, Value)> = definitions
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect();
    by_name.sort_by(|one, other| one.0.cmp(&other.0));
    document.insert("$defs".into(), Value::Object(by_name.into_iter().collect()));
    let mut document = Value::Object(document);
    local_references(&mut document);
    document
}

/// OpenAPI keeps its schemas in another place than a JSON schema of its own.
fn local_references(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/$defs/");
            }
            object.values_mut().for_each(local_references);
        }
        Value::Array(list) => list.iter_mut().for_each(local_references),
        _ => {}
    }
}

/// What is wrong with the form of a pool file: unknown and missing fields, wrong types, words and numbers out of bounds.
pub fn check(document: &Value, t: Messages) -> Faults {
    check_against(&schema(), document, t)
}

/// The same for a document with another schema, of [`schema_of`].
pub fn check_against(schema: &Value, document: &Value, t: Messages) -> Faults {
    let mut checker = Checker { root: schema, t, faults: Faults::default() };
    checker.check("", document, schema);
    checker.faults
}

struct Checker<'a> {
    root: &'a Value,
    t: Messages,
    faults: Faults,
}

impl<'a> Checker<'a> {
    fn check(&mut self, path: &str, value: &Value, schema: &'a Value) {
        if self.faults.0.len() >= MAX_FAULTS {
            return;
        }
        let schema = self.resolved(schema);
        if let Some(options) = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(name)?.as_array()) {
            match options.iter().find(|option| self.takes(self.resolved(option), value)) {
                Some(option) => self.check(path, value, option),
                None => {
                    let kinds = options.iter().flat_map(|option| self.kinds(self.resolved(option)));
                    let kinds: Vec<&str> = kinds.collect();
                    self.wrong_kind(path, &kinds, value);
                }
            }
            return;
        }
        if !self.takes(schema, value) {
            let kinds = self.kinds(schema);
            self.wrong_kind(path, &kinds, value);
            return;
        }
        match value {
            Value::Object(object) => self.check_object(path, object, schema),
            Value::Array(list) => {
                if let Some(items) = schema.get("items") {
                    for (position, item) in list.iter().enumerate() {
                        self.check(&format!("{path}[{position}]"), item, items);
                    }
                }
            }
            Value::Number(number) => self.check_number(path, number, schema),
            Value::String(text) => self.check_text(path, text, schema),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn check_object(&mut self, path: &str, object: &Map<String, Value>, schema: &'a Value) {
        let t = self.t.pool_file;
        let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (name, value) in object {
            match (known.and_then(|known| known.get(name)), others) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.check(&inner(name), value, schema);
                }
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> =
                        known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
                    let message = match super::slip::nearest(name, &names) {
                        Some(near) => t.unknown_field_near(&rules::shortened(name), near),
                        None => t.unknown_field(&rules::shortened(name), &names.join(", ")),
                    };
                    self.faults.add(inner(name), message);
                }
                (None, _) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !object.contains_key(*name)) {
            self.faults.add(inner(name), t.missing());
        }
    }

    fn check_number(&mut self, path: &str, number: &serde_json::Number, schema: &Value) {
        if schema.get("type") != Some(&json!("integer")) && !kinds_of(schema).contains(&"integer") {
            return;
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        // What the type itself can hold.
        let (least, most) = match schema.get("format").and_then(Value::as_str) {
            Some("int32") => (0, i64::from(u32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        let (least, most) = (bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most));
        if !number.as_i64().is_some_and(|number| (least..=most).contains(&number)) {
            self.faults.add(path, self.t.common.field_out_of_range(least, most));
        }
    }

    fn check_text(&mut self, path: &str, text: &str, schema: &Value) {
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            if !words.contains(&text) {
                self.faults.add(path, self.t.pool_file.one_of(&words.join(", ")));
            }
        }
        let is_time = schema.get("format").and_then(Value::as_str) == Some("date-time");
        if is_time && text.parse::<jiff::Timestamp>().is_err() {
            self.faults.add(path, self.t.pool_file.not_a_time());
        }
    }

    fn wrong_kind(&mut self, path: &str, wanted: &[&str], value: &Value) {
        let t = self.t.pool_file;
        // "Nothing" is offered by leaving the field out.
        let wanted: Vec<&str> =
            wanted.iter().filter(|kind| **kind != "null").map(|kind| self.kind_name(kind)).collect();
        let found = self.kind_name(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        });
        self.faults.add(path, t.wrong_kind(&wanted.join(t.or()), found));
    }

    fn kind_name(&self, kind: &str) -> &'static str {
        let t = self.t.pool_file;
        match kind {
            "boolean" => t.kind_switch(),
            "integer" => t.kind_integer(),
            "number" => t.kind_number(),
            "string" => t.kind_text(),
            "array" => t.kind_list(),
            "object" => t.kind_table(),
            _ => t.kind_nothing(),
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        target.unwrap_or(schema)
    }

    fn kinds(&self, schema: &'a Value) -> Vec<&'a str> {
        let options = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(name)?.as_array());
        match options {
            Some(options) => options.iter().flat_map(|option| self.kinds(self.resolved(option))).collect(),
            None => kinds_of(schema),
        }
    }

    /// Whether a schema is for values of this kind.
    fn takes(&self, schema: &'a Value, value: &Value) -> bool {
        let kinds = self.kinds(schema);
        kinds.is_empty()
            || kinds.iter().any(|kind| match *kind {
                "null" => value.is_null(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "string" => value.is_string(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                _ => false,
            })
    }
}

/// The kinds of values that a schema without alternatives is for.
fn kinds_of(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    fn fields(document: Value) -> Vec<(String, String)> {
        let faults = check(&document, Messages::of(Lang::En));
        faults.0.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn a_document_of_the_right_form_has_no_fault() {
        let document = json!({
            "version": 1,
            "channels": [{
                "name": "A", "base_url": "https://a.example", "protocol": "openai", "provider": "groq", "priority": -2, "weight": 3,
                "proxy": null, "timeouts": {"idle_ms": 5000}, "headers": {"X-A": "b"},
                "models": ["a", {"name": "b", "context_window": 8192, "price": {"input": 0.15, "output": "0.6"}}],
                "redirects": {"x": "a", "y": ["a", "b"]},
                "keys": [{"secret": "abcd", "quota_group": null}]
            }],
            "chains": [{"name": "c", "steps": ["a", {"model": "b", "spill_ms": 0}, {"model": "d", "spill_ms": "never"}]}],
            "tokens": [{"name": "t", "expires_at": "2030-01-01T00:00:00Z", "value": "sk-x",
                "quota": {"unit": "dollars", "limit": 2, "reset": "month"}, "profile": "openclaw"}]
        });
        assert_eq!(fields(document), []);
        assert_eq!(fields(json!({})), []);
    }

    #[test]
    fn every_fault_of_form_is_told_with_its_field_and_remedy() {
        let found = fields(json!({
            "version": "1", "chanels": [],
            "channels": [
                {"name": 1, "wieght": 2, "protocol": "http", "models": [1, {"nam": "x"}], "priority": 1.5},
                {"name": "a", "base_url": "b", "keys": {"secret": "x"}, "redirects": {"x": {}}, "completely_else": 1}
            ],
            "chains": [
                {"name": "c", "step": [], "steps": [1, {"modle": "x"}, {"model": "y", "spill_ms": "soon"}, {"model": "z", "spill_ms": -1}]}
            ],
            "tokens": [{"name": "t", "expires_at": "tomorrow", "requests_per_minute": 0, "enabled": "yes"}]
        }));
        let names: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        for name in [
            "version",
            "chanels",
            "channels[0].name",
            "channels[0].wieght",
            "channels[0].base_url",
            "channels[0].protocol",
            "channels[0].models[0]",
            "channels[0].models[1].nam",
            "channels[0].models[1].name",
            "channels[0].priority",
            "channels[1].keys",
            "channels[1].redirects.x",
            "channels[1].completely_else",
            "chains[0].step",
            "chains[0].steps[0]",
            "chains[0].steps[1].modle",
            "chains[0].steps[1].model",
            "chains[0].steps[2].spill_ms",
            "chains[0].steps[3].spill_ms",
            "tokens[0].expires_at",
            "tokens[0].requests_per_minute",
            "tokens[0].enabled",
        ] {
            assert!(names.contains(&name), "{name} is missing in {found:?}");
        }
        assert_eq!(names.len(), 22, "{found:?}");
        let message = |field: &str| &found.iter().find(|(name, _)| name == field).unwrap().1;
        assert!(message("channels[0].wieght").contains("“weight”"), "{}", message("channels[0].wieght"));
        assert!(message("chanels").contains("“channels”"));
        assert!(message("channels[1].completely_else").contains("base_url"), "the known names are listed");
    }
}
