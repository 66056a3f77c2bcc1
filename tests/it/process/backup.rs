//! Backups of a running server, and what a restore makes of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use sqlx::Connection as _;
use tokio::time::Instant;

use super::{Fake, Folder, KEY, MASTER_KEY, SOON, alone, beside, chat, client, program};
use crate::support::app::{self, TOKEN};

/// Kills per command.
pub(super) const KILLS: u32 = 24;

/// A command on a data folder, which begins with the master key of all folders here.
pub(super) fn command(data: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("DATA_DIR", data).env("SECRET_KEY", MASTER_KEY).args(arguments);
    command.envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; gives its code and what it printed.
pub(super) fn run(
    data: &Path,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        command(data, arguments, settings).output().expect("the command runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Starts a command, and kills it after a while if it has not ended by itself.
pub(super) async fn kill_after(mut command: Command, delay: Duration) {
    let mut child: Child = command.spawn().expect("the command starts");
    tokio::time::sleep(delay).await;
    let _ = child.kill();
    child.wait().expect("it ran");
}

/// Makes a backup; gives the JSON that it prints.
fn back_up(folder: &Folder, target: &Path) -> Value {
    let (code, out, error) = run(&folder.data(), &["backup", &target.to_string_lossy(), "--json"], &[]);
    assert_eq!(code, Some(0), "{error}");
    serde_json::from_str(&out).expect("JSON")
}

/// An empty place for a data folder.
fn empty() -> Folder {
    Folder { folder: tempfile::tempdir().expect("a folder") }
}

fn restore(folder: &Folder, file: &Path) {
    let (code, out, error) = run(&folder.data(), &["restore", &file.to_string_lossy()], &[]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("All sessions have ended"), "{out}");
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy_folder(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("a copy");
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_every_call_that_was_answered_before_and_restores() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let server = folder.start(&[]);
    let (answers, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (answers, stop, address) = (answers.clone(), stop.clone(), server.address);
            beside(async move {
                let http = client();
                while !stop.load(Ordering::Relaxed) {
                    let reply = chat(&http, address, "m", true, "words=3", "").await.expect("an answer");
                    assert!(reply.done(), "{}", reply.text());
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let place = tempfile::tempdir().expect("a folder");
    let mut made: Vec<(PathBuf, usize, Value)> = Vec::new();
    for number in 0..4 {
        let (began, wanted) = (Instant::now(), 20 * (number + 1));
        while answers.load(Ordering::Relaxed) < wanted && began.elapsed() < SOON {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let target = place.path().join(format!("{number}.db"));
        let before = answers.load(Ordering::Relaxed);
        let printed = tokio::task::block_in_place(|| back_up(&folder, &target));
        made.push((target, before, printed));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("a client");
    }
    drop(server);
    assert_eq!(names(place.path()), ["0.db", "1.db", "2.db", "3.db"], "one file each");

    for (file, answered, printed) in &made {
        let bytes = fs::read(file).expect("a backup");
        assert_eq!(fs::metadata(file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(printed["bytes"], bytes.len());
        assert_eq!(
            (&printed["channels"], &printed["keys"], &printed["tokens"]),
            (&1.into(), &1.into(), &1.into())
        );
        for secret in [KEY, TOKEN, MASTER_KEY] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
        let rows = printed["usage_rows"].as_u64().expect("a count") as usize;
        assert!(rows >= *answered, "{rows} rows, but {answered} answers came before");
        let restored = empty();
        restore(&restored, file);
        restored.check_sums().await;
        assert_eq!(restored.rows().await.len(), rows);
    }
    println!(
        "backups under load: {:?} rows",
        made.iter().map(|(_, _, made)| &made["usage_rows"]).collect::<Vec<_>>()
    );

    let restored = empty();
    restore(&restored, &made[0].0);
    let mut server = restored.start(&[]);
    assert!(server.chat(&client(), "m", false, "words=3").await.expect("an answer").whole);
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    restored.check_sums().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_tells_where_it_is_and_refuses_what_would_lose_something() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let (code, out, _) = run(&folder.data(), &["backup"], &[]);
    assert_eq!(code, Some(0));
    let [file] = &names(&folder.data().join("backups"))[..] else { panic!("one backup") };
    assert!(file.starts_with("onepool-20") && out.contains(file.as_str()), "{out}");
    assert!(out.contains("the master key is not in it") && out.contains("channels: 1"), "{out}");

    let file = folder.data().join("backups").join(file);
    let again = ["backup", &file.to_string_lossy()];
    let (code, _, error) = run(&folder.data(), &again, &[]);
    assert!(code == Some(1) && error.contains("exists already"), "{error}");
    let (code, _, error) = run(&folder.data(), &again, &[("LANG", "zh_CN.UTF-8")]);
    assert!(code == Some(1) && error.contains("已存在"), "{error}");
    let (code, _, error) = run(&folder.data(), &["backup", "/no/such/folder/x.db"], &[]);
    assert!(code == Some(1) && error.contains("/no/such/folder/x.db"), "{error}");
    let place = tempfile::tempdir().expect("a folder");
    let (code, _, error) = run(place.path(), &["backup"], &[]);
    assert!(code == Some(1) && error.contains("no database"), "{error}");
    assert_eq!(run(&folder.data(), &["backup", "--yaml"], &[]).0, Some(2));
    // A folder as the place.
    let (code, ..) = run(&folder.data(), &["backup", &place.path().to_string_lossy()], &[]);
    assert!(code == Some(0) && names(place.path())[0].starts_with("onepool-20"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_asks_before_it_replaces_and_never_touches_a_running_server() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("backup.db");
    back_up(&folder, &file);
    let arguments = ["restore", &file.to_string_lossy()];
    let mut server = folder.start(&[]);
    assert!(server.chat(&client(), "m", false, "words=3").await.expect("an answer").whole);
    folder.rows_once(1).await;
    let (code, _, error) = run(&folder.data(), &["restore", &file.to_string_lossy(), "--yes"], &[]);
    assert!(code == Some(1) && error.contains("another onepool runs"), "{error}");
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));

    let (code, _, error) = run(&folder.data(), &arguments, &[]);
    assert!(code == Some(2) && error.contains("--yes"), "{error}");
    let (code, _, error) = run(&folder.data(), &arguments, &[("LC_ALL", "zh_CN.UTF-8")]);
    assert!(code == Some(2) && error.contains("--yes") && error.contains("已有数据库"), "{error}");
    assert_eq!(run(&folder.data(), &["restore"], &[]).0, Some(2));
    let (code, _, error) = run(&folder.data(), &["restore", "Cargo.toml", "--yes"], &[]);
    assert!(code == Some(1) && error.contains("not an SQLite database"), "{error}");
    let other_key = [("SECRET_KEY", "another master key of 32 characters or more")];
    let (code, _, error) = run(&folder.data(), &["restore", &file.to_string_lossy(), "--yes"], &other_key);
    assert!(code == Some(1) && error.contains("--secret-key-file"), "{error}");
    assert_eq!(folder.rows().await.len(), 1, "nothing of this has changed anything");

    let (code, out, error) = run(&folder.data(), &["restore", &file.to_string_lossy(), "--yes"], &[]);
    assert_eq!(code, Some(0), "{error}");
    let aside = names(&folder.data()).into_iter().find(|name| name.starts_with("before-restore-"));
    let aside = folder.data().join(aside.expect("the old files"));
    assert!(out.contains(&*aside.to_string_lossy()), "{out}");
    assert_eq!(folder.rows().await.len(), 0);
    assert_eq!(app::usage_rows(&aside.join("onepool.db")).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_restores_leave_the_old_or_the_new_and_no_phantom_row() {
    let _alone = alone().await;
    let fake = Fake::start();
    let template = Folder::new(&fake, &[]).await;
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("backup.db");
    let mut server = template.start(&[]);
    let http = client();
    assert!(server.chat(&http, "m", false, "words=3").await.expect("an answer").whole);
    template.rows_once(1).await;
    back_up(&template, &file);
    // Three rows stay in the journal, because the database is locked until the server is killed.
    let url = format!("sqlite://{}", template.database().display());
    let mut foreign = sqlx::SqliteConnection::connect(&url).await.expect("the database");
    let lock = foreign.begin_with("BEGIN IMMEDIATE").await.expect("the lock");
    for _ in 0..3 {
        assert!(server.chat(&http, "m", false, "words=3").await.expect("an answer").whole);
    }
    server.kill();
    lock.rollback().await.expect("the lock goes");
    foreign.close().await.expect("closed");
    let (old, new) = (4, 1);
    // A backup of the stopped server has them too.
    assert_eq!(back_up(&template, &place.path().join("stopped.db"))["usage_rows"], old);

    let arguments = ["restore", &file.to_string_lossy(), "--yes"];
    let (mut whole, mut outcomes) = (Duration::ZERO, [0, 0]);
    for round in 0..=KILLS {
        let folder = empty();
        copy_folder(&template.data(), &folder.data());
        if round == 0 {
            let began = Instant::now();
            assert_eq!(run(&folder.data(), &arguments, &[]).0, Some(0));
            whole = began.elapsed();
        } else {
            kill_after(command(&folder.data(), &arguments, &[]), whole * round / KILLS).await;
        }
        let mut server = folder.start(&[]);
        let rows = folder.rows().await.len();
        assert!(
            rows == old || rows == new,
            "round {round}: {rows} rows are neither the old nor the new ones"
        );
        outcomes[usize::from(rows == new)] += 1;
        folder.check_sums().await;
        server.signal("TERM");
        assert_eq!(server.exit().await, Some(0));
        let left: Vec<_> =
            names(&folder.data()).into_iter().filter(|name| name.starts_with("restore")).collect();
        assert!(left.is_empty(), "{left:?}");
        let aside = names(&folder.data()).into_iter().find(|name| name.starts_with("before-restore-"));
        assert_eq!(aside.is_some(), rows == new);
        if let Some(aside) = aside {
            // What was there before is whole, with the rows of its journal.
            let back = empty();
            restore(&back, &folder.data().join(aside).join("onepool.db"));
            let mut server = back.start(&[]);
            assert_eq!(back.rows().await.len(), old);
            server.signal("TERM");
            assert_eq!(server.exit().await, Some(0));
        }
    }
    println!("kills of a restore ({whole:?}): {} old, {} new, 0 mixtures", outcomes[0], outcomes[1]);
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}: no kill was early, or none was late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_makes_backups_by_itself_and_keeps_as_many_as_it_is_told() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let backups = folder.data().join("backups");
    fs::create_dir(&backups).expect("a folder");
    for name in ["scheduled-20200101-000000.db", "scheduled-20200102-000000.db", "onepool-20200101-000000.db"]
    {
        fs::write(backups.join(name), "old").expect("a file");
    }
    let mut server = folder.start(&[("BACKUP_EVERY_HOURS", "24"), ("BACKUP_KEEP", "2")]);
    let began = Instant::now();
    while backups.join("scheduled-20200101-000000.db").exists() {
        assert!(began.elapsed() < SOON, "{}", folder.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = names(&backups);
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(left[..2], ["onepool-20200101-000000.db", "scheduled-20200102-000000.db"]);
    assert!(folder.log().contains("made a backup"), "{}", folder.log());
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    restore(&empty(), &backups.join(&left[2]));
    // A start within the day makes none.
    drop(folder.start(&[("BACKUP_EVERY_HOURS", "24"), ("BACKUP_KEEP", "2")]));
    assert_eq!(names(&backups), left);
}
