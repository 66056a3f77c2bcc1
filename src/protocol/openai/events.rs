//! Streams whose events have a `type`: those of `/responses`, `/messages`, pictures, speech and transcriptions.
//!
//! Documented at <https://platform.openai.com/docs/api-reference/responses-streaming>,
//! <https://docs.anthropic.com/en/docs/build-with-claude/streaming>,
//! <https://platform.openai.com/docs/api-reference/images-streaming> and
//! <https://platform.openai.com/docs/api-reference/audio>. Events pass as they are; only the model's name is ours.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    model::{
        endpoint::{Dialect, Endpoint},
        usage::{TokenCounts, Units},
    },
    protocol::{
        envelope::short_text,
        error_body::ErrorBody,
        estimate::TextMeter,
        json::{peek, quoted, says_something},
    },
};

use super::{
    Chunk, Finish, InBandError, inner, others::OtherPeek, stored::StoredIds, usage::Reported, with_model,
};

peek! {
    /// An event.
    EventPeek {
        kind: &'a RawValue = "type",
        error: &'a RawValue = "error",
        message: &'a RawValue = "message",
        response: &'a RawValue = "response",
        usage: &'a RawValue = "usage",
        delta: &'a RawValue = "delta",
        content_block: BlockPeek<'a> = "content_block",
        text: &'a RawValue = "text",
        audio: &'a RawValue = "audio",
        b64_json: &'a RawValue = "b64_json",
        size: &'a RawValue = "size",
        quality: &'a RawValue = "quality",
    }
}
peek! {
    /// A block of a message of Anthropic's that begins.
    BlockPeek { kind: &'a RawValue = "type", text: &'a RawValue = "text" }
}
peek! {
    /// What a message of Anthropic's gets added, or how it ends.
    DeltaPeek {
        text: &'a RawValue = "text",
        thinking: &'a RawValue = "thinking",
        partial_json: &'a RawValue = "partial_json",
        stop_reason: &'a RawValue = "stop_reason",
    }
}

/// Reads the events of one stream, in order, and remembers what the booking needs.
#[derive(Debug)]
pub struct EventReader {
    dialect: Dialect,
    public_model: String,
    reported: Reported,
    output: TextMeter,
    units: Units,
    has_content: bool,
    finish: Finish,
    cut_short: bool,
    /// How many pictures were asked for.
    wanted: u64,
    /// What a stored response is called here.
    stored: Option<StoredIds>,
    upstream_id: Option<String>,
}

impl EventReader {
    /// A reader for the answer to a request on `endpoint` for so many pictures (1 for anything else); `public_model` is the
    /// name that the client sees.
    pub fn new(endpoint: Endpoint, public_model: &str, wanted: u32) -> Self {
        Self {
            dialect: endpoint.shape().dialect,
            public_model: quoted(public_model),
            reported: Reported::default(),
            output: TextMeter::default(),
            units: Units::default(),
            has_content: false,
            finish: Finish::Open,
            cut_short: false,
            wanted: wanted.into(),
            stored: None,
            upstream_id: None,
        }
    }

    /// Writes our ids of a stored response in place of the upstream's.
    pub fn rename(&mut self, ids: StoredIds) {
        self.stored = Some(ids);
    }

    /// The upstream's id of the response, once it came, if it is stored.
    pub fn upstream_id(&self) -> Option<&str> {
        self.upstream_id.as_deref()
    }

    /// Reads the data of one event.
    pub fn read(&mut self, data: Bytes) -> Chunk {
        let malformed = Chunk { malformed: true, ..Chunk::default() };
        let Ok(text) = std::str::from_utf8(&data) else { return malformed };
        let Ok(event) = serde_json::from_str::<EventPeek<'_>>(text) else { return malformed };
        if !text.trim_ascii_start().starts_with('{') {
            return malformed;
        }
        let kind = event.kind.map_or("", |raw| raw.get().trim_matches('"'));
        let inside: OtherPeek<'_> = match (self.dialect, event.response, event.message) {
            (Dialect::Response, Some(raw), _) | (Dialect::Message, _, Some(raw)) => {
                serde_json::from_str(raw.get()).unwrap_or_default()
            }
            _ => OtherPeek::default(),
        };
        let mut chunk = Chunk { error: find_error(kind, &event, &inside, text), ..Chunk::default() };
        if chunk.error.is_some() {
            return chunk;
        }
        chunk.has_content = self.has_content_in(kind, &event, &inside);
        self.has_content |= chunk.has_content;
        if let Some(reported) = event.usage.and_then(Reported::read).or_else(|| inside.reported()) {
            self.reported = self.reported.renewed(reported);
        }
        chunk.finished = self.ends(kind);
        if chunk.finished {
            self.finish = Finish::Complete;
        }
        let mut forward = with_model(&data, text, inside.model(), &self.public_model);
        if let Some(ids) = self.stored.as_ref().filter(|_| event.response.is_some()) {
            let (renamed, theirs) = ids.rename_in_event(&forward);
            forward = renamed;
            if self.upstream_id.is_none() {
                self.upstream_id = theirs;
            }
        }
        chunk.forward = Some(forward);
        chunk
    }

    /// Whether an event brings anything for the reader of the answer. Notes what it brings.
    fn has_content_in(&mut self, kind: &str, event: &EventPeek<'_>, inside: &OtherPeek<'_>) -> bool {
        let mut said = |raw: Option<&RawValue>| {
            let raw = raw.filter(|raw| says_something(raw));
            if let Some(raw) = raw {
                self.output.add_json(inner(raw));
            }
            raw.is_some()
        };
        match self.dialect {
            Dialect::Response => {
                self.cut_short |= kind == "response.incomplete";
                if kind.ends_with(".delta") {
                    return said(event.delta);
                }
                // Calls of tools and pictures may come whole.
                kind == "response.output_item.done" || kind == "response.completed" && inside.has_output()
            }
            Dialect::Message => {
                let delta: DeltaPeek<'_> =
                    event.delta.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                let mut content = said(delta.text) | said(delta.thinking) | said(delta.partial_json);
                let reason = delta.stop_reason.map(RawValue::get);
                self.cut_short |= matches!(reason, Some("\"max_tokens\"" | "\"refusal\""));
                if let Some(block) = &event.content_block {
                    let is_text =
                        block.kind.is_some_and(|raw| matches!(raw.get(), "\"text\"" | "\"thinking\""));
                    content |= !is_text || block.text.is_some_and(says_something);
                }
                content
            }
            Dialect::Images => {
                if kind.ends_with(".completed") {
                    self.units.images += 1;
                    self.units.image_size = event.size.and_then(short_text).or(self.units.image_size.take());
                    self.units.image_quality =
                        event.quality.and_then(short_text).or(self.units.image_quality.take());
                }
                event.b64_json.is_some_and(says_something)
            }
            Dialect::Speech => event.audio.is_some_and(says_something),
            Dialect::Transcript if kind.ends_with(".delta") => said(event.delta),
            // Silence is heard as nothing.
            Dialect::Transcript => kind.ends_with(".done") && event.text.is_some(),
            _ => false,
        }
    }

    /// Whether an answer ends with an event of this kind.
    fn ends(&self, kind: &str) -> bool {
        match self.dialect {
            Dialect::Response => matches!(kind, "response.completed" | "response.incomplete"),
            Dialect::Message => kind == "message_stop",
            Dialect::Images => kind.ends_with(".completed") && self.units.images >= self.wanted,
            Dialect::Speech => kind == "speech.audio.done",
            Dialect::Transcript => kind == "transcript.text.done",
            _ => false,
        }
    }

    /// The usage that the stream reported so far.
    pub fn usage(&self) -> Option<TokenCounts> {
        self.reported.tokens()
    }

    /// What the stream says so far that it cost, in micro-dollars.
    pub fn cost_micros(&self) -> Option<i64> {
        self.reported.cost_micros()
    }

    /// What the stream says so far of its endpoint's own units.
    pub fn units(&self) -> Units {
        let audio_ms = self.reported.audio_ms().unwrap_or(0);
        Units { audio_ms, ..self.units.clone() }
    }

    /// An estimate of the tokens of all text so far.
    pub fn output_estimate(&self) -> u64 {
        self.output.tokens()
    }

    /// Whether any content came.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether the last event came.
    pub fn has_finished(&self) -> bool {
        self.finish != Finish::Open
    }

    /// Whether an end of the stream here is the end of the answer: the last event came, or at least one picture, of which
    /// fewer may come than were asked for.
    pub fn may_end(&self) -> bool {
        self.has_finished() || self.units.images > 0
    }

    /// Whether what came so far, taken as the whole stream, is an empty answer that another upstream should be asked
    /// for instead.
    pub fn is_empty_answer(&self) -> bool {
        !self.has_content && !self.cut_short
    }
}

/// The error that an event is or holds.
fn find_error(kind: &str, event: &EventPeek<'_>, inside: &OtherPeek<'_>, text: &str) -> Option<InBandError> {
    if let Some(raw) = event.error.filter(|raw| says_something(raw)) {
        return Some(InBandError::from_raw(raw));
    }
    if event.response.is_some() && (kind == "response.failed" || kind == "response.error") {
        let whole = event.response.map_or(text, RawValue::get);
        return inside
            .find_error(whole)
            .or_else(|| Some(InBandError::from_body(ErrorBody::read(whole.as_bytes()), whole.as_bytes())));
    }
    let named = kind == "error" || kind.is_empty() && event.message.is_some_and(says_something);
    named.then(|| InBandError::from_body(ErrorBody::read(text.as_bytes()), text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(endpoint: Endpoint) -> EventReader {
        EventReader::new(endpoint, "public", 1)
    }

    fn read(reader: &mut EventReader, events: &[&str]) -> Vec<Chunk> {
        events.iter().map(|event| reader.read(Bytes::copy_from_slice(event.as_bytes()))).collect()
    }

    #[test]
    fn a_response_has_content_at_its_first_delta_and_ends_with_its_usage() {
        let mut reader = reader(Endpoint::Responses);
        let chunks = read(
            &mut reader,
            &[
                r#"{"type":"response.created","response":{"id":"r","model":"secret","status":"in_progress","error":null,"output":[]}}"#,
                r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
                r#"{"type":"response.output_text.delta","delta":"Hello"}"#,
                r#"{"type":"response.completed","response":{"id":"r","model":"secret","status":"completed","error":null,
                    "output":[{"type":"message"}],"usage":{"input_tokens":7,"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1}}}}"#,
            ],
        );
        let content: Vec<bool> = chunks.iter().map(|chunk| chunk.has_content).collect();
        assert_eq!(content, [false, false, true, true]);
        assert!(chunks.iter().all(|chunk| chunk.error.is_none() && !chunk.malformed));
        for chunk in &chunks {
            let forward = chunk.forward.as_ref().unwrap();
            assert!(!String::from_utf8_lossy(forward).contains("secret"), "{forward:?}");
        }
        assert!(reader.has_finished() && chunks[3].finished);
        let usage = reader.usage().unwrap();
        assert_eq!((usage.prompt, usage.completion, usage.reasoning), (7, 2, 1));
    }

    #[test]
    fn a_message_of_anthropic_adds_its_usage_up_over_events() {
        let mut reader = reader(Endpoint::Messages);
        let chunks = read(
            &mut reader,
            &[
                r#"{"type":"message_start","message":{"id":"m","model":"secret","content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":20,"output_tokens":1}}}"#,
                r#"{"type":"ping"}"#,
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
                r#"{"type":"message_stop"}"#,
            ],
        );
        let content: Vec<bool> = chunks.iter().map(|chunk| chunk.has_content).collect();
        assert_eq!(content, [false, false, false, true, false, false]);
        assert!(String::from_utf8_lossy(chunks[0].forward.as_ref().unwrap()).contains(r#""model":"public""#));
        let usage = reader.usage().unwrap();
        assert_eq!((usage.prompt, usage.completion, usage.cached), (25, 9, 20));
        assert!(reader.has_finished() && !reader.is_empty_answer());
    }

    #[test]
    fn a_call_of_a_tool_is_content_and_an_end_without_any_is_empty() {
        let mut tool = reader(Endpoint::Messages);
        let start = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
        assert!(read(&mut tool, &[start])[0].has_content);
        let mut empty = reader(Endpoint::Responses);
        read(&mut empty, &[r#"{"type":"response.completed","response":{"output":[]}}"#]);
        assert!(empty.has_finished() && empty.is_empty_answer());
        let mut cut = reader(Endpoint::Responses);
        read(&mut cut, &[r#"{"type":"response.incomplete","response":{"output":[]}}"#]);
        assert!(cut.has_finished() && !cut.is_empty_answer());
    }

    #[test]
    fn errors_are_found_in_each_shape() {
        for (endpoint, event, message) in [
            (Endpoint::Responses, r#"{"type":"error","code":"server_error","message":"no"}"#, "no"),
            (
                Endpoint::Responses,
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"no"}}}"#,
                "no",
            ),
            (
                Endpoint::Messages,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
                "busy",
            ),
            (Endpoint::Images, r#"{"error":{"message":"no"}}"#, "no"),
        ] {
            let chunk = read(&mut reader(endpoint), &[event]).remove(0);
            assert_eq!(chunk.error.as_ref().map(|error| error.message.as_str()), Some(message), "{event}");
            assert!(chunk.forward.is_none());
        }
        assert!(read(&mut reader(Endpoint::Speech), &["nonsense"])[0].malformed);
    }

    #[test]
    fn pictures_sound_and_transcripts_end_where_they_should() {
        let mut pictures = EventReader::new(Endpoint::Images, "public", 2);
        let done = r#"{"type":"image_generation.completed","b64_json":"QUJD","size":"1024x1024","quality":"low","usage":{"input_tokens":1,"output_tokens":2}}"#;
        read(&mut pictures, &[r#"{"type":"image_generation.partial_image","b64_json":"QQ=="}"#, done]);
        assert!(!pictures.has_finished() && pictures.may_end());
        read(&mut pictures, &[done]);
        assert!(pictures.has_finished());
        let units = pictures.units();
        assert_eq!((units.images, units.image_size.as_deref()), (2, Some("1024x1024")));
        let mut sound = reader(Endpoint::Speech);
        let events = [
            r#"{"type":"speech.audio.delta","audio":"QQ=="}"#,
            r#"{"type":"speech.audio.done","usage":{"input_tokens":4,"output_tokens":5}}"#,
        ];
        read(&mut sound, &events);
        assert!(sound.has_content() && sound.has_finished());
        assert_eq!(sound.usage().unwrap().total(), 9);
        let mut heard = reader(Endpoint::Transcriptions);
        read(
            &mut heard,
            &[r#"{"type":"transcript.text.done","text":"","usage":{"type":"duration","seconds":2}}"#],
        );
        assert!(heard.has_finished() && !heard.is_empty_answer());
        assert_eq!(heard.units().audio_ms, 2000);
    }
}
