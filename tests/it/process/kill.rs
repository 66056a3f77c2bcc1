//! The process dies at any moment.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use onepool::{
    model::{
        id::ChannelId,
        limit::{Limit, Metric, Models, Per, Source, Window},
        secret::Secret,
        time::Clock,
    },
    storage::{Db, vault::Vault},
};

use super::{Fake, Folder, KEY, MASTER_KEY, SOON, alone, beside, chat, client, is_release, middle_and_most};
use crate::support::{
    app::{self, Reply},
    upstream::answer,
};

const ROUNDS: usize = 20;
const CLIENTS: usize = 32;

/// What clients know of all their calls.
#[derive(Default)]
struct Known {
    /// The trace ids of all calls that were sent.
    sent: HashSet<String>,
    /// The request ids that were told, by trace id.
    told: HashMap<String, String>,
    /// The trace ids of answers that came whole, with the pieces of each.
    whole: HashMap<String, i64>,
}

/// One call: its trace id, its number of words, whether it is a stream, and what came.
type Made = (String, usize, bool, Option<Reply>);

/// Makes calls until one fails; counts the whole answers.
async fn keep_calling(
    address: SocketAddr,
    numbers: Arc<AtomicUsize>,
    answers: Arc<AtomicUsize>,
) -> Vec<Made> {
    let http = client();
    let mut made = Vec::new();
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let (trace, words, stream) = (format!("{number:032x}"), number % 23, !number.is_multiple_of(3));
        let prompt = format!("marker=k{number} words={words} delay={}", number % 4);
        let reply = chat(&http, address, "m", stream, &prompt, &trace).await;
        let failed = reply.as_ref().is_none_or(|reply| !reply.whole || reply.status != 200);
        made.push((trace, words, stream, reply));
        if failed {
            return made;
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

impl Known {
    fn learn(&mut self, (trace, words, stream, reply): Made) {
        self.sent.insert(trace.clone());
        let Some(reply) = reply else { return };
        assert_eq!(reply.status, 200, "{}", reply.text());
        let id = reply.header("x-request-id").expect("every answer has its id").to_owned();
        self.told.insert(trace.clone(), id);
        if if stream { reply.done() } else { reply.whole } {
            let number = usize::from_str_radix(&trace, 16).expect("our own trace id");
            assert_eq!(reply.content(), answer::text(&format!("k{number}"), words));
            self.whole.insert(trace, words as i64 + 1);
        }
    }

    /// Compares what clients know with the rows.
    async fn check(&self, folder: &Folder) {
        use sqlx::Connection as _;
        let url = format!("sqlite://{}", folder.database().display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the database");
        let rows: Vec<(String, String, String, i64)> =
            sqlx::query_as("SELECT request_id, trace_id, result, completion_tokens FROM usage")
                .fetch_all(&mut connection)
                .await
                .expect("the rows");
        let mut by_trace = HashMap::new();
        for (id, trace, result, completion) in &rows {
            assert!(self.sent.contains(trace), "a row that nobody caused: {id}");
            assert!(self.told.get(trace).is_none_or(|told| told == id), "a row under another id: {id}");
            assert!(by_trace.insert(trace, (result, completion)).is_none(), "two rows for one call: {id}");
        }
        for (trace, pieces) in &self.whole {
            let (result, completion) = by_trace.get(trace).expect("a whole answer has no row");
            assert_eq!((result.as_str(), **completion), ("ok", *pieces), "the row of a whole answer");
        }
        folder.check_sums().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_no_whole_answer_and_count_none_twice() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let mut known = Known::default();
    // A trace id of zeros would be none.
    let numbers = Arc::new(AtomicUsize::new(1));
    let mut ready = Vec::new();
    for round in 0..ROUNDS {
        let mut server = folder.start(&[]);
        ready.push(server.ready_after);
        known.check(&folder).await;
        let answers = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| beside(keep_calling(server.address, numbers.clone(), answers.clone())))
            .collect();
        // At another moment each time: while the journal is written, while it is copied, and in between.
        let (began, wanted) = (Instant::now(), 10 + round * 17 % 120);
        while answers.load(Ordering::Relaxed) < wanted && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(round as u64 * 7 % 50)).await;
        server.kill();
        for client in clients {
            client.await.expect("a client").into_iter().for_each(|made| known.learn(made));
        }
    }
    let mut server = folder.start(&[]);
    ready.push(server.ready_after);
    known.check(&folder).await;
    let (sent, whole, cut) = (known.sent.len(), known.whole.len(), known.sent.len() - known.whole.len());
    let rows = app::number(&folder.database(), "SELECT COUNT(*) FROM usage").await;
    let (middle, most) = middle_and_most(&mut ready);
    println!(
        "kill -9: {ROUNDS} rounds, {CLIENTS} clients: {sent} calls, {whole} whole, {cut} cut, {rows} rows; 0 whole without a \
         row, 0 duplicates, 0 phantoms; ready after {middle} ms (middle), {most} ms (most)"
    );
    assert!(whole >= ROUNDS * CLIENTS, "only {whole} answers: no load");
    assert!(cut >= ROUNDS, "only {cut} answers were cut: no kill under load");
    let bound = if is_release() { 500 } else { 2000 };
    assert!(most <= bound, "ready after {most} ms");
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    known.check(&folder).await;
    assert!(!folder.log().contains("panic"), "{}", folder.log());
}

/// Calls that a limit allows in its window, and the window. The operator says a second more than the upstream enforces, since
/// on a busy machine calls overtake each other by as much.
const ALLOWED: u64 = 20;
const WINDOW_MS: u64 = 8_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_window_sends_no_more_than_the_limit() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let vault = Vault::new(&Secret::new(MASTER_KEY));
    let db = Db::open(&folder.database(), vault, Clock::system()).await.expect("the database");
    let channel = ChannelId(1);
    let window = Window::Rolling { ms: WINDOW_MS + 1_000 };
    let (models, source) = (Models::default(), Source::Declared);
    let limit = Limit { models, per: Per::Key, metric: Metric::Requests, window, max: ALLOWED, source };
    db.set_limits(channel, None, &[limit]).await.expect("a limit");
    db.close().await;
    fake.limit_key(KEY, ALLOWED, WINDOW_MS).await;

    let answers = Arc::new(AtomicUsize::new(0));
    for (round, wanted) in [8, 25, 40].into_iter().enumerate() {
        let mut server = folder.start(&[]);
        let numbers = Arc::new(AtomicUsize::new(round * 10_000));
        let clients: Vec<_> =
            (0..6).map(|_| beside(keep_calling(server.address, numbers.clone(), answers.clone()))).collect();
        let began = Instant::now();
        while answers.load(Ordering::Relaxed) < wanted && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        for client in clients {
            client.await.expect("a client");
        }
    }
    let served = answers.load(Ordering::Relaxed);
    assert!(served >= 40, "only {served} answers");
    // What the upstream refused has no content.
    let calls = fake.calls().await;
    let ended = |call: &&serde_json::Value| {
        let wordless = call["body"].to_string().contains("words=0 ");
        call["end"] == "Finished" && call["body"]["stream"] == true && !wordless
    };
    let refused = calls.iter().filter(ended).filter(|call| call["pieces"] == 0).count();
    println!("kill -9 within a window: {} calls, {served} answers, {refused} refused", calls.len());
    assert_eq!(refused, 0);
}
