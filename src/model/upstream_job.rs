//! What an upstream keeps for later: a video that is being made, a stored response.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId, RequestId, TokenId},
    time::UnixMs,
    token::named_enum,
};

named_enum! {
    /// What it is.
    JobKind {
        /// A video (`/v1/videos`).
        Video = "video",
        /// A response that the upstream stores (`/v1/responses`).
        Response = "response",
    }
}

impl JobKind {
    /// What our ids begin with, as OpenAI's do.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Video => "video_",
            Self::Response => "resp_",
        }
    }

    /// The path of all of them, below `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Video => "/videos",
            Self::Response => "/responses",
        }
    }
}

/// Something that an upstream keeps: bound to the key that created it and to the token that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamJob {
    /// Our id, the only one that clients see.
    pub id: String,
    /// What it is.
    pub kind: JobKind,
    /// Who asked for it; nobody else may reach it.
    pub token: TokenId,
    /// Where it is.
    pub channel: ChannelId,
    /// The key that created it; no other one finds it there.
    pub key: KeyId,
    /// The upstream's id.
    pub upstream_id: String,
    /// The model as the client asked for it.
    pub model: String,
    /// The upstream's name for it.
    pub upstream_model: String,
    /// When it was created.
    pub created_at: UnixMs,
    /// The last answer about it as its client saw it, JSON: what lists show.
    pub answer: Option<String>,
    /// The call that made it, as long as nobody knows what it costs: neither by the channel's prices nor from the upstream.
    pub unpriced_call: Option<RequestId>,
}

/// Which jobs of a token a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// After this one, in the list's order.
    pub after: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// The newest first.
    pub newest_first: bool,
}
