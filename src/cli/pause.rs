//! `pause` and `retry` of channels and keys: what takes no calls for a time on an operator's word.

use std::{collections::BTreeSet, time::Duration};

use clap::Arg;

use super::{
    Failure, command::option, invocation::Invocation, output::clean, output::print, session::on_folder, when,
};
use crate::{
    dispatch::on_every_endpoint,
    i18n::Messages,
    model::catalog::ChannelEntry,
    pool::upkeep::{MAX_PAUSE, concerns_channel, models_to_check},
    scheduler::rest::Scope,
};

/// `--for` and `--model`.
pub fn flags(m: Messages) -> [Arg; 2] {
    let t = m.inspect;
    [
        option("for", "LENGTH", t.about_for(), m).required(true),
        option("model", "NAME", t.about_pause_model(), m),
    ]
}

fn length(call: &Invocation) -> Result<Duration, Failure> {
    when::length(call.required("for"))
        .filter(|length| (Duration::from_secs(60)..=MAX_PAUSE).contains(length))
        .ok_or_else(|| Failure::option("--for", call.m.inspect.bad_length()))
}

fn model(call: &Invocation, entry: &ChannelEntry) -> Result<Option<String>, Failure> {
    let Some(name) = call.text("model") else { return Ok(None) };
    let known = models_to_check(&entry.channel).into_iter().find(|known| known == name);
    known.map(Some).ok_or_else(|| Failure::option("--model", call.m.inspect.no_such_model()))
}

/// `onepool channels pause NAME`.
pub fn channel(call: &Invocation) -> Result<(), Failure> {
    let length = length(call)?;
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        let id = entry.channel.id;
        let model = model(call, &entry)?;
        let scope = model.map_or(Scope::Channel(id), |model| Scope::ChannelModel(id, model));
        let until = session.local(session.pause(&scope, length).await?);
        print(&call.m.inspect.channel_paused(&clean(&entry.channel.name), &until))
    })
}

/// `onepool keys pause ID`.
pub fn key(call: &Invocation) -> Result<(), Failure> {
    let length = length(call)?;
    on_folder(call, async |session| {
        let (entry, key) = session.key(call.required("ID")).await?;
        let model = model(call, &entry)?;
        let scope = model.map_or(Scope::Key(key.id), |model| Scope::KeyModel(key.id, model));
        let until = session.local(session.pause(&scope, length).await?);
        print(&call.m.inspect.key_paused(&super::keys::name_of(&key), &until))
    })
}

/// `onepool channels retry NAME`: ends every rest and pause of a channel.
pub fn retry_channel(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        let book = session.rests().await?;
        // What has just begun may not be saved yet, so the channel, its models and keys are named in any case.
        let id = entry.channel.id;
        let models = models_to_check(&entry.channel).into_iter();
        let mut scopes: BTreeSet<Scope> =
            models.flat_map(|model| on_every_endpoint(&Scope::ChannelModel(id, model))).collect();
        scopes.insert(Scope::Channel(id));
        scopes.extend(entry.keys.iter().map(|key| Scope::Key(key.id)));
        let active = book.all_active(session.now()).map(|(scope, _)| scope);
        scopes.extend(active.filter(|scope| concerns_channel(&entry, scope)).cloned());
        session.end_rests(scopes).await?;
        print(&call.m.inspect.channel_retried(&clean(&entry.channel.name)))
    })
}
