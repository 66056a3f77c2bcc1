//! How two descriptions of the same thing differ, field by field.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{ToSchema, openapi};

use crate::{
    model::key::Key,
    pool::input::{ChannelInput, KeyInput, LimitInput},
};

fn value_before() -> openapi::schema::Object {
    any_value(
        "What it is; `null` if it is not set. Both are `null` where the value is secret, or a list that only gets another order.",
    )
}

fn value_after() -> openapi::schema::Object {
    any_value("What it becomes; `null` if it is no longer set.")
}

/// The schema of a value of any kind.
fn any_value(description: &str) -> openapi::schema::Object {
    use openapi::schema::Type::{Array, Boolean, Null, Number, Object, String};
    openapi::schema::ObjectBuilder::new()
        .schema_type(openapi::schema::SchemaType::from_iter([String, Number, Boolean, Array, Object, Null]))
        .description(Some(description))
        .build()
}

/// How a field changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// The field, such as `weight` or `timeouts.idle_ms`.
    pub field: String,
    /// What it is; `null` if it is not set. Both are `null` where the value is secret, or a list that only gets another
    /// order.
    #[schema(schema_with = value_before)]
    pub from: Value,
    /// What it becomes; `null` if it is no longer set.
    #[schema(schema_with = value_after)]
    pub to: Value,
    /// Of a list: what comes in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Of a list: what goes out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

impl FieldChange {
    /// A change of which only the field is told.
    pub(super) fn of(field: impl Into<String>) -> Self {
        Self { field: field.into(), ..Self::default() }
    }
}

/// The fields of a value.
pub(super) fn json_of(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// Limits as people read them, one line each.
fn limit_lines(limits: &[LimitInput]) -> Value {
    limits.iter().map(LimitInput::to_string).collect()
}

/// What changes of a channel; secrets are only said to change.
pub(super) fn channel_changes(before: &ChannelInput, after: &ChannelInput) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    let (mut one, mut other) = (json_of(before), json_of(after));
    one.insert("limits".into(), limit_lines(&before.limits));
    other.insert("limits".into(), limit_lines(&after.limits));
    for secret in ["headers", "proxy"] {
        one.shift_remove(secret);
        other.shift_remove(secret);
    }
    compare_objects("", &one, &other, &mut changes);
    let mut headers = FieldChange::of("headers");
    headers.added =
        after.headers.keys().filter(|name| !before.headers.contains_key(*name)).cloned().collect();
    headers.removed =
        before.headers.keys().filter(|name| !after.headers.contains_key(*name)).cloned().collect();
    if !headers.added.is_empty() || !headers.removed.is_empty() {
        changes.push(headers);
    }
    for (name, value) in &after.headers {
        if before.headers.get(name).is_some_and(|before| before != value) {
            changes.push(FieldChange::of(format!("headers.{name}")));
        }
    }
    if before.proxy != after.proxy {
        changes.push(FieldChange::of("proxy"));
    }
    changes
}

/// What changes of a key besides its secret, by which it is known.
pub(super) fn key_changes(before: &Key, after: &Key) -> Vec<FieldChange> {
    let shown = |key: &Key| {
        let input = KeyInput::of(key);
        let mut object = json_of(&input);
        object.shift_remove("secret");
        object.insert("limits".into(), limit_lines(&input.limits));
        object
    };
    let mut changes = Vec::new();
    compare_objects("", &shown(before), &shown(after), &mut changes);
    changes
}

/// Notes the differences of two objects; `field` is the path in front of their fields.
pub(super) fn compare_objects(
    field: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    changes: &mut Vec<FieldChange>,
) {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let field = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        let of = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
        compare(field, of(before), of(after), changes);
    }
}

fn compare(field: String, before: Value, after: Value, changes: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (&before, &after) {
        (Value::Object(before), Value::Object(after)) => compare_objects(&field, before, after, changes),
        (Value::Array(before), Value::Array(after)) => compare_lists(field, before, after, changes),
        _ => changes.push(FieldChange { from: before, to: after, ..FieldChange::of(field) }),
    }
}

/// Lists of names, or of objects that have a name or, as steps of chains do, a model.
fn compare_lists(field: String, before: &[Value], after: &[Value], changes: &mut Vec<FieldChange>) {
    let name = |item: &Value| -> String {
        let named = |field: &str| item.get(field)?.as_str();
        let name = item.as_str().or_else(|| named("name")).or_else(|| named("model"));
        name.map_or_else(|| item.to_string(), str::to_owned)
    };
    let object = |item: &Value| match item {
        Value::Object(object) => object.clone(),
        _ => Map::from_iter([("name".to_owned(), item.clone())]),
    };
    let of = |items: &[Value]| items.iter().map(|item| (name(item), object(item))).collect::<HashMap<_, _>>();
    let (known, wanted) = (of(before), of(after));
    let mut list = FieldChange::of(field.clone());
    list.added = after.iter().map(name).filter(|name| !known.contains_key(name)).collect();
    list.removed = before.iter().map(name).filter(|name| !wanted.contains_key(name)).collect();
    let before_details = changes.len();
    let whole = !list.added.is_empty() || !list.removed.is_empty();
    if whole {
        changes.push(list);
    }
    for item in after {
        let name = name(item);
        if let (Some(before), Some(after)) = (known.get(&name), wanted.get(&name)) {
            compare_objects(&format!("{field}.{name}"), before, after, changes);
        }
    }
    if changes.len() == before_details {
        // The same things in another order.
        changes.push(FieldChange::of(field));
    }
}
