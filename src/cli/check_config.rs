//! `onepool check-config`: every setting with its origin, and whether a server could start with them.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use clap::Command;
use serde_json::{Value, json};

use super::{
    Failure,
    command::{Entry, all_flags, json_switch, verb},
    explain,
    invocation::Invocation,
    logging,
    output::{Cell, Look, Table, clean, tell},
    runtime,
};
use crate::{
    app::StartError,
    config::{self, Config, Finding, survey},
    i18n::{Messages, cli::Cli, terminal::Terminal},
    model::time::Clock,
    storage::{
        Db, OpenError,
        folder::{Claim, DataFolder, FolderError},
        providers::{self, ProviderStore},
        ranking_files,
        vault::Vault,
    },
    upstream::address,
};

/// `onepool check-config`.
pub const ENTRY: Entry = Entry { name: "check-config", command, run };

fn command(m: Messages) -> Command {
    let examples = &["onepool check-config", "onepool check-config --data-dir /var/lib/onepool --json"];
    verb(ENTRY.name, m.help.check_config(), examples, m).arg(json_switch(m)).args(all_flags(m))
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Hint,
    Wrong,
}

/// A check and what it found.
struct Check {
    about: &'static str,
    verdict: Verdict,
    text: String,
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let look = |saved: &BTreeMap<String, String>| survey(|name| call.flag(name), config::environment, saved);
    let mut findings = look(&BTreeMap::new());
    let mut checks = Vec::new();
    // Without usable settings there is no folder to look into.
    if let Ok(config) = call.config() {
        let (saved, of_folder) = runtime(m.cli)?.block_on(check_folder(&config, m));
        findings = look(&saved);
        checks = of_folder;
        checks.extend(check_providers(&config, m.terminal));
        checks.push(check_port(&config, m.terminal));
        let runtime_settings = config.runtime(&saved);
        checks.push(check_public_url(&config, runtime_settings.public_url.as_deref(), m.terminal));
        checks.push(check_proxies(&config, runtime_settings.public_url.as_deref(), m.terminal));
    }
    note_log_filter(&mut findings);
    let right = findings.iter().all(|finding| finding.problem.is_none())
        && checks.iter().all(|check| check.verdict != Verdict::Wrong);
    tell(call, &json_of(&findings, &checks, right, m), || text_of(&findings, &checks, right, m))?;
    if right { Ok(()) } else { Err(Failure::ToldWrong) }
}

fn note_log_filter(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.setting.name == "RUST_LOG") {
        if let Err(error) = logging::filter(&finding.value) {
            finding.problem = Some(error);
        }
    }
}

fn json_of(findings: &[Finding], checks: &[Check], right: bool, m: Messages) -> Value {
    let settings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "name": finding.setting.name,
                "value": Some(&finding.value).filter(|value| !value.is_empty()),
                "source": finding.origin,
                "problem": finding.problem.as_ref().map(|error| error.problem.text(m.lang)),
            })
        })
        .collect();
    let checks: Vec<Value> = checks
        .iter()
        .map(|check| {
            let result = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Hint => "hint",
                Verdict::Wrong => "wrong",
            };
            json!({ "about": check.about, "result": result, "message": check.text })
        })
        .collect();
    json!({ "ok": right, "settings": settings, "checks": checks })
}

fn text_of(findings: &[Finding], checks: &[Check], right: bool, m: Messages) -> String {
    let t = m.terminal;
    let mut table = Table::new([t.setting(), t.in_force(), t.source(), t.problem()]);
    for finding in findings {
        let unit = finding.setting.unit;
        let value = if unit.is_empty() || finding.value.is_empty() {
            finding.value.clone()
        } else {
            format!("{} {unit}", finding.value)
        };
        let origin = match finding.origin {
            config::Origin::Flag => t.from_flag(),
            config::Origin::Environment => t.from_environment(),
            config::Origin::File => t.from_file(),
            config::Origin::Saved => t.from_page(),
            config::Origin::Default => t.from_default(),
        };
        let problem = finding.problem.as_ref().map(|error| error.problem.text(m.lang)).unwrap_or_default();
        let look = if problem.is_empty() { Look::Plain } else { Look::Bad };
        table.row([
            Cell::text(finding.setting.name).look(look),
            Cell::text(value),
            Cell::text(origin),
            Cell::text(problem).look(look),
        ]);
    }
    let mut text = table.draw();
    text.push('\n');
    for check in checks {
        let (word, look) = match check.verdict {
            Verdict::Ok => (t.check_ok(), Look::Good),
            Verdict::Hint => (t.check_hint(), Look::Doubtful),
            Verdict::Wrong => (t.check_wrong(), Look::Bad),
        };
        text.push_str(&format!("\n{} {}", look.paint(word), clean(&check.text)));
    }
    if !right {
        text.push_str(&format!("\n\n{}", t.config_wrong()));
    }
    text
}

fn explained(error: impl Into<StartError>, t: Cli) -> String {
    explain::failure(&Failure::Start(error.into()), t).join(" ")
}

/// Whether the folder can be written and its database opens; gives what the settings page has saved.
async fn check_folder(config: &Config, m: Messages) -> (BTreeMap<String, String>, Vec<Check>) {
    let t = m.terminal;
    let mut checks = Vec::new();
    let mut note = |about, verdict, text| checks.push(Check { about, verdict, text });
    let path = config.data_dir.display().to_string();
    match probe(&config.data_dir) {
        Ok(true) => note("data_dir", Verdict::Ok, t.folder_writable(&path)),
        Ok(false) => note("data_dir", Verdict::Ok, t.folder_will_be_made(&path)),
        Err(source) => {
            let error = FolderError::Unusable { path: config.data_dir.clone(), source };
            note("data_dir", Verdict::Wrong, explained(error, m.cli));
            return (BTreeMap::new(), checks);
        }
    }
    let folder = match DataFolder::existing(&config.data_dir) {
        Ok(folder) => folder,
        Err(_) => return (BTreeMap::new(), checks),
    };
    let master_key = match folder.master_key(config.secret_key.clone()) {
        Ok(key) => key,
        Err(error) => {
            note("secret_key", Verdict::Wrong, explained(error, m.cli));
            return (BTreeMap::new(), checks);
        }
    };
    if config.secret_key.is_none() && others_can_read(&config.data_dir.join("secret.key")) {
        note(
            "secret_key",
            Verdict::Hint,
            t.key_readable(&config.data_dir.join("secret.key").display().to_string()),
        );
    }
    match Db::open_existing(&folder.database(), Vault::new(&master_key), Clock::system()).await {
        Ok(db) => {
            let saved = db.settings().await;
            db.close().await;
            match saved {
                Ok(saved) => {
                    note("database", Verdict::Ok, t.database_opens().to_owned());
                    return (saved, checks);
                }
                Err(error) => note("database", Verdict::Wrong, m.cli.database_failed(&error.to_string())),
            }
        }
        Err(OpenError::OlderSchema { .. }) => note("database", Verdict::Hint, t.database_older().to_owned()),
        Err(error) => note("database", Verdict::Wrong, explained(error, m.cli)),
    }
    (BTreeMap::new(), checks)
}

/// Whether a folder is there (`true`) or can be made (`false`), and files can be written in it.
fn probe(folder: &Path) -> io::Result<bool> {
    let exists = folder.try_exists()?;
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let file = existing.join(format!(".onepool-check-{}", std::process::id()));
    OpenOptions::new().write(true).create_new(true).open(&file)?;
    fs::remove_file(&file)?;
    Ok(exists)
}

fn others_can_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0)
}

/// Whether the files of providers and of the ranking can be read; nothing if there are none.
fn check_providers(config: &Config, t: Terminal) -> Vec<Check> {
    let check = |verdict, text| Check { about: "providers", verdict, text };
    let folders = [providers::FOLDER, ranking_files::FOLDER];
    if !folders.iter().any(|folder| config.data_dir.join(folder).exists()) {
        return Vec::new();
    }
    let faults = ProviderStore::open(&config.data_dir).faults();
    if faults.is_empty() {
        return vec![check(Verdict::Ok, t.providers_fine().to_owned())];
    }
    faults.iter().map(|fault| check(Verdict::Wrong, t.provider_file_wrong(&fault.to_string()))).collect()
}

fn check_port(config: &Config, t: Terminal) -> Check {
    let check = |verdict, text| Check { about: "listen", verdict, text };
    let wanted = config.listen;
    let claim = DataFolder::existing(&config.data_dir).map_or(Claim::None, |folder| folder.claim());
    match claim {
        Claim::Server(Some(address)) if same_place(address, wanted) => {
            check(Verdict::Ok, t.port_ours(&address.to_string()))
        }
        Claim::Server(Some(address)) => {
            check(Verdict::Hint, t.port_differs(&address.to_string(), &wanted.to_string()))
        }
        Claim::Server(None) => check(Verdict::Hint, t.port_unknown().to_owned()),
        Claim::None => match TcpListener::bind(wanted) {
            Ok(_) => check(Verdict::Ok, t.port_free(&wanted.to_string())),
            Err(source) => {
                check(Verdict::Wrong, explained(StartError::Listen { address: wanted, source }, Cli(t.0)))
            }
        },
    }
}

/// Whether a server that listens there is where the settings want it; port 0 stands for any.
fn same_place(address: SocketAddr, wanted: SocketAddr) -> bool {
    address.ip() == wanted.ip() && (wanted.port() == 0 || address.port() == wanted.port())
}

fn check_public_url(config: &Config, url: Option<&str>, t: Terminal) -> Check {
    let check = |verdict, text: &str| Check { about: "public_url", verdict, text: text.to_owned() };
    match url.and_then(|url| url::Url::parse(url).ok()) {
        None if config.listen.ip().is_loopback() => check(Verdict::Ok, t.url_not_needed()),
        None => check(Verdict::Hint, t.url_missing()),
        Some(url) if url.scheme() == "http" && !address::names_private_host(&url) => {
            check(Verdict::Hint, t.url_plain())
        }
        Some(_) => check(Verdict::Ok, t.url_set()),
    }
}

fn check_proxies(config: &Config, url: Option<&str>, t: Terminal) -> Check {
    let check = |verdict, text: &str| Check { about: "trusted_proxies", verdict, text: text.to_owned() };
    let everybody = config.trusted_proxies.iter().any(|network| network.prefix_len() == 0);
    // This server speaks no HTTPS itself, so somebody in front of it does.
    let behind_proxy = url.is_some_and(|url| url.starts_with("https://"));
    let listens_beyond = !config.listen.ip().is_loopback();
    if everybody {
        check(if listens_beyond { Verdict::Wrong } else { Verdict::Hint }, t.proxies_everybody())
    } else if behind_proxy && config.trusted_proxies.is_empty() {
        check(Verdict::Hint, t.proxies_missing())
    } else {
        check(Verdict::Ok, t.proxies_fine())
    }
}
