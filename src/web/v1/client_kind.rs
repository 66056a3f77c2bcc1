//! What the headers of a call say of its client.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::model::endpoint::Endpoint;

/// A short name from a small set: roll-ups are kept per name for good, so no client may invent them.
///
/// OpenClaw is known by the header that its export adds; its user agent is that of OpenAI's SDK.
pub(super) fn of(headers: &HeaderMap) -> String {
    let text = |name: HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
    };
    if text(HeaderName::from_static("x-client")) == "openclaw" {
        return "openclaw".into();
    }
    let agent = text(header::USER_AGENT);
    let known = [
        ("openai/python", "openai-python"),
        ("asyncopenai/python", "openai-python"),
        ("openai/js", "openai-node"),
        ("openai/", "openai"),
        ("anthropic/", "anthropic"),
        ("litellm", "litellm"),
        ("langchain", "langchain"),
        ("python-requests", "python"),
        ("python-httpx", "python"),
        ("aiohttp", "python"),
        ("axios", "node"),
        ("undici", "node"),
        ("node", "node"),
        ("go-http-client", "go"),
        ("okhttp", "java"),
        ("curl/", "curl"),
        ("mozilla/", "browser"),
    ];
    let kind = known.iter().find(|(start, _)| agent.contains(start)).map(|(_, kind)| *kind);
    kind.unwrap_or(if agent.is_empty() { "unknown" } else { "other" }).into()
}

/// The trace id of a `traceparent` header: 32 hexadecimal digits. Source: W3C Trace Context, section 3.2.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let id = value.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_ascii_lowercase())
}

/// The longest name of a session, as OpenRouter has it
/// (<https://openrouter.ai/docs/guides/best-practices/prompt-caching>).
const MAX_SESSION_BYTES: usize = 256;

/// What the client calls the conversation: `x-session-id`. A longer one is none.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    let name = headers.get("x-session-id")?.to_str().ok()?.trim();
    (1..=MAX_SESSION_BYTES).contains(&name.len()).then(|| name.to_owned())
}

/// Anthropic's version, if the client names none: the only one there is
/// (<https://docs.anthropic.com/en/api/versioning>).
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The longest header that is passed on.
const MAX_PASSED_BYTES: usize = 1024;

/// The headers that go to the upstream: on `/messages`, the version and the features that the client was written for.
pub(super) fn passed(endpoint: Endpoint, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    if endpoint != Endpoint::Messages {
        return Vec::new();
    }
    let find = |name: &'static str| {
        headers.get(name).filter(|value| value.len() <= MAX_PASSED_BYTES && value.to_str().is_ok()).cloned()
    };
    let version = find("anthropic-version").unwrap_or(ANTHROPIC_VERSION);
    let features = find("anthropic-beta").map(|value| (HeaderName::from_static("anthropic-beta"), value));
    [(HeaderName::from_static("anthropic-version"), version)].into_iter().chain(features).collect()
}

/// Whether nobody waits for the answer: `x-onepool-priority: batch`. Any other value is what a call without it is.
pub(super) fn is_batch(headers: &HeaderMap) -> bool {
    headers.get("x-onepool-priority").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"batch"))
}
