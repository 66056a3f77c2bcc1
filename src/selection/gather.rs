//! What is known of every model that could be a step: from channels, lists, calls, probes, keys and limits.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use super::Sources;
use crate::{
    dispatch::Dispatch,
    model::{
        catalog::ChannelEntry,
        channel::{ChannelModel, Price},
        id::{ChannelId, KeyId},
        managed::ManagedStep,
        probe::{ProbeKind, ProbeResult, ProbeSource},
        time::UnixMs,
        usage::OutcomeClass,
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

/// About so many keys of models are looked at before others may have the scheduler again.
const KEYS_AT_A_TIME: usize = 1000;

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
        let Sources { db, catalog, providers, now, .. } = sources;
        let tables = providers.ranking().load();
        let vendors = providers.load();
        // What is large is read at the same time.
        let (to_rank, probed, measured) =
            tokio::try_join!(db.models_to_rank(now), db.probed_abilities(), db.measured_models(now))?;
        let identities = tables.identities.clone().with_own(&db.own_model_names().await?);
        let passed_over = (to_rank.paid, to_rank.silent);
        let mut listed: BTreeMap<ChannelId, BTreeMap<String, ModelFacts>> = BTreeMap::new();
        for (channel, facts) in to_rank.models {
            listed.entry(channel).or_default().insert(facts.id.clone(), facts);
        }
        // Models that would be passed over count if they are pinned.
        let pins: HashSet<&Identity> = chains.iter().flat_map(|chain| &chain.pins).collect();
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
                    listed.entry(channel).or_default().insert(name, facts);
                }
            }
        }
        let mut offers: BTreeMap<ChannelId, BTreeMap<String, Own>> = BTreeMap::new();
        for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
            let (channel, provider) = (&entry.channel, vendors.of(&entry.channel.provider));
            let mut listed = listed.remove(&channel.id).unwrap_or_default();
            let said: HashMap<&str, &ChannelModel> =
                channel.models.iter().rev().map(|model| (model.name.as_str(), model)).collect();
            let mut names: BTreeSet<&str> = said.keys().copied().collect();
            names.extend(channel.redirects.iter().map(|redirect| redirect.upstream.as_str()));
            let mut of_channel: BTreeMap<String, Own> = BTreeMap::new();
            for name in names {
                let own = describe(entry, name, true, said.get(name).copied(), listed.remove(name), provider);
                of_channel.insert(name.to_owned(), own);
            }
            for (name, facts) in listed {
                let own = describe(entry, &name, false, None, Some(facts), provider);
                of_channel.insert(name, own);
            }
            offers.insert(channel.id, of_channel);
        }
        let weights = db.ranking_weights().await?;
        let mut gathered = Self { offers, passed_over, weights, tables, identities };
        Standing::of(sources).await?.count_keys(&mut gathered.offers);
        gathered.add_health(sources).await?;
        // What probes have shown counts before what lists and operators say.
        let mut speeds = Vec::new();
        for result in probed {
            if let Some(own) = gathered.own_mut(result.channel, &result.model) {
                own.add_ability(&result, now);
                speeds.extend(tells_speed(&result, now).then_some(result));
            }
        }
        gathered.add_worth(sources.dispatch, chains, &measured, &speeds);
        Ok(gathered)
    }

    /// What is known of a model at a channel.
    pub fn find(&self, channel: ChannelId, model: &str) -> Option<&Own> {
        self.offers.get(&channel)?.get(model)
    }

    /// All offers, as the ranking takes them.
    pub fn offers(&self) -> Vec<Offer<'_>> {
        let mut offers = Vec::with_capacity(self.offers.values().map(BTreeMap::len).sum());
        for (channel, models) in &self.offers {
            offers.extend(models.iter().map(|(model, own)| own.offer(*channel, model)));
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

    fn own_mut(&mut self, channel: ChannelId, model: &str) -> Option<&mut Own> {
        self.offers.get_mut(&channel)?.get_mut(model)
    }

    async fn add_health(&mut self, sources: Sources<'_>) -> StorageResult<()> {
        for ((channel, model), health) in sources.db.model_health().await? {
            if let Some(own) = self.own_mut(channel, &model) {
                own.liveness = health.liveness;
            }
        }
        Ok(())
    }

    /// Adds what only the order of those is made from that could be in one of the chains: what was measured, and what is left
    /// of quotas.
    fn add_worth(
        &mut self,
        dispatch: Option<&Dispatch>,
        chains: &[ManagedChain],
        measured: &HashMap<(ChannelId, String), Measured>,
        speeds: &[ProbeResult],
    ) {
        let identities = &self.identities;
        let counts = |channel: ChannelId, model: &str, own: &Own| {
            let identify = || identities.identify(&own.entry.channel.provider, model).identity;
            let offer = own.offer(channel, model);
            chains.iter().any(|chain| {
                let is_pinned = || !chain.pins.is_empty() && chain.pins.contains(&identify());
                chain::may_be_step(&offer, chain.purpose, chain.free_only, is_pinned)
            })
        };
        let mut counting: Vec<(ChannelId, &str, &mut Own)> = self
            .offers
            .iter_mut()
            .flat_map(|(&channel, models)| {
                models.iter_mut().map(move |(model, own)| (channel, &**model, own))
            })
            .filter(|(channel, model, own)| counts(*channel, model, own))
            .collect();
        if let Some(dispatch) = dispatch {
            add_quotas(&mut counting, dispatch);
        }
        let mut place = (ChannelId(0), String::new());
        for (channel, model, own) in counting {
            place.0 = channel;
            place.1.replace_range(.., model);
            own.measured = measured.get(&place).copied().unwrap_or_default();
        }
        for result in speeds {
            if let Some(own) = self.own_mut(result.channel, &result.model) {
                own.add_speed(result);
            }
        }
    }
}

/// What is left of the quotas of some models.
fn add_quotas(models: &mut [(ChannelId, &str, &mut Own)], dispatch: &Dispatch) {
    let of = |one: &(ChannelId, &str, &mut Own)| one.2.entry.keys.len() + 1;
    let mut rest = models;
    while !rest.is_empty() {
        // At least one; the scheduler also serves calls, and a pool may have thousands of models with thousands of keys.
        let mut keys = 0;
        let some = rest.iter().take_while(|one| {
            let before = keys;
            keys += of(one);
            before < KEYS_AT_A_TIME
        });
        let (now_due, later) = rest.split_at_mut(some.count());
        let mut pool = dispatch.lock();
        let now = dispatch.now();
        for (channel, model, own) in now_due {
            let Some(stem) = pool.find_stem(*channel, model) else { continue };
            own.quota = match pool.left_of(stem, USUAL, now) {
                Left::Unknown => Quota::Unknown,
                Left::Calls(calls) => Quota::Left(calls),
                Left::NoEnd => Quota::Unlimited,
            };
        }
        rest = later;
    }
}

/// What channel, list and preset say of a model; what the channel says counts before the list, and that before the preset.
fn describe(
    entry: &Arc<ChannelEntry>,
    name: &str,
    offered: bool,
    said: Option<&ChannelModel>,
    listed: Option<ModelFacts>,
    provider: &Provider,
) -> Own {
    let listed = listed.as_ref();
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
        None => listed.and_then(|facts| facts.free).or_else(|| provider.is_free_at(name, facts.price)),
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
    /// As the ranking takes it.
    fn offer<'a>(&'a self, channel: ChannelId, model: &'a str) -> Offer<'a> {
        Offer {
            channel,
            provider: &self.entry.channel.provider,
            model,
            keys: self.keys,
            text: self.text,
            vision: self.facts.vision,
            tools: self.facts.tools,
            free: self.free,
            context_window: self.facts.context_window,
            measured: self.measured,
            quota: self.quota,
            liveness: &self.liveness,
        }
    }

    /// Takes over what a probe has shown, as far as it still holds.
    fn add_ability(&mut self, result: &ProbeResult, now: UnixMs) {
        let ability = match result.kind {
            ProbeKind::Stream => &mut self.text,
            ProbeKind::Tools => &mut self.facts.tools,
            ProbeKind::Vision => &mut self.facts.vision,
            ProbeKind::Reasoning => &mut self.facts.reasoning,
            ProbeKind::Json => return,
        };
        *ability = result.proves(now).or(*ability);
    }

    /// Takes over how fast a probe's answer came, if calls of clients have shown nothing.
    fn add_speed(&mut self, result: &ProbeResult) {
        let one = |known: &mut Sample, value: Option<u32>| {
            if let (0, Some(mean)) = (known.count, value) {
                *known = Sample { mean, count: 1 };
            }
        };
        one(&mut self.measured.first_token_ms, result.first_token_ms);
        one(&mut self.measured.tokens_per_second, result.tokens_per_second);
    }
}

/// Whether a result tells how fast its model is: of a probe that was answered, and still holds.
fn tells_speed(result: &ProbeResult, now: UnixMs) -> bool {
    result.kind == ProbeKind::Stream
        && result.source == ProbeSource::Probe
        && result.proves(now) == Some(true)
}

/// Which keys are refused, altogether or for some models.
#[derive(Default)]
struct Standing {
    keys: HashSet<KeyId>,
    groups: HashSet<(ChannelId, String)>,
    models_of_keys: HashMap<KeyId, HashSet<String>>,
    models_of_groups: HashMap<(ChannelId, String), HashSet<String>>,
}

impl Standing {
    async fn of(sources: Sources<'_>) -> StorageResult<Self> {
        let mut standing =
            Self { keys: sources.db.refused_keys().await?.into_iter().collect(), ..Self::default() };
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
                    self.models_of_keys.entry(*key).or_default().insert(model.clone());
                }
                Scope::GroupModel(channel, group, model) if of_model => {
                    self.models_of_groups.entry((*channel, group.clone())).or_default().insert(model.clone());
                }
                _ => {}
            }
        }
    }

    /// Counts the keys that may call each model.
    fn count_keys(&self, offers: &mut BTreeMap<ChannelId, BTreeMap<String, Own>>) {
        for (channel, models) in offers {
            let Some(entry) = models.values().next().map(|own| own.entry.clone()) else { continue };
            let mut all = 0_usize;
            // Of each key that is refused for some models: those of its own, and those of its group.
            let mut refused: Vec<[Option<&HashSet<String>>; 2]> = Vec::new();
            for key in entry.keys.iter().filter(|key| key.enabled && !self.keys.contains(&key.id)) {
                let group = key.quota_group.as_ref().map(|group| (*channel, group.clone()));
                if group.as_ref().is_some_and(|group| self.groups.contains(group)) {
                    continue;
                }
                all += 1;
                let of_group = group.and_then(|group| self.models_of_groups.get(&group));
                let of_key = [self.models_of_keys.get(&key.id), of_group];
                if of_key.iter().any(Option::is_some) {
                    refused.push(of_key);
                }
            }
            for (model, own) in models {
                let is_refused = |of_key: &&[Option<&HashSet<String>>; 2]| {
                    of_key.iter().flatten().any(|models| models.contains(model))
                };
                let keys = all - refused.iter().filter(is_refused).count();
                own.keys = u32::try_from(keys).unwrap_or(u32::MAX);
            }
        }
    }
}
