//! What is between the pool as it is and a pool file. Pure: no database, no clock, no randomness.

mod chains;
mod changes;

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    file::{PoolChannel, PoolFile, PoolToken, folded},
    input::{ChannelInput, Faults, KeyInput, PlainSecret, TokenInput, check_token_value},
    secrets::{Meaning, meaning},
    upkeep::sends_secrets_elsewhere,
};
use crate::{
    i18n::Messages,
    model::{
        channel::Channel,
        id::TokenId,
        key::Key,
        secret::{Secret, SecretHash},
        time::UnixMs,
        token::Token,
    },
    provider::{Provider, Providers},
    storage::pool::{ChannelChange, PoolChange, PoolState, TokenChange},
};
pub use changes::FieldChange;
use changes::{channel_changes, compare_objects, json_of, key_changes};

/// What would be done, in order. Secrets are not in it, except for their last four characters.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Plan {
    /// The steps; none means that the pool is already as the file says.
    pub steps: Vec<Step>,
    /// The same for the database.
    #[serde(skip)]
    pub(super) change: PoolChange,
    /// The version of the pool that this was made for.
    #[serde(skip)]
    pub(super) version: i64,
}

impl Plan {
    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One thing that is added, changed or removed.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// To what.
    pub kind: Kind,
    /// The name of the channel, chain or token; of a key its last four characters and its label.
    pub name: String,
    /// The channel that a key belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The fields that change; empty if the thing is added or removed.
    pub changes: Vec<FieldChange>,
    /// What to know about it, in the reader's language.
    pub notes: Vec<String>,
    /// Whether the channel's present keys or headers would be sent to another host, or by way of another proxy. Who applies a file in
    /// another's name should ask for a confirmation of that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sends_keys_elsewhere: bool,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there yet.
    Add,
    /// It is there, and not as the file says.
    Change,
    /// It is there, and not in the file.
    Remove,
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A channel, with its models and redirects.
    Channel,
    /// A key of a channel.
    Key,
    /// A chain.
    Chain,
    /// A token.
    Token,
}

/// What must happen so that the pool becomes as `file` says; with `prune` also that what it does not declare goes.
/// Otherwise the faults, at the file's fields.
pub fn difference(
    state: &PoolState,
    file: &PoolFile,
    prune: bool,
    providers: &Providers,
    t: Messages,
) -> Result<Plan, Faults> {
    planned(Planner::new(state, Some(providers), t), file, prune)
}

/// What is wrong with a file, whatever the pool is like. Secrets that are not in their places are believed to be right,
/// and providers to exist.
pub fn faults(file: &PoolFile, t: Messages) -> Faults {
    planned(Planner::new(&PoolState::default(), None, t), file, false).err().unwrap_or_default()
}

fn planned(mut planner: Planner<'_>, file: &PoolFile, prune: bool) -> Result<Plan, Faults> {
    let state = planner.state;
    planner.faults = file.repetitions(planner.t);
    let channels: HashMap<String, &(Channel, Vec<Key>)> =
        state.channels.iter().map(|channel| (folded(&channel.0.name), channel)).collect();
    for (position, channel) in file.channels.iter().enumerate() {
        let known = channels.get(&folded(&channel.channel.name)).copied();
        planner.channel(&format!("channels[{position}]"), channel, known, prune);
    }
    planner.chains(file, prune);
    let tokens: HashMap<String, &Token> =
        state.tokens.iter().map(|token| (folded(&token.name), token)).collect();
    for (position, token) in file.tokens.iter().enumerate() {
        let known = tokens.get(&folded(&token.token.name)).copied();
        planner.token(&format!("tokens[{position}]"), token, known);
    }
    if prune {
        planner.prune(file);
    }
    planner.check_values(file);
    planner.faults.or(planner.plan)
}

struct Planner<'a> {
    state: &'a PoolState,
    /// The providers that channels may name; `None` if nothing is known of the pool either.
    providers: Option<&'a Providers>,
    t: Messages,
    faults: Faults,
    plan: Plan,
}

impl<'a> Planner<'a> {
    fn new(state: &'a PoolState, providers: Option<&'a Providers>, t: Messages) -> Self {
        let plan = Plan { version: state.version, ..Plan::default() };
        Self { state, providers, t, faults: Faults::default(), plan }
    }

    fn step(&mut self, action: Action, kind: Kind, name: impl Into<String>) -> &mut Step {
        self.plan.steps.push(Step {
            action,
            kind,
            name: name.into(),
            channel: None,
            changes: Vec::new(),
            notes: Vec::new(),
            sends_keys_elsewhere: false,
        });
        let last = self.plan.steps.len() - 1;
        &mut self.plan.steps[last]
    }

    /// Takes the faults of one entry over, with the entry's path in front.
    fn note(&mut self, path: &str, faults: Faults) {
        for fault in faults.0 {
            self.faults.add(format!("{path}.{}", fault.field), fault.message);
        }
    }

    /// The secret itself, ready to be checked; faults give an empty one.
    fn secret(&mut self, field: String, given: &PlainSecret, known: Option<&Secret>) -> PlainSecret {
        match (meaning(given), known) {
            (Meaning::Literal(secret), _) => return PlainSecret(secret),
            // This does as a header, a proxy and a key.
            _ if self.providers.is_none() => return PlainSecret::new("http://unknown"),
            (Meaning::Keep, Some(known)) => return PlainSecret(known.clone()),
            (Meaning::Keep, None) => self.faults.add(field, self.t.pool_file.nothing_to_keep()),
            (Meaning::Elsewhere, _) => self.faults.add(field, self.t.pool_file.not_resolved()),
        }
        PlainSecret::new("")
    }

    fn channel(&mut self, path: &str, given: &PoolChannel, known: Option<&(Channel, Vec<Key>)>, prune: bool) {
        let faults_before = self.faults.0.len();
        let (known, known_keys) = match known {
            Some((channel, keys)) => (Some(channel), keys.as_slice()),
            None => (None, &[][..]),
        };
        let mut wanted = given.channel.clone();
        for (name, value) in &mut wanted.headers {
            let kept = known.and_then(|channel| {
                channel
                    .headers
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value)
            });
            *value = self.secret(format!("{path}.headers.{name}"), value, kept);
        }
        if let Some(proxy) = &wanted.proxy {
            let kept = known.and_then(|channel| channel.proxy.as_ref());
            wanted.proxy = Some(self.secret(format!("{path}.proxy"), proxy, kept));
        }
        // What could not be found was told already; a second fault at its field would only confuse.
        let mut seen: HashSet<String> =
            self.faults.0[faults_before..].iter().map(|fault| fault.field.clone()).collect();
        let new = match wanted.check(known, self.providers, self.t) {
            Ok(new) => Some(new),
            Err(mut faults) => {
                faults.0.retain(|fault| seen.insert(format!("{path}.{}", fault.field)));
                self.note(path, faults);
                None
            }
        };
        let provider = new.as_ref().zip(self.providers).map(|(new, known)| known.of(&new.provider).clone());
        let keys = self.keys(path, given.keys.as_deref(), known_keys, provider.as_deref(), prune);
        let (Some(new), Some(keys)) = (new, keys) else { return };

        let mut change = ChannelChange { id: known.map(|channel| channel.id), ..ChannelChange::default() };
        let name = &given.channel.name;
        match known {
            None => {
                let note = self.t.pool_file.new_channel(&new.base_url, new.models.len(), keys.len());
                self.step(Action::Add, Kind::Channel, name).notes.push(note);
                change.write = Some(new);
            }
            Some(channel) => {
                let after = new.clone().with_id(channel.id);
                let changes = channel_changes(&ChannelInput::of(channel), &ChannelInput::of(&after));
                if !changes.is_empty() {
                    let moves = sends_secrets_elsewhere(channel, !known_keys.is_empty(), &new);
                    let note = self.t.pool_file.keys_follow().to_owned();
                    let step = self.step(Action::Change, Kind::Channel, &channel.name);
                    step.changes = changes;
                    if moves {
                        step.sends_keys_elsewhere = true;
                        step.notes.push(note);
                    }
                    change.write = Some(new);
                }
            }
        }
        for key in keys {
            let step = self.step(key.action, Kind::Key, key_name(&key.last4, &key.label));
            step.channel = Some(name.clone());
            step.changes = key.changes;
            match key.change {
                KeyWrite::Add(pasted, enabled) => change.add_keys.push((pasted, enabled)),
                KeyWrite::Write(key) => change.write_keys.push(key),
                KeyWrite::Erase(id) => change.erase_keys.push(id),
            }
        }
        let nothing = change.write.is_none()
            && change.add_keys.is_empty()
            && change.write_keys.is_empty()
            && change.erase_keys.is_empty();
        if !nothing {
            self.plan.change.channels.push(change);
        }
    }

    /// What happens to a channel's keys; `None` if something is wrong with them.
    fn keys(
        &mut self,
        path: &str,
        given: Option<&[KeyInput]>,
        known: &[Key],
        provider: Option<&Provider>,
        prune: bool,
    ) -> Option<Vec<KeyStep>> {
        let Some(given) = given else { return Some(Vec::new()) };
        let faults_before = self.faults.0.len();
        let by_secret: HashMap<&str, &Key> = known.iter().map(|key| (key.secret.expose(), key)).collect();
        let mut declared = HashSet::new();
        let mut steps = Vec::new();
        for (number, key) in given.iter().enumerate() {
            let path = format!("{path}.keys[{number}]");
            let before = self.faults.0.len();
            let secret = self.secret(format!("{path}.secret"), &key.secret, None);
            if self.faults.0.len() > before {
                continue;
            }
            let key = KeyInput { secret, ..key.clone() };
            let pasted = match key.check("", provider, self.t) {
                Ok(pasted) => pasted,
                Err(faults) => {
                    self.note(&path, faults);
                    continue;
                }
            };
            let last4 = pasted.secret.last4();
            let Some(&present) = by_secret.get(pasted.secret.expose()) else {
                let label = pasted.label.clone();
                let change = KeyWrite::Add(pasted, key.enabled);
                steps.push(KeyStep { action: Action::Add, last4, label, changes: Vec::new(), change });
                continue;
            };
            declared.insert(present.id);
            let after = Key {
                label: pasted.label,
                quota_group: pasted.quota_group,
                enabled: key.enabled,
                limits: pasted.limits,
                budget: pasted.budget,
                ..present.clone()
            };
            let changes = key_changes(present, &after);
            if !changes.is_empty() {
                let label = present.label.clone();
                let change = KeyWrite::Write(after);
                steps.push(KeyStep { action: Action::Change, last4, label, changes, change });
            }
        }
        for key in known.iter().filter(|key| prune && !declared.contains(&key.id)) {
            let (last4, label) = (key.last4.clone(), key.label.clone());
            let change = KeyWrite::Erase(key.id);
            steps.push(KeyStep { action: Action::Remove, last4, label, changes: Vec::new(), change });
        }
        (self.faults.0.len() == faults_before).then_some(steps)
    }

    fn token(&mut self, path: &str, given: &PoolToken, known: Option<&Token>) {
        let faults_before = self.faults.0.len();
        let mut value = None;
        if let Some(text) = &given.value {
            let field = format!("{path}.value");
            match (meaning(text), known) {
                (Meaning::Keep, Some(_)) => {}
                (Meaning::Keep | Meaning::Elsewhere, _) if self.providers.is_none() => {}
                _ => {
                    let secret = self.secret(field.clone(), text, None).0;
                    if self.faults.0.len() == faults_before {
                        if let Err(message) = check_token_value(self.t, secret.expose()) {
                            self.faults.add(field, message);
                        }
                        value = Some(secret);
                    }
                }
            }
        }
        // A file that was right yesterday is still right when a token that it declares has ended.
        let token = match given.token.check(known, UnixMs(i64::MIN), self.t) {
            Ok(token) => token,
            Err(faults) => return self.note(path, faults),
        };
        if self.faults.0.len() > faults_before {
            return;
        }
        let t = self.t.pool_file;
        let Some(known) = known else {
            let note = if value.is_some() { t.value_given() } else { t.value_generated() };
            self.step(Action::Add, Kind::Token, &token.name).notes.push(note.to_owned());
            self.plan.change.tokens.push(TokenChange { token, new: true, write: true, value });
            return;
        };
        let value = value.filter(|value| {
            let hash = SecretHash::of(value.expose());
            let is_present = |(of, id, until): &(SecretHash, TokenId, Option<UnixMs>)| {
                *id == known.id && until.is_none() && *of == hash
            };
            !self.state.credentials.iter().any(is_present)
        });
        let mut changes = Vec::new();
        let (before, after) = (json_of(&TokenInput::of(known)), json_of(&TokenInput::of(&token)));
        compare_objects("", &before, &after, &mut changes);
        let write = !changes.is_empty();
        if !write && value.is_none() {
            return;
        }
        if value.is_some() {
            changes.push(FieldChange::of("value"));
        }
        let note = value.is_some().then(|| t.value_replaced().to_owned());
        let step = self.step(Action::Change, Kind::Token, &known.name);
        step.changes = changes;
        step.notes.extend(note);
        self.plan.change.tokens.push(TokenChange { token, new: false, write, value });
    }

    /// Removes what the file does not declare.
    fn prune(&mut self, file: &PoolFile) {
        let channels: HashSet<String> =
            file.channels.iter().map(|channel| folded(&channel.channel.name)).collect();
        for (channel, keys) in &self.state.channels {
            if !channels.contains(&folded(&channel.name)) {
                let note = self.t.pool_file.with_keys(keys.len());
                self.step(Action::Remove, Kind::Channel, &channel.name).notes.push(note);
                self.plan.change.erase_channels.push(channel.id);
            }
        }
        self.prune_chains(file);
        let tokens: HashSet<String> = file.tokens.iter().map(|token| folded(&token.token.name)).collect();
        for token in &self.state.tokens {
            if !tokens.contains(&folded(&token.name)) {
                let note = self.t.pool_file.refused_at_once().to_owned();
                self.step(Action::Remove, Kind::Token, &token.name).notes.push(note);
                self.plan.change.erase_tokens.push(token.id);
            }
        }
    }

    /// No two tokens can have one value, also not one that is still valid for a while.
    fn check_values(&mut self, file: &PoolFile) {
        let replaced: HashSet<TokenId> = self
            .plan
            .change
            .tokens
            .iter()
            .filter(|change| !change.new && change.value.is_some())
            .map(|change| change.token.id)
            .collect();
        let erased: HashSet<TokenId> = self.plan.change.erase_tokens.iter().copied().collect();
        let mut holders: HashMap<SecretHash, TokenId> = HashMap::new();
        for (hash, id, until) in &self.state.credentials {
            let ends = erased.contains(id) || (until.is_none() && replaced.contains(id));
            if !ends {
                holders.insert(*hash, *id);
            }
        }
        for change in &self.plan.change.tokens {
            let Some(value) = &change.value else { continue };
            let Some(holder) = holders.get(&SecretHash::of(value.expose())) else { continue };
            if !change.new && *holder == change.token.id {
                continue;
            }
            let name = self.state.tokens.iter().find(|token| token.id == *holder);
            let name = name.map_or("", |token| token.name.as_str());
            let position = file.tokens.iter().position(|token| token.token.name == change.token.name);
            self.faults.add(
                format!("tokens[{}].value", position.unwrap_or_default()),
                self.t.pool_file.value_of_another(name),
            );
        }
    }
}

/// What happens to a key.
struct KeyStep {
    action: Action,
    last4: String,
    label: String,
    changes: Vec<FieldChange>,
    change: KeyWrite,
}

enum KeyWrite {
    Add(crate::model::key::PastedKey, bool),
    Write(Key),
    Erase(crate::model::id::KeyId),
}

/// A key as it is shown: `••••abcd (label)`.
pub fn key_name(last4: &str, label: &str) -> String {
    if label.is_empty() { format!("••••{last4}") } else { format!("••••{last4} ({label})") }
}

#[cfg(test)]
mod tests;
