//! Step 4: what holds something for too long: calls, background tasks, rests, wishes of commands, backups that do not
//! come, and OpenClaw's sessions.

use std::{fs, time::Duration};

use super::{Notes, Options, Place, Side, openclaw};
use crate::{
    jobs::vitals::{LONGEST_CALL, STALE, Vitals},
    model::time::UnixMs,
    pool::upkeep::{Wish, concerns_channel},
    scheduler::rest::{RestBook, Scope},
    storage::{StorageError, StorageResult},
};

/// How long the server may take to do what a command asks for.
const SWEEP: Duration = Duration::from_secs(4);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// No rest and no pause lasts longer than a month; a later end comes from a clock that was wrong.
const LONGEST_REST: Duration = Duration::from_secs(62 * 86_400);

/// Releases what is stuck, and tells what it cannot release.
pub async fn release(place: &Place, options: &Options, notes: &mut Notes<'_>) -> StorageResult<()> {
    match &place.side {
        Side::Server(signs) => {
            if !notes.dry_run {
                let released = place.dispatch.release_stuck(LONGEST_CALL).len();
                told_released(notes, released);
            }
            vitals(notes, &Vitals::of(&place.dispatch, signs), notes.dry_run);
        }
        Side::Beside(_) if !place.is_served() => {
            notes.skipped("no_server", |t| t.stuck_no_server());
        }
        Side::Beside(_) => beside(place, notes).await?,
    }
    rests(place, notes).await?;
    backups(place, notes);
    openclaw::sessions(options, notes).await;
    Ok(())
}

/// The tasks and slots of the server in which this runs.
pub fn glance(place: &Place, notes: &mut Notes<'_>) {
    if let Side::Server(signs) = &place.side {
        vitals(notes, &Vitals::of(&place.dispatch, signs), true);
    }
    backups(place, notes);
}

fn told_released(notes: &mut Notes<'_>, released: usize) {
    let hours = LONGEST_CALL.as_secs() / 3600;
    if released > 0 {
        notes.fixed("slots_released", |t| t.slots_released(released, hours));
    } else {
        notes.ok("no_stuck_slots", |t| t.no_stuck_slots());
    }
}

/// What the vitals say; `with_slots` unless that was told already.
fn vitals(notes: &mut Notes<'_>, vitals: &Vitals, with_slots: bool) {
    if with_slots && vitals.stuck > 0 {
        let hours = LONGEST_CALL.as_secs() / 3600;
        notes.would_fix("slots_stuck", |t| t.slots_stuck(vitals.stuck, hours));
    } else if with_slots {
        notes.ok("no_stuck_slots", |t| t.no_stuck_slots());
    }
    notes.ok("calls_now", |t| t.calls_now(vitals.under_way, vitals.waiting));
    if vitals.died.is_empty() {
        notes.ok("tasks_run", |t| t.tasks_run());
    } else {
        let names = vitals.died.join(", ");
        notes.needs_you("tasks_died", |t| t.tasks_died(&names), |t| t.tasks_died_remedy());
    }
}

/// Beside a running server: it is asked to release what is stuck, and what it notes of itself is read.
async fn beside(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let noted = async || {
        let folder = place.folder.clone();
        tokio::task::spawn_blocking(move || Vitals::noted(&folder)).await.ok().flatten()
    };
    let Some(before) = noted().await else {
        notes.needs_you("no_vitals", |t| t.no_vitals(), |t| t.no_vitals_remedy());
        return Ok(());
    };
    let age = place.clock.now().since(before.at);
    if age > STALE {
        let seconds = age.as_secs();
        notes.needs_you("server_hangs", |t| t.server_hangs(seconds), |t| t.server_silent_remedy());
        return Ok(());
    }
    if notes.dry_run {
        vitals(notes, &before, true);
        return Ok(());
    }
    let word = format!("{}-{}", std::process::id(), place.clock.now().0);
    let wish = serde_json::to_string(&Wish::Sweep { sweep: word.clone() })
        .map_err(|error| StorageError::Unreadable(error.to_string()))?;
    place.db.leave_wish(&wish).await?;
    let until = place.clock.steady() + SWEEP;
    loop {
        if let Some(after) = noted().await
            && let Some((swept, released)) = &after.swept
            && *swept == word
        {
            told_released(notes, *released);
            vitals(notes, &after, false);
            return Ok(());
        }
        if place.clock.steady() > until {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    notes.needs_you("wish_ignored", |t| t.wish_ignored(SWEEP.as_secs()), |t| t.server_silent_remedy());
    vitals(notes, &before, true);
    Ok(())
}

/// Rests that nobody can need: of channels and keys that are gone, and those whose end a wrong clock has put far away.
async fn rests(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let catalog = place.catalog.load();
    let now = place.dispatch.now().steady;
    let lives = |scope: &Scope| catalog.channels().any(|entry| concerns_channel(entry, scope));
    let (gone, late): (Vec<Scope>, Vec<Scope>) = {
        let pool = place.dispatch.lock();
        let book: &RestBook = pool.rests();
        let of = |wanted: &dyn Fn(&Scope, UnixMs) -> bool| {
            let found = book.all_active(now).filter(|(scope, rest)| wanted(scope, rest.until));
            found.map(|(scope, _)| scope.clone()).collect()
        };
        (of(&|scope, _| !lives(scope)), of(&|scope, until| lives(scope) && until.since(now) > LONGEST_REST))
    };
    let count = gone.len() + late.len();
    if count == 0 {
        notes.ok("rests_fine", |t| t.rests_fine());
    } else if notes.dry_run {
        notes.would_fix("rests_stuck", |t| t.rests_stuck(gone.len(), late.len()));
    } else {
        end_rests(place, gone.iter().chain(&late)).await?;
        notes.fixed("rests_ended", |t| t.rests_ended(gone.len(), late.len()));
    }
    Ok(())
}

/// Ends rests: at once in the server, within a second beside it.
pub async fn end_rests<'a>(place: &Place, scopes: impl Iterator<Item = &'a Scope>) -> StorageResult<()> {
    for scope in scopes {
        match &place.side {
            Side::Server(_) => {
                place.dispatch.lock().rests_mut().clear(scope);
            }
            Side::Beside(_) => {
                let scope = serde_json::to_string(scope)
                    .map_err(|error| StorageError::Unreadable(error.to_string()))?;
                place.db.ask_for_retry(&scope).await?;
            }
        }
    }
    Ok(())
}

/// Whether the backups that the clock is to make are made.
fn backups(place: &Place, notes: &mut Notes<'_>) {
    let every = place.catalog.load().settings.backup_every_hours;
    if every == 0 {
        notes.skipped("no_backups_wanted", |t| t.no_backups_wanted());
        return;
    }
    let newest = fs::read_dir(place.folder.backups())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("scheduled-") && name.ends_with(".db")
        })
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .filter_map(|at| i64::try_from(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis()).ok())
        .max();
    let late_after = Duration::from_secs(u64::from(every) * 3600) + Duration::from_secs(2 * 3600);
    match newest.map(|at| place.clock.now().since(UnixMs(at))) {
        Some(age) if age <= late_after => {
            notes.ok("backup_made", |t| t.backup_made(age.as_secs() / 3600, every));
        }
        Some(age) if place.is_served() => notes.needs_you(
            "backup_late",
            |t| t.backup_late(age.as_secs() / 3600, every),
            |t| t.backup_late_remedy(),
        ),
        None if place.is_served() => notes.ok("backup_awaited", |t| t.backup_awaited(every)),
        _ => notes.skipped("backup_without_server", |t| t.backup_without_server()),
    }
}
