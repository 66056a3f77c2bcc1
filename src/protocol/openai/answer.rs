//! Answers in one piece, and their conversion into a stream.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::{
    model::usage::{Endpoint, TokenCounts},
    protocol::{
        estimate::TextMeter,
        json::{entries, quoted, says_something},
    },
};

use super::{AnswerPeek, Finish, InBandError, error_in_array, finish, inner, with_model};

/// A usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What to send on: the same bytes but for the model's public name and blank space before the JSON.
    pub body: Bytes,
    /// The usage that it reports, if plausible.
    pub usage: Option<TokenCounts>,
    /// What it says that it cost, in micro-dollars, if that can be believed.
    pub cost_micros: Option<i64>,
    /// An estimate of the tokens of its text, reasoning and tool arguments included; 0 for embeddings.
    pub output_estimate: u64,
}

/// Why a body of status 200 is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAnswer {
    /// It is an error.
    InBandError(Box<InBandError>),
    /// It says nothing: no content and no tool call, or no embedding.
    Empty,
    /// It is no JSON object of the expected shape.
    NotJson,
    /// It is a web page.
    Html,
    /// It is a stream of events, although none was asked for.
    Stream,
}

/// Reads the body of a 200.
///
/// An answer without content is [`BadAnswer::Empty`], to be asked of another upstream, unless it ended by
/// `content_filter` (the upstream's decision) or by `length`: a reasoning model that spent the client's `max_tokens` on
/// hidden reasoning would do so again elsewhere, and the client is to see why.
///
/// # Errors
/// The body is no usable answer.
pub fn read_answer(endpoint: Endpoint, public_model: &str, body: &Bytes) -> Result<Answer, BadAnswer> {
    let (body, text) = readable(body)?;
    let peek = parse(text)?;
    let mut meter = TextMeter::default();
    let mut says = false;
    for choice in peek.choices.iter().flatten() {
        says |= match (endpoint, &choice.message) {
            (Endpoint::Completions, _) => choice.text.is_some_and(|raw| {
                meter.add_json(inner(raw));
                says_something(raw)
            }),
            (_, Some(message)) => message.read(&mut meter),
            (_, None) => false,
        };
        says |= finish(choice.finish_reason) == Finish::CutShort;
    }
    if endpoint == Endpoint::Embeddings {
        says = peek.data.is_some_and(says_something);
    }
    if !says {
        return Err(BadAnswer::Empty);
    }
    let used = peek.usage();
    Ok(Answer {
        usage: used.map(|used| used.tokens),
        cost_micros: used.and_then(|used| used.cost_micros),
        output_estimate: meter.tokens(),
        body: with_model(&body, text, peek.model, &quoted(public_model)),
    })
}

/// The body without what stands before its JSON (DeepSeek sends blank lines while a request waits,
/// <https://api-docs.deepseek.com/quick_start/rate_limit>).
pub(super) fn readable(body: &Bytes) -> Result<(Bytes, &str), BadAnswer> {
    let mut start = body.trim_ascii_start();
    start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    match start.first() {
        None => return Err(BadAnswer::Empty),
        Some(b'<') => return Err(BadAnswer::Html),
        Some(b':') => return Err(BadAnswer::Stream),
        Some(_)
            if [&b"data:"[..], b"event:", b"id:", b"retry:"].iter().any(|field| start.starts_with(field)) =>
        {
            return Err(BadAnswer::Stream);
        }
        Some(_) => {}
    }
    let text = std::str::from_utf8(start).map_err(|_| BadAnswer::NotJson)?;
    Ok((body.slice(body.len() - start.len()..), text))
}

fn parse(text: &str) -> Result<AnswerPeek<'_>, BadAnswer> {
    if text.starts_with('[') {
        return Err(
            error_in_array(text).map_or(BadAnswer::NotJson, |error| BadAnswer::InBandError(Box::new(error)))
        );
    }
    if !text.starts_with('{') {
        return Err(BadAnswer::NotJson);
    }
    let peek: AnswerPeek<'_> = serde_json::from_str(text).map_err(|_| BadAnswer::NotJson)?;
    match peek.error(text) {
        Some(error) => Err(BadAnswer::InBandError(Box::new(error))),
        None => Ok(peek),
    }
}

/// An answer in one piece, turned into the chunks of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedAnswer {
    /// The data of the events, to be framed: content, end, and the usage if it was asked for and reported. `[DONE]` is
    /// the caller's.
    pub chunks: Vec<Bytes>,
    /// The usage that the answer reports, if plausible.
    pub usage: Option<TokenCounts>,
    /// What it says that it cost, in micro-dollars, if that can be believed.
    pub cost_micros: Option<i64>,
    /// An estimate of the tokens of its text.
    pub output_estimate: u64,
}

/// Turns a complete answer into chunks, for an upstream that answers a stream request with plain JSON. Values are copied
/// as they are written; each tool call gets the `index` that a stream needs.
///
/// # Errors
/// The body is no usable answer.
pub fn answer_as_chunks(
    endpoint: Endpoint,
    public_model: &str,
    body: &Bytes,
    include_usage: bool,
) -> Result<ChunkedAnswer, BadAnswer> {
    let answer = read_answer(endpoint, public_model, body)?;
    let (_, text) = readable(&answer.body)?;
    let fields = entries(text).map_err(|_| BadAnswer::NotJson)?;
    let object = if endpoint == Endpoint::Completions { "text_completion" } else { "chat.completion.chunk" };
    let head = format!(
        r#"{{"id":{},"object":"{object}","created":{},"model":{}"#,
        find(&fields, "id").unwrap_or("\"chatcmpl\""),
        find(&fields, "created").unwrap_or("0"),
        quoted(public_model)
    );
    let choices: Vec<&RawValue> =
        find(&fields, "choices").and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default();
    let mut chunks = Vec::with_capacity(choices.len() * 2 + 1);
    for (position, choice) in choices.iter().enumerate() {
        let choice = entries(choice.get()).map_err(|_| BadAnswer::NotJson)?;
        let index = find(&choice, "index").map_or_else(|| position.to_string(), str::to_owned);
        let logprobs =
            find(&choice, "logprobs").map(|raw| format!(r#","logprobs":{raw}"#)).unwrap_or_default();
        let (content, end, calls_tools) = if endpoint == Endpoint::Completions {
            (format!(r#""text":{}"#, find(&choice, "text").unwrap_or("\"\"")), r#""text":"""#, false)
        } else {
            let (delta, calls_tools) = delta(find(&choice, "message").unwrap_or("{}"));
            (format!(r#""delta":{delta}"#), r#""delta":{}"#, calls_tools)
        };
        let reason =
            find(&choice, "finish_reason").filter(|reason| reason.starts_with('"') && reason.len() > 2);
        let reason = reason.unwrap_or(if calls_tools { "\"tool_calls\"" } else { "\"stop\"" });
        chunks.push(
            format!(r#"{head},"choices":[{{"index":{index},{content}{logprobs},"finish_reason":null}}]}}"#)
                .into(),
        );
        chunks.push(
            format!(r#"{head},"choices":[{{"index":{index},{end},"finish_reason":{reason}}}]}}"#).into(),
        );
    }
    if let Some(usage) = find(&fields, "usage").filter(|_| include_usage && answer.usage.is_some()) {
        chunks.push(format!(r#"{head},"choices":[],"usage":{usage}}}"#).into());
    }
    let Answer { usage, cost_micros, output_estimate, .. } = answer;
    Ok(ChunkedAnswer { chunks, usage, cost_micros, output_estimate })
}

/// A field's value as it is written, unless it is null.
fn find<'a>(fields: &[(std::borrow::Cow<'_, str>, &'a RawValue)], key: &str) -> Option<&'a str> {
    fields
        .iter()
        .rev()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.get())
        .filter(|value| *value != "null")
}

/// A message as a delta, and whether it calls tools.
fn delta(message: &str) -> (String, bool) {
    let mut delta = String::with_capacity(message.len() + 32);
    let mut calls_tools = false;
    let fields = entries(message).unwrap_or_default();
    if find(&fields, "role").is_none() {
        delta.push_str(r#","role":"assistant""#);
    }
    for (key, value) in fields.iter().filter(|(key, value)| key != "role" || value.get() != "null") {
        let calls: Option<Vec<&RawValue>> =
            (key == "tool_calls").then(|| serde_json::from_str(value.get()).ok()).flatten();
        let value = match calls {
            Some(calls) => {
                calls_tools |= !calls.is_empty();
                let calls: Vec<String> =
                    calls.iter().enumerate().map(|(position, call)| indexed(call.get(), position)).collect();
                format!("[{}]", calls.join(","))
            }
            None => value.get().to_owned(),
        };
        delta.push_str(&format!(",{}:{value}", quoted(key)));
    }
    (format!("{{{}}}", delta.trim_start_matches(',')), calls_tools)
}

/// A tool call with an `index`.
fn indexed(call: &str, position: usize) -> String {
    match entries(call) {
        Ok(fields) if find(&fields, "index").is_none() => {
            let rest: Vec<String> = fields
                .iter()
                .filter(|(key, _)| key != "index")
                .map(|(key, value)| format!(",{}:{}", quoted(key), value.get()))
                .collect();
            format!(r#"{{"index":{position}{}}}"#, rest.concat())
        }
        _ => call.to_owned(),
    }
}
