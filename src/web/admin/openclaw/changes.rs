//! What changes against the last export, in words.

use crate::{
    export::openclaw::{Change, Changes, Fact},
    i18n::Messages,
    model::openclaw_export::ExportRecord,
    web::format::{exact_money, number},
};

/// The most models that are named one by one.
const MOST_NAMED: usize = 20;

/// Lines to read.
#[derive(Default)]
pub(super) struct ChangesView {
    /// What changes, a line each: what it is about, and the words.
    pub lines: Vec<(String, String)>,
    /// Whether OpenClaw may refuse the patch, because its file would shrink to less than half.
    pub shrinks: bool,
}

impl ChangesView {
    /// What an export changes against the last one.
    pub fn new(old: &ExportRecord, new: &ExportRecord, m: Messages) -> Self {
        let t = m.openclaw;
        let changes = Changes::between(old, new);
        let mut lines = Vec::new();
        if !changes.added.is_empty() {
            lines.push((t.added().to_owned(), named(&changes.added, m)));
        }
        if !changes.removed.is_empty() {
            lines.push((t.removed().to_owned(), named(&changes.removed, m)));
        }
        for (model, facts) in changes.changed.iter().take(MOST_NAMED) {
            let facts: Vec<String> = facts.iter().map(|change| in_words(change, m)).collect();
            lines.push((model.clone(), facts.join(t.between())));
        }
        if changes.changed.len() > MOST_NAMED {
            lines.push((t.changed().to_owned(), t.and_more(changes.changed.len() - MOST_NAMED)));
        }
        for (model, before, after) in changes.aliases.iter().take(MOST_NAMED) {
            lines.push((t.alias_of(model), from_to(before.as_deref(), after.as_deref(), m)));
        }
        for (path, before, after) in &changes.uses {
            lines.push((path.clone(), from_to(before.as_deref(), after.as_deref(), m)));
        }
        if changes.other {
            lines.push((t.changed().to_owned(), t.other_changes().to_owned()));
        }
        let shrinks = changes.removed.len() * 2 > old.models.len();
        Self { lines, shrinks }
    }
}

fn named(names: &[String], m: Messages) -> String {
    let mut text =
        names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(m.openclaw.between());
    if names.len() > MOST_NAMED {
        text.push(' ');
        text.push_str(&m.openclaw.and_more(names.len() - MOST_NAMED));
    }
    text
}

fn from_to(before: Option<&str>, after: Option<&str>, m: Messages) -> String {
    let nothing = m.openclaw.nothing();
    format!("{} → {}", before.unwrap_or(nothing), after.unwrap_or(nothing))
}

fn in_words(change: &Change, m: Messages) -> String {
    let t = m.openclaw;
    let (name, show): (&str, fn(i64, Messages) -> String) = match change.fact {
        Fact::ContextWindow => (t.context_window(), |value, _| number(value)),
        Fact::MaxOutput => (t.max_output(), |value, _| number(value)),
        Fact::Vision => (t.fact_images(), yes_or_no),
        Fact::Reasoning => (t.fact_reasoning(), yes_or_no),
        Fact::InputPrice => (t.input_price(), |value, _| exact_money(value)),
        Fact::OutputPrice => (t.output_price(), |value, _| exact_money(value)),
    };
    let (before, after) =
        (change.before.map(|value| show(value, m)), change.after.map(|value| show(value, m)));
    format!("{name} {}", from_to(before.as_deref(), after.as_deref(), m))
}

fn yes_or_no(value: i64, m: Messages) -> String {
    if value == 0 { m.openclaw.no().to_owned() } else { m.openclaw.yes().to_owned() }
}
