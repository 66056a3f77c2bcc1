//! `/usage`: the explorer's page.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use jiff::{Span, tz::TimeZone};

use super::{
    chart::{Chart, Sheet, Spark},
    csv::before_of,
    explore::{DRAWN_GROUPS, Explored},
    figures::{Tile, tiles},
    metric::{Family, Metric},
    period::{Choice, Period, moment},
    query::{Explorer, Sort},
    row::{Context, GroupView, arrange, naming},
};
use crate::{
    error::Result,
    i18n::Messages,
    model::{catalog::Catalog, id::KeyId, time::UnixMs},
    storage::{
        StorageError, StorageResult,
        usage_query::{
            ResultFilter, UsageFilter,
            names::NamesOf,
            report::{Apart, Group, GroupBy, GroupName, Question, Series, Sums},
            steps::{Step, Steps, midnight},
        },
    },
    web::{
        Site,
        admin::{
            channels::state,
            log::names::{Label, key_text, named_text},
            visit::{Chrome, Operator, Section, render_with},
        },
        form::FieldErrors,
    },
};

/// Lines of the table; what is beyond is summed up as one, and the file has all.
const PAGE_GROUPS: usize = 100;
/// How many days the small courses of keys show.
const SPARK_DAYS: i64 = 14;

/// `GET /usage`.
pub fn router() -> Router<Site> {
    Router::new().route("/usage", get(show))
}

/// A link among others, one of which is the present one.
struct Choose {
    href: String,
    label: &'static str,
    current: bool,
}

/// A condition that can be taken away.
struct Chip {
    name: &'static str,
    value: Label,
    without: String,
}

/// A heading of the table.
struct Column {
    label: String,
    hint: &'static str,
    href: String,
    /// `ascending` or `descending` if the table is in its order, as `aria-sort` says it.
    order: Option<&'static str>,
    number: bool,
}

#[derive(Template)]
#[template(path = "pages/usage.html")]
struct UsagePage {
    c: Chrome,
    families: Vec<Choose>,
    metrics: Vec<Choose>,
    tabs: Vec<Choose>,
    periods: Vec<Choose>,
    steps: Vec<Choose>,
    chips: Vec<Chip>,
    compare: Option<Choose>,
    /// What the comparison is with; empty without one.
    compared_with: String,
    kept: Vec<(&'static str, String)>,
    metric: &'static str,
    group_label: &'static str,
    groups_title: String,
    from_to: String,
    from: String,
    to: String,
    errors: FieldErrors,
    problems: Vec<String>,
    problem: Option<&'static str>,
    tiles: Vec<Tile>,
    log: String,
    chart: Option<Chart>,
    chart_step: &'static str,
    nothing_drawn: String,
    columns: Vec<Column>,
    groups: Vec<GroupView>,
    more: bool,
    csv: String,
    csv_series: String,
    with_attempts: bool,
    with_sparks: bool,
    with_requests: bool,
    with_cost: bool,
    everything: String,
    is_everything: bool,
    filtered: bool,
}

/// What a group is called as a tab and as a heading.
pub fn tab_label(t: Messages, group_by: GroupBy) -> &'static str {
    match group_by {
        GroupBy::Token => t.usage.by_token(),
        GroupBy::Channel => t.usage.by_channel(),
        GroupBy::Key => t.usage.by_key(),
        GroupBy::Model => t.usage.by_model(),
        GroupBy::Upstream => t.usage.by_upstream(),
        GroupBy::Endpoint => t.usage.by_endpoint(),
        GroupBy::Client => t.usage.by_client(),
        GroupBy::Status => t.usage.by_status(),
    }
}

fn step_label(t: Messages, step: Step) -> &'static str {
    match step {
        Step::Quarter => t.usage.per_quarter(),
        Step::Hour => t.usage.per_hour(),
        Step::Day => t.usage.per_day(),
        Step::Week => t.usage.per_week(),
        Step::Month => t.usage.per_month(),
    }
}

/// What a field of the URL is called.
fn field_label(t: Messages, name: &str) -> &'static str {
    match name {
        "token" => t.log.token(),
        "channel" => t.log.channel(),
        "key" => t.log.key(),
        "model" => t.log.model(),
        "asked" => t.log.asked_model(),
        "upstream" => t.usage.by_upstream(),
        "endpoint" => t.log.endpoint(),
        "stream" => t.log.stream(),
        "result" => t.log.result(),
        "status" => t.log.status(),
        "client" => t.log.client_kind(),
        "period" => t.log.period(),
        "by" => t.usage.group_by(),
        "metric" => t.usage.metric(),
        "step" => t.usage.step(),
        _ => t.usage.order(),
    }
}

fn chips(t: Messages, explorer: &Explorer, names: &NamesOf) -> Vec<Chip> {
    let plain = |text: &str| Label { text: text.to_owned(), deleted: false };
    let value = |name: &str, text: &str| match name {
        "channel" if text == "0" => plain(t.usage.none_channel()),
        "key" if text == "0" => plain(t.usage.none_key()),
        "token" => names.token.as_ref().map_or_else(|| plain(&format!("#{text}")), Label::named),
        "channel" => names.channel.as_ref().map_or_else(|| plain(&format!("#{text}")), Label::named),
        "key" => names.key.as_ref().map_or_else(|| plain(&format!("#{text}")), Label::key),
        "result" if text == "failed" => plain(t.log.any_failure()),
        "result" => match explorer.log.filter.result {
            Some(ResultFilter::Is(result)) => plain(t.log.result_name(result)),
            _ => plain(text),
        },
        "stream" => plain(if text == "true" { t.log.streaming() } else { t.log.not_streaming() }),
        _ => plain(text),
    };
    let given = explorer.log.given();
    given
        .map(|(name, text)| Chip {
            name: field_label(t, name),
            value: value(name, text),
            without: explorer.link("/usage", &[(name, "")]),
        })
        .collect()
}

fn columns(t: Messages, explorer: &Explorer, with_attempts: bool, with_sparks: bool) -> Vec<Column> {
    let u = t.usage;
    // The metric's column stands for that of the same figure, as links made for another metric name it.
    let sorted_by = match (explorer.sort, explorer.metric) {
        (Sort::Requests, Metric::Requests) | (Sort::Cost, Metric::Cost) => Sort::Value,
        (sort, _) => sort,
    };
    let column = |sort: Sort, label: &str, hint: &'static str| {
        let current = sorted_by == sort;
        // Numbers begin with the largest, names with the first.
        let ascending = if current { !explorer.ascending } else { sort == Sort::Name };
        let dir = if ascending { "asc" } else { "desc" };
        Column {
            label: label.to_owned(),
            hint,
            href: explorer.link("/usage", &[("sort", sort.as_str()), ("dir", dir)]),
            order: current.then_some(if explorer.ascending { "ascending" } else { "descending" }),
            number: !matches!(sort, Sort::Name | Sort::Attempts | Sort::Errors),
        }
    };
    let mut columns = vec![
        column(Sort::Name, tab_label(t, explorer.by), ""),
        column(Sort::Value, explorer.metric.label(t), ""),
    ];
    if explorer.compare {
        columns.push(column(Sort::Change, u.change(), ""));
    }
    if with_sparks {
        columns.push(Column {
            label: u.last_days(SPARK_DAYS),
            hint: "",
            href: String::new(),
            order: None,
            number: false,
        });
    }
    if explorer.metric != Metric::Requests {
        columns.push(column(Sort::Requests, u.requests(), ""));
    }
    columns.push(column(Sort::Success, u.success_rate(), u.success_hint()));
    if with_attempts {
        columns.push(column(Sort::Attempts, u.attempts(), u.attempts_hint()));
    }
    columns.push(column(Sort::Tokens, u.tokens_in_and_out(), ""));
    if explorer.metric != Metric::Cost {
        columns.push(column(Sort::Cost, u.cost(), ""));
    }
    columns.extend([
        column(Sort::First, u.first_token(), ""),
        column(Sort::Total, u.total(), ""),
        column(Sort::Errors, u.errors(), ""),
    ]);
    columns
}

/// The last days of the keys that are shown, whatever the period.
async fn sparks(
    site: &Site,
    explorer: &Explorer,
    groups: &[Group],
    now: UnixMs,
    zone: &TimeZone,
) -> StorageResult<Option<Series>> {
    let first = now.zoned(zone).date().saturating_sub(Span::new().days(SPARK_DAYS - 1));
    let Some(from) = midnight(first, zone) else { return Ok(None) };
    let keys: Vec<_> = groups.iter().filter_map(|group| group.key.clone()).collect();
    let question = Question {
        filter: UsageFilter { from: Some(from), to: None, ..explorer.log.filter.clone() },
        group_by: GroupBy::Key,
        order: explorer.metric.order(),
        series_groups: keys.len(),
        measure: Some(explorer.metric.measure()),
        apart: Apart::These(keys),
        steps: Some(Steps::new(Step::Day, from, now, zone)),
    };
    Ok(site.db.usage_report(&question).await?.series)
}

/// Whether calls may go to each key now.
fn badges(site: &Site, t: Messages, catalog: &Catalog, groups: &[Group]) -> HashMap<KeyId, state::Badge> {
    let wanted: std::collections::HashSet<KeyId> = groups
        .iter()
        .filter_map(|group| match &group.name {
            GroupName::Key(key, _) => Some(key.id),
            _ => None,
        })
        .collect();
    let now = site.clock.steady();
    let pool = site.dispatch.lock();
    catalog
        .channels()
        .flat_map(|entry| entry.keys.iter().map(move |key| (entry, key)))
        .filter(|(_, key)| wanted.contains(&key.id))
        .map(|(entry, key)| (key.id, state::of_key(t, entry, key, pool.rests(), now)))
        .collect()
}

/// The lines of the table.
fn lines(
    context: &Context<'_>,
    found: &Explored,
    sparks: Option<&Series>,
    mut badges: HashMap<KeyId, state::Badge>,
) -> Vec<GroupView> {
    let Context { t, explorer, .. } = *context;
    let none = Sums::default();
    let before_groups = found.before.as_ref().map(|before| before.groups.as_slice());
    let mut groups: Vec<(&Group, Option<&Sums>)> = found
        .report
        .groups
        .iter()
        .map(|group| (group, before_groups.map(|groups| before_of(groups, group).unwrap_or(&none))))
        .collect();
    arrange(t, explorer, &mut groups);
    groups
        .into_iter()
        .map(|(group, before)| {
            let mut view = GroupView::new(context, group, before);
            if let GroupName::Key(key, _) = &group.name {
                view.badge = badges.remove(&key.id);
            }
            view.spark = sparks.and_then(|series| {
                let of_group = series.groups.iter().find(|other| other.name == group.name)?;
                Some(Spark::new(t, &of_group.points))
            });
            view
        })
        .collect()
}

async fn show(State(site): State<Site>, operator: Operator, RawQuery(query): RawQuery) -> Result<Response> {
    let (t, now) = (operator.t(), site.clock.now());
    let catalog: Arc<Catalog> = site.catalog.load();
    let zone = &catalog.zone;
    let explorer = Explorer::read(&query.unwrap_or_default(), now, zone, t);
    let errors = explorer.log.errors.clone();
    let plan = explorer.plan(now, zone, PAGE_GROUPS, DRAWN_GROUPS);
    let with_attempts = matches!(explorer.by, GroupBy::Channel | GroupBy::Key | GroupBy::Upstream);
    let by_key = explorer.by == GroupBy::Key;

    let (mut found, mut status, mut problem) = (Explored::default(), StatusCode::OK, None);
    let mut days = None;
    if errors.is_empty() {
        let asked = async {
            let found = plan.ask(&site.db).await?;
            let groups = &found.report.groups;
            let days = if by_key && !groups.is_empty() {
                sparks(&site, &explorer, groups, now, zone).await?
            } else {
                None
            };
            Ok((found, days))
        };
        match asked.await {
            Err(StorageError::TooSlow) => {
                (status, problem) = (StatusCode::SERVICE_UNAVAILABLE, Some(t.log.too_slow()));
            }
            other => (found, days) = other?,
        }
    } else {
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    let filter = &explorer.log.filter;
    let names = site.db.usage_names_of(filter.token, filter.channel, filter.key).await?;

    let report = &found.report;
    let named: Vec<String> = report
        .series
        .iter()
        .flat_map(|series| &series.groups)
        .map(|group| match &group.name {
            GroupName::Key(key, Some(channel)) => {
                format!("{} · {}", named_text(&channel.name, channel.id), key_text(key))
            }
            name => naming(t, explorer.by, name).0,
        })
        .collect();
    let link = |from: UnixMs, to: Option<UnixMs>| {
        // A step at the border of the period may reach beyond it.
        let from = explorer.period.from.map_or(from, |first| first.max(from));
        let to = [to, explorer.period.to].into_iter().flatten().min();
        let to = to.map(|to| moment(to, zone)).unwrap_or_default();
        let border = [("period", String::new()), ("from", moment(from, zone)), ("to", to)];
        explorer.log_link(zone, &border)
    };
    let chart = report.series.as_ref().and_then(|series| {
        Chart::new(&Sheet {
            t,
            metric: explorer.metric,
            series,
            names: &named,
            before: found.before.as_ref().and_then(|before| before.series.as_ref()),
            zone,
            link: &link,
        })
    });
    let context = Context { t, explorer: &explorer, whole: &report.sums, zone };
    let badges = if by_key { badges(&site, t, &catalog, &report.groups) } else { HashMap::new() };
    let groups = lines(&context, &found, days.as_ref(), badges);

    let exact = |at: UnixMs| at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string();
    let from = explorer.period.from.map_or_else(|| t.usage.since_start().to_owned(), exact);
    let to = explorer.period.to.map_or_else(|| t.usage.until_now().to_owned(), exact);
    let with_sparks = groups.iter().any(|group| group.spark.is_some());
    let step = chart.as_ref().map(|chart| chart.step);
    let family = Family::of(explorer.metric);
    let choose = |changes: &[(&'static str, &str)], label: &'static str, current: bool| Choose {
        href: explorer.link("/usage", changes),
        label,
        current,
    };
    let comparable = explorer.period.before(now, zone).is_some();
    let reset = ("sort", "");
    let page = UsagePage {
        c: operator.chrome(Section::Usage),
        families: Family::ALL
            .into_iter()
            .map(|other| {
                choose(
                    &[("metric", other.usual().as_str()), reset, ("dir", "")],
                    other.label(t),
                    other == family,
                )
            })
            .collect(),
        metrics: family
            .metrics()
            .iter()
            .filter(|_| family.metrics().len() > 1)
            .map(|metric| {
                choose(&[("metric", metric.as_str())], metric.short_label(t), *metric == explorer.metric)
            })
            .collect(),
        tabs: GroupBy::ALL
            .iter()
            .map(|tab| choose(&[("by", tab.as_str())], tab_label(t, *tab), *tab == explorer.by))
            .collect(),
        periods: Period::choices()
            .map(|choice| {
                choose(
                    &[("period", choice.as_str()), ("step", "")],
                    choice.label(t),
                    choice == explorer.period.choice,
                )
            })
            .collect(),
        steps: Step::ALL
            .iter()
            .filter(|_| step.is_some())
            .filter(|other| {
                Some(**other) == step || fits(&explorer, **other, now, report.series.as_ref(), zone)
            })
            .map(|other| choose(&[("step", other.as_str())], step_label(t, *other), Some(*other) == step))
            .collect(),
        chips: chips(t, &explorer, &names),
        compare: comparable.then(|| {
            choose(
                &[("compare", if explorer.compare { "" } else { "true" })],
                t.usage.compare(),
                explorer.compare,
            )
        }),
        compared_with: plan
            .before
            .map(|(from, to)| t.usage.compared_with(&exact(from), &exact(to)))
            .unwrap_or_default(),
        kept: explorer.kept(),
        metric: explorer.metric.label(t),
        group_label: tab_label(t, explorer.by),
        groups_title: t.usage.per_group(&tab_label(t, explorer.by).to_lowercase()),
        from_to: t.usage.span(&from, &to, zone.iana_name().unwrap_or("UTC")),
        problems: ["metric", "by", "step", "sort", "period"]
            .into_iter()
            .chain(explorer.log.given().map(|(name, _)| name))
            .filter_map(|name| Some(t.usage.problem(field_label(t, name), errors.find(name)?)))
            .collect(),
        errors,
        problem,
        tiles: tiles(t, &report.sums, found.before.as_ref().map(|before| &before.sums), found.saved_micros),
        log: explorer.log_link(zone, &[]),
        chart_step: step.map_or("", |step| step_label(t, step)),
        nothing_drawn: t.usage.nothing_drawn(explorer.metric.label(t)),
        chart,
        columns: columns(t, &explorer, with_attempts, with_sparks),
        more: report.groups.iter().any(|group| group.name.is_others()),
        groups,
        csv: explorer.link("/usage.csv", &[]),
        csv_series: explorer.link("/usage.csv", &[("table", "series")]),
        with_attempts,
        with_sparks,
        with_requests: explorer.metric != Metric::Requests,
        with_cost: explorer.metric != Metric::Cost,
        everything: explorer.link("/usage", &[("period", "all")]),
        is_everything: explorer.period.choice == Choice::All,
        filtered: explorer.log.active() > 0,
        from: explorer.log.period.from_text.clone(),
        to: explorer.log.period.to_text.clone(),
    };
    render_with(status, &page)
}

/// Whether a step suits the period: neither a single one nor hundreds.
fn fits(explorer: &Explorer, step: Step, now: UnixMs, series: Option<&Series>, zone: &TimeZone) -> bool {
    let first = explorer.period.from.or_else(|| series?.steps.starts().first().copied());
    let end = explorer.period.to.unwrap_or(now).min(now);
    let Some(first) = first.filter(|first| *first < end) else { return false };
    Steps::exactly(step, first, end, zone).is_some_and(|steps| (2..=200).contains(&steps.starts().len()))
}
