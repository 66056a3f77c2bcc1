//! Clients that are slow, silent, or do not keep to HTTP.

use std::{io::Write as _, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

use super::{Fake, Folder, Server, alone, client, many_files};
use crate::support::app::{self, TOKEN};

const SLOW: usize = 800;
const LIMITS: &[(&str, &str)] = &[("HEADER_TIMEOUT_SECONDS", "2"), ("BODY_TIMEOUT_SECONDS", "2")];

/// A slow client: sends its beginning, then a byte now and then, until the server closes. How long that took, and what
/// came.
async fn dawdle(address: std::net::SocketAddr, beginning: String, drips: bool) -> (Duration, String) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let _ = stream.write_all(beginning.as_bytes()).await;
    let (mut read, mut write) = stream.split();
    let mut answer = Vec::new();
    let drip = async {
        while drips && write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = read.read_to_end(&mut answer) => {}
        () = drip => {}
        () = tokio::time::sleep(super::SOON) => {
            panic!("{drips} {beginning:?} is still open: {}", String::from_utf8_lossy(&answer))
        }
    }
    (began.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_slow_clients_delay_nobody_and_are_gone_after_the_limits() {
    let _alone = alone().await;
    many_files();
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(LIMITS);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n".to_owned();
    let body = format!("{head}authorization: Bearer {TOKEN}\r\ncontent-length: 100000\r\n\r\n{{");
    let slow: Vec<_> = (0..SLOW)
        .map(|number| {
            let (beginning, drips) = match number % 4 {
                0 => (format!("{head}x-slow: "), true),
                1 => (body.clone(), true),
                2 => (body.clone(), false),
                _ => (String::new(), false),
            };
            tokio::spawn(dawdle(server.address, beginning, drips))
        })
        .collect();
    let http = client();
    let (mut calls, mut slowest) = (0, Duration::ZERO);
    while slow.iter().any(|slow| !slow.is_finished()) {
        let began = Instant::now();
        let reply = server.chat(&http, "m", calls % 2 == 0, "words=3").await.expect("an answer");
        assert!(reply.status == 200 && reply.whole, "{}", reply.text());
        (calls, slowest) = (calls + 1, slowest.max(began.elapsed()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut longest = Duration::ZERO;
    for slow in slow {
        let (took, answer) = slow.await.expect("a slow client was let go");
        assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
        longest = longest.max(took);
    }
    println!(
        "{SLOW} slow connections: {calls} good calls within {} ms, all slow ones gone after {} ms with limits of 2000 ms",
        slowest.as_millis(),
        longest.as_millis()
    );
    assert!(calls > 5 && slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(longest < Duration::from_secs(12), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_is_cut_and_its_upstream_call_cancelled() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(LIMITS);
    let body = app::chat("m", true, &super::flood()).to_string();
    let mut stream = server.connect("");
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("the request is taken");
    let began = Instant::now();
    let end = loop {
        if let Some(call) = fake.calls().await.pop()
            && call["end"] != "Running"
        {
            break call["end"].clone();
        }
        assert!(began.elapsed() < super::SOON, "the upstream still works for a client that does not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    println!(
        "a client that does not read: cancelled after {} ms, limit 2000 ms",
        began.elapsed().as_millis()
    );
    assert_eq!(end, "ClientLeft");
    let rows = folder.rows_once(1).await;
    assert_eq!(rows[0]["result"], "client_closed");
    assert!(rows[0]["completion"].as_i64() > Some(0), "what was produced is not booked: {}", rows[0]);
}

/// Sends requests that servers and proxies may take for different ones, each followed by one that must not be served.
fn smuggle(server: &Server, head: &str, body: &str) -> String {
    let inner = "GET /v1/models HTTP/1.1\r\nhost: smuggled\r\nconnection: close\r\n\r\n";
    server.send(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{head}\r\n{body}{inner}"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_could_hide_another_one_are_refused_or_the_connection_is_closed() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(LIMITS);
    let json = app::chat("m", false, "words=1").to_string();
    let length = json.len();
    let chunked = format!("{length:x}\r\n{json}\r\n0\r\n\r\n");
    for (what, head, body) in [
        (
            "both lengths",
            format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", chunked.len() + 40),
            chunked.clone(),
        ),
        (
            "both lengths, short",
            "content-length: 4\r\ntransfer-encoding: chunked\r\n".into(),
            chunked.clone(),
        ),
        ("two lengths", format!("content-length: {length}\r\ncontent-length: 3\r\n"), json.clone()),
        ("a list of lengths", format!("content-length: {length}, 3\r\n"), json.clone()),
        ("a signed length", format!("content-length: +{length}\r\n"), json.clone()),
        ("a negative length", "content-length: -1\r\n".into(), json.clone()),
        ("a huge length", "content-length: 99999999999999999999\r\n".into(), json.clone()),
        ("an unknown coding", "transfer-encoding: xchunked\r\n".into(), chunked.clone()),
        ("chunked is not last", "transfer-encoding: chunked, identity\r\n".into(), chunked.clone()),
        ("a space before the colon", "transfer-encoding : chunked\r\n".into(), chunked.clone()),
        ("a folded line", "transfer-encoding:\r\n chunked\r\n".into(), chunked.clone()),
        (
            "a bare CR",
            format!("x: a\rtransfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
            json.clone(),
        ),
        ("a NUL", format!("x: a\0b\r\ncontent-length: {length}\r\n"), json.clone()),
        ("no chunk size", "transfer-encoding: chunked\r\n".into(), format!("\r\n{json}\r\n0\r\n\r\n")),
        ("a bad chunk size", "transfer-encoding: chunked\r\n".into(), format!("zz\r\n{json}\r\n0\r\n\r\n")),
        (
            "a signed chunk size",
            "transfer-encoding: chunked\r\n".into(),
            format!("-{length:x}\r\n{json}\r\n0\r\n\r\n"),
        ),
        (
            "a huge chunk size",
            "transfer-encoding: chunked\r\n".into(),
            format!("fffffffffffffffff\r\n{json}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that goes on",
            "transfer-encoding: chunked\r\n".into(),
            format!("{length:x}\r\n{json}xx\r\n0\r\n\r\n"),
        ),
    ] {
        let answer = tokio::task::block_in_place(|| smuggle(&server, &head, &body));
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{what}: a second request was served: {answer}");
        assert!(!answer.contains("\"object\":\"list\""), "{what}: {answer}");
    }
    let reply = server.chat(&client(), "m", true, "words=3").await.expect("an answer");
    assert!(reply.done());
}
