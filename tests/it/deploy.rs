//! The image, Compose, systemd: what can be proved of them without Docker.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use onepool::{
    config::setting,
    model::{key::PastedKey, secret::Secret, time::Clock, token::ClientProfile},
    storage::{Db, channels::NewChannel, tokens::NewToken, vault::Vault},
};
use tempfile::TempDir;

use crate::{
    nginx::TlsFront,
    support::{
        app::{self, Reply, TOKEN},
        upstream::Upstream,
    },
};

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// The user and the group of the image.
const USER: u32 = 65532;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The default of a setting that is a number.
fn default_of(name: &str) -> u64 {
    setting(name).expect(name).default.parse().expect(name)
}

/// The instructions of the Dockerfile's last stage, continued lines joined.
fn image() -> Vec<(String, String)> {
    let dockerfile = read("Dockerfile").replace("\\\n", " ");
    let stage = dockerfile.rsplit("\nFROM ").next().expect("a stage");
    let lines = stage.lines().skip(1).filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(word, rest)| (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

fn instruction(image: &[(String, String)], word: &str) -> String {
    let found = image.iter().find(|(instruction, _)| instruction == word);
    found.unwrap_or_else(|| panic!("the image has no {word}")).1.clone()
}

/// The values of a `["list", "of", "texts"]` at the end of an instruction.
fn words(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').expect("a list")..]).expect("a list of texts")
}

/// A Compose file as pairs of path and value; variables take their defaults.
fn compose(name: &str) -> Vec<(String, String)> {
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut pairs = Vec::new();
    for line in read(name).lines() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        path.retain(|(outer, _)| *outer < indent);
        let (key, value) = match text.strip_prefix("- ") {
            Some(item) => (None, item),
            None => text.split_once(':').map(|(key, value)| (Some(key), value.trim())).expect(line),
        };
        if let Some(key) = key {
            path.push((indent, key.to_owned()));
        }
        if !value.is_empty() {
            let keys: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
            pairs.push((keys.join("."), with_defaults(value.trim_matches('"'))));
        }
    }
    pairs
}

/// `${NAME:-default}` becomes `default`; any other variable would need an `.env` file.
fn with_defaults(value: &str) -> String {
    let Some((before, rest)) = value.split_once("${") else {
        assert!(!value.contains('$'), "{value}");
        return value.to_owned();
    };
    let (variable, after) = rest.split_once('}').expect(value);
    let (_, default) = variable.split_once(":-").unwrap_or_else(|| panic!("{variable} has no default"));
    format!("{before}{default}{}", with_defaults(after))
}

fn at<'a>(pairs: &'a [(String, String)], path: &str) -> Vec<&'a str> {
    pairs.iter().filter(|(key, _)| key == path).map(|(_, value)| value.as_str()).collect()
}

fn seconds(text: &str) -> u64 {
    text.strip_suffix('s').unwrap_or(text).parse().expect(text)
}

#[test]
fn the_image_has_no_shell_and_no_root_and_checks_its_own_health() {
    let image = image();
    assert!(read("Dockerfile").contains("\nFROM scratch\n"), "nothing but what is copied is in the image");
    assert_eq!(instruction(&image, "USER"), format!("{USER}:{USER}"));
    assert_eq!(words(&instruction(&image, "ENTRYPOINT")), ["/usr/local/bin/onepool"]);
    assert_eq!(words(&instruction(&image, "CMD")), ["serve"]);
    assert_eq!(words(&instruction(&image, "HEALTHCHECK")), ["/usr/local/bin/onepool", "healthcheck"]);
    assert_eq!(instruction(&image, "STOPSIGNAL"), "SIGTERM");
    assert_eq!(instruction(&image, "VOLUME"), "/data");
    assert_eq!(instruction(&image, "EXPOSE"), "3000");
    let environment = instruction(&image, "ENV");
    assert!(environment.contains("DATA_DIR=/data") && environment.contains("LISTEN=0.0.0.0:3000"));
    let copied: Vec<&str> =
        image.iter().filter(|(word, _)| word == "COPY").map(|(_, rest)| rest.as_str()).collect();
    let owner = format!("--from=build --chown={USER}:{USER} /data /data");
    assert_eq!(copied, ["--from=build /image /", &owner]);
}

#[test]
fn compose_needs_no_env_file_and_gives_its_services_no_more_than_they_need() {
    let (compose, host) = (compose("docker-compose.yml"), compose("deploy/docker-compose.host-nginx.yml"));
    let of = |path: &str| at(&compose, path);
    for service in ["onepool", "nginx"] {
        assert_eq!(of(&format!("services.{service}.read_only")), ["true"], "{service}");
        assert_eq!(of(&format!("services.{service}.cap_drop")), ["ALL"], "{service}");
        assert_eq!(of(&format!("services.{service}.security_opt")), ["no-new-privileges:true"], "{service}");
        assert_eq!(of(&format!("services.{service}.restart")), ["unless-stopped"], "{service}");
        assert!(!of(&format!("services.{service}.healthcheck.test")).is_empty(), "{service}");
    }
    assert_eq!(of("services.onepool.volumes"), ["data:/data"]);
    assert!(of("services.onepool.ports").is_empty(), "clients could go round nginx");
    // Plain HTTP stays on this machine unless its owner says otherwise.
    assert_eq!(of("services.nginx.ports"), ["127.0.0.1:8080:8080"]);
    assert_eq!(of("services.nginx.volumes"), ["./deploy/nginx.conf:/etc/nginx/nginx.conf:ro"]);

    let nginx = of("services.nginx.networks.pool.ipv4_address");
    assert_eq!(of("services.onepool.environment.TRUSTED_PROXIES"), nginx, "nginx alone is believed");
    let subnet: ipnet::IpNet =
        of("networks.pool.ipam.config")[0].split_once(": ").unwrap().1.parse().unwrap();
    let gateway = of("networks.pool.ipam.config.gateway");
    let onepool = of("services.onepool.networks.pool.ipv4_address");
    let addresses: BTreeSet<std::net::IpAddr> =
        [nginx[0], onepool[0], gateway[0]].iter().map(|address| address.parse().unwrap()).collect();
    assert!(addresses.len() == 3 && addresses.iter().all(|address| subnet.contains(address)));

    // An nginx of the host comes in by the published port.
    assert_eq!(at(&host, "services.onepool.ports"), ["127.0.0.1:3000:3000"]);
    assert_eq!(at(&host, "services.onepool.environment.TRUSTED_PROXIES"), gateway);
}

#[test]
fn whoever_stops_the_server_waits_longer_than_it_drains() {
    let compose = compose("docker-compose.yml");
    let of = |path: &str| at(&compose, path)[0].to_owned();
    let drain = default_of("DRAIN_SECONDS");
    assert_eq!(of("services.onepool.environment.DRAIN_SECONDS"), drain.to_string());
    // After the drain, answers get two seconds and background tasks five.
    let needs = drain + 2 + 5;
    assert!(seconds(&of("services.onepool.stop_grace_period")) > needs);
    // nginx stops first, and waits for the answers that pass through it.
    let nginx = read("deploy/nginx.conf");
    let directive = |name: &str| {
        let rest = nginx.split(&format!("{name} ")).nth(1).unwrap_or_else(|| panic!("no {name}"));
        rest.split(';').next().unwrap_or_default().to_owned()
    };
    let waits = seconds(&directive("worker_shutdown_timeout"));
    assert!(waits > drain && seconds(&of("services.nginx.stop_grace_period")) > waits);
    let unit = read("deploy/onepool.service");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a limit");
    assert!(seconds(stop) > needs);
}

#[test]
fn limits_of_nginx_go_with_those_of_the_server() {
    for file in ["deploy/nginx.conf", "deploy/nginx-host.conf"] {
        let text = read(file);
        let (upstream, _) = text.split_once("keepalive_timeout 120s").expect(file);
        assert!(
            upstream.contains("keepalive_timeout 10s;") && default_of("HEADER_TIMEOUT_SECONDS") > 11,
            "{file}"
        );
        assert!(text.contains(&format!("client_max_body_size {}m;", default_of("MAX_BODY_MB"))), "{file}");
        assert!(
            text.contains("proxy_read_timeout 600s;") && default_of("IDLE_TIMEOUT_MS") < 500_000,
            "{file}"
        );
        for line in ["proxy_buffering off;", "proxy_request_buffering off;", "proxy_http_version 1.1;"] {
            assert!(text.contains(line), "{file}: {line}");
        }
    }
}

/// The guides of both languages.
const GUIDES: &[&str] = &["deploy/README.md", "deploy/README.zh-CN.md"];

#[test]
fn the_guides_name_every_file_and_the_user_of_the_image() {
    for guide in GUIDES {
        let text = read(guide);
        for entry in fs::read_dir(root().join("deploy")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(name.starts_with("README") || text.contains(&name), "{guide} does not name {name}");
        }
        assert!(text.contains(&format!("chown -R {USER}:{USER} ./data")), "{guide}");
    }
}

#[test]
fn systemd_understands_the_unit_and_finds_little_exposed() {
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("not checked: there is no systemd-analyze here");
        return;
    };
    let version = String::from_utf8_lossy(&found.stdout).into_owned();
    let version: u32 = version.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("onepool.service");
    // systemd asks whether the program is there.
    let text = read("deploy/onepool.service");
    assert!(text.contains("ExecStart=/usr/local/bin/onepool serve\n"));
    fs::write(&unit, text.replace("/usr/local/bin/onepool", env!("CARGO_BIN_EXE_onepool"))).unwrap();
    let Output { status, stdout, stderr } =
        Command::new("systemd-analyze").arg("verify").arg(&unit).output().unwrap();
    let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success() && !said.contains("onepool.service"), "{said}");
    if version >= 250 {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--no-pager", "--offline=yes", "--threshold=20"]).arg(&unit);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Runs a program as the image's user if this process is root, to whom every folder is writable.
fn unprivileged(folder: &Path, program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    // Where the program was built, other users may have no access.
    let copy = folder.join("onepool");
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".into()]).arg(copy);
    command
}

#[test]
fn a_folder_of_another_user_is_named_with_the_chown_that_helps_in_both_languages() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    let start = |data: &Path, language: &str| {
        let mut command = unprivileged(parent.path(), Path::new(env!("CARGO_BIN_EXE_onepool")));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("DATA_DIR", data).env("PORT", "0");
        let Output { status, stderr, .. } = command.env("LANG", language).output().unwrap();
        assert_eq!(status.code(), Some(1));
        String::from_utf8(stderr).unwrap()
    };
    let (uid, gid) = if rustix::process::geteuid().is_root() {
        (USER, USER)
    } else {
        (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    };
    let command = format!("\n  sudo chown -R {uid}:{gid} {}\n", data.display());
    for (language, words) in [
        ("C", format!("runs as uid {uid}, gid {gid}. Give it the data folder:")),
        ("zh_CN.UTF-8", format!("本进程以 uid {uid}、gid {gid} 运行")),
    ] {
        let error = start(&data, language);
        assert!(error.contains(&words) && error.contains(&command), "{error}");
        assert!(error.contains(&format!("\n  sudo chown -R {uid}:{gid} ./data\n")), "{error}");
    }
    let new = data.join("new");
    let error = start(&new, "C");
    let new = new.display();
    assert!(error.contains(&format!("sudo mkdir -p {new} && sudo chown {uid}:{gid} {new}\n")), "{error}");
}

/// A folder with what the image contains, and nothing else; [`Container::start`] runs the image's command in it.
struct Container {
    folder: TempDir,
    environment: Vec<(String, String)>,
    entrypoint: String,
    port: u16,
}

impl Container {
    fn new(program: &Path, authorities: &Path) -> Self {
        // Not in /tmp, where systems do not let devices work.
        let target = root().join("target");
        fs::create_dir_all(&target).unwrap();
        let folder = tempfile::tempdir_in(target).unwrap();
        let image = image();
        let entrypoint = words(&instruction(&image, "ENTRYPOINT")).remove(0);
        let environment = instruction(&image, "ENV");
        let environment = environment.split(' ').filter_map(|pair| pair.split_once('='));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let container = Self {
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            entrypoint,
            port,
            folder,
        };
        fs::set_permissions(container.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        container.put(program, &container.entrypoint, 0o755);
        container.put(authorities, "/etc/ssl/certs/ca-certificates.crt", 0o644);
        fs::create_dir(container.path("/data")).unwrap();
        container.own_data();
        // Docker gives each container devices and this file.
        fs::create_dir(container.path("/dev")).unwrap();
        for (device, minor) in [("null", "3"), ("random", "8"), ("urandom", "9")] {
            let mut command = Command::new("mknod");
            command.args(["-m", "666"]).arg(container.path("/dev").join(device)).args(["c", "1", minor]);
            assert!(command.status().unwrap().success(), "mknod");
        }
        fs::write(container.path("/etc/hosts"), format!("127.0.0.1 localhost {}\n", TlsFront::NAME)).unwrap();
        container
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    fn put(&self, file: &Path, inside: &str, mode: u32) {
        let target = self.path(inside);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, &target).unwrap();
        fs::set_permissions(target, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Gives the data folder, with what is in it, to the image's user.
    fn own_data(&self) {
        let data = self.path("/data");
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        for path in files(&data).into_iter().chain([data]) {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    /// Every file but those of the data folder. The user of the image may write none of them, so this must not change.
    fn fixed(&self) -> BTreeSet<PathBuf> {
        let data = self.path("/data");
        files(self.folder.path()).into_iter().filter(|path| !path.starts_with(&data)).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={USER}:{USER}")).arg("--groups=").arg(self.folder.path());
        command.arg(&self.entrypoint).args(arguments);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        // Elsewhere the port may be taken.
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("PORT", self.port.to_string());
        command.env("ADMIN_PASSWORD", "correct horse battery");
        command.stdin(Stdio::null());
        command
    }

    /// Starts the server and waits until it is ready.
    async fn start(&self) -> Running {
        let log = self.folder.path().with_extension("log");
        let mut command = self.command(&["serve"]);
        command.stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        let mut running = Running(command.spawn().unwrap());
        let http = client();
        for _ in 0..SOON.as_millis() / 20 {
            if let Ok(answer) = http.get(self.url("/readyz")).send().await
                && answer.status() == 200
            {
                fs::remove_file(log).unwrap();
                return running;
            }
            if let Some(status) = running.0.try_wait().unwrap() {
                panic!("{status}: {}", fs::read_to_string(log).unwrap());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not ready: {}", fs::read_to_string(log).unwrap());
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", SocketAddr::from(([127, 0, 0, 1], self.port)))
    }

    fn health(&self) -> Option<i32> {
        self.command(&["healthcheck"]).output().unwrap().status.code()
    }

    async fn chat(&self) -> Reply {
        let body = app::chat("m", true, "marker=abc words=3");
        let request = client().post(self.url("/v1/chat/completions")).bearer_auth(TOKEN).json(&body);
        Reply::read(request.send().await.unwrap()).await
    }
}

/// A running server; it is killed when this is dropped.
struct Running(Child);

impl Running {
    /// Asks it to stop, and waits.
    fn stop(mut self) -> ExitStatus {
        let process = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        for _ in 0..SOON.as_millis() / 20 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not stop");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn client() -> reqwest::Client {
    // Fails if another test has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// All files and folders below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            let below = if path.is_dir() { files(&path) } else { Vec::new() };
            std::iter::once(path).chain(below)
        })
        .collect()
}

/// A channel at this upstream, and the token [`TOKEN`].
async fn furnish(container: &Container, base_url: &str) {
    let key = fs::read_to_string(container.path("/data/secret.key")).unwrap();
    let vault = Vault::new(&Secret::new(key.trim()));
    let db = Db::open(&container.path("/data/onepool.db"), vault, Clock::system()).await.unwrap();
    let channel = NewChannel {
        name: "over TLS".into(),
        base_url: base_url.into(),
        allow_private: true,
        enabled: true,
        weight: 1,
        models: vec![app::model("m")],
        ..NewChannel::default()
    };
    let id = db.create_channel(&channel).await.unwrap();
    let key = PastedKey {
        label: String::new(),
        secret: Secret::new("key-1"),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    };
    db.add_keys(id, &[key]).await.unwrap();
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
    .unwrap();
    db.close().await;
    container.own_data();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, and a static program in ONEPOOL_BINARY: scripts/test image"]
async fn the_image_contains_all_that_the_program_needs() {
    #[expect(clippy::disallowed_methods, reason = "tells the test which build to run")]
    let program = PathBuf::from(std::env::var("ONEPOOL_BINARY").expect("ONEPOOL_BINARY"));
    let upstream = Upstream::start();
    let front = TlsFront::start(upstream.address());
    let container = Container::new(&program, &front.authority());
    let fixed = container.fixed();

    // The first start makes the key and the database.
    let running = container.start().await;
    assert_eq!(container.health(), Some(0));
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(container.health(), Some(1));

    furnish(&container, &front.base_url()).await;
    let running = container.start().await;
    let reply = container.chat().await;
    assert!(reply.done() && reply.content().starts_with("abc.0"), "{}", reply.text());
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(container.fixed(), fixed, "something was written outside of the data folder");

    // Without the authorities' certificates no upstream with TLS can be called: the image's are really used.
    fs::remove_file(container.path("/etc/ssl/certs/ca-certificates.crt")).unwrap();
    let running = container.start().await;
    let reply = container.chat().await;
    assert_eq!(reply.code(), "upstream_error", "{}", reply.text());
    assert_eq!(running.stop().code(), Some(0));

    // A folder that Docker has made for `-v ./data:/data` belongs to root.
    chown(container.path("/data"), Some(0), Some(0)).unwrap();
    let output = container.command(&["serve"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(&format!("sudo chown -R {USER}:{USER} ./data")), "{error}");
}
