//! What a vendor knows: its models, its keys, and what each key may still do.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;

use super::reply::Reply;

/// The state of a key's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyState {
    /// It works.
    #[default]
    Valid,
    /// 401: the key was revoked.
    Revoked,
    /// 402: the account has no money.
    OutOfCredit,
    /// 403: the account is banned.
    Banned,
    /// 403: the country is not served.
    RegionBlocked,
}

/// What a 429 of a key tells about the wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing.
    #[default]
    Silent,
    /// The seconds until the window frees a place, rounded up.
    Seconds,
}

/// Which windows a key's requests are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Windows {
    /// Every span of the window's length.
    #[default]
    Rolling,
    /// Spans one after the other; one of them begins at this time.
    Fixed(Instant),
}

/// One key and its limits.
#[derive(Clone, Debug, Default)]
pub struct KeyRules {
    /// Whether it works at all.
    pub state: KeyState,
    /// Requests allowed in a window of this length.
    pub requests: Option<(usize, Duration)>,
    /// Which windows those are.
    pub windows: Windows,
    /// Requests allowed at once.
    pub concurrency: Option<usize>,
    /// What its 429 tells.
    pub retry_after: RetryAfter,
    /// Models that answer 403 to this key.
    pub forbidden_models: Vec<String>,
}

#[derive(Default)]
struct Key {
    rules: KeyRules,
    recent: VecDeque<Instant>,
    running: usize,
}

/// The vendor's books.
#[derive(Default)]
pub struct Vendor {
    /// The models it has; every name is taken while the list is empty.
    pub models: Vec<String>,
    keys: BTreeMap<String, Key>,
}

impl Vendor {
    /// Adds or changes a key. As long as there is none, every key works.
    pub fn set_key(&mut self, key: &str, rules: KeyRules) {
        self.keys.entry(key.to_owned()).or_default().rules = rules;
    }

    /// The answer that a list request gets: the refusal of the key, or nothing.
    pub fn check_key(&self, key: Option<&str>) -> Result<(), Reply> {
        let Some(name) = key else {
            return Err(Reply::error(
                401,
                "You didn't provide an API key.",
                "invalid_request_error",
                "invalid_api_key",
            ));
        };
        if self.keys.is_empty() {
            return Ok(());
        }
        let state = self.keys.get(name).map_or(KeyState::Revoked, |key| key.rules.state);
        Err(match state {
            KeyState::Valid => return Ok(()),
            KeyState::Revoked => {
                let text = format!("Incorrect API key provided: {name}.");
                Reply::error(401, &text, "invalid_request_error", "invalid_api_key")
            }
            KeyState::OutOfCredit => {
                Reply::error(402, "Insufficient Balance", "unknown_error", "invalid_request_error")
            }
            KeyState::Banned => {
                Reply::error(403, "This account was deactivated.", "access", "account_deactivated")
            }
            KeyState::RegionBlocked => Reply::error(
                403,
                "Country, region, or territory not supported",
                "request_forbidden",
                "unsupported_country_region_territory",
            ),
        })
    }

    /// Books the start of an inference call, or refuses it.
    pub fn begin(&mut self, key: Option<&str>, model: &str, now: Instant) -> Result<(), Reply> {
        self.check_key(key)?;
        if let Some(name) = model.strip_prefix("fault:") {
            let text = format!("The fake upstream has no fault `{name}`.");
            return Err(Reply::error(404, &text, "invalid_request_error", "model_not_found"));
        }
        if !self.models.is_empty() && !self.models.iter().any(|known| known == model) {
            let text = format!("The model `{model}` does not exist or you do not have access to it.");
            return Err(Reply::error(404, &text, "invalid_request_error", "model_not_found"));
        }
        let Some(key) = key.and_then(|name| self.keys.get_mut(name)) else { return Ok(()) };
        if key.rules.forbidden_models.iter().any(|forbidden| forbidden == model) {
            return Err(Reply::error(
                403,
                "Your account may not use this model.",
                "access",
                "model_not_entitled",
            ));
        }
        if key.rules.concurrency.is_some_and(|allowed| key.running >= allowed) {
            return Err(Reply::error(
                429,
                "Too many concurrent requests",
                "requests",
                "concurrency_limit_exceeded",
            ));
        }
        if let Some((allowed, window)) = key.rules.requests {
            let over = |start: Instant| match key.rules.windows {
                Windows::Rolling => now.duration_since(start) >= window,
                Windows::Fixed(begin) => window_of(start, begin, window) < window_of(now, begin, window),
            };
            while key.recent.front().is_some_and(|start| over(*start)) {
                key.recent.pop_front();
            }
            if key.recent.len() >= allowed {
                let wait = match key.rules.windows {
                    Windows::Rolling => {
                        key.recent.front().map_or(window, |start| window - now.duration_since(*start))
                    }
                    Windows::Fixed(begin) => {
                        let passed = nanos(begin, now).rem_euclid(window.as_nanos().max(1) as i128);
                        window - Duration::from_nanos(passed as u64)
                    }
                };
                let mut reply =
                    Reply::error(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded");
                if key.rules.retry_after == RetryAfter::Seconds {
                    reply = reply.header("retry-after", &wait.as_secs_f64().ceil().to_string());
                }
                return Err(reply);
            }
            key.recent.push_back(now);
        }
        key.running += 1;
        Ok(())
    }

    /// Books the end of a call that [`Self::begin`] admitted.
    pub fn end(&mut self, key: Option<&str>) {
        if let Some(key) = key.and_then(|name| self.keys.get_mut(name)) {
            key.running = key.running.saturating_sub(1);
        }
    }

    /// The answer to `GET /v1/models`.
    pub fn list(&self) -> Reply {
        let models: Vec<_> = self
            .models
            .iter()
            .map(|id| json!({"id": id, "object": "model", "created": 1_760_000_000, "owned_by": "fake"}))
            .collect();
        Reply::json(200, &json!({"object": "list", "data": models}))
    }
}

/// A day of a vendor that gives every model so many calls, and tells in each answer how many are left.
#[derive(Clone, Debug)]
pub struct Day {
    calls: usize,
    used: BTreeMap<String, usize>,
}

impl Day {
    /// A day at ModelScope, in its headers and words.
    pub fn of_modelscope(calls: usize) -> Self {
        Self { calls, used: BTreeMap::new() }
    }

    /// The whole answer to a call for a model: content, or the refusal of a used-up day.
    pub fn answer(&mut self, model: &str) -> Reply {
        let used = self.used.entry(model.to_owned()).or_default();
        let reply = if *used >= self.calls {
            let text = format!(
                "You have exceeded today's quota for model {model}, please try again tomorrow, or consider using other models"
            );
            Reply::json(429, &json!({"errors": {"message": text}, "request_id": "fake"}))
        } else {
            *used += 1;
            let choice = json!({"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"});
            let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6});
            let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": model,
                "choices": [choice], "usage": usage});
            Reply::json(200, &answer)
        };
        let left = (self.calls - *used).to_string();
        reply
            .header("modelscope-ratelimit-model-requests-limit", &self.calls.to_string())
            .header("modelscope-ratelimit-model-requests-remaining", &left)
    }
}

/// The number of the fixed window that a time lies in.
fn window_of(at: Instant, begin: Instant, window: Duration) -> i128 {
    nanos(begin, at).div_euclid(window.as_nanos().max(1) as i128)
}

/// Nanoseconds from one time to another, which may be the earlier one.
fn nanos(from: Instant, to: Instant) -> i128 {
    to.duration_since(from).as_nanos() as i128 - from.duration_since(to).as_nanos() as i128
}
