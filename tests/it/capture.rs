//! Capturing one token's calls: what is kept, for how long, and what is on the disk.

use std::{path::Path, time::Duration};

use onepool::model::{
    id::TokenId,
    secret::{Secret, SecretHash},
    time::{Clock, UnixMs},
};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TOKEN, TestApp, eventually},
    upstream::{Fault, Upstream},
};

const COOKIE: &str = "a session of the capture's tests";
const KEY: &str = "sk-upstream-key-to-hide-1";
const HOUR: Duration = Duration::from_secs(3600);

/// A server whose clock is set by the test.
async fn start() -> (TestApp, Upstream, TokenId, Clock) {
    let clock = Clock::manual(UnixMs(1_800_000_000_000));
    let data = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let app = TestApp::start_in(data, clock.clone(), &[]).await;
    let upstream = Upstream::start();
    let token = app.token().await;
    app.channel("c", &upstream, &[KEY]).await;
    log_in(&app).await;
    (app, upstream, token, clock)
}

async fn log_in(app: &TestApp) {
    let db = &app.app.site().db;
    let (user, _) = db.find_credentials("admin").await.unwrap().unwrap();
    let now = app.clock.now();
    db.create_session(user.id, &SecretHash::of(COOKIE), "127.0.0.1", "test", now).await.unwrap();
}

async fn get(app: &TestApp, path: &str) -> String {
    let request = app.http.get(app.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
    Reply::read(request.send().await.unwrap()).await.text()
}

/// Sends a form, and goes on to the page that it leads to, with the message for it.
async fn post(app: &TestApp, path: &str, form: &[(&str, &str)]) -> Reply {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client
        .post(app.url(path))
        .header("cookie", format!("onepool_session={COOKIE}"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish());
    let answer = request.send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let Some(location) = header("location") else { return Reply::read(answer).await };
    let message = header("set-cookie").unwrap_or_default();
    let cookies = format!("onepool_session={COOKIE}; {}", message.split(';').next().unwrap_or_default());
    let request = app.http.get(app.url(&location)).header("cookie", cookies);
    Reply::read(request.send().await.unwrap()).await
}

/// The page of the last call.
async fn last_call(app: &TestApp) -> String {
    let id = app.rows().await.remove(0)["request_id"].as_str().unwrap().to_owned();
    get(app, &format!("/log/{id}")).await
}

/// How many files hold captured calls.
fn files(app: &TestApp) -> usize {
    let mut count = 0;
    let Ok(folders) = std::fs::read_dir(app.data.path().join("data/captures")) else { return 0 };
    for folder in folders.flatten() {
        count += std::fs::read_dir(folder.path()).unwrap().count();
    }
    count
}

async fn kept(app: &TestApp, count: usize) {
    eventually("so many calls are kept", async || files(app) == count).await;
}

/// Files below a folder that hold a text.
fn holders(folder: &Path, text: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if memchr::memmem::find(&std::fs::read(entry.path()).unwrap(), text.as_bytes()).is_some() {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[tokio::test]
async fn captured_calls_are_shown_masked_and_lie_sealed_on_the_disk() {
    let (app, _upstream, token, _) = start().await;
    assert_eq!(post(&app, &format!("/tokens/{token}/capture"), &[("minutes", "15")]).await.status, 200);
    let picture = format!("data:image/png;base64,{}", "iVBORw0KGgoAAAANSUhEUg".repeat(60));
    let secret = "sk-abcdefghijklmnop0123456789";
    for stream in [true, false] {
        let body = json!({ "model": "m", "stream": stream, "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": format!("promptword and {secret} and {KEY} <script>") },
                { "type": "image_url", "image_url": { "url": picture } },
            ] },
            { "role": "user", "content": "marker=answerword words=5" },
        ] });
        assert_eq!(app.post("/v1/chat/completions", &body).await.status, 200);
        kept(&app, if stream { 1 } else { 2 }).await;
        let page = last_call(&app).await;
        let answer = crate::support::upstream::answer::text("answerword", 5);
        for shown in
            ["promptword and [masked] and [masked] &#60;script&#62;", answer.as_str(), "bytes left out]"]
        {
            assert!(page.contains(shown), "{shown} is not in {page}");
        }
        for hidden in [secret, KEY, "iVBOR", "<script>\""] {
            assert!(!page.contains(hidden), "{hidden}");
        }
        assert_eq!(page.contains("[DONE]"), stream);
    }
    let data = app.stop().await;
    for text in ["promptword", "answerword", secret, KEY, TOKEN, "iVBORw0"] {
        assert_eq!(holders(data.path(), text), Vec::<String>::new(), "{text}");
    }
}

#[tokio::test]
async fn nothing_is_captured_of_other_tokens_before_and_after_and_every_page_says_that_one_runs() {
    let (app, _upstream, token, clock) = start().await;
    let other = app
        .token_with(|token| {
            token.name = "other".into();
            token.value = Secret::new("sk-other00000000000000000000000000000000000000000");
        })
        .await;
    app.chat(false, "marker=a words=2").await;
    assert!(!get(&app, "/channels").await.contains("are being captured"));
    post(&app, &format!("/tokens/{token}/capture"), &[("minutes", "15")]).await;
    for path in ["/channels", "/log", "/usage", "/settings", &format!("/tokens/{other}")] {
        let page = get(&app, path).await;
        assert!(
            page.contains("are being captured") && page.contains(&format!("/tokens/{token}#capture")),
            "{path}"
        );
    }
    let token_page = get(&app, &format!("/tokens/{token}")).await;
    assert!(token_page.contains("switched on by admin"), "{token_page}");
    let refused = post(&app, &format!("/tokens/{other}/capture"), &[("minutes", "15")]).await;
    assert!(refused.text().contains("Stop that capture first"), "{}", refused.text());
    for (minutes, status) in [("14", 400), ("1441", 400), ("", 400), ("-5", 400), ("四", 400)] {
        assert_eq!(
            post(&app, &format!("/tokens/{token}/capture"), &[("minutes", minutes)]).await.status,
            status
        );
    }
    let request = app
        .http
        .post(app.url("/v1/chat/completions"))
        .bearer_auth("sk-other00000000000000000000000000000000000000000");
    request.json(&crate::support::app::chat("m", false, "hi")).send().await.unwrap();
    app.chat(false, "marker=b words=2").await;
    kept(&app, 1).await;
    clock.advance(HOUR / 4 + Duration::from_secs(1));
    assert!(!get(&app, "/channels").await.contains("are being captured"));
    app.chat(false, "marker=c words=2").await;
    app.app.flush_usage().await;
    assert!(!last_call(&app).await.contains("id=\"captured\""));
    assert_eq!(files(&app), 1);
    app.app.shutdown().await;
}

#[tokio::test]
async fn what_was_captured_erases_itself_on_demand_with_its_token_and_after_its_time() {
    let (app, _upstream, token, clock) = start().await;
    let path = format!("/tokens/{token}/capture");
    let capture = async || {
        post(&app, &path, &[("minutes", "60")]).await;
        app.chat(true, "marker=abc words=3").await;
        kept(&app, 1).await;
    };
    capture().await;
    let shown = post(&app, &format!("{path}/erase"), &[]).await.text();
    assert!(shown.contains("Everything that was captured is erased") && files(&app) == 0, "{shown}");
    assert!(!last_call(&app).await.contains("id=\"captured\""));

    capture().await;
    let stopped = post(&app, &format!("{path}/stop"), &[]).await.text();
    assert!(stopped.contains("Calls kept: 1") && stopped.contains("erases itself"), "{stopped}");
    app.chat(true, "marker=abc words=3").await;
    assert!(last_call(&app).await.contains("curl") && files(&app) == 1);
    // Its six hours are over: the next start erases it.
    clock.advance(7 * HOUR);
    let data = app.stop().await;
    let app = TestApp::start_in(data, clock.clone(), &[]).await;
    kept(&app, 0).await;

    let path = format!("/tokens/{token}/capture");
    post(&app, &path, &[("minutes", "60")]).await;
    app.chat(true, "marker=abc words=3").await;
    kept(&app, 1).await;
    post(&app, &format!("/tokens/{token}/delete"), &[]).await;
    assert_eq!(files(&app), 0);
    assert!(!get(&app, "/channels").await.contains("are being captured"));
    app.app.shutdown().await;
}

#[tokio::test]
async fn answers_that_break_off_and_refusals_are_captured_as_far_as_they_went() {
    let (app, upstream, token, _) = start().await;
    post(&app, &format!("/tokens/{token}/capture"), &[("minutes", "60")]).await;
    upstream.fail_next([Some(Fault::EofAfterContent)]);
    app.chat(true, "marker=abc words=9").await;
    kept(&app, 1).await;
    assert!(last_call(&app).await.contains("&#34;error&#34;"), "the error event is shown");
    app.post_raw("/v1/chat/completions", "{\"model\": 5, \"messages\": \"wordofmine\"").await;
    kept(&app, 2).await;
    assert!(last_call(&app).await.contains("wordofmine"));
    let mut left = app
        .request(reqwest::Method::POST, "/v1/chat/completions")
        .json(&crate::support::app::chat("m", true, "marker=abc words=5000 delay=20"))
        .send()
        .await
        .unwrap();
    left.chunk().await.unwrap();
    drop(left);
    kept(&app, 3).await;
    let page = last_call(&app).await;
    assert!(page.contains("did not go out to its end"), "{page}");
    app.app.shutdown().await;
}

#[tokio::test]
async fn scripts_start_look_at_stop_and_erase_a_capture_but_never_read_it() {
    let (app, _upstream, token, _) = start().await;
    let db = &app.app.site().db;
    let (user, _) = db.find_credentials("admin").await.unwrap().unwrap();
    let value = Secret::new("opat-0123456789012345678901234567890123456789");
    db.create_access_token(user.id, "script", &value, None).await.unwrap();
    let ask = async |method: reqwest::Method, path: &str, body: Option<Value>| {
        let request = app.http.request(method, app.url(&format!("/api/tokens/{token}/capture{path}")));
        let request = request.bearer_auth(value.expose());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let reply = Reply::read(request.send().await.unwrap()).await;
        (reply.status, reply.json())
    };
    use reqwest::Method;
    assert_eq!(ask(Method::GET, "", None).await.1["running"], false);
    let (status, refused) = ask(Method::PUT, "", Some(json!({ "minutes": 5 }))).await;
    assert!(status == 422 || status == 400, "{refused}");
    let (status, view) = ask(Method::PUT, "", Some(json!({ "minutes": 30 }))).await;
    assert_eq!((status, &view["running"], &view["started_by"]), (200, &json!(true), &json!("admin")));
    app.chat(false, "marker=abc words=3").await;
    kept(&app, 1).await;
    let (_, view) = ask(Method::POST, "/stop", None).await;
    assert_eq!((&view["running"], &view["calls"]), (&json!(false), &json!(1)));
    assert_eq!(ask(Method::DELETE, "", None).await.0, 204);
    assert_eq!((files(&app), &ask(Method::GET, "", None).await.1["started_at"]), (0, &Value::Null));
    app.app.shutdown().await;
}

#[tokio::test]
async fn no_backup_holds_a_captured_call() {
    let (app, _upstream, token, _) = start().await;
    post(&app, &format!("/tokens/{token}/capture"), &[("minutes", "60")]).await;
    app.chat(false, "marker=answerword words=3").await;
    kept(&app, 1).await;
    let target = app.data.path().join("backup.db");
    (app.app.site().admin.backup.as_ref().unwrap())(target.clone()).await.unwrap();
    let size = std::fs::metadata(&target).unwrap().len();
    let file = std::fs::read_dir(app.data.path().join(format!("data/captures/{token}")))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let sealed = std::fs::read(file.path()).unwrap();
    let backup = std::fs::read(&target).unwrap();
    assert!(size > 0 && memchr::memmem::find(&backup, &sealed[..64]).is_none());
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    app.app.shutdown().await;
}
