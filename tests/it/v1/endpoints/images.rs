//! Pictures that are made from words.

use serde_json::{Value, json};

use super::{all, serving_all};
use crate::support::upstream::{Fault, Upstream, media::PICTURE};

const PATH: &str = "/v1/images/generations";

#[tokio::test]
async fn pictures_pass_with_what_was_asked_and_are_counted_by_size_and_quality() {
    let (app, upstream) = serving_all().await;
    for path in [PATH, "/v1/images", "/images/generations/"] {
        let asked = json!({"model": "public", "prompt": "a cat", "n": 2, "size": "1536x1024", "quality": "high",
            "background": "transparent", "x_unknown": 1.0});
        let reply = app.post(path, &asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["data"].as_array().unwrap().len(), 2);
        assert_eq!(reply.json()["data"][0]["b64_json"], PICTURE);
        let seen = upstream.inferences().pop().unwrap();
        let mut expected = asked.clone();
        expected["model"] = "n".into();
        assert_eq!(seen.body, expected);
        let row = app.rows().await.remove(0);
        assert_eq!(
            (&row["prompt"], &row["completion"], &row["estimated"]),
            (&json!(10), &json!(200), &json!(0))
        );
        assert_eq!(row["units"], json!({"images": 2, "image_size": "1536x1024", "image_quality": "high"}));
    }
    let endpoints: Vec<Value> = app.rows().await.iter().map(|row| row["endpoint"].clone()).collect();
    assert_eq!(endpoints, ["images", "images_direct", "images"]);
    app.stop().await;
}

#[tokio::test]
async fn an_answer_without_a_picture_and_an_error_with_status_200_are_tried_elsewhere() {
    let (app, upstream) = serving_all().await;
    let second = Upstream::start();
    all(&app, "d", &second, &["sk-upstream-2"]).await;
    for fault in [Fault::EmptyCompletion, Fault::ErrorInJson200, Fault::Status500, Fault::Html200] {
        for broken in [&upstream, &second] {
            upstream.heal();
            second.heal();
            broken.fail_all(fault);
            let reply = app.post(PATH, &json!({"model": "m", "prompt": "a cat"})).await;
            assert_eq!(reply.status, 200, "{fault:?} {}", reply.text());
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn partial_pictures_are_streamed_and_the_last_event_is_the_end() {
    let (app, upstream) = serving_all().await;
    let asked = json!({"model": "m", "prompt": "a cat", "stream": true, "partial_images": 1});
    let reply = app.post(PATH, &asked).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let text = reply.text();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["image_generation.partial_image", "image_generation.completed"]);
    assert!(!text.contains("[DONE]"), "{text}");
    assert!(upstream.inferences()[0].body.get("stream_options").is_none());
    let row = app.rows().await.remove(0);
    assert_eq!(row["units"], json!({"images": 1, "image_size": "1024x1024", "image_quality": "low"}));
    assert_eq!((&row["completion"], &row["result"]), (&json!(200), &json!("ok")));
    upstream.fail_all(Fault::CutAfterContent);
    let cut = app.post(PATH, &asked).await;
    assert!(cut.text().contains("upstream_interrupted"), "{}", cut.text());
    app.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_before_anybody_is_asked() {
    let (app, upstream) = serving_all().await;
    for (body, param) in [
        (json!({"model": "m"}), "prompt"),
        (json!({"model": "m", "prompt": ["a"]}), "prompt"),
        (json!({"prompt": "a"}), "model"),
        (json!({"model": "m", "prompt": "a", "n": 0}), "n"),
    ] {
        let reply = app.post(PATH, &body).await;
        assert_eq!(reply.status, 400, "{body}");
        assert_eq!(reply.json()["error"]["param"], param, "{body}");
    }
    let unknown = app.post(PATH, &json!({"model": "nobody", "prompt": "a"})).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "model_not_found"));
    assert!(upstream.inferences().is_empty());
    app.stop().await;
}
