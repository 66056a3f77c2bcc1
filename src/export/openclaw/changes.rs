//! What changed from one export to the next.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::openclaw_export::{ExportRecord, RecordedModel};

/// The most models that each export takes an alias back from; the last ones by name are forgotten beyond it.
const MAX_WITHOUT_ALIAS: usize = 500;

/// What is different in a new export. Everything is in the new export's order, what is gone in the old one's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Models that were not there.
    pub added: Vec<String>,
    /// Models that are gone.
    pub removed: Vec<String>,
    /// Models of which something else is said: each fact with what was said before and what is said now.
    pub changed: Vec<(String, Vec<Change>)>,
    /// Aliases: the model, its alias before and now.
    pub aliases: Vec<(String, Option<String>, Option<String>)>,
    /// Uses: the configuration's path, the model before and now.
    pub uses: Vec<(String, Option<String>, Option<String>)>,
    /// Whether something else is different, such as the base URL, an order or a flag.
    pub other: bool,
}

/// A fact of a model that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which fact.
    pub fact: Fact,
    /// What was said.
    pub before: Option<i64>,
    /// What is said now.
    pub after: Option<i64>,
}

/// A fact that OpenClaw is told of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Context window in tokens.
    ContextWindow,
    /// Largest answer in tokens.
    MaxOutput,
    /// Whether it reads images: 0 or 1.
    Vision,
    /// Whether it reasons: 0 or 1.
    Reasoning,
    /// The price of prompts in micro-dollars per million tokens.
    InputPrice,
    /// The price of answers, likewise.
    OutputPrice,
}

impl Changes {
    /// What is different in `new`.
    pub fn between(old: &ExportRecord, new: &ExportRecord) -> Self {
        if old.hash == new.hash {
            return Self::default();
        }
        let find = |record: &'_ ExportRecord, id: &str| record.models.iter().any(|model| model.id == id);
        let mut changes = Self {
            added: ids(new).filter(|id| !find(old, id)).map(str::to_owned).collect(),
            removed: ids(old).filter(|id| !find(new, id)).map(str::to_owned).collect(),
            ..Self::default()
        };
        for model in &new.models {
            if let Some(before) = old.models.iter().find(|before| before.id == model.id) {
                let facts = facts(before, model);
                if !facts.is_empty() {
                    changes.changed.push((model.id.clone(), facts));
                }
            }
        }
        changes.aliases = differences(&old.aliases, &new.aliases);
        changes.uses = differences(&old.uses, &new.uses);
        changes.other = changes.is_empty();
        changes
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.aliases.is_empty()
            && self.uses.is_empty()
            && !self.other
    }
}

fn ids(record: &ExportRecord) -> impl Iterator<Item = &str> {
    record.models.iter().map(|model| model.id.as_str())
}

fn facts(before: &RecordedModel, after: &RecordedModel) -> Vec<Change> {
    let price = |model: &RecordedModel, part: fn((i64, i64)) -> i64| model.price.map(part);
    let pairs = [
        (Fact::ContextWindow, before.context_window.map(i64::from), after.context_window.map(i64::from)),
        (Fact::MaxOutput, before.max_output.map(i64::from), after.max_output.map(i64::from)),
        (Fact::Vision, Some(before.vision.into()), Some(after.vision.into())),
        (Fact::Reasoning, Some(before.reasoning.into()), Some(after.reasoning.into())),
        (Fact::InputPrice, price(before, |price| price.0), price(after, |price| price.0)),
        (Fact::OutputPrice, price(before, |price| price.1), price(after, |price| price.1)),
    ];
    let different = pairs.into_iter().filter(|(_, before, after)| before != after);
    different.map(|(fact, before, after)| Change { fact, before, after }).collect()
}

type Texts = std::collections::BTreeMap<String, String>;

fn differences(old: &Texts, new: &Texts) -> Vec<(String, Option<String>, Option<String>)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let pair = |name: &String| (name.clone(), old.get(name).cloned(), new.get(name).cloned());
    names.into_iter().map(pair).filter(|(_, before, after)| before != after).collect()
}

/// The models that had an alias in an earlier export and have none in this one.
pub(super) fn without_alias(record: &ExportRecord, last: Option<&ExportRecord>) -> BTreeSet<String> {
    let earlier = last.into_iter().flat_map(|last| last.aliases.keys().chain(&last.without_alias));
    earlier.filter(|id| !record.aliases.contains_key(*id)).take(MAX_WITHOUT_ALIAS).cloned().collect()
}

/// The SHA-256 of a document without the token's value, which two exports may hold in two forms.
pub(super) fn hash(document: &Value) -> String {
    let mut plain = document.clone();
    hide_keys(&mut plain);
    let digest = Sha256::digest(plain.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hide_keys(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if name == "apiKey" { *value = Value::Null } else { hide_keys(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_keys),
        _ => {}
    }
}
