//! Managed chains: what operators want of them, why they are as they are, weights, and names of models.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Created, Endpoint, Gone, Patch, PathPart, Query, Shown},
    refusal::Result,
    shapes::{At, Page, PageQuery},
};
use crate::{
    error::Error,
    pool::input::{ManagedChainInput, ModelNameInput, WeightsInput},
    provider::Text,
    ranking::{
        benchmark::{Benchmarks, Known, Measure},
        chain::{Purpose, Reason},
        identity::NameKind,
        liveness::Cause,
        score::{Component, Part, Preset, Quota, Sample, Score, Weights},
    },
    selection::{LeftOutOffer, RankedModel, RankedOffer, Ranking},
    storage::ranking::ManagedChain,
    web::Site,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    const NAMES: &str = "Names that stand for the same model count as one when chains are built, beside those that are known \
                         anyway. At most 2000 can be joined.";
    vec![
        Endpoint::new(Method::GET, "/api/managed-chains", "List the managed chains", list),
        Endpoint::new(Method::GET, "/api/managed-chains/{id}", "Show a managed chain", show),
        Endpoint::new(Method::PATCH, "/api/managed-chains/{id}", "Change a managed chain, switch it on or off", change)
            .about("The chains are rebuilt before the answer. A list of pins replaces the whole list.")
            .example(json!({"most_models": 5, "pins": ["gpt-oss-120b"]})),
        Endpoint::new(Method::GET, "/api/managed-chains/{id}/ranking", "Show why a managed chain is as it is", rank)
            .about(
                "Every model that fits, the best one first, with its score, what that was made from, and where it is \
                 offered; then what does not fit, and why. It is worked out when it is asked for, also of a chain that is off.",
            ),
        Endpoint::new(Method::POST, "/api/ranking/rebuild", "Build the managed chains anew", rebuild)
            .about("The server does so by itself when something changes, and every five minutes."),
        Endpoint::new(Method::GET, "/api/ranking/weights", "Show how much each component of a score counts", weights),
        Endpoint::new(Method::PUT, "/api/ranking/weights", "Set how much each component of a score counts", set_weights)
            .about("Give a preset, or numbers of your own. `auto:fast` always has the weights of `fastest`. The chains are rebuilt before the answer.")
            .example(json!({"capability": 50, "reliability": 30, "quota": 20})),
        Endpoint::new(Method::GET, "/api/ranking/names", "List names that operators have joined", names).about(NAMES),
        Endpoint::new(Method::POST, "/api/ranking/names", "Join a name to a model", join)
            .about("A name that was joined to another model leaves that. The chains are rebuilt before the answer.")
            .example(json!({"name": "house/big-model", "model": "gpt-oss-120b"}))
            .fails(StatusCode::CONFLICT, "There are 2000 names already."),
        Endpoint::new(Method::DELETE, "/api/ranking/names", "Take a name from its model", part)
            .about("The chains are rebuilt before the answer.")
            .fails(StatusCode::NOT_FOUND, "The name is joined to no model there."),
    ]
}

impl PathPart for Purpose {
    fn schema() -> Option<Value> {
        let names: Vec<&str> = Self::ALL.iter().map(|purpose| purpose.as_str()).collect();
        Some(json!({"type": "string", "enum": names}))
    }

    fn read(text: Option<&str>) -> Result<Self> {
        text.and_then(Self::from_name).ok_or_else(|| Error::NotFound.into())
    }
}

/// A managed chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManagedChainView {
    /// The model name that clients ask for.
    name: &'static str,
    /// Off means: nobody can ask for it.
    enabled: bool,
    /// Whether only models that are known to cost nothing are taken.
    free_only: bool,
    /// The most models that it has, each on all of its channels.
    most_models: u16,
    /// Models that stand in front of all others, the first one first.
    pins: Vec<String>,
    /// When its steps were built last; null: never.
    built_at: Option<At>,
    /// Whether clients can ask for it now: it is on, has models, and neither a channel's model nor a chain that was made by
    /// hand has its name.
    usable: bool,
    /// Its models in the order in which they are asked; empty if it cannot be asked for.
    models: Vec<ManagedModelView>,
}

/// A model of a managed chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManagedModelView {
    /// What it is, whatever upstreams call it.
    model: String,
    /// Who serves it, the best one first.
    routes: Vec<ManagedRouteView>,
}

/// Who serves a model of a managed chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManagedRouteView {
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The upstream's name for the model.
    upstream_model: String,
}

/// The managed chains.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManagedChainList {
    /// The chains.
    items: Vec<ManagedChainView>,
}

impl ManagedChainView {
    fn of(site: &Site, chain: ManagedChain) -> Self {
        let catalog = site.catalog.load();
        let name = chain.purpose.as_str();
        let model = catalog.model(name).filter(|model| model.managed);
        let models = model.map(|model| model.steps.as_slice()).unwrap_or_default().iter().map(|step| {
            let routes = step.routes.iter().map(|route| ManagedRouteView {
                channel_id: route.channel.channel.id.0,
                channel: route.channel.channel.name.clone(),
                upstream_model: route.upstream_model.to_string(),
            });
            ManagedModelView { model: step.model.clone(), routes: routes.collect() }
        });
        Self {
            name,
            enabled: chain.enabled,
            free_only: chain.free_only,
            most_models: chain.most_models,
            pins: chain.pins.iter().map(ToString::to_string).collect(),
            built_at: chain.built_at.map(At),
            usable: model.is_some(),
            models: models.collect(),
        }
    }
}

/// Which part of a ranking to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RankingQuery {
    /// The most models of the answer, and the most offers that are told as left out.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

/// The order of a chain's models, with reasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankingView {
    /// The chain.
    chain: &'static str,
    /// The weights that apply to it.
    weights: WeightsView,
    /// Whether all that fits fails now, and stays in the chain for want of anything better.
    all_failing: bool,
    /// The models, the best one first; at most 1000, by pages.
    models: Vec<RankedModelView>,
    /// How many models there are.
    total: usize,
    /// Pins that nothing fits: kept, and without effect for now.
    idle_pins: Vec<String>,
    /// What does not fit, by channel and name.
    left_out: Vec<LeftOutView>,
    /// How many offers do not fit, by reason.
    left_out_counts: Vec<ReasonCount>,
    /// The `cursor` that goes on with the models; null at the end.
    next: Option<String>,
}

/// How much each component of a score counts; only the proportions matter.
#[derive(Debug, Serialize, ToSchema)]
pub struct WeightsView {
    /// The preset of these weights; null if they are none.
    preset: Option<Preset>,
    /// Published benchmarks.
    capability: u8,
    /// The share of answered calls.
    reliability: u8,
    /// The time until the first content, and tokens per second.
    speed: u8,
    /// The context window.
    context: u8,
    /// What is left of today's calls.
    quota: u8,
}

impl From<Weights> for WeightsView {
    fn from(weights: Weights) -> Self {
        let Weights { capability, reliability, speed, context, quota } = weights;
        Self { preset: weights.preset(), capability, reliability, speed, context, quota }
    }
}

/// A model of a ranking.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankedModelView {
    /// Its place, from 1.
    place: u32,
    /// What it is, whatever upstreams call it.
    model: String,
    /// Whether it is in the chain; else it stands behind the chain's last model.
    in_chain: bool,
    /// Whether it is pinned.
    pinned: bool,
    /// Its score: that of its best offer, from 0 to 1000.
    points: u16,
    /// How many keys may call it, over all of its channels.
    keys: u32,
    /// What is known of its capability.
    capability: CapabilityView,
    /// Where it is offered, the best one first.
    offers: Vec<OfferView>,
}

/// What is known of a model's capability.
#[derive(Debug, Serialize, ToSchema)]
pub struct CapabilityView {
    /// `figure`, `none_found` (somebody looked) or `unchecked`.
    known: &'static str,
    /// What the figure measures: `general`, `coding` or `vision`.
    measure: Option<&'static str>,
    /// The benchmark.
    benchmark: Option<String>,
    /// The figure as it was published.
    value: Option<f64>,
    /// Whether only the model's maker reports it.
    self_reported: Option<bool>,
    /// For which day it was published, or when somebody looked.
    #[schema(format = "date")]
    as_of: Option<String>,
    /// Who says so: an address.
    source: Option<String>,
    /// Why there is none, if a reason is known.
    why: Option<String>,
}

/// A model at a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferView {
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The channel's provider.
    provider: String,
    /// The upstream's name for the model.
    upstream_model: String,
    /// What that name stands for: `model`, `moving` (whatever is newest) or `router` (the provider chooses).
    kind: &'static str,
    /// How many keys may call it.
    keys: u32,
    /// Whether the channel offers it by a name of its own; else only managed chains lead there.
    offered: bool,
    /// Whether it costs nothing; null if nobody says.
    free: Option<bool>,
    /// The context window, in tokens.
    context_window: Option<u32>,
    /// Whether it takes images.
    vision: Option<bool>,
    /// Whether it calls tools.
    tools: Option<bool>,
    /// Whether it reasons before it answers.
    reasoning: Option<bool>,
    /// Its score, from 0 to 1000.
    points: u16,
    /// What the score is made of.
    parts: Vec<PartView>,
    /// Calls of the last seven days that it answered.
    answered: u32,
    /// Calls of the last seven days that failed by the model's or the provider's fault.
    failed: u32,
    /// Milliseconds until the first content, on average.
    first_token_ms: Option<u32>,
    /// Tokens per second after the first content, on average.
    tokens_per_second: Option<u32>,
    /// `unknown`, `left` or `unlimited`.
    quota: &'static str,
    /// What is left of today's calls, over all keys; null unless `quota` is `left`.
    calls_left: Option<u64>,
}

/// A component of a score.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartView {
    /// Which one.
    component: Component,
    /// Its points, from 0 to 1000; null if they are unknown.
    points: Option<u16>,
    /// The points that were counted: the same, or what stands in for them.
    counted: u16,
    /// Its weight.
    weight: u8,
    /// What it adds to the score.
    contribution: u16,
}

/// An offer that is not in a ranking.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeftOutView {
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The upstream's name.
    upstream_model: String,
    /// What the model is, whatever upstreams call it.
    model: String,
    /// Why: `no_keys`, `dead_failing`, `dead_gone`, `dead_unlisted`, `no_text`, `paid`, `price_unknown`, `no_vision`,
    /// `vision_unknown`, `no_tools`, `beyond_limit` or `twice`.
    reason: &'static str,
    /// Of a dead one, since when.
    dead_since: Option<At>,
    /// Of a dead one, from when on a probe may ask whether it still is.
    retry_at: Option<At>,
}

/// How many offers are left out for a reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonCount {
    /// The reason.
    reason: &'static str,
    /// How many.
    count: usize,
}

/// The name of a reason in JSON.
pub fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::NoKeys => "no_keys",
        Reason::Dead(Cause::Failing) => "dead_failing",
        Reason::Dead(Cause::Gone) => "dead_gone",
        Reason::Dead(Cause::Unlisted) => "dead_unlisted",
        Reason::NoText => "no_text",
        Reason::Paid => "paid",
        Reason::PriceUnknown => "price_unknown",
        Reason::NoVision => "no_vision",
        Reason::VisionUnknown => "vision_unknown",
        Reason::NoTools => "no_tools",
        Reason::BeyondLimit => "beyond_limit",
        Reason::Twice => "twice",
    }
}

impl CapabilityView {
    fn of(known: &Known, benchmarks: &Benchmarks) -> Self {
        let none = Self {
            known: "unchecked",
            measure: None,
            benchmark: None,
            value: None,
            self_reported: None,
            as_of: None,
            source: None,
            why: None,
        };
        match known {
            Known::Figure(figure) => Self {
                known: "figure",
                measure: Some(match figure.measure {
                    Measure::General => "general",
                    Measure::Coding => "coding",
                    Measure::Vision => "vision",
                }),
                benchmark: benchmarks.find(&figure.benchmark).map(|benchmark| benchmark.name.en.clone()),
                value: Some(figure.value),
                self_reported: Some(figure.self_reported),
                as_of: Some(figure.as_of.to_string()),
                source: Some(figure.source.clone()),
                why: None,
            },
            Known::NoneFound { checked, why } => Self {
                known: "none_found",
                as_of: Some(checked.to_string()),
                why: why.as_ref().map(|Text { en, .. }| en.clone()),
                ..none
            },
            Known::Unchecked => none,
        }
    }
}

impl From<&Part> for PartView {
    fn from(part: &Part) -> Self {
        let Part { component, points, counted, weight, contribution } = *part;
        Self { component, points, counted, weight, contribution }
    }
}

impl OfferView {
    fn of(offer: RankedOffer) -> Self {
        let Score { points, parts, evidence, .. } = &offer.score;
        let measured = evidence.measured;
        let mean = |sample: Sample| (sample.count > 0).then_some(sample.mean);
        let (quota, calls_left) = match evidence.quota {
            Quota::Unknown => ("unknown", None),
            Quota::Left(calls) => ("left", Some(calls)),
            Quota::Unlimited => ("unlimited", None),
        };
        Self {
            channel_id: offer.channel.0,
            kind: match offer.kind {
                NameKind::Model => "model",
                NameKind::Moving => "moving",
                NameKind::Router => "router",
            },
            keys: offer.keys,
            offered: offer.offered,
            free: offer.free,
            context_window: offer.facts.context_window,
            vision: offer.facts.vision,
            tools: offer.facts.tools,
            reasoning: offer.facts.reasoning,
            points: *points,
            parts: parts.iter().map(PartView::from).collect(),
            answered: measured.answered,
            failed: measured.failed,
            first_token_ms: mean(measured.first_token_ms),
            tokens_per_second: mean(measured.tokens_per_second),
            quota,
            calls_left,
            channel: offer.channel_name,
            provider: offer.provider,
            upstream_model: offer.upstream_model,
        }
    }
}

impl RankedModelView {
    /// A model of a ranking that was made with these benchmarks.
    pub fn of(model: RankedModel, benchmarks: &Benchmarks) -> Self {
        let score = model.score();
        let known = score.map_or(&Known::Unchecked, |score| &score.evidence.capability);
        Self {
            place: model.place.saturating_add(1),
            in_chain: model.in_chain,
            pinned: model.pinned,
            points: score.map_or(0, |score| score.points),
            keys: model.keys(),
            capability: CapabilityView::of(known, benchmarks),
            model: model.model.to_string(),
            offers: model.offers.into_iter().map(OfferView::of).collect(),
        }
    }
}

impl From<LeftOutOffer> for LeftOutView {
    fn from(out: LeftOutOffer) -> Self {
        Self {
            channel_id: out.channel.0,
            channel: out.channel_name,
            upstream_model: out.upstream_model,
            model: out.model.to_string(),
            reason: reason_name(out.reason),
            dead_since: out.dead_since.map(|(since, _)| At(since)),
            retry_at: out.dead_since.map(|(_, retry_at)| At(retry_at)),
        }
    }
}

impl RankingView {
    /// A part of a ranking.
    pub fn of(ranking: Ranking, page: &Page) -> Result<Self> {
        let total = ranking.models.len();
        let (models, next) = page.cut(ranking.models, |model| model.place)?;
        let benchmarks = &ranking.tables.benchmarks;
        let count = |(reason, count)| ReasonCount { reason: reason_name(reason), count };
        Ok(Self {
            chain: ranking.chain.purpose.as_str(),
            weights: ranking.weights.into(),
            all_failing: ranking.all_failing,
            models: models.into_iter().map(|model| RankedModelView::of(model, benchmarks)).collect(),
            total,
            idle_pins: ranking.idle_pins.iter().map(ToString::to_string).collect(),
            left_out: ranking.left_out.into_iter().take(page.limit()).map(LeftOutView::from).collect(),
            left_out_counts: ranking
                .left_out_counts
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(count)
                .collect(),
            next,
        })
    }
}

/// What a rebuild changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RebuiltView {
    /// The chains.
    chains: Vec<RebuiltChainView>,
}

/// What became of one chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct RebuiltChainView {
    /// Which one.
    name: &'static str,
    /// Whether its steps are others than before.
    changed: bool,
    /// Its models before, in their order.
    before: Vec<String>,
    /// Its models now; none if it is off.
    models: Vec<String>,
    /// Whether all that fits fails now, and stays in the chain for want of anything better.
    all_failing: bool,
}

/// A name to take from its model.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameQuery {
    /// The name.
    pub name: String,
    /// The provider at which it was joined; left out: at any.
    pub provider: Option<String>,
}

/// Names that operators have joined.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelNameList {
    /// The names.
    items: Vec<ModelNameInput>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn find(site: &Site, purpose: Purpose) -> Result<ManagedChain> {
    let chain = site.db.managed_chains().await?.into_iter().find(|chain| chain.purpose == purpose);
    Ok(chain.ok_or(Error::NotFound)?)
}

async fn list(asked: Asked) -> Result<Shown<ManagedChainList>> {
    let chains = asked.site.db.managed_chains().await?;
    let view = |chain| ManagedChainView::of(&asked.site, chain);
    Ok(Shown(ManagedChainList { items: chains.into_iter().map(view).collect() }))
}

async fn show(asked: Asked<Purpose>) -> Result<Shown<ManagedChainView>> {
    let chain = find(&asked.site, asked.path).await?;
    Ok(Shown(ManagedChainView::of(&asked.site, chain)))
}

async fn change(asked: Asked<Purpose, (), Patch<ManagedChainInput>>) -> Result<Shown<ManagedChainView>> {
    let site = &asked.site;
    let _changing = changing(site).await?;
    let known = find(site, asked.path).await?;
    let input = asked.body.apply(&ManagedChainInput::of(&known))?;
    site.db.update_managed_chain(&input.check(&known, asked.caller.t())?).await?;
    site.rebuild_chains().await?;
    Ok(Shown(ManagedChainView::of(site, find(site, asked.path).await?)))
}

async fn rank(asked: Asked<Purpose, Query<RankingQuery>>) -> Result<Shown<RankingView>> {
    let Query(query) = &asked.query;
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let ranking = asked.site.ranking(asked.path).await?.ok_or(Error::NotFound)?;
    Ok(Shown(RankingView::of(ranking, &page)?))
}

async fn rebuild(asked: Asked) -> Result<Shown<RebuiltView>> {
    let rebuilt = asked.site.rebuild_chains().await?;
    let chains = rebuilt.chains.into_iter().map(|chain| RebuiltChainView {
        name: chain.purpose.as_str(),
        changed: chain.changed,
        before: chain.before.iter().map(ToString::to_string).collect(),
        models: chain.models.iter().map(ToString::to_string).collect(),
        all_failing: chain.all_failing,
    });
    Ok(Shown(RebuiltView { chains: chains.collect() }))
}

async fn weights(asked: Asked) -> Result<Shown<WeightsView>> {
    Ok(Shown(asked.site.db.ranking_weights().await?.into()))
}

async fn set_weights(asked: Asked<(), (), Body<WeightsInput>>) -> Result<Shown<WeightsView>> {
    let weights = asked.body.0.check(asked.caller.t())?;
    asked.site.db.set_ranking_weights(&weights).await?;
    asked.site.rebuild_chains().await?;
    Ok(Shown(weights.into()))
}

async fn names(asked: Asked<(), Query<PageQuery>>) -> Result<Shown<ModelNameList>> {
    let Query(query) = &asked.query;
    let names = asked.site.db.own_model_names().await?;
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let (names, next) = page.cut((0_u32..).zip(names), |(place, _)| *place)?;
    Ok(Shown(ModelNameList { items: names.iter().map(|(_, own)| ModelNameInput::of(own)).collect(), next }))
}

async fn join(asked: Asked<(), (), Body<ModelNameInput>>) -> Result<Created<ModelNameInput>> {
    let site = &asked.site;
    let own = asked.body.0.check(&site.catalog.providers().load(), asked.caller.t())?;
    site.db.join_model_name(&own).await?;
    site.rebuild_chains().await?;
    Ok(Created("/api/ranking/names".into(), ModelNameInput::of(&own)))
}

async fn part(asked: Asked<(), Query<NameQuery>>) -> Result<Gone> {
    let Query(query) = &asked.query;
    asked.site.db.part_model_name(&query.name, query.provider.as_deref()).await?;
    asked.site.rebuild_chains().await?;
    Ok(Gone)
}
