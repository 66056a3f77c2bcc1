//! What is left of limits, what the pool can do, and where calls go.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    channels,
    endpoint::{Asked, Endpoint, Query, Shown},
    keys,
    refusal::{Refusal, Result},
    rests::ScopeKind,
    shapes::{At, Page, PageQuery},
};
use crate::{
    i18n::Messages,
    inspect::{Candidate, Hurdle, Refused, RouteReport, Size, explain, of_model, of_pool},
    model::{
        catalog::Bar,
        id::{ChannelId, KeyId, TokenId},
        limit::{CalendarUnit, Metric, Source, Window},
    },
    scheduler::{
        gauge::Reading,
        limit::LimitScope,
        now::Now,
        pool::{Binding, Obstacle, Outlook},
    },
    web::{Site, limits},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/channels/{id}/gauges", "Show what is left of a channel's limits", of_channel)
            .about("Every limit that is known: of the channel as a whole, its models, quota groups and keys."),
        Endpoint::new(Method::GET, "/api/keys/{id}/gauges", "Show what is left of a key's limits", of_key)
            .about("Every known limit that calls with the key count for, also those that it shares."),
        Endpoint::new(Method::GET, "/api/capacity", "Show what the pool can do per minute and per day", capacity)
            .about(
                "Models of one key share its limits, so the figures of several models do not add up; `pool` has all of them \
                 together.",
            ),
        Endpoint::new(Method::GET, "/api/routes", "Say where a call would go, and why not elsewhere", routes)
            .about(
                "Which candidates a chat call for `model` would try now, in which order, and what stands in the way of the \
                 others. Nothing is sent. The token's own quota and rate are not looked at.",
            ),
    ]
}

/// Whom a limit or a rest holds for: its kind, and what names one of that kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Holder {
    /// The kind.
    kind: ScopeKind,
    /// The channel, unless it is a key.
    channel_id: Option<i64>,
    /// The key.
    key_id: Option<i64>,
    /// The quota group.
    group: Option<String>,
    /// The upstream's model.
    model: Option<String>,
    /// Of the key, the group or the channel only the upstream's models that fit these patterns, in which `*` stands for
    /// anything; none means all.
    models: Vec<String>,
}

impl Holder {
    fn of(scope: &LimitScope) -> Self {
        let holder = |kind, channel: Option<&ChannelId>, key: Option<&KeyId>| Self {
            kind,
            channel_id: channel.map(|id| id.0),
            key_id: key.map(|id| id.0),
            group: None,
            model: None,
            models: Vec::new(),
        };
        match scope {
            LimitScope::Channel(id) => holder(ScopeKind::Channel, Some(id), None),
            LimitScope::Key(id) => holder(ScopeKind::Key, None, Some(id)),
            LimitScope::Group(id, group) => {
                Self { group: Some(group.clone()), ..holder(ScopeKind::Group, Some(id), None) }
            }
            LimitScope::KeyModel(id, model) => {
                Self { model: Some(model.clone()), ..holder(ScopeKind::KeyModel, None, Some(id)) }
            }
            LimitScope::GroupModel(id, group, model) => Self {
                group: Some(group.clone()),
                model: Some(model.clone()),
                ..holder(ScopeKind::GroupModel, Some(id), None)
            },
            LimitScope::Model(id, model) => {
                Self { model: Some(model.clone()), ..holder(ScopeKind::ChannelModel, Some(id), None) }
            }
            LimitScope::Models(whole, models) => Self { models: models.0.clone(), ..Self::of(whole) },
        }
    }
}

/// How a limit comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// So much within any span of `ms`.
    Rolling,
    /// So much per hour of the provider's clock.
    CalendarHour,
    /// So much per day of the provider's calendar.
    CalendarDay,
    /// So much per month of the provider's calendar.
    CalendarMonth,
    /// A bucket that fills with the limit's amount per `ms`.
    Bucket,
    /// So much once, and nothing comes back.
    OneShot,
    /// So much at the same time.
    AtOnce,
}

/// When a limit comes back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Span {
    /// How.
    kind: SpanKind,
    /// The span, in milliseconds, of `rolling` and `bucket`.
    ms: Option<u64>,
    /// The provider's time zone, of a calendar.
    zone: Option<String>,
}

impl Span {
    fn of(window: &Window) -> Self {
        let span = |kind, ms| Self { kind, ms, zone: None };
        match window {
            Window::Rolling { ms } => span(SpanKind::Rolling, Some(*ms)),
            Window::Bucket { ms, .. } => span(SpanKind::Bucket, Some(*ms)),
            Window::OneShot => span(SpanKind::OneShot, None),
            Window::AtOnce => span(SpanKind::AtOnce, None),
            Window::Calendar { unit, zone, .. } => Self {
                zone: Some(zone.clone()),
                ..span(
                    match unit {
                        CalendarUnit::Hour => SpanKind::CalendarHour,
                        CalendarUnit::Day => SpanKind::CalendarDay,
                        CalendarUnit::Month => SpanKind::CalendarMonth,
                    },
                    None,
                )
            },
        }
    }
}

/// Where a limit is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KnownFrom {
    /// From refusals.
    Learned,
    /// From the provider's preset or the channel; refusals may teach that less is allowed.
    Declared,
    /// From an answer's headers.
    Header,
    /// From an error's body.
    ErrorBody,
    /// The operator insists.
    Operator,
}

/// A limit, and what is left of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GaugeView {
    /// Whom it holds for.
    holder: Holder,
    /// What is counted.
    metric: Metric,
    /// When it comes back.
    window: Span,
    /// How much is allowed, as far as known.
    max: u64,
    /// How much is used now, calls under way included. May be more than `max`.
    used: u64,
    /// How much is left.
    left: u64,
    /// When something comes back: the first of what was sent, or the end of the provider's day. Null if nothing is used,
    /// nothing comes back, or it flows in all the time.
    resets_at: Option<At>,
    /// Where it is known from.
    source: KnownFrom,
    /// How sure it is, from 0 to 100.
    confidence: u8,
}

impl GaugeView {
    fn of(scope: &LimitScope, reading: &Reading) -> Self {
        Self {
            holder: Holder::of(scope),
            metric: reading.metric,
            window: Span::of(&reading.window),
            max: reading.max,
            used: reading.used,
            left: reading.max.saturating_sub(reading.used),
            resets_at: reading.resets_at.map(At::from),
            source: match reading.source {
                Source::Learned => KnownFrom::Learned,
                Source::Declared => KnownFrom::Declared,
                Source::Header => KnownFrom::Header,
                Source::ErrorBody => KnownFrom::ErrorBody,
                Source::Operator => KnownFrom::Operator,
            },
            confidence: reading.confidence,
        }
    }
}

/// A page of limits.
#[derive(Debug, Serialize, ToSchema)]
pub struct GaugeList {
    /// The limits.
    items: Vec<GaugeView>,
    /// The `cursor` that goes on; null at the end. Limits that are learned between two answers may be missed or repeated.
    next: Option<String>,
}

fn gauges(
    site: &Site,
    channel: ChannelId,
    only: Option<KeyId>,
    query: &PageQuery,
) -> Result<Shown<GaugeList>> {
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let now = site.dispatch.now();
    let readings = site.dispatch.lock().readings_of_channel(channel, only, now);
    let (readings, next) = page.cut(readings.iter().zip(1_usize..), |(_, place)| *place)?;
    let items = readings.into_iter().map(|((scope, reading), _)| GaugeView::of(scope, reading)).collect();
    Ok(Shown(GaugeList { items, next }))
}

async fn of_channel(asked: Asked<ChannelId, Query<PageQuery>>) -> Result<Shown<GaugeList>> {
    let entry = channels::find(&asked.site.catalog.load(), asked.path)?;
    gauges(&asked.site, entry.channel.id, None, &asked.query.0)
}

async fn of_key(asked: Asked<KeyId, Query<PageQuery>>) -> Result<Shown<GaugeList>> {
    let (entry, key) = keys::find(&asked.site.catalog.load(), asked.path)?;
    gauges(&asked.site, entry.channel.id, Some(key.id), &asked.query.0)
}

/// Reads the size of a call; what is left out is usual.
fn size(prompt: Option<i64>, completion: Option<i64>) -> Result<Size> {
    let read = |name: &'static str, value: Option<i64>, usual: u32| match value {
        None => Ok(usual),
        Some(value) => u32::try_from(value)
            .ok()
            .filter(|value| *value <= Size::MAX)
            .ok_or_else(|| Refusal::at(name, "Give a whole number from 0 to 100000000.")),
    };
    Ok(Size {
        prompt: read("prompt_tokens", prompt, Size::USUAL.prompt)?,
        completion: read("completion_tokens", completion, Size::USUAL.completion)?,
    })
}

/// Which capacity to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CapacityQuery {
    /// Only this public model; letter case does not matter.
    model: Option<String>,
    /// Prompt tokens of a call.
    #[schema(minimum = 0, maximum = 100_000_000, default = 1000)]
    prompt_tokens: Option<i64>,
    /// Completion tokens of a call.
    #[schema(minimum = 0, maximum = 100_000_000, default = 500)]
    completion_tokens: Option<i64>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    cursor: Option<String>,
}

/// What the pool can do.
#[derive(Debug, Serialize, ToSchema)]
pub struct CapacityView {
    /// All models together.
    pool: OutlookView,
    /// Each public model, by name.
    items: Vec<ModelCapacity>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// What a public model can do.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelCapacity {
    /// Its name.
    model: String,
    /// What it can do.
    capacity: OutlookView,
    /// The limits that hold it back most, in a minute and in a day.
    binding: Vec<BindingView>,
}

/// How many calls can be served, and by whom.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutlookView {
    /// Keys that are on.
    keys: usize,
    /// Accounts that they belong to. Keys of one quota group are one account: they add nothing to its limits.
    accounts: usize,
    /// Keys of which nothing takes calls now.
    resting_keys: usize,
    /// Keys of whose limits nothing is known; what they can do is not in the figures.
    unknown_keys: usize,
    /// Calls per minute, if every key were healthy.
    per_minute: u64,
    /// Calls per day, if every key were healthy.
    per_day: u64,
    /// Calls in the next minute, as things are.
    next_minute: u64,
    /// Calls in the next 24 hours, as things are.
    next_day: u64,
}

impl OutlookView {
    fn of(outlook: &Outlook) -> Self {
        let calls = outlook.calls;
        Self {
            keys: outlook.keys,
            accounts: outlook.owners,
            resting_keys: outlook.resting,
            unknown_keys: outlook.unknown,
            per_minute: calls.per_minute,
            per_day: calls.per_day,
            next_minute: calls.next_minute,
            next_day: calls.next_day,
        }
    }
}

/// Limits of one kind that hold a model back.
#[derive(Debug, Serialize, ToSchema)]
pub struct BindingView {
    /// The kind of what each holds for.
    per: ScopeKind,
    /// What is counted.
    metric: Metric,
    /// When it comes back.
    window: Span,
    /// How much each allows.
    max: u64,
    /// How many of them there are.
    limits: usize,
}

impl BindingView {
    fn of(binding: &Binding) -> Self {
        Self {
            per: Holder::of(&binding.scope).kind,
            metric: binding.metric,
            window: Span::of(&binding.window),
            max: binding.max,
            limits: binding.limits,
        }
    }
}

impl CapacityView {
    /// What all models together and these can do.
    pub fn of<'a>(
        pool: &Outlook,
        models: impl Iterator<Item = (&'a str, &'a Outlook)>,
        next: Option<String>,
    ) -> Self {
        let items = models.map(|(name, outlook)| ModelCapacity {
            model: name.to_owned(),
            capacity: OutlookView::of(outlook),
            binding: outlook.binding.iter().map(BindingView::of).collect(),
        });
        Self { pool: OutlookView::of(pool), items: items.collect(), next }
    }
}

async fn capacity(asked: Asked<(), Query<CapacityQuery>>) -> Result<Shown<CapacityView>> {
    let query = &asked.query.0;
    let cost = size(query.prompt_tokens, query.completion_tokens)?.cost();
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let catalog = asked.site.catalog.load();
    let only = query.model.as_ref().map(|name| name.to_lowercase());
    let wanted =
        catalog.models().filter(|model| only.as_ref().is_none_or(|name| *name == model.name.to_lowercase()));
    let (models, next) = page.cut(wanted, |model| model.name.to_lowercase())?;
    let outlooks: Vec<(&str, Outlook)> = models
        .into_iter()
        .map(|model| (model.name.as_str(), of_model(&asked.site.dispatch, model, cost)))
        .collect();
    let pool = of_pool(&catalog, &asked.site.dispatch, cost);
    Ok(Shown(CapacityView::of(&pool, outlooks.iter().map(|(name, outlook)| (*name, outlook)), next)))
}

/// Which call to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutesQuery {
    /// The model as a client names it; letter case does not matter.
    model: String,
    /// The id of the token that the client presents; left out: every channel may be used.
    token: Option<i64>,
    /// Prompt tokens of the call.
    #[schema(minimum = 0, maximum = 100_000_000, default = 1000)]
    prompt_tokens: Option<i64>,
    /// Completion tokens of the call.
    #[schema(minimum = 0, maximum = 100_000_000, default = 500)]
    completion_tokens: Option<i64>,
}

/// Why a candidate is not tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HurdleKind {
    /// It rests after a bad answer.
    Resting,
    /// An operator has paused it.
    Paused,
    /// A limit is used up.
    Limit,
    /// Answers to the calls under way are waited for.
    Answers,
    /// The call is larger than a limit allows at all.
    TooLarge,
    /// The channel is switched off.
    ChannelOff,
    /// The channel has no key.
    NoKeys,
    /// The key is switched off.
    KeyOff,
    /// The token may not use the channel.
    Group,
    /// The token's quota counts dollars, and the model has no price there.
    NoPrice,
    /// The channel does not offer the model.
    NotOffered,
}

/// What stands in a candidate's way.
#[derive(Debug, Serialize, ToSchema)]
pub struct HurdleView {
    /// The kind.
    kind: HurdleKind,
    /// Whom it holds for, if it is about less than the candidate's channel or key as they are configured.
    holder: Option<Holder>,
    /// The limit, of `limit` and `too_large`.
    limit: Option<GaugeView>,
    /// Why it rests, of `resting` and `paused`.
    rest: Option<keys::RestView>,
    /// The same in words.
    message: String,
}

/// A way that a call could take.
#[derive(Debug, Serialize, ToSchema)]
pub struct RouteCandidate {
    /// Its place in the order in which candidates would be tried now, from 1; null if it would not be.
    place: Option<usize>,
    /// The place of its model among those that the name stands for, from 1.
    step: usize,
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The channel's priority: higher ones are tried first.
    priority: i64,
    /// The upstream's name of the model, if the channel offers it.
    upstream_model: Option<String>,
    /// The key; null if it is about the channel as a whole.
    key_id: Option<i64>,
    /// When it will be ready, if that is known.
    ready_at: Option<At>,
    /// Why it is not tried now.
    hurdle: Option<HurdleView>,
    /// Whether it rests, and a call that nobody else can serve would try it all the same.
    last_resort: bool,
}

/// Where a call would go.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoutesView {
    /// The public models that the name stands for, in the order in which they are tried.
    steps: Vec<String>,
    /// Why the call is refused whatever the candidates are like; then none has a place.
    refused: Option<Refused>,
    /// First those that would be tried, in order; then those that are not ready, the soonest first; then the others.
    candidates: Vec<RouteCandidate>,
}

async fn routes(asked: Asked<(), Query<RoutesQuery>>) -> Result<Shown<RoutesView>> {
    let query = &asked.query.0;
    let cost = size(query.prompt_tokens, query.completion_tokens)?.cost();
    let site = &asked.site;
    let catalog = site.catalog.load();
    let token = match query.token {
        None => None,
        Some(id) => {
            Some(catalog.token(TokenId(id)).ok_or_else(|| Refusal::at("token", "There is no such token."))?)
        }
    };
    let now = site.dispatch.now();
    let report = explain(&catalog, &site.dispatch, &query.model, token.map(|token| &**token), cost);
    Ok(Shown(RoutesView::of(&report, asked.caller.t(), now)))
}

impl RoutesView {
    /// A report, with sentences in a language.
    pub fn of(report: &RouteReport, t: Messages, now: Now) -> Self {
        let view = |candidate: &Candidate| RouteCandidate {
            place: candidate.place,
            step: candidate.step + 1,
            channel_id: candidate.channel.channel.id.0,
            channel: candidate.channel.channel.name.clone(),
            priority: candidate.channel.channel.priority,
            upstream_model: candidate.upstream_model.as_deref().map(str::to_owned),
            key_id: candidate.key.as_ref().map(|key| key.id.0),
            ready_at: candidate.ready_at.map(At::from),
            hurdle: candidate.hurdle.as_ref().map(|hurdle| {
                let (kind, holder, limit, rest) = parts(hurdle, now);
                let message = limits::of_candidate(t, hurdle, candidate.last_resort, |id| format!("#{id}"));
                HurdleView { kind, holder, limit, rest, message }
            }),
            last_resort: candidate.last_resort,
        };
        Self {
            steps: report.steps.clone(),
            refused: report.refused,
            candidates: report.candidates.iter().map(view).collect(),
        }
    }
}

type Parts = (HurdleKind, Option<Holder>, Option<GaugeView>, Option<keys::RestView>);

fn parts(hurdle: &Hurdle, now: Now) -> Parts {
    let plain = |kind| (kind, None, None, None);
    let of_limit = |kind, scope: &LimitScope, reading: &Reading| {
        (kind, Some(Holder::of(scope)), Some(GaugeView::of(scope, reading)), None)
    };
    match hurdle {
        Hurdle::Pool(Obstacle::Rest { scope, rest }) => {
            let kind = if rest.is_pause() { HurdleKind::Paused } else { HurdleKind::Resting };
            (kind, Some(Holder::of(scope)), None, Some(keys::RestView::of(rest, now)))
        }
        Hurdle::Pool(Obstacle::Limit { scope, reading }) => of_limit(HurdleKind::Limit, scope, reading),
        Hurdle::Pool(Obstacle::TooLarge { scope, reading }) => of_limit(HurdleKind::TooLarge, scope, reading),
        Hurdle::Pool(Obstacle::Answers { scope }) => {
            (HurdleKind::Answers, Some(Holder::of(scope)), None, None)
        }
        Hurdle::ChannelOff => plain(HurdleKind::ChannelOff),
        Hurdle::NoKeys => plain(HurdleKind::NoKeys),
        Hurdle::KeyOff => plain(HurdleKind::KeyOff),
        Hurdle::Bar(Bar::Group) => plain(HurdleKind::Group),
        Hurdle::Bar(Bar::NoPrice) => plain(HurdleKind::NoPrice),
        Hurdle::NotOffered => plain(HurdleKind::NotOffered),
    }
}
