//! What a process was started with: the words, the values of flags, and the settings that they and the environment give.

use clap::{ArgMatches, parser::ValueSource};

use crate::{
    config::{self, Config, ConfigError},
    i18n::Messages,
};

/// A parsed command line, and the language to answer in.
pub struct Invocation<'a> {
    /// `onepool` itself, then the matches of each word after it.
    levels: Vec<&'a ArgMatches>,
    /// The words after `onepool`.
    words: Vec<&'a str>,
    /// Every text, in the user's language.
    pub m: Messages,
}

impl<'a> Invocation<'a> {
    /// What clap found.
    pub fn new(matches: &'a ArgMatches, m: Messages) -> Self {
        let (mut levels, mut words) = (vec![matches], Vec::new());
        let mut inner = matches;
        while let Some((word, next)) = inner.subcommand() {
            levels.push(next);
            words.push(word);
            inner = next;
        }
        Self { levels, words, m }
    }

    /// The word after `onepool`, if there is one.
    pub fn noun(&self) -> Option<&str> {
        self.words.first().copied()
    }

    /// The word after that, if there is one.
    pub fn verb(&self) -> Option<&str> {
        self.words.get(1).copied()
    }

    /// The value of an option or argument of the innermost command.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.inner().try_get_one::<String>(name).ok().flatten().map(String::as_str)
    }

    /// The value of an argument that clap requires.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// Every value of a repeated option.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.inner().try_get_many::<String>(name).ok().flatten();
        values.into_iter().flatten().map(String::as_str).collect()
    }

    /// Whether a switch is on, or an option with a value was given.
    pub fn given(&self, name: &str) -> bool {
        self.inner().try_contains_id(name).unwrap_or(false)
            && self.inner().value_source(name) == Some(ValueSource::CommandLine)
    }

    fn inner(&self) -> &ArgMatches {
        self.levels[self.levels.len() - 1]
    }

    /// The value of a setting's flag, by the setting's environment name. It may stand before a subcommand or after it;
    /// the inner one wins.
    pub fn flag(&self, name: &str) -> Option<String> {
        let given = |level: &&ArgMatches| level.try_get_one::<String>(name).ok().flatten().cloned();
        self.levels.iter().rev().find_map(given)
    }

    /// The value of the environment, unless a flag takes its place.
    pub fn environment(&self, name: &str) -> Option<String> {
        // A secret's file flag wins over the environment's value, as any flag does.
        let file_given = || self.flag(&format!("{name}_FILE")).is_some();
        self.flag(name).or_else(|| if file_given() { None } else { config::environment(name) })
    }

    /// The settings.
    pub fn config(&self) -> Result<Config, ConfigError> {
        Config::load(|name| self.flag(name), |name| self.environment(name))
    }
}
