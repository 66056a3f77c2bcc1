//! `onepool usage report`: sums over a period, by token, channel, key, model and more, or step by step.

use serde_json::{Value, json};

use super::filter;
use crate::{
    cli::{
        Failure,
        invocation::Invocation,
        output::{Cell, NOTHING, Table, at, clean, print_raw, tell},
        session::{Session, on_folder},
        view,
    },
    i18n::Messages,
    model::time::UnixMs,
    pool::input::Decimal,
    storage::usage_query::{
        report::{Group, GroupBy, GroupName, Series, Sums},
        steps::{MAX_STEPS, Step, Steps},
    },
    web::{
        admin::{
            log::{
                csv::cell,
                names::{key_text, named_text},
            },
            usage::{
                csv::{self, before_of},
                explore::{DRAWN_GROUPS, Explored, Plan},
                figures::{Change, percentiles},
                metric::{Metric, Unit},
            },
        },
        format::{approximate, money, number, share},
    },
};

/// The most lines if nobody says.
const USUAL: usize = 200;
/// The most lines.
const MOST: usize = 10_000;

/// What a report has one line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Group(GroupBy),
    Step(Step),
}

impl By {
    fn read(call: &Invocation) -> Result<Self, Failure> {
        let Some(word) = call.text("by") else { return Ok(Self::Group(GroupBy::Token)) };
        let group = GroupBy::from_name(word).map(Self::Group);
        group.or_else(|| Step::from_name(word).map(Self::Step)).ok_or_else(|| {
            let groups = GroupBy::ALL.iter().map(|by| by.as_str());
            let words: Vec<&str> = groups.chain(Step::ALL.iter().map(|step| step.as_str())).collect();
            Failure::option("--by", call.m.cli.give_one_of(&words.join(", ")))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Group(by) => by.as_str(),
            Self::Step(step) => step.as_str(),
        }
    }

    fn heading(self, m: Messages) -> &'static str {
        match self {
            Self::Group(GroupBy::Token) => m.usage.by_token(),
            Self::Group(GroupBy::Channel) => m.usage.by_channel(),
            Self::Group(GroupBy::Key) => m.usage.by_key(),
            Self::Group(GroupBy::Model) => m.usage.by_model(),
            Self::Group(GroupBy::Upstream) => m.usage.by_upstream(),
            Self::Group(GroupBy::Endpoint) => m.usage.by_endpoint(),
            Self::Group(GroupBy::Client) => m.usage.by_client(),
            Self::Group(GroupBy::Status) => m.usage.by_status(),
            Self::Step(Step::Day) => m.terminal.day(),
            Self::Step(_) => m.usage.when(),
        }
    }
}

/// A line of a report.
struct Line {
    name: String,
    sums: Sums,
    /// In the period before.
    before: Option<Sums>,
    json: Value,
}

/// `onepool usage report`.
pub fn run(call: &Invocation) -> Result<(), Failure> {
    let (by, limit) = (By::read(call)?, filter::limit(call, USUAL, MOST)?);
    let metric = match call.text("metric") {
        None => Metric::Requests,
        Some(word) => Metric::from_name(word).ok_or_else(|| {
            let words: Vec<&str> = Metric::ALL.iter().map(|metric| metric.as_str()).collect();
            Failure::option("--metric", call.m.cli.give_one_of(&words.join(", ")))
        })?,
    };
    on_folder(call, async |session| {
        let filter = filter::aligned(filter::read(call, session).await?);
        let (now, zone) = (session.now(), session.config.zone.clone());
        let period = filter::period(call, &filter);
        let before = call.is_on("compare").then(|| period.before(now, &zone)).flatten();
        let plan = Plan {
            metric,
            by: match by {
                By::Group(by) => by,
                By::Step(_) => GroupBy::Token,
            },
            before,
            step: match by {
                By::Group(_) => None,
                By::Step(step) => Some(step),
            },
            groups: limit,
            series_groups: DRAWN_GROUPS,
            all_sums: false,
            filter,
            now,
            zone,
        };
        let found = plan.ask(&session.db).await?;
        let mut lines = match by {
            By::Group(_) => by_group(call.m, &found),
            By::Step(step) => by_step(call, &plan, step, &found)?,
        };
        // Of steps the last ones are of interest.
        if matches!(by, By::Step(_)) {
            lines.drain(..lines.len().saturating_sub(limit));
        }
        if call.is_on("csv") {
            return print_raw(&match by {
                By::Group(_) => csv::groups(&plan, &found),
                By::Step(_) => steps_csv(by, metric, &lines),
            });
        }
        tell(call, &as_json(by, &plan, &found, &lines), || text(call.m, session, &plan, by, &found, &lines))
    })
}

fn by_group(m: Messages, found: &Explored) -> Vec<Line> {
    let before_groups = found.before.as_ref().map(|before| before.groups.as_slice());
    let line = |group: &Group| {
        let before = before_groups.map(|groups| before_of(groups, group).cloned().unwrap_or_default());
        let mut json = view::group(group);
        json["before"] = before.as_ref().map_or(Value::Null, view::sums);
        Line { name: name_of(m, &group.name), sums: group.sums.clone(), before, json }
    };
    found.report.groups.iter().map(line).collect()
}

/// A line for each step, the first one first.
fn by_step(call: &Invocation, plan: &Plan, step: Step, found: &Explored) -> Result<Vec<Line>, Failure> {
    let Some(series) = &found.report.series else { return Ok(Vec::new()) };
    if series.steps.step() != step {
        return Err(Failure::option("--since", call.m.terminal.too_many_steps(MAX_STEPS)));
    }
    let before = found.before.as_ref().and_then(|before| before.series.as_ref());
    let name = |start: UnixMs| match step {
        Step::Quarter | Step::Hour => start.zoned(&plan.zone).strftime("%Y-%m-%dT%H:%M%:z").to_string(),
        _ => start.zoned(&plan.zone).date().to_string(),
    };
    let lines = series.steps.starts().iter().zip(&series.whole).enumerate().map(|(index, (start, sums))| {
        let name = name(*start);
        let before = before.map(|series| series.whole.get(index).cloned().unwrap_or_default());
        let json = json!({
            "kind": step, "name": name, "sums": view::sums(sums), "before": before.as_ref().map(view::sums),
        });
        Line { name, sums: sums.clone(), before, json }
    });
    Ok(lines.collect())
}

fn as_json(by: By, plan: &Plan, found: &Explored, lines: &[Line]) -> Value {
    let (metric, report) = (plan.metric, &found.report);
    let values = |points: &[Sums]| -> Vec<Option<Decimal>> {
        let number = |value| match metric.unit() {
            Unit::Micros => view::dollars(value),
            Unit::Count | Unit::Ms => Decimal::of(value, 0),
        };
        points.iter().map(|sums| metric.value(sums).map(number)).collect()
    };
    let starts = |steps: &Steps| steps.starts().iter().map(|start| at(*start)).collect::<Vec<_>>();
    let series = |series: &Series| {
        let groups =
            matches!(by, By::Group(_)).then_some(&series.groups).into_iter().flatten().map(
                |group| json!({ "name": csv::group_text(&group.name), "values": values(&group.points) }),
            );
        json!({
            "step": series.steps.step(),
            "starts": starts(&series.steps),
            "totals": values(&series.whole),
            "groups": groups.collect::<Vec<_>>(),
        })
    };
    let before = found.before.as_ref().zip(plan.before).map(|(before, (from, to))| {
        json!({
            "from": at(from),
            "to": at(to),
            "totals": view::sums(&before.sums),
            "values": before.series.as_ref().map(|series| values(&series.whole)),
        })
    });
    json!({
        "by": by.name(),
        "from": plan.filter.from.map(at),
        "to": plan.filter.to.map(at),
        "metric": metric,
        "totals": view::sums(&report.sums),
        "saved": found.saved_micros.map(view::dollars),
        "groups": lines.iter().map(|line| &line.json).collect::<Vec<_>>(),
        "series": report.series.as_ref().map(series),
        "before": before,
    })
}

fn name_of(m: Messages, name: &GroupName) -> String {
    let with_deleted = |name: String, deleted: bool| {
        if deleted { format!("{name} ({})", m.log.deleted()) } else { name }
    };
    match name {
        GroupName::None => NOTHING.to_owned(),
        GroupName::Others => m.usage.others().to_owned(),
        GroupName::Token(token) => with_deleted(named_text(&token.name, token.id), token.deleted),
        GroupName::Channel(channel) => with_deleted(named_text(&channel.name, channel.id), channel.deleted),
        GroupName::Key(key, channel) => {
            let channel = channel.as_ref().map(|channel| named_text(&channel.name, channel.id));
            let names: Vec<String> = channel.into_iter().chain([key_text(key)]).collect();
            with_deleted(names.join(" · "), key.deleted)
        }
        other => csv::group_text(other),
    }
}

fn text(m: Messages, session: &Session, plan: &Plan, by: By, found: &Explored, lines: &[Line]) -> String {
    let (u, metric, totals) = (m.usage, plan.metric, &found.report.sums);
    let from = plan.filter.from.map_or_else(|| u.since_start().to_owned(), |from| session.local(from));
    let to = plan.filter.to.map_or_else(|| u.until_now().to_owned(), |to| session.local(to));
    let mut period = u.span(&from, &to, plan.zone.iana_name().unwrap_or("UTC"));
    if let Some((from, to)) = plan.before {
        period.push('\n');
        period.push_str(&u.compared_with(&session.local(from), &session.local(to)));
    }
    if totals.requests == 0 && lines.is_empty() {
        return format!("{period}\n{}", u.empty());
    }
    // The metric has a column of its own where the others do not show it.
    let shown = [Metric::Requests, Metric::Errors, Metric::Prompt, Metric::Completion, Metric::Cost];
    let of_metric = !shown.contains(&metric);
    let mut headings = vec![by.heading(m)];
    headings.extend(of_metric.then(|| metric.label(m)));
    if plan.before.is_some() {
        headings.extend([u.period_before(), u.change()]);
    }
    headings.extend([
        u.requests(),
        u.errors(),
        u.success_rate(),
        u.prompt(),
        u.completion(),
        u.cost(),
        u.first_token(),
        u.total(),
    ]);
    let mut table = Table::new(headings);
    let none = Sums::default();
    let all_before = found.before.as_ref().map(|before| &before.sums);
    let lines = lines.iter().map(|line| (line.name.as_str(), &line.sums, line.before.as_ref()));
    for (name, sums, before) in lines.chain([(m.terminal.sum(), totals, all_before)]) {
        let estimated = sums.estimated > 0;
        let tokens = |count: u64| {
            Cell::number(approximate(number(i64::try_from(count).unwrap_or(i64::MAX)), estimated))
        };
        let mut cells = vec![Cell::text(name)];
        cells.extend(of_metric.then(|| Cell::number(metric.exact_text(m, sums))));
        if plan.before.is_some() {
            let before = before.unwrap_or(&none);
            let change = Change::new(m, metric, sums, before);
            cells.push(Cell::number(metric.exact_text(m, before)));
            cells.push(Cell::number(change.text));
        }
        cells.extend([
            Cell::number(number(sums.requests)),
            Cell::number(number(sums.failed())),
            Cell::number(share(sums.ok, sums.requests)),
            tokens(sums.tokens.prompt),
            tokens(sums.tokens.completion),
            Cell::number(approximate(money(sums.cost_micros), estimated)),
            Cell::number(percentiles(m, &sums.first_token)),
            Cell::number(percentiles(m, &sums.total)),
        ]);
        table.row(cells);
    }
    format!("{}\n\n{}", period.lines().map(clean).collect::<Vec<_>>().join("\n"), table.draw())
}

/// RFC 4180, with names that are the same in every language.
fn steps_csv(by: By, metric: Metric, lines: &[Line]) -> String {
    let mut text = format!("{},{}", by.name(), csv::COLUMNS);
    if lines.iter().any(|line| line.before.is_some()) {
        text.push_str(",before_");
        text.push_str(metric.as_str());
    }
    text.push_str("\r\n");
    for Line { name, sums, before, .. } in lines {
        let mut cells = vec![cell(name)];
        cells.extend(csv::cells(sums));
        cells.extend(before.as_ref().map(|sums| metric.plain(sums)));
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}
