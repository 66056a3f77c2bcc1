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
    // Views and turns are below the same path.
    ids.filter_map(|rest| Some(rest.split('"').next()?.parse::<uuid::Uuid>().ok()?.as_u128())).collect()
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

#[tokio::test]
async fn turns_are_listed_by_page_and_open_into_their_calls_and_a_call_leads_to_its_turn() {
    let trace = |turn: u32| format!("{turn:032x}");
    let call = |n: u32, turn: u32| UsageRecord {
        trace_id: Some(trace(turn)),
        at: crate::model::time::UnixMs(1_800_000_000_000 - 1_000_000 + i64::from(n) * 1000),
        client_kind: "openclaw".into(),
        ..record(n)
    };
    // Turn n has calls 2n and 2n + 1; the last one of turn 3 failed with another model.
    let mut calls: Vec<_> = (2..=121).map(|n| call(n, n / 2)).collect();
    calls[5] = UsageRecord {
        status: 504,
        result: CallResult::Timeout,
        asked_model: "<b>big</b>".into(),
        ..calls[5].clone()
    };
    calls.push(record(500));
    let browser = Browser::new(&calls).await;
    let turns_on = |page: &Page| -> Vec<String> {
        let links = page.text.split("href=\"/log/turns/1/").skip(1);
        links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let first = browser.get("/log/turns").await;
    assert_eq!(first.status, 200);
    assert_eq!(turns_on(&first), (11..=60).rev().map(trace).collect::<Vec<_>>());
    let second = browser.get(&link(&first, "next").unwrap()).await;
    assert_eq!(turns_on(&second), (1..=10).rev().map(trace).collect::<Vec<_>>());
    assert_eq!(turns_on(&browser.get(&link(&second, "prev").unwrap()).await), turns_on(&first));
    for text in ["504 · timed out", "1 failed", "&#60;b&#62;big&#60;/b&#62;", "1.90 s", "openclaw", "20 / "]
    {
        assert!(second.text.contains(text), "{text}");
    }
    assert!(!second.text.contains("<b>big"));
    let failed = browser.get("/log/turns?result=failed").await;
    assert_eq!(turns_on(&failed), [trace(3)]);
    assert!(failed.text.contains("href=\"/log?result=failed"), "the other view keeps the filter");
    assert!(browser.get("/log/turns?model=nobody").await.text.contains("No turn has a call"));
    assert_eq!(browser.get("/log/turns?trace=abc").await.status, 422);

    let turn = browser.get(&format!("/log/turns/1/{}", trace(3))).await;
    assert_eq!(turn.status, 200);
    assert_eq!(calls_on(&turn), [6, 7], "in the order of their arrival");
    for text in ["<svg", "2. &#60;b&#62;big&#60;/b&#62; · timed out · 900 ms", &trace(3)] {
        assert!(turn.text.contains(text), "{text}");
    }
    assert!(!turn.text.contains("style="), "styles in attributes are blocked by the policy");
    let one = browser.get(&format!("/log/{}", uuid::Uuid::from_u128(6))).await;
    assert_eq!(calls_on(&one), [7], "the other call of its turn");
    assert!(one.text.contains("this call") && one.text.contains(&format!("/log/turns/1/{}", trace(3))));
    let listed = browser.get(&format!("/log?token=1&trace={}", trace(3))).await;
    assert_eq!(calls_on(&listed), [7, 6]);
    let alone = browser.get(&format!("/log/{}", uuid::Uuid::from_u128(500))).await;
    assert!(!alone.text.contains("Open the turn"), "it has no trace id");
    for path in [format!("/log/turns/2/{}", trace(3)), "/log/turns/1/abc".into(), "/log/turns/x/y".into()] {
        assert_eq!(browser.get(&path).await.status, 404, "{path}");
    }
    assert!(browser.get_in("/log/turns", "zh").await.text.contains("轮次"));
}

#[tokio::test]
async fn a_log_without_traced_calls_says_what_makes_a_turn() {
    let page = Browser::new(&[record(1)]).await.get("/log/turns").await;
    assert!(page.text.contains("No turns yet") && page.text.contains("traceparent"));
}
