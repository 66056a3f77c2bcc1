//! Usage: one record per client call, with its attempts.

use serde::{Deserialize, Serialize};

use super::{
    budget::Charge,
    id::{ChannelId, KeyId, RequestId, TokenId},
    time::UnixMs,
    token::{QuotaUnit, named_enum},
};

pub use super::endpoint::Endpoint;

named_enum! {
    /// What one upstream answer was taken for.
    OutcomeClass {
        /// A usable answer.
        Success = "success",
        /// The key, its account or the model may not send for a while.
        RateLimited = "rate_limited",
        /// The model is gone, busy or not allowed for this key.
        ModelUnavailable = "model_unavailable",
        /// The key is wrong or revoked.
        KeyInvalid = "key_invalid",
        /// The key's account has no money or credit left.
        OutOfCredit = "out_of_credit",
        /// The host did not answer, answered garbage, or failed.
        HostError = "host_error",
        /// The request itself is at fault.
        ClientError = "client_error",
        /// The answer does not say what is wrong.
        Ambiguous = "ambiguous",
        /// The client left before the answer ended.
        ClientClosed = "client_closed",
        /// An operator has paused what rests; no answer is ever taken for this.
        Paused = "paused",
        /// The budget of a key or channel is used up; no answer is ever taken for this.
        BudgetReached = "budget_reached",
    }
}

named_enum! {
    /// How a client's call ended, for the log and for filters.
    CallResult {
        /// Answered completely.
        Ok = "ok",
        /// The request was refused as wrong (by us or by the upstream).
        ClientError = "client_error",
        /// The token's own quota or rate was used up.
        TokenLimit = "token_limit",
        /// Every candidate was limited.
        PoolExhausted = "pool_exhausted",
        /// No channel serves the model, or all rest.
        NoChannel = "no_channel",
        /// Upstreams failed.
        UpstreamError = "upstream_error",
        /// Upstreams were too slow.
        Timeout = "timeout",
        /// The answer broke off after its first content.
        Interrupted = "interrupted",
        /// The client left before the end.
        ClientClosed = "client_closed",
        /// The server was stopping.
        ShuttingDown = "shutting_down",
    }
}

named_enum! {
    /// What a call had to wait for before it was sent.
    WaitReason {
        /// Limits were used up.
        Limit = "limit",
        /// What there was rested after bad answers.
        Rest = "rest",
        /// Calls under way had to be answered first.
        Busy = "busy",
    }
}

named_enum! {
    /// What an upstream call says against its model at that channel.
    ModelFault {
        /// The upstream failed, or the model was busy.
        Failed = "failed",
        /// There is no such model, or not for this account.
        Gone = "gone",
    }
}

/// Token counts of a call. `cached` is part of `prompt`, `reasoning` part of `completion`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCounts {
    /// Prompt tokens, cached ones included.
    pub prompt: u64,
    /// Completion tokens, reasoning included.
    pub completion: u64,
    /// Prompt tokens that the upstream had cached.
    pub cached: u64,
    /// Completion tokens spent on reasoning.
    pub reasoning: u64,
}

impl TokenCounts {
    /// Prompt and completion together.
    pub fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// The highest cost of one call that an upstream is believed, in dollars.
const MOST_BELIEVED_DOLLARS: f64 = 1_000_000.0;

/// A cost in dollars that an upstream reports, as micro-dollars, rounded up; `None` if it cannot be believed: negative, no
/// number, or more than a million dollars.
pub fn believed_micros(dollars: f64) -> Option<i64> {
    // Decimals in binary are a little off, and a micro-dollar must not come of that.
    (0.0..=MOST_BELIEVED_DOLLARS).contains(&dollars).then(|| ((dollars * 1e9).round() / 1e3).ceil() as i64)
}

/// What a call used beside tokens, in its endpoint's own units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Units {
    /// Pictures that were made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub images: u64,
    /// Their size, such as `1024x1024`, at most 20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<String>,
    /// Their quality, such as `high`, at most 20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_quality: Option<String>,
    /// Milliseconds of sound that were heard.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub audio_ms: u64,
    /// Characters that were spoken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub characters: u64,
    /// Milliseconds of video that were asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub video_ms: u64,
    /// The video's size, such as `1280x720`, at most 20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_size: Option<String>,
    /// Searches, the unit that some vendors count rankings in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub searches: u64,
    /// Whether some of this is our estimate, not the upstream's or what we counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_nothing(amount: &i64) -> bool {
    *amount == 0
}

impl Units {
    /// What an answer says, and where it says nothing what was asked for.
    #[must_use]
    pub fn completed(self, said: Self) -> Self {
        let told = said.audio_ms > 0 || said.video_ms > 0 || said.searches > 0;
        Self {
            images: said.images,
            image_size: said.image_size.or(self.image_size),
            image_quality: said.image_quality.or(self.image_quality),
            audio_ms: if said.audio_ms > 0 { said.audio_ms } else { self.audio_ms },
            characters: self.characters,
            video_ms: if said.video_ms > 0 { said.video_ms } else { self.video_ms },
            video_size: said.video_size.or(self.video_size),
            searches: if said.searches > 0 { said.searches } else { self.searches },
            estimated: self.estimated && !told,
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        let counts = [self.images, self.audio_ms, self.characters, self.video_ms, self.searches];
        counts.iter().all(|count| *count == 0)
    }
}

/// A trace id as the log has it, 32 hexadecimal digits in small letters, if a text is one in any letter case; with spaces
/// around it. Source: W3C Trace Context, section 3.2.
pub fn trace_id(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// One client call: what a usage row holds. Never any text of a prompt or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The call; unique.
    pub request_id: RequestId,
    /// When it arrived.
    pub at: UnixMs,
    /// Who asked.
    pub token_id: TokenId,
    /// The channel that served it, or that was tried last.
    pub channel_id: Option<ChannelId>,
    /// The key that served it, or that was tried last.
    pub key_id: Option<KeyId>,
    /// The model as the client named it (at most 200 characters).
    pub asked_model: String,
    /// The upstream's model that served it.
    pub served_model: Option<String>,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The HTTP status that the client got; 499 if it left first.
    pub status: u16,
    /// How it ended.
    pub result: CallResult,
    /// Our own code for the error, such as `pool_exhausted`.
    pub error_code: Option<String>,
    /// Milliseconds spent waiting for a candidate that rested.
    pub queue_ms: u32,
    /// Milliseconds from arrival to the first content for the client.
    pub first_token_ms: Option<u32>,
    /// Milliseconds from arrival to the end.
    pub total_ms: u32,
    /// Token counts.
    pub tokens: TokenCounts,
    /// Whether the counts are our estimate, not the upstream's.
    pub estimated: bool,
    /// What was used beside tokens, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Box<Units>>,
    /// Cost in micro-dollars: by the channel's prices, else what the upstream says; 0 if nobody knows.
    pub cost_micros: i64,
    /// What the call would have cost by the list price, less what it did cost, in micro-dollars; 0 if either is not known.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub saved_micros: i64,
    /// The client's address.
    pub client_address: String,
    /// What kind of client it is, such as `openai-python` or `openclaw`.
    pub client_kind: String,
    /// Its version, or that of the library that it calls with, by name. Not in the log, but known of each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_version: Option<String>,
    /// The trace id of a `traceparent` header.
    pub trace_id: Option<String>,
    /// What the token's quota counted at the time; `None` without a quota, and then nothing is charged.
    pub quota_unit: Option<QuotaUnit>,
    /// What the token's quota is charged: micro-dollars, tokens or requests, by `quota_unit`.
    pub quota_charge: i64,
    /// The start of the quota period that is charged.
    pub quota_period: UnixMs,
    /// What the budgets of the key and the channel are charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// Every upstream call that was made, in order.
    pub attempts: Vec<Attempt>,
}

/// One upstream call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The channel.
    pub channel_id: ChannelId,
    /// The key.
    pub key_id: KeyId,
    /// The upstream's model name.
    pub model: String,
    /// Milliseconds that the call waited in line right before it.
    #[serde(default)]
    pub waited_ms: u32,
    /// What it waited for, if it had to.
    #[serde(default)]
    pub waited_for: Option<WaitReason>,
    /// Milliseconds from the call's arrival to the attempt's start.
    pub started_ms: u32,
    /// Milliseconds from the attempt's start to the upstream's first content.
    pub first_byte_ms: Option<u32>,
    /// Milliseconds that it took.
    pub duration_ms: u32,
    /// The upstream's HTTP status, if it answered.
    pub status: Option<u16>,
    /// What it was taken for.
    pub class: OutcomeClass,
    /// What it says against the model, if it does; limits, keys and the request itself are no fault of it.
    #[serde(default)]
    pub model_fault: Option<ModelFault>,
    /// Why, in our own words and at most 300 characters; may quote a masked upstream text, for operators only.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_cost_is_read_to_the_micro_dollar_and_absurd_ones_are_not_believed() {
        for (dollars, micros) in [
            (0.0, Some(0)),
            (0.000123, Some(123)),
            (0.4, Some(400_000)),
            (1.1, Some(1_100_000)),
            (0.000_000_4, Some(1)),
            (1e6, Some(1_000_000_000_000)),
            (1e6 + 1.0, None),
            (-0.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(believed_micros(dollars), micros, "{dollars}");
        }
    }
}
