//! `onepool apply`: brings the pool to the state that a file declares.

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::Command;
use serde::Serialize;

use super::{
    Failure,
    command::{Entry, folder_flags, positional, switch, verb},
    invocation::Invocation,
    output::{self, clean},
    runtime,
};
use crate::{
    app::StartError,
    config::{self, Config},
    i18n::Messages,
    model::time::Clock,
    pool::{
        apply::{self, ApplyError, Options, Outcome},
        file::Source,
        load::{Complaint, Document},
        plan::{Action, FieldChange, Kind, Plan, Step, difference},
        shape::MAX_FAULTS,
    },
    storage::{
        Db,
        folder::{DataFolder, FolderError, FolderLock},
        pool::PoolState,
        providers::ProviderStore,
        vault::Vault,
    },
};

/// `onepool apply`.
pub const ENTRY: Entry = Entry { name: "apply", command, run };
const FILE: &str = "file";
const DRY_RUN: &str = "dry-run";
const PRUNE: &str = "prune";
const JSON: &str = "json";

fn command(m: Messages) -> Command {
    let t = m.pool_file;
    let examples = &["onepool apply pool.toml --dry-run", "onepool apply --prune - < pool.json"];
    verb(ENTRY.name, t.about_apply(), examples, m)
        .arg(positional(FILE, t.about_file(), m).value_name("FILE|-"))
        .arg(switch(DRY_RUN, t.about_dry_run(), m))
        .arg(switch(PRUNE, t.about_prune(), m))
        .arg(switch(JSON, t.about_json(), m))
        .args(folder_flags(m))
}

/// Reads the file, prints the plan and carries it out.
fn run(call: &Invocation) -> Result<(), Failure> {
    let config = call.config()?;
    let m = call.m;
    let json = call.is_on(JSON);
    let options = Options { prune: call.is_on(PRUNE) };
    let document = match call.required(FILE) {
        "-" => Document::of_stream(io::stdin().lock(), m),
        path => Document::of_path(Path::new(path), m),
    }
    .map_err(Failure::BadFile)?;
    let source = document
        .source(&config::environment, m)
        .map_err(|faults| bad_file(document.complaints(faults), json, m))?;
    let screen = Screen::new(json, m);
    let providers = ProviderStore::open(&config.data_dir).load();
    runtime(m.cli)?.block_on(async {
        let dry_run = call.is_on(DRY_RUN);
        let opened = open(&config, !dry_run).await?;
        let result = match (&opened, dry_run) {
            (Some(folder), false) => {
                let mut shown = 0;
                apply::apply(&folder.db, &source.file, options, &providers, m, |plan| {
                    if shown > 0 {
                        screen.line(m.pool_file.planned_anew());
                    }
                    shown += 1;
                    screen.plan(plan);
                })
                .await
            }
            (Some(folder), true) => {
                apply::plan(&folder.db, &source.file, options, &providers, m).await.map(planned)
            }
            (None, _) => difference(&PoolState::default(), &source.file, options.prune, &providers, m)
                .map(planned)
                .map_err(ApplyError::from),
        };
        if let Some(folder) = opened {
            folder.db.close().await;
        }
        let outcome = result.map_err(|error| failed(error, &document, &source, json, m))?;
        if dry_run {
            screen.plan(&outcome.plan);
        }
        screen.end(&outcome, dry_run)
    })
}

fn planned(plan: Plan) -> Outcome {
    Outcome { plan, generated: Vec::new() }
}

fn failed(error: ApplyError, document: &Document, source: &Source<'_>, json: bool, m: Messages) -> Failure {
    match error {
        ApplyError::Faults(faults) => bad_file(document.complaints(source.located(faults)), json, m),
        ApplyError::Busy => Failure::Text(m.pool_file.busy().to_owned()),
        ApplyError::Storage(error) => Failure::Text(m.pool_file.apply_failed(&error.to_string())),
    }
}

/// Faults, one in a line; for scripts also as JSON on stdout.
fn bad_file(complaints: Vec<Complaint>, json: bool, m: Messages) -> Failure {
    if json {
        print_json(&serde_json::json!({ "faults": complaints }));
    }
    let count = complaints.len();
    let mut lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    let t = m.pool_file;
    lines.push(match count {
        1 => t.one_fault().to_owned(),
        MAX_FAULTS => t.more_faults(count),
        count => t.nothing_changed(count),
    });
    Failure::BadFile(lines.join("\n"))
}

/// An open data folder.
pub struct Folder {
    /// The database.
    pub db: Db,
    /// Held while a new database is made: no server starts on it meanwhile.
    _lock: Option<FolderLock>,
}

/// Opens the data folder, whether or not a server runs on it. If there is no database yet, makes one if `create` says so,
/// else gives `None`.
pub async fn open(config: &Config, create: bool) -> Result<Option<Folder>, Failure> {
    match DataFolder::existing(&config.data_dir) {
        Ok(folder) => {
            let master_key = folder.master_key(config.secret_key.clone())?;
            let db = Db::open_existing(&folder.database(), Vault::new(&master_key), Clock::system()).await?;
            Ok(Some(Folder { db, _lock: None }))
        }
        Err(FolderError::NoDatabase { .. }) if create => {
            let folder = DataFolder::create(&config.data_dir)?;
            let lock = folder.lock()?;
            let master_key = folder.master_key(config.secret_key.clone())?;
            let database = folder.prepare_database()?;
            let db = Db::open(&database, Vault::new(&master_key), Clock::system()).await?;
            Ok(Some(Folder { db, _lock: Some(lock) }))
        }
        Err(FolderError::NoDatabase { .. }) => Ok(None),
        Err(error) => Err(StartError::from(error).into()),
    }
}

/// Where plans are printed.
struct Screen {
    json: bool,
    color: bool,
    m: Messages,
}

impl Screen {
    fn new(json: bool, m: Messages) -> Self {
        Self { json, color: output::colors(), m }
    }

    /// Prints a line for people.
    fn line(&self, line: &str) {
        if !self.json {
            // Whoever stopped reading still wants it done.
            let _ = writeln!(io::stdout(), "{line}");
        }
    }

    fn plan(&self, plan: &Plan) {
        for step in &plan.steps {
            let line = step_line(step, self.m);
            let color = match step.action {
                Action::Add => "32",
                Action::Change => "33",
                Action::Remove => "31",
            };
            self.line(&if self.color { format!("\u{1b}[{color}m{line}\u{1b}[0m") } else { line });
        }
    }

    fn end(&self, outcome: &Outcome, dry_run: bool) -> Result<(), Failure> {
        let t = self.m.pool_file;
        if self.json {
            #[derive(Serialize)]
            struct Report<'a> {
                dry_run: bool,
                changed: bool,
                #[serde(flatten)]
                plan: &'a Plan,
                new_tokens: Vec<NewToken<'a>>,
            }
            #[derive(Serialize)]
            struct NewToken<'a> {
                name: &'a str,
                value: &'a str,
            }
            let new_tokens = outcome.generated.iter();
            print_json(&Report {
                dry_run,
                changed: !dry_run && !outcome.plan.is_empty(),
                plan: &outcome.plan,
                new_tokens: new_tokens
                    .map(|(name, value)| NewToken { name, value: value.expose() })
                    .collect(),
            });
            return Ok(());
        }
        if outcome.plan.is_empty() {
            self.line(t.nothing_to_change());
        } else if dry_run {
            self.line(t.dry_run_done());
        } else {
            self.line(&t.applied(outcome.plan.steps.len()));
        }
        for (name, value) in &outcome.generated {
            self.line(&t.new_value(&clean(name), value.expose()));
        }
        Ok(())
    }
}

fn print_json(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string_pretty(value) {
        let _ = writeln!(io::stdout(), "{text}");
    }
}

/// A step in a line, such as `~ channel A: weight 1 -> 2, models +a -b`.
fn step_line(step: &Step, m: Messages) -> String {
    let t = m.pool_file;
    let sign = match step.action {
        Action::Add => '+',
        Action::Change => '~',
        Action::Remove => '-',
    };
    let kind = match step.kind {
        Kind::Channel => t.channel(),
        Kind::Key => t.key(),
        Kind::Chain => t.chain(),
        Kind::Token => t.token(),
    };
    let mut line = format!("{sign} {kind} {}", step.name);
    if let Some(channel) = &step.channel {
        line.push(' ');
        line.push_str(&t.of_channel(channel));
    }
    if !step.changes.is_empty() {
        let changes: Vec<String> = step.changes.iter().map(|change| change_text(change, m)).collect();
        line.push_str(": ");
        line.push_str(&changes.join(", "));
    }
    if !step.notes.is_empty() {
        line.push_str(&format!(" ({})", step.notes.join("; ")));
    }
    clean(&line).into_owned()
}

fn change_text(change: &FieldChange, m: Messages) -> String {
    /// The most entries of a list that are named.
    const NAMED: usize = 20;
    let t = m.pool_file;
    let mut words = vec![change.field.clone()];
    for (sign, names) in [('+', &change.added), ('-', &change.removed)] {
        words.extend(names.iter().take(NAMED).map(|name| format!("{sign}{name}")));
        if names.len() > NAMED {
            words.push(format!("{sign}…({})", names.len()));
        }
    }
    let show = |value: &serde_json::Value| match value {
        serde_json::Value::Null => t.not_set().to_owned(),
        value => crate::pool::rules::shortened(&value.to_string()),
    };
    if !change.from.is_null() || !change.to.is_null() {
        words.push(format!("{} -> {}", show(&change.from), show(&change.to)));
    } else if words.len() == 1 {
        words.push(t.changed().to_owned());
    }
    words.join(" ")
}
