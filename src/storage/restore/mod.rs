//! Puts a backup in the place of a data folder's database.
//!
//! The new database is prepared in a folder of its own, `restore.draft`. Renaming that to `restore-<time>.ready` decides:
//! from then on whoever opens the data folder for good first finishes what is left to do ([`finish`]). Each next step
//! follows from what stands where, so that it does not matter at which one the process was killed.
//!
//! Start reading at [`prepare`].

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use sqlx::Connection as _;

use super::{
    backup::{make_private_folder, stamp, with_end},
    check::{self, Contents, Flaw},
    folder::{self, DataFolder, FolderError, FolderLock},
    vault::Vault,
};
use crate::model::{secret::Secret, time::UnixMs};

const DRAFT: &str = "restore.draft";
const DATABASE: &str = "onepool.db";
const KEY_FILE: &str = "secret.key";
const JOURNAL: &str = "journal";

/// Why a file was not restored; nothing has changed then. Each text is for the operator and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The file cannot be read.
    #[error("cannot read {}: {source}. Name a backup that this user may read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a database, or not whole.
    #[error("{} is not an intact database: {reason}. Choose another backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the check says.
        reason: String,
    },
    /// The file is no database at all.
    #[error("{} is not an SQLite database. Choose a backup", path.display())]
    NoDatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{} is a database, but not one of OnePool. Choose another file", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer OnePool wrote the file.
    #[error("{} has schema {found}, this OnePool knows {known}: restore it with the newer version", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// There is no master key to open the file's secrets with.
    #[error(
        "there is no master key to open the secrets in {} with: copy the `secret.key` of the server that made the backup \
         to {}, or set SECRET_KEY or SECRET_KEY_FILE to that server's key",
        path.display(), key.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Where a key would be looked for.
        key: PathBuf,
    },
    /// The master key in force is not the file's.
    #[error(
        "the master key does not open the secrets in {}: give the key that was in force when the backup was made, with \
         --secret-key-file",
        path.display()
    )]
    WrongMasterKey {
        /// The file.
        path: PathBuf,
    },
    /// The new database cannot be written.
    #[error("cannot write {}: {source}. See to it that there is room, and that this user may write there", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A database that is ready to take the place of the folder's. Dropping it forgets it.
pub struct Prepared<'a> {
    folder: &'a DataFolder,
    draft: DraftFolder,
    /// What it holds.
    pub contents: Contents,
    /// Whether the folder gets another `secret.key`: it has one, but the backup needs the key that was given.
    pub changes_key: bool,
}

/// A restore that is done.
#[derive(Debug)]
pub struct Restored {
    /// Where the files are that were there before; `None` if there were none.
    pub moved_to: Option<PathBuf>,
}

struct DraftFolder(PathBuf);

impl Drop for DraftFolder {
    fn drop(&mut self) {
        // The next restore deletes what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies `file` into the data folder, beside its database, and checks it: it must be whole, of a schema that this
/// version knows, and sealed with the key in force (`given`, else the folder's). Its sessions are deleted: a cookie that
/// was ended since, perhaps because it was stolen, must not come back to life.
///
/// A whole data folder's database (`onepool.db` beside its `journal`) brings the rows of that journal along. Settle the
/// folder first ([`super::settle`]). Nothing has changed until [`Prepared::commit`].
pub async fn prepare<'a>(
    folder: &'a DataFolder,
    _lock: &FolderLock,
    file: &Path,
    given: Option<&Secret>,
) -> Result<Prepared<'a>, RestoreError> {
    let path = file;
    refuse_a_database_in_use(folder, path)?;
    let key = folder
        .find_master_key(given.cloned())?
        .ok_or_else(|| RestoreError::NoKey { path: path.into(), key: folder.key_file() })?;
    let draft = DraftFolder(folder.path().join(DRAFT));
    copy(path, &draft.0)?;
    let database = draft.0.join(DATABASE);
    let checked = async {
        let mut connection = check::open_alone(&database).await?;
        let contents = check::check(&mut connection, &Vault::new(&key)).await?;
        sqlx::query("DELETE FROM sessions").execute(&mut connection).await?;
        connection.close().await?;
        Ok(contents)
    };
    let contents = checked.await.map_err(|flaw| match flaw {
        Flaw::Damaged(reason) => RestoreError::Damaged { path: path.into(), reason },
        Flaw::NotOurs => RestoreError::NotOurs { path: path.into() },
        Flaw::NewerSchema { found, known } => RestoreError::NewerSchema { path: path.into(), found, known },
        Flaw::WrongMasterKey => RestoreError::WrongMasterKey { path: path.into() },
    })?;
    let changes_key = folder::read_key(&folder.key_file())?.is_some_and(|present| present != key);
    let sealed = || {
        if changes_key {
            folder::write_key(&draft.0.join(KEY_FILE), &key)?;
        }
        File::open(&database)?.sync_all()?;
        folder::sync_folder(&draft.0.join(JOURNAL))?;
        folder::sync_folder(&draft.0)
    };
    sealed().map_err(|source| RestoreError::Unwritable { path: draft.0.clone(), source })?;
    Ok(Prepared { folder, draft, contents, changes_key })
}

impl Prepared<'_> {
    /// Decides and does it: what was there is moved to `before-restore-<time>` in the data folder, with the journal, and the
    /// new database takes its place. After an error in the middle, the next start of the server finishes it.
    pub fn commit(self, now: UnixMs) -> Result<Restored, RestoreError> {
        let folder = self.folder;
        let place = self.decide(now)?;
        finish_all(folder)?;
        Ok(Restored { moved_to: place.exists().then_some(place) })
    }

    /// From here on the new database is the one that counts. Gives the folder that will take the old one.
    fn decide(self, now: UnixMs) -> Result<PathBuf, RestoreError> {
        let Self { folder, draft, .. } = self;
        let unwritable = |source| RestoreError::Unwritable { path: folder.path().into(), source };
        let place = folder::unused(folder.path(), &format!("before-restore-{}", stamp(now)), "");
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.strip_prefix("before-").unwrap_or(name);
        fs::rename(&draft.0, folder.path().join(format!("{name}.ready"))).map_err(unwritable)?;
        folder::sync_folder(folder.path()).map_err(unwritable)?;
        Ok(place)
    }
}

/// Finishes restores that were decided, and deletes one that was not. Says whether there was something to finish.
pub(super) fn finish(folder: &DataFolder, _lock: &FolderLock) -> Result<bool, FolderError> {
    drop(DraftFolder(folder.path().join(DRAFT)));
    finish_all(folder)
}

fn finish_all(folder: &DataFolder) -> Result<bool, FolderError> {
    let ready = folder.decided_restores()?;
    for ready in &ready {
        let finish = || -> io::Result<()> {
            while let Some(step) = next_step(folder.path(), ready)? {
                step.run()?;
            }
            Ok(())
        };
        finish().map_err(|source| FolderError::Unusable { path: ready.clone(), source })?;
    }
    Ok(!ready.is_empty())
}

/// One change of the file system that happens as a whole or not at all.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    MakeFolder(PathBuf),
    Move(PathBuf, PathBuf),
    /// Deletes a folder that holds nothing any more.
    Remove(PathBuf),
}

impl Step {
    fn run(self) -> io::Result<()> {
        match self {
            Self::MakeFolder(path) => make_private_folder(&path),
            Self::Move(from, to) => {
                fs::rename(&from, &to)?;
                for path in [&from, &to] {
                    folder::sync_folder(path.parent().unwrap_or(path))?;
                }
                Ok(())
            }
            Self::Remove(path) => fs::remove_dir_all(path),
        }
    }
}

/// What is to be done next for the restore in `ready`; `None` when it is done.
///
/// As long as the new database is in `ready`, the database in the folder is the old one. The database moves last, so
/// what comes along with it (the journal, a key) is in place before.
fn next_step(folder: &Path, ready: &Path) -> io::Result<Option<Step>> {
    if !ready.try_exists()? {
        return Ok(None);
    }
    let name = ready.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let aside = folder.join(format!("before-{}", name.trim_end_matches(".ready")));
    let (new, old) = (ready.join(DATABASE), folder.join(DATABASE));
    if !new.try_exists()? {
        let nothing_was_there = aside.try_exists()? && fs::read_dir(&aside)?.next().is_none();
        return Ok(Some(Step::Remove(if nothing_was_there { aside } else { ready.into() })));
    }
    if !aside.try_exists()? {
        return Ok(Some(Step::MakeFolder(aside)));
    }
    let away = |name: &str| Step::Move(folder.join(name), folder::unused(&aside, name, ""));
    for name in [KEY_FILE, JOURNAL] {
        if ready.join(name).try_exists()? {
            let present = folder.join(name);
            return Ok(Some(match present.try_exists()? {
                true => away(name),
                false => Step::Move(ready.join(name), present),
            }));
        }
    }
    for end in ["-wal", "-shm", "-journal", ""] {
        if with_end(&old, end).try_exists()? {
            return Ok(Some(away(&format!("{DATABASE}{end}"))));
        }
    }
    Ok(Some(Step::Move(new, old)))
}

/// A running server's database file must not be copied as bytes: what is read would be of different moments.
fn refuse_a_database_in_use(folder: &DataFolder, file: &Path) -> Result<(), RestoreError> {
    let Some(parent) = data_folder_of(file) else { return Ok(()) };
    let same = fs::canonicalize(&parent).ok() == fs::canonicalize(folder.path()).ok();
    if same || !parent.join("onepool.lock").exists() {
        return Ok(());
    }
    match DataFolder::existing(&parent).and_then(|other| other.lock()) {
        Err(error @ FolderError::InUse { .. }) => Err(error.into()),
        // A folder that we may only read, such as a copy, has no server of this user.
        _ => Ok(()),
    }
}

/// The data folder that a file is the database of, by its name.
fn data_folder_of(file: &Path) -> Option<PathBuf> {
    let file = std::path::absolute(file).ok()?;
    (file.file_name()? == DATABASE).then(|| file.parent().map(Path::to_path_buf))?
}

/// Copies the file, with what belongs to it, to `draft`, which is made anew.
fn copy(file: &Path, draft: &Path) -> Result<(), RestoreError> {
    let unwritable = |source| RestoreError::Unwritable { path: draft.into(), source };
    let mut header = Vec::new();
    let opened = File::open(file).and_then(|mut opened| {
        (&mut opened).take(check::HEADER.len() as u64).read_to_end(&mut header).map(|_| opened)
    });
    opened.map_err(|source| RestoreError::Unreadable { path: file.into(), source })?;
    if header != check::HEADER {
        return Err(RestoreError::NoDatabase { path: file.into() });
    }
    match fs::remove_dir_all(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }
    let journal = draft.join(JOURNAL);
    make_private_folder(&journal).map_err(unwritable)?;
    for end in ["", "-wal", "-journal"] {
        let from = with_end(file, end);
        if end.is_empty() || from.exists() {
            copy_file(&from, &with_end(&draft.join(DATABASE), end))?;
        }
    }
    let Some(folder) = data_folder_of(file) else { return Ok(()) };
    let unreadable = |path: &Path| {
        let path = path.to_path_buf();
        |source| RestoreError::Unreadable { path, source }
    };
    let entries = match fs::read_dir(folder.join(JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(unreadable(&folder.join(JOURNAL)))?,
    };
    for entry in entries {
        let from = entry.map_err(unreadable(&folder.join(JOURNAL)))?.path();
        if let (Some(name), Some("log")) = (from.file_name(), from.extension().and_then(|end| end.to_str())) {
            copy_file(&from, &journal.join(name))?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let unreadable = |source| RestoreError::Unreadable { path: from.into(), source };
    let unwritable = |source| RestoreError::Unwritable { path: to.into(), source };
    let mut source = File::open(from).map_err(unreadable)?;
    let mut target =
        folder::private(OpenOptions::new().create_new(true).write(true)).open(to).map_err(unwritable)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match source.read(&mut piece).map_err(unreadable)? {
            0 => return target.sync_all().map_err(unwritable),
            length => target.write_all(&piece[..length]).map_err(unwritable)?,
        }
    }
}

#[cfg(test)]
mod tests;
