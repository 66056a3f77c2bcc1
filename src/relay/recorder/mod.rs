//! Gets usage rows into the database without making a call wait for it.
//!
//! [`Recorder::record`] resolves when the row is in a journal file: it survives the death of the process then, though
//! not of the power supply (nothing is synced). One write takes all rows that wait. A writer copies the journal to the
//! database within a second, and what an earlier run left behind when it starts; rows are known by their request ids,
//! so that none counts twice. While the journal can't be written, rows wait in bounded memory; while the database can't,
//! they stay in the journal. Both try again by themselves and raise an [`Alarm`] meanwhile.
//!
//! Start reading at [`Recorder::start`]. `journal` knows the files, `driver` moves the rows,
//! `backup` copies the database with the rows that are on their way.

pub mod backup;
mod driver;
mod journal;
pub mod waiting;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{
        recording::{Alarm, Broken},
        time::{Clock, UnixMs},
        usage::UsageRecord,
    },
    storage::Db,
};
use journal::Journal;

/// What a recorder needs.
pub struct Options {
    /// The folder of the journal, `journal` in the data folder; made if it is missing.
    pub folder: PathBuf,
    /// Where the rows go.
    pub db: Db,
    /// What alarms are dated with.
    pub clock: Clock,
    /// Bounds and times.
    pub limits: Limits,
    /// Who is told of rows that have reached the database; must neither wait nor fail.
    pub counted: Option<Counted>,
}

/// Is told of rows that have reached the database, each once.
pub type Counted = Box<dyn Fn(&[UsageRecord]) + Send + Sync>;

/// Bounds and times of a recorder; the defaults are right for a server.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Rows in memory from which on [`Recorder::accepting`] is false. Calls that are under way may still add as many
    /// again; beyond that rows are dropped, which is logged.
    pub waiting_rows: usize,
    /// The longest that a call's end waits for its row.
    pub wait: Duration,
    /// Time between two tries after an error.
    pub retry: Duration,
    /// How long rows are collected before they are copied to the database.
    pub collect: Duration,
    /// How long the database may make no progress before that is an alarm.
    pub database_grace: Duration,
    /// The longest that a shutdown waits for the last rows to reach the database.
    pub shutdown: Duration,
    /// Rows per transaction.
    pub batch_rows: usize,
    /// Bytes after which a new journal file begins.
    pub segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting_rows: 20_000,
            wait: Duration::from_secs(2),
            retry: Duration::from_secs(1),
            collect: Duration::from_millis(400),
            database_grace: Duration::from_secs(3),
            shutdown: Duration::from_secs(10),
            batch_rows: 1_000,
            segment_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Where a row is when [`Recorder::record`] resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// In the journal: it survives the death of the process.
    Journaled,
    /// Still in memory, because the journal could not be written in time; it follows when that works again.
    InMemory,
    /// Dropped: memory's bound was reached.
    Dropped,
}

/// The handle that calls record with. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// What the handles and the driver share.
struct Shared {
    db: Db,
    clock: Clock,
    limits: Limits,
    queue: Mutex<Queue>,
    /// Rows in the queue or in a write that has not succeeded.
    in_memory: AtomicUsize,
    /// Rows that found no room.
    dropped: AtomicU64,
    journal: Arc<Mutex<Journal>>,
    journal_trouble: Mutex<Option<Trouble>>,
    database_trouble: Mutex<Option<Trouble>>,
    /// Rows were queued.
    queued: Notify,
    /// Rows were appended to the journal.
    journaled: Notify,
    /// Someone waits for the database: don't collect rows first.
    hurry: Notify,
    /// The number of the last row that someone waits for.
    wanted: AtomicU64,
    /// The number of the last row that is in the database, with all before it.
    copied: watch::Sender<u64>,
    /// How many rows this recorder has committed.
    committed: watch::Sender<u64>,
    stop: CancellationToken,
    counted: Option<Counted>,
}

/// Rows on their way to the journal. Rows are numbered from 2 on; all that an earlier run left behind count as
/// number 1 ([`journal::REPLAYED`]).
struct Queue {
    /// Whole lines of the journal.
    lines: Vec<u8>,
    /// The same rows, if they are few, so that the journal need not be read to copy them.
    records: Kept,
    rows: usize,
    last_row: u64,
    waiting: Vec<oneshot::Sender<()>>,
    /// The driver has ended.
    closed: bool,
}

/// Rows that are kept in memory beside the journal: all of some, or none, when they are too many.
#[derive(Debug)]
struct Kept(Option<Vec<UsageRecord>>);

/// The most rows that are kept beside a segment of the journal.
const MAX_KEPT_ROWS: usize = 4096;

impl Default for Kept {
    fn default() -> Self {
        Self(Some(Vec::new()))
    }
}

impl Kept {
    fn add(&mut self, more: Self) {
        match (&mut self.0, more.0) {
            (Some(rows), Some(more)) if rows.len() + more.len() <= MAX_KEPT_ROWS => rows.extend(more),
            (rows, _) => *rows = None,
        }
    }
}

#[derive(Debug, Clone)]
struct Trouble {
    since: UnixMs,
    started: Instant,
    detail: String,
    /// Something failed; before that, it only takes its time.
    failed: bool,
}

/// Rows that go to the journal in one write.
struct Group {
    lines: Vec<u8>,
    records: Kept,
    /// The number of the last of them.
    last_row: u64,
    waiting: Vec<oneshot::Sender<()>>,
    rows: usize,
}

/// Locks, also after a panic elsewhere: what these locks guard is consistent between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells those who wait that their rows are in the journal. Whoever stopped waiting does not need to know.
fn confirm(waiting: Vec<oneshot::Sender<()>>) {
    for done in waiting {
        let _ = done.send(());
    }
}

impl Recorder {
    /// A recorder, and the future that does its work, which the caller spawns. That begins with what an earlier run
    /// left in the journal, and ends after [`shutdown`](Self::shutdown). A folder or a database that is not usable is
    /// an alarm, not an error: it may become usable.
    pub fn start(options: Options) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let Options { folder, db, clock, limits, counted } = options;
        let shared = Arc::new(Shared {
            db,
            clock,
            queue: Mutex::new(Queue {
                lines: Vec::new(),
                records: Kept::default(),
                rows: 0,
                last_row: journal::REPLAYED,
                waiting: Vec::new(),
                closed: false,
            }),
            in_memory: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            journal: Arc::new(Mutex::new(Journal::new(folder, limits.segment_bytes))),
            limits,
            journal_trouble: Mutex::new(None),
            database_trouble: Mutex::new(None),
            queued: Notify::new(),
            journaled: Notify::new(),
            hurry: Notify::new(),
            wanted: AtomicU64::new(0),
            copied: watch::Sender::new(0),
            committed: watch::Sender::new(0),
            stop: CancellationToken::new(),
            counted,
        });
        (Self { shared: shared.clone() }, driver::run(shared))
    }

    /// Records a call. The row is queued by this call itself, so dropping the future loses nothing; the future resolves
    /// when the row is in the journal, or after two seconds ([`Limits::wait`]).
    pub fn record(&self, record: UsageRecord) -> impl Future<Output = Durable> + Send + 'static {
        let (done, written) = oneshot::channel();
        let queued = self.push(record, Some(done));
        let wait = self.shared.limits.wait;
        async move {
            if !queued {
                return Durable::Dropped;
            }
            match tokio::time::timeout(wait, written).await {
                Ok(Ok(())) => Durable::Journaled,
                Ok(Err(_)) | Err(_) => Durable::InMemory,
            }
        }
    }

    /// Records a call from where nothing can be awaited, such as a `Drop`. Does not block, except after the driver has
    /// ended, when it writes the row to the journal itself.
    pub fn record_detached(&self, record: UsageRecord) {
        self.push(record, None);
    }

    /// Queues a row; false if it was dropped.
    fn push(&self, record: UsageRecord, done: Option<oneshot::Sender<()>>) -> bool {
        let shared = &*self.shared;
        let line = journal::encode(&record);
        let mut queue = lock(&shared.queue);
        if shared.in_memory.load(Ordering::Relaxed) >= shared.limits.waiting_rows.saturating_mul(2) {
            drop(queue);
            let dropped = shared.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            if dropped.is_power_of_two() {
                tracing::error!(dropped, "dropped usage rows: too many wait for the journal");
            }
            return false;
        }
        shared.in_memory.fetch_add(1, Ordering::Relaxed);
        queue.lines.extend_from_slice(&line);
        queue.records.add(Kept(Some(vec![record])));
        queue.rows += 1;
        queue.last_row += 1;
        queue.waiting.extend(done);
        let closed = queue.closed;
        drop(queue);
        if closed {
            shared.write_late_rows();
        } else {
            shared.queued.notify_one();
        }
        true
    }

    /// Whether new calls may come. False while so many rows wait in memory that further ones might be lost; the relay
    /// then answers 503.
    pub fn accepting(&self) -> bool {
        self.waiting_rows() < self.shared.limits.waiting_rows
    }

    /// How many rows are only in memory.
    pub fn waiting_rows(&self) -> usize {
        self.shared.in_memory.load(Ordering::Relaxed)
    }

    /// What is wrong, if anything is; of two things the more urgent one.
    pub fn alarm(&self) -> Option<Alarm> {
        let alarm = |what| move |Trouble { since, detail, .. }: Trouble| Alarm { since, what, detail };
        let journal = lock(&self.shared.journal_trouble).clone().map(alarm(Broken::Journal));
        journal.or_else(|| {
            lock(&self.shared.database_trouble)
                .clone()
                .filter(|trouble| trouble.started.elapsed() >= self.shared.limits.database_grace)
                .map(alarm(Broken::Database))
        })
    }

    /// How many rows this recorder has brought into the database, as a value that can be waited on.
    pub fn subscribe_committed(&self) -> watch::Receiver<u64> {
        self.shared.committed.subscribe()
    }

    /// Resolves when every row that was recorded before this call, and all that an earlier run left behind, is in the
    /// database: for as long as journal or database fail, not at all. Call it once after the start, before token
    /// spending is loaded.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = self.shared.clone();
        let wanted = lock(&shared.queue).last_row;
        async move {
            shared.wanted.fetch_max(wanted, Ordering::AcqRel);
            shared.hurry.notify_one();
            let mut copied = shared.copied.subscribe();
            // The sender lives in `shared`, so waiting cannot fail.
            let _ = copied.wait_for(|copied| *copied >= wanted).await;
        }
    }

    /// Flushes, but waits no longer than `limit`; says whether everything is in the database.
    pub fn flush_within(&self, limit: Duration) -> impl Future<Output = bool> + Send + 'static {
        let flush = self.flush();
        async move { tokio::time::timeout(limit, flush).await.is_ok() }
    }

    /// Flushes, but at most for [`Limits::shutdown`], then ends the driver. Says whether everything is in the
    /// database; if not, the rest is in the journal for the next start (or was never written, which is logged).
    pub async fn shutdown(&self) -> bool {
        let flushed = self.flush_within(self.shared.limits.shutdown).await;
        self.shared.stop.cancel();
        flushed
    }
}

impl Shared {
    /// Takes all rows that wait.
    fn take_group(&self) -> Group {
        let mut queue = lock(&self.queue);
        Group {
            lines: std::mem::take(&mut queue.lines),
            records: std::mem::take(&mut queue.records),
            last_row: queue.last_row,
            waiting: std::mem::take(&mut queue.waiting),
            rows: std::mem::take(&mut queue.rows),
        }
    }

    /// Writes what is queued after the driver has ended, and closes the journal again.
    fn write_late_rows(&self) {
        let mut journal = lock(&self.journal);
        let Group { lines, mut records, last_row, waiting, rows } = self.take_group();
        if rows > 0 {
            match journal.append(&lines, &mut records, last_row) {
                Ok(()) => confirm(waiting),
                Err(error) => {
                    tracing::error!(rows, %error, "lost usage rows: the journal could not be written")
                }
            }
            self.in_memory.fetch_sub(rows, Ordering::Relaxed);
        }
        journal.close();
    }

    /// Notes that from now on the database owes progress, so that one that neither fails nor answers is noticed too.
    fn expect_progress(&self) {
        let detail = || "the database does not answer".to_owned();
        lock(&self.database_trouble).get_or_insert_with(|| self.trouble(detail()));
    }

    /// Notes that something fails, with a line in the log when that is new.
    fn raise(&self, trouble: &Mutex<Option<Trouble>>, what: Broken, detail: String) {
        let mut trouble = lock(trouble);
        let trouble = trouble.get_or_insert_with(|| self.trouble(String::new()));
        if !trouble.failed {
            tracing::error!(?what, detail, "usage rows cannot be recorded; trying again");
        }
        *trouble = Trouble { detail, failed: true, ..trouble.clone() };
    }

    fn trouble(&self, detail: String) -> Trouble {
        Trouble { since: self.clock.now(), started: Instant::now(), detail, failed: false }
    }

    /// Notes that it works again.
    fn clear(&self, trouble: &Mutex<Option<Trouble>>, what: Broken) {
        if let Some(trouble) = lock(trouble).take().filter(|trouble| trouble.failed) {
            tracing::info!(?what, seconds = trouble.started.elapsed().as_secs(), "recording works again");
        }
    }
}

#[cfg(test)]
mod tests;
