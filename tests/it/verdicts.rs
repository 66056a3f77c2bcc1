//! What a test of a key says, over a table of constellations: whose preset, what the key is, how its models stand. The
//! modelled provider shows its list to everybody, so that a list never proves anything.

use std::time::Duration;

use onepool::{
    discovery::proof::{self, Depth, Subject},
    model::{channel::EffectiveTimeouts, key::KeyVerdict},
};
use serde_json::{Value, json};

use crate::support::{
    app::{TestApp, model},
    raw::{Raw, RawRequest},
};

/// Presets that ask the provider about the key, at the channel's own host.
const WITH_ENDPOINT: [&str; 4] = ["openrouter", "deepseek", "moonshot", "siliconflow"];
/// Presets whose keys a call proves: because they have no endpoint, or because theirs is on the vendor's host.
const BY_CALL: [&str; 11] = [
    "groq",
    "mistral",
    "nvidia",
    "google",
    "cerebras",
    "zhipu",
    "sambanova",
    "cohere",
    "huggingface",
    "modelscope",
    "",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyIs {
    Right,
    Wrong,
    OutOfMoney,
    OverLimit,
    Blocked,
    BehindAFault,
}

const KEYS: [(KeyIs, &str); 6] = [
    (KeyIs::Right, "key-right-0123456789"),
    (KeyIs::Wrong, "key-wrong-0123456789"),
    (KeyIs::OutOfMoney, "key-money-0123456789"),
    (KeyIs::OverLimit, "key-limit-0123456789"),
    (KeyIs::Blocked, "key-block-0123456789"),
    (KeyIs::BehindAFault, "key-fault-0123456789"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelIs {
    Open,
    Gated,
    Removed,
}

const MODELS: [(ModelIs, &str); 3] =
    [(ModelIs::Open, "open-model"), (ModelIs::Gated, "gated-model"), (ModelIs::Removed, "removed-model")];

fn key_of(head: &str) -> Option<KeyIs> {
    KEYS.iter().find(|(_, key)| head.contains(key)).map(|(is, _)| *is)
}

/// The provider: the first part of a path says whose dialect it speaks.
fn answer(request: &RawRequest) -> (u16, Value) {
    let target = request.head.split(' ').nth(1).unwrap_or_default();
    let mut parts = target.trim_start_matches('/').splitn(3, '/');
    let (preset, path) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
    let error = |status: u16, code: &str, message: &str| {
        (status, json!({"error": {"message": message, "code": code, "type": code}}))
    };
    let is = key_of(&request.head);
    let wrong = || match preset {
        "google" => (
            400,
            json!({"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT", "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]}}),
        ),
        _ => error(401, "invalid_api_key", "Incorrect API key provided"),
    };
    if request.head.starts_with("GET") {
        if path.starts_with("models") || path.starts_with("api/tags") {
            // Everybody may read the list.
            let names = MODELS.map(|(_, name)| json!({"id": name, "name": name}));
            return (200, json!({"data": names, "models": names}));
        }
        return match is {
            Some(KeyIs::Wrong) | None => wrong(),
            Some(KeyIs::BehindAFault) => error(503, "unavailable", "try later"),
            Some(_) => (
                200,
                json!({"status": true, "code": 20000, "is_available": true,
                    "data": {"id": "u1", "creator_user_id": "u1", "label": "x", "available_balance": 0}}),
            ),
        };
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let wanted = MODELS.iter().find(|(_, name)| body["model"] == *name).map(|(is, _)| *is);
    match (is, wanted) {
        (Some(KeyIs::Wrong) | None, _) => wrong(),
        (Some(KeyIs::BehindAFault), _) => error(502, "bad_gateway", "upstream unavailable"),
        (Some(KeyIs::OutOfMoney), _) => error(402, "insufficient_balance", "Insufficient balance"),
        (Some(KeyIs::OverLimit), _) => error(429, "rate_limit_exceeded", "Rate limit reached"),
        (Some(KeyIs::Blocked), _) => {
            error(403, "unsupported_country_region_territory", "Country, region, or territory not supported")
        }
        (Some(KeyIs::Right), Some(ModelIs::Gated)) => {
            error(403, "model_access_denied", "You do not have access to this model")
        }
        (Some(KeyIs::Right), Some(ModelIs::Removed) | None) => {
            error(404, "model_not_found", "The model does not exist or was removed")
        }
        (Some(KeyIs::Right), Some(ModelIs::Open)) => {
            let choice = json!({"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"});
            (
                200,
                json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
                "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}),
            )
        }
    }
}

#[tokio::test]
async fn no_key_is_called_valid_or_invalid_that_is_not_whatever_the_provider_and_its_models_do() {
    let app = TestApp::start().await;
    let provider = Raw::answer(|request, socket| {
        use std::io::Write as _;
        let (status, body) = answer(request);
        let body = body.to_string();
        let _ = write!(
            socket,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    });
    let site = app.app.site();
    let timeouts = EffectiveTimeouts {
        connect: Duration::from_secs(10),
        first_byte: Duration::from_secs(20),
        idle: Duration::from_secs(10),
    };
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (preset, has_endpoint) in WITH_ENDPOINT
        .iter()
        .map(|preset| (*preset, true))
        .chain(BY_CALL.iter().map(|preset| (*preset, false)))
    {
        for (model_is, name) in MODELS {
            let base_url = format!(
                "http://{}/{}/v1",
                provider.address(),
                if preset.is_empty() { "any" } else { preset }
            );
            let keys = KEYS.map(|(_, key)| key);
            let id = app
                .channel_with(&format!("{preset} {name}"), &base_url, &keys, |new| {
                    new.provider = preset.into();
                    new.models = vec![model(name)];
                })
                .await;
            let entry = site.catalog.load().channel(id).unwrap().clone();
            let rules = site.catalog.provider_of(&entry.channel);
            for ((key_is, _), key) in KEYS.iter().zip(&entry.keys) {
                let subject = Subject { entry: &entry, key, provider: &rules, timeouts };
                let found = proof::check_key(
                    &site.clients,
                    &site.dispatch,
                    &subject,
                    None,
                    Depth::Proof,
                    site.clock.now(),
                )
                .await;
                let truth = match key_is {
                    KeyIs::Wrong => KeyVerdict::Invalid,
                    // The provider's own word holds whatever its models do.
                    KeyIs::Right | KeyIs::OutOfMoney | KeyIs::OverLimit | KeyIs::Blocked if has_endpoint => {
                        KeyVerdict::Known
                    }
                    KeyIs::Right if model_is == ModelIs::Open => KeyVerdict::Callable,
                    _ => KeyVerdict::NotKnown,
                };
                count += 1;
                if found.verdict != truth {
                    let steps: Vec<_> = found
                        .steps
                        .iter()
                        .map(|step| (step.kind, step.status, step.class, &step.text))
                        .collect();
                    wrong.push(format!(
                        "{preset}, {key_is:?}, {model_is:?}: {:?} is not {truth:?}: {steps:?}",
                        found.verdict
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, 15 * 3 * 6);
}
