//! What an upstream's refusal means: its class, what must rest for it, and for how long. Pure: no network, no clock.
//!
//! The rules of the channel's provider come first ([`crate::provider`]), then codes and phrases of any vendor (`rules`),
//! then the status. One status has many meanings: a 429 may be a
//! minute's limit, a day's, an empty account, or a busy provider behind the upstream, for which no key is to blame.

mod client_error;
mod mask;
mod rejected;
mod rest;
mod rules;

use std::time::Duration;

use http::HeaderMap;

use crate::{
    model::{
        secret::Secret,
        time::UnixMs,
        usage::{ModelFault, OutcomeClass},
    },
    protocol::{
        error_body::ErrorBody,
        openai::{InBandError, answer::BadAnswer},
    },
    provider::{self, Fields, Provider},
};

pub use client_error::{ClientErrorText, sanitized_client_error};
pub use mask::{mask_secrets, masked};
pub use rejected::{RejectedField, rejected_fields, rejected_form_fields};

/// The longest rest that a hint can cause, unless a daily or monthly limit is meant.
pub const MAX_REST: Duration = Duration::from_secs(3600);

/// The longest rest that a hint can cause at all: a day, and some hours for the vendor's time zone.
pub const MAX_LONG_REST: Duration = Duration::from_secs(26 * 3600);

/// The most characters of [`Outcome::detail`].
const MAX_DETAIL_CHARS: usize = 300;

pub use crate::{model::limit::Period as LimitPeriod, scheduler::rest::RestScope};

/// An upstream's answer with a status of failure.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body or a prefix of it; [`crate::protocol::error_body::MAX_ERROR_BYTES`] are looked at.
    pub body: &'a [u8],
    /// Whose rules come first; `None` for a channel of which no provider is known.
    pub provider: Option<&'a Provider>,
    /// The time.
    pub now: UnixMs,
    /// What the request carried and no text may repeat: the upstream key.
    pub secrets: &'a [&'a Secret],
}

/// What an answer was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The class.
    pub class: OutcomeClass,
    /// What must rest.
    pub scope: RestScope,
    /// How long, as the upstream says: at most [`MAX_REST`], for daily and monthly limits [`MAX_LONG_REST`]. `None` if
    /// it does not say, or says what cannot be meant (seconds for a day's limit): the end of `period` in the provider's
    /// time zone is taken then, and if that is not known the caller's back-off decides.
    pub rest_for: Option<Duration>,
    /// The kind of limit, if it was one and the answer tells.
    pub period: Option<LimitPeriod>,
    /// Waiting does not mend it: an operator must act (a wrong key, an empty account, a model that is gone), or a
    /// re-check must find that somebody has.
    pub permanent: bool,
    /// The request is at fault and the client is to see the upstream's words, by [`sanitized_client_error`]; no other
    /// candidate is tried.
    pub pass_through: bool,
    /// What the provider's own rule says, if one speaks of the answer: the exact scope, and what the answer says about
    /// the limit.
    pub told: Option<provider::Verdict>,
    /// Why, for operators: the status and the upstream's words, credentials masked, at most 300 characters.
    pub detail: String,
}

impl Outcome {
    /// What it says against the model at that channel; `status` is the upstream's, if it answered. What fits only this
    /// request, or came of too little time, says nothing.
    pub fn model_fault(&self, status: Option<u16>) -> Option<ModelFault> {
        let of_request = self.scope == RestScope::Request;
        match self.class {
            OutcomeClass::ModelUnavailable if of_request => None,
            OutcomeClass::ModelUnavailable if self.permanent || matches!(status, Some(404 | 410)) => {
                Some(ModelFault::Gone)
            }
            OutcomeClass::ModelUnavailable => Some(ModelFault::Failed),
            OutcomeClass::HostError if of_request && status.is_none() => None,
            OutcomeClass::HostError => Some(ModelFault::Failed),
            _ => None,
        }
    }
}

/// Classifies an answer by status, headers and body. A 2xx other than 204 is a success: whether its body is an answer,
/// [`crate::protocol::openai`] finds out.
pub fn classify(answered: &Answered<'_>) -> Outcome {
    let body = ErrorBody::read(answered.body);
    let status = Some(answered.status);
    if (200..300).contains(&answered.status) && answered.status != 204 {
        return outcome(Verdict::new(OutcomeClass::Success, RestScope::Request), status, &body, answered);
    }
    if let Some(told) = judged(status, answered.body, answered) {
        return outcome_told(told, status, &body, answered);
    }
    // Mistral says so of free keys that may not call at all.
    let no_allowance = answered.headers.get("x-ratelimit-limit-req-minute").is_some_and(|limit| limit == "0");
    let verdict = if answered.status == 429 && no_allowance {
        Verdict::new(OutcomeClass::OutOfCredit, RestScope::Key).permanent()
    } else {
        rules::verdict(status, &body)
    };
    outcome(verdict, status, &body, answered)
}

/// Classifies an error that came with status 200, by the provider's rules (`None` as in [`Answered`]), else by the status
/// that it names, else by its words.
pub fn classify_in_band(
    error: &InBandError,
    provider: Option<&Provider>,
    now: UnixMs,
    secrets: &[&Secret],
) -> Outcome {
    let mut body = ErrorBody::read(&error.raw);
    if body.message.is_empty() {
        body.message.clone_from(&error.message);
    }
    let headers = HeaderMap::new();
    let answered = Answered {
        status: error.status.unwrap_or(200),
        headers: &headers,
        body: &[],
        provider,
        now,
        secrets,
    };
    if let Some(told) = judged(error.status, &error.raw, &answered) {
        return outcome_told(told, error.status, &body, &answered);
    }
    outcome(rules::verdict(error.status, &body), error.status, &body, &answered)
}

/// Classifies a body of status 200 that is no answer. An empty answer rests nothing: it is the model's mood, not the
/// host's. `provider` as in [`Answered`].
pub fn classify_bad_answer(
    bad: &BadAnswer,
    provider: Option<&Provider>,
    now: UnixMs,
    secrets: &[&Secret],
) -> Outcome {
    let (scope, detail) = match bad {
        BadAnswer::InBandError(error) => return classify_in_band(error, provider, now, secrets),
        BadAnswer::Empty => (RestScope::Request, "200: the answer is empty"),
        BadAnswer::NotJson => (RestScope::ChannelModel, "200: the answer is not the expected JSON"),
        BadAnswer::Html => (RestScope::Channel, "200: the answer is a web page"),
        BadAnswer::Stream => (RestScope::ChannelModel, "200: the answer is a stream that was not asked for"),
    };
    let body = ErrorBody { message: detail.to_owned(), ..ErrorBody::default() };
    let headers = HeaderMap::new();
    let answered = Answered { status: 200, headers: &headers, body: &[], provider, now, secrets };
    outcome(Verdict::new(OutcomeClass::HostError, scope), None, &body, &answered)
}

/// What a rule or a status decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    class: OutcomeClass,
    scope: RestScope,
    period: Option<LimitPeriod>,
    permanent: bool,
}

impl Verdict {
    const fn new(class: OutcomeClass, scope: RestScope) -> Self {
        Self { class, scope, period: None, permanent: false }
    }

    const fn permanent(self) -> Self {
        Self { permanent: true, ..self }
    }

    const fn per(self, period: LimitPeriod) -> Self {
        Self { period: Some(period), ..self }
    }
}

/// What the provider's rules say of an answer.
fn judged(status: Option<u16>, body: &[u8], answered: &Answered<'_>) -> Option<provider::Verdict> {
    let find = |name: &str| answered.headers.get(name).and_then(|value| value.to_str().ok());
    answered.provider?.judge(status, find, &Fields::read(body), answered.now)
}

/// The outcome that a provider's rule decides. Where it names no end, the answer's hints count as for any vendor's.
fn outcome_told(
    told: provider::Verdict,
    status: Option<u16>,
    body: &ErrorBody,
    answered: &Answered<'_>,
) -> Outcome {
    let scope = match told.scope {
        provider::Scope::Request => RestScope::Request,
        provider::Scope::KeyModel => RestScope::KeyModel,
        provider::Scope::GroupModel => RestScope::GroupModel,
        provider::Scope::Key => RestScope::Key,
        provider::Scope::Group => RestScope::Group,
        provider::Scope::Model => RestScope::ChannelModel,
        provider::Scope::Channel => RestScope::Channel,
    };
    let verdict = Verdict { class: told.class, scope, period: told.period, permanent: told.permanent };
    let general = outcome(verdict, status, body, answered);
    let told_wait = told.until.map(|until| until.since(answered.now).min(MAX_LONG_REST));
    let rest_for = told_wait.filter(|_| scope != RestScope::Request).or(general.rest_for);
    Outcome { rest_for, told: Some(told), ..general }
}

fn outcome(verdict: Verdict, status: Option<u16>, body: &ErrorBody, answered: &Answered<'_>) -> Outcome {
    let Verdict { class, scope, permanent, .. } = verdict;
    let limited = matches!(class, OutcomeClass::RateLimited | OutcomeClass::OutOfCredit);
    let period = verdict.period.or_else(|| limited.then(|| rules::period(&body.haystack())).flatten());
    let long =
        matches!(period, Some(LimitPeriod::Day | LimitPeriod::Month)) || class == OutcomeClass::OutOfCredit;
    let temporary = limited || matches!(class, OutcomeClass::HostError | OutcomeClass::ModelUnavailable);
    let rest_for = (temporary && scope != RestScope::Request)
        .then(|| rest::wait(answered.headers, body, answered.now))
        .flatten()
        // A day's limit does not end in seconds; Google sends such a delay with it.
        .filter(|wait| !long || rules::refills(body) || *wait >= Duration::from_secs(60))
        .filter(|_| !(period == Some(LimitPeriod::Day) && body.reasons.contains("PerDay")))
        .map(|wait| wait.min(if long { MAX_LONG_REST } else { MAX_REST }));
    let words = match (status, body.message.is_empty()) {
        (Some(status), true) => format!("{status} without a message"),
        (Some(status), false) => format!("{status}: {}", body.message),
        (None, _) => body.message.clone(),
    };
    let words = match &body.raw {
        Some(raw) if !words.contains(raw.as_str()) => format!("{words} ({raw})"),
        _ => words,
    };
    // The bound before masking keeps masking cheap; it is wide enough for no secret to be cut at the second one.
    let words: String =
        words.chars().map(|char| if char.is_control() { ' ' } else { char }).take(4096).collect();
    // Whoever spent a day's quota gets no answer before the provider's new day; asking in between is wasted.
    let rest_for = rest_for.or_else(|| {
        let waits = class == OutcomeClass::RateLimited && scope != RestScope::Request;
        let reset = answered.provider?.reset_at(period.filter(|_| waits)?, answered.now)?;
        Some(reset.since(answered.now).min(MAX_LONG_REST))
    });
    Outcome {
        class,
        scope,
        rest_for,
        period,
        permanent,
        pass_through: class == OutcomeClass::ClientError
            && scope == RestScope::Request
            && matches!(status, None | Some(400 | 413 | 422)),
        told: None,
        detail: bounded(&mask_secrets(&words, answered.secrets), MAX_DETAIL_CHARS),
    }
}

/// At most so many characters of a text, the last one an ellipsis if some are left out.
fn bounded(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests;
