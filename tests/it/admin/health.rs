//! The Health page, as an operator's browser sees it.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use onepool::{
    discovery::proof::COST,
    model::{
        id::{ChannelId, KeyId},
        key::PastedKey,
        secret::Secret,
    },
};

use super::{Browser, COOKIE, Page};
use crate::support::app::eventually;

impl Browser {
    async fn in_chinese(&self, path: &str) -> Page {
        let request = Request::get(path)
            .header(header::COOKIE, format!("onepool_session={COOKIE}"))
            .header(header::ACCEPT_LANGUAGE, "zh-CN");
        self.send(request.header(header::HOST, "pool.lan:3000").body(Body::empty()).unwrap()).await
    }
}

#[tokio::test]
async fn a_look_shows_its_report_and_changes_nothing() {
    let browser = Browser::start().await;
    let page = browser.get("/health/repair").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["All background tasks run.", "Memory left", "Nothing has been looked at yet."] {
        assert!(page.has(text), "{text}");
    }
    assert!(page.has("href=\"/health\" aria-current=\"page\""), "it is in the navigation");
    assert!(!page.has("restart_openclaw"), "OpenClaw is not on this machine");

    let begun = browser.post("/health/repair", "do=look").await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER);
    eventually("the report is there", async || browser.get("/health/repair").await.has("only looked")).await;
    let page = browser.get("/health/repair").await;
    for text in ["The database is whole.", "No key is switched on.", "OpenClaw is not installed"] {
        assert!(page.has(text), "{text}");
    }
    assert!(browser.app.site().db.last_repair().await.unwrap().is_none(), "a look keeps nothing");
}

#[tokio::test]
async fn a_repair_gives_stuck_places_back_and_its_report_is_kept() {
    let browser = Browser::start().await;
    browser.add_channel(&[("small", true)]).await;
    let site = browser.app.site();
    let key = PastedKey {
        label: String::new(),
        secret: Secret::new("key-one-aaaa"),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    };
    site.db.add_keys(ChannelId(1), &[key]).await.unwrap();
    site.catalog.reload().await.unwrap();
    let held = site.dispatch.try_key(ChannelId(1), "small", KeyId(1), COST).unwrap().expect("a place");
    assert_eq!(site.dispatch.lock().under_way().len(), 1);
    // The key is off, so that nobody is called.
    site.db.set_key_enabled(KeyId(1), false).await.unwrap();
    site.catalog.reload().await.unwrap();
    browser.clock.advance(Duration::from_secs(4 * 3600));
    assert!(browser.get("/health/repair").await.has("1 calls hold their place for more than 3 hours"));

    browser.post("/health/repair", "do=repair").await;
    eventually("the report is there", async || {
        browser.get("/health/repair").await.has("The places of 1 calls were given back")
    })
    .await;
    eventually("it is kept", async || site.db.last_repair().await.unwrap().is_some()).await;
    assert!(site.dispatch.lock().under_way().is_empty());
    drop(held);
    assert!(site.dispatch.lock().under_way().is_empty(), "nothing is given back a second time");
    assert!(site.db.last_repair().await.unwrap().unwrap().contains("slots_released"));
    let chinese = browser.in_chinese("/health/repair").await;
    assert!(chinese.has("已收回 1 个调用的名额"), "a report is kept in both languages");
}
