//! What upstreams list, by the admin API.

use reqwest::Method;
use serde_json::json;

use super::{Api, assert_refused};
use crate::support::upstream::{
    KeyRules, Upstream,
    skill::{Skills, Tools},
};

#[tokio::test]
async fn an_upstream_is_asked_for_its_models_and_what_it_lists_and_changes_is_told() {
    let api = Api::start().await;
    let upstream = Upstream::start();
    upstream.set_models(&["one", "two", "three"]);
    let channel =
        json!({"name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["one"]});
    assert_eq!(api.post("/api/channels", channel).await.status, 201);
    let refresh = async || api.send(Method::POST, "/api/channels/1/refresh", None).await;
    assert_refused(&refresh().await, 409, "no_key");
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}]})).await;
    let first = refresh().await.json();
    assert_eq!((&first["models"], &first["first"], &first["appeared"]), (&json!(3), &json!(true), &json!(3)));
    upstream.set_models(&["one", "four"]);
    let second = refresh().await.json();
    assert_eq!((&second["appeared"], &second["vanished"]), (&json!(1), &json!(2)));

    let page = api.get("/api/discovered-models?limit=1").await;
    assert_eq!(
        (&page["items"][0]["name"], &page["total"], &page["next"]),
        (&json!("four"), &json!(2), &json!("1"))
    );
    let rest = api.get("/api/discovered-models?limit=1&cursor=1").await;
    assert_eq!((&rest["items"][0]["name"], &rest["items"][0]["offered"]), (&json!("one"), &json!(true)));
    assert_eq!(rest["items"][0]["callable"], json!(null), "listed is not callable");
    assert_eq!(api.get("/api/discovered-models?not_offered=true&search=FO").await["total"], 1);
    assert_eq!(api.get("/api/discovered-models?gone=true&channel_id=1").await["total"], 2);
    let changes = api.get("/api/discovered-models/changes?limit=2").await;
    assert_eq!((&changes["total"], changes["items"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(api.get("/api/discovered-models/changes?after=2027-01-01T00:00:00Z").await["total"], 0);
    api.stop().await;
}

#[tokio::test]
async fn a_test_of_a_key_says_what_is_proved_and_a_proof_is_kept_for_a_day() {
    let api = Api::start().await;
    let upstream = Upstream::start();
    upstream.set_key("upstream-key-0000-alpha", KeyRules::default());
    let channel =
        json!({"name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["m"]});
    api.post("/api/channels", channel).await;
    let keys = [json!({"secret": "upstream-key-0000-alpha"}), json!({"secret": "upstream-key-0000-beta"})];
    api.post("/api/channels/1/keys", json!({"keys": keys})).await;
    let proof = json!({"proof": true, "cached": true});
    let good = api.post("/api/keys/1/check", proof.clone()).await.json();
    assert_eq!((&good["verdict"], &good["model"]), (&json!("callable"), &json!("m")));
    let bad = api.post("/api/keys/2/check", json!({})).await.json();
    assert_eq!(bad["verdict"], "invalid");
    let calls = upstream.inferences().len();
    assert_eq!(api.post("/api/keys/1/check", proof.clone()).await.json(), good);
    assert_eq!(upstream.inferences().len(), calls, "it is believed for a day");
    api.app.clock.advance(std::time::Duration::from_secs(25 * 3600));
    api.post("/api/keys/1/check", proof).await;
    assert_eq!(upstream.inferences().len(), calls + 1);
    api.stop().await;
}

#[tokio::test]
async fn what_a_model_can_do_is_found_out_once_and_listed() {
    let api = Api::start().await;
    let upstream = Upstream::start();
    upstream.set_skills("m", Skills { tools: Tools::Ignores, ..Skills::default() });
    let channel =
        json!({"name": "u", "base_url": upstream.base_url(), "allow_private": true, "models": ["m"]});
    api.post("/api/channels", channel).await;
    let probe = json!({"channel_id": 1, "model": "m", "kinds": ["tools", "json"]});
    let nobody = api.post("/api/probes", probe.clone()).await.json();
    assert_eq!((&nobody["calls"], &nobody["held_back"]), (&json!(0), &json!("no_key")));
    api.post("/api/channels/1/keys", json!({"keys": [{"secret": "upstream-key-0000-alpha"}]})).await;
    let found = api.post("/api/probes", probe.clone()).await.json();
    assert_eq!((&found["calls"], &found["held_back"]), (&json!(3), &json!(null)), "{found:#}");
    assert_eq!((&found["items"][0]["kind"], &found["items"][0]["verdict"]), (&json!("tools"), &json!("not")));
    assert_eq!((&found["items"][1]["verdict"], &found["items"][1]["holds"]), (&json!("ok"), &json!(true)));
    assert_eq!(api.post("/api/probes", probe).await.json()["calls"], 0, "it is known");
    let fresh = json!({"channel_id": 1, "model": "m", "kinds": ["json"], "fresh": true});
    assert_eq!(api.post("/api/probes", fresh).await.json()["calls"], 1);
    let page = api.get("/api/probes?channel_id=1&model=m&limit=1").await;
    assert_eq!((&page["total"], &page["next"]), (&json!(2), &json!("1")));
    api.app.clock.advance(std::time::Duration::from_secs(25 * 3600));
    let later = api.get("/api/probes").await;
    let holds = |kind: &str| {
        let items = later["items"].as_array().unwrap();
        items.iter().find(|item| item["kind"] == kind).unwrap()["holds"].clone()
    };
    assert_eq!((holds("tools"), holds("json")), (json!(false), json!(true)));
    assert_refused(&api.post("/api/probes", json!({"channel_id": 9, "model": "m"})).await, 404, "not_found");
    assert_eq!(
        api.post("/api/probes", json!({"channel_id": 1, "model": "m", "quota_percent": 101})).await.status,
        422
    );
    api.stop().await;
}
