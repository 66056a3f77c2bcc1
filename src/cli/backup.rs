//! `onepool backup`: copies the database, while a server runs or not.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Failure, runtime};
use crate::{
    config::Config,
    i18n::{Messages, backup::Backup as Texts, cli::Cli},
    model::time::Clock,
    relay::recorder,
    storage::{
        Contents, Db,
        backup::{BackupError, stamp},
        folder::DataFolder,
        vault::Vault,
    },
};

/// Makes a backup: at `path`, in the folder `path`, or in the data folder's `backups`. Prints where it is, its size and what
/// it holds.
pub fn run(config: &Config, path: Option<&Path>, json: bool, t: Cli) -> Result<(), Failure> {
    let texts = Messages::of(t.0).backup;
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
    let text = if json {
        serde_json::to_string(&made).map_err(|error| system_failed(error.into()))?
    } else {
        let keep = match config.secret_key {
            None => texts.key_is_not_in_it(&key_file.display().to_string()),
            Some(_) => texts.given_key_is_not_in_it().to_owned(),
        };
        let line = texts.made(&made.path.display().to_string(), made.bytes);
        format!("{line}\n{}\n{keep}", contents(&made.contents, texts))
    };
    writeln!(std::io::stdout(), "{text}").map_err(system_failed)
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
