//! The explorer's options in the URL: metric, group, period, comparison, order, and the log's own filter.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{
    explore::Plan,
    metric::Metric,
    period::{Choice, Period, url},
};
use crate::{
    i18n::Messages,
    model::{time::UnixMs, token::named_enum},
    storage::usage_query::{
        report::{GroupBy, GroupName},
        steps::Step,
    },
    web::{admin::log::query::LogQuery, form::Fields},
};

named_enum! {
    /// By which column the table is in order.
    Sort {
        /// The metric.
        Value = "value",
        /// What has changed since the period before.
        Change = "change",
        /// The name.
        Name = "name",
        /// All calls.
        Requests = "requests",
        /// The share of complete answers.
        Success = "success",
        /// Upstream calls.
        Attempts = "attempts",
        /// Prompt and completion tokens.
        Tokens = "tokens",
        /// Cost.
        Cost = "cost",
        /// The 95th percentile of the time to the first content.
        First = "first_token",
        /// The 95th percentile of the time to the end.
        Total = "total",
        /// Calls that were not answered completely.
        Errors = "errors",
    }
}

/// Fields that the log has and sums do not.
const OF_THE_LOG: [&str; 4] = ["q", "trace", "before", "after"];

/// What the visitor asks for.
pub struct Explorer {
    /// The filter and what is wrong with it.
    pub log: LogQuery,
    /// The period in whole quarters of an hour, as sums are kept.
    pub period: Period,
    /// Which number.
    pub metric: Metric,
    /// What has a line of its own.
    pub by: GroupBy,
    /// Whether the period before is shown as well.
    pub compare: bool,
    /// The step; `None` takes what suits the period.
    pub step: Option<Step>,
    /// The order of the table.
    pub sort: Sort,
    /// Whether the smallest stands first.
    pub ascending: bool,
}

impl Explorer {
    /// Reads a URL's query.
    pub fn read(query: &str, now: UnixMs, zone: &TimeZone, t: Messages) -> Self {
        let fields = Fields::parse(query.as_bytes());
        let kept = fields.pairs().filter(|(name, _)| !OF_THE_LOG.contains(name));
        let kept = form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
        let mut log = LogQuery::read_in(Choice::Day, &kept, now, zone, t);
        let mut wrong = Vec::new();
        let mut known = |name: &'static str, known: bool| {
            if !known && !fields.text(name).is_empty() {
                wrong.push(name);
            }
        };
        let metric = Metric::from_name(fields.text("metric"));
        known("metric", metric.is_some());
        let by = GroupBy::from_name(fields.text("by"));
        known("by", by.is_some());
        let step = Step::from_name(fields.text("step"));
        known("step", step.is_some());
        let sort = Sort::from_name(fields.text("sort"));
        known("sort", sort.is_some());
        let period = Choice::from_name(fields.text("period"));
        known("period", period.is_some());
        for name in wrong {
            log.errors.add(name, t.log.unknown_choice());
        }
        let sort = sort.unwrap_or(Sort::Value);
        Self {
            period: log.period.clone().aligned(),
            log,
            metric: metric.unwrap_or(Metric::Requests),
            by: by.unwrap_or(GroupBy::Token),
            compare: fields.checked("compare"),
            step,
            ascending: match fields.text("dir") {
                "asc" => true,
                "desc" => false,
                _ => sort == Sort::Name,
            },
            sort,
        }
    }

    /// What to ask the database.
    pub fn plan(&self, now: UnixMs, zone: &TimeZone, groups: usize, series_groups: usize) -> Plan {
        let mut filter = self.log.filter.clone();
        (filter.from, filter.to) = (self.period.from, self.period.to);
        Plan {
            metric: self.metric,
            by: self.by,
            filter,
            before: self.compare.then(|| self.period.before(now, zone)).flatten(),
            step: self.step,
            groups,
            series_groups,
            all_sums: false,
            now,
            zone: zone.clone(),
        }
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.metric != Metric::Requests {
            pairs.push(("metric", self.metric.to_string()));
        }
        pairs.push(("by", self.by.to_string()));
        pairs.extend(self.log.period.query());
        if let Some(step) = self.step {
            pairs.push(("step", step.to_string()));
        }
        if self.compare {
            pairs.push(("compare", "true".into()));
        }
        if self.sort != Sort::Value || self.ascending {
            pairs.push(("sort", self.sort.to_string()));
            pairs.push(("dir", if self.ascending { "asc" } else { "desc" }.into()));
        }
        pairs.extend(self.log.given().map(|(name, text)| (name, text.to_owned())));
        pairs
    }

    /// The same question with other values of some fields, at a path; an empty value takes a field away.
    pub fn link(&self, path: &str, changes: &[(&'static str, &str)]) -> String {
        let changed = |name: &str| {
            changes
                .iter()
                .any(|(other, _)| *other == name || (*other == "period" && ["from", "to"].contains(&name)))
        };
        let kept = self.pairs().into_iter().filter(|(name, _)| !changed(name));
        let new = changes.iter().map(|(name, value)| (*name, (*value).to_owned()));
        url(path, kept.chain(new))
    }

    /// The fields that a form with other dates keeps.
    pub fn kept(&self) -> Vec<(&'static str, String)> {
        self.pairs().into_iter().filter(|(name, _)| !["period", "from", "to"].contains(name)).collect()
    }

    /// The calls in the log that these numbers count, narrowed by further fields.
    pub fn log_link(&self, zone: &TimeZone, further: &[(&'static str, String)]) -> String {
        let changed = |name: &str| further.iter().any(|(other, _)| *other == name);
        let filter = self.log.given().map(|(name, text)| (name, text.to_owned()));
        let all = filter.chain(self.period.exact_query(zone)).filter(|(name, _)| !changed(name));
        url("/log", all.chain(further.iter().cloned()))
    }
}

/// The field of the filter that finds just a group's calls; `None` if none does.
pub fn narrowing(by: GroupBy, name: &GroupName) -> Option<(&'static str, String)> {
    Some(match name {
        GroupName::None => match by {
            GroupBy::Channel => ("channel", "0".into()),
            GroupBy::Key => ("key", "0".into()),
            _ => return None,
        },
        GroupName::Token(token) => ("token", token.id.to_string()),
        GroupName::Channel(channel) => ("channel", channel.id.to_string()),
        GroupName::Key(key, _) => ("key", key.id.to_string()),
        GroupName::Model(name) => ("asked", name.clone()),
        GroupName::Upstream(name) => ("upstream", name.clone()),
        GroupName::Endpoint(name) => ("endpoint", name.clone()),
        GroupName::Client(name) => ("client", name.clone()),
        GroupName::Status(status) => ("status", status.to_string()),
        GroupName::Others => return None,
    })
}

/// What to have lines for after one line of another kind was chosen.
pub fn next_group(by: GroupBy) -> GroupBy {
    match by {
        GroupBy::Model | GroupBy::Client => GroupBy::Token,
        GroupBy::Channel => GroupBy::Key,
        GroupBy::Upstream => GroupBy::Channel,
        _ => GroupBy::Model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{i18n::Lang, model::id::TokenId};

    fn read(query: &str) -> Explorer {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        Explorer::read(query, UnixMs(1_800_000_000_000), &zone, Messages::of(Lang::En))
    }

    #[test]
    fn a_question_reads_back_from_its_own_url() {
        let text =
            "metric=cost&by=key&period=7d&step=hour&compare=true&sort=name&dir=asc&token=3&client=curl";
        let explorer = read(text);
        assert!(explorer.log.errors.is_empty());
        assert_eq!((explorer.metric, explorer.by, explorer.compare), (Metric::Cost, GroupBy::Key, true));
        assert_eq!(explorer.log.filter.token, Some(TokenId(3)));
        assert_eq!(explorer.link("/usage", &[]), format!("/usage?{text}"));
        let without = explorer.link("/usage", &[("token", ""), ("by", "model")]);
        assert!(!without.contains("token=") && without.contains("by=model"), "{without}");
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let log = explorer.log_link(&zone, &[("key", "5".into())]);
        assert_eq!(log, "/log?token=3&client=curl&period=7d&key=5");
        let own = read("from=2026-05-01T10:07&to=2026-05-02&status=4xx");
        assert!(own.link("/usage", &[("period", "7d")]).ends_with("?by=token&status=4xx&period=7d"));
        let log = own.log_link(&zone, &[]);
        assert!(
            log.contains("from=2026-05-01T10%3A00%3A00%2B05%3A30"),
            "the log begins where sums begin: {log}"
        );
    }

    #[test]
    fn what_is_not_known_is_told_and_what_only_the_log_has_is_left_out() {
        let explorer = read("metric=speed&by=weather&step=year&sort=up&period=ages");
        for name in ["metric", "by", "step", "sort", "period"] {
            assert!(explorer.log.errors.find(name).is_some(), "{name}");
        }
        let explorer = read("q=abc&trace=nonsense&before=1-2");
        assert!(explorer.log.errors.is_empty() && explorer.log.filter.search.is_none());
    }

    #[test]
    fn every_kind_of_group_leads_to_another() {
        for by in GroupBy::ALL {
            assert_ne!(next_group(*by), *by);
        }
    }
}
