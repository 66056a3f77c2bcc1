//! What a channel and a token may be: limits and checks that pages, the admin API and pool files share. Pure.

use std::{net::IpAddr, ops::RangeInclusive};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::{
    i18n::Messages,
    model::{
        channel::{Price, Shaping},
        decimal,
        token::{Quota, QuotaReset, QuotaUnit},
    },
    provider::{Provider, Providers},
    upstream::address,
};

use super::input::Fault;

/// The most characters of a channel's or token's name, of a key's label and of a quota group.
pub const MAX_NAME_CHARS: usize = 100;
/// The most characters of a note.
pub const MAX_NOTE_CHARS: usize = 2000;
/// The most characters of a base URL.
const MAX_URL_CHARS: usize = 500;
/// The most models of a channel.
pub const MAX_MODELS: usize = 2000;
/// The most redirects of a channel.
pub const MAX_REDIRECTS: usize = 2000;
/// The most headers that a channel adds.
pub const MAX_HEADERS: usize = 50;
/// The most groups of a channel.
pub const MAX_CHANNEL_GROUPS: usize = 20;
/// The most characters of a group's name.
pub const MAX_GROUP_CHARS: usize = 50;
/// The most characters of a model's name.
pub const MAX_MODEL_CHARS: usize = 200;
/// The most entries of a token's list of models, groups or networks.
pub const MAX_ENTRIES: usize = 500;
/// What a channel's priority may be.
pub const PRIORITIES: RangeInclusive<i64> = -1_000_000..=1_000_000;
/// What a channel's weight may be.
pub const WEIGHTS: RangeInclusive<i64> = 1..=10_000;
/// What a channel's time limits may be, in milliseconds: a tenth of a second to an hour.
pub const TIMEOUTS_MS: RangeInclusive<i64> = 100..=3_600_000;
/// What a token's weight may be.
pub const TOKEN_WEIGHT: RangeInclusive<i64> = 1..=100;
/// What a token's requests per minute may be.
pub const REQUESTS_PER_MINUTE: RangeInclusive<i64> = 1..=1_000_000;
/// The most limits of a channel.
pub const MAX_LIMITS: usize = 50;
/// The most limits of a key.
pub const MAX_KEY_LIMITS: usize = 20;
/// The most names of models in a limit.
pub const MAX_LIMIT_MODELS: usize = 50;
/// What a limit's amount may be: far from where sums could overflow.
pub const LIMIT_AMOUNTS: RangeInclusive<i64> = 1..=1_000_000_000_000;
/// Decimals of an amount in dollars.
pub const DOLLAR_PLACES: u32 = 6;
/// The highest price, in micro-dollars per million tokens: a million dollars.
pub const MAX_PRICE_MICROS: i64 = 1_000_000_000_000;
/// A billion dollars: far from where sums of micro-dollars could overflow.
const MAX_DOLLARS_MICROS: i64 = 1_000_000_000_000_000;

/// Headers that the client to upstreams sets itself, and those that belong to one connection only (RFC 9110 section
/// 7.6.1).
const OWN_HEADERS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with the name of a channel or a token.
pub fn check_name(t: Messages, name: &str) -> Result<(), String> {
    if name.is_empty() {
        Err(t.common.field_required().into())
    } else if name.chars().count() > MAX_NAME_CHARS {
        Err(t.common.field_too_long(MAX_NAME_CHARS))
    } else {
        Ok(())
    }
}

/// Reads a time that may be left out; for serde.
pub fn optional_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let time = |text: String| {
        // The library's words name letters of the format, not the remedy.
        let wrong = || D::Error::custom("Expected a time with its zone, such as 2030-01-31T00:00:00Z.");
        text.parse().map_err(|_| wrong())
    };
    text.map(time).transpose()
}

/// What is wrong with a text that may be empty, such as a note.
pub fn check_length(t: Messages, text: &str, most_chars: usize) -> Result<(), String> {
    if text.chars().count() > most_chars { Err(t.common.field_too_long(most_chars)) } else { Ok(()) }
}

/// What is wrong with a base URL; `private` is what to say of a private address that is not allowed.
pub fn check_base_url(t: Messages, text: &str, allow_private: bool, private: &str) -> Result<(), String> {
    let c = t.channels;
    if text.is_empty() {
        return Err(t.common.field_required().into());
    }
    check_length(t, text, MAX_URL_CHARS)?;
    let url = url::Url::parse(text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) =
        url.filter(|_| !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\'))
    else {
        return Err(c.url_invalid().into());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(c.url_credentials().into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(c.url_query().into());
    }
    let path = url.path().to_ascii_lowercase();
    if ["/chat/completions", "/completions", "/embeddings", "/models"].iter().any(|end| path.ends_with(end)) {
        return Err(c.url_endpoint().into());
    }
    if !allow_private && address::names_private_host(&url) {
        return Err(private.into());
    }
    Ok(())
}

/// What is wrong with the id of a channel's provider.
pub fn check_provider(t: Messages, providers: &Providers, id: &str) -> Result<(), String> {
    if providers.find(id).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = providers.all().map(|provider| provider.id.as_str()).collect();
    let all = known.join(", ");
    Err(match super::slip::nearest(id, &known) {
        Some(near) => t.pool.provider_unknown_near(&shortened(id), near, &all),
        None => t.pool.provider_unknown(&shortened(id), &all),
    })
}

/// Whether a text can be a model's name.
pub fn is_model_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= MAX_MODEL_CHARS
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What is wrong with the plan of a channel whose provider is this one.
pub fn check_plan(t: Messages, provider: &Provider, plan: &str) -> Result<(), String> {
    let known: Vec<&str> = provider.plans.iter().map(|plan| plan.id.as_str()).collect();
    if known.contains(&plan) {
        Ok(())
    } else if known.is_empty() {
        Err(t.pool.no_plans(&provider.id))
    } else {
        Err(t.pool.plan_unknown(&provider.id, &shortened(plan), &known.join(", ")))
    }
}

/// The switches of a channel's fixes as operators write them: `cache-control=on`.
pub fn shown_fixes(shaping: &Shaping) -> Vec<String> {
    let word = |on: &bool| if *on { "on" } else { "off" };
    shaping.fixes.iter().map(|(id, on)| format!("{id}={}", word(on))).collect()
}

/// The most fixes that are switched on or off for a channel.
const MAX_SWITCHES: usize = 100;
/// For how many seconds an upstream may be asked to keep answers
/// (<https://openrouter.ai/docs/guides/features/response-caching>).
pub const RESPONSE_CACHE_S: std::ops::RangeInclusive<i64> = 1..=86_400;

/// What is wrong with how a channel's requests shall be shaped: places and messages. What `kept` says already is believed;
/// without a provider every fix is.
pub fn check_shaping(
    t: Messages,
    provider: Option<&Provider>,
    kept: Option<&Shaping>,
    shaping: &Shaping,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut add = |field: String, message: String| faults.push(Fault { field, message });
    if shaping.fixes.len() > MAX_SWITCHES {
        add("shaping.fixes".into(), t.pool.too_many_fixes(MAX_SWITCHES));
    }
    for id in shaping.fixes.keys().take(MAX_SWITCHES) {
        let known = kept.is_some_and(|kept| kept.fixes.contains_key(id))
            || provider.is_none_or(|provider| provider.has_fix(id));
        if let Some(provider) = provider.filter(|_| !known) {
            let all: Vec<&str> = provider.fixes().map(|rule| rule.id.as_str()).collect();
            let message = t.pool.fix_unknown(&provider.id, &shortened(id), &all.join(", "));
            add(format!("shaping.fixes.{id}"), message);
        }
    }
    if let Some(seconds) = shaping.response_cache_s {
        let (field, range) = ("shaping.response_cache_s".to_owned(), RESPONSE_CACHE_S);
        if !range.contains(&seconds.into()) {
            add(field, t.common.field_out_of_range(*range.start(), *range.end()));
        } else if kept.is_none_or(|kept| kept.response_cache_s.is_none())
            && let Some(provider) = provider.filter(|provider| !provider.response_cache)
        {
            add(field, t.pool.no_response_cache(&provider.id));
        }
    }
    faults
}

/// Whether a text can be the name of a channel's group.
pub fn is_group(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= MAX_GROUP_CHARS && !name.contains(char::is_control)
}

/// Why a channel cannot add a header to its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderProblem {
    /// The name or the value is not what HTTP allows; values are printable ASCII.
    Invalid,
    /// It carries the key, which rotates.
    Authorization,
    /// The client to upstreams sets it, or it belongs to one connection.
    Own,
}

/// What is wrong with a header's name.
pub fn check_header_name(name: &str) -> Result<(), HeaderProblem> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderProblem::Invalid)?;
    if parsed == http::header::AUTHORIZATION {
        Err(HeaderProblem::Authorization)
    } else if OWN_HEADERS.contains(&parsed.as_str()) {
        Err(HeaderProblem::Own)
    } else {
        Ok(())
    }
}

/// Whether a channel can send a text as a header's value: printable ASCII only, since what else a header may carry,
/// upstreams read in different ways.
pub fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && value.len() <= 4000
        && HeaderValue::from_str(value).is_ok()
}

/// Whether a text is the address of an outbound proxy.
pub fn is_proxy(text: &str) -> bool {
    text.len() <= 1000
        && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        && url::Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
                && url.fragment().is_none()
        })
}

/// Whether a price is within its limits.
pub fn is_price(price: Price) -> bool {
    let fits = |value: i64| (0..=MAX_PRICE_MICROS).contains(&value);
    fits(price.input)
        && fits(price.output)
        && price.cached.is_none_or(fits)
        && price.reasoning.is_none_or(fits)
}

/// What is wrong with an entry of a token's model scope: a name, or a beginning written `prefix*`.
pub fn check_model_scope(t: Messages, entry: &str) -> Result<(), String> {
    if entry.find('*').is_some_and(|position| position + 1 != entry.len()) {
        Err(t.token_form.model_star(&shortened(entry)))
    } else if entry.chars().count() > MAX_MODEL_CHARS {
        Err(t.token_form.model_too_long(&shortened(entry)))
    } else {
        Ok(())
    }
}

/// A network, or a single address; bits below the prefix are dropped, so that `10.1.2.3/8` is `10.0.0.0/8`.
pub fn read_network(t: Messages, entry: &str) -> Result<IpNet, String> {
    let single = || entry.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    let network = entry.parse::<IpNet>().ok().map(|network| network.trunc()).or_else(single);
    network.ok_or_else(|| t.token_form.cidr_wrong(&shortened(entry)))
}

/// A network as [`read_network`] reads it: a single address without its prefix.
pub fn show_network(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// A quota from its unit and the amount as it was written: dollars with at most six decimals, else a whole number.
pub fn read_quota(t: Messages, unit: QuotaUnit, amount: &str, reset: QuotaReset) -> Result<Quota, String> {
    let amount = amount.trim();
    if amount.is_empty() {
        return Err(t.common.field_required().into());
    }
    let limit = match unit {
        QuotaUnit::Dollars => decimal::parse(amount.strip_prefix('$').unwrap_or(amount), DOLLAR_PLACES)
            .filter(|micros| (1..=MAX_DOLLARS_MICROS).contains(micros))
            .ok_or_else(|| t.token_form.quota_dollars_wrong())?,
        QuotaUnit::Tokens | QuotaUnit::Requests => decimal::parse(amount, 0)
            .filter(|count| *count > 0 && !amount.contains('.'))
            .ok_or_else(|| t.token_form.quota_count_wrong())?,
    };
    Ok(Quota::new(unit, limit, reset))
}

/// A quota's amount as [`read_quota`] reads it.
pub fn show_quota(quota: &Quota) -> String {
    match quota.unit {
        QuotaUnit::Dollars => decimal::show(quota.limit, DOLLAR_PLACES),
        QuotaUnit::Tokens | QuotaUnit::Requests => quota.limit.to_string(),
    }
}

/// An entry in a message: long ones are cut.
pub fn shortened(entry: &str) -> String {
    const SHOWN: usize = 60;
    if entry.chars().count() <= SHOWN {
        return entry.to_owned();
    }
    format!("{}…", entry.chars().take(SHOWN).collect::<String>())
}
