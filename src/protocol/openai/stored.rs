//! Ids of stored responses: ours in place of the upstream's, wherever an answer or an event carries them.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::protocol::json::{entries, quoted, span};

/// The longest id of an upstream that is believed, in bytes.
const MAX_ID_BYTES: usize = 512;

/// What a stored response is called here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredIds {
    /// Our id for it; `None` if it is not stored.
    pub id: Option<String>,
    /// Our id of the response that it goes on from.
    pub previous: Option<String>,
}

impl StoredIds {
    /// An answer with our ids, and the upstream's id of it. That is `None` if nothing is stored: by our request, or because
    /// the answer says so.
    pub fn rename(&self, answer: &Bytes) -> (Bytes, Option<String>) {
        self.rename_at(answer, |text| Some(text))
    }

    /// The same of an event, for the response inside it.
    pub fn rename_in_event(&self, event: &Bytes) -> (Bytes, Option<String>) {
        self.rename_at(event, |text| find(&entries(text).ok()?, "response").map(RawValue::get))
    }

    fn rename_at(
        &self,
        body: &Bytes,
        response: impl for<'a> Fn(&'a str) -> Option<&'a str>,
    ) -> (Bytes, Option<String>) {
        let unchanged = || (body.clone(), None);
        let Ok(text) = std::str::from_utf8(body) else { return unchanged() };
        let Some(fields) = response(text).and_then(|inner| entries(inner).ok()) else { return unchanged() };
        let stored = find(&fields, "store").is_none_or(|raw| raw.get() != "false");
        let name = |name: &str| find(&fields, name).filter(|raw| raw.get().starts_with('"'));
        let theirs = name("id").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let theirs = theirs.filter(|id| stored && self.id.is_some() && believed(id));
        let mut patches: Vec<(Range<usize>, String)> = Vec::with_capacity(2);
        if let (Some(raw), Some(ours), Some(_)) = (name("id"), &self.id, &theirs) {
            patches.push((span(text, raw.get()), quoted(ours)));
        }
        if let (Some(raw), Some(ours)) = (name("previous_response_id"), &self.previous) {
            patches.push((span(text, raw.get()), quoted(ours)));
        }
        if patches.is_empty() {
            return unchanged();
        }
        patches.sort_by_key(|(range, _)| range.start);
        let mut renamed = Vec::with_capacity(body.len() + 64);
        let mut from = 0;
        for (range, ours) in patches {
            renamed.extend_from_slice(&body[from..range.start]);
            renamed.extend_from_slice(ours.as_bytes());
            from = range.end;
        }
        renamed.extend_from_slice(&body[from..]);
        (renamed.into(), theirs)
    }
}

fn believed(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.bytes().all(|byte| byte == b'.')
}

/// A field's value; of a repeated one the last.
fn find<'a>(fields: &[(std::borrow::Cow<'_, str>, &'a RawValue)], name: &str) -> Option<&'a RawValue> {
    fields.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> StoredIds {
        StoredIds { id: Some("resp_ours".into()), previous: Some("resp_before".into()) }
    }

    #[test]
    fn an_answer_and_every_event_with_a_response_carry_our_ids_and_are_else_the_same() {
        let answer = Bytes::from_static(
            br#"{"id":"resp_theirs", "output":[{"id":"msg_1"}],"previous_response_id":"resp_old","store":true}"#,
        );
        let (renamed, theirs) = ids().rename(&answer);
        assert_eq!(theirs.as_deref(), Some("resp_theirs"));
        let expected = r#"{"id":"resp_ours", "output":[{"id":"msg_1"}],"previous_response_id":"resp_before","store":true}"#;
        assert_eq!(std::str::from_utf8(&renamed).unwrap(), expected);
        let event =
            format!(r#"{{"type":"response.created","response":{}}}"#, std::str::from_utf8(&answer).unwrap());
        let (renamed, theirs) = ids().rename_in_event(&event.into());
        assert_eq!(theirs.as_deref(), Some("resp_theirs"));
        let text = std::str::from_utf8(&renamed).unwrap();
        assert_eq!(text, format!(r#"{{"type":"response.created","response":{expected}}}"#));
    }

    #[test]
    fn what_is_not_stored_keeps_its_id() {
        let answer = Bytes::from_static(br#"{"id":"resp_theirs","store":false,"previous_response_id":null}"#);
        assert_eq!(ids().rename(&answer), (answer.clone(), None));
        let answer = Bytes::from_static(br#"{"id":"resp_theirs"}"#);
        assert_eq!(StoredIds::default().rename(&answer), (answer.clone(), None));
        for odd in [
            &br#"{"id":7}"#[..],
            b"[]",
            b"\xff",
            br#"{"id":".."}"#,
            br#"{"type":"response.output_text.delta"}"#,
        ] {
            let odd = Bytes::from_static(odd);
            assert_eq!(ids().rename(&odd), (odd.clone(), None));
            assert_eq!(ids().rename_in_event(&odd), (odd.clone(), None));
        }
    }
}
