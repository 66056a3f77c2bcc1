//! The command line: one file per command.
//!
//! Exit codes: 0 done, 1 it failed, 2 the command or a setting is wrong.

mod access_token;
mod admin;
mod command;
mod explain;
mod healthcheck;
mod logging;
mod serve;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::{
    app::StartError,
    config::{self, Config, ConfigError},
    i18n::{Lang, Messages, cli::Cli},
};

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// A setting cannot be used.
    Setting(ConfigError),
    /// The server could not start, or the data folder could not be opened.
    Start(StartError),
    /// Anything else, in the user's language.
    Text(String),
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Setting(error)
    }
}

impl<E: Into<StartError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Start(error.into())
    }
}

/// Runs the command that the process was started with, and gives the exit code.
pub fn main() -> ExitCode {
    let messages = Messages::of(language(config::environment));
    let matches = match command::command(messages).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are "errors" of clap too; they go to stdout, with code 0. Nobody is left to tell if
            // the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let t = messages.cli;
    match dispatch(&matches, messages) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", t.error(&explain::failure(&failure, t)));
            match failure {
                Failure::Setting(_) => ExitCode::from(2),
                Failure::Start(_) | Failure::Text(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(matches: &ArgMatches, m: Messages) -> Result<(), Failure> {
    let t = m.cli;
    // A flag may stand before the subcommand or after it; the inner one wins.
    let mut levels = vec![matches];
    let mut path = Vec::new();
    while let Some((name, inner)) = levels[levels.len() - 1].subcommand() {
        levels.push(inner);
        path.push(name);
    }
    let config = load(&levels)?;
    match path[..] {
        [command::ADMIN, command::RESET_PASSWORD] => {
            let user = levels[levels.len() - 1].get_one::<String>(command::USER);
            admin::reset_password(&config, user.map_or(crate::app::FIRST_ACCOUNT, String::as_str), t)
        }
        [command::ADMIN, access_token::ACCESS_TOKEN] => access_token::run(&config, levels[levels.len() - 1], m),
        [command::HEALTHCHECK] => healthcheck::run(&config, t),
        _ => serve::run(config, t),
    }
}

fn load(levels: &[&ArgMatches]) -> Result<Config, ConfigError> {
    let flag = |name: &str| {
        let given = |level: &&ArgMatches| level.try_get_one::<String>(name).ok().flatten().cloned();
        levels.iter().rev().find_map(given)
    };
    let environment = |name: &str| {
        // A secret's file flag wins over the environment's value, as any flag does.
        let file_given = |name: &str| flag(&format!("{name}_FILE")).is_some();
        flag(name).or_else(|| if file_given(name) { None } else { config::environment(name) })
    };
    Config::load(flag, environment)
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
            let matches = command::command(Messages::of(Lang::En)).try_get_matches_from(arguments).unwrap();
            let mut levels = vec![&matches];
            levels.extend(matches.subcommand().map(|(_, inner)| inner));
            load(&levels).unwrap().listen.port()
        };
        assert_eq!(port(&["onepool", "--port", "81"]), 81);
        assert_eq!(port(&["onepool", "serve", "--port", "82"]), 82);
        assert_eq!(port(&["onepool", "--port", "83", "serve"]), 83);
        assert_eq!(port(&["onepool", "--port", "84", "serve", "--port", "85"]), 85);
    }
}
