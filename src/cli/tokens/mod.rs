//! `onepool tokens`: what clients present to this server.

mod capture;
mod edit;
mod show;
mod value;

use clap::Command;

use super::{
    Failure,
    ask::confirm,
    command::{Entry, folder_flags, json_switch, noun, option, positional, verb, yes_switch},
    invocation::Invocation,
    output::{clean, print},
    session::on_folder,
};
use crate::i18n::Messages;

/// `onepool tokens`.
pub const ENTRY: Entry = Entry { name: "tokens", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let name = || positional("NAME", h.token_name(), m);
    let simple = |word: &'static str, about: &'static str, examples: &'static [&'static str]| {
        verb(word, about, examples, m).arg(name()).args(folder_flags(m))
    };
    noun(ENTRY.name, h.tokens(), m)
        .arg(json_switch(m))
        .args(folder_flags(m))
        .subcommand(
            verb("list", h.tokens_list(), &["onepool tokens list", "onepool tokens --json"], m)
                .arg(json_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(simple("show", h.tokens_show(), &["onepool tokens show laptop"]).arg(json_switch(m)))
        .subcommand(
            simple(
                "create",
                h.tokens_create(),
                &[
                    "onepool tokens create laptop",
                    "onepool tokens create ci --model 'gpt-4o*' --quota 5 --quota-unit dollars --quota-reset month --expires-at 90d",
                    "onepool tokens create old --value-file value.txt --profile openclaw",
                ],
            )
            .args(edit::flags(m))
            .arg(option("value-file", "FILE", h.value_file(), m))
            .arg(json_switch(m)),
        )
        .subcommand(
            simple(
                "edit",
                h.tokens_edit(),
                &["onepool tokens edit ci --requests-per-minute 60 --cidr 10.0.0.0/8", "onepool tokens edit ci --quota ''"],
            )
            .arg(option("name", "TEXT", h.new_name(), m))
            .args(edit::flags(m))
            .arg(json_switch(m)),
        )
        .subcommand(simple("enable", h.tokens_enable(), &["onepool tokens enable laptop"]))
        .subcommand(simple("disable", h.tokens_disable(), &["onepool tokens disable laptop"]))
        .subcommand(simple("remove", h.tokens_remove(), &["onepool tokens remove laptop --yes"]).arg(yes_switch(m)))
        .subcommand(
            simple(
                "replace",
                h.tokens_replace(),
                &["onepool tokens replace laptop --grace 24h", "onepool tokens replace laptop --yes"],
            )
            .arg(option("grace", "TIME", h.grace(), m))
            .arg(option("value-file", "FILE", h.value_file(), m))
            .arg(yes_switch(m))
            .arg(json_switch(m)),
        )
        .subcommand(
            simple("end-previous", h.tokens_end_previous(), &["onepool tokens end-previous laptop --yes"])
                .arg(yes_switch(m)),
        )
        .subcommand(
            simple(
                "capture",
                m.capture.help(),
                &[
                    "onepool tokens capture laptop --for 1h",
                    "onepool tokens capture laptop",
                    "onepool tokens capture laptop --erase",
                ],
            )
            .args(capture::flags(m))
            .arg(json_switch(m)),
        )
        .subcommand(simple("reveal", h.tokens_reveal(), &["onepool tokens reveal laptop"]).arg(json_switch(m)))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("show") => show::one(call),
        Some("create") => edit::create(call),
        Some("edit") => edit::edit(call),
        Some("enable") => set_enabled(call, true),
        Some("disable") => set_enabled(call, false),
        Some("remove") => remove(call),
        Some("replace") => value::replace(call),
        Some("end-previous") => value::end_previous(call),
        Some("capture") => capture::capture(call),
        Some("reveal") => value::reveal(call),
        _ => show::list(call),
    }
}

fn set_enabled(call: &Invocation, enabled: bool) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let token = session.token(call.required("NAME")).await?;
        session.db.set_token_enabled(token.id, enabled).await?;
        let (t, name) = (call.m.terminal, clean(&token.name));
        print(&if enabled { t.token_enabled(&name) } else { t.token_disabled(&name) })
    })
}

fn remove(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (t, token) = (call.m.terminal, session.token(call.required("NAME")).await?);
        let week = std::time::Duration::from_secs(7 * 24 * 3600);
        let calls = session.db.token_call_count(token.id, session.now() - week).await?;
        confirm(call, &t.ask_remove_token(&clean(&token.name), calls))?;
        session.db.delete_token(token.id).await?;
        print(&t.token_removed(&clean(&token.name)))
    })
}
