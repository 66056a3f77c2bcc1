//! What a client asks: the few fields that routing and booking need, read from a body that otherwise passes untouched.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::model::endpoint::{Dialect, Endpoint, Shape, TextForm, Unit};

use super::{
    estimate::{TextMeter, read_string},
    json::{entries, quoted, says_something, span},
};

/// The longest model name that is accepted, in characters.
pub const MAX_MODEL_CHARS: usize = 200;

/// How deeply arrays and objects may be nested, as in most JSON parsers.
pub const MAX_DEPTH: usize = 128;

/// The largest `max_tokens` that is believed; larger ones count as this.
pub const MAX_BELIEVED_TOKENS: u64 = 1_000_000_000;

/// The most choices that one request may ask for
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-n>).
pub const MAX_CHOICES: u64 = 128;

/// The model of a moderation that names none
/// (<https://platform.openai.com/docs/api-reference/moderations/create#moderations-create-model>).
const MODERATION_MODEL: &str = "omni-moderation-latest";

/// The longest size or quality of a picture that is noted.
const MAX_KIND_CHARS: usize = 20;

/// The longest name of a conversation or a user that is looked at, as JSON.
const MAX_NAME_BYTES: usize = 1024;

/// What an image costs in the estimate. OpenAI's vision guide has 85 to about 1500 tokens, by size
/// (<https://platform.openai.com/docs/guides/images-vision#calculating-costs>).
const IMAGE_TOKENS: u64 = 1000;

/// What a message costs beside its text: three tokens and its role
/// (<https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb>).
const MESSAGE_TOKENS: u64 = 4;

/// Why a body was refused; for a 400 `invalid_request_error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EnvelopeError {
    /// What is wrong and what to send instead. Quotes nothing of the body.
    pub message: String,
    /// The field that is at fault, such as `stream_options.include_usage`.
    pub param: Option<&'static str>,
}

impl EnvelopeError {
    pub(super) fn body(message: impl Into<String>) -> Self {
        Self { message: message.into(), param: None }
    }

    pub(super) fn field(param: &'static str, rule: &str) -> Self {
        Self { message: format!("Invalid value for '{param}': {rule}."), param: Some(param) }
    }

    pub(super) fn missing(param: &'static str) -> Self {
        Self { message: format!("Missing required parameter: '{param}'."), param: Some(param) }
    }
}

/// A client's request: its bytes, and what was read from them.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The endpoint that it came in on.
    pub endpoint: Endpoint,
    /// The model that is asked for: 1 to [`MAX_MODEL_CHARS`] characters without control characters.
    pub model: String,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether the client wants the usage of a stream (`stream_options.include_usage`).
    pub include_usage: bool,
    /// The most completion tokens per choice: the larger of `max_completion_tokens` and `max_tokens`, at most
    /// [`MAX_BELIEVED_TOKENS`]. `None` if there is no bound, also for a negative number, which some servers take for that.
    pub max_tokens: Option<u64>,
    /// How many answers are generated: the larger of `n` and, for legacy completions, `best_of`, each 1 to
    /// [`MAX_CHOICES`]; and as many for every prompt of a legacy completion.
    pub choices: u32,
    /// What it asks of the model beside its text.
    pub needs: Needs,
    /// The size and the quality of the pictures that are asked for, each at most 20 characters.
    pub picture: (Option<String>, Option<String>),
    /// Characters to be spoken; only of speech.
    pub characters: u64,
    /// Documents to be ranked; only of rankings.
    pub documents: u64,
    /// Whether the answer is asked for as plain text, not as JSON; only of what was heard.
    pub plain_text: bool,
    /// The length of the files that came with it; only of forms.
    pub file_bytes: u64,
    /// How long the video shall be, in milliseconds, if the client says.
    pub video_ms: Option<u64>,
    /// Whether the upstream shall store the response; only of responses.
    pub stores: bool,
    /// The stored response that this one goes on from: our id as the client sent it.
    pub previous: Option<String>,
    body: Bytes,
    model_span: Range<usize>,
    /// Whether the model is ours, to be written into a body that names none.
    model_added: bool,
    /// Whether the model is not sent at all.
    model_unsent: bool,
    session_span: Option<Range<usize>>,
    user_span: Option<Range<usize>>,
    usage_patch: Option<UsagePatch>,
    /// Where the id of the previous response stands, and the upstream's to write there.
    previous_patch: Option<(Range<usize>, String)>,
    texts: Vec<(Range<usize>, TextKind)>,
}

/// What a request asks of a model beside its text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// That it calls tools.
    pub tools: bool,
    /// That its answer follows a JSON schema.
    pub schema: bool,
    /// That it reasons.
    pub reasoning: bool,
}

/// What a request's messages hold beside text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Media {
    /// Images.
    pub images: bool,
    /// Sound.
    pub audio: bool,
}

/// Where to write what, so that a stream reports its usage.
type UsagePatch = (Range<usize>, &'static str);

/// How the text of a field is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextKind {
    /// Messages: string values, images at a fixed cost.
    Messages,
    /// A prompt or an input: strings, or token numbers.
    Prompt,
    /// Definitions of tools and schemas, which reach the model as JSON: everything.
    Schema,
}

impl Envelope {
    /// Reads a request body.
    ///
    /// # Errors
    /// The body is not a JSON object in UTF-8, is nested more than [`MAX_DEPTH`] deep, lacks `model` or the field that
    /// holds its text, names a field that is read here twice, or gives one of them a wrong type or value.
    pub fn read(endpoint: Endpoint, body: Bytes) -> Result<Self, EnvelopeError> {
        Self::read_as(endpoint, body, None)
    }

    /// The same, for a request whose model is known without being named.
    fn read_as(endpoint: Endpoint, body: Bytes, known_model: Option<&str>) -> Result<Self, EnvelopeError> {
        let text = std::str::from_utf8(&body).map_err(|error| {
            EnvelopeError::body(format!(
                "The request body is not valid UTF-8 (byte {}).",
                error.valid_up_to()
            ))
        })?;
        if text.trim_ascii_start().is_empty() {
            return Err(EnvelopeError::body("The request body is empty; send a JSON object."));
        }
        if depth(text.as_bytes()) > MAX_DEPTH {
            return Err(EnvelopeError::body(format!(
                "The request body is nested more than {MAX_DEPTH} levels deep."
            )));
        }
        if !text.trim_ascii_start().starts_with('{') {
            return Err(EnvelopeError::body("The request body must be a JSON object."));
        }
        let fields = entries(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            EnvelopeError::body(format!("The request body is not valid JSON (line {line}, column {column})."))
        })?;
        let shape = endpoint.shape();
        let mut read = Fields::default();
        for (key, value) in &fields {
            read.take(endpoint, shape, key, value)?;
        }
        let content = read.content(shape, text)?;
        let (model, model_span, model_added) = match read.model {
            _ if let Some(known) = known_model => (checked_model(known.to_owned())?, 0..0, false),
            Some(value) => (model_name(value)?, span(text, value.get()), false),
            None if endpoint == Endpoint::Moderations => {
                let inside = text.len() - text.trim_ascii_start().len() + 1;
                (MODERATION_MODEL.to_owned(), inside..inside, true)
            }
            None => return Err(EnvelopeError::missing("model")),
        };
        let stream = flag(read.stream, "stream")?.unwrap_or(false)
            || read.stream_format.is_some_and(|value| value.get() == "\"sse\"");
        if stream && !shape.streams {
            return Err(EnvelopeError::field("stream", no_stream(endpoint)));
        }
        let stores = endpoint == Endpoint::Responses && flag(read.store, "store")?.unwrap_or(true);
        if flag(read.background, "background")?.unwrap_or(false) && !stores {
            let rule = "a response that is not stored cannot be made in the background; leave out `store`";
            return Err(EnvelopeError::field("background", rule));
        }
        let previous = read.previous.filter(|value| value.get() != "null").map(previous_id).transpose()?;
        let previous_patch = read
            .previous
            .filter(|_| previous.is_some())
            .map(|value| (span(text, value.get()), value.get().to_owned()));
        let (include_usage, usage_patch) = match shape.dialect {
            Dialect::Chat | Dialect::Completion => read.usage(text, model_span.end)?,
            _ => (false, None),
        };
        let newer_name = match endpoint {
            Endpoint::Responses => "max_output_tokens",
            _ => "max_completion_tokens",
        };
        let max_tokens = [(read.max_completion_tokens, newer_name), (read.max_tokens, "max_tokens")];
        let [newer, older] = max_tokens.map(|(value, param)| token_bound(value, param));
        let (newer, older) = (newer?, older?);
        let each = choice_count(read.n, "n")?.max(choice_count(read.best_of, "best_of")?);
        let prompts = read.texts[0].filter(|_| endpoint == Endpoint::Completions).map_or(1, prompt_count);
        let choices = each.saturating_mul(prompts);
        let characters = match (shape.unit, read.texts[0]) {
            (Unit::Characters, Some(input)) => character_count(input),
            _ => 0,
        };
        let documents = match (shape.unit, read.texts[1]) {
            (Unit::Searches, Some(documents)) => entry_count(documents),
            _ => 0,
        };
        Ok(Self {
            endpoint,
            model,
            stream,
            include_usage,
            max_tokens: newer.max(older),
            choices,
            needs: read.needs,
            picture: (read.size.and_then(short_text), read.quality.and_then(short_text)),
            characters,
            documents,
            plain_text: false,
            file_bytes: 0,
            video_ms: read.seconds.and_then(|value| video_ms(value.get().trim_matches('"'))),
            stores,
            previous,
            previous_patch,
            model_span,
            model_added,
            model_unsent: false,
            session_span: read.session.map(|value| span(text, value.get())),
            user_span: read.user.map(|value| span(text, value.get())),
            usage_patch: usage_patch.filter(|_| stream),
            texts: content,
            body,
        })
    }

    /// What a form asks by its model and its prompt, which may be empty; the rest is the caller's to fill in. There is no
    /// body to be [patched](Self::patched).
    ///
    /// # Errors
    /// The model's name is none.
    pub(super) fn of_form(endpoint: Endpoint, model: String, prompt: Bytes) -> Result<Self, EnvelopeError> {
        let quoted = quoted(std::str::from_utf8(&prompt).unwrap_or_default());
        Ok(Self {
            endpoint,
            model: checked_model(model)?,
            stream: false,
            include_usage: false,
            max_tokens: None,
            choices: 1,
            needs: Needs::default(),
            picture: (None, None),
            characters: 0,
            documents: 0,
            plain_text: false,
            file_bytes: 0,
            video_ms: None,
            stores: false,
            previous: None,
            previous_patch: None,
            model_span: 0..0,
            model_added: false,
            model_unsent: false,
            session_span: None,
            user_span: None,
            usage_patch: None,
            texts: vec![(0..quoted.len(), TextKind::Prompt)],
            body: quoted.into(),
        })
    }

    /// A request to make a video anew with another prompt: it names no model, `model` is that of the video.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of_remix(model: &str, body: Bytes) -> Result<Self, EnvelopeError> {
        let mut envelope = Self::read_as(Endpoint::Videos, body, Some(model))?;
        envelope.model_unsent = true;
        Ok(envelope)
    }

    /// Writes the upstream's id of the previous response where the client wrote ours.
    pub fn set_previous(&mut self, upstream_id: &str) {
        if let Some((_, text)) = &mut self.previous_patch {
            *text = quoted(upstream_id);
        }
    }

    /// Whether the client says which conversation it is.
    pub fn names_conversation(&self) -> bool {
        self.session_span.is_some()
    }

    /// What the client calls the conversation, as JSON.
    pub(super) fn session(&self) -> Option<&[u8]> {
        Some(&self.body[self.session_span.clone()?])
    }

    /// What the client calls its user, as JSON.
    pub(super) fn user(&self) -> Option<&[u8]> {
        Some(&self.body[self.user_span.clone()?])
    }

    /// The messages, prompt or input, as JSON.
    pub(super) fn first_text(&self) -> &str {
        let range = self.texts.first().map_or(0..0, |(range, _)| range.clone());
        // It was read from valid UTF-8, between two quotes or brackets.
        std::str::from_utf8(&self.body[range]).unwrap_or_default()
    }

    /// The body as the client sent it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// An estimate of the prompt in tokens: messages, prompt or input, and the definitions of tools and schemas. An image
    /// or a file costs a fixed amount, whatever its size. One pass over the body's text; not remembered.
    pub fn prompt_estimate(&self) -> u64 {
        self.prompt_measure().0
    }

    /// The same, and what the messages hold beside text, in the same pass.
    pub fn prompt_measure(&self) -> (u64, Media) {
        let (mut meter, mut media) = (TextMeter::default(), Media::default());
        for (range, kind) in &self.texts {
            count(&self.body[range.clone()], *kind, &mut meter, &mut media);
        }
        (meter.tokens(), media)
    }

    /// The body for an upstream: `model` replaced, and with `ask_usage` a stream's `stream_options.include_usage` set to
    /// true. Every other byte stays as the client sent it.
    pub fn patched(&self, upstream_model: &str, ask_usage: bool) -> Bytes {
        let mut model = quoted(upstream_model);
        if self.model_added {
            model = format!(r#""model":{model},"#);
        }
        let mut patches: Vec<(Range<usize>, &str)> = Vec::with_capacity(2);
        if let Some((range, text)) = &self.previous_patch {
            patches.push((range.clone(), text));
        }
        if !self.model_unsent && self.body[self.model_span.clone()] != *model.as_bytes() {
            patches.push((self.model_span.clone(), &model));
        }
        if let Some((range, text)) = self.usage_patch.as_ref().filter(|_| ask_usage) {
            patches.push((range.clone(), text));
        }
        if patches.is_empty() {
            return self.body.clone();
        }
        patches.sort_by_key(|(range, _)| range.start);
        let added: usize = patches.iter().map(|(_, text)| text.len()).sum();
        let mut patched = Vec::with_capacity(self.body.len() + added);
        let mut from = 0;
        for (range, text) in patches {
            patched.extend_from_slice(&self.body[from..range.start]);
            patched.extend_from_slice(text.as_bytes());
            from = range.end;
        }
        patched.extend_from_slice(&self.body[from..]);
        patched.into()
    }
}

/// The raw values of the fields that are read.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    stream: Option<&'a RawValue>,
    stream_format: Option<&'a RawValue>,
    stream_options: Option<&'a RawValue>,
    background: Option<&'a RawValue>,
    store: Option<&'a RawValue>,
    previous: Option<&'a RawValue>,
    seconds: Option<&'a RawValue>,
    max_tokens: Option<&'a RawValue>,
    max_completion_tokens: Option<&'a RawValue>,
    n: Option<&'a RawValue>,
    best_of: Option<&'a RawValue>,
    size: Option<&'a RawValue>,
    quality: Option<&'a RawValue>,
    /// What the endpoint's row names, in its order.
    texts: [Option<&'a RawValue>; 2],
    schemas: Vec<&'a RawValue>,
    session: Option<&'a RawValue>,
    user: Option<&'a RawValue>,
    needs: Needs,
}

impl<'a> Fields<'a> {
    fn take(
        &mut self,
        endpoint: Endpoint,
        shape: &'static Shape,
        key: &str,
        value: &'a RawValue,
    ) -> Result<(), EnvelopeError> {
        let generates = shape.generates;
        let text = shape.texts.iter().zip(&mut self.texts).find(|(field, _)| field.name == key);
        if let Some((field, slot)) = text {
            return put(slot, field.name, value);
        }
        let (slot, param) = match key {
            "model" => (&mut self.model, "model"),
            "stream" => (&mut self.stream, "stream"),
            "stream_options" if generates => (&mut self.stream_options, "stream_options"),
            "stream_format" if shape.dialect == Dialect::Speech => (&mut self.stream_format, "stream_format"),
            "background" if endpoint == Endpoint::Responses => (&mut self.background, "background"),
            "max_tokens" if generates => (&mut self.max_tokens, "max_tokens"),
            "max_completion_tokens" if generates => {
                (&mut self.max_completion_tokens, "max_completion_tokens")
            }
            "max_output_tokens" if endpoint == Endpoint::Responses => {
                (&mut self.max_completion_tokens, "max_output_tokens")
            }
            "n" if generates || shape.unit == Unit::Images => (&mut self.n, "n"),
            "best_of" if endpoint == Endpoint::Completions => (&mut self.best_of, "best_of"),
            "store" if endpoint == Endpoint::Responses => (&mut self.store, "store"),
            "previous_response_id" if endpoint == Endpoint::Responses => {
                (&mut self.previous, "previous_response_id")
            }
            "seconds" if shape.unit == Unit::Video => (&mut self.seconds, "seconds"),
            // OpenRouter's name for it.
            "duration" if shape.unit == Unit::Video && self.seconds.is_none() => {
                (&mut self.seconds, "duration")
            }
            "size" if matches!(shape.unit, Unit::Images | Unit::Video) => (&mut self.size, "size"),
            "quality" if shape.unit == Unit::Images => (&mut self.quality, "quality"),
            // What is no short text names nothing. These are the upstream's to judge.
            "prompt_cache_key" | "session_id" | "user" => {
                if value.get().starts_with('"') && value.get().len() <= MAX_NAME_BYTES {
                    *(if key == "user" { &mut self.user } else { &mut self.session }) = Some(value);
                }
                return Ok(());
            }
            "tools" | "functions" | "response_format" => {
                if key == "response_format" {
                    self.needs.schema |= value.get().contains("\"json_schema\"");
                } else {
                    self.needs.tools |= says_something(value);
                }
                self.schemas.push(value);
                return Ok(());
            }
            "reasoning_effort" | "reasoning" => {
                let off = ["\"none\"", "\"minimal\"", "false"].iter().any(|word| value.get().contains(word));
                self.needs.reasoning |= says_something(value) && !off;
                return Ok(());
            }
            // Some servers match keys without regard to case and would take this one for the real one.
            _ if key.eq_ignore_ascii_case("model") => {
                return Err(EnvelopeError::field("model", "write the field's name in lower case"));
            }
            _ if key.eq_ignore_ascii_case("stream") => {
                return Err(EnvelopeError::field("stream", "write the field's name in lower case"));
            }
            _ => return Ok(()),
        };
        put(slot, param, value)
    }

    /// The fields with text, checked for presence and type.
    fn content(
        &self,
        shape: &'static Shape,
        text: &str,
    ) -> Result<Vec<(Range<usize>, TextKind)>, EnvelopeError> {
        let mut content = Vec::with_capacity(1 + self.schemas.len());
        for (field, value) in shape.texts.iter().zip(&self.texts) {
            let value = match value {
                Some(value) if field.required || value.get() != "null" => value,
                _ if field.required => return Err(EnvelopeError::missing(field.name)),
                _ => continue,
            };
            let begins = |with: &[char]| value.get().starts_with(with);
            let (fits, rule) = match field.form {
                TextForm::Messages => (begins(&['[']), "it must be an array of messages"),
                TextForm::Text => (begins(&['"']), "it must be a string"),
                TextForm::TextOrList => (begins(&['[', '"']), "it must be a string or an array"),
                TextForm::List => (begins(&['[']), "it must be an array"),
                TextForm::Any => (begins(&['[', '"', '{']), "it must be a string"),
            };
            if !fits {
                return Err(EnvelopeError::field(field.name, rule));
            }
            let kind = if field.form == TextForm::Messages { TextKind::Messages } else { TextKind::Prompt };
            // The input of a response may be messages.
            let kind = if shape.dialect == Dialect::Response { TextKind::Messages } else { kind };
            content.push((span(text, value.get()), kind));
        }
        content.extend(self.schemas.iter().map(|value| (span(text, value.get()), TextKind::Schema)));
        Ok(content)
    }

    /// Whether usage is asked for, and the patch that asks for it.
    fn usage(&self, text: &str, model_end: usize) -> Result<(bool, Option<UsagePatch>), EnvelopeError> {
        let Some(options) = self.stream_options else {
            return Ok((false, Some((model_end..model_end, r#","stream_options":{"include_usage":true}"#))));
        };
        let whole = span(text, options.get());
        if options.get() == "null" {
            return Ok((false, Some((whole, r#"{"include_usage":true}"#))));
        }
        if !options.get().starts_with('{') {
            return Err(EnvelopeError::field("stream_options", "it must be an object"));
        }
        let inside = entries(options.get()).unwrap_or_default();
        let mut asked = None;
        for (_, value) in inside.iter().filter(|(key, _)| key == "include_usage") {
            if asked.replace(*value).is_some() {
                return Err(EnvelopeError::field(
                    "stream_options.include_usage",
                    "the field appears twice; send it once",
                ));
            }
        }
        let Some(value) = asked else {
            let patch =
                if inside.is_empty() { r#""include_usage":true"# } else { r#""include_usage":true,"# };
            return Ok((false, Some((whole.start + 1..whole.start + 1, patch))));
        };
        let wanted = flag(Some(value), "stream_options.include_usage")?.unwrap_or(false);
        Ok((wanted, (!wanted).then(|| (span(text, value.get()), "true"))))
    }
}

/// Takes a value that may be given once.
fn put<'a>(
    slot: &mut Option<&'a RawValue>,
    param: &'static str,
    value: &'a RawValue,
) -> Result<(), EnvelopeError> {
    if slot.replace(value).is_some() {
        return Err(EnvelopeError::field(param, "the field appears twice; send it once"));
    }
    Ok(())
}

/// Why an endpoint's answers do not stream.
fn no_stream(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Embeddings => "embeddings cannot be streamed",
        _ => "answers of this endpoint cannot be streamed",
    }
}

/// How many characters a JSON string has.
fn character_count(value: &RawValue) -> u64 {
    let text: String = serde_json::from_str(value.get()).unwrap_or_default();
    text.chars().count() as u64
}

/// How many entries a JSON array has.
fn entry_count(value: &RawValue) -> u64 {
    let entries: Vec<&RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
    entries.len() as u64
}

/// A short text such as `1024x1024`; none if it is something else.
pub(super) fn short_text(value: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    short(&text)
}

/// The same of what is text already.
pub(super) fn short(text: &str) -> Option<String> {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | ':');
    let fits = (1..=MAX_KIND_CHARS).contains(&text.len()) && text.chars().all(plain);
    fits.then(|| text.to_owned())
}

fn model_name(value: &RawValue) -> Result<String, EnvelopeError> {
    let rule = |rule: &str| EnvelopeError::field("model", rule);
    if !value.get().starts_with('"') {
        return Err(rule("it must be a string"));
    }
    let model: String =
        serde_json::from_str(value.get()).map_err(|_| rule("it must be a string of valid characters"))?;
    checked_model(model)
}

/// The longest id of a stored response, in bytes.
const MAX_ID_BYTES: usize = 200;

/// The id of a previous response.
fn previous_id(value: &RawValue) -> Result<String, EnvelopeError> {
    let id: Option<String> = serde_json::from_str(value.get()).ok();
    id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()))
        .ok_or(EnvelopeError::field("previous_response_id", "it must be the id of a stored response"))
}

/// The longest video that is believed, in seconds: a day.
const MAX_VIDEO_SECONDS: f64 = 86_400.0;

/// A number of seconds in milliseconds.
pub(super) fn video_ms(seconds: &str) -> Option<u64> {
    let seconds: f64 = seconds.trim().parse().ok()?;
    (seconds > 0.0 && seconds <= MAX_VIDEO_SECONDS).then_some((seconds * 1000.0) as u64)
}

/// A model's name, if it can be one.
fn checked_model(model: String) -> Result<String, EnvelopeError> {
    let rule = |rule: &str| EnvelopeError::field("model", rule);
    if model.trim().is_empty() {
        return Err(rule("it must not be empty"));
    }
    if model.chars().count() > MAX_MODEL_CHARS {
        return Err(rule("it must have at most 200 characters"));
    }
    if model.chars().any(char::is_control) {
        return Err(rule("it must not contain control characters"));
    }
    Ok(model)
}

fn flag(value: Option<&RawValue>, param: &'static str) -> Result<Option<bool>, EnvelopeError> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(EnvelopeError::field(param, "it must be true or false")),
    }
}

/// A whole number, `1e3` and `10.0` included; `None` for null.
fn whole_number(value: Option<&RawValue>, param: &'static str) -> Result<Option<f64>, EnvelopeError> {
    let Some(text) = value.map(RawValue::get).filter(|text| *text != "null") else {
        return Ok(None);
    };
    text.parse::<f64>()
        .ok()
        .filter(|number| number.fract() == 0.0)
        .map(Some)
        .ok_or_else(|| EnvelopeError::field(param, "it must be a whole number"))
}

fn token_bound(value: Option<&RawValue>, param: &'static str) -> Result<Option<u64>, EnvelopeError> {
    let number = whole_number(value, param)?.filter(|number| *number >= 0.0);
    Ok(number.map(|number| (number as u64).min(MAX_BELIEVED_TOKENS)))
}

fn choice_count(value: Option<&RawValue>, param: &'static str) -> Result<u32, EnvelopeError> {
    match whole_number(value, param)? {
        None => Ok(1),
        Some(number) if (1.0..=MAX_CHOICES as f64).contains(&number) => Ok(number as u32),
        Some(_) => Err(EnvelopeError::field(param, "it must be a whole number from 1 to 128")),
    }
}

/// How many prompts a legacy completion holds: texts or arrays of token numbers count one each, a mere array of numbers is
/// one prompt (<https://platform.openai.com/docs/api-reference/completions/create#completions-create-prompt>).
fn prompt_count(prompt: &RawValue) -> u32 {
    let entries: Vec<&RawValue> = serde_json::from_str(prompt.get()).unwrap_or_default();
    let prompts = entries.iter().filter(|entry| entry.get().starts_with(['"', '['])).count();
    u32::try_from(prompts).unwrap_or(u32::MAX).max(1)
}

/// The end of a JSON string: the index after its closing quote, given the index after the opening one.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// How deeply a text is nested, if it is JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(json, at),
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Adds what a piece of valid JSON is worth.
fn count(json: &[u8], kind: TextKind, meter: &mut TextMeter, media: &mut Media) {
    if kind == TextKind::Schema {
        let mut at = 0;
        while let Some(byte) = json.get(at) {
            let from = at;
            at += 1;
            if *byte == b'"' {
                let string = read_string(json, at);
                at = string.end;
                meter.add_string(string);
                meter.add_text(b"\"\"");
            } else if !byte.is_ascii_whitespace() {
                meter.add_text(&json[from..at]);
            }
        }
        return;
    }
    let (mut at, mut depth) = (0, 0_usize);
    let mut key: &[u8] = b"";
    while let Some(byte) = json.get(at) {
        let from = at;
        at += 1;
        match byte {
            b'"' => {
                let measured = read_string(json, at);
                at = measured.end;
                let string = &json[from + 1..at.saturating_sub(1).max(from + 1)];
                let after = json[at..].trim_ascii_start();
                if after.first() == Some(&b':') {
                    key = string;
                } else if kind == TextKind::Messages && is_medium(key, string) {
                    meter.add_tokens(IMAGE_TOKENS);
                    note_medium(key, string, media);
                } else {
                    meter.add_string(measured);
                }
            }
            b'[' | b'{' => {
                depth += 1;
                if kind == TextKind::Messages && depth == 2 {
                    meter.add_tokens(MESSAGE_TOKENS);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                while json
                    .get(at)
                    .is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                {
                    at += 1;
                }
                if kind == TextKind::Prompt {
                    meter.add_tokens(1);
                }
            }
            _ => {}
        }
    }
}

/// Whether a string is an image, a sound or a file rather than text: a data URL, a link in an `image_url`, or the bare
/// base64 of `input_audio.data`.
fn is_medium(key: &[u8], string: &[u8]) -> bool {
    let start = &string[..string.len().min(200)];
    match key {
        b"url" | b"image_url" if start.starts_with(b"http") => true,
        b"data" | b"file_data" => string.len() >= 256 && !start.contains(&b' '),
        _ => start.starts_with(b"data:") && start.windows(8).any(|part| part == b";base64,"),
    }
}

/// Notes what a medium is; a file is neither.
fn note_medium(key: &[u8], string: &[u8], media: &mut Media) {
    let is_a = |kind: &[u8]| string.starts_with(kind);
    if is_a(b"data:audio/") || key == b"data" && !is_a(b"data:") {
        media.audio = true;
    } else if is_a(b"data:image/") || is_a(b"http") || matches!(key, b"url" | b"image_url") {
        media.images = true;
    }
}

#[cfg(test)]
mod tests;
