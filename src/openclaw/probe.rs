//! Asks a model as OpenClaw's own probe would (`openclaw models status --probe`), and reads the answer as it does. Each probe
//! is one call of its token, charged like any other.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::bucket::{ProbeBucket, Reading, of_refusal};
use crate::{
    model::secret::Secret,
    protocol::sse::{Event, Scanner},
    upstream::{
        client::{Clients, UpstreamResponse},
        outcome::mask_secrets,
    },
};

/// Of an answer so much is read.
const MAX_ANSWER_BYTES: usize = 1 << 20;
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Of what went wrong so many characters are told.
const MOST_SHOWN: usize = 300;

/// Whom to ask, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The base URL, ending in `/v1`.
    pub base_url: &'a str,
    /// The id of the provider in OpenClaw's file.
    pub provider: &'a str,
    /// The token's value.
    pub token: &'a Secret,
    /// The whole of a call takes at most so long.
    pub limit: Duration,
}

/// What a probe of one model gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// How OpenClaw would take it.
    pub bucket: ProbeBucket,
    /// From the call to its end, in milliseconds.
    pub latency_ms: u64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, without secrets.
    pub detail: Option<String>,
}

impl Target<'_> {
    /// Probes a model. Dropping the future cancels the call.
    pub async fn probe(&self, clients: &Clients, model: &str, trace: u128) -> Probed {
        let began = Instant::now();
        let mut status = None;
        let asked = timeout_at(began + self.limit, self.ask(clients, model, trace, &mut status)).await;
        let (bucket, detail) = asked.unwrap_or_else(|_| {
            (ProbeBucket::Timeout, Some(format!("no answer within {} s", self.limit.as_secs())))
        });
        let latency_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail = detail.map(|text| self.shown(&text));
        Probed { bucket, latency_ms, status, detail }
    }

    async fn ask(
        &self,
        clients: &Clients,
        model: &str,
        trace: u128,
        status: &mut Option<u16>,
    ) -> (ProbeBucket, Option<String>) {
        let address = format!("{}/chat/completions", self.base_url.trim_end_matches('/'));
        let body = Bytes::from(body(self.provider, model).to_string());
        let Some(headers) = headers(self.token, trace) else {
            return (ProbeBucket::Auth, Some("the token's value cannot stand in a header".to_owned()));
        };
        let mut response = match clients.plain(Method::POST, &address, true, headers, body).await {
            Ok(response) => response,
            Err(error) => return (ProbeBucket::Timeout, Some(error.to_string())),
        };
        *status = Some(response.status());
        if !(200..300).contains(&response.status()) {
            let body = response.read_prefix(MAX_ERROR_BYTES).await;
            let body = String::from_utf8_lossy(&body);
            return (of_refusal(response.status(), &body), Some(message_of(&body)));
        }
        read(&mut response).await
    }

    fn shown(&self, text: &str) -> String {
        let text = mask_secrets(text.trim(), &[self.token]);
        let mut shown: String = text.chars().take(MOST_SHOWN).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    }
}

/// What `GET {base_url}/models` answers to a token: its status.
///
/// # Errors
/// Why there is no answer, without an address or a secret.
pub async fn ask_for_models(
    clients: &Clients,
    base_url: &str,
    token: Option<&Secret>,
    limit: Duration,
) -> Result<u16, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(value) = token.and_then(bearer) {
        headers.insert(header::AUTHORIZATION, value);
    }
    let address = format!("{}/models", base_url.trim_end_matches('/'));
    let asked = clients.plain(Method::GET, &address, true, headers, Bytes::new());
    match timeout_at(Instant::now() + limit, asked).await {
        Ok(Ok(response)) => Ok(response.status()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", limit.as_secs())),
    }
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What OpenClaw's probe sends: two messages, a stream with usage, the smallest answer, no tools.
fn body(provider: &str, model: &str) -> Value {
    json!({
        "model": model,
        "messages": [
            { "role": "system", "content": format!("Current model identity: {provider}/{model}.") },
            { "role": "user", "content": "Reply with OK. Do not use tools." },
        ],
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_tokens": 8,
    })
}

/// OpenClaw's headers, and the one that an export adds. The trace id is that of one turn.
fn headers(token: &Secret, trace: u128) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, bearer(token)?);
    let span = (trace >> 64) as u64 | 1;
    let traceparent = format!("00-{:032x}-{span:016x}-01", trace | 1);
    headers.insert("traceparent", HeaderValue::from_str(&traceparent).ok()?);
    for (name, value) in [
        ("accept", "application/json"),
        ("content-type", "application/json"),
        // Answers are small, and read as they come.
        ("accept-encoding", "identity"),
        ("accept-language", "*"),
        ("sec-fetch-mode", "cors"),
        ("user-agent", "OpenAI/JS 7.15.0"),
        ("x-stainless-arch", "x64"),
        ("x-stainless-lang", "js"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-package-version", "7.15.0"),
        ("x-stainless-retry-count", "0"),
        ("x-stainless-runtime", "node"),
        ("x-client", "openclaw"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(headers)
}

async fn read(response: &mut UpstreamResponse) -> (ProbeBucket, Option<String>) {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("text/event-stream")) {
        let what = format!("not a stream of events: {}", content_type.unwrap_or("no content type"));
        return (ProbeBucket::Timeout, Some(what));
    }
    let (mut scanner, mut reading, mut taken) = (Scanner::new(), Reading::default(), 0);
    loop {
        match response.next_chunk().await {
            Ok(Some(chunk)) => {
                taken += chunk.len();
                scanner.push(chunk);
            }
            Ok(None) => break,
            Err(error) => return (ProbeBucket::Timeout, Some(error.to_string())),
        }
        if taken > MAX_ANSWER_BYTES {
            return (ProbeBucket::Unknown, Some(format!("longer than {MAX_ANSWER_BYTES} bytes")));
        }
        take_all(&mut scanner, &mut reading);
        if reading.is_over() {
            return reading.verdict();
        }
    }
    scanner.finish();
    take_all(&mut scanner, &mut reading);
    reading.verdict()
}

fn take_all(scanner: &mut Scanner, reading: &mut Reading) {
    while let Some(event) = scanner.next() {
        match event {
            Ok(Event::Data { data, .. }) => reading.take(&data),
            Ok(Event::Done) => reading.done(),
            Ok(Event::Comment) | Err(_) => {}
        }
    }
}

/// The text of an error body, or the body itself.
fn message_of(body: &str) -> String {
    let error: Value = serde_json::from_str(body).unwrap_or_default();
    error["error"]["message"].as_str().map_or_else(|| body.trim().to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_what_openclaw_sends() {
        let sent = body("onepool", "org/m:free");
        assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
        assert_eq!(sent["messages"][0]["content"], "Current model identity: onepool/org/m:free.");
        assert_eq!((&sent["stream"], &sent["max_tokens"]), (&json!(true), &json!(8)));
        assert_eq!(sent["stream_options"]["include_usage"], true);
        assert!(sent.get("tools").is_none());
        let headers = headers(&Secret::new("sk-x"), 0xabcd_0000_0000_0000_0000).unwrap();
        assert_eq!(headers["x-client"], "openclaw");
        assert_eq!(headers["traceparent"], "00-000000000000abcd0000000000000001-000000000000abcd-01");
        assert!(headers["authorization"].is_sensitive());
    }
}
