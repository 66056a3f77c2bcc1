//! A line of the explorer's table.

use std::cmp::Ordering;

use jiff::tz::TimeZone;

use super::{
    chart::Spark,
    figures::{Change, SumsView},
    metric::Metric,
    query::{Explorer, Sort, narrowing, next_group},
};
use crate::{
    i18n::Messages,
    model::usage::OutcomeClass,
    storage::usage_query::report::{Attempts, Group, GroupBy, GroupName, Sums},
    web::{
        admin::{
            channels::state::Badge,
            log::names::{key_text, named_text},
        },
        format::{NOTHING, number, share},
    },
};

/// What stands beside a group's own sums.
pub struct Context<'a> {
    /// The language.
    pub t: Messages,
    /// What is asked.
    pub explorer: &'a Explorer,
    /// Of all calls.
    pub whole: &'a Sums,
    /// Whose clock counts.
    pub zone: &'a TimeZone,
}

/// A group.
pub struct GroupView {
    /// What it is.
    pub name: String,
    /// What it belongs to; may be empty.
    pub detail: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The explorer with only this group; empty if no filter can name it.
    pub narrow: String,
    /// Its calls in the log; empty as well.
    pub log: String,
    /// Those that failed.
    pub log_failed: String,
    /// Whether calls may go to the key now.
    pub badge: Option<Badge>,
    /// The metric for programs.
    pub raw: String,
    /// The metric.
    pub value: String,
    /// The metric with every digit.
    pub exact: String,
    /// Its share of all: a text, and the width of its bar from 0 to 100. `None` of what does not add up.
    pub share: Option<(String, i64)>,
    /// Since the period before.
    pub change: Option<Change>,
    /// Its sums.
    pub sums: SumsView,
    /// Failed calls by how they ended.
    pub failures: Vec<String>,
    /// Upstream calls, and the failed ones among them by class.
    pub attempts: Option<(String, Vec<String>)>,
    /// The last days.
    pub spark: Option<Spark>,
}

/// What a group is called, what it belongs to, and whether it was deleted.
pub fn naming(t: Messages, by: GroupBy, name: &GroupName) -> (String, String, bool) {
    let u = t.usage;
    match name {
        GroupName::None => {
            let none = match by {
                GroupBy::Channel => u.none_channel(),
                GroupBy::Key => u.none_key(),
                GroupBy::Upstream => u.none_upstream(),
                _ => NOTHING,
            };
            (none.to_owned(), String::new(), false)
        }
        GroupName::Others => (u.others().to_owned(), String::new(), false),
        GroupName::Token(token) => (named_text(&token.name, token.id), String::new(), token.deleted),
        GroupName::Channel(channel) => {
            (named_text(&channel.name, channel.id), String::new(), channel.deleted)
        }
        GroupName::Key(key, channel) => {
            let channel = channel.as_ref().map(|channel| named_text(&channel.name, channel.id));
            (key_text(key), channel.unwrap_or_default(), key.deleted)
        }
        GroupName::Model(name)
        | GroupName::Upstream(name)
        | GroupName::Endpoint(name)
        | GroupName::Client(name) => (name.clone(), String::new(), false),
        GroupName::Status(status) => (status.to_string(), String::new(), false),
    }
}

impl GroupView {
    /// A line; `before` are its sums in the period before.
    pub fn new(context: &Context<'_>, group: &Group, before: Option<&Sums>) -> Self {
        let Context { t, explorer, whole, zone } = *context;
        let (metric, by, sums) = (explorer.metric, explorer.by, &group.sums);
        let (name, detail, deleted) = naming(t, by, &group.name);
        let field = narrowing(by, &group.name);
        let narrow = field.as_ref().map(|(field, value)| {
            explorer.link(
                "/usage",
                &[(*field, value), ("by", next_group(by).as_str()), ("sort", ""), ("dir", "")],
            )
        });
        // The log's form names a key only beside its channel.
        let channel = match &group.name {
            GroupName::Key(_, Some(channel)) => Some(("channel", channel.id.to_string())),
            _ => None,
        };
        let log = |further: &[(&'static str, String)]| {
            let fields: Vec<_> = channel.iter().chain(&field).chain(further).cloned().collect();
            field.is_some().then(|| explorer.log_link(zone, &fields))
        };
        let failed = [("result", "failed".to_owned())];
        let counted = |name: &str, count: i64| format!("{name} {}", number(count));
        let part = (metric.value(sums).unwrap_or(0), metric.value(whole).unwrap_or(0));
        let width = |(part, whole): (i64, i64)| {
            let width = i128::from(part.max(0)) * 100 / i128::from(whole.max(1));
            i64::try_from(width).unwrap_or(100).clamp(i64::from(part > 0), 100)
        };
        Self {
            name,
            detail,
            deleted,
            narrow: narrow.unwrap_or_default(),
            log: log(&[]).unwrap_or_default(),
            log_failed: log(&failed).unwrap_or_default(),
            badge: None,
            raw: metric.plain(sums),
            value: metric.text(t, sums),
            exact: metric.exact_text(t, sums),
            share: metric.adds_up().then(|| (share(part.0, part.1), width(part))),
            change: before.map(|before| Change::new(t, metric, sums, before)),
            sums: SumsView::new(t, sums),
            failures: sums
                .failures
                .iter()
                .map(|(result, count)| counted(t.log.result_name(*result), *count))
                .collect(),
            attempts: group.attempts.as_ref().map(|attempts| {
                let failed = attempts.by_class.iter().filter(|(class, _)| **class != OutcomeClass::Success);
                (
                    t.usage.attempts_value(&number(attempts.all()), &number(attempts.failed())),
                    failed.map(|(class, count)| counted(t.log.class_name(*class), *count)).collect(),
                )
            }),
            spark: None,
        }
    }
}

/// Puts groups in the order that the visitor wants; all others stay last.
pub fn arrange(t: Messages, explorer: &Explorer, groups: &mut [(&Group, Option<&Sums>)]) {
    let metric = explorer.metric;
    let number = |(group, before): &(&Group, Option<&Sums>)| -> Option<i64> {
        let sums = &group.sums;
        match explorer.sort {
            Sort::Name => None,
            Sort::Value => metric.value(sums),
            Sort::Change => Some(
                metric.value(sums).unwrap_or(0).saturating_sub(before.and_then(|sums| metric.value(sums))?),
            ),
            Sort::Requests => Metric::Requests.value(sums),
            Sort::Success => (sums.requests > 0).then(|| {
                let share = i128::from(sums.ok) * 1_000_000 / i128::from(sums.requests);
                i64::try_from(share).unwrap_or(i64::MAX)
            }),
            Sort::Attempts => group.attempts.as_ref().map(Attempts::all),
            Sort::Tokens => Metric::Tokens.value(sums),
            Sort::Cost => Metric::Cost.value(sums),
            Sort::First => Metric::FirstP95.value(sums),
            Sort::Total => Metric::TotalP95.value(sums),
            Sort::Errors => Metric::Errors.value(sums),
        }
    };
    let last = |(group, _): &(&Group, Option<&Sums>)| group.name.is_others();
    let turned = |order: Ordering| if explorer.ascending { order } else { order.reverse() };
    if explorer.sort == Sort::Name {
        let name = |(group, _): &(&Group, Option<&Sums>)| {
            let (name, detail, _) = naming(t, explorer.by, &group.name);
            (name.to_lowercase(), detail)
        };
        groups.sort_by(|a, b| last(a).cmp(&last(b)).then_with(|| turned(name(a).cmp(&name(b)))));
    } else {
        // What has no number stands behind what has one, either way.
        groups.sort_by(|a, b| {
            let (left, right) = (number(a), number(b));
            let order = left.is_none().cmp(&right.is_none()).then_with(|| turned(left.cmp(&right)));
            last(a).cmp(&last(b)).then(order)
        });
    }
}
