//! Answers about something that an upstream keeps for later: the upstream's ids and addresses are replaced by ours.
//!
//! Such an answer is small, so it is read as values and written anew, unlike the bodies of calls.

use serde_json::{Map, Value};

use crate::model::{upstream_job::JobKind, usage::believed_micros};

/// The deepest nesting that is looked into; what lies deeper is left out.
const MAX_DEPTH: usize = 32;
/// The longest id of an upstream that is believed, in bytes.
const MAX_ID_BYTES: usize = 512;

/// What stands in place of the upstream's names.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// What it is.
    pub kind: JobKind,
    /// Our id.
    pub id: &'a str,
    /// The model as the client asked for it.
    pub model: &'a str,
    /// Our address with `/v1`, without a slash at its end; clients are sent there.
    pub base_url: &'a str,
}

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is being made.
    Running,
    /// It is there.
    Completed,
    /// It will never be there.
    Failed,
}

/// An answer about a job as its client may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobAnswer {
    /// The body.
    pub body: Value,
    /// The upstream's id.
    pub upstream_id: String,
    /// How it stands; what is unknown counts as running.
    pub state: JobState,
    /// What it cost in micro-dollars, if the upstream says so (`usage.cost`, in dollars) and can be believed.
    pub cost_micros: Option<i64>,
}

/// The upstream's id of a job in an answer: of an object with a text of sensible length at `id`.
pub fn upstream_id(answer: &Value) -> Option<&str> {
    answer.get("id")?.as_str().filter(|id| {
        // Nobody's id leads out of its folder.
        !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.bytes().all(|byte| byte == b'.')
    })
}

/// Rewrites an answer about a job; `None` if it names no id. The upstream's id becomes ours wherever a text is or contains
/// it; the model becomes the public one; addresses of contents lead to us, in their number and order; all other addresses and
/// the upstream's own numbers for the call are left out.
pub fn rewrite(answer: &Value, names: &Names<'_>) -> Option<JobAnswer> {
    let id = upstream_id(answer)?.to_owned();
    let object = answer.as_object()?;
    let mut body = Map::with_capacity(object.len());
    for (name, value) in object {
        let ours = match (names.kind, name.as_str()) {
            (_, "id") => Value::from(names.id),
            (_, "model") => Value::from(names.model),
            (_, "generation_id" | "request_id" | "provider") => continue,
            (JobKind::Video, "polling_url") => Value::from(address(names)),
            (JobKind::Video, "unsigned_urls" | "urls") => contents(value, names),
            // What a client wrote, and what a response says, are not the upstream's words: addresses stay.
            (JobKind::Video, "prompt") => value.clone(),
            (JobKind::Response, _) => renamed(value, &id, names.id, false, 0)?,
            (JobKind::Video, _) => match renamed(value, &id, names.id, true, 0) {
                Some(value) => value,
                None => continue,
            },
        };
        body.insert(name.clone(), ours);
    }
    let state = match object.get("status").and_then(Value::as_str) {
        Some("completed" | "succeeded") => JobState::Completed,
        Some("failed" | "cancelled" | "canceled" | "expired" | "incomplete") => JobState::Failed,
        _ => JobState::Running,
    };
    let cost_micros = answer.pointer("/usage/cost").and_then(Value::as_f64).and_then(believed_micros);
    Some(JobAnswer { body: Value::Object(body), upstream_id: id, state, cost_micros })
}

/// Another answer that belongs to a job, with our id in place of the upstream's; `None` if it is nested too deeply.
pub fn rename(answer: &Value, theirs: &str, ours: &str) -> Option<Value> {
    renamed(answer, theirs, ours, false, 0)
}

/// Where a client asks for the job.
pub fn address(names: &Names<'_>) -> String {
    format!("{}{}/{}", names.base_url, names.kind.path(), names.id)
}

/// Addresses of a video's contents, each by its number.
fn contents(value: &Value, names: &Names<'_>) -> Value {
    let count = value.as_array().map_or(0, Vec::len);
    let of_number = |index: usize| Value::from(format!("{}/content?index={index}", address(names)));
    (0..count).map(of_number).collect()
}

/// A value with our id in place of the upstream's; `None` for what nobody may see: an address, if `no_addresses`, or
/// what is nested too deeply.
fn renamed(value: &Value, theirs: &str, ours: &str, no_addresses: bool, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |value: &Value| renamed(value, theirs, ours, no_addresses, depth + 1);
    Some(match value {
        Value::String(text) if no_addresses && (text.contains("://") || text.starts_with("//")) => {
            return None;
        }
        Value::String(text) if text.contains(theirs) => Value::from(text.replace(theirs, ours)),
        Value::Array(values) => values.iter().filter_map(inner).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, value)| Some((name.clone(), inner(value)?)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VIDEO: Names<'_> =
        Names { kind: JobKind::Video, id: "video_ours", model: "film", base_url: "https://pool.example/v1" };

    #[test]
    fn nothing_of_the_upstreams_own_is_left_in_an_answer_about_a_video() {
        let theirs = json!({
            "id": "job-abc123", "polling_url": "/api/v1/videos/job-abc123", "status": "completed",
            "generation_id": "gen-1", "model": "vendor/film", "created_at": 1_790_000_000,
            "unsigned_urls": ["https://vendor.example/a.mp4", "https://vendor.example/b.mp4"],
            "urls": ["https://signed.example/a?sig=x"],
            "thumbnail": "https://vendor.example/t.png",
            "error": null, "note": "job-abc123 is done", "prompt": "as on https://my.example",
            "deep": {"video_url": "https://vendor.example/c", "seconds": "8", "of": ["job-abc123"]},
            "usage": {"cost": 0.5, "is_byok": false},
        });
        let answer = rewrite(&theirs, &VIDEO).unwrap();
        assert_eq!((answer.upstream_id.as_str(), answer.state), ("job-abc123", JobState::Completed));
        assert_eq!(answer.cost_micros, Some(500_000));
        let content = |index: u32| format!("https://pool.example/v1/videos/video_ours/content?index={index}");
        assert_eq!(
            answer.body,
            json!({
                "id": "video_ours", "polling_url": "https://pool.example/v1/videos/video_ours",
                "status": "completed", "model": "film", "created_at": 1_790_000_000,
                "unsigned_urls": [content(0), content(1)], "urls": [content(0)],
                "error": null, "note": "video_ours is done", "prompt": "as on https://my.example",
                "deep": {"seconds": "8", "of": ["video_ours"]}, "usage": {"cost": 0.5, "is_byok": false},
            })
        );
        let text = answer.body.to_string();
        for theirs in ["job-abc123", "vendor", "gen-1", "signed.example"] {
            assert!(!text.contains(theirs), "{theirs}: {text}");
        }
    }

    #[test]
    fn a_stored_response_keeps_its_words_and_gets_our_id() {
        let names = Names { kind: JobKind::Response, id: "resp_ours", model: "gpt", ..VIDEO };
        let theirs = json!({
            "id": "resp_theirs", "object": "response", "status": "completed", "model": "vendor-gpt-1",
            "output": [{"type": "message", "id": "msg_1", "content": [{"type": "output_text",
                "text": "See https://example.com/page"}]}],
            "previous_response_id": null,
        });
        let answer = rewrite(&theirs, &names).unwrap();
        assert_eq!(answer.body["id"], "resp_ours");
        assert_eq!(answer.body["model"], "gpt");
        assert_eq!(answer.body["output"], theirs["output"], "links of the text are the model's own words");
    }

    #[test]
    fn the_state_is_known_from_every_vendors_word_for_it() {
        let state = |status: Value| rewrite(&json!({"id": "x", "status": status}), &VIDEO).unwrap().state;
        for running in ["queued", "pending", "in_progress", "processing", "what"] {
            assert_eq!(state(running.into()), JobState::Running, "{running}");
        }
        for failed in ["failed", "cancelled", "expired"] {
            assert_eq!(state(failed.into()), JobState::Failed, "{failed}");
        }
        assert_eq!(state(Value::Null), JobState::Running);
    }

    #[test]
    fn what_names_no_id_is_no_answer_about_a_job() {
        let long = "x".repeat(600);
        for answer in
            [json!([]), json!({}), json!({"id": 7}), json!({"id": ""}), json!({"id": long}), json!(null)]
        {
            assert_eq!(rewrite(&answer, &VIDEO), None, "{answer}");
        }
    }
}
