//! Pages that keep themselves up to date, and diagnostics, from outside: a real listener, calls that are really under way.

use std::{collections::BTreeMap, time::Duration};

use onepool::{
    app::App,
    model::{
        limit::{Limit, Metric, Models, Per, Source, Window},
        secret::{Secret, SecretHash},
    },
};

use crate::support::{
    app::{Reply, TOKEN, TestApp, eventually, execute},
    upstream::Upstream,
};

const COOKIE: &str = "a session for the live pages";

/// An operator's browser.
struct Operator<'a> {
    app: &'a TestApp,
}

impl<'a> Operator<'a> {
    async fn of(app: &'a TestApp) -> Self {
        let db = &site(app).site().db;
        let (user, _) = db.find_credentials("admin").await.unwrap().unwrap();
        let now = app.clock.now();
        db.create_session(user.id, &SecretHash::of(COOKIE), "127.0.0.1", "test", now).await.unwrap();
        Self { app }
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request =
            self.app.http.get(self.app.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> String {
        let reply = self.get_with(path, &[]).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.text()
    }

    async fn post(&self, path: &str) -> Reply {
        let request =
            self.app.http.post(self.app.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
        let request = request.header("sec-fetch-site", "same-origin");
        Reply::read(request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap())
            .await
    }
}

fn site(app: &TestApp) -> &App {
    &app.app
}

/// The text of a page between two texts.
fn between<'a>(page: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = page.split_once(from).unwrap_or_else(|| panic!("no {from} in {page}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_has_the_numbers_of_the_rows_and_of_the_usage_page() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    app.channel("one", &upstream, &["key-one-aaaa", "key-two-bbbb"]).await;
    app.token().await;
    for number in 0..5 {
        assert_eq!(app.chat(number % 2 == 0, &format!("marker=a{number} words=3")).await.status, 200);
    }
    let refused = app.post("/v1/chat/completions", &crate::support::app::chat("nobody", false, "x")).await;
    assert_eq!(refused.status, 404);
    let rows = app.rows().await;
    assert_eq!(rows.len(), 6);
    let prompt: u64 = rows.iter().filter_map(|row| row["prompt"].as_u64()).sum();
    let completion: u64 = rows.iter().filter_map(|row| row["completion"].as_u64()).sum();
    let operator = Operator::of(&app).await;
    eventually("the overview has all calls", async || operator.get("/").await.contains("<dd>6</dd>")).await;
    let (overview, usage) = (operator.get("/").await, operator.get("/usage?period=24h").await);
    for (label, value) in
        [("Requests", "6"), ("Success rate", "83.3%"), ("Calls under way", "0"), ("Keys ready", "2 of 2")]
    {
        let tile = between(&overview, &format!(">{label}</dt>"), "</dl>");
        assert!(tile.contains(&format!(">{value}</dd>")), "{label}: {tile}");
    }
    assert!(overview.contains("1 failed") && overview.contains("83.3% without retries"), "{overview}");
    let tokens = between(&overview, ">Tokens</dt>", "</dl>");
    assert!(tokens.contains(&format!(">{}</dd>", prompt + completion)), "{tokens}: {prompt} + {completion}");
    for label in ["Tokens", "Cost", "First token p50 / p95"] {
        let value = |page: &str| {
            let tile = between(page, &format!(">{label}</dt>"), "</dd>");
            tile.rsplit_once('>').map(|(_, value)| value.to_owned())
        };
        assert_eq!(value(&overview), value(&usage), "{label}");
    }
    let own = between(&overview, "Added by OnePool p50 / p95</dt>", "</dl>");
    assert!(own.contains("5 calls of the last hour"), "{own}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_is_shown_with_where_it_is_and_vanishes_when_it_ends() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    app.channel("slow one", &upstream, &["key-one-aaaa"]).await;
    app.token().await;
    let operator = Operator::of(&app).await;
    assert!(operator.get("/log/live").await.contains("No call is under way."));
    let secret = "a prompt that nobody may see";
    let prompt = format!("marker=live words=2 first=2500 {secret}");
    let call = app.chat(true, &prompt);
    let watch = async {
        eventually("it is at the upstream", async || {
            operator.get("/log/live").await.contains("at the upstream")
        })
        .await;
        let part = operator.get("/log/live?model=M&stream=true").await;
        let row = between(&part, "id=\"under-way\"", "</table>");
        for text in ["slow one", "…aaaa", ">m<", "test", "data-since"] {
            assert!(row.contains(text), "{text}: {row}");
        }
        assert!(!part.contains(secret));
        // What has no result yet does not fit a filter of results.
        assert!(operator.get("/log/live?result=ok").await.contains("No call is under way."));
        assert!(operator.get("/log/live?model=other").await.contains("No call is under way."));
        assert!(operator.get("/").await.contains("at upstreams 1"));
        between(row, "data-row=\"", "\"").to_owned()
    };
    let (reply, id) = tokio::join!(call, watch);
    assert_eq!(reply.status, 200);
    app.rows().await;
    eventually("it is among the calls that ended", async || {
        let part = operator.get("/log/live").await;
        part.contains("No call is under way.") && part.contains(&format!("/log/{id}"))
    })
    .await;
    let page = operator.get("/log?live=true").await;
    assert!(page.contains("data-live=\"/log/live?") && page.contains(&format!("/log/{id}")), "{page}");
    assert!(!operator.get("/log").await.contains("data-live="), "only who wants it follows the log");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_log_is_drawn_from_its_part_alone_and_its_button_says_what_a_press_does() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app).await;
    // The part as somebody else has just had it drawn.
    let held = async { Ok::<_, std::convert::Infallible>("<p>drawn before</p>".to_owned()) };
    let page = operator.get("/log?live=true&model=mine").await;
    let asked =
        between(&page, "data-live=\"/log/live", "\"").replace("&#38;", "&").replace("=mine", "=theirs");
    let pieces = &site(&app).site().admin.live;
    pieces.of(format!("log en {asked}"), Duration::from_secs(600), held).await.unwrap();
    execute(&app.database(), "DROP TABLE call_attempts").await;
    execute(&app.database(), "DROP TABLE calls").await;
    assert_eq!(operator.get_with("/log", &[]).await.status, 500, "the list asks for calls");
    let page = operator.get("/log?live=true&model=theirs").await;
    assert!(page.contains("<p>drawn before</p>") && page.contains("/log.csv"), "{page}");
    let button = between(&page, "data-live-pause=", "</button>");
    assert!(button.ends_with(">Pause") && !page.contains("aria-pressed"), "{button}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_in_line_is_told_so() {
    let app = TestApp::start_with(&[("QUEUE_WAIT_S", "20")]).await;
    let upstream = Upstream::start();
    app.token().await;
    let channel = app.channel("narrow", &upstream, &["key-one-aaaa"]).await;
    let limit = Limit {
        models: Models::default(),
        per: Per::Key,
        metric: Metric::Concurrency,
        window: Window::AtOnce,
        max: 1,
        source: Source::Declared,
    };
    site(&app).site().db.set_limits(channel, None, &[limit]).await.unwrap();
    app.reload().await;
    let operator = Operator::of(&app).await;
    let (one, two) =
        (app.chat(false, "marker=a words=1 first=1500"), app.chat(false, "marker=b words=1 first=1500"));
    let watch = eventually("one waits", async || operator.get("/log/live").await.contains("in line"));
    let (one, two, ()) = tokio::join!(one, two, watch);
    assert_eq!((one.status, two.status), (200, 200));
    assert_eq!(site(&app).site().in_flight.counts().all(), 0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again_and_strangers_get_nothing() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    app.channel("one", &upstream, &["key-one-aaaa"]).await;
    app.token().await;
    app.chat(false, "marker=a words=1").await;
    app.rows().await;
    let operator = Operator::of(&app).await;
    for path in ["/overview/live", "/log/live"] {
        eventually("nothing changes any more", async || {
            let reply = operator.get_with(path, &[]).await;
            let etag = reply.header("etag").expect("a tag").to_owned();
            let again = operator.get_with(path, &[("if-none-match", &etag), ("hx-request", "true")]).await;
            assert!(again.status == 304 || again.status == 200, "{}", again.status);
            again.status == 304 && again.body.is_empty()
        })
        .await;
        let weak = operator.get_with(path, &[("if-none-match", "W/\"0000\"")]).await;
        assert_eq!(weak.status, 200, "{path}");
        // The page leads to the login, a part has its page loaded anew.
        let stranger = Reply::read(app.http.get(app.url(path)).send().await.unwrap()).await;
        assert!(stranger.text().contains("name=\"password\"") && !stranger.text().contains("tile"), "{path}");
        let part = app.http.get(app.url(path)).header("hx-request", "true").send().await.unwrap();
        assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (401, ""), "{path}");
    }
    let etag = operator.get_with("/overview/live", &[]).await.header("etag").unwrap().to_owned();
    let chinese = [("if-none-match", etag.as_str()), ("accept-language", "zh-CN")];
    let chinese = operator.get_with("/overview/live", &chinese).await;
    assert!(
        chinese.status == 200 && chinese.text().contains("最近 24 小时"),
        "each language has its own part"
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_shows_cells_of_real_calls_and_its_buttons_come_back_to_it() {
    let app = TestApp::start().await;
    let upstream = Upstream::start();
    app.channel("good", &upstream, &["key-one-aaaa"]).await;
    app.token().await;
    for _ in 0..3 {
        app.chat(false, "marker=a words=1").await;
    }
    app.rows().await;
    let operator = Operator::of(&app).await;
    for (by, name) in [("channel", ">good<"), ("key", "…aaaa"), ("model", ">m<")] {
        for period in ["24h", "90d"] {
            let page = operator.get(&format!("/health?by={by}&period={period}")).await;
            let row = between(&page, "class=\"beat-row\"", "</section>");
            assert!(row.contains(name), "{by}: {row}");
            assert!(
                row.contains("<i class=k title=") && row.contains("3 of 3 answered"),
                "{by} {period}: {row}"
            );
            assert!(row.contains("100%") && row.contains("Pause 1 h"), "{row}");
            let cells = between(row, "role=\"img\"", "</div>").matches("<i").count();
            assert_eq!(cells, if period == "24h" { 48 } else { 90 });
        }
    }
    assert!(operator.get("/health?q=nobody").await.contains("Nothing fits this filter."));
    assert!(operator.get("/health?state=invalid").await.contains("Nothing fits this filter."));
    let (channel, key) = (1, 1);
    let form = "minutes=60&back=%2Fhealth%3Fby%3Dkey";
    let pause = app.http.post(app.url(&format!("/channels/{channel}/keys/{key}/pause")));
    let pause =
        pause.header("cookie", format!("onepool_session={COOKIE}")).header("sec-fetch-site", "same-origin");
    let pause = pause.header("content-type", "application/x-www-form-urlencoded").body(form);
    let page = Reply::read(pause.send().await.unwrap()).await.text();
    let row = between(&page, "class=\"beat-row\"", "</section>");
    assert!(row.contains("paused") && row.contains("data-until") && row.contains("End pause"), "{row}");
    let overview = operator.get("/").await;
    eventually("the overview names it", async || operator.get("/").await.contains("paused: 1")).await;
    assert!(overview.contains("Overview"));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn diagnostics_tell_what_helps_and_no_secret() {
    const SECRETS: [&str; 7] = [
        "master-key-of-more-than-32-characters",
        "correct horse",
        "key-secret-0001",
        "header-secret-0002",
        "proxy-secret-0003",
        "address-secret-0004",
        "prompt-secret-0005",
    ];
    let app = TestApp::start_with(&[("SECRET_KEY", SECRETS[0])]).await;
    let upstream = Upstream::start();
    app.token().await;
    let base = upstream.base_url().replace("http://", &format!("http://name:{}@", SECRETS[5]));
    app.channel_with("quiet", &base, &[SECRETS[2]], |channel| {
        channel.headers = vec![("x-extra".into(), Secret::new(SECRETS[3]))];
    })
    .await;
    let by_name = upstream.base_url().replace("127.0.0.1", "localhost");
    app.channel_with("named", &by_name, &[SECRETS[2]], |_| {}).await;
    app.channel_with("proxied", &upstream.base_url(), &[SECRETS[2]], |channel| {
        channel.proxy = Some(Secret::new(format!("http://name:{}@127.0.0.1:9", SECRETS[4])));
        channel.enabled = true;
    })
    .await;
    app.chat(false, SECRETS[6]).await;
    app.rows().await;
    let public = BTreeMap::from([("PUBLIC_URL".to_owned(), app.url(""))]);
    site(&app).site().db.save_settings(&public).await.unwrap();
    app.reload().await;
    let operator = Operator::of(&app).await;
    let before = operator.get("/health/diagnostics.txt").await;
    assert!(before.contains(env!("CARGO_PKG_VERSION")) && !before.contains("DNS "), "{before}");
    let done = operator.post("/health/diagnostics").await;
    assert_eq!(done.status, 200, "{}", done.text());
    let text = operator.get("/health/diagnostics.txt").await;
    for expected in [
        "+ DNS localhost: addresses: ",
        "+ Integrity: The database is whole.",
        "+ Streams through PUBLIC_URL: 5 pieces arrived one by one",
        "  Clock against localhost: no answer, or none with a date",
        "Proxies of channels: http://127.0.0.1:9 (channels: 1)",
        "+ X-Forwarded-For: no proxy in front (from 127.0.0.1)",
        "Host: is that of PUBLIC_URL",
        "Time zone: UTC",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let forwarded = operator.get_with("/health/diagnostics.txt", &[("x-forwarded-for", "203.0.113.9")]).await;
    assert!(
        forwarded.text().contains("? X-Forwarded-For: arrived, but its sender is not in TRUSTED_PROXIES")
    );
    let chinese = operator.get_with("/health/diagnostics", &[("accept-language", "zh-CN")]).await.text();
    assert!(chinese.contains("完整性"), "{chinese}");
    let page = operator.get("/health/diagnostics").await;
    for told in [&text, &chinese, &page, &forwarded.text()] {
        for secret in SECRETS.iter().chain([&TOKEN, &COOKIE]) {
            assert!(!told.contains(secret), "{secret} is told");
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_of_streams_needs_a_code_of_an_operators_page() {
    let app = TestApp::start().await;
    let operator = Operator::of(&app).await;
    let page = operator.get("/health/diagnostics").await;
    let path = between(&page, "data-stream-test=\"", "\"").to_owned();
    for path in ["/v1/stream-test", "/v1/stream-test?code=", "/v1/stream-test?code=0000"] {
        assert_eq!(app.http.get(app.url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    let began = tokio::time::Instant::now();
    let mut answer = app.http.get(app.url(&path)).send().await.unwrap();
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let mut pieces = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        pieces += usize::from(!chunk.is_empty());
    }
    assert!(
        pieces >= 2 && began.elapsed() >= Duration::from_millis(900),
        "{pieces} in {:?}",
        began.elapsed()
    );
    app.stop().await;
}
