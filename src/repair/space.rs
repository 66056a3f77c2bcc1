//! Step 6: rows whose time is over, the database's log, room that can be given back, and drafts that a kill has left.

use std::{fs, path::PathBuf, time::Duration};

use super::{Notes, Place, Side, bytes, machine, write_ahead_log};
use crate::{
    jobs::retention,
    model::time::UnixMs,
    storage::{StorageResult, backup::is_own_draft},
};

const DAY: Duration = Duration::from_secs(86_400);
/// Less than this is not worth giving back: it is used again soon.
const LEAST_FREE: u64 = 8 << 20;
/// How long room is given back in one go; the rest comes the next time.
const LONGEST_SHRINK: Duration = Duration::from_secs(30);
/// A log beyond this is worth a word: it is emptied by itself when nobody reads for long.
const LARGE_LOG: u64 = 64 << 20;
/// A backup is given up after an hour, so an older draft is one of a process that was killed.
const OLD_DRAFT: Duration = Duration::from_secs(2 * 3600);

/// Makes room.
pub async fn make(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    rows(place, notes).await?;
    drafts(place, notes);
    room(place, notes).await?;
    log(place, notes).await
}

async fn rows(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let (now, days) = (place.clock.now(), place.catalog.load().settings.retention_days);
    if let Side::Beside(_) = place.side {
        // The server may have been started with another retention than this process knows of.
        const NAME: &str = "RETENTION_DAYS";
        let is_set = place.config.fixed(NAME).is_some() || place.db.settings().await?.contains_key(NAME);
        if place.is_served() || !is_set {
            notes.skipped("rows_are_the_servers", |t| t.rows_are_the_servers());
            return Ok(());
        }
    }
    if notes.dry_run {
        let old = place.db.count_usage_before(now - DAY * days).await?;
        if old > 0 {
            notes.would_fix("rows_old", |t| t.rows_old(old, days));
        } else {
            notes.ok("no_old_rows", |t| t.no_old_rows(days));
        }
        return Ok(());
    }
    let deleted = retention::run_once(&place.db, now, &place.config.zone, days).await?;
    if deleted == retention::Deleted::default() {
        notes.ok("no_old_rows", |t| t.no_old_rows(days));
    } else {
        let others = deleted.sessions + deleted.token_values;
        notes.fixed("rows_deleted", |t| t.rows_deleted(deleted.usage_rows, days, others));
    }
    Ok(())
}

/// Drafts of backups that this program named itself and that nobody writes any more.
fn drafts(place: &Place, notes: &mut Notes<'_>) {
    let old: Vec<(PathBuf, u64)> = fs::read_dir(place.folder.backups())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_own_draft))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            let at = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            let age = place.clock.now().since(UnixMs(i64::try_from(at.as_millis()).ok()?));
            (age > OLD_DRAFT).then(|| (entry.path(), metadata.len()))
        })
        .collect();
    let (count, size) = (old.len(), old.iter().map(|(_, size)| size).sum::<u64>());
    if count == 0 {
        notes.ok("no_leftovers", |t| t.no_leftovers());
    } else if notes.dry_run {
        notes.would_fix("leftovers", |t| t.leftovers(count, &bytes(size)));
    } else {
        let failed: Vec<String> = old
            .iter()
            .filter_map(|(path, _)| Some(format!("{}: {}", path.display(), fs::remove_file(path).err()?)))
            .collect();
        match failed.first() {
            None => notes.fixed("leftovers_deleted", |t| t.leftovers_deleted(count, &bytes(size))),
            Some(first) => notes.needs_you(
                "leftovers_stay",
                |t| t.leftovers_stay(first),
                |t| t.folder_read_only_remedy(),
            ),
        }
    }
}

async fn room(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let space = place.db.space().await?;
    if space.free_bytes < LEAST_FREE {
        notes.ok("file_dense", |t| t.file_dense(&bytes(space.bytes)));
    } else if space.can_shrink && notes.dry_run {
        notes.would_fix("room_free", |t| t.room_free(&bytes(space.free_bytes)));
    } else if space.can_shrink {
        let given = place.db.shrink(LONGEST_SHRINK).await?;
        notes.fixed("room_given_back", |t| t.room_given_back(&bytes(given)));
    } else if place.is_served() {
        // The file has to be written anew once, and that keeps every call's record waiting.
        notes.skipped("room_needs_stop", |t| t.room_needs_stop(&bytes(space.free_bytes)));
    } else if notes.dry_run {
        notes.would_fix("room_free", |t| t.room_free(&bytes(space.free_bytes)));
    } else {
        rewrite(place, notes, space.bytes).await?;
    }
    Ok(())
}

/// Writes the file anew while this process holds the folder, so that no server starts meanwhile.
async fn rewrite(place: &Place, notes: &mut Notes<'_>, size: u64) -> StorageResult<()> {
    let free = machine::room(place.folder.path()).map_or(0, |room| room.free);
    if free < size.saturating_mul(2) {
        notes.skipped("no_room_to_rewrite", |t| t.no_room_to_rewrite(&bytes(free)));
        return Ok(());
    }
    match place.folder.lock() {
        Err(_) => notes.skipped("room_needs_stop", |t| t.room_needs_stop(&bytes(0))),
        Ok(lock) => {
            let given = place.db.rewrite().await?;
            drop(lock);
            notes.fixed("room_given_back", |t| t.room_given_back(&bytes(given)));
        }
    }
    Ok(())
}

async fn log(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let size = fs::metadata(write_ahead_log(place)).map_or(0, |metadata| metadata.len());
    if notes.dry_run {
        if size > LARGE_LOG {
            notes.would_fix("log_large", |t| t.log_large(&bytes(size)));
        } else {
            notes.ok("log_small", |t| t.log_small(&bytes(size)));
        }
        return Ok(());
    }
    let checkpoint = place.db.checkpoint().await?;
    if checkpoint.emptied {
        notes.fixed("log_emptied", |t| t.log_emptied(&bytes(size)));
    } else {
        notes.ok("log_copied", |t| t.log_copied(checkpoint.copied, checkpoint.pages));
    }
    Ok(())
}
