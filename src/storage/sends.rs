//! Which calls went out since the pool's state was last saved: lines in a small file, written before each call.
//!
//! A line is one `write` and survives the death of the process (not of the power supply), so that a start after a crash knows
//! what the keys' limits were used for. There are two files: while the state is being saved, new calls go to a new one, and
//! the old one is deleted when the state is in the database.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
    },
    scheduler::{limit::Cost, pool::Sent},
};

const NEW: &str = "sends.log";
const OLD: &str = "sends.old.log";

/// The most that is written to a file: some hundred thousand calls. Only a database that cannot be written to for long lets it
/// grow so much.
const MAX_BYTES: u64 = 16 << 20;

/// The files of a data folder, for one writer.
#[derive(Debug)]
pub struct SendLog {
    folder: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Where calls are noted; `None` if that cannot be written.
    file: Option<File>,
    bytes: u64,
    complained: bool,
}

impl SendLog {
    /// Goes on in a folder: what an earlier run left stays until [`forget`](Self::forget).
    pub fn open(folder: &Path) -> Self {
        let log = Self { folder: folder.to_owned(), open: Mutex::default() };
        {
            let mut open = log.lock();
            if let Err(error) = keep_old(folder).and_then(|()| open.begin(folder)) {
                open.complain(&error);
            }
        }
        log
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call that goes out now. What cannot be written is said once, in the log, and stops no call.
    pub fn note(&self, sent: &Sent) {
        let Cost { input_tokens, tokens, most_tokens, units } = sent.cost;
        let (at, channel, key, model) = (sent.at.0, sent.channel.0, sent.key.0, &sent.model);
        if model.contains(['\n', '\r']) {
            return;
        }
        // On a line of its own, also after one of which a full disk took only a part.
        let line = format!("\n{at} {channel} {key} {input_tokens} {tokens} {most_tokens} {units} {model}\n");
        let mut open = self.lock();
        if open.bytes >= MAX_BYTES {
            return;
        }
        let Some(file) = &mut open.file else { return };
        match file.write_all(line.as_bytes()) {
            Ok(()) => open.bytes += line.len() as u64,
            Err(error) => open.complain(&error),
        }
    }

    /// Begins a new file, so that what is saved from now on covers the old one. While an old one is still there, it goes on
    /// in the present one.
    pub fn turn(&self) {
        let mut open = self.lock();
        if open.bytes == 0 && open.file.is_some() || self.folder.join(OLD).exists() {
            return;
        }
        let turned = fs::rename(self.folder.join(NEW), self.folder.join(OLD));
        let turned = turned.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        });
        if let Err(error) = turned.and_then(|()| open.begin(&self.folder)) {
            open.complain(&error);
        }
    }

    /// Forgets what was noted before the last [`turn`](Self::turn): it is saved elsewhere.
    pub fn forget(&self) {
        match fs::remove_file(self.folder.join(OLD)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.lock().complain(&error),
            _ => {}
        }
    }
}

impl Open {
    fn begin(&mut self, folder: &Path) -> io::Result<()> {
        self.file = None;
        self.bytes = 0;
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        self.file = Some(options.open(folder.join(NEW))?);
        Ok(())
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            self.complained = true;
            tracing::warn!(%error, "cannot note which calls go out; after a crash, keys may be asked more than they allow");
        }
    }
}

/// Moves what is in the new file to the old one.
fn keep_old(folder: &Path) -> io::Result<()> {
    let new = match fs::read(folder.join(NEW)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut old = options.open(folder.join(OLD))?;
    // The last line of a run that was killed may be torn.
    old.write_all(b"\n")?;
    old.write_all(&new)?;
    fs::remove_file(folder.join(NEW))
}

/// What was noted in a folder, the oldest first; `None` if nothing was ever noted there. Lines that do not read back are left
/// out.
pub fn noted(folder: &Path) -> Option<Vec<Sent>> {
    let mut found = false;
    let mut all = Vec::new();
    for name in [OLD, NEW] {
        let Ok(file) = File::open(folder.join(name)) else { continue };
        found = true;
        let mut bytes = Vec::new();
        if file.take(2 * MAX_BYTES).read_to_end(&mut bytes).is_ok() {
            all.extend(String::from_utf8_lossy(&bytes).lines().filter_map(sent));
        }
    }
    all.sort_by_key(|sent: &Sent| sent.at);
    found.then_some(all)
}

fn sent(line: &str) -> Option<Sent> {
    let mut parts = line.splitn(8, ' ');
    let at = UnixMs(parts.next()?.parse().ok()?);
    let channel = ChannelId(parts.next()?.parse().ok()?);
    let key = KeyId(parts.next()?.parse().ok()?);
    let mut number = || parts.next()?.parse().ok();
    let cost = Cost { input_tokens: number()?, tokens: number()?, most_tokens: number()?, units: number()? };
    Some(Sent { at, channel, key, cost, model: parts.next()?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(at: i64) -> Sent {
        let cost = Cost { input_tokens: 7, tokens: 9, most_tokens: 11, units: 0 };
        Sent { at: UnixMs(at), channel: ChannelId(1), key: KeyId(2), model: "a model".into(), cost }
    }

    #[test]
    fn what_was_sent_since_the_last_save_reads_back_after_a_crash_and_what_was_saved_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(noted(folder.path()), None);
        let log = SendLog::open(folder.path());
        log.note(&call(1));
        log.turn();
        log.note(&call(2));
        assert_eq!(noted(folder.path()), Some(vec![call(1), call(2)]), "it is not saved yet");
        log.forget();
        assert_eq!(noted(folder.path()), Some(vec![call(2)]));
        // A disk that was full took a part of a line.
        OpenOptions::new().append(true).open(folder.path().join(NEW)).unwrap().write_all(b"3 1 2").unwrap();
        log.note(&call(3));
        assert_eq!(noted(folder.path()), Some(vec![call(2), call(3)]));
        drop(log);

        // A crash in the middle of a line, and a second one before anything was saved.
        fs::write(folder.path().join(NEW), "2 1 2 7 9 11 0 a model\n3 1 2 7").unwrap();
        drop(SendLog::open(folder.path()));
        let log = SendLog::open(folder.path());
        log.note(&call(4));
        assert_eq!(noted(folder.path()), Some(vec![call(2), call(4)]));
        // What is there from before keeps the present file: it is forgotten first.
        log.turn();
        log.forget();
        assert_eq!(noted(folder.path()), Some(vec![call(4)]));
        log.turn();
        log.forget();
        assert_eq!(noted(folder.path()), Some(Vec::new()));
    }
}
