//! Words that are spoken: bytes, or events with bytes in them.

use serde_json::json;

use super::{all, serving_all};
use crate::support::upstream::{Fault, Upstream};

const PATH: &str = "/v1/audio/speech";

#[tokio::test]
async fn sound_passes_byte_by_byte_with_its_type_and_the_characters_are_counted() {
    let (app, upstream) = serving_all().await;
    for (input, length) in [("Grüße, 世界", Some(4000)), ("bytes=200000 chunked", None)] {
        let asked = json!({"model": "public", "input": input, "voice": "alloy", "response_format": "mp3"});
        let reply = app.post(PATH, &asked).await;
        assert_eq!((reply.status, reply.whole), (200, true));
        assert_eq!(reply.header("content-type"), Some("audio/mpeg"));
        let expected: Vec<u8> =
            (0..length.unwrap_or(200_000)).map(|at: usize| (at % (64 << 10) % 251) as u8).collect();
        assert_eq!(
            reply.header("content-length").map(str::to_owned),
            length.map(|length| length.to_string())
        );
        assert!(reply.body == expected, "{} bytes", reply.body.len());
        let seen = upstream.inferences().pop().unwrap();
        assert_eq!(seen.body["model"], "n");
        assert_eq!(seen.request.header("accept"), Some("*/*"));
        let row = app.rows().await.remove(0);
        assert_eq!(row["units"], json!({"characters": input.chars().count()}));
        assert_eq!((&row["endpoint"], &row["result"]), (&json!("speech"), &json!("ok")));
    }
    app.stop().await;
}

#[tokio::test]
async fn sound_in_events_is_counted_in_tokens() {
    let (app, _upstream) = serving_all().await;
    let reply =
        app.post(PATH, &json!({"model": "m", "input": "Hi", "voice": "a", "stream_format": "sse"})).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    assert!(
        reply.text().ends_with("\n\n") && reply.text().contains("event: speech.audio.done"),
        "{}",
        reply.text()
    );
    let row = app.rows().await.remove(0);
    assert_eq!((&row["prompt"], &row["completion"]), (&json!(6), &json!(30)));
    assert_eq!(row["units"], json!({"characters": 2}));
    app.stop().await;
}

#[tokio::test]
async fn an_error_in_place_of_sound_is_tried_elsewhere() {
    let (app, upstream) = serving_all().await;
    let second = Upstream::start();
    all(&app, "d", &second, &["sk-upstream-2"]).await;
    for fault in [Fault::EmptyCompletion, Fault::ErrorInJson200, Fault::Html200, Fault::Status503] {
        for broken in [&upstream, &second] {
            upstream.heal();
            second.heal();
            broken.fail_all(fault);
            let reply = app.post(PATH, &json!({"model": "m", "input": "Hi", "voice": "a"})).await;
            assert_eq!((reply.status, reply.body.len()), (200, 4000), "{fault:?} {}", reply.text());
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn sound_that_breaks_off_breaks_the_connection_so_that_nobody_takes_a_part_for_the_whole() {
    let (app, upstream) = serving_all().await;
    upstream.fail_all(Fault::CutAfterContent);
    for input in ["bytes=200000", "bytes=200000 chunked"] {
        let reply = app.post(PATH, &json!({"model": "m", "input": input, "voice": "a"})).await;
        assert_eq!((reply.status, reply.whole), (200, false), "{input}");
        let row = app.rows().await.remove(0);
        assert_eq!((&row["result"], &row["code"]), (&json!("interrupted"), &json!("upstream_interrupted")));
    }
    app.stop().await;
}
