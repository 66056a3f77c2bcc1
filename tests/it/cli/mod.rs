//! The command line as operators and scripts meet it: the real program, a real data folder, with a server and without.

mod chains;
mod discovery;
mod onboarding;
mod openclaw;
mod output;
mod ranking;
mod repair;
mod running;
mod simulate;
mod values;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::upstream::Upstream;

/// An upstream's key, of which no part but the end may show.
const KEY: &str = "nvapi-Qw8RtYx2LmNz5VbKj4Hg";
/// The value of an extra header.
const HEADER: &str = "Zp3LkXw9QmVt7BnRs";
/// The password of a proxy.
const PROXY_PASSWORD: &str = "Gd5JcUa2NyKp";

/// What a command said and how it ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// What it printed, if all went well.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The same as JSON.
    fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What it complained of.
    fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(!self.err.is_empty(), "{self:?}");
        self.err
    }
}

/// A data folder and the commands on it.
struct Folder {
    data: TempDir,
}

impl Folder {
    /// A folder without a database.
    fn empty() -> Self {
        Self { data: tempfile::tempdir().unwrap() }
    }

    /// A folder that a server has made.
    fn made() -> Self {
        let folder = Self::empty();
        drop(folder.serve());
        folder
    }

    /// The same with a channel `Groq` that has secrets of every kind, its key, and a token `laptop`; gives the value.
    fn filled(base_url: &str) -> (Self, String) {
        let folder = Self::made();
        let value = folder.fill(base_url);
        (folder, value)
    }

    fn fill(&self, base_url: &str) -> String {
        self.run(&[
            "channels",
            "add",
            "--name",
            "Groq",
            "--base-url",
            base_url,
            "--allow-private",
            "true",
            "--model",
            "m",
        ])
        .ok();
        self.with_input(KEY, &["keys", "add", "Groq", "--label", "main"]).ok();
        self.run(&["tokens", "create", "laptop"]).ok().trim().to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onepool"));
        command
            .env_clear()
            .env("DATA_DIR", self.data.path())
            .env("PORT", "0")
            .env("TZ", "UTC")
            .args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
        finish(self.command(arguments).envs(environment.iter().copied()).spawn().unwrap())
    }

    fn with_input(&self, input: &str, arguments: &[&str]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finish(child)
    }

    /// Starts a server on the folder.
    fn serve(&self) -> Server {
        let mut command = self.command(&["serve"]);
        let mut child = command.env("ADMIN_PASSWORD", "correct horse").stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).parse().unwrap();
        Server { child, address }
    }
}

fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A running server; it is killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// The status of a chat call with a token.
    async fn chat(&self, token: &str) -> u16 {
        // Fails if another test was first; its provider does as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let call = http
            .post(format!("http://{}/v1/chat/completions", self.address))
            .bearer_auth(token)
            .json(&crate::support::app::chat("m", false, "marker=abc words=3"));
        call.send().await.unwrap().status().as_u16()
    }

    /// Waits until a call ends with a status: a second, and some more on a busy machine.
    async fn follows(&self, token: &str, status: u16) {
        let mut last = 0;
        for _ in 0..60 {
            last = self.chat(token).await;
            if last == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server still answers {last}, not {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An upstream that takes [`KEY`].
fn upstream() -> Upstream {
    Upstream::start()
}
