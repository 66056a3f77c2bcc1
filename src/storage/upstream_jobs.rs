//! What upstreams keep for later (videos, stored responses), by our ids.

use rand::distr::{Alphanumeric, SampleString};
use sqlx::FromRow;

use super::{
    Db, StorageError, StorageResult, budgets, on, rollups::clamp_amount, sheets::fold, words::NewWords,
};
use crate::model::{
    budget::{Charge, Payer},
    id::{ChannelId, KeyId, RequestId, TokenId},
    time::UnixMs,
    upstream_job::{JobKind, JobPage, UpstreamJob},
};

/// Random characters of an id: 238 bits, so that nobody finds another's by trying.
const RANDOM_CHARACTERS: usize = 40;
/// The most jobs of one kind that are remembered for a token; the oldest are forgotten first.
pub const MOST_JOBS: u32 = 10_000;
/// The longest answer that is kept, in bytes: lists of videos show it. Stored responses are asked for again.
const MAX_ANSWER_BYTES: usize = 16 << 10;

/// A fresh random id.
pub fn new_job_id(kind: JobKind) -> String {
    format!("{}{}", kind.id_prefix(), Alphanumeric.sample_string(&mut rand::rng(), RANDOM_CHARACTERS))
}

#[derive(FromRow)]
struct Row {
    id: String,
    kind: String,
    token_id: i64,
    channel_id: i64,
    key_id: i64,
    upstream_id: String,
    model: String,
    upstream_model: String,
    created_at: i64,
    answer: Option<String>,
    unpriced_call: Option<String>,
}

impl TryFrom<Row> for UpstreamJob {
    type Error = StorageError;

    fn try_from(row: Row) -> Result<Self, StorageError> {
        let kind = JobKind::from_name(&row.kind)
            .ok_or_else(|| StorageError::Unreadable(format!("kind of job {:?}", row.kind)))?;
        Ok(Self {
            id: row.id,
            kind,
            token: TokenId(row.token_id),
            channel: ChannelId(row.channel_id),
            key: KeyId(row.key_id),
            upstream_id: row.upstream_id,
            model: row.model,
            upstream_model: row.upstream_model,
            created_at: UnixMs(row.created_at),
            answer: row.answer,
            unpriced_call: row.unpriced_call.and_then(|id| id.parse().ok()),
        })
    }
}

fn kept(answer: Option<&str>) -> Option<&str> {
    answer.filter(|answer| answer.len() <= MAX_ANSWER_BYTES)
}

impl Db {
    /// Remembers a job, before its client is told of it. Of a token with too many the oldest are forgotten.
    pub async fn create_upstream_job(&self, job: &UpstreamJob) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO upstream_jobs
                 (id, kind, token_id, channel_id, key_id, upstream_id, model, upstream_model, created_at, answer,
                  unpriced_call)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&job.id)
        .bind(job.kind.as_str())
        .bind(job.token.0)
        .bind(job.channel.0)
        .bind(job.key.0)
        .bind(&job.upstream_id)
        .bind(&job.model)
        .bind(&job.upstream_model)
        .bind(job.created_at.0)
        .bind(kept(job.answer.as_deref()))
        .bind(job.unpriced_call.map(|id| id.to_string()))
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "DELETE FROM upstream_jobs WHERE id IN (
                 SELECT id FROM upstream_jobs WHERE token_id = $1 AND kind = $2
                 ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $3)",
        )
        .bind(job.token.0)
        .bind(job.kind.as_str())
        .bind(MOST_JOBS)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The job of an id, if it is this token's: another's cannot be told from one that never was.
    pub async fn find_upstream_job(
        &self,
        token: TokenId,
        kind: JobKind,
        id: &str,
    ) -> StorageResult<Option<UpstreamJob>> {
        let row: Option<Row> = on!(self.read, |pool| {
            sqlx::query_as("SELECT * FROM upstream_jobs WHERE id = $1 AND token_id = $2 AND kind = $3")
                .bind(id)
                .bind(token.0)
                .bind(kind.as_str())
                .fetch_optional(pool)
        })?;
        row.map(UpstreamJob::try_from).transpose()
    }

    /// Our id of what an upstream calls so, if the key and the token of `beside` made it too, and it is of its kind.
    pub async fn find_upstream_job_of_key(
        &self,
        beside: &UpstreamJob,
        upstream_id: &str,
    ) -> StorageResult<Option<String>> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar(
                "SELECT id FROM upstream_jobs WHERE token_id = $1 AND kind = $2 AND key_id = $3 AND upstream_id = $4",
            )
            .bind(beside.token.0)
            .bind(beside.kind.as_str())
            .bind(beside.key.0)
            .bind(upstream_id)
            .fetch_optional(pool)
        })?)
    }

    /// A token's jobs, and whether there are more; [`StorageError::Missing`] if the page begins after a job that is not
    /// the token's.
    pub async fn upstream_jobs(
        &self,
        token: TokenId,
        kind: JobKind,
        page: &JobPage,
    ) -> StorageResult<(Vec<UpstreamJob>, bool)> {
        let (first_at, first_id) = match &page.after {
            Some(after) => {
                let job = self.find_upstream_job(token, kind, after).await?.ok_or(StorageError::Missing)?;
                (job.created_at.0, job.id)
            }
            None if page.newest_first => (i64::MAX, String::new()),
            None => (i64::MIN, String::new()),
        };
        let sql = if page.newest_first {
            "SELECT * FROM upstream_jobs WHERE token_id = $1 AND kind = $2 AND (created_at, id) < ($3, $4)
             ORDER BY created_at DESC, id DESC LIMIT $5"
        } else {
            "SELECT * FROM upstream_jobs WHERE token_id = $1 AND kind = $2 AND (created_at, id) > ($3, $4)
             ORDER BY created_at, id LIMIT $5"
        };
        let mut rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(sql)
                .bind(token.0)
                .bind(kind.as_str())
                .bind(first_at)
                .bind(first_id)
                .bind(i64::from(page.limit) + 1)
                .fetch_all(pool)
        })?;
        let more = rows.len() > page.limit as usize;
        rows.truncate(page.limit as usize);
        Ok((rows.into_iter().map(UpstreamJob::try_from).collect::<StorageResult<_>>()?, more))
    }

    /// Keeps what its upstream says of a job now, as its client sees it.
    pub async fn note_job_answer(&self, id: &str, answer: &str) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query("UPDATE upstream_jobs SET answer = $2 WHERE id = $1 AND answer IS NOT $2")
                .bind(id)
                .bind(kept(Some(answer)))
                .execute(pool)
        })?;
        Ok(())
    }

    /// Notes in a call's row, and in the sums of its quarter of an hour, what the job that it made cost, in micro-dollars.
    /// It does so once, and not before the row is there: `None` if it did not.
    ///
    /// Budgets of the call's channel and key that count dollars are charged for the period in which it arrived, on the clock of
    /// `zone`; gives these charges. No quota is: of a token that counts dollars, calls whose cost nobody knew are made of free
    /// models only.
    pub async fn book_job_cost(
        &self,
        id: &str,
        call: RequestId,
        cost_micros: i64,
        zone: &jiff::tz::TimeZone,
    ) -> StorageResult<Option<Vec<Charge>>> {
        let cost_micros = clamp_amount(cost_micros);
        let mut tx = self.begin().await?;
        let marked =
            sqlx::query("UPDATE upstream_jobs SET unpriced_call = NULL WHERE id = $1 AND unpriced_call = $2")
                .bind(id)
                .bind(call.to_string())
                .execute(&mut *tx)
                .await?;
        let mut words = NewWords::new(&self.words);
        if marked.rows_affected() == 0 {
            return Ok(None);
        }
        let Some((at, channel, key)) =
            fold::add_cost(&mut tx, call.0.as_bytes(), cost_micros, &mut words).await?
        else {
            return Ok(None);
        };
        let payers = [Payer::Channel(channel), Payer::Key(key)];
        let charges = budgets::charge_later(&mut tx, payers, at, cost_micros, zone).await?;
        tx.commit().await?;
        words.committed();
        Ok(Some(charges))
    }

    /// Forgets a job.
    pub async fn delete_upstream_job(&self, id: &str) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query("DELETE FROM upstream_jobs WHERE id = $1").bind(id).execute(pool)
        })?;
        Ok(())
    }

    /// Forgets the jobs that were created before a time; says how many.
    pub async fn delete_upstream_jobs_before(&self, before: UnixMs) -> StorageResult<u64> {
        let done = on!(self.write, |pool| {
            sqlx::query("DELETE FROM upstream_jobs WHERE created_at < $1").bind(before.0).execute(pool)
        })?;
        Ok(done.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            budget::Owner,
            key::PastedKey,
            secret::Secret,
            token::{Quota, QuotaReset, QuotaUnit},
            usage::UsageRecord,
        },
        storage::{
            channels::NewChannel,
            recording::tests::{all_sums, number, open, record},
            tokens::NewToken,
        },
    };

    /// A database with a channel, a key and two tokens.
    async fn prepared(folder: &std::path::Path) -> (Db, ChannelId, KeyId, [TokenId; 2]) {
        let db = open(folder).await;
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
        let mut tokens = [TokenId(0); 2];
        for (place, name) in ["a", "b"].into_iter().enumerate() {
            let value = Secret::new(format!("sk-{name}0000000000000000000000000000000000000"));
            tokens[place] = db.create_token(&NewToken::unlimited(name, value)).await.unwrap();
        }
        (db, channel, key, tokens)
    }

    #[tokio::test]
    async fn a_job_is_found_by_its_own_token_alone_and_listed_in_pages() {
        let folder = tempfile::tempdir().unwrap();
        let (db, channel, key, [token, other]) = prepared(folder.path()).await;
        let mut ids = Vec::new();
        for number in 0..5 {
            let job = UpstreamJob {
                id: new_job_id(JobKind::Video),
                kind: JobKind::Video,
                token,
                channel,
                key,
                upstream_id: format!("theirs-{number}"),
                model: "video".into(),
                upstream_model: "vendor/video".into(),
                created_at: UnixMs(1000 + number / 2),
                answer: None,
                unpriced_call: None,
            };
            db.create_upstream_job(&job).await.unwrap();
            let found = db.find_upstream_job(token, JobKind::Video, &job.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&job));
            ids.push(job.id);
        }
        let first = db.find_upstream_job(token, JobKind::Video, &ids[0]).await.unwrap().unwrap();
        let second = db.find_upstream_job_of_key(&first, "theirs-1").await.unwrap();
        assert_eq!(second.as_ref(), Some(&ids[1]));
        assert_eq!(db.find_upstream_job_of_key(&first, "theirs-9").await.unwrap(), None);
        for (whose, kind) in [(other, JobKind::Video), (token, JobKind::Response)] {
            assert_eq!(db.find_upstream_job(whose, kind, &ids[0]).await.unwrap(), None);
        }
        for newest_first in [true, false] {
            let mut seen = Vec::new();
            let mut page = JobPage { after: None, limit: 2, newest_first };
            loop {
                let (jobs, more) = db.upstream_jobs(token, JobKind::Video, &page).await.unwrap();
                seen.extend(jobs.iter().map(|job| (job.created_at, job.id.clone())));
                if !more {
                    break;
                }
                page.after = jobs.last().map(|job| job.id.clone());
            }
            let mut sorted = seen.clone();
            sorted.sort();
            if newest_first {
                sorted.reverse();
            }
            assert_eq!((seen.len(), &seen), (5, &sorted), "each once, in order");
        }
        let of_another = JobPage { after: Some(ids[0].clone()), limit: 2, newest_first: true };
        let refused = db.upstream_jobs(other, JobKind::Video, &of_another).await;
        assert!(matches!(refused, Err(StorageError::Missing)), "{refused:?}");

        db.note_job_answer(&ids[0], r#"{"status":"completed"}"#).await.unwrap();
        let job = db.find_upstream_job(token, JobKind::Video, &ids[0]).await.unwrap().unwrap();
        assert_eq!(job.answer.as_deref(), Some(r#"{"status":"completed"}"#));
        db.delete_upstream_job(&ids[0]).await.unwrap();
        assert_eq!(db.find_upstream_job(token, JobKind::Video, &ids[0]).await.unwrap(), None);
        assert_eq!(db.delete_upstream_jobs_before(UnixMs(1002)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_a_job_cost_is_booked_once_as_soon_as_its_row_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (db, channel, key, [token, _]) = prepared(folder.path()).await;
        let call = UsageRecord {
            token_id: token,
            channel_id: Some(channel),
            key_id: Some(key),
            cost_micros: 0,
            attempts: Vec::new(),
            ..record(1)
        };
        let job = UpstreamJob {
            id: new_job_id(JobKind::Video),
            kind: JobKind::Video,
            token,
            channel,
            key,
            upstream_id: "theirs".into(),
            model: "video".into(),
            upstream_model: "vendor/video".into(),
            created_at: UnixMs(1000),
            answer: None,
            unpriced_call: Some(call.request_id),
        };
        db.create_upstream_job(&job).await.unwrap();
        let utc = jiff::tz::TimeZone::UTC;
        let book = async || db.book_job_cost(&job.id, call.request_id, 400_000, &utc).await.unwrap();
        assert_eq!(book().await, None, "no row yet");
        let found = db.find_upstream_job(token, JobKind::Video, &job.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&job), "it is tried again");
        let other = UsageRecord { request_id: record(2).request_id, ..call.clone() };
        db.insert_usage(&[call.clone(), other]).await.unwrap();
        for (sql, unit) in [
            ("UPDATE channels SET budget = $1", QuotaUnit::Tokens),
            ("UPDATE keys SET budget = $1", QuotaUnit::Dollars),
        ] {
            let budget = budgets::write(Some(Quota::new(unit, 100_000, QuotaReset::Day))).unwrap();
            on!(db.write, |pool| sqlx::query(sql).bind(&budget).execute(pool)).unwrap();
        }
        let period = QuotaReset::Day.period_start(call.at, &utc);
        let charge = Charge { owner: Owner::Key(key), unit: QuotaUnit::Dollars, period, amount: 400_000 };
        assert_eq!(book().await, Some(vec![charge]), "a budget that counts tokens is not charged");
        assert_eq!(book().await, None, "only once");
        let spent = db.budget_spending().await.unwrap();
        let expected = [((Owner::Key(key), period, QuotaUnit::Dollars), 400_000)];
        assert_eq!(spent, budgets::Spending::from(expected));
        assert_eq!(number(&db, "SELECT SUM(cost_micros) FROM usage").await, 400_000);
        assert_eq!(all_sums(&db).await.cost_micros, 400_000);
    }
}
