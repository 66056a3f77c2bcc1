//! Tries one candidate after the other, until one answers with real content; in between the call waits in line.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Relay,
    attempt::{Failure, Found},
    ending::Ending,
    job::{Job, Source},
    ticket::Ticket,
};
use crate::{
    dispatch::Granted,
    model::{
        time::UnixMs,
        usage::{OutcomeClass, WaitReason},
    },
    scheduler::{
        desk::{self, Refusal},
        limit::Cost,
        pool::{Fault, Tried, Why},
        rest::Report,
    },
    upstream::outcome::Outcome,
};

/// How long to rest when a model is gone, if the upstream does not say until when.
const GONE_REST: Duration = Duration::from_secs(3600);

/// When to come back if nobody can tell: a line that is full moves within seconds.
const SOON: Duration = Duration::from_secs(5);

/// What the attempts of a call came to.
#[derive(Default)]
struct Failures {
    attempts: usize,
    timeouts: usize,
    gone: usize,
    /// When the first of the limits that were met opens again, on the steady clock.
    limited_until: Option<UnixMs>,
}

impl Relay {
    /// Finds content for a call, or says how it ends without.
    pub(super) async fn find_content(
        &self,
        job: &mut Job,
        ticket: &mut Ticket,
    ) -> Result<(Found, Source), Ending> {
        // A model that reads more was looked for because the prompt was too long; if that fails as well, this is why.
        let mut too_long = None;
        let found = self.find_content_or(job, ticket, &mut too_long).await;
        found.map_err(|ending| too_long.unwrap_or(ending))
    }

    /// The same; puts into `too_long` how the call ends if only its length is to blame.
    async fn find_content_or(
        &self,
        job: &mut Job,
        ticket: &mut Ticket,
        too_long: &mut Option<Ending>,
    ) -> Result<(Found, Source), Ending> {
        let dispatch = &self.parts.dispatch;
        dispatch.earn_retry();
        let mut failures = Failures::default();
        let mut call = job.call.clone();
        loop {
            let attempts = job.catalog.settings.max_attempts as usize;
            if failures.attempts >= attempts || Instant::now() >= job.deadline {
                return Err(failures.ending(job, None, dispatch.now().steady));
            }
            ticket.waits();
            let granted = dispatch.acquire(call).await;
            let why = granted.as_ref().map_or(None, |granted| granted.waited_for);
            // Time in line is bounded by the call's own deadline there.
            job.deadline += ticket.waited(why.and_then(reason));
            let Granted { permit, call: granted, .. } =
                granted.map_err(|refusal| failures.ending(job, Some(refusal), dispatch.now().steady))?;
            call = granted;
            if job.bound.as_ref().is_some_and(|bound| bound.key != permit.taken().key) {
                // A key that came while the call waited.
                return Err(Ending::NoChannel { retry_after: None });
            }
            if failures.attempts > 0 && !dispatch.spend_retry(&permit) {
                return Err(failures.ending(job, None, dispatch.now().steady));
            }
            let newest = self.parts.catalog.load();
            let known = job
                .find_target(&newest, permit.taken())
                .or_else(|| job.find_target(&job.catalog, permit.taken()));
            // Whatever was changed meanwhile took its route away.
            let Some(target) = known else { return Err(Ending::NoChannel { retry_after: None }) };
            let mut source = Source { target, permit };
            failures.attempts += 1;
            let began = Instant::now();
            match self.attempt(job, &mut source, ticket).await {
                Ok(found) => return Ok((found, source)),
                Err(Failure::Refused { ending, .. }) => {
                    // The key did its part.
                    let Source { target, permit } = source;
                    permit.settle(Some(Cost::default()));
                    let larger = if is_too_long(&ending) { self.larger(job, &target) } else { None };
                    let Some(larger) = larger else { return Err(ending) };
                    *too_long = Some(ending);
                    call = desk::Call {
                        plan: larger.plan,
                        set: larger.set,
                        tried: Tried::default(),
                        place: None,
                        ..call
                    };
                }
                Err(Failure::Elsewhere { outcome, status, timeout }) => {
                    let rested = source.permit.fail(&fault_of(&outcome, status), &mut call.tried);
                    let now = dispatch.now().steady;
                    if let Some((scope, until)) = rested.as_ref().filter(|(_, until)| *until > now) {
                        tracing::info!(
                            ?scope, class = %outcome.class, status,
                            rule = outcome.told.as_ref().map(|told| told.rule.as_str()), rest_s = until.since(now).as_secs_f32(),
                            detail = outcome.detail, "rests after a bad answer"
                        );
                    }
                    failures.note(rested.map(|(_, until)| until), &outcome, status, timeout);
                }
            }
            // The deadline in line bounds the waiting, not the attempts.
            call.deadline = call.deadline + began.elapsed();
        }
    }
}

/// Whether a refusal says that the prompt is longer than the model's context.
fn is_too_long(ending: &Ending) -> bool {
    matches!(ending, Ending::Refused { code: Some(code), .. } if code == "context_length_exceeded")
}

/// What a call waited for, as its row has it.
fn reason(why: Why) -> Option<WaitReason> {
    match why {
        Why::Limit => Some(WaitReason::Limit),
        Why::Rest(_) => Some(WaitReason::Rest),
        Why::Busy => Some(WaitReason::Busy),
        // For these nobody waits.
        Why::TooLarge | Why::Spent | Why::Tried | Why::Nobody => None,
    }
}

/// What the pool is told of a bad answer.
pub(super) fn fault_of(outcome: &Outcome, status: Option<u16>) -> Fault {
    let gone = outcome.permanent && outcome.class == OutcomeClass::ModelUnavailable;
    let asked = outcome.rest_for.or(gone.then_some(GONE_REST));
    let told = outcome.told.as_ref();
    let limit = told.and_then(|told| told.limit.as_ref());
    Fault {
        report: Report { class: outcome.class, asked, status, detail: outcome.detail.clone() },
        scope: outcome.scope,
        models: told.map(|told| told.models.clone()).unwrap_or_default(),
        period: outcome.period,
        metric: limit.map(|limit| limit.metric),
        allowed: limit.and_then(|limit| limit.max),
        window: limit.and_then(|limit| limit.window.clone()),
        pace: told.is_some_and(|told| told.pace),
    }
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

    /// How the call ends: with a refusal of the desk, or because it may not be tried again.
    fn ending(&self, job: &Job, refusal: Option<Refusal>, now: UnixMs) -> Ending {
        let predicted = refusal.and_then(|refusal| refusal.retry_after);
        if let Some(until) = self.limited_until {
            return Ending::PoolExhausted { retry_after: predicted.unwrap_or(until.since(now)) };
        }
        match self.attempts {
            0 => match refusal.map_or(Why::Nobody, |refusal| refusal.why) {
                Why::Limit | Why::Busy | Why::Rest(OutcomeClass::RateLimited) => {
                    Ending::PoolExhausted { retry_after: predicted.unwrap_or(SOON) }
                }
                Why::TooLarge => Ending::Refused {
                    status: 413,
                    message: "The request takes more tokens than any key for this model may use at a time."
                        .into(),
                    param: None,
                    code: Some("request_too_large".into()),
                },
                Why::Rest(_) | Why::Tried | Why::Spent | Why::Nobody => {
                    Ending::NoChannel { retry_after: predicted }
                }
            },
            attempts if self.timeouts == attempts => Ending::UpstreamTimeout,
            attempts if self.gone == attempts => Ending::ModelNotFound { model: job.envelope.model.clone() },
            _ => Ending::UpstreamFailed,
        }
    }
}
