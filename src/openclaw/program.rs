//! The program `openclaw`: finding it, and running it within limits on time and output, without our secrets in its
//! environment.

use std::{
    env::split_paths,
    fs,
    io::{self, Read, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::{config, model::secret::Secret, upstream::outcome::mask_secrets};

/// The program.
const PROGRAM: &str = "openclaw";
/// How long a command may take: it starts a large program, which takes up to a minute on a busy machine.
const USUAL: Duration = Duration::from_secs(120);
/// How long a program that was asked to end has to do so.
const GRACE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Of each of its outputs so much is read; the rest is thrown away. OpenClaw takes files of 8 MiB.
const MOST_BYTES: usize = 8 << 20;
/// Of what it said, so many bytes are looked at and so many characters are shown.
const MOST_READ: usize = 64 * 1024;
const MOST_SHOWN: usize = 400;

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// It ended with this code.
    Ended(i32, Said),
    /// It ended by a signal that was not ours; what is known of that.
    Broke(String),
    /// It did not end in time, and was asked to.
    Late,
    /// It could not be started; why.
    Unstartable(String),
}

/// What a run said, up to 8 MiB of each output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its stdout. It may hold secrets.
    pub out: String,
    /// Its stderr. It may hold secrets.
    pub err: String,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Said").field(&self.shown()).finish()
    }
}

impl Said {
    /// All of it in a line, without colours, short, and without what may be a secret.
    pub fn shown(&self) -> String {
        let part = |text: &'_ str| text.floor_char_boundary(MOST_READ);
        shown(&format!("{}\n{}", &self.out[..part(&self.out)], &self.err[..part(&self.err)]))
    }

    /// The same without a secret that was given to it, whatever it looks like.
    pub fn shown_without(&self, secret: &Secret) -> String {
        let part = |text: &str| mask_secrets(&text[..text.floor_char_boundary(MOST_READ)], &[secret]);
        shown(&format!("{}\n{}", part(&self.out), part(&self.err)))
    }

    /// Whether the program says that it has no such command or option.
    pub fn is_unknown(&self) -> bool {
        let text = self.shown().to_lowercase();
        [
            "unknown option",
            "unknown command",
            "unexpected argument",
            "unrecognized option",
            "too many arguments",
        ]
        .iter()
        .any(|words| text.contains(words))
    }
}

/// A command of OpenClaw's.
#[derive(Debug, Clone)]
pub struct Call {
    words: Vec<String>,
    input: Option<Secret>,
    limit: Duration,
    must_end: bool,
}

impl Call {
    /// A command by its words, without input, with the usual two minutes.
    pub fn new<Word: Into<String>>(words: impl IntoIterator<Item = Word>) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self { words, input: None, limit: USUAL, must_end: false }
    }

    /// The same, with this text as its input.
    pub fn input(self, text: Secret) -> Self {
        Self { input: Some(text), ..self }
    }

    /// The same, with another limit on its time.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The same, but when its time is over it is killed if it does not end as it is asked to: for a command that writes, so
    /// that it does not write later. Others are left alone.
    pub fn must_end(self) -> Self {
        Self { must_end: true, ..self }
    }

    /// Its words, as in `config validate`.
    pub fn words(&self) -> String {
        self.words.join(" ")
    }
}

/// Where OpenClaw is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// The first one on this process's `PATH`.
    pub fn find() -> Option<Self> {
        Self::find_in(&config::environment("PATH")?)
    }

    fn find_in(path: &str) -> Option<Self> {
        // An entry that is not absolute depends on where the server was started.
        let folders = split_paths(path).filter(|folder| folder.is_absolute());
        folders.map(|folder| folder.join(PROGRAM)).find(|file| can_run(file)).map(Self)
    }

    /// The one at a path, if that is a file that can be run.
    pub fn at(path: &str) -> Option<Self> {
        // A bare name would be looked for on the path.
        let path = std::path::absolute(path).ok()?;
        can_run(&path).then_some(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs a command. Dropping the future leaves the run to its time limit, on a thread of its own.
    pub async fn run(&self, call: Call) -> Ran {
        let program = self.clone();
        let ran = tokio::task::spawn_blocking(move || program.run_blocking(call)).await;
        ran.unwrap_or_else(|error| Ran::Unstartable(error.to_string()))
    }

    fn run_blocking(&self, call: Call) -> Ran {
        let mut command = Command::new(&self.0);
        // Our own secrets are none of its business.
        for setting in config::TABLE.iter().filter(|setting| setting.kind == config::Kind::Secret) {
            command.env_remove(setting.name);
        }
        let started = command
            .args(&call.words)
            // Nobody is there to answer a question or to look at colours; and a check must not turn into an update.
            .env("NO_COLOR", "1")
            .env("CI", "1")
            .env("OPENCLAW_NO_AUTO_UPDATE", "1")
            .stdin(if call.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => return Ran::Unstartable(error.to_string()),
        };
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), call.input) {
            // On a thread: a program that does not read must not hold us. One that ends before it has read all of it
            // tells by its own words what it lacks.
            thread::spawn(move || drop(stdin.write_all(input.expose().as_bytes())));
        }
        let outputs = [child.stdout.take().map(reading), child.stderr.take().map(reading)];
        let status = match wait(&mut child, call.limit) {
            Ok(Some(status)) => status,
            Ok(None) => {
                end(&mut child, call.must_end);
                return Ran::Late;
            }
            Err(error) => return Ran::Unstartable(error.to_string()),
        };
        // What the program left running may hold its outputs open: they are waited for no longer than a moment.
        let until = Instant::now() + GRACE;
        let [out, err] = outputs.map(|output| output.and_then(|output| finished(output, until)));
        let said = Said { out: out.unwrap_or_default(), err: err.unwrap_or_default() };
        match status.code() {
            Some(code) => Ran::Ended(code, said),
            None => Ran::Broke(format!("{status}. {}", said.shown())),
        }
    }
}

fn can_run(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// What an output said, if it is over by then.
fn finished(output: thread::JoinHandle<String>, until: Instant) -> Option<String> {
    while !output.is_finished() && Instant::now() < until {
        thread::sleep(LOOK_AGAIN);
    }
    if output.is_finished() { output.join().ok() } else { None }
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
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
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

/// Asks our own child to end. If it does not, it is killed only if it must end; else it is left alone: it is read by nobody
/// any more, and holds nothing.
fn end(child: &mut Child, must_end: bool) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by now, which is what is wanted.
        let _ = kill_process(pid, Signal::TERM);
    }
    // Collects it if it ends, so that no dead entry stays in the table of processes.
    let ended = matches!(wait(child, GRACE), Ok(Some(_)));
    if must_end && !ended {
        let _ = child.kill();
        let _ = wait(child, GRACE);
    }
}

/// The lines of what a program said, without colours, short, and without what may be a secret.
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

    fn program(folder: &Path, script: &str) -> Program {
        let path = folder.join(PROGRAM);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program(path)
    }

    fn call(limit: Duration) -> Call {
        Call::new(["word"]).within(limit)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn it_is_found_in_absolute_folders_only_and_only_if_it_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Program::find_in(&folder.path().display().to_string()), None);
        let found = program(folder.path(), "exit 0");
        let list = format!("/nowhere:{}", folder.path().display());
        assert_eq!(Program::find_in(&list), Some(found.clone()));
        assert_eq!(Program::at(found.path().to_str().unwrap()), Some(found.clone()));
        fs::set_permissions(found.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Program::find_in(&list), None);
        assert_eq!(Program::at(found.path().to_str().unwrap()), None);
        assert_eq!(Program::find_in(".:"), None);
    }

    #[test]
    fn what_it_says_is_shown_without_colours_and_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(
            folder.path(),
            "printf '\\033[31mbad\\033[0m key sk-abcdef\\n'; echo token=0123456789abcdef0123456789abcdef >&2; exit 3",
        );
        let Ran::Ended(3, said) = program.run_blocking(call(LONG)) else { panic!() };
        assert_eq!(said.shown(), "bad key *** / ***");
        assert_eq!(format!("{said:?}"), r#"Said("bad key *** / ***")"#);
    }

    #[test]
    fn its_input_is_given_whole_and_only_there() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), "wc -c; echo \"$*\"");
        let text = "x".repeat(300_000);
        let Ran::Ended(0, said) = program.run_blocking(call(LONG).input(Secret::new(text))) else { panic!() };
        assert_eq!(said.out.split_whitespace().collect::<Vec<_>>(), ["300000", "word"]);
        let text = "x".repeat(300_000);
        let deaf = self::program(folder.path(), "exec 0<&-; exit 4");
        assert!(matches!(deaf.run_blocking(call(LONG).input(Secret::new(text))), Ran::Ended(4, _)));
    }

    #[test]
    fn one_that_does_not_end_is_asked_to_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), "exec sleep 60");
        let began = Instant::now();
        assert_eq!(program.run_blocking(call(Duration::from_millis(200))), Ran::Late);
        assert!(began.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn one_that_writes_is_killed_if_it_does_not_end() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("note");
        let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done", note.display());
        let program = program(folder.path(), &script);
        assert_eq!(program.run_blocking(call(Duration::from_secs(1)).must_end()), Ran::Late);
        let id = fs::read_to_string(&note).unwrap();
        assert!(!Path::new("/proc").join(id.trim()).exists());
    }

    #[test]
    fn one_that_talks_without_end_is_not_kept_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path(), "yes abc | head -c 30000000; exit 0");
        let Ran::Ended(0, said) = program.run_blocking(call(LONG)) else { panic!() };
        assert_eq!(said.out.len(), MOST_BYTES);
        assert_eq!(said.shown().chars().count(), MOST_SHOWN);
    }

    #[test]
    fn an_option_that_an_old_release_lacks_is_told_from_a_fault() {
        let said = |text: &str| Said { err: text.into(), ..Said::default() };
        assert!(said("error: unknown option '--lint'").is_unknown());
        assert!(!said("gateway.mode is unset").is_unknown());
    }
}
