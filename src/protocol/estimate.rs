//! How many tokens a text is worth, when the upstream does not say.
//!
//! English text is about four characters per token (OpenAI, "What are tokens and how to count them",
//! <https://help.openai.com/en/articles/4936856>); a Chinese character is 0.6 tokens at DeepSeek
//! (<https://api-docs.deepseek.com/quick_start/token_usage>) and about one with older vocabularies. The estimate is for
//! reservations and for calls without a usage block, so it leans to the high side: one token per CJK character, half a
//! token per character of two bytes (Cyrillic, Greek, Arabic), two per character of four bytes (emoji).

/// Twelfths of a token that a byte is worth: the first byte of a character stands for all of it.
const TWELFTHS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte {
            0x00..=0x7F => 3,
            0xC0..=0xDF => 6,
            0xE0..=0xEF => 12,
            0xF0..=0xFF => 24,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// Adds up what pieces of text are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextMeter {
    twelfths: u64,
}

impl TextMeter {
    /// Adds UTF-8 text; other bytes are tolerated.
    pub fn add_text(&mut self, text: &[u8]) {
        self.twelfths += text.iter().map(|byte| u64::from(TWELFTHS[usize::from(*byte)])).sum::<u64>();
    }

    /// Adds the inside of a JSON string as it is written, with or without its quotes: an escape counts as the
    /// character that it stands for.
    pub fn add_json(&mut self, mut raw: &[u8]) {
        while let Some(at) = memchr::memchr(b'\\', raw) {
            self.add_text(&raw[..at]);
            let (length, worth) = escape(&raw[at..]);
            self.twelfths += worth;
            raw = &raw[at + length..];
        }
        self.add_text(raw);
    }

    /// Adds a string that [`read_string`] read.
    pub(super) fn add_string(&mut self, string: JsonString) {
        self.twelfths += string.twelfths;
    }

    /// Adds whole tokens.
    pub fn add_tokens(&mut self, tokens: u64) {
        self.twelfths = self.twelfths.saturating_add(tokens.saturating_mul(12));
    }

    /// The tokens so far, rounded up.
    pub fn tokens(&self) -> u64 {
        self.twelfths.div_ceil(12)
    }
}

/// The length of the JSON escape at the start of `raw`, and what its character is worth.
fn escape(raw: &[u8]) -> (usize, u64) {
    let length = if raw.get(1) == Some(&b'u') { 6 } else { 2 }.min(raw.len());
    let code = (length == 6).then(|| std::str::from_utf8(&raw[2..6]).ok()).flatten();
    let worth = match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        Some(0x80..=0x7FF) => 6,
        Some(0x800..) => 12,
        Some(_) | None => 3,
    };
    (length, worth)
}

/// Where a JSON string ends, and what it is worth.
#[derive(Clone, Copy)]
pub(super) struct JsonString {
    /// The index after its closing quote.
    pub end: usize,
    twelfths: u64,
}

/// Reads a string of valid JSON, from the index after its opening quote: finds its end and measures it in one pass, since
/// prompts have hundreds of kilobytes.
pub(super) fn read_string(json: &[u8], mut at: usize) -> JsonString {
    let mut twelfths = 0;
    loop {
        let plain = ascii_run(json, at);
        twelfths += 3 * plain as u64;
        at += plain;
        match json.get(at) {
            None => return JsonString { end: json.len(), twelfths },
            Some(b'"') => return JsonString { end: at + 1, twelfths },
            Some(b'\\') => {
                let (length, worth) = escape(&json[at..]);
                twelfths += worth;
                at += length;
            }
            Some(_) => {
                while let Some(byte) = json.get(at).filter(|byte| !byte.is_ascii()) {
                    twelfths += u64::from(TWELFTHS[usize::from(*byte)]);
                    at += 1;
                }
            }
        }
    }
}

/// How many bytes from `from` on are ASCII and neither a quote nor a backslash.
fn ascii_run(json: &[u8], from: usize) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // Marks each byte that is equal; above the lowest mark there may be wrong ones.
    let equal = |word: u64, byte: u8| {
        let zero_if_equal = word ^ (ONES * u64::from(byte));
        zero_if_equal.wrapping_sub(ONES) & !zero_if_equal & HIGH
    };
    let mut rest = &json[from.min(json.len())..];
    let mut run = 0;
    while let Some((word, later)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        let ends = equal(word, b'"') | equal(word, b'\\') | (word & HIGH);
        if ends != 0 {
            return run + ends.trailing_zeros() as usize / 8;
        }
        run += 8;
        rest = later;
    }
    let plain = |byte: &&u8| byte.is_ascii() && !matches!(byte, b'"' | b'\\');
    run + rest.iter().take_while(plain).count()
}

/// What a text is worth in tokens, rounded up.
pub fn text_tokens(text: &str) -> u64 {
    let mut meter = TextMeter::default();
    meter.add_text(text.as_bytes());
    meter.tokens()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_ascii_bytes_or_one_chinese_character_are_a_token() {
        assert_eq!(text_tokens(""), 0);
        assert_eq!(text_tokens("a"), 1);
        assert_eq!(text_tokens("abcdefgh"), 2);
        assert_eq!(text_tokens("你好世界"), 4);
        assert_eq!(text_tokens("приветик"), 4);
        assert_eq!(text_tokens("🦀"), 2);
    }

    #[test]
    fn an_escaped_text_is_worth_as_much_as_a_plain_one() {
        let mut escaped = TextMeter::default();
        escaped.add_json(br"\u4f60\u597d\ud83e\udd80\n\n\n\n");
        let mut plain = TextMeter::default();
        plain.add_json("你好🦀\n\n\n\n".as_bytes());
        assert_eq!(escaped.tokens(), 5);
        assert_eq!(escaped, plain);
    }

    #[test]
    fn a_string_ends_and_is_worth_the_same_wherever_its_special_characters_stand() {
        for special in ["\\\"", "\\\\", "\\u4f60", "\\n", "你", "é", "🦀", ""] {
            for before in 0..20 {
                for after in 0..20 {
                    let inside = format!("{}{special}{}", "a".repeat(before), "b".repeat(after));
                    let read = read_string(format!("\"{inside}\", \"next\"").as_bytes(), 1);
                    let (mut measured, mut expected) = (TextMeter::default(), TextMeter::default());
                    measured.add_string(read);
                    expected.add_json(inside.as_bytes());
                    assert_eq!((read.end, measured), (inside.len() + 2, expected), "{inside}");
                }
            }
        }
        assert_eq!(read_string(b"\"open", 1).end, 5);
    }

    #[test]
    fn a_broken_escape_is_counted_without_a_panic() {
        for raw in [&br"\"[..], br"\u", br"\u12", br"\uzzzz", b"\\u\xff\xff\xff\xff"] {
            TextMeter::default().add_json(raw);
        }
    }
}
