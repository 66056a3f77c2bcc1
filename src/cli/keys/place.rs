//! Finds out where keys belong, adds them there, and makes the channels that are missing.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    cli::{
        Failure,
        output::{Cell, Look, Table},
        session::Session,
    },
    discovery::{
        Choice, RefreshFailure,
        accounts::{self, Question, Told},
        offer_listed, summary,
    },
    i18n::Messages,
    model::{
        catalog::Catalog,
        id::{ChannelId, KeyId},
        key::PastedKey,
        limit::Limit,
        secret::Secret,
    },
    pool::{
        account::Accounts,
        preset::{self, Hint, channel_of, holder, name_of},
        upkeep::patient_timeouts,
    },
    provider::{Provider, Providers},
    storage::{StorageError, keys::KeyAdded},
};

/// A key that came, and what is known of it so far.
pub struct Arrival {
    /// The line of its source, from 1, or its place among the sources.
    pub line: usize,
    /// A name for it; may be empty.
    pub label: String,
    /// Itself, or why it is none.
    pub secret: Result<Secret, String>,
    /// Where it is to go.
    pub goal: Goal,
    /// The quota group to put it in.
    pub group: Option<String>,
    /// What it may do by itself.
    pub limits: Vec<Limit>,
}

/// Where a key is to go.
#[derive(Clone)]
pub enum Goal {
    /// To this channel.
    Channel(ChannelId),
    /// To the channel of this provider, which is made if there is none.
    Provider(Arc<Provider>),
    /// Nobody knows; the reason, in a sentence.
    Unknown(String),
}

impl Goal {
    /// Where a key's form or the variable that it stood in says that it belongs.
    pub fn told_by(providers: &Providers, label: &str, secret: &Secret, m: Messages) -> Self {
        match &preset::owners(providers, Hint { label, key: secret })[..] {
            [one] => Self::Provider((*one).clone()),
            [] => Self::Unknown(m.onboarding.not_recognised().to_owned()),
            several => {
                let names: Vec<&str> = several.iter().map(|provider| name_of(provider, m.lang)).collect();
                let ids: Vec<&str> = several.iter().map(|provider| provider.id.as_str()).collect();
                Self::Unknown(m.onboarding.recognised_several(&names.join(", "), &ids.join(", ")))
            }
        }
    }
}

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It was added, or is to be.
    Added,
    /// It is there already.
    Known,
    /// It was not added; why.
    Refused(String),
}

/// A key and where it went.
pub struct Placed {
    /// See [`Arrival::line`].
    pub line: usize,
    /// Its name; may be empty.
    pub label: String,
    /// Its last characters; empty if that would tell too much, or if it is none.
    pub last4: String,
    /// The provider's name, if it is known.
    pub provider: Option<String>,
    /// The channel's name.
    pub channel: Option<String>,
    /// The channel, if it is there.
    pub channel_id: Option<ChannelId>,
    /// Whether the channel is made for it.
    pub new_channel: bool,
    /// The quota group that the operator gave.
    pub group: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Its id.
    pub key: Option<KeyId>,
    /// What the provider said of it.
    pub told: Option<Told>,
}

/// A channel that was made or got keys, and what the upstream listed for it.
pub struct Filled {
    /// The channel.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// How many models it offers of how many that are listed, if it offered none before; or why there is no list.
    pub models: Option<Result<(usize, usize), String>>,
}

/// Says where each key would go, and changes nothing. Without a catalog nothing is there yet.
pub fn plan(
    catalog: Option<&Catalog>,
    providers: &Providers,
    arrivals: &[Arrival],
    m: Messages,
) -> Vec<Placed> {
    let taken = |name: &str| {
        let folded = name.to_lowercase();
        catalog.is_some_and(|known| known.channels().any(|one| one.channel.name.to_lowercase() == folded))
    };
    let mut seen: Vec<&str> = Vec::new();
    let of = |arrival: &Arrival, seen: &[&str]| {
        let mut placed = Placed {
            line: arrival.line,
            label: arrival.label.clone(),
            last4: arrival.secret.as_ref().map(Secret::last4).unwrap_or_default(),
            provider: None,
            channel: None,
            channel_id: None,
            new_channel: false,
            group: arrival.group.clone(),
            fate: Fate::Added,
            key: None,
            told: None,
        };
        let secret = match &arrival.secret {
            Ok(secret) => secret,
            Err(problem) => {
                placed.fate = Fate::Refused(problem.clone());
                return placed;
            }
        };
        let entry = |id: ChannelId| catalog.and_then(|catalog| catalog.channel(id));
        let target = match &arrival.goal {
            Goal::Unknown(_) | Goal::Provider(_) => {
                if let Some((entry, key)) = catalog.and_then(|catalog| holder(catalog, secret)) {
                    placed.key = Some(key.id);
                    placed.fate = Fate::Known;
                    Some(entry)
                } else if let Goal::Provider(provider) = &arrival.goal {
                    catalog.and_then(|catalog| channel_of(catalog, &provider.id))
                } else {
                    None
                }
            }
            Goal::Channel(id) => entry(*id),
        };
        if let Some(entry) = target {
            let provider = providers.of(&entry.channel.provider);
            placed.provider = Some(name_of(provider, m.lang).to_owned());
            placed.channel = Some(entry.channel.name.clone());
            placed.channel_id = Some(entry.channel.id);
            let known = entry.keys.iter().find(|key| key.secret.expose() == secret.expose());
            if let Some(key) = known {
                placed.key = Some(key.id);
                placed.fate = Fate::Known;
            }
        } else {
            match &arrival.goal {
                Goal::Unknown(why) => placed.fate = Fate::Refused(why.clone()),
                Goal::Channel(_) => placed.fate = Fate::Refused(m.onboarding.channel_gone().to_owned()),
                Goal::Provider(provider) => {
                    placed.provider = Some(name_of(provider, m.lang).to_owned());
                    match preset::new_channel(provider, providers, taken, m) {
                        Ok(new) => {
                            placed.channel = Some(new.name);
                            placed.new_channel = true;
                        }
                        Err(why) => {
                            let example = format!("onepool channels add --provider {}", provider.id);
                            placed.fate = Fate::Refused(m.onboarding.channel_first(&why, &example));
                        }
                    }
                }
            }
        }
        if placed.fate == Fate::Added && seen.contains(&secret.expose()) {
            placed.fate = Fate::Known;
        }
        placed
    };
    let mut all = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        all.push(of(arrival, &seen));
        seen.extend(arrival.secret.as_ref().ok().map(Secret::expose));
    }
    all
}

/// Adds the keys, makes the channels that are missing, and asks the providers whose the new keys are, where asking costs
/// nothing. The results stand in the order of the arrivals.
pub async fn place(session: &Session, arrivals: &[Arrival]) -> Result<Vec<Placed>, Failure> {
    let (m, providers) = (session.m, session.providers.load());
    let mut all = plan(Some(&*session.catalog().await?), &providers, arrivals, m);
    let mut made: BTreeMap<String, ChannelId> = BTreeMap::new();
    for (placed, arrival) in all.iter_mut().zip(arrivals) {
        let (true, Goal::Provider(provider)) =
            (placed.new_channel && placed.fate == Fate::Added, &arrival.goal)
        else {
            continue;
        };
        let id = match made.get(&provider.id) {
            Some(id) => *id,
            None => {
                let catalog = session.catalog().await?;
                let taken = |name: &str| {
                    let folded = name.to_lowercase();
                    catalog.channels().any(|one| one.channel.name.to_lowercase() == folded)
                };
                let new = preset::new_channel(provider, &providers, taken, m).map_err(Failure::Text)?;
                let id = match session.db.create_channel(&new).await {
                    Ok(id) => id,
                    Err(StorageError::Taken(_)) => {
                        return Err(Failure::Text(m.common.field_taken().to_owned()));
                    }
                    Err(error) => return Err(error.into()),
                };
                placed.channel = Some(new.name);
                made.insert(provider.id.clone(), id);
                id
            }
        };
        placed.channel_id = Some(id);
    }
    add(session, arrivals, &mut all).await?;
    learn(session, &mut all).await?;
    Ok(all)
}

async fn add(session: &Session, arrivals: &[Arrival], all: &mut [Placed]) -> Result<(), Failure> {
    let mut by_channel: BTreeMap<ChannelId, Vec<usize>> = BTreeMap::new();
    for (place, placed) in all.iter().enumerate() {
        if let (Fate::Added, Some(id)) = (&placed.fate, placed.channel_id) {
            by_channel.entry(id).or_default().push(place);
        }
    }
    for (id, places) in by_channel {
        let key = |place: &usize| {
            let arrival = &arrivals[*place];
            Some(PastedKey {
                label: arrival.label.clone(),
                secret: arrival.secret.as_ref().ok()?.clone(),
                quota_group: arrival.group.clone(),
                limits: arrival.limits.clone(),
                budget: None,
            })
        };
        let keys: Vec<PastedKey> = places.iter().filter_map(key).collect();
        let added = session.db.add_keys(id, &keys).await?;
        for (place, added) in places.into_iter().zip(added) {
            match added {
                KeyAdded::Added(key) => all[place].key = Some(key),
                KeyAdded::Duplicate => all[place].fate = Fate::Known,
            }
        }
    }
    Ok(())
}

/// Asks the providers about the keys that were added.
async fn learn(session: &Session, all: &mut [Placed]) -> Result<(), Failure> {
    let catalog = session.catalog().await?;
    let (dispatch, _) = session.dispatch(&catalog).await?;
    let (clients, providers) = (session.clients(), session.providers.load());
    for entry in catalog.channels() {
        let new = |placed: &&Placed| {
            placed.channel_id == Some(entry.channel.id) && placed.fate == Fate::Added && placed.told.is_none()
        };
        let keys: Vec<KeyId> = all.iter().filter(new).filter_map(|placed| placed.key).collect();
        if keys.is_empty() {
            continue;
        }
        let question = Question {
            entry,
            provider: providers.of(&entry.channel.provider),
            keys: &keys,
            timeouts: patient_timeouts(&catalog, &entry.channel),
            now: session.now(),
        };
        for told in accounts::learn(&session.db, &clients, &dispatch, question).await? {
            if let Some(placed) = all.iter_mut().find(|placed| placed.key == Some(told.key)) {
                placed.told = Some(told);
            }
        }
    }
    Ok(())
}

/// Gives channels that offer no model yet what their upstreams list, or a choice of it. A list that does not come is told, and changes nothing.
pub async fn fill(session: &Session, channels: &[ChannelId], choice: Choice) -> Result<Vec<Filled>, Failure> {
    let catalog = session.catalog().await?;
    let (clients, providers) = (session.clients(), session.providers.load());
    let mut filled = Vec::new();
    for entry in channels.iter().filter_map(|id| catalog.channel(*id)) {
        let channel = &entry.channel;
        let mut models = None;
        if channel.models.is_empty() && channel.redirects.is_empty() {
            let timeouts = patient_timeouts(&catalog, channel);
            let provider = providers.of(&channel.provider);
            let now = session.now();
            let offered = offer_listed(&session.db, &clients, entry, provider, timeouts, choice, now).await;
            models = match offered {
                Ok(offered) => Some(Ok((offered.offered, offered.listed))),
                Err(RefreshFailure::Storage(error)) => return Err(error.into()),
                Err(RefreshFailure::Fetch(failure)) => Some(Err(summary(&failure))),
                Err(RefreshFailure::NoKey) => None,
            };
        }
        filled.push(Filled { id: channel.id, name: channel.name.clone(), models });
    }
    Ok(filled)
}

/// What is to be known of the accounts of channels' keys, each sentence with its channel's name in front.
pub async fn account_texts(session: &Session, channels: &[ChannelId]) -> Result<Vec<String>, Failure> {
    let (catalog, providers) = (session.catalog().await?, session.providers.load());
    let of = |id: &ChannelId| {
        let entry = catalog.channel(*id)?;
        let provider = providers.of(&entry.channel.provider);
        let texts = Accounts::of(entry, provider).texts(provider, session.m);
        Some(texts.into_iter().map(|text| format!("{}: {text}", entry.channel.name)).collect::<Vec<_>>())
    };
    Ok(channels.iter().filter_map(of).flatten().collect())
}

impl Placed {
    /// The result in a word, for programs.
    pub fn word(&self) -> &'static str {
        match self.fate {
            Fate::Added => "added",
            Fate::Known => "duplicate",
            Fate::Refused(_) => "refused",
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let told = self.told.as_ref();
        json!({
            "line": self.line,
            "label": self.label,
            "last4": self.last4,
            "provider": self.provider,
            "channel": self.channel,
            "new_channel": self.new_channel,
            "result": self.word(),
            "key_id": self.key,
            "account": told.and_then(|told| told.check.account.clone()),
            "quota_group": told.and_then(|told| told.group.clone()).or_else(|| self.group.clone()),
            "verdict": told.map(|told| told.check.verdict),
            "message": match &self.fate { Fate::Refused(why) => Some(why), _ => None },
        })
    }

    /// The result in words, and how it looks.
    pub fn result(&self, m: Messages) -> (String, Look) {
        let (c, t) = (m.channels, m.onboarding);
        match (&self.fate, &self.told) {
            (Fate::Refused(why), _) => (why.clone(), Look::Bad),
            (Fate::Known, _) => (c.paste_duplicate().to_owned(), Look::Plain),
            (Fate::Added, Some(told)) if told.is_refused() => (t.added_refused().to_owned(), Look::Bad),
            (Fate::Added, Some(told)) => {
                let mut text = c.paste_added().to_owned();
                if let Some(group) = &told.group {
                    text.push_str(&t.joined_account(group));
                }
                (text, Look::Good)
            }
            (Fate::Added, None) => (c.paste_added().to_owned(), Look::Good),
        }
    }
}

/// The keys as a table.
pub fn table(all: &[Placed], m: Messages) -> String {
    let (c, t) = (m.channels, m.onboarding);
    let mut table =
        Table::new([c.paste_line(), m.terminal.id(), c.label(), c.key(), m.log.channel(), c.paste_result()]);
    for placed in all {
        let (text, look) = placed.result(m);
        let channel = placed.channel.clone().unwrap_or_default();
        table.row([
            Cell::number(placed.line.to_string()),
            Cell::number(placed.key.map(|key| key.to_string()).unwrap_or_default()),
            Cell::text(&placed.label),
            Cell::text(if placed.last4.is_empty() { String::new() } else { format!("…{}", placed.last4) }),
            Cell::text(if placed.new_channel { t.channel_new(&channel) } else { channel }),
            Cell::text(text).look(look),
        ]);
    }
    table.draw()
}

/// How many were added, were known, and were refused.
pub fn counts(all: &[Placed]) -> [usize; 3] {
    let count = |word: &str| all.iter().filter(|placed| placed.word() == word).count();
    [count("added"), count("duplicate"), count("refused")]
}

/// The channels that keys were added to, each once.
pub fn touched(all: &[Placed]) -> Vec<ChannelId> {
    let mut ids: Vec<ChannelId> = all
        .iter()
        .filter(|placed| placed.fate == Fate::Added)
        .filter_map(|placed| placed.channel_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a channel has got, in a sentence; nothing if it had models before.
pub fn filled_text(filled: &Filled, m: Messages) -> Option<String> {
    let t = m.onboarding;
    Some(match filled.models.as_ref()? {
        Ok((offered, listed)) if offered == listed => t.offers_all(&filled.name, *offered),
        Ok((offered, listed)) => t.offers_free(&filled.name, *offered, *listed),
        Err(why) => t.offers_nothing(&filled.name, why),
    })
}
