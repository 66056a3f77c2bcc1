//! The answers of the fake upstream: a text that follows from the request, so that a wrong byte or somebody else's
//! answer shows.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// How OpenClaw begins the message that it adds after its user's words.
const OPENCLAW_CONTEXT: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";

/// How fast and how much the fake answers when the prompt does not say.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time before the first byte of an answer.
    pub first: Duration,
    /// Time between two chunks.
    pub chunk: Duration,
    /// Words in an answer.
    pub words: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { first: Duration::ZERO, chunk: Duration::ZERO, words: 5 }
    }
}

/// The whole text of the answer to a prompt with `marker=<marker> words=<words>`.
///
/// Every word carries the marker and its number, and the last one is not ASCII.
pub fn text(marker: &str, words: usize) -> String {
    (0..=words).map(|index| piece(marker, words, index)).collect()
}

fn piece(marker: &str, words: usize, index: usize) -> String {
    match index {
        0 if words > 0 => format!("{marker}.0"),
        index if index < words => format!(" {marker}.{index}"),
        _ => " 终🙂".to_owned(),
    }
}

/// What kind of answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completion,
    /// `POST /v1/embeddings`
    Embedding,
    /// One of [`super::media`], by its path below `/v1/`.
    Other(&'static str),
}

/// One answer, ready to be told in pieces.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What was asked for.
    pub kind: Kind,
    /// The model as the request names it.
    pub model: String,
    /// Distinguishes calls; part of the id.
    pub index: usize,
    /// From the prompt: `marker=`.
    pub marker: String,
    /// From the prompt: `words=`.
    pub words: usize,
    /// From the prompt: `first=<ms>` and `delay=<ms>`.
    pub pace: Pace,
    /// From the prompt: `tool=1` answers with a call of `look_up`, `tool=<name>` with one of that function.
    pub tool: Option<String>,
    /// From the prompt: `arguments=<JSON without blanks>` of the tool call.
    pub arguments: Option<String>,
    /// From the prompt: `reasoning=<pieces>` of `reasoning_content` come first.
    pub reasoning: usize,
    /// Words in the prompt.
    pub prompt_tokens: u64,
    /// From the prompt: `cached=<tokens>`.
    pub cached_tokens: u64,
    inputs: Vec<String>,
    base64: bool,
}

impl Answer {
    /// Reads the directives (`marker=abc words=20 delay=5`) from the last user message, the prompt or the input. What
    /// OpenClaw adds after its user's words is passed over.
    pub fn to(kind: Kind, body: &Value, index: usize, pace: Pace) -> Self {
        let prompts = match kind {
            Kind::Chat => body["messages"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|message| content_text(&message["content"]))
                .filter(|text| !text.starts_with(OPENCLAW_CONTEXT))
                .collect(),
            Kind::Completion => texts(&body["prompt"]),
            Kind::Embedding => texts(&body["input"]),
            Kind::Other(_) => [texts(&body["input"]), texts(&body["prompt"])].concat(),
        };
        let mut answer = Self {
            kind,
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            index,
            marker: "hello".to_owned(),
            words: pace.words,
            pace,
            tool: None,
            arguments: None,
            reasoning: 0,
            prompt_tokens: prompts.iter().map(|prompt| prompt.split_whitespace().count() as u64).sum(),
            cached_tokens: 0,
            inputs: prompts.clone(),
            base64: body["encoding_format"] == "base64",
        };
        let number = |value: &str| value.parse::<u64>().unwrap_or(0);
        for word in prompts.last().map(String::as_str).unwrap_or_default().split_whitespace() {
            match word.split_once('=') {
                Some(("marker", value)) => answer.marker = value.to_owned(),
                Some(("words", value)) => answer.words = number(value) as usize,
                Some(("delay", value)) => answer.pace.chunk = Duration::from_millis(number(value)),
                Some(("first", value)) => answer.pace.first = Duration::from_millis(number(value)),
                Some(("tool", "1")) => answer.tool = Some("look_up".to_owned()),
                Some(("tool", value)) => answer.tool = Some(value.to_owned()),
                Some(("arguments", value)) => answer.arguments = Some(value.to_owned()),
                Some(("reasoning", value)) => answer.reasoning = number(value) as usize,
                Some(("cached", value)) => answer.cached_tokens = number(value),
                _ => {}
            }
        }
        answer
    }

    /// The text of the whole answer.
    pub fn text(&self) -> String {
        text(&self.marker, self.words)
    }

    /// The usage of the whole answer.
    pub fn usage(&self) -> Value {
        self.usage_after(self.pieces())
    }

    /// The usage after that many pieces of content.
    pub fn usage_after(&self, pieces: usize) -> Value {
        let completion = pieces as u64;
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        })
    }

    /// How many pieces of content the answer has.
    pub fn pieces(&self) -> usize {
        self.reasoning + if self.tool.is_some() { 2 } else { self.words + 1 }
    }

    /// The chunk with the role; a text completion has none.
    pub fn role_chunk(&self) -> Option<Value> {
        (self.kind == Kind::Chat).then(|| self.chunk(json!({"role": "assistant", "content": ""})))
    }

    /// The chunk with this piece of content.
    pub fn piece_chunk(&self, index: usize) -> Value {
        if self.kind == Kind::Completion {
            let mut chunk = self.envelope("text_completion");
            chunk["choices"] = json!([{
                "index": 0, "text": piece(&self.marker, self.words, index), "logprobs": null, "finish_reason": null,
            }]);
            return chunk;
        }
        let delta = match index.checked_sub(self.reasoning) {
            None => json!({"reasoning_content": format!("thought{index} ")}),
            Some(0) if let Some(name) = &self.tool => json!({"tool_calls": [{
                "index": 0, "id": format!("call_{}", self.index), "type": "function",
                "function": {"name": name, "arguments": self.tool_arguments().0},
            }]}),
            Some(_) if self.tool.is_some() => json!({"tool_calls": [{
                "index": 0, "function": {"arguments": self.tool_arguments().1},
            }]}),
            Some(index) => json!({"content": piece(&self.marker, self.words, index)}),
        };
        self.chunk(delta)
    }

    /// The chunk with the reason for the end.
    pub fn finish_chunk(&self) -> Value {
        let mut chunk = match self.kind {
            Kind::Completion => {
                let mut chunk = self.envelope("text_completion");
                chunk["choices"] = json!([{"index": 0, "text": "", "logprobs": null}]);
                chunk
            }
            _ => self.chunk(json!({})),
        };
        chunk["choices"][0]["finish_reason"] = self.finish_reason().into();
        chunk
    }

    /// The last chunk, with the usage and without choices.
    pub fn usage_chunk(&self) -> Value {
        let mut chunk = self.envelope(self.chunk_object());
        chunk["choices"] = json!([]);
        chunk["usage"] = self.usage();
        chunk
    }

    /// A chunk with this delta.
    pub fn chunk(&self, delta: Value) -> Value {
        let mut chunk = self.envelope(self.chunk_object());
        chunk["choices"] = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]);
        chunk
    }

    /// The whole answer as one JSON body.
    pub fn plain(&self) -> Value {
        match self.kind {
            Kind::Chat => {
                let mut message = json!({"role": "assistant", "content": self.text()});
                if let Some(name) = &self.tool {
                    message["content"] = Value::Null;
                    let (begin, end) = self.tool_arguments();
                    message["tool_calls"] = json!([{
                        "id": format!("call_{}", self.index), "type": "function",
                        "function": {"name": name, "arguments": begin + &end},
                    }]);
                }
                if self.reasoning > 0 {
                    let thoughts: String =
                        (0..self.reasoning).map(|index| format!("thought{index} ")).collect();
                    message["reasoning_content"] = thoughts.into();
                }
                let mut answer = self.envelope("chat.completion");
                answer["choices"] = json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason()}]);
                answer["usage"] = self.usage();
                answer
            }
            Kind::Completion => {
                let mut answer = self.envelope("text_completion");
                answer["choices"] =
                    json!([{"index": 0, "text": self.text(), "logprobs": null, "finish_reason": "stop"}]);
                answer["usage"] = self.usage();
                answer
            }
            Kind::Embedding | Kind::Other(_) => json!({
                "object": "list",
                "model": self.model,
                "data": self.inputs.iter().enumerate().map(|(index, input)| json!({
                    "object": "embedding", "index": index, "embedding": self.vector(input),
                })).collect::<Vec<_>>(),
                "usage": {"prompt_tokens": self.prompt_tokens, "total_tokens": self.prompt_tokens},
            }),
        }
    }

    /// The arguments of the tool call in two pieces, the first of which ends with the first colon.
    fn tool_arguments(&self) -> (String, String) {
        let arguments =
            self.arguments.clone().unwrap_or_else(|| format!("{{\"marker\":\"{}\"}}", self.marker));
        let at = arguments.find(':').map_or(arguments.len(), |colon| colon + 1);
        (arguments[..at].to_owned(), arguments[at..].to_owned())
    }

    fn vector(&self, input: &str) -> Value {
        let numbers = embedding(input);
        if self.base64 {
            BASE64_STANDARD.encode(numbers.map(f32::to_le_bytes).concat()).into()
        } else {
            json!(numbers)
        }
    }

    fn envelope(&self, object: &str) -> Value {
        json!({
            "id": format!("chatcmpl-fake-{}", self.index),
            "object": object,
            "created": 1_760_000_000 + self.index,
            "model": self.model,
            "system_fingerprint": "fp_fake",
        })
    }

    fn chunk_object(&self) -> &'static str {
        if self.kind == Kind::Completion { "text_completion" } else { "chat.completion.chunk" }
    }

    fn finish_reason(&self) -> &'static str {
        if self.tool.is_some() { "tool_calls" } else { "stop" }
    }
}

/// The embedding of an input: four numbers that follow from its bytes.
pub fn embedding(input: &str) -> [f32; 4] {
    let sum: u32 = input.bytes().map(u32::from).sum();
    [input.len() as f32, sum as f32, (sum % 97) as f32 / 97.0, -0.5]
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(content_text).collect(),
        other => vec![content_text(other)],
    }
}
