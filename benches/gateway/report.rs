//! Keeps what was measured, sets it against the figures, prints and saves it.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::stats::median;

/// What a load was sent to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The mock upstream itself.
    Direct,
    /// nginx before it.
    Nginx,
    /// OnePool before it.
    OnePool,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::OnePool => "onepool",
        }
    }
}

struct Sample {
    scenario: &'static str,
    name: &'static str,
    target: Target,
    round: usize,
    value: f64,
}

/// How a figure is made of the samples of a round.
#[derive(Clone, Copy)]
enum Of {
    /// OnePool's own value.
    Own,
    /// Its value divided by nginx's.
    OverNginx,
    /// Its value less that of no proxy.
    OverDirect,
}

/// A bound that OnePool should keep.
struct Figure {
    text: &'static str,
    scenario: &'static str,
    name: &'static str,
    of: Of,
    /// The value must be at least the bound, not at most.
    at_least: bool,
    bound: f64,
}

const fn figure(
    text: &'static str,
    scenario: &'static str,
    name: &'static str,
    of: Of,
    at_least: bool,
    bound: f64,
) -> Figure {
    Figure { text, scenario, name, of, at_least, bound }
}

const FIGURES: &[Figure] = &[
    figure("64 clients: requests/s, x nginx", "closed", "requests/s", Of::OverNginx, true, 0.55),
    figure("64 clients: CPU per request, x nginx", "closed", "CPU us/request", Of::OverNginx, false, 2.3),
    figure("1000/s: added p50, us", "open", "p50, us", Of::OverDirect, false, 250.0),
    figure("100 KB prompts: CPU us/request", "prompts", "CPU us/request", Of::Own, false, 120.0),
    figure(
        "500 streams: first chunk, added p50, us",
        "streams",
        "first chunk p50, us",
        Of::OverDirect,
        false,
        400.0,
    ),
    figure(
        "500 streams: later chunks, added p99, us",
        "streams",
        "later chunks p99, us",
        Of::OverDirect,
        false,
        1000.0,
    ),
    figure("500 streams: incomplete", "streams", "incomplete", Of::Own, false, 0.0),
    figure("resident when idle, MB", "memory", "idle, MB", Of::Own, false, 32.0),
    figure("resident at 500 streams, MB", "memory", "500 streams, MB", Of::Own, false, 70.0),
    figure("resident at 2000 streams, MB", "memory", "2000 streams, MB", Of::Own, false, 160.0),
    figure("size of the binary, MB", "start", "binary, MB", Of::Own, false, 20.0),
    figure("usage rows missing", "all", "usage rows missing", Of::Own, false, 0.0),
];

/// The results.
pub struct Report {
    nginx: String,
    rounds: usize,
    seconds: f64,
    samples: Vec<Sample>,
    failures: Vec<String>,
}

/// The size of a file in megabytes.
pub fn binary_mb(program: &Path) -> f64 {
    fs::metadata(program).map_or(f64::NAN, |file| file.len() as f64 / 1e6)
}

impl Report {
    /// Nothing measured yet.
    pub fn new(nginx: &str, rounds: usize, measured: Duration) -> Self {
        let seconds = measured.as_secs_f64();
        Self { nginx: nginx.to_owned(), rounds, seconds, samples: Vec::new(), failures: Vec::new() }
    }

    /// Keeps one value.
    pub fn value(
        &mut self,
        scenario: &'static str,
        name: &'static str,
        target: Target,
        round: usize,
        value: f64,
    ) {
        self.samples.push(Sample { scenario, name, target, round, value });
    }

    /// Keeps what failed; any failure fails the benchmark.
    pub fn failures(&mut self, scenario: &str, target: Target, failures: &[String]) {
        if let Some(first) = failures.first() {
            let count = failures.len();
            self.failures.push(format!("{scenario}, {}: {count} failures, such as: {first}", target.name()));
        }
    }

    /// The values of a measurement, one per round.
    fn of(&self, scenario: &str, name: &str, target: Target) -> impl Iterator<Item = (usize, f64)> {
        self.samples
            .iter()
            .filter(move |sample| {
                sample.scenario == scenario && sample.name == name && sample.target == target
            })
            .map(|sample| (sample.round, sample.value))
    }

    /// The median over the rounds of a figure that is made within each round.
    fn median(&self, scenario: &str, name: &str, target: Target, of: Of) -> Option<f64> {
        let other = |wanted: Target, round: usize| {
            self.of(scenario, name, wanted)
                .find(|(found, _)| *found == round)
                .map_or(f64::NAN, |(_, value)| value)
        };
        median(self.of(scenario, name, target).map(|(round, value)| match of {
            Of::Own => value,
            Of::OverNginx => value / other(Target::Nginx, round),
            Of::OverDirect => value - other(Target::Direct, round),
        }))
    }

    fn figures(&self) -> impl Iterator<Item = (&'static Figure, f64, bool)> {
        FIGURES.iter().filter_map(|figure| {
            let value = self.median(figure.scenario, figure.name, Target::OnePool, figure.of)?;
            let met = if figure.at_least { value >= figure.bound } else { value <= figure.bound };
            Some((figure, value, met))
        })
    }

    /// Whether every figure was met and nothing failed.
    pub fn all_met(&self) -> bool {
        self.failures.is_empty() && self.figures().all(|(_, _, met)| met)
    }

    /// Prints the medians, then the figures.
    pub fn print(&self) {
        println!("\n{} rounds of {} s; {}; medians over the rounds\n", self.rounds, self.seconds, self.nginx);
        println!("{:30} {:>10} {:>10} {:>10}   onepool", "", "direct", "nginx", "onepool");
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for Sample { scenario, name, .. } in &self.samples {
            if seen.contains(&(*scenario, *name)) || *scenario == "all" {
                continue;
            }
            seen.push((*scenario, *name));
            let cell = |target| self.median(scenario, name, target, Of::Own).map_or("-".into(), number);
            let times = self.median(scenario, name, Target::OnePool, Of::OverNginx);
            let times = times.map(|value| format!("{value:.2} x nginx"));
            let added = |target| {
                self.median(scenario, name, target, Of::OverDirect)
                    .filter(|_| name.ends_with("us"))
                    .map(signed)
            };
            let added = match (added(Target::OnePool), added(Target::Nginx)) {
                (Some(own), Some(nginx)) => Some(format!("{own} over direct (nginx {nginx})")),
                _ => None,
            };
            println!(
                "{:30} {:>10} {:>10} {:>10}   {}",
                format!("{scenario}: {name}"),
                cell(Target::Direct),
                cell(Target::Nginx),
                cell(Target::OnePool),
                added.or(times).unwrap_or_default()
            );
        }
        println!("\n{:45} {:>10} {:>12}", "figure", "measured", "bound");
        for (figure, value, met) in self.figures() {
            let relation = if figure.at_least { ">=" } else { "<=" };
            let bound = format!("{relation} {}", figure.bound);
            let verdict = if met { "met" } else { "MISSED" };
            println!("{:45} {:>10} {bound:>12}   {verdict}", figure.text, number(value));
        }
        if let Some(rate) = self.median("closed", "requests/s", Target::Direct, Of::OverNginx) {
            println!("\nWithout a proxy, 64 clients got {rate:.2} times the requests/s of nginx.");
            if rate < 1.3 {
                println!("That is too little: the mock upstream or the load generator is the limit.");
            }
        }
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
    }

    /// Writes every sample, the medians and the figures.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let samples: Vec<Value> = self
            .samples
            .iter()
            .map(|sample| {
                json!({ "scenario": sample.scenario, "name": sample.name, "target": sample.target.name(),
                        "round": sample.round, "value": sample.value })
            })
            .collect();
        let figures: Vec<Value> = self
            .figures()
            .map(|(figure, value, met)| {
                json!({ "figure": figure.text, "value": value, "bound": figure.bound,
                        "at_least": figure.at_least, "met": met })
            })
            .collect();
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let all = json!({ "version": env!("CARGO_PKG_VERSION"), "nginx": self.nginx, "processors": processors,
                          "rounds": self.rounds, "seconds": self.seconds, "figures": figures,
                          "failures": self.failures, "samples": samples });
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, text))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }
}

/// A number with as many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The same with its sign.
fn signed(value: f64) -> String {
    format!("{}{}", if value < 0.0 { "" } else { "+" }, number(value))
}
