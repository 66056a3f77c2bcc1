//! The steps of a key's test: does the upstream list its models, know the key, answer, and stream?

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::{
    client::{Clients, UpstreamCall, UpstreamResponse},
    models::{FetchFailure, fetch_list, secrets_of, shown},
    outcome::{Answered, Outcome, classify, classify_bad_answer, classify_in_band},
};
use crate::{
    model::{
        channel::{Channel, EffectiveTimeouts, endpoint_url},
        key::{CheckKind, CheckStep},
        secret::Secret,
        time::UnixMs,
        usage::{Endpoint, OutcomeClass},
    },
    protocol::{
        error_body::MAX_ERROR_BYTES,
        openai::{ChunkReader, answer::read_answer},
        sse::{Event, Scanner},
    },
    provider::{
        ObservedLimit, Provider,
        listing::ModelFacts,
        preset::{CheckMethod, KeyProof},
    },
};

/// A test's answer is some hundred bytes; what is larger is not an answer to it.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// What a provider tells about a key has some hundred bytes.
const MAX_PROOF_BYTES: usize = 64 * 1024;
/// Of a stream this much is kept to be shown.
const MAX_KEPT_BYTES: usize = 16 * 1024;
/// Enough for a short answer behind a little reasoning.
const MAX_TOKENS: u32 = 64;

/// One step's result before it is timed.
type StepResult = Result<(u16, String), Refused>;

/// Why a step failed, and whether that proves the key wrong.
struct Refused {
    failure: FetchFailure,
    proves_invalid: bool,
}

impl From<FetchFailure> for Refused {
    fn from(failure: FetchFailure) -> Self {
        Self { failure, proves_invalid: false }
    }
}

impl Refused {
    /// A 401, or an answer of which the provider's own rules say that it is about the key. A bare 403 proves nothing: the
    /// model may be gated, or the region.
    fn of(outcome: Outcome, status: Option<u16>, text: String) -> Self {
        let told = outcome.told.is_some();
        let proves_invalid = outcome.class == OutcomeClass::KeyInvalid && (told || status == Some(401));
        Self { failure: FetchFailure { status, class: Some(outcome.class), text }, proves_invalid }
    }
}

/// A key and where it is tried.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// The network.
    pub clients: &'a Clients,
    /// The channel.
    pub channel: &'a Channel,
    /// Whose rules hold.
    pub provider: &'a Arc<Provider>,
    /// The key.
    pub key: &'a Secret,
    /// Each step takes at most the time until the first byte.
    pub timeouts: EffectiveTimeouts,
    /// Dates what answers say of waiting.
    pub now: UnixMs,
}

/// A step that was tried with a model.
pub struct Tried {
    /// The step.
    pub step: CheckStep,
    /// Whether it proves that the key is wrong.
    pub proves_invalid: bool,
    /// The status and the headers of the answer, if there was one: what they say of limits.
    pub observed: Option<(bool, Vec<ObservedLimit>)>,
}

impl Candidate<'_> {
    /// Asks for the upstream's list. It proves nothing about the key. Dropping the future cancels it.
    pub async fn list(&self) -> (CheckStep, Vec<ModelFacts>) {
        let started = Instant::now();
        let Self { clients, channel, provider, key, timeouts, now } = *self;
        let list = fetch_list(clients, channel, provider, key, timeouts, now).await;
        let (result, models) = match list {
            Ok(fetched) => (Ok((200, fetched.text)), fetched.listing.models),
            Err(failure) => (Err(failure.into()), Vec::new()),
        };
        (step(CheckKind::List, started, result).0, models)
    }

    /// Asks the provider about the key itself; `None` if it has no endpoint for that. Costs nothing. Dropping the future
    /// cancels it.
    pub async fn prove(&self) -> Option<(CheckStep, KeyProof)> {
        let base = endpoint_url(&self.channel.base_url, "");
        let (endpoint, address) = self.provider.key_endpoint(&base)?;
        let started = Instant::now();
        let ask = async {
            let post = endpoint.method == CheckMethod::Post;
            let call = UpstreamCall {
                channel: self.channel,
                key: self.key,
                timeouts: self.timeouts,
                method: if post { Method::POST } else { Method::GET },
                path: &address,
                key_header: None,
                body: post.then(|| Bytes::from_static(b"{}")),
                stream: false,
            };
            let mut response = self.clients.send(call).await.map_err(|error| FetchFailure::unsent(&error))?;
            let status = response.status();
            let body = response.read_prefix(MAX_PROOF_BYTES).await;
            Ok((status, body))
        };
        let answer = tokio::time::timeout(self.timeouts.first_byte, ask)
            .await
            .unwrap_or_else(|_| Err(FetchFailure::late(self.timeouts.first_byte)));
        let secrets = secrets_of(self.channel, self.key);
        let (result, proof) = match answer {
            Err(failure) => (Err(failure.into()), KeyProof::Nothing),
            Ok((status, body)) => {
                let proof = endpoint.prove(status, &body);
                let text = shown(&body, &secrets);
                let class = match proof {
                    KeyProof::Valid(_) => None,
                    KeyProof::Invalid => Some(OutcomeClass::KeyInvalid),
                    KeyProof::Nothing if status == 429 => Some(OutcomeClass::RateLimited),
                    KeyProof::Nothing if status >= 500 => Some(OutcomeClass::HostError),
                    KeyProof::Nothing => Some(OutcomeClass::Ambiguous),
                };
                let result = match class {
                    None => Ok((status, text)),
                    class => Err(FetchFailure { status: Some(status), class, text }.into()),
                };
                (result, proof)
            }
        };
        Some((step(CheckKind::Key, started, result).0, proof))
    }

    /// Asks a model for a short answer, in one piece or as a stream. Dropping the future cancels it.
    pub async fn chat(&self, model: &str, stream: bool) -> Tried {
        let Self { clients, channel, provider, key, timeouts, now } = *self;
        let trial = Trial {
            clients,
            channel,
            provider,
            key,
            timeouts,
            model: model.to_owned(),
            now,
            observed: Mutex::default(),
        };
        let started = Instant::now();
        let result = tokio::time::timeout(timeouts.first_byte, trial.run(stream))
            .await
            .unwrap_or_else(|_| Err(FetchFailure::late(timeouts.first_byte).into()));
        let kind = if stream { CheckKind::Stream } else { CheckKind::Chat };
        let (step, proves_invalid) = step(kind, started, result);
        let observed = trial.observed.into_inner().unwrap_or_else(PoisonError::into_inner);
        Tried { step, proves_invalid, observed }
    }
}

fn step(kind: CheckKind, started: Instant, result: StepResult) -> (CheckStep, bool) {
    let duration_ms =
        u32::try_from(started.elapsed().max(Duration::from_millis(1)).as_millis()).unwrap_or(u32::MAX);
    match result {
        Ok((status, text)) => {
            let class = Some(OutcomeClass::Success);
            (CheckStep { kind, ok: true, status: Some(status), duration_ms, text, class }, false)
        }
        Err(Refused { failure: FetchFailure { status, class, text }, proves_invalid }) => {
            (CheckStep { kind, ok: false, status, duration_ms, text, class }, proves_invalid)
        }
    }
}

struct Trial<'a> {
    clients: &'a Clients,
    channel: &'a Channel,
    provider: &'a Provider,
    key: &'a Secret,
    timeouts: EffectiveTimeouts,
    model: String,
    now: UnixMs,
    /// Whether the last answer was accepted, and what its headers say of limits.
    observed: Mutex<Option<(bool, Vec<ObservedLimit>)>>,
}

impl Trial<'_> {
    /// Asks for a short answer; once more with `max_completion_tokens` if the upstream refuses `max_tokens` and names the
    /// other, as OpenAI's reasoning models do (<https://platform.openai.com/docs/api-reference/chat/create>).
    async fn run(&self, stream: bool) -> StepResult {
        match self.ask(stream, "max_tokens").await {
            Err(Refused { failure, .. })
                if failure.status == Some(400) && failure.text.contains("max_completion_tokens") =>
            {
                self.ask(stream, "max_completion_tokens").await
            }
            result => result,
        }
    }

    async fn ask(&self, stream: bool, limit: &str) -> StepResult {
        let mut body = serde_json::json!({
            "model": self.model,
            "messages": [{"role": "user", "content": "Reply with the single word: pong"}],
            "stream": stream,
        });
        body[limit] = MAX_TOKENS.into();
        let call = UpstreamCall {
            channel: self.channel,
            key: self.key,
            timeouts: self.timeouts,
            method: Method::POST,
            path: Endpoint::Chat.path(),
            key_header: None,
            body: Some(body.to_string().into()),
            stream,
        };
        let mut response = self.clients.send(call).await.map_err(|error| FetchFailure::unsent(&error))?;
        let status = response.status();
        let accepted = (200..300).contains(&status) && status != 204;
        let observed = (accepted, self.provider.observe(response.header_texts(), self.now));
        *self.observed.lock().unwrap_or_else(PoisonError::into_inner) = Some(observed);
        let secrets = secrets_of(self.channel, self.key);
        if !(200..300).contains(&status) || status == 204 {
            let body = response.read_prefix(MAX_ERROR_BYTES).await;
            let answered = Answered {
                status,
                headers: response.headers(),
                body: &body,
                provider: Some(self.provider),
                now: self.now,
                secrets: &secrets,
            };
            return Err(Refused::of(classify(&answered), Some(status), shown(&body, &secrets)));
        }
        let is_stream = response
            .headers()
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/event-stream"));
        if stream && is_stream {
            self.read_stream(status, &mut response, &secrets).await
        } else {
            self.read_answer(status, &mut response, &secrets).await
        }
    }

    async fn read_answer(
        &self,
        status: u16,
        response: &mut UpstreamResponse,
        secrets: &[&Secret],
    ) -> StepResult {
        let body = response
            .read_all(MAX_ANSWER_BYTES)
            .await
            .map_err(|error| FetchFailure { status: Some(status), ..FetchFailure::unsent(&error) })?;
        let text = shown(&body, secrets);
        match read_answer(Endpoint::Chat, &self.model, &body) {
            Ok(_) => Ok((status, text)),
            Err(bad) => {
                let outcome = classify_bad_answer(&bad, Some(self.provider), self.now, secrets);
                Err(Refused::of(outcome, Some(status), text))
            }
        }
    }

    async fn read_stream(
        &self,
        status: u16,
        response: &mut UpstreamResponse,
        secrets: &[&Secret],
    ) -> StepResult {
        let mut scanner = Scanner::new();
        let mut reader = ChunkReader::new(Endpoint::Chat, &self.model, true);
        let mut kept: Vec<u8> = Vec::new();
        let mut taken = 0;
        let failed = |class, kept: &[u8]| {
            Refused::from(FetchFailure {
                status: Some(status),
                class: Some(class),
                text: shown(kept, secrets),
            })
        };
        let mut done = false;
        while !done {
            let chunk = response.next_chunk().await.map_err(|error| {
                let text = format!("{error}\n{}", shown(&kept, secrets)).trim_end().to_owned();
                FetchFailure { status: Some(status), text, ..FetchFailure::unsent(&error) }
            })?;
            match chunk {
                Some(chunk) => {
                    taken += chunk.len();
                    kept.extend_from_slice(&chunk[..chunk.len().min(MAX_KEPT_BYTES - kept.len())]);
                    scanner.push(chunk);
                }
                None => {
                    scanner.finish();
                    done = true;
                }
            }
            if taken > MAX_ANSWER_BYTES {
                return Err(failed(OutcomeClass::HostError, &kept));
            }
            while let Some(event) = scanner.next() {
                match event {
                    Ok(Event::Data { data, .. }) => {
                        self.refuse_error(&mut reader, data, status, &kept, secrets)?;
                    }
                    Ok(Event::Done) => done = true,
                    Ok(Event::Comment) => {}
                    Err(_) => return Err(failed(OutcomeClass::HostError, &kept)),
                }
            }
        }
        if reader.is_empty_answer() {
            return Err(failed(OutcomeClass::Ambiguous, &kept));
        }
        Ok((status, shown(&kept, secrets)))
    }

    fn refuse_error(
        &self,
        reader: &mut ChunkReader,
        data: Bytes,
        status: u16,
        kept: &[u8],
        secrets: &[&Secret],
    ) -> Result<(), Refused> {
        let Some(error) = reader.read(data).error else { return Ok(()) };
        let outcome = classify_in_band(&error, Some(self.provider), self.now, secrets);
        Err(Refused::of(outcome, Some(status), shown(kept, secrets)))
    }
}
