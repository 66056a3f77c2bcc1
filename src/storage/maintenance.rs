//! Looks after the database file while others use it: is it whole, how much of it is empty, and what is in its log. Every
//! function keeps writers waiting for milliseconds at most.

use std::{collections::HashMap, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions},
};
use tokio::time::Instant;

use super::{
    Db, Engine, StorageError, StorageResult, on,
    rollups::{BUCKET_MS, bucket_of},
    sheets::{
        days::Dimension,
        scan::{Ask, AttemptOf, AttemptsBy, Source},
    },
    usage_query::bounded,
};
use crate::model::{
    id::{ChannelId, KeyId},
    time::UnixMs,
    usage::OutcomeClass,
};

/// How many steps of SQLite's machine lie between two looks at the clock.
const STEPS: i32 = 10_000;
/// Pages that are given back in one transaction: some milliseconds.
const PAGES_AT_A_TIME: u64 = 256;
/// How long the database may take to say what was tried.
const TRIED_LIMIT: Duration = Duration::from_secs(10);
/// The name under which the report of the last repair is kept.
const LAST_REPAIR: &str = "last_repair";

/// What a look through the whole file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Nothing is wrong.
    Sound,
    /// SQLite's first complaint.
    Damaged(String),
    /// A row names another one that is not there: the table, and the table that it names.
    Orphans(String, String),
    /// It took longer than it may.
    TooSlow,
}

/// How the room of the database file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// The file's size, in bytes.
    pub bytes: u64,
    /// Of it what holds nothing.
    pub free_bytes: u64,
    /// Whether free pages can be given back piece by piece.
    pub can_shrink: bool,
}

/// What was done to the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Pages that were in the log.
    pub pages: u64,
    /// Of them those that are in the database file now.
    pub copied: u64,
    /// Whether the log is empty now.
    pub emptied: bool,
}

/// How calls with a key for a model went, since some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The channel.
    pub channel: ChannelId,
    /// The key.
    pub key: KeyId,
    /// The upstream's model, with the endpoint where that makes a difference.
    pub model: String,
    /// Whether a call was answered.
    pub answered: bool,
}

impl Db {
    /// Reads the whole database, on a connection of its own, and says whether it is whole and every row has what it names.
    /// Takes at most `limit`.
    pub async fn integrity(&self, limit: Duration) -> StorageResult<Integrity> {
        let Engine::Sqlite(pool) = &self.read;
        let until = Instant::now() + limit;
        // The first statements of a connection may already meet the damage.
        let mut connection = match (*pool.connect_options()).clone().connect().await {
            Err(error) if is_damage(&error) => return Ok(Integrity::Damaged(error.to_string())),
            connected => connected?,
        };
        connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < until);
        let looked = async {
            let verdict: String =
                sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
            if verdict != "ok" {
                return Ok(Integrity::Damaged(verdict));
            }
            // Columns: the table, the row, the table that it names, and which of its foreign keys.
            let orphan = sqlx::query("PRAGMA foreign_key_check").fetch_optional(&mut connection).await?;
            Ok(match orphan {
                Some(row) => Integrity::Orphans(row.try_get(0)?, row.try_get(2)?),
                None => Integrity::Sound,
            })
        };
        let found = match looked.await {
            Err(error) if code_is(&error, "9") => Ok(Integrity::TooSlow),
            Err(error) if is_damage(&error) => Ok(Integrity::Damaged(error.to_string())),
            other => other.map_err(StorageError::from),
        };
        // What was asked is answered; a connection that does not close in order changes nothing.
        let _ = connection.close().await;
        found
    }

    /// How the room of the file is used.
    pub async fn space(&self) -> StorageResult<Space> {
        let number = async |pragma: &'static str| {
            let value: i64 = on!(self.read, |pool| sqlx::query_scalar(pragma).fetch_one(pool))?;
            Ok::<_, StorageError>(u64::try_from(value).unwrap_or(0))
        };
        let page = number("PRAGMA page_size").await?;
        Ok(Space {
            bytes: number("PRAGMA page_count").await? * page,
            free_bytes: number("PRAGMA freelist_count").await? * page,
            can_shrink: number("PRAGMA auto_vacuum").await? == 2,
        })
    }

    /// Gives free pages at the end of the file back, a few at a time; others write in between. Ends after `limit`, and goes
    /// on where it ended the next time. Dropping the future keeps what was done. Gives the bytes given back.
    pub async fn shrink(&self, limit: Duration) -> StorageResult<u64> {
        let (before, until) = (self.space().await?, Instant::now() + limit);
        if !before.can_shrink {
            return Ok(0);
        }
        let mut left = before.free_bytes;
        while left > 0 && Instant::now() < until {
            let sql = format!("PRAGMA incremental_vacuum({PAGES_AT_A_TIME})");
            let Engine::Sqlite(pool) = &self.write;
            // Each row that is read is a page that is given back.
            sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await?;
            let now = self.space().await?.free_bytes;
            if now >= left {
                break;
            }
            left = now;
            tokio::task::yield_now().await;
        }
        Ok(before.bytes.saturating_sub(self.space().await?.bytes))
    }

    /// Writes the whole file anew, without its free pages, so that from then on it can shrink piece by piece. Keeps every
    /// writer waiting until it is done, so call it only on a folder without a server. Needs room for a second copy. Gives
    /// the bytes given back.
    pub async fn rewrite(&self) -> StorageResult<u64> {
        let before = self.space().await?;
        let Engine::Sqlite(pool) = &self.write;
        let options: SqliteConnectOptions =
            (*pool.connect_options()).clone().auto_vacuum(SqliteAutoVacuum::Incremental);
        let mut connection = options.connect().await?;
        sqlx::query("VACUUM").execute(&mut connection).await?;
        connection.close().await?;
        Ok(before.bytes.saturating_sub(self.space().await?.bytes))
    }

    /// Copies what is in the write-ahead log to the database file, and then empties the log if nobody reads in it at that
    /// moment. Readers and writers go on meanwhile.
    pub async fn checkpoint(&self) -> StorageResult<Checkpoint> {
        let Engine::Sqlite(pool) = &self.write;
        // A connection of its own that does not wait for others: what is in use stays for the next time.
        let options = (*pool.connect_options()).clone().busy_timeout(Duration::from_millis(50));
        let mut connection = options.connect().await?;
        let (_, pages, copied): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(&mut connection).await?;
        let (busy, ..): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
        connection.close().await?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(Checkpoint { pages: number(pages), copied: number(copied), emptied: busy == 0 })
    }

    /// When the latest call of the usage log arrived.
    pub async fn latest_call(&self) -> StorageResult<Option<UnixMs>> {
        let at: Option<i64> =
            on!(self.read, |pool| sqlx::query_scalar("SELECT MAX(at) FROM usage").fetch_one(pool))?;
        Ok(at.map(UnixMs))
    }

    /// How many rows the retention would delete now: calls that arrived before a time.
    pub async fn count_usage_before(&self, before: UnixMs) -> StorageResult<u64> {
        let count: i64 = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT COUNT(*) FROM calls WHERE at < $1").bind(before.0).fetch_one(pool)
        })?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Which keys were used for which models since a time (to a quarter of an hour), and whether a call was answered.
    ///
    /// Fails with [`TooSlow`](StorageError::TooSlow) if the database needs more than 10 seconds.
    pub async fn tried_since(&self, since: UnixMs) -> StorageResult<Vec<Tried>> {
        let ask = Ask {
            from: Some(bucket_of(since).0.div_euclid(BUCKET_MS)),
            to: None,
            by: Dimension::Channel,
            wanted: Vec::new(),
            starts: Vec::new(),
        };
        let mut reader = self.bounded_reader(TRIED_LIMIT).await?;
        let mut snapshot = reader.connection().begin().await.map_err(bounded)?;
        let source = Source::open(&mut snapshot, &self.words, &ask).await?;
        let found = source.attempts_by_step(&mut snapshot, &AttemptsBy::All).await?;
        snapshot.commit().await.map_err(bounded)?;
        reader.finish().await?;
        let success = source.word(OutcomeClass::Success.as_str());
        let mut tried: HashMap<AttemptOf, bool> = HashMap::new();
        for ((of, _, class), _) in found {
            *tried.entry(of).or_default() |= Some(class) == success;
        }
        let tried = tried.into_iter().filter_map(|(of, answered)| {
            Some(Tried {
                channel: ChannelId(of.channel.cast_signed()),
                key: KeyId(of.key.cast_signed()),
                model: source.text(of.model)?.to_string(),
                answered,
            })
        });
        Ok(tried.collect())
    }

    /// How many wishes of commands wait for the server.
    pub async fn waiting_wishes(&self) -> StorageResult<u64> {
        let count: i64 =
            on!(self.read, |pool| sqlx::query_scalar("SELECT COUNT(*) FROM retries").fetch_one(pool))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Keeps the report of a repair, JSON, in place of the one before.
    pub async fn save_repair(&self, report: &str) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO meta (name, value) VALUES ($1, $2) \
                           ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        on!(self.write, |pool| sqlx::query(SQL).bind(LAST_REPAIR).bind(report).execute(pool))?;
        Ok(())
    }

    /// The report of the last repair, JSON.
    pub async fn last_repair(&self) -> StorageResult<Option<String>> {
        Ok(on!(self.read, |pool| {
            sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
                .bind(LAST_REPAIR)
                .fetch_optional(pool)
        })?)
    }
}

/// Whether an error has this primary code of SQLite; extended codes have it in their last byte.
fn code_is(error: &sqlx::Error, wanted: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| (code & 0xff).to_string());
    primary.is_some_and(|code| code == wanted)
}

/// Whether the file is damaged, or no database: `SQLITE_CORRUPT`, `SQLITE_NOTADB` (<https://www.sqlite.org/rescode.html>).
fn is_damage(error: &sqlx::Error) -> bool {
    code_is(error, "11") || code_is(error, "26")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::usage::UsageRecord,
        storage::recording::tests::{number, open, record},
    };

    #[tokio::test]
    async fn a_sound_database_is_told_from_a_damaged_one() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.insert_usage(&(1..=500).map(record).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(db.integrity(Duration::from_secs(20)).await.unwrap(), Integrity::Sound);
        assert_eq!(db.integrity(Duration::ZERO).await.unwrap(), Integrity::TooSlow);
        assert!(db.checkpoint().await.unwrap().emptied);
        let path = folder.path().join("onepool.db");
        let mut bytes = std::fs::read(&path).unwrap();
        let page = 4096;
        for at in (page * 40..bytes.len()).step_by(page) {
            bytes[at..at + 200].fill(0xa5);
        }
        std::fs::write(&path, bytes).unwrap();
        let found = db.integrity(Duration::from_secs(20)).await.unwrap();
        assert!(matches!(found, Integrity::Damaged(_)), "{found:?}");
    }

    #[tokio::test]
    async fn an_orphan_names_both_tables() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let Engine::Sqlite(pool) = &db.write;
        let mut connection = (*pool.connect_options()).clone().foreign_keys(false).connect().await.unwrap();
        sqlx::query(
            "INSERT INTO sessions (secret_hash, user_id, created_at, seen_at, expires_at, address, user_agent) \
             VALUES ('a', 77, 0, 0, 9, '', '')",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let orphans = Integrity::Orphans("sessions".into(), "users".into());
        assert_eq!(db.integrity(Duration::from_secs(20)).await.unwrap(), orphans);
    }

    #[tokio::test]
    async fn room_comes_back_piece_by_piece_once_the_file_was_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let at = |n: u32| UnixMs(record(0).at.0 + i64::from(n));
        let calls = (1..=3_000).map(|n| UsageRecord { at: at(n), ..record(n) });
        db.insert_usage(&calls.collect::<Vec<_>>()).await.unwrap();
        db.fold_usage(10_000).await.unwrap();
        assert!(db.count_usage_before(at(2_000)).await.unwrap() > 1_000);
        while db.delete_usage_before(at(2_000), 500).await.unwrap() == 500 {}
        let rows = number(&db, "SELECT COUNT(*) FROM usage").await;
        let before = db.space().await.unwrap();
        assert!(before.free_bytes > 100_000, "{before:?}");
        if !before.can_shrink {
            assert_eq!(db.shrink(Duration::from_secs(5)).await.unwrap(), 0);
            assert!(db.rewrite().await.unwrap() > 100_000);
        }
        while db.delete_usage_before(at(2_900), 500).await.unwrap() == 500 {}
        let reopened = open(folder.path()).await;
        assert!(reopened.space().await.unwrap().can_shrink);
        assert!(reopened.shrink(Duration::from_secs(5)).await.unwrap() > 10_000);
        assert_eq!(reopened.space().await.unwrap().free_bytes, 0);
        assert!(number(&db, "SELECT COUNT(*) FROM usage").await <= rows);
        assert_eq!(db.integrity(Duration::from_secs(20)).await.unwrap(), Integrity::Sound);
    }

    #[tokio::test]
    async fn a_reader_keeps_the_log_from_being_emptied_but_not_from_being_copied() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let Engine::Sqlite(pool) = &db.read;
        let mut reading = pool.begin().await.unwrap();
        let _: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM usage").fetch_one(&mut *reading).await.unwrap();
        db.insert_usage(&[record(1)]).await.unwrap();
        let busy = db.checkpoint().await.unwrap();
        assert!(busy.pages > 0 && !busy.emptied, "{busy:?}");
        drop(reading);
        assert!(db.checkpoint().await.unwrap().emptied);
    }

    #[tokio::test]
    async fn the_last_report_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        assert_eq!(db.last_repair().await.unwrap(), None);
        db.save_repair("1").await.unwrap();
        db.save_repair("2").await.unwrap();
        assert_eq!(db.last_repair().await.unwrap().as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn keys_and_models_in_use_are_known_from_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.insert_usage(&[record(1)]).await.unwrap();
        let tried = db.tried_since(record(1).at).await.unwrap();
        assert!(!tried.is_empty());
        assert!(db.tried_since(record(1).at + Duration::from_secs(3600)).await.unwrap().is_empty());
    }
}
