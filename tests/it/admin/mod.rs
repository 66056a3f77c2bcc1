//! The operator's pages, as a browser sees them: requests go into the router, without a socket.

mod account;
mod capacity;
mod chains;
mod channels;
mod chosen;
mod health;
mod limits;
mod models;
mod notifications;
mod ranking;
mod search;
mod tokens;

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use onepool::{
    app::App,
    config::Config,
    model::{
        channel::{ChannelModel, Price, Protocol},
        secret::SecretHash,
        time::{Clock, UnixMs},
    },
    storage::channels::NewChannel,
    web,
};
use tower::ServiceExt;

const PASSWORD: &str = "correct horse battery";
const COOKIE: &str = "a session for the tests";

/// A server whose clock stands still, and a browser that is logged in.
struct Browser {
    app: App,
    clock: Clock,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
struct Page {
    status: StatusCode,
    /// Where it sends the browser, if it does.
    location: String,
    body: String,
}

impl Page {
    fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

impl Browser {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data").to_string_lossy().into_owned();
        let config = Config::load(
            |name| match name {
                "DATA_DIR" => Some(data_dir.clone()),
                "LISTEN" => Some("127.0.0.1:0".into()),
                "ADMIN_PASSWORD" => Some(PASSWORD.into()),
                "TZ" => Some("UTC".into()),
                _ => None,
            },
            |_| None,
        )
        .unwrap();
        let clock = Clock::manual(UnixMs(1_800_000_000_000));
        let app = App::start(config, clock.clone()).await.unwrap();
        let db = &app.site().db;
        let (user, _) = db.find_credentials("admin").await.unwrap().unwrap();
        db.create_session(user.id, &SecretHash::of(COOKIE), "127.0.0.1", "test", clock.now()).await.unwrap();
        Self { app, clock, _folder: folder }
    }

    async fn get(&self, path: &str) -> Page {
        let request = Request::get(path).header(header::COOKIE, format!("onepool_session={COOKIE}"));
        self.send(request.header(header::HOST, "pool.lan:3000").body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header(header::COOKIE, format!("onepool_session={COOKIE}"))
            .header(header::HOST, "pool.lan:3000")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Page {
        let response = web::router(self.app.site().clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let location =
            response.headers().get(header::LOCATION).map(|value| value.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Page {
            status,
            location: location.unwrap_or_default(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// Adds a channel with these models; a model with a price costs $1 per million tokens.
    async fn add_channel(&self, models: &[(&str, bool)]) {
        let models = models.iter().map(|(name, priced)| ChannelModel {
            name: (*name).to_owned(),
            price: priced.then_some(Price {
                input: 1_000_000,
                cached: None,
                output: 1_000_000,
                reasoning: None,
            }),
            ..Default::default()
        });
        let channel = NewChannel {
            name: "upstream".into(),
            base_url: "http://127.0.0.1:9".into(),
            protocol: Protocol::OpenAi,
            provider: "generic".into(),
            plan: None,
            priority: 0,
            weight: 1,
            groups: Vec::new(),
            headers: Vec::new(),
            proxy: None,
            budget: None,
            timeouts: Default::default(),
            allow_private: true,
            note: String::new(),
            enabled: true,
            endpoints: Default::default(),
            models: models.collect(),
            redirects: Vec::new(),
            limits: Vec::new(),
            shaping: Default::default(),
        };
        self.app.site().db.create_channel(&channel).await.unwrap();
        self.app.site().catalog.reload().await.unwrap();
    }

    fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }
}
