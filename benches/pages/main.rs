//! How fast the admin pages of a large pool are, how much room its usage takes, and whether deleting old rows holds calls up.
//!
//! `cargo bench --bench pages -- --rows 10000000 --folder DIR` makes a pool of 200 channels, 2,000 keys, 5,000 models and a
//! year of calls in `DIR` (unless it is there already), starts OnePool on it and asks for every page. `--retention` deletes
//! about a tenth of the rows in the end, while calls are made. Fails if a figure is missed. docs/performance.md says what the
//! figures are.

mod list;
mod make;
#[path = "../server.rs"]
mod server;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use list::{ROUTES, Visit};
use onepool::{
    model::time::UnixMs,
    storage::{
        Db,
        usage_query::{
            UsageFilter,
            report::{GroupBy, Measure, OrderBy, Question},
            rows::Place,
            steps::{Step, Steps},
        },
    },
};
use serde_json::json;
use server::{COOKIE, Server, now};

const MOST_PAGE: Duration = Duration::from_millis(50);
const MOST_EXPLORER: Duration = Duration::from_millis(300);
const MOST_WIRE_BYTES: usize = 150_000;
const MOST_FIRST_BYTES: usize = 250_000;
const MOST_ROW_BYTES: f64 = 400.0;
const MOST_DELAY: Duration = Duration::from_millis(20);
const TIMES: usize = 9;
const DAY_MS: i64 = 86_400_000;

struct Options {
    rows: u64,
    folder: PathBuf,
    retention: bool,
}

fn options() -> Options {
    let mut options = Options { rows: 1_000_000, folder: PathBuf::new(), retention: false };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        match name.as_str() {
            "--rows" => {
                options.rows = given.next().and_then(|text| text.parse().ok()).expect("--rows NUMBER")
            }
            "--folder" => options.folder = given.next().map(PathBuf::from).expect("--folder DIR"),
            "--retention" => options.retention = true,
            // What cargo adds.
            _ => {}
        }
    }
    options
}

fn main() -> ExitCode {
    // The client wants one, although it speaks no TLS here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut options = options();
    let temporary = tempfile::tempdir().expect("a folder");
    if options.folder.as_os_str().is_empty() {
        temporary.path().clone_into(&mut options.folder);
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let good = runtime.block_on(run(&options));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs it all; says whether every figure holds.
async fn run(options: &Options) -> bool {
    let upstream = upstream(&options.folder);
    let is_new = !options.folder.join("data/onepool.db").exists();
    let db = make::open(&options.folder).await;
    if is_new {
        make::pool(&db, upstream).await;
        make::calls(&db, options.rows).await;
    }
    make::ranking(&db).await;
    db.close().await;
    let mut good = room(&options.folder).await;
    good &= explorer(&options.folder).await;
    let places = places(&options.folder).await;
    let server = Server::start(&options.folder);
    // What begins with the start has its time.
    tokio::time::sleep(Duration::from_secs(5)).await;
    good &= pages(&server, &places).await;
    println!("resident {:.0} MB", server.resident() as f64 / f64::from(1 << 20));
    drop(server);
    if options.retention {
        good &= retention(&options.folder).await;
    }
    good
}

/// How much room a row takes.
async fn room(folder: &Path) -> bool {
    let db = make::open(folder).await;
    let space = db.space().await.expect("the space");
    let rows = db.count_usage_before(UnixMs(i64::MAX)).await.expect("the rows");
    db.close().await;
    let bytes = (space.bytes - space.free_bytes) as f64 / rows as f64;
    let holds = bytes <= MOST_ROW_BYTES;
    println!(
        "{rows} rows, {:.2} GB: {bytes:.0} bytes a row with attempts, indexes and sums{}",
        space.bytes as f64 / 1e9,
        missed(holds)
    );
    holds
}

/// Questions of the usage explorer, without the page around them.
async fn explorer(folder: &Path) -> bool {
    let db = make::open(folder).await;
    let zone = jiff::tz::TimeZone::UTC;
    let now_ms = db.now();
    let midnight = UnixMs(now_ms.0 - now_ms.0.rem_euclid(DAY_MS));
    let mut good = true;
    println!("\n{:<42} {:>9} {:>9}", "question, by each group", "median ms", "worst ms");
    let periods = [
        ("hour", DAY_MS / 24, Step::Quarter),
        ("day", DAY_MS, Step::Hour),
        ("month", 30 * DAY_MS, Step::Day),
    ];
    let year = [("year", 364 * DAY_MS, Step::Day), ("year in weeks", 364 * DAY_MS, Step::Week)];
    for (name, length, step) in periods.into_iter().chain(year) {
        let from =
            if length >= DAY_MS { UnixMs(midnight.0 - length + DAY_MS) } else { UnixMs(now_ms.0 - length) };
        let filter = UsageFilter { from: Some(from), to: None, ..UsageFilter::default() };
        for by in GroupBy::ALL {
            let mut question = Question::new(filter.clone(), *by);
            question.steps = Some(Steps::new(step, from, now_ms, &zone));
            question.series_groups = 8;
            question.measure = Some(Measure::Sum(OrderBy::Requests));
            let times = ask(&db, &question).await;
            good &= print(&format!("{name} by {by}"), &times, MOST_EXPLORER);
        }
        let filters = [
            ("one token", UsageFilter { token: Some(onepool::model::id::TokenId(1)), ..filter.clone() }),
            (
                "one channel",
                UsageFilter { channel: Some(onepool::model::id::ChannelId(7)), ..filter.clone() },
            ),
            ("models by a pattern", UsageFilter { model: Some("vendor-1/*".into()), ..filter.clone() }),
            ("what streams", UsageFilter { stream: Some(true), ..filter.clone() }),
        ];
        for (what, filter) in filters {
            let mut question = Question::new(filter, GroupBy::Model);
            question.steps = Some(Steps::new(step, from, now_ms, &zone));
            question.series_groups = 8;
            question.measure = Some(Measure::Sum(OrderBy::Requests));
            let times = ask(&db, &question).await;
            good &= print(&format!("{name} by model of {what}"), &times, MOST_EXPLORER);
        }
    }
    let mut question = Question::new(UsageFilter::default(), GroupBy::Model);
    let elsewhere = jiff::tz::TimeZone::get("Asia/Shanghai").expect("a zone");
    question.steps = Some(Steps::new(Step::Day, UnixMs(midnight.0 - 364 * DAY_MS), now_ms, &elsewhere));
    question.series_groups = 8;
    print("all by model in days of another clock", &ask(&db, &question).await, Duration::MAX);
    db.close().await;
    good
}

async fn ask(db: &Db, question: &Question) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let began = now();
        let report = db.usage_report(question).await.expect("a report");
        times.push(now() - began);
        assert_eq!(report.groups.iter().map(|group| group.sums.requests).sum::<i64>(), report.sums.requests);
    }
    times.sort();
    times
}

fn print(name: &str, times: &[Duration], most: Duration) -> bool {
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{name:<42} {:>9.1} {:>9.1}{}", ms(median), ms(worst), missed(median <= most));
    median <= most
}

/// A call with a trace id, for the pages of one: the call, its trace id, its token. Its token's calls are being captured.
async fn places(folder: &Path) -> [(&'static str, String); 3] {
    let db = make::open(folder).await;
    let turns = db.turn_page(&UsageFilter::default(), Place::Newest, 1).await.expect("turns");
    let turn = turns.turns.first().expect("a turn");
    let filter = UsageFilter { trace: Some(turn.trace_id.clone()), ..UsageFilter::default() };
    let call = db.usage_page(&filter, Place::Newest, 1).await.expect("calls").rows.remove(0);
    make::capture(&db, folder, turn.token.id, call.request_id).await;
    db.close().await;
    [
        ("{call}", call.request_id.to_string()),
        ("{trace}", turn.trace_id.clone()),
        ("{token}", turn.token.id.to_string()),
    ]
}

/// Asks for every page.
async fn pages(server: &Server, places: &[(&str, String)]) -> bool {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.expect("a client");
    let mut good = true;
    println!(
        "\n{:<58} {:>9} {:>9} {:>10} {:>10}",
        "page", "median ms", "worst ms", "wire bytes", "first load"
    );
    let (cpu, mut asked) = (server.cpu(), 0);
    for (route, visit) in ROUTES {
        let paths = match visit {
            Visit::Page(paths) => paths,
            Visit::No(why) => {
                println!("{route:<58} not measured: {why}");
                continue;
            }
        };
        for path in *paths {
            let path =
                places.iter().fold((*path).to_owned(), |path, (name, value)| path.replace(name, value));
            let (mut times, mut wire, mut text) = (Vec::new(), 0, String::new());
            for turn in 0..TIMES + 2 {
                let get = client.get(server.url(&path)).header("cookie", format!("onepool_session={COOKIE}"));
                let get = if turn == 0 { get } else { get.header("accept-encoding", "br, gzip") };
                let began = now();
                let answer = get.send().await.expect("an answer");
                // A form that says what is wrong with its choices, such as too many models, is a page too.
                assert!(matches!(answer.status().as_u16(), 200 | 422), "{route} {path}: {}", answer.status());
                let body = answer.bytes().await.expect("a body");
                asked += 1;
                match turn {
                    0 => text = String::from_utf8_lossy(&body).into_owned(),
                    1 => wire = body.len(),
                    _ => times.push(now() - began),
                }
            }
            times.sort();
            let mut first = wire;
            for asset in assets(&text) {
                let get = client.get(server.url(&asset)).header("accept-encoding", "br, gzip");
                first += get.send().await.expect("an answer").bytes().await.expect("a body").len();
                asked += 1;
            }
            let most = if *route == "/usage" { MOST_EXPLORER } else { MOST_PAGE };
            let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
            let holds = median <= most && wire <= MOST_WIRE_BYTES && first <= MOST_FIRST_BYTES;
            good &= holds;
            println!(
                "{path:<58} {:>9.1} {:>9.1} {wire:>10} {first:>10}{}",
                ms(median),
                ms(worst),
                missed(holds)
            );
        }
    }
    println!("{asked} requests, {:.1} ms of CPU each", ms(server.cpu() - cpu) / f64::from(asked));
    good
}

/// The files that a page loads with it.
fn assets(page: &str) -> Vec<String> {
    let mut found: Vec<String> = ["href=\"", "src=\""]
        .iter()
        .flat_map(|before| page.split(before).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("/static/"))
        .map(|path| path.replace("&amp;", "&"))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Deletes about a tenth of the rows while calls are made, and compares the longest call with those before.
async fn retention(folder: &Path) -> bool {
    let db = make::open(folder).await;
    let oldest = db.usage_begins().await.expect("the first call").expect("calls");
    let days = u32::try_from((db.now().0 - oldest.0) / DAY_MS * 9 / 10).expect("days");
    let before = UnixMs(db.now().0 - i64::from(days) * DAY_MS);
    println!();
    let mut longest = [Duration::ZERO; 2];
    for (place, kept) in [400, days].into_iter().enumerate() {
        make::set(&db, kept).await;
        let server = Server::start(folder);
        let rows = db.count_usage_before(before).await.expect("rows");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let body = json!({"model": make::model_name(0), "messages": [{"role": "user", "content": "hello"}]})
            .to_string();
        let call = async || {
            let post = client
                .post(server.url("/v1/chat/completions"))
                .bearer_auth(make::token_value(0).expose())
                .header("content-type", "application/json")
                .body(body.clone());
            let began = now();
            let answer = post.send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
            let _ = answer.bytes().await;
            now() - began
        };
        for _ in 0..50 {
            call().await;
        }
        let (began, mut calls) = (now(), 0);
        let mut times = Vec::new();
        let mut left = rows;
        while (place == 0 && now() - began < Duration::from_secs(20)) || (place == 1 && left > 0) {
            for _ in 0..200 {
                times.push(call().await);
                calls += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            left = db.count_usage_before(before).await.expect("rows");
        }
        times.sort();
        longest[place] = times[times.len() - 1];
        println!(
            "{:<34} {calls:>6} calls in {:.0} s, median {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
            if place == 0 {
                "nothing to delete:".to_owned()
            } else {
                format!("while {rows} rows are deleted:")
            },
            (now() - began).as_secs_f64(),
            ms(times[times.len() / 2]),
            ms(times[times.len() * 999 / 1000]),
            ms(longest[place])
        );
    }
    db.close().await;
    let holds = longest[1].saturating_sub(longest[0]) <= MOST_DELAY;
    println!("longest delay{}", missed(holds));
    holds
}

/// Answers every request at once with a small completion, at the address that the pool in the folder was made with.
fn upstream(folder: &Path) -> SocketAddr {
    let note = folder.join("upstream");
    let noted = fs::read_to_string(&note).unwrap_or_else(|_| "127.0.0.1:0".into());
    let listener = TcpListener::bind(noted).expect("the port of the run before is free");
    let address = listener.local_addr().expect("a bound socket");
    fs::create_dir_all(folder).and_then(|()| fs::write(note, address.to_string())).expect("a note");
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else { return };
            std::thread::spawn(move || serve(socket));
        }
    });
    address
}

fn serve(mut socket: TcpStream) {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_800_000_000, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
    })
    .to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let Ok(reading) = socket.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut request = vec![0; length];
        if reader.read_exact(&mut request).is_err() || socket.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn missed(holds: bool) -> &'static str {
    if holds { "" } else { "  MISSED" }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
