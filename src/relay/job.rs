//! What a call asks for, checked against its token and the catalog: everything that attempts need.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{
    Call, Relay,
    ending::Ending,
    kept::{Asked, Bound, id_to_keep},
    quota::{NoRoom, OverRate, RateState, Reservation},
    response_cache,
    ticket::Ticket,
    upload::Upload,
};
use crate::{
    dispatch::{Permit, PlannedCall, Stage, rested_name},
    model::{
        budget::Owner,
        catalog::{Bar, Catalog, Route, Step},
        endpoint::{Dialect, Endpoint, Unit},
        key::Key,
        secret::Secret,
        time::UnixMs,
        token::{ClientProfile, Quota, QuotaUnit, Token},
        upstream_job::JobKind,
        usage::Units,
    },
    protocol::envelope::Envelope,
    scheduler::{
        desk,
        limit::Cost,
        pool::{Taken, Tried},
    },
    upstream::models::secrets_of,
};

/// Tokens of output that are reserved from a quota when neither the call nor the catalog sets a limit. Most models of
/// unknown limits stop well below that.
const UNKNOWN_OUTPUT_LIMIT: u64 = 16_384;

/// Sound of which nobody says how long it is, is taken for one of 128 kbit/s, which is usual for MP3.
const SOUND_BYTES_PER_MS: u64 = 16;

/// For a reservation it is taken for one of 32 kbit/s, which few speech is sent below,
const LONG_SOUND_BYTES_PER_MS: u64 = 4;
/// and at most for this long: four hours, in milliseconds.
const LONGEST_SOUND_MS: u64 = 4 * 3600 * 1000;

/// A video of which nobody says how long it shall be, in milliseconds: what most vendors make then is no longer.
const UNKNOWN_VIDEO_MS: u64 = 8000;

/// How many documents are ranked in one search (<https://cohere.com/pricing>).
const DOCUMENTS_PER_SEARCH: u64 = 100;

/// How long a call of OpenClaw's waits for what rests after bad answers: it has other models to go to, and somebody who waits.
/// What its keys are merely limited in is waited for as with any client.
const OPENCLAW_REST_WAIT: Duration = Duration::from_secs(3);

/// How long a call waits for those that are known to serve its endpoint, before others are tried, in milliseconds.
const UNKNOWN_AFTER_MS: u32 = 2000;

/// Tokens that are reserved for each picture: the most that one of OpenAI's takes, large and of high quality
/// (<https://platform.openai.com/docs/guides/image-generation#cost-and-latency>).
const PICTURE_TOKENS: u64 = 6240;

/// Estimates of prompt tokens are raised by this much in a reservation, because they may fall short.
const ESTIMATE_MARGIN_PERCENT: u64 = 15;

/// Shorter prompts are not cached (<https://platform.openai.com/docs/guides/prompt-caching>), so a conversation that nobody
/// names gains nothing by staying with its key.
const CACHED_FROM: u64 = 1024;

/// A call that may be sent.
pub(super) struct Job {
    pub catalog: Arc<Catalog>,
    pub token: Arc<Token>,
    /// How its client reads errors.
    pub profile: ClientProfile,
    pub endpoint: Endpoint,
    pub envelope: Envelope,
    /// The model's name as the client sees it.
    pub public_model: String,
    /// What it asks the desk for.
    pub call: desk::Call,
    /// When the first content must be there; the time in line moves it.
    pub deadline: Instant,
    /// What the client says of an upstream's cache of answers.
    pub cache: response_cache::Headers,
    /// Headers of the client's that go to the upstream.
    pub passed: Vec<(HeaderName, HeaderValue)>,
    /// The form that is sent, if it is one.
    pub upload: Option<Upload>,
    /// The key that it may go to, if there is only one.
    pub bound: Option<Box<Bound>>,
    /// Our id of what the upstream is asked to keep.
    pub kept_id: Option<String>,
    /// Our address, where the answer names it.
    pub base_url: Option<String>,
    prompt_tokens: u64,
}

/// Where an answer comes from, and the permission to be sent there.
pub(super) struct Source {
    pub target: Target,
    pub permit: Permit,
}

/// A key, and the channel's route that it is asked on.
pub(super) struct Target {
    pub route: Route,
    pub key: Arc<Key>,
}

impl Target {
    /// What a request to it carries and no text may repeat.
    pub fn secrets(&self) -> Vec<&Secret> {
        secrets_of(&self.route.channel.channel, &self.key.secret)
    }
}

impl Job {
    /// What stands behind a lane of the pool, by this snapshot. Keys come and go while a call waits.
    pub fn find_target(&self, catalog: &Catalog, taken: &Taken) -> Option<Target> {
        let is_meant = |route: &&Route| {
            route.channel.channel.id == taken.channel
                && rested_name(self.endpoint, &route.upstream_model) == taken.model
        };
        let route = catalog.model(&self.public_model)?.routes.iter().find(is_meant)?;
        let key = route.channel.keys.iter().find(|key| key.id == taken.key)?;
        Some(Target { route: route.clone(), key: key.clone() })
    }

    /// What the call asks for in its endpoint's own units.
    pub fn asked_units(&self) -> Units {
        asked_units(&self.envelope).unwrap_or_default()
    }

    /// The path below `/v1/` that it is sent to.
    pub fn path(&self) -> &str {
        self.bound.as_ref().and_then(|bound| bound.path.as_deref()).unwrap_or(self.endpoint.path())
    }

    /// Whether its answer needs other ids than the upstream's.
    pub fn keeps(&self) -> bool {
        self.kept_id.is_some() || self.bound.is_some()
    }

    /// An estimate of the prompt's tokens.
    pub fn prompt_tokens(&self) -> u64 {
        self.prompt_tokens
    }
}

impl Relay {
    /// Checks a call. What is refused here never reaches an upstream.
    pub(super) fn prepare(
        &self,
        call: Call,
        asked: Asked,
        catalog: Arc<Catalog>,
        ticket: &mut Ticket,
    ) -> Result<(Job, Option<RateState>), Ending> {
        let profile = call.profile();
        let Call { token, endpoint, at, arrived, session, class, cache, passed, base_url, .. } = call;
        let Asked { envelope, upload, bound } = asked;
        ticket.asked(&envelope.model, envelope.stream);
        if !token.allows_model(&envelope.model) {
            return Err(Ending::ModelNotAllowed { model: envelope.model });
        }
        let Some(model) = catalog.model(&envelope.model) else {
            return Err(Ending::ModelNotFound { model: envelope.model });
        };
        if model.routes.iter().all(|route| route.bar(&token) == Some(Bar::Group)) {
            return Err(Ending::ModelNotFound { model: envelope.model });
        }
        if let Some(bound) = &bound {
            let kind = if endpoint == Endpoint::Videos { JobKind::Video } else { JobKind::Response };
            Self::check_bound(&catalog, bound.channel, bound.key, kind)?;
        }
        let serves = |route: &Route| self.serves_call(route, endpoint, bound.as_deref());
        let mut reachable = model.routes.iter().filter(|route| route.bar(&token) != Some(Bar::Group));
        if reachable.all(|route| serves(route) == Serves::No) {
            return Err(match bound {
                Some(bound) => bound.without_route(&envelope.model),
                None => Ending::NotOnEndpoint { model: envelope.model, endpoint },
            });
        }
        let mut stages: Vec<Stage<'_>> = Vec::with_capacity(model.steps.len());
        for step in &model.steps {
            add_stages(&mut stages, step, &token, endpoint, serves);
        }
        let rate = self.parts.meters.count_request(&token, at).map_err(over_rate)?;
        let (prompt_tokens, media) = envelope.prompt_measure();
        let stages = self.steer(stages, &envelope, media, prompt_tokens)?;
        let routes: Vec<&Route> = stages.iter().flat_map(|stage| stage.routes.iter().copied()).collect();
        if let Some(quota) = token.quota {
            if routes.is_empty() {
                return Err(Ending::NoPrice { model: envelope.model });
            }
            let amount = reservation(quota, &envelope, prompt_tokens, &routes);
            let owner = Owner::Token(token.id);
            let reserved = self.parts.meters.reserve(owner, quota, amount, at, &catalog.zone);
            ticket.reserved(
                reserved.map_err(|full| Ending::TokenQuota {
                    resets_in: full.resets_at.map(|end| end.since(at)),
                })?,
            );
        }
        let settings = &catalog.settings;
        let wait_s = if envelope.stream { settings.queue_wait_stream_s } else { settings.queue_wait_s };
        let most_wait = Duration::from_secs(wait_s.into());
        let PlannedCall { plan, set, usual_output } =
            self.parts.dispatch.plan(&stages, endpoint, class, most_wait);
        let cost = cost(&envelope, prompt_tokens, usual_output);
        let routes = stages.iter().flat_map(|stage| &stage.routes);
        let keys = routes.map(|route| route.channel.keys.len()).sum::<usize>();
        // With one key there is no other to go to.
        let cached = prompt_tokens >= CACHED_FROM || session.is_some() || envelope.names_conversation();
        let conversation = if keys > 1 && cached { envelope.conversation(session.as_deref()) } else { None };
        let conversation = conversation.map(|number| of_token(number, &token, &model.name));
        // An upstream's cache belongs to a key, so equal requests go to the same one, whoever sends them.
        let keeps = |route: &&Route| route.channel.channel.shaping.response_cache_s.is_some();
        let kept = || stages.iter().flat_map(|stage| &stage.routes).any(keeps);
        let from_cache = keys > 1 && response_cache::turned_on(&cache).unwrap_or_else(kept);
        let number = || response_cache::number(envelope.body(), &model.name);
        let conversation = if from_cache { Some(number()) } else { conversation };
        let tried = match &bound {
            Some(bound) => self.parts.dispatch.only(&plan, bound.key),
            None => Tried::default(),
        };
        let now = self.parts.dispatch.now().steady;
        let call = desk::Call {
            plan,
            set,
            cost,
            conversation,
            token: token.id,
            weight: token.weight,
            class,
            arrived: now,
            deadline: now + most_wait,
            rests_until: rests_until(profile, now, now + most_wait),
            tried,
            place: None,
        };
        let public_model = model.name.clone();
        let kept_id = id_to_keep(&envelope);
        let deadline = arrived + Duration::from_secs(settings.first_content_deadline_s.into());
        let job = Job {
            catalog,
            token,
            profile,
            endpoint,
            envelope,
            public_model,
            call,
            deadline,
            cache,
            passed,
            upload,
            bound,
            kept_id,
            base_url,
            prompt_tokens,
        };
        Ok((job, rate))
    }
}

/// Until when a call that came `now` may wait in line for what rests after bad answers; `deadline` is until when it may wait at all.
fn rests_until(profile: ClientProfile, now: UnixMs, deadline: UnixMs) -> UnixMs {
    match profile {
        ClientProfile::Generic => UnixMs(i64::MAX),
        // Earlier than the deadline, however soon that is: this tells the desk that the call has somewhere else to go.
        ClientProfile::OpenClaw => (now + OPENCLAW_REST_WAIT).min(deadline - Duration::from_millis(1)),
    }
}

/// Whether a route serves an endpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// The operator, a list or the provider's file says so, or everybody does.
    Yes,
    /// Nobody has said; it is tried after those that do.
    Unknown,
    /// The operator or a list says that it does not.
    No,
}

impl Relay {
    /// Whether a route may serve a call on an endpoint, which may have to go to one key.
    pub(super) fn serves_call(&self, route: &Route, endpoint: Endpoint, bound: Option<&Bound>) -> Serves {
        match bound {
            Some(bound) if !bound.allows(route) => Serves::No,
            _ => self.serves(route, endpoint),
        }
    }

    /// Whether a route serves an endpoint, by what the operator says of its model, else of its channel, else by what is known
    /// of the provider.
    pub(super) fn serves(&self, route: &Route, endpoint: Endpoint) -> Serves {
        let channel = &route.channel.channel;
        let said = [route.model.endpoints, channel.endpoints].into_iter().find(|said| !said.is_unset());
        match said {
            Some(said) if said.contains(endpoint) => Serves::Yes,
            Some(_) => Serves::No,
            None if endpoint.shape().usual => Serves::Yes,
            None if self.parts.catalog.provider_of(channel).endpoints.contains(endpoint) => Serves::Yes,
            None => Serves::Unknown,
        }
    }
}

/// Adds a step's stages: the routes that a token may use and that serve the endpoint, and after them those of which nobody
/// knows.
pub(super) fn add_stages<'a>(
    stages: &mut Vec<Stage<'a>>,
    step: &'a Step,
    token: &Token,
    endpoint: Endpoint,
    serves: impl Fn(&Route) -> Serves,
) {
    let unit = endpoint.shape().unit;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for route in step.routes.iter().filter(|route| route.bar_for(token, unit).is_none()) {
        match serves(route) {
            Serves::Yes => known.push(route),
            Serves::Unknown => unknown.push(route),
            Serves::No => {}
        }
    }
    let spill_ms = step.spill_ms;
    if unknown.is_empty() {
        stages.push(Stage { routes: known, spill_ms });
        return;
    }
    if !known.is_empty() {
        let leave = spill_ms.map_or(UNKNOWN_AFTER_MS, |own| own.min(UNKNOWN_AFTER_MS));
        stages.push(Stage { routes: known, spill_ms: Some(leave) });
    }
    stages.push(Stage { routes: unknown, spill_ms });
}

fn over_rate(over: OverRate) -> Ending {
    Ending::TokenRate { retry_after: over.retry_after }
}

/// A conversation's number among those of all tokens and models.
fn of_token(conversation: u64, token: &Token, model: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (conversation, token.id, model).hash(&mut hasher);
    hasher.finish()
}

/// What the call probably takes of its key's limits: what it really took is known when it ends.
fn cost(envelope: &Envelope, prompt_estimate: u64, usual_output: u64) -> Cost {
    let input_tokens = prompt_estimate + prompt_estimate / 10;
    let (usual, most) = match envelope.endpoint.shape().generates {
        false => (0, 0),
        // Without a word of the client's, vendors that count the most count what is usual.
        true => match envelope.max_tokens {
            Some(most) => (usual_output.min(most), most),
            None => (usual_output, usual_output),
        },
    };
    let choices = u64::from(envelope.choices.max(1));
    let with_output = |each: u64| input_tokens.saturating_add(each.saturating_mul(choices));
    Cost { input_tokens, tokens: with_output(usual), most_tokens: with_output(most), units: 0 }
}

impl Relay {
    /// Takes room for an attempt in the budgets of the channel and the key that it goes to; nothing to take where there are none.
    pub(super) fn reserve_budgets(&self, job: &Job, target: &Target) -> Result<Vec<Reservation>, OverBudget> {
        let channel = &target.route.channel.channel;
        let of_channel = channel.budget.map(|budget| (Owner::Channel(channel.id), budget));
        let of_key = target.key.budget.map(|budget| (Owner::Key(target.key.id), budget));
        let mut held = Vec::new();
        for (owner, budget) in of_channel.into_iter().chain(of_key) {
            let amount = reservation(budget, &job.envelope, job.prompt_tokens, &[&target.route]);
            let now = self.parts.clock.now();
            let reserved = self.parts.meters.reserve(owner, budget, amount, now, &job.catalog.zone);
            held.push(reserved.map_err(|full| OverBudget { owner, full })?);
        }
        Ok(held)
    }
}

/// A budget has no room for an attempt.
pub(super) struct OverBudget {
    /// Whose it is.
    pub owner: Owner,
    /// What is left of it, and until when.
    pub full: NoRoom,
}

/// The most that the call may cost, in the quota's unit: no call starts whose reservation does not fit.
fn reservation(quota: Quota, envelope: &Envelope, prompt_estimate: u64, routes: &[&Route]) -> i64 {
    let prompt = prompt_estimate + prompt_estimate * ESTIMATE_MARGIN_PERCENT / 100 + 8;
    let output = |route: &Route| {
        let shape = envelope.endpoint.shape();
        if shape.dialect == Dialect::Images {
            return PICTURE_TOKENS.saturating_mul(u64::from(envelope.choices.max(1)));
        }
        if !shape.generates {
            return 0;
        }
        let limit = route.model.max_output.map(u64::from);
        let each = match (envelope.max_tokens, limit) {
            (Some(asked), Some(limit)) => asked.min(limit),
            (Some(asked), None) => asked,
            (None, limit) => limit.unwrap_or(UNKNOWN_OUTPUT_LIMIT),
        };
        each.saturating_mul(u64::from(envelope.choices.max(1)))
    };
    let worst = |cost: &dyn Fn(&Route) -> i64| routes.iter().map(|route| cost(route)).max().unwrap_or(0);
    match quota.unit {
        QuotaUnit::Requests => 1,
        QuotaUnit::Tokens => {
            worst(&|route| i64::try_from(prompt.saturating_add(output(route))).unwrap_or(i64::MAX))
        }
        QuotaUnit::Dollars => {
            let units = most_units(envelope);
            worst(&|route| {
                // What has no price of its own costs about as much as elsewhere, if the upstream tells what it does cost.
                let list = route.list.as_deref().filter(|_| !route.model.is_priced() && !route.free);
                let price = route.model.price.or(list.and_then(|list| list.price));
                let tokens = price.map_or(0, |price| price.most_micros(prompt, output(route)));
                let of_list = list.and_then(|list| list.unit_prices.as_ref());
                let prices = units.as_ref().zip(route.model.unit_prices.as_ref().or(of_list));
                tokens.saturating_add(prices.map_or(0, |(units, prices)| prices.most_micros(units)))
            })
        }
    }
}

/// The most that a call may use beside tokens; `None` where nothing else is counted.
fn most_units(envelope: &Envelope) -> Option<Units> {
    let asked = asked_units(envelope)?;
    let images =
        if envelope.endpoint.shape().unit == Unit::Images { envelope.choices.max(1).into() } else { 0 };
    let audio_ms = match asked.audio_ms {
        0 => 0,
        _ => (envelope.file_bytes / LONG_SOUND_BYTES_PER_MS).min(LONGEST_SOUND_MS),
    };
    Some(Units { images, audio_ms, ..asked })
}

/// What a call asks for in its endpoint's own units, if that has any.
fn asked_units(envelope: &Envelope) -> Option<Units> {
    let (image_size, image_quality) = envelope.picture.clone();
    Some(match envelope.endpoint.shape().unit {
        Unit::None => return None,
        Unit::Images => Units { image_size, image_quality, ..Units::default() },
        Unit::Characters => Units { characters: envelope.characters, ..Units::default() },
        Unit::Video => Units {
            video_ms: envelope.video_ms.unwrap_or(UNKNOWN_VIDEO_MS),
            video_size: image_size,
            estimated: true,
            ..Units::default()
        },
        Unit::Audio => {
            let audio_ms = (envelope.file_bytes / SOUND_BYTES_PER_MS).max(1);
            Units { audio_ms, estimated: true, ..Units::default() }
        }
        Unit::Searches => {
            let searches = envelope.documents.div_ceil(DOCUMENTS_PER_SEARCH).max(1);
            Units { searches, estimated: true, ..Units::default() }
        }
    })
}
