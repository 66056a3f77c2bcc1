//! What stands out in a simulation, and what to do about it.

use super::{Forecast, part, per_cent};
use crate::{i18n::Messages, web::format::count};

/// From which share of all calls on something stands out.
const NOTABLE: f64 = 0.01;
/// So many refusals of a provider happen also to those who know its limits.
const FEW_REFUSALS: u64 = 2;
/// Below which share of the quota the demand is small.
const SMALL: f64 = 0.5;

/// Something that stands out.
#[derive(Debug, PartialEq)]
pub enum Advice {
    /// More is asked for than the providers allow.
    Demand {
        /// By which share of the quota; `None` if there is no quota left at all.
        over: Option<f64>,
        /// The share of the calls that cannot be served.
        unserved: f64,
        /// The one model for which it is so, if the quota would do otherwise.
        model: Option<String>,
    },
    /// Calls are refused for limits though the quota would do on average.
    Bursts {
        /// The share of the calls.
        share: f64,
    },
    /// A provider's limits are learned by its refusals.
    Declare {
        /// The channel.
        channel: String,
        /// The refusals.
        refusals: u64,
    },
    /// More is declared than the provider allows.
    Correct {
        /// The channel.
        channel: String,
        /// The refusals.
        refusals: u64,
    },
    /// Calls found nobody who could serve them.
    Faults {
        /// The calls.
        calls: u64,
    },
    /// There is much more quota than demand.
    Spare {
        /// The demand's share of the quota.
        share: f64,
    },
}

impl Advice {
    /// Everything that stands out, the most important first.
    pub fn of(forecast: &Forecast) -> Vec<Self> {
        let report = &forecast.report;
        let mut all = Vec::new();
        let demand = Self::of_demand(forecast);
        let unserved = match &demand {
            Some(Self::Demand { unserved, .. }) => *unserved,
            _ => 0.0,
        };
        all.extend(demand);
        let for_limits = part(report.reasons.limits, report.calls);
        if unserved == 0.0 && for_limits >= NOTABLE && forecast.demand_per_minute().is_some() {
            all.push(Self::Bursts { share: for_limits });
        }
        for (channel, refusals) in forecast.file.channels.iter().zip(&report.limited_by_provider) {
            let (name, refusals) = (channel.name.clone(), *refusals);
            if refusals <= FEW_REFUSALS {
                continue;
            }
            if channel.limits.iter().any(|limit| limit.declared.is_some_and(|declared| declared > limit.max))
            {
                all.push(Self::Correct { channel: name, refusals });
            } else if channel.limits.iter().any(|limit| limit.declared == Some(0)) {
                all.push(Self::Declare { channel: name, refusals });
            }
        }
        let reasons = &report.reasons;
        let stranded = reasons.resting + reasons.tried + reasons.nobody;
        if stranded > 0 {
            all.push(Self::Faults { calls: stranded });
        }
        if let (Some(demand), Some(quota), false) =
            (forecast.demand_per_minute(), forecast.quota_per_minute(), forecast.has_agents())
            && all.is_empty()
            && demand < SMALL * quota
        {
            all.push(Self::Spare { share: demand / quota });
        }
        all
    }

    /// The calls that come in any case, against what the providers allow in the long run.
    fn of_demand(forecast: &Forecast) -> Option<Self> {
        let demand = forecast.demand_per_minute()?;
        let quota = forecast.quota_per_minute();
        let over = |demand: f64, quota: f64| (quota > 0.0).then(|| demand / quota - 1.0);
        let lacking = quota.map_or(0.0, |quota| (demand - quota).max(0.0));
        // A model may lack quota while others have plenty.
        let mut models = Vec::new();
        for (model, allowed) in forecast.scenario.models().iter().zip(&forecast.report.allowed_by_model) {
            let of_model =
                forecast.file.tokens.iter().zip(&forecast.scenario.clients).filter_map(|(token, client)| {
                    (client.model == *model).then(|| token.demand_per_minute()).flatten()
                });
            let of_model: f64 = of_model.sum();
            if let Some(quota) = allowed.map(|allowed| forecast.per_minute(allowed)) {
                models.push((((of_model - quota).max(0.0)), over(of_model, quota), (*model).to_owned()));
            }
        }
        let lacking_by_model: f64 = models.iter().map(|(lacking, ..)| lacking).sum();
        let worst = models.into_iter().max_by(|one, other| one.0.total_cmp(&other.0));
        let unserved = lacking.max(lacking_by_model) / demand;
        if unserved < NOTABLE {
            return None;
        }
        match (quota, worst) {
            (Some(quota), _) if lacking >= lacking_by_model => {
                Some(Self::Demand { over: over(demand, quota), unserved, model: None })
            }
            (_, Some((_, over, model))) => Some(Self::Demand { over, unserved, model: Some(model) }),
            _ => None,
        }
    }

    /// The name that programs know it by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Demand { .. } => "demand_exceeds_quota",
            Self::Bursts { .. } => "bursts_exceed_windows",
            Self::Declare { .. } => "limits_not_declared",
            Self::Correct { .. } => "limits_declared_too_high",
            Self::Faults { .. } => "nobody_could_serve",
            Self::Spare { .. } => "quota_to_spare",
        }
    }

    /// One sentence for people.
    pub fn text(&self, m: Messages) -> String {
        let t = m.simulate;
        match self {
            Self::Demand { over: None, unserved, .. } => t.advise_used_up(&per_cent(*unserved)),
            Self::Demand { over: Some(over), unserved, model: None } => {
                t.advise_demand(&per_cent(*over), &per_cent(*unserved))
            }
            Self::Demand { over: Some(over), unserved, model: Some(model) } => {
                t.advise_model(model, &per_cent(*over), &per_cent(*unserved))
            }
            Self::Bursts { share } => t.advise_bursts(&per_cent(*share)),
            Self::Declare { channel, refusals } => t.advise_declare(channel, &count(*refusals)),
            Self::Correct { channel, refusals } => t.advise_correct(channel, &count(*refusals)),
            Self::Faults { calls } => t.advise_faults(&count(*calls)),
            Self::Spare { share } => t.advise_spare(&per_cent(*share)),
        }
    }
}
