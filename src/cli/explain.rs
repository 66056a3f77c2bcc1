//! Faults that stop a command, in the user's language.

use super::Failure;
use crate::{
    app::StartError,
    i18n::cli::Cli,
    storage::{OpenError, folder::FolderError},
};

/// What to print for a failure.
pub fn failure(failure: &Failure, t: Cli) -> String {
    match failure {
        Failure::Setting(error) => t.bad_setting(&error.name, &error.problem.text(t.0)),
        Failure::Start(error) => start(error, t),
        Failure::BadFile(text) | Failure::Text(text) => text.clone(),
    }
}

fn start(error: &StartError, t: Cli) -> String {
    match error {
        StartError::Folder(error) => folder(error, t),
        StartError::Open(error) => open(error, t),
        StartError::Storage { path, source } => {
            t.database_unusable(&path.display().to_string(), &source.to_string())
        }
        StartError::PoolFile(text) => text.clone(),
        StartError::Listen { address, source } => t.cannot_listen(&address.to_string(), &source.to_string()),
    }
}

fn folder(error: &FolderError, t: Cli) -> String {
    match error {
        FolderError::Unusable { path, source } => {
            t.folder_unusable(&path.display().to_string(), &source.to_string())
        }
        FolderError::InUse { path } => t.folder_in_use(&path.display().to_string()),
        FolderError::MissingKey { key, database } => {
            t.key_missing(&key.display().to_string(), &database.display().to_string())
        }
        FolderError::DamagedKey { path } => t.key_damaged(&path.display().to_string()),
        FolderError::NoDatabase { path } => t.no_database(&path.display().to_string()),
    }
}

fn open(error: &OpenError, t: Cli) -> String {
    match error {
        OpenError::Unusable { path, reason } => t.database_unusable(&path.display().to_string(), reason),
        OpenError::NewerSchema { path, found, known } => {
            t.schema_newer(&path.display().to_string(), *found, *known)
        }
        OpenError::OlderSchema { path } => t.schema_older(&path.display().to_string()),
        OpenError::WrongMasterKey { path } => t.key_wrong(&path.display().to_string()),
        OpenError::Failed { path, source } => {
            t.database_unusable(&path.display().to_string(), &source.to_string())
        }
    }
}
