//! What a model is worth, and why.
//!
//! Five components, each from 0 to 1000 points, are weighted and added. Whole numbers only, so every machine comes to the
//! same order.
//!
//! **What is unknown** is told as unknown and counted as follows. Capability and context: nothing, since neither can be
//! measured by waiting, and a guess would be worth as much as a published figure; such a model stands behind one that is
//! known and else the same, and in front of none because of its name. Reliability and speed: what is usual ([`USUAL_RELIABILITY`],
//! [`USUAL_SPEED`]), since a few calls will tell; else a new model would never be tried. Quota: half, since most providers
//! do not tell what is left. The weights of unknown components stay in the sum, so ignorance never lifts a model.

use serde::{Deserialize, Serialize};

use super::benchmark::{Capability, Known};
use crate::model::token::named_enum;

/// The points of a full component, and of a full score.
pub const FULL: u16 = 1000;
/// Points of reliability with which a model begins.
pub const USUAL_RELIABILITY: u16 = 800;
/// As many calls count as much as what is usual.
const RELIABILITY_CALLS: u64 = 10;
/// Points of speed with which a model begins: first content after 2 s, 50 tokens/s.
pub const USUAL_SPEED: u16 = 500;
/// As many samples count as much as what is usual.
const SPEED_SAMPLES: u64 = 5;
/// First content after this time is worth half of the points.
const HALF_FIRST_TOKEN_MS: u64 = 2000;
/// This speed is worth half of the points.
const HALF_TOKENS_PER_SECOND: u64 = 50;
/// Points for a quota of which nothing is known.
const UNKNOWN_QUOTA: u16 = 500;
/// The context window that is worth nothing, and how many doublings of it are worth all points (1,048,576 tokens).
const SMALL_CONTEXT: u32 = 8192;
const CONTEXT_DOUBLINGS: u32 = 7;
/// So many calls left, less one, are worth all points: 2 to the power of this.
const QUOTA_DOUBLINGS: u32 = 10;

named_enum! {
    /// What a score is made of.
    Component {
        /// Published benchmarks.
        Capability = "capability",
        /// The share of calls that were answered.
        Reliability = "reliability",
        /// The time until the first content, and tokens per second.
        Speed = "speed",
        /// The context window.
        Context = "context",
        /// What is left of today's calls.
        Quota = "quota",
    }
}

named_enum! {
    /// Weights that somebody thought of.
    Preset {
        /// A bit of everything.
        Balanced = "balanced",
        /// The most capable model.
        Smartest = "smartest",
        /// The quickest answer.
        Fastest = "fastest",
        /// The fewest faults.
        MostReliable = "most_reliable",
    }
}

impl Preset {
    /// The weights.
    pub fn weights(self) -> Weights {
        let [capability, reliability, speed, context, quota] = match self {
            Self::Balanced => [35, 25, 15, 10, 15],
            Self::Smartest => [75, 10, 5, 10, 0],
            Self::Fastest => [15, 20, 60, 0, 5],
            Self::MostReliable => [15, 60, 10, 0, 15],
        };
        Weights { capability, reliability, speed, context, quota }
    }
}

/// How much each component counts, each from 0 to 100. Only their proportions matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Published benchmarks.
    pub capability: u8,
    /// The share of calls that were answered.
    pub reliability: u8,
    /// Speed.
    pub speed: u8,
    /// The context window.
    pub context: u8,
    /// What is left of today's calls.
    pub quota: u8,
}

/// What is wrong with weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsFault {
    /// This one is above 100.
    TooLarge(Component),
    /// All of them are 0.
    AllZero,
}

impl Weights {
    /// The weight of a component.
    pub fn of(&self, component: Component) -> u8 {
        match component {
            Component::Capability => self.capability,
            Component::Reliability => self.reliability,
            Component::Speed => self.speed,
            Component::Context => self.context,
            Component::Quota => self.quota,
        }
    }

    /// Whether the weights can be used.
    pub fn check(&self) -> Result<(), WeightsFault> {
        let too_large = Component::ALL.iter().find(|component| self.of(**component) > 100);
        match too_large {
            Some(component) => Err(WeightsFault::TooLarge(*component)),
            None if self.sum() == 0 => Err(WeightsFault::AllZero),
            None => Ok(()),
        }
    }

    /// The preset of these weights, if there is one.
    pub fn preset(&self) -> Option<Preset> {
        Preset::ALL.iter().copied().find(|preset| preset.weights() == *self)
    }

    /// What the weights add up to.
    pub(super) fn sum(&self) -> u64 {
        Component::ALL.iter().map(|component| u64::from(self.of(*component))).sum()
    }
}

impl Default for Weights {
    fn default() -> Self {
        Preset::Balanced.weights()
    }
}

/// A mean and the number of samples that it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The mean.
    pub mean: u32,
    /// Of how many.
    pub count: u32,
}

/// What was measured of one model at one channel, from real calls and probes of the recent past (a week, say).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Calls that were answered.
    pub answered: u32,
    /// Calls that failed by the model's or the provider's fault. Limits, wrong keys and the clients' own mistakes do not
    /// count.
    pub failed: u32,
    /// Milliseconds from the attempt's start to the first content.
    pub first_token_ms: Sample,
    /// Completion tokens per second after the first content.
    pub tokens_per_second: Sample,
}

/// What is left of today's calls, over all keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// Nobody knows.
    #[default]
    Unknown,
    /// So many calls.
    Left(u64),
    /// No limit by the day.
    Unlimited,
}

/// What a score is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What is known of its capability.
    pub capability: Known,
    /// What was measured.
    pub measured: Measured,
    /// The context window, in tokens.
    pub context_window: Option<u32>,
    /// What is left.
    pub quota: Quota,
}

/// A score with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// From 0 to 1000, rounded.
    pub points: u16,
    /// The components, in the order of [`Component::ALL`].
    pub parts: [Part; 5],
    /// What it was made from.
    pub evidence: Evidence,
    /// Weighted points, for the order: scores with the same weights compare by it.
    pub(super) weighted: u64,
}

/// A component of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which one.
    pub component: Component,
    /// Its points; `None` if they are unknown.
    pub points: Option<u16>,
    /// The points that were counted: the same, or what stands in for them.
    pub counted: u16,
    /// Its weight.
    pub weight: u8,
    /// What it adds to the score, rounded.
    pub contribution: u16,
}

/// Scores what is known. Weights that are all 0 (see [`Weights::check`]) score 0.
pub fn score(evidence: Evidence, weights: &Weights) -> Score {
    let total = weights.sum().max(1);
    let part = |component| {
        let (points, unknown) = match component {
            Component::Capability => (capability(&evidence.capability), 0),
            Component::Reliability => (reliability(&evidence.measured), USUAL_RELIABILITY),
            Component::Speed => (speed(&evidence.measured), USUAL_SPEED),
            Component::Context => (evidence.context_window.map(context), 0),
            Component::Quota => (quota(evidence.quota), UNKNOWN_QUOTA),
        };
        let counted = points.unwrap_or(unknown);
        let weight = weights.of(component);
        let contribution = rounded(u64::from(counted) * u64::from(weight), total);
        Part { component, points, counted, weight, contribution }
    };
    let parts = [
        part(Component::Capability),
        part(Component::Reliability),
        part(Component::Speed),
        part(Component::Context),
        part(Component::Quota),
    ];
    let weighted = parts.iter().map(|part| u64::from(part.counted) * u64::from(part.weight)).sum();
    Score { points: rounded(weighted, total), parts, evidence, weighted }
}

fn rounded(amount: u64, by: u64) -> u16 {
    u16::try_from((amount + by / 2) / by).unwrap_or(FULL)
}

fn capability(known: &Known) -> Option<u16> {
    match known {
        Known::Figure(Capability { points, .. }) => Some(*points),
        Known::NoneFound { .. } | Known::Unchecked => None,
    }
}

/// The share of answered calls, drawn towards what is usual as long as there are few.
fn reliability(measured: &Measured) -> Option<u16> {
    let (answered, failed) = (u64::from(measured.answered), u64::from(measured.failed));
    let usual = u64::from(USUAL_RELIABILITY) * RELIABILITY_CALLS;
    (answered + failed > 0)
        .then(|| rounded(answered * u64::from(FULL) + usual, answered + failed + RELIABILITY_CALLS))
}

/// The mean of the points for the first content and for tokens per second, or those of which there are samples.
fn speed(measured: &Measured) -> Option<u16> {
    let full = u64::from(FULL);
    let drawn = |points: u64, count: u32| {
        let count = u64::from(count);
        let usual = u64::from(USUAL_SPEED) * SPEED_SAMPLES;
        (count > 0).then(|| u64::from(rounded(points * count + usual, count + SPEED_SAMPLES)))
    };
    let (first, flow) = (measured.first_token_ms, measured.tokens_per_second);
    let (wait, rate) = (u64::from(first.mean), u64::from(flow.mean));
    let first = drawn(full * HALF_FIRST_TOKEN_MS / (HALF_FIRST_TOKEN_MS + wait), first.count);
    let flow = drawn(full * rate / (rate + HALF_TOKENS_PER_SECOND), flow.count);
    match (first, flow) {
        (Some(first), Some(flow)) => Some(rounded(first + flow, 2)),
        (one, other) => one.or(other).map(|points| rounded(points, 1)),
    }
}

/// Each doubling above 8192 tokens is worth the same.
fn context(window: u32) -> u16 {
    if window < SMALL_CONTEXT {
        return 0;
    }
    doublings(u64::from(window), u64::from(SMALL_CONTEXT), CONTEXT_DOUBLINGS)
}

/// Each doubling is worth the same: the hundredth call left matters more than the thousandth.
fn quota(quota: Quota) -> Option<u16> {
    match quota {
        Quota::Unknown => None,
        Quota::Left(calls) => Some(doublings(calls.saturating_add(1), 1, QUOTA_DOUBLINGS)),
        Quota::Unlimited => Some(FULL),
    }
}

/// How many doublings lie between a unit and an amount that is no smaller, straight lines in between, as a share of
/// `most`.
fn doublings(amount: u64, unit: u64, most: u32) -> u16 {
    let whole = (amount / unit).ilog2();
    if whole >= most {
        return FULL;
    }
    let start = unit << whole;
    let full = u64::from(FULL);
    let points = u64::from(whole) * full + (amount - start) * full / start;
    rounded(points, u64::from(most))
}
