//! The search over everything, as an operator's browser sees it.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use onepool::{
    model::{
        id::{ChannelId, TokenId},
        key::PastedKey,
        secret::Secret,
    },
    storage::tokens::NewToken,
};

use super::{Browser, COOKIE, Page};

const KEY: &str = "nvapi-AbCdEfGh-0123456789-7f3a";
const TOKEN: &str = "sk-0123456789abcdefghijklmnopqrstuvwxyz";

/// A channel with a key, and a token.
async fn browser_with_a_pool() -> Browser {
    let browser = Browser::start().await;
    browser.add_channel(&[("vendor/llama-70b", true), ("vendor/qwen", false)]).await;
    let site = browser.app.site();
    let key = PastedKey {
        label: "Second account".into(),
        secret: Secret::new(KEY),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    };
    site.db.add_keys(ChannelId(1), &[key]).await.unwrap();
    site.db.create_token(&NewToken::unlimited("团队 laptop", Secret::new(TOKEN))).await.unwrap();
    site.catalog.reload().await.unwrap();
    browser
}

/// The links that a page offers as found.
fn found(page: &Page) -> Vec<String> {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let list = page.body.split("id=\"found\"").nth(1).unwrap_or(&page.body);
    let hits = list.split("<li><a href=\"").skip(1);
    hits.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
}

impl Browser {
    async fn search(&self, q: &str) -> Vec<String> {
        let query: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
        found(&self.get(&format!("/search?q={query}")).await)
    }

    /// What the page's script sends while somebody types.
    async fn type_in(&self, q: &str) -> Page {
        let request = Request::post("/search")
            .header(header::COOKIE, format!("onepool_session={COOKIE}"))
            .header(header::HOST, "pool.lan:3000")
            .header("sec-fetch-site", "same-origin")
            .header("hx-request", "true")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(format!("q={q}"))).unwrap()).await
    }
}

#[tokio::test]
async fn everything_with_a_name_is_found_by_a_part_of_it_in_any_letter_case_and_both_languages() {
    let browser = browser_with_a_pool().await;
    let site = browser.app.site();
    for (q, href) in [
        ("UPSTR", "/channels/1"),
        ("second", "/channels/1/keys/1"),
        ("…7f3a", "/channels/1/keys/1"),
        ("upstream 7F3A", "/channels/1/keys/1"),
        ("团队", "/tokens/1"),
        ("LAPTOP", "/tokens/1"),
        ("sk-…wxyz", "/tokens/1"),
        ("LLAMA-70", "/routes?model=vendor%2Fllama-70b"),
        ("auto:cod", "/ranking?chain=auto%3Acoding"),
        ("diagnos", "/health/diagnostics"),
        ("诊断", "/health/diagnostics"),
        ("prices", "/prices"),
        ("listen address", "/settings#LISTEN"),
        ("监听", "/settings#LISTEN"),
        ("public_url", "/settings#PUBLIC_URL"),
    ] {
        let hits = browser.search(q).await;
        assert!(hits.iter().any(|hit| hit == href), "{q}: {hits:?}");
    }
    // Where the setting is on its page.
    assert!(browser.get("/settings").await.has("id=\"LISTEN\""));
    // A key is found by its own names, not by its channel's alone.
    assert!(!browser.search("upstream").await.iter().any(|hit| hit.contains("/keys/")));
    // What is gone is not found.
    site.db.delete_token(TokenId(1)).await.unwrap();
    site.catalog.reload().await.unwrap();
    assert!(browser.search("laptop").await.is_empty());
}

#[tokio::test]
async fn nothing_of_a_secret_but_its_last_four_characters_is_ever_found_shown_or_kept() {
    let browser = browser_with_a_pool().await;
    for part in [&KEY[6..14], &KEY[..12], &TOKEN[3..12], "AbCd", "7f3"] {
        let page = browser.get(&format!("/search?q={part}")).await;
        let is_end = KEY.ends_with(part) || "7f3a".contains(part);
        assert_eq!(found(&page).iter().any(|hit| hit.contains("/keys/")), is_end, "{part}");
        assert!(!found(&page).iter().any(|hit| hit.contains("/tokens/1")), "{part}");
        assert!(!page.has(KEY) && !page.has(TOKEN), "{part}");
    }
    // In an address a whole value is not looked for, and not repeated.
    for value in [KEY, TOKEN] {
        let page = browser.get(&format!("/search?q={value}")).await;
        assert!(
            found(&page).is_empty() && page.has("type or paste it into the search field"),
            "{}",
            page.body
        );
        assert!(!page.has(value), "the page does not repeat it");
    }
    // From the field it is, and the answer has no address that names it.
    for (value, href) in [(KEY, "/channels/1/keys/1"), (TOKEN, "/tokens/1")] {
        for page in [browser.post("/search", &format!("q={value}")).await, browser.type_in(value).await] {
            assert_eq!(found(&page), [href]);
            assert!(!page.has(value), "{}", page.body);
        }
    }
    let nobodys = browser.post("/search", "q=sk-nobody0123456789abcdefghijklmnopqrstuv").await;
    assert!(nobodys.has("No key or token has this value.") && !nobodys.has("sk-nobody"), "{}", nobodys.body);
}

#[tokio::test]
async fn what_is_typed_without_scripts_gets_an_address_and_with_them_the_part_that_changes() {
    let browser = browser_with_a_pool().await;
    let sent = browser.post("/search", "q=lap+%E5%9B%A2%E9%98%9F").await;
    assert_eq!(
        (sent.status, sent.location.as_str()),
        (StatusCode::SEE_OTHER, "/search?q=lap+%E5%9B%A2%E9%98%9F")
    );
    let page = browser.get(&sent.location).await;
    assert!(page.has("value=\"lap 团队\"") && found(&page) == ["/tokens/1"], "{}", page.body);
    let part = browser.type_in("lap").await;
    assert!(!part.has("<html") && found(&part) == ["/tokens/1"], "{}", part.body);

    let empty = browser.get("/search?q=+").await;
    assert!(found(&empty).is_empty() && empty.has("Type a part of a name"), "{}", empty.body);
    let nothing = browser.get("/search?q=%3Cscript%3Enobody").await;
    assert!(nothing.has("Nothing is called") && !nothing.has("<script>nobody"), "{}", nothing.body);
    let long = browser.get(&format!("/search?q={}", "%E6%A8%A1".repeat(3000))).await;
    assert_eq!(long.status, StatusCode::OK);
    assert!(long.body.matches('模').count() < 1000, "a question has a bound");
}

#[tokio::test]
async fn every_page_has_the_field_and_a_kind_shows_eight_at_most() {
    let browser = Browser::start().await;
    for n in 0..30 {
        let value = Secret::new(format!("sk-{n:02}0123456789abcdefghijklmnopqrstuv"));
        browser
            .app
            .site()
            .db
            .create_token(&NewToken::unlimited(format!("many {n:02}"), value))
            .await
            .unwrap();
    }
    browser.app.site().catalog.reload().await.unwrap();
    let page = browser.get("/search?q=many").await;
    assert_eq!(found(&page).iter().filter(|hit| hit.starts_with("/tokens/")).count(), 8);
    assert!(page.has("All 30") && page.has("href=\"/tokens?q=many\""), "{}", page.body);
    for path in ["/", "/channels", "/log", "/settings"] {
        let page = browser.get(path).await;
        assert!(page.has("id=\"search\"") && page.has("aria-keyshortcuts=\"/\""), "{path}");
        assert!(page.has("data-go=\"c\"") && page.has("<dialog id=\"shortcuts\""), "{path}");
    }
}
