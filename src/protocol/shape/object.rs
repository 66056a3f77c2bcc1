//! A JSON object whose fields can be changed, and whose other bytes stay.

use std::{borrow::Cow, ops::Range};

use serde_json::value::RawValue;

use crate::protocol::json::{entries, quoted, span};

/// An object, read field by field.
pub(super) struct Object<'a> {
    text: &'a str,
    fields: Vec<Field<'a>>,
    added: Vec<(String, String)>,
    changed: bool,
}

struct Field<'a> {
    name: Cow<'a, str>,
    /// From the quotation mark before its name to the end of its value.
    place: Range<usize>,
    value: &'a str,
    new_name: Option<String>,
    new_value: Option<String>,
    removed: bool,
}

impl Field<'_> {
    fn is_called(&self, name: &str) -> bool {
        !self.removed && self.new_name.as_deref().unwrap_or(&self.name).eq_ignore_ascii_case(name)
    }
}

impl<'a> Object<'a> {
    /// Reads an object; `None` if the text is none.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut end = text.find('{')? + 1;
        let mut fields = Vec::new();
        for (name, value) in entries(text).ok()? {
            let value = value.get();
            let stands = span(text, value);
            // Between two fields there are only a comma and white space.
            let start = end + text.get(end..stands.start)?.find('"')?;
            end = stands.end;
            let place = start..end;
            fields.push(Field { name, place, value, new_name: None, new_value: None, removed: false });
        }
        Some(Self { text, fields, added: Vec::new(), changed: false })
    }

    /// Whether anything was changed.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// The names of its fields, as they were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| &*field.name)
    }

    /// The raw value of a field as it is now.
    pub fn value(&self, name: &str) -> Option<&str> {
        let added = self.added.iter().rev().find(|(added, _)| added.eq_ignore_ascii_case(name));
        added.map(|(_, value)| value.as_str()).or_else(|| {
            let field = self.fields.iter().rev().find(|field| field.is_called(name))?;
            Some(field.new_value.as_deref().unwrap_or(field.value))
        })
    }

    /// Whether a field was there when the object was read, and still is.
    pub fn is_the_clients(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.is_called(name))
    }

    /// Gives a field a raw value; adds it at the end if it is not there.
    pub fn set(&mut self, name: &str, value: String) {
        self.changed = true;
        if let Some((_, added)) =
            self.added.iter_mut().rev().find(|(added, _)| added.eq_ignore_ascii_case(name))
        {
            *added = value;
        } else if let Some(at) = self.only(name) {
            self.fields[at].new_value = Some(value);
        } else {
            self.added.push((name.to_owned(), value));
        }
    }

    /// Removes every field of a name.
    pub fn remove(&mut self, name: &str) {
        let before = self.added.len();
        self.added.retain(|(added, _)| !added.eq_ignore_ascii_case(name));
        let mut removed = self.added.len() < before;
        for field in self.fields.iter_mut().filter(|field| field.is_called(name)) {
            field.removed = true;
            removed = true;
        }
        self.changed |= removed;
    }

    /// Gives a field another name; removes it if the other one is there too.
    pub fn rename(&mut self, from: &str, to: &str) {
        if self.value(from).is_none() {
            return;
        }
        if from.eq_ignore_ascii_case(to) || self.value(to).is_none() {
            self.changed = true;
            if let Some((name, _)) =
                self.added.iter_mut().rev().find(|(name, _)| name.eq_ignore_ascii_case(from))
            {
                to.clone_into(name);
            } else if let Some(at) = self.only(from) {
                self.fields[at].new_name = Some(to.to_owned());
            }
        } else {
            self.remove(from);
        }
    }

    /// The last field of a name; the others of that name go.
    fn only(&mut self, name: &str) -> Option<usize> {
        let last = self.fields.iter().rposition(|field| field.is_called(name))?;
        for field in self.fields[..last].iter_mut().filter(|field| field.is_called(name)) {
            field.removed = true;
        }
        Some(last)
    }

    /// The object as text; `None` if nothing was changed.
    pub fn render(&self) -> Option<String> {
        if !self.changed {
            return None;
        }
        let open = self.text.find('{')? + 1;
        let first = self.fields.first().map_or(open, |field| field.place.start);
        let last = self.fields.last().map_or(open, |field| field.place.end);
        let more: usize = self.added.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut out = String::with_capacity(self.text.len() + more + 64);
        out.push_str(&self.text[..first]);
        let (mut end, mut begun) = (first, false);
        for field in &self.fields {
            if !field.removed {
                if begun {
                    out.push_str(&self.text[end..field.place.start]);
                }
                begun = true;
                match &field.new_name {
                    // The text between the name and the value is a colon and white space.
                    Some(name) => {
                        let value_at = field.place.end - field.value.len();
                        let before = &self.text[field.place.start..value_at];
                        out.push_str(&quoted(name));
                        out.push_str(&before[before.rfind('"').map_or(0, |quote| quote + 1)..]);
                    }
                    None => out.push_str(&self.text[field.place.start..field.place.end - field.value.len()]),
                }
                out.push_str(field.new_value.as_deref().unwrap_or(field.value));
            }
            end = field.place.end;
        }
        for (name, value) in &self.added {
            if begun {
                out.push(',');
            }
            begun = true;
            out.push_str(&quoted(name));
            out.push(':');
            out.push_str(value);
        }
        out.push_str(&self.text[last..]);
        Some(out)
    }
}

/// Whether a raw value is this text. Escapes in it are read.
pub(super) fn is_text(raw: &str, text: &str) -> bool {
    let plain = || raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(text);
    let escaped = || raw.contains('\\') && serde_json::from_str::<String>(raw).is_ok_and(|read| read == text);
    raw.starts_with('"') && (plain() || escaped())
}

/// The items of a list, raw; `None` if the text is none.
pub(super) fn items(text: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// A list with some of its items replaced: what each becomes, or `None` for those that stay. `None` if all stay.
pub(super) fn with_items(text: &str, items: &[&str], new: Vec<Option<String>>) -> Option<String> {
    if new.iter().all(Option::is_none) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 64 * new.len());
    let mut from = 0;
    for (item, new) in items.iter().zip(new) {
        let Some(new) = new else { continue };
        let stands = span(text, item);
        out.push_str(&text[from..stands.start]);
        out.push_str(&new);
        from = stands.end;
    }
    out.push_str(&text[from..]);
    Some(out)
}

/// A value without what a path leads to; `None` if it leads nowhere.
pub(super) fn drop_path(text: &str, path: &[&str]) -> Option<String> {
    if text.starts_with('[') {
        let items = items(text)?;
        let new = items.iter().map(|item| drop_path(item, path)).collect();
        return with_items(text, &items, new);
    }
    let (first, rest) = path.split_first()?;
    if !text.starts_with('{') || !may_hold(text, path) {
        return None;
    }
    let mut object = Object::read(text)?;
    if rest.is_empty() {
        object.remove(first);
    } else if let Some(changed) = object.value(first).and_then(|value| drop_path(value, rest)) {
        object.set(first, changed);
    }
    object.render()
}

/// Whether what a path leads to may be there.
fn may_hold(text: &str, path: &[&str]) -> bool {
    path.last().is_some_and(|last| memchr::memmem::find(text.as_bytes(), last.as_bytes()).is_some())
}
