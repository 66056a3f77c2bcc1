//! A pool file on the disk or on standard input, and its faults as lines for people.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    file::{FileFault, Format, MAX_BYTES, Source},
    scenario::ScenarioFile,
    secrets::Sources,
};
use crate::{i18n::Messages, model::printable::printable};

/// The text of a pool file.
pub struct Document {
    name: String,
    folder: PathBuf,
    format: Format,
    text: Zeroizing<String>,
}

/// A fault of a file, as scripts read it.
#[derive(Debug, Serialize)]
pub struct Complaint {
    /// The file.
    pub file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The character in the line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The path of the field; empty if the fault is not at a field.
    pub field: String,
    /// What is wrong and what to do, in the reader's language.
    pub message: String,
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.message)
    }
}

impl Document {
    /// Reads a file; its extension names its format. On an error says what to do.
    pub fn of_path(path: &Path, t: Messages) -> Result<Self, String> {
        let name = path.display().to_string();
        let format = Format::of_path(path).ok_or_else(|| t.pool_file.unknown_extension(&name))?;
        let file = File::open(path).map_err(|error| t.pool_file.cannot_read(&name, &error.to_string()))?;
        let text = read(file, &name, t)?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { name, folder, format, text })
    }

    /// Reads a stream, such as standard input; what it begins with tells its format, and relative paths begin at the
    /// current folder.
    pub fn of_stream(stream: impl Read, t: Messages) -> Result<Self, String> {
        let name = t.pool_file.stdin_name().to_owned();
        let text = read(stream, &name, t)?;
        Ok(Self { name, folder: PathBuf::new(), format: Format::of_text(&text), text })
    }

    /// Understands the text, and fetches the secrets that it names.
    pub fn source(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
        t: Messages,
    ) -> Result<Source<'_>, Vec<FileFault>> {
        let sources = Sources { folder: self.folder.clone(), environment };
        Source::read(&self.text, self.format, &sources, t)
    }

    /// Understands the text as a scenario for `onepool simulate`.
    pub fn scenario(&self, t: Messages) -> Result<ScenarioFile, Vec<FileFault>> {
        ScenarioFile::read(&self.text, self.format, t)
    }

    /// Faults with the file's name.
    pub fn complaints(&self, faults: Vec<FileFault>) -> Vec<Complaint> {
        let complaint = |fault: FileFault| Complaint {
            file: self.name.clone(),
            line: fault.place.map(|place| place.line),
            column: fault.place.map(|place| place.column),
            field: printable(&fault.fault.field).into_owned(),
            message: printable(&fault.fault.message).into_owned(),
        };
        faults.into_iter().map(complaint).collect()
    }
}

fn read(stream: impl Read, name: &str, t: Messages) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    match stream.take(MAX_BYTES as u64 + 1).read_to_string(&mut text) {
        Ok(length) if length > MAX_BYTES => Err(t.pool_file.too_large(name, MAX_BYTES >> 20)),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(t.pool_file.not_utf8(name)),
        Err(error) => Err(t.pool_file.cannot_read(name, &error.to_string())),
    }
}
