//! Sums over a period: what may be asked, and what the answer is. Reading it is `summing`'s.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    UsageFilter,
    names::{KeyName, Named},
    steps::Steps,
};
use crate::{
    model::{
        id::{ChannelId, TokenId},
        token::named_enum,
        usage::{CallResult, OutcomeClass, TokenCounts},
    },
    storage::rollups::Histogram,
};

/// How many groups a report usually keeps apart; the rest are summed up as one.
pub const MAX_GROUPS: usize = 200;

/// The most groups that a report keeps apart, for files that are to hold all of them.
pub const MOST_GROUPS: usize = 10_000;

named_enum! {
    /// What a report has one line for.
    GroupBy {
        /// Who asked.
        Token = "token",
        /// The channel that served, or was tried last.
        Channel = "channel",
        /// The key that served, or was tried last.
        Key = "key",
        /// The model as asked; letter case does not matter.
        Model = "model",
        /// The upstream's model.
        Upstream = "upstream",
        /// The endpoint.
        Endpoint = "endpoint",
        /// The kind of client; letter case does not matter.
        Client = "client",
        /// The status that the client got.
        Status = "status",
    }
}

named_enum! {
    /// What makes a group large: the largest ones are kept apart.
    OrderBy {
        /// All calls.
        Requests = "requests",
        /// Calls that were not answered completely.
        Failed = "failed",
        /// Prompt and completion tokens.
        Tokens = "tokens",
        /// Prompt tokens.
        Prompt = "prompt",
        /// Completion tokens.
        Completion = "completion",
        /// Prompt tokens that the upstream had cached.
        Cached = "cached",
        /// Completion tokens spent on reasoning.
        Reasoning = "reasoning",
        /// Cost.
        Cost = "cost",
    }
}

impl OrderBy {
    /// How large sums are by it.
    pub fn of(self, sums: &Sums) -> u64 {
        let positive = |value: i64| value.max(0).unsigned_abs();
        match self {
            Self::Requests => positive(sums.requests),
            Self::Failed => positive(sums.failed()),
            Self::Tokens => sums.tokens.total(),
            Self::Prompt => sums.tokens.prompt,
            Self::Completion => sums.tokens.completion,
            Self::Cached => sums.tokens.cached,
            Self::Reasoning => sums.tokens.reasoning,
            Self::Cost => positive(sums.cost_micros),
        }
    }
}

/// The one number that time series of groups are looked at by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// One that adds up.
    Sum(OrderBy),
    /// Times spent waiting in line.
    Queue,
    /// Times to the first content.
    FirstToken,
    /// Times to the end.
    Total,
}

/// A group, so that a second question can ask for it again; [`Group::key`] has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey(pub(super) String);

/// Which groups are kept apart; the rest are summed up as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apart {
    /// The largest ones, at most so many and at most [`MOST_GROUPS`].
    Largest(usize),
    /// These, also if they had no calls; for the comparison with another period.
    These(Vec<GroupKey>),
}

/// What to sum up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Which calls. Borders inside a quarter of an hour (UTC) are moved to its start; `search` and `trace` are for
    /// single calls and do not count here.
    pub filter: UsageFilter,
    /// What to have one line for.
    pub group_by: GroupBy,
    /// What makes a group large, and the order of the groups.
    pub order: OrderBy,
    /// Which groups are kept apart.
    pub apart: Apart,
    /// The steps of the time series; `None` without one.
    pub steps: Option<Steps>,
    /// How many groups have a time series of their own: the first ones of the answer. The rest are summed up in one.
    pub series_groups: usize,
    /// What those series are for: their other sums may be 0, which spares reading them. `None`: all sums.
    pub measure: Option<Measure>,
}

impl Question {
    /// Sums by group without a time series: the [`MAX_GROUPS`] groups with the most calls.
    pub fn new(filter: UsageFilter, group_by: GroupBy) -> Self {
        Self {
            filter,
            group_by,
            order: OrderBy::Requests,
            apart: Apart::Largest(MAX_GROUPS),
            steps: None,
            series_groups: 0,
            measure: None,
        }
    }
}

/// Sums of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// All calls.
    pub requests: i64,
    /// Calls that were answered completely.
    pub ok: i64,
    /// Those of them that took one attempt.
    pub ok_at_once: i64,
    /// Calls that took more than one attempt, however they ended.
    pub retried: i64,
    /// Calls whose token counts are our estimate.
    pub estimated: i64,
    /// Token counts.
    pub tokens: TokenCounts,
    /// Cost in micro-dollars.
    pub cost_micros: i64,
    /// Milliseconds spent waiting in line, of all calls together.
    pub queue_ms: i64,
    /// Times spent waiting in line; calls that did not wait count as 1 ms at most.
    pub queue: Histogram,
    /// Times to the first content.
    pub first_token: Histogram,
    /// Times to the end.
    pub total: Histogram,
    /// Calls that were not answered completely, by how they ended.
    pub failures: BTreeMap<CallResult, i64>,
}

impl Sums {
    /// Calls that were not answered completely.
    pub fn failed(&self) -> i64 {
        self.requests.saturating_sub(self.ok)
    }

    /// Adds all that `other` counts. Sums saturate.
    pub fn merge(&mut self, other: &Self) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, other.requests);
        add(&mut self.ok, other.ok);
        add(&mut self.ok_at_once, other.ok_at_once);
        add(&mut self.retried, other.retried);
        add(&mut self.estimated, other.estimated);
        add(&mut self.cost_micros, other.cost_micros);
        add(&mut self.queue_ms, other.queue_ms);
        let count = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        count(&mut self.tokens.prompt, other.tokens.prompt);
        count(&mut self.tokens.completion, other.tokens.completion);
        count(&mut self.tokens.cached, other.tokens.cached);
        count(&mut self.tokens.reasoning, other.tokens.reasoning);
        self.queue.merge(&other.queue);
        self.first_token.merge(&other.first_token);
        self.total.merge(&other.total);
        for (result, more) in &other.failures {
            add(self.failures.entry(*result).or_default(), *more);
        }
    }
}

/// Upstream calls, also those whose call another key or channel answered in the end. They count in the quarter of an
/// hour in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// By what each was taken for.
    pub by_class: BTreeMap<OutcomeClass, i64>,
}

impl Attempts {
    /// All of them.
    pub fn all(&self) -> i64 {
        self.by_class.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Those without a usable answer.
    pub fn failed(&self) -> i64 {
        self.all().saturating_sub(self.by_class.get(&OutcomeClass::Success).copied().unwrap_or(0))
    }
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupName {
    /// Calls that reached no channel, key or upstream model, or whose client is not known.
    None,
    /// A token.
    Token(Named<TokenId>),
    /// A channel.
    Channel(Named<ChannelId>),
    /// A key and its channel.
    Key(KeyName, Option<Named<ChannelId>>),
    /// A model as asked.
    Model(String),
    /// An upstream's model.
    Upstream(String),
    /// An endpoint, by its name.
    Endpoint(String),
    /// A kind of client.
    Client(String),
    /// A status.
    Status(u16),
    /// All groups that are not kept apart.
    Others,
}

impl GroupName {
    /// Whether it stands for all groups that are not kept apart.
    pub fn is_others(&self) -> bool {
        matches!(self, Self::Others)
    }
}

/// A group's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// To ask for it again; `None` of [`GroupName::Others`].
    pub key: Option<GroupKey>,
    /// What it is.
    pub name: GroupName,
    /// Its calls.
    pub sums: Sums,
    /// Its upstream calls, if the report is by channel, key or upstream model, and the filter asks for nothing but a
    /// period, a channel and a key.
    pub attempts: Option<Attempts>,
}

/// Sums of each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Where each step begins.
    pub steps: Steps,
    /// Of all calls, one for each step.
    pub whole: Vec<Sums>,
    /// Of the largest groups, one for each step. All together, with those of [`GroupName::Others`] at the end if there
    /// are more groups, they are `whole`. Empty if the question asks for none.
    pub groups: Vec<GroupSeries>,
}

/// Sums of each step of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeries {
    /// What it is; the name of a group of the report, or [`GroupName::Others`].
    pub name: GroupName,
    /// One for each step.
    pub points: Vec<Sums>,
}

/// Sums over a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Of all calls.
    pub sums: Sums,
    /// By group, the largest one first; what is not kept apart is last. All together they are `sums`.
    pub groups: Vec<Group>,
    /// By step; `None` if the question has no steps.
    pub series: Option<Series>,
}
