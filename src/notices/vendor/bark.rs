//! Bark, an app for the iPhone: `POST <server>/push`.
//!
//! Source: <https://github.com/Finb/bark-server/blob/master/docs/API_V2.md> (`device_key`, `title`, `body`, `level`, `group`; an
//! answer has `code` 200, or another one and `message`), <https://bark.day.app/#/tutorial> (levels).

use serde_json::{Value, json};

use super::{Draft, Verdict, coded, cut};
use crate::model::notice::Severity;

/// Bark's own server.
pub const SERVER: &str = "https://api.day.app";
/// The longest text, in bytes: Apple takes 4096 with everything around it.
const MOST_BYTES: usize = 2500;

/// The address that takes messages.
pub fn address(server: &str) -> String {
    format!("{}/push", server.trim_end_matches('/'))
}

/// The body.
pub fn body(device: &str, draft: Draft<'_>) -> Value {
    let level = match draft.severity {
        Severity::Info => "passive",
        Severity::Warning => "active",
        Severity::Critical => "timeSensitive",
    };
    json!({
        "device_key": device,
        "title": draft.title,
        "body": cut(draft.text, MOST_BYTES, char::len_utf8),
        "level": level,
        "group": "OnePool",
    })
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    coded(status, body, ("code", "message"), 200, &[])
}
