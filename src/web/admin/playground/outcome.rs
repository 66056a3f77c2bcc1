//! What came of a call: the answer's message, and what the log says of the way that it took.

use std::time::Duration;

use askama::Template;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::{
    i18n::Messages,
    model::{endpoint::Endpoint, id::RequestId},
    storage::Db,
    web::{
        admin::log::{
            class_style,
            names::{Label, result_style},
        },
        format::{approximate, count, duration, exact_money, optional_duration},
        snippet,
    },
};

/// How long a row may take to reach the database, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(80);

/// Headers that a page shows, by name or beginning.
const SHOWN: &[&str] = &[
    "x-onepool-",
    "x-request-id",
    "x-ratelimit-",
    "x-openrouter-",
    "server-timing",
    "retry-after",
    "x-should-retry",
    "content-type",
];

/// An attempt in short.
struct AttemptLine {
    style: &'static str,
    class: &'static str,
    channel: Label,
    key: Label,
    model: String,
    times: String,
    detail: String,
}

/// What the log says of a call, and the request to copy; drawn as a part of a page.
#[derive(Template)]
#[template(path = "partials/playground_result.html")]
pub(super) struct Outcome {
    t: Messages,
    request_id: String,
    /// Whether the call is in the log.
    found: bool,
    style: &'static str,
    status: u16,
    result: &'static str,
    facts: Vec<(&'static str, String)>,
    attempts: Vec<AttemptLine>,
    headers: Vec<(String, String)>,
    /// Names and texts of the same request as something to paste.
    snippets: [(&'static str, &'static str, String); 3],
}

/// The headers of an answer that a page shows.
pub(super) fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_shown = |name: &str| SHOWN.iter().any(|shown| name.starts_with(shown));
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .filter(|(name, _)| is_shown(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

impl Outcome {
    /// Waits some seconds until the call is in the log, and reads it.
    pub async fn of(
        t: Messages,
        db: &Db,
        request_id: RequestId,
        headers: Vec<(String, String)>,
        base_url: &str,
        body: &Value,
    ) -> Self {
        let mut outcome = Self {
            t,
            request_id: request_id.to_string(),
            found: false,
            style: "",
            status: 0,
            result: "",
            facts: Vec::new(),
            attempts: Vec::new(),
            headers,
            snippets: [
                ("curl", "curl", snippet::curl(base_url, Endpoint::Chat, body)),
                ("python", "Python", snippet::python(base_url, body)),
                ("javascript", "JavaScript", snippet::javascript(base_url, body)),
            ],
        };
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                match db.usage_find(request_id).await {
                    Ok(Some(found)) => return Some(found),
                    Ok(None) => tokio::time::sleep(EVERY).await,
                    Err(error) => {
                        tracing::error!(%error, "could not look a call of the playground up");
                        return None;
                    }
                }
            }
        });
        let Ok(Some((row, attempts))) = found.await else { return outcome };
        let (l, tokens) = (t.log, |value: u64| approximate(count(value), row.estimated));
        outcome.found = true;
        (outcome.style, outcome.status) = (result_style(row.result), row.status);
        outcome.result = l.result_name(row.result);
        let channel = row.channel.as_ref().map(|channel| Label::named(channel).text);
        let served =
            [channel, row.served_model.clone()].into_iter().flatten().collect::<Vec<_>>().join(" · ");
        outcome.facts = vec![
            (l.first_token(), optional_duration(t, row.first_token_ms)),
            (l.total(), duration(t, row.total_ms)),
            (l.queue(), duration(t, row.queue_ms)),
            (l.prompt_tokens(), tokens(row.tokens.prompt)),
            (l.completion_tokens(), tokens(row.tokens.completion)),
            (l.reasoning_tokens(), tokens(row.tokens.reasoning)),
            (l.cost(), approximate(exact_money(row.cost_micros), row.estimated && row.cost_micros != 0)),
        ];
        if !served.is_empty() {
            outcome.facts.insert(0, (t.playground.served_by(), served));
        }
        outcome.attempts = attempts
            .iter()
            .map(|attempt| AttemptLine {
                style: class_style(attempt.class),
                class: l.class_name(attempt.class),
                channel: Label::named(&attempt.channel),
                key: Label::key(&attempt.key),
                model: attempt.model.clone(),
                times: duration(t, attempt.duration_ms),
                detail: attempt.detail.clone(),
            })
            .collect();
        outcome
    }

    /// The part of the page.
    pub fn html(&self) -> String {
        self.render().unwrap_or_else(|error| {
            tracing::error!(%error, "the outcome of a call could not be drawn");
            String::new()
        })
    }
}

/// The message of a whole answer of chat, as the conversation keeps it; else what is wrong.
pub(super) fn message_of(status: u16, answer: &[u8]) -> Result<Value, String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if let Some(message) = answer["error"]["message"].as_str() {
        return Err(message.to_owned());
    }
    let message = &answer["choices"][0]["message"];
    if status != 200 || !message.is_object() {
        return Err(answer.to_string().chars().take(500).collect());
    }
    let mut kept = serde_json::json!({ "role": "assistant", "content": message["content"] });
    for field in ["reasoning_content", "reasoning", "tool_calls"] {
        if !message[field].is_null() {
            kept[field] = message[field].clone();
        }
    }
    Ok(kept)
}
