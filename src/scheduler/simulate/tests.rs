//! What the scheduler reaches against modelled providers: the figures that a change must keep.

use super::{
    Client, Counting, Declared, Each, Enforced, Load, Provider, Report, Restart, Scenario, Trouble,
    TroubleKind,
};
use crate::{
    model::time::UnixMs,
    scheduler::{
        limit::{CalendarUnit, Metric, Per, Window},
        simulate::{BadScenario, simulate},
    },
};

/// 2026-10-06T23:59:00Z: a minute before a day begins in UTC.
const START: UnixMs = UnixMs(1_791_331_140_000);

/// Runs of each row: without optimisation a run takes a fifth of a second.
const SEEDS: u64 = if cfg!(debug_assertions) { 1 } else { 5 };

/// What OnePool is told of limits that the providers enforce.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Right,
    /// 40 is declared, 32 is true.
    TooHigh,
    Unknown,
}

impl Known {
    fn enforced(self) -> u64 {
        if self == Self::TooHigh { 32 } else { 40 }
    }
}

fn per_minute(max: u64) -> Declared {
    Declared { per: Per::Key, metric: Metric::Requests, window: Window::MINUTE, max }
}

fn enforced(counting: Counting, max: u64) -> Enforced {
    Enforced { each: Each::Account, counting, max, span_ms: 60_000 }
}

fn provider(counting: Counting, known: Known, delay_ms: u32) -> Provider {
    Provider {
        models: vec!["m".to_owned()],
        keys: 3,
        keys_per_account: 1,
        tier: 0,
        spill_ms: 2_000,
        declared: if known == Known::Unknown { Vec::new() } else { vec![per_minute(40)] },
        enforced: vec![enforced(counting, known.enforced())],
        delay_ms,
        first_content_ms: 800,
        rest_of_answer_ms: 1_200,
        counts_refused: false,
        troubles: Vec::new(),
    }
}

fn scenario(providers: Vec<Provider>, load: Load, seed: u64) -> Scenario {
    Scenario {
        seconds: 600,
        warm_up_seconds: 60,
        start: START,
        seed,
        providers,
        clients: vec![Client { weight: 1, batch: false, model: "m".to_owned(), load }],
        deadline_ms: 60_000,
        attempts: 6,
        restart: None,
    }
}

fn run(scenario: &Scenario) -> Report {
    simulate(scenario).expect("a scenario that can be")
}

/// One row of the matrix: the reports of all seeds.
fn row(provider: &Provider, known: Known, load: Make) -> Vec<Report> {
    let capacity = 3.0 * known.enforced() as f64;
    (0..SEEDS)
        .map(|seed| {
            let mut scenario = scenario(vec![provider.clone()], load(capacity), seed);
            if known == Known::Unknown {
                // What is not known is learned first.
                scenario.warm_up_seconds = 180;
            }
            run(&scenario)
        })
        .collect()
}

fn mean(reports: &[Report]) -> f64 {
    reports.iter().map(Report::efficiency).sum::<f64>() / reports.len() as f64
}

fn least(reports: &[Report]) -> f64 {
    reports.iter().map(Report::efficiency).fold(f64::MAX, f64::min)
}

fn agents(_: f64) -> Load {
    Load::Agents(40)
}

fn below(capacity: f64) -> Load {
    Load::PerMinute(capacity * 0.9)
}

fn twice(capacity: f64) -> Load {
    Load::PerMinute(capacity * 2.0)
}

type Make = fn(f64) -> Load;

const LOADS: [(&str, Make); 3] = [("40 agents", agents), ("0.9x", below), ("2x", twice)];

fn windows() -> [Counting; 3] {
    [Counting::Rolling, Counting::Fixed, Counting::Bucket]
}

/// Runs a part of the matrix; each row is checked with its name.
fn matrix(countings: &[Counting], known: Known, check: impl Fn(&str, &str, &[Report])) {
    for counting in countings {
        for delay_ms in [40, 250] {
            if cfg!(debug_assertions) && delay_ms == 250 && *counting != Counting::Rolling {
                continue;
            }
            for (load, make) in LOADS {
                for counts_refused in [false, true] {
                    if counts_refused && *counting != Counting::Rolling {
                        continue;
                    }
                    let provider = Provider { counts_refused, ..provider(counting.clone(), known, delay_ms) };
                    let reports = row(&provider, known, make);
                    let name = format!(
                        "{counting:?} {known:?} {delay_ms} ms {load} counts refused: {counts_refused}"
                    );
                    check(&name, load, &reports);
                }
            }
        }
    }
}

#[test]
fn right_limits_are_used_up_and_hardly_ever_exceeded() {
    matrix(&windows(), Known::Right, |name, load, reports| {
        for report in reports {
            assert!(report.limited <= 2, "{name}: {report:?}");
            assert_eq!(report.failed, 0, "{name}: {report:?}");
            if load != "2x" {
                assert_eq!(report.refused, 0, "{name}: {report:?}");
            }
            if load != "0.9x" {
                assert!(report.efficiency() >= 0.98, "{name}: {} {report:?}", report.efficiency());
            }
        }
    });
}

#[test]
fn limits_that_are_declared_a_quarter_too_high_are_found_out() {
    matrix(&windows(), Known::TooHigh, |name, load, reports| {
        if load != "0.9x" {
            assert!(least(reports) >= 0.93, "{name}: {}", least(reports));
        } else {
            assert!(reports.iter().all(|report| report.refused == 0), "{name}: {reports:?}");
        }
    });
}

/// Refusals by upstreams per thousand attempts: after the warm-up, and in the whole run.
fn refused_per_1000(reports: &[Report]) -> (f64, f64) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>() as f64;
    let late = sum(|report| report.limited_after_warm_up);
    let attempts = late + sum(|report| report.accepted_after_warm_up);
    (late * 1000.0 / attempts, sum(|report| report.limited) * 1000.0 / sum(|report| report.attempts))
}

#[test]
fn unknown_limits_are_learned_with_few_refusals() {
    let all =
        [Counting::Rolling, Counting::Fixed, Counting::Bucket, Counting::SlidingCounter, Counting::Even];
    matrix(&all, Known::Unknown, |name, load, reports| {
        let (converged, whole) = refused_per_1000(reports);
        // A counter that takes one call at a time refuses each that the network brings too close to the one before. Two
        // delays differ by 125 ms and more too often: to be refused only 20 times, the pace would have to be so slow
        // that less than 0.80 is used.
        let jolted = name.starts_with("Even") && name.contains("250 ms");
        assert!(converged <= if jolted { 65.0 } else { 20.0 }, "{name}: {converged} per 1000");
        // What is learned first costs the most.
        assert!(whole <= if jolted { 100.0 } else { 40.0 }, "{name}: {whole} per 1000");
        if load != "0.9x" {
            // What takes no bursts has a bound of its own.
            let enough = if name.starts_with("Even") { [0.80, 0.75] } else { [0.90, 0.85] };
            assert!(mean(reports) >= enough[0], "{name}: {}", mean(reports));
            assert!(least(reports) >= enough[1], "{name}: {}", least(reports));
        }
    });
}

#[test]
fn short_windows_are_kept_on_a_busy_machine() {
    for (span_ms, max) in [(1_000, 5), (2_000, 5), (10_000, 20)] {
        for (delay_ms, first_content_ms) in [(20, 10), (20, 800), (60, 10), (60, 800)] {
            let mut short = provider(Counting::Rolling, Known::Right, delay_ms);
            short.first_content_ms = first_content_ms;
            short.declared[0].window = Window::Rolling { ms: span_ms };
            (short.declared[0].max, short.enforced[0].max) = (max, max);
            short.enforced[0].span_ms = span_ms;
            for seed in 0..SEEDS {
                let report =
                    run(&Scenario { seconds: 300, ..scenario(vec![short.clone()], Load::Agents(40), seed) });
                let name = format!("{max} in {span_ms} ms, {delay_ms} ms, {first_content_ms} ms: {report:?}");
                // Half of the delay is left to chance: twice 60 ms may be half a second.
                let most = if delay_ms == 20 { 0 } else { report.attempts / 400 };
                assert!(report.limited <= most, "{name}");
                let enough = if span_ms == 1_000 { 0.75 } else { 0.85 };
                assert!(report.efficiency() >= enough, "{} {name}", report.efficiency());
            }
        }
    }
}

#[test]
fn a_provider_with_sliding_counters_is_used_to_nearly_95_percent() {
    matrix(&[Counting::SlidingCounter], Known::Right, |name, load, reports| {
        if load != "0.9x" {
            // At an even pace a counter of two windows admits 39 of 40; what the network pushes together costs the rest.
            let enough = if name.contains("250 ms") { 0.93 } else { 0.945 };
            assert!(
                mean(reports) >= enough && least(reports) >= 0.86,
                "{name}: {} {}",
                mean(reports),
                least(reports)
            );
        }
    });
    matrix(&[Counting::SlidingCounter], Known::TooHigh, |name, load, reports| {
        if load != "0.9x" {
            assert!(mean(reports) >= 0.90, "{name}: {}", mean(reports));
        }
    });
}

#[test]
fn a_provider_that_takes_no_bursts_is_used_to_80_percent() {
    for known in [Known::Right, Known::TooHigh, Known::Unknown] {
        matrix(&[Counting::Even], known, |name, load, reports| {
            if load != "0.9x" {
                assert!(mean(reports) >= 0.80, "{name}: {}", mean(reports));
            }
        });
    }
}

/// The figures of every row, for the reader: `cargo test --release simulate::tests::figures -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures, and asserts nothing"]
fn figures() {
    println!(
        "| upstream, limits, delay, load | efficiency: least, mean | upstream 429 per 1000 after the warm-up; in all | refused | wait p50, p95 |"
    );
    println!("|---|---|---|---|---|");
    let all =
        [Counting::Rolling, Counting::Fixed, Counting::Bucket, Counting::SlidingCounter, Counting::Even];
    for known in [Known::Right, Known::TooHigh, Known::Unknown] {
        matrix(&all, known, |name, _, reports| {
            let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
            let (late, per_1000) = refused_per_1000(reports);
            let most = reports.iter().map(|report| report.limited).max().unwrap_or(0);
            println!(
                "| {name} | {:.3}, {:.3} | {late:.1}; {per_1000:.1} (at most {most} in a run) | {:.1} % (late {:.1} %), failed {} | {:.1} s, {:.1} s |",
                least(reports),
                mean(reports),
                sum(|report| report.refused) as f64 * 100.0 / sum(|report| report.calls) as f64,
                sum(|report| report.refused_late) as f64 * 100.0 / sum(|report| report.calls) as f64,
                sum(|report| report.failed),
                sum(|report| report.wait_p50_ms) as f64 / 1000.0 / SEEDS as f64,
                sum(|report| report.wait_p95_ms) as f64 / 1000.0 / SEEDS as f64,
            );
        });
    }
}

#[test]
fn bursts_that_fit_go_as_bursts() {
    for (every_ms, longest_p95_ms) in [(33_333, 1_000), (30_000, 3_000)] {
        let load = Load::Bursts { calls: 60, every_ms };
        for counting in windows() {
            let quick = Provider { first_content_ms: 40, ..provider(counting.clone(), Known::Right, 10) };
            let report = run(&Scenario { seconds: 180, ..scenario(vec![quick], load, 1) });
            assert_eq!((report.refused, report.failed, report.limited), (0, 0, 0), "{counting:?} {report:?}");
            assert!(report.wait_p95_ms <= longest_p95_ms, "{counting:?} {every_ms}: {report:?}");
        }
    }
}

#[test]
fn a_dead_key_gets_at_most_two_calls() {
    for (from_s, counting) in [(0, Counting::Rolling), (300, Counting::Rolling), (300, Counting::Fixed)] {
        let trouble = Trouble { kind: TroubleKind::DeadKey(1), from_s, until_s: 600 };
        let dead = Provider { troubles: vec![trouble], ..provider(counting, Known::Right, 40) };
        for seed in 0..SEEDS {
            let report = run(&scenario(vec![dead.clone()], Load::PerMinute(60.0), seed));
            assert!(report.attempts_in_trouble[0][1] <= 2, "from {from_s}: {report:?}");
            assert_eq!((report.refused, report.failed), (0, 0), "from {from_s}: {report:?}");
        }
    }
}

#[test]
fn a_model_that_is_gone_gets_at_most_two_calls_while_another_serves() {
    for from_s in [0, 300] {
        let trouble = Trouble { kind: TroubleKind::GoneModel, from_s, until_s: 600 };
        let gone = Provider { troubles: vec![trouble], ..provider(Counting::Rolling, Known::Right, 40) };
        let other = Provider { tier: 1, ..provider(Counting::Rolling, Known::Right, 40) };
        for seed in 0..SEEDS {
            let mut scenario = scenario(vec![gone.clone(), other.clone()], Load::PerMinute(60.0), seed);
            scenario.seconds = 359;
            let report = run(&scenario);
            let tried: u64 = report.attempts_in_trouble[0].iter().sum();
            assert!(tried <= 2, "from {from_s}: {report:?}");
            assert_eq!((report.refused, report.failed), (0, 0), "from {from_s}: {report:?}");
        }
    }
}

#[test]
fn an_outage_costs_no_client_an_error_while_others_have_room() {
    let trouble = Trouble { kind: TroubleKind::Outage, from_s: 200, until_s: 400 };
    let down = Provider { troubles: vec![trouble], ..provider(Counting::Rolling, Known::Right, 40) };
    let other = provider(Counting::Rolling, Known::Right, 40);
    for seed in 0..SEEDS {
        let report = run(&scenario(vec![down.clone(), other.clone()], Load::PerMinute(100.0), seed));
        assert_eq!((report.refused, report.failed), (0, 0), "{report:?}");
        let tried: u64 = report.attempts_in_trouble[0].iter().sum();
        assert!(tried <= 20, "a host that is down is not asked for every call: {report:?}");
        assert!(report.accepted_by_provider[0] > 200, "and is asked again when it is back: {report:?}");
    }
}

fn per_day(max: u64, zone: &str) -> (Declared, Enforced) {
    let window = Window::Calendar { unit: CalendarUnit::Day, zone: zone.to_owned(), offset_minutes: 0 };
    let counting = Counting::Day { zone: zone.to_owned(), offset_minutes: 0 };
    (Declared { per: Per::Key, metric: Metric::Requests, window, max }, enforced(counting, max))
}

/// Two keys with 20 a minute and 50 a day; `known` says whether the day's limit is declared.
fn daily(zone: &str, known: bool) -> Provider {
    let (declared, day) = per_day(50, zone);
    let mut provider = provider(Counting::Rolling, Known::Right, 40);
    provider.keys = 2;
    provider.declared = vec![per_minute(20)];
    provider.enforced = vec![enforced(Counting::Rolling, 20), day];
    if known {
        provider.declared.push(declared);
    }
    provider
}

#[test]
fn a_day_that_is_known_is_never_exceeded_and_opens_again_at_the_providers_midnight() {
    // 23:00 in UTC: an hour before midnight. 100 calls fit into it, 100 into the next.
    let start = UnixMs(START.0 - 59 * 60_000);
    let scenario =
        Scenario { seconds: 2 * 3600, start, ..scenario(vec![daily("UTC", true)], Load::PerMinute(3.0), 1) };
    let report = run(&scenario);
    assert_eq!(report.limited, 0, "{report:?}");
    assert_eq!(report.accepted_by_minute[..60].iter().sum::<u64>(), 100, "{report:?}");
    assert_eq!(report.accepted_by_minute[60..].iter().sum::<u64>(), 100, "{report:?}");
    let first_of_new_day = report.accepted_by_minute[60..].iter().position(|count| *count > 0);
    assert!(first_of_new_day.is_some_and(|minute| minute <= 1), "the day opens at once: {report:?}");
}

#[test]
fn an_exhausted_day_gets_no_call_beyond_the_first_refusal() {
    let start = UnixMs(START.0 - 5 * 3_600_000);
    let scenario =
        Scenario { seconds: 4 * 3600, start, ..scenario(vec![daily("UTC", false)], Load::PerMinute(3.0), 1) };
    let report = run(&scenario);
    assert!(report.limited <= 2, "one for each key: {report:?}");
    assert_eq!(report.attempts - report.limited, 100, "{report:?}");
}

#[test]
fn a_day_that_has_25_hours_lasts_as_long_as_the_providers() {
    // In Los Angeles 1 November 2026 has 25 hours: from 07:00 UTC to 08:00 UTC of the next day.
    let start = UnixMs("2026-11-01T06:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let provider = daily("America/Los_Angeles", true);
    let scenario =
        Scenario { seconds: 27 * 3600, start, ..scenario(vec![provider], Load::PerMinute(1.5), 1) };
    let report = run(&scenario);
    let hour = |hour: usize| report.accepted_by_minute[hour * 60..(hour + 1) * 60].iter().sum::<u64>();
    assert_eq!(report.limited, 0, "{report:?}");
    assert!(hour(0) > 60, "31 October: {}", hour(0));
    assert!(hour(1) > 60, "1 November begins at 07:00 UTC: {}", hour(1));
    assert_eq!((4..26).map(hour).sum::<u64>(), 0, "and is used up until 08:00 UTC");
    assert!(hour(26) > 60, "2 November: {}", hour(26));
}

#[test]
fn a_day_that_has_23_hours_ends_with_the_providers() {
    // In Los Angeles 8 March 2026 has 23 hours: from 08:00 UTC to 07:00 UTC of the next day.
    let start = UnixMs("2026-03-08T07:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
    let provider = daily("America/Los_Angeles", true);
    let scenario =
        Scenario { seconds: 26 * 3600, start, ..scenario(vec![provider], Load::PerMinute(1.5), 1) };
    let report = run(&scenario);
    let hour = |hour: usize| report.accepted_by_minute[hour * 60..(hour + 1) * 60].iter().sum::<u64>();
    assert_eq!(report.limited, 0, "{report:?}");
    assert!(hour(1) > 60, "8 March begins at 08:00 UTC: {}", hour(1));
    assert_eq!((4..24).map(hour).sum::<u64>(), 0, "and is used up until 07:00 UTC");
    assert!(hour(24) > 60, "9 March: {}", hour(24));
}

#[test]
fn a_day_that_begins_later_than_declared_is_found() {
    // The provider's day begins half an hour after midnight, which nobody said.
    let start = UnixMs(START.0 - 59 * 60_000);
    let mut provider = daily("UTC", true);
    for enforced in &mut provider.enforced {
        if let Counting::Day { offset_minutes, .. } = &mut enforced.counting {
            *offset_minutes = 30;
        }
    }
    let scenario = Scenario { seconds: 3 * 3600, start, ..scenario(vec![provider], Load::PerMinute(3.0), 1) };
    let report = run(&scenario);
    assert!(report.limited <= 2 * 6, "{report:?}");
    assert_eq!(report.accepted_by_minute[60..90].iter().sum::<u64>(), 0, "{report:?}");
    assert_eq!(report.accepted_by_minute[90..].iter().sum::<u64>(), 100, "{report:?}");
    let first = report.accepted_by_minute[90..].iter().position(|count| *count > 0);
    assert!(first.is_some_and(|minute| minute <= 35), "within the new day's first hour: {report:?}");
}

#[test]
fn a_restart_causes_no_refusal() {
    for (killed, down_ms) in [(false, 2_000), (false, 100), (true, 2_000), (true, 100)] {
        for seed in 0..SEEDS {
            for at_ms in [100_300, 125_900] {
                let known = provider(Counting::Rolling, Known::Right, 40);
                let restart = Some(Restart { at_ms, down_ms, killed });
                let scenario = Scenario { restart, ..scenario(vec![known], Load::PerMinute(108.0), seed) };
                let report = run(&scenario);
                assert_eq!(report.limited, 0, "killed: {killed}, down {down_ms}, at {at_ms}: {report:?}");
                assert_eq!((report.refused, report.failed), (0, 0), "{report:?}");
            }
        }
    }
}

#[test]
fn what_was_learned_and_a_days_count_survive_a_restart() {
    let learned = provider(Counting::Rolling, Known::Unknown, 40);
    let restart = Some(Restart { at_ms: 400_000, down_ms: 1_000, killed: true });
    let scenario1 = Scenario { restart, ..scenario(vec![learned], Load::PerMinute(240.0), 1) };
    let without = run(&Scenario { restart: None, ..scenario1.clone() });
    let with = run(&scenario1);
    assert!(with.limited <= without.limited + 10, "{} {}", with.limited, without.limited);

    let start = UnixMs(START.0 - 5 * 3_600_000);
    let restart = Some(Restart { at_ms: 600_000, down_ms: 1_000, killed: true });
    let scenario2 = Scenario {
        restart,
        seconds: 3 * 3600,
        start,
        ..scenario(vec![daily("UTC", true)], Load::PerMinute(3.0), 1)
    };
    let report = run(&scenario2);
    assert_eq!(report.limited, 0, "{report:?}");
    assert!((94..=100).contains(&report.attempts), "{report:?}");
}

#[test]
fn two_tokens_of_equal_weight_get_equal_shares() {
    for (first, second) in [(20, 60), (40, 40)] {
        let known = provider(Counting::Rolling, Known::Right, 40);
        let mut scenario = scenario(vec![known], Load::Agents(first), 1);
        scenario.clients.push(Client {
            weight: 1,
            batch: false,
            model: "m".to_owned(),
            load: Load::Agents(second),
        });
        scenario.deadline_ms = 120_000;
        let report = run(&scenario);
        let share = report.answered_by_client[0] as f64 / report.answered as f64;
        assert!((0.45..=0.55).contains(&share), "{first} against {second} agents: {share} {report:?}");
    }
}

#[test]
fn keys_of_one_account_share_its_limit() {
    let mut shared = provider(Counting::Rolling, Known::Right, 40);
    shared.keys_per_account = 3;
    shared.declared = vec![Declared { per: Per::Owner, ..per_minute(40) }];
    let report = run(&scenario(vec![shared], Load::PerMinute(80.0), 1));
    assert!(report.limited <= 2 && report.efficiency() >= 0.98, "{report:?}");
}

#[test]
fn a_days_quota_is_spared_while_minutes_have_room() {
    let free = provider(Counting::Rolling, Known::Right, 40);
    let report = run(&scenario(vec![daily("UTC", true), free], Load::PerMinute(60.0), 1));
    assert_eq!((report.refused, report.failed), (0, 0));
    assert!(report.accepted_by_provider[0] * 10 <= report.accepted_by_provider[1], "{report:?}");
}

#[test]
fn a_chain_spills_to_its_next_step_when_the_first_one_would_take_too_long() {
    let first = provider(Counting::Rolling, Known::Right, 40);
    let next = Provider { tier: 1, ..provider(Counting::Rolling, Known::Right, 40) };
    let quiet = run(&scenario(vec![first.clone(), next.clone()], Load::PerMinute(60.0), 1));
    assert_eq!(quiet.accepted_by_provider[1], 0, "{quiet:?}");
    let busy = run(&scenario(vec![first, next], Load::PerMinute(200.0), 1));
    assert_eq!((busy.refused, busy.failed), (0, 0), "{busy:?}");
    assert!(busy.accepted_by_provider[1] > 500 && busy.wait_p95_ms <= 8_000, "{busy:?}");
}

#[test]
fn a_scenario_that_cannot_be_is_refused_with_its_place() {
    let good = scenario(vec![provider(Counting::Rolling, Known::Right, 40)], Load::Agents(1), 1);
    let none = Scenario { providers: Vec::new(), ..good.clone() };
    assert_eq!(simulate(&none), Err(BadScenario::Nobody));
    let mut wrong = good.clone();
    wrong.providers[0].enforced[0].max = 0;
    assert_eq!(simulate(&wrong), Err(BadScenario::Enforced { provider: 0, limit: 0 }));
    let mut wrong = good.clone();
    wrong.clients[0].load = Load::Agents(0);
    assert_eq!(simulate(&wrong), Err(BadScenario::Load { client: 0 }));
    assert_eq!(simulate(&Scenario { warm_up_seconds: 600, ..good }), Err(BadScenario::Seconds));
}

#[test]
fn the_same_seed_gives_the_same_report() {
    let one = scenario(vec![provider(Counting::Fixed, Known::Unknown, 250)], Load::Agents(40), 7);
    assert_eq!(run(&one), run(&one));
}
