//! Reads the sums of a period for a question: of whole days where that is enough, else of sheets; and rows that are in no
//! sheet yet. All of it in the transaction that the caller holds, so that all parts see the same.
//!
//! The database is read here; what it gives is summed up meanwhile where that holds nobody up.

mod attempts;
mod calls;
mod plan;
mod reading;
mod sheet;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{
    ATTEMPT_ROW, AttemptRow, CALL_ROW, CallRow, Kind, PLACES, QUARTERS, Results, Table, call, column,
    days::Dimension, flag, folded_to, totals::Totals,
};
use crate::storage::{
    StorageResult,
    rollups::BUCKET_MS,
    usage_query::{bounded, report::Measure},
    words::Words,
};
pub(in crate::storage) use attempts::{AttemptOf, AttemptSums, AttemptsBy};
pub(in crate::storage) use calls::Sums;
use calls::{Courses, Places};
use plan::{Condition, Ids, Plan, split};
use reading::Summing;
use sheet::Late;

/// Numbers from here on stand for made-up names that are no words: only rows that are in no sheet have them.
const MADE_UP: u64 = 1 << 40;

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

/// The sources of an answer, as one transaction sees them.
pub(in crate::storage) struct Source {
    plan: Arc<Plan>,
    /// Rows that are in no sheet, by day (UTC).
    calls: Vec<(i64, Late)>,
    attempts: Vec<(i64, Late)>,
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
            calls: calls.iter().map(|(day, table)| (*day, Late::new(table))).collect(),
            attempts: attempts.iter().map(|(day, table)| (*day, Late::new(table))).collect(),
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
        let like = |matches: &Arc<dyn Fn(&str) -> bool + Send + Sync>| -> Ids {
            let known = self.words.all().into_iter();
            let known = known.filter(|(_, text)| matches(text)).map(|(id, _)| id.unsigned_abs());
            let made_up = (MADE_UP..).zip(&self.made_up);
            known.chain(made_up.filter(|(_, text)| matches(text)).map(|(id, _)| id)).collect()
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

    /// The sums of each group, and of all calls by step. `keep`: calls are remembered for [`courses`](Self::courses) if they
    /// are not too many.
    pub(in crate::storage) async fn sum(
        &self,
        connection: &mut SqliteConnection,
        keep: bool,
    ) -> StorageResult<Sums> {
        let plan = &self.plan;
        let empty = || Sums::new(plan.clone(), keep);
        let (mut sums, late) = (empty(), plan.late());
        for (day, rows) in &self.calls {
            sums.add_sheet(&late, *day, &rows.sheet()?)?;
        }
        let mut summing = Summing::start(sums, empty);
        summing.read_sheets(connection, Kind::Calls, &plan.sheet_days(), &plan.columns()).await?;
        summing.read_days(connection, plan, plan.by.of_calls(), false).await?;
        if plan.only.is_none() {
            summing.read_days(connection, plan, Dimension::All.of_calls(), true).await?;
        }
        summing.finish().await
    }

    /// The sums by step of groups that have a place in `places`; one list for each of `courses` places. `sums` are what
    /// [`sum`](Self::sum) gave; with a `measure`, other sums than those may be 0.
    pub(in crate::storage) async fn courses(
        &self,
        connection: &mut SqliteConnection,
        sums: &Sums,
        places: HashMap<u64, usize>,
        courses: usize,
        measure: Option<Measure>,
    ) -> StorageResult<Vec<Vec<Totals>>> {
        let (mut plan, places) = ((*self.plan).clone(), Arc::new(Places::new(places)));
        // The first of the conditions, since it usually leaves the fewest.
        let of_groups = plan.by.column().map(|group| Condition::In(group, places.groups().clone()));
        plan.conditions.splice(0..0, of_groups);
        let columns = plan.measured(measure);
        let (plan, to_read) = (Arc::new(plan.clone()), plan.with_conditions(columns.clone()));
        let empty = || Courses::new(plan.clone(), places.clone(), courses, columns.clone());
        let (mut course, late) = (empty(), plan.late());
        if let Some(kept) = &sums.kept {
            for (step, block) in kept {
                course.add_block(*step, block)?;
            }
        } else {
            for (day, rows) in &self.calls {
                course.add_sheet(&late, *day, &rows.sheet()?)?;
            }
        }
        let mut summing = Summing::start(course, empty);
        if sums.kept.is_none() {
            summing.read_sheets(connection, Kind::Calls, &plan.sheet_days(), &to_read).await?;
        }
        summing.read_days(connection, &plan, plan.by.of_calls(), false).await?;
        Ok(summing.finish().await?.points)
    }
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
        "SELECT s.day, s.entries, c.data FROM sheets s JOIN sheet_columns c ON c.id = s.id * $2 \
         WHERE s.kind = 0 AND s.day = $1",
    )
    .bind(day)
    .bind(PLACES)
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
