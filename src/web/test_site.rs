//! A site for tests of pages: everything that handlers work with, and nothing that runs.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tokio_util::sync::CancellationToken;

use super::{Site, listen::Drain};
use crate::{
    config::Config,
    model::time::Clock,
    relay::{
        self, Relay,
        quota::TokenMeters,
        recorder::{Limits, Options, Recorder},
    },
    scheduler::ledger::Ledger,
    storage::{Db, catalog::CatalogStore, recording::tests::open},
    upstream::client::Clients,
};

/// A site on a database; its catalog is empty, so that rows without secrets do.
pub(crate) async fn site(db: Db, folder: &Path, clock: Clock) -> Site {
    let utc = |name: &str| (name == "TZ").then(|| "UTC".to_owned());
    let config = Arc::new(Config::load(utc, |_| None).expect("valid settings"));
    let settings = config.clone();
    let empty = tempfile::tempdir().expect("a folder");
    let in_force = Arc::new(move |saved: &_| settings.runtime(saved));
    let catalog = CatalogStore::open(open(empty.path()).await, in_force, config.zone.clone());
    let catalog = catalog.await.expect("a catalog");
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let meters = TokenMeters::default();
    let (recorder, _) = Recorder::start(Options {
        folder: folder.join("journal"),
        db: db.clone(),
        clock: clock.clone(),
        limits: Limits::default(),
    });
    let relay = Arc::new(Relay::new(relay::Parts {
        catalog: catalog.clone(),
        clients: Clients::new(),
        ledger: ledger.clone(),
        meters: meters.clone(),
        recorder,
        clock: clock.clone(),
        draining: CancellationToken::new(),
        drained: CancellationToken::new(),
    }));
    Site {
        config,
        db,
        clock,
        catalog,
        ledger,
        clients: Clients::new(),
        relay,
        meters,
        admin: Arc::default(),
        drain: Drain::default(),
    }
}
