//! `onepool channels`: the upstreams, what they serve, and whether they take calls.

mod edit;
mod models;
mod show;

pub use show::reason;

use clap::Command;

use super::{
    Failure,
    ask::confirm,
    command::{Entry, folder_flags, json_switch, noun, positional, switch, verb, yes_switch},
    invocation::Invocation,
    output::{clean, print},
    pause,
    session::on_folder,
};
use crate::i18n::Messages;

/// `onepool channels`.
pub const ENTRY: Entry = Entry { name: "channels", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let name = || positional("NAME", h.channel_name(), m);
    noun(ENTRY.name, h.channels(), m)
        .arg(json_switch(m))
        .args(folder_flags(m))
        .subcommand(
            verb("list", h.channels_list(), &["onepool channels list", "onepool channels --json | jq '.items[].name'"], m)
                .arg(json_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(
            verb("show", h.channels_show(), &["onepool channels show Groq"], m)
                .arg(name())
                .arg(json_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(
            verb(
                "add",
                h.channels_add(),
                &[
                    "onepool channels add --provider openrouter --key env:OPENROUTER_API_KEY",
                    "onepool channels add --name Groq --base-url https://api.groq.com/openai/v1 --model llama-3.3-70b-versatile",
                    "onepool channels add --name Local --base-url http://127.0.0.1:11434 --allow-private true --group home",
                ],
                m,
            )
            .args(edit::flags(m))
            .args(edit::flags_of_add(m))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            verb(
                "edit",
                h.channels_edit(),
                &[
                    "onepool channels edit Groq --budget 20 --budget-unit dollars --budget-reset month",
                    "onepool channels edit Groq --priority 10 --add-model openai/gpt-oss-120b",
                    "onepool channels edit Groq --limit '30 requests/1m per group' --limit '4 at once per key'",
                    "onepool channels edit Groq --header 'X-Team: env:TEAM_HEADER' --proxy ''",
                ],
                m,
            )
            .arg(name())
            .args(edit::flags(m))
            .args(edit::flags_of_edit(m))
            .arg(yes_switch(m))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            verb("enable", h.channels_enable(), &["onepool channels enable Groq"], m)
                .arg(name())
                .args(folder_flags(m)),
        )
        .subcommand(
            verb("disable", h.channels_disable(), &["onepool channels disable Groq"], m)
                .arg(name())
                .args(folder_flags(m)),
        )
        .subcommand(
            verb(
                "pause",
                m.inspect.about_channel_pause(),
                &["onepool channels pause Groq --for 5h", "onepool channels pause Groq --for 30m --model llama-3.3-70b-versatile"],
                m,
            )
            .arg(name())
            .args(pause::flags(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            verb("retry", m.inspect.about_channel_retry(), &["onepool channels retry Groq"], m)
                .arg(name())
                .args(folder_flags(m)),
        )
        .subcommand(
            verb("remove", h.channels_remove(), &["onepool channels remove Groq --yes"], m)
                .arg(name())
                .arg(yes_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(
            verb(
                "models",
                h.channels_models(),
                &["onepool channels models Groq", "onepool channels models Groq --fetch --apply"],
                m,
            )
            .arg(name())
            .arg(switch("fetch", h.fetch(), m))
            .arg(switch("apply", h.fetch_apply(), m).requires("fetch"))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("show") => show::one(call),
        Some("add") => edit::add(call),
        Some("edit") => edit::edit(call),
        Some("enable") => set_enabled(call, true),
        Some("disable") => set_enabled(call, false),
        Some("pause") => pause::channel(call),
        Some("retry") => pause::retry_channel(call),
        Some("remove") => remove(call),
        Some("models") => models::run(call),
        _ => show::list(call),
    }
}

fn set_enabled(call: &Invocation, enabled: bool) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let entry = session.channel(call.required("NAME")).await?;
        session.db.set_channel_enabled(entry.channel.id, enabled).await?;
        let (t, name) = (call.m.terminal, clean(&entry.channel.name));
        print(&if enabled { t.channel_enabled(&name) } else { t.channel_disabled(&name) })
    })
}

fn remove(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let t = call.m.terminal;
        let entry = session.channel(call.required("NAME")).await?;
        let name = clean(&entry.channel.name);
        confirm(call, &t.ask_remove_channel(&name, entry.keys.len()))?;
        session.db.delete_channel(entry.channel.id).await?;
        print(&t.channel_removed(&name))
    })
}
