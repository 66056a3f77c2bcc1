//! A copy of the database before a migration touches it.

use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use sqlx::SqlitePool;

use super::{StorageError, StorageResult};
use crate::model::time::UnixMs;

/// Copies the database, consistently, to `backups/before-migration-from-<schema>-<time>.db` beside it; for its owner
/// only, like the database.
pub(super) async fn before_migration(
    pool: &SqlitePool,
    path: &Path,
    schema: i64,
    now: UnixMs,
) -> StorageResult<()> {
    let folder = path.with_file_name("backups");
    let stamp = now.timestamp().strftime("%Y%m%dT%H%M%SZ");
    let target = folder.join(format!("before-migration-from-{schema}-{stamp}.db"));
    let unwritable =
        |error| StorageError::Unreadable(format!("cannot write the backup {}: {error}", target.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(unwritable)?;
    // SQLite fills an empty file that is already there, and leaves its mode alone.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target).map_err(unwritable)?;
    sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(pool).await?;
    tracing::info!(backup = %target.display(), "made a backup before the migration");
    Ok(())
}
