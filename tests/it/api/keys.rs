//! Keys by script: they go in, and never come out.

use onepool::model::id::ChannelId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::upstream::Upstream;

async fn with_channel() -> (Api, Upstream) {
    let (api, upstream) = (Api::start().await, Upstream::start());
    let channel =
        json!({"name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["m"]});
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    (api, upstream)
}

#[tokio::test]
async fn keys_are_added_as_objects_all_or_none() {
    let (api, _upstream) = with_channel().await;
    let path = "/api/channels/1/keys";
    let wrong =
        json!({"keys": [{"secret": "upstream-key-0000-alpha"}, {"secret": "a b", "label": "x".repeat(101)}]});
    let reply = api.post(path, wrong).await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["keys[1].secret", "keys[1].label"]);
    assert_eq!(api.get(path).await["items"], json!([]));

    let keys = json!({"keys": [
        {"secret": "upstream-key-0000-alpha", "label": "first", "quota_group": "account"},
        {"secret": "upstream-key-0000-beta", "enabled": false},
        {"secret": "upstream-key-0000-alpha"},
    ]});
    let added = api.post(path, keys).await.json();
    assert_eq!((&added["added"], &added["duplicates"], &added["refused"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(
        (&added["results"][0]["last4"], &added["results"][2]["result"]),
        (&json!("lpha"), &json!("duplicate"))
    );
    let listed = api.get(path).await;
    let [first, second] = &listed["items"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(
        (&first["label"], &first["quota_group"], &first["state"]),
        (&json!("first"), &json!("account"), &json!("available"))
    );
    assert_eq!((&second["enabled"], &second["state"]), (&json!(false), &json!("off")));
    assert!(api.page("/channels/1").await.contains("lpha"));
    for body in [
        json!({}),
        json!({"keys": [], "text": "# nothing"}),
        json!({"keys": [{"secret": "abcd"}], "text": "abcd"}),
    ] {
        assert_refused(&api.post(path, body).await, 422, "invalid_input");
    }
    let nested = api.post(path, json!({"keys": [{"secret": "abcdef", "lable": "x"}]})).await;
    assert_eq!(fields(&nested), ["keys[0].lable"]);
    assert_refused(&api.post("/api/channels/99/keys", json!({"text": "abcdef"})).await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn a_pasted_text_is_taken_with_a_result_per_line() {
    let (api, _upstream) = with_channel().await;
    let text = "GROQ_KEY=upstream-key-0000-alpha\nabc\nupstream-key-0000-beta, upstream-key-0000-alpha";
    let added = api.post("/api/channels/1/keys", json!({"text": text, "quota_group": "g"})).await.json();
    let results: Vec<(i64, &str)> = added["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["line"].as_i64().unwrap(), result["result"].as_str().unwrap()))
        .collect();
    assert_eq!(results, [(1, "added"), (2, "refused"), (3, "added"), (3, "duplicate")]);
    assert_eq!(
        (&added["results"][0]["label"], &added["results"][1]["key_id"]),
        (&json!("GROQ_KEY"), &Value::Null)
    );
    let keys = api.get("/api/channels/1/keys?limit=1").await;
    assert_eq!((&keys["items"][0]["quota_group"], keys["next"].is_string()), (&json!("g"), true));
    api.stop().await;
}

#[tokio::test]
async fn a_key_is_changed_tested_and_removed() {
    let (api, upstream) = with_channel().await;
    api.post(
        "/api/channels/1/keys",
        json!({"keys": [{"secret": "upstream-key-0000-alpha", "label": "a", "quota_group": "g"}]}),
    )
    .await;
    let key = api.app.keys_of(ChannelId(1))[0];
    let path = format!("/api/keys/{key}");
    let changed = api.patch(&path, json!({"quota_group": null, "enabled": false})).await.json();
    assert_eq!(
        (&changed["label"], &changed["quota_group"], &changed["enabled"]),
        (&json!("a"), &Value::Null, &json!(false))
    );
    assert_eq!(
        fields(&api.patch(&path, json!({"secret": "new"})).await),
        ["secret"],
        "a value is added as a new key"
    );
    assert_eq!(fields(&api.patch(&path, json!({"label": "x".repeat(101)})).await), ["label"]);
    api.form(&format!("/channels/1/keys/{key}"), &[("label", "from the page"), ("group", "")]).await;
    assert_eq!(api.get(&path).await["label"], "from the page");

    let check = api.send(Method::POST, &format!("{path}/check"), None).await.json();
    assert_eq!((&check["passed"], check["steps"].as_array().unwrap().len()), (&json!(true), 3), "{check}");
    assert_eq!(api.get(&path).await["last_check"], check);
    assert!(upstream.inferences().iter().all(|call| call.is_inference()));
    assert_eq!(fields(&api.post(&format!("{path}/check"), json!({"model": "a b"})).await), ["model"]);
    assert!(api.page(&format!("/channels/1/keys/{key}")).await.contains("from the page"));

    assert_eq!(api.delete(&path).await.status, 204);
    for request in [Method::GET, Method::DELETE] {
        assert_refused(&api.send(request, &path, None).await, 404, "not_found");
    }
    api.stop().await;
}

#[tokio::test]
async fn of_two_changes_at_a_time_neither_undoes_the_other() {
    let (api, _upstream) = with_channel().await;
    let db = api.app.app.site().db.clone();
    for round in 0..10 {
        let (note, weight) = (format!("round {round}"), round + 2);
        let (one, other) = tokio::join!(
            api.patch("/api/channels/1", json!({"note": note})),
            api.patch("/api/channels/1", json!({"weight": weight})),
        );
        assert_eq!((one.status, other.status), (200, 200));
        let channel = api.get("/api/channels/1").await;
        assert_eq!((&channel["note"], &channel["weight"]), (&json!(note), &json!(weight)));
    }
    // What a command has written is not undone either, although the server has not followed yet.
    db.set_channel_enabled(ChannelId(1), false).await.unwrap();
    let channel = api.patch("/api/channels/1", json!({"priority": 7})).await.json();
    assert_eq!((&channel["enabled"], &channel["priority"]), (&json!(false), &json!(7)));
    api.stop().await;
}
