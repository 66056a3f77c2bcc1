//! What the scheduler costs, in instructions: `cargo bench --bench ledger`.
//!
//! Times depend on the machine and on what else it does; counts of instructions do not. The program runs itself under
//! valgrind's callgrind, each case once with some calls and once with more, so that the difference is the calls alone.
//! The exit code is 1 if a figure is above its bound.

use std::{
    collections::HashMap,
    env,
    process::{Command, ExitCode},
};

use onepool::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
    },
    scheduler::{
        limit::{CalendarUnit, Cost, Metric, Models, Per, Rule, Source, Window},
        now::Now,
        pool::{Ask, Choice, Plan, Pool, StemSpec, Tier, Tried},
    },
};

/// Keys, models, and the most instructions that choosing a lane, reserving on its limits and settling may take.
const CASES: [(u64, u64, u64); 2] = [(100, 20, 10_000), (1000, 50, 100_000)];
/// Calls before the measuring: few, and a history.
const WARM_UPS: [u64; 2] = [2_000, 20_000];
/// By how much a call may cost more after the longer history, in per cent; what windows hold still grows at first.
const MOST_GROWTH: u64 = 10;
/// The calls that are measured.
const CALLS: u64 = 2_000;
/// The first argument of the measured process.
const INNER: &str = "--measured";
/// 2026-10-06T23:59:00Z: a minute before a day begins, so that calendars turn over as well.
const START: i64 = 1_791_331_140_000;
/// What each key may do in a minute.
const PER_MINUTE: u64 = 40;
/// The load, as a share of the pooled quota.
const LOAD: f64 = 0.6;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, first, rest @ ..] = &arguments[..]
        && first == INNER
    {
        let numbers: Vec<u64> = rest.iter().filter_map(|text| text.parse().ok()).collect();
        let [keys, models, calls] = numbers[..] else { return ExitCode::from(2) };
        let sent = run(keys, models, calls);
        // Printed, so that no compiler can leave the work out.
        println!("{sent}");
        return ExitCode::SUCCESS;
    }
    match measure() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// Measures every case, and says whether all figures are within their bounds.
fn measure() -> Result<bool, String> {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err("valgrind is not installed, and counts the instructions: apt-get install valgrind".into());
    }
    let mut good = true;
    println!("| keys x models | calls before | instructions per call | at most | |");
    println!("|---|---|---|---|---|");
    for (keys, models, most) in CASES {
        let mut first = None;
        for before in WARM_UPS {
            let less = instructions(keys, models, before)?;
            let more = instructions(keys, models, before + CALLS)?;
            let per_call = more.saturating_sub(less) / CALLS;
            let bound = first.map_or(most, |first: u64| most.min(first + first * MOST_GROWTH / 100));
            first = first.or(Some(per_call));
            let verdict = if per_call <= bound { "ok" } else { "**missed**" };
            good &= per_call <= bound;
            println!("| {keys} x {models} | {before} | {per_call} | {bound} | {verdict} |");
        }
    }
    Ok(good)
}

/// How many instructions a run of this program takes.
fn instructions(keys: u64, models: u64, calls: u64) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .arg(INNER)
        .args([keys, models, calls].map(|number| number.to_string()))
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let sent = String::from_utf8_lossy(&output.stdout).trim().parse::<u64>().unwrap_or(0);
    if sent < calls {
        return Err(format!(
            "only {sent} of {calls} calls were sent, so there is nothing to compare: {said}"
        ));
    }
    // A line such as `==123== Collected : 4567`.
    let counted = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    counted.ok_or_else(|| format!("valgrind counted nothing: {said}"))
}

/// Sends and settles so many calls, and gives how many found a key. Every fourth call may go down the whole chain of
/// models, the others ask for one model in turn.
fn run(keys: u64, models: u64, calls: u64) -> u64 {
    let channel = ChannelId(1);
    let name = |model: u64| format!("m{model}");
    let stems: Vec<StemSpec> = (0..models)
        .map(|model| StemSpec {
            channel,
            model: name(model).into(),
            keys: (0..keys).map(|key| (KeyId(key as i64 + 1), None)).collect(),
        })
        .collect();
    let rule = |per, metric, window, max| Rule {
        channel,
        key: None,
        models: Models::default(),
        per,
        metric,
        window,
        max,
        source: Source::Declared,
    };
    let day = Window::Calendar { unit: CalendarUnit::Day, zone: "UTC".into(), offset_minutes: 0 };
    let rules = [
        rule(Per::Key, Metric::Requests, Window::MINUTE, PER_MINUTE),
        rule(Per::KeyModel, Metric::Tokens, Window::MINUTE, 200_000),
        rule(Per::Key, Metric::Requests, day, 100_000),
        rule(Per::Model, Metric::Concurrency, Window::AtOnce, 10_000),
    ];
    let at = |ms: f64| Now::both(UnixMs(START + ms as i64));
    let mut pool = Pool::default();
    pool.declare(&stems, &rules, HashMap::new(), at(0.0));
    let tier = |model: u64| {
        let stem = pool.find_stem(channel, &name(model))?;
        Some(Tier { stems: vec![(stem, 1)], spill_ms: 2000 })
    };
    let chain = Plan { tiers: (0..models).filter_map(tier).collect() };
    let single: Vec<Plan> = chain.tiers.iter().map(|tier| Plan { tiers: vec![tier.clone()] }).collect();
    let gap_ms = 60_000.0 / (keys as f64 * PER_MINUTE as f64 * LOAD);
    let mut sent = 0;
    for call in 0..calls {
        let now = at(call as f64 * gap_ms);
        let plan = if call % 4 == 0 { &chain } else { &single[(call % models) as usize] };
        let cost = Cost { input_tokens: 800, tokens: 1000, ..Cost::default() };
        let ask =
            Ask { plan, cost, conversation: None, waited_ms: 0, pace_permille: 0, waiting: 0, random: call };
        if let Choice::Take(taken) = pool.choose(&ask, &mut Tried::default(), now) {
            pool.accepted(taken.slot, now);
            let used = Cost { input_tokens: 700, tokens: 900, ..Cost::default() };
            pool.settle(taken.slot, Some(used), now);
            sent += 1;
        }
    }
    sent
}
