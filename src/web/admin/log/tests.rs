//! The log as an operator's browser sees it.

use axum::{body::Body, http::Request};
use tower::ServiceExt;

use crate::{
    model::usage::{CallResult, UsageRecord},
    storage::recording::tests::record,
    web::browser::{Browser, Page},
};

/// The request ids on a page, in their order.
fn calls_on(page: &Page) -> Vec<u128> {
    let ids = page.text.split("href=\"/log/").skip(1);
    ids.map(|rest| rest.split('"').next().unwrap().parse::<uuid::Uuid>().unwrap().as_u128()).collect()
}

fn link(page: &Page, rel: &str) -> Option<String> {
    let before = page.text.split(&format!("rel=\"{rel}\" href=\"")).nth(1)?;
    Some(before.split('"').next()?.replace("&#38;", "&"))
}

#[tokio::test]
async fn the_log_pages_through_all_calls_and_back() {
    let browser = Browser::new(&(1..=120).map(record).collect::<Vec<_>>()).await;
    let first = browser.get("/log?token=1").await;
    assert_eq!(calls_on(&first), (71..=120).rev().collect::<Vec<_>>());
    assert_eq!(link(&first, "prev"), None);
    let second = browser.get(&link(&first, "next").unwrap()).await;
    assert_eq!(calls_on(&second), (21..=70).rev().collect::<Vec<_>>());
    let last = browser.get(&link(&second, "next").unwrap()).await;
    assert_eq!(calls_on(&last), (1..=20).rev().collect::<Vec<_>>());
    assert_eq!(link(&last, "next"), None);
    let back = browser.get(&link(&last, "prev").unwrap()).await;
    assert_eq!(calls_on(&back), calls_on(&second));
    let newest = browser.get(&link(&back, "prev").unwrap()).await;
    assert_eq!(calls_on(&newest), calls_on(&first));
}

#[tokio::test]
async fn a_row_shows_what_a_call_used_and_escapes_what_clients_and_operators_wrote() {
    let failed = UsageRecord {
        status: 429,
        result: CallResult::PoolExhausted,
        asked_model: "<script>alert(1)</script>".into(),
        ..record(3)
    };
    let browser = Browser::new(&[failed]).await;
    let page = browser.get("/log").await;
    assert_eq!(page.status, 200);
    for text in [
        "laptop",
        "Groq &#60;free&#62;",
        "…bbbb",
        "deleted",
        "429",
        "pool exhausted",
        "≈ 10 / 3",
        "1 min ago",
    ] {
        assert!(page.text.contains(text), "{text}");
    }
    assert!(!page.text.contains("<script>alert"));
    assert!(!page.text.contains("style="), "styles in attributes are blocked by the policy");
    assert!(browser.get_in("/log", "zh").await.text.contains("号池耗尽"));
}

#[tokio::test]
async fn a_wrong_filter_keeps_what_was_typed_and_says_what_is_wrong() {
    let browser = Browser::new(&[record(1)]).await;
    let page = browser.get("/log?status=many&model=lla*").await;
    assert_eq!(page.status, 422);
    assert!(page.text.contains(r#"value="many""#) && page.text.contains(r#"value="lla*""#));
    assert!(page.text.contains(r#"id="status-error""#));
    assert!(calls_on(&page).is_empty());
}

#[tokio::test]
async fn an_empty_log_says_what_to_do_and_an_empty_search_how_to_leave_it() {
    let browser = Browser::new(&[]).await;
    assert!(browser.get("/log").await.text.contains("No calls yet"));
    let page = browser.get("/log?q=nothing").await;
    assert!(page.text.contains("No call matches these filters.") && page.text.contains(r#"href="/log""#));
}

#[tokio::test]
async fn a_calls_page_draws_its_attempts_and_lists_them() {
    let browser = Browser::new(&[record(7)]).await;
    let id = uuid::Uuid::from_u128(7);
    let page = browser.get(&format!("/log/{id}")).await;
    assert_eq!(page.status, 200);
    for text in
        ["<svg", "rate-limited", "slow\ndown", "first …aaaa", "2 upstream attempts over 900 ms", "127.0.0.1"]
    {
        assert!(page.text.contains(text), "{text}");
    }
    let cell = r#"data-l="Waited">4 ms · limits were used up</td>"#;
    assert_eq!(page.text.matches(cell).count(), 2, "each attempt was waited for");
    assert!(!page.text.contains("style="), "styles in attributes are blocked by the policy");
    assert_eq!(browser.get(&format!("/log/{}", uuid::Uuid::from_u128(8))).await.status, 404);
    assert_eq!(browser.get("/log/nonsense").await.status, 404);
}

#[tokio::test]
async fn nobody_sees_the_log_without_a_session() {
    let browser = Browser::new(&[record(1)]).await;
    for path in ["/log", "/log.csv", "/log/00000000-0000-0000-0000-000000000001", "/usage"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = browser.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 303, "{path}");
    }
}
