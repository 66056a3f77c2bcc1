//! What can go wrong in a handler, as a type: one meaning, and the status and code that follow.
//!
//! This module renders nothing. Each router has one layer that draws an [`Error`] as a page, as OpenAI's JSON or as the
//! admin API's JSON.

use http::StatusCode;

/// An error of a page, of the admin API or of an endpoint that is not a relayed call.
///
/// How a relayed call ends is [`crate::relay::ending::Ending`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing at this address.
    #[error("not found")]
    NotFound,
    /// The path exists, but not for this method.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The input is wrong; the text names the field and the remedy, in the visitor's language.
    #[error("bad request: {0}")]
    BadRequest(String),
    /// The body is larger than the limit, in bytes.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// No session, or no valid credential.
    #[error("unauthorized")]
    Unauthorized,
    /// A request from another site, or without what would prove that it is not.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// Too many tries.
    #[error("too many requests, retry after {retry_after_s} s")]
    TooManyRequests {
        /// Seconds until the next try makes sense.
        retry_after_s: u64,
    },
    /// The server cannot do it now.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// Our own fault. The cause goes to the log, never to the visitor.
    #[error("internal error: {0:#}")]
    Internal(#[from] anyhow::Error),
}

impl Error {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BadRequest(_) => "invalid_request_error",
            Self::TooLarge { .. } => "request_too_large",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::TooManyRequests { .. } => "rate_limit_exceeded",
            Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal_error",
        }
    }
}

/// The result of a handler.
pub type Result<T, E = Error> = std::result::Result<T, E>;
