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

use crate::model::secret::Secret;

const DATABASE: &str = "onepool.db";
const KEY_FILE: &str = "secret.key";
const LOCK_FILE: &str = "onepool.lock";
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
        builder.create(path).map_err(|source| FolderError::Unusable { path: path.into(), source })?;
        Ok(Self { path: path.into() })
    }

    /// Uses a folder in which a server has made a database.
    pub fn existing(path: &Path) -> Result<Self, FolderError> {
        let folder = Self { path: path.into() };
        if folder.has_database()? { Ok(folder) } else { Err(FolderError::NoDatabase { path: path.into() }) }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Claims the folder for this process. Two servers on one folder would each believe that they alone count quotas.
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        let path = self.path.join(LOCK_FILE);
        let unusable = |source| FolderError::Unusable { path: path.clone(), source };
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
        if let Some(key) = given {
            return Ok(key);
        }
        let path = self.path.join(KEY_FILE);
        match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => {
                warn_if_others_can_read(&path);
                let key = text.trim();
                if key.chars().count() < LEAST_KEY_CHARS {
                    return Err(FolderError::DamagedKey { path });
                }
                Ok(Secret::new(key))
            }
            // A new key could not open what the lost one sealed, so it would only hide the loss.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.has_database()? => {
                Err(FolderError::MissingKey { key: path, database: self.database() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
                let key = Secret::new(STANDARD.encode(*bytes));
                self.write_key(&path, &key).map_err(|source| FolderError::Unusable { path, source })?;
                Ok(key)
            }
            Err(source) => Err(FolderError::Unusable { path, source }),
        }
    }

    /// Makes an empty database file with mode 0600 if there is none; SQLite gives its side files the same mode.
    pub fn prepare_database(&self) -> Result<PathBuf, FolderError> {
        let path = self.database();
        private(OpenOptions::new().create(true).truncate(false).read(true).write(true))
            .open(&path)
            .map_err(|source| FolderError::Unusable { path: path.clone(), source })?;
        Ok(path)
    }

    /// Whether the database file exists and has content.
    fn has_database(&self) -> Result<bool, FolderError> {
        let path = self.database();
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FolderError::Unusable { path, source }),
        }
    }

    /// Writes the key so that a crash leaves either all of it or nothing under its name.
    fn write_key(&self, path: &Path, key: &Secret) -> io::Result<()> {
        let draft = path.with_extension("key.new");
        let mut file = private(OpenOptions::new().create(true).truncate(true).write(true)).open(&draft)?;
        file.write_all(key.expose().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        // The name itself must be on the disk before the first secret is sealed.
        #[cfg(unix)]
        File::open(&self.path)?.sync_all()?;
        Ok(())
    }
}

/// Files made with these options can be read by their owner only.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
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
}
