//! Keys: upstream credentials.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId},
    limit::Limit,
    secret::Secret,
    time::UnixMs,
    token::Quota,
};

/// One upstream credential of a channel, with its secret: what the relay works with.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The channel that it belongs to.
    pub channel_id: ChannelId,
    /// The operator's name for it; may be empty.
    pub label: String,
    /// The last four characters, for pages and logs.
    pub last4: String,
    /// The account, organisation or project whose quota it spends. Keys of one account share a group;
    /// `None` means that the key has a quota of its own.
    pub quota_group: Option<String>,
    /// Off means: takes no calls.
    pub enabled: bool,
    /// The credential.
    pub secret: Secret,
    /// What the operator says of this key alone; of the same kind as one of the channel's, it counts in its place.
    pub limits: Vec<Limit>,
    /// How much its calls may spend.
    pub budget: Option<Quota>,
}

/// What the last test of a key found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCheck {
    /// When it ran.
    pub at: UnixMs,
    /// One step each for what was tried: the model list, the provider's word on the key, a chat completion, a streamed
    /// one.
    pub steps: Vec<CheckStep>,
    /// What they prove.
    #[serde(default)]
    pub verdict: KeyVerdict,
    /// The model that was chatted with last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The account that the provider says the key belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
}

/// What is proved about a key. A list of models proves nothing: many are public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyVerdict {
    /// A call with it was answered.
    Callable,
    /// The provider knows it; no call was answered.
    Known,
    /// The provider refuses it.
    Invalid,
    /// Neither: a limit, a model that is gated or gone, or a fault on the way said nothing about the key.
    #[default]
    NotKnown,
}

impl KeyVerdict {
    /// Whether there is no need to ask again soon.
    pub fn is_proof(self) -> bool {
        self != Self::NotKnown
    }
}

impl KeyCheck {
    /// Whether every step that ran passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.ok)
    }
}

/// One step of a key's test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// What was tried.
    pub kind: CheckKind,
    /// Whether the upstream did what was asked.
    pub ok: bool,
    /// The upstream's HTTP status, if it answered.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The upstream's exact text (at most 4 KiB, secrets masked), or what went wrong on the way to it.
    pub text: String,
    /// What the outcome was taken for; its `as_str` picks the advice that a page shows.
    pub class: Option<super::usage::OutcomeClass>,
}

/// What a step of a key's test tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// The list of models.
    List,
    /// The provider's endpoint that tells about a key.
    Key,
    /// A small chat completion.
    Chat,
    /// The same, streamed.
    Stream,
}

/// A key on its way into a channel.
#[derive(Debug, Clone)]
pub struct PastedKey {
    /// The operator's name for it; may be empty.
    pub label: String,
    /// The credential.
    pub secret: Secret,
    /// Whose quota it spends.
    pub quota_group: Option<String>,
    /// What it may do by itself.
    pub limits: Vec<Limit>,
    /// How much its calls may spend.
    pub budget: Option<Quota>,
}

/// The most keys that one paste may hold.
pub const MAX_PASTED_KEYS: usize = 10_000;
const SECRET_LENGTHS: std::ops::RangeInclusive<usize> = 4..=1000;
const MAX_LABEL_CHARS: usize = 100;

/// One key that was found in a pasted text, or what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastedLine {
    /// The line that it stands in, from 1.
    pub line: usize,
    /// A name for it, from the variable or the label in front of it; may be empty.
    pub label: String,
    /// The key. A refused one is not repeated, because it may be a mistyped secret.
    pub key: Result<Secret, PasteProblem>,
}

/// Why a piece of a pasted text is not taken for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasteProblem {
    /// Fewer than 4 characters.
    TooShort,
    /// More than 1000 characters.
    TooLong,
    /// It holds characters that cannot stand in an HTTP header.
    NotAscii,
    /// A variable without a value.
    NoValue,
    /// The text holds more than [`MAX_PASTED_KEYS`]; this one and what follows was not looked at.
    TooMany,
}

/// Finds the keys in a pasted text.
///
/// Keys may be separated by line ends, white space, commas and semicolons, and may be quoted. A line `NAME=key` (a
/// `.env` file, with or without `export`), `label: key` or `"label": "key"` gives the key a label; several keys behind
/// one label are numbered. Lines that begin with `#` or `//`, and what follows ` #`, are comments.
pub fn parse_pasted(text: &str) -> Vec<PastedLine> {
    let mut found = Vec::new();
    // A browser sends \r\n for the end of a line.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    for (line, text) in (1..).zip(text.split(['\n', '\r'])) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') || text.starts_with("//") {
            continue;
        }
        let text = text.find(" #").map_or(text, |comment| &text[..comment]);
        let (label, values) = split_label(text);
        let label = unquoted(label);
        let pieces: Vec<&str> = values.split(is_separator).map(unquoted).filter(is_key_like).collect();
        if pieces.is_empty() && !label.is_empty() {
            found.push(PastedLine { line, label: short(label), key: Err(PasteProblem::NoValue) });
        }
        for (number, piece) in (1..).zip(&pieces) {
            if found.len() >= MAX_PASTED_KEYS {
                found.push(PastedLine { line, label: String::new(), key: Err(PasteProblem::TooMany) });
                return found;
            }
            let label = if pieces.len() > 1 && !label.is_empty() {
                short(&format!("{label} {number}"))
            } else {
                short(label)
            };
            found.push(PastedLine { line, label, key: checked(piece) });
        }
    }
    found
}

/// Splits `NAME=value` and `label: value`; without a label the whole text is the value.
fn split_label(text: &str) -> (&str, &str) {
    let statement = ["export ", "set ", "$env:", "Environment="]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .map_or(text, str::trim_start);
    if let Some((name, value)) = statement.split_once('=') {
        let name = name.trim();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // "c2VjcmV0==" is a key that ends in Base64's padding, "API_KEY=" is a variable that was left empty.
        let padding = value.trim_matches('=').trim().is_empty();
        if is_name && (!padding || !name.contains(|c: char| c.is_ascii_lowercase())) {
            return (name, value);
        }
    }
    // A colon ends a label only before white space or after a quote: keys such as "id:secret" hold one, too.
    let colon = text.char_indices().find(|(at, c)| match c {
        '：' => true,
        ':' => {
            text[at + 1..].is_empty()
                || text[at + 1..].starts_with(char::is_whitespace)
                || text[..*at].ends_with(['"', '\''])
        }
        _ => false,
    });
    match colon {
        Some((at, c)) => (&text[..at], &text[at + c.len_utf8()..]),
        None => ("", text),
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '，' | '；' | '、')
}

fn unquoted(piece: &str) -> &str {
    piece.trim_matches(|c: char| c.is_whitespace() || "\"'`[]{}()“”‘’".contains(c))
}

/// Bullets of lists and the word in front of a credential are not keys.
fn is_key_like(piece: &&str) -> bool {
    !matches!(*piece, "" | "-" | "*" | "•" | "=" | "|") && !piece.eq_ignore_ascii_case("bearer")
}

/// Whether a text can be an upstream's credential: 4 to 1000 visible ASCII characters.
pub fn is_secret(text: &str) -> bool {
    checked(text).is_ok()
}

fn checked(piece: &str) -> Result<Secret, PasteProblem> {
    if !piece.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(PasteProblem::NotAscii)
    } else if piece.len() < *SECRET_LENGTHS.start() {
        Err(PasteProblem::TooShort)
    } else if piece.len() > *SECRET_LENGTHS.end() {
        Err(PasteProblem::TooLong)
    } else {
        Ok(Secret::new(piece))
    }
}

fn short(label: &str) -> String {
    label.chars().filter(|c| !c.is_control()).take(MAX_LABEL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<(String, String)> {
        let lines = parse_pasted(text).into_iter();
        lines
            .map(|line| {
                (line.label, line.key.map_or_else(|problem| format!("{problem:?}"), |s| s.expose().into()))
            })
            .collect()
    }

    fn unlabelled(text: &str) -> Vec<String> {
        keys(text)
            .into_iter()
            .map(|(label, key)| {
                assert_eq!(label, "");
                key
            })
            .collect()
    }

    #[test]
    fn keys_may_be_separated_by_anything_usual() {
        let expected = ["nvapi-aa", "nvapi-bb", "nvapi-cc", "nvapi-dd"];
        for text in [
            "nvapi-aa\nnvapi-bb\r\nnvapi-cc\rnvapi-dd\n\n",
            "nvapi-aa, nvapi-bb;nvapi-cc\tnvapi-dd",
            "nvapi-aa，nvapi-bb；nvapi-cc、nvapi-dd",
            "[\"nvapi-aa\", \"nvapi-bb\",\n 'nvapi-cc', `nvapi-dd`]",
            "\u{feff}- nvapi-aa\n- nvapi-bb\n* nvapi-cc # the old one\n# nvapi-ee\nBearer nvapi-dd\n// nvapi-ff",
        ] {
            assert_eq!(unlabelled(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_counted_as_the_text_area_shows_them() {
        let lines: Vec<usize> =
            parse_pasted("nvapi-aa\r\n\r\nnvapi-bb\r\nnvapi-cc").iter().map(|line| line.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }

    #[test]
    fn a_variable_or_a_label_in_front_of_a_key_becomes_its_label() {
        let pair = |label: &str, key: &str| (label.to_owned(), key.to_owned());
        assert_eq!(
            keys("NVIDIA_API_KEY_1=nvapi-aa\nexport X=\"nvapi-bb\"  # mine\nexport  Y = 'nvapi-cc'"),
            [pair("NVIDIA_API_KEY_1", "nvapi-aa"), pair("X", "nvapi-bb"), pair("Y", "nvapi-cc")]
        );
        assert_eq!(keys("KEYS=nvapi-aa,nvapi-bb"), [pair("KEYS 1", "nvapi-aa"), pair("KEYS 2", "nvapi-bb")]);
        assert_eq!(
            keys("my account: nvapi-aa\n  \"second\":\"nvapi-bb\",\n小号：nvapi-cc"),
            [pair("my account", "nvapi-aa"), pair("second", "nvapi-bb"), pair("小号", "nvapi-cc")]
        );
    }

    #[test]
    fn equals_signs_and_colons_inside_a_key_belong_to_it() {
        assert_eq!(
            unlabelled("c2VjcmV0a2V5==\nc2VjcmV0a2V5=\nid-1:secret-2"),
            ["c2VjcmV0a2V5==", "c2VjcmV0a2V5=", "id-1:secret-2"]
        );
        assert_eq!(keys("API_KEY=c2VjcmV0=="), [("API_KEY".to_owned(), "c2VjcmV0==".to_owned())]);
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_its_line() {
        let long = "k".repeat(1001);
        let lines = parse_pasted(&format!("good-key\nabc\nпароль-key\n{long}\nAPI_KEY="));
        let problems: Vec<_> = lines.iter().map(|line| (line.line, line.key.clone().err())).collect();
        assert_eq!(
            problems,
            [
                (1, None),
                (2, Some(PasteProblem::TooShort)),
                (3, Some(PasteProblem::NotAscii)),
                (4, Some(PasteProblem::TooLong)),
                (5, Some(PasteProblem::NoValue)),
            ]
        );
    }

    #[test]
    fn a_paste_is_bounded() {
        let text: String = (0..MAX_PASTED_KEYS + 5).map(|number| format!("key-{number}\n")).collect();
        let lines = parse_pasted(&text);
        assert_eq!(lines.len(), MAX_PASTED_KEYS + 1);
        assert_eq!(lines.last().unwrap().key, Err(PasteProblem::TooMany));
    }
}
