//! The command line: one file or folder per command.
//!
//! To add a command: a file with an [`Entry`] (its shape and what runs it), a line in [`COMMANDS`], its texts, and a
//! heading in `docs/cli.md` and `docs/cli.zh-CN.md`. To add a verb to a command: a [`verb`](command::verb) in its
//! `command` function and an arm in its `run`.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command or a setting is wrong.

mod access_token;
mod admin;
mod apply;
mod ask;
mod backup;
mod budget;
mod budgets;
mod capacity;
mod chains;
mod channels;
mod check_config;
mod command;
mod completions;
mod diagnose;
mod explain;
mod export;
mod healthcheck;
mod invocation;
mod keys;
mod logging;
mod misuse;
mod models;
mod openclaw;
mod options;
mod output;
mod pause;
mod progress;
mod ranked;
mod repair;
mod restore;
mod rotate_key;
mod scan;
mod serve;
mod session;
mod setup;
mod simulate;
mod status;
mod tokens;
mod usage;
mod view;
mod when;

use std::process::ExitCode;

use crate::{
    app::StartError,
    config::{self, ConfigError},
    i18n::{Lang, Messages, cli::Cli},
    pool::input::Fault,
    storage::StorageError,
};
use command::Entry;
use invocation::Invocation;

/// Every command, in the order of `--help`.
static COMMANDS: &[Entry] = &[
    serve::ENTRY,
    setup::ENTRY,
    setup::AUTO,
    status::ENTRY,
    channels::ENTRY,
    keys::ENTRY,
    models::ENTRY,
    models::REFRESH,
    ranked::LIST,
    ranked::SWITCH,
    scan::ENTRY,
    chains::ENTRY,
    tokens::ENTRY,
    usage::ENTRY,
    budgets::ENTRY,
    capacity::ENTRY,
    capacity::EXPLAIN,
    openclaw::ENTRY,
    apply::ENTRY,
    export::ENTRY,
    simulate::ENTRY,
    repair::ENTRY,
    diagnose::ENTRY,
    backup::ENTRY,
    restore::ENTRY,
    admin::ENTRY,
    check_config::ENTRY,
    healthcheck::ENTRY,
    completions::ENTRY,
];

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// A setting cannot be used.
    Setting(ConfigError),
    /// The server could not start, or the data folder could not be opened.
    Start(StartError),
    /// The database did not do what was asked.
    Storage(StorageError),
    /// Values of options that cannot be used; each fault names its option.
    Options(Vec<Fault>),
    /// The command is used wrongly; in the user's language.
    Usage(String),
    /// A pool file cannot be used: its faults, one in a line, in the user's language.
    BadFile(String),
    /// Anything else, in the user's language.
    Text(String),
    /// It failed, and what was to be said has been said already.
    Told,
    /// Settings are wrong, and that has been said already.
    ToldWrong,
    /// The reader of our output went away, as `head` does: nothing is left to do.
    NobodyReads,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Setting(_)
            | Self::Options(_)
            | Self::Usage(_)
            | Self::BadFile(_)
            | Self::Start(StartError::PoolFile(_))
            | Self::ToldWrong => 2,
            Self::Start(_) | Self::Storage(_) | Self::Text(_) | Self::Told => 1,
            Self::NobodyReads => 0,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Setting(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl<E: Into<StartError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Start(error.into())
    }
}

/// Runs the command that the process was started with, and gives the exit code.
pub fn main() -> ExitCode {
    let m = Messages::of(language(config::environment));
    let matches = match command::command(m).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            match misuse::text(&error, m) {
                Some(text) => output::complain(&m.cli.error(&text)),
                // Help and version are "errors" of clap too; they go to stdout, with code 0. Nobody is left to tell if
                // the terminal is gone.
                None => drop(error.print()),
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let call = Invocation::new(&matches, m);
    let name = call.noun().unwrap_or(serve::ENTRY.name);
    let entry = COMMANDS.iter().find(|entry| entry.name == name).unwrap_or(&serve::ENTRY);
    match (entry.run)(&call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in explain::failure(&failure, m.cli) {
                match failure {
                    // Lines that begin with a place in a file, as editors and CI read them.
                    Failure::BadFile(_) | Failure::Start(StartError::PoolFile(_)) => output::complain(&line),
                    _ => output::complain(&m.cli.error(&line)),
                }
            }
            ExitCode::from(failure.code())
        }
    }
}

/// Every command that does something, by its words, such as `channels add`; for the test that compares them with the
/// documents.
pub fn command_names() -> Vec<String> {
    fn below(command: &clap::Command, words: &str, names: &mut Vec<String>) {
        for inner in command.get_subcommands() {
            let words = format!("{words}{}", inner.get_name());
            if inner.has_subcommands() {
                below(inner, &format!("{words} "), names);
            } else {
                names.push(words);
            }
        }
    }
    let mut names = Vec::new();
    below(&command::command(Messages::of(Lang::En)), "", &mut names);
    names
}

/// The language that the terminal asks for, by the precedence of POSIX.
fn language(environment: impl Fn(&str) -> Option<String>) -> Lang {
    Lang::of_terminal(environment)
}

/// A runtime for commands that do one thing.
fn runtime(t: Cli) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Text(t.system_failed(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_follows_the_locale_by_precedence() {
        let of = |pairs: &'static [(&str, &str)]| {
            language(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8")]), Lang::Zh);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "en_US.UTF-8")]), Lang::En);
        assert_eq!(of(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")]), Lang::Zh);
        assert_eq!(of(&[("LANG", "C")]), Lang::En);
        assert_eq!(of(&[]), Lang::En);
    }

    #[test]
    fn a_flag_is_taken_before_and_after_the_word_serve() {
        let port = |arguments: &[&str]| {
            let m = Messages::of(Lang::En);
            let matches = command::command(m).try_get_matches_from(arguments).unwrap();
            Invocation::new(&matches, m).config().unwrap().listen.port()
        };
        assert_eq!(port(&["onepool", "--port", "81"]), 81);
        assert_eq!(port(&["onepool", "serve", "--port", "82"]), 82);
        assert_eq!(port(&["onepool", "--port", "83", "serve"]), 83);
        assert_eq!(port(&["onepool", "--port", "84", "serve", "--port", "85"]), 85);
    }

    /// The words of a line as a shell splits them, up to a redirection or a pipe.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut quote, mut word) = (Vec::new(), false, None::<String>);
        for letter in line.chars() {
            match letter {
                '\'' => {
                    quote = !quote;
                    word.get_or_insert_default();
                }
                ' ' if !quote => words.extend(word.take()),
                '>' | '|' | '<' if !quote => break,
                letter => word.get_or_insert_default().push(letter),
            }
        }
        words.extend(word);
        words
    }

    #[test]
    fn every_example_of_the_help_and_of_the_documents_is_a_command_that_parses() {
        fn examples(command: &clap::Command, lines: &mut Vec<String>) {
            for inner in command.get_subcommands() {
                let after = inner.get_after_help().map(ToString::to_string);
                assert!(inner.has_subcommands() || after.is_some(), "{} has no example", inner.get_name());
                lines.extend(
                    after.iter().flat_map(|text| text.lines().skip(1)).map(|line| line.trim().to_owned()),
                );
                examples(inner, lines);
            }
        }
        let m = Messages::of(Lang::En);
        let mut lines = Vec::new();
        examples(&command::command(m), &mut lines);
        for document in [include_str!("../../docs/cli.md"), include_str!("../../docs/cli.zh-CN.md")] {
            let blocks = document.split("```").skip(1).step_by(2);
            lines.extend(blocks.flat_map(|block| block.lines().skip(1)).map(str::to_owned));
        }
        assert!(lines.len() > 80, "the examples are not found any more");
        for line in lines {
            let start = line.find("onepool").unwrap_or_else(|| panic!("{line}"));
            let parsed = command::command(m).try_get_matches_from(words(&line[start..]));
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }
}
