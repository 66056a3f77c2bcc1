//! A copy of the database before a migration touches it.

use std::path::Path;

use sqlx::SqlitePool;

use super::{StorageError, StorageResult};
use crate::model::time::UnixMs;

/// Copies the database, consistently, to `backups/before-migration-from-<schema>-<time>.db` beside it.
pub(super) async fn before_migration(
    pool: &SqlitePool,
    path: &Path,
    schema: i64,
    now: UnixMs,
) -> StorageResult<()> {
    let folder = path.with_file_name("backups");
    std::fs::create_dir_all(&folder)
        .map_err(|error| StorageError::Unreadable(format!("cannot make {}: {error}", folder.display())))?;
    let stamp = now.timestamp().strftime("%Y%m%dT%H%M%SZ");
    let target = folder.join(format!("before-migration-from-{schema}-{stamp}.db"));
    sqlx::query("VACUUM INTO $1").bind(target.to_string_lossy().into_owned()).execute(pool).await?;
    tracing::info!(backup = %target.display(), "made a backup before the migration");
    Ok(())
}
