//! A question of the explorer and its answer, for pages, files, scripts and commands: they ask the same way, so they
//! say the same numbers.

use jiff::tz::TimeZone;

use super::metric::Metric;
use crate::{
    model::{budget::Owner, time::UnixMs},
    storage::{
        Db, StorageError, StorageResult,
        usage_query::{
            UsageFilter,
            report::{Apart, GroupBy, Question, UsageReport},
            steps::{Step, Steps},
        },
    },
};

const HOUR_MS: i64 = 3_600_000;

/// How many groups of a time series are drawn by themselves.
pub const DRAWN_GROUPS: usize = 8;

/// What to look at.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which number.
    pub metric: Metric,
    /// What to have one line for.
    pub by: GroupBy,
    /// Which calls, in a period of whole quarters of an hour.
    pub filter: UsageFilter,
    /// The period to compare with.
    pub before: Option<(UnixMs, UnixMs)>,
    /// The step of the time series; `None` takes one that suits the period.
    pub step: Option<Step>,
    /// How many groups are kept apart.
    pub groups: usize,
    /// How many groups have a time series of their own.
    pub series_groups: usize,
    /// Whether those time series are to have all sums in place of those that the metric needs.
    pub all_sums: bool,
    /// The time.
    pub now: UnixMs,
    /// Whose days and hours count.
    pub zone: TimeZone,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Explored {
    /// The period's sums.
    pub report: UsageReport,
    /// The sums of the period before, with the same groups; `None` if there is none to compare with.
    pub before: Option<UsageReport>,
    /// What the period's calls would have cost more by list prices, in micro-dollars. It is summed up by the hour and by token,
    /// channel or key: `None` where the filter asks for more, or a border stands inside an hour (UTC).
    pub saved_micros: Option<i64>,
}

/// Whose savings a filter asks for; `Some(None)` are everybody's, `None` those of calls that are not summed up so.
pub fn saver(filter: &UsageFilter) -> Option<Option<Owner>> {
    let whole_hour = |at: Option<UnixMs>| at.is_none_or(|at| at.0.rem_euclid(HOUR_MS) == 0);
    if !whole_hour(filter.from) || !whole_hour(filter.to) {
        return None;
    }
    let mut rest = filter.clone();
    (rest.from, rest.to) = (None, None);
    let owners = [
        rest.token.take().map(Owner::Token),
        rest.channel.take().map(Owner::Channel),
        rest.key.take().map(Owner::Key),
    ];
    let mut owners = owners.into_iter().flatten();
    let owner = owners.next();
    (owners.next().is_none() && rest == UsageFilter::default()).then_some(owner)
}

impl Plan {
    /// Asks the database.
    pub async fn ask(&self, db: &Db) -> StorageResult<Explored> {
        let first = match self.filter.from {
            Some(from) => Some(from),
            None => db.usage_begins().await?,
        };
        let end = self.filter.to.unwrap_or(self.now).min(self.now);
        let steps = first.map(|first| {
            let end = end.max(UnixMs(first.0.saturating_add(1)));
            Steps::new(self.step.unwrap_or_else(|| Step::fitting(first, end)), first, end, &self.zone)
        });
        let step = steps.as_ref().map(Steps::step);
        let mut question = Question {
            filter: self.filter.clone(),
            group_by: self.by,
            order: self.metric.order(),
            apart: Apart::Largest(self.groups),
            steps,
            series_groups: self.series_groups,
            measure: (!self.all_sums).then(|| self.metric.measure()),
        };
        let report = db.usage_report(&question).await?;
        let saved_micros = match saver(&self.filter) {
            Some(owner) => {
                let from = self.filter.from.unwrap_or(UnixMs(0));
                match db.saved_micros(owner, from, self.filter.to).await {
                    Err(StorageError::TooSlow) => None,
                    saved => Some(saved?),
                }
            }
            None => None,
        };
        let Some((from, to)) = self.before else {
            return Ok(Explored { report, before: None, saved_micros });
        };
        (question.filter.from, question.filter.to) = (Some(from), Some(to));
        question.apart = Apart::These(report.groups.iter().filter_map(|group| group.key.clone()).collect());
        question.steps = step.map(|step| Steps::new(step, from, to, &self.zone));
        question.series_groups = 0;
        let before = db.usage_report(&question).await?;
        Ok(Explored { report, before: Some(before), saved_micros })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{ChannelId, KeyId, TokenId};

    #[test]
    fn savings_are_known_of_whole_hours_and_of_one_owner_at_most() {
        let filter = UsageFilter { from: Some(UnixMs(HOUR_MS)), ..UsageFilter::default() };
        assert_eq!(saver(&filter), Some(None));
        let of_key = UsageFilter { key: Some(KeyId(3)), ..filter.clone() };
        assert_eq!(saver(&of_key), Some(Some(Owner::Key(KeyId(3)))));
        let of_channel =
            UsageFilter { channel: Some(ChannelId(2)), to: Some(UnixMs(9 * HOUR_MS)), ..filter.clone() };
        assert_eq!(saver(&of_channel), Some(Some(Owner::Channel(ChannelId(2)))));
        let of_both = UsageFilter { token: Some(TokenId(1)), ..of_key };
        let of_model = UsageFilter { model: Some("m".into()), ..filter.clone() };
        let within = UsageFilter { to: Some(UnixMs(9 * HOUR_MS + 900_000)), ..filter };
        for other in [of_both, of_model, within] {
            assert_eq!(saver(&other), None, "{other:?}");
        }
    }
}
