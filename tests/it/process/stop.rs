//! The process is asked to stop.

use std::{net::TcpStream, time::Duration};

use tokio::time::Instant;

use super::{Fake, Folder, alone, chat, client};
use crate::support::upstream::answer;

const ROUNDS: usize = 4;
const CALLS: usize = 32;

/// Waits until so many calls run at the fake.
async fn running(fake: &Fake, calls: usize) {
    let deadline = Instant::now() + super::SOON;
    while fake.running().await < calls {
        assert!(Instant::now() < deadline, "the calls do not reach the upstream");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_cuts_no_answer_that_ends_in_time() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut most = Duration::ZERO;
    for round in 1..=ROUNDS {
        fake.forget().await;
        let mut server = folder.start(&[("DRAIN_SECONDS", "20")]);
        let address = server.address;
        let calls: Vec<_> = (0..CALLS)
            .map(|number| {
                tokio::spawn(async move {
                    let stream = number % 2 == 0;
                    let pace = if stream { "delay=150" } else { "first=3000" };
                    let marker = format!("r{round}n{number}");
                    let prompt = format!("marker={marker} words=20 {pace}");
                    let reply = chat(&client(), address, "m", stream, &prompt, "").await.expect("an answer");
                    assert!(reply.whole && (!stream || reply.done()), "cut: {}", reply.text());
                    assert_eq!(reply.content(), answer::text(&marker, 20));
                })
            })
            .collect();
        running(&fake, CALLS).await;
        let signalled = Instant::now();
        server.signal("TERM");
        // The listener is closed as soon as the signal is seen.
        while TcpStream::connect(address).is_ok() {
            assert!(
                signalled.elapsed() < Duration::from_secs(2),
                "new connections are taken while it drains"
            );
        }
        assert!(calls.iter().any(|call| !call.is_finished()), "the load ended too soon");
        for call in calls {
            call.await.expect("an answer was cut");
        }
        assert_eq!(server.exit().await, Some(0));
        most = most.max(signalled.elapsed());
        let rows = folder.rows().await;
        assert_eq!(rows.len(), round * CALLS);
        assert!(rows.iter().all(|row| row["result"] == "ok"), "{rows:#?}");
        folder.check_sums().await;
    }
    println!(
        "SIGTERM: {ROUNDS} rounds of {CALLS} answers: 0 cut, exit 0 after at most {} ms",
        most.as_millis()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_stream_ends_with_an_error_event_when_the_drain_time_is_over() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[("DRAIN_SECONDS", "1")]);
    let address = server.address;
    let endless = |prompt: &'static str| {
        tokio::spawn(async move { chat(&client(), address, "m", true, prompt, "").await.expect("an answer") })
    };
    let slow = endless("marker=slow words=1000000 delay=100");
    let fast = endless("marker=fast words=100000000");
    // One that has no content yet.
    let silent = endless("marker=silent first=600000");
    running(&fake, 3).await;
    let signalled = Instant::now();
    server.signal("TERM");
    for stream in [slow, fast] {
        let reply = stream.await.expect("a client");
        assert!(reply.whole, "the connection was cut");
        let text = reply.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap_or_default();
        assert!(last.starts_with("data: {\"error\":") && last.contains("shutting_down"), "{last}");
        assert!(!text.contains("[DONE]"));
    }
    let reply = silent.await.expect("a client");
    assert_eq!((reply.status, reply.code().as_str()), (503, "shutting_down"), "{}", reply.text());
    assert_eq!(server.exit().await, Some(0));
    let took = signalled.elapsed();
    println!(
        "SIGTERM with endless streams: exit 0 after {} ms with a drain time of 1000 ms",
        took.as_millis()
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    let rows = folder.rows().await;
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["result"] == "shutting_down"), "{rows:#?}");
    folder.check_sums().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_at_once_and_leaves_the_database_whole() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[("DRAIN_SECONDS", "3600")]);
    let address = server.address;
    let whole = server.chat(&client(), "m", true, "words=3").await.expect("an answer");
    assert!(whole.done());
    let call =
        tokio::spawn(async move { chat(&client(), address, "m", true, "words=1000000 delay=50", "").await });
    running(&fake, 1).await;
    server.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.child.try_wait().expect("it ran").is_none(), "it did not wait for the stream");
    let signalled = Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(1));
    println!("second SIGTERM: exit after {} ms", signalled.elapsed().as_millis());
    assert!(signalled.elapsed() < Duration::from_secs(2), "{:?}", signalled.elapsed());
    assert!(call.await.expect("a client").is_none_or(|reply| !reply.done()));
    // Its row may be lost with it, the finished one's may not.
    let _again = folder.start(&[]);
    assert!(folder.rows().await.iter().any(|row| row["result"] == "ok"));
    folder.check_sums().await;
}
