//! Which endpoints a public model is known to be served on.

use super::{Relay, job::Serves};
use crate::model::{catalog::PublicModel, endpoint::Endpoint, token::Token};

/// The endpoints of a public model, for a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// Those on which a route serves it, by what is known.
    pub endpoints: Vec<Endpoint>,
    /// Whether an operator or a list names the endpoints of every route; else some of them are what channels usually serve.
    pub said: bool,
}

impl Relay {
    /// Where calls to a public model would be served, in the order of [`Endpoint::ALL`].
    pub fn served(&self, model: &PublicModel, token: &Token) -> Served {
        let routes = || model.routes.iter().filter(|route| route.bar(token).is_none());
        let serves = |endpoint: &Endpoint| routes().any(|route| self.serves(route, *endpoint) == Serves::Yes);
        Served {
            endpoints: Endpoint::ALL.iter().copied().filter(serves).collect(),
            said: routes().all(|route| {
                !route.model.endpoints.is_unset() || !route.channel.channel.endpoints.is_unset()
            }),
        }
    }
}
