//! The playground: a real browser's requests to a real listener, with a fake upstream behind it.

use onepool::model::secret::SecretHash;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{
    app::{Reply, TOKEN, TestApp, eventually, model},
    upstream::{CallEnd, Fault, Upstream},
};

const COOKIE: &str = "a session of the playground's tests";

async fn log_in(app: &TestApp) {
    let db = &app.app.site().db;
    let (user, _) = db.find_credentials("admin").await.unwrap().unwrap();
    let now = app.clock.now();
    db.create_session(user.id, &SecretHash::of(COOKIE), "127.0.0.1", "test", now).await.unwrap();
}

fn post(app: &TestApp, path: &str) -> reqwest::RequestBuilder {
    app.http
        .post(app.url(path))
        .header("cookie", format!("onepool_session={COOKIE}"))
        .header("sec-fetch-site", "same-origin")
}

fn form(fields: &[(&str, &str)]) -> Form {
    fields.iter().fold(Form::new(), |form, (name, value)| form.text((*name).to_owned(), (*value).to_owned()))
}

async fn send(app: &TestApp, path: &str, form: Form) -> Reply {
    Reply::read(post(app, path).multipart(form).send().await.unwrap()).await
}

/// The named events of a stream, with their data.
fn events(reply: &Reply) -> Vec<(String, Value)> {
    let text = reply.text();
    let event = |text: &str| {
        let name = text.lines().find_map(|line| line.strip_prefix("event: ")).unwrap_or_default().to_owned();
        let data = text.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some((name, serde_json::from_str(data).unwrap_or_else(|_| data.into())))
    };
    text.split("\n\n").filter_map(event).collect()
}

struct World {
    app: TestApp,
    upstream: Upstream,
    token: String,
}

async fn start() -> World {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    let token = app.token_with(|token| token.name = "laptop 💻".into()).await;
    app.channel("渠道 one", &upstream, &["sk-upstream-key-1"]).await;
    log_in(&app).await;
    World { app, upstream, token: token.to_string() }
}

#[tokio::test]
async fn a_call_without_scripts_shows_the_answer_the_way_it_took_and_what_to_paste() {
    let World { app, upstream, token } = start().await;
    upstream.fail_next([Some(Fault::Status503)]);
    app.channel("second", &upstream, &["sk-upstream-key-2"]).await;
    let fields = [
        ("token", token.as_str()),
        ("model", "m"),
        ("system", "Be brief."),
        ("message", "marker=abc words=4 <b>&"),
        ("temperature", "0.5"),
        ("max_tokens", "64"),
        ("effort", "low"),
        ("stream", "true"),
    ];
    let page = send(&app, "/playground", form(&fields)).await;
    let text = page.text();
    assert_eq!(page.status, 200, "{text}");
    let sent = upstream.calls().last().unwrap().body.clone();
    assert_eq!(sent["messages"][0], json!({ "role": "system", "content": "Be brief." }));
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.5), &json!(64)));
    assert_eq!(sent["reasoning_effort"], "low");
    assert!(sent["stream"] != true, "without scripts the answer comes whole");
    let row = app.rows().await.remove(0);
    assert_eq!((&row["kind"], &row["token"].to_string()), (&json!("playground"), &token));
    assert_eq!((&row["status"], &row["result"]), (&json!(200), &json!("ok")));
    let id = row["request_id"].as_str().unwrap();
    for shown in [
        "abc",
        "&lt;b&gt;&amp;",
        &format!("/log/{id}"),
        "host error",
        "x-onepool-attempts",
        "server-timing",
        "ONEPOOL_TOKEN",
        "client.chat.completions.create",
    ] {
        // askama writes signs of HTML as numbers.
        let shown_otherwise =
            shown.replace("&lt;", "&#60;").replace("&gt;", "&#62;").replace("&amp;", "&#38;");
        assert!(text.contains(shown) || text.contains(&shown_otherwise), "{shown} is not in {text}");
    }
    for hidden in [TOKEN, "sk-upstream-key-1", "sk-upstream-key-2"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    app.app.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_passed_on_as_it_comes_with_headers_before_and_the_way_after_it() {
    let World { app, upstream: _upstream, token } = start().await;
    let fields = [
        ("token", token.as_str()),
        ("model", "m"),
        ("message", "marker=abc words=6 delay=2"),
        ("stream", "true"),
    ];
    let reply = send(&app, "/playground/stream", form(&fields)).await;
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    let events = events(&reply);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names[0], *names.last().unwrap()), ("head", "result"));
    let head = &events[0].1;
    assert_eq!(head["status"], 200);
    let header = |wanted: &str| {
        head["headers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|header| header[0] == wanted)
            .map(|header| header[1].clone())
    };
    let id = head["request_id"].as_str().unwrap();
    assert_eq!(header("x-request-id").unwrap(), id);
    assert_eq!(header("x-onepool-attempts").unwrap(), "1");
    let content: String =
        events.iter().filter_map(|(_, data)| data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, crate::support::upstream::answer::text("abc", 6));
    assert!(names.iter().filter(|name| name.is_empty()).count() > 4, "the answer came in one piece");
    let html = events.last().unwrap().1["html"].as_str().unwrap().to_owned();
    assert!(html.contains(&format!("/log/{id}")) && html.contains("渠道 one"), "{html}");

    let whole = [("token", token.as_str()), ("model", "m"), ("message", "marker=abc words=6")];
    let events = self::events(&send(&app, "/playground/stream", form(&whole)).await);
    assert_eq!(events[1].0, "whole");
    assert_eq!(
        events[1].1["choices"][0]["message"]["content"],
        crate::support::upstream::answer::text("abc", 6)
    );
    app.app.shutdown().await;
}

#[tokio::test]
async fn a_viewer_that_leaves_cancels_the_call_and_frees_its_place() {
    let World { app, upstream, token } = start().await;
    let begin = || {
        let fields = [
            ("token", token.as_str()),
            ("model", "m"),
            ("message", "marker=a words=5000 delay=20"),
            ("stream", "true"),
        ];
        post(&app, "/playground/stream").multipart(form(&fields)).send()
    };
    let mut open = Vec::new();
    for _ in 0..8 {
        let mut response = begin().await.unwrap();
        assert_eq!(response.status(), 200);
        response.chunk().await.unwrap();
        open.push(response);
    }
    let ninth = Reply::read(begin().await.unwrap()).await;
    assert_eq!(ninth.status, 429, "{}", ninth.text());
    assert!(ninth.json()["errors"]["message"].as_str().unwrap().contains("Too many"));
    drop(open);
    eventually("the upstream sees that everybody left", async || {
        upstream.calls().iter().all(|call| call.end == CallEnd::ClientLeft)
    })
    .await;
    eventually("a place is free", async || begin().await.unwrap().status() == 200).await;
    let rows = app.rows().await;
    assert!(rows.iter().filter(|row| row["result"] == "client_closed").count() >= 8, "{rows:?}");
    app.app.shutdown().await;
}

#[tokio::test]
async fn the_tokens_scope_quota_and_state_hold_for_the_playground() {
    let World { app, upstream, token: _ } = start().await;
    let scoped = app
        .token_with(|token| {
            token.name = "scoped".into();
            token.value =
                onepool::model::secret::Secret::new("sk-scoped000000000000000000000000000000000000000");
            token.models = vec!["other*".into()];
            token.requests_per_minute = Some(1);
        })
        .await
        .to_string();
    app.channel_with("o", &upstream.base_url(), &["sk-o-1"], |channel| {
        channel.models = vec![model("other-1")]
    })
    .await;
    let models = |query: &str| {
        let request = app.http.get(app.url(&format!("/playground/models?{query}")));
        request.header("cookie", format!("onepool_session={COOKIE}")).send()
    };
    let names = models(&format!("token={scoped}")).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(names, json!([["other-1", false]]));
    let names = models(&format!("token={scoped}&q=nothing")).await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(names, json!([]));
    let ask = async |name: &str| {
        let fields = [("token", scoped.as_str()), ("model", name), ("message", "hi")];
        let events = events(&send(&app, "/playground/stream", form(&fields)).await);
        (events[0].1["status"].as_u64().unwrap(), events[1].1["error"]["code"].clone())
    };
    assert_eq!(ask("m").await, (403, json!("model_not_allowed")));
    assert_eq!(ask("other-1").await.0, 200);
    assert_eq!(ask("other-1").await, (429, json!("rate_limit_exceeded")));
    let id = app.app.site().catalog.load().tokens().find(|token| token.name == "scoped").unwrap().id;
    app.app.site().db.set_token_enabled(id, false).await.unwrap();
    app.reload().await;
    assert_eq!(ask("other-1").await, (401, json!("invalid_api_key")));
    app.app.shutdown().await;
}

#[tokio::test]
async fn tools_are_called_answered_and_the_conversation_goes_on() {
    let World { app, upstream, token } = start().await;
    let tools = r#"[{"type":"function","function":{"name":"weather","parameters":{"type":"object"}}}]"#;
    let fields = [
        ("token", token.as_str()),
        ("model", "m"),
        ("message", "marker=abc words=3 tool=1"),
        ("tools", tools),
    ];
    let text = send(&app, "/playground", form(&fields)).await.text();
    let hidden = text.split("name=\"conversation\" id=\"conversation\" value=\"").nth(1).unwrap();
    let rest = hidden.split_once('"').unwrap().1;
    assert!(rest.starts_with(" autocomplete=\"off\">"), "no browser brings back what is not drawn: {rest}");
    let conversation = hidden.split('"').next().unwrap().replace("&#34;", "\"").replace("&#39;", "'");
    let messages: Value = serde_json::from_str(&conversation).unwrap();
    let call = messages[1]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(text.contains(&format!("name=\"answer:{call}\"")), "{text}");

    let again = |answer: &'static str, message: &'static str| {
        let conversation = conversation.clone();
        let field = format!("answer:{call}");
        let fields = [("token", token.as_str()), ("model", "m"), ("tools", tools)];
        let form =
            form(&fields).text("conversation", conversation).text(field, answer).text("message", message);
        send(&app, "/playground", form)
    };
    let missing = again("", "").await;
    assert_eq!(missing.status, 422);
    assert!(missing.text().contains("Write what each tool gives back."));
    let page = again("18 °C", "marker=def words=3").await;
    assert_eq!(page.status, 200, "{}", page.text());
    let sent = upstream.calls().last().unwrap().body["messages"].clone();
    let roles: Vec<&str> = sent.as_array().unwrap().iter().map(|m| m["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "user"]);
    assert_eq!((&sent[2]["tool_call_id"], &sent[2]["content"]), (&json!(call), &json!("18 °C")));
    app.app.shutdown().await;
}

#[tokio::test]
async fn pictures_are_sent_inside_the_request_and_what_is_none_is_refused_by_name() {
    let World { app, upstream, token } = start().await;
    let png = || vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 1, 2, 3];
    let fields = [("token", token.as_str()), ("model", "m"), ("message", "marker=abc words=3 what is it?")];
    let with = |name: &'static str, bytes: Vec<u8>| {
        form(&fields).part("pictures", Part::bytes(bytes).file_name(name))
    };
    let page = send(&app, "/playground", with("a.png", png())).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let content = upstream.calls().last().unwrap().body["messages"][0]["content"].clone();
    assert_eq!(content[0]["text"], "marker=abc words=3 what is it?");
    assert!(content[1]["image_url"]["url"].as_str().unwrap().starts_with("data:image/png;base64,iVBORw0K"));
    let before = upstream.calls().len();
    for (refused, why) in [
        (with("evil<script>.svg", b"<svg onload=alert(1)>".to_vec()), "is no PNG, JPEG, GIF or WebP picture"),
        (with("large.png", [png(), vec![0; 6 << 20]].concat()), "has more than 5 MB"),
        (form(&fields).text("picture_data", "https://example.com/a.png"), "is no data:image"),
        (form(&fields).text("picture_data", "data:image/png;base64,AAAA"), "is no data:image"),
        (
            (0..7).fold(form(&fields), |f, _| f.part("pictures", Part::bytes(png()).file_name("a.png"))),
            "At most 6",
        ),
    ] {
        let page = send(&app, "/playground", refused).await;
        assert_eq!(page.status, 422);
        assert!(page.text().contains(why) && !page.text().contains("<script>."), "{why}");
    }
    let large = form(&fields).part("pictures", Part::bytes(vec![0; 33 << 20]).file_name("a.png"));
    assert_eq!(send(&app, "/playground", large).await.status, 413);
    assert_eq!(upstream.calls().len(), before, "nothing that was refused went out");
    app.app.shutdown().await;
}

#[tokio::test]
async fn empty_huge_hostile_and_chinese_input_is_answered_at_its_field() {
    let World { app, upstream, token } = start().await;
    let long = "x".repeat(300);
    for (field, value, why) in [
        ("token", "", "Choose a token"),
        ("token", "9999", "Choose a token"),
        ("token", "'; DROP TABLE tokens", "Choose a token"),
        ("model", "", "Please fill this in"),
        ("model", &long, "At most 200 characters"),
        ("message", " \n ", "Write a message"),
        ("temperature", "hot", "A number from 0 to 2"),
        ("temperature", "NaN", "A number from 0 to 2"),
        ("max_tokens", "-1", "Please enter a number"),
        ("effort", "极高", "This choice does not exist"),
        ("tools", "{\"a\":1}", "This is no JSON list of tools"),
        ("tools", "[{}]", "[0].type"),
        ("conversation", "[{\"role\":\"system\",\"content\":\"x\"}]", "The conversation could not be read"),
        ("conversation", "not json", "The conversation could not be read"),
    ] {
        let mut fields = vec![("token", token.as_str()), ("model", "m"), ("message", "你好")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let page = send(&app, "/playground", form(&fields)).await;
        assert_eq!(page.status, 422, "{field} {value}");
        assert!(page.text().contains(why), "{field} {value}: {why}");
        let told = send(&app, "/playground/stream", form(&fields)).await;
        assert_eq!(told.status, 422);
        assert!(told.json()["errors"][field].as_str().unwrap().contains(why), "{}", told.text());
    }
    assert!(upstream.calls().is_empty());
    app.app.shutdown().await;
}

#[tokio::test]
async fn nobody_else_and_no_other_site_can_use_it() {
    let World { app, upstream, token } = start().await;
    let fields = [("token", token.as_str()), ("model", "m"), ("message", "hi")];
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    for path in ["/playground", "/playground/stream"] {
        let stranger = client
            .post(app.url(path))
            .header("sec-fetch-site", "same-origin")
            .multipart(form(&fields))
            .send()
            .await;
        assert_eq!(stranger.unwrap().headers()["location"], "/login");
        let bearer = client.post(app.url(path)).bearer_auth(TOKEN).multipart(form(&fields)).send().await;
        assert!(bearer.unwrap().status() != 200);
        let other_site = app
            .http
            .post(app.url(path))
            .header("cookie", format!("onepool_session={COOKIE}"))
            .header("sec-fetch-site", "cross-site")
            .header("origin", "https://evil.example")
            .multipart(form(&fields));
        assert_eq!(other_site.send().await.unwrap().status(), 403);
    }
    assert!(upstream.calls().is_empty());
    app.app.shutdown().await;
}
