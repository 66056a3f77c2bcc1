//! Sends one request to an upstream.
//!
//! No redirect is followed, no compression is asked for, no cookie is kept, no client's header is passed on, and an
//! upstream on a private address is refused unless its channel allows it. Errors are told in our own words: the
//! library's name the URL.

mod direct;
mod proxied;

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{address, inflate::Inflate};
use crate::model::{
    channel::{Channel, EffectiveTimeouts},
    id::ChannelId,
    secret::Secret,
};

/// How long an unused connection to an upstream is kept. Below the 75 s after which nginx, in front of many upstreams,
/// closes one, so that a request seldom meets a connection that is just going away.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// The most unused connections that are kept to one host.
const POOL_IDLE_CONNECTIONS: usize = 1024;
/// When a silent connection is probed: a firewall may have forgotten it.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// What to send, and with which credential.
pub struct UpstreamCall<'a> {
    /// Where to.
    pub channel: &'a Channel,
    /// The key; an empty one is not sent.
    pub key: &'a Secret,
    /// Limits; only `connect` is kept here, the others are the caller's to keep.
    pub timeouts: EffectiveTimeouts,
    /// `GET`, `POST` or `DELETE`.
    pub method: Method,
    /// The path below `/v1/`, such as `chat/completions`, or a whole address.
    pub path: &'a str,
    /// The header that carries the bare key, if it is not `Authorization: Bearer`.
    pub key_header: Option<&'a str>,
    /// The body, JSON.
    pub body: Option<Bytes>,
    /// Whether an event stream is asked for.
    pub stream: bool,
}

/// A form with files, as a request's body.
pub struct FormBody {
    /// Its type, with the boundary.
    pub content_type: String,
    /// Its length in bytes.
    pub length: u64,
    /// Its bytes.
    pub pieces: BoxStream<'static, io::Result<Bytes>>,
}

/// What a request has beside what those of chat have.
#[derive(Default)]
pub struct Extra {
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the bare key goes in `x-api-key`.
    pub bare_key: bool,
    /// Whether the key does not go in `Authorization: Bearer`.
    pub no_bearer: bool,
    /// Whether the answer may be of any type, not only JSON or events.
    pub accepts_any: bool,
    /// Whether the path is that of one thing, so that the way there is not worth remembering.
    pub one_off: bool,
    /// The body, in place of the call's.
    pub form: Option<FormBody>,
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
    known: Arc<Mutex<Known>>,
    long_bodies: LongBodies,
}

/// Which long body is in memory: one at a time.
#[derive(Clone)]
struct LongBodies(Arc<Semaphore>);

impl Default for LongBodies {
    fn default() -> Self {
        const MOST: usize = 1;
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

#[derive(Default)]
struct Known {
    built: HashMap<ClientKey, Client>,
    /// What a channel's calls have in common, so that it is not worked out for each: an entry per endpoint.
    routes: HashMap<ChannelId, Vec<Arc<Route>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    allow_private: bool,
    proxy: Option<String>,
    connect: Duration,
    /// Whether it can speak TLS; for `http` addresses a machine needs no certificate authorities.
    tls: bool,
}

#[derive(Clone)]
enum Client {
    Direct(Box<direct::Client>),
    Proxied(reqwest::Client),
}

/// The way to one endpoint of a channel.
struct Route {
    path: String,
    connect: Duration,
    // What of the channel it was made of: a channel that was edited gets another route.
    base_url: String,
    allow_private: bool,
    proxy: Option<Secret>,
    extra: Vec<(String, Secret)>,

    client: Client,
    uri: Uri,
    /// Every header but the key's and those that depend on the call.
    headers: HeaderMap,
}

/// Combinations are few; past this many (an operator edits a proxy over and over) all are built anew.
const MAX_CLIENTS: usize = 256;
/// The same for routes: as many channels as anybody has, and the memory of some.
const MAX_ROUTES: usize = 4096;

impl Clients {
    /// No client yet; each is built when it is first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a request and returns when the answer's headers are there.
    ///
    /// Dropping the future cancels the request. There is no limit on the time until the headers: the caller's own.
    pub async fn send(&self, call: UpstreamCall<'_>) -> Result<UpstreamResponse, SendError> {
        let route = self.route(&call)?;
        let headers = route.headers(&call)?;
        let body = RequestBody::Whole(Full::new(call.body.unwrap_or_default()));
        self.send_on(&route, headers, call.method, body).await
    }

    /// The same for a request that has more than those of chat.
    pub async fn send_with(
        &self,
        call: UpstreamCall<'_>,
        extra: Extra,
    ) -> Result<UpstreamResponse, SendError> {
        let route = if extra.one_off { self.fresh_route(&call)? } else { self.route(&call)? };
        let mut headers = route.headers(&call)?;
        if extra.no_bearer && !route.headers.contains_key(header::AUTHORIZATION) {
            headers.remove(header::AUTHORIZATION);
        }
        if extra.accepts_any && !call.stream && !route.headers.contains_key(header::ACCEPT) {
            headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        }
        // What the operator has set for the channel counts more than what is usual or what a client sends.
        if extra.bare_key {
            let mut value = HeaderValue::from_str(call.key.expose()).map_err(unsendable)?;
            value.set_sensitive(true);
            headers.entry("x-api-key").or_insert(value);
        }
        for (name, value) in extra.headers {
            headers.entry(name).or_insert(value);
        }
        let body = match extra.form {
            None => RequestBody::Whole(Full::new(call.body.unwrap_or_default())),
            Some(form) => {
                let content_type = HeaderValue::from_str(&form.content_type)
                    .map_err(|_| SendError::Misconfigured("the form has no valid type"))?;
                headers.insert(header::CONTENT_TYPE, content_type);
                headers.insert(header::CONTENT_LENGTH, form.length.into());
                RequestBody::Form { left: form.length, pieces: form.pieces }
            }
        };
        self.send_on(&route, headers, call.method, body).await
    }

    async fn send_on(
        &self,
        route: &Route,
        headers: HeaderMap,
        method: Method,
        body: RequestBody,
    ) -> Result<UpstreamResponse, SendError> {
        let (status, headers, body) = match &route.client {
            Client::Direct(client) => {
                let mut request = Request::new(body);
                *request.method_mut() = method;
                *request.uri_mut() = route.uri.clone();
                *request.headers_mut() = headers;
                let response = client.send(request).await.map_err(|error| {
                    let phase = if error.is_connect() { Phase::Connecting } else { Phase::Head };
                    describe(&error, phase)
                })?;
                let (head, body) = response.into_parts();
                (head.status, head.headers, Body::Direct(body))
            }
            Client::Proxied(client) => {
                let request = client.request(method, route.uri.to_string()).headers(headers);
                let request = match body {
                    RequestBody::Whole(body) if body.is_end_stream() => request,
                    // It is in memory: nothing is waited for.
                    RequestBody::Whole(body) => {
                        let Ok(body) = body.collect().await;
                        request.body(body.to_bytes())
                    }
                    RequestBody::Form { pieces, .. } => request.body(reqwest::Body::wrap_stream(pieces)),
                };
                let mut response = request.send().await.map_err(|error| proxied::describe(&error))?;
                let headers = std::mem::take(response.headers_mut());
                (response.status(), headers, Body::Proxied(response))
            }
        };
        let inflate =
            match headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim()) {
                None | Some("" | "identity") => None,
                Some("gzip" | "x-gzip") => Some(Inflate::gzip()),
                Some("deflate") => Some(Inflate::deflate()),
                Some(_) => return Err(SendError::Garbled("compressed in a way that was not asked for")),
            };
        Ok(UpstreamResponse { status: status.as_u16(), headers, body, inflate })
    }

    /// Posts a body to an address that is no upstream's, without a proxy, and returns when the answer's headers are there; as
    /// [`send`](Self::send) otherwise.
    pub async fn post(
        &self,
        address: &str,
        allow_private: bool,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<UpstreamResponse, SendError> {
        self.plain(Method::POST, address, allow_private, headers, body).await
    }

    /// The same with any method.
    pub async fn plain(
        &self,
        method: Method,
        address: &str,
        allow_private: bool,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<UpstreamResponse, SendError> {
        const CONNECT: Duration = Duration::from_secs(10);
        let url = url::Url::parse(address).map_err(|_| SendError::Misconfigured("this is not an address"))?;
        if !allow_private && address::names_private_host(&url) {
            return Err(SendError::PrivateAddress);
        }
        let uri: Uri =
            url.as_str().parse().map_err(|_| SendError::Misconfigured("this is not an address"))?;
        let key = ClientKey { allow_private, proxy: None, connect: CONNECT, tls: url.scheme() == "https" };
        let client = {
            let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            known.client_of(key)?
        };
        let Client::Direct(client) = client else { return Err(NO_AUTHORITIES) };
        let mut request = Request::new(RequestBody::Whole(Full::new(body)));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = client.send(request).await.map_err(|error| {
            let phase = if error.is_connect() { Phase::Connecting } else { Phase::Head };
            describe(&error, phase)
        })?;
        let (head, body) = response.into_parts();
        let (status, body) = (head.status.as_u16(), Body::Direct(body));
        Ok(UpstreamResponse { status, headers: head.headers, body, inflate: None })
    }

    /// Waits until there is room in memory for a long body, such as a list of thousands of models; the room is given back
    /// when what is returned is dropped. Calls that are relayed never wait here.
    pub async fn room_for_long_body(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.long_bodies.0.clone().acquire_owned().await.ok()
    }

    fn fresh_route(&self, call: &UpstreamCall<'_>) -> Result<Arc<Route>, SendError> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.build(call).map(Arc::new)
    }

    fn route(&self, call: &UpstreamCall<'_>) -> Result<Arc<Route>, SendError> {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if call.path.contains("://") {
            // Asked for seldom; a list of many pages has many.
            return known.build(call).map(Arc::new);
        }
        let mine = known.routes.get(&call.channel.id).map_or(&[][..], Vec::as_slice);
        if let Some(route) = mine.iter().find(|route| route.serves(call)) {
            return Ok(route.clone());
        }
        let route = Arc::new(known.build(call)?);
        if known.routes.len() >= MAX_ROUTES {
            known.routes.clear();
        }
        let mine = known.routes.entry(call.channel.id).or_default();
        mine.retain(|old| old.path != route.path);
        mine.push(route.clone());
        Ok(route)
    }
}

impl Known {
    fn build(&mut self, call: &UpstreamCall<'_>) -> Result<Route, SendError> {
        let channel = call.channel;
        let not_an_address = |_| SendError::Misconfigured("the channel's base URL is not an address");
        let address =
            if call.path.contains("://") { call.path.to_owned() } else { channel.endpoint_url(call.path) };
        let url = url::Url::parse(&address)
            .map_err(|_| SendError::Misconfigured("the channel's base URL is not an address"))?;
        if !channel.allow_private && address::names_private_host(&url) {
            return Err(SendError::PrivateAddress);
        }
        let connect = call.timeouts.connect;
        Ok(Route {
            path: call.path.to_owned(),
            connect,
            base_url: channel.base_url.clone(),
            allow_private: channel.allow_private,
            proxy: channel.proxy.clone(),
            extra: channel.headers.clone(),
            client: self.client(channel, connect, url.scheme() == "https")?,
            uri: url.as_str().parse::<Uri>().map_err(not_an_address)?,
            headers: common_headers(channel)?,
        })
    }

    fn client(&mut self, channel: &Channel, connect: Duration, tls: bool) -> Result<Client, SendError> {
        let proxy = channel.proxy.as_ref().map(|proxy| proxied::remote_names(proxy.expose()));
        self.client_of(ClientKey { allow_private: channel.allow_private, proxy, connect, tls })
    }

    fn client_of(&mut self, key: ClientKey) -> Result<Client, SendError> {
        if let Some(client) = self.built.get(&key) {
            return Ok(client.clone());
        }
        let client = match &key.proxy {
            None => direct::Client::new(key.connect, key.allow_private, key.tls)
                .map(|client| Client::Direct(Box::new(client)))
                .ok_or(NO_AUTHORITIES)?,
            Some(proxy) => Client::Proxied(proxied::build(proxy, key.connect)?),
        };
        if self.built.len() >= MAX_CLIENTS {
            self.built.clear();
        }
        self.built.insert(key, client.clone());
        Ok(client)
    }
}

const NO_AUTHORITIES: SendError =
    SendError::Misconfigured("no TLS: this machine has no certificate authorities");

impl Route {
    /// Whether it was made for this endpoint and for the channel as it is now.
    fn serves(&self, call: &UpstreamCall<'_>) -> bool {
        let channel = call.channel;
        self.path == call.path
            && self.connect == call.timeouts.connect
            && self.base_url == channel.base_url
            && self.allow_private == channel.allow_private
            && self.proxy == channel.proxy
            && self.extra == channel.headers
    }

    fn headers(&self, call: &UpstreamCall<'_>) -> Result<HeaderMap, SendError> {
        let mut headers = self.headers.clone();
        let mut add = |name: HeaderName, value: HeaderValue| {
            // A header of the channel wins.
            headers.entry(name).or_insert(value);
        };
        let accept = if call.stream { "text/event-stream" } else { "application/json" };
        add(header::ACCEPT, HeaderValue::from_static(accept));
        if call.body.is_some() {
            add(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let key = call.key.expose();
        if key.is_empty() {
            return Ok(headers);
        }
        let (name, value) = match call.key_header {
            Some(name) => {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
                    SendError::Misconfigured("the provider's file names a key header that is not valid")
                })?;
                (name, HeaderValue::from_str(key).map_err(unsendable)?)
            }
            None => {
                (header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).map_err(unsendable)?)
            }
        };
        let mut value = value;
        value.set_sensitive(true);
        add(name, value);
        Ok(headers)
    }
}

fn unsendable(_: http::header::InvalidHeaderValue) -> SendError {
    SendError::Misconfigured("the key has characters that a header cannot carry")
}

fn common_headers(channel: &Channel) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers
        .insert(header::USER_AGENT, HeaderValue::from_static(concat!("onepool/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &channel.headers {
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

/// A request's body.
enum RequestBody {
    /// In memory.
    Whole(Full<Bytes>),
    /// Read as it is sent.
    Form { left: u64, pieces: BoxStream<'static, io::Result<Bytes>> },
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Form { left, pieces } => pieces.as_mut().poll_next(cx).map(|piece| {
                Some(piece?.map(|piece| {
                    *left = left.saturating_sub(piece.len() as u64);
                    http_body::Frame::data(piece)
                }))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Form { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Form { left, .. } => http_body::SizeHint::with_exact(*left),
        }
    }
}

/// How far a request had come when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Head,
    Body,
}

/// Says what went wrong without the library's text, which names the URL.
fn describe(error: &(dyn std::error::Error + 'static), phase: Phase) -> SendError {
    let mut cause = Some(error);
    let mut io_kind = None;
    let mut texts = String::new();
    while let Some(inner) = cause {
        if inner.is::<direct::PrivateOnly>() {
            return SendError::PrivateAddress;
        }
        if inner.is::<direct::TooSlow>() {
            return SendError::ConnectTimeout;
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            io_kind = Some(io.kind());
        }
        texts.push_str(&inner.to_string().to_lowercase());
        texts.push('\n');
        cause = inner.source();
    }
    use std::io::ErrorKind;
    if phase == Phase::Connecting {
        return match io_kind {
            Some(ErrorKind::TimedOut) => SendError::ConnectTimeout,
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
        _ if phase == Phase::Body => SendError::Broken("the body broke off"),
        _ => SendError::Garbled("not HTTP"),
    }
}

/// An answer whose headers are there.
pub struct UpstreamResponse {
    status: u16,
    headers: HeaderMap,
    body: Body,
    inflate: Option<Inflate>,
}

enum Body {
    Direct(Incoming),
    Proxied(reqwest::Response),
}

impl Body {
    /// The next piece; `None` at its end. Cancel safe.
    async fn chunk(&mut self) -> Result<Option<Bytes>, SendError> {
        match self {
            Self::Direct(body) => loop {
                let Some(frame) = body.frame().await else { return Ok(None) };
                let frame = frame.map_err(|error| describe(&error, Phase::Body))?;
                // Trailers say nothing to us.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            },
            Self::Proxied(response) => response.chunk().await.map_err(|error| proxied::describe(&error)),
        }
    }
}

impl UpstreamResponse {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers that are text: names in lower case, and values.
    pub fn header_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// How long the body is as it is given on, if the upstream says so.
    pub fn length(&self) -> Option<u64> {
        let length = self.headers.get(header::CONTENT_LENGTH).filter(|_| self.inflate.is_none())?;
        length.to_str().ok()?.parse().ok()
    }

    /// Forgets the headers. They are slices of the buffer that they were read into, which would otherwise stay for as long as
    /// the answer lasts: 8 KB of each stream.
    pub fn forget_headers(&mut self) {
        self.headers = HeaderMap::new();
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
            let chunk = self.body.chunk().await?;
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
