//! `onepool chains`: virtual models made by hand.

mod edit;
mod show;

use clap::Command;

use super::{
    Failure,
    ask::confirm,
    command::{Entry, folder_flags, json_switch, noun, positional, verb, yes_switch},
    invocation::Invocation,
    output::{clean, print},
    session::on_folder,
};
use crate::i18n::Messages;

/// `onepool chains`.
pub const ENTRY: Entry = Entry { name: "chains", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let name = || positional("NAME", h.chain_name(), m);
    let simple = |word: &'static str, about: &'static str, examples: &'static [&'static str]| {
        verb(word, about, examples, m).arg(name()).args(folder_flags(m))
    };
    noun(ENTRY.name, h.chains(), m)
        .arg(json_switch(m))
        .args(folder_flags(m))
        .subcommand(
            verb("list", h.chains_list(), &["onepool chains list", "onepool chains --json"], m)
                .arg(json_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(simple("show", h.chains_show(), &["onepool chains show smart"]).arg(json_switch(m)))
        .subcommand(
            verb(
                "add",
                h.chains_add(),
                &[
                    "onepool chains add --name smart --step openai/gpt-oss-120b --step llama-3.3-70b-versatile",
                    "onepool chains add --name patient --step best-model=10000 --step cheap-model=0 --step local-model",
                ],
                m,
            )
            .args(edit::flags(m))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            simple(
                "edit",
                h.chains_edit(),
                &[
                    "onepool chains edit smart --add-step deepseek-chat=never --remove-step llama-3.3-70b-versatile",
                    "onepool chains edit smart --name clever",
                ],
            )
            .args(edit::flags(m))
            .args(edit::flags_of_edit(m))
            .arg(json_switch(m)),
        )
        .subcommand(simple("enable", h.chains_enable(), &["onepool chains enable smart"]))
        .subcommand(simple("disable", h.chains_disable(), &["onepool chains disable smart"]))
        .subcommand(simple("remove", h.chains_remove(), &["onepool chains remove smart --yes"]).arg(yes_switch(m)))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("show") => show::one(call),
        Some("add") => edit::add(call),
        Some("edit") => edit::edit(call),
        Some("enable") => set_enabled(call, true),
        Some("disable") => set_enabled(call, false),
        Some("remove") => remove(call),
        _ => show::list(call),
    }
}

fn set_enabled(call: &Invocation, enabled: bool) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let chain = session.chain(call.required("NAME")).await?;
        session.db.set_chain_enabled(chain.id, enabled).await?;
        let (t, name) = (call.m.terminal, clean(&chain.name));
        print(&if enabled { t.chain_enabled(&name) } else { t.chain_disabled(&name) })
    })
}

fn remove(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (t, chain) = (call.m.terminal, session.chain(call.required("NAME")).await?);
        let name = clean(&chain.name);
        confirm(call, &t.ask_remove_chain(&name))?;
        session.db.delete_chain(chain.id).await?;
        print(&t.chain_removed(&name))
    })
}
