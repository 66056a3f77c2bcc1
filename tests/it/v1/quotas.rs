//! Quotas: reserved before a call, settled after it, never overspent.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use onepool::{
    model::{
        id::TokenId,
        time::Clock,
        token::{ClientProfile, Quota, QuotaReset, QuotaUnit},
        usage::Endpoint,
    },
    protocol::envelope::Envelope,
};
use serde_json::json;

use crate::support::{
    app::{TestApp, at, chat, model, number},
    raw::{self, Gate, Raw},
    upstream::{Fault, Upstream},
};

const CHAT: &str = "/v1/chat/completions";
const SPENT: &str = "SELECT COALESCE(SUM(spent), 0) FROM token_spending";

fn quota(unit: QuotaUnit, limit: i64, reset: QuotaReset) -> Option<Quota> {
    Some(Quota::new(unit, limit, reset))
}

async fn set_quota(app: &TestApp, id: TokenId, quota: Option<Quota>) {
    let mut token = app.app.site().db.find_token(id).await.unwrap().unwrap();
    token.quota = quota;
    app.app.site().db.update_token(&token).await.unwrap();
    app.reload().await;
}

/// 200 calls at once on a quota that has room for ten and a half reservations: ten are sent, 190 refused, and what is
/// booked is within the limit.
async fn ten_and_a_half(unit: QuotaUnit, max_tokens: Option<u64>) {
    let app = TestApp::start().await;
    let gate = Gate::default();
    let upstream = Raw::answer({
        let gate = gate.clone();
        move |_, socket| {
            gate.wait();
            let message = json!({"role": "assistant", "content": "hello"});
            let usage = json!({"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16});
            let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage});
            raw::write_json(socket, &body.to_string());
        }
    });
    app.channel_with("c", &upstream.base_url(), &["key-1", "key-2"], |_| {}).await;
    let mut body = chat("m", false, "hi there, how are you?");
    if let Some(max_tokens) = max_tokens {
        body["max_tokens"] = max_tokens.into();
    }
    let estimate = Envelope::read(Endpoint::Chat, body.to_string().into()).unwrap().prompt_estimate() as i64;
    let prompt = estimate + estimate * 15 / 100 + 8;
    // Without a limit of its own the model's counts.
    let output = max_tokens.unwrap_or(1000) as i64;
    let limit = match unit {
        QuotaUnit::Requests => 10,
        QuotaUnit::Tokens => (prompt + output) * 21 / 2,
        QuotaUnit::Dollars => (prompt + 2 * output) * 21 / 2,
    };
    app.token_with(|token| token.quota = quota(unit, limit, QuotaReset::Never)).await;

    let mut calls: FuturesUnordered<_> = (0..200).map(|_| app.post(CHAT, &body)).collect();
    for _ in 0..190 {
        let reply = tokio::time::timeout(Duration::from_secs(120), calls.next())
            .await
            .expect("190 calls are refused while ten are under way")
            .unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (429, "insufficient_quota"), "{}", reply.text());
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert!(reply.header("retry-after").is_some());
    }
    gate.open();
    let served: Vec<u16> = calls.map(|reply| reply.status).collect().await;
    assert_eq!(served, [200; 10]);
    let rows = app.rows().await;
    assert_eq!(rows.len(), 200);
    let spent = number(&app.database(), SPENT).await;
    let each = match unit {
        QuotaUnit::Requests => 1,
        QuotaUnit::Tokens => 16,
        QuotaUnit::Dollars => 9 + 2 * 7,
    };
    assert_eq!(spent, 10 * each, "the counter is what was served");
    assert!(spent <= limit);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_never_pass_a_quota_of_requests() {
    ten_and_a_half(QuotaUnit::Requests, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_never_pass_a_quota_of_tokens() {
    ten_and_a_half(QuotaUnit::Tokens, Some(50)).await;
    ten_and_a_half(QuotaUnit::Tokens, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_calls_never_pass_a_quota_of_dollars() {
    ten_and_a_half(QuotaUnit::Dollars, Some(50)).await;
    ten_and_a_half(QuotaUnit::Dollars, None).await;
}

#[tokio::test]
async fn a_failed_call_costs_nothing_and_gives_its_room_back() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    app.token_with(|token| token.quota = quota(QuotaUnit::Requests, 1, QuotaReset::Never)).await;
    for fault in [Fault::BadRequest, Fault::EmptyCompletion, Fault::EmptyCompletion, Fault::Status503] {
        for stream in [true, false] {
            upstream.fail_next([Some(fault)]);
            assert_ne!(app.chat(stream, "hi").await.status, 200, "{fault:?}");
        }
    }
    assert!(app.rows().await.iter().all(|row| row["cost"] == 0 && row["completion"] == 0));
    assert_eq!(number(&app.database(), SPENT).await, 0);
    assert_eq!(app.chat(false, "hi").await.status, 200, "the room for one call is still there");
    assert_eq!(app.chat(false, "hi").await.status, 429);
    app.rows().await;
    assert_eq!(number(&app.database(), SPENT).await, 1);
    app.stop().await;
}

#[tokio::test]
async fn a_token_that_counts_dollars_is_refused_a_model_without_a_price() {
    let (app, priced, free) = (TestApp::start().await, Upstream::start(), Upstream::start());
    app.channel_with("free", &free.base_url(), &["key-1"], |channel| {
        channel.priority = 9;
        for name in ["m", "n"] {
            channel.models.retain(|model| model.name != name);
            let mut model = model(name);
            model.price = None;
            channel.models.push(model);
        }
    })
    .await;
    app.channel("priced", &priced, &["key-2"]).await;
    let id =
        app.token_with(|token| token.quota = quota(QuotaUnit::Dollars, 1_000_000, QuotaReset::Never)).await;
    let refused = app.post(CHAT, &chat("n", false, "hi")).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "model_without_price"));
    assert_eq!(app.chat(false, "hi").await.status, 200, "another channel has a price for this one");
    assert_eq!((free.calls().len(), priced.calls().len()), (0, 1));

    let mut token = app.app.site().db.find_token(id).await.unwrap().unwrap();
    token.profile = ClientProfile::OpenClaw;
    app.app.site().db.update_token(&token).await.unwrap();
    app.reload().await;
    assert_eq!(app.post(CHAT, &chat("n", false, "hi")).await.status, 404);
    set_quota(&app, id, quota(QuotaUnit::Tokens, 1_000_000, QuotaReset::Never)).await;
    assert_eq!(app.post(CHAT, &chat("n", false, "hi")).await.status, 200, "tokens need no price");
    app.stop().await;
}

#[tokio::test]
async fn a_daily_quota_starts_anew_at_local_midnight() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    // Shanghai is eight hours ahead: its day ends at 16:00 UTC.
    let clock = Clock::manual(at("2026-11-20T15:59:00Z"));
    let app = TestApp::start_in(data, clock, &[("TZ", "Asia/Shanghai")]).await;
    let upstream = Upstream::start();
    app.channel("c", &upstream, &["key-1"]).await;
    let id = app.token_with(|token| token.quota = quota(QuotaUnit::Requests, 1, QuotaReset::Day)).await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    let over = app.chat(false, "hi").await;
    assert_eq!((over.status, over.header("retry-after")), (429, Some("60")));
    app.clock.advance(Duration::from_millis(59_999));
    assert_eq!(app.chat(false, "hi").await.status, 429);
    app.clock.advance(Duration::from_millis(1));
    assert_eq!(app.chat(false, "hi").await.status, 200);
    assert_eq!(app.chat(false, "hi").await.status, 429);
    // 20 November 2026 is a Friday: a week ends on Sunday night, the month ten days later.
    set_quota(&app, id, quota(QuotaUnit::Requests, 2, QuotaReset::Week)).await;
    assert_eq!((app.chat(false, "hi").await.status, app.chat(false, "hi").await.status), (200, 200));
    let over = app.chat(false, "hi").await;
    assert_eq!(over.header("retry-after"), Some((2 * 86_400).to_string().as_str()), "{}", over.text());
    app.stop().await;
}

#[tokio::test]
async fn what_was_spent_survives_a_restart_exactly() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    let id = app.token_with(|token| token.quota = quota(QuotaUnit::Requests, 5, QuotaReset::Never)).await;
    for call in 0..3 {
        assert_eq!(app.chat(call == 1, "marker=abc words=3").await.status, 200);
    }
    let clock = app.clock.clone();
    let app = TestApp::start_in(app.stop().await, clock, &[]).await;
    let statuses = [app.chat(false, "hi").await, app.chat(true, "hi").await, app.chat(false, "hi").await];
    assert_eq!(statuses.map(|reply| reply.status), [200, 200, 429]);
    app.rows().await;
    assert_eq!(number(&app.database(), SPENT).await, 5);

    set_quota(&app, id, quota(QuotaUnit::Tokens, 1_000_000, QuotaReset::Never)).await;
    for call in 0..4 {
        assert_eq!(app.chat(call % 2 == 0, "marker=abc words=3").await.status, 200);
    }
    let clock = app.clock.clone();
    let app = TestApp::start_in(app.stop().await, clock, &[]).await;
    let spent = number(&app.database(), "SELECT SUM(spent) FROM token_spending WHERE unit = 'tokens'").await;
    // Two words of prompt, three words and the last piece of answer.
    assert_eq!(spent, 4 * (2 + 4));
    set_quota(&app, id, quota(QuotaUnit::Tokens, spent, QuotaReset::Never)).await;
    assert_eq!(app.chat(false, "hi").await.status, 429, "all of it is spent");
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_charged_for_what_it_got() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.channel("c", &upstream, &["key-1"]).await;
    app.token_with(|token| token.quota = quota(QuotaUnit::Tokens, 1_000_000, QuotaReset::Never)).await;
    let body = chat("m", true, "marker=abc words=100000 delay=50");
    let mut response = app.request(reqwest::Method::POST, CHAT).json(&body).send().await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    crate::support::app::eventually("a row", async || app.rows().await.len() == 1).await;
    let row = app.rows().await.remove(0);
    let counted = row["prompt"].as_i64().unwrap() + row["completion"].as_i64().unwrap();
    assert!(counted > 0);
    assert_eq!(number(&app.database(), SPENT).await, counted);
    app.stop().await;
}
