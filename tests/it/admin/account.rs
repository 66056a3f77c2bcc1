//! The account's way through the pages: set-up, login, password, sessions, settings.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use onepool::{
    app::App,
    config::Config,
    model::{
        id::SessionId,
        time::{Clock, UnixMs},
    },
    storage::password,
    web::{
        self, Site,
        admin::{grants::GRANT_LIFETIME, throttle::PER_NAME},
        client::Peer,
    },
};

use crate::support::upstream::Upstream;

const PASSWORD: &str = "correct horse battery";

/// A server whose pages are asked without a socket, from any address, on a clock that the test moves.
struct Server {
    app: App,
    clock: Clock,
    router: Router,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(UnixMs(1_800_000_000_000));
        let data = folder.path().join("data").to_string_lossy().into_owned();
        let all = [("LISTEN", "127.0.0.1:0"), ("TZ", "UTC"), ("DATA_DIR", data.as_str())];
        let find = |name: &str| {
            let mut pairs = settings.iter().chain(&all);
            pairs.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let app = App::start(Config::load(|_| None, find).unwrap(), clock.clone()).await.unwrap();
        Self { router: web::router(app.site().clone()), app, clock, _folder: folder }
    }

    /// A server with the account `admin`, and what the settings say.
    async fn with(settings: &[(&str, &str)]) -> Self {
        let mut settings = settings.to_vec();
        settings.push(("ADMIN_PASSWORD", PASSWORD));
        Self::new(&settings).await
    }

    async fn with_account() -> Self {
        Self::with(&[]).await
    }

    fn site(&self) -> &Site {
        self.app.site()
    }

    fn browser(&self, ip: &str) -> Browser {
        Browser { router: self.router.clone(), ip: ip.parse().unwrap(), cookies: BTreeMap::new() }
    }

    /// A browser that is logged in.
    async fn operator(&self) -> Browser {
        let mut browser = self.browser("127.0.0.1");
        let page = browser.log_in("admin", PASSWORD).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        browser
    }
}

struct Browser {
    router: Router,
    ip: IpAddr,
    cookies: BTreeMap<String, String>,
}

struct Page {
    status: StatusCode,
    location: String,
    retry_after: String,
    cookies: Vec<String>,
    html: String,
}

impl Browser {
    async fn send(&mut self, request: axum::http::request::Builder, body: String) -> Page {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request
            .header(header::HOST, "pool.example.com")
            .header(header::COOKIE, cookies.join("; "))
            .extension(Peer(SocketAddr::new(self.ip, 40000)))
            .body(Body::from(body))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let header = |name| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (location, retry_after) = (header(header::LOCATION), header(header::RETRY_AFTER));
        let cookies: Vec<String> = response
            .headers()
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
        for cookie in &cookies {
            let (name, rest) = cookie.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = response.status();
        let html =
            String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status, location, retry_after, cookies, html }
    }

    async fn get(&mut self, path: &str) -> Page {
        self.send(Request::builder().uri(path), String::new()).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request, body).await
    }

    async fn log_in(&mut self, name: &str, password: &str) -> Page {
        self.post("/login", &[("name", name), ("password", password), ("next", "/settings")]).await
    }
}

#[tokio::test]
async fn the_right_password_opens_the_pages_and_a_wrong_one_keeps_the_name() {
    let server = Server::with_account().await;
    let mut browser = server.browser("127.0.0.1");
    assert_eq!(browser.get("/settings?a=b").await.location, "/login?next=%2Fsettings%3Fa%3Db");

    let page = browser.log_in("admin", "wrong").await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("The user name or the password is wrong."), "{}", page.html);
    assert!(page.html.contains(r#"value="admin""#) && !page.html.contains(r#"value="wrong""#));

    let page = browser.log_in("ADMIN", PASSWORD).await;
    assert_eq!((page.status, page.location.as_str()), (StatusCode::SEE_OTHER, "/settings"));
    let cookie = page.cookies.iter().find(|cookie| cookie.starts_with("onepool_session=")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert_eq!(browser.get("/settings").await.status, StatusCode::OK);

    browser.post("/logout", &[]).await;
    assert_eq!(browser.get("/settings").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_stranger_can_make_the_server_read_no_more_than_a_name_and_a_password_take() {
    let server = Server::with_account().await;
    let long = "x".repeat(100_000);
    let form = [("name", "ada"), ("password", long.as_str())];
    let page = server.browser("192.0.2.7").post("/login", &form).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    // An operator pastes thousands of keys.
    let page = server.operator().await.post("/tokens/new", &[("name", "t"), ("note", long.as_str())]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_login_goes_on_to_local_pages_only_and_makes_a_new_session() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let first = browser.cookies["onepool_session"].clone();
    let fields = [("name", "admin"), ("password", PASSWORD), ("next", "//evil.example/")];
    assert_eq!(browser.post("/login", &fields).await.location, "/");
    let second = browser.cookies.insert("onepool_session".into(), first).unwrap();
    assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "the old session goes on");
    browser.cookies.insert("onepool_session".into(), second);
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let server = Server::with(&[("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let mut browser = server.browser("127.0.0.1");
    let request = |method, uri| {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-for", "192.0.2.7")
    };
    let page = browser.send(request(Method::GET, "/login"), String::new()).await;
    assert!(!page.html.contains("not encrypted"));
    let body = format!("name=admin&password={}", PASSWORD.replace(' ', "+"));
    let page = browser.send(request(Method::POST, "/login"), body).await;
    let cookie = page.cookies.iter().find(|cookie| cookie.starts_with("__Host-onepool_session=")).unwrap();
    assert!(cookie.contains("; Secure") && cookie.contains("Path=/;"), "{cookie}");
}

#[tokio::test]
async fn the_login_warns_of_a_connection_that_others_can_read() {
    let server = Server::with_account().await;
    assert!(server.browser("192.0.2.7").get("/login").await.html.contains("not encrypted"));
    assert!(!server.browser("127.0.0.1").get("/login").await.html.contains("not encrypted"));
}

#[tokio::test]
async fn too_many_tries_wait_whether_the_user_exists_or_not_and_others_are_not_locked_out() {
    let server = Server::with_account().await;
    let mut pages = Vec::new();
    for name in ["admin", "nobody"] {
        let mut browser = server.browser("192.0.2.7");
        for _ in 0..PER_NAME {
            let page = browser.log_in(name, "wrong").await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
            pages.push(page.html.replace(&format!("value=\"{name}\""), "value"));
        }
        let page = browser.log_in(name, PASSWORD).await;
        assert_eq!((page.status, page.retry_after.as_str()), (StatusCode::TOO_MANY_REQUESTS, "6"));
        assert!(page.html.contains("Please wait 6 s"), "{}", page.html);
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "a page tells whether the user exists");

    assert_eq!(server.browser("192.0.2.8").log_in("admin", PASSWORD).await.status, StatusCode::SEE_OTHER);
    server.clock.advance(Duration::from_secs(6));
    assert_eq!(server.browser("192.0.2.7").log_in("admin", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_ends_when_it_is_unused_for_a_week_or_thirty_days_old() {
    let server = Server::with_account().await;
    let day = Duration::from_secs(24 * 3600);
    let mut idle = server.operator().await;
    let mut busy = server.operator().await;
    for _ in 0..4 {
        server.clock.advance(6 * day);
        assert_eq!(busy.get("/account").await.status, StatusCode::OK);
    }
    assert_eq!(idle.get("/account").await.status, StatusCode::SEE_OTHER);
    server.clock.advance(5 * day);
    assert_eq!(busy.get("/account").await.status, StatusCode::OK);
    server.clock.advance(day);
    assert_eq!(busy.get("/account").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let request = Request::builder()
        .method(Method::POST)
        .uri("/settings")
        .header("sec-fetch-site", "cross-site")
        .header(header::ORIGIN, "https://evil.example");
    let page = browser.send(request, "MAX_ATTEMPTS=3".into()).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("another site"), "{}", page.html);
    assert!(server.site().db.settings().await.unwrap().is_empty());
}

#[tokio::test]
async fn after_a_reset_only_the_password_page_opens_until_the_password_is_changed() {
    let server = Server::with_account().await;
    server.site().db.reset_password("admin", &password::hash("made by the reset")).await.unwrap();
    let mut browser = server.browser("127.0.0.1");
    browser.log_in("admin", "made by the reset").await;
    assert_eq!(browser.get("/settings").await.location, "/account/password");
    assert!(browser.get("/account/password").await.html.contains("choose your own"));
    assert_eq!(browser.post("/logout", &[]).await.location, "/login");
    browser.log_in("admin", "made by the reset").await;
    let change =
        |current, password, repeat| [("current", current), ("password", password), ("repeat", repeat)];
    let same = change("made by the reset", "made by the reset", "made by the reset");
    assert_eq!(browser.post("/account/password", &same).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let new = change("made by the reset", "a new password", "a new password");
    assert_eq!(browser.post("/account/password", &new).await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/settings").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_password_needs_the_current_one_and_ends_the_other_sessions() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let mut other = server.operator().await;
    let change =
        |current, password, repeat| [("current", current), ("password", password), ("repeat", repeat)];
    for (fields, message) in [
        (change("wrong", "a new password", "a new password"), "not your current password"),
        (change(PASSWORD, "short", "short"), "at least 8 characters"),
        (change(PASSWORD, "a new password", "another one"), "two passwords differ"),
        (change("", "a new password", "a new password"), "Please fill this in"),
    ] {
        let page = browser.post("/account/password", &fields).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.html.contains(message), "{message}: {}", page.html);
    }
    assert_eq!(other.get("/account").await.status, StatusCode::OK);
    let new = change(PASSWORD, "a new password", "a new password");
    assert_eq!(browser.post("/account/password", &new).await.location, "/account");
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    assert_eq!(other.get("/account").await.status, StatusCode::SEE_OTHER);
    assert_eq!(other.log_in("admin", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.log_in("admin", "a new password").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn sessions_are_listed_and_can_be_ended_one_by_one() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let mut other = server.operator().await;
    let page = browser.get("/account").await;
    assert_eq!(page.html.matches("this one").count(), 1);
    let marker = "/account/sessions/";
    let ids: Vec<SessionId> = page
        .html
        .split(marker)
        .skip(1)
        .filter_map(|rest| rest.split_once("/end\"").and_then(|(id, _)| id.parse().ok()))
        .collect();
    assert_eq!(ids.len(), 1, "the present session cannot be ended here: {}", page.html);
    browser.post(&format!("{marker}{}/end", ids[0]), &[]).await;
    assert_eq!(other.get("/account").await.status, StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn settings_are_checked_saved_and_in_force_at_once() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let page = browser.post("/settings", &[("MAX_ATTEMPTS", "0"), ("RETENTION_DAYS", "12")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("from 1 to 100") && page.html.contains(r#"value="12""#), "{}", page.html);
    assert_eq!(server.site().catalog.load().settings.retention_days, 30);

    let page = browser.post("/settings", &[("MAX_ATTEMPTS", "3"), ("PUBLIC_URL", "https://a.example")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let settings = server.site().catalog.load().settings.clone();
    assert_eq!(settings.max_attempts, 3);
    assert_eq!(settings.public_url.as_deref(), Some("https://a.example"));
    assert!(!settings.diagnostic_headers, "a box that is not ticked means off");
}

#[tokio::test]
async fn what_the_environment_sets_is_locked_and_secrets_are_not_shown() {
    let settings = [("MAX_ATTEMPTS", "7"), ("SECRET_KEY", "0123456789abcdef0123456789abcdef!")];
    let server = Server::with(&settings).await;
    let mut browser = server.operator().await;
    let page = browser.get("/settings").await;
    assert!(page.html.contains("Locked: MAX_ATTEMPTS is set in the environment"), "{}", page.html);
    assert!(!page.html.contains("0123456789abcdef"));
    browser.post("/settings", &[("MAX_ATTEMPTS", "3")]).await;
    assert_eq!(server.site().catalog.load().settings.max_attempts, 7);
    assert!(!server.site().db.settings().await.unwrap().contains_key("MAX_ATTEMPTS"));
}

#[tokio::test]
async fn the_setup_needs_its_code_and_closes_behind_the_first_account() {
    let server = Server::new(&[]).await;
    let link = server.site().admin.setup.path().unwrap();
    let code = link.split_once("code=").unwrap().1.to_owned();
    let account =
        |code, name, repeat| [("code", code), ("name", name), ("password", PASSWORD), ("repeat", repeat)];
    let mut stranger = server.browser("192.0.2.7");
    assert_eq!(stranger.get("/setup?code=wrong").await.status, StatusCode::FORBIDDEN);
    assert_eq!(stranger.get("/setup").await.status, StatusCode::FORBIDDEN);
    let page = stranger.post("/setup", &account("wrong", "eve", PASSWORD)).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(!server.site().db.has_account().await.unwrap());

    let mut browser = server.browser("127.0.0.1");
    assert_eq!(browser.get(&link).await.status, StatusCode::OK);
    let page = browser.post("/setup", &account(&code, "ada", "something else")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("two passwords differ") && page.html.contains(r#"value="ada""#));
    let page = browser.post("/setup", &account(&code, "ada", PASSWORD)).await;
    assert_eq!(page.location, "/setup/channel");
    assert_eq!(browser.get("/setup/channel").await.status, StatusCode::OK);
    assert_eq!(stranger.get(&link).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_setup_leads_from_a_channel_to_a_token_that_waits_for_its_first_call() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    assert_eq!(browser.get("/setup").await.location, "/setup/channel");
    let bad = [("name", "Vendor"), ("base_url", "ftp://vendor.example"), ("keys", ""), ("models", "m1")];
    let page = browser.post("/setup/channel", &bad).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("begins with https://") && page.html.contains("no key in this text"));
    let good = [
        ("name", "Vendor"),
        ("base_url", "https://vendor.example/v1/"),
        ("keys", "KEY_A=upstream-key-aaaa\nupstream-key-bbbb upstream-key-aaaa"),
        ("models", "small-model\nlarge-model"),
    ];
    assert_eq!(browser.post("/setup/channel", &good).await.location, "/setup/token");
    assert!(browser.get("/setup/token").await.html.contains("2 keys, 2 models"));
    let page = browser.post("/setup/channel", &good).await;
    assert!(page.html.contains("This name is taken"), "{}", page.html);
    assert!(server.site().catalog.load().model("large-model").is_some());

    let page = browser.post("/setup/token", &[("name", "laptop")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let shown = browser.get(&page.location).await.html;
    assert!(shown.contains("Waiting for the first call"), "{shown}");
    assert!(shown.contains("sk-") && shown.contains("http://pool.example.com/v1"), "{shown}");
    let fragment = Request::builder().uri(&page.location).header("hx-request", "true");
    let fragment = browser.send(fragment, String::new()).await.html;
    assert!(fragment.contains("Waiting") && !fragment.contains("<html") && !fragment.contains("sk-"));

    // Another session, and this one after some minutes, no longer see the value.
    assert!(!server.operator().await.get(&page.location).await.html.contains("sk-"));
    server.clock.advance(GRANT_LIFETIME);
    assert!(!browser.get(&page.location).await.html.contains("sk-"));
}

#[tokio::test]
async fn a_channel_without_models_takes_the_upstreams_list_or_says_why_it_cannot() {
    let server = Server::with_account().await;
    let mut browser = server.operator().await;
    let upstream = Upstream::start();
    upstream.allow_keys(&["upstream-key-aaaa"]);
    upstream.set_models(&["small-model", "large-model"]);
    let base_url = upstream.base_url();
    let mut fields = vec![
        ("name", "Vendor"),
        ("base_url", base_url.as_str()),
        ("keys", "upstream-key-aaaa"),
        ("models", ""),
    ];
    let page = browser.post("/setup/channel", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.html.contains("private or loopback address"), "{}", page.html);
    assert!(page.html.contains(r#"value="Vendor""#) && page.html.contains("upstream-key-aaaa"));
    assert!(server.site().catalog.load().channels().next().is_none());

    fields.push(("allow_private", "true"));
    assert_eq!(browser.post("/setup/channel", &fields).await.location, "/setup/token");
    assert!(server.site().catalog.load().model("large-model").is_some());
}

#[tokio::test]
async fn a_fragment_without_a_session_makes_its_page_load_anew() {
    let server = Server::with_account().await;
    let request = Request::builder().uri("/setup/waiting").header("hx-request", "true");
    let page = server.browser("127.0.0.1").send(request, String::new()).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(!page.html.contains("<form"));
}
