//! Follows what commands change in the data folder while the server runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    dispatch::Dispatch,
    storage::{Db, StorageResult, catalog::CatalogStore},
};

/// How often the version counter is read: one row, a few microseconds. A command's change counts within a second.
const EVERY: Duration = Duration::from_millis(400);

/// Reads the version counter for ever; when somebody has changed something, builds a new catalog and ends the rests that
/// a command wants to be ended. A database that does not answer is tried again; what the server knows stays in force.
pub async fn run(db: Db, catalog: CatalogStore, dispatch: Dispatch, stopping: CancellationToken) {
    // What was asked for while no server ran is done first.
    let mut changed = true;
    let mut failed = false;
    loop {
        match follow(&db, &catalog, &dispatch, changed).await {
            Ok(()) => (changed, failed) = (false, false),
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "cannot see whether a command has changed something; trying again");
                }
                (changed, failed) = (true, true);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn follow(db: &Db, catalog: &CatalogStore, dispatch: &Dispatch, changed: bool) -> StorageResult<()> {
    if catalog.follow().await? || changed {
        let scopes = db.take_retries().await?;
        let mut pool = dispatch.lock();
        for scope in scopes.iter().filter_map(|scope| serde_json::from_str(scope).ok()) {
            pool.rests_mut().clear(&scope);
        }
    }
    Ok(())
}
