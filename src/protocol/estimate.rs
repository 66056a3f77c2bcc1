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
            let escape = &raw[at..];
            let length = if escape.get(1) == Some(&b'u') { 6 } else { 2 }.min(escape.len());
            let code = (length == 6).then(|| std::str::from_utf8(&escape[2..6]).ok()).flatten();
            self.twelfths += match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
                Some(0x80..=0x7FF) => 6,
                Some(0x800..) => 12,
                Some(_) | None => 3,
            };
            raw = &escape[length..];
        }
        self.add_text(raw);
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
    fn a_broken_escape_is_counted_without_a_panic() {
        for raw in [&br"\"[..], br"\u", br"\u12", br"\uzzzz", b"\\u\xff\xff\xff\xff"] {
            TextMeter::default().add_json(raw);
        }
    }
}
