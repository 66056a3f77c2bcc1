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
        budget::Owner,
        catalog::ChannelEntry,
        id::ChannelId,
        time::UnixMs,
        token::ClientProfile,
        usage::{OutcomeClass, WaitReason},
    },
    scheduler::{
        desk::{self, Refusal},
        limit::Cost,
        pool::{Fault, Tried, Why},
        rest::{Report, RestScope},
    },
    upstream::outcome::Outcome,
};

/// How long to rest when a model is gone, if the upstream does not say until when.
const GONE_REST: Duration = Duration::from_secs(3600);

/// When to come back if nobody can tell: a line that is full moves within seconds.
const SOON: Duration = Duration::from_secs(5);

/// A budget that does not start anew earlier never does.
const A_YEAR: Duration = Duration::from_secs(366 * 86_400);

/// If a call has used its time up at a candidate that did not answer, another one has so long.
const AFTER_A_HANG: Duration = Duration::from_secs(30);

/// What the attempts of a call came to.
#[derive(Default)]
struct Failures {
    attempts: usize,
    timeouts: usize,
    gone: usize,
    /// When the first of the limits that were met opens again, on the steady clock.
    limited_until: Option<UnixMs>,
    /// The channels that did not answer in time.
    hung: Vec<ChannelId>,
    /// When to come back after a budget had no room for the call at the last candidate, if anybody knows.
    over_budget: Option<Option<Duration>>,
    /// The channels of which a key said that there is no such model.
    gone_at: Vec<ChannelId>,
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
            let newest = self.parts.catalog.load();
            let known = job
                .find_target(&newest, permit.taken())
                .or_else(|| job.find_target(&job.catalog, permit.taken()));
            // Whatever was changed meanwhile took its route away.
            let Some(target) = known else { return Err(Ending::NoChannel { retry_after: None }) };
            match self.reserve_budgets(job, &target) {
                Ok(held) => ticket.holds(held),
                Err(over) => {
                    let now = dispatch.now().wall;
                    let resets_in = over.full.resets_at.map(|end| end.since(now));
                    // What is only reserved may come back with the next answer.
                    failures.over_budget = Some(if over.full.used_up { resets_in } else { Some(SOON) });
                    permit.withhold(matches!(over.owner, Owner::Channel(_)), &mut call.tried);
                    continue;
                }
            }
            if failures.attempts > 0 && !dispatch.spend_retry(&permit) {
                return Err(failures.ending(job, None, dispatch.now().steady));
            }
            let mut source = Source { target, permit };
            failures.attempts += 1;
            let began = Instant::now();
            let patience = self.patience(job, &source, &failures);
            match self.attempt(job, &mut source, ticket, patience).await {
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
                Err(Failure::Elsewhere { mut outcome, status, timeout }) => {
                    let channel = source.target.route.channel.clone();
                    failures.look_at(&mut outcome, status, &channel);
                    let hung = timeout && outcome.scope != RestScope::Request;
                    let rested = source.permit.fail(&fault_of(&outcome, status, hung), &mut call.tried);
                    let now = dispatch.now().steady;
                    if hung {
                        if failures.hung.is_empty() {
                            job.deadline = job.deadline.max(Instant::now() + AFTER_A_HANG);
                        }
                        failures.hung.push(channel.channel.id);
                    }
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
            // These bound the waiting in line, not the attempts.
            call.deadline = call.deadline + began.elapsed();
            call.rests_until = call.rests_until + began.elapsed();
        }
    }
}

impl Relay {
    /// How long a candidate may take until its first content, where that is less than usual: one that has just left a call
    /// without an answer is not given that long again by OpenClaw, which has other models to go to, nor by a trial.
    fn patience(&self, job: &Job, source: &Source, failures: &Failures) -> Option<Duration> {
        let taken = source.permit.taken();
        let hung = taken.hangs > 0 || failures.hung.contains(&taken.channel);
        let in_a_hurry = taken.trial || job.profile == ClientProfile::OpenClaw;
        (hung && in_a_hurry).then(|| self.parts.dispatch.patience(taken))
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

/// What the pool is told of a bad answer; `hung` says that none came in time.
pub(super) fn fault_of(outcome: &Outcome, status: Option<u16>, hung: bool) -> Fault {
    let gone = outcome.permanent && outcome.class == OutcomeClass::ModelUnavailable;
    let asked = outcome.rest_for.or(gone.then_some(GONE_REST));
    let told = outcome.told.as_ref();
    let limit = told.and_then(|told| told.limit.as_ref());
    Fault {
        report: Report {
            class: outcome.class,
            asked,
            counted: false,
            status,
            detail: outcome.detail.clone(),
        },
        scope: outcome.scope,
        models: told.map(|told| told.models.clone()).unwrap_or_default(),
        period: outcome.period,
        metric: limit.map(|limit| limit.metric),
        allowed: limit.and_then(|limit| limit.max),
        window: limit.and_then(|limit| limit.window.clone()),
        pace: told.is_some_and(|told| told.pace),
        hung,
    }
}

impl Failures {
    /// Of several keys only one may not have the model, so the first that says so speaks for itself.
    fn look_at(&mut self, outcome: &mut Outcome, status: Option<u16>, channel: &ChannelEntry) {
        let is_bare = outcome.class == OutcomeClass::ModelUnavailable
            && outcome.scope == RestScope::ChannelModel
            && outcome.told.is_none()
            && matches!(status, Some(404 | 405));
        let id = channel.channel.id;
        if !is_bare || self.gone_at.contains(&id) {
            return;
        }
        self.gone_at.push(id);
        if channel.keys.iter().filter(|key| key.enabled).count() > 1 {
            outcome.scope = RestScope::KeyModel;
        }
    }

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
        if let (0, Some(known)) = (self.attempts, self.over_budget) {
            return match predicted.or(known).filter(|after| *after < A_YEAR) {
                Some(retry_after) => Ending::PoolExhausted { retry_after },
                // Nobody knows when an operator raises it.
                None => Ending::NoChannel { retry_after: None },
            };
        }
        match self.attempts {
            0 => match refusal.map_or(Why::Nobody, |refusal| refusal.why) {
                Why::Limit | Why::Busy | Why::Rest(OutcomeClass::RateLimited) => {
                    Ending::PoolExhausted { retry_after: predicted.unwrap_or(SOON) }
                }
                Why::Rest(OutcomeClass::BudgetReached) => match predicted.filter(|after| *after < A_YEAR) {
                    Some(retry_after) => Ending::PoolExhausted { retry_after },
                    None => Ending::NoChannel { retry_after: None },
                },
                Why::TooLarge => Ending::OverKeyLimits,
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
