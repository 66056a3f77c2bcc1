//! One model under many names.
//!
//! A name becomes an identity in steps, each of which only ever joins what is the same by construction: letters' case, a
//! suffix that names a price or a route (`:free`), the prefix of a *known* vendor (`openai/`), and a table of names. All
//! else keeps names apart: sizes, dates, `-vl`, `-thinking`, and prefixes that nobody knows (they may be fine-tunes).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::data::{read_all, unless};
use crate::{model::limit::fits, provider::DataFault};

const EMBEDDED: (&str, &str) = ("identities.json", include_str!("data/identities.json"));

/// What a model is, whatever a provider calls it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(String);

impl Identity {
    /// The identity of this text, as the table or a saved pin has it.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_ascii_lowercase())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// One model, the same each day.
    Model,
    /// Whatever the provider takes for the newest (`-latest`): the same at one provider alone.
    Moving,
    /// A choice that the provider makes for each call: no model, so it has no benchmark.
    Router,
}

/// A name's identity, and what the name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The identity.
    pub identity: Identity,
    /// What the name stands for.
    pub kind: NameKind,
}

/// A file of names; all fields may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Prefixes of vendors before `/` that say nothing about the model.
    prefixes: Vec<String>,
    /// Suffixes that say nothing about the model.
    suffixes: Vec<String>,
    /// Models with several names. A later file's names of a model replace those of an earlier one.
    models: Vec<Names>,
    /// Names that are models of their own, whatever the steps above would make of them.
    apart: Vec<String>,
    /// Names in which `*` stands for anything: what they stand for changes.
    moving: Vec<String>,
    /// Names, likewise: the provider chooses a model for each call.
    routers: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    /// The model's identity.
    id: String,
    /// Its other names, without prefixes and suffixes of the lists above.
    names: Vec<String>,
}

/// A name that an operator has joined to a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnName {
    /// The name, as the provider has it.
    pub name: String,
    /// Only at this provider (its id); `None`: at any.
    pub provider: Option<String>,
    /// The model.
    pub identity: Identity,
}

/// Whether a text can be the name or the identity of a model: it has 1 to 200 bytes and no blanks.
pub fn is_model_name(text: &str) -> bool {
    is_name(text)
}

/// The table of names.
#[derive(Debug, Clone)]
pub struct Identities {
    prefixes: BTreeSet<String>,
    suffixes: Vec<String>,
    names: BTreeMap<String, Identity>,
    apart: BTreeSet<String>,
    moving: Vec<String>,
    routers: Vec<String>,
    /// What operators have joined: by name in lower case, then by provider, of which an empty one is any.
    own: BTreeMap<String, BTreeMap<String, Identity>>,
}

impl Identities {
    /// The embedded table.
    ///
    /// # Panics
    ///
    /// If the embedded table is malformed, which a test rules out.
    pub fn embedded() -> Self {
        match Self::with_overrides(&[]) {
            Ok(table) => table,
            Err(faults) => panic!("the embedded table of names is malformed: {}", faults[0]),
        }
    }

    /// The embedded table with files (name and text) over it, in their order: they add to every list, and replace the
    /// names of a model. If any file is malformed, every fault is reported and there is no table: keep the one that you
    /// have.
    pub fn with_overrides(files: &[(String, String)]) -> Result<Self, Vec<DataFault>> {
        let read = read_all::<File>(EMBEDDED, files)?;
        let mut faults = Vec::new();
        let mut table = Self {
            prefixes: BTreeSet::new(),
            suffixes: Vec::new(),
            names: BTreeMap::new(),
            apart: BTreeSet::new(),
            moving: Vec::new(),
            routers: Vec::new(),
            own: BTreeMap::new(),
        };
        for (name, file) in &read {
            check(name, file, &mut faults);
            table.prefixes.extend(file.prefixes.iter().map(|prefix| lower(prefix)));
            table.suffixes.extend(file.suffixes.iter().map(|suffix| lower(suffix)));
            table.apart.extend(file.apart.iter().map(|name| lower(name)));
            table.moving.extend(file.moving.iter().map(|pattern| lower(pattern)));
            table.routers.extend(file.routers.iter().map(|pattern| lower(pattern)));
        }
        for (file_name, file) in &read {
            for (place, model) in file.models.iter().enumerate() {
                let identity = Identity(lower(&model.id));
                table.names.retain(|_, other| *other != identity);
                for (index, name) in model.names.iter().enumerate() {
                    let other = table.names.insert(table.bare(&lower(name)).to_owned(), identity.clone());
                    let place = format!("models[{place}].names[{index}]");
                    let alone = other.is_none_or(|other| other == identity);
                    unless(alone, file_name, place, &mut faults, "another model has this name already");
                }
            }
        }
        if faults.is_empty() { Ok(table) } else { Err(faults) }
    }

    /// The same with names that operators have joined: they count before all else, those of one provider first. A name
    /// counts as it is written, and also without the prefixes and suffixes that say nothing.
    #[must_use]
    pub fn with_own(mut self, names: &[OwnName]) -> Self {
        self.own.clear();
        for OwnName { name, provider, identity } in names {
            let of_name = self.own.entry(lower(name)).or_default();
            of_name.insert(provider.clone().unwrap_or_default(), identity.clone());
        }
        self
    }

    fn joined(&self, provider: &str, name: &str) -> Option<&Identity> {
        let of_name = self.own.get(name)?;
        of_name.get(provider).or_else(|| of_name.get(""))
    }

    /// What a provider's name for a model stands for.
    pub fn identify(&self, provider: &str, name: &str) -> Identified {
        let whole = lower(name);
        let bare = self.bare(&whole);
        let joined = self.joined(provider, &whole).or_else(|| self.joined(provider, bare));
        if let Some(identity) = joined {
            return Identified { identity: identity.clone(), kind: NameKind::Model };
        }
        let of = |identity: &str, kind| Identified { identity: Identity(identity.to_owned()), kind };
        if self.apart.contains(&whole) {
            return of(&whole, NameKind::Model);
        }
        let is = |patterns: &[String], name: &str| patterns.iter().any(|pattern| fits(pattern, name));
        if is(&self.routers, &whole) {
            return of(&whole, NameKind::Router);
        }
        if let Some(identity) = self.names.get(bare) {
            return Identified { identity: identity.clone(), kind: NameKind::Model };
        }
        if is(&self.moving, bare) {
            return of(&format!("{bare}@{provider}"), NameKind::Moving);
        }
        of(bare, NameKind::Model)
    }

    /// The names of the table, in lower case and in their order, each with the model that it stands for; without those that
    /// operators have joined.
    pub fn names(&self) -> impl Iterator<Item = (&str, &Identity)> {
        self.names.iter().map(|(name, identity)| (name.as_str(), identity))
    }

    /// A name in lower case without the prefixes and suffixes that say nothing about the model.
    fn bare<'a>(&self, name: &'a str) -> &'a str {
        let mut bare = name;
        while let Some(rest) = self
            .suffixes
            .iter()
            .find_map(|suffix| bare.strip_suffix(suffix.as_str()).filter(|rest| !rest.is_empty()))
        {
            bare = rest;
        }
        while let Some((prefix, rest)) = bare.split_once('/')
            && self.prefixes.contains(prefix)
            && !rest.is_empty()
        {
            bare = rest;
        }
        bare
    }
}

fn lower(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

fn check(name: &str, file: &File, faults: &mut Vec<DataFault>) {
    let lists = [
        ("prefixes", &file.prefixes),
        ("suffixes", &file.suffixes),
        ("apart", &file.apart),
        ("moving", &file.moving),
        ("routers", &file.routers),
    ];
    for (field, list) in lists {
        for (place, text) in list.iter().enumerate() {
            let at = || format!("{field}[{place}]");
            unless(is_name(text), name, at(), faults, "a name has 1 to 200 characters, and no blanks");
            let slash = field != "prefixes" || !text.contains('/');
            unless(slash, name, at(), faults, "write a prefix without `/`");
            let mark = field != "suffixes" || text.starts_with([':', '@']);
            unless(
                mark,
                name,
                at(),
                faults,
                "a suffix begins with `:` or `@`: anything else may be part of a model's name",
            );
            let any = text.trim_matches('*').is_empty() && !text.is_empty();
            unless(!any, name, at(), faults, "this stands for every model");
        }
    }
    for (place, model) in file.models.iter().enumerate() {
        unless(
            is_name(&model.id),
            name,
            format!("models[{place}].id"),
            faults,
            "a name has 1 to 200 characters, and no blanks",
        );
        for (index, other) in model.names.iter().enumerate() {
            let at = format!("models[{place}].names[{index}]");
            unless(is_name(other), name, at, faults, "a name has 1 to 200 characters, and no blanks");
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.contains(char::is_whitespace)
}
