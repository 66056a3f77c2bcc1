//! Whom the server takes a client for, and what it takes its own name for, behind nginx.

use super::{NAME, Nginx, Shipped, TRUSTS_NGINX};
use crate::support::{
    app::{Reply, TOKEN, TestApp, chat},
    raw::{Raw, write_json},
    upstream::Upstream,
};

const CHAT: &str = "/v1/chat/completions";
/// Headers by which a client could claim to be somebody else.
const SPOOFED: &[(&str, &str)] = &[
    ("x-forwarded-for", "127.0.0.5"),
    ("x-forwarded-for", "10.9.9.9, 127.0.0.5"),
    ("x-real-ip", "127.0.0.5"),
    ("forwarded", "for=127.0.0.5;proto=https;host=evil.example"),
];

/// A server that answers with the head of the request, as it came.
fn mirror() -> Raw {
    Raw::answer(|request, socket| {
        write_json(socket, &serde_json::json!({ "head": request.head.to_ascii_lowercase() }).to_string());
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_own_address_is_in_the_log_and_decides_over_its_token() {
    for shipped in Shipped::BOTH {
        let (app, upstream) = (TestApp::start_with(&[TRUSTS_NGINX]).await, Upstream::start());
        app.token_with(|token| token.cidrs = vec!["127.0.0.5/32".parse().unwrap()]).await;
        app.channel("c", &upstream, &["key-1"]).await;
        let nginx = Nginx::start(shipped, app.app.address());
        let call = |source: [u8; 4], spoofed: Option<(&'static str, &'static str)>| {
            let mut request = nginx.client(source).post(nginx.url(CHAT)).bearer_auth(TOKEN);
            if let Some((name, value)) = spoofed {
                request = request.header(name, value);
            }
            request.json(&chat("m", false, "hi")).send()
        };

        let reply = Reply::read(call([127, 0, 0, 5], None).await.unwrap()).await;
        assert_eq!(reply.status, 200, "{shipped:?} {}", reply.text());
        assert_eq!(app.rows().await[0]["address"], "127.0.0.5", "{shipped:?}");
        for spoofed in SPOOFED {
            let reply = Reply::read(call([127, 0, 0, 6], Some(*spoofed)).await.unwrap()).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (403, "ip_not_allowed"),
                "{shipped:?} {spoofed:?}"
            );
            assert_eq!(app.rows().await[0]["address"], "127.0.0.6", "{shipped:?} {spoofed:?}");
        }
        let reply =
            Reply::read(call([127, 0, 0, 5], Some(("x-forwarded-for", "6.6.6.6"))).await.unwrap()).await;
        assert_eq!(reply.status, 200, "{shipped:?}: a spoofed address shuts its sender out");

        let log = nginx.access_log();
        assert!(log.contains("127.0.0.5 [") && log.contains("127.0.0.6 ["), "{log}");
        assert!(log.contains(&format!("\"POST {CHAT}\" 200")) && !log.contains("10.9.9.9"), "{log}");
        drop(nginx);
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_learns_the_name_and_the_scheme_that_nginx_was_reached_by() {
    let backend = mirror();
    for shipped in Shipped::BOTH {
        let nginx = Nginx::start(shipped, backend.address());
        let mut request = nginx.client([127, 0, 0, 7]).get(nginx.url("/a%20path?q=%2F"));
        request =
            request.header("x-forwarded-proto", if shipped == Shipped::Host { "http" } else { "https" });
        for (name, value) in SPOOFED {
            request = request.header(*name, *value);
        }
        let head =
            Reply::read(request.send().await.unwrap()).await.json()["head"].as_str().unwrap().to_owned();
        let fields = |name: &str| -> Vec<String> {
            let field = head.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
            field.map(str::to_owned).collect()
        };
        assert!(head.starts_with("get /a%20path?q=%2f http/1.1\r\n"), "{head}");
        let (host, scheme) = match shipped {
            Shipped::Compose => (format!("{NAME}:{}", nginx.plain.port()), "http"),
            // Under its real port, 443, there is none in it.
            Shipped::Host => (NAME.to_owned(), "https"),
        };
        assert_eq!(fields("host"), [host], "{shipped:?}");
        assert_eq!(fields("x-forwarded-proto"), [scheme], "{shipped:?}");
        assert_eq!(fields("x-forwarded-for"), ["127.0.0.7"], "{shipped:?}");
        assert!(fields("connection").is_empty(), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_two_hosts_does_not_bring_the_wrong_one_to_the_server() {
    let backend = mirror();
    for shipped in Shipped::BOTH {
        let nginx = Nginx::start(shipped, backend.address());
        for host in ["evil.example", "evil.example:80", &format!("{NAME}.evil.example")] {
            let answer = nginx.send(&format!(
                "GET https://{NAME}/login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            ));
            match shipped {
                Shipped::Compose => assert!(answer.starts_with("HTTP/1.1 400"), "{host}: {answer}"),
                Shipped::Host => assert!(answer.contains(&format!("host: {NAME}\\r\\n")), "{host}: {answer}"),
            }
            assert!(!answer.contains("evil"), "{host}: {answer}");
        }
        // One name in two spellings is one name.
        let answer = nginx.send(&format!(
            "GET https://{NAME}/login HTTP/1.1\r\nHost: POOL.example.com\r\nConnection: close\r\n\r\n"
        ));
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(&format!("host: {NAME}\\r\\n")),
            "{answer}"
        );
        for bad in ["Host: a b", "Host: a/b", "Host: a\r\nHost: b", "Host: "] {
            let answer = nginx.send(&format!("GET / HTTP/1.1\r\n{bad}\r\nConnection: close\r\n\r\n"));
            assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_configuration_answers_to_its_own_name_only() {
    let backend = mirror();
    let nginx = Nginx::start(Shipped::Host, backend.address());
    let get = |host: &str| format!("GET /x?y=z HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(nginx.send_plain(&get("evil.example")), "");
    assert_eq!(nginx.send_plain(&get("127.0.0.1")), "");
    let answer = nginx.send_plain(&get(NAME));
    assert!(answer.starts_with("HTTP/1.1 301"), "{answer}");
    assert!(answer.contains(&format!("Location: https://{NAME}/x?y=z\r\n")), "{answer}");

    let http = nginx.client([127, 0, 0, 1]);
    let evil = nginx.url("/").replace(NAME, "evil.example");
    let error = http.get(evil).send().await.unwrap_err();
    assert!(error.is_connect(), "the handshake succeeds: {error:?}");
    assert!(nginx.send(&get("evil.example")).starts_with("HTTP/1.1 421"));
    assert!(nginx.send(&get(NAME)).starts_with("HTTP/1.1 200"));

    // certbot's proof is answered without TLS.
    let proofs = nginx.folder.path().join("www/.well-known/acme-challenge");
    std::fs::create_dir_all(&proofs).unwrap();
    std::fs::write(proofs.join("token"), "proof").unwrap();
    let answer = nginx.send_plain(&get(NAME).replace("/x?y=z", "/.well-known/acme-challenge/token"));
    assert!(answer.ends_with("\r\n\r\nproof"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_host_does_not_stand_in_what_others_are_told() {
    for shipped in Shipped::BOTH {
        for public_url in ["", "https://public.example"] {
            let app = TestApp::start_with(&[TRUSTS_NGINX, ("PUBLIC_URL", public_url)]).await;
            app.token().await;
            let nginx = Nginx::start(shipped, app.app.address());
            let request = nginx.client([127, 0, 0, 1]).get(nginx.url("/openclaw.json5")).bearer_auth(TOKEN);
            let request = request.header("x-forwarded-host", "evil.example");
            let request = request.header("x-forwarded-proto", "gopher");
            let reply = Reply::read(request.send().await.unwrap()).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let expected = match (public_url, shipped) {
                ("", Shipped::Compose) => format!("\"http://{NAME}:{}/v1\"", nginx.plain.port()),
                ("", Shipped::Host) => format!("\"https://{NAME}/v1\""),
                (url, _) => format!("\"{url}/v1\""),
            };
            assert!(reply.text().contains(&expected), "{shipped:?}: {expected} {}", reply.text());
            assert!(!reply.text().contains("evil"), "{}", reply.text());
            drop(nginx);
            app.stop().await;
        }
    }
}
