//! `/v1/responses`, for upstreams that speak it.

use serde_json::{Value, json};

use super::{all, serving_all};
use crate::support::upstream::{Fault, Upstream};

const PATH: &str = "/v1/responses";

#[tokio::test]
async fn a_response_passes_under_its_models_public_name_and_its_usage_is_read() {
    let (app, upstream) = serving_all().await;
    for stream in [false, true] {
        let asked = json!({"model": "public", "input": "Hello", "stream": stream, "max_output_tokens": 100, "store": false});
        let reply = app.post(PATH, &asked).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let text = reply.text();
        assert!(text.contains("said") && text.contains(r#""model":"public""#), "{text}");
        assert!(!text.contains(r#""model":"n""#), "{text}");
        if stream {
            let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert_eq!(
                (names.first(), names.last()),
                (Some(&"response.created"), Some(&"response.completed"))
            );
            assert!(!text.contains("[DONE]"), "{text}");
        }
        let mut expected = asked.clone();
        expected["model"] = "n".into();
        assert_eq!(upstream.inferences().pop().unwrap().body, expected, "nothing is added");
        let row = app.rows().await.remove(0);
        let counts =
            [&row["prompt"], &row["completion"], &row["cached"], &row["reasoning"], &row["estimated"]];
        assert_eq!(counts, [&json!(7), &json!(4), &json!(2), &json!(1), &json!(0)]);
        assert_eq!((&row["endpoint"], &row["units"]), (&json!("responses"), &Value::Null));
    }
    app.stop().await;
}

#[tokio::test]
async fn faults_before_the_first_content_are_tried_elsewhere() {
    let (app, upstream) = serving_all().await;
    let second = Upstream::start();
    all(&app, "d", &second, &["sk-upstream-2"]).await;
    for fault in [
        Fault::EmptyCompletion,
        Fault::ErrorFirstEvent,
        Fault::RateLimitedSeconds,
        Fault::Status500,
        Fault::Html200,
        Fault::JsonToStream,
    ] {
        for (broken, stream) in [(&upstream, true), (&second, true), (&upstream, false), (&second, false)] {
            upstream.heal();
            second.heal();
            broken.fail_all(fault);
            let reply = app.post(PATH, &json!({"model": "m", "input": "Hello", "stream": stream})).await;
            assert_eq!(reply.status, 200, "{fault:?} {}", reply.text());
            assert!(
                reply.text().contains("said") && !reply.text().contains("error\":{"),
                "{fault:?} {}",
                reply.text()
            );
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn a_fault_after_the_first_content_is_an_event_of_the_streams_own_kind() {
    let (app, upstream) = serving_all().await;
    for fault in [Fault::CutAfterContent, Fault::ErrorAfterContent, Fault::EofAfterContent] {
        upstream.fail_all(fault);
        let reply = app.post(PATH, &json!({"model": "m", "input": "Hello", "stream": true})).await;
        let text = reply.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let data = last.strip_prefix("event: error\ndata: ").unwrap_or_else(|| panic!("{fault:?} {text}"));
        let event: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&event["type"], &event["code"]), (&json!("error"), &json!("upstream_interrupted")));
        let row = app.rows().await.remove(0);
        assert_eq!((&row["result"], &row["estimated"]), (&json!("interrupted"), &json!(1)), "{fault:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field() {
    let (app, upstream) = serving_all().await;
    for (body, param) in [
        (json!({"model": "m", "input": 7}), "input"),
        (json!({"model": "m", "input": "a", "background": true, "store": false}), "background"),
        (json!({"model": "m", "input": "a", "max_output_tokens": "many"}), "max_output_tokens"),
        (json!({"input": "a"}), "model"),
    ] {
        let reply = app.post(PATH, &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{body}");
    }
    assert!(upstream.inferences().is_empty());
    app.stop().await;
}
