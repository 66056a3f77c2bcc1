//! Questions to the usage log and its roll-ups: what pages show. Writing them is the recorder's.
//!
//! - [`rows`]: single calls, page by page, and one call with its attempts.
//! - [`turns`]: calls with the same trace id, together.
//! - [`report`]: what may be asked of sums over a period, and the answer; `summing` reads it from the roll-ups.
//! - [`steps`]: the steps of a time series, on the clock of a time zone.
//! - [`counts`]: how many calls there were lately.
//! - [`cells`]: how upstream calls went, piece by piece of a period.
//! - [`names`]: what ids are called, deleted ones included.

pub mod cells;
pub mod counts;
pub mod names;
mod reader;
pub mod report;
pub mod rows;
pub mod steps;
mod summing;
pub mod turns;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

pub(in crate::storage) use reader::bounded;

use super::recording::trace_bytes;
use crate::model::{
    id::{ChannelId, KeyId, TokenId},
    time::UnixMs,
    usage::{CallResult, Endpoint},
};

/// Which rows of the usage log to show; `None` means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Calls that arrived at this time or later.
    pub from: Option<UnixMs>,
    /// Calls that arrived before this time.
    pub to: Option<UnixMs>,
    /// Who asked.
    pub token: Option<TokenId>,
    /// The channel that served, or was tried last; id 0 stands for calls that reached none.
    pub channel: Option<ChannelId>,
    /// The key that served, or was tried last; id 0 stands for calls that reached none.
    pub key: Option<KeyId>,
    /// The model as asked or as served; `*` stands for any text, (ASCII) letter case does not matter.
    pub model: Option<String>,
    /// The model as asked, the whole name; (ASCII) letter case does not matter.
    pub asked_model: Option<String>,
    /// The upstream's model, exactly.
    pub served_model: Option<String>,
    /// The endpoint.
    pub endpoint: Option<Endpoint>,
    /// Streaming or not.
    pub stream: Option<bool>,
    /// How the call ended.
    pub result: Option<ResultFilter>,
    /// The lowest and the highest status.
    pub status: Option<(u16, u16)>,
    /// The kind of client; `*` stands for any text.
    pub client_kind: Option<String>,
    /// A part of the request id or of the trace id.
    pub search: Option<String>,
    /// The trace id, all of it and in small letters.
    pub trace: Option<String>,
}

/// Which ends of a call to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFilter {
    /// Everything but complete answers.
    Failed,
    /// One of them.
    Is(CallResult),
}

/// A value bound to a statement.
#[derive(Debug)]
enum Value {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// A trace id as the database has it.
    fn of_trace(text: &str) -> Self {
        trace_bytes(text).map_or_else(|| Self::Text(text.to_owned()), Self::Bytes)
    }
}

/// The number of the text that a condition is given.
const WORD: &str = "(SELECT id FROM words WHERE text = ?)";

/// Conditions joined by AND, and their values; every value is bound, never written into the text.
#[derive(Debug, Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which every `?` stands for `value`.
    fn add(&mut self, condition: &str, value: Value) {
        self.values.push(value);
        self.add_plain(&condition.replace('?', &format!("${}", self.values.len())));
    }

    /// Adds a condition without a value.
    fn add_plain(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// Adds the borders of a period.
    fn add_period(&mut self, column: &str, from: Option<UnixMs>, to: Option<UnixMs>) {
        if let Some(from) = from {
            self.add(&format!("{column} >= ?"), Value::Int(from.0));
        }
        if let Some(to) = to {
            self.add(&format!("{column} < ?"), Value::Int(to.0));
        }
    }

    /// What a filter asks of the rows of `calls`, which a statement calls `u`.
    fn of(filter: &UsageFilter) -> Self {
        let mut conditions = Self::default();
        conditions.add_period("u.at", filter.from, filter.to);
        conditions.add_columns(filter);
        if let Some(text) = &filter.search {
            match text.parse::<uuid::Uuid>() {
                // The whole id of a call or of a trace is found by an index.
                Ok(id) => conditions.add(
                    "(u.request_id = ? OR (u.trace_id IS NOT NULL AND substr(u.trace_id, -4) = substr(?, -4) \
                     AND u.trace_id = ?))",
                    Value::Bytes(id.as_bytes().to_vec()),
                ),
                Err(_) => conditions.add(
                    r"(HEX(u.request_id) LIKE ? ESCAPE '\' OR HEX(u.trace_id) LIKE ? ESCAPE '\'
                       OR (typeof(u.trace_id) = 'text' AND u.trace_id LIKE ? ESCAPE '\'))",
                    Value::Text(format!("%{}%", escape_like(&text.replace('-', "")))),
                ),
            }
        }
        if let Some(trace) = &filter.trace {
            conditions.add_plain("u.trace_id IS NOT NULL");
            // Without the plus SQLite would put the value into `substr` as well, and find no index of that.
            let same = "substr(u.trace_id, -4) = substr(?, -4) AND +u.trace_id = ?";
            conditions.add(same, Value::of_trace(trace));
        }
        conditions
    }

    /// Asks for the rows before (`<`) or after (`>`) a place.
    fn add_place(&mut self, comparison: &str, cursor: rows::Cursor) {
        let (at, id) = cursor.parts();
        self.values.push(Value::Int(at.0));
        let at = self.values.len();
        self.add(&format!("(u.at, u.id) {comparison} (${at}, ?)"), Value::Int(id));
    }

    /// What a filter asks of the columns of calls, but for the time.
    fn add_columns(&mut self, filter: &UsageFilter) {
        let conditions = self;
        // The plus keeps SQLite from an index of ids where that of trace ids finds far fewer rows
        // (<https://www.sqlite.org/optoverview.html>, "Disqualifying WHERE clause terms").
        let token = if filter.trace.is_some() { "+u.token_id = ?" } else { "u.token_id = ?" };
        // No id is 0: it stands for none, which is NULL in the log and 0 in its roll-ups.
        let ids = [
            (token, "u.token_id = 0", filter.token.map(|id| id.0)),
            ("u.channel_id = ?", "(u.channel_id IS NULL OR u.channel_id = 0)", filter.channel.map(|id| id.0)),
            ("u.key_id = ?", "(u.key_id IS NULL OR u.key_id = 0)", filter.key.map(|id| id.0)),
        ];
        for (condition, none, id) in ids {
            match id {
                Some(0) => conditions.add_plain(none),
                Some(id) => conditions.add(condition, Value::Int(id)),
                None => {}
            }
        }
        if let Some(model) = &filter.model {
            conditions.add(
                r"((typeof(u.asked_model) = 'integer' AND u.asked_model IN (SELECT id FROM words WHERE text LIKE ? ESCAPE '\'))
                   OR u.served_model IN (SELECT id FROM words WHERE text LIKE ? ESCAPE '\')
                   OR (typeof(u.asked_model) = 'text' AND u.asked_model LIKE ? ESCAPE '\'))",
                Value::Text(pattern(model)),
            );
        }
        if let Some(model) = &filter.asked_model {
            conditions.add(
                "((typeof(u.asked_model) = 'integer' AND u.asked_model IN (SELECT id FROM words WHERE LOWER(text) = LOWER(?)))
                  OR (typeof(u.asked_model) = 'text' AND LOWER(u.asked_model) = LOWER(?)))",
                Value::Text(model.clone()),
            );
        }
        if let Some(model) = &filter.served_model {
            conditions.add(&format!("u.served_model = {WORD}"), Value::Text(model.clone()));
        }
        if let Some(endpoint) = filter.endpoint {
            conditions.add(&format!("u.endpoint = {WORD}"), Value::Text(endpoint.as_str().into()));
        }
        if let Some(stream) = filter.stream {
            conditions.add_plain(if stream { "u.stream" } else { "NOT u.stream" });
        }
        match filter.result {
            Some(ResultFilter::Failed) => {
                conditions.add(&format!("u.result <> {WORD}"), Value::Text(CallResult::Ok.as_str().into()));
            }
            Some(ResultFilter::Is(result)) => {
                conditions.add(&format!("u.result = {WORD}"), Value::Text(result.as_str().into()));
            }
            None => {}
        }
        if let Some((lowest, highest)) = filter.status {
            conditions.add("u.status >= ?", Value::Int(lowest.into()));
            conditions.add("u.status <= ?", Value::Int(highest.into()));
        }
        if let Some(kind) = &filter.client_kind {
            conditions.add(
                r"u.client_kind IN (SELECT id FROM words WHERE text LIKE ? ESCAPE '\')",
                Value::Text(pattern(kind)),
            );
        }
    }
}

/// Whether a text is like a pattern in which `*` stands for anything; (ASCII) letter case does not matter. The same as
/// SQLite's LIKE with [`pattern`].
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

/// A text as a LIKE pattern (with `ESCAPE '\'`) that matches just this text.
fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A text in which `*` stands for anything, as a LIKE pattern. Stars in a row are one: each costs SQLite another search.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for part in text.split_inclusive('*') {
        let (plain, star) = part.strip_suffix('*').map_or((part, false), |plain| (plain, true));
        pattern.push_str(&escape_like(plain));
        if star && !(plain.is_empty() && pattern.ends_with('%')) {
            pattern.push('%');
        }
    }
    pattern
}

#[cfg(test)]
mod pattern_tests {
    use super::*;

    #[test]
    fn wildcards_of_like_are_ordinary_characters_and_a_star_stands_for_anything() {
        assert_eq!(escape_like(r"50%_\"), r"50\%\_\\");
        assert_eq!(pattern("gpt-4*"), "gpt-4%");
        assert_eq!(pattern("**a***b_%"), r"%a%b\_\%");
        assert_eq!(pattern("%*"), r"\%%");
        for (pattern, text, expected) in [
            ("gpt-4*", "GPT-4o", true),
            ("gpt-4", "gpt-4o", false),
            ("*4*o", "gpt-4o", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("a**b*c", "axbxc", true),
            ("%", "x", false),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
