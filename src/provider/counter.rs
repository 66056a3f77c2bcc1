//! Pages on which a provider tells a key what it has used.

use std::time::Duration;

use super::{Fields, ObservedLimit, Provider, limits::resolve, observe::plausible, text::count};
use crate::model::limit::Models;

/// What such a page says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterReading {
    /// The id of the key's plan, if it shows.
    pub plan: Option<String>,
    /// What is left of limits, each with the models that it is about.
    pub limits: Vec<(ObservedLimit, Models)>,
}

impl Provider {
    /// The page's path below the base URL, and how often it may be asked for; nothing, if the provider has none.
    pub fn counter(&self) -> Option<(&str, Duration)> {
        let counter = self.counter.as_ref()?;
        Some((&counter.path, Duration::from_millis(counter.every.0)))
    }

    /// Reads the page. What is missing or cannot be meant is left out.
    pub fn read_counter(&self, page: &Fields) -> CounterReading {
        let Some(counter) = &self.counter else { return CounterReading::default() };
        let plan = counter.plans.iter().find(|hint| {
            page.all(&hint.field).any(|value| hint.is.iter().any(|meant| meant.eq_ignore_ascii_case(value)))
        });
        let amount = |field: &Option<String>| page.all(field.as_deref()?).find_map(count);
        let limits = counter.limits.iter().filter_map(|limit| {
            let max = amount(&limit.max).and_then(|max| plausible(limit.metric, max));
            let remaining = amount(&limit.remaining).map(|left| max.map_or(left, |max| left.min(max)));
            let observed = ObservedLimit {
                metric: limit.metric,
                window: Some(resolve(&limit.window, self.calendar.as_ref())?),
                scope: limit.scope,
                max,
                remaining: remaining.filter(|left| *left == 0 || plausible(limit.metric, *left).is_some()),
                reset: None,
            };
            let says = observed.max.is_some() || observed.remaining.is_some();
            says.then(|| (observed, limit.models.clone()))
        });
        CounterReading { plan: plan.map(|hint| hint.plan.clone()), limits: limits.collect() }
    }
}
