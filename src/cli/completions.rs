//! `onepool completions`: the script that lets a shell complete commands and options.

use clap::{Command, builder::PossibleValuesParser};
use clap_complete::Shell;

use super::{
    Failure,
    command::{self, Entry, positional, verb},
    invocation::Invocation,
    output::print_raw,
};
use crate::i18n::Messages;

const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

/// `onepool completions`.
pub const ENTRY: Entry = Entry { name: "completions", command, run };

fn command(m: Messages) -> Command {
    let examples = &[
        "onepool completions bash > ~/.local/share/bash-completion/completions/onepool",
        "onepool completions zsh > ~/.zfunc/_onepool",
    ];
    verb(ENTRY.name, m.help.completions(), examples, m)
        .arg(positional("SHELL", m.help.shell(), m).value_parser(PossibleValuesParser::new(SHELLS)))
}

/// Prints the script for a shell.
fn run(call: &Invocation) -> Result<(), Failure> {
    // Clap takes no other word.
    let shell: Shell = call.required("SHELL").parse().unwrap_or(Shell::Bash);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command::command(call.m), "onepool", &mut script);
    print_raw(&String::from_utf8_lossy(&script))
}
