//! `onepool export`: writes the pool as a pool file.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::Path,
};

use clap::Command;

use super::{
    Failure, apply,
    command::{Entry, folder_flags, option, switch, verb},
    invocation::Invocation,
    output, runtime,
};
use crate::{
    app::StartError,
    i18n::Messages,
    pool::{file::Format, shape, write},
    storage::folder::FolderError,
};

/// `onepool export`.
pub const ENTRY: Entry = Entry { name: "export", command, run };
const WITH_SECRETS: &str = "with-secrets";
const FORMAT: &str = "format";
const OUTPUT: &str = "output";
const SCHEMA: &str = "schema";

fn command(m: Messages) -> Command {
    let t = m.pool_file;
    let examples = &["onepool export -o pool.toml", "onepool export --with-secrets -o pool.toml"];
    verb(ENTRY.name, t.about_export(), examples, m)
        .arg(switch(WITH_SECRETS, t.about_with_secrets(), m))
        .arg(option(FORMAT, "toml|json", t.about_format(), m).value_parser(["toml", "json"]))
        .arg(option(OUTPUT, "FILE", t.about_output(), m).short('o'))
        .arg(switch(SCHEMA, t.about_schema(), m).conflicts_with(WITH_SECRETS))
        .args(folder_flags(m))
}

/// Writes the pool, or the schema of its files.
fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let target = call.text(OUTPUT).map(Path::new).filter(|path| path.as_os_str() != "-");
    if call.is_on(SCHEMA) {
        return print(&format!("{:#}\n", shape::schema()), target, m);
    }
    let format = match call.text(FORMAT) {
        Some("json") => Format::Json,
        Some(_) => Format::Toml,
        None => target.and_then(Format::of_path).unwrap_or(Format::Toml),
    };
    let with_secrets = call.is_on(WITH_SECRETS);
    let config = call.config()?;
    let state = runtime(m.cli)?.block_on(async {
        let Some(folder) = apply::open(&config, false).await? else {
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
    print(&text, target, m)
}

fn print(text: &str, target: Option<&Path>, m: Messages) -> Result<(), Failure> {
    let Some(path) = target else {
        return output::print_raw(text);
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
    // What is no file, such as `/dev/stdout`, must not be replaced by one.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
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
