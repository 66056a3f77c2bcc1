//! What a model can do, as a probe or a real call has shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId},
    time::UnixMs,
    token::named_enum,
};

/// How long a clear "yes" is believed.
pub const YES_HOLDS: Duration = Duration::from_secs(7 * 86_400);
/// How long a clear "no" is believed, and that an image was taken.
pub const NO_HOLDS: Duration = Duration::from_secs(86_400);

/// How the detail of a result about JSON begins, if JSON of any kind was asked for.
pub const ANY_JSON: &str = "json_object";
/// The same, if a schema was given.
pub const JSON_BY_SCHEMA: &str = "json_schema";

named_enum! {
    /// What is to be found out about a model.
    ProbeKind {
        /// Whether it streams, how soon its first content comes, and how fast it writes.
        Stream = "stream",
        /// Whether it calls a tool.
        Tools = "tools",
        /// Whether it sees what an image shows.
        Vision = "vision",
        /// Whether it gives JSON when that is asked for.
        Json = "json",
        /// Whether it shows that it reasons before it answers.
        Reasoning = "reasoning",
    }
}

named_enum! {
    /// What was found out.
    ProbeVerdict {
        /// It does it.
        Ok = "ok",
        /// An image was taken without an error, but what it shows was not told.
        Accepted = "accepted",
        /// It does not.
        Not = "not",
        /// The answer says nothing about the model: a limit, a wrong key, a fault on the way.
        Unclear = "unclear",
    }
}

named_enum! {
    /// Where that is known from.
    ProbeSource {
        /// A call that was made to find out.
        Probe = "probe",
        /// Calls of clients.
        Traffic = "traffic",
    }
}

/// One thing that is known of a model at a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// Where.
    pub channel: ChannelId,
    /// The upstream's name of the model.
    pub model: String,
    /// What was to be found out.
    pub kind: ProbeKind,
    /// What was.
    pub verdict: ProbeVerdict,
    /// When.
    pub at: UnixMs,
    /// How long the calls took, in milliseconds; of traffic 0.
    pub duration_ms: u32,
    /// Milliseconds until the first content, if that was measured.
    pub first_token_ms: Option<u32>,
    /// Tokens per second after the first content, if that was measured.
    pub tokens_per_second: Option<u32>,
    /// The answer or the refusal in short, at most 300 characters, secrets masked.
    pub detail: String,
    /// Where it is known from.
    pub source: ProbeSource,
}

impl ProbeResult {
    /// Whether it is clear and young enough to be believed without another call.
    pub fn holds(&self, now: UnixMs) -> bool {
        let holds = match self.verdict {
            ProbeVerdict::Ok => YES_HOLDS,
            ProbeVerdict::Accepted | ProbeVerdict::Not => NO_HOLDS,
            ProbeVerdict::Unclear => return false,
        };
        self.at <= now && now.since(self.at) < holds
    }

    /// Of [`ProbeKind::Json`]: whether the model answers by a JSON schema. That it gives JSON, or gives none, when JSON of any kind is
    /// asked for, proves neither.
    pub fn proves_schema(&self, now: UnixMs) -> Option<bool> {
        self.proves(now).filter(|_| !self.detail.starts_with(ANY_JSON))
    }

    /// Whether the model does it: `None` if that is not known, or not any more. An image that was only taken proves nothing.
    pub fn proves(&self, now: UnixMs) -> Option<bool> {
        match self.verdict {
            _ if !self.holds(now) => None,
            ProbeVerdict::Ok => Some(true),
            ProbeVerdict::Not => Some(false),
            ProbeVerdict::Accepted | ProbeVerdict::Unclear => None,
        }
    }
}

/// A call that a probe made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeCall {
    /// When.
    pub at: UnixMs,
    /// Where.
    pub channel: ChannelId,
    /// With which key.
    pub key: KeyId,
    /// The upstream's name of the model.
    pub model: String,
}
