//! Reads what a plan asks for, and sums it up meanwhile where that holds nobody up, on a few processors at once.

use std::{num::NonZero, ops::Range, thread::available_parallelism};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    super::{Kind, PLACES, list},
    plan::Plan,
    sheet::SheetRows,
};
use crate::storage::{StorageError, StorageResult, usage_query::bounded};

/// The most processors that sum up one question.
const MOST_WORKERS: usize = 4;

/// How many pieces wait to be summed up.
const WAITING: usize = 4;

/// What was read.
pub(super) enum Piece {
    Sheet(SheetRows),
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

/// What pieces are added to: parts of it are made side by side and put together in the end.
pub(super) trait Sum: Send + 'static {
    fn add(&mut self, piece: Piece) -> StorageResult<()>;
    fn merge(&mut self, other: Self);
}

/// Sums something up while more is read.
pub(super) struct Summing<S> {
    workers: Vec<(mpsc::Sender<Piece>, JoinHandle<StorageResult<S>>)>,
    next: usize,
}

impl<S: Sum> Summing<S> {
    /// Begins with `sums`; `empty` gives those of further workers.
    pub(super) fn start(sums: S, empty: impl Fn() -> S) -> Self {
        let workers = available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS);
        let all = std::iter::once(sums).chain(std::iter::repeat_with(empty)).take(workers);
        let worker = |mut sums: S| {
            let (pieces, mut read) = mpsc::channel(WAITING);
            let summed = tokio::task::spawn_blocking(move || {
                while let Some(piece) = read.blocking_recv() {
                    sums.add(piece)?;
                }
                Ok(sums)
            });
            (pieces, summed)
        };
        Self { workers: all.map(worker).collect(), next: 0 }
    }

    /// Hands a piece to the worker whose turn it is; false if that one has failed.
    async fn add(&mut self, piece: Piece) -> bool {
        self.next = (self.next + 1) % self.workers.len();
        self.workers[self.next].0.send(piece).await.is_ok()
    }

    /// All of it, put together.
    pub(super) async fn finish(self) -> StorageResult<S> {
        let (pieces, summed): (Vec<_>, Vec<_>) = self.workers.into_iter().unzip();
        drop(pieces);
        let mut all: Option<S> = None;
        for summed in summed {
            let sums =
                summed.await.unwrap_or_else(|error| Err(StorageError::Unreadable(error.to_string())))?;
            match &mut all {
                Some(all) => all.merge(sums),
                None => all = Some(sums),
            }
        }
        all.ok_or_else(|| StorageError::Unreadable("nobody summed up".to_owned()))
    }

    /// Hands over some columns of the sheets of some days.
    pub(super) async fn read_sheets(
        &mut self,
        connection: &mut SqliteConnection,
        kind: Kind,
        ranges: &[Range<i64>],
        columns: &[usize],
    ) -> StorageResult<()> {
        let sql = format!(
            "SELECT s.id, s.day, s.entries, c.id % {PLACES}, c.data FROM sheets s CROSS JOIN sheet_columns c \
             ON c.id >= s.id * {PLACES} AND c.id < (s.id + 1) * {PLACES} AND c.id % {PLACES} IN {} \
             WHERE s.kind = {} AND s.day >= $1 AND s.day < $2 ORDER BY s.day, s.id",
            list(columns),
            kind as i64
        );
        for range in ranges {
            let mut rows = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(range.start)
                .bind(range.end)
                .fetch(&mut *connection);
            let mut sheet: Option<(i64, SheetRows)> = None;
            while let Some(row) = rows.try_next().await.map_err(bounded)? {
                let (id, day, entries): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                match &mut sheet {
                    Some((known, sheet)) if *known == id => sheet.rows.push(row),
                    _ => {
                        let entries = usize::try_from(entries).unwrap_or_default();
                        let next = SheetRows { day, entries, rows: vec![row] };
                        if let Some((_, read)) = sheet.replace((id, next))
                            && !self.add(Piece::Sheet(read)).await
                        {
                            return Ok(());
                        }
                    }
                }
            }
            if let Some((_, read)) = sheet
                && !self.add(Piece::Sheet(read)).await
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Hands over the sums of the plan's whole days, kept under `number`; `whole`: as those of all calls together.
    pub(super) async fn read_days(
        &mut self,
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
