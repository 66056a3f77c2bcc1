//! Questions to the usage log and its roll-ups: what pages show. Writing them is the recorder's.
//!
//! - [`rows`]: single calls, page by page, and one call with its attempts.
//! - [`report`]: sums over a period, from the roll-ups.
//! - [`counts`]: how many calls there were lately.
//! - [`names`]: what ids are called, deleted ones included.

pub mod counts;
pub mod names;
mod reader;
pub mod report;
pub mod rows;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

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
    /// The channel that served, or was tried last.
    pub channel: Option<ChannelId>,
    /// The key that served, or was tried last.
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
}

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

    /// What a filter asks of the rows of the log, which a statement calls `u`.
    fn of(filter: &UsageFilter) -> Self {
        let mut conditions = Self::default();
        conditions.add_period("u.at", filter.from, filter.to);
        conditions.add_columns(filter);
        if let Some(text) = &filter.search {
            conditions.add(
                r"(u.request_id LIKE LOWER(?) ESCAPE '\' OR LOWER(u.trace_id) LIKE LOWER(?) ESCAPE '\')",
                Value::Text(format!("%{}%", escape_like(text))),
            );
        }
        conditions
    }

    /// What a filter asks of columns that the log and its roll-ups share.
    fn add_columns(&mut self, filter: &UsageFilter) {
        let conditions = self;
        let ids = [
            ("u.token_id = ?", filter.token.map(|id| id.0)),
            ("u.channel_id = ?", filter.channel.map(|id| id.0)),
            ("u.key_id = ?", filter.key.map(|id| id.0)),
        ];
        for (condition, id) in ids {
            if let Some(id) = id {
                conditions.add(condition, Value::Int(id));
            }
        }
        if let Some(model) = &filter.model {
            conditions.add(
                r"(LOWER(u.asked_model) LIKE LOWER(?) ESCAPE '\' OR LOWER(u.served_model) LIKE LOWER(?) ESCAPE '\')",
                Value::Text(pattern(model)),
            );
        }
        if let Some(model) = &filter.asked_model {
            conditions.add("LOWER(u.asked_model) = LOWER(?)", Value::Text(model.clone()));
        }
        if let Some(model) = &filter.served_model {
            conditions.add("u.served_model = ?", Value::Text(model.clone()));
        }
        if let Some(endpoint) = filter.endpoint {
            conditions.add("u.endpoint = ?", Value::Text(endpoint.as_str().into()));
        }
        if let Some(stream) = filter.stream {
            conditions.add_plain(if stream { "u.stream" } else { "NOT u.stream" });
        }
        match filter.result {
            Some(ResultFilter::Failed) => {
                conditions.add("u.result <> ?", Value::Text(CallResult::Ok.as_str().into()));
            }
            Some(ResultFilter::Is(result)) => {
                conditions.add("u.result = ?", Value::Text(result.as_str().into()));
            }
            None => {}
        }
        if let Some((lowest, highest)) = filter.status {
            conditions.add("u.status >= ?", Value::Int(lowest.into()));
            conditions.add("u.status <= ?", Value::Int(highest.into()));
        }
        if let Some(kind) = &filter.client_kind {
            conditions.add(r"LOWER(u.client_kind) LIKE LOWER(?) ESCAPE '\'", Value::Text(pattern(kind)));
        }
    }
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
    }
}
