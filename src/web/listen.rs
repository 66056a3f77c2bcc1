//! The accept loop: limits for clients that are slow, many or silent, and an end that lets running answers finish.
//!
//! `axum::serve` has none of these limits, so the loop drives hyper itself:
//!
//! - A connection above the cap waits in the system's queue; nobody is turned away by a short peak.
//! - Headers must be complete in time and small; an unused connection is closed after the same time.
//! - A request's body, and a client's reading of its answer, must not pause too long.
//! - [`Drain`] tells the whole server that it stops.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt as _};

use super::client::Peer;
use crate::config::Config;

/// The largest request head, to the next buffer. nginx's default is the same (four buffers of 8 KB).
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// The most header fields of a request.
const MAX_HEADERS: usize = 100;
/// A body that brings less than this within the body timeout counts as paused: one byte now and then would otherwise
/// hold a connection for ever.
const LEAST_PROGRESS_BYTES: usize = 1024;
/// What running answers get after the drain's deadline, to send their last event.
const GRACE: Duration = Duration::from_secs(2);

/// How the server's end is announced. Cheap to clone; all clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    /// Cancelled when the server begins to stop: from now on no new calls; what runs may go on.
    pub started: CancellationToken,
    /// Cancelled when running answers have had their time: streams end now, with an error event. Connections that are
    /// still open two seconds later are cut.
    pub deadline: CancellationToken,
}

/// The limits of client connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at a time.
    pub connections: usize,
    /// How long a request's head may take, and an unused connection lasts.
    pub header_timeout: Duration,
    /// The longest pause in a body, in either direction.
    pub body_timeout: Duration,
    /// How long running answers may go on after the drain began.
    pub drain: Duration,
}

impl Limits {
    /// The limits that the settings ask for.
    pub fn of(config: &Config) -> Self {
        Self {
            connections: config.max_connections,
            header_timeout: config.header_timeout,
            body_timeout: config.body_timeout,
            drain: config.drain,
        }
    }
}

/// Serves connections until [`Drain::started`]; then closes the listener, waits for running requests (idle connections
/// are closed at once), announces [`Drain::deadline`], and at last cuts what remains. Returns when no connection is left.
///
/// Dropping the future leaves connections running that it has accepted; cancel `drain` instead.
pub async fn serve<S>(listener: TcpListener, service: S, limits: Limits, drain: Drain)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.started.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, peer, slot) = accepted;
        let connection = serve_connection(stream, peer, service.clone(), limits, drain.clone());
        let cut = cut.clone();
        connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = cut.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    tracing::info!(connections = connections.len(), "stopping: no new calls, running answers may finish");
    if timeout(limits.drain, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain time is over: ending running answers");
        drain.deadline.cancel();
        if timeout(GRACE, connections.wait()).await.is_err() {
            cut.cancel();
            connections.wait().await;
        }
    }
    drain.deadline.cancel();
}

/// Waits for a free slot, then for a connection. Errors of the system (too many open files) are waited out.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    const FIRST_PAUSE: Duration = Duration::from_millis(20);
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    let slot = slots.clone().acquire_owned().await.expect("nobody closes the semaphore");
    let mut pause = FIRST_PAUSE;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, slot),
            // The client gave up while it was queued; the next one has nothing to do with that.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                tracing::error!(
                    %error,
                    "cannot accept connections; raise the limit of open files if there are too many"
                );
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn serve_connection<S>(stream: TcpStream, peer: SocketAddr, service: S, limits: Limits, drain: Drain)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    // Events of a stream are small and must not wait for the next one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let per_request = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(|body| Body::new(PacedBody::new(body, limits.body_timeout)));
        request.extensions_mut().insert(Peer(peer));
        service.clone().oneshot(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(PacedStream::new(stream, limits.body_timeout)), per_request);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.started.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that leaves or dawdles is everyday business.
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// A request's body that fails when it pauses too long while somebody reads it.
struct PacedBody<B> {
    body: B,
    pause: Duration,
    /// Runs while somebody waits for data.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Bytes since the sleep was set anew.
    progress: usize,
}

/// Why a `PacedBody` failed.
#[derive(Debug, thiserror::Error)]
#[error("the request's body paused for too long")]
pub struct BodyPaused;

impl<B> PacedBody<B> {
    fn new(body: B, pause: Duration) -> Self {
        Self { body, pause, sleep: None, progress: 0 }
    }
}

impl<B> HttpBody for PacedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.progress +=
                frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            if this.progress >= LEAST_PROGRESS_BYTES {
                this.progress = 0;
                this.sleep = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep(this.pause)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyPaused.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that fails when a write makes no progress for too long: the client does not read its answer.
struct PacedStream<S> {
    stream: S,
    pause: Duration,
    /// Kept between writes, so that a fast stream does not set up a timer for every event.
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<S> PacedStream<S> {
    fn new(stream: S, pause: Duration) -> Self {
        Self { stream, pause, sleep: Box::pin(sleep(pause)), waiting: false }
    }

    /// Turns a write that is pending for too long into an error.
    fn paced<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            self.sleep.as_mut().reset(Instant::now() + self.pause);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        self.paced(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        self.paced(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.paced(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.paced(cx, closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        Router,
        routing::{get, post},
    };
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const SHORT: Duration = Duration::from_millis(300);
    /// Within this, what should happen has happened, on a busy machine too.
    const SOON: Duration = Duration::from_secs(10);

    struct Server {
        address: SocketAddr,
        drain: Drain,
        ended: tokio::task::JoinHandle<()>,
    }

    async fn server(limits: Limits) -> Server {
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/echo", post(async |body: Bytes| body))
            .route("/large", get(async || vec![b'x'; 64 << 20]))
            .route(
                "/slow",
                get(async || {
                    sleep(Duration::from_millis(600)).await;
                    "done"
                }),
            )
            .route("/endless", get(std::future::pending::<()>));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let drain = Drain::default();
        let ended = TaskTracker::new().spawn(serve(listener, router, limits, drain.clone()));
        Server { address, drain, ended }
    }

    fn limits() -> Limits {
        Limits { connections: 100, header_timeout: SOON, body_timeout: SOON, drain: SOON }
    }

    async fn connect(server: &Server, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What the server sends until it closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut text)).await.expect("the connection stays open");
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads until the answer's text arrives, leaving the connection open.
    async fn read_until(stream: &mut TcpStream, wanted: &str) {
        let mut text = Vec::new();
        while !String::from_utf8_lossy(&text).contains(wanted) {
            let read = timeout(SOON, stream.read_buf(&mut text)).await.expect("no answer").unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&text));
        }
    }

    #[tokio::test]
    async fn slow_headers_and_unused_connections_are_cut() {
        let server = server(Limits { header_timeout: SHORT, ..limits() }).await;
        let mut half = connect(&server, "GET / HTTP/1.1\r\nhost: x\r\n").await;
        let mut silent = connect(&server, "").await;
        let mut idle = connect(&server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(!rest(&mut half).await.contains("200"));
        assert_eq!(rest(&mut silent).await, "");
        assert!(rest(&mut idle).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_body_that_pauses_or_drips_is_cut_and_a_steady_one_is_not() {
        let server = server(Limits { body_timeout: SHORT, ..limits() }).await;
        let head = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4096\r\n\r\n";
        let mut paused = connect(&server, head).await;
        assert!(!rest(&mut paused).await.contains("200 OK"));

        let (mut reading, mut writing) = connect(&server, head).await.into_split();
        let drip = TaskTracker::new().spawn(async move {
            while writing.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = timeout(SOON, reading.read_to_end(&mut answer)).await.expect("the drip is not cut");
        assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
        drip.await.unwrap();

        let mut steady = connect(&server, head).await;
        for _ in 0..4 {
            sleep(Duration::from_millis(100)).await;
            steady.write_all(&[b'y'; 1024]).await.unwrap();
        }
        let answer = rest(&mut steady).await;
        assert!(answer.contains("200 OK") && answer.ends_with("yyyy"), "{}", &answer[..60]);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answer_is_cut() {
        let server = server(Limits { body_timeout: SHORT, ..limits() }).await;
        let mut stream = connect(&server, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(SHORT * 4).await;
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection stays open");
        assert!(answer.len() < 64 << 20, "the whole answer arrived");
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_or_has_too_many_fields_is_refused() {
        let server = server(limits()).await;
        let large = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(4 * MAX_HEAD_BYTES));
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server closes with part of this unread, so writing it may fail and the answer may be lost.
        let _ = stream.write_all(large.as_bytes()).await;
        assert!(!rest(&mut stream).await.contains("200 OK"));
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(MAX_HEADERS));
        let mut stream = connect(&server, &many).await;
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn connections_above_the_cap_wait_for_their_turn() {
        let server = server(Limits { connections: 1, ..limits() }).await;
        let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut first = connect(&server, request).await;
        read_until(&mut first, "hello").await;
        let mut second = connect(&server, request).await;
        assert!(timeout(SHORT, second.read_u8()).await.is_err(), "answered beyond the cap");
        drop(first);
        read_until(&mut second, "hello").await;
    }

    #[tokio::test]
    async fn a_drain_closes_idle_connections_and_lets_running_answers_finish() {
        let server = server(limits()).await;
        let mut silent = connect(&server, "").await;
        let mut idle = connect(&server, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        read_until(&mut idle, "hello").await;
        let mut running = connect(&server, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(100)).await;
        server.drain.started.cancel();
        assert_eq!(rest(&mut idle).await, "");
        assert_eq!(rest(&mut silent).await, "");
        assert!(rest(&mut running).await.ends_with("done"));
        timeout(SOON, server.ended).await.expect("still serving").unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn after_the_drain_time_the_deadline_is_announced_and_the_rest_is_cut() {
        let server = server(Limits { drain: SHORT, ..limits() }).await;
        let mut endless = connect(&server, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
        sleep(Duration::from_millis(100)).await;
        server.drain.started.cancel();
        timeout(SOON, server.drain.deadline.cancelled()).await.expect("no deadline");
        assert!(!server.ended.is_finished(), "no grace after the deadline");
        timeout(SOON, server.ended).await.expect("still serving").unwrap();
        assert_eq!(rest(&mut endless).await, "");
    }
}
