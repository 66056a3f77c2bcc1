//! A connection for questions whose cost depends on what the visitor asks: each has a time limit.

use std::time::Duration;

use sqlx::{Sqlite, SqliteConnection, pool::PoolConnection};
use tokio::time::Instant;

use crate::storage::{Db, Engine, StorageError, StorageResult};

/// How many steps of SQLite's machine lie between two looks at the clock: some tenths of a millisecond.
const STEPS: i32 = 10_000;

/// A reading connection whose statements end with [`StorageError::TooSlow`] when the time is up.
///
/// Hand it back with [`finish`](Self::finish). Dropped without that (a failed statement, a visitor who left), the
/// connection is closed, so that the limit of this use never stops the next one.
pub(in crate::storage) struct BoundedReader {
    connection: PoolConnection<Sqlite>,
    finished: bool,
}

impl Db {
    /// A reading connection for at most `limit`, counted from now.
    pub(in crate::storage) async fn bounded_reader(&self, limit: Duration) -> StorageResult<BoundedReader> {
        let Engine::Sqlite(pool) = &self.read;
        let mut connection = pool.acquire().await?;
        let until = Instant::now() + limit;
        connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < until);
        Ok(BoundedReader { connection, finished: false })
    }
}

impl BoundedReader {
    /// The connection.
    pub(in crate::storage) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Lifts the limit and gives the connection back.
    pub(in crate::storage) async fn finish(mut self) -> StorageResult<()> {
        self.connection.lock_handle().await?.remove_progress_handler();
        self.finished = true;
        Ok(())
    }
}

impl Drop for BoundedReader {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}

/// The error of a statement under a limit. SQLite's code for an interrupted statement is 9, `SQLITE_INTERRUPT`
/// (<https://www.sqlite.org/rescode.html#interrupt>).
pub(in crate::storage) fn bounded(error: sqlx::Error) -> StorageError {
    let interrupted =
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "9");
    if interrupted { StorageError::TooSlow } else { error.into() }
}
