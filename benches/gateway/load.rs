//! The load generator: raw HTTP over kept connections, so that it costs as little as it can.
//!
//! It runs in the benchmark's own process. Every answer is read to its end and every stream is checked to be whole.

use std::{
    cell::{Cell, RefCell},
    io::{self, Write as _},
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::LocalSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    process::TOKEN,
    stats::now_ns,
    upstream::Wanted,
    wire::{self, Reader},
};

/// A chat call as a client's library would send it.
pub fn request(to: SocketAddr, prompt_bytes: usize, stream: Option<Wanted>) -> Vec<u8> {
    let stream = stream.map_or_else(String::new, |wanted| {
        format!(r#""user":"{}","stream":true,"stream_options":{{"include_usage":true}},"#, wanted.text())
    });
    let words = "The quick brown fox jumps over the lazy dog and says \\\"hello\\\" to everybody.\\n";
    let prompt: String = words.repeat(prompt_bytes / words.len() + 1);
    let body = format!(
        r#"{{"model":"bench",{stream}"temperature":0.7,"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{prompt}"}}]}}"#
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\naccept: application/json\r\nuser-agent: OpenAI/Python 2.7.1\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What came of requests for answers in one piece.
#[derive(Default, Clone)]
pub struct Answers {
    /// Answers within the measured time.
    pub count: u64,
    /// All answers, those of the warming up included.
    pub total: u64,
    /// The measured time.
    pub seconds: f64,
    /// What the proxy's processes used of the CPU in it.
    pub cpu: Duration,
    /// How long each answer took, in nanoseconds; in an open loop since the time at which its request was due.
    pub latencies: Vec<u64>,
    /// What failed.
    pub failures: Vec<String>,
}

/// A closed loop: each client sends its next request when the answer to the last one is there.
pub fn closed(
    to: SocketAddr,
    request: &[u8],
    clients: usize,
    warm_up: Duration,
    measured: Duration,
    cpu: &dyn Fn() -> Duration,
) -> Answers {
    let result = Rc::new(RefCell::new(Answers::default()));
    let measuring = Rc::new(Cell::new(false));
    let over = Rc::new(Cell::new(false));
    crate::runtime().block_on(LocalSet::new().run_until(async {
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (result, measuring, over) = (result.clone(), measuring.clone(), over.clone());
                let request = request.to_vec();
                tokio::task::spawn_local(async move {
                    let done: io::Result<()> = async {
                        let mut stream = connect(to).await?;
                        let mut reader = Reader::default();
                        while !over.get() {
                            let sent = now_ns();
                            stream.write_all(&request).await?;
                            reader.whole(&mut stream).await?;
                            let mut result = result.borrow_mut();
                            result.total += 1;
                            if measuring.get() {
                                result.count += 1;
                                result.latencies.push(now_ns() - sent);
                            }
                        }
                        Ok(())
                    }
                    .await;
                    if let Err(error) = done {
                        result.borrow_mut().failures.push(error.to_string());
                    }
                })
            })
            .collect();
        sleep(warm_up).await;
        let (cpu_before, began) = (cpu(), now_ns());
        measuring.set(true);
        sleep(measured).await;
        measuring.set(false);
        let (cpu_after, ended) = (cpu(), now_ns());
        over.set(true);
        for task in tasks {
            let _ = task.await;
        }
        let mut result = result.borrow_mut();
        result.seconds = (ended - began) as f64 / 1e9;
        result.cpu = cpu_after.saturating_sub(cpu_before);
    }));
    result.take()
}

/// Connections that an open loop has at hand.
const OPEN_CONNECTIONS: usize = 64;

/// An open loop: requests are due at fixed times, whether the answers come or not, and latency counts from then on.
///
/// A thread of its own sends them, since an event loop's timer is only as fine as a millisecond.
pub fn open(
    to: SocketAddr,
    request: &[u8],
    per_second: u64,
    warm_up: Duration,
    measured: Duration,
    cpu: &dyn Fn() -> Duration,
) -> Answers {
    let due: Arc<Vec<AtomicU64>> = Arc::new((0..OPEN_CONNECTIONS).map(|_| AtomicU64::new(0)).collect());
    let (give_back, free) = mpsc::channel();
    let mut senders = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..OPEN_CONNECTIONS {
        let sender = std::net::TcpStream::connect(to).expect("a connection");
        sender.set_nodelay(true).expect("a socket option");
        sender.set_nonblocking(true).expect("a socket option");
        readers.push(sender.try_clone().expect("a second handle"));
        senders.push(sender);
    }
    let requests = (per_second as f64 * (warm_up + measured).as_secs_f64()) as u64;
    let began = now_ns() + 50_000_000;
    let measured_from = began + warm_up.as_nanos() as u64;
    let pacing = std::thread::spawn({
        let (request, due, give_back) = (request.to_vec(), due.clone(), give_back.clone());
        move || {
            for connection in 0..OPEN_CONNECTIONS {
                give_back.send(connection).expect("the other end is kept here");
            }
            drop(give_back);
            for number in 0..requests {
                let at = began + number * 1_000_000_000 / per_second;
                std::thread::sleep(Duration::from_nanos(at.saturating_sub(now_ns())));
                // If none is free, the request waits for one, and its latency grows.
                let Ok(connection) = free.recv() else { return };
                due[connection].store(at, Ordering::Release);
                if (&senders[connection]).write_all(&request).is_err() {
                    return;
                }
            }
        }
    });
    let result = Rc::new(RefCell::new(Answers::default()));
    crate::runtime().block_on(LocalSet::new().run_until(async {
        let tasks: Vec<_> = readers
            .into_iter()
            .enumerate()
            .map(|(connection, stream)| {
                let (result, due, give_back) = (result.clone(), due.clone(), give_back.clone());
                tokio::task::spawn_local(async move {
                    let done: io::Result<()> = async {
                        let mut stream = TcpStream::from_std(stream)?;
                        let mut reader = Reader::default();
                        loop {
                            reader.whole(&mut stream).await?;
                            let at = due[connection].load(Ordering::Acquire);
                            let mut result = result.borrow_mut();
                            result.total += 1;
                            if at >= measured_from {
                                result.count += 1;
                                result.latencies.push(now_ns() - at);
                            }
                            let _ = give_back.send(connection);
                        }
                    }
                    .await;
                    if let Err(error) = done {
                        result.borrow_mut().failures.push(error.to_string());
                    }
                })
            })
            .collect();
        let deadline = Instant::now() + Duration::from_nanos(measured_from - now_ns()) + measured;
        sleep_until(deadline - measured).await;
        let cpu_before = cpu();
        sleep_until(deadline).await;
        let cpu_after = cpu();
        // The last answers may be under way.
        for _ in 0..500 {
            if result.borrow().total >= requests || !result.borrow().failures.is_empty() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        for task in tasks {
            task.abort();
        }
        let mut result = result.borrow_mut();
        result.seconds = measured.as_secs_f64();
        result.cpu = cpu_after.saturating_sub(cpu_before);
        if result.total < requests {
            let missing = requests - result.total;
            result.failures.push(format!("{missing} requests were not answered"));
        }
    }));
    drop(give_back);
    pacing.join().expect("the thread that sends");
    result.take()
}

/// What came of streams.
#[derive(Default, Clone)]
pub struct Streams {
    /// How many were whole: every chunk once and in order, the end mark, and the end of the body.
    pub whole: u64,
    /// From the request to the first chunk of text, in nanoseconds.
    pub first: Vec<u64>,
    /// From the mock's sending of every later chunk to its arrival.
    pub later: Vec<u64>,
    /// What the proxy's processes used of the CPU in all.
    pub cpu: Duration,
    /// The most memory that was resident while the streams ran.
    pub resident: u64,
    /// What was wrong.
    pub failures: Vec<String>,
}

/// Runs streams side by side; they begin one after the other within `spread`, on connections that stand already.
pub fn streams(
    to: SocketAddr,
    count: usize,
    wanted: Wanted,
    spread: Duration,
    cpu: &dyn Fn() -> Duration,
    resident: &dyn Fn() -> u64,
) -> Streams {
    let result = Rc::new(RefCell::new(Streams::default()));
    let request: Rc<[u8]> = request(to, 200, Some(wanted)).into();
    crate::runtime().block_on(LocalSet::new().run_until(async {
        let mut connections = Vec::new();
        for _ in 0..count {
            connections.push(connect(to).await);
        }
        let cpu_before = cpu();
        let began = Instant::now();
        let tasks: Vec<_> = connections
            .into_iter()
            .enumerate()
            .map(|(number, connection)| {
                let (result, request) = (result.clone(), request.clone());
                tokio::task::spawn_local(async move {
                    sleep_until(began + spread * number as u32 / count as u32).await;
                    let done = match connection {
                        Ok(connection) => stream(connection, &request, wanted, &result).await,
                        Err(error) => Err(error),
                    };
                    let mut result = result.borrow_mut();
                    match done {
                        Ok(()) => result.whole += 1,
                        Err(error) => result.failures.push(error.to_string()),
                    }
                })
            })
            .collect();
        while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
            let now = resident();
            {
                let mut result = result.borrow_mut();
                result.resident = result.resident.max(now);
            }
            sleep(Duration::from_millis(200)).await;
        }
        result.borrow_mut().cpu = cpu().saturating_sub(cpu_before);
    }));
    result.take()
}

async fn stream(
    mut connection: TcpStream,
    request: &[u8],
    wanted: Wanted,
    result: &RefCell<Streams>,
) -> io::Result<()> {
    let broken = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut reader = Reader::default();
    let mut body = Vec::new();
    let mut expected = 0;
    let sent = now_ns();
    connection.write_all(request).await?;
    if reader.head(&mut connection).await?.is_some() {
        return Err(broken("a stream with a length".into()));
    }
    loop {
        let more = reader.chunks(&mut connection, &mut body).await?;
        let arrived = now_ns();
        let mut at = 0;
        while let Some(end) = wire::find(&body[at..], b"\n\n") {
            let event = &body[at..at + end];
            at += end + 2;
            if event == b"data: [DONE]" {
                let ended = expected == wanted.chunks && at == body.len();
                return match ended && (!more || !reader.chunks(&mut connection, &mut body).await?) {
                    true => Ok(()),
                    false => Err(broken(format!("ended after {expected} chunks"))),
                };
            }
            let Some((number, sent_at)) = text_of(event) else { continue };
            if number != expected {
                return Err(broken(format!("chunk {number} instead of {expected}")));
            }
            expected += 1;
            let mut result = result.borrow_mut();
            match number {
                0 => result.first.push(arrived - sent),
                _ => result.later.push(arrived.saturating_sub(sent_at)),
            }
        }
        body.drain(..at);
        if !more {
            return Err(broken(format!("no end mark after {expected} chunks")));
        }
    }
}

/// The number of a chunk, and when the mock sent it.
fn text_of(event: &[u8]) -> Option<(u64, u64)> {
    const BEGIN: &[u8] = br#""content":""#;
    let text = &event[wire::find(event, BEGIN)? + BEGIN.len()..];
    let (number, time) = std::str::from_utf8(&text[..wire::find(text, b" \"")?]).ok()?.split_once('@')?;
    Some((number.parse().ok()?, time.parse().ok()?))
}
