//! Which codes, phrases and statuses mean what.

use crate::{
    model::usage::OutcomeClass::{
        Ambiguous, ClientError, HostError, KeyInvalid, ModelUnavailable, OutOfCredit, RateLimited,
    },
    protocol::error_body::ErrorBody,
    provider::without_quotes,
};

use super::{
    LimitPeriod::{self, Concurrent, Day, Minute, Month},
    RestScope::{Channel, ChannelModel, Group, Key, KeyModel, Request},
    Verdict,
};

/// A rule: on one of these statuses (0 stands for an error without one) one of these exact codes or one of these phrases, both in lower case, decides.
struct Rule {
    statuses: &'static [u16],
    codes: &'static [&'static str],
    phrases: &'static [&'static str],
    verdict: Verdict,
}

/// The first rule that fits decides. Phrases are whole and telling, never single loose words: Groq's 429 names "billing"
/// in a link.
const RULES: &[Rule] = &[
    // The provider behind the upstream, or the model's own workers: no key is to blame.
    Rule {
        statuses: &[429, 500, 502, 503, 529, 0],
        codes: &[
            "1305",
            "1312",
            "3040",
            "50505",
            "engine_overloaded_error",
            "overloaded_error",
            "capacity_exhausted",
        ],
        phrases: &[
            "rate-limited upstream",
            "capacity_exhausted",
            "worker local total request limit",
            "service tier capacity exceeded",
            "engine_overloaded",
            "overloaded",
            "at capacity",
            "resource has been exhausted (e.g. check quota)",
            "high demand",
            "负载过高",
            "服务过载",
            "访问量过大",
        ],
        verdict: Verdict::new(RateLimited, ChannelModel),
    },
    // ModelScope's words for a model that it retired.
    Rule {
        statuses: &[429],
        codes: &[],
        phrases: &["insufficient balance (1008)"],
        verdict: Verdict::new(ModelUnavailable, ChannelModel).permanent(),
    },
    Rule {
        statuses: &[429, 0],
        codes: &[],
        phrases: &["today's quota"],
        verdict: Verdict::new(RateLimited, KeyModel).per(Day),
    },
    Rule {
        statuses: &[402],
        codes: &[],
        phrases: &["openrouter_in_flight_budget"],
        verdict: Verdict::new(RateLimited, Group).per(Concurrent),
    },
    // OpenRouter's words for a call that asks for more output than the balance pays for; a smaller one would do, so the
    // account must not rest for what one client asks.
    Rule {
        statuses: &[402, 429, 0],
        codes: &[],
        phrases: &["fewer max_tokens", "can only afford"],
        verdict: Verdict::new(OutOfCredit, Request),
    },
    Rule {
        statuses: &[403, 429],
        codes: &["allocationquota.freetieronly"],
        phrases: &["allocationquota.freetieronly"],
        verdict: Verdict::new(OutOfCredit, KeyModel).permanent(),
    },
    Rule {
        statuses: &[400, 402, 403, 429, 0],
        codes: &[
            "insufficient_quota",
            "insufficient_balance",
            "insufficient_credits",
            "exceeded_current_quota_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "arrearage",
            "accountoverdueerror",
            "1113",
        ],
        phrases: &[
            "insufficient_quota",
            "insufficient balance",
            "insufficient credit",
            "exceeded_current_quota_error",
            "credit balance is too low",
            "requires more credits",
            "monthly included credits",
            "billing hard limit",
            "account is not active, please check your billing",
            "balance is insufficient",
            "余额不足",
            "欠费",
        ],
        verdict: Verdict::new(OutOfCredit, Group).permanent(),
    },
    // Limits of the account, whatever the model.
    Rule {
        statuses: &[429, 0],
        codes: &[],
        phrases: &["free-models-per-"],
        verdict: Verdict::new(RateLimited, Group),
    },
    Rule {
        statuses: &[429, 0],
        codes: &["3036"],
        phrases: &["daily free allocation"],
        verdict: Verdict::new(RateLimited, Group).per(Day),
    },
    Rule {
        statuses: &[429],
        codes: &["1302"],
        phrases: &[],
        verdict: Verdict::new(RateLimited, KeyModel).per(Concurrent),
    },
    Rule {
        statuses: &[429],
        codes: &["1303"],
        phrases: &[],
        verdict: Verdict::new(RateLimited, KeyModel).per(Minute),
    },
    Rule {
        statuses: &[429],
        codes: &["1304", "1308", "1310"],
        phrases: &[],
        verdict: Verdict::new(RateLimited, Group).per(Day),
    },
    // One request that is larger than a minute's tokens never fits this candidate; others do. Groq says 413, OpenAI 429
    // ("Request too large for gpt-4o in organization ... on tokens per min (TPM)").
    Rule {
        statuses: &[413],
        codes: &[],
        phrases: &["tokens per minute", "(tpm)"],
        verdict: Verdict::new(ModelUnavailable, Request),
    },
    Rule {
        statuses: &[429, 0],
        codes: &[],
        phrases: &["request too large for"],
        verdict: Verdict::new(ModelUnavailable, Request),
    },
    Rule {
        statuses: &[400, 403, 422, 500, 502, 503, 0],
        codes: &["rate_limit_exceeded", "resource_exhausted", "too_many_requests", "throttling"],
        phrases: &[
            "rate limit",
            "rate_limit",
            "ratelimit",
            "too many requests",
            "too many concurrent",
            "throttl",
            "quota exceeded",
            "exceeded your current quota",
            "resource_exhausted",
            "请求过于频繁",
            "频率限制",
        ],
        verdict: Verdict::new(RateLimited, KeyModel),
    },
    Rule {
        statuses: &[400, 403, 451],
        codes: &["unsupported_country_region_territory"],
        phrases: &[
            "unsupported_country",
            "country, region, or territory",
            "location is not supported",
            "not available in your region",
            "not available in your country",
        ],
        verdict: Verdict::new(HostError, Channel).permanent(),
    },
    Rule {
        statuses: &[400, 403, 422, 500, 0],
        codes: &["invalid_api_key", "api_key_invalid"],
        phrases: &[
            "api key not valid",
            "api_key_invalid",
            "api key expired",
            "invalid api key",
            "invalid_api_key",
            "incorrect api key",
        ],
        verdict: Verdict::new(KeyInvalid, Key).permanent(),
    },
    Rule {
        statuses: &[403],
        codes: &[],
        phrases: &["moderation", "flagged", "guardrail", "content policy", "content_policy"],
        verdict: Verdict::new(ClientError, Request),
    },
    // The model is there, but not for a request of this kind (tools, pictures, a client's own choice of providers).
    Rule {
        statuses: &[404],
        codes: &[],
        phrases: &["no endpoints found that support", "no allowed providers"],
        verdict: Verdict::new(ModelUnavailable, Request),
    },
    Rule {
        statuses: &[400, 403, 404, 422, 0],
        codes: &["accessdenied.unpurchased", "modelnotopen", "5018", "5016", "3041", "3023"],
        phrases: &[
            "not found for account",
            "do not have access",
            "does not have access",
            "not entitled",
            "unpurchased",
            "modelnotopen",
            "matching your data policy",
            "privacy_restricted",
        ],
        verdict: Verdict::new(ModelUnavailable, KeyModel).permanent(),
    },
    Rule {
        statuses: &[400, 500, 503],
        codes: &[],
        phrases: &["degraded function cannot be invoked", "no available channel"],
        verdict: Verdict::new(ModelUnavailable, ChannelModel),
    },
    Rule {
        statuses: &[400, 403, 404, 422, 0],
        codes: &["model_not_found", "model_deactivated", "1211", "5007", "invalid_model"],
        phrases: &[
            "model_not_found",
            "model not found",
            "unknown model",
            "no such model",
            "model does not exist",
            "is not a valid model id",
            "is not found for api version",
            "decommissioned",
            "模型不存在",
        ],
        verdict: Verdict::new(ModelUnavailable, ChannelModel).permanent(),
    },
    // NVIDIA's words for a request of a wrong type.
    Rule {
        statuses: &[500],
        codes: &[],
        phrases: &["failed to decode json body"],
        verdict: Verdict::new(ClientError, Request),
    },
];

/// Phrases that tell the period of a limit, in lower case; a day's before a minute's, for some texts name both.
const PERIODS: &[(LimitPeriod, &[&str])] = &[
    (
        Day,
        &[
            "per day",
            "per-day",
            "per_day",
            "perday",
            "(rpd)",
            "(tpd)",
            "byday",
            "daily",
            "per 86400s",
            "today's quota",
            "again tomorrow",
            "每日",
            "今日",
            "当日",
        ],
    ),
    (Month, &["per month", "monthly", "per-month", "calls / month", "每月"]),
    (
        Minute,
        &[
            "per minute",
            "per-min",
            "per_min",
            "perminute",
            "(rpm)",
            "(tpm)",
            "rpm limit",
            "tpm limit",
            "calls / minute",
            "per 60s",
            "每分钟",
        ],
    ),
    (Concurrent, &["concurren", "in parallel", "并发"]),
];

/// Statuses whose text may quote the request, so that a client could write what it likes into it.
const QUOTING: &[u16] = &[400, 413, 422, 500];

/// Texts by which a request is longer than a model's context, in lower case.
const CONTEXT_PHRASES: &[&str] = &[
    "maximum context length",
    "context length exceeded",
    "context_length_exceeded",
    "prompt is too long",
    "exceeds the context window",
    "exceed context window",
    "reduce the length of the messages",
    "input is too long for requested model",
    "exceeds the maximum number of tokens",
    "input token count exceeds",
    "上下文过长",
    "上下文长度",
];

/// Whether a body says that the request is longer than the model's context.
pub(super) fn is_context_overflow(body: &ErrorBody) -> bool {
    let haystack = body.haystack();
    body.code.as_deref() == Some("1261")
        || CONTEXT_PHRASES.iter().any(|phrase| haystack.contains(phrase)) && !haystack.contains("(tpm)")
}

/// The kind of limit that a text (in lower case) speaks of.
pub(super) fn period(haystack: &str) -> Option<LimitPeriod> {
    PERIODS
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| haystack.contains(phrase)))
        .map(|(period, _)| *period)
}

/// Whether a daily limit refills all the time, so that a short wait is meant: Groq's.
pub(super) fn refills(body: &ErrorBody) -> bool {
    ["(TPD)", "(RPD)"].iter().any(|mark| body.message.contains(mark))
}

/// What a failure means; `status` is `None` for an error in a 200 that names none.
pub(super) fn verdict(status: Option<u16>, body: &ErrorBody) -> Verdict {
    let code = status.unwrap_or(0);
    if status == Some(429) && (body.provider.is_some() || body.raw.is_some()) {
        return Verdict::new(RateLimited, ChannelModel);
    }
    let mut haystack: String = body.haystack().chars().take(8192).collect();
    if QUOTING.contains(&code) {
        haystack = without_quotes(&haystack);
    }
    let names = [body.code.as_deref(), body.kind.as_deref(), Some(&body.reasons)]
        .map(|name| name.map(str::to_lowercase));
    let is_named = |rule: &Rule| names.iter().flatten().any(|name| rule.codes.contains(&name.as_str()));
    let fits = |rule: &&Rule| {
        rule.statuses.contains(&code)
            && (is_named(rule) || rule.phrases.iter().any(|phrase| haystack.contains(phrase)))
    };
    match RULES.iter().find(fits) {
        // Some servers quote without quotation marks: a mere phrase rests, but disables nothing.
        Some(rule) if QUOTING.contains(&code) && !is_named(rule) => {
            Verdict { permanent: false, ..rule.verdict }
        }
        Some(rule) if rule.verdict == Verdict::new(RateLimited, ChannelModel) && status != Some(429) => {
            Verdict::new(HostError, ChannelModel)
        }
        Some(rule) => rule.verdict,
        None => by_status(status, body, &haystack),
    }
}

fn by_status(status: Option<u16>, body: &ErrorBody, haystack: &str) -> Verdict {
    let Some(status) = status else {
        let of_the_request =
            is_context_overflow(body) || body.kind.as_deref() == Some("invalid_request_error");
        return if of_the_request {
            Verdict::new(ClientError, Request)
        } else {
            Verdict::new(HostError, ChannelModel)
        };
    };
    match status {
        // A web page comes from something in front of the API, not from the API.
        400 if body.html => Verdict::new(HostError, ChannelModel),
        403 if body.html => Verdict::new(HostError, Channel),
        400 | 413 | 422 => Verdict::new(ClientError, Request),
        401 => Verdict::new(KeyInvalid, Key).permanent(),
        402 => Verdict::new(OutOfCredit, Group).permanent(),
        403 if haystack.contains("model") || haystack.contains("function") => {
            Verdict::new(ModelUnavailable, KeyModel).permanent()
        }
        403 => Verdict::new(KeyInvalid, Key).permanent(),
        // Also without a word about models: NVIDIA answers an unknown one with a bare "404 page not found", and a
        // client's choice of endpoint must not be able to rest a whole channel.
        404 | 405 => Verdict::new(ModelUnavailable, ChannelModel),
        410 => Verdict::new(ModelUnavailable, ChannelModel).permanent(),
        429 => Verdict::new(RateLimited, KeyModel),
        451 => Verdict::new(HostError, Channel).permanent(),
        // Cloudflare cannot reach the host behind it
        // (<https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/>).
        521 | 522 | 523 | 525 | 526 | 527 | 530 => Verdict::new(HostError, Channel),
        // No redirect is followed: the channel's address is wrong.
        300..400 => Verdict::new(HostError, Channel),
        // One request or one model can cause these; a host that is down shows by failing for all its models.
        204 | 408 | 409 | 424 | 425 | 499 | 500.. => Verdict::new(HostError, ChannelModel),
        _ => Verdict::new(Ambiguous, Request),
    }
}
