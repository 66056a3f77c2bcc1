//! Sums of the usage log over a period.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, dollars},
    usage::{CountsView, MAX_CHARS, NamedView, STATUS_SHAPE, at, channel_name, result_filter},
};
use crate::{
    i18n::Messages,
    model::{
        id::{ChannelId, KeyId, TokenId},
        usage::Endpoint as Called,
    },
    pool::{
        input::{Decimal, Faults},
        rules::optional_time,
    },
    storage::usage_query::{
        UsageFilter,
        report::{Group, GroupBy, GroupName, MAX_GROUPS, MOST_GROUPS, Series, Sums},
        steps::Step,
    },
    web::{
        admin::{
            log::status_range,
            usage::{
                csv::before_of,
                explore::{DRAWN_GROUPS, Plan},
                metric::{Metric, Unit},
                period::{Choice, Period},
            },
        },
        form::{FieldErrors, Fields},
    },
};

/// `GET /api/usage/report`.
pub fn endpoint() -> Endpoint {
    Endpoint::new(Method::GET, "/api/usage/report", "Sum up calls", report)
        .about(
            "Sums over a period by token, channel, key, model as asked, upstream's model, endpoint, client or status, and a time \
             series of one metric. The options have the names that they have in the address of the page /usage. Sums are kept \
             when the log's own rows are deleted. Borders are moved outwards to whole quarters of an hour.",
        )
        .fails(StatusCode::SERVICE_UNAVAILABLE, super::usage::TOO_SLOW)
}

/// What to sum up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// The number of the time series, which also makes a group large; `requests` by default.
    metric: Option<Metric>,
    /// What to have one line for; `token` by default.
    by: Option<GroupBy>,
    /// A ready-made period; `24h` by default, if neither `from` nor `to` is given.
    period: Option<ReportPeriod>,
    /// Calls that arrived then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional_time")]
    from: Option<jiff::Timestamp>,
    /// Calls that arrived before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional_time")]
    to: Option<jiff::Timestamp>,
    /// The step of the time series; one that suits the period by default. A longer one is taken where there would be more than
    /// 400.
    step: Option<Step>,
    /// Whether to sum up the period before as well: as long, and right before; of days and months that are not over, the same
    /// part.
    compare: Option<bool>,
    /// The most groups that are kept apart.
    #[schema(minimum = 1, maximum = 10_000, default = 200)]
    limit: Option<i64>,
    /// Only this token: its id.
    token: Option<i64>,
    /// Only this channel: its id; 0 stands for calls that reached none.
    channel: Option<i64>,
    /// Only this key: its id; 0 stands for calls that reached none.
    key: Option<i64>,
    /// Only this model, as asked or as served; `*` stands for any text.
    model: Option<String>,
    /// Only this model as asked, the whole name.
    asked: Option<String>,
    /// Only this upstream's model, the whole name.
    upstream: Option<String>,
    /// Only this endpoint.
    endpoint: Option<Called>,
    /// Only streaming, or only not streaming.
    stream: Option<bool>,
    /// Only this end: a result as calls have it, or `failed` for all but `ok`.
    result: Option<String>,
    /// Only this status: `429`, or `4xx`.
    status: Option<String>,
    /// Only this kind of client; `*` stands for any text.
    client: Option<String>,
}

impl ReportQuery {
    fn filter(&self, t: Messages) -> Result<UsageFilter, Faults> {
        let mut faults = Faults::default();
        for (field, text) in [
            ("model", &self.model),
            ("asked", &self.asked),
            ("upstream", &self.upstream),
            ("client", &self.client),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_CHARS) {
                faults.add(field, t.common.field_too_long(MAX_CHARS));
            }
        }
        let result = result_filter(self.result.as_deref(), &mut faults);
        let status = self.status.as_deref().and_then(|text| {
            let range = status_range(text);
            if range.is_none() {
                faults.add("status", STATUS_SHAPE);
            }
            range
        });
        faults.or(UsageFilter {
            token: self.token.map(TokenId),
            channel: self.channel.map(ChannelId),
            key: self.key.map(KeyId),
            model: self.model.clone(),
            asked_model: self.asked.clone(),
            served_model: self.upstream.clone(),
            endpoint: self.endpoint,
            stream: self.stream,
            result,
            status,
            client_kind: self.client.clone(),
            ..UsageFilter::default()
        })
    }
}

/// A ready-made period, in the server's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub enum ReportPeriod {
    /// The running quarter of an hour and the hour before it.
    #[serde(rename = "1h")]
    Hour,
    /// Today.
    #[serde(rename = "today")]
    Today,
    /// Yesterday.
    #[serde(rename = "yesterday")]
    Yesterday,
    /// The running hour and the 23 before it.
    #[serde(rename = "24h")]
    Day,
    /// Today and the 6 days before.
    #[serde(rename = "7d")]
    Week,
    /// Today and the 29 days before.
    #[serde(rename = "30d")]
    Month,
    /// This month.
    #[serde(rename = "month")]
    ThisMonth,
    /// Today and the 89 days before.
    #[serde(rename = "90d")]
    Quarter,
    /// Today and the 364 days before.
    #[serde(rename = "365d")]
    Year,
    /// Everything.
    #[serde(rename = "all")]
    All,
}

impl ReportPeriod {
    fn choice(self) -> Choice {
        match self {
            Self::Hour => Choice::Hour,
            Self::Today => Choice::Today,
            Self::Yesterday => Choice::Yesterday,
            Self::Day => Choice::Day,
            Self::Week => Choice::Week,
            Self::Month => Choice::Month,
            Self::ThisMonth => Choice::ThisMonth,
            Self::Quarter => Choice::Quarter,
            Self::Year => Choice::Year,
            Self::All => Choice::All,
        }
    }
}

/// Sums over a period.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    /// What each group is.
    by: GroupBy,
    /// The start of the period; null without one.
    from: Option<At>,
    /// The end of the period, which is outside; null means now.
    to: Option<At>,
    /// The number of the time series.
    metric: Metric,
    /// Of all calls.
    totals: SumsView,
    /// What the calls would have cost by list prices, less what they did cost, in dollars. It is summed up by whole hours (UTC), and
    /// by token, channel or key: null if the period begins or ends within one, or anything else was asked for.
    saved: Option<Decimal>,
    /// By group, the largest one first. Beyond `limit` groups the rest is summed up as `others`.
    groups: Vec<GroupView>,
    /// The metric step by step; null if there was never a call.
    series: Option<SeriesView>,
    /// The period before, if `compare` asks for it.
    before: Option<BeforeView>,
}

/// The sums of the period before.
#[derive(Debug, Serialize, ToSchema)]
pub struct BeforeView {
    /// Its start.
    from: At,
    /// Its end, which is outside.
    to: At,
    /// Of all calls.
    totals: SumsView,
    /// The metric step by step.
    values: Vec<Option<Decimal>>,
}

/// A metric step by step: a count, dollars or milliseconds; null where no call has one.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesView {
    /// How long a step is.
    step: Step,
    /// Where each step begins.
    starts: Vec<At>,
    /// Of all calls.
    totals: Vec<Option<Decimal>>,
    /// Of the 8 largest groups, and of all others.
    groups: Vec<SeriesGroupView>,
}

/// A metric of a group step by step.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesGroupView {
    /// What it is.
    kind: GroupKind,
    /// The id of the token, channel or key, or the status.
    id: Option<i64>,
    /// The name of the token, channel or model, or the key's label.
    name: String,
    /// The values.
    values: Vec<Option<Decimal>>,
}

fn values(metric: Metric, points: &[Sums]) -> Vec<Option<Decimal>> {
    let number = |value| match metric.unit() {
        Unit::Micros => dollars(value),
        Unit::Count | Unit::Ms => Decimal::of(value, 0),
    };
    points.iter().map(|sums| metric.value(sums).map(number)).collect()
}

impl SeriesView {
    fn of(metric: Metric, series: &Series) -> Self {
        Self {
            step: series.steps.step(),
            starts: series.steps.starts().iter().copied().map(At).collect(),
            totals: values(metric, &series.whole),
            groups: series
                .groups
                .iter()
                .map(|group| {
                    let (kind, id, name, _) = identity(&group.name);
                    SeriesGroupView { kind, id, name: name.to_owned(), values: values(metric, &group.points) }
                })
                .collect(),
        }
    }
}

/// Sums of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct SumsView {
    /// All calls.
    requests: i64,
    /// Calls that were answered completely.
    ok: i64,
    /// Those of them that took one attempt.
    ok_at_once: i64,
    /// Calls that were not answered completely.
    failed: i64,
    /// Calls that took more than one attempt.
    retried: i64,
    /// Token counts.
    tokens: CountsView,
    /// Calls whose counts are an estimate.
    estimated: i64,
    /// Their cost in dollars.
    cost: Decimal,
    /// The median time to the first content, in milliseconds.
    first_token_p50_ms: Option<u32>,
    /// The time to the first content that 95 of 100 calls did not exceed, in milliseconds.
    first_token_p95_ms: Option<u32>,
    /// The median time to the end, in milliseconds.
    total_p50_ms: Option<u32>,
    /// The time to the end that 95 of 100 calls did not exceed, in milliseconds.
    total_p95_ms: Option<u32>,
    /// The time to the first content that 99 of 100 calls did not exceed, in milliseconds.
    first_token_p99_ms: Option<u32>,
    /// The time to the end that 99 of 100 calls did not exceed, in milliseconds.
    total_p99_ms: Option<u32>,
    /// The median time spent waiting in line, in milliseconds.
    queue_p50_ms: Option<u32>,
    /// The time spent waiting in line that 95 of 100 calls did not exceed, in milliseconds.
    queue_p95_ms: Option<u32>,
    /// The time spent waiting in line that 99 of 100 calls did not exceed, in milliseconds.
    queue_p99_ms: Option<u32>,
}

impl SumsView {
    fn of(sums: &Sums) -> Self {
        Self {
            requests: sums.requests,
            ok: sums.ok,
            ok_at_once: sums.ok_at_once,
            failed: sums.failed(),
            retried: sums.retried,
            tokens: sums.tokens.into(),
            estimated: sums.estimated,
            cost: dollars(sums.cost_micros),
            first_token_p50_ms: sums.first_token.quantile(0.5),
            first_token_p95_ms: sums.first_token.quantile(0.95),
            total_p50_ms: sums.total.quantile(0.5),
            total_p95_ms: sums.total.quantile(0.95),
            first_token_p99_ms: sums.first_token.quantile(0.99),
            total_p99_ms: sums.total.quantile(0.99),
            queue_p50_ms: sums.queue.quantile(0.5),
            queue_p95_ms: sums.queue.quantile(0.95),
            queue_p99_ms: sums.queue.quantile(0.99),
        }
    }
}

/// What a group of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Calls that reached no channel, key or upstream's model.
    None,
    /// A token.
    Token,
    /// A channel.
    Channel,
    /// A key.
    Key,
    /// A model as asked.
    Model,
    /// An upstream's model.
    Upstream,
    /// An endpoint.
    Endpoint,
    /// A kind of client.
    Client,
    /// A status.
    Status,
    /// All further groups.
    Others,
}

/// A group of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// What it is.
    kind: GroupKind,
    /// The id of the token, channel or key, or the status.
    id: Option<i64>,
    /// The name of the token, channel or model, or the key's label.
    name: String,
    /// The last four characters of a key.
    last4: Option<String>,
    /// The channel of a key.
    channel: Option<NamedView>,
    /// Whether it was deleted.
    deleted: bool,
    /// Its calls.
    sums: SumsView,
    /// Its calls in the period before, if `compare` asks for it.
    before: Option<SumsView>,
    /// Its upstream calls, also those that another key or channel answered in the end; only by channel, key and
    /// upstream's model.
    attempts: Option<AttemptSums>,
}

/// Sums of upstream calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptSums {
    /// All of them.
    total: i64,
    /// Those without a usable answer.
    failed: i64,
}

/// Kind, id, name, and whether it was deleted.
fn identity(name: &GroupName) -> (GroupKind, Option<i64>, &str, bool) {
    match name {
        GroupName::None => (GroupKind::None, None, "", false),
        GroupName::Others => (GroupKind::Others, None, "", false),
        GroupName::Token(token) => (GroupKind::Token, Some(token.id.0), token.name.as_str(), token.deleted),
        GroupName::Channel(channel) => {
            (GroupKind::Channel, Some(channel.id.0), channel.name.as_str(), channel.deleted)
        }
        GroupName::Key(key, _) => (GroupKind::Key, Some(key.id.0), key.label.as_str(), key.deleted),
        GroupName::Model(name) => (GroupKind::Model, None, name.as_str(), false),
        GroupName::Upstream(name) => (GroupKind::Upstream, None, name.as_str(), false),
        GroupName::Endpoint(name) => (GroupKind::Endpoint, None, name.as_str(), false),
        GroupName::Client(name) => (GroupKind::Client, None, name.as_str(), false),
        GroupName::Status(status) => (GroupKind::Status, Some(i64::from(*status)), "", false),
    }
}

impl GroupView {
    fn of(group: &Group, before: Option<&[Group]>) -> Self {
        let (kind, id, name, deleted) = identity(&group.name);
        let (last4, channel) = match &group.name {
            GroupName::Key(key, channel) => (Some(key.last4.clone()), channel.as_ref().map(channel_name)),
            _ => (None, None),
        };
        Self {
            kind,
            id,
            name: name.to_owned(),
            last4,
            channel,
            deleted,
            sums: SumsView::of(&group.sums),
            before: before.map(|groups| SumsView::of(before_of(groups, group).unwrap_or(&Sums::default()))),
            attempts: group
                .attempts
                .as_ref()
                .map(|attempts| AttemptSums { total: attempts.all(), failed: attempts.failed() }),
        }
    }
}

async fn report(asked: Asked<(), Query<ReportQuery>>) -> Result<Shown<ReportView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let query = &asked.query.0;
    let given = query.from.is_some() || query.to.is_some();
    if given && query.period.is_some() {
        return Err(Refusal::at("period", "Give either `period`, or `from` and `to`."));
    }
    let usual = if given { Choice::Range } else { Choice::Day };
    let choice = query.period.map_or(usual, ReportPeriod::choice);
    let now = site.clock.now();
    let zone = site.catalog.load().zone.clone();
    let mut period = Period::read(&Fields::default(), choice, now, &zone, t, &mut FieldErrors::default());
    if given {
        (period.from, period.to) = (query.from.map(at), query.to.map(at));
        if matches!((period.from, period.to), (Some(from), Some(to)) if from >= to) {
            return Err(Refusal::at("to", t.log.range_backwards()));
        }
    }
    let period = period.aligned();
    let mut filter = query.filter(t)?;
    (filter.from, filter.to) = (period.from, period.to);
    let usual = MAX_GROUPS as i64;
    let limit =
        usize::try_from(query.limit.unwrap_or(usual)).ok().filter(|limit| (1..=MOST_GROUPS).contains(limit));
    let plan = Plan {
        metric: query.metric.unwrap_or(Metric::Requests),
        by: query.by.unwrap_or(GroupBy::Token),
        filter,
        before: query.compare.unwrap_or(false).then(|| period.before(now, &zone)).flatten(),
        step: query.step,
        groups: limit.ok_or_else(|| Refusal::at("limit", t.cli.give_integer(1, MOST_GROUPS as i64)))?,
        series_groups: DRAWN_GROUPS,
        all_sums: false,
        now,
        zone,
    };
    let found = plan.ask(&site.db).await?;
    let before_groups = found.before.as_ref().map(|before| before.groups.as_slice());
    Ok(Shown(ReportView {
        by: plan.by,
        from: period.from.map(At),
        to: period.to.map(At),
        metric: plan.metric,
        totals: SumsView::of(&found.report.sums),
        saved: found.saved_micros.map(dollars),
        groups: found.report.groups.iter().map(|group| GroupView::of(group, before_groups)).collect(),
        series: found.report.series.as_ref().map(|series| SeriesView::of(plan.metric, series)),
        before: found.before.as_ref().zip(plan.before).map(|(before, (from, to))| BeforeView {
            from: At(from),
            to: At(to),
            totals: SumsView::of(&before.sums),
            values: before
                .series
                .as_ref()
                .map(|series| values(plan.metric, &series.whole))
                .unwrap_or_default(),
        }),
    }))
}
