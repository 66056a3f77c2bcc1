//! Tries one candidate after the other, until one answers with real content.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Relay,
    attempt::{Failure, Found, host_error},
    ending::Ending,
    job::Job,
    ticket::Ticket,
};
use crate::{
    model::{time::UnixMs, token::ClientProfile, usage::OutcomeClass},
    scheduler::{
        ledger::{Candidate, Choice, RestScope, Tried},
        rest::Report,
    },
    upstream::outcome::{LimitPeriod, Outcome},
};

/// How long to rest at the limit of a day or a month, or when a model is gone, if the upstream does not say until when. Its
/// day may end at any hour of ours, so it is tried again every hour.
const LONG_REST: Duration = Duration::from_secs(3600);

/// The longest time that an OpenClaw call waits inside for a limited key to come back; see [`super::ending`].
const OPENCLAW_WAIT: Duration = Duration::from_secs(60);

/// What the attempts of a call came to.
#[derive(Default)]
struct Failures {
    attempts: usize,
    timeouts: usize,
    gone: usize,
    limited_until: Option<UnixMs>,
}

impl Relay {
    /// Finds content for a call, or says how it ends without.
    pub(super) async fn find_content(&self, job: &Job, ticket: &mut Ticket) -> Result<Found, Ending> {
        let mut tried = Tried::default();
        let mut failures = Failures::default();
        // Candidates that were at a limit when they were tried.
        let mut limited: Vec<usize> = Vec::new();
        while failures.attempts < job.catalog.settings.max_attempts as usize && Instant::now() < job.deadline
        {
            let now = ticket.now();
            let choice = self.ledger().choose(&job.candidates, &mut tried, now, rand::random());
            let index = match choice {
                Choice::Send(index) => index,
                Choice::Wait { .. } | Choice::Nothing => {
                    // What was tried and failed for another reason than a limit stays out.
                    let waitable =
                        |index: &usize| limited.contains(index) || !tried.has(&job.candidates[*index]);
                    let rest = self.first_back(job, (0..job.candidates.len()).filter(waitable), now);
                    let Some(wait) = worth_waiting(job, rest, now) else {
                        let rest = self.first_back(job, 0..job.candidates.len(), now);
                        return Err(failures.ending(job, rest, now));
                    };
                    tokio::time::sleep(wait).await;
                    ticket.queued(wait);
                    for index in limited.drain(..) {
                        tried.forget(&job.candidates[index]);
                    }
                    continue;
                }
            };
            failures.attempts += 1;
            match self.attempt(job, index, ticket).await {
                Ok(found) => {
                    self.ledger().succeed(&job.candidates[index], now, ticket.now());
                    return Ok(found);
                }
                Err(Failure::Refused { ending, .. }) => return Err(ending),
                Err(Failure::Elsewhere { outcome, status, timeout }) => {
                    if outcome.class == OutcomeClass::RateLimited {
                        limited.push(index);
                    }
                    failures.note(
                        self.report(&job.candidates[index], &outcome, status, ticket.now()),
                        &outcome,
                        status,
                        timeout,
                    );
                }
                Err(Failure::StreamOptions { .. }) => {}
            }
        }
        let now = ticket.now();
        Err(failures.ending(job, self.first_back(job, 0..job.candidates.len(), now), now))
    }

    /// When the first of these candidates comes back, and why it rests.
    fn first_back(
        &self,
        job: &Job,
        among: impl Iterator<Item = usize>,
        now: UnixMs,
    ) -> Option<(UnixMs, OutcomeClass)> {
        let ledger = self.ledger();
        among
            .filter_map(|index| match ledger.earliest(&job.candidates[index], now) {
                (until, Some(rest)) => Some((until, rest.class)),
                (_, None) => None,
            })
            .min()
    }

    /// Tells the ledger of a bad answer; returns until when the candidate rests.
    fn report(
        &self,
        candidate: &Candidate,
        outcome: &Outcome,
        status: Option<u16>,
        now: UnixMs,
    ) -> Option<UnixMs> {
        let long = matches!(outcome.period, Some(LimitPeriod::Day | LimitPeriod::Month))
            || (outcome.permanent && outcome.class == OutcomeClass::ModelUnavailable);
        let asked = outcome.rest_for.or(long.then_some(LONG_REST));
        let report = Report { class: outcome.class, asked, status, detail: outcome.detail.clone() };
        let rested = self.ledger().fail(candidate, outcome.scope, report, now);
        let (scope, until) = rested?;
        tracing::info!(
            ?scope, class = %outcome.class, status, rest_s = until.since(now).as_secs_f32(), detail = outcome.detail,
            "rests after a bad answer"
        );
        Some(until)
    }

    /// Notes that a stream broke off after its first content.
    pub(super) fn report_interruption(&self, candidate: &Candidate, detail: &str, now: UnixMs) {
        let outcome = host_error(RestScope::KeyModel, detail);
        self.report(candidate, &outcome, None, now);
    }
}

/// How long an OpenClaw call waits for the first limited candidate. Other clients are told to come back.
fn worth_waiting(job: &Job, rest: Option<(UnixMs, OutcomeClass)>, now: UnixMs) -> Option<Duration> {
    let (until, class) = rest?;
    let wait = until.since(now);
    let patient = job.token.profile == ClientProfile::OpenClaw && class == OutcomeClass::RateLimited;
    (patient && wait <= OPENCLAW_WAIT && Instant::now() + wait < job.deadline).then_some(wait)
}

impl Failures {
    fn note(&mut self, until: Option<UnixMs>, outcome: &Outcome, status: Option<u16>, timeout: bool) {
        self.timeouts += usize::from(timeout);
        match outcome.class {
            OutcomeClass::RateLimited => {
                let until = until.unwrap_or_default();
                self.limited_until = Some(self.limited_until.map_or(until, |earlier| earlier.min(until)));
            }
            OutcomeClass::ModelUnavailable if matches!(status, Some(404 | 410)) => self.gone += 1,
            _ => {}
        }
    }

    /// How the call ends; `rest` is the first candidate to come back.
    fn ending(&self, job: &Job, rest: Option<(UnixMs, OutcomeClass)>, now: UnixMs) -> Ending {
        let limited = match rest {
            Some((until, OutcomeClass::RateLimited)) => Some(until),
            _ => None,
        };
        if let Some(until) = self.limited_until.or(limited.filter(|_| self.attempts == 0)) {
            return Ending::PoolExhausted { retry_after: until.since(now) };
        }
        match self.attempts {
            0 => Ending::NoChannel { retry_after: rest.map(|(until, _)| until.since(now)) },
            attempts if self.timeouts == attempts => Ending::UpstreamTimeout,
            attempts if self.gone == attempts => Ending::ModelNotFound { model: job.envelope.model.clone() },
            _ => Ending::UpstreamFailed,
        }
    }
}
