//! `onepool admin rotate-key`: a new master key.

use std::path::Path;

use clap::Command;

use super::{
    Failure,
    command::{folder_flags, option, verb},
    invocation::Invocation,
    output, runtime,
};
use crate::{
    i18n::{Messages, backup::Backup as Texts},
    model::{secret::Secret, time::Clock},
    storage::{
        self,
        folder::{self, DataFolder, FolderError},
        rotation::{self, RotateError},
    },
};

/// The verb of `onepool admin`.
pub const NAME: &str = "rotate-key";
const NEW_KEY_FILE: &str = "new-key-file";

/// Its shape.
pub fn command(m: Messages) -> Command {
    let examples =
        &["onepool admin rotate-key", "onepool admin rotate-key --new-key-file /etc/onepool/secret_key.new"];
    verb(NAME, m.backup.about_rotate_key(), examples, m)
        .arg(option(NEW_KEY_FILE, "FILE", m.backup.about_new_key_file(), m))
        .args(folder_flags(m))
}

/// Seals all secrets with a new key: the one in `new_key_file`, which is made if it does not exist, else a random one. Says
/// where it is, and what else the operator must change.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let config = call.config()?;
    let texts = call.m.backup;
    let new_key_file = call.text(NEW_KEY_FILE).map(Path::new);
    let clock = Clock::system();
    let given = config.secret_key.as_ref();
    if given.is_some() && new_key_file.is_none() {
        return Err(Failure::Usage(texts.name_a_key_file().to_owned()));
    }
    let folder = DataFolder::create(&config.data_dir)?;
    let lock = folder.lock()?;
    if !folder.has_database()? {
        return Err(FolderError::NoDatabase { path: config.data_dir.clone() }.into());
    }
    let runtime = runtime(call.m.cli)?;
    runtime.block_on(storage::settle(&folder, &lock, clock.now()))?;
    let new = new_key(new_key_file, texts)?;
    let rotated = runtime
        .block_on(rotation::rotate(&folder, &lock, given, &new, clock))
        .map_err(|error| explain(error, texts))?;

    let sealed = rotated.resealed;
    let mut lines =
        vec![texts.rotated(sealed.keys, sealed.token_values, sealed.channels, sealed.notice_targets)];
    match (given, new_key_file) {
        (Some(_), Some(file)) => {
            lines.push(texts.change_the_setting(&file.display().to_string()));
            lines.push(texts.keep_the_old_key().to_owned());
        }
        _ => {
            lines.push(texts.new_key_is_in(&folder.key_file().display().to_string()));
            lines.extend(rotated.old_key.map(|path| texts.old_key_is_in(&path.display().to_string())));
        }
    }
    output::print(&lines.join("\n"))
}

fn new_key(file: Option<&Path>, texts: Texts) -> Result<Secret, Failure> {
    let Some(file) = file else { return Ok(folder::new_master_key()) };
    match folder::read_key(file) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => {
            let key = folder::new_master_key();
            folder::write_key(file, &key)
                .map_err(|source| FolderError::Unusable { path: file.into(), source })?;
            Ok(key)
        }
        Err(FolderError::DamagedKey { path }) => {
            Err(Failure::Usage(texts.short_new_key(&path.display().to_string())))
        }
        Err(other) => Err(other.into()),
    }
}

fn explain(error: RotateError, texts: Texts) -> Failure {
    match error {
        RotateError::Folder(error) => error.into(),
        RotateError::Open(error) => error.into(),
        RotateError::Storage(error) => Failure::Text(texts.not_sealed_anew(&error.to_string())),
        RotateError::SameKey => Failure::Usage(texts.same_key().to_owned()),
    }
}
