//! Operators' data files in a folder of the data folder: which there are, and what they say.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;

use crate::provider::{DataFault, MAX_FILE_BYTES, MAX_FILES};

/// The most faults that are kept to be shown; the first ones tell what to do.
const MAX_FAULTS: usize = 20;

/// What is made of files: of their names and texts, over what is embedded.
type Make<T> = fn(&[(String, String)]) -> Result<T, Vec<DataFault>>;

/// What a folder's files say, followed while they change. If one of them is malformed, none counts, and what was right
/// before holds. Cheap to clone; all clones see the same.
pub(super) struct Followed<T> {
    folder: Arc<Folder>,
    current: Arc<ArcSwap<T>>,
    faults: Arc<ArcSwap<Vec<DataFault>>>,
    /// The files that were read last, whether they were right or not. Held while they are read.
    read: Arc<Mutex<Vec<Listed>>>,
    make: Make<T>,
}

impl<T> Clone for Followed<T> {
    fn clone(&self) -> Self {
        let (folder, current) = (self.folder.clone(), self.current.clone());
        Self { folder, current, faults: self.faults.clone(), read: self.read.clone(), make: self.make }
    }
}

impl<T> Followed<T> {
    /// Reads the files of the folder `name` in a data folder, over what is embedded.
    pub(super) fn open(data_folder: &Path, name: &'static str, embedded: T, make: Make<T>) -> Self {
        let followed = Self {
            folder: Arc::new(Folder::new(data_folder, name)),
            current: Arc::new(ArcSwap::from_pointee(embedded)),
            faults: Arc::default(),
            read: Arc::default(),
            make,
        };
        followed.follow();
        followed
    }

    /// What is in force: the same, by address, until a file changes.
    pub(super) fn load(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// What is wrong with the files as they are now, at most 20 faults.
    pub(super) fn faults(&self) -> Arc<Vec<DataFault>> {
        self.faults.load_full()
    }

    /// Reads the files again if one came, went, or has another time or length than before. Says whether what is in force
    /// changed. Blocks: a listing of the folder, and seldom more.
    pub(super) fn follow(&self) -> bool {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = match self.folder.list() {
            Ok(listed) => listed,
            Err(fault) => {
                self.refuse(vec![fault]);
                return false;
            }
        };
        let folder = self.folder.name;
        if *read == listed && self.faults().iter().all(|fault| fault.file != folder) {
            return false;
        }
        read.clone_from(&listed);
        match self.folder.read(&listed).and_then(|files| (self.make)(&files)) {
            Ok(made) => {
                self.current.store(Arc::new(made));
                self.faults.store(Arc::default());
                let files: Vec<&str> = listed.iter().map(|Listed(name, ..)| name.as_str()).collect();
                if !files.is_empty() {
                    tracing::info!(folder, ?files, "read files of the data folder");
                }
                true
            }
            Err(faults) => {
                self.refuse(faults);
                false
            }
        }
    }

    /// Notes faults, and logs those that are new.
    fn refuse(&self, mut faults: Vec<DataFault>) {
        faults.truncate(MAX_FAULTS);
        if *self.faults() == faults {
            return;
        }
        for fault in &faults {
            tracing::error!(
                folder = self.folder.name, %fault, "a file of the data folder is wrong; what was in force before stays so"
            );
        }
        self.faults.store(Arc::new(faults));
    }
}

/// A folder of `.json` files.
struct Folder {
    name: &'static str,
    path: PathBuf,
}

/// A file as the folder lists it: its name, and what tells that it was changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Listed(String, Option<SystemTime>, u64);

impl Folder {
    /// The folder of this name in a data folder; it need not exist.
    fn new(data_folder: &Path, name: &'static str) -> Self {
        Self { name, path: data_folder.join(name) }
    }

    /// The `.json` files, by name; none if there is no folder. A fault of the folder has its name as that of the file.
    fn list(&self) -> Result<Vec<Listed>, DataFault> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.fault(self.name, &error)),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| self.fault(self.name, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Editors keep copies beside a file, which begin with a dot.
            if !name.ends_with(".json") || name.starts_with('.') {
                continue;
            }
            // A link counts as what it leads to; anything but a file could block whoever reads it.
            let metadata = fs::metadata(entry.path()).map_err(|error| self.fault(&name, &error))?;
            if metadata.is_file() {
                listed.push(Listed(name, metadata.modified().ok(), metadata.len()));
            }
            // One too many is enough to be told so.
            if listed.len() > MAX_FILES {
                break;
            }
        }
        listed.sort();
        Ok(listed)
    }

    /// The files' names and texts. What is longer than a file may be is cut behind that, so that it is told.
    fn read(&self, listed: &[Listed]) -> Result<Vec<(String, String)>, Vec<DataFault>> {
        if listed.len() > MAX_FILES {
            let message = format!("there are more than {MAX_FILES} files; remove some");
            return Err(vec![DataFault { file: self.name.into(), place: "the folder".into(), message }]);
        }
        let mut files = Vec::new();
        let mut faults = Vec::new();
        for Listed(name, ..) in listed {
            let mut text = String::new();
            let most = MAX_FILE_BYTES as u64 + 1;
            match File::open(self.path.join(name)).and_then(|file| file.take(most).read_to_string(&mut text))
            {
                Ok(_) => files.push((name.clone(), text)),
                Err(error) => faults.push(self.fault(name, &error)),
            }
        }
        if faults.is_empty() { Ok(files) } else { Err(faults) }
    }

    fn fault(&self, file: &str, error: &io::Error) -> DataFault {
        let place = if file == self.name { "the folder" } else { "the file" };
        DataFault { file: file.into(), place: place.into(), message: format!("cannot be read: {error}") }
    }
}
