//! Telegram's bots: `POST https://api.telegram.org/bot<token>/sendMessage`.
//!
//! Source: <https://core.telegram.org/bots/api#sendmessage> and `#making-requests`: a text of 1 to 4096 characters; an answer has
//! `ok`, and else `error_code`, `description` and perhaps `parameters.retry_after` in seconds. Without `parse_mode` a text is
//! plain, so that nothing in it has to be escaped.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Draft, Verdict, cut, is_busy};
use crate::model::notice::Severity;

/// Telegram's own server.
pub const SERVER: &str = "https://api.telegram.org";
/// The longest text, in UTF-16 units, as Telegram counts lengths.
const MOST_UNITS: usize = 4096;

/// The address that takes the messages of a bot.
pub fn address(server: &str, bot: &str) -> String {
    format!("{}/bot{bot}/sendMessage", server.trim_end_matches('/'))
}

/// The body. What is only good to know arrives without a sound.
pub fn body(chat: &str, draft: Draft<'_>) -> Value {
    let chat = chat.parse::<i64>().map_or_else(|_| json!(chat), |number| json!(number));
    json!({
        "chat_id": chat,
        "text": cut(&draft.whole(), MOST_UNITS, char::len_utf16),
        "link_preview_options": {"is_disabled": true},
        "disable_notification": draft.severity == Severity::Info,
    })
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let taken = (200..300).contains(&status) && answer["ok"] == true;
    let said = match (taken, answer["description"].as_str()) {
        (true, _) => String::new(),
        (false, Some(description)) => description.to_owned(),
        (false, None) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    Verdict {
        taken,
        said,
        worth_another: is_busy(status),
        retry_after: answer["parameters"]["retry_after"].as_u64().map(Duration::from_secs),
    }
}

/// Whether this can be a chat: a number, or `@` and the name of a public channel.
pub fn is_chat(text: &str) -> bool {
    let is_name = |name: &str| {
        (4..=64).contains(&name.len()) && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
    };
    text.parse::<i64>().is_ok() || text.strip_prefix('@').is_some_and(is_name)
}

/// Whether this can be a bot's token: its number, a colon, and a secret of letters, digits, `_` and `-`.
pub fn is_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(id, secret)| {
        !id.is_empty()
            && id.chars().all(|char| char.is_ascii_digit())
            && secret.len() >= 8
            && secret.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'))
    })
}
