//! The catalog: an immutable snapshot of channels, keys, chains, tokens and run-time settings.
//!
//! The relay answers every question of a call from one snapshot, without a query. A change on a page builds a new
//! snapshot and swaps it in; calls that are under way keep theirs.

mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    chain::Chain,
    channel::{Channel, ChannelModel, EffectiveTimeouts},
    id::{ChainId, ChannelId, TokenId},
    key::Key,
    limit::Rule,
    managed::ManagedSteps,
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

impl ChannelEntry {
    /// What its operator declared: the channel's own limits, then those of its keys, so that a key's comes last where
    /// both are of the same kind.
    fn limits(&self) -> impl Iterator<Item = Rule> + '_ {
        let id = self.channel.id;
        let own = self.channel.limits.iter().map(move |limit| limit.rule(id, None));
        let of_key = move |key: &'_ Arc<Key>| {
            let rules: Vec<Rule> = key.limits.iter().map(|limit| limit.rule(id, Some(key.id))).collect();
            rules
        };
        own.chain(self.keys.iter().flat_map(of_key))
    }
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
#[derive(Debug, Clone, Default)]
pub struct PublicModel {
    /// The name, in the letter case in which it was first configured.
    pub name: String,
    /// Who serves it; only channels that are on. Of a chain those of all steps, each once, in order.
    pub routes: Vec<Route>,
    /// The models that serve it, in the order in which they are looked at. Of a chain its steps, with the chains that they
    /// name written out, each model once, and without those that nobody serves now; else only the model itself.
    pub steps: Vec<Step>,
    /// The chain, if it is one that was made by hand.
    pub chain: Option<ChainId>,
    /// Whether it is a managed chain, such as `auto`.
    pub managed: bool,
}

/// A model that serves a public name, and how long a call waits for it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The public name of the model, which is no chain; of a managed chain the model's identity, which need not be a public
    /// name.
    pub model: String,
    /// How long a call waits, from its arrival, before the step after this one is looked at, in milliseconds: 0 is not at
    /// all, `None` as long as it may.
    pub spill_ms: Option<u32>,
    /// Who serves it; only channels that are on.
    pub routes: Vec<Route>,
}

impl Step {
    /// How many channels serve it.
    pub fn channels(&self) -> usize {
        self.routes.iter().map(|route| route.channel.channel.id).collect::<HashSet<_>>().len()
    }
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
    chains: Vec<Arc<Chain>>,
    /// The public models of channels by folded name, those included that a chain hides; to their names.
    offered: BTreeMap<String, String>,
    limits: Vec<Rule>,
    /// The upstream models of managed chains, by channel; some of them only to watch their limits.
    managed_models: BTreeMap<ChannelId, BTreeSet<String>>,
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
        let limits = channels.values().flat_map(|entry| entry.limits()).collect();
        let offered = models.iter().map(|(key, model)| (key.clone(), model.name.clone())).collect();
        Self {
            settings,
            zone,
            channels,
            tokens,
            credentials,
            models,
            chains: Vec::new(),
            offered,
            limits,
            managed_models: BTreeMap::new(),
        }
    }

    /// The same with managed chains; call it once, before [`with_chains`](Self::with_chains). A channel's model of the same
    /// name hides one, and so does a chain that was made by hand.
    #[must_use]
    pub fn with_managed(mut self, chains: &[ManagedSteps]) -> Self {
        for step in chains.iter().flat_map(|chain| &chain.steps) {
            self.managed_models.entry(step.channel).or_default().insert(step.model.name.clone());
        }
        for chain in chains {
            let model = resolve::managed(chain, &self.channels);
            if !model.routes.is_empty() {
                self.models.entry(chain.name.to_lowercase()).or_insert(model);
            }
        }
        self
    }

    /// The upstream models of a channel that managed chains use or watch, whether the channel offers them or not.
    pub fn managed_models(&self, channel: ChannelId) -> impl Iterator<Item = &str> {
        self.managed_models.get(&channel).into_iter().flatten().map(String::as_str)
    }

    /// The same with chains; call it once. Chains that lead to themselves, which storage refuses, are cut where
    /// they would begin anew.
    #[must_use]
    pub fn with_chains(mut self, chains: Vec<Chain>) -> Self {
        self.chains = chains.into_iter().map(Arc::new).collect();
        for (key, model) in resolve::resolve(&self.chains, &self.models) {
            // A chain hides the channels' model of its name even if nobody serves it now: what is meant to be spared must
            // not be spent.
            if model.routes.is_empty() {
                self.models.remove(&key);
            } else {
                self.models.insert(key, model);
            }
        }
        self
    }

    /// All chains, by name, switched off ones included.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.chains.iter()
    }

    /// The chain of an id.
    pub fn chain(&self, id: ChainId) -> Option<&Arc<Chain>> {
        self.chains.iter().find(|chain| chain.id == id)
    }

    /// A chain with the chains that its steps name written out, and without what nobody serves; `None` if it is off or
    /// nobody serves any of it now.
    pub fn resolved(&self, id: ChainId) -> Option<&[Step]> {
        let model = self.model(&self.chain(id)?.name)?;
        (model.chain == Some(id)).then_some(&model.steps)
    }

    /// The public names of the models of channels that are on, by name; also of those that a chain hides.
    pub fn offered(&self) -> impl Iterator<Item = &str> {
        self.offered.values().map(String::as_str)
    }

    /// Whether a step of `chain` has somebody to serve it now: the channels' model of its own name, else a model or a chain
    /// that can be asked for.
    pub fn serves_step(&self, chain: &str, model: &str) -> bool {
        let key = model.to_lowercase();
        if key == chain.to_lowercase() {
            self.offered.contains_key(&key)
        } else {
            self.models.contains_key(&key)
        }
    }

    /// The models that serve a public name, in the order in which they are looked at; empty if nobody serves it. A plain
    /// model is one step.
    pub fn steps(&self, name: &str) -> &[Step] {
        self.model(name).map(|model| model.steps.as_slice()).unwrap_or_default()
    }

    /// The limits that operators have declared, of all channels: of each the channel's own, then its keys'.
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
                .or_insert_with(|| PublicModel { name: public.to_owned(), ..PublicModel::default() })
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
    for model in models.values_mut() {
        let (name, routes) = (model.name.clone(), model.routes.clone());
        model.steps = vec![Step { model: name, spill_ms: None, routes }];
    }
    models
}
