//! `onepool backup`: copies the database, while a server runs or not.

use std::path::{Path, PathBuf};

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, positional, switch, verb},
    invocation::Invocation,
    output, runtime,
};
use crate::{
    i18n::{Messages, backup::Backup as Texts},
    model::time::Clock,
    relay::recorder,
    storage::{
        Contents, Db,
        backup::{BackupError, stamp},
        folder::DataFolder,
        vault::Vault,
    },
};

/// `onepool backup`.
pub const ENTRY: Entry = Entry { name: "backup", command, run };
const PATH: &str = "path";
const JSON: &str = "json";

fn command(m: Messages) -> Command {
    let examples = &["onepool backup", "onepool backup /mnt/backups --json"];
    verb(ENTRY.name, m.backup.about_backup(), examples, m)
        .arg(positional(PATH, m.backup.about_path(), m).value_name("PATH").required(false))
        .arg(switch(JSON, m.backup.about_json(), m))
        .args(folder_flags(m))
}

/// Makes a backup: at the path that is named, in the folder that is named, or in the data folder's `backups`. Prints where it is, its size and what
/// it holds.
fn run(call: &Invocation) -> Result<(), Failure> {
    let config = call.config()?;
    let (texts, t) = (call.m.backup, call.m.cli);
    let path = call.text(PATH).map(Path::new);
    let clock = Clock::system();
    let (made, key_file) = runtime(t)?.block_on(async {
        let folder = DataFolder::existing(&config.data_dir)?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let db = Db::open_existing(&folder.database(), Vault::new(&master_key), clock.clone()).await?;
        let target: PathBuf = match path {
            Some(path) if path.is_dir() => path.join(format!("onepool-{}.db", stamp(clock.now()))),
            Some(path) => path.into(),
            None => folder.new_backup(clock.now())?,
        };
        let made = recorder::backup::make(&db, &folder.journal(), &target).await;
        db.close().await;
        Ok::<_, Failure>((made.map_err(|error| Failure::Text(explain(&error, texts)))?, folder.key_file()))
    })?;
    let system_failed = |error: std::io::Error| Failure::Text(t.system_failed(&error.to_string()));
    let text = if call.is_on(JSON) {
        serde_json::to_string(&made).map_err(|error| system_failed(error.into()))?
    } else {
        let keep = match config.secret_key {
            None => texts.key_is_not_in_it(&key_file.display().to_string()),
            Some(_) => texts.given_key_is_not_in_it().to_owned(),
        };
        let line = texts.made(&made.path.display().to_string(), made.bytes);
        format!("{line}\n{}\n{keep}", contents(&made.contents, texts))
    };
    output::print(&text)
}

/// What a database holds, in one line.
pub fn contents(contents: &Contents, texts: Texts) -> String {
    let Contents { schema, accounts, channels, keys, tokens, usage_rows } = *contents;
    texts.contents(accounts, channels, keys, tokens, usage_rows, schema)
}

fn explain(error: &BackupError, texts: Texts) -> String {
    match error {
        BackupError::Exists { path } => texts.exists(&path.display().to_string()),
        BackupError::Unwritable { path, reason } => texts.unwritable(&path.display().to_string(), reason),
        BackupError::Damaged { reason } => texts.copy_damaged(reason),
        BackupError::Journal { reason } => texts.journal(reason),
    }
}
