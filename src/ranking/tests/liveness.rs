//! Models that leave and return.

use std::time::Duration;

use super::super::liveness::{Cause, Liveness, Sign, Turn};
use crate::model::time::UnixMs;

const START: UnixMs = UnixMs(1_791_331_140_000);

fn after(minutes: u64) -> UnixMs {
    START + Duration::from_secs(minutes * 60)
}

fn dead(cause: Cause) -> Liveness {
    let mut model = Liveness::default();
    let sign = match cause {
        Cause::Failing => Sign::Failed,
        Cause::Gone => Sign::Refused,
        Cause::Unlisted => Sign::Unlisted,
    };
    let turns: Vec<Turn> = (0..5)
        .filter_map(|minute| model.note(sign, START - Duration::from_secs(300 - minute * 75)))
        .collect();
    assert_eq!(turns, [Turn::Died(cause)]);
    model
}

#[test]
fn one_bad_call_kills_nothing() {
    let mut model = Liveness::default();
    for sign in [Sign::Refused, Sign::Failed, Sign::Unlisted] {
        assert_eq!(model.note(sign, START), None);
    }
    assert!(model.is_alive() && !model.wants_probe(after(10_000)));
}

#[test]
fn a_burst_of_failures_kills_nothing_and_lasting_ones_do() {
    let mut model = Liveness::default();
    for _ in 0..100 {
        assert_eq!(model.note(Sign::Failed, START), None, "all within a moment");
    }
    assert_eq!(model.note(Sign::Failed, after(5)), Some(Turn::Died(Cause::Failing)));
    let mut model = Liveness::default();
    for minute in 0..60 {
        let sign = if minute % 4 == 3 { Sign::Answered } else { Sign::Failed };
        assert_eq!(model.note(sign, after(minute)), None, "an answer in between");
    }
}

#[test]
fn two_refusals_as_gone_a_minute_apart_kill() {
    let mut model = Liveness::default();
    assert_eq!(model.note(Sign::Refused, START), None);
    assert_eq!(model.note(Sign::Refused, START + Duration::from_secs(1)), None);
    assert_eq!(model.note(Sign::Refused, after(1)), Some(Turn::Died(Cause::Gone)));
    assert_eq!(model.death().map(|death| (death.since, death.cause)), Some((after(1), Cause::Gone)));
}

#[test]
fn two_complete_lists_without_it_kill_unless_it_answers() {
    let mut model = Liveness::default();
    model.note(Sign::Unlisted, START);
    assert_eq!(model.note(Sign::Unlisted, after(60)), Some(Turn::Died(Cause::Unlisted)));
    let mut model = Liveness::default();
    for hour in 0..10 {
        assert_eq!(model.note(Sign::Unlisted, after(hour * 60)), None, "some lists lack models that answer");
        model.note(Sign::Answered, after(hour * 60 + 1));
    }
}

#[test]
fn two_answers_bring_it_back_and_one_does_not() {
    let mut model = dead(Cause::Gone);
    assert!(!model.wants_probe(after(5)) && model.wants_probe(after(20)));
    assert_eq!(model.note(Sign::Answered, after(20)), None);
    assert!(!model.is_alive() && model.wants_probe(after(20)), "the second probe may follow at once");
    assert_eq!(model.note(Sign::Answered, after(21)), Some(Turn::Returned));
    assert!(model.is_alive());
    assert_eq!(model.note(Sign::Refused, after(22)), None, "what was counted before is forgotten");
}

#[test]
fn probes_in_vain_come_ever_more_rarely_but_never_end() {
    let mut model = dead(Cause::Failing);
    let mut now = START;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let retry_at = model.death().expect("dead").retry_at;
        waits.push(retry_at.since(now).as_secs() / 60);
        now = retry_at;
        assert!(model.wants_probe(now));
        assert_eq!(model.note(Sign::Failed, now), None);
    }
    assert_eq!(waits[..6], [10, 20, 40, 80, 160, 320]);
    assert_eq!(waits[11], 1440);
}

#[test]
fn who_dies_again_soon_waits_longer_and_a_long_life_is_forgiven() {
    let revive = |model: &mut Liveness, at| {
        model.note(Sign::Answered, at);
        assert_eq!(model.note(Sign::Answered, at), Some(Turn::Returned));
    };
    let die = |model: &mut Liveness, minute| {
        model.note(Sign::Refused, after(minute));
        assert_eq!(model.note(Sign::Refused, after(minute + 1)), Some(Turn::Died(Cause::Gone)));
        model.death().expect("dead").retry_at.since(after(minute + 1)).as_secs() / 60
    };
    let mut model = dead(Cause::Gone);
    revive(&mut model, after(20));
    assert_eq!(die(&mut model, 30), 20);
    revive(&mut model, after(60));
    assert_eq!(die(&mut model, 60 + 2 * 1440), 10);
}

#[test]
fn a_model_that_is_listed_again_is_probed_at_once_but_does_not_return_by_that() {
    let mut model = dead(Cause::Unlisted);
    assert!(!model.wants_probe(START));
    assert_eq!(model.note(Sign::Listed, START), None);
    assert!(!model.is_alive() && model.wants_probe(START));
    let mut gone = dead(Cause::Gone);
    gone.note(Sign::Listed, START);
    assert!(!gone.wants_probe(START), "being listed is not being served");
}

#[test]
fn it_is_saved_and_read_back_and_an_older_row_reads_too() {
    let model = dead(Cause::Gone);
    let saved = serde_json::to_string(&model).expect("JSON");
    assert_eq!(serde_json::from_str::<Liveness>(&saved).expect("read"), model);
    assert_eq!(serde_json::from_str::<Liveness>("{}").expect("read"), Liveness::default());
}

#[test]
fn what_no_probe_may_ask_comes_back_on_trial_after_its_pause_unless_no_list_has_it() {
    let minutes = |count: i64| UnixMs(count * 60_000);
    let mut gone = Liveness::alive();
    gone.note(Sign::Refused, minutes(0));
    assert_eq!(gone.note(Sign::Refused, minutes(2)), Some(Turn::Died(Cause::Gone)));
    assert!(!gone.release(minutes(3)), "it is left alone for a while");
    assert!(gone.release(minutes(60)) && gone.is_alive());
    assert!(!gone.release(minutes(61)), "it is alive");
    let mut unlisted = Liveness::alive();
    unlisted.note(Sign::Unlisted, minutes(0));
    unlisted.note(Sign::Unlisted, minutes(1));
    assert!(!unlisted.release(minutes(6000)) && !unlisted.is_alive());
}
