//! Step 2: every key that is on, and every model that it is used for. What is known already is believed; what is not costs a
//! call, charged to the key's limits, and their number is bounded.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{Notes, Place, Side, stuck::end_rests};
use crate::{
    discovery::proof::{self, Depth, Subject},
    dispatch::on_every_endpoint,
    model::{
        catalog::{Catalog, ChannelEntry},
        id::KeyId,
        key::{Key, KeyCheck, KeyVerdict},
        usage::OutcomeClass,
    },
    pool::upkeep::{Wish, models_to_check, patient_timeouts},
    scheduler::rest::Scope,
    storage::{StorageError, StorageResult},
};

/// The most calls of one repair.
const MOST_CALLS: usize = 20;
/// No test begins after so long.
const LONGEST: Duration = Duration::from_secs(300);
/// How far back use counts: a model that nobody asked for in a week, and that no chain names, is not in use.
const IN_USE: Duration = Duration::from_secs(7 * 86_400);
/// How long an answered call counts as a proof.
const ANSWERED: Duration = Duration::from_secs(86_400);

/// What is known from real calls: by key and upstream's model.
struct Known {
    used: BTreeSet<(KeyId, String)>,
    answered: BTreeSet<(KeyId, String)>,
}

/// How much may still be asked, and what happened.
struct Course {
    calls: usize,
    until: Instant,
    believed: usize,
    /// Tests that were due and not made: no calls or no time left, or a dry run.
    left: usize,
    resting: usize,
}

/// Proves keys and models.
pub async fn prove(place: &Place, notes: &mut Notes<'_>) -> StorageResult<()> {
    let catalog = place.catalog.load();
    let now = place.clock.now();
    let known = {
        let used = place.db.tried_since(now - IN_USE).await?;
        let answered = place.db.tried_since(now - ANSWERED).await?;
        let pair = |tried: crate::storage::maintenance::Tried| (tried.key, tried.model);
        Known {
            used: used.into_iter().map(pair).collect(),
            answered: answered.into_iter().filter(|tried| tried.answered).map(pair).collect(),
        }
    };
    let in_chains = in_chains(&catalog);
    let mut course =
        Course { calls: MOST_CALLS, until: Instant::now() + LONGEST, believed: 0, left: 0, resting: 0 };
    let mut any = false;
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        let rows = place.db.key_rows(entry.channel.id).await?;
        for key in entry.keys.iter().filter(|key| key.enabled) {
            any = true;
            let last = rows.iter().find(|row| row.id == key.id).and_then(|row| row.last_check.as_ref());
            let valid = one_key(place, notes, &mut course, &catalog, entry, key, last, &known).await?;
            if !valid {
                continue;
            }
            let chained = in_chains.get(&entry.channel.id.0);
            for model in models_to_check(&entry.channel) {
                let pair = (key.id, model);
                let is_used =
                    known.used.contains(&pair) || chained.is_some_and(|models| models.contains(&pair.1));
                if is_used {
                    one_model(place, notes, &mut course, &catalog, entry, key, &pair.1, &known).await?;
                }
            }
        }
    }
    if !any {
        notes.skipped("no_keys", |t| t.no_keys());
        return Ok(());
    }
    if course.believed > 0 {
        notes.ok("believed", |t| t.believed(course.believed));
    }
    if course.resting > 0 {
        notes.skipped("resting", |t| t.pairs_resting(course.resting));
    }
    if course.left > 0 && notes.dry_run {
        notes.skipped("not_asked", |t| t.not_asked_dry(course.left));
    } else if course.left > 0 {
        notes.skipped("not_asked", |t| t.not_asked(course.left, MOST_CALLS));
    }
    Ok(())
}

/// The upstream's models that chains which are on lead to, by channel.
fn in_chains(catalog: &Catalog) -> HashMap<i64, BTreeSet<String>> {
    let mut models: HashMap<i64, BTreeSet<String>> = HashMap::new();
    let steps = catalog.chains().filter_map(|chain| catalog.resolved(chain.id)).flatten();
    for route in steps.flat_map(|step| &step.routes) {
        let of_channel = models.entry(route.channel.channel.id.0).or_default();
        of_channel.insert(route.upstream_model.to_string());
    }
    models
}

fn name_of(entry: &ChannelEntry, key: &Key) -> String {
    let label = if key.label.is_empty() { String::new() } else { format!(" {}", key.label) };
    format!("{} #{}{label} (…{})", entry.channel.name, key.id, key.last4)
}

/// Whether a key is valid, as far as one can tell; tells what is wrong with it.
#[expect(clippy::too_many_arguments, reason = "what is known of one key, from five places")]
async fn one_key(
    place: &Place,
    notes: &mut Notes<'_>,
    course: &mut Course,
    catalog: &Catalog,
    entry: &Arc<ChannelEntry>,
    key: &Arc<Key>,
    last: Option<&KeyCheck>,
    known: &Known,
) -> StorageResult<bool> {
    let name = name_of(entry, key);
    let holds = last.filter(|check| proof::holds(Some(check), place.clock.now()));
    let has_answered = known.answered.iter().any(|(id, _)| *id == key.id);
    if let Some(check) = holds {
        if check.verdict != KeyVerdict::Invalid {
            course.believed += 1;
            return Ok(true);
        }
        // A key may have been corrected at its provider since, so an answered call outweighs an old refusal.
        if !has_answered {
            let text = words_of(check);
            notes.needs_you("key_invalid", |t| t.key_invalid(&name, &text), |t| t.key_invalid_remedy());
            return Ok(false);
        }
    }
    if has_answered {
        course.believed += 1;
        return Ok(true);
    }
    if is_waiting(place, entry, key, None) {
        course.resting += 1;
        return Ok(true);
    }
    if notes.dry_run || course.calls == 0 || Instant::now() > course.until {
        course.left += 1;
        return Ok(true);
    }
    let provider = place.catalog.provider_of(&entry.channel);
    let timeouts = patient_timeouts(catalog, &entry.channel);
    let subject = Subject { entry, key, provider: &provider, timeouts };
    let now = place.clock.now();
    let check = proof::check_key(&place.clients, &place.dispatch, &subject, None, Depth::Proof, now).await;
    course.calls = course.calls.saturating_sub(proof::charged(&check).max(1));
    save(place, &subject, &check).await?;
    match check.verdict {
        KeyVerdict::Callable | KeyVerdict::Known => {
            let ended = wake(place, entry, key, check.model.as_deref()).await?;
            if ended > 0 {
                notes.fixed("key_woken", |t| t.key_woken(&name, ended));
            } else {
                notes.ok("key_valid", |t| t.key_valid(&name));
            }
            Ok(true)
        }
        KeyVerdict::Invalid => {
            let text = words_of(&check);
            notes.needs_you("key_invalid", |t| t.key_invalid(&name, &text), |t| t.key_invalid_remedy());
            Ok(false)
        }
        KeyVerdict::NotKnown => {
            let text = words_of(&check);
            let class = check.steps.last().and_then(|step| step.class);
            match class {
                Some(OutcomeClass::RateLimited) => course.resting += 1,
                _ => notes.needs_you(
                    "key_unproved",
                    |t| t.key_unproved(&name, &text),
                    |t| t.key_unproved_remedy(),
                ),
            }
            Ok(false)
        }
    }
}

/// Whether a key is answered for a model; tells what is wrong.
#[expect(clippy::too_many_arguments, reason = "what is known of one key and model, from five places")]
async fn one_model(
    place: &Place,
    notes: &mut Notes<'_>,
    course: &mut Course,
    catalog: &Catalog,
    entry: &Arc<ChannelEntry>,
    key: &Arc<Key>,
    model: &str,
    known: &Known,
) -> StorageResult<()> {
    if known.answered.contains(&(key.id, model.to_owned())) {
        course.believed += 1;
        return Ok(());
    }
    if is_waiting(place, entry, key, Some(model)) {
        course.resting += 1;
        return Ok(());
    }
    if notes.dry_run || course.calls == 0 || Instant::now() > course.until {
        course.left += 1;
        return Ok(());
    }
    let name = name_of(entry, key);
    let provider = place.catalog.provider_of(&entry.channel);
    let timeouts = patient_timeouts(catalog, &entry.channel);
    let subject = Subject { entry, key, provider: &provider, timeouts };
    let now = place.clock.now();
    let check = proof::check_model(&place.clients, &place.dispatch, &subject, model, now).await;
    course.calls = course.calls.saturating_sub(1);
    // A model's answer proves the key as well; a model's refusal says nothing that a key's test should show.
    if check.verdict.is_proof() {
        save(place, &subject, &check).await?;
    } else {
        charge(place, &subject, &check).await?;
        let class = check.steps.last().and_then(|step| step.class);
        if class == Some(OutcomeClass::ModelUnavailable) {
            place.db.note_model_answer(entry.channel.id, model, false, check.at).await?;
        }
    }
    let text = words_of(&check);
    match (check.verdict, check.steps.last().and_then(|step| step.class)) {
        (KeyVerdict::Callable | KeyVerdict::Known, _) => {
            let ended = wake(place, entry, key, Some(model)).await?;
            if ended > 0 {
                notes.fixed("model_woken", |t| t.model_woken(&name, model, ended));
            } else {
                notes.ok("model_answers", |t| t.model_answers(&name, model));
            }
        }
        (KeyVerdict::Invalid, _) => {
            notes.needs_you("key_invalid", |t| t.key_invalid(&name, &text), |t| t.key_invalid_remedy());
        }
        (_, Some(OutcomeClass::RateLimited)) => course.resting += 1,
        (_, Some(OutcomeClass::ModelUnavailable)) => notes.needs_you(
            "model_unavailable",
            |t| t.model_unavailable(&name, model, &text),
            |t| t.model_unavailable_remedy(),
        ),
        _ => notes.needs_you(
            "model_fails",
            |t| t.model_fails(&name, model, &text),
            |t| t.key_unproved_remedy(),
        ),
    }
    Ok(())
}

/// What the last step of a test says: the status and the upstream's words.
fn words_of(check: &KeyCheck) -> String {
    let Some(step) = check.steps.iter().rev().find(|step| !step.ok) else { return String::new() };
    let status = step.status.map(|status| format!("HTTP {status}: ")).unwrap_or_default();
    let text: String = step.text.chars().take(200).collect();
    format!("{status}{text}")
}

/// The scopes that calls with a key (for a model) wait for.
fn scopes(entry: &ChannelEntry, key: &Key, model: Option<&str>) -> Vec<Scope> {
    let id = entry.channel.id;
    let mut scopes = vec![Scope::Key(key.id), Scope::Channel(id)];
    scopes.extend(key.quota_group.clone().map(|group| Scope::Group(id, group)));
    if let Some(model) = model {
        scopes.extend(on_every_endpoint(&Scope::KeyModel(key.id, model.to_owned())));
        scopes.extend(on_every_endpoint(&Scope::ChannelModel(id, model.to_owned())));
    }
    scopes
}

/// Whether a call now would be refused by an operator's pause, or would offend a limit that an upstream has just told.
fn is_waiting(place: &Place, entry: &ChannelEntry, key: &Key, model: Option<&str>) -> bool {
    let now = place.dispatch.now().steady;
    let pool = place.dispatch.lock();
    let found = scopes(entry, key, model);
    found.iter().filter_map(|scope| pool.rests().active(scope, now)).any(|rest| {
        rest.is_held() || matches!(rest.class, OutcomeClass::RateLimited | OutcomeClass::OutOfCredit)
    })
}

/// Ends what keeps a key that has just answered from calls; says how many rests.
async fn wake(place: &Place, entry: &ChannelEntry, key: &Key, model: Option<&str>) -> StorageResult<usize> {
    let now = place.dispatch.now().steady;
    let over: Vec<Scope> = {
        let pool = place.dispatch.lock();
        let is_over = |scope: &Scope| pool.rests().active(scope, now).is_some_and(|rest| !rest.is_held());
        scopes(entry, key, model).into_iter().filter(is_over).collect()
    };
    end_rests(place, over.iter()).await?;
    Ok(over.len())
}

async fn save(place: &Place, subject: &Subject<'_>, check: &KeyCheck) -> StorageResult<()> {
    proof::save(&place.db, subject, check).await?;
    charge(place, subject, check).await
}

/// Has a running server charge calls that were made beside it; in the server the permit has done so.
async fn charge(place: &Place, subject: &Subject<'_>, check: &KeyCheck) -> StorageResult<()> {
    let (Side::Beside(_), Some(model)) = (&place.side, &check.model) else { return Ok(()) };
    let wish = Wish::Charge {
        charge: subject.key.id,
        channel: subject.entry.channel.id,
        model: model.clone(),
        input_tokens: proof::COST.input_tokens,
        tokens: proof::COST.tokens,
    };
    let wish = serde_json::to_string(&wish).map_err(|error| StorageError::Unreadable(error.to_string()))?;
    for _ in 0..proof::charged(check) {
        place.db.leave_wish(&wish).await?;
    }
    Ok(())
}
