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
    let of_report = |command: Command| {
        command.arg(option("metric", "NAME", h.metric(), m)).arg(option("by", "WORD", h.by(), m)).arg(switch(
            "compare",
            h.compare(),
            m,
        ))
    };
    let log_examples = &[
        "onepool usage log --since 1h --result failed",
        "onepool usage log --since 2026-05-01 --until 2026-05-31 --token ci --csv --limit 100000 > may.csv",
    ];
    let report_examples = &[
        "onepool usage report --since 7d --by model",
        "onepool usage report --period month --by key --metric cost --compare",
        "onepool usage report --from 2026-05-01 --to 2026-05-31 --by day --token ci --json",
    ];
    of_report(shared(noun(ENTRY.name, h.usage(), m)))
        .subcommand(
            shared(verb("log", h.usage_log(), log_examples, m))
                .arg(option("client", "NAME", m.log.client_hint(), m))
                .arg(option("search", "TEXT", m.log.search(), m))
                .arg(option("trace", "ID", m.log.trace_id(), m)),
        )
        .subcommand(of_report(shared(verb("report", h.usage_report(), report_examples, m))))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    match call.verb() {
        Some("log") => log::run(call),
        _ => report::run(call),
    }
}
