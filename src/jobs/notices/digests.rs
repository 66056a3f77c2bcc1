//! Digests: what happened in a day or a week, at the hour that a target asks for.

use jiff::{ToSpan as _, Zoned, civil::Date, tz::TimeZone};

use super::{Parts, keys::that_need_a_hand};
use crate::{
    model::{
        catalog::Catalog,
        notice::{Digest, DigestSchedule, Event, EventKind, Occurrence, Target},
        time::UnixMs,
    },
    storage::{
        StorageError, StorageResult,
        notice_queue::News,
        usage_query::{
            UsageFilter,
            report::{GroupBy, GroupName, Question},
        },
    },
};

/// How many models a digest names.
const MOST_MODELS: usize = 5;
/// How many keys it names.
const MOST_KEYS: usize = 10;
/// A digest that could not be made for so long, because the server was off, is left out: the next one is near.
const LATEST_HOURS: i64 = 20;

/// Adds the digests that are due. A target's first one comes at its next hour. One that cannot be looked up now is looked up
/// again, and holds up no other.
pub(super) async fn due(news: &mut News, parts: &Parts, catalog: &Catalog, targets: &[&Target], now: UnixMs) {
    let wanting = targets.iter().filter(|target| target.set.kinds.contains(&EventKind::Digest));
    for target in wanting {
        if let Err(error) = of_target(news, parts, catalog, target, now).await {
            tracing::warn!(target_id = target.id.0, %error, "cannot make a digest; trying again");
        }
    }
}

async fn of_target(
    news: &mut News,
    parts: &Parts,
    catalog: &Catalog,
    target: &Target,
    now: UnixMs,
) -> StorageResult<()> {
    let Some(slot) = last_slot(target.set.policy.digest, now, &catalog.zone) else { return Ok(()) };
    let source = format!("digest:{}", target.id);
    let told = parts.db.notice_mark(&source).await?;
    if told.is_some_and(|told| told >= slot.0) {
        return Ok(());
    }
    if told.is_some() && now.since(slot).as_secs() < LATEST_HOURS.unsigned_abs() * 3600 {
        match make(parts, catalog, target.set.policy.digest.weekly, slot).await {
            Ok(digest) => {
                let what = Occurrence::Digest(Box::new(digest));
                news.personal.push((target.id, Event { at: now, channel: None, what }));
            }
            // Not to be tried at every look, since it would be as slow then.
            Err(StorageError::TooSlow) => {
                tracing::warn!("a digest took the database too long and is left out")
            }
            Err(error) => return Err(error),
        }
    }
    news.marks.push((source, slot.0));
    Ok(())
}

/// The last time at which a digest was due.
fn last_slot(schedule: DigestSchedule, now: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
    let today = now.zoned(zone).date();
    let at_hour = |date: Date| -> Option<Zoned> {
        date.at(schedule.hour.min(23) as i8, 0, 0, 0).to_zoned(zone.clone()).ok()
    };
    (0..8)
        .filter_map(|back| today.checked_sub(back.days()).ok())
        .filter(|date| !schedule.weekly || date.weekday().to_monday_zero_offset() == 0)
        .filter_map(at_hour)
        .map(|time| UnixMs(time.timestamp().as_millisecond()))
        .find(|slot| *slot <= now)
}

/// The digest of the day before a slot, or of the week before it, by whole days of the zone.
async fn make(parts: &Parts, catalog: &Catalog, weekly: bool, slot: UnixMs) -> StorageResult<Digest> {
    let end = slot.zoned(&catalog.zone).date();
    let days = if weekly { 7 } else { 1 };
    let first = end.checked_sub(days.days()).unwrap_or(end);
    let last = end.checked_sub(1.day()).unwrap_or(end);
    let midnight = |date: Date| {
        let start = date.to_zoned(catalog.zone.clone()).ok();
        start.map_or(slot, |time| UnixMs(time.timestamp().as_millisecond()))
    };
    let (from, to) = (midnight(first), midnight(end));
    let period = UsageFilter { from: Some(from), to: Some(to), ..UsageFilter::default() };
    let report = parts.db.usage_report(&Question::new(period, GroupBy::Model)).await?;
    let mut models = Vec::new();
    for group in report.groups {
        if let GroupName::Model(name) = group.name {
            models.push((name, group.sums.requests));
        }
    }
    models.truncate(MOST_MODELS);
    let mut keys = that_need_a_hand(parts, catalog).await?;
    let more_keys = keys.len().saturating_sub(MOST_KEYS);
    keys.truncate(MOST_KEYS);
    Ok(Digest {
        from,
        to,
        days: (first.to_string(), last.to_string()),
        requests: report.sums.requests,
        ok: report.sums.ok,
        total_tokens: report.sums.tokens.total(),
        cost_micros: report.sums.cost_micros,
        estimated: report.sums.estimated > 0,
        models,
        keys,
        more_keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_at_its_hour_of_the_wall_clock_also_when_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let daily = DigestSchedule { weekly: false, hour: 9 };
        let slot = |now: &str| last_slot(daily, at(now), &zone).unwrap();
        assert_eq!(slot("2026-11-20T07:59:59Z"), at("2026-11-19T08:00:00Z"));
        assert_eq!(slot("2026-11-20T08:00:00Z"), at("2026-11-20T08:00:00Z"));
        assert_eq!(slot("2026-03-28T12:00:00Z"), at("2026-03-28T08:00:00Z"));
        assert_eq!(slot("2026-03-29T12:00:00Z"), at("2026-03-29T07:00:00Z"), "the clocks went forward");
        let gap = DigestSchedule { weekly: false, hour: 2 };
        assert_eq!(last_slot(gap, at("2026-03-29T12:00:00Z"), &zone), Some(at("2026-03-29T01:00:00Z")));
        let weekly = DigestSchedule { weekly: true, hour: 9 };
        // 2026-11-16 is a Monday.
        assert_eq!(last_slot(weekly, at("2026-11-20T12:00:00Z"), &zone), Some(at("2026-11-16T08:00:00Z")));
        assert_eq!(last_slot(weekly, at("2026-11-16T07:00:00Z"), &zone), Some(at("2026-11-09T08:00:00Z")));
    }
}
