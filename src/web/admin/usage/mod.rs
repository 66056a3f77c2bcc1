//! The usage explorer: a metric per token, channel, key, model and more, over a period, as a drawing, a table and files.

use axum::Router;

use crate::web::Site;

pub mod chart;
pub mod csv;
pub mod explore;
pub mod figures;
pub mod metric;
mod page;
pub mod period;
pub mod query;
mod row;
#[cfg(test)]
mod tests;

/// `/usage` and `/usage.csv`.
pub fn router() -> Router<Site> {
    Router::new().merge(page::router()).merge(csv::router())
}
