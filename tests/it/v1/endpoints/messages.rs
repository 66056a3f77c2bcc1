//! `/v1/messages`, Anthropic's, for upstreams that speak it.

use serde_json::{Value, json};

use super::serving_all;
use crate::support::{
    app::{Reply, TOKEN},
    upstream::Fault,
};

const PATH: &str = "/v1/messages";

fn asked(stream: bool) -> Value {
    json!({"model": "public", "max_tokens": 50, "stream": stream, "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello"}]})
}

#[tokio::test]
async fn a_message_passes_with_its_own_headers_and_its_usage_has_the_cache() {
    let (app, upstream) = serving_all().await;
    for stream in [false, true] {
        let request = app
            .http
            .post(app.url(PATH))
            .header("x-api-key", TOKEN)
            .header("anthropic-version", "2023-06-01")
            .header("anthropic-beta", "context-1m")
            .json(&asked(stream));
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let text = reply.text();
        assert!(text.contains("said") && text.contains(r#""model":"public""#), "{text}");
        if stream {
            assert!(
                text.contains("event: ping\n")
                    && text.trim_end().ends_with(r#"data: {"type":"message_stop"}"#)
            );
        }
        let seen = upstream.inferences().pop().unwrap();
        let header = |name| seen.request.header(name).map(str::to_owned);
        assert_eq!(header("x-api-key").as_deref(), Some("sk-upstream-1"));
        assert_eq!(header("anthropic-version").as_deref(), Some("2023-06-01"));
        assert_eq!(header("anthropic-beta").as_deref(), Some("context-1m"));
        assert!(!format!("{:?}", seen.request.headers).contains(TOKEN));
        let row = app.rows().await.remove(0);
        let counts = [&row["prompt"], &row["completion"], &row["cached"], &row["estimated"]];
        assert_eq!(counts, [&json!(28), &json!(9), &json!(20), &json!(0)], "{stream}");
    }
    app.stop().await;
}

#[tokio::test]
async fn errors_have_the_shape_that_its_clients_read() {
    let (app, upstream) = serving_all().await;
    let check = |reply: &Reply, status, kind: &str| {
        let json = reply.json();
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!((&json["type"], &json["error"]["type"]), (&json!("error"), &json!(kind)), "{json}");
        assert!(json["request_id"].is_string());
    };
    let nobody = app.http.post(app.url(PATH)).json(&asked(false)).send().await.unwrap();
    check(&Reply::read(nobody).await, 401, "authentication_error");
    check(&app.post(PATH, &json!({"model": "m"})).await, 400, "invalid_request_error");
    check(&app.post(PATH, &json!({"model": "nobody", "messages": []})).await, 404, "not_found_error");
    upstream.fail_all(Fault::ErrorAfterContent);
    let reply = app.post(PATH, &asked(true)).await;
    let text = reply.text();
    assert!(
        text.contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""),
        "{text}"
    );
    app.stop().await;
}
