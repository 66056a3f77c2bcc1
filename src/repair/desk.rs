//! The repairs of a running server: one at a time, with what was found so far, and the last report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::{Event, Finding, Options, Place, Report, Step, run};
use crate::model::time::UnixMs;

/// A repair that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// When it began.
    pub began_at: UnixMs,
    /// What was asked for.
    pub options: Options,
    /// The step that is being taken.
    pub step: Option<Step>,
    /// What was found so far.
    pub findings: Vec<Finding>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Running>,
    last: Option<Report>,
}

/// Knows the repair that runs, and the last one. Cheap to clone; all clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Desk(Arc<Mutex<State>>);

/// The right to run: only one is given at a time. Dropping it, also in the middle of a repair, gives it back.
pub struct Turn(Desk);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state().running = None;
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repair that runs, if one does.
    pub fn running(&self) -> Option<Running> {
        self.state().running.clone()
    }

    /// The right to run a repair; `None` while another one runs.
    pub fn take_turn(&self, options: &Options, now: UnixMs) -> Option<Turn> {
        let mut state = self.state();
        if state.running.is_some() {
            return None;
        }
        state.running =
            Some(Running { began_at: now, options: options.clone(), step: None, findings: Vec::new() });
        Some(Turn(self.clone()))
    }

    /// The last report: of this process, else the one that is kept in the database.
    pub async fn last(&self, place: &Place) -> Option<Report> {
        let last = self.state().last.clone();
        let kept = place.db.last_repair().await.ok().flatten();
        let kept: Option<Report> = kept.and_then(|text| serde_json::from_str(&text).ok());
        // A command may have repaired since.
        [last, kept].into_iter().flatten().max_by_key(|report| report.ended_at)
    }

    /// Runs a repair, with the right to. Its report is kept, unless it only looked; then it is known until the server
    /// stops.
    pub async fn run(&self, turn: Turn, place: &Place, options: &Options) {
        let desk = self.clone();
        let mut on = move |event: Event<'_>| {
            if let Some(running) = &mut desk.state().running {
                match event {
                    Event::Begins(step) => running.step = Some(step),
                    Event::Found(finding) => running.findings.push(finding.clone()),
                }
            }
        };
        let report = run(place, options, &mut on).await;
        if !options.dry_run {
            keep(place, &report).await;
        }
        self.state().last = Some(report);
        drop(turn);
    }
}

/// Runs something in the background until it is done or the server stops.
pub type Spawn = Box<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// The repairs of a server: what begins one, and what shows how far it is.
pub struct Repairs {
    desk: Desk,
    place: Place,
    spawn: Spawn,
}

impl Repairs {
    /// The repairs of the server that `place` describes.
    pub fn new(place: Place, spawn: Spawn) -> Self {
        Self { desk: Desk::default(), place, spawn }
    }

    /// What a repair works on.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The repair that runs, if one does.
    pub fn running(&self) -> Option<Running> {
        self.desk.running()
    }

    /// The last report, of this server or of a command.
    pub async fn last(&self) -> Option<Report> {
        self.desk.last(&self.place).await
    }

    /// Begins a repair in the background; says whether it did, which it does not while another one runs.
    pub fn begin(&self, options: Options) -> bool {
        let Some(turn) = self.desk.take_turn(&options, self.place.clock.now()) else { return false };
        let (desk, place) = (self.desk.clone(), self.place.clone());
        (self.spawn)(Box::pin(async move { desk.run(turn, &place, &options).await }));
        true
    }
}

/// Keeps a report in the database for the Health page.
pub async fn keep(place: &Place, report: &Report) {
    match serde_json::to_string(report) {
        Ok(text) => {
            if let Err(error) = place.db.save_repair(&text).await {
                tracing::warn!(%error, "cannot keep the report of the repair");
            }
        }
        Err(error) => tracing::error!(%error, "a report does not become JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repair_runs_at_a_time_and_an_end_in_the_middle_lets_the_next_one_begin() {
        let desk = Desk::default();
        let options = Options::all(true);
        let turn = desk.take_turn(&options, UnixMs(7)).unwrap();
        assert_eq!(desk.running().unwrap().began_at, UnixMs(7));
        assert!(desk.take_turn(&options, UnixMs(8)).is_none());
        drop(turn);
        assert_eq!(desk.running(), None);
        assert!(desk.take_turn(&options, UnixMs(9)).is_some());
    }
}
