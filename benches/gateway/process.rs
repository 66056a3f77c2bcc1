//! The processes that are measured: the mock upstream, nginx and OnePool.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use onepool::{
    model::{
        channel::{ChannelModel, Price, Timeouts},
        key::PastedKey,
        secret::Secret,
        time::Clock,
        token::{ClientProfile, Quota, QuotaReset, QuotaUnit},
    },
    storage::{Db, channels::NewChannel, password, tokens::NewToken, vault::Vault},
};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;

use crate::{stats::now_ns, upstream};

/// The token that the load generator presents.
pub const TOKEN: &str = "sk-bench000000000000000000000000000000000000000000000";
/// The longest that a process may take to start or to stop.
const SOON: Duration = Duration::from_secs(30);

/// Lets this process, and those that it starts, open as many files as the system allows: a stream takes two.
pub fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // An unlimited number is refused by some systems; the old limit may serve as well.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// The mock upstream.
pub struct Mock {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Mock {
    /// Starts it as a process of its own, from this same binary.
    pub fn start() -> Self {
        let this = std::env::current_exe().expect("the benchmark's own file");
        let mut child = Command::new(this)
            .arg(upstream::ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the mock upstream starts");
        let line = first_line(&mut child);
        Self { child, address: line.trim().parse().expect("the mock upstream says where it listens") }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line that a process prints; empty if it ends before. The rest is read on and thrown away.
fn first_line(child: &mut Child) -> String {
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    let _ = output.read_line(&mut line);
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    line
}

/// A proxy that is measured; it is stopped when this is dropped.
pub struct Proxy {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of its process until it answered.
    pub start_ms: f64,
    folder: TempDir,
}

impl Proxy {
    /// CPU time of all its processes since they started. The kernel reports it in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let ticks: u64 = self.pids().iter().map(|pid| cpu_ticks(*pid)).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Resident memory of all its processes, in bytes. What they share counts once for each.
    pub fn resident(&self) -> u64 {
        self.pids().iter().map(|pid| resident(*pid)).sum()
    }

    fn pids(&self) -> Vec<u32> {
        let main = self.child.id();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
        std::iter::once(main).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }

    /// Ends the process as an operator would and waits for it.
    fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let began = now_ns();
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if now_ns() - began > SOON.as_nanos() as u64 {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has logged, for an error.
    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until it answers a request, and notes how long that took.
    fn wait_until_ready(&mut self, began: u64, path: &str) {
        use std::io::{Read as _, Write as _};
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
        loop {
            let mut answer = [0; 12];
            let answered = TcpStream::connect(self.address).and_then(|mut stream| {
                stream.set_read_timeout(Some(SOON))?;
                stream.write_all(request.as_bytes())?;
                stream.read_exact(&mut answer)
            });
            let waited = now_ns() - began;
            if answered.is_ok() && answer.ends_with(b"200") {
                self.start_ms = waited as f64 / 1e6;
                return;
            }
            assert!(waited < SOON.as_nanos() as u64, "no answer within {SOON:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything; `utime` and `stime` are the 12th and 13th field after it (proc(5)).
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn log_in(folder: &Path) -> fs::File {
    fs::File::create(folder.join("log")).expect("a log")
}

/// nginx as a plain reverse proxy.
pub mod nginx {
    use super::*;

    /// Finds nginx. If it is missing, root gets it installed with apt, and others are told how.
    pub fn find() -> Result<PathBuf, String> {
        if let Some(path) = installed() {
            return Ok(path);
        }
        let install = ["apt-get", "install", "-y", "--no-install-recommends", "nginx-light"];
        if !rustix::process::geteuid().is_root() {
            return Err(format!("nginx is missing; install it with: sudo {}", install.join(" ")));
        }
        eprintln!("nginx is missing; installing it with: {}", install.join(" "));
        let done = Command::new(install[0]).args(&install[1..]).stdout(Stdio::null()).status();
        match (done.is_ok_and(|status| status.success()), installed()) {
            (true, Some(path)) => Ok(path),
            _ => Err("nginx could not be installed; install it with the system's package manager".into()),
        }
    }

    fn installed() -> Option<PathBuf> {
        // Debian keeps it where only root's PATH looks.
        ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx", "/usr/local/bin/nginx"]
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    }

    /// What it calls itself, such as `nginx/1.22.1`.
    pub fn version(program: &Path) -> String {
        let output = Command::new(program).arg("-v").output().map(|output| output.stderr).unwrap_or_default();
        String::from_utf8_lossy(&output).rsplit(' ').next().unwrap_or_default().trim().to_owned()
    }

    /// Starts it in front of an upstream, with a folder of its own: as many workers as processors, connections kept on both
    /// sides, nothing buffered to disk, no log of requests.
    pub fn start(program: &Path, upstream: SocketAddr) -> Proxy {
        let folder = tempfile::tempdir().expect("a folder");
        // Freed at once; nothing else takes ports on this machine so fast.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("a free port");
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let config = format!(
            "{user}
daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_body_buffer_size 256k;
    client_max_body_size 64m;
    tcp_nodelay on;
    keepalive_requests 100000000;
    upstream mock {{
        server {upstream};
        keepalive 2048;
        keepalive_requests 100000000;
    }}
    server {{
        listen {address} backlog=4096;
        location = /ready {{ return 200; }}
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_set_header Host $http_host;
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, config).expect("a configuration");
        let log = log_in(folder.path());
        let began = now_ns();
        let child = Command::new(program)
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("nginx starts");
        let mut proxy = Proxy { child, address, start_ms: 0.0, folder };
        proxy.wait_until_ready(began, "/ready");
        proxy
    }
}

/// OnePool, set up as an operator would: two channels of two keys each, prices, a token with a quota.
pub mod gateway {
    use super::*;

    const MASTER_KEY: &str = "bench-Vm3kTq81-Zx90LwPe-47HsRyNb-Gd26JcUa";

    /// The program that is measured: the release build, unless `ONEPOOL_BINARY` names another one.
    pub fn program() -> PathBuf {
        #[expect(clippy::disallowed_methods, reason = "tells the benchmark which build to measure")]
        let given = std::env::var("ONEPOOL_BINARY");
        given.map_or_else(|_| env!("CARGO_BIN_EXE_onepool").into(), PathBuf::from)
    }

    /// Starts it on a new data folder.
    pub fn start(upstream: SocketAddr) -> Proxy {
        let folder = tempfile::tempdir().expect("a folder");
        crate::runtime().block_on(set_up(folder.path(), upstream));
        let log = log_in(folder.path());
        let began = now_ns();
        let mut child = Command::new(program())
            .env_clear()
            .env("DATA_DIR", folder.path().join("data"))
            .env("LISTEN", "127.0.0.1:0")
            .env("SECRET_KEY", MASTER_KEY)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("OnePool starts");
        let line = first_line(&mut child);
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("OnePool did not start: {line}{}", log()));
        let mut proxy = Proxy { child, address, start_ms: 0.0, folder };
        proxy.wait_until_ready(began, "/readyz");
        proxy
    }

    /// Stops it, and counts the usage rows of complete answers that it leaves in its database.
    pub fn stop_and_count_rows(mut proxy: Proxy) -> u64 {
        proxy.stop();
        let file = proxy.folder.path().join("data/onepool.db");
        crate::runtime().block_on(async {
            use sqlx::Connection as _;
            let mut database = sqlx::SqliteConnection::connect(&format!("sqlite://{}", file.display()))
                .await
                .expect("the database");
            let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM usage WHERE result = 'ok'")
                .fetch_one(&mut database)
                .await
                .expect("the number of rows");
            rows as u64
        })
    }

    async fn set_up(folder: &Path, upstream: SocketAddr) {
        let data = folder.join("data");
        fs::create_dir(&data).expect("a data folder");
        let vault = Vault::new(&Secret::new(MASTER_KEY));
        let db = Db::open(&data.join("onepool.db"), vault, Clock::system()).await.expect("a database");
        db.create_account("admin", &password::hash("bench, not a secret"), false).await.expect("an account");
        for channel in ["first", "second"] {
            let model = ChannelModel {
                name: "bench".into(),
                context_window: Some(131_072),
                max_output: Some(4096),
                price: Some(Price { input: 1_000_000, cached: None, output: 2_000_000, reasoning: None }),
                ..ChannelModel::default()
            };
            let id = db
                .create_channel(&NewChannel {
                    name: channel.into(),
                    base_url: format!("http://{upstream}/v1"),
                    allow_private: true,
                    enabled: true,
                    weight: 1,
                    timeouts: Timeouts::default(),
                    models: vec![model],
                    ..NewChannel::default()
                })
                .await
                .expect("a channel");
            let keys = ["a", "b"].map(|key| PastedKey {
                label: String::new(),
                secret: Secret::new(format!("sk-upstream-of-{channel}-{key}")),
                quota_group: None,
                limits: Vec::new(),
                budget: None,
            });
            db.add_keys(id, &keys).await.expect("keys");
        }
        db.create_token(&NewToken {
            name: "bench".into(),
            value: Secret::new(TOKEN),
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
    }
}
