//! The meaning of OpenAI-shaped answers: chat completions, legacy completions and embeddings, and the other endpoints'.
//!
//! [`ChunkReader`] reads the chunks of a stream, one borrowed parse each; [`answer`] reads answers in one piece. The other
//! endpoints have their own: [`events`] and [`others`].

pub mod answer;
pub mod events;
pub mod others;
pub mod reader;
pub mod stored;
mod usage;

use bytes::Bytes;
use serde_json::{Value, value::RawValue};

use crate::model::usage::{Endpoint, TokenCounts};

use super::{
    error_body::{ErrorBody, MAX_ERROR_BYTES},
    estimate::TextMeter,
    json::{peek, quoted, says_something, span},
};

/// An error that came with status 200, in a stream or in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InBandError {
    /// The HTTP status that it stands for, if it names one.
    pub status: Option<u16>,
    /// Its code, as text also when it is a number.
    pub code: Option<String>,
    /// Its type.
    pub kind: Option<String>,
    /// Its message; upstream text, neither masked nor bounded to a line.
    pub message: String,
    /// The JSON that held it, at most [`MAX_ERROR_BYTES`]: for [`ErrorBody::read`].
    pub raw: Bytes,
}

impl InBandError {
    fn from_raw(raw: &RawValue) -> Self {
        let text = raw.get().as_bytes();
        let body = ErrorBody::read(format!(r#"{{"error":{}}}"#, raw.get()).as_bytes());
        Self::from_body(body, text)
    }

    fn from_body(body: ErrorBody, text: &[u8]) -> Self {
        Self {
            status: body.status,
            code: body.code,
            kind: body.kind,
            message: body.message,
            raw: Bytes::copy_from_slice(&text[..text.len().min(MAX_ERROR_BYTES)]),
        }
    }
}

peek! {
    /// A chunk or an answer.
    AnswerPeek {
        model: &'a RawValue = "model",
        choices: Vec<ChoicePeek<'a>> = "choices",
        usage: &'a RawValue = "usage",
        x_groq: GroqPeek<'a> = "x_groq",
        error: &'a RawValue = "error",
        object: &'a RawValue = "object",
        data: &'a RawValue = "data",
        message: &'a RawValue = "message",
        detail: &'a RawValue = "detail",
        title: &'a RawValue = "title",
    }
}
peek! {
    /// Groq's own part of a chunk, with the usage of a stream.
    GroqPeek { usage: &'a RawValue = "usage" }
}
peek! {
    /// One choice.
    ChoicePeek {
        index: &'a RawValue = "index",
        delta: MessagePeek<'a> = "delta",
        message: MessagePeek<'a> = "message",
        text: &'a RawValue = "text",
        finish_reason: &'a RawValue = "finish_reason",
        error: &'a RawValue = "error",
        usage: &'a RawValue = "usage",
    }
}
peek! {
    /// A message or a part of one.
    MessagePeek {
        content: &'a RawValue = "content",
        refusal: &'a RawValue = "refusal",
        reasoning_content: &'a RawValue = "reasoning_content",
        reasoning: &'a RawValue = "reasoning",
        reasoning_text: &'a RawValue = "reasoning_text",
        reasoning_details: &'a RawValue = "reasoning_details",
        tool_calls: &'a RawValue = "tool_calls",
        function_call: &'a RawValue = "function_call",
        audio: &'a RawValue = "audio",
        images: &'a RawValue = "images",
    }
}
peek! {
    /// A tool call or a part of one.
    ToolCallPeek { function: FunctionPeek<'a> = "function" }
}
peek! {
    /// A function call or a part of one; some servers send `arguments` as an object.
    FunctionPeek { name: &'a RawValue = "name", arguments: &'a RawValue = "arguments" }
}

impl MessagePeek<'_> {
    /// Whether there is anything for the reader, and its text added to the meter.
    fn read(&self, meter: &mut TextMeter) -> bool {
        let said = |raw: Option<&RawValue>, meter: &mut TextMeter| {
            let raw = raw.filter(|raw| says_something(raw));
            if let Some(raw) = raw {
                meter.add_json(inner(raw));
            }
            raw.is_some()
        };
        let mut content = said(self.content, meter) | said(self.refusal, meter);
        // Some upstreams send the same reasoning under two names; it is counted once.
        content |= [self.reasoning_content, self.reasoning, self.reasoning_text, self.reasoning_details]
            .into_iter()
            .any(|raw| said(raw, meter));
        if let Some(raw) = self.tool_calls.filter(|raw| says_something(raw)) {
            content = true;
            let calls: Vec<ToolCallPeek<'_>> = serde_json::from_str(raw.get()).unwrap_or_default();
            for function in calls.into_iter().filter_map(|call| call.function) {
                said(function.name, meter);
                said(function.arguments, meter);
            }
        }
        content |= said(self.function_call, meter);
        // Sound and pictures are content, but their base64 is not text.
        content | [self.audio, self.images].into_iter().flatten().any(says_something)
    }
}

/// The inside of a raw string; other values as they stand.
fn inner(raw: &RawValue) -> &[u8] {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).as_bytes()
}

impl AnswerPeek<'_> {
    /// The error that an answer of status 200 holds.
    fn error(&self, whole: &str) -> Option<InBandError> {
        if let Some(raw) = self.error.filter(|raw| says_something(raw)) {
            return Some(InBandError::from_raw(raw));
        }
        for choice in self.choices.iter().flatten() {
            if let Some(raw) = choice.error.filter(|raw| says_something(raw)) {
                return Some(InBandError::from_raw(raw));
            }
        }
        if self
            .choices
            .iter()
            .flatten()
            .any(|choice| choice.finish_reason.is_some_and(|raw| raw.get() == "\"error\""))
        {
            return Some(InBandError {
                status: None,
                code: None,
                kind: None,
                message: "The upstream ended the answer with finish_reason \"error\".".to_owned(),
                raw: Bytes::new(),
            });
        }
        let named = self.object.is_some_and(|raw| raw.get() == "\"error\"");
        let speaks = [self.message, self.detail, self.title].into_iter().flatten().any(says_something);
        let answers = self.choices.is_some() || self.usage.is_some() || self.data.is_some_and(says_something);
        (named || (speaks && !answers))
            .then(|| InBandError::from_body(ErrorBody::read(whole.as_bytes()), whole.as_bytes()))
    }

    /// The usage, wherever it is.
    fn usage(&self) -> Option<usage::Used> {
        let choices = self.choices.iter().flatten().filter_map(|choice| choice.usage);
        let groq = self.x_groq.as_ref().and_then(|groq| groq.usage);
        self.usage.into_iter().chain(groq).chain(choices).find_map(usage::read)
    }
}

/// Why a choice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    /// It is not over.
    Open,
    /// At its end: `stop`, `tool_calls` and the like.
    Complete,
    /// By a decision that another upstream would take as well, or that is not ours to undo: `length`,
    /// `content_filter`.
    CutShort,
}

fn finish(reason: Option<&RawValue>) -> Finish {
    match reason.map(RawValue::get) {
        Some("\"length\"" | "\"max_tokens\"" | "\"content_filter\"") => Finish::CutShort,
        Some(text) if text.starts_with('"') && text.len() > 2 => Finish::Complete,
        _ => Finish::Open,
    }
}

/// Replaces the value of `model`; the same bytes if there is nothing to replace.
fn with_model(body: &Bytes, text: &str, model: Option<&RawValue>, public_model: &str) -> Bytes {
    let Some(model) = model.filter(|model| model.get() != public_model) else {
        return body.clone();
    };
    let at = span(text, model.get());
    [&body[..at.start], public_model.as_bytes(), &body[at.end..]].concat().into()
}

/// One chunk of a stream, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// It holds text, a refusal, reasoning, a tool call, sound or a picture; a role or empty strings are none.
    pub has_content: bool,
    /// A choice ended with it.
    pub finished: bool,
    /// It is or holds an error.
    pub error: Option<InBandError>,
    /// The usage that it reports, if plausible.
    pub usage: Option<TokenCounts>,
    /// What to send on (the data of an event, to be framed): the same bytes but for the model's public name. `None` for
    /// an error, for what is malformed, for an object without `choices`, and for the usage chunk if the client did not
    /// ask for it.
    pub forward: Option<Bytes>,
    /// It is no JSON object of the expected shape.
    pub malformed: bool,
}

/// Reads the chunks of one stream, in order, and remembers what the booking needs.
#[derive(Debug)]
pub struct ChunkReader {
    endpoint: Endpoint,
    public_model: String,
    include_usage: bool,
    usage: Option<TokenCounts>,
    cost_micros: Option<i64>,
    output: TextMeter,
    has_content: bool,
    finish: Finish,
    /// How many choices may come.
    choices: u32,
    /// Which choices have begun, and which have ended: a bit each.
    begun: u128,
    ended: u128,
}

impl ChunkReader {
    /// A reader for the answer to a request on `endpoint`; `public_model` is the name that the client sees, and
    /// `include_usage` says whether the client asked for a usage chunk.
    pub fn new(endpoint: Endpoint, public_model: &str, include_usage: bool) -> Self {
        Self {
            endpoint,
            public_model: quoted(public_model),
            include_usage,
            usage: None,
            cost_micros: None,
            output: TextMeter::default(),
            has_content: false,
            finish: Finish::Open,
            choices: 1,
            begun: 0,
            ended: 0,
        }
    }

    /// The same for a request that asks for several choices: it has finished when all that began have ended.
    pub fn with_choices(self, choices: u32) -> Self {
        Self { choices, ..self }
    }

    /// Reads the data of one event.
    pub fn read(&mut self, data: Bytes) -> Chunk {
        let malformed = Chunk { malformed: true, ..Chunk::default() };
        let Ok(text) = std::str::from_utf8(&data) else { return malformed };
        if text.trim_ascii_start().starts_with('[') {
            return Chunk { error: error_in_array(text), malformed: true, ..Chunk::default() }.settled();
        }
        let Ok(peek) = serde_json::from_str::<AnswerPeek<'_>>(text) else { return malformed };
        if !text.trim_ascii_start().starts_with('{') {
            return malformed;
        }
        let used = peek.usage();
        let usage = used.map(|used| used.tokens);
        let mut chunk = Chunk { error: peek.error(text), usage, ..Chunk::default() };
        for choice in peek.choices.iter().flatten() {
            chunk.has_content |= match (self.endpoint, choice.delta.as_ref().or(choice.message.as_ref())) {
                (Endpoint::Completions, _) => choice.text.is_some_and(|raw| {
                    self.output.add_json(inner(raw));
                    says_something(raw)
                }),
                (_, Some(message)) => message.read(&mut self.output),
                (_, None) => false,
            };
            let index: u32 = choice.index.and_then(|raw| raw.get().parse().ok()).unwrap_or(0);
            let bit = 1_u128 << index.min(u128::BITS - 1);
            self.begun |= bit;
            match finish(choice.finish_reason) {
                Finish::Open => {}
                end => {
                    chunk.finished = true;
                    self.ended |= bit;
                    self.finish = if self.finish == Finish::CutShort { Finish::CutShort } else { end };
                }
            }
        }
        self.has_content |= chunk.has_content;
        if let Some(used) = used {
            self.usage = Some(used.tokens);
            self.cost_micros = used.cost_micros.or(self.cost_micros);
        }
        let usage_given = peek.usage.is_some_and(says_something);
        let wanted = match &peek.choices {
            Some(choices) if !choices.is_empty() => true,
            Some(_) => !usage_given || self.include_usage,
            None => usage_given && self.include_usage,
        };
        if wanted && chunk.error.is_none() {
            chunk.forward = Some(with_model(&data, text, peek.model, &self.public_model));
        }
        chunk
    }

    /// The last usage that the stream reported.
    pub fn usage(&self) -> Option<TokenCounts> {
        self.usage
    }

    /// What the stream says that it cost, in micro-dollars.
    pub fn cost_micros(&self) -> Option<i64> {
        self.cost_micros
    }

    /// An estimate of the tokens of all text so far, reasoning and tool arguments included.
    pub fn output_estimate(&self) -> u64 {
        self.output.tokens()
    }

    /// Whether any content came.
    pub fn has_content(&self) -> bool {
        self.has_content
    }

    /// Whether a finish reason came; of several choices, one for each that has begun.
    pub fn has_finished(&self) -> bool {
        self.finish != Finish::Open && (self.choices <= 1 || self.begun & !self.ended == 0)
    }

    /// Whether what came so far, taken as the whole stream, is an empty answer that another upstream should be asked
    /// for instead: no content, and no `length` or `content_filter` that explains it.
    pub fn is_empty_answer(&self) -> bool {
        !self.has_content && self.finish != Finish::CutShort
    }
}

impl Chunk {
    /// A chunk with an error is understood.
    fn settled(mut self) -> Self {
        self.malformed &= self.error.is_none();
        self
    }
}

/// The error of a body like `[{"error":{...}}]`, which Gemini sends.
fn error_in_array(text: &str) -> Option<InBandError> {
    let value: Value = serde_json::from_str(text).ok()?;
    value.get(0)?.get("error")?;
    let body = ErrorBody::from_value(&value);
    (!body.is_empty()).then(|| InBandError::from_body(body, text.trim().as_bytes()))
}

#[cfg(test)]
mod tests;
