//! ServerChan (Server酱): `POST https://sctapi.ftqq.com/<SendKey>.send`, and of the newer keys, which begin with `sctp<number>t`,
//! `POST https://<number>.push.ft07.com/send/<SendKey>.send`.
//!
//! Source: <https://sct.ftqq.com/sendkey> and <https://doc.sc3.ft07.com/serverchan3/server/api> (`title`, `desp` in Markdown; an
//! answer has `code` 0, or another one and `message`). A title has at most 32 characters, a text 32 KB.

use serde_json::{Value, json};

use super::{Draft, Verdict, coded, cut};

/// The longest title, in characters.
const MOST_TITLE: usize = 32;
/// The longest text, in bytes.
const MOST_BYTES: usize = 30_000;

/// The number in a newer key.
fn number(key: &str) -> Option<&str> {
    let (number, _) = key.strip_prefix("sctp")?.split_once('t')?;
    (!number.is_empty() && number.len() <= 20 && number.chars().all(|char| char.is_ascii_digit()))
        .then_some(number)
}

/// The server that a key belongs to.
pub fn server(key: &str) -> String {
    match number(key) {
        Some(number) => format!("https://{number}.push.ft07.com"),
        None => "https://sctapi.ftqq.com".to_owned(),
    }
}

/// The address that takes the messages of a key.
pub fn address(server: &str, key: &str) -> String {
    let folder = if number(key).is_some() { "/send" } else { "" };
    format!("{}{folder}/{key}.send", server.trim_end_matches('/'))
}

/// The body.
pub fn body(draft: Draft<'_>) -> Value {
    // Markdown: each line is its own paragraph, and nothing in a name is a mark.
    let lines: Vec<String> = draft.text.lines().map(escaped).collect();
    json!({
        "title": cut(draft.title, MOST_TITLE, |_| 1),
        "desp": cut(&lines.join("\n\n"), MOST_BYTES, char::len_utf8),
    })
}

fn escaped(line: &str) -> String {
    let mut text = String::new();
    for char in line.chars() {
        if matches!(char, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~') {
            text.push('\\');
        }
        text.push(char);
    }
    text
}

/// What an answer means.
pub fn verdict(status: u16, body: &[u8]) -> Verdict {
    coded(status, body, ("code", "message"), 0, &[])
}

/// Whether this can be a SendKey.
pub fn is_key(text: &str) -> bool {
    (10..=200).contains(&text.len()) && text.chars().all(|char| char.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_key_has_its_own_address() {
        let old = "SCT1234abcdefgh";
        assert_eq!(address(&server(old), old), "https://sctapi.ftqq.com/SCT1234abcdefgh.send");
        let new = "sctp42tabcdefgh";
        assert_eq!(address(&server(new), new), "https://42.push.ft07.com/send/sctp42tabcdefgh.send");
        let odd = "sctpxtabcdefgh";
        assert_eq!(
            server(odd),
            "https://sctapi.ftqq.com",
            "no part of a key becomes a host unless it is a number"
        );
    }

    #[test]
    fn a_name_is_no_mark_of_markdown() {
        let draft = Draft {
            title: "t",
            text: "a\n[x](http://y) <b>",
            severity: crate::model::notice::Severity::Info,
        };
        assert_eq!(body(draft)["desp"], "a\n\n\\[x\\](http://y) \\<b\\>");
    }
}
