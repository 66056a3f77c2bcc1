//! A copy of OpenClaw's configuration, kept beside the file while it is changed and afterwards.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::model::time::UnixMs;

/// What the names of copies have between the file's own name and the time.
const MARK: &str = ".onepool-";
const END: &str = ".bak";
/// So many copies are kept; the oldest go.
const MOST_COPIES: usize = 5;

/// A file as it was.
pub struct Kept {
    path: PathBuf,
    /// The copy; `None` if there was no file.
    copy: Option<PathBuf>,
}

impl Kept {
    /// Copies a file to `<name>.onepool-<time>.bak` beside it, readable by its owner only. Of older copies the last few stay.
    ///
    /// # Errors
    /// A file that cannot be read, or a folder that cannot be written.
    pub fn of(path: &Path, now: UnixMs) -> io::Result<Self> {
        let mut kept = Self { path: path.to_owned(), copy: None };
        let bytes = match fs::read(path) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(kept),
            Err(error) => return Err(error),
        };
        let time = now.timestamp().strftime("%Y%m%dT%H%M%S%.3fZ").to_string().replace('.', "");
        let copy = beside(path, &format!("{MARK}{time}{END}"));
        write_private(&copy, &bytes)?;
        kept.copy = Some(copy);
        kept.thin_out();
        Ok(kept)
    }

    /// The copy, if there was a file.
    pub fn copy(&self) -> Option<&Path> {
        self.copy.as_deref()
    }

    /// Whether the file is as it was.
    pub fn is_unchanged(&self) -> bool {
        match &self.copy {
            None => !self.path.exists(),
            Some(copy) => {
                matches!((fs::read(&self.path), fs::read(copy)), (Ok(now), Ok(then)) if now == then)
            }
        }
    }

    /// Puts the file back as it was. One that was not there before is moved aside, to `<name>.onepool-refused`.
    ///
    /// # Errors
    /// A folder that cannot be written; the copy is still there then.
    pub fn restore(&self) -> io::Result<()> {
        let Some(copy) = &self.copy else {
            return match fs::rename(&self.path, beside(&self.path, ".onepool-refused")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        };
        // By a rename, so that nobody ever reads half a file.
        let draft = beside(&self.path, ".onepool-draft");
        let _ = fs::remove_file(&draft);
        write_private(&draft, &zeroize::Zeroizing::new(fs::read(copy)?))?;
        fs::rename(&draft, &self.path)
    }

    /// Forgets the copy of a file that did not change.
    pub fn discard(self) {
        if let Some(copy) = self.copy {
            // One copy too many does no harm.
            let _ = fs::remove_file(copy);
        }
    }

    /// Deletes all copies but the last few.
    fn thin_out(&self) {
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name()) else { return };
        let start = format!("{}{MARK}", name.to_string_lossy());
        let Ok(entries) = fs::read_dir(folder) else { return };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut copies: Vec<String> =
            names.filter(|name| name.starts_with(&start) && name.ends_with(END)).collect();
        // The names hold the time, so their order is that of their age.
        copies.sort_unstable();
        for old in copies.iter().rev().skip(MOST_COPIES) {
            let _ = fs::remove_file(folder.join(old));
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(end);
    path.with_file_name(name)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_put_back_as_it_was_and_only_a_few_copies_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openclaw.json");
        for round in 0..8 {
            fs::write(&path, format!("{round}")).unwrap();
            let kept = Kept::of(&path, UnixMs(1_700_000_000_000 + round)).unwrap();
            assert!(kept.is_unchanged());
            assert_eq!(kept.copy().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
            fs::write(&path, "other").unwrap();
            assert!(!kept.is_unchanged());
            kept.restore().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{round}"));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + MOST_COPIES);
    }

    #[test]
    fn a_file_that_was_not_there_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("openclaw.json");
        let kept = Kept::of(&path, UnixMs(0)).unwrap();
        assert!(kept.copy().is_none() && kept.is_unchanged());
        kept.restore().unwrap();
        fs::write(&path, "new").unwrap();
        assert!(!kept.is_unchanged());
        kept.restore().unwrap();
        assert!(!path.exists() && folder.path().join("openclaw.json.onepool-refused").exists());
    }
}
