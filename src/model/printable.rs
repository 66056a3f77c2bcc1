//! Texts of others on terminals.

use std::borrow::Cow;

/// A text without anything that steers a terminal: control characters, and marks that turn the direction of writing, are
/// written as escapes.
pub fn printable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(steers) {
        return text.into();
    }
    text.chars()
        .map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() })
        .collect::<String>()
        .into()
}
