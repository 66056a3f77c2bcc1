//! What operators are told of without looking, and whom that goes to.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId, NoticeTargetId},
    secret::Secret,
    time::UnixMs,
};

/// A kind of event. A new kind needs a variant here, its text in `notices/message.rs`, and somebody who notices it in
/// `jobs/notices.rs`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// An upstream lists models that it did not list before.
    ModelsAppeared,
    /// An upstream says something else of models: a price, a window.
    ModelsChanged,
    /// An upstream lists models no more.
    ModelsVanished,
    /// A provider refuses a key that it is meant to take.
    KeyInvalid,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::ModelsAppeared, Self::ModelsChanged, Self::ModelsVanished, Self::KeyInvalid];

    /// The name in forms, messages and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelsAppeared => "models_appeared",
            Self::ModelsChanged => "models_changed",
            Self::ModelsVanished => "models_vanished",
            Self::KeyInvalid => "key_invalid",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was noticed.
    pub at: UnixMs,
    /// The channel that it happened at.
    pub channel: ChannelId,
    /// The channel's name.
    pub channel_name: String,
    /// What it was.
    pub what: Occurrence,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occurrence {
    /// A list of models differs from the one before it.
    Models {
        /// How: one of the three kinds about models.
        kind: EventKind,
        /// Some of the models.
        names: Vec<String>,
        /// How many there are.
        count: usize,
        /// Whether there are more than were counted.
        more: bool,
    },
    /// A provider refuses a key.
    KeyInvalid {
        /// The key.
        key: KeyId,
        /// How pages show it: its label and its last four characters.
        shown: String,
    },
}

impl Event {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match &self.what {
            Occurrence::Models { kind, .. } => *kind,
            Occurrence::KeyInvalid { .. } => EventKind::KeyInvalid,
        }
    }
}

/// How messages reach somebody. Sealed as a whole: addresses of webhooks often hold a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// A POST of JSON.
    Webhook(Webhook),
}

/// An address that takes messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// An `http` or `https` address.
    pub url: Secret,
    /// A header that proves to the receiver who sends: its name and its value.
    pub header: Option<(String, Secret)>,
    /// Whether it may be on a loopback or private address.
    pub allow_private: bool,
}

/// Whom messages go to, as it is made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Off means: it gets nothing.
    pub enabled: bool,
    /// What it is told of.
    pub kinds: Vec<EventKind>,
    /// The language of texts: `en` or `zh`.
    pub language: String,
    /// How.
    pub transport: Transport,
}

/// Whom messages go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: NoticeTargetId,
    /// What the operator has set.
    pub set: NewTarget,
    /// When it was made.
    pub created_at: UnixMs,
    /// The last delivery that was tried.
    pub last: Option<Delivery>,
}

/// What came of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// When it was tried.
    pub at: UnixMs,
    /// Whether it was taken.
    pub ok: bool,
    /// What the receiver said, or why it could not be reached; at most a few hundred characters, no secret.
    pub detail: String,
}
