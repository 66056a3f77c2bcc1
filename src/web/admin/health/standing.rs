//! How a channel, a key or a model stands: a state in a word, why, and until when.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{
    i18n::Messages,
    inspect::Shortages,
    model::{
        catalog::ChannelEntry,
        id::{ChannelId, KeyId},
        key::Key,
        time::UnixMs,
        token::named_enum,
        usage::OutcomeClass,
    },
    pool::upkeep::key_rest,
    scheduler::{
        now::Now,
        rest::{Rest, RestBook, RestEnd, Scope},
    },
    web::limits::rest_reason,
};

named_enum! {
    /// How something stands, the worst first.
    State {
        /// The upstream says that the key is none.
        Invalid = "invalid",
        /// Something is missing that calls need: keys that are on, or models.
        Incomplete = "incomplete",
        /// Nothing is left: no money, or a limit of a day or so.
        Exhausted = "exhausted",
        /// It takes no calls for a while after bad answers.
        Resting = "resting",
        /// It takes no calls because an operator wants it so.
        Paused = "paused",
        /// It takes calls, but nobody knows how many.
        UnknownLimits = "unknown_limits",
        /// It takes calls.
        Ok = "ok",
        /// It is switched off.
        Off = "off",
    }
}

impl State {
    /// What it is called.
    pub fn label(self, t: Messages) -> &'static str {
        let t = t.health;
        match self {
            Self::Invalid => t.state_invalid(),
            Self::Incomplete => t.state_incomplete(),
            Self::Exhausted => t.state_exhausted(),
            Self::Resting => t.state_resting(),
            Self::Paused => t.state_paused(),
            Self::UnknownLimits => t.state_unknown_limits(),
            Self::Ok => t.state_ok(),
            Self::Off => t.state_off(),
        }
    }

    /// The style sheet's class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Invalid => "bad",
            Self::Incomplete | Self::Exhausted | Self::Resting => "warn",
            Self::Ok => "ok",
            Self::Paused | Self::UnknownLimits | Self::Off => "",
        }
    }

    /// Its place in the order, the worst first.
    pub fn severity(self) -> usize {
        Self::ALL.iter().position(|state| *state == self).unwrap_or(usize::MAX)
    }
}

/// How something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// In a word.
    pub state: State,
    /// Why, in words; empty if there is nothing to say.
    pub reason: String,
    /// When that ends, as a time of day, if it is known.
    pub until: Option<UnixMs>,
    /// What rests, if ending that rest is enough to try it at once.
    pub scope: Option<Scope>,
}

impl Standing {
    fn plain(state: State) -> Self {
        Self { state, reason: String::new(), until: None, scope: None }
    }

    fn because(state: State, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::plain(state) }
    }

    fn resting(t: Messages, rest: &Rest, scope: Option<Scope>, now: Now) -> Self {
        let state = match rest.class {
            OutcomeClass::KeyInvalid => State::Invalid,
            OutcomeClass::OutOfCredit => State::Exhausted,
            OutcomeClass::RateLimited if rest.end == RestEnd::Counted => State::Exhausted,
            _ if rest.is_pause() => State::Paused,
            _ => State::Resting,
        };
        let reason = if rest.is_pause() { String::new() } else { rest_reason(t, rest) };
        Self { state, reason, until: Some(now.to_wall(rest.until)), scope }
    }
}

/// The rests of now, and whom any of them may concern: most keys are asked about in vain.
pub struct Rests<'a> {
    book: &'a RestBook,
    now: Now,
    channels: HashSet<ChannelId>,
    keys: HashSet<KeyId>,
}

impl<'a> Rests<'a> {
    /// The rests of a book at a moment.
    pub fn new(book: &'a RestBook, now: Now) -> Self {
        let (mut channels, mut keys) = (HashSet::new(), HashSet::new());
        for (scope, _) in book.all_active(now.steady) {
            let mut scope = scope;
            while let Scope::Models(whole, _) = scope {
                scope = whole;
            }
            match scope {
                Scope::Key(id) | Scope::KeyModel(id, _) => {
                    keys.insert(*id);
                }
                Scope::Channel(id)
                | Scope::Group(id, _)
                | Scope::GroupModel(id, ..)
                | Scope::ChannelModel(id, _) => {
                    channels.insert(*id);
                }
                Scope::Models(..) => {}
            }
        }
        Self { book, now, channels, keys }
    }

    fn active(&self, scope: &Scope) -> Option<&'a Rest> {
        self.book.active(scope, self.now.steady)
    }

    /// The longest rest that keeps a key from every model, and its scope if it is one alone.
    fn of_key(&self, entry: &ChannelEntry, key: &Key) -> Option<(&'a Rest, Option<Scope>)> {
        let id = entry.channel.id;
        if !self.channels.contains(&id) && !self.keys.contains(&key.id) {
            return None;
        }
        let group = key.quota_group.clone().map(|group| Scope::Group(id, group));
        let whole = [Some(Scope::Channel(id)), Some(Scope::Key(key.id)), group].into_iter().flatten();
        let whole = whole
            .filter_map(|scope| Some((self.active(&scope)?, Some(scope))))
            .max_by_key(|(rest, _)| rest.until);
        let each = key_rest(entry, key, self.book, self.now.steady).map(|rest| (rest, None));
        match (whole, each) {
            (Some(whole), Some(each)) if each.0.until > whole.0.until => Some(each),
            (Some(whole), _) => Some(whole),
            (None, each) => each,
        }
    }
}

/// How a key stands.
pub fn of_key(
    t: Messages,
    entry: &ChannelEntry,
    key: &Key,
    rests: &Rests<'_>,
    shortages: &Shortages,
) -> Standing {
    if !key.enabled {
        return Standing::plain(State::Off);
    }
    if !entry.channel.enabled {
        return Standing::because(State::Off, t.health.channel_is_off());
    }
    if let Some((rest, scope)) = rests.of_key(entry, key) {
        return Standing::resting(t, rest, scope, rests.now);
    }
    if let Some(until) = shortages.used_up.get(&key.id) {
        let standing = Standing::because(State::Exhausted, t.health.limit_used_up());
        return Standing { until: *until, ..standing };
    }
    if shortages.unknown.contains(&key.id) {
        return Standing::plain(State::UnknownLimits);
    }
    Standing::plain(State::Ok)
}

/// What keeps a whole channel from calls, whatever its keys do.
fn of_whole(t: Messages, entry: &ChannelEntry, rests: &Rests<'_>) -> Option<Standing> {
    let channel = &entry.channel;
    if !channel.enabled {
        return Some(Standing::plain(State::Off));
    }
    if !entry.keys.iter().any(|key| key.enabled) {
        return Some(Standing::because(State::Incomplete, t.channels.state_no_keys()));
    }
    if channel.models.is_empty() && channel.redirects.is_empty() {
        return Some(Standing::because(State::Incomplete, t.channels.state_no_models()));
    }
    let scope = Scope::Channel(channel.id);
    let rest = rests.active(&scope)?;
    Some(Standing::resting(t, rest, Some(scope), rests.now))
}

/// How a channel stands: as badly as a fault of its own makes it, else as the best of its keys; with a word on those that do
/// worse.
pub fn of_channel(t: Messages, entry: &ChannelEntry, rests: &Rests<'_>, shortages: &Shortages) -> Standing {
    if let Some(standing) = of_whole(t, entry, rests) {
        return standing;
    }
    let keys = entry.keys.iter().filter(|key| key.enabled);
    let standings: Vec<Standing> = keys.map(|key| of_key(t, entry, key, rests, shortages)).collect();
    let takes_calls = |standing: &&Standing| matches!(standing.state, State::Ok | State::UnknownLimits);
    let ready = standings.iter().filter(takes_calls).count();
    if ready == standings.len() {
        return Standing::plain(State::Ok);
    }
    let some = t.health.keys_ready(ready, standings.len());
    let invalid = standings.iter().filter(|standing| standing.state == State::Invalid).count();
    if ready > 0 {
        let state = if invalid > 0 { State::Invalid } else { State::Ok };
        return Standing::because(state, some);
    }
    // The first key that comes back ends it.
    let first = standings.into_iter().min_by_key(|standing| standing.until.unwrap_or(UnixMs(i64::MAX)));
    match first {
        Some(first) if invalid == 0 => {
            let reason = if first.reason.is_empty() { some } else { format!("{some} · {}", first.reason) };
            Standing { reason, scope: None, ..first }
        }
        _ => Standing::because(State::Invalid, some),
    }
}

/// How an upstream's model stands at a channel.
pub fn of_model(t: Messages, entry: &ChannelEntry, model: &str, rests: &Rests<'_>) -> Standing {
    if let Some(standing) = of_whole(t, entry, rests) {
        return standing;
    }
    let id = entry.channel.id;
    if !rests.channels.contains(&id) {
        return Standing::plain(State::Ok);
    }
    let own = Scope::ChannelModel(id, model.to_owned());
    let own = rests.active(&own).map(|rest| (rest, own));
    let of_some = rests.book.all_active(rests.now.steady).filter_map(|(scope, rest)| match scope {
        Scope::Models(whole, models) if **whole == Scope::Channel(id) && models.fits(model) => {
            Some((rest, scope.clone()))
        }
        _ => None,
    });
    match of_some.chain(own).max_by_key(|(rest, _)| rest.until) {
        Some((rest, scope)) => Standing::resting(t, rest, Some(scope), rests.now),
        None => Standing::plain(State::Ok),
    }
}
