//! Captures: for a limited time, what one token's calls ask and are answered.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use super::{id::TokenId, time::UnixMs};

/// How long a capture may run.
pub const LENGTH: RangeInclusive<Duration> = Duration::from_secs(15 * 60)..=Duration::from_secs(24 * 3600);

/// How long what was captured is kept after the end of its capture.
pub const KEPT_AFTER: Duration = Duration::from_secs(6 * 3600);

/// A capture that runs, or whose calls are still kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Whose calls.
    pub token_id: TokenId,
    /// Since when.
    pub started_at: UnixMs,
    /// Until when.
    pub ends_at: UnixMs,
    /// When everything is erased.
    pub keep_until: UnixMs,
    /// Who switched it on.
    pub started_by: String,
}

impl Capture {
    /// Whether a call that arrives now is captured.
    pub fn runs(&self, now: UnixMs) -> bool {
        (self.started_at..self.ends_at).contains(&now)
    }
}

/// One call as it was captured: credentials masked, contents of files left out, texts cut.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedCall {
    /// What was asked, as JSON for people where it was JSON.
    pub request: String,
    /// How many bytes the request had.
    pub request_bytes: u64,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What was answered: JSON for people, or the data of each event on a line.
    pub answer: String,
    /// How many bytes the answer had, as far as it went out.
    pub answer_bytes: u64,
    /// The text that the answer's pieces make; empty if it has none.
    pub text: String,
    /// Whether the answer came in events.
    pub stream: bool,
    /// Whether the answer went out to its end.
    pub whole: bool,
    /// Whether a text was too long to be kept whole.
    pub cut: bool,
    /// Whether the events are left out, because only together they showed a credential.
    pub pieces_left_out: bool,
}
