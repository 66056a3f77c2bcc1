//! `/health/repair`: what can be seen at once, the last repair's report, and a repair that runs in the background.

use askama::Template;
use axum::{Router, extract::State as Part, response::Response, routing::get};

use super::{Tab, tabs};
use crate::{
    error::{Error, Result},
    i18n::Messages,
    repair::{
        Finding, Options, Report, State, Step,
        desk::{Repairs, Running},
        openclaw_is_here,
    },
    web::{
        Site,
        admin::visit::{Chrome, FlashKind, Operator, Section, render, see_other_with},
        form::Fields,
    },
};

/// `GET /health/repair` and what its form does.
pub fn router() -> Router<Site> {
    Router::new().route("/health/repair", get(show).post(begin))
}

/// A finding in a list.
struct Row {
    class: &'static str,
    state: &'static str,
    message: String,
    remedy: String,
}

/// A step and what it found.
struct Group {
    title: &'static str,
    rows: Vec<Row>,
}

/// A report, or the part of one that is there so far.
struct Sheet {
    title: String,
    badges: Vec<(&'static str, String)>,
    groups: Vec<Group>,
}

#[derive(Template)]
#[template(path = "pages/health_repair.html")]
struct RepairPage {
    c: Chrome,
    tabs: Vec<Tab>,
    now: Vec<Row>,
    has_openclaw: bool,
    /// The step that a repair takes now; empty if none runs.
    step: String,
    running: Option<Sheet>,
    last: Option<Sheet>,
}

/// A text without the marks that set commands and names apart on a terminal.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn row(t: Messages, finding: &Finding) -> Row {
    Row {
        class: match finding.state {
            State::Ok | State::Fixed => "ok",
            State::WouldFix => "warn",
            State::NeedsYou => "bad",
            State::Skipped => "",
        },
        state: t.repair.state(finding.state.as_str()),
        message: plain(finding.message.text(t.lang)),
        remedy: finding.remedy.as_ref().map(|remedy| plain(remedy.text(t.lang))).unwrap_or_default(),
    }
}

fn groups(t: Messages, findings: &[Finding]) -> Vec<Group> {
    let of = |step: &Step| Group {
        title: t.repair.step(step.as_str()),
        rows: findings
            .iter()
            .filter(|finding| finding.step == *step)
            .map(|finding| row(t, finding))
            .collect(),
    };
    Step::ALL.iter().map(of).filter(|group| !group.rows.is_empty()).collect()
}

impl Sheet {
    fn of_report(t: Messages, report: &Report, zone: &jiff::tz::TimeZone) -> Self {
        let seconds = report.ended_at.since(report.began_at).as_secs();
        let at = report.ended_at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string();
        let mut badges = Vec::new();
        if report.dry_run {
            badges.push(("", t.repair.only_looked().to_owned()));
        }
        let counted = [(State::NeedsYou, "bad"), (State::Fixed, "ok"), (State::WouldFix, "warn")];
        for (state, class) in counted {
            let count = report.count(state);
            if count > 0 {
                badges.push((class, format!("{}: {count}", t.repair.state(state.as_str()))));
            }
        }
        Self { title: t.repair.last_at(&at, seconds), badges, groups: groups(t, &report.findings) }
    }

    fn of_running(t: Messages, running: &Running) -> Self {
        let only = running.options.dry_run.then(|| ("", t.repair.run_look().to_owned()));
        Self {
            title: t.repair.running_title().to_owned(),
            badges: only.into_iter().collect(),
            groups: groups(t, &running.findings),
        }
    }
}

pub(super) fn repairs(site: &Site) -> Result<&Repairs> {
    site.admin.repairs.as_ref().ok_or(Error::Unavailable("this server cannot run repairs"))
}

async fn show(Part(site): Part<Site>, operator: Operator) -> Result<Response> {
    let t = operator.t();
    let repairs = repairs(&site)?;
    let running = repairs.running();
    let step = running.as_ref().map(|running| {
        running.step.map_or_else(String::new, |step| t.repair.running_step(t.repair.step(step.as_str())))
    });
    let last = repairs.last().await;
    let zone = site.catalog.load().zone.clone();
    // Files and folders are looked at.
    let place = repairs.place().clone();
    let glance = tokio::task::spawn_blocking(move || (crate::repair::glance(&place), openclaw_is_here()));
    let (now, has_openclaw) = glance.await.unwrap_or_default();
    render(&RepairPage {
        tabs: tabs(t, "/health/repair"),
        c: operator.chrome(Section::Health),
        now: now.iter().map(|finding| row(t, finding)).collect(),
        has_openclaw,
        step: step.unwrap_or_default(),
        running: running.as_ref().map(|running| Sheet::of_running(t, running)),
        last: last.as_ref().map(|report| Sheet::of_report(t, report, &zone)),
    })
}

/// `POST /health/repair`: begins a repair in the background.
async fn begin(Part(site): Part<Site>, operator: Operator, fields: Fields) -> Result<Response> {
    let t = operator.t().repair;
    let dry_run = fields.text("do") != "repair";
    let options = Options {
        clean_openclaw: !dry_run && fields.checked("clean_openclaw"),
        restart_openclaw: !dry_run && fields.checked("restart_openclaw"),
        ..Options::all(dry_run)
    };
    Ok(if repairs(&site)?.begin(options) {
        let text = if dry_run { t.look_started() } else { t.started() };
        see_other_with("/health/repair", FlashKind::Ok, text)
    } else {
        see_other_with("/health/repair", FlashKind::Bad, t.busy())
    })
}
