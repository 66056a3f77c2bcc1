//! The search, and calls that it finds.

use super::*;
use crate::{model::usage::UsageRecord, storage::recording::tests::record, web::browser::Browser};

#[test]
fn credentials_are_told_from_names_and_ids() {
    for secret in ["sk-0123456789abcdefghijklmnopqrstuvwxyz", "nvapi-AbC_def-1234567", "gsk_abcdefgh1234"] {
        assert!(looks_secret(secret), "{secret}");
    }
    for name in [
        "groq",
        "…7f3a",
        "sk-…wxyz",
        "meta-llama/llama-3.3-70b-instruct:free",
        "gpt-4o-mini-2024-07-18",
        "0192f0c1-2a3b-7c4d-8e5f-0123456789ab",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "备用 渠道",
        "REQUEST_TIMEOUT_SECONDS",
    ] {
        assert!(!looks_secret(name), "{name}");
    }
}

#[test]
fn a_question_becomes_an_address() {
    assert_eq!(path("a&b 模"), "/search?q=a%26b+%E6%A8%A1");
    assert_eq!(path(""), "/search");
}

#[tokio::test]
async fn a_call_is_found_by_its_request_id_and_a_turn_with_its_calls_by_their_trace_id() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = |n| UsageRecord { trace_id: Some(TRACE.into()), ..record(n) };
    let browser = Browser::new(&[record(1), traced(2), traced(3)]).await;
    let call = |n: u128| format!("href=\"/log/{}\"", uuid::Uuid::from_u128(n));
    let id = uuid::Uuid::from_u128(1).to_string();
    for id in [id.clone(), id.to_uppercase()] {
        let page = browser.get(&format!("/search?q={id}")).await;
        assert!(page.text.contains(&call(1)) && !page.text.contains(&call(2)), "{}", page.text);
        assert!(page.text.contains("laptop · "), "{}", page.text);
    }
    let page = browser.get(&format!("/search?q={TRACE}")).await;
    for text in [call(2), call(3), format!("href=\"/log/turns/1/{TRACE}\"")] {
        assert!(page.text.contains(&text), "{text}: {}", page.text);
    }
    assert!(!page.text.contains(&call(1)));
    let page = browser.get(&format!("/search?q={}", uuid::Uuid::from_u128(99))).await;
    assert!(page.text.contains("Nothing is called"), "{}", page.text);
}
