//! What becomes of single calls at the desk.

use super::*;
use crate::{
    model::id::{ChannelId, KeyId},
    scheduler::{
        limit::{Metric, Models, Per, Rule, Source, Window},
        pool::{StemSpec, Tier},
    },
};

fn at(ms: i64) -> Now {
    Now::both(UnixMs(1_795_176_000_000 + ms))
}

/// A desk with one key of two calls a minute, and a call that waits for at most 60 s.
fn desk(bounds: Bounds) -> (Desk, impl Fn(i64, i64) -> Call) {
    let mut desk = Desk::new(bounds);
    let keys = vec![(KeyId(1), None)];
    let stem = StemSpec { channel: ChannelId(1), model: "m".into(), keys };
    let (metric, window) = (Metric::Requests, Window::MINUTE);
    let (models, per, source) = (Models::default(), Per::Key, Source::Declared);
    let rule = Rule { channel: ChannelId(1), key: None, models, per, metric, window, max: 2, source };
    desk.pool_mut().declare(&[stem], &[rule], HashMap::new(), at(0));
    let stem = desk.pool().find_stem(ChannelId(1), "m").expect("a stem");
    let plan = Arc::new(Plan { tiers: vec![Tier { stems: vec![(stem, 1)], spill_ms: 0 }] });
    let call = move |token: i64, ms: i64| Call {
        plan: plan.clone(),
        set: 1,
        cost: Cost::default(),
        conversation: None,
        token: TokenId(token),
        weight: 1,
        class: Class::Interactive,
        arrived: at(ms).steady,
        deadline: at(ms + 60_000).steady,
        tried: Tried::default(),
        place: None,
    };
    (desk, call)
}

fn fill(desk: &mut Desk, call: &impl Fn(i64, i64) -> Call) {
    for _ in 0..2 {
        let Answer::Send(grant) = desk.acquire(call(1, 0), at(0), 0) else { panic!("there is room") };
        desk.pool_mut().settle(grant.taken.slot, None, at(100));
    }
}

#[test]
fn a_call_waits_for_its_turn_and_one_timer_wakes_it() {
    let (mut desk, call) = desk(Bounds::default());
    fill(&mut desk, &call);
    let Answer::Queued(id) = desk.acquire(call(1, 5_000), at(5_000), 0) else { panic!("it waits") };
    assert!(desk.poll(at(5_000), || 0).is_empty());
    let wake = desk.next_wake().expect("a time");
    assert!(wake > at(60_000).steady && wake < at(61_500).steady, "{wake:?}");
    let events = desk.poll(Now::both(wake), || 0);
    assert!(matches!(&events[..], [Event::Send(woken, _)] if *woken == id), "{events:?}");
    assert_eq!((desk.waiting(), desk.next_wake()), (0, None));
}

#[test]
fn a_call_that_cannot_be_served_in_time_is_told_at_once_when_to_come_back() {
    let (mut desk, call) = desk(Bounds::default());
    fill(&mut desk, &call);
    assert!(matches!(desk.acquire(call(1, 5_000), at(5_000), 0), Answer::Queued(_)));
    assert!(matches!(desk.acquire(call(1, 5_000), at(5_000), 0), Answer::Queued(_)));
    let Answer::Refused(refusal) = desk.acquire(call(1, 5_000), at(5_000), 0) else {
        panic!("two are before it")
    };
    let after = refusal.retry_after.expect("a time").as_secs();
    assert!((110..=130).contains(&after), "the minute after next begins at about 122 s: {after}");
}

#[test]
fn a_client_that_leaves_leaves_its_place() {
    let (mut desk, call) = desk(Bounds::default());
    fill(&mut desk, &call);
    let Answer::Queued(id) = desk.acquire(call(1, 5_000), at(5_000), 0) else { panic!("it waits") };
    assert!(desk.cancel(id).is_some());
    assert!(desk.cancel(id).is_none(), "once");
    assert_eq!((desk.waiting(), desk.next_wake()), (0, None));
    assert!(desk.poll(at(62_000), || 0).is_empty());
}

#[test]
fn the_line_is_bounded() {
    let (mut desk, call) = desk(Bounds { per_set: 1, total: 10 });
    fill(&mut desk, &call);
    assert!(matches!(desk.acquire(call(1, 5_000), at(5_000), 0), Answer::Queued(_)));
    assert!(matches!(desk.acquire(call(2, 5_000), at(5_000), 0), Answer::Refused(_)));
}

#[test]
fn a_call_in_line_takes_little_memory() {
    assert!(size_of::<Waiter>() + size_of::<Call>() + 256 <= 2048);
}
