//! A declared pool against modelled providers, in virtual time: what to expect of it, and the proof of the scheduler.
//!
//! Everything but the providers and the clients is the real thing: the same desk and pool that serve calls. The same scenario
//! and seed give the same report. Start at [`simulate`].

mod load;
mod provider;
mod run;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::{
    limit::{Metric, Models, Per, Problem, Rule, Source, Window},
    pool::Why,
};
use crate::model::{id::ChannelId, time::UnixMs};

/// What is simulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// For how long, in seconds.
    pub seconds: u64,
    /// From when on throughput is measured, in seconds: the first window is a gift.
    #[serde(default = "minute")]
    pub warm_up_seconds: u64,
    /// The time of day at the start.
    #[serde(default)]
    pub start: UnixMs,
    /// Where chance begins.
    #[serde(default)]
    pub seed: u64,
    /// The providers. Their order is that of a chain's steps, if they have different tiers.
    pub providers: Vec<Provider>,
    /// Who asks.
    pub clients: Vec<Client>,
    /// How long a call may wait, in milliseconds.
    #[serde(default = "deadline")]
    pub deadline_ms: u64,
    /// The most attempts for a call.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// When the server stops and starts again, in seconds.
    #[serde(default)]
    pub restart: Option<Restart>,
}

fn minute() -> u64 {
    60
}

fn deadline() -> u64 {
    60_000
}

fn attempts() -> u32 {
    6
}

/// A stop and a start.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// When it stops, in milliseconds from the start.
    pub at_ms: u64,
    /// For how long, in milliseconds.
    pub down_ms: u64,
    /// Whether it is killed: then only what was saved up to a second ago is known.
    pub killed: bool,
}

/// A provider: what is declared of it, and what is true.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The models that it serves; a call asks for one of them.
    #[serde(default = "only_model")]
    pub models: Vec<String>,
    /// How many keys there are.
    pub keys: u32,
    /// How many of them share an account; 1 means that each is its own.
    #[serde(default = "one")]
    pub keys_per_account: u32,
    /// The tier; lower ones first.
    #[serde(default)]
    pub tier: u32,
    /// How long a call waits for this tier before it spills to the next one, in milliseconds.
    #[serde(default = "spill")]
    pub spill_ms: i64,
    /// The limits that OnePool is told.
    #[serde(default)]
    pub declared: Vec<Declared>,
    /// The limits that the provider enforces, for each account.
    #[serde(default)]
    pub enforced: Vec<Enforced>,
    /// The mean time to the provider, in milliseconds: half of it certain, half of it by chance (exponential).
    #[serde(default = "delay")]
    pub delay_ms: u32,
    /// The mean time that an answer takes until its first content, in milliseconds.
    #[serde(default = "first_content")]
    pub first_content_ms: u32,
    /// The mean time from there to its end.
    #[serde(default = "rest_of_answer")]
    pub rest_of_answer_ms: u32,
    /// Whether refusals count as calls at the provider.
    #[serde(default)]
    pub counts_refused: bool,
    /// What goes wrong, and when.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
}

/// The model of scenarios that have only one.
pub const ONLY_MODEL: &str = "m";

fn only_model() -> Vec<String> {
    vec![ONLY_MODEL.to_owned()]
}

fn the_only_model() -> String {
    ONLY_MODEL.to_owned()
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

/// A limit that OnePool is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// For whom each.
    pub per: Per,
    /// What is counted.
    #[serde(default = "requests")]
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// How much.
    pub max: u64,
}

fn requests() -> Metric {
    Metric::Requests
}

/// How a provider counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// So many in any span.
    Rolling,
    /// So many from one multiple of the span to the next; where they lie is left to chance.
    Fixed,
    /// A bucket that holds the amount of a span.
    Bucket,
    /// Two fixed counters, the older one weighed by its share in the span.
    SlidingCounter,
    /// A bucket that holds one.
    Even,
    /// So many per day of the calendar.
    Day {
        /// The time zone.
        zone: String,
        /// Minutes after midnight.
        offset_minutes: u16,
    },
}

/// What has a limit of its own at a provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Each {
    /// Each account, all models together.
    #[default]
    Account,
    /// Each model of each account.
    Model,
}

/// A limit that a provider enforces for each account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enforced {
    /// What has such a limit.
    #[serde(default)]
    pub each: Each,
    /// How it counts.
    pub counting: Counting,
    /// How many calls.
    pub max: u64,
    /// The span, in milliseconds; of no matter for days.
    #[serde(default = "minute_ms")]
    pub span_ms: u64,
}

fn minute_ms() -> u64 {
    60_000
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// From when, in seconds.
    pub from_s: u64,
    /// Until when, in seconds.
    pub until_s: u64,
}

/// What can go wrong.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// This key is refused as wrong.
    DeadKey(u32),
    /// The model is gone.
    GoneModel,
    /// Every call fails with a fault of the host.
    Outage,
}

/// A token's calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its share.
    #[serde(default = "one")]
    pub weight: u32,
    /// Whether its calls are a batch.
    #[serde(default)]
    pub batch: bool,
    /// The model that it asks for.
    #[serde(default = "the_only_model")]
    pub model: String,
    /// How it asks.
    pub load: Load,
}

/// How a token asks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// Agents that each ask again as soon as they are answered.
    Agents(u32),
    /// Calls at random times, so many per minute on average.
    PerMinute(f64),
    /// Bursts of calls.
    Bursts {
        /// So many at once.
        calls: u32,
        /// Every so many milliseconds.
        every_ms: u64,
    },
}

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Calls of clients.
    pub calls: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that were refused because no candidate would be free in time.
    pub refused: u64,
    /// Those of them that had waited for more than a second.
    pub refused_late: u64,
    /// Calls that failed for another reason.
    pub failed: u64,
    /// Calls that were under way when the server stopped.
    pub cut_off: u64,
    /// Attempts at providers, in all.
    pub attempts: u64,
    /// Attempts that a provider refused because of a limit.
    pub limited: u64,
    /// The same, after the warm-up.
    pub limited_after_warm_up: u64,
    /// Attempts that failed otherwise.
    pub faults: u64,
    /// Attempts that were accepted after the warm-up.
    pub accepted_after_warm_up: u64,
    /// What the providers that have limits allow in that time, in the long run, for the models that are asked for.
    pub allowed_after_warm_up: u64,
    /// Whether a provider has no limit, so that there is no quota to speak of.
    pub unlimited: bool,
    /// The same as `allowed_after_warm_up`, if all calls were for this model, in the order of
    /// [`Scenario::models`]; `None` if a provider has no limit for it.
    pub allowed_by_model: Vec<Option<u64>>,
    /// Half of the calls waited at most so many milliseconds in line.
    pub wait_p50_ms: u64,
    /// 95 in a hundred waited at most so many.
    pub wait_p95_ms: u64,
    /// The longest wait.
    pub wait_max_ms: u64,
    /// Why calls were refused or failed.
    pub reasons: Reasons,
    /// Calls of each client.
    pub calls_by_client: Vec<u64>,
    /// Answered calls of each client.
    pub answered_by_client: Vec<u64>,
    /// Refused and failed calls of each client.
    pub unserved_by_client: Vec<u64>,
    /// Attempts at each key that was in trouble, while it was: of each provider, each key.
    pub attempts_in_trouble: Vec<Vec<u64>>,
    /// Accepted attempts of each provider.
    pub accepted_by_provider: Vec<u64>,
    /// Attempts that each provider refused because of a limit.
    pub limited_by_provider: Vec<u64>,
    /// Attempts that failed otherwise at each provider.
    pub faults_by_provider: Vec<u64>,
    /// Accepted attempts in each minute.
    pub accepted_by_minute: Vec<u64>,
    /// The most calls that waited at a time.
    pub longest_line: u64,
    /// The second in which the simulation ended because it had come to too many events; the report then tells of a part.
    pub ended_early_at_s: Option<u64>,
}

/// Why calls were refused or failed, as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasons {
    /// No limit would have had room in time, or the line was full.
    pub limits: u64,
    /// Everything rested after bad answers.
    pub resting: u64,
    /// Answers to calls under way did not come in time.
    pub busy: u64,
    /// The call was larger than a limit.
    pub too_large: u64,
    /// Everything was tried, or as often as a call may.
    pub tried: u64,
    /// Nobody serves the model.
    pub nobody: u64,
}

impl Reasons {
    fn count(&mut self, why: Why) {
        *match why {
            Why::Limit => &mut self.limits,
            Why::Rest(_) => &mut self.resting,
            Why::Busy => &mut self.busy,
            Why::TooLarge => &mut self.too_large,
            Why::Tried | Why::Spent => &mut self.tried,
            Why::Nobody => &mut self.nobody,
        } += 1;
    }
}

impl Report {
    /// What was used of what the providers allow, from 0 to 1 and a little above: see
    /// [`allowed_after_warm_up`](Self::allowed_after_warm_up).
    pub fn efficiency(&self) -> f64 {
        self.accepted_after_warm_up as f64 / self.allowed_after_warm_up.max(1) as f64
    }
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadScenario {
    /// `seconds` is not from 1 to a month, or `warm_up_seconds` is not below it.
    Seconds,
    /// There is no provider, or no client.
    Nobody,
    /// A provider has no models, no keys or more than 10,000, or accounts of no keys.
    Keys {
        /// Its place.
        provider: usize,
    },
    /// A declared limit is impossible.
    Limit {
        /// The provider's place.
        provider: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// An enforced limit is impossible.
    Enforced {
        /// The provider's place.
        provider: usize,
        /// The limit's place.
        limit: usize,
    },
    /// A client asks too much: more than 10,000 agents, or 1,000,000 calls a minute; or not at all.
    Load {
        /// Its place.
        client: usize,
    },
    /// A client asks for a model that no provider has.
    Model {
        /// Its place.
        client: usize,
    },
    /// It would take too long: more calls than [`MOST_CALLS`], or more looks at lanes than [`MOST_LOOKS`].
    TooMuch {
        /// The calls, at most.
        calls: u64,
        /// The lanes: models times keys.
        lanes: u64,
    },
}

/// The most calls that a simulation may come to.
pub const MOST_CALLS: u64 = 1_000_000;
/// The most of calls times lanes (a lane is a model on a key): each call may look at each of its lanes.
pub const MOST_LOOKS: u64 = 200_000_000;

/// The most events of a simulation, so that every file ends.
const MOST_EVENTS: u64 = 100_000_000;

/// The shortest time in which an agent can come back, in milliseconds: what [`Run`](run::Run) takes for an answer.
const LEAST_TURN_MS: f64 = 1.0;

/// Runs a scenario.
pub fn simulate(scenario: &Scenario) -> Result<Report, BadScenario> {
    check(scenario)?;
    Ok(run::Run::new(scenario).finish())
}

/// Says what is wrong with a scenario, without running it.
pub fn check(scenario: &Scenario) -> Result<(), BadScenario> {
    if !(1..=31 * 86_400).contains(&scenario.seconds) || scenario.warm_up_seconds >= scenario.seconds {
        return Err(BadScenario::Seconds);
    }
    if scenario.providers.is_empty() || scenario.clients.is_empty() {
        return Err(BadScenario::Nobody);
    }
    for (place, provider) in scenario.providers.iter().enumerate() {
        let keys = 1..=10_000;
        if provider.models.is_empty() || !keys.contains(&provider.keys) || provider.keys_per_account == 0 {
            return Err(BadScenario::Keys { provider: place });
        }
        if let Some((_, problem)) = Rule::check_all(&provider.rules(place)).into_iter().next() {
            return Err(BadScenario::Limit { provider: place, problem });
        }
        for (limit, enforced) in provider.enforced.iter().enumerate() {
            let zone_known = match &enforced.counting {
                Counting::Day { zone, .. } => jiff::tz::TimeZone::get(zone).is_ok(),
                _ => true,
            };
            let span = 1..=400 * 86_400_000;
            if enforced.max == 0 || !span.contains(&enforced.span_ms) || !zone_known {
                return Err(BadScenario::Enforced { provider: place, limit });
            }
        }
    }
    for (place, client) in scenario.clients.iter().enumerate() {
        let fits = match client.load {
            Load::Agents(agents) => (1..=10_000).contains(&agents),
            Load::PerMinute(calls) => (0.001..=1e6).contains(&calls),
            Load::Bursts { calls, every_ms } => (1..=10_000).contains(&calls) && every_ms >= 10,
        };
        if !fits {
            return Err(BadScenario::Load { client: place });
        }
        if !scenario.providers.iter().any(|provider| provider.models.contains(&client.model)) {
            return Err(BadScenario::Model { client: place });
        }
    }
    let lanes = |provider: &Provider| u64::from(provider.keys) * provider.models.len() as u64;
    let (calls, lanes) = (scenario.most_calls(), scenario.providers.iter().map(lanes).sum::<u64>());
    if calls > MOST_CALLS || calls.saturating_mul(lanes) > MOST_LOOKS {
        return Err(BadScenario::TooMuch { calls, lanes });
    }
    Ok(())
}

impl Scenario {
    /// The models that clients ask for, each once, in the order of the clients.
    pub fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = Vec::new();
        for client in &self.clients {
            if !models.contains(&client.model.as_str()) {
                models.push(&client.model);
            }
        }
        models
    }

    /// The calls that clients make at most, about; a save before a restart counts as one.
    pub fn most_calls(&self) -> u64 {
        let ms = self.seconds as f64 * 1000.0;
        // A time by chance is at least half of its mean; so is the way there and back.
        let turn = |provider: &Provider| {
            let mean = 2.0 * f64::from(provider.delay_ms)
                + f64::from(provider.first_content_ms)
                + f64::from(provider.rest_of_answer_ms);
            (mean / 2.0).max(LEAST_TURN_MS)
        };
        // A refused agent comes back after a second.
        let turn = self.providers.iter().map(turn).fold(1000.0, f64::min);
        let calls = |client: &Client| match client.load {
            Load::Agents(agents) => f64::from(agents) * (ms / turn + 1.0),
            Load::PerMinute(calls) => calls * ms / 60_000.0,
            Load::Bursts { calls, every_ms } => f64::from(calls) * (ms / every_ms.max(1) as f64 + 1.0),
        };
        let saves = if self.restart.is_some() { self.seconds } else { 0 };
        saves + self.clients.iter().map(calls).sum::<f64>() as u64
    }
}

impl Provider {
    fn rules(&self, place: usize) -> Vec<Rule> {
        let rule = |declared: &Declared| Rule {
            channel: channel_of(place),
            key: None,
            models: Models::default(),
            per: declared.per,
            metric: declared.metric,
            window: declared.window.clone(),
            max: declared.max,
            source: Source::Declared,
        };
        self.declared.iter().map(rule).collect()
    }
}

fn channel_of(provider: usize) -> ChannelId {
    ChannelId(provider as i64 + 1)
}
