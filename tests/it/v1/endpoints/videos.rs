//! Videos: made through the pool, then watched, downloaded and deleted with the key that made them, under our ids alone.

use std::time::Duration;

use onepool::model::{secret::Secret, time::Clock};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{all, serving_all};
use crate::support::{
    app::{Reply, TOKEN, TestApp, execute, number},
    upstream::{Fault, Upstream, jobs::byte_at},
};

const PATH: &str = "/v1/videos";
const OTHER: &str = "sk-other0000000000000000000000000000000000000000000000";

async fn send(app: &TestApp, method: Method, path: &str) -> Reply {
    Reply::read(app.request(method, path).send().await.expect("an answer")).await
}

async fn get(app: &TestApp, path: &str) -> Reply {
    send(app, Method::GET, path).await
}

/// Makes a video; its id.
async fn make(app: &TestApp, prompt: &str) -> String {
    let reply = app.post(PATH, &json!({"model": "public", "prompt": prompt})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().expect("an id").to_owned()
}

/// Fails if a text names anything of the vendor.
fn hides_the_vendor(upstream: &Upstream, text: &str) {
    for theirs in ["theirs", "gen-", &upstream.address().to_string(), "\"n\""] {
        assert!(!text.contains(theirs), "{theirs} in {text}");
    }
}

#[tokio::test]
async fn a_video_is_made_watched_downloaded_and_deleted_under_our_id_and_address() {
    let (app, upstream) = serving_all().await;
    let asked =
        json!({"model": "public", "prompt": "polls=2 bytes=300001", "seconds": "8", "size": "1280x720"});
    let reply = app.post(PATH, &asked).await;
    let video = reply.json();
    assert_eq!((reply.status, &video["status"], &video["model"]), (200, &json!("queued"), &json!("public")));
    hides_the_vendor(&upstream, &reply.text());
    let id = video["id"].as_str().unwrap().to_owned();
    let address = format!("{}/{id}", app.url(PATH));
    assert_eq!(video["polling_url"], json!(address));
    let mut expected = asked.clone();
    expected["model"] = "n".into();
    assert_eq!(upstream.inferences()[0].body, expected, "nothing is added");

    let early = get(&app, &format!("{PATH}/{id}/content")).await;
    assert_eq!((early.status, early.code().as_str()), (404, "not_found"));
    assert!(early.text().contains(&format!("Video {id} is not ready yet.")), "{}", early.text());

    for status in ["in_progress", "completed"] {
        let reply = get(&app, &format!("{PATH}/{id}")).await;
        assert_eq!((reply.status, &reply.json()["status"]), (200, &json!(status)), "{}", reply.text());
        hides_the_vendor(&upstream, &reply.text());
        if status == "completed" {
            assert_eq!(reply.json()["unsigned_urls"], json!([format!("{address}/content?index=0")]));
        }
    }
    let whole = get(&app, &format!("{PATH}/{id}/content?index=0&variant=video&other=1")).await;
    assert_eq!((whole.status, whole.whole, whole.body.len()), (200, true, 300_001));
    assert_eq!(whole.header("content-type"), Some("video/mp4"));
    assert!(whole.body.iter().enumerate().all(|(at, byte)| *byte == byte_at(at)));
    assert_eq!(
        upstream.calls().last().unwrap().request.path.split('?').nth(1),
        Some("index=0&variant=video")
    );
    let part = app.request(Method::GET, &format!("{PATH}/{id}/content")).header("range", "bytes=300000-");
    let part = Reply::read(part.send().await.unwrap()).await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 300000-300000/300001")));
    assert_eq!(part.body[..], [byte_at(300_000)]);

    let rows = app.rows().await;
    assert_eq!(rows.len(), 1, "only the making of it is a call: {rows:#?}");
    assert_eq!((&rows[0]["endpoint"], &rows[0]["result"]), (&json!("videos"), &json!("ok")));
    assert_eq!(rows[0]["units"], json!({"video_ms": 8000, "video_size": "1280x720"}));

    let gone = send(&app, Method::DELETE, &format!("{PATH}/{id}")).await;
    assert_eq!((gone.status, &gone.json()["deleted"], &gone.json()["id"]), (200, &json!(true), &json!(id)));
    assert_eq!(upstream.kept(), 0);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(send(&app, method, &format!("{PATH}/{id}")).await.status, 404);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_form_with_a_picture_to_begin_with_makes_a_video_too() {
    let (app, upstream) = serving_all().await;
    let picture = Part::bytes(vec![7; 700_000]).file_name("a.png").mime_str("image/png").unwrap();
    let forms = [
        Form::new()
            .text("model", "public")
            .text("prompt", "A hat")
            .text("seconds", "12")
            .part("input_reference", picture),
        Form::new().text("model", "public").text("prompt", "A hat").text("seconds", "12"),
    ];
    for (form, files) in forms.into_iter().zip([1, 0]) {
        let request = app.request(Method::POST, PATH).multipart(form);
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!((reply.status, &reply.json()["seconds"]), (200, &json!("12")), "{}", reply.text());
        hides_the_vendor(&upstream, &reply.text());
        let seen = upstream.inferences().pop().unwrap();
        assert_eq!((seen.model.as_str(), seen.form.unwrap().files.len()), ("n", files));
        assert_eq!(app.rows().await[0]["units"], json!({"video_ms": 12_000, "video_size": "720x1280"}));
    }
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field_before_any_upstream_is_asked() {
    let (app, upstream) = serving_all().await;
    for (body, param) in [
        (json!({"model": "m"}), "prompt"),
        (json!({"model": "m", "prompt": 7}), "prompt"),
        (json!({"prompt": "a"}), "model"),
        (json!({"model": "m", "prompt": "a", "stream": true}), "stream"),
    ] {
        let reply = app.post(PATH, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{body}");
    }
    for (query, param) in
        [("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=video_none", "after")]
    {
        let reply = get(&app, &format!("{PATH}?{query}")).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{query}");
    }
    let empty = Form::new().text("model", "m").text("prompt", "a");
    let empty = empty.part("input_reference", Part::bytes(vec![]).file_name("a.png"));
    let reply = Reply::read(app.request(Method::POST, PATH).multipart(empty).send().await.unwrap()).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("input_reference")));
    assert!(upstream.calls().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn the_id_of_another_token_looks_like_one_that_never_was_and_no_upstream_is_asked() {
    let (app, upstream) = serving_all().await;
    app.token_with(|token| {
        token.name = "other".into();
        token.value = Secret::new(OTHER);
    })
    .await;
    let id = make(&app, "A hat").await;
    upstream.forget_calls();
    for (method, path) in
        [(Method::GET, ""), (Method::GET, "/content"), (Method::DELETE, ""), (Method::POST, "/remix")]
    {
        let mut texts = Vec::new();
        for (value, id) in
            [(OTHER, id.as_str()), (OTHER, "video_none"), (TOKEN, "video_none"), (TOKEN, "..%2Fmodels")]
        {
            let request = app.http.request(method.clone(), app.url(&format!("{PATH}/{id}{path}")));
            let reply =
                Reply::read(request.bearer_auth(value).json(&json!({"prompt": "b"})).send().await.unwrap())
                    .await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "not_found"),
                "{method} {path} {}",
                reply.text()
            );
            texts.push(
                reply.json()["error"]["message"]
                    .as_str()
                    .unwrap()
                    .split(" (request")
                    .next()
                    .unwrap()
                    .to_owned(),
            );
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    }
    let request = app.http.get(app.url(PATH)).bearer_auth(OTHER);
    let list = Reply::read(request.send().await.unwrap()).await.json();
    assert_eq!(
        list,
        json!({"object": "list", "data": [], "has_more": false, "first_id": null, "last_id": null})
    );
    assert!(upstream.calls().is_empty());
    let nobody = Reply::read(app.http.get(app.url(&format!("{PATH}/{id}"))).send().await.unwrap()).await;
    assert_eq!((nobody.status, nobody.code().as_str()), (401, "invalid_api_key"));
    app.stop().await;
}

#[tokio::test]
async fn a_list_shows_a_tokens_videos_in_pages_as_they_stood_last() {
    let (app, upstream) = serving_all().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(make(&app, &format!("A secret prompt {number}")).await);
        // Videos of one millisecond have no order of their own.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    get(&app, &format!("{PATH}/{}", ids[4])).await;
    upstream.forget_calls();
    for order in ["asc", "desc"] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = get(&app, &format!("{PATH}?limit=2&order={order}{after}")).await;
            hides_the_vendor(&upstream, &page.text());
            assert!(!page.text().contains("secret prompt"), "no prompt is kept: {}", page.text());
            let page = page.json();
            seen.extend(page["data"].as_array().unwrap().iter().map(|video| video["id"].clone()));
            assert_eq!(page["last_id"], *seen.last().unwrap());
            if page["has_more"] == json!(false) {
                break;
            }
            after = format!("&after={}", page["last_id"].as_str().unwrap());
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, ids.iter().map(|id| json!(id)).collect::<Vec<Value>>(), "{order}");
    }
    let newest = get(&app, &format!("{PATH}?limit=1")).await.json();
    assert_eq!(newest["data"][0]["status"], json!("completed"));
    assert_eq!(newest["data"][0]["object"], json!("video"));
    assert!(upstream.calls().is_empty(), "lists are ours");
    app.stop().await;
}

#[tokio::test]
async fn a_video_is_found_with_the_key_that_made_it_after_a_restart_and_whatever_rests() {
    let (app, upstream) = serving_all().await;
    all(&app, "d", &upstream, &["sk-upstream-2", "sk-upstream-3"]).await;
    let mut made = Vec::new();
    for _ in 0..6 {
        let id = make(&app, "polls=1").await;
        made.push((id, upstream.inferences().pop().unwrap().key.unwrap()));
    }
    let data = app.stop().await;
    let app = TestApp::start_in(data, Clock::system(), &[("QUEUE_WAIT_SECONDS", "1")]).await;
    // Every key rests for new calls.
    upstream.fail_all(Fault::RateLimitedSeconds);
    let refused = app.post(PATH, &json!({"model": "public", "prompt": "a"})).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "pool_exhausted"));
    upstream.heal();
    for (id, key) in &made {
        let reply = get(&app, &format!("{PATH}/{id}")).await;
        assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("completed")), "{}", reply.text());
        assert_eq!(upstream.calls().pop().unwrap().key.as_ref(), Some(key));
    }
    let keys: std::collections::HashSet<_> = made.iter().map(|(_, key)| key).collect();
    assert!(keys.len() > 1, "more than one key made them: {keys:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_key_that_is_switched_off_says_so_and_one_that_is_deleted_takes_its_videos_along() {
    let (app, upstream) = serving_all().await;
    let id = make(&app, "A hat").await;
    upstream.forget_calls();
    let db = app.app.site().db.clone();
    let channel = app.app.site().catalog.load().channels().next().unwrap().channel.id;
    let key = app.keys_of(channel)[0];
    db.set_key_enabled(key, false).await.unwrap();
    app.reload().await;
    for (method, path) in [(Method::GET, ""), (Method::GET, "/content"), (Method::DELETE, "")] {
        let reply = send(&app, method, &format!("{PATH}/{id}{path}")).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "job_unreachable"), "{}", reply.text());
    }
    let remix = app.post(&format!("{PATH}/{id}/remix"), &json!({"prompt": "a"})).await;
    assert_eq!((remix.status, remix.code().as_str()), (503, "job_unreachable"), "{}", remix.text());
    db.set_key_enabled(key, true).await.unwrap();
    db.set_channel_enabled(channel, false).await.unwrap();
    app.reload().await;
    assert_eq!(get(&app, &format!("{PATH}/{id}")).await.code(), "job_unreachable");
    db.delete_key(key).await.unwrap();
    app.reload().await;
    assert_eq!(get(&app, &format!("{PATH}/{id}")).await.status, 404);
    assert!(upstream.calls().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn making_one_is_tried_elsewhere_until_there_is_an_id_and_only_that_one_is_kept() {
    let (app, upstream) = serving_all().await;
    let second = Upstream::start();
    all(&app, "d", &second, &["sk-upstream-2"]).await;
    for fault in [Fault::Status500, Fault::RateLimitedSeconds, Fault::Html200, Fault::CloseBeforeHeaders] {
        for broken in [&upstream, &second] {
            upstream.heal();
            second.heal();
            broken.fail_all(fault);
            make(&app, "A hat").await;
        }
    }
    let rows = number(&app.database(), "SELECT COUNT(*) FROM upstream_jobs").await;
    assert_eq!((rows, app.rows().await.len()), (8, 8));
    app.stop().await;
}

#[tokio::test]
async fn an_upstream_that_fails_while_it_is_asked_for_a_video_is_not_named_and_rests_for_nobody() {
    let (app, upstream) = serving_all().await;
    let id = make(&app, "polls=1").await;
    for (fault, status, code) in [
        (Fault::Status500, 502, "upstream_error"),
        (Fault::Html200, 502, "upstream_error"),
        (Fault::CloseBeforeHeaders, 502, "upstream_error"),
        (Fault::RateLimitedSeconds, 429, "pool_exhausted"),
    ] {
        upstream.fail_all(fault);
        for path in ["", "/content"] {
            let reply = get(&app, &format!("{PATH}/{id}{path}")).await;
            assert_eq!((reply.status, reply.code().as_str()), (status, code), "{fault:?} {}", reply.text());
            hides_the_vendor(&upstream, &reply.text());
        }
        upstream.heal();
        make(&app, "still served").await;
    }
    app.stop().await;
}

#[tokio::test]
async fn a_failed_video_says_why() {
    let (app, upstream) = serving_all().await;
    let id = make(&app, "fail").await;
    let reply = get(&app, &format!("{PATH}/{id}")).await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("failed")));
    assert_eq!(reply.json()["error"]["code"], json!("moderation_blocked"));
    hides_the_vendor(&upstream, &reply.text());
    app.stop().await;
}

#[tokio::test]
async fn a_remix_goes_to_the_key_that_made_the_video_and_has_an_id_and_a_row_of_its_own() {
    let (app, upstream) = serving_all().await;
    all(&app, "d", &upstream, &["sk-upstream-2", "sk-upstream-3"]).await;
    for _ in 0..4 {
        let id = make(&app, "A hat").await;
        let key = upstream.inferences().pop().unwrap().key;
        let reply = app.post(&format!("{PATH}/{id}/remix"), &json!({"prompt": "Another hat"})).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let call = upstream.calls().pop().unwrap();
        assert_eq!((call.key, call.body), (key, json!({"prompt": "Another hat"})));
        hides_the_vendor(&upstream, &reply.text());
        let remix = reply.json();
        assert_eq!(remix["remixed_from_video_id"], json!(id));
        let shown = get(&app, &format!("{PATH}/{}", remix["id"].as_str().unwrap())).await;
        assert_eq!((shown.status, &shown.json()["remixed_from_video_id"]), (200, &Value::Null));
    }
    let rows = app.rows().await;
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row["endpoint"] == "videos" && row["asked"] == "public"), "{rows:#?}");
    let refused = app.post(&format!("{PATH}/{}/remix", make(&app, "a").await), &json!({})).await;
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("prompt")));
    app.stop().await;
}

#[tokio::test]
async fn asking_for_a_video_counts_among_the_tokens_requests_per_minute() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token_with(|token| token.requests_per_minute = Some(3)).await;
    all(&app, "c", &upstream, &["sk-upstream-1"]).await;
    let id = make(&app, "A hat").await;
    let path = format!("{PATH}/{id}");
    let second = get(&app, &path).await;
    assert_eq!((second.status, second.header("x-ratelimit-remaining-requests")), (200, Some("1")));
    assert_eq!(get(&app, PATH).await.status, 200);
    let fourth = get(&app, &path).await;
    assert_eq!((fourth.status, fourth.code().as_str()), (429, "rate_limit_exceeded"));
    assert!(fourth.header("retry-after").is_some());
    app.stop().await;
}

#[tokio::test]
async fn a_video_that_cannot_be_noted_is_a_503_without_the_vendors_id_and_is_in_the_log() {
    let (app, upstream) = serving_all().await;
    // What a full disk or a broken file does to the one statement.
    execute(
        &app.database(),
        "CREATE TRIGGER broken BEFORE INSERT ON upstream_jobs BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END",
    )
    .await;
    let reply = app.post(PATH, &json!({"model": "public", "prompt": "A hat"})).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "not_recording"), "{}", reply.text());
    hides_the_vendor(&upstream, &reply.text());
    assert!(!reply.text().contains("disk I/O"), "{}", reply.text());
    let rows = app.rows().await;
    assert_eq!((rows.len(), &rows[0]["code"]), (1, &json!("not_recording")), "{rows:#?}");
    assert_eq!(get(&app, PATH).await.json()["data"], json!([]), "no half of a row");
    execute(&app.database(), "DROP TRIGGER broken").await;
    let id = make(&app, "A hat").await;
    assert_eq!(get(&app, &format!("{PATH}/{id}")).await.status, 200);
    app.stop().await;
}
