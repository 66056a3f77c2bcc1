//! What `apply` and `status` share: finding OpenClaw, and what to say if it or its configuration cannot be used.

use clap::Arg;

use crate::{
    cli::{Failure, command::option, invocation::Invocation, output::clean},
    i18n::Messages,
    openclaw::{Program, Ran, Unread},
};

/// The option that names the program.
pub fn program_flag(m: Messages) -> Arg {
    option("openclaw", "PATH", m.openclaw_here.about_program(), m)
}

/// Why there is nothing to go on with: a code for programs, and a text.
#[derive(Debug)]
pub struct Stop {
    /// A stable code.
    pub code: &'static str,
    /// What is wrong, and what helps.
    pub text: String,
}

impl Stop {
    /// A code and its text.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The configuration cannot be read.
    pub fn unread(unread: &Unread, m: Messages) -> Self {
        let t = m.openclaw_here;
        match unread {
            Unread::Late(command) => Self::new("openclaw_late", t.late(command)),
            Unread::TooOld(command) => Self::new("openclaw_too_old", t.too_old(command)),
            Unread::Failed(command, text) => Self::new("openclaw_failed", t.failed(command, &clean(text))),
            Unread::Invalid(path, text) => {
                let path = path.display().to_string();
                Self::new("openclaw_config_invalid", t.invalid(&clean(&path), &clean(text)))
            }
        }
    }
}

/// The program that `--openclaw` names, else the first one on the path; `None` if there is none.
///
/// # Errors
/// A path that names no program.
pub fn program(call: &Invocation) -> Result<Option<Program>, Failure> {
    match call.text("openclaw") {
        None => Ok(Program::find()),
        Some(path) => {
            let wrong = || Failure::option("--openclaw", call.m.openclaw_here.no_program(&clean(path)));
            Program::at(path).map(Some).ok_or_else(wrong)
        }
    }
}

/// What a run that did not end well said, in a line.
pub fn told(ran: &Ran, words: &str, m: Messages) -> String {
    match ran {
        Ran::Ended(_, said) => said.shown(),
        Ran::Late => m.openclaw_here.late(words),
        Ran::Broke(text) | Ran::Unstartable(text) => text.clone(),
    }
}
