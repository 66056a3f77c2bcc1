//! Tokens as scripts write them down.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Decimal, Faults, within, yes};
use crate::{
    i18n::Messages,
    model::{
        time::UnixMs,
        token::{AtLimit, ClientProfile, Quota, QuotaReset, QuotaUnit, Token, WarnLevels},
    },
    pool::rules,
    storage::tokens::check_value,
};

/// A token: what a client presents, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// Its name; unique, letter case aside.
    pub name: String,
    /// Models that it may ask for: names, or beginnings written `prefix*`. Empty means all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Channel groups that it may use. Empty means all.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Addresses or networks that it may come from. Empty means all.
    #[serde(default)]
    pub cidrs: Vec<String>,
    /// When it ends.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::pool::rules::optional_time"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<jiff::Timestamp>,
    /// How much it may spend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaInput>,
    /// How many requests it may make in any 60 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub requests_per_minute: Option<i64>,
    /// Its share when calls of several tokens wait for the same keys: twice the weight, twice the calls.
    #[serde(default = "one")]
    #[schema(default = 1, minimum = 1, maximum = 100)]
    pub weight: i64,
    /// How its client reads errors.
    #[serde(default = "generic")]
    #[schema(default = "generic")]
    pub profile: ClientProfile,
    /// A note.
    #[serde(default)]
    pub note: String,
    /// Off means: refused.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

fn one() -> i64 {
    1
}

fn generic() -> ClientProfile {
    ClientProfile::Generic
}

/// How much a token, a key or a channel may spend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaInput {
    /// What is counted.
    pub unit: QuotaUnit,
    /// The most of it: dollars with at most six decimals, or a whole number of tokens or requests.
    pub limit: Decimal,
    /// When the count starts anew, in the server's time zone.
    #[serde(default = "never")]
    #[schema(default = "never")]
    pub reset: QuotaReset,
    /// At which parts of it operators are warned, in percent from 1 to 100; at most 5.
    #[serde(default = "usual_levels")]
    #[schema(default = json!([80, 95]))]
    pub warn_at: Vec<u8>,
    /// What happens when it is used up: calls are held back, or operators are only warned.
    #[serde(default)]
    #[schema(default = "stop")]
    pub at_limit: AtLimit,
}

fn usual_levels() -> Vec<u8> {
    WarnLevels::default().into()
}

impl QuotaInput {
    /// A budget as an operator would write it down.
    pub fn of(quota: &Quota) -> Self {
        Self {
            unit: quota.unit,
            limit: Decimal(rules::show_quota(quota)),
            reset: quota.reset,
            warn_at: quota.warn_at.into(),
            at_limit: quota.at_limit,
        }
    }

    /// The budget that this describes; what is wrong is noted under `field`.
    pub fn check(&self, field: &str, t: Messages, faults: &mut Faults) -> Option<Quota> {
        let read = rules::read_quota(t, self.unit, &self.limit.0, self.reset);
        let quota = faults.take(&format!("{field}.limit"), read.map(Some));
        let levels = WarnLevels::new(self.warn_at.iter().copied());
        if levels.is_none() {
            faults.add(format!("{field}.warn_at"), t.budgets.levels_wrong(WarnLevels::MOST));
        }
        Some(Quota { warn_at: levels?, at_limit: self.at_limit, ..quota? })
    }
}

fn never() -> QuotaReset {
    QuotaReset::Never
}

impl TokenInput {
    /// A token as an operator would write it down.
    pub fn of(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            models: token.models.clone(),
            groups: token.groups.clone(),
            cidrs: token.cidrs.iter().map(rules::show_network).collect(),
            expires_at: token.expires_at.map(UnixMs::timestamp),
            quota: token.quota.as_ref().map(QuotaInput::of),
            requests_per_minute: token.requests_per_minute.map(i64::from),
            weight: i64::from(token.weight),
            profile: token.profile,
            note: token.note.clone(),
            enabled: token.enabled,
        }
    }

    /// The token that this describes: `known` with what is written here, or one that has no id and value yet.
    pub fn check(&self, known: Option<&Token>, now: UnixMs, t: Messages) -> Result<Token, Faults> {
        let mut faults = Faults::default();
        faults.take("name", rules::check_name(t, &self.name));
        faults.take("note", rules::check_length(t, &self.note, rules::MAX_NOTE_CHARS));
        for (field, count) in
            [("models", self.models.len()), ("groups", self.groups.len()), ("cidrs", self.cidrs.len())]
        {
            if count > rules::MAX_ENTRIES {
                faults.add(field, t.token_form.too_many(rules::MAX_ENTRIES));
                return Err(faults);
            }
        }
        for (position, entry) in self.models.iter().enumerate() {
            let field = format!("models[{position}]");
            if rules::is_model_name(entry) {
                faults.take(&field, rules::check_model_scope(t, entry));
            } else {
                faults.add(&field, t.channels.model_invalid(&rules::shortened(entry)));
            }
        }
        for (position, group) in self.groups.iter().enumerate().filter(|(_, group)| !rules::is_group(group)) {
            faults.add(format!("groups[{position}]"), t.token_form.group_too_long(&rules::shortened(group)));
        }
        let mut cidrs = Vec::with_capacity(self.cidrs.len());
        for (position, entry) in self.cidrs.iter().enumerate() {
            match rules::read_network(t, entry) {
                Ok(network) if !cidrs.contains(&network) => cidrs.push(network),
                Ok(_) => {}
                Err(message) => faults.add(format!("cidrs[{position}]"), message),
            }
        }
        let expires_at = self.expires_at.map(|at| UnixMs(at.as_millisecond()));
        let unchanged = expires_at == known.and_then(|token| token.expires_at);
        if expires_at.is_some_and(|at| at <= now) && !unchanged {
            faults.add("expires_at", t.token_form.expires_at_past());
        }
        let quota = self.quota.as_ref().and_then(|quota| quota.check("quota", t, &mut faults));
        let rate = self
            .requests_per_minute
            .map(|rate| faults.take("requests_per_minute", within(t, rate, rules::REQUESTS_PER_MINUTE)));
        let weight = faults.take("weight", within(t, self.weight, rules::TOKEN_WEIGHT));
        faults.or(Token {
            id: known.map_or(crate::model::id::TokenId(0), |token| token.id),
            name: self.name.clone(),
            last4: known.map(|token| token.last4.clone()).unwrap_or_default(),
            models: self.models.clone(),
            groups: self.groups.clone(),
            cidrs,
            expires_at,
            quota,
            requests_per_minute: rate.and_then(|rate| u32::try_from(rate).ok()),
            weight: u32::try_from(weight).unwrap_or(1),
            profile: self.profile,
            note: self.note.clone(),
            enabled: self.enabled,
            created_at: known.map_or(now, |token| token.created_at),
        })
    }
}

/// What is wrong with a token's value that was given.
pub fn check_token_value(t: Messages, value: &str) -> Result<(), String> {
    use crate::storage::tokens::ValueProblem;
    check_value(value).map_err(|problem| {
        let message = match problem {
            ValueProblem::Length => t.token_form.value_length(),
            ValueProblem::Characters => t.token_form.value_characters(),
        };
        message.to_owned()
    })
}
