//! What a provider allows a model.

use super::{
    Provider,
    calendar::Calendar,
    data::{CalendarUnit, Confidence, LimitData, Metric, Scope, WindowData},
    text::fits,
};

/// When an amount comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Window {
    /// So much within any span of this many milliseconds.
    Rolling {
        /// The span, in milliseconds.
        ms: u64,
    },
    /// So much per unit of the provider's calendar.
    Calendar {
        /// The unit.
        unit: CalendarUnit,
        /// IANA name of the provider's time zone.
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
    /// So much once.
    OneShot,
    /// So much at the same time.
    AtOnce,
}

impl Window {
    /// The window of a file on a provider's calendar; `None` if it needs a calendar and there is none.
    pub(super) fn resolve(data: &WindowData, calendar: Option<&Calendar>) -> Option<Self> {
        Some(match data {
            WindowData::Rolling(span) => Self::Rolling { ms: span.0 },
            WindowData::Calendar(unit) => {
                let calendar = calendar?;
                Self::Calendar {
                    unit: *unit,
                    zone: calendar.zone_name.clone(),
                    offset_minutes: match unit {
                        CalendarUnit::Hour => 0,
                        CalendarUnit::Day | CalendarUnit::Month => calendar.offset_minutes,
                    },
                }
            }
            WindowData::Bucket(bucket) => Self::Bucket { ms: bucket.per.0, burst: bucket.burst },
            WindowData::OneShot => Self::OneShot,
            WindowData::AtOnce => Self::AtOnce,
        })
    }

    /// The longest span in milliseconds after which all is back, if it comes back; months count 31 days.
    pub fn span_ms(&self) -> Option<u64> {
        match self {
            Self::Rolling { ms } | Self::Bucket { ms, .. } => Some(*ms),
            Self::Calendar { unit: CalendarUnit::Hour, .. } => Some(3_600_000),
            Self::Calendar { unit: CalendarUnit::Day, .. } => Some(25 * 3_600_000),
            Self::Calendar { unit: CalendarUnit::Month, .. } => Some(31 * 86_400_000 + 3_600_000),
            Self::OneShot | Self::AtOnce => None,
        }
    }
}

/// A limit that the data declares for a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredLimit {
    /// What is counted.
    pub metric: Metric,
    /// When it comes back.
    pub window: Window,
    /// For whom each.
    pub scope: Scope,
    /// The models that it counts together or each, as patterns in which `*` stands for anything; none means all.
    pub models: Vec<String>,
    /// How much; `None` if only its existence is known, so that it must be learned.
    pub max: Option<u64>,
    /// How many units a call takes, if the metric is units and the provider says.
    pub per_call: Option<u64>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Who says so, if one of the provider's sources alone does.
    pub source: Option<String>,
}

impl DeclaredLimit {
    /// Whether calls should be held back for it: it has an amount, and more than one report says so.
    pub fn is_binding(&self) -> bool {
        self.max.is_some() && self.confidence > Confidence::Low
    }
}

impl Provider {
    /// What is allowed for an upstream model on a plan (`None`: the provider's usual one). Of limits on the same
    /// metric, window and scope, the first one in the data that fits.
    pub fn limits_for(&self, model: &str, plan: Option<&str>) -> Vec<DeclaredLimit> {
        let plan = plan.or_else(|| self.plans.first().map(|plan| plan.id.as_str()));
        let mut found = Vec::<DeclaredLimit>::new();
        for data in self.limits.iter().filter(|limit| holds(limit, model, plan)) {
            let Some(window) = Window::resolve(&data.window, self.calendar.as_ref()) else { continue };
            let taken = |limit: &DeclaredLimit| {
                limit.metric == data.metric && limit.scope == data.scope && limit.window == window
            };
            if !found.iter().any(taken) {
                found.push(DeclaredLimit {
                    metric: data.metric,
                    window,
                    scope: data.scope,
                    models: data.models.clone(),
                    max: data.max,
                    per_call: data.per_call,
                    confidence: data.confidence,
                    source: data.source.clone(),
                });
            }
        }
        found
    }
}

/// Whether a model is among those that patterns name, in which `*` stands for anything; no pattern means all models.
pub fn is_among(patterns: &[String], model: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| fits(pattern, model))
}

fn holds(limit: &LimitData, model: &str, plan: Option<&str>) -> bool {
    is_among(&limit.models, model) && (limit.plan.is_none() || limit.plan.as_deref() == plan)
}
