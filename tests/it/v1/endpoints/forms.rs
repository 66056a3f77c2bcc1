//! Forms with files: sound that is heard, and pictures that are changed.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::{all, serving_all};
use crate::support::{
    app::{Reply, TestApp},
    upstream::{Fault, Upstream, media::File},
};

const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";
const EDITS: &str = "/v1/images/edits";

/// Bytes in which something like a boundary stands now and then.
fn sound(length: usize) -> Vec<u8> {
    b"\r\n--onepool-\0\xff".iter().copied().cycle().take(length).collect()
}

fn file(length: usize) -> Part {
    Part::bytes(sound(length)).file_name("say \"hi\".mp3").mime_str("audio/mpeg").unwrap()
}

async fn send(app: &TestApp, path: &str, form: Form) -> Reply {
    let request = app.request(reqwest::Method::POST, path).multipart(form);
    Reply::read(request.send().await.expect("an answer")).await
}

fn left_over(app: &TestApp) -> usize {
    std::fs::read_dir(app.data.path().join("data/uploads")).unwrap().count()
}

#[tokio::test]
async fn a_file_of_any_size_arrives_whole_under_the_upstreams_model() {
    let (app, upstream) = serving_all().await;
    for (length, path) in [
        (1, TRANSCRIPTIONS),
        (600_000, TRANSCRIPTIONS),
        (5_000_000, "/audio/translations/"),
        (600_001, TRANSCRIPTIONS),
    ] {
        let form = Form::new().part("file", file(length)).text("model", "public").text("language", "de");
        let reply = send(&app, path, form).await;
        assert_eq!((reply.status, &reply.json()["text"]), (200, &json!("heard abc")), "{}", reply.text());
        let seen = upstream.inferences().pop().unwrap();
        let form = seen.form.unwrap();
        assert_eq!(form.texts.get("model").map(String::as_str), Some("n"));
        assert_eq!(form.texts.get("language").map(String::as_str), Some("de"));
        let sum = sound(length).iter().map(|byte| u64::from(*byte)).sum();
        let expected = File {
            field: "file".into(),
            name: "say %22hi%22.mp3".into(),
            content_type: "audio/mpeg".into(),
            length,
            sum,
        };
        assert_eq!(form.files, [expected]);
        assert!(seen.request.header("content-length").is_some(), "{:?}", seen.request.headers);
        assert_eq!(left_over(&app), 0);
        let row = app.rows().await.remove(0);
        assert_eq!((&row["units"], &row["result"]), (&json!({"audio_ms": 3000}), &json!("ok")));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_form_is_sent_again_to_the_next_upstream() {
    let (app, upstream) = serving_all().await;
    let second = Upstream::start();
    all(&app, "d", &second, &["sk-upstream-2"]).await;
    for length in [1000, 2_000_000] {
        for broken in [&upstream, &second] {
            upstream.heal();
            second.heal();
            broken.fail_all(Fault::Status500);
            let form = Form::new().text("model", "m").part("file", file(length));
            let reply = send(&app, TRANSCRIPTIONS, form).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
        for seen in upstream.inferences().iter().chain(&second.inferences()) {
            assert!([1000, 2_000_000].contains(&seen.form.as_ref().unwrap().files[0].length));
        }
    }
    assert_eq!(left_over(&app), 0);
    app.stop().await;
}

#[tokio::test]
async fn text_and_events_pass_as_they_are_asked_for() {
    let (app, _upstream) = serving_all().await;
    let form = || Form::new().text("model", "m").part("file", file(16_000));
    let text = send(&app, TRANSCRIPTIONS, form().text("response_format", "srt")).await;
    assert_eq!((text.status, text.text().as_str()), (200, "heard abc\n"));
    assert!(text.header("content-type").unwrap().starts_with("text/plain"));
    let row = app.rows().await.remove(0);
    assert_eq!(row["units"]["estimated"], true, "nobody said how long the sound is: {row}");
    let events = send(&app, TRANSCRIPTIONS, form().text("stream", "true")).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(events.text().trim_end().rsplit("\n\n").next().unwrap().contains("transcript.text.done"));
    let row = app.rows().await.remove(0);
    assert_eq!((&row["prompt"], &row["completion"], &row["stream"]), (&json!(14), &json!(3), &json!(1)));
    app.stop().await;
}

#[tokio::test]
async fn pictures_are_changed_and_varied() {
    let (app, upstream) = serving_all().await;
    let picture = || Part::bytes(sound(5000)).file_name("a.png").mime_str("image/png").unwrap();
    let form = Form::new()
        .text("model", "public")
        .text("prompt", "Add a hat")
        .text("size", "1024x1024")
        .part("image[]", picture())
        .part("image[]", picture())
        .part("mask", picture());
    let reply = send(&app, EDITS, form).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(upstream.inferences()[0].form.as_ref().unwrap().files.len(), 3);
    let row = app.rows().await.remove(0);
    assert_eq!((&row["endpoint"], &row["units"]["images"]), (&json!("image_edits"), &json!(1)));
    assert_eq!(row["units"]["image_size"], "1024x1024");
    let form = Form::new().text("model", "m").text("n", "2").part("image", picture());
    let reply = send(&app, "/v1/images/variations", form).await;
    assert_eq!(reply.json()["data"].as_array().unwrap().len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_form_that_is_wrong_is_refused_with_the_field_before_anybody_is_asked() {
    let (app, upstream) = serving_all().await;
    let model = || Form::new().text("model", "m");
    for (path, form, param) in [
        (TRANSCRIPTIONS, model(), "file"),
        (TRANSCRIPTIONS, Form::new().part("file", file(10)), "model"),
        (TRANSCRIPTIONS, model().text("file", "words"), "file"),
        (TRANSCRIPTIONS, model().part("file", file(0)), "file"),
        (TRANSCRIPTIONS, model().text("model", "n").part("file", file(10)), "model"),
        (EDITS, model().part("image", file(10)), "prompt"),
        (EDITS, model().text("prompt", "a"), "image"),
    ] {
        let reply = send(&app, path, form).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{}", reply.text());
        assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    }
    let unknown =
        send(&app, TRANSCRIPTIONS, Form::new().text("model", "nobody").part("file", file(10))).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "model_not_found"));
    let raw = async |content_type: &str, body: &'static str| {
        let request = app.request(reqwest::Method::POST, TRANSCRIPTIONS).header("content-type", content_type);
        Reply::read(request.body(body).send().await.unwrap()).await
    };
    for (content_type, body) in [
        ("application/json", r#"{"model":"m"}"#),
        ("multipart/form-data", "--b\r\n"),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm"),
        ("multipart/form-data; boundary=b", "no boundary at all"),
        ("multipart/form-data; boundary=b", ""),
        ("multipart/form-data; boundary=b", "--b--\r\n"),
    ] {
        let reply = raw(content_type, body).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (400, &json!("invalid_request_error")),
            "{body}"
        );
    }
    assert!(upstream.inferences().is_empty());
    assert_eq!(left_over(&app), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_form_that_is_too_large_is_a_413_and_a_disk_that_takes_nothing_a_507() {
    let app = TestApp::start_with(&[("MAX_BODY_MB", "2")]).await;
    let upstream = Upstream::start();
    app.token().await;
    all(&app, "c", &upstream, &["sk-upstream-1"]).await;
    let form = |length| Form::new().text("model", "m").part("file", file(length));
    let large = send(&app, TRANSCRIPTIONS, form(2_200_000)).await;
    assert_eq!((large.status, large.code().as_str()), (413, "request_too_large"));
    // Without a length, it is found out on the way.
    let stream = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 100_000])));
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    let body =
        futures_util::StreamExt::chain(futures_util::stream::iter([Ok(head.as_bytes().to_vec())]), stream);
    let request = app
        .request(reqwest::Method::POST, TRANSCRIPTIONS)
        .header("content-type", "multipart/form-data; boundary=b")
        .body(reqwest::Body::wrap_stream(body));
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    let folder = app.data.path().join("data/uploads");
    assert_eq!(left_over(&app), 0);
    // A file in place of the folder is what a full disk looks like: no new file can be made.
    std::fs::remove_dir(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let refused = send(&app, TRANSCRIPTIONS, form(1_500_000)).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (507, "insufficient_storage"),
        "{}",
        refused.text()
    );
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(send(&app, TRANSCRIPTIONS, form(100_000)).await.status, 200, "small ones need no disk");
    let codes: Vec<Value> = app.rows().await.iter().map(|row| row["code"].clone()).collect();
    assert!(codes.contains(&json!("insufficient_storage")) && codes.contains(&json!("request_too_large")));
    assert_eq!(upstream.inferences().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn what_a_killed_server_left_is_gone_after_the_next_start() {
    let (app, _upstream) = serving_all().await;
    let clock = app.clock.clone();
    let data = app.stop().await;
    std::fs::write(data.path().join("data/uploads/left"), "x").unwrap();
    let app = TestApp::start_in(data, clock, &[]).await;
    assert_eq!(left_over(&app), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_field_of_a_form_that_an_upstream_does_not_know_is_dropped_once_named_and_remembered() {
    let (app, upstream) = serving_all().await;
    upstream.reject_field("temperature", 400, r#"{"error":{"message":"Unknown parameter: 'temperature'."}}"#);
    for (number, length) in [1000, 600_000].into_iter().enumerate() {
        let form = Form::new().text("model", "public").text("temperature", "0.2").part("file", file(length));
        let reply = send(&app, TRANSCRIPTIONS, form.text("language", "de")).await;
        assert_eq!(
            (reply.status, reply.header("x-onepool-dropped")),
            (200, Some("temperature")),
            "{}",
            reply.text()
        );
        let form = upstream.inferences().pop().unwrap().form.unwrap();
        let texts: Vec<_> = form.texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!((texts, form.files[0].length), (vec![("language", "de"), ("model", "n")], length));
        assert_eq!(upstream.inferences().len(), number + 2, "it is not sent there again");
    }
    assert_eq!(left_over(&app), 0);
    app.stop().await;
}

#[tokio::test]
async fn files_prompts_and_the_format_of_an_answer_are_never_dropped() {
    let (app, upstream) = serving_all().await;
    let picture = || Part::bytes(sound(500)).file_name("a.png").mime_str("image/png").unwrap();
    let edit = || {
        Form::new()
            .text("model", "m")
            .text("prompt", "A hat")
            .part("image", picture())
            .part("mask", picture())
    };
    upstream.reject_field(
        "prompt",
        400,
        r#"{"error":{"message":"mask is not supported, prompt is not supported"}}"#,
    );
    let reply = send(&app, EDITS, edit()).await;
    assert_eq!((reply.status, upstream.inferences().len()), (400, 1), "{}", reply.text());
    upstream.reject_field(
        "response_format",
        400,
        r#"{"error":{"message":"response_format is not supported"}}"#,
    );
    let words = |format: &'static str| {
        Form::new().text("model", "m").text("response_format", format).part("file", file(10))
    };
    assert_eq!(send(&app, TRANSCRIPTIONS, words("srt")).await.status, 400);
    assert_eq!(upstream.inferences().len(), 2, "what is answered as JSON would be no subtitles");
    assert_eq!(send(&app, TRANSCRIPTIONS, words("json")).await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_providers_fixes_reach_the_fields_of_forms() {
    let data = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let folder = data.path().join("data/providers");
    std::fs::create_dir_all(&folder).unwrap();
    let rule = |id: &str, fix: Value| {
        json!({"id": id, "endpoints": ["transcriptions"], "fix": fix, "confidence": "medium",
            "source": "https://example.com/docs"})
    };
    let file_of_provider = json!({"id": "mine", "name": {"en": "Mine", "zh": "我的"}, "checked": "2026-11-20",
    "sources": ["https://example.com/docs"], "status": "unknown", "base_urls": [],
    "fixes": [
        rule("lang", json!({"rename": {"from": "language", "to": "lang"}})),
        rule("no-temperature", json!({"drop": ["temperature", "file"]})),
        rule("format", json!({"replace": {"field": "response_format", "from": "json", "to": "verbose_json"}})),
        rule("task", json!({"set": {"field": "task", "value": "transcribe"}})),
    ]});
    std::fs::write(folder.join("mine.json"), file_of_provider.to_string()).unwrap();
    let app = TestApp::start_in(data, onepool::model::time::Clock::system(), &[]).await;
    let upstream = Upstream::start();
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["sk-upstream-1"], |channel| {
        channel.provider = "mine".into();
        channel.endpoints = super::every();
    })
    .await;
    for length in [10, 600_000] {
        let form = Form::new()
            .text("temperature", "0.2")
            .text("language", "de")
            .part("file", file(length))
            .text("response_format", "json")
            .text("model", "m");
        let reply = send(&app, TRANSCRIPTIONS, form).await;
        assert_eq!(
            (reply.status, reply.header("x-onepool-dropped")),
            (200, Some("temperature")),
            "{}",
            reply.text()
        );
        let form = upstream.inferences().pop().unwrap().form.unwrap();
        let expected =
            json!({"lang": "de", "response_format": "verbose_json", "model": "m", "task": "transcribe"});
        assert_eq!((json!(form.texts), form.files[0].length), (expected, length));
    }
    app.stop().await;
}
