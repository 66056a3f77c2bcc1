//! Follows what commands and operators change in the data folder while the server runs.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    scheduler::ledger::Ledger,
    storage::{Db, StorageResult, catalog::CatalogStore},
};

/// How often the version counter is read: one row, a few microseconds. A command's change counts within a second.
const EVERY: Duration = Duration::from_millis(400);

/// Reads the version counter and looks at the provider files for ever; when somebody has changed something, builds a new
/// catalog and ends the rests that a command wants to be ended. A database that does not answer is tried again; what the server knows stays in force.
pub async fn run(db: Db, catalog: CatalogStore, ledger: Arc<Mutex<Ledger>>, stopping: CancellationToken) {
    // What was asked for while no server ran is done first.
    let mut changed = true;
    let mut failed = false;
    loop {
        let providers = catalog.providers().clone();
        // Listing a folder takes microseconds, but it may be on a network.
        if tokio::task::spawn_blocking(move || providers.follow()).await.is_err() {
            tracing::error!("looking for changed provider files panicked");
        }
        match follow(&db, &catalog, &ledger, changed).await {
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

async fn follow(db: &Db, catalog: &CatalogStore, ledger: &Mutex<Ledger>, changed: bool) -> StorageResult<()> {
    if catalog.follow().await? || changed {
        let scopes = db.take_retries().await?;
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for scope in scopes.iter().filter_map(|scope| serde_json::from_str(scope).ok()) {
            ledger.rests_mut().clear(&scope);
        }
    }
    Ok(())
}
