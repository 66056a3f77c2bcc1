//! The real program as a process of its own, with the fake upstream as another one: what happens when it is killed,
//! stopped, flooded, starved or attacked.
//!
//! `ONEPOOL_BINARY` runs these tests against another build, such as `target/release/onepool`; `scripts/measure-streams`
//! does so. These tests measure time and memory, so they run one at a time.

mod backup;
mod hostile;
mod kill;
mod rotation;
mod secrets;
mod slow_clients;
mod stop;
mod storage;
mod streams;
mod uploads;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use onepool::{
    model::{
        channel::Timeouts,
        key::PastedKey,
        secret::Secret,
        time::Clock,
        token::{ClientProfile, Quota, QuotaReset, QuotaUnit},
    },
    storage::{Db, channels::NewChannel, password, tokens::NewToken, vault::Vault},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
    time::Instant,
};

use crate::support::{
    app::{self, Reply, TOKEN},
    upstream::Fault,
};

/// Longer than anything here takes on a busy machine, where nothing else is said.
const SOON: Duration = Duration::from_secs(30);
/// The master key of every folder here.
const MASTER_KEY: &str = "Vm3kTq81-Zx90LwPe-47HsRyNb-Gd26JcUa";
/// The password of the account `admin`.
const PASSWORD: &str = "Hq7.wLz2-rM9tXc4v";
/// The upstream key of every channel here.
const KEY: &str = "sk-Fp83KxQmZ2dWn61RsYvB7hTjLc40Ge95";

static ALONE: Mutex<()> = Mutex::const_new(());

/// Waits until no other test of this module runs.
async fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().await
}

/// Lets this process, and those that it starts, open as many files as the system allows.
fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a higher soft limit");
}

/// The program under test.
fn program() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tells the tests which build to run")]
    let given = std::env::var("ONEPOOL_BINARY");
    given.map_or_else(|_| env!("CARGO_BIN_EXE_onepool").into(), PathBuf::from)
}

/// Whether the program under test is a release build, whose figures are promised.
fn is_release() -> bool {
    program().components().any(|part| part.as_os_str() == "release")
}

/// The fake upstream as a process, so that its memory and time are its own.
struct Fake {
    child: Child,
    address: SocketAddr,
    http: reqwest::Client,
}

impl Fake {
    fn start() -> Self {
        let test = std::env::current_exe().expect("this test's file");
        let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        let example = profile.join("examples/fake_upstream");
        if !example.exists() {
            // `cargo test --test it` builds no examples.
            let built = Command::new(env!("CARGO"))
                .args(["build", "--example", "fake_upstream"])
                .status()
                .expect("cargo");
            assert!(built.success());
        }
        let mut command = Command::new(example);
        command.args(["127.0.0.1:0", "2"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the fake upstream starts");
        let line = first_line(&mut child).expect("the fake upstream says where it is");
        let address =
            line.trim().strip_prefix("fake upstream on http://").expect(&line).parse().expect(&line);
        Self { child, address, http: client() }
    }

    fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    async fn ask(&self, path: &str) -> Value {
        let url = format!("http://{}/_fake/{path}", self.address);
        Reply::read(self.http.get(url).send().await.expect("the fake answers")).await.json()
    }

    /// The calls so far, as its control interface describes them.
    async fn calls(&self) -> Vec<Value> {
        self.ask("calls").await.as_array().cloned().unwrap_or_default()
    }

    /// How many calls run now.
    async fn running(&self) -> usize {
        self.calls().await.iter().filter(|call| call["end"] == "Running").count()
    }

    /// Lets calls for a model meet a fault.
    async fn fail_model(&self, model: &str, fault: Fault) {
        let url = format!("http://{}/_fake/faults", self.address);
        let rule = serde_json::json!({ "fault": fault.name(), "model": model });
        let answer = self.http.post(url).json(&rule).send().await.expect("the fake answers");
        assert_eq!(answer.status(), 200);
    }

    /// Lets a key make so many calls in any window of this length; without another word all others become unknown.
    async fn limit_key(&self, key: &str, requests: u64, window_ms: u64) {
        let url = format!("http://{}/_fake/keys", self.address);
        let rule = serde_json::json!({ "key": key, "requests": requests, "window_ms": window_ms });
        let answer = self.http.post(url).json(&rule).send().await.expect("the fake answers");
        assert_eq!(answer.status(), 200);
    }

    async fn forget(&self) {
        let url = format!("http://{}/_fake/reset", self.address);
        self.http.post(url).send().await.expect("the fake answers");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line that a process prints; `None` if it ends before, or takes too long.
fn first_line(child: &mut Child) -> Option<String> {
    let output = child.stdout.take()?;
    let (send, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = String::new();
        let _ = output.read_line(&mut line);
        let _ = send.send(line);
        // Read on, so that the process can go on printing.
        let _ = std::io::copy(&mut output, &mut std::io::sink());
    });
    line.recv_timeout(SOON).ok().filter(|line| !line.is_empty())
}

/// Runs a client beside the test.
#[expect(clippy::disallowed_methods, reason = "no server waits for these: they are its clients")]
fn beside<T: Send + 'static>(client: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(client)
}

fn client() -> reqwest::Client {
    // Fails if another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

/// A data folder with an account, the token [`TOKEN`] (with a quota that never ends), and channels of the fake: one for the
/// model `m`, and one for each further model.
struct Folder {
    folder: TempDir,
}

impl Folder {
    async fn new(fake: &Fake, further_models: &[String]) -> Self {
        Self::new_with_token(fake, further_models, TOKEN).await
    }

    async fn new_with_token(fake: &Fake, further_models: &[String], token: &str) -> Self {
        let folder = Self { folder: tempfile::tempdir().expect("a folder") };
        fs::create_dir(folder.data()).expect("a data folder");
        let vault = Vault::new(&Secret::new(MASTER_KEY));
        let db = Db::open(&folder.database(), vault, Clock::system()).await.expect("a database");
        db.create_account("admin", &password::hash(PASSWORD), false).await.expect("an account");
        let models = std::iter::once("m").chain(further_models.iter().map(String::as_str));
        for model in models {
            let channel = NewChannel {
                name: format!("channel of {model}"),
                base_url: fake.base_url(),
                allow_private: true,
                enabled: true,
                weight: 1,
                timeouts: Timeouts::default(),
                models: vec![app::model(model)],
                ..NewChannel::default()
            };
            let id = db.create_channel(&channel).await.expect("a channel");
            let key = PastedKey {
                label: String::new(),
                secret: Secret::new(KEY),
                quota_group: None,
                limits: Vec::new(),
                budget: None,
            };
            db.add_keys(id, &[key]).await.expect("a key");
        }
        db.create_token(&NewToken {
            name: "test".into(),
            value: Secret::new(token),
            models: vec![],
            groups: vec![],
            cidrs: vec![],
            expires_at: None,
            quota: Some(Quota::new(QuotaUnit::Tokens, 1 << 50, QuotaReset::Never)),
            requests_per_minute: None,
            weight: 1,
            profile: ClientProfile::Generic,
            note: String::new(),
            enabled: true,
        })
        .await
        .expect("a token");
        db.close().await;
        folder
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn database(&self) -> PathBuf {
        self.data().join("onepool.db")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What the servers on this folder have logged.
    fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Starts a server, and waits until it is ready. It begins with the soft limit of open files that most systems give.
    fn start(&self, settings: &[(&str, &str)]) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -Sn 1024 && exec \"$0\""]);
        self.start_by(command, settings)
    }

    /// The same by a command that becomes the program which is its last argument.
    fn start_by(&self, mut command: Command, settings: &[(&str, &str)]) -> Server {
        let log = File::options().create(true).append(true).open(self.log_file()).expect("a log");
        command.arg(program());
        command.env_clear().env("DATA_DIR", self.data()).env("PORT", "0").env("SECRET_KEY", MASTER_KEY);
        command.env("TZ", "UTC").envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let started = Instant::now();
        let mut child = command.spawn().expect("the server starts");
        let line = first_line(&mut child).unwrap_or_else(|| panic!("no start: {}", self.log()));
        let address = line.trim().strip_prefix("listening on http://").expect(&line).parse().expect(&line);
        let mut server = Server { child, address, ready_after: Duration::ZERO };
        while !server.get("/readyz").starts_with("HTTP/1.1 200") {
            assert!(started.elapsed() < SOON, "not ready: {}", self.log());
        }
        server.ready_after = started.elapsed();
        server
    }

    /// The usage rows, the newest first.
    async fn rows(&self) -> Vec<Value> {
        app::usage_rows(&self.database()).await
    }

    /// Waits until there are so many usage rows; gives them.
    async fn rows_once(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + SOON;
        loop {
            let rows = self.rows().await;
            if rows.len() >= count {
                return rows;
            }
            assert!(Instant::now() < deadline, "{} of {count} rows: {}", rows.len(), self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Checks what must hold at any time: the database is whole, and the sums equal the rows.
    async fn check_sums(&self) {
        let number = async |sql| app::number(&self.database(), sql).await;
        assert_eq!(
            number("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'").await,
            1
        );
        let vault = Vault::new(&Secret::new(MASTER_KEY));
        let db = Db::open_existing(&self.database(), vault, Clock::system()).await.expect("the database");
        let (sums, attempts) = app::sums(&db).await;
        db.close().await;
        let tokens = number("SELECT COALESCE(SUM(prompt_tokens + completion_tokens), 0) FROM usage").await;
        for (what, sum, rows) in [
            ("requests", sums.requests, number("SELECT COUNT(*) FROM usage").await),
            ("tokens", sums.tokens.total() as i64, tokens),
            ("cost", sums.cost_micros, number("SELECT COALESCE(SUM(cost_micros), 0) FROM usage").await),
            ("attempts", attempts, number("SELECT COUNT(*) FROM attempts").await),
            ("spending", number("SELECT COALESCE(SUM(spent), 0) FROM token_spending").await, tokens),
        ] {
            assert_eq!(sum, rows, "{what}: sums and rows differ");
        }
    }
}

/// A running server; it is killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    /// From the start of the process to the first 200 of `/readyz`.
    ready_after: Duration,
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        stream.write_all(request.as_bytes()).expect("the request is taken");
        stream
    }

    /// Sends bytes, and gives what comes until the server closes the connection.
    fn send(&self, request: &str) -> String {
        rest(&mut self.connect(request))
    }

    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    /// A chat call; `None` if no answer came.
    async fn chat(&self, http: &reqwest::Client, model: &str, stream: bool, prompt: &str) -> Option<Reply> {
        self.chat_traced(http, model, stream, prompt, "").await
    }

    /// The same, with a trace id that the usage row keeps.
    async fn chat_traced(
        &self,
        http: &reqwest::Client,
        model: &str,
        stream: bool,
        prompt: &str,
        trace: &str,
    ) -> Option<Reply> {
        chat(http, self.address, model, stream, prompt, trace).await
    }

    /// A line of `/proc/<pid>/status`, in KiB.
    fn memory_kib(&self, name: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect(name);
        line.trim().trim_end_matches(" kB").parse().expect(line)
    }

    /// Memory that is resident now.
    fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS")
    }

    /// The most memory that was ever resident.
    fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM")
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill`: minimal systems have no other.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ran");
    }

    /// Waits for the end of the process; gives its code.
    async fn exit(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().expect("it ran") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn chat(
    http: &reqwest::Client,
    address: SocketAddr,
    model: &str,
    stream: bool,
    prompt: &str,
    trace: &str,
) -> Option<Reply> {
    let mut request = http
        .post(format!("http://{address}/v1/chat/completions"))
        .bearer_auth(TOKEN)
        .json(&app::chat(model, stream, prompt));
    if !trace.is_empty() {
        request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    }
    Some(Reply::read(request.send().await.ok()?).await)
}

/// A prompt whose answer has no end, and comes in events of 4 KB as fast as they are taken.
fn flood() -> String {
    format!("marker={} words=1000000000", "f".repeat(4096))
}

/// What a connection brings until it ends, as text.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut may end with a reset; one that stays open fails here.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The middle and the largest of some durations, in milliseconds.
fn middle_and_most(times: &mut [Duration]) -> (u128, u128) {
    times.sort();
    let at = |place: usize| times.get(place).map_or(0, Duration::as_millis);
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}
