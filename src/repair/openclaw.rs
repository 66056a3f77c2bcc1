//! OpenClaw on this machine: its own checks of itself, run as it offers them. Only what OpenClaw calls read-only is run
//! unless somebody asks for more; each run has a time limit and ends with it.
//!
//! The commands are those of <https://docs.openclaw.ai/cli>: `config validate`, `doctor --lint` (reads only; plain
//! `doctor` may migrate files), `sessions cleanup` and `gateway restart`.

use std::{
    env::split_paths,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::{Notes, Options};
use crate::config;

/// The program.
const PROGRAM: &str = "openclaw";
/// How long a check may take: it starts a large program, which takes up to a minute on a busy machine.
const CHECK: Duration = Duration::from_secs(120);
/// How long a restart may take: a safe one waits up to five minutes for work that runs.
const RESTART: Duration = Duration::from_secs(400);
/// How long a program that was asked to end has to do so.
const GRACE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Of each of its outputs so much is read; the rest is thrown away.
const MOST_BYTES: usize = 64 * 1024;
/// Of what it said, so many characters are shown.
const MOST_SHOWN: usize = 400;

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ran {
    /// It ended with this code.
    Ended(i32, String),
    /// It ended by a signal that was not ours.
    Broke(String),
    /// It did not end in time, and was asked to.
    Late,
    /// It could not be started.
    Unstartable(String),
}

/// Where OpenClaw is, if it is on this machine's `PATH`.
pub fn find() -> Option<PathBuf> {
    find_in(&config::environment("PATH")?)
}

fn find_in(path: &str) -> Option<PathBuf> {
    // An entry that is not absolute depends on where the server was started.
    let folders = split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(PROGRAM)).find(|file| {
        fs::metadata(file)
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    })
}

/// Step 3: does OpenClaw accept its configuration, and is it content with itself? Reads only.
pub async fn config(notes: &mut Notes<'_>) {
    let Some(program) = find() else {
        notes.skipped("openclaw_absent", |t| t.openclaw_absent());
        return;
    };
    match run(&program, &["config", "validate"], CHECK).await {
        Ran::Ended(0, _) => notes.ok("openclaw_config_valid", |t| t.openclaw_config_valid()),
        Ran::Ended(_, text) => notes.needs_you(
            "openclaw_config_invalid",
            |t| t.openclaw_config_invalid(&text),
            |t| t.openclaw_config_remedy(),
        ),
        other => failed(notes, "config validate", &other),
    }
    match run(&program, &["doctor", "--lint"], CHECK).await {
        Ran::Ended(0, _) => notes.ok("openclaw_doctor_content", |t| t.openclaw_doctor_content()),
        Ran::Ended(_, text) if is_unknown(&text) => {
            notes.skipped("openclaw_too_old", |t| t.openclaw_too_old("doctor --lint"));
        }
        Ran::Ended(1, text) => notes.needs_you(
            "openclaw_doctor_complains",
            |t| t.openclaw_doctor_complains(&text),
            |t| t.openclaw_doctor_remedy(),
        ),
        other => failed(notes, "doctor --lint", &other),
    }
}

/// Step 4: OpenClaw's own clean-up of its sessions, which is only looked at unless it was asked for.
pub async fn sessions(options: &Options, notes: &mut Notes<'_>) {
    // Step 3 tells that OpenClaw is absent.
    let Some(program) = find() else { return };
    let clean = options.clean_openclaw && !notes.dry_run;
    let words: &[&str] = if clean {
        &["sessions", "cleanup", "--all-agents"]
    } else {
        &["sessions", "cleanup", "--all-agents", "--dry-run"]
    };
    match run(&program, words, CHECK).await {
        Ran::Ended(0, text) if clean => notes.fixed("openclaw_cleaned", |t| t.openclaw_cleaned(&text)),
        Ran::Ended(0, text) => notes.ok("openclaw_sessions", |t| t.openclaw_sessions(&text)),
        Ran::Ended(_, text) if is_unknown(&text) => {
            notes.skipped("openclaw_too_old", |t| t.openclaw_too_old("sessions cleanup"));
        }
        other => failed(notes, "sessions cleanup", &other),
    }
}

/// Step 7: a restart of OpenClaw's gateway, which lets work that runs come to its end first.
pub async fn restart(notes: &mut Notes<'_>) {
    let Some(program) = find() else {
        notes.needs_you("openclaw_absent", |t| t.openclaw_absent(), |t| t.openclaw_absent_remedy());
        return;
    };
    if notes.dry_run {
        notes.would_fix("openclaw_would_restart", |t| t.openclaw_would_restart());
        return;
    }
    let mut ran = run(&program, &["gateway", "restart", "--safe"], RESTART).await;
    if let Ran::Ended(code, text) = &ran
        && *code != 0
        && is_unknown(text)
    {
        // Releases before `--safe` have the plain restart only.
        ran = run(&program, &["gateway", "restart"], RESTART).await;
    }
    match ran {
        Ran::Ended(0, _) => notes.fixed("openclaw_restarted", |t| t.openclaw_restarted()),
        Ran::Ended(_, text) => notes.needs_you(
            "openclaw_not_restarted",
            |t| t.openclaw_not_restarted(&text),
            |t| t.openclaw_restart_remedy(),
        ),
        other => failed(notes, "gateway restart", &other),
    }
}

fn failed(notes: &mut Notes<'_>, words: &str, ran: &Ran) {
    match ran {
        Ran::Late => notes.skipped("openclaw_late", |t| t.openclaw_late(words)),
        Ran::Ended(_, text) | Ran::Broke(text) | Ran::Unstartable(text) => notes.needs_you(
            "openclaw_failed",
            |t| t.openclaw_failed(words, text),
            |t| t.openclaw_failed_remedy(),
        ),
    }
}

/// Whether a program says that it has no such command or option.
fn is_unknown(text: &str) -> bool {
    let text = text.to_lowercase();
    ["unknown option", "unknown command", "unexpected argument", "unrecognized option", "too many arguments"]
        .iter()
        .any(|words| text.contains(words))
}

/// Runs a program without input. Dropping the future leaves the run to its time limit, on a thread of its own.
async fn run(program: &Path, words: &'static [&'static str], limit: Duration) -> Ran {
    let program = program.to_owned();
    let ran = tokio::task::spawn_blocking(move || run_blocking(&program, words, limit)).await;
    ran.unwrap_or_else(|error| Ran::Unstartable(error.to_string()))
}

fn run_blocking(program: &Path, words: &[&str], limit: Duration) -> Ran {
    let mut command = Command::new(program);
    // Our own secrets are none of its business.
    for setting in config::TABLE.iter().filter(|setting| setting.kind == config::Kind::Secret) {
        command.env_remove(setting.name);
    }
    let started = command
        .args(words)
        // Nobody is there to answer a question or to look at colours; and a check must not turn into an update.
        .env("NO_COLOR", "1")
        .env("CI", "1")
        .env("OPENCLAW_NO_AUTO_UPDATE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return Ran::Unstartable(error.to_string()),
    };
    let outputs = [child.stdout.take().map(reading), child.stderr.take().map(reading)];
    let status = match wait(&mut child, limit) {
        Ok(Some(status)) => status,
        Ok(None) => {
            end(&mut child);
            return Ran::Late;
        }
        Err(error) => return Ran::Unstartable(error.to_string()),
    };
    // What the program left running may hold its outputs open: they are waited for no longer than a moment.
    let until = Instant::now() + GRACE;
    let mut text = String::new();
    for output in outputs.into_iter().flatten() {
        while !output.is_finished() && Instant::now() < until {
            thread::sleep(LOOK_AGAIN);
        }
        if output.is_finished()
            && let Ok(read) = output.join()
        {
            text.push_str(&read);
            text.push('\n');
        }
    }
    let text = shown(&text);
    match status.code() {
        Some(code) => Ran::Ended(code, text),
        None => Ran::Broke(format!("{status}. {text}")),
    }
}

/// Reads an output to its end, and keeps its beginning.
fn reading(mut output: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let (mut kept, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count) = output.read(&mut piece) {
            if count == 0 {
                break;
            }
            let room = MOST_BYTES - kept.len().min(MOST_BYTES);
            kept.extend_from_slice(&piece[..count.min(room)]);
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// Waits until a program ends; `None` if it does not in time.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Asks our own child to end, and leaves it alone if it does not: it is read by nobody any more, and holds nothing.
fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by now, which is what is wanted.
        let _ = kill_process(pid, Signal::TERM);
    }
    // Collects it if it ends, so that no dead entry stays in the table of processes.
    let _ = wait(child, GRACE);
}

/// The last lines of what a program said, without colours, short, and without what may be a secret.
fn shown(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            // The rest of a colour: up to its letter.
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(letter);
        }
    }
    let lines = plain.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let words = lines.collect::<Vec<_>>().join(" / ");
    let words = words.split(' ').map(masked).collect::<Vec<_>>().join(" ");
    if words.chars().count() <= MOST_SHOWN {
        return words;
    }
    words.chars().take(MOST_SHOWN - 1).chain(['…']).collect()
}

/// A word, unless it is long and looks like a credential.
fn masked(word: &str) -> String {
    let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let has = |wanted: fn(&char) -> bool| bare.chars().any(|letter| wanted(&letter));
    let is_dense = !bare.contains(['/', '.', '\\']);
    let looks_secret = bare.starts_with("sk-")
        || (bare.len() >= 32 && is_dense && has(char::is_ascii_digit) && has(char::is_ascii_alphabetic));
    if looks_secret { "***".to_owned() } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join(PROGRAM);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn it_is_found_in_absolute_folders_only_and_only_if_it_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find_in(&folder.path().display().to_string()), None);
        let path = program(folder.path(), "exit 0");
        let list = format!("/nowhere:{}", folder.path().display());
        assert_eq!(find_in(&list), Some(path.clone()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find_in(&list), None);
        assert_eq!(find_in(".:"), None);
    }

    #[test]
    fn what_it_says_is_shown_without_colours_and_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(
            folder.path(),
            "printf '\\033[31mbad\\033[0m key sk-abcdef\\n'; echo token=0123456789abcdef0123456789abcdef >&2; exit 3",
        );
        let ran = run_blocking(&path, &[], Duration::from_secs(20));
        assert_eq!(ran, Ran::Ended(3, "bad key *** / ***".into()));
    }

    #[test]
    fn one_that_does_not_end_is_asked_to_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), "exec sleep 60");
        let began = Instant::now();
        assert_eq!(run_blocking(&path, &[], Duration::from_millis(200)), Ran::Late);
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn one_that_talks_without_end_is_not_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = program(folder.path(), "yes abc | head -c 3000000; exit 0");
        let Ran::Ended(0, text) = run_blocking(&path, &[], Duration::from_secs(20)) else { panic!() };
        assert_eq!(text.chars().count(), MOST_SHOWN);
    }

    #[test]
    fn an_option_that_an_old_release_lacks_is_told_from_a_fault() {
        assert!(is_unknown("error: unknown option '--lint'"));
        assert!(!is_unknown("gateway.mode is unset"));
    }
}
