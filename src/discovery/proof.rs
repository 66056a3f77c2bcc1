//! Proves a key: by the provider's own word if it gives one, else by a call that is answered. Calls are charged to the
//! limits of the key like any other, and none is made that a limit forbids.
//!
//! Only a clear answer is taken for one: an answered call, a 401, or what the provider's own rules say of keys. A limit, a
//! model that is gated or gone, or a fault on the way leaves the question open.

use std::{sync::Arc, time::Duration};

use crate::{
    dispatch::Dispatch,
    model::{
        catalog::ChannelEntry,
        channel::EffectiveTimeouts,
        key::{CheckKind, CheckStep, Key, KeyCheck, KeyVerdict},
        time::UnixMs,
        usage::OutcomeClass,
    },
    pool::{account::counts_per_account, upkeep::models_to_check},
    provider::{
        Provider,
        listing::{Modality, ModelFacts},
        preset::{self, KeyProof},
    },
    scheduler::limit::Cost,
    storage::{Db, StorageResult},
    upstream::{
        check::{Candidate, Tried},
        client::Clients,
    },
};

/// How long a proof holds before it is worth asking again.
pub const PROOF_HOLDS: Duration = Duration::from_secs(24 * 3600);

/// The most models that are tried until one tells something about the key.
const MOST_MODELS: usize = 3;

/// What a call of a test takes: a short prompt, and an answer of at most 64 tokens.
pub const COST: Cost = Cost { input_tokens: 16, tokens: 80, most_tokens: 80, units: 0 };

/// How much is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What the provider itself says of the key, if it has an endpoint for that; no call is made, and nothing is charged.
    Word,
    /// Whether the key is right, as cheaply as possible: the provider's word, else one call.
    Proof,
    /// Everything: the list, the provider's word, a call, and a streamed one.
    Full,
}

/// A key to be proved.
pub struct Subject<'a> {
    /// Its channel.
    pub entry: &'a ChannelEntry,
    /// The key.
    pub key: &'a Key,
    /// Whose rules hold.
    pub provider: &'a Arc<Provider>,
    /// Limits of each request.
    pub timeouts: EffectiveTimeouts,
}

/// Whether a test is young enough, and clear enough, to be believed without another one.
pub fn holds(check: Option<&KeyCheck>, now: UnixMs) -> bool {
    check
        .is_some_and(|check| check.verdict.is_proof() && now.since(check.at) < PROOF_HOLDS && check.at <= now)
}

/// Proves a key with `model`, or with one that the channel offers, or else with one that the upstream lists. Calls that
/// were made beside the dispatcher of a running server have to be reported to it: see [`charged`]. Dropping the future
/// cancels it; what was sent stays charged.
pub async fn check_key(
    clients: &Clients,
    dispatch: &Dispatch,
    subject: &Subject<'_>,
    model: Option<&str>,
    depth: Depth,
    now: UnixMs,
) -> KeyCheck {
    let Subject { entry, key, provider, timeouts } = subject;
    let candidate =
        Candidate { clients, channel: &entry.channel, provider, key: &key.secret, timeouts: *timeouts, now };
    let mut check =
        KeyCheck { at: now, steps: Vec::new(), verdict: KeyVerdict::NotKnown, model: None, account: None };
    let mut models = wanted_models(subject, model);
    let mut listed = None;
    if depth == Depth::Full {
        let (step, facts) = candidate.list().await;
        check.steps.push(step);
        listed = Some(facts);
    }
    if let Some((step, proof)) = candidate.prove().await {
        check.steps.push(step);
        match proof {
            KeyProof::Valid(facts) => {
                check.verdict = KeyVerdict::Known;
                check.account = facts.account;
            }
            KeyProof::Invalid => check.verdict = KeyVerdict::Invalid,
            KeyProof::Nothing => {}
        }
    }
    if depth == Depth::Word
        || check.verdict == KeyVerdict::Invalid
        || (depth == Depth::Proof && check.verdict.is_proof())
    {
        return check;
    }
    if models.is_empty() {
        let facts = match listed {
            Some(facts) => facts,
            None => {
                let (step, facts) = candidate.list().await;
                check.steps.push(step);
                facts
            }
        };
        models = listed_models(provider, &facts);
    }
    models.truncate(if depth == Depth::Full { 1 } else { MOST_MODELS });
    for model in models {
        let tried = charged_chat(dispatch, &candidate, subject, &model, false).await;
        let answered = note(&mut check, &tried, &model);
        let tell_nothing =
            matches!(tried.step.class, Some(OutcomeClass::ModelUnavailable | OutcomeClass::KeyInvalid));
        check.steps.push(tried.step);
        if depth == Depth::Full && check.verdict != KeyVerdict::Invalid {
            let streamed = charged_chat(dispatch, &candidate, subject, &model, true).await;
            note(&mut check, &streamed, &model);
            check.steps.push(streamed.step);
        }
        if answered || check.verdict == KeyVerdict::Invalid || !tell_nothing {
            break;
        }
    }
    check
}

/// Finds out with one call, charged to the key's limits, whether a key is answered for one model. What that tells about the
/// key is noted as in [`check_key`]; a call that a limit forbids is not made.
pub async fn check_model(
    clients: &Clients,
    dispatch: &Dispatch,
    subject: &Subject<'_>,
    model: &str,
    now: UnixMs,
) -> KeyCheck {
    let Subject { entry, key, provider, timeouts } = subject;
    let candidate =
        Candidate { clients, channel: &entry.channel, provider, key: &key.secret, timeouts: *timeouts, now };
    let mut check =
        KeyCheck { at: now, steps: Vec::new(), verdict: KeyVerdict::NotKnown, model: None, account: None };
    let tried = charged_chat(dispatch, &candidate, subject, model, false).await;
    note(&mut check, &tried, model);
    check.steps.push(tried.step);
    check
}

/// Saves a test, and what it tells about the model and the account. If the provider counts per account and names the
/// key's, and nobody has said anything else, the key joins that account's quota group: gives the group, after which the
/// catalog has to be loaded again.
pub async fn save(db: &Db, subject: &Subject<'_>, check: &KeyCheck) -> StorageResult<Option<String>> {
    db.save_key_check(subject.key.id, check).await?;
    save_model(db, subject, check).await?;
    let Some(account) = check.account.as_deref().filter(|_| counts_per_account(subject.provider)) else {
        return Ok(None);
    };
    db.group_key_by_account(subject.entry.channel.id, subject.key.id, account).await
}

async fn save_model(db: &Db, subject: &Subject<'_>, check: &KeyCheck) -> StorageResult<()> {
    let Some(model) = &check.model else { return Ok(()) };
    let chat = check.steps.iter().rev().find(|step| step.kind == CheckKind::Chat);
    let answered = match chat {
        Some(CheckStep { ok: true, .. }) => true,
        Some(CheckStep { class: Some(OutcomeClass::ModelUnavailable), .. }) => false,
        _ => return Ok(()),
    };
    db.note_model_answer(subject.entry.channel.id, model, answered, check.at).await
}

/// How many calls of a test were sent and have to be charged.
pub fn charged(check: &KeyCheck) -> usize {
    let is_call = |step: &&CheckStep| matches!(step.kind, CheckKind::Chat | CheckKind::Stream);
    let was_sent = |step: &&CheckStep| step.duration_ms > 0;
    check.steps.iter().filter(is_call).filter(was_sent).count()
}

/// Notes what a call tells; says whether it was answered.
fn note(check: &mut KeyCheck, tried: &Tried, model: &str) -> bool {
    check.model = Some(model.to_owned());
    if tried.step.ok {
        check.verdict = KeyVerdict::Callable;
    } else if tried.proves_invalid && check.verdict == KeyVerdict::NotKnown {
        check.verdict = KeyVerdict::Invalid;
    }
    tried.step.ok
}

/// One call, if the limits allow it.
async fn charged_chat(
    dispatch: &Dispatch,
    candidate: &Candidate<'_>,
    subject: &Subject<'_>,
    model: &str,
    stream: bool,
) -> Tried {
    let Ok(permit) = dispatch.try_key(subject.entry.channel.id, model, subject.key.id, COST) else {
        let kind = if stream { CheckKind::Stream } else { CheckKind::Chat };
        let text = "not sent: a limit of this key is used up for now";
        let class = Some(OutcomeClass::RateLimited);
        let step = CheckStep { kind, ok: false, status: None, duration_ms: 0, text: text.into(), class };
        return Tried { step, proves_invalid: false, observed: None };
    };
    let mut permit = permit;
    if let Some(permit) = &mut permit {
        permit.sent();
        permit.used(COST);
    }
    let tried = candidate.chat(model, stream).await;
    if let (Some(permit), Some((accepted, observed))) = (&permit, &tried.observed) {
        permit.answered(*accepted, observed);
    }
    tried
}

/// The models to try: the given one; else those that the channel offers, the provider's cheap ones and then free ones
/// first.
fn wanted_models(subject: &Subject<'_>, model: Option<&str>) -> Vec<String> {
    if let Some(model) = model {
        return vec![model.to_owned()];
    }
    let provider = subject.provider;
    let cheap = cheap_models(provider);
    let mut offered = models_to_check(&subject.entry.channel);
    let rank = |name: &String| {
        let position = cheap.iter().position(|cheap| cheap == name).unwrap_or(cheap.len());
        let facts = ModelFacts { id: name.clone(), ..ModelFacts::default() };
        (position, provider.is_free(&facts) != Some(true))
    };
    offered.sort_by_key(rank);
    offered
}

fn cheap_models(provider: &Provider) -> &[String] {
    match &provider.key_check {
        preset::KeyCheck::Completion(completion) => &completion.models,
        preset::KeyCheck::Endpoint(_) | preset::KeyCheck::None => &[],
    }
}

/// The models to try of a list, the provider's cheap ones and then free ones first; those that do not give text are left
/// out.
fn listed_models(provider: &Provider, facts: &[ModelFacts]) -> Vec<String> {
    let cheap = cheap_models(provider);
    let chats = |facts: &&ModelFacts| facts.output.is_none_or(|kinds| kinds.has(Modality::Text));
    let mut models: Vec<&ModelFacts> = facts.iter().filter(chats).collect();
    let rank = |facts: &&ModelFacts| {
        let position = cheap.iter().position(|cheap| *cheap == facts.id).unwrap_or(cheap.len());
        (position, facts.free != Some(true))
    };
    models.sort_by_key(rank);
    models.into_iter().take(MOST_MODELS).map(|facts| facts.id.clone()).collect()
}
