//! The route inspector: which candidates a call would try, in which order, and why not the others.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    dispatch::{Dispatch, Stage},
    model::{
        catalog::{Bar, Catalog, ChannelEntry, Route, Step},
        channel::Channel,
        key::Key,
        time::UnixMs,
        token::Token,
        usage::Endpoint,
    },
    scheduler::{limit::Cost, pool::Obstacle},
};

/// Why a call is refused before any candidate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// No channel that is on offers the model.
    UnknownModel,
    /// The token is switched off.
    TokenOff,
    /// The token has ended.
    TokenEnded,
    /// The model is not in the token's scope.
    ModelNotAllowed,
    /// The token may use none of the channels that offer the model.
    NoChannel,
    /// The token's quota counts dollars, and the model has no price where the token may use it.
    NoPrice,
}

/// Why a candidate is not tried now.
#[derive(Debug, Clone, PartialEq)]
pub enum Hurdle {
    /// Something in the pool stands in its way.
    Pool(Obstacle),
    /// The channel is switched off.
    ChannelOff,
    /// The channel has no key that is on.
    NoKeys,
    /// The key is switched off.
    KeyOff,
    /// The token may not use the channel.
    Bar(Bar),
    /// The channel does not offer the model.
    NotOffered,
}

/// A way that a call could take.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The place of its model among those that the name stands for, from 0.
    pub step: usize,
    /// Its place in the order in which candidates would be tried now, from 1.
    pub place: Option<usize>,
    /// The channel.
    pub channel: Arc<ChannelEntry>,
    /// The upstream's name of the model, if the channel offers it.
    pub upstream_model: Option<Arc<str>>,
    /// The key; `None` if it is about the channel as a whole.
    pub key: Option<Arc<Key>>,
    /// When it would be ready, as a time of day, if that is known.
    pub ready_at: Option<UnixMs>,
    /// Why it is not tried now.
    pub hurdle: Option<Hurdle>,
    /// It rests, and a call that nobody else can serve would try it all the same.
    pub last_resort: bool,
}

/// Where a call would go.
#[derive(Debug, Clone)]
pub struct RouteReport {
    /// The model's public names in the order in which they are tried; empty if it is unknown.
    pub steps: Vec<String>,
    /// Why the call is refused whatever the candidates are like; then none has a place.
    pub refused: Option<Refused>,
    /// First those that would be tried, in order, then the others.
    pub candidates: Vec<Candidate>,
}

/// Says for a chat call of this cost which candidates would be tried now. Without a token there is no scope to keep to.
pub fn explain(
    catalog: &Catalog,
    dispatch: &Dispatch,
    name: &str,
    token: Option<&Token>,
    cost: Cost,
) -> RouteReport {
    let steps = catalog.steps(name);
    let now = dispatch.now();
    let refused = refusal(steps, name, token, now.wall);
    let (mut ready, mut waiting, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let bar = |route: &Route| token.and_then(|token| route.bar(token));
    let stages: Vec<Stage<'_>> = steps
        .iter()
        .map(|step| Stage {
            routes: step.routes.iter().filter(|route| bar(route).is_none()).collect(),
            spill_ms: step.spill_ms,
        })
        .collect();
    let standings = {
        let mut pool = dispatch.lock();
        let plan = pool.plan(&stages, Endpoint::Chat);
        pool.explain(&plan, cost, now)
    };
    for standing in standings {
        let is_meant = |route: &&Route| {
            route.channel.channel.id == standing.channel && *route.upstream_model == *standing.model
        };
        // Two names may stand for one model of a channel; the first step that has it counts.
        let found = stages
            .iter()
            .enumerate()
            .find_map(|(step, stage)| Some((step, *stage.routes.iter().find(|route| is_meant(route))?)));
        let Some((step, route)) = found else { continue };
        let key = route.channel.keys.iter().find(|key| key.id == standing.key).cloned();
        let candidate = Candidate {
            step,
            place: None,
            channel: route.channel.clone(),
            upstream_model: Some(route.upstream_model.clone()),
            key,
            ready_at: standing.ready_at,
            hurdle: standing.obstacle.map(Hurdle::Pool),
            last_resort: standing.last_resort,
        };
        if candidate.hurdle.is_none() { ready.push(candidate) } else { waiting.push(candidate) }
    }
    for (step, model) in steps.iter().enumerate() {
        for route in &model.routes {
            let without = |key: Option<&Arc<Key>>, hurdle| Candidate {
                step,
                place: None,
                channel: route.channel.clone(),
                upstream_model: Some(route.upstream_model.clone()),
                key: key.cloned(),
                ready_at: None,
                hurdle: Some(hurdle),
                last_resort: false,
            };
            if let Some(bar) = bar(route) {
                out.push(without(None, Hurdle::Bar(bar)));
                continue;
            }
            let keys = &route.channel.keys;
            out.extend(keys.iter().filter(|key| !key.enabled).map(|key| without(Some(key), Hurdle::KeyOff)));
            if keys.is_empty() {
                out.push(without(None, Hurdle::NoKeys));
            }
        }
    }
    let offered = |entry: &ChannelEntry| {
        steps.iter().flat_map(|model| &model.routes).any(|route| route.channel.channel.id == entry.channel.id)
    };
    for entry in catalog.channels().filter(|entry| !offered(entry)) {
        let upstream_model = upstream_name(&entry.channel, name);
        let hurdle = if upstream_model.is_none() {
            Hurdle::NotOffered
        } else if !entry.channel.enabled {
            Hurdle::ChannelOff
        } else {
            continue;
        };
        let channel = entry.clone();
        let hurdle = Some(hurdle);
        out.push(Candidate {
            step: 0,
            place: None,
            channel,
            upstream_model,
            key: None,
            ready_at: None,
            hurdle,
            last_resort: false,
        });
    }
    if refused.is_none() {
        for (place, candidate) in (1..).zip(&mut ready) {
            candidate.place = Some(place);
        }
    }
    // What is nearest to being used stands first: keys that are off before channels that know nothing of the model.
    out.sort_by_key(|candidate| matches!(candidate.hurdle, Some(Hurdle::NotOffered)));
    ready.extend(waiting);
    ready.extend(out);
    RouteReport { steps: steps.iter().map(|step| step.model.clone()).collect(), refused, candidates: ready }
}

/// In the order in which the relay checks a call.
fn refusal(steps: &[Step], name: &str, token: Option<&Token>, now: UnixMs) -> Option<Refused> {
    if let Some(token) = token {
        if !token.enabled {
            return Some(Refused::TokenOff);
        }
        if token.expires_at.is_some_and(|end| end <= now) {
            return Some(Refused::TokenEnded);
        }
        if !token.allows_model(name) {
            return Some(Refused::ModelNotAllowed);
        }
    }
    if steps.is_empty() {
        return Some(Refused::UnknownModel);
    }
    let token = token?;
    let bars = || steps.iter().flat_map(|model| &model.routes).map(|route| route.bar(token));
    if bars().any(|bar| bar.is_none()) {
        None
    } else if bars().any(|bar| bar == Some(Bar::NoPrice)) {
        Some(Refused::NoPrice)
    } else {
        Some(Refused::NoChannel)
    }
}

/// The upstream's name behind a public one on a channel, whether that is on or not.
fn upstream_name(channel: &Channel, name: &str) -> Option<Arc<str>> {
    let name = name.to_lowercase();
    let own = channel.models.iter().find(|model| model.name.to_lowercase() == name);
    let redirect = || channel.redirects.iter().find(|redirect| redirect.public.to_lowercase() == name);
    own.map(|model| model.name.as_str())
        .or_else(|| redirect().map(|redirect| redirect.upstream.as_str()))
        .map(Arc::from)
}
