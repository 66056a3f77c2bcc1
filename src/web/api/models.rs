//! What upstreams list: every model of every channel, what changed, and asking anew.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    channels,
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, Page, unknown_cursor},
};
use crate::{
    discovery::{RefreshFailure, refresh, round::Progress},
    model::{id::ChannelId, time::UnixMs},
    pool::{input::PriceInput, upkeep::patient_timeouts},
    provider::listing::{Modalities, Modality},
    storage::discovery::{ChangeKind, DiscoveredModel, ModelChange, ModelFilter},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/discovered-models", "List the models of all upstreams", list).about(
            "As each upstream listed them last. Listed does not mean callable: `callable` is true for models that answered \
             a call, false for those that refused the last one, and null for those that nobody called.",
        ),
        Endpoint::new(Method::GET, "/api/discovered-models/changes", "Show what changed in the upstreams' lists", changes)
            .about("The latest first. At most 10,000 changes of the last 90 days are kept."),
        Endpoint::new(Method::POST, "/api/discovered-models/refresh", "Ask every upstream which models it has", renew_all)
            .about(
                "Every channel that is on, several at a time, beside this request: it is answered at once. Ask with GET how \
                 far it has come. A round that is under way goes on.",
            ),
        Endpoint::new(Method::GET, "/api/discovered-models/refresh", "Show how far asking the upstreams has come", round)
            .about("Of the round that is under way, or of the last one since the start."),
        Endpoint::new(Method::POST, "/api/channels/{id}/refresh", "Ask the upstream which models it has", renew)
            .about("What the channel offers stays as it is.")
            .fails(StatusCode::CONFLICT, "The channel has no key to ask with.")
            .fails(StatusCode::BAD_GATEWAY, "The upstream gave no list; the message says why. What is known stays."),
    ]
}

/// Which models to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelsQuery {
    /// Only models whose name contains this; letter case does not matter.
    pub search: Option<String>,
    /// Only models of this channel.
    pub channel_id: Option<i64>,
    /// Only those that cost nothing.
    #[serde(default)]
    pub free: bool,
    /// Only those that answered a call.
    #[serde(default)]
    pub callable: bool,
    /// Only those that their channel does not offer.
    #[serde(default)]
    pub not_offered: bool,
    /// Those that are listed no more, in place of those that are.
    #[serde(default)]
    pub gone: bool,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

/// A kind of content.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Speech and other sound.
    Audio,
    /// Video.
    Video,
    /// Documents such as PDF.
    File,
    /// Vectors, of an embedding model.
    Embedding,
}

impl Content {
    fn all_of(kinds: Option<Modalities>) -> Option<Vec<Self>> {
        let kind = |kind| match kind {
            Modality::Text => Self::Text,
            Modality::Image => Self::Image,
            Modality::Audio => Self::Audio,
            Modality::Video => Self::Video,
            Modality::File => Self::File,
            Modality::Embedding => Self::Embedding,
        };
        Some(kinds?.iter().map(kind).collect())
    }
}

/// A model that an upstream lists. What is null is unknown.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveredView {
    /// The upstream's name for it.
    name: String,
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The context window, in tokens.
    context_window: Option<u32>,
    /// The longest answer, in tokens.
    output_limit: Option<u32>,
    /// What it takes.
    input: Option<Vec<Content>>,
    /// What it gives.
    output: Option<Vec<Content>>,
    /// Whether it calls tools.
    tools: Option<bool>,
    /// Whether it reasons before it answers.
    reasoning: Option<bool>,
    /// Whether it hears sound in messages.
    audio: Option<bool>,
    /// Whether it answers by a JSON schema.
    json_schema: Option<bool>,
    /// What it costs.
    price: Option<PriceInput>,
    /// Whether it costs nothing within the provider's limits.
    free: Option<bool>,
    /// Whether calls to it succeed, as the last one showed.
    callable: Option<bool>,
    /// The last call that it answered, to a quarter of an hour.
    answered_at: Option<At>,
    /// The last call that was refused because of the model, to a quarter of an hour.
    refused_at: Option<At>,
    /// Whether the channel offers it under its own name.
    offered: bool,
    /// When the provider says that it came out.
    created_at: Option<At>,
    /// When it was listed first.
    first_seen_at: At,
    /// When it was listed last.
    last_seen_at: At,
    /// Since when it is listed no more.
    vanished_at: Option<At>,
}

impl DiscoveredView {
    /// A model as answers and commands show it.
    pub fn of(model: &DiscoveredModel) -> Self {
        let facts = &model.facts;
        Self {
            name: facts.id.clone(),
            channel_id: model.channel_id.0,
            channel: model.channel.clone(),
            context_window: facts.context_window,
            output_limit: facts.output_limit,
            input: Content::all_of(facts.input),
            output: Content::all_of(facts.output),
            tools: facts.tools,
            reasoning: facts.reasoning,
            audio: facts.audio,
            json_schema: facts.schema,
            price: facts.price.map(PriceInput::of),
            free: facts.free,
            callable: model.callable(),
            answered_at: model.answered_at.map(At),
            refused_at: model.refused_at.map(At),
            offered: model.offered,
            created_at: facts.created.map(At),
            first_seen_at: At(model.first_seen_at),
            last_seen_at: At(model.last_seen_at),
            vanished_at: model.vanished_at.map(At),
        }
    }
}

/// A page of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveredList {
    /// The models, by name and then by channel.
    items: Vec<DiscoveredView>,
    /// How many fit in all.
    total: usize,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn list(asked: Asked<(), Query<ModelsQuery>>) -> Result<Shown<DiscoveredList>> {
    let query = asked.query.0;
    let page = Page::read(query.limit, None)?;
    let offset: usize = match &query.cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| unknown_cursor())?,
    };
    let filter = ModelFilter {
        search: query.search.unwrap_or_default(),
        channel: query.channel_id.map(ChannelId),
        free: query.free,
        callable: query.callable,
        not_offered: query.not_offered,
        gone: query.gone,
    };
    let (models, total) = asked.site.db.discovered_models(&filter, offset, page.limit()).await?;
    let end = offset.saturating_add(models.len());
    let next = (!models.is_empty() && end < total).then(|| end.to_string());
    Ok(Shown(DiscoveredList { items: models.iter().map(DiscoveredView::of).collect(), total, next }))
}

/// Which changes to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// Only changes that were noticed after this time, as RFC 3339 writes it.
    pub after: Option<String>,
    /// Only changes of this channel.
    pub channel_id: Option<i64>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
}

/// A change of a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeView {
    /// When it was noticed.
    at: At,
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The upstream's name for the model.
    name: String,
    /// What happened.
    kind: ChangeKind,
    /// Of a changed model, what is said now in place of what.
    fields: Vec<FieldView>,
}

/// A field of a model that was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldView {
    /// Its name; prices are in micro-dollars per million tokens.
    field: String,
    /// What was said, as JSON.
    before: String,
    /// What is said, as JSON.
    after: String,
}

impl ChangeView {
    /// A change as answers and commands show it.
    pub fn of(change: &ModelChange) -> Self {
        let field = |(field, before, after): &(String, Value, Value)| FieldView {
            field: field.clone(),
            before: before.to_string(),
            after: after.to_string(),
        };
        Self {
            at: At(change.at),
            channel_id: change.channel_id.0,
            channel: change.channel.clone(),
            name: change.name.clone(),
            kind: change.kind,
            fields: change.fields.iter().map(field).collect(),
        }
    }
}

/// The latest changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeList {
    /// The changes, the latest first.
    items: Vec<ChangeView>,
    /// How many there are in all.
    total: usize,
}

async fn changes(asked: Asked<(), Query<ChangesQuery>>) -> Result<Shown<ChangeList>> {
    let query = asked.query.0;
    let page = Page::read(query.limit, None)?;
    let after = match &query.after {
        None => UnixMs(0),
        Some(text) => {
            let wrong = |_| Refusal::at("after", "Give a time such as 2026-11-20T12:00:00Z.");
            UnixMs(text.parse::<jiff::Timestamp>().map_err(wrong)?.as_millisecond())
        }
    };
    let channel = query.channel_id.map(ChannelId);
    let (changes, total) = asked.site.db.model_changes(after, channel, page.limit()).await?;
    Ok(Shown(ChangeList { items: changes.iter().map(ChangeView::of).collect(), total }))
}

/// What came of asking an upstream.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefreshView {
    /// How many models it lists.
    models: usize,
    /// Whether it is the channel's first list; then no model of it counts as new.
    first: bool,
    /// Models that were not there before.
    appeared: usize,
    /// Models of which something else is said.
    changed: usize,
    /// Models that are gone.
    vanished: usize,
    /// Models that the list lacks without proving that they are gone, since it is empty, cut off, or in part unreadable;
    /// they are kept.
    unproved: usize,
    /// Entries of the list that are no models and were passed over: how many.
    skipped: usize,
    /// The first of them: where it stands, and what is wrong.
    fault: Option<String>,
}

/// How far asking every upstream has come.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoundView {
    /// Whether upstreams are being asked.
    running: bool,
    /// How many are asked in this round.
    total: usize,
    /// How many of them have answered, or failed to.
    done: usize,
    /// How many models they list.
    models: usize,
    /// Channels that gave no list, by name; at most fifty.
    failed: Vec<String>,
}

impl RoundView {
    fn of(progress: Progress) -> Shown<Self> {
        let Progress { running, total, done, models, failed } = progress;
        Shown(Self { running, total, done, models, failed })
    }
}

async fn renew_all(asked: Asked) -> Result<Shown<RoundView>> {
    let site = &asked.site;
    site.admin.rounds.ask(site.askable_channels());
    Ok(RoundView::of(site.admin.rounds.progress()))
}

async fn round(asked: Asked) -> Result<Shown<RoundView>> {
    Ok(RoundView::of(asked.site.admin.rounds.progress()))
}

async fn renew(asked: Asked<ChannelId>) -> Result<Shown<RefreshView>> {
    let site = &asked.site;
    let catalog = site.catalog.load();
    let entry = channels::find(&catalog, asked.path)?;
    let timeouts = patient_timeouts(&catalog, &entry.channel);
    let provider = site.catalog.provider_of(&entry.channel);
    let refreshed = refresh(&site.db, &site.clients, &entry, &provider, timeouts, site.clock.now()).await;
    let refreshed = refreshed.map_err(|failure| match failure {
        RefreshFailure::NoKey => channels::no_key(),
        RefreshFailure::Fetch(failure) => channels::not_fetched(&failure),
        RefreshFailure::Storage(error) => error.into(),
    })?;
    let (listing, saved) = (&refreshed.fetched.listing, refreshed.saved);
    Ok(Shown(RefreshView {
        models: listing.models.len(),
        first: saved.first,
        appeared: saved.appeared,
        changed: saved.changed,
        vanished: saved.vanished,
        unproved: saved.unproved,
        skipped: listing.skipped_count,
        fault: listing.skipped.first().map(ToString::to_string),
    }))
}
