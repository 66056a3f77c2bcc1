//! What a list tells of a model.

use serde::{Deserialize, Serialize};

use crate::model::{channel::Price, time::UnixMs};

/// What a list tells of a model. `None` is "the list does not say".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The upstream's name for it.
    pub id: String,
    /// The context window, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_limit: Option<u32>,
    /// What it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Modalities>,
    /// What it gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Modalities>,
    /// Whether it calls tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Whether it reasons before it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Whether it hears sound in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<bool>,
    /// Whether it answers by a JSON schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<bool>,
    /// What it costs, in micro-dollars per million tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Whether it costs nothing within the provider's limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<bool>,
    /// When the provider says that it came out or was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<UnixMs>,
}

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Speech and other sound.
    Audio,
    /// Video.
    Video,
    /// Documents such as PDF.
    File,
    /// Vectors, of an embedding model.
    Embedding,
}

impl Modality {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Text, Self::Image, Self::Audio, Self::Video, Self::File, Self::Embedding];

    /// The kind of a vendor's word for it.
    pub(super) fn named(name: &str) -> Option<Self> {
        let is = |word: &&str| name.eq_ignore_ascii_case(word);
        let words: [(&[&str], Self); 6] = [
            (&["text"], Self::Text),
            (&["image", "images", "vision"], Self::Image),
            (&["audio", "speech"], Self::Audio),
            (&["video"], Self::Video),
            (&["file", "files", "pdf", "document"], Self::File),
            (&["embedding", "embeddings"], Self::Embedding),
        ];
        words.iter().find(|(words, _)| words.iter().any(is)).map(|(_, kind)| *kind)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of kinds of content.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Modality>", into = "Vec<Modality>")]
pub struct Modalities(u8);

impl Modalities {
    /// Whether a kind is in it.
    pub fn has(self, kind: Modality) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The kinds in it, in the order of [`Modality::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Whether no kind is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Modality> for Modalities {
    fn from_iter<I: IntoIterator<Item = Modality>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
    }
}

impl From<Vec<Modality>> for Modalities {
    fn from(kinds: Vec<Modality>) -> Self {
        kinds.into_iter().collect()
    }
}

impl From<Modalities> for Vec<Modality> {
    fn from(kinds: Modalities) -> Self {
        kinds.iter().collect()
    }
}

impl std::fmt::Debug for Modalities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
