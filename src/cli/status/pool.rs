//! How the pool does: its keys, what is left of quotas, the chains, and whether something needs a look.

use serde_json::{Value, json};

use crate::{
    cli::{
        Failure,
        output::{Cell, Look, Table, clean},
        session::Session,
    },
    i18n::Messages,
    inspect::{Size, of_channels},
    model::{
        catalog::{Catalog, ChannelEntry},
        key::{Key, KeyVerdict},
        time::UnixMs,
        usage::OutcomeClass,
    },
    pool::{account::shared_in_pool, preset::name_of, upkeep::key_rest},
    scheduler::{pool::Outlook, rest::RestBook},
    storage::keys::KeyRow,
    web::limits,
};

/// The most channels and chains that the text names.
const MOST_ROWS: usize = 20;
/// The most models of a chain that the text names.
const MOST_STEPS: usize = 5;

/// Keys by what they are good for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// They take calls.
    pub good: usize,
    /// They rest, or are paused.
    pub resting: usize,
    /// Their provider refuses them.
    pub refused: usize,
    /// They are switched off.
    pub off: usize,
}

impl KeyCounts {
    fn add(&mut self, entry: &ChannelEntry, key: &Key, row: Option<&KeyRow>, book: &RestBook, now: UnixMs) {
        let rest = key_rest(entry, key, book, now);
        let refused = || {
            row.and_then(|row| row.last_check.as_ref())
                .is_some_and(|check| check.verdict == KeyVerdict::Invalid)
        };
        let count = match rest {
            _ if !key.enabled => &mut self.off,
            Some(rest) if rest.class == OutcomeClass::KeyInvalid => &mut self.refused,
            Some(_) => &mut self.resting,
            None if refused() => &mut self.refused,
            None => &mut self.good,
        };
        *count += 1;
    }

    fn all(self) -> usize {
        self.good + self.resting + self.refused + self.off
    }
}

/// A channel that is on, and what is left of its quotas.
struct ChannelRow {
    id: i64,
    name: String,
    provider: String,
    keys: KeyCounts,
    outlook: Outlook,
}

/// How the pool does.
pub struct PoolState {
    /// All keys.
    pub keys: KeyCounts,
    channels: Vec<ChannelRow>,
    chains: Vec<(String, Vec<String>)>,
    hints: Vec<String>,
    freshness: &'static str,
}

impl PoolState {
    /// Looks at everything.
    pub async fn of(
        session: &Session,
        catalog: &std::sync::Arc<Catalog>,
        book: &RestBook,
    ) -> Result<Self, Failure> {
        let (m, now, providers) = (session.m, session.now(), session.providers.load());
        let (dispatch, freshness) = session.dispatch(catalog).await?;
        let mut outlooks = of_channels(catalog, &dispatch, Size::USUAL.cost());
        let (mut all, mut channels) = (KeyCounts::default(), Vec::new());
        for entry in catalog.channels() {
            let rows = session.db.key_rows(entry.channel.id).await?;
            let mut keys = KeyCounts::default();
            for key in &entry.keys {
                let row = rows.iter().find(|row| row.id == key.id);
                keys.add(entry, key, row, book, now);
                all.add(entry, key, row, book, now);
            }
            if entry.channel.enabled {
                channels.push(ChannelRow {
                    id: entry.channel.id.0,
                    name: entry.channel.name.clone(),
                    provider: name_of(providers.of(&entry.channel.provider), m.lang).to_owned(),
                    keys,
                    outlook: outlooks.remove(&entry.channel.id).unwrap_or_default(),
                });
            }
        }
        let hint = |(channel, texts): (String, Vec<String>)| {
            texts.into_iter().map(move |text| format!("{channel}: {text}"))
        };
        Ok(Self {
            keys: all,
            channels,
            chains: session.chain_models().await?,
            hints: shared_in_pool(catalog, &providers, m).into_iter().flat_map(hint).collect(),
            freshness,
        })
    }

    /// What needs a look, each in a few words: channels that take no calls, and keys that are refused.
    pub fn problems(&self, m: Messages) -> Vec<String> {
        let t = m.onboarding;
        let idle: Vec<&str> = self
            .channels
            .iter()
            .filter(|row| row.keys.good == 0 && row.keys.all() > 0)
            .map(|row| row.name.as_str())
            .take(MOST_ROWS)
            .collect();
        let serving = self.channels.iter().any(|row| row.keys.good > 0 && row.outlook.keys > 0);
        let mut problems = Vec::new();
        if !serving {
            problems.push(t.nothing_serves().to_owned());
        } else if !idle.is_empty() {
            problems.push(t.idle_channels(&idle.join(", ")));
        }
        if self.keys.refused > 0 {
            problems.push(t.refused_keys(self.keys.refused));
        }
        problems
    }

    /// The keys in a line.
    pub fn key_cell(&self, m: Messages) -> Cell {
        let KeyCounts { good, resting, refused, off } = self.keys;
        let look = if refused > 0 { Look::Bad } else { Look::Plain };
        Cell::text(m.onboarding.key_counts(self.keys.all(), good, resting, refused, off)).look(look)
    }

    /// What is left of quotas, by channel.
    pub fn quota_json(&self) -> Vec<Value> {
        let row = |row: &ChannelRow| {
            let calls = &row.outlook.calls;
            json!({
                "channel_id": row.id,
                "channel": row.name,
                "provider": row.provider,
                "keys": {
                    "good": row.keys.good, "resting": row.keys.resting,
                    "refused": row.keys.refused, "off": row.keys.off,
                },
                "accounts": row.outlook.owners,
                "unknown_keys": row.outlook.unknown,
                "next_minute": { "calls": calls.next_minute, "at_most": calls.per_minute },
                "next_day": { "calls": calls.next_day, "at_most": calls.per_day },
            })
        };
        self.channels.iter().map(row).collect()
    }

    /// The chains, each with its models in order.
    pub fn chains_json(&self) -> Vec<Value> {
        self.chains.iter().map(|(name, models)| json!({ "name": name, "models": models })).collect()
    }

    /// What is to be known of accounts.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Quotas, chains and accounts for people; empty if there is nothing to say.
    pub fn text(&self, m: Messages) -> String {
        let t = m.onboarding;
        let mut parts = Vec::new();
        if !self.channels.is_empty() {
            let mut table = Table::new([
                m.log.channel(),
                m.channels.provider(),
                t.good_keys(),
                t.minute_left(),
                t.day_left(),
            ]);
            for row in self.channels.iter().take(MOST_ROWS) {
                let calls = &row.outlook.calls;
                let left = |left: u64, most: u64| {
                    if row.outlook.keys == 0 {
                        return Cell::number("");
                    }
                    let shown = |number| limits::calls(m, &row.outlook, number);
                    // A day's quota that comes back within the next 24 hours counts twice; its size tells nothing then.
                    let text = match (shown(left), shown(most)) {
                        (left_text, most_text) if left >= most || left_text == most_text => left_text,
                        (left_text, most_text) => format!("{left_text} / {most_text}"),
                    };
                    Cell::number(text).look(if left == 0 && row.outlook.unknown == 0 {
                        Look::Doubtful
                    } else {
                        Look::Plain
                    })
                };
                table.row([
                    Cell::text(&row.name),
                    Cell::text(&row.provider),
                    Cell::number(format!("{}/{}", row.keys.good, row.keys.all() - row.keys.off)),
                    left(calls.next_minute, calls.per_minute),
                    left(calls.next_day, calls.per_day),
                ]);
            }
            let mut text = format!("{}\n{}", t.calls_left(), table.draw());
            if self.channels.len() > MOST_ROWS {
                text.push_str(&format!("\n{}", t.more_channels(self.channels.len() - MOST_ROWS)));
            }
            text.push_str(&format!("\n{}", t.quota_hint(self.freshness)));
            parts.push(text);
        }
        if !self.chains.is_empty() {
            let lines: Vec<String> =
                self.chains.iter().take(MOST_ROWS).map(|chain| chain_line(chain, MOST_STEPS, m)).collect();
            parts.push(format!("{}\n{}", m.chains.title(), lines.join("\n")));
        }
        if !self.hints.is_empty() {
            let lines: Vec<String> =
                self.hints.iter().take(MOST_ROWS).map(|hint| clean(hint).into_owned()).collect();
            parts.push(lines.join("\n"));
        }
        parts.join("\n\n")
    }
}

/// A chain and its first models.
pub fn chain_line((name, models): &(String, Vec<String>), most: usize, m: Messages) -> String {
    let first: Vec<&str> = models.iter().take(most).map(String::as_str).collect();
    let more = if models.len() > most { m.onboarding.more_steps(models.len() - most) } else { String::new() };
    let first = if first.is_empty() { m.common.none().to_owned() } else { first.join(" → ") };
    clean(&format!("{name}: {first}{more}")).into_owned()
}
