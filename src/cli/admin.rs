//! `onepool admin`: accounts, for an operator who cannot log in.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use clap::Command;

use super::{
    Failure, access_token,
    command::{Entry, folder_flags, noun, option, verb},
    invocation::Invocation,
    output::{clean, print},
    rotate_key,
    session::on_folder,
};
use crate::{
    app::FIRST_ACCOUNT,
    i18n::Messages,
    storage::{StorageError, password},
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
        .subcommand(access_token::command(m))
        .subcommand(rotate_key::command(m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some(access_token::NAME) => access_token::run(call),
        Some(rotate_key::NAME) => rotate_key::run(call),
        // Clap takes no other verb.
        _ => reset_password(call, call.text(USER).unwrap_or(FIRST_ACCOUNT)),
    }
}

/// Gives an account a random password and prints it on stdout. A running server knows it from then on.
fn reset_password(call: &Invocation, name: &str) -> Result<(), Failure> {
    let t = call.m.cli;
    let new = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>());
    on_folder(call, async |session| match session.db.reset_password(name, &password::hash(&new)).await {
        Ok(()) => print(&t.password_reset(&clean(name), &new)),
        Err(StorageError::Missing) => {
            let names = session.db.account_names().await?;
            Err(Failure::Text(if names.is_empty() {
                t.no_account_yet().to_owned()
            } else {
                t.no_such_account(&clean(name), &clean(&names.join(", ")))
            }))
        }
        Err(error) => Err(error.into()),
    })
}
