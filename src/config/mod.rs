//! Settings: one table that yields the environment, the flags, `--help`, the settings page and `docs/settings.md`.
//!
//! To add a setting: add a row to [`TABLE`], and a field to [`Config`] (or to
//! [`RuntimeSettings`], if it may change while the server runs).
//!
//! A value comes from a flag, else from the environment, else (run-time settings) from the settings page, else from the
//! table. Only this module reads the environment.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use crate::{
    i18n::{Lang, Messages},
    model::{secret::Secret, settings::RuntimeSettings, user::PASSWORD_CHARACTERS},
};

mod survey;
mod table;

pub use survey::{Finding, Origin, survey};
pub use table::TABLE;

/// What a setting's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that pages and logs never show; also readable from the file that `NAME_FILE` names.
    Secret,
    /// A path.
    Path,
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds.
    Integer {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// `ip:port`.
    Address,
    /// An `http://` or `https://` address without a query.
    Url,
    /// Networks such as `10.0.0.0/8`, separated by commas.
    Networks,
    /// An IANA time zone, or `system`.
    Zone,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Whether a text is a value of this kind; if not, what one looks like, in English.
    pub fn check(self, text: &str) -> Result<(), String> {
        if self.accepts(text) { Ok(()) } else { Err(self.remedy(Lang::En)) }
    }

    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text | Self::Secret => true,
            Self::Path => !text.is_empty(),
            Self::Switch => matches!(text, "true" | "false"),
            Self::Integer { min, max } => text.parse().is_ok_and(|number: i64| (min..=max).contains(&number)),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Url => url::Url::parse(text).is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
            }),
            Self::Networks => networks(text).is_some(),
            Self::Zone => zone(text).is_some(),
            Self::Choice(words) => words.contains(&text),
        }
    }

    /// What a value of this kind looks like, as advice.
    pub fn remedy(self, lang: Lang) -> String {
        let t = Messages::of(lang).cli;
        match self {
            Self::Text | Self::Secret => t.give_text().to_owned(),
            Self::Path => t.give_path().to_owned(),
            Self::Switch => t.give_switch().to_owned(),
            Self::Integer { min, max } => t.give_integer(min, max),
            Self::Address => t.give_address().to_owned(),
            Self::Url => t.give_url().to_owned(),
            Self::Networks => t.give_networks().to_owned(),
            Self::Zone => t.give_zone().to_owned(),
            Self::Choice(words) => t.give_one_of(&words.join(", ")),
        }
    }
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable; the flag is the same in lower case, with dashes.
    pub name: &'static str,
    /// What people call it, in English and Chinese.
    pub label: (&'static str, &'static str),
    /// What values look like.
    pub kind: Kind,
    /// The value if nobody gives one; empty means none.
    pub default: &'static str,
    /// The unit of a number; empty if it has none.
    pub unit: &'static str,
    /// Whether the settings page can change it while the server runs.
    pub at_run_time: bool,
    /// What it does, in English and Chinese.
    pub doc: (&'static str, &'static str),
}

impl Setting {
    /// The flag's name without its dashes, such as `data-dir`.
    pub fn flag(&self) -> String {
        self.name.to_ascii_lowercase().replace('_', "-")
    }

    /// What people call it.
    pub fn label(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.label.0,
            Lang::Zh => self.label.1,
        }
    }

    /// What it does.
    pub fn doc(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.doc.0,
            Lang::Zh => self.doc.1,
        }
    }
}

/// The setting of a name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// A setting that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting.
    pub name: String,
    /// What is wrong.
    pub problem: Problem,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.problem.text(Lang::En))
    }
}

impl std::error::Error for ConfigError {}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The value is not of its kind.
    Value {
        /// The value.
        value: String,
        /// What it should be.
        kind: Kind,
    },
    /// The master key is shorter than 32 characters.
    ShortKey,
    /// The secret for metrics is shorter than 16 characters, or holds what no header can carry.
    WeakMetricsToken,
    /// The first account's password is shorter or longer than passwords may be.
    PasswordLength,
    /// A secret's file cannot be read.
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// A secret's file is empty.
    EmptyFile {
        /// The file.
        path: String,
    },
    /// The log filter does not parse.
    LogFilter {
        /// What the parser says.
        cause: String,
    },
}

impl Problem {
    /// The problem and its remedy. No secret is quoted.
    pub fn text(&self, lang: Lang) -> String {
        let t = Messages::of(lang).cli;
        match self {
            Self::Value { value, kind } => t.bad_value(&value.escape_debug().to_string(), &kind.remedy(lang)),
            Self::ShortKey => t.short_key().to_owned(),
            Self::WeakMetricsToken => t.weak_metrics_token().to_owned(),
            Self::PasswordLength => {
                t.password_length(*PASSWORD_CHARACTERS.start(), *PASSWORD_CHARACTERS.end())
            }
            Self::Unreadable { path, cause } => t.unreadable_file(path, cause),
            Self::EmptyFile { path } => t.empty_file(path),
            Self::LogFilter { cause } => t.bad_log_filter(cause),
        }
    }
}

/// The settings that hold from start to end, and which run-time ones the environment or a flag decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the database, the master key and the journal.
    pub data_dir: PathBuf,
    /// The pool file to apply at the start, if there is one.
    pub pool_file: Option<PathBuf>,
    /// The language in which a start says why it fails.
    pub lang: Lang,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The master key, if it is given.
    pub secret_key: Option<Secret>,
    /// The first account's password, if it is given.
    pub admin_password: Option<Secret>,
    /// What `/metrics` is read with; without it there is no such page.
    pub metrics_token: Option<Secret>,
    /// Proxies whose forwarded addresses are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Time zone of quota resets and pages.
    pub zone: jiff::tz::TimeZone,
    /// What to log.
    pub log_filter: String,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// How long running answers may go on after SIGTERM.
    pub drain: Duration,
    /// The most connections at a time.
    pub max_connections: usize,
    /// How long headers may take, and an unused connection lasts.
    pub header_timeout: Duration,
    /// The longest pause in a body, in either direction.
    pub body_timeout: Duration,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    fixed: BTreeMap<&'static str, String>,
}

impl Config {
    /// Reads every setting: from `flag`, else from `env`. Both take the setting's environment name.
    ///
    /// `NAME_FILE` in the environment names a file for a [`Kind::Secret`]; a trailing line break is dropped.
    pub fn load(
        flag: impl Fn(&str) -> Option<String>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut given = BTreeMap::new();
        for setting in TABLE {
            let mut value = flag(setting.name).or_else(|| env(setting.name).filter(|text| !text.is_empty()));
            if value.is_none() && setting.kind == Kind::Secret {
                value = secret_file(setting.name, &env)?;
            }
            let Some(value) = value else { continue };
            if !setting.kind.accepts(&value) {
                return Err(unusable(setting.name, Problem::Value { value, kind: setting.kind }));
            }
            given.insert(setting.name, value);
        }
        Ok(Self { lang: Lang::of_terminal(env), ..Self::from_values(given)? })
    }

    fn from_values(given: BTreeMap<&'static str, String>) -> Result<Self, ConfigError> {
        let text = |name: &str| -> &str {
            given
                .get(name)
                .map_or_else(|| setting(name).map_or("", |setting| setting.default), String::as_str)
        };
        let number = |name: &str| -> u64 { text(name).parse().unwrap_or_default() };
        let secret = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).map(Secret::new);

        let mut listen: SocketAddr = text("LISTEN").parse().map_err(|_| {
            unusable("LISTEN", Problem::Value { value: text("LISTEN").to_owned(), kind: Kind::Address })
        })?;
        if let Ok(port) = text("PORT").parse() {
            listen.set_port(port);
        }
        let secret_key = secret("SECRET_KEY");
        if secret_key.as_ref().is_some_and(|key| key.expose().chars().count() < 32) {
            return Err(unusable("SECRET_KEY", Problem::ShortKey));
        }
        let admin_password = secret("ADMIN_PASSWORD");
        let fits = |password: &Secret| PASSWORD_CHARACTERS.contains(&password.expose().chars().count());
        if admin_password.as_ref().is_some_and(|password| !fits(password)) {
            return Err(unusable("ADMIN_PASSWORD", Problem::PasswordLength));
        }
        let metrics_token = secret("METRICS_TOKEN");
        let strong = |token: &Secret| {
            token.expose().len() >= 16 && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
        };
        if metrics_token.as_ref().is_some_and(|token| !strong(token)) {
            return Err(unusable("METRICS_TOKEN", Problem::WeakMetricsToken));
        }
        Ok(Self {
            data_dir: text("DATA_DIR").into(),
            pool_file: Some(text("POOL_FILE")).filter(|path| !path.is_empty()).map(PathBuf::from),
            lang: Lang::default(),
            listen,
            secret_key,
            admin_password,
            metrics_token,
            trusted_proxies: networks(text("TRUSTED_PROXIES")).unwrap_or_default(),
            zone: zone(text("TZ")).unwrap_or(jiff::tz::TimeZone::UTC),
            log_filter: text("RUST_LOG").to_owned(),
            log_json: text("LOG_FORMAT") == "json",
            drain: Duration::from_secs(number("DRAIN_SECONDS")),
            max_connections: number("MAX_CONNECTIONS") as usize,
            header_timeout: Duration::from_secs(number("HEADER_TIMEOUT_SECONDS")),
            body_timeout: Duration::from_secs(number("BODY_TIMEOUT_SECONDS")),
            max_body_bytes: (number("MAX_BODY_MB") as usize) << 20,
            fixed: without_secrets(given),
        })
    }

    /// The value that the environment or a flag gives a setting (of a secret only that it does); the settings page then
    /// shows it as locked.
    pub fn fixed(&self, name: &str) -> Option<&str> {
        self.fixed.get(name).map(String::as_str)
    }

    /// The run-time settings in force, from what is [fixed](Self::fixed), else `saved` (the settings page), else the
    /// defaults. A saved value that no longer passes its check is ignored.
    pub fn runtime(&self, saved: &BTreeMap<String, String>) -> RuntimeSettings {
        let text = |name: &str| -> String {
            let Some(setting) = setting(name) else { return String::new() };
            let saved = saved.get(name).filter(|value| setting.kind.check(value).is_ok());
            self.fixed(name).or(saved.map(String::as_str)).unwrap_or(setting.default).to_owned()
        };
        let number = |name: &str| -> u32 { text(name).parse().unwrap_or_default() };
        RuntimeSettings {
            public_url: Some(text("PUBLIC_URL").trim_end_matches('/').to_owned())
                .filter(|url| !url.is_empty()),
            retention_days: number("RETENTION_DAYS"),
            backup_every_hours: number("BACKUP_EVERY_HOURS"),
            backup_keep: number("BACKUP_KEEP"),
            discovery_every_hours: number("DISCOVERY_EVERY_HOURS"),
            probe_every_hours: number("PROBE_EVERY_HOURS"),
            probe_quota_percent: number("PROBE_QUOTA_PERCENT"),
            notify_quota_percent: number("NOTIFY_QUOTA_PERCENT"),
            notify_down_minutes: number("NOTIFY_DOWN_MINUTES"),
            max_attempts: number("MAX_ATTEMPTS"),
            queue_limit: number("QUEUE_LIMIT"),
            queue_wait_s: number("QUEUE_WAIT_SECONDS"),
            queue_wait_stream_s: number("QUEUE_WAIT_STREAM_SECONDS"),
            first_content_deadline_s: number("FIRST_CONTENT_DEADLINE_SECONDS"),
            connect_timeout_ms: number("CONNECT_TIMEOUT_MS"),
            first_byte_timeout_ms: number("FIRST_BYTE_TIMEOUT_MS"),
            idle_timeout_ms: number("IDLE_TIMEOUT_MS"),
            keepalive_after_ms: number("KEEPALIVE_AFTER_MS"),
            keepalive_every_ms: number("KEEPALIVE_EVERY_MS"),
            diagnostic_headers: text("DIAGNOSTIC_HEADERS") == "true",
        }
    }

    /// Whether a forwarded address from this peer is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}

/// The process environment, for [`Config::load`].
pub fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let value = std::env::var(name);
    value.ok()
}

fn unusable(name: &str, problem: Problem) -> ConfigError {
    ConfigError { name: name.to_owned(), problem }
}

/// The values, with a mark in place of each secret: this is kept to be shown.
fn without_secrets(mut given: BTreeMap<&'static str, String>) -> BTreeMap<&'static str, String> {
    for (name, value) in &mut given {
        if !value.is_empty() && setting(name).is_some_and(|setting| setting.kind == Kind::Secret) {
            "set".clone_into(value);
        }
    }
    given
}

fn secret_file(name: &str, env: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, ConfigError> {
    let variable = format!("{name}_FILE");
    let Some(path) = env(&variable).filter(|path| !path.is_empty()) else { return Ok(None) };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        unusable(&variable, Problem::Unreadable { path: path.clone(), cause: error.to_string() })
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(unusable(&variable, Problem::EmptyFile { path }));
    }
    Ok(Some(text.to_owned()))
}

fn networks(text: &str) -> Option<Vec<IpNet>> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).ok())
        .collect()
}

fn zone(text: &str) -> Option<jiff::tz::TimeZone> {
    match text {
        "system" => Some(jiff::tz::TimeZone::system()),
        name => jiff::tz::TimeZone::get(name).ok(),
    }
}

/// The page `docs/settings.md` (or `docs/settings.zh-CN.md`), made from the table.
pub fn reference(lang: Lang) -> String {
    let (title, intro, header, at_run_time, none) = match lang {
        Lang::En => (
            "Settings",
            "Each setting is an environment variable and a flag of `onepool serve` (`DATA_DIR` is `--data-dir`). A flag \
             wins over the environment, the environment over the settings page. `NAME_FILE` and \
             `--name-file` read a secret from a file; on the command line itself a secret cannot be given. This page is \
             made from the program's own table.",
            "| setting | default | page | what it does |",
            "yes",
            "none",
        ),
        Lang::Zh => (
            "设置",
            "每项设置既是环境变量，也是 `onepool serve` 的命令行参数（`DATA_DIR` 对应 `--data-dir`）。命令行参数优先于环境变量，\
             环境变量优先于设置页面。`NAME_FILE` 和 `--name-file` 从文件读取机密值，\
             机密值不能直接写在命令行中。本页由程序自身的设置表生成。",
            "| 设置项 | 默认值 | 页面可改 | 作用 |",
            "是",
            "无",
        ),
    };
    let mut page = format!("# {title}\n\n{intro}\n\n{header}\n|---|---|---|---|\n");
    for setting in TABLE {
        let default = match (setting.default, setting.unit) {
            ("", _) => none.to_owned(),
            (value, "") => format!("`{value}`"),
            (value, unit) => format!("`{value}` {unit}"),
        };
        let page_cell = if setting.at_run_time { at_run_time } else { "" };
        let _ = writeln!(page, "| `{}` | {default} | {page_cell} | {} |", setting.name, setting.doc(lang));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let pairs = pairs.to_vec();
        Config::load(
            |_| None,
            move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        )
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for setting in TABLE.iter().filter(|setting| !setting.default.is_empty()) {
            assert_eq!(setting.kind.check(setting.default), Ok(()), "{}", setting.name);
        }
        assert_eq!(load(&[]).unwrap().listen.to_string(), "127.0.0.1:3000");
    }

    #[test]
    fn a_bad_value_is_named_with_its_remedy() {
        let error = load(&[("LISTEN", "everywhere")]).unwrap_err().to_string();
        assert!(error.starts_with("LISTEN: `everywhere` does not do; give an address"), "{error}");
        let error = load(&[("SECRET_KEY", "short")]).unwrap_err().to_string();
        assert!(error.contains("32 characters") && !error.contains("short`"), "{error}");
        assert!(load(&[("TZ", "Mars/Olympus")]).is_err());
        assert!(load(&[("ADMIN_PASSWORD_FILE", "/no/such/file")]).is_err());
    }

    #[test]
    fn no_secret_is_left_where_settings_are_shown() {
        let key = "a master key that nobody may see anywhere";
        let config = load(&[("SECRET_KEY", key), ("ADMIN_PASSWORD", "correct horse")]).unwrap();
        assert_eq!(config.secret_key.as_ref().unwrap().expose(), key);
        let shown = format!("{config:?}");
        assert!(!shown.contains("nobody may see") && !shown.contains("correct horse"), "{shown}");
        assert!(config.fixed("SECRET_KEY").is_some());
    }

    #[test]
    fn a_first_password_that_no_login_would_take_is_refused() {
        let error = load(&[("ADMIN_PASSWORD", &"x".repeat(201))]).unwrap_err().to_string();
        assert!(error.contains("8 to 200"), "{error}");
        assert!(load(&[("ADMIN_PASSWORD", "short")]).is_err());
        assert!(load(&[("ADMIN_PASSWORD", &"x".repeat(200))]).is_ok());
    }

    #[test]
    fn the_environment_locks_a_run_time_setting_against_the_page() {
        let config = load(&[("RETENTION_DAYS", "7")]).unwrap();
        let saved = BTreeMap::from([("RETENTION_DAYS".to_owned(), "90".to_owned())]);
        assert_eq!(config.runtime(&saved).retention_days, 7);
        assert_eq!(load(&[]).unwrap().runtime(&saved).retention_days, 90);
        assert_eq!(config.fixed("RETENTION_DAYS"), Some("7"));
    }
}
