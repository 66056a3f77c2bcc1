//! Token counts, as upstreams report them.

use serde_json::value::RawValue;

use crate::{
    model::usage::{TokenCounts, believed_micros},
    protocol::json::peek,
};

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
        cost: &'a RawValue = "cost",
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

/// What a usage block of chat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub tokens: TokenCounts,
    /// What the call cost; see [`cost_micros`].
    pub cost_micros: Option<i64>,
}

/// Reads a usage block. `None` if it is null or no object, holds a negative or absurd count, or is all zero, which
/// some upstreams send as a placeholder.
pub(super) fn read(raw: &RawValue) -> Option<Used> {
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
    let tokens = TokenCounts { prompt, completion, cached, reasoning };
    let plausible = tokens.total() > 0 && tokens.total() <= MAX_PLAUSIBLE;
    plausible.then(|| Used { tokens, cost_micros: cost_micros(peek.cost) })
}

/// What the upstream charges for a call, in micro-dollars, if it is a number that can be believed. OpenRouter's `cost` is in
/// credits, which are dollars (<https://openrouter.ai/docs/use-cases/usage-accounting>).
fn cost_micros(raw: Option<&RawValue>) -> Option<i64> {
    raw?.get().parse().ok().and_then(believed_micros)
}

peek! {
    /// A usage block of any other endpoint.
    OtherUsagePeek {
        prompt_tokens: &'a RawValue = "prompt_tokens",
        completion_tokens: &'a RawValue = "completion_tokens",
        input_tokens: &'a RawValue = "input_tokens",
        output_tokens: &'a RawValue = "output_tokens",
        total_tokens: &'a RawValue = "total_tokens",
        prompt_tokens_details: CachedPeek<'a> = "prompt_tokens_details",
        input_tokens_details: CachedPeek<'a> = "input_tokens_details",
        output_tokens_details: ReasoningPeek<'a> = "output_tokens_details",
        cache_read_input_tokens: &'a RawValue = "cache_read_input_tokens",
        cache_creation_input_tokens: &'a RawValue = "cache_creation_input_tokens",
        seconds: &'a RawValue = "seconds",
        search_units: &'a RawValue = "search_units",
        cost: &'a RawValue = "cost",
    }
}

/// What a usage block of another endpoint than chat says, field by field: a stream of Anthropic's spreads it over events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reported {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    /// Part of `input`.
    cached: Option<u64>,
    reasoning: Option<u64>,
    /// Anthropic's: not part of `input`.
    cache_read: Option<u64>,
    cache_written: Option<u64>,
    audio_ms: Option<u64>,
    searches: Option<u64>,
    cost_micros: Option<i64>,
}

impl Reported {
    /// Reads a block. `None` if it is no object, or holds a negative or absurd number.
    pub fn read(raw: &RawValue) -> Option<Self> {
        if !raw.get().starts_with('{') {
            return None;
        }
        let peek: OtherUsagePeek<'_> = serde_json::from_str(raw.get()).ok()?;
        let cached = [
            peek.input_tokens_details.and_then(|details| details.cached_tokens),
            peek.prompt_tokens_details.and_then(|details| details.cached_tokens),
        ];
        let [cached, older] = cached.map(count);
        let seconds = peek.seconds.and_then(|raw| raw.get().parse::<f64>().ok());
        Some(Self {
            input: count(peek.input_tokens)?.or(count(peek.prompt_tokens)?),
            output: count(peek.output_tokens)?.or(count(peek.completion_tokens)?),
            total: count(peek.total_tokens)?,
            cached: cached?.or(older?),
            reasoning: count(peek.output_tokens_details.and_then(|details| details.reasoning_tokens))?,
            cache_read: count(peek.cache_read_input_tokens)?,
            cache_written: count(peek.cache_creation_input_tokens)?,
            audio_ms: seconds.and_then(milliseconds),
            searches: peek.search_units.and_then(searches),
            cost_micros: cost_micros(peek.cost),
        })
    }

    /// The same, renewed by what a later block says.
    pub fn renewed(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            output: later.output.or(self.output),
            total: later.total.or(self.total),
            cached: later.cached.or(self.cached),
            reasoning: later.reasoning.or(self.reasoning),
            cache_read: later.cache_read.or(self.cache_read),
            cache_written: later.cache_written.or(self.cache_written),
            audio_ms: later.audio_ms.or(self.audio_ms),
            searches: later.searches.or(self.searches),
            cost_micros: later.cost_micros.or(self.cost_micros),
        }
    }

    /// The tokens, if there are any.
    pub fn tokens(&self) -> Option<TokenCounts> {
        let beside = self.cache_read.unwrap_or(0) + self.cache_written.unwrap_or(0);
        let mut prompt = self.input.unwrap_or(0) + beside;
        let completion = self.output.unwrap_or(0);
        if prompt == 0 && completion == 0 {
            prompt = self.total.unwrap_or(0);
        }
        let cached = self.cached.or(self.cache_read).unwrap_or(0).min(prompt);
        let reasoning = self.reasoning.unwrap_or(0).min(completion);
        let counts = TokenCounts { prompt, completion, cached, reasoning };
        (1..=MAX_PLAUSIBLE).contains(&counts.total()).then_some(counts)
    }

    /// How much sound was heard, in milliseconds.
    pub fn audio_ms(&self) -> Option<u64> {
        self.audio_ms
    }

    /// How many searches were counted.
    pub fn searches(&self) -> Option<u64> {
        self.searches
    }

    /// What the call cost, in micro-dollars.
    pub fn cost_micros(&self) -> Option<i64> {
        self.cost_micros
    }
}

/// A number of searches; some vendors write it as a fraction (`1.0`).
pub(super) fn searches(raw: &RawValue) -> Option<u64> {
    let number: f64 = raw.get().parse().ok()?;
    (0.0..=1e6).contains(&number).then_some(number.ceil() as u64)
}

/// Seconds as milliseconds, if they are at most a week.
pub(super) fn milliseconds(seconds: f64) -> Option<u64> {
    (0.0..=604_800.0).contains(&seconds).then_some((seconds * 1000.0).round() as u64)
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
        read(raw)
            .map(|used| used.tokens)
            .map(|counts| (counts.prompt, counts.completion, counts.cached, counts.reasoning))
    }

    #[test]
    fn a_cost_that_the_upstream_reports_is_read_and_an_absurd_one_costs_no_counts() {
        for (cost, micros) in [
            ("0.000123", Some(123)),
            ("0", Some(0)),
            ("1e-4", Some(100)),
            ("-0.5", None),
            ("1e7", None),
            ("1e999", None),
            ("null", None),
            ("\"0.5\"", None),
            ("{\"total_cost\":1}", None),
        ] {
            let json = format!(r#"{{"prompt_tokens":10,"completion_tokens":5,"cost":{cost}}}"#);
            let raw: &RawValue = serde_json::from_str(&json).unwrap();
            let used = read(raw).unwrap();
            assert_eq!((used.tokens.prompt, used.cost_micros), (10, micros), "{cost}");
            assert_eq!(Reported::read(raw).unwrap().cost_micros(), micros, "{cost}");
        }
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
    fn the_blocks_of_other_endpoints_are_read_and_those_of_a_stream_added_up() {
        let read = |json: &str| Reported::read(serde_json::from_str(json).unwrap());
        let tokens = |json: &str| {
            let counts = read(json).and_then(|reported| reported.tokens())?;
            Some((counts.prompt, counts.completion, counts.cached, counts.reasoning))
        };
        for (json, expected) in [
            (
                r#"{"input_tokens":10,"output_tokens":5,"total_tokens":15,"input_tokens_details":{"cached_tokens":4},
                    "output_tokens_details":{"reasoning_tokens":3}}"#,
                Some((10, 5, 4, 3)),
            ),
            (
                r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":90,"cache_creation_input_tokens":7}"#,
                Some((107, 5, 90, 0)),
            ),
            (r#"{"total_tokens":15}"#, Some((15, 0, 0, 0))),
            (r#"{"type":"duration","seconds":3}"#, None),
            (r#"{"input_tokens":-1,"output_tokens":5}"#, None),
            ("null", None),
        ] {
            assert_eq!(tokens(json), expected, "{json}");
        }
        assert_eq!(read(r#"{"type":"duration","seconds":3.5}"#).unwrap().audio_ms(), Some(3500));
        let begin = read(r#"{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":1}"#).unwrap();
        let whole = begin.renewed(read(r#"{"output_tokens":25}"#).unwrap()).tokens().unwrap();
        assert_eq!((whole.prompt, whole.completion, whole.cached), (100, 25, 90));
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
