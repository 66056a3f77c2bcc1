//! A sheet as a question reads it: packed, with the columns that were asked for.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::super::{
    Kind, Table,
    column::{self, Packed},
};
use crate::storage::{StorageError, StorageResult};

/// The rows that hold the columns of a sheet: place, bytes.
pub(super) struct SheetRows {
    pub day: i64,
    pub entries: usize,
    pub rows: Vec<SqliteRow>,
}

impl SheetRows {
    /// Where a row has the place of its column, and the column.
    pub(super) const PLACE: usize = 3;
    pub(super) const DATA: usize = 4;

    /// The sheet.
    pub(super) fn sheet(&self, kind: Kind) -> StorageResult<Sheet<'_>> {
        let mut sheet = Sheet { entries: self.entries, columns: vec![None; kind.columns()] };
        for row in &self.rows {
            let (place, data): (i64, &[u8]) = (row.try_get(Self::PLACE)?, row.try_get(Self::DATA)?);
            if let Some(column) = usize::try_from(place).ok().and_then(|place| sheet.columns.get_mut(place)) {
                *column = Some(Packed::new(data, self.entries)?);
            }
        }
        Ok(sheet)
    }
}

/// Columns as in a sheet of what is in none yet.
pub(super) struct Late {
    entries: usize,
    columns: Vec<Vec<u8>>,
}

impl Late {
    /// Packs entries, which are sorted.
    pub(super) fn new(table: &Table) -> Self {
        Self {
            entries: table.entries,
            columns: table.columns.iter().map(|values| column::encode(values)).collect(),
        }
    }

    /// The sheet.
    pub(super) fn sheet(&self) -> StorageResult<Sheet<'_>> {
        let columns = self.columns.iter().map(|data| Packed::new(data, self.entries).map(Some));
        Ok(Sheet { entries: self.entries, columns: columns.collect::<StorageResult<_>>()? })
    }
}

/// Entries of a day.
pub(super) struct Sheet<'a> {
    entries: usize,
    columns: Vec<Option<Packed<'a>>>,
}

impl<'a> Sheet<'a> {
    /// A column, which must have been read.
    pub(super) fn column(&self, place: usize) -> StorageResult<Packed<'a>> {
        let column = self.columns.get(place).copied().flatten();
        column.ok_or_else(|| StorageError::Unreadable(format!("column {place} of a sheet is missing")))
    }

    /// The places of the entries of some quarters of the day.
    pub(super) fn places(&self, from: u64, to: u64) -> StorageResult<Vec<u32>> {
        let quarters = self.column(0)?;
        let start = quarters.first_from(from);
        let end = quarters.first_from(to).min(u32::try_from(self.entries).unwrap_or(u32::MAX));
        Ok((start..end).collect())
    }

    /// Puts the entries at some places into `table`, in the place of what was there; only these columns.
    pub(super) fn unpack(&self, places: &[u32], columns: &[usize], table: &mut Table) -> StorageResult<()> {
        table.entries = places.len();
        for place in columns {
            self.column(*place)?.unpack(places, &mut table.columns[*place]);
        }
        Ok(())
    }
}
