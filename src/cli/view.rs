//! Channels, keys, chains and tokens as JSON: the names and shapes of the admin API, and never a secret.

use serde_json::{Map, Value, json};

use super::output::at;
use crate::{
    model::{
        catalog::{Catalog, ChannelEntry},
        chain::Chain,
        key::{Key, KeyCheck},
        secret::Secret,
        time::UnixMs,
        token::{Quota, QuotaUnit},
    },
    pool::{
        input::{ChannelInput, Decimal, LimitInput, ModelInput, Spill, TokenInput},
        rules::DOLLAR_PLACES,
        upkeep::{is_paused, key_rest},
    },
    scheduler::rest::{Rest, RestBook, Scope},
    storage::{
        keys::KeyRow,
        token_clients::{RecentModel, TokenClient},
        tokens::{PreviousValue, TokenRow},
        usage_query::{
            names::Named,
            report::{Group, GroupName, Sums},
            rows::UsageRow,
        },
    },
};

/// What hides the beginning of a secret.
const MASK: &str = "••••";

/// Whether a channel takes calls now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelState {
    /// It takes calls.
    Available,
    /// It is switched off.
    Off,
    /// No key of it is switched on.
    NoKeys,
    /// It offers no model.
    NoModels,
    /// It rests, or all of its keys do.
    Resting,
    /// An operator has paused it, or all of its keys.
    Paused,
}

impl ChannelState {
    /// The state of a channel, and how many of its keys are switched on and do not rest.
    pub fn of(entry: &ChannelEntry, book: &RestBook, now: UnixMs) -> (Self, usize) {
        let channel = &entry.channel;
        let enabled = || entry.keys.iter().filter(|key| key.enabled);
        let available = enabled().filter(|key| key_rest(entry, key, book, now).is_none()).count();
        let state = if !channel.enabled {
            Self::Off
        } else if enabled().next().is_none() {
            Self::NoKeys
        } else if channel.models.is_empty() && channel.redirects.is_empty() {
            Self::NoModels
        } else if is_paused(entry, book, now) {
            Self::Paused
        } else if available == 0 || book.active(&Scope::Channel(channel.id), now).is_some() {
            Self::Resting
        } else {
            Self::Available
        };
        (state, available)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Off => "off",
            Self::NoKeys => "no_keys",
            Self::NoModels => "no_models",
            Self::Resting => "resting",
            Self::Paused => "paused",
        }
    }
}

/// A channel.
pub fn channel(entry: &ChannelEntry, book: &RestBook, now: UnixMs) -> Value {
    let channel = &entry.channel;
    let (state, available) = ChannelState::of(entry, book, now);
    let input = ChannelInput::of(channel);
    let headers: Map<String, Value> =
        channel.headers.iter().map(|(name, value)| (name.clone(), masked(value).into())).collect();
    json!({
        "id": channel.id,
        "name": input.name,
        "base_url": input.base_url,
        "protocol": input.protocol,
        "provider": input.provider,
        "plan": input.plan,
        "priority": input.priority,
        "weight": input.weight,
        "groups": input.groups,
        "headers": headers,
        "proxy": channel.proxy.as_ref().map(masked_proxy),
        "timeouts": input.timeouts,
        "allow_private": input.allow_private,
        "note": input.note,
        "enabled": input.enabled,
        "endpoints": input.endpoints,
        "models": input.models,
        "redirects": input.redirects,
        "limits": input.limits,
        "shaping": input.shaping,
        "state": state.name(),
        "keys": {
            "total": entry.keys.len(),
            "enabled": entry.keys.iter().filter(|key| key.enabled).count(),
            "available": available,
        },
    })
}

fn masked(value: &Secret) -> String {
    format!("{MASK}{}", value.last4())
}

/// A proxy's address with its password masked.
pub fn masked_proxy(proxy: &Secret) -> String {
    let text = proxy.expose();
    let Some((scheme, rest)) = text.split_once("://") else { return MASK.to_owned() };
    let Some((user, host)) = rest.rsplit_once('@') else { return text.to_owned() };
    let user = user.split_once(':').map_or_else(|| user.to_owned(), |(user, _)| format!("{user}:{MASK}"));
    format!("{scheme}://{user}@{host}")
}

/// A chain.
pub fn chain(chain: &Chain, catalog: &Catalog) -> Value {
    let resolved = catalog.resolved(chain.id).unwrap_or_default();
    let step = |step: &crate::model::chain::ChainStep| {
        json!({
            "model": step.model,
            "spill_ms": Spill::of(step.spill_ms),
            "served": catalog.serves_step(&chain.name, &step.model),
        })
    };
    let written_out = |step: &crate::model::catalog::Step| json!({ "model": step.model, "spill_ms": Spill::of(step.spill_ms), "channels": step.channels() });
    json!({
        "id": chain.id,
        "name": chain.name,
        "enabled": chain.enabled,
        "steps": chain.steps.iter().map(step).collect::<Vec<_>>(),
        "usable": !resolved.is_empty(),
        "resolved": resolved.iter().map(written_out).collect::<Vec<_>>(),
    })
}

/// The models of a channel.
pub fn models(entry: &ChannelEntry) -> Vec<Value> {
    entry.channel.models.iter().map(|model| json!(ModelInput::of(model))).collect()
}

/// A key; `row` is what its channel's list says of it.
pub fn key(entry: &ChannelEntry, key: &Key, row: &KeyRow, book: &RestBook, now: UnixMs) -> Value {
    let resting = key_rest(entry, key, book, now);
    let state = match resting {
        _ if !key.enabled => "off",
        Some(rest) if rest.is_pause() => "paused",
        Some(_) => "resting",
        None => "available",
    };
    json!({
        "id": key.id,
        "channel_id": key.channel_id,
        "channel": entry.channel.name,
        "label": key.label,
        "last4": key.last4,
        "quota_group": key.quota_group,
        "grouped_by_provider": row.grouped_by_provider,
        "enabled": key.enabled,
        "created_at": at(row.created_at),
        "limits": key.limits.iter().map(LimitInput::of).collect::<Vec<_>>(),
        "state": state,
        "rest": resting.map(rest),
        "last_check": row.last_check.as_ref().map(check),
    })
}

/// What rests.
pub fn scope(scope: &Scope) -> Value {
    match scope {
        Scope::Channel(id) => json!({ "kind": "channel", "channel_id": id }),
        Scope::Key(id) => json!({ "kind": "key", "key_id": id }),
        Scope::Group(id, group) => json!({ "kind": "group", "channel_id": id, "group": group }),
        Scope::KeyModel(id, model) => json!({ "kind": "key_model", "key_id": id, "model": model }),
        Scope::GroupModel(id, group, model) => {
            json!({ "kind": "group_model", "channel_id": id, "group": group, "model": model })
        }
        Scope::ChannelModel(id, model) => {
            json!({ "kind": "channel_model", "channel_id": id, "model": model })
        }
        Scope::Models(whole, models) => {
            let mut whole = self::scope(whole);
            whole["models"] = json!(models);
            whole
        }
    }
}

/// Why something rests, and until when.
pub fn rest(rest: &Rest) -> Value {
    json!({
        "class": rest.class,
        "since": at(rest.since),
        "until": at(rest.until),
        "strikes": rest.strikes,
        "status": rest.status,
        "detail": rest.detail,
    })
}

/// What a test of a key found.
pub fn check(check: &KeyCheck) -> Value {
    json!({
        "at": at(check.at),
        "passed": check.passed(),
        "verdict": check.verdict,
        "model": check.model,
        "account": check.account,
        "steps": check.steps,
    })
}

/// A token with what it has spent, at a time in a time zone.
pub fn token(row: &TokenRow, now: UnixMs, zone: &jiff::tz::TimeZone) -> Value {
    let token = &row.token;
    let input = TokenInput::of(token);
    let ended = token.expires_at.is_some_and(|end| end <= now);
    let used_up = token.quota.is_some_and(|quota| row.spent >= quota.limit);
    json!({
        "id": token.id,
        "name": input.name,
        "last4": token.last4,
        "models": input.models,
        "groups": input.groups,
        "cidrs": input.cidrs,
        "expires_at": token.expires_at.map(at),
        "quota": input.quota,
        "spent": token.quota.map(|quota| spent(&quota, row.spent)),
        "quota_resets_at": token.quota.and_then(|quota| quota.reset.period_end(now, zone)).map(at),
        "requests_per_minute": token.requests_per_minute,
        "weight": token.weight,
        "profile": token.profile,
        "note": input.note,
        "enabled": token.enabled,
        "usable": token.enabled && !ended && !used_up,
        "created_at": at(token.created_at),
        "last_used_at": row.last_used_at.map(at),
    })
}

/// The replaced values of a token that still work.
pub fn previous_values(previous: &[PreviousValue]) -> Vec<Value> {
    let of = |value: &PreviousValue| {
        json!({
            "last4": value.last4,
            "created_at": at(value.created_at),
            "valid_until": at(value.valid_until),
        })
    };
    previous.iter().map(of).collect()
}

/// The programs that used a token.
pub fn token_clients(clients: &[TokenClient]) -> Vec<Value> {
    let of = |client: &TokenClient| json!({ "kind": client.kind, "version": client.version, "last_seen_at": at(client.last_at) });
    clients.iter().map(of).collect()
}

/// The models that a token asked for lately.
pub fn recent_models(models: &[RecentModel]) -> Vec<Value> {
    let of = |recent: &RecentModel| json!({ "model": recent.model, "calls": recent.calls, "last_used_at": at(recent.last_at) });
    models.iter().map(of).collect()
}

/// A call of a client.
pub fn call(row: &UsageRow) -> Value {
    json!({
        "request_id": row.request_id.to_string(),
        "at": at(row.at),
        "token": named(&row.token),
        "channel": row.channel.as_ref().map(named),
        "key": row.key.as_ref().map(|key| {
            json!({ "id": key.id, "label": key.label, "last4": key.last4, "deleted": key.deleted })
        }),
        "asked_model": row.asked_model,
        "served_model": row.served_model,
        "endpoint": row.endpoint,
        "stream": row.stream,
        "status": row.status,
        "result": row.result,
        "error_code": row.error_code,
        "queue_ms": row.queue_ms,
        "first_token_ms": row.first_token_ms,
        "total_ms": row.total_ms,
        "tokens": row.tokens,
        "estimated": row.estimated,
        "units": row.units,
        "cost": dollars(row.cost_micros),
        "client_address": row.client_address,
        "client_kind": row.client_kind,
        "trace_id": row.trace_id,
        "attempt_count": row.attempt_count,
    })
}

fn named<Id: serde::Serialize>(named: &Named<Id>) -> Value {
    json!({ "id": named.id, "name": named.name, "deleted": named.deleted })
}

/// Sums of calls.
pub fn sums(sums: &Sums) -> Value {
    json!({
        "requests": sums.requests,
        "ok": sums.ok,
        "ok_at_once": sums.ok_at_once,
        "failed": sums.failed(),
        "retried": sums.retried,
        "tokens": sums.tokens,
        "estimated": sums.estimated,
        "cost": dollars(sums.cost_micros),
        "first_token_p50_ms": sums.first_token.quantile(0.5),
        "first_token_p95_ms": sums.first_token.quantile(0.95),
        "total_p50_ms": sums.total.quantile(0.5),
        "total_p95_ms": sums.total.quantile(0.95),
        "first_token_p99_ms": sums.first_token.quantile(0.99),
        "total_p99_ms": sums.total.quantile(0.99),
        "queue_p50_ms": sums.queue.quantile(0.5),
        "queue_p95_ms": sums.queue.quantile(0.95),
        "queue_p99_ms": sums.queue.quantile(0.99),
    })
}

/// A group of a report.
pub fn group(group: &Group) -> Value {
    let (kind, id, name, deleted) = match &group.name {
        GroupName::None => ("none", None, "", false),
        GroupName::Others => ("others", None, "", false),
        GroupName::Token(token) => ("token", Some(token.id.0), token.name.as_str(), token.deleted),
        GroupName::Channel(channel) => {
            ("channel", Some(channel.id.0), channel.name.as_str(), channel.deleted)
        }
        GroupName::Key(key, _) => ("key", Some(key.id.0), key.label.as_str(), key.deleted),
        GroupName::Model(name) => ("model", None, name.as_str(), false),
        GroupName::Upstream(name) => ("upstream", None, name.as_str(), false),
        GroupName::Endpoint(name) => ("endpoint", None, name.as_str(), false),
        GroupName::Client(name) => ("client", None, name.as_str(), false),
        GroupName::Status(status) => ("status", Some(i64::from(*status)), "", false),
    };
    let (last4, channel) = match &group.name {
        GroupName::Key(key, channel) => (Some(&key.last4), channel.as_ref().map(named)),
        _ => (None, None),
    };
    json!({
        "kind": kind,
        "id": id,
        "name": name,
        "last4": last4,
        "channel": channel,
        "deleted": deleted,
        "sums": sums(&group.sums),
        "attempts": group.attempts.as_ref().map(|attempts| {
            json!({ "total": attempts.all(), "failed": attempts.failed() })
        }),
    })
}

fn spent(quota: &Quota, amount: i64) -> Decimal {
    match quota.unit {
        QuotaUnit::Dollars => dollars(amount),
        QuotaUnit::Tokens | QuotaUnit::Requests => Decimal::of(amount, 0),
    }
}

/// Micro-dollars as dollars.
pub fn dollars(micros: i64) -> Decimal {
    Decimal::of(micros, DOLLAR_PLACES)
}
