//! Counters of a calendar's hour, day or month, in the provider's time zone.

use jiff::{ToSpan, tz::TimeZone};

use super::{limit::CalendarUnit, now::Now, window::Fits};
use crate::model::time::UnixMs;

/// A counter of a calendar's hour, day or month.
///
/// Its end is kept on both clocks, and it opens again when both have passed it, or a whole unit has passed on the steady one.
/// So setting the time of day, forward or back, opens nothing early, and closes nothing for ever.
#[derive(Debug, Clone)]
pub struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
    offset_minutes: u16,
    /// What is used in this period.
    pub used: u64,
    /// What was used in the one before, which counts until the guard is over.
    before: u64,
    began: i64,
    /// When the period ends.
    pub ends: i64,
    ends_wall: UnixMs,
    /// The number of the period, so that a late correction does not hit the next one.
    pub number: u64,
    /// Whether a call of this period was accepted.
    proven: bool,
    in_flight: u32,
    /// A refusal of a new period that may not have begun yet: no call before this time.
    not_before: i64,
}

/// If a new period is refused before any call of it was accepted, the provider's may begin later than ours: it is tried
/// again and again for so long, and then taken for used up.
const LATE_MS: i64 = 2 * 3_600_000;

/// How long the provider may be behind our clock at a reset. Until then, and unless a call of the new period was
/// accepted, only what both periods together allow is sent, and otherwise one call at a time.
const GUARD_MS: i64 = 60_000;

impl Calendar {
    /// An unused period that began before `now`.
    pub fn new(unit: CalendarUnit, zone: &str, offset_minutes: u16, now: Now) -> Self {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let mut new = Self {
            unit,
            zone,
            offset_minutes,
            used: 0,
            before: 0,
            began: now.ms() - GUARD_MS,
            ends: 0,
            ends_wall: UnixMs(0),
            number: 0,
            proven: true,
            in_flight: 0,
            not_before: i64::MIN,
        };
        new.set_end(now);
        new
    }

    fn set_end(&mut self, now: Now) {
        self.ends_wall = next_reset(self.unit, &self.zone, self.offset_minutes, now.wall);
        self.ends = now.to_steady(self.ends_wall).0;
    }

    fn longest(&self) -> i64 {
        // An autumn day has 25 hours, a month 31 days and perhaps that hour.
        match self.unit {
            CalendarUnit::Hour => 3_600_000,
            CalendarUnit::Day => 25 * 3_600_000,
            CalendarUnit::Month => (31 * 24 + 1) * 3_600_000,
        }
    }

    /// Begins the next period if this one is over.
    pub fn roll(&mut self, now: Now) {
        let over = now.ms() >= self.ends && now.wall >= self.ends_wall;
        if over || now.ms() - self.began >= self.longest() + GUARD_MS {
            // Whole periods may have passed; then nothing of the last one counts.
            let fresh = now.ms() - self.ends < self.longest();
            self.before = if fresh { self.used } else { 0 };
            self.used = 0;
            self.began = now.ms();
            self.number += 1;
            self.proven = false;
            self.in_flight = 0;
            self.set_end(now);
        }
    }

    /// Counts what was sent at a time before this process began, if that is in the period.
    pub fn was_sent(&mut self, amount: u64, at: i64) {
        if at >= self.ends - self.longest() && at < self.ends {
            self.used = self.used.saturating_add(amount);
        }
    }

    /// When `amount` fits below `max`.
    pub fn fits(&self, amount: u64, max: u64, now: i64) -> Fits {
        if amount > max {
            return Fits::Never;
        }
        if self.used + amount > max {
            return Fits::At(self.ends);
        }
        if now < self.not_before {
            return Fits::At(self.not_before);
        }
        let guard_ends = self.began + GUARD_MS;
        let guarded = !self.proven && now < guard_ends && self.used + self.before + amount > max;
        if guarded && self.in_flight > 0 { Fits::At(guard_ends) } else { Fits::At(now) }
    }

    /// The provider says that the period is used up; gives the time until when.
    pub fn exhaust(&mut self, max: u64, now: i64) -> i64 {
        let passed = now - self.began;
        if self.proven || passed >= LATE_MS {
            self.used = self.used.max(max);
            return self.ends;
        }
        // After a minute, two, four and so on.
        self.not_before = now + passed.max(GUARD_MS);
        self.not_before
    }

    /// Counts a call.
    pub fn push(&mut self, amount: u64) -> u64 {
        self.used += amount;
        self.in_flight += 1;
        self.number
    }

    /// Notes the answer to a call of a period.
    pub fn answered(&mut self, number: u64, accepted: bool) {
        if number == self.number {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.proven |= accepted;
        }
    }

    /// Takes over a saved count of the period that ends at `ends`, unless it is over.
    pub fn restore(&mut self, used: u64, ends_wall: UnixMs, now: Now) {
        if now.wall < ends_wall {
            self.used = self.used.max(used);
            // A later end than ours comes from another clock; the later one is the safe one, within a period.
            if ends_wall > self.ends_wall && ends_wall.0 - now.wall.0 <= self.longest() {
                self.ends_wall = ends_wall;
                self.ends = now.to_steady(ends_wall).0;
            }
        } else {
            self.before = used;
            self.began = now.ms();
            self.proven = false;
        }
    }

    /// The end on the clock of the day.
    pub fn ends_wall(&self) -> UnixMs {
        self.ends_wall
    }
}

/// The next reset after `now` on a provider's calendar. A local time that a change of the clocks skips counts as the moment
/// of the change; one that occurs twice counts at its first.
pub fn next_reset(unit: CalendarUnit, zone: &TimeZone, offset_minutes: u16, now: UnixMs) -> UnixMs {
    let offset = i64::from(offset_minutes).minutes();
    let Ok(shifted) = now.zoned(zone).datetime().checked_sub(offset) else { return UnixMs(i64::MAX) };
    if unit == CalendarUnit::Hour {
        // Hours of the clock are the same in every zone whose offset is whole hours, and need no calendar else.
        let hour = 3_600_000;
        let local_offset = i64::from(zone.to_offset(now.timestamp()).seconds()) * 1000;
        let local = now.0 + local_offset - i64::from(offset_minutes) * 60_000;
        return UnixMs(now.0 + hour - local.rem_euclid(hour));
    }
    let today = shifted.date();
    // The first candidate may be over already where the clocks were set back around midnight.
    for ahead in 0..3 {
        let first = match unit {
            CalendarUnit::Month => today.first_of_month().checked_add(i64::from(ahead).months()),
            _ => today.checked_add(i64::from(ahead).days()),
        };
        let Some(reset) = first.ok().and_then(|date| {
            let at = date.to_datetime(jiff::civil::Time::midnight()).checked_add(offset).ok()?;
            Some(UnixMs(zone.to_ambiguous_zoned(at).earlier_or_moment_of_change(zone)?.as_millisecond()))
        }) else {
            return UnixMs(i64::MAX);
        };
        if reset > now {
            return reset;
        }
    }
    UnixMs(i64::MAX)
}

/// Picks the moment that a local time means.
trait Moment {
    fn earlier_or_moment_of_change(self, zone: &TimeZone) -> Option<jiff::Timestamp>;
}

impl Moment for jiff::tz::AmbiguousZoned {
    fn earlier_or_moment_of_change(self, zone: &TimeZone) -> Option<jiff::Timestamp> {
        let is_gap = matches!(self.offset(), jiff::tz::AmbiguousOffset::Gap { .. });
        let later = self.clone().later().ok();
        let earlier = self.earlier().ok()?.timestamp();
        if is_gap {
            // Before the change the local time does not exist yet: the change itself is the reset.
            let before = later?.timestamp().min(earlier);
            return zone.following(before).next().map(|change| change.timestamp()).or(Some(earlier));
        }
        Some(earlier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> UnixMs {
        UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn reset(unit: CalendarUnit, zone: &str, offset: u16, now: &str) -> String {
        next_reset(unit, &TimeZone::get(zone).unwrap(), offset, ms(now)).timestamp().to_string()
    }

    #[test]
    fn days_end_at_midnight_in_the_providers_zone() {
        let day = |zone, offset, now| reset(CalendarUnit::Day, zone, offset, now);
        assert_eq!(day("UTC", 0, "2026-11-20T23:59:59Z"), "2026-11-21T00:00:00Z");
        assert_eq!(day("Asia/Shanghai", 5, "2026-11-20T16:04:00Z"), "2026-11-20T16:05:00Z");
        assert_eq!(day("Asia/Shanghai", 5, "2026-11-20T16:05:00Z"), "2026-11-21T16:05:00Z");
        // Pacific time: UTC-7 in summer, UTC-8 in winter; the clocks change on 8 March and 1 November 2026.
        assert_eq!(day("America/Los_Angeles", 0, "2026-10-31T12:00:00Z"), "2026-11-01T07:00:00Z");
        assert_eq!(day("America/Los_Angeles", 0, "2026-11-01T12:00:00Z"), "2026-11-02T08:00:00Z");
        assert_eq!(day("America/Los_Angeles", 0, "2026-03-08T08:00:00Z"), "2026-03-09T07:00:00Z");
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_the_moment_of_the_change() {
        // In Havana the clocks go from 00:00 to 01:00 on 8 March 2026, at 05:00 UTC.
        assert_eq!(
            reset(CalendarUnit::Day, "America/Havana", 0, "2026-03-08T04:59:00Z"),
            "2026-03-08T05:00:00Z"
        );
        // In November they go back from 01:00 to 00:00: midnight comes twice, the first one counts.
        let first = reset(CalendarUnit::Day, "America/Havana", 0, "2026-10-31T20:00:00Z");
        assert_eq!(first, "2026-11-01T04:00:00Z");
        assert_eq!(reset(CalendarUnit::Day, "America/Havana", 0, &first), "2026-11-02T05:00:00Z");
    }

    #[test]
    fn months_and_hours_end_on_the_calendar() {
        assert_eq!(reset(CalendarUnit::Month, "UTC", 0, "2026-12-31T23:59:59Z"), "2027-01-01T00:00:00Z");
        assert_eq!(reset(CalendarUnit::Hour, "UTC", 0, "2026-11-20T14:10:00Z"), "2026-11-20T15:00:00Z");
        assert_eq!(
            reset(CalendarUnit::Hour, "Asia/Kolkata", 0, "2026-11-20T14:10:00Z"),
            "2026-11-20T14:30:00Z"
        );
    }

    #[test]
    fn setting_the_clock_opens_no_day_and_closes_none_for_ever() {
        let start = ms("2026-11-20T12:00:00Z");
        let now = Now::both(start);
        let mut day = Calendar::new(CalendarUnit::Day, "UTC", 0, now);
        day.push(50);
        let later = |hours: i64, wall: UnixMs| Now { steady: UnixMs(start.0 + hours * 3_600_000), wall };
        day.roll(later(1, ms("2026-11-25T00:00:00Z")));
        assert_eq!(day.used, 50, "a jump forward opens nothing");
        day.roll(later(13, ms("2026-11-20T20:00:00Z")));
        assert_eq!(day.used, 50, "a jump back neither");
        day.roll(later(26, ms("1970-01-01T00:00:00Z")));
        assert_eq!(day.used, 0, "but no clock closes it for more than a day");
    }

    #[test]
    fn a_provider_whose_day_begins_later_than_ours_costs_a_few_calls_and_no_day() {
        let now = |at: &str| Now::both(ms(at));
        let mut day = Calendar::new(CalendarUnit::Day, "UTC", 0, now("2026-11-20T12:00:00Z"));
        day.push(50);
        let (mut at, begins) = (ms("2026-11-21T00:00:00Z").0, ms("2026-11-21T00:40:00Z").0);
        day.roll(Now::both(UnixMs(at)));
        let mut refused = 0;
        loop {
            at = match day.fits(1, 50, at) {
                Fits::At(next) => next.max(at),
                other => panic!("{other:?}"),
            };
            let call = day.push(1);
            if at >= begins {
                day.answered(call, true);
                break;
            }
            day.answered(call, false);
            day.used -= 1;
            day.exhaust(50, at);
            refused += 1;
        }
        assert!(refused <= 7 && at - begins <= 40 * 60_000, "{refused} refusals, {} ms late", at - begins);
        assert_eq!(day.fits(1, 50, at), Fits::At(at));
        assert_eq!(day.exhaust(50, at + 1), day.ends, "a day that had begun is over until the next");
    }

    #[test]
    fn after_a_reset_a_full_day_is_tried_by_one_call_at_a_time() {
        let now = |at: &str| Now::both(ms(at));
        let mut day = Calendar::new(CalendarUnit::Day, "UTC", 0, now("2026-11-20T12:00:00Z"));
        day.push(50);
        let midnight = now("2026-11-21T00:00:00Z");
        assert_eq!(day.fits(1, 50, now("2026-11-20T12:00:00Z").ms()), Fits::At(midnight.ms()));
        day.roll(midnight);
        assert_eq!(day.fits(1, 50, midnight.ms()), Fits::At(midnight.ms()));
        let probe = day.push(1);
        assert_eq!(day.fits(1, 50, midnight.ms()), Fits::At(midnight.ms() + GUARD_MS));
        day.answered(probe, true);
        assert_eq!(day.fits(1, 50, midnight.ms()), Fits::At(midnight.ms()), "the new day is proven");
    }
}
