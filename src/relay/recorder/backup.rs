//! A backup with nothing missing: the database, and the rows that wait in the journal.

use std::{io, path::Path};

use super::journal;
use crate::storage::{
    Db,
    backup::{Backup, BackupError},
};

/// Rows per transaction.
const ROWS_AT_A_TIME: usize = 1_000;

/// Makes a backup of a database, in use or not, as the file `target`, which must not exist yet: one file, mode 0600,
/// consistent, with the row of every call that was recorded before this began, checked, and under its name only when all of
/// that is done. Rows are known by their request ids, so that those which the server copies meanwhile count once.
///
/// Secrets stay sealed; the master key is not in it. Dropping the future leaves nothing behind.
pub async fn make(db: &Db, journal: &Path, target: &Path) -> Result<Backup, BackupError> {
    let unreadable = |error: io::Error| BackupError::Journal { reason: error.to_string() };
    let folder = journal.to_path_buf();
    // Opened before the database is copied: whatever is deleted from the journal later is read here all the same.
    let segments = blocking(move || journal::open_segments(&folder)).await.map_err(unreadable)?;
    let mut draft = db.begin_backup(target).await?;
    for mut segment in segments {
        let rows = blocking(move || journal::read_rows(&mut segment)).await.map_err(unreadable)?;
        for rows in rows.chunks(ROWS_AT_A_TIME) {
            draft.add_usage(rows).await?;
        }
    }
    draft.finish().await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Write as _,
    };

    use super::*;
    use crate::storage::recording::tests::{all_sums, number, open, record};

    #[tokio::test]
    async fn rows_of_the_journal_are_in_the_backup_once_and_a_torn_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        db.insert_usage(&[record(1), record(2)]).await.unwrap();
        let journal = folder.path().join("journal");
        fs::create_dir(&journal).unwrap();
        fs::write(journal.join("lock"), "").unwrap();
        let lines =
            |numbers: &[u32]| numbers.iter().flat_map(|n| journal::encode(&record(*n))).collect::<Vec<_>>();
        fs::write(journal.join("00000000000000000001.log"), lines(&[2, 3])).unwrap();
        let mut written = File::create(journal.join("00000000000000000002.log")).unwrap();
        written.write_all(&lines(&[4])).unwrap();
        written.write_all(&lines(&[5])[..30]).unwrap();

        let target = folder.path().join("copy/onepool.db");
        fs::create_dir(folder.path().join("copy")).unwrap();
        let backup = make(&db, &journal, &target).await.unwrap();
        assert_eq!(backup.contents.usage_rows, 4);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM usage").await, 2, "the database itself is left alone");
        let copy = open(target.parent().unwrap()).await;
        assert_eq!(all_sums(&copy).await.requests, 4);
    }

    #[tokio::test]
    async fn a_folder_without_a_journal_is_backed_up_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let backup = make(&db, &folder.path().join("journal"), &folder.path().join("copy.db")).await.unwrap();
        assert_eq!(backup.contents.usage_rows, 0);
    }
}
