//! How the log and the usage page write tokens, channels and keys.

use std::fmt::Display;

use crate::{
    model::usage::CallResult,
    storage::usage_query::names::{KeyName, Named},
};

/// A name, or the id of what has none any more.
pub fn named_text(name: &str, id: impl Display) -> String {
    if name.is_empty() { format!("#{id}") } else { name.to_owned() }
}

/// A key as its label and `…last4`, or its id.
pub fn key_text(key: &KeyName) -> String {
    match (key.last4.as_str(), key.label.as_str()) {
        ("", "") => format!("#{}", key.id),
        ("", label) => label.to_owned(),
        (last4, "") => format!("…{last4}"),
        (last4, label) => format!("{label} …{last4}"),
    }
}

/// A name on a page, and whether what it names was deleted.
#[derive(Debug)]
pub struct Label {
    /// The name.
    pub text: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Label {
    /// Of a token or a channel.
    pub fn named<Id: Display + Copy>(named: &Named<Id>) -> Self {
        Self { text: named_text(&named.name, named.id), deleted: named.deleted }
    }

    /// Of a key.
    pub fn key(key: &KeyName) -> Self {
        Self { text: key_text(key), deleted: key.deleted }
    }
}

/// The style sheet's class for an end of a call: good, the client's doing, or ours to look at.
pub fn result_style(result: CallResult) -> &'static str {
    match result {
        CallResult::Ok => "ok",
        CallResult::ClientError
        | CallResult::TokenLimit
        | CallResult::ClientClosed
        | CallResult::ShuttingDown => "warn",
        CallResult::PoolExhausted
        | CallResult::NoChannel
        | CallResult::UpstreamError
        | CallResult::Timeout
        | CallResult::Interrupted => "bad",
    }
}
