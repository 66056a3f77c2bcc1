//! What the pool is for, measured in real time: the real program before three keys at 40 calls a minute each, whose limits
//! a real listener enforces.
//!
//! All scenarios run side by side, once, for about four minutes; each test looks at its own. The figures are printed as a
//! table, and what happened to each call is written to `target/tmp/capacity/`. `ONEPOOL_BINARY` measures another build. See
//! `docs/performance.md`.

mod figures;
mod ideal;
mod lag;
mod scenario;
mod server;
#[allow(dead_code, unused_imports, reason = "the other tests use more of it")]
#[path = "../it/support/mod.rs"]
mod support;

use std::{
    io::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

use figures::Figures;
use ideal::percentile;
use lag::{Lag, Monitor};
use scenario::{ANSWER, Arrival, Enforced, Event, Scenario};
use support::upstream::{Pace, Upstream};

/// Scenarios begin one after the other, so that their bursts do not meet.
const APART: Duration = Duration::from_millis(1_450);

/// What waits may exceed the unavoidable ones by, in milliseconds.
const WITHIN_MS: i64 = 1_000;

/// What refusals may exceed the unavoidable ones by, in hundredths of all calls.
const WITHIN_POINTS: f64 = 3.0;

/// The most calls that a dead key may get.
const MOST_AFTER_DEATH: usize = 2;

/// The figures of all scenarios, and how busy the machine was.
struct Run {
    figures: Vec<Figures>,
    lag: Lag,
}

/// Everything that is measured, the longest first.
fn scenarios() -> Vec<Scenario> {
    use {Arrival::*, Enforced::*, Event::*};
    let plain =
        |enforced, arrival, load| Scenario { enforced, arrival, load, event: Nothing, declared: true };
    let with = |event, arrival, load| Scenario { event, ..plain(Rolling, arrival, load) };
    let unknown = |enforced, arrival| Scenario { declared: false, ..plain(enforced, arrival, 90) };
    let mut all = Vec::new();
    for enforced in [Rolling, Fixed] {
        all.extend([Evenly, Bursts].map(|arrival| plain(enforced, arrival, 200)));
    }
    for enforced in [Rolling, Fixed] {
        for arrival in [Evenly, Bursts] {
            all.extend([90, 100].map(|load| plain(enforced, arrival, load)));
        }
    }
    for arrival in [Evenly, Bursts] {
        all.extend([with(Kill, arrival, 90), with(KeyDies, arrival, 60)]);
    }
    all.push(with(Kill, Bursts, 150));
    all.extend([unknown(Rolling, Evenly), unknown(Rolling, Bursts), unknown(Fixed, Bursts)]);
    all
}

/// Measures everything, once; every test waits for it.
fn measured() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(measure())
    })
}

async fn measure() -> Run {
    many_files();
    let upstream = Upstream::start_on("127.0.0.1:0".parse().expect("an address"), 2).expect("a free port");
    upstream.set_pace(Pace { first: ANSWER, ..Pace::default() });
    let upstream = Arc::new(upstream);
    let mut prepared = Vec::new();
    for scenario in scenarios() {
        prepared.push(scenario.prepare(&upstream).await);
    }
    let (monitor, begin) = (Monitor::start(), Instant::now() + APART);
    let running: Vec<_> = (0..)
        .zip(prepared)
        .map(|(place, prepared)| beside(prepared.run(upstream.clone(), begin + place * APART)))
        .collect();
    let mut figures = Vec::new();
    for scenario in running {
        figures.push(scenario.await.expect("a scenario comes to its end"));
    }
    let run = Run { figures, lag: monitor.stop() };
    run.print();
    run
}

impl Run {
    /// Prints the table past the test harness, which would keep it to itself.
    fn print(&self) {
        let mut err = std::io::stderr().lock();
        _ = writeln!(err, "\n{}", Figures::heading());
        for figures in &self.figures {
            let evidence = figures.write_evidence();
            _ = writeln!(err, "{}", figures.line());
            if let Err(error) = evidence {
                _ = writeln!(err, "no evidence could be written: {error}");
            }
        }
        _ = writeln!(err, "{}\n", self.machine());
    }

    fn machine(&self) -> String {
        let Lag { p99, most } = self.lag;
        let verdict = if self.lag.is_starved() {
            "STARVED of processor time; measure again when it is idle"
        } else {
            "had time"
        };
        format!(
            "the machine {verdict}: a thread that wants 2 ms every 100 ms got them {p99} ms late (p99), {most} ms (most)"
        )
    }

    /// Checks the figures of some scenarios; `check` says what is wrong with them.
    fn check(&self, of: impl Fn(&Scenario) -> bool, check: impl Fn(&Figures) -> Vec<String>) {
        let chosen: Vec<_> = self.figures.iter().filter(|figures| of(&figures.scenario)).collect();
        assert!(!chosen.is_empty(), "nothing was measured");
        let wrong = chosen.iter().flat_map(|figures| {
            let name = figures.scenario.name();
            check(figures).into_iter().map(move |what| format!("{name}: {what}"))
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{}\n{}\nevidence: target/tmp/capacity", wrong.join("\n"), self.machine());
    }
}

/// Says what is wrong, if something is.
fn unless(right: bool, wrong: impl FnOnce() -> String) -> Option<String> {
    (!right).then(wrong)
}

fn no_error(figures: &Figures) -> Option<String> {
    unless(figures.errors() == 0, || {
        let mut ends: Vec<_> = figures.outcomes.iter().map(|outcome| &outcome.end).collect();
        ends.retain(|end| **end != figures::End::Accepted);
        format!("{} clients met an error, the first {:?}", ends.len(), ends.first())
    })
}

fn no_upstream_429(figures: &Figures) -> Option<String> {
    let count = figures.upstream_429s();
    unless(count == 0, || format!("the upstream refused {count} calls with a 429"))
}

#[test]
fn up_to_the_capacity_nobody_is_refused_and_waits_are_those_that_cannot_be_avoided() {
    let chosen =
        |scenario: &Scenario| scenario.declared && scenario.event == Event::Nothing && scenario.load <= 100;
    measured().check(chosen, |figures| {
        let unavoidable: Vec<i64> = figures.unavoidable.iter().flatten().copied().collect();
        let (wait, least) = (percentile(&figures.waits(), 95), percentile(&unavoidable, 95));
        let waits = unless(wait <= least + WITHIN_MS, || {
            format!("calls waited {wait} ms (p95) where {least} ms could not be avoided")
        });
        [no_error(figures), waits].into_iter().flatten().collect()
    });
}

#[test]
fn at_twice_the_capacity_those_are_refused_who_must_be_and_they_are_told_at_once_when_to_come_back() {
    measured().check(
        |scenario| scenario.load == 200,
        |figures| {
            let (refused, had_to_be) = figures.refused_percent();
            let few = unless((refused - had_to_be).abs() <= WITHIN_POINTS, || {
                format!("{refused:.1} % were refused, and {had_to_be:.1} % had to be")
            });
            let dishonest = figures.refused().filter(|(_, refused)| {
                refused.code != "pool_exhausted" || refused.retry_after.is_none_or(|seconds| seconds == 0)
            });
            let (dishonest, refusals) = (dishonest.count(), figures.refused().count());
            let other = figures.errors() - refusals;
            let late = figures.refused_late();
            let again = figures.outcomes.last().and_then(|outcome| outcome.came_again);
            [
                few,
                unless(dishonest == 0, || {
                    format!("{dishonest} of {refusals} refusals do not say when to come back")
                }),
                unless(other == 0, || {
                    format!("{other} calls ended in another way than by an answer or a 429")
                }),
                unless(late == 0, || format!("{late} of {refusals} refusals did not come at once")),
                unless(again != Some(false), || "who came back as told was refused again".to_owned()),
            ]
            .into_iter()
            .flatten()
            .collect()
        },
    );
}

#[test]
fn a_kill_in_the_middle_lets_no_call_go_where_it_is_refused() {
    measured().check(
        |scenario| scenario.event == Event::Kill,
        |figures| no_upstream_429(figures).into_iter().collect(),
    );
}

#[test]
fn a_key_that_dies_gets_two_more_calls_at_most_and_no_client_notices() {
    measured().check(
        |scenario| scenario.event == Event::KeyDies,
        |figures| {
            let calls = figures.after_death();
            // Calls of one burst go out together: none of them can know what becomes of the others.
            let few = figures.scenario.arrival == Arrival::Bursts || calls <= MOST_AFTER_DEATH;
            let calls = unless(few, || format!("the dead key got {calls} calls"));
            [no_error(figures), calls].into_iter().flatten().collect()
        },
    );
}

#[test]
fn below_limits_that_nobody_declared_no_client_is_refused() {
    measured().check(|scenario| !scenario.declared, |figures| no_error(figures).into_iter().collect());
}

/// Runs a scenario beside the others.
#[expect(clippy::disallowed_methods, reason = "no server waits for these: they are its clients")]
fn beside<T: Send + 'static>(client: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(client)
}

/// An HTTP client that talks to nobody but whom it is told.
fn client() -> reqwest::Client {
    // Fails if it is installed already.
    _ = rustls::crypto::ring::default_provider().install_default();
    // The server lets go of a connection that says nothing for 15 s, which is also the time between two bursts: as with our
    // nginx, the client is the first to do so, or a call would meet a connection that is just being closed.
    reqwest::Client::builder()
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

/// Lets this process, and those that it starts, open as many files as the system allows.
fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("a higher soft limit");
}
