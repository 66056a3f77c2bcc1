//! One call of a probe: it is sent, its answer is read within bounds, and judged.

pub mod judge;
pub mod question;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    client::{Clients, UpstreamCall, UpstreamResponse},
    models::{FetchFailure, secrets_of},
    outcome::{Answered, Outcome, classify, classify_bad_answer, classify_in_band},
};
use crate::{
    model::{
        channel::{Channel, EffectiveTimeouts},
        probe::ProbeVerdict,
        secret::Secret,
        time::UnixMs,
        usage::{Endpoint, ModelFault, OutcomeClass, TokenCounts},
    },
    protocol::{
        error_body::MAX_ERROR_BYTES,
        openai::{
            ChunkReader,
            answer::{BadAnswer, read_answer},
        },
        sse::{Event, Scanner},
    },
    provider::{ObservedLimit, Provider},
};
use judge::{Finding, judge_answer, judge_empty, judge_refusal, shows_reasoning};
pub use question::{COST, Dialect, Picture, Question};

/// A probe's answer has some kilobytes; what is larger is not an answer to it.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Silence of this time speaks against a model.
const LONG: Duration = Duration::from_secs(30);
/// Of fewer tokens, or in less time, no speed can be told.
const LEAST_TOKENS: u64 = 16;
const LEAST_MS: u128 = 50;

/// Where a probe asks, and with which key.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The network.
    pub clients: &'a Clients,
    /// The channel.
    pub channel: &'a Channel,
    /// Whose rules hold.
    pub provider: &'a Arc<Provider>,
    /// The key.
    pub key: &'a Secret,
    /// The whole call takes at most the time until the first byte.
    pub timeouts: EffectiveTimeouts,
    /// Dates what answers say of waiting.
    pub now: UnixMs,
}

/// What came of a call.
#[derive(Debug)]
pub struct Asked {
    /// What it shows of what was asked.
    pub finding: Finding,
    /// What the answer was taken for: [`OutcomeClass::Success`] if it was one, whatever it shows.
    pub class: OutcomeClass,
    /// What the answer says against the model.
    pub fault: Option<ModelFault>,
    /// Whether the model reasoned; `None` if there was no answer to tell.
    pub reasoned: Option<bool>,
    /// What it took, if the upstream says.
    pub usage: Option<TokenCounts>,
    /// How long it took, in milliseconds, at least 1.
    pub duration_ms: u32,
    /// Milliseconds until the first content of a stream.
    pub first_token_ms: Option<u32>,
    /// Tokens per second after that.
    pub tokens_per_second: Option<u32>,
    /// Whether the upstream accepted the call, and what its headers say of limits; `None` if it gave no answer.
    pub observed: Option<(bool, Vec<ObservedLimit>)>,
}

impl Asked {
    fn refused(status: Option<u16>, outcome: &Outcome, finding: Finding) -> Self {
        // A model that cannot do what was asked is there all the same.
        let is_unclear = matches!(finding, Finding::Shows(ProbeVerdict::Unclear, _));
        let fault = outcome.model_fault(status).filter(|_| is_unclear);
        Self { class: outcome.class, fault, ..Self::new(finding) }
    }

    fn new(finding: Finding) -> Self {
        Self {
            finding,
            class: OutcomeClass::Success,
            fault: None,
            reasoned: None,
            usage: None,
            duration_ms: 0,
            first_token_ms: None,
            tokens_per_second: None,
            observed: None,
        }
    }

    fn unsent(failure: FetchFailure) -> Self {
        let finding = Finding::Shows(ProbeVerdict::Unclear, failure.text);
        let class = failure.class.unwrap_or(OutcomeClass::HostError);
        let fault = (failure.class == Some(OutcomeClass::HostError)).then_some(ModelFault::Failed);
        Self { class, fault, ..Self::new(finding) }
    }
}

impl Asker<'_> {
    /// Asks a model one question. It is one call, also if it is to be asked [again](Finding::Again). Dropping the future
    /// cancels it.
    pub async fn ask(&self, model: &str, question: Question, dialect: Dialect) -> Asked {
        let started = Instant::now();
        let deadline = started + self.timeouts.first_byte;
        let mut observed = None;
        let call = self.call(model, question, dialect, deadline, &mut observed);
        let mut asked = match timeout_at(deadline, call).await {
            Ok(asked) => asked,
            Err(_) => {
                let late = Asked::unsent(FetchFailure::late(self.timeouts.first_byte));
                // A model that is slow is no dead one.
                let fault = late.fault.filter(|_| self.timeouts.first_byte >= LONG);
                Asked { fault, ..late }
            }
        };
        asked.duration_ms = ms(started.elapsed()).max(1);
        asked.observed = observed;
        asked
    }

    async fn call(
        &self,
        model: &str,
        question: Question,
        dialect: Dialect,
        deadline: Instant,
        observed: &mut Option<(bool, Vec<ObservedLimit>)>,
    ) -> Asked {
        let started = Instant::now();
        let call = UpstreamCall {
            channel: self.channel,
            key: self.key,
            timeouts: self.timeouts,
            method: Method::POST,
            path: Endpoint::Chat.path(),
            key_header: None,
            body: Some(question.body(model, dialect).to_string().into()),
            stream: question.streams(),
        };
        let mut response = match self.clients.send(call).await {
            Ok(response) => response,
            Err(error) => return Asked::unsent(FetchFailure::unsent(&error)),
        };
        let status = response.status();
        let accepted = (200..300).contains(&status) && status != 204;
        *observed = Some((accepted, self.provider.observe(response.header_texts(), self.now)));
        let secrets = secrets_of(self.channel, self.key);
        if !accepted {
            let body = response.read_prefix(MAX_ERROR_BYTES).await;
            let answered = Answered {
                status,
                headers: response.headers(),
                body: &body,
                provider: Some(self.provider),
                now: self.now,
                secrets: &secrets,
            };
            let outcome = classify(&answered);
            let finding =
                judge_refusal(question, dialect, model, Some(status), outcome.class, &outcome.detail);
            return Asked::refused(Some(status), &outcome, finding);
        }
        let content_type = response.headers().get(http::header::CONTENT_TYPE);
        let is_stream = content_type
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("text/event-stream"));
        let asking = Asking { asker: self, model, question, dialect, secrets: &secrets };
        if question.streams() && is_stream {
            asking.read_stream(&mut response, started, deadline).await
        } else {
            asking.read_answer(&mut response).await
        }
    }
}

/// A call whose answer is being read.
struct Asking<'a> {
    asker: &'a Asker<'a>,
    model: &'a str,
    question: Question,
    dialect: Dialect,
    secrets: &'a [&'a Secret],
}

impl Asking<'_> {
    fn refused(&self, status: Option<u16>, outcome: &Outcome) -> Asked {
        let Self { question, dialect, model, .. } = *self;
        let finding = judge_refusal(question, dialect, model, status, outcome.class, &outcome.detail);
        Asked::refused(status, outcome, finding)
    }

    async fn read_answer(&self, response: &mut UpstreamResponse) -> Asked {
        let body = match response.read_all(MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            Err(error) => return Asked::unsent(FetchFailure::unsent(&error)),
        };
        let answer = match read_answer(Endpoint::Chat, self.model, &body) {
            Ok(answer) => answer,
            Err(BadAnswer::Empty) => return Asked::new(judge_empty(self.question, self.dialect)),
            Err(bad) => {
                let (provider, now) = (Some(&**self.asker.provider), self.asker.now);
                let outcome = classify_bad_answer(&bad, provider, now, self.secrets);
                let status = match &bad {
                    BadAnswer::InBandError(error) => error.status.or(Some(400)),
                    _ => None,
                };
                return self.refused(status, &outcome);
            }
        };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (finding, reasoned) = judge_answer(self.question, self.dialect, &body);
        let finding = match finding {
            Finding::Shows(verdict, detail) => {
                Finding::Shows(verdict, super::outcome::mask_secrets(&detail, self.secrets))
            }
            again => again,
        };
        // Whoever was told not to think shows nothing by not thinking.
        let reasoned = (reasoned || !self.dialect.no_thinking).then_some(reasoned);
        Asked { reasoned, usage: answer.usage, ..Asked::new(finding) }
    }

    /// Reads a stream until its end, or until the time is over; by then it has shown what it can.
    async fn read_stream(
        &self,
        response: &mut UpstreamResponse,
        started: Instant,
        deadline: Instant,
    ) -> Asked {
        // A moment before the call as a whole ends.
        let deadline = deadline.checked_sub(Duration::from_millis(20)).unwrap_or(deadline);
        let mut scanner = Scanner::new();
        let mut reader = ChunkReader::new(Endpoint::Chat, self.model, true);
        let (mut taken, mut done, mut broken, mut reasoned) = (0, false, None, false);
        let (mut first, mut last) = (None, started);
        while !done {
            match timeout_at(deadline, response.next_chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    taken += chunk.len();
                    scanner.push(chunk);
                }
                Ok(Ok(None)) => {
                    scanner.finish();
                    done = true;
                }
                Ok(Err(error)) => {
                    broken = Some(error.to_string());
                    break;
                }
                Err(_) => {
                    broken = Some("not over in time".to_owned());
                    break;
                }
            }
            if taken > MAX_ANSWER_BYTES {
                broken = Some(format!("longer than {MAX_ANSWER_BYTES} bytes"));
                break;
            }
            while let Some(event) = scanner.next() {
                match event {
                    Ok(Event::Data { data, .. }) => {
                        reasoned |= reasons(&data);
                        let chunk = reader.read(data);
                        if let Some(error) = chunk.error {
                            let (provider, now) = (Some(&**self.asker.provider), self.asker.now);
                            let outcome = classify_in_band(&error, provider, now, self.secrets);
                            return self.refused(error.status.or(Some(400)), &outcome);
                        }
                        if chunk.has_content {
                            last = Instant::now();
                            first.get_or_insert(last);
                        }
                    }
                    Ok(Event::Done) => done = true,
                    Ok(Event::Comment) => {}
                    Err(_) => {
                        broken = Some("not a stream of events".to_owned());
                        done = true;
                    }
                }
            }
        }
        let usage = reader.usage();
        reasoned |= usage.is_some_and(|usage| usage.reasoning > 0);
        let Some(first) = first else {
            let detail = broken.map_or_else(
                || "the stream was empty".to_owned(),
                |broken| format!("no content came: {broken}"),
            );
            let finding = Finding::Shows(ProbeVerdict::Unclear, detail);
            let fault = Some(ModelFault::Failed);
            return Asked { class: OutcomeClass::HostError, fault, ..Asked::new(finding) };
        };
        let tokens = usage.map_or(reader.output_estimate(), |usage| usage.completion);
        let span = (last - first).as_millis();
        let measurable = tokens >= LEAST_TOKENS && span >= LEAST_MS;
        let per_second = || u32::try_from(u128::from(tokens) * 1000 / span).unwrap_or(u32::MAX);
        let finding = match broken {
            // Content that came piece by piece is a stream, also if nobody waited for its end.
            Some(broken) if broken != "not over in time" => {
                Finding::Shows(ProbeVerdict::Unclear, format!("the stream broke off: {broken}"))
            }
            _ => Finding::Shows(ProbeVerdict::Ok, String::new()),
        };
        Asked {
            reasoned: Some(reasoned),
            usage,
            first_token_ms: Some(ms(first - started)),
            tokens_per_second: measurable.then(per_second),
            ..Asked::new(finding)
        }
    }
}

/// Whether a chunk of a stream shows reasoning.
fn reasons(data: &Bytes) -> bool {
    let Ok(chunk) = serde_json::from_slice::<Value>(data) else { return false };
    shows_reasoning(&chunk["choices"][0]["delta"])
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
