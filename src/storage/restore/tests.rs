//! Restores of real files, with a kill between any two steps.

use super::*;
use crate::{
    model::{id::UserId, secret::SecretHash, time::Clock},
    storage::{
        Db,
        recording::tests::{number, record},
        settle,
    },
};

const NOW: UnixMs = UnixMs(1_800_000_000_000);
const ASIDE: &str = "before-restore-20270115-080000";

fn key(name: &str) -> Secret {
    Secret::new(format!("{name}, a master key that is long enough"))
}

async fn open(path: &Path, key: &Secret) -> Db {
    Db::open(path, Vault::new(key), Clock::system()).await.unwrap()
}

/// A data folder under the key `a`, with these usage rows, a session, and a journal of one segment.
async fn data_folder(path: &Path, rows: std::ops::RangeInclusive<u32>) -> DataFolder {
    let folder = DataFolder::create(path).unwrap();
    folder::write_key(&folder.key_file(), &key("a")).unwrap();
    let db = open(&folder.database(), &key("a")).await;
    db.insert_usage(&rows.map(record).collect::<Vec<_>>()).await.unwrap();
    db.create_account("ann", "hash", false).await.unwrap();
    db.create_session(UserId(1), &SecretHash::of("cookie"), "", "", NOW).await.unwrap();
    db.close().await;
    fs::create_dir(folder.journal()).unwrap();
    fs::write(folder.journal().join("00000000000000000007.log"), "old rows").unwrap();
    folder
}

/// A backup of another folder, with three rows.
async fn backup(place: &Path) -> PathBuf {
    let folder = data_folder(&place.join("other"), 101..=103).await;
    let db = open(&folder.database(), &key("a")).await;
    let made = db.begin_backup(&place.join("backup.db")).await.unwrap().finish().await.unwrap();
    db.close().await;
    made.path
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn rows(folder: &DataFolder, key: &Secret) -> i64 {
    let db = Db::open_existing(&folder.database(), Vault::new(key), Clock::system()).await.unwrap();
    let rows = number(&db, "SELECT COUNT(*) FROM usage").await;
    db.close().await;
    rows
}

#[tokio::test]
async fn the_backup_takes_the_place_of_everything_and_no_session_comes_back() {
    let place = tempfile::tempdir().unwrap();
    let file = backup(place.path()).await;
    let folder = data_folder(&place.path().join("data"), 1..=2).await;
    let lock = folder.lock().unwrap();
    let prepared = prepare(&folder, &lock, &file, None).await.unwrap();
    assert_eq!((prepared.contents.usage_rows, prepared.contents.accounts), (3, 1));
    assert_eq!(rows(&folder, &key("a")).await, 2, "nothing has changed yet");
    let restored = prepared.commit(NOW).unwrap();

    let aside = folder.path().join(ASIDE);
    assert_eq!(restored.moved_to.as_deref(), Some(aside.as_path()));
    assert_eq!(names(folder.path()), [ASIDE, "journal", "onepool.db", "onepool.lock", "secret.key"]);
    assert_eq!(names(&folder.journal()), Vec::<String>::new(), "old rows must not reach the new database");
    assert_eq!(names(&aside.join("journal")), ["00000000000000000007.log"]);
    let db = open(&folder.database(), &key("a")).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM usage").await, 3);
    assert_eq!(number(&db, "SELECT COUNT(*) FROM sessions").await, 0);
    db.close().await;
    assert!(file.exists(), "the backup itself stays");

    // And back again, from the folder that was moved aside: its journal comes along.
    let prepared = prepare(&folder, &lock, &aside.join("onepool.db"), None).await.unwrap();
    prepared.commit(NOW).unwrap();
    assert_eq!(rows(&folder, &key("a")).await, 2);
    assert_eq!(fs::read_to_string(folder.journal().join("00000000000000000007.log")).unwrap(), "old rows");
    assert!(folder.path().join(format!("{ASIDE}-2/onepool.db")).exists());
}

#[tokio::test]
async fn a_kill_between_any_two_steps_ends_in_the_new_database_with_the_old_one_kept() {
    for killed_after in 0.. {
        let place = tempfile::tempdir().unwrap();
        let file = backup(place.path()).await;
        let folder = data_folder(&place.path().join("data"), 1..=2).await;
        folder::write_key(&folder.key_file(), &key("b")).unwrap();
        for end in ["-wal", "-shm"] {
            fs::write(with_end(&folder.database(), end), end).unwrap();
        }
        let lock = folder.lock().unwrap();
        let prepared = prepare(&folder, &lock, &file, Some(&key("a"))).await.unwrap();
        assert!(prepared.changes_key);
        prepared.decide(NOW).unwrap();
        let ready = folder.decided_restores().unwrap().remove(0);
        let mut steps = 0;
        while steps < killed_after
            && let Some(step) = next_step(folder.path(), &ready).unwrap()
        {
            assert!(
                matches!(DataFolder::existing(folder.path()), Err(FolderError::Unfinished { .. })),
                "nobody may open a mixture: {step:?}"
            );
            step.run().unwrap();
            steps += 1;
        }
        let was_done = next_step(folder.path(), &ready).unwrap().is_none();
        settle(&folder, &lock, NOW).await.unwrap();

        assert_eq!(names(folder.path()), [ASIDE, "journal", "onepool.db", "onepool.lock", "secret.key"]);
        assert_eq!(rows(&folder, &folder.master_key(None).unwrap()).await, 3, "after {steps} steps");
        let aside = folder.path().join(ASIDE);
        assert_eq!(
            names(&aside),
            ["journal", "onepool.db", "onepool.db-shm", "onepool.db-wal", "secret.key"],
            "after {steps} steps"
        );
        assert_eq!(folder::read_key(&aside.join("secret.key")).unwrap(), Some(key("b")));
        assert_eq!(names(&aside.join("journal")), ["00000000000000000007.log"]);
        if was_done {
            assert!(steps >= 8, "{steps}");
            return;
        }
    }
}

#[tokio::test]
async fn a_kill_before_the_decision_leaves_the_old_database() {
    let place = tempfile::tempdir().unwrap();
    let file = backup(place.path()).await;
    let folder = data_folder(&place.path().join("data"), 1..=2).await;
    let lock = folder.lock().unwrap();
    let before = names(folder.path());
    std::mem::forget(prepare(&folder, &lock, &file, None).await.unwrap());
    assert!(folder.path().join(DRAFT).exists());
    // Whatever is left of one does not disturb the next, nor a start.
    drop(prepare(&folder, &lock, &file, None).await.unwrap());
    assert_eq!(names(folder.path()), before);
    std::mem::forget(prepare(&folder, &lock, &file, None).await.unwrap());
    settle(&folder, &lock, NOW).await.unwrap();
    assert_eq!(names(folder.path()), before);
    assert_eq!(rows(&folder, &key("a")).await, 2);
}

#[tokio::test]
async fn an_empty_folder_takes_a_backup_if_it_has_the_key() {
    let place = tempfile::tempdir().unwrap();
    let file = backup(place.path()).await;
    let folder = DataFolder::create(&place.path().join("empty")).unwrap();
    let lock = folder.lock().unwrap();
    let error = prepare(&folder, &lock, &file, None).await.err().unwrap();
    assert!(matches!(error, RestoreError::NoKey { .. }), "{error}");
    let error = prepare(&folder, &lock, &file, Some(&key("b"))).await.err().unwrap();
    assert!(matches!(error, RestoreError::WrongMasterKey { .. }), "{error}");
    assert_eq!(names(folder.path()), ["onepool.lock"], "no key was made up, and nothing is left");

    let prepared = prepare(&folder, &lock, &file, Some(&key("a"))).await.unwrap();
    assert!(!prepared.changes_key, "a key that is kept elsewhere stays there");
    assert!(prepared.commit(NOW).unwrap().moved_to.is_none());
    assert_eq!(names(folder.path()), ["journal", "onepool.db", "onepool.lock"]);
    assert_eq!(rows(&folder, &key("a")).await, 3);
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_brought_up_to_date_by_the_next_start() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("old.db");
    fs::write(&file, "").unwrap();
    let mut connection = check::open_alone(&file).await.unwrap();
    crate::storage::migrate::MIGRATIONS.run_direct(Some(1), &mut connection, false).await.unwrap();
    sqlx::query("INSERT INTO meta (name, value) VALUES ('canary', $1)")
        .bind(Vault::new(&key("a")).canary())
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();

    let folder = DataFolder::create(&place.path().join("data")).unwrap();
    let lock = folder.lock().unwrap();
    let prepared = prepare(&folder, &lock, &file, Some(&key("a"))).await.unwrap();
    assert_eq!(prepared.contents.schema, 1);
    prepared.commit(NOW).unwrap();
    let db = open(&folder.database(), &key("a")).await;
    let schema = number(&db, "SELECT MAX(version) FROM _sqlx_migrations").await;
    assert_eq!(schema, check::known_schema());
    assert!(schema > 1);
}

/// Changes a copy of a backup with SQL.
async fn changed(file: &Path, sql: &'static str) -> PathBuf {
    let copy = file.with_file_name("changed.db");
    fs::copy(file, &copy).unwrap();
    let mut connection = check::open_alone(&copy).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    copy
}

#[tokio::test]
async fn what_is_not_an_intact_backup_of_a_known_schema_is_refused_and_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let file = backup(place.path()).await;
    let folder = data_folder(&place.path().join("data"), 1..=2).await;
    let lock = folder.lock().unwrap();
    let before = names(folder.path());
    let refused = async |file: &Path| {
        let error = prepare(&folder, &lock, file, None).await.err().expect("a refusal");
        assert_eq!(names(folder.path()), before, "{error}");
        error
    };

    assert!(matches!(refused(&place.path().join("missing.db")).await, RestoreError::Unreadable { .. }));
    assert!(matches!(refused(place.path()).await, RestoreError::Unreadable { .. }), "a folder");
    let bytes = fs::read(&file).unwrap();
    let bad = place.path().join("bad.db");
    for text in [&b""[..], b"SQLite", b"-- a dump in SQL\n\n\n"] {
        fs::write(&bad, text).unwrap();
        assert!(matches!(refused(&bad).await, RestoreError::NoDatabase { .. }));
    }
    for length in [16, 100, 4096, bytes.len() / 2, bytes.len() - 4096] {
        fs::write(&bad, &bytes[..length]).unwrap();
        let error = refused(&bad).await;
        assert!(matches!(error, RestoreError::Damaged { .. }), "{length} bytes: {error:?}");
    }
    let mut zeros = bytes.clone();
    zeros[4096..3 * 4096].fill(0);
    fs::write(&bad, zeros).unwrap();
    assert!(matches!(refused(&bad).await, RestoreError::Damaged { .. }));

    let newer = changed(
        &file,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'future', TRUE, X'00', 0)",
    )
    .await;
    let error = refused(&newer).await;
    let RestoreError::NewerSchema { found: 9999, known, .. } = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("9999") && error.to_string().contains(&known.to_string()));
    let other = changed(&file, "UPDATE _sqlx_migrations SET checksum = X'00'").await;
    assert!(matches!(refused(&other).await, RestoreError::NotOurs { .. }));
    let no_canary = changed(&file, "DELETE FROM meta").await;
    assert!(matches!(refused(&no_canary).await, RestoreError::NotOurs { .. }));
    let foreign = changed(&file, "DROP TABLE meta; CREATE TABLE x (y TEXT)").await;
    assert!(matches!(refused(&foreign).await, RestoreError::NotOurs { .. }));
    assert_eq!(rows(&folder, &key("a")).await, 2);
}

#[tokio::test]
async fn the_database_of_a_running_server_is_not_copied_as_bytes() {
    let place = tempfile::tempdir().unwrap();
    let other = data_folder(&place.path().join("other"), 1..=2).await;
    let _runs = other.lock().unwrap();
    let folder = DataFolder::create(&place.path().join("data")).unwrap();
    let lock = folder.lock().unwrap();
    let error = prepare(&folder, &lock, &other.database(), Some(&key("a"))).await.err().unwrap();
    assert!(matches!(error, RestoreError::Folder(FolderError::InUse { .. })), "{error}");
}
