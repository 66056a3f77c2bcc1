//! Which calls belong to one conversation, so that it may stay where its prompt is cached.
//!
//! Clients that know say so: with `prompt_cache_key`
//! (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-prompt_cache_key>) or `session_id`
//! (<https://openrouter.ai/docs/guides/best-practices/prompt-caching>). Of others, the calls of one conversation begin with the
//! same messages: all up to the first of the user.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::ControlFlow,
};

use serde::{
    Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{envelope::Envelope, json::peek};
use crate::model::usage::Endpoint;

/// Only so much of the messages is looked at: the instructions of agents have tens of kilobytes, and the user's words come after.
const MAX_OPENING_BYTES: usize = 256 * 1024;

/// The user's first words are among the first messages.
const MAX_MESSAGES: usize = 8;

/// Of each text so much tells conversations apart, together with its length.
const MAX_TEXT_BYTES: usize = 1024;

peek! {
    /// A message.
    Message { role: &'a RawValue = "role", content: &'a RawValue = "content" }
}

impl Envelope {
    /// A number for the conversation that the call belongs to, for the same client and model; `None` if it belongs to
    /// none. `session` is what the client called it outside of the body. Bounded, however long the body is.
    pub fn conversation(&self, session: Option<&str>) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        match (session, self.session()) {
            _ if !self.endpoint.shape().generates => return None,
            (Some(session), _) => session.hash(&mut hasher),
            (None, Some(named)) => named.hash(&mut hasher),
            (None, None) => {
                self.user().hash(&mut hasher);
                let text = self.first_text();
                match self.endpoint {
                    Endpoint::Chat | Endpoint::Messages => opening(text, &mut hasher),
                    Endpoint::Responses if text.starts_with('[') => opening(text, &mut hasher),
                    _ => hash_start(text, &mut hasher),
                }
            }
        }
        Some(hasher.finish())
    }
}

/// Adds the messages up to the first of the user.
fn opening(messages: &str, hasher: &mut DefaultHasher) {
    struct Opening<'h>(&'h mut DefaultHasher);
    impl<'de> Visitor<'de> for Opening<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("messages")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
            for _ in 0..MAX_MESSAGES {
                let Some(message) = messages.next_element::<Message<'de>>()? else { return Ok(()) };
                if message.add_to(self.0).is_break() {
                    // The rest is not read: an error is the way to stop.
                    return Err(de::Error::custom("enough"));
                }
            }
            Err(de::Error::custom("enough"))
        }
    }
    let bounded = &messages[..messages.floor_char_boundary(MAX_OPENING_BYTES)];
    // The end of what is looked at, or of what is wanted, is an error too; what was read up to there counts.
    let _ = serde_json::Deserializer::from_str(bounded).deserialize_seq(Opening(hasher));
}

impl Message<'_> {
    fn add_to(&self, hasher: &mut DefaultHasher) -> ControlFlow<()> {
        let role = self.role.map_or("", RawValue::get);
        role.hash(hasher);
        hash_start(self.content.map_or("", RawValue::get), hasher);
        if role == "\"user\"" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn hash_start(text: &str, hasher: &mut DefaultHasher) {
    text.len().hash(hasher);
    text.as_bytes()[..text.len().min(MAX_TEXT_BYTES)].hash(hasher);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(body: &Value) -> Option<u64> {
        let mut body = body.clone();
        body["model"] = "m".into();
        Envelope::read(Endpoint::Chat, body.to_string().into()).expect("a call").conversation(None)
    }

    fn said(messages: &[(&str, &str)]) -> Value {
        let messages: Vec<Value> =
            messages.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
        json!({ "messages": messages })
    }

    #[test]
    fn a_conversation_is_known_by_its_first_messages_and_not_by_what_follows() {
        let first = of(&said(&[("system", "Be brief."), ("user", "Hello")]));
        let later =
            of(&said(&[("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi"), ("user", "Why?")]));
        assert_eq!(first, later);
        for other in [
            said(&[("system", "Be brief."), ("user", "Hello there")]),
            said(&[("system", "Be long."), ("user", "Hello")]),
            said(&[("user", "Hello")]),
        ] {
            assert_ne!(of(&other), first, "{other}");
        }
    }

    #[test]
    fn what_the_client_calls_it_counts_more_than_its_words() {
        let named = |field: &str, name: &str, words: &str| {
            let mut body = said(&[("user", words)]);
            body[field] = name.into();
            of(&body)
        };
        for field in ["prompt_cache_key", "session_id"] {
            assert_eq!(named(field, "a", "one"), named(field, "a", "two"));
            assert_ne!(named(field, "a", "one"), named(field, "b", "one"));
        }
        assert_ne!(named("user", "ann", "one"), named("user", "bob", "one"), "two people say the same");
        assert_ne!(named("user", "ann", "one"), named("user", "ann", "two"));
    }

    #[test]
    fn odd_messages_have_a_number_too() {
        for body in
            [json!({"messages": []}), json!({"messages": [1, "x", null]}), json!({"messages": [{"role": 7}]})]
        {
            assert!(of(&body).is_some(), "{body}");
        }
        let long = said(&[("system", &"x".repeat(1 << 20)), ("user", "Hello")]);
        assert_eq!(of(&long), of(&long));
    }
}
