//! The index of chains.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    response::Response,
    routing::get,
};

use super::{ChainState, unserved};
use crate::{
    error::Result,
    i18n::Messages,
    model::{catalog::Catalog, chain::Chain, id::ChainId},
    web::{
        Site,
        admin::visit::{Chrome, Operator, Section, render},
        form::Fields,
    },
};

/// `/chains`.
pub(super) fn router() -> Router<Site> {
    Router::new().route("/chains", get(index))
}

#[derive(Template)]
#[template(path = "pages/chains/index.html")]
struct IndexPage {
    c: Chrome,
    filter: String,
    any: bool,
    rows: Vec<RowView>,
}

struct RowView {
    id: ChainId,
    name: String,
    class: &'static str,
    state: &'static str,
    steps: String,
    unserved: String,
}

impl RowView {
    fn of(chain: &Chain, catalog: &Catalog, t: &Messages) -> Self {
        let state = ChainState::of(chain, catalog);
        let models: Vec<&str> = chain.steps.iter().map(|step| step.model.as_str()).collect();
        let unserved = unserved(chain, catalog);
        Self {
            id: chain.id,
            name: chain.name.clone(),
            class: state.class(),
            state: state.label(t),
            steps: models.join(" → "),
            unserved: if unserved.is_empty() {
                String::new()
            } else {
                t.chains.unserved(&unserved.join(", "))
            },
        }
    }

    fn matches(&self, filter: &str) -> bool {
        [&self.name, &self.steps].iter().any(|text| text.to_lowercase().contains(filter))
    }
}

async fn index(
    State(catalog): State<Arc<Catalog>>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let t = operator.t();
    let filter = query.text("q").to_owned();
    let wanted = filter.to_lowercase();
    let rows = catalog.chains().map(|chain| RowView::of(chain, &catalog, &t));
    render(&IndexPage {
        c: operator.chrome(Section::Chains),
        any: catalog.chains().next().is_some(),
        rows: rows.filter(|row| row.matches(&wanted)).collect(),
        filter,
    })
}
