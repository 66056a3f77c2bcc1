//! What is done to several rows of a list at a time.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use onepool::model::{
    id::{ChannelId, KeyId, TokenId},
    key::PastedKey,
    secret::Secret,
};

use super::{Browser, COOKIE};
use crate::support::upstream::{KeyRules, KeyState, Upstream};

/// Adds a channel at an address with these keys; gives their ids.
async fn add_channel(
    browser: &Browser,
    name: &str,
    base_url: &str,
    keys: &[&str],
) -> (ChannelId, Vec<KeyId>) {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("name", name),
            ("base_url", base_url),
            ("protocol", "openai"),
            ("provider", "generic"),
            ("priority", "0"),
            ("weight", "1"),
            ("allow_private", "true"),
            ("enabled", "true"),
        ])
        .finish();
    let page = browser.post("/channels/new", &form).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    let site = browser.app.site();
    let id = site.catalog.load().channels().find(|entry| entry.channel.name == name).unwrap().channel.id;
    let pasted: Vec<PastedKey> = keys
        .iter()
        .map(|key| PastedKey {
            label: String::new(),
            secret: Secret::new(*key),
            quota_group: None,
            limits: Vec::new(),
            budget: None,
        })
        .collect();
    site.db.add_keys(id, &pasted).await.unwrap();
    site.db
        .set_channel_models(
            id,
            &[onepool::model::channel::ChannelModel {
                name: format!("model-of-{name}"),
                ..Default::default()
            }],
            &[],
        )
        .await
        .unwrap();
    site.catalog.reload().await.unwrap();
    (id, keys_of(browser, id).into_iter().map(|(id, _)| id).collect())
}

/// The keys of a channel, and which of them take calls.
fn keys_of(browser: &Browser, id: ChannelId) -> Vec<(KeyId, bool)> {
    let catalog = browser.app.site().catalog.load();
    catalog.channel(id).unwrap().keys.iter().map(|key| (key.id, key.enabled)).collect()
}

fn channels_of(browser: &Browser) -> Vec<(String, bool)> {
    let catalog = browser.app.site().catalog.load();
    catalog.channels().map(|entry| (entry.channel.name.clone(), entry.channel.enabled)).collect()
}

const NOWHERE: &str = "http://127.0.0.1:9/v1";

#[tokio::test]
async fn channels_are_switched_and_deleted_together_after_a_question_that_names_them() {
    let browser = Browser::start().await;
    for name in ["one", "two", "three"] {
        add_channel(&browser, name, NOWHERE, &[&format!("key-of-{name}-0123456789")]).await;
    }
    let list = browser.get("/channels?q=o").await;
    assert!(list.has("value=\"/channels?q=o\"") && list.has("aria-label=\"Select one\""), "{}", list.body);

    let page = browser.post("/channels/chosen", "do=off&pick=1&pick=3&back=/channels%3Fq%3Do").await;
    assert_eq!((page.status, page.location.as_str()), (StatusCode::SEE_OTHER, "/channels?q=o"));
    let state =
        |one, two, three| vec![("one".to_owned(), one), ("two".to_owned(), two), ("three".to_owned(), three)];
    assert_eq!(channels_of(&browser), state(false, true, false));
    browser.post("/channels/chosen", "do=on&pick=1").await;
    assert_eq!(channels_of(&browser), state(true, true, false));

    let question = browser.post("/channels/chosen", "do=delete&pick=1&pick=2").await;
    assert_eq!(question.status, StatusCode::OK);
    for part in [
        "Delete these channels (2)?",
        "<code>one</code>",
        "<code>two</code>",
        "Their keys are erased: 2",
        "model-of-one",
    ] {
        assert!(question.has(part), "{part} is missing in {}", question.body);
    }
    assert!(!question.has("<code>three</code>"));
    assert_eq!(channels_of(&browser).len(), 3, "nothing goes before the answer");
    let answer = browser.post("/channels/chosen", "do=delete&pick=1&pick=2&sure=true&back=/channels").await;
    assert_eq!(answer.location, "/channels");
    assert_eq!(channels_of(&browser), [("three".to_owned(), false)]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn what_is_gone_or_never_was_is_reported_by_name_while_the_rest_is_done() {
    let browser = Browser::start().await;
    add_channel(&browser, "one", NOWHERE, &[]).await;
    let page = browser.post("/channels/chosen", "do=off&pick=1&pick=77&pick=%3Cscript%3E&pick=-1").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in ["Switched off: 1.", "Not done: 3", "#77", "#-1", "&#60;script&#62;", "no such row"] {
        assert!(page.has(part), "{part} is missing in {}", page.body);
    }
    assert_eq!(channels_of(&browser), [("one".to_owned(), false)]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn a_form_without_rows_with_too_many_or_with_a_deed_that_is_none_changes_nothing() {
    let browser = Browser::start().await;
    add_channel(&browser, "one", NOWHERE, &[]).await;
    let many: String = (1..=501).map(|id| format!("&pick={id}")).collect();
    for list in ["/channels", "/tokens"] {
        for form in ["do=off".to_owned(), format!("do=off{many}")] {
            let page = browser.post(&format!("{list}/chosen"), &form).await;
            assert_eq!((page.status, page.location.as_str()), (StatusCode::SEE_OTHER, list));
        }
        for deed in ["", "drop", "test", "ON"] {
            let page = browser.post(&format!("{list}/chosen"), &format!("do={deed}&pick=1")).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{deed}");
        }
        assert_eq!(browser.get(&format!("{list}/chosen")).await.location, list);
    }
    let away = browser.post("/channels/chosen", "do=on&pick=1&back=//evil.example/").await;
    assert_eq!(away.location, "/");
    assert_eq!(channels_of(&browser), [("one".to_owned(), true)]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn another_site_and_a_stranger_change_nothing() {
    let browser = Browser::start().await;
    add_channel(&browser, "one", NOWHERE, &["key-0123456789"]).await;
    for path in ["/channels/chosen", "/channels/1/keys/chosen", "/tokens/chosen"] {
        let request = |cookie: bool, site: &str| {
            let request = Request::post(path)
                .header(header::HOST, "pool.lan:3000")
                .header("sec-fetch-site", site)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = if cookie {
                request.header(header::COOKIE, format!("onepool_session={COOKIE}"))
            } else {
                request
            };
            request.body(Body::from("do=delete&pick=1&sure=true")).unwrap()
        };
        assert_eq!(browser.send(request(true, "cross-site")).await.status, StatusCode::FORBIDDEN, "{path}");
        let stranger = browser.send(request(false, "same-origin")).await;
        assert!(stranger.location.starts_with("/login"), "{path}");
    }
    assert_eq!(keys_of(&browser, ChannelId(1)), [(KeyId(1), true)]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn keys_are_changed_together_but_never_those_of_another_channel() {
    let browser = Browser::start().await;
    let (one, keys) =
        add_channel(&browser, "one", NOWHERE, &["key-one-aaaa", "key-one-bbbb", "key-one-cccc"]).await;
    let (two, foreign) = add_channel(&browser, "two", NOWHERE, &["key-two-dddd"]).await;
    let path = format!("/channels/{one}/keys/chosen");
    let list = format!("/channels/{one}#channel-keys");

    let off = format!("do=off&pick={}&pick={}&pick={}", keys[0], keys[1], foreign[0]);
    let page = browser.post(&path, &off).await;
    assert!(page.has("Switched off: 2.") && page.has(&format!("#{}", foreign[0])), "{}", page.body);
    assert!(page.has("This channel has no such key"), "{}", page.body);
    assert_eq!(keys_of(&browser, one), [(keys[0], false), (keys[1], false), (keys[2], true)]);

    let question = browser.post(&path, &format!("do=delete&pick={}&pick={}", keys[2], foreign[0])).await;
    assert!(question.has("…cccc") && !question.has("…dddd"), "{}", question.body);
    assert!(question.has("No other key of the channel is switched on"), "{}", question.body);
    let form = format!("do=delete&sure=true&pick={}", keys[2]);
    assert_eq!(browser.post(&path, &form).await.location, list);
    let again = browser.post(&path, &form).await;
    assert!(again.has("Removed: 0. Not done: 1"), "{}", again.body);
    assert_eq!(keys_of(&browser, one), [(keys[0], false), (keys[1], false)]);
    assert_eq!(keys_of(&browser, two), [(foreign[0], true)]);
    let gone = browser.post("/channels/99/keys/chosen", "do=off&pick=1").await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn pauses_of_keys_and_of_channels_are_lifted_together() {
    let browser = Browser::start().await;
    let (one, keys) = add_channel(&browser, "one", NOWHERE, &["key-one-aaaa", "key-one-bbbb"]).await;
    for key in &keys {
        browser.post(&format!("/channels/{one}/keys/{key}/pause"), "minutes=60").await;
    }
    let paused =
        || browser.app.site().dispatch.lock().rests().all_active(browser.app.site().clock.steady()).count();
    assert_eq!(paused(), 2);
    browser.post(&format!("/channels/{one}/keys/chosen"), &format!("do=wake&pick={}", keys[0])).await;
    assert_eq!(paused(), 1);
    browser.post(&format!("/channels/{one}/pause"), "minutes=60").await;
    assert_eq!(browser.post("/channels/chosen", &format!("do=wake&pick={one}")).await.location, "/channels");
    assert_eq!(paused(), 0);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn keys_are_tested_together_with_a_result_for_each() {
    let upstream = Upstream::start();
    upstream.set_key("key-good-1111", KeyRules::default());
    upstream.set_key("key-bad-9999", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    let browser = Browser::start().await;
    let (one, keys) =
        add_channel(&browser, "one", &upstream.base_url(), &["key-good-1111", "key-bad-9999"]).await;
    let path = format!("/channels/{one}/keys/chosen");
    let page = browser.post(&path, &format!("do=test&pick={}&pick={}", keys[0], keys[1])).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.has("1 of 2 keys are good.") && page.has("…1111") && page.has("…9999"), "{}", page.body);
    let rows = browser.app.site().db.key_rows(one).await.unwrap();
    assert!(rows.iter().all(|row| row.last_check.is_some()), "what was found is kept");

    let many: Vec<String> = (0..51).map(|number| format!("key-many-{number:04}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (two, keys) = add_channel(&browser, "two", NOWHERE, &many).await;
    let picks: String = keys.iter().map(|key| format!("&pick={key}")).collect();
    let page = browser.post(&format!("/channels/{two}/keys/chosen"), &format!("do=test{picks}")).await;
    assert_eq!(page.location, format!("/channels/{two}#channel-keys"));
    let rows = browser.app.site().db.key_rows(two).await.unwrap();
    assert!(rows.iter().all(|row| row.last_check.is_none()), "none was tested");
    browser.app.shutdown().await;
}

#[tokio::test]
async fn tokens_are_switched_and_deleted_together_and_refused_at_once() {
    let browser = Browser::start().await;
    let value = |name: &str| format!("sk-{name:0>40}");
    for name in ["anna", "berta", "clara"] {
        let form =
            format!("name={name}&enabled=true&value_source=given&expiry=entered&value={}", value(name));
        assert_eq!(browser.post("/tokens/new", &form).await.status, StatusCode::SEE_OTHER);
    }
    let call = async |name: &str| {
        let request = Request::get("/v1/models").header(header::HOST, "pool.lan:3000");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", value(name)));
        browser.send(request.body(Body::empty()).unwrap()).await.status
    };
    let list = browser.get("/tokens").await;
    assert!(list.has("aria-label=\"Select anna\"") && list.has("Switch off"), "{}", list.body);
    assert_eq!(browser.post("/tokens/chosen", "do=off&pick=1&pick=2").await.location, "/tokens");
    assert_eq!((call("anna").await, call("clara").await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    browser.post("/tokens/chosen", "do=on&pick=1").await;
    assert_eq!(call("anna").await, StatusCode::OK);

    let question = browser.post("/tokens/chosen", "do=delete&pick=1&pick=3").await;
    assert!(question.has("<code>clara</code>") && !question.has("<code>berta</code>"), "{}", question.body);
    assert_eq!(call("clara").await, StatusCode::OK, "nothing goes before the answer");
    assert_eq!(browser.post("/tokens/chosen", "do=delete&sure=true&pick=1&pick=3").await.location, "/tokens");
    assert_eq!(
        (call("anna").await, call("clara").await),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    let left: Vec<TokenId> =
        browser.app.site().db.tokens().await.unwrap().iter().map(|token| token.id).collect();
    assert_eq!(left, [TokenId(2)]);
    browser.app.shutdown().await;
}

#[tokio::test]
async fn each_main_page_says_what_it_is_for_and_links_to_a_document_of_this_program() {
    let browser = Browser::start().await;
    for path in [
        "/channels",
        "/upstream-models",
        "/ranking",
        "/chains",
        "/tokens",
        "/playground",
        "/log",
        "/usage",
        "/budgets",
        "/prices",
        "/capacity",
        "/routes",
        "/health",
        "/openclaw",
        "/settings",
        "/account",
        "/notifications",
        "/api",
    ] {
        let page = browser.get(path).await;
        let (_, rest) = page.body.split_once("<details class=\"about\">").unwrap_or_else(|| panic!("{path}"));
        let link = rest.split("href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert!(link.starts_with("/docs/"), "{path}: {link}");
        let document = browser.get(link).await;
        assert!(document.status == StatusCode::OK && document.has("<h1>"), "{path}: {link}");
    }
    let all = browser.get("/docs").await;
    assert!(all.has("href=\"/docs/limits\"") && all.has("The command line"), "{}", all.body);
    for name in ["nobody", "..%2fREADME", "limits.md", "%E4%B8%AD"] {
        assert_eq!(browser.get(&format!("/docs/{name}")).await.status, StatusCode::NOT_FOUND, "{name}");
    }
    browser.app.shutdown().await;
}
