//! The first steps on the command line: `onepool setup` asks for them, `onepool auto` takes them without a question. Both can
//! be run again: what is there already stays.

mod auto;
mod questions;
mod report;
mod steps;

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, option, switch, verb},
    invocation::Invocation,
};
use crate::{i18n::Messages, model::token::ClientProfile};

/// `onepool setup`.
pub const ENTRY: Entry = Entry { name: "setup", command, run: questions::run };
/// `onepool auto`.
pub const AUTO: Entry = Entry { name: "auto", command: auto_command, run: auto::run };

/// The name of the token that is made if there is none.
const TOKEN: &str = "openclaw";

fn command(m: Messages) -> Command {
    let t = m.onboarding;
    verb(ENTRY.name, t.about_setup(), &["onepool setup", "onepool setup --url https://pool.example.com"], m)
        .args(flags(m))
        .args(folder_flags(m))
}

fn auto_command(m: Messages) -> Command {
    let t = m.onboarding;
    let examples = &[
        "onepool auto",
        "onepool auto --keys keys.env --dry-run",
        "printenv OPENROUTER_API_KEY | onepool auto --keys - --json",
    ];
    verb(AUTO.name, t.about_auto(), examples, m)
        .arg(option("keys", "FILE", t.about_keys_file(), m))
        .arg(switch("dry-run", t.about_dry_run(), m))
        .args(flags(m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn flags(m: Messages) -> [clap::Arg; 4] {
    let t = m.onboarding;
    [
        switch("all-models", t.about_all_models(), m),
        option("token", "NAME", t.about_token(), m),
        option("profile", "generic|openclaw", t.about_profile(), m),
        option("url", "URL", m.help.openclaw_url(), m),
    ]
}

/// The profile of a token that is made.
fn profile(call: &Invocation) -> Result<ClientProfile, Failure> {
    let Some(word) = call.text("profile") else { return Ok(ClientProfile::OpenClaw) };
    ClientProfile::from_name(word).ok_or_else(|| {
        let words: Vec<String> = ClientProfile::ALL.iter().map(ToString::to_string).collect();
        Failure::option("--profile", call.m.cli.give_one_of(&words.join(", ")))
    })
}
