//! How OpenClaw reads the text of an error: the one table of its words. What follows from a reading besides the text (status,
//! code, whose error it is) is with those who ask.
//!
//! Source: the package `openclaw` 2026.9.6 on npm, `dist/message-patterns-*.mjs` (the texts) and `dist/classify-core-*.mjs`
//! (their order).

/// What OpenClaw takes an error for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A credential that does not work: the whole provider is left alone.
    Auth,
    /// An empty account: likewise, for longer.
    Billing,
    /// A limit: tried again, unless it is long.
    RateLimit,
    /// Tried again for a minute and more.
    Overloaded,
    /// A fault or a time limit of the server: likewise.
    Trouble,
    /// The next model is asked at once.
    ModelNotFound,
    /// The next model is asked at once.
    Format,
    /// The conversation is shortened.
    ContextOverflow,
}

/// Texts by which an error is known, in lower case and in the order in which they are looked for.
const TEXTS: &[(Reading, &[&str])] = &[
    (
        Reading::ModelNotFound,
        &[
            "no endpoints found for",
            "unknown model",
            "model not found",
            "model_not_found",
            "not_found_error",
            "is not a valid model id",
            "invalid model",
            "model_deactivated",
        ],
    ),
    (
        Reading::ContextOverflow,
        &[
            "request_too_large",
            "context_overflow",
            "context length exceeded",
            "context_length_exceeded",
            "maximum context length",
            "prompt is too long",
            "prompt too long",
            "exceed context limit",
            "model token limit",
            "exceeds the context window",
            "reduce the length of the messages",
            "too many tokens",
            "上下文过长",
            "上下文超出",
            "上下文长度超",
            "input is too long for requested model",
        ],
    ),
    (
        Reading::Billing,
        &[
            "payment required",
            "insufficient credits",
            "insufficient quota",
            "insufficient_quota",
            "insufficient balance",
            "insufficient_balance",
            "used all available credits",
            "spend limit",
            "spending limit",
            "available balance",
            "out of budget",
            "credit balance",
            "plans & billing",
            "out of extra usage",
            "余额不足",
            "欠费",
            "requires more credits",
        ],
    ),
    (
        Reading::RateLimit,
        &[
            "rate limit",
            "rate_limit",
            "too many requests",
            "too many concurrent requests",
            "model_cooldown",
            "exceeded your current quota",
            "resource exhausted",
            "resource_exhausted",
            "quota exceeded",
            "usage limit",
            "daily limit",
            "weekly limit",
            "monthly limit",
            "tokens per minute",
            "tokens per day",
            "请求过于频繁",
            "调用频率",
            "频率限制",
            "配额不足",
            "配额已用尽",
            "额度不足",
            "额度已用尽",
            "daily usage limit",
            "throttl",
        ],
    ),
    (
        Reading::Overloaded,
        &[
            "overloaded",
            "service unavailable",
            "service temporarily unavailable",
            "high demand",
            "high load",
            "服务过载",
            "当前负载过高",
            "访问量过大",
            "model is at capacity",
        ],
    ),
    (
        Reading::Auth,
        &[
            "api key revoked",
            "api key deactivated",
            "api key deleted",
            "key has been disabled",
            "key has been revoked",
            "account has been deactivated",
            "not allowed for this organization",
            "invalid api key",
            "invalid_api_key",
            "api key is invalid",
            "api key not valid",
            "permission_error",
            "incorrect api key",
            "invalid token",
            "authentication",
            "re-authenticate",
            "unauthorized",
            "forbidden",
            "access denied",
            "insufficient permission",
            "missing scope",
            "no credentials found",
            "no api key found",
            "无权访问",
            "认证失败",
            "鉴权失败",
            "密钥无效",
        ],
    ),
    (
        Reading::Trouble,
        &[
            "an error occurred while processing",
            "internal server error",
            "internal_error",
            "server_error",
            "bad gateway",
            "gateway timeout",
            "upstream error",
            "upstream connect error",
            "connection reset",
            "内部错误",
            "服务器错误",
            "系统繁忙",
            "系统异常",
            "timeout",
            "timed out",
            "deadline exceeded",
            "connection error",
            "network error",
            "fetch failed",
            "socket hang up",
            "网络错误",
            "服务繁忙",
            "请求超时",
        ],
    ),
];

/// What the text of an error is taken for; nothing if it has none of the words. Letter case does not matter. `also` may add to
/// what is looked for; it gets each reading in turn and the text in lower case.
pub fn reading_of(text: &str, also: impl Fn(Reading, &str) -> bool) -> Option<Reading> {
    let text = text.to_lowercase();
    // An error that names the model and says that there is none.
    if text.contains("model") && (text.contains("does not exist") || text.contains("not found")) {
        return Some(Reading::ModelNotFound);
    }
    let of = |(reading, words): &&(Reading, &[&str])| {
        words.iter().any(|words| text.contains(words)) || also(*reading, &text)
    };
    TEXTS.iter().find(of).map(|(reading, _)| *reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_in_its_order_decide() {
        let read = |text: &str| reading_of(text, |_, _| false);
        assert_eq!(read("Insufficient credits: rate limit"), Some(Reading::Billing));
        assert_eq!(read("the MODEL x does not exist"), Some(Reading::ModelNotFound));
        assert_eq!(read("请求过于频繁"), Some(Reading::RateLimit));
        assert_eq!(read("hello"), None);
        let odd = reading_of("Unauthorized", |reading, text| {
            reading == Reading::Overloaded && text == "unauthorized"
        });
        assert_eq!(odd, Some(Reading::Overloaded), "what is added is looked for in its turn");
    }

    #[test]
    fn every_text_is_in_lower_case_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, texts) in TEXTS {
            for text in *texts {
                assert_eq!(*text, text.to_lowercase());
                assert!(seen.insert(text), "{text} twice");
            }
        }
    }
}
