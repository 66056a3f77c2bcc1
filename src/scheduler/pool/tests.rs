//! What the pool does with single calls. What it reaches under load, the simulator's tests say.

use std::{collections::HashMap, time::Duration};

use super::{Ask, Choice, Fault, Obstacle, Plan, Pool, StemSpec, Taken, Tier, Told, Tried, Why};
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    scheduler::{
        limit::{CalendarUnit, Cost, LimitScope, Metric, Models, Per, Period, Rule, Source, Window},
        now::Now,
        rest::{Report, Rest, RestScope, Scope},
    },
};

/// 2026-11-20T12:00:00Z.
const NOON: i64 = 1_795_176_000_000;

pub(super) fn at(seconds: i64) -> Now {
    Now::both(UnixMs(NOON + seconds * 1000))
}

pub(super) fn rule(per: Per, metric: Metric, window: Window, max: u64) -> Rule {
    let (channel, models, source) = (ChannelId(1), Models::default(), Source::Declared);
    Rule { channel, key: None, models, per, metric, window, max, source }
}

pub(super) fn day() -> Window {
    Window::Calendar { unit: CalendarUnit::Day, zone: "UTC".into(), offset_minutes: 0 }
}

/// A pool with models `m` and `n` on these keys of channel 1, and the plan of `m`.
pub(super) fn pool(keys: &[(i64, Option<&str>)], rules: &[Rule]) -> (Pool, Plan) {
    let keys: Vec<_> = keys.iter().map(|(key, group)| (KeyId(*key), group.map(str::to_owned))).collect();
    let stem = |model: &str| StemSpec { channel: ChannelId(1), model: model.into(), keys: keys.clone() };
    let mut pool = Pool::default();
    pool.declare(&[stem("m"), stem("n")], rules, HashMap::new(), at(0));
    let plan = plan_of(&pool, "m");
    (pool, plan)
}

pub(super) fn plan_of(pool: &Pool, model: &str) -> Plan {
    let stem = pool.find_stem(ChannelId(1), model).expect("a stem");
    Plan { tiers: vec![Tier { stems: vec![(stem, 1)], spill_ms: 0 }] }
}

pub(super) fn choose(pool: &mut Pool, plan: &Plan, cost: Cost, tried: &mut Tried, now: Now) -> Choice {
    let ask = Ask { plan, cost, conversation: None, waited_ms: 0, pace_permille: 0, waiting: 0, random: 0 };
    pool.choose(&ask, tried, now)
}

#[track_caller]
pub(super) fn take(pool: &mut Pool, plan: &Plan, now: Now) -> Taken {
    match choose(pool, plan, Cost::default(), &mut Tried::default(), now) {
        Choice::Take(taken) => taken,
        other => panic!("{other:?}"),
    }
}

/// Takes, is accepted and settles.
#[track_caller]
pub(super) fn call(pool: &mut Pool, plan: &Plan, now: Now) -> KeyId {
    let taken = take(pool, plan, now);
    pool.settle(taken.slot, None, now);
    taken.key
}

pub(super) fn wait(pool: &mut Pool, plan: &Plan, now: Now) -> Option<(Option<UnixMs>, Why)> {
    match choose(pool, plan, Cost::default(), &mut Tried::default(), now) {
        Choice::Wait { until, why, .. } => Some((until, why)),
        _ => None,
    }
}

pub(super) fn fault(class: OutcomeClass, scope: RestScope, period: Option<Period>) -> Fault {
    let report = Report { class, asked: None, counted: false, status: None, detail: String::new() };
    Fault {
        report,
        scope,
        period,
        models: Models::default(),
        metric: None,
        allowed: None,
        window: None,
        pace: false,
        hung: false,
    }
}

#[test]
fn keys_take_turns_and_each_has_its_own_minute() {
    let (mut pool, plan) =
        pool(&[(1, None), (2, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 3)]);
    let keys: Vec<i64> = (0..6).map(|_| call(&mut pool, &plan, at(0)).0).collect();
    assert_eq!(keys.iter().filter(|key| **key == 1).count(), 3, "{keys:?}");
    let (until, why) = wait(&mut pool, &plan, at(1)).expect("a wait");
    assert_eq!(why, Why::Limit);
    let waits = until.expect("a time").since(at(0).steady);
    assert!(waits >= Duration::from_secs(60) && waits <= Duration::from_secs(61), "{waits:?}");
    assert!(wait(&mut pool, &plan, at(61)).is_none());
}

#[test]
fn a_keys_limit_holds_for_all_of_its_models_and_a_models_for_all_keys() {
    let (mut pool, m) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 2)]);
    let n = plan_of(&pool, "n");
    call(&mut pool, &m, at(0));
    call(&mut pool, &n, at(0));
    assert!(wait(&mut pool, &m, at(1)).is_some() && wait(&mut pool, &n, at(1)).is_some());

    let (mut pool, m) =
        super::tests::pool(&[(1, None), (2, None)], &[rule(Per::Model, Metric::Requests, Window::MINUTE, 1)]);
    let n = plan_of(&pool, "n");
    call(&mut pool, &m, at(0));
    assert!(wait(&mut pool, &m, at(1)).is_some(), "no other key helps");
    call(&mut pool, &n, at(0));
}

#[test]
fn tokens_are_settled_to_what_was_used_at_the_time_of_the_call() {
    let tokens = rule(Per::Key, Metric::Tokens, Window::MINUTE, 1000);
    let (mut pool, plan) = pool(&[(1, None)], &[tokens]);
    let cost = |tokens| Cost { tokens, ..Cost::default() };
    let mut tried = Tried::default();
    let Choice::Take(first) = choose(&mut pool, &plan, cost(900), &mut tried, at(0)) else { panic!() };
    assert!(matches!(
        choose(&mut pool, &plan, cost(200), &mut tried, at(1)),
        Choice::Wait { sized: true, .. }
    ));
    pool.settle(first.slot, Some(cost(100)), at(30));
    let Choice::Take(second) = choose(&mut pool, &plan, cost(200), &mut tried, at(30)) else { panic!() };
    pool.settle(second.slot, Some(cost(2000)), at(31));
    let debt = choose(&mut pool, &plan, cost(1), &mut tried, at(62));
    assert!(matches!(debt, Choice::Wait { until: Some(until), .. } if until >= at(90).steady), "{debt:?}");
    assert_eq!(choose(&mut pool, &plan, cost(1001), &mut tried, at(0)), Choice::Nothing(Why::TooLarge));
}

#[test]
fn a_slot_comes_back_once_on_every_path() {
    let at_once = rule(Per::Key, Metric::Concurrency, Window::AtOnce, 1);
    let (mut pool, plan) = pool(&[(1, None)], &[at_once]);
    let end: [fn(&mut Pool, &Taken); 4] = [
        |pool, taken| pool.settle(taken.slot, None, at(1)),
        |pool, taken| pool.cancel(taken.slot, true, None, at(1)),
        |pool, taken| pool.cancel(taken.slot, false, None, at(1)),
        |pool, taken| {
            let fault = fault(OutcomeClass::HostError, RestScope::KeyModel, None);
            pool.fail(taken, &fault, &mut Tried::default(), at(1));
        },
    ];
    for end in end {
        let taken = take(&mut pool, &plan, at(0));
        assert!(matches!(wait(&mut pool, &plan, at(0)), Some((None, _))), "one at a time");
        end(&mut pool, &taken);
        end(&mut pool, &taken);
        assert!(!pool.take_touched(at(1)).is_empty(), "those who wait hear of it");
    }
    let only = take(&mut pool, &plan, at(2));
    assert!(wait(&mut pool, &plan, at(2)).is_some(), "giving back twice gave no second slot");
    pool.settle(only.slot, None, at(2));
}

#[test]
fn a_call_that_was_never_sent_costs_nothing() {
    let (mut pool, plan) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 1)]);
    let taken = take(&mut pool, &plan, at(0));
    pool.cancel(taken.slot, false, None, at(0));
    call(&mut pool, &plan, at(0));
    assert!(wait(&mut pool, &plan, at(0)).is_some());
}

#[test]
fn a_busy_model_rests_on_all_keys_and_the_keys_do_not() {
    let (mut pool, m) = pool(&[(1, None), (2, None)], &[]);
    let n = plan_of(&pool, "n");
    let taken = take(&mut pool, &m, at(0));
    let busy = fault(OutcomeClass::RateLimited, RestScope::ChannelModel, None);
    let (scope, until) = pool.fail(&taken, &busy, &mut Tried::default(), at(0)).expect("a rest");
    assert_eq!(scope, Scope::ChannelModel(ChannelId(1), "m".into()));
    assert!(until.since(at(0).steady) <= Duration::from_secs(10), "the first rest is short");
    assert!(wait(&mut pool, &m, at(0)).is_some());
    call(&mut pool, &n, at(0));
}

#[test]
fn one_fault_of_a_host_rests_nothing_and_many_at_once_are_one() {
    let (mut pool, plan) = pool(&[(1, None), (2, None)], &[]);
    call(&mut pool, &plan, at(0));
    call(&mut pool, &plan, at(0));
    let taken: Vec<Taken> = (0..6).map(|_| take(&mut pool, &plan, at(1))).collect();
    let down = fault(OutcomeClass::HostError, RestScope::Channel, None);
    for taken in &taken {
        let (_, until) = pool.fail(taken, &down, &mut Tried::default(), at(2)).expect("a scope");
        assert_eq!(until, at(2).steady);
    }
    let next = take(&mut pool, &plan, at(3));
    let (_, until) = pool.fail(&next, &down, &mut Tried::default(), at(4)).expect("a rest");
    assert_eq!(until.since(at(4).steady), Duration::from_secs(2));
}

#[test]
fn a_day_that_is_over_rests_its_group_until_the_providers_midnight() {
    let (mut pool, plan) =
        pool(&[(1, Some("a")), (2, Some("a")), (3, None)], &[rule(Per::Owner, Metric::Requests, day(), 50)]);
    let taken = loop {
        let taken = take(&mut pool, &plan, at(0));
        if taken.key != KeyId(3) {
            break taken;
        }
        pool.settle(taken.slot, None, at(0));
    };
    let over = fault(OutcomeClass::RateLimited, RestScope::Group, Some(Period::Day));
    let (scope, until) = pool.fail(&taken, &over, &mut Tried::default(), at(1)).expect("a rest");
    assert_eq!((scope, until), (Scope::Group(ChannelId(1), "a".into()), at(12 * 3600).steady));
    let keys: Vec<i64> = (0..4).map(|_| call(&mut pool, &plan, at(2)).0).collect();
    assert_eq!(keys, [3, 3, 3, 3]);
}

#[test]
fn headers_shrink_a_limit_at_once_and_never_open_one() {
    let (mut pool, plan) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, day(), 50)]);
    let taken = take(&mut pool, &plan, at(0));
    pool.accepted(taken.slot, at(0));
    let told = |allowed, left| Told { per: Per::Key, metric: Metric::Requests, window: day(), allowed, left };
    pool.told(&taken, &told(Some(1_000_000), Some(1_000_000)), at(0));
    let reading = |pool: &mut Pool| pool.readings(&LimitScope::Key(KeyId(1)), at(0))[0].clone();
    assert_eq!((reading(&mut pool).max, reading(&mut pool).used), (50, 1), "a wrong header opens nothing");
    pool.told(&taken, &told(Some(20), Some(5)), at(0));
    assert_eq!((reading(&mut pool).max, reading(&mut pool).used), (20, 15));
    pool.told(&taken, &told(None, Some(0)), at(0));
    pool.settle(taken.slot, None, at(0));
    assert!(wait(&mut pool, &plan, at(1)).is_some());
}

/// A pool with a free and a paid model on these keys of channel 1, and their plans.
fn free_and_paid(keys: &[(i64, Option<&str>)], rules: &[Rule]) -> (Pool, Plan, Plan) {
    let keys: Vec<_> = keys.iter().map(|(key, group)| (KeyId(*key), group.map(str::to_owned))).collect();
    let stem = |model: &str| StemSpec { channel: ChannelId(1), model: model.into(), keys: keys.clone() };
    let mut pool = Pool::default();
    pool.declare(&[stem("m:free"), stem("n:free"), stem("paid")], rules, HashMap::new(), at(0));
    let (free, paid) = (plan_of(&pool, "m:free"), plan_of(&pool, "paid"));
    (pool, free, paid)
}

fn free_models() -> Models {
    Models(vec!["*:free".to_owned()])
}

#[test]
fn a_limit_of_some_models_counts_and_holds_back_only_those() {
    for per in [Per::Owner, Per::Key, Per::Channel] {
        let rule = Rule { models: free_models(), ..rule(per, Metric::Requests, Window::MINUTE, 2) };
        let (mut pool, free, paid) = free_and_paid(&[(1, Some("a")), (2, Some("a"))], &[rule]);
        let other_free = plan_of(&pool, "n:free");
        for _ in 0..8 {
            call(&mut pool, &paid, at(0));
        }
        let room = if per == Per::Key { 4 } else { 2 };
        for place in 0..room {
            call(&mut pool, if place % 2 == 0 { &free } else { &other_free }, at(1));
        }
        assert!(wait(&mut pool, &free, at(2)).is_some(), "{per:?}");
        assert!(wait(&mut pool, &other_free, at(2)).is_some(), "{per:?}: they share it");
        call(&mut pool, &paid, at(2));
        assert_eq!(pool.capacity(&free, Cost::default(), at(2)).next_minute, Some(room), "{per:?}");
        assert_eq!(pool.capacity(&paid, Cost::default(), at(2)).per_minute, None, "{per:?}");
    }
}

#[test]
fn a_limit_of_some_models_survives_a_restart_and_a_new_model_falls_under_it() {
    let rules = [Rule { models: free_models(), ..rule(Per::Owner, Metric::Requests, Window::MINUTE, 2) }];
    let keys = [(1, Some("a")), (2, Some("a"))];
    let (mut before, free, _) = free_and_paid(&keys, &rules);
    call(&mut before, &free, at(0));
    call(&mut before, &free, at(0));
    let text = serde_json::to_string(&before.save(at(1))).expect("JSON");
    let (mut after, free, paid) = free_and_paid(&keys, &rules);
    after.restore(&serde_json::from_str(&text).expect("the same"), None, at(2));
    assert!(wait(&mut after, &free, at(3)).is_some());
    call(&mut after, &paid, at(3));
    let keys: Vec<_> = keys.iter().map(|(key, group)| (KeyId(*key), group.map(str::to_owned))).collect();
    let stem = |model: &str| StemSpec { channel: ChannelId(1), model: model.into(), keys: keys.clone() };
    after.declare(&[stem("m:free"), stem("new:free"), stem("new")], &rules, HashMap::new(), at(4));
    let (free, paid) = (plan_of(&after, "new:free"), plan_of(&after, "new"));
    assert!(wait(&mut after, &free, at(4)).is_some());
    call(&mut after, &paid, at(4));
}

#[test]
fn a_day_that_is_over_for_free_models_rests_those_on_all_keys_of_the_account() {
    let keys = [(1, Some("a")), (2, Some("a")), (3, Some("b"))];
    let (mut pool, free, paid) = free_and_paid(&keys, &[]);
    let taken = take(&mut pool, &free, at(0));
    let over = Fault {
        models: free_models(),
        ..fault(OutcomeClass::RateLimited, RestScope::Group, Some(Period::Day))
    };
    let (scope, until) = pool.fail(&taken, &over, &mut Tried::default(), at(0)).expect("a rest");
    let group = keys.iter().find(|(key, _)| KeyId(*key) == taken.key).and_then(|(_, group)| *group);
    let whole = Scope::Group(ChannelId(1), group.expect("a group").to_owned());
    assert_eq!(scope, Scope::Models(Box::new(whole), free_models()));
    assert!(until > at(0).steady);
    let resting = |pool: &mut Pool, plan: &Plan| {
        let standings = pool.explain(plan, Cost::default(), at(1));
        let rest = |obstacle: &Option<Obstacle>| matches!(obstacle, Some(Obstacle::Rest { .. }));
        let mut keys: Vec<i64> =
            standings.iter().filter(|found| rest(&found.obstacle)).map(|found| found.key.0).collect();
        keys.sort_unstable();
        keys
    };
    let expected: Vec<i64> = keys.iter().filter(|(_, own)| *own == group).map(|(key, _)| *key).collect();
    let other_free = plan_of(&pool, "n:free");
    assert_eq!(resting(&mut pool, &free), expected);
    assert_eq!(resting(&mut pool, &other_free), expected);
    assert_eq!(resting(&mut pool, &paid), [0; 0], "paid models go on");

    // The rest is kept as JSON, and holds before anybody was refused again.
    let text = serde_json::to_string(&pool.rests_mut().snapshot(at(1).steady)).expect("JSON");
    let (mut after, free, paid) = free_and_paid(&keys, &[]);
    after.rests_mut().restore(serde_json::from_str::<Vec<(Scope, Rest)>>(&text).expect("the same"));
    assert_eq!(resting(&mut after, &free), expected);
    assert_eq!(resting(&mut after, &paid), [0; 0]);
    assert!(after.rests_mut().clear(&scope));
    assert_eq!(resting(&mut after, &free), [0; 0], "the operator may end it");
}

#[test]
fn one_model_of_an_account_rests_on_all_of_its_keys() {
    let (mut pool, plan) = pool(&[(1, Some("a")), (2, Some("a")), (3, None)], &[]);
    let taken = loop {
        let taken = take(&mut pool, &plan, at(0));
        if taken.key != KeyId(3) {
            break taken;
        }
        pool.settle(taken.slot, None, at(0));
    };
    let over = fault(OutcomeClass::RateLimited, RestScope::GroupModel, Some(Period::Day));
    let (scope, _) = pool.fail(&taken, &over, &mut Tried::default(), at(0)).expect("a rest");
    assert_eq!(scope, Scope::GroupModel(ChannelId(1), "a".into(), "m".into()));
    assert_eq!([1, 2, 3].map(|_| call(&mut pool, &plan, at(1)).0), [3, 3, 3]);
    let n = plan_of(&pool, "n");
    let keys: Vec<i64> = (0..3).map(|_| call(&mut pool, &n, at(1)).0).collect();
    assert!(keys.contains(&1) && keys.contains(&2), "{keys:?}");
}

#[test]
fn an_amount_that_a_refusal_names_holds_in_the_window_that_it_names() {
    let (mut pool, plan) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 30)]);
    let taken = take(&mut pool, &plan, at(0));
    let per_second = Window::Rolling { ms: 1_000 };
    let told = Fault {
        allowed: Some(2),
        window: Some(per_second.clone()),
        ..fault(OutcomeClass::RateLimited, RestScope::Key, Some(Period::Minute))
    };
    pool.fail(&taken, &told, &mut Tried::default(), at(0));
    let readings = pool.readings(&LimitScope::Key(KeyId(1)), at(0));
    let found: Vec<_> = readings.iter().map(|reading| (reading.window.clone(), reading.max)).collect();
    assert_eq!(found, [(Window::MINUTE, 30), (per_second, 2)]);
}

#[test]
fn one_refusal_of_a_quiet_key_limits_neither_it_nor_the_others() {
    let keys = [(1, None), (2, None), (3, None)];
    let (mut pool, plan) = pool(&keys, &[]);
    for second in 0..9 {
        call(&mut pool, &plan, at(second));
    }
    let taken = take(&mut pool, &plan, at(10));
    let refused = fault(OutcomeClass::RateLimited, RestScope::KeyModel, None);
    let (_, until) = pool.fail(&taken, &refused, &mut Tried::default(), at(10)).expect("a rest");
    assert!(until.since(at(10).steady) <= Duration::from_secs(10), "the first rest is short");
    let limits = |pool: &mut Pool, key: i64| {
        let scope = LimitScope::KeyModel(KeyId(key), "m".into());
        pool.readings(&scope, at(46)).iter().map(|reading| reading.max).collect::<Vec<_>>()
    };
    for (key, _) in keys {
        assert_eq!(limits(&mut pool, key), [0; 0], "key {key}");
    }
    // Refused again, it is sent to at an even pace; the others are asked as before.
    let again = loop {
        let next = take(&mut pool, &plan, at(45));
        if next.key == taken.key {
            break next;
        }
        pool.settle(next.slot, None, at(45));
    };
    pool.fail(&again, &refused, &mut Tried::default(), at(45));
    for (key, _) in keys {
        assert_eq!(limits(&mut pool, key).is_empty(), KeyId(key) != taken.key, "key {key}");
    }
}

#[test]
fn many_refusals_at_once_make_one_limit() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    for second in 0..20 {
        call(&mut pool, &plan, at(second));
    }
    let taken: Vec<Taken> = (0..5).map(|_| take(&mut pool, &plan, at(20))).collect();
    let refused = fault(OutcomeClass::RateLimited, RestScope::KeyModel, None);
    for taken in &taken {
        pool.fail(taken, &refused, &mut Tried::default(), at(20));
    }
    let readings = pool.readings(&LimitScope::KeyModel(KeyId(1), "m".into()), at(20));
    let found: Vec<u64> = readings.iter().map(|reading| reading.max).collect();
    assert_eq!(found, [20], "as many as were accepted in the minute");
}

#[test]
fn what_the_operator_insists_on_nothing_changes() {
    let insisted = Rule { source: Source::Operator, ..rule(Per::Key, Metric::Requests, Window::MINUTE, 10) };
    let (mut pool, plan) = pool(&[(1, None)], &[insisted]);
    for second in 0..5 {
        call(&mut pool, &plan, at(second));
    }
    let taken = take(&mut pool, &plan, at(6));
    pool.told(
        &taken,
        &Told {
            per: Per::Key,
            metric: Metric::Requests,
            window: Window::MINUTE,
            allowed: Some(2),
            left: None,
        },
        at(6),
    );
    pool.fail(&taken, &fault(OutcomeClass::RateLimited, RestScope::Key, None), &mut Tried::default(), at(6));
    assert_eq!(pool.readings(&LimitScope::Key(KeyId(1)), at(6))[0].max, 10);
}

#[test]
fn setting_the_clock_opens_no_limit() {
    let rules =
        [rule(Per::Key, Metric::Requests, Window::MINUTE, 1), rule(Per::Key, Metric::Requests, day(), 50)];
    let (mut pool, plan) = pool(&[(1, None)], &rules);
    call(&mut pool, &plan, at(0));
    for wall in [UnixMs(NOON + 5 * 86_400_000), UnixMs(0)] {
        assert!(wait(&mut pool, &plan, Now { steady: at(5).steady, wall }).is_some());
    }
    assert!(wait(&mut pool, &plan, Now { steady: UnixMs(NOON - 3_600_000), wall: UnixMs(NOON) }).is_some());
}

#[test]
fn a_conversation_stays_with_its_key_while_that_costs_nothing() {
    let (mut pool, plan) =
        pool(&[(1, None), (2, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 3)]);
    let mut ask = |conversation| {
        let ask = Ask {
            plan: &plan,
            cost: Cost::default(),
            conversation,
            waited_ms: 0,
            pace_permille: 0,
            waiting: 0,
            random: 0,
        };
        match pool.choose(&ask, &mut Tried::default(), at(0)) {
            Choice::Take(taken) => {
                pool.settle(taken.slot, None, at(0));
                taken.key
            }
            other => panic!("{other:?}"),
        }
    };
    let first = ask(Some(7));
    assert_eq!([ask(Some(7)), ask(Some(7))], [first, first]);
    assert_ne!(ask(Some(7)), first, "its minute is used up");
}

#[test]
fn an_explanation_says_who_is_next_and_why_each_other_one_is_not() {
    let (mut pool, plan) =
        pool(&[(1, None), (2, None), (3, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 1)]);
    let used = call(&mut pool, &plan, at(0));
    let taken = take(&mut pool, &plan, at(0));
    pool.fail(&taken, &fault(OutcomeClass::KeyInvalid, RestScope::Key, None), &mut Tried::default(), at(0));
    let standings = pool.explain(&plan, Cost::default(), at(1));
    assert_eq!(standings.iter().map(|standing| standing.rank).collect::<Vec<_>>(), [Some(0), None, None]);
    assert_eq!(standings[1].key, used);
    assert!(matches!(&standings[1].obstacle, Some(Obstacle::Limit { reading, .. }) if reading.used == 1));
    assert!(
        matches!(&standings[2].obstacle, Some(Obstacle::Rest { rest, .. }) if rest.class == OutcomeClass::KeyInvalid)
    );
    assert_eq!(standings[2].ready_at.map(|ready| ready.since(at(0).wall)), Some(Duration::from_secs(3600)));
}

#[test]
fn the_capacity_counts_what_keys_share_once() {
    let rules = [
        rule(Per::Owner, Metric::Requests, Window::MINUTE, 40),
        rule(Per::Owner, Metric::Requests, day(), 50),
    ];
    let (mut pool, plan) = pool(&[(1, Some("a")), (2, Some("a")), (3, None)], &rules);
    for _ in 0..3 {
        call(&mut pool, &plan, at(0));
    }
    let capacity = pool.capacity(&plan, Cost::default(), at(0));
    assert_eq!((capacity.per_minute, capacity.per_day), (Some(80), Some(100)));
    assert_eq!(capacity.next_minute, Some(77));
}

#[test]
fn a_clear_of_a_rest_is_noticed_at_once() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    let taken = take(&mut pool, &plan, at(0));
    pool.fail(&taken, &fault(OutcomeClass::KeyInvalid, RestScope::Key, None), &mut Tried::default(), at(0));
    assert_eq!(wait(&mut pool, &plan, at(1)).map(|(_, why)| why), Some(Why::Rest(OutcomeClass::KeyInvalid)));
    assert!(pool.rests_mut().clear(&Scope::Key(KeyId(1))));
    call(&mut pool, &plan, at(1));
}

#[test]
fn a_saved_state_reads_back_as_it_was() {
    let rules =
        [rule(Per::Key, Metric::Requests, Window::MINUTE, 3), rule(Per::Key, Metric::Requests, day(), 50)];
    let (mut before, plan) = pool(&[(1, None)], &rules);
    for _ in 0..3 {
        call(&mut before, &plan, at(0));
    }
    let text = serde_json::to_string(&before.save(at(1))).expect("JSON");
    let (mut after, plan) = pool(&[(1, None)], &rules);
    after.restore(&serde_json::from_str(&text).expect("the same"), None, at(2));
    assert!(wait(&mut after, &plan, at(3)).is_some());
    assert_eq!(after.readings(&LimitScope::Key(KeyId(1)), at(3))[1].used, 3);
    // A clock that was set back while it was down makes nothing look older.
    let (mut back, plan) = pool(&[(1, None)], &rules);
    back.restore(&serde_json::from_str(&text).expect("the same"), None, at(-3600));
    assert!(wait(&mut back, &plan, at(-3590)).is_some());
}

#[test]
fn a_key_that_filled_up_before_its_answers_were_timed_opens_as_early_as_they_allow() {
    let after = |ms: i64| Now::both(UnixMs(NOON + ms));
    let (mut pool, plan) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, Window::MINUTE, 20)]);
    call(&mut pool, &plan, after(0));
    let under_way: Vec<_> = (0..19).map(|_| take(&mut pool, &plan, after(0))).collect();
    // The next one finds the key full, before anybody knows how fast it answers.
    assert!(wait(&mut pool, &plan, after(1)).is_some());
    for taken in under_way {
        pool.settle(taken.slot, None, after(150));
    }
    let (until, _) = wait(&mut pool, &plan, after(200)).expect("a wait");
    let until = until.expect("a time").since(after(0).steady);
    assert!(until <= Duration::from_millis(60_300), "answers took 150 ms, and yet it waits for {until:?}");
}

#[test]
fn calls_that_may_have_been_sent_before_a_crash_count_also_if_nothing_was_saved_for_long() {
    let rules = [rule(Per::Key, Metric::Requests, Window::MINUTE, 40)];
    let (mut before, plan) = pool(&[(1, None)], &rules);
    for _ in 0..20 {
        call(&mut before, &plan, at(0));
    }
    // Nothing changes for half a minute, so nothing more is saved; then come 20 calls at once, and a crash.
    let saved = before.save(at(1));
    for _ in 0..20 {
        call(&mut before, &plan, at(32));
    }
    let (mut after, plan) = pool(&[(1, None)], &rules);
    after.restore(&saved, Some(Duration::from_secs(1)), at(33));
    let free = |pool: &mut Pool| {
        let mut tried = Tried::default();
        matches!(choose(pool, &plan, Cost::default(), &mut tried, at(70)), Choice::Take(_))
    };
    call(&mut after, &plan, at(70));
    let sent = 1 + (0..40).take_while(|_| free(&mut after)).count();
    assert!(sent <= 20, "20 calls were sent 38 s ago, and now {sent} more of 40");
}

#[test]
fn refusals_of_calls_that_were_under_way_when_a_limit_was_learned_teach_nothing_else() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    for _ in 0..30 {
        call(&mut pool, &plan, at(0));
    }
    let under_way: Vec<_> = (0..4).map(|_| take(&mut pool, &plan, at(10))).collect();
    let refused = fault(OutcomeClass::RateLimited, RestScope::KeyModel, Some(Period::Minute));
    for taken in under_way {
        pool.fail(&taken, &refused, &mut Tried::default(), at(10));
    }
    let readings = pool.readings(&LimitScope::KeyModel(KeyId(1), "m".into()), at(11));
    let learned: Vec<_> = readings.iter().map(|reading| reading.max).collect();
    assert!(learned.len() == 1 && learned[0] >= 30, "30 were accepted within seconds: {learned:?}");
}

#[test]
fn a_pause_may_be_shorter_than_the_rest_that_it_replaces_and_no_call_overlooks_it() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    let key = Scope::Key(KeyId(1));
    pool.pause(&key, at(600).steady, at(0));
    let paused = Some((Some(at(600).steady), Why::Rest(OutcomeClass::Paused)));
    assert_eq!(wait(&mut pool, &plan, at(0)), paused);
    pool.pause(&key, at(60).steady, at(1));
    assert_eq!(call(&mut pool, &plan, at(60)), KeyId(1));
    pool.pause(&key, at(600).steady, at(61));
    assert!(wait(&mut pool, &plan, at(62)).is_some());
    pool.rests_mut().clear(&key);
    assert_eq!(call(&mut pool, &plan, at(63)), KeyId(1));
}

#[test]
fn an_outlook_tells_accounts_from_keys_and_known_from_unknown() {
    let minute = rule(Per::Owner, Metric::Requests, Window::MINUTE, 40);
    let (mut pool, plan) = pool(&[(1, Some("a")), (2, Some("a")), (3, None)], std::slice::from_ref(&minute));
    pool.pause(&Scope::Key(KeyId(3)), at(600).steady, at(0));
    let outlook = pool.outlook(&plan, Cost::default(), at(0));
    assert_eq!((outlook.keys, outlook.owners, outlook.resting, outlook.unknown), (3, 2, 1, 0));
    assert_eq!((outlook.calls.per_minute, outlook.calls.next_minute), (80, 40));
    assert_eq!(
        outlook.binding.iter().map(|kind| (kind.limits, kind.max)).collect::<Vec<_>>(),
        [(1, 40), (1, 40)]
    );

    let only = Rule { key: Some(KeyId(1)), per: Per::Key, ..minute };
    let (mut pool, plan) = super::tests::pool(&[(1, None), (2, None)], &[only]);
    let outlook = pool.outlook(&plan, Cost::default(), at(0));
    assert_eq!((outlook.unknown, outlook.calls.per_minute), (1, 40));
}

#[test]
fn calls_that_were_noted_after_the_last_save_count_after_a_crash_and_those_before_it_once() {
    let rules = [rule(Per::Key, Metric::Requests, Window::MINUTE, 10)];
    let (mut before, plan) = pool(&[(1, None)], &rules);
    for _ in 0..3 {
        call(&mut before, &plan, at(0));
    }
    let saved = before.save(at(1));
    let sent = |second| super::Sent {
        at: at(second).wall,
        channel: ChannelId(1),
        key: KeyId(1),
        model: "m".into(),
        cost: Cost::default(),
    };
    let noted: Vec<_> = [0, 0, 0, 2, 2, 3, 3, 3].into_iter().map(sent).collect();
    let (mut after, plan) = pool(&[(1, None)], &rules);
    after.restore(&saved, None, at(5));
    after.replay(&noted, saved.at, at(5));
    for _ in 0..2 {
        call(&mut after, &plan, at(6));
    }
    assert!(wait(&mut after, &plan, at(6)).is_some(), "three were saved, five noted, two are sent");
}
