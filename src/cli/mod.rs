//! The command line: one file or folder per command.
//!
//! To add a command: a file with an [`Entry`] (its shape and what runs it), a line in [`COMMANDS`], its texts, and a
//! heading in `docs/cli.md` and `docs/cli.zh-CN.md`. To add a verb to a command: a [`verb`](command::verb) in its
//! `command` function and an arm in its `run`.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command or a setting is wrong.

mod access_token;
mod admin;
mod backup;
mod command;
mod explain;
mod healthcheck;
mod invocation;
mod logging;
mod output;
mod restore;
mod rotate_key;
mod serve;

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
static COMMANDS: &[Entry] = &[serve::ENTRY, admin::ENTRY, backup::ENTRY, restore::ENTRY, healthcheck::ENTRY];

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
    /// Anything else, in the user's language.
    Text(String),
    /// What was to be said has been said already.
    Told,
    /// The reader of our output went away, as `head` does: nothing is left to do.
    NobodyReads,
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Setting(_) | Self::Options(_) | Self::Usage(_) => 2,
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
            // Help and version are "errors" of clap too; they go to stdout, with code 0. Nobody is left to tell if
            // the terminal is gone.
            let _ = error.print();
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
                output::complain(&m.cli.error(&line));
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
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| environment(name).filter(|value| !value.is_empty()))
        .map_or(Lang::En, |value| Lang::negotiate(&value))
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
}
