//! Upstreams and clients that try to fill the memory.

use std::{io::Read as _, time::Duration};

use tokio::time::Instant;

use super::{Fake, Folder, Server, alone, client};
use crate::support::{
    app::{self, TOKEN},
    upstream::{Fault, answer},
};

/// How much the process may grow, at its highest, above its idle size.
const MOST_GROWTH_KIB: u64 = 64 * 1024;

/// A good call, while something else goes on; how long it took.
async fn good(server: &Server, http: &reqwest::Client) -> Duration {
    let began = Instant::now();
    let reply = server.chat(http, "m", true, "marker=good words=5").await.expect("an answer");
    assert!(reply.done() && reply.content() == answer::text("good", 5), "{}", reply.text());
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_answers_are_refused_in_little_memory_while_others_are_served() {
    const FAULTS: [Fault; 9] = [
        Fault::HugeLine,
        Fault::HugeLineAfterContent,
        Fault::HugeComments,
        Fault::HugeBody,
        Fault::GzipBomb,
        Fault::GzipGarbage,
        Fault::HugeHeader,
        Fault::ManyHeaders,
        Fault::HugeErrorBody,
    ];
    let _alone = alone().await;
    let fake = Fake::start();
    // A fault makes its channel rest, so a stream and a plain call need one each: both are to be met.
    let name = |fault: Fault, stream: bool| format!("{}-{stream}", fault.name());
    let names: Vec<String> =
        FAULTS.iter().flat_map(|&fault| [true, false].map(|stream| name(fault, stream))).collect();
    let folder = Folder::new(&fake, &names).await;
    let server = folder.start(&[]);
    let http = client();
    good(&server, &http).await;
    let idle = server.resident_kib();
    let mut slowest = Duration::ZERO;
    for fault in FAULTS {
        for stream in [true, false] {
            if !fault.applies_to(stream) {
                continue;
            }
            let model = name(fault, stream);
            fake.fail_model(&model, fault).await;
            let bad = async {
                let reply =
                    server.chat(&http, &model, stream, "marker=bad words=5").await.expect("an answer");
                assert!(
                    reply.status >= 400 || !reply.done() && !reply.content().is_empty(),
                    "{fault:?}: {}",
                    reply.status
                );
                reply.status
            };
            let others = async {
                for _ in 0..3 {
                    slowest = slowest.max(good(&server, &http).await);
                }
            };
            let (status, ()) = tokio::join!(bad, others);
            println!("{fault:?}, stream {stream}: {status}, highest so far {} KiB", server.peak_kib());
        }
    }
    let growth = server.peak_kib().saturating_sub(idle);
    println!(
        "hostile answers: resident {idle} KiB idle, +{growth} KiB at the highest; others served within {} ms",
        slowest.as_millis()
    );
    assert!(growth <= MOST_GROWTH_KIB, "{growth} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_to_clients_that_do_not_read_waits_in_little_memory() {
    const READERS: usize = 8;
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(&[]);
    let http = client();
    good(&server, &http).await;
    let idle = server.resident_kib();
    let body = app::chat("m", true, &super::flood()).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut readers: Vec<_> = (0..READERS).map(|_| server.connect(&request)).collect();
    let mut slowest = Duration::ZERO;
    // They read some, slowly; most of the flood has to wait.
    for _ in 0..20 {
        for reader in &mut readers {
            let mut some = [0; 4096];
            assert!(reader.read(&mut some).expect("the stream goes on") > 0);
        }
        slowest = slowest.max(good(&server, &http).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let growth = server.peak_kib().saturating_sub(idle);
    println!(
        "flood to {READERS} slow readers: resident {idle} KiB idle, +{growth} KiB at the highest; others served within {} ms",
        slowest.as_millis()
    );
    assert!(growth <= MOST_GROWTH_KIB, "{growth} KiB");
    drop(readers);
    // Whoever leaves cancels the upstream's work, within two seconds.
    let left = Instant::now();
    while fake.running().await > 0 {
        assert!(left.elapsed() < Duration::from_secs(2), "the upstream goes on though the clients left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rows = folder.rows_once(READERS + 21).await;
    assert_eq!(rows.iter().filter(|row| row["result"] == "client_closed").count(), READERS, "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn huge_requests_are_refused_in_little_memory() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(&[("MAX_BODY_MB", "8")]);
    let http = client();
    good(&server, &http).await;
    let idle = server.resident_kib();
    let post = |body: Vec<u8>, gzip: bool| {
        let mut request = http.post(server.url("/v1/chat/completions")).bearer_auth(TOKEN).body(body);
        if gzip {
            request = request.header("content-encoding", "gzip");
        }
        async { request.send().await.ok().map(|answer| answer.status().as_u16()) }
    };
    let bomb = {
        use std::io::Write as _;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let zeros = vec![b' '; 1 << 20];
        (0..300).for_each(|_| bomb.write_all(&zeros).expect("memory"));
        bomb.finish().expect("memory")
    };
    assert_eq!(post(bomb, true).await, Some(413));
    // The server may close the connection before it has taken all of it.
    assert!(matches!(post(vec![b' '; 100 << 20], false).await, None | Some(413)));
    let deep = format!("{{\"model\":\"m\",\"messages\":{}", "[".repeat(4 << 20));
    assert_eq!(post(deep.into_bytes(), false).await, Some(400));
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = tokio::task::block_in_place(|| {
        use std::io::Write as _;
        let mut stream = server.connect("");
        let _ = stream.write_all(head.as_bytes());
        super::rest(&mut stream)
    });
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    good(&server, &http).await;
    let growth = server.peak_kib().saturating_sub(idle);
    println!("huge requests (8 MB allowed): resident {idle} KiB idle, +{growth} KiB at the highest");
    assert!(growth <= MOST_GROWTH_KIB, "{growth} KiB");
}
