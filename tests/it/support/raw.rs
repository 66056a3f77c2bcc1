//! A server of raw bytes on loopback, for what the fake vendor does not say: exact bodies, gates, proxies.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct RawRequest {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// The server; it stops when this is dropped.
pub struct Raw {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Raw {
    /// Serves every connection with this function, on a thread of its own.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, serve) = (stop.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(socket), serve) = (socket, serve.clone()) else { return };
                std::thread::spawn(move || serve(socket));
            }
        });
        Self { address, stop }
    }

    /// Answers one request on each connection; what the function writes is the whole answer.
    pub fn answer(respond: impl Fn(&RawRequest, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start(move |mut socket| {
            if let Some(request) = read_request(&socket) {
                respond(&request, &mut socket);
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:<port>/v1`
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads one request; `None` if the connection ends before it is whole.
pub fn read_request(socket: &TcpStream) -> Option<RawRequest> {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(RawRequest { head, body })
}

/// Writes an answer with a JSON body; errors are the reader's to notice.
pub fn write_json(socket: &mut TcpStream, body: &str) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let _ = write!(socket, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

/// Writes the head of an event stream that ends with the connection.
pub fn write_stream_head(socket: &mut TcpStream) {
    let _ =
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
}

/// Writes a chunk of a chat stream with this text.
pub fn write_chunk(socket: &mut TcpStream, text: &str, finish: Option<&str>) {
    let chunk = serde_json::json!({
        "id": "raw", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
    });
    let _ = write!(socket, "data: {chunk}\n\n");
}

/// A gate that threads wait at until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everybody through, from now on.
    pub fn open(&self) {
        *self.0.0.lock().expect("a gate") = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub fn wait(&self) {
        let open = self.0.0.lock().expect("a gate");
        drop(self.0.1.wait_while(open, |open| !*open).expect("a gate"));
    }
}
