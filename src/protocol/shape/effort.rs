//! `reasoning_effort` (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-reasoning_effort>) in the words
//! of other upstreams.

use super::object::{Object, is_text};
use crate::model::fix::{Effort, EffortWords};

/// OpenAI's field.
pub(super) const FIELD: &str = "reasoning_effort";

/// Says it in the upstream's words; what the client says in them counts more.
pub(super) fn express(effort: &Effort, object: &mut Object<'_>) {
    let Some(asked) = object.value(FIELD).filter(|value| value.starts_with('"')).map(str::to_owned) else {
        return;
    };
    let off = is_text(&asked, "none") || is_text(&asked, "off");
    if off || !effort.keep {
        object.remove(FIELD);
    }
    let on = if off { "false" } else { "true" };
    let mut unless_said = |name: &str, value: String| {
        if object.value(name).is_none_or(|said| said == "null") {
            object.set(name, value);
        }
    };
    match effort.to {
        EffortWords::Reasoning if off => unless_said("reasoning", r#"{"enabled":false}"#.into()),
        EffortWords::Reasoning => unless_said("reasoning", format!(r#"{{"effort":{asked}}}"#)),
        EffortWords::Thinking => {
            let kind = if off { "disabled" } else { "enabled" };
            unless_said("thinking", format!(r#"{{"type":"{kind}"}}"#));
        }
        EffortWords::EnableThinking => unless_said("enable_thinking", on.into()),
        EffortWords::TemplateEnableThinking => in_template("enable_thinking", on, object),
        EffortWords::TemplateThinking => in_template("thinking", on, object),
        EffortWords::Nothing => {}
    }
}

/// Adds an argument of the chat template beside those that the client gives.
fn in_template(name: &str, value: &str, object: &mut Object<'_>) {
    const KWARGS: &str = "chat_template_kwargs";
    let said = object.value(KWARGS).filter(|said| *said != "null").map(str::to_owned);
    let Some(said) = said else { return object.set(KWARGS, format!(r#"{{"{name}":{value}}}"#)) };
    let Some(mut kwargs) = Object::read(&said) else { return };
    if kwargs.value(name).is_none() {
        kwargs.set(name, value.to_owned());
        if let Some(kwargs) = kwargs.render() {
            object.set(KWARGS, kwargs);
        }
    }
}
