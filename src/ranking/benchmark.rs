//! Published figures: how capable a model is, who says so, and when.
//!
//! A figure is taken as it was published and put on a scale from 0 to 1000 by two fixed points of its benchmark. A model
//! without a figure has none: its capability is unknown, and nothing stands in for it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use super::{
    data::{is_address, read_all, unless},
    identity::Identity,
};
use crate::provider::{DataFault, Text};

const EMBEDDED: (&str, &str) = ("benchmarks.json", include_str!("data/benchmarks.json"));

/// What a benchmark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// All sorts of tasks.
    General,
    /// Writing and mending programs.
    Coding,
    /// Images and documents.
    Vision,
}

/// A benchmark.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Benchmark {
    /// What figures call it.
    pub id: String,
    /// What pages call it.
    pub name: Text,
    /// What it is about.
    pub measures: Measure,
    /// The figure that counts nothing. For ranks it is larger than `full`.
    pub zero: f64,
    /// The figure that counts in full.
    pub full: f64,
    /// Where it is described.
    pub source: String,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    /// The model's identity.
    model: String,
    /// The benchmark's id.
    benchmark: String,
    /// The figure as it was published.
    value: f64,
    /// Only the model's maker reports it.
    #[serde(default)]
    self_reported: bool,
    /// The day (or, for a month, its first) for which it was published.
    as_of: Date,
    /// Who says so.
    source: String,
}

/// A model for which somebody looked, and found nothing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {
    /// The model's identity.
    model: String,
    /// When somebody looked.
    checked: Date,
    /// Why there is none, if there is a reason.
    why: Option<Text>,
}

/// A file of figures; all fields may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Benchmarks; of several that measure the same, the first one with a figure for a model counts. One of a later file
    /// replaces the one of the same id, or goes before all others.
    benchmarks: Vec<Benchmark>,
    /// Figures; one of a later file replaces the one of the same model and benchmark.
    figures: Vec<Figure>,
    /// Models for which none was found.
    none_found: Vec<Nothing>,
}

/// How capable a model is, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    /// From 0 to 1000.
    pub points: u16,
    /// What was measured; [`Measure::General`] where there is no figure for what was asked.
    pub measure: Measure,
    /// The benchmark's id.
    pub benchmark: String,
    /// The figure as it was published.
    pub value: f64,
    /// Only the model's maker reports it.
    pub self_reported: bool,
    /// For when it was published.
    pub as_of: Date,
    /// Who says so.
    pub source: String,
}

/// What is known of a model's capability.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// A figure.
    Figure(Capability),
    /// Somebody looked on this day and found none, perhaps for this reason.
    NoneFound {
        /// When somebody looked.
        checked: Date,
        /// Why there is none.
        why: Option<Text>,
    },
    /// Nobody looked.
    Unchecked,
}

/// All figures.
#[derive(Debug, Clone)]
pub struct Benchmarks {
    benchmarks: Vec<Benchmark>,
    /// By model, then by benchmark.
    figures: BTreeMap<Identity, BTreeMap<String, Figure>>,
    none_found: BTreeMap<Identity, Nothing>,
}

impl Benchmarks {
    /// The embedded figures.
    ///
    /// # Panics
    ///
    /// If the embedded data is malformed, which a test rules out.
    pub fn embedded() -> Self {
        match Self::with_overrides(&[]) {
            Ok(benchmarks) => benchmarks,
            Err(faults) => panic!("the embedded benchmarks are malformed: {}", faults[0]),
        }
    }

    /// The embedded figures with files (name and text) over them, in their order. If any file is malformed, every fault is
    /// reported and there are no figures: keep those that you have.
    pub fn with_overrides(files: &[(String, String)]) -> Result<Self, Vec<DataFault>> {
        let read = read_all::<File>(EMBEDDED, files)?;
        let mut faults = Vec::new();
        let mut all = Self { benchmarks: Vec::new(), figures: BTreeMap::new(), none_found: BTreeMap::new() };
        for (name, file) in read {
            let mut new = Vec::new();
            for (place, benchmark) in file.benchmarks.into_iter().enumerate() {
                check_benchmark(&name, place, &benchmark, &mut faults);
                match all.benchmarks.iter_mut().find(|known| known.id == benchmark.id) {
                    Some(known) => *known = benchmark,
                    None => new.push(benchmark),
                }
            }
            all.benchmarks.splice(0..0, new);
            for (place, figure) in file.figures.into_iter().enumerate() {
                let known = all.benchmarks.iter().any(|known| known.id == figure.benchmark);
                let at = |field: &str| format!("figures[{place}].{field}");
                unless(known, &name, at("benchmark"), &mut faults, "`benchmarks` has none of this id");
                unless(figure.value.is_finite(), &name, at("value"), &mut faults, "write a number");
                unless(
                    is_address(&figure.source),
                    &name,
                    at("source"),
                    &mut faults,
                    "name a http or https address",
                );
                unless(!figure.model.trim().is_empty(), &name, at("model"), &mut faults, "name a model");
                let model = Identity::new(&figure.model);
                all.none_found.remove(&model);
                all.figures.entry(model).or_default().insert(figure.benchmark.clone(), figure);
            }
            for (place, nothing) in file.none_found.into_iter().enumerate() {
                let model = Identity::new(&nothing.model);
                let none = !all.figures.contains_key(&model);
                let at = format!("none_found[{place}].model");
                unless(none, &name, at, &mut faults, "there is a figure for this model");
                all.none_found.insert(model, nothing);
            }
        }
        if faults.is_empty() { Ok(all) } else { Err(faults) }
    }

    /// What is known of a model: the figure for `measure`, else the general one.
    pub fn of(&self, model: &Identity, measure: Measure) -> Known {
        let figures = self.figures.get(model);
        let of_measure = |wanted| {
            let mut benchmarks = self.benchmarks.iter().filter(move |benchmark| benchmark.measures == wanted);
            benchmarks.find_map(|benchmark| Some((benchmark, figures?.get(&benchmark.id)?)))
        };
        if let Some((benchmark, figure)) = of_measure(measure).or_else(|| of_measure(Measure::General)) {
            return Known::Figure(Capability {
                points: points(benchmark, figure.value),
                measure: benchmark.measures,
                benchmark: benchmark.id.clone(),
                value: figure.value,
                self_reported: figure.self_reported,
                as_of: figure.as_of,
                source: figure.source.clone(),
            });
        }
        match self.none_found.get(model) {
            Some(nothing) => Known::NoneFound { checked: nothing.checked, why: nothing.why.clone() },
            None => Known::Unchecked,
        }
    }

    /// The benchmark of an id.
    pub fn find(&self, id: &str) -> Option<&Benchmark> {
        self.benchmarks.iter().find(|benchmark| benchmark.id == id)
    }

    /// All benchmarks, in the order in which they count.
    pub fn all(&self) -> &[Benchmark] {
        &self.benchmarks
    }
}

fn points(benchmark: &Benchmark, value: f64) -> u16 {
    let share = (value - benchmark.zero) / (benchmark.full - benchmark.zero);
    // The cast is within bounds.
    (share.clamp(0.0, 1.0) * 1000.0).round() as u16
}

fn check_benchmark(name: &str, place: usize, benchmark: &Benchmark, faults: &mut Vec<DataFault>) {
    let at = |field: &str| format!("benchmarks[{place}].{field}");
    let id = !benchmark.id.is_empty()
        && benchmark
            .id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    unless(id, name, at("id"), faults, "use lower-case letters, digits and hyphens");
    let span = benchmark.zero.is_finite() && benchmark.full.is_finite() && benchmark.zero != benchmark.full;
    unless(span, name, at("full"), faults, "`zero` and `full` are two different numbers");
    unless(is_address(&benchmark.source), name, at("source"), faults, "name a http or https address");
    let named = !benchmark.name.en.trim().is_empty() && !benchmark.name.zh.trim().is_empty();
    unless(named, name, at("name"), faults, "both languages need a name");
}
