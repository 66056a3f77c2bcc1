//! `/_fake/...`: what tests in other languages use to steer the fake and to ask what it saw.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Books, Call, Fault, Pace,
    reply::{self, Reply},
    vendor::{Day, KeyRules, KeyState, RetryAfter},
};

/// Answers a control request:
///
/// - `POST models` `["a", "b"]`
/// - `POST keys` `{"key", "state"?: "revoked" | "out_of_credit" | "banned" | "region_blocked", "requests"?,
///   "window_ms"?, "concurrency"?, "retry_after"?: true}`
/// - `POST faults` `{"fault": name | null, "key"? , "model"?, "next"?: count, "models_list"?: true}`
/// - `POST pace` `{"first_ms", "chunk_ms", "words"}`
/// - `POST day` `{"calls"}`: a day of ModelScope begins, in which each model gives so many
/// - `POST reset`: no faults, no calls
/// - `GET calls`, `GET faults`, `GET connections`
pub(super) fn answer(books: &mut Books, method: &str, path: &str, body: &[u8]) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let done = match (method, path) {
        ("POST", "models") => {
            books.vendor.models =
                body.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            json!({})
        }
        ("POST", "keys") => {
            let Some(key) = body["key"].as_str() else { return refuse("key") };
            let state = match body["state"].as_str() {
                None => KeyState::Valid,
                Some("revoked") => KeyState::Revoked,
                Some("out_of_credit") => KeyState::OutOfCredit,
                Some("banned") => KeyState::Banned,
                Some("region_blocked") => KeyState::RegionBlocked,
                Some(_) => return refuse("state"),
            };
            let window = Duration::from_millis(body["window_ms"].as_u64().unwrap_or(60_000));
            let rules = KeyRules {
                state,
                requests: body["requests"].as_u64().map(|requests| (requests as usize, window)),
                concurrency: body["concurrency"].as_u64().map(|concurrency| concurrency as usize),
                retry_after: if body["retry_after"] == true {
                    RetryAfter::Seconds
                } else {
                    RetryAfter::Silent
                },
                ..KeyRules::default()
            };
            books.vendor.set_key(key, rules);
            json!({})
        }
        ("POST", "faults") => {
            let fault = match body["fault"].as_str() {
                None => None,
                Some(name) => match Fault::find(name) {
                    Some(fault) => Some(fault),
                    None => return refuse("fault"),
                },
            };
            set_fault(books, fault, &body);
            json!({})
        }
        ("POST", "pace") => {
            let ms = |name: &str| Duration::from_millis(body[name].as_u64().unwrap_or(0));
            books.pace = Pace {
                first: ms("first_ms"),
                chunk: ms("chunk_ms"),
                words: body["words"].as_u64().unwrap_or(5) as usize,
            };
            json!({})
        }
        ("POST", "day") => {
            let Some(calls) = body["calls"].as_u64() else { return refuse("calls") };
            books.day = Some(Day::of_modelscope(calls as usize));
            json!({})
        }
        ("POST", "reset") => {
            books.next.clear();
            books.by_key.clear();
            books.by_model.clear();
            books.all = None;
            books.models_list = None;
            books.forget();
            json!({})
        }
        ("GET", "calls") => books.calls.iter().map(describe).collect(),
        ("GET", "faults") => Fault::ALL.iter().map(|fault| Value::from(fault.name())).collect(),
        ("GET", "connections") => json!({"open": books.open, "most_open": books.most_open}),
        _ => return Reply::json(404, &json!({"error": "no such control"})),
    };
    Reply::json(200, &done)
}

fn refuse(field: &str) -> Reply {
    Reply::json(400, &json!({"error": format!("`{field}` is not understood")}))
}

fn set_fault(books: &mut Books, fault: Option<Fault>, body: &Value) {
    if let Some(count) = body["next"].as_u64() {
        books.next.extend((0..count).map(|_| fault));
    } else if body["models_list"] == true {
        books.models_list = fault;
    } else if let Some(key) = body["key"].as_str() {
        match fault {
            Some(fault) => books.by_key.insert(key.to_owned(), fault),
            None => books.by_key.remove(key),
        };
    } else if let Some(model) = body["model"].as_str() {
        match fault {
            Some(fault) => books.by_model.insert(model.to_owned(), fault),
            None => books.by_model.remove(model),
        };
    } else {
        books.all = fault;
    }
}

fn describe(call: &Call) -> Value {
    let form = call.form.as_ref().map(|form| {
        let files = form
            .files
            .iter()
            .map(|file| json!({"field": file.field, "name": file.name, "length": file.length}));
        json!({"texts": form.texts, "files": files.collect::<Vec<_>>()})
    });
    json!({
        "index": call.index,
        "connection": call.connection,
        "method": call.request.method,
        "path": call.request.path,
        "headers": call.request.headers,
        "key": call.key,
        "model": call.model,
        "body": call.body,
        "form": form,
        "started_ms": (reply::now().saturating_sub(call.started.elapsed())).as_millis() as u64,
        "fault": call.fault.map(Fault::name),
        "refused": call.refused,
        "end": format!("{:?}", call.end),
        "ended_after_ms": call.ended_after.map(|after| after.as_millis() as u64),
        "pieces": call.pieces,
    })
}
