//! Looks into a database file that nobody else uses: is it whole, is it ours, and does a master key open it?

use std::path::Path;

use sqlx::{
    ConnectOptions as _, Connection as _, SqliteConnection,
    migrate::Migrate,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{migrate::MIGRATIONS, vault::Vault};

/// What every SQLite database begins with (<https://www.sqlite.org/fileformat2.html#the_database_header>).
pub(super) const HEADER: &[u8] = b"SQLite format 3\0";

/// What a database holds; what was deleted does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// The version of its schema.
    pub schema: i64,
    /// Accounts.
    pub accounts: u64,
    /// Channels.
    pub channels: u64,
    /// Keys of all channels.
    pub keys: u64,
    /// Tokens.
    pub tokens: u64,
    /// Rows of the usage log.
    pub usage_rows: u64,
}

/// What is wrong with a file as a database of OnePool.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It is not a database, or not whole; what SQLite says.
    Damaged(String),
    /// It is a database of something else.
    NotOurs,
    /// A newer OnePool wrote it.
    NewerSchema { found: i64, known: i64 },
    /// The master key is not the one that sealed its secrets.
    WrongMasterKey,
}

impl From<sqlx::Error> for Flaw {
    fn from(error: sqlx::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Opens a file in a mode in which it is all there is: a write-ahead log beside it is folded in, and none is kept.
pub(super) async fn open_alone(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full)
        // The file may come from anywhere: functions in its schema are not run.
        .pragma("trusted_schema", "OFF")
        .foreign_keys(true)
        .connect()
        .await
}

/// The newest schema that this version knows.
pub(super) fn known_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Checks everything about the file, and counts what it holds.
pub(super) async fn check(connection: &mut SqliteConnection, vault: &Vault) -> Result<Contents, Flaw> {
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut *connection).await?;
    if verdict != "ok" {
        return Err(Flaw::Damaged(verdict));
    }
    let table = MIGRATIONS.table_name.as_ref();
    let tables: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'channels', 'keys', $1)",
    )
    .bind(table)
    .fetch_one(&mut *connection)
    .await?;
    if tables != 4 {
        return Err(Flaw::NotOurs);
    }
    let applied =
        connection.list_applied_migrations(table).await.map_err(|error| Flaw::Damaged(error.to_string()))?;
    let known = known_schema();
    let schema = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if schema > known {
        return Err(Flaw::NewerSchema { found: schema, known });
    }
    let is_one_of_ours = |applied: &sqlx::migrate::AppliedMigration| {
        MIGRATIONS.iter().any(|ours| ours.version == applied.version && ours.checksum == applied.checksum)
    };
    if schema == 0 || !applied.iter().all(is_one_of_ours) {
        return Err(Flaw::NotOurs);
    }
    match canary(connection).await? {
        None => return Err(Flaw::NotOurs),
        Some(sealed) if !vault.opens_canary(&sealed) => return Err(Flaw::WrongMasterKey),
        Some(_) => {}
    }
    let (accounts, channels, keys, tokens, usage_rows): (i64, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM users), (SELECT COUNT(*) FROM channels WHERE deleted_at IS NULL),
             (SELECT COUNT(*) FROM keys WHERE deleted_at IS NULL),
             (SELECT COUNT(*) FROM tokens WHERE deleted_at IS NULL), (SELECT COUNT(*) FROM usage)",
    )
    .fetch_one(connection)
    .await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Contents {
        schema,
        accounts: count(accounts),
        channels: count(channels),
        keys: count(keys),
        tokens: count(tokens),
        usage_rows: count(usage_rows),
    })
}

/// The sealed canary of a database that has our tables; `None` if it was never opened by a server.
pub(super) async fn canary(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = 'canary'").fetch_optional(connection).await
}

/// The sealed canary of a database file that is in use by nobody, its write-ahead log included; `None` if there is no
/// database, or none with a canary yet.
pub(super) async fn canary_of(path: &Path) -> Result<Option<String>, sqlx::Error> {
    if std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
        return Ok(None);
    }
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await?;
    let has_meta: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'")
            .fetch_one(&mut connection)
            .await?;
    let found = if has_meta == 1 { canary(&mut connection).await? } else { None };
    connection.close().await?;
    Ok(found)
}
