//! Finds out what a model can do, with as few calls as it takes, each charged to the limits of its key like any other.
//!
//! No call is made that a limit forbids, and of a daily quota probes take no more than a set share. What is known already,
//! from an earlier probe or from the calls of clients, is not asked again. A limit, a wrong key or a fault on the way say
//! nothing about the model.

use std::{sync::Arc, time::Duration};

use crate::{
    dispatch::Dispatch,
    model::{
        catalog::ChannelEntry,
        channel::EffectiveTimeouts,
        id::{ChannelId, KeyId},
        key::Key,
        probe::{ProbeCall, ProbeKind, ProbeResult, ProbeSource, ProbeVerdict},
        time::{Clock, UnixMs},
        usage::{ModelFault, OutcomeClass},
    },
    provider::{
        Provider,
        listing::{Modality, ModelFacts},
    },
    ranking::liveness::Sign,
    scheduler::{
        gauge::Reading,
        limit::{Cost, LimitScope, Metric},
        rest::Scope,
    },
    storage::{Db, StorageResult},
    upstream::{
        client::Clients,
        probe::{Asked, Asker, COST, Dialect, Picture, Question, judge::Finding},
    },
};

/// The most calls that one question may take: three ways to ask, and once more.
const MOST_WAYS: usize = 4;
/// The most keys of a channel among which the one with most left is looked for.
const MOST_KEYS: usize = 32;
/// In what time the share of a quota is counted.
const DAY: Duration = Duration::from_secs(86_400);
/// A limit of a shorter time than this is no daily quota.
const LEAST_DAY_MS: u64 = 12 * 3_600_000;

/// What probes work with.
#[derive(Clone, Copy)]
pub struct Prober<'a> {
    /// Where results and calls are kept.
    pub db: &'a Db,
    /// The network.
    pub clients: &'a Clients,
    /// The limits.
    pub dispatch: &'a Dispatch,
    /// The time.
    pub clock: &'a Clock,
    /// The most that probes take of a daily quota, in percent.
    pub percent: u32,
}

/// A model to be probed.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its channel.
    pub entry: &'a ChannelEntry,
    /// Whose rules hold.
    pub provider: &'a Arc<Provider>,
    /// The upstream's name of the model.
    pub model: &'a str,
    /// Limits of each request.
    pub timeouts: EffectiveTimeouts,
}

/// Why a call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldBack {
    /// No key is on, or all of them rest.
    NoKey,
    /// A limit of every key is used up for now.
    Limit,
    /// Probes have had their share of the daily quota.
    Share,
}

impl HeldBack {
    /// In words, for the result.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoKey => "not asked: no key is on that does not rest",
            Self::Limit => "not asked: a limit of every key is used up for now",
            Self::Share => "not asked: probes have had their share of the daily quota",
        }
    }
}

/// A call that a probe made, to be charged also by whoever keeps the books elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charged {
    /// The key.
    pub key: KeyId,
    /// What it took.
    pub cost: Cost,
}

/// What came of probing a model.
#[derive(Debug, Default)]
pub struct Probed {
    /// What was found out, a result per kind that was asked for.
    pub results: Vec<ProbeResult>,
    /// The calls that were made.
    pub calls: Vec<Charged>,
    /// What each call's answer was taken for.
    pub classes: Vec<OutcomeClass>,
    /// Signs of life or of death, of each call that gave one.
    pub signs: Vec<Sign>,
    /// Why something was not asked.
    pub held_back: Option<HeldBack>,
}

/// The kinds that are worth asking: those of `wanted` of which nothing holds, without what the model's list rules out.
pub fn open_kinds(
    wanted: &[ProbeKind],
    facts: Option<&ModelFacts>,
    known: &[ProbeResult],
    now: UnixMs,
) -> Vec<ProbeKind> {
    let lacks_text = facts.and_then(|facts| facts.output).is_some_and(|kinds| !kinds.has(Modality::Text));
    let lacks_images = facts.and_then(|facts| facts.input).is_some_and(|kinds| !kinds.has(Modality::Image));
    let holds = |kind| known.iter().any(|result| result.kind == kind && result.holds(now));
    let ruled_out = |kind| lacks_text || kind == ProbeKind::Vision && lacks_images;
    let is_open = |kind: &ProbeKind| !ruled_out(*kind) && !holds(*kind);
    ProbeKind::ALL.iter().copied().filter(|kind| wanted.contains(kind)).filter(is_open).collect()
}

/// How many calls these kinds take, if nothing has to be asked twice.
pub fn call_count(kinds: &[ProbeKind]) -> usize {
    questions(kinds, Picture::of(0)).len()
}

/// What has to be asked; an answer to the first question tells about reasoning as well.
fn questions(kinds: &[ProbeKind], picture: Picture) -> Vec<Question> {
    let has = |kind| kinds.contains(&kind);
    [
        (has(ProbeKind::Stream) || has(ProbeKind::Reasoning), Question::Stream),
        (has(ProbeKind::Tools), Question::Tools { required: true }),
        (has(ProbeKind::Json), Question::Json { schema: false }),
        (has(ProbeKind::Vision), Question::Vision(picture)),
    ]
    .into_iter()
    .filter_map(|(wanted, question)| wanted.then_some(question))
    .collect()
}

fn kind_of(question: Question) -> ProbeKind {
    match question {
        Question::Stream => ProbeKind::Stream,
        Question::Tools { .. } => ProbeKind::Tools,
        Question::Json { .. } => ProbeKind::Json,
        Question::Vision(_) => ProbeKind::Vision,
    }
}

/// What is left to probes of a key's daily quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Of whom the quota is.
    pub scope: LimitScope,
    /// Calls that it allows in its whole time.
    pub max: u64,
    /// What is used of it.
    pub used: u64,
    /// Calls that probes may still make in these 24 hours.
    pub left: u64,
}

impl Prober<'_> {
    /// Finds out about a model, and saves it. `random` chooses the picture. Calls that were made beside the dispatcher of a
    /// running server have to be reported to it ([`Probed::calls`]). Dropping the future cancels the call that is under way;
    /// it stays charged.
    ///
    /// # Errors
    /// The database.
    pub async fn probe(
        &self,
        subject: &Subject<'_>,
        kinds: &[ProbeKind],
        random: u32,
    ) -> StorageResult<Probed> {
        let mut probed = Probed::default();
        let mut dialect = Dialect::default();
        let mut reasoned = None;
        for question in questions(kinds, Picture::of(random)) {
            let kind = kind_of(question);
            let mut result = self.result(subject, kind);
            let mut next = Some(question);
            let mut goes_on = true;
            for _ in 0..MOST_WAYS {
                let Some(question) = next.take() else { break };
                let asked = match self.ask(subject, question, dialect, &mut probed).await? {
                    Ok(asked) => asked,
                    Err(held_back) => {
                        probed.held_back = Some(held_back);
                        result.detail = held_back.text().to_owned();
                        goes_on = false;
                        break;
                    }
                };
                probed.classes.push(asked.class);
                probed.signs.extend(match (asked.class, asked.fault) {
                    (OutcomeClass::Success, _) => Some(Sign::Answered),
                    (_, Some(ModelFault::Failed)) => Some(Sign::Failed),
                    (_, Some(ModelFault::Gone)) => Some(Sign::Refused),
                    (_, None) => None,
                });
                result.duration_ms = result.duration_ms.saturating_add(asked.duration_ms);
                reasoned = match (reasoned, asked.reasoned) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (known, new) => new.or(known),
                };
                match asked.finding {
                    Finding::Shows(verdict, detail) => {
                        (result.verdict, result.detail) = (verdict, detail);
                        (result.first_token_ms, result.tokens_per_second) =
                            (asked.first_token_ms, asked.tokens_per_second);
                        // Who is limited, slow or gone now will be so at the next question.
                        goes_on = verdict != ProbeVerdict::Unclear || asked.class == OutcomeClass::Success;
                    }
                    Finding::Again(another, learned) => {
                        "asked in several ways, and refused in each".clone_into(&mut result.detail);
                        dialect = learned;
                        next = Some(another);
                    }
                }
            }
            if kind != ProbeKind::Stream || kinds.contains(&kind) || result.verdict == ProbeVerdict::Ok {
                probed.results.push(result);
            }
            if !goes_on {
                break;
            }
        }
        self.add_reasoning(subject, kinds, reasoned, &mut probed);
        let now = self.clock.now();
        for kind in kinds {
            if !probed.results.iter().any(|result| result.kind == *kind) {
                let detail = match probed.held_back {
                    Some(held_back) => held_back.text(),
                    None => "not asked: the call before it told nothing",
                };
                probed.results.push(ProbeResult { detail: detail.into(), ..self.result(subject, *kind) });
            }
        }
        probed.results.sort_by_key(|result| result.kind);
        // What was not asked is no result.
        let told: Vec<ProbeResult> =
            probed.results.iter().filter(|result| result.duration_ms > 0).cloned().collect();
        self.db.save_probes(&told).await?;
        let channel = subject.entry.channel.id;
        let answered = probed.signs.contains(&Sign::Answered);
        if answered || probed.signs.contains(&Sign::Refused) {
            self.db.note_model_answer(channel, subject.model, answered, now).await?;
        }
        Ok(probed)
    }

    /// Takes note of what the calls say of the model's life, for the chains. Whoever asks dead models does so himself.
    ///
    /// # Errors
    /// The database.
    pub async fn note_life(&self, subject: &Subject<'_>, probed: &Probed) -> StorageResult<()> {
        // The last call tells; those before it were part of the same finding out.
        if let Some(sign) = probed.signs.last() {
            let (channel, now) = (subject.entry.channel.id, self.clock.now());
            self.db.note_model_sign(channel, subject.model, *sign, now).await?;
        }
        Ok(())
    }

    fn result(&self, subject: &Subject<'_>, kind: ProbeKind) -> ProbeResult {
        ProbeResult {
            channel: subject.entry.channel.id,
            model: subject.model.to_owned(),
            kind,
            verdict: ProbeVerdict::Unclear,
            at: self.clock.now(),
            duration_ms: 0,
            first_token_ms: None,
            tokens_per_second: None,
            detail: String::new(),
            source: ProbeSource::Probe,
        }
    }

    /// Reasoning that was seen counts, whatever was asked; that none was seen only if somebody wanted to know.
    fn add_reasoning(
        &self,
        subject: &Subject<'_>,
        kinds: &[ProbeKind],
        reasoned: Option<bool>,
        probed: &mut Probed,
    ) {
        let (verdict, detail) = match reasoned {
            Some(true) => (ProbeVerdict::Ok, ""),
            Some(false) if kinds.contains(&ProbeKind::Reasoning) => {
                (ProbeVerdict::Not, "no reasoning was shown unasked")
            }
            _ => return,
        };
        let duration_ms = probed.results.iter().map(|result| result.duration_ms).max().unwrap_or(1);
        probed.results.push(ProbeResult {
            verdict,
            detail: detail.to_owned(),
            duration_ms,
            ..self.result(subject, ProbeKind::Reasoning)
        });
    }

    /// One call, with the key that has most left.
    async fn ask(
        &self,
        subject: &Subject<'_>,
        question: Question,
        dialect: Dialect,
        probed: &mut Probed,
    ) -> StorageResult<Result<Asked, HeldBack>> {
        let Subject { entry, provider, model, timeouts } = *subject;
        let channel = entry.channel.id;
        let since = self.clock.now() - DAY;
        let made = self.db.probe_calls(channel, since).await?;
        let mut held_back = HeldBack::NoKey;
        for key in self.keys_by_room(entry, model) {
            let shares = self.shares_of(entry, key, model, &made);
            if shares.iter().any(|share| share.left == 0) {
                held_back = HeldBack::Share;
                continue;
            }
            let Ok(permit) = self.dispatch.try_key(channel, model, key.id, COST) else {
                held_back = if held_back == HeldBack::Share { held_back } else { HeldBack::Limit };
                continue;
            };
            let Some(mut permit) = permit else { continue };
            let now = self.clock.now();
            let call = ProbeCall { at: now, channel, key: key.id, model: model.to_owned() };
            let allows = |made: &[ProbeCall]| {
                self.shares_of(entry, key, model, made).iter().all(|share| share.left > 0)
            };
            if !self.db.take_probe_call(&call, since, allows).await? {
                held_back = HeldBack::Share;
                continue;
            }
            permit.sent();
            permit.used(COST);
            let asker = Asker {
                clients: self.clients,
                channel: &entry.channel,
                provider,
                key: &key.secret,
                timeouts,
                now,
            };
            let asked = asker.ask(model, question, dialect).await;
            let cost = asked.usage.map_or(COST, |usage| {
                let tokens = usage.prompt.saturating_add(usage.completion);
                Cost { input_tokens: usage.prompt, tokens, most_tokens: tokens, units: 0 }
            });
            permit.used(cost);
            if let Some((accepted, observed)) = &asked.observed {
                permit.answered(*accepted, observed);
            }
            probed.calls.push(Charged { key: key.id, cost });
            return Ok(Ok(asked));
        }
        Ok(Err(held_back))
    }

    /// The keys that are on and do not rest for this model, the one with most left of its tightest quota first.
    fn keys_by_room<'e>(&self, entry: &'e ChannelEntry, model: &str) -> Vec<&'e Arc<Key>> {
        self.dispatch.know(entry.channel.id, model);
        let now = self.dispatch.now();
        let mut pool = self.dispatch.lock();
        let mut keys: Vec<(u64, &Arc<Key>)> = Vec::new();
        for key in entry.keys.iter().filter(|key| key.enabled) {
            let rests = |scope: &Scope| pool.rests().active(scope, now.steady).is_some();
            let mut scopes = vec![
                Scope::Key(key.id),
                Scope::Channel(entry.channel.id),
                Scope::KeyModel(key.id, model.to_owned()),
            ];
            if let Some(group) = &key.quota_group {
                scopes.push(Scope::Group(entry.channel.id, group.clone()));
                scopes.push(Scope::GroupModel(entry.channel.id, group.clone(), model.to_owned()));
            }
            if scopes.iter().any(rests) {
                continue;
            }
            if keys.len() >= MOST_KEYS {
                break;
            }
            let readings = pool.readings_of_channel(entry.channel.id, Some(key.id), now);
            let room = readings
                .iter()
                .filter(|(scope, reading)| counts(scope, entry, key, model) && is_of_calls(reading))
                .map(|(_, reading)| reading.max.saturating_sub(reading.used))
                .min();
            keys.push((room.unwrap_or(u64::MAX), key));
        }
        keys.sort_by_key(|(room, _)| std::cmp::Reverse(*room));
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// The daily quotas that a call with this key counts for, and what is left of each to probes that have made these calls
    /// in the last 24 hours.
    pub fn shares_of(&self, entry: &ChannelEntry, key: &Key, model: &str, made: &[ProbeCall]) -> Vec<Share> {
        self.dispatch.know(entry.channel.id, model);
        let now = self.dispatch.now();
        let readings = self.dispatch.lock().readings_of_channel(entry.channel.id, Some(key.id), now);
        let daily = readings.into_iter().filter(|(scope, reading)| {
            counts(scope, entry, key, model) && reading.metric == Metric::Requests
        });
        daily
            .filter_map(|(scope, reading)| {
                let span_ms = reading.window.span_ms().filter(|ms| *ms >= LEAST_DAY_MS)?;
                // Of a month's quota a day has its part.
                let day_ms = DAY.as_millis() as u64;
                let of_a_day = u128::from(reading.max) * u128::from(day_ms) / u128::from(span_ms.max(day_ms));
                let share = u64::try_from(of_a_day * u128::from(self.percent) / 100).unwrap_or(u64::MAX);
                let of_scope = |call: &&ProbeCall| {
                    let its = entry.keys.iter().find(|key| key.id == call.key);
                    its.is_some_and(|its| counts(&scope, entry, its, &call.model))
                };
                let used_by_probes = made.iter().filter(of_scope).count() as u64;
                let left = share.saturating_sub(used_by_probes);
                Some(Share { scope, max: reading.max, used: reading.used, left })
            })
            .collect()
    }

    /// The quota that leaves the fewest calls to probes of this model, with the key that has most of it: what a probe would
    /// be charged to. `Err`: no key could be asked. `Ok(None)`: no daily quota is known.
    ///
    /// # Errors
    /// The database.
    pub async fn tightest_share(
        &self,
        entry: &ChannelEntry,
        model: &str,
    ) -> StorageResult<Result<Option<Share>, HeldBack>> {
        let made = self.db.probe_calls(entry.channel.id, self.clock.now() - DAY).await?;
        let keys = self.keys_by_room(entry, model);
        if keys.is_empty() {
            return Ok(Err(HeldBack::NoKey));
        }
        let of_keys = keys.into_iter().map(|key| {
            let shares = self.shares_of(entry, key, model, &made);
            shares.into_iter().min_by_key(|share| share.left)
        });
        let mut best: Option<Share> = None;
        for share in of_keys {
            match share {
                None => return Ok(Ok(None)),
                Some(share) if best.as_ref().is_none_or(|best| best.left < share.left) => best = Some(share),
                Some(_) => {}
            }
        }
        Ok(Ok(best))
    }
}

/// Whether a limit counts calls over some time.
fn is_of_calls(reading: &Reading) -> bool {
    reading.metric == Metric::Requests && reading.window.span_ms().is_none_or(|ms| ms >= LEAST_DAY_MS)
}

/// Whether a call of a model with a key counts for a limit.
fn counts(scope: &LimitScope, entry: &ChannelEntry, key: &Key, model: &str) -> bool {
    let here = |channel: &ChannelId| *channel == entry.channel.id;
    let of_group = |group: &String| key.quota_group.as_ref() == Some(group);
    match scope {
        LimitScope::Key(id) => *id == key.id,
        LimitScope::Group(channel, group) => here(channel) && of_group(group),
        LimitScope::KeyModel(id, its) => *id == key.id && its == model,
        LimitScope::GroupModel(channel, group, its) => here(channel) && of_group(group) && its == model,
        LimitScope::Model(channel, its) => here(channel) && its == model,
        LimitScope::Channel(channel) => here(channel),
        LimitScope::Models(whole, models) => models.fits(model) && counts(whole, entry, key, model),
    }
}
