//! Which keys need a hand, the worst first.

use super::super::{
    channels::key_name,
    health::standing::{Rests, Standing, State, of_key},
};
use crate::{
    i18n::Messages,
    inspect::Shortages,
    model::{catalog::Catalog, time::UnixMs},
    web::{Site, format::Moment},
};

/// The most keys that are named.
const SHOWN: usize = 8;
/// A rest that is over sooner needs nobody's hand.
const LONG_MS: i64 = 3_600_000;

/// A key that needs a hand.
pub struct Need {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Its channel's name.
    pub channel: String,
    /// Its state.
    pub standing: Standing,
    /// Until when, if that is known.
    pub until: Option<Moment>,
}

/// The keys that need a hand.
pub struct Needs {
    /// How many are in each state, with the list of them.
    pub counts: Vec<(State, usize, String, String)>,
    /// The worst of them.
    pub rows: Vec<Need>,
    /// How many more there are, in words; empty if there are none.
    pub more: String,
}

/// The keys that an operator should look at: invalid, without money or used up, resting for long, paused, or of unknown
/// limits; of the last kind only their number.
pub fn needs(t: Messages, site: &Site, catalog: &Catalog, shortages: &Shortages) -> Needs {
    let now = site.dispatch.now();
    let mut found = Vec::new();
    {
        let pool = site.dispatch.lock();
        let rests = Rests::new(pool.rests(), now);
        for entry in catalog.channels() {
            for key in &entry.keys {
                let standing = of_key(t, entry, key, &rests, shortages);
                let is_long = standing.until.is_none_or(|until| until.0 - now.wall.0 >= LONG_MS);
                let counts = match standing.state {
                    State::Invalid | State::Exhausted | State::Paused | State::UnknownLimits => true,
                    State::Resting => is_long,
                    State::Ok | State::Off | State::Incomplete => false,
                };
                if counts {
                    found.push((entry.clone(), key.clone(), standing));
                }
            }
        }
    }
    let counts = State::ALL
        .iter()
        .map(|state| (*state, found.iter().filter(|(_, _, standing)| standing.state == *state).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| {
            (state, count, state.label(t).to_owned(), format!("/health?by=key&state={state}"))
        })
        .collect();
    found.retain(|(_, _, standing)| standing.state != State::UnknownLimits);
    found.sort_by_key(|(_, key, standing)| (standing.state.severity(), key.id));
    let more = found.len().saturating_sub(SHOWN);
    let rows = found.into_iter().take(SHOWN).map(|(entry, key, standing)| Need {
        href: format!("/channels/{}/keys/{}", entry.channel.id, key.id),
        name: key_name(&key),
        channel: entry.channel.name.clone(),
        until: standing.until.map(|until: UnixMs| standing_moment(until, catalog)),
        standing,
    });
    let rows = rows.collect();
    Needs { counts, rows, more: if more > 0 { t.overview.needs_more(more) } else { String::new() } }
}

/// A time in words that do not change while it comes nearer.
fn standing_moment(until: UnixMs, catalog: &Catalog) -> Moment {
    let zoned = until.zoned(&catalog.zone);
    Moment {
        iso: zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        exact: zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        text: zoned.strftime("%m-%d %H:%M").to_string(),
    }
}
