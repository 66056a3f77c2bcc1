//! Sums of the usage log over a period.

use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    endpoint::{Asked, Endpoint, Query, Shown},
    refusal::{Refusal, Result},
    shapes::{At, dollars},
    usage::{CountsView, NamedView, at, channel_name},
};
use crate::{
    pool::{input::Decimal, rules::optional_time},
    storage::usage_query::report::{Group, GroupBy, GroupName, Sums},
    web::{
        admin::usage::period::{Choice, Period},
        form::{FieldErrors, Fields},
    },
};

/// `GET /api/usage/report`.
pub fn endpoint() -> Endpoint {
    Endpoint::new(Method::GET, "/api/usage/report", "Sum up calls", report)
        .about(
            "Sums over a period by token, channel, key, model as asked, or upstream's model. They are kept when the log's own rows \
             are deleted. Borders are moved outwards to whole quarters of an hour.",
        )
        .fails(StatusCode::SERVICE_UNAVAILABLE, super::usage::TOO_SLOW)
}

/// What to sum up.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
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
}

/// A ready-made period, in the server's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
pub enum ReportPeriod {
    /// The running hour and the 23 before it.
    #[serde(rename = "24h")]
    Day,
    /// Today and the 6 days before.
    #[serde(rename = "7d")]
    Week,
    /// Today and the 29 days before.
    #[serde(rename = "30d")]
    Month,
    /// Today and the 89 days before.
    #[serde(rename = "90d")]
    Quarter,
    /// Everything.
    #[serde(rename = "all")]
    All,
}

impl ReportPeriod {
    fn choice(self) -> Choice {
        match self {
            Self::Day => Choice::Day,
            Self::Week => Choice::Week,
            Self::Month => Choice::Month,
            Self::Quarter => Choice::Quarter,
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
    /// Of all calls.
    totals: SumsView,
    /// By group, the one with the most calls first. Beyond 200 groups the rest is summed up as `others`.
    groups: Vec<GroupView>,
}

/// Sums of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct SumsView {
    /// All calls.
    requests: i64,
    /// Calls that were answered completely.
    ok: i64,
    /// Calls that were not.
    failed: i64,
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
}

impl SumsView {
    fn of(sums: &Sums) -> Self {
        Self {
            requests: sums.requests,
            ok: sums.ok,
            failed: sums.failed(),
            tokens: sums.tokens.into(),
            estimated: sums.estimated,
            cost: dollars(sums.cost_micros),
            first_token_p50_ms: sums.first_token.quantile(0.5),
            first_token_p95_ms: sums.first_token.quantile(0.95),
            total_p50_ms: sums.total.quantile(0.5),
            total_p95_ms: sums.total.quantile(0.95),
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
    /// All further groups.
    Others,
}

/// A group of a report.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupView {
    /// What it is.
    kind: GroupKind,
    /// The id of the token, channel or key.
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

impl GroupView {
    fn of(group: &Group) -> Self {
        let (kind, id, name, deleted) = match &group.name {
            GroupName::None => (GroupKind::None, None, "", false),
            GroupName::Others => (GroupKind::Others, None, "", false),
            GroupName::Token(token) => {
                (GroupKind::Token, Some(token.id.0), token.name.as_str(), token.deleted)
            }
            GroupName::Channel(channel) => {
                (GroupKind::Channel, Some(channel.id.0), channel.name.as_str(), channel.deleted)
            }
            GroupName::Key(key, _) => (GroupKind::Key, Some(key.id.0), key.label.as_str(), key.deleted),
            GroupName::Model(name) => (GroupKind::Model, None, name.as_str(), false),
            GroupName::Upstream(name) => (GroupKind::Upstream, None, name.as_str(), false),
        };
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
            attempts: group
                .attempts
                .as_ref()
                .map(|attempts| AttemptSums { total: attempts.all(), failed: attempts.failed() }),
        }
    }
}

async fn report(asked: Asked<(), Query<ReportQuery>>) -> Result<Shown<ReportView>> {
    let (site, t) = (&asked.site, asked.caller.t());
    let ReportQuery { by, period, from, to } = asked.query.0;
    let given = from.is_some() || to.is_some();
    if given && period.is_some() {
        return Err(Refusal::at("period", "Give either `period`, or `from` and `to`."));
    }
    let choice = period.map_or(if given { Choice::Range } else { Choice::Day }, ReportPeriod::choice);
    let now = site.clock.now();
    let zone = &site.catalog.load().zone;
    let mut read = Period::read(&Fields::default(), choice, now, zone, t, &mut FieldErrors::default());
    if given {
        (read.from, read.to) = (from.map(at), to.map(at));
        if matches!((read.from, read.to), (Some(from), Some(to)) if from >= to) {
            return Err(Refusal::at("to", t.log.range_backwards()));
        }
    }
    let read = read.aligned();
    let by = by.unwrap_or(GroupBy::Token);
    let report = site.db.usage_report(read.from, read.to, by).await?;
    Ok(Shown(ReportView {
        by,
        from: read.from.map(At),
        to: read.to.map(At),
        totals: SumsView::of(&report.sums),
        groups: report.groups.iter().map(GroupView::of).collect(),
    }))
}
