//! Fixes of the messages of a chat. Each gives the changed list, or `None` if there is nothing to change.

use serde_json::value::RawValue;

use super::object::{Object, is_text, items, with_items};
use crate::protocol::json::{peek, quoted, says_something, span};

peek! {
    /// What tells messages apart.
    Head { role: &'a RawValue = "role", tool_calls: &'a RawValue = "tool_calls" }
}

impl Head<'_> {
    fn of(message: &str) -> Head<'_> {
        serde_json::from_str(message).unwrap_or_default()
    }

    fn has_role(&self, role: &str) -> bool {
        self.role.is_some_and(|raw| is_text(raw.get(), role))
    }

    fn calls_tools(&self) -> bool {
        self.tool_calls.is_some_and(says_something)
    }
}

/// Every message of a role gets another one.
pub(super) fn with_role(text: &str, from: &str, to: &str) -> Option<String> {
    let messages = items(text)?;
    let renamed = |message: &&str| {
        let mut object = Head::of(message).has_role(from).then(|| Object::read(message))??;
        object.set("role", quoted(to));
        object.render()
    };
    let new = messages.iter().map(renamed).collect();
    with_items(text, &messages, new)
}

/// Without what the assistant is made to begin its answer with. One message always stays.
pub(super) fn without_prefill(text: &str) -> Option<String> {
    let messages = items(text)?;
    let is_prefill = |message: &&&str| {
        let head = Head::of(message);
        head.has_role("assistant") && !head.calls_tools()
    };
    let kept = messages.len() - messages.iter().rev().take_while(is_prefill).count();
    if kept == messages.len() || kept == 0 {
        return None;
    }
    let (end, rest) = (span(text, messages[kept - 1]).end, span(text, messages[messages.len() - 1]).end);
    Some([&text[..end], &text[rest..]].concat())
}

/// Every message of the assistant that calls tools has a `reasoning_content`.
pub(super) fn with_reasoning_content(text: &str) -> Option<String> {
    const FIELD: &str = "reasoning_content";
    let messages = items(text)?;
    let filled = |message: &&str| {
        let head = Head::of(message);
        if !(head.has_role("assistant") && head.calls_tools()) {
            return None;
        }
        let mut object = Object::read(message)?;
        if object.value(FIELD).is_some_and(|said| said.starts_with('"')) {
            return None;
        }
        let elsewhere = ["reasoning", "reasoning_text"].into_iter().filter_map(|name| object.value(name));
        let said = elsewhere.into_iter().find(|said| said.starts_with('"')).unwrap_or("\"\"").to_owned();
        object.set(FIELD, said);
        object.render()
    };
    let new = messages.iter().map(filled).collect();
    with_items(text, &messages, new)
}

/// The last system message and the last message of the user are marked as ends of what is cached.
pub(super) fn with_cache_marks(text: &str) -> Option<String> {
    let messages = items(text)?;
    let last = |roles: &[&str]| {
        messages.iter().rposition(|message| {
            let head = Head::of(message);
            roles.iter().any(|role| head.has_role(role))
        })
    };
    let marked = [last(&["system", "developer"]), last(&["user"])];
    let new = messages.iter().enumerate();
    let new = new.map(|(at, message)| marked.contains(&Some(at)).then(|| with_cache_mark(message)).flatten());
    let new = new.collect();
    with_items(text, &messages, new)
}

/// A message whose last text ends what is cached; Anthropic takes no mark on an empty one.
fn with_cache_mark(message: &str) -> Option<String> {
    const MARK: &str = r#"{"type":"ephemeral"}"#;
    let mut object = Object::read(message)?;
    let content = object.value("content")?;
    let marked = if content.starts_with('"') {
        (content.len() > 2)
            .then(|| format!(r#"[{{"type":"text","text":{content},"cache_control":{MARK}}}]"#))?
    } else {
        let parts = items(content)?;
        let is_text_part = |part: &&str| {
            Object::read(part).is_some_and(|part| {
                part.value("type").is_some_and(|kind| is_text(kind, "text"))
                    && part.value("text").is_some_and(|text| text.len() > 2)
            })
        };
        let at = parts.iter().rposition(is_text_part)?;
        let mut part = Object::read(parts[at])?;
        part.set("cache_control", MARK.to_owned());
        let mut new = vec![None; parts.len()];
        new[at] = part.render();
        with_items(content, &parts, new)?
    };
    object.set("content", marked);
    object.render()
}
