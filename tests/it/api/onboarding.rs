//! A channel of two fields, and whose its keys are: by script, on the form, and in the first steps.

use std::sync::Arc;

use onepool::model::time::Clock;
use serde_json::{Value, json};

use super::{Api, assert_refused, fields};
use crate::support::{
    app::{TestApp, at},
    upstream::Upstream,
};

/// A server that knows our upstream as OpenRouter and as DeepSeek, and the upstream, which tells each key's account.
async fn start() -> (Api, Upstream) {
    let upstream = Upstream::start();
    upstream.set_page("/v1/key", &json!({"data": {"creator_user_id": "user_1", "is_free_tier": true}}));
    upstream.set_models(&["a", "b"]);
    let data = Arc::new(tempfile::tempdir().unwrap());
    let providers = data.path().join("data/providers");
    std::fs::create_dir_all(&providers).unwrap();
    for id in ["openrouter", "deepseek"] {
        let file = json!({"id": id, "base_urls": [upstream.base_url()]});
        std::fs::write(providers.join(format!("{id}.json")), file.to_string()).unwrap();
    }
    let app = TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &[]).await;
    (Api::of(app).await, upstream)
}

const KEY: &str = "sk-or-v1-upstream-key-0000";

#[tokio::test]
async fn a_key_alone_makes_a_channel_with_models_and_its_account() {
    let (api, upstream) = start().await;
    let made = api.post("/api/channels", json!({"keys": [{"secret": KEY, "label": "mine"}]})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let channel = made.json();
    assert_eq!((&channel["name"], &channel["provider"]), (&json!("OpenRouter"), &json!("openrouter")));
    assert_eq!((&channel["models"], &channel["state"]), (&json!(["a", "b"]), &json!("available")));
    let keys = api.get("/api/channels/1/keys").await;
    let key = &keys["items"][0];
    assert_eq!((&key["quota_group"], &key["grouped_by_provider"]), (&json!("user_1"), &json!(true)));
    assert_eq!(key["last_check"]["account"], "user_1");
    assert!(upstream.inferences().is_empty(), "it costs no call");

    let more = json!({"keys": [{"secret": "sk-or-v1-another-key-1111"}, {"secret": "sk-or-v1-third-key-2222", "quota_group": "mine"}]});
    api.post("/api/channels/1/keys", more).await;
    let keys = api.get("/api/channels/1/keys").await;
    let group = |at: usize| keys["items"][at]["quota_group"].clone();
    assert_eq!((group(1), group(2)), (json!("user_1"), json!("mine")), "what is said counts");
    for path in ["/channels/1", "/capacity"] {
        let page = api.page(path).await;
        assert!(page.contains("2 keys belong to one account (user_1)"), "{page}");
    }
    assert!(api.page("/channels/1").await.contains("user_1 (told by the provider)"));
    assert!(api.page("/channels/1/keys/1").await.contains("The provider named the account"));

    api.patch("/api/keys/1", json!({"quota_group": null})).await;
    api.post("/api/keys/1/check", json!({"proof": true})).await;
    assert_eq!(api.get("/api/keys/1").await["quota_group"], Value::Null, "it was undone, and stays so");
    let page = api.page("/channels/1").await;
    assert!(page.contains("it is not known whose they are"), "{page}");
    api.stop().await;
}

#[tokio::test]
async fn what_two_fields_do_not_tell_is_asked_for_at_its_field() {
    let (api, _upstream) = start().await;
    let unclear = api.post("/api/channels", json!({"keys": [{"secret": "sk-upstream-key-0000"}]})).await;
    assert_eq!(fields(&unclear), ["provider"]);
    assert!(unclear.text().contains("DeepSeek"), "{}", unclear.text());
    let nothing = api.post("/api/channels", json!({})).await;
    assert_refused(&nothing, 422, "invalid_input");
    assert_eq!(fields(&nothing), ["name", "base_url"]);
    let account = api.post("/api/channels", json!({"provider": "cloudflare"})).await;
    assert_eq!(fields(&account), ["base_url"]);
    let odd = json!({"provider": "deepseek", "keys": [{"secret": "x"}, {"secrte": "long-enough-0000"}], "wieght": 2});
    let odd = fields(&api.post("/api/channels", odd).await);
    assert!(
        odd.contains(&"wieght".to_owned()) && odd.iter().any(|field| field.starts_with("keys[1]")),
        "{odd:?}"
    );
    let short = api.post("/api/channels", json!({"provider": "deepseek", "keys": [{"secret": "x"}]})).await;
    assert_eq!(fields(&short), ["keys[0].secret"]);
    assert_eq!(api.get("/api/channels").await["items"], json!([]), "nothing was made");
    let made = api.post("/api/channels", json!({"provider": "deepseek"})).await.json();
    assert_eq!((&made["name"], &made["state"]), (&json!("DeepSeek"), &json!("no_keys")));
    api.stop().await;
}

#[tokio::test]
async fn the_form_asks_for_provider_and_key_and_shows_what_is_to_be_known() {
    let (api, _upstream) = start().await;
    let page = api.page("/channels/new?provider=openrouter").await;
    for text in ["Get a key of OpenRouter", "Terms of use", "Several accounts", "Prompts", "as of 2026-11-20"]
    {
        assert!(page.contains(text), "{text}: {page}");
    }
    let folded = page.find("Everything else").unwrap();
    assert!(page.find("name=\"keys\"").unwrap() < folded && folded < page.find("name=\"base_url\"").unwrap());
    let sent = [
        ("provider", "deepseek"),
        ("keys", "sk-upstream-key-0000"),
        ("account", "my account"),
        ("priority", "0"),
        ("weight", "1"),
        ("fetch", "true"),
        ("enabled", "true"),
    ];
    let made = api.form("/channels/new", &sent).await;
    assert!(made.status == 200 && made.text().contains("<h1>DeepSeek</h1>"), "{}", made.text());
    let channel = api.get("/api/channels/1").await;
    assert_eq!((&channel["name"], &channel["models"]), (&json!("DeepSeek"), &json!(["a", "b"])));
    assert_eq!(api.get("/api/keys/1").await["quota_group"], "my account");
    let pasted =
        api.form("/channels/1/keys", &[("keys", "sk-second-key-1111"), ("group", "my account")]).await;
    assert_eq!(pasted.status, 200);
    assert!(pasted.text().contains("2 keys belong to one account (my account)"), "{}", pasted.text());
    api.stop().await;
}

#[tokio::test]
async fn the_first_steps_take_a_key_alone() {
    let (api, _upstream) = start().await;
    let page = api.page("/setup/channel?provider=openrouter").await;
    assert!(page.contains("Get a key of OpenRouter") && page.contains("name=\"account\""), "{page}");
    let made = api.form("/setup/channel", &[("keys", KEY)]).await;
    assert!(made.status == 200 && made.text().contains("Who may call?"), "{}", made.text());
    let key = api.get("/api/keys/1").await;
    assert_eq!((&key["quota_group"], &key["grouped_by_provider"]), (&json!("user_1"), &json!(true)));
    let unclear = api.form("/setup/channel", &[("keys", "sk-upstream-key-0000")]).await;
    assert!(unclear.status == 422 && unclear.text().contains("DeepSeek"), "{}", unclear.text());
    api.stop().await;
}
