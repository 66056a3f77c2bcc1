//! The pages of the ranking: chains with reasons, pins, weights, names.

use onepool::{
    model::{id::ChannelId, key::PastedKey, secret::Secret},
    provider::Providers,
    storage::channels::NewChannel,
};

use super::Browser;

/// A channel with a key whose upstream lists these models as free.
async fn listed(browser: &Browser, name: &str, models: &[String]) -> ChannelId {
    let site = browser.app.site();
    let new = NewChannel {
        name: name.into(),
        base_url: "http://127.0.0.1:9".into(),
        provider: "openrouter".into(),
        enabled: true,
        ..NewChannel::default()
    };
    let id = site.db.create_channel(&new).await.unwrap();
    let key = PastedKey {
        label: String::new(),
        secret: Secret::new(format!("key-of-{name}")),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    };
    site.db.add_keys(id, &[key]).await.unwrap();
    let model = |name: &String| {
        serde_json::json!({"id": name, "context_length": 131_072, "supported_parameters": ["tools"],
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0", "completion": "0"}})
    };
    let body = serde_json::json!({ "data": models.iter().map(model).collect::<Vec<_>>() }).to_string();
    let listing = Providers::embedded().find("openrouter").unwrap().read_list(body.as_bytes()).unwrap();
    site.db.save_listing(id, &listing, site.clock.now()).await.unwrap();
    site.catalog.reload().await.unwrap();
    id
}

async fn some(browser: &Browser) {
    let names = ["openai/gpt-oss-120b:free", "acme/nobody-knows:free", "acme/other:free"];
    listed(browser, "Router", &names.map(str::to_owned)).await;
    browser.post("/ranking/rebuild", "chain=auto").await;
}

/// Where a text stands on a page.
fn at(body: &str, text: &str) -> usize {
    body.find(text).unwrap_or_else(|| panic!("no {text} in {body}"))
}

fn heading(model: &str) -> String {
    format!("<strong class=\"mono\">{model}</strong>")
}

#[tokio::test]
async fn a_chain_is_shown_in_its_order_with_the_reason_for_every_part_of_a_score() {
    let browser = Browser::start().await;
    assert!(browser.get("/ranking").await.has("No model is in this chain"));
    some(&browser).await;
    let page = browser.get("/ranking").await;
    assert!(
        at(&page.body, &heading("gpt-oss-120b")) < at(&page.body, &heading("acme/nobody-knows")),
        "a published figure goes before none"
    );
    for text in [
        "3 models on 1 channels",
        "Router (keys: 1)",
        "published: whatmodel.sh, score over all tasks: ",
        "rel=\"noopener noreferrer\">source</a>",
        "unknown: nobody has looked for a published figure; counted as 0",
        "unknown: no call yet; counted as usual, 800",
        "131,072 tokens",
        "as openai/gpt-oss-120b:free",
    ] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    assert!(!page.has("style=") && !page.has("onclick"), "the content policy forbids both");
    let images = browser.get("/ranking?chain=auto:vision").await;
    assert!(
        images.has("takes no images<b>3</b>") && images.has("No model is in this chain"),
        "{}",
        images.body
    );
    let found = browser.get("/ranking?chain=auto:vision&why=no_vision&out=NOBODY").await;
    assert!(found.has("acme/nobody-knows:free") && !found.has("acme/other:free"), "{}", found.body);
}

#[tokio::test]
async fn a_model_is_pinned_by_any_of_its_names_and_a_name_that_nobody_has_brings_similar_ones() {
    let browser = Browser::start().await;
    some(&browser).await;
    let pinned = browser.post("/ranking/pin", "chain=auto&act=top&model=Acme/Other:free").await;
    assert_eq!((pinned.status.as_u16(), pinned.location.as_str()), (303, "/ranking?chain=auto"));
    let page = browser.get("/ranking").await;
    assert!(at(&page.body, &heading("acme/other")) < at(&page.body, &heading("gpt-oss-120b")));
    assert!(page.has(">pinned</span>") && page.has("Unpin acme/other"), "{}", page.body);
    // The next one goes in front of it, or behind it.
    browser.post("/ranking/pin", "chain=auto&act=top&model=gpt-oss:120b").await;
    browser.post("/ranking/pin", "chain=auto&act=pin&model=acme/nobody-knows").await;
    let page = browser.get("/ranking").await;
    let places = ["gpt-oss-120b", "acme/other", "acme/nobody-knows"].map(|one| at(&page.body, &heading(one)));
    assert!(places.is_sorted(), "{}", page.body);
    browser.post("/ranking/pin", "chain=auto&act=unpin&model=gpt-oss-120b").await;
    assert!(browser.get("/ranking").await.has("aria-label=\"Pin gpt-oss-120b\""));

    let wrong = browser.post("/ranking/pin", "chain=auto&act=top&model=gpt-oss-12b%3Cb%3E").await;
    assert_eq!(wrong.status.as_u16(), 422);
    assert!(wrong.has("Similar names: gpt-oss-120b"), "{}", wrong.body);
    assert!(
        wrong.has("value=\"gpt-oss-12b&#60;b&#62;\"") && wrong.has("aria-invalid=\"true\""),
        "{}",
        wrong.body
    );
    assert_eq!(browser.post("/ranking/pin", "chain=auto&act=top&model=").await.status.as_u16(), 422);
}

#[tokio::test]
async fn weights_come_from_a_preset_or_are_typed_and_wrong_ones_are_named_at_their_fields() {
    let browser = Browser::start().await;
    let page = browser.get("/ranking/weights").await;
    assert!(page.has("aria-label=\"Use “Smartest”\"") && !page.has("Use “Balanced”"), "{}", page.body);
    let chosen = browser.post("/ranking/weights", "preset=smartest").await;
    assert_eq!((chosen.status.as_u16(), chosen.location.as_str()), (303, "/ranking/weights"));
    let page = browser.get("/ranking/weights").await;
    assert!(page.has("name=\"capability\" inputmode=\"numeric\" autocomplete=\"off\" value=\"75\""));

    let wrong = "capability=101&reliability=often&speed=7&context=0&quota=0";
    let page = browser.post("/ranking/weights", wrong).await;
    assert_eq!(page.status.as_u16(), 422);
    for text in [
        "id=\"capability-error\"",
        "id=\"reliability-error\"",
        "value=\"101\"",
        "value=\"often\"",
        "value=\"7\"",
    ] {
        assert!(page.has(text), "{text}: {}", page.body);
    }
    assert!(!page.has("id=\"speed-error\""));
    let nothing =
        browser.post("/ranking/weights", "capability=0&reliability=0&speed=0&context=0&quota=0").await;
    assert!(nothing.status.as_u16() == 422 && nothing.has("One weight at least has to be above 0."));
    assert_eq!(browser.app.site().db.ranking_weights().await.unwrap().capability, 75, "nothing was saved");

    let own = "capability=10&reliability=20&speed=30&context=40&quota=50";
    assert_eq!(browser.post("/ranking/weights", own).await.status.as_u16(), 303);
    assert_eq!(browser.app.site().db.ranking_weights().await.unwrap().quota, 50);
}

#[tokio::test]
async fn a_chain_is_switched_off_and_has_as_many_models_as_are_wanted() {
    let browser = Browser::start().await;
    some(&browser).await;
    let saved = browser.post("/ranking/wishes", "chain=auto&enabled=true&free_only=true&most_models=1").await;
    assert_eq!(saved.status.as_u16(), 303);
    let page = browser.get("/ranking").await;
    assert!(page.has("1 models on 1 channels") && page.has(">next in line</span>"), "{}", page.body);
    assert_eq!(browser.app.site().catalog.load().steps("auto").len(), 1);
    let wrong = browser.post("/ranking/wishes", "chain=auto&enabled=true&most_models=0").await;
    assert!(
        wrong.status.as_u16() == 422 && wrong.has("id=\"most_models-error\"") && wrong.has("value=\"0\"")
    );
    browser.post("/ranking/wishes", "chain=auto&free_only=true&most_models=8").await;
    assert!(browser.get("/ranking").await.has("Off: clients cannot ask for this name."));
    assert!(browser.app.site().catalog.load().model("auto").is_none());
}

#[tokio::test]
async fn names_are_joined_to_a_model_and_parted_again() {
    let browser = Browser::start().await;
    some(&browser).await;
    let form = "name=acme/other&provider=&identity=gpt-oss-120b";
    assert_eq!(browser.post("/ranking/names", form).await.status.as_u16(), 303);
    let page = browser.get("/ranking").await;
    assert!(page.has("2 models on 1 channels") && !page.has(&heading("acme/other")), "{}", page.body);
    let names = browser.get("/ranking/names?q=acme").await;
    assert!(names.has("Remove acme/other") && names.has("1 names"), "{}", names.body);
    let again = browser.post("/ranking/names", form).await;
    assert!(again.status.as_u16() == 422 && again.has("These are the same name already."), "{}", again.body);
    let wrong = browser.post("/ranking/names", "name=two+words&provider=nobody&identity=").await;
    assert_eq!(wrong.status.as_u16(), 422);
    for text in ["id=\"name-error\"", "id=\"provider-error\"", "id=\"identity-error\"", "value=\"two words\""]
    {
        assert!(wrong.has(text), "{text}: {}", wrong.body);
    }
    browser.post("/ranking/names/remove", "name=acme/other&provider=").await;
    assert!(browser.get("/ranking").await.has(&heading("acme/other")));
}

#[tokio::test]
async fn five_thousand_models_are_ranked_on_pages_of_bounded_length() {
    let browser = Browser::start().await;
    let name = |number: usize| format!("vendor/a-model-with-a-name-of-the-usual-length-{number:05}:free");
    let names: Vec<String> = (0..5000).map(name).collect();
    for channel in ["One", "Two", "Three", "Four"] {
        listed(&browser, channel, if channel == "One" { &names } else { &names[..40] }).await;
    }
    browser.post("/ranking/wishes", "chain=auto&enabled=true&free_only=true&most_models=100").await;
    for path in [
        "/ranking",
        "/ranking?page=50",
        "/ranking?chain=auto:vision",
        "/ranking?q=length-0001",
        "/ranking?page=99999",
    ] {
        let page = browser.get(path).await;
        assert!(
            page.status.as_u16() == 200 && page.body.len() < 150_000,
            "{path}: {} bytes",
            page.body.len()
        );
    }
    let first = browser.get("/ranking").await;
    assert!(first.has("Page 1 of 50") && first.has("rel=\"next\""), "1000 models are ranked");
    let images = browser.get("/ranking?chain=auto:vision").await;
    assert!(
        images.has("takes no images<b>5120</b>") && images.has("1000 of 5120 are listed here"),
        "{}",
        images.body
    );
}
