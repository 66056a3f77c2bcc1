//! A running server in this process, on a real listener and a real database file.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use onepool::{
    app::App,
    config::Config,
    model::{
        channel::{ChannelModel, Price, Redirect, Timeouts},
        id::{ChannelId, KeyId, TokenId},
        key::PastedKey,
        secret::Secret,
        time::{Clock, UnixMs},
        token::ClientProfile,
    },
    storage::{
        channels::NewChannel,
        tokens::NewToken,
        usage_query::{
            UsageFilter,
            report::{GroupBy, Question, Sums},
        },
    },
};
use serde_json::{Value, json};

use super::upstream::Upstream;

/// A value for the token of most tests.
pub const TOKEN: &str = "sk-test00000000000000000000000000000000000000000000000";

/// A server and its data folder; both go when it is dropped after [`TestApp::stop`].
pub struct TestApp {
    pub app: App,
    pub clock: Clock,
    pub data: Arc<tempfile::TempDir>,
    pub http: reqwest::Client,
}

impl TestApp {
    /// Starts a server with an account, so that the set-up is over, and with time limits that a slow machine keeps.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with further settings.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::start_in(data, Clock::system(), settings).await
    }

    /// Starts a server on a data folder.
    pub async fn start_in(data: Arc<tempfile::TempDir>, clock: Clock, settings: &[(&str, &str)]) -> Self {
        let mut values = vec![
            ("DATA_DIR".to_owned(), data.path().join("data").to_string_lossy().into_owned()),
            ("LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("ADMIN_PASSWORD".to_owned(), "correct horse".to_owned()),
            ("TZ".to_owned(), "UTC".to_owned()),
            ("FIRST_BYTE_TIMEOUT_MS".to_owned(), "20000".to_owned()),
            ("IDLE_TIMEOUT_MS".to_owned(), "20000".to_owned()),
            ("CONNECT_TIMEOUT_MS".to_owned(), "20000".to_owned()),
        ];
        values.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::load(
            |_| None,
            |name| values.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
        )
        .expect("valid settings");
        let app = App::start(config, clock.clone()).await.expect("the server starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { app, clock, data, http }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address())
    }

    /// Adds a channel for the model `m` with these keys.
    pub async fn channel(&self, name: &str, upstream: &Upstream, keys: &[&str]) -> ChannelId {
        self.channel_with(name, &upstream.base_url(), keys, |_| {}).await
    }

    /// The same, changed before it is saved.
    pub async fn channel_with(
        &self,
        name: &str,
        base_url: &str,
        keys: &[&str],
        change: impl FnOnce(&mut NewChannel),
    ) -> ChannelId {
        let mut channel = NewChannel {
            name: name.into(),
            base_url: base_url.into(),
            allow_private: true,
            enabled: true,
            weight: 1,
            timeouts: Timeouts::default(),
            models: vec![model("m")],
            ..NewChannel::default()
        };
        change(&mut channel);
        let db = &self.app.site().db;
        let id = db.create_channel(&channel).await.expect("a channel");
        let keys: Vec<PastedKey> = keys
            .iter()
            .map(|key| PastedKey {
                label: String::new(),
                secret: Secret::new(*key),
                quota_group: None,
                limits: Vec::new(),
                budget: None,
            })
            .collect();
        db.add_keys(id, &keys).await.expect("keys");
        self.reload().await;
        id
    }

    /// Adds a token with the value [`TOKEN`] that may do everything.
    pub async fn token(&self) -> TokenId {
        self.token_with(|_| {}).await
    }

    /// The same, changed before it is saved.
    pub async fn token_with(&self, change: impl FnOnce(&mut NewToken)) -> TokenId {
        let mut token = NewToken {
            name: "test".into(),
            value: Secret::new(TOKEN),
            models: vec![],
            groups: vec![],
            cidrs: vec![],
            expires_at: None,
            quota: None,
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
        };
        change(&mut token);
        let id = self.app.site().db.create_token(&token).await.expect("a token");
        self.reload().await;
        id
    }

    /// Makes what was written to the database count.
    pub async fn reload(&self) {
        self.app.site().catalog.reload().await.expect("the catalog");
    }

    /// A chat call for the model `m`.
    pub async fn chat(&self, stream: bool, prompt: &str) -> Reply {
        self.post("/v1/chat/completions", &chat("m", stream, prompt)).await
    }

    /// Posts JSON with [`TOKEN`].
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.http.post(self.url(path)).bearer_auth(TOKEN).json(body);
        Reply::read(request.send().await.expect("an answer")).await
    }

    /// A request with [`TOKEN`].
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(TOKEN)
    }

    /// Sends a body as it is, as JSON of [`TOKEN`].
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        let request = self.request(reqwest::Method::POST, path).header("content-type", "application/json");
        Reply::read(request.body(body).send().await.expect("an answer")).await
    }

    /// Sends a chat call for `m` with the headers of a request, and no others.
    pub async fn chat_with(
        &self,
        change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Reply {
        let request =
            self.http.post(self.url("/v1/chat/completions")).json(&chat("m", false, "marker=abc words=3"));
        Reply::read(change(request).send().await.expect("an answer")).await
    }

    /// The ids of a channel's keys, in the order in which they were added.
    pub fn keys_of(&self, channel: ChannelId) -> Vec<KeyId> {
        let catalog = self.app.site().catalog.load();
        catalog.channel(channel).expect("the channel").keys.iter().map(|key| key.id).collect()
    }

    /// Every usage row, the newest first, once all are in the database.
    pub async fn rows(&self) -> Vec<Value> {
        self.app.flush_usage().await;
        usage_rows(&self.database()).await
    }

    /// The database file.
    pub fn database(&self) -> std::path::PathBuf {
        self.data.path().join("data/onepool.db")
    }

    /// Stops the server; its data folder can be started on again.
    pub async fn stop(self) -> Arc<tempfile::TempDir> {
        self.app.shutdown().await;
        self.data
    }
}

/// A model with a price and limits.
pub fn model(name: &str) -> ChannelModel {
    ChannelModel {
        name: name.into(),
        context_window: Some(32_768),
        max_output: Some(1000),
        price: Some(Price { input: 1_000_000, cached: None, output: 2_000_000, reasoning: None }),
        ..ChannelModel::default()
    }
}

/// A redirect.
pub fn redirect(public: &str, upstream: &str) -> Redirect {
    Redirect { public: public.into(), upstream: upstream.into() }
}

/// The body of a chat call.
pub fn chat(model: &str, stream: bool, prompt: &str) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": prompt }] })
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Bytes,
    /// Whether the body ended as HTTP says it should.
    pub whole: bool,
}

impl Reply {
    pub async fn read(mut response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        let whole = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        Self { status, headers, body: body.into(), whole }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// `error.code`.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The data of each event, `[DONE]` included.
    pub fn events(&self) -> Vec<String> {
        self.text()
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .map(str::to_owned)
            .collect()
    }

    /// The data of each event that is JSON.
    pub fn chunks(&self) -> Vec<Value> {
        self.events().iter().filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The answer's text, streamed or not.
    pub fn content(&self) -> String {
        if let Some(text) = self.json()["choices"][0]["message"]["content"].as_str() {
            return text.to_owned();
        }
        self.chunks().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }

    pub fn done(&self) -> bool {
        self.events().last().is_some_and(|data| data == "[DONE]")
    }
}

/// Every usage row of a database file, the newest first, as JSON with its attempts.
pub async fn usage_rows(database: &std::path::Path) -> Vec<Value> {
    let mut connection = connect(database).await;
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT json_object('request_id', request_id, 'token', token_id, 'channel', channel_id, 'key', key_id,
                'asked', asked_model, 'served', served_model, 'endpoint', endpoint, 'stream', stream, 'status', status,
                'result', result, 'code', error_code, 'first_token_ms', first_token_ms, 'prompt', prompt_tokens,
                'completion', completion_tokens, 'cached', cached_tokens, 'reasoning', reasoning_tokens,
                'estimated', estimated, 'units', json(units), 'cost', cost_micros, 'address', client_address, 'kind', client_kind,
                'trace', trace_id, 'attempts', (SELECT json_group_array(json_object('key', key_id, 'channel', channel_id,
                'model', model, 'class', class, 'status', status, 'detail', detail)) FROM
                (SELECT * FROM attempts WHERE usage_id = usage.id ORDER BY position)))
         FROM usage ORDER BY id DESC",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the usage rows");
    rows.iter().map(|row| serde_json::from_str(row).expect("JSON")).collect()
}

/// The sums of all calls, and how many attempts they took.
pub async fn sums(db: &onepool::storage::Db) -> (Sums, i64) {
    let report =
        db.usage_report(&Question::new(UsageFilter::default(), GroupBy::Channel)).await.expect("a report");
    let attempts = report.groups.iter().filter_map(|group| Some(group.attempts.as_ref()?.all())).sum();
    (report.sums, attempts)
}

/// A number from a database file.
pub async fn number(database: &std::path::Path, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&mut connect(database).await).await.expect("a number")
}

/// Changes a database file behind the server's back.
pub async fn execute(database: &std::path::Path, sql: &'static str) {
    sqlx::query(sql).execute(&mut connect(database).await).await.expect("a change");
}

async fn connect(database: &std::path::Path) -> sqlx::SqliteConnection {
    use sqlx::Connection;
    sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.display())).await.expect("the database")
}

/// Waits until something is true, at most ten seconds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true");
}

/// A point in time, from text such as `2026-03-29T12:00:00Z`.
pub fn at(text: &str) -> UnixMs {
    UnixMs(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond())
}
