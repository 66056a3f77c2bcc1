//! What the scheduler costs, in instructions: `cargo bench --bench ledger`.
//!
//! Times depend on the machine and on what else it does; counts of instructions do not. The program runs itself under
//! valgrind's callgrind, each case once with some calls and once with more, so that the difference is the calls alone.
//! The exit code is 1 if a figure is above its bound.

use std::{
    collections::HashMap,
    env, fs, iter,
    process::{Command, ExitCode},
    sync::Arc,
};

use onepool::{
    model::{
        id::{ChannelId, KeyId, TokenId},
        time::UnixMs,
    },
    scheduler::{
        desk::{Answer, Bounds, Call, Desk, Event, Grant},
        limit::{CalendarUnit, Cost, Metric, Models, Per, Rule, Source, Window},
        now::Now,
        pool::{Ask, Choice, Plan, Pool, StemSpec, Tier, Tried},
        queue::Class,
    },
};

/// Keys, models, and the most instructions that choosing a lane, reserving on its limits and settling may take.
const CASES: [(u64, u64, u64); 2] = [(100, 20, 10_000), (1000, 50, 100_000)];
/// The loads, in hundredths of the pooled quota: with room, and with more calls than fit.
const LOADS: [u64; 2] = [60, 200];
/// How many calls wait for the measuring of memory, and the most bytes that each may take beyond itself.
const WAITING: usize = 10_000;
const MOST_BYTES: usize = 2048;
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
/// How many calls wait for a set of candidates at most, as by default.
const PER_SET: usize = 512;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, first, rest @ ..] = &arguments[..]
        && first == INNER
    {
        let numbers: Vec<u64> = rest.iter().filter_map(|text| text.parse().ok()).collect();
        let [keys, models, load, calls] = numbers[..] else { return ExitCode::from(2) };
        let sent =
            if load > 100 { run_desk(keys, models, load, calls) } else { run(keys, models, load, calls) };
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
    println!("| keys x models | load | calls before | instructions per call | at most | |");
    println!("|---|---|---|---|---|---|");
    let cases = CASES.iter().flat_map(|case| LOADS.map(|load| (*case, load)));
    for ((keys, models, most), load) in cases {
        let mut first = None;
        for before in WARM_UPS {
            let less = instructions([keys, models, load, before])?;
            let more = instructions([keys, models, load, before + CALLS])?;
            let per_call = more.saturating_sub(less) / CALLS;
            let bound = first.map_or(most, |first: u64| most.min(first + first * MOST_GROWTH / 100));
            first = first.or(Some(per_call));
            let verdict = if per_call <= bound { "ok" } else { "**missed**" };
            good &= per_call <= bound;
            println!("| {keys} x {models} | {load} % | {before} | {per_call} | {bound} | {verdict} |");
        }
    }
    let bytes = bytes_per_waiting();
    println!("\n{bytes} bytes for each of {WAITING} waiting calls, at most {MOST_BYTES}");
    Ok(good && bytes <= MOST_BYTES)
}

/// How many instructions a run of this program takes.
fn instructions(arguments: [u64; 4]) -> Result<u64, String> {
    let calls = arguments[3];
    let program = env::current_exe().map_err(|error| format!("this program's path: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .arg(INNER)
        .args(arguments.map(|number| number.to_string()))
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

/// A moment so long after the start.
fn at(ms: f64) -> Now {
    Now::both(UnixMs(START + ms as i64))
}

/// Declares the keys and models, and gives the plans: the whole chain of models, and each of them alone.
fn declare(pool: &mut Pool, keys: u64, models: u64) -> Vec<Plan> {
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
    pool.declare(&stems, &rules, HashMap::new(), at(0.0));
    let tier = |model: u64| {
        let stem = pool.find_stem(channel, &name(model))?;
        Some(Tier { stems: vec![(stem, 1)], spill_ms: 2000 })
    };
    let chain = Plan { tiers: (0..models).filter_map(tier).collect() };
    let single = chain.tiers.iter().map(|tier| Plan { tiers: vec![tier.clone()] });
    iter::once(chain.clone()).chain(single).collect()
}

/// The place of a call's plan: every fourth call may go down the whole chain of models, the others ask for one model in
/// turn.
fn plan_of(call: u64, models: u64) -> usize {
    if call.is_multiple_of(4) { 0 } else { 1 + (call % models) as usize }
}

/// The time between two calls.
fn gap_ms(keys: u64, load: u64) -> f64 {
    60_000.0 * 100.0 / (keys * PER_MINUTE * load) as f64
}

/// Sends and settles so many calls while there is room, and gives how many found a key.
fn run(keys: u64, models: u64, load: u64, calls: u64) -> u64 {
    let mut pool = Pool::default();
    let plans = declare(&mut pool, keys, models);
    let gap_ms = gap_ms(keys, load);
    let mut sent = 0;
    for call in 0..calls {
        let now = at(call as f64 * gap_ms);
        let plan = &plans[plan_of(call, models)];
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

/// A call at the desk that waits for a minute at most.
fn call_of(plans: &[Arc<Plan>], place: usize, now: Now) -> Call {
    Call {
        plan: plans[place].clone(),
        set: place as u64,
        cost: Cost { input_tokens: 800, tokens: 1000, ..Cost::default() },
        conversation: None,
        token: TokenId(1),
        weight: 1,
        class: Class::Interactive,
        arrived: now.steady,
        deadline: UnixMs(now.steady.0 + 60_000),
        rests_until: UnixMs(now.steady.0 + 60_000),
        tried: Tried::default(),
        place: None,
    }
}

/// Takes so many calls in at the desk, more than fit; sends who can be sent and settles them, sends away who cannot be
/// served in time. Gives how many calls were taken in.
fn run_desk(keys: u64, models: u64, load: u64, calls: u64) -> u64 {
    let mut desk = Desk::new(Bounds { per_set: PER_SET, ..Bounds::default() });
    let plans: Vec<Arc<Plan>> = declare(desk.pool_mut(), keys, models).into_iter().map(Arc::new).collect();
    let gap_ms = gap_ms(keys, load);
    let settle = |desk: &mut Desk, grant: &Grant, now: Now| {
        desk.pool_mut().accepted(grant.taken.slot, now);
        let used = Cost { input_tokens: 700, tokens: 900, ..Cost::default() };
        desk.pool_mut().settle(grant.taken.slot, Some(used), now);
    };
    let serve = |desk: &mut Desk, now: Now| {
        for event in desk.poll(now, || 1) {
            if let Event::Send(_, grant) = event {
                settle(desk, &grant, now);
            }
        }
    };
    for call in 0..calls {
        let now = at(call as f64 * gap_ms);
        while let Some(wake) = desk.next_wake().filter(|wake| *wake < now.steady) {
            serve(&mut desk, Now::both(wake));
        }
        if let Answer::Send(grant) = desk.acquire(call_of(&plans, plan_of(call, models), now), now, call) {
            settle(&mut desk, &grant, now);
        }
        serve(&mut desk, now);
    }
    calls
}

/// What a waiting call takes, by what the process has in its memory before and after.
fn bytes_per_waiting() -> usize {
    let mut desk = Desk::new(Bounds { per_set: WAITING, total: WAITING });
    let plans: Vec<Arc<Plan>> = declare(desk.pool_mut(), 300, 1).into_iter().map(Arc::new).collect();
    // All that fit in this minute, so that the others wait.
    let mut taken = Vec::new();
    while let Answer::Send(grant) = desk.acquire(call_of(&plans, 1, at(0.0)), at(0.0), 0) {
        desk.pool_mut().accepted(grant.taken.slot, at(0.0));
        taken.push(grant);
    }
    let before = resident_bytes();
    // Until the next window opens, and a little more.
    let deadline = UnixMs(at(1.0).steady.0 + 90_000);
    for _ in 0..WAITING {
        desk.acquire(Call { deadline, ..call_of(&plans, 1, at(1.0)) }, at(1.0), 0);
    }
    let after = resident_bytes();
    assert_eq!(desk.waiting(), WAITING, "all of them wait");
    after.saturating_sub(before) / WAITING
}

/// The resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    number.unwrap_or(0) * 1024
}
