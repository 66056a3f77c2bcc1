//! `onepool openclaw apply`: the export, written into the configuration of OpenClaw on this machine by OpenClaw's own
//! command. The configuration is kept first, and put back if OpenClaw does not accept what came of it.

use clap::Command;
use serde_json::{Value, json};

use super::{
    export::{base_url, chosen_token, make, option_flags, options, remember},
    local::{Stop, program, program_flag, told},
};
use crate::{
    cli::{
        Failure,
        ask::confirm,
        command::{folder_flags, json_switch, switch, verb, yes_switch},
        invocation::Invocation,
        output::{Cell, Look, clean, complain, facts, print},
        session::{Session, on_folder},
    },
    export::openclaw::{Export, ExportOptions, Form, KeyForm, Part, models_of},
    i18n::Messages,
    model::{
        secret::Secret,
        token::{ClientProfile, Token},
    },
    openclaw::{Action, Call, Change, Kept, Present, Program, Ran, changes, problems_of, restart_gateway},
};

/// What OpenClaw calls it if a file would shrink to less than half.
const SIZE_DROP: &str = "size-drop";

/// Its shape.
pub fn command(m: Messages) -> Command {
    let t = m.openclaw_here;
    let examples = &[
        "onepool openclaw apply --dry-run",
        "onepool openclaw apply --token laptop --alias gpt-4o:smart --restart",
        "onepool openclaw apply --openclaw ~/.local/bin/openclaw --yes --json",
    ];
    verb("apply", t.about_apply(), examples, m)
        .arg(program_flag(m))
        .args(option_flags(m))
        .arg(switch("dry-run", t.about_dry_run(), m))
        .arg(switch("restart", t.about_restart(), m))
        .arg(yes_switch(m))
        .arg(json_switch(m))
        .args(folder_flags(m))
}

/// What is to be written, and with what.
struct Plan {
    options: ExportOptions,
    token: Token,
    /// The token's value; also known if only its variable is written, so that it is masked everywhere.
    value: Secret,
    export: Export,
}

/// How far it came, for people and for programs.
struct Report<'a> {
    call: &'a Invocation<'a>,
    plan: &'a Plan,
    program: Option<&'a Program>,
    present: Option<&'a Present>,
    changes: Vec<Change>,
    kept: Option<String>,
    restarted: Option<bool>,
}

/// Shows what would change, asks, and changes it.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let mut options = options(call)?;
    options.form = Some(Form::Patch);
    let by_variable = call.text("variable").is_some();
    options.key = Some(if by_variable { KeyForm::Environment } else { KeyForm::Literal });
    let program = program(call)?;
    on_folder(call, async |session| {
        let plan = plan(call, session, options).await?;
        let mut report = Report {
            call,
            plan: &plan,
            program: program.as_ref(),
            present: None,
            changes: Vec::new(),
            kept: None,
            restarted: None,
        };
        let Some(program) = &program else {
            return report.stop(Stop::new("openclaw_absent", call.m.openclaw_here.absent()));
        };
        let document = plan.export.document.as_object();
        let roots: Vec<&str> =
            document.into_iter().flat_map(|roots| roots.keys().map(String::as_str)).collect();
        let present = match Present::read(program, &roots).await {
            Ok(present) => present,
            Err(unread) => return report.stop(Stop::unread(&unread, call.m)),
        };
        report.present = Some(&present);
        report.changes = changes(&present, &plan.export.document, &plan.options.provider_id, &[&plan.value]);
        report.show()?;
        if report.changes.is_empty() {
            if !call.is_on("dry-run") {
                remember(session, &plan.token, &plan.options, &plan.export).await?;
            }
            return report.end("nothing_to_change", call.m.openclaw_here.nothing_to_change().to_owned());
        }
        if call.is_on("dry-run") {
            return match check(program, &plan, call.m).await {
                Err(stop) => report.stop(stop),
                Ok(()) => {
                    let count = report.changes.len();
                    report.end("dry_run", call.m.openclaw_here.would_apply(count))
                }
            };
        }
        confirm(call, &call.m.openclaw_here.question(report.changes.len()))?;
        let kept = match change(program, &plan, &present, session).await {
            Ok(kept) => kept,
            Err(stop) => return report.stop(stop),
        };
        report.kept = kept.copy().map(|path| path.display().to_string());
        remember(session, &plan.token, &plan.options, &plan.export).await?;
        if call.is_on("restart") {
            let ran = restart_gateway(program).await;
            let well = matches!(ran, Ran::Ended(0, _));
            report.restarted = Some(well);
            if !well {
                let text = call.m.openclaw_here.not_restarted(&clean(&told(&ran, "gateway restart", call.m)));
                return report.stop(Stop::new("not_restarted", text));
            }
        }
        report.end("applied", call.m.openclaw_here.applied(report.changes.len()))
    })
}

async fn plan(call: &Invocation<'_>, session: &Session, options: ExportOptions) -> Result<Plan, Failure> {
    let m = call.m;
    let token = chosen_token(call, session).await?;
    let catalog = session.catalog().await?;
    let url = base_url(call, session, &catalog)?;
    let value = session.db.reveal_token(token.id).await?;
    let written = (options.key == Some(KeyForm::Literal)).then_some(&value);
    let export = make(session, &catalog, &token, &url, written, &options).await?;
    match options.part {
        Part::Chat if models_of(&catalog, &token).next().is_none() => complain(m.openclaw.no_models()),
        Part::Media if export.record.uses.is_empty() => complain(m.openclaw.no_media()),
        _ => {}
    }
    if token.profile == ClientProfile::Generic {
        complain(m.openclaw.profile_hint());
    }
    if options.key == Some(KeyForm::Environment) {
        complain(&m.openclaw.needs_variable(&options.variable));
    }
    Ok(Plan { options, token, value, export })
}

/// `openclaw config patch` with the export as its input: the only place where the token's value goes.
fn patch(plan: &Plan, more: &[&str]) -> Call {
    patch_with(plan, &plan.export.document, more)
}

/// The same with another document.
fn patch_with(plan: &Plan, document: &Value, more: &[&str]) -> Call {
    let mut words = vec!["config".to_owned(), "patch".to_owned(), "--stdin".to_owned()];
    for path in &plan.export.replace_paths {
        words.extend(["--replace-path".to_owned(), path.clone()]);
    }
    words.extend(more.iter().map(|word| (*word).to_owned()));
    Call::new(words).input(Secret::new(document.to_string())).must_end()
}

/// Has OpenClaw check the patch without writing it.
async fn check(program: &Program, plan: &Plan, m: Messages) -> Result<(), Stop> {
    match program.run(patch(plan, &["--dry-run", "--json"])).await {
        Ran::Ended(0, _) => Ok(()),
        ran => Err(refusal(&ran, plan, m)),
    }
}

fn refusal(ran: &Ran, plan: &Plan, m: Messages) -> Stop {
    let t = m.openclaw_here;
    match ran {
        Ran::Ended(_, said) if said.is_unknown() => Stop::new("openclaw_too_old", t.too_old("config patch")),
        Ran::Ended(_, said) => {
            let answer: Value = serde_json::from_str(said.out.trim()).unwrap_or_default();
            let text = problems_of(&answer).unwrap_or_else(|| said.shown());
            let text = crate::upstream::outcome::mask_secrets(&text, &[&plan.value]);
            Stop::new("refused", t.refused(clean(&text).trim_end_matches('.')))
        }
        Ran::Late => Stop::new("openclaw_late", t.late("config patch")),
        Ran::Broke(text) | Ran::Unstartable(text) => {
            Stop::new("openclaw_failed", t.failed("config patch", &clean(text)))
        }
    }
}

/// Keeps the configuration, patches it, and has OpenClaw validate it. Whatever goes wrong, it is as it was.
async fn change(program: &Program, plan: &Plan, present: &Present, session: &Session) -> Result<Kept, Stop> {
    let (m, t) = (session.m, session.m.openclaw_here);
    let path = present.path.display().to_string();
    let kept = Kept::of(&present.path, session.now())
        .map_err(|error| Stop::new("no_copy", t.no_copy(&clean(&path), &error.to_string())))?;
    let mut ran = program.run(patch(plan, &[])).await;
    if shrinks_too_much(&ran) {
        ran = change_in_steps(program, plan, present).await;
    }
    if !matches!(ran, Ran::Ended(0, _)) {
        let stop = refusal(&ran, plan, m);
        if kept.is_unchanged() {
            kept.discard();
            return Err(stop);
        }
        return Err(put_back(&kept, &stop.text, m));
    }
    let problem = match program.run(Call::new(["config", "validate", "--json"])).await {
        Ran::Ended(0, _) => return Ok(kept),
        Ran::Ended(_, said) => {
            let answer: Value = serde_json::from_str(said.out.trim()).unwrap_or_default();
            problems_of(&answer).unwrap_or_else(|| said.shown_without(&plan.value))
        }
        ran => told(&ran, "config validate", m),
    };
    Err(put_back(&kept, &problem, m))
}

/// Whether OpenClaw refused to write a file that is less than half as large as before, which no option allows. Its words are
/// those of OpenClaw 2026.9.6.
fn shrinks_too_much(ran: &Ran) -> bool {
    matches!(ran, Ran::Ended(_, said) if said.out.contains(SIZE_DROP) || said.err.contains(SIZE_DROP))
}

/// Drops the models that are no longer offered a third at a time, so that each file is more than half as large as the one before,
/// and then writes the export itself. Gives the last answer.
async fn change_in_steps(program: &Program, plan: &Plan, present: &Present) -> Ran {
    let path = ["models", "providers", &plan.options.provider_id, "models"];
    let at = format!("/{}", path.join("/"));
    let offered = plan.export.document.pointer(&at).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_offered = |model: &&Value| offered.iter().any(|offer| offer["id"] == model["id"]);
    let known = present.at(&path).as_array().cloned().unwrap_or_default();
    let dropped: Vec<&Value> = known.iter().filter(|model| !is_offered(model)).collect();
    let mut left = dropped.len();
    loop {
        left -= left.div_ceil(3);
        if left == 0 {
            return program.run(patch(plan, &[])).await;
        }
        let mut document = plan.export.document.clone();
        if let Some(models) = document.pointer_mut(&at).and_then(Value::as_array_mut) {
            models.extend(dropped[..left].iter().map(|model| (*model).clone()));
        }
        let ran = program.run(patch_with(plan, &document, &[])).await;
        if !matches!(ran, Ran::Ended(0, _)) {
            return ran;
        }
    }
}

fn put_back(kept: &Kept, problem: &str, m: Messages) -> Stop {
    let t = m.openclaw_here;
    let problem = clean(problem);
    let problem = problem.trim_end_matches(['.', '。']);
    match kept.restore() {
        Ok(()) => Stop::new("restored", t.restored(problem)),
        Err(error) => {
            let copy = kept.copy().map(|path| path.display().to_string()).unwrap_or_default();
            Stop::new("not_restored", t.not_restored(problem, &error.to_string(), &clean(&copy)))
        }
    }
}

impl Report<'_> {
    /// What there is and what would change, for people.
    fn show(&self) -> Result<(), Failure> {
        let (m, t) = (self.call.m, self.call.m.openclaw_here);
        if self.call.is_on("json") {
            return Ok(());
        }
        let (Some(program), Some(present)) = (self.program, self.present) else { return Ok(()) };
        let mut path = present.path.display().to_string();
        if !present.exists {
            path = format!("{path} {}", t.fresh());
        }
        let token = format!("{} (…{})", self.plan.token.name, self.plan.token.last4);
        print(&facts(&[
            (t.program(), Cell::text(program.path().display().to_string())),
            (t.configuration(), Cell::text(path)),
            (t.token(), Cell::text(token)),
        ]))?;
        let key_is_hidden =
            present.is_redacted && self.changes.iter().any(|change| change.path.ends_with(".apiKey"));
        if key_is_hidden {
            complain(t.hidden_key());
        }
        let lines: Vec<String> = self.changes.iter().map(|change| line(change, m)).collect();
        if lines.is_empty() { Ok(()) } else { print(&format!("\n{}", lines.join("\n"))) }
    }

    fn json(&self, code: &str, message: &str) -> Value {
        json!({
            "code": code,
            "message": message,
            "applied": matches!(code, "applied" | "not_restarted"),
            "dry_run": self.call.is_on("dry-run"),
            "openclaw": self.program.map(|program| program.path().display().to_string()),
            "config": self.present.map(|present| present.path.display().to_string()),
            "backup": self.kept,
            "token": self.plan.token.name,
            "provider": self.plan.options.provider_id,
            "restarted": self.restarted,
            "changes": self.changes,
        })
    }

    fn end(&self, code: &str, message: String) -> Result<(), Failure> {
        let t = self.call.m.openclaw_here;
        if self.call.is_on("json") {
            return print(&format!("{:#}", self.json(code, &message)));
        }
        // A blank line ends the list of changes.
        let mut lines = vec![String::new(), Look::Good.paint(&message)];
        lines.extend(self.kept.as_deref().map(|path| t.copy(&clean(path))));
        match (code, self.restarted) {
            ("applied", Some(_)) => lines.push(t.restarted().to_owned()),
            ("applied", None) => lines.push(t.gateway_reloads().to_owned()),
            _ => {}
        }
        print(&lines.join("\n"))
    }

    fn stop(&self, stop: Stop) -> Result<(), Failure> {
        if self.call.is_on("json") {
            print(&format!("{:#}", self.json(stop.code, &stop.text)))?;
            return Err(Failure::Told);
        }
        if let Some(path) = &self.kept {
            complain(&self.call.m.openclaw_here.copy(&clean(path)));
        }
        Err(Failure::Text(stop.text))
    }
}

/// A change in a line, such as `~ model glm5: contextWindow 8000 -> 131072`.
fn line(change: &Change, m: Messages) -> String {
    let (sign, look) = match change.action {
        Action::Add => ('+', Look::Good),
        Action::Change => ('~', Look::Doubtful),
        Action::Remove => ('-', Look::Bad),
    };
    let show = |value: &Value| match value {
        Value::Null => m.pool_file.not_set().to_owned(),
        value => crate::pool::rules::shortened(&value.to_string()),
    };
    let is_whole_model = |value: &Value| value.get("id").is_some();
    let text = match &change.model {
        Some(name) if is_whole_model(&change.to) || is_whole_model(&change.from) => {
            let model = if change.to.is_null() { &change.from } else { &change.to };
            format!("{sign} {}{}", m.openclaw_here.model(name), limits(model))
        }
        Some(name) => {
            let field = change.path.rsplit('.').next().unwrap_or_default();
            let (from, to) = (show(&change.from), show(&change.to));
            format!("{sign} {}: {field} {from} -> {to}", m.openclaw_here.model(name))
        }
        None => format!("{sign} {}: {} -> {}", change.path, show(&change.from), show(&change.to)),
    };
    look.paint(&clean(&text))
}

/// The limits of a model, in OpenClaw's words.
fn limits(model: &Value) -> String {
    let words = ["contextWindow", "maxTokens"];
    let limits = words.iter().filter_map(|name| Some(format!("{name} {}", model[*name].as_u64()?)));
    let limits = limits.collect::<Vec<_>>().join(", ");
    if limits.is_empty() { limits } else { format!(" ({limits})") }
}
