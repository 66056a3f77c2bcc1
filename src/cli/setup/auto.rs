//! `onepool auto`: keys from a file, from stdin or from the environment, and then every step without a question.

use std::collections::BTreeSet;

use super::{
    profile,
    report::{self, Report},
    steps,
};
use crate::{
    cli::{
        Failure,
        ask::secret_text,
        invocation::Invocation,
        keys::{Arrival, Fate, Goal, Placed, place, plan, problem_text},
        output::tell,
        session::{make_folder, on_folder},
    },
    config,
    model::{
        key::{PastedLine, parse_pasted},
        secret::Secret,
    },
    provider::{Providers, Status},
    storage::{
        folder::{DataFolder, FolderError},
        providers::ProviderStore,
    },
};

/// `onepool auto`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let profile = profile(call)?;
    let config = call.config()?;
    let providers = ProviderStore::open(&config.data_dir).load();
    let lines = match call.text("keys") {
        Some(file) => {
            let lines = parse_pasted(&secret_text(Some(file), "", m)?);
            if lines.is_empty() {
                return Err(Failure::Usage(m.channels.paste_nothing().to_owned()));
            }
            lines
        }
        None => from_environment(&providers),
    };
    let arrivals: Vec<Arrival> = lines.into_iter().map(|line| arrival(line, &providers, m)).collect();
    let missing = match DataFolder::existing(&config.data_dir) {
        Ok(_) => false,
        Err(FolderError::NoDatabase { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    if missing && arrivals.is_empty() {
        return Err(Failure::Usage(m.onboarding.no_key_found(&variables(&providers).join(", "))));
    }
    if missing && call.is_on("dry-run") {
        return told(call, &Report::planned(plan(None, &providers, &arrivals, m)));
    }
    if !call.is_on("dry-run") {
        make_folder(call)?;
    }
    on_folder(call, async |session| {
        if call.is_on("dry-run") {
            let catalog = session.catalog().await?;
            return told(call, &Report::planned(plan(Some(&catalog), &providers, &arrivals, m)));
        }
        if arrivals.is_empty() && session.catalog().await?.channels().next().is_none() {
            return Err(Failure::Usage(m.onboarding.no_key_found(&variables(&providers).join(", "))));
        }
        let placed: Vec<Placed> = place(session, &arrivals).await?;
        let report = steps::run(call, session, placed, profile).await?;
        told(call, &report)
    })
}

/// Prints the report. A key that was refused makes it a failure, so that a script notices.
fn told(call: &Invocation, report: &Report) -> Result<(), Failure> {
    tell(call, &report.json(), || report::text(report, call.m))?;
    let refused = report.placed.iter().any(|placed| matches!(placed.fate, Fate::Refused(_)));
    if refused || report.some_key_is_wrong() { Err(Failure::Told) } else { Ok(()) }
}

fn arrival(line: PastedLine, providers: &Providers, m: crate::i18n::Messages) -> Arrival {
    let goal = match &line.key {
        Ok(secret) => Goal::told_by(providers, &line.label, secret, m),
        Err(_) => Goal::Unknown(String::new()),
    };
    Arrival {
        line: line.line,
        label: line.label,
        secret: line.key.map_err(|problem| problem_text(m, problem)),
        goal,
        group: None,
        limits: Vec::new(),
    }
}

/// The variables that hold keys by custom, each once.
fn variables(providers: &Providers) -> Vec<String> {
    let usable = providers.all().filter(|provider| provider.status != Status::Retired);
    let names: BTreeSet<&String> = usable.flat_map(|provider| &provider.key_env).collect();
    names.into_iter().cloned().collect()
}

/// The keys in the environment: in the variables of the providers' data, also with a number from 2 to 9 behind the name, and
/// several in one variable as a list.
fn from_environment(providers: &Providers) -> Vec<PastedLine> {
    let mut lines = Vec::new();
    let mut seen: Vec<Secret> = Vec::new();
    for name in variables(providers) {
        let numbered = (1..=9).map(|number| format!("{name}_{number}"));
        for name in [name.clone()].into_iter().chain(numbered) {
            let Some(value) = config::environment(&name).filter(|value| !value.trim().is_empty()) else {
                continue;
            };
            for line in parse_pasted(&format!("{name}={value}")) {
                // The same key often stands under two names.
                let known =
                    line.key.as_ref().is_ok_and(|key| seen.iter().any(|one| one.expose() == key.expose()));
                if !known {
                    seen.extend(line.key.as_ref().ok().cloned());
                    lines.push(PastedLine { line: lines.len() + 1, ..line });
                }
            }
        }
    }
    lines
}
