//! Asks before a channel or a key goes, and says what depends on it.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{find_channel, find_key, key_name};
use crate::{
    error::Result,
    model::{
        catalog::{Catalog, PublicModel},
        id::ChannelId,
    },
    pool::upkeep::{belongs_to_key, concerns_channel, end_rests},
    web::{
        Site,
        admin::{
            chosen::{DeletePage, Fact},
            visit::{FlashKind, Operator, Section, render, see_other_with},
        },
    },
};

/// `GET /channels/{id}/delete`.
pub(super) async fn ask_channel(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let t = operator.t().channels;
    let catalog = site.catalog.load();
    let entry = find_channel(&catalog, &id)?;
    let id = entry.channel.id;
    let mut facts = Vec::new();
    if !entry.keys.is_empty() {
        facts.push(Fact::plain(t.delete_keys(entry.keys.len())));
    }
    let models = models_of_only(&catalog, |other| other == id);
    let tokens = tokens_of_only(&catalog, |other| other == id);
    if models.is_empty() && tokens.is_empty() {
        facts.push(Fact::plain(t.delete_nothing()));
    }
    if !models.is_empty() {
        facts.push(Fact::list(t.delete_models(), models));
    }
    if !tokens.is_empty() {
        facts.push(Fact::list(t.delete_tokens(), tokens));
    }
    render(&DeletePage {
        c: operator.chrome(Section::Channels),
        title: t.delete_title(&entry.channel.name),
        text: t.delete_text(),
        facts,
        action: format!("/channels/{id}/delete"),
        back: format!("/channels/{id}"),
        picks: Vec::new(),
    })
}

/// Public models that only channels which go serve.
pub(super) fn models_of_only(catalog: &Catalog, goes: impl Fn(ChannelId) -> bool) -> Vec<String> {
    let only = |model: &&PublicModel| model.routes.iter().all(|route| goes(route.channel.channel.id));
    catalog.models().filter(only).map(|model| model.name.clone()).collect()
}

/// Tokens that could call something, and nothing any more without the channels which go.
pub(super) fn tokens_of_only(catalog: &Catalog, goes: impl Fn(ChannelId) -> bool) -> Vec<String> {
    catalog
        .tokens()
        .filter(|token| {
            let mut routes = catalog
                .models_for(token)
                .flat_map(|model| &model.routes)
                .map(|route| &route.channel.channel)
                .filter(|channel| token.allows_groups(&channel.groups))
                .peekable();
            routes.peek().is_some() && routes.all(|channel| goes(channel.id))
        })
        .map(|token| token.name.clone())
        .collect()
}

/// `POST /channels/{id}/delete`.
pub(super) async fn delete_channel(
    State(site): State<Site>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    site.db.delete_channel(entry.channel.id).await?;
    site.catalog.reload().await?;
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| concerns_channel(&entry, scope));
    Ok(see_other_with("/channels", FlashKind::Ok, operator.t().common.deleted()))
}

/// `GET /channels/{id}/keys/{key}/delete`.
pub(super) async fn ask_key(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response> {
    let t = operator.t().channels;
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    let last = key.enabled && entry.keys.iter().filter(|key| key.enabled).count() == 1;
    let at = format!("/channels/{}/keys/{}", entry.channel.id, key.id);
    render(&DeletePage {
        c: operator.chrome(Section::Channels),
        title: t.delete_key_title(&key_name(&key)),
        text: t.delete_key_text(),
        facts: if last { vec![Fact::plain(t.delete_last_key())] } else { Vec::new() },
        action: format!("{at}/delete"),
        back: at,
        picks: Vec::new(),
    })
}

/// `POST /channels/{id}/keys/{key}/delete`.
pub(super) async fn delete_key(
    State(site): State<Site>,
    operator: Operator,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response> {
    let entry = find_channel(&site.catalog.load(), &id)?;
    let key = find_key(&entry, &key)?;
    site.db.delete_key(key.id).await?;
    site.catalog.reload().await?;
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| belongs_to_key(&key, scope));
    let back = format!("/channels/{}", entry.channel.id);
    Ok(see_other_with(&back, FlashKind::Ok, operator.t().channels.key_removed()))
}
