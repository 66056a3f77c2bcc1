//! What somebody who helps needs to know of an installation: version, machine, database, clock, network, limits, and what stands
//! in front of it. Looks only, and changes nothing.
//!
//! No fact holds a secret: of addresses only scheme, host and port are told, of credentials nothing, not even whether they are right.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::{Place, Side, Told, bytes, machine, write_ahead_log};
use crate::{
    config::environment,
    i18n::{Lang, Messages},
    jobs::vitals::Vitals,
    model::{catalog::ChannelEntry, time::UnixMs, token::named_enum},
    storage::{StorageResult, folder::Claim, maintenance::Integrity},
    upstream::{clock::ahead_of, names::resolve, pieces::pieces},
};

/// How long the look through the database may take.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// The most upstream hosts that are looked at.
const MOST_HOSTS: usize = 50;
/// The most upstreams that are asked for the time.
const MOST_CLOCKS: usize = 5;
/// The most proxies that are told.
const MOST_PROXIES: usize = 20;
/// A clock that is off by more makes limits of a day open at the wrong time.
const MOST_SKEW_MS: i64 = 30_000;
/// A look-up that takes longer delays new connections.
const SLOW_LOOK_UP: Duration = Duration::from_millis(500);

/// Lines for nginx with which streams pass piece by piece.
pub const NGINX_LINES: &str = "proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_buffering off;\nproxy_cache off;\ngzip off;";

named_enum! {
    /// What facts are about.
    FactGroup {
        /// The program.
        Program = "program",
        /// The machine and the data folder.
        Machine = "machine",
        /// The database.
        Database = "database",
        /// Clock and time zone.
        Time = "time",
        /// Names, proxies and streams.
        Network = "network",
        /// What stands in front of the server.
        Front = "front",
        /// What the server is limited to.
        Limits = "limits",
    }
}

named_enum! {
    /// What a fact means.
    FactState {
        /// It says nothing good or bad.
        Plain = "plain",
        /// All is well.
        Ok = "ok",
        /// Somebody should look at it.
        Doubtful = "doubtful",
        /// Something is wrong.
        Bad = "bad",
    }
}

/// A fact, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub group: FactGroup,
    /// A stable word for programs, such as `version`.
    pub code: String,
    /// What it means.
    pub state: FactState,
    /// Its name.
    pub label: Told,
    /// What it says.
    pub value: Told,
}

/// Facts, and when they were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// When.
    pub at: UnixMs,
    /// Whether others were asked: name servers, upstreams for the time, our own public address.
    pub asked_others: bool,
    /// The facts, group by group.
    pub facts: Vec<Fact>,
}

/// A request as it arrived, as far as it tells what stands in front of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// Whether its forwarded headers are believed.
    pub trusted: bool,
    /// How many addresses `X-Forwarded-For` named.
    pub forwarded_for: usize,
    /// What `X-Forwarded-Proto` said, if it was `http` or `https`.
    pub forwarded_proto: Option<&'static str>,
    /// Whether `Host` is that of the public address, if there is one.
    pub is_public_host: Option<bool>,
}

/// The test of streams through the public address: where to ask, and over which time the events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTest {
    /// The whole address.
    pub address: String,
    /// The time from the first event to the last.
    pub sent_over: Duration,
}

/// Writes facts down.
#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn add<L: Into<String>, V: Into<String>>(
        &mut self,
        (group, code, state): (FactGroup, &str, FactState),
        label: impl Fn(Messages) -> L,
        value: impl Fn(Messages) -> V,
    ) {
        let (label, value) = (Told::with(label), Told::with(value));
        self.0.push(Fact { group, code: code.to_owned(), state, label, value });
    }
}

/// What can be told at once, without asking anybody; blocks for some milliseconds.
pub fn glance(place: &Place, arrived: Option<&Arrived>) -> Diagnosis {
    let mut facts = Facts::default();
    program(place, &mut facts);
    machine_facts(place, &mut facts);
    files(place, &mut facts);
    time(place, &mut facts);
    proxies(place, &mut facts);
    front(place, arrived, &mut facts);
    limits(place, &mut facts);
    Diagnosis { at: place.clock.now(), asked_others: false, facts: facts.0 }
}

/// The same, and what others say: name servers, up to five upstreams for the time, the database from its first page to its last,
/// and our own public address if `stream` says how to ask it. Takes at most some ten seconds.
pub async fn look(
    place: &Place,
    arrived: Option<Arrived>,
    stream: Option<StreamTest>,
) -> StorageResult<Diagnosis> {
    let own = place.clone();
    let at_once = tokio::task::spawn_blocking(move || glance(&own, arrived.as_ref()));
    let (glance, integrity, clock, names, streams) = tokio::join!(
        at_once,
        place.db.integrity(LONGEST_LOOK),
        clocks(place),
        names(place),
        streams(place, stream.as_ref()),
    );
    let mut facts = glance.map(|glance| glance.facts).unwrap_or_default();
    for more in [soundness(&integrity?), clock, names, streams] {
        facts.extend(more.0);
    }
    facts.sort_by_key(|fact| fact.group);
    Ok(Diagnosis { at: place.clock.now(), asked_others: true, facts })
}

fn soundness(integrity: &Integrity) -> Facts {
    let state = match integrity {
        Integrity::Sound => FactState::Ok,
        Integrity::TooSlow => FactState::Plain,
        Integrity::Orphans(..) => FactState::Doubtful,
        Integrity::Damaged(_) => FactState::Bad,
    };
    let mut facts = Facts::default();
    facts.add(
        (FactGroup::Database, "integrity", state),
        |m| m.health.fact_integrity(),
        |m| match integrity {
            Integrity::Sound => m.repair.database_sound().to_owned(),
            Integrity::TooSlow => m.repair.database_too_large(LONGEST_LOOK.as_secs()),
            Integrity::Orphans(table, parent) => m.repair.database_orphans(table, parent),
            Integrity::Damaged(what) => m.repair.database_damaged(what),
        },
    );
    facts
}

fn program(place: &Place, facts: &mut Facts) {
    let plain = |code| (FactGroup::Program, code, FactState::Plain);
    facts.add(plain("version"), |m| m.health.fact_version(), |_| env!("CARGO_PKG_VERSION"));
    let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
    let system = format!("{kind}, {}-{}", std::env::consts::ARCH, std::env::consts::OS);
    facts.add(plain("build"), |m| m.health.fact_build(), |_| system.clone());
    let catalog = place.catalog.load();
    let keys: usize = catalog.channels().map(|entry| entry.keys.len()).sum();
    let (channels, models) = (catalog.channels().count(), catalog.models().count());
    facts.add(plain("pool"), |m| m.health.fact_pool(), |m| m.health.pool_of(channels, keys, models));
    if let Side::Server(signs) = &place.side {
        let vitals = Vitals::of(&place.dispatch, signs);
        facts.add(
            plain("calls"),
            |m| m.health.fact_calls(),
            |m| m.health.calls_now(vitals.under_way, vitals.waiting),
        );
        let state = if vitals.died.is_empty() { FactState::Ok } else { FactState::Bad };
        facts.add(
            (FactGroup::Program, "tasks", state),
            |m| m.health.fact_tasks(),
            |m| match vitals.died.is_empty() {
                true => m.health.tasks_run().to_owned(),
                false => m.health.tasks_died(&vitals.died.join(", ")),
            },
        );
    }
}

fn machine_facts(place: &Place, facts: &mut Facts) {
    let plain = |code| (FactGroup::Machine, code, FactState::Plain);
    if let Some(left) = machine::memory() {
        facts.add(plain("memory"), |m| m.health.fact_memory(), |m| m.health.left(&bytes(left)));
    }
    if let (Side::Server(_), Some(own)) = (&place.side, machine::own_memory()) {
        facts.add(plain("own_memory"), |m| m.health.fact_own_memory(), |_| bytes(own));
    }
    let path = place.folder.path().display().to_string();
    let writable = machine::is_writable(place.folder.path());
    let state = if writable { FactState::Ok } else { FactState::Bad };
    facts.add(
        (FactGroup::Machine, "folder", state),
        |m| m.health.fact_folder(),
        |m| if writable { path.clone() } else { m.health.read_only(&path) },
    );
    if let Some(room) = machine::room(place.folder.path()) {
        facts.add(plain("disk"), |m| m.health.fact_disk(), |m| m.health.left(&bytes(room.free)));
    }
}

fn files(place: &Place, facts: &mut Facts) {
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let (database, log) = (size(&place.folder.database()), size(&write_ahead_log(place)));
    facts.add(
        (FactGroup::Database, "database_size", FactState::Plain),
        |m| m.health.fact_database_size(),
        |m| m.health.database_size(&bytes(database), &bytes(log)),
    );
}

fn time(place: &Place, facts: &mut Facts) {
    let plain = |code| (FactGroup::Time, code, FactState::Plain);
    let catalog = place.catalog.load();
    let zone = catalog.zone.iana_name().unwrap_or("UTC").to_owned();
    facts.add(plain("zone"), |m| m.health.fact_zone(), |_| zone.clone());
    let now = place.clock.now().zoned(&catalog.zone).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    facts.add(plain("now"), |m| m.health.fact_now(), |_| now.clone());
    if let Side::Server(signs) = &place.side {
        let drift_ms = Vitals::of(&place.dispatch, signs).drift_ms;
        let state = if drift_ms.abs() > 5_000 { FactState::Doubtful } else { FactState::Ok };
        facts.add(
            (FactGroup::Time, "clock_set", state),
            |m| m.health.fact_clock_set(),
            |m| match state {
                FactState::Ok => m.health.clock_not_set().to_owned(),
                _ => m.health.clock_set_by(drift_ms / 1000),
            },
        );
    }
}

/// Scheme, host and port of an address, which may hold a name and a password.
fn origin_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{}{port}", url.scheme(), url.host_str()?))
}

fn proxies(place: &Place, facts: &mut Facts) {
    let catalog = place.catalog.load();
    let mut channels_of: BTreeMap<String, usize> = BTreeMap::new();
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        if let Some(proxy) = &entry.channel.proxy {
            let origin = origin_of(proxy.expose()).unwrap_or_else(|| "?".to_owned());
            *channels_of.entry(origin).or_default() += 1;
        }
    }
    let shown: Vec<(String, usize)> = channels_of.into_iter().take(MOST_PROXIES).collect();
    facts.add(
        (FactGroup::Network, "proxies", FactState::Plain),
        |m| m.health.fact_proxies(),
        |m| match shown.is_empty() {
            true => m.health.proxies_none().to_owned(),
            false => {
                let each = shown.iter().map(|(origin, count)| m.health.proxy_of(origin, *count));
                each.collect::<Vec<_>>().join(", ")
            }
        },
    );
    let set: Vec<&str> = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"]
        .into_iter()
        .filter(|name| {
            [name.to_string(), name.to_lowercase()]
                .iter()
                .any(|name| environment(name).is_some_and(|value| !value.is_empty()))
        })
        .collect();
    if !set.is_empty() {
        let names = set.join(", ");
        facts.add(
            (FactGroup::Network, "proxy_environment", FactState::Doubtful),
            |m| m.health.fact_proxy_environment(),
            |m| m.health.proxy_environment(&names),
        );
    }
}

fn front(place: &Place, arrived: Option<&Arrived>, facts: &mut Facts) {
    let plain = |code| (FactGroup::Front, code, FactState::Plain);
    // With port 0 in the settings, the port that it got.
    let listen = match (&place.side, place.folder.claim()) {
        (Side::Server(_), Claim::Server(Some(address))) => address.to_string(),
        _ => place.config.listen.to_string(),
    };
    facts.add(plain("listen"), |m| m.health.fact_listen(), |_| listen.clone());
    let public = place.catalog.load().settings.public_url.as_deref().and_then(origin_of);
    facts.add(
        plain("public_url"),
        |m| m.health.fact_public_url(),
        |m| public.clone().unwrap_or_else(|| m.health.not_set().to_owned()),
    );
    let trusted: Vec<String> = place.config.trusted_proxies.iter().map(ToString::to_string).collect();
    let trusted = trusted.join(", ");
    facts.add(
        plain("trusted_proxies"),
        |m| m.health.fact_trusted_proxies(),
        |m| if trusted.is_empty() { m.health.not_set().to_owned() } else { trusted.clone() },
    );
    let Some(arrived) = arrived else { return };
    let (state, text): (FactState, fn(crate::i18n::Messages) -> &'static str) =
        match (arrived.forwarded_for > 0, arrived.trusted) {
            (true, true) => (FactState::Ok, |m| m.health.forwarded_believed()),
            (true, false) => (FactState::Doubtful, |m| m.health.forwarded_ignored()),
            (false, true) => (FactState::Doubtful, |m| m.health.forwarded_missing()),
            (false, false) => (FactState::Ok, |m| m.health.forwarded_none()),
        };
    facts.add(
        (FactGroup::Front, "forwarded", state),
        |m| m.health.fact_forwarded(),
        |m| format!("{} ({})", text(m), m.health.came_from(&arrived.peer.to_string())),
    );
    if let Some(proto) = arrived.forwarded_proto {
        facts.add(plain("forwarded_proto"), |_| "X-Forwarded-Proto", |_| proto);
    }
    if let Some(is_public) = arrived.is_public_host {
        let state = if is_public { FactState::Ok } else { FactState::Doubtful };
        facts.add(
            (FactGroup::Front, "host", state),
            |m| m.health.fact_host(),
            |m| match is_public {
                true => m.health.host_same(),
                false => m.health.host_differs(),
            },
        );
    }
}

fn limits(place: &Place, facts: &mut Facts) {
    let plain = |code| (FactGroup::Limits, code, FactState::Plain);
    let config = &place.config;
    let settings = place.catalog.load().settings.clone();
    let connections = config.max_connections.to_string();
    facts.add(plain("connections"), |m| m.health.fact_connections(), |_| connections.clone());
    let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    // Each call takes a connection of the client's and one to an upstream.
    let least = u64::try_from(config.max_connections).unwrap_or(u64::MAX).saturating_mul(2);
    let state = match open {
        Some(open) if open < least => FactState::Doubtful,
        _ => FactState::Ok,
    };
    facts.add(
        (FactGroup::Limits, "open_files", state),
        |m| m.health.fact_open_files(),
        |m| open.map_or_else(|| m.health.without_limit().to_owned(), |open| open.to_string()),
    );
    let body = bytes(u64::try_from(config.max_body_bytes).unwrap_or(u64::MAX));
    facts.add(plain("body"), |m| m.health.fact_body(), |_| body.clone());
    let (length, wait, wait_stream) =
        (settings.queue_limit, settings.queue_wait_s, settings.queue_wait_stream_s);
    facts.add(
        plain("queue"),
        |m| m.health.fact_queue(),
        |m| m.health.queue_limits(length, wait, wait_stream),
    );
    let (attempts, deadline) = (settings.max_attempts, settings.first_content_deadline_s);
    facts.add(
        plain("attempts"),
        |m| m.health.fact_attempts(),
        |m| m.health.attempts_within(attempts, deadline),
    );
    let days = settings.retention_days;
    facts.add(plain("retention"), |m| m.health.fact_retention(), |m| m.health.days(days));
}

/// One channel that is on for each host, by its name.
fn hosts(place: &Place, most: usize) -> Vec<(String, Arc<ChannelEntry>)> {
    let mut seen = BTreeSet::new();
    let catalog = place.catalog.load();
    let host_of = |entry: &Arc<ChannelEntry>| {
        let url = url::Url::parse(&entry.channel.base_url).ok()?;
        let host = url.host_str()?.to_owned();
        Some((host, entry.clone()))
    };
    let on = catalog.channels().filter(|entry| entry.channel.enabled);
    on.filter_map(host_of).filter(|(host, _)| seen.insert(host.clone())).take(most).collect()
}

/// Compares our clock with those of upstreams.
async fn clocks(place: &Place) -> Facts {
    let asked = hosts(place, MOST_CLOCKS);
    let asking = asked.iter().map(|(_, entry)| ahead_of(&place.clients, &entry.channel, &place.clock));
    let answers = join_all(asking).await;
    let mut facts = Facts::default();
    for ((host, _), ahead_ms) in asked.iter().zip(answers) {
        let state = match ahead_ms {
            Some(ahead_ms) if ahead_ms.abs() > MOST_SKEW_MS => FactState::Bad,
            Some(_) => FactState::Ok,
            None => FactState::Plain,
        };
        facts.add(
            (FactGroup::Time, "clock_skew", state),
            |m| m.health.fact_skew(host),
            |m| match ahead_ms {
                None => m.health.skew_unknown().to_owned(),
                // An answer tells whole seconds, so less says nothing.
                Some(ahead_ms) if ahead_ms.abs() < 1_500 => m.health.skew_none().to_owned(),
                Some(ahead_ms) if ahead_ms > 0 => m.health.skew_ahead(ahead_ms / 1000),
                Some(ahead_ms) => m.health.skew_behind(-ahead_ms / 1000),
            },
        );
    }
    facts
}

/// Looks the upstreams' names up.
async fn names(place: &Place) -> Facts {
    let hosts = hosts(place, MOST_HOSTS);
    let found = join_all(hosts.iter().map(|(host, entry)| async move {
        // With a proxy the name is the proxy's to look up.
        if entry.channel.proxy.is_some() { None } else { Some(resolve(host).await) }
    }))
    .await;
    let mut facts = Facts::default();
    for ((host, _), found) in hosts.iter().zip(found) {
        let state = match &found {
            None => FactState::Plain,
            Some(found) if found.addresses.is_err() => FactState::Bad,
            Some(found) if found.took > SLOW_LOOK_UP => FactState::Doubtful,
            Some(_) => FactState::Ok,
        };
        facts.add(
            (FactGroup::Network, "name", state),
            |_| format!("DNS {host}"),
            |m| {
                let Some(found) = &found else { return m.health.name_by_proxy().to_owned() };
                let took = found.took.as_millis();
                match &found.addresses {
                    Ok(addresses) => m.health.name_found(addresses.len(), took),
                    Err(None) => m.health.name_too_slow().to_owned(),
                    Err(Some(error)) => m.health.name_failed(error),
                }
            },
        );
    }
    facts
}

/// Asks our own public address for a stream.
async fn streams(place: &Place, test: Option<&StreamTest>) -> Facts {
    let mut facts = Facts::default();
    let at = |state| (FactGroup::Network, "streams", state);
    let Some(test) = test else {
        facts.add(at(FactState::Plain), |m| m.health.fact_streams(), |m| m.health.streams_untested());
        return facts;
    };
    match pieces(&place.clients, &test.address).await {
        Ok(pieces) if pieces.status == 200 && pieces.one_by_one(test.sent_over) => {
            let count = pieces.after_first.len();
            facts.add(at(FactState::Ok), |m| m.health.fact_streams(), |m| m.health.streams_one_by_one(count));
        }
        Ok(pieces) if pieces.status == 200 => {
            facts.add(at(FactState::Bad), |m| m.health.fact_streams(), |m| m.health.streams_at_once());
        }
        Ok(pieces) => {
            let status = pieces.status;
            facts.add(
                at(FactState::Doubtful),
                |m| m.health.fact_streams(),
                |m| m.health.streams_status(status),
            );
        }
        Err(error) => {
            let text = error.to_string();
            facts.add(
                at(FactState::Doubtful),
                |m| m.health.fact_streams(),
                |m| m.health.streams_failed(&text),
            );
        }
    }
    facts
}

impl FactGroup {
    /// What the facts of the group are about.
    pub fn label(self, m: Messages) -> &'static str {
        let t = m.health;
        match self {
            Self::Program => t.group_program(),
            Self::Machine => t.group_machine(),
            Self::Database => t.group_database(),
            Self::Time => t.group_time(),
            Self::Network => t.group_network(),
            Self::Front => t.group_front(),
            Self::Limits => t.group_limits(),
        }
    }
}

impl FactState {
    /// The state in a word; empty if it says nothing.
    pub fn label(self, m: Messages) -> &'static str {
        let t = m.health;
        match self {
            Self::Plain => "",
            Self::Ok => t.fact_ok(),
            Self::Doubtful => t.fact_doubtful(),
            Self::Bad => t.fact_bad(),
        }
    }
}

impl Diagnosis {
    /// Whether streams are held back on their way through the public address.
    pub fn holds_streams_back(&self) -> bool {
        self.facts.iter().any(|fact| fact.code == "streams" && fact.state == FactState::Bad)
    }

    /// The groups that have facts, each with them.
    pub fn groups(&self) -> Vec<(FactGroup, Vec<&Fact>)> {
        let of = |group: &FactGroup| {
            (*group, self.facts.iter().filter(|fact| fact.group == *group).collect::<Vec<_>>())
        };
        FactGroup::ALL.iter().map(of).filter(|(_, facts)| !facts.is_empty()).collect()
    }

    /// All of it as one text, to be sent to somebody who helps.
    pub fn text(&self, lang: Lang) -> String {
        let m = Messages::of(lang);
        let at = self.at.zoned(&jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ");
        let mut text = format!("OnePool · {} · {at}\n", m.health.diagnostics());
        for (group, facts) in self.groups() {
            text.push_str(&format!("\n[{}]\n", group.label(m)));
            for fact in facts {
                let mark = match fact.state {
                    FactState::Plain => " ",
                    FactState::Ok => "+",
                    FactState::Doubtful => "?",
                    FactState::Bad => "!",
                };
                text.push_str(&format!("{mark} {}: {}\n", fact.label.text(lang), fact.value.text(lang)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_scheme_host_and_port_are_told() {
        for (address, told) in [
            ("socks5h://name:pass-word@10.0.0.1:1080/x?y=z", Some("socks5h://10.0.0.1:1080")),
            ("https://pool.example", Some("https://pool.example")),
            ("no address", None),
        ] {
            assert_eq!(origin_of(address).as_deref(), told);
        }
    }
}
