//! `onepool repair`: looks after the installation in seven steps, and tells what it found and did.

use std::collections::BTreeSet;

use clap::Command;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::{
    Failure,
    command::{Entry, all_flags, json_switch, repeated, switch, verb},
    explain, healthcheck,
    invocation::Invocation,
    output::{Look, at, print},
    session::{Session, on_folder},
};
use crate::{
    app::loopback_of,
    i18n::{Messages, cli::Cli},
    model::time::Clock,
    repair::{self, Event, Finding, Options, Place, Report, ServerSeen, Side, State, Step, desk},
    storage::{
        catalog::CatalogStore,
        folder::{Claim, DataFolder},
    },
};

/// `onepool repair`.
pub const ENTRY: Entry = Entry { name: "repair", command, run };

fn command(m: Messages) -> Command {
    let t = m.repair;
    let examples = &[
        "onepool repair --dry-run",
        "onepool repair",
        "onepool repair --only server --only space --json",
        "onepool repair --restart-openclaw",
    ];
    verb(ENTRY.name, t.about(), examples, m)
        .arg(switch("dry-run", t.about_dry_run(), m))
        .arg(repeated("only", "STEP", t.about_only(), m))
        .arg(switch("clean-openclaw", t.about_clean_openclaw(), m))
        .arg(switch("restart-openclaw", t.about_restart_openclaw(), m))
        .arg(json_switch(m))
        // What the server was started with is looked at as well, such as its port and its pool file.
        .args(all_flags(m))
}

/// Repairs, telling each finding at once; with something left to the user it fails, after all steps were taken.
fn run(call: &Invocation) -> Result<(), Failure> {
    let options = options(call)?;
    let m = call.m;
    let speaks = !call.is_on("json");
    let mut failed = None;
    let mut on = |event: Event<'_>| {
        if speaks && failed.is_none() {
            failed = print(&line(m, &event)).err();
        }
    };
    let mut report = None;
    let opened = on_folder(call, async |session| {
        let place = match place(session).await {
            Ok(place) => place,
            Err(failure) => {
                report = Some(unopened(&options, &failure, &mut on));
                return Ok(());
            }
        };
        let made = repair::run(&place, &options, &mut on).await;
        if !options.dry_run {
            desk::keep(&place, &made).await;
        }
        report = Some(made);
        Ok(())
    });
    let report = match (report, opened) {
        (Some(report), _) => report,
        // Settings that are wrong are told as every command does.
        (None, Err(failure @ (Failure::Setting(_) | Failure::Usage(_)))) => return Err(failure),
        (None, Err(failure)) => unopened(&options, &failure, &mut on),
        (None, Ok(())) => return Err(Failure::Told),
    };
    if let Some(failure) = failed {
        return Err(failure);
    }
    if speaks {
        print(&format!("\n{}", result(m, &report)))?;
    } else {
        print(&format!("{:#}", json_of(m, &report)))?;
    }
    if report.needs_you() { Err(Failure::Told) } else { Ok(()) }
}

fn options(call: &Invocation) -> Result<Options, Failure> {
    let t = call.m.repair;
    let mut steps = BTreeSet::new();
    for name in call.all("only").unwrap_or_default() {
        let step = Step::from_name(name);
        let unknown = || Failure::option("--only", t.no_such_step(&super::output::clean(name)));
        steps.insert(step.ok_or_else(unknown)?);
    }
    let options = Options {
        dry_run: call.is_on("dry-run"),
        steps,
        restart_openclaw: call.is_on("restart-openclaw"),
        clean_openclaw: call.is_on("clean-openclaw"),
    };
    let wants = [
        ("--restart-openclaw", options.restart_openclaw, Step::Reload),
        ("--clean-openclaw", options.clean_openclaw, Step::Stuck),
    ];
    for (name, wanted, step) in wants {
        if wanted && !options.steps().any(|taken| taken == step) {
            return Err(Failure::option(name, t.step_not_taken(name, step.as_str())));
        }
    }
    Ok(options)
}

pub(super) async fn place(session: &Session) -> Result<Place, Failure> {
    let config = session.config.clone();
    let settings = std::sync::Arc::new(move |saved: &_| config.runtime(saved));
    let zone = session.config.zone.clone();
    let catalog = CatalogStore::open(session.db.clone(), settings, zone, session.providers.clone()).await?;
    let (dispatch, _) = session.dispatch(&catalog.load()).await?;
    let folder = DataFolder::existing(&session.config.data_dir)?;
    Ok(Place {
        config: session.config.clone(),
        side: Side::Beside(seen(&folder)),
        folder,
        db: session.db.clone(),
        catalog,
        dispatch,
        clients: session.clients(),
        clock: session.clock.clone(),
    })
}

/// The server on a folder, as it is seen from outside.
fn seen(folder: &DataFolder) -> ServerSeen {
    match folder.claim() {
        Claim::None => ServerSeen::None,
        Claim::Server(None) => ServerSeen::Somewhere,
        Claim::Server(Some(noted)) => {
            let mut address = noted;
            if address.ip().is_unspecified() {
                address.set_ip(loopback_of(address));
            }
            let answers =
                healthcheck::status_of(address).is_ok_and(|line| line.split(' ').nth(1) == Some("200"));
            ServerSeen::At(noted, answers)
        }
    }
}

fn unopened(options: &Options, failure: &Failure, on: &mut (dyn FnMut(Event<'_>) + Send)) -> Report {
    let reason = |t: crate::i18n::repair::Repair| explain::failure(failure, Cli(t.0)).join(" ");
    repair::unopened(options, Clock::system().now(), reason, on)
}

/// A line of the report, as it is told at once.
fn line(m: Messages, event: &Event<'_>) -> String {
    match event {
        Event::Begins(step) => format!("\n{} ({step})", m.repair.step(step.as_str())),
        Event::Found(finding) => found(m, finding),
    }
}

fn found(m: Messages, finding: &Finding) -> String {
    let word = |state: State| m.repair.state(state.as_str());
    let width = State::ALL.iter().map(|state| word(*state).width()).max().unwrap_or(0);
    let (own, look) = (
        word(finding.state),
        match finding.state {
            State::Ok | State::Fixed => Look::Good,
            State::WouldFix => Look::Doubtful,
            State::NeedsYou => Look::Bad,
            State::Skipped => Look::Dim,
        },
    );
    let blank = " ".repeat(width - own.width());
    let mut text = format!("  {}{blank}  {}", look.paint(own), finding.message.text(m.lang));
    if let Some(remedy) = &finding.remedy {
        let indent = " ".repeat(width + 4);
        text.push_str(&format!("\n{indent}→ {}", remedy.text(m.lang)));
    }
    text
}

fn result(m: Messages, report: &Report) -> String {
    let t = m.repair;
    let (needs, fixed) = (report.count(State::NeedsYou), report.count(State::Fixed));
    if report.dry_run {
        t.result_look(needs, report.count(State::WouldFix))
    } else if needs > 0 {
        t.result_needs_you(needs, fixed)
    } else {
        t.result_fine(fixed)
    }
}

fn json_of(m: Messages, report: &Report) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "step": finding.step,
            "state": finding.state,
            "code": finding.code,
            "message": finding.message.text(m.lang),
            "remedy": finding.remedy.as_ref().map(|remedy| remedy.text(m.lang)),
        })
    };
    json!({
        "ok": !report.needs_you(),
        "dry_run": report.dry_run,
        "began_at": at(report.began_at),
        "ended_at": at(report.ended_at),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
