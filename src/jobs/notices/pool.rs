//! What the pool can do no more: channels that take no calls, limits and the whole pool nearly used up, chains that nobody
//! serves, backups that fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Parts,
    facts::{CHANNEL_DOWN, Fact, Held},
    keys::shown,
};
use crate::{
    dispatch::Stage,
    inspect,
    model::{
        catalog::{Catalog, Route},
        chain::Chain,
        endpoint::Endpoint,
        id::{ChannelId, KeyId},
        limit::Metric,
        notice::{Event, EventKind, Occurrence, Place},
        time::UnixMs,
        usage::{CallResult, OutcomeClass},
    },
    scheduler::{
        gauge::Reading,
        limit::{Cost, LimitScope},
        pool::Left,
        rest::Scope,
    },
    storage::{
        Db, StorageResult,
        notice_queue::KnownFact,
        usage_query::{ResultFilter, UsageFilter, rows::Place as Page},
    },
};

/// A limit that was told of is told again only once it was this much below the level, in percent: a rolling one goes up and
/// down around it.
const BELOW: u64 = 10;

fn event(at: UnixMs, channel: Option<Place>, what: Occurrence) -> Event {
    Event { at, channel, what }
}

/// Adds the channels of which every key rests, and that have given no good answer since they did. A pause is the operator's own
/// doing. What the database does not tell of a channel is left as it was.
pub(super) async fn channels_down(
    held: &mut Held,
    parts: &Parts,
    catalog: &Catalog,
    known: &BTreeMap<String, KnownFact>,
    now: UnixMs,
) {
    let candidates = resting(parts, catalog);
    let after = Duration::from_secs(60 * u64::from(catalog.settings.notify_down_minutes));
    let mut answers = true;
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        let id = entry.channel.id;
        let name = format!("{CHANNEL_DOWN}{id}");
        let before = known.get(&name);
        let candidate = candidates.get(&id);
        let state = candidate.and_then(|resting| all_keys_rest(parts, catalog, id, resting));
        let (class, keys, until) = match (state, before) {
            (Some(state), _) => state,
            (None, Some(before)) if candidate.is_some_and(|resting| !resting.faults.is_empty()) => {
                // A database that is too slow for one channel is not asked for the others.
                let answered = if answers {
                    has_answered(&parts.db, id, before.since).await.map(Some)
                } else {
                    Ok(None)
                };
                match answered {
                    // Its rests are over, and nobody knows yet whether it answers: that is no good news.
                    Ok(Some(false)) => (None, entry.keys.iter().filter(|key| key.enabled).count(), None),
                    Ok(Some(true)) => continue,
                    Ok(None) => {
                        held.leave(name);
                        continue;
                    }
                    Err(error) => {
                        tracing::warn!(channel_id = id.0, %error, "cannot look whether channels answer again");
                        answers = false;
                        held.leave(name);
                        continue;
                    }
                }
            }
            _ => continue,
        };
        let place = Place { id, name: entry.channel.name.clone() };
        let what = Occurrence::ChannelDown { class, keys, since: now, until };
        held.facts.push(Fact { name, after, event: Some(event(now, Some(place), what)) });
    }
}

/// What rests of a channel, or has not answered since it did.
#[derive(Debug, Clone, Default)]
struct Resting {
    /// What the last bad answers were taken for, without what an operator paused: the class, and until when it rests.
    faults: Vec<(OutcomeClass, UnixMs)>,
}

fn resting(parts: &Parts, catalog: &Catalog) -> BTreeMap<ChannelId, Resting> {
    let mut of_key: BTreeMap<KeyId, ChannelId> = BTreeMap::new();
    for entry in catalog.channels() {
        of_key.extend(entry.keys.iter().map(|key| (key.id, entry.channel.id)));
    }
    fn channel_of(scope: &Scope, of_key: &BTreeMap<KeyId, ChannelId>) -> Option<ChannelId> {
        match scope {
            Scope::Key(key) | Scope::KeyModel(key, _) => of_key.get(key).copied(),
            Scope::Group(channel, _)
            | Scope::GroupModel(channel, _, _)
            | Scope::ChannelModel(channel, _)
            | Scope::Channel(channel) => Some(*channel),
            Scope::Models(whole, _) => channel_of(whole, of_key),
        }
    }
    let pool = parts.dispatch.lock();
    let mut found: BTreeMap<ChannelId, Resting> = BTreeMap::new();
    for (scope, rest) in pool.rests().all() {
        if let Some(channel) = channel_of(scope, &of_key) {
            let one = found.entry(channel).or_default();
            if !rest.is_pause() {
                one.faults.push((rest.class, rest.until));
            }
        }
    }
    found
}

type Down = (Option<OutcomeClass>, usize, Option<UnixMs>);

/// Why and until when a channel takes no calls: nothing of any of its keys does. `None` if something does, or if all of it was
/// paused.
fn all_keys_rest(parts: &Parts, catalog: &Catalog, id: ChannelId, resting: &Resting) -> Option<Down> {
    let mut seen = BTreeSet::new();
    let routes: Vec<&Route> = catalog
        .models()
        .flat_map(|model| &model.routes)
        .filter(|route| route.channel.channel.id == id && seen.insert(route.upstream_model.clone()))
        .collect();
    let now = parts.dispatch.now();
    let outlook = {
        let mut pool = parts.dispatch.lock();
        let plan = pool.plan(&[Stage { routes, spill_ms: None }], Endpoint::Chat);
        pool.outlook(&plan, Cost::default(), now)
    };
    if outlook.keys == 0 || outlook.resting < outlook.keys {
        return None;
    }
    let active = resting.faults.iter().filter(|(_, until)| *until > parts.clock.steady());
    let (class, until) = active.min_by_key(|(_, until)| *until)?;
    Some((Some(*class), outlook.keys, Some(*until)))
}

async fn has_answered(db: &Db, channel: ChannelId, since: UnixMs) -> StorageResult<bool> {
    let filter = UsageFilter {
        from: Some(since),
        channel: Some(channel),
        result: Some(ResultFilter::Is(CallResult::Ok)),
        ..UsageFilter::default()
    };
    Ok(!db.usage_page(&filter, Page::Newest, 1).await?.rows.is_empty())
}

/// Chains that are on and of whose steps nobody serves any.
pub(super) fn empty_chains(catalog: &Catalog, now: UnixMs) -> Vec<Fact> {
    let is_empty = |chain: &&Arc<Chain>| {
        chain.enabled && !chain.steps.is_empty() && catalog.resolved(chain.id).is_none_or(<[_]>::is_empty)
    };
    let fact = |chain: &Arc<Chain>| {
        let what = Occurrence::ChainEmpty { chain: chain.name.clone() };
        Fact::new(format!("{}:{}", EventKind::ChainEmpty.as_str(), chain.id), event(now, None, what))
    };
    catalog.chains().filter(is_empty).map(fact).collect()
}

/// Whether the last scheduled backup failed.
pub(super) async fn backup_failed(db: &Db, now: UnixMs) -> StorageResult<Option<Fact>> {
    let reason = db.backup_failure().await?;
    Ok(reason.map(|reason| {
        let what = Occurrence::BackupFailed { reason };
        Fact::new(EventKind::BackupFailed.as_str().to_owned(), event(now, None, what))
    }))
}

/// Limits that come back after more than an hour, or never, and of which at least this share is used.
pub(super) fn low_quotas(
    parts: &Parts,
    catalog: &Catalog,
    known: &BTreeMap<String, KnownFact>,
    percent: u32,
    now: UnixMs,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    for entry in catalog.channels().filter(|entry| entry.channel.enabled) {
        let id = entry.channel.id;
        // The lock is held for one channel at a time, so that calls do not wait for all of them.
        let readings = parts.dispatch.lock().readings_of_channel(id, None, parts.dispatch.now());
        for (scope, reading) in readings {
            if reading.metric == Metric::Concurrency || reading.window.is_short() || reading.max == 0 {
                continue;
            }
            let name = name_of(id, &scope, &reading);
            let level = u64::from(percent).saturating_sub(if known.contains_key(&name) { BELOW } else { 0 });
            if u128::from(reading.used) * 100 < u128::from(reading.max) * u128::from(level.max(1)) {
                continue;
            }
            let (holder, model) = holder(&scope, entry.keys.iter().map(|key| (key.id, shown(key))).collect());
            let what = Occurrence::QuotaLow {
                holder,
                model,
                metric: reading.metric,
                window: reading.window,
                used: reading.used,
                max: reading.max,
                resets_at: reading.resets_at,
            };
            let place = Place { id, name: entry.channel.name.clone() };
            facts.push(Fact::new(name, event(now, Some(place), what)));
        }
    }
    facts
}

fn name_of(channel: ChannelId, scope: &LimitScope, reading: &Reading) -> String {
    let limit = (scope, reading.metric, &reading.window);
    let limit = serde_json::to_string(&limit).unwrap_or_default();
    format!("{}:{channel}:{limit}", EventKind::QuotaLow.as_str())
}

/// Whom a limit holds for, as pages show it, and for which model.
fn holder(scope: &LimitScope, keys: BTreeMap<KeyId, String>) -> (String, Option<String>) {
    let key = |id: &KeyId| keys.get(id).cloned().unwrap_or_else(|| format!("#{id}"));
    match scope {
        LimitScope::Key(id) => (key(id), None),
        LimitScope::KeyModel(id, model) => (key(id), Some(model.clone())),
        LimitScope::Group(_, group) => (group.clone(), None),
        LimitScope::GroupModel(_, group, model) => (group.clone(), Some(model.clone())),
        LimitScope::Model(_, model) => (String::new(), Some(model.clone())),
        LimitScope::Channel(_) => (String::new(), None),
        LimitScope::Models(whole, models) => {
            let (holder, _) = holder(whole, keys);
            (holder, Some(models.0.join(", ")))
        }
    }
}

/// Whether little is left of what the pool can do today, as far as its limits are known: told once a day. Not at all while some
/// key is known to have no limit of a day.
pub(super) fn low_pool(parts: &Parts, catalog: &Catalog, now: UnixMs) -> Vec<Fact> {
    let mut of_channel: BTreeMap<ChannelId, Vec<&Route>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for route in catalog.models().flat_map(|model| &model.routes) {
        let id = route.channel.channel.id;
        if seen.insert((id, &route.upstream_model)) {
            of_channel.entry(id).or_default().push(route);
        }
    }
    let cost = inspect::Size::USUAL.cost();
    let (mut left, mut of) = (0u64, 0u64);
    for routes in of_channel.into_values() {
        // Limits never reach over channels, so the lock is held for one at a time.
        let mut pool = parts.dispatch.lock();
        let plan = pool.plan(&[Stage { routes, spill_ms: None }], Endpoint::Chat);
        match pool.left(&plan, cost, parts.dispatch.now()) {
            Left::NoEnd => return Vec::new(),
            Left::Unknown => {}
            Left::Calls(calls) => {
                left = left.saturating_add(calls);
                let all = pool.outlook(&plan, cost, parts.dispatch.now()).calls;
                of = of.saturating_add(all.per_day.max(calls));
            }
        }
    }
    let percent = u128::from(catalog.settings.notify_quota_percent.min(100));
    if of == 0 || u128::from(left) * 100 > u128::from(of) * (100 - percent) {
        return Vec::new();
    }
    let day = now.zoned(&catalog.zone).date();
    let what = Occurrence::PoolLow { left, of };
    vec![Fact::new(format!("{}:{day}", EventKind::PoolLow.as_str()), event(now, None, what))]
}
