//! Sums of attempts, which count in the quarter of an hour in which they began.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sqlx::SqliteConnection;

use super::{
    super::{ATTEMPT_COLUMNS, Kind, Table, attempt, call, days::Dimension, totals},
    Source,
    plan::{Condition, Plan},
    reading::{Piece, Sum, Summing},
    sheet::Sheet,
};
use crate::storage::StorageResult;

/// How many attempts each group had, by the word of their class.
pub(in crate::storage) type AttemptSums = HashMap<u64, BTreeMap<u64, u64>>;

/// What attempts went to; the model is a word. What nobody asked for is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(in crate::storage) struct AttemptOf {
    pub channel: u64,
    pub key: u64,
    pub model: u64,
}

/// Which attempts are told apart, and by what.
#[derive(Debug, Clone)]
pub(in crate::storage) enum AttemptsBy {
    /// Those of these channels.
    Channels(Vec<u64>),
    /// Those of these keys.
    Keys(Vec<u64>),
    /// Those of these models, each at its channel. There may be some of another model of a channel among the answer.
    Models(Vec<(u64, u64)>),
    /// All of them, by channel, key and model.
    All,
}

impl AttemptsBy {
    /// The sums of days that tell as much.
    fn dimension(&self) -> Option<Dimension> {
        match self {
            Self::Channels(_) => Some(Dimension::Channel),
            Self::Keys(_) => Some(Dimension::Key),
            Self::Models(_) | Self::All => None,
        }
    }

    fn conditions(&self) -> Vec<Condition> {
        match self {
            Self::Channels(ids) => vec![Condition::In(attempt::CHANNEL, ids.iter().copied().collect())],
            Self::Keys(ids) => vec![Condition::In(attempt::KEY, ids.iter().copied().collect())],
            Self::Models(ways) => vec![
                Condition::In(attempt::MODEL, ways.iter().map(|(_, model)| *model).collect()),
                Condition::In(attempt::CHANNEL, ways.iter().map(|(channel, _)| *channel).collect()),
            ],
            Self::All => Vec::new(),
        }
    }

    /// The columns that tell attempts apart.
    fn columns(&self) -> &'static [usize] {
        match self {
            Self::Channels(_) => &[attempt::CHANNEL],
            Self::Keys(_) => &[attempt::KEY],
            Self::Models(_) => &[attempt::CHANNEL, attempt::MODEL],
            Self::All => &[attempt::CHANNEL, attempt::KEY, attempt::MODEL],
        }
    }
}

/// How many attempts there were, by what they went to, the step, and the word of their class.
pub(in crate::storage) type AttemptSteps = HashMap<(AttemptOf, usize, u64), u64>;

/// Attempts by some of their columns, step and class.
struct Stepping {
    plan: Arc<Plan>,
    /// What the sums of days are by.
    of_days: Option<Dimension>,
    columns: &'static [usize],
    sums: AttemptSteps,
    block: Table,
}

impl Stepping {
    fn count(&mut self, of: AttemptOf, step: usize, class: u64, more: u64) {
        let sum = self.sums.entry((of, step, class)).or_default();
        *sum = sum.saturating_add(more);
    }

    fn add_sheet(&mut self, plan: &Plan, day: i64, sheet: &Sheet<'_>) -> StorageResult<()> {
        for (step, places) in plan.places(day, sheet)? {
            let mut block = std::mem::replace(&mut self.block, Table::empty(Kind::Attempts));
            sheet.unpack(&places, self.columns, &mut block)?;
            sheet.unpack(&places, &[attempt::CLASS], &mut block)?;
            let value = |column: usize, place: usize| block.columns[column].get(place).copied().unwrap_or(0);
            for place in 0..block.entries {
                let of = AttemptOf {
                    channel: value(attempt::CHANNEL, place),
                    key: value(attempt::KEY, place),
                    model: value(attempt::MODEL, place),
                };
                self.count(of, step, value(attempt::CLASS, place), 1);
            }
            self.block = block;
        }
        Ok(())
    }
}

impl Sum for Stepping {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        let plan = self.plan.clone();
        match piece {
            Piece::Sheet(read) => self.add_sheet(&plan, read.day, &read.sheet(Kind::Attempts)?),
            Piece::Day { start, data } | Piece::Whole { start, data } => {
                let step = plan.days.get(&start).copied().unwrap_or_default();
                let of = |id: u64| match self.of_days {
                    Some(Dimension::Key) => AttemptOf { key: id, ..AttemptOf::default() },
                    _ => AttemptOf { channel: id, ..AttemptOf::default() },
                };
                let mut found = Vec::new();
                totals::decode_attempts(&data, |id, class, count| {
                    let wanted = |condition: &Condition| match condition {
                        Condition::In(_, ids) => ids.contains(id),
                        _ => true,
                    };
                    if plan.conditions.iter().all(wanted) {
                        found.push((of(id), class, count));
                    }
                })?;
                found.into_iter().for_each(|(of, class, count)| self.count(of, step, class, count));
                Ok(())
            }
        }
    }

    fn merge(&mut self, other: Self) {
        other.sums.into_iter().for_each(|((of, step, class), more)| self.count(of, step, class, more));
    }
}

/// Attempts by one group and class, without steps.
struct Summed {
    plan: Arc<Plan>,
    column: usize,
    sums: AttemptSums,
    block: Table,
}

impl Summed {
    fn count(&mut self, id: u64, class: u64, more: u64) {
        let sum = self.sums.entry(id).or_default().entry(class).or_default();
        *sum = sum.saturating_add(more);
    }

    fn add_sheet(&mut self, plan: &Plan, day: i64, sheet: &Sheet<'_>) -> StorageResult<()> {
        for (_, places) in plan.places(day, sheet)? {
            let mut block = std::mem::replace(&mut self.block, Table::empty(Kind::Attempts));
            sheet.unpack(&places, &[self.column, attempt::CLASS], &mut block)?;
            for (id, class) in block.columns[self.column].iter().zip(&block.columns[attempt::CLASS]) {
                self.count(*id, *class, 1);
            }
            self.block = block;
        }
        Ok(())
    }
}

impl Sum for Summed {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        let plan = self.plan.clone();
        match piece {
            Piece::Sheet(read) => self.add_sheet(&plan, read.day, &read.sheet(Kind::Attempts)?),
            Piece::Day { data, .. } | Piece::Whole { data, .. } => {
                totals::decode_attempts(&data, |id, class, count| {
                    if plan.only.is_none_or(|only| only == id) {
                        self.count(id, class, count);
                    }
                })
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (id, classes) in other.sums {
            classes.into_iter().for_each(|(class, more)| self.count(id, class, more));
        }
    }
}

impl Source {
    /// The attempts of each group, if attempts know of it; only conditions of channels and keys count.
    pub(in crate::storage) async fn attempts(
        &self,
        connection: &mut SqliteConnection,
    ) -> StorageResult<Option<AttemptSums>> {
        let plan = &self.plan;
        let Some(column) = plan.by.attempt_column() else { return Ok(None) };
        let conditions = plan.conditions.iter().filter_map(|condition| match condition {
            Condition::Is(call::CHANNEL, id, is) => Some(Condition::Is(attempt::CHANNEL, *id, *is)),
            Condition::Is(call::KEY, id, is) => Some(Condition::Is(attempt::KEY, *id, *is)),
            _ => None,
        });
        let plan = Arc::new(Plan { conditions: conditions.collect(), ..(**plan).clone() });
        let empty = || Summed {
            plan: plan.clone(),
            column,
            sums: HashMap::new(),
            block: Table::empty(Kind::Attempts),
        };
        let (mut sums, late) = (empty(), plan.late());
        for (day, rows) in &self.attempts {
            sums.add_sheet(&late, *day, &rows.sheet()?)?;
        }
        let mut summing = Summing::start(sums, empty);
        let columns = plan.with_conditions(vec![column, attempt::CLASS]);
        summing.read_sheets(connection, Kind::Attempts, &plan.sheet_days(), &columns).await?;
        summing.read_days(connection, &plan, plan.by.of_attempts(), false).await?;
        Ok(Some(summing.finish().await?.sums))
    }

    /// The attempts of the period by step and class. What the question asks of calls does not count.
    pub(in crate::storage) async fn attempts_by_step(
        &self,
        connection: &mut SqliteConnection,
        by: &AttemptsBy,
    ) -> StorageResult<AttemptSteps> {
        let of_days = by.dimension();
        let plan = Plan { conditions: by.conditions(), ..(*self.plan).clone() };
        let late = plan.late();
        let plan = Arc::new(if of_days.is_some() { plan } else { late.clone() });
        let empty = || Stepping {
            plan: plan.clone(),
            of_days,
            columns: by.columns(),
            sums: HashMap::new(),
            block: Table::empty(Kind::Attempts),
        };
        let mut sums = empty();
        for (day, rows) in &self.attempts {
            sums.add_sheet(&late, *day, &rows.sheet()?)?;
        }
        let mut summing = Summing::start(sums, empty);
        let columns = plan.with_conditions([by.columns(), &[attempt::CLASS]].concat());
        debug_assert!(columns.iter().all(|column| *column < ATTEMPT_COLUMNS));
        summing.read_sheets(connection, Kind::Attempts, &plan.sheet_days(), &columns).await?;
        if let Some(by) = of_days {
            summing.read_days(connection, &plan, by.of_attempts(), false).await?;
        }
        Ok(summing.finish().await?.sums)
    }
}
