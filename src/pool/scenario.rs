//! Scenario files: a declared pool, what its providers enforce and who asks, for `onepool simulate`.
//!
//! They are read as pool files are, with the same messages; what they say becomes a [`Scenario`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    file::{FileFault, Format, folded, located, tree_of, typed},
    input::Faults,
    rules::check_name,
    shape,
};
use crate::{
    i18n::Messages,
    model::time::UnixMs,
    scheduler::{
        limit::{CalendarUnit, Metric, Per, Window},
        simulate::{
            self, BadScenario, Client, Counting, Declared, Each, Enforced, Load, ONLY_MODEL, Provider,
            Restart, Scenario, Trouble, TroubleKind,
        },
    },
};

/// The most entries of a scenario's lists.
const MAX_CHANNELS: usize = 100;
const MAX_TOKENS: usize = 1000;
const MAX_MODELS: usize = 200;
const MAX_INNER: usize = 50;

/// A pool, its providers and its clients.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioFile {
    /// How long, in simulated seconds; at most 31 days.
    #[schema(minimum = 1, maximum = 2_678_400)]
    pub seconds: u64,
    /// From when on throughput is measured. Left out: 60, or a quarter of `seconds` if that is less.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_678_400)]
    pub warm_up_seconds: Option<u64>,
    /// The time of day at the beginning.
    #[serde(default = "new_year")]
    #[schema(value_type = String, format = DateTime)]
    pub start: jiff::Timestamp,
    /// Where chance begins; the same seed gives the same result.
    #[serde(default)]
    #[schema(minimum = 0)]
    pub seed: u64,
    /// How long a call may wait.
    #[serde(default = "deadline")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub deadline_ms: u64,
    /// The most attempts for a call.
    #[serde(default = "attempts")]
    #[schema(minimum = 1, maximum = 20)]
    pub attempts: u32,
    /// The channels.
    pub channels: Vec<ScenarioChannel>,
    /// Who asks.
    pub tokens: Vec<ScenarioToken>,
    /// A restart of the server.
    #[serde(default)]
    pub restart: Option<ScenarioRestart>,
}

fn new_year() -> jiff::Timestamp {
    // 2026-01-01T00:00:00Z, as the document says.
    jiff::Timestamp::constant(1_767_225_600, 0)
}

fn deadline() -> u64 {
    60_000
}

fn attempts() -> u32 {
    6
}

/// A channel and the provider behind it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioChannel {
    /// Its name.
    pub name: String,
    /// Its models.
    #[serde(default = "only_model")]
    pub models: Vec<String>,
    /// How many keys it has.
    #[schema(minimum = 1, maximum = 10_000)]
    pub keys: u32,
    /// How many keys share one account of the provider's.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub keys_per_account: u32,
    /// Higher priorities come first.
    #[serde(default)]
    #[schema(minimum = -1_000_000, maximum = 1_000_000)]
    pub priority: i64,
    /// How long a call waits for this priority before the next one may serve it.
    #[serde(default = "spill")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub spill_ms: i64,
    /// Its limits.
    #[serde(default)]
    pub limits: Vec<ScenarioLimit>,
    /// The mean time to the provider.
    #[serde(default = "delay")]
    #[schema(minimum = 0, maximum = 60_000)]
    pub delay_ms: u32,
    /// The mean time until an answer's first content.
    #[serde(default = "first_content")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub first_content_ms: u32,
    /// The mean time from there to its end.
    #[serde(default = "rest_of_answer")]
    #[schema(minimum = 0, maximum = 3_600_000)]
    pub rest_of_answer_ms: u32,
    /// Whether the provider counts refused calls too.
    #[serde(default)]
    pub counts_refused: bool,
    /// What goes wrong.
    #[serde(default)]
    pub troubles: Vec<ScenarioTrouble>,
}

fn only_model() -> Vec<String> {
    vec![ONLY_MODEL.to_owned()]
}

fn one() -> u32 {
    1
}

fn spill() -> i64 {
    2_000
}

fn delay() -> u32 {
    40
}

fn first_content() -> u32 {
    800
}

fn rest_of_answer() -> u32 {
    1_200
}

/// How a provider counts calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// So many in any span.
    #[default]
    Rolling,
    /// So many from one multiple of the span to the next.
    Fixed,
    /// A bucket that holds the amount of a span.
    Bucket,
    /// Two fixed counters, the older one weighed by its share in the span.
    Sliding,
    /// One by one, in even distances.
    Even,
    /// So many per day of the calendar.
    Day,
}

/// What has a limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitEach {
    /// Each account.
    #[default]
    Account,
    /// Each model of each account.
    Model,
}

/// So many calls in a window.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioLimit {
    /// How many calls the provider lets pass.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max: u64,
    /// How many OnePool is told; 0 means nothing. Left out: what is true.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub declared: Option<u64>,
    /// How the provider counts.
    #[serde(default)]
    pub window: WindowKind,
    /// The span; 60 if left out, none for days.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 34_560_000)]
    pub seconds: Option<u64>,
    /// What has such a limit.
    #[serde(default)]
    pub each: LimitEach,
    /// The time zone of the provider's day; UTC if left out.
    #[serde(default)]
    pub zone: Option<String>,
    /// How many minutes after midnight the provider's day begins.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_439)]
    pub offset_minutes: Option<u16>,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScenarioTroubleKind {
    /// A key is refused as wrong.
    DeadKey,
    /// The models are gone.
    GoneModel,
    /// Every call fails.
    Outage,
}

/// Something that goes wrong for a time.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioTrouble {
    /// What.
    pub kind: ScenarioTroubleKind,
    /// Which key, from 1; for `dead_key` only.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    pub key: Option<u32>,
    /// From when.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_678_400)]
    pub from_seconds: u64,
    /// Until when; left out: to the end.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_678_400)]
    pub until_seconds: Option<u64>,
}

/// A token and how it asks: with `agents`, `calls_per_minute` or `burst_calls`.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioToken {
    /// Its name.
    pub name: String,
    /// The model it asks for; left out: the first one of the first channel.
    #[serde(default)]
    pub model: Option<String>,
    /// Its share, against the other tokens.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub weight: u32,
    /// Whether its calls are a batch, which waits for the others.
    #[serde(default)]
    pub batch: bool,
    /// Agents that each ask again as soon as they are answered.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    pub agents: Option<u32>,
    /// Calls at random times, so many a minute on average.
    #[serde(default)]
    pub calls_per_minute: Option<f64>,
    /// Bursts of so many calls.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    pub burst_calls: Option<u32>,
    /// The time from one burst to the next.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 2_678_400_000_i64)]
    pub burst_every_ms: Option<u64>,
}

/// The server stops and starts again.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioRestart {
    /// When it stops.
    #[schema(minimum = 0, maximum = 2_678_400)]
    pub at_seconds: u64,
    /// For how long.
    #[schema(minimum = 0, maximum = 86_400_000)]
    pub down_ms: u64,
    /// Whether it is killed, so that the last second's work was not saved.
    #[serde(default)]
    pub killed: bool,
}

impl ScenarioFile {
    /// Reads a text. Gives all faults that can be told at once, with their places.
    pub(super) fn read(text: &str, format: Format, t: Messages) -> Result<Self, Vec<FileFault>> {
        let tree = tree_of(text, format, t)?;
        let document = tree.root.json();
        let schema = shape::schema_of::<Self>("OnePool scenario");
        let form = shape::check_against(&schema, &document, t);
        // What is of the wrong form cannot be looked at further.
        let file: Self = match form.or(()).and_then(|()| typed(document, t)) {
            Ok(file) => file,
            Err(faults) => return Err(located(&tree, faults)),
        };
        file.faults(t).or(file).map_err(|faults| located(&tree, faults))
    }

    /// The scenario that it declares.
    pub fn scenario(&self) -> Scenario {
        // Higher priorities are lower tiers.
        let priorities: BTreeSet<i64> = self.channels.iter().map(|channel| -channel.priority).collect();
        let tier = |channel: &ScenarioChannel| priorities.range(..-channel.priority).count() as u32;
        Scenario {
            seconds: self.seconds,
            warm_up_seconds: self.warm_up_seconds.unwrap_or_else(|| (self.seconds / 4).min(60)),
            start: UnixMs(self.start.as_millisecond()),
            seed: self.seed,
            providers: self
                .channels
                .iter()
                .map(|channel| channel.provider(tier(channel), self.seconds))
                .collect(),
            clients: self.tokens.iter().map(|token| token.client(self.default_model())).collect(),
            deadline_ms: self.deadline_ms,
            attempts: self.attempts,
            restart: self.restart.as_ref().map(|restart| Restart {
                at_ms: restart.at_seconds * 1000,
                down_ms: restart.down_ms,
                killed: restart.killed,
            }),
        }
    }

    fn default_model(&self) -> &str {
        let first = self.channels.first().and_then(|channel| channel.models.first());
        first.map_or(ONLY_MODEL, String::as_str)
    }

    /// What is wrong beyond the form.
    fn faults(&self, t: Messages) -> Faults {
        let mut faults = Faults::default();
        let words = t.simulate;
        if self.warm_up_seconds.is_some_and(|warm_up| warm_up >= self.seconds) {
            faults.add("warm_up_seconds", words.warm_up_too_long());
        }
        if self.restart.as_ref().is_some_and(|restart| restart.at_seconds >= self.seconds) {
            faults.add("restart.at_seconds", words.after_the_end());
        }
        bounded(&mut faults, "channels", self.channels.len(), 1, MAX_CHANNELS, t);
        bounded(&mut faults, "tokens", self.tokens.len(), 1, MAX_TOKENS, t);
        let mut seen = BTreeMap::new();
        for (place, channel) in self.channels.iter().enumerate() {
            let field = format!("channels[{place}]");
            named(&mut faults, &format!("{field}.name"), &channel.name, &mut seen, t, |first| {
                t.pool_file.channel_twice(first)
            });
            channel.faults(&field, self.seconds, &mut faults, t);
        }
        let mut seen = BTreeMap::new();
        let models: BTreeSet<&str> =
            self.channels.iter().flat_map(|channel| &channel.models).map(String::as_str).collect();
        for (place, token) in self.tokens.iter().enumerate() {
            let field = format!("tokens[{place}]");
            named(&mut faults, &format!("{field}.name"), &token.name, &mut seen, t, |first| {
                t.pool_file.token_twice(first)
            });
            if let Some(model) = token.model.as_ref().filter(|model| !models.contains(model.as_str())) {
                let known: Vec<&str> = models.iter().copied().take(20).collect();
                let model = super::rules::shortened(model);
                faults.add(format!("{field}.model"), words.unknown_model(&model, &known.join(", ")));
            }
            token.faults(&field, &mut faults, t);
        }
        if !faults.0.is_empty() {
            return faults;
        }
        match simulate::check(&self.scenario()) {
            Ok(()) => {}
            Err(BadScenario::TooMuch { calls, lanes }) => {
                let (most, looks) = (simulate::MOST_CALLS, simulate::MOST_LOOKS);
                faults.add("seconds", words.too_much(calls, lanes, most.min(looks / lanes.max(1))));
            }
            // All else has been checked above, with better words.
            Err(other) => faults.add("", words.cannot_be(&format!("{other:?}"))),
        }
        faults
    }
}

fn bounded(faults: &mut Faults, field: &str, length: usize, least: usize, most: usize, t: Messages) {
    if !(least..=most).contains(&length) {
        faults.add(field, t.simulate.list_length(least, most));
    }
}

/// Checks a name by itself and against those before it.
fn named(
    faults: &mut Faults,
    field: &str,
    name: &str,
    seen: &mut BTreeMap<String, String>,
    t: Messages,
    twice: impl FnOnce(&str) -> String,
) {
    if let Err(message) = check_name(t, name) {
        faults.add(field, message);
    } else if let Some(first) = seen.get(&folded(name)) {
        faults.add(field, twice(first));
    } else {
        seen.insert(folded(name), field.to_owned());
    }
}

impl ScenarioChannel {
    fn faults(&self, field: &str, seconds: u64, faults: &mut Faults, t: Messages) {
        bounded(faults, &format!("{field}.models"), self.models.len(), 1, MAX_MODELS, t);
        for (place, model) in self.models.iter().enumerate() {
            if let Err(message) = check_name(t, model) {
                faults.add(format!("{field}.models[{place}]"), message);
            } else if self.models[..place].contains(model) {
                faults.add(format!("{field}.models[{place}]"), t.simulate.model_twice());
            }
        }
        if self.keys_per_account > self.keys {
            faults.add(format!("{field}.keys_per_account"), t.simulate.account_too_large(self.keys));
        }
        bounded(faults, &format!("{field}.limits"), self.limits.len(), 0, MAX_INNER, t);
        for (place, limit) in self.limits.iter().enumerate() {
            limit.faults(&format!("{field}.limits[{place}]"), faults, t);
            let same = self.limits[..place]
                .iter()
                .position(|other| other.each == limit.each && other.counts_like() == limit.counts_like());
            if let Some(other) = same {
                let other = format!("{field}.limits[{other}]");
                faults.add(format!("{field}.limits[{place}]"), t.simulate.limit_twice(&other));
            }
        }
        bounded(faults, &format!("{field}.troubles"), self.troubles.len(), 0, MAX_INNER, t);
        for (place, trouble) in self.troubles.iter().enumerate() {
            let field = format!("{field}.troubles[{place}]");
            match (trouble.kind, trouble.key) {
                (ScenarioTroubleKind::DeadKey, None) => {
                    faults.add(format!("{field}.key"), t.pool_file.missing());
                }
                (ScenarioTroubleKind::DeadKey, Some(key)) if key > self.keys => {
                    faults.add(format!("{field}.key"), t.common.field_out_of_range(1, i64::from(self.keys)))
                }
                (ScenarioTroubleKind::GoneModel | ScenarioTroubleKind::Outage, Some(_)) => {
                    faults.add(format!("{field}.key"), t.simulate.only_for("dead_key"));
                }
                _ => {}
            }
            if trouble.from_seconds >= seconds {
                faults.add(format!("{field}.from_seconds"), t.simulate.after_the_end());
            } else if trouble.until_seconds.is_some_and(|until| until <= trouble.from_seconds) {
                faults.add(format!("{field}.until_seconds"), t.simulate.ends_before_it_begins());
            }
        }
    }

    fn provider(&self, tier: u32, seconds: u64) -> Provider {
        Provider {
            models: self.models.clone(),
            keys: self.keys,
            keys_per_account: self.keys_per_account,
            tier,
            spill_ms: self.spill_ms,
            declared: self.limits.iter().filter_map(ScenarioLimit::declared).collect(),
            enforced: self.limits.iter().map(ScenarioLimit::enforced).collect(),
            delay_ms: self.delay_ms,
            first_content_ms: self.first_content_ms,
            rest_of_answer_ms: self.rest_of_answer_ms,
            counts_refused: self.counts_refused,
            troubles: self
                .troubles
                .iter()
                .map(|trouble| Trouble {
                    kind: match trouble.kind {
                        ScenarioTroubleKind::DeadKey => {
                            TroubleKind::DeadKey(trouble.key.unwrap_or(1).saturating_sub(1))
                        }
                        ScenarioTroubleKind::GoneModel => TroubleKind::GoneModel,
                        ScenarioTroubleKind::Outage => TroubleKind::Outage,
                    },
                    from_s: trouble.from_seconds,
                    until_s: trouble.until_seconds.unwrap_or(seconds),
                })
                .collect(),
        }
    }
}

impl ScenarioLimit {
    fn faults(&self, field: &str, faults: &mut Faults, t: Messages) {
        if self.window == WindowKind::Day {
            if self.seconds.is_some() {
                faults.add(format!("{field}.seconds"), t.simulate.not_for_days());
            }
            if jiff::tz::TimeZone::get(self.zone()).is_err() {
                faults.add(format!("{field}.zone"), t.simulate.unknown_zone());
            }
        } else {
            for (name, given) in
                [("zone", self.zone.is_some()), ("offset_minutes", self.offset_minutes.is_some())]
            {
                if given {
                    faults.add(format!("{field}.{name}"), t.simulate.only_for("day"));
                }
            }
        }
    }

    fn zone(&self) -> &str {
        self.zone.as_deref().unwrap_or("UTC")
    }

    fn span_ms(&self) -> u64 {
        self.seconds.unwrap_or(60) * 1000
    }

    /// What OnePool takes it for: two limits of a channel that are alike in this would contradict each other.
    fn counts_like(&self) -> Window {
        match self.window {
            WindowKind::Day => Window::Calendar {
                unit: CalendarUnit::Day,
                zone: self.zone().to_owned(),
                offset_minutes: self.offset_minutes.unwrap_or(0),
            },
            _ => Window::Rolling { ms: self.span_ms() },
        }
    }

    fn declared(&self) -> Option<Declared> {
        let max = self.declared.unwrap_or(self.max);
        let per = match self.each {
            LimitEach::Account => Per::Owner,
            LimitEach::Model => Per::OwnerModel,
        };
        (max > 0).then(|| Declared { per, metric: Metric::Requests, window: self.counts_like(), max })
    }

    fn enforced(&self) -> Enforced {
        Enforced {
            each: match self.each {
                LimitEach::Account => Each::Account,
                LimitEach::Model => Each::Model,
            },
            counting: match self.window {
                WindowKind::Rolling => Counting::Rolling,
                WindowKind::Fixed => Counting::Fixed,
                WindowKind::Bucket => Counting::Bucket,
                WindowKind::Sliding => Counting::SlidingCounter,
                WindowKind::Even => Counting::Even,
                WindowKind::Day => Counting::Day {
                    zone: self.zone().to_owned(),
                    offset_minutes: self.offset_minutes.unwrap_or(0),
                },
            },
            max: self.max,
            span_ms: self.span_ms(),
        }
    }
}

impl ScenarioToken {
    /// Calls a minute that come whatever becomes of them; `None` for agents, which wait for their answers.
    pub fn demand_per_minute(&self) -> Option<f64> {
        match (self.calls_per_minute, self.burst_calls, self.burst_every_ms) {
            (Some(calls), _, _) => Some(calls),
            (_, Some(calls), Some(every_ms)) => Some(f64::from(calls) * 60_000.0 / every_ms.max(1) as f64),
            _ => None,
        }
    }

    fn faults(&self, field: &str, faults: &mut Faults, t: Messages) {
        let ways = [self.agents.is_some(), self.calls_per_minute.is_some(), self.burst_calls.is_some()];
        if ways.iter().filter(|given| **given).count() != 1 {
            faults.add(field, t.simulate.one_way_to_ask());
        }
        if self.calls_per_minute.is_some_and(|calls| !(0.001..=1_000_000.0).contains(&calls)) {
            faults.add(format!("{field}.calls_per_minute"), t.simulate.calls_per_minute());
        }
        match (self.burst_calls, self.burst_every_ms) {
            (Some(_), None) => faults.add(format!("{field}.burst_every_ms"), t.pool_file.missing()),
            (None, Some(_)) => {
                faults.add(format!("{field}.burst_every_ms"), t.simulate.only_for("burst_calls"));
            }
            _ => {}
        }
    }

    fn client(&self, default_model: &str) -> Client {
        let load = match (self.agents, self.calls_per_minute) {
            (Some(agents), _) => Load::Agents(agents),
            (_, Some(calls)) => Load::PerMinute(calls),
            _ => Load::Bursts {
                calls: self.burst_calls.unwrap_or(1),
                every_ms: self.burst_every_ms.unwrap_or(60_000),
            },
        };
        let model = self.model.as_deref().unwrap_or(default_model).to_owned();
        Client { weight: self.weight, batch: self.batch, model, load }
    }
}
