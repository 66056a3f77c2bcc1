//! Taking credentials out of text that an upstream wrote.

use crate::model::secret::Secret;

/// What stands for a credential.
const MASK: &str = "[masked]";

/// What stands for an address.
const LINK: &str = "[link]";

/// How vendors' keys begin, and how many characters must follow.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-", 6),
    ("sk_", 6),
    ("nvapi-", 4),
    ("aiza", 16),
    ("gsk_", 4),
    ("hf_", 12),
    ("ms-", 20),
    ("csk-", 6),
    ("xai-", 8),
    ("r8_", 8),
    ("fw_", 8),
    ("tgp_", 8),
    ("pplx-", 8),
    ("ghp_", 8),
    ("github_pat_", 8),
    ("glpat-", 8),
    ("ya29.", 8),
];

/// What announces a credential, in lower case.
const ANNOUNCEMENTS: &[&str] = &[
    "bearer ",
    "basic ",
    "api_key=",
    "api-key=",
    "apikey=",
    "?key=",
    "&key=",
    "token=",
    "api_key: ",
    "api-key: ",
    "apikey: ",
    "key provided: ",
];

/// Masks exact secrets (of four characters or more), then whatever looks like a credential.
pub fn mask_secrets(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if secret.expose().len() >= 4 && text.contains(secret.expose()) {
            text = text.replace(secret.expose(), MASK);
        }
    }
    masked(&text)
}

/// Masks whatever looks like a credential: known prefixes, what follows `Bearer` or `api_key=`, and long runs that mix
/// letters and digits. Errs on the side of masking; model names survive.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|char| !in_run(char)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        if !run.is_empty() {
            out.push_str(if announced(&out, run) || looks_secret(run) { MASK } else { run });
        }
        let next = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    out
}

/// Replaces web addresses.
pub(super) fn without_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest[..at].bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
        let ends = |char: char| {
            char.is_whitespace()
                || matches!(char, '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}' | '，' | '。')
        };
        let length = rest[at..].find(ends).unwrap_or(rest.len() - at);
        out.push_str(&rest[..at - scheme]);
        out.push_str(LINK);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// Characters of keys, of their base64 and of their already starred forms.
fn in_run(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '*' | '+' | '/' | '=' | '.' | '~' | '…')
}

fn announced(before: &str, run: &str) -> bool {
    if run.len() < 6 {
        return false;
    }
    // `=` belongs to a run, so `api_key=x` is one; the announcement is then inside.
    let inside = run.to_ascii_lowercase();
    let tail: String = before.chars().rev().take(16).collect::<Vec<_>>().into_iter().rev().collect();
    let whole = format!("{}{inside}", tail.to_ascii_lowercase());
    ANNOUNCEMENTS.iter().any(|words| match words.strip_suffix('=') {
        Some(_) => whole.contains(words),
        None => whole[..whole.len() - inside.len()].ends_with(words),
    })
}

fn looks_secret(run: &str) -> bool {
    run.split(['/', '+', '=']).any(|word| {
        let lower = word.to_ascii_lowercase();
        PREFIXES
            .iter()
            .any(|(prefix, least)| lower.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least))
            || word.split(['-', '_', '.']).any(is_random)
            || is_uuid(word)
    })
}

/// Sixteen characters or more, letters and digits mixed.
fn is_random(part: &str) -> bool {
    part.len() >= 16
        && part.bytes().any(|byte| byte.is_ascii_digit())
        && part.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Some vendors' keys are UUIDs.
fn is_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_of_every_vendor_are_masked() {
        for secret in [
            "sk-abcdef123456",
            "sk-or-v1-0123456789abcdef0123456789abcdef",
            "sk-1234****************wxyz",
            "sk-proj…wxyz",
            "nvapi-AbC_def-123",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "gsk_abcdefgh1234",
            "hf_abcdefghijklmnop",
            "ms-01234567-89ab-cdef-0123-456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
            "d2hhdCBpcyB0aGlzIHNlY3JldD8/Zm9vYmFyMTIz+w==",
            "0123456789abcdef0123456789abcdef.AbCdEf",
        ] {
            for text in [
                format!("Incorrect API key provided: {secret}. See"),
                format!("key '{secret}'"),
                secret.to_owned(),
            ] {
                let out = masked(&text);
                assert!(!out.contains(&secret[..6]) && out.contains(MASK), "{text} -> {out}");
            }
        }
        for text in [
            "Authorization: Bearer abcdef",
            "?api_key=abcdef",
            "https://x/v1?key=abcdef&x=1",
            "Basic dXNlcjpwYXNz",
        ] {
            let out = masked(text);
            assert!(!out.contains("abcdef") && !out.contains("dXNl"), "{text} -> {out}");
        }
    }

    #[test]
    fn model_names_and_sentences_survive() {
        for text in [
            "meta-llama/Llama-3.3-70B-Instruct:free is temporarily rate-limited upstream.",
            "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B",
            "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "cross-encoder/ms-marco-MiniLM-L-6-v2",
            "Limit 8000, Used 6644, Requested 2931. Please try again in 11.8125s.",
            "This model's maximum context length is 131072 tokens.",
            "您的余额不足，请充值",
            "bearer token missing",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn an_exact_secret_is_masked_even_when_it_looks_like_a_word() {
        let secret = Secret::new("correct horse");
        assert_eq!(mask_secrets("bad key correct horse!", &[&secret]), "bad key [masked]!");
    }

    #[test]
    fn links_are_replaced_up_to_their_end() {
        assert_eq!(without_links("see https://x.y/z?k=1 (http://a) now"), "see [link] ([link]) now");
        assert_eq!(without_links("://"), "[link]");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,120}") {
            masked(&text);
            without_links(&text);
        }

        #[test]
        fn an_exact_secret_never_survives(before in "[a-z =:/é]{0,12}", secret in "[a-zA-Z0-9 _-]{4,24}", after in "[a-z .]{0,12}") {
            let text = format!("{before}{secret}{after}");
            let out = mask_secrets(&text, &[&Secret::new(secret.clone())]);
            prop_assert!(!out.contains(&secret) || MASK.contains(&secret), "{}", out);
        }
    }
}
