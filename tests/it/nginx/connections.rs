//! Connections between nginx and the server that nobody uses for a while.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    sync::mpsc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Nginx, SOON, Shipped, TRUSTS_NGINX};
use crate::support::{
    app::{Reply, TOKEN, TestApp, chat},
    raw::Raw,
    upstream::Upstream,
};

/// How long the server keeps an unused connection: the default of `HEADER_TIMEOUT_SECONDS`.
fn servers_limit() -> Duration {
    let setting = onepool::config::setting("HEADER_TIMEOUT_SECONDS").expect("the setting");
    Duration::from_secs(setting.default.parse().expect("seconds"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_uses_a_connection_again_and_gives_it_up_before_the_server_does() {
    let waits = Shipped::BOTH.map(async |shipped| {
        // Says how many requests a connection brought, and how long it then lay unused until nginx closed it.
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let backend = Raw::start(move |mut socket| {
            let mut reader = BufReader::new(socket.try_clone().expect("a socket"));
            let (mut requests, mut answered) = (0, Instant::now());
            loop {
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let start = head.len();
                    if reader.read_line(&mut head).unwrap_or(0) == 0 {
                        let _ = tell.lock().expect("a channel").send((requests, answered.elapsed()));
                        return;
                    }
                    if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap_or(0);
                    }
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                (requests, answered) = (requests + 1, Instant::now());
                if head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
                    let _ = tell.lock().expect("a channel").send((requests, Duration::ZERO));
                    return;
                }
            }
        });
        let nginx = Nginx::start(shipped, backend.address());
        let http = nginx.client([127, 0, 0, 1]);
        // More than nginx has workers, each of which keeps connections of its own.
        for _ in 0..64 {
            let answer = http.post(nginx.url("/")).body("{}").send().await.expect("an answer");
            assert_eq!(answer.text().await.expect("a body"), "ok");
        }
        let told = tokio::task::spawn_blocking(move || told.recv_timeout(SOON).expect("nginx closes it"));
        let (requests, unused) = told.await.expect("no panic");
        drop(nginx);
        (shipped, requests, unused)
    });
    for (shipped, requests, unused) in join_all(waits).await {
        assert!(requests > 1, "{shipped:?}: nginx opens a connection for each request");
        let limit = servers_limit();
        assert!(
            unused + Duration::from_secs(2) < limit,
            "{shipped:?}: {unused:?}, the server's is {limit:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_after_any_pause_is_answered() {
    let (app, upstream) = (TestApp::start_with(&[TRUSTS_NGINX]).await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    let nginx = Shipped::BOTH.map(|shipped| Nginx::start(shipped, app.app.address()));
    // Around the limits of nginx (10 s) and of the server.
    let limit = servers_limit().as_millis() as u64;
    let pauses = [9_900, 10_000, 10_100, limit - 20, limit - 1, limit, limit + 1, limit + 20];
    let calls =
        nginx.iter().flat_map(|nginx| pauses.map(|pause| (nginx, pause))).map(async |(nginx, pause)| {
            let http = nginx.client([127, 0, 0, 1]);
            for wait in [0, pause] {
                sleep(Duration::from_millis(wait)).await;
                let request = http.post(nginx.url("/v1/chat/completions")).bearer_auth(TOKEN);
                let reply =
                    Reply::read(request.json(&chat("m", false, "hi")).send().await.expect("an answer")).await;
                assert_eq!(reply.status, 200, "{:?} after {pause} ms: {}", nginx.shipped, reply.text());
            }
        });
    join_all(calls).await;
    for nginx in &nginx {
        assert!(!nginx.error_log().contains("[error]"), "{}", nginx.error_log());
    }
    drop(nginx);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_anew_is_used_again_at_once() {
    let app = TestApp::start_with(&[TRUSTS_NGINX]).await;
    let address = app.app.address();
    let nginx = Nginx::start(Shipped::Compose, address);
    let http = nginx.client([127, 0, 0, 1]);
    let status = async || http.get(nginx.url("/healthz")).send().await.expect("an answer").status().as_u16();
    assert_eq!(status().await, 200);
    let clock = app.clock.clone();
    let data = app.stop().await;
    assert_eq!(status().await, 502);
    let app = TestApp::start_in(data, clock, &[TRUSTS_NGINX, ("LISTEN", &address.to_string())]).await;
    assert_eq!(status().await, 200);
    drop(nginx);
    app.stop().await;
}
