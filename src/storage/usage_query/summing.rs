//! Reads the answer to a [`Question`] from what sums up the log.
//!
//! All parts of a report come from one snapshot of the database, so its numbers agree with each other; and every call is in
//! that snapshot once, in a sheet or as a row, so they agree with the log. Sums saturate: an upstream's absurd counts cannot
//! break a page.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use sqlx::{Connection, SqliteConnection};

use super::{
    ResultFilter, UsageFilter, like,
    names::{KeyName, Named, key_names_of, names_of},
    reader::bounded,
    report::{
        Apart, Attempts, Group, GroupBy, GroupKey, GroupName, GroupSeries, MOST_GROUPS, OrderBy, Question,
        Series, Sums, UsageReport,
    },
};
use crate::{
    model::{
        id::{ChannelId, KeyId, TokenId},
        time::UnixMs,
        usage::{CallResult, TokenCounts},
    },
    storage::{
        Db, StorageResult,
        rollups::{BUCKET_MS, Histogram, bucket_of},
        sheets::{
            classes_of,
            days::Dimension,
            scan::{Ask, AttemptSums, Source, Wanted},
            totals::{Totals, sum},
        },
    },
};

/// How long a report may take the database.
const REPORT_LIMIT: Duration = Duration::from_secs(10);

impl GroupBy {
    fn dimension(self) -> Dimension {
        match self {
            Self::Token => Dimension::Token,
            Self::Channel => Dimension::Channel,
            Self::Key => Dimension::Key,
            Self::Model => Dimension::Model,
            Self::Upstream => Dimension::Upstream,
            Self::Endpoint => Dimension::Endpoint,
            Self::Client => Dimension::Client,
            Self::Status => Dimension::Status,
        }
    }

    /// The key of a group and the text to show, by its number in sheets.
    fn key(self, id: u64, source: &Source) -> (String, String) {
        let text = || source.text(id).map(|text| text.to_string()).unwrap_or_default();
        match self {
            Self::Token | Self::Channel | Self::Key | Self::Status => (id.to_string(), String::new()),
            Self::Model | Self::Client => {
                let text = text();
                (text.to_ascii_lowercase(), text)
            }
            Self::Upstream | Self::Endpoint => (text(), text()),
        }
    }
}

impl OrderBy {
    /// How large a group is.
    fn of_totals(self, totals: &Totals) -> u64 {
        let sums = &totals.sums;
        match self {
            Self::Requests => sums[sum::REQUESTS],
            Self::Failed => sums[sum::REQUESTS].saturating_sub(sums[sum::OK]),
            Self::Tokens => sums[sum::PROMPT].saturating_add(sums[sum::COMPLETION]),
            Self::Prompt => sums[sum::PROMPT],
            Self::Completion => sums[sum::COMPLETION],
            Self::Cached => sums[sum::CACHED],
            Self::Reasoning => sums[sum::REASONING],
            Self::Cost => sums[sum::COST],
        }
    }
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        let number = |place: usize| i64::try_from(totals.sums[place]).unwrap_or(i64::MAX);
        let failures = CallResult::ALL.iter().zip(&totals.failures).filter(|(_, count)| **count > 0);
        let [queue, first_token, total] = &totals.histograms;
        Self {
            requests: number(sum::REQUESTS),
            ok: number(sum::OK),
            ok_at_once: number(sum::OK_AT_ONCE),
            retried: number(sum::RETRIED),
            estimated: number(sum::ESTIMATED),
            tokens: TokenCounts {
                prompt: totals.sums[sum::PROMPT],
                completion: totals.sums[sum::COMPLETION],
                cached: totals.sums[sum::CACHED],
                reasoning: totals.sums[sum::REASONING],
            },
            cost_micros: number(sum::COST),
            queue_ms: number(sum::QUEUE_MS),
            queue: Histogram::from_bins(queue),
            first_token: Histogram::from_bins(first_token),
            total: Histogram::from_bins(total),
            failures: failures
                .map(|(result, count)| (*result, i64::try_from(*count).unwrap_or(i64::MAX)))
                .collect(),
        }
    }
}

/// What a filter asks of calls; its period, `search` and `trace` are not among it.
fn wanted(filter: &UsageFilter) -> Vec<Wanted> {
    let ids = [
        (Dimension::Token, filter.token.map(|id| id.0)),
        (Dimension::Channel, filter.channel.map(|id| id.0)),
        (Dimension::Key, filter.key.map(|id| id.0)),
    ];
    let mut wanted: Vec<Wanted> = ids.into_iter().filter_map(|(by, id)| Some(Wanted::Id(by, id?))).collect();
    let pattern = |text: &String| -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
        let pattern = text.clone();
        Arc::new(move |text| like(&pattern, text))
    };
    wanted.extend(filter.model.as_ref().map(|text| Wanted::Model(pattern(text))));
    wanted.extend(
        filter
            .asked_model
            .clone()
            .map(|name| Wanted::AskedModel(Arc::new(move |text: &str| text.eq_ignore_ascii_case(&name)))),
    );
    wanted.extend(filter.served_model.clone().map(Wanted::ServedModel));
    wanted.extend(filter.endpoint.map(|endpoint| Wanted::Endpoint(endpoint.as_str().to_owned())));
    wanted.extend(filter.stream.map(Wanted::Stream));
    wanted.extend(filter.result.map(|result| match result {
        ResultFilter::Failed => Wanted::Result(CallResult::Ok.as_str().to_owned(), false),
        ResultFilter::Is(result) => Wanted::Result(result.as_str().to_owned(), true),
    }));
    wanted.extend(filter.status.map(|(lowest, highest)| Wanted::Status(lowest, highest)));
    wanted.extend(filter.client_kind.as_ref().map(|text| Wanted::Client(pattern(text))));
    wanted
}

/// The quarter of an hour since 1970 that a time lies in.
fn quarter(at: UnixMs) -> i64 {
    bucket_of(at).0 / BUCKET_MS
}

/// A group while the report is made.
#[derive(Default)]
struct Found {
    text: String,
    totals: Totals,
    attempts: Attempts,
    /// Its numbers in sheets; several if names differ in letter case only.
    ids: Vec<u64>,
}

impl Db {
    /// The start of the first quarter of an hour with calls; `None` before the first call.
    pub async fn usage_begins(&self) -> StorageResult<Option<UnixMs>> {
        let mut reader = self.bounded_reader(REPORT_LIMIT).await?;
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let first = crate::storage::sheets::scan::first_quarter(&mut snapshot).await?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        Ok(first.map(|quarter| UnixMs(quarter * BUCKET_MS)))
    }

    /// Sums of all calls since a time, or of `only` one group's, by the number of their group; and the last row of the log that
    /// is among them. Names are not looked for, so that many groups cost little more than one. Borders are as in reports.
    ///
    /// Fails with [`TooSlow`](crate::storage::StorageError::TooSlow) if the database needs more than 10 seconds.
    pub(in crate::storage) async fn sums_since(
        &self,
        group_by: GroupBy,
        only: Option<i64>,
        from: Option<UnixMs>,
    ) -> StorageResult<(HashMap<i64, Sums>, i64)> {
        const LAST: &str =
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM calls), 0), (SELECT folded_to FROM folds))";
        let by = group_by.dimension();
        let wanted = only.map(|id| Wanted::Id(by, id)).into_iter().collect();
        let ask = Ask { from: from.map(quarter), to: None, by, wanted, starts: Vec::new() };
        let mut reader = self.bounded_reader(REPORT_LIMIT).await?;
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let source = Source::open(&mut snapshot, &self.words, &ask).await?;
        let groups = source.sum(&mut snapshot, false).await?.groups;
        let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *snapshot).await.map_err(bounded)?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        let sums = groups.into_all().map(|(id, totals)| (id.cast_signed(), Sums::from(&totals)));
        Ok((sums.collect(), last))
    }

    /// Sums of the calls that a question finds.
    ///
    /// Fails with [`TooSlow`](crate::storage::StorageError::TooSlow) if the database needs more than 10 seconds.
    pub async fn usage_report(&self, question: &Question) -> StorageResult<UsageReport> {
        let (filter, group_by) = (&question.filter, question.group_by);
        let of_attempts = UsageFilter {
            from: filter.from,
            to: filter.to,
            channel: filter.channel,
            key: filter.key,
            search: filter.search.clone(),
            trace: filter.trace.clone(),
            ..UsageFilter::default()
        };
        let attempts_known = *filter == of_attempts && group_by.dimension().attempt_column_known();
        let starts = question.steps.as_ref().map(|steps| steps.starts()).unwrap_or_default();
        let ask = Ask {
            from: filter.from.map(quarter),
            to: filter.to.map(quarter),
            by: group_by.dimension(),
            wanted: wanted(filter),
            starts: starts.iter().map(|start| start.0).collect(),
        };
        let mut reader = self.bounded_reader(REPORT_LIMIT).await?;
        // A transaction, so that all parts see the same.
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let source = Source::open(&mut snapshot, &self.words, &ask).await?;
        let with_courses = question.steps.is_some() && question.series_groups > 0;
        let mut sums = source.sum(&mut snapshot, with_courses).await?;
        let whole = std::mem::take(&mut sums.whole);

        let mut found: HashMap<String, Found> = HashMap::new();
        for (id, totals) in std::mem::take(&mut sums.groups).into_all() {
            let (key, text) = group_by.key(id, &source);
            let group = found.entry(key).or_default();
            // The text of the oldest of names that differ in letter case only.
            if group.ids.iter().all(|other| id < *other) {
                group.text = text;
            }
            group.ids.push(id);
            group.totals.merge(&totals);
        }
        let apart: Vec<String> = match &question.apart {
            Apart::Largest(most) => largest(&found, question.order, *most),
            Apart::These(keys) => keys.iter().map(|key| key.0.clone()).collect(),
        };
        let mut report = UsageReport::default();
        let mut all = Totals::default();
        whole.iter().for_each(|step| all.merge(step));
        report.sums = Sums::from(&all);
        let mut course = None;
        if let Some(steps) = &question.steps {
            let own = &apart[..question.series_groups.min(apart.len())];
            let places = own.iter().enumerate().filter_map(|(place, key)| Some((place, found.get(key)?)));
            let places: HashMap<u64, usize> =
                places.flat_map(|(place, group)| group.ids.iter().map(move |id| (*id, place))).collect();
            let points = match own {
                [] => Vec::new(),
                _ => source.courses(&mut snapshot, &sums, places, own.len(), question.measure).await?,
            };
            let own_keys: HashSet<&String> = own.iter().collect();
            let others = question.series_groups > 0 && found.keys().any(|key| !own_keys.contains(key));
            let others = others.then(|| {
                let mut others = whole.clone();
                for points in &points {
                    others.iter_mut().zip(points).for_each(|(other, point)| other.take_away(point));
                }
                others
            });
            let points: HashMap<String, Vec<Totals>> = own.iter().cloned().zip(points).collect();
            course = Some((steps.clone(), points, others));
        }
        let attempts = if attempts_known { source.attempts(&mut snapshot).await? } else { None };
        let mut kept: HashMap<Option<String>, Found> = HashMap::new();
        for key in &apart {
            kept.insert(Some(key.clone()), found.remove(key).unwrap_or_default());
        }
        for group in found.into_values() {
            kept.entry(None).or_default().totals.merge(&group.totals);
        }
        if let Some(attempts) = attempts {
            // A group that another one always rescued has no calls of its own.
            let room = match question.apart {
                Apart::Largest(most) => most.min(MOST_GROUPS),
                Apart::These(_) => 0,
            };
            add_attempts(&source, group_by, attempts, &classes_of(&self.words), &mut kept, room);
        }
        report.groups = named(&mut snapshot, question, kept, attempts_known).await?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        report.series = course.map(|(steps, mut points, others)| {
            let sums = |points: Vec<Totals>| points.iter().map(Sums::from).collect::<Vec<_>>();
            let mut groups: Vec<GroupSeries> = report
                .groups
                .iter()
                .filter_map(|group| {
                    let points = points.remove(&group.key.as_ref()?.0)?;
                    Some(GroupSeries { name: group.name.clone(), points: sums(points) })
                })
                .collect();
            if let Some(others) = others {
                groups.push(GroupSeries { name: GroupName::Others, points: sums(others) });
            }
            Series { steps, whole: sums(whole), groups }
        });
        Ok(report)
    }
}

/// The groups to keep apart, the largest one first.
fn largest(found: &HashMap<String, Found>, order: OrderBy, most: usize) -> Vec<String> {
    let mut keys: Vec<(u64, u64, &String)> = found
        .iter()
        .map(|(key, group)| (order.of_totals(&group.totals), group.totals.sums[sum::REQUESTS], key))
        .collect();
    keys.sort_by(|one, other| (other.0, other.1).cmp(&(one.0, one.1)).then_with(|| one.2.cmp(other.2)));
    keys.into_iter().take(most.min(MOST_GROUPS)).map(|(.., key)| key.clone()).collect()
}

/// Adds the attempts to their groups, and groups that have only such as long as there is room.
fn add_attempts(
    source: &Source,
    group_by: GroupBy,
    attempts: AttemptSums,
    classes: &HashMap<u64, crate::model::usage::OutcomeClass>,
    kept: &mut HashMap<Option<String>, Found>,
    room: usize,
) {
    let mut attempts: Vec<(u64, String, String, BTreeMap<u64, u64>)> = attempts
        .into_iter()
        .map(|(id, classes)| {
            let (key, text) = group_by.key(id, source);
            (classes.values().sum(), key, text, classes)
        })
        .collect();
    attempts.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    for (_, key, text, by_class) in attempts {
        let apart = kept.contains_key(&Some(key.clone())) || kept.len() < room;
        let group = kept.entry(apart.then_some(key)).or_default();
        if apart && group.text.is_empty() {
            group.text = text;
        }
        for (class, count) in by_class {
            let Some(class) = classes.get(&class) else { continue };
            let sum = group.attempts.by_class.entry(*class).or_default();
            *sum = sum.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// Gives groups their names and their order.
async fn named(
    connection: &mut SqliteConnection,
    question: &Question,
    groups: HashMap<Option<String>, Found>,
    attempts_known: bool,
) -> StorageResult<Vec<Group>> {
    let group_by = question.group_by;
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
        GroupBy::Model | GroupBy::Upstream | GroupBy::Endpoint | GroupBy::Client | GroupBy::Status => {}
    }
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|(key, found)| Group {
            name: match &key {
                None => GroupName::Others,
                Some(key) => name(group_by, key, found.text, &mut names),
            },
            key: key.map(GroupKey),
            sums: Sums::from(&found.totals),
            attempts: attempts_known.then_some(found.attempts),
        })
        .collect();
    groups.sort_by_cached_key(|group| {
        let attempts = group.attempts.as_ref().map_or(0, Attempts::all);
        let size = (question.order.of(&group.sums), group.sums.requests, attempts);
        (group.key.is_none(), std::cmp::Reverse(size), group.key.clone())
    });
    Ok(groups)
}

fn name(group_by: GroupBy, key: &str, text: String, names: &mut HashMap<i64, GroupName>) -> GroupName {
    let id: i64 = key.parse().unwrap_or_default();
    let gone = |id| Named { id, name: String::new(), deleted: true };
    // A group that was asked for again and had no calls has no other text than its key.
    let text = if text.is_empty() { key.to_owned() } else { text };
    match group_by {
        GroupBy::Model => GroupName::Model(text),
        _ if key.is_empty() => GroupName::None,
        GroupBy::Upstream => GroupName::Upstream(text),
        GroupBy::Endpoint => GroupName::Endpoint(text),
        GroupBy::Client => GroupName::Client(text),
        GroupBy::Status => GroupName::Status(u16::try_from(id).unwrap_or_default()),
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
