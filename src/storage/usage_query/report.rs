//! Sums over a period, from the roll-ups.
//!
//! All parts of a report come from one snapshot of the database and one pass over its roll-ups, so its numbers agree
//! with each other; and roll-ups are written in the transaction of the rows that they sum up, so they agree with the
//! log. Sums saturate: an upstream's absurd counts cannot break a page.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::{
    Conditions, UsageFilter, Value,
    names::{KeyName, Named, key_names_of, names_of},
    reader::bounded,
};
use crate::{
    model::{
        id::{ChannelId, KeyId, TokenId},
        time::UnixMs,
        token::named_enum,
        usage::{CallResult, OutcomeClass, TokenCounts},
    },
    storage::{
        Db, StorageError, StorageResult,
        rollups::{Histogram, bucket_of},
    },
};

/// How long a report may take the database.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

/// The most groups that a report keeps apart; the rest are summed up as one.
pub const MAX_GROUPS: usize = 200;

named_enum! {
    /// What a report has one line for.
    GroupBy {
        /// Who asked.
        Token = "token",
        /// The channel that served, or was tried last.
        Channel = "channel",
        /// The key that served, or was tried last.
        Key = "key",
        /// The model as asked; letter case does not matter.
        Model = "model",
        /// The upstream's model.
        Upstream = "upstream",
    }
}

impl GroupBy {
    /// The group of a roll-up, and the text to show.
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Token => ("CAST(token_id AS TEXT)", "''"),
            Self::Channel => ("CAST(channel_id AS TEXT)", "''"),
            Self::Key => ("CAST(key_id AS TEXT)", "''"),
            Self::Model => ("LOWER(asked_model)", "asked_model"),
            Self::Upstream => ("served_model", "served_model"),
        }
    }

    /// The group of an attempt's roll-up, if attempts know of it.
    fn attempt_column(self) -> Option<&'static str> {
        match self {
            Self::Token | Self::Model => None,
            Self::Channel => Some("CAST(channel_id AS TEXT)"),
            Self::Key => Some("CAST(key_id AS TEXT)"),
            Self::Upstream => Some("model"),
        }
    }
}

/// Sums of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// All calls.
    pub requests: i64,
    /// Calls that were answered completely.
    pub ok: i64,
    /// Those of them that took one attempt.
    pub ok_at_once: i64,
    /// Calls whose token counts are our estimate.
    pub estimated: i64,
    /// Token counts.
    pub tokens: TokenCounts,
    /// Cost in micro-dollars.
    pub cost_micros: i64,
    /// Times to the first content.
    pub first_token: Histogram,
    /// Times to the end.
    pub total: Histogram,
    /// Calls that were not answered completely, by how they ended.
    pub failures: BTreeMap<CallResult, i64>,
}

impl Sums {
    /// Calls that were not answered completely.
    pub fn failed(&self) -> i64 {
        self.requests.saturating_sub(self.ok)
    }

    fn add(&mut self, row: &RawSums, result: CallResult, first_token: &Histogram, total: &Histogram) {
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.requests, row.requests);
        if result == CallResult::Ok {
            add(&mut self.ok, row.requests);
            add(&mut self.ok_at_once, row.requests.saturating_sub(row.retried));
        } else {
            add(self.failures.entry(result).or_default(), row.requests);
        }
        add(&mut self.estimated, row.estimated);
        add(&mut self.cost_micros, row.cost_micros);
        let count = |sum: &mut u64, more: i64| *sum = sum.saturating_add(more.max(0).unsigned_abs());
        count(&mut self.tokens.prompt, row.prompt_tokens);
        count(&mut self.tokens.completion, row.completion_tokens);
        count(&mut self.tokens.cached, row.cached_tokens);
        count(&mut self.tokens.reasoning, row.reasoning_tokens);
        self.first_token.merge(first_token);
        self.total.merge(total);
    }
}

/// Upstream calls, also those whose call another key or channel answered in the end. They count in the quarter of an
/// hour in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// By what each was taken for.
    pub by_class: BTreeMap<OutcomeClass, i64>,
}

impl Attempts {
    /// All of them.
    pub fn all(&self) -> i64 {
        self.by_class.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Those without a usable answer.
    pub fn failed(&self) -> i64 {
        self.all().saturating_sub(self.by_class.get(&OutcomeClass::Success).copied().unwrap_or(0))
    }
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupName {
    /// Calls that reached no channel, key or upstream model.
    None,
    /// A token.
    Token(Named<TokenId>),
    /// A channel.
    Channel(Named<ChannelId>),
    /// A key and its channel.
    Key(KeyName, Option<Named<ChannelId>>),
    /// A model as asked.
    Model(String),
    /// An upstream's model.
    Upstream(String),
    /// All groups beyond [`MAX_GROUPS`].
    Others,
}

/// A group's sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What it is.
    pub name: GroupName,
    /// Its calls.
    pub sums: Sums,
    /// Its upstream calls, if the report is by channel, key or upstream model.
    pub attempts: Option<Attempts>,
}

/// Calls in a quarter of an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// All calls.
    pub requests: i64,
    /// Those that were not answered completely.
    pub failed: i64,
}

/// Sums over a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReport {
    /// Of all calls.
    pub sums: Sums,
    /// By the start of the quarter of an hour; those without calls are left out.
    pub series: BTreeMap<UnixMs, Point>,
    /// By group, the one with the most calls first.
    pub groups: Vec<Group>,
}

#[derive(sqlx::FromRow)]
struct RawSums {
    bucket: i64,
    group_key: String,
    group_text: String,
    result: String,
    requests: i64,
    retried: i64,
    estimated: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    cost_micros: i64,
    first_token_histogram: String,
    total_histogram: String,
}

/// Groups while they are summed up, by their key in the roll-ups; `None` is everything beyond [`MAX_GROUPS`].
type Groups = HashMap<Option<String>, (String, Sums, Attempts)>;

impl Db {
    /// Sums of the calls that arrived from `from` until before `to`; borders inside a quarter of an hour (UTC) are
    /// moved to its start.
    ///
    /// Fails with [`StorageError::TooSlow`] if the database needs more than 10 seconds.
    pub async fn usage_report(
        &self,
        from: Option<UnixMs>,
        to: Option<UnixMs>,
        group_by: GroupBy,
    ) -> StorageResult<UsageReport> {
        self.usage_report_of(&UsageFilter { from, to, ..UsageFilter::default() }, group_by).await
    }

    /// The same of the calls that a filter finds; its `search` is for single calls and does not count here. Upstream
    /// calls are known by channel and key only: with another condition there are none in the report.
    pub async fn usage_report_of(
        &self,
        filter: &UsageFilter,
        group_by: GroupBy,
    ) -> StorageResult<UsageReport> {
        let mut period = Conditions::default();
        period.add_period("u.bucket", filter.from.map(bucket_of), filter.to.map(bucket_of));
        period.add_columns(filter);
        let of_attempts = UsageFilter {
            from: filter.from,
            to: filter.to,
            channel: filter.channel,
            key: filter.key,
            search: filter.search.clone(),
            ..UsageFilter::default()
        };
        let attempts_known = *filter == of_attempts && group_by.attempt_column().is_some();
        let mut reader = self.bounded_reader(REPORT_LIMIT).await?;
        // A transaction, so that all parts see the same roll-ups.
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let mut groups = largest(&mut snapshot, &period, group_by).await?;
        let mut report = UsageReport::default();
        sum_calls(&mut snapshot, &period, group_by, &mut groups, &mut report).await?;
        if attempts_known {
            sum_attempts(&mut snapshot, &period, group_by, &mut groups).await?;
        }
        report.groups = named(&mut snapshot, group_by, groups, attempts_known).await?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        Ok(report)
    }
}

/// The groups to keep apart: those with the most calls.
async fn largest(
    connection: &mut SqliteConnection,
    period: &Conditions,
    group_by: GroupBy,
) -> StorageResult<Groups> {
    let (key, _) = group_by.columns();
    let sql = format!(
        "SELECT {key} AS group_key, CAST(SUM(requests) AS BIGINT) FROM rollups u{} \
         GROUP BY group_key ORDER BY 2 DESC, 1 LIMIT {MAX_GROUPS}",
        period.sql
    );
    let mut query = sqlx::query_as::<_, (String, i64)>(AssertSqlSafe(sql));
    for value in &period.values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
        };
    }
    let found = query.fetch_all(connection).await.map_err(bounded)?;
    Ok(found.into_iter().map(|(key, _)| (Some(key), Default::default())).collect())
}

async fn sum_calls(
    connection: &mut SqliteConnection,
    period: &Conditions,
    group_by: GroupBy,
    groups: &mut Groups,
    report: &mut UsageReport,
) -> StorageResult<()> {
    let (key, text) = group_by.columns();
    let sql = format!(
        "SELECT bucket, {key} AS group_key, {text} AS group_text, result, requests, retried, estimated, \
         prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, cost_micros, first_token_histogram, \
         total_histogram FROM rollups u{} ORDER BY bucket",
        period.sql
    );
    let mut query = sqlx::query_as::<_, RawSums>(AssertSqlSafe(sql));
    for value in &period.values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
        };
    }
    let mut rows = query.fetch(connection);
    while let Some(mut row) = rows.try_next().await.map_err(bounded)? {
        let result = CallResult::from_name(&row.result).ok_or_else(|| {
            StorageError::Unreadable(format!("result `{}` of a roll-up", row.result.escape_debug()))
        })?;
        // A histogram that does not read back costs its percentiles, not the page.
        let first_token = Histogram::from_json(&row.first_token_histogram).unwrap_or_default();
        let total = Histogram::from_json(&row.total_histogram).unwrap_or_default();
        report.sums.add(&row, result, &first_token, &total);
        let point = report.series.entry(UnixMs(row.bucket)).or_default();
        point.requests = point.requests.saturating_add(row.requests);
        if result != CallResult::Ok {
            point.failed = point.failed.saturating_add(row.requests);
        }
        let key =
            Some(std::mem::take(&mut row.group_key)).filter(|key| groups.contains_key(&Some(key.clone())));
        let (text, sums, _) = groups.entry(key).or_default();
        std::mem::take(&mut row.group_text).clone_into(text);
        sums.add(&row, result, &first_token, &total);
    }
    Ok(())
}

async fn sum_attempts(
    connection: &mut SqliteConnection,
    period: &Conditions,
    group_by: GroupBy,
    groups: &mut Groups,
) -> StorageResult<()> {
    let Some(column) = group_by.attempt_column() else { return Ok(()) };
    let sql = format!(
        "SELECT {column} AS group_key, class, CAST(SUM(attempts) AS BIGINT) FROM attempt_rollups u{} \
         GROUP BY group_key, class ORDER BY 3 DESC",
        period.sql
    );
    let mut query = sqlx::query_as::<_, (String, String, i64)>(AssertSqlSafe(sql));
    for value in &period.values {
        query = match value {
            Value::Int(value) => query.bind(*value),
            Value::Text(value) => query.bind(value.clone()),
        };
    }
    let mut rows = query.fetch(connection);
    while let Some((key, class, count)) = rows.try_next().await.map_err(bounded)? {
        let class = OutcomeClass::from_name(&class).ok_or_else(|| {
            StorageError::Unreadable(format!("class `{}` of a roll-up", class.escape_debug()))
        })?;
        let key = Some(key);
        let apart = groups.contains_key(&key) || groups.len() < MAX_GROUPS;
        let text = key.clone().unwrap_or_default();
        let (shown, _, attempts) = groups.entry(if apart { key } else { None }).or_default();
        // A group that another one always rescued has no calls of its own.
        if shown.is_empty() && apart && group_by == GroupBy::Upstream {
            *shown = text;
        }
        let sum = attempts.by_class.entry(class).or_default();
        *sum = sum.saturating_add(count);
    }
    Ok(())
}

/// Gives groups their names and their order.
async fn named(
    connection: &mut SqliteConnection,
    group_by: GroupBy,
    groups: Groups,
    attempts_known: bool,
) -> StorageResult<Vec<Group>> {
    let ids: Vec<i64> = groups.keys().flatten().filter_map(|key| key.parse().ok()).collect();
    let mut names: HashMap<i64, GroupName> = HashMap::new();
    match group_by {
        GroupBy::Token => {
            for (id, name, deleted) in names_of(connection, "tokens", &ids).await.map_err(bounded)? {
                names.insert(id, GroupName::Token(Named { id: TokenId(id), name, deleted }));
            }
        }
        GroupBy::Channel => {
            for (id, name, deleted) in names_of(connection, "channels", &ids).await.map_err(bounded)? {
                names.insert(id, GroupName::Channel(Named { id: ChannelId(id), name, deleted }));
            }
        }
        GroupBy::Key => {
            for (id, label, last4, deleted, channel, name, channel_deleted) in
                key_names_of(connection, &ids).await.map_err(bounded)?
            {
                let key = KeyName { id: KeyId(id), label, last4, deleted };
                let channel = Named { id: ChannelId(channel), name, deleted: channel_deleted };
                names.insert(id, GroupName::Key(key, Some(channel)));
            }
        }
        GroupBy::Model | GroupBy::Upstream => {}
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|(key, (text, sums, attempts))| Group {
            name: match key {
                None => GroupName::Others,
                Some(key) => name(group_by, &key, text, &mut names),
            },
            sums,
            attempts: attempts_known.then_some(attempts),
        })
        .collect();
    groups.sort_by_cached_key(|group| {
        let attempts = group.attempts.as_ref().map_or(0, Attempts::all);
        let last = matches!(group.name, GroupName::Others);
        (last, std::cmp::Reverse((group.sums.requests, attempts)), format!("{:?}", group.name))
    });
    Ok(groups)
}

fn name(group_by: GroupBy, key: &str, text: String, names: &mut HashMap<i64, GroupName>) -> GroupName {
    let id: i64 = key.parse().unwrap_or_default();
    let gone = |id| Named { id, name: String::new(), deleted: true };
    match group_by {
        GroupBy::Model => GroupName::Model(text),
        GroupBy::Upstream if key.is_empty() => GroupName::None,
        GroupBy::Upstream => GroupName::Upstream(text),
        _ if id == 0 => GroupName::None,
        GroupBy::Token => names.remove(&id).unwrap_or(GroupName::Token(Named {
            id: TokenId(id),
            name: String::new(),
            deleted: true,
        })),
        GroupBy::Channel => names.remove(&id).unwrap_or_else(|| GroupName::Channel(gone(ChannelId(id)))),
        GroupBy::Key => names.remove(&id).unwrap_or_else(|| {
            let key = KeyName { id: KeyId(id), label: String::new(), last4: String::new(), deleted: true };
            GroupName::Key(key, None)
        }),
    }
}
