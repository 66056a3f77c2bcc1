//! Debian's own nginx with the shipped configurations, in front of the server.

mod addresses;
mod admin;
mod connections;
mod streams;

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// The name in the shipped configuration of a host.
const NAME: &str = "pool.example.com";
/// The server believes nginx, which connects from this address, and nobody else.
const TRUSTS_NGINX: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.1/32");

/// The shipped configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shipped {
    /// `deploy/nginx.conf`: plain HTTP, any name.
    Compose,
    /// `deploy/nginx-host.conf`: TLS, one name.
    Host,
}

impl Shipped {
    const BOTH: [Self; 2] = [Self::Compose, Self::Host];

    fn file(self) -> &'static str {
        match self {
            Self::Compose => "deploy/nginx.conf",
            Self::Host => "deploy/nginx-host.conf",
        }
    }
}

/// What has to be different in a test: places, and nothing else. Everything that is replaced must be there.
fn adapt(text: &str, changes: &[(&str, String)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the configuration has no {from:?} any more");
        text = text.replace(from, to);
    }
    text
}

/// Writes the files that nginx is started with; gives the main one.
fn configure(shipped: Shipped, folder: &Path, plain: u16, tls: u16, backend: SocketAddr) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = fs::read_to_string(root.join(shipped.file())).expect("the shipped configuration");
    let here = |name: &str| folder.join(name).display().to_string();
    // As root nginx would give its work to a user who may not enter the test's folder.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let main = folder.join("nginx.conf");
    match shipped {
        Shipped::Compose => {
            let changes = [
                ("listen 8080 default_server;", format!("listen 127.0.0.1:{plain} default_server;")),
                ("server onepool:3000;", format!("server {backend};")),
                (" /tmp/", format!(" {}/", folder.display())),
            ];
            fs::write(&main, user.to_owned() + &adapt(&own, &changes)).expect("a writable folder");
        }
        Shipped::Host => {
            let changes = [
                ("listen 80 default_server;", format!("listen 127.0.0.1:{plain} default_server;")),
                ("listen 80;", format!("listen 127.0.0.1:{plain};")),
                ("listen 443 ssl default_server;", format!("listen 127.0.0.1:{tls} ssl default_server;")),
                ("listen 443 ssl;", format!("listen 127.0.0.1:{tls} ssl;")),
                // Not every machine has IPv6.
                ("    listen [::]:80 default_server;\n", String::new()),
                ("    listen [::]:80;\n", String::new()),
                ("    listen [::]:443 ssl default_server;\n", String::new()),
                ("    listen [::]:443 ssl;\n", String::new()),
                ("server 127.0.0.1:3000;", format!("server {backend};")),
                ("/var/log/nginx/", here("")),
                ("/var/www/html", here("www")),
                ("/etc/letsencrypt/live/pool.example.com/", here("")),
            ];
            let site = folder.join("site.conf");
            fs::write(&site, adapt(&own, &changes)).expect("a writable folder");
            // Around it stands Debian's own main file.
            let debian = fs::read_to_string("/etc/nginx/nginx.conf").expect("Debian's nginx.conf");
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("\t{kind}_temp_path {};\n", here(kind)));
            let changes = [
                ("user www-data;\n", user.to_owned()),
                ("pid /run/nginx.pid;", format!("pid {};", here("nginx.pid"))),
                ("error_log /var/log/nginx/error.log;", format!("error_log {} warn;", here("error.log"))),
                ("access_log /var/log/nginx/access.log;", format!("access_log {};", here("access.log"))),
                ("\tinclude /etc/nginx/conf.d/*.conf;\n", temporary.concat()),
                ("include /etc/nginx/sites-enabled/*;", format!("include {};", site.display())),
            ];
            fs::write(&main, adapt(&debian, &changes)).expect("a writable folder");
        }
    }
    main
}

/// The command that runs nginx on a configuration.
fn nginx(main: &Path) -> Command {
    // Debian has it where only root looks.
    let debian = Path::new("/usr/sbin/nginx");
    let mut command = Command::new(if debian.exists() { debian } else { Path::new("nginx") });
    command.arg("-c").arg(main).stdin(Stdio::null());
    command
}

/// Runs a program to its end; it must succeed.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Makes an authority (`ca.pem`) and, signed by it, a certificate for a name or an address: `fullchain.pem` and
/// `privkey.pem`, as certbot calls them.
fn certify(folder: &Path, subject: &str) {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        run(command.args(arguments.split(' ')).current_dir(folder));
    };
    let kind = if subject.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let extensions = format!("subjectAltName={kind}:{subject}\nbasicConstraints=critical,CA:FALSE\n");
    fs::write(folder.join("extensions"), extensions).expect("a writable folder");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(&format!("req -new {key} -keyout privkey.pem -out request.pem -subj /CN=server"));
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out fullchain.pem",
    );
}

/// A running nginx; it ends when this is dropped.
struct Nginx {
    shipped: Shipped,
    child: Child,
    folder: TempDir,
    /// Where it speaks HTTP.
    plain: SocketAddr,
    /// Where it speaks HTTPS; [`Shipped::Host`] only.
    tls: SocketAddr,
}

impl Nginx {
    /// Starts nginx with a shipped configuration in front of a server.
    fn start(shipped: Shipped, backend: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        certify(folder.path(), NAME);
        let log = |name: &str| File::create(folder.path().join(name)).expect("a writable folder");
        // A free port may be taken by somebody else before nginx has it.
        for _ in 0..5 {
            let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
            let [plain, tls] = ports.each_ref().map(|port| port.local_addr().expect("a bound socket"));
            drop(ports);
            let main = configure(shipped, folder.path(), plain.port(), tls.port(), backend);
            let mut command = nginx(&main);
            command.args(["-g", "daemon off;"]).stdout(log("stdout")).stderr(log("stderr"));
            let mut child = command.spawn().expect("nginx; on Debian: apt-get install nginx-light");
            for _ in 0..SOON.as_millis() / 20 {
                if TcpStream::connect(plain).is_ok() {
                    return Self { shipped, child, folder, plain, tls };
                }
                if child.try_wait().expect("a child").is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!(
            "nginx does not start: {}",
            fs::read_to_string(folder.path().join("stderr")).unwrap_or_default()
        );
    }

    /// The URL of a path, as clients write it.
    fn url(&self, path: &str) -> String {
        match self.shipped {
            Shipped::Compose => format!("http://{NAME}:{}{path}", self.plain.port()),
            Shipped::Host => format!("https://{NAME}:{}{path}", self.tls.port()),
        }
    }

    /// A client at this address of the loopback network, which believes the test's authority.
    fn client(&self, source: [u8; 4]) -> reqwest::Client {
        // Fails if another test has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = fs::read(self.folder.path().join("ca.pem")).expect("the authority");
        let authority = reqwest::Certificate::from_pem(&authority).expect("a certificate");
        reqwest::Client::builder()
            .no_proxy()
            .local_address(IpAddr::V4(Ipv4Addr::from(source)))
            .resolve(NAME, SocketAddr::from(([127, 0, 0, 1], 0)))
            .resolve("evil.example", SocketAddr::from(([127, 0, 0, 1], 0)))
            .tls_certs_only([authority])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SOON * 2)
            .build()
            .expect("a client")
    }

    /// Sends bytes to where clients connect, over TLS if they do; gives what comes until nginx closes.
    fn send(&self, request: &str) -> String {
        match self.shipped {
            Shipped::Compose => self.send_plain(request),
            Shipped::Host => {
                let mut command = Command::new("openssl");
                command.args(["s_client", "-quiet", "-connect", &self.tls.to_string(), "-servername", NAME]);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
                let mut child = command.spawn().expect("openssl");
                let mut input = child.stdin.take().expect("a pipe");
                input.write_all(request.as_bytes()).expect("openssl takes the request");
                let mut answer = Vec::new();
                child.stdout.take().expect("a pipe").read_to_end(&mut answer).expect("the answer");
                drop(input);
                child.wait().expect("openssl ends");
                String::from_utf8_lossy(&answer).into_owned()
            }
        }
    }

    /// Sends bytes to the port of plain HTTP; gives what comes until nginx closes.
    fn send_plain(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.plain).expect("a connection");
        stream.set_read_timeout(Some(SOON)).expect("a socket");
        stream.write_all(request.as_bytes()).expect("nginx takes the request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// The access log.
    fn access_log(&self) -> String {
        self.read(if self.shipped == Shipped::Compose { "stdout" } else { "onepool.access.log" })
    }

    /// Warnings and errors.
    fn error_log(&self) -> String {
        self.read("stderr") + &self.read("error.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers would survive a SIGKILL.
        let process = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Something with TLS in front of a server, for tests of other modules.
pub struct TlsFront(Nginx);

impl TlsFront {
    /// The name that its certificate is for.
    pub const NAME: &str = NAME;

    /// Starts it.
    pub fn start(backend: SocketAddr) -> Self {
        Self(Nginx::start(Shipped::Host, backend))
    }

    /// The certificate of the authority that has signed its own.
    pub fn authority(&self) -> PathBuf {
        self.0.folder.path().join("ca.pem")
    }

    /// The base URL of an API behind it.
    pub fn base_url(&self) -> String {
        self.0.url("/v1")
    }
}

#[test]
fn nginx_finds_nothing_to_complain_about_in_the_shipped_files() {
    for shipped in Shipped::BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        certify(folder.path(), NAME);
        let main = configure(shipped, folder.path(), 8080, 8443, SocketAddr::from(([127, 0, 0, 1], 3000)));
        let output = run(nginx(&main).arg("-t"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("test is successful"), "{said}");
        assert!(!said.contains("[warn]"), "{said}");
    }
}
