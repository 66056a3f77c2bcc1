//! The fields of an error body, whatever its shape.

use serde_json::Value;

/// The most bytes of a body that are looked at.
const MAX_BYTES: usize = 64 * 1024;

/// The most fields that are kept, the deepest that is looked, and the most bytes of text for phrases.
const MAX_FIELDS: usize = 256;
const MAX_DEPTH: usize = 8;
const MAX_TEXT: usize = 8192;

/// Names of fields that are meant for people.
const TEXT_FIELDS: &[&str] =
    &["message", "msg", "detail", "title", "raw", "error_msg", "error_message", "description", ""];

/// An error body as paths and values.
///
/// Paths are in lower case, without places in lists and without `error` and `errors`, because vendors wrap the same
/// error in an object, in a list or in nothing: `[{"error":{"details":[{"retryDelay":"38s"}]}}]` has the field
/// `details.retrydelay`. The field of a bare text is the empty path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    fields: Vec<(String, String)>,
    text: String,
}

impl Fields {
    /// Reads a body, or a prefix of one. Anything can be read; what is no JSON is text as it stands.
    pub fn read(body: &[u8]) -> Self {
        let body = body[..body.len().min(MAX_BYTES)].trim_ascii();
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let mut read = Self::default();
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => read.take(&value, String::new(), 0),
            Err(_) => {
                let text: String = String::from_utf8_lossy(body).chars().take(MAX_TEXT).collect();
                if !text.is_empty() {
                    read.fields.push((String::new(), text));
                }
            }
        }
        for (path, value) in &read.fields {
            let name = path.rsplit('.').next().unwrap_or_default();
            if TEXT_FIELDS.contains(&name)
                && read.text.len() < MAX_TEXT
                && !read.text.contains(value.as_str())
            {
                if !read.text.is_empty() {
                    read.text.push('\n');
                }
                read.text.extend(value.chars().take(MAX_TEXT));
            }
        }
        read
    }

    /// The values of a field; a list has several.
    pub(super) fn all<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a str> {
        let path = path.to_lowercase();
        self.fields.iter().filter(move |(name, _)| *name == path).map(|(_, value)| value.as_str())
    }

    /// All that is meant for people, one line per field.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn take(&mut self, value: &Value, path: String, depth: usize) {
        if self.fields.len() >= MAX_FIELDS || depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Null => {}
            Value::Bool(flag) => self.fields.push((path, flag.to_string())),
            Value::Number(number) => self.fields.push((path, number.to_string())),
            Value::String(text) => self.fields.push((path, text.clone())),
            Value::Array(items) => {
                for item in items {
                    self.take(item, path.clone(), depth + 1);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    let name = name.to_lowercase();
                    let path = match (name.as_str(), path.is_empty()) {
                        ("error" | "errors", _) => path.clone(),
                        (_, true) => name,
                        (_, false) => format!("{path}.{name}"),
                    };
                    self.take(value, path, depth + 1);
                }
            }
        }
    }
}
