//! Phrases and numbers in sentences that vendors wrote.

/// A text without what stands between its first and its last quotation mark, blanks joined: what a request put into an
/// error must not decide what it means, even if it holds quotation marks itself. An apostrophe inside a word opens
/// nothing.
pub fn without_quotes(text: &str) -> String {
    let is_quote = |char: char| matches!(char, '"' | '`' | '\'' | '“' | '”' | '‘' | '’' | '「' | '」');
    let mut before = ' ';
    let opening = text.char_indices().find(|(_, char)| {
        let opens = is_quote(*char) && !(before.is_alphanumeric() && matches!(char, '\'' | '’'));
        before = *char;
        opens
    });
    let joined = |parts: [&str; 2]| {
        parts.iter().flat_map(|part| part.split_whitespace()).collect::<Vec<_>>().join(" ")
    };
    match (opening, text.rfind(is_quote)) {
        (Some((first, quote)), Some(last)) => {
            let end = last + text[last..].chars().next().map_or(0, char::len_utf8);
            // A quotation that never ends: nothing after it is trusted.
            if last == first {
                joined([&text[..first], ""])
            } else {
                joined([&text[..first], &text[end.max(first + quote.len_utf8())..]])
            }
        }
        _ => joined([text, ""]),
    }
}

/// What follows each occurrence of a phrase (at most eight); both in lower case.
pub(super) fn after<'a>(text: &'a str, phrase: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(phrase).take(8).map(move |(at, _)| &text[at + phrase.len()..])
}

/// The whole number that a text begins with: digits, thousands set off by commas or underscores.
pub(super) fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end =
        text.find(|char: char| !(char.is_ascii_digit() || matches!(char, ',' | '_'))).unwrap_or(text.len());
    let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A count as headers and fields write it: `1000`, `49.0`. `None` for what is negative or no number.
pub(super) fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // The cast saturates; fractions are cut off, which is less.
        (number.is_finite() && number >= 0.0).then_some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_their_thousands() {
        assert_eq!(leading_number(" 10,000 neurons"), Some(10_000));
        assert_eq!(leading_number("8000, Used 6644"), Some(8000));
        assert_eq!(leading_number("many"), None);
        assert_eq!(leading_number("99999999999999999999999"), None);
        assert_eq!(
            [count("40"), count(" 49.9 "), count("-1"), count("NaN"), count("")],
            [Some(40), Some(49), None, None, None]
        );
    }
}
