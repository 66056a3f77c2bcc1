//! OpenClaw on this machine: its own checks of itself, run as it offers them. Only what OpenClaw calls read-only is run
//! unless somebody asks for more; each run has a time limit and ends with it.
//!
//! The commands are those of <https://docs.openclaw.ai/cli>: `config validate`, `doctor --lint` (reads only; plain
//! `doctor` may migrate files), `sessions cleanup` and `gateway restart`.

use super::{Notes, Options};
use crate::openclaw::{Call, Program, Ran, restart_gateway};

/// Whether OpenClaw is on this machine's `PATH`.
pub fn is_here() -> bool {
    Program::find().is_some()
}

/// Step 3: does OpenClaw accept its configuration, and is it content with itself? Reads only.
pub async fn config(notes: &mut Notes<'_>) {
    let Some(program) = Program::find() else {
        notes.skipped("openclaw_absent", |t| t.openclaw_absent());
        return;
    };
    match program.run(Call::new(["config", "validate"])).await {
        Ran::Ended(0, _) => notes.ok("openclaw_config_valid", |t| t.openclaw_config_valid()),
        Ran::Ended(_, said) => notes.needs_you(
            "openclaw_config_invalid",
            |t| t.openclaw_config_invalid(&said.shown()),
            |t| t.openclaw_config_remedy(),
        ),
        other => failed(notes, "config validate", &other),
    }
    match program.run(Call::new(["doctor", "--lint"])).await {
        Ran::Ended(0, _) => notes.ok("openclaw_doctor_content", |t| t.openclaw_doctor_content()),
        Ran::Ended(_, said) if said.is_unknown() => {
            notes.skipped("openclaw_too_old", |t| t.openclaw_too_old("doctor --lint"));
        }
        Ran::Ended(1, said) => notes.needs_you(
            "openclaw_doctor_complains",
            |t| t.openclaw_doctor_complains(&said.shown()),
            |t| t.openclaw_doctor_remedy(),
        ),
        other => failed(notes, "doctor --lint", &other),
    }
}

/// Step 4: OpenClaw's own clean-up of its sessions, which is only looked at unless it was asked for.
pub async fn sessions(options: &Options, notes: &mut Notes<'_>) {
    // Step 3 tells that OpenClaw is absent.
    let Some(program) = Program::find() else { return };
    let clean = options.clean_openclaw && !notes.dry_run;
    let words: &[&str] = if clean {
        &["sessions", "cleanup", "--all-agents"]
    } else {
        &["sessions", "cleanup", "--all-agents", "--dry-run"]
    };
    match program.run(Call::new(words.iter().copied())).await {
        Ran::Ended(0, said) if clean => {
            notes.fixed("openclaw_cleaned", |t| t.openclaw_cleaned(&said.shown()))
        }
        Ran::Ended(0, said) => notes.ok("openclaw_sessions", |t| t.openclaw_sessions(&said.shown())),
        Ran::Ended(_, said) if said.is_unknown() => {
            notes.skipped("openclaw_too_old", |t| t.openclaw_too_old("sessions cleanup"));
        }
        other => failed(notes, "sessions cleanup", &other),
    }
}

/// Step 7: a restart of OpenClaw's gateway, which lets work that runs come to its end first.
pub async fn restart(notes: &mut Notes<'_>) {
    let Some(program) = Program::find() else {
        notes.needs_you("openclaw_absent", |t| t.openclaw_absent(), |t| t.openclaw_absent_remedy());
        return;
    };
    if notes.dry_run {
        notes.would_fix("openclaw_would_restart", |t| t.openclaw_would_restart());
        return;
    }
    match restart_gateway(&program).await {
        Ran::Ended(0, _) => notes.fixed("openclaw_restarted", |t| t.openclaw_restarted()),
        Ran::Ended(_, said) => notes.needs_you(
            "openclaw_not_restarted",
            |t| t.openclaw_not_restarted(&said.shown()),
            |t| t.openclaw_restart_remedy(),
        ),
        other => failed(notes, "gateway restart", &other),
    }
}

fn failed(notes: &mut Notes<'_>, words: &str, ran: &Ran) {
    let mut needs_you = |text: &str| {
        notes.needs_you(
            "openclaw_failed",
            |t| t.openclaw_failed(words, text),
            |t| t.openclaw_failed_remedy(),
        );
    };
    match ran {
        Ran::Late => notes.skipped("openclaw_late", |t| t.openclaw_late(words)),
        Ran::Ended(_, said) => needs_you(&said.shown()),
        Ran::Broke(text) | Ran::Unstartable(text) => needs_you(text),
    }
}
