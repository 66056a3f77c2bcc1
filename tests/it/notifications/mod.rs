//! Notifications from end to end: what happens in the pool reaches those who want to know, by every vendor's rules, and nothing
//! else does.

mod mail;
mod news;
mod queue;
mod vendors;

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use jiff::tz::TimeZone;
use onepool::{
    config::Config,
    dispatch::Dispatch,
    jobs::notices::{Desk, Parts},
    model::{
        id::{KeyId, NoticeTargetId},
        notice::{Event, EventKind, NewTarget, Occurrence, Policy, Transport, Webhook},
        secret::Secret,
        time::{Clock, UnixMs},
    },
    notices::{Message, Outcome, deliver},
    storage::{Db, catalog::CatalogStore, providers::ProviderStore, vault::Vault},
    upstream::client::Clients,
};
use serde_json::Value;

use crate::support::{
    app::TestApp,
    raw::{Raw, RawRequest, write_json},
};

/// A receiver that answers as it is told, and what it got.
struct Receiver {
    raw: Raw,
    got: Arc<Mutex<Vec<RawRequest>>>,
}

impl Receiver {
    /// Answers with what a function writes.
    fn with(respond: impl Fn(&RawRequest, &mut std::net::TcpStream) + Send + Sync + 'static) -> Self {
        let got = Arc::new(Mutex::new(Vec::new()));
        let note = got.clone();
        let raw = Raw::answer(move |request: &RawRequest, socket| {
            note.lock().unwrap().push(request.clone());
            respond(request, socket);
        });
        Self { raw, got }
    }

    /// Answers every request with this body and a status of 200.
    fn saying(body: &'static str) -> Self {
        Self::with(move |_, socket| write_json(socket, body))
    }

    /// Answers every request with these bytes.
    fn answering(answer: String) -> Self {
        Self::with(move |_, socket| drop(socket.write_all(answer.as_bytes())))
    }

    fn address(&self) -> String {
        format!("http://{}", self.raw.address())
    }

    fn got(&self) -> Vec<RawRequest> {
        self.got.lock().unwrap().clone()
    }

    fn bodies(&self) -> Vec<Value> {
        self.got().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    fn hook(&self) -> Transport {
        Transport::Webhook(Webhook {
            url: Secret::new(format!("{}/hook/secret-part", self.address())),
            header: Some(("X-Secret".into(), Secret::new("a-word-between-us"))),
        })
    }
}

fn target(transport: Transport) -> NewTarget {
    NewTarget {
        name: "ops".into(),
        enabled: true,
        kinds: EventKind::ALL.to_vec(),
        language: "en".into(),
        policy: Policy::default(),
        allow_private: true,
        transport,
    }
}

fn message(events: Vec<Event>) -> Message {
    Message { id: "onepool-1-1".into(), events, left_out: 0 }
}

fn invalid(shown: &str) -> Event {
    let what = Occurrence::KeyInvalid { key: KeyId(1), shown: shown.into() };
    Event { at: UnixMs(0), channel: None, what }
}

async fn tell(target: &NewTarget, message: &Message) -> Outcome {
    deliver(&Clients::new(), target, message, UnixMs(1_800_000_000_000), &TimeZone::UTC).await
}

fn parts(app: &TestApp) -> Parts {
    let site = app.app.site();
    Parts {
        db: site.db.clone(),
        catalog: site.catalog.clone(),
        dispatch: site.dispatch.clone(),
        clients: site.clients.clone(),
        clock: site.clock.clone(),
    }
}

/// What the job works with, without a server, so that nobody but the test turns the wheel.
struct Office {
    folder: tempfile::TempDir,
    parts: Parts,
}

impl Office {
    async fn open(clock: Clock) -> Self {
        // The second one finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let parts = Self::parts(folder.path(), clock).await;
        let office = Self { folder, parts };
        // From now on there is something to compare with.
        assert_eq!(Desk::new(office.parts.clone()).look().await.unwrap().events, []);
        office
    }

    async fn parts(folder: &std::path::Path, clock: Clock) -> Parts {
        let vault = Vault::new(&Secret::new("a master key of a test, long enough for it"));
        let db = Db::open(&folder.join("onepool.db"), vault, clock.clone()).await.unwrap();
        let config = Arc::new(Config::load(|_| None, |_| None).unwrap());
        let providers = ProviderStore::open(folder);
        let settings = Arc::new(move |saved: &_| config.runtime(saved));
        let catalog = CatalogStore::open(db.clone(), settings, TimeZone::UTC, providers).await.unwrap();
        Parts { db, catalog, dispatch: Dispatch::new(clock.clone()), clients: Clients::new(), clock }
    }

    /// The same after a restart: nothing of what was in memory is left.
    async fn reopen(&mut self) {
        self.parts.db.close().await;
        self.parts = Self::parts(self.folder.path(), self.parts.clock.clone()).await;
    }

    async fn add(&self, set: &NewTarget) -> NoticeTargetId {
        self.parts.db.create_notice_target(set).await.unwrap()
    }

    /// Something to tell: a backup that failed for this reason, and before it one that did not.
    async fn happen(&self, desk: &mut Desk, reason: &str) {
        self.parts.db.note_backup_failure(None).await.unwrap();
        desk.look().await.unwrap();
        self.parts.db.note_backup_failure(Some(reason)).await.unwrap();
        assert_eq!(desk.look().await.unwrap().events.len(), 1);
    }
}
