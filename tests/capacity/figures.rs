//! What came of a scenario, in figures; and the evidence, where a figure is not as it should be.

use std::{fmt::Write as _, path::PathBuf};

use tokio::time::Instant;

use crate::{
    ideal::percentile,
    scenario::{ANSWER, Event, Scenario},
    support::upstream::Call,
};

/// How a call ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A whole answer.
    Accepted,
    /// A 429.
    Refused(Refused),
    /// Another status, or an answer that is not one.
    Failed(u16, String),
    /// The connection broke.
    Cut,
}

/// What a client is told that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: String,
    pub retry_after: Option<u64>,
}

/// One call; times in milliseconds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub number: usize,
    /// From the begin of the load.
    pub due: i64,
    /// How much later than that it was sent: the fault of the machine.
    pub late: i64,
    /// From when it was due to the end of its answer.
    pub took: i64,
    /// How often its connection broke.
    pub cut: usize,
    pub end: End,
    /// Whether it was accepted when it came again at the time that it was told.
    pub came_again: Option<bool>,
}

/// The figures of a scenario.
pub struct Figures {
    pub scenario: Scenario,
    pub outcomes: Vec<Outcome>,
    /// What the upstream saw.
    pub upstream: Vec<Call>,
    pub begin: Instant,
    pub keys: Vec<String>,
    /// When the second key died.
    pub died: Option<Instant>,
    /// The waits that who knows the enforced windows cannot avoid; `None` for a refusal.
    pub unavoidable: Vec<Option<i64>>,
    /// The same for who knows what is declared.
    pub by_declaration: Vec<Option<i64>>,
    pub log: String,
}

/// A refusal that comes later than this did not come at once.
const AT_ONCE_MS: i64 = 1_000;

impl Figures {
    pub fn offered(&self) -> usize {
        self.outcomes.len()
    }

    pub fn accepted(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.end == End::Accepted).count()
    }

    /// Calls that a client got no answer to.
    pub fn errors(&self) -> usize {
        self.offered() - self.accepted()
    }

    /// Refused calls.
    pub fn refused(&self) -> impl Iterator<Item = (&Outcome, &Refused)> {
        self.outcomes.iter().filter_map(|outcome| match &outcome.end {
            End::Refused(refused) => Some((outcome, refused)),
            _ => None,
        })
    }

    /// Refusals that came late, although it was clear from the beginning that the wait would be too long.
    pub fn refused_late(&self) -> usize {
        self.refused().filter(|(outcome, _)| outcome.took > AT_ONCE_MS + outcome.late).count()
    }

    /// How long accepted calls waited, in milliseconds: what their answers took beyond the upstream's own time.
    pub fn waits(&self) -> Vec<i64> {
        let accepted = self.outcomes.iter().filter(|outcome| outcome.end == End::Accepted);
        accepted.map(|outcome| (outcome.took - ANSWER.as_millis() as i64).max(0)).collect()
    }

    /// Calls that the upstream refused with a 429.
    pub fn upstream_429s(&self) -> usize {
        self.upstream.iter().filter(|call| call.refused == Some(429)).count()
    }

    /// Calls that the dead key got.
    pub fn after_death(&self) -> usize {
        let Some(died) = self.died else { return 0 };
        let late = |call: &&Call| call.key.as_ref() == Some(&self.keys[1]) && call.started >= died;
        self.upstream.iter().filter(late).count()
    }

    /// Hundredths of the calls that were refused, and that had to be.
    pub fn refused_percent(&self) -> (f64, f64) {
        let percent = |count: usize| 100.0 * count as f64 / self.offered() as f64;
        (percent(self.errors()), percent(refusals(&self.by_declaration)))
    }

    /// The table's heading.
    pub fn heading() -> String {
        format!(
            "{:<36} {:>7} {:>8} {:>6} {:>6} {:>8} {:>7} {:>7} {:>8} {:>7} {:>8}  {}",
            "scenario",
            "offered",
            "accepted",
            "errors",
            "cut",
            "up. 429",
            "p50 ms",
            "p95 ms",
            "unav.p95",
            "refused",
            "unavoid.",
            "remarks"
        )
    }

    /// Its line in the table.
    pub fn line(&self) -> String {
        let waits = self.waits();
        let unavoidable: Vec<i64> = self.unavoidable.iter().flatten().copied().collect();
        let (refused, had_to_be) = self.refused_percent();
        let cut: usize = self.outcomes.iter().filter(|outcome| outcome.cut > 0).count();
        let mut remarks = String::new();
        if self.refused().next().is_some() {
            let dates: Vec<i64> =
                self.refused().filter_map(|(_, refused)| refused.retry_after).map(|s| s as i64).collect();
            _ = write!(
                remarks,
                "{} refused late; Retry-After {} to {} s; came again as told: {:?}; {} if the phase were known; ",
                self.refused_late(),
                percentile(&dates, 0),
                percentile(&dates, 100),
                self.outcomes.last().and_then(|outcome| outcome.came_again),
                refusals(&self.unavoidable),
            );
        }
        if self.scenario.event == Event::KeyDies {
            _ = write!(remarks, "{} calls to the dead key; ", self.after_death());
        }
        if !self.scenario.declared {
            let per_mille = 1000.0 * self.upstream_429s() as f64 / self.upstream.len().max(1) as f64;
            _ = write!(remarks, "{per_mille:.0} of 1000 calls refused upstream; ");
        }
        format!(
            "{:<36} {:>7} {:>8} {:>6} {cut:>6} {:>8} {:>7} {:>7} {:>8} {refused:>6.1}% {had_to_be:>7.1}%  {}",
            self.scenario.name(),
            self.offered(),
            self.accepted(),
            self.errors(),
            self.upstream_429s(),
            percentile(&waits, 50),
            percentile(&waits, 95),
            percentile(&unavoidable, 95),
            remarks.trim_end_matches("; "),
        )
    }

    /// Writes down what happened to each call, on both sides; gives the file.
    pub fn write_evidence(&self) -> std::io::Result<PathBuf> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("capacity");
        std::fs::create_dir_all(&folder)?;
        let name: String =
            self.scenario.name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let file = folder.join(format!("{name}.txt"));
        let mut text = format!(
            "{}\n{}\n\nupstream: at ms, key, call, refused, calls of the key that it accepted in the \
                                minute before, age of the first of them\n",
            Self::heading(),
            self.line()
        );
        let at = |call: &Call| call.started.saturating_duration_since(self.begin).as_millis() as i64;
        for call in &self.upstream {
            let mine = self.upstream.iter().filter(|other| {
                other.key == call.key
                    && other.refused.is_none()
                    && other.index < call.index
                    && at(other) > at(call) - 60_000
            });
            let ages: Vec<i64> = mine.map(|other| at(call) - at(other)).collect();
            let marker = call.body["messages"][0]["content"].as_str().unwrap_or_default();
            _ = writeln!(
                text,
                "{:>8} {} {marker} {:?} {} {:?}",
                at(call),
                call.key.as_deref().unwrap_or_default(),
                call.refused,
                ages.len(),
                ages.iter().max()
            );
        }
        text.push_str("\nclient: call, due at ms, sent late by, took, cut, end\n");
        for Outcome { number, due, late, took, cut, end, .. } in &self.outcomes {
            _ = writeln!(text, "c{number} {due:>8} {late:>5} {took:>7} {cut} {end:?}");
        }
        text.push_str("\nlog\n");
        text.push_str(&self.log);
        std::fs::write(&file, text)?;
        Ok(file)
    }
}

fn refusals(waits: &[Option<i64>]) -> usize {
    waits.iter().filter(|wait| wait.is_none()).count()
}
