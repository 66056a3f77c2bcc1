//! Budgets: who has one, and what calls charge to it. How much it allows is a [`Quota`](super::token::Quota).

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId, TokenId},
    time::UnixMs,
    token::{Quota, QuotaUnit, named_enum},
};

named_enum! {
    /// The kinds of what can have a budget.
    OwnerKind {
        /// A client's token.
        Token = "token",
        /// An upstream's key.
        Key = "key",
        /// A channel.
        Channel = "channel",
    }
}

/// Who has a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A token: what its clients spend.
    Token(TokenId),
    /// A key: what its calls spend.
    Key(KeyId),
    /// A channel: what all of its keys spend.
    Channel(ChannelId),
}

impl Owner {
    /// What it is.
    pub fn kind(self) -> OwnerKind {
        match self {
            Self::Token(_) => OwnerKind::Token,
            Self::Key(_) => OwnerKind::Key,
            Self::Channel(_) => OwnerKind::Channel,
        }
    }

    /// The number of its id.
    pub fn number(self) -> i64 {
        match self {
            Self::Token(id) => id.0,
            Self::Key(id) => id.0,
            Self::Channel(id) => id.0,
        }
    }

    /// The owner of a kind and a number.
    pub fn of(kind: OwnerKind, number: i64) -> Self {
        match kind {
            OwnerKind::Token => Self::Token(TokenId(number)),
            OwnerKind::Key => Self::Key(KeyId(number)),
            OwnerKind::Channel => Self::Channel(ChannelId(number)),
        }
    }
}

/// Who pays an upstream and can have a budget for that: an owner that is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payer {
    /// A key: what its calls spend.
    Key(KeyId),
    /// A channel: what all of its keys spend.
    Channel(ChannelId),
}

impl From<Payer> for Owner {
    fn from(payer: Payer) -> Self {
        match payer {
            Payer::Key(id) => Self::Key(id),
            Payer::Channel(id) => Self::Channel(id),
        }
    }
}

/// What a call charges to the budget of its key or its channel; its token's is in the usage record itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Whose budget.
    pub owner: Owner,
    /// What it counts.
    pub unit: QuotaUnit,
    /// The start of the period.
    pub period: UnixMs,
    /// How much: micro-dollars, tokens or requests.
    pub amount: i64,
}

/// A budget and what is spent of it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub owner: Owner,
    /// Its name: a token's, a channel's, or of a key its label, else its last four characters after an ellipsis.
    pub name: String,
    /// Of a key its channel, with its name.
    pub channel: Option<(ChannelId, String)>,
    /// How much is allowed.
    pub quota: Quota,
    /// What was spent in the present period, by the calls that are in the database.
    pub spent: i64,
    /// When the present period began; 0 if it never ends.
    pub period_start: UnixMs,
    /// When it ends.
    pub resets_at: Option<UnixMs>,
}

impl Standing {
    /// The highest warning level that was reached, in percent; 100 once all is spent.
    pub fn level(&self) -> Option<u8> {
        self.quota.level(self.spent)
    }

    /// What is left, never less than nothing.
    pub fn left(&self) -> i64 {
        self.quota.limit.saturating_sub(self.spent).max(0)
    }

    /// Whether calls are held back for it now.
    pub fn is_stopped(&self) -> bool {
        self.quota.stops() && self.spent >= self.quota.limit
    }
}
