//! The real program as a process, on a data folder with one channel of three keys.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use onepool::{
    model::{
        channel::Timeouts,
        key::PastedKey,
        limit::{Limit, Metric, Models, Per, Source, Window},
        secret::Secret,
        time::Clock,
        token::ClientProfile,
    },
    storage::{Db, channels::NewChannel, password, tokens::NewToken, vault::Vault},
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::app::{self, TOKEN};

const MASTER_KEY: &str = "Vm3kTq81-Zx90LwPe-47HsRyNb-Gd26JcUa";

/// Longer than a start takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A data folder.
pub struct Folder(TempDir);

impl Folder {
    /// One with a channel for the model `m` with these keys, each declared to allow so many requests in any minute, or
    /// with no limit declared.
    pub async fn new(base_url: &str, keys: &[String], declared: Option<u64>) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(folder.data()).expect("a data folder");
        let vault = Vault::new(&Secret::new(MASTER_KEY));
        let db =
            Db::open(&folder.data().join("onepool.db"), vault, Clock::system()).await.expect("a database");
        db.create_account("admin", &password::hash("Hq7.wLz2-rM9tXc4v"), false).await.expect("an account");
        let channel = NewChannel {
            name: "c".into(),
            base_url: base_url.into(),
            allow_private: true,
            enabled: true,
            weight: 1,
            timeouts: Timeouts::default(),
            models: vec![app::model("m")],
            ..NewChannel::default()
        };
        let channel = db.create_channel(&channel).await.expect("a channel");
        let pasted = |key: &String| PastedKey {
            label: String::new(),
            secret: Secret::new(key.as_str()),
            quota_group: None,
            limits: vec![],
            budget: None,
        };
        db.add_keys(channel, &keys.iter().map(pasted).collect::<Vec<_>>()).await.expect("keys");
        let limit = |max| Limit {
            models: Models::default(),
            per: Per::Key,
            metric: Metric::Requests,
            window: Window::MINUTE,
            max,
            source: Source::Declared,
        };
        let limits: Vec<_> = declared.map(limit).into_iter().collect();
        db.set_limits(channel, None, &limits).await.expect("limits");
        db.create_token(&NewToken {
            name: "test".into(),
            value: Secret::new(TOKEN),
            models: vec![],
            groups: vec![],
            cidrs: vec![],
            expires_at: None,
            quota: None,
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
        self.0.path().join("data")
    }

    /// What the servers on this folder have logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }

    /// Starts the program, and waits until it is ready. Blocks meanwhile.
    pub fn start(&self) -> Server {
        let log = File::options().create(true).append(true).open(self.0.path().join("log")).expect("a log");
        let mut command = Command::new(program());
        command.env_clear().env("DATA_DIR", self.data()).env("PORT", "0").env("SECRET_KEY", MASTER_KEY);
        command.env("TZ", "UTC").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let began = Instant::now();
        let mut child = command.spawn().expect("the server starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("text");
        // Read on, so that the process can go on printing.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no start: {line} {}", self.log()));
        let server = Server { child, address };
        while !server.is_ready() {
            assert!(began.elapsed() < SOON, "not ready: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

/// The program under test.
fn program() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tells the tests which build to run")]
    let given = std::env::var("ONEPOOL_BINARY");
    given.map_or_else(|_| env!("CARGO_BIN_EXE_onepool").into(), PathBuf::from)
}

/// A running server; it is killed when this is dropped.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let mut answer = [0; 12];
        let asked = stream.set_read_timeout(Some(SOON)).is_ok()
            && stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").is_ok()
            && stream.read_exact(&mut answer).is_ok();
        asked && answer == *b"HTTP/1.1 200"
    }

    /// Ends it at once, without a chance to save anything.
    pub fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ran");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
