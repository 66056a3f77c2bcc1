//! Copies of the database: the ones that operators and the clock ask for, and the one before a migration.
//!
//! Start reading at [`Db::begin_backup`].

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use sqlx::{Connection as _, SqliteConnection, SqlitePool};

use super::{
    Db, Engine, StorageError, StorageResult,
    check::{self, Contents, Flaw},
};
use crate::model::{time::UnixMs, usage::UsageRecord};

/// Why a backup could not be made; each text is for the operator and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file of that name is there already; it was left alone.
    #[error("{} exists already: choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the backup {}: {reason}. Choose a folder that exists, is writable and has room", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system or the database says.
        reason: String,
    },
    /// The copy was written, but is not whole; it was deleted.
    #[error(
        "the database does not copy whole, so it is damaged itself: {reason}. Keep it, and the backups that you have"
    )]
    Damaged {
        /// What the check says.
        reason: String,
    },
    /// Rows of the journal could not be read or added.
    #[error("cannot add the rows that wait in the journal: {reason}")]
    Journal {
        /// What the system or the database says.
        reason: String,
    },
}

/// A backup that was made. As JSON it is one flat object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What it holds.
    #[serde(flatten)]
    pub contents: Contents,
}

/// A copy that is not yet under its name. Dropping it deletes it.
pub struct Draft {
    source: Db,
    /// The copy as a database, once rows were added to it.
    copy: Option<Db>,
    target: PathBuf,
    file: DraftFile,
}

/// A file that goes when this is dropped, with what SQLite may have put beside it.
struct DraftFile(PathBuf);

impl Drop for DraftFile {
    fn drop(&mut self) {
        for end in ["", "-journal", "-wal", "-shm"] {
            // Most are not there; what cannot be deleted keeps its name, which says that it is a draft.
            let _ = fs::remove_file(with_end(&self.0, end));
        }
    }
}

/// The path with something after its last character.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The time as names of files have it, such as `20261120-141051`, in UTC: names sort by time, also in autumn.
pub fn stamp(now: UnixMs) -> String {
    now.timestamp().strftime("%Y%m%d-%H%M%S").to_string()
}

/// Whether a name is that of a draft of a backup that this program named by itself, or of what SQLite puts beside one. Others,
/// such as a draft of a file that a person named, are not ours to clear away.
pub fn is_own_draft(name: &str) -> bool {
    let Some(rest) = ["scheduled-", "onepool-"].iter().find_map(|prefix| name.strip_prefix(prefix)) else {
        return false;
    };
    let Some((stamp, end)) = rest.split_at_checked(15) else { return false };
    let is_stamp = stamp.bytes().enumerate().all(|(place, byte)| match place {
        8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let number = end.trim_start_matches(|letter: char| letter == '-' || letter.is_ascii_digit());
    is_stamp && [".db.draft", ".db.draft-journal", ".db.draft-wal", ".db.draft-shm"].contains(&number)
}

/// Makes a folder that only its owner may enter, if it is missing.
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

impl Db {
    /// Begins a backup: a consistent copy of the database as it is now, while others read and write it. It is written
    /// beside `target`, whose folder must exist, as `<target>.draft`, readable by its owner only. Secrets stay sealed.
    ///
    /// Dropping the future, or the draft, leaves nothing behind.
    pub async fn begin_backup(&self, target: &Path) -> Result<Draft, BackupError> {
        let unwritable = |reason: String| BackupError::Unwritable { path: target.into(), reason };
        // An absolute path is never taken for a URI.
        let target = std::path::absolute(target).map_err(|error| unwritable(error.to_string()))?;
        if target.symlink_metadata().is_ok() {
            return Err(BackupError::Exists { path: target });
        }
        let draft = with_end(&target, ".draft");
        match create_private(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists { path: draft });
            }
            other => other.map_err(|error| unwritable(error.to_string()))?,
        }
        let file = DraftFile(draft);
        let Engine::Sqlite(pool) = &self.write;
        let copied = async {
            // A connection of its own: the one that writes is not kept from writing.
            let options = (*pool.connect_options()).clone().create_if_missing(false);
            let mut connection = SqliteConnection::connect_with(&options).await?;
            copy_into(&mut connection, &file.0).await?;
            connection.close().await
        };
        copied.await.map_err(|error| unwritable(error.to_string()))?;
        Ok(Draft { source: self.clone(), copy: None, target, file })
    }
}

impl Draft {
    /// Adds usage rows to the copy, as [`Db::insert_usage`] does; those that it has already change nothing.
    pub async fn add_usage(&mut self, records: &[UsageRecord]) -> Result<(), BackupError> {
        let failed = |reason: String| BackupError::Journal { reason };
        let copy = match self.copy.take() {
            Some(copy) => copy,
            None => Db::open_existing(&self.file.0, self.source.vault.clone(), self.source.clock.clone())
                .await
                .map_err(|error| failed(error.to_string()))?,
        };
        let added = copy.insert_usage(records).await;
        self.copy = Some(copy);
        added.map(|_| ()).map_err(|error| failed(error.to_string()))
    }

    /// Checks the copy from its first page to its last, and gives it its name once it is on the disk.
    pub async fn finish(self) -> Result<Backup, BackupError> {
        let Self { source, copy, target, file } = self;
        let unwritable = |reason: String| BackupError::Unwritable { path: target.clone(), reason };
        if let Some(copy) = copy {
            copy.close().await;
        }
        let checked = async {
            let mut connection = check::open_alone(&file.0).await?;
            let contents = check::check(&mut connection, &source.vault).await?;
            connection.close().await?;
            Ok::<_, Flaw>(contents)
        };
        let contents = checked.await.map_err(|flaw| match flaw {
            Flaw::Damaged(reason) => BackupError::Damaged { reason },
            other => BackupError::Damaged { reason: format!("{other:?}") },
        })?;
        let (draft, named) = (file.0.clone(), target.clone());
        let bytes = tokio::task::spawn_blocking(move || publish(&draft, &named))
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists { path: target.clone() },
                _ => unwritable(error.to_string()),
            })?;
        Ok(Backup { path: target, bytes, contents })
    }
}

/// Gives a finished draft its name, unless a file has it by now; gives its size.
fn publish(draft: &Path, target: &Path) -> io::Result<u64> {
    let file = fs::File::open(draft)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    match fs::hard_link(draft, target) {
        Ok(()) => fs::remove_file(draft)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        // A file system without links.
        Err(_) => fs::rename(draft, target)?,
    }
    if let Some(folder) = target.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(bytes)
}

fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(|_| ())
}

/// Copies a database into an empty file. SQLite fills a file that is already there, and leaves its mode alone
/// (<https://www.sqlite.org/lang_vacuum.html#vacuuminto>).
async fn copy_into(connection: &mut SqliteConnection, target: &Path) -> Result<(), sqlx::Error> {
    let Some(target) = target.to_str() else {
        return Err(sqlx::Error::Configuration("the path is not UTF-8".into()));
    };
    sqlx::query("VACUUM INTO $1").bind(target).execute(connection).await?;
    Ok(())
}

/// Copies the database, consistently, to `backups/before-migration-from-<schema>-<time>.db` beside it; for its owner
/// only, like the database.
pub(super) async fn before_migration(
    pool: &SqlitePool,
    path: &Path,
    schema: i64,
    now: UnixMs,
) -> StorageResult<()> {
    let folder = path.with_file_name("backups");
    let stamp = now.timestamp().strftime("%Y%m%dT%H%M%SZ");
    let target = folder.join(format!("before-migration-from-{schema}-{stamp}.db"));
    let unwritable =
        |error| StorageError::Unreadable(format!("cannot write the backup {}: {error}", target.display()));
    make_private_folder(&folder).map_err(unwritable)?;
    create_private(&target).map_err(unwritable)?;
    let target_path = std::path::absolute(&target).map_err(unwritable)?;
    copy_into(&mut *pool.acquire().await?, &target_path).await?;
    tracing::info!(backup = %target.display(), "made a backup before the migration");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        model::{secret::Secret, time::Clock},
        storage::{
            recording::tests::{all_sums, number, open, record},
            vault::Vault,
        },
    };

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn reopen(path: &Path) -> Db {
        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        Db::open_existing(path, vault, Clock::system()).await.unwrap()
    }

    #[test]
    fn only_drafts_that_this_program_named_are_its_own() {
        for name in [
            "scheduled-20261120-141051.db.draft",
            "onepool-20261120-141051.db.draft-journal",
            "onepool-20261120-141051-2.db.draft",
        ] {
            assert!(is_own_draft(name), "{name}");
        }
        for name in [
            "scheduled-20261120-141051.db",
            "mine.db.draft",
            "onepool-mine.db.draft",
            "onepool-20261120-141051-keep.db.draft",
            "scheduled-2026112é-14105.db.draft",
        ] {
            assert!(!is_own_draft(name), "{name}");
        }
    }

    #[tokio::test]
    async fn a_backup_is_one_private_file_with_everything_and_the_rows_that_were_added() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.insert_usage(&[record(1), record(2)]).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("copy.db");
        let mut draft = db.begin_backup(&target).await.unwrap();
        db.insert_usage(&[record(9)]).await.unwrap();
        draft.add_usage(&[record(2), record(3)]).await.unwrap();
        draft.add_usage(&[record(3)]).await.unwrap();
        let backup = draft.finish().await.unwrap();

        assert_eq!(names(place.path()), ["copy.db"], "one file");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(backup.bytes, fs::metadata(&target).unwrap().len());
        assert_eq!(backup.contents.usage_rows, 3);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM usage").await, 3, "the source has its own three");
        let copy = reopen(&target).await;
        assert_eq!(number(&copy, "SELECT COUNT(*) FROM usage").await, 3);
        assert_eq!(all_sums(&copy).await.requests, 3);
        assert_eq!(number(&copy, "SELECT SUM(spent) FROM token_spending").await, 11 + 12 + 13);
    }

    #[tokio::test]
    async fn a_backup_never_replaces_a_file_and_an_abandoned_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("copy.db");
        drop(db.begin_backup(&target).await.unwrap());
        assert_eq!(names(place.path()), Vec::<String>::new());

        let late = db.begin_backup(&target).await.unwrap();
        fs::write(&target, "precious").unwrap();
        assert!(matches!(late.finish().await, Err(BackupError::Exists { .. })));
        assert!(matches!(db.begin_backup(&target).await, Err(BackupError::Exists { .. })));
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        assert_eq!(names(place.path()), ["copy.db"]);

        let nowhere = db.begin_backup(&place.path().join("missing/copy.db")).await.err().unwrap();
        assert!(nowhere.to_string().contains("missing/copy.db"), "{nowhere}");
    }

    #[tokio::test]
    async fn writing_goes_on_while_a_backup_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.insert_usage(&(1..=2_000).map(record).collect::<Vec<_>>()).await.unwrap();
        let target = folder.path().join("copy.db");
        let (draft, inserted) = tokio::join!(db.begin_backup(&target), async {
            for n in 3_001..=3_020 {
                db.insert_usage(&[record(n)]).await.unwrap();
            }
        });
        let () = inserted;
        let backup = draft.unwrap().finish().await.unwrap();
        assert!((2_000..=2_020).contains(&backup.contents.usage_rows), "{backup:?}");
        let copy = reopen(&target).await;
        assert_eq!(all_sums(&copy).await.requests, number(&copy, "SELECT COUNT(*) FROM usage").await);
    }
}
