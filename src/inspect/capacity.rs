//! What the pool can do per minute and per day.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    dispatch::{Dispatch, Stage},
    model::{
        catalog::{Catalog, PublicModel, Route},
        id::{ChannelId, KeyId},
        key::Key,
        limit::Window,
        time::UnixMs,
        usage::Endpoint,
    },
    scheduler::{
        limit::{Cost, LimitScope},
        pool::Outlook,
    },
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
    let routes = routes_of_channels(catalog);
    routes.into_iter().map(|(id, routes)| (id, of_routes(dispatch, routes, cost))).collect()
}

/// What is short, by keys: of those that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shortages {
    /// Keys of which nobody knows what they can do, as [`Outlook::unknown`] counts them.
    pub unknown: BTreeSet<KeyId>,
    /// Keys that have nothing left of a limit for all of their models that takes more than an hour to come back, and when
    /// something does, as a time of day, if that is known.
    pub used_up: BTreeMap<KeyId, Option<UnixMs>>,
}

/// Which keys have no known limits, and which have used up a long one; the lock is held for one channel at a time.
pub fn shortages(catalog: &Catalog, dispatch: &Dispatch, cost: Cost) -> Shortages {
    let mut found = Shortages::default();
    for (id, routes) in routes_of_channels(catalog) {
        let Some(entry) = catalog.channel(id) else { continue };
        let now = dispatch.now();
        let mut pool = dispatch.lock();
        let plan = pool.plan(&[Stage { routes, spill_ms: None }], Endpoint::Chat);
        found.unknown.extend(pool.keys_without_limits(&plan, cost, now));
        for (scope, reading) in pool.readings_of_channel(id, None, now) {
            let is_long = !reading.window.is_short() && reading.window != Window::AtOnce;
            if !is_long || reading.used < reading.max {
                continue;
            }
            let holds_for = |key: &&Arc<Key>| match &scope {
                LimitScope::Key(id) => key.id == *id,
                LimitScope::Group(_, group) => key.quota_group.as_ref() == Some(group),
                LimitScope::Channel(_) => true,
                _ => false,
            };
            for key in entry.keys.iter().filter(|key| key.enabled).filter(holds_for) {
                // The last of several limits to come back is the one that counts; one that never does above all.
                let until = found.used_up.entry(key.id).or_insert(reading.resets_at);
                *until = until.zip(reading.resets_at).map(|(one, other)| one.max(other));
            }
        }
    }
    found
}

/// The models of each channel, once for each name there; channels that serve none are left out.
fn routes_of_channels(catalog: &Catalog) -> BTreeMap<ChannelId, Vec<&Route>> {
    let mut of_channel: BTreeMap<ChannelId, Vec<&Route>> = BTreeMap::new();
    let mut seen = HashSet::new();
    for route in catalog.models().flat_map(|model| &model.routes) {
        let id = route.channel.channel.id;
        if seen.insert((id, &route.upstream_model)) {
            of_channel.entry(id).or_default().push(route);
        }
    }
    of_channel
}

fn of_routes(dispatch: &Dispatch, routes: Vec<&Route>, cost: Cost) -> Outlook {
    let now = dispatch.now();
    let mut pool = dispatch.lock();
    let plan = pool.plan(&[Stage { routes, spill_ms: None }], Endpoint::Chat);
    pool.outlook(&plan, cost, now)
}
