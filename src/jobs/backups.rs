//! Makes backups by the clock, and deletes the oldest of those that it made.

use std::{fs, io, path::PathBuf, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        settings::RuntimeSettings,
        time::{Clock, UnixMs},
    },
    relay::recorder,
    storage::{
        Db,
        backup::{Backup, stamp},
        folder::DataFolder,
    },
};

/// How often it is looked whether a backup is due; a change of the settings counts from then on.
const EVERY: Duration = Duration::from_secs(60);
/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(15 * 60);
/// The longest that a backup may take: one that hangs, as on a network folder, must not hang for ever.
const LONGEST: Duration = Duration::from_secs(60 * 60);

const HOUR: Duration = Duration::from_secs(60 * 60);
/// What the names of these backups begin with. Those that people ask for have other names, so that they are never deleted.
const PREFIX: &str = "scheduled-";
const END: &str = ".db";
const DRAFT_END: &str = ".db.draft";

/// When to make backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Hours between two; 0 makes none.
    pub every_hours: u32,
    /// How many are kept, at least one.
    pub keep: u32,
}

impl Schedule {
    /// The schedule that the settings ask for.
    pub fn of(settings: &RuntimeSettings) -> Self {
        Self { every_hours: settings.backup_every_hours, keep: settings.backup_keep }
    }
}

/// What is backed up, and where.
#[derive(Clone)]
pub struct Place {
    /// The database.
    pub db: Db,
    /// The data folder, for its journal and its `backups`.
    pub folder: DataFolder,
}

/// Makes a backup if one is due at `now`, and then deletes the oldest of its own beyond those to keep. One is due when none
/// that this job made is younger than the schedule's hours, so that a restart changes nothing. `None`: nothing was due.
/// The error says what went wrong, for the log.
pub async fn run_once(place: &Place, schedule: Schedule, now: UnixMs) -> Result<Option<Backup>, String> {
    if schedule.every_hours == 0 {
        return Ok(None);
    }
    let folder = place.folder.clone();
    let made = blocking(move || own_backups(&folder, END)).await?;
    let name = |time: UnixMs| format!("{PREFIX}{}{END}", stamp(time));
    let (oldest_fresh, newest) = (name(now - HOUR * schedule.every_hours), name(now));
    // A name from the future, left by a clock that was wrong, does not keep backups from being made.
    if made
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .any(|made| made > oldest_fresh.as_str() && made <= newest.as_str())
    {
        return Ok(None);
    }
    let folder = place.folder.clone();
    let target = blocking(move || {
        for draft in own_backups(&folder, DRAFT_END)? {
            // This folder has one server, so a draft is what a kill has left.
            fs::remove_file(draft)?;
        }
        folder.create_backups().map_err(io::Error::other)
    })
    .await?
    .join(&newest);
    let journal = place.folder.journal();
    let making = recorder::backup::make(&place.db, &journal, &target);
    let backup = match tokio::time::timeout(LONGEST, making).await {
        Ok(made) => made.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("{} took longer than an hour", target.display())),
    };
    let (folder, keep) = (place.folder.clone(), schedule.keep.max(1) as usize);
    let own = backup.path.clone();
    blocking(move || {
        let mut others = own_backups(&folder, END)?;
        others.retain(|path| path.file_name() != own.file_name());
        let surplus = (others.len() + 1).saturating_sub(keep);
        others.iter().take(surplus).try_for_each(fs::remove_file)
    })
    .await
    .map_err(|error| format!("made {}, but could not delete an old one: {error}", target.display()))?;
    Ok(Some(backup))
}

/// Makes backups until it is cancelled; `schedule` is asked each minute. A failure is logged, and tried again after a
/// quarter of an hour.
pub async fn run(
    place: Place,
    schedule: impl Fn() -> Schedule,
    clock: Clock,
    cancellation: CancellationToken,
) {
    let runs = async {
        loop {
            let pause = match run_once(&place, schedule(), clock.now()).await {
                Ok(None) => EVERY,
                Ok(Some(made)) => {
                    tracing::info!(file = %made.path.display(), bytes = made.bytes, "made a backup");
                    note(&place.db, None).await;
                    EVERY
                }
                Err(error) => {
                    tracing::error!(error, "could not make a backup; trying again in 15 minutes");
                    note(&place.db, Some(&error)).await;
                    RETRY
                }
            };
            tokio::time::sleep(pause).await;
        }
    };
    cancellation.run_until_cancelled(runs).await;
}

/// Notes what came of a backup, where notifications look for it.
async fn note(db: &Db, failure: Option<&str>) {
    if let Err(error) = db.note_backup_failure(failure).await {
        tracing::warn!(%error, "cannot note what came of a backup");
    }
}

/// The files in `backups` that this job named, the oldest first.
fn own_backups(folder: &DataFolder, end: &str) -> io::Result<Vec<PathBuf>> {
    let place = folder.backups();
    let entries = match fs::read_dir(&place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => {
            other.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", place.display())))?
        }
    };
    let mut own = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_stamp = |text: &str| {
            text.len() == 15
                && text.bytes().enumerate().all(|(place, byte)| match place {
                    8 => byte == b'-',
                    _ => byte.is_ascii_digit(),
                })
        };
        if name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(end)).is_some_and(is_stamp) {
            own.push(path);
        }
    }
    own.sort();
    Ok(own)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::recording::tests::{open, record};

    async fn place(path: &std::path::Path) -> Place {
        let db = open(path).await;
        db.insert_usage(&[record(1)]).await.unwrap();
        Place { db, folder: DataFolder::create(path).unwrap() }
    }

    fn names(place: &Place) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(place.folder.backups())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_backup_is_made_whenever_the_hours_are_over_and_only_own_old_ones_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path()).await;
        let clock = Clock::manual(UnixMs(1_800_000_000_000));
        let schedule = Schedule { every_hours: 6, keep: 2 };
        fs::create_dir(place.folder.backups()).unwrap();
        let foreign = [
            "before-migration-from-1-20200101T000000Z.db",
            "onepool-20200101-000000.db",
            "scheduled-2020-mine.db",
        ];
        for name in foreign {
            fs::write(place.folder.backups().join(name), "x").unwrap();
        }
        fs::write(place.folder.backups().join("scheduled-20200101-000000.db.draft"), "left by a kill")
            .unwrap();

        let due = async || run_once(&place, schedule, clock.now()).await.unwrap().is_some();
        assert!(due().await);
        assert!(!due().await);
        clock.advance(HOUR * 6 - Duration::from_secs(1));
        assert!(!due().await, "one second too early");
        clock.advance(Duration::from_secs(1));
        assert!(due().await);
        clock.advance(HOUR * 100);
        assert!(due().await);
        assert_eq!(
            names(&place),
            [&foreign[..], &["scheduled-20270115-140000.db", "scheduled-20270119-180000.db"]].concat()
        );
    }

    #[tokio::test]
    async fn no_hours_make_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path()).await;
        let none = Schedule { every_hours: 0, keep: 2 };
        assert_eq!(run_once(&place, none, UnixMs(1_800_000_000_000)).await, Ok(None));
        assert!(!place.folder.backups().exists());
    }

    #[tokio::test]
    async fn a_backup_from_the_future_keeps_nobody_from_making_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path()).await;
        fs::create_dir(place.folder.backups()).unwrap();
        fs::write(place.folder.backups().join("scheduled-29990101-000000.db"), "x").unwrap();
        let schedule = Schedule { every_hours: 1, keep: 1 };
        let made = run_once(&place, schedule, UnixMs(1_800_000_000_000)).await.unwrap().unwrap();
        assert_eq!(names(&place), [made.path.file_name().unwrap().to_str().unwrap()]);
    }

    #[tokio::test]
    async fn a_failure_names_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path()).await;
        fs::write(place.folder.backups(), "a file in the folder's place").unwrap();
        let schedule = Schedule { every_hours: 1, keep: 1 };
        let error = run_once(&place, schedule, UnixMs(1_800_000_000_000)).await.unwrap_err();
        assert!(error.contains("backups"), "{error}");
    }
}
