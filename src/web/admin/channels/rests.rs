//! Ends rests on an operator's word, and begins pauses.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{find_channel, find_key};
use crate::{
    dispatch::on_chat,
    error::{Error, Result},
    model::catalog::ChannelEntry,
    pool::upkeep::{MAX_PAUSE, concerns_channel, end_rests, models_to_check},
    scheduler::rest::Scope,
    web::{
        Site,
        admin::visit::{FlashKind, Operator, local_path, see_other_with},
        form::Fields,
    },
};

/// `POST /channels/{id}/rests`: ends one rest (`scope`), or all of the channel.
pub(super) async fn clear(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let only: Option<Scope> = match fields.raw("scope") {
        "" => None,
        scope => Some(serde_json::from_str(scope).map_err(|_| Error::NotFound)?),
    };
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| {
        let is_meant = |only: &Scope| only == scope || on_chat(scope).as_ref() == Some(only);
        concerns_channel(&entry, scope) && only.as_ref().is_none_or(is_meant)
    });
    let back = match fields.raw("back") {
        "" => format!("/channels/{}", entry.channel.id),
        back => local_path(back).to_owned(),
    };
    Ok(see_other_with(&back, FlashKind::Ok, operator.t().channels.rest_cleared()))
}

/// `POST /channels/{id}/pause`: no calls to the channel, or to a model of it, for some `minutes`.
pub(super) async fn pause_channel(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let id = entry.channel.id;
    let scope = match model(&entry, &fields)? {
        Some(model) => Scope::ChannelModel(id, model),
        None => Scope::Channel(id),
    };
    pause(&site, &operator, &scope, &fields, &format!("/channels/{id}"))
}

/// `POST /channels/{id}/keys/{key}/pause`: the same of a key.
pub(super) async fn pause_key(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
    fields: Fields,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    let scope = match model(&entry, &fields)? {
        Some(model) => Scope::KeyModel(key.id, model),
        None => Scope::Key(key.id),
    };
    pause(&site, &operator, &scope, &fields, &format!("/channels/{}/keys/{}", entry.channel.id, key.id))
}

/// The upstream model that a form names, if it names one.
fn model(entry: &ChannelEntry, fields: &Fields) -> Result<Option<String>> {
    match fields.text("model") {
        "" => Ok(None),
        name => Ok(Some(
            models_to_check(&entry.channel).into_iter().find(|known| known == name).ok_or(Error::NotFound)?,
        )),
    }
}

fn pause(site: &Site, operator: &Operator, scope: &Scope, fields: &Fields, back: &str) -> Result<Response> {
    let back = match fields.raw("back") {
        "" => back,
        back => local_path(back),
    };
    let minutes: u64 = fields.text("minutes").parse().unwrap_or(0);
    let length = Duration::from_secs(minutes.saturating_mul(60));
    if length.is_zero() || length > MAX_PAUSE {
        return Err(Error::BadRequest("the form names no length of a pause; open the page again".into()));
    }
    let until = site.dispatch.pause(std::slice::from_ref(scope), length);
    let until = until.zoned(&site.catalog.load().zone).strftime("%Y-%m-%d %H:%M").to_string();
    Ok(see_other_with(back, FlashKind::Ok, operator.t().channels.paused(&until)))
}
