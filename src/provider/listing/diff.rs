//! What changed between two discoveries of the same provider.

use super::{Listing, ModelFacts};

/// What changed between two lists; each part is sorted by the models' ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// Models that were not there before.
    pub appeared: Vec<&'a ModelFacts>,
    /// Models of which something else is said.
    pub changed: Vec<Altered<'a>>,
    /// Models that are gone.
    pub vanished: Vec<&'a ModelFacts>,
    /// Models that the new list lacks although it cannot prove that they are gone, since it was empty, cut off or had
    /// entries that could not be read. They are to be kept.
    pub unproved: Vec<&'a ModelFacts>,
}

impl Changes<'_> {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.appeared.is_empty()
            && self.changed.is_empty()
            && self.vanished.is_empty()
            && self.unproved.is_empty()
    }
}

/// A model of which something else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered<'a> {
    /// What was said.
    pub before: &'a ModelFacts,
    /// What is said now.
    pub after: &'a ModelFacts,
    /// The fields that differ, never none, and how.
    pub fields: Vec<(Field, Knowledge)>,
}

/// A field of [`ModelFacts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The context window.
    ContextWindow,
    /// The longest answer.
    OutputLimit,
    /// What it takes.
    Input,
    /// What it gives.
    Output,
    /// Whether it calls tools.
    Tools,
    /// Whether it reasons.
    Reasoning,
    /// Whether it hears sound.
    Audio,
    /// Whether it answers by a JSON schema.
    Schema,
    /// What it costs.
    Price,
    /// Whether it costs nothing.
    Free,
    /// When it came out.
    Created,
}

/// How a field differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Knowledge {
    /// It was unknown and is known now: the model need not have changed.
    Learned,
    /// It was something else.
    Altered,
    /// It was known and is not told any more.
    Forgotten,
}

/// Compares what was known (sorted by id, each id once, as a [`Listing`] has it) with a new list.
pub fn diff<'a>(before: &'a [ModelFacts], after: &'a Listing) -> Changes<'a> {
    let mut changes = Changes::default();
    let mut gone = Vec::new();
    let (mut old, mut new) = (before.iter().peekable(), after.models.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(model), Some(other)) if model.id == other.id => {
                let fields = fields(model, other);
                if !fields.is_empty() {
                    changes.changed.push(Altered { before: model, after: other, fields });
                }
                old.next();
                new.next();
            }
            (Some(model), Some(other)) if model.id < other.id => {
                gone.push(*model);
                old.next();
            }
            (Some(model), None) => {
                gone.push(*model);
                old.next();
            }
            (_, Some(model)) => {
                changes.appeared.push(model);
                new.next();
            }
        }
    }
    if after.is_complete() {
        changes.vanished = gone;
    } else {
        changes.unproved = gone;
    }
    changes
}

fn fields(before: &ModelFacts, after: &ModelFacts) -> Vec<(Field, Knowledge)> {
    fn one<T: PartialEq>(before: Option<T>, after: Option<T>) -> Option<Knowledge> {
        match (before, after) {
            (None, Some(_)) => Some(Knowledge::Learned),
            (Some(_), None) => Some(Knowledge::Forgotten),
            (before, after) => (before != after).then_some(Knowledge::Altered),
        }
    }
    let found = [
        (Field::ContextWindow, one(before.context_window, after.context_window)),
        (Field::OutputLimit, one(before.output_limit, after.output_limit)),
        (Field::Input, one(before.input, after.input)),
        (Field::Output, one(before.output, after.output)),
        (Field::Tools, one(before.tools, after.tools)),
        (Field::Reasoning, one(before.reasoning, after.reasoning)),
        (Field::Audio, one(before.audio, after.audio)),
        (Field::Schema, one(before.schema, after.schema)),
        (Field::Price, one(before.price, after.price)),
        (Field::Free, one(before.free, after.free)),
        (Field::Created, one(before.created, after.created)),
    ];
    found.into_iter().filter_map(|(field, how)| Some((field, how?))).collect()
}
