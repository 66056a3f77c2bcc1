//! The upstream's words for a client whose request is at fault.

use crate::{model::secret::Secret, protocol::error_body::ErrorBody};

use super::{bounded, mask::without_links, mask_secrets, rules::is_context_overflow};

/// The most characters of a message that a client sees.
const MAX_MESSAGE_CHARS: usize = 1000;

/// An upstream's refusal in OpenAI's terms, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientErrorText {
    /// The message: one line of at most 1000 characters without credentials and addresses.
    pub message: String,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The code; `context_length_exceeded` if the request is longer than the model's context, whatever the upstream
    /// calls it.
    pub code: Option<String>,
}

/// Reads the body of a 400, 413 or 422 for the client. `secrets` are masked even where they do not look like one.
pub fn sanitized_client_error(status: u16, body: &[u8], secrets: &[&Secret]) -> ClientErrorText {
    let body = ErrorBody::read(body);
    let overflow = is_context_overflow(&body);
    let words = if body.html { String::new() } else { one_line(&body.message, secrets) };
    let message = match (words.is_empty(), overflow) {
        (true, _) if status == 413 => "The request is too large for the model.".to_owned(),
        (true, _) => "The upstream refused the request as invalid.".to_owned(),
        // Clients look for OpenAI's words to know that a shorter prompt will do.
        (false, true) if !words.to_lowercase().contains("maximum context length") => {
            bounded(&format!("This model's maximum context length is exceeded. {words}"), MAX_MESSAGE_CHARS)
        }
        (false, _) => words,
    };
    let code = if overflow {
        Some("context_length_exceeded".to_owned())
    } else {
        body.code.and_then(|code| name(&code, secrets))
    };
    ClientErrorText { message, param: body.param.and_then(|param| name(&param, secrets)), code }
}

fn one_line(text: &str, secrets: &[&Secret]) -> String {
    let text: String =
        text.chars().take(16_384).map(|char| if is_unprintable(char) { ' ' } else { char }).collect();
    let masked = without_links(&mask_secrets(&text, secrets));
    bounded(&masked.split_whitespace().collect::<Vec<_>>().join(" "), MAX_MESSAGE_CHARS)
}

/// Control characters, and those that turn the direction of text.
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A short technical name, such as `messages[0].content`, or none.
fn name(text: &str, secrets: &[&Secret]) -> Option<String> {
    let plain =
        |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '[' | ']' | '/' | '$');
    let fits =
        (1..=100).contains(&text.len()) && text.chars().all(plain) && mask_secrets(text, secrets) == text;
    fits.then(|| text.to_owned())
}
