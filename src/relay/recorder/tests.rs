//! What the recorder promises, against a real database file and a real journal.

use std::path::Path;

use tokio::task::JoinSet;

use super::*;
use crate::{
    model::{id::TokenId, token::QuotaUnit},
    storage::recording::tests::{all_sums, number, open, record},
};

/// A recorder on a folder's database, with short times.
struct Running {
    recorder: Recorder,
    db: Db,
    driver: JoinSet<()>,
}

impl Running {
    async fn start(folder: &Path, collect: Duration) -> Self {
        Self::start_waiting(folder, collect, Duration::from_secs(30)).await
    }

    async fn start_waiting(folder: &Path, collect: Duration, wait: Duration) -> Self {
        let limits = Limits {
            waiting_rows: 4,
            wait,
            retry: Duration::from_millis(20),
            database_grace: Duration::from_millis(50),
            shutdown: Duration::from_millis(300),
            collect,
            batch_rows: 7,
            ..Limits::default()
        };
        Self::start_with(folder, limits).await
    }

    async fn start_with(folder: &Path, limits: Limits) -> Self {
        let db = open(folder).await;
        let (recorder, run) = Recorder::start(Options {
            folder: folder.join("journal"),
            db: db.clone(),
            clock: Clock::manual(UnixMs(5)),
            limits,
            counted: None,
        });
        let mut driver = JoinSet::new();
        driver.spawn(run);
        Self { recorder, db, driver }
    }

    /// Ends as after kill -9: nothing more is copied.
    async fn crash(mut self) {
        self.driver.shutdown().await;
    }

    /// (rows, requests in the sums, attempts, tokens spent)
    async fn sums(&self) -> (i64, i64, i64, i64) {
        (
            number(&self.db, "SELECT COUNT(*) FROM usage").await,
            all_sums(&self.db).await.requests,
            number(&self.db, "SELECT COUNT(*) FROM attempts").await,
            self.db.spent(TokenId(1), QuotaUnit::Tokens, UnixMs(0)).await.unwrap(),
        )
    }
}

/// What `sums` says when the calls 1 to `n` were recorded.
fn sums_of(n: i64) -> (i64, i64, i64, i64) {
    (n, n, 2 * n, (1..=n).map(|n| 10 + n).sum())
}

const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(1);

async fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

/// The names of the journal's files, without its lock.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lock")
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_recorded_call_reaches_the_database_by_itself_and_its_journal_file_goes() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), SOON).await;
    let mut committed = running.recorder.subscribe_committed();
    assert_eq!(running.recorder.record(record(1)).await, Durable::Journaled);
    running.recorder.record_detached(record(2));
    committed.wait_for(|committed| *committed == 2).await.unwrap();
    assert_eq!(running.sums().await, sums_of(2));
    running.recorder.flush().await;
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(running.recorder.alarm(), None);
}

#[tokio::test]
async fn a_row_is_queued_by_the_call_itself_even_if_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), NEVER).await;
    drop(running.recorder.record(record(1)));
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(1));
}

#[tokio::test]
async fn what_a_killed_process_had_confirmed_is_counted_exactly_once_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), NEVER).await;
    // The first look into the journal is over then, and the next one is far away.
    running.recorder.flush().await;
    for n in 1..=20 {
        assert_eq!(running.recorder.record(record(n)).await, Durable::Journaled);
    }
    assert_eq!(running.sums().await, sums_of(0));
    running.crash().await;

    let running = Running::start(folder.path(), NEVER).await;
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(20));
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_journal_that_was_copied_but_not_deleted_adds_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), NEVER).await;
    // The first look into the journal is over then, and the next one is far away.
    running.recorder.flush().await;
    for n in 1..=20 {
        running.recorder.record(record(n)).await;
    }
    running.crash().await;
    let name = &files(folder.path())[0];
    let segment = folder.path().join("journal").join(name);
    let rows = std::fs::read(&segment).unwrap();
    for _ in 0..2 {
        std::fs::write(&segment, &rows).unwrap();
        let running = Running::start(folder.path(), NEVER).await;
        running.recorder.flush().await;
        assert_eq!(running.sums().await, sums_of(20));
        running.crash().await;
    }
}

#[tokio::test]
async fn a_torn_tail_is_skipped_and_a_damaged_file_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let lines = |numbers: std::ops::RangeInclusive<u32>| -> Vec<u8> {
        numbers.flat_map(|n| journal::encode(&record(n))).collect()
    };
    let mut torn = lines(1..=3);
    torn.truncate(torn.len() - 9);
    std::fs::write(journal.join("00000000000000000007.log"), torn).unwrap();
    let mut damaged = lines(3..=5);
    damaged.splice(30..30, *b"?");
    damaged.extend(lines(3..=3));
    std::fs::write(journal.join("00000000000000000008.log"), damaged).unwrap();

    let running = Running::start(folder.path(), NEVER).await;
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(5));
    assert_eq!(files(folder.path()), ["00000000000000000008.bad"]);
    assert_eq!(running.recorder.alarm(), None);
}

#[tokio::test]
async fn a_flush_with_a_limit_ends_in_time_and_says_whether_rows_are_still_on_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), NEVER).await;
    let other = open(folder.path()).await;
    let lock = other.begin().await.unwrap();
    assert_eq!(running.recorder.record(record(1)).await, Durable::Journaled);
    assert!(!running.recorder.flush_within(Duration::from_millis(50)).await);
    lock.rollback().await.unwrap();
    assert!(running.recorder.flush_within(Duration::from_secs(30)).await);
    assert_eq!(running.sums().await, sums_of(1));
}

#[tokio::test]
async fn a_locked_database_delays_rows_without_losing_any_or_holding_up_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), SOON).await;
    let other = open(folder.path()).await;
    let lock = other.begin().await.unwrap();
    for n in 1..=30 {
        assert_eq!(running.recorder.record(record(n)).await, Durable::Journaled);
    }
    until("the alarm", || running.recorder.alarm().is_some()).await;
    let alarm = running.recorder.alarm().unwrap();
    assert_eq!((alarm.what, alarm.since), (Broken::Database, UnixMs(5)));
    assert!(running.recorder.accepting());
    lock.rollback().await.unwrap();
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(30));
    until("the end of the alarm", || running.recorder.alarm().is_none()).await;
}

#[tokio::test]
async fn a_shutdown_with_a_locked_database_ends_in_time_and_leaves_the_rows_to_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(folder.path(), SOON).await;
    let other = open(folder.path()).await;
    let lock = other.begin().await.unwrap();
    for n in 1..=3 {
        running.recorder.record(record(n)).await;
    }
    assert!(!running.recorder.shutdown().await);
    running.driver.join_next().await.unwrap().unwrap();
    running.recorder.record_detached(record(4));
    lock.rollback().await.unwrap();

    let running = Running::start(folder.path(), SOON).await;
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(4));
}

#[tokio::test]
async fn an_unwritable_journal_delays_a_call_only_shortly_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be: unlike permissions, that stops root as well.
    std::fs::write(folder.path().join("journal"), "").unwrap();
    let running = Running::start_waiting(folder.path(), SOON, Duration::from_millis(50)).await;
    let asked = Instant::now();
    assert_eq!(running.recorder.record(record(1)).await, Durable::InMemory);
    assert!(asked.elapsed() < Duration::from_secs(2));
    let alarm = running.recorder.alarm().unwrap();
    assert_eq!((alarm.what, alarm.since), (Broken::Journal, UnixMs(5)));
    assert!(!alarm.detail.is_empty());

    std::fs::remove_file(folder.path().join("journal")).unwrap();
    running.recorder.flush().await;
    assert_eq!(running.sums().await, sums_of(1));
    until("the end of the alarm", || running.recorder.alarm().is_none()).await;
    assert_eq!(running.recorder.waiting_rows(), 0);
}

#[tokio::test]
async fn at_the_bound_new_calls_are_refused_while_calls_under_way_are_still_kept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("journal"), "").unwrap();
    let running = Running::start(folder.path(), SOON).await;
    for n in 1..=3 {
        running.recorder.record_detached(record(n));
    }
    assert!(running.recorder.accepting());
    running.recorder.record_detached(record(4));
    assert!(!running.recorder.accepting());
    for n in 5..=8 {
        running.recorder.record_detached(record(n));
    }
    assert_eq!(running.recorder.record(record(9)).await, Durable::Dropped);

    std::fs::remove_file(folder.path().join("journal")).unwrap();
    running.recorder.flush().await;
    assert!(running.recorder.accepting());
    assert_eq!(running.sums().await, sums_of(8));
}

#[tokio::test]
async fn a_shutdown_brings_everything_to_the_database_and_ends_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    let mut running =
        Running::start_with(folder.path(), Limits { collect: NEVER, ..Limits::default() }).await;
    for n in 1..=500 {
        running.recorder.record_detached(record(n));
    }
    assert!(running.recorder.shutdown().await);
    running.driver.join_next().await.unwrap().unwrap();
    assert_eq!(running.sums().await, sums_of(500));
}

#[tokio::test]
async fn by_default_a_call_waits_two_seconds_at_most_and_rows_are_copied_within_one() {
    let limits = Limits::default();
    assert_eq!(limits.wait, Duration::from_secs(2));
    assert!(limits.collect < Duration::from_secs(1));
}
