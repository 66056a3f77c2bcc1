//! A group's robot in DingTalk (钉钉): `POST https://oapi.dingtalk.com/robot/send?access_token=…`.
//!
//! Source: <https://open.dingtalk.com/document/orgapp/custom-robot-access> and
//! <https://open.dingtalk.com/document/robots/customize-robot-security-settings>: `msgtype` `text`; with a signing secret, `timestamp`
//! in milliseconds and `sign`, the HMAC-SHA-256 of `timestamp\nsecret` with the secret as its key, in Base64. An answer has
//! `errcode` 0, or another one and `errmsg` under a status of 200 all the same; a robot takes 20 messages a minute, and 130101 says
//! that it were more.

use form_urlencoded::Serializer;
use serde_json::{Value, json};

use super::{Draft, Verdict, coded, cut, hmac_base64};
use crate::model::time::UnixMs;

/// The longest text, in bytes.
const MOST_BYTES: usize = 18_000;
/// The robot is busy, or sends too fast.
const BUSY: [i64; 2] = [-1, 130_101];

/// The robot's address, signed if it has a secret.
pub fn address(url: &str, secret: Option<&str>, now: UnixMs) -> String {
    let Some(secret) = secret else { return url.to_owned() };
    let time = now.0.to_string();
    let sign = hmac_base64(secret.as_bytes(), format!("{time}\n{secret}").as_bytes());
    let joint = if url.contains('?') { '&' } else { '?' };
    let query =
        Serializer::new(String::new()).append_pair("timestamp", &time).append_pair("sign", &sign).finish();
    format!("{url}{joint}{query}")
}

/// The body. A plain text names nobody unless `at` says so.
pub fn body(draft: Draft<'_>) -> Value {
    let text = cut(&draft.whole(), MOST_BYTES, char::len_utf8);
    json!({"msgtype": "text", "text": {"content": text}, "at": {"isAtAll": false}})
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    coded(status, body, ("errcode", "errmsg"), 0, &BUSY)
}
