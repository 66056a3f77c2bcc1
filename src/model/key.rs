//! Keys: upstream credentials.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId},
    secret::Secret,
    time::UnixMs,
};

/// One upstream credential of a channel, with its secret: what the relay works with.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The channel that it belongs to.
    pub channel_id: ChannelId,
    /// The operator's name for it; may be empty.
    pub label: String,
    /// The last four characters, for pages and logs.
    pub last4: String,
    /// The account, organisation or project whose quota it spends. Keys of one account share a group;
    /// `None` means that the key has a quota of its own.
    pub quota_group: Option<String>,
    /// Off means: takes no calls.
    pub enabled: bool,
    /// The credential.
    pub secret: Secret,
}

/// What the last test of a key found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCheck {
    /// When it ran.
    pub at: UnixMs,
    /// One step each for the model list, a chat completion and a streamed one.
    pub steps: Vec<CheckStep>,
}

impl KeyCheck {
    /// Whether every step that ran passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }
}

/// One step of a key's test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// What was tried.
    pub kind: CheckKind,
    /// Whether the upstream did what was asked.
    pub ok: bool,
    /// The upstream's HTTP status, if it answered.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The upstream's exact text (at most 4 KiB, secrets masked), or what went wrong on the way to it.
    pub text: String,
    /// What the outcome was taken for; its `as_str` picks the advice that a page shows.
    pub class: Option<super::usage::OutcomeClass>,
}

/// What a step of a key's test tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// `GET /models`.
    List,
    /// A small chat completion.
    Chat,
    /// The same, streamed.
    Stream,
}
