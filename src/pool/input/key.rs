//! Keys as scripts write them down.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, LimitInput, Limited, PlainSecret, QuotaInput, check_limits, yes};
use crate::{
    i18n::Messages,
    model::key::{Key, PastedKey},
    pool::rules,
    provider::Provider,
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
    /// What is allowed to this key alone, per `key` or `key_model`; at most 20. A limit counts in place of the channel's of the
    /// same kind.
    #[serde(default)]
    pub limits: Vec<LimitInput>,
    /// How much its calls may spend. Once that is used up, the key takes no calls until its budget starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<QuotaInput>,
}

impl KeyInput {
    /// A key as an operator would write it down, its secret included.
    pub fn of(key: &Key) -> Self {
        Self {
            secret: PlainSecret(key.secret.clone()),
            label: key.label.clone(),
            quota_group: key.quota_group.clone(),
            enabled: key.enabled,
            limits: key.limits.iter().map(LimitInput::of).collect(),
            budget: key.budget.as_ref().map(QuotaInput::of),
        }
    }

    /// The key that this describes, or what is wrong with it; fields are named with `prefix` in front. `provider` is the
    /// channel's; its calendar holds for limits that name none.
    pub fn check(&self, prefix: &str, provider: Option<&Provider>, t: Messages) -> Result<PastedKey, Faults> {
        let mut faults = Faults::default();
        if !crate::model::key::is_secret(self.secret.expose()) {
            faults.add(format!("{prefix}secret"), t.pool.key_invalid());
        }
        for (field, text) in [("label", Some(&self.label)), ("quota_group", self.quota_group.as_ref())] {
            let text = text.map_or("", String::as_str);
            faults.take(&format!("{prefix}{field}"), rules::check_length(t, text, rules::MAX_NAME_CHARS));
        }
        let of = Limited { key: true, provider };
        let limits = check_limits(&self.limits, of, prefix, t, &mut faults);
        let field = format!("{prefix}budget");
        let budget = self.budget.as_ref().and_then(|budget| budget.check(&field, t, &mut faults));
        faults.or(PastedKey {
            label: self.label.clone(),
            secret: self.secret.0.clone(),
            quota_group: self.quota_group.clone().filter(|group| !group.is_empty()),
            limits,
            budget,
        })
    }
}
