//! The database: the only room that names `sqlx`.
//!
//! One file per table (or per group of tables that change together), each a set of functions on [`Db`]. SQL is kept in
//! the dialect that SQLite and PostgreSQL share: `$1` placeholders, `RETURNING`, `ON CONFLICT`, times that we supply,
//! JSON as TEXT. What is secret is sealed here, by the [`Vault`], so there is one write path for secrets.
//!
//! Start reading at [`Db::open`].

pub mod access_tokens;
pub mod backup;
pub mod budgets;
pub mod captures;
pub mod catalog;
pub mod chains;
pub mod channels;
mod check;
pub mod discovery;
mod files;
mod findings;
mod first_account;
pub mod first_call;
pub mod folder;
pub mod keys;
mod last_answers;
pub mod ledger;
pub mod limits;
pub mod maintenance;
mod migrate;
pub mod notice_queue;
pub mod notices;
pub mod openclaw_exports;
pub mod password;
pub mod pool;
pub mod prices;
pub mod probes;
pub mod providers;
pub mod ranking;
pub mod ranking_files;
pub mod recording;
pub mod restore;
pub mod rests;
pub mod retention;
pub mod rollups;
pub mod rotation;
pub mod sends;
mod settings;
pub mod several;
pub mod sheets;
pub mod spending;
pub mod token_clients;
pub mod tokens;
pub mod upstream_jobs;
pub mod usage_query;
pub mod users;
pub mod vault;
mod words;

use std::path::{Path, PathBuf};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{
        SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
    },
};

pub use check::Contents;

use crate::model::{
    chain::Loop,
    time::{Clock, UnixMs},
};
use folder::{DataFolder, FolderError, FolderLock};
pub use migrate::known_schema;
use vault::Vault;

/// Why a storage call failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A name, or another value that must be unique, is taken.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// A chain would lead back to itself.
    #[error("a chain would lead back to itself: {}", .0.way())]
    Loop(Loop),
    /// The row is not there (any more).
    #[error("no such row")]
    Missing,
    /// The question would take the database longer than a page may.
    #[error("the question takes the database too long")]
    TooSlow,
    /// The database did not do it.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A value in the database, or a sealed secret, does not read back.
    #[error("unreadable data: {0}")]
    Unreadable(String),
}

/// The result of a storage call.
pub type StorageResult<T> = Result<T, StorageError>;

impl From<StorageError> for crate::error::Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Missing => Self::NotFound,
            StorageError::TooSlow => Self::Unavailable("the question takes the database too long"),
            other => Self::Internal(other.into()),
        }
    }
}

/// Why the database could not be opened; each text is for the operator and names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder or the file is not usable.
    #[error("cannot open the database {}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says, and the remedy.
        reason: String,
    },
    /// The database was written by a newer OnePool.
    #[error(
        "the database {} has schema {found}, this OnePool knows {known}: start the newer version again, or restore the \
         backup that it made before its migration (the data folder's `backups`)",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database was written by an older OnePool, and the caller may not migrate it.
    #[error("the database {} has an older schema: start this version of the server once, then try again", path.display())]
    OlderSchema {
        /// The file.
        path: PathBuf,
    },
    /// The master key is not the one that sealed the database's secrets.
    #[error(
        "the master key does not open the secrets in {}: set SECRET_KEY or SECRET_KEY_FILE to the key that this data \
         folder was made with (by default its file `secret.key`)",
        path.display()
    )]
    WrongMasterKey {
        /// The file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot prepare the database {}: {source}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: StorageError,
    },
}

/// The database. Cheap to clone.
///
/// SQLite is the one engine so far. A second one becomes a variant beside it and an arm in `on!`.
#[derive(Clone)]
pub struct Db {
    /// One connection: writes are queued here, in this process, instead of failing in the file's lock.
    write: Engine,
    /// Connections that only read.
    read: Engine,
    vault: Vault,
    clock: Clock,
    /// The texts of the usage log.
    words: words::Words,
}

#[derive(Clone)]
enum Engine {
    Sqlite(SqlitePool),
}

/// Runs the same query on whichever engine is in use: `on!(self.read, |pool| sqlx::query(SQL).fetch_all(pool))`.
macro_rules! on {
    ($engine:expr, |$pool:ident| $body:expr) => {
        match &$engine {
            $crate::storage::Engine::Sqlite($pool) => $body.await,
        }
    };
}
pub(crate) use on;

/// A transaction that has the write lock from its start (`BEGIN IMMEDIATE`), so that it can't fail in an upgrade.
pub(crate) type WriteTransaction = Transaction<'static, Sqlite>;

impl Db {
    /// Opens (or creates) the database file, brings its schema up to date (after a backup into `backups` beside it) and
    /// checks that `vault` holds the key that sealed it.
    pub async fn open(path: &Path, vault: Vault, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with(path, vault, clock, true).await
    }

    /// Opens the database of a server that may be running: does not create it, and refuses an older schema, since a
    /// migration would pull the rug from under that server.
    pub async fn open_existing(path: &Path, vault: Vault, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with(path, vault, clock, false).await
    }

    async fn open_with(
        path: &Path,
        vault: Vault,
        clock: Clock,
        may_migrate: bool,
    ) -> Result<Self, OpenError> {
        let failed = |error: sqlx::Error| OpenError::Failed { path: path.into(), source: error.into() };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(may_migrate)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(std::time::Duration::from_secs(5))
            .foreign_keys(true)
            .pragma("journal_size_limit", "67108864")
            .pragma("temp_store", "MEMORY");
        // Room comes back piece by piece only in a database that was made so. In one that exists, saying it writes, and
        // changes nothing.
        let is_new = may_migrate && std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0;
        let writing = match is_new {
            true => options.clone().auto_vacuum(SqliteAutoVacuum::Incremental),
            false => options.clone(),
        };
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(writing)
            .await
            .map_err(|error| unusable(path, &error))?;
        migrate::bring_up_to_date(&write, &migrate::MIGRATIONS, path, clock.now(), may_migrate).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        let db = Self {
            write: Engine::Sqlite(write),
            read: Engine::Sqlite(read),
            vault,
            clock,
            words: words::Words::default(),
        };
        if !db.check_canary().await.map_err(|source| OpenError::Failed { path: path.into(), source })? {
            // Folds the write-ahead log in, as if nobody had opened the file.
            db.close().await;
            return Err(OpenError::WrongMasterKey { path: path.into() });
        }
        if may_migrate {
            let filled = db.fill_in_providers().await;
            filled.map_err(|source| OpenError::Failed { path: path.into(), source })?;
            let converted = db.convert_old_sums().await;
            converted.map_err(|source| OpenError::Failed { path: path.into(), source })?;
        }
        Ok(db)
    }

    /// Whether the database answers, for `/readyz`.
    pub async fn ping(&self) -> StorageResult<()> {
        on!(self.read, |pool| sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM meta").fetch_one(pool))?;
        Ok(())
    }

    /// Closes all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        let (Engine::Sqlite(read), Engine::Sqlite(write)) = (&self.read, &self.write);
        read.close().await;
        write.close().await;
    }

    /// The time that rows are stamped with.
    pub fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// What seals and opens secrets.
    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Begins a transaction that holds the write lock. Dropping it without `commit` rolls it back. Do nothing slow
    /// while holding it.
    pub(crate) async fn begin(&self) -> StorageResult<WriteTransaction> {
        let Engine::Sqlite(pool) = &self.write;
        Ok(pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Refuses to go on if the master key was rotated since this handle was opened. Called in a transaction before anything
    /// is sealed in it, since nobody could open what a command that runs beside a rotation sealed with the old key.
    pub(crate) async fn check_key_in_force(&self, tx: &mut WriteTransaction) -> StorageResult<()> {
        match check::canary(tx).await? {
            Some(sealed) if self.vault.opens_canary(&sealed) => Ok(()),
            _ => Err(StorageError::Unreadable("the master key was rotated meanwhile; try again".to_owned())),
        }
    }

    async fn check_canary(&self) -> StorageResult<bool> {
        const NAME: &str = "canary";
        let mut tx = self.begin().await?;
        let found: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(NAME)
            .fetch_optional(&mut *tx)
            .await?;
        match found {
            Some(sealed) => Ok(self.vault.opens_canary(&sealed)),
            None => {
                sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2)")
                    .bind(NAME)
                    .bind(self.vault.canary())
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(true)
            }
        }
    }
}

/// Finishes (or, if it was not decided, discards) a restore and a rotation of the master key that were killed in the
/// middle. Whoever opens a folder for good does this first, before asking for the master key.
pub async fn settle(folder: &DataFolder, lock: &FolderLock, now: UnixMs) -> Result<(), FolderError> {
    if restore::finish(folder, lock)? {
        tracing::info!("finished a restore that was interrupted");
    }
    rotation::settle_key(folder, lock, now).await.map(|_| ())
}

fn unusable(path: &Path, error: &sqlx::Error) -> OpenError {
    OpenError::Unusable {
        path: path.into(),
        reason: format!("{error}. Check that the folder exists, is writable and holds an intact database"),
    }
}
