//! The admin API through a real listener. Every answer of every test is held against the OpenAPI document, and no answer
//! may hold a secret.

mod access;
mod budgets;
mod capacity;
mod chains;
mod channels;
mod discovery;
mod document;
mod explorer;
mod keys;
mod limits;
mod notifications;
mod onboarding;
mod pool;
mod ranking;
mod repair;
mod schema;
mod server;
mod tokens;
mod usage;

use std::{sync::Arc, time::Duration};

use onepool::{
    model::{
        id::UserId,
        secret::{Secret, SecretHash},
        time::Clock,
    },
    storage::access_tokens::new_access_token,
};
use reqwest::Method;
use serde_json::Value;

use crate::support::app::{Reply, TestApp, at};
use schema::Document;

/// The password of the account `admin` of every test server.
const PASSWORD: &str = "correct horse";
const COOKIE: &str = "a-session-of-the-test";
/// What no answer may hold.
const SECRETS: &[&str] = &[
    "upstream-key-0000-alpha",
    "upstream-key-0000-beta",
    "header-value-that-is-secret",
    "proxy-password-that-is-secret",
    PASSWORD,
];

/// A server, a script with an access token, and an operator's browser.
struct Api {
    app: TestApp,
    user: UserId,
    access_token: Secret,
    document: Document,
}

impl Api {
    /// A server whose clock stands still at a noon.
    async fn start() -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        Self::of(TestApp::start_in(data, Clock::manual(at("2026-11-20T12:00:00Z")), &[]).await).await
    }

    async fn of(app: TestApp) -> Self {
        let site = app.app.site();
        let (user, _) = site.db.find_credentials("admin").await.unwrap().unwrap();
        let access_token = new_access_token();
        site.db.create_access_token(user.id, "the test's", &access_token, None).await.unwrap();
        let hash = SecretHash::of(COOKIE);
        site.db.create_session(user.id, &hash, "127.0.0.1", "a browser", site.clock.now()).await.unwrap();
        let document = app.http.get(app.url("/api/openapi.json")).send().await.unwrap().json().await.unwrap();
        Self { user: user.id, access_token, document: Document(document), app }
    }

    /// Sends a request of the script, and holds the answer against the document and the list of secrets.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.send_with(method, path, body, |request| request).await
    }

    async fn send_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Reply {
        let mut request =
            self.app.http.request(method.clone(), self.app.url(path)).timeout(Duration::from_secs(30));
        request = request.bearer_auth(self.access_token.expose());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = Reply::read(change(request).send().await.unwrap()).await;
        let text = reply.text();
        for secret in SECRETS.iter().copied().chain([self.access_token.expose()]) {
            assert!(!text.contains(secret), "{method} {path} tells a secret: {text}");
        }
        self.document.check(&method, path, &reply);
        reply
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.send(Method::GET, path, None).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send(Method::PATCH, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    /// A page as the operator's browser shows it.
    async fn page(&self, path: &str) -> String {
        let request =
            self.app.http.get(self.app.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// A form as the operator's browser sends it.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .app
            .http
            .post(self.app.url(path))
            .header("cookie", format!("onepool_session={COOKIE}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        Reply::read(request.body(body).send().await.unwrap()).await
    }

    async fn stop(self) {
        self.app.stop().await;
    }
}

/// The fields that an answer names.
fn fields(reply: &Reply) -> Vec<String> {
    let fields = reply.json()["error"]["fields"].as_array().cloned().unwrap_or_default();
    fields.iter().map(|fault| fault["field"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Asserts a refusal.
#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text());
}
