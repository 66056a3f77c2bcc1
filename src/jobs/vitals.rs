//! What the running server notes of itself for commands: which background tasks died, what calls hold for too long, how its
//! clock runs. It lies in a file of the data folder, so that it can be read without a credential, and also when the
//! server no longer answers: an old note is a sign of its own.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{dispatch::Dispatch, model::time::UnixMs, storage::folder::DataFolder};

/// How often the note is written.
const EVERY: Duration = Duration::from_secs(20);
/// A note that is older than this is one of a server that hangs.
pub const STALE: Duration = Duration::from_secs(90);
/// No call lives longer: an answer may take two hours, and what comes before it has its own limits.
pub const LONGEST_CALL: Duration = Duration::from_secs(3 * 3600);
/// The file, in the data folder.
const FILE: &str = "vitals.json";
/// The largest note that is read.
const MOST_BYTES: u64 = 64 * 1024;

/// What a server notes of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// When it was noted.
    pub at: UnixMs,
    /// The time of day less the steady time, in milliseconds: not zero if the clock was set, or the machine slept, since
    /// the start.
    pub drift_ms: i64,
    /// Calls that wait for a key.
    pub waiting: usize,
    /// Calls under way.
    pub under_way: usize,
    /// Calls that hold something for longer than any call may live.
    pub stuck: usize,
    /// Background tasks that died.
    pub died: Vec<String>,
    /// The last sweep that a command asked for, by its word, and how many stuck calls it released.
    pub swept: Option<(String, usize)>,
}

/// Which background tasks there are, and what commands have asked for. Cheap to clone; all clones agree.
#[derive(Debug, Clone, Default)]
pub struct LifeSigns(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    tasks: BTreeMap<&'static str, bool>,
    swept: Option<(String, usize)>,
}

impl LifeSigns {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a task begins.
    pub fn began(&self, name: &'static str) {
        self.known().tasks.insert(name, false);
    }

    /// Notes that a task came to its end, or died.
    pub fn ended(&self, name: &'static str, died: bool) {
        if died {
            self.known().tasks.insert(name, true);
            self.0.changed.notify_one();
        }
    }

    /// Notes that a sweep is done, by the word of the command that asked for it, and how many stuck calls it released.
    pub fn swept(&self, word: String, released: usize) {
        self.known().swept = Some((word, released));
        self.0.changed.notify_one();
    }

    /// The tasks that died.
    pub fn died(&self) -> Vec<String> {
        let known = self.known();
        known.tasks.iter().filter(|(_, died)| **died).map(|(name, _)| (*name).to_owned()).collect()
    }
}

impl Vitals {
    /// How the process does now.
    pub fn of(dispatch: &Dispatch, signs: &LifeSigns) -> Self {
        let now = dispatch.now();
        let under_way = dispatch.lock().under_way().len();
        Self {
            at: now.wall,
            drift_ms: now.wall.0 - now.steady.0,
            waiting: dispatch.waiting(),
            under_way,
            stuck: dispatch.stuck(LONGEST_CALL).len(),
            died: signs.died(),
            swept: signs.known().swept.clone(),
        }
    }

    /// What the server on a folder noted last. `None` if there is nothing that can be read. Blocks.
    pub fn noted(folder: &DataFolder) -> Option<Self> {
        let file = fs::File::open(folder.path().join(FILE)).ok()?;
        serde_json::from_reader(io::Read::take(file, MOST_BYTES)).ok()
    }

    /// Replaces the note in one step.
    fn note(&self, folder: &DataFolder) -> io::Result<()> {
        let (path, draft) = paths(folder);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        serde_json::to_writer(file, self)?;
        fs::rename(draft, path)
    }
}

fn paths(folder: &DataFolder) -> (PathBuf, PathBuf) {
    (folder.path().join(FILE), folder.path().join(format!("{FILE}.new")))
}

/// Notes the vitals three times a minute, and at once when a task died or a sweep is done. A server that ends in good
/// order takes the note away.
pub async fn run(folder: DataFolder, dispatch: Dispatch, signs: LifeSigns, stopping: CancellationToken) {
    let mut failed = false;
    loop {
        let (vitals, place) = (Vitals::of(&dispatch, &signs), folder.clone());
        let noted = tokio::task::spawn_blocking(move || vitals.note(&place)).await;
        match noted.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(()) => failed = false,
            Err(error) => {
                if !failed {
                    tracing::warn!(%error, "cannot note the vitals for `onepool repair`");
                }
                failed = true;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = signs.0.changed.notified() => {}
            () = stopping.cancelled() => break,
        }
    }
    // Nobody misses it if it is gone already.
    let _ = fs::remove_file(paths(&folder).0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Clock;

    #[tokio::test]
    async fn a_command_reads_which_task_died_and_that_its_sweep_is_done() {
        let path = tempfile::tempdir().unwrap();
        let folder = DataFolder::create(path.path()).unwrap();
        let (dispatch, signs) = (Dispatch::new(Clock::system()), LifeSigns::default());
        let stopping = CancellationToken::new();
        assert_eq!(Vitals::noted(&folder), None);
        let running = run(folder.clone(), dispatch, signs.clone(), stopping.clone());
        let asking = async {
            signs.began("follow");
            signs.began("backups");
            signs.ended("follow", false);
            signs.ended("backups", true);
            signs.swept("a word".into(), 0);
            let seen = loop {
                match Vitals::noted(&folder) {
                    Some(vitals) if vitals.swept.is_some() => break vitals,
                    _ => tokio::task::yield_now().await,
                }
            };
            stopping.cancel();
            seen
        };
        let ((), seen) = tokio::join!(running, asking);
        assert_eq!(seen.died, ["backups"]);
        assert_eq!(seen.swept, Some(("a word".to_owned(), 0)));
        assert!(seen.drift_ms.abs() < 1_000);
        assert_eq!(Vitals::noted(&folder), None, "a server that ended well leaves no note");
    }
}
