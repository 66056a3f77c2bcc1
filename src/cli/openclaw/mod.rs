//! `onepool openclaw`: OpenClaw as a client of this server.

mod apply;
mod export;
mod local;
mod probe;
mod status;

use clap::Command;

use super::{
    Failure,
    command::{Entry, noun},
    invocation::Invocation,
};
use crate::i18n::Messages;

pub use export::{base_url, make, usual_token};

/// `onepool openclaw`.
pub const ENTRY: Entry = Entry { name: "openclaw", command, run };

fn command(m: Messages) -> Command {
    noun(ENTRY.name, m.help.openclaw(), m)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(export::command(m))
        .subcommand(apply::command(m))
        .subcommand(status::command(m))
        .subcommand(probe::command(m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("apply") => apply::run(call),
        Some("status") => status::run(call),
        Some("probe") => probe::run(call),
        _ => export::run(call),
    }
}
