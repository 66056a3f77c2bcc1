//! Connections to upstreams without a proxy: hyper's pool, over a connector that checks addresses and keeps a time limit.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::{
        self,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::net::TcpStream;
use tower::Service;

use super::{POOL_IDLE, POOL_IDLE_CONNECTIONS, RequestBody, TCP_KEEPALIVE};
use crate::upstream::address;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The upstream's name has only addresses that the channel may not connect to.
#[derive(Debug, thiserror::Error)]
#[error("private address")]
pub(super) struct PrivateOnly;

/// The connection, TLS included, did not stand in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection in time")]
pub(super) struct TooSlow;

/// A client with its own pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    hyper: legacy::Client<Connector, RequestBody>,
}

/// The most that is read at once, and the most that an answer's headers may take. Fast upstreams fill whatever there is, several times
/// over; a large download is to take little memory.
const READ_BYTES: usize = 64 << 10;

impl Client {
    /// A client whose connections stand within `connect`. It speaks HTTP/2 where TLS agrees on it, else HTTP/1.1. `None` if
    /// this machine has no certificate authorities; with `tls` unset it needs none, and only `http` addresses work.
    pub fn new(connect: Duration, allow_private: bool, tls: bool) -> Option<Self> {
        let mut tcp = HttpConnector::new_with_resolver(Resolver { allow_private });
        tcp.enforce_http(false);
        // A request's head and body may be two writes, and the second must not wait for an answer to the first.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(connect));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls_config(tls)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let hyper = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .http1_max_buf_size(READ_BYTES)
            .pool_max_idle_per_host(POOL_IDLE_CONNECTIONS)
            .build(Connector { https, limit: connect });
        Some(Self { hyper })
    }

    /// Sends a request; resolves when the answer's headers are there. Dropping the future cancels it.
    pub async fn send(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, legacy::Error> {
        self.hyper.request(request).await
    }
}

fn tls_config(wanted: bool) -> Option<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .ok()?;
    Some(if wanted {
        // The system's authorities, as everything else on this machine uses them.
        let verifier = rustls_platform_verifier::Verifier::new(provider).ok()?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    })
}

/// Connects, with a limit that covers the name, TCP and TLS together.
#[derive(Clone)]
struct Connector {
    https: HttpsConnector<HttpConnector<Resolver>>,
    limit: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.limit, self.https.call(uri));
        Box::pin(async move { connecting.await.map_err(|_| TooSlow)? })
    }
}

/// Resolves names, and leaves out addresses that the channel may not connect to. What it returns is what is connected to,
/// so a name that changes its address between check and use gains nothing.
#[derive(Clone)]
pub(super) struct Resolver {
    pub allow_private: bool,
}

impl Resolver {
    /// The addresses of a name, with port 0.
    pub async fn lookup(self, name: String) -> Result<std::vec::IntoIter<SocketAddr>, BoxError> {
        let all: Vec<SocketAddr> = tokio::net::lookup_host((name, 0)).await?.collect();
        let found = !all.is_empty();
        let allowed: Vec<SocketAddr> =
            all.into_iter().filter(|addr| self.allow_private || address::is_public(addr.ip())).collect();
        if found && allowed.is_empty() {
            return Err(PrivateOnly.into());
        }
        Ok(allowed.into_iter())
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().lookup(name.as_str().to_owned()))
    }
}
