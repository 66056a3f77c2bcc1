//! Channels and their keys.
//!
//! `index` lists them, `form` adds and edits, `show` is a channel's page with its keys, models and rests; what
//! its forms do is in `keys`, `models` and `rests`;
//! `limits` is a page for a channel's and for a key's. `state` and `gauges` say how things stand. `delete` asks first;
//! `several` does to many of them what the rows do to one.

mod delete;
mod form;
mod gauges;
mod index;
mod key;
mod keys;
mod limits;
mod models;
mod rests;
mod several;
mod show;
pub(in crate::web::admin) mod state;
mod validate;

pub(in crate::web::admin) use form::{PresetFacts, choices, pasted_keys, preset_choices, provider_name};
pub(in crate::web) use keys::learn;
pub(in crate::web::admin) use validate::{parse_models, parse_redirects};

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{
        catalog::{Catalog, ChannelEntry},
        key::{Key, PasteProblem},
    },
    web::Site,
};

/// `/channels` and everything below it.
pub fn router() -> Router<Site> {
    Router::new()
        .route("/channels", get(index::show))
        .route("/channels/chosen", get(several::to_channels).post(several::change_channels))
        .route("/channels/new", get(form::show_new).post(form::create))
        .route("/channels/{id}", get(show::show))
        .route("/channels/{id}/edit", get(form::show_edit).post(form::update))
        .route("/channels/{id}/enabled", post(show::set_enabled))
        .route("/channels/{id}/test", post(key::test_any))
        .route("/channels/{id}/delete", get(delete::ask_channel).post(delete::delete_channel))
        .route("/channels/{id}/rests", get(show::to_channel).post(rests::clear))
        .route("/channels/{id}/pause", get(show::to_channel).post(rests::pause_channel))
        .route("/channels/{id}/models", get(show::to_channel).post(models::save))
        .route("/channels/{id}/models/fetch", get(show::to_channel).post(models::fetch))
        .route("/channels/{id}/models/apply", get(show::to_channel).post(models::apply))
        .route("/channels/{id}/limits", get(limits::show).post(limits::save))
        .route("/channels/{id}/keys/{key}/limits", get(limits::show_of_key).post(limits::save_of_key))
        .route("/channels/{id}/keys", get(show::to_channel).post(keys::paste))
        .route("/channels/{id}/keys/chosen", get(show::to_channel).post(several::change_keys))
        .route("/channels/{id}/keys/{key}", get(key::show).post(key::update))
        .route("/channels/{id}/keys/{key}/enabled", post(key::set_enabled))
        .route("/channels/{id}/keys/{key}/pause", get(key::to_key).post(rests::pause_key))
        .route("/channels/{id}/keys/{key}/test", post(key::test))
        .route("/channels/{id}/keys/{key}/delete", get(delete::ask_key).post(delete::delete_key))
}

/// The channel that a path names.
fn find_channel(catalog: &Catalog, id: &str) -> Result<Arc<ChannelEntry>> {
    id.parse().ok().and_then(|id| catalog.channel(id)).cloned().ok_or(Error::NotFound)
}

/// The key of a channel that a path names.
fn find_key(entry: &ChannelEntry, id: &str) -> Result<Arc<Key>> {
    let id = id.parse().map_err(|_| Error::NotFound)?;
    entry.keys.iter().find(|key| key.id == id).cloned().ok_or(Error::NotFound)
}

/// How a page names a key: by its label and its last four characters.
pub(in crate::web::admin) fn key_name(key: &Key) -> String {
    name_of_key(&key.label, &key.last4)
}

fn name_of_key(label: &str, last4: &str) -> String {
    let end = format!("…{last4}");
    if label.is_empty() { end } else { format!("{label} {end}") }
}

pub(in crate::web) fn paste_problem(t: Messages, problem: PasteProblem) -> String {
    let t = t.channels;
    match problem {
        PasteProblem::TooShort => t.paste_too_short().into(),
        PasteProblem::TooLong => t.paste_too_long().into(),
        PasteProblem::NotAscii => t.paste_not_ascii().into(),
        PasteProblem::NoValue => t.paste_no_value().into(),
        PasteProblem::TooMany => t.paste_too_many(crate::model::key::MAX_PASTED_KEYS),
    }
}
