//! Brings the schema up to date.

use std::path::Path;

use sqlx::{
    SqlitePool,
    migrate::{Migrate, Migrator},
};

use super::{OpenError, backup, unusable};
use crate::model::time::UnixMs;

/// The schema of this version, step by step.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The schema of this version: the number of its last step.
pub fn known_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Refuses a newer schema, and an older one unless `may_migrate`; else copies the database into `backups` beside it and
/// runs the steps that are missing, each in its transaction.
pub(super) async fn bring_up_to_date(
    pool: &SqlitePool,
    migrations: &Migrator,
    path: &Path,
    now: UnixMs,
    may_migrate: bool,
) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| OpenError::Failed { path: path.into(), source: error.into() };
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    let mut connection = pool.acquire().await.map_err(|error| unusable(path, &error))?;
    let table = migrations.table_name.as_ref();
    connection.ensure_migrations_table(table).await.map_err(|error| failed(error.into()))?;
    let applied = connection.list_applied_migrations(table).await.map_err(|error| failed(error.into()))?;
    drop(connection);
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(OpenError::NewerSchema { path: path.into(), found, known });
    }
    if found < known && !may_migrate {
        return Err(OpenError::OlderSchema { path: path.into() });
    }
    if found > 0 && found < known {
        backup::before_migration(pool, path, found, now)
            .await
            .map_err(|source| OpenError::Failed { path: path.into(), source })?;
    }
    migrations.run(pool).await.map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Migrations from texts, numbered from 1.
    async fn migrations(folder: &Path, steps: &[&str]) -> Migrator {
        for (index, sql) in steps.iter().enumerate() {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(format!("{:04}_step.sql", index + 1)), sql).unwrap();
        }
        Migrator::new(folder).await.unwrap()
    }

    async fn pool(path: &Path) -> SqlitePool {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
        SqlitePool::connect_with(options).await.unwrap()
    }

    const FIRST: &str = "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('old');";
    const SECOND: &str = "UPDATE things SET name = 'new';";

    #[tokio::test]
    async fn a_migration_leaves_a_private_backup_of_what_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("onepool.db");
        let pool = pool(&path).await;
        let now = UnixMs(1_800_000_000_000);
        let first = migrations(&folder.path().join("one"), &[FIRST]).await;
        bring_up_to_date(&pool, &first, &path, now, true).await.unwrap();
        assert!(!folder.path().join("backups").exists(), "a new database has nothing to back up");

        let both = migrations(&folder.path().join("two"), &[FIRST, SECOND]).await;
        assert!(matches!(
            bring_up_to_date(&pool, &both, &path, now, false).await,
            Err(OpenError::OlderSchema { .. })
        ));
        bring_up_to_date(&pool, &both, &path, now, true).await.unwrap();

        let backups: Vec<_> = std::fs::read_dir(folder.path().join("backups")).unwrap().flatten().collect();
        let [backup] = &backups[..] else { panic!("{backups:?}") };
        assert_eq!(backup.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let name = |pool| async move {
            sqlx::query_scalar::<_, String>("SELECT name FROM things").fetch_one(&pool).await.unwrap()
        };
        assert_eq!(name(self::pool(&backup.path()).await).await, "old");
        assert_eq!(name(pool).await, "new");
    }

    #[tokio::test]
    async fn a_schema_from_the_future_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("onepool.db");
        let pool = pool(&path).await;
        let both = migrations(&folder.path().join("two"), &[FIRST, SECOND]).await;
        bring_up_to_date(&pool, &both, &path, UnixMs(0), true).await.unwrap();
        let first = migrations(&folder.path().join("one"), &[FIRST]).await;
        let refused = bring_up_to_date(&pool, &first, &path, UnixMs(0), true).await.unwrap_err();
        assert!(matches!(refused, OpenError::NewerSchema { found: 2, known: 1, .. }), "{refused}");
    }
}
