//! Reads what scripts send into explicit types: every fault is named by its field, as many at once as can be told apart.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use crate::pool::{
    input::{Fault, Faults},
    slip::nearest,
};

/// The name of the whole body in a fault.
const WHOLE: &str = "body";
/// The most faults that one answer names.
const MOST_FAULTS: usize = 50;

/// A fault of shape, and whether it is a field that is not known.
struct ShapeFault {
    fault: Fault,
    unknown: bool,
}

/// Reads a value, or says what is wrong with its shape: unknown fields, missing ones, wrong types.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Faults> {
    read_shape(value).map_err(|faults| Faults(faults.into_iter().map(|fault| fault.fault).collect()))
}

/// After each fault its field is taken out and the rest read again, so that one answer names them all.
fn read_shape<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<ShapeFault>> {
    // serde would take a list for a struct, its items for the fields in their order.
    if value.is_array() {
        let fault = Fault { field: WHOLE.into(), message: "Expected an object, not a list.".into() };
        return Err(vec![ShapeFault { fault, unknown: false }]);
    }
    let mut faults: Vec<ShapeFault> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if faults.is_empty() => return Ok(read),
            Ok(_) => return Err(faults),
            Err(error) => error,
        };
        let (path, fault) = explain(error.path(), &error.inner().to_string());
        // The field that was taken out is missing now: what comes after it cannot be told.
        if faults.iter().any(|known| known.fault.field == fault.fault.field) {
            return Err(faults);
        }
        faults.push(fault);
        if faults.len() >= MOST_FAULTS || !take_out(&mut value, &path) {
            return Err(faults);
        }
    }
}

enum Step {
    Key(String),
    Index(usize),
}

/// Where a fault is and what it says.
fn explain(path: &Path, message: &str) -> (Vec<Step>, ShapeFault) {
    let mut steps: Vec<Step> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let ends_in = |steps: &[Step], name: &str| matches!(steps.last(), Some(Step::Key(key)) if key == name);
    let mut unknown = false;
    let text = if message.starts_with("unknown field") {
        unknown = true;
        let name = quoted.first().copied().unwrap_or_default();
        if !ends_in(&steps, name) {
            steps.push(Step::Key(name.to_owned()));
        }
        let known = quoted.get(1..).unwrap_or_default();
        match nearest(name, known) {
            Some(near) => format!("There is no such field. Did you mean `{near}`?"),
            None if known.is_empty() => "There is no such field; nothing is taken here.".to_owned(),
            None => format!("There is no such field; known are: {}.", listed(known)),
        }
    } else if message.starts_with("missing field") {
        let name = quoted.first().copied().unwrap_or_default();
        steps.push(Step::Key(name.to_owned()));
        "This field is required.".to_owned()
    } else if message.starts_with("unknown variant") {
        let known = quoted.get(1..).unwrap_or_default();
        let near = nearest(quoted.first().copied().unwrap_or_default(), known);
        match near {
            Some(near) => format!("Did you mean `{near}`? Known are: {}.", listed(known)),
            None => format!("Use one of: {}.", listed(known)),
        }
    } else {
        wrong_type(message)
    };
    let field = written(&steps);
    (steps, ShapeFault { fault: Fault { field, message: text }, unknown })
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// serde's words in plain ones. What was sent is not repeated: it may be a secret in the wrong place.
fn wrong_type(message: &str) -> String {
    if message.starts_with("Expected ") {
        return message.to_owned();
    }
    let Some((found, expected)) = message.split_once(", expected ") else {
        return format!("This cannot be read: {message}.");
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i32" | "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("option") => "a value or null",
        other => other,
    };
    let kind = found.split_once(": ").map_or("", |(_, kind)| kind);
    let kind = kind.split(['`', '"']).next().unwrap_or_default().trim();
    let kind = match kind {
        "map" => "an object",
        "sequence" => "a list",
        "null" | "unit value" => "null",
        "boolean" => "true or false",
        "integer" => "this number",
        "floating point" => "this number",
        "string" => "this text",
        other => other,
    };
    format!("Expected {expected}, not {kind}.")
}

/// A path as people write it: `keys[1].label`.
fn written(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                // Names of fields are short; a key of a map may be anything that was sent.
                text.extend(key.chars().take(200));
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    if text.is_empty() { WHOLE.to_owned() } else { text }
}

/// Takes a field out of its object. Not an item out of a list, since that would move the others.
fn take_out(value: &mut Value, steps: &[Step]) -> bool {
    let Some((Step::Key(last), before)) = steps.split_last() else { return false };
    let parent = before.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    });
    parent.and_then(Value::as_object_mut).is_some_and(|object| object.remove(last).is_some())
}

/// Changes `target` as RFC 7396 (JSON Merge Patch) says: objects are merged, `null` takes a field out, all else replaces.
pub fn merge(target: &mut Value, patch: &Value, keep_null: bool) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(object) = target else { return };
    for (name, value) in patch {
        if value.is_null() && !keep_null {
            object.shift_remove(name);
        } else {
            merge(object.entry(name.clone()).or_insert(Value::Null), value, keep_null);
        }
    }
}

/// What a merge patch makes of a value, or what is wrong with it.
pub fn patched<T: Serialize + DeserializeOwned>(present: &T, patch: &Value) -> Result<T, Faults> {
    let cannot = |message: &str| Faults(vec![Fault { field: WHOLE.into(), message: message.into() }]);
    if !patch.is_object() {
        return Err(cannot("Expected an object with the fields to change."));
    }
    let present = serde_json::to_value(present).map_err(|_| cannot("The present state cannot be read."))?;
    // A misspelt field that is set to null would vanish in the merge.
    let mut with_nulls = present.clone();
    merge(&mut with_nulls, patch, true);
    if let Err(faults) = read_shape::<T>(with_nulls) {
        let unknown: Vec<Fault> =
            faults.into_iter().filter(|fault| fault.unknown).map(|fault| fault.fault).collect();
        if !unknown.is_empty() {
            return Err(Faults(unknown));
        }
    }
    let mut merged = present;
    merge(&mut merged, patch, false);
    read(merged)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pool::input::{ChannelInput, TokenInput};

    fn faults<T: DeserializeOwned>(value: Value) -> Vec<(String, String)> {
        let faults = read::<T>(value).err().unwrap_or_default();
        faults.0.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn every_fault_of_shape_is_named_by_its_path_with_the_nearest_known_name() {
        let found = faults::<ChannelInput>(json!({
            "name": "a", "base_url": "https://a.example", "wieght": 2, "timeouts": {"idle": 5},
            "priority": "high", "allow_private": 1, "models": [{"name": "m", "contextwindow": 1}],
        }));
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        for field in ["wieght", "timeouts.idle", "priority", "allow_private", "models[0].contextwindow"] {
            assert!(fields.contains(&field), "{field}: {found:?}");
        }
        let message = |field: &str| found.iter().find(|(name, _)| name == field).unwrap().1.clone();
        assert!(message("wieght").contains("`weight`"), "{found:?}");
        assert!(message("timeouts.idle").contains("`idle_ms`"), "{found:?}");
        assert_eq!(message("priority"), "Expected a whole number, not this text.");
        assert_eq!(message("allow_private"), "Expected true or false, not this number.");
    }

    #[test]
    fn a_missing_field_and_a_wrong_word_are_named_and_what_was_sent_is_not_repeated() {
        assert_eq!(faults::<ChannelInput>(json!({"name": "a"}))[0].0, "base_url");
        let found = faults::<TokenInput>(json!({"name": "a", "profile": "openclow"}));
        assert!(found[0].0 == "profile" && found[0].1.contains("Did you mean `openclaw`?"), "{found:?}");
        let found = faults::<TokenInput>(json!({"name": ["sk-secret"], "enabled": "sk-secret"}));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(!format!("{found:?}").contains("sk-secret"));
        assert_eq!(faults::<TokenInput>(json!([1]))[0].0, WHOLE);
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_means_the_default() {
        let present: TokenInput = read(json!({
            "name": "t", "note": "n", "requests_per_minute": 5, "models": ["a"],
            "quota": {"unit": "tokens", "limit": 5, "reset": "day"},
        }))
        .unwrap();
        let patch =
            json!({"requests_per_minute": null, "note": null, "models": ["b"], "quota": {"limit": 7}});
        let new = patched(&present, &patch).unwrap();
        assert_eq!((new.name.as_str(), new.note.as_str(), new.requests_per_minute), ("t", "", None));
        assert_eq!((new.models, new.quota.unwrap().limit.0), (vec!["b".to_owned()], "7".to_owned()));
        for (patch, field) in [
            (json!({"nmae": null}), "nmae"),
            (json!({"quota": {"limt": null}}), "quota.limt"),
            (json!({"name": null}), "name"),
            (json!({"enabled": "yes"}), "enabled"),
            (json!("x"), WHOLE),
        ] {
            assert_eq!(patched(&present, &patch).unwrap_err().0[0].field, field, "{patch}");
        }
    }
}
