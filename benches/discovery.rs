//! What asking upstreams for their models costs, and the pages that show them: CPU, memory, time and bytes of a release build with
//! 20 channels of 5,000 models each, against lists from loopback. `cargo bench --bench discovery` prints it and fails if a figure
//! is missed. docs/performance.md says what the figures are.

#[path = "server.rs"]
mod server;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use onepool::{
    model::{
        channel::ChannelModel,
        key::PastedKey,
        secret::{Secret, SecretHash},
        time::Clock,
    },
    pool::rules::MAX_MODELS,
    storage::{Db, access_tokens::new_access_token, channels::NewChannel, password, vault::Vault},
};
use serde_json::{Value, json};
use server::{COOKIE, MASTER_KEY, Server, now, resident};

const CHANNELS: usize = 20;
const MODELS: usize = 5000;
const MOST_CPU: Duration = Duration::from_secs(2);
const MOST_MEMORY: u64 = 60 << 20;
const MOST_PAGE: Duration = Duration::from_millis(50);
const MOST_WIRE_BYTES: usize = 150_000;
const TIMES: usize = 21;

fn main() -> ExitCode {
    // The client wants one, although it speaks no TLS here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let lists = Lists::start();
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let token = runtime.block_on(set_up(&folder.path().join("data"), lists.address));
    let server = Server::start(folder.path());
    let good = runtime.block_on(measure(&server, &lists, &token));
    drop(server);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs it all; says whether every figure holds.
async fn measure(server: &Server, lists: &Lists, token: &Secret) -> bool {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut good = true;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.resident();
    println!(
        "{CHANNELS} channels of {MODELS} models, lists of {:.1} MB each; idle {:.1} MB",
        lists.megabytes(),
        mb(idle)
    );
    println!("{:<34} {:>8} {:>10} {:>8}", "refresh of all channels", "CPU s", "MB more", "s");
    for (round, name) in ["first list", "the same list", "5 % changed, 5 % others"].into_iter().enumerate() {
        lists.round.store(round, Ordering::SeqCst);
        let (cpu, began, peak) = (server.cpu(), now(), Peak::watch(server.child.id()));
        let ask = client.post(server.url("/api/discovered-models/refresh")).bearer_auth(token.expose());
        assert!(ask.send().await.expect("an answer").status().is_success(), "the round begins");
        let progress = loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let ask = client.get(server.url("/api/discovered-models/refresh")).bearer_auth(token.expose());
            let progress: Value = ask.send().await.expect("an answer").json().await.expect("JSON");
            if progress["running"] == false {
                break progress;
            }
        };
        assert_eq!(progress["models"], CHANNELS * MODELS, "{progress}");
        let (cpu, took) = (server.cpu() - cpu, now() - began);
        let more = peak.end().saturating_sub(idle);
        let holds = cpu <= MOST_CPU && more <= MOST_MEMORY;
        good &= holds;
        let (cpu, took) = (cpu.as_secs_f64(), took.as_secs_f64());
        println!("{name:<34} {cpu:>8.2} {:>10.1} {took:>8.2}{}", mb(more), missed(holds));
    }
    println!("\n{:<46} {:>9} {:>9} {:>10} {:>10}", "page", "median ms", "worst ms", "wire bytes", "bytes");
    for path in [
        "/upstream-models",
        "/upstream-models?page=500",
        "/upstream-models?page=1000",
        "/upstream-models?q=model-0499",
        "/upstream-models?q=nothing-has-this-name",
        "/upstream-models?show=free&q=0499",
        "/upstream-models?show=callable",
        "/upstream-models?show=new&page=900",
        "/upstream-models?show=gone",
        "/upstream-models?channel=7&show=new",
        "/channels",
        "/channels/1",
        "/channels/7",
        "/channels/1?q=model-04",
        "/chains/new",
        "/tokens/new",
        "/capacity",
        "/openclaw",
    ] {
        let mut times = Vec::new();
        let (mut wire, mut bytes) = (0, 0);
        for turn in 0..TIMES + 2 {
            let get = client.get(server.url(path)).header("cookie", format!("onepool_session={COOKIE}"));
            let get = if turn == 0 { get } else { get.header("accept-encoding", "gzip") };
            let began = now();
            let answer = get.send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "{path}");
            let body = answer.bytes().await.expect("a body");
            match turn {
                0 => bytes = body.len(),
                1 => wire = body.len(),
                _ => times.push(now() - began),
            }
        }
        times.sort();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        let holds = median <= MOST_PAGE && wire <= MOST_WIRE_BYTES;
        good &= holds;
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!("{path:<46} {:>9.1} {:>9.1} {wire:>10} {bytes:>10}{}", ms(median), ms(worst), missed(holds));
    }
    good
}

fn missed(holds: bool) -> &'static str {
    if holds { "" } else { "  MISSED" }
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Serves a list per channel, in the shape of OpenRouter's.
struct Lists {
    address: SocketAddr,
    round: Arc<AtomicUsize>,
    bytes: usize,
}

impl Lists {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let round = Arc::new(AtomicUsize::new(0));
        // Made before anything is measured.
        let bodies: Arc<Vec<Vec<String>>> = Arc::new(
            (0..3).map(|round| (0..CHANNELS).map(|channel| list(channel, round)).collect()).collect(),
        );
        let bytes = bodies[0][0].len();
        let wanted = round.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (Ok(socket), bodies, wanted) = (socket, bodies.clone(), wanted.clone()) else { return };
                std::thread::spawn(move || serve(socket, &bodies, &wanted));
            }
        });
        Self { address, round, bytes }
    }

    fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }
}

fn serve(mut socket: TcpStream, bodies: &[Vec<String>], round: &AtomicUsize) {
    let Ok(reading) = socket.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let channel = head.strip_prefix("GET /").and_then(|rest| rest.split('/').next()?.parse().ok());
        let body = &bodies[round.load(Ordering::SeqCst)][channel.unwrap_or(0)];
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())).is_err() {
            return;
        }
    }
}

fn list(channel: usize, round: usize) -> String {
    let model = |number: usize| {
        let name = if round == 2 && number % 20 == 7 { "another" } else { "model" };
        let window = if round == 2 && number % 20 == 3 { 262_144 } else { 131_072 };
        let price = if number.is_multiple_of(3) { "0" } else { "0.0000004" };
        json!({
            "id": format!("vendor-{}/{name}-{number:04}-of-a-usual-length:c{channel}", number % 40),
            "canonical_slug": format!("vendor-{}/{name}-{number:04}", number % 40),
            "name": format!("Vendor {}: Model {number}", number % 40),
            "created": 1_780_000_000 + number, "context_length": window,
            "description": "A model that is described at some length, as the lists of vendors do. ".repeat(6),
            "architecture": {"modality": "text+image->text", "input_modalities": ["text", "image"],
                "output_modalities": ["text"], "tokenizer": "Other", "instruct_type": null},
            "pricing": {"prompt": price, "completion": price, "request": "0", "image": "0"},
            "top_provider": {"context_length": window, "max_completion_tokens": 65_536, "is_moderated": false},
            "supported_parameters": ["max_tokens", "temperature", "tools", "tool_choice", "reasoning", "top_p"],
        })
    };
    json!({ "data": (0..MODELS).map(model).collect::<Vec<Value>>() }).to_string()
}

/// A pool of channels of which one offers all of its models; gives an access token.
async fn set_up(data: &Path, upstream: SocketAddr) -> Secret {
    fs::create_dir(data).expect("a data folder");
    let vault = Vault::new(&Secret::new(MASTER_KEY));
    let clock = Clock::system();
    let db = Db::open(&data.join("onepool.db"), vault, clock.clone()).await.expect("a database");
    let user =
        db.create_account("admin", &password::hash("bench, not a secret"), false).await.expect("an account");
    db.create_session(user, &SecretHash::of(COOKIE), "127.0.0.1", "bench", clock.now())
        .await
        .expect("a session");
    for channel in 0..CHANNELS {
        let offered = if channel == 0 { MAX_MODELS } else { 1 };
        let model = |number: usize| ChannelModel {
            name: format!("vendor-{}/model-{number:04}-of-a-usual-length:c{channel}", number % 40),
            ..ChannelModel::default()
        };
        let new = NewChannel {
            name: format!("Channel {channel}"),
            provider: "openrouter".into(),
            base_url: format!("http://{upstream}/{channel}"),
            allow_private: true,
            enabled: true,
            weight: 1,
            models: (0..offered).map(model).collect(),
            ..NewChannel::default()
        };
        let id = db.create_channel(&new).await.expect("a channel");
        let key = PastedKey {
            label: String::new(),
            secret: Secret::new(format!("sk-upstream-of-{channel}")),
            quota_group: None,
            limits: Vec::new(),
            budget: None,
        };
        db.add_keys(id, &[key]).await.expect("a key");
    }
    let token = new_access_token();
    db.create_access_token(user, "bench", &token, None).await.expect("an access token");
    db.close().await;
    token
}

/// The most memory that a process takes while it is watched, looked at every 2 ms.
struct Peak {
    stop: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    watching: std::thread::JoinHandle<()>,
}

impl Peak {
    fn watch(pid: u32) -> Self {
        let (stop, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ending, note) = (stop.clone(), most.clone());
        let watching = std::thread::spawn(move || {
            while !ending.load(Ordering::SeqCst) {
                note.fetch_max(resident(pid), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { stop, most, watching }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.watching.join();
        self.most.load(Ordering::SeqCst)
    }
}
