//! The running server: builds every part, and stops them in order.
//!
//! [`App::start`] is the one place where parts meet. A new part (a store, a background task) is built there, is put into
//! [`Site`] if handlers need it, and runs on [`Tasks`] if it works by itself.

use std::{
    future::Future, io, net::SocketAddr, panic::AssertUnwindSafe, path::PathBuf, sync::Arc, time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    capture::{self, Captures},
    config::{self, Config},
    discovery::round::Rounds,
    dispatch::Dispatch,
    i18n::Messages,
    jobs::{self, vitals::LifeSigns},
    metrics::Tally,
    model::{budget::Owner, secret::Secret, time::Clock},
    pool::{self, apply::ApplyError, load::Document},
    relay::{
        self, Relay,
        in_flight::CallsInFlight,
        quota::Meters,
        recorder::{self, Recorder},
    },
    repair,
    storage::{
        self, Db, OpenError, StorageError,
        catalog::CatalogStore,
        folder::{DataFolder, FolderError, FolderLock},
        password,
        providers::ProviderStore,
        sends::SendLog,
        vault::Vault,
    },
    upstream::client::Clients,
    web::{
        self, Site,
        admin::{self, setup_code::SetupCode},
        listen::{self, Drain, Limits},
    },
};

/// The account that `ADMIN_PASSWORD` creates.
pub const FIRST_ACCOUNT: &str = "admin";
/// Connections that may wait to be accepted; the system may allow fewer. Of those beyond it a client believes that it is
/// connected while the server knows nothing, so a burst must fit.
const BACKLOG: u32 = 4096;
/// How long the start waits for rows of an earlier run to reach the database.
const REPLAY: Duration = Duration::from_secs(30);
/// How long background tasks may take to finish after the last connection has ended.
const TASKS_FINISH: Duration = Duration::from_secs(5);

/// Why the server could not start; each text is for the operator and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or the master key.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A query of the start.
    #[error("cannot read the database {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: StorageError,
    },
    /// The pool file cannot be applied: its faults, one in a line, in the language of the settings.
    #[error("{0}")]
    PoolFile(String),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}. Set LISTEN or PORT to an address that is free")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Background tasks: known by name, told to stop, and waited for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    signs: LifeSigns,
}

impl Tasks {
    /// Runs a task. Its panic is logged loudly: a task that died in silence is found weeks later. A task that would run
    /// for ever must end when [`stopping`](Self::stopping) is cancelled.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let signs = self.signs.clone();
        signs.began(name);
        self.tracker.spawn(async move {
            let died = AssertUnwindSafe(task).catch_unwind().await.is_err();
            signs.ended(name, died);
            if died {
                tracing::error!(
                    task = name,
                    "a background task panicked and no longer runs; restart the server"
                );
            }
        })
    }

    /// Which tasks there are, and which of them died.
    pub fn signs(&self) -> LifeSigns {
        self.signs.clone()
    }

    /// Cancelled once no connection is left: time to finish.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(TASKS_FINISH, self.tracker.wait()).await.is_err() {
            tracing::error!(tasks = self.tracker.len(), "background tasks did not finish in time");
        }
    }
}

/// A running server.
pub struct App {
    address: SocketAddr,
    site: Site,
    tasks: Tasks,
    serving: JoinHandle<()>,
    recorder: Recorder,
    _lock: FolderLock,
}

impl App {
    /// Starts a server: claims the data folder, opens the database, creates the first account if `ADMIN_PASSWORD` is
    /// given, and listens. Returns when connections are accepted.
    ///
    /// On an error nothing is left running.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        // Fails if a provider is installed already, as in the second server of a test; that one does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();

        let config = Arc::new(config);
        let folder = DataFolder::create(&config.data_dir)?;
        let mut lock = folder.lock()?;
        let listener = bind(config.listen)?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
        if let Err(error) = lock.note_address(address) {
            tracing::warn!(%error, "cannot note the address for `onepool status`");
        }

        storage::settle(&folder, &lock, clock.now()).await?;
        let master_key = folder.master_key(config.secret_key.clone())?;
        let database = folder.prepare_database()?;
        let unreadable = |source| StartError::Storage { path: database.clone(), source };
        let db = Db::open(&database, Vault::new(&master_key), clock.clone()).await?;
        let setup = first_account(&db, config.admin_password.clone()).await.map_err(unreadable)?;
        let providers = ProviderStore::open(&config.data_dir);
        apply_pool_file(&config, &db, &providers).await.map_err(|failure| match failure {
            PoolFileFailure::File(text) => StartError::PoolFile(text),
            PoolFileFailure::Storage(source) => unreadable(source),
        })?;
        let settings = config.clone();
        let catalog = CatalogStore::open(
            db.clone(),
            Arc::new(move |saved| settings.runtime(saved)),
            config.zone.clone(),
            providers,
        )
        .await
        .map_err(unreadable)?;
        let sends = Arc::new(SendLog::open(folder.path()));
        let noting = sends.clone();
        let dispatch = Dispatch::noting(clock.clone(), Arc::new(move |sent| noting.note(sent)));
        let declaring = dispatch.clone();
        let catalog = catalog.observed_by(Arc::new(move |catalog, providers| {
            declaring.declare(catalog.clone(), providers.clone());
        }));

        let tasks = Tasks::default();
        let stop_on_error = tasks.stopping().drop_guard();
        let drain = Drain::default();
        let tally = Tally::new(clock.now());
        let counting = tally.clone();
        let (recorder, copying) = Recorder::start(recorder::Options {
            folder: folder.journal(),
            db: db.clone(),
            clock: clock.clone(),
            limits: recorder::Limits::default(),
            counted: Some(Box::new(move |rows| counting.count(rows))),
        });
        tasks.spawn("recorder", copying);
        // What an earlier run left in the journal counts before the first call does.
        if !recorder.flush_within(REPLAY).await {
            tracing::error!(
                "the journal of the last run is not yet in the database; quotas may be understated"
            );
        }
        let meters = Meters::default();
        let of_tokens = db.all_spending().await.map_err(unreadable)?;
        meters.restore(
            of_tokens
                .into_iter()
                .map(|(token, period, unit, spent)| (Owner::Token(token), period, unit, spent)),
        );
        jobs::rests::restore(&db, folder.path(), &dispatch).await.map_err(unreadable)?;
        let budgets = jobs::budgets::Parts {
            db: db.clone(),
            catalog: catalog.clone(),
            dispatch: dispatch.clone(),
            meters: meters.clone(),
            recorder: recorder.clone(),
        };
        let begun = jobs::budgets::restore(&budgets).await.map_err(unreadable)?;
        tasks.spawn("budgets", jobs::budgets::run(budgets, begun, tasks.stopping()));
        tasks.spawn("dispatch", dispatch.clone().run(tasks.stopping()));
        tasks.spawn("rests", jobs::rests::run(db.clone(), dispatch.clone(), sends, tasks.stopping()));
        tasks.spawn(
            "follow",
            jobs::follow::run(db.clone(), catalog.clone(), dispatch.clone(), tasks.signs(), tasks.stopping()),
        );
        tasks.spawn(
            "vitals",
            jobs::vitals::run(folder.clone(), dispatch.clone(), tasks.signs(), tasks.stopping()),
        );
        let retention = catalog.clone();
        tasks.spawn(
            "retention",
            jobs::retention::run(
                db.clone(),
                move || retention.load().settings.retention_days,
                clock.clone(),
                config.zone.clone(),
                tasks.stopping(),
            ),
        );
        tasks.spawn(
            "sheets",
            jobs::sheets::run(db.clone(), clock.clone(), config.zone.clone(), tasks.stopping()),
        );
        let schedule = catalog.clone();
        tasks.spawn(
            "backups",
            jobs::backups::run(
                jobs::backups::Place { db: db.clone(), folder: folder.clone() },
                move || jobs::backups::Schedule::of(&schedule.load().settings),
                clock.clone(),
                tasks.stopping(),
            ),
        );
        let clients = Clients::new();
        tasks.spawn(
            "counters",
            jobs::counters::run(catalog.clone(), dispatch.clone(), clients.clone(), tasks.stopping()),
        );
        let asking = jobs::discovery::Parts {
            db: db.clone(),
            catalog: catalog.clone(),
            clients: clients.clone(),
            clock: clock.clone(),
        };
        tasks.spawn("discovery", jobs::discovery::run(asking.clone(), tasks.stopping()));
        tasks.spawn(
            "probes",
            jobs::probes::run(
                jobs::probes::Parts {
                    db: db.clone(),
                    catalog: catalog.clone(),
                    clients: clients.clone(),
                    dispatch: dispatch.clone(),
                    clock: clock.clone(),
                },
                tasks.stopping(),
            ),
        );
        tasks.spawn(
            "ranking",
            jobs::ranking::run(
                jobs::ranking::Parts {
                    db: db.clone(),
                    catalog: catalog.clone(),
                    dispatch: dispatch.clone(),
                    clients: clients.clone(),
                    clock: clock.clone(),
                },
                tasks.stopping(),
            ),
        );
        let rounds = Rounds::default();
        tasks.spawn(
            "discovery on demand",
            jobs::discovery::run_rounds(asking, rounds.clone(), tasks.stopping()),
        );
        let noticing = jobs::notices::Parts {
            db: db.clone(),
            catalog: catalog.clone(),
            dispatch: dispatch.clone(),
            clients: clients.clone(),
            clock: clock.clone(),
        };
        tasks.spawn("notifications", jobs::notices::run(noticing, tasks.stopping()));
        let in_flight = CallsInFlight::default();
        let relay = Arc::new(Relay::new(relay::Parts {
            in_flight: in_flight.clone(),
            db: db.clone(),
            uploads: relay::upload::UploadFolder::open(folder.uploads()),
            catalog: catalog.clone(),
            clients: clients.clone(),
            dispatch: dispatch.clone(),
            meters: meters.clone(),
            recorder: recorder.clone(),
            clock: clock.clone(),
            draining: drain.started.clone(),
            drained: drain.deadline.clone(),
        }));
        let place = repair::Place {
            config: config.clone(),
            folder: folder.clone(),
            db: db.clone(),
            catalog: catalog.clone(),
            dispatch: dispatch.clone(),
            clients: clients.clone(),
            clock: clock.clone(),
            side: repair::Side::Server(tasks.signs()),
        };
        let repairing = tasks.clone();
        let repairs = repair::desk::Repairs::new(
            place,
            Box::new(move |repair| {
                let stopping = repairing.stopping();
                repairing.spawn("repair", async move {
                    stopping.run_until_cancelled(repair).await;
                });
            }),
        );
        let (captures, capturing) =
            Captures::new(db.capture_folder(folder.path()), db.clone(), catalog.clone(), clock.clone());
        tasks.spawn("captures", capture::run(capturing, tasks.stopping()));
        let (backed_up, journal) = (db.clone(), folder.journal());
        let site = Site {
            config: config.clone(),
            db,
            clock,
            catalog,
            dispatch,
            clients,
            relay,
            meters,
            recorder: recorder.clone(),
            in_flight,
            captures,
            metrics: web::metrics::Metrics::new(tally),
            admin: Arc::new(admin::Shared {
                setup,
                rounds,
                recording: Some(Box::new({
                    let recorder = recorder.clone();
                    move || recorder.alarm()
                })),
                backup: Some(Box::new(move |target| {
                    let (db, journal) = (backed_up.clone(), journal.clone());
                    Box::pin(async move { recorder::backup::make(&db, &journal, &target).await })
                })),
                repairs: Some(repairs),
                ..admin::Shared::default()
            }),
            drain: drain.clone(),
        };

        let front = web::Front::new(site.clone());
        let serving = tasks.spawn("accept loop", listen::serve(listener, front, Limits::of(&config), drain));
        stop_on_error.disarm();
        Ok(Self { address, site, tasks, serving, recorder, _lock: lock })
    }

    /// Where the server listens; with port 0 in the settings, the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for people: `PUBLIC_URL`, else the one it listens on; no slash at its end.
    pub fn url(&self) -> String {
        let public = self.site.catalog.load().settings.public_url.clone();
        public.unwrap_or_else(|| {
            let mut address = self.address;
            // Nobody can open "all addresses" in a browser.
            if address.ip().is_unspecified() {
                address.set_ip(loopback_of(address));
            }
            format!("http://{address}")
        })
    }

    /// The one-time link that creates the first account; `None` if there is an account.
    pub fn setup_link(&self) -> Option<String> {
        self.site.admin.setup.path().map(|path| self.url() + &path)
    }

    /// What handlers work with.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Waits until every call that has ended is in the database, where pages and queries see it.
    pub async fn flush_usage(&self) {
        self.recorder.flush().await;
    }

    /// Waits until the server no longer accepts connections. Without a [`shutdown`](Self::shutdown) that is a fault.
    /// Can be dropped and called again.
    pub async fn stopped(&mut self) {
        if !self.serving.is_finished() {
            let _ = (&mut self.serving).await;
        }
    }

    /// Stops: no new calls, running answers get their time, background tasks finish, the database is closed. Takes at
    /// most the drain time and a few seconds.
    pub async fn shutdown(self) {
        self.site.drain.started.cancel();
        if !self.serving.is_finished() {
            let _ = self.serving.await;
        }
        self.recorder.shutdown().await;
        self.tasks.finish().await;
        self.site.db.close().await;
    }
}

/// The loopback address of the same family, for addresses such as `0.0.0.0` that mean all of them.
pub(crate) fn loopback_of(address: SocketAddr) -> std::net::IpAddr {
    match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A server that starts again must not wait for the connections of the one before it.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// Why the pool file was not applied.
enum PoolFileFailure {
    File(String),
    Storage(StorageError),
}

/// Makes the pool as `POOL_FILE` says, if it is set. What the file does not declare stays.
async fn apply_pool_file(config: &Config, db: &Db, providers: &ProviderStore) -> Result<(), PoolFileFailure> {
    let Some(path) = &config.pool_file else { return Ok(()) };
    let t = Messages::of(config.lang);
    let document = Document::of_path(path, t).map_err(PoolFileFailure::File)?;
    let told = |faults| {
        let lines = document.complaints(faults).into_iter().map(|complaint| complaint.to_string());
        PoolFileFailure::File(lines.collect::<Vec<_>>().join("\n"))
    };
    let source = document.source(&config::environment, t).map_err(told)?;
    let options = pool::apply::Options::default();
    match pool::apply::apply(db, &source.file, options, &providers.load(), t, |_| {}).await {
        Ok(outcome) => {
            tracing::info!(file = %path.display(), steps = outcome.plan.steps.len(), "applied the pool file");
            for (name, _) in &outcome.generated {
                tracing::info!(
                    token = name,
                    "the pool file's token got a random value; its page in the admin shows it"
                );
            }
            Ok(())
        }
        Err(ApplyError::Faults(faults)) => Err(told(source.located(faults))),
        Err(ApplyError::Busy) => Err(PoolFileFailure::File(t.pool_file.busy().to_owned())),
        Err(ApplyError::Storage(error)) => Err(PoolFileFailure::Storage(error)),
    }
}

/// Creates the first account from the settings, or opens the set-up if there is nothing to create it from.
async fn first_account(db: &Db, password: Option<Secret>) -> Result<SetupCode, StorageError> {
    if db.has_account().await? {
        return Ok(SetupCode::default());
    }
    let Some(password) = password else { return Ok(SetupCode::new()) };
    let hash = tokio::task::spawn_blocking(move || password::hash(password.expose()))
        .await
        .map_err(|error| StorageError::Unreadable(format!("the password could not be hashed: {error}")))?;
    db.create_account(FIRST_ACCOUNT, &hash, false).await?;
    tracing::info!(account = FIRST_ACCOUNT, "created the first account with ADMIN_PASSWORD");
    Ok(SetupCode::default())
}
