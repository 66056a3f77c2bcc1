//! What a good vendor answers on the endpoints beside chat: pictures, sound, transcripts, verdicts, rankings, responses and
//! messages; as a body, as bytes or as events, and with the faults that make a difference there.

use std::{collections::BTreeMap, io, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    fault::Fault,
    reply::{self, Reply},
    serve::{After, Exchange, send},
    wire::{Request, Writer},
};

/// The paths below `/v1/` that it knows.
pub const PATHS: &[&str] = &[
    "responses",
    "messages",
    "images/generations",
    "images/edits",
    "images/variations",
    "images",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "moderations",
    "rerank",
    "videos",
];

/// A picture: one grey dot as PNG, in base64.
pub const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";

/// A file of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The field that held it.
    pub field: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub content_type: String,
    /// Its length in bytes.
    pub length: usize,
    /// The sum of its bytes, to know it again.
    pub sum: u64,
}

/// What a form holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Its texts.
    pub texts: BTreeMap<String, String>,
    /// Its files, in order.
    pub files: Vec<File>,
}

impl Form {
    /// Reads a request's form, if it has one.
    pub fn of(request: &Request) -> Option<Self> {
        let boundary = request.header("content-type")?.split("boundary=").nth(1)?.trim_matches('"');
        let mut form = Self::default();
        let delimiter = format!("\r\n--{boundary}");
        let mut rest = request.body.strip_prefix(&delimiter.as_bytes()[2..])?;
        while let Some(part) = rest.strip_prefix(b"\r\n") {
            let end = find(part, delimiter.as_bytes())?;
            let (head, data) = part[..end].split_at(find(&part[..end], b"\r\n\r\n")?);
            let (head, data) = (String::from_utf8_lossy(head), &data[4..]);
            let quoted =
                |name: &str| Some(head.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.to_owned());
            let field = quoted("name").unwrap_or_default();
            let kind = head.to_ascii_lowercase();
            let kind = kind.split("content-type:").nth(1).and_then(|rest| rest.lines().next());
            match quoted("filename") {
                Some(name) => form.files.push(File {
                    field,
                    name,
                    content_type: kind.unwrap_or_default().trim().to_owned(),
                    length: data.len(),
                    sum: data.iter().map(|byte| u64::from(*byte)).sum(),
                }),
                None => _ = form.texts.insert(field, String::from_utf8_lossy(data).into_owned()),
            }
            rest = &part[end + delimiter.len()..];
        }
        rest.starts_with(b"--").then_some(form)
    }

    /// Its texts as JSON, as if they had been sent so.
    pub fn json(&self) -> Value {
        let value = |text: &String| serde_json::from_str::<Value>(text).unwrap_or_else(|_| json!(text));
        let keep = ["model", "prompt"];
        self.texts
            .iter()
            .map(|(name, text)| {
                (name.clone(), if keep.contains(&name.as_str()) { json!(text) } else { value(text) })
            })
            .collect()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// The path below `/v1/` of a request, if it is one of these.
pub fn path_of(request: &Request) -> Option<&'static str> {
    let path = request.path.split('?').next()?.strip_prefix("/v1/")?;
    PATHS.iter().copied().find(|known| request.method == "POST" && *known == path)
}

/// Answers.
pub async fn answer(exchange: &Exchange<'_>, path: &'static str, out: &mut Writer<'_>) -> io::Result<After> {
    let asked = exchange.request;
    let stream = asked["stream"] == true || asked["stream_format"] == "sse";
    if stream && exchange.fault != Some(Fault::JsonToStream) {
        return events(exchange, path, out).await;
    }
    exchange.pieces.store(1, Ordering::SeqCst);
    let body = match path {
        "audio/speech" => return sound(exchange, out).await,
        "audio/transcriptions" | "audio/translations" => {
            let format = asked["response_format"].as_str().unwrap_or("json");
            if matches!(format, "text" | "srt" | "vtt") {
                return send(out, &Reply::new(200, "text/plain; charset=utf-8", "heard abc\n")).await;
            }
            json!({"text": "heard abc", "usage": {"type": "duration", "seconds": 3}})
        }
        _ => whole(exchange, path),
    };
    send(out, &Reply::json(200, &body)).await
}

fn whole(exchange: &Exchange<'_>, path: &str) -> Value {
    let asked = exchange.request;
    let model = &asked["model"];
    let empty = exchange.fault == Some(Fault::EmptyCompletion);
    match path {
        "responses" => stored(exchange, "completed", !empty),
        "videos" => super::jobs::video(exchange.job_id, asked, 0, exchange.origin),
        "messages" => json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
            "content": if empty { json!([]) } else { json!([{"type": "text", "text": "said abc"}]) },
            "usage": message_usage(),
        }),
        "moderations" => json!({
            "id": "modr-1", "model": model,
            "results": if empty { json!([]) } else { json!([{"flagged": false, "categories": {}, "category_scores": {}}]) },
        }),
        "rerank" => json!({
            "id": "r", "model": model, "usage": {"total_tokens": 12},
            "results": if empty { json!([]) } else { json!([{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]) },
        }),
        _ => {
            let pictures = if empty { 0 } else { asked["n"].as_u64().unwrap_or(1) as usize };
            json!({
                "created": 1, "data": vec![json!({"b64_json": PICTURE}); pictures],
                "size": asked["size"], "quality": asked["quality"], "usage": picture_usage(),
            })
        }
    }
}

fn picture_usage() -> Value {
    json!({"input_tokens": 10, "output_tokens": 200, "total_tokens": 210, "input_tokens_details": {"text_tokens": 10, "image_tokens": 0}})
}

fn message_usage() -> Value {
    json!({"input_tokens": 5, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 3, "output_tokens": 9})
}

/// A response under the id by which it is kept.
fn stored(exchange: &Exchange<'_>, status: &str, done: bool) -> Value {
    let background = exchange.request["background"] == true && status == "completed";
    let mut response = if background {
        response(&exchange.request["model"], "queued", false)
    } else {
        response(&exchange.request["model"], status, done)
    };
    response["id"] = json!(exchange.job_id);
    response["store"] = json!(exchange.request["store"] != false);
    response["previous_response_id"] = exchange.request["previous_response_id"].clone();
    response
}

/// A response.
pub fn response(model: &Value, status: &str, done: bool) -> Value {
    let output = json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "said abc", "annotations": []}]}]);
    let usage = json!({"input_tokens": 7, "output_tokens": 4, "total_tokens": 11,
        "input_tokens_details": {"cached_tokens": 2}, "output_tokens_details": {"reasoning_tokens": 1}});
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": model, "error": null,
        "incomplete_details": null, "instructions": null, "metadata": {}, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "output": if done { output } else { json!([]) }, "usage": if done { usage } else { Value::Null },
    })
}

/// Sound: as many bytes as the input says after `bytes=`, in pieces of 64 KiB.
async fn sound(exchange: &Exchange<'_>, out: &mut Writer<'_>) -> io::Result<After> {
    let input = exchange.request["input"].as_str().unwrap_or_default();
    let asked = input.split_whitespace().find_map(|word| word.strip_prefix("bytes=")?.parse().ok());
    let length: usize =
        if exchange.fault == Some(Fault::EmptyCompletion) { 0 } else { asked.unwrap_or(4000) };
    let chunked = input.contains("chunked");
    let text = length.to_string();
    let framing = if chunked { ("transfer-encoding", "chunked") } else { ("content-length", text.as_str()) };
    out.head(200, &[("content-type", "audio/mpeg"), framing]).await?;
    out.begin_body(chunked, false);
    let piece: Vec<u8> = (0..64 << 10).map(|at: usize| (at % 251) as u8).collect();
    let mut left = length;
    while left > 0 {
        let now = left.min(piece.len());
        out.body(&piece[..now]).await?;
        left -= now;
        if exchange.fault == Some(Fault::CutAfterContent) {
            sleep(Duration::from_millis(60)).await;
            return Ok(After::Reset);
        }
        if exchange.fault == Some(Fault::StallAfterContent) {
            return std::future::pending().await;
        }
        sleep(exchange.answer.pace.chunk).await;
    }
    out.end_body("").await?;
    Ok(After::KeepAlive)
}

async fn events(exchange: &Exchange<'_>, path: &str, out: &mut Writer<'_>) -> io::Result<After> {
    let model = &exchange.request["model"];
    let empty = exchange.fault == Some(Fault::EmptyCompletion);
    let (begin, content, end): (Vec<Value>, Vec<Value>, Vec<Value>) = match path {
        "responses" => (
            vec![
                json!({"type": "response.created", "sequence_number": 0, "response": stored(exchange, "in_progress", false)}),
                json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
                    "item": {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}}),
                json!({"type": "response.content_part.added", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
            ],
            ["said", " abc"]
                .iter()
                .enumerate()
                .map(|(at, text)| {
                    json!({"type": "response.output_text.delta", "sequence_number": 3 + at, "item_id": "msg_1",
                        "output_index": 0, "content_index": 0, "delta": text, "logprobs": []})
                })
                .collect(),
            vec![json!({"type": "response.completed", "sequence_number": 9, "response": stored(exchange, "completed", !empty)})],
        ),
        "messages" => (
            vec![
                json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": model,
                    "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "cache_read_input_tokens": 20,
                    "cache_creation_input_tokens": 3, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                json!({"type": "ping"}),
            ],
            ["said", " abc"]
                .iter()
                .map(|text| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}))
                .collect(),
            vec![
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}),
                json!({"type": "message_stop"}),
            ],
        ),
        "audio/speech" => (
            vec![],
            vec![json!({"type": "speech.audio.delta", "audio": "AAECAw=="}); 2],
            vec![json!({"type": "speech.audio.done", "usage": {"input_tokens": 6, "output_tokens": 30, "total_tokens": 36}})],
        ),
        "audio/transcriptions" => (
            vec![],
            ["heard", " abc"].iter().map(|text| json!({"type": "transcript.text.delta", "delta": text})).collect(),
            vec![json!({"type": "transcript.text.done", "text": "heard abc",
                "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 3, "total_tokens": 17}})],
        ),
        _ => {
            let name = if path == "images/edits" { "image_edit" } else { "image_generation" };
            (
                vec![],
                vec![json!({"type": format!("{name}.partial_image"), "b64_json": PICTURE, "partial_image_index": 0})],
                vec![json!({"type": format!("{name}.completed"), "b64_json": PICTURE, "size": "1024x1024", "quality": "low",
                    "usage": picture_usage()})],
            )
        }
    };
    let headers = [("content-type", "text/event-stream; charset=utf-8"), ("transfer-encoding", "chunked")];
    out.head(200, &headers).await?;
    out.begin_body(true, false);
    let failed = || match path {
        "responses" => {
            json!({"type": "response.failed", "sequence_number": 9, "response": {"status": "failed", "output": [],
            "error": {"code": "server_error", "message": "The provider failed"}}})
        }
        "messages" => {
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        }
        _ => reply::error("The provider failed", "server_error", json!("server_error")),
    };
    if exchange.fault == Some(Fault::ErrorFirstEvent) {
        tell(out, &failed()).await?;
        out.end_body("").await?;
        return Ok(After::KeepAlive);
    }
    for event in &begin {
        tell(out, event).await?;
    }
    for event in content.iter().filter(|_| !empty) {
        tell(out, event).await?;
        exchange.pieces.fetch_add(1, Ordering::SeqCst);
        match exchange.fault {
            Some(Fault::CutAfterContent) => {
                sleep(Duration::from_millis(60)).await;
                return Ok(After::Reset);
            }
            Some(Fault::ErrorAfterContent) => {
                tell(out, &failed()).await?;
                out.end_body("").await?;
                return Ok(After::KeepAlive);
            }
            Some(Fault::EofAfterContent) => {
                out.end_body("").await?;
                return Ok(After::KeepAlive);
            }
            _ => {}
        }
        sleep(exchange.answer.pace.chunk).await;
    }
    for event in &end {
        tell(out, event).await?;
    }
    out.end_body("").await?;
    Ok(After::KeepAlive)
}

async fn tell(out: &mut Writer<'_>, event: &Value) -> io::Result<()> {
    let name = event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
    out.body(format!("{name}data: {event}\n\n").as_bytes()).await
}
