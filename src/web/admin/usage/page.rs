//! `/usage`: sums over a period, a chart, and a line for each token, channel, key or model.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
    routing::get,
};

use super::{
    chart::{Chart, Step},
    period::{Choice, Period, url},
};
use crate::{
    error::Result,
    i18n::Messages,
    model::{
        catalog::Catalog,
        time::{Clock, UnixMs},
        usage::OutcomeClass,
    },
    storage::{
        Db, StorageError,
        rollups::Histogram,
        usage_query::report::{Group, GroupBy, GroupName, Sums, UsageReport},
    },
    web::{
        Site,
        admin::{
            log::names::{key_text, named_text},
            visit::{Chrome, Operator, Section, render_with},
        },
        form::{FieldErrors, Fields},
        format::{
            NOTHING, approximate, count, duration, exact_money, money, number, optional_duration, share,
            short_count,
        },
    },
};

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

/// A short text, and the exact one for its title.
struct Shown {
    text: String,
    title: String,
}

/// Sums as texts.
struct SumsView {
    requests: String,
    failed: String,
    success: String,
    at_once: String,
    prompt: Shown,
    completion: Shown,
    cached: Shown,
    all_tokens: Shown,
    cost: Shown,
    first_token: String,
    total: String,
    estimated: String,
}

impl SumsView {
    fn new(t: Messages, sums: &Sums) -> Self {
        let estimated = sums.estimated > 0;
        let tokens = |value: u64| Shown {
            text: approximate(short_count(value), estimated),
            title: approximate(count(value), estimated),
        };
        Self {
            requests: number(sums.requests),
            failed: number(sums.failed()),
            success: share(sums.ok, sums.requests),
            at_once: share(sums.ok_at_once, sums.requests),
            prompt: tokens(sums.tokens.prompt),
            completion: tokens(sums.tokens.completion),
            cached: tokens(sums.tokens.cached),
            all_tokens: tokens(sums.tokens.total()),
            cost: Shown {
                text: approximate(money(sums.cost_micros), estimated),
                title: approximate(exact_money(sums.cost_micros), estimated),
            },
            first_token: percentiles(t, &sums.first_token),
            total: percentiles(t, &sums.total),
            estimated: if estimated { t.usage.estimated(&number(sums.estimated)) } else { String::new() },
        }
    }
}

/// `p50 / p95`.
fn percentiles(t: Messages, histogram: &Histogram) -> String {
    match (histogram.quantile(0.5), histogram.quantile(0.95)) {
        (Some(median), Some(high)) => format!("{} / {}", duration(t, median), duration(t, high)),
        (median, _) => optional_duration(t, median),
    }
}

struct GroupView {
    name: String,
    detail: String,
    deleted: bool,
    /// The calls in the log; empty if a filter can't name them.
    href: String,
    sums: SumsView,
    failures: Vec<String>,
    /// Upstream calls, and the failed ones among them by class.
    attempts: Option<(String, Vec<String>)>,
}

impl GroupView {
    fn new(t: Messages, group: &Group, period: &Period) -> Self {
        let link =
            |fields: Vec<(&'static str, String)>| url("/log", fields.into_iter().chain(period.query()));
        let plain = |name: String| (name, String::new(), false, String::new());
        let (name, detail, deleted, href) = match &group.name {
            GroupName::None => plain(String::new()),
            GroupName::Others => plain(t.usage.others().to_owned()),
            GroupName::Token(token) => (
                named_text(&token.name, token.id),
                String::new(),
                token.deleted,
                link(vec![("token", token.id.to_string())]),
            ),
            GroupName::Channel(channel) => (
                named_text(&channel.name, channel.id),
                String::new(),
                channel.deleted,
                link(vec![("channel", channel.id.to_string())]),
            ),
            GroupName::Key(key, channel) => {
                let of = channel.as_ref().map(|channel| ("channel", channel.id.to_string()));
                let fields = of.into_iter().chain([("key", key.id.to_string())]).collect();
                let channel = channel.as_ref().map(|channel| named_text(&channel.name, channel.id));
                (key_text(key), channel.unwrap_or_default(), key.deleted, link(fields))
            }
            GroupName::Model(model) => {
                (model.clone(), String::new(), false, link(vec![("asked", model.clone())]))
            }
            GroupName::Upstream(model) => {
                (model.clone(), String::new(), false, link(vec![("upstream", model.clone())]))
            }
        };
        let counted = |name: &str, count: i64| format!("{name} {}", number(count));
        Self {
            name,
            detail,
            deleted,
            href,
            sums: SumsView::new(t, &group.sums),
            failures: group
                .sums
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
        }
    }
}

#[derive(Template)]
#[template(path = "pages/usage.html")]
struct UsagePage {
    c: Chrome,
    tabs: Vec<Choose>,
    periods: Vec<Choose>,
    group_by: GroupBy,
    group_label: &'static str,
    from_to: String,
    from: String,
    to: String,
    errors: FieldErrors,
    problem: Option<&'static str>,
    sums: SumsView,
    chart: Option<Chart>,
    chart_step: &'static str,
    chart_summary: String,
    groups: Vec<GroupView>,
    with_attempts: bool,
    everything: bool,
}

fn tab_label(t: Messages, group_by: GroupBy) -> &'static str {
    match group_by {
        GroupBy::Token => t.usage.by_token(),
        GroupBy::Channel => t.usage.by_channel(),
        GroupBy::Key => t.usage.by_key(),
        GroupBy::Model => t.usage.by_model(),
        GroupBy::Upstream => t.usage.by_upstream(),
    }
}

async fn show(
    State(db): State<Db>,
    State(catalog): State<Arc<Catalog>>,
    State(clock): State<Clock>,
    operator: Operator,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let (t, now, zone) = (operator.t(), clock.now(), &catalog.zone);
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    let mut errors = FieldErrors::default();
    let period = Period::read(&fields, Choice::Day, now, zone, t, &mut errors).aligned();
    let group_by = GroupBy::from_name(fields.text("by")).unwrap_or(GroupBy::Token);

    let (report, mut status, mut problem) = (UsageReport::default(), StatusCode::OK, None);
    let report = if errors.is_empty() {
        match db.usage_report(period.from, period.to, group_by).await {
            Err(StorageError::TooSlow) => {
                (status, problem) = (StatusCode::SERVICE_UNAVAILABLE, Some(t.log.too_slow()));
                report
            }
            other => other?,
        }
    } else {
        status = StatusCode::UNPROCESSABLE_ENTITY;
        report
    };

    let chart = Chart::new(t, &report.series, &period, now, zone);
    let exact = |at: UnixMs| at.zoned(zone).strftime("%Y-%m-%d %H:%M").to_string();
    let from = period.from.map_or_else(|| t.usage.since_start().to_owned(), exact);
    let to = period.to.map_or_else(|| t.usage.until_now().to_owned(), exact);
    let by = |by: GroupBy| ("by", by.as_str().to_owned());
    let none = match group_by {
        GroupBy::Channel => t.usage.none_channel(),
        GroupBy::Key => t.usage.none_key(),
        GroupBy::Upstream => t.usage.none_upstream(),
        GroupBy::Token | GroupBy::Model => NOTHING,
    };
    let groups = report.groups.iter().map(|group| {
        let mut view = GroupView::new(t, group, &period);
        if view.name.is_empty() {
            view.name = none.to_owned();
        }
        view
    });
    let page = UsagePage {
        c: operator.chrome(Section::Usage),
        tabs: GroupBy::ALL
            .iter()
            .map(|tab| Choose {
                href: url("/usage", std::iter::once(by(*tab)).chain(period.query())),
                label: tab_label(t, *tab),
                current: *tab == group_by,
            })
            .collect(),
        periods: Period::choices()
            .map(|choice| Choose {
                href: url("/usage", [by(group_by), ("period", choice.as_str().to_owned())]),
                label: choice.label(t),
                current: choice == period.choice,
            })
            .collect(),
        group_by,
        group_label: tab_label(t, group_by),
        from_to: t.usage.span(&from, &to, zone.iana_name().unwrap_or("UTC")),
        errors,
        problem,
        sums: SumsView::new(t, &report.sums),
        chart_step: match chart.as_ref().map(|chart| chart.step) {
            Some(Step::Hour) => t.usage.per_hour(),
            Some(Step::Day) => t.usage.per_day(),
            Some(Step::Month) | None => t.usage.per_month(),
        },
        chart_summary: t.usage.chart_summary(&number(report.sums.requests), &number(report.sums.failed())),
        chart,
        groups: groups.collect(),
        with_attempts: !matches!(group_by, GroupBy::Token | GroupBy::Model),
        everything: period.choice == Choice::All,
        from: period.from_text,
        to: period.to_text,
    };
    render_with(status, &page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::{CallResult, UsageRecord},
        storage::recording::tests::record,
        web::browser::{Browser, NOW},
    };

    fn calls() -> Vec<UsageRecord> {
        let failed = UsageRecord {
            status: 502,
            result: CallResult::UpstreamError,
            asked_model: "<b>evil</b>".into(),
            ..record(3)
        };
        [record(1), record(2), failed].map(|call| UsageRecord { at: UnixMs(NOW.0 - 60_000), ..call }).to_vec()
    }

    #[tokio::test]
    async fn the_page_sums_up_a_period_by_key_and_marks_what_was_deleted() {
        let browser = Browser::new(&calls()).await;
        let page = browser.get("/usage?by=key&period=24h").await;
        assert_eq!(page.status, 200);
        for text in ["66.6%", "…bbbb", "Groq &#60;free&#62;", "deleted", "3 (3)", "rate-limited 3", "≈"] {
            assert!(page.text.contains(text), "{text}\n{}", page.text);
        }
        assert!(page.text.contains(r#"href="/log?channel=1&#38;key=3&#38;period=24h""#), "{}", page.text);
        assert!(!page.text.contains("style="), "styles in attributes are blocked by the policy");
    }

    #[tokio::test]
    async fn a_models_name_is_text_and_leads_to_its_calls() {
        let browser = Browser::new(&calls()).await;
        let page = browser.get("/usage?by=model").await;
        assert!(!page.text.contains("<b>evil"));
        assert!(page.text.contains("asked=%3Cb%3Eevil%3C%2Fb%3E"));
        let log = browser.get("/log?asked=%3Cb%3Eevil%3C%2Fb%3E&period=24h").await;
        assert_eq!(log.text.matches("href=\"/log/").count(), 1);
    }

    #[tokio::test]
    async fn an_empty_period_offers_everything_and_a_wrong_one_says_what_is_wrong() {
        let browser = Browser::new(&calls()).await;
        let empty = browser.get("/usage?from=2020-01-01&to=2020-01-02").await;
        assert!(empty.text.contains("No calls in this period."));
        let wrong = browser.get("/usage?from=someday").await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text.contains(r#"value="someday""#) && wrong.text.contains("from-error"));
    }

    #[tokio::test]
    async fn the_page_is_there_in_chinese() {
        let browser = Browser::new(&calls()).await;
        assert!(browser.get_in("/usage", "zh-CN").await.text.contains("不计重试"));
    }
}
