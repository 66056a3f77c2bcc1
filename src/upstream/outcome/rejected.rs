//! Fields of a request that an upstream refuses because it does not know them.
//!
//! Seen in the wild: OpenAI ("Unrecognized request argument supplied: x", "Unsupported parameter: 'x' is not supported with this
//! model. Use 'y' instead."), pydantic behind vLLM, NVIDIA and Mistral (`extra_forbidden` with the field's place), Groq
//! ("property 'x' is unsupported"), Google ("Unknown name \"x\": Cannot find field."), Go and Rust servers ("unknown field
//! `x`"), JSON schemas ("Additional properties are not allowed ('x' was unexpected)"), SiliconFlow ("does not support parameter
//! x").

use crate::{
    model::fix::{Fix, KEPT_FIELDS, Rename},
    protocol::{
        error_body::ErrorBody,
        shape::{self, FormField},
    },
};

/// A field that was refused, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedField {
    /// Its name.
    pub name: String,
    /// It is left out, or gets the name that the upstream asks for.
    pub remedy: Fix,
}

/// The most fields that one answer is believed to refuse.
const MAX_FIELDS: usize = 8;

/// What stands before the name of a field that is not known, in lower case.
const BEFORE: &[&str] = &[
    "unrecognized request argument supplied",
    "unrecognized request arguments supplied",
    "unknown parameter",
    "unknown parameters",
    "unsupported parameter",
    "unsupported parameters",
    "unsupported parameter(s)",
    "unrecognized parameter",
    "unexpected parameter",
    "unknown field",
    "unknown fields",
    "unrecognized field",
    "unexpected field",
    "unsupported field",
    "unknown name",
    "unknown argument",
    "unrecognized argument",
    "unexpected argument",
    "unexpected keyword argument",
    "unsupported argument",
    "unknown key",
    "unrecognized key",
    "unrecognized key(s) in object",
    "not support parameter",
    "not support the parameter",
    "not support",
    "additional properties are not allowed",
    "未知参数",
    "不支持参数",
    "不支持的参数",
    "不支持",
];

/// What stands after it.
const AFTER: &[&str] = &[
    "extra inputs are not permitted",
    "extra fields not permitted",
    "is unsupported",
    "is not supported",
    "are not supported",
    "not supported",
    "parameter is not supported",
    "was unexpected",
    "is unknown",
    "is unrecognized",
    "is not a recognized",
    "is not a valid parameter",
    "is not a supported parameter",
    "参数不支持",
    "不支持",
];

/// Names of the same thing; an upstream that refuses one of them may name the other.
const TWINS: [(&str, &str); 2] =
    [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")];

/// The fields of the top level of `sent` that the body of a refusal names as unknown or not supported; never one that
/// makes the request what it is. What a client wrote into a field proves nothing about it.
pub fn rejected_fields(body: &[u8], sent: &[u8]) -> Vec<RejectedField> {
    rejected(body, &shape::field_names(sent), |name| shape::field_value(sent, name).unwrap_or_default())
}

/// The same of a form: never a file, a long text, or the format that an answer is asked for in unless it is the usual one.
pub fn rejected_form_fields(body: &[u8], sent: &[FormField]) -> Vec<RejectedField> {
    let may_go = |field: &&FormField| {
        let text = field.text.as_deref().filter(|_| !field.is_file);
        text.is_some_and(|text| field.plain_name() != "response_format" || text == "json")
    };
    let mut names: Vec<String> =
        sent.iter().filter(may_go).map(|field| field.plain_name().to_owned()).collect();
    names.sort();
    names.dedup();
    let value = |name: &str| {
        let named = sent.iter().filter(|field| field.plain_name() == name);
        named.filter_map(|field| field.text.as_deref()).collect::<Vec<_>>().join(" ")
    };
    rejected(body, &names, value)
}

fn rejected(body: &[u8], names: &[String], value: impl Fn(&str) -> String) -> Vec<RejectedField> {
    let body = ErrorBody::read(body);
    if body.html {
        return Vec::new();
    }
    let text = [body.message.as_str(), body.raw.as_deref().unwrap_or_default()].join(" | ");
    let text: String = text.to_lowercase().chars().filter(|char| *char != '\\').take(16_384).collect();
    let told = |name: &&String| {
        let code = body.code.as_deref().unwrap_or_default().to_lowercase();
        let by_code = body.param.as_deref() == Some(name)
            && ["unknown_parameter", "unsupported_parameter", "extra_forbidden"].contains(&code.as_str());
        by_code || is_refused(&text, &name.to_lowercase(), names)
    };
    let remedy = |name: &String| {
        let twin = TWINS.iter().find(|(one, _)| name.eq_ignore_ascii_case(one)).map(|(_, other)| *other);
        match twin.filter(|other| mentions(&text, other) && !names.iter().any(|name| name == other)) {
            Some(other) => Fix::Rename(Rename { from: name.clone(), to: other.to_owned() }),
            None => Fix::Drop(vec![name.clone()]),
        }
    };
    names
        .iter()
        .filter(|name| !KEPT_FIELDS.iter().any(|kept| name.eq_ignore_ascii_case(kept)))
        .filter(told)
        .filter(|name| !says_so_itself(&value(name)))
        .take(MAX_FIELDS)
        .map(|name| RejectedField { name: name.clone(), remedy: remedy(name) })
        .collect()
}

/// Whether a field's own value has such words: an upstream that repeats it says nothing.
fn says_so_itself(value: &str) -> bool {
    let value = value.to_lowercase();
    [BEFORE, AFTER].into_iter().flatten().any(|words| value.contains(words))
        || value.contains("extra_forbidden")
}

fn mentions(text: &str, name: &str) -> bool {
    places(text, name).next().is_some()
}

/// Where a name stands as a word of its own, or right below the body: `body.store`.
fn places<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let in_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-');
    text.match_indices(name).filter_map(move |(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let below = before.strip_suffix('.').is_some_and(|path| !path.ends_with("body"));
        let whole = !before.ends_with(in_name) && !after.starts_with(in_name);
        (whole && !below && !after.starts_with(['[']) && !is_path(after)).then_some((before, after))
    })
}

/// Whether a name goes on: `messages.0`, but not the end of a sentence.
fn is_path(after: &str) -> bool {
    after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_alphanumeric()))
}

fn is_refused(text: &str, name: &str, names: &[String]) -> bool {
    let quotes = ['\'', '"', '`', '“', '”', '‘', '’', ' ', ':', '(', '[', '{', ')', ']', '}', '\n'];
    let forbidden = text.contains("extra_forbidden");
    let named = places(text, name).any(|(before, after)| {
        let ends = after.trim_start_matches(['\'', '"', '`']).starts_with([')', ']']);
        let place = before.trim_end_matches(['\'', '"', '`', ' ', ',']);
        (forbidden && ends && place.ends_with("body"))
            || AFTER.iter().any(|words| after.trim_start_matches(quotes).starts_with(words))
    });
    named || BEFORE.iter().any(|words| lists(text, words, name, names))
}

/// Whether a list of names after some words has this one: "Unsupported parameter(s): `a`, `b`".
fn lists(text: &str, words: &str, name: &str, names: &[String]) -> bool {
    text.match_indices(words).any(|(at, _)| {
        let rest = &text[at + words.len()..];
        // The words must end here, and what is listed must be no path.
        let separated = rest.starts_with([' ', ':', '\'', '"', '`', '(', '“', '‘']) || !words.is_ascii();
        let listed = rest
            .split(|char: char| {
                !(char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '[' | ']'))
            })
            .map(|word| word.trim_end_matches('.'))
            .filter(|word| !word.is_empty() && *word != "and")
            .take_while(|word| names.iter().any(|known| known.eq_ignore_ascii_case(word)));
        separated && listed.take(32).any(|word| word == name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = r#"{"model":"m","messages":[{"role":"user","content":"unknown parameter: 'seed'"}],"tools":[],"store":true,
        "metadata":{"a":"unknown parameter: 'metadata'"},"max_tokens":5,"tool_stream":true,"enable_thinking":true,"seed":1,"n":1,"user":"u",
        "reasoning_effort":"high","response_format":{"type":"json_object"},"parallel_tool_calls":true,"service_tier":"auto","stream_options":{}}"#;

    fn names(body: &str) -> Vec<String> {
        rejected_fields(body.as_bytes(), SENT.as_bytes()).into_iter().map(|field| field.name).collect()
    }

    #[test]
    fn every_wording_names_its_fields() {
        for (body, expected) in [
            (
                r#"{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error"}}"#,
                &["stream_options"][..],
            ),
            (
                r#"{"error":{"message":"Unrecognized request arguments supplied: store, seed","code":null}}"#,
                &["seed", "store"],
            ),
            (
                r#"{"error":{"message":"Unknown parameter: 'store'.","param":"store","code":"unknown_parameter"}}"#,
                &["store"],
            ),
            (
                r#"{"error":{"message":"m","param":"service_tier","code":"unsupported_parameter"}}"#,
                &["service_tier"],
            ),
            (r#"{"error":{"message":"property 'store' is unsupported, did you mean 'stop'?"}}"#, &["store"]),
            (
                r#"{"error":{"message":"'messages.0' : for 'role:user' the following must be satisfied[('messages.0' : property 'seed' is unsupported)]"}}"#,
                &["seed"],
            ),
            (
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","store"],"msg":"Extra inputs are not permitted","input":false},{"type":"extra_forbidden","loc":["body","metadata"],"msg":"Extra inputs are not permitted"},{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}"#,
                &["seed", "store"],
            ),
            (
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":32000}]},"type":"invalid_request_error"}"#,
                &["seed"],
            ),
            (
                r#"{"object":"error","message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"seed\"],\"msg\":\"Extra inputs are not permitted\"}]}"}"#,
                &["seed"],
            ),
            (
                r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'tool_stream'), 'msg': 'Extra inputs are not permitted', 'input': True}]","code":400}"#,
                &["tool_stream"],
            ),
            (
                r#"{"status":400,"title":"Bad Request","detail":"Validation: Unsupported parameter(s): `enable_thinking`, `tool_stream`"}"#,
                &["enable_thinking", "tool_stream"],
            ),
            (
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"store\": Cannot find field.","status":"INVALID_ARGUMENT"}}]"#,
                &["store"],
            ),
            (r#"{"error":"json: unknown field \"parallel_tool_calls\""}"#, &["parallel_tool_calls"]),
            (r#"{"error":{"message":"unknown field `store`, expected one of `model`, `seed`"}}"#, &["store"]),
            (
                r#"{"error":{"message":"Additional properties are not allowed ('store' was unexpected)"}}"#,
                &["store"],
            ),
            (
                r#"{"error":{"message":"create() got an unexpected keyword argument 'reasoning_effort'"}}"#,
                &["reasoning_effort"],
            ),
            (
                r#"{"code":20015,"message":"Value error, current model does not support parameter `enable_thinking`.","data":null}"#,
                &["enable_thinking"],
            ),
            (r#"{"error":{"message":"Unrecognized key(s) in object: 'user'"}}"#, &["user"]),
            (r#"{"error":{"message":"body.store: Extra inputs are not permitted"}}"#, &["store"]),
            (
                r#"{"error":{"message":"response_format is not supported by this model"}}"#,
                &["response_format"],
            ),
            (r#"{"error":{"code":"1210","message":"不支持参数 seed"}}"#, &["seed"]),
        ] {
            assert_eq!(names(body), expected, "{body}");
        }
    }

    #[test]
    fn other_refusals_name_none() {
        for body in [
            r#"{"error":{"message":"Unknown parameter: 'tools'."}}"#,
            r#"{"error":{"message":"messages is not supported"}}"#,
            r#"{"error":{"message":"Invalid value for 'seed': it must be an integer"}}"#,
            r#"{"error":{"message":"store must be true"}}"#,
            r#"{"error":{"message":"Unknown parameter: 'messages[0].store'."}}"#,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","messages",0,"user","seed"],"msg":"Extra inputs are not permitted"}]}"#,
            r#"{"error":{"message":"the value of restored is not supported"}}"#,
            r#"{"error":{"message":"metadata: you sent unknown parameter: 'metadata'"}}"#,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens"}}"#,
            "<html>store is not supported</html>",
            "",
        ] {
            assert_eq!(names(body), [""; 0], "{body}");
        }
    }

    #[test]
    fn a_field_whose_other_name_is_asked_for_is_renamed() {
        let body = r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}"#;
        let rename = |from: &str, to: &str| Fix::Rename(Rename { from: from.into(), to: to.into() });
        let remedies: Vec<Fix> =
            rejected_fields(body.as_bytes(), SENT.as_bytes()).into_iter().map(|field| field.remedy).collect();
        assert_eq!(remedies, [rename("max_tokens", "max_completion_tokens")]);
        let both = r#"{"max_tokens":1,"max_completion_tokens":1}"#;
        let remedies = rejected_fields(body.as_bytes(), both.as_bytes());
        assert_eq!(remedies[0].remedy, Fix::Drop(vec!["max_tokens".into()]));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_words_never_panic(words in ".{0,80}") {
            rejected_fields(words.as_bytes(), SENT.as_bytes());
            rejected_fields(format!("unknown parameter {words} store").as_bytes(), SENT.as_bytes());
        }
    }
}
