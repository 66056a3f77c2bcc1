//! What a client needs to use a token, ready to paste.

use serde_json::{Value, json};

use crate::{
    export::openclaw::{self, ApiKey},
    model::{catalog::Catalog, secret::Secret, token::Token},
};

/// Stands in the examples while no channel serves a model.
const NO_MODEL: &str = "MODEL";

/// Examples with a token's value in them: for the eyes of an operator who may see it.
pub struct Snippets {
    /// The part of `openclaw.json` that points OpenClaw here.
    pub openclaw: String,
    /// A call with curl, for a POSIX shell.
    pub curl: String,
    /// A call with the official Python SDK.
    pub python: String,
    /// Whether a channel serves a model that the token may use; else the examples name `MODEL`.
    pub has_model: bool,
}

impl Snippets {
    /// The examples of a token. `origin` is this server's address without a slash at its end.
    pub fn of(catalog: &Catalog, token: &Token, origin: &str, value: &Secret) -> Self {
        let model = catalog.models_for(token).next().map(|model| model.name.clone());
        let (has_model, model) = (model.is_some(), model.unwrap_or_else(|| NO_MODEL.to_owned()));
        let (base_url, value) = (format!("{origin}/v1"), value.expose());
        let config = openclaw::for_token(catalog, token, &base_url, ApiKey::Literal(value), &[]);
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hello!" }] });
        let quoted = |text: &str| Value::from(text).to_string();
        Self {
            openclaw: serde_json::to_string_pretty(&config).unwrap_or_default(),
            curl: format!(
                "curl {} \\\n  -H {} \\\n  -H 'Content-Type: application/json' \\\n  -d {}",
                in_shell(&format!("{base_url}/chat/completions")),
                in_shell(&format!("Authorization: Bearer {value}")),
                in_shell(&body.to_string()),
            ),
            python: format!(
                "from openai import OpenAI\n\nclient = OpenAI(base_url={}, api_key={})\nanswer = \
                 client.chat.completions.create(\n    model={},\n    messages=[{{\"role\": \"user\", \"content\": \
                 \"Hello!\"}}],\n)\nprint(answer.choices[0].message.content)",
                quoted(&base_url),
                quoted(value),
                quoted(&model),
            ),
            has_model,
        }
    }
}

/// A text in single quotes, as a POSIX shell reads it.
fn in_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_model_name_does_not_leave_the_shell_word() {
        assert_eq!(in_shell("it's"), r"'it'\''s'");
    }
}
