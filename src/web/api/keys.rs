//! Keys: adding them, one of them, its test, and the end of its rests. Their values never leave the server.

use std::sync::Arc;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    changing, channels,
    endpoint::{Asked, Body, Endpoint, Gone, Patch, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, Ended, Page, PageQuery},
};
use crate::{
    discovery::proof::{self, Depth, Subject},
    error::Error,
    i18n::Messages,
    model::{
        catalog::{Catalog, ChannelEntry},
        id::{ChannelId, KeyId},
        key::{CheckStep, Key, KeyCheck, KeyVerdict, MAX_PASTED_KEYS, PastedKey, parse_pasted},
        secret::Secret,
        usage::OutcomeClass,
    },
    pool::{
        input::{Faults, KeyInput, LimitInput, Limited, PlainSecret, QuotaInput, check_limits},
        rules,
        upkeep::{
            answered, belongs_to_key, concerns_key, end_rests, key_rest, models_to_check, patient_timeouts,
            wake,
        },
    },
    provider::Provider,
    scheduler::{
        now::Now,
        rest::{Rest, RestBook, Scope},
    },
    storage::keys::{KeyAdded, KeyRow},
    web::{
        Site,
        admin::channels::{learn, paste_problem},
    },
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/channels/{id}/keys", "List a channel's keys", list),
        Endpoint::new(Method::POST, "/api/channels/{id}/keys", "Add keys to a channel", add)
            .about(
                "Either `keys`, which are added all or none; or `text`, in which keys are found as in a pasted list: one per \
                 line, with any separator, `.env` lines too; what is no key is told in `results`, the rest is added. Keys \
                 that the channel has already are left alone. A provider that tells about keys without a call is asked about new ones, at \
                 most 20: those of one account join its quota group, unless they have one.",
            )
            .example(json!({"keys": [{"secret": "gsk_0123456789abcdef", "label": "first account", "quota_group": "a"}]})),
        Endpoint::new(Method::GET, "/api/keys/{id}", "Show a key", show),
        Endpoint::new(Method::PATCH, "/api/keys/{id}", "Change a key, switch it on or off", change)
            .example(json!({"enabled": false, "limits": [{"max": 40, "window": "1m"}]})),
        Endpoint::new(Method::DELETE, "/api/keys/{id}", "Remove a key", delete)
            .about("Its value is erased; its label stays for the usage log."),
        Endpoint::new(Method::POST, "/api/keys/{id}/check", "Test a key", check)
            .about(
                "Asks the upstream for its list of models, the provider about the key where it has an endpoint for that, and for \
                 a small chat completion and a streamed one, which count against the key's limits and cost a few tokens; \
                 takes at most some minutes. A key that answers does not rest any longer. `verdict` says what is proved.",
            )
            .example(json!({"model": "llama-3.3-70b-versatile"})),
        Endpoint::new(Method::POST, "/api/keys/{id}/retry", "End every rest and pause of a key", retry)
            .about("Also that of its quota group. Rests of its channel as a whole stay."),
    ]
}

/// A key as answers show it: everything but its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// Its id.
    id: i64,
    /// Its channel.
    channel_id: i64,
    /// The operator's name for it; may be empty.
    label: String,
    /// The last four characters; empty if that would tell too much.
    last4: String,
    /// The account whose quota it spends.
    quota_group: Option<String>,
    /// Whether that was set by what the provider says of the key's account, and by nobody since.
    grouped_by_provider: bool,
    /// Off means: takes no calls.
    enabled: bool,
    /// When it was added.
    created_at: At,
    /// Whether it takes calls now.
    state: KeyState,
    /// The limits that are declared on it; the channel has more.
    limits: Vec<LimitInput>,
    /// How much its calls may spend; what is spent is in the list of budgets.
    budget: Option<QuotaInput>,
    /// Why it rests for every model, and until when.
    rest: Option<RestView>,
    /// What its last test found.
    last_check: Option<CheckView>,
}

/// Whether a key takes calls now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It takes calls.
    Available,
    /// It is switched off.
    Off,
    /// It takes none until a time.
    Resting,
    /// The same, because an operator wants it.
    Paused,
}

/// Why something rests, and until when.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestView {
    /// What the last bad answer was taken for.
    class: OutcomeClass,
    /// When it began.
    since: At,
    /// When calls are tried again.
    until: At,
    /// Bad answers in a row.
    strikes: u32,
    /// The upstream's status, if it answered.
    status: Option<u16>,
    /// The upstream's text, secrets masked.
    detail: String,
}

impl RestView {
    /// A rest as answers show it.
    pub fn of(rest: &Rest, now: Now) -> Self {
        Self {
            class: rest.class,
            since: now.to_wall(rest.since).into(),
            until: now.to_wall(rest.until).into(),
            strikes: rest.strikes,
            status: rest.status,
            detail: rest.detail.clone(),
        }
    }
}

/// What a test of a key found.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckView {
    /// When it ran.
    at: At,
    /// Whether every step passed.
    passed: bool,
    /// What is proved: `callable` (a call was answered), `known` (the provider knows the key; no call was answered),
    /// `invalid`, or `not_known`: a limit, a gated model or a fault said nothing about the key.
    verdict: KeyVerdict,
    /// The model that was chatted with last.
    model: Option<String>,
    /// The account that the provider says the key belongs to.
    account: Option<String>,
    /// What was tried, in order.
    steps: Vec<StepView>,
}

/// One step of a key's test.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// What was tried: `list`, `key`, `chat` or `stream`.
    kind: StepKind,
    /// Whether the upstream did what was asked.
    ok: bool,
    /// The upstream's status, if it answered.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    duration_ms: u32,
    /// The upstream's text (at most 4 KiB, secrets masked), or what went wrong on the way to it.
    text: String,
    /// What the answer was taken for.
    class: Option<OutcomeClass>,
}

/// What a step of a key's test tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// The list of models, which proves nothing about a key.
    List,
    /// The provider's endpoint that tells about a key.
    Key,
    /// A small chat completion.
    Chat,
    /// The same, streamed.
    Stream,
}

impl CheckView {
    fn of(check: &KeyCheck) -> Self {
        use crate::model::key::CheckKind;
        let step = |step: &CheckStep| StepView {
            kind: match step.kind {
                CheckKind::List => StepKind::List,
                CheckKind::Key => StepKind::Key,
                CheckKind::Chat => StepKind::Chat,
                CheckKind::Stream => StepKind::Stream,
            },
            ok: step.ok,
            status: step.status,
            duration_ms: step.duration_ms,
            text: step.text.clone(),
            class: step.class,
        };
        Self {
            at: check.at.into(),
            passed: check.passed(),
            verdict: check.verdict,
            model: check.model.clone(),
            account: check.account.clone(),
            steps: check.steps.iter().map(step).collect(),
        }
    }
}

impl KeyView {
    fn of(entry: &ChannelEntry, key: &Key, row: &KeyRow, book: &RestBook, now: Now) -> Self {
        let rest = key_rest(entry, key, book, now.steady);
        Self {
            id: key.id.0,
            channel_id: key.channel_id.0,
            label: key.label.clone(),
            last4: key.last4.clone(),
            quota_group: key.quota_group.clone(),
            grouped_by_provider: row.grouped_by_provider,
            enabled: key.enabled,
            created_at: row.created_at.into(),
            state: match (key.enabled, rest) {
                (false, _) => KeyState::Off,
                (true, Some(rest)) if rest.is_pause() => KeyState::Paused,
                (true, Some(_)) => KeyState::Resting,
                (true, None) => KeyState::Available,
            },
            limits: key.limits.iter().map(LimitInput::of).collect(),
            budget: key.budget.as_ref().map(QuotaInput::of),
            rest: rest.map(|rest| RestView::of(rest, now)),
            last_check: row.last_check.as_ref().map(CheckView::of),
        }
    }
}

/// A page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// The keys, by id.
    items: Vec<KeyView>,
    /// The `cursor` that goes on; null at the end.
    next: Option<String>,
}

/// The key of an id, and its channel.
pub(super) fn find(catalog: &Catalog, id: KeyId) -> Result<(Arc<ChannelEntry>, Arc<Key>)> {
    let of = |entry: &Arc<ChannelEntry>| {
        let key = entry.keys.iter().find(|key| key.id == id)?;
        Some((entry.clone(), key.clone()))
    };
    Ok(catalog.channels().find_map(of).ok_or(Error::NotFound)?)
}

async fn view(site: &Site, id: KeyId) -> Result<KeyView> {
    let (entry, key) = find(&site.catalog.load(), id)?;
    let rows = site.db.key_rows(entry.channel.id).await?;
    let row = rows.iter().find(|row| row.id == id).ok_or(Error::NotFound)?;
    let now = site.dispatch.now();
    Ok(KeyView::of(&entry, &key, row, site.dispatch.lock().rests(), now))
}

async fn list(asked: Asked<ChannelId, Query<PageQuery>>) -> Result<Shown<KeyList>> {
    let site = &asked.site;
    let entry = channels::find(&site.catalog.load(), asked.path)?;
    let rows = site.db.key_rows(entry.channel.id).await?;
    let known = rows.iter().filter_map(|row| Some((entry.keys.iter().find(|key| key.id == row.id)?, row)));
    let query = &asked.query.0;
    let page = Page::read(query.limit, query.cursor.as_deref())?;
    let (keys, next) = page.cut(known, |(key, _)| key.id.0)?;
    let (pool, now) = (site.dispatch.lock(), site.dispatch.now());
    let items = keys.into_iter().map(|(key, row)| KeyView::of(&entry, key, row, pool.rests(), now)).collect();
    Ok(Shown(KeyList { items, next }))
}

async fn show(asked: Asked<KeyId>) -> Result<Shown<KeyView>> {
    Ok(Shown(view(&asked.site, asked.path).await?))
}

/// Keys to add: either `keys` or `text`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeysInput {
    /// Keys, each with its own fields; at most 10,000.
    #[serde(default)]
    keys: Vec<KeyInput>,
    /// A text in which keys are to be found.
    #[serde(default)]
    text: Option<PlainSecret>,
    /// The quota group of the keys in `text`.
    #[serde(default)]
    quota_group: Option<String>,
}

/// What became of keys that were to be added.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeysAdded {
    /// How many were added.
    added: usize,
    /// How many the channel had already.
    duplicates: usize,
    /// How many were refused.
    refused: usize,
    /// One result per key, in the order in which they were sent.
    results: Vec<KeyResult>,
}

/// What became of a key that was to be added.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyResult {
    /// The line of `text` that it stands in, from 1.
    line: Option<usize>,
    /// Its label.
    label: String,
    /// The last four characters; empty if that would tell too much.
    last4: String,
    /// What became of it.
    result: KeyOutcome,
    /// Its id, if it was added.
    key_id: Option<i64>,
    /// Why it was refused.
    message: Option<String>,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyOutcome {
    /// It is there now.
    Added,
    /// The channel had it already, or it stood twice in the list.
    Duplicate,
    /// It is no key.
    Refused,
}

/// A key to add, or a line that holds none.
struct Candidate {
    line: Option<usize>,
    label: String,
    key: Result<(PastedKey, bool), String>,
}

impl KeysInput {
    fn candidates(&self, provider: &Provider, t: Messages) -> Result<Vec<Candidate>> {
        let mut faults = Faults::default();
        if self.keys.len() > MAX_PASTED_KEYS {
            faults.add("keys", t.channels.paste_too_many(MAX_PASTED_KEYS));
            return Err(faults.into());
        }
        let group = self.quota_group.as_deref().unwrap_or_default();
        faults.take("quota_group", rules::check_length(t, group, rules::MAX_NAME_CHARS));
        let Some(text) = &self.text else {
            if self.keys.is_empty() {
                faults.add("keys", "Give `keys`, or a `text` with keys.");
            }
            if self.quota_group.is_some() {
                faults.add("quota_group", "This is for keys in `text`; a key in `keys` has its own.");
            }
            let mut candidates = Vec::with_capacity(self.keys.len());
            for (position, input) in self.keys.iter().enumerate() {
                match input.check(&format!("keys[{position}]."), Some(provider), t) {
                    Ok(key) => candidates.push(Candidate {
                        line: None,
                        label: key.label.clone(),
                        key: Ok((key, input.enabled)),
                    }),
                    Err(more) => faults.0.extend(more.0),
                }
            }
            return Ok(faults.or(candidates)?);
        };
        if !self.keys.is_empty() {
            faults.add("text", "Give either `keys` or `text`.");
        }
        let lines = parse_pasted(text.expose());
        if lines.is_empty() {
            faults.add("text", t.channels.paste_nothing());
        }
        let quota_group = self.quota_group.clone().filter(|group| !group.is_empty());
        let candidate = |line: crate::model::key::PastedLine| Candidate {
            line: Some(line.line),
            label: line.label.clone(),
            key: match line.key {
                Ok(secret) => Ok((
                    PastedKey {
                        label: line.label,
                        secret,
                        quota_group: quota_group.clone(),
                        limits: Vec::new(),
                        budget: None,
                    },
                    true,
                )),
                Err(problem) => Err(paste_problem(t, problem)),
            },
        };
        Ok(faults.or(lines.into_iter().map(candidate).collect())?)
    }
}

async fn add(asked: Asked<ChannelId, (), Body<KeysInput>>) -> Result<Shown<KeysAdded>> {
    let site = &asked.site;
    let entry = channels::find(&site.catalog.load(), asked.path)?;
    let channel = entry.channel.id;
    let provider = site.catalog.provider_of(&entry.channel);
    let candidates = asked.body.0.candidates(&provider, asked.caller.t())?;
    let keys: Vec<(&PastedKey, bool)> = candidates
        .iter()
        .filter_map(|candidate| candidate.key.as_ref().ok().map(|(key, enabled)| (key, *enabled)))
        .collect();
    let added = site.db.add_switched_keys(channel, &keys).await?;
    site.catalog.reload().await?;
    learn(site, channel, &added).await?;
    let mut added = added.into_iter();
    let mut results = Vec::with_capacity(candidates.len());
    for Candidate { line, label, key } in candidates {
        let result = |last4: String, result, key_id: Option<KeyId>, message| KeyResult {
            line,
            label: label.clone(),
            last4,
            result,
            key_id: key_id.map(|id| id.0),
            message,
        };
        results.push(match key {
            Err(message) => result(String::new(), KeyOutcome::Refused, None, Some(message)),
            Ok((key, _)) => match added.next() {
                Some(KeyAdded::Added(id)) => {
                    result(Secret::last4(&key.secret), KeyOutcome::Added, Some(id), None)
                }
                Some(KeyAdded::Duplicate) | None => {
                    result(Secret::last4(&key.secret), KeyOutcome::Duplicate, None, None)
                }
            },
        });
    }
    let count = |outcome| results.iter().filter(|result| result.result == outcome).count();
    Ok(Shown(KeysAdded {
        added: count(KeyOutcome::Added),
        duplicates: count(KeyOutcome::Duplicate),
        refused: count(KeyOutcome::Refused),
        results,
    }))
}

/// What can be changed of a key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySettingsInput {
    /// A name for it; at most 100 characters.
    #[serde(default)]
    label: String,
    /// The account whose quota it spends.
    #[serde(default)]
    quota_group: Option<String>,
    /// Off means: takes no calls.
    #[serde(default = "yes")]
    enabled: bool,
    /// What is allowed to this key alone, per `key` or `key_model`; at most 20.
    #[serde(default)]
    limits: Vec<LimitInput>,
    /// How much its calls may spend; null: no budget.
    #[serde(default)]
    budget: Option<QuotaInput>,
}

fn yes() -> bool {
    true
}

async fn change(asked: Asked<KeyId, (), Patch<KeySettingsInput>>) -> Result<Shown<KeyView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let _changing = changing(site).await?;
    let (entry, key) = find(&site.catalog.load(), asked.path)?;
    let new = asked.body.apply(&KeySettingsInput {
        label: key.label.clone(),
        quota_group: key.quota_group.clone(),
        enabled: key.enabled,
        limits: key.limits.iter().map(LimitInput::of).collect(),
        budget: key.budget.as_ref().map(QuotaInput::of),
    })?;
    let group = new.quota_group.as_deref().filter(|group| !group.is_empty());
    let mut faults = Faults::default();
    faults.take("label", rules::check_length(t, &new.label, rules::MAX_NAME_CHARS));
    faults.take("quota_group", rules::check_length(t, group.unwrap_or_default(), rules::MAX_NAME_CHARS));
    let provider = site.catalog.provider_of(&entry.channel);
    let limits =
        check_limits(&new.limits, Limited { key: true, provider: Some(&provider) }, "", t, &mut faults);
    let budget = new.budget.as_ref().and_then(|budget| budget.check("budget", t, &mut faults));
    faults.or(())?;
    let quota_group = group.map(str::to_owned);
    let enabled = new.enabled;
    let changed = Key { label: new.label, quota_group, enabled, limits, budget, ..(*key).clone() };
    site.db.change_key(&changed).await?;
    site.catalog.reload().await?;
    Ok(Shown(view(site, key.id).await?))
}

async fn delete(asked: Asked<KeyId>) -> Result<Gone> {
    let site = &asked.site;
    let (_, key) = find(&site.catalog.load(), asked.path)?;
    site.db.delete_key(key.id).await?;
    site.catalog.reload().await?;
    end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| belongs_to_key(&key, scope));
    Ok(Gone)
}

/// What to test a key with.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckInput {
    /// The upstream's model to chat with; left out: the channel's first one.
    #[serde(default)]
    model: Option<String>,
    /// Find out only whether the key is right, as cheaply as possible: by the provider's own word on it if it gives one,
    /// else by one completion.
    #[serde(default)]
    proof: bool,
    /// Take the last result if it is a proof and less than a day old.
    #[serde(default)]
    cached: bool,
}

async fn check(asked: Asked<KeyId, (), Body<CheckInput>>) -> Result<Shown<CheckView>> {
    let site = &asked.site;
    let catalog = site.catalog.load();
    let (entry, key) = find(&catalog, asked.path)?;
    let input = asked.body.0;
    let model_given = input.model.clone();
    let model = model_given.clone().or_else(|| models_to_check(&entry.channel).into_iter().next());
    if model.as_ref().is_some_and(|model| !rules::is_model_name(model)) {
        return Err(Refusal::at("model", "This cannot be a model's name."));
    }
    if input.cached && model_given.is_none() {
        let rows = site.db.key_rows(entry.channel.id).await?;
        let last = rows.into_iter().find(|row| row.id == key.id).and_then(|row| row.last_check);
        if let Some(check) = last.filter(|check| proof::holds(Some(check), site.clock.now())) {
            return Ok(Shown(CheckView::of(&check)));
        }
    }
    let (depth, model) = if input.proof { (Depth::Proof, model_given) } else { (Depth::Full, model) };
    let timeouts = patient_timeouts(&catalog, &entry.channel);
    let provider = site.catalog.provider_of(&entry.channel);
    let subject = Subject { entry: &entry, key: &key, provider: &provider, timeouts };
    let now = site.clock.now();
    let check = proof::check_key(&site.clients, &site.dispatch, &subject, model.as_deref(), depth, now).await;
    if proof::save(&site.db, &subject, &check).await?.is_some() {
        site.catalog.reload().await?;
    }
    if answered(&check) {
        wake(site.dispatch.lock().rests_mut(), &entry, &key, check.model.as_deref());
    }
    Ok(Shown(CheckView::of(&check)))
}

async fn retry(asked: Asked<KeyId>) -> Result<Shown<Ended>> {
    let site = &asked.site;
    let (entry, key) = find(&site.catalog.load(), asked.path)?;
    let ended = end_rests(site.dispatch.lock().rests_mut(), site.clock.steady(), |scope| {
        concerns_key(&entry, &key, scope) && !matches!(scope, Scope::Channel(_) | Scope::ChannelModel(..))
    });
    Ok(Shown(Ended { ended: ended as u64 }))
}
