//! Moderations, rankings, and what is not served at all.

use serde_json::json;

use super::serving_all;
use crate::support::app::Reply;

#[tokio::test]
async fn a_moderation_passes_and_its_model_may_be_left_out() {
    let (app, upstream) = serving_all().await;
    let reply = app.post("/v1/moderations", &json!({"model": "public", "input": ["a", "b"]})).await;
    assert_eq!((reply.status, &reply.json()["results"][0]["flagged"]), (200, &json!(false)));
    assert_eq!(reply.json()["model"], "public");
    let row = app.rows().await.remove(0);
    assert_eq!((&row["endpoint"], &row["estimated"]), (&json!("moderations"), &json!(1)));
    app.channel_with("moderator", &upstream.base_url(), &["sk-upstream-2"], |channel| {
        channel.models = vec![crate::support::app::model("omni-moderation-latest")];
    })
    .await;
    let reply = app.post("/v1/moderations", &json!({"input": "a"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = upstream.inferences().pop().unwrap().body;
    assert_eq!(seen, json!({"model": "omni-moderation-latest", "input": "a"}));
    app.stop().await;
}

#[tokio::test]
async fn a_ranking_passes_and_its_tokens_are_counted() {
    let (app, _upstream) = serving_all().await;
    let asked = json!({"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 2});
    let reply = app.post("/v1/rerank", &asked).await;
    assert_eq!((reply.status, &reply.json()["results"][0]["index"]), (200, &json!(1)));
    assert_eq!(app.rows().await[0]["prompt"], 12);
    for (body, param) in [
        (json!({"model": "m", "query": "q"}), "documents"),
        (json!({"model": "m", "documents": []}), "query"),
        (json!({"model": "m", "query": "q", "documents": [], "stream": true}), "stream"),
    ] {
        let reply = app.post("/v1/rerank", &body).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!(param)), "{body}");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_served_says_so_and_why() {
    let (app, upstream) = serving_all().await;
    for path in [
        "files",
        "batches/batch_1",
        "fine_tuning/jobs",
        "assistants",
        "threads/t/runs",
        "vector_stores/",
        "realtime",
        "evals",
        "containers/c/files",
    ] {
        for (method, prefix) in
            [(reqwest::Method::GET, "/v1"), (reqwest::Method::POST, "/v1"), (reqwest::Method::POST, "")]
        {
            let request = app.request(method, &format!("{prefix}/{path}")).body("x".repeat(100_000));
            let reply = Reply::read(request.send().await.unwrap()).await;
            assert_eq!((reply.status, reply.code().as_str()), (501, "not_implemented"), "{path}");
            assert!(
                reply.json()["error"]["message"].as_str().unwrap().contains("not served: "),
                "{}",
                reply.text()
            );
            assert_eq!(reply.header("x-should-retry"), Some("false"));
        }
    }
    let unknown = app.post("/v1/nothing", &json!({})).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    assert!(upstream.calls().is_empty());
    app.stop().await;
}
