//! What a vendor keeps for later: videos that are being made, and stored responses, each found with the key that made it only.
//!
//! Prompts steer a video: `polls=2` says how often it is asked for before it is there, `bytes=5000` how long it is, and
//! `fail` that it fails.

use std::{collections::BTreeMap, io};

use serde_json::{Value, json};

use super::{
    reply::Reply,
    serve::After,
    wire::{Request, Writer},
};

/// Everything that is kept.
#[derive(Default)]
pub struct Jobs {
    kept: BTreeMap<String, Job>,
    made: usize,
}

struct Job {
    key: String,
    asked: Value,
    polls: u64,
    cancelled: bool,
}

/// What it tells about something that it keeps.
pub enum Told {
    /// An answer.
    Reply(Reply),
    /// The bytes of a video from `from`, of `length` in all; a part if `partial`.
    Content { from: usize, length: usize, partial: bool },
}

/// A request about something that is kept: `videos` or `responses`, the id, and what follows it.
pub fn about(request: &Request) -> Option<(&'static str, &str, &str)> {
    let path = request.path.split('?').next()?.strip_prefix("/v1/")?;
    let kind = ["videos", "responses"].into_iter().find(|kind| path.starts_with(&format!("{kind}/")))?;
    let rest = &path[kind.len() + 1..];
    Some((kind, rest.split('/').next()?, rest.split_once('/').map_or("", |(_, rest)| rest)))
}

impl Jobs {
    /// A new one; its id.
    pub fn create(&mut self, kind: &str, key: &str, asked: &Value) -> String {
        self.made += 1;
        let id = format!("theirs_{kind}_{}", self.made);
        let job = Job { key: key.to_owned(), asked: asked.clone(), polls: 0, cancelled: false };
        self.kept.insert(id.clone(), job);
        id
    }

    /// Whether a key knows an id.
    pub fn knows(&self, id: &str, key: &str) -> bool {
        self.kept.get(id).is_some_and(|job| job.key == key)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Answers a request about one.
    pub fn answer(
        &mut self,
        request: &Request,
        about: (&str, &str, &str),
        key: &str,
        body: &Value,
        origin: &str,
    ) -> Told {
        let (kind, id, rest) = about;
        if !self.knows(id, key) {
            let message = format!("{kind} with id '{id}' not found at {origin}.");
            return Told::Reply(Reply::error(404, &message, "invalid_request_error", "not_found"));
        }
        let method = request.method.as_str();
        if (method, rest) == ("POST", "remix") {
            let mut asked = self.kept[id].asked.clone();
            asked["prompt"] = body["prompt"].clone();
            let new = self.create("videos", key, &asked);
            let mut video = video(&new, &asked, 0, origin);
            video["remixed_from_video_id"] = json!(id);
            return Told::Reply(Reply::json(200, &video));
        }
        if method == "DELETE" {
            self.kept.remove(id);
            return Told::Reply(Reply::json(200, &json!({"id": id, "object": kind, "deleted": true})));
        }
        let Some(job) = self.kept.get_mut(id) else { unreachable!("it is known") };
        match (kind, method, rest) {
            ("videos", "GET", "") => {
                job.polls += 1;
                Told::Reply(Reply::json(200, &video(id, &job.asked, job.polls, origin)))
            }
            ("videos", "GET", "content") if job.polls < wanted(&job.asked, "polls=", 1) => {
                let message = format!("Video {id} is not ready yet.");
                Told::Reply(Reply::error(404, &message, "invalid_request_error", "not_ready"))
            }
            ("videos", "GET", "content") => {
                let length = wanted(&job.asked, "bytes=", 4000) as usize;
                let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
                let from = range.and_then(|range| range.split('-').next()?.parse().ok());
                Told::Content { from: from.unwrap_or(0), length, partial: range.is_some() }
            }
            ("responses", "GET", "") => Told::Reply(Reply::json(200, &response(id, job))),
            ("responses", "POST", "cancel") => {
                job.cancelled = true;
                Told::Reply(Reply::json(200, &response(id, job)))
            }
            ("responses", "GET", "input_items") => Told::Reply(Reply::json(
                200,
                &json!({"object": "list", "data": [{"type": "message", "id": "msg_in", "role": "user",
                    "content": [{"type": "input_text", "text": job.asked["input"]}]}],
                    "first_id": "msg_in", "last_id": "msg_in", "has_more": false}),
            )),
            _ => Told::Reply(Reply::error(405, "No such method.", "invalid_request_error", "method")),
        }
    }
}

/// A number that a prompt names.
fn wanted(asked: &Value, name: &str, otherwise: u64) -> u64 {
    let prompt = asked["prompt"].as_str().unwrap_or_default();
    prompt.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok()).unwrap_or(otherwise)
}

/// A video as it stands after so many polls, with all that names the vendor.
pub fn video(id: &str, asked: &Value, polls: u64, origin: &str) -> Value {
    let fails = asked["prompt"].as_str().is_some_and(|prompt| prompt.contains("fail"));
    let status = match polls {
        0 => "queued",
        polls if polls < wanted(asked, "polls=", 1) => "in_progress",
        _ if fails => "failed",
        _ => "completed",
    };
    let seconds = match &asked["seconds"] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "4".into(),
    };
    let mut video = json!({
        "id": id, "object": "video", "created_at": 1_790_000_000, "status": status, "model": asked["model"],
        "progress": if status == "completed" { 100 } else { polls * 10 }, "seconds": seconds,
        "size": asked["size"].as_str().unwrap_or("720x1280"), "prompt": asked["prompt"], "error": null,
        "polling_url": format!("{origin}/v1/videos/{id}"), "generation_id": "gen-theirs",
    });
    if status == "completed" {
        video["unsigned_urls"] = json!([format!("{origin}/v1/videos/{id}/content?index=0")]);
        video["usage"] = json!({"cost": 0.4});
    }
    if status == "failed" {
        video["error"] = json!({"code": "moderation_blocked", "message": "The video was blocked."});
    }
    video
}

fn response(id: &str, job: &Job) -> Value {
    let status = if job.cancelled { "cancelled" } else { "completed" };
    let mut response = super::media::response(&job.asked["model"], status, true);
    response["id"] = json!(id);
    response["previous_response_id"] = job.asked["previous_response_id"].clone();
    response
}

/// Sends the bytes of a video: the byte at each place is known.
pub async fn content(out: &mut Writer<'_>, from: usize, length: usize, partial: bool) -> io::Result<After> {
    let (size, range) = ((length - from).to_string(), format!("bytes {from}-{}/{length}", length - 1));
    let mut headers =
        vec![("content-type", "video/mp4"), ("content-length", size.as_str()), ("accept-ranges", "bytes")];
    if partial {
        headers.push(("content-range", &range));
    }
    out.head(if partial { 206 } else { 200 }, &headers).await?;
    out.begin_body(false, false);
    let period: Vec<u8> = (0..251 * 256).map(|at: usize| byte_at(at)).collect();
    let mut at = from;
    while at < length {
        let begin = at % period.len();
        let now = (length - at).min(period.len() - begin);
        out.body(&period[begin..begin + now]).await?;
        at += now;
    }
    out.end_body("").await?;
    Ok(After::KeepAlive)
}

/// The byte at a place of every video.
pub fn byte_at(at: usize) -> u8 {
    (at % 251) as u8
}
