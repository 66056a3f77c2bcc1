//! What clients are told of a public model: what holds whichever of its routes serves a call.

use super::{PublicModel, Route};
use crate::model::{channel::Price, token::Token};

/// What is known of a public model, for a token; `None` is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Context window in tokens: the smallest known one.
    pub context_window: Option<u32>,
    /// Largest answer in tokens: the smallest known one.
    pub max_output: Option<u32>,
    /// Whether it reads images.
    pub vision: Option<bool>,
    /// Whether it calls tools.
    pub tools: Option<bool>,
    /// Whether it reasons.
    pub reasoning: Option<bool>,
    /// The highest price.
    pub price: Option<Price>,
}

impl PublicModel {
    /// What the token is offered under this name. An ability counts as there if every route that the token may use has it,
    /// and as missing if one is known to lack it.
    pub fn offer(&self, token: &Token) -> Offer {
        let routes: Vec<&Route> = self.routes.iter().filter(|route| route.bar(token).is_none()).collect();
        let able = |ability: fn(&Route) -> Option<bool>| {
            let known: Vec<Option<bool>> = routes.iter().map(|route| ability(route)).collect();
            match () {
                () if known.contains(&Some(false)) => Some(false),
                () if known.is_empty() || known.contains(&None) => None,
                () => Some(true),
            }
        };
        Offer {
            context_window: routes.iter().filter_map(|route| route.model.context_window).min(),
            max_output: routes.iter().filter_map(|route| route.model.max_output).min(),
            vision: able(|route| route.model.vision),
            tools: able(|route| route.model.tools),
            reasoning: able(|route| route.model.reasoning),
            price: routes
                .iter()
                .filter_map(|route| route.model.price)
                .max_by_key(|price| price.input.saturating_add(price.output)),
        }
    }
}
