//! What came of `onepool setup` and `onepool auto`, for people and for programs.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    cli::{
        keys::{Filled, Placed, counts, filled_text, table, verdict_text},
        output::{Cell, Look, Table, clean},
        status::chain_line,
        view,
    },
    i18n::Messages,
    model::{
        id::KeyId,
        key::{KeyCheck, KeyVerdict},
        secret::Secret,
    },
};

/// The most models of a chain that the text names.
const MOST_STEPS: usize = 5;

/// A key that was proved.
pub struct Checked {
    /// The key.
    pub key: KeyId,
    /// How messages name it.
    pub name: String,
    /// Its channel's name.
    pub channel: String,
    /// What was found.
    pub check: KeyCheck,
    /// The quota group that it joined for that.
    pub group: Option<String>,
    /// Whether it was switched off, because it is new and wrong.
    pub switched_off: bool,
}

/// The token for clients.
pub struct TokenMade {
    /// Its name.
    pub name: String,
    /// Its value, if it was made just now.
    pub value: Option<Secret>,
    /// How many models it may use.
    pub models: usize,
}

/// Whether a server runs on the data folder.
pub enum Serving {
    /// One does, perhaps at a known address.
    Runs(Option<SocketAddr>),
    /// None does.
    Stands,
}

/// All of it.
pub struct Report {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Where keys went, or would go.
    pub placed: Vec<Placed>,
    /// What was proved.
    pub checks: Vec<Checked>,
    /// What upstreams listed.
    pub filled: Vec<Filled>,
    /// What is to be known of accounts.
    pub hints: Vec<String>,
    /// The chains, each with its models in order.
    pub chains: Vec<(String, Vec<String>)>,
    /// The token.
    pub token: Option<TokenMade>,
    /// The address for clients, and OpenClaw's configuration.
    pub openclaw: Option<(String, Value)>,
    /// The server.
    pub serving: Option<Serving>,
    /// The data folder, if an option named it.
    pub settings_flags: Option<String>,
}

impl Report {
    /// What would be done.
    pub fn planned(placed: Vec<Placed>) -> Self {
        Self {
            dry_run: true,
            placed,
            checks: Vec::new(),
            filled: Vec::new(),
            hints: Vec::new(),
            chains: Vec::new(),
            token: None,
            openclaw: None,
            serving: None,
            settings_flags: None,
        }
    }

    /// Whether a provider refuses a key.
    pub fn some_key_is_wrong(&self) -> bool {
        let told = self.placed.iter().filter_map(|placed| placed.told.as_ref()).any(|told| told.is_refused());
        told || self.checks.iter().any(|checked| checked.check.verdict == KeyVerdict::Invalid)
    }

    /// As JSON. The value of a token is there only if the token was made just now; nobody sees it again without asking.
    pub fn json(&self) -> Value {
        let check = |checked: &Checked| {
            json!({
                "key_id": checked.key,
                "channel": checked.channel,
                "quota_group": checked.group,
                "switched_off": checked.switched_off,
                "check": view::check(&checked.check),
            })
        };
        let channel = |filled: &Filled| {
            let (offered, listed, fault) = match &filled.models {
                Some(Ok((offered, listed))) => (Some(offered), Some(listed), None),
                Some(Err(why)) => (None, None, Some(why)),
                None => (None, None, None),
            };
            json!({ "id": filled.id, "name": filled.name, "offered": offered, "listed": listed, "fault": fault })
        };
        let [added, duplicates, refused] = counts(&self.placed);
        json!({
            "dry_run": self.dry_run,
            "added": added,
            "duplicates": duplicates,
            "refused": refused,
            "keys": self.placed.iter().map(Placed::json).collect::<Vec<_>>(),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
            "channels": self.filled.iter().map(channel).collect::<Vec<_>>(),
            "hints": self.hints,
            "chains": self.chains.iter().map(|(name, steps)| json!({ "name": name, "steps": steps })).collect::<Vec<_>>(),
            "token": self.token.as_ref().map(|token| json!({
                "name": token.name, "value": token.value.as_ref().map(Secret::expose), "models": token.models,
            })),
            "base_url": self.openclaw.as_ref().map(|(url, _)| url),
            "openclaw": self.openclaw.as_ref().map(|(_, config)| config),
            "server": self.serving.as_ref().map(|serving| match serving {
                Serving::Runs(address) => json!({ "running": true, "address": address }),
                Serving::Stands => json!({ "running": false, "address": null }),
            }),
        })
    }
}

/// All of it for people.
pub fn text(report: &Report, m: Messages) -> String {
    let t = m.onboarding;
    let mut parts = Vec::new();
    if !report.placed.is_empty() {
        let [added, duplicates, refused] = counts(&report.placed);
        let summary = m.channels.paste_summary(added, duplicates, refused);
        parts.push(format!("{}\n{summary}", table(&report.placed, m)));
    }
    if report.dry_run {
        parts.push(t.dry_run_end().to_owned());
    } else {
        parts.push(after_keys(report, m));
    }
    parts.join("\n\n")
}

/// The same without the keys' table.
pub fn after_keys(report: &Report, m: Messages) -> String {
    let t = m.onboarding;
    let mut parts: Vec<String> = Vec::new();
    if !report.checks.is_empty() {
        parts.push(checks(report, m));
    }
    let mut lines: Vec<String> = report
        .filled
        .iter()
        .filter_map(|filled| filled_text(filled, m))
        .map(|line| clean(&line).into_owned())
        .collect();
    lines.extend(report.hints.iter().map(|hint| clean(hint).into_owned()));
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    if !report.chains.is_empty() {
        let chains: Vec<String> =
            report.chains.iter().map(|chain| chain_line(chain, MOST_STEPS, m)).collect();
        parts.push(format!("{}\n{}", m.chains.title(), chains.join("\n")));
    }
    if let Some(token) = &report.token {
        let name = clean(&token.name).into_owned();
        parts.push(match &token.value {
            Some(value) => format!("{}\n{}", m.terminal.token_created(&name), value.expose()),
            None => t.token_there(&name),
        });
        if token.models == 0 {
            parts.push(m.openclaw.no_models().to_owned());
        }
    }
    if let Some((url, config)) = &report.openclaw {
        parts.push(format!("{}\n{config:#}", t.openclaw_part()));
        parts.push(t.clients_use(url));
    }
    let flag = report.settings_flags.as_ref().map(|path| format!(" --data-dir '{path}'")).unwrap_or_default();
    match report.serving {
        Some(Serving::Runs(Some(address))) => parts.push(t.server_runs_at(&address.to_string())),
        Some(Serving::Runs(None)) => parts.push(t.server_runs().to_owned()),
        Some(Serving::Stands) => parts.push(t.start_server(&format!("onepool serve{flag}"))),
        None => {}
    }
    parts.join("\n\n")
}

fn checks(report: &Report, m: Messages) -> String {
    let t = m.onboarding;
    let mut table = Table::new([m.channels.key(), m.log.channel(), m.log.result()]);
    for checked in &report.checks {
        let look = match checked.check.verdict {
            KeyVerdict::Callable | KeyVerdict::Known => Look::Good,
            KeyVerdict::Invalid => Look::Bad,
            KeyVerdict::NotKnown => Look::Doubtful,
        };
        let mut text = verdict_text(m, checked.check.verdict).to_owned();
        if checked.switched_off {
            text.push_str(&format!(" {}", t.switched_off(&checked.key.to_string())));
        }
        if let Some(group) = &checked.group {
            text.push_str(&format!(" {}", t.joined_account(group).trim_start_matches([',', '，', ' '])));
        }
        table.row([Cell::text(&checked.name), Cell::text(&checked.channel), Cell::text(text).look(look)]);
    }
    table.draw()
}
