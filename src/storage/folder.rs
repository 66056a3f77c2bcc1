//! The data folder: who may read it, which process owns it, and where the master key comes from.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::model::secret::Secret;

const DATABASE: &str = "onepool.db";
const KEY_FILE: &str = "secret.key";
const LOCK_FILE: &str = "onepool.lock";
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
    _file: File,
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
        let unusable = |source| FolderError::of(&path, &self.path, source);
        let file = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: self.path.clone() }),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "the data folder's file system has no locks; make sure that one server uses it"
                );
                Ok(FolderLock { _file: file })
            }
            Err(TryLockError::Error(source)) => Err(unusable(source)),
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
                self.write_key(&path, &key).map_err(|source| FolderError::of(&path, &self.path, source))?;
                Ok(key)
            }
            Err(source) => Err(FolderError::of(&path, &self.path, source)),
        }
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
    fn has_database(&self) -> Result<bool, FolderError> {
        let path = self.database();
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FolderError::of(&path, &self.path, source)),
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
