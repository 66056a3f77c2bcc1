//! Repairs: one begins, how far it is, and what the last one found.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Body, Endpoint, Shown},
    refusal::{Refusal, Result},
    shapes::At,
};
use crate::{
    error::Error,
    i18n::Lang,
    repair::{Finding, Options, Report, State, Step, desk::Repairs, desk::Running},
    web::Site,
};

/// The endpoints of this file.
pub fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::new(Method::GET, "/api/repair", "Show the repair that runs, and the last report", show)
            .about("Reports of repairs by commands count as well. A finding's `code` is stable; its texts are not."),
        Endpoint::new(Method::POST, "/api/repair", "Begin a repair", begin)
            .about(
                "It runs in the background; `GET /api/repair` shows how far it is. One runs at a time. Nothing is done by \
                 force: no process is stopped, and nothing that somebody made is deleted.",
            )
            .example(json!({"dry_run": true}))
            .fails(StatusCode::CONFLICT, "A repair is running already."),
    ]
}

/// What is to be done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepairInput {
    /// To look only, and change nothing; makes no calls.
    #[serde(default)]
    dry_run: bool,
    /// The steps; left out, or empty, all of them.
    #[serde(default)]
    steps: Vec<Step>,
    /// To have OpenClaw, if it is on the server's machine, clean up its old sessions.
    #[serde(default)]
    clean_openclaw: bool,
    /// To restart OpenClaw's gateway at the end, if it is on the server's machine.
    #[serde(default)]
    restart_openclaw: bool,
}

/// Something that a step found, and did.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepairFindingView {
    /// The step.
    step: Step,
    /// What it means.
    state: State,
    /// A stable word for it.
    code: String,
    /// What was found and done.
    message: String,
    /// What somebody has to do; null if nothing.
    remedy: Option<String>,
}

impl RepairFindingView {
    fn of(finding: &Finding) -> Self {
        Self {
            step: finding.step,
            state: finding.state,
            code: finding.code.clone(),
            message: finding.message.text(Lang::En).to_owned(),
            remedy: finding.remedy.as_ref().map(|remedy| remedy.text(Lang::En).to_owned()),
        }
    }
}

/// A repair that runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepairRunningView {
    /// When it began.
    began_at: At,
    /// Whether it only looks.
    dry_run: bool,
    /// The step that is being taken.
    step: Option<Step>,
    /// What was found so far.
    findings: Vec<RepairFindingView>,
}

impl RepairRunningView {
    fn of(running: &Running) -> Self {
        Self {
            began_at: running.began_at.into(),
            dry_run: running.options.dry_run,
            step: running.step,
            findings: running.findings.iter().map(RepairFindingView::of).collect(),
        }
    }
}

/// What a repair found and did.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepairReportView {
    /// Whether nothing is left to somebody.
    ok: bool,
    /// Whether it only looked.
    dry_run: bool,
    /// When it began.
    began_at: At,
    /// When it ended.
    ended_at: At,
    /// The findings, step by step.
    findings: Vec<RepairFindingView>,
}

impl RepairReportView {
    fn of(report: &Report) -> Self {
        Self {
            ok: !report.needs_you(),
            dry_run: report.dry_run,
            began_at: report.began_at.into(),
            ended_at: report.ended_at.into(),
            findings: report.findings.iter().map(RepairFindingView::of).collect(),
        }
    }
}

/// How repairs stand.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepairView {
    /// The repair that runs; null if none does.
    running: Option<RepairRunningView>,
    /// The last report; null if there is none.
    last: Option<RepairReportView>,
}

fn repairs(site: &Site) -> Result<&Repairs> {
    Ok(site.admin.repairs.as_ref().ok_or(Error::Unavailable("this server cannot run repairs"))?)
}

async fn view(site: &Site) -> Result<Shown<RepairView>> {
    let repairs = repairs(site)?;
    let running = repairs.running().as_ref().map(RepairRunningView::of);
    let last = repairs.last().await.as_ref().map(RepairReportView::of);
    Ok(Shown(RepairView { running, last }))
}

async fn show(asked: Asked) -> Result<Shown<RepairView>> {
    view(&asked.site).await
}

async fn begin(asked: Asked<(), (), Body<RepairInput>>) -> Result<Shown<RepairView>> {
    let input = asked.body.0;
    let options = Options {
        dry_run: input.dry_run,
        steps: input.steps.into_iter().collect(),
        restart_openclaw: input.restart_openclaw,
        clean_openclaw: input.clean_openclaw,
    };
    if !repairs(&asked.site)?.begin(options) {
        return Err(Refusal::new(StatusCode::CONFLICT, "repair_running", "A repair is running already."));
    }
    view(&asked.site).await
}
