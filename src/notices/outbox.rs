//! When messages go out: the first event of a kind at once, more of it together, not too many in an hour, nothing but what is
//! critical in quiet hours; and when one that failed is tried again.
//!
//! Pure: `now` is an argument, and what waits is in the database (`storage/notice_queue.rs`), so a kill loses nothing.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;

use crate::model::{
    notice::{EventKind, Policy, Severity},
    time::UnixMs,
};

/// How long to wait after each failure; after the last of them the message is given up.
pub const BACK_OFF: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(6 * 3600),
];
/// The longest time that a receiver may ask us to wait.
const LONGEST_ASKED: Duration = Duration::from_secs(6 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
/// The longest time in which events are gathered; older messages need not be known to decide.
pub const LONGEST_MEMORY: Duration = Duration::from_secs(24 * 3600);

/// What is on its way to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events that wait, the oldest first: their id and their kind.
    pub waiting: Vec<(i64, EventKind)>,
    /// A message that has not arrived yet, and when it is tried.
    pub unfinished: Option<(i64, UnixMs)>,
    /// The messages of the last day: when each was made, and of what it told.
    pub recent: Vec<(UnixMs, Vec<EventKind>)>,
}

/// What is to be done for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing before this time; `None`: nothing until something happens.
    Wait(Option<UnixMs>),
    /// Try this message now.
    Send(i64),
    /// Make a message of these events.
    Compose(Vec<i64>),
}

/// What to do for a target now. Until a message has arrived or was given up there is no other one.
pub fn next_step(policy: &Policy, backlog: &Backlog, now: UnixMs, zone: &TimeZone) -> Step {
    if let Some((message, at)) = backlog.unfinished {
        return if at <= now { Step::Send(message) } else { Step::Wait(Some(at)) };
    }
    if backlog.waiting.is_empty() {
        return Step::Wait(None);
    }
    let lately = backlog.recent.iter().map(|(at, _)| *at).filter(|at| now.since(*at) < HOUR && *at <= now);
    let mut lately: Vec<UnixMs> = lately.collect();
    lately.sort_unstable();
    let most = policy.most_per_hour.max(1) as usize;
    if lately.len() >= most {
        // Room for one comes back an hour after the one that filled the hour.
        return Step::Wait(Some(lately[lately.len() - most] + HOUR));
    }
    let window = Duration::from_secs(u64::from(policy.group_minutes) * 60);
    let quiet_until = policy.quiet.and_then(|quiet| quiet_end(quiet, now, zone));
    let mut due_at: BTreeMap<EventKind, UnixMs> = BTreeMap::new();
    for (_, kind) in &backlog.waiting {
        due_at.entry(*kind).or_insert_with(|| {
            let told = backlog.recent.iter().filter(|(at, kinds)| *at <= now && kinds.contains(kind));
            let open = told.map(|(at, _)| *at + window).max().unwrap_or(now);
            match quiet_until {
                Some(end) if kind.severity() < Severity::Critical => open.max(end),
                _ => open,
            }
        });
    }
    let is_due = |kind: &EventKind| due_at.get(kind).is_some_and(|at| *at <= now);
    let ids: Vec<i64> = backlog.waiting.iter().filter(|(_, kind)| is_due(kind)).map(|(id, _)| *id).collect();
    if ids.is_empty() { Step::Wait(due_at.into_values().min()) } else { Step::Compose(ids) }
}

/// When the next try is, after `tries` of them failed; `None`: the message is given up. `asked` is how long the receiver asks
/// to wait.
pub fn retry_at(tries: u32, asked: Option<Duration>, now: UnixMs) -> Option<UnixMs> {
    let wait = *BACK_OFF.get(tries.saturating_sub(1) as usize)?;
    Some(now + wait.max(asked.unwrap_or_default().min(LONGEST_ASKED)))
}

/// When the quiet hours end that `now` lies in.
fn quiet_end((from, until): (u16, u16), now: UnixMs, zone: &TimeZone) -> Option<UnixMs> {
    let local = now.zoned(zone);
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let (from, until) = (i64::from(from), i64::from(until));
    let within =
        if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until };
    if !within {
        return None;
    }
    let left_minutes = (until - minute).rem_euclid(24 * 60);
    let into_minute = i64::from(local.second()) * 1000 + i64::from(local.millisecond());
    let left_ms = left_minutes * 60_000 - into_minute;
    Some(now + Duration::from_millis(left_ms.max(1).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const START: UnixMs = UnixMs(1_000 * 3_600_000);

    fn step(policy: &Policy, backlog: &Backlog, now: UnixMs) -> Step {
        next_step(policy, backlog, now, &TimeZone::UTC)
    }

    fn waiting(kinds: &[EventKind]) -> Backlog {
        let waiting = kinds.iter().enumerate().map(|(id, kind)| (id as i64, *kind)).collect();
        Backlog { waiting, ..Backlog::default() }
    }

    #[test]
    fn the_first_event_goes_out_at_once_and_more_of_its_kind_together_when_the_window_ends() {
        let policy = Policy::default();
        let mut backlog = waiting(&[EventKind::KeyInvalid, EventKind::KeyInvalid, EventKind::ChannelDown]);
        assert_eq!(step(&policy, &backlog, START), Step::Compose(vec![0, 1, 2]));
        backlog.recent.push((START, vec![EventKind::KeyInvalid]));
        assert_eq!(
            step(&policy, &backlog, START + MINUTE),
            Step::Compose(vec![2]),
            "another kind is not held back"
        );
        let backlog = Backlog { waiting: backlog.waiting[..2].to_vec(), ..backlog };
        assert_eq!(step(&policy, &backlog, START + MINUTE), Step::Wait(Some(START + MINUTE * 5)));
        assert_eq!(step(&policy, &backlog, START + MINUTE * 5), Step::Compose(vec![0, 1]));
        let at_once = Policy { group_minutes: 0, ..policy };
        assert_eq!(step(&at_once, &backlog, START), Step::Compose(vec![0, 1]));
        assert_eq!(step(&at_once, &Backlog::default(), START), Step::Wait(None));
    }

    #[test]
    fn beyond_the_messages_of_an_hour_the_rest_waits_and_goes_out_as_one() {
        let policy = Policy { group_minutes: 0, most_per_hour: 3, ..Policy::default() };
        let mut backlog = waiting(&[EventKind::KeyInvalid, EventKind::ChannelDown]);
        backlog.recent = (0..3).map(|minute| (START + MINUTE * minute, vec![EventKind::QuotaLow])).collect();
        let now = START + MINUTE * 3;
        assert_eq!(step(&policy, &backlog, now), Step::Wait(Some(START + HOUR)));
        assert_eq!(step(&policy, &backlog, START + HOUR), Step::Compose(vec![0, 1]));
    }

    #[test]
    fn quiet_hours_hold_back_all_but_what_is_critical_also_over_midnight() {
        let night = Policy { quiet: Some((22 * 60, 7 * 60 + 30)), ..Policy::default() };
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let at = |text: &str| UnixMs(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let backlog = waiting(&[EventKind::KeyInvalid, EventKind::ChannelDown]);
        let morning = at("2026-11-20T23:30:00Z");
        for dark in ["2026-11-20T14:00:00Z", "2026-11-20T20:15:30Z"] {
            assert_eq!(next_step(&night, &backlog, at(dark), &zone), Step::Compose(vec![1]), "{dark}");
            let mild = Backlog { waiting: vec![backlog.waiting[0]], ..Backlog::default() };
            assert_eq!(next_step(&night, &mild, at(dark), &zone), Step::Wait(Some(morning)), "{dark}");
        }
        assert_eq!(next_step(&night, &backlog, morning, &zone), Step::Compose(vec![0, 1]));
    }

    #[test]
    fn a_message_is_tried_again_ever_later_and_given_up_at_last() {
        let backlog = Backlog { unfinished: Some((7, START + MINUTE)), ..waiting(&[EventKind::KeyInvalid]) };
        let policy = Policy::default();
        assert_eq!(step(&policy, &backlog, START), Step::Wait(Some(START + MINUTE)), "others wait behind it");
        assert_eq!(step(&policy, &backlog, START + MINUTE), Step::Send(7));
        for (tries, wait) in (1..).zip(BACK_OFF) {
            assert_eq!(retry_at(tries, None, START), Some(START + wait));
        }
        assert_eq!(retry_at(BACK_OFF.len() as u32 + 1, None, START), None);
        assert_eq!(retry_at(1, Some(MINUTE), START), Some(START + MINUTE), "the receiver's word counts");
        assert_eq!(retry_at(1, Some(HOUR * 99), START), Some(START + HOUR * 6), "within bounds");
    }
}
