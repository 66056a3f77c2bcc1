//! What a vendor's requests need otherwise than OpenAI has it.
//!
//! ```json
//! {
//!   "id": "max-tokens", "models": ["*"], "endpoints": ["chat"], "when": {"stream": false},
//!   "fix": {"rename": {"from": "max_completion_tokens", "to": "max_tokens"}},
//!   "off": false, "confidence": "high", "source": "https://..."
//! }
//! ```
//!
//! Rules are carried out in their order. An operator may switch each one on or off per channel, by its id. The generic
//! provider's rules are all off, and may be switched on for a channel of any provider.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    check::is_id,
    data::{Confidence, File},
    load::{GENERIC, Provider},
};
use crate::model::{
    endpoint::Endpoint,
    fix::{Fix, KEPT_FIELDS, Rename, When},
    limit::Models,
};

/// The most rules of a file.
const MAX_RULES: usize = 100;

/// A fix, and which requests it is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixRule {
    /// What operators call it: lower-case letters, digits and hyphens.
    pub id: String,
    /// For which upstream models: names in which `*` stands for anything. All, if absent.
    #[serde(default)]
    pub models: Models,
    /// On which endpoints. Chat, if absent.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// What must hold of the request.
    #[serde(default)]
    pub when: When,
    /// What is done.
    pub fix: Fix,
    /// Whether it waits for an operator to switch it on.
    #[serde(default)]
    pub off: bool,
    /// How sure it is.
    pub confidence: Confidence,
    /// Who says so: a public page.
    pub source: String,
}

impl Provider {
    /// The fixes of a request, in the order in which they are made. `switches` are the operator's: rules by id, and whether
    /// they count.
    pub fn fixes_for<'a>(
        &'a self,
        model: &'a str,
        endpoint: Endpoint,
        stream: bool,
        switches: &'a BTreeMap<String, bool>,
    ) -> impl Iterator<Item = &'a FixRule> {
        // Nobody has switched one of the others on.
        let others = if switches.is_empty() { &[] } else { &self.fixes_of_any[..] };
        self.fixes.iter().chain(others).filter(move |rule| {
            let on = switches.get(&rule.id).copied().unwrap_or(!rule.off);
            let meant = if rule.endpoints.is_empty() {
                endpoint == Endpoint::Chat
            } else {
                rule.endpoints.contains(&endpoint)
            };
            on && meant && rule.when.stream.is_none_or(|meant| meant == stream) && rule.models.fits(model)
        })
    }

    /// All of its rules, then those that any server may need.
    pub fn fixes(&self) -> impl Iterator<Item = &FixRule> {
        self.fixes.iter().chain(self.fixes_of_any.iter())
    }

    /// Whether it has a rule of this id.
    pub fn has_fix(&self, id: &str) -> bool {
        self.fixes().any(|rule| rule.id == id)
    }
}

/// The generic provider's rules for another one: all but those of which it has its own.
pub(super) fn of_any(generic: &[FixRule], own: &[FixRule]) -> Vec<FixRule> {
    generic.iter().filter(|rule| own.iter().all(|known| known.id != rule.id)).cloned().collect()
}

/// What is wrong with the rules of a file: places and messages.
pub(super) fn faults(file: &File) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let rules = file.fixes.as_deref().unwrap_or_default();
    let mut unless = |good: bool, place: String, message: &str| {
        if !good {
            found.push((place, message.to_owned()));
        }
    };
    unless(rules.len() <= MAX_RULES, "fixes".into(), "at most 100 rules are made");
    for (place, rule) in rules.iter().enumerate() {
        let at = format!("fixes[{place}]");
        unless(is_id(&rule.id), format!("{at}.id"), "use 1 to 40 lower-case letters, digits and hyphens");
        let twice = rules[..place].iter().any(|other| other.id == rule.id);
        unless(!twice, format!("{at}.id"), "a rule of this id is there already");
        for (place, pattern) in rule.models.0.iter().enumerate() {
            let good = (1..=200).contains(&pattern.len());
            unless(good, format!("{at}.models[{place}]"), "a pattern has 1 to 200 characters");
        }
        for (name, fields) in [("has", &rule.when.has), ("lacks", &rule.when.lacks)] {
            for (place, field) in fields.iter().enumerate() {
                unless(is_field(field), format!("{at}.when.{name}[{place}]"), NO_FIELD);
            }
        }
        let link = url::Url::parse(&rule.source).is_ok_and(|url| url.scheme() == "https");
        unless(link, format!("{at}.source"), "name a public page: https://...");
        let generic = file.id != GENERIC || rule.off;
        unless(
            generic,
            format!("{at}.off"),
            "rules for any server wait for an operator: write \"off\": true",
        );
        fix(&rule.fix, &format!("{at}.fix"), &mut unless);
    }
    found
}

const NO_FIELD: &str = "write a field's name, such as `max_tokens`";
const KEPT: &str =
    "`model`, `messages`, `input`, `prompt`, `stream`, `tools` and `functions` make the request what it is";

fn fix(fix: &Fix, at: &str, unless: &mut impl FnMut(bool, String, &str)) {
    let mut field = |name: &str, place: String| {
        unless(is_field(name), place.clone(), NO_FIELD);
        unless(!KEPT_FIELDS.contains(&name), place, KEPT);
    };
    match fix {
        Fix::Rename(Rename { from, to }) => {
            field(from, format!("{at}.rename.from"));
            field(to, format!("{at}.rename.to"));
            unless(from != to, format!("{at}.rename"), "both names are the same");
        }
        Fix::Drop(paths) => {
            for (place, path) in paths.iter().enumerate() {
                let place = format!("{at}.drop[{place}]");
                match path.split_once('.') {
                    None => field(path, place),
                    Some(_) if path.split('.').all(is_field) => {}
                    Some(_) => field("", place),
                }
            }
            unless(!paths.is_empty(), format!("{at}.drop"), NO_FIELD);
        }
        Fix::Set(set) => field(&set.field, format!("{at}.set.field")),
        Fix::Replace(replace) => {
            field(&replace.field, format!("{at}.replace.field"));
            unless(replace.from != replace.to, format!("{at}.replace"), "both values are the same");
        }
        Fix::Role(Rename { from, to }) => {
            unless(is_field(from), format!("{at}.role.from"), "write a role, such as `developer`");
            unless(is_field(to), format!("{at}.role.to"), "write a role, such as `system`");
            unless(from != to, format!("{at}.role"), "both roles are the same");
        }
        Fix::DropPrefill | Fix::FillReasoningContent | Fix::CacheControl(_) | Fix::Effort(_) => {}
    }
}

fn is_field(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
