//! The values of tokens: `onepool tokens replace`, `end-previous` and `reveal`. These and `create` are the only commands
//! that print one; whoever runs them can read the data folder and its master key.

use std::time::Duration;

use serde_json::json;

use super::show::row_of;
use crate::{
    cli::{
        Failure,
        ask::{confirm, secret_text},
        invocation::Invocation,
        output::{clean, complain, print, tell},
        session::{Session, on_folder},
        view, when,
    },
    i18n::Messages,
    model::{id::TokenId, secret::Secret},
    pool::input::check_token_value,
    storage::{StorageError, tokens::new_value},
};

/// The value that `--value-file` names, or a fresh one.
pub fn given_or_new(call: &Invocation) -> Result<Secret, Failure> {
    let Some(file) = call.text("value-file") else { return Ok(new_value()) };
    let text = secret_text(Some(file), "", call.m)?;
    let value = text.trim();
    check_token_value(call.m, value).map_err(|message| Failure::option("--value-file", message))?;
    Ok(Secret::new(value))
}

/// What to say of a value or a name that is taken.
pub fn taken(error: StorageError, m: Messages) -> Failure {
    match error {
        StorageError::Taken("value") => Failure::option("--value-file", m.token_form.value_taken()),
        StorageError::Taken(_) => Failure::option("NAME", m.common.field_taken()),
        other => other.into(),
    }
}

/// Prints a token's value: alone on stdout, so that a script can take it, and what is to know about it on stderr.
pub async fn tell_value(
    call: &Invocation<'_>,
    session: &Session,
    id: TokenId,
    value: &Secret,
    said: &str,
) -> Result<(), Failure> {
    let token = view::token(&row_of(session, id).await?, session.now(), &session.config.zone);
    let json = json!({ "token": token, "value": value.expose() });
    if !call.is_on("json") {
        complain(said);
    }
    tell(call, &json, || value.expose().to_owned())
}

/// `onepool tokens replace NAME`.
pub fn replace(call: &Invocation) -> Result<(), Failure> {
    let (m, t) = (call.m, call.m.terminal);
    let grace = match call.text("grace") {
        None => Duration::ZERO,
        Some(text) => when::length(text).ok_or_else(|| Failure::option("--grace", t.length_shape()))?,
    };
    on_folder(call, async |session| {
        let token = session.token(call.required("NAME")).await?;
        let value = given_or_new(call)?;
        if grace.is_zero() {
            confirm(call, &t.ask_replace_token(&clean(&token.name)))?;
        }
        session.db.rotate_token(token.id, &value, grace).await.map_err(|error| taken(error, m))?;
        let said = if grace.is_zero() {
            t.token_replaced(&clean(&token.name))
        } else {
            t.token_replaced_until(&clean(&token.name), &session.local(session.now() + grace))
        };
        tell_value(call, session, token.id, &value, &said).await
    })
}

/// `onepool tokens end-previous NAME`.
pub fn end_previous(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (t, token) = (call.m.terminal, session.token(call.required("NAME")).await?);
        let count = session.db.previous_values(token.id).await?.len();
        if count > 0 {
            confirm(call, &t.ask_end_previous(&clean(&token.name), count))?;
        }
        let ended = session.db.revoke_previous_values(token.id).await?;
        print(&t.previous_ended(ended))
    })
}

/// `onepool tokens reveal NAME`.
pub fn reveal(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let token = session.token(call.required("NAME")).await?;
        let value = session.db.reveal_token(token.id).await?;
        let said = call.m.tokens.value_title(&clean(&token.name));
        tell_value(call, session, token.id, &value, &said).await
    })
}
