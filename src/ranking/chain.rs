//! The managed chains: in which order models are asked.
//!
//! The best model goes first, on every channel that serves it, best channel first; then the next model. Who pins a model
//! has it in front of all others, whatever its score. What is dead, has no keys or cannot do what the chain is for is left
//! out, and the chain says why.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{
    benchmark::{Benchmarks, Measure},
    identity::{Identified, Identities, Identity, NameKind},
    liveness::{Cause, Liveness},
    score::{Evidence, Measured, Preset, Quota, Score, Weights, score},
};
use crate::model::{id::ChannelId, token::named_enum};

/// A model overtakes the one before it only by more points than this, so that the order does not change with each call.
const MARGIN: u64 = 10;
/// The most offers that are told as left out; all of them are counted.
const MAX_LEFT_OUT: usize = 1000;

named_enum! {
    /// What a chain is for.
    Purpose {
        /// Anything.
        Auto = "auto",
        /// Programs: models that may call tools, by their figures for coding.
        Coding = "auto:coding",
        /// Images: models that are known to take them.
        Vision = "auto:vision",
        /// Quick answers.
        Fast = "auto:fast",
    }
}

impl Purpose {
    /// What counts as capability.
    pub fn measure(self) -> Measure {
        match self {
            Self::Auto | Self::Fast => Measure::General,
            Self::Coding => Measure::Coding,
            Self::Vision => Measure::Vision,
        }
    }

    /// The weights that apply: the operator's, but for quick answers those of [`Preset::Fastest`].
    pub fn weights(self, chosen: Weights) -> Weights {
        match self {
            Self::Fast => Preset::Fastest.weights(),
            Self::Auto | Self::Coding | Self::Vision => chosen,
        }
    }
}

/// A model at a channel: what could be a step.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// The channel's provider.
    pub provider: &'a str,
    /// The upstream's name for the model.
    pub model: &'a str,
    /// How many keys may call it: enabled, not refused, and of the model's scope.
    pub keys: u32,
    /// Whether it gives text; probes and lists tell.
    pub text: Option<bool>,
    /// Whether it takes images.
    pub vision: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it costs nothing.
    pub free: Option<bool>,
    /// The context window, in tokens.
    pub context_window: Option<u32>,
    /// What was measured.
    pub measured: Measured,
    /// What is left of today's calls, over all keys.
    pub quota: Quota,
    /// Whether it is alive.
    pub liveness: &'a Liveness,
}

/// What the operator wants of a chain.
#[derive(Debug, Clone)]
pub struct Wishes<'a> {
    /// How much each component counts.
    pub weights: Weights,
    /// Whether only models that are known to cost nothing are taken.
    pub free_only: bool,
    /// The most models that a chain has (each on all of its channels), pinned ones included.
    pub most_models: usize,
    /// Pinned models, the first one first.
    pub pins: &'a [Identity],
    /// The models of the chain as it stands, in its order; empty for a new one.
    pub before: &'a [Identity],
}

/// A managed chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// The steps, in the order in which they are asked.
    pub steps: Vec<Step>,
    /// What is left out, by channel and name: at most a thousand, and none that merely stands behind the last model.
    pub left_out: Vec<LeftOut>,
    /// How many offers are left out, by reason.
    pub left_out_counts: BTreeMap<Reason, usize>,
    /// Pins that no offer fits: kept, and without effect for now.
    pub idle_pins: Vec<Identity>,
}

impl Chain {
    /// The models in their order, each once: what [`Wishes::before`] wants the next time.
    pub fn models(&self) -> Vec<Identity> {
        let mut models: Vec<Identity> = self.steps.iter().map(|step| step.model.clone()).collect();
        models.dedup();
        models
    }
}

/// A step: a model at a channel, on all of the channel's keys that may call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The model's place in the chain, from 0: steps of one place are the same model, and any of them will do.
    pub place: u32,
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name.
    pub upstream_model: String,
    /// The model.
    pub model: Identity,
    /// What the name stands for.
    pub kind: NameKind,
    /// How many keys may call it.
    pub keys: u32,
    /// Whether it is here because of a pin.
    pub pinned: bool,
    /// Its score, with reasons.
    pub score: Score,
}

/// An offer that is not in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The channel.
    pub channel: ChannelId,
    /// The upstream's name.
    pub upstream_model: String,
    /// The model.
    pub model: Identity,
    /// Why.
    pub reason: Reason,
}

/// Why an offer is not in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No key may call it.
    NoKeys,
    /// It is dead.
    Dead(Cause),
    /// It gives no text.
    NoText,
    /// It costs something.
    Paid,
    /// Nothing says that it is free.
    PriceUnknown,
    /// It takes no images.
    NoVision,
    /// Nothing says that it takes images.
    VisionUnknown,
    /// It calls no tools.
    NoTools,
    /// Better models fill the chain.
    BeyondLimit,
    /// The same channel offers it twice by this name.
    Twice,
}

/// An offer that fits, and what it is worth.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    offer: &'a Offer<'a>,
    kind: NameKind,
    weighted: u64,
}

/// Builds a chain. The order of the offers does not matter. Memory beyond the chain is some 40 bytes per offer and the names of
/// the models.
pub fn build(
    purpose: Purpose,
    offers: &[Offer<'_>],
    wishes: &Wishes<'_>,
    identities: &Identities,
    benchmarks: &Benchmarks,
) -> Chain {
    let weights = purpose.weights(wishes.weights);
    let worth = |offer: &Offer<'_>, model: &Identity| {
        let evidence = Evidence {
            capability: benchmarks.of(model, purpose.measure()),
            measured: offer.measured,
            context_window: offer.context_window,
            quota: offer.quota,
        };
        score(evidence, &weights)
    };
    let pins: HashSet<&Identity> = wishes.pins.iter().collect();
    let mut left_out = Vec::new();
    let mut left_out_counts = BTreeMap::new();
    let mut models = BTreeMap::<Identity, Vec<Candidate<'_>>>::new();
    let mut sorted: Vec<&Offer<'_>> = offers.iter().collect();
    sorted.sort_by_key(|offer| (offer.channel, offer.model));
    let mut last = None;
    for offer in sorted {
        // Most of what is left out is only counted, and needs no identity.
        let identify = || identities.identify(offer.provider, offer.model);
        let is_pinned = || !pins.is_empty() && pins.contains(&identify().identity);
        let twice = last.replace((offer.channel, offer.model)) == Some((offer.channel, offer.model));
        let unfit = || unfit(offer, purpose, wishes.free_only, is_pinned);
        if let Some(reason) = twice.then_some(Reason::Twice).or_else(unfit) {
            *left_out_counts.entry(reason).or_default() += 1;
            if left_out.len() < MAX_LEFT_OUT {
                let upstream_model = offer.model.to_owned();
                let model = identify().identity;
                left_out.push(LeftOut { channel: offer.channel, upstream_model, model, reason });
            }
            continue;
        }
        let Identified { identity: model, kind } = identify();
        let weighted = worth(offer, &model).weighted;
        models.entry(model).or_default().push(Candidate { offer, kind, weighted });
    }
    for candidates in models.values_mut() {
        // The sort is stable, so equal ones stay in the order of channels and names.
        candidates.sort_by_key(|candidate| std::cmp::Reverse((candidate.weighted, candidate.offer.keys)));
    }
    let idle_pins = wishes.pins.iter().filter(|pin| !models.contains_key(*pin)).cloned().collect();
    let order = ordered(&models, wishes, MARGIN * weights.sum());
    let mut steps = Vec::new();
    for (place, model) in (0_u32..).zip(order) {
        let Some(candidates) = models.get(model) else { continue };
        if place as usize >= wishes.most_models {
            *left_out_counts.entry(Reason::BeyondLimit).or_default() += candidates.len();
            continue;
        }
        steps.extend(candidates.iter().map(|Candidate { offer, kind, .. }| Step {
            place,
            channel: offer.channel,
            upstream_model: offer.model.to_owned(),
            model: model.clone(),
            kind: *kind,
            keys: offer.keys,
            pinned: pins.contains(model),
            score: worth(offer, model),
        }));
    }
    Chain { steps, left_out, left_out_counts, idle_pins }
}

/// Whether an offer is in a chain for this purpose, or would be if it were alive; a chain may be of free models only. Its order
/// needs nothing of any other.
pub fn may_be_step(
    offer: &Offer<'_>,
    purpose: Purpose,
    free_only: bool,
    is_pinned: impl Fn() -> bool,
) -> bool {
    matches!(unfit(offer, purpose, free_only, is_pinned), None | Some(Reason::Dead(_)))
}

/// Why an offer cannot be in the chain. A pin overrules what is unknown or costs something, not what is impossible.
fn unfit(
    offer: &Offer<'_>,
    purpose: Purpose,
    free_only: bool,
    is_pinned: impl Fn() -> bool,
) -> Option<Reason> {
    if offer.keys == 0 {
        return Some(Reason::NoKeys);
    }
    if let Some(death) = offer.liveness.death() {
        return Some(Reason::Dead(death.cause));
    }
    if offer.text == Some(false) {
        return Some(Reason::NoText);
    }
    match (purpose, offer.vision, offer.tools) {
        (Purpose::Vision, Some(false), _) => return Some(Reason::NoVision),
        (Purpose::Vision, None, _) if !is_pinned() => return Some(Reason::VisionUnknown),
        (Purpose::Coding, _, Some(false)) => return Some(Reason::NoTools),
        _ => {}
    }
    match offer.free {
        Some(false) if free_only && !is_pinned() => Some(Reason::Paid),
        None if free_only && !is_pinned() => Some(Reason::PriceUnknown),
        _ => None,
    }
}

/// Pins first; then the models of the chain as it stands, in which one overtakes another only by more than the margin;
/// a new model takes its place by its score.
fn ordered<'a>(
    models: &'a BTreeMap<Identity, Vec<Candidate<'_>>>,
    wishes: &Wishes<'_>,
    margin: u64,
) -> Vec<&'a Identity> {
    let worth = |of: &Vec<Candidate<'_>>| of.first().map_or(0, |first| first.weighted);
    let mut order: Vec<(&Identity, u64)> = Vec::with_capacity(models.len());
    let mut known = HashSet::new();
    for pin in wishes.pins {
        if let Some((pin, of)) = models.get_key_value(pin)
            && known.insert(pin)
        {
            order.push((pin, worth(of)));
        }
    }
    let pinned = order.len();
    let mut old: Vec<(&Identity, u64)> = Vec::new();
    for model in wishes.before {
        if let Some((model, of)) = models.get_key_value(model)
            && known.insert(model)
        {
            old.push((model, worth(of)));
        }
    }
    let all = models.iter().map(|(model, of)| (model, worth(of)));
    let mut new: Vec<(&Identity, u64)> = all.filter(|(model, _)| !known.contains(model)).collect();
    // The sort is stable, so equal ones stay in the order of their names.
    new.sort_by_key(|(_, worth)| std::cmp::Reverse(*worth));
    for (model, needed) in
        old.into_iter().map(|model| (model, margin)).chain(new.into_iter().map(|model| (model, 0)))
    {
        let mut at = order.len();
        while at > pinned && model.1 > order[at - 1].1.saturating_add(needed) {
            at -= 1;
        }
        order.insert(at, model);
    }
    order.into_iter().map(|(model, _)| model).collect()
}
