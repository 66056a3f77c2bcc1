//! `onepool status`: what a data folder holds and how the server on it does.

mod pool;

pub(super) use pool::chain_line;

use std::{fs, net::SocketAddr, path::Path, time::UNIX_EPOCH};

use clap::Command;
use serde_json::{Value, json};

use pool::PoolState;

use super::{
    Failure,
    channels::reason,
    command::{Entry, folder_flags, json_switch, verb},
    healthcheck,
    invocation::Invocation,
    output::{Cell, Look, Table, at, facts, tell},
    session::{Session, on_folder},
    view::{self, ChannelState},
};
use crate::{
    app::loopback_of,
    i18n::Messages,
    model::{catalog::ChannelEntry, key::Key, time::UnixMs},
    pool::upkeep::key_rest,
    relay::recorder::waiting::{Waiting, waiting},
    scheduler::rest::{Rest, RestBook},
    storage::{
        folder::{Claim, DataFolder},
        known_schema,
        usage_query::counts::CallCounts,
    },
    web::format::{bytes, number},
};

/// The most resting keys that the text names; `onepool keys` has all.
const MOST_RESTS: usize = 20;

/// `onepool status`.
pub const ENTRY: Entry = Entry { name: "status", command, run };

fn command(m: Messages) -> Command {
    verb(ENTRY.name, m.help.status(), &["onepool status", "onepool status --json | jq .keys.resting"], m)
        .arg(json_switch(m))
        .args(folder_flags(m))
}

/// What is known of the server.
struct Server {
    running: bool,
    address: Option<SocketAddr>,
    /// Whether `/healthz` answers; `None` if it is not known where to ask.
    healthy: Option<bool>,
}

impl Server {
    fn of(folder: &DataFolder) -> Self {
        let Claim::Server(noted) = folder.claim() else {
            return Self { running: false, address: None, healthy: None };
        };
        let healthy = noted.map(|mut address| {
            if address.ip().is_unspecified() {
                address.set_ip(loopback_of(address));
            }
            healthcheck::status_of(address).is_ok_and(|line| line.split(' ').nth(1) == Some("200"))
        });
        Self { running: true, address: noted, healthy }
    }
}

/// A finished backup.
struct Backup {
    name: String,
    at: UnixMs,
    bytes: u64,
}

fn run(call: &Invocation) -> Result<(), Failure> {
    on_folder(call, async |session| {
        let folder = DataFolder::existing(&session.config.data_dir)?;
        let (catalog, book, now) = (session.catalog().await?, session.rests().await?, session.now());
        let channels: Vec<&ChannelEntry> = catalog.channels().map(|entry| &**entry).collect();
        let hour = session.db.call_counts(now - std::time::Duration::from_secs(3600)).await?;
        let day = session.db.call_counts(now - std::time::Duration::from_secs(24 * 3600)).await?;
        let report = Report {
            folder: session.config.data_dir.display().to_string(),
            server: Server::of(&folder),
            database_bytes: database_bytes(&folder.database()),
            channels: Counts {
                all: channels.len(),
                on: channels.iter().filter(|entry| entry.channel.enabled).count(),
                working: channels
                    .iter()
                    .filter(|entry| ChannelState::of(entry, &book, now).0 == ChannelState::Available)
                    .count(),
            },
            keys: Counts {
                all: channels.iter().map(|entry| entry.keys.len()).sum(),
                on: channels.iter().flat_map(|entry| &entry.keys).filter(|key| key.enabled).count(),
                working: channels.iter().map(|entry| ChannelState::of(entry, &book, now).1).sum(),
            },
            pool: PoolState::of(session, &catalog, &book).await?,
            resting: resting(&channels, &book, now),
            tokens: Counts {
                all: catalog.tokens().count(),
                on: catalog.tokens().filter(|token| token.enabled).count(),
                working: catalog
                    .tokens()
                    .filter(|token| token.enabled && token.expires_at.is_none_or(|end| end > now))
                    .count(),
            },
            hour,
            day,
            // A journal that cannot be read is the server's to report; the rest is worth showing.
            journal: waiting(&session.config.data_dir.join("journal")).ok(),
            provider_faults: session.providers.faults().iter().map(ToString::to_string).collect(),
            backup: last_backup(&session.config.data_dir.join("backups")),
        };
        tell(call, &report.json(call.m), || report.text(call.m, session))
    })
}

struct Counts {
    all: usize,
    on: usize,
    working: usize,
}

struct Report<'a> {
    folder: String,
    server: Server,
    database_bytes: u64,
    channels: Counts,
    keys: Counts,
    pool: PoolState,
    resting: Vec<(&'a ChannelEntry, &'a Key, &'a Rest)>,
    tokens: Counts,
    hour: CallCounts,
    day: CallCounts,
    journal: Option<Waiting>,
    backup: Option<Backup>,
    /// What is wrong with the files of providers.
    provider_faults: Vec<String>,
}

impl Report<'_> {
    /// What needs a look, each in a few words; nothing if all is well.
    fn problems(&self, m: Messages) -> Vec<String> {
        let t = m.onboarding;
        let mut problems = Vec::new();
        if self.server.running && self.server.healthy == Some(false) {
            problems.push(t.server_dead().to_owned());
        }
        problems.extend(self.pool.problems(m));
        if self.journal.is_none() {
            problems.push(t.rows_lost().to_owned());
        }
        if !self.provider_faults.is_empty() {
            problems.push(t.files_wrong().to_owned());
        }
        problems
    }

    fn json(&self, m: Messages) -> Value {
        let calls = |counts: &CallCounts| json!({ "calls": counts.calls, "failed": counts.failed });
        let counts = |counts: &Counts| json!({ "total": counts.all, "enabled": counts.on, "available": counts.working });
        let mut keys = counts(&self.keys);
        let states = self.pool.keys;
        keys["good"] = json!(states.good);
        keys["refused"] = json!(states.refused);
        keys["off"] = json!(states.off);
        keys["resting"] = self
            .resting
            .iter()
            .map(|(entry, key, rest)| {
                json!({
                    "id": key.id,
                    "channel": entry.channel.name,
                    "label": key.label,
                    "last4": key.last4,
                    "rest": view::rest(rest),
                })
            })
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "data_dir": self.folder,
            "server": {
                "running": self.server.running,
                "address": self.server.address,
                "healthy": self.server.healthy,
            },
            "problems": self.problems(m),
            "quota": self.pool.quota_json(),
            "chains": self.pool.chains_json(),
            "hints": self.pool.hints(),
            "schema": known_schema(),
            "database_bytes": self.database_bytes,
            "channels": counts(&self.channels),
            "keys": keys,
            "tokens": counts(&self.tokens),
            "last_hour": calls(&self.hour),
            "last_day": calls(&self.day),
            "journal": self.journal.map(|journal| {
                json!({ "rows": journal.rows, "oldest_at": journal.oldest_at.map(at) })
            }),
            "provider_faults": self.provider_faults,
            "last_backup": self.backup.as_ref().map(|backup| {
                json!({ "file": backup.name, "at": at(backup.at), "bytes": backup.bytes })
            }),
        })
    }

    fn text(&self, m: Messages, session: &Session) -> String {
        let t = m.terminal;
        let server = match (self.server.running, self.server.address, self.server.healthy) {
            (false, ..) => Cell::text(t.server_stopped()),
            (true, Some(address), Some(true)) => {
                Cell::text(t.server_answers(&address.to_string())).look(Look::Good)
            }
            (true, Some(address), _) => Cell::text(t.server_silent(&address.to_string())).look(Look::Bad),
            (true, None, _) => Cell::text(t.server_running()),
        };
        let counts = |counts: &Counts| Cell::text(t.counts(counts.all, counts.on, counts.working));
        let calls = |counts: &CallCounts| {
            let look = if counts.failed > 0 { Look::Doubtful } else { Look::Plain };
            Cell::text(t.calls(&number(counts.calls), &number(counts.failed))).look(look)
        };
        let journal = match self.journal {
            None => Cell::text(t.journal_unreadable()).look(Look::Bad),
            Some(Waiting { rows: 0, .. }) => Cell::text(t.journal_empty()),
            Some(Waiting { rows, oldest_at }) => {
                let since = oldest_at.map(|at| session.local(at)).unwrap_or_default();
                Cell::text(t.journal_waiting(rows, &since))
            }
        };
        let backup = match &self.backup {
            None => m.common.none().to_owned(),
            Some(backup) => {
                format!("{} ({}, {})", session.local(backup.at), backup.name, bytes(backup.bytes))
            }
        };
        let problems = self.problems(m);
        let health = if problems.is_empty() {
            Cell::text(m.onboarding.healthy()).look(Look::Good)
        } else {
            Cell::text(problems.join("; ")).look(Look::Bad)
        };
        let mut rows = vec![
            (m.onboarding.health(), health),
            (t.version(), Cell::text(env!("CARGO_PKG_VERSION"))),
            (t.data_folder(), Cell::text(&self.folder)),
            (t.server(), server),
            (t.schema(), Cell::text(known_schema().to_string())),
            (t.database_size(), Cell::text(bytes(self.database_bytes))),
            (m.common.nav_channels(), counts(&self.channels)),
            (m.channels.keys(), self.pool.key_cell(m)),
            (m.common.nav_tokens(), counts(&self.tokens)),
            (t.last_hour(), calls(&self.hour)),
            (t.last_day(), calls(&self.day)),
            (t.journal(), journal),
            (t.last_backup(), Cell::text(backup)),
        ];
        if !self.provider_faults.is_empty() {
            let faults = t.provider_faults(self.provider_faults.len());
            rows.push((t.provider_files(), Cell::text(faults).look(Look::Bad)));
        }
        let mut text = facts(&rows);
        let pool = self.pool.text(m);
        if !pool.is_empty() {
            text.push_str(&format!("\n\n{pool}"));
        }
        if !self.resting.is_empty() {
            let c = m.channels;
            let mut table = Table::new([t.id(), m.log.channel(), c.key(), c.rest_reason(), t.until()]);
            for (entry, key, rest) in self.resting.iter().take(MOST_RESTS) {
                table.row([
                    Cell::number(key.id.to_string()),
                    Cell::text(&entry.channel.name),
                    Cell::text(format!("{} …{}", key.label, key.last4).trim()),
                    Cell::text(reason(m, rest)),
                    Cell::text(session.local(rest.until)),
                ]);
            }
            text.push_str(&format!("\n\n{}\n{}", c.rests(), table.draw()));
            if self.resting.len() > MOST_RESTS {
                text.push_str(&format!("\n{}", t.more_rests(self.resting.len() - MOST_RESTS)));
            }
        }
        text
    }
}

/// Keys that are switched on and rest; what comes back first stands first.
fn resting<'a>(
    channels: &[&'a ChannelEntry],
    book: &'a RestBook,
    now: UnixMs,
) -> Vec<(&'a ChannelEntry, &'a Key, &'a Rest)> {
    let of_channel = |entry: &'a ChannelEntry| {
        let enabled = entry.keys.iter().map(|key| &**key).filter(|key| key.enabled);
        enabled.filter_map(move |key| Some((entry, key, key_rest(entry, key, book, now)?)))
    };
    let mut resting: Vec<_> = channels.iter().copied().flat_map(of_channel).collect();
    resting.sort_by_key(|(_, key, rest)| (rest.until, key.id));
    resting
}

/// The database with what has not been folded into it yet.
fn database_bytes(database: &Path) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    size(database) + size(&database.with_extension("db-wal"))
}

/// The newest backup in the data folder. Those that were made elsewhere are not known here.
fn last_backup(folder: &Path) -> Option<Backup> {
    let of = |entry: fs::DirEntry| {
        let path = entry.path();
        let is_backup = path.extension().is_some_and(|extension| extension == "db");
        let metadata = entry.metadata().ok().filter(|metadata| is_backup && metadata.is_file())?;
        let since_1970 = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(Backup { name, at: UnixMs(0) + since_1970, bytes: metadata.len() })
    };
    fs::read_dir(folder).ok()?.flatten().filter_map(of).max_by_key(|backup| backup.at)
}
