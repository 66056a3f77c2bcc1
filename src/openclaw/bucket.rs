//! What OpenClaw makes of an answer: the buckets of `openclaw models status --probe`
//! (<https://docs.openclaw.ai/cli/models>), by the order in which it looks at status, code, text and type. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::token::named_enum,
    protocol::openclaw::{self as words, reading_of},
};

named_enum! {
    /// What a probe shows.
    ProbeBucket {
        /// It answered.
        Ok = "ok",
        /// The token is refused: OpenClaw blocks the whole provider for a time.
        Auth = "auth",
        /// Too many calls, or overloaded.
        RateLimit = "rate_limit",
        /// Credit or quota is used up: OpenClaw blocks the whole provider for long.
        Billing = "billing",
        /// No answer, or one that broke off.
        Timeout = "timeout",
        /// The request is refused, the model is not there, or its answer is empty.
        Format = "format",
        /// Anything else, such as a fault of the server.
        Unknown = "unknown",
    }
}

/// What is wrong, in OpenClaw's terms; several of them share a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Auth,
    Billing,
    Format,
    ModelNotFound,
    Overflow,
    Overloaded,
    RateLimit,
    ServerError,
    Timeout,
}

impl Reason {
    fn bucket(self) -> ProbeBucket {
        match self {
            Self::Auth => ProbeBucket::Auth,
            Self::Billing => ProbeBucket::Billing,
            Self::Format | Self::ModelNotFound => ProbeBucket::Format,
            Self::RateLimit | Self::Overloaded => ProbeBucket::RateLimit,
            Self::Timeout => ProbeBucket::Timeout,
            Self::Overflow | Self::ServerError => ProbeBucket::Unknown,
        }
    }
}

/// The bucket of a refusal: its status and its body.
pub fn of_refusal(status: u16, body: &str) -> ProbeBucket {
    reason(Some(status), body).map_or(ProbeBucket::Unknown, Reason::bucket)
}

/// The bucket of an error object inside a stream.
pub fn of_stream_error(event: &Value) -> ProbeBucket {
    reason(None, &event.to_string()).map_or(ProbeBucket::Unknown, Reason::bucket)
}

fn reason(status: Option<u16>, body: &str) -> Option<Reason> {
    let error = serde_json::from_str::<Value>(body).unwrap_or_default();
    let error = &error["error"];
    let word = |name: &str| error[name].as_str().unwrap_or_default().to_lowercase();
    let is_html = body.trim_start().starts_with('<');
    let of_text = if is_html { None } else { of_text(&body.to_lowercase()) };
    let of_code = match word("code").as_str() {
        "unknown_parameter" => return Some(Reason::Format),
        "deactivated_workspace" => return Some(Reason::Auth),
        "resource_exhausted"
        | "rate_limit"
        | "rate_limited"
        | "rate_limit_exceeded"
        | "too_many_requests"
        | "throttled" => Some(Reason::RateLimit),
        "overloaded" | "overloaded_error" => Some(Reason::Overloaded),
        _ => None,
    };
    let of_type = match word("type").as_str() {
        "invalid_request_error" => Some(Reason::Format),
        "server_error" | "upstream_error" => Some(Reason::ServerError),
        "overloaded_error" => Some(Reason::Overloaded),
        _ => None,
    };
    let told = of_text.or(of_type).or(of_code);
    match status {
        None => told,
        Some(402) if told == Some(Reason::RateLimit) => told,
        Some(402) => Some(Reason::Billing),
        Some(429) if told == Some(Reason::Billing) => told,
        Some(429) => Some(Reason::RateLimit),
        Some(401 | 403) if told == Some(Reason::Billing) => told,
        Some(401 | 403) => Some(Reason::Auth),
        Some(408) => Some(Reason::Timeout),
        Some(410) if matches!(told, Some(Reason::Billing | Reason::Auth)) => told,
        Some(410) => Some(Reason::Timeout),
        _ if told == Some(Reason::Overflow) => told,
        Some(413) => Some(Reason::Overflow),
        Some(404) if matches!(told, Some(Reason::Billing | Reason::Auth | Reason::Format)) => told,
        Some(404) => Some(Reason::ModelNotFound),
        Some(529) => Some(Reason::Overloaded),
        Some(500..600) if matches!(told, Some(Reason::Overloaded | Reason::Format)) => told,
        Some(499 | 504 | 522 | 524) => Some(Reason::Timeout),
        Some(500..600) => Some(Reason::ServerError),
        Some(400 | 422) if told != Some(Reason::ServerError) => told.or(Some(Reason::Format)),
        Some(400 | 422) => Some(Reason::Format),
        Some(_) => told,
    }
}

/// What a body's text says, in lower case.
fn of_text(text: &str) -> Option<Reason> {
    if text.contains("does not support image input") {
        return Some(Reason::Format);
    }
    // The names of our own and others' errors, in the body as it is.
    let is_server_error = ["\"server_error\"", "\"upstream_error\""].iter().any(|name| text.contains(name));
    match reading_of(text, |_, _| false) {
        None | Some(words::Reading::Auth | words::Reading::Trouble) if is_server_error => {
            Some(Reason::ServerError)
        }
        None => None,
        Some(words::Reading::Auth) => Some(Reason::Auth),
        Some(words::Reading::Billing) => Some(Reason::Billing),
        Some(words::Reading::RateLimit) => Some(Reason::RateLimit),
        Some(words::Reading::Overloaded) => Some(Reason::Overloaded),
        Some(words::Reading::Trouble) => Some(Reason::Timeout),
        Some(words::Reading::ModelNotFound) => Some(Reason::ModelNotFound),
        Some(words::Reading::Format) => Some(Reason::Format),
        Some(words::Reading::ContextOverflow) => Some(Reason::Overflow),
    }
}

/// An answer as a stream, read as OpenClaw reads it.
#[derive(Debug, Default)]
pub struct Reading {
    has_text: bool,
    finish: Option<String>,
    is_done: bool,
    error: Option<(ProbeBucket, String)>,
}

impl Reading {
    /// The data of one event.
    pub fn take(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        if !event["error"].is_null() && self.error.is_none() {
            let text =
                event["error"]["message"].as_str().map_or_else(|| event["error"].to_string(), str::to_owned);
            self.error = Some((of_stream_error(&event), text));
        }
        for choice in event["choices"].as_array().into_iter().flatten() {
            let text = choice["delta"]["content"].as_str().unwrap_or_default();
            self.has_text |= !text.trim().is_empty();
            if let Some(finish) = choice["finish_reason"].as_str() {
                self.finish = Some(finish.to_owned());
            }
        }
    }

    /// `[DONE]`.
    pub fn done(&mut self) {
        self.is_done = true;
    }

    /// Whether nothing more is waited for.
    pub fn is_over(&self) -> bool {
        self.is_done || self.error.is_some()
    }

    /// What OpenClaw makes of it at its end, and why if it is not well.
    pub fn verdict(self) -> (ProbeBucket, Option<String>) {
        if let Some((bucket, text)) = self.error {
            return (bucket, Some(text));
        }
        match self.finish.as_deref() {
            None if !self.is_done => {
                (ProbeBucket::Timeout, Some("the stream ended without a finish reason".to_owned()))
            }
            Some(reason)
                if !matches!(
                    reason,
                    "stop" | "end" | "length" | "tool_calls" | "tool_call" | "function_call"
                ) =>
            {
                (ProbeBucket::Unknown, Some(format!("the answer ended with {reason}")))
            }
            _ if !self.has_text => (ProbeBucket::Format, Some("the answer has no visible text".to_owned())),
            _ => (ProbeBucket::Ok, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(message: &str, kind: &str, code: &str) -> String {
        json!({ "error": { "message": message, "type": kind, "code": code, "param": null } }).to_string()
    }

    #[test]
    fn a_refusal_falls_into_the_bucket_that_openclaws_own_probe_shows() {
        use ProbeBucket::*;
        for (status, body, bucket) in [
            (401, error("Incorrect API key provided", "invalid_request_error", "invalid_api_key"), Auth),
            (403, error("user quota is not enough", "", ""), Auth),
            (402, error("Insufficient credits", "", ""), Billing),
            (402, error("Daily limit reached, try again tomorrow", "", ""), RateLimit),
            (429, error("You exceeded your quota", "insufficient_quota", "insufficient_quota"), Billing),
            (429, error("busy", "rate_limit_error", "rate_limit_exceeded"), RateLimit),
            (404, error("The model x does not exist", "invalid_request_error", "model_not_found"), Format),
            (404, "<html>nothing here</html>".to_owned(), Format),
            (400, error("bad field", "invalid_request_error", ""), Format),
            (
                400,
                error("This model's maximum context length is 8 tokens", "invalid_request_error", ""),
                Unknown,
            ),
            (400, error("rate limit reached", "", ""), RateLimit),
            (413, String::new(), Unknown),
            (500, error("broken", "server_error", ""), Unknown),
            (502, "<html>bad gateway</html>".to_owned(), Unknown),
            (503, error("No available channel", "", ""), Unknown),
            (503, error("The engine is overloaded", "", ""), RateLimit),
            (504, String::new(), Timeout),
            (529, String::new(), RateLimit),
        ] {
            assert_eq!(of_refusal(status, &body), bucket, "{status} {body}");
        }
    }

    fn read(events: &[Value], done: bool) -> ProbeBucket {
        let mut reading = Reading::default();
        for event in events {
            reading.take(event.to_string().as_bytes());
        }
        if done {
            reading.done();
        }
        reading.verdict().0
    }

    #[test]
    fn a_stream_is_judged_by_text_end_and_error() {
        use ProbeBucket::*;
        let text = json!({ "choices": [{ "delta": { "content": "OK" } }] });
        let end = |reason: &str| json!({ "choices": [{ "delta": {}, "finish_reason": reason }] });
        assert_eq!(read(&[text.clone(), end("stop")], true), Ok);
        assert_eq!(read(&[text.clone(), end("length")], false), Ok);
        assert_eq!(read(std::slice::from_ref(&text), true), Ok);
        assert_eq!(read(std::slice::from_ref(&text), false), Timeout);
        assert_eq!(read(&[], false), Timeout);
        assert_eq!(read(&[end("stop")], true), Format);
        assert_eq!(read(&[text.clone(), end("content_filter")], true), Unknown);
        let broken = json!({ "error": { "message": "Daily limit reached", "type": "x" } });
        assert_eq!(read(&[text, broken], false), RateLimit);
        assert_eq!(read(&[json!({ "error": { "message": "m", "code": "model_not_found" } })], false), Format);
    }
}
