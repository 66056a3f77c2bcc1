//! Limits as a provider's preset or an operator declares them: an amount of something, in a window, for a scope.

use serde::{Deserialize, Serialize};

use super::{
    id::{ChannelId, KeyId},
    usage::Endpoint,
};

/// What is counted.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Calls.
    #[default]
    Requests,
    /// Prompt tokens.
    InputTokens,
    /// Prompt and completion tokens.
    Tokens,
    /// The provider's own unit (neurons, credits).
    Units,
    /// Calls at the same time.
    Concurrency,
}

/// A unit of the calendar.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// An hour of the clock.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
}

impl Period {
    /// The unit of the calendar at whose end a limit of this kind comes back, if there is one.
    pub fn unit(self) -> Option<CalendarUnit> {
        match self {
            Self::Concurrent | Self::Minute => None,
            Self::Hour => Some(CalendarUnit::Hour),
            Self::Day => Some(CalendarUnit::Day),
            Self::Month => Some(CalendarUnit::Month),
        }
    }
}

/// When an amount comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// So much within any span of this many milliseconds. Also right for fixed windows of unknown phase and for
    /// buckets that hold a whole window's amount: a log of sends that respects every window respects those too.
    Rolling {
        /// The span, in milliseconds.
        ms: u64,
    },
    /// So much per hour, day or month of the provider's calendar.
    Calendar {
        /// The unit.
        unit: CalendarUnit,
        /// IANA name of the provider's time zone, such as `America/Los_Angeles`.
        zone: String,
        /// Minutes after the unit's beginning at which the provider resets.
        offset_minutes: u16,
    },
    /// A bucket that fills with the limit's amount per `ms`.
    Bucket {
        /// In how many milliseconds the limit's amount flows in.
        ms: u64,
        /// How much it holds; `None` means the whole amount.
        burst: Option<u64>,
    },
    /// So much once, and nothing comes back.
    OneShot,
    /// So much at the same time; only for [`Metric::Concurrency`].
    AtOnce,
}

impl Window {
    /// A rolling minute.
    pub const MINUTE: Self = Self::Rolling { ms: 60_000 };

    /// The span in milliseconds, if it has one; months count 30 days.
    pub fn span_ms(&self) -> Option<u64> {
        match self {
            Self::Rolling { ms } | Self::Bucket { ms, .. } => Some(*ms),
            Self::Calendar { unit: CalendarUnit::Hour, .. } => Some(3_600_000),
            Self::Calendar { unit: CalendarUnit::Day, .. } => Some(86_400_000),
            Self::Calendar { unit: CalendarUnit::Month, .. } => Some(30 * 86_400_000),
            Self::OneShot | Self::AtOnce => None,
        }
    }

    /// Whether another window is of the same kind: what is allowed in as much time, at the same time, or once.
    pub fn is_like(&self, other: &Self) -> bool {
        let kind = |window: &Self| (window.span_ms(), *window == Self::AtOnce);
        kind(self) == kind(other)
    }

    /// Whether the amount comes back within an hour.
    pub fn is_short(&self) -> bool {
        self.span_ms().is_some_and(|ms| ms <= 3_600_000)
    }
}

/// Where a limit is known from, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// From refusals.
    Learned,
    /// From the provider's preset or the operator's form; refusals may teach that less is allowed.
    Declared,
    /// From an answer's headers.
    Header,
    /// From an error's body.
    ErrorBody,
    /// The operator insists: nothing learned changes it.
    Operator,
}

/// What a provider counts against a limit on tokens when it lets a call in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reservation {
    /// What is used in the end: prompt and completion.
    #[default]
    Used,
    /// The prompt alone.
    Input,
    /// The prompt and the most that the answer may take (`max_tokens`).
    InputAndMaxOutput,
}

/// For whom a rule makes a limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Each key.
    #[default]
    Key,
    /// Each owner of a quota: the key's group, or the key if it shares none.
    #[serde(rename = "group")]
    Owner,
    /// Each model on each key.
    KeyModel,
    /// Each model of each owner.
    #[serde(rename = "group_model")]
    OwnerModel,
    /// Each model, all keys together.
    Model,
    /// The whole channel.
    Channel,
}

/// Which upstream models are meant: patterns in which `*` stands for anything, such as `*:free`. None means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Models(pub Vec<String>);

impl Models {
    /// Whether a model is meant, whatever endpoint it is asked on: an endpoint in brackets after its name, as rests have
    /// it, makes no difference.
    pub fn fits(&self, model: &str) -> bool {
        let endpoint = |name: &str| Endpoint::from_name(name).is_some();
        let name = match model.strip_suffix(')').and_then(|name| name.rsplit_once(" (")) {
            Some((name, in_brackets)) if endpoint(in_brackets) => name,
            _ => model,
        };
        self.0.is_empty() || self.0.iter().any(|pattern| fits(pattern, name))
    }

    /// Whether every model is meant.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What kind of limit a refusal speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Calls at the same time.
    Concurrent,
    /// A minute or less.
    Minute,
    /// An hour.
    Hour,
    /// A day of the provider's.
    Day,
    /// A month.
    Month,
}

/// A limit as an operator declares it on a channel or on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Only these models.
    pub models: Models,
    /// For whom each; on a key only the key or each model on it.
    pub per: Per,
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// How much.
    pub max: u64,
    /// [`Source::Declared`], or [`Source::Operator`] if the operator insists.
    pub source: Source,
}

impl Limit {
    /// The rule that this makes on a channel, or on one key of it.
    pub fn rule(&self, channel: ChannelId, key: Option<KeyId>) -> Rule {
        let Self { models, per, metric, window, max, source } = self.clone();
        Rule { channel, key, models, per, metric, window, max, source }
    }
}

/// A limit as a preset, a channel's form or a key's form declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The channel.
    pub channel: ChannelId,
    /// Only this key of it; `None` means all.
    pub key: Option<KeyId>,
    /// Only these models.
    pub models: Models,
    /// For whom each.
    pub per: Per,
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// How much.
    pub max: u64,
    /// Where it is known from.
    pub source: Source,
}

/// What is wrong with a rule, named by its field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// `max` is zero: switch the key or the channel off instead.
    ZeroMax,
    /// `window.ms` is zero, or longer than 400 days.
    WindowLength,
    /// `window.burst` is zero, or more than `max`.
    Burst,
    /// `window.zone` is no IANA time zone.
    UnknownZone(String),
    /// `window.offset_minutes` is not within the unit.
    Offset,
    /// `metric` is concurrency, and `window` is not "at once", or the other way round.
    MetricAndWindow,
    /// `per` is wider than a key, but the rule is about one key.
    KeyAndPer,
    /// Another rule says the same of the same calls with another `max`.
    Contradiction {
        /// The place of the other rule.
        other: usize,
    },
}

impl Rule {
    /// Checks a rule by itself.
    pub fn check(&self) -> Result<(), Problem> {
        if self.max == 0 {
            return Err(Problem::ZeroMax);
        }
        if (self.metric == Metric::Concurrency) != (self.window == Window::AtOnce) {
            return Err(Problem::MetricAndWindow);
        }
        if self.key.is_some() && matches!(self.per, Per::Model | Per::Channel) {
            return Err(Problem::KeyAndPer);
        }
        match &self.window {
            Window::Rolling { ms } | Window::Bucket { ms, .. } if *ms == 0 || *ms > 400 * 86_400_000 => {
                Err(Problem::WindowLength)
            }
            Window::Bucket { burst: Some(burst), .. } if *burst == 0 || *burst > self.max => {
                Err(Problem::Burst)
            }
            Window::Calendar { zone, .. } if jiff::tz::TimeZone::get(zone).is_err() => {
                Err(Problem::UnknownZone(zone.clone()))
            }
            Window::Calendar { unit, offset_minutes, .. } => {
                let minutes = match unit {
                    CalendarUnit::Hour => 60,
                    CalendarUnit::Day | CalendarUnit::Month => 24 * 60,
                };
                if *offset_minutes < minutes { Ok(()) } else { Err(Problem::Offset) }
            }
            _ => Ok(()),
        }
    }

    /// Checks rules by themselves and against each other; gives the place of each bad one.
    pub fn check_all(rules: &[Self]) -> Vec<(usize, Problem)> {
        let mut problems = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            if let Err(problem) = rule.check() {
                problems.push((place, problem));
            } else if let Some(other) = rules[..place].iter().position(|other| {
                other.max != rule.max && Self { max: rule.max, source: rule.source, ..other.clone() } == *rule
            }) {
                problems.push((place, Problem::Contradiction { other }));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(metric: Metric, window: Window, max: u64) -> Rule {
        Rule {
            channel: ChannelId(1),
            key: None,
            models: Models::default(),
            per: Per::Key,
            metric,
            window,
            max,
            source: Source::Declared,
        }
    }

    #[test]
    fn impossible_limits_are_refused_with_the_field_named() {
        let day = |zone: &str, offset_minutes| Window::Calendar {
            unit: CalendarUnit::Day,
            zone: zone.to_owned(),
            offset_minutes,
        };
        for (rule, problem) in [
            (rule(Metric::Requests, Window::MINUTE, 0), Problem::ZeroMax),
            (rule(Metric::Requests, Window::Rolling { ms: 0 }, 1), Problem::WindowLength),
            (rule(Metric::Requests, Window::Bucket { ms: 60_000, burst: Some(50) }, 40), Problem::Burst),
            (rule(Metric::Requests, day("Mars/Base", 0), 40), Problem::UnknownZone("Mars/Base".into())),
            (rule(Metric::Requests, day("UTC", 1440), 40), Problem::Offset),
            (rule(Metric::Concurrency, Window::MINUTE, 4), Problem::MetricAndWindow),
            (rule(Metric::Requests, Window::AtOnce, 4), Problem::MetricAndWindow),
        ] {
            assert_eq!(rule.check(), Err(problem));
        }
        assert_eq!(rule(Metric::Requests, day("Asia/Shanghai", 5), 40).check(), Ok(()));
    }

    #[test]
    fn two_rules_that_contradict_each_other_are_refused() {
        let rules = [
            rule(Metric::Requests, Window::MINUTE, 40),
            rule(Metric::Tokens, Window::MINUTE, 8000),
            rule(Metric::Requests, Window::MINUTE, 30),
        ];
        assert_eq!(Rule::check_all(&rules), [(2, Problem::Contradiction { other: 0 })]);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("*", "x", true),
            ("*", "", true),
            ("*:free", "a/b:free", true),
            ("*:free", "a/b", false),
            ("gpt-*-mini", "gpt-5-mini", true),
            ("gpt-*-mini", "gpt-mini", false),
            ("gpt", "gpt", true),
            ("gpt", "gpt-5", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "ac", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
