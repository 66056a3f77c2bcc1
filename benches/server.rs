//! OnePool as a process of its own, for benchmarks that ask it for pages.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    time::{ClockId, clock_gettime},
};

/// The master key of its data.
pub const MASTER_KEY: &str = "a master key of the benchmark, long enough";

/// The value of its session cookie.
pub const COOKIE: &str = "a session of the benchmark";

/// Time on a clock that nobody sets.
pub fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// OnePool as a process of its own.
pub struct Server {
    /// The process.
    pub child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts it on the folder `data` in `folder`, with a log beside that.
    pub fn start(folder: &Path) -> Self {
        let log = fs::File::create(folder.join("log")).expect("a log");
        #[expect(clippy::disallowed_methods, reason = "tells the benchmark which build to measure")]
        let given = std::env::var("ONEPOOL_BINARY");
        let program = given.unwrap_or_else(|_| env!("CARGO_BIN_EXE_onepool").to_owned());
        let mut child = Command::new(program)
            .env_clear()
            .env("DATA_DIR", folder.join("data"))
            .env("LISTEN", "127.0.0.1:0")
            .env("SECRET_KEY", MASTER_KEY)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("OnePool starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        let _ = output.read_line(&mut line);
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = output.read_to_end(&mut rest);
        });
        let address = line.trim().strip_prefix("listening on http://").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            panic!("OnePool did not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
        };
        Self { child, address }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// CPU time since it started; the kernel reports it in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The name in parentheses may hold anything; `utime` and `stime` are the 12th and 13th field after it (proc(5)).
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Resident bytes.
    pub fn resident(&self) -> u64 {
        resident(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// Resident bytes of a process.
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}
