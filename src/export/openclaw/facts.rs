//! What is known of a public model, as OpenClaw should know it.

use crate::{
    model::{
        catalog::{PublicModel, Route},
        channel::Price,
        endpoint::Endpoint,
        fix::{EffortWords, Fix},
        openclaw_export::RecordedModel,
        token::Token,
    },
    provider::{Provider, Providers, listing::Modality},
};

/// A smaller context window does not hold OpenClaw's own instructions and a conversation. A channel with such a window does
/// not limit a model that others serve with a larger one: no call that is too long for it goes there.
const SMALLEST_USEFUL_WINDOW: u32 = 16_000;

/// A model as OpenClaw should know it. What is unknown is left out, and OpenClaw's own default holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportModel {
    /// What to ask for, and what OpenClaw shows.
    pub id: String,
    /// Context window in tokens.
    pub context_window: Option<u32>,
    /// Largest answer in tokens.
    pub max_output: Option<u32>,
    /// Whether it reads images.
    pub vision: bool,
    /// Whether it reasons.
    pub reasoning: bool,
    /// Whether OpenClaw's `reasoning_effort` reaches every upstream in words that it understands.
    pub effort: bool,
    /// Whether nobody that serves it can call tools.
    pub no_tools: bool,
    /// Its price.
    pub price: Option<Price>,
}

/// What is known of a route's model: what the catalog says, else what the provider's file does.
struct Known {
    context_window: Option<u32>,
    max_output: Option<u32>,
    vision: Option<bool>,
    tools: Option<bool>,
    reasoning: Option<bool>,
    effort: bool,
    price: Option<Price>,
}

impl Known {
    fn of(route: &Route, provider: &Provider) -> Self {
        let own = &route.model;
        let listed = provider.models.iter().find(|model| *model.id == *route.upstream_model);
        let input = listed.and_then(|model| model.input.as_ref());
        Self {
            context_window: own.context_window.or(listed.and_then(|model| model.context_window)),
            max_output: own.max_output.or(listed.and_then(|model| model.output_limit)),
            vision: own.vision.or(input.map(|input| input.contains(&Modality::Image))),
            tools: own.tools.or(listed.and_then(|model| model.tools)),
            reasoning: own.reasoning.or(listed.and_then(|model| model.reasoning)),
            effort: says_effort(route, provider),
            price: own.price,
        }
    }
}

/// Whether a fix says `reasoning_effort` in the words of the route's upstream. Without one it would go out as it came, and
/// nobody knows which values the upstream takes.
fn says_effort(route: &Route, provider: &Provider) -> bool {
    let switches = &route.channel.channel.shaping.fixes;
    provider
        .fixes_for(&route.upstream_model, Endpoint::Chat, true, switches)
        .any(|rule| matches!(&rule.fix, Fix::Effort(effort) if effort.to != EffortWords::Nothing))
}

/// The routes of a model that a token may use.
pub(super) fn usable<'a>(model: &'a PublicModel, token: &'a Token) -> impl Iterator<Item = &'a Route> {
    model.routes.iter().filter(|route| token.allows_groups(&route.channel.channel.groups))
}

/// Whether a call of chat goes to a route: unless its operator or its list says otherwise.
pub(super) fn chats(route: &Route) -> bool {
    let said = [route.model.endpoints, route.channel.channel.endpoints];
    said.into_iter().find(|said| !said.is_unset()).is_none_or(|said| said.contains(Endpoint::Chat))
}

/// Whether a route's model is known to serve an endpoint.
pub(super) fn serves(route: &Route, endpoint: Endpoint, providers: &Providers) -> bool {
    let channel = &route.channel.channel;
    let said = [route.model.endpoints, channel.endpoints].into_iter().find(|said| !said.is_unset());
    match said {
        Some(said) => said.contains(endpoint),
        None => endpoint.shape().usual || providers.of(&channel.provider).endpoints.contains(endpoint),
    }
}

impl ExportModel {
    /// What holds for a public model whichever of a token's routes serves it: the smallest known window and answer, an
    /// ability only if every route is known to have it, the highest price.
    pub fn of(model: &PublicModel, token: &Token, providers: &Providers) -> Self {
        let known: Vec<Known> = usable(model, token)
            .filter(|route| chats(route))
            .map(|route| Known::of(route, providers.of(&route.channel.channel.provider)))
            .collect();
        let every = |able: fn(&Known) -> bool| !known.is_empty() && known.iter().all(able);
        let windows = || known.iter().filter_map(|route| route.context_window).filter(|window| *window > 0);
        let useful = windows().filter(|window| *window >= SMALLEST_USEFUL_WINDOW).min();
        let reasoning = every(|route| route.reasoning == Some(true));
        Self {
            id: model.name.clone(),
            context_window: useful.or_else(|| windows().max()),
            max_output: known.iter().filter_map(|route| route.max_output).filter(|most| *most > 0).min(),
            vision: every(|route| route.vision == Some(true)),
            reasoning,
            effort: reasoning && every(|route| route.effort),
            no_tools: every(|route| route.tools == Some(false)),
            price: known
                .iter()
                .filter_map(|route| route.price)
                .max_by_key(|price| price.input.saturating_add(price.output)),
        }
    }

    /// What is remembered of it.
    pub(super) fn record(&self) -> RecordedModel {
        RecordedModel {
            id: self.id.clone(),
            context_window: self.context_window,
            max_output: self.max_output,
            vision: self.vision,
            reasoning: self.reasoning,
            price: self.price.map(|price| (price.input, price.output)),
        }
    }
}
