//! What Prometheus is told: counts of calls, and how the pool stands.
//!
//! Nothing here is on a call's way. The [`Tally`] counts rows of the usage log when they have reached the database, a batch at
//! a time; everything else is looked up when somebody asks. [`TABLE`] names every metric; the page `docs/metrics.md` and a test
//! are held against it. Labels are bounded: endpoints, results and the like are lists of ours, and channels beyond
//! [`MOST_CHANNELS`] are one. No label is ever a token, a key or what a client wrote.
//!
//! The text format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

mod labels;
mod page;
mod process;
mod table;
mod tally;

use std::collections::BTreeMap;

use crate::model::{id::ChannelId, recording::Broken};

pub use process::Process;
pub use table::{Family, Kind, TABLE, reference};
pub use tally::Tally;

use page::Page;

/// The most names of channels that are labels, those of the oldest channels first; the others share the label `other`. What
/// was counted for channels that were gone before the first scrape has the label `deleted`.
pub const MOST_CHANNELS: usize = 200;

/// How many keys of a channel are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyStates {
    /// Calls may go there.
    pub available: u64,
    /// They rest after a bad answer.
    pub resting: u64,
    /// An operator has paused them.
    pub paused: u64,
    /// The upstream says that they are wrong or revoked.
    pub invalid: u64,
    /// They, or their channel, are switched off.
    pub off: u64,
}

/// What is left of a channel, in calls of the usual size; only of channels with a known limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// In the next minute.
    pub minute: u64,
    /// In the next 24 hours.
    pub day: u64,
}

/// How things stand, as they were looked up for one page.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Upstream calls under way.
    pub in_flight: usize,
    /// Calls that wait for a key.
    pub waiting: usize,
    /// The keys of each channel.
    pub keys: BTreeMap<ChannelId, KeyStates>,
    /// What is left of each channel.
    pub left: BTreeMap<ChannelId, Left>,
    /// Bytes of the database file and of its write-ahead log.
    pub database_bytes: u64,
    /// Bytes of the journal.
    pub journal_bytes: u64,
    /// Usage rows that are only in memory.
    pub waiting_rows: usize,
    /// What does not work of the recording, if anything.
    pub broken: Option<Broken>,
    /// The version of the pool that calls are answered by.
    pub catalog_version: i64,
    /// Places that notifications go to, whose last delivery worked (or that had none yet), and where it failed.
    pub notice_targets: (u64, u64),
    /// Tokens whose calls are being captured.
    pub captures: u64,
    /// The process, where the system tells.
    pub process: Option<Process>,
}

/// The page of metrics, in the text format of Prometheus. `names` gives the channels that there are, with their names; it is asked
/// while nothing is counted, so that each channel of which something was counted is among them, or is gone.
pub fn page(
    tally: &Tally,
    standing: &Standing,
    names: impl FnOnce() -> BTreeMap<ChannelId, String>,
) -> String {
    let mut counted = tally.read();
    counted.label(&names());
    let (by_label, labels) = (counted.by_label(), counted.labels());
    let mut page = Page::new();

    page.family("onepool_build_info");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], "1");

    page.family("onepool_requests_total");
    for (&(endpoint, result), count) in &counted.requests {
        page.sample(&[("endpoint", endpoint.as_str()), ("result", result.as_str())], count);
    }
    page.by_channel("onepool_channel_requests_total", "result", {
        by_label.iter().flat_map(|(label, channel)| {
            channel.results.iter().map(move |(result, count)| (*label, result.as_str(), *count))
        })
    });
    page.by_channel("onepool_attempts_total", "class", {
        by_label.iter().flat_map(|(label, channel)| {
            channel.attempts.iter().map(move |(class, count)| (*label, class.as_str(), *count))
        })
    });
    page.by_channel("onepool_tokens_total", "kind", {
        by_label.iter().flat_map(|(label, channel)| {
            let t = channel.tokens;
            let kinds = [
                ("prompt", t.prompt),
                ("cached", t.cached),
                ("completion", t.completion),
                ("reasoning", t.reasoning),
            ];
            kinds.map(|(kind, count)| (*label, kind, count))
        })
    });
    page.family("onepool_cost_dollars_total");
    for (label, channel) in &by_label {
        let micros = channel.cost_micros;
        page.sample(&[("channel", *label)], format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
    }
    page.histogram("onepool_first_token_seconds", &counted.first_token);
    page.histogram("onepool_request_seconds", &counted.total);
    page.histogram("onepool_queue_seconds", &counted.queue);
    page.histogram("onepool_relay_overhead_seconds", &counted.overhead);

    page.single("onepool_calls_in_flight", standing.in_flight);
    page.single("onepool_calls_waiting", standing.waiting);
    // A channel without a label was deleted since it was looked up.
    page.by_channel("onepool_keys", "state", {
        standing.keys.iter().filter_map(|(id, keys)| Some((labels.of(*id)?, keys))).flat_map(
            |(label, keys)| {
                let states = [
                    ("available", keys.available),
                    ("resting", keys.resting),
                    ("paused", keys.paused),
                    ("invalid", keys.invalid),
                    ("off", keys.off),
                ];
                states.map(|(state, count)| (label, state, count))
            },
        )
    });
    page.by_channel("onepool_channel_calls_left", "window", {
        standing.left.iter().filter_map(|(id, left)| Some((labels.of(*id)?, left))).flat_map(
            |(label, left)| {
                [("minute", left.minute), ("day", left.day)].map(|(window, calls)| (label, window, calls))
            },
        )
    });
    page.single("onepool_database_bytes", standing.database_bytes);
    page.single("onepool_journal_bytes", standing.journal_bytes);
    page.single("onepool_unwritten_rows", standing.waiting_rows);
    page.family("onepool_recording_alarm");
    for (name, what) in [("journal", Broken::Journal), ("database", Broken::Database)] {
        page.sample(&[("part", name)], u8::from(standing.broken == Some(what)));
    }
    page.single("onepool_catalog_version", standing.catalog_version);
    page.family("onepool_notification_targets");
    page.sample(&[("state", "ok")], standing.notice_targets.0);
    page.sample(&[("state", "failing")], standing.notice_targets.1);
    page.single("onepool_captures_running", standing.captures);
    if let Some(process) = standing.process {
        page.single("process_resident_memory_bytes", process.resident_bytes);
        let cpu = process.cpu_ms;
        page.single("process_cpu_seconds_total", format!("{}.{:03}", cpu / 1000, cpu % 1000));
        page.single("process_open_fds", process.open_files);
    }
    let started = tally.started().0;
    page.single("process_start_time_seconds", format!("{}.{:03}", started / 1000, started % 1000));
    page.into_text()
}

#[cfg(test)]
mod tests;
