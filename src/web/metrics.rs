//! `/metrics` for Prometheus, if `METRICS_TOKEN` is set; there is no such page otherwise.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    Site,
    api::auth::{FailedTries, bearer},
    client::ClientAddress,
};
use crate::{
    inspect::{Size, of_channels},
    metrics::{self, KeyStates, Left, Process, Standing, Tally},
    model::{catalog::Catalog, id::ChannelId, secret::SecretHash, usage::OutcomeClass},
    pool::upkeep::key_rest,
    scheduler::rest::{RestBook, Scope},
    storage::StorageResult,
};

/// How long what was looked up is told again. Counts of calls are always those of the moment.
const FRESH: Duration = Duration::from_secs(2);

/// The type of the text format.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How things stood at a time.
type Dated = (Instant, Arc<Standing>);

/// What the page is made from. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    tally: Tally,
    standing: Arc<Mutex<Option<Dated>>>,
    /// Who has guessed the secret lately. Not the admin API's: a scraper with an outdated secret must not lock that.
    failed_tries: Arc<FailedTries>,
}

impl Metrics {
    /// A page about what is counted there.
    pub fn new(tally: Tally) -> Self {
        Self { tally, standing: Arc::default(), failed_tries: Arc::default() }
    }
}

/// `GET /metrics`.
pub fn router(site: Site) -> Router {
    Router::new().route("/metrics", get(show)).with_state(site)
}

async fn show(State(site): State<Site>, parts: Parts) -> Response {
    let Some(secret) = &site.config.metrics_token else {
        return (StatusCode::NOT_FOUND, "METRICS_TOKEN is not set, so there are no metrics here\n")
            .into_response();
    };
    let ip =
        parts.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip);
    let now = site.clock.now();
    if let Some(seconds) = site.metrics.failed_tries.wait(ip, now) {
        let headers = [(header::RETRY_AFTER, seconds.to_string())];
        return (StatusCode::TOO_MANY_REQUESTS, headers, "too many failed tries\n").into_response();
    }
    // Hashes are compared, so the time that it takes tells nothing of the secret.
    if bearer(&parts.headers).map(SecretHash::of) != Some(SecretHash::of(secret.expose())) {
        if bearer(&parts.headers).is_some() {
            tracing::warn!(address = %ip, "a secret for metrics was refused");
            site.metrics.failed_tries.count(ip, now);
        }
        let headers = [(header::WWW_AUTHENTICATE, "Bearer")];
        let text = "send METRICS_TOKEN as `Authorization: Bearer ...`\n";
        return (StatusCode::UNAUTHORIZED, headers, text).into_response();
    }
    match standing(&site).await {
        Ok(standing) => {
            let headers = [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")];
            (headers, metrics::page(&site.metrics.tally, &standing, || names(&site))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "no metrics");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer; see the log\n").into_response()
        }
    }
}

fn names(site: &Site) -> BTreeMap<ChannelId, String> {
    let catalog = site.catalog.load();
    catalog.channels().map(|entry| (entry.channel.id, entry.channel.name.clone())).collect()
}

/// How things stand; looked up once for all who ask within two seconds.
async fn standing(site: &Site) -> StorageResult<Arc<Standing>> {
    let mut known = site.metrics.standing.lock().await;
    if let Some((at, standing)) = &*known
        && at.elapsed() < FRESH
    {
        return Ok(standing.clone());
    }
    let (mut ok, mut failing) = (0, 0);
    for target in site.db.notice_targets().await?.iter().filter(|target| target.set.enabled) {
        let arrived = target.last.as_ref().is_none_or(|last| last.ok);
        *(if arrived { &mut ok } else { &mut failing }) += 1;
    }
    let alarm = site.admin.recording.as_ref().and_then(|alarm| alarm());
    let site_of = site.clone();
    let looked = tokio::task::spawn_blocking(move || look(&site_of)).await.unwrap_or_default();
    let standing = Arc::new(Standing {
        waiting_rows: site.relay.unwritten_rows(),
        broken: alarm.map(|alarm| alarm.what),
        catalog_version: site.catalog.version(),
        notice_targets: (ok, failing),
        ..looked
    });
    *known = Some((Instant::now(), standing.clone()));
    Ok(standing)
}

/// What takes a while with a large pool, or looks at files.
fn look(site: &Site) -> Standing {
    let catalog = site.catalog.load();
    let folder = &site.config.data_dir;
    // By itself, so that the lock is let go of before the next look.
    let in_flight = site.dispatch.lock().under_way().len();
    Standing {
        in_flight,
        waiting: site.dispatch.waiting(),
        keys: keys(&catalog, site),
        captures: catalog.captures().iter().filter(|capture| capture.runs(site.clock.now())).count() as u64,
        left: of_channels(&catalog, &site.dispatch, Size::USUAL.cost())
            .into_iter()
            .filter(|(_, outlook)| outlook.unknown < outlook.keys)
            .map(|(id, outlook)| {
                (id, Left { minute: outlook.calls.next_minute, day: outlook.calls.next_day })
            })
            .collect(),
        database_bytes: size(&folder.join("onepool.db")) + size(&folder.join("onepool.db-wal")),
        journal_bytes: fs::read_dir(folder.join("journal")).map_or(0, |files| {
            files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
        }),
        process: Process::read(),
        ..Standing::default()
    }
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |file| file.len())
}

fn keys(catalog: &Catalog, site: &Site) -> BTreeMap<ChannelId, KeyStates> {
    let now = site.dispatch.now().steady;
    let mut all = BTreeMap::new();
    for entry in catalog.channels() {
        let mut states = KeyStates::default();
        // The lock is held for one channel at a time.
        let pool = site.dispatch.lock();
        let book: &RestBook = pool.rests();
        let whole = book.active(&Scope::Channel(entry.channel.id), now);
        for key in &entry.keys {
            let rest = key_rest(entry, key, book, now).or(whole);
            let state = match rest {
                _ if !entry.channel.enabled || !key.enabled => &mut states.off,
                Some(rest) if rest.class == OutcomeClass::KeyInvalid => &mut states.invalid,
                Some(rest) if rest.is_pause() => &mut states.paused,
                Some(_) => &mut states.resting,
                None => &mut states.available,
            };
            *state += 1;
        }
        all.insert(entry.channel.id, states);
    }
    all
}
