//! What real refusals are taken for.

use proptest::prelude::*;

use crate::{
    model::usage::OutcomeClass::{self, *},
    provider::Providers,
};

use super::{LimitPeriod::*, RestScope::*, *};

const NOW: UnixMs = UnixMs(1_791_331_140_000);

fn told(status: u16, headers: &[(&'static str, &str)], body: &str) -> Outcome {
    told_by(None, status, headers, body)
}

fn told_by(provider: Option<&str>, status: u16, headers: &[(&'static str, &str)], body: &str) -> Outcome {
    let providers = Providers::embedded();
    let provider = provider.map(|id| &**providers.find(id).expect("a known provider"));
    let headers = headers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
        .collect();
    classify(&Answered { status, headers: &headers, body: body.as_bytes(), provider, now: NOW, secrets: &[] })
}

fn class(status: u16, body: &str) -> (OutcomeClass, RestScope) {
    let outcome = told(status, &[], body);
    (outcome.class, outcome.scope)
}

#[test]
fn a_429_is_told_apart_by_its_words() {
    for (body, expected, period) in [
        (r#"{"status":429,"title":"Too Many Requests"}"#, (RateLimited, KeyModel), None),
        ("", (RateLimited, KeyModel), None),
        (
            r#"{"error":{"message":"Rate limit exceeded: free-models-per-day. Add 10 credits","code":429}}"#,
            (RateLimited, Group),
            Some(Day),
        ),
        (
            r#"{"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429}}"#,
            (RateLimited, Group),
            Some(Minute),
        ),
        (
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream","provider_name":"Venice"}}}"#,
            (RateLimited, ChannelModel),
            None,
        ),
        (
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","code":"insufficient_quota"}}"#,
            (OutOfCredit, Group),
            None,
        ),
        (
            r#"{"error":{"message":"Rate limit reached for model `m` in organization `org_x` on tokens per minute (TPM): Limit 8000, Used 6644. Need more tokens? Upgrade at https://console.groq.com/settings/billing","type":"tokens","code":"rate_limit_exceeded"}}"#,
            (RateLimited, KeyModel),
            Some(Minute),
        ),
        (
            r#"[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"38s"}]}}]"#,
            (RateLimited, KeyModel),
            Some(Day),
        ),
        (
            r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#,
            (RateLimited, ChannelModel),
            None,
        ),
        (
            r#"{"errors":{"message":"You have exceeded today's quota for model X, please try again tomorrow"}}"#,
            (RateLimited, KeyModel),
            Some(Day),
        ),
        (r#"{"error":{"message":"insufficient balance (1008)"}}"#, (ModelUnavailable, ChannelModel), None),
        (r#"{"error":{"code":"1113","message":"您的账户已欠费"}}"#, (OutOfCredit, Group), None),
        (r#"{"error":{"code":"1305","message":"busy"}}"#, (RateLimited, ChannelModel), None),
        (
            r#"{"message":"Service tier capacity exceeded for this model."}"#,
            (RateLimited, ChannelModel),
            None,
        ),
        (
            r#"{"message":"Request was rejected due to rate limiting. Details:TPM limit reached.","data":null}"#,
            (RateLimited, KeyModel),
            Some(Minute),
        ),
        (
            r#"{"errors":[{"code":3036,"message":"you have used up your daily free allocation of 10,000 neurons"}]}"#,
            (RateLimited, Group),
            Some(Day),
        ),
    ] {
        let outcome = told(429, &[], body);
        assert_eq!((outcome.class, outcome.scope), expected, "{body}");
        assert_eq!(outcome.period, period, "{body}");
        assert!(!outcome.pass_through);
    }
}

#[test]
fn what_only_one_clients_request_is_too_large_for_rests_nothing() {
    for (status, message, expected) in [
        (
            429,
            "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 35000.",
            ModelUnavailable,
        ),
        (
            402,
            "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only \
             afford 1200.",
            OutOfCredit,
        ),
        (404, "No allowed providers are available for the selected model.", ModelUnavailable),
    ] {
        let body = serde_json::json!({ "error": { "message": message } }).to_string();
        assert_eq!(class(status, &body), (expected, Request), "{message}");
    }
}

#[test]
fn a_free_key_without_any_allowance_is_out_of_credit() {
    let outcome = told(429, &[("x-ratelimit-limit-req-minute", "0")], r#"{"message":"Rate limit exceeded"}"#);
    assert_eq!((outcome.class, outcome.scope, outcome.permanent), (OutOfCredit, Key, true));
}

#[test]
fn credentials_and_accounts_are_told_apart() {
    for (status, body, expected) in [
        (401, "\"Invalid token\"", (KeyInvalid, Key)),
        (
            401,
            r#"{"error":{"message":"Please bind your Alibaba Cloud account before use."}}"#,
            (KeyInvalid, Key),
        ),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, (OutOfCredit, Group)),
        (402, "", (OutOfCredit, Group)),
        (
            402,
            r#"{"error":{"message":"busy","metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#,
            (RateLimited, Group),
        ),
        (403, r#"{"status":403,"title":"Forbidden","detail":"Authorization failed"}"#, (KeyInvalid, Key)),
        (
            403,
            r#"{"error":{"message":"You are not allowed to use this model"}}"#,
            (ModelUnavailable, KeyModel),
        ),
        (
            403,
            r#"{"code":"AccessDenied.Unpurchased","message":"Access denied"}"#,
            (ModelUnavailable, KeyModel),
        ),
        (403, r#"{"code":"AllocationQuota.FreeTierOnly","message":"free tier"}"#, (OutOfCredit, KeyModel)),
        (
            403,
            r#"{"code":30001,"message":"Sorry, your account balance is insufficient"}"#,
            (OutOfCredit, Group),
        ),
        (403, r#"{"error":{"code":"unsupported_country_region_territory"}}"#, (HostError, Channel)),
        (403, r#"{"error":{"message":"Your input was flagged"}}"#, (ClientError, Request)),
        (403, "<html><title>Attention Required! | Cloudflare</title>", (HostError, Channel)),
    ] {
        assert_eq!(class(status, body), expected, "{status} {body}");
        assert!(!told(status, &[], body).pass_through, "{body}");
    }
}

#[test]
fn a_missing_model_rests_the_model_or_the_key_for_it() {
    for (status, body, expected) in [
        (404, "404 page not found", (ModelUnavailable, ChannelModel)),
        (404, "", (ModelUnavailable, ChannelModel)),
        (404, r#"{"detail":"Not Found"}"#, (ModelUnavailable, ChannelModel)),
        (
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function '1-2': Not found for account 'a'"}"#,
            (ModelUnavailable, KeyModel),
        ),
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist or you do not have access to it."}}"#,
            (ModelUnavailable, KeyModel),
        ),
        (
            404,
            r#"{"error":{"message":"No endpoints found that support tool use."}}"#,
            (ModelUnavailable, Request),
        ),
        (410, r#"{"detail":"has reached its end of life"}"#, (ModelUnavailable, ChannelModel)),
        (
            400,
            r#"{"error":{"message":"acme/fake-1.0 is not a valid model ID"}}"#,
            (ModelUnavailable, ChannelModel),
        ),
        (400, r#"{"error":{"message":"The model `x` does not exist"}}"#, (ModelUnavailable, ChannelModel)),
        (400, r#"{"detail":"DEGRADED function cannot be invoked"}"#, (ModelUnavailable, ChannelModel)),
    ] {
        assert_eq!(class(status, body), expected, "{status} {body}");
    }
}

#[test]
fn a_request_at_fault_passes_through_and_rests_nothing() {
    for (status, body) in [
        (400, r#"{"error":{"message":"Unsupported parameter: tool_stream"}}"#),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#,
        ),
        (400, ""),
        (413, "<html><title>413 Request Entity Too Large</title>"),
        (422, r#"{"detail":[{"loc":["body","messages"],"msg":"Field required"}]}"#),
    ] {
        let outcome = told(status, &[("retry-after", "9")], body);
        assert_eq!((outcome.class, outcome.scope), (ClientError, Request), "{body}");
        assert!(outcome.pass_through && outcome.rest_for.is_none());
    }
}

#[test]
fn a_400_that_speaks_of_keys_or_limits_is_not_the_clients_fault() {
    for (status, body, expected) in [
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            (KeyInvalid, Key),
        ),
        (400, r#"{"error":{"message":"Rate limit exceeded"}}"#, (RateLimited, KeyModel)),
        (
            400,
            r#"{"error":{"message":"Your credit balance is too low to access the API"}}"#,
            (OutOfCredit, Group),
        ),
        (400, r#"{"code":"Arrearage","message":"Access denied"}"#, (OutOfCredit, Group)),
        (
            400,
            r#"[{"error":{"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}]"#,
            (HostError, Channel),
        ),
        (
            413,
            r#"{"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 8000, Requested 9000"}}"#,
            (ModelUnavailable, Request),
        ),
        (400, "<html><title>400 Bad Request</title>", (HostError, ChannelModel)),
    ] {
        let outcome = told(status, &[], body);
        assert_eq!((outcome.class, outcome.scope), expected, "{body}");
        assert!(!outcome.pass_through);
    }
}

#[test]
fn words_that_the_client_put_into_a_400_do_not_disable_a_key() {
    for quoted in [
        "'Incorrect API key provided'",
        "`rate limit`",
        "\\\"insufficient_quota\\\"",
        "'it's an invalid api key",
    ] {
        let body = format!(
            r#"{{"error":{{"message":"Invalid value: {quoted}. Supported values are: 'none', 'auto'"}}}}"#
        );
        assert_eq!(class(400, &body), (ClientError, Request), "{body}");
    }
    let unquoted = told(400, &[], r#"{"error":{"message":"Invalid role: invalid api key"}}"#);
    assert!(!unquoted.permanent, "a phrase alone must not disable a key");
    let named = told(
        400,
        &[],
        r#"{"error":{"message":"API key not valid","details":[{"reason":"API_KEY_INVALID"}]}}"#,
    );
    assert_eq!((named.class, named.permanent), (KeyInvalid, true));
}

#[test]
fn a_failing_host_rests_no_more_than_it_must() {
    for (status, body, scope) in [
        (500, "", ChannelModel),
        (502, "<html>", ChannelModel),
        (503, r#"{"error":{"message":"The model is overloaded."}}"#, ChannelModel),
        (
            503,
            r#"{"error":{"message":"ResourceExhausted: Worker local total request limit reached (16/16)","code":503}}"#,
            ChannelModel,
        ),
        (504, "", ChannelModel),
        (520, "", ChannelModel),
        (521, "", Channel),
        (524, "", ChannelModel),
        (529, "", ChannelModel),
        (999, "", ChannelModel),
        (408, "", ChannelModel),
        (409, "", ChannelModel),
        (425, "", ChannelModel),
        (204, "", ChannelModel),
        (302, "", Channel),
    ] {
        assert_eq!(class(status, body), (HostError, scope), "{status} {body}");
    }
    assert_eq!(class(503, r#"{"error":{"message":"Too many requests"}}"#), (RateLimited, KeyModel));
    assert_eq!(class(500, r#"{"detail":"failed to decode json body"}"#), (ClientError, Request));
    assert_eq!(class(418, ""), (Ambiguous, Request));
    assert_eq!(class(200, "{}"), (Success, Request));
}

#[test]
fn a_hint_is_capped_by_the_kind_of_limit() {
    let rest = |hint: &str, body: &str| {
        told(429, &[("retry-after", hint)], body).rest_for.map(|rest| rest.as_secs())
    };
    assert_eq!(rest("17", ""), Some(17));
    assert_eq!(rest("999999", ""), Some(3600));
    assert_eq!(rest("999999", r#"{"error":"daily limit"}"#), Some(26 * 3600));
    assert_eq!(rest("38", r#"{"error":"daily limit"}"#), None);
    assert_eq!(rest("nonsense", ""), None);
    let groq = r#"{"error":{"message":"Rate limit reached on tokens per day (TPD): Limit 200000. Please try again in 30.5s."}}"#;
    assert_eq!(told(429, &[], groq).rest_for, Some(Duration::from_millis(30_500)));
    let google = r#"[{"error":{"details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"300s"}]}}]"#;
    assert_eq!(told(429, &[], google).rest_for, None);
    let openrouter = r#"{"error":{"message":"Rate limit exceeded: free-models-per-day","code":429,"metadata":{"headers":{"X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1791417540000"}}}}"#;
    assert_eq!(told(429, &[], openrouter).rest_for, Some(Duration::from_secs(86_400)));
    assert_eq!(told(401, &[("retry-after", "17")], "").rest_for, None);
    assert_eq!(told(503, &[("retry-after", "17")], "").rest_for, Some(Duration::from_secs(17)));
}

#[test]
fn errors_inside_a_200_mean_what_they_name() {
    let in_band = |raw: &'static str, status| {
        let error = InBandError { status, code: None, kind: None, message: "x".to_owned(), raw: raw.into() };
        let outcome = classify_in_band(&error, None, NOW, &[]);
        (outcome.class, outcome.scope)
    };
    for (raw, status, expected) in [
        (r#"{"message":"slow down","code":429}"#, Some(429), (RateLimited, KeyModel)),
        (r#"{"message":"Rate limit exceeded"}"#, None, (RateLimited, KeyModel)),
        (
            r#"{"message":"Provider returned error","code":429,"metadata":{"provider_name":"V","raw":"r"}}"#,
            Some(429),
            (RateLimited, ChannelModel),
        ),
        (r#"{"message":"no","code":401}"#, Some(401), (KeyInvalid, Key)),
        (
            r#"{"message":"ResourceExhausted: Worker local total request limit reached (16/16)","code":503}"#,
            Some(503),
            (HostError, ChannelModel),
        ),
        (r#"{"message":"bad","type":"invalid_request_error"}"#, None, (ClientError, Request)),
        (r#"{"message":"prompt is too long: 9 tokens"}"#, None, (ClientError, Request)),
        ("", None, (HostError, ChannelModel)),
    ] {
        assert_eq!(in_band(raw, status), expected, "{raw}");
    }
}

#[test]
fn the_providers_own_rules_come_before_those_for_any_vendor() {
    // OpenAI's code for an empty account; at DashScope the tokens of this minute, at ModelScope a passing state.
    let body = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details."}}"#;
    for (provider, expected, permanent) in [
        (None, (OutOfCredit, Group), true),
        (Some("generic"), (OutOfCredit, Group), true),
        (Some("dashscope"), (RateLimited, GroupModel), false),
        (Some("modelscope"), (RateLimited, Group), false),
    ] {
        let outcome = told_by(provider, 429, &[], body);
        assert_eq!((outcome.class, outcome.scope), expected, "{provider:?}");
        assert_eq!(outcome.permanent, permanent, "{provider:?}");
    }
    let dashscope = told_by(Some("dashscope"), 429, &[], body);
    assert_eq!(dashscope.rest_for, Some(Duration::from_secs(60)));
    let rule = dashscope.told.expect("the provider's rule");
    assert_eq!((rule.rule.as_str(), rule.scope), ("tokens", crate::provider::Scope::GroupModel));
}

#[test]
fn a_daily_limit_rests_until_the_providers_midnight() {
    let google = r#"[{"error":{"code":429,"message":"m","details":[{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]},{"retryDelay":"38s"}]}}]"#;
    // From 16:59 to midnight in Los Angeles.
    assert_eq!(told_by(Some("google"), 429, &[], google).rest_for, Some(Duration::from_secs(25_260)));
    assert_eq!(told(429, &[], google).rest_for, None);
}

#[test]
fn what_the_providers_rules_do_not_speak_of_is_told_by_status_and_text() {
    for (status, body) in [(500, ""), (418, ""), (429, r#"{"error":{"message":"slow down"}}"#)] {
        let general = told(status, &[("retry-after", "9")], body);
        assert_eq!(told_by(Some("google"), status, &[("retry-after", "9")], body), general);
        assert!(general.told.is_none());
    }
    // A rule without an end of its own leaves the answer's hint in force.
    let nvidia = told_by(
        Some("nvidia"),
        429,
        &[("retry-after", "9")],
        r#"{"status":429,"title":"Too Many Requests"}"#,
    );
    assert_eq!((nvidia.scope, nvidia.rest_for), (Key, Some(Duration::from_secs(9))));
}

#[test]
fn a_request_at_fault_by_the_providers_rule_passes_through() {
    let zhipu = told_by(Some("zhipu"), 400, &[], r#"{"error":{"code":"1261","message":"Prompt 超长"}}"#);
    assert_eq!((zhipu.class, zhipu.pass_through, zhipu.rest_for), (ClientError, true, None));
}

#[test]
fn an_error_inside_a_200_is_judged_by_the_provider_too() {
    let providers = Providers::embedded();
    let raw =
        r#"{"message":"ResourceExhausted: Worker local total request limit reached (16/16)","code":503}"#;
    let error =
        InBandError { status: Some(503), code: None, kind: None, message: "x".to_owned(), raw: raw.into() };
    let nvidia = providers.find("nvidia").map(|provider| &**provider);
    let outcome = classify_in_band(&error, nvidia, NOW, &[]);
    assert_eq!((outcome.class, outcome.scope), (RateLimited, ChannelModel));
    assert_eq!(outcome.period, Some(Concurrent));
}

#[test]
fn bad_answers_are_the_hosts_fault_and_an_empty_one_rests_nothing() {
    for (bad, scope) in [
        (BadAnswer::Empty, Request),
        (BadAnswer::Html, Channel),
        (BadAnswer::NotJson, ChannelModel),
        (BadAnswer::Stream, ChannelModel),
    ] {
        let outcome = classify_bad_answer(&bad, None, NOW, &[]);
        assert_eq!((outcome.class, outcome.scope, outcome.pass_through), (HostError, scope, false));
    }
}

#[test]
fn the_detail_is_short_and_holds_no_credential() {
    let secret = Secret::new("correct-horse-battery");
    let body = format!(
        r#"{{"error":{{"message":"Incorrect API key provided: sk-abcdef123456\n correct-horse-battery {}"}}}}"#,
        "x".repeat(5000)
    );
    let headers = HeaderMap::new();
    let outcome = classify(&Answered {
        status: 401,
        headers: &headers,
        body: body.as_bytes(),
        provider: None,
        now: NOW,
        secrets: &[&secret],
    });
    assert!(outcome.detail.starts_with("401: Incorrect API key provided: [masked]"), "{}", outcome.detail);
    assert!(!outcome.detail.contains("horse") && !outcome.detail.contains('\n'));
    assert_eq!(outcome.detail.chars().count(), 300);
    assert_eq!(told(500, &[], "").detail, "500 without a message");
}

#[test]
fn a_clients_error_text_is_openais_shape_without_credentials_and_links() {
    let text = |status, body: &str| sanitized_client_error(status, body.as_bytes(), &[]);
    let plain = text(
        400,
        r#"{"error":{"message":"Bad\nvalue\u0007 for key sk-abcdef123456, see https://x.y/z","param":"messages[0].content","code":"invalid_value"}}"#,
    );
    assert_eq!(plain.message, "Bad value for key [masked], see [link]");
    assert_eq!(
        (plain.param.as_deref(), plain.code.as_deref()),
        (Some("messages[0].content"), Some("invalid_value"))
    );
    let fastapi = text(422, r#"{"detail":[{"loc":["body","messages",0,"role"],"msg":"Field required"}]}"#);
    assert_eq!(
        (fastapi.message.as_str(), fastapi.param.as_deref()),
        ("messages.0.role: Field required", Some("messages.0.role"))
    );
    assert_eq!(text(400, "<html><body>nginx").message, "The upstream refused the request as invalid.");
    assert_eq!(text(413, "").message, "The request is too large for the model.");
    assert_eq!(text(400, &format!("\"{}\"", "長".repeat(3000))).message.chars().count(), 1000);
    assert_eq!(text(400, r#"{"error":{"message":"x","code":"<script>","param":"a b"}}"#).code, None);
}

#[test]
fn a_prompt_that_is_too_long_gets_openais_code_and_words() {
    for (body, message) in [
        (
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.","code":400}}"#,
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
        ),
        (
            r#"{"error":{"message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
            "This model's maximum context length is exceeded. prompt is too long: 9 tokens > 8 maximum",
        ),
    ] {
        let text = sanitized_client_error(400, body.as_bytes(), &[]);
        assert_eq!((text.message.as_str(), text.code.as_deref()), (message, Some("context_length_exceeded")));
    }
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(
        status in 100_u16..1000,
        body in prop::collection::vec(any::<u8>(), 0..200),
        text in ".{0,100}",
        hint in "[0-9a-zA-Z.:, -]{0,30}",
    ) {
        let headers: HeaderMap = ["retry-after", "x-ratelimit-reset", "date"]
            .into_iter()
            .map(|name| (http::HeaderName::from_static(name), hint.parse().unwrap()))
            .collect();
        for body in [&body[..], text.as_bytes(), format!(r#"{{"error":{{"message":{text:?}}}}}"#).as_bytes()] {
            let outcome = classify(&Answered { status, headers: &headers, body, provider: None, now: NOW, secrets: &[] });
            prop_assert!(outcome.detail.chars().count() <= 300);
            prop_assert!(outcome.rest_for.is_none_or(|rest| rest <= MAX_LONG_REST));
            prop_assert!(!outcome.pass_through || matches!(status, 400 | 413 | 422));
            prop_assert!(sanitized_client_error(status, body, &[]).message.chars().count() <= 1000);
        }
    }
}
