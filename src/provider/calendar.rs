//! When a provider's hours, days and months begin, on its own wall clock.

use std::time::Duration;

use jiff::{RoundMode, Unit, ZonedRound, tz::TimeZone};

use super::data::ResetData;
use crate::model::{
    limit::{CalendarUnit, Period},
    time::UnixMs,
};

/// A provider's calendar.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    /// The zone's name.
    pub zone_name: String,
    /// Minutes after the unit's beginning.
    pub offset_minutes: u16,
    zone: TimeZone,
}

impl Calendar {
    /// The calendar that a file describes; `None` if its zone is unknown.
    pub fn new(data: &ResetData) -> Option<Self> {
        let zone = TimeZone::get(&data.zone).ok()?;
        Some(Self { zone_name: data.zone.clone(), offset_minutes: data.offset_minutes, zone })
    }

    /// The date and time of day that a text begins with, such as `2026-08-25 07:41:44`, read on this calendar's wall
    /// clock unless it names a zone.
    pub fn date_in(&self, text: &str) -> Option<UnixMs> {
        let part = |char: char| {
            char.is_ascii_digit() || matches!(char, '-' | ':' | '.' | '+' | ' ' | 't' | 'T' | 'z' | 'Z')
        };
        let end = text.find(|char| !part(char)).unwrap_or(text.len());
        let date = text[..end].trim().trim_end_matches('.').to_ascii_uppercase();
        let timestamp = date.parse::<jiff::Timestamp>().ok().or_else(|| {
            let local = date.parse::<jiff::civil::DateTime>().ok()?;
            Some(local.to_zoned(self.zone.clone()).ok()?.timestamp())
        });
        Some(UnixMs(timestamp?.as_millisecond()))
    }

    /// The next beginning of a unit after `now`. `None` only at the end of time.
    pub fn next(&self, unit: CalendarUnit, now: UnixMs) -> Option<UnixMs> {
        let offset = match unit {
            CalendarUnit::Hour => Duration::ZERO,
            CalendarUnit::Day | CalendarUnit::Month => {
                Duration::from_secs(u64::from(self.offset_minutes) * 60)
            }
        };
        let local = (now - offset).zoned(&self.zone);
        // `start_of_day` knows days that begin at 01:00 because the clocks went forward at midnight.
        let next = match unit {
            CalendarUnit::Hour => {
                let hour = local.round(ZonedRound::new().smallest(Unit::Hour).mode(RoundMode::Trunc)).ok()?;
                hour.checked_add(jiff::SignedDuration::from_hours(1)).ok()?
            }
            CalendarUnit::Day => local.tomorrow().ok()?.start_of_day().ok()?,
            CalendarUnit::Month => local.last_of_month().ok()?.tomorrow().ok()?.start_of_day().ok()?,
        };
        Some(UnixMs(next.timestamp().as_millisecond()) + offset).filter(|next| *next > now)
    }
}

/// The longest that a hint may make anything rest for a limit of this kind: a day or a month, and some hours for
/// the provider's time zone.
pub(super) fn longest_rest(period: Option<Period>) -> Duration {
    const HOUR: u64 = 3600;
    Duration::from_secs(match period {
        None | Some(Period::Concurrent | Period::Minute) => HOUR,
        Some(Period::Hour) => 2 * HOUR,
        Some(Period::Day) => 26 * HOUR,
        Some(Period::Month) => 32 * 24 * HOUR,
    })
}
