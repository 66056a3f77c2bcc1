//! A group's robot in Feishu (飞书) or Lark: `POST https://open.feishu.cn/open-apis/bot/v2/hook/…`.
//!
//! Source: <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>: `msg_type` `text`; with a signing secret, `timestamp` in
//! seconds and `sign`, the HMAC-SHA-256 of nothing with `timestamp\nsecret` as its key, in Base64. An answer has `code` 0, or
//! another one and `msg`; a body has at most 20 KB; 9499 and 11232 say that there were too many messages (100 a minute, 5 a second).

use serde_json::{Value, json};

use super::{Draft, Verdict, coded, cut, hmac_base64, without_marks};
use crate::model::time::UnixMs;

/// The longest text, in bytes, which JSON may make longer.
const MOST_BYTES: usize = 12_000;
/// Too many messages.
const BUSY: [i64; 2] = [9499, 11_232];

/// The body, signed if the robot has a secret.
pub fn body(draft: Draft<'_>, secret: Option<&str>, now: UnixMs) -> Value {
    let text = cut(&without_marks(&draft.whole()), MOST_BYTES, char::len_utf8);
    let mut body = json!({"msg_type": "text", "content": {"text": text}});
    if let Some(secret) = secret {
        let time = now.0.div_euclid(1000).to_string();
        body["sign"] = json!(hmac_base64(format!("{time}\n{secret}").as_bytes(), b""));
        body["timestamp"] = json!(time);
    }
    body
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    coded(status, body, ("code", "msg"), 0, &BUSY)
}
