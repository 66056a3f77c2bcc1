//! The pages of the ranking: managed chains with the reasons for their order, weights, and names of models.

mod chain;
mod names;
mod rows;
mod weights;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    error::Result,
    i18n::Messages,
    model::catalog::Catalog,
    ranking::chain::Purpose,
    selection::{Sources, rebuild},
    web::Site,
};

/// `/ranking` and below.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/ranking", get(chain::show))
        .route("/ranking/wishes", post(chain::save).get(chain::to_chain))
        .route("/ranking/pin", post(chain::pin).get(chain::to_chain))
        .route("/ranking/rebuild", post(chain::rebuild_now).get(chain::to_chain))
        .route("/ranking/weights", get(weights::show).post(weights::save))
        .route("/ranking/names", get(names::show).post(names::add))
        .route("/ranking/names/remove", post(names::remove).get(names::to_names))
}

/// One of the ranking's pages.
struct Tab {
    href: String,
    label: String,
    current: bool,
}

/// All of the ranking's pages: a managed chain has its name, the others are `weights` and `names`.
fn tabs(t: Messages, current: &str) -> Vec<Tab> {
    let chain = |purpose: &Purpose| {
        let name = purpose.as_str();
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("chain", name).finish();
        Tab { href: format!("/ranking?{query}"), label: name.to_owned(), current: name == current }
    };
    let other = |name: &str, label: &str| Tab {
        href: format!("/ranking/{name}"),
        label: label.to_owned(),
        current: name == current,
    };
    let others = [other("weights", t.ranking.weights()), other("names", t.ranking.names())];
    Purpose::ALL.iter().map(chain).chain(others).collect()
}

/// What a ranking is made from.
fn sources<'a>(site: &'a Site, catalog: &'a Catalog) -> Sources<'a> {
    Sources {
        db: &site.db,
        catalog,
        providers: site.catalog.providers(),
        dispatch: Some(&site.dispatch),
        now: site.clock.now(),
    }
}

/// Builds every managed chain anew, as after a change of what is wanted.
async fn rebuild_chains(site: &Site) -> Result<()> {
    let catalog = site.catalog.load();
    rebuild(sources(site, &catalog)).await?;
    Ok(site.catalog.reload().await?)
}

/// A part of a list: the items of the page, its number within bounds, and how many pages there are.
fn part<T>(items: Vec<T>, page: usize, size: usize) -> (Vec<T>, usize, usize) {
    let pages = items.len().div_ceil(size).max(1);
    let page = page.min(pages);
    (items.into_iter().skip((page - 1) * size).take(size).collect(), page, pages)
}

/// The links to the pages before and after this one; empty where there is none.
fn neighbours(page: usize, pages: usize, link: impl Fn(usize) -> String) -> (String, String) {
    let some = |is: bool, page: usize| if is { link(page) } else { String::new() };
    (some(page > 1, page.saturating_sub(1)), some(page < pages, page + 1))
}
