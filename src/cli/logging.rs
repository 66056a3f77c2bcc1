//! The log, on stderr.
//!
//! What is never logged, at any level, by any part of the program:
//!
//! - upstream keys, tokens, session cookies, passwords, the master key, the set-up code (their types do not print);
//! - prompts, answers, or any other part of a relayed body;
//! - values of request headers, and of a channel's extra headers;
//! - proxy addresses with a password, and query strings of requests.

use std::{io::IsTerminal as _, panic::PanicHookInfo};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{self, Config, ConfigError, Problem};

/// Starts the log as the settings ask for, and sends panics there.
pub fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = filter(&config.log_filter)?;
    let no_color = config::environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(!no_color && std::io::stderr().is_terminal());
    // Fails only if there is a log already, which then serves as well.
    let _ = if config.log_json { log.json().try_init() } else { log.try_init() };
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What to log, from the setting's text.
pub fn filter(text: &str) -> Result<EnvFilter, ConfigError> {
    EnvFilter::try_new(text).map_err(|error| ConfigError {
        name: "RUST_LOG".to_owned(),
        problem: Problem::LogFilter { cause: error.to_string() },
    })
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(
        location,
        message = panic.payload_as_str().unwrap_or_default(),
        "panic: a fault of OnePool"
    );
}
