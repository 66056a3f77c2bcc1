//! Responses that an upstream stores: found again and gone on from with the key that stored them, under our ids alone.

use onepool::model::{
    limit::{Limit, Metric, Models, Per, Source, Window},
    secret::Secret,
    time::Clock,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{all, serving_all};
use crate::support::{
    app::{Reply, TestApp, number},
    upstream::{Fault, Upstream},
};

const PATH: &str = "/v1/responses";
const OTHER: &str = "sk-other0000000000000000000000000000000000000000000000";

async fn send(app: &TestApp, method: Method, path: &str) -> Reply {
    Reply::read(app.request(method, path).send().await.expect("an answer")).await
}

/// Makes a response; the reply and our id, which every event with a response has.
async fn make(app: &TestApp, mut body: Value, stream: bool) -> (Reply, String) {
    body["stream"] = stream.into();
    let reply = app.post(PATH, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(!reply.text().contains("theirs"), "{}", reply.text());
    let id = match stream {
        false => reply.json()["id"].clone(),
        true => {
            let data = reply.text();
            let data = data.lines().filter_map(|line| line.strip_prefix("data: "));
            let events = data.map(|data| serde_json::from_str::<Value>(data).expect("JSON"));
            let ids: Vec<Value> = events
                .filter(|event| event["response"].is_object())
                .map(|event| event["response"]["id"].clone())
                .collect();
            assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            ids[0].clone()
        }
    };
    (reply, id.as_str().expect("an id").to_owned())
}

#[tokio::test]
async fn a_response_is_gone_on_from_with_the_key_that_stores_it_also_after_a_restart() {
    let (mut app, upstream) = serving_all().await;
    all(&app, "d", &upstream, &["sk-upstream-2", "sk-upstream-3"]).await;
    for stream in [false, true, false, true] {
        let (_, first) = make(&app, json!({"model": "public", "input": "Hello"}), stream).await;
        let stored_by = upstream.inferences().pop().unwrap().key;
        let data = app.stop().await;
        app = TestApp::start_in(data, Clock::system(), &[]).await;
        let mut previous = first;
        for _ in 0..3 {
            let asked = json!({"model": "public", "input": "And?", "previous_response_id": previous});
            let (reply, id) = make(&app, asked, stream).await;
            let call = upstream.inferences().pop().unwrap();
            assert_eq!(call.key, stored_by);
            let theirs = call.body["previous_response_id"].as_str().unwrap();
            assert!(theirs.starts_with("theirs_responses_"), "{theirs}");
            assert!(
                reply.text().contains(&format!("\"previous_response_id\":\"{previous}\"")),
                "{}",
                reply.text()
            );
            previous = id;
        }
        let shown =
            send(&app, Method::GET, &format!("{PATH}/{previous}?include[]=reasoning.encrypted_content"))
                .await;
        assert_eq!((shown.status, &shown.json()["id"]), (200, &json!(previous)), "{}", shown.text());
        assert!(shown.json()["previous_response_id"].as_str().unwrap().starts_with("resp_"));
        assert!(!shown.text().contains("theirs"), "{}", shown.text());
        assert_eq!(upstream.calls().pop().unwrap().key, stored_by);
    }
    app.stop().await;
}

#[tokio::test]
async fn what_is_not_stored_has_no_row_and_passes_as_it_is() {
    let (app, upstream) = serving_all().await;
    for stream in [false, true] {
        let asked = json!({"model": "public", "input": "Hello", "store": false, "stream": stream});
        let reply = app.post(PATH, &asked).await;
        assert_eq!(reply.status, 200);
        assert!(reply.text().contains("\"id\":\"theirs_unkept\""), "{}", reply.text());
    }
    assert_eq!(number(&app.database(), "SELECT COUNT(*) FROM upstream_jobs").await, 0);
    assert_eq!(upstream.kept(), 0);
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_previous_response_and_that_of_another_token_are_refused_before_any_upstream_is_asked() {
    let (app, upstream) = serving_all().await;
    app.token_with(|token| {
        token.name = "other".into();
        token.value = Secret::new(OTHER);
    })
    .await;
    let (_, id) = make(&app, json!({"model": "m", "input": "Hello"}), false).await;
    upstream.forget_calls();
    for (value, previous) in [
        (OTHER, json!(id)),
        (OTHER, json!("resp_none")),
        (crate::support::app::TOKEN, json!("theirs_responses_1")),
        (OTHER, json!(7)),
        (OTHER, json!("")),
    ] {
        let body = json!({"model": "m", "input": "And?", "previous_response_id": previous});
        let request = app.http.post(app.url(PATH)).bearer_auth(value).json(&body);
        let reply = Reply::read(request.send().await.unwrap()).await;
        let param = reply.json()["error"]["param"].clone();
        assert_eq!((reply.status, param), (400, json!("previous_response_id")), "{}", reply.text());
    }
    for (method, path) in
        [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/cancel"), (Method::GET, "/input_items")]
    {
        let request = app.http.request(method, app.url(&format!("{PATH}/{id}{path}"))).bearer_auth(OTHER);
        let reply = Reply::read(request.send().await.unwrap()).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{}", reply.text());
    }
    assert!(upstream.calls().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_stored_response_is_shown_cancelled_and_deleted() {
    let (app, upstream) = serving_all().await;
    let (reply, id) =
        make(&app, json!({"model": "public", "input": "Hello", "background": true}), false).await;
    assert_eq!(reply.json()["status"], json!("queued"));
    let cancelled = send(&app, Method::POST, &format!("{PATH}/{id}/cancel")).await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["status"]),
        (200, &json!("cancelled")),
        "{}",
        cancelled.text()
    );
    assert_eq!((&cancelled.json()["id"], &cancelled.json()["model"]), (&json!(id), &json!("public")));
    let inputs = send(&app, Method::GET, &format!("{PATH}/{id}/input_items?limit=5&order=asc")).await;
    assert_eq!((inputs.status, &inputs.json()["data"][0]["content"][0]["text"]), (200, &json!("Hello")));
    let path = upstream.calls().pop().unwrap().request.path;
    assert!(path.ends_with("/input_items?limit=5&order=asc"), "{path}");
    let streamed = send(&app, Method::GET, &format!("{PATH}/{id}?stream=true")).await;
    assert_eq!((streamed.status, &streamed.json()["error"]["param"]), (400, &json!("stream")));
    let gone = send(&app, Method::DELETE, &format!("{PATH}/{id}")).await;
    assert_eq!((gone.status, gone.json()), (200, json!({"id": id, "object": "response", "deleted": true})));
    assert_eq!(send(&app, Method::GET, &format!("{PATH}/{id}")).await.status, 404);
    assert_eq!((upstream.kept(), app.rows().await.len()), (0, 1));
    app.stop().await;
}

#[tokio::test]
async fn going_on_asks_no_other_key_though_the_one_that_stores_it_fails() {
    let (app, upstream) = serving_all().await;
    all(&app, "d", &upstream, &["sk-upstream-2", "sk-upstream-3"]).await;
    let (_, id) = make(&app, json!({"model": "public", "input": "Hello"}), false).await;
    let key = upstream.inferences().pop().unwrap().key.unwrap();
    upstream.fail_key(&key, Fault::Status500);
    let asked = json!({"model": "public", "input": "And?", "previous_response_id": id});
    let reply = app.post(PATH, &asked).await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert!(
        upstream.inferences().iter().skip(1).all(|call| call.key.as_ref() == Some(&key)),
        "no other key is asked"
    );
    app.stop().await;
}

#[tokio::test]
async fn going_on_waits_for_the_limit_of_its_key_though_another_has_room() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    all(&app, "c", &upstream, &["sk-upstream-1", "sk-upstream-2"]).await;
    let channel = app.app.site().catalog.load().channels().next().unwrap().channel.id;
    let limit = Limit {
        models: Models::default(),
        per: Per::Key,
        metric: Metric::Requests,
        window: Window::Rolling { ms: 2000 },
        max: 1,
        source: Source::Declared,
    };
    app.app.site().db.set_limits(channel, None, &[limit]).await.unwrap();
    app.reload().await;
    let (_, id) = make(&app, json!({"model": "public", "input": "Hello"}), false).await;
    make(&app, json!({"model": "public", "input": "And?", "previous_response_id": id}), false).await;
    let calls = upstream.inferences();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].key, calls[1].key);
    let waited = calls[1].started - calls[0].started;
    assert!(waited.as_millis() >= 1900, "{waited:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_model_that_is_not_served_where_the_response_is_kept_is_refused_with_the_field() {
    let (app, upstream) = serving_all().await;
    let elsewhere = Upstream::start();
    app.channel_with("e", &elsewhere.base_url(), &["sk-upstream-9"], |channel| {
        channel.models = vec![crate::support::app::model("only-there")];
        channel.endpoints = super::every();
    })
    .await;
    let (_, id) = make(&app, json!({"model": "public", "input": "Hello"}), false).await;
    upstream.forget_calls();
    let asked = json!({"model": "only-there", "input": "And?", "previous_response_id": id});
    let reply = app.post(PATH, &asked).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("previous_response_id")));
    assert!(upstream.calls().is_empty() && elsewhere.calls().is_empty());
    app.stop().await;
}
