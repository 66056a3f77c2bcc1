//! What all commands are built of, for clap: their shape, their flags, their examples. The flags of settings come from
//! [`config::TABLE`](crate::config::TABLE). The commands themselves are in the files beside this one, listed in
//! [`COMMANDS`](super::COMMANDS).

use clap::{Arg, ArgAction, Command};

use super::{COMMANDS, Failure, invocation::Invocation};
use crate::{
    config::{Kind, Setting, TABLE, setting},
    i18n::Messages,
};

/// A command: what clap knows of it, and what runs it.
pub struct Entry {
    /// The word after `onepool`.
    pub name: &'static str,
    /// Its shape, with help in the messages' language; made with [`noun`] or [`verb`].
    pub command: fn(Messages) -> Command,
    /// Runs it; which of its verbs is in [`Invocation::verb`].
    pub run: fn(&Invocation) -> Result<(), Failure>,
}

/// The settings that find the data folder and open it.
const FOLDER_SETTINGS: &[&str] = &["DATA_DIR", "SECRET_KEY"];
/// The settings that find the server's port.
const PORT_SETTINGS: &[&str] = &["LISTEN", "PORT"];

/// The whole command line, with help in the messages' language.
pub fn command(m: Messages) -> Command {
    let t = m.cli;
    noun("onepool", t.about(), m)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help(t.about_version())
                .help_heading(t.heading_options()),
        )
        .args(all_flags(m))
        .subcommands(COMMANDS.iter().map(|entry| (entry.command)(m)))
}

/// A flag for every setting.
pub fn all_flags(m: Messages) -> impl Iterator<Item = Arg> {
    TABLE.iter().map(move |setting| flag(setting, m))
}

/// Flags for the settings that find the data folder and open it: for each command that works on it.
pub fn folder_flags(m: Messages) -> impl Iterator<Item = Arg> {
    some_flags(FOLDER_SETTINGS, m)
}

/// Flags for the settings that find the server's port.
pub fn port_flags(m: Messages) -> impl Iterator<Item = Arg> {
    some_flags(PORT_SETTINGS, m)
}

fn some_flags(names: &'static [&'static str], m: Messages) -> impl Iterator<Item = Arg> {
    names.iter().filter_map(|name| setting(name)).map(move |setting| flag(setting, m))
}

/// A command that others are below, or one that needs no example.
pub fn noun(name: &'static str, about: &'static str, m: Messages) -> Command {
    dressed(Command::new(name), about, m)
}

/// A command that does something, with examples of its use.
pub fn verb(
    name: &'static str,
    about: &'static str,
    examples: &'static [&'static str],
    m: Messages,
) -> Command {
    let mut text = m.cli.heading_examples().to_owned();
    for example in examples {
        text.push_str("\n  ");
        text.push_str(example);
    }
    dressed(Command::new(name), about, m).after_help(text)
}

/// An option with a value, such as `--limit NUMBER`.
pub fn option(name: &'static str, value: &'static str, help: impl Into<String>, m: Messages) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .allow_hyphen_values(true)
        .help(help.into())
        .help_heading(m.cli.heading_options())
}

/// An option that may be given several times.
pub fn repeated(name: &'static str, value: &'static str, help: impl Into<String>, m: Messages) -> Arg {
    option(name, value, help, m).action(ArgAction::Append)
}

/// An option without a value, such as `--json`.
pub fn switch(name: &'static str, help: impl Into<String>, m: Messages) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help.into())
        .help_heading(m.cli.heading_options())
}

/// An argument that stands by its position and must be given.
pub fn positional(name: &'static str, help: impl Into<String>, m: Messages) -> Arg {
    Arg::new(name).required(true).value_name(name).help(help.into()).help_heading(m.cli.heading_arguments())
}

/// What all commands share: headings and the help flag in the user's language.
fn dressed(command: Command, about: &'static str, m: Messages) -> Command {
    let t = m.cli;
    command
        .about(about)
        .help_template(format!(
            "{{about-with-newline}}\n{}{{usage}}\n\n{{all-args}}{{after-help}}",
            t.usage()
        ))
        .subcommand_help_heading(t.heading_commands())
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help(t.about_help())
                .help_heading(t.heading_options()),
        )
}

/// A setting's flag; its id is the environment's name. A secret has none of its own, since every user of the machine
/// can read a command line; its `-file` flag names the file that holds it.
fn flag(setting: &'static Setting, m: Messages) -> Arg {
    let t = m.cli;
    let is_secret = setting.kind == Kind::Secret;
    let (name, long, mut help) = if is_secret {
        let about = t.about_secret_file(setting.name);
        (format!("{}_FILE", setting.name), format!("{}-file", setting.flag()), about)
    } else {
        (setting.name.to_owned(), setting.flag(), setting.doc(m.lang).to_owned())
    };
    help.push(' ');
    help.push_str(&t.help_environment(&name));
    if !setting.default.is_empty() {
        help.push(' ');
        let unit = if setting.unit.is_empty() { String::new() } else { format!(" {}", setting.unit) };
        help.push_str(&t.help_default(&format!("{}{unit}", setting.default)));
    }
    Arg::new(name)
        .long(long)
        .value_name(if is_secret { "FILE" } else { value_name(setting.kind) })
        .allow_hyphen_values(true)
        .help(help)
        .help_heading(t.heading_settings())
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "TEXT",
        Kind::Path => "PATH",
        Kind::Switch => "true|false",
        Kind::Integer { .. } => "NUMBER",
        Kind::Address => "IP:PORT",
        Kind::Url => "URL",
        Kind::Networks => "NETWORKS",
        Kind::Zone => "ZONE",
        Kind::Choice(_) => "WORD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn the_command_is_sound_in_both_languages_and_its_help_names_every_setting() {
        for lang in [Lang::En, Lang::Zh] {
            let mut command = command(Messages::of(lang));
            command.clone().debug_assert();
            let help = command.render_long_help().to_string();
            for setting in TABLE {
                assert!(help.contains(&format!("--{}", setting.flag())), "{}", setting.name);
                assert!(help.contains(setting.name), "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_secret_cannot_be_given_on_the_command_line() {
        let parse = |flag: &str| {
            command(Messages::of(Lang::En)).try_get_matches_from(["onepool", flag, "value"]).is_ok()
        };
        assert!(!parse("--secret-key") && !parse("--admin-password"));
        assert!(parse("--secret-key-file") && parse("--admin-password-file"));
    }
}
