//! What the explorer shows of sums: one number per line and per step.

use serde::{Deserialize, Serialize};

use crate::{
    i18n::Messages,
    model::token::named_enum,
    storage::{
        rollups::Histogram,
        usage_query::report::{Measure, OrderBy, Sums},
    },
    web::format::{NOTHING, approximate, duration, exact_money, money, number, plain_money, short_count},
};

/// One of the distributions of sums.
type HistogramOf = fn(&Sums) -> &Histogram;

named_enum! {
    /// A number that sums are looked at by.
    #[schema(as = UsageMetric)]
    Metric {
        /// All calls.
        Requests = "requests",
        /// Calls that were not answered completely.
        Errors = "errors",
        /// Prompt and completion tokens.
        Tokens = "tokens",
        /// Prompt tokens, cached ones included.
        Prompt = "prompt_tokens",
        /// Completion tokens, reasoning included.
        Completion = "completion_tokens",
        /// Prompt tokens that the upstream had cached.
        Cached = "cached_tokens",
        /// Completion tokens spent on reasoning.
        Reasoning = "reasoning_tokens",
        /// Cost.
        Cost = "cost",
        /// The median time to the first content.
        FirstP50 = "first_token_p50",
        /// The time to the first content that 95 of 100 calls did not exceed.
        FirstP95 = "first_token_p95",
        /// The time to the first content that 99 of 100 calls did not exceed.
        FirstP99 = "first_token_p99",
        /// The median time to the end.
        TotalP50 = "total_p50",
        /// The time to the end that 95 of 100 calls did not exceed.
        TotalP95 = "total_p95",
        /// The time to the end that 99 of 100 calls did not exceed.
        TotalP99 = "total_p99",
        /// The median time spent waiting in line.
        QueueP50 = "queue_p50",
        /// The time spent waiting in line that 95 of 100 calls did not exceed.
        QueueP95 = "queue_p95",
        /// The time spent waiting in line that 99 of 100 calls did not exceed.
        QueueP99 = "queue_p99",
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Micro-dollars.
    Micros,
    /// Milliseconds.
    Ms,
}

/// Metrics that belong together: the explorer offers the first level as families, the second as their metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family(&'static [Metric]);

impl Family {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self(&[Metric::Requests]),
        Self(&[Metric::Errors]),
        Self(&[Metric::Tokens, Metric::Prompt, Metric::Completion, Metric::Cached, Metric::Reasoning]),
        Self(&[Metric::Cost]),
        Self(&[Metric::FirstP50, Metric::FirstP95, Metric::FirstP99]),
        Self(&[Metric::TotalP50, Metric::TotalP95, Metric::TotalP99]),
        Self(&[Metric::QueueP50, Metric::QueueP95, Metric::QueueP99]),
    ];

    /// The family of a metric.
    pub fn of(metric: Metric) -> Self {
        Self::ALL.into_iter().find(|family| family.0.contains(&metric)).unwrap_or(Self::ALL[0])
    }

    /// Its metrics.
    pub fn metrics(self) -> &'static [Metric] {
        self.0
    }

    /// The metric to begin with: of percentiles the 95th.
    pub fn usual(self) -> Metric {
        let first = self.0[0];
        if first.adds_up() { first } else { self.0[1] }
    }

    /// What it is called.
    pub fn label(self, t: Messages) -> &'static str {
        match self.0[0] {
            Metric::FirstP50 => t.usage.metric_first(),
            Metric::TotalP50 => t.usage.metric_total(),
            Metric::QueueP50 => t.usage.metric_queue(),
            first => first.label(t),
        }
    }
}

impl Metric {
    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Cost => Unit::Micros,
            _ if self.adds_up() => Unit::Count,
            _ => Unit::Ms,
        }
    }

    /// Whether numbers of groups add up to that of all calls; percentiles do not.
    pub fn adds_up(self) -> bool {
        self.percentile().is_none()
    }

    /// By what the groups are chosen that are kept apart.
    pub fn order(self) -> OrderBy {
        match self {
            Self::Errors => OrderBy::Failed,
            Self::Tokens => OrderBy::Tokens,
            Self::Prompt => OrderBy::Prompt,
            Self::Completion => OrderBy::Completion,
            Self::Cached => OrderBy::Cached,
            Self::Reasoning => OrderBy::Reasoning,
            Self::Cost => OrderBy::Cost,
            _ => OrderBy::Requests,
        }
    }

    /// What its time series needs.
    pub fn measure(self) -> Measure {
        match self {
            Self::FirstP50 | Self::FirstP95 | Self::FirstP99 => Measure::FirstToken,
            Self::TotalP50 | Self::TotalP95 | Self::TotalP99 => Measure::Total,
            Self::QueueP50 | Self::QueueP95 | Self::QueueP99 => Measure::Queue,
            _ => Measure::Sum(self.order()),
        }
    }

    fn percentile(self) -> Option<(HistogramOf, f64)> {
        Some(match self {
            Self::FirstP50 => (|sums| &sums.first_token, 0.5),
            Self::FirstP95 => (|sums| &sums.first_token, 0.95),
            Self::FirstP99 => (|sums| &sums.first_token, 0.99),
            Self::TotalP50 => (|sums| &sums.total, 0.5),
            Self::TotalP95 => (|sums| &sums.total, 0.95),
            Self::TotalP99 => (|sums| &sums.total, 0.99),
            Self::QueueP50 => (|sums| &sums.queue, 0.5),
            Self::QueueP95 => (|sums| &sums.queue, 0.95),
            Self::QueueP99 => (|sums| &sums.queue, 0.99),
            _ => return None,
        })
    }

    /// The number in its unit; `None` if no call has one.
    pub fn value(self, sums: &Sums) -> Option<i64> {
        if let Some((histogram, share)) = self.percentile() {
            return histogram(sums).quantile(share).map(i64::from);
        }
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Some(match self {
            Self::Errors => sums.failed(),
            Self::Tokens => count(sums.tokens.total()),
            Self::Prompt => count(sums.tokens.prompt),
            Self::Completion => count(sums.tokens.completion),
            Self::Cached => count(sums.tokens.cached),
            Self::Reasoning => count(sums.tokens.reasoning),
            Self::Cost => sums.cost_micros,
            _ => sums.requests,
        })
    }

    /// Whether a part of the number is our estimate.
    pub fn estimated(self, sums: &Sums) -> bool {
        let counted = matches!(self, Self::Requests | Self::Errors) || !self.adds_up();
        !counted && sums.estimated > 0
    }

    /// What it is called.
    pub fn label(self, t: Messages) -> &'static str {
        let u = t.usage;
        match self {
            Self::Requests => u.requests(),
            Self::Errors => u.errors(),
            Self::Tokens => u.tokens(),
            Self::Prompt => u.metric_prompt(),
            Self::Completion => u.metric_completion(),
            Self::Cached => u.metric_cached(),
            Self::Reasoning => u.metric_reasoning(),
            Self::Cost => u.cost(),
            Self::FirstP50 => u.metric_first_p50(),
            Self::FirstP95 => u.metric_first_p95(),
            Self::FirstP99 => u.metric_first_p99(),
            Self::TotalP50 => u.metric_total_p50(),
            Self::TotalP95 => u.metric_total_p95(),
            Self::TotalP99 => u.metric_total_p99(),
            Self::QueueP50 => u.metric_queue_p50(),
            Self::QueueP95 => u.metric_queue_p95(),
            Self::QueueP99 => u.metric_queue_p99(),
        }
    }

    /// What it is called beside its family's name.
    pub fn short_label(self, t: Messages) -> &'static str {
        match self {
            Self::Tokens => t.usage.all_kinds(),
            Self::Prompt => t.usage.prompt(),
            Self::Completion => t.usage.completion(),
            Self::Cached => t.usage.cached(),
            Self::Reasoning => t.usage.reasoning(),
            Self::FirstP50 | Self::TotalP50 | Self::QueueP50 => "p50",
            Self::FirstP95 | Self::TotalP95 | Self::QueueP95 => "p95",
            Self::FirstP99 | Self::TotalP99 | Self::QueueP99 => "p99",
            other => other.label(t),
        }
    }

    /// A number for people, shortened.
    pub fn short(self, t: Messages, value: i64) -> String {
        match self.unit() {
            Unit::Count => short_count(value.max(0).unsigned_abs()),
            Unit::Micros => money(value),
            Unit::Ms => duration(t, u32::try_from(value.max(0)).unwrap_or(u32::MAX)),
        }
    }

    /// A number for people, with every digit.
    pub fn exact(self, t: Messages, value: i64) -> String {
        match self.unit() {
            Unit::Count => number(value),
            Unit::Micros => exact_money(value),
            Unit::Ms => self.short(t, value),
        }
    }

    /// The number of sums for people, shortened; "≈" before an estimate, a dash of nothing.
    pub fn text(self, t: Messages, sums: &Sums) -> String {
        self.value(sums).map_or_else(
            || NOTHING.to_owned(),
            |value| approximate(self.short(t, value), self.estimated(sums)),
        )
    }

    /// The same with every digit.
    pub fn exact_text(self, t: Messages, sums: &Sums) -> String {
        self.value(sums).map_or_else(
            || NOTHING.to_owned(),
            |value| approximate(self.exact(t, value), self.estimated(sums)),
        )
    }

    /// The number of sums for programs: a count, dollars or milliseconds; empty of nothing.
    pub fn plain(self, sums: &Sums) -> String {
        match (self.value(sums), self.unit()) {
            (None, _) => String::new(),
            (Some(value), Unit::Micros) => plain_money(value),
            (Some(value), _) => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{i18n::Lang, model::usage::TokenCounts};

    #[test]
    fn every_metric_has_a_family_a_number_and_a_name() {
        let mut sums = Sums {
            requests: 10,
            ok: 7,
            estimated: 1,
            tokens: TokenCounts { prompt: 20_000, completion: 300, cached: 40, reasoning: 5 },
            cost_micros: 1_500_000,
            ..Sums::default()
        };
        sums.first_token.add(100);
        let t = Messages::of(Lang::En);
        let mut names = std::collections::BTreeSet::new();
        for metric in Metric::ALL.iter().copied() {
            assert!(Family::of(metric).metrics().contains(&metric), "{metric}");
            assert!(names.insert(metric.label(t)), "{metric}");
            assert_eq!(metric.value(&sums).is_none(), metric.text(t, &sums) == NOTHING, "{metric}");
            assert_eq!(metric.estimated(&sums), metric.text(t, &sums).starts_with('≈'), "{metric}");
        }
        assert_eq!(Metric::Errors.value(&sums), Some(3));
        assert_eq!(Metric::Tokens.text(t, &sums), "≈ 20.3 K");
        assert_eq!(Metric::Tokens.exact_text(t, &sums), "≈ 20,300");
        assert_eq!(Metric::Cost.plain(&sums), "1.500000");
        assert_eq!(Metric::FirstP95.plain(&sums), "100");
        assert_eq!(Metric::QueueP95.plain(&sums), "");
        assert_eq!(Family::ALL.map(Family::usual)[4], Metric::FirstP95);
    }
}
