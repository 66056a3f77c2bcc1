//! Keys as scripts write them down.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, PlainSecret, yes};
use crate::{
    i18n::Messages,
    model::key::{Key, PastedKey},
    pool::rules,
};

/// A key: an upstream credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyInput {
    /// The credential; 4 to 1000 visible ASCII characters. Stored sealed.
    pub secret: PlainSecret,
    /// A name for it.
    #[serde(default)]
    pub label: String,
    /// The account whose quota it spends; keys of one account share a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_group: Option<String>,
    /// Off means: takes no calls.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

impl KeyInput {
    /// A key as an operator would write it down, its secret included.
    pub fn of(key: &Key) -> Self {
        Self {
            secret: PlainSecret(key.secret.clone()),
            label: key.label.clone(),
            quota_group: key.quota_group.clone(),
            enabled: key.enabled,
        }
    }

    /// The key that this describes, or what is wrong with it; fields are named with `prefix` in front.
    pub fn check(&self, prefix: &str, t: Messages) -> Result<PastedKey, Faults> {
        let mut faults = Faults::default();
        if !crate::model::key::is_secret(self.secret.expose()) {
            faults.add(format!("{prefix}secret"), t.pool.key_invalid());
        }
        for (field, text) in [("label", Some(&self.label)), ("quota_group", self.quota_group.as_ref())] {
            let text = text.map_or("", String::as_str);
            faults.take(&format!("{prefix}{field}"), rules::check_length(t, text, rules::MAX_NAME_CHARS));
        }
        faults.or(PastedKey {
            label: self.label.clone(),
            secret: self.secret.0.clone(),
            quota_group: self.quota_group.clone().filter(|group| !group.is_empty()),
        })
    }
}
