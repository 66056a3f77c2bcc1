//! The pages of chains.

mod edit;
mod form;
mod index;

use axum::Router;

use crate::{
    i18n::Messages,
    model::{catalog::Catalog, chain::Chain},
    web::Site,
};

/// `/chains` and below.
pub fn router() -> Router<Site> {
    Router::new().merge(index::router()).merge(edit::router())
}

/// What is to be known of a chain at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChainState {
    On,
    Partly,
    Unserved,
    Off,
}

impl ChainState {
    fn of(chain: &Chain, catalog: &Catalog) -> Self {
        if !chain.enabled {
            Self::Off
        } else if catalog.resolved(chain.id).is_none() {
            Self::Unserved
        } else if unserved(chain, catalog).is_empty() {
            Self::On
        } else {
            Self::Partly
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::On => "ok",
            Self::Partly => "warn",
            Self::Unserved => "bad",
            Self::Off => "",
        }
    }

    fn label(self, t: &Messages) -> &'static str {
        match self {
            Self::On => t.chains.state_on(),
            Self::Partly => t.chains.state_partly(),
            Self::Unserved => t.chains.state_unserved(),
            Self::Off => t.chains.state_off(),
        }
    }
}

/// The models of a chain's steps that nobody serves now.
fn unserved<'a>(chain: &'a Chain, catalog: &Catalog) -> Vec<&'a str> {
    let models = chain.steps.iter().map(|step| step.model.as_str());
    models.filter(|model| !catalog.serves_step(&chain.name, model)).collect()
}
