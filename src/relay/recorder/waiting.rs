//! Looks at the journal from outside: how many rows wait for the database, and since when.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::model::time::UnixMs;

/// Rows of the usage log that are in the journal. A server that works copies them within a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many.
    pub rows: u64,
    /// When the oldest call arrived.
    pub oldest_at: Option<UnixMs>,
}

/// Counts the rows in a journal's folder, which a server may be writing to. No folder is an empty one. Blocks.
pub fn waiting(folder: &Path) -> io::Result<Waiting> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Waiting::default()),
        Err(error) => return Err(error),
    };
    let mut segments: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    let mut waiting = Waiting::default();
    for path in segments {
        let file = match File::open(&path) {
            Ok(file) => file,
            // Copied meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            // A line that is being written has no end yet.
            if line.last() == Some(&b'\n') {
                waiting.rows += 1;
                if waiting.oldest_at.is_none() {
                    waiting.oldest_at = arrival(&line);
                }
            }
            line.clear();
        }
    }
    Ok(waiting)
}

/// When the call of a line (its checksum, a space, JSON) arrived.
fn arrival(line: &[u8]) -> Option<UnixMs> {
    #[derive(Deserialize)]
    struct Arrival {
        at: UnixMs,
    }
    let json = line.splitn(2, |byte| *byte == b' ').nth(1)?;
    serde_json::from_slice::<Arrival>(json).ok().map(|arrival| arrival.at)
}

#[cfg(test)]
mod tests {
    use super::{super::journal::encode, *};
    use crate::{model::usage::UsageRecord, storage::recording::tests::record};

    #[test]
    fn whole_rows_are_counted_and_the_oldest_is_dated() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(waiting(&folder.path().join("none")).unwrap(), Waiting::default());
        let line = |number, at| encode(&UsageRecord { at: UnixMs(at), ..record(number) });
        fs::write(folder.path().join("lock"), "").unwrap();
        fs::write(
            folder.path().join("00000000000000000002.log"),
            [line(3, 30), line(4, 40)[..9].to_vec()].concat(),
        )
        .unwrap();
        fs::write(folder.path().join("00000000000000000001.log"), [line(1, 10), line(2, 20)].concat())
            .unwrap();
        fs::write(folder.path().join("00000000000000000000.bad"), line(9, 1)).unwrap();
        assert_eq!(waiting(folder.path()).unwrap(), Waiting { rows: 3, oldest_at: Some(UnixMs(10)) });
    }
}
