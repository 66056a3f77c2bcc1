//! The commands and their flags, for clap. The flags come from [`config::TABLE`](crate::config::TABLE).

use clap::{Arg, ArgAction, Command};

use super::access_token::{self, ACCESS_TOKEN};
use crate::{
    config::{Kind, Setting, TABLE, setting},
    i18n::Messages,
};

/// `onepool admin`.
pub const ADMIN: &str = "admin";
/// `onepool admin reset-password`.
pub const RESET_PASSWORD: &str = "reset-password";
/// `onepool healthcheck`.
pub const HEALTHCHECK: &str = "healthcheck";
/// `--user` of `admin reset-password`.
pub const USER: &str = "user";

/// The settings that find the data folder and open it.
const FOLDER_SETTINGS: &[&str] = &["DATA_DIR", "SECRET_KEY"];
/// The settings that find the server's port.
const PORT_SETTINGS: &[&str] = &["LISTEN", "PORT"];

/// The whole command line, with help in the messages' language.
pub fn command(m: Messages) -> Command {
    let t = m.cli;
    let all = || TABLE.iter().map(move |setting| flag(setting, m));
    let some = |names: &'static [&str]| {
        names.iter().filter_map(|name| setting(name)).map(move |setting| flag(setting, m))
    };
    let reset_password = dressed(Command::new(RESET_PASSWORD), t.about_reset_password(), m)
        .arg(
            Arg::new(USER)
                .long(USER)
                .value_name("NAME")
                .help(format!("{} {}", t.about_user(), t.help_default(crate::app::FIRST_ACCOUNT)))
                .help_heading(t.heading_options()),
        )
        .args(some(FOLDER_SETTINGS));
    let access_token = dressed(Command::new(ACCESS_TOKEN), m.api.about(), m);
    let access_token = access_token::flags(access_token, m).args(some(FOLDER_SETTINGS));
    dressed(Command::new("onepool"), t.about(), m)
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
        .args(all())
        .subcommand(dressed(Command::new("serve"), t.about_serve(), m).args(all()))
        .subcommand(
            dressed(Command::new(ADMIN), t.about_admin(), m)
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(reset_password)
                .subcommand(access_token),
        )
        .subcommand(dressed(Command::new(HEALTHCHECK), t.about_healthcheck(), m).args(some(PORT_SETTINGS)))
}

/// What all commands share: headings and the help flag in the user's language.
fn dressed(command: Command, about: &'static str, m: Messages) -> Command {
    let t = m.cli;
    command
        .about(about)
        .help_template(format!("{{about-with-newline}}\n{}{{usage}}\n\n{{all-args}}", t.usage()))
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
