//! Managed chains by script: what is wanted of them, why they are as they are, weights and names.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};

/// A channel with three free models, of which figures of two are published.
async fn world(api: &Api) {
    let free = |name: &str| json!({"name": name, "price": {"input": 0, "output": 0}});
    let channel = json!({
        "name": "c", "base_url": "http://127.0.0.1:9", "allow_private": true,
        "models": [free("gpt-oss-20b"), free("openai/gpt-oss-120b"), free("house-model")],
    });
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    let keys = json!({"keys": [{"secret": "upstream-key-0000-alpha"}]});
    assert_eq!(api.post("/api/channels/1/keys", keys).await.json()["added"], 1);
    assert_eq!(api.send(Method::POST, "/api/ranking/rebuild", None).await.status, 200);
}

fn models(chain: &Value) -> Vec<&str> {
    chain["models"].as_array().unwrap().iter().filter_map(|model| model["model"].as_str()).collect()
}

#[tokio::test]
async fn a_managed_chain_is_shown_explained_pinned_shortened_and_switched_off() {
    let api = Api::start().await;
    world(&api).await;
    let list = api.get("/api/managed-chains").await;
    let names: Vec<&str> =
        list["items"].as_array().unwrap().iter().filter_map(|chain| chain["name"].as_str()).collect();
    assert_eq!(names, ["auto", "auto:coding", "auto:vision", "auto:fast"]);
    let auto = api.get("/api/managed-chains/auto").await;
    assert_eq!(models(&auto), ["gpt-oss-120b", "gpt-oss-20b", "house-model"]);
    assert_eq!(auto["models"][0]["routes"][0]["upstream_model"], "openai/gpt-oss-120b");
    assert_eq!(api.get("/api/managed-chains/auto:vision").await["usable"], false);

    let why = api.get("/api/managed-chains/auto/ranking?limit=1").await;
    let best = &why["models"][0];
    assert_eq!((&best["place"], &best["capability"]["known"]), (&json!(1), &json!("figure")), "{why}");
    assert_eq!((best["offers"][0]["parts"].as_array().unwrap().len(), &why["total"]), (5, &json!(3)));
    let next = why["next"].as_str().unwrap();
    let rest = api.get(&format!("/api/managed-chains/auto/ranking?cursor={next}")).await;
    assert_eq!(models(&rest), ["gpt-oss-20b", "house-model"]);
    let left_out = api.get("/api/managed-chains/auto:vision/ranking").await;
    assert_eq!(left_out["left_out_counts"], json!([{"reason": "vision_unknown", "count": 3}]));

    let pinned = json!({"pins": ["House-Model"], "most_models": 2});
    let auto = api.patch("/api/managed-chains/auto", pinned).await.json();
    assert_eq!(models(&auto), ["house-model", "gpt-oss-120b"]);
    let off = api.patch("/api/managed-chains/auto", json!({"enabled": false})).await.json();
    assert_eq!((&off["usable"], &off["pins"]), (&json!(false), &json!(["house-model"])));
    assert!(models(&off).is_empty());
    let wrong = json!({"most_models": 0, "pins": ["a b"]});
    let reply = api.patch("/api/managed-chains/auto", wrong).await;
    assert_eq!(fields(&reply), ["most_models", "pins[0]"]);
    assert_refused(&api.send(Method::GET, "/api/managed-chains/other", None).await, 404, "not_found");
    api.stop().await;
}

#[tokio::test]
async fn weights_and_names_decide_the_order_from_the_answer_on() {
    let api = Api::start().await;
    world(&api).await;
    assert_eq!(api.get("/api/ranking/weights").await["preset"], "balanced");
    let put = async |body| api.send(Method::PUT, "/api/ranking/weights", Some(body)).await;
    assert_eq!(put(json!({"preset": "smartest"})).await.json()["capability"], 75);
    assert_eq!(put(json!({"speed": 10})).await.json()["preset"], json!(null));
    assert_eq!(fields(&put(json!({})).await), ["capability"]);
    assert_eq!(put(json!({"preset": "balanced"})).await.status, 200);

    let join = json!({"name": "House-Model", "model": "gpt-oss-120b"});
    assert_eq!(api.post("/api/ranking/names", join).await.status, 201);
    let auto = api.get("/api/managed-chains/auto").await;
    assert_eq!(models(&auto), ["gpt-oss-120b", "gpt-oss-20b"]);
    assert_eq!(auto["models"][0]["routes"].as_array().unwrap().len(), 2);
    let names = api.get("/api/ranking/names").await;
    assert_eq!(names["items"], json!([{"name": "house-model", "model": "gpt-oss-120b"}]));
    let part = async || api.send(Method::DELETE, "/api/ranking/names?name=house-model", None).await;
    assert_eq!(part().await.status, 204);
    assert_eq!(models(&api.get("/api/managed-chains/auto").await).len(), 3);
    assert_refused(&part().await, 404, "not_found");
    let wrong = json!({"name": "x", "provider": "nobody", "model": "y"});
    assert_eq!(fields(&api.post("/api/ranking/names", wrong).await), ["provider"]);
    api.stop().await;
}
