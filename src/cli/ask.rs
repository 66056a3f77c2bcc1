//! Asks the person at the terminal: for a confirmation, for a secret, for a choice. Without a terminal nobody can answer,
//! except where a command says that answers may come from a file or a pipe.

use std::{
    fs::File,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
};

use zeroize::Zeroizing;

use super::{Failure, invocation::Invocation};
use crate::i18n::Messages;

/// The longest text of secrets: ten thousand keys with labels fit.
const MAX_BYTES: u64 = 4 << 20;

/// Goes on only if `--yes` was given or the person at the terminal says yes to a question. Nobody at a terminal and no
/// `--yes` is a wrong use.
pub fn confirm(call: &Invocation, question: &str) -> Result<(), Failure> {
    if call.is_on("yes") {
        return Ok(());
    }
    let t = call.m.terminal;
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(t.needs_yes(question)));
    }
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question} {} ", t.yes_or_no()).and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = io::stdin().lock().take(100).read_line(&mut answer);
    let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是");
    if read.is_ok() && yes { Ok(()) } else { Err(Failure::Text(t.not_confirmed().to_owned())) }
}

/// Reads a text that holds secrets: from the file that an option names (`-` is stdin), else from stdin if that is no
/// terminal, else typed without an echo.
pub fn secret_text(file: Option<&str>, prompt: &str, m: Messages) -> Result<Zeroizing<String>, Failure> {
    let told =
        |path: &str, error: io::Error| m.cli.unreadable_file(&super::output::clean(path), &error.to_string());
    let unreadable = |path: &str, error: io::Error| Failure::Usage(told(path, error));
    match file {
        None if io::stdin().is_terminal() => rpassword::prompt_password(format!("{prompt} "))
            .map(Zeroizing::new)
            .map_err(|error| unreadable("/dev/tty", error)),
        None | Some("-") => bounded(io::stdin().lock(), m, |error| told("-", error)).map_err(Failure::Usage),
        Some(path) => {
            let file = File::open(path).map_err(|error| unreadable(path, error))?;
            bounded(file, m, |error| told(path, error)).map_err(Failure::Usage)
        }
    }
}

fn bounded(
    source: impl io::Read,
    m: Messages,
    unreadable: impl Fn(io::Error) -> String,
) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    source.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_BYTES { Err(m.terminal.too_long(MAX_BYTES >> 20)) } else { Ok(text) }
}

/// The value of an option that may hold a secret: `env:NAME` and `file:PATH` name where it is, anything else is the value.
pub fn value_or_reference(value: &str, m: Messages) -> Result<Zeroizing<String>, String> {
    if let Some(name) = value.strip_prefix("env:") {
        return crate::config::environment(name)
            .filter(|value| !value.is_empty())
            .map(Zeroizing::new)
            .ok_or_else(|| m.terminal.no_such_variable(&super::output::clean(name)));
    }
    if let Some(path) = value.strip_prefix("file:") {
        let unreadable =
            |error: io::Error| m.cli.unreadable_file(&super::output::clean(path), &error.to_string());
        let text = bounded(File::open(path).map_err(unreadable)?, m, unreadable)?;
        return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    Ok(Zeroizing::new(value.to_owned()))
}

/// The longest answer to a question, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;
/// How often a question is asked again that was not answered with one of its answers.
const MOST_TRIES: usize = 5;

/// Questions one after the other. They go to stderr. Answers come from the terminal, or else line by line from stdin, so that
/// a script can answer as well; the end of it answers every further question with nothing.
pub struct Dialogue {
    m: Messages,
    terminal: bool,
}

impl Dialogue {
    /// A dialogue in a language.
    pub fn new(m: Messages) -> Self {
        Self { m, terminal: is_interactive() }
    }

    /// Asks for a line; nothing if it is empty or there is none.
    pub fn line(&self, question: &str) -> Result<Option<String>, Failure> {
        let mut stderr = io::stderr().lock();
        let _ = write!(stderr, "{question} ").and_then(|()| stderr.flush());
        let mut answer = String::new();
        let read = io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer);
        if !self.terminal {
            let _ = writeln!(stderr);
        }
        read.map_err(|error| Failure::Text(self.m.cli.unreadable_file("-", &error.to_string())))?;
        let answer = answer.trim();
        Ok((!answer.is_empty()).then(|| answer.to_owned()))
    }

    /// Asks for a secret, which the terminal does not show.
    pub fn hidden(&self, question: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        if !self.terminal {
            return Ok(self.line(question)?.map(Zeroizing::new));
        }
        match rpassword::prompt_password(format!("{question} ")) {
            Ok(answer) if answer.trim().is_empty() => Ok(None),
            Ok(answer) => Ok(Some(Zeroizing::new(answer))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(Failure::Text(self.m.cli.unreadable_file("/dev/tty", &error.to_string()))),
        }
    }

    /// Asks for one of some answers, each a word and what it means; by its number or its word. Nothing if the answer is
    /// empty, or if it was none of them several times.
    pub fn choose(&self, question: &str, answers: &[(&str, &str)]) -> Result<Option<usize>, Failure> {
        let mut text = question.to_owned();
        for (number, (word, meaning)) in (1..).zip(answers) {
            let meaning = super::output::clean(meaning);
            text.push_str(&format!("\n  {number:>2}  {meaning}"));
            if !word.eq_ignore_ascii_case(&meaning) {
                text.push_str(&format!(" ({word})"));
            }
        }
        super::output::complain(&text);
        for _ in 0..MOST_TRIES {
            let Some(answer) = self.line(">")? else { return Ok(None) };
            let by_number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let by_word = answers.iter().position(|(word, meaning)| {
                word.eq_ignore_ascii_case(&answer) || meaning.to_lowercase() == answer.to_lowercase()
            });
            match by_number.filter(|place| *place < answers.len()).or(by_word) {
                Some(place) => return Ok(Some(place)),
                None => super::output::complain(self.m.onboarding.choose_again()),
            }
        }
        Ok(None)
    }
}

/// Whether somebody sits at a terminal who can be asked.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
