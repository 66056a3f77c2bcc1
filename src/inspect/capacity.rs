//! What the pool can do per minute and per day.

use std::collections::{BTreeMap, HashSet};

use crate::{
    dispatch::{Dispatch, Stage},
    model::{
        catalog::{Catalog, PublicModel, Route},
        id::ChannelId,
        usage::Endpoint,
    },
    scheduler::{limit::Cost, pool::Outlook},
};

/// What a public model can do with calls of this cost. Models of one key share its limits, so the figures of several do not
/// add up.
pub fn of_model(dispatch: &Dispatch, model: &PublicModel, cost: Cost) -> Outlook {
    of_routes(dispatch, model.routes.iter().collect(), cost)
}

/// What all models can do together.
pub fn of_pool(catalog: &Catalog, dispatch: &Dispatch, cost: Cost) -> Outlook {
    let mut all = Outlook::default();
    for one in of_channels(catalog, dispatch, cost).into_values() {
        all.keys += one.keys;
        all.owners += one.owners;
        all.resting += one.resting;
        all.unknown += one.unknown;
        let (sum, calls) = (&mut all.calls, one.calls);
        sum.per_minute = sum.per_minute.saturating_add(calls.per_minute);
        sum.per_day = sum.per_day.saturating_add(calls.per_day);
        sum.next_minute = sum.next_minute.saturating_add(calls.next_minute);
        sum.next_day = sum.next_day.saturating_add(calls.next_day);
    }
    all
}

/// What all models of each channel can do together; channels that serve none are left out. Limits never reach over channels,
/// so the lock is held for one channel at a time.
pub fn of_channels(catalog: &Catalog, dispatch: &Dispatch, cost: Cost) -> BTreeMap<ChannelId, Outlook> {
    let mut of_channel: BTreeMap<ChannelId, Vec<&Route>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for route in catalog.models().flat_map(|model| &model.routes) {
        let id = route.channel.channel.id;
        if seen.insert((id, &route.upstream_model)) {
            of_channel.entry(id).or_default().push(route);
        }
    }
    of_channel.into_iter().map(|(id, routes)| (id, of_routes(dispatch, routes, cost))).collect()
}

fn of_routes(dispatch: &Dispatch, routes: Vec<&Route>, cost: Cost) -> Outlook {
    let now = dispatch.now();
    let mut pool = dispatch.lock();
    let plan = pool.plan(&[Stage { routes, spill_ms: None }], Endpoint::Chat);
    pool.outlook(&plan, cost, now)
}
