//! A group's robot in WeCom (企业微信): `POST https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…`.
//!
//! Source: <https://developer.work.weixin.qq.com/document/path/91770>: `msgtype` `text` with at most 2048 bytes; an answer has
//! `errcode` 0, or another one and `errmsg`; a robot takes 20 messages a minute, and 45009 says that it were more.

use serde_json::{Value, json};

use super::{Draft, Verdict, coded, cut, without_marks};

/// The longest text, in bytes.
const MOST_BYTES: usize = 2048;
/// The robot is busy, or sends too fast.
const BUSY: [i64; 2] = [-1, 45_009];

/// The body.
pub fn body(draft: Draft<'_>) -> Value {
    let text = cut(&without_marks(&draft.whole()), MOST_BYTES, char::len_utf8);
    json!({"msgtype": "text", "text": {"content": text}})
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    coded(status, body, ("errcode", "errmsg"), 0, &BUSY)
}
