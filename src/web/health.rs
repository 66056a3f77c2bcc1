//! `/healthz` and `/readyz`, for supervisors and load balancers.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};

use super::{Site, listen::Drain};
use crate::storage::Db;

/// A database that needs longer than this to count one row is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process is alive. `GET /readyz`: it takes calls; 503 while it drains or its database fails.
pub fn router(site: Site) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(site)
}

async fn ready(State(db): State<Db>, State(drain): State<Drain>) -> impl IntoResponse {
    if drain.started.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match tokio::time::timeout(PATIENCE, db.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, "ok\n"),
        Ok(Err(error)) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database fails; see the log\n")
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer in time\n"),
    }
}
