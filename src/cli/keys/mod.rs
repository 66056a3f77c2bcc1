//! `onepool keys`: the upstream credentials. Their values are read from stdin, a file, a variable or a prompt; one on the
//! command line is taken too, with a word on the shell's history and on who can read it.

mod add;
mod check;
mod place;
mod show;

pub(super) use add::{ask_account, ask_provider, asks_for_account, problem_text};
pub(super) use check::{saved, verdict_text};
pub(super) use place::{
    Arrival, Fate, Filled, Goal, Placed, account_texts, counts, fill, filled_text, place, plan, table,
};

use clap::Command;

use super::{
    Failure,
    ask::confirm,
    budget,
    command::{
        Entry, folder_flags, json_switch, noun, option, positional, repeated, switch, verb, yes_switch,
    },
    invocation::Invocation,
    options::{Options, option_of, set_limits},
    output::{clean, print},
    pause,
    session::on_folder,
};
use crate::{
    i18n::Messages,
    model::key::{Key, PastedKey},
    pool::input::{Fault, KeyInput},
};

/// `onepool keys`.
pub const ENTRY: Entry = Entry { name: "keys", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let id = || positional("ID", h.key_id(), m);
    let channel_filter = || option("channel", "NAME", h.keys_of_channel(), m);
    let simple = |name: &'static str, about: &'static str, examples: &'static [&'static str]| {
        verb(name, about, examples, m).arg(id()).args(folder_flags(m))
    };
    noun(ENTRY.name, h.keys(), m)
        .arg(channel_filter())
        .arg(json_switch(m))
        .args(folder_flags(m))
        .subcommand(
            verb("list", h.keys_list(), &["onepool keys list --channel Groq", "onepool keys --json"], m)
                .arg(channel_filter())
                .arg(json_switch(m))
                .args(folder_flags(m)),
        )
        .subcommand(
            verb(
                "add",
                h.keys_add(),
                &[
                    "onepool keys add",
                    "onepool keys add env:OPENROUTER_API_KEY",
                    "onepool keys add --file keys.env",
                    "onepool keys add --provider deepseek --account 'account 1'",
                    "printenv GROQ_API_KEY | onepool keys add Groq --label main",
                ],
                m,
            )
            .arg(
                clap::Arg::new("KEY")
                    .value_name("KEY")
                    .num_args(0..)
                    .help(m.onboarding.about_key_words())
                    .help_heading(m.cli.heading_arguments()),
            )
            .arg(option("channel", "NAME", m.onboarding.about_to_channel(), m).conflicts_with("provider"))
            .arg(option("provider", "ID", m.onboarding.about_to_provider(), m))
            .arg(option("file", "FILE", h.keys_file(), m))
            .arg(option("label", "TEXT", h.key_label(), m))
            .arg(option("quota-group", "NAME", m.channels.quota_group_hint(), m).visible_alias("account"))
            .arg(repeated("limit", "LIMIT", h.declared_limit(), m))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            simple(
                "edit",
                h.keys_edit(),
                &[
                    "onepool keys edit 3 --label spare --quota-group ''",
                    "onepool keys edit 3 --limit '20 requests/1m' --limit '2 at once'",
                ],
            )
            .arg(option("label", "TEXT", h.key_label(), m))
            .arg(option("quota-group", "NAME", m.channels.quota_group_hint(), m).visible_alias("account"))
            .arg(repeated("limit", "LIMIT", h.declared_limit(), m))
            .arg(switch("no-limits", h.no_limits(), m).conflicts_with("limit"))
            .args(budget::arguments(m)),
        )
        .subcommand(simple("enable", h.keys_enable(), &["onepool keys enable 3"]))
        .subcommand(simple("disable", h.keys_disable(), &["onepool keys disable 3"]))
        .subcommand(simple("remove", h.keys_remove(), &["onepool keys remove 3 --yes"]).arg(yes_switch(m)))
        .subcommand(
            verb(
                "check",
                h.keys_check(),
                &[
                    "onepool keys check 3",
                    "onepool keys check 3 --model gpt-4o-mini --json",
                    "onepool keys check --channel Groq",
                ],
                m,
            )
            .arg(id().required(false))
            .arg(option("model", "NAME", m.channels.test_model(), m).requires("ID"))
            .arg(channel_filter().conflicts_with("ID"))
            .arg(switch("fresh", m.discovery.fresh(), m).conflicts_with("ID"))
            .arg(json_switch(m))
            .args(folder_flags(m)),
        )
        .subcommand(
            simple("pause", m.inspect.about_key_pause(), &["onepool keys pause 3 --for 24h"])
                .args(pause::flags(m)),
        )
        .subcommand(simple("retry", h.keys_retry(), &["onepool keys retry 3"]))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("add") => add::run(call),
        Some("edit") => edit(call),
        Some("enable") => set_enabled(call, true),
        Some("disable") => set_enabled(call, false),
        Some("remove") => remove(call),
        Some("check") => check::check(call),
        Some("pause") => pause::key(call),
        Some("retry") => check::retry(call),
        _ => show::list(call),
    }
}

/// How messages name a key: by its id and what is known of it.
pub(in crate::cli) fn name_of(key: &Key) -> String {
    let label = if key.label.is_empty() { String::new() } else { format!("{} ", key.label) };
    clean(&format!("#{} ({label}…{})", key.id, key.last4)).into_owned()
}

fn edit(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (entry, key) = session.key(call.required("ID")).await?;
        let mut input = KeyInput::of(&key);
        let mut options = Options::new(call);
        options.set("label", &mut input.label, |text| Ok(text.to_owned()));
        options.set("quota-group", &mut input.quota_group, |text| Ok(Some(text.to_owned())));
        set_limits(&mut options, call, &mut input.limits);
        budget::read(&mut options, call, &budget::BUDGET, &mut input.budget);
        let unread = options.faults;
        unread.or(()).map_err(Failure::options)?;
        let providers = session.providers.load();
        let checked =
            input.check("", Some(providers.of(&entry.channel.provider)), call.m).map_err(|mut faults| {
                faults.0.iter_mut().for_each(|fault: &mut Fault| fault.field = option_of(&fault.field));
                Failure::options(faults)
            })?;
        let PastedKey { label, quota_group, limits, budget, .. } = checked;
        session.db.change_key(&Key { label, quota_group, limits, budget, ..(*key).clone() }).await?;
        print(&call.m.terminal.key_changed(&name_of(&session.key(call.required("ID")).await?.1)))
    })
}

fn set_enabled(call: &Invocation, enabled: bool) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (_, key) = session.key(call.required("ID")).await?;
        session.db.set_key_enabled(key.id, enabled).await?;
        let (t, name) = (call.m.terminal, name_of(&key));
        print(&if enabled { t.key_enabled(&name) } else { t.key_disabled(&name) })
    })
}

fn remove(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let (entry, key) = session.key(call.required("ID")).await?;
        let (t, name) = (call.m.terminal, name_of(&key));
        confirm(call, &t.ask_remove_key(&name, &clean(&entry.channel.name)))?;
        session.db.delete_key(key.id).await?;
        print(&t.key_removed(&name))
    })
}
