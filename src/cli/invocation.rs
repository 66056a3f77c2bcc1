//! What a process was started with: the words, the values of flags, and the settings that they and the environment give.

use clap::ArgMatches;

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

    /// The same, answered in another language.
    pub fn speaking(&self, m: Messages) -> Self {
        Self { levels: self.levels.clone(), words: self.words.clone(), m }
    }

    /// The word after `onepool`, if there is one.
    pub fn noun(&self) -> Option<&str> {
        self.words.first().copied()
    }

    /// The word after that, if there is one.
    pub fn verb(&self) -> Option<&str> {
        self.words.get(1).copied()
    }

    /// The value of an option or argument. An option may stand before a subcommand or after it; the inner one wins.
    pub fn text(&self, name: &str) -> Option<&str> {
        let given = |level: &&'a ArgMatches| level.try_get_one::<String>(name).ok().flatten();
        self.levels.iter().rev().find_map(given).map(String::as_str)
    }

    /// The value of an argument that clap requires.
    pub fn required(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// Every value of a repeated option; `None` if it was not given.
    pub fn all(&self, name: &str) -> Option<Vec<&str>> {
        let values = self.levels.last()?.try_get_many::<String>(name).ok().flatten()?;
        Some(values.map(String::as_str).collect())
    }

    /// Whether a switch is on, such as `--json`.
    pub fn is_on(&self, name: &str) -> bool {
        self.levels.iter().any(|level| level.try_get_one::<bool>(name).ok().flatten().is_some_and(|on| *on))
    }

    /// The value of a setting's flag, by the setting's environment name. It may stand before a subcommand or after it;
    /// the inner one wins.
    pub fn flag(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
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
