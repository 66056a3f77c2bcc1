//! `onepool usage`: single calls, and sums over a period.

mod filter;
mod log;
mod report;

use clap::Command;

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, noun, option, switch, verb},
    invocation::Invocation,
};
use crate::i18n::Messages;

/// `onepool usage`.
pub const ENTRY: Entry = Entry { name: "usage", command, run };

fn command(m: Messages) -> Command {
    let h = m.help;
    let shared = |command: Command| {
        command
            .args(filter::flags(m))
            .arg(option("limit", "NUMBER", h.limit(), m))
            .arg(switch("csv", h.csv(), m).conflicts_with("json"))
            .arg(json_switch(m))
            .args(folder_flags(m))
    };
    let by = || option("by", "token|key|model|channel|upstream|day", h.by(), m);
    let log_examples = &[
        "onepool usage log --since 1h --result failed",
        "onepool usage log --since 2026-05-01 --until 2026-05-31 --token ci --csv --limit 100000 > may.csv",
    ];
    let report_examples = &[
        "onepool usage report --since 7d --by model",
        "onepool usage report --since 30d --by day --token ci --json",
    ];
    shared(noun(ENTRY.name, h.usage(), m))
        .arg(by())
        .subcommand(
            shared(verb("log", h.usage_log(), log_examples, m))
                .arg(option("client", "NAME", m.log.client_hint(), m))
                .arg(option("search", "TEXT", m.log.search(), m)),
        )
        .subcommand(shared(verb("report", h.usage_report(), report_examples, m)).arg(by()))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("log") => log::run(call),
        _ => report::run(call),
    }
}
