//! The catalog: an immutable snapshot of channels, keys, chains, tokens and run-time settings.
//!
//! The relay answers every question of a call from one snapshot, without a query. A change on a page builds a new
//! snapshot and swaps it in; calls that are under way keep theirs.

mod offer;
mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::{
    ability::{Abilities, Findings},
    capture::Capture,
    chain::Chain,
    channel::{Channel, ChannelModel, EffectiveTimeouts},
    endpoint::Unit,
    id::{ChainId, ChannelId, TokenId},
    key::Key,
    limit::Rule,
    managed::ManagedSteps,
    price::{ListPrice, PriceSource},
    secret::SecretHash,
    settings::RuntimeSettings,
    time::UnixMs,
    token::{QuotaUnit, Token},
};

pub use offer::Offer;

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
    /// What is known of that model: what its operator says, if the channel offers it under its own name; else what a managed chain was
    /// built from.
    pub model: Arc<ChannelModel>,
    /// Whether the provider is known to charge nothing for it.
    pub free: bool,
    /// What that model costs by a list, to compare with; see [`price`](super::price).
    pub list: Option<Arc<ListPrice>>,
    /// Whether that is the operator's word.
    pub declared: bool,
    /// What probes, lists and the provider's file say of that model. Shared with the snapshots before and after this one.
    pub findings: Arc<Findings>,
}

/// The findings of each model of a channel, by the channel and the upstream's name.
pub type FindingsByModel = BTreeMap<(ChannelId, Arc<str>), Arc<Findings>>;

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
    /// Captures that run, or whose calls are kept; nearly always none.
    captures: Vec<Capture>,
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
            captures: Vec::new(),
        }
    }

    /// The same with captures.
    #[must_use]
    pub fn with_captures(mut self, captures: Vec<Capture>) -> Self {
        self.captures = captures;
        self
    }

    /// Captures that run, or whose calls are kept.
    pub fn captures(&self) -> &[Capture] {
        &self.captures
    }

    /// The capture that a call of a token belongs to, if one runs. Without any it is one comparison.
    pub fn capture_of(&self, token: TokenId, now: UnixMs) -> Option<&Capture> {
        self.captures.iter().find(|capture| capture.token_id == token && capture.runs(now))
    }

    /// The same with routes that are known to cost nothing, by the channel and the upstream's name of the model; call it
    /// once, before chains are added.
    #[must_use]
    pub fn with_free(mut self, is_free: impl Fn(&Channel, &str) -> bool) -> Self {
        let mark = |route: &mut Route| route.free = is_free(&route.channel.channel, &route.upstream_model);
        for model in self.models.values_mut() {
            model.routes.iter_mut().for_each(mark);
            for step in &mut model.steps {
                step.routes.clone_from(&model.routes);
            }
        }
        self
    }

    /// The same with prices that are not the channels' own, by the channel and the upstream's name of the model; call it once, after
    /// [`with_managed`](Self::with_managed) and before [`with_chains`](Self::with_chains). A price of the operator's table is what a model costs that has no
    /// price of its channel's and is not known to be free; others are only compared with.
    #[must_use]
    pub fn with_prices(mut self, list: impl Fn(&Channel, &str) -> Option<Arc<ListPrice>>) -> Self {
        for model in self.models.values_mut() {
            let of_steps = model.steps.iter_mut().flat_map(|step| &mut step.routes);
            for route in model.routes.iter_mut().chain(of_steps) {
                route.set_list(list(&route.channel.channel, &route.upstream_model));
            }
        }
        self
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

    /// Takes over what is known of the models that an earlier snapshot has as well, so that both share it; and of each model of a
    /// channel, all routes share it from now on. Call it last. Gives the others, of which nothing is known yet.
    pub fn adopt_findings(&mut self, earlier: Option<&Self>) -> FindingsByModel {
        let channels = &self.channels;
        let of_same_provider = |route: &&Route| {
            let old = &route.channel.channel;
            channels.get(&old.id).is_some_and(|entry| entry.channel.provider == old.provider)
        };
        let known: HashMap<(ChannelId, &str), &Arc<Findings>> = earlier
            .into_iter()
            .flat_map(Self::routes)
            .filter(of_same_provider)
            .map(|route| ((route.channel.channel.id, &*route.upstream_model), &route.findings))
            .collect();
        let mut new = FindingsByModel::new();
        for model in self.models.values_mut() {
            let of_steps = model.steps.iter_mut().flat_map(|step| &mut step.routes);
            for route in model.routes.iter_mut().chain(of_steps) {
                let id = route.channel.channel.id;
                if let Some(findings) = known.get(&(id, &*route.upstream_model)) {
                    route.findings = (*findings).clone();
                } else {
                    let place = (id, route.upstream_model.clone());
                    route.findings = new.entry(place).or_insert_with(|| route.findings.clone()).clone();
                }
            }
        }
        new
    }

    /// What is known of every model that a call may go to.
    pub fn findings(&self) -> FindingsByModel {
        let entry = |route: &Route| {
            ((route.channel.channel.id, route.upstream_model.clone()), route.findings.clone())
        };
        self.routes().map(entry).collect()
    }

    /// The routes of all public models, some of them more than once.
    fn routes(&self) -> impl Iterator<Item = &Route> {
        self.models.values().flat_map(|model| &model.routes)
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
    /// Its quota counts dollars, and the model has no price there, nor is it known to be free.
    NoPrice,
}

impl Route {
    /// A route; `model` is the operator's word if it is `declared`. Nothing else is known of it yet.
    pub fn new(
        channel: Arc<ChannelEntry>,
        upstream_model: Arc<str>,
        model: Arc<ChannelModel>,
        declared: bool,
    ) -> Self {
        Self { channel, upstream_model, model, free: false, list: None, declared, findings: Arc::default() }
    }

    fn set_list(&mut self, list: Option<Arc<ListPrice>>) {
        let is_own = list.as_ref().is_some_and(|list| list.source == PriceSource::Table);
        if let Some(list) = list.as_ref().filter(|_| is_own && !self.free && !self.model.is_priced()) {
            let model = Arc::make_mut(&mut self.model);
            (model.price, model.unit_prices) = (list.price, list.unit_prices.clone());
        }
        self.list = list;
    }

    /// What its model takes: as the operator says, else as a probe has shown, a list of the upstream's tells, or the
    /// provider's file has it.
    pub fn abilities(&self) -> Abilities {
        let of_model = Abilities {
            tools: self.model.tools,
            images: self.model.vision,
            audio: None,
            schema: None,
            reasoning: self.model.reasoning,
            window: self.model.context_window,
        };
        let found = self.findings.load();
        // What a managed chain was built from was found in the same places, but earlier.
        if self.declared { of_model.or(found) } else { found.or(of_model) }
    }

    /// How many tokens its model reads, if that is known: [`abilities`](Self::abilities)' window alone.
    pub fn context_window(&self) -> Option<u32> {
        let own = self.model.context_window;
        if self.declared { own.or_else(|| self.findings.window()) } else { self.findings.window().or(own) }
    }

    /// Why a token may not use it on any endpoint, if it may not.
    pub fn bar(&self, token: &Token) -> Option<Bar> {
        self.bar_if(token, || self.model.is_priced())
    }

    /// Why a token may not use it for calls that are counted in a unit, if it may not.
    pub fn bar_for(&self, token: &Token, unit: Unit) -> Option<Bar> {
        self.bar_if(token, || self.model.is_priced_for(unit))
    }

    fn bar_if(&self, token: &Token, is_priced: impl FnOnce() -> bool) -> Option<Bar> {
        if !token.allows_groups(&self.channel.channel.groups) {
            return Some(Bar::Group);
        }
        let counts_dollars = token.quota.is_some_and(|quota| quota.unit == QuotaUnit::Dollars);
        (counts_dollars && !self.free && !is_priced()).then_some(Bar::NoPrice)
    }
}

/// Whether it is known what a model costs on a channel that a token may use: it has a price there, or is free.
pub fn has_price(model: &PublicModel, token: &Token) -> bool {
    let known = |route: &Route| route.free || route.model.is_priced();
    model.routes.iter().any(|route| token.allows_groups(&route.channel.channel.groups) && known(route))
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
                let declared = model.is_some();
                let model =
                    model.unwrap_or_else(|| ChannelModel { name: upstream.into(), ..Default::default() });
                routes.push(Route::new(entry.clone(), upstream.into(), model.into(), declared));
            }
        }
    }
    for model in models.values_mut() {
        let (name, routes) = (model.name.clone(), model.routes.clone());
        model.steps = vec![Step { model: name, spill_ms: None, routes }];
    }
    models
}
