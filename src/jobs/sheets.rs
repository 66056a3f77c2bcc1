//! Moves the usage log into sheets, and sums up days that are over.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::{
    model::time::Clock,
    storage::{Db, StorageResult, sheets::ROWS_AT_A_TIME},
};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(15);

/// How old the oldest row may get that is in no sheet. Fewer rows than a slice wait for so long, since each slice writes the
/// day's last sheet anew.
const OLDEST: Duration = Duration::from_secs(10 * 60);

/// Moves rows into sheets as far as it is time for them, and sums up every day that is over, on the clock of `zone`. May be
/// dropped at any time; each slice and each day is a transaction of its own.
pub async fn run_once(db: &Db, clock: &Clock, zone: &TimeZone) -> StorageResult<()> {
    loop {
        let (rows, oldest) = db.unfolded_usage().await?;
        let due = oldest.is_some_and(|oldest| oldest + OLDEST <= clock.now());
        if rows < u64::from(ROWS_AT_A_TIME) && !due {
            break;
        }
        db.fold_usage(ROWS_AT_A_TIME).await?;
    }
    while db.sum_up_day(clock.now(), zone).await? {}
    Ok(())
}

/// Does so every few seconds until it is cancelled. A run that fails is logged, and the next one goes on.
pub async fn run(db: Db, clock: Clock, zone: TimeZone, cancellation: CancellationToken) {
    let runs = async {
        loop {
            if let Err(error) = run_once(&db, &clock, &zone).await {
                tracing::warn!(%error, "could not sum up the usage log");
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    cancellation.run_until_cancelled(runs).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{time::UnixMs, usage::UsageRecord},
        storage::recording::tests::{all_sums, number, open, record},
    };

    #[tokio::test]
    async fn few_rows_wait_and_days_that_are_over_are_summed_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let at = record(1).at;
        let calls =
            (1..=9).map(|n| UsageRecord { at: UnixMs(at.0 + i64::from(n) * 21_600_000), ..record(n) });
        db.insert_usage(&calls.collect::<Vec<_>>()).await.unwrap();
        let clock = Clock::manual(at);
        let folded = "SELECT folded_to FROM folds";
        run_once(&db, &clock, &TimeZone::UTC).await.unwrap();
        assert_eq!(number(&db, folded).await, 0);
        clock.advance(Duration::from_secs(3 * 86_400));
        run_once(&db, &clock, &TimeZone::UTC).await.unwrap();
        assert_eq!(number(&db, folded).await, 9);
        let days = "SELECT COUNT(*) FROM day_sums WHERE dimension = 0";
        assert_eq!(number(&db, days).await, 3);
        assert_eq!(all_sums(&db).await.requests, 9);
        // Another clock has other days.
        run_once(&db, &clock, &TimeZone::get("Asia/Shanghai").unwrap()).await.unwrap();
        assert_eq!(number(&db, "SELECT COUNT(*) FROM day_sums WHERE start % 86400000 = 0").await, 0);
        assert!(number(&db, days).await >= 3);
        assert_eq!(all_sums(&db).await.requests, 9);
    }
}
