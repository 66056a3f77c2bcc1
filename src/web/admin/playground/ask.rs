//! What the form of the playground sends, and the request that becomes of it.

use std::sync::Arc;

use axum::{body::Body, extract::Request, http::header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Result},
    i18n::Messages,
    model::{catalog::Catalog, token::Token},
    protocol::multipart::{Piece, Scanner, boundary_of},
    web::form::{FieldErrors, Fields},
};

/// The most pictures of a message, and how large each may be.
pub(super) const MOST_PICTURES: usize = 6;
pub(super) const MOST_PICTURE_MB: usize = 5;
/// The largest form, with all of the conversation's pictures.
pub(super) const MOST_FORM_MB: usize = 32;
/// The most messages of a conversation, and the most characters of the tools.
pub(super) const MOST_MESSAGES: usize = 200;
pub(super) const MOST_TOOLS_KB: usize = 64;
/// The most fields of a form, and the most characters of a short one.
const MOST_PARTS: usize = 300;
const MOST_SHORT: usize = 200;

/// The efforts that can be chosen; empty is the model's own.
pub(super) const EFFORTS: &[&str] = &["", "none", "minimal", "low", "medium", "high", "xhigh"];

/// A form as it arrived.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Its texts.
    pub fields: Fields,
    /// Its files: names and contents.
    files: Vec<(String, Vec<u8>)>,
}

impl Sent {
    /// Reads a form, with files or without, of at most [`MOST_FORM_MB`].
    pub async fn read(request: Request) -> Result<Self> {
        let limit = MOST_FORM_MB << 20;
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut body = Limited::new(body, limit);
        let Some(boundary) = kind.and_then(boundary_of) else {
            let whole = body.collect().await.map_err(|error| broken(&*error))?;
            return Ok(Self { fields: Fields::parse(&whole.to_bytes()), files: Vec::new() });
        };
        Self::read_parts(&mut body, boundary).await
    }

    async fn read_parts(body: &mut Limited<Body>, boundary: &str) -> Result<Self> {
        let mut scanner = Scanner::new(boundary);
        let (mut texts, mut files, mut parts) = (Vec::new(), Vec::new(), 0);
        let (mut part, mut content) = (None, Vec::new());
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| broken(&*error))?.into_data() else { continue };
            scanner.push(&data);
            while let Some(piece) = scanner.next().map_err(|error| Error::BadRequest(error.to_string()))? {
                match piece {
                    Piece::Begin(begun) => {
                        parts += 1;
                        if parts > MOST_PARTS {
                            return Err(Error::BadRequest("the form has too many parts".into()));
                        }
                        (part, content) = (Some(begun), Vec::new());
                    }
                    Piece::Data(data) => content.extend_from_slice(&data),
                    Piece::End => {
                        let (Some(part), content) = (part.take(), std::mem::take(&mut content)) else {
                            continue;
                        };
                        match part.file_name {
                            // An empty file is a field in which none was chosen.
                            Some(_) if content.is_empty() => {}
                            Some(name) => files.push((name, content)),
                            None => texts.push((part.name, String::from_utf8_lossy(&content).into_owned())),
                        }
                    }
                }
            }
        }
        if !scanner.is_whole() {
            return Err(Error::BadRequest("the form did not arrive whole; send it again".into()));
        }
        Ok(Self { fields: Fields::of_pairs(texts), files })
    }
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Error {
    if error.is::<LengthLimitError>() {
        Error::TooLarge { limit: (MOST_FORM_MB << 20) as u64 }
    } else {
        Error::BadRequest("the form did not arrive whole; send it again".into())
    }
}

/// The form's texts, as the page shows them again.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub token: String,
    pub model: String,
    pub system: String,
    pub message: String,
    pub temperature: String,
    pub max_tokens: String,
    pub effort: String,
    pub stream: bool,
    pub picture_data: String,
    pub tools: String,
    /// The messages so far, without the system's.
    pub conversation: Vec<Value>,
}

/// A request that can be made.
#[derive(Debug)]
pub(super) struct Asked {
    pub token: Arc<Token>,
    pub body: Value,
    /// The conversation with what is new.
    pub conversation: Vec<Value>,
}

impl Draft {
    /// The texts of a form; what is wrong with the conversation is noted.
    pub fn of(t: Messages, fields: &Fields, errors: &mut FieldErrors) -> Self {
        let conversation = match fields.text("conversation") {
            "" => Vec::new(),
            text => serde_json::from_str(text)
                .ok()
                .filter(|messages: &Vec<Value>| is_conversation(messages))
                .unwrap_or_else(|| {
                    errors.add("conversation", t.playground.conversation_wrong());
                    Vec::new()
                }),
        };
        let text = |name: &str| fields.raw(name).to_owned();
        Self {
            token: fields.text("token").to_owned(),
            model: fields.text("model").to_owned(),
            system: text("system"),
            message: text("message"),
            temperature: fields.text("temperature").to_owned(),
            max_tokens: fields.text("max_tokens").to_owned(),
            effort: fields.text("effort").to_owned(),
            stream: fields.checked("stream"),
            picture_data: text("picture_data"),
            tools: text("tools"),
            conversation,
        }
    }

    /// The request that the form asks for, or messages at its fields.
    pub fn check(
        &self,
        t: Messages,
        sent: &Sent,
        catalog: &Catalog,
        errors: &mut FieldErrors,
    ) -> Option<Asked> {
        let p = t.playground;
        let token = self.token.parse().ok().and_then(|id| catalog.token(id)).cloned();
        if token.is_none() {
            errors.add("token", p.choose_token());
        }
        let mut body = Map::new();
        if self.model.is_empty() {
            errors.add("model", t.common.field_required());
        } else if self.model.chars().count() > MOST_SHORT {
            errors.add("model", t.common.field_too_long(MOST_SHORT));
        }
        body.insert("model".into(), self.model.clone().into());
        let conversation = self.messages(t, sent, errors);
        let system =
            (!self.system.trim().is_empty()).then(|| json!({ "role": "system", "content": self.system }));
        body.insert("messages".into(), system.into_iter().chain(conversation.iter().cloned()).collect());
        if !self.temperature.is_empty() {
            match self.temperature.parse::<f64>() {
                Ok(number) if (0.0..=2.0).contains(&number) => {
                    body.insert("temperature".into(), number.into());
                }
                _ => errors.add("temperature", p.temperature_wrong()),
            }
        }
        if !self.max_tokens.is_empty() {
            match self.max_tokens.parse::<u32>() {
                Ok(number @ 1..=10_000_000) => {
                    body.insert("max_tokens".into(), number.into());
                }
                _ => errors.add("max_tokens", t.common.field_out_of_range(1, 10_000_000)),
            }
        }
        if !EFFORTS.contains(&self.effort.as_str()) {
            errors.add("effort", p.unknown_choice());
        } else if !self.effort.is_empty() {
            body.insert("reasoning_effort".into(), self.effort.clone().into());
        }
        if !self.tools.trim().is_empty() {
            match tools(t, &self.tools) {
                Ok(tools) if tools.is_empty() => {}
                Ok(tools) => {
                    body.insert("tools".into(), tools.into());
                }
                Err(message) => errors.add("tools", message),
            }
        }
        if self.stream {
            body.insert("stream".into(), true.into());
        }
        token.filter(|_| errors.is_empty()).map(|token| Asked {
            token,
            body: Value::Object(body),
            conversation,
        })
    }

    /// The conversation with the results of tools and the new message.
    fn messages(&self, t: Messages, sent: &Sent, errors: &mut FieldErrors) -> Vec<Value> {
        let p = t.playground;
        let mut messages = self.conversation.clone();
        let calls: Vec<String> = open_calls(&messages).map(|(id, _)| id.to_owned()).collect();
        for id in &calls {
            let field = format!("answer:{id}");
            let answer = sent.fields.raw(&field);
            if answer.trim().is_empty() {
                errors.add(field, p.tool_answer_missing());
            }
            messages.push(json!({ "role": "tool", "tool_call_id": id, "content": answer }));
        }
        let mut pictures = Vec::new();
        for (name, bytes) in &sent.files {
            let name: String = name.chars().take(80).collect();
            match picture_type(bytes) {
                _ if bytes.len() > MOST_PICTURE_MB << 20 => {
                    errors.add("pictures", p.picture_large(&name, MOST_PICTURE_MB));
                }
                None => errors.add("pictures", p.picture_wrong(&name)),
                Some(kind) => pictures.push(format!("data:{kind};base64,{}", STANDARD.encode(bytes))),
            }
        }
        for line in self.picture_data.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let bytes = line.split_once(";base64,").filter(|(head, _)| head.starts_with("data:image/"));
            match bytes.and_then(|(_, data)| STANDARD.decode(data).ok()) {
                Some(bytes) if picture_type(&bytes).is_some() && bytes.len() <= MOST_PICTURE_MB << 20 => {
                    pictures.push(line.to_owned());
                }
                _ => errors.add("picture_data", p.picture_data_wrong()),
            }
        }
        if pictures.len() > MOST_PICTURES {
            errors.add("pictures", p.pictures_many(MOST_PICTURES));
        }
        let text = self.message.trim_end();
        if pictures.is_empty() {
            if !text.trim().is_empty() {
                messages.push(json!({ "role": "user", "content": text }));
            } else if calls.is_empty() {
                errors.add("message", p.message_missing());
            }
        } else {
            let said = (!text.trim().is_empty()).then(|| json!({ "type": "text", "text": text }));
            let shown =
                pictures.iter().map(|url| json!({ "type": "image_url", "image_url": { "url": url } }));
            let content: Value = said.into_iter().chain(shown).collect();
            messages.push(json!({ "role": "user", "content": content }));
        }
        if messages.len() > MOST_MESSAGES {
            errors.add("conversation", p.conversation_long(MOST_MESSAGES));
        }
        messages
    }
}

/// The calls of tools that the last message makes: ids and names. They wait for their results.
pub(super) fn open_calls(messages: &[Value]) -> impl Iterator<Item = (&str, &str)> {
    let calls = messages.last().and_then(|message| message["tool_calls"].as_array()).into_iter().flatten();
    calls.filter_map(|call| {
        Some((call["id"].as_str()?, call["function"]["name"].as_str().unwrap_or_default()))
    })
}

/// Whether these are messages of a conversation that a page made.
fn is_conversation(messages: &[Value]) -> bool {
    messages.len() <= MOST_MESSAGES
        && messages.iter().all(|message| {
            message.is_object() && matches!(message["role"].as_str(), Some("user" | "assistant" | "tool"))
        })
}

fn tools(t: Messages, text: &str) -> std::result::Result<Vec<Value>, String> {
    if text.len() > MOST_TOOLS_KB << 10 {
        return Err(t.playground.tools_long(MOST_TOOLS_KB));
    }
    let tools: Vec<Value> =
        serde_json::from_str(text).map_err(|error| t.playground.tools_wrong(&error.to_string()))?;
    match tools.iter().position(|tool| !tool["type"].is_string()) {
        Some(place) => Err(t.playground.tools_wrong(&format!("[{place}].type"))),
        None => Ok(tools),
    }
}

/// The type of a picture by its first bytes; `None` if it is none that models take.
fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Tools to begin with.
pub(super) const EXAMPLE_TOOLS: &str = r#"[
  {
    "type": "function",
    "function": {
      "name": "weather",
      "description": "The weather in a city",
      "parameters": {
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"]
      }
    }
  }
]"#;
