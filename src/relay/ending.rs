//! How a relayed call ends other than well, and what each kind of client is told.
//!
//! One table, [`Ending::told`], maps each ending to status, code, text and `Retry-After`, per client profile.
//! docs/errors.md is the same table for readers.

mod openclaw;

use std::time::Duration;

use crate::model::{
    endpoint::{Dialect, Endpoint},
    token::ClientProfile,
    upstream_job::JobKind,
    usage::CallResult,
};

/// A way in which a call ends without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The request is malformed. `param` is the field.
    BadRequest {
        /// What is wrong, and the remedy.
        message: String,
        /// The field.
        param: Option<String>,
    },
    /// The upstream refused the request itself (400, 413, 422); its text was cleaned.
    Refused {
        /// 400, 413 or 422; of what an upstream keeps also 404, 405, 409, 410 or 416.
        status: u16,
        /// The cleaned text.
        message: String,
        /// The field.
        param: Option<String>,
        /// A stable code such as `context_length_exceeded`.
        code: Option<String>,
    },
    /// The call takes more tokens than the limits of any key for the model allow at all.
    OverKeyLimits,
    /// The body is larger than the limit, in bytes.
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// No token, or one that is unknown, switched off or has ended.
    BadToken {
        /// Which of these, for the owner of the token.
        message: &'static str,
    },
    /// The token may not be used from this address.
    AddressNotAllowed,
    /// The model is not in the token's scope.
    ModelNotAllowed {
        /// The model.
        model: String,
    },
    /// The token counts dollars, and the model has no price.
    NoPrice {
        /// The model.
        model: String,
    },
    /// No channel that the token may use serves the model.
    ModelNotFound {
        /// The model.
        model: String,
    },
    /// Channels serve the model, but none of them on this endpoint.
    NotOnEndpoint {
        /// The model.
        model: String,
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The token has nothing of this id.
    NoSuchJob {
        /// What was asked for.
        kind: JobKind,
    },
    /// The key that made it, or its channel, is switched off.
    JobUnreachable {
        /// What was asked for.
        kind: JobKind,
    },
    /// The upstream that keeps it gave no usable answer.
    JobUpstream {
        /// What was asked for.
        kind: JobKind,
        /// Whether it was too slow.
        timeout: bool,
    },
    /// An upload cannot be kept while it is sent: the disk is full, or cannot be written to.
    NoRoom,
    /// The token made too many requests in the last minute.
    TokenRate {
        /// Until the next one fits.
        retry_after: Duration,
    },
    /// The token's quota has no room for the call.
    TokenQuota {
        /// Until the quota starts anew, if it does.
        resets_in: Option<Duration>,
    },
    /// Every key that could serve the call is limited.
    PoolExhausted {
        /// Until the first one comes back.
        retry_after: Duration,
    },
    /// Channels serve the model, but all rest or have no usable key.
    NoChannel {
        /// Until the first one comes back, if it does.
        retry_after: Option<Duration>,
    },
    /// Every upstream that was tried failed.
    UpstreamFailed,
    /// Every upstream that was tried was too slow.
    UpstreamTimeout,
    /// The answer broke off after its first content.
    Interrupted {
        /// Whether another upstream has room for the call now, so that it is worth sending again.
        another: bool,
    },
    /// The server is stopping.
    ShuttingDown,
    /// Usage rows cannot be saved; no new call starts.
    NotRecording,
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`.
    pub code: String,
    /// `error.message`, without the request id.
    pub message: String,
    /// `error.param`.
    pub param: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: whether the official SDKs should retry by themselves; `None` leaves it to the status.
    pub should_retry: Option<bool>,
}

/// The official SDKs give up when `Retry-After` is long; above this we tell them not to try at all.
const WORTH_WAITING: Duration = Duration::from_secs(60);

impl Ending {
    /// How the usage log files it.
    pub fn result(&self) -> CallResult {
        match self {
            Self::BadRequest { .. }
            | Self::Refused { .. }
            | Self::OverKeyLimits
            | Self::TooLarge { .. }
            | Self::BadToken { .. }
            | Self::AddressNotAllowed
            | Self::ModelNotAllowed { .. }
            | Self::NoPrice { .. }
            | Self::ModelNotFound { .. }
            | Self::NoSuchJob { .. }
            | Self::NotOnEndpoint { .. } => CallResult::ClientError,
            Self::TokenRate { .. } | Self::TokenQuota { .. } => CallResult::TokenLimit,
            Self::PoolExhausted { .. } => CallResult::PoolExhausted,
            Self::NoChannel { .. } | Self::JobUnreachable { .. } | Self::NotRecording | Self::NoRoom => {
                CallResult::NoChannel
            }
            Self::JobUpstream { timeout: true, .. } => CallResult::Timeout,
            Self::UpstreamFailed | Self::JobUpstream { .. } => CallResult::UpstreamError,
            Self::UpstreamTimeout => CallResult::Timeout,
            Self::Interrupted { .. } => CallResult::Interrupted,
            Self::ShuttingDown => CallResult::ShuttingDown,
        }
    }

    /// The table: status, type, code, text and `Retry-After` for a client of this profile.
    pub fn told(&self, profile: ClientProfile) -> Told {
        match profile {
            ClientProfile::Generic => self.usual(),
            ClientProfile::OpenClaw => openclaw::told(self),
        }
    }

    /// What every client that follows OpenAI's conventions is told.
    fn usual(&self) -> Told {
        let told = |status, kind, code: &str, message: String| Told {
            status,
            kind,
            code: code.to_owned(),
            message,
            param: None,
            retry_after: None,
            should_retry: None,
        };
        match self {
            Self::BadRequest { message, param } => Told {
                param: param.clone(),
                ..told(400, "invalid_request_error", "invalid_request_error", message.clone())
            },
            Self::Refused { status, message, param, code } => Told {
                param: param.clone(),
                ..told(
                    *status,
                    "invalid_request_error",
                    code.as_deref().unwrap_or("invalid_request_error"),
                    message.clone(),
                )
            },
            Self::OverKeyLimits => told(
                413,
                "invalid_request_error",
                "request_too_large",
                "The request takes more tokens than any key for this model may use at a time.".into(),
            ),
            Self::TooLarge { limit } => told(
                413,
                "invalid_request_error",
                "request_too_large",
                format!("The request is larger than {} MB; send less.", limit >> 20),
            ),
            Self::BadToken { message } => {
                told(401, "authentication_error", "invalid_api_key", (*message).to_owned())
            }
            Self::AddressNotAllowed => told(
                403,
                "permission_error",
                "ip_not_allowed",
                "This token may not be used from your address.".into(),
            ),
            Self::ModelNotAllowed { model } => told(
                403,
                "invalid_request_error",
                "model_not_allowed",
                format!("This token may not use the model `{model}`; ask for one that GET /v1/models lists."),
            ),
            Self::NotOnEndpoint { model, endpoint } => Told {
                param: Some("model".to_owned()),
                ..told(
                    404,
                    "invalid_request_error",
                    "model_not_on_endpoint",
                    format!("The model `{model}` is not served on /v1/{}.", endpoint.path()),
                )
            },
            Self::NoSuchJob { kind } => told(
                404,
                "invalid_request_error",
                "not_found",
                match kind {
                    JobKind::Video => {
                        "There is no video with this id; GET /v1/videos lists those of this token."
                    }
                    JobKind::Response => "There is no stored response with this id for this token.",
                }
                .into(),
            ),
            Self::JobUnreachable { kind } => Told {
                should_retry: Some(false),
                ..told(
                    503,
                    "server_error",
                    "job_unreachable",
                    format!(
                        "The key that made this {kind} is switched off, or its channel; the operator can switch it on."
                    ),
                )
            },
            Self::JobUpstream { kind, timeout } => told(
                if *timeout { 504 } else { 502 },
                "upstream_error",
                if *timeout { "upstream_timeout" } else { "upstream_error" },
                format!(
                    "The upstream that keeps this {kind} {}; try again.",
                    if *timeout { "was too slow" } else { "failed" }
                ),
            ),
            Self::NoRoom => Told {
                should_retry: Some(false),
                ..told(
                    507,
                    "server_error",
                    "insufficient_storage",
                    "The server has no room to keep the upload while it is sent; its operator sees why."
                        .into(),
                )
            },
            Self::NoPrice { model } => told(
                403,
                "invalid_request_error",
                "model_without_price",
                format!("This token's quota is in dollars, and the model `{model}` has no price."),
            ),
            Self::ModelNotFound { model } => told(
                404,
                "invalid_request_error",
                "model_not_found",
                format!("The model `{model}` does not exist; GET /v1/models lists those that do."),
            ),
            Self::TokenRate { retry_after } => Told {
                retry_after: Some(*retry_after),
                ..told(
                    429,
                    "rate_limit_error",
                    "rate_limit_exceeded",
                    "This token's requests per minute are used up.".into(),
                )
            },
            Self::TokenQuota { resets_in } => Told {
                retry_after: Some(resets_in.unwrap_or(Duration::from_secs(3600))),
                should_retry: Some(false),
                ..told(
                    429,
                    "insufficient_quota",
                    "insufficient_quota",
                    "This token's quota has no room for this call.".into(),
                )
            },
            Self::PoolExhausted { retry_after } => Told {
                retry_after: Some(*retry_after),
                should_retry: (*retry_after > WORTH_WAITING).then_some(false),
                ..told(
                    429,
                    "rate_limit_error",
                    "pool_exhausted",
                    "Every key for this model is at its limit.".into(),
                )
            },
            Self::NoChannel { retry_after } => Told {
                retry_after: Some(retry_after.unwrap_or(WORTH_WAITING)),
                should_retry: retry_after.is_none_or(|wait| wait > WORTH_WAITING).then_some(false),
                ..told(
                    503,
                    "server_error",
                    "no_available_channel",
                    "No channel can serve this model now.".into(),
                )
            },
            Self::UpstreamFailed => {
                told(502, "upstream_error", "upstream_error", "Every upstream of this model failed.".into())
            }
            Self::UpstreamTimeout => told(
                504,
                "upstream_error",
                "upstream_timeout",
                "Every upstream of this model was too slow.".into(),
            ),
            Self::Interrupted { .. } => told(
                502,
                "upstream_error",
                "upstream_interrupted",
                "The upstream broke the answer off.".into(),
            ),
            Self::ShuttingDown => Told {
                retry_after: Some(Duration::from_secs(5)),
                ..told(
                    503,
                    "server_error",
                    "shutting_down",
                    "The server is stopping; try again in a moment.".into(),
                )
            },
            Self::NotRecording => Told {
                retry_after: Some(Duration::from_secs(10)),
                ..told(
                    503,
                    "server_error",
                    "not_recording",
                    "The server cannot save its usage log and takes no calls; its operator sees why.".into(),
                )
            },
        }
    }
}

impl Told {
    /// OpenAI's error object; the message ends with the request id.
    pub fn json(&self, request_id: &str) -> serde_json::Value {
        serde_json::json!({
            "error": {
                "message": format!("{} (request id: {request_id})", self.message),
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        })
    }

    /// The same in the shape of Anthropic's `/messages` (<https://docs.anthropic.com/en/api/errors>).
    pub fn json_of_messages(&self, request_id: &str) -> serde_json::Value {
        let kind = match self.status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            504 => "timeout_error",
            400..500 => "invalid_request_error",
            _ => "api_error",
        };
        serde_json::json!({
            "type": "error",
            "error": {
                "type": kind,
                "message": format!("{} (request id: {request_id})", self.message),
                "param": self.param,
                "code": self.code,
            },
            "request_id": request_id,
        })
    }

    /// The event that ends a stream of this dialect with an error: its name, if it has one, and its data.
    pub fn event(&self, dialect: Dialect, request_id: &str) -> (Option<&'static str>, serde_json::Value) {
        match dialect {
            Dialect::Message => (Some("error"), self.json_of_messages(request_id)),
            // <https://platform.openai.com/docs/api-reference/responses-streaming/error>
            Dialect::Response => {
                let data = serde_json::json!({
                    "type": "error",
                    "code": self.code,
                    "message": format!("{} (request id: {request_id})", self.message),
                    "param": self.param,
                });
                (Some("error"), data)
            }
            _ => (None, self.json(request_id)),
        }
    }

    /// `Retry-After` in whole seconds, rounded up, at least 1.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after.map(|wait| (wait.as_millis().div_ceil(1000) as u64).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outages() -> Vec<Ending> {
        vec![
            Ending::PoolExhausted { retry_after: Duration::from_secs(3) },
            Ending::NoChannel { retry_after: None },
            Ending::NoChannel { retry_after: Some(Duration::from_secs(2)) },
            Ending::UpstreamFailed,
            Ending::UpstreamTimeout,
            Ending::TokenQuota { resets_in: None },
            Ending::TokenQuota { resets_in: Some(Duration::from_secs(5)) },
        ]
    }

    #[test]
    fn a_429_or_a_503_always_says_when_to_come_back() {
        for ending in outages().into_iter().chain([Ending::ShuttingDown, Ending::NotRecording]) {
            for profile in [ClientProfile::Generic, ClientProfile::OpenClaw] {
                let told = ending.told(profile);
                if matches!(told.status, 429 | 503) {
                    assert!(told.retry_after_s().is_some_and(|seconds| seconds >= 1), "{ending:?}");
                }
            }
        }
    }
}
