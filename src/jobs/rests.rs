//! Saves what rests, so that a restart does not send calls to keys that are known to be bad.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    model::time::Clock,
    scheduler::ledger::Ledger,
    storage::{Db, StorageResult},
};

/// How often changes are looked for. A crash forgets the rests of this long, which costs a call or two to learn again.
const EVERY: Duration = Duration::from_secs(1);

/// Takes over what an earlier run saved; what no longer reads back is left out.
pub async fn restore(db: &Db, ledger: &Mutex<Ledger>) -> StorageResult<()> {
    let saved = db.load_rests().await?;
    let rests = saved.iter().filter_map(|(scope, rest)| {
        Some((serde_json::from_str(scope).ok()?, serde_json::from_str(rest).ok()?))
    });
    ledger.lock().unwrap_or_else(PoisonError::into_inner).rests_mut().restore(rests);
    Ok(())
}

/// Saves the rests whenever they have changed, and once more at the end.
pub async fn run(db: Db, ledger: Arc<Mutex<Ledger>>, clock: Clock, stopping: CancellationToken) {
    let mut saved_changes = 0;
    loop {
        let stop = tokio::select! {
            () = tokio::time::sleep(EVERY) => false,
            () = stopping.cancelled() => true,
        };
        let (changes, rests) = {
            let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let book = ledger.rests_mut();
            if book.changes() == saved_changes {
                (saved_changes, None)
            } else {
                (book.changes(), Some(book.snapshot(clock.now())))
            }
        };
        if let Some(rests) = rests {
            let rows: Vec<(String, String)> = rests
                .iter()
                .filter_map(|(scope, rest)| {
                    Some((serde_json::to_string(scope).ok()?, serde_json::to_string(rest).ok()?))
                })
                .collect();
            match db.save_rests(&rows).await {
                Ok(()) => saved_changes = changes,
                Err(error) => tracing::warn!(%error, "could not save what rests; trying again"),
            }
        }
        if stop {
            return;
        }
    }
}
