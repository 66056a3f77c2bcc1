//! Looks after the whole installation in seven steps, and tells what it found and did, step by step. Nothing is done by
//! force: no process is stopped, nothing that somebody made is deleted, nobody is kept waiting.
//!
//! A step is a function that takes the [`Place`] and writes [`Finding`]s down; [`run`] takes one after the other. The
//! command runs it beside the server, the Health page and the admin API in it.

mod chains;
mod configuration;
pub mod desk;
pub mod diagnosis;
mod keys;
mod machine;
mod openclaw;
mod reload;
mod server;
mod space;
mod stuck;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    dispatch::Dispatch,
    i18n::{Lang, Messages, repair::Repair},
    jobs::vitals::LifeSigns,
    model::{
        printable::printable,
        time::{Clock, UnixMs},
        token::named_enum,
    },
    storage::{Db, StorageError, StorageResult, catalog::CatalogStore, folder::DataFolder},
    upstream::client::Clients,
};

pub use openclaw::is_here as openclaw_is_here;
// Named in full where the admin API's document names them.
pub use self::{RepairState as State, RepairStep as Step};

/// The longest text of a finding, in characters; what others say may be long.
const MOST_CHARACTERS: usize = 700;
/// The most findings of a report.
const MOST_FINDINGS: usize = 500;

named_enum! {
    /// A part of a repair; they are taken in this order.
    RepairStep {
        /// Server, port, memory, disk, clock, database.
        Server = "server",
        /// Every key, and every model that it is used for.
        Keys = "keys",
        /// Settings, pool file, files of providers, and OpenClaw's configuration.
        Config = "config",
        /// What holds something for too long: calls, tasks, rests, OpenClaw's sessions.
        Stuck = "stuck",
        /// Chains without dead models.
        Chains = "chains",
        /// Old rows, the database's log, free room, leftovers.
        Space = "space",
        /// Everything is read anew; OpenClaw's gateway restarts if asked.
        Reload = "reload",
    }
}

named_enum! {
    /// What a finding means.
    RepairState {
        /// All is well.
        Ok = "ok",
        /// Something was wrong or due, and was done.
        Fixed = "fixed",
        /// The same, but nothing was to be changed.
        WouldFix = "would_fix",
        /// Somebody has to do something; the finding says what.
        NeedsYou = "needs_you",
        /// It was not looked at; the finding says why.
        Skipped = "skipped",
    }
}

/// A text in both languages, so that a report that is kept can be read in either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    en: String,
    zh: String,
}

impl Told {
    /// The same with all texts that there are.
    pub fn with<T: Into<String>>(text: impl Fn(Messages) -> T) -> Self {
        Self::of(|t| text(Messages::of(t.0)))
    }

    /// The text that `text` gives for each language. Control characters, which others may have put into it, are written out.
    pub fn of<T: Into<String>>(text: impl Fn(Repair) -> T) -> Self {
        let bounded = |lang| {
            let text: String = text(Repair(lang)).into();
            let text = printable(text.trim()).into_owned();
            if text.chars().count() <= MOST_CHARACTERS {
                return text;
            }
            text.chars().take(MOST_CHARACTERS - 1).chain(['…']).collect()
        };
        Self { en: bounded(Lang::En), zh: bounded(Lang::Zh) }
    }

    /// The text in a language.
    pub fn text(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

/// Something that a step found, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The step.
    pub step: Step,
    /// What it means.
    pub state: State,
    /// A stable word for programs, such as `disk_low`.
    pub code: String,
    /// What was found and done.
    pub message: Told,
    /// What somebody has to do.
    pub remedy: Option<Told>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// To look only, and change nothing.
    pub dry_run: bool,
    /// The steps; empty means all.
    pub steps: BTreeSet<Step>,
    /// To restart OpenClaw's gateway.
    pub restart_openclaw: bool,
    /// To have OpenClaw clean its sessions up.
    pub clean_openclaw: bool,
}

impl Options {
    /// Everything, with or without changes, and nothing of OpenClaw changed.
    pub fn all(dry_run: bool) -> Self {
        Self { dry_run, steps: BTreeSet::new(), restart_openclaw: false, clean_openclaw: false }
    }

    /// The steps that are wanted, in their order.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        Step::ALL.iter().copied().filter(|step| self.steps.is_empty() || self.steps.contains(step))
    }
}

/// What a repair found and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When it began.
    pub began_at: UnixMs,
    /// When it ended.
    pub ended_at: UnixMs,
    /// Whether it only looked.
    pub dry_run: bool,
    /// The findings, step by step.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings mean this.
    pub fn count(&self, state: State) -> usize {
        self.findings.iter().filter(|finding| finding.state == state).count()
    }

    /// Whether somebody has to do something.
    pub fn needs_you(&self) -> bool {
        self.count(State::NeedsYou) > 0
    }
}

/// What a repair tells while it runs.
pub enum Event<'a> {
    /// A step begins.
    Begins(Step),
    /// Something was found.
    Found(&'a Finding),
}

/// Where the repair runs.
#[derive(Debug, Clone)]
pub enum Side {
    /// In the server.
    Server(LifeSigns),
    /// Beside it: in a command.
    Beside(ServerSeen),
}

/// The server as a command sees it from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerSeen {
    /// None runs on the folder.
    None,
    /// One runs; it has not said where.
    Somewhere,
    /// One runs there and answers, or does not.
    At(SocketAddr, bool),
}

/// What a repair works on.
#[derive(Clone)]
pub struct Place {
    /// The settings of this process.
    pub config: Arc<Config>,
    /// The data folder.
    pub folder: DataFolder,
    /// The database.
    pub db: Db,
    /// Channels, keys, chains and settings, and what is known of providers.
    pub catalog: CatalogStore,
    /// What each key may do: the server's own, or as it is saved.
    pub dispatch: Dispatch,
    /// The network to vendors.
    pub clients: Clients,
    /// The time.
    pub clock: Clock,
    /// Where the repair runs.
    pub side: Side,
}

impl Place {
    /// Whether a server runs on the folder.
    fn is_served(&self) -> bool {
        !matches!(self.side, Side::Beside(ServerSeen::None))
    }
}

/// Writes findings down.
struct Notes<'a> {
    step: Step,
    dry_run: bool,
    findings: Vec<Finding>,
    on: &'a mut (dyn FnMut(Event<'_>) + Send),
}

impl Notes<'_> {
    fn note(&mut self, state: State, code: &str, message: Told, remedy: Option<Told>) {
        if self.findings.len() >= MOST_FINDINGS {
            return;
        }
        let finding = Finding { step: self.step, state, code: code.to_owned(), message, remedy };
        (self.on)(Event::Found(&finding));
        self.findings.push(finding);
    }

    /// All is well.
    fn ok<T: Into<String>>(&mut self, code: &str, message: impl Fn(Repair) -> T) {
        self.note(State::Ok, code, Told::of(message), None);
    }

    /// It was done.
    fn fixed<T: Into<String>>(&mut self, code: &str, message: impl Fn(Repair) -> T) {
        self.note(State::Fixed, code, Told::of(message), None);
    }

    /// It would be done if it were no dry run.
    fn would_fix<T: Into<String>>(&mut self, code: &str, message: impl Fn(Repair) -> T) {
        self.note(State::WouldFix, code, Told::of(message), None);
    }

    /// Somebody has to do what `remedy` says.
    fn needs_you<T: Into<String>, U: Into<String>>(
        &mut self,
        code: &str,
        message: impl Fn(Repair) -> T,
        remedy: impl Fn(Repair) -> U,
    ) {
        self.note(State::NeedsYou, code, Told::of(message), Some(Told::of(remedy)));
    }

    /// It was not looked at.
    fn skipped<T: Into<String>>(&mut self, code: &str, message: impl Fn(Repair) -> T) {
        self.note(State::Skipped, code, Told::of(message), None);
    }
}

/// Takes the wanted steps, one after the other, and tells each finding as it is made. A step that fails is a finding; the
/// others follow. With a damaged database nothing is done that would write to it. Dropping the future ends it between two
/// acts, each of which is whole.
pub async fn run(place: &Place, options: &Options, on: &mut (dyn FnMut(Event<'_>) + Send)) -> Report {
    let began_at = place.clock.now();
    let mut notes = Notes { step: Step::Server, dry_run: options.dry_run, findings: Vec::new(), on };
    let mut sound = true;
    for step in options.steps() {
        notes.step = step;
        (notes.on)(Event::Begins(step));
        if !sound && step != Step::Config {
            notes.skipped("database_damaged", |t| t.skipped_damaged());
            continue;
        }
        match take(place, options, &mut notes, step).await {
            Ok(still_sound) => sound &= still_sound,
            Err(error) => storage_failed(&mut notes, &error),
        }
    }
    let findings = notes.findings;
    Report { began_at, ended_at: place.clock.now(), dry_run: options.dry_run, findings }
}

/// Takes one step; says whether the database is sound, as far as the step knows.
async fn take(place: &Place, options: &Options, notes: &mut Notes<'_>, step: Step) -> StorageResult<bool> {
    match step {
        Step::Server => return server::look(place, notes).await,
        Step::Keys => keys::prove(place, notes).await?,
        Step::Config => configuration::check(place, notes).await?,
        Step::Stuck => stuck::release(place, options, notes).await?,
        Step::Chains => chains::rebuild(place, notes).await?,
        Step::Space => space::make(place, notes).await?,
        Step::Reload => reload::reload(place, options, notes).await?,
    }
    Ok(true)
}

fn storage_failed(notes: &mut Notes<'_>, error: &StorageError) {
    let text = error.to_string();
    notes.needs_you("database_failed", |t| t.database_failed(&text), |t| t.database_failed_remedy());
}

/// A report of a folder whose database does not open, so that no step could be taken; `reason` is told for each language.
pub fn unopened<T: Into<String>>(
    options: &Options,
    now: UnixMs,
    reason: impl Fn(Repair) -> T,
    on: &mut (dyn FnMut(Event<'_>) + Send),
) -> Report {
    let mut notes = Notes { step: Step::Server, dry_run: options.dry_run, findings: Vec::new(), on };
    (notes.on)(Event::Begins(Step::Server));
    notes.needs_you("database_unusable", reason, |t| t.unusable_remedy());
    for step in options.steps().filter(|step| *step != Step::Server) {
        notes.step = step;
        (notes.on)(Event::Begins(step));
        notes.skipped("without_database", |t| t.skipped_unusable());
    }
    let findings = notes.findings;
    Report { began_at: now, ended_at: now, dry_run: options.dry_run, findings }
}

/// What is seen at a glance: the machine, the clock, the tasks; takes milliseconds and sends nothing.
pub fn glance(place: &Place) -> Vec<Finding> {
    let mut ignore = |_: Event<'_>| {};
    let mut notes = Notes { step: Step::Server, dry_run: true, findings: Vec::new(), on: &mut ignore };
    server::glance(place, &mut notes);
    notes.step = Step::Config;
    configuration::providers(place, &mut notes);
    notes.step = Step::Stuck;
    stuck::glance(place, &mut notes);
    notes.findings
}

/// The write-ahead log beside the database.
fn write_ahead_log(place: &Place) -> std::path::PathBuf {
    let mut log = place.folder.database().into_os_string();
    log.push("-wal");
    log.into()
}

/// Bytes for people, such as `1.5 MB`.
fn bytes(size: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    let mut value = size as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value >= 100.0 { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_cannot_steer_a_terminal_and_is_bounded() {
        let told = Told::of(|_| format!("a\u{1b}[2J{}", "x".repeat(5_000)));
        assert!(told.text(Lang::En).starts_with("a\\u{1b}[2Jx"));
        assert_eq!(told.text(Lang::Zh).chars().count(), MOST_CHARACTERS);
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [bytes(0), bytes(1536), bytes(300 << 20), bytes(5 << 40)],
            ["0.0 KB", "1.5 KB", "300 MB", "5.0 TB"]
        );
    }

    #[test]
    fn the_wanted_steps_come_in_their_order() {
        let mut options = Options::all(true);
        assert_eq!(options.steps().count(), 7);
        options.steps = [Step::Reload, Step::Keys].into();
        assert_eq!(options.steps().collect::<Vec<_>>(), [Step::Keys, Step::Reload]);
    }
}
