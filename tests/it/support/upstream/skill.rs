//! What a model of the fake upstream can do beyond text: tools, images, JSON, reasoning, each in the ways of real ones.

use serde_json::{Value, json};

use super::reply::Reply;

/// How a model takes to tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tools {
    /// It calls them.
    #[default]
    Calls,
    /// It calls them if it may choose, and answers nothing if it must.
    EmptyIfRequired,
    /// It answers with text.
    Ignores,
    /// Its server refuses them.
    Refused,
    /// Its router says that nobody behind it has them.
    NoEndpoint,
}

/// How a model takes to images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vision {
    /// It names the colours of the left and the right half.
    #[default]
    Sees,
    /// It takes them and says something.
    Accepts,
    /// Its server refuses them.
    Refused,
}

/// How a model takes to `response_format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// It answers with an object.
    #[default]
    Object,
    /// The same, by a schema only.
    SchemaOnly,
    /// It wraps the object in Markdown.
    Fenced,
}

/// What a model can do; the default one can do all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skills {
    /// Tools.
    pub tools: Tools,
    /// Images.
    pub vision: Vision,
    /// JSON.
    pub json: Json,
    /// So many tokens go into reasoning before each answer.
    pub reasoning: u64,
    /// It refuses `max_tokens`.
    pub completion_limit: bool,
}

fn refusal(message: &str) -> Reply {
    Reply::error(400, message, "invalid_request_error", "invalid_value")
}

/// The answer of a model with these skills to a request in one piece, or its refusal of any; `None` for a stream, which is
/// told as usual.
pub fn answer(skills: Skills, body: &Value) -> Option<Reply> {
    let limit = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64());
    if skills.completion_limit && body["max_tokens"].is_u64() {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        return Some(refusal(message));
    }
    if body["stream"] == true {
        return None;
    }
    let has_tools = body["tools"].is_array();
    let format = body["response_format"]["type"].as_str();
    let picture = body["messages"][0]["content"][1]["image_url"]["url"].as_str();
    let message = match (has_tools, format, picture) {
        (true, ..) => match (skills.tools, body["tool_choice"] == "required") {
            (Tools::Refused, _) => return Some(refusal("This model does not support tools.")),
            (Tools::NoEndpoint, _) => {
                return Some(Reply::json(
                    404,
                    &json!({"error": {"message": "No endpoints found that support tool use.", "code": 404}}),
                ));
            }
            (Tools::EmptyIfRequired, true) => json!({"content": ""}),
            (Tools::Ignores, _) => json!({"content": "I would call note_word."}),
            (Tools::Calls, _) | (Tools::EmptyIfRequired, false) => {
                let function = &body["tools"][0]["function"];
                let property = function["parameters"]["required"][0].as_str().unwrap_or_default();
                let arguments = json!({property: "harbour"}).to_string();
                json!({"content": null, "tool_calls": [{"id": "call_1", "type": "function",
                    "function": {"name": function["name"], "arguments": arguments}}]})
            }
        },
        (_, Some(format), _) => match (skills.json, format) {
            (Json::SchemaOnly, "json_object") => {
                return Some(refusal("response_format.type must be json_schema or text"));
            }
            (Json::Fenced, _) => json!({"content": "```json\n{\"sum\": 5}\n```"}),
            _ => json!({"content": "{\"sum\": 5}"}),
        },
        (_, _, Some(url)) => match skills.vision {
            Vision::Refused => return Some(refusal("image_url is only supported by multimodal models.")),
            Vision::Accepts => json!({"content": "OK, a nice picture."}),
            Vision::Sees => json!({"content": colours(url)}),
        },
        _ => json!({"content": "pong"}),
    };
    Some(whole(message, skills.reasoning, limit.unwrap_or(u64::MAX)))
}

/// A whole answer; if reasoning takes all of the tokens, nothing is left for it.
fn whole(mut message: Value, reasoning: u64, limit: u64) -> Reply {
    message["role"] = "assistant".into();
    let mut finish = if message["tool_calls"].is_array() { "tool_calls" } else { "stop" };
    if reasoning > 0 {
        message["reasoning_content"] = "Let me think.".into();
    }
    if reasoning >= limit {
        message = json!({"role": "assistant", "content": "", "reasoning_content": "Let me"});
        finish = "length";
    }
    let completion = (reasoning + 20).min(limit);
    Reply::json(
        200,
        &json!({
            "id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 30, "completion_tokens": completion, "total_tokens": 30 + completion,
                "completion_tokens_details": {"reasoning_tokens": reasoning.min(limit)}},
        }),
    )
}

/// The names of the colours of the left and the right half, read from the picture itself.
fn colours(url: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let data = url.strip_prefix("data:image/png;base64,").unwrap_or_default();
    let png = BASE64_STANDARD.decode(data).unwrap_or_default();
    let Some(at) = png.windows(4).position(|four| four == b"PLTE") else { return "nothing".into() };
    let name = |rgb: &[u8]| match rgb {
        [red, green, blue] if *red > 150 && *green > 150 && *blue < 100 => "Yellow",
        [red, green, blue] if *red > 150 && *green < 100 && *blue < 100 => "Red",
        [red, green, blue] if *green > 100 && *red < 100 && *blue < 100 => "Green",
        _ => "Blue",
    };
    format!("{}, {}.", name(&png[at + 4..at + 7]), name(&png[at + 7..at + 10]))
}
