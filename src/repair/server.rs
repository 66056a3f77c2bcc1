//! Step 1: the server and its port, memory, disk, clock, and the database from its first page to its last.

use std::{collections::BTreeSet, net::TcpListener, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{Notes, Place, ServerSeen, Side, bytes, machine, write_ahead_log};
use crate::{
    jobs::vitals::Vitals,
    relay::recorder::waiting::waiting,
    storage::{StorageResult, folder::Claim, maintenance::Integrity},
    upstream::clock::ahead_of,
};

/// Below this the system may end processes at any moment.
const LEAST_MEMORY: u64 = 100 << 20;
/// Below this a burst of the journal, a migration or a backup fills the disk.
const LEAST_ROOM: u64 = 256 << 20;
/// Below this no file can be made soon.
const LEAST_FILES: u64 = 1_000;
/// How long the look through the database may take.
const LONGEST_LOOK: Duration = Duration::from_secs(120);
/// The most upstreams that are asked for the time.
const MOST_CLOCKS: usize = 5;
/// A clock that is off by more than this opens daily limits at the wrong time, and makes signatures fail.
const MOST_SKEW_MS: i64 = 30_000;
/// A clock that was set by less than this matters to nobody.
const MOST_DRIFT_MS: i64 = 5_000;
/// A working server copies the journal's rows within a second.
const JOURNAL_LAGS: Duration = Duration::from_secs(300);

/// Looks at all of it; says whether the database is sound.
pub async fn look(place: &Place, notes: &mut Notes<'_>) -> StorageResult<bool> {
    glance(place, notes);
    clock(place, notes).await?;
    database(place, notes).await
}

/// What is seen at once: the server, the port, memory, disk, and whether the clock was set.
pub fn glance(place: &Place, notes: &mut Notes<'_>) {
    server(place, notes);
    memory(place, notes);
    disk(place, notes);
    if place.config.secret_key.is_none() {
        let key = place.folder.key_file();
        if machine::others_can_read(&key) {
            let path = key.display().to_string();
            notes.needs_you("key_readable", |t| t.key_readable(&path), |t| t.key_readable_remedy(&path));
        }
    }
    drift(place, notes);
}

fn server(place: &Place, notes: &mut Notes<'_>) {
    let wanted = place.config.listen;
    match place.side {
        Side::Server(_) => match place.folder.claim() {
            Claim::Server(Some(address)) => {
                notes.ok("server_runs", |t| t.server_runs(&address.to_string(), env!("CARGO_PKG_VERSION")));
            }
            _ => notes.needs_you("lock_lost", |t| t.lock_lost(), |t| t.lock_lost_remedy()),
        },
        Side::Beside(ServerSeen::At(address, true)) => {
            notes.ok("server_answers", |t| t.server_answers(&address.to_string()));
            let is_elsewhere =
                address.ip() != wanted.ip() || (wanted.port() != 0 && address.port() != wanted.port());
            if is_elsewhere {
                notes.ok("port_differs", |t| t.port_differs(&address.to_string(), &wanted.to_string()));
            }
        }
        Side::Beside(ServerSeen::At(address, false)) => notes.needs_you(
            "server_silent",
            |t| t.server_silent(&address.to_string()),
            |t| t.server_silent_remedy(),
        ),
        Side::Beside(ServerSeen::Somewhere) => notes.ok("server_somewhere", |t| t.server_somewhere()),
        Side::Beside(ServerSeen::None) => {
            notes.skipped("server_stopped", |t| t.server_stopped());
            match TcpListener::bind(wanted) {
                Ok(_) => notes.ok("port_free", |t| t.port_free(&wanted.to_string())),
                Err(error) => notes.needs_you(
                    "port_taken",
                    |t| t.port_taken(&wanted.to_string(), &error.to_string()),
                    |t| t.port_taken_remedy(wanted.port()),
                ),
            }
        }
    }
}

fn memory(place: &Place, notes: &mut Notes<'_>) {
    let Some(left) = machine::memory() else {
        notes.skipped("memory_unknown", |t| t.memory_unknown());
        return;
    };
    let own = match place.side {
        Side::Server(_) => machine::own_memory(),
        Side::Beside(_) => None,
    };
    if left < LEAST_MEMORY {
        notes.needs_you("memory_low", |t| t.memory_low(&bytes(left)), |t| t.memory_low_remedy());
    } else if let Some(own) = own {
        notes.ok("memory", |t| t.memory_and_own(&bytes(left), &bytes(own)));
    } else {
        notes.ok("memory", |t| t.memory(&bytes(left)));
    }
}

fn disk(place: &Place, notes: &mut Notes<'_>) {
    let path = place.folder.path().display().to_string();
    if !machine::is_writable(place.folder.path()) {
        notes.needs_you("folder_read_only", |t| t.folder_read_only(&path), |t| t.folder_read_only_remedy());
    }
    let Some(room) = machine::room(place.folder.path()) else {
        notes.skipped("disk_unknown", |t| t.disk_unknown());
        return;
    };
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    // What is still in the log will be in the file.
    let database = size(&place.folder.database()) + size(&write_ahead_log(place));
    if room.free < LEAST_ROOM || room.files.is_some_and(|files| files < LEAST_FILES) {
        let files = room.files.unwrap_or(0);
        match room.free < LEAST_ROOM {
            true => {
                notes.needs_you(
                    "disk_low",
                    |t| t.disk_low(&path, &bytes(room.free)),
                    |t| t.disk_low_remedy(),
                );
            }
            false => {
                notes.needs_you("files_low", |t| t.files_low(&path, files), |t| t.disk_low_remedy());
            }
        }
    } else if room.free < database {
        notes.needs_you(
            "no_room_for_backup",
            |t| t.no_room_for_backup(&bytes(room.free), &bytes(database)),
            |t| t.disk_low_remedy(),
        );
    } else {
        notes.ok("disk", |t| t.disk(&bytes(room.free), &bytes(database)));
    }
}

/// Whether the server's clock was set since its start, or the machine slept.
fn drift(place: &Place, notes: &mut Notes<'_>) {
    let drift_ms = match &place.side {
        Side::Server(signs) => Vitals::of(&place.dispatch, signs).drift_ms,
        Side::Beside(_) if !place.is_served() => return,
        Side::Beside(_) => match Vitals::noted(&place.folder) {
            Some(vitals) => vitals.drift_ms,
            None => return,
        },
    };
    if drift_ms.abs() > MOST_DRIFT_MS {
        let seconds = drift_ms / 1000;
        notes.needs_you("clock_jumped", |t| t.clock_jumped(seconds), |t| t.clock_jumped_remedy());
    } else {
        notes.ok("clock_steady", |t| t.clock_steady());
    }
}

/// Compares the time of day with that of upstreams, and with the latest call of the log.
async fn clock(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let now = place.clock.now();
    if let Some(latest) = place.db.latest_call().await?
        && latest.0 > now.0 + MOST_SKEW_MS
    {
        let ahead = latest.since(now).as_secs();
        notes.needs_you("clock_behind_log", |t| t.clock_behind_log(ahead), |t| t.clock_remedy());
    }
    let catalog = place.catalog.load();
    let mut hosts = BTreeSet::new();
    let is_new_host = |entry: &&Arc<crate::model::catalog::ChannelEntry>| {
        let url = url::Url::parse(&entry.channel.base_url).ok();
        let host = url.and_then(|url| url.host_str().map(str::to_owned));
        entry.channel.enabled && host.is_some_and(|host| hosts.insert(host))
    };
    let asked: Vec<_> = catalog.channels().filter(is_new_host).take(MOST_CLOCKS).cloned().collect();
    let asking = asked.iter().map(|entry| ahead_of(&place.clients, &entry.channel, &place.clock));
    let ahead: Vec<i64> = join_all(asking).await.into_iter().flatten().collect();
    let count = ahead.len();
    match middle(ahead) {
        None => notes.skipped("clock_unknown", |t| t.clock_unknown()),
        Some(ahead_ms) if ahead_ms.abs() > MOST_SKEW_MS => {
            let seconds = (ahead_ms / 1000).abs();
            notes.needs_you(
                "clock_wrong",
                |t| if ahead_ms > 0 { t.clock_ahead(seconds, count) } else { t.clock_behind(seconds, count) },
                |t| t.clock_remedy(),
            );
        }
        Some(_) => notes.ok("clock_right", |t| t.clock_right(count)),
    }
    Ok(())
}

/// The middle of some numbers, so that one upstream whose clock is wrong decides nothing among several.
fn middle(mut numbers: Vec<i64>) -> Option<i64> {
    numbers.sort_unstable();
    numbers.get(numbers.len().saturating_sub(1) / 2).copied()
}

async fn database(place: &Place, notes: &mut Notes<'_>) -> StorageResult<bool> {
    let sound = match place.db.integrity(LONGEST_LOOK).await? {
        Integrity::Sound => {
            notes.ok("database_sound", |t| t.database_sound());
            true
        }
        Integrity::TooSlow => {
            notes.skipped("database_too_large", |t| t.database_too_large(LONGEST_LOOK.as_secs()));
            true
        }
        Integrity::Orphans(table, parent) => {
            notes.needs_you(
                "database_orphans",
                |t| t.database_orphans(&table, &parent),
                |t| t.database_orphans_remedy(),
            );
            true
        }
        Integrity::Damaged(what) => {
            let backups = place.folder.backups().display().to_string();
            notes.needs_you(
                "database_damaged",
                |t| t.database_damaged(&what),
                |t| t.database_damaged_remedy(&backups),
            );
            false
        }
    };
    let folder = place.folder.journal();
    let counted = tokio::task::spawn_blocking(move || waiting(&folder)).await;
    match counted.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Err(error) => notes.needs_you(
            "journal_unreadable",
            |t| t.journal_unreadable(&error.to_string()),
            |t| t.journal_remedy(),
        ),
        Ok(journal) if journal.rows == 0 => notes.ok("journal_empty", |t| t.journal_empty()),
        Ok(journal) => {
            let age = journal.oldest_at.map_or(Duration::ZERO, |at| place.clock.now().since(at));
            if place.is_served() && age > JOURNAL_LAGS {
                let minutes = age.as_secs() / 60;
                notes.needs_you(
                    "journal_lags",
                    |t| t.journal_lags(journal.rows, minutes),
                    |t| t.journal_remedy(),
                );
            } else {
                notes.ok("journal_waits", |t| t.journal_waits(journal.rows));
            }
        }
    }
    Ok(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_among_several_decides_nothing() {
        assert_eq!(middle(vec![]), None);
        assert_eq!(middle(vec![90_000]), Some(90_000));
        assert_eq!(middle(vec![90_000, 10]), Some(10));
        assert_eq!(middle(vec![90_000, -20, 10]), Some(10));
    }
}
