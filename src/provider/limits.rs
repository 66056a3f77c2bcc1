//! What a provider allows a model.

use super::{
    Provider,
    calendar::Calendar,
    data::{Confidence, LimitData, Plan, Scope, WindowData},
};
use crate::model::limit::{CalendarUnit, Metric, Models, Window};

/// The window of a file on a provider's calendar; `None` if it needs a calendar and there is none.
pub(super) fn resolve(data: &WindowData, calendar: Option<&Calendar>) -> Option<Window> {
    Some(match data {
        WindowData::Rolling(span) => Window::Rolling { ms: span.0 },
        WindowData::Calendar(unit) => {
            let calendar = calendar?;
            Window::Calendar {
                unit: *unit,
                zone: calendar.zone_name.clone(),
                offset_minutes: match unit {
                    CalendarUnit::Hour => 0,
                    CalendarUnit::Day | CalendarUnit::Month => calendar.offset_minutes,
                },
            }
        }
        WindowData::Bucket(bucket) => Window::Bucket { ms: bucket.per.0, burst: bucket.burst },
        WindowData::OneShot => Window::OneShot,
        WindowData::AtOnce => Window::AtOnce,
    })
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
    /// The models that it counts together or each, all or some.
    pub models: Models,
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
        let plan = self.plan_or_usual(plan);
        let mut found = Vec::<DeclaredLimit>::new();
        for data in self.limits.iter().filter(|limit| holds(limit, model, plan)) {
            let Some(window) = resolve(&data.window, self.calendar.as_ref()) else { continue };
            let taken = |limit: &DeclaredLimit| {
                limit.metric == data.metric && limit.scope == data.scope && limit.window == window
            };
            if !found.iter().any(taken) {
                found.push(declared(data, window));
            }
        }
        found
    }
}

impl Provider {
    /// Every limit on a plan (`None`: the usual one), in the order of the data.
    pub fn limits_on(&self, plan: Option<&str>) -> Vec<DeclaredLimit> {
        let plan = self.plan_or_usual(plan);
        let on_plan = self.limits.iter().filter(|data| data.plan.is_none() || data.plan.as_deref() == plan);
        on_plan
            .filter_map(|data| Some(declared(data, resolve(&data.window, self.calendar.as_ref())?)))
            .collect()
    }

    fn plan_or_usual<'a>(&'a self, plan: Option<&'a str>) -> Option<&'a str> {
        plan.or_else(|| self.plans.first().map(|plan| plan.id.as_str()))
    }

    /// The plan of an id.
    pub fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// The window of a unit of its calendar, if it is known when its days begin.
    pub fn calendar_window(&self, unit: CalendarUnit) -> Option<Window> {
        resolve(&WindowData::Calendar(unit), self.calendar.as_ref())
    }
}

impl Provider {
    /// How many of its units a call of a model takes; 0 if it counts none, or if that is known only afterwards.
    pub fn units_per_call(&self, model: &str, plan: Option<&str>) -> u64 {
        let limits = self.limits_for(model, plan).into_iter().filter(DeclaredLimit::is_binding);
        limits.filter_map(|limit| limit.per_call).max().unwrap_or(0)
    }
}

fn declared(data: &LimitData, window: Window) -> DeclaredLimit {
    DeclaredLimit {
        metric: data.metric,
        window,
        scope: data.scope,
        models: data.models.clone(),
        max: data.max,
        per_call: data.per_call,
        confidence: data.confidence,
        source: data.source.clone(),
    }
}

fn holds(limit: &LimitData, model: &str, plan: Option<&str>) -> bool {
    limit.models.fits(model) && (limit.plan.is_none() || limit.plan.as_deref() == plan)
}
