//! The mock upstream: a vendor that answers at once and costs next to nothing, as a process of its own.
//!
//! It is written by hand over sockets, because it must never be what limits a measurement. A prompt of the load generator
//! tells it what to answer, see [`Wanted`]. Every chunk of a stream carries its number and the time at which it was sent.

use std::{io::Write as _, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep_until},
};
use tokio_util::task::TaskTracker;

use crate::{stats::now_ns, wire};

/// The argument with which the benchmark's own binary becomes the mock.
pub const ARGUMENT: &str = "--mock-upstream";

/// How far into a body the mock looks for what is wanted.
const LOOK_INTO: usize = 1024;

/// What a request asks the mock for. It stands in the request's `user` field as `chunks=40 every=100`; without it, an
/// answer in one piece is wanted.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// How many chunks of text the stream has.
    pub chunks: u64,
    /// Milliseconds from one to the next; the first comes at once.
    pub every_ms: u64,
}

impl Wanted {
    /// The value of the `user` field.
    pub fn text(self) -> String {
        format!("chunks={} every={} ", self.chunks, self.every_ms)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let number = |name: &[u8]| {
            let at = wire::find(body, name)? + name.len();
            let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
            Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
        };
        Some(Self { chunks: number(b"chunks=")?, every_ms: number(b"every=")? })
    }
}

/// Serves until standard input closes, which it does when the benchmark ends, in whatever way. Prints the address first.
pub fn run() {
    crate::process::allow_open_files();
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        #[expect(clippy::disallowed_methods, reason = "this process has nothing to clean up")]
        std::process::exit(0);
    });
    crate::runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        let connections = TaskTracker::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // A connection that breaks is the other side's matter.
            connections.spawn(async move { serve(stream).await.unwrap_or_default() });
        }
    });
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer: Vec<u8> = Vec::with_capacity(8192);
    let mut out: Vec<u8> = Vec::with_capacity(1024);
    loop {
        let head = loop {
            if let Some(end) = wire::head_end(&buffer) {
                break end;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let end = head + wire::content_length(&buffer[..head]).unwrap_or(0);
        while buffer.len() < end {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let wanted = Wanted::read(&buffer[head..end.min(head + LOOK_INTO)]);
        buffer.drain(..end);
        match wanted {
            None => stream.write_all(ANSWER.as_bytes()).await?,
            Some(wanted) => send_events(&mut stream, &mut out, wanted).await?,
        }
    }
}

/// An answer of the usual fields and a short text.
const ANSWER: &str = concat!(
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_5b1fcd\r\ncontent-length: 459\r\n\r\n",
    r#"{"id":"chatcmpl-9f2ab7c04d","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"A gateway passes what it is given, and keeps the books while it does so; "#,
    r#"that is all there is to it.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":58,"#,
    r#""completion_tokens":23,"total_tokens":81,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_1a2b"}"#,
);

async fn send_events(stream: &mut TcpStream, out: &mut Vec<u8>, wanted: Wanted) -> std::io::Result<()> {
    let began = Instant::now();
    out.clear();
    out.extend_from_slice(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    let choices = |delta: &str| format!(r#""choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]"#);
    push_event(out, &choices(r#"{"role":"assistant","content":""}"#));
    for number in 0..wanted.chunks {
        if number > 0 {
            sleep_until(began + Duration::from_millis(wanted.every_ms * number)).await;
        }
        push_event(out, &choices(&format!(r#"{{"content":"{number}@{} "}}"#, now_ns())));
        stream.write_all(out).await?;
        out.clear();
    }
    push_event(out, r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#);
    let usage = format!(
        r#""choices":[],"usage":{{"prompt_tokens":58,"completion_tokens":{0},"total_tokens":{1}}}"#,
        wanted.chunks,
        wanted.chunks + 58
    );
    push_event(out, &usage);
    out.extend_from_slice(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    stream.write_all(out).await
}

/// Appends one event as a chunk of the transfer encoding.
fn push_event(out: &mut Vec<u8>, rest: &str) {
    const BEGIN: &str = concat!(
        r#"data: {"id":"chatcmpl-9f2ab7c04d","object":"chat.completion.chunk","created":1790000000,"#,
        r#""model":"bench","#
    );
    let length = BEGIN.len() + rest.len() + 3;
    write!(out, "{length:x}\r\n{BEGIN}{rest}}}\n\n\r\n").expect("memory takes it");
}
