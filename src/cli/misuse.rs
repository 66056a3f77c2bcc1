//! A command line that cannot be understood, in the user's language: clap itself speaks English only.

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::output::clean;
use crate::i18n::Messages;

/// What is wrong with the words that the process was started with, and what helps. `None` if clap's own text is to be
/// printed: help, the version, and what hardly occurs.
pub fn text(error: &Error, m: Messages) -> Option<String> {
    let t = m.terminal;
    let told = |kind| words(error, kind);
    let what = match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            let word = told(ContextKind::InvalidArg)?;
            if word.starts_with('-') { t.unknown_option(&word) } else { t.word_too_many(&word) }
        }
        ErrorKind::InvalidSubcommand => t.unknown_command(&told(ContextKind::InvalidSubcommand)?),
        ErrorKind::MissingRequiredArgument => t.missing_argument(&told(ContextKind::InvalidArg)?),
        ErrorKind::ArgumentConflict => {
            let option = told(ContextKind::InvalidArg)?;
            match told(ContextKind::PriorArg) {
                Some(prior) if prior != option => t.not_together(&option, &prior),
                _ => t.given_twice(&option),
            }
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let option = told(ContextKind::InvalidArg)?;
            match (told(ContextKind::InvalidValue), told(ContextKind::ValidValue)) {
                (Some(value), Some(known)) => t.value_not_one_of(&option, &value, &known),
                (Some(value), None) => t.value_refused(&option, &value),
                (None, _) => t.value_missing(&option),
            }
        }
        _ => return None,
    };
    let meant = told(ContextKind::SuggestedArg).or_else(|| told(ContextKind::SuggestedSubcommand));
    let meant = meant.map(|meant| t.perhaps_meant(&meant)).unwrap_or_default();
    let help = command(error).map(|command| t.see_help(&command)).unwrap_or_default();
    Some(format!("{what}{meant}{help}"))
}

/// What clap noted of one kind, as a text; `None` if there is nothing.
fn words(error: &Error, kind: ContextKind) -> Option<String> {
    let text = match error.get(kind)? {
        ContextValue::String(word) => word.clone(),
        ContextValue::Strings(words) => words.join(", "),
        _ => return None,
    };
    Some(clean(&text).into_owned()).filter(|text| !text.is_empty())
}

/// The command whose help explains more, such as `onepool channels edit`: the words of the usage before the first option.
/// Of a wrong value clap does not tell the command.
fn command(error: &Error) -> Option<String> {
    let usage = error.get(ContextKind::Usage)?.to_string();
    let words = usage.split_whitespace().skip_while(|word| *word != "onepool");
    let words: Vec<&str> = words.take_while(|word| !word.starts_with(['[', '<', '-'])).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
