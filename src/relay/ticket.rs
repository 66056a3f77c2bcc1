//! The books of one call: its usage record while it grows.
//!
//! A ticket that is dropped before it was closed writes its row all the same: the client has left.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{
    Call,
    ending::Ending,
    in_flight::{Arrival, CallsInFlight, Place},
    job::Target,
    quota::Reservation,
    recorder::Recorder,
    response_cache,
};
use crate::{
    model::{
        budget::Charge,
        catalog::Catalog,
        channel::ChannelModel,
        endpoint::Unit,
        id::RequestId,
        price::ListPrice,
        time::{Clock, UnixMs},
        token::QuotaUnit,
        usage::{
            Attempt, CallResult, Endpoint, ModelFault, OutcomeClass, TokenCounts, Units, UsageRecord,
            WaitReason,
        },
    },
    scheduler::limit::Cost,
};

/// The longest text of an attempt that is kept.
const MAX_DETAIL_CHARS: usize = 300;

/// The status that the log shows for a client that left, as nginx does.
const CLIENT_CLOSED_STATUS: u16 = 499;

pub(super) struct Ticket {
    recorder: Recorder,
    clock: Clock,
    in_flight: CallsInFlight,
    /// Its place among the calls under way.
    place: Option<Place>,
    record: Option<UsageRecord>,
    arrived: Instant,
    request_id: RequestId,
    endpoint: Endpoint,
    reservation: Option<Reservation>,
    /// Room in the budgets of the key and the channel of the present attempt.
    held: Vec<Reservation>,
    /// The attempt that is under way.
    open: Option<OpenAttempt>,
    /// Since when the call has been waiting in line, if it is.
    waiting_since: Option<Instant>,
    /// How long it waited for the next attempt, and what for.
    wait: Option<(Duration, WaitReason)>,
    /// How long it waited in line and for upstreams altogether.
    elsewhere: Duration,
    /// What is known of the model that is asked.
    model: Option<Arc<ChannelModel>>,
    /// What it costs by the list, if that is known.
    list: Option<Arc<ListPrice>>,
    /// Whether it is known to cost nothing there.
    free: bool,
    /// Whether it is known what the call costs, by the channel's prices or from the upstream.
    cost_known: bool,
    /// Whether content of an answer has been found.
    answered: bool,
    /// The client's fields that the present attempt leaves out.
    dropped: Vec<String>,
    /// What the upstream says of its cache of answers.
    cache_told: response_cache::Headers,
}

/// What an answer took, as far as it says.
#[derive(Default)]
pub(super) struct Used {
    /// The tokens that it reports.
    pub tokens: Option<TokenCounts>,
    /// Our estimates of both sides, for what reports none.
    pub prompt_estimate: u64,
    pub output_estimate: u64,
    /// What was used beside tokens.
    pub units: Option<Units>,
    /// The cost that it reports.
    pub cost_micros: Option<i64>,
}

struct OpenAttempt {
    attempt: Attempt,
    started: Instant,
}

impl Ticket {
    /// Opens the books of a call.
    pub fn open(recorder: Recorder, clock: Clock, in_flight: CallsInFlight, call: &Call) -> Self {
        let record = UsageRecord {
            request_id: call.request_id,
            at: call.at,
            token_id: call.token.id,
            channel_id: None,
            key_id: None,
            asked_model: String::new(),
            served_model: None,
            endpoint: call.endpoint,
            stream: false,
            status: CLIENT_CLOSED_STATUS,
            result: CallResult::ClientClosed,
            error_code: None,
            queue_ms: 0,
            first_token_ms: None,
            total_ms: 0,
            tokens: TokenCounts::default(),
            estimated: false,
            units: None,
            cost_micros: 0,
            saved_micros: 0,
            client_address: call.client_address.to_string(),
            client_kind: call.client_kind.clone(),
            client_version: call.client_version.clone(),
            trace_id: call.trace_id.clone(),
            quota_unit: None,
            quota_charge: 0,
            quota_period: UnixMs(0),
            charges: Vec::new(),
            attempts: Vec::new(),
        };
        Self {
            recorder,
            clock,
            in_flight,
            place: None,
            record: Some(record),
            arrived: call.arrived,
            request_id: call.request_id,
            endpoint: call.endpoint,
            reservation: None,
            held: Vec::new(),
            open: None,
            waiting_since: None,
            wait: None,
            elsewhere: Duration::ZERO,
            model: None,
            list: None,
            free: false,
            cost_known: false,
            answered: false,
            dropped: Vec::new(),
            cache_told: Vec::new(),
        }
    }

    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The endpoint that the call came in on.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Notes what the client asks for.
    pub fn asked(&mut self, model: &str, stream: bool) {
        if let Some(record) = &mut self.record {
            record.asked_model = model.chars().take(200).collect();
            record.stream = stream;
            self.place = Some(self.in_flight.enter(Arrival {
                request_id: self.request_id,
                token: record.token_id,
                endpoint: self.endpoint,
                model: record.asked_model.clone(),
                stream,
                at: record.at,
                arrived: self.arrived,
            }));
        }
    }

    /// Takes the room in the token's quota; it is settled when the ticket is closed.
    pub fn reserved(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    /// Takes the room in the budgets of the key and the channel that the next attempt goes to; it is settled when the ticket is
    /// closed, unless the call goes elsewhere.
    pub fn holds(&mut self, held: Vec<Reservation>) {
        self.held = held;
    }

    /// Notes that the call asks for a candidate, and may have to wait for it.
    pub fn waits(&mut self) {
        self.held.clear();
        self.waiting_since = Some(Instant::now());
        // One that has just come is listed as waiting anyway.
        if let Some(place) = self.place.as_ref().filter(|_| self.elsewhere > Duration::ZERO) {
            place.waits();
        }
    }

    /// Notes that the waiting is over, and what it was for, if there was any; says how long it took.
    pub fn waited(&mut self, reason: Option<WaitReason>) -> Duration {
        let waited = self.waiting_since.take().map(|since| since.elapsed()).unwrap_or_default();
        self.elsewhere += waited;
        self.wait = reason.map(|reason| (waited, reason));
        if let Some(record) = &mut self.record {
            record.queue_ms = record.queue_ms.saturating_add(ms(waited));
        }
        waited
    }

    /// Begins an attempt.
    pub fn begin_attempt(&mut self, target: &Target) {
        let started = Instant::now();
        let wait = self.wait.take();
        if let Some(place) = &self.place {
            place.sent(target.key.channel_id, target.key.id);
        }
        self.model = Some(target.route.model.clone());
        self.list.clone_from(&target.route.list);
        self.free = target.route.free;
        self.open = Some(OpenAttempt {
            attempt: Attempt {
                channel_id: target.key.channel_id,
                key_id: target.key.id,
                model: target.route.upstream_model.to_string(),
                waited_ms: wait.map_or(0, |(waited, _)| ms(waited)),
                waited_for: wait.map(|(_, reason)| reason),
                started_ms: ms(started - self.arrived),
                first_byte_ms: None,
                duration_ms: 0,
                status: None,
                class: OutcomeClass::ClientClosed,
                model_fault: None,
                detail: String::new(),
            },
            started,
        });
        if let Some(record) = &mut self.record {
            record.channel_id = Some(target.key.channel_id);
            record.key_id = Some(target.key.id);
            record.served_model = Some(target.route.upstream_model.to_string());
        }
    }

    /// Notes which of the client's fields the attempt leaves out.
    pub fn leaves_out(&mut self, dropped: Vec<String>) {
        self.dropped = dropped;
    }

    /// Notes what the upstream says of its cache of answers.
    pub fn tells_of_cache(&mut self, told: response_cache::Headers) {
        self.cache_told = told;
    }

    /// What the upstream said of its cache of answers.
    pub fn cache_told(&self) -> &response_cache::Headers {
        &self.cache_told
    }

    /// Notes the first real content of the attempt that is under way.
    pub fn first_content(&mut self, status: u16) {
        self.answered = true;
        if let Some(place) = &self.place {
            place.answers();
        }
        let now = Instant::now();
        if let Some(open) = &mut self.open {
            open.attempt.first_byte_ms = Some(ms(now - open.started));
            open.attempt.status = Some(status);
        }
        if let Some(record) = &mut self.record {
            record.first_token_ms = Some(ms(now - self.arrived));
        }
    }

    /// Notes what the attempt that is under way says against its model.
    pub fn blame_model(&mut self, fault: Option<ModelFault>) {
        if let Some(open) = &mut self.open {
            open.attempt.model_fault = fault;
        }
    }

    /// Ends the attempt that is under way.
    pub fn end_attempt(&mut self, class: OutcomeClass, status: Option<u16>, detail: &str) {
        let Some(OpenAttempt { mut attempt, started }) = self.open.take() else { return };
        let took = started.elapsed();
        self.elsewhere += took;
        attempt.duration_ms = ms(took);
        attempt.status = status.or(attempt.status);
        attempt.class = class;
        attempt.detail = detail.chars().take(MAX_DETAIL_CHARS).collect();
        tracing::debug!(
            request = %self.request_id, channel = %attempt.channel_id, key = %attempt.key_id, model = attempt.model,
            status = attempt.status, class = %class, duration_ms = attempt.duration_ms, "attempt"
        );
        if let Some(record) = &mut self.record {
            record.attempts.push(attempt);
        }
    }

    /// Books what an answer took. What it costs is known by the channel's prices, else from the upstream.
    pub fn book(&mut self, used: Used) {
        // An answer out of a cache took nothing, whatever its usage says or does not say.
        let is_hit = response_cache::is_hit(&self.cache_told);
        let Some(record) = &mut self.record else { return };
        let tokens = if is_hit { Some(TokenCounts::default()) } else { used.tokens };
        record.estimated = tokens.is_none();
        record.tokens = tokens.unwrap_or(TokenCounts {
            prompt: used.prompt_estimate,
            completion: used.output_estimate,
            ..TokenCounts::default()
        });
        let model = self.model.as_deref();
        if let Some(mut units) = used.units {
            // Many vendors of rankings count no searches, so a guess of them is only good for their price.
            let has_price = || model.is_some_and(|model| model.is_priced_by(Unit::Searches));
            if units.searches > 0 && units.estimated && !has_price() {
                units.searches = 0;
            }
            record.units = (!units.is_empty()).then(|| Box::new(units));
        }
        let own = || model.and_then(|model| model.cost_micros(&record.tokens, record.units.as_deref()));
        let cost_micros = if is_hit { Some(0) } else { own().or(used.cost_micros) };
        self.cost_known = cost_micros.is_some();
        record.cost_micros = cost_micros.unwrap_or(0);
        // What nobody knows the cost of has saved nothing that anybody knows of.
        record.saved_micros = match &self.list {
            Some(list) if self.cost_known || self.free => {
                let listed = list.cost_micros(&record.tokens, record.units.as_deref()).unwrap_or(0);
                (listed - record.cost_micros).max(0)
            }
            _ => 0,
        };
    }

    /// The call, if it was booked and nobody knows what it costs.
    pub fn unpriced(&self) -> Option<RequestId> {
        (!self.cost_known).then_some(self.request_id)
    }

    /// What the call took of its key's limits, once that is booked.
    pub fn used(&self) -> Option<Cost> {
        let TokenCounts { prompt, completion, .. } = self.record.as_ref()?.tokens;
        let tokens = prompt.saturating_add(completion);
        Some(Cost { input_tokens: prompt, tokens, ..Cost::default() })
    }

    /// Closes the books of a complete answer; returns when the row survives the death of the process.
    pub async fn succeed(&mut self) {
        self.end_attempt(OutcomeClass::Success, Some(200), "");
        if let Some(record) = self.close(CallResult::Ok, 200, None) {
            self.recorder.record(record).await;
        }
    }

    /// Closes the books of a call that failed; returns as [`succeed`](Self::succeed) does.
    pub async fn fail(&mut self, ending: &Ending, status: u16, code: &str) {
        self.end_attempt(OutcomeClass::Ambiguous, None, "stopped before it ended");
        if let Some(record) = self.close(ending.result(), status, Some(code)) {
            self.recorder.record(record).await;
        }
    }

    fn close(&mut self, result: CallResult, status: u16, code: Option<&str>) -> Option<UsageRecord> {
        self.waited(None);
        let mut record = self.record.take()?;
        record.result = result;
        record.status = status;
        record.error_code = code.map(str::to_owned);
        let total = self.arrived.elapsed();
        record.total_ms = ms(total);
        self.place = None;
        if result == CallResult::Ok {
            self.in_flight.took(total.saturating_sub(self.elsewhere), self.clock.now());
        }
        let (cost, tokens, answered) = (record.cost_micros, record.tokens, self.answered);
        let charge = |unit| match unit {
            QuotaUnit::Dollars => cost,
            QuotaUnit::Tokens => i64::try_from(tokens.total()).unwrap_or(i64::MAX),
            QuotaUnit::Requests => i64::from(answered),
        };
        for held in &mut self.held {
            let amount = charge(held.unit);
            record.charges.push(Charge { owner: held.owner, unit: held.unit, period: held.period, amount });
            held.settle(amount);
        }
        if let Some(reservation) = &mut self.reservation {
            record.quota_charge = charge(reservation.unit);
            record.quota_unit = Some(reservation.unit);
            record.quota_period = reservation.period;
            reservation.settle(record.quota_charge);
        }
        // At `debug` only: the usage log has the same.
        tracing::debug!(
            request = %record.request_id, token = %record.token_id, model = record.asked_model,
            status = record.status, result = %record.result, attempts = record.attempts.len(),
            total_ms = record.total_ms, "call"
        );
        Some(record)
    }

    /// Headers that say which way the call took.
    pub fn diagnose(&self, headers: &mut HeaderMap, catalog: &Catalog) {
        let Some(record) = &self.record else { return };
        let total = ms(self.arrived.elapsed());
        let upstream = self.open.as_ref().map_or(0, |open| ms(open.started.elapsed()));
        let own = total.saturating_sub(upstream).saturating_sub(record.queue_ms);
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        set(
            "server-timing",
            format!("queue;dur={}, upstream;dur={upstream}, relay;dur={own}", record.queue_ms),
        );
        set("x-onepool-attempts", (record.attempts.len() + usize::from(self.open.is_some())).to_string());
        if let Some(entry) = record.channel_id.and_then(|id| catalog.channel(id)) {
            // A name may hold any letters; a header may not.
            let name = form_urlencoded::byte_serialize(entry.channel.name.as_bytes()).collect();
            set("x-onepool-channel", name);
        }
        if let Some(model) = &record.served_model {
            set("x-onepool-model", model.clone());
        }
        if !self.dropped.is_empty() {
            set("x-onepool-dropped", self.dropped.join(", "));
        }
    }

    /// The time of day.
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end_attempt(OutcomeClass::ClientClosed, None, "the client left");
        if let Some(record) =
            self.close(CallResult::ClientClosed, CLIENT_CLOSED_STATUS, Some("client_closed"))
        {
            self.recorder.record_detached(record);
        }
    }
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
