//! Channels: upstream endpoints, what they serve, and at what price.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    endpoint::{Endpoints, Unit},
    id::ChannelId,
    limit::Limit,
    secret::Secret,
    token::Quota,
    unit_price::UnitPrices,
    usage::{TokenCounts, Units},
};

/// The wire protocol that an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OpenAI's `/chat/completions` and its neighbours.
    #[default]
    OpenAi,
}

impl Protocol {
    /// The name in the database and in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }

    /// The protocol of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "openai" => Some(Self::OpenAi),
            _ => None,
        }
    }
}

/// One upstream endpoint and its policy.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// The operator's name for it; unique among channels that are not deleted.
    pub name: String,
    /// The upstream's base URL as the operator gave it, without a trailing slash; with or without `/v1`.
    pub base_url: String,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The id of the provider whose rules hold for it; the generic one if nobody knows, or if there is none of the id
    /// (any more).
    pub provider: String,
    /// The plan of that provider which its limits depend on; `None` means the provider's usual one.
    pub plan: Option<String>,
    /// Tier: channels of a higher priority are tried before those of a lower one.
    pub priority: i64,
    /// Share of the calls among channels of the same priority; at least 1.
    pub weight: u32,
    /// Groups that may use the channel. A token without groups may use every channel.
    pub groups: Vec<String>,
    /// Headers to add to every upstream request. Values may be secret.
    pub headers: Vec<(String, Secret)>,
    /// Outbound proxy: `http://`, `https://`, `socks5://` or `socks5h://`, perhaps with a password.
    pub proxy: Option<Secret>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Whether the upstream may be on a private, loopback or link-local address.
    pub allow_private: bool,
    /// The operator's note.
    pub note: String,
    /// Off means: takes no calls.
    pub enabled: bool,
    /// The endpoints that its operator says it serves; none named means what its provider is known to serve.
    pub endpoints: Endpoints,
    /// The upstream models that are offered under their own names.
    pub models: Vec<ChannelModel>,
    /// Further public names, and the upstream models behind them.
    pub redirects: Vec<Redirect>,
    /// What the operator says that it may do, in the order in which it was said; keys may have more.
    pub limits: Vec<Limit>,
    /// How its requests are shaped.
    pub shaping: Shaping,
    /// How much all of its keys may spend together.
    pub budget: Option<Quota>,
}

/// How a channel's requests are shaped, beside what its provider's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Shaping {
    /// Fixes of requests that are switched on or off for this channel, by their ids in the provider's file or in that of
    /// `generic`, such as `cache-control`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fixes: BTreeMap<String, bool>,
    /// How many seconds the upstream shall keep answers for equal requests, from 1 to 86,400; left out: no longer than the
    /// client asks for. Only for providers that have such a cache (OpenRouter).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400)]
    pub response_cache_s: Option<u32>,
}

impl Channel {
    /// The URL of an endpoint below the base, such as `chat/completions`.
    ///
    /// `/v1` is added unless the base's path already has a segment that is a version (`v1`, `v1beta`, `v3`).
    pub fn endpoint_url(&self, path: &str) -> String {
        endpoint_url(&self.base_url, path)
    }

    /// What the channel knows of an upstream model, if it is listed.
    pub fn model(&self, upstream_name: &str) -> Option<&ChannelModel> {
        self.models.iter().find(|model| model.name == upstream_name)
    }
}

/// Joins a base URL and an endpoint path; see [`Channel::endpoint_url`].
pub fn endpoint_url(base_url: &str, path: &str) -> String {
    let base = base_url.trim_end_matches('/');
    let after_scheme = base.split_once("://").map_or(base, |(_, rest)| rest);
    let versioned = after_scheme.split('/').skip(1).any(|segment| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    if versioned { format!("{base}/{path}") } else { format!("{base}/v1/{path}") }
}

/// Limits on the phases of an upstream call, in milliseconds. `None` takes the server's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: Option<u32>,
    /// From the request until the first real content.
    pub first_byte_ms: Option<u32>,
    /// Between two pieces of an answer.
    pub idle_ms: Option<u32>,
}

/// [`Timeouts`] with the defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveTimeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request until the first real content.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
}

/// What is known of one upstream model of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelModel {
    /// The upstream's name for it.
    pub name: String,
    /// Context window in tokens, if known.
    pub context_window: Option<u32>,
    /// Largest answer in tokens, if known. Reserved from a token's quota when a call names no maximum.
    pub max_output: Option<u32>,
    /// Whether it reads images, if known.
    pub vision: Option<bool>,
    /// Whether it calls tools, if known.
    pub tools: Option<bool>,
    /// Whether it reasons, if known.
    pub reasoning: Option<bool>,
    /// The endpoints that it is served on; none named means those of its channel.
    #[serde(default, skip_serializing_if = "Endpoints::is_unset")]
    pub endpoints: Endpoints,
    /// Its price per token; without any price a token with a dollar quota cannot use it.
    pub price: Option<Price>,
    /// Its prices per picture, minute and the like; what a call costs by them is added to what its tokens cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_prices: Option<Box<UnitPrices>>,
}

impl ChannelModel {
    /// What a call costs by its prices, in micro-dollars; `None` if nothing that it used has one.
    pub fn cost_micros(&self, tokens: &TokenCounts, units: Option<&Units>) -> Option<i64> {
        let of_tokens = self.price.map(|price| price.cost_micros(tokens));
        match self.unit_prices.as_ref().zip(units).and_then(|(prices, units)| prices.cost_micros(units)) {
            None => of_tokens,
            Some(of_units) => Some(of_units.saturating_add(of_tokens.unwrap_or(0))),
        }
    }

    /// Whether it has any price.
    pub fn is_priced(&self) -> bool {
        self.price.is_some() || self.unit_prices.is_some()
    }

    /// Whether it has a price for a unit beside tokens.
    pub fn is_priced_by(&self, unit: Unit) -> bool {
        self.unit_prices.as_ref().is_some_and(|prices| prices.covers(unit))
    }

    /// Whether it has a price for calls that are counted in a unit beside tokens. Videos take no tokens, so a price per token
    /// is none of theirs.
    pub fn is_priced_for(&self, unit: Unit) -> bool {
        self.is_priced_by(unit) || unit != Unit::Video && self.price.is_some()
    }
}

/// A price in micro-dollars per million tokens: 150 000 is $0.15 per million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// For a prompt token that was not cached.
    pub input: i64,
    /// For a cached prompt token; `None` means the same as `input`.
    pub cached: Option<i64>,
    /// For a completion token.
    pub output: i64,
    /// For a completion token that was spent on reasoning; `None` means the same as `output`.
    #[serde(default)]
    pub reasoning: Option<i64>,
}

impl Price {
    /// The most that a call of so many tokens may cost, in micro-dollars: nothing is cached, and all of its answer costs what is
    /// dearer, reasoning or not.
    pub fn most_micros(&self, prompt: u64, completion: u64) -> i64 {
        let dearest = Self { output: self.output.max(self.reasoning.unwrap_or(0)), reasoning: None, ..*self };
        dearest.cost_micros(&TokenCounts { prompt, completion, ..TokenCounts::default() })
    }

    /// The cost in micro-dollars; a part of one counts as a whole.
    pub fn cost_micros(&self, tokens: &TokenCounts) -> i64 {
        let cached = tokens.cached.min(tokens.prompt);
        let reasoning = tokens.reasoning.min(tokens.completion);
        // One product of the two has room in an i128, several may not.
        let sum = [
            (tokens.prompt - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (tokens.completion - reasoning, self.output),
            (reasoning, self.reasoning.unwrap_or(self.output)),
        ]
        .into_iter()
        .map(|(tokens, price)| i128::from(tokens) * i128::from(price))
        .fold(999_999_i128, i128::saturating_add);
        let micros = sum.div_euclid(1_000_000);
        i64::try_from(micros).unwrap_or(i64::MAX)
    }
}

/// A public model name and the upstream model behind it. One public name may occur several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// What clients ask for.
    pub public: String,
    /// What the upstream is asked for.
    pub upstream: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_works_with_and_without_its_version() {
        let chat = |base| endpoint_url(base, "chat/completions");
        assert_eq!(chat("https://api.example.com"), "https://api.example.com/v1/chat/completions");
        assert_eq!(chat("https://api.example.com/v1/"), "https://api.example.com/v1/chat/completions");
        assert_eq!(chat("https://x.example/api/v1"), "https://x.example/api/v1/chat/completions");
        assert_eq!(
            chat("https://x.example/v1beta/openai"),
            "https://x.example/v1beta/openai/chat/completions"
        );
        assert_eq!(chat("https://x.example/api/paas/v4"), "https://x.example/api/paas/v4/chat/completions");
        assert_eq!(chat("http://v1.example"), "http://v1.example/v1/chat/completions");
    }

    #[test]
    fn cost_is_rounded_up_and_cached_tokens_are_part_of_the_prompt() {
        let price = Price { input: 150_000, cached: Some(75_000), output: 600_000, reasoning: None };
        let cost = |price: Price, prompt, cached, completion, reasoning| {
            price.cost_micros(&TokenCounts { prompt, completion, cached, reasoning })
        };
        assert_eq!(cost(price, 1_000_000, 0, 0, 0), 150_000);
        assert_eq!(cost(price, 1_000_000, 1_000_000, 0, 0), 75_000);
        assert_eq!(cost(price, 1, 0, 0, 0), 1);
        assert_eq!(cost(price, 0, 0, 0, 0), 0);
        assert_eq!(cost(price, 10, 99, 0, 0), 1);
        assert_eq!(cost(price, 0, 0, 1_000_000, 900_000), 600_000, "reasoning costs what output does");
        let apart = Price { reasoning: Some(1_200_000), ..price };
        assert_eq!(cost(apart, 0, 0, 1_000_000, 500_000), 900_000);
        assert_eq!(cost(apart, 0, 0, 1_000_000, 9_000_000), 1_200_000, "no more than there is");
        let dear = Price { input: i64::MAX, cached: None, output: i64::MAX, reasoning: None };
        assert_eq!(cost(dear, u64::MAX, 0, u64::MAX, 0), i64::MAX);
    }

    #[test]
    fn a_call_costs_its_tokens_and_its_units_and_nothing_is_known_of_what_has_no_price() {
        let unit_prices = UnitPrices::parse("image=0.04").unwrap();
        let model = ChannelModel { unit_prices: Some(Box::new(unit_prices)), ..ChannelModel::default() };
        let tokens = TokenCounts { prompt: 100, completion: 10, ..TokenCounts::default() };
        let units = Units { images: 2, ..Units::default() };
        assert_eq!(model.cost_micros(&tokens, Some(&units)), Some(80_000));
        assert_eq!(model.cost_micros(&tokens, None), None);
        assert!(model.is_priced_for(Unit::Images) && !model.is_priced_for(Unit::None));
        let price = Price { input: 1_000_000, cached: None, output: 2_000_000, reasoning: None };
        let both = ChannelModel { price: Some(price), ..model };
        assert_eq!(both.cost_micros(&tokens, Some(&units)), Some(80_120));
        assert_eq!(both.cost_micros(&tokens, Some(&Units::default())), Some(120));
        assert!(both.is_priced_for(Unit::Audio) && !both.is_priced_for(Unit::Video));
    }
}
