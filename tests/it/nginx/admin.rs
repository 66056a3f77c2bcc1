//! The operator's pages through nginx.

use super::{NAME, Nginx, Shipped, TRUSTS_NGINX};
use crate::support::app::{Reply, TestApp};

const ME: [u8; 4] = [127, 0, 0, 5];

/// A browser: it keeps the session's cookie and says where its forms come from.
struct Browser<'a> {
    nginx: &'a Nginx,
    http: reqwest::Client,
    cookie: String,
}

impl<'a> Browser<'a> {
    fn new(nginx: &'a Nginx) -> Self {
        Self { nginx, http: nginx.client(ME), cookie: String::new() }
    }

    async fn get(&self, path: &str) -> Reply {
        let request = self.http.get(self.nginx.url(path)).header("cookie", &self.cookie);
        Reply::read(request.send().await.unwrap()).await
    }

    /// Posts a form with a header that says which site it is on.
    async fn post(&mut self, path: &str, from: (&str, &str), form: &str) -> Reply {
        let mut request = self.http.post(self.nginx.url(path)).header("cookie", &self.cookie);
        if self.nginx.shipped == Shipped::Host {
            // As under its real port, 443.
            request = request.header("host", NAME);
        }
        request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = request.header(from.0, from.1).body(form.to_owned());
        let reply = Reply::read(request.send().await.unwrap()).await;
        if let Some(cookie) = reply.header("set-cookie") {
            self.cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        }
        reply
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_the_login_and_forms_work_and_those_of_other_sites_are_refused() {
    for shipped in Shipped::BOTH {
        let public_url = format!("https://{NAME}");
        let settings = [TRUSTS_NGINX, ("ADMIN_PASSWORD", ""), ("PUBLIC_URL", &public_url)];
        let app = TestApp::start_with(&settings).await;
        let link = app.app.setup_link().expect("a set-up link");
        let path = link.strip_prefix(&public_url).expect(&link).to_owned();
        let code = path.split_once("code=").expect(&link).1.to_owned();
        let nginx = Nginx::start(shipped, app.app.address());
        let own_origin = match shipped {
            Shipped::Compose => nginx.url(""),
            Shipped::Host => public_url.clone(),
        };
        let here = ("sec-fetch-site", "same-origin");

        let mut browser = Browser::new(&nginx);
        let page = browser.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let form =
            format!("code={code}&name=admin&password=correct+horse+battery&repeat=correct+horse+battery");
        let stranger = browser.post("/setup", ("origin", "https://evil.example"), &form).await;
        assert_eq!(stranger.status, 403, "{}", stranger.text());
        let done = browser.post("/setup", here, &form).await;
        assert_eq!((done.status, done.header("location")), (303, Some("/setup/channel")), "{}", done.text());
        let cookie = done.header("set-cookie").expect("a session").to_owned();
        assert_eq!(cookie.contains("; Secure"), shipped == Shipped::Host, "{shipped:?}: {cookie}");
        assert_eq!(cookie.starts_with("__Host-"), shipped == Shipped::Host, "{shipped:?}: {cookie}");
        assert!(cookie.contains("HttpOnly"), "{cookie}");

        assert_eq!(browser.get("/channels").await.status, 200);
        // Browsers that do not say `Sec-Fetch-Site` name the origin.
        let reply = browser.post("/logout", ("origin", "https://evil.example"), "").await;
        assert_eq!(reply.status, 403);
        let reply = browser.post("/logout", ("origin", &own_origin), "").await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/login")), "{}", reply.text());
        browser.cookie.clear();
        let reply = browser.get("/channels").await;
        assert!(reply.header("location").is_some_and(|to| to.starts_with("/login")), "{:?}", reply.headers);
        let reply =
            browser.post("/login", ("origin", &own_origin), "name=admin&password=correct+horse+battery");
        assert_eq!(reply.await.status, 303);
        let account = browser.get("/account").await;
        assert_eq!(account.status, 200);
        assert!(account.text().contains("127.0.0.5"), "the session's address: {}", account.text());

        let log = nginx.access_log();
        assert!(log.contains("/setup\"") && !log.contains(&code), "the code is in nginx's log: {log}");
        drop(nginx);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_stay_with_https() {
    let app = TestApp::start_with(&[TRUSTS_NGINX]).await;
    let nginx = Nginx::start(Shipped::Host, app.app.address());
    let page = Browser::new(&nginx).get("/login").await;
    assert_eq!(page.status, 200);
    assert!(page.header("strict-transport-security").is_some_and(|value| value.starts_with("max-age=")));
    drop(nginx);
    app.stop().await;
}
