//! What kind of client calls, for the usage log.

use axum::http::{HeaderMap, header};

/// A short name from a small set: roll-ups are kept per name for good, so no client may invent them.
///
/// OpenClaw is known by the header that its export adds; its user agent is that of OpenAI's SDK.
pub(super) fn of(headers: &HeaderMap) -> String {
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
    };
    if text(header::HeaderName::from_static("x-client")) == "openclaw" {
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
