//! Writing to the terminal: a closed pipe is no error, and colours are for terminals that want them.

use std::io::{self, IsTerminal as _, Write as _};

use super::Failure;
use crate::config;

/// Writes a text and a line break to stdout.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::Text(format!("stdout: {error}")),
    })
}

/// Writes a text and a line break to stderr; nobody is left to tell if that fails.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether stdout is a terminal that wants colours (<https://no-color.org>).
pub fn colors() -> bool {
    config::environment("NO_COLOR").is_none_or(|value| value.is_empty())
        && config::environment("TERM").is_none_or(|value| value != "dumb")
        && io::stdout().is_terminal()
}
