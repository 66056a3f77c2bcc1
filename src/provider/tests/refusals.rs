//! Refusals as users recorded them or documents describe them, and what each means. Where only a code is known, `m` stands
//! for the words.

use std::collections::BTreeSet;

use crate::model::{
    limit::Metric,
    usage::OutcomeClass::{self, *},
};

use super::{
    super::{
        Providers,
        Scope::{self, *},
    },
    NOW, judged, seconds_until,
};

/// A refusal and what it is taken for.
struct Case {
    provider: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    rule: &'static str,
    means: (OutcomeClass, Scope),
    /// Seconds until it is over.
    until: Option<f64>,
    /// What it says is allowed.
    max: Option<(Metric, u64)>,
}

const fn case(
    provider: &'static str,
    status: u16,
    body: &'static str,
    rule: &'static str,
    means: (OutcomeClass, Scope),
) -> Case {
    Case { provider, status, headers: &[], body, rule, means, until: None, max: None }
}

impl Case {
    const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    const fn until(self, seconds: f64) -> Self {
        Self { until: Some(seconds), ..self }
    }

    const fn max(self, metric: Metric, max: u64) -> Self {
        Self { max: Some((metric, max)), ..self }
    }
}

/// To midnight in Los Angeles, to 00:05 and to midnight in Shanghai, to the end of October in UTC.
const LOS_ANGELES: f64 = 25_260.0;
const MODELSCOPE: f64 = 57_960.0;
const SHANGHAI: f64 = 57_660.0;
const OCTOBER: f64 = 2_160_060.0;

/// <https://openrouter.ai/docs/api-reference/errors>, and bodies that users recorded.
const OPENROUTER: &[Case] = &[
    case("openrouter", 429, r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"50","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1791331200000"}}}}"#, "free-day", (RateLimited, Group)).until(60.0).max(Metric::Requests, 50),
    case("openrouter", 429, r#"{"error":{"message":"Rate limit exceeded: free-models-per-day-high-balance. ","code":429}}"#, "free-day", (RateLimited, Group)).with(&[("x-ratelimit-limit", "1000"), ("x-ratelimit-reset", "1791331200000")]).until(60.0).max(Metric::Requests, 1000),
    case("openrouter", 429, r#"{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"16","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1791331158000"}}}}"#, "free-minute", (RateLimited, Group)).until(18.0).max(Metric::Requests, 16),
    case("openrouter", 429, r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"meta-llama/llama-3.3-70b-instruct:free is temporarily rate-limited upstream. Please retry shortly.","provider_name":"Venice","is_byok":false,"retry_after_seconds":17,"headers":{"Retry-After":"17"}}},"user_id":"u"}"#, "upstream-provider", (RateLimited, Model)).until(17.0),
    case("openrouter", 429, r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"busy","headers":{"Retry-After":"9"}}}}"#, "upstream-raw", (RateLimited, Model)).until(9.0),
    case("openrouter", 503, r#"{"error":{"message":"No capacity","code":503,"availability":{"code":"capacity_exhausted","retryable":true,"retry_after":4,"fallback_models":[]}}}"#, "upstream-capacity", (RateLimited, Model)).until(4.0),
    case("openrouter", 0, r#"{"message":"x is temporarily rate-limited upstream"}"#, "upstream-text", (RateLimited, Model)),
    case("openrouter", 402, r#"{"error":{"message":"Too many requests in flight","code":402,"metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#, "in-flight-budget", (RateLimited, Group)).with(&[("retry-after", "3")]).until(3.0),
    case("openrouter", 402, r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 1200.","code":402}}"#, "output-too-dear", (OutOfCredit, Request)),
    case("openrouter", 402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, "credits", (OutOfCredit, Group)),
    case("openrouter", 404, r#"{"error":{"message":"No endpoints found that support tool use.","code":404}}"#, "no-endpoint-for-request", (ModelUnavailable, Request)),
    case("openrouter", 404, r#"{"error":{"message":"No endpoints found matching your data policy.","code":404}}"#, "privacy", (ModelUnavailable, GroupModel)),
    case("openrouter", 404, r#"{"error":{"message":"Restricted","code":404,"metadata":{"error_type":"privacy_restricted"}}}"#, "privacy-restricted", (ModelUnavailable, GroupModel)),
    case("openrouter", 404, r#"{"error":{"message":"Ended","code":404,"metadata":{"error_type":"free_variant_ended"}}}"#, "model-ended", (ModelUnavailable, Model)),
    case("openrouter", 404, r#"{"error":{"message":"No endpoints found for a/b:free.","code":404}}"#, "no-endpoints", (ModelUnavailable, Model)),
    case("openrouter", 400, r#"{"error":{"message":"acme/fake-1.0 is not a valid model ID","code":400,"metadata":{"error_type":"model_not_found"}}}"#, "unknown-model-type", (ModelUnavailable, Model)),
    case("openrouter", 400, r#"{"error":{"message":"acme/fake-1.0 is not a valid model ID","code":400}}"#, "unknown-model", (ModelUnavailable, Model)),
];

/// Bodies that users of build.nvidia.com recorded, such as <https://github.com/QuantumNous/new-api/issues/6619>.
const NVIDIA: &[Case] = &[
    case("nvidia", 429, r#"{"status":429,"title":"Too Many Requests"}"#, "minute", (RateLimited, Key)),
    case(
        "nvidia",
        503,
        r#"{"error":{"message":"ResourceExhausted: Worker local total request limit reached (16/16)","type":"Service Unavailable","code":503}}"#,
        "worker-pool",
        (RateLimited, Model),
    ),
    case(
        "nvidia",
        0,
        "ResourceExhausted: Worker local total request limit reached (48/48)",
        "worker-pool",
        (RateLimited, Model),
    ),
    case(
        "nvidia",
        403,
        r#"{"status":403,"title":"Forbidden","detail":"Authorization failed"}"#,
        "bad-key",
        (KeyInvalid, Key),
    ),
    case("nvidia", 404, "404 page not found\n", "unknown-model", (ModelUnavailable, Model)),
    case(
        "nvidia",
        404,
        r#"{"status":404,"title":"Not Found","detail":"Function '1-2': Not found for account 'a'"}"#,
        "not-entitled",
        (ModelUnavailable, KeyModel),
    ),
    case(
        "nvidia",
        410,
        r#"{"status":410,"title":"Gone","detail":"The model has reached its end of life"}"#,
        "end-of-life",
        (ModelUnavailable, Model),
    ),
    case(
        "nvidia",
        400,
        r#"{"status":400,"title":"Bad Request","detail":"Function id '1-2': DEGRADED function cannot be invoked"}"#,
        "degraded",
        (ModelUnavailable, Model),
    ),
    case(
        "nvidia",
        500,
        r#"{"detail":"failed to decode json body: invalid type"}"#,
        "bad-json",
        (ClientError, Request),
    ),
];

/// Bodies that users recorded, such as <https://github.com/tashfeenahmed/freellmapi/pull/1045>.
const MODELSCOPE_BODIES: &[Case] = &[
    case("modelscope", 429, r#"{"errors":{"message":"You have exceeded today's quota for model ZhipuAI/GLM-5, please try again tomorrow, or consider using other models"},"request_id":"r"}"#, "model-day", (RateLimited, GroupModel)).with(&[("retry-after", "5")]).until(MODELSCOPE),
    case("modelscope", 429, r#"{"error":{"message":"insufficient balance (1008)"},"request_id":"r"}"#, "model-retired", (ModelUnavailable, Model)),
    case("modelscope", 429, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details."}}"#, "quota-now", (RateLimited, Group)).until(60.0),
    case("modelscope", 429, r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details."}}"#, "quota-now-text", (RateLimited, Group)).with(&[("retry-after", "20")]).until(20.0),
    case("modelscope", 401, r#"{"error":{"message":"Please bind your Alibaba Cloud account before use."}}"#, "account-not-bound", (KeyInvalid, Group)),
    case("modelscope", 401, r#"{"error":{"message":"Authentication failed, please make sure that a valid ModelScope token is supplied."}}"#, "bad-key", (KeyInvalid, Key)),
    case("modelscope", 400, r#"{"error":{"message":"模型不存在"}}"#, "unknown-model", (ModelUnavailable, Model)),
];

/// Bodies that users recorded; fields as in <https://console.groq.com/docs/errors>.
const GROQ: &[Case] = &[
    case("groq", 429, r#"{"error":{"message":"Rate limit reached for model `openai/gpt-oss-120b` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Used 6644, Requested 2931. Please try again in 11.8125s. Need more tokens? Upgrade at https://console.groq.com/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#, "tokens-per-minute", (RateLimited, GroupModel)).until(11.812).max(Metric::Tokens, 8000),
    case("groq", 429, r#"{"error":{"message":"Rate limit reached for model `m` in organization `org_x` on tokens per day (TPD): Limit 200000, Used 199990, Requested 50. Please try again in 7m30.5s.","type":"tokens","code":"rate_limit_exceeded"}}"#, "tokens-per-day", (RateLimited, GroupModel)).until(450.5).max(Metric::Tokens, 200_000),
    case("groq", 429, r#"{"error":{"message":"Rate limit reached for model `m` in organization `org_x` on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s.","type":"requests","code":"rate_limit_exceeded"}}"#, "requests-per-day", (RateLimited, GroupModel)).with(&[("retry-after", "87")]).until(87.0).max(Metric::Requests, 1000),
    case("groq", 429, r#"{"error":{"message":"Rate limit reached for model `m` in organization `org_x` on requests per minute (RPM): Limit 30, Used 30, Requested 1. Please try again in 2s.","type":"requests","code":"rate_limit_exceeded"}}"#, "requests-per-minute", (RateLimited, GroupModel)).until(2.0).max(Metric::Requests, 30),
    case("groq", 413, r#"{"error":{"message":"Request too large for model `m` in organization `org_x` on tokens per minute (TPM): Limit 8000, Requested 9000, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#, "request-too-large", (ModelUnavailable, Request)),
    case("groq", 413, r#"{"error":{"message":"too large","type":"tokens","code":"rate_limit_exceeded"}}"#, "request-too-large-code", (ModelUnavailable, Request)),
    case("groq", 404, r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#, "model-gone", (ModelUnavailable, Model)),
    case("groq", 400, r#"{"error":{"message":"The model `x` has been decommissioned and is no longer supported.","type":"invalid_request_error"}}"#, "model-gone-text", (ModelUnavailable, Model)),
    case("groq", 401, r#"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#, "bad-key", (KeyInvalid, Key)),
];

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>, and bodies that users of gemini-cli recorded.
const GOOGLE: &[Case] = &[
    case("google", 429, r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaMetric":"m","quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38s"}]}}]"#, "requests-per-day", (RateLimited, GroupModel)).until(LOS_ANGELES).max(Metric::Requests, 20),
    // Two limits at once: which amount belongs to which is not known, so none is taken.
    case("google", 429, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":5},{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":20}]},{"retryDelay":"38s"}]}}"#, "requests-per-day", (RateLimited, GroupModel)).until(LOS_ANGELES),
    case("google", 429, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateContentInputTokensPerModelPerDay-FreeTier","quotaValue":1000000}]}]}}"#, "other-per-day", (RateLimited, GroupModel)).until(LOS_ANGELES),
    case("google", 429, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier","quotaValue":"5"}]},{"retryDelay":"38.5s"}]}}"#, "requests-per-minute", (RateLimited, GroupModel)).until(38.5).max(Metric::Requests, 5),
    case("google", 429, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier","quotaValue":"250000"}]},{"retryDelay":"17s"}]}}"#, "input-tokens-per-minute", (RateLimited, GroupModel)).until(17.0).max(Metric::InputTokens, 250_000),
    case("google", 429, r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateContentPaidTierPerMinute"}]},{"retryDelay":"3s"}]}}"#, "other-per-minute", (RateLimited, GroupModel)).until(3.0),
    case("google", 429, r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#, "shared-capacity", (RateLimited, Model)),
    case("google", 400, r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}]"#, "bad-key", (KeyInvalid, Key)),
    case("google", 400, r#"[{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}]"#, "bad-key-text", (KeyInvalid, Key)),
    case("google", 403, r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#, "permission", (KeyInvalid, Key)),
    case("google", 404, r#"{"error":{"code":404,"message":"models/x is not found for API version v1main, or is not supported for generateContent.","status":"NOT_FOUND"}}"#, "unknown-model", (ModelUnavailable, Model)),
    case("google", 503, r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#, "model-busy", (HostError, Model)),
    case("google", 503, r#"{"error":{"message":"The model is overloaded. Please try again later."}}"#, "model-busy-text", (HostError, Model)),
];

/// <https://docs.bigmodel.cn/cn/api/api-code>.
const ZHIPU: &[Case] = &[
    case(
        "zhipu",
        429,
        r#"{"error":{"code":"1305","message":"该模型当前访问量过大，请您稍后再试"}}"#,
        "model-busy",
        (RateLimited, Model),
    ),
    case(
        "zhipu",
        429,
        r#"{"error":{"code":"1302","message":"您当前使用该 API 的并发数过高"}}"#,
        "concurrency",
        (RateLimited, GroupModel),
    ),
    case(
        "zhipu",
        429,
        r#"{"error":{"code":1303,"message":"您当前使用该 API 的频率过高"}}"#,
        "minute",
        (RateLimited, GroupModel),
    ),
    case(
        "zhipu",
        429,
        r#"{"error":{"code":"1304","message":"该 API 已达今日调用次数限额"}}"#,
        "day",
        (RateLimited, Group),
    )
    .until(SHANGHAI),
    // <https://github.com/dirge-code/dirge/issues/818>, with another date: 10:59 in Shanghai is three hours from now.
    case("zhipu", 429, r#"{"error":{"code":"1308","message":"已达到 5\n小时的使用上限。您的限额将在 2026-10-07 10:59:00 重置。"}}"#, "plan-hours", (RateLimited, Group)).until(10_800.0),
    // <https://github.com/continuedev/continue/issues/13195>.
    case("zhipu", 429, r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-10-07 10:59:00"}}"#, "plan-hours", (RateLimited, Group)).until(10_800.0),
    // <https://github.com/LionSR/TeXRA/pull/9865>.
    case("zhipu", 429, r#"{"error":{"code":"1310","message":"Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-10-09T00:00:00Z"}}"#, "plan-week-or-month", (RateLimited, Group)).until(172_860.0),
    case(
        "zhipu",
        429,
        r#"{"error":{"code":"1113","message":"您的账户已欠费，请充值后重试"}}"#,
        "arrears",
        (OutOfCredit, Group),
    ),
    case("zhipu", 403, r#"{"error":{"code":"1112","message":"您的账户已被锁定，请联系客服解锁"}}"#, "account", (KeyInvalid, Group)),
    case("zhipu", 403, r#"{"error":{"code":"1311","message":"当前订阅套餐暂未开放m权限"}}"#, "not-in-plan", (ModelUnavailable, GroupModel)),
    case(
        "zhipu",
        400,
        r#"{"error":{"code":"1211","message":"模型不存在，请检查模型代码。"}}"#,
        "unknown-model",
        (ModelUnavailable, Model),
    ),
    case(
        "zhipu",
        400,
        r#"{"error":{"code":"1261","message":"Prompt 超长"}}"#,
        "too-long",
        (ClientError, Request),
    ),
    case(
        "zhipu",
        401,
        r#"{"error":{"code":"1002","message":"Authorization Token 非法"}}"#,
        "bad-key",
        (KeyInvalid, Key),
    ),
];

/// <https://help.aliyun.com/zh/model-studio/error-code>.
const DASHSCOPE: &[Case] = &[
    case("dashscope", 403, r#"{"error":{"code":"AllocationQuota.FreeTierOnly","message":"The free tier of the model has been exhausted."}}"#, "grant-used-up", (OutOfCredit, GroupModel)),
    case("dashscope", 429, r#"{"error":{"code":"limit_burst_rate","message":"Request rate increased too quickly. To ensure system stability, please adjust your client logic."}}"#, "too-quick", (RateLimited, GroupModel)).until(2.0),
    case("dashscope", 429, r#"{"error":{"code":"limit_requests","message":"You exceeded your current requests list."}}"#, "requests", (RateLimited, GroupModel)),
    // Not an empty account, although OpenAI's code for one comes with it.
    case("dashscope", 429, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details."}}"#, "tokens", (RateLimited, GroupModel)).until(60.0),
    case("dashscope", 403, r#"{"error":{"code":"AccessDenied.Unpurchased","message":"Access to model denied."}}"#, "not-bought", (ModelUnavailable, GroupModel)),
    case("dashscope", 400, r#"{"error":{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}}"#, "arrears", (OutOfCredit, Group)),
];

/// <https://developers.cloudflare.com/workers-ai/platform/errors>.
const CLOUDFLARE: &[Case] = &[
    case("cloudflare", 429, r#"{"success":false,"errors":[{"code":3036,"message":"you have used up your daily free allocation of 10,000 neurons"}]}"#, "day", (RateLimited, Group)).until(60.0).max(Metric::Units, 10_000),
    case("cloudflare", 429, r#"{"error":{"message":"4006: you have used up your daily free allocation of 10,000 neurons"}}"#, "day-text", (RateLimited, Group)).until(60.0).max(Metric::Units, 10_000),
    case("cloudflare", 429, r#"{"errors":[{"code":3040,"message":"Capacity temporarily exceeded, please try again."}]}"#, "model-busy", (RateLimited, Model)),
    case("cloudflare", 400, r#"{"errors":[{"code":5007,"message":"No such model @cf/x/y or task"}]}"#, "unknown-model", (ModelUnavailable, Model)),
    case("cloudflare", 403, r#"{"errors":[{"code":3023,"message":"Service unavailable for account"}]}"#, "account-blocked", (KeyInvalid, Group)),
    case("cloudflare", 403, r#"{"errors":[{"code":5018,"message":"This account is not allowed to access this model"}]}"#, "not-entitled", (ModelUnavailable, GroupModel)),
];

/// Each provider's own documents (`docs_url` in its file), and bodies that users recorded.
const OTHERS: &[Case] = &[
    case("cerebras", 429, r#"{"message":"Tokens per minute limit exceeded - too many tokens processed.","type":"too_many_tokens_error","code":"token_quota_exceeded"}"#, "tokens-per-minute", (RateLimited, GroupModel)).with(&[("retry-after", "12")]).until(12.0),
    case("github", 429, r#"{"error":{"code":"RateLimitReached","message":"Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 5631 seconds before retrying."}}"#, "model-day", (RateLimited, GroupModel)).until(5631.0).max(Metric::Requests, 50),
    case("mistral", 429, r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#, "no-allowance", (OutOfCredit, Group)).with(&[("x-ratelimit-limit-req-minute", "0")]),
    case("mistral", 429, r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}"#, "minute", (RateLimited, Group)).with(&[("x-ratelimit-limit-req-minute", "60")]),
    case("mistral", 429, r#"{"message":"Requests rate limit exceeded","type":"rate_limited"}"#, "minute-type", (RateLimited, Group)),
    case("mistral", 429, r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","code":"3505"}"#, "model-busy", (RateLimited, Model)),
    case("mistral", 422, r#"{"detail":[{"loc":["body","x"],"msg":"Extra inputs are not permitted"}]}"#, "bad-request", (ClientError, Request)),
    case("siliconflow", 429, r#"{"message":"Request was rejected due to rate limiting. If you want more, please contact contact@siliconflow.cn. Details:TPM limit reached.","data":null}"#, "tokens-per-minute", (RateLimited, GroupModel)),
    case("siliconflow", 429, r#"{"message":"Request was rejected due to rate limiting. Details:RPM limit reached.","data":null}"#, "requests-per-minute", (RateLimited, GroupModel)),
    case("siliconflow", 429, r#"{"message":"Request was rejected due to rate limiting. Details:IPM limit reached.","data":null}"#, "images-per-minute", (RateLimited, GroupModel)),
    case("siliconflow", 429, r#"{"message":"Request was rejected due to rate limiting. Details:IPD limit reached.","data":null}"#, "images-per-day", (RateLimited, GroupModel)),
    case("siliconflow", 503, r#"{"code":50505,"message":"Model service overloaded. Please try again later.","data":null}"#, "model-busy", (RateLimited, Model)),
    case("siliconflow", 401, r#""Invalid token""#, "bad-key", (KeyInvalid, Key)),
    case("siliconflow", 403, r#"{"code":30001,"message":"Sorry, your account balance is insufficient","data":null}"#, "credits", (OutOfCredit, Group)),
    case("siliconflow", 403, r#"{"message":"Sorry, your account balance is insufficient","data":null}"#, "credits-text", (OutOfCredit, Group)),
    case("sambanova", 402, r#"{"error":{"message":"payment method required"}}"#, "credits", (OutOfCredit, Group)),
    case("cohere", 429, r#"{"message":"You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key for free or upgrade to a Production key."}"#, "minute", (RateLimited, GroupModel)).max(Metric::Requests, 20),
    case("cohere", 429, r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month. You can continue to use the Trial key for free or upgrade to a Production key."}"#, "month", (RateLimited, Group)).until(OCTOBER).max(Metric::Requests, 1000),
    case("cohere", 429, r#"{"message":"trial token rate limit exceeded, limit is 100000 tokens per minute"}"#, "tokens-per-minute", (RateLimited, Group)).max(Metric::Tokens, 100_000),
    case("huggingface", 402, r#"{"error":"You have exceeded your monthly included credits for Inference Providers. Subscribe to PRO to get 20x more monthly included credits."}"#, "month", (OutOfCredit, Group)).until(OCTOBER),
    case("moonshot", 429, r#"{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}"#, "model-busy", (RateLimited, Model)),
    case("moonshot", 429, r#"{"error":{"message":"You exceeded your current token quota","type":"exceeded_current_quota_error"}}"#, "credits", (OutOfCredit, Group)),
    case("moonshot", 429, r#"{"error":{"message":"Your account reached max request, please try again after 7 seconds","type":"rate_limit_reached_error"}}"#, "rate", (RateLimited, Group)).until(7.0),
    case("deepseek", 402, r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","code":"invalid_request_error"}}"#, "credits", (OutOfCredit, Group)),
    case("deepseek", 429, "", "concurrency", (RateLimited, GroupModel)),
    case("deepseek", 503, "", "busy", (HostError, Model)),
    case("volcengine", 403, r#"{"error":{"code":"AccountOverdueError","message":"m"}}"#, "arrears", (OutOfCredit, Group)),
    case("volcengine", 404, r#"{"error":{"code":"ModelNotOpen","message":"m"}}"#, "not-opened", (ModelUnavailable, GroupModel)),
    case("volcengine", 429, r#"{"error":{"code":"ServerOverloaded","message":"m"}}"#, "busy", (RateLimited, Model)),
    case("volcengine", 429, r#"{"error":{"code":"QuotaExceeded","message":"m"}}"#, "quota", (RateLimited, GroupModel)),
    case("volcengine", 429, r#"{"error":{"code":"RateLimitExceeded.EndpointRPMExceeded","message":"m"}}"#, "rate", (RateLimited, GroupModel)).with(&[("retry-after", "6")]).until(6.0),
    case("volcengine", 401, r#"{"error":{"code":"AuthenticationError","message":"m"}}"#, "bad-key", (KeyInvalid, Key)),
    case("ollama", 503, r#"{"error":{"message":"server busy, please try again.  maximum pending requests exceeded"}}"#, "queue-full", (HostError, Channel)).until(2.0),
    case("llm7", 402, r#"{"error":{"code":"pro_access_required","message":"m"}}"#, "paid-model", (ModelUnavailable, KeyModel)),
    case("llm7", 402, r#"{"error":{"type":"insufficient_balance","message":"m"}}"#, "paid-model-type", (ModelUnavailable, KeyModel)),
    case("llm7", 429, r#"{"error":{"message":"m","retry_after":12}}"#, "rate", (RateLimited, Group)).until(12.0),
    case("ollama-cloud", 429, r#"{"error":"you (name) have reached your session usage limit, please wait or upgrade to continue"}"#, "session", (RateLimited, Group)),
    case("opencode-zen", 403, r#"{"type":"error","error":{"type":"FreeTierError","message":"m"}}"#, "own-client-only", (ModelUnavailable, Model)),
    case("opencode-zen", 403, r#"{"error":{"message":"This model can only be used from within OpenCode."}}"#, "own-client-only-text", (ModelUnavailable, Model)),
];

fn cases() -> impl Iterator<Item = &'static Case> {
    [OPENROUTER, NVIDIA, MODELSCOPE_BODIES, GROQ, GOOGLE, ZHIPU, DASHSCOPE, CLOUDFLARE, OTHERS]
        .into_iter()
        .flatten()
}

#[test]
fn refusals_mean_what_their_provider_means_by_them() {
    for case in cases() {
        let verdict = judged(case.provider, case.status, case.headers, case.body)
            .unwrap_or_else(|| panic!("{} {}: no rule speaks of {}", case.provider, case.status, case.body));
        assert_eq!(verdict.rule, case.rule, "{} {}", case.provider, case.body);
        assert_eq!((verdict.class, verdict.scope), case.means, "{} {}", case.provider, case.body);
        assert_eq!(seconds_until(verdict.until), case.until, "{} {}", case.provider, case.body);
        let max = verdict.limit.and_then(|limit| Some((limit.metric, limit.max?)));
        assert_eq!(max, case.max, "{} {}", case.provider, case.body);
    }
}

#[test]
fn every_rule_of_the_data_has_a_refusal_that_it_is_for() {
    let proved: BTreeSet<(&str, &str)> = cases().map(|case| (case.provider, case.rule)).collect();
    let providers = Providers::embedded();
    for provider in providers.all() {
        // The international site's rules are the Chinese one's.
        let id = if provider.id == "modelscope-intl" { "modelscope" } else { &provider.id };
        for rule in &provider.refusals {
            assert!(proved.contains(&(id, rule.id.as_str())), "{id}: no case for `{}`", rule.id);
        }
    }
}

#[test]
fn the_rule_for_free_models_says_that_paid_ones_may_go_on() {
    let body = r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. ","code":429}}"#;
    let verdict = judged("openrouter", 429, &[], body).expect("a verdict");
    assert_eq!(verdict.models.0, ["*:free", "openrouter/free"]);
    assert_eq!(seconds_until(verdict.until), Some(60.0), "without a header, the provider's midnight");
}

#[test]
fn a_burst_is_to_be_paced_and_a_full_minute_is_not_permanent() {
    let body = r#"{"error":{"message":"Request rate increased too quickly."}}"#;
    let verdict = judged("dashscope", 429, &[], body).expect("a verdict");
    assert!(verdict.pace && !verdict.permanent);
}

#[test]
fn words_that_a_client_put_into_a_400_decide_nothing() {
    for (provider, body) in [
        ("google", r#"{"error":{"message":"Invalid value: 'API key not valid' is not a role"}}"#),
        ("groq", r#"{"error":{"message":"Unknown field `x has been decommissioned`"}}"#),
        ("openrouter", r#"{"error":{"message":"Bad role 'y is not a valid model ID'"}}"#),
    ] {
        assert_eq!(judged(provider, 400, &[], body), None, "{body}");
    }
    // Without quotation marks it may be the provider's own sentence, but nothing permanent follows.
    let unquoted = judged("google", 400, &[], r#"{"error":{"message":"API key not valid. Pass another."}}"#);
    assert!(unquoted.is_some_and(|verdict| !verdict.permanent));
    let gone = r#"{"error":{"message":"The model x has been decommissioned"}}"#;
    let permanent = |status| judged("groq", status, &[], gone).map(|verdict| verdict.permanent);
    assert_eq!((permanent(400), permanent(404)), (Some(false), Some(true)));
    let arrears = judged("zhipu", 0, &[], r#"{"code":"1113","message":"m"}"#);
    assert!(arrears.is_some_and(|verdict| verdict.permanent));
    let named =
        judged("google", 400, &[], r#"{"error":{"message":"m","details":[{"reason":"API_KEY_INVALID"}]}}"#);
    assert!(named.is_some_and(|verdict| verdict.permanent));
}

#[test]
fn a_rule_does_not_speak_of_other_statuses_or_other_providers() {
    let day = r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. ","code":429}}"#;
    assert_eq!(judged("openrouter", 500, &[], day), None);
    assert_eq!(judged("groq", 429, &[], day), None);
    assert_eq!(judged("generic", 429, &[], day), None);
    assert_eq!(
        judged("nvidia", 429, &[], r#"{"error":{"message":"loose words: quota, billing, limit"}}"#),
        None
    );
}

#[test]
fn a_hint_is_capped_by_the_kind_of_limit_and_a_day_ends_at_midnight_whatever_the_delay_says() {
    let minute = |hint| seconds_until(judged("nvidia", 429, &[("retry-after", hint)], "")?.until);
    assert_eq!(minute("5"), None, "NVIDIA's rule names no header");
    let groq = |period: &str, hint| {
        let body = format!(r#"{{"error":{{"message":"on tokens per {period}: Limit 8000, Used 1."}}}}"#);
        seconds_until(judged("groq", 429, &[("retry-after", hint)], &body)?.until)
    };
    assert_eq!(groq("minute (TPM)", "99999999"), Some(3600.0));
    assert_eq!(groq("day (TPD)", "99999999"), Some(26.0 * 3600.0));
    assert_eq!(groq("minute (TPM)", "0"), None);
    assert_eq!(groq("minute (TPM)", "-7"), None);
    assert_eq!(groq("minute (TPM)", "Tue, 06 Oct 2020 00:00:00 GMT"), None);
    assert_eq!(NOW.timestamp().to_string(), "2026-10-06T23:59:00Z");
}
