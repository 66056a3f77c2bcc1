//! `onepool restore`: puts a backup in the place of the data folder's database.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use clap::Command;

use super::{
    Failure, ask, backup,
    command::{Entry, folder_flags, positional, switch, verb},
    invocation::Invocation,
    output, runtime,
};
use crate::{
    i18n::{Messages, backup::Backup as Texts},
    model::time::Clock,
    storage::{
        self,
        folder::DataFolder,
        restore::{self, RestoreError},
    },
};

/// `onepool restore`.
pub const ENTRY: Entry = Entry { name: "restore", command, run };
const FILE: &str = "file";
const YES: &str = "yes";

fn command(m: Messages) -> Command {
    let examples = &[
        "onepool restore onepool-20260131-180000.db",
        "onepool restore --data-dir ./new --secret-key-file ./secret.key backup.db",
    ];
    verb(ENTRY.name, m.backup.about_restore(), examples, m)
        .arg(positional(FILE, m.backup.about_file(), m).value_name("FILE"))
        .arg(switch(YES, m.backup.about_yes(), m))
        .args(folder_flags(m))
}

/// Restores the file that is named. If there is a database in the folder, it asks at the terminal, unless `--yes` is given.
fn run(call: &Invocation) -> Result<(), Failure> {
    let config = call.config()?;
    let (texts, t) = (call.m.backup, call.m.cli);
    let file = Path::new(call.required(FILE));
    let yes = call.is_on(YES);
    let now = Clock::system().now();
    let data = config.data_dir.display().to_string();
    let folder = DataFolder::create(&config.data_dir)?;
    let lock = folder.lock()?;
    let runtime = runtime(t)?;
    runtime.block_on(storage::settle(&folder, &lock, now))?;
    let asks = folder.has_database()? && !yes;
    if asks && !io::stdin().is_terminal() {
        return Err(Failure::Usage(texts.say_yes(&data)));
    }
    let failed = |error| explain(error, texts);
    let prepared = runtime
        .block_on(restore::prepare(&folder, &lock, file, config.secret_key.as_ref()))
        .map_err(failed)?;
    let contents = backup::contents(&prepared.contents, texts);
    if asks {
        ask::confirm(call, &texts.question(&data, &contents))?;
    }
    let changes_key = prepared.changes_key;
    let restored = prepared.commit(now).map_err(failed)?;

    let mut lines = vec![texts.restored(&file.display().to_string(), &data), contents];
    lines.extend(restored.moved_to.map(|path| texts.moved(&path.display().to_string())));
    lines.push(texts.sessions_ended().to_owned());
    if changes_key {
        lines.push(texts.key_changed(&folder.key_file().display().to_string()));
    } else if config.secret_key.is_some() && !folder.key_file().exists() {
        lines.push(texts.start_with_given_key().to_owned());
    }
    output::print(&lines.join("\n"))
}

fn explain(error: RestoreError, texts: Texts) -> Failure {
    let shown = |path: &Path| path.display().to_string();
    Failure::Text(match error {
        RestoreError::Folder(error) => return error.into(),
        RestoreError::Unreadable { path, source } => texts.unreadable(&shown(&path), &source.to_string()),
        RestoreError::Damaged { path, reason } => texts.damaged(&shown(&path), &reason),
        RestoreError::NoDatabase { path } => texts.no_database(&shown(&path)),
        RestoreError::NotOurs { path } => texts.not_ours(&shown(&path)),
        RestoreError::NewerSchema { path, found, known } => texts.newer(&shown(&path), found, known),
        RestoreError::NoKey { path, key } => texts.no_key(&shown(&path), &shown(&key)),
        RestoreError::WrongMasterKey { path } => texts.wrong_key(&shown(&path)),
        RestoreError::Unwritable { path, source } => {
            texts.restore_unwritable(&shown(&path), &source.to_string())
        }
    })
}
