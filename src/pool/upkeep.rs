//! What an operator's act on a channel or key means beyond the row that is written: which rests it ends, how a fetched
//! list of models joins the known one, and when it would send keys elsewhere. Shared by the pages and the admin API.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    model::{
        catalog::{Catalog, ChannelEntry},
        channel::{Channel, ChannelModel, EffectiveTimeouts},
        id::{ChannelId, KeyId},
        key::{CheckKind, CheckStep, Key, KeyCheck},
        time::UnixMs,
    },
    scheduler::rest::{Rest, RestBook, Scope},
    storage::channels::NewChannel,
};

/// The limits for requests that an operator waits for: a minute at most.
pub fn patient_timeouts(catalog: &Catalog, channel: &Channel) -> EffectiveTimeouts {
    const MOST: Duration = Duration::from_secs(60);
    let timeouts = catalog.timeouts(channel);
    EffectiveTimeouts {
        connect: timeouts.connect.min(MOST),
        first_byte: timeouts.first_byte.min(MOST),
        idle: timeouts.idle.min(MOST),
    }
}

/// Whether a change sends the channel's keys, or values of headers that it has already, to another host or by way of
/// another proxy. They are never shown; whoever runs that host or proxy would see them all the same, so such a change
/// needs the operator's password.
pub fn sends_secrets_elsewhere(channel: &Channel, has_keys: bool, new: &NewChannel) -> bool {
    let origin = |base_url: &str| url::Url::parse(base_url).ok().map(|url| url.origin());
    let other_proxy = new.proxy.is_some() && new.proxy != channel.proxy;
    let elsewhere = origin(&channel.base_url) != origin(&new.base_url) || other_proxy;
    // Whoever sends a value knows it, but an equal one may have been taken over without being known.
    let keeps_a_header =
        new.headers.iter().any(|(_, value)| channel.headers.iter().any(|(_, known)| known == value));
    elsewhere && (has_keys || keeps_a_header)
}

/// A chosen part of the upstream's list as a channel's models: those that were there keep their order and details, what
/// was not known of them is filled in, and new ones follow.
pub fn merged_models(channel: &Channel, chosen: Vec<ChannelModel>) -> Vec<ChannelModel> {
    let mut chosen_by_name: HashMap<String, ChannelModel> =
        chosen.iter().map(|model| (model.name.clone(), model.clone())).collect();
    let mut models: Vec<ChannelModel> = channel
        .models
        .iter()
        .filter_map(|old| {
            let new = chosen_by_name.remove(&old.name)?;
            Some(ChannelModel {
                name: new.name,
                context_window: old.context_window.or(new.context_window),
                max_output: old.max_output.or(new.max_output),
                vision: old.vision.or(new.vision),
                tools: old.tools.or(new.tools),
                reasoning: old.reasoning.or(new.reasoning),
                endpoints: if old.endpoints.is_unset() { new.endpoints } else { old.endpoints },
                price: old.price.or(new.price),
                unit_prices: old.unit_prices.clone().or(new.unit_prices),
            })
        })
        .collect();
    models.extend(chosen.into_iter().filter_map(|model| chosen_by_name.remove(&model.name)));
    models
}

/// The upstream names that a test of a key may use, listed models first.
pub fn models_to_check(channel: &Channel) -> Vec<String> {
    let mut names: Vec<String> = channel.models.iter().map(|model| model.name.clone()).collect();
    for redirect in &channel.redirects {
        if !names.contains(&redirect.upstream) {
            names.push(redirect.upstream.clone());
        }
    }
    names
}

/// Whether a key did in a test what calls need, whatever the model list says.
pub fn answered(check: &KeyCheck) -> bool {
    let is_chat = |step: &&CheckStep| matches!(step.kind, CheckKind::Chat | CheckKind::Stream);
    let mut chats = check.steps.iter().filter(is_chat).peekable();
    chats.peek().is_some() && chats.all(|step| step.ok)
}

/// Ends what keeps a key from a model that it has just answered with, but no pause.
pub fn wake(book: &mut RestBook, entry: &ChannelEntry, key: &Key, model: Option<&str>) {
    book.answered(&Scope::Key(key.id));
    book.answered(&Scope::Channel(entry.channel.id));
    if let Some(group) = &key.quota_group {
        book.answered(&Scope::Group(entry.channel.id, group.clone()));
    }
    if let Some(model) = model {
        book.answered(&Scope::KeyModel(key.id, model.to_owned()));
        book.answered(&Scope::ChannelModel(entry.channel.id, model.to_owned()));
        if let Some(group) = &key.quota_group {
            book.answered(&Scope::GroupModel(entry.channel.id, group.clone(), model.to_owned()));
        }
        let of_some = |scope: &Scope| match scope {
            Scope::Models(whole, models) => models.fits(model) && concerns_key(entry, key, whole),
            _ => false,
        };
        let over: Vec<Scope> =
            book.all().map(|(scope, _)| scope).filter(|scope| of_some(scope)).cloned().collect();
        for scope in &over {
            book.answered(scope);
        }
    }
}

/// Whether a scope is part of a channel.
pub fn concerns_channel(entry: &ChannelEntry, scope: &Scope) -> bool {
    match scope {
        Scope::Channel(id) | Scope::Group(id, _) | Scope::GroupModel(id, ..) | Scope::ChannelModel(id, _) => {
            *id == entry.channel.id
        }
        Scope::Key(id) | Scope::KeyModel(id, _) => entry.keys.iter().any(|key| key.id == *id),
        Scope::Models(whole, _) => concerns_channel(entry, whole),
    }
}

/// Whether calls with a key must wait for a scope.
pub fn concerns_key(entry: &ChannelEntry, key: &Key, scope: &Scope) -> bool {
    match scope {
        Scope::Channel(id) | Scope::ChannelModel(id, _) => *id == entry.channel.id,
        Scope::Group(id, group) | Scope::GroupModel(id, group, _) => {
            *id == entry.channel.id && key.quota_group.as_ref() == Some(group)
        }
        Scope::Key(id) | Scope::KeyModel(id, _) => *id == key.id,
        Scope::Models(whole, _) => concerns_key(entry, key, whole),
    }
}

/// Whether a scope goes with a key when that is removed.
pub fn belongs_to_key(key: &Key, scope: &Scope) -> bool {
    match scope {
        Scope::Key(id) | Scope::KeyModel(id, _) => *id == key.id,
        Scope::Models(whole, _) => belongs_to_key(key, whole),
        _ => false,
    }
}

/// What a command wants the running server to do with a rest, as it is left in the database. A scope alone is to be tried
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    /// To let it rest.
    Pause {
        /// What.
        pause: Scope,
        /// Until this time of day.
        until: UnixMs,
    },
    /// To charge a call that the command made with a key.
    Charge {
        /// The key.
        charge: KeyId,
        /// Its channel.
        channel: ChannelId,
        /// The upstream's model.
        model: String,
        /// What the call took.
        input_tokens: u64,
        /// The same with the answer.
        tokens: u64,
    },
    /// To take back what stuck calls hold, to read everything anew, and to note in the vitals that this was done.
    Sweep {
        /// The command's word, to be repeated there.
        sweep: String,
    },
    /// To end its rest.
    Retry(Scope),
}

/// The longest pause.
pub const MAX_PAUSE: Duration = Duration::from_secs(30 * 86_400);

/// Ends every rest in force whose scope is meant; says how many.
pub fn end_rests(book: &mut RestBook, now: UnixMs, meant: impl Fn(&Scope) -> bool) -> usize {
    let scopes: Vec<Scope> =
        book.all_active(now).map(|(scope, _)| scope).filter(|scope| meant(scope)).cloned().collect();
    scopes.iter().filter(|scope| book.clear(scope)).count()
}

/// Whether a channel takes no calls because an operator paused it, or each of its keys that are on.
pub fn is_paused(entry: &ChannelEntry, book: &RestBook, now: UnixMs) -> bool {
    let whole = book.active(&Scope::Channel(entry.channel.id), now);
    let mut keys = entry.keys.iter().filter(|key| key.enabled).peekable();
    let each =
        keys.peek().is_some() && keys.all(|key| key_rest(entry, key, book, now).is_some_and(Rest::is_pause));
    each || whole.is_some_and(Rest::is_pause)
}

/// The longest rest that keeps a key from every model.
pub fn key_rest<'a>(entry: &ChannelEntry, key: &Key, book: &'a RestBook, now: UnixMs) -> Option<&'a Rest> {
    let channel = &entry.channel;
    let longest = |scopes: [Option<Scope>; 2]| {
        let rests = scopes.into_iter().flatten().filter_map(|scope| book.active(&scope, now));
        rests.max_by_key(|rest| rest.until)
    };
    let group = key.quota_group.clone().map(|group| Scope::Group(channel.id, group));
    let whole = longest([Some(Scope::Key(key.id)), group]);
    let named = channel.models.iter().map(|model| &model.name);
    let models = named.chain(channel.redirects.iter().map(|redirect| &redirect.upstream));
    let each: Option<Vec<&Rest>> = models
        .map(|model| {
            let group = key.quota_group.clone();
            let of_group = group.map(|group| Scope::GroupModel(channel.id, group, model.clone()));
            let of_key = longest([Some(Scope::KeyModel(key.id, model.clone())), of_group]);
            let of_all = longest([Some(Scope::ChannelModel(channel.id, model.clone())), None]);
            let of_some = book.all_active(now).filter(|(scope, _)| match scope {
                Scope::Models(whole, models) => models.fits(model) && concerns_key(entry, key, whole),
                _ => false,
            });
            let all = of_some.map(|(_, rest)| rest).chain(of_key).chain(of_all);
            all.max_by_key(|rest| rest.until)
        })
        .collect();
    // The first model that comes back ends the rest.
    let every_model = each.and_then(|rests| rests.into_iter().min_by_key(|rest| rest.until));
    whole.into_iter().chain(every_model).max_by_key(|rest| rest.until)
}
