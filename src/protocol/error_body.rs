//! What an upstream says in an error body, whatever its shape.
//!
//! Seen in the wild: OpenAI's `{"error":{...}}`, the same in an array (Gemini), `{"error":"text"}`, RFC 7807
//! (<https://www.rfc-editor.org/rfc/rfc7807>: NVIDIA), FastAPI's `{"detail":...}` (vLLM), `{"message","code"}`
//! (SiliconFlow, Mistral), `{"errors":[...]}` (Cloudflare), a bare JSON string, plain text and HTML.

use std::time::Duration;

use serde_json::Value;

/// The most bytes of an error body that are looked at.
pub const MAX_ERROR_BYTES: usize = 64 * 1024;

/// An error body, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// An HTTP status that the body names.
    pub status: Option<u16>,
    /// The code, as text also when it is a number.
    pub code: Option<String>,
    /// The type: OpenAI's `type`, Google's `status`, OpenRouter's `error_type`.
    pub kind: Option<String>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// The message; unbounded, not masked, empty if there is none.
    pub message: String,
    /// What a provider behind the upstream said (OpenRouter's `metadata.raw`).
    pub raw: Option<String>,
    /// The provider behind the upstream (OpenRouter's `metadata.provider_name`).
    pub provider: Option<String>,
    /// Google's `quotaId`s and `reason`s, joined with spaces.
    pub reasons: String,
    /// When to come back, as the body's fields say.
    pub retry_after: Option<Duration>,
    /// Headers that the body quotes (OpenRouter's `metadata.headers`), in lower case.
    pub headers: Vec<(String, String)>,
    /// The body is a web page.
    pub html: bool,
}

impl ErrorBody {
    /// Reads a body, or a prefix of one. Anything can be read; what is no JSON is a message as it stands.
    pub fn read(body: &[u8]) -> Self {
        let body = body[..body.len().min(MAX_ERROR_BYTES)].trim_ascii();
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        if body.first() == Some(&b'<') {
            return Self { message: page_title(body), html: true, ..Self::default() };
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::from_value(&value),
            Err(_) => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    /// Reads the JSON of a body, or of its `error` alone.
    pub fn from_value(value: &Value) -> Self {
        let mut body = Self::default();
        body.take(value, 0);
        if body.message.is_empty() {
            body.message = body.raw.clone().or_else(|| body.kind.clone()).unwrap_or_default();
        }
        body
    }

    /// Whether the body says anything.
    pub fn is_empty(&self) -> bool {
        self.message.is_empty() && self.code.is_none() && self.kind.is_none()
    }

    /// All that the body says, for finding phrases: code, type, reasons, message and raw text in lower case.
    pub fn haystack(&self) -> String {
        let parts = [
            self.code.as_deref(),
            self.kind.as_deref(),
            Some(&self.reasons),
            Some(&self.message),
            self.raw.as_deref(),
        ];
        parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" | ")
            .to_lowercase()
    }

    fn take(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => self.say(text),
            Value::Array(items) if depth < 4 => {
                for item in items.iter().take(8) {
                    self.take_item(item, depth + 1);
                }
            }
            Value::Object(_) if depth < 4 => self.take_object(value, depth + 1),
            _ => {}
        }
    }

    /// An item of a list of errors; FastAPI's have `loc` and `msg`.
    fn take_item(&mut self, item: &Value, depth: usize) {
        let Some(message) = item.get("msg").and_then(Value::as_str) else {
            return self.take(item, depth);
        };
        let path: Vec<String> =
            item.get("loc").and_then(Value::as_array).into_iter().flatten().map(plain).collect();
        let path = path.strip_prefix(&["body".to_owned()]).unwrap_or(&path).join(".");
        self.say(&if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") });
        if !path.is_empty() {
            self.param.get_or_insert(path);
        }
    }

    fn take_object(&mut self, value: &Value, depth: usize) {
        for key in ["error", "errors"] {
            if let Some(inner) = value.get(key).filter(|inner| says_something(inner)) {
                self.take(inner, depth);
            }
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let scalar =
            |key: &str| value.get(key).filter(|value| value.is_string() || value.is_number()).map(plain);
        for key in ["code", "error_code", "provider_code"] {
            self.code = self.code.take().or_else(|| scalar(key).filter(|code| !code.is_empty()));
        }
        for key in ["type", "error_type", "title"] {
            self.kind = self.kind.take().or_else(|| text(key).map(str::to_owned));
        }
        for key in ["status", "raw_status_code", "code", "status_code"] {
            self.status = self
                .status
                .or_else(|| scalar(key)?.parse().ok().filter(|status| (400..600).contains(status)));
        }
        if let Some(status) = text("status").filter(|status| status.parse::<u16>().is_err()) {
            self.kind.get_or_insert_with(|| status.to_owned());
        }
        self.param = self.param.take().or_else(|| text("param").map(str::to_owned));
        if self.message.is_empty() {
            for key in ["message", "msg", "error_msg", "error_message", "title"] {
                if let Some(message) = text(key) {
                    self.say(message);
                    break;
                }
                if key == "message" && value.get(key).is_some_and(Value::is_object) {
                    self.take(&value[key], depth);
                }
            }
        }
        match value.get("detail") {
            Some(Value::String(detail)) => self.say(detail),
            Some(detail) if self.message.is_empty() => self.take(detail, depth),
            _ => {}
        }
        self.take_details(value);
        self.take_metadata(value);
    }

    /// Google's `details` (<https://cloud.google.com/apis/design/errors#error_details>).
    fn take_details(&mut self, value: &Value) {
        for detail in value.get("details").and_then(Value::as_array).into_iter().flatten().take(16) {
            if let Some(delay) = detail.get("retryDelay").and_then(Value::as_str) {
                let seconds = delay.strip_suffix('s').and_then(|seconds| seconds.parse().ok());
                self.retry_after = self.retry_after.or_else(|| seconds_of(seconds?));
            }
            let violations =
                detail.get("violations").and_then(Value::as_array).into_iter().flatten().take(16);
            let ids = violations.filter_map(|violation| violation.get("quotaId"));
            for reason in ids.chain(detail.get("reason")).filter_map(Value::as_str) {
                if !self.reasons.is_empty() {
                    self.reasons.push(' ');
                }
                self.reasons.push_str(reason);
            }
        }
    }

    /// OpenRouter's `metadata` and `availability` (<https://openrouter.ai/docs/api-reference/errors>).
    fn take_metadata(&mut self, value: &Value) {
        for (object, key) in [("metadata", "retry_after_seconds"), ("availability", "retry_after")] {
            let seconds = value.get(object).and_then(|object| object.get(key)).and_then(Value::as_f64);
            self.retry_after = self.retry_after.or_else(|| seconds_of(seconds?));
        }
        let Some(metadata) = value.get("metadata") else { return };
        let text = |key: &str| metadata.get(key).map(plain).filter(|text| !text.is_empty() && text != "null");
        self.raw = self.raw.take().or_else(|| text("raw"));
        self.provider = self.provider.take().or_else(|| text("provider_name"));
        for key in ["error_type", "limit_source"] {
            if let Some(reason) = text(key) {
                self.reasons = [self.reasons.as_str(), &reason].join(" ").trim().to_owned();
            }
        }
        let headers = metadata.get("headers").and_then(Value::as_object).into_iter().flatten().take(32);
        self.headers.extend(headers.map(|(name, value)| (name.to_lowercase(), plain(value))));
    }

    fn say(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() || self.message.len() > MAX_ERROR_BYTES || self.message.contains(text) {
            return;
        }
        if !self.message.is_empty() {
            self.message.push_str(if self.message.ends_with('.') { " " } else { ": " });
        }
        self.message.push_str(text);
    }
}

/// Whether an `error` value is an error: not null, false, empty or zero.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Seconds as a duration, if they are a sensible number.
pub(crate) fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

fn page_title(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let from = at + lower[at..].find('>')? + 1;
        let to = from + lower[from..].find("</title")?;
        Some(page[from..to].split_whitespace().collect::<Vec<_>>().join(" "))
    });
    title
        .filter(|title| !title.is_empty())
        .map_or_else(|| "a web page".to_owned(), |title| format!("a web page: {title}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(body: &str) -> String {
        ErrorBody::read(body.as_bytes()).message
    }

    #[test]
    fn reads_the_message_from_every_shape() {
        for (body, expected) in [
            (r#"{"error":{"message":"no","type":"t","code":"c"}}"#, "no"),
            (r#"[{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED"}}]"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
            (r#"{"detail":{"error":{"message":"no"}}}"#, "no"),
            (r#"{"status":429,"title":"Too Many Requests"}"#, "Too Many Requests"),
            (
                r#"{"status":403,"title":"Forbidden","detail":"Authorization failed"}"#,
                "Forbidden: Authorization failed",
            ),
            (
                r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required"}]}"#,
                "messages.0: Field required",
            ),
            (r#"{"code":50505,"message":"no","data":null}"#, "no"),
            (r#"{"success":false,"errors":[{"code":3036,"message":"no"}]}"#, "no"),
            (r#""Invalid token""#, "Invalid token"),
            ("404 page not found\n", "404 page not found"),
            ("<!doctype html><TITLE>Just a\n moment</TITLE>", "a web page: Just a moment"),
            ("<p>", "a web page"),
            ("", ""),
        ] {
            assert_eq!(message(body), expected, "{body}");
        }
    }

    #[test]
    fn reads_codes_as_numbers_and_as_text() {
        let body = ErrorBody::read(br#"{"error":{"message":"m","code":429}}"#);
        assert_eq!((body.status, body.code.as_deref()), (Some(429), Some("429")));
        let body = ErrorBody::read(br#"{"error":{"message":"m","code":"503","type":"Service Unavailable"}}"#);
        assert_eq!((body.status, body.kind.as_deref()), (Some(503), Some("Service Unavailable")));
        let body = ErrorBody::read(
            br#"{"object":"error","message":"m","type":"rate_limited","code":"1300","raw_status_code":429}"#,
        );
        assert_eq!((body.status, body.code.as_deref()), (Some(429), Some("1300")));
    }

    #[test]
    fn reads_googles_details_and_openrouters_metadata() {
        let body = ErrorBody::read(
            br#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
                {"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"38.5s"}]}}]"#,
        );
        assert!(body.haystack().contains("perday"));
        assert_eq!(body.retry_after, Some(Duration::from_millis(38_500)));
        let body = ErrorBody::read(
            br#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"busy","provider_name":"Venice",
                "retry_after_seconds":17,"headers":{"X-RateLimit-Reset":"1791331200000"}}}}"#,
        );
        assert_eq!((body.raw.as_deref(), body.provider.as_deref()), (Some("busy"), Some("Venice")));
        assert_eq!(body.retry_after, Some(Duration::from_secs(17)));
        assert_eq!(body.headers, [("x-ratelimit-reset".to_owned(), "1791331200000".to_owned())]);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200), page in "<[a-zT<>/İ]{0,40}") {
            ErrorBody::read(&body);
            ErrorBody::read(page.as_bytes());
            ErrorBody::read(b"<title>a</title>");
        }
    }
}
