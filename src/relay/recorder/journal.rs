//! The journal's files: numbered segments of lines, one usage row each.
//!
//! A line is `<FNV-1a 64 of the JSON, 16 hex digits> <JSON>\n`. JSON holds no raw line break, so reading can go on at
//! the next line after a damaged one. All functions here block.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
};

use super::Kept;
use crate::model::usage::UsageRecord;

/// The journal's folder, the segment that is being written, and those that wait to be copied to the database.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    /// A segment of this many bytes is followed by a new one.
    segment_bytes: u64,
    /// `None` until the folder could be opened.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    /// Held, so that a second process can't copy and delete the segment that this one is writing.
    _lock: File,
    next: u64,
    current: Option<Current>,
    sealed: VecDeque<Segment>,
}

#[derive(Debug)]
struct Current {
    file: File,
    bytes: u64,
    segment: Segment,
    /// The rows that it holds.
    kept: Kept,
}

/// A segment that is no longer written to.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its last row, see [`super::Queue`]; 0 for a segment of an earlier run.
    pub last_row: u64,
    /// Its rows, if they are in memory, to be copied from there.
    pub kept: Option<Vec<UsageRecord>>,
}

/// What one segment holds.
#[derive(Debug)]
pub(super) struct Contents {
    /// Its readable rows, in order.
    pub rows: Vec<UsageRecord>,
    /// What could not be read.
    pub damage: Damage,
}

/// What of a segment could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// Nothing.
    None,
    /// Its end, as after a write that was cut short: that row was not confirmed to anyone.
    TornTail,
    /// This many lines that were whole once.
    Lines(usize),
}

/// The number that all rows of earlier runs together count as, which are copied when the last of their segments is.
pub(super) const REPLAYED: u64 = 1;

impl Journal {
    pub(super) fn new(folder: PathBuf, segment_bytes: u64) -> Self {
        Self { folder, segment_bytes, open: None }
    }

    /// Appends whole lines with one `write`; `last_row` is the number of the last of them. After an error nothing of
    /// them is in the journal, and the call may be repeated. Takes the `records` of the lines, for when they are copied
    /// soon; those of a full segment are dropped, since the database may be far behind.
    pub(super) fn append(&mut self, lines: &[u8], records: &mut Kept, last_row: u64) -> io::Result<()> {
        let (folder, segment_bytes) = (self.folder.clone(), self.segment_bytes);
        let open = self.open()?;
        let mut current = match open.current.take() {
            Some(current) => current,
            None => {
                let path = folder.join(format!("{:020}.log", open.next));
                let file = private(OpenOptions::new().append(true).create_new(true)).open(&path)?;
                open.next += 1;
                Current {
                    file,
                    bytes: 0,
                    segment: Segment { path, last_row, kept: None },
                    kept: Kept::default(),
                }
            }
        };
        match current.file.write_all(lines) {
            Ok(()) => {
                current.bytes += lines.len() as u64;
                current.segment.last_row = last_row;
                current.kept.add(std::mem::take(records));
                if current.bytes >= segment_bytes {
                    open.sealed.push_back(current.segment);
                } else {
                    open.current = Some(current);
                }
                Ok(())
            }
            Err(error) => {
                // A part may have been written. Cut it off, or leave it as a torn tail and go on in a new segment.
                if current.file.set_len(current.bytes).is_ok() {
                    open.current = Some(current);
                } else if current.bytes > 0 || fs::remove_file(&current.segment.path).is_err() {
                    open.sealed.push_back(current.segment);
                }
                Err(error)
            }
        }
    }

    /// The oldest segment that waits to be copied. If there is none and `seal` is set, the one that is being written,
    /// which is then no longer written to.
    pub(super) fn oldest(&mut self, seal: bool) -> io::Result<Option<Segment>> {
        let open = self.open()?;
        if seal
            && open.sealed.is_empty()
            && let Some(Current { segment, kept, .. }) = open.current.take_if(|current| current.bytes > 0)
        {
            // Only what is copied now is kept in memory.
            open.sealed.push_back(segment.clone());
            return Ok(Some(Segment { kept: kept.0, ..segment }));
        }
        Ok(open.sealed.front().cloned())
    }

    /// Forgets the oldest segment: deletes it, or with `keep` sets it aside as `.bad`.
    pub(super) fn finish(&mut self, segment: &Segment, keep: bool) -> io::Result<()> {
        let done = if keep {
            fs::rename(&segment.path, segment.path.with_extension("bad"))
        } else {
            fs::remove_file(&segment.path)
        };
        match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(open) = &mut self.open {
            open.sealed.retain(|waiting| waiting.path != segment.path);
        }
        Ok(())
    }

    /// Closes all files and lets another process have the folder.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    fn open(&mut self) -> io::Result<&mut Open> {
        if self.open.is_none() {
            self.open = Some(Open::new(&self.folder)?);
        }
        self.open.as_mut().ok_or_else(|| io::Error::other("the journal is closed"))
    }
}

impl Open {
    fn new(folder: &Path) -> io::Result<Self> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(folder)?;
        let lock =
            private(OpenOptions::new().write(true).create(true).truncate(false)).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another OnePool process is using this data folder"));
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "cannot lock the journal: see to it that no second process uses its folder");
            }
        }
        let mut found = Vec::new();
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let number =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            let Some(number) = number else { continue };
            last = last.max(number);
            if path.extension().is_some_and(|extension| extension == "log") {
                found.push((number, path));
            }
        }
        found.sort();
        let sealed = found.into_iter().map(|(_, path)| Segment { path, last_row: 0, kept: None }).collect();
        Ok(Self { _lock: lock, next: last + 1, current: None, sealed })
    }
}

/// Files that only the server's own account may read.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A row as a line of the journal.
pub(super) fn encode(record: &UsageRecord) -> Vec<u8> {
    const SUM: usize = 17;
    // Most rows fit, so that the buffer need not grow.
    let mut line = Vec::with_capacity(1024);
    line.extend_from_slice(&[b' '; SUM]);
    serde_json::to_writer(&mut line, record)
        .expect("a usage record has only text keys and memory takes it, so it is always JSON");
    let sum = fnv1a(&line[SUM..]);
    write!(&mut line[..SUM], "{sum:016x} ").expect("the sum has 16 digits");
    line.push(b'\n');
    line
}

/// The segments that a journal's folder holds now, opened, so that they can be read after they were deleted. A folder that
/// is missing holds none.
pub(super) fn open_segments(folder: &Path) -> io::Result<Vec<File>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut open = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        match File::open(&path) {
            // Copied to the database and deleted since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => open.push(other?),
        }
    }
    Ok(open)
}

/// The whole rows of an opened segment; one that is being written may end with a part of a row.
pub(super) fn read_rows(segment: &mut File) -> io::Result<Vec<UsageRecord>> {
    let mut bytes = Vec::new();
    segment.read_to_end(&mut bytes)?;
    Ok(decode(&bytes).rows)
}

/// Reads a whole segment. One that is gone is empty.
pub(super) fn read(path: &Path) -> io::Result<Contents> {
    match fs::read(path) {
        Ok(bytes) => Ok(decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(path = %path.display(), "a journal file was removed before it was copied: its rows are lost");
            Ok(decode(&[]))
        }
        Err(error) => Err(error),
    }
}

fn decode(bytes: &[u8]) -> Contents {
    let mut rows = Vec::new();
    // Lines that fail their checksum, since the last one that passed it; and all that count as damage for certain.
    let (mut failing, mut damaged) = (0, 0);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(json) = checked(line) else {
            failing += 1;
            continue;
        };
        damaged += std::mem::take(&mut failing);
        match serde_json::from_slice(json) {
            Ok(record) => rows.push(record),
            Err(_) => damaged += 1,
        }
    }
    let damage = match (damaged, failing) {
        (0, 0) => Damage::None,
        (0, _) => Damage::TornTail,
        (damaged, _) => Damage::Lines(damaged),
    };
    Contents { rows, damage }
}

/// The JSON of a line that is whole.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = line.split_at_checked(16)?;
    let json = rest.strip_prefix(b" ")?.strip_suffix(b"\n")?;
    let sum = u64::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == fnv1a(json)).then_some(json)
}

/// The FNV-1a hash with its 64-bit constants (RFC 9923): tells damage, not malice.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::recording::tests::record;

    fn lines(numbers: std::ops::RangeInclusive<u32>) -> Vec<u8> {
        numbers.flat_map(|n| encode(&record(n))).collect()
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // Test vectors of RFC 9923.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_torn_tail_costs_only_its_own_row_wherever_it_is_torn() {
        let whole = lines(1..=3);
        let third = whole.len() - encode(&record(3)).len();
        for end in third + 1..whole.len() {
            let contents = decode(&whole[..end]);
            assert_eq!(contents.rows, [record(1), record(2)]);
            assert_eq!(contents.damage, Damage::TornTail, "{end}");
        }
        let mut zeros_after_a_power_cut = whole;
        zeros_after_a_power_cut.extend([0; 4096]);
        assert_eq!(decode(&zeros_after_a_power_cut).rows.len(), 3);
    }

    #[test]
    fn damage_in_the_middle_is_told_from_a_torn_tail_and_costs_one_row() {
        let mut bytes = lines(1..=3);
        bytes[encode(&record(1)).len() + 40] ^= 1;
        let contents = decode(&bytes);
        assert_eq!(contents.rows, [record(1), record(3)]);
        assert_eq!(contents.damage, Damage::Lines(1));
    }

    #[test]
    fn a_whole_row_of_an_unknown_shape_counts_as_damage_even_at_the_end() {
        let mut bytes = lines(1..=1);
        bytes.extend(format!("{:016x} {}\n", fnv1a(b"{\"v\":2}"), "{\"v\":2}").into_bytes());
        assert_eq!(decode(&bytes).damage, Damage::Lines(1));
    }

    #[test]
    fn a_full_segment_is_followed_by_a_new_one_and_only_the_owner_may_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("journal");
        let mut journal = Journal::new(folder.clone(), 10);
        journal.append(&lines(1..=2), &mut Kept(None), 3).unwrap();
        journal.append(&lines(3..=3), &mut Kept(None), 4).unwrap();
        let first = journal.oldest(false).unwrap().unwrap();
        assert_eq!(first.last_row, 3);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&first.path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
        assert_eq!(read(&first.path).unwrap().rows.len(), 2);
        journal.finish(&first, false).unwrap();
        let second = journal.oldest(true).unwrap().unwrap();
        assert_eq!(second.last_row, 4);
        journal.finish(&second, true).unwrap();
        assert!(journal.oldest(true).unwrap().is_none());
        assert!(second.path.with_extension("bad").exists());
        journal.close();
        let mut reopened = Journal::new(folder, 10);
        reopened.append(&lines(4..=4), &mut Kept(None), 5).unwrap();
        assert!(
            reopened.oldest(false).unwrap().unwrap().path > second.path,
            "a set-aside name is never used again"
        );
    }

    #[test]
    fn a_second_process_cannot_take_the_journal_of_a_running_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Journal::new(folder.path().into(), 10_000);
        let mut second = Journal::new(folder.path().into(), 10_000);
        first.append(&lines(1..=1), &mut Kept(None), 2).unwrap();
        let error = second.append(&lines(2..=2), &mut Kept(None), 2).unwrap_err();
        assert!(error.to_string().contains("another OnePool"), "{error}");
        first.close();
        second.append(&lines(2..=2), &mut Kept(None), 2).unwrap();
    }
}
