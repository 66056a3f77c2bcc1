//! `/health`: how channels, keys and models do, by real traffic; with tabs for repairs and for diagnostics.

mod bars;
mod diagnostics;
mod repair;
mod show;
pub mod standing;

use axum::Router;

pub use diagnostics::Diagnostics;
pub(in crate::web) use diagnostics::{STREAM_TEST_PATH, stream_test};

use crate::{i18n::Messages, web::Site};

/// `/health` and everything below it.
pub fn router() -> Router<Site> {
    show::router().merge(repair::router()).merge(diagnostics::router())
}

/// A tab of the page.
struct Tab {
    href: &'static str,
    label: &'static str,
    current: bool,
}

/// The tabs of the page, of which one is shown.
fn tabs(t: Messages, current: &str) -> Vec<Tab> {
    [
        ("/health", t.health.tab_traffic()),
        ("/health/repair", t.health.tab_repair()),
        ("/health/diagnostics", t.health.tab_diagnostics()),
    ]
    .into_iter()
    .map(|(href, label)| Tab { href, label, current: href == current })
    .collect()
}
