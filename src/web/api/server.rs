//! The server as a whole: its status, and the models that clients see.

use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::Result,
    shapes::{At, NamedPageQuery},
};
use crate::{
    model::recording::Broken,
    pool::{
        input::{ModelDetails, ModelInput},
        upkeep::key_rest,
    },
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/status", "Show how the server is", status),
        Endpoint::new(Method::GET, "/api/models", "List public models and who serves them", models)
            .about("What clients may ask for, by name, with every channel and upstream's model behind it."),
    ]
}

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// The server's version.
    version: &'static str,
    /// The server's time.
    now: At,
    /// The time zone of quota resets.
    time_zone: String,
    /// The address for clients; null if `PUBLIC_URL` is not set.
    public_url: Option<String>,
    /// Whether the server is stopping.
    stopping: bool,
    /// What is wrong with the recording of usage; null if nothing is.
    alarm: Option<AlarmView>,
    /// Channels.
    channels: OnCounts,
    /// Keys.
    keys: KeyStatus,
    /// Tokens.
    tokens: OnCounts,
    /// Public models.
    models: usize,
    /// How many keys, models and hosts rest now.
    rests: usize,
}

/// How many there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnCounts {
    /// All of them.
    total: usize,
    /// Those that are switched on.
    enabled: usize,
}

/// How many keys there are, and how many can take calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyStatus {
    /// All of them.
    total: usize,
    /// Those that are switched on, on channels that are.
    enabled: usize,
    /// Those of them that do not rest.
    available: usize,
}

/// What is wrong with the recording of usage.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlarmView {
    /// Since when.
    since: At,
    /// What does not work.
    what: BrokenPart,
    /// What the system says.
    detail: String,
}

/// A part of the recording.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrokenPart {
    /// The journal cannot be written: rows wait in memory.
    Journal,
    /// Rows do not get from the journal to the database.
    Database,
}

async fn status(asked: Asked) -> Result<Shown<StatusView>> {
    let site = &asked.site;
    site.db.ping().await?;
    let catalog = site.catalog.load();
    let now = site.dispatch.now();
    let alarm = site.admin.recording.as_ref().and_then(|recording| recording());
    let (mut channels, mut tokens) = (OnCounts { total: 0, enabled: 0 }, OnCounts { total: 0, enabled: 0 });
    let mut keys = KeyStatus { total: 0, enabled: 0, available: 0 };
    let pool = site.dispatch.lock();
    for entry in catalog.channels() {
        channels.total += 1;
        channels.enabled += usize::from(entry.channel.enabled);
        keys.total += entry.keys.len();
        for key in entry.keys.iter().filter(|key| key.enabled && entry.channel.enabled) {
            keys.enabled += 1;
            keys.available += usize::from(key_rest(entry, key, pool.rests(), now.steady).is_none());
        }
    }
    for token in catalog.tokens() {
        tokens.total += 1;
        tokens.enabled += usize::from(token.enabled);
    }
    Ok(Shown(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        now: now.wall.into(),
        time_zone: catalog.zone.iana_name().unwrap_or("UTC").to_owned(),
        public_url: catalog.settings.public_url.clone(),
        stopping: site.drain.started.is_cancelled(),
        alarm: alarm.map(|alarm| AlarmView {
            since: alarm.since.into(),
            what: match alarm.what {
                Broken::Journal => BrokenPart::Journal,
                Broken::Database => BrokenPart::Database,
            },
            detail: alarm.detail,
        }),
        channels,
        keys,
        tokens,
        models: catalog.models().count(),
        rests: pool.rests().all_active(now.steady).count(),
    }))
}

/// A page of public models.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelList {
    /// The models, by name.
    items: Vec<PublicModelView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// A model as clients ask for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicModelView {
    /// Its name.
    name: String,
    /// Who serves it: channels that are on.
    candidates: Vec<CandidateView>,
}

/// A way to serve a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct CandidateView {
    /// The channel.
    channel_id: i64,
    /// The channel's name.
    channel: String,
    /// The channel's priority.
    priority: i64,
    /// The channel's share among those of the same priority.
    weight: u32,
    /// Groups that may use the channel.
    groups: Vec<String>,
    /// The upstream's model, and what is known of it.
    model: ModelDetails,
    /// Keys of the channel that are switched on.
    keys: usize,
    /// Those of them that do not rest.
    available_keys: usize,
}

async fn models(asked: Asked<(), Query<NamedPageQuery>>) -> Result<Shown<ModelList>> {
    let catalog = asked.site.catalog.load();
    let now = asked.site.clock.steady();
    let pool = asked.site.dispatch.lock();
    let query = &asked.query.0;
    let wanted = catalog.models().filter(|model| query.wants(&model.name));
    let (models, next) = query.page()?.cut(wanted, |model| model.name.to_lowercase())?;
    let candidate = |route: &crate::model::catalog::Route| {
        let entry = &route.channel;
        let channel = &entry.channel;
        let enabled: Vec<_> = entry.keys.iter().filter(|key| key.enabled).collect();
        let available = enabled.iter().filter(|key| key_rest(entry, key, pool.rests(), now).is_none());
        CandidateView {
            channel_id: channel.id.0,
            channel: channel.name.clone(),
            priority: channel.priority,
            weight: channel.weight,
            groups: channel.groups.clone(),
            model: match ModelInput::of(&route.model) {
                ModelInput::Details(details) => details,
                ModelInput::Name(name) => ModelDetails { name, ..ModelDetails::default() },
            },
            available_keys: available.count(),
            keys: enabled.len(),
        }
    };
    let items = models
        .into_iter()
        .map(|model| PublicModelView {
            name: model.name.clone(),
            candidates: model.routes.iter().map(candidate).collect(),
        })
        .collect();
    Ok(Shown(ModelList { items, next }))
}
