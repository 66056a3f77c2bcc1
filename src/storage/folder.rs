//! The data folder: who may read it, which process owns it, and where the master key comes from.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::backup;
use crate::model::{secret::Secret, time::UnixMs};

const DATABASE: &str = "onepool.db";
const KEY_FILE: &str = "secret.key";
/// A new key that a rotation is about to put in place of the old one.
const NEXT_KEY_FILE: &str = "secret.key.new";
const LOCK_FILE: &str = "onepool.lock";
const JOURNAL: &str = "journal";
const UPLOADS: &str = "uploads";
const BACKUPS: &str = "backups";
/// How often, and with what pause, a claim is tried before the folder counts as another server's.
const LOCK_TRIES: usize = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// The fewest characters of a master key; 32 random bytes have 44 in base64.
const LEAST_KEY_CHARS: usize = 32;

/// Why the data folder cannot be used; each text is for the operator and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it cannot be made, read or written.
    #[error(
        "cannot use {}: {source}. Set DATA_DIR to a folder that this user may write, or change the folder's owner",
        path.display()
    )]
    Unusable {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder, or a file in it, belongs to another user.
    #[error(
        "cannot use {}: permission denied for uid {uid}, gid {gid}. Give the folder to this user, or set DATA_DIR to \
         another one: {}",
        path.display(), remedy(folder, *missing, *uid, *gid)
    )]
    NotPermitted {
        /// The folder or file.
        path: PathBuf,
        /// The data folder.
        folder: PathBuf,
        /// Whether the data folder does not exist and could not be made.
        missing: bool,
        /// The user that this process runs as.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// The folder is on a file system that is mounted read-only.
    #[error(
        "cannot use {}: its file system is read-only. Mount the data folder writable, or set DATA_DIR to another one",
        path.display()
    )]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
    },
    /// Another server runs on the folder.
    #[error("another onepool runs on the data folder {}: stop it first, or set another DATA_DIR", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is a database, but not the key that its secrets are sealed with.
    #[error(
        "the master key {} is missing, and the secrets in {} cannot be read without it: put the file back, or set \
         SECRET_KEY or SECRET_KEY_FILE to the key that this data folder was made with",
        key.display(), database.display()
    )]
    MissingKey {
        /// Where the key is looked for.
        key: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// The key file holds less than a key.
    #[error("{} is damaged: it holds fewer than 32 characters. Put the original file back", path.display())]
    DamagedKey {
        /// The file.
        path: PathBuf,
    },
    /// There is no database in the folder, and the caller does not want to make one.
    #[error("there is no database in {}: start the server first, or set DATA_DIR to its data folder", path.display())]
    NoDatabase {
        /// The folder.
        path: PathBuf,
    },
    /// A restore or a rotation of the master key was killed in the middle, and the caller can't finish it.
    #[error(
        "a restore or a key rotation in {} was interrupted: start the server, which finishes it, then try again",
        path.display()
    )]
    Unfinished {
        /// The folder.
        path: PathBuf,
    },
}

impl FolderError {
    /// What the system's refusal of `path`, which is the data folder `folder` or something in it, means to the operator.
    fn of(path: &Path, folder: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NotPermitted {
                path,
                folder: folder.into(),
                missing: matches!(fs::metadata(folder), Err(error) if error.kind() == io::ErrorKind::NotFound),
                uid: rustix::process::geteuid().as_raw(),
                gid: rustix::process::getegid().as_raw(),
            },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Unusable { path, source },
        }
    }
}

/// The shell command that gives a folder to a user; it makes the folder first if it is `missing`.
pub fn remedy(folder: &Path, missing: bool, uid: u32, gid: u32) -> String {
    let folder = shell_word(&folder.display().to_string());
    if missing {
        format!("sudo mkdir -p {folder} && sudo chown {uid}:{gid} {folder}")
    } else {
        format!("sudo chown -R {uid}:{gid} {folder}")
    }
}

/// A text as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.to_owned();
    }
    let dash = if text.starts_with('-') { "./" } else { "" };
    format!("'{dash}{}'", text.replace('\'', "'\\''"))
}

/// The data folder.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
}

/// The claim of one server on a data folder; it ends when this is dropped, or with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Leaves a note in the claim for [`DataFolder::claim`]: where the server listens.
    pub fn note_address(&mut self, address: SocketAddr) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        writeln!(self.file, "{address}")
    }
}

/// Whether a server has claimed a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody has, or it cannot be told: the file system has no locks.
    None,
    /// A server has; it listens there, if it has come that far.
    Server(Option<SocketAddr>),
}

impl DataFolder {
    /// Uses a folder; makes it, with mode 0700, if it is missing.
    pub fn create(path: &Path) -> Result<Self, FolderError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| FolderError::of(path, path, source))?;
        Ok(Self { path: path.into() })
    }

    /// Uses a folder in which a server has made a database. Refuses one that a killed restore or rotation has left
    /// unfinished: what is its database, or its key, is not settled then.
    pub fn existing(path: &Path) -> Result<Self, FolderError> {
        let folder = Self { path: path.into() };
        if folder.next_key_file().exists() || !folder.decided_restores()?.is_empty() {
            return Err(FolderError::Unfinished { path: path.into() });
        }
        if folder.has_database()? { Ok(folder) } else { Err(FolderError::NoDatabase { path: path.into() }) }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The folder of usage rows that are on their way to the database.
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// The folder of large uploads while they are sent on.
    pub fn uploads(&self) -> PathBuf {
        self.path.join(UPLOADS)
    }

    /// The folder of backups; it may not exist yet.
    pub fn backups(&self) -> PathBuf {
        self.path.join(BACKUPS)
    }

    /// The folder of backups, made if it is missing.
    pub fn create_backups(&self) -> Result<PathBuf, FolderError> {
        let folder = self.backups();
        match backup::make_private_folder(&folder) {
            Ok(()) => Ok(folder),
            Err(source) => Err(FolderError::of(&folder, &self.path, source)),
        }
    }

    /// A path for a backup that somebody asks for now, in the folder of backups, which is made if it is missing. No file
    /// has that name yet.
    pub fn new_backup(&self, now: UnixMs) -> Result<PathBuf, FolderError> {
        Ok(unused(&self.create_backups()?, &format!("onepool-{}", backup::stamp(now)), ".db"))
    }

    /// The file of the master key; it may not exist.
    pub fn key_file(&self) -> PathBuf {
        self.path.join(KEY_FILE)
    }

    pub(super) fn next_key_file(&self) -> PathBuf {
        self.path.join(NEXT_KEY_FILE)
    }

    /// Restores that are decided, so that they must be finished; there is one at most, unless someone made others by hand.
    pub(super) fn decided_restores(&self) -> Result<Vec<PathBuf>, FolderError> {
        let unusable = |source| FolderError::of(&self.path, &self.path, source);
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(unusable)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(unusable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("restore-") && name.ends_with(".ready") {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Claims the folder for this process. Two servers on one folder would each believe that they alone count quotas.
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        let path = self.path.join(LOCK_FILE);
        let unusable = |source| FolderError::of(&path, &self.path, source);
        let file = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(&path)
            .map_err(unusable)?;
        // A command may look at this moment whether a server runs (`claim`); that takes it some microseconds.
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => std::thread::sleep(LOCK_PAUSE),
                outcome => break outcome,
            }
        };
        match outcome {
            Ok(()) => Ok(FolderLock { file }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "the data folder's file system has no locks; make sure that one server uses it"
                );
                Ok(FolderLock { file })
            }
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Whether a server runs on the folder, and where. Claims nothing: looking does not keep a server from starting.
    pub fn claim(&self) -> Claim {
        let Ok(mut file) = File::open(self.path.join(LOCK_FILE)) else { return Claim::None };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // A note is one line; what is not an address is no note.
                let read = io::Read::take(&mut file, 200).read_to_string(&mut note);
                Claim::Server(read.ok().and_then(|_| note.trim().parse().ok()))
            }
            Ok(()) | Err(TryLockError::Error(_)) => Claim::None,
        }
    }

    /// The master key: `given`, else the folder's `secret.key`, which is made (32 random bytes in base64, mode 0600) if
    /// there is no database yet. Make the database only after this.
    pub fn master_key(&self, given: Option<Secret>) -> Result<Secret, FolderError> {
        if let Some(key) = self.find_master_key(given)? {
            return Ok(key);
        }
        let path = self.key_file();
        // A new key could not open what the lost one sealed, so it would only hide the loss.
        if self.has_database()? {
            return Err(FolderError::MissingKey { key: path, database: self.database() });
        }
        let key = new_master_key();
        write_key(&path, &key).map_err(|source| FolderError::of(&path, &self.path, source))?;
        Ok(key)
    }

    /// The master key: `given`, else the folder's `secret.key`, else `None`.
    pub fn find_master_key(&self, given: Option<Secret>) -> Result<Option<Secret>, FolderError> {
        if given.is_some() {
            return Ok(given);
        }
        let path = self.key_file();
        let key = read_key(&path).map_err(|error| match error {
            FolderError::Unusable { path, source } => FolderError::of(&path, &self.path, source),
            other => other,
        })?;
        if key.is_some() {
            warn_if_others_can_read(&path);
        }
        Ok(key)
    }

    /// Makes an empty database file with mode 0600 if there is none; SQLite gives its side files the same mode.
    pub fn prepare_database(&self) -> Result<PathBuf, FolderError> {
        let path = self.database();
        private(OpenOptions::new().create(true).truncate(false).read(true).write(true))
            .open(&path)
            .map_err(|source| FolderError::of(&path, &self.path, source))?;
        Ok(path)
    }

    /// Whether the database file exists and has content.
    pub fn has_database(&self) -> Result<bool, FolderError> {
        let path = self.database();
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FolderError::of(&path, &self.path, source)),
        }
    }
}

/// A random master key: 32 bytes in base64.
pub fn new_master_key() -> Secret {
    let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
    Secret::new(STANDARD.encode(*bytes))
}

/// Reads a master key from a file; white space around it does not count. `None` if there is no such file.
pub fn read_key(path: &Path) -> Result<Option<Secret>, FolderError> {
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) if text.trim().chars().count() < LEAST_KEY_CHARS => {
            Err(FolderError::DamagedKey { path: path.into() })
        }
        Ok(text) => Ok(Some(Secret::new(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FolderError::Unusable { path: path.into(), source }),
    }
}

/// Writes a master key with mode 0600, in place of what may be there. A crash leaves either all of it or nothing under
/// its name; when this returns it is on the disk.
pub fn write_key(path: &Path, key: &Secret) -> io::Result<()> {
    let draft = backup::with_end(path, ".draft");
    let mut file = private(OpenOptions::new().create(true).truncate(true).write(true)).open(&draft)?;
    file.write_all(key.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    // The name itself must be on the disk before anything is sealed with the key.
    let path = std::path::absolute(path)?;
    sync_folder(path.parent().unwrap_or(&path))
}

/// Makes sure that the names in a folder are on the disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// `folder/name` with `end` after it, and a number between the two if that name is taken.
pub(super) fn unused(folder: &Path, name: &str, end: &str) -> PathBuf {
    let free = |path: &PathBuf| path.symlink_metadata().is_err();
    let first = folder.join(format!("{name}{end}"));
    if free(&first) {
        return first;
    }
    let numbered = (2_u64..).map(|number| folder.join(format!("{name}-{number}{end}")));
    // Numbers do not run out before names do.
    numbered.into_iter().find(free).unwrap_or(first)
}

/// Files made with these options can be read by their owner only.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn warn_if_others_can_read(path: &Path) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path)
        && std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0
    {
        tracing::warn!(file = %path.display(), "other users can read the master key: chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_kept_and_never_replaced_once_there_is_a_database() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("new/data");
        let folder = DataFolder::create(&path).unwrap();
        let key = folder.master_key(None).unwrap();
        assert_eq!(folder.master_key(None).unwrap().expose(), key.expose());
        let given = Secret::new("given");
        assert_eq!(folder.master_key(Some(given)).unwrap().expose(), "given");

        fs::write(folder.database(), "content").unwrap();
        fs::remove_file(path.join(KEY_FILE)).unwrap();
        assert!(matches!(folder.master_key(None), Err(FolderError::MissingKey { .. })));
        assert!(!path.join(KEY_FILE).exists());
        fs::write(path.join(KEY_FILE), "cut").unwrap();
        assert!(matches!(folder.master_key(None), Err(FolderError::DamagedKey { .. })));
    }

    #[test]
    fn a_second_claim_on_a_folder_is_refused_until_the_first_ends() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path()).unwrap();
        let claim = folder.lock().unwrap();
        assert!(matches!(folder.lock(), Err(FolderError::InUse { .. })));
        drop(claim);
        folder.lock().unwrap();
    }

    #[test]
    fn a_look_tells_who_has_claimed_the_folder_and_claims_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(parent.path()).unwrap();
        assert_eq!(folder.claim(), Claim::None);
        let mut claim = folder.lock().unwrap();
        assert_eq!(folder.claim(), Claim::Server(None));
        for address in ["127.0.0.1:31234", "[::1]:80"] {
            claim.note_address(address.parse().unwrap()).unwrap();
            assert_eq!(folder.claim(), Claim::Server(Some(address.parse().unwrap())));
        }
        drop(claim);
        assert_eq!(folder.claim(), Claim::None, "the note of a server that is gone says nothing");
        folder.lock().unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named_with_the_remedy() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("file"), "").unwrap();
        let error = DataFolder::create(&parent.path().join("file/data")).unwrap_err().to_string();
        assert!(error.contains("file/data") && error.contains("DATA_DIR"), "{error}");
    }

    #[test]
    fn a_refusal_of_the_system_becomes_the_command_that_helps() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path();
        let of = |folder: &Path, kind: io::ErrorKind| {
            FolderError::of(&folder.join(LOCK_FILE), folder, io::Error::from(kind)).to_string()
        };
        let user = format!("{}:{}", rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let text = of(folder, io::ErrorKind::PermissionDenied);
        assert!(text.ends_with(&format!(": sudo chown -R {user} {}", folder.display())), "{text}");
        let missing = folder.join("it's new");
        let text = of(&missing, io::ErrorKind::PermissionDenied);
        let word = format!("'{}/it'\\''s new'", folder.display());
        assert!(text.ends_with(&format!(": sudo mkdir -p {word} && sudo chown {user} {word}")), "{text}");
        let text = of(folder, io::ErrorKind::ReadOnlyFilesystem);
        assert!(text.contains("read-only") && !text.contains("chown"), "{text}");
        assert_eq!(shell_word("-x"), "'./-x'");
    }
}
