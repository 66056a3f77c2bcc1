//! The usage log: the list of calls, those of now, one call, the list as a file, and the turns of agents.

use axum::Router;

use crate::web::Site;

mod call;
pub mod csv;
mod filters;
mod list;
mod live;
mod look;
pub mod names;
pub(in crate::web) mod query;
#[cfg(test)]
mod tests;
mod turns;
mod waterfall;

pub(in crate::web) use query::status_range;
pub(in crate::web) use waterfall::class_style;

/// `/log`, `/log/live`, `/log.csv`, `/log/{request id}` and `/log/turns`.
pub fn router() -> Router<Site> {
    Router::new()
        .merge(list::router())
        .merge(live::router())
        .merge(call::router())
        .merge(csv::router())
        .merge(turns::router())
}
