//! Chains by script, and as the pages show them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};

async fn add_channel(api: &Api, name: &str, models: Value) {
    let channel =
        json!({"name": name, "base_url": "http://127.0.0.1:9", "allow_private": true, "models": models});
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
}

#[tokio::test]
async fn a_chain_is_made_changed_and_deleted_and_the_pages_agree() {
    let api = Api::start().await;
    add_channel(&api, "one", json!(["large", "small"])).await;
    add_channel(&api, "two", json!(["small"])).await;
    let input = json!({"name": "smart", "steps": [
        {"model": "large", "spill_ms": 500}, "small", {"model": "gone", "spill_ms": "never"}
    ]});
    let made = api.post("/api/chains", input).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/api/chains/1")), "{}", made.text());
    let chain = made.json();
    assert_eq!(
        chain["steps"],
        json!([
            {"model": "large", "spill_ms": 500, "served": true},
            {"model": "small", "spill_ms": 2000, "served": true},
            {"model": "gone", "spill_ms": "never", "served": false},
        ])
    );
    assert_eq!((&chain["enabled"], &chain["usable"]), (&json!(true), &json!(true)));
    let outer = json!({"name": "outer", "steps": [{"model": "SMART", "spill_ms": 7}]});
    let outer = api.post("/api/chains", outer).await.json();
    assert_eq!(
        outer["resolved"],
        json!([{"model": "large", "spill_ms": 500, "channels": 1}, {"model": "small", "spill_ms": 7, "channels": 2}])
    );
    assert!(api.page("/chains/1").await.contains("left after 500 ms"));
    let names: Vec<Value> = api.get("/api/models").await["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].clone())
        .collect();
    assert_eq!(names, ["large", "outer", "small", "smart"]);
    assert_eq!(api.get("/api/chains?name=Smart").await["items"].as_array().unwrap().len(), 1);
    let page = api.get("/api/chains?limit=1").await;
    let next = page["next"].as_str().unwrap();
    assert_eq!(api.get(&format!("/api/chains?limit=1&cursor={next}")).await["items"][0]["name"], "outer");

    let off = api.patch("/api/chains/1", json!({"enabled": false})).await.json();
    assert_eq!(
        (&off["usable"], &off["resolved"], &off["steps"]),
        (&json!(false), &json!([]), &chain["steps"])
    );
    assert_eq!(api.get("/api/chains/2").await["usable"], false, "its only step is off");
    let put = api.send(Method::PUT, "/api/chains/1", Some(json!({"name": "best", "steps": ["small"]}))).await;
    assert_eq!((&put.json()["name"], &put.json()["enabled"]), (&json!("best"), &json!(true)));
    assert!(api.page("/chains").await.contains("best"));
    assert_eq!(api.delete("/api/chains/1").await.status, 204);
    assert_refused(&api.delete("/api/chains/1").await, 404, "not_found");
    assert_refused(&api.patch("/api/chains/1", json!({})).await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn faults_of_a_chain_are_named_and_no_edit_closes_a_loop() {
    let api = Api::start().await;
    let reply = api
        .post(
            "/api/chains",
            json!({"name": "a b", "steps": ["x", "X", {"model": "", "spill_ms": 4_000_000}]}),
        )
        .await;
    assert_refused(&reply, 422, "invalid_input");
    assert_eq!(fields(&reply), ["name", "steps[1].model", "steps[2].model", "steps[2].spill_ms"]);
    assert_eq!(fields(&api.post("/api/chains", json!({"name": "a", "steps": []})).await), ["steps"]);
    assert_eq!(fields(&api.post("/api/chains", json!({"name": "a"})).await), ["steps"]);
    let shape = json!({"name": "a", "steps": [{"model": "x", "spill_ms": "soon"}]});
    assert_eq!(fields(&api.post("/api/chains", shape).await), ["steps[0].spill_ms"]);

    assert_eq!(api.post("/api/chains", json!({"name": "a", "steps": ["x", "b"]})).await.status, 201);
    let again = api.post("/api/chains", json!({"name": "A", "steps": ["x"]})).await;
    assert_eq!((again.status, fields(&again)), (409, vec!["name".to_owned()]));
    let closing = api.post("/api/chains", json!({"name": "b", "steps": ["y", "a"]})).await;
    assert_refused(&closing, 422, "invalid_input");
    assert_eq!(fields(&closing), ["steps[1].model"]);
    assert!(closing.text().contains("b → a → b"), "{}", closing.text());
    assert_eq!(api.post("/api/chains", json!({"name": "b", "steps": ["y"]})).await.status, 201);
    let closing = api.patch("/api/chains/2", json!({"steps": ["y", "A"]})).await;
    assert_eq!((closing.status, fields(&closing)), (422, vec!["steps[1].model".to_owned()]));
    assert_eq!(fields(&api.patch("/api/chains/2", json!({"steps": ["b"]})).await), ["steps[0].model"]);

    let pool = json!({"chains": [{"name": "b", "steps": ["a"]}]});
    let applied = api.post("/api/apply", json!({"pool": pool})).await;
    assert_eq!((applied.status, fields(&applied)), (422, vec!["pool.chains[0].steps[0].model".to_owned()]));
    let pool = json!({"chains": [{"name": "b", "steps": ["y", {"model": "z", "spill_ms": 0}]}]});
    let applied = api.post("/api/apply", json!({"pool": pool})).await.json();
    assert_eq!(
        (&applied["steps"][0]["kind"], &applied["steps"][0]["changes"][0]["added"]),
        (&json!("chain"), &json!(["z"]))
    );
    let exported = api.get("/api/export").await;
    assert_eq!(exported["chains"][1]["steps"][1], json!({"model": "z", "spill_ms": 0}));
    api.stop().await;
}
