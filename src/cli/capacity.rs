//! `onepool capacity`: how many calls the pool can serve; and `onepool explain`: where a call would go.

use clap::{Arg, Command};
use serde_json::Value;

use super::{
    Failure,
    command::{Entry, folder_flags, json_switch, option, positional, verb},
    invocation::Invocation,
    output::{Cell, Look, Table, clean, tell},
    session::on_folder,
};
use crate::{
    i18n::Messages,
    inspect::{Candidate, Hurdle, Size, explain, of_model, of_pool},
    model::time::UnixMs,
    pool::account::shared_in_pool,
    scheduler::pool::Outlook,
    web::{
        api::capacity::{CapacityView, RoutesView},
        limits,
    },
};

/// `onepool capacity`.
pub const ENTRY: Entry = Entry { name: "capacity", command, run };
/// `onepool explain`.
pub const EXPLAIN: Entry = Entry { name: "explain", command: explain_command, run: run_explain };

const PROMPT: &str = "prompt-tokens";
const COMPLETION: &str = "completion-tokens";

fn size_flags(m: Messages) -> [Arg; 2] {
    let t = m.inspect;
    [option(PROMPT, "NUMBER", t.about_prompt(), m), option(COMPLETION, "NUMBER", t.about_completion(), m)]
}

fn command(m: Messages) -> Command {
    let t = m.inspect;
    let examples = &["onepool capacity", "onepool capacity --model smart --prompt-tokens 20000 --json"];
    verb(ENTRY.name, t.about_capacity(), examples, m)
        .arg(option("model", "NAME", t.about_only_model(), m))
        .args(size_flags(m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn explain_command(m: Messages) -> Command {
    let t = m.inspect;
    let examples = &["onepool explain smart", "onepool explain smart --token laptop --json"];
    verb(EXPLAIN.name, t.about_explain(), examples, m)
        .arg(positional("MODEL", t.about_model(), m))
        .arg(option("token", "NAME", t.about_token(), m))
        .args(size_flags(m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

fn size(call: &Invocation) -> Result<Size, Failure> {
    let read = |name: &'static str, usual: u32| match call.text(name).map(str::parse) {
        None => Ok(usual),
        Some(Ok(number)) if number <= Size::MAX => Ok(number),
        Some(_) => Err(Failure::option(&format!("--{name}"), call.m.inspect.size_wrong())),
    };
    Ok(Size {
        prompt: read(PROMPT, Size::USUAL.prompt)?,
        completion: read(COMPLETION, Size::USUAL.completion)?,
    })
}

/// An answer of the admin API.
fn as_json(view: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(view).map_err(|error| Failure::Text(error.to_string()))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let cost = size(call)?.cost();
    on_folder(call, async |session| {
        let m = call.m;
        let t = m.inspect;
        let catalog = session.catalog().await?;
        let (dispatch, freshness) = session.dispatch(&catalog).await?;
        let only = call.text("model").map(str::to_lowercase);
        let models: Vec<(&str, Outlook)> = catalog
            .models()
            .filter(|model| only.as_ref().is_none_or(|name| *name == model.name.to_lowercase()))
            .map(|model| (model.name.as_str(), of_model(&dispatch, model, cost)))
            .collect();
        if models.is_empty() && only.is_some() {
            return Err(Failure::Text(t.refused_unknown_model().to_owned()));
        }
        let pool = of_pool(&catalog, &dispatch, cost);
        let view = CapacityView::of(&pool, models.iter().map(|(name, outlook)| (*name, outlook)), None);
        let json = as_json(&view)?;
        tell(call, &json, || {
            let mut table = Table::new([
                t.model(),
                t.keys(),
                t.minute_now(),
                t.minute_theory(),
                t.day_now(),
                t.day_theory(),
                t.binding(),
            ]);
            let mut row = |name: &str, outlook: &Outlook| {
                let calls = |number| Cell::number(limits::calls(m, outlook, number));
                let mut why: Vec<String> =
                    outlook.binding.iter().map(|binding| limits::binding(m, binding)).collect();
                if outlook.unknown > 0 {
                    why.push(t.unknown_keys(outlook.unknown));
                }
                let mut keys = limits::keys(m, outlook);
                if outlook.resting > 0 {
                    keys.push_str(&format!(", {}", t.resting_keys(outlook.resting)));
                }
                table.row([
                    Cell::text(name),
                    Cell::text(keys),
                    calls(outlook.calls.next_minute),
                    calls(outlook.calls.per_minute),
                    calls(outlook.calls.next_day),
                    calls(outlook.calls.per_day),
                    Cell::text(why.join("; ")),
                ]);
            };
            for (name, outlook) in &models {
                row(name, outlook);
            }
            row(t.whole_pool(), &pool);
            let mut text = table.draw();
            if pool.owners < pool.keys {
                text.push_str(&format!("\n\n{}", t.shared_hint(pool.keys - pool.owners)));
            }
            for (channel, hints) in shared_in_pool(&catalog, &session.providers.load(), m) {
                for hint in hints {
                    text.push_str(&format!("\n{}: {}", clean(&channel), clean(&hint)));
                }
            }
            text.push_str(&format!("\n\n{} {freshness}", t.bound_hint()));
            text
        })
    })
}

fn run_explain(call: &Invocation) -> Result<(), Failure> {
    let cost = size(call)?.cost();
    on_folder(call, async |session| {
        let m = call.m;
        let t = m.inspect;
        let catalog = session.catalog().await?;
        let token = match call.text("token") {
            Some(name) => Some(session.token(name).await?),
            None => None,
        };
        let (dispatch, freshness) = session.dispatch(&catalog).await?;
        let report = explain(&catalog, &dispatch, call.required("MODEL"), token.as_ref(), cost);
        let now = dispatch.now();
        let json = as_json(&RoutesView::of(&report, m, now))?;
        tell(call, &json, || {
            let mut text = String::new();
            if let Some(refused) = report.refused {
                text.push_str(&format!("{}\n\n", limits::refusal(m, refused)));
            }
            let mut table = Table::new([
                t.place(),
                m.log.channel(),
                m.channels.key(),
                t.upstream_model(),
                t.tier(),
                t.verdict(),
                t.comes_back(),
            ]);
            for candidate in report.candidates.iter().filter(|one| one.hurdle != Some(Hurdle::NotOffered)) {
                table.row(row(candidate, m, |at| session.local(at)));
            }
            text.push_str(&table.draw());
            let others: Vec<String> = report
                .candidates
                .iter()
                .filter(|one| one.hurdle == Some(Hurdle::NotOffered))
                .map(|one| clean(&one.channel.channel.name).into_owned())
                .collect();
            if !others.is_empty() {
                text.push_str(&format!("\n\n{}: {}", t.others_count(others.len()), others.join(", ")));
            }
            let some_ready = report.candidates.iter().any(|one| one.place.is_some());
            if report.refused.is_none() && !some_ready {
                text.push_str(&format!("\n\n{}", t.nobody_ready()));
            }
            text.push_str(&format!("\n\n{} {freshness}", t.order_hint()));
            text
        })
    })
}

fn row(candidate: &Candidate, m: Messages, local: impl Fn(UnixMs) -> String) -> [Cell; 7] {
    let t = m.inspect;
    let verdict = match &candidate.hurdle {
        None if candidate.place.is_some() => Cell::text(t.would_try()).look(Look::Good),
        None => Cell::text(t.is_ready()),
        Some(hurdle) => {
            Cell::text(limits::of_candidate(m, hurdle, candidate.last_resort, |id| format!("#{id}")))
                .look(Look::Doubtful)
        }
    };
    let key = candidate.key.as_ref().map(|key| format!("#{} …{}", key.id, key.last4));
    [
        Cell::number(candidate.place.map(|place| place.to_string()).unwrap_or_default()),
        Cell::text(&candidate.channel.channel.name),
        Cell::text(key.unwrap_or_default()),
        Cell::text(candidate.upstream_model.as_deref().unwrap_or_default()),
        Cell::number(candidate.channel.channel.priority.to_string()),
        verdict,
        Cell::text(candidate.ready_at.map(local).unwrap_or_default()),
    ]
}
