//! What is left of the limits of channels and keys, as rows of a table.

use std::collections::HashMap;

use jiff::tz::TimeZone;

use super::key_name;
use crate::{
    i18n::Messages,
    model::{catalog::ChannelEntry, id::KeyId, limit::Window},
    scheduler::{gauge::Reading, limit::LimitScope, now::Now},
    web::{format::count, limits},
};

/// The most rows of a page.
const MOST: usize = 100;

/// A limit and what is left of it.
pub(super) struct GaugeRow {
    /// What is counted, and in which time.
    pub limit: String,
    /// Whom it holds for.
    pub whom: String,
    /// What is left and what is allowed, in words.
    pub text: String,
    /// What is left.
    pub left: u64,
    /// What is allowed.
    pub max: u64,
    /// When something comes back.
    pub reset: limits::Reset,
    /// Where the limit is known from.
    pub source: &'static str,
    /// How sure it is; empty for what was declared.
    pub confidence: String,
}

/// Limits as a page shows them.
#[derive(Default)]
pub(super) struct Gauges {
    /// The first of them.
    pub rows: Vec<GaugeRow>,
    /// How many more there are.
    pub more: usize,
}

impl Gauges {
    /// Limits of a channel with whom each holds for; those that are tighter stand first.
    pub fn of(
        t: Messages,
        entry: &ChannelEntry,
        readings: &[(LimitScope, Reading)],
        now: Now,
        zone: &TimeZone,
    ) -> Self {
        let rows =
            readings.iter().take(MOST).map(|(scope, reading)| row(t, entry, scope, reading, now, zone));
        Self { rows: rows.collect(), more: readings.len().saturating_sub(MOST) }
    }
}

fn row(
    t: Messages,
    entry: &ChannelEntry,
    scope: &LimitScope,
    reading: &Reading,
    now: Now,
    zone: &TimeZone,
) -> GaugeRow {
    let left = left(reading);
    let name =
        |id: KeyId| entry.keys.iter().find(|key| key.id == id).map_or_else(String::new, |key| key_name(key));
    GaugeRow {
        limit: limits::limit(t, reading.metric, &reading.window),
        whom: limits::holder(t, scope, name),
        text: t.inspect.left_of(&count(left), &count(reading.max)),
        left,
        max: reading.max,
        reset: limits::Reset::of(t, reading, now.wall, zone),
        source: limits::source(t, reading.source),
        confidence: if reading.confidence >= 100 {
            String::new()
        } else {
            t.inspect.confidence(reading.confidence)
        },
    }
}

fn left(reading: &Reading) -> u64 {
    reading.max.saturating_sub(reading.used)
}

/// Whether keys share a limit.
pub(super) fn is_shared(scope: &LimitScope) -> bool {
    !matches!(scope, LimitScope::Key(_) | LimitScope::KeyModel(..))
}

/// Of each key of a channel the limit of which least is left, if it has one of its own.
pub(super) fn tightest(
    t: Messages,
    entry: &ChannelEntry,
    readings: &[(LimitScope, Reading)],
    now: Now,
    zone: &TimeZone,
) -> HashMap<KeyId, GaugeRow> {
    let mut least: HashMap<KeyId, &(LimitScope, Reading)> = HashMap::new();
    for pair in readings {
        let (LimitScope::Key(id) | LimitScope::KeyModel(id, _)) = &pair.0 else { continue };
        // Of what is used alike, the longer window says more.
        let order = |reading: &Reading| {
            let share = left(reading).saturating_mul(1000) / reading.max.max(1);
            (share, std::cmp::Reverse(reading.window.span_ms()), matches!(reading.window, Window::AtOnce))
        };
        let known = least.entry(*id).or_insert(pair);
        if order(&pair.1) < order(&known.1) {
            *known = pair;
        }
    }
    least.into_iter().map(|(id, (scope, reading))| (id, row(t, entry, scope, reading, now, zone))).collect()
}
