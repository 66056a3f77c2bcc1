//! When what rests is tried all the same, and when it is left alone.

use std::time::Duration;

use super::super::tests::{at, call, choose, day, fault, plan_of, pool, rule, take, wait};
use crate::{
    model::{id::KeyId, usage::OutcomeClass},
    scheduler::{
        limit::{Cost, Metric, Per, Period, Window},
        now::Now,
        pool::{Ask, Choice, Fault, Plan, Pool, Taken, Tried, Why},
        rest::{RestScope, Scope},
    },
};

fn refused(class: OutcomeClass, scope: RestScope, asked_s: Option<u64>) -> Fault {
    let mut fault = fault(class, scope, None);
    fault.report.asked = asked_s.map(Duration::from_secs);
    fault
}

fn invalid() -> Fault {
    refused(OutcomeClass::KeyInvalid, RestScope::Key, None)
}

fn try_resting(pool: &mut Pool, plan: &Plan, tried: &mut Tried, now: Now) -> Option<Taken> {
    let cost = Cost::default();
    let ask = Ask { plan, cost, conversation: None, waited_ms: 0, pace_permille: 0, waiting: 0, random: 0 };
    pool.try_resting(&ask, tried, true, now)
}

fn trial(pool: &mut Pool, plan: &Plan, now: Now) -> Option<Taken> {
    try_resting(pool, plan, &mut Tried::default(), now)
}

/// A pool whose only key was just refused like this.
fn resting(fault: &Fault) -> (Pool, Plan) {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    call(&mut pool, &plan, at(-60));
    let taken = take(&mut pool, &plan, at(0));
    pool.fail(&taken, fault, &mut Tried::default(), at(0));
    assert!(wait(&mut pool, &plan, at(0)).is_some(), "it rests");
    (pool, plan)
}

#[test]
fn each_learned_rest_is_tried_when_nothing_else_is_left_and_content_ends_it() {
    use OutcomeClass::{KeyInvalid, ModelUnavailable, OutOfCredit, RateLimited};
    for fault in [
        invalid(),
        refused(OutOfCredit, RestScope::Group, None),
        refused(ModelUnavailable, RestScope::ChannelModel, Some(3600)),
        refused(ModelUnavailable, RestScope::KeyModel, Some(3600)),
        refused(RateLimited, RestScope::KeyModel, Some(86_400)),
        refused(KeyInvalid, RestScope::Key, Some(90)),
    ] {
        let (mut pool, plan) = resting(&fault);
        assert!(trial(&mut pool, &plan, at(0)).is_none(), "it has only just said so: {fault:?}");
        let taken = trial(&mut pool, &plan, at(5)).expect("a trial");
        assert!(taken.trial);
        assert!(trial(&mut pool, &plan, at(60)).is_none(), "one at a time");
        pool.accepted(taken.slot, at(60));
        assert!(wait(&mut pool, &plan, at(60)).is_some(), "headers prove nothing yet: {fault:?}");
        pool.proved(taken.slot, at(61));
        call(&mut pool, &plan, at(61));
        assert_eq!(pool.rests().all().count(), 0, "{fault:?}");
        pool.settle(taken.slot, None, at(62));
    }
}

#[test]
fn a_trial_in_vain_lengthens_the_rest_but_is_no_further_strike_and_trials_become_rare() {
    let (mut pool, plan) = resting(&invalid());
    let scope = Scope::Key(KeyId(1));
    let mut tried_at = Vec::new();
    for second in 1..=3600 {
        if let Some(taken) = trial(&mut pool, &plan, at(second)) {
            pool.fail(&taken, &invalid(), &mut Tried::default(), at(second));
            let rest = pool.rests().find(&scope).expect("it rests");
            assert_eq!((rest.strikes, rest.since), (1, at(0).steady), "the same outage goes on");
            assert_eq!(rest.until.since(at(second).steady), Duration::from_secs(3600));
            tried_at.push(second);
        }
    }
    assert_eq!(tried_at[..5], [1, 2, 3, 4, 5], "turns that follow each other find out at once");
    assert!(tried_at[5..8].windows(2).all(|two| two[1] - two[0] == 5), "{tried_at:?}");
    assert!(tried_at[20..].windows(2).all(|two| two[1] - two[0] == 60), "{tried_at:?}");
    assert!(tried_at.len() <= 75, "{} trials in an hour", tried_at.len());
}

#[test]
fn a_trial_that_its_client_leaves_says_nothing_and_makes_room_for_the_next_one() {
    let (mut pool, plan) = resting(&invalid());
    let taken = trial(&mut pool, &plan, at(5)).expect("a trial");
    pool.cancel(taken.slot, true, None, at(6));
    let taken = trial(&mut pool, &plan, at(10)).expect("another trial");
    pool.settle(taken.slot, None, at(11));
    call(&mut pool, &plan, at(11));
}

#[test]
fn what_an_operator_paused_what_is_counted_and_a_short_word_are_never_tried() {
    let limited = |asked_s| refused(OutcomeClass::RateLimited, RestScope::KeyModel, Some(asked_s));
    let (mut pool_of_word, plan) = resting(&limited(60));
    assert!(
        (1..60).all(|second| trial(&mut pool_of_word, &plan, at(second)).is_none()),
        "it asks for a minute"
    );

    let (mut paused, plan) = resting(&invalid());
    paused.pause(&Scope::Key(KeyId(1)), at(3600).steady, at(1));
    assert!(trial(&mut paused, &plan, at(100)).is_none());

    let (mut counted, plan) = pool(&[(1, None)], &[]);
    let taken = take(&mut counted, &plan, at(0));
    counted.used_up(&taken, Per::Key, at(3600).steady, String::new(), at(0));
    counted.settle(taken.slot, None, at(0));
    assert!(wait(&mut counted, &plan, at(100)).is_some());
    assert!(trial(&mut counted, &plan, at(100)).is_none(), "its own counter says that nothing is left");

    let limit = rule(Per::Key, Metric::Requests, Window::MINUTE, 1);
    let (mut full, plan) = pool(&[(1, None)], &[limit]);
    let taken = take(&mut full, &plan, at(0));
    full.fail(&taken, &invalid(), &mut Tried::default(), at(0));
    assert!(trial(&mut full, &plan, at(10)).is_none(), "its minute is used up");
    assert!(trial(&mut full, &plan, at(62)).is_some());
}

#[test]
fn a_day_that_we_count_is_not_tried_after_it_was_refused() {
    let (mut pool, plan) = pool(&[(1, None)], &[rule(Per::Key, Metric::Requests, day(), 50)]);
    let taken = take(&mut pool, &plan, at(0));
    let over = fault(OutcomeClass::RateLimited, RestScope::Key, Some(Period::Day));
    pool.fail(&taken, &over, &mut Tried::default(), at(0));
    assert!(trial(&mut pool, &plan, at(600)).is_none());
}

#[test]
fn of_several_that_rest_the_one_that_was_refused_first_is_tried_and_a_call_tries_three_at_most() {
    let keys: Vec<(i64, Option<&str>)> = (1..=5).map(|key| (key, None)).collect();
    let (mut pool, plan) = pool(&keys, &[]);
    let mut order = Vec::new();
    for second in 0..5 {
        let taken = take(&mut pool, &plan, at(second));
        order.push(taken.key);
        pool.fail(&taken, &invalid(), &mut Tried::default(), at(second));
    }
    let (mut tried, mut asked) = (Tried::default(), Vec::new());
    while let Some(taken) = try_resting(&mut pool, &plan, &mut tried, at(20)) {
        asked.push(taken.key);
        pool.fail(&taken, &invalid(), &mut tried, at(20));
    }
    assert_eq!(asked, order[..3]);
    assert_eq!(
        trial(&mut pool, &plan, at(20)).map(|taken| taken.key),
        Some(order[3]),
        "the next call goes on"
    );
}

#[test]
fn models_of_one_key_are_tried_for_themselves() {
    let (mut pool, m) = pool(&[(1, None)], &[]);
    let n = plan_of(&pool, "n");
    let gone = refused(OutcomeClass::ModelUnavailable, RestScope::KeyModel, Some(3600));
    for plan in [&m, &n] {
        let taken = take(&mut pool, plan, at(0));
        pool.fail(&taken, &gone, &mut Tried::default(), at(0));
    }
    let first = trial(&mut pool, &m, at(10)).expect("a trial");
    assert!(trial(&mut pool, &n, at(10)).is_some(), "one does not wait for the other's answer");
    pool.cancel(first.slot, true, None, at(11));
}

#[test]
fn while_another_key_is_in_good_health_the_choice_never_falls_on_one_that_rests() {
    let (mut pool, plan) = pool(&[(1, None), (2, None)], &[]);
    let taken = take(&mut pool, &plan, at(0));
    pool.fail(&taken, &invalid(), &mut Tried::default(), at(0));
    for second in 1..100 {
        let key = call(&mut pool, &plan, at(second));
        assert_ne!(key, taken.key);
    }
}

#[test]
fn a_call_is_told_whether_something_else_is_sure_to_come_free() {
    let limit = rule(Per::Key, Metric::Requests, Window::MINUTE, 1);
    let (mut pool, plan) = pool(&[(1, None), (2, None)], &[limit]);
    call(&mut pool, &plan, at(0));
    let taken = take(&mut pool, &plan, at(10));
    let limited = refused(OutcomeClass::RateLimited, RestScope::Key, Some(20));
    pool.fail(&taken, &limited, &mut Tried::default(), at(10));
    let Choice::Wait { until, why, sure, .. } =
        choose(&mut pool, &plan, Cost::default(), &mut Tried::default(), at(11))
    else {
        panic!("nobody is ready")
    };
    assert_eq!(why, Why::Limit, "the first key's minute and the second one's as well");
    assert!(sure.is_some_and(|sure| sure >= at(60).steady), "{until:?} {sure:?}");
}

#[test]
fn what_did_not_answer_in_time_comes_after_others_and_says_so_until_it_answers() {
    let (mut pool, plan) = pool(&[(1, None), (2, None)], &[]);
    let taken = take(&mut pool, &plan, at(0));
    let hung = Fault { hung: true, ..fault(OutcomeClass::HostError, RestScope::Request, None) };
    pool.fail(&taken, &hung, &mut Tried::default(), at(0));
    for second in 1..50 {
        assert_ne!(call(&mut pool, &plan, at(second)), taken.key);
    }
    let again = take(&mut pool, &plan, at(61));
    assert_eq!((again.key, again.hangs), (taken.key, 1), "somebody must find out");
    pool.settle(again.slot, None, at(62));
    let next = (0..2).map(|_| take(&mut pool, &plan, at(63))).find(|next| next.key == taken.key);
    assert_eq!(next.map(|next| next.hangs), Some(0));
}

#[test]
fn a_limit_that_was_only_guessed_from_refusals_is_not_sure_and_is_tried_like_a_rest() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    let limited = refused(OutcomeClass::RateLimited, RestScope::Key, None);
    let mut guessed = None;
    for second in 0..3_000 {
        let now = at(second);
        let taken = match choose(&mut pool, &plan, Cost::default(), &mut Tried::default(), now) {
            Choice::Take(taken) => Some(taken),
            Choice::Wait { why: Why::Limit, sure, .. } => {
                guessed = Some((second, sure));
                break;
            }
            _ => trial(&mut pool, &plan, now),
        };
        if let Some(taken) = taken {
            pool.fail(&taken, &limited, &mut Tried::default(), now);
        }
    }
    let (second, sure) = guessed.expect("refusals alone make a limit");
    assert_eq!(sure, None, "no answer confirms it");
    let ask = Ask {
        plan: &plan,
        cost: Cost::default(),
        conversation: None,
        waited_ms: 0,
        pace_permille: 0,
        waiting: 0,
        random: 0,
    };
    assert!(pool.try_resting(&ask, &mut Tried::default(), false, at(second + 5)).is_none());
    let taken = (second..second + 10).find_map(|second| trial(&mut pool, &plan, at(second)));
    let taken = taken.expect("who has somewhere else to go does not wait for a guess");
    assert!(trial(&mut pool, &plan, at(second + 10)).is_none(), "one finds out for all");
    pool.settle(taken.slot, None, at(second + 10));
    assert_eq!(call(&mut pool, &plan, at(second + 10)), KeyId(1), "it was no limit");
}

#[test]
fn a_limit_that_an_answer_has_confirmed_is_sure_again() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    for second in 0..12 {
        call(&mut pool, &plan, at(second));
    }
    let limited = refused(OutcomeClass::RateLimited, RestScope::Key, None);
    for second in [12, 20] {
        let taken = take(&mut pool, &plan, at(second));
        pool.fail(&taken, &limited, &mut Tried::default(), at(second));
    }
    let mut sures = Vec::new();
    for second in 21..200 {
        match choose(&mut pool, &plan, Cost::default(), &mut Tried::default(), at(second)) {
            Choice::Take(taken) => pool.settle(taken.slot, None, at(second)),
            Choice::Wait { why: Why::Limit, sure, .. } => sures.push(sure.is_some()),
            _ => {}
        }
    }
    assert_eq!((sures.first(), sures.last()), (Some(&false), Some(&true)), "{sures:?}");
}

#[test]
fn an_answer_that_turns_out_to_be_an_error_inside_a_success_heals_nothing() {
    let (mut pool, plan) = pool(&[(1, None)], &[]);
    let limited = refused(OutcomeClass::RateLimited, RestScope::Key, Some(1));
    for second in [0, 10, 20] {
        let taken = take(&mut pool, &plan, at(second));
        pool.accepted(taken.slot, at(second));
        pool.fail(&taken, &limited, &mut Tried::default(), at(second));
    }
    let strikes = pool.rests().find(&Scope::Key(KeyId(1))).map(|rest| rest.strikes);
    assert_eq!(strikes, Some(3));
}

#[test]
fn a_call_that_has_tried_everything_in_vain_is_told_so_whatever_is_about_to_come_back() {
    for scope in [RestScope::Key, RestScope::ChannelModel, RestScope::Channel] {
        let (mut pool, plan) = pool(&[(1, None), (2, None)], &[]);
        let mut tried = Tried::default();
        for _ in 0..2 {
            let Choice::Take(taken) = choose(&mut pool, &plan, Cost::default(), &mut tried, at(0)) else {
                break;
            };
            pool.fail(&taken, &refused(OutcomeClass::HostError, RestScope::Key, None), &mut tried, at(0));
        }
        let last = take(&mut pool, &plan, at(1));
        pool.fail(&last, &refused(OutcomeClass::HostError, scope, Some(2)), &mut tried, at(1));
        let choice = choose(&mut pool, &plan, Cost::default(), &mut tried, at(1));
        assert!(matches!(choice, Choice::Nothing(Why::Tried)), "{scope:?}: {choice:?}");
    }
}
