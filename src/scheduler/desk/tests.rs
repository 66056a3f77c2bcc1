//! What becomes of single calls at the desk.

use super::*;
use crate::{
    model::{
        id::{ChannelId, KeyId},
        usage::OutcomeClass,
    },
    scheduler::{
        limit::{Metric, Models, Per, Rule, Source, Window},
        pool::{Fault, StemSpec, Tier},
        rest::{Report, RestScope},
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
        rests_until: at(ms + 60_000).steady,
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

#[test]
fn a_burst_that_fits_with_room_to_spare_goes_as_a_whole_however_long_it_has_waited() {
    let mut desk = Desk::new(Bounds::default());
    let stem = StemSpec { channel: ChannelId(1), model: "m".into(), keys: vec![(KeyId(1), None)] };
    let (metric, window, per) = (Metric::Requests, Window::MINUTE, Per::Key);
    let (models, source) = (Models::default(), Source::Declared);
    let rule = Rule { channel: ChannelId(1), key: None, models, per, metric, window, max: 20, source };
    desk.pool_mut().declare(&[stem], &[rule], HashMap::new(), at(0));
    let stem = desk.pool().find_stem(ChannelId(1), "m").expect("a stem");
    let plan = Arc::new(Plan { tiers: vec![Tier { stems: vec![(stem, 1)], spill_ms: 0 }] });
    let call = |ms: i64| Call {
        plan: plan.clone(),
        set: 1,
        cost: Cost::default(),
        conversation: None,
        token: TokenId(1),
        weight: 1,
        class: Class::Interactive,
        arrived: at(ms).steady,
        deadline: at(ms + 60_000).steady,
        rests_until: at(ms + 60_000).steady,
        tried: Tried::default(),
        place: None,
    };
    for _ in 0..20 {
        let Answer::Send(grant) = desk.acquire(call(0), at(0), 0) else { panic!("there is room") };
        desk.pool_mut().settle(grant.taken.slot, None, at(0));
    }
    for _ in 0..13 {
        assert!(matches!(desk.acquire(call(50_000), at(50_000), 0), Answer::Queued(_)));
    }
    // All 20 of the minute before end at once, and nobody else comes.
    let (mut sent, mut last) = (0, 0);
    while let Some(wake) = desk.next_wake() {
        for event in desk.poll(Now::both(wake), || 0) {
            let Event::Send(_, grant) = event else { panic!("{event:?}") };
            desk.pool_mut().settle(grant.taken.slot, None, Now::both(wake));
            (sent, last) = (sent + 1, wake.0 - at(0).ms());
        }
    }
    assert_eq!(sent, 13);
    assert!(last <= 62_000, "there was room for all at 60 s, and the last was sent at {last} ms");
}

#[test]
fn a_first_burst_is_dealt_evenly_to_keys_that_have_never_answered() {
    let mut desk = Desk::new(Bounds::default());
    let keys: Vec<_> = (1..=3).map(|key| (KeyId(key), None)).collect();
    let stem = StemSpec { channel: ChannelId(1), model: "m".into(), keys };
    let (metric, window, per) = (Metric::Requests, Window::MINUTE, Per::Key);
    let (models, source) = (Models::default(), Source::Declared);
    let rule = Rule { channel: ChannelId(1), key: None, models, per, metric, window, max: 40, source };
    desk.pool_mut().declare(&[stem], &[rule], HashMap::new(), at(0));
    let stem = desk.pool().find_stem(ChannelId(1), "m").expect("a stem");
    let plan = Arc::new(Plan { tiers: vec![Tier { stems: vec![(stem, 1)], spill_ms: 0 }] });
    let call = || Call {
        plan: plan.clone(),
        set: 1,
        cost: Cost::default(),
        conversation: None,
        token: TokenId(1),
        weight: 1,
        class: Class::Interactive,
        arrived: at(0).steady,
        deadline: at(60_000).steady,
        rests_until: at(60_000).steady,
        tried: Tried::default(),
        place: None,
    };
    let mut sent: Vec<(i64, Box<Grant>)> = Vec::new();
    for _ in 0..60 {
        if let Answer::Send(grant) = desk.acquire(call(), at(0), 0) {
            sent.push((100, grant));
        }
    }
    assert_eq!(sent.len(), 2, "a model that has never answered gets two calls");
    // The first key answers a little before the second, and the third is asked only then.
    for (key, ms) in [(1, 100), (2, 110), (3, 200)] {
        let of_key =
            sent.iter().filter(|(_, grant)| grant.taken.key == KeyId(key)).map(|(_, grant)| grant.taken.slot);
        for slot in of_key.collect::<Vec<_>>() {
            desk.pool_mut().accepted(slot, at(ms));
        }
        for event in desk.poll(at(ms), || 0) {
            let Event::Send(_, grant) = event else { panic!("{event:?}") };
            sent.push((ms, grant));
        }
    }
    let dealt = [1, 2, 3].map(|key| sent.iter().filter(|(_, grant)| grant.taken.key == KeyId(key)).count());
    assert_eq!(dealt.iter().sum::<usize>(), 60);
    assert!(dealt.iter().all(|calls| (17..=23).contains(calls)), "{dealt:?}");
}

/// A desk with one key without limits, and calls that wait for limits for a minute, for what rests for three seconds.
fn impatient_desk() -> (Desk, impl Fn(i64) -> Call) {
    let mut desk = Desk::new(Bounds::default());
    let stem = StemSpec { channel: ChannelId(1), model: "m".into(), keys: vec![(KeyId(1), None)] };
    desk.pool_mut().declare(&[stem], &[], HashMap::new(), at(0));
    let stem = desk.pool().find_stem(ChannelId(1), "m").expect("a stem");
    let plan = Arc::new(Plan { tiers: vec![Tier { stems: vec![(stem, 1)], spill_ms: 0 }] });
    let call = move |ms: i64| Call {
        plan: plan.clone(),
        set: 1,
        cost: Cost::default(),
        conversation: None,
        token: TokenId(1),
        weight: 1,
        class: Class::Interactive,
        arrived: at(ms).steady,
        deadline: at(ms + 60_000).steady,
        rests_until: at(ms + 3_000).steady,
        tried: Tried::default(),
        place: None,
    };
    (desk, call)
}

/// Lets the only key rest from a time on, for so long.
fn rest(desk: &mut Desk, call: Call, class: OutcomeClass, now: Now, asked_s: u64) {
    let Answer::Send(grant) = desk.acquire(call, now, 0) else { panic!("it is free") };
    let asked = Some(Duration::from_secs(asked_s));
    let fault = Fault {
        report: Report { class, asked, counted: false, status: Some(429), detail: String::new() },
        scope: RestScope::Key,
        period: None,
        models: Models::default(),
        metric: None,
        allowed: None,
        window: None,
        pace: false,
        hung: false,
    };
    desk.pool_mut().fail(&grant.taken, &fault, &mut Tried::default(), now);
}

#[test]
fn a_call_with_other_models_to_go_to_waits_for_a_short_rest_and_not_for_a_long_one() {
    let (mut desk, call) = impatient_desk();
    rest(&mut desk, call(0), OutcomeClass::RateLimited, at(0), 10);
    let Answer::Refused(refusal) = desk.acquire(call(1_000), at(1_000), 0) else { panic!("nine seconds") };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(9)));
    let patient = Call { rests_until: at(61_000).steady, ..call(1_000) };
    let Answer::Queued(id) = desk.acquire(patient, at(1_000), 0) else { panic!("it may wait") };
    desk.cancel(id);
    let Answer::Queued(id) = desk.acquire(call(8_000), at(8_000), 0) else { panic!("two seconds") };
    let wake = desk.next_wake().expect("a time");
    assert_eq!(wake, at(10_000).steady);
    let events = desk.poll(Now::both(wake), || 0);
    assert!(matches!(&events[..], [Event::Send(woken, _)] if *woken == id), "{events:?}");
}

#[test]
fn a_call_in_line_behind_a_patient_one_is_sent_away_in_its_own_time() {
    let (mut desk, call) = impatient_desk();
    rest(&mut desk, call(0), OutcomeClass::RateLimited, at(0), 30);
    let patient = Call { rests_until: at(61_000).steady, ..call(1_000) };
    let Answer::Queued(_) = desk.acquire(patient, at(1_000), 0) else { panic!("it may wait") };
    let Answer::Queued(id) = desk.acquire(call(1_000), at(1_000), 0) else { panic!("somebody is in line") };
    let wake = desk.next_wake().expect("a time");
    assert_eq!(wake, at(4_000).steady);
    let events = desk.poll(Now::both(wake), || 0);
    assert!(matches!(&events[..], [Event::Refused(sent_away, _)] if *sent_away == id), "{events:?}");
    assert_eq!(desk.waiting(), 1);
}

#[test]
fn a_call_that_would_be_sent_away_finds_out_itself_and_others_await_its_answer() {
    let (mut desk, call) = impatient_desk();
    rest(&mut desk, call(0), OutcomeClass::KeyInvalid, at(0), 3_600);
    assert!(matches!(desk.acquire(call(0), at(0), 0), Answer::Refused(_)), "it has only just said so");
    let Answer::Send(grant) = desk.acquire(call(12_000), at(12_000), 0) else { panic!("a trial is due") };
    assert!(grant.taken.trial);
    let Answer::Queued(id) = desk.acquire(call(12_100), at(12_100), 0) else { panic!("it may be over soon") };
    desk.pool_mut().proved(grant.taken.slot, at(13_000));
    let events = desk.poll(at(13_000), || 0);
    assert!(matches!(&events[..], [Event::Send(woken, _)] if *woken == id), "{events:?}");

    let (mut desk, call) = impatient_desk();
    rest(&mut desk, call(0), OutcomeClass::KeyInvalid, at(0), 3_600);
    let Answer::Send(_trial) = desk.acquire(call(12_000), at(12_000), 0) else { panic!("a trial is due") };
    let Answer::Queued(id) = desk.acquire(call(12_100), at(12_100), 0) else { panic!("it may be over soon") };
    let events = desk.poll(at(15_100), || 0);
    assert!(matches!(&events[..], [Event::Refused(sent_away, _)] if *sent_away == id), "{events:?}");
}
