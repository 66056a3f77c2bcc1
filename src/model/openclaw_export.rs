//! What is remembered of a configuration that a token's OpenClaw was given, so that the next one can say what changed and
//! take back what it no longer holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::time::UnixMs;

/// The content of an export, as far as the next one needs it. It holds no secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The models, in their order.
    pub models: Vec<RecordedModel>,
    /// The short names of models: public model name to alias.
    pub aliases: BTreeMap<String, String>,
    /// Models that had an alias at some time and have none now. OpenClaw may not have seen the export that took it back, so
    /// each later one takes it back again.
    #[serde(default)]
    pub without_alias: BTreeSet<String>,
    /// What each use of a model was set to: the configuration's path (`agents.defaults.imageModel`) to the model's name.
    pub uses: BTreeMap<String, String>,
    /// The SHA-256 of the configuration without the token's value, in hexadecimal digits.
    pub hash: String,
    /// The options that it was made with, as a URL's query without `?`.
    pub options: String,
}

/// A model of an export and what OpenClaw was told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// The public name.
    pub id: String,
    /// Context window in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Largest answer in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// Whether it reads images.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vision: bool,
    /// Whether it reasons.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reasoning: bool,
    /// Its price for prompts and for answers, in micro-dollars per million tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<(i64, i64)>,
}

/// A record and when its export was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedExport {
    /// What it held.
    pub record: ExportRecord,
    /// When.
    pub at: UnixMs,
}
