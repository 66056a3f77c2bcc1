//! The managed chains: in which order models are asked.
//!
//! The best model goes first, on every channel that serves it, best channel first; then the next model. Who pins a model
//! has it in front of all others, whatever its score. What is dead, has no keys or cannot do what the chain is for is left
//! out, and the chain says why.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    benchmark::{Benchmarks, Measure},
    identity::{Identities, Identity, NameKind},
    liveness::{Cause, Liveness},
    score::{Evidence, Measured, Preset, Quota, Score, Weights, score},
};
use crate::model::{id::ChannelId, token::named_enum};

/// A model overtakes the one before it only by more points than this, so that the order does not change with each call.
const MARGIN: u64 = 10;

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
    /// What is left out, by channel and name.
    pub left_out: Vec<LeftOut>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Builds a chain. The order of the offers does not matter.
pub fn build(
    purpose: Purpose,
    offers: &[Offer<'_>],
    wishes: &Wishes<'_>,
    identities: &Identities,
    benchmarks: &Benchmarks,
) -> Chain {
    let weights = purpose.weights(wishes.weights);
    let mut left_out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut models = BTreeMap::<Identity, Vec<Step>>::new();
    let mut sorted: Vec<&Offer<'_>> = offers.iter().collect();
    sorted.sort_by_key(|offer| (offer.channel, offer.model));
    for offer in sorted {
        let named = identities.identify(offer.provider, offer.model);
        let pinned = wishes.pins.contains(&named.identity);
        let twice = !seen.insert((offer.channel, offer.model));
        let reason = twice.then_some(Reason::Twice).or_else(|| unfit(offer, purpose, wishes, pinned));
        if let Some(reason) = reason {
            left_out.push(LeftOut {
                channel: offer.channel,
                upstream_model: offer.model.to_owned(),
                model: named.identity,
                reason,
            });
            continue;
        }
        let evidence = Evidence {
            capability: benchmarks.of(&named.identity, purpose.measure()),
            measured: offer.measured,
            context_window: offer.context_window,
            quota: offer.quota,
        };
        models.entry(named.identity.clone()).or_default().push(Step {
            place: 0,
            channel: offer.channel,
            upstream_model: offer.model.to_owned(),
            model: named.identity,
            kind: named.kind,
            keys: offer.keys,
            pinned,
            score: score(evidence, &weights),
        });
    }
    for steps in models.values_mut() {
        // The sort is stable, so equal ones stay in the order of channels and names.
        steps.sort_by_key(|step| std::cmp::Reverse((step.score.weighted, step.keys)));
    }
    let idle_pins = wishes.pins.iter().filter(|pin| !models.contains_key(*pin)).cloned().collect();
    let margin = MARGIN * u64::from(weights_sum(&weights));
    let order = ordered(&models, wishes, margin);
    let mut steps = Vec::new();
    for (place, model) in order.into_iter().enumerate() {
        let Some(of_model) = models.remove(&model) else { continue };
        if place < wishes.most_models {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            steps.extend(of_model.into_iter().map(|step| Step { place, ..step }));
        } else {
            left_out.extend(of_model.into_iter().map(|step| LeftOut {
                channel: step.channel,
                upstream_model: step.upstream_model,
                model: step.model,
                reason: Reason::BeyondLimit,
            }));
        }
    }
    left_out.sort_by(|one, other| {
        (one.channel, &one.upstream_model).cmp(&(other.channel, &other.upstream_model))
    });
    Chain { steps, left_out, idle_pins }
}

fn weights_sum(weights: &Weights) -> u32 {
    [weights.capability, weights.reliability, weights.speed, weights.context, weights.quota]
        .into_iter()
        .map(u32::from)
        .sum()
}

/// Why an offer cannot be in the chain. A pin overrules what is unknown or costs something, not what is impossible.
fn unfit(offer: &Offer<'_>, purpose: Purpose, wishes: &Wishes<'_>, pinned: bool) -> Option<Reason> {
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
        (Purpose::Vision, None, _) if !pinned => return Some(Reason::VisionUnknown),
        (Purpose::Coding, _, Some(false)) => return Some(Reason::NoTools),
        _ => {}
    }
    match offer.free {
        Some(false) if wishes.free_only && !pinned => Some(Reason::Paid),
        None if wishes.free_only && !pinned => Some(Reason::PriceUnknown),
        _ => None,
    }
}

/// Pins first; then the models of the chain as it stands, in which one overtakes another only by more than the margin;
/// a new model takes its place by its score.
fn ordered(models: &BTreeMap<Identity, Vec<Step>>, wishes: &Wishes<'_>, margin: u64) -> Vec<Identity> {
    let mut order: Vec<Identity> = Vec::with_capacity(models.len());
    for pin in wishes.pins.iter().filter(|pin| models.contains_key(*pin)) {
        if !order.contains(pin) {
            order.push(pin.clone());
        }
    }
    let pinned = order.len();
    let worth = |model: &Identity| {
        models.get(model).and_then(|steps| steps.first()).map_or(0, |step| step.score.weighted)
    };
    let mut old: Vec<&Identity> = Vec::new();
    for model in wishes.before {
        if models.contains_key(model) && !order.contains(model) && !old.contains(&model) {
            old.push(model);
        }
    }
    let mut new: Vec<&Identity> =
        models.keys().filter(|model| !order.contains(model) && !old.contains(model)).collect();
    // The sort is stable, so equal ones stay in the order of their names.
    new.sort_by_key(|model| std::cmp::Reverse(worth(model)));
    for (model, needed) in
        old.into_iter().map(|model| (model, margin)).chain(new.into_iter().map(|model| (model, 0)))
    {
        let mut at = order.len();
        while at > pinned && worth(model) > worth(&order[at - 1]).saturating_add(needed) {
            at -= 1;
        }
        order.insert(at, model.clone());
    }
    order
}
