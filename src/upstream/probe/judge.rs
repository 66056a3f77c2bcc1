//! What an answer or a refusal shows about a model. Pure.

use serde_json::Value;

use super::question::{ARGUMENT, Colour, Dialect, Question, TOOL};
use crate::model::{
    probe::{ANY_JSON, JSON_BY_SCHEMA, ProbeVerdict},
    usage::OutcomeClass,
};

/// What one call shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// This about the model, and why.
    Shows(ProbeVerdict, String),
    /// Nothing yet: the same is to be asked in another way.
    Again(Question, Dialect),
}

fn shows(verdict: ProbeVerdict, detail: impl Into<String>) -> Finding {
    Finding::Shows(verdict, detail.into())
}

/// An answer's text in a line of at most this many characters.
const MOST_WORDS: usize = 120;

fn line(text: &str) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST_WORDS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The text of a message, whether it is one string or parts.
fn content(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// The text without a `<think>` part before it.
fn answer_text(text: &str) -> &str {
    text.rsplit_once("</think>").map_or(text, |(_, rest)| rest).trim()
}

/// Whether a message or a part of one shows reasoning.
pub fn shows_reasoning(message: &Value) -> bool {
    let says = |value: &Value| match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    let named = ["reasoning_content", "reasoning", "reasoning_text", "reasoning_details"];
    named.iter().any(|name| says(&message[*name])) || content(message).trim_start().starts_with("<think>")
}

/// What an answer in one piece shows: of what was asked, and whether the model reasoned. `body` is one of which
/// [`read_answer`](crate::protocol::openai::answer::read_answer) made sense.
pub fn judge_answer(question: Question, dialect: Dialect, body: &Value) -> (Finding, bool) {
    let choice = &body["choices"][0];
    let message = &choice["message"];
    let counted = body["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64();
    let reasoned = shows_reasoning(message) || counted.is_some_and(|tokens| tokens > 0);
    let whole = content(message);
    let text = answer_text(&whole);
    let cut_short = matches!(choice["finish_reason"].as_str(), Some("length" | "max_tokens"));
    let finding = match question {
        _ if cut_short && !calls(message).any(|_| true) => {
            shows(ProbeVerdict::Unclear, "the answer was cut off before its end")
        }
        Question::Stream => shows(ProbeVerdict::Not, "it answered a request for a stream in one piece"),
        Question::Tools { required } => judge_tools(required, dialect, message, text),
        Question::Vision(picture) => judge_vision([picture.left, picture.right], text),
        Question::Json { schema } => judge_json(schema, text),
    };
    (finding, reasoned)
}

fn calls(message: &Value) -> impl Iterator<Item = &Value> {
    message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["function"])
}

fn judge_tools(required: bool, dialect: Dialect, message: &Value, text: &str) -> Finding {
    let legacy = &message["function_call"];
    let Some(function) = calls(message).chain(legacy.is_object().then_some(legacy)).next() else {
        if required {
            return Finding::Again(Question::Tools { required: false }, dialect);
        }
        return shows(ProbeVerdict::Not, format!("it answered with text: {}", line(text)));
    };
    let name = function["name"].as_str().unwrap_or_default();
    if name != TOOL {
        return shows(ProbeVerdict::Not, format!("it called a tool that was not offered: {}", line(name)));
    }
    let arguments = match &function["arguments"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    if arguments[ARGUMENT].as_str().is_none_or(str::is_empty) {
        return shows(ProbeVerdict::Not, "it called the tool without the argument that was asked for");
    }
    shows(ProbeVerdict::Ok, if required { "tool_choice required" } else { "tool_choice auto" })
}

/// The model has seen the picture if it names both colours in their order, and no other after them.
fn judge_vision(expected: [Colour; 2], text: &str) -> Finding {
    let text_lower = text.to_lowercase();
    let mut named: Vec<(usize, Colour)> = Colour::ALL
        .into_iter()
        .flat_map(|colour| colour.names().map(|name| (colour, name)))
        .flat_map(|(colour, name)| text_lower.match_indices(name).map(move |(at, _)| (at, colour)))
        .collect();
    named.sort_by_key(|(at, _)| *at);
    let colours: Vec<Colour> = named.into_iter().map(|(_, colour)| colour).collect();
    if colours.ends_with(&expected) {
        return shows(ProbeVerdict::Ok, line(text));
    }
    const BLIND: [&str; 8] = [
        "can't see",
        "cannot see",
        "can't view",
        "cannot view",
        "unable to see",
        "unable to view",
        "no image",
        "don't see",
    ];
    if colours.is_empty() && BLIND.iter().any(|words| text_lower.replace('’', "'").contains(words)) {
        return shows(ProbeVerdict::Not, line(text));
    }
    let [left, right] = expected.map(|colour| colour.names()[0]);
    shows(
        ProbeVerdict::Accepted,
        format!("it took the picture, but did not tell {left} and {right}: {}", line(text)),
    )
}

fn judge_json(schema: bool, text: &str) -> Finding {
    let way = if schema { JSON_BY_SCHEMA } else { ANY_JSON };
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.get("sum").is_some() => shows(ProbeVerdict::Ok, way),
        Ok(_) => {
            shows(ProbeVerdict::Not, format!("{way}: not the object that was asked for: {}", line(text)))
        }
        Err(_) => shows(ProbeVerdict::Not, format!("{way}: the answer is not JSON: {}", line(text))),
    }
}

/// What an empty answer shows.
pub fn judge_empty(question: Question, dialect: Dialect) -> Finding {
    match question {
        Question::Tools { required: true } => Finding::Again(Question::Tools { required: false }, dialect),
        _ => shows(ProbeVerdict::Unclear, "the answer is empty"),
    }
}

/// A text without a name, wherever that stands as a whole.
fn without_name(text: &str, name: &str) -> String {
    if name.is_empty() {
        return text.to_owned();
    }
    let mut rest = text;
    let mut words = String::with_capacity(text.len());
    let is_part =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        words.push_str(before);
        if is_part(words.chars().next_back()) || is_part(after.chars().next()) {
            words.push_str(name);
        }
        rest = after;
    }
    words.push_str(rest);
    words
}

/// What a refusal shows. A limit, a wrong key or a fault on the way say nothing about the model, nor does a text that only
/// names it.
pub fn judge_refusal(
    question: Question,
    dialect: Dialect,
    model: &str,
    status: Option<u16>,
    class: OutcomeClass,
    detail: &str,
) -> Finding {
    let unclear = || shows(ProbeVerdict::Unclear, detail);
    let words = without_name(&detail.to_lowercase(), &model.to_lowercase());
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    match class {
        OutcomeClass::ClientError | OutcomeClass::Ambiguous | OutcomeClass::HostError => {}
        // OpenRouter: "No endpoints found that support tool use."
        OutcomeClass::ModelUnavailable if says(&["support"]) => {}
        _ => return unclear(),
    }
    if !matches!(status, Some(400 | 404 | 405 | 415 | 422 | 500 | 501)) {
        return unclear();
    }
    if !dialect.completion_limit && says(&["max_completion_tokens"]) {
        return Finding::Again(question, Dialect { completion_limit: true, ..dialect });
    }
    if !dialect.no_thinking && !question.streams() && says(&["enable_thinking"]) {
        return Finding::Again(question, Dialect { no_thinking: true, ..dialect });
    }
    let not = || shows(ProbeVerdict::Not, detail);
    match question {
        Question::Tools { required: true } if says(&["tool_choice", "tool choice", "required"]) => {
            Finding::Again(Question::Tools { required: false }, dialect)
        }
        Question::Tools { .. } if says(&["tool", "function"]) => not(),
        Question::Vision(_)
            if says(&[
                "image",
                "vision",
                "multimodal",
                "multi-modal",
                "content must be a string",
                "content should be a string",
            ]) =>
        {
            not()
        }
        Question::Json { schema: false } if says(&["response_format", "json"]) => {
            Finding::Again(Question::Json { schema: true }, dialect)
        }
        Question::Json { schema: true } if says(&["response_format", "json", "schema"]) => not(),
        Question::Stream if says(&["stream"]) => not(),
        _ => unclear(),
    }
}
