//! The pages of channels and keys, as an operator's browser without JavaScript sees them.

use std::time::Duration;

use onepool::{
    model::{
        id::{ChannelId, KeyId},
        secret::SecretHash,
        usage::OutcomeClass,
    },
    scheduler::rest::{Report, Scope},
};

use crate::support::{
    app::{TestApp, eventually, model},
    upstream::{KeyRules, KeyState, Upstream},
};

const COOKIE: &str = "a session of the test";

/// A logged-in browser that follows no redirect by itself.
struct Browser {
    app: TestApp,
    http: reqwest::Client,
    language: &'static str,
}

struct Page {
    status: u16,
    location: String,
    body: String,
}

impl Browser {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let site = app.app.site();
        let (user, _) = site.db.find_credentials("admin").await.unwrap().unwrap();
        let hash = SecretHash::of(&COOKIE.replace(' ', "-"));
        site.db.create_session(user.id, &hash, "127.0.0.1", "test", site.clock.now()).await.unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { app, http, language: "en" }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let response = request
            .header("cookie", format!("onepool_session={}", COOKIE.replace(' ', "-")))
            .header("accept-language", self.language)
            .send()
            .await
            .unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        Page {
            status: response.status().as_u16(),
            location: location.unwrap_or_default(),
            body: response.text().await.unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Page {
        self.send(self.http.get(self.app.url(path))).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(self.app.url(path)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    fn keys(&self, channel: ChannelId) -> Vec<KeyId> {
        let catalog = self.app.app.site().catalog.load();
        catalog.channel(channel).unwrap().keys.iter().map(|key| key.id).collect()
    }

    fn rest(&self, scope: Scope, class: OutcomeClass) {
        let site = self.app.app.site();
        let report = Report {
            class,
            asked: Some(Duration::from_secs(134)),
            counted: false,
            status: Some(429),
            detail: "slow <b>down</b>".into(),
        };
        let now = site.clock.steady();
        site.dispatch.lock().rests_mut().strike(&scope, report, Duration::from_secs(134), now, now);
    }
}

#[tokio::test]
async fn nobody_sees_a_channel_without_logging_in() {
    let browser = Browser::open().await;
    for path in ["/channels", "/channels/new", "/channels/1", "/channels/1/keys", "/channels/1/keys/1"] {
        let response = browser.http.get(browser.app.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 303, "{path}");
        assert!(response.headers()["location"].to_str().unwrap().starts_with("/login"), "{path}");
    }
}

#[tokio::test]
async fn a_channels_provider_is_chosen_or_taken_from_its_base_url_and_shown_in_both_languages() {
    let mut browser = Browser::open().await;
    let form = browser.get("/channels/new").await.body;
    assert!(
        form.contains("By the base URL") && form.contains("<option value=\"groq\">Groq</option>"),
        "{form}"
    );
    let mut fields = vec![
        ("name", "One"),
        ("base_url", "https://api.groq.com/openai/v1"),
        ("protocol", "openai"),
        ("priority", "0"),
        ("weight", "1"),
        ("provider", "grok"),
    ];
    let refused = browser.post("/channels/new", &fields).await;
    assert!(refused.status == 422 && refused.body.contains("Did you mean “groq”?"), "{}", refused.body);
    fields.pop();
    assert_eq!(browser.post("/channels/new", &fields).await.status, 303);
    let form = browser.get("/channels/1/edit").await.body;
    assert!(form.contains("<option value=\"groq\" selected>"), "{form}");

    fields.push(("provider", "generic"));
    assert_eq!(browser.post("/channels/1/edit", &fields).await.status, 303);
    assert!(browser.get("/channels/1").await.body.contains("The base URL belongs to Groq"));
    fields.pop();
    fields.push(("provider", "zhipu"));
    assert_eq!(browser.post("/channels/1/edit", &fields).await.status, 303);
    browser.language = "zh-CN";
    let name = onepool::provider::Providers::embedded().of("zhipu").name.zh.clone();
    assert!(browser.get("/channels/1").await.body.contains(&name), "{name}");
    browser.app.stop().await;
}

#[tokio::test]
async fn a_channels_plan_is_one_of_its_providers_and_survives_another_change() {
    let mut browser = Browser::open().await;
    let form = browser.get("/channels/new").await.body;
    assert!(form.contains("<optgroup label=\"OpenRouter\" data-of=\"openrouter\">"), "{form}");
    let fields = |provider, plan| {
        [
            ("name", "One"),
            ("base_url", "https://openrouter.ai/api/v1"),
            ("protocol", "openai"),
            ("priority", "0"),
            ("weight", "1"),
            ("provider", provider),
            ("plan", plan),
        ]
    };
    for (provider, plan, message) in [
        ("", "moonshot/tier0", "a plan of another provider"),
        ("openrouter", "openrouter/gold", "Please use one of: free, credits"),
    ] {
        let refused = browser.post("/channels/new", &fields(provider, plan)).await;
        assert!(refused.status == 422 && refused.body.contains(message), "{}", refused.body);
    }
    assert_eq!(browser.post("/channels/new", &fields("", "openrouter/credits")).await.status, 303);
    let form = browser.get("/channels/1/edit").await.body;
    assert!(form.contains("<option value=\"openrouter/credits\" selected>"), "{form}");
    browser.language = "zh-CN";
    let plan =
        onepool::provider::Providers::embedded().of("openrouter").plan("credits").unwrap().name.zh.clone();
    assert!(browser.get("/channels/1").await.body.contains(&plan), "{plan}");
    assert_eq!(browser.post("/channels/1/edit", &fields("openrouter", "")).await.status, 303);
    assert!(!browser.get("/channels/1").await.body.contains(&plan));
    browser.app.stop().await;
}

#[tokio::test]
async fn a_wrong_file_of_a_provider_is_shown_with_its_place_until_it_is_mended() {
    let browser = Browser::open().await;
    let folder = browser.app.data.path().join("data/providers");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("mine.json"), "{\"id\": \"mine\",\n\"limits\": 3}").unwrap();
    let page = async || browser.get("/channels").await.body;
    eventually("the fault on the page", async || page().await.contains("mine.json: line 2")).await;
    std::fs::remove_file(folder.join("mine.json")).unwrap();
    eventually("its end", async || !page().await.contains("mine.json")).await;
    browser.app.stop().await;
}

#[tokio::test]
async fn a_channel_is_added_with_its_keys_and_the_upstreams_models() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    upstream.set_models(&["alpha", "beta"]);
    upstream.allow_keys(&["nvapi-aaaaaaaaaaaa1111", "nvapi-bbbbbbbbbbbb2222"]);
    assert!(browser.get("/channels").await.body.contains("Add the first one"));

    let base_url = upstream.base_url();
    let mut fields = vec![
        ("name", "Fake <vendor>"),
        ("base_url", &*base_url),
        ("protocol", "openai"),
        ("keys", "A=nvapi-aaaaaaaaaaaa1111\nB=\"nvapi-bbbbbbbbbbbb2222\""),
        ("fetch", "true"),
        ("priority", "0"),
        ("weight", "1"),
        ("enabled", "true"),
        ("redirects", "smart = alpha\nsmart = beta"),
    ];
    let refused = browser.post("/channels/new", &fields).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("private or loopback address"), "{}", refused.body);
    assert!(refused.body.contains("Fake &#60;vendor&#62;"), "the values are kept");

    fields.push(("allow_private", "true"));
    let created = browser.post("/channels/new", &fields).await;
    assert_eq!((created.status, &*created.location), (303, "/channels/1"), "{}", created.body);
    let page = browser.get("/channels/1").await.body;
    for expected in [
        "Fake &#60;vendor&#62;",
        "…1111",
        "…2222",
        "alpha",
        "beta",
        "smart = alpha",
        "Any OpenAI-compatible server",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert!(!page.contains("nvapi-aaaa"), "a key is shown only by its last four characters");
    let again = browser.post("/channels/new", &fields).await;
    assert!(again.status == 422 && again.body.contains("This name is taken"), "{}", again.body);
    let list = browser.get("/channels").await.body;
    assert!(list.contains("1/1 available") && list.contains("127.0.0.1"), "{list}");
    assert!(browser.get("/channels?q=ALPHA").await.body.contains("href=\"/channels/1\""));
    assert!(browser.get("/channels?q=gamma").await.body.contains("No channel matches"));
}

#[tokio::test]
async fn each_pasted_line_gets_its_result() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-already-there"]).await;
    let text = "first: key-number-one\nkey-already-there\nabc\n# a comment\nkey-number-one";
    let page = browser.post(&format!("/channels/{channel}/keys"), &[("keys", text), ("group", "acct")]).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("1 added, 2 known already, 1 refused."), "{}", page.body);
    assert!(page.body.contains("fewer than 4 characters"));
    assert!(!page.body.contains("key-number"), "secrets are not shown again");
    assert_eq!(browser.keys(channel).len(), 2);
    let nothing = browser.post(&format!("/channels/{channel}/keys"), &[("keys", "# nothing")]).await;
    assert!(nothing.status == 422 && nothing.body.contains("There is no key in this text"));
}

#[tokio::test]
async fn a_test_of_a_key_shows_each_step_and_wakes_a_key_that_works() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    upstream.allow_keys(&["key-that-works-1234"]);
    let channel = browser.app.channel("one", &upstream, &["key-that-works-1234"]).await;
    let key = browser.keys(channel)[0];
    browser.rest(Scope::Key(key), OutcomeClass::KeyInvalid);
    assert!(browser.get("/channels").await.body.contains("Keys invalid 1/1"));

    let tested = browser.post(&format!("/channels/{channel}/test"), &[]).await;
    assert_eq!(tested.location, format!("/channels/{channel}/keys/{key}"));
    let page = browser.get(&tested.location).await.body;
    for expected in ["Model list", "Chat", "Stream", "HTTP 200", "data: ", "chat.completion.chunk"] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    assert!(!page.contains("What to do"), "{page}");
    assert!(browser.get("/channels").await.body.contains("1/1 available"));
}

#[tokio::test]
async fn a_test_of_a_bad_key_shows_the_upstreams_text_without_the_key_and_what_to_do() {
    let mut browser = Browser::open().await;
    let upstream = Upstream::start();
    upstream.set_key("key-revoked-0123456789", KeyRules { state: KeyState::Revoked, ..KeyRules::default() });
    let channel = browser.app.channel("one", &upstream, &["key-revoked-0123456789"]).await;
    let tested = browser.post(&format!("/channels/{channel}/test"), &[]).await;
    let page = browser.get(&tested.location).await.body;
    assert!(page.contains("HTTP 401") && page.contains("key invalid"), "{page}");
    assert!(page.contains("The upstream does not accept the key"), "{page}");
    assert!(!page.contains("key-revoked"), "{page}");
    assert_eq!(upstream.inferences().len(), 1, "a refused key is not asked further");
    browser.language = "zh-CN";
    assert!(browser.get(&tested.location).await.body.contains("上游不接受此密钥"));
}

#[tokio::test]
async fn an_operator_sees_what_rests_and_why_and_can_end_it() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-number-one"]).await;
    let other = browser.app.channel("two", &upstream, &["key-number-two"]).await;
    let scope = Scope::Channel(channel);
    browser.rest(scope.clone(), OutcomeClass::RateLimited);
    browser.rest(Scope::Channel(other), OutcomeClass::HostError);
    let page = browser.get(&format!("/channels/{channel}")).await.body;
    assert!(page.contains("Resting 2:1"), "{page}");
    assert!(page.contains("rate-limited · HTTP 429"), "{page}");
    assert!(page.contains("slow &#60;b&#62;down"), "{page}");

    let path = format!("/channels/{channel}/rests");
    let scope_of = |scope: &Scope| serde_json::to_string(scope).unwrap();
    browser.post(&path, &[("scope", &scope_of(&Scope::Channel(other)))]).await;
    assert!(browser.get("/channels").await.body.contains("0/2 available"), "only its own rests can be ended");
    let cleared = browser.post(&path, &[("scope", &scope_of(&scope))]).await;
    assert_eq!(cleared.status, 303);
    assert!(browser.get("/channels").await.body.contains("1/2 available"));
    assert_eq!(browser.post(&path, &[("scope", "nonsense")]).await.status, 404);
}

#[tokio::test]
async fn prices_are_saved_and_a_wrong_one_comes_back_with_its_row() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-number-one"]).await;
    let path = format!("/channels/{channel}/models");
    let row = |name, input| {
        [
            ("model", name),
            ("context", "8192"),
            ("max_output", ""),
            ("vision", "true"),
            ("tools", ""),
            ("reasoning", ""),
            ("input", input),
            ("cached", ""),
            ("output", "0.6"),
        ]
    };
    let wrong = browser.post(&path, &[&row("m", "0.15")[..], &row("n", "cheap")[..]].concat()).await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("Row 2, Input $:") && wrong.body.contains("value=\"cheap\""),
        "{}",
        wrong.body
    );
    let saved = browser.post(&path, &[&row("m", "0.15")[..], &[("redirects", "x => m")]].concat()).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let site = browser.app.app.site();
    let found = site.db.find_channel(channel).await.unwrap().unwrap();
    assert_eq!(found.models[0].price.unwrap().input, 150_000);
    assert_eq!(found.redirects[0].upstream, "m");
}

#[tokio::test]
async fn the_upstreams_list_is_offered_for_a_selection() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    upstream.set_models(&["m", "fresh"]);
    let channel = browser
        .app
        .channel_with("one", &upstream.base_url(), &["key-number-one"], |new| {
            new.models = vec![model("m"), model("gone")];
        })
        .await;
    let page = browser.post(&format!("/channels/{channel}/models/fetch"), &[]).await;
    assert_eq!(page.status, 200);
    for expected in ["fresh", "no longer listed", "offered"] {
        assert!(page.body.contains(expected), "{expected} in {}", page.body);
    }
    let offer = r#"{"name":"fresh","context_window":null,"max_output":null,"vision":null,"tools":null,"reasoning":null,"price":null}"#;
    let keep = offer.replace("fresh", "m");
    let applied = browser
        .post(&format!("/channels/{channel}/models/apply"), &[("offer", offer), ("offer", &keep)])
        .await;
    assert_eq!(applied.status, 303);
    let found = browser.app.app.site().db.find_channel(channel).await.unwrap().unwrap();
    let names: Vec<&str> = found.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["m", "fresh"]);
    assert_eq!(found.models[0], model("m"), "what is known of a model is kept");
}

#[tokio::test]
async fn deleting_asks_first_and_names_what_depends_on_the_channel() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-number-one", "key-number-two"]).await;
    browser.app.token().await;
    let path = format!("/channels/{channel}/delete");
    let question = browser.get(&path).await.body;
    for expected in ["Its keys are erased: 2", "<code>m</code>", "<code>test</code>"] {
        assert!(question.contains(expected), "{expected} in {question}");
    }
    browser.app.channel("two", &upstream, &["key-number-one"]).await;
    assert!(browser.get(&path).await.body.contains("No model and no token depends on it alone"));
    assert_eq!(browser.post(&path, &[]).await.location, "/channels");
    assert_eq!(browser.get(&format!("/channels/{channel}")).await.status, 404);
    assert_eq!(browser.get("/channels/nonsense").await.status, 404);
}

#[tokio::test]
async fn a_key_is_labelled_switched_off_and_removed() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-number-one"]).await;
    let other = browser.app.channel("two", &upstream, &["key-number-two"]).await;
    let key = browser.keys(channel)[0];
    let path = format!("/channels/{channel}/keys/{key}");
    let strange = format!("/channels/{other}/keys/{key}");
    assert_eq!(browser.get(&strange).await.status, 404, "a key has one channel");
    let long = "x".repeat(101);
    let wrong = browser.post(&path, &[("label", &long), ("group", "")]).await;
    assert!(wrong.status == 422 && wrong.body.contains(&long));
    assert_eq!(browser.post(&path, &[("label", "mine"), ("group", "acct")]).await.status, 303);
    assert_eq!(browser.post(&format!("{path}/enabled"), &[("enabled", "false")]).await.status, 303);
    let page = browser.get(&path).await.body;
    assert!(page.contains("Key mine …-one") && page.contains("Switch on"), "{page}");
    assert!(browser.get("/channels").await.body.contains("No key"));
    assert!(browser.get(&format!("{path}/delete")).await.body.contains("Remove the key mine …-one?"));
    assert_eq!(browser.post(&format!("{path}/delete"), &[]).await.status, 303);
    assert_eq!(browser.get(&path).await.status, 404);
}

#[tokio::test]
async fn every_page_is_written_in_both_languages_and_needs_no_inline_script_or_style() {
    let mut browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("one", &upstream, &["key-number-one"]).await;
    let key = browser.keys(channel)[0];
    browser.rest(Scope::Key(key), OutcomeClass::RateLimited);
    let paths = [
        "/channels".to_owned(),
        "/channels/new".into(),
        format!("/channels/{channel}"),
        format!("/channels/{channel}/edit"),
        format!("/channels/{channel}/delete"),
        format!("/channels/{channel}/keys/{key}"),
        format!("/channels/{channel}/keys/{key}/delete"),
    ];
    for (language, title) in [("en", "Channels"), ("zh-CN", "渠道")] {
        browser.language = language;
        for path in &paths {
            let page = browser.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            assert!(
                page.body.contains(&format!("lang=\"{language}\"")) && page.body.contains(title),
                "{path}"
            );
            assert!(!page.body.contains(" style=") && !page.body.contains("onclick"), "{path}");
        }
    }
}

#[tokio::test]
async fn keys_are_sent_to_another_host_only_after_the_password() {
    let browser = Browser::open().await;
    let upstream = Upstream::start();
    let channel = browser.app.channel("c", &upstream, &["key-that-nobody-may-see"]).await;
    let edit = format!("/channels/{channel}/edit");
    let fields = |base_url: &'static str, password: &'static str| {
        [
            ("name", "c"),
            ("base_url", base_url),
            ("protocol", "openai"),
            ("models", "m"),
            ("priority", "0"),
            ("weight", "1"),
            ("allow_private", "true"),
            ("enabled", "true"),
            ("password", password),
        ]
    };
    const ELSEWHERE: &str = "http://127.0.0.1:9/v1";
    for password in ["", "wrong password"] {
        let refused = browser.post(&edit, &fields(ELSEWHERE, password)).await;
        assert_eq!(refused.status, 422);
        assert!(refused.body.contains("id=\"password-error\"") && refused.body.contains(ELSEWHERE));
    }
    let moved = browser.post(&edit, &fields(ELSEWHERE, "correct horse")).await;
    assert_eq!((moved.status, moved.location), (303, format!("/channels/{channel}")));
    // A new path on the same host needs no password.
    let same_host = browser.post(&edit, &fields("http://127.0.0.1:9/api/v1", "")).await;
    assert_eq!(same_host.status, 303);
    browser.app.stop().await;
}
