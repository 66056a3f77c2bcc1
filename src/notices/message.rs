//! What a message says: a text for people, and the same as fields for programs.

use serde_json::{Value, json};

use crate::{
    i18n::Messages,
    model::{
        notice::{Event, EventKind, Occurrence},
        time::UnixMs,
    },
};

/// An event in a sentence.
pub fn sentence(t: Messages, event: &Event) -> String {
    let channel = &event.channel_name;
    match &event.what {
        Occurrence::Models { kind, names, count, more } => {
            let mut list = names.join(", ");
            if *count > names.len() || *more {
                list.push('…');
            }
            let count = if *more { format!("{count}+") } else { count.to_string() };
            match kind {
                EventKind::ModelsAppeared => t.notices.models_appeared(channel, &count, &list),
                EventKind::ModelsVanished => t.notices.models_vanished(channel, &count, &list),
                EventKind::ModelsChanged | EventKind::KeyInvalid => {
                    t.notices.models_changed(channel, &count, &list)
                }
            }
        }
        Occurrence::KeyInvalid { shown, .. } => t.notices.key_invalid(channel, shown),
    }
}

/// A kind of event in a few words.
pub fn kind_label(t: Messages, kind: EventKind) -> &'static str {
    match kind {
        EventKind::ModelsAppeared => t.notices.kind_models_appeared(),
        EventKind::ModelsChanged => t.notices.kind_models_changed(),
        EventKind::ModelsVanished => t.notices.kind_models_vanished(),
        EventKind::KeyInvalid => t.notices.kind_key_invalid(),
    }
}

/// The whole text of a message, a line per event.
pub fn text(t: Messages, events: &[Event], left_out: usize) -> String {
    if events.is_empty() {
        return t.notices.test_text().to_owned();
    }
    let mut lines: Vec<String> = events.iter().map(|event| sentence(t, event)).collect();
    if left_out > 0 {
        lines.push(t.notices.left_out(left_out));
    }
    lines.join("\n")
}

/// The body of a webhook's POST: `source`, `text`, `test`, `sent_at`, `left_out` and `events`.
pub fn webhook_body(t: Messages, events: &[Event], left_out: usize, now: UnixMs) -> Vec<u8> {
    let time = |at: UnixMs| at.timestamp().to_string();
    let as_fields = |event: &Event| -> Value {
        let mut fields = json!({
            "kind": event.kind().as_str(), "at": time(event.at), "text": sentence(t, event),
            "channel_id": event.channel.0, "channel": event.channel_name,
        });
        match &event.what {
            Occurrence::Models { names, count, more, .. } => {
                fields["models"] = json!(names);
                fields["count"] = json!(count);
                fields["more"] = json!(more);
            }
            Occurrence::KeyInvalid { key, shown } => {
                fields["key_id"] = json!(key.0);
                fields["key"] = json!(shown);
            }
        }
        fields
    };
    let body = json!({
        "source": "onepool", "text": text(t, events, left_out), "test": events.is_empty(), "sent_at": time(now),
        "left_out": left_out, "events": events.iter().map(as_fields).collect::<Vec<Value>>(),
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        i18n::Lang,
        model::id::{ChannelId, KeyId},
    };

    fn event(what: Occurrence) -> Event {
        Event { at: UnixMs(0), channel: ChannelId(3), channel_name: "Groq".into(), what }
    }

    #[test]
    fn a_message_says_what_happened_where_in_both_languages() {
        let models = |kind, count, more| {
            event(Occurrence::Models { kind, names: vec!["a".into(), "b".into()], count, more })
        };
        let events = [
            models(EventKind::ModelsAppeared, 2, false),
            models(EventKind::ModelsChanged, 7, false),
            models(EventKind::ModelsVanished, 1000, true),
            event(Occurrence::KeyInvalid { key: KeyId(5), shown: "main …cdef".into() }),
        ];
        assert_eq!(
            text(Messages::of(Lang::En), &events, 4),
            "Groq: 2 new models: a, b\nGroq: 7 models changed: a, b…\nGroq: 1000+ models are gone: a, b…\n\
             Groq: the provider refuses the key main …cdef\n4 more events are not listed here."
        );
        let chinese = text(Messages::of(Lang::Zh), &events, 0);
        assert!(
            chinese.starts_with("Groq：新增 2 个模型：a, b\n") && chinese.lines().count() == 4,
            "{chinese}"
        );
    }

    #[test]
    fn a_webhook_gets_the_same_as_fields() {
        let events = [event(Occurrence::KeyInvalid { key: KeyId(5), shown: "…cdef".into() })];
        let body: Value =
            serde_json::from_slice(&webhook_body(Messages::of(Lang::En), &events, 0, UnixMs(1000))).unwrap();
        assert_eq!(body["source"], "onepool");
        assert_eq!(body["sent_at"], "1970-01-01T00:00:01Z");
        assert_eq!(
            body["events"][0],
            json!({
                "kind": "key_invalid", "at": "1970-01-01T00:00:00Z", "channel_id": 3, "channel": "Groq", "key_id": 5,
                "key": "…cdef", "text": "Groq: the provider refuses the key …cdef",
            })
        );
        let test: Value =
            serde_json::from_slice(&webhook_body(Messages::of(Lang::En), &[], 0, UnixMs(0))).unwrap();
        assert_eq!((test["test"].as_bool(), test["events"].as_array().map(Vec::len)), (Some(true), Some(0)));
    }
}
