//! The network to upstreams: private addresses, redirects, proxies, limits.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use onepool::model::{endpoint::Endpoint, secret::Secret};
use serde_json::json;

use crate::support::{
    app::{Reply, TestApp, chat, model},
    raw::{Raw, read_request},
    upstream::{Fault, Upstream, answer, refusing_base_url},
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn a_private_address_is_refused_in_every_spelling_unless_the_channel_allows_it() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let port = upstream.address().port();
    // All of these are this machine.
    let hosts = [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "[::1]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "017700000001",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    for (index, host) in hosts.iter().enumerate() {
        let name = format!("m{index}");
        app.channel_with(host, &format!("http://{host}:{port}/v1"), &["key-1"], |channel| {
            channel.allow_private = false;
            channel.models = vec![model(&name)];
        })
        .await;
        let reply = app.post(CHAT, &chat(&name, false, "hi")).await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"), "{host}");
        assert!(!reply.text().contains(&port.to_string()), "{}", reply.text());
        let row = app.rows().await.remove(0);
        let why = row["attempts"][0]["detail"].as_str().unwrap();
        assert!(why.contains("private or loopback address"), "{host}: {why}");
    }
    assert_eq!(upstream.most_open_connections(), 0, "nothing was even connected to");
    app.channel_with("allowed", &upstream.base_url(), &["key-1"], |_| {}).await;
    assert_eq!(app.chat(false, "hi").await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_redirect_is_never_followed() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel("c", &upstream, &["key-1"]).await;
    for (calls, fault) in
        [Fault::Redirect307, Fault::Redirect302, Fault::RedirectLoop].into_iter().enumerate()
    {
        upstream.fail_all(fault);
        let reply = app.chat(calls % 2 == 0, "hi").await;
        assert_eq!(reply.status, 502, "{fault:?}");
        assert!(reply.header("location").is_none() && !reply.text().contains("redirected"));
        assert_eq!(upstream.calls().len(), calls + 1, "{fault:?}");
        assert!(upstream.calls().iter().all(|call| call.request.path == "/v1/chat/completions"));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_refused_connection_is_told_to_the_operator_in_our_own_words() {
    let app = TestApp::start().await;
    app.token().await;
    let url = refusing_base_url();
    app.channel_with("c", &url, &["key-1"], |_| {}).await;
    let reply = app.chat(true, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_error"));
    assert!(!reply.text().contains("127.0.0.1"), "{}", reply.text());
    let row = app.rows().await.remove(0);
    assert_eq!(row["attempts"][0]["detail"], "no connection: refused");
    app.stop().await;
}

/// Copies bytes between two sockets until both ends are closed.
fn pipe(client: TcpStream, upstream: TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    let forth = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    let (mut from, mut to) = (upstream, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = forth.join();
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_the_upstream_by_name() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let heads: Arc<Mutex<Vec<String>>> = Arc::default();
    let proxy = Raw::start({
        let (heads, address) = (heads.clone(), upstream.address());
        move |mut client| {
            let Some(request) = read_request(&client) else { return };
            // A proxy forwards the path alone, and only what follows it.
            let head = request.head.replacen("http://upstream.invalid", "", 1);
            heads.lock().unwrap().push(request.head);
            let mut target = TcpStream::connect(address).unwrap();
            target.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).unwrap();
            target.write_all(&request.body).unwrap();
            let _ = std::io::copy(&mut target, &mut client);
        }
    });
    app.channel_with("c", "http://upstream.invalid/v1", &["key-1"], |channel| {
        channel.proxy = Some(Secret::new(format!("http://user:proxy-secret@{}", proxy.address())));
    })
    .await;
    // This proxy copies until the upstream closes, so the answer ends with its connection.
    upstream.fail_all(Fault::EofDelimited);
    let reply = app.chat(false, "marker=abc words=3").await;
    assert_eq!(reply.content(), answer::text("abc", 3), "{}", reply.text());
    let heads = heads.lock().unwrap().clone();
    assert!(
        heads[0].starts_with("POST http://upstream.invalid/v1/chat/completions HTTP/1.1\r\n"),
        "{}",
        heads[0]
    );
    assert!(heads[0].to_lowercase().contains("proxy-authorization: basic "), "{}", heads[0]);
    app.stop().await;
}

#[tokio::test]
async fn a_form_goes_through_a_channels_proxy_whole_and_again_to_the_next_key() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let lengths: Arc<Mutex<Vec<usize>>> = Arc::default();
    let proxy = Raw::start({
        let (lengths, address) = (lengths.clone(), upstream.address());
        move |mut client| {
            let Some(request) = read_request(&client) else { return };
            let head = request.head.replacen("http://upstream.invalid", "", 1);
            lengths.lock().unwrap().push(request.body.len());
            let mut target = TcpStream::connect(address).unwrap();
            target.write_all(head.as_bytes()).unwrap();
            target.write_all(&request.body).unwrap();
            // An answer with a length reads like a request with one.
            let Some(answer) = read_request(&target) else { return };
            let head = answer.head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&answer.body));
        }
    });
    app.channel_with("c", "http://upstream.invalid/v1", &["key-1", "key-2"], |channel| {
        channel.proxy = Some(Secret::new(format!("http://{}", proxy.address())));
        channel.endpoints = [Endpoint::Transcriptions].into_iter().collect();
    })
    .await;
    for (calls, length) in [2000, 700_000].into_iter().enumerate() {
        upstream.fail_next([Some(Fault::Status500)]);
        let file = reqwest::multipart::Part::bytes(vec![7; length]).file_name("a.mp3");
        let form = reqwest::multipart::Form::new().text("model", "m").part("file", file);
        let request = app.request(reqwest::Method::POST, "/v1/audio/transcriptions").multipart(form);
        let reply = Reply::read(request.send().await.expect("an answer")).await;
        let row = app.rows().await.remove(0);
        assert_eq!((reply.status, &reply.json()["text"]), (200, &json!("heard abc")), "{row}");
        let seen = upstream.inferences();
        assert_eq!(seen.len(), 2 * (calls + 1));
        assert!(seen[2 * calls..].iter().all(|call| call.form.as_ref().unwrap().files[0].length == length));
    }
    // The proxy saw how long each form is: none was cut into chunks.
    assert!(lengths.lock().unwrap().iter().all(|length| *length > 2000), "{lengths:?}");
    app.stop().await;
}

/// A SOCKS5 proxy (RFC 1928) without authentication; it notes the names that it is asked for.
fn socks5(asked: Arc<Mutex<Vec<String>>>, target: SocketAddr) -> Raw {
    Raw::start(move |mut client| {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting).unwrap();
        client.read_exact(&mut vec![0; greeting[1].into()]).unwrap();
        client.write_all(&[5, 0]).unwrap();
        let mut request = [0; 4];
        client.read_exact(&mut request).unwrap();
        let mut length = [0];
        let name = match request[3] {
            3 => {
                client.read_exact(&mut length).unwrap();
                let mut name = vec![0; length[0].into()];
                client.read_exact(&mut name).unwrap();
                String::from_utf8(name).unwrap()
            }
            kind => format!("address of kind {kind}"),
        };
        client.read_exact(&mut [0; 2]).unwrap();
        asked.lock().unwrap().push(name);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        pipe(client, TcpStream::connect(target).unwrap());
    })
}

#[tokio::test]
async fn names_are_resolved_by_a_socks_proxy_and_not_here() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let proxy = socks5(asked.clone(), upstream.address());
    app.channel_with("c", "http://upstream.invalid/v1", &["key-1"], |channel| {
        channel.proxy = Some(Secret::new(format!("socks5://{}", proxy.address())));
        // The proxy may be on a private address: it is the operator's own choice.
        channel.allow_private = false;
    })
    .await;
    for stream in [false, true] {
        let reply = app.chat(stream, "marker=abc words=3").await;
        assert_eq!(reply.content(), answer::text("abc", 3), "{}", reply.text());
    }
    assert!(asked.lock().unwrap().iter().all(|name| name == "upstream.invalid"), "{asked:?}");
    assert_eq!(upstream.calls()[0].request.header("host"), Some("upstream.invalid"));
    app.stop().await;
}

#[tokio::test]
async fn a_proxy_does_not_lead_to_a_private_address_that_the_channel_does_not_allow() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let proxy = socks5(asked.clone(), upstream.address());
    app.channel_with("c", "http://localhost/v1", &["key-1"], |channel| {
        channel.proxy = Some(Secret::new(format!("socks5://{}", proxy.address())));
        channel.allow_private = false;
    })
    .await;
    assert_eq!(app.chat(false, "hi").await.status, 502);
    assert!(asked.lock().unwrap().is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_dead_proxy_is_a_failed_upstream() {
    let app = TestApp::start().await;
    app.token().await;
    let dead = refusing_base_url().replace("/v1", "").replace("http://", "socks5://");
    app.channel_with("c", "http://upstream.invalid/v1", &["key-1"], |channel| {
        channel.proxy = Some(Secret::new(dead));
    })
    .await;
    assert_eq!(app.chat(false, "hi").await.status, 502);
    let row = app.rows().await.remove(0);
    assert!(row["attempts"][0]["detail"].as_str().unwrap().starts_with("no connection"), "{row}");
    app.stop().await;
}

#[tokio::test]
async fn a_channels_own_limits_on_silence_hold() {
    let (app, upstream) = (TestApp::start().await, Upstream::start());
    app.token().await;
    app.channel_with("c", &upstream.base_url(), &["key-1"], |channel| {
        channel.timeouts.first_byte_ms = Some(400);
        channel.timeouts.idle_ms = Some(400);
    })
    .await;
    for stream in [false, true] {
        upstream.fail_all(Fault::HangBeforeHeaders);
        let reply = app.chat(stream, "hi").await;
        assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
        assert_eq!(app.rows().await[0]["result"], "timeout");
    }
    upstream.fail_all(Fault::PingsAfterContent);
    let reply = app.chat(true, "hi").await;
    assert_eq!(
        reply.chunks().pop().unwrap()["error"]["code"],
        "upstream_interrupted",
        "pings are no content"
    );
    upstream.heal();
    let reply = app.chat(true, "marker=abc words=4 delay=200").await;
    assert!(reply.done(), "a stream that goes on may take longer than any pause: {}", reply.text());
    app.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_is_given_up() {
    let app = TestApp::start().await;
    app.token().await;
    // A listener that accepts nothing: once its short queue is full, connections hang.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    for _ in 0..16 {
        let connecting = tokio::net::TcpStream::connect(address);
        match tokio::time::timeout(Duration::from_millis(300), connecting).await {
            Ok(connected) => queued.push(connected.unwrap()),
            Err(_) => break,
        }
    }
    assert!(queued.len() < 16, "the queue never fills");
    app.channel_with("c", &format!("http://{address}/v1"), &["key-1"], |channel| {
        channel.timeouts.connect_ms = Some(300);
    })
    .await;
    let reply = app.chat(false, "hi").await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"), "{}", reply.text());
    let row = app.rows().await.remove(0);
    assert_eq!(row["attempts"][0]["detail"], json!("no connection within the limit"));
    app.stop().await;
}
