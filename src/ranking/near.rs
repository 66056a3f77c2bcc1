//! The model that somebody means by a name, and names to propose to somebody who mistyped one.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::{Identities, Identity};

/// The most names that are proposed.
const MOST_PROPOSED: usize = 5;

/// At least so much of two names must be alike, in per mille.
const ALIKE: usize = 400;

/// The model that `name` means among offers (provider and upstream's name): an upstream's name, an identity, or any name that the
/// table joins to one; letter case does not matter. Else names to propose: those of the models that it could mean, or the likest.
pub fn model_named<'a>(
    name: &str,
    offers: impl IntoIterator<Item = (&'a str, &'a str), IntoIter: Clone>,
    identities: &Identities,
) -> Result<Identity, Vec<String>> {
    let wanted = name.trim().to_lowercase();
    let itself = identities.identify("", &wanted).identity;
    let offers = offers.into_iter();
    let (mut by_name, mut by_identity) = (BTreeSet::new(), None);
    for (provider, model) in offers.clone() {
        let identity = identities.identify(provider, model).identity;
        let is_named = model.eq_ignore_ascii_case(&wanted);
        if is_named || !model.is_ascii() && model.to_lowercase() == wanted {
            by_name.insert(identity.clone());
        }
        if identity.as_str() == wanted || identity == itself {
            by_identity = Some(identity);
        }
    }
    if let (Some(one), true) = (by_name.first(), by_name.len() == 1) {
        return Ok(one.clone());
    }
    if let Some(identity) = by_identity {
        return Ok(identity);
    }
    if !by_name.is_empty() {
        return Err(by_name.iter().map(ToString::to_string).take(MOST_PROPOSED).collect());
    }
    let mut known = BTreeSet::new();
    for (provider, model) in offers {
        known.insert(identities.identify(provider, model).identity.as_str().to_owned());
        known.insert(model.to_owned());
    }
    Err(near(name, known.iter().map(String::as_str), MOST_PROPOSED).into_iter().map(str::to_owned).collect())
}

/// The names that are most like `name`, the likest first, at most `most`. Letter case, signs and blanks do not matter; a name that
/// holds the other one whole counts as very much alike.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let wanted = plain(name);
    if wanted.is_empty() {
        return Vec::new();
    }
    let pairs = pairs(&wanted);
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|one| {
            let alike = likeness(&wanted, &pairs, &plain(one));
            (alike >= ALIKE).then_some((alike, one))
        })
        .collect();
    found.sort_by(|(alike, one), (other_alike, other)| other_alike.cmp(alike).then(one.cmp(other)));
    found.dedup_by_key(|(_, one)| *one);
    found.into_iter().take(most).map(|(_, one)| one).collect()
}

/// The letters and digits of a name, in lower case.
fn plain(name: &str) -> Vec<char> {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).take(200).collect()
}

/// How often each pair of neighbours occurs.
fn pairs(letters: &[char]) -> BTreeMap<(char, char), usize> {
    let mut pairs = BTreeMap::new();
    for pair in letters.windows(2) {
        *pairs.entry((pair[0], pair[1])).or_default() += 1;
    }
    pairs
}

/// The share of pairs that two names have in common (Dice's coefficient), in per mille; above 1000 if one holds the other.
fn likeness(wanted: &[char], wanted_pairs: &BTreeMap<(char, char), usize>, other: &[char]) -> usize {
    if other.is_empty() {
        return 0;
    }
    let other_pairs = pairs(other);
    let common: usize = wanted_pairs
        .iter()
        .map(|(pair, count)| other_pairs.get(pair).map_or(0, |others| (*count).min(*others)))
        .sum();
    let all = (wanted.len() + other.len()).saturating_sub(2).max(1);
    let share = 2 * common * 1000 / all;
    let (short, long) = if wanted.len() <= other.len() { (wanted, other) } else { (other, wanted) };
    let whole = short.len() >= 3 && long.windows(short.len()).any(|part| part == short);
    if whole { 1000 + share } else { share }
}

#[cfg(test)]
mod tests {
    use super::{Identities, model_named, near};

    const KNOWN: [&str; 5] =
        ["gpt-oss-120b", "gpt-oss-20b", "llama-3.3-70b-instruct", "qwen3-coder", "glm-4.6"];

    #[test]
    fn a_mistyped_name_brings_what_was_meant_first() {
        assert_eq!(near("gpt-os-120b", KNOWN, 3)[0], "gpt-oss-120b");
        assert_eq!(near("llama3.3 70b", KNOWN, 3), ["llama-3.3-70b-instruct"]);
        assert_eq!(near("GLM 4,6", KNOWN, 3), ["glm-4.6"]);
        assert_eq!(near("coder", KNOWN, 3), ["qwen3-coder"]);
        assert_eq!(near("oss", KNOWN, 1), ["gpt-oss-20b"], "no more than are wanted");
    }

    #[test]
    fn nothing_is_proposed_for_what_is_like_nothing() {
        assert!(near("claude", KNOWN, 3).is_empty());
        assert!(near("", KNOWN, 3).is_empty() && near("//", KNOWN, 3).is_empty());
        assert!(near("x", ["", "-"], 3).is_empty());
    }

    #[test]
    fn a_model_is_found_by_any_name_that_a_provider_has_for_it() {
        let table = Identities::embedded();
        let offers = [
            ("groq", "openai/gpt-oss-120b"),
            ("openrouter", "openai/gpt-oss-120b:free"),
            ("groq", "llama-3.3-70b-versatile"),
            ("mistral", "mistral-large-latest"),
            ("other", "mistral-large-latest"),
        ];
        let found = |name: &str| model_named(name, offers, &table).map(|model| model.to_string());
        for name in ["gpt-oss-120b", "OpenAI/GPT-OSS-120B", "openai/gpt-oss-120b:free", "gpt-oss:120b"] {
            assert_eq!(found(name), Ok("gpt-oss-120b".into()), "{name}");
        }
        assert_eq!(found("llama-3.3-70b-instruct"), Ok("llama-3.3-70b-instruct".into()));
        assert_eq!(found("gpt-oss-12b").unwrap_err()[0], "gpt-oss-120b");
        assert_eq!(
            found("mistral-large-latest").unwrap_err(),
            ["mistral-large-latest@mistral", "mistral-large-latest@other"],
            "one name and two models: which of them is to be said"
        );
        assert_eq!(found("mistral-large-latest@other"), Ok("mistral-large-latest@other".into()));
        assert_eq!(found("claude"), Err(Vec::new()));
    }
}
