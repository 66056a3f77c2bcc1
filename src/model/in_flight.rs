//! A call that is under way, as pages show it: where it is, never what it says.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId, RequestId, TokenId},
    time::UnixMs,
    token::named_enum,
    usage::Endpoint,
};

named_enum! {
    /// Where a call under way is.
    InFlightStage {
        /// In line: no key may take it yet.
        Waiting = "waiting",
        /// Sent to an upstream that has not answered with content yet.
        Upstream = "upstream",
        /// Its answer goes to the client.
        Answering = "answering",
    }
}

/// A call that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInFlight {
    /// Its id, as the usage log will have it.
    pub request_id: RequestId,
    /// Who asks.
    pub token: TokenId,
    /// On which endpoint.
    pub endpoint: Endpoint,
    /// The model as the client names it, at most 200 characters.
    pub model: String,
    /// Whether the client asks for a stream.
    pub stream: bool,
    /// When it arrived.
    pub at: UnixMs,
    /// Where it is.
    pub stage: InFlightStage,
    /// Since when it is there.
    pub since: UnixMs,
    /// The channel and the key that it was sent to last, if it was sent.
    pub sent_to: Option<(ChannelId, KeyId)>,
    /// How many upstream calls were made for it, the present one included.
    pub attempts: u32,
}

/// How many calls are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InFlightCounts {
    /// In line.
    pub waiting: usize,
    /// At an upstream.
    pub upstream: usize,
    /// Being answered.
    pub answering: usize,
}

impl InFlightCounts {
    /// All of them.
    pub fn all(self) -> usize {
        self.waiting + self.upstream + self.answering
    }
}

/// What the relay itself took of calls that were answered lately: without the time in line and the upstreams' time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overhead {
    /// How many calls it is known of.
    pub calls: u64,
    /// Half of them took at most so many microseconds.
    pub p50_us: u64,
    /// 95 of 100 took at most so many microseconds.
    pub p95_us: u64,
}
