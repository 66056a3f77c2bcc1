//! OpenRouter's cache of answers (<https://openrouter.ai/docs/guides/features/response-caching>). It belongs to a key, so equal
//! requests go to the same one.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::channel::Channel;

/// Asks for the cache, or for none.
const ASK: HeaderName = HeaderName::from_static("x-openrouter-cache");
/// For how many seconds.
const TTL: HeaderName = HeaderName::from_static("x-openrouter-cache-ttl");
/// Asks to forget the answer first.
const CLEAR: HeaderName = HeaderName::from_static("x-openrouter-cache-clear");
/// `HIT` or `MISS`.
const STATUS: HeaderName = HeaderName::from_static("x-openrouter-cache-status");
/// How old the answer is.
const AGE: HeaderName = HeaderName::from_static("x-openrouter-cache-age");

/// The longest value that is passed on.
const MAX_VALUE_BYTES: usize = 32;

/// Headers, by name.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// What a client's headers say of the cache.
pub fn asked(headers: &HeaderMap) -> Headers {
    // Most calls say nothing of it.
    if !headers.contains_key(ASK) && !headers.contains_key(CLEAR) {
        return Vec::new();
    }
    taken(headers, [ASK, TTL, CLEAR])
}

fn taken<const N: usize>(headers: &HeaderMap, names: [HeaderName; N]) -> Headers {
    let short = |value: &&HeaderValue| value.len() <= MAX_VALUE_BYTES;
    names
        .into_iter()
        .filter_map(|name| headers.get(&name).filter(short).cloned().map(|value| (name, value)))
        .collect()
}

/// What a request to a channel that has the cache says of it: what the client says, else what the operator does.
pub(super) fn for_channel(asked: &Headers, channel: &Channel) -> Headers {
    let mut headers = asked.clone();
    let says = |name: &HeaderName| headers.iter().any(|(known, _)| known == name);
    if let Some(seconds) = channel.shaping.response_cache_s
        && !says(&ASK)
    {
        let ttl = (!says(&TTL)).then(|| (TTL, HeaderValue::from(seconds)));
        headers.push((ASK, HeaderValue::from_static("true")));
        headers.extend(ttl);
    }
    headers
}

/// Whether a client's headers turn the cache on; `None` if they leave it to the channel.
pub(super) fn turned_on(asked: &Headers) -> Option<bool> {
    let (_, value) = asked.iter().find(|(name, _)| *name == ASK)?;
    Some(!value.as_bytes().eq_ignore_ascii_case(b"false"))
}

/// What the answer's headers say of it, for the client.
pub(super) fn told(headers: &HeaderMap) -> Headers {
    taken(headers, [STATUS, AGE, TTL])
}

/// Whether the answer came out of the cache.
pub(super) fn is_hit(told: &Headers) -> bool {
    told.iter().any(|(name, value)| *name == STATUS && value.as_bytes().eq_ignore_ascii_case(b"hit"))
}

/// A number for a request, the same for equal ones, whoever sends them.
pub(super) fn number(body: &[u8], model: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (body, model).hash(&mut hasher);
    hasher.finish()
}
