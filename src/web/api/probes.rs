//! What models can do: what is known, and finding it out.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    channels,
    endpoint::{Asked, Body, Endpoint, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, Page, unknown_cursor},
};
use crate::{
    discovery::probe::{HeldBack, Prober, Subject, open_kinds},
    model::{
        id::ChannelId,
        probe::{ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        time::UnixMs,
    },
    pool::{rules, upkeep::patient_timeouts},
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/probes", "List what is known of the abilities of models", list).about(
            "From probes and from the calls of clients, by channel, model and kind. `holds` says whether a result is clear \
             and young enough to be believed: 7 days if it is positive, else one.",
        ),
        Endpoint::new(Method::POST, "/api/probes", "Find out what a model can do", probe)
            .about(
                "Up to four calls, and some more for models that want to be asked in another way. Each is charged to the \
                 limits of its key, the one with most left; none is made that a limit forbids, and of a daily quota probes \
                 take no more than `PROBE_QUOTA_PERCENT`. What is known is not asked again.",
            )
            .fails(StatusCode::NOT_FOUND, "There is no such channel."),
    ]
}

/// Which results to show.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbesQuery {
    /// Only models of this channel.
    pub channel_id: Option<i64>,
    /// Only the model of this upstream name.
    pub model: Option<String>,
    /// The most items of the answer.
    #[schema(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<i64>,
    /// Where to go on: `next` of the answer before.
    pub cursor: Option<String>,
}

/// One thing that is known of a model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeView {
    /// The channel.
    channel_id: i64,
    /// The upstream's name of the model.
    model: String,
    /// What was to be found out.
    kind: ProbeKind,
    /// What was. `accepted`: an image was taken without an error, but what it shows was not told.
    verdict: ProbeVerdict,
    /// Whether it is clear and young enough to be believed.
    holds: bool,
    /// When.
    at: At,
    /// How long the calls took, in milliseconds; 0 if nothing was asked, or if it is from the calls of clients.
    duration_ms: u32,
    /// Milliseconds until the first content, if that was measured.
    first_token_ms: Option<u32>,
    /// Tokens per second after the first content, if that was measured.
    tokens_per_second: Option<u32>,
    /// The answer or the refusal in short (at most 300 characters, secrets masked).
    detail: String,
    /// Where it is known from.
    source: ProbeSource,
}

impl ProbeView {
    /// A result as answers and commands show it.
    pub fn of(result: &ProbeResult, now: UnixMs) -> Self {
        Self {
            channel_id: result.channel.0,
            model: result.model.clone(),
            kind: result.kind,
            verdict: result.verdict,
            holds: result.holds(now),
            at: At(result.at),
            duration_ms: result.duration_ms,
            first_token_ms: result.first_token_ms,
            tokens_per_second: result.tokens_per_second,
            detail: result.detail.clone(),
            source: result.source,
        }
    }
}

/// A page of results.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbeList {
    /// The results, by channel, model and kind.
    items: Vec<ProbeView>,
    /// How many there are in all.
    total: usize,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

async fn list(asked: Asked<(), Query<ProbesQuery>>) -> Result<Shown<ProbeList>> {
    let query = asked.query.0;
    let page = Page::read(query.limit, None)?;
    let offset: usize = match &query.cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| unknown_cursor())?,
    };
    let site = &asked.site;
    let book = site.db.probes(query.channel_id.map(ChannelId)).await?;
    let is_meant = |model: &str| query.model.as_deref().is_none_or(|meant| meant == model);
    let all: Vec<&ProbeResult> =
        book.iter().filter(|((_, model), _)| is_meant(model)).flat_map(|(_, results)| results).collect();
    let now = site.clock.now();
    let items: Vec<ProbeView> =
        all.iter().skip(offset).take(page.limit()).map(|result| ProbeView::of(result, now)).collect();
    let end = offset.saturating_add(items.len());
    let next = (!items.is_empty() && end < all.len()).then(|| end.to_string());
    Ok(Shown(ProbeList { items, total: all.len(), next }))
}

/// What to find out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeInput {
    /// The channel.
    channel_id: i64,
    /// The upstream's name of the model.
    model: String,
    /// What to find out; left out: everything that the model's list does not rule out.
    #[serde(default)]
    kinds: Vec<ProbeKind>,
    /// Ask again also what is known.
    #[serde(default)]
    fresh: bool,
    /// How long each call may take, in milliseconds; left out: until the channel's first byte must come, a minute at most.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 60_000)]
    timeout_ms: Option<u32>,
    /// The most that probes take of a daily quota, in percent, in place of the setting.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    quota_percent: Option<u32>,
}

/// Why something was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBackView {
    /// No key is on that does not rest.
    NoKey,
    /// A limit of every key is used up for now.
    Limit,
    /// Probes have had their share of the daily quota.
    Share,
}

impl HeldBackView {
    /// The reason as answers and commands show it.
    pub fn of(held_back: HeldBack) -> Self {
        match held_back {
            HeldBack::NoKey => Self::NoKey,
            HeldBack::Limit => Self::Limit,
            HeldBack::Share => Self::Share,
        }
    }
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProbedView {
    /// What is known now of what was to be found out.
    items: Vec<ProbeView>,
    /// How many calls were made; each was charged.
    calls: usize,
    /// Why something was not asked, if that is so.
    held_back: Option<HeldBackView>,
}

async fn probe(asked: Asked<(), (), Body<ProbeInput>>) -> Result<Shown<ProbedView>> {
    let site = &asked.site;
    let input = asked.body.0;
    if !rules::is_model_name(&input.model) {
        return Err(Refusal::at("model", "This cannot be a model's name."));
    }
    if input.quota_percent.is_some_and(|percent| percent > 100) {
        return Err(Refusal::at("quota_percent", "Give a whole number from 0 to 100."));
    }
    if input.timeout_ms.is_some_and(|ms| !(1..=60_000).contains(&ms)) {
        return Err(Refusal::at("timeout_ms", "Give a whole number from 1 to 60000."));
    }
    let catalog = site.catalog.load();
    let channel = ChannelId(input.channel_id);
    let entry = channels::find(&catalog, channel)?;
    let provider = site.catalog.provider_of(&entry.channel);
    let mut timeouts = patient_timeouts(&catalog, &entry.channel);
    if let Some(ms) = input.timeout_ms {
        timeouts.first_byte = Duration::from_millis(u64::from(ms));
    }
    let now = site.clock.now();
    let known = known(site, channel, &input.model).await?;
    let facts = site.db.find_discovered(channel, &input.model).await?;
    let all = input.kinds.is_empty();
    let wanted = if all { ProbeKind::ALL } else { &input.kinds[..] };
    let facts = facts.as_ref().filter(|_| all);
    let believed = if input.fresh { &[][..] } else { &known[..] };
    let kinds = open_kinds(wanted, facts, believed, now);
    let percent = input.quota_percent.unwrap_or(catalog.settings.probe_quota_percent);
    let prober = Prober {
        db: &site.db,
        clients: &site.clients,
        dispatch: &site.dispatch,
        clock: &site.clock,
        percent,
    };
    let subject = Subject { entry: &entry, provider: &provider, model: &input.model, timeouts };
    let probed = prober.probe(&subject, &kinds, rand::random()).await?;
    prober.note_life(&subject, &probed).await?;
    let mut results = probed.results;
    results.extend(
        known.into_iter().filter(|result| wanted.contains(&result.kind) && !kinds.contains(&result.kind)),
    );
    results.sort_by_key(|result| result.kind);
    let now = site.clock.now();
    Ok(Shown(ProbedView {
        items: results.iter().map(|result| ProbeView::of(result, now)).collect(),
        calls: probed.calls.len(),
        held_back: probed.held_back.map(HeldBackView::of),
    }))
}

/// What is known of a model, from real calls of the last hour as well.
async fn known(site: &crate::web::Site, channel: ChannelId, model: &str) -> Result<Vec<ProbeResult>> {
    const TRAFFIC: Duration = Duration::from_secs(3600);
    site.db.note_probes_of_traffic(site.clock.now() - TRAFFIC).await?;
    Ok(site.db.probes_of(&[(channel, model)]).await?.into_values().flatten().collect())
}
