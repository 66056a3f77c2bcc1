//! Sums of calls: by group, and of all of them by step.

use std::{collections::HashMap, sync::Arc};

use super::{
    super::{
        Kind, Table,
        adding::Calls,
        totals::{self, Totals},
    },
    plan::{DENSE, Ids, Plan},
    reading::{Piece, Sum},
    sheet::Sheet,
};
use crate::storage::StorageResult;

/// How many calls are unpacked at a time, so that they stay near the processor; few in tests, whose days have few.
const BLOCK: usize = if cfg!(test) { 8 } else { 1024 };

/// How many calls are remembered for a second look; more are read again. Tests go both ways.
const MOST_KEPT: usize = if cfg!(test) { 4 } else { 200_000 };

/// Sums by group.
#[derive(Default)]
pub(in crate::storage) struct Groups {
    dense: Vec<u32>,
    sparse: HashMap<u64, u32>,
    ids: Vec<u64>,
    totals: Vec<Totals>,
}

impl Groups {
    /// Where the sums of a group are.
    #[inline]
    fn slot(&mut self, id: u64) -> usize {
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
        *slot as usize - 1
    }

    fn at(&mut self, id: u64) -> &mut Totals {
        let slot = self.slot(id);
        &mut self.totals[slot]
    }

    /// Every group with its sums, in no order.
    pub(in crate::storage) fn into_all(self) -> impl Iterator<Item = (u64, Totals)> {
        self.ids.into_iter().zip(self.totals)
    }
}

/// Calls that were unpacked, with their steps.
pub(super) type Blocks = Vec<(usize, Table)>;

/// Sums by group, and of all calls by step.
pub(in crate::storage) struct Sums {
    pub(super) plan: Arc<Plan>,
    pub(in crate::storage) groups: Groups,
    /// By step.
    pub(in crate::storage) whole: Vec<Totals>,
    /// All calls that were not read as sums of days; `None` if they are too many.
    pub(super) kept: Option<Blocks>,
    block: Table,
}

impl Sums {
    /// `keep`: whether calls are remembered.
    pub(super) fn new(plan: Arc<Plan>, keep: bool) -> Self {
        let whole = vec![Totals::default(); plan.steps];
        let (kept, block) = (keep.then(Vec::new), Table::empty(Kind::Calls));
        Self { plan, groups: Groups::default(), whole, kept, block }
    }

    /// Adds the calls of a sheet that a plan asks for.
    pub(super) fn add_sheet(&mut self, plan: &Plan, day: i64, sheet: &Sheet<'_>) -> StorageResult<()> {
        let columns = plan.summed();
        for (step, places) in plan.places(day, sheet)? {
            let order = self.by_slot(plan, sheet, &places)?;
            for order in order.chunks(BLOCK) {
                let places: Vec<u32> = order.iter().map(|(_, place)| *place).collect();
                sheet.unpack(&places, &columns, &mut self.block)?;
                let calls = Calls::of(&self.block);
                calls.add_all(&mut self.whole[step], &plan.results)?;
                let mut start = 0;
                for group in order.chunk_by(|one, next| one.0 == next.0) {
                    let totals = &mut self.groups.totals[group[0].0 as usize];
                    calls.add_range(start..start + group.len(), totals, &plan.results)?;
                    start += group.len();
                }
                if let Some(kept) = &mut self.kept {
                    kept.push((step, self.block.clone()));
                    if kept_calls(kept) > MOST_KEPT {
                        self.kept = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// Calls with the slots of their groups, in the order of these: the sums of a group are looked up once for all its calls.
    fn by_slot(&mut self, plan: &Plan, sheet: &Sheet<'_>, places: &[u32]) -> StorageResult<Vec<(u32, u32)>> {
        let Some(group) = plan.by.column() else {
            let slot = self.groups.slot(0) as u32;
            return Ok(places.iter().map(|place| (slot, *place)).collect());
        };
        let mut ids = Vec::new();
        sheet.column(group)?.unpack(places, &mut ids);
        let slots: Vec<u32> = ids.iter().map(|id| self.groups.slot(*id) as u32).collect();
        // How many calls have a slot before each, and so where its own begin.
        let mut next = vec![0; self.groups.ids.len() + 1];
        slots.iter().for_each(|slot| next[*slot as usize + 1] += 1);
        (1..next.len()).for_each(|slot| next[slot] += next[slot - 1]);
        let mut order = vec![(0, 0); places.len()];
        for (slot, place) in slots.iter().zip(places) {
            let next = &mut next[*slot as usize];
            order[*next] = (*slot, *place);
            *next += 1;
        }
        Ok(order)
    }
}

fn kept_calls(kept: &Blocks) -> usize {
    kept.iter().map(|(_, block)| block.entries).sum()
}

impl Sum for Sums {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        let plan = self.plan.clone();
        let results = |word| plan.results.find(word);
        match piece {
            Piece::Sheet(read) => self.add_sheet(&plan, read.day, &read.sheet(Kind::Calls)?),
            Piece::Day { start, data } => {
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
                let step = plan.days.get(&start).copied().unwrap_or_default();
                totals::decode(&data, &results, |_, body| body.add_to(&mut self.whole[step]))
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (id, totals) in other.groups.into_all() {
            self.groups.at(id).merge(&totals);
        }
        self.whole.iter_mut().zip(&other.whole).for_each(|(mine, other)| mine.merge(other));
        self.kept = match (self.kept.take(), other.kept) {
            (Some(mut mine), Some(other)) => {
                mine.extend(other);
                (kept_calls(&mine) <= MOST_KEPT).then_some(mine)
            }
            _ => None,
        };
    }
}

/// Which course a group belongs to.
pub(super) struct Places {
    groups: Ids,
    places: HashMap<u64, usize>,
}

impl Places {
    pub(super) fn new(places: HashMap<u64, usize>) -> Self {
        Self { groups: places.keys().copied().collect(), places }
    }

    /// The groups that belong to one.
    pub(super) fn groups(&self) -> &Ids {
        &self.groups
    }

    /// Most groups belong to none, which is found out without a hash.
    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        if self.groups.contains(id) { self.places.get(&id).copied() } else { None }
    }
}

/// Sums by step of some groups.
pub(super) struct Courses {
    plan: Arc<Plan>,
    places: Arc<Places>,
    /// By course and step.
    pub(super) points: Vec<Vec<Totals>>,
    /// The columns that are read; the others stand as 0.
    columns: Vec<usize>,
    block: Table,
}

impl Courses {
    /// `places` says which course a group belongs to.
    pub(super) fn new(plan: Arc<Plan>, places: Arc<Places>, courses: usize, columns: Vec<usize>) -> Self {
        let points = vec![vec![Totals::default(); plan.steps]; courses];
        Self { plan, places, points, columns, block: Table::empty(Kind::Calls) }
    }

    /// Adds calls that were remembered.
    pub(super) fn add_block(&mut self, step: usize, block: &Table) -> StorageResult<()> {
        let (group, calls) = (self.plan.by.column(), Calls::of(block));
        for place in 0..block.entries {
            let id = group.map_or(0, |column| block.columns[column][place]);
            if let Some(course) = self.places.find(id) {
                calls.add(place, &mut self.points[course][step], &self.plan.results)?;
            }
        }
        Ok(())
    }

    /// Adds the calls of a sheet that a plan asks for.
    pub(super) fn add_sheet(&mut self, plan: &Plan, day: i64, sheet: &Sheet<'_>) -> StorageResult<()> {
        for (step, places) in plan.places(day, sheet)? {
            for places in places.chunks(BLOCK) {
                let mut block = std::mem::replace(&mut self.block, Table::empty(Kind::Calls));
                block.columns.iter_mut().for_each(|column| {
                    column.clear();
                    column.resize(places.len(), 0);
                });
                sheet.unpack(places, &self.columns, &mut block)?;
                self.add_block(step, &block)?;
                self.block = block;
            }
        }
        Ok(())
    }
}

impl Sum for Courses {
    fn add(&mut self, piece: Piece) -> StorageResult<()> {
        let plan = self.plan.clone();
        match piece {
            Piece::Sheet(read) => self.add_sheet(&plan, read.day, &read.sheet(Kind::Calls)?),
            Piece::Day { start, data } | Piece::Whole { start, data } => {
                let step = plan.days.get(&start).copied().unwrap_or_default();
                let (places, points) = (&self.places, &mut self.points);
                totals::decode(&data, &|word| plan.results.find(word), |id, body| match places.find(id) {
                    Some(course) => body.add_to(&mut points[course][step]),
                    None => Some(()),
                })
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let points = self.points.iter_mut().flatten().zip(other.points.iter().flatten());
        points.for_each(|(mine, other)| mine.merge(other));
    }
}
