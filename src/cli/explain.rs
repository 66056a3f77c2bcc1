//! Faults that stop a command, in the user's language.

use super::Failure;
use crate::{
    app::StartError,
    i18n::{Messages, cli::Cli, log::Log},
    storage::{
        OpenError, StorageError,
        folder::{FolderError, remedy},
    },
};

/// What to print for a failure, line by line.
pub fn failure(failure: &Failure, t: Cli) -> Vec<String> {
    match failure {
        Failure::Setting(error) => vec![t.bad_setting(&error.name, &error.problem.text(t.0))],
        Failure::Start(error) => vec![start(error, t)],
        Failure::Storage(error) => vec![storage(error, t)],
        Failure::Options(faults) => {
            faults.iter().map(|fault| t.bad_option(&fault.field, &fault.message)).collect()
        }
        Failure::Usage(text) | Failure::Text(text) => vec![text.clone()],
        Failure::Told | Failure::ToldWrong | Failure::NobodyReads => Vec::new(),
    }
}

fn storage(error: &StorageError, t: Cli) -> String {
    match error {
        StorageError::Missing => t.gone_meanwhile().to_owned(),
        StorageError::TooSlow => Log(t.0).too_slow().to_owned(),
        other => t.database_failed(&other.to_string()),
    }
}

fn start(error: &StartError, t: Cli) -> String {
    match error {
        StartError::Folder(error) => folder(error, t),
        StartError::Open(error) => open(error, t),
        StartError::Storage { path, source } => {
            t.database_unusable(&path.display().to_string(), &source.to_string())
        }
        StartError::Listen { address, source } => t.cannot_listen(&address.to_string(), &source.to_string()),
    }
}

fn folder(error: &FolderError, t: Cli) -> String {
    match error {
        FolderError::Unusable { path, source } => {
            t.folder_unusable(&path.display().to_string(), &source.to_string())
        }
        FolderError::NotPermitted { path, folder, missing, uid, gid } => t.folder_not_permitted(
            &path.display().to_string(),
            &folder.display().to_string(),
            &remedy(folder, *missing, *uid, *gid),
            *uid,
            *gid,
        ),
        FolderError::ReadOnly { path } => t.folder_read_only(&path.display().to_string()),
        FolderError::InUse { path } => t.folder_in_use(&path.display().to_string()),
        FolderError::MissingKey { key, database } => {
            t.key_missing(&key.display().to_string(), &database.display().to_string())
        }
        FolderError::DamagedKey { path } => t.key_damaged(&path.display().to_string()),
        FolderError::Unfinished { path } => Messages::of(t.0).backup.unfinished(&path.display().to_string()),
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
