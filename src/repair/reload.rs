//! Step 7: everything is read anew, and OpenClaw's gateway restarts if that was asked for.

use super::{Notes, Options, Place, Side, openclaw};
use crate::{
    pool::upkeep::Wish,
    storage::{StorageError, StorageResult},
};

/// Reads channels, keys, chains, settings and the files of providers anew.
pub async fn reload(place: &Place, options: &Options, notes: &mut Notes<'_>) -> StorageResult<()> {
    if notes.dry_run {
        notes.skipped("not_reloaded", |t| t.not_reloaded());
    } else {
        match &place.side {
            Side::Server(_) => {
                let providers = place.catalog.providers().clone();
                let changed = tokio::task::spawn_blocking(move || providers.follow()).await.unwrap_or(false);
                if changed {
                    place.catalog.providers_changed().await;
                }
                place.catalog.reload().await?;
                reloaded(place, notes);
            }
            Side::Beside(_) if place.is_served() => {
                // Any wish makes the server read everything anew; this one does nothing else that was not done.
                let word = format!("reload-{}", std::process::id());
                let wish = serde_json::to_string(&Wish::Sweep { sweep: word })
                    .map_err(|error| StorageError::Unreadable(error.to_string()))?;
                place.db.leave_wish(&wish).await?;
                notes.ok("reload_asked", |t| t.reload_asked());
            }
            Side::Beside(_) => {
                place.catalog.reload().await?;
                reloaded(place, notes);
            }
        }
    }
    if options.restart_openclaw {
        openclaw::restart(notes).await;
    }
    Ok(())
}

fn reloaded(place: &Place, notes: &mut Notes<'_>) {
    let catalog = place.catalog.load();
    let keys = catalog.channels().map(|entry| entry.keys.len()).sum();
    let (channels, models) = (catalog.channels().count(), catalog.models().count());
    notes.ok("reloaded", |t| t.reloaded(channels, keys, models));
}
