//! Sends one request to an upstream.
//!
//! No redirect is followed, no compression is asked for, no cookie is kept, no client's header is passed on, and an
//! upstream on a private address is refused unless its channel allows it. Errors are told in our own words: the
//! library's name the URL.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{address, inflate::Inflate};
use crate::model::{
    channel::{Channel, EffectiveTimeouts},
    secret::Secret,
};

/// How long an unused connection to an upstream is kept. Below the 75 s after which nginx, in front of many upstreams,
/// closes one, so that a request seldom meets a connection that is just going away.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// What to send, and with which credential.
pub struct UpstreamCall<'a> {
    /// Where to.
    pub channel: &'a Channel,
    /// The key.
    pub key: &'a Secret,
    /// Limits; only `connect` is kept here, the others are the caller's to keep.
    pub timeouts: EffectiveTimeouts,
    /// `GET` or `POST`.
    pub method: Method,
    /// The path below `/v1/`, such as `chat/completions`.
    pub path: &'a str,
    /// The body, JSON.
    pub body: Option<Bytes>,
    /// Whether an event stream is asked for.
    pub stream: bool,
}

/// Why an upstream gave no answer, or broke off. The text is for the operator's log; it holds no URL and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel cannot be called as it is configured.
    #[error("{0}")]
    Misconfigured(&'static str),
    /// The upstream is on a private address, and the channel does not allow that.
    #[error("the upstream is on a private or loopback address; allow that on the channel if it is meant")]
    PrivateAddress,
    /// No connection.
    #[error("no connection: {0}")]
    Connect(&'static str),
    /// The connection did not stand in time.
    #[error("no connection within the limit")]
    ConnectTimeout,
    /// The connection broke before or within the answer.
    #[error("the connection broke: {0}")]
    Broken(&'static str),
    /// What came is not HTTP, or not as it says.
    #[error("not a valid answer: {0}")]
    Garbled(&'static str),
    /// More came than we take.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Clients for every combination of proxy, connection limit and address rule. Cheap to clone.
#[derive(Clone, Default)]
pub struct Clients {
    built: Arc<Mutex<HashMap<ClientKey, reqwest::Client>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    allow_private: bool,
    proxy: Option<String>,
    connect: Duration,
}

/// Combinations are few; past this many (an operator edits a proxy over and over) all are built anew.
const MAX_CLIENTS: usize = 256;

impl Clients {
    /// No client yet; each is built when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a request and returns when the answer's headers are there.
    ///
    /// Dropping the future cancels the request. There is no limit on the time until the headers: the caller's own.
    pub async fn send(&self, call: UpstreamCall<'_>) -> Result<UpstreamResponse, SendError> {
        let url = url::Url::parse(&call.channel.endpoint_url(call.path))
            .map_err(|_| SendError::Misconfigured("the channel's base URL is not an address"))?;
        if !call.channel.allow_private && address::names_private_host(&url) {
            return Err(SendError::PrivateAddress);
        }
        let client = self.client(call.channel, call.timeouts.connect)?;
        let mut request = client.request(call.method.clone(), url).headers(headers(&call)?);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| describe(&error))?;
        let encoding = response.headers().get(header::CONTENT_ENCODING).cloned();
        let inflate = match encoding.as_ref().map(|value| value.to_str().unwrap_or("?").trim()) {
            None | Some("" | "identity") => None,
            Some("gzip" | "x-gzip") => Some(Inflate::gzip()),
            Some("deflate") => Some(Inflate::deflate()),
            Some(_) => return Err(SendError::Garbled("compressed in a way that was not asked for")),
        };
        Ok(UpstreamResponse { response, inflate })
    }

    fn client(&self, channel: &Channel, connect: Duration) -> Result<reqwest::Client, SendError> {
        let key = ClientKey {
            allow_private: channel.allow_private,
            proxy: channel.proxy.as_ref().map(|proxy| remote_names(proxy.expose())),
            connect,
        };
        let mut built = self.built.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = built.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key)?;
        if built.len() >= MAX_CLIENTS {
            built.clear();
        }
        built.insert(key, client.clone());
        Ok(client)
    }
}

/// `socks5` resolves names here, where the rule on private addresses could not tell the proxy's name from the
/// upstream's; `socks5h` leaves that to the proxy, as HTTP proxies do.
fn remote_names(proxy: &str) -> String {
    proxy.strip_prefix("socks5://").map_or_else(|| proxy.to_owned(), |rest| format!("socks5h://{rest}"))
}

fn build(key: &ClientKey) -> Result<reqwest::Client, SendError> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(key.connect)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .no_proxy();
    match &key.proxy {
        // The proxy is the operator's own choice, so it may be on a private address; the upstream's name is the
        // proxy's to resolve.
        Some(proxy) => {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|_| SendError::Misconfigured("the channel's proxy is not an address"))?;
            builder = builder.proxy(proxy);
        }
        None => builder = builder.dns_resolver(Arc::new(Resolver { allow_private: key.allow_private })),
    }
    builder
        .build()
        .map_err(|_| SendError::Misconfigured("no TLS: this machine has no certificate authorities"))
}

/// Resolves names, and leaves out addresses that the channel may not connect to. What it returns is what is connected to,
/// so a name that changes its address between check and use gains nothing.
struct Resolver {
    allow_private: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("private address")]
struct PrivateOnly;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let all: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let found = !all.is_empty();
            let allowed: Vec<SocketAddr> =
                all.into_iter().filter(|addr| allow_private || address::is_public(addr.ip())).collect();
            if found && allowed.is_empty() {
                return Err(PrivateOnly.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn headers(call: &UpstreamCall<'_>) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    let accept = if call.stream { "text/event-stream" } else { "application/json" };
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("onepool/", env!("CARGO_PKG_VERSION"))));
    if call.body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let unusable = |_| SendError::Misconfigured("the key has characters that a header cannot carry");
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", call.key.expose())).map_err(unusable)?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    for (name, value) in &call.channel.headers {
        let (Ok(name), Ok(mut value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value.expose()))
        else {
            return Err(SendError::Misconfigured("an extra header of the channel is not valid"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Says what went wrong without the library's text, which names the URL.
fn describe(error: &reqwest::Error) -> SendError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut io_kind = None;
    let mut texts = String::new();
    while let Some(inner) = cause {
        if inner.is::<PrivateOnly>() {
            return SendError::PrivateAddress;
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            io_kind = Some(io.kind());
        }
        texts.push_str(&inner.to_string().to_lowercase());
        texts.push('\n');
        cause = inner.source();
    }
    use std::io::ErrorKind;
    if error.is_connect() {
        return match io_kind {
            _ if error.is_timeout() => SendError::ConnectTimeout,
            Some(ErrorKind::ConnectionRefused) => SendError::Connect("refused"),
            Some(ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted) => SendError::Connect("reset"),
            Some(ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable) => {
                SendError::Connect("the network does not reach the host")
            }
            _ if texts.contains("certificate") => SendError::Connect("the TLS certificate is not valid"),
            _ if texts.contains("tls") || texts.contains("ssl") || texts.contains("corrupt message") => {
                SendError::Connect("the TLS handshake failed")
            }
            _ if texts.contains("dns") || texts.contains("lookup") || texts.contains("resolve") => {
                SendError::Connect("the host name does not resolve")
            }
            _ if texts.contains("proxy") || texts.contains("socks") => {
                SendError::Connect("the proxy did not connect")
            }
            _ => SendError::Connect("the connection failed"),
        };
    }
    match io_kind {
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted) => {
            SendError::Broken("reset")
        }
        Some(ErrorKind::UnexpectedEof) => SendError::Broken("closed in the middle"),
        _ if texts.contains("before message completed") || texts.contains("closed") => {
            SendError::Broken("closed before the end")
        }
        _ if texts.contains("too large") || texts.contains("too many headers") => {
            SendError::Garbled("its headers are too large")
        }
        _ if error.is_body() || error.is_decode() => SendError::Broken("the body broke off"),
        _ => SendError::Garbled("not HTTP"),
    }
}

/// An answer whose headers are there.
pub struct UpstreamResponse {
    response: reqwest::Response,
    inflate: Option<Inflate>,
}

impl UpstreamResponse {
    /// The status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Forgets the headers. They are slices of the buffer that they were read into, which would otherwise stay for as long as
    /// the answer lasts: 8 KB of each stream.
    pub fn forget_headers(&mut self) {
        *self.response.headers_mut() = HeaderMap::new();
    }

    /// The next piece of the body, decompressed; `None` at its end. Cancel safe: dropping the future loses nothing.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        loop {
            if let Some(inflate) = &mut self.inflate
                && let Some(piece) =
                    inflate.next_piece().map_err(|_| SendError::Garbled("corrupt compression"))?
            {
                return Ok(Some(piece));
            }
            let chunk = self.response.chunk().await.map_err(|error| describe(&error))?;
            match (&mut self.inflate, chunk) {
                (None, Some(chunk)) if chunk.is_empty() => {}
                (None, chunk) => return Ok(chunk),
                (Some(inflate), Some(chunk)) => inflate.push(chunk),
                (Some(inflate), None) => {
                    return inflate
                        .finish()
                        .map_err(|_| SendError::Garbled("corrupt compression"))
                        .map(|()| None);
                }
            }
        }
    }

    /// The rest of the body, if it is not larger than `limit` bytes.
    pub async fn read_all(&mut self, limit: usize) -> Result<Bytes, SendError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(SendError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// The beginning of the body, at most `limit` bytes, however it goes on or breaks off: enough to read an error.
    pub async fn read_prefix(&mut self, limit: usize) -> Bytes {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.next_chunk().await {
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == limit {
                break;
            }
        }
        body.into()
    }
}
