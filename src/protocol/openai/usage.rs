//! Token counts, as upstreams report them.

use serde_json::value::RawValue;

use crate::{model::usage::TokenCounts, protocol::json::peek};

/// More tokens than any context has; a report above it is not believed.
const MAX_PLAUSIBLE: u64 = 100_000_000;

peek! {
    /// A usage block: OpenAI's names, DeepSeek's and Moonshot's cache counts, and Anthropic's names.
    UsagePeek {
        prompt_tokens: &'a RawValue = "prompt_tokens",
        completion_tokens: &'a RawValue = "completion_tokens",
        input_tokens: &'a RawValue = "input_tokens",
        output_tokens: &'a RawValue = "output_tokens",
        total_tokens: &'a RawValue = "total_tokens",
        prompt_tokens_details: CachedPeek<'a> = "prompt_tokens_details",
        completion_tokens_details: ReasoningPeek<'a> = "completion_tokens_details",
        prompt_cache_hit_tokens: &'a RawValue = "prompt_cache_hit_tokens",
        cached_tokens: &'a RawValue = "cached_tokens",
        cache_read_input_tokens: &'a RawValue = "cache_read_input_tokens",
    }
}
peek! {
    /// Details of the prompt.
    CachedPeek { cached_tokens: &'a RawValue = "cached_tokens" }
}
peek! {
    /// Details of the completion.
    ReasoningPeek { reasoning_tokens: &'a RawValue = "reasoning_tokens" }
}

/// Reads a usage block. `None` if it is null or no object, holds a negative or absurd number, or is all zero, which
/// some upstreams send as a placeholder.
pub(super) fn read(raw: &RawValue) -> Option<TokenCounts> {
    if !raw.get().starts_with('{') {
        return None;
    }
    let peek: UsagePeek<'_> = serde_json::from_str(raw.get()).ok()?;
    let given = count(peek.prompt_tokens)?;
    // Anthropic does not include cached tokens in `input_tokens`; OpenAI's `prompt_tokens` has them.
    let read_from_cache = count(peek.cache_read_input_tokens)?;
    let mut prompt = match (given, count(peek.input_tokens)?) {
        (Some(prompt), _) => prompt,
        (None, Some(input)) => input + read_from_cache.unwrap_or(0),
        (None, None) => 0,
    };
    let mut completion = count(peek.completion_tokens)?.or(count(peek.output_tokens)?).unwrap_or(0);
    let reasoning =
        count(peek.completion_tokens_details.and_then(|details| details.reasoning_tokens))?.unwrap_or(0);
    if let Some(total) = count(peek.total_tokens)? {
        // Gemini leaves out `completion_tokens`, or its reasoning; the total has it.
        if prompt == 0 && completion == 0 {
            prompt = total;
        } else {
            completion = completion.max(total.saturating_sub(prompt));
        }
    }
    if reasoning > completion {
        completion += reasoning;
    }
    let cached = [
        peek.prompt_tokens_details.and_then(|details| details.cached_tokens),
        peek.prompt_cache_hit_tokens,
        peek.cached_tokens,
    ];
    let [openai, deepseek, moonshot] = cached.map(count);
    let cached = openai?.or(deepseek?).or(moonshot?).or(read_from_cache).unwrap_or(0).min(prompt);
    let counts = TokenCounts { prompt, completion, cached, reasoning };
    (counts.total() > 0 && counts.total() <= MAX_PLAUSIBLE).then_some(counts)
}

/// A count: `Some(None)` if it is not given, `None` if it cannot be believed.
fn count(raw: Option<&RawValue>) -> Option<Option<u64>> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else {
        return Some(None);
    };
    let number: f64 = text.parse().ok()?;
    (0.0..=MAX_PLAUSIBLE as f64).contains(&number).then_some(Some(number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Option<(u64, u64, u64, u64)> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(raw).map(|counts| (counts.prompt, counts.completion, counts.cached, counts.reasoning))
    }

    #[test]
    fn every_vendors_names_are_read() {
        for (json, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},
                    "completion_tokens_details":{"reasoning_tokens":3}}"#,
                (10, 5, 4, 3),
            ),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8}"#, (10, 5, 8, 0)),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":8,"prompt_tokens_details":null}"#,
                (10, 5, 8, 0),
            ),
            (r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":90}"#, (100, 5, 90, 0)),
            (r#"{"prompt_tokens":10,"total_tokens":30}"#, (10, 20, 0, 0)),
            (r#"{"prompt_tokens":10.0,"completion_tokens":5.0}"#, (10, 5, 0, 0)),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115}"#, (10, 105, 0, 0)),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":50}}"#,
                (10, 55, 0, 50),
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":99}}"#,
                (10, 5, 10, 0),
            ),
        ] {
            assert_eq!(counts(json), Some(expected), "{json}");
        }
    }

    #[test]
    fn negative_absurd_and_empty_usage_is_ignored() {
        for json in [
            "null",
            "[]",
            "{}",
            "7",
            r#"{"prompt_tokens":-1,"completion_tokens":5}"#,
            r#"{"prompt_tokens":10,"completion_tokens":1e18}"#,
            r#"{"prompt_tokens":"10","completion_tokens":5}"#,
            r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
        ] {
            assert_eq!(counts(json), None, "{json}");
        }
    }
}
