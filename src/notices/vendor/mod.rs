//! How each vendor wants a message, and what its answer means; pure. An answer of 200 may well say that nothing was delivered.

pub mod bark;
pub mod dingtalk;
pub mod feishu;
pub mod serverchan;
pub mod telegram;
pub mod wecom;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;

use crate::model::notice::Severity;

/// A message in words.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    /// A line.
    pub title: &'a str,
    /// Lines; the title is not among them.
    pub text: &'a str,
    /// How much the weightiest of its events matters.
    pub severity: Severity,
}

impl Draft<'_> {
    /// Title and text as one, for receivers that know no title.
    fn whole(&self) -> String {
        format!("{}\n{}", self.title, self.text)
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the message was taken.
    pub taken: bool,
    /// What the receiver said, in its own words; secrets are not masked yet.
    pub said: String,
    /// Whether the same may succeed later.
    pub worth_another: bool,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
}

/// Reads an answer with a code: what was taken has the code `good`; the codes of `busy` ask to come back later.
fn coded(status: u16, body: &[u8], names: (&str, &str), good: i64, busy: &[i64]) -> Verdict {
    let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let code = answer[names.0].as_i64();
    let words = answer[names.1].as_str().unwrap_or_default();
    let said = match code {
        Some(code) if words.is_empty() => code.to_string(),
        Some(code) => format!("{code} {words}"),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    Verdict {
        taken: (200..300).contains(&status) && code == Some(good),
        said,
        worth_another: is_busy(status) || code.is_some_and(|code| busy.contains(&code)),
        retry_after: None,
    }
}

/// Whether a status asks to come back later.
pub(super) fn is_busy(status: u16) -> bool {
    matches!(status, 408 | 425 | 429) || status >= 500
}

/// HMAC-SHA-256 in Base64.
fn hmac_base64(key: &[u8], text: &[u8]) -> String {
    // A key of any length will do, so there is nothing to refuse.
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(text);
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// The beginning of a text, within as many `most` as `size` counts of each character; a cut is shown.
fn cut(text: &str, most: usize, size: impl Fn(char) -> usize) -> String {
    let mut used = 0;
    let mut kept = String::new();
    if text.chars().map(&size).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mark = size('…');
    for char in text.chars() {
        used += size(char);
        if used + mark > most {
            break;
        }
        kept.push(char);
    }
    kept.push('…');
    kept
}

/// Without the marks that would name people (`<at user_id="all">`, `<@all>`) or begin an element, whatever a model is called.
fn without_marks(text: &str) -> String {
    text.replace('<', "＜").replace('>', "＞")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_to_the_bound_in_the_receivers_own_counting() {
        assert_eq!(cut("abc", 3, |_| 1), "abc");
        assert_eq!(cut("abcd", 3, |_| 1), "ab…");
        let bytes = cut(&"模型".repeat(100), 20, char::len_utf8);
        assert!(bytes.len() <= 20 && bytes.ends_with('…'), "{bytes}");
        let units = cut(&"😀".repeat(100), 9, char::len_utf16);
        assert_eq!(units.encode_utf16().count(), 9);
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        // Test case 2 of RFC 4231.
        let wanted = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
            0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(hmac_base64(b"Jefe", b"what do ya want for nothing?"), BASE64_STANDARD.encode(wanted));
    }
}
