//! The books of one call: its usage record while it grows.
//!
//! A ticket that is dropped before it was closed writes its row all the same: the client has left.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::{Call, ending::Ending, job::Target, quota::Reservation, recorder::Recorder, response_cache};
use crate::{
    model::{
        catalog::Catalog,
        channel::Price,
        id::RequestId,
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
    record: Option<UsageRecord>,
    arrived: Instant,
    request_id: RequestId,
    endpoint: Endpoint,
    reservation: Option<Reservation>,
    /// The attempt that is under way.
    open: Option<OpenAttempt>,
    /// Since when the call has been waiting in line, if it is.
    waiting_since: Option<Instant>,
    /// How long it waited for the next attempt, and what for.
    wait: Option<(Duration, WaitReason)>,
    price: Option<Price>,
    /// Whether content of an answer has been found.
    answered: bool,
    /// The client's fields that the present attempt leaves out.
    dropped: Vec<String>,
    /// What the upstream says of its cache of answers.
    cache_told: response_cache::Headers,
}

struct OpenAttempt {
    attempt: Attempt,
    started: Instant,
}

impl Ticket {
    /// Opens the books of a call.
    pub fn open(recorder: Recorder, clock: Clock, call: &Call) -> Self {
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
            client_address: call.client_address.to_string(),
            client_kind: call.client_kind.clone(),
            trace_id: call.trace_id.clone(),
            quota_unit: None,
            quota_charge: 0,
            quota_period: UnixMs(0),
            attempts: Vec::new(),
        };
        Self {
            recorder,
            clock,
            record: Some(record),
            arrived: call.arrived,
            request_id: call.request_id,
            endpoint: call.endpoint,
            reservation: None,
            open: None,
            waiting_since: None,
            wait: None,
            price: None,
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
        }
    }

    /// Takes the room in the token's quota; it is settled when the ticket is closed.
    pub fn reserved(&mut self, reservation: Reservation) {
        self.reservation = Some(reservation);
    }

    /// Notes that the call asks for a candidate, and may have to wait for it.
    pub fn waits(&mut self) {
        self.waiting_since = Some(Instant::now());
    }

    /// Notes that the waiting is over, and what it was for, if there was any; says how long it took.
    pub fn waited(&mut self, reason: Option<WaitReason>) -> Duration {
        let waited = self.waiting_since.take().map(|since| since.elapsed()).unwrap_or_default();
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
        self.price = target.route.model.price;
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
        attempt.duration_ms = ms(started.elapsed());
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

    /// Books the usage of an answer: the upstream's, else our estimate of both sides.
    pub fn book(&mut self, usage: Option<TokenCounts>, prompt_estimate: u64, output_estimate: u64) {
        // An answer out of a cache took nothing, whatever its usage says or does not say.
        let usage =
            if response_cache::is_hit(&self.cache_told) { Some(TokenCounts::default()) } else { usage };
        let Some(record) = &mut self.record else { return };
        record.estimated = usage.is_none();
        record.tokens = usage.unwrap_or(TokenCounts {
            prompt: prompt_estimate,
            completion: output_estimate,
            ..TokenCounts::default()
        });
        let TokenCounts { prompt, cached, completion, .. } = record.tokens;
        record.cost_micros = self.price.map_or(0, |price| price.cost_micros(prompt, cached, completion));
    }

    /// Books what was used beside tokens.
    pub fn book_units(&mut self, units: Units) {
        if let Some(record) = &mut self.record {
            record.units = (!units.is_empty()).then(|| Box::new(units));
        }
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
        record.total_ms = ms(self.arrived.elapsed());
        if let Some(reservation) = &mut self.reservation {
            record.quota_charge = match reservation.unit {
                QuotaUnit::Dollars => record.cost_micros,
                QuotaUnit::Tokens => i64::try_from(record.tokens.total()).unwrap_or(i64::MAX),
                QuotaUnit::Requests => i64::from(self.answered),
            };
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
