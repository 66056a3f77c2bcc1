//! Operators' data files in a folder of the data folder: which there are, and what they say.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::provider::{DataFault, MAX_FILE_BYTES, MAX_FILES};

/// The most faults that are kept to be shown; the first ones tell what to do.
pub(super) const MAX_FAULTS: usize = 20;

/// A folder of `.json` files.
pub(super) struct Folder {
    name: &'static str,
    path: PathBuf,
}

/// A file as the folder lists it: its name, and what tells that it was changed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed(String, Option<SystemTime>, u64);

impl Listed {
    /// The file's name.
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

impl Folder {
    /// The folder of this name in a data folder; it need not exist.
    pub(super) fn new(data_folder: &Path, name: &'static str) -> Self {
        Self { name, path: data_folder.join(name) }
    }

    /// The `.json` files, by name; none if there is no folder. A fault of the folder has its name as that of the file.
    pub(super) fn list(&self) -> Result<Vec<Listed>, DataFault> {
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
    pub(super) fn read(&self, listed: &[Listed]) -> Result<Vec<(String, String)>, Vec<DataFault>> {
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
