//! The web: the only room that names `axum` and `askama`.
//!
//! - [`v1`]: the endpoints of clients, OpenAI-shaped.
//! - [`admin`]: the operator's pages; a page is a file: its handlers beside its template structs.
//! - [`api`]: the same for scripts, as JSON.
//! - [`listen`]: the accept loop with its limits and its draining.
//!
//! `web/admin` does not call `relay`; `relay` does not know that HTML exists.

pub mod admin;
pub mod api;
pub mod assets;
#[cfg(test)]
pub(crate) mod browser;
pub mod client;
pub mod exports;
pub mod face;
pub mod form;
pub mod format;
pub mod health;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod public_url;
pub mod ranking;
pub mod setup_gate;
pub mod snippet;
pub mod v1;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    extract::{FromRef, Request},
    middleware::Next,
    response::Response,
};
use futures_util::future::BoxFuture;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;

use crate::{
    capture::Captures,
    config::Config,
    discovery::can_be_asked,
    dispatch::Dispatch,
    model::{
        budget::Owner,
        catalog::{Catalog, ChannelEntry},
        id::{ChannelId, RequestId},
        time::Clock,
    },
    ranking::chain::Purpose,
    relay::{Relay, in_flight::CallsInFlight, quota::Meters, recorder::Recorder},
    selection::{self, Ranking, Rebuilt, Sources},
    storage::{Db, StorageResult, budgets::declared, catalog::CatalogStore},
    upstream::client::Clients,
};

/// How long a budget that begins anew waits for calls on their way into the database: somebody waits for the answer.
const FLUSH: Duration = Duration::from_secs(2);

/// What handlers work with. Cheap to clone; a handler names only the parts that it needs (`State<Db>`).
#[derive(Clone)]
pub struct Site {
    /// The settings that hold from start to end.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// The snapshot of channels, keys, tokens and run-time settings.
    pub catalog: CatalogStore,
    /// What each key may do now, and what rests and why.
    pub dispatch: Dispatch,
    /// The network to vendors.
    pub clients: Clients,
    /// The relay, for the endpoints of clients; pages do not call it.
    pub relay: Arc<Relay>,
    /// What tokens have spent.
    pub meters: Meters,
    /// The calls that have ended and are on their way into the database.
    pub recorder: Recorder,
    /// The calls under way.
    pub in_flight: CallsInFlight,
    /// What Prometheus is told.
    pub metrics: metrics::Metrics,
    /// Calls that are captured.
    pub captures: Captures,
    /// What pages share in memory.
    pub admin: Arc<admin::Shared>,
    /// Whether the server is stopping, and when running answers must end.
    pub drain: listen::Drain,
}

impl Site {
    /// Has the present period of a budget count from zero again; says whether there is such a budget. Calls that have ended belong
    /// to what is forgotten, so they are brought into the database first, if that takes no longer than two seconds.
    pub async fn begin_budget_anew(&self, owner: Owner) -> StorageResult<bool> {
        let catalog = self.catalog.load();
        let quota = match owner {
            Owner::Token(id) => catalog.token(id).and_then(|token| token.quota),
            _ => declared(&catalog).find(|(payer, _)| Owner::from(*payer) == owner).map(|(_, quota)| quota),
        };
        let Some(quota) = quota else { return Ok(false) };
        if !self.recorder.flush_within(FLUSH).await {
            tracing::warn!(
                "a budget begins anew, but calls that ended before are not yet in the database and count"
            );
        }
        let start = quota.reset.period_start(self.clock.now(), &catalog.zone);
        self.db.reset_budget(owner, start).await?;
        self.meters.reset(owner);
        Ok(true)
    }

    /// The order of a managed chain's models as it would be now, with reasons.
    pub async fn ranking(&self, purpose: Purpose) -> StorageResult<Option<Ranking>> {
        let catalog = self.catalog.load();
        selection::ranking(self.selection_sources(&catalog), purpose).await
    }

    /// Builds the managed chains anew; if steps change, clients meet them at once.
    pub async fn rebuild_chains(&self) -> StorageResult<Rebuilt> {
        let _chains = self.catalog.hold_for_chains().await;
        self.catalog.follow().await?;
        let catalog = self.catalog.load();
        let rebuilt = selection::rebuild(self.selection_sources(&catalog)).await?;
        // What operators switched may have changed besides.
        self.catalog.follow().await?;
        Ok(rebuilt)
    }

    fn selection_sources<'a>(&'a self, catalog: &'a Catalog) -> Sources<'a> {
        Sources {
            db: &self.db,
            catalog,
            providers: self.catalog.providers(),
            dispatch: Some(&self.dispatch),
            now: self.clock.now(),
        }
    }

    /// Channels that are on and whose upstream can be asked for its models.
    pub fn askable_channels(&self) -> Vec<ChannelId> {
        let catalog = self.catalog.load();
        let askable = |entry: &&Arc<ChannelEntry>| {
            entry.channel.enabled && can_be_asked(entry, &self.catalog.provider_of(&entry.channel))
        };
        catalog.channels().filter(askable).map(|entry| entry.channel.id).collect()
    }
}

macro_rules! parts {
    ($($field:ident: $type:ty),* $(,)?) => {$(
        impl FromRef<Site> for $type {
            fn from_ref(site: &Site) -> Self {
                site.$field.clone()
            }
        }
    )*};
}

parts! {
    config: Arc<Config>,
    db: Db,
    clock: Clock,
    catalog: CatalogStore,
    dispatch: Dispatch,
    clients: Clients,
    admin: Arc<admin::Shared>,
    drain: listen::Drain,
    captures: Captures,
}

impl FromRef<Site> for Arc<Catalog> {
    fn from_ref(site: &Site) -> Self {
        site.catalog.load()
    }
}

/// What answers every request: the router; but calls that are relayed, which are many, go past its layers.
#[derive(Clone)]
pub struct Front {
    site: Arc<Site>,
    router: Router,
}

impl Front {
    /// The front of a site.
    pub fn new(site: Site) -> Self {
        Self { router: router(site.clone()), site: Arc::new(site) }
    }
}

impl tower::Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        match v1::plain_call(&request) {
            // Until there is an account, the router's gate answers.
            Some(endpoint) if !self.site.admin.setup.is_open() => {
                let site = self.site.clone();
                Box::pin(async move {
                    let id = note_client(&mut request, &site.config);
                    let response = v1::answer_plain_call(&site, endpoint, request).await;
                    Ok(with_id(response, id))
                })
            }
            _ => Box::pin(self.router.clone().oneshot(request)),
        }
    }
}

/// Everything that the server answers.
pub fn router(site: Site) -> Router {
    let pages = admin::router(site.clone()).merge(assets::router()).layer(CompressionLayer::new());
    pages
        .merge(v1::router(site.clone()))
        .merge(api::router(site.clone()))
        .merge(health::router(site.clone()))
        .merge(metrics::router(site.clone()))
        .layer(axum::middleware::from_fn_with_state(site.clone(), setup_gate::guard))
        .layer(axum::middleware::from_fn_with_state(site, identify))
}

/// Gives each request its id and its client's address, and tells the client the id.
async fn identify(
    axum::extract::State(site): axum::extract::State<Site>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = note_client(&mut request, &site.config);
    with_id(next.run(request).await, id)
}

/// Notes in a request who it comes from; gives it its id.
fn note_client(request: &mut Request, config: &Config) -> RequestId {
    // The random part from the thread's generator: the library's own asks the kernel each time.
    let millis = uuid::Timestamp::now(uuid::NoContext).to_unix();
    let millis = millis.0 * 1000 + u64::from(millis.1) / 1_000_000;
    let id = RequestId(uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid());
    let client = client::ClientAddress::of(request, config);
    request.extensions_mut().insert(id);
    request.extensions_mut().insert(client);
    id
}

/// Tells the client the id of its request.
fn with_id(mut response: Response, id: RequestId) -> Response {
    if let Ok(value) = id.to_string().parse() {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
