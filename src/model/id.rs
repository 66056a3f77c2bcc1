//! Identifiers, one type each, so that a key's id can never be passed for a channel's.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A channel: one upstream endpoint and its policy.
    ChannelId,
    /// A key: one upstream credential of a channel.
    KeyId,
    /// A token: a client's `sk-` credential to this server.
    TokenId,
    /// An operator's account.
    UserId,
    /// An operator's browser session.
    SessionId,
    /// A script's credential for the admin API.
    AccessTokenId,
    /// A chain: a virtual model made by hand.
    ChainId,
    /// Whom notifications go to.
    NoticeTargetId,
}

/// One client request. A UUID version 7, so that ids sort by time; shown to clients as `x-request-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub uuid::Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::parse_str(text).map(Self)
    }
}
