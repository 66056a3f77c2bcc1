//! What providers say of their limits, in the pool's words.

use std::sync::Arc;

use super::{Dispatch, declare::per_of};
use crate::{
    model::id::{ChannelId, KeyId},
    provider::{CounterReading, ObservedLimit},
    scheduler::{
        now::Now,
        pool::{Pool, Taken, Told},
    },
};

/// What is said of a limit without a window that is used up, for operators.
const USED_UP: &str = "the headers of an answer say that nothing is left until then";

/// Takes over what the headers of an answer say. A refusal says itself for how long what rests; of other answers, nothing
/// left is a reason to wait even if nobody knows of which window.
pub(super) fn observed(pool: &mut Pool, taken: &Taken, accepted: bool, observed: &[ObservedLimit], now: Now) {
    for limit in observed {
        if let Some(told) = told(limit) {
            pool.told(taken, &told, now);
        } else if let (true, Some(0), Some(reset), Some(per)) =
            (accepted, limit.remaining, limit.reset, per_of(limit.scope))
        {
            pool.used_up(taken, per, now.to_steady(reset), USED_UP.to_owned(), now);
        }
    }
}

/// A limit whose window is known.
fn told(limit: &ObservedLimit) -> Option<Told> {
    Some(Told {
        per: per_of(limit.scope)?,
        metric: limit.metric,
        window: limit.window.clone()?,
        allowed: limit.max,
        left: limit.remaining,
    })
}

impl Dispatch {
    /// Takes over what a provider's own counter says of a key: its plan, and what is left of limits.
    pub fn counted(&self, channel: ChannelId, key: KeyId, reading: &CounterReading) {
        let mut state = self.0.state();
        if let Some(plan) = &reading.plan
            && state.key_plans.get(&key) != Some(plan)
        {
            state.key_plans.insert(key, plan.clone());
            self.0.redeclare(&mut state);
        }
        let Some((catalog, _)) = state.catalog.clone() else { return };
        let Some(entry) = catalog.channel(channel) else { return };
        let models: Vec<Arc<str>> = super::declare::upstream_models(&catalog, entry);
        let now = self.now();
        let pool = state.desk.pool_mut();
        for (limit, of_models) in &reading.limits {
            // Any model will do: a limit that several share hangs on what they have in common.
            let mut meant = models.iter().filter(|model| of_models.fits(model));
            let stem = meant.find_map(|model| pool.find_stem(channel, model));
            if let (Some(stem), Some(told)) = (stem, told(limit)) {
                pool.told_of(stem, key, of_models, &told, now);
            }
        }
        self.0.serve(&mut state);
    }
}
