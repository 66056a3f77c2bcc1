//! Names of models that look like one that nobody has: what to propose to somebody who mistyped it.

use std::collections::BTreeMap;

/// At least so much of two names must be alike, in per mille.
const ALIKE: usize = 400;

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
    use super::near;

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
}
