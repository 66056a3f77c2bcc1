//! A managed chain as a page shows it: models with their channels and why they stand where they stand, and what is left out.

use crate::{
    i18n::Messages,
    model::time::UnixMs,
    ranking::{
        benchmark::Benchmarks,
        chain::{Purpose, Reason},
        score::{Component, Score, Weights},
    },
    selection::{LeftOutOffer, RankedModel, RankedOffer, Ranking},
    storage::ranking::DAYS,
    web::{
        format::NOTHING,
        ranking::{Because, because, component, name_kind, reason},
    },
};

/// The channels of a model of which the page tells every component; the others have a line.
const EXPLAINED: usize = 3;
/// The channels of a model that are named on its first line, and those that have only a score in its explanation.
const NAMED: usize = 4;
const SCORED: usize = 12;
/// The longest name on a page, in characters.
const MOST_NAME: usize = 120;

/// A model of a chain.
pub(super) struct ModelRow {
    /// From 1.
    pub place: u32,
    /// Its identity.
    pub model: String,
    pub pinned: bool,
    /// Whether it is in the chain; else it stands behind the last one.
    pub in_chain: bool,
    /// Whether it stands at the head.
    pub first: bool,
    /// A word and a sentence if the name is no model of its own.
    pub kind: Option<(&'static str, &'static str)>,
    /// Its channels and how many keys each has, in one line.
    pub served: String,
    /// Of its best channel.
    pub points: u16,
    pub bar: Vec<Piece>,
    /// The bar in words.
    pub label: String,
    pub channels: Vec<ChannelRow>,
    /// The channels that are not explained.
    pub more: String,
}

/// A piece of a bar, which is 1000 wide.
pub(super) struct Piece {
    pub class: &'static str,
    pub start: u32,
    pub width: u32,
}

/// A model at a channel.
pub(super) struct ChannelRow {
    pub path: String,
    pub name: String,
    pub keys: String,
    /// The upstream's name, if it is not the model's.
    pub called: String,
    pub score: String,
    pub parts: Vec<PartRow>,
}

/// A component of a score.
pub(super) struct PartRow {
    pub class: &'static str,
    pub name: &'static str,
    pub points: String,
    pub contribution: u16,
    pub because: Because,
}

/// An offer that is not in the chain.
pub(super) struct LeftRow {
    pub model: String,
    pub channel: String,
    pub channel_path: String,
    pub reason: &'static str,
    /// Of a dead one: since when, and when it is asked again.
    pub since: String,
}

/// What a chain's explanation needs beside the chain.
pub(super) struct Words<'a> {
    pub t: Messages,
    pub benchmarks: &'a Benchmarks,
    pub purpose: Purpose,
}

/// The pieces of a bar for a score.
pub(super) fn score_bar(score: &Score) -> Vec<Piece> {
    pieces(score.parts.iter().map(|part| (part.component, u32::from(part.contribution))))
}

/// The pieces of a bar for weights.
pub(super) fn weights_bar(weights: &Weights) -> Vec<Piece> {
    let sum = Component::ALL.iter().map(|one| u32::from(weights.of(*one))).sum::<u32>().max(1);
    pieces(Component::ALL.iter().map(|one| (*one, u32::from(weights.of(*one)) * 1000 / sum)))
}

fn pieces(parts: impl Iterator<Item = (Component, u32)>) -> Vec<Piece> {
    let mut start = 0;
    let pieces = parts.map(|(component, width)| {
        let piece = Piece { class: component.as_str(), start, width };
        start += width;
        piece
    });
    pieces.filter(|piece| piece.width > 0).collect()
}

/// A name that is no longer than a page can bear.
pub(super) fn short(name: &str) -> String {
    if name.chars().count() <= MOST_NAME {
        return name.to_owned();
    }
    name.chars().take(MOST_NAME - 1).chain(['…']).collect()
}

/// Whether a text has a part; both in lower case.
fn has(text: &str, part: &str) -> bool {
    part.is_empty() || text.to_lowercase().contains(part)
}

/// The models of a ranking of which the model or an upstream's name has `part` (in lower case).
pub(super) fn models<'a>(ranking: &'a Ranking, part: &str) -> Vec<&'a RankedModel> {
    let fits = |model: &&RankedModel| {
        has(model.model.as_str(), part) || model.offers.iter().any(|offer| has(&offer.upstream_model, part))
    };
    ranking.models.iter().filter(fits).collect()
}

/// What is left out for this reason, or for any, and has `part` (in lower case) in a name.
pub(super) fn left_out<'a>(ranking: &'a Ranking, why: Option<Reason>, part: &str) -> Vec<&'a LeftOutOffer> {
    let fits = |one: &&LeftOutOffer| {
        why.is_none_or(|why| why == one.reason)
            && (has(&one.upstream_model, part) || has(one.model.as_str(), part))
    };
    ranking.left_out.iter().filter(fits).collect()
}

impl ModelRow {
    /// A model at all of its channels; `None` if it has none.
    pub fn of(words: &Words<'_>, model: &RankedModel) -> Option<Self> {
        let offers = &model.offers;
        let best = offers.first()?;
        let r = words.t.ranking;
        let told = |offer: &RankedOffer| format!("{} ({})", short(&offer.channel_name), r.keys(offer.keys));
        let named = offers.iter().take(NAMED).map(told).collect::<Vec<_>>().join(" · ");
        let served = match offers.len().saturating_sub(NAMED) {
            0 => named,
            more => format!("{named} · {}", r.more_channels(more)),
        };
        let rest = offers.get(EXPLAINED..).unwrap_or_default();
        let mut more: Vec<String> = rest
            .iter()
            .take(SCORED)
            .map(|offer| format!("{}: {}", told(offer), offer.score.points))
            .collect();
        if rest.len() > SCORED {
            more.push(r.more_channels(rest.len() - SCORED));
        }
        let parts = best
            .score
            .parts
            .iter()
            .map(|part| format!("{} {}", component(words.t, part.component).0, part.contribution));
        let score = r.score_of(best.score.points);
        Some(Self {
            place: model.place + 1,
            model: model.model.to_string(),
            pinned: model.pinned,
            in_chain: model.in_chain,
            first: model.place == 0 && model.pinned,
            kind: name_kind(words.t, best.kind),
            served,
            points: best.score.points,
            bar: score_bar(&best.score),
            label: format!("{score}: {}", parts.collect::<Vec<_>>().join(", ")),
            channels: offers
                .iter()
                .take(EXPLAINED)
                .map(|offer| ChannelRow::of(words, model, offer))
                .collect(),
            more: more.join(" · "),
        })
    }
}

impl ChannelRow {
    fn of(words: &Words<'_>, model: &RankedModel, offer: &RankedOffer) -> Self {
        let t = words.t;
        let parts = offer.score.parts.iter().map(|part| PartRow {
            class: part.component.as_str(),
            name: component(t, part.component).0,
            points: part.points.map_or_else(|| NOTHING.to_owned(), |points| points.to_string()),
            contribution: part.contribution,
            because: because(t, part, &offer.score.evidence, words.purpose, words.benchmarks, DAYS),
        });
        Self {
            path: format!("/channels/{}", offer.channel),
            name: short(&offer.channel_name),
            keys: t.ranking.keys(offer.keys),
            called: if offer.upstream_model == model.model.as_str() {
                String::new()
            } else {
                t.ranking.called(&short(&offer.upstream_model))
            },
            score: t.ranking.score_of(offer.score.points),
            parts: parts.collect(),
        }
    }
}

impl LeftRow {
    /// An offer that is left out.
    pub fn of(t: Messages, one: &LeftOutOffer, minute: impl Fn(UnixMs) -> String) -> Self {
        Self {
            model: short(&one.upstream_model),
            channel: short(&one.channel_name),
            channel_path: format!("/channels/{}", one.channel),
            reason: reason(t, one.reason),
            since: one.dead_since.map_or_else(String::new, |(since, retry)| {
                t.ranking.dead_since(&minute(since), &minute(retry))
            }),
        }
    }
}
