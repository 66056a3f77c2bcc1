//! Carries out [fixes](crate::model::fix) on a request's body.
//!
//! What is not touched stays byte for byte: order, white space, unknown fields, the precision of numbers. A fix that finds
//! nothing to do is known by a search for its words in the bytes, so a body that needs none is not parsed at all. Names of
//! fields are compared without regard to letter case, because some servers do; of a field that is there twice the last one
//! counts, as in most parsers, and the others go when it is changed.

mod effort;
mod form;
mod messages;
mod object;

pub use form::{FormField, apply_to_form};

use bytes::Bytes;
use memchr::memmem;

use crate::model::fix::{CacheControl, Fix, SetField, When};
use object::{Object, drop_path};

/// A body after its fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shaped {
    /// The body.
    pub body: Bytes,
    /// The client's fields of the top level that were left out.
    pub dropped: Vec<String>,
}

/// Carries out fixes, one after the other; `None` if none of them finds anything to do, or the body is no JSON object.
/// [`When::stream`] is the caller's to check.
pub fn apply<'f>(body: &Bytes, fixes: impl IntoIterator<Item = (&'f When, &'f Fix)>) -> Option<Shaped> {
    let mut object: Option<Object<'_>> = None;
    let mut dropped = Vec::new();
    for (when, fix) in fixes {
        // What an earlier fix wrote is not in the bytes.
        let untouched = object.as_ref().is_none_or(|object| !object.is_changed());
        if untouched && !finds_its_words(body, fix) {
            continue;
        }
        let object = match &mut object {
            Some(object) => object,
            None => object.insert(Object::read(std::str::from_utf8(body).ok()?)?),
        };
        if holds(when, object) {
            make(fix, object, &mut dropped);
        }
    }
    let body = object?.render()?.into();
    Some(Shaped { body, dropped })
}

/// The names of the fields on the top level of a body, each once; none if it is no JSON object.
pub fn field_names(body: &[u8]) -> Vec<String> {
    let object = std::str::from_utf8(body).ok().and_then(Object::read);
    let mut names: Vec<String> = object.iter().flat_map(|object| object.names()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// The raw value of a field on the top level of a body.
pub fn field_value(body: &[u8], name: &str) -> Option<String> {
    let object = std::str::from_utf8(body).ok().and_then(Object::read)?;
    object.value(name).map(str::to_owned)
}

/// Whether the body may hold what a fix is about.
fn finds_its_words(body: &[u8], fix: &Fix) -> bool {
    let has = |words: &str| memmem::find(body, words.as_bytes()).is_some();
    match fix {
        Fix::Rename(rename) => has(&rename.from),
        Fix::Drop(paths) => paths.iter().any(|path| has(path.rsplit('.').next().unwrap_or(path))),
        Fix::Set(_) => true,
        Fix::Replace(replace) => has(&replace.field) && has(&replace.from),
        Fix::Role(role) => has(&role.from),
        Fix::DropPrefill => has("assistant"),
        Fix::FillReasoningContent => has("tool_calls"),
        Fix::CacheControl(CacheControl::Strip) => has("cache_control"),
        Fix::CacheControl(CacheControl::Add) => !has("cache_control"),
        Fix::Effort(_) => has(effort::FIELD),
    }
}

fn holds(when: &When, object: &Object<'_>) -> bool {
    let is_said = |name: &String| object.value(name).is_some_and(|value| !matches!(value, "null" | "false"));
    (when.has.is_empty() || when.has.iter().any(is_said)) && !when.lacks.iter().any(is_said)
}

fn make(fix: &Fix, object: &mut Object<'_>, dropped: &mut Vec<String>) {
    match fix {
        Fix::Rename(rename) => object.rename(&rename.from, &rename.to),
        Fix::Drop(paths) => {
            for path in paths {
                leave_out(path, object, dropped);
            }
        }
        Fix::Set(SetField { field, value, always }) => {
            if *always || object.value(field).is_none() {
                object.set(field, value.to_string());
            }
        }
        Fix::Replace(replace) => {
            if object.value(&replace.field).is_some_and(|value| object::is_text(value, &replace.from)) {
                object.set(&replace.field, super::json::quoted(&replace.to));
            }
        }
        Fix::CacheControl(CacheControl::Strip) => {
            for path in [
                "messages.cache_control",
                "messages.content.cache_control",
                "tools.cache_control",
                "tools.function.cache_control",
                "cache_control",
            ] {
                leave_out(path, object, &mut Vec::new());
            }
        }
        Fix::Effort(effort) => effort::express(effort, object),
        Fix::Role(_)
        | Fix::DropPrefill
        | Fix::FillReasoningContent
        | Fix::CacheControl(CacheControl::Add) => {
            let Some(text) = object.value("messages") else { return };
            let changed = match fix {
                Fix::Role(role) => messages::with_role(text, &role.from, &role.to),
                Fix::DropPrefill => messages::without_prefill(text),
                Fix::FillReasoningContent => messages::with_reasoning_content(text),
                _ => messages::with_cache_marks(text),
            };
            if let Some(changed) = changed {
                object.set("messages", changed);
            }
        }
    }
}

/// Leaves out what a path leads to; notes the client's field if that is one of the top level.
fn leave_out(path: &str, object: &mut Object<'_>, dropped: &mut Vec<String>) {
    match path.split_once('.') {
        None => {
            if object.is_the_clients(path) {
                dropped.push(path.to_owned());
            }
            object.remove(path);
        }
        Some((field, rest)) => {
            let rest: Vec<&str> = rest.split('.').collect();
            if let Some(changed) = object.value(field).and_then(|value| drop_path(value, &rest)) {
                object.set(field, changed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
