//! The state of channels and keys, as badges and rows of reasons.

use std::time::Duration;

use jiff::tz::TimeZone;

use crate::{
    dispatch::on_chat,
    i18n::Messages,
    model::{catalog::ChannelEntry, key::Key, time::UnixMs, usage::OutcomeClass},
    pool::upkeep::{concerns_channel, concerns_key, key_rest},
    scheduler::{
        now::Now,
        rest::{Rest, RestBook, Scope},
    },
    web::format::Moment,
};

use super::key_name;

/// A state in a word, and why.
pub(in crate::web::admin) struct Badge {
    /// The style sheet's class.
    pub class: &'static str,
    /// The word.
    pub text: String,
    /// Why; empty if there is nothing to say.
    pub reason: String,
    /// Whether calls may go there now.
    pub available: bool,
}

impl Badge {
    fn new(class: &'static str, text: impl Into<String>) -> Self {
        Self { class, text: text.into(), reason: String::new(), available: class == "ok" }
    }

    fn because(mut self, t: Messages, rest: &Rest) -> Self {
        self.reason = reason(t, rest);
        self
    }
}

/// The state of a channel.
pub(super) fn of_channel(t: Messages, entry: &ChannelEntry, book: &RestBook, now: UnixMs) -> Badge {
    let c = t.channels;
    let channel = &entry.channel;
    if !channel.enabled {
        return Badge::new("", c.state_off());
    }
    let keys: Vec<&Key> = entry.keys.iter().map(|key| &**key).filter(|key| key.enabled).collect();
    if keys.is_empty() {
        return Badge::new("warn", c.state_no_keys());
    }
    if channel.models.is_empty() && channel.redirects.is_empty() {
        return Badge::new("warn", c.state_no_models());
    }
    if let Some(rest) = book.active(&Scope::Channel(channel.id), now) {
        return resting(t, rest, now);
    }
    let rests: Vec<&Rest> = keys.iter().filter_map(|key| key_rest(entry, key, book, now)).collect();
    let invalid = rests.iter().filter(|rest| rest.class == OutcomeClass::KeyInvalid).count();
    if invalid > 0 {
        let badge = Badge::new("bad", c.state_invalid(invalid, keys.len()));
        return Badge { available: rests.len() < keys.len(), ..badge };
    }
    if rests.len() == keys.len()
        && let Some(first) = rests.iter().min_by_key(|rest| rest.until)
    {
        return resting(t, first, now);
    }
    Badge::new("ok", c.state_available())
}

/// The state of a key.
pub(in crate::web::admin) fn of_key(
    t: Messages,
    entry: &ChannelEntry,
    key: &Key,
    book: &RestBook,
    now: UnixMs,
) -> Badge {
    if !key.enabled {
        return Badge::new("", t.channels.state_off());
    }
    match key_rest(entry, key, book, now) {
        Some(rest) if rest.class == OutcomeClass::KeyInvalid => {
            Badge::new("bad", t.channels.state_key_invalid()).because(t, rest)
        }
        Some(rest) => resting(t, rest, now),
        None => Badge::new("ok", t.channels.state_available()),
    }
}

fn resting(t: Messages, rest: &Rest, now: UnixMs) -> Badge {
    if rest.is_pause() {
        // No fault, so nothing to be warned of.
        return Badge::new("", t.channels.state_paused(&left(rest, now))).because(t, rest);
    }
    if rest.class == OutcomeClass::BudgetReached {
        return Badge::new("warn", t.channels.state_budget()).because(t, rest);
    }
    Badge::new("warn", t.channels.state_resting(&left(rest, now))).because(t, rest)
}

fn reason(t: Messages, rest: &Rest) -> String {
    let class = class_name(t, rest.class);
    match rest.status {
        Some(status) => format!("{class} · {}", t.channels.rest_status(status)),
        None => class.to_owned(),
    }
}

/// Something of a channel that rests.
pub(super) struct RestRow {
    /// What, in words.
    pub what: String,
    /// Why, in words.
    pub reason: String,
    /// The upstream's text.
    pub detail: String,
    /// The time until it comes back.
    pub left: String,
    /// When it comes back, exactly.
    pub until: String,
    /// The same for programs.
    pub until_iso: String,
    /// Whether an operator wanted it.
    pub paused: bool,
    /// The scope, as the form sends it back.
    pub scope: String,
}

/// Everything of a channel that rests, or only what concerns one of its keys; what comes back first stands first.
pub(super) fn rest_rows(
    t: Messages,
    entry: &ChannelEntry,
    only: Option<&Key>,
    book: &RestBook,
    now: Now,
    zone: &TimeZone,
) -> Vec<RestRow> {
    // A model is paused on every endpoint; one row says so.
    let is_told = |scope: &Scope, rest: &Rest| {
        let chat = on_chat(scope).filter(|_| rest.is_pause());
        chat.is_none_or(|chat| book.active(&chat, now.steady).is_none_or(|rest| !rest.is_pause()))
    };
    let mut rows: Vec<(UnixMs, RestRow)> = book
        .all_active(now.steady)
        .filter(|(scope, rest)| is_told(scope, rest))
        .filter(|(scope, _)| {
            only.map_or_else(|| concerns_channel(entry, scope), |key| concerns_key(entry, key, scope))
        })
        .filter_map(|(scope, rest)| {
            let ends_at = now.to_wall(rest.until);
            let until = Moment::new(t, ends_at, ends_at, zone);
            let row = RestRow {
                what: what(t, entry, scope),
                reason: reason(t, rest),
                detail: rest.detail.clone(),
                left: left(rest, now.steady),
                until: until.exact,
                until_iso: until.iso,
                paused: rest.is_pause(),
                scope: serde_json::to_string(scope).ok()?,
            };
            Some((rest.until, row))
        })
        .collect();
    rows.sort_by(|(until, a), (other, b)| until.cmp(other).then_with(|| a.scope.cmp(&b.scope)));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn what(t: Messages, entry: &ChannelEntry, scope: &Scope) -> String {
    let c = t.channels;
    let key = |id| entry.keys.iter().find(|key| key.id == id).map_or_else(String::new, |key| key_name(key));
    match scope {
        Scope::Channel(_) => c.rest_channel().to_owned(),
        Scope::Key(id) => c.rest_key(&key(*id)),
        Scope::Group(_, group) => c.rest_group(group),
        Scope::KeyModel(id, model) => c.rest_key_model(&key(*id), model),
        Scope::GroupModel(_, group, model) => c.rest_group_model(group, model),
        Scope::ChannelModel(_, model) => c.rest_channel_model(model),
        Scope::Models(whole, models) => c.rest_models(&what(t, entry, whole), &models.0.join(", ")),
    }
}

fn left(rest: &Rest, now: UnixMs) -> String {
    countdown(rest.until.since(now))
}

/// A time to wait: `2:05`, or `1:02:05` from an hour on; never less than a second.
fn countdown(left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000).max(1);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// What an upstream's answer was taken for, in a word.
pub(super) fn class_name(t: Messages, class: OutcomeClass) -> &'static str {
    let t = t.channels;
    match class {
        OutcomeClass::Success => t.class_success(),
        OutcomeClass::RateLimited => t.class_rate_limited(),
        OutcomeClass::ModelUnavailable => t.class_model_unavailable(),
        OutcomeClass::KeyInvalid => t.class_key_invalid(),
        OutcomeClass::OutOfCredit => t.class_out_of_credit(),
        OutcomeClass::HostError => t.class_host_error(),
        OutcomeClass::ClientError => t.class_client_error(),
        OutcomeClass::Ambiguous => t.class_ambiguous(),
        OutcomeClass::ClientClosed => t.class_client_closed(),
        OutcomeClass::Paused => t.class_paused(),
        OutcomeClass::BudgetReached => t.class_budget_reached(),
    }
}

/// What to do about an answer; empty after a good one.
pub(super) fn advice(t: Messages, class: OutcomeClass) -> &'static str {
    let t = t.channels;
    match class {
        OutcomeClass::Success
        | OutcomeClass::ClientClosed
        | OutcomeClass::Paused
        | OutcomeClass::BudgetReached => "",
        OutcomeClass::RateLimited => t.advice_rate_limited(),
        OutcomeClass::ModelUnavailable => t.advice_model_unavailable(),
        OutcomeClass::KeyInvalid => t.advice_key_invalid(),
        OutcomeClass::OutOfCredit => t.advice_out_of_credit(),
        OutcomeClass::HostError => t.advice_host_error(),
        OutcomeClass::ClientError => t.advice_client_error(),
        OutcomeClass::Ambiguous => t.advice_ambiguous(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_is_rounded_up_and_readable() {
        for (ms, text) in
            [(0, "0:01"), (1, "0:01"), (59_001, "1:00"), (134_000, "2:14"), (3_725_000, "1:02:05")]
        {
            assert_eq!(countdown(Duration::from_millis(ms)), text);
        }
    }
}
