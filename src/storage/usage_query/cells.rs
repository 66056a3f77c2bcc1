//! How the upstream calls of channels, keys or models went, piece by piece of a period: for bars of cells.
//!
//! One question for all rows of a page. It reads the sheets of attempts, which stay when the log's own rows are deleted.

use std::{collections::HashMap, time::Duration};

use sqlx::Connection;

use super::reader::bounded;
use crate::{
    model::{
        id::{ChannelId, KeyId},
        time::UnixMs,
        usage::OutcomeClass,
    },
    storage::{
        Db, StorageResult,
        rollups::{BUCKET_MS, bucket_of},
        sheets::{
            classes_of,
            days::Dimension,
            scan::{Ask, AttemptOf, AttemptsBy, Source},
        },
    },
};

/// How long the question may take the database: a page is there to work with also without its cells.
const CELLS_LIMIT: Duration = Duration::from_secs(2);

/// What a row of cells is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CellsOf {
    /// A channel, with all keys and models.
    Channel(ChannelId),
    /// A key.
    Key(KeyId),
    /// An upstream's model at a channel, by its name there.
    Model(ChannelId, String),
}

/// The upstream calls that began in a piece of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// Those with a usable answer.
    pub answered: i64,
    /// Those that a limit refused.
    pub limited: i64,
    /// Those that failed in another way.
    pub failed: i64,
    /// Those that say nothing of the upstream: the client left, or asked what nobody could answer.
    pub neutral: i64,
}

impl Cell {
    fn add(&mut self, class: OutcomeClass, attempts: i64) {
        let sum = match class {
            OutcomeClass::Success => &mut self.answered,
            OutcomeClass::RateLimited => &mut self.limited,
            OutcomeClass::ClientError
            | OutcomeClass::ClientClosed
            | OutcomeClass::Paused
            | OutcomeClass::BudgetReached => &mut self.neutral,
            OutcomeClass::ModelUnavailable
            | OutcomeClass::KeyInvalid
            | OutcomeClass::OutOfCredit
            | OutcomeClass::HostError
            | OutcomeClass::Ambiguous => &mut self.failed,
        };
        *sum = sum.saturating_add(attempts);
    }

    /// Everything that both count.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            answered: self.answered.saturating_add(other.answered),
            limited: self.limited.saturating_add(other.limited),
            failed: self.failed.saturating_add(other.failed),
            neutral: self.neutral.saturating_add(other.neutral),
        }
    }

    /// The calls that say something of the upstream.
    pub fn judged(&self) -> i64 {
        self.answered.saturating_add(self.limited).saturating_add(self.failed)
    }
}

impl Db {
    /// The cells of each row in `of`, in its order. The pieces of the period lie between neighbours in `borders`, which
    /// ascend; borders inside a quarter of an hour (UTC) are moved to its start. Everything in `of` is of one kind.
    ///
    /// Fails with [`TooSlow`](crate::storage::StorageError::TooSlow) if the database needs more than 2 seconds.
    pub async fn cells(&self, of: &[CellsOf], borders: &[UnixMs]) -> StorageResult<Vec<Vec<Cell>>> {
        let pieces = borders.len().saturating_sub(1);
        let mut rows = vec![vec![Cell::default(); pieces]; of.len()];
        if of.is_empty() || pieces == 0 {
            return Ok(rows);
        }
        let mut reader = self.bounded_reader(CELLS_LIMIT).await?;
        // A transaction, so that sheets and rows are of one moment.
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let starts: Vec<i64> = borders[..pieces].iter().map(|border| bucket_of(*border).0).collect();
        let ask = Ask {
            from: Some(starts[0].div_euclid(BUCKET_MS)),
            to: Some(borders[pieces].0.div_euclid(BUCKET_MS)),
            by: Dimension::Channel,
            wanted: Vec::new(),
            starts,
        };
        let source = Source::open(&mut snapshot, &self.words, &ask).await?;
        let places = places_of(of, |model| source.word(model));
        let found = source.attempts_by_step(&mut snapshot, &attempts_by(&places)).await?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        let classes = classes_of(&self.words);
        for ((of, piece, class), attempts) in found {
            let Some(row) = places.get(&of) else { continue };
            let cell = rows.get_mut(*row).and_then(|row| row.get_mut(piece));
            if let (Some(cell), Some(class)) = (cell, classes.get(&class)) {
                cell.add(*class, i64::try_from(attempts).unwrap_or(i64::MAX));
            }
        }
        Ok(rows)
    }
}

/// The row of each channel, key, or model at a channel, by their numbers in sheets. `word` gives the number of a model's name;
/// one without a number has no attempts.
fn places_of(of: &[CellsOf], word: impl Fn(&str) -> Option<u64>) -> HashMap<AttemptOf, usize> {
    let attempt_of = |of: &CellsOf| {
        Some(match of {
            CellsOf::Channel(id) => AttemptOf { channel: id.0.unsigned_abs(), ..AttemptOf::default() },
            CellsOf::Key(id) => AttemptOf { key: id.0.unsigned_abs(), ..AttemptOf::default() },
            CellsOf::Model(id, model) => {
                AttemptOf { channel: id.0.unsigned_abs(), model: word(model)?, ..AttemptOf::default() }
            }
        })
    };
    of.iter().enumerate().filter_map(|(row, of)| Some((attempt_of(of)?, row))).collect()
}

/// What is read for the rows, which are of one kind.
fn attempts_by(places: &HashMap<AttemptOf, usize>) -> AttemptsBy {
    if places.keys().any(|of| of.model > 0) {
        AttemptsBy::Models(places.keys().map(|of| (of.channel, of.model)).collect())
    } else if places.keys().any(|of| of.key > 0) {
        AttemptsBy::Keys(places.keys().map(|of| of.key).collect())
    } else {
        AttemptsBy::Channels(places.keys().map(|of| of.channel).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::UsageRecord,
        storage::{
            recording::tests::{open, record},
            rollups::BUCKET_MS,
        },
    };

    #[tokio::test]
    async fn cells_count_the_attempts_of_each_piece_by_what_they_say_of_the_upstream() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let start = bucket_of(UnixMs(1_800_000_000_000));
        let at = |n: u32, buckets: i64, class: OutcomeClass| {
            let mut record: UsageRecord = record(n);
            record.at = UnixMs(start.0 + buckets * BUCKET_MS);
            record.attempts.truncate(1);
            let attempt = &mut record.attempts[0];
            (attempt.channel_id, attempt.key_id) = (ChannelId(1), KeyId(2));
            (attempt.model, attempt.class, attempt.started_ms) = ("it's a model".into(), class, 0);
            record
        };
        let mut elsewhere = at(7, 0, OutcomeClass::Success);
        (elsewhere.attempts[0].channel_id, elsewhere.attempts[0].key_id) = (ChannelId(9), KeyId(9));
        db.insert_usage(&[
            at(1, -1, OutcomeClass::Success),
            at(2, 0, OutcomeClass::Success),
            at(3, 1, OutcomeClass::RateLimited),
            at(4, 2, OutcomeClass::HostError),
            at(5, 2, OutcomeClass::ClientClosed),
            at(6, 4, OutcomeClass::Success),
            elsewhere,
        ])
        .await
        .unwrap();
        let borders = [0, 2, 4].map(|buckets| UnixMs(start.0 + buckets * BUCKET_MS));
        let expected = vec![
            Cell { answered: 1, limited: 1, ..Cell::default() },
            Cell { failed: 1, neutral: 1, ..Cell::default() },
        ];
        assert_eq!((expected[0].judged(), expected[1].judged()), (2, 1));
        let none = vec![Cell::default(); 2];
        for of in [
            [CellsOf::Channel(ChannelId(3)), CellsOf::Channel(ChannelId(1))],
            [CellsOf::Key(KeyId(3)), CellsOf::Key(KeyId(2))],
            [
                CellsOf::Model(ChannelId(9), "it's a model, too".into()),
                CellsOf::Model(ChannelId(1), "it's a model".into()),
            ],
        ] {
            assert_eq!(db.cells(&of, &borders).await.unwrap(), [none.clone(), expected.clone()], "{of:?}");
        }
        assert!(db.cells(&[], &borders).await.unwrap().is_empty());
        assert_eq!(db.cells(&[CellsOf::Key(KeyId(1))], &borders[..1]).await.unwrap(), [Vec::new()]);
    }
}
