//! What the headers of a call say of its client.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::model::{endpoint::Endpoint, usage};

/// Parts of user agents and what their programs are called. Sources: the documentation of each.
const KNOWN: [(&str, &str); 17] = [
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

/// The longest version that is kept, in bytes.
const MAX_VERSION_BYTES: usize = 40;

// Names that are parsed at each look-up cost more than the look-up.
const CLIENT: HeaderName = HeaderName::from_static("x-client");
const CLAWROUTER_CLIENT: HeaderName = HeaderName::from_static("x-clawrouter-client");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");
const PRIORITY: HeaderName = HeaderName::from_static("x-onepool-priority");

/// A short name from a small set, because roll-ups are kept per name for good and no client may invent them; and the client's
/// version. Of an OpenClaw that tells none, the name and the version of the library that it calls with, such as
/// `OpenAI/JS 7.15.0`. What does not look like a version is none.
///
/// OpenClaw is known by a header, of the export or of the provider `clawrouter` that comes with it; its user agent is that
/// of OpenAI's SDK.
pub(super) fn of(headers: &HeaderMap) -> (String, Option<String>) {
    let agent = text(headers, &header::USER_AGENT);
    if let Some(own) = openclaw(headers) {
        return ("openclaw".into(), plain(own).or_else(|| library(agent)));
    }
    let folded = agent.to_ascii_lowercase();
    let Some((part, kind)) = KNOWN.iter().find(|(part, _)| folded.contains(part)) else {
        return (if agent.is_empty() { "unknown" } else { "other" }.into(), None);
    };
    // Every browser calls itself Mozilla 5.0.
    let version = (*kind != "browser").then(|| {
        let rest = agent.get(folded.find(part)? + part.len()..)?.trim_start_matches(['/', ' ']);
        plain(rest.split([' ', ';', '(', ',']).next()?)
            .filter(|version| version.starts_with(|first: char| first.is_ascii_digit()))
    });
    ((*kind).into(), version.flatten())
}

/// The first words of a user agent, such as `OpenAI/JS 7.15.0`.
fn library(agent: &str) -> Option<String> {
    let library: &str = agent.split(|other: char| !is_plain(other) && !matches!(other, '/' | ' ')).next()?;
    Some(library.trim()).filter(|name| (1..=MAX_VERSION_BYTES).contains(&name.len())).map(str::to_owned)
}

/// What OpenClaw says of its version, if the call is one of its: nothing, or `2026.9.6` of `openclaw/2026.9.6`.
fn openclaw(headers: &HeaderMap) -> Option<&str> {
    [&CLIENT, &CLAWROUTER_CLIENT].into_iter().find_map(|name| {
        let told = text(headers, name);
        let (name, version) = told.split_once('/').unwrap_or((told, ""));
        name.eq_ignore_ascii_case("openclaw").then_some(version)
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

fn plain(version: &str) -> Option<String> {
    let fits = (1..=MAX_VERSION_BYTES).contains(&version.len()) && version.chars().all(is_plain);
    fits.then(|| version.to_owned())
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '+' | '_')
}

/// The trace id of a `traceparent` header: 32 hexadecimal digits. Source: W3C Trace Context, section 3.2.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(&TRACEPARENT)?.to_str().ok()?;
    // All zeros are no trace id.
    usage::trace_id(value.split('-').nth(1)?).filter(|id| id.contains(|digit| digit != '0'))
}

/// The longest name of a session, as OpenRouter has it
/// (<https://openrouter.ai/docs/guides/best-practices/prompt-caching>).
const MAX_SESSION_BYTES: usize = 256;

/// What the client calls the conversation: `x-session-id`. A longer one is none.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(&SESSION_ID)?.to_str().ok()?.trim();
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
    headers.get(&PRIORITY).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"batch"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&'static str, &'static str)]) -> (String, Option<String>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        of(&headers)
    }

    #[test]
    fn openclaw_is_known_by_its_header_with_and_without_a_version() {
        let sdk = ("user-agent", "OpenAI/JS 7.15.0");
        for (headers, expected) in [
            (&[("x-client", "openclaw/2026.9.6"), sdk][..], Some("2026.9.6")),
            (&[("x-client", "OpenClaw/2026.10.0-beta.1"), sdk], Some("2026.10.0-beta.1")),
            (&[("x-client", "openclaw"), sdk], Some("OpenAI/JS 7.15.0")),
            (&[("x-clawrouter-client", "openclaw"), sdk], Some("OpenAI/JS 7.15.0")),
            (&[("x-client", "openclaw/<script>"), sdk], Some("OpenAI/JS 7.15.0")),
            (
                &[
                    ("x-client", "openclaw/12345678901234567890123456789012345678901"),
                    ("user-agent", "undici"),
                ],
                Some("undici"),
            ),
            (&[("x-client", "openclaw"), ("user-agent", "Evil/1 (<b>)")], Some("Evil/1")),
            (&[("x-client", "openclaw")], None),
        ] {
            assert_eq!(told(headers), ("openclaw".to_owned(), expected.map(str::to_owned)), "{headers:?}");
        }
        for other in ["openclaws", "open/claw", "openclaw2/1"] {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static("x-client"),
                HeaderValue::from_static(other),
            )]);
            assert_eq!(of(&headers).0, "unknown", "{other}");
        }
    }

    #[test]
    fn known_libraries_tell_their_version_and_browsers_none() {
        for (agent, kind, version) in [
            ("OpenAI/JS 7.15.0", "openai-node", Some("7.15.0")),
            ("AsyncOpenAI/Python 1.99.1", "openai-python", Some("1.99.1")),
            ("python-requests/2.31.0", "python", Some("2.31.0")),
            ("Python/3.12 aiohttp/3.9.5", "python", Some("3.9.5")),
            ("curl/8.5.0", "curl", Some("8.5.0")),
            ("node", "node", None),
            ("Mozilla/5.0 (X11; Linux x86_64)", "browser", None),
            ("something/1.0", "other", None),
        ] {
            assert_eq!(
                told(&[("user-agent", agent)]),
                (kind.to_owned(), version.map(str::to_owned)),
                "{agent}"
            );
        }
    }
}
