//! The catalog: an immutable snapshot of channels, keys, tokens and run-time settings.
//!
//! The relay answers every question of a call from one snapshot, without a query. A change on a page builds a new
//! snapshot and swaps it in; calls that are under way keep theirs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    channel::{Channel, ChannelModel, EffectiveTimeouts},
    id::{ChannelId, TokenId},
    key::Key,
    limit::Rule,
    secret::SecretHash,
    settings::RuntimeSettings,
    time::UnixMs,
    token::{QuotaUnit, Token},
};

/// A channel and its keys.
#[derive(Debug)]
pub struct ChannelEntry {
    /// The channel.
    pub channel: Channel,
    /// All of its keys, switched off ones included, by id.
    pub keys: Vec<Arc<Key>>,
}

/// One way to serve a public model name: a channel and the upstream's name there.
#[derive(Debug, Clone)]
pub struct Route {
    /// The channel.
    pub channel: Arc<ChannelEntry>,
    /// The upstream's model name.
    pub upstream_model: Arc<str>,
    /// What is known of that model.
    pub model: Arc<ChannelModel>,
}

/// A public model name and what serves it.
#[derive(Debug, Clone)]
pub struct PublicModel {
    /// The name, in the letter case in which it was first configured.
    pub name: String,
    /// Who serves it; only channels that are on.
    pub routes: Vec<Route>,
}

/// A token that a presented credential belongs to.
#[derive(Debug, Clone)]
pub struct TokenMatch {
    /// The token.
    pub token: Arc<Token>,
    /// When this value of it ends, if it was replaced with a grace time.
    pub valid_until: Option<UnixMs>,
}

/// The snapshot.
#[derive(Debug)]
pub struct Catalog {
    /// Run-time settings.
    pub settings: RuntimeSettings,
    /// Time zone of quota resets.
    pub zone: jiff::tz::TimeZone,
    channels: BTreeMap<ChannelId, Arc<ChannelEntry>>,
    tokens: BTreeMap<TokenId, Arc<Token>>,
    credentials: HashMap<SecretHash, TokenMatch>,
    models: BTreeMap<String, PublicModel>,
    limits: Vec<Rule>,
}

impl Catalog {
    /// Builds a snapshot; `credentials` maps the hash of every valid `sk-` value to its token.
    pub fn new(
        settings: RuntimeSettings,
        zone: jiff::tz::TimeZone,
        channels: Vec<(Channel, Vec<Key>)>,
        tokens: Vec<Token>,
        credentials: Vec<(SecretHash, TokenId, Option<UnixMs>)>,
    ) -> Self {
        let channels: BTreeMap<_, _> = channels
            .into_iter()
            .map(|(channel, keys)| {
                let keys = keys.into_iter().map(Arc::new).collect();
                (channel.id, Arc::new(ChannelEntry { channel, keys }))
            })
            .collect();
        let tokens: BTreeMap<_, _> = tokens.into_iter().map(|token| (token.id, Arc::new(token))).collect();
        let credentials = credentials
            .into_iter()
            .filter_map(|(hash, id, valid_until)| {
                tokens.get(&id).map(|token| (hash, TokenMatch { token: token.clone(), valid_until }))
            })
            .collect();
        let models = public_models(&channels);
        Self { settings, zone, channels, tokens, credentials, models, limits: Vec::new() }
    }

    /// The same with declared limits.
    #[must_use]
    pub fn with_limits(self, limits: Vec<Rule>) -> Self {
        Self { limits, ..self }
    }

    /// The limits that operators have declared, of all channels.
    pub fn limits(&self) -> &[Rule] {
        &self.limits
    }

    /// The channel of an id.
    pub fn channel(&self, id: ChannelId) -> Option<&Arc<ChannelEntry>> {
        self.channels.get(&id)
    }

    /// All channels, by id, switched off ones included.
    pub fn channels(&self) -> impl Iterator<Item = &Arc<ChannelEntry>> {
        self.channels.values()
    }

    /// The token of an id.
    pub fn token(&self, id: TokenId) -> Option<&Arc<Token>> {
        self.tokens.get(&id)
    }

    /// All tokens, by id, switched off and ended ones included.
    pub fn tokens(&self) -> impl Iterator<Item = &Arc<Token>> {
        self.tokens.values()
    }

    /// The token that a presented credential belongs to. Whether it may be used now is the caller's to check.
    pub fn find_credential(&self, hash: &SecretHash) -> Option<&TokenMatch> {
        self.credentials.get(hash)
    }

    /// What serves a public model name; letter case does not matter.
    pub fn model(&self, name: &str) -> Option<&PublicModel> {
        self.models.get(&name.to_lowercase())
    }

    /// Every public model, by name.
    pub fn models(&self) -> impl Iterator<Item = &PublicModel> {
        self.models.values()
    }

    /// The public models in a token's scope that a channel which it may use serves.
    pub fn models_in_scope<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a PublicModel> {
        self.models.values().filter(|model| {
            token.allows_model(&model.name)
                && model.routes.iter().any(|route| token.allows_groups(&route.channel.channel.groups))
        })
    }

    /// Those of them that a call would not be refused for: with a quota in dollars, the ones that have a price.
    pub fn models_for<'a>(&'a self, token: &'a Token) -> impl Iterator<Item = &'a PublicModel> {
        let counts_dollars = token.quota.is_some_and(|quota| quota.unit == QuotaUnit::Dollars);
        self.models_in_scope(token).filter(move |model| !counts_dollars || has_price(model, token))
    }

    /// A channel's limits on the phases of a call, with the server's defaults filled in.
    pub fn timeouts(&self, channel: &Channel) -> EffectiveTimeouts {
        let ms = |own: Option<u32>, default: u32| {
            std::time::Duration::from_millis(u64::from(own.unwrap_or(default)))
        };
        EffectiveTimeouts {
            connect: ms(channel.timeouts.connect_ms, self.settings.connect_timeout_ms),
            first_byte: ms(channel.timeouts.first_byte_ms, self.settings.first_byte_timeout_ms),
            idle: ms(channel.timeouts.idle_ms, self.settings.idle_timeout_ms),
        }
    }
}

/// Why a token may not use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// None of its groups is one of the channel's.
    Group,
    /// Its quota counts dollars, and the model has no price there.
    NoPrice,
}

impl Route {
    /// Why a token may not use it, if it may not.
    pub fn bar(&self, token: &Token) -> Option<Bar> {
        if !token.allows_groups(&self.channel.channel.groups) {
            return Some(Bar::Group);
        }
        let counts_dollars = token.quota.is_some_and(|quota| quota.unit == QuotaUnit::Dollars);
        (counts_dollars && self.model.price.is_none()).then_some(Bar::NoPrice)
    }
}

/// Whether a model has a price on a channel that a token may use.
pub fn has_price(model: &PublicModel, token: &Token) -> bool {
    model
        .routes
        .iter()
        .any(|route| token.allows_groups(&route.channel.channel.groups) && route.model.price.is_some())
}

fn public_models(channels: &BTreeMap<ChannelId, Arc<ChannelEntry>>) -> BTreeMap<String, PublicModel> {
    let mut models: BTreeMap<String, PublicModel> = BTreeMap::new();
    for entry in channels.values().filter(|entry| entry.channel.enabled) {
        let channel = &entry.channel;
        let own = channel.models.iter().map(|model| (model.name.as_str(), model.name.as_str()));
        let redirected = channel.redirects.iter().map(|r| (r.public.as_str(), r.upstream.as_str()));
        for (public, upstream) in own.chain(redirected) {
            let routes = &mut models
                .entry(public.to_lowercase())
                .or_insert_with(|| PublicModel { name: public.to_owned(), routes: Vec::new() })
                .routes;
            let known = routes
                .iter()
                .any(|route| route.channel.channel.id == channel.id && &*route.upstream_model == upstream);
            if !known {
                let model = channel.model(upstream).cloned();
                routes.push(Route {
                    channel: entry.clone(),
                    upstream_model: upstream.into(),
                    model: model
                        .unwrap_or_else(|| ChannelModel { name: upstream.into(), ..Default::default() })
                        .into(),
                });
            }
        }
    }
    models
}
