//! What is left of a request and of an answer when credentials are masked and contents of files are left out.
//!
//! It errs on the side of leaving out: what looks like a credential is masked although it may be none.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::Value;

use crate::{
    model::secret::Secret,
    protocol::sse::{Event, Scanner},
    upstream::outcome::mask_secrets,
};

/// The longest text that is kept, of a request, an answer and what an answer says.
pub const MOST_TEXT_BYTES: usize = 512 << 10;
/// Runs of base64 from this length on are contents of files.
const MOST_BASE64: usize = 256;
/// What stands for a value that is none of anybody's business.
const MASK: &str = "[masked]";
/// Names of fields whose values are credentials, in lower case and without `-` and `_`.
const SECRET_FIELDS: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "apikey",
    "xapikey",
    "password",
    "passwd",
    "secret",
    "clientsecret",
    "secretkey",
    "privatekey",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "bearertoken",
    "cookie",
    "setcookie",
];

/// Cleans texts; knows the keys of upstreams.
pub struct Cleaner<'a> {
    secrets: Vec<&'a Secret>,
}

impl<'a> Cleaner<'a> {
    /// A cleaner that masks these, and whatever looks like a credential.
    pub fn new(secrets: &'a [Secret]) -> Self {
        Self { secrets: secrets.iter().collect() }
    }

    /// A body as JSON for people, or as text if it is none.
    pub fn body(&self, body: &[u8]) -> String {
        match serde_json::from_slice::<Value>(body) {
            Ok(mut value) => {
                self.value(&mut value);
                serde_json::to_string_pretty(&value).unwrap_or_default()
            }
            Err(_) if is_text(body) => self.text(&String::from_utf8_lossy(body)),
            Err(_) => format!("[{} bytes left out]", body.len()),
        }
    }

    /// A whole answer, and what it says.
    pub fn answer(&self, body: &[u8]) -> (String, String) {
        let mut text = Said::default();
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            text.add(&value);
        }
        (self.body(body), self.text(&text.into_text()))
    }

    /// The data of each event on a line, and the text that they make together. If only together they show a credential, the
    /// events are left out, which the last value says.
    pub fn events(&self, body: &[u8]) -> (String, String, bool) {
        let mut scanner = Scanner::new();
        scanner.push(Bytes::copy_from_slice(body));
        scanner.finish();
        let (mut lines, mut said) = (String::new(), Said::default());
        while let Some(Ok(event)) = scanner.next() {
            match event {
                Event::Comment => {}
                Event::Done => lines.push_str("[DONE]\n"),
                Event::Data { event, data } => {
                    if let Some(name) = event {
                        let _ = write!(lines, "{}: ", String::from_utf8_lossy(&name));
                    }
                    match serde_json::from_slice::<Value>(&data) {
                        Ok(mut value) => {
                            said.add(&value);
                            self.value(&mut value);
                            let _ = writeln!(lines, "{value}");
                        }
                        Err(_) => {
                            let _ = writeln!(lines, "{}", self.text(&String::from_utf8_lossy(&data)));
                        }
                    }
                }
            }
        }
        let raw = said.into_text();
        let text = self.text(&raw);
        if text == raw { (lines, text, false) } else { (String::new(), text, true) }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    let name: String =
                        name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_lowercase();
                    if SECRET_FIELDS.contains(&name.as_str()) && value.is_string() {
                        *value = MASK.into();
                    } else {
                        self.value(value);
                    }
                }
                // A client chooses the names of fields as well.
                if fields.keys().any(|name| self.text(name) != *name) {
                    *fields = std::mem::take(fields)
                        .into_iter()
                        .map(|(name, value)| (self.text(&name), value))
                        .collect();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&self, text: &str) -> String {
        // Before contents are left out, since a key may stand in front of them.
        mask_secrets(&without_files(text), &self.secrets)
    }
}

/// Replaces contents of files, as `data:` addresses and as bare base64, by their type and size.
fn without_files(text: &str) -> String {
    if text.len() < MOST_BASE64 {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(MOST_TEXT_BYTES));
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.bytes().take_while(|&byte| is_base64(byte)).count();
        if run >= MOST_BASE64 && rest[..run].bytes().any(|byte| byte != rest.as_bytes()[0]) {
            let _ = write!(out, "[{} bytes left out]", run / 4 * 3);
        } else {
            out.push_str(&rest[..run]);
        }
        rest = &rest[run..];
        let other = rest.bytes().take_while(|&byte| !is_base64(byte)).count();
        out.push_str(&rest[..other]);
        rest = &rest[other..];
    }
    out
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

fn is_text(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| !text.contains('\0'))
}

/// The beginning of a text, and whether there was more.
pub fn cut(mut text: String) -> (String, bool) {
    if text.len() <= MOST_TEXT_BYTES {
        return (text, false);
    }
    let end = (0..=MOST_TEXT_BYTES).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.truncate(end);
    (text, true)
}

/// What an answer says, put together from its pieces: reasoning, text, and calls of tools.
#[derive(Default)]
struct Said {
    reasoning: String,
    text: String,
    /// Of each call its name and arguments.
    calls: Vec<(String, String)>,
}

impl Said {
    /// Takes what a piece, or a whole answer, adds: chat and legacy completions, responses and messages.
    fn add(&mut self, value: &Value) {
        for choice in value["choices"].as_array().into_iter().flatten() {
            for place in ["delta", "message"] {
                self.add_message(&choice[place]);
            }
            self.text.push_str(choice["text"].as_str().unwrap_or_default());
        }
        match value["type"].as_str() {
            Some("response.output_text.delta") => {
                self.text.push_str(value["delta"].as_str().unwrap_or_default())
            }
            Some("response.reasoning_summary_text.delta" | "response.reasoning_text.delta") => {
                self.reasoning.push_str(value["delta"].as_str().unwrap_or_default());
            }
            Some("response.function_call_arguments.delta") => {
                self.call(0, None, value["delta"].as_str());
            }
            Some("content_block_delta") => {
                let delta = &value["delta"];
                self.text.push_str(delta["text"].as_str().unwrap_or_default());
                self.reasoning.push_str(delta["thinking"].as_str().unwrap_or_default());
                if let Some(json) = delta["partial_json"].as_str() {
                    self.call(value["index"].as_u64().unwrap_or(0), None, Some(json));
                }
            }
            Some("message") => {
                for block in value["content"].as_array().into_iter().flatten() {
                    self.text.push_str(block["text"].as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
        for item in value["output"].as_array().into_iter().flatten() {
            for part in item["content"].as_array().into_iter().flatten() {
                self.text.push_str(part["text"].as_str().unwrap_or_default());
            }
        }
    }

    fn add_message(&mut self, message: &Value) {
        self.text.push_str(message["content"].as_str().unwrap_or_default());
        for field in ["reasoning_content", "reasoning"] {
            self.reasoning.push_str(message[field].as_str().unwrap_or_default());
        }
        for (place, call) in (0..).zip(message["tool_calls"].as_array().into_iter().flatten()) {
            let place = call["index"].as_u64().unwrap_or(place);
            self.call(place, call["function"]["name"].as_str(), call["function"]["arguments"].as_str());
        }
    }

    fn call(&mut self, place: u64, name: Option<&str>, arguments: Option<&str>) {
        let place = usize::try_from(place).unwrap_or(0).min(99);
        if self.calls.len() <= place {
            self.calls.resize_with(place + 1, Default::default);
        }
        let call = &mut self.calls[place];
        call.0.push_str(name.unwrap_or_default());
        call.1.push_str(arguments.unwrap_or_default());
    }

    fn into_text(self) -> String {
        let calls = self.calls.iter().filter(|(name, arguments)| !name.is_empty() || !arguments.is_empty());
        let calls = calls.map(|(name, arguments)| format!("{name}({arguments})"));
        let thought = Some(self.reasoning)
            .filter(|text| !text.is_empty())
            .map(|text| format!("<think>\n{text}\n</think>"));
        let said = Some(self.text.clone()).filter(|text| !text.is_empty());
        thought.into_iter().chain(said).chain(calls).collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cleaner(secrets: &[Secret]) -> Cleaner<'_> {
        Cleaner::new(secrets)
    }

    #[test]
    fn credentials_of_all_shapes_are_masked_wherever_they_stand() {
        let own = [Secret::new("my own upstream key")];
        let body = json!({
            "model": "gpt-4o-mini",
            "messages": [
                { "role": "user", "content": "the key is sk-abcdefghij0123456789abcd and my own upstream key" },
                { "role": "user", "content": [{ "type": "text", "text": "Authorization: Bearer abcdef.ghijkl-123" }] },
            ],
            "metadata": { "api_key": "plain", "X-Api-Key": "plain", "nested": { "password": "hunter2" }, "sk-abcdefghij0123456789": 1 },
            "max_tokens": 5,
        });
        let text = cleaner(&own).body(body.to_string().as_bytes());
        for hidden in ["sk-abcdef", "my own upstream key", "ghijkl", "\"plain\"", "hunter2"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
        for kept in ["gpt-4o-mini", "the key is [masked]", "\"max_tokens\": 5"] {
            assert!(text.contains(kept), "{kept} not in {text}");
        }
    }

    #[test]
    fn contents_of_files_are_left_out_with_type_and_size() {
        let data: String = "iVBORw0KGgo".chars().cycle().take(4000).collect();
        let body = json!({ "messages": [{ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{data}") } },
            { "type": "input_audio", "input_audio": { "data": data, "format": "wav" } },
        ] }] });
        let text = cleaner(&[]).body(body.to_string().as_bytes());
        assert!(text.contains("data:image/png;base64,[3000 bytes left out]"), "{text}");
        assert!(text.len() < 700 && !text.contains("iVBOR"), "{text}");
        assert_eq!(cleaner(&[]).body(&[0xff, 0, 1]), "[3 bytes left out]");
        let prose = "多语言 text with words. ".repeat(50);
        assert_eq!(without_files(&prose), prose);
        assert_eq!(without_files(&"-".repeat(400)), "-".repeat(400));
    }

    #[test]
    fn a_stream_is_put_together_with_reasoning_and_calls_of_tools() {
        let event = |delta: Value| format!("data: {}\n\n", json!({ "choices": [{ "delta": delta }] }));
        let stream = [
            event(json!({ "role": "assistant", "reasoning_content": "hm" })),
            event(json!({ "content": "你" })),
            ": keep-alive\n\n".to_owned(),
            event(json!({ "content": "好" })),
            event(
                json!({ "tool_calls": [{ "index": 0, "function": { "name": "weather", "arguments": "{\"ci" } }] }),
            ),
            event(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "ty\":1}" } }] })),
            "data: [DONE]\n\n".to_owned(),
        ];
        let (lines, text, left_out) = cleaner(&[]).events(stream.concat().as_bytes());
        assert_eq!(text, "<think>\nhm\n</think>\n\n你好\n\nweather({\"city\":1})");
        assert_eq!((lines.lines().count(), lines.lines().last(), left_out), (6, Some("[DONE]"), false));
    }

    #[test]
    fn a_credential_that_is_split_over_events_takes_the_events_with_it() {
        let event =
            |text: &str| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }));
        let stream = ["my key: sk-", "abcdef", "ghijklm", "nop"].map(event).concat();
        let (lines, text, left_out) = cleaner(&[]).events(stream.as_bytes());
        assert_eq!((lines.as_str(), text.as_str(), left_out), ("", "my key: [masked]", true));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let (text, more) = cut("好".repeat(MOST_TEXT_BYTES));
        assert!(more && text.len() <= MOST_TEXT_BYTES && text.chars().all(|c| c == '好'));
        assert_eq!(cut("short".into()), ("short".into(), false));
    }
}
