//! What a patch changes in OpenClaw's configuration. Pure.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::present::{Present, REDACTED};
use crate::model::secret::Secret;

/// What stands for a secret that is not ours.
const HIDDEN: &str = "***";

/// What happens to a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there.
    Add,
    /// It gets another value.
    Change,
    /// It goes.
    Remove,
}

/// A change of one setting, or of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// The setting's path, as `openclaw config` writes it; of a model its id stands for its place in the list.
    pub path: String,
    /// The model of the provider that it is about, if it is about one.
    pub model: Option<String>,
    /// What is there, without secrets.
    pub from: Value,
    /// What will be there, without secrets.
    pub to: Value,
}

/// Everything that a patch changes, in the patch's order. `provider` is the one whose list of models the patch replaces as a
/// whole; everywhere else objects are merged, as `openclaw config patch` does. `secrets` are masked wherever they occur.
pub fn changes(present: &Present, patch: &Value, provider: &str, secrets: &[&Secret]) -> Vec<Change> {
    let models = format!("models.providers.{provider}.models");
    let mut comparison = Comparison { is_redacted: present.is_redacted, models, secrets, found: Vec::new() };
    comparison.compare("", "", present.values(), patch);
    comparison.found
}

struct Comparison<'a> {
    is_redacted: bool,
    models: String,
    secrets: &'a [&'a Secret],
    found: Vec<Change>,
}

impl Comparison<'_> {
    fn compare(&mut self, path: &str, key: &str, old: &Value, new: &Value) {
        match new {
            Value::Array(list) if path == self.models => self.compare_models(old, list),
            Value::Object(map) => {
                for (key, new) in map {
                    self.compare(&joined(path, key), key, old.get(key).unwrap_or(&Value::Null), new);
                }
            }
            _ if !same(old, new) => self.note(path, key, None, old, new),
            _ => {}
        }
    }

    fn compare_models(&mut self, old: &Value, new: &[Value]) {
        let path = self.models.clone();
        let none = Vec::new();
        let old = old.as_array().unwrap_or(&none);
        let id = |model: &Value| model["id"].as_str().unwrap_or_default().to_owned();
        for model in old.iter().filter(|model| !new.iter().any(|other| id(other) == id(model))) {
            self.note(&joined(&path, &id(model)), "", Some(id(model)), model, &Value::Null);
        }
        for model in new {
            let place = joined(&path, &id(model));
            match old.iter().find(|other| id(other) == id(model)) {
                None => self.note(&place, "", Some(id(model)), &Value::Null, model),
                Some(known) => self.compare_fields(&place, &id(model), known, model),
            }
        }
    }

    /// The fields of a model, which is replaced as a whole.
    fn compare_fields(&mut self, place: &str, id: &str, old: &Value, new: &Value) {
        let none = Map::new();
        let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
        for (key, value) in new {
            let before = old.get(key).unwrap_or(&Value::Null);
            if !same(before, value) {
                self.note(&joined(place, key), key, Some(id.to_owned()), before, value);
            }
        }
        for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            if !(self.is_redacted && is_default(key, value)) {
                self.note(&joined(place, key), key, Some(id.to_owned()), value, &Value::Null);
            }
        }
    }

    fn note(&mut self, path: &str, key: &str, model: Option<String>, from: &Value, to: &Value) {
        let action = match (from, to) {
            (Value::Null, _) => Action::Add,
            (_, Value::Null) => Action::Remove,
            _ => Action::Change,
        };
        let is_secret = matches!(key, "apiKey" | "token" | "password") || path.contains(".headers");
        let (from, to) = (self.masked(from, is_secret), self.masked(to, key == "apiKey"));
        self.found.push(Change { action, path: path.to_owned(), model, from, to });
    }

    /// A value without secrets. One that is ours keeps its last four characters, by which an operator knows it.
    fn masked(&self, value: &Value, is_secret: bool) -> Value {
        match value {
            Value::String(text) if text == REDACTED => HIDDEN.into(),
            Value::String(text) => {
                let ours = self.secrets.iter().find(|secret| text.contains(secret.expose()));
                match ours {
                    Some(secret) => format!("…{}", secret.last4()).into(),
                    None if is_secret && !text.starts_with("${") => HIDDEN.into(),
                    None => value.clone(),
                }
            }
            Value::Array(items) => items.iter().map(|item| self.masked(item, is_secret)).collect(),
            Value::Object(map) => {
                let secret = |key: &str| is_secret || matches!(key, "apiKey" | "headers");
                map.iter().map(|(key, value)| (key.clone(), self.masked(value, secret(key)))).collect()
            }
            other => other.clone(),
        }
    }
}

/// What `openclaw config get` adds to a model that says nothing of it.
fn is_default(key: &str, value: &Value) -> bool {
    match key {
        "cost" => {
            value.as_object().is_some_and(|cost| cost.values().all(|price| price.as_f64() == Some(0.0)))
        }
        "reasoning" => value == false,
        "input" => *value == json!(["text"]),
        "maxTokens" | "api" => true,
        _ => false,
    }
}

/// Whether two values say the same; `3` and `3.0` do.
fn same(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => old.as_f64() == new.as_f64(),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && new.iter().all(|(key, new)| old.get(key).is_some_and(|old| same(old, new)))
        }
        (old, new) => old == new,
    }
}

/// A path as `openclaw config` takes it: a key that is no plain word stands in brackets.
fn joined(path: &str, key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if key.is_empty() || !key.bytes().all(plain) {
        return format!("{path}[{}]", Value::from(key));
    }
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(present: Value, is_redacted: bool, patch: &Value) -> Vec<String> {
        let secret = Secret::new("sk-new-value-of-the-token-9999");
        let changes = changes(&Present::of(present, is_redacted), patch, "p", &[&secret]);
        let line = |change: &Change| {
            format!("{:?} {}: {} -> {}", change.action, change.path, change.from, change.to)
        };
        changes.iter().map(line).collect()
    }

    fn patch() -> Value {
        json!({
            "models": { "providers": { "p": {
                "baseUrl": "http://h/v1", "apiKey": "sk-new-value-of-the-token-9999", "headers": { "X-Client": "openclaw" },
                "models": [
                    { "id": "a", "name": "a", "contextWindow": 16000, "cost": { "input": 3, "output": 0.5 } },
                    { "id": "org/b:free", "name": "b" },
                ],
            } } },
            "agents": { "defaults": {
                "model": { "primary": "p/a", "fallbacks": ["p/org/b:free"] },
                "models": { "p/a": { "alias": "quick" }, "p/old": null },
            } },
        })
    }

    #[test]
    fn what_a_patch_changes_is_told_by_setting_and_by_model() {
        let present = json!({
            "models": { "providers": {
                "p": {
                    "baseUrl": "http://h/v1", "apiKey": "sk-an-old-value", "headers": { "X-Client": "openclaw" },
                    "models": [
                        { "id": "a", "name": "a", "contextWindow": 8000, "maxTokens": 100, "cost": { "input": 3.0, "output": 0.5 } },
                        { "id": "gone", "name": "gone" },
                    ],
                },
                "other": { "apiKey": "sk-of-others" },
            } },
            "agents": { "defaults": { "model": { "primary": "p/gone" }, "models": { "p/old": { "alias": "x" } } } },
        });
        assert_eq!(
            told(present, false, &patch()),
            [
                r#"Change models.providers.p.apiKey: "***" -> "…9999""#.to_owned(),
                r#"Remove models.providers.p.models.gone: {"id":"gone","name":"gone"} -> null"#.to_owned(),
                "Change models.providers.p.models.a.contextWindow: 8000 -> 16000".to_owned(),
                "Remove models.providers.p.models.a.maxTokens: 100 -> null".to_owned(),
                r#"Add models.providers.p.models["org/b:free"]: null -> {"id":"org/b:free","name":"b"}"#
                    .to_owned(),
                r#"Change agents.defaults.model.primary: "p/gone" -> "p/a""#.to_owned(),
                r#"Add agents.defaults.model.fallbacks: null -> ["p/org/b:free"]"#.to_owned(),
                r#"Add agents.defaults.models["p/a"].alias: null -> "quick""#.to_owned(),
                r#"Remove agents.defaults.models["p/old"]: {"alias":"x"} -> null"#.to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_in_step_changes_nothing_also_where_openclaw_mixes_defaults_in() {
        let mut present = patch();
        present["agents"]["defaults"]["models"].as_object_mut().unwrap().remove("p/old");
        assert_eq!(told(present.clone(), false, &patch()), [""; 0]);
        let models = &mut present["models"]["providers"]["p"]["models"];
        models[0]["maxTokens"] = json!(8192);
        models[1]["cost"] = json!({ "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 });
        models[1]["input"] = json!(["text"]);
        assert_eq!(told(present.clone(), true, &patch()), [""; 0]);
        present["models"]["providers"]["p"]["apiKey"] = json!(REDACTED);
        assert_eq!(
            told(present, true, &patch()),
            [r#"Change models.providers.p.apiKey: "***" -> "…9999""#],
            "a key that is not shown may be another one"
        );
    }

    #[test]
    fn no_secret_is_told_of_a_fresh_configuration_either() {
        let lines = told(Value::Null, false, &patch()).join("\n");
        assert!(!lines.contains("sk-") && lines.contains("…9999") && lines.contains("openclaw"), "{lines}");
    }
}
