//! Channels: their list, one of them, the upstream's models, and the end of their rests.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing,
    endpoint::{Asked, Body, Created, Endpoint, Gone, Patch, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{Ended, NamedPageQuery},
};
use crate::{
    discovery::{RefreshFailure, refresh},
    error::Error,
    model::{
        catalog::{Catalog, ChannelEntry},
        channel::{Channel, ChannelModel, Protocol},
        id::ChannelId,
        secret::Secret,
        time::UnixMs,
    },
    pool::{
        input::{ChannelInput, Faults, LimitInput, ModelDetails, ModelInput, TimeoutsInput, Upstreams},
        rules::MAX_MODELS,
        upkeep::{
            concerns_channel, end_rests, is_paused, key_rest, merged_models, patient_timeouts,
            sends_secrets_elsewhere,
        },
    },
    scheduler::rest::{RestBook, Scope},
    storage::channels::NewChannel,
    upstream::models::FetchFailure,
    web::Site,
};

/// What hides the beginning of a secret.
const MASK: &str = "••••";

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    let example = json!({
        "name": "Groq", "base_url": "https://api.groq.com/openai/v1", "priority": 10,
        "models": ["llama-3.3-70b-versatile", {"name": "openai/gpt-oss-120b", "price": {"input": 0.15, "output": 0.6}}],
        "redirects": {"smart": "openai/gpt-oss-120b"},
        "limits": [
            {"max": 30, "window": "1m", "per": "group"},
            {"metric": "tokens", "max": 200_000, "window": "day@UTC", "per": "group_model", "models": ["openai/*"]},
            {"metric": "concurrency", "max": 4, "per": "key"},
        ],
    });
    let moved = "Keys are never readable through this interface. A change that would send a channel's keys or headers \
                 to another host, or by way of another proxy, needs the account's password in the header `x-onepool-password`.";
    vec![
        Endpoint::new(Method::GET, "/api/channels", "List channels", list),
        Endpoint::new(Method::POST, "/api/channels", "Add a channel", create)
            .example(example.clone())
            .fails(StatusCode::CONFLICT, "The name is taken."),
        Endpoint::new(Method::GET, "/api/channels/{id}", "Show a channel", show),
        Endpoint::new(Method::PUT, "/api/channels/{id}", "Replace a channel's settings", replace)
            .about(moved)
            .example(example)
            .fails(StatusCode::FORBIDDEN, "The account's password is needed, or wrong.")
            .fails(StatusCode::CONFLICT, "The name is taken."),
        Endpoint::new(Method::PATCH, "/api/channels/{id}", "Change a channel, switch it on or off", change)
            .about(moved)
            .example(json!({"enabled": false, "headers": {"X-Title": null}}))
            .fails(StatusCode::FORBIDDEN, "The account's password is needed, or wrong.")
            .fails(StatusCode::CONFLICT, "The name is taken."),
        Endpoint::new(Method::DELETE, "/api/channels/{id}", "Delete a channel with its keys", delete)
            .about("Its secrets are erased; its name stays for the usage log."),
        Endpoint::new(Method::POST, "/api/channels/{id}/models/fetch", "Ask the upstream for its models", fetch)
            .about(
                "Shows what the upstream lists, and with `apply` makes it (or those of it that `models` names) what the \
                 channel offers. What is known of models that were there stays.",
            )
            .example(json!({"apply": true}))
            .fails(StatusCode::CONFLICT, "The channel has no key to ask with.")
            .fails(StatusCode::BAD_GATEWAY, "The upstream gave no list; the message says why."),
        Endpoint::new(Method::POST, "/api/channels/{id}/retry", "End every rest and pause of a channel", retry)
            .about("The channel, its keys and models are tried again from the next call on."),
    ]
}

/// A channel as answers show it. Secrets are masked.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelView {
    /// Its id.
    id: i64,
    /// Its name.
    name: String,
    /// The upstream's base URL.
    base_url: String,
    /// The protocol that it speaks.
    protocol: Protocol,
    /// The id of the provider whose rules hold for it.
    provider: String,
    /// The plan of the provider's that limits depend on; null means the provider's usual one.
    plan: Option<String>,
    /// Channels of a higher priority are tried before those of a lower one.
    priority: i64,
    /// Share of the calls among channels of the same priority.
    weight: u32,
    /// Groups that may use it.
    groups: Vec<String>,
    /// Headers that are added to every upstream request; of each value the last four characters at most.
    headers: BTreeMap<String, String>,
    /// The outbound proxy, its password masked.
    proxy: Option<String>,
    /// Its own time limits.
    timeouts: TimeoutsInput,
    /// Whether the upstream may be on a private address.
    allow_private: bool,
    /// A note.
    note: String,
    /// Off means: takes no calls.
    enabled: bool,
    /// The endpoints that it serves; empty means what its provider is known to serve.
    endpoints: Vec<crate::model::endpoint::Endpoint>,
    /// The upstream's models that are offered under their own names: a name, or an object with what is known.
    models: Vec<ModelInput>,
    /// Further public names, each with one upstream model or several.
    redirects: BTreeMap<String, Upstreams>,
    /// The limits that are declared on it.
    limits: Vec<LimitInput>,
    /// Whether it takes calls now, and if not, why.
    state: ChannelState,
    /// Its keys.
    keys: KeyCounts,
}

/// Whether a channel takes calls now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// It takes calls.
    Available,
    /// It is switched off.
    Off,
    /// No key of it is switched on.
    NoKeys,
    /// It offers no model.
    NoModels,
    /// It rests, or all of its keys do.
    Resting,
    /// An operator has paused it, or all of its keys.
    Paused,
}

/// How many keys a channel has.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyCounts {
    /// All of them.
    total: usize,
    /// Those that are switched on.
    enabled: usize,
    /// Those of them that do not rest.
    available: usize,
}

/// A page of channels.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelList {
    /// The channels, by id.
    items: Vec<ChannelView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

impl ChannelView {
    /// A channel as it is now.
    pub fn of(entry: &ChannelEntry, book: &RestBook, now: UnixMs) -> Self {
        let channel = &entry.channel;
        let input = ChannelInput::of(channel);
        let enabled: Vec<_> = entry.keys.iter().filter(|key| key.enabled).collect();
        let available = enabled.iter().filter(|key| key_rest(entry, key, book, now).is_none()).count();
        let state = if !channel.enabled {
            ChannelState::Off
        } else if enabled.is_empty() {
            ChannelState::NoKeys
        } else if channel.models.is_empty() && channel.redirects.is_empty() {
            ChannelState::NoModels
        } else if is_paused(entry, book, now) {
            ChannelState::Paused
        } else if available == 0 || book.active(&Scope::Channel(channel.id), now).is_some() {
            ChannelState::Resting
        } else {
            ChannelState::Available
        };
        Self {
            id: channel.id.0,
            name: input.name,
            base_url: input.base_url,
            protocol: input.protocol,
            provider: channel.provider.clone(),
            plan: input.plan,
            priority: input.priority,
            weight: channel.weight,
            groups: input.groups,
            headers: channel.headers.iter().map(|(name, value)| (name.clone(), masked(value))).collect(),
            proxy: channel.proxy.as_ref().map(masked_proxy),
            timeouts: input.timeouts,
            allow_private: input.allow_private,
            note: input.note,
            enabled: input.enabled,
            endpoints: input.endpoints,
            models: input.models,
            redirects: input.redirects,
            limits: input.limits,
            state,
            keys: KeyCounts { total: entry.keys.len(), enabled: enabled.len(), available },
        }
    }
}

fn masked(value: &Secret) -> String {
    format!("{MASK}{}", value.last4())
}

fn masked_proxy(proxy: &Secret) -> String {
    let text = proxy.expose();
    let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return text.to_owned() };
    let user = user.split_once(':').map_or_else(|| user.to_owned(), |(user, _)| format!("{user}:{MASK}"));
    format!("{scheme}://{user}@{host}")
}

/// The channel of an id.
pub fn find(catalog: &Catalog, id: ChannelId) -> Result<Arc<ChannelEntry>> {
    Ok(catalog.channel(id).cloned().ok_or(Error::NotFound)?)
}

fn view(site: &Site, id: ChannelId) -> Result<ChannelView> {
    let entry = find(&site.catalog.load(), id)?;
    Ok(ChannelView::of(&entry, site.dispatch.lock().rests(), site.clock.steady()))
}

/// The channel that an input describes. A masked secret is refused here: it is what an answer shows, not what is meant.
fn checked(
    site: &Site,
    input: &ChannelInput,
    known: Option<&Channel>,
    asked: &super::auth::Caller,
) -> Result<NewChannel> {
    let mut faults = Faults::default();
    let text = "This is masked, as answers show it; give the whole value, or change other fields by PATCH.";
    for (name, value) in &input.headers {
        if value.expose().contains('•') {
            faults.add(format!("headers.{name}"), text);
        }
    }
    if input.proxy.as_ref().is_some_and(|proxy| proxy.expose().contains('•')) {
        faults.add("proxy", text);
    }
    faults.or(())?;
    Ok(input.check(known, Some(&site.catalog.providers().load()), asked.t())?)
}

async fn list(asked: Asked<(), Query<NamedPageQuery>>) -> Result<Shown<ChannelList>> {
    let catalog = asked.site.catalog.load();
    let query = &asked.query.0;
    let wanted = catalog.channels().filter(|entry| query.wants(&entry.channel.name));
    let (entries, next) = query.page()?.cut(wanted, |entry| entry.channel.id.0)?;
    let now = asked.site.clock.steady();
    let pool = asked.site.dispatch.lock();
    let items = entries.into_iter().map(|entry| ChannelView::of(entry, pool.rests(), now)).collect();
    Ok(Shown(ChannelList { items, next }))
}

async fn show(asked: Asked<ChannelId>) -> Result<Shown<ChannelView>> {
    Ok(Shown(view(&asked.site, asked.path)?))
}

async fn create(asked: Asked<(), (), Body<ChannelInput>>) -> Result<Created<ChannelView>> {
    let new = checked(&asked.site, &asked.body.0, None, &asked.caller)?;
    let id = asked.site.db.create_channel(&new).await?;
    asked.site.catalog.reload().await?;
    Ok(Created(format!("/api/channels/{id}"), view(&asked.site, id)?))
}

async fn replace(asked: Asked<ChannelId, (), Body<ChannelInput>>) -> Result<Shown<ChannelView>> {
    let _changing = changing(&asked.site).await?;
    let entry = find(&asked.site.catalog.load(), asked.path)?;
    let input = &asked.body.0;
    save(&asked.site, &asked.caller, &entry, input).await
}

async fn change(asked: Asked<ChannelId, (), Patch<ChannelInput>>) -> Result<Shown<ChannelView>> {
    let _changing = changing(&asked.site).await?;
    let entry = find(&asked.site.catalog.load(), asked.path)?;
    let input = asked.body.apply(&ChannelInput::of(&entry.channel))?;
    save(&asked.site, &asked.caller, &entry, &input).await
}

async fn save(
    site: &Site,
    caller: &super::auth::Caller,
    entry: &ChannelEntry,
    input: &ChannelInput,
) -> Result<Shown<ChannelView>> {
    let channel = &entry.channel;
    let new = checked(site, input, Some(channel), caller)?;
    if sends_secrets_elsewhere(channel, !entry.keys.is_empty(), &new) {
        let why = "This change sends the channel's keys or headers to another host or proxy.";
        caller.confirm(site, why).await?;
    }
    site.db.update_channel(channel.id, &new).await?;
    site.catalog.reload().await?;
    Ok(Shown(view(site, channel.id)?))
}

async fn delete(asked: Asked<ChannelId>) -> Result<Gone> {
    let site = &asked.site;
    let entry = find(&site.catalog.load(), asked.path)?;
    site.db.delete_channel(entry.channel.id).await?;
    site.catalog.reload().await?;
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| concerns_channel(&entry, scope));
    Ok(Gone)
}

async fn retry(asked: Asked<ChannelId>) -> Result<Shown<Ended>> {
    let site = &asked.site;
    let entry = find(&site.catalog.load(), asked.path)?;
    let now = site.clock.steady();
    let ended = end_rests(site.dispatch.lock().rests_mut(), now, |scope| concerns_channel(&entry, scope));
    Ok(Shown(Ended { ended: ended as u64 }))
}

/// What to do with the upstream's list of models.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchInput {
    /// Whether the channel offers the models from now on.
    #[serde(default)]
    apply: bool,
    /// Of the upstream's list only these; left out means all of it.
    #[serde(default)]
    models: Option<Vec<String>>,
}

/// The upstream's list of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct FetchedModels {
    /// Every model that the upstream lists, and those of the channel that it does not list (any more).
    items: Vec<FetchedModel>,
    /// Whether the list was taken over.
    applied: bool,
    /// How many models the channel offers now.
    offered: usize,
}

/// A model of the upstream's list.
#[derive(Debug, Serialize, ToSchema)]
pub struct FetchedModel {
    /// What the upstream says of it.
    model: ModelDetails,
    /// How it stands to what the channel offered before.
    state: FetchedState,
}

/// How a model of the upstream's list stands to what the channel offered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FetchedState {
    /// The channel did not offer it.
    New,
    /// The channel offered it.
    Offered,
    /// The channel offers it, but the upstream does not list it.
    NotListed,
}

fn details(model: &ChannelModel) -> ModelDetails {
    match ModelInput::of(model) {
        ModelInput::Details(details) => details,
        ModelInput::Name(name) => ModelDetails { name, ..ModelDetails::default() },
    }
}

async fn fetch(asked: Asked<ChannelId, (), Body<FetchInput>>) -> Result<Shown<FetchedModels>> {
    let site = &asked.site;
    let catalog = site.catalog.load();
    let entry = find(&catalog, asked.path)?;
    let channel = &entry.channel;
    let timeouts = patient_timeouts(&catalog, channel);
    let provider = site.catalog.provider_of(channel);
    let listed = match refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await {
        Ok(refreshed) => refreshed.fetched.models(),
        Err(RefreshFailure::NoKey) => return Err(no_key()),
        Err(RefreshFailure::Fetch(failure)) => return Err(not_fetched(&failure)),
        Err(RefreshFailure::Storage(error)) => return Err(error.into()),
    };
    let names: HashSet<&str> = listed.iter().map(|model| model.name.as_str()).collect();
    let FetchInput { apply, models: wanted } = &asked.body.0;
    let mut faults = Faults::default();
    for (position, name) in wanted.iter().flatten().enumerate() {
        if !names.contains(name.as_str()) && channel.model(name).is_none() {
            faults.add(format!("models[{position}]"), "The upstream does not list this model.");
        }
    }
    faults.or(())?;
    let state = |model: &ChannelModel| match channel.model(&model.name) {
        Some(_) => FetchedState::Offered,
        None => FetchedState::New,
    };
    let gone = channel.models.iter().filter(|model| !names.contains(model.name.as_str()));
    let items = listed
        .iter()
        .map(|model| FetchedModel { model: details(model), state: state(model) })
        .chain(gone.map(|model| FetchedModel { model: details(model), state: FetchedState::NotListed }))
        .collect();
    let mut offered = channel.models.len();
    if *apply {
        // The upstream took its time; the channel may have been changed meanwhile.
        let _changing = changing(site).await?;
        let entry = find(&site.catalog.load(), asked.path)?;
        let channel = &entry.channel;
        let is_wanted =
            |model: &ChannelModel| wanted.as_ref().is_none_or(|names| names.contains(&model.name));
        // A model that is offered and asked for by name stays, though the upstream does not list it.
        let kept =
            channel.models.iter().filter(|model| wanted.is_some() && !names.contains(model.name.as_str()));
        let chosen = listed.iter().chain(kept).filter(|model| is_wanted(model)).take(MAX_MODELS).cloned();
        let models = merged_models(channel, chosen.collect());
        site.db.set_channel_models(channel.id, &models, &channel.redirects).await?;
        site.catalog.reload().await?;
        offered = models.len();
    }
    Ok(Shown(FetchedModels { items, applied: *apply, offered }))
}

/// A channel without a key.
pub(super) fn no_key() -> Refusal {
    let text = "The channel has no key to ask the upstream with; add one first.";
    Refusal::new(StatusCode::CONFLICT, "no_key", text)
}

/// Why an upstream gave no list.
pub(super) fn not_fetched(failure: &FetchFailure) -> Refusal {
    let status = failure.status.map(|status| format!(" (status {status})")).unwrap_or_default();
    let class = failure.class.map(|class| format!(" {class}:")).unwrap_or_default();
    let text = format!("The upstream gave no list of models{status}:{class} {}", failure.text);
    Refusal::new(StatusCode::BAD_GATEWAY, "upstream_failed", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_show_four_characters_at_most() {
        assert_eq!(masked(&Secret::new("a-long-header-value")), format!("{MASK}alue"));
        assert_eq!(masked(&Secret::new("short")), MASK);
        assert_eq!(masked_proxy(&Secret::new("socks5://u:secret@h:1")), format!("socks5://u:{MASK}@h:1"));
        assert_eq!(masked_proxy(&Secret::new("http://10.0.0.1:3128")), "http://10.0.0.1:3128");
    }
}
