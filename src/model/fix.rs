//! Fixes of a request body: what an upstream wants otherwise than OpenAI has it.
//!
//! A provider's file lists them as data; the wire formats' `shape` carries them out.

use serde::Deserialize;

/// Fields of a request that no fix touches as a whole: without them it would be another request.
pub const KEPT_FIELDS: &[&str] = &["model", "messages", "input", "prompt", "stream", "tools", "functions"];

/// What is done to a body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fix {
    /// `{"rename": {"from": "max_completion_tokens", "to": "max_tokens"}}`: a field gets another name. If the other one is
    /// there too, it counts, and the field is left out.
    Rename(Rename),
    /// `{"drop": ["store", "tools.function.strict"]}`: fields are left out. A path leads into objects, and through lists
    /// into each of their items.
    Drop(Vec<String>),
    /// `{"set": {"field": "enable_thinking", "value": false}}`: a field is added.
    Set(SetField),
    /// `{"replace": {"field": "tool_choice", "from": "required", "to": "any"}}`: one value of a field becomes another.
    Replace(Replace),
    /// `{"role": {"from": "developer", "to": "system"}}`: messages of a role get another one.
    Role(Rename),
    /// `"drop_prefill"`: messages of the assistant at the end are left out, unless they call tools.
    DropPrefill,
    /// `"fill_reasoning_content"`: messages of the assistant that call tools get a `reasoning_content`, if they have none: the
    /// text of `reasoning` or `reasoning_text`, else an empty one.
    FillReasoningContent,
    /// `{"cache_control": "add"}`.
    CacheControl(CacheControl),
    /// `{"effort": {"to": "thinking"}}`: `reasoning_effort` in the upstream's words.
    Effort(Effort),
}

/// A name and what takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// What clients write.
    pub from: String,
    /// What the upstream takes.
    pub to: String,
}

/// A field that is added.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetField {
    /// Its name.
    pub field: String,
    /// Its value, any JSON.
    pub value: serde_json::Value,
    /// Whether it replaces what the client wrote.
    #[serde(default)]
    pub always: bool,
}

/// A value of a field that becomes another.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The field.
    pub field: String,
    /// The text that it must hold.
    pub from: String,
    /// The text that it holds afterwards.
    pub to: String,
}

/// What becomes of the marks up to which a prompt is cached
/// (<https://openrouter.ai/docs/guides/best-practices/prompt-caching>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheControl {
    /// The last system message and the last one of the user get one, if there is none anywhere in the request.
    Add,
    /// All are left out.
    Strip,
}

/// How an upstream is told whether, and how much, to reason.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effort {
    /// Its words for it.
    pub to: EffortWords,
    /// Whether `reasoning_effort` stays beside them. An effort of `none` never does.
    #[serde(default)]
    pub keep: bool,
}

/// An upstream's words for the effort of reasoning. An effort of `none` or `off` means not to reason, any other one to
/// reason. What the client says in these words itself is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffortWords {
    /// `"reasoning": {"effort": "high"}`.
    Reasoning,
    /// `"thinking": {"type": "enabled"}`.
    Thinking,
    /// `"enable_thinking": true`.
    EnableThinking,
    /// `"chat_template_kwargs": {"enable_thinking": true}`.
    TemplateEnableThinking,
    /// `"chat_template_kwargs": {"thinking": true}`.
    TemplateThinking,
    /// Nothing: the upstream knows no efforts.
    Nothing,
}

/// When a fix is made, beside the models and endpoints that its rule names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Only for streams, or only for answers in one piece.
    pub stream: Option<bool>,
    /// Only if one of these fields is there and is not null or false.
    #[serde(default)]
    pub has: Vec<String>,
    /// Only if none of these is.
    #[serde(default)]
    pub lacks: Vec<String>,
}
