//! `/usage.csv`: the explorer's table, or with `table=series` its time series, as a file. The same rules as for the log's
//! file: RFC 4180 in UTF-8 with a byte order mark, stable names of columns, no cell that a spreadsheet would run.

use axum::{
    Router,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::tz::TimeZone;

use super::{
    explore::{DRAWN_GROUPS, Explored, Plan},
    metric::Metric,
    period::moment,
    query::Explorer,
};
use crate::{
    error::{Error, Result},
    storage::{
        StorageError,
        usage_query::report::{Group, GroupBy, GroupName, MOST_GROUPS, Sums},
    },
    web::{
        Site,
        admin::{
            log::{
                csv::cell,
                names::{key_text, named_text},
            },
            visit::Operator,
        },
        form::Fields,
        format::plain_money,
    },
};

/// `GET /usage.csv`.
pub fn router() -> Router<Site> {
    Router::new().route("/usage.csv", get(download))
}

/// The names of the columns of [`cells`].
pub const COLUMNS: &str = "requests,ok,failed,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens,estimated,\
    cost_dollars,first_token_p50_ms,first_token_p95_ms,total_p50_ms,total_p95_ms,first_token_p99_ms,total_p99_ms,\
    queue_p50_ms,queue_p95_ms,queue_p99_ms,ok_at_once,retried";

/// Sums as cells.
pub fn cells(sums: &Sums) -> Vec<String> {
    let percentiles =
        |metrics: &[Metric]| metrics.iter().map(|metric| metric.plain(sums)).collect::<Vec<_>>();
    let mut cells = vec![
        sums.requests.to_string(),
        sums.ok.to_string(),
        sums.failed().to_string(),
        sums.tokens.prompt.to_string(),
        sums.tokens.cached.to_string(),
        sums.tokens.completion.to_string(),
        sums.tokens.reasoning.to_string(),
        sums.estimated.to_string(),
        plain_money(sums.cost_micros),
    ];
    cells.extend(percentiles(&[
        Metric::FirstP50,
        Metric::FirstP95,
        Metric::TotalP50,
        Metric::TotalP95,
        Metric::FirstP99,
        Metric::TotalP99,
        Metric::QueueP50,
        Metric::QueueP95,
        Metric::QueueP99,
    ]));
    cells.extend([sums.ok_at_once.to_string(), sums.retried.to_string()]);
    cells
}

/// What a group is called in files and on terminals; empty of calls that reached none, `(others)` of the rest.
pub fn group_text(name: &GroupName) -> String {
    match name {
        GroupName::None => String::new(),
        GroupName::Others => "(others)".into(),
        GroupName::Token(token) => named_text(&token.name, token.id),
        GroupName::Channel(channel) => named_text(&channel.name, channel.id),
        GroupName::Key(key, _) => key_text(key),
        GroupName::Model(name)
        | GroupName::Upstream(name)
        | GroupName::Endpoint(name)
        | GroupName::Client(name) => name.clone(),
        GroupName::Status(status) => status.to_string(),
    }
}

fn line(cells: &[String]) -> String {
    let mut line = cells.join(",");
    line.push_str("\r\n");
    line
}

/// The table: a line for each group.
pub fn groups(plan: &Plan, found: &Explored) -> String {
    let by = plan.by;
    let mut head = by.to_string();
    if matches!(by, GroupBy::Token | GroupBy::Channel | GroupBy::Key) {
        head.push_str(",id");
    }
    if by == GroupBy::Key {
        head.push_str(",channel");
    }
    let mut text = format!("{head},{COLUMNS}");
    let with_attempts = found.report.groups.iter().any(|group| group.attempts.is_some());
    if with_attempts {
        text.push_str(",attempts,attempts_failed");
    }
    if found.before.is_some() {
        text.push_str(",before_");
        text.push_str(plan.metric.as_str());
    }
    text.push_str("\r\n");
    for group in &found.report.groups {
        let mut line_of = vec![cell(&group_text(&group.name))];
        let id = match &group.name {
            GroupName::Token(token) => token.id.to_string(),
            GroupName::Channel(channel) => channel.id.to_string(),
            GroupName::Key(key, _) => key.id.to_string(),
            _ => String::new(),
        };
        if matches!(by, GroupBy::Token | GroupBy::Channel | GroupBy::Key) {
            line_of.push(id);
        }
        if by == GroupBy::Key {
            line_of.push(match &group.name {
                GroupName::Key(_, Some(channel)) => cell(&named_text(&channel.name, channel.id)),
                _ => String::new(),
            });
        }
        line_of.extend(cells(&group.sums));
        if with_attempts {
            let attempts = group.attempts.clone().unwrap_or_default();
            line_of.extend([attempts.all().to_string(), attempts.failed().to_string()]);
        }
        if let Some(before) = &found.before {
            line_of.push(
                before_of(&before.groups, group).map(|sums| plan.metric.plain(sums)).unwrap_or_default(),
            );
        }
        text.push_str(&line(&line_of));
    }
    text
}

/// A group's sums in the period before.
pub fn before_of<'a>(groups: &'a [Group], group: &Group) -> Option<&'a Sums> {
    groups.iter().find(|other| other.key == group.key).map(|other| &other.sums)
}

/// The time series: a line for each step of all calls, whose group is `(all)`, and of each group that is drawn.
pub fn series(plan: &Plan, found: &Explored, zone: &TimeZone) -> String {
    let mut text = format!("time,{},{COLUMNS}\r\n", plan.by);
    let Some(series) = &found.report.series else { return text };
    for (index, start) in series.steps.starts().iter().enumerate() {
        let time = moment(*start, zone);
        let mut push = |name: &str, sums: &Sums| {
            let mut line_of = vec![time.clone(), cell(name)];
            line_of.extend(cells(sums));
            text.push_str(&line(&line_of));
        };
        push("(all)", &series.whole[index]);
        for group in &series.groups {
            push(&group_text(&group.name), &group.points[index]);
        }
    }
    text
}

async fn download(
    State(site): State<Site>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let (t, now) = (operator.t(), site.clock.now());
    let zone = site.catalog.load().zone.clone();
    let query = query.unwrap_or_default();
    let explorer = Explorer::read(&query, now, &zone, t);
    if !explorer.log.errors.is_empty() {
        return Err(Error::BadRequest(t.log.check_filters().into()));
    }
    let of_series = Fields::parse(query.as_bytes()).text("table") == "series";
    let plan = Plan { all_sums: of_series, ..explorer.plan(now, &zone, MOST_GROUPS, DRAWN_GROUPS) };
    let found = match plan.ask(&site.db).await {
        Err(StorageError::TooSlow) => return Err(Error::Unavailable(t.log.too_slow())),
        other => other?,
    };
    let text = if of_series { series(&plan, &found, &zone) } else { groups(&plan, &found) };
    let kind = if of_series { "series" } else { plan.by.as_str() };
    let name = now.zoned(&zone).strftime(&format!("onepool-usage-{kind}-%Y%m%d-%H%M%S.csv")).to_string();
    Ok((
        [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        ],
        format!("\u{feff}{text}"),
    )
        .into_response())
}
