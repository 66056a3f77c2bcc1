//! `onepool export`: writes the pool as a pool file.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Failure, apply, command, runtime};
use crate::{
    app::StartError,
    config::Config,
    i18n::Messages,
    pool::{file::Format, shape, write},
    storage::folder::FolderError,
};

/// The word after `onepool`.
pub const NAME: &str = "export";
const WITH_SECRETS: &str = "with-secrets";
const FORMAT: &str = "format";
const OUTPUT: &str = "output";
const SCHEMA: &str = "schema";

/// The command for clap.
pub fn command(m: Messages) -> Command {
    let t = m.pool_file;
    let option = |name: &'static str, about: &'static str| {
        Arg::new(name).long(name).help(about).help_heading(m.cli.heading_options())
    };
    command::dressed(Command::new(NAME), t.about_export(), m)
        .arg(option(WITH_SECRETS, t.about_with_secrets()).action(ArgAction::SetTrue))
        .arg(option(FORMAT, t.about_format()).value_name("toml|json").value_parser(["toml", "json"]))
        .arg(option(OUTPUT, t.about_output()).short('o').value_name("FILE"))
        .arg(option(SCHEMA, t.about_schema()).action(ArgAction::SetTrue).conflicts_with(WITH_SECRETS))
}

/// Writes the pool, or the schema of its files.
pub fn run(config: &Config, matches: &ArgMatches, m: Messages) -> Result<(), Failure> {
    let output = matches.get_one::<String>(OUTPUT).map(Path::new).filter(|path| path.as_os_str() != "-");
    if matches.get_flag(SCHEMA) {
        return print(&format!("{:#}\n", shape::schema()), output, m);
    }
    let format = match matches.get_one::<String>(FORMAT).map(String::as_str) {
        Some("json") => Format::Json,
        Some(_) => Format::Toml,
        None => output.and_then(Format::of_path).unwrap_or(Format::Toml),
    };
    let with_secrets = matches.get_flag(WITH_SECRETS);
    let state = runtime(m.cli)?.block_on(async {
        let Some(folder) = apply::open(config, false).await? else {
            return Err(StartError::from(FolderError::NoDatabase { path: config.data_dir.clone() }).into());
        };
        let state = folder.db.pool_state(with_secrets).await;
        let path = config.data_dir.clone();
        folder.db.close().await;
        state.map_err(|source| Failure::from(StartError::Storage { path, source }))
    })?;
    let text = match format {
        Format::Toml => write::toml(&state, with_secrets, m),
        Format::Json => write::json(&write::document(&state, with_secrets)),
    };
    print(&text, output, m)
}

fn print(text: &str, output: Option<&Path>, m: Messages) -> Result<(), Failure> {
    let Some(path) = output else {
        let mut stdout = io::stdout().lock();
        return stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Failure::Text(m.cli.system_failed(&error.to_string())));
    };
    write_private(path, text).map_err(|error| {
        Failure::Text(m.pool_file.cannot_write(&path.display().to_string(), &error.to_string()))
    })
}

/// Writes a file that only its owner can read, all of it or nothing.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:08x}", rand::random::<u32>()));
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    });
    if written.is_err() {
        // What is left of it may hold secrets.
        let _ = std::fs::remove_file(&draft);
    }
    written
}
