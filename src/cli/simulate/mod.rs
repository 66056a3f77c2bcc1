//! `onepool simulate`: what to expect of a pool, by running it against modelled providers in virtual time.

mod advice;

use std::{
    io::{self},
    path::Path,
};

use clap::Command;
use serde_json::{Map, Value, json};

use super::{
    Failure,
    command::{Entry, option, positional, switch, verb},
    invocation::Invocation,
    output::{self, Cell, Look, Table, facts, tell},
};
use crate::{
    i18n::Messages,
    pool::{
        load::{Complaint, Document},
        scenario::ScenarioFile,
    },
    scheduler::simulate::{Reasons, Report, Scenario, simulate},
    web::format::{count, duration},
};
use advice::Advice;

/// `onepool simulate`.
pub const ENTRY: Entry = Entry { name: "simulate", command, run };
const FILE: &str = "file";
const SEED: &str = "seed";

fn command(m: Messages) -> Command {
    let t = m.simulate;
    let examples = &["onepool simulate scenario.toml", "onepool simulate - --seed 7 --json < scenario.json"];
    verb(ENTRY.name, t.about(), examples, m)
        .arg(positional(FILE, t.about_file(), m).value_name("FILE|-"))
        .arg(option(SEED, "NUMBER", t.about_seed(), m))
        .arg(switch("json", t.about_json(), m))
}

fn run(call: &Invocation) -> Result<(), Failure> {
    let m = call.m;
    let seed = match call.text(SEED).map(str::parse) {
        None => None,
        Some(Ok(seed)) => Some(seed),
        Some(Err(_)) => return Err(Failure::option("--seed", m.simulate.bad_seed())),
    };
    let document = match call.required(FILE) {
        "-" => Document::of_stream(io::stdin().lock(), m),
        path => Document::of_path(Path::new(path), m),
    }
    .map_err(Failure::BadFile)?;
    let mut file = document
        .scenario(m)
        .map_err(|faults| bad_file(document.complaints(faults), call.is_on("json"), m))?;
    file.seed = seed.unwrap_or(file.seed);
    let scenario = file.scenario();
    // What can be wrong with a scenario was found when its file was read.
    let report =
        simulate(&scenario).map_err(|bad| Failure::Text(m.simulate.cannot_be(&format!("{bad:?}"))))?;
    if let Some(second) = report.ended_early_at_s {
        return Err(Failure::Text(m.simulate.ended_early(second)));
    }
    let forecast = Forecast::new(file, scenario, report);
    tell(call, &forecast.json(m), || forecast.text(m))
}

/// Faults, one in a line; for scripts also as JSON on stdout.
fn bad_file(complaints: Vec<Complaint>, json: bool, m: Messages) -> Failure {
    if json && let Err(failure) = output::print(&format!("{:#}", json!({ "faults": complaints }))) {
        return failure;
    }
    let mut lines: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    lines.push(m.simulate.faults(complaints.len()));
    Failure::BadFile(lines.join("\n"))
}

/// A scenario and what came of it.
struct Forecast {
    file: ScenarioFile,
    scenario: Scenario,
    report: Report,
}

impl Forecast {
    fn new(file: ScenarioFile, scenario: Scenario, report: Report) -> Self {
        Self { file, scenario, report }
    }

    fn measured_seconds(&self) -> u64 {
        self.scenario.seconds - self.scenario.warm_up_seconds
    }

    fn per_minute(&self, calls: u64) -> f64 {
        calls as f64 * 60.0 / self.measured_seconds().max(1) as f64
    }

    /// Calls a minute that come whatever becomes of them; `None` if there are only agents.
    fn demand_per_minute(&self) -> Option<f64> {
        let demands: Vec<f64> =
            self.file.tokens.iter().filter_map(|token| token.demand_per_minute()).collect();
        (!demands.is_empty()).then(|| demands.iter().sum())
    }

    fn has_agents(&self) -> bool {
        self.file.tokens.iter().any(|token| token.agents.is_some())
    }

    /// `None` without a limit.
    fn quota_per_minute(&self) -> Option<f64> {
        (!self.report.unlimited).then(|| self.per_minute(self.report.allowed_after_warm_up))
    }

    /// The share of the quota that was used; `None` without a quota.
    fn used_share(&self) -> Option<f64> {
        let is_known = !self.report.unlimited && self.report.allowed_after_warm_up > 0;
        is_known.then(|| self.report.efficiency())
    }

    fn under_way(&self) -> u64 {
        let report = &self.report;
        let ended = report.answered + report.refused + report.failed + report.cut_off;
        report.calls.saturating_sub(ended)
    }

    fn json(&self, m: Messages) -> Value {
        let report = &self.report;
        let tokens = self.file.tokens.iter().enumerate().map(|(place, token)| {
            json!({
                "name": token.name,
                "calls": report.calls_by_client[place],
                "answered": report.answered_by_client[place],
                "refused_or_failed": report.unserved_by_client[place],
                "answered_share": rounded(part(report.answered_by_client[place], report.answered)),
            })
        });
        let channels = self.file.channels.iter().enumerate().map(|(place, channel)| {
            json!({
                "name": channel.name,
                "accepted": report.accepted_by_provider[place],
                "rate_limited": report.limited_by_provider[place],
                "faults": report.faults_by_provider[place],
            })
        });
        let advice = Advice::of(self).into_iter();
        json!({
            "seconds": self.scenario.seconds,
            "warm_up_seconds": self.scenario.warm_up_seconds,
            "seed": self.scenario.seed,
            "throughput": {
                "demand_per_minute": self.demand_per_minute().map(rounded),
                "quota_per_minute": self.quota_per_minute().map(rounded),
                "accepted_per_minute": rounded(self.per_minute(report.accepted_after_warm_up)),
                "used_share": self.used_share().map(rounded),
            },
            "calls": {
                "total": report.calls,
                "answered": report.answered,
                "refused": report.refused,
                "refused_late": report.refused_late,
                "failed": report.failed,
                "cut_off": report.cut_off,
                "under_way": self.under_way(),
            },
            "reasons": reasons(&report.reasons)
                .iter()
                .map(|(name, calls)| ((*name).to_owned(), json!(calls)))
                .collect::<Map<String, Value>>(),
            "waits": {
                "p50_ms": report.wait_p50_ms,
                "p95_ms": report.wait_p95_ms,
                "longest_ms": report.wait_max_ms,
                "longest_line": report.longest_line,
            },
            "upstream": {
                "attempts": report.attempts,
                "rate_limited": report.limited,
                "rate_limited_after_warm_up": report.limited_after_warm_up,
                "faults": report.faults,
            },
            "tokens": tokens.collect::<Vec<_>>(),
            "channels": channels.collect::<Vec<_>>(),
            "accepted_by_minute": report.accepted_by_minute,
            "advice": advice
                .map(|advice| json!({ "code": advice.code(), "message": advice.text(m) }))
                .collect::<Vec<_>>(),
        })
    }

    fn text(&self, m: Messages) -> String {
        let (t, report) = (m.simulate, &self.report);
        let of_calls = |calls: u64| format!("{} ({})", count(calls), per_cent(part(calls, report.calls)));
        let ms = |ms: u64| duration(m, u32::try_from(ms).unwrap_or(u32::MAX));
        let demand = match (self.demand_per_minute(), self.has_agents()) {
            (Some(demand), false) => t.per_minute(&decimal(demand)),
            (Some(demand), true) => t.and_agents(&t.per_minute(&decimal(demand))),
            (None, _) => t.agents_follow().to_owned(),
        };
        let accepted = decimal(self.per_minute(report.accepted_after_warm_up));
        let throughput = match self.used_share() {
            Some(share) => t.per_minute_of(&accepted, &per_cent(share)),
            None => t.per_minute(&accepted),
        };
        let quota = self.quota_per_minute();
        let quota = quota.map_or_else(|| t.no_quota().to_owned(), |quota| t.per_minute(&decimal(quota)));
        let (seconds, warm_up) = (count(self.scenario.seconds), count(self.scenario.warm_up_seconds));
        let bad = |calls: u64| if calls > 0 { Look::Doubtful } else { Look::Plain };
        let refused = match report.refused_late {
            0 => of_calls(report.refused),
            late => t.refused_late(&of_calls(report.refused), &count(late)),
        };
        let mut rows = vec![
            (t.time(), Cell::text(t.time_is(&seconds, &warm_up))),
            (t.demand(), Cell::text(demand)),
            (t.quota(), Cell::text(quota)),
            (t.throughput(), Cell::text(throughput)),
            (t.calls(), Cell::text(count(report.calls))),
            (t.answered(), Cell::text(of_calls(report.answered))),
            (t.refused(), Cell::text(refused).look(bad(report.refused))),
            (t.failed(), Cell::text(of_calls(report.failed)).look(bad(report.failed))),
        ];
        let why: Vec<String> = reasons(&report.reasons)
            .iter()
            .filter(|(_, calls)| *calls > 0)
            .map(|(name, calls)| format!("{} {}", reason(name, m), count(*calls)))
            .collect();
        if !why.is_empty() {
            rows.push((t.why(), Cell::text(why.join(", "))));
        }
        for (label, calls) in [(t.cut_off(), report.cut_off), (t.under_way(), self.under_way())] {
            if calls > 0 {
                rows.push((label, Cell::text(count(calls))));
            }
        }
        let waits = t.waits_are(&ms(report.wait_p50_ms), &ms(report.wait_p95_ms), &ms(report.wait_max_ms));
        let upstream = t.upstream_is(&count(report.attempts), &count(report.limited), &count(report.faults));
        rows.extend([
            (t.waits(), Cell::text(waits)),
            (t.line(), Cell::text(count(report.longest_line))),
            (t.upstream(), Cell::text(upstream).look(bad(report.limited + report.faults))),
        ]);
        let mut text = facts(&rows);
        let mut tokens = Table::new([t.token(), t.calls(), t.answered(), t.share(), t.unserved()]);
        for (place, token) in self.file.tokens.iter().enumerate() {
            tokens.row([
                Cell::text(&token.name),
                Cell::number(count(report.calls_by_client[place])),
                Cell::number(count(report.answered_by_client[place])),
                Cell::number(per_cent(part(report.answered_by_client[place], report.answered))),
                Cell::number(count(report.unserved_by_client[place])),
            ]);
        }
        let mut channels = Table::new([t.channel(), t.accepted(), t.limited(), t.faults_heading()]);
        for (place, channel) in self.file.channels.iter().enumerate() {
            channels.row([
                Cell::text(&channel.name),
                Cell::number(count(report.accepted_by_provider[place])),
                Cell::number(count(report.limited_by_provider[place])),
                Cell::number(count(report.faults_by_provider[place])),
            ]);
        }
        for table in [tokens, channels] {
            text.push_str("\n\n");
            text.push_str(&table.draw());
        }
        let advice = Advice::of(self);
        if !advice.is_empty() {
            text.push('\n');
        }
        for advice in advice {
            text.push('\n');
            text.push_str(&output::clean(&advice.text(m)));
        }
        text
    }
}

/// Why calls were refused or failed, by the names that programs read.
fn reasons(reasons: &Reasons) -> [(&'static str, u64); 6] {
    [
        ("limits", reasons.limits),
        ("resting", reasons.resting),
        ("busy", reasons.busy),
        ("too_large", reasons.too_large),
        ("tried", reasons.tried),
        ("nobody", reasons.nobody),
    ]
}

fn reason(name: &str, m: Messages) -> &'static str {
    let t = m.simulate;
    match name {
        "limits" => t.reason_limits(),
        "resting" => t.reason_resting(),
        "busy" => t.reason_busy(),
        "too_large" => t.reason_too_large(),
        "tried" => t.reason_tried(),
        _ => t.reason_nobody(),
    }
}

fn part(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// With three decimals, as JSON has it.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn decimal(value: f64) -> String {
    format!("{value:.1}")
}

fn per_cent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
