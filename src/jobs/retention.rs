//! Deletes old usage rows, and other rows that nobody can use any more. Roll-ups are kept for good.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::{
    model::time::{Clock, UnixMs},
    storage::{Db, StorageResult, sheets::ROWS_AT_A_TIME as FOLDED_AT_A_TIME},
};

/// Time between two runs.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Rows per transaction: few enough that a usage row or a form never waits noticeably for the write lock.
const ROWS_AT_A_TIME: u32 = 500;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a replaced token value is kept after its grace time, so that its last uses can still be looked into.
const KEEP_TOKEN_VALUES: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long the spending of a past quota period is kept; three of the longest periods.
const KEEP_SPENDING: Duration = Duration::from_secs(93 * 24 * 60 * 60);

/// How many periods of each budget are kept at most: those of an hour are many.
const MOST_PERIODS: u32 = 100;

/// How long it is known which key made a video or stored a response. OpenAI keeps responses for 30 days, and videos for a day
/// (<https://platform.openai.com/docs/guides/your-data>).
const KEEP_JOBS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a run deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Usage rows.
    pub usage_rows: u64,
    /// Sessions that had ended.
    pub sessions: u64,
    /// Replaced token values.
    pub token_values: u64,
    /// Videos and stored responses, as far as this server knows them.
    pub jobs: u64,
}

/// Deletes usage rows older than `retention_days`, sessions that have ended, token values whose grace time ended 30
/// days ago, and the spending of periods that are long over, or of which a budget has many. May be dropped at any time; what is deleted by then
/// stays deleted.
pub async fn run_once(db: &Db, now: UnixMs, zone: &TimeZone, retention_days: u32) -> StorageResult<Deleted> {
    let mut deleted = Deleted::default();
    let oldest = now - DAY * retention_days;
    // What is in no sheet yet is not deleted.
    while db.fold_usage(FOLDED_AT_A_TIME).await? == u64::from(FOLDED_AT_A_TIME) {}
    loop {
        let rows = db.delete_usage_before(oldest, ROWS_AT_A_TIME).await?;
        deleted.usage_rows += rows;
        if rows < u64::from(ROWS_AT_A_TIME) {
            break;
        }
    }
    deleted.sessions = db.delete_ended_sessions(now).await?;
    deleted.token_values = db.delete_replaced_token_values(now - KEEP_TOKEN_VALUES).await?;
    deleted.jobs = db.delete_upstream_jobs_before(now - KEEP_JOBS).await?;
    db.delete_spending_before(now - KEEP_SPENDING).await?;
    db.delete_budget_spending_before(now - KEEP_SPENDING).await?;
    db.delete_periods_beyond(MOST_PERIODS, now, zone).await?;
    Ok(deleted)
}

/// Runs at once and then every hour until it is cancelled. `retention_days` is asked before each run. A run that fails
/// is logged, and the next one catches up.
pub async fn run(
    db: Db,
    retention_days: impl Fn() -> u32,
    clock: Clock,
    zone: TimeZone,
    cancellation: CancellationToken,
) {
    let runs = async {
        loop {
            match run_once(&db, clock.now(), &zone, retention_days()).await {
                Ok(deleted) if deleted == Deleted::default() => {}
                Ok(deleted) => tracing::info!(?deleted, "deleted old rows"),
                Err(error) => tracing::warn!(%error, "could not delete old rows"),
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
        model::{
            key::PastedKey,
            secret::Secret,
            upstream_job::{JobKind, UpstreamJob},
            usage::UsageRecord,
        },
        storage::{
            channels::NewChannel,
            recording::tests::{all_sums, number, open, record},
            tokens::NewToken,
            upstream_jobs::new_job_id,
        },
    };

    #[tokio::test]
    async fn old_rows_go_with_their_attempts_and_the_roll_ups_stay() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let now = record(0).at + DAY * 40;
        let old = (1..=1_100).map(record);
        let young = (2_001..=2_003).map(|n| UsageRecord { at: now - DAY * 29, ..record(n) });
        db.insert_usage(&old.chain(young).collect::<Vec<_>>()).await.unwrap();

        let deleted = run_once(&db, now, &TimeZone::UTC, 30).await.unwrap();

        assert_eq!(deleted.usage_rows, 1_100);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM usage").await, 3);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 6);
        assert_eq!(all_sums(&db).await.requests, 1_103);
        assert_eq!(run_once(&db, now, &TimeZone::UTC, 30).await.unwrap(), Deleted::default());
    }

    #[tokio::test]
    async fn videos_and_stored_responses_are_forgotten_after_thirty_days() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let channel =
            db.create_channel(&NewChannel { name: "c".into(), ..Default::default() }).await.unwrap();
        let key = PastedKey {
            label: String::new(),
            secret: Secret::new("key-1"),
            quota_group: None,
            limits: Vec::new(),
            budget: None,
        };
        db.add_keys(channel, &[key]).await.unwrap();
        let key = db.channels_with_keys().await.unwrap()[0].1[0].id;
        let value = Secret::new("sk-a0000000000000000000000000000000000000");
        let token = db.create_token(&NewToken::unlimited("a", value)).await.unwrap();
        let made = UnixMs(1_000_000);
        let mut ids = Vec::new();
        for (kind, created_at) in [
            (JobKind::Video, made),
            (JobKind::Response, made),
            (JobKind::Video, made + DAY),
            (JobKind::Response, made + DAY),
        ] {
            let id = new_job_id(kind);
            ids.push((kind, id.clone()));
            let job = UpstreamJob {
                id,
                kind,
                token,
                channel,
                key,
                upstream_id: format!("theirs-{}", ids.len()),
                model: "m".into(),
                upstream_model: "m".into(),
                created_at,
                answer: None,
                unpriced_call: None,
            };
            db.create_upstream_job(&job).await.unwrap();
        }
        let thirty_days = made + DAY * 30;
        assert_eq!(run_once(&db, thirty_days, &TimeZone::UTC, 3).await.unwrap(), Deleted::default());
        let late = UnixMs(thirty_days.0 + 1);
        assert_eq!(
            run_once(&db, late, &TimeZone::UTC, 3).await.unwrap(),
            Deleted { jobs: 2, ..Deleted::default() }
        );
        for (place, (kind, id)) in ids.iter().enumerate() {
            let found = db.find_upstream_job(token, *kind, id).await.unwrap();
            assert_eq!(found.is_some(), place >= 2, "{kind:?}");
        }
    }
}
