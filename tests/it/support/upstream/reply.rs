//! Whole answers with a status: the errors of vendors, in the vendors' own words.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::fault::Fault;

/// A status, headers and a body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers, without `content-length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A body of any kind.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }.header("content-type", content_type)
    }

    /// A JSON body.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, message: &str, kind: &str, code: &str) -> Self {
        Self::json(status, &error(message, kind, code.into()))
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// `{"error":{...}}`
pub fn error(message: &str, kind: &str, code: Value) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

const HTML: &str =
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Please sign in</h1></body></html>";

fn html(status: u16) -> Reply {
    Reply::new(status, "text/html; charset=utf-8", HTML)
}

fn rate_limited(message: &str) -> Reply {
    Reply::error(429, message, "requests", "rate_limit_exceeded")
}

/// The time since 1970.
#[expect(clippy::disallowed_methods, reason = "a vendor has a clock of its own")]
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970")
}

/// The answer of a fault that is nothing but a status, headers and a body; `None` for all others.
///
/// The bodies follow what vendors document or what users quote in public reports.
pub fn of_fault(fault: Fault, key: &str) -> Option<Reply> {
    let client_error =
        |status, message: &str, code: &str| Reply::error(status, message, "invalid_request_error", code);
    let server_error =
        |status| Reply::error(status, "The server had an error", "server_error", "server_error");
    Some(match fault {
        Fault::Html200 => html(200),
        Fault::Empty200 => Reply { status: 200, headers: Vec::new(), body: Vec::new() },
        Fault::EmptyObject200 => Reply::json(200, &json!({})),
        Fault::Null200 => Reply::json(200, &Value::Null),
        Fault::HalfJson200 => Reply::new(200, "application/json", r#"{"id":"x","choices":[{"index":0,"mess"#),
        Fault::NotModified304 => Reply { status: 304, headers: Vec::new(), body: Vec::new() },

        Fault::RateLimitedBare => rate_limited("Rate limit reached"),
        Fault::RateLimitedSeconds => rate_limited("Rate limit reached").header("retry-after", "7"),
        Fault::RateLimitedTwoSeconds => rate_limited("Rate limit reached").header("retry-after", "2"),
        Fault::RateLimitedHttpDate => {
            let at = jiff::Timestamp::from_second(now().as_secs() as i64 + 9).expect("a date in this age");
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at);
            rate_limited("Rate limit reached").header("retry-after", &date.expect("a printable date"))
        }
        Fault::RateLimitedMs => rate_limited("Rate limit reached").header("retry-after-ms", "2500"),
        Fault::RateLimitedReset => rate_limited("Rate limit reached")
            .header("x-ratelimit-limit-requests", "30")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "1m2.5s"),
        Fault::RateLimitedText => rate_limited(
            "Rate limit reached for requests per min (RPM): Limit 3, Used 3. Please try again in 20s.",
        ),
        Fault::RateLimitedDaily => {
            rate_limited("Rate limit reached on requests per day (RPD): Limit 200, Used 200, Requested 1.")
        }
        Fault::RateLimitedConcurrency => {
            Reply::error(429, "Too many concurrent requests", "requests", "concurrency_limit_exceeded")
        }
        Fault::InsufficientQuota => Reply::error(
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        Fault::OpenRouterProvider429 => Reply::json(
            429,
            &json!({"error": {"message": "Provider returned error", "code": 429, "metadata": {
                "raw": "this model is temporarily rate-limited upstream. Please retry shortly",
                "provider_name": "Chutes",
            }}, "user_id": "user_fake"}),
        ),
        Fault::OpenRouterAccount429 => {
            let reset = (now().as_millis() + 42_000).to_string();
            Reply::json(
                429,
                &json!({"error": {"message": "Rate limit exceeded: free-models-per-min. ", "code": 429,
                "metadata": {"headers": {
                    "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset,
                }}}}),
            )
            .header("x-ratelimit-limit", "20")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset", &reset)
        }
        Fault::NvidiaBare429 => {
            Reply::new(429, "application/problem+json", r#"{"status":429,"title":"Too Many Requests"}"#)
        }
        Fault::GeminiArray429 => Reply::json(
            429,
            &json!([{"error": {"code": 429, "message": "You exceeded your current quota",
            "status": "RESOURCE_EXHAUSTED", "details": [{
                "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s",
            }]}}]),
        ),
        Fault::RateLimitedZero => rate_limited("Rate limit reached").header("retry-after", "0"),
        Fault::RateLimitedHuge => rate_limited("Rate limit reached").header("retry-after", "999999999"),
        Fault::RateLimitedGarbage => rate_limited("Rate limit reached").header("retry-after", "soon; -5"),
        Fault::RateLimitedAs400 => Reply::error(
            400,
            "Rate limit exceeded, please slow down",
            "rate_limit_error",
            "rate_limit_exceeded",
        ),
        Fault::RateLimitedAs200 => {
            Reply::json(200, &json!({"error": {"message": "Rate limit exceeded", "code": 429}}))
        }
        Fault::RateLimitedHtml => html(429).header("retry-after", "5"),

        Fault::Unauthorized => client_error(401, "Incorrect API key provided.", "invalid_api_key"),
        Fault::UnauthorizedEcho => client_error(
            401,
            &format!("Incorrect API key provided: {key}. Find yours at /keys."),
            "invalid_api_key",
        ),
        Fault::UnauthorizedUnbound => {
            Reply::json(401, &json!({"errors": {"message": "Please bind your account first"}}))
        }
        Fault::KeyInvalidAs400 => Reply::json(
            400,
            &json!([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT", "details": [{
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
            }]}}]),
        ),
        Fault::PaymentRequired => {
            Reply::error(402, "Insufficient Balance", "unknown_error", "invalid_request_error")
        }
        Fault::OpenRouter402 => Reply::json(
            402,
            &json!({"error": {"message": "Insufficient credits. Add more to continue.", "code": 402}}),
        ),
        Fault::ForbiddenBanned => {
            Reply::error(403, "This account was deactivated.", "access", "account_deactivated")
        }
        Fault::ForbiddenRegion => Reply::error(
            403,
            "Country, region, or territory not supported",
            "request_forbidden",
            "unsupported_country_region_territory",
        ),
        Fault::ForbiddenModel => {
            Reply::json(403, &json!({"status": 403, "title": "Forbidden", "detail": "Authorization failed"}))
        }
        Fault::ForbiddenHtml => html(403),

        Fault::ModelNotFound => client_error(
            404,
            "The model `x` does not exist or you do not have access to it.",
            "model_not_found",
        ),
        Fault::NotFoundHtml => html(404),
        Fault::ModelGone => {
            Reply::json(410, &json!({"status": 410, "title": "Gone", "detail": "end of life"}))
        }

        Fault::BadRequest => {
            client_error(400, "Invalid value for 'temperature': must be <= 2.", "invalid_value")
        }
        Fault::ContextLength400 => client_error(
            400,
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            "context_length_exceeded",
        ),
        Fault::ContentFilter400 => {
            client_error(400, "The response was filtered due to the prompt.", "content_filter")
        }
        Fault::PayloadTooLarge => client_error(413, "Request too large", "request_too_large"),
        Fault::Unprocessable => Reply::json(
            422,
            &json!({"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required"}]}),
        ),

        Fault::Status408 => server_error(408),
        Fault::Status409 => server_error(409),
        Fault::Status425 => server_error(425),
        Fault::Status500 => server_error(500),
        Fault::Status502 => html(502),
        Fault::Status503 => server_error(503).header("retry-after", "3"),
        Fault::Status504 => Reply { status: 504, headers: Vec::new(), body: Vec::new() },
        Fault::Status520 => html(520),
        Fault::Status522 => html(522),
        Fault::Status524 => Reply::new(524, "text/plain", "error code: 524"),
        Fault::Status527 => html(527),
        Fault::Status529 => Reply::json(
            529,
            &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        ),
        Fault::Status999 => Reply::new(999, "text/plain", "no"),
        Fault::NoContent204 => Reply { status: 204, headers: Vec::new(), body: Vec::new() },

        Fault::ErrorInJson200 => {
            Reply::json(200, &error("The server had an error", "server_error", 500.into()))
        }
        Fault::ErrorArray200 => {
            Reply::json(200, &json!([error("The server had an error", "server_error", 500.into())]))
        }
        Fault::ErrorText200 => Reply::json(200, &json!({"error": "upstream worker died"})),
        _ => return None,
    })
}
