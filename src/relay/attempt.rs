//! One attempt: sends a call to one candidate and reads its answer up to the first real content.
//!
//! Until then nothing has gone to the client, so every fault is the caller's to try elsewhere, also an error inside a 200
//! and an empty answer. Only what the request itself is to blame for goes back as it is.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, header};
use tokio::time::Instant;

use super::{
    Relay,
    collect::{Body, read_whole},
    download::Download,
    ending::Ending,
    job::{Job, Serves, Source, Target},
    outgoing::{Outgoing, Remedies},
    response_cache,
    stream::push_frame,
    ticket::Ticket,
};
use crate::{
    dispatch::Permit,
    model::{
        endpoint::Dialect,
        secret::Secret,
        time::UnixMs,
        usage::{OutcomeClass, TokenCounts, Units},
    },
    protocol::{
        error_body::MAX_ERROR_BYTES,
        openai::{
            InBandError,
            answer::{Answer, BadAnswer, answer_as_chunks, read_answer},
            others::{OtherAnswer, read_other, read_plain_text},
            reader::StreamReader,
        },
        sse::{Event, Scanner},
    },
    provider::Provider,
    scheduler::rest::RestScope,
    upstream::{
        client::{Extra, SendError, UpstreamCall, UpstreamResponse},
        outcome::{
            Answered, Outcome, RejectedField, classify, classify_bad_answer, classify_in_band,
            rejected_fields, rejected_form_fields, sanitized_client_error,
        },
    },
};

/// The most that is read of a stream before its first content: roles and comments need next to nothing, and the largest
/// event half of it.
const MAX_BYTES_BEFORE_CONTENT: usize = 16 << 20;

/// How long the body of an error may take: its status has already been seen.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);

/// An answer that has content.
pub(super) enum Found {
    /// All of it.
    Whole(Whole),
    /// The beginning of a stream of events.
    Stream(Box<Beginning>),
    /// The beginning of an answer of bytes.
    Download(Box<Download>),
}

/// A complete answer.
pub(super) struct Whole {
    pub body: Bytes,
    pub usage: Option<TokenCounts>,
    pub cost_micros: Option<i64>,
    pub output_estimate: u64,
    /// What it says of its endpoint's own units; `None` where there are none.
    pub units: Option<Box<Units>>,
}

/// A stream whose first content is there.
pub(super) struct Beginning {
    /// The frames up to the first content.
    pub frames: Bytes,
    /// Where the rest comes from; `None` if that was all.
    pub response: Option<UpstreamResponse>,
    pub scanner: Scanner,
    pub reader: StreamReader,
    /// Whether `[DONE]` has come, or the last event of a stream that ends without.
    pub done: bool,
    /// The usage, if it is known by another way than the reader's.
    pub usage: Option<TokenCounts>,
    /// The same of its cost.
    pub cost_micros: Option<i64>,
}

/// Why an attempt found nothing.
pub(super) enum Failure {
    /// Try elsewhere.
    Elsewhere { outcome: Outcome, status: Option<u16>, timeout: bool },
    /// The request itself is refused; perhaps only for fields that can be left out.
    Refused { outcome: Outcome, ending: Ending, rejected: Vec<RejectedField> },
}

impl Relay {
    /// One attempt, and its entry in the books. An upstream that refuses fields which it does not know is asked again
    /// without; if that helped, they are not sent there again. The first content must come within `patience`, if that is less
    /// than the channel's limit.
    pub(super) async fn attempt(
        &self,
        job: &Job,
        source: &mut Source,
        ticket: &mut Ticket,
        patience: Option<Duration>,
    ) -> Result<Found, Failure> {
        let Source { target, permit } = source;
        let target = &*target;
        let (channel, model) = (&target.route.channel.channel, &target.route.upstream_model);
        let place = (channel.id, model.clone(), job.endpoint);
        let known = self.rejections.known(&place, Instant::now());
        let mut remedies = Remedies::new(known);
        loop {
            let mut outgoing = self.outgoing(job, target, &remedies);
            ticket.begin_attempt(target);
            ticket.leaves_out(std::mem::take(&mut outgoing.dropped));
            let started = Instant::now();
            permit.sent();
            let limit = job.catalog.timeouts(channel).first_byte;
            let limit = patience.map_or(limit, |patience| patience.min(limit));
            let first_by = (started + limit).min(job.deadline);
            let mut found = self.try_target(job, target, permit, &outgoing, ticket, first_by).await;
            if let Err(Failure::Elsewhere { outcome, timeout: true, .. }) = &mut found
                && Instant::now() >= job.deadline
                && started.elapsed() < limit / 2
            {
                // Earlier attempts had used the time up: this candidate is not to blame.
                *outcome = host_error(RestScope::Request, "too little time was left of the call's deadline");
            }
            match &mut found {
                Ok(_) => {
                    permit.first_content(started.elapsed());
                    ticket.first_content(200);
                    self.rejections.remember(&place, std::mem::take(&mut remedies.tried), Instant::now());
                }
                Err(Failure::Refused { ending: Ending::Refused { status, .. }, rejected, .. })
                    if remedies.learn(rejected) =>
                {
                    let names: Vec<&str> = rejected.iter().map(|field| field.name.as_str()).collect();
                    let why = format!("{status}: {} not supported; asked again without", names.join(", "));
                    ticket.end_attempt(OutcomeClass::ClientError, Some(*status), &why);
                    continue;
                }
                Err(Failure::Refused { outcome, ending, .. }) => {
                    let status = match ending {
                        Ending::Refused { status, .. } => Some(*status),
                        _ => None,
                    };
                    ticket.end_attempt(outcome.class, status, &outcome.detail);
                }
                Err(Failure::Elsewhere { outcome, status, .. }) => {
                    ticket.blame_model(outcome.model_fault(*status));
                    ticket.end_attempt(outcome.class, *status, &outcome.detail);
                }
            }
            return found;
        }
    }

    async fn try_target(
        &self,
        job: &Job,
        target: &Target,
        permit: &Permit,
        outgoing: &Outgoing,
        ticket: &mut Ticket,
        first_by: Instant,
    ) -> Result<Found, Failure> {
        let channel = &target.route.channel.channel;
        let timeouts = job.catalog.timeouts(channel);
        let call = UpstreamCall {
            channel,
            key: &target.key.secret,
            timeouts,
            method: Method::POST,
            path: job.path(),
            key_header: None,
            body: job.upload.is_none().then(|| outgoing.body.clone()),
            stream: job.envelope.stream,
        };
        let provider = self.parts.catalog.provider_of(channel);
        let mut extra = job.extra(target, outgoing);
        if provider.response_cache {
            let headers = response_cache::for_channel(&job.cache, channel);
            if !headers.is_empty() {
                extra.get_or_insert_default().headers.extend(headers);
            }
        }
        let sent = async {
            match extra {
                None => self.parts.clients.send(call).await,
                Some(extra) => self.parts.clients.send_with(call, extra).await,
            }
        };
        let mut response = before(first_by, sent).await?.map_err(|error| broken(&error))?;
        let status = response.status();
        let accepted = (200..300).contains(&status) && status != 204;
        if provider.response_cache {
            ticket.tells_of_cache(response_cache::told(response.headers()));
        }
        permit.answered(accepted, &provider.observe(response.header_texts(), self.parts.clock.now()));
        if !accepted {
            return Err(self.refusal(job, target, response, outgoing).await);
        }
        if job.envelope.stream {
            response.forget_headers();
            self.stream_beginning(job, target, response, first_by).await
        } else if job.endpoint.shape().dialect == Dialect::Speech {
            self.download_beginning(job, target, response, first_by).await
        } else {
            let limit = job.endpoint.shape().max_answer_bytes;
            let body = read_whole(Body::default(), &mut response, first_by, timeouts.idle, limit).await?;
            whole_of(job, body).map(Found::Whole).map_err(|bad| self.bad_answer(target, &bad))
        }
    }

    /// Reads an answer of bytes up to the first of them.
    async fn download_beginning(
        &self,
        job: &Job,
        target: &Target,
        mut response: UpstreamResponse,
        first_by: Instant,
    ) -> Result<Found, Failure> {
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        let kind = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_sound = kind.starts_with("audio/") || kind.starts_with("video/") || kind == "application/ogg";
        let is_text = kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
        let mut first = Bytes::new();
        while first.is_empty() {
            let chunk = before(first_by, response.next_chunk()).await?.map_err(|error| broken(&error))?;
            let Some(chunk) = chunk else { return Err(self.bad_answer(target, &BadAnswer::Empty)) };
            first = chunk;
        }
        // Sound may begin with any byte: a text is only looked for where nothing says that it is sound.
        let begins = first.trim_ascii_start().first();
        if is_text || !is_sound && matches!(begins, Some(b'{' | b'<')) {
            let mut begun = Body::default();
            begun.push(&first);
            let idle = job.catalog.timeouts(&target.route.channel.channel).idle;
            let body = read_whole(begun, &mut response, first_by, idle, MAX_ERROR_BYTES).await?;
            let bad = read_plain_text(&body).err().unwrap_or(BadAnswer::NotJson);
            return Err(self.bad_answer(target, &bad));
        }
        let octets = HeaderValue::from_static("application/octet-stream");
        let length = response.length();
        response.forget_headers();
        Ok(Found::Download(Box::new(Download {
            first,
            response,
            content_type: content_type.filter(|_| is_sound).unwrap_or(octets),
            length,
        })))
    }

    /// Reads a stream up to its first content.
    async fn stream_beginning(
        &self,
        job: &Job,
        target: &Target,
        mut response: UpstreamResponse,
        first_by: Instant,
    ) -> Result<Found, Failure> {
        let now = self.parts.clock.now();
        let secrets = target.secrets();
        let mut scanner = Scanner::new();
        let include_usage = job.envelope.include_usage;
        let mut reader =
            StreamReader::new(job.endpoint, &job.public_model, include_usage, job.envelope.choices)
                .renaming(job.stored_ids());
        let mut frames = BytesMut::new();
        let (mut sniffed, mut received) = (false, 0);
        loop {
            let chunk = before(first_by, response.next_chunk()).await?.map_err(|error| broken(&error))?;
            let ended = chunk.is_none();
            match chunk {
                Some(chunk) => {
                    received += chunk.len();
                    if !sniffed && let Some(&first) = chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                        sniffed = true;
                        if matches!(first, b'{' | b'[' | b'<') {
                            return self.not_a_stream(job, target, chunk, response, first_by).await;
                        }
                    }
                    scanner.push(chunk);
                }
                None => scanner.finish(),
            }
            let mut done = false;
            while let Some(event) = scanner.next() {
                let Ok(event) = event else {
                    return Err(host_failure(RestScope::ChannelModel, "an event of the stream is too long"));
                };
                match event {
                    Event::Comment => {}
                    Event::Done => {
                        done = true;
                        break;
                    }
                    Event::Data { data, event } => {
                        let chunk = reader.read(data);
                        if let Some(error) = chunk.error {
                            let provider = self.parts.catalog.provider_of(&target.route.channel.channel);
                            return Err(in_band(&error, &provider, now, &secrets));
                        }
                        if chunk.malformed {
                            return Err(host_failure(
                                RestScope::ChannelModel,
                                "the stream is not the expected JSON",
                            ));
                        }
                        if let Some(data) = chunk.forward {
                            push_frame(&mut frames, event.filter(|_| reader.ends_itself()), &data);
                        }
                        if reader.ends_itself() && reader.has_finished() {
                            done = true;
                            break;
                        }
                    }
                }
            }
            if ended && !done && !reader.may_end() {
                return Err(host_failure(RestScope::KeyModel, "the stream ended without a finish reason"));
            }
            if (done || ended) && reader.is_empty_answer() {
                return Err(host_failure(RestScope::Request, "the answer is empty"));
            }
            if done || ended || reader.has_content() {
                let response = (!ended).then_some(response);
                let frames = frames.freeze();
                let (usage, cost_micros) = (None, None);
                let beginning = Beginning { frames, response, scanner, reader, done, usage, cost_micros };
                return Ok(Found::Stream(Box::new(beginning)));
            }
            if received > MAX_BYTES_BEFORE_CONTENT {
                return Err(host_failure(RestScope::ChannelModel, "the stream brings no content"));
            }
        }
    }

    /// A stream was asked for, and JSON or a page came: a complete answer becomes a stream, all else is a fault.
    async fn not_a_stream(
        &self,
        job: &Job,
        target: &Target,
        first: Bytes,
        mut response: UpstreamResponse,
        first_by: Instant,
    ) -> Result<Found, Failure> {
        let idle = job.catalog.timeouts(&target.route.channel.channel).idle;
        let mut begun = Body::default();
        begun.push(&first);
        let by = first_by.max(Instant::now() + idle);
        let limit = job.endpoint.shape().max_answer_bytes;
        let body = read_whole(begun, &mut response, by, idle, limit).await?;
        if !job.has_stream_options() {
            // Whoever asked for these events would not understand an answer in one piece, or one that we had cut up.
            let bad = read_other(job.endpoint, &job.public_model, &body).err();
            let no_stream =
                || host_failure(RestScope::ChannelModel, "the answer is no stream, which was asked for");
            return Err(bad.map_or_else(no_stream, |bad| self.bad_answer(target, &bad)));
        }
        let answer = answer_as_chunks(job.endpoint, &job.public_model, &body, job.envelope.include_usage)
            .map_err(|bad| self.bad_answer(target, &bad))?;
        let mut reader = StreamReader::new(job.endpoint, &job.public_model, true, 1);
        let mut frames = BytesMut::new();
        for chunk in &answer.chunks {
            reader.read(chunk.clone());
            push_frame(&mut frames, None, chunk);
        }
        Ok(Found::Stream(Box::new(Beginning {
            frames: frames.freeze(),
            response: None,
            scanner: Scanner::new(),
            reader,
            done: true,
            usage: answer.usage,
            cost_micros: answer.cost_micros,
        })))
    }

    fn bad_answer(&self, target: &Target, bad: &BadAnswer) -> Failure {
        let (now, secrets) = (self.parts.clock.now(), target.secrets());
        let provider = self.parts.catalog.provider_of(&target.route.channel.channel);
        if let BadAnswer::InBandError(error) = bad {
            return in_band(error, &provider, now, &secrets);
        }
        let outcome = classify_bad_answer(bad, Some(&provider), now, &secrets);
        Failure::Elsewhere { outcome, status: Some(200), timeout: false }
    }

    /// Reads and classifies an answer with a status of failure.
    async fn refusal(
        &self,
        job: &Job,
        target: &Target,
        mut response: UpstreamResponse,
        sent: &Outgoing,
    ) -> Failure {
        let status = response.status();
        let body = tokio::time::timeout(ERROR_BODY_WAIT, response.read_prefix(MAX_ERROR_BYTES))
            .await
            .unwrap_or_default();
        let provider = self.parts.catalog.provider_of(&target.route.channel.channel);
        let mut outcome = classify(&Answered {
            status,
            headers: response.headers(),
            body: &body,
            provider: Some(&provider),
            now: self.parts.clock.now(),
            secrets: &target.secrets(),
        });
        if self.serves(&target.route, job.endpoint) == Serves::Unknown {
            narrow(&mut outcome);
        }
        if !outcome.pass_through {
            return Failure::Elsewhere { outcome, status: Some(status), timeout: false };
        }
        let rejected = if job.upload.is_some() {
            rejected_form_fields(&body, &sent.form)
        } else {
            rejected_fields(&body, &sent.body)
        };
        let text = sanitized_client_error(status, &body, &target.secrets());
        let ending = Ending::Refused { status, message: text.message, param: text.param, code: text.code };
        Failure::Refused { outcome, ending, rejected }
    }
}

/// Where nobody knows whether an endpoint is served, its refusal says nothing of the key or the host for others: what an
/// upstream answers on a path that it does not have is anybody's guess.
fn narrow(outcome: &mut Outcome) {
    if outcome.class == OutcomeClass::RateLimited {
        return;
    }
    if matches!(outcome.class, OutcomeClass::KeyInvalid | OutcomeClass::OutOfCredit) {
        outcome.class = OutcomeClass::ModelUnavailable;
    }
    outcome.scope = match outcome.scope {
        RestScope::Key | RestScope::Group => RestScope::KeyModel,
        RestScope::Channel => RestScope::ChannelModel,
        other => other,
    };
}

/// Reads an answer in one piece.
fn whole_of(job: &Job, body: Bytes) -> Result<Whole, BadAnswer> {
    let (endpoint, model) = (job.endpoint, &job.public_model);
    match endpoint.shape().dialect {
        Dialect::Chat | Dialect::Completion | Dialect::Embeddings => {
            let answer = read_answer(endpoint, model, &body)?;
            let Answer { body, usage, cost_micros, output_estimate } = answer;
            Ok(Whole { body, usage, cost_micros, output_estimate, units: None })
        }
        _ if job.envelope.plain_text => {
            read_plain_text(&body)?;
            let units = Some(Box::default());
            Ok(Whole { body, usage: None, cost_micros: None, output_estimate: 0, units })
        }
        _ => {
            let answer = read_other(endpoint, model, &body)?;
            let OtherAnswer { body, usage, cost_micros, output_estimate, units } = answer;
            Ok(Whole { body, usage, cost_micros, output_estimate, units: Some(Box::new(units)) })
        }
    }
}

impl Job {
    /// Whether the endpoint knows `stream_options`.
    pub(super) fn has_stream_options(&self) -> bool {
        matches!(self.endpoint.shape().dialect, Dialect::Chat | Dialect::Completion)
    }

    /// What the request to a target has beside what those of chat have.
    fn extra(&self, target: &Target, outgoing: &Outgoing) -> Option<Extra> {
        match self.endpoint.shape().dialect {
            Dialect::Message => {
                // Anthropic itself takes a bearer for a login, not for a key; whoever else speaks `/messages` knows either.
                let channel = &target.route.channel.channel;
                let no_bearer = channel.base_url.contains("://api.anthropic.com");
                Some(Extra { headers: self.passed.clone(), bare_key: true, no_bearer, ..Extra::default() })
            }
            dialect => {
                let model = &target.route.upstream_model;
                let form = self.upload.as_ref().map(|upload| upload.body(model, &outgoing.form));
                let accepts_any = matches!(dialect, Dialect::Speech | Dialect::Transcript);
                let one_off = self.bound.as_ref().is_some_and(|bound| bound.path.is_some());
                (accepts_any || one_off || form.is_some()).then(|| Extra {
                    accepts_any,
                    one_off,
                    form,
                    ..Extra::default()
                })
            }
        }
    }
}

/// Awaits something until a point in time.
pub(super) async fn before<T>(by: Instant, future: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout_at(by, future).await.map_err(|_| Failure::Elsewhere {
        outcome: host_error(RestScope::ChannelModel, "no content within the limit"),
        status: None,
        timeout: true,
    })
}

/// An error that came with status 200. If it says that the request is at fault, it is answered as a 400.
fn in_band(error: &InBandError, provider: &Provider, now: UnixMs, secrets: &[&Secret]) -> Failure {
    let outcome = classify_in_band(error, Some(provider), now, secrets);
    if outcome.pass_through {
        let text = sanitized_client_error(400, &error.raw, secrets);
        let ending =
            Ending::Refused { status: 400, message: text.message, param: text.param, code: text.code };
        return Failure::Refused { outcome, ending, rejected: Vec::new() };
    }
    Failure::Elsewhere { outcome, status: Some(200), timeout: false }
}

pub(super) fn broken(error: &SendError) -> Failure {
    let scope = match error {
        SendError::TooLarge(_) => RestScope::Request,
        // One request or one model can cause these, such as a body that the host cuts off because of its size.
        SendError::Broken(_) | SendError::Garbled(_) => RestScope::ChannelModel,
        _ => RestScope::Channel,
    };
    let outcome = host_error(scope, &error.to_string());
    Failure::Elsewhere { outcome, status: None, timeout: *error == SendError::ConnectTimeout }
}

fn host_failure(scope: RestScope, detail: &str) -> Failure {
    Failure::Elsewhere { outcome: host_error(scope, detail), status: Some(200), timeout: false }
}

pub(super) fn host_error(scope: RestScope, detail: &str) -> Outcome {
    Outcome {
        class: OutcomeClass::HostError,
        scope,
        rest_for: None,
        period: None,
        permanent: false,
        pass_through: false,
        told: None,
        detail: detail.to_owned(),
    }
}
