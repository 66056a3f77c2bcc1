//! Which models the managed chains (`auto` and its kin) stand for now: gathers what is known of every model that could be a
//! step, has [`crate::ranking`] put them in order, and saves the steps.
//!
//! A model can be a step if its channel offers it, or if the channel's upstream lists it as free, whether the channel
//! offers it or not. Start reading at [`rebuild`]; [`ranking`] tells the same order with its reasons.

mod find;
mod gather;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    dispatch::Dispatch,
    model::{catalog::Catalog, channel::ChannelModel, id::ChannelId, managed::ManagedStep, time::UnixMs},
    ranking::{
        chain::{self, Offer, Purpose, Reason, Wishes},
        identity::{Identity, NameKind},
        liveness::{Cause, Liveness},
        score::{Score, Weights},
    },
    storage::{
        Db, StorageResult,
        providers::ProviderStore,
        ranking::{ManagedChain, TurnOf},
        ranking_files::Tables,
    },
};
pub use find::find_model;
use gather::Gathered;

/// So many models behind the last one of a chain have their limits watched, so that it is known what is left of them
/// before they come in.
const SPARES: usize = 4;

/// The most models that a ranking tells of.
pub const MOST_RANKED: usize = 1000;

/// What is asked. A server gives its own dispatcher; a command may give one that was loaded from what is saved, or none:
/// then nothing is known of what is left of quotas.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The database.
    pub db: &'a Db,
    /// Channels and keys.
    pub catalog: &'a Catalog,
    /// What is known of vendors, and the tables of names and figures.
    pub providers: &'a ProviderStore,
    /// What rests, and what is left of quotas.
    pub dispatch: Option<&'a Dispatch>,
    /// The time.
    pub now: UnixMs,
}

/// What a rebuild changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The chains, in the order of [`Purpose::ALL`].
    pub chains: Vec<RebuiltChain>,
    /// Models that died or returned since the last time.
    pub turns: Vec<TurnOf>,
    /// Dead models that could be in a chain, and that a probe may ask whether they still are, by channel and name.
    pub to_probe: BTreeSet<(ChannelId, String)>,
}

impl Rebuilt {
    /// Whether the steps of a chain changed, so that the catalog has to be reloaded.
    pub fn changed(&self) -> bool {
        self.chains.iter().any(|chain| chain.changed)
    }
}

/// What became of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuiltChain {
    /// Which one.
    pub purpose: Purpose,
    /// Whether its steps are others than before.
    pub changed: bool,
    /// Its models before, in their order.
    pub before: Vec<Identity>,
    /// Its models now; none if it is off.
    pub models: Vec<Identity>,
    /// Whether all that fits fails now, and stays in the chain for want of anything better.
    pub all_failing: bool,
}

/// The order of a chain's models, with reasons.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The chain as operators have set it.
    pub chain: ManagedChain,
    /// The weights that apply to it.
    pub weights: Weights,
    /// Every model that fits, the best one first; at most [`MOST_RANKED`]. Those of the chain stand in front.
    pub models: Vec<RankedModel>,
    /// What does not fit, by channel and name; at most a thousand.
    pub left_out: Vec<LeftOutOffer>,
    /// How many offers do not fit, by reason; those included that cost something or of which nothing says that they are
    /// free, and that their channel does not offer.
    pub left_out_counts: BTreeMap<Reason, usize>,
    /// Pins that nothing fits: kept, and without effect for now.
    pub idle_pins: Vec<Identity>,
    /// Whether all that fits fails now, and stays in the chain for want of anything better.
    pub all_failing: bool,
    /// The tables of names and figures that it was made with; benchmarks are named in them.
    pub tables: Arc<Tables>,
}

/// A model of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedModel {
    /// Its place, from 0.
    pub place: u32,
    /// What it is, whatever providers call it.
    pub model: Identity,
    /// Whether it is in the chain; else it stands behind the chain's last model.
    pub in_chain: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Where it is offered, the best one first; never empty. The first one's score is the model's.
    pub offers: Vec<RankedOffer>,
}

impl RankedModel {
    /// Its score: that of its best offer.
    pub fn score(&self) -> Option<&Score> {
        self.offers.first().map(|offer| &offer.score)
    }

    /// How many keys may call it, over all of its channels.
    pub fn keys(&self) -> u32 {
        self.offers.iter().fold(0, |sum, offer| sum.saturating_add(offer.keys))
    }
}

/// A model at a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedOffer {
    /// The channel.
    pub channel: ChannelId,
    /// The channel's name.
    pub channel_name: String,
    /// The channel's provider.
    pub provider: String,
    /// The upstream's name for the model.
    pub upstream_model: String,
    /// What that name stands for.
    pub kind: NameKind,
    /// How many keys may call it.
    pub keys: u32,
    /// Whether the channel offers it by a name of its own; else only managed chains lead there.
    pub offered: bool,
    /// Whether it costs nothing.
    pub free: Option<bool>,
    /// What is known of it there.
    pub facts: ChannelModel,
    /// Its score, with parts and evidence.
    pub score: Score,
}

/// An offer that is not in a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutOffer {
    /// The channel.
    pub channel: ChannelId,
    /// The channel's name.
    pub channel_name: String,
    /// The upstream's name.
    pub upstream_model: String,
    /// The model.
    pub model: Identity,
    /// Why.
    pub reason: Reason,
    /// Of a dead one: since when, and from when on it may be asked again.
    pub dead_since: Option<(UnixMs, UnixMs)>,
}

/// Takes note of what happened since the last time, builds every managed chain anew and saves it. Reload the catalog if
/// something [changed](Rebuilt::changed). Two at a time do no harm: the later one counts.
pub async fn rebuild(sources: Sources<'_>) -> StorageResult<Rebuilt> {
    let db = sources.db;
    let turns = db.note_model_signs(sources.now).await?;
    db.forget_old_model_signs(sources.now).await?;
    let chains = db.managed_chains().await?;
    let mut saved: BTreeMap<Purpose, Vec<ManagedStep>> = db.all_managed_steps().await?.into_iter().collect();
    let gathered = Gathered::of(sources, &chains).await?;
    let mut rebuilt = Rebuilt { chains: Vec::new(), turns, to_probe: BTreeSet::new() };
    for chain in &chains {
        let before = saved.remove(&chain.purpose).unwrap_or_default();
        let mut steps = Vec::new();
        let mut all_failing = false;
        if chain.enabled {
            let most = usize::from(chain.most_models) + SPARES;
            let built = build(chain, &gathered, &before, most);
            all_failing = built.all_failing;
            rebuilt.to_probe.extend(gathered.to_probe(chain, sources.now));
            steps = built.steps.iter().filter_map(|step| gathered.step(step, chain.most_models)).collect();
        }
        let changed = db.save_managed_steps(chain.purpose, &steps).await?;
        rebuilt.chains.push(RebuiltChain {
            purpose: chain.purpose,
            changed,
            before: models_of(before.iter().filter(|step| !step.spare)),
            models: models_of(steps.iter().filter(|step| !step.spare)),
            all_failing,
        });
    }
    Ok(rebuilt)
}

/// The order of a chain's models as it would be now, with reasons; also of one that is off. Nothing is saved. `None` if
/// there is no such chain, which a database of this version never lacks.
pub async fn ranking(sources: Sources<'_>, purpose: Purpose) -> StorageResult<Option<Ranking>> {
    ranking_if(sources, purpose, None).await
}

/// The same as if the chain took free models only (`Some(true)`), or others as well (`Some(false)`).
pub async fn ranking_if(
    sources: Sources<'_>,
    purpose: Purpose,
    free_only: Option<bool>,
) -> StorageResult<Option<Ranking>> {
    let chains = sources.db.managed_chains().await?;
    let Some(mut chain) = chains.iter().find(|chain| chain.purpose == purpose).cloned() else {
        return Ok(None);
    };
    chain.free_only = free_only.unwrap_or(chain.free_only);
    let saved = sources.db.all_managed_steps().await?;
    let before =
        saved.into_iter().find(|(other, _)| *other == purpose).map(|(_, steps)| steps).unwrap_or_default();
    let gathered = Gathered::of(sources, std::slice::from_ref(&chain)).await?;
    let built = build(&chain, &gathered, &before, MOST_RANKED);
    let mut models: Vec<RankedModel> = Vec::new();
    for step in built.steps {
        let Some(of) = gathered.find(step.channel, &step.upstream_model) else { continue };
        let offer = RankedOffer {
            channel: step.channel,
            channel_name: of.entry.channel.name.clone(),
            provider: of.entry.channel.provider.clone(),
            upstream_model: step.upstream_model,
            kind: step.kind,
            keys: step.keys,
            offered: of.offered,
            free: of.free,
            facts: of.facts.clone(),
            score: step.score,
        };
        match models.last_mut() {
            Some(last) if last.place == step.place => last.offers.push(offer),
            _ => models.push(RankedModel {
                place: step.place,
                model: step.model,
                in_chain: step.place < u32::from(chain.most_models),
                pinned: step.pinned,
                offers: vec![offer],
            }),
        }
    }
    let left_out = built.left_out.into_iter().filter_map(|out| {
        let of = gathered.find(out.channel, &out.upstream_model)?;
        Some(LeftOutOffer {
            channel: out.channel,
            channel_name: of.entry.channel.name.clone(),
            upstream_model: out.upstream_model,
            model: out.model,
            reason: out.reason,
            dead_since: of.liveness.death().map(|death| (death.since, death.retry_at)),
        })
    });
    let left_out = left_out.collect();
    let mut left_out_counts = built.left_out_counts;
    for (reason, count) in gathered.passed_over() {
        *left_out_counts.entry(reason).or_default() += count;
    }
    let weights = purpose.weights(gathered.weights);
    let (idle_pins, all_failing) = (built.idle_pins, built.all_failing);
    let tables = gathered.tables.clone();
    Ok(Some(Ranking { chain, weights, models, left_out, left_out_counts, idle_pins, all_failing, tables }))
}

/// The models of steps, each once.
fn models_of<'a>(steps: impl Iterator<Item = &'a ManagedStep>) -> Vec<Identity> {
    let mut models: Vec<Identity> = steps.map(|step| Identity::new(&step.identity)).collect();
    models.dedup();
    models
}

struct Built {
    steps: Vec<chain::Step>,
    left_out: Vec<chain::LeftOut>,
    left_out_counts: BTreeMap<Reason, usize>,
    idle_pins: Vec<Identity>,
    all_failing: bool,
}

/// Builds a chain of at most so many models. If all that fits is dead of faults, it stays: the fault may be on our side of the
/// network, and an empty chain would refuse every call.
fn build(chain: &ManagedChain, gathered: &Gathered, before: &[ManagedStep], most_models: usize) -> Built {
    let before = models_of(before.iter());
    let wishes = Wishes {
        weights: gathered.weights,
        free_only: chain.free_only,
        most_models,
        pins: &chain.pins,
        before: &before,
    };
    let alive = Liveness::alive();
    let run = |offers: &[Offer<'_>]| {
        chain::build(chain.purpose, offers, &wishes, &gathered.identities, &gathered.tables.benchmarks)
    };
    let mut offers = gathered.offers();
    let mut built = run(&offers);
    let failing = Reason::Dead(Cause::Failing);
    let all_failing = built.steps.is_empty() && built.left_out_counts.contains_key(&failing);
    if all_failing {
        for offer in &mut offers {
            if offer.liveness.death().is_some_and(|death| death.cause == Cause::Failing) {
                offer.liveness = &alive;
            }
        }
        built = run(&offers);
    }
    Built {
        all_failing: all_failing && !built.steps.is_empty(),
        steps: built.steps,
        left_out: built.left_out,
        left_out_counts: built.left_out_counts,
        idle_pins: built.idle_pins,
    }
}

#[cfg(test)]
mod tests;
