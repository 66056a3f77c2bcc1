//! For tests of pages: a site, and an operator's browser that looks at it.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    config::Config,
    dispatch::Dispatch,
    model::{
        time::{Clock, UnixMs},
        usage::UsageRecord,
    },
    relay::{
        self, Relay,
        quota::Meters,
        recorder::{self, Recorder},
    },
    storage::{
        catalog::CatalogStore, providers::ProviderStore, recording::tests::open, usage_query::fixtures,
    },
    upstream::client::Clients,
    web::{Site, admin::visit::SESSION_COOKIE, listen::Drain, router},
};

/// The time on the site's clock: a minute after the calls of [`record`].
pub(crate) const NOW: UnixMs = UnixMs(1_800_000_060_000);

/// The pages, looked at by a logged-in operator.
pub(crate) struct Browser {
    /// The site.
    pub(crate) router: axum::Router,
    _folder: tempfile::TempDir,
}

/// What a page answered.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Browser {
    /// A site with the names of [`fixtures::names`] and these calls.
    pub(crate) async fn new(calls: &[UsageRecord]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        fixtures::names(&db).await;
        fixtures::operator(&db, NOW).await;
        db.insert_usage(calls).await.unwrap();
        let config =
            Arc::new(Config::load(|name| (name == "TZ").then(|| "UTC".to_owned()), |_| None).unwrap());
        let settings = config.clone();
        // No channel is loaded: the rows of the fixtures have no secrets to open.
        let empty = tempfile::tempdir().unwrap();
        let catalog_db = open(empty.path()).await;
        let catalog = CatalogStore::open(
            catalog_db,
            Arc::new(move |saved| settings.runtime(saved)),
            config.zone.clone(),
            ProviderStore::open(folder.path()),
        );
        let catalog = catalog.await.unwrap();
        // Nothing is relayed here; the parts that relay are only there because a site has them.
        let (clients, meters) = (Clients::new(), Meters::default());
        let (clock, drain) = (Clock::manual(NOW), Drain::default());
        let dispatch = Dispatch::new(clock.clone());
        let (recorder, _copying) = Recorder::start(recorder::Options {
            folder: folder.path().join("journal"),
            db: db.clone(),
            clock: clock.clone(),
            limits: recorder::Limits::default(),
            counted: None,
        });
        let relay = Arc::new(Relay::new(relay::Parts {
            db: db.clone(),
            catalog: catalog.clone(),
            clients: clients.clone(),
            dispatch: dispatch.clone(),
            meters: meters.clone(),
            recorder: recorder.clone(),
            in_flight: Default::default(),
            uploads: relay::upload::UploadFolder::open(folder.path().join("uploads")),
            clock: clock.clone(),
            draining: drain.started.clone(),
            drained: drain.deadline.clone(),
        }));
        let admin = Arc::default();
        let files = db.capture_folder(folder.path());
        let (captures, _) = crate::capture::Captures::new(files, db.clone(), catalog.clone(), clock.clone());
        let metrics = crate::web::metrics::Metrics::new(crate::metrics::Tally::new(NOW));
        let in_flight = Default::default();
        let site = Site {
            config,
            db,
            clock,
            catalog,
            dispatch,
            clients,
            relay,
            meters,
            recorder,
            in_flight,
            metrics,
            captures,
            admin,
            drain,
        };
        Self { router: router(site), _folder: folder }
    }

    /// Opens a page in English.
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.get_in(path, "en").await
    }

    /// Opens a page in a language.
    pub(crate) async fn get_in(&self, path: &str, language: &str) -> Page {
        let cookie = format!("{SESSION_COOKIE}={}", fixtures::SESSION);
        let request = Request::get(path)
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT_LANGUAGE, language)
            .body(Body::empty())
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Page { status, text: String::from_utf8(body.to_vec()).unwrap() }
    }
}
