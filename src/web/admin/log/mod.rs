//! The usage log: the list of calls, one call, and the list as a file.

use axum::Router;

use crate::web::Site;

mod call;
pub mod csv;
mod list;
pub mod names;
mod query;
#[cfg(test)]
mod tests;
mod waterfall;

pub(in crate::web) use query::status_range;

/// `/log`, `/log.csv` and `/log/{request id}`.
pub fn router() -> Router<Site> {
    Router::new().merge(list::router()).merge(call::router()).merge(csv::router())
}
