//! What can be wrong with the recording of usage, for the operator.

use super::time::UnixMs;

/// What is wrong with recording, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Since when.
    pub since: UnixMs,
    /// What does not work.
    pub what: Broken,
    /// What the system says, in English; may name files of the data folder.
    pub detail: String,
}

/// The part of recording that does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The journal cannot be written (the disk is full, the folder not writable): rows wait in memory.
    Journal,
    /// Rows do not get from the journal to the database (it is locked, full or damaged, or another process has the
    /// journal): they wait in the journal.
    Database,
}
