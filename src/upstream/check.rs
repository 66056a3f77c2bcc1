//! Tests a key: does the upstream list its models, answer, and stream?

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;

use super::{
    client::{Clients, UpstreamCall, UpstreamResponse},
    models::{FetchFailure, fetch_list, secrets_of, shown},
    outcome::{Answered, classify, classify_bad_answer, classify_in_band},
};
use crate::{
    model::{
        channel::{Channel, EffectiveTimeouts},
        key::{CheckKind, CheckStep, KeyCheck},
        secret::Secret,
        time::{Clock, UnixMs},
        usage::{Endpoint, OutcomeClass},
    },
    protocol::{
        error_body::MAX_ERROR_BYTES,
        openai::{ChunkReader, answer::read_answer},
        sse::{Event, Scanner},
    },
    provider::Provider,
};

/// A test's answer is some hundred bytes; what is larger is not an answer to it.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Of a stream this much is kept to be shown.
const MAX_KEPT_BYTES: usize = 16 * 1024;
/// Enough for a short answer behind a little reasoning.
const MAX_TOKENS: u32 = 64;

/// One step's result before it is timed.
type StepResult = Result<(u16, String), FetchFailure>;

/// Runs the three steps: the model list, a short answer of `model`, and the same as a stream.
///
/// Without a `model` the first one of the upstream's list is taken; if there is none, only the list is asked for. A
/// refused key is not asked further. Each step takes at most `timeouts.first_byte`; dropping the future cancels it.
pub async fn check_key(
    clients: &Clients,
    channel: &Channel,
    provider: &Provider,
    key: &Secret,
    model: Option<&str>,
    timeouts: EffectiveTimeouts,
    clock: &Clock,
) -> KeyCheck {
    let at = clock.now();
    let mut steps = Vec::new();
    let started = Instant::now();
    let list = fetch_list(clients, channel, provider, key, timeouts, at).await;
    let first = list.as_ref().ok().and_then(|(models, _)| models.first()).map(|model| model.name.clone());
    steps.push(step(CheckKind::List, started, list.map(|(_, text)| (200, text))));
    let Some(model) = model.map(str::to_owned).or(first) else { return KeyCheck { at, steps } };

    let trial = Trial { clients, channel, provider, key, timeouts, model, now: at };
    for kind in [CheckKind::Chat, CheckKind::Stream] {
        let refused = steps.iter().any(|step: &CheckStep| {
            matches!(step.class, Some(OutcomeClass::KeyInvalid)) && step.kind != CheckKind::List
        });
        if refused {
            break;
        }
        let started = Instant::now();
        let result =
            match tokio::time::timeout(timeouts.first_byte, trial.run(kind == CheckKind::Stream)).await {
                Ok(result) => result,
                Err(_) => Err(FetchFailure::late(timeouts.first_byte)),
            };
        steps.push(step(kind, started, result));
    }
    KeyCheck { at, steps }
}

fn step(kind: CheckKind, started: Instant, result: StepResult) -> CheckStep {
    let duration_ms =
        u32::try_from(started.elapsed().max(Duration::from_millis(1)).as_millis()).unwrap_or(u32::MAX);
    match result {
        Ok((status, text)) => CheckStep {
            kind,
            ok: true,
            status: Some(status),
            duration_ms,
            text,
            class: Some(OutcomeClass::Success),
        },
        Err(failure) => CheckStep {
            kind,
            ok: false,
            status: failure.status,
            duration_ms,
            text: failure.text,
            class: failure.class,
        },
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
}

impl Trial<'_> {
    /// Asks for a short answer; once more with `max_completion_tokens` if the upstream refuses `max_tokens` and names the
    /// other, as OpenAI's reasoning models do (<https://platform.openai.com/docs/api-reference/chat/create>).
    async fn run(&self, stream: bool) -> StepResult {
        match self.ask(stream, "max_tokens").await {
            Err(failure) if failure.status == Some(400) && failure.text.contains("max_completion_tokens") => {
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
            body: Some(body.to_string().into()),
            stream,
        };
        let mut response = self.clients.send(call).await.map_err(|error| FetchFailure::unsent(&error))?;
        let status = response.status();
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
            let class = classify(&answered).class;
            return Err(FetchFailure {
                status: Some(status),
                class: Some(class),
                text: shown(&body, &secrets),
            });
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
                let class = classify_bad_answer(&bad, Some(self.provider), self.now, secrets).class;
                Err(FetchFailure { status: Some(status), class: Some(class), text })
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
        let failed = |class, kept: &[u8]| FetchFailure {
            status: Some(status),
            class: Some(class),
            text: shown(kept, secrets),
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
    ) -> Result<(), FetchFailure> {
        let Some(error) = reader.read(data).error else { return Ok(()) };
        let class = classify_in_band(&error, Some(self.provider), self.now, secrets).class;
        Err(FetchFailure { status: Some(status), class: Some(class), text: shown(kept, secrets) })
    }
}
