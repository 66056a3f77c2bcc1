//! Tokens: who may call, from where, how often, and what each kind of client is told.

use std::{sync::Arc, time::Duration};

use onepool::{
    model::{secret::Secret, time::Clock, token::ClientProfile},
    storage::tokens::NewToken,
};

use crate::support::{
    app::{Reply, TOKEN, TestApp, at, chat},
    upstream::{Fault, Upstream},
};

/// A server with a channel, and a clock that stands still.
async fn start(settings: &[(&str, &str)]) -> (TestApp, Upstream) {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), settings).await;
    let upstream = Upstream::start();
    app.channel("c", &upstream, &["key-1"]).await;
    (app, upstream)
}

fn refused(reply: &Reply) {
    assert_eq!((reply.status, reply.code().as_str()), (401, "invalid_api_key"), "{}", reply.text());
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert!(!reply.text().contains(TOKEN));
}

#[tokio::test]
async fn a_token_is_taken_as_bearer_or_x_api_key() {
    let (app, upstream) = start(&[]).await;
    app.token().await;
    for (name, value) in [
        ("authorization", format!("Bearer {TOKEN}")),
        ("authorization", format!("bearer {TOKEN}")),
        ("authorization", format!("BEARER  {TOKEN}")),
        ("x-api-key", TOKEN.to_owned()),
    ] {
        assert_eq!(
            app.chat_with(|request| request.header(name, &value)).await.status,
            200,
            "{name}: {value}"
        );
    }
    // Some clients send an empty bearer beside the key that they mean.
    let both =
        app.chat_with(|request| request.header("authorization", "Bearer ").header("x-api-key", TOKEN)).await;
    assert_eq!(both.status, 200);
    let basic =
        app.chat_with(|request| request.header("authorization", "Basic abc").header("x-api-key", TOKEN));
    assert_eq!(basic.await.status, 200);
    assert_eq!(upstream.inferences().len(), 6);
    app.stop().await;
}

#[tokio::test]
async fn a_missing_unknown_disabled_or_expired_token_is_a_401_and_reaches_no_upstream() {
    let (app, upstream) = start(&[]).await;
    let id = app.token_with(|token| token.expires_at = Some(app.clock.now() + Duration::from_secs(60))).await;
    refused(&app.chat_with(|request| request).await);
    for value in
        ["sk-unknown", "", "sk-test", &TOKEN[..TOKEN.len() - 1], &format!("{TOKEN}0"), &TOKEN.to_uppercase()]
    {
        refused(&app.chat_with(|request| request.bearer_auth(value)).await);
    }
    let in_query = app
        .http
        .post(app.url(&format!("/v1/chat/completions?api_key={TOKEN}")))
        .json(&chat("m", false, "hi"));
    refused(&Reply::read(in_query.send().await.unwrap()).await);
    refused(&app.chat_with(|request| request.basic_auth(TOKEN, Some(TOKEN))).await);
    assert_eq!(app.chat(false, "hi").await.status, 200);
    app.app.site().db.set_token_enabled(id, false).await.unwrap();
    app.reload().await;
    refused(&app.chat(false, "hi").await);
    app.app.site().db.set_token_enabled(id, true).await.unwrap();
    app.reload().await;
    app.clock.advance(Duration::from_millis(59_999));
    assert_eq!(app.chat(false, "hi").await.status, 200);
    app.clock.advance(Duration::from_millis(1));
    refused(&app.chat(true, "hi").await);
    let models = app.request(reqwest::Method::GET, "/v1/models").send().await.unwrap();
    refused(&Reply::read(models).await);
    assert_eq!(upstream.inferences().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_token_is_refused_at_once_and_its_running_stream_ends_well() {
    let (app, _upstream) = start(&[]).await;
    let id = app.token().await;
    let body = chat("m", true, "marker=abc words=5 delay=50");
    let running =
        app.request(reqwest::Method::POST, "/v1/chat/completions").json(&body).send().await.unwrap();
    app.app.site().db.delete_token(id).await.unwrap();
    app.reload().await;
    refused(&app.chat(false, "hi").await);
    assert!(Reply::read(running).await.done());
    app.stop().await;
}

#[tokio::test]
async fn a_replaced_value_works_for_its_grace_time_and_the_new_one_at_once() {
    let (app, _upstream) = start(&[]).await;
    let id = app.token().await;
    let new = "sk-new00000000000000000000000000000000000000000000000000";
    let db = &app.app.site().db;
    db.rotate_token(id, &Secret::new(new), Duration::from_secs(3600)).await.unwrap();
    app.reload().await;
    let ask = async |value: &str| app.chat_with(|request| request.bearer_auth(value)).await;
    assert_eq!((ask(TOKEN).await.status, ask(new).await.status), (200, 200));
    app.clock.advance(Duration::from_secs(3599));
    assert_eq!(ask(TOKEN).await.status, 200);
    app.clock.advance(Duration::from_secs(1));
    refused(&ask(TOKEN).await);
    assert_eq!(ask(new).await.status, 200);
    let newest = "sk-newest00000000000000000000000000000000000000000000000";
    db.rotate_token(id, &Secret::new(newest), Duration::ZERO).await.unwrap();
    app.reload().await;
    refused(&ask(new).await);
    assert_eq!(ask(newest).await.status, 200);
    let rows = app.rows().await;
    assert!(rows.iter().all(|row| row["token"] == id.0), "one token, whatever its value");
    app.stop().await;
}

const SPOOFS: &[&str] = &[
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "fastly-client-ip",
    "x-forwarded",
    "x-original-forwarded-for",
];

#[tokio::test]
async fn a_token_bound_to_networks_is_refused_elsewhere_whatever_headers_say() {
    let (app, upstream) = start(&[]).await;
    app.token_with(|token| {
        token.cidrs = vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]
    })
    .await;
    let ask = async |name: &str, value: &str| {
        app.chat_with(|request| request.bearer_auth(TOKEN).header(name, value)).await
    };
    for name in SPOOFS {
        for value in ["203.0.113.9", "for=203.0.113.9", "203.0.113.9, 127.0.0.1", "2001:db8::1"] {
            let reply = ask(name, value).await;
            assert_eq!((reply.status, reply.code().as_str()), (403, "ip_not_allowed"), "{name}: {value}");
        }
    }
    assert!(upstream.calls().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_token_bound_to_loopback_works_from_there() {
    let (app, _upstream) = start(&[]).await;
    app.token_with(|token| token.cidrs = vec!["127.0.0.0/8".parse().unwrap()]).await;
    for name in SPOOFS {
        let reply = app.chat_with(|request| request.bearer_auth(TOKEN).header(*name, "198.51.100.7")).await;
        assert_eq!(reply.status, 200, "{name}");
    }
    assert!(app.rows().await.iter().all(|row| row["address"] == "127.0.0.1"));
    app.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_rightmost_address_that_is_not_one_counts() {
    let (app, _upstream) = start(&[("TRUSTED_PROXIES", "127.0.0.1/32,10.0.0.0/8")]).await;
    app.token_with(|token| token.cidrs = vec!["203.0.113.0/24".parse().unwrap()]).await;
    for (forwarded, status) in [
        ("203.0.113.9", 200),
        ("203.0.113.9, 10.1.2.3", 200),
        ("198.51.100.7, 203.0.113.9", 200),
        ("203.0.113.9, 198.51.100.7", 403),
        ("203.0.113.9, nonsense", 403),
        ("203.0.113.9, 198.51.100.7, 10.1.2.3", 403),
        ("", 403),
    ] {
        let reply =
            app.chat_with(|request| request.bearer_auth(TOKEN).header("x-forwarded-for", forwarded)).await;
        assert_eq!(reply.status, status, "{forwarded}");
    }
    for name in SPOOFS.iter().skip(1) {
        let reply = app.chat_with(|request| request.bearer_auth(TOKEN).header(*name, "203.0.113.9")).await;
        assert_eq!(reply.status, 403, "{name} is not believed even from a trusted proxy");
    }
    for row in app.rows().await {
        assert_eq!(row["address"] == "203.0.113.9", row["status"] == 200, "{row}");
    }
    app.stop().await;
}

#[tokio::test]
async fn requests_per_minute_are_counted_and_told() {
    let (app, upstream) = start(&[]).await;
    app.token_with(|token| token.requests_per_minute = Some(3)).await;
    for left in ["2", "1", "0"] {
        let reply = app.chat(left == "1", "hi").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("3"));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        assert!(reply.header("x-ratelimit-reset-requests").is_some());
        app.clock.advance(Duration::from_secs(10));
    }
    let reply = app.chat(false, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "rate_limit_exceeded"));
    assert_eq!(reply.header("retry-after"), Some("30"), "until the oldest of the three is a minute old");
    assert_eq!(reply.header("x-ratelimit-limit-requests"), Some("3"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(upstream.inferences().len(), 3);
    app.clock.advance(Duration::from_secs(30));
    assert_eq!(app.chat(false, "hi").await.status, 200);
    assert_eq!(app.chat(false, "hi").await.status, 429);
    let results: Vec<_> = app.rows().await.iter().map(|row| row["result"].clone()).collect();
    assert_eq!(results, ["token_limit", "ok", "token_limit", "ok", "ok", "ok"]);
    app.stop().await;
}

#[tokio::test]
async fn the_limits_of_one_token_are_not_anothers() {
    let (app, _upstream) = start(&[]).await;
    app.token_with(|token| token.requests_per_minute = Some(1)).await;
    let other = "sk-other000000000000000000000000000000000000000000000000";
    app.app.site().db.create_token(&NewToken::unlimited("other", Secret::new(other))).await.unwrap();
    app.reload().await;
    assert_eq!((app.chat(false, "hi").await.status, app.chat(false, "hi").await.status), (200, 429));
    let reply = app.chat_with(|request| request.bearer_auth(other)).await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("x-ratelimit-limit-requests").is_none());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openclaw_is_never_told_what_makes_it_give_a_provider_up() {
    let faults: Vec<Fault> = Fault::ALL
        .iter()
        .copied()
        .filter(|fault| {
            use crate::support::upstream::fault::Class::*;
            matches!(fault.class(), KeyRefused | ServerError | RateLimited) && fault.applies_to(false)
        })
        .chain([Fault::CloseBeforeHeaders, Fault::Html200, Fault::EmptyCompletion])
        .collect();
    // A limited key that comes back soon is waited for inside the call; not in this one.
    let no_waiting = [("QUEUE_WAIT_SECONDS", "0"), ("QUEUE_WAIT_STREAM_SECONDS", "0")];
    let app = TestApp::start_with(&no_waiting).await;
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    for fault in faults {
        for stream in [false, true] {
            let upstream = Upstream::start();
            upstream.fail_all(fault);
            let channel = app.channel(&format!("{fault:?} {stream}"), &upstream, &["sk-upstream-key"]).await;
            let reply = app.chat(stream, "hi").await;
            assert_eq!(reply.status, 429, "{fault:?}: {}", reply.text());
            let wait: u64 = reply.header("retry-after").expect("a Retry-After").parse().unwrap();
            assert!(wait > 60, "{fault:?}: {wait}");
            let text = reply.text().to_lowercase();
            for word in
                ["insufficient_quota", "billing", "credit", "quota", "401", "402", "403", "invalid_api_key"]
            {
                assert!(!without_request_id(&text).contains(word), "{fault:?}: {word} in {text}");
            }
            app.app.site().db.delete_channel(channel).await.unwrap();
            app.reload().await;
        }
    }
    app.stop().await;
}

/// An id may hold any digits.
fn without_request_id(text: &str) -> String {
    text.split("(request id").next().unwrap_or_default().to_owned()
        + text.split_once(')').map_or("", |(_, rest)| rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_openclaw_call_waits_for_a_limited_key_instead_of_failing() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    app.channel("c", &upstream, &["key-1"]).await;
    upstream.fail_next([Some(Fault::RateLimitedMs)]);
    let reply = app.chat(false, "marker=abc words=2").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.inferences().len(), 2);
    let row = &app.rows().await[0];
    let attempts: Vec<_> =
        row["attempts"].as_array().unwrap().iter().map(|attempt| attempt["class"].clone()).collect();
    assert_eq!(attempts, ["rate_limited", "success"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_for_a_limited_key_does_not_go_back_to_one_that_failed() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| token.profile = ClientProfile::OpenClaw).await;
    app.channel_with("first", &upstream.base_url(), &["key-bad"], |channel| channel.priority = 1).await;
    app.channel("second", &upstream, &["key-limited"]).await;
    // An empty answer rests nothing, so only the call's own memory keeps it from asking that key again.
    upstream.fail_next([Some(Fault::EmptyCompletion), Some(Fault::RateLimitedMs)]);
    let reply = app.chat(false, "marker=abc words=2").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let keys: Vec<_> = upstream.inferences().iter().map(|call| call.key.clone().unwrap()).collect();
    assert_eq!(keys, ["key-bad", "key-limited", "key-limited"]);
    app.stop().await;
}
