//! `onepool admin`: accounts, for an operator who cannot log in.

use std::io::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, noun, option, verb},
    invocation::Invocation,
    rotate_key, runtime,
};
use crate::{
    app::{FIRST_ACCOUNT, StartError},
    config::Config,
    i18n::{Messages, cli::Cli},
    model::time::Clock,
    storage::{Db, StorageError, folder::DataFolder, password, vault::Vault},
};

/// `onepool admin`.
pub const ENTRY: Entry = Entry { name: "admin", command, run };
const RESET_PASSWORD: &str = "reset-password";
const USER: &str = "user";

fn command(m: Messages) -> Command {
    let t = m.cli;
    let about_user = format!("{} {}", t.about_user(), t.help_default(FIRST_ACCOUNT));
    let examples = &["onepool admin reset-password", "onepool admin reset-password --user alice"];
    let reset_password = verb(RESET_PASSWORD, t.about_reset_password(), examples, m)
        .arg(option(USER, "NAME", about_user, m))
        .args(folder_flags(m));
    noun(ENTRY.name, t.about_admin(), m)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(reset_password)
        .subcommand(rotate_key::command(m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let config = call.config()?;
    match call.verb() {
        Some(rotate_key::NAME) => rotate_key::run(&config, call),
        // Clap takes no other verb.
        _ => reset_password(&config, call.text(USER).unwrap_or(FIRST_ACCOUNT), call.m.cli),
    }
}

/// Gives an account a random password and prints it on stdout. A running server knows it from then on.
fn reset_password(config: &Config, name: &str, t: Cli) -> Result<(), Failure> {
    let new = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>());
    runtime(t)?.block_on(async {
        let folder = DataFolder::existing(&config.data_dir)?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let path = folder.database();
        let db = Db::open_existing(&path, Vault::new(&master_key), Clock::system()).await?;
        let result = reset(&db, name, &password::hash(&new), t).await;
        db.close().await;
        result.map_err(|failure| match failure {
            ResetFailure::Told(text) => Failure::Text(text),
            ResetFailure::Storage(source) => StartError::Storage { path, source }.into(),
        })
    })?;
    writeln!(std::io::stdout(), "{}", t.password_reset(name, &new))
        .map_err(|error| Failure::Text(t.system_failed(&error.to_string())))
}

enum ResetFailure {
    Told(String),
    Storage(StorageError),
}

impl From<StorageError> for ResetFailure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn reset(db: &Db, name: &str, hash: &str, t: Cli) -> Result<(), ResetFailure> {
    match db.reset_password(name, hash).await {
        Err(StorageError::Missing) => {
            let names = db.account_names().await?;
            Err(ResetFailure::Told(if names.is_empty() {
                t.no_account_yet().to_owned()
            } else {
                t.no_such_account(name, &names.join(", "))
            }))
        }
        other => Ok(other?),
    }
}
