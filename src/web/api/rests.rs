//! What rests now, over all channels, the end of one rest, and pauses.

use std::time::Duration;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    channels,
    endpoint::{Asked, Body, Endpoint, Query, Shown},
    keys::{self, RestView},
    refusal::{Refusal, Result},
    shapes::{At, Ended, Page},
};
use crate::{
    dispatch::on_chat,
    model::{
        catalog::ChannelEntry,
        id::{ChannelId, KeyId},
        limit::Models,
    },
    pool::{
        input::Faults,
        upkeep::{MAX_PAUSE, concerns_channel, end_rests, models_to_check},
    },
    scheduler::rest::Scope,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/rests", "List what rests now", list)
            .about("A key, a model or a host that answered badly takes no calls for a while. What comes back first stands first."),
        Endpoint::new(Method::POST, "/api/rests/end", "End one rest", end)
            .about("Takes a `scope` as the list gives it. A model's pause ends on every endpoint.")
            .example(json!({"scope": {"kind": "key_model", "key_id": 3, "model": "llama-3.3-70b-versatile"}})),
        Endpoint::new(Method::POST, "/api/channels/{id}/pause", "Pause a channel or a model of it", pause_channel)
            .about("It takes no calls until the time is over or the rest is ended; a restart does not end it.")
            .example(json!({"for_minutes": 300})),
        Endpoint::new(Method::POST, "/api/keys/{id}/pause", "Pause a key or a model on it", pause_key)
            .about("It takes no calls until the time is over or the rest is ended; a restart does not end it.")
            .example(json!({"for_minutes": 60, "model": "llama-3.3-70b-versatile"})),
    ]
}

/// What kind of thing rests, or what a limit holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// A channel; it rests if its host does not answer.
    Channel,
    /// A key, for every model.
    Key,
    /// Every key of a quota group of a channel, for every model.
    Group,
    /// An upstream's model on one key.
    KeyModel,
    /// An upstream's model on every key of a quota group of a channel.
    GroupModel,
    /// An upstream's model on every key of a channel.
    ChannelModel,
}

/// What rests: its kind, and the fields that name one of that kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestingThing {
    /// What kind of thing.
    kind: ScopeKind,
    /// The channel, of `channel`, `group`, `group_model` and `channel_model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel_id: Option<i64>,
    /// The key, of `key` and `key_model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<i64>,
    /// The quota group, of `group` and `group_model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    /// The upstream's model, of `key_model`, `group_model` and `channel_model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Of a `key`, `group` or `channel` only the upstream's models that fit one of these patterns; all, without any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    models: Vec<String>,
}

impl From<&Scope> for RestingThing {
    fn from(scope: &Scope) -> Self {
        let thing = |kind, channel_id: Option<ChannelId>, key_id: Option<KeyId>| Self {
            kind,
            channel_id: channel_id.map(|id| id.0),
            key_id: key_id.map(|id| id.0),
            group: None,
            model: None,
            models: Vec::new(),
        };
        match scope {
            Scope::Channel(id) => thing(ScopeKind::Channel, Some(*id), None),
            Scope::Key(id) => thing(ScopeKind::Key, None, Some(*id)),
            Scope::Group(id, group) => {
                Self { group: Some(group.clone()), ..thing(ScopeKind::Group, Some(*id), None) }
            }
            Scope::KeyModel(id, model) => {
                Self { model: Some(model.clone()), ..thing(ScopeKind::KeyModel, None, Some(*id)) }
            }
            Scope::GroupModel(id, group, model) => {
                let (group, model) = (Some(group.clone()), Some(model.clone()));
                Self { group, model, ..thing(ScopeKind::GroupModel, Some(*id), None) }
            }
            Scope::Models(whole, models) => Self { models: models.0.clone(), ..Self::from(&**whole) },
            Scope::ChannelModel(id, model) => {
                Self { model: Some(model.clone()), ..thing(ScopeKind::ChannelModel, Some(*id), None) }
            }
        }
    }
}

impl RestingThing {
    fn scope(&self) -> Result<Scope, Faults> {
        let mut faults = Faults::default();
        let needed = || "This kind of scope needs this field.".to_owned();
        let channel = |faults: &mut Faults| {
            ChannelId(faults.take("scope.channel_id", self.channel_id.ok_or_else(needed)))
        };
        let key = |faults: &mut Faults| KeyId(faults.take("scope.key_id", self.key_id.ok_or_else(needed)));
        let model = |faults: &mut Faults| faults.take("scope.model", self.model.clone().ok_or_else(needed));
        let group = |faults: &mut Faults| faults.take("scope.group", self.group.clone().ok_or_else(needed));
        let scope = match self.kind {
            ScopeKind::Channel => Scope::Channel(channel(&mut faults)),
            ScopeKind::Key => Scope::Key(key(&mut faults)),
            ScopeKind::Group => Scope::Group(channel(&mut faults), group(&mut faults)),
            ScopeKind::GroupModel => {
                Scope::GroupModel(channel(&mut faults), group(&mut faults), model(&mut faults))
            }
            ScopeKind::KeyModel => Scope::KeyModel(key(&mut faults), model(&mut faults)),
            ScopeKind::ChannelModel => Scope::ChannelModel(channel(&mut faults), model(&mut faults)),
        };
        let has_models = matches!(self.kind, ScopeKind::Channel | ScopeKind::Key | ScopeKind::Group);
        let scope = match &self.models[..] {
            models if has_models && !models.is_empty() => {
                Scope::Models(Box::new(scope), Models(models.to_vec()))
            }
            _ => scope,
        };
        // What the kind does not need is a mistake, not a detail.
        if faults.0.is_empty() && Self::from(&scope) != *self {
            faults.add("scope", "A field stands here that this kind of scope does not have.");
        }
        faults.or(scope)
    }
}

/// Which rests to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestsQuery {
    /// Only those of this channel, its keys and its models.
    channel_id: Option<i64>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    cursor: Option<String>,
}

/// A page of rests.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestList {
    /// The rests.
    items: Vec<RestItem>,
    /// The `cursor` that goes on; null at the end. Rests that begin or end between two answers may be missed or repeated.
    next: Option<String>,
}

/// Something that rests.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestItem {
    /// What rests.
    scope: RestingThing,
    /// Why, and until when.
    rest: RestView,
}

async fn list(asked: Asked<(), Query<RestsQuery>>) -> Result<Shown<RestList>> {
    let RestsQuery { channel_id, limit, cursor } = &asked.query.0;
    let catalog = asked.site.catalog.load();
    let entry = match channel_id {
        Some(id) => Some(
            catalog
                .channel(ChannelId(*id))
                .ok_or_else(|| Refusal::at("channel_id", "There is no such channel."))?,
        ),
        None => None,
    };
    let page = Page::read(*limit, cursor.as_deref())?;
    let now = asked.site.dispatch.now();
    let pool = asked.site.dispatch.lock();
    let mut rests: Vec<_> = pool
        .rests()
        .all_active(now.steady)
        .filter(|(scope, _)| entry.is_none_or(|entry| concerns_channel(entry, scope)))
        .collect();
    rests.sort_by(|(scope, rest), (other_scope, other)| (rest.until, scope).cmp(&(other.until, other_scope)));
    let (rests, next) = page.cut(rests.into_iter().zip(1_usize..), |(_, position)| *position)?;
    let item = |((scope, rest), _): ((&Scope, _), usize)| RestItem {
        scope: RestingThing::from(scope),
        rest: RestView::of(rest, now),
    };
    Ok(Shown(RestList { items: rests.into_iter().map(item).collect(), next }))
}

/// Which rest to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndRestInput {
    /// What rests, as the list gives it.
    scope: RestingThing,
}

async fn end(asked: Asked<(), (), Body<EndRestInput>>) -> Result<Shown<Ended>> {
    let scope = asked.body.0.scope.scope()?;
    let now = asked.site.clock.steady();
    let ended = end_rests(asked.site.dispatch.lock().rests_mut(), now, |known| {
        *known == scope || on_chat(known).as_ref() == Some(&scope)
    });
    Ok(Shown(Ended { ended: ended as u64 }))
}

/// What to pause, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseInput {
    /// Minutes from now on; at most 30 days.
    #[schema(minimum = 1, maximum = 43_200)]
    for_minutes: i64,
    /// Only this upstream model.
    #[serde(default)]
    model: Option<String>,
}

/// A pause that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct PauseView {
    /// When calls may go there again.
    until: At,
}

impl PauseInput {
    fn length(&self) -> Result<Duration> {
        let minutes = u64::try_from(self.for_minutes).unwrap_or(0);
        let length = Duration::from_secs(minutes.saturating_mul(60));
        if length.is_zero() || length > MAX_PAUSE {
            return Err(Refusal::at("for_minutes", "Give a whole number from 1 to 43200."));
        }
        Ok(length)
    }

    /// The model, if the channel has it.
    fn model(&self, entry: &ChannelEntry) -> Result<Option<String>> {
        match &self.model {
            Some(model) if !models_to_check(&entry.channel).contains(model) => {
                Err(Refusal::at("model", "The channel has no such upstream model."))
            }
            model => Ok(model.clone()),
        }
    }
}

async fn pause_channel(asked: Asked<ChannelId, (), Body<PauseInput>>) -> Result<Shown<PauseView>> {
    let entry = channels::find(&asked.site.catalog.load(), asked.path)?;
    let (length, model) = (asked.body.0.length()?, asked.body.0.model(&entry)?);
    let scope = model.map_or(Scope::Channel(asked.path), |model| Scope::ChannelModel(asked.path, model));
    Ok(Shown(PauseView { until: asked.site.dispatch.pause(&[scope], length).into() }))
}

async fn pause_key(asked: Asked<KeyId, (), Body<PauseInput>>) -> Result<Shown<PauseView>> {
    let (entry, _) = keys::find(&asked.site.catalog.load(), asked.path)?;
    let (length, model) = (asked.body.0.length()?, asked.body.0.model(&entry)?);
    let scope = model.map_or(Scope::Key(asked.path), |model| Scope::KeyModel(asked.path, model));
    Ok(Shown(PauseView { until: asked.site.dispatch.pause(&[scope], length).into() }))
}
