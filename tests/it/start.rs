//! Starting and stopping the real program: settings, the data folder, the set-up link, accounts, limits, signals.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use onepool::{
    app::App,
    config::{Config, reference},
    i18n::Lang,
    model::time::Clock,
};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn onepool(data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onepool"));
    command.env_clear().env("DATA_DIR", data).env("PORT", "0").args(arguments);
    command.envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
fn run(data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = onepool(data, arguments, settings).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running server; it is killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(data: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = onepool(data, &[], settings).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).parse().unwrap();
        Self { child, address, output }
    }

    /// The next line that the server prints.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn send(&self, request: &str) -> String {
        rest(&mut self.connect(request))
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"))
    }

    /// Logs in; gives the session's cookie, or nothing if the password is wrong.
    fn log_in(&self, password: &str) -> Option<String> {
        let form = format!("name=admin&password={password}");
        let answer = self.send(&format!(
            "POST /login HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        ));
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: onepool_session="))?;
        Some(format!("cookie: onepool_session={}\r\n", cookie.split(';').next().unwrap()))
    }

    fn signal(&self) {
        // The shell's own `kill`: minimal systems have no other.
        let kill =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status().unwrap();
        assert!(kill.success());
    }

    fn exit(&mut self) -> ExitStatus {
        for _ in 0..SOON.as_millis() / 20 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not stop");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a connection brings until the server closes it.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut may end with a reset; one that stays open fails here.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_bad_value_stops_the_start_and_names_the_setting_and_the_remedy() {
    let data = folder();
    let (code, _, error) = run(data.path(), &[], &[("MAX_CONNECTIONS", "none")]);
    assert_eq!(code, Some(2));
    assert!(error.contains("MAX_CONNECTIONS") && error.contains("whole number from 1"), "{error}");
    let (code, _, error) = run(data.path(), &["serve", "--drain-seconds", "-1"], &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("DRAIN_SECONDS"), "{error}");
    let (code, _, error) = run(data.path(), &["--log-format", "xml"], &[("LANG", "zh_CN.UTF-8")]);
    assert_eq!(code, Some(2));
    assert!(error.contains("设置项 LOG_FORMAT 无效") && error.contains("以下值之一：text, json"), "{error}");
    assert_eq!(run(data.path(), &["surve"], &[]).0, Some(2));
}

#[test]
fn the_first_start_prints_a_set_up_link_and_nothing_else_answers() {
    let parent = folder();
    let data = parent.path().join("data");
    let mut server = Server::start(&data, &[("PUBLIC_URL", "https://pool.example.com/")]);
    let line = server.line();
    let (_, link) = line.split_once("https://").expect(&line);
    let code = link.trim().strip_prefix("pool.example.com/setup?code=").expect(&line);
    assert!(code.len() >= 22, "fewer than 128 bits: {code}");

    assert!(server.get("/healthz", "").ends_with("ok\n"));
    assert!(server.get("/readyz", "").starts_with("HTTP/1.1 200"));
    for path in ["/v1/models", "/v1/chat/completions", "/v1/else", "/chat/completions", "/models/"] {
        let answer = server.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not_set_up"), "{answer}");
    }
    for path in ["/", "/login", "/channels", "/settings"] {
        let answer = server.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("Not set up yet"), "{answer}");
        assert!(answer.contains("content-security-policy") && !answer.contains(code), "{answer}");
    }

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in ["secret.key", "onepool.db", "onepool.db-wal"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
}

#[test]
fn a_second_server_on_the_same_folder_is_refused() {
    let data = folder();
    let server = Server::start(data.path(), &[]);
    let (code, _, error) = run(data.path(), &[], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("another onepool runs on the data folder"), "{error}");
    assert!(server.get("/healthz", "").ends_with("ok\n"));
}

#[test]
fn a_taken_port_is_named() {
    let (first, second) = (folder(), folder());
    let server = Server::start(first.path(), &[]);
    let port = server.address.port().to_string();
    let (code, _, error) = run(second.path(), &["--port", &port], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("LISTEN or PORT"), "{error}");
}

#[test]
fn a_wrong_or_lost_master_key_is_refused_and_not_replaced() {
    let data = folder();
    let mut server = Server::start(data.path(), &[]);
    server.signal();
    server.exit();
    let (code, _, error) =
        run(data.path(), &[], &[("SECRET_KEY", "another key, of more than 32 characters")]);
    assert_eq!(code, Some(1));
    assert!(error.contains("does not open the secrets") && !error.contains("another key"), "{error}");
    fs::remove_file(data.path().join("secret.key")).unwrap();
    let (code, _, error) = run(data.path(), &[], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("secret.key is missing"), "{error}");
    assert!(!data.path().join("secret.key").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused() {
    let data = folder();
    let mut server = Server::start(data.path(), &[]);
    server.signal();
    server.exit();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.path().join("onepool.db"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    let (code, _, error) = run(data.path(), &[], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("has schema 9999") && error.contains("backups"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named_with_the_remedy() {
    let parent = folder();
    fs::write(parent.path().join("file"), "").unwrap();
    let (code, _, error) = run(&parent.path().join("file/data"), &[], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("file/data") && error.contains("Set DATA_DIR"), "{error}");
}

#[test]
fn admin_password_creates_the_account_once_and_a_reset_works_while_the_server_runs() {
    let data = folder();
    let first_password = [("ADMIN_PASSWORD", "the-first-password")];
    let server = Server::start(data.path(), &first_password);
    let session = server.log_in("the-first-password").expect("the account admin was not created");
    assert!(!server.get("/", &session).contains("location: /login"));

    let (code, _, error) = run(data.path(), &["admin", "reset-password", "--user", "eve"], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no account eve") && error.contains("admin"), "{error}");

    let (code, output, error) = run(data.path(), &["admin", "reset-password"], &[]);
    assert_eq!(code, Some(0), "{error}");
    let line = output.lines().next().unwrap();
    let password = line.strip_prefix("new password of admin: ").expect(line);
    assert!(server.log_in("the-first-password").is_none());
    let renewed = server.log_in(password).expect("the new password does not work");
    assert!(server.get("/tokens", &session).contains("location: /login"), "the old session goes on");
    assert!(
        server.get("/tokens", &renewed).contains("location: /account/password"),
        "the password need not be changed"
    );
    drop(server);

    let server = Server::start(data.path(), &first_password);
    assert!(server.log_in("the-first-password").is_none(), "a restart brought the old password back");
}

#[test]
fn a_reset_without_a_database_or_an_account_says_what_to_do() {
    let data = folder();
    let (code, _, error) = run(data.path(), &["admin", "reset-password"], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no database"), "{error}");
    let server = Server::start(data.path(), &[]);
    let (code, _, error) = run(data.path(), &["admin", "reset-password"], &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("set-up link"), "{error}");
    drop(server);
}

#[test]
fn an_access_token_that_a_command_makes_works_on_the_running_server_until_it_is_revoked() {
    let data = folder();
    let command = |more: &[&str], lang| {
        run(data.path(), &[&["admin", "access-token"], more].concat(), &[("LANG", lang)])
    };
    assert_eq!(command(&[], "C").0, Some(1), "there is no database yet");
    let server = Server::start(data.path(), &[("ADMIN_PASSWORD", "the-first-password")]);
    let (code, output, error) = command(&["--name", "deploy", "--expires-days", "30"], "C");
    assert_eq!(code, Some(0), "{error}");
    let value = output.trim();
    assert!(value.starts_with("op-") && value.len() == 51, "the value stands alone on stdout: {output}");
    assert!(!error.contains(value) && error.contains("not shown again"), "{error}");
    let ask = || server.get("/api/status", &format!("authorization: Bearer {value}\r\n"));
    assert!(ask().starts_with("HTTP/1.1 200"), "{}", ask());

    let (_, listed, _) = command(&["--list"], "C");
    assert!(
        listed.contains("deploy") && listed.contains(&value[47..]) && !listed.contains(value),
        "{listed}"
    );
    let (_, listed, _) = command(&["--list", "--json"], "C");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let item = &listed["items"][0];
    assert!(item["expires_at"].is_string() && item["last_used_at"].is_string(), "{listed}");

    for (arguments, status, text) in [
        (&["--name", "Deploy"][..], 1, "already"),
        (&["--expires-days", "0"], 2, "whole number"),
        (&["--name", ""], 2, "characters"),
        (&["--revoke", "ci"], 1, "there are: deploy"),
        (&["--user", "eve"], 1, "no account eve"),
    ] {
        let (code, output, error) = command(arguments, "C");
        assert!(code == Some(status) && output.is_empty() && error.contains(text), "{arguments:?}: {error}");
    }
    assert_eq!(command(&["--list", "--revoke", "deploy"], "C").0, Some(2));
    assert!(command(&["--revoke", "ci"], "zh_CN.UTF-8").2.contains("不存在"));
    let (_, made, _) = command(&["--json"], "C");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert!(made["value"].as_str().unwrap().starts_with("op-") && made["expires_at"].is_null());

    assert_eq!(command(&["--revoke", "DEPLOY"], "C").0, Some(0));
    assert!(ask().starts_with("HTTP/1.1 401"), "{}", ask());
}

#[test]
fn sigterm_ends_an_idle_server_with_0_at_once() {
    let data = folder();
    let mut server = Server::start(data.path(), &[("DRAIN_SECONDS", "3600")]);
    let mut unused = server.connect("");
    server.signal();
    assert_eq!(server.exit().code(), Some(0));
    assert_eq!(rest(&mut unused), "");
    assert!(!data.path().join("onepool.db-wal").exists(), "the database was not closed");
}

#[test]
fn a_drain_waits_for_a_running_request_and_a_second_signal_does_not() {
    let data = folder();
    let settings =
        [("DRAIN_SECONDS", "3600"), ("BODY_TIMEOUT_SECONDS", "3600"), ("ADMIN_PASSWORD", "password")];
    let mut server = Server::start(data.path(), &settings);
    let _running = server.connect(
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 100\r\n\r\nname=",
    );
    // Any answer to a later connection shows that the earlier one was accepted.
    server.get("/healthz", "");
    server.signal();
    std::thread::sleep(Duration::from_millis(500));
    assert!(server.child.try_wait().unwrap().is_none(), "the drain did not wait");
    server.signal();
    assert_eq!(server.exit().code(), Some(1));
}

#[test]
fn slow_clients_are_cut_and_connections_above_the_cap_wait() {
    let data = folder();
    let settings = [
        ("HEADER_TIMEOUT_SECONDS", "1"),
        ("BODY_TIMEOUT_SECONDS", "1"),
        ("MAX_CONNECTIONS", "1"),
        ("ADMIN_PASSWORD", "password"),
    ];
    let server = Server::start(data.path(), &settings);
    let mut headers = server.connect("GET /healthz HTTP/1.1\r\nhost: x\r\nx: ");
    // This one is beyond the cap: it is answered once the first is cut.
    let mut waiting = server.connect("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(!rest(&mut headers).contains("200 OK"));
    assert!(rest(&mut waiting).ends_with("ok\n"));
    let mut body = server.connect(
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 100\r\n\r\nname=",
    );
    assert!(!rest(&mut body).contains("set-cookie: onepool_session"));
    assert!(server.get("/readyz", "").starts_with("HTTP/1.1 200"));
}

#[test]
fn the_health_check_asks_the_configured_port() {
    let data = folder();
    let mut server = Server::start(data.path(), &[]);
    let port = server.address.port().to_string();
    let check = |port: &str| run(data.path(), &["healthcheck"], &[("LISTEN", "0.0.0.0:1"), ("PORT", port)]);
    assert_eq!(check(&port).0, Some(0));
    server.signal();
    server.exit();
    let (code, _, error) = check(&port);
    assert_eq!(code, Some(1));
    assert!(error.contains("is not healthy"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_inside_a_test_on_a_free_port_and_again_after_its_shutdown() {
    let data = folder();
    let config = || {
        let value = |name: &str| match name {
            "DATA_DIR" => Some(data.path().display().to_string()),
            "PORT" => Some("0".to_owned()),
            _ => None,
        };
        Config::load(value, |_| None).unwrap()
    };
    let app = App::start(config(), Clock::system()).await.unwrap();
    let first = app.setup_link().unwrap();
    assert!(first.starts_with(&format!("http://{}/setup?code=", app.address())), "{first}");
    app.shutdown().await;
    let app = App::start(config(), Clock::system()).await.unwrap();
    let code = |link: &str| link.split_once("code=").unwrap().1.to_owned();
    assert_ne!(code(&first), code(&app.setup_link().unwrap()), "the link of an earlier start still works");
    app.shutdown().await;
}

#[test]
fn the_settings_pages_say_what_the_program_says() {
    for (lang, file) in [(Lang::En, "docs/settings.md"), (Lang::Zh, "docs/settings.zh-CN.md")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let page = reference(lang);
        #[expect(
            clippy::disallowed_methods,
            reason = "tells the test to write the page instead of comparing it"
        )]
        if std::env::var("UPDATE_DOCS").is_ok() {
            fs::write(&path, &page).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "{file} is out of date: UPDATE_DOCS=1 cargo test settings_pages");
    }
}
