//! Pool files with the real program: `onepool apply`, `onepool export`, `POOL_FILE`, and their documents.

mod bad;
mod documents;
mod kill;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use sqlx::Connection as _;
use tempfile::TempDir;

use crate::support::app::{self, TestApp};

/// A folder for pool files, with a data folder in it.
struct Desk {
    folder: TempDir,
}

/// What a command said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A command that works in the folder, on its data folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onepool"));
        command.env_clear().env("DATA_DIR", "data").current_dir(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        Said::of(self.command(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// Runs a command that reads a text.
    fn pipe(&self, arguments: &[&str], text: &str) -> Said {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Said::of(child.wait_with_output().unwrap())
    }

    /// Applies a text as `pool.toml`; it must work.
    fn apply(&self, text: &str, arguments: &[&str]) -> String {
        self.write("pool.toml", text);
        let said = self.run(&[&["apply", "pool.toml"], arguments].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    }

    fn export(&self, arguments: &[&str]) -> String {
        let said = self.run(&[&["export"], arguments].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.out
    }

    /// Every row of the pool's tables, also the version counter, times and sealed bytes.
    async fn rows(&self) -> String {
        rows(&self.path("data/onepool.db")).await
    }
}

impl Said {
    fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

async fn rows(database: &Path) -> String {
    let mut connection =
        sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    let mut all = String::new();
    for table in [
        "channels",
        "channel_models",
        "redirects",
        "limits",
        "keys",
        "chains",
        "chain_steps",
        "tokens",
        "token_values",
        "catalog_version",
    ] {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(table)
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let sql = format!("SELECT {} FROM {table} ORDER BY rowid", quoted.join(" || ',' || "));
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        all.push_str(&format!("{table}\n{}\n", rows.join("\n")));
    }
    all
}

const KEY: &str = "nvapi-Qx72LmPz94KtRwVb";
const VALUE: &str = "sk-Hn58WqTz31XcVb90LpMk27RsJd64FgYa";

const FULL: &str = r#"
version = 1

[[channels]]
name = "NVIDIA"
base_url = "https://integrate.example.com/v1"
priority = 10
weight = 3
groups = ["free"]
proxy = "env:PROXY"
note = "a note"
models = ["big", { name = "small", context_window = 8192, price = { input = 0.15, output = 0.6 }, unit_prices = { image = 0.04, image_by = { "1024x1024/high" = 0.167 } } }]
timeouts = { idle_ms = 5000 }
limits = [
    { max = 40, window = "1m" },
    { max = 2, window = { bucket = "1s", burst = 1 }, per = "channel" },
    { metric = "tokens", max = 100000, window = "day@UTC", per = "group", models = ["big*"], insist = true },
]

[channels.headers]
X-Title = "OnePool"
X-Account = "file:secrets/account"

[channels.redirects]
"gpt-4o" = "big"
smart = ["small", "big"]

[[channels.keys]]
secret = "env:NVIDIA_KEY"
label = "first"
quota_group = "account 1"
limits = [{ metric = "concurrency", max = 2 }]

[[channels.keys]]
secret = "file:secrets/key"
enabled = false

[[tokens]]
name = "agent"
value = "env:AGENT"
models = ["gpt-4o", "big*"]
cidrs = ["10.0.0.0/8"]
expires_at = 2001-01-31T00:00:00Z
quota = { unit = "dollars", limit = 2.5, reset = "month" }
requests_per_minute = 60
profile = "openclaw"
"#;

const ENVIRONMENT: &[(&str, &str)] =
    &[("NVIDIA_KEY", KEY), ("PROXY", "socks5://user:proxy-password@127.0.0.1:1080"), ("AGENT", VALUE)];

/// A desk with the full pool applied.
fn full() -> Desk {
    let desk = Desk::new();
    desk.write("full.toml", FULL);
    fs::create_dir(desk.path("secrets")).unwrap();
    desk.write("secrets/account", "account-Zw83Kx\n");
    desk.write("secrets/key", "gsk_Vb63NmXc19Za\n");
    let said = desk.run_with(&["apply", "full.toml"], ENVIRONMENT);
    assert_eq!(said.code, Some(0), "{}", said.err);
    desk
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_makes_a_pool_and_a_second_run_changes_nothing() {
    let desk = Desk::new();
    desk.write("full.toml", FULL);
    fs::create_dir(desk.path("secrets")).unwrap();
    desk.write("secrets/account", "account-Zw83Kx\n");
    desk.write("secrets/key", "gsk_Vb63NmXc19Za\n");
    let said = desk.run_with(&["apply", "full.toml"], ENVIRONMENT);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines,
        [
            "+ channel NVIDIA (https://integrate.example.com/v1, models: 2, keys: 2)",
            "+ key ••••RwVb (first) of channel NVIDIA",
            "+ key ••••19Za of channel NVIDIA",
            "+ token agent (with the given value)",
            "applied; steps: 4",
        ]
    );
    let before = desk.rows().await;
    let again = desk.run_with(&["apply", "full.toml", "--prune"], ENVIRONMENT);
    assert_eq!((again.code, again.out.as_str()), (Some(0), "nothing to change\n"), "{}", again.err);
    assert_eq!(desk.rows().await, before, "a second run left a trace");
}

#[test]
fn a_plan_names_each_change_and_no_secret() {
    let desk = full();
    let changed = FULL
        .replace("priority = 10\n", "")
        .replace("weight = 3", "weight = 4")
        .replace("\"big\", {", "\"huge\", {")
        .replace("\"gpt-4o\" = \"big\"", "\"gpt-4o\" = \"huge\"")
        .replace("context_window = 8192", "context_window = 4096")
        .replace("X-Title = \"OnePool\"", "X-Other = \"header-Lk29Wz\"")
        .replace("env:PROXY", "http://user:new-password@127.0.0.1:8080")
        .replace("integrate.example.com", "elsewhere.example.com")
        .replace("label = \"first\"", "label = \"second\"")
        .replace("env:AGENT", "sk-Bm41YtRe85UiKj20PoLh63DfGaSn97Wq")
        .replace("{ max = 40, window", "{ max = 30, window")
        .replace("max = 2 }]", "max = 3 }]")
        .replace("limit = 2.5", "limit = 3");
    desk.write("full.toml", &changed);
    let said = desk.run_with(&["apply", "full.toml", "--dry-run"], ENVIRONMENT);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(
        lines,
        [
            "~ channel NVIDIA: base_url \"https://integrate.example.com/v1\" -> \"https://elsewhere.example.com/v1\", \
             priority 10 -> 0, weight 3 -> 4, models +huge -big, models.small.context_window 8192 -> 4096, \
             redirects.gpt-4o \"big\" -> \"huge\", limits +30 requests/1m per key -40 requests/1m per key, headers +X-Other -X-Title, proxy changed \
             (the channel's present keys or headers will be sent to another host or proxy)",
            "~ key ••••RwVb (first) of channel NVIDIA: label \"first\" -> \"second\", \
             limits +3 at once per key -2 at once per key",
            "~ token agent: quota.limit 2.5 -> 3, value changed (the present value stops working at once)",
            "dry run: nothing was changed",
        ]
    );
    assert_eq!(desk.run_with(&["apply", "full.toml"], ENVIRONMENT).code, Some(0));
    let again = desk.run_with(&["apply", "full.toml"], ENVIRONMENT);
    assert_eq!(again.out, "nothing to change\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_makes_no_folder() {
    let desk = Desk::new();
    desk.write("pool.toml", "[[tokens]]\nname = \"t\"\n");
    let said = desk.run(&["apply", "pool.toml", "--dry-run"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("+ token t (with a random value"), "{}", said.out);
    assert!(!desk.path("data").exists());

    let desk = full();
    let before = desk.rows().await;
    desk.apply("[[tokens]]\nname = \"t\"\n", &["--dry-run", "--prune"]);
    assert_eq!(desk.rows().await, before);
}

#[test]
fn what_is_not_declared_stays_unless_it_is_pruned() {
    let desk = full();
    let other = "[[channels]]\nname = \"nvidia\"\nbase_url = \"https://integrate.example.com\"\n\
                 [[channels.keys]]\nsecret = \"gsk_Vb63NmXc19Za\"\n[[tokens]]\nname = \"other\"\n";
    let out = desk.apply(other, &[]);
    assert!(!out.lines().any(|line| line.starts_with('-')), "{out}");
    assert!(
        out.contains("name \"NVIDIA\" -> \"nvidia\""),
        "a name is known by its letters, not their case: {out}"
    );
    let pool = desk.export(&["--with-secrets"]);
    assert!(pool.contains(KEY) && pool.contains("\"agent\"") && pool.contains("\"other\""), "{pool}");

    let out = desk.apply(other, &["--prune"]);
    assert!(out.contains("- key ••••RwVb (first) of channel nvidia\n"), "{out}");
    assert!(out.contains("- token agent (its value stops working at once)\n"), "{out}");
    let pool = desk.export(&["--with-secrets"]);
    assert!(
        !pool.contains(KEY) && !pool.contains("\"agent\"") && pool.contains("gsk_Vb63NmXc19Za"),
        "{pool}"
    );

    let out = desk.apply("", &["--prune"]);
    assert!(out.contains("- channel nvidia (with its keys: 1)\n"), "{out}");
    assert!(!desk.export(&[]).contains("[["));
}

#[test]
fn a_channel_without_keys_keeps_them_and_a_model_by_name_what_is_known_of_it() {
    let desk = full();
    let out = desk.apply(
        "[[channels]]\nname = \"NVIDIA\"\nbase_url = \"https://integrate.example.com/v1\"\npriority = 10\nweight = 3\n\
         groups = [\"free\"]\nproxy = \"keep:\"\nnote = \"a note\"\nmodels = [\"big\", \"small\"]\n\
         timeouts = { idle_ms = 5000 }\nheaders = { X-Title = \"keep:\", X-Account = \"keep:\" }\n\
         redirects = { \"gpt-4o\" = \"big\", smart = [\"small\", \"big\"] }\n\
         limits = [{ max = 40, window = \"1m\" }, { max = 2, window = \"bucket:1s,burst=1\", per = \"channel\" }, \
         { metric = \"tokens\", max = 100000, window = \"day@UTC\", per = \"group\", models = [\"big*\"], insist = true }]\n",
        &[],
    );
    assert_eq!(out, "nothing to change\n");
}

#[test]
fn a_new_token_gets_a_value_that_is_told_once_and_stays() {
    let desk = Desk::new();
    let out = desk.apply("[[tokens]]\nname = \"laptop\"\n", &[]);
    let value = out.trim_end().rsplit(' ').next().unwrap();
    assert!(value.starts_with("sk-") && value.len() == 51, "{out}");
    let again = desk.apply("[[tokens]]\nname = \"laptop\"\nnote = \"mine\"\n", &[]);
    assert_eq!(again, "~ token laptop: note \"\" -> \"mine\"\napplied; steps: 1\n");
    assert!(desk.export(&["--with-secrets"]).contains(value));

    let report = desk.apply("[[tokens]]\nname = \"script\"\n", &["--json"]);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["steps"][0]["action"], "add");
    assert_eq!(report["new_tokens"][0]["name"], "script");
    assert!(report["new_tokens"][0]["value"].as_str().unwrap().starts_with("sk-"));
}

#[test]
fn two_tokens_can_exchange_their_values_in_one_file() {
    let desk = Desk::new();
    let (one, two) = ("sk-one-0123456789-0123456789-0123456789", "sk-two-0123456789-0123456789-0123456789");
    let file = |a: &str, b: &str| {
        format!("[[tokens]]\nname = \"a\"\nvalue = \"{a}\"\n[[tokens]]\nname = \"b\"\nvalue = \"{b}\"\n")
    };
    desk.apply(&file(one, two), &[]);
    desk.apply(&file(two, one), &[]);
    let pool: Value = serde_json::from_str(&desk.export(&["--with-secrets", "--format", "json"])).unwrap();
    assert_eq!((&pool["tokens"][0]["value"], &pool["tokens"][1]["value"]), (&two.into(), &one.into()));
    assert_eq!(desk.apply(&file(two, one), &[]), "nothing to change\n");

    // A value of a token that stays as it is cannot be another one's; a pruned token's can.
    let third = format!("[[tokens]]\nname = \"c\"\nvalue = \"{two}\"\n");
    desk.write("pool.toml", &third);
    let said = desk.run(&["apply", "pool.toml"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.starts_with("pool.toml:3:1: tokens[0].value: This is a value of the token “a”"),
        "{}",
        said.err
    );
    desk.apply(&third, &["--prune"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_secrets_shows_none_and_changes_nothing_when_it_is_applied() {
    let desk = full();
    let before = desk.rows().await;
    for format in ["toml", "json"] {
        let text = desk.export(&["--format", format]);
        for secret in [KEY, VALUE, "proxy-password", "account-Zw83Kx", "gsk_Vb63NmXc19Za"] {
            assert!(!text.contains(secret), "{text}");
        }
        let said = desk.pipe(&["apply", "-", "--prune"], &text);
        assert_eq!((said.code, said.out.as_str()), (Some(0), "nothing to change\n"), "{text}\n{}", said.err);
    }
    assert_eq!(desk.rows().await, before);
    let text = desk.export(&[]);
    assert!(
        text.contains("# Keys left out: 2.") && text.contains("# secret = \"env:NVIDIA_KEY_1\" # ••••RwVb"),
        "{text}"
    );

    // The comments become declarations when their marks are removed.
    let uncommented = text.replace("\n# [[channels.keys]]", "\n[[channels.keys]]");
    let uncommented: String = uncommented
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest == "]" => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    desk.write("keys.toml", &uncommented);
    let said = desk.run_with(
        &["apply", "keys.toml", "--prune"],
        &[("NVIDIA_KEY_1", KEY), ("NVIDIA_KEY_2", "gsk_Vb63NmXc19Za")],
    );
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "nothing to change\n"),
        "{uncommented}\n{}",
        said.err
    );
}

#[test]
fn an_export_with_secrets_makes_the_same_pool_in_an_empty_folder() {
    let desk = full();
    // Names, notes and secrets that need care when they are written.
    desk.apply(
        "[[channels]]\nname = \"odd \\\"name\\\" \\\\ 渠道\"\nbase_url = \"https://a.example\"\nenabled = false\n\
         note = \"\"\"two\nlines\\t\\u0001\"\"\"\nheaders = { X-Odd = \"literal:env:HOME\" }\n\
         models = [\"m\"]\nredirects = { \"a.b/c:d\" = \"m\" }\n\
         keys = [{ secret = \"literal:file:/etc/passwd\" }, { secret = \"literal:literal:x\" }]\n\
         [[tokens]]\nname = \"plain\"\nenabled = false\nquota = { unit = \"tokens\", limit = 1_000_000 }\n",
        &[],
    );
    for format in ["toml", "json"] {
        let copy = Desk::new();
        let name = format!("all.{format}");
        let said = desk.run(&["export", "--with-secrets", "-o", &name]);
        assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{}", said.err);
        let mode = fs::metadata(desk.path(&name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let text = fs::read_to_string(desk.path(&name)).unwrap();
        assert!(text.contains(KEY) && text.contains(VALUE) && text.contains("proxy-password"), "{text}");
        let said = copy.pipe(&["apply", "-"], &text);
        assert_eq!(said.code, Some(0), "{text}\n{}", said.err);
        assert_eq!(copy.export(&["--with-secrets", "--format", format]), text);
        assert_eq!(copy.pipe(&["apply", "-"], &text).out, "nothing to change\n");
    }
}

#[test]
fn messages_follow_the_language_of_the_terminal() {
    let desk = Desk::new();
    desk.write("pool.toml", "[[channels]]\nname = \"a\"\nwieght = 1\n");
    let chinese = &[("LANG", "zh_CN.UTF-8")];
    let said = desk.run_with(&["apply", "pool.toml"], chinese);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("pool.toml:3:1: channels[0].wieght: 此处没有字段“wieght”，可能应为“weight”。"),
        "{}",
        said.err
    );
    desk.write("pool.toml", "[[tokens]]\nname = \"a\"\n");
    let said = desk.run_with(&["apply", "pool.toml", "--dry-run"], chinese);
    assert!(said.out.contains("+ 令牌 a"), "{}", said.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_follows_within_a_second() {
    let server = TestApp::start().await;
    let data = server.data.path().join("data");
    let desk = Desk::new();
    desk.write("pool.toml", &format!("[[tokens]]\nname = \"agent\"\nvalue = \"{}\"\n", app::TOKEN));
    let said = desk.run_with(&["apply", "pool.toml"], &[("DATA_DIR", data.to_str().unwrap())]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let done = tokio::time::Instant::now();
    loop {
        let models = server.request(reqwest::Method::GET, "/v1/models").send().await.unwrap();
        if models.status() == 200 {
            break;
        }
        assert!(done.elapsed() < Duration::from_secs(5), "the server does not follow");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(done.elapsed() < Duration::from_secs(2), "followed after {:?}", done.elapsed());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_applies_its_pool_file_at_the_start() {
    let desk = Desk::new();
    desk.write(
        "pool.toml",
        &format!("[[tokens]]\nname = \"agent\"\nvalue = \"{}\"\n[[tokens]]\nname = \"random\"\n", app::TOKEN),
    );
    let path = desk.path("pool.toml");
    let server = TestApp::start_with(&[("POOL_FILE", path.to_str().unwrap())]).await;
    let models = server.request(reqwest::Method::GET, "/v1/models").send().await.unwrap();
    assert_eq!(models.status(), 200);
    let tokens = server.app.site().db.tokens().await.unwrap();
    assert_eq!(tokens.len(), 2);
    let data = server.stop().await;

    // What the file does not declare any more stays, and a second start changes nothing.
    desk.write("pool.toml", "");
    let before = rows(&data.path().join("data/onepool.db")).await;
    let settings = [("POOL_FILE", path.to_str().unwrap())];
    TestApp::start_in(data.clone(), onepool::model::time::Clock::system(), &settings).await.stop().await;
    assert_eq!(rows(&data.path().join("data/onepool.db")).await, before);
}

#[test]
fn a_bad_pool_file_stops_the_start_with_2_and_a_random_value_is_not_logged() {
    let desk = Desk::new();
    desk.write("pool.toml", "[[tokens]]\nname = \"a\"\nexpires = 1\n[[tokens]]\nname = \"b\"\nenabled = 1\n");
    let settings = [("POOL_FILE", "pool.toml"), ("PORT", "0")];
    let said = desk.run_with(&["serve"], &settings);
    assert_eq!(said.code, Some(2), "{}{}", said.out, said.err);
    assert!(said.err.contains("pool.toml:3:1: tokens[0].expires: There is no field"), "{}", said.err);
    assert!(said.err.contains("pool.toml:6:1: tokens[1].enabled: Please give true or false"), "{}", said.err);
    assert!(!said.out.contains("listening"));
    let said = desk.run_with(&["serve"], &[("POOL_FILE", "missing.toml"), ("PORT", "0")]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("missing.toml: cannot be read"), "{}", said.err);

    desk.write("pool.toml", "[[tokens]]\nname = \"random\"\n");
    let mut server = desk.command(&["serve"]).envs(settings).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    server.kill().unwrap();
    let log = Said::of(server.wait_with_output().unwrap()).err;
    assert!(log.contains("applied the pool file") && log.contains("random"), "{log}");
    assert!(!log.contains("sk-") && !line.contains("sk-"), "{log}");
    assert!(desk.export(&["--with-secrets"]).contains("value = \"sk-"));
}
