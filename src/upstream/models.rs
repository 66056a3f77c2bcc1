//! Asks an upstream which models it serves.

use std::{collections::HashSet, time::Duration};

use http::Method;
use serde_json::Value;

use super::{
    client::{Clients, SendError, UpstreamCall},
    outcome::{Answered, classify, mask_secrets},
};
use crate::{
    model::{
        channel::{Channel, ChannelModel, EffectiveTimeouts, Price},
        decimal,
        secret::Secret,
        time::UnixMs,
        usage::OutcomeClass,
    },
    provider::Provider,
};

/// The longest text of an upstream that is kept, in bytes.
pub const MAX_TEXT_BYTES: usize = 4096;
/// Long lists with descriptions and prices reach some megabytes.
const MAX_LIST_BYTES: usize = 16 << 20;
const MAX_MODELS: usize = 5000;

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchFailure {
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// What the answer was taken for. `None` if the upstream has no list (with a status), or if the channel cannot be
    /// called as it is configured (without).
    pub class: Option<OutcomeClass>,
    /// The upstream's text (at most 4 KiB, secrets masked), or what went wrong on the way to it.
    pub text: String,
}

impl FetchFailure {
    /// A request that got no answer.
    pub(super) fn unsent(error: &SendError) -> Self {
        let configured = matches!(error, SendError::Misconfigured(_) | SendError::PrivateAddress);
        Self {
            status: None,
            class: (!configured).then_some(OutcomeClass::HostError),
            text: error.to_string(),
        }
    }

    /// A request whose answer took too long.
    pub(super) fn late(limit: Duration) -> Self {
        Self {
            status: None,
            class: Some(OutcomeClass::HostError),
            text: format!("no answer within {} s", decimal::show(limit.as_millis() as i64, 3)),
        }
    }
}

/// Fetches the upstream's list (`GET /models`) and what it says of each model.
///
/// The whole takes at most the channel's time until the first byte. Dropping the future cancels it. `now` dates what the
/// answer says of waiting.
pub async fn fetch_models(
    clients: &Clients,
    channel: &Channel,
    provider: &Provider,
    key: &Secret,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<Vec<ChannelModel>, FetchFailure> {
    fetch_list(clients, channel, provider, key, timeouts, now).await.map(|(models, _)| models)
}

/// The same, with the beginning of the upstream's text.
pub(super) async fn fetch_list(
    clients: &Clients,
    channel: &Channel,
    provider: &Provider,
    key: &Secret,
    timeouts: EffectiveTimeouts,
    now: UnixMs,
) -> Result<(Vec<ChannelModel>, String), FetchFailure> {
    let call = UpstreamCall {
        channel,
        key,
        timeouts,
        method: Method::GET,
        path: "models",
        body: None,
        stream: false,
    };
    let secrets = secrets_of(channel, key);
    let fetch = async {
        let mut response = clients.send(call).await.map_err(|error| FetchFailure::unsent(&error))?;
        let status = response.status();
        if !(200..300).contains(&status) {
            let body = response.read_prefix(crate::protocol::error_body::MAX_ERROR_BYTES).await;
            let answered = Answered {
                status,
                headers: response.headers(),
                body: &body,
                provider: Some(provider),
                now,
                secrets: &secrets,
            };
            let no_list = matches!(status, 404 | 405 | 501);
            return Err(FetchFailure {
                status: Some(status),
                class: (!no_list).then(|| classify(&answered).class),
                text: shown(&body, &secrets),
            });
        }
        let body = response
            .read_all(MAX_LIST_BYTES)
            .await
            .map_err(|error| FetchFailure { status: Some(status), ..FetchFailure::unsent(&error) })?;
        let text = shown(&body, &secrets);
        match read_list(&body) {
            Some(models) => Ok((models, text)),
            None => Err(FetchFailure { status: Some(status), class: None, text }),
        }
    };
    tokio::time::timeout(timeouts.first_byte, fetch)
        .await
        .unwrap_or_else(|_| Err(FetchFailure::late(timeouts.first_byte)))
}

/// Everything that a request to a channel carries and no text may repeat. Short header values are names of applications
/// rather than secrets.
pub fn secrets_of<'a>(channel: &'a Channel, key: &'a Secret) -> Vec<&'a Secret> {
    let values = channel.headers.iter().map(|(_, value)| value).filter(|value| value.expose().len() >= 8);
    std::iter::once(key).chain(values).collect()
}

/// An upstream's text for an operator's eyes: secrets masked, at most [`MAX_TEXT_BYTES`].
pub(super) fn shown(body: &[u8], secrets: &[&Secret]) -> String {
    // Masked before it is cut, so that no half of a secret is left at the end.
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * MAX_TEXT_BYTES)]);
    let mut text = mask_secrets(text.trim(), secrets);
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES - "…".len()));
        text.push('…');
    }
    text
}

/// Reads `{"data":[...]}`, a bare array, or `{"models":[...]}`; each entry an object with `id` (or `name`), or a text.
fn read_list(body: &[u8]) -> Option<Vec<ChannelModel>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let entries = match &list {
        Value::Array(entries) => entries,
        Value::Object(fields) => fields.get("data").or_else(|| fields.get("models"))?.as_array()?,
        _ => return None,
    };
    let mut seen = HashSet::new();
    Some(
        entries
            .iter()
            .filter_map(read_model)
            .filter(|model| seen.insert(model.name.clone()))
            .take(MAX_MODELS)
            .collect(),
    )
}

/// Reads what upstreams tell of a model beside its id: OpenRouter (`context_length`, `top_provider`, `architecture`,
/// `supported_parameters`, `pricing`: <https://openrouter.ai/docs/api-reference/list-available-models>), vLLM
/// (`max_model_len`), Groq (`context_window`, `max_completion_tokens`), Mistral (`max_context_length`, `capabilities`).
fn read_model(entry: &Value) -> Option<ChannelModel> {
    let name =
        entry.as_str().or_else(|| entry.get("id")?.as_str()).or_else(|| entry.get("name")?.as_str())?;
    let unusable = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.chars().count() > 200 || name.contains(unusable) {
        return None;
    }
    let number = |names: &[&str]| {
        names.iter().find_map(|pointer| {
            let value = entry.pointer(pointer)?.as_u64().filter(|value| *value > 0)?;
            u32::try_from(value).ok()
        })
    };
    let lists = |pointer: &str, wanted: &[&str]| {
        let values = entry.pointer(pointer)?.as_array()?;
        Some(values.iter().filter_map(Value::as_str).any(|value| wanted.contains(&value)))
    };
    let flag = |pointer: &str| entry.pointer(pointer)?.as_bool();
    Some(ChannelModel {
        name: name.to_owned(),
        context_window: number(&[
            "/context_length",
            "/context_window",
            "/max_model_len",
            "/max_context_length",
            "/top_provider/context_length",
        ]),
        max_output: number(&[
            "/top_provider/max_completion_tokens",
            "/max_completion_tokens",
            "/max_output_tokens",
        ]),
        vision: lists("/architecture/input_modalities", &["image"]).or_else(|| flag("/capabilities/vision")),
        tools: lists("/supported_parameters", &["tools"]).or_else(|| flag("/capabilities/function_calling")),
        reasoning: lists("/supported_parameters", &["reasoning", "include_reasoning"]),
        price: entry.get("pricing").and_then(read_price),
    })
}

/// OpenRouter's dollars per token, as decimal text. A negative price means "it depends" and is none.
fn read_price(pricing: &Value) -> Option<Price> {
    // Dollars per token times a million tokens times a million micro-dollars.
    let read = |name: &str| decimal::parse(pricing.get(name)?.as_str()?, 12);
    Some(Price { input: read("prompt")?, cached: read("input_cache_read"), output: read("completion")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Vec<ChannelModel> {
        read_list(body.as_bytes()).unwrap()
    }

    #[test]
    fn model_lists_are_read_in_every_usual_shape() {
        for body in [
            r#"{"object":"list","data":[{"id":"a"},{"id":"b"},{"id":"a"}]}"#,
            r#"[{"id":"a","object":"model"},{"id":"b"}]"#,
            r#"{"models":[{"name":"a"},{"name":"b"},{"name":"c d"}]}"#,
            r#"["a","b",7,{}]"#,
        ] {
            let names: Vec<String> = read(body).into_iter().map(|model| model.name).collect();
            assert_eq!(names, ["a", "b"], "{body}");
        }
        for body in ["{}", "<html>", r#"{"data":"none"}"#, "7", ""] {
            assert_eq!(read_list(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn what_upstreams_tell_of_a_model_is_taken_over() {
        let models = read(
            r#"{"data":[
                {"id":"x/a:free","context_length":131072,"top_provider":{"max_completion_tokens":8192},
                 "architecture":{"input_modalities":["text","image"]},"supported_parameters":["tools","seed"],
                 "pricing":{"prompt":"0.00000015","completion":"0.0000006","input_cache_read":"0.000000075"}},
                {"id":"auto","pricing":{"prompt":"-1","completion":"-1"}},
                {"id":"vllm","max_model_len":32768},
                {"id":"mistral","max_context_length":128000,"capabilities":{"vision":false,"function_calling":true}}]}"#,
        );
        let first = &models[0];
        assert_eq!((first.context_window, first.max_output), (Some(131_072), Some(8192)));
        assert_eq!((first.vision, first.tools, first.reasoning), (Some(true), Some(true), Some(false)));
        assert_eq!(first.price, Some(Price { input: 150_000, cached: Some(75_000), output: 600_000 }));
        assert_eq!(models[1].price, None);
        assert_eq!((models[2].context_window, models[2].vision), (Some(32_768), None));
        assert_eq!((models[3].vision, models[3].tools), (Some(false), Some(true)));
    }

    #[test]
    fn a_text_is_bounded_and_holds_no_secret() {
        let key = Secret::new("nvapi-0123456789abcdef");
        let body = format!("{}nvapi-0123456789abcdef", "ä ".repeat(1363));
        let text = shown(body.as_bytes(), &[&key]);
        assert!(text.len() <= MAX_TEXT_BYTES, "{}", text.len());
        assert!(!text.contains("nvapi-01"), "{text}");
    }
}
