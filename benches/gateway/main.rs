//! The benchmark: what OnePool costs beside nginx as a plain reverse proxy, and beside no proxy at all.
//!
//! `cargo bench --bench gateway -- --help` says how to run it, docs/performance.md how to read it. In every round the same
//! load meets the mock upstream directly, through nginx and through OnePool, in an order that changes from round to round;
//! what is compared was measured within seconds of each other.

mod load;
mod process;
mod report;
mod stats;
mod upstream;
mod wire;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use process::{Mock, Proxy, gateway, nginx};
use report::{Report, Target};
use upstream::Wanted;

const HELP: &str = "\
Measures OnePool beside nginx and beside no proxy, and prints a table.

Usage: cargo bench --bench gateway -- [SCENARIO...] [OPTIONS]

Scenarios (all, if none is named):
  closed    64 clients, each sends its next request at once: requests/s, CPU
  open      1000 requests/s, whatever happens: added latency
  prompts   prompts of 100 KB: CPU
  streams   500 streams at once: first chunk, later chunks, completeness
  memory    resident memory idle, at 500 and at 2000 streams
  start     time to start, size of the binary

Options:
  --rounds N    rounds (5)
  --seconds N   seconds of each measurement (4)
  --quick       one short round: shows that everything works, measures little
  --json PATH   where the raw results go (target/bench/gateway.json)
  --help        this text
";

const SCENARIOS: [&str; 6] = ["closed", "open", "prompts", "streams", "memory", "start"];

const CLIENTS: usize = 64;
const OPEN_PER_SECOND: u64 = 1000;
const PROMPT_BYTES: usize = 100_000;
const PROMPT_CLIENTS: usize = 8;
const STREAMS: usize = 500;
const MANY_STREAMS: usize = 2000;

struct Options {
    scenarios: Vec<String>,
    rounds: usize,
    measured: Duration,
    warm_up: Duration,
    json: PathBuf,
}

impl Options {
    fn has(&self, scenario: &str) -> bool {
        self.scenarios.iter().any(|wanted| wanted == scenario)
    }
}

/// Reads the arguments; an error is a text for the user.
fn options(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        scenarios: Vec::new(),
        rounds: 5,
        measured: Duration::from_secs(4),
        warm_up: Duration::from_secs(1),
        json: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/gateway.json")),
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| {
            let value = arguments.next().and_then(|text| text.parse::<u32>().ok());
            value.filter(|value| *value > 0).ok_or(format!("{name} takes a whole number above 0\n\n{HELP}"))
        };
        match argument.as_str() {
            // Cargo adds this by itself.
            "--bench" => {}
            "--help" | "-h" => return Err(HELP.into()),
            "--rounds" => options.rounds = number("--rounds")? as usize,
            "--seconds" => options.measured = Duration::from_secs(number("--seconds")?.into()),
            "--quick" => {
                options.rounds = 1;
                options.measured = Duration::from_secs(1);
                options.warm_up = Duration::from_millis(200);
            }
            "--json" => {
                options.json = arguments.next().ok_or(format!("--json takes a path\n\n{HELP}"))?.into();
            }
            name if SCENARIOS.contains(&name) => options.scenarios.push(name.to_owned()),
            other => return Err(format!("{other} is neither a scenario nor an option\n\n{HELP}")),
        }
    }
    if options.scenarios.is_empty() {
        options.scenarios = SCENARIOS.map(str::to_owned).into();
    }
    Ok(options)
}

/// A runtime on this thread, for the load generator and the mock: a single thread of either serves more than a proxy on
/// two processors takes.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(upstream::ARGUMENT) {
        upstream::run();
        return ExitCode::SUCCESS;
    }
    let done = options(std::env::args().skip(1)).and_then(|options| run(&options));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
    }
}

/// What is measured in a round.
struct Bench<'a> {
    options: &'a Options,
    mock: SocketAddr,
    nginx: Option<Proxy>,
    onepool: Option<Proxy>,
    report: Report,
    round: usize,
    /// Answers that OnePool gave: as many usage rows must be there at the end.
    answered: u64,
}

/// Runs everything; false if a figure was missed or something failed.
fn run(options: &Options) -> Result<bool, String> {
    process::allow_open_files();
    let nginx = nginx::find()?;
    let mock = Mock::start();
    let mut report = Report::new(&nginx::version(&nginx), options.rounds, options.measured);
    report.value("start", "binary, MB", Target::OnePool, 0, report::binary_mb(&gateway::program()));
    let mut bench = Bench {
        options,
        mock: mock.address,
        nginx: Some(nginx::start(&nginx, mock.address)),
        onepool: Some(gateway::start(mock.address)),
        report,
        round: 0,
        answered: 0,
    };
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        bench.round = round;
        bench.load();
        // Memory hardly differs from round to round.
        if round < 3 {
            bench.fresh(&nginx);
        }
    }
    if let Some(onepool) = bench.onepool.take() {
        let rows = gateway::stop_and_count_rows(onepool);
        bench.report.value(
            "all",
            "usage rows missing",
            Target::OnePool,
            0,
            bench.answered.abs_diff(rows) as f64,
        );
    }
    bench.report.print();
    bench.report.save(&options.json)?;
    println!("\nraw results: {}", options.json.display());
    Ok(bench.report.all_met())
}

impl Bench<'_> {
    /// The targets in this round's order.
    fn order(&self) -> [Target; 3] {
        let mut order = [Target::Direct, Target::Nginx, Target::OnePool];
        order.rotate_left(self.round % 3);
        order
    }

    fn proxy(&self, target: Target) -> Option<&Proxy> {
        match target {
            Target::Direct => None,
            Target::Nginx => self.nginx.as_ref(),
            Target::OnePool => self.onepool.as_ref(),
        }
    }

    fn address(&self, target: Target) -> SocketAddr {
        self.proxy(target).map_or(self.mock, |proxy| proxy.address)
    }

    fn cpu(&self, target: Target) -> impl Fn() -> Duration {
        move || self.proxy(target).map_or(Duration::ZERO, Proxy::cpu)
    }

    fn value(&mut self, scenario: &'static str, name: &'static str, target: Target, value: f64) {
        self.report.value(scenario, name, target, self.round, value);
    }

    /// Everything that runs against the long-lived processes.
    fn load(&mut self) {
        let (warm_up, measured) = (self.options.warm_up, self.options.measured);
        if self.options.has("closed") {
            for target in self.order() {
                let to = self.address(target);
                let request = load::request(to, 200, None);
                let answers = load::closed(to, &request, CLIENTS, warm_up, measured, &self.cpu(target));
                self.answers(
                    "closed",
                    target,
                    answers,
                    &["requests/s", "CPU us/request", "p50, us", "p99, us"],
                );
            }
        }
        if self.options.has("open") {
            for target in self.order() {
                let to = self.address(target);
                let request = load::request(to, 200, None);
                let answers = load::open(to, &request, OPEN_PER_SECOND, warm_up, measured, &self.cpu(target));
                self.answers("open", target, answers, &["CPU us/request", "p50, us", "p99, us"]);
            }
        }
        if self.options.has("prompts") {
            for target in self.order() {
                let to = self.address(target);
                let request = load::request(to, PROMPT_BYTES, None);
                let answers =
                    load::closed(to, &request, PROMPT_CLIENTS, warm_up, measured, &self.cpu(target));
                self.answers("prompts", target, answers, &["requests/s", "CPU us/request"]);
            }
        }
        if self.options.has("streams") {
            for target in self.order() {
                self.streams(target);
            }
        }
    }

    fn answers(
        &mut self,
        scenario: &'static str,
        target: Target,
        mut answers: load::Answers,
        names: &[&'static str],
    ) {
        if target == Target::OnePool {
            self.answered += answers.total;
        }
        self.report.failures(scenario, target, &answers.failures);
        for name in names {
            let value = match *name {
                "requests/s" => answers.count as f64 / answers.seconds,
                "CPU us/request" if target == Target::Direct => continue,
                "CPU us/request" => answers.cpu.as_secs_f64() * 1e6 / answers.count as f64,
                "p50, us" => stats::percentile(&mut answers.latencies, 0.5) as f64 / 1e3,
                _ => stats::percentile(&mut answers.latencies, 0.99) as f64 / 1e3,
            };
            self.value(scenario, name, target, value);
        }
    }

    fn streams(&mut self, target: Target) {
        // Ten chunks a second and stream, for as long as is measured.
        let wanted = Wanted { chunks: self.options.measured.as_secs() * 10, every_ms: 100 };
        let spread = Duration::from_secs(1);
        let to = self.address(target);
        let mut streams = load::streams(to, STREAMS, wanted, spread, &self.cpu(target), &|| 0);
        if target == Target::OnePool {
            self.answered += streams.whole;
        }
        self.report.failures("streams", target, &streams.failures);
        let us = |ns: u64| ns as f64 / 1e3;
        self.value("streams", "first chunk p50, us", target, us(stats::percentile(&mut streams.first, 0.5)));
        self.value("streams", "later chunks p50, us", target, us(stats::percentile(&mut streams.later, 0.5)));
        self.value(
            "streams",
            "later chunks p99, us",
            target,
            us(stats::percentile(&mut streams.later, 0.99)),
        );
        self.value("streams", "incomplete", target, (STREAMS as u64 - streams.whole) as f64);
        if target != Target::Direct {
            let chunks = (STREAMS as u64 * wanted.chunks) as f64;
            self.value("streams", "CPU us/chunk", target, streams.cpu.as_secs_f64() * 1e6 / chunks);
        }
    }

    /// What is measured on processes that have just started.
    fn fresh(&mut self, program: &std::path::Path) {
        if !self.options.has("memory") && !self.options.has("start") {
            return;
        }
        for target in self.order() {
            let proxy = match target {
                Target::Direct => continue,
                Target::Nginx => nginx::start(program, self.mock),
                Target::OnePool => gateway::start(self.mock),
            };
            if self.options.has("start") {
                self.value("start", "start, ms", target, proxy.start_ms);
            }
            if self.options.has("memory") {
                self.memory(target, &proxy);
            }
        }
    }

    fn memory(&mut self, target: Target, proxy: &Proxy) {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        std::thread::sleep(Duration::from_secs(1));
        self.value("memory", "idle, MB", target, megabytes(proxy.resident()));
        for (count, name, seconds) in [(STREAMS, "500 streams, MB", 1), (MANY_STREAMS, "2000 streams, MB", 4)]
        {
            let spread = Duration::from_secs(seconds);
            // They run for two seconds more, all at once.
            let wanted = Wanted { chunks: seconds * 4 + 8, every_ms: 250 };
            let streams =
                load::streams(proxy.address, count, wanted, spread, &|| proxy.cpu(), &|| proxy.resident());
            self.report.failures("memory", target, &streams.failures);
            self.value("memory", name, target, megabytes(streams.resident));
        }
    }
}
