//! Reads the sums of a period for a question: of whole days where that is enough, else of sheets; and rows that are in no
//! sheet yet. All of it in the transaction that the caller holds, so that all parts see the same.
//!
//! The database is read here; what it gives is summed up meanwhile where that holds nobody up.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::Hash,
    ops::Range,
    sync::Arc,
};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    ATTEMPT_ROW, AttemptRow, CALL_COLUMNS, CALL_ROW, CallRow, Kind, QUARTERS, Results, Table, attempt, call,
    column,
    days::Dimension,
    flag, folded_to, list,
    totals::{self, Totals},
};
use crate::storage::{StorageError, StorageResult, rollups::BUCKET_MS, usage_query::bounded, words::Words};

/// Numbers from here on stand for made-up names that are no words: only rows that are in no sheet have them.
const MADE_UP: u64 = 1 << 40;

/// Ids below this have their place in a list; larger ones are looked up.
const DENSE: u64 = 1 << 20;

/// Some ids.
#[derive(Debug, Clone, Default)]
pub(in crate::storage) struct Ids {
    dense: Vec<bool>,
    more: HashSet<u64>,
}

impl Ids {
    fn insert(&mut self, id: u64) {
        if id < DENSE {
            let place = id as usize;
            self.dense.resize(self.dense.len().max(place + 1), false);
            self.dense[place] = true;
        } else {
            self.more.insert(id);
        }
    }

    #[inline]
    fn contains(&self, id: u64) -> bool {
        if id < DENSE { self.dense.get(id as usize).is_some_and(|is| *is) } else { self.more.contains(&id) }
    }
}

/// What a question asks of calls; texts are given by what they must be like.
#[derive(Clone)]
pub(in crate::storage) enum Wanted {
    /// A token, a channel, a key.
    Id(Dimension, i64),
    /// The model as asked, or as served.
    Model(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    /// The model as asked.
    AskedModel(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    /// The model as served, exactly.
    ServedModel(String),
    /// The endpoint, exactly.
    Endpoint(String),
    /// Streaming or not.
    Stream(bool),
    /// The result is (or is not) this.
    Result(String, bool),
    /// The lowest and the highest status.
    Status(u16, u16),
    /// The kind of client.
    Client(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

/// The same, by the columns of a sheet.
#[derive(Debug, Clone)]
enum Condition {
    Is(usize, u64, bool),
    In(usize, Ids),
    Either(usize, usize, Ids),
    Flag(u64, bool),
    Between(usize, u64, u64),
}

impl Condition {
    fn columns(&self) -> Vec<usize> {
        match self {
            Self::Is(column, ..) | Self::In(column, _) | Self::Between(column, ..) => vec![*column],
            Self::Either(one, other, _) => vec![*one, *other],
            Self::Flag(..) => vec![call::FLAGS],
        }
    }

    fn retain(&self, table: &Table, places: &mut Vec<u32>) {
        let column = |column: usize| &table.columns[column][..];
        match self {
            Self::Is(by, value, is) => {
                let values = column(*by);
                places.retain(|place| (values[*place as usize] == *value) == *is);
            }
            Self::In(by, ids) => {
                let values = column(*by);
                places.retain(|place| ids.contains(values[*place as usize]));
            }
            Self::Either(one, other, ids) => {
                let (one, other) = (column(*one), column(*other));
                places.retain(|place| {
                    ids.contains(one[*place as usize]) || ids.contains(other[*place as usize])
                });
            }
            Self::Flag(flag, is) => {
                let flags = column(call::FLAGS);
                places.retain(|place| (flags[*place as usize] & flag != 0) == *is);
            }
            Self::Between(by, lowest, highest) => {
                let values = column(*by);
                places.retain(|place| (*lowest..=*highest).contains(&values[*place as usize]));
            }
        }
    }
}

/// What to sum up.
pub(in crate::storage) struct Ask {
    /// From this quarter of an hour since 1970 on.
    pub from: Option<i64>,
    /// Until before this one.
    pub to: Option<i64>,
    /// By what.
    pub by: Dimension,
    /// Which calls.
    pub wanted: Vec<Wanted>,
    /// The start of each step, in milliseconds; empty: one step.
    pub starts: Vec<i64>,
}

/// Sums by group.
#[derive(Default)]
pub(in crate::storage) struct Groups {
    dense: Vec<u32>,
    sparse: HashMap<u64, u32>,
    ids: Vec<u64>,
    totals: Vec<Totals>,
}

impl Groups {
    #[inline]
    fn at(&mut self, id: u64) -> &mut Totals {
        let slot = if id < DENSE {
            let place = id as usize;
            if place >= self.dense.len() {
                self.dense.resize(place + 1, 0);
            }
            &mut self.dense[place]
        } else {
            self.sparse.entry(id).or_default()
        };
        if *slot == 0 {
            self.ids.push(id);
            self.totals.push(Totals::default());
            *slot = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        }
        &mut self.totals[*slot as usize - 1]
    }

    /// Every group with its sums, in the order in which they were found.
    pub(in crate::storage) fn into_all(self) -> impl Iterator<Item = (u64, Totals)> {
        self.ids.into_iter().zip(self.totals)
    }
}

/// Quarters of an hour that are read from sheets, and the step that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    quarters: Range<i64>,
    step: usize,
}

/// How a question is answered.
#[derive(Clone)]
struct Plan {
    by: Dimension,
    conditions: Vec<Condition>,
    /// The one group that is asked for, if that is all that is asked.
    only: Option<u64>,
    steps: usize,
    spans: Vec<Span>,
    /// The whole period in spans: rows that are in no sheet may belong to a day that is read as a whole.
    late: Vec<Span>,
    /// The whole days that are read, by their starts, and their steps.
    days: BTreeMap<i64, usize>,
    results: Results,
}

impl Plan {
    /// The parts of a day's sheet that are asked for: which entries, and their step.
    fn places(&self, day: i64, table: &Table) -> Vec<(usize, Vec<u32>)> {
        let first = day * QUARTERS;
        let begin = self.spans.partition_point(|span| span.quarters.end <= first);
        let spans = self.spans[begin..].iter().take_while(|span| span.quarters.start < first + QUARTERS);
        spans
            .map(|span| {
                let quarter = |quarter: i64| (quarter - first).clamp(0, QUARTERS).unsigned_abs();
                let range = table.range(quarter(span.quarters.start), quarter(span.quarters.end));
                let mut places: Vec<u32> = (range.start as u32..range.end as u32).collect();
                self.conditions.iter().for_each(|condition| condition.retain(table, &mut places));
                (span.step, places)
            })
            .collect()
    }

    /// The columns of calls that are read.
    fn columns(&self) -> Vec<usize> {
        // What conditions are about, the group, and all that is summed up.
        let conditions = self.conditions.iter().flat_map(Condition::columns);
        let sums = call::RESULT..CALL_COLUMNS;
        let mut columns: Vec<usize> = conditions.chain(self.by.column()).chain(sums).collect();
        columns.push(call::QUARTER);
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The days (UTC) whose sheets are read, as ranges.
    fn sheet_days(&self) -> Vec<Range<i64>> {
        let mut ranges: Vec<Range<i64>> = Vec::new();
        for span in &self.spans {
            let (start, end) =
                (span.quarters.start.div_euclid(QUARTERS), (span.quarters.end - 1).div_euclid(QUARTERS) + 1);
            match ranges.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => ranges.push(start..end),
            }
        }
        ranges
    }
}

/// The columns of a sheet that were read, with their places.
type ReadColumns = Vec<(usize, Vec<u8>)>;

/// What was read.
enum Piece {
    Sheet {
        day: i64,
        entries: usize,
        columns: ReadColumns,
    },
    /// A whole day's sums by the question's dimension.
    Day {
        start: i64,
        data: Vec<u8>,
    },
    /// The same of all calls together.
    Whole {
        start: i64,
        data: Vec<u8>,
    },
}

/// Sums something up while more is read.
struct Summing<A> {
    pieces: mpsc::Sender<Piece>,
    summed: JoinHandle<StorageResult<A>>,
}

impl<A: Send + 'static> Summing<A> {
    fn start(mut sums: A, add: impl Fn(&mut A, Piece) -> StorageResult<()> + Send + 'static) -> Self {
        let (pieces, mut read) = mpsc::channel(8);
        let summed = tokio::task::spawn_blocking(move || {
            while let Some(piece) = read.blocking_recv() {
                add(&mut sums, piece)?;
            }
            Ok(sums)
        });
        Self { pieces, summed }
    }

    /// Hands a piece over; false if summing has failed.
    async fn add(&self, piece: Piece) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    async fn finish(self) -> StorageResult<A> {
        drop(self.pieces);
        self.summed.await.unwrap_or_else(|error| Err(StorageError::Unreadable(error.to_string())))
    }

    /// Hands over the columns of the sheets of some days.
    async fn read_sheets(
        &self,
        connection: &mut SqliteConnection,
        kind: Kind,
        ranges: &[Range<i64>],
        columns: &[usize],
    ) -> StorageResult<()> {
        let sql = format!(
            "SELECT s.id, s.day, s.entries, c.place, c.data FROM sheets s CROSS JOIN sheet_columns c \
             ON c.sheet_id = s.id AND c.place IN {} WHERE s.kind = {} AND s.day >= $1 AND s.day < $2 \
             ORDER BY s.day, s.id",
            list(columns),
            kind as i64
        );
        for range in ranges {
            let mut rows = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(range.start)
                .bind(range.end)
                .fetch(&mut *connection);
            let mut sheet: Option<(i64, i64, usize, ReadColumns)> = None;
            while let Some(row) = rows.try_next().await.map_err(bounded)? {
                let (id, day, entries): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                let (place, data): (i64, &[u8]) = (row.try_get(3)?, row.try_get(4)?);
                let column = (usize::try_from(place).unwrap_or(usize::MAX), data.to_vec());
                match &mut sheet {
                    Some((known, .., columns)) if *known == id => columns.push(column),
                    _ => {
                        let next = (id, day, entries.unsigned_abs() as usize, vec![column]);
                        if let Some((_, day, entries, columns)) = sheet.replace(next)
                            && !self.add(Piece::Sheet { day, entries, columns }).await
                        {
                            return Ok(());
                        }
                    }
                }
            }
            if let Some((_, day, entries, columns)) = sheet
                && !self.add(Piece::Sheet { day, entries, columns }).await
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Hands over the sums of the plan's whole days.
    async fn read_days(
        &self,
        connection: &mut SqliteConnection,
        plan: &Plan,
        number: i64,
        whole: bool,
    ) -> StorageResult<()> {
        let (Some(first), Some(last)) = (plan.days.keys().next(), plan.days.keys().next_back()) else {
            return Ok(());
        };
        let sql = "SELECT start, data FROM day_sums WHERE dimension = $1 AND start >= $2 AND start <= $3 ORDER BY start";
        let mut rows = sqlx::query(sql).bind(number).bind(*first).bind(*last).fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(bounded)? {
            let (start, data): (i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
            if !plan.days.contains_key(&start) {
                continue;
            }
            let data = data.to_vec();
            let piece = if whole { Piece::Whole { start, data } } else { Piece::Day { start, data } };
            if !self.add(piece).await {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The columns that were read of a sheet.
fn table(kind: Kind, entries: usize, columns: &[(usize, Vec<u8>)]) -> StorageResult<Table> {
    let mut table = Table { entries, ..Table::empty(kind) };
    for (place, data) in columns {
        if let Some(column) = table.columns.get_mut(*place) {
            *column = column::decode(data, entries)?;
        }
    }
    Ok(table)
}

/// Sums by group, and of all calls by step.
struct Sums {
    plan: Arc<Plan>,
    groups: Groups,
    whole: Vec<Totals>,
}

impl Sums {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        match piece {
            Piece::Sheet { day, entries, columns } => {
                self.add_table(day, &table(Kind::Calls, entries, &columns)?)
            }
            Piece::Day { start, data } => {
                let plan = self.plan.clone();
                let results = |word| plan.results.find(word);
                let step = plan.days.get(&start).copied().unwrap_or_default();
                totals::decode(&data, &results, |id, body| match plan.only {
                    None => body.add_to(self.groups.at(id)),
                    Some(only) if only == id => {
                        body.add_to(self.groups.at(id))?;
                        body.add_to(&mut self.whole[step])
                    }
                    Some(_) => Some(()),
                })
            }
            Piece::Whole { start, data } => {
                let plan = self.plan.clone();
                let step = plan.days.get(&start).copied().unwrap_or_default();
                totals::decode(&data, &|word| plan.results.find(word), |_, body| {
                    body.add_to(&mut self.whole[step])
                })
            }
        }
    }

    fn add_table(&mut self, day: i64, table: &Table) -> StorageResult<()> {
        let group = self.plan.by.column();
        for (step, places) in self.plan.places(day, table) {
            for place in places {
                let place = place as usize;
                let id = group.map_or(0, |column| table.columns[column][place]);
                table.add_to(self.groups.at(id), place, &self.plan.results)?;
                table.add_to(&mut self.whole[step], place, &self.plan.results)?;
            }
        }
        Ok(())
    }
}

/// Sums by step of some groups.
struct Courses {
    plan: Arc<Plan>,
    places: HashMap<u64, usize>,
    points: Vec<Vec<Totals>>,
}

impl Courses {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        match piece {
            Piece::Sheet { day, entries, columns } => {
                self.add_table(day, &table(Kind::Calls, entries, &columns)?)
            }
            Piece::Day { start, data } | Piece::Whole { start, data } => {
                let plan = self.plan.clone();
                let step = plan.days.get(&start).copied().unwrap_or_default();
                let (places, points) = (&self.places, &mut self.points);
                totals::decode(&data, &|word| plan.results.find(word), |id, body| match places.get(&id) {
                    Some(course) => body.add_to(&mut points[*course][step]),
                    None => Some(()),
                })
            }
        }
    }

    fn add_table(&mut self, day: i64, table: &Table) -> StorageResult<()> {
        let group = self.plan.by.column();
        for (step, places) in self.plan.places(day, table) {
            for place in places {
                let place = place as usize;
                let id = group.map_or(0, |column| table.columns[column][place]);
                if let Some(course) = self.places.get(&id) {
                    table.add_to(&mut self.points[*course][step], place, &self.plan.results)?;
                }
            }
        }
        Ok(())
    }
}

/// How many attempts each group had, by the word of their class.
pub(in crate::storage) type AttemptSums = HashMap<u64, BTreeMap<u64, u64>>;

struct AttemptSumming {
    plan: Arc<Plan>,
    column: usize,
    sums: AttemptSums,
}

impl AttemptSumming {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        match piece {
            Piece::Sheet { day, entries, columns } => {
                self.add_table(day, &table(Kind::Attempts, entries, &columns)?);
                Ok(())
            }
            Piece::Day { data, .. } | Piece::Whole { data, .. } => {
                totals::decode_attempts(&data, |id, class, count| {
                    if self.plan.only.is_none_or(|only| only == id) {
                        let sum = self.sums.entry(id).or_default().entry(class).or_default();
                        *sum = sum.saturating_add(count);
                    }
                })
            }
        }
    }

    fn add_table(&mut self, day: i64, table: &Table) {
        for (_, places) in self.plan.places(day, table) {
            for place in places {
                let value = |column: usize| table.columns[column][place as usize];
                let classes = self.sums.entry(value(self.column)).or_default();
                *classes.entry(value(attempt::CLASS)).or_default() += 1;
            }
        }
    }
}

/// What an attempt went to; the model is a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::storage) struct AttemptOf {
    pub channel: u64,
    pub key: u64,
    pub model: u64,
}

/// How many attempts there were, by what they are counted for, the step, and the word of their class.
pub(in crate::storage) type AttemptSteps<K> = HashMap<(K, usize, u64), u64>;

struct AttemptStepping<K, F> {
    plan: Arc<Plan>,
    place_of: F,
    sums: AttemptSteps<K>,
}

impl<K: Hash + Eq, F: Fn(AttemptOf) -> Option<K>> AttemptStepping<K, F> {
    fn add_table(&mut self, day: i64, table: &Table) {
        for (step, places) in self.plan.places(day, table) {
            for place in places {
                let value = |column: usize| table.columns[column][place as usize];
                let of = AttemptOf {
                    channel: value(attempt::CHANNEL),
                    key: value(attempt::KEY),
                    model: value(attempt::MODEL),
                };
                if let Some(counted_for) = (self.place_of)(of) {
                    let sum = self.sums.entry((counted_for, step, value(attempt::CLASS))).or_default();
                    *sum = sum.saturating_add(1);
                }
            }
        }
    }
}

/// The sources of an answer, as one transaction sees them.
pub(in crate::storage) struct Source {
    plan: Arc<Plan>,
    /// Rows that are in no sheet, by day (UTC).
    calls: Vec<(i64, Table)>,
    attempts: Vec<(i64, Table)>,
    made_up: Vec<String>,
    words: Words,
}

impl Source {
    /// Reads what there is, except the sums.
    pub(in crate::storage) async fn open(
        connection: &mut SqliteConnection,
        words: &Words,
        ask: &Ask,
    ) -> StorageResult<Self> {
        words.refresh(connection).await.map_err(bounded)?;
        let folded_to = folded_to(connection).await.map_err(bounded)?;
        // The plus: the rows that are in no sheet are few, those of a period many.
        let sql = format!("{CALL_ROW} WHERE id > $1 AND +at >= $2 AND +at < $3 ORDER BY id");
        let (from, to) = (ask.from.map_or(i64::MIN, |from| from.saturating_mul(BUCKET_MS)), ask.to);
        let to_ms = to.map_or(i64::MAX, |to| to.saturating_mul(BUCKET_MS));
        let rows: Vec<CallRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(folded_to)
            .bind(from)
            .bind(to_ms)
            .fetch_all(&mut *connection)
            .await
            .map_err(bounded)?;
        let sql = format!(
            "{ATTEMPT_ROW} WHERE c.id > $1 AND c.at + a.started_ms >= $2 AND c.at + a.started_ms < $3"
        );
        let attempt_rows: Vec<AttemptRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(folded_to)
            .bind(from)
            .bind(to_ms)
            .fetch_all(&mut *connection)
            .await
            .map_err(bounded)?;
        let mut made_up: Vec<String> = Vec::new();
        let mut made_up_ids: HashMap<String, u64> = HashMap::new();
        let mut calls: BTreeMap<i64, Table> = BTreeMap::new();
        for row in rows {
            let asked = match row.asked_word {
                0 => words.find(&row.made_up).map(i64::unsigned_abs).unwrap_or_else(|| {
                    *made_up_ids.entry(row.made_up.clone()).or_insert_with(|| {
                        made_up.push(row.made_up.clone());
                        MADE_UP + made_up.len() as u64 - 1
                    })
                }),
                word => word.unsigned_abs(),
            };
            let day = row.quarter().div_euclid(QUARTERS);
            calls.entry(day).or_insert_with(|| Table::empty(Kind::Calls)).push(&row.entry(asked));
        }
        let mut attempts: BTreeMap<i64, Table> = BTreeMap::new();
        for row in attempt_rows {
            let day = row.quarter().div_euclid(QUARTERS);
            attempts.entry(day).or_insert_with(|| Table::empty(Kind::Attempts)).push(&row.entry());
        }
        calls.values_mut().chain(attempts.values_mut()).for_each(Table::sort);

        let (first, last): (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT MIN(day), MAX(day) FROM sheets WHERE kind IN (0, 1)")
                .fetch_one(&mut *connection)
                .await
                .map_err(bounded)?;
        let ends = [calls.first_key_value(), calls.last_key_value()];
        let ends = ends.into_iter().chain([attempts.first_key_value(), attempts.last_key_value()]);
        let days: Vec<i64> = ends.flatten().map(|(day, _)| *day).chain(first).chain(last).collect();
        let begin = days.iter().min().map_or(0, |day| day * QUARTERS);
        let end = days.iter().max().map_or(0, |day| (day + 1) * QUARTERS);
        let period = ask.from.unwrap_or(begin).max(begin)..ask.to.unwrap_or(end).min(end);

        let only = match &ask.wanted[..] {
            [Wanted::Id(by, id)] if *by == ask.by => Some(id.unsigned_abs()),
            _ => None,
        };
        let known: Vec<(i64, i64)> = if ask.wanted.is_empty() || only.is_some() {
            sqlx::query_as("SELECT start, until FROM day_sums WHERE dimension = 0 AND start >= $1 AND until <= $2 ORDER BY start")
                .bind(period.start.saturating_mul(BUCKET_MS))
                .bind(period.end.saturating_mul(BUCKET_MS))
                .fetch_all(&mut *connection)
                .await
                .map_err(bounded)?
        } else {
            Vec::new()
        };
        let (days, spans) = split(&period, &known, &ask.starts);
        let (_, late) = split(&period, &[], &ask.starts);
        let mut source = Self {
            plan: Arc::new(Plan {
                by: ask.by,
                conditions: Vec::new(),
                only,
                steps: ask.starts.len().max(1),
                spans,
                late,
                days,
                results: Results::of(words),
            }),
            calls: calls.into_iter().collect(),
            attempts: attempts.into_iter().collect(),
            made_up,
            words: words.clone(),
        };
        let conditions = ask.wanted.iter().map(|wanted| source.condition(wanted)).collect();
        if let Some(plan) = Arc::get_mut(&mut source.plan) {
            plan.conditions = conditions;
        }
        Ok(source)
    }

    /// The text of a model, an endpoint or a client.
    pub(in crate::storage) fn text(&self, id: u64) -> Option<Arc<str>> {
        match id.checked_sub(MADE_UP) {
            Some(place) => self.made_up.get(usize::try_from(place).ok()?).map(|text| text.as_str().into()),
            None => self.words.text(i64::try_from(id).ok()?),
        }
    }

    /// The number of a word.
    pub(in crate::storage) fn word(&self, text: &str) -> Option<u64> {
        self.words.find(text).map(i64::unsigned_abs)
    }

    fn condition(&self, wanted: &Wanted) -> Condition {
        let like = |matches: &Arc<dyn Fn(&str) -> bool + Send + Sync>| {
            let mut ids = Ids::default();
            for (id, text) in self.words.all() {
                if matches(&text) {
                    ids.insert(id.unsigned_abs());
                }
            }
            for (place, text) in self.made_up.iter().enumerate() {
                if matches(text) {
                    ids.insert(MADE_UP + place as u64);
                }
            }
            ids
        };
        // What is no word is in no sheet; no entry has this number.
        let word = |text: &str| self.word(text).unwrap_or(u64::MAX);
        match wanted {
            Wanted::Id(by, id) => Condition::Is(by.column().unwrap_or(call::TOKEN), id.unsigned_abs(), true),
            Wanted::Model(matches) => Condition::Either(call::ASKED, call::SERVED, like(matches)),
            Wanted::AskedModel(matches) => Condition::In(call::ASKED, like(matches)),
            Wanted::ServedModel(text) => Condition::Is(call::SERVED, word(text), true),
            Wanted::Endpoint(text) => Condition::Is(call::ENDPOINT, word(text), true),
            Wanted::Stream(is) => Condition::Flag(flag::STREAM, *is),
            Wanted::Result(text, is) => Condition::Is(call::RESULT, word(text), *is),
            Wanted::Status(lowest, highest) => {
                Condition::Between(call::STATUS, u64::from(*lowest), u64::from(*highest))
            }
            Wanted::Client(matches) => Condition::In(call::CLIENT, like(matches)),
        }
    }

    /// The plan for rows that are in no sheet.
    fn late_plan(&self, conditions: &[Condition]) -> Arc<Plan> {
        let plan = (*self.plan).clone();
        Arc::new(Plan { spans: plan.late.clone(), conditions: conditions.to_vec(), ..plan })
    }

    /// The sums of each group, and of all calls by step.
    pub(in crate::storage) async fn sum(
        &self,
        connection: &mut SqliteConnection,
    ) -> StorageResult<(Groups, Vec<Totals>)> {
        let plan = &self.plan;
        let mut sums = Sums {
            plan: plan.clone(),
            groups: Groups::default(),
            whole: vec![Totals::default(); plan.steps],
        };
        sums.plan = self.late_plan(&plan.conditions);
        for (day, table) in &self.calls {
            sums.add_table(*day, table)?;
        }
        sums.plan = plan.clone();
        let summing = Summing::start(sums, Sums::add);
        summing.read_sheets(connection, Kind::Calls, &plan.sheet_days(), &plan.columns()).await?;
        summing.read_days(connection, plan, plan.by.of_calls(), false).await?;
        if plan.only.is_none() {
            summing.read_days(connection, plan, Dimension::All.of_calls(), true).await?;
        }
        let sums = summing.finish().await?;
        Ok((sums.groups, sums.whole))
    }

    /// The sums by step of groups that have a place in `places`; one list for each of `courses` places.
    pub(in crate::storage) async fn courses(
        &self,
        connection: &mut SqliteConnection,
        places: HashMap<u64, usize>,
        courses: usize,
    ) -> StorageResult<Vec<Vec<Totals>>> {
        let plan = &self.plan;
        let points = vec![vec![Totals::default(); plan.steps]; courses];
        let mut sums = Courses { plan: self.late_plan(&plan.conditions), places, points };
        for (day, table) in &self.calls {
            sums.add_table(*day, table)?;
        }
        sums.plan = plan.clone();
        let summing = Summing::start(sums, Courses::add);
        summing.read_sheets(connection, Kind::Calls, &plan.sheet_days(), &plan.columns()).await?;
        summing.read_days(connection, plan, plan.by.of_calls(), false).await?;
        Ok(summing.finish().await?.points)
    }

    /// The attempts of each group, if attempts know of it; only conditions of channels and keys count.
    pub(in crate::storage) async fn attempts(
        &self,
        connection: &mut SqliteConnection,
    ) -> StorageResult<Option<AttemptSums>> {
        let plan = &self.plan;
        let Some(column) = plan.by.attempt_column() else { return Ok(None) };
        let conditions: Vec<Condition> = plan
            .conditions
            .iter()
            .filter_map(|condition| match condition {
                Condition::Is(call::CHANNEL, id, is) => Some(Condition::Is(attempt::CHANNEL, *id, *is)),
                Condition::Is(call::KEY, id, is) => Some(Condition::Is(attempt::KEY, *id, *is)),
                _ => None,
            })
            .collect();
        let of_attempts = Arc::new(Plan { conditions: conditions.clone(), ..(**plan).clone() });
        let mut sums = AttemptSumming { plan: self.late_plan(&conditions), column, sums: HashMap::new() };
        for (day, table) in &self.attempts {
            sums.add_table(*day, table);
        }
        sums.plan = of_attempts;
        let summing = Summing::start(sums, AttemptSumming::add);
        let columns: Vec<usize> = (0..super::ATTEMPT_COLUMNS).collect();
        summing.read_sheets(connection, Kind::Attempts, &plan.sheet_days(), &columns).await?;
        summing.read_days(connection, plan, plan.by.of_attempts(), false).await?;
        Ok(Some(summing.finish().await?.sums))
    }

    /// The attempts of the period by step and class, each counted for what `place_of` says; those that it has no place for
    /// are left out. Conditions do not count.
    pub(in crate::storage) async fn attempts_by_step<K: Hash + Eq + Send + 'static>(
        &self,
        connection: &mut SqliteConnection,
        place_of: impl Fn(AttemptOf) -> Option<K> + Send + 'static,
    ) -> StorageResult<AttemptSteps<K>> {
        // Sums of days know neither quarters nor models of a channel, so all is read from sheets.
        let plan = self.late_plan(&[]);
        let mut sums = AttemptStepping { plan: plan.clone(), place_of, sums: HashMap::new() };
        for (day, table) in &self.attempts {
            sums.add_table(*day, table);
        }
        let summing = Summing::start(sums, |sums, piece| {
            if let Piece::Sheet { day, entries, columns } = piece {
                sums.add_table(day, &table(Kind::Attempts, entries, &columns)?);
            }
            Ok(())
        });
        let columns: Vec<usize> = (0..super::ATTEMPT_COLUMNS).collect();
        summing.read_sheets(connection, Kind::Attempts, &plan.sheet_days(), &columns).await?;
        Ok(summing.finish().await?.sums)
    }
}

/// Divides a period (in quarters) into whole days of which there are sums (their borders in milliseconds) and that lie within
/// one step, and spans of one step each between them.
fn split(period: &Range<i64>, known: &[(i64, i64)], starts: &[i64]) -> (BTreeMap<i64, usize>, Vec<Span>) {
    let step_of = |quarter: i64| {
        starts.partition_point(|start| *start <= quarter.saturating_mul(BUCKET_MS)).saturating_sub(1)
    };
    let mut cuts: Vec<i64> = starts
        .iter()
        .skip(1)
        .map(|start| start.div_euclid(BUCKET_MS) + i64::from(start % BUCKET_MS != 0))
        .collect();
    cuts.push(i64::MAX);
    let (mut days, mut spans) = (BTreeMap::new(), Vec::new());
    let mut fill = |from: i64, to: i64| {
        let mut from = from;
        while from < to {
            let end = cuts[cuts.partition_point(|cut| *cut <= from).min(cuts.len() - 1)].min(to);
            spans.push(Span { quarters: from..end, step: step_of(from) });
            from = end;
        }
    };
    let mut at = period.start;
    for (start, until) in known {
        let (first, end) = (start.div_euclid(BUCKET_MS), until.div_euclid(BUCKET_MS));
        if first < at || end > period.end || step_of(first) != step_of(end - 1) {
            continue;
        }
        fill(at, first);
        days.insert(*start, step_of(first));
        at = end;
    }
    fill(at, period.end);
    (days, spans)
}

/// The first quarter of an hour since 1970 with calls.
pub(in crate::storage) async fn first_quarter(
    connection: &mut SqliteConnection,
) -> StorageResult<Option<i64>> {
    let folded_to = folded_to(connection).await.map_err(bounded)?;
    let row: Option<i64> = sqlx::query_scalar("SELECT MIN(+at) FROM calls WHERE id > $1")
        .bind(folded_to)
        .fetch_one(&mut *connection)
        .await
        .map_err(bounded)?;
    let day: Option<i64> = sqlx::query_scalar("SELECT MIN(day) FROM sheets WHERE kind = 0")
        .fetch_one(&mut *connection)
        .await
        .map_err(bounded)?;
    let sheets: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT s.day, s.entries, c.data FROM sheets s JOIN sheet_columns c ON c.sheet_id = s.id AND c.place = 0 \
         WHERE s.kind = 0 AND s.day = $1",
    )
    .bind(day)
    .fetch_all(connection)
    .await
    .map_err(bounded)?;
    let mut first = row.map(|at| at.div_euclid(BUCKET_MS));
    for (day, entries, data) in sheets {
        let quarters = column::decode(&data, entries.unsigned_abs() as usize)?;
        let of_sheet = quarters.first().map(|quarter| day * QUARTERS + quarter.cast_signed());
        first = first.into_iter().chain(of_sheet).min();
    }
    Ok(first)
}
