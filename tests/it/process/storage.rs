//! The database or the disk does not do what it should.

use std::{fs, time::Duration};

use sqlx::Connection as _;
use tokio::time::Instant;

use super::{Fake, Folder, alone, client};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_write_lock_of_eight_seconds_fails_no_call() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[]);
    let http = client();
    let url = format!("sqlite://{}", folder.database().display());
    let mut foreign = sqlx::SqliteConnection::connect(&url).await.expect("the database");
    let lock = foreign.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    let locked = Instant::now();
    let (mut calls, mut slowest_call, mut slowest_check) = (0, Duration::ZERO, Duration::ZERO);
    while locked.elapsed() < Duration::from_secs(8) {
        let began = Instant::now();
        let reply = server.chat(&http, "m", calls % 2 == 0, "words=3").await.expect("an answer");
        assert!(reply.status == 200 && reply.whole, "{}", reply.text());
        (calls, slowest_call) = (calls + 1, slowest_call.max(began.elapsed()));
        for path in ["/healthz", "/readyz"] {
            let began = Instant::now();
            assert_eq!(http.get(server.url(path)).send().await.expect("an answer").status(), 200, "{path}");
            slowest_check = slowest_check.max(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    lock.rollback().await.expect("the lock goes");
    println!(
        "write lock of 8 s: {calls} calls, 0 failed, within {} ms; /healthz and /readyz within {} ms",
        slowest_call.as_millis(),
        slowest_check.as_millis()
    );
    assert!(slowest_check < Duration::from_secs(2) && slowest_call < Duration::from_secs(2));
    assert_eq!(folder.rows_once(calls).await.len(), calls);
    folder.check_sums().await;
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
}

/// A file in place of the journal's folder is what a full disk looks like to the recorder: no new file can be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_the_journal_cannot_be_written_and_their_rows_follow() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut server = folder.start(&[]);
    let http = client();
    assert!(server.chat(&http, "m", true, "words=3").await.expect("an answer").done());
    folder.rows_once(1).await;
    let (journal, away) = (folder.data().join("journal"), folder.data().join("journal.away"));
    fs::rename(&journal, &away).expect("the journal goes");
    fs::write(&journal, "").expect("a file");
    let mut slowest = Duration::ZERO;
    for number in 0..4 {
        let began = Instant::now();
        let reply = server.chat(&http, "m", number % 2 == 0, "words=3").await.expect("an answer");
        assert!(reply.status == 200 && reply.whole, "{}", reply.text());
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    fs::remove_file(&journal).expect("our file");
    fs::rename(&away, &journal).expect("the journal comes back");
    assert_eq!(folder.rows_once(5).await.len(), 5);
    println!("no journal: 4 calls, 0 failed, within {} ms; all rows followed", slowest.as_millis());
    folder.check_sums().await;
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    assert!(folder.log().contains("usage rows cannot be recorded"), "{}", folder.log());
}
