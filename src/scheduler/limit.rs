//! What a provider allows: an amount of something, in a window, to a scope.

use serde::{Deserialize, Serialize};

use super::rest::Scope;
use crate::model::id::{ChannelId, KeyId};
pub use crate::model::limit::{
    CalendarUnit, Metric, Models, Per, Period, Problem, Reservation, Rule, Source, Window,
};

/// Whom a limit holds for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// One key, for every model.
    Key(KeyId),
    /// The keys of a quota group, for every model.
    Group(ChannelId, String),
    /// One model on one key.
    KeyModel(KeyId, String),
    /// One model on the keys of a quota group.
    GroupModel(ChannelId, String, String),
    /// One model on every key of a channel.
    Model(ChannelId, String),
    /// The whole channel.
    Channel(ChannelId),
    /// Of a key, a group or a channel only the upstream models that fit, such as `*:free`.
    Models(Box<LimitScope>, Models),
}

impl From<&Scope> for LimitScope {
    fn from(scope: &Scope) -> Self {
        match scope {
            Scope::Key(key) => Self::Key(*key),
            Scope::Group(channel, group) => Self::Group(*channel, group.clone()),
            Scope::KeyModel(key, model) => Self::KeyModel(*key, model.clone()),
            Scope::GroupModel(channel, group, model) => {
                Self::GroupModel(*channel, group.clone(), model.clone())
            }
            Scope::ChannelModel(channel, model) => Self::Model(*channel, model.clone()),
            Scope::Channel(channel) => Self::Channel(*channel),
            Scope::Models(whole, models) => Self::Models(Box::new(Self::from(&**whole)), models.clone()),
        }
    }
}

impl From<&LimitScope> for Scope {
    fn from(scope: &LimitScope) -> Self {
        match scope {
            LimitScope::Key(key) => Self::Key(*key),
            LimitScope::Group(channel, group) => Self::Group(*channel, group.clone()),
            LimitScope::KeyModel(key, model) => Self::KeyModel(*key, model.clone()),
            LimitScope::GroupModel(channel, group, model) => {
                Self::GroupModel(*channel, group.clone(), model.clone())
            }
            LimitScope::Model(channel, model) => Self::ChannelModel(*channel, model.clone()),
            LimitScope::Channel(channel) => Self::Channel(*channel),
            LimitScope::Models(whole, models) => Self::Models(Box::new(Self::from(&**whole)), models.clone()),
        }
    }
}

/// What a call takes, by metric.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Prompt tokens; before the call an estimate.
    pub input_tokens: u64,
    /// Prompt and completion tokens; before the call an estimate.
    pub tokens: u64,
    /// Before the call: prompt tokens and the most that the answer may take, if that is more.
    pub most_tokens: u64,
    /// The provider's units.
    pub units: u64,
}

/// How a provider counts a call of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// What it takes for used of tokens when it lets the call in.
    pub reservation: Reservation,
    /// How many of its units a call takes, where that is known before.
    pub units_per_call: u64,
}

impl Counts {
    /// What a call takes, as this provider counts.
    pub fn of(self, cost: Cost) -> Cost {
        let tokens = match self.reservation {
            Reservation::Used => cost.tokens,
            Reservation::Input => cost.input_tokens,
            Reservation::InputAndMaxOutput => cost.tokens.max(cost.most_tokens),
        };
        Cost { tokens, units: cost.units.max(self.units_per_call), ..cost }
    }
}

impl Cost {
    /// How much of a metric the call takes.
    pub fn of(&self, metric: Metric) -> u64 {
        match metric {
            Metric::Requests | Metric::Concurrency => 1,
            Metric::InputTokens => self.input_tokens,
            Metric::Tokens => self.tokens,
            Metric::Units => self.units,
        }
    }
}
