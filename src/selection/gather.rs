//! What is known of every model that could be a step: from channels, lists, calls, probes, keys and limits.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use super::Sources;
use crate::{
    dispatch::{Dispatch, Stage},
    model::{
        catalog::{ChannelEntry, Route},
        channel::{ChannelModel, Price},
        id::{ChannelId, KeyId},
        key::Key,
        managed::ManagedStep,
        probe::{ProbeKind, ProbeResult, ProbeSource},
        time::UnixMs,
        usage::{Endpoint, OutcomeClass},
    },
    provider::{
        Provider,
        listing::{Modality, ModelFacts},
    },
    ranking::{
        chain::{self, Offer, Reason},
        identity::{Identities, Identity},
        liveness::Liveness,
        score::{Measured, Quota, Sample, Weights},
    },
    scheduler::{
        limit::Cost,
        pool::Left,
        rest::{RestBook, Scope},
    },
    storage::{StorageResult, ranking::ManagedChain, ranking_files::Tables},
};

/// The size of a usual call, for limits on model tokens.
const USUAL: Cost = Cost { input_tokens: 1000, tokens: 1500, most_tokens: 1500, units: 0 };

/// How many models the database is asked about at a time.
const AT_A_TIME: usize = 200;

/// A model at a channel, and all that is known of it.
pub(super) struct Own {
    pub entry: Arc<ChannelEntry>,
    /// Whether the channel offers it.
    pub offered: bool,
    pub facts: ChannelModel,
    pub free: Option<bool>,
    pub liveness: Liveness,
    text: Option<bool>,
    keys: u32,
    measured: Measured,
    quota: Quota,
}

/// Everything that chains are built from.
pub(super) struct Gathered {
    offers: BTreeMap<ChannelId, BTreeMap<String, Own>>,
    /// How many models are listed, not free, and not offered: those that cost something, and those that do not say.
    passed_over: (usize, usize),
    pub weights: Weights,
    pub tables: Arc<Tables>,
    pub identities: Identities,
}

impl Gathered {
    /// Gathers what these chains can be built from.
    pub async fn of(sources: Sources<'_>, chains: &[ManagedChain]) -> StorageResult<Self> {
        let Sources { db, catalog, providers, dispatch, now } = sources;
        let tables = providers.ranking().load();
        let vendors = providers.load();
        let identities = tables.identities.clone().with_own(&db.own_model_names().await?);
        let mut listed: BTreeMap<(ChannelId, String), ModelFacts> = BTreeMap::new();
        for (channel, facts) in db.models_to_rank(now).await? {
            listed.insert((channel, facts.id.clone()), facts);
        }
        let provider_of = |entry: &ChannelEntry| vendors.of(&entry.channel.provider);
        // Models that would be passed over count if they are pinned.
        let pins: BTreeSet<&Identity> = chains.iter().flat_map(|chain| &chain.pins).collect();
        if !pins.is_empty() {
            let mut names = db.models_passed_over().await?;
            names.retain(|(channel, name)| {
                let entry = catalog.channel(*channel);
                entry.is_some_and(|entry| {
                    pins.contains(&identities.identify(&entry.channel.provider, name).identity)
                })
            });
            for (channel, name) in names {
                if let Some(facts) = db.find_discovered(channel, &name).await? {
                    listed.insert((channel, name), facts);
                }
            }
        }
        let mut offers: BTreeMap<ChannelId, BTreeMap<String, Own>> = BTreeMap::new();
        for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
            let id = entry.channel.id;
            let of_channel = offers.entry(id).or_default();
            let mut names: BTreeSet<&str> =
                entry.channel.models.iter().map(|model| model.name.as_str()).collect();
            names.extend(entry.channel.redirects.iter().map(|redirect| redirect.upstream.as_str()));
            let from_list = listed
                .range((id, String::new())..)
                .take_while(|((channel, _), _)| *channel == id)
                .map(|((_, name), _)| name.as_str());
            for name in names.iter().copied().chain(from_list) {
                if of_channel.contains_key(name) {
                    continue;
                }
                let facts = listed.get(&(id, name.to_owned()));
                let own = describe(entry, name, names.contains(name), facts, provider_of(entry));
                of_channel.insert(name.to_owned(), own);
            }
        }
        let passed_over = db.count_passed_over().await?;
        let weights = db.ranking_weights().await?;
        let mut gathered = Self { offers, passed_over, weights, tables, identities };
        let standing = Standing::of(sources).await?;
        gathered.add_keys(&standing);
        gathered.add_measurements(sources).await?;
        gathered.add_probes(sources).await?;
        if let Some(dispatch) = dispatch {
            gathered.add_quotas(dispatch);
        }
        Ok(gathered)
    }

    /// What is known of a model at a channel.
    pub fn find(&self, channel: ChannelId, model: &str) -> Option<&Own> {
        self.offers.get(&channel)?.get(model)
    }

    /// All offers, as the ranking takes them.
    pub fn offers(&self) -> Vec<Offer<'_>> {
        let mut offers = Vec::new();
        for (channel, models) in &self.offers {
            offers.extend(models.iter().map(|(model, own)| Offer {
                channel: *channel,
                provider: &own.entry.channel.provider,
                model,
                keys: own.keys,
                text: own.text,
                vision: own.facts.vision,
                tools: own.facts.tools,
                free: own.free,
                context_window: own.facts.context_window,
                measured: own.measured,
                quota: own.quota,
                liveness: &own.liveness,
            }));
        }
        offers
    }

    /// The dead models that could be in a chain, and that a probe may ask.
    pub fn to_probe(&self, chain: &ManagedChain, now: UnixMs) -> Vec<(ChannelId, String)> {
        let mut found = Vec::new();
        for (channel, models) in &self.offers {
            for (model, own) in models.iter().filter(|(_, own)| own.keys > 0 && own.liveness.wants_probe(now))
            {
                let provider = &own.entry.channel.provider;
                let is_pinned = || chain.pins.contains(&self.identities.identify(provider, model).identity);
                if own.free == Some(true) || !chain.free_only || is_pinned() {
                    found.push((*channel, model.clone()));
                }
            }
        }
        found
    }

    /// Models that are no offers, by reason.
    pub fn passed_over(&self) -> [(Reason, usize); 2] {
        [(Reason::Paid, self.passed_over.0), (Reason::PriceUnknown, self.passed_over.1)]
    }

    /// A step of a chain as it is saved; it is a spare behind so many models.
    pub fn step(&self, step: &chain::Step, most_models: u16) -> Option<ManagedStep> {
        let own = self.find(step.channel, &step.upstream_model)?;
        let mut model = own.facts.clone();
        if own.free == Some(true) {
            // Tokens with a quota in dollars need a price.
            model.price = model.price.or(Some(Price::default()));
        }
        Some(ManagedStep {
            place: step.place,
            spare: step.place >= u32::from(most_models),
            channel: step.channel,
            identity: step.model.as_str().to_owned(),
            model,
        })
    }

    fn all_mut(&mut self) -> impl Iterator<Item = (ChannelId, &String, &mut Own)> {
        self.offers
            .iter_mut()
            .flat_map(|(&channel, models)| models.iter_mut().map(move |(model, own)| (channel, model, own)))
    }

    fn add_keys(&mut self, standing: &Standing) {
        for (channel, model, own) in self.all_mut() {
            let may = |key: &&Arc<Key>| standing.may_call(channel, key, model);
            let keys = own.entry.keys.iter().filter(may).count();
            own.keys = u32::try_from(keys).unwrap_or(u32::MAX);
        }
    }

    async fn add_measurements(&mut self, sources: Sources<'_>) -> StorageResult<()> {
        let mut measured = sources.db.measured_models(sources.now).await?;
        let mut health = sources.db.model_health().await?;
        for (channel, model, own) in self.all_mut() {
            let place = (channel, model.clone());
            own.measured = measured.remove(&place).unwrap_or_default();
            own.liveness = health.remove(&place).map_or(Liveness::alive(), |health| health.liveness);
        }
        Ok(())
    }

    /// What probes have shown counts before what lists and operators say.
    async fn add_probes(&mut self, sources: Sources<'_>) -> StorageResult<()> {
        let places: Vec<(ChannelId, String)> =
            self.all_mut().map(|(channel, model, _)| (channel, model.clone())).collect();
        for places in places.chunks(AT_A_TIME) {
            let places: Vec<(ChannelId, &str)> =
                places.iter().map(|(channel, model)| (*channel, model.as_str())).collect();
            for ((channel, model), results) in sources.db.probes_of(&places).await? {
                let own = self.offers.get_mut(&channel).and_then(|models| models.get_mut(&model));
                if let Some(own) = own {
                    own.add_probes(&results, sources.now);
                }
            }
        }
        Ok(())
    }

    fn add_quotas(&mut self, dispatch: &Dispatch) {
        for (_, model, own) in self.all_mut() {
            let upstream_model: Arc<str> = model.as_str().into();
            let route = Route::new(own.entry.clone(), upstream_model, Arc::default(), false);
            let now = dispatch.now();
            let mut pool = dispatch.lock();
            let plan = pool.plan(&[Stage { routes: vec![&route], spill_ms: None }], Endpoint::Chat);
            own.quota = match pool.left(&plan, USUAL, now) {
                Left::Unknown => Quota::Unknown,
                Left::Calls(calls) => Quota::Left(calls),
                Left::NoEnd => Quota::Unlimited,
            };
        }
    }
}

/// What channel, list and preset say of a model; what the channel says counts before the list, and that before the preset.
fn describe(
    entry: &Arc<ChannelEntry>,
    name: &str,
    offered: bool,
    listed: Option<&ModelFacts>,
    provider: &Provider,
) -> Own {
    let said = entry.channel.model(name);
    let known = provider.known_model(name);
    let takes_images = |facts: &ModelFacts| facts.input.map(|input| input.has(Modality::Image));
    let price = said.and_then(|model| model.price);
    let facts = ChannelModel {
        name: name.to_owned(),
        context_window: said
            .and_then(|model| model.context_window)
            .or(listed.and_then(|facts| facts.context_window))
            .or(known.and_then(|known| known.context_window)),
        max_output: said
            .and_then(|model| model.max_output)
            .or(listed.and_then(|facts| facts.output_limit))
            .or(known.and_then(|known| known.output_limit)),
        vision: said
            .and_then(|model| model.vision)
            .or(listed.and_then(takes_images))
            .or(known.and_then(|known| known.input.as_ref()).map(|input| input.contains(&Modality::Image))),
        tools: said
            .and_then(|model| model.tools)
            .or(listed.and_then(|facts| facts.tools))
            .or(known.and_then(|known| known.tools)),
        reasoning: said
            .and_then(|model| model.reasoning)
            .or(listed.and_then(|facts| facts.reasoning))
            .or(known.and_then(|known| known.reasoning)),
        endpoints: said.map(|model| model.endpoints).unwrap_or_default(),
        price: price.or(listed.and_then(|facts| facts.price)),
        unit_prices: said.and_then(|model| model.unit_prices.clone()),
    };
    // What the operator says that it costs, it costs.
    let free = match price {
        Some(price) => Some(price.input == 0 && price.output == 0),
        None => listed.and_then(|facts| facts.free).or_else(|| {
            provider.is_free(&ModelFacts { id: name.to_owned(), price: facts.price, ..ModelFacts::default() })
        }),
    };
    Own {
        entry: entry.clone(),
        offered,
        text: listed.and_then(|facts| facts.output).map(|output| output.has(Modality::Text)),
        facts,
        free,
        liveness: Liveness::alive(),
        keys: 0,
        measured: Measured::default(),
        quota: Quota::Unknown,
    }
}

impl Own {
    /// Takes over what probes have shown, as far as it still holds. Speeds count if calls of clients have shown none.
    fn add_probes(&mut self, results: &[ProbeResult], now: UnixMs) {
        for result in results {
            let proved = result.proves(now);
            let ability = match result.kind {
                ProbeKind::Stream => &mut self.text,
                ProbeKind::Tools => &mut self.facts.tools,
                ProbeKind::Vision => &mut self.facts.vision,
                ProbeKind::Reasoning => &mut self.facts.reasoning,
                ProbeKind::Json => continue,
            };
            *ability = proved.or(*ability);
            if result.kind == ProbeKind::Stream && result.source == ProbeSource::Probe && proved == Some(true)
            {
                let one = |known: &mut Sample, value: Option<u32>| {
                    if let (0, Some(mean)) = (known.count, value) {
                        *known = Sample { mean, count: 1 };
                    }
                };
                one(&mut self.measured.first_token_ms, result.first_token_ms);
                one(&mut self.measured.tokens_per_second, result.tokens_per_second);
            }
        }
    }
}

/// Which keys are refused, altogether or for a model.
struct Standing {
    keys: HashSet<KeyId>,
    groups: HashSet<(ChannelId, String)>,
    models_of_keys: HashSet<(KeyId, String)>,
    models_of_groups: HashSet<(ChannelId, String, String)>,
}

impl Standing {
    async fn of(sources: Sources<'_>) -> StorageResult<Self> {
        let mut standing = Self {
            keys: sources.db.refused_keys().await?.into_iter().collect(),
            groups: HashSet::new(),
            models_of_keys: HashSet::new(),
            models_of_groups: HashSet::new(),
        };
        match sources.dispatch {
            Some(dispatch) => {
                let now = dispatch.now().steady;
                standing.add(dispatch.lock().rests(), now);
            }
            None => {
                let mut book = RestBook::default();
                let saved = sources.db.load_rests().await?;
                book.restore(saved.iter().filter_map(|(scope, rest)| {
                    Some((serde_json::from_str(scope).ok()?, serde_json::from_str(rest).ok()?))
                }));
                standing.add(&book, sources.now);
            }
        }
        Ok(standing)
    }

    /// Adds what rests because an operator must act; limits and pauses end by themselves.
    fn add(&mut self, book: &RestBook, now: UnixMs) {
        for (scope, rest) in book.all_active(now) {
            let of_key = matches!(rest.class, OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit);
            let of_model = of_key || rest.class == OutcomeClass::ModelUnavailable;
            match scope {
                Scope::Key(key) if of_key => {
                    self.keys.insert(*key);
                }
                Scope::Group(channel, group) if of_key => {
                    self.groups.insert((*channel, group.clone()));
                }
                Scope::KeyModel(key, model) if of_model => {
                    self.models_of_keys.insert((*key, model.clone()));
                }
                Scope::GroupModel(channel, group, model) if of_model => {
                    self.models_of_groups.insert((*channel, group.clone(), model.clone()));
                }
                _ => {}
            }
        }
    }

    fn may_call(&self, channel: ChannelId, key: &Key, model: &str) -> bool {
        let of_group = |group: &String| {
            self.groups.contains(&(channel, group.clone()))
                || self.models_of_groups.contains(&(channel, group.clone(), model.to_owned()))
        };
        key.enabled
            && !self.keys.contains(&key.id)
            && !self.models_of_keys.contains(&(key.id, model.to_owned()))
            && !key.quota_group.as_ref().is_some_and(of_group)
    }
}
