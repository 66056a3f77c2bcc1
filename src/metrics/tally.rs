//! Counts calls as their rows reach the database.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::labels::Labels;
use crate::model::{
    id::ChannelId,
    time::UnixMs,
    usage::{CallResult, Endpoint, OutcomeClass, TokenCounts, UsageRecord},
};

/// Counts since the start of the process. Cheap to clone; all clones see the same.
#[derive(Debug, Clone)]
pub struct Tally {
    counted: Arc<Mutex<Counted>>,
    started: UnixMs,
}

/// What was counted.
#[derive(Debug)]
pub(super) struct Counted {
    pub requests: BTreeMap<(Endpoint, CallResult), u64>,
    /// By channel, under the labels that they have now.
    channels: BTreeMap<ChannelId, Channel>,
    labels: Labels,
    /// What was counted while its channels had other labels: it stays with those.
    past: BTreeMap<String, Channel>,
    pub first_token: Histogram,
    pub total: Histogram,
    pub queue: Histogram,
    pub overhead: Histogram,
}

/// What was counted of one channel.
#[derive(Debug, Default, Clone)]
pub(super) struct Channel {
    /// Calls that it served, or tried last.
    pub results: BTreeMap<CallResult, u64>,
    pub attempts: BTreeMap<OutcomeClass, u64>,
    pub tokens: TokenCounts,
    pub cost_micros: i64,
}

impl Channel {
    fn spend(&mut self, tokens: TokenCounts, cost_micros: i64) {
        let sum = &mut self.tokens;
        for (sum, count) in [
            (&mut sum.prompt, tokens.prompt),
            (&mut sum.completion, tokens.completion),
            (&mut sum.cached, tokens.cached),
            (&mut sum.reasoning, tokens.reasoning),
        ] {
            *sum = sum.saturating_add(count);
        }
        self.cost_micros = self.cost_micros.saturating_add(cost_micros);
    }

    fn add(&mut self, more: &Self) {
        for (result, count) in &more.results {
            *self.results.entry(*result).or_default() += count;
        }
        for (class, count) in &more.attempts {
            *self.attempts.entry(*class).or_default() += count;
        }
        self.spend(more.tokens, more.cost_micros);
    }
}

/// The bounds of histograms, in milliseconds.
const LONG_MS: &[u32] =
    &[100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];
const WAIT_MS: &[u32] = &[1, 10, 100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 120_000];
const SHORT_MS: &[u32] = &[1, 2, 5, 10, 25, 50, 100, 250, 1_000];

/// How often what took how long.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds_ms: &'static [u32],
    /// Not cumulative; the last one is of what is beyond all bounds.
    counts: Vec<u64>,
    sum_ms: u64,
}

impl Histogram {
    fn new(bounds_ms: &'static [u32]) -> Self {
        Self { bounds_ms, counts: vec![0; bounds_ms.len() + 1], sum_ms: 0 }
    }

    fn add(&mut self, ms: u32) {
        let place = self.bounds_ms.partition_point(|bound| *bound < ms);
        self.counts[place] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms.into());
    }

    /// Each bound with how many took at most as long; at the end all of them, without a bound.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<u32>, u64)> {
        let bounds = self.bounds_ms.iter().map(|bound| Some(*bound)).chain([None]);
        let mut sum = 0;
        bounds.zip(&self.counts).map(move |(bound, count)| {
            sum += count;
            (bound, sum)
        })
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }
}

impl Tally {
    /// Nothing counted yet, by a process that has `started` then.
    pub fn new(started: UnixMs) -> Self {
        let counted = Counted {
            requests: BTreeMap::new(),
            channels: BTreeMap::new(),
            labels: Labels::default(),
            past: BTreeMap::new(),
            first_token: Histogram::new(LONG_MS),
            total: Histogram::new(LONG_MS),
            queue: Histogram::new(WAIT_MS),
            overhead: Histogram::new(SHORT_MS),
        };
        Self { counted: Arc::new(Mutex::new(counted)), started }
    }

    /// When the process started.
    pub fn started(&self) -> UnixMs {
        self.started
    }

    /// Counts rows that have reached the database.
    pub fn count(&self, rows: &[UsageRecord]) {
        let mut counted = self.read();
        for row in rows {
            counted.add(row);
        }
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Gives labels to the channels that there are, and to those that are gone and of which something was counted.
    pub fn label(&mut self, names: &BTreeMap<ChannelId, String>) {
        for (id, name) in names {
            let before = self.labels.give(*id, Some(name));
            if let Some((label, counted)) = before.and_then(|label| Some((label, self.channels.remove(id)?)))
            {
                self.past.entry(label).or_default().add(&counted);
            }
        }
        for id in self.channels.keys() {
            if self.labels.of(*id).is_none() {
                self.labels.give(*id, None);
            }
        }
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// What was counted, by label.
    pub fn by_label(&self) -> BTreeMap<&str, Channel> {
        let mut sums: BTreeMap<&str, Channel> = BTreeMap::new();
        let now = self.channels.iter().filter_map(|(id, counted)| Some((self.labels.of(*id)?, counted)));
        for (label, counted) in now.chain(self.past.iter().map(|(label, counted)| (label.as_str(), counted)))
        {
            sums.entry(label).or_default().add(counted);
        }
        sums
    }

    fn add(&mut self, row: &UsageRecord) {
        *self.requests.entry((row.endpoint, row.result)).or_default() += 1;
        if let Some(id) = row.channel_id {
            let channel = self.channels.entry(id).or_default();
            *channel.results.entry(row.result).or_default() += 1;
            channel.spend(row.tokens, row.cost_micros.max(0));
        }
        let mut upstream_ms = 0_u32;
        for attempt in &row.attempts {
            upstream_ms = upstream_ms.saturating_add(attempt.duration_ms);
            let channel = self.channels.entry(attempt.channel_id).or_default();
            *channel.attempts.entry(attempt.class).or_default() += 1;
        }
        self.total.add(row.total_ms);
        self.queue.add(row.queue_ms);
        if let Some(ms) = row.first_token_ms {
            self.first_token.add(ms);
        }
        if !row.attempts.is_empty() {
            self.overhead.add(row.total_ms.saturating_sub(row.queue_ms).saturating_sub(upstream_ms));
        }
    }
}
