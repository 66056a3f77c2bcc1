//! A new master key, with kills at any moment.

use std::fs;

use tokio::time::Instant;

use super::{
    Fake, Folder, MASTER_KEY, alone,
    backup::{KILLS, command, kill_after, run},
    client,
};

/// The settings of a folder that has its own key.
const OWN_KEY: &[(&str, &str)] = &[("SECRET_KEY", "")];
const ROTATE: &[&str] = &["admin", "rotate-key"];

/// A data folder with the master key in it.
async fn folder_with_key(fake: &Fake) -> Folder {
    let folder = Folder::new(fake, &[]).await;
    fs::write(folder.data().join("secret.key"), format!("{MASTER_KEY}\n")).expect("a key");
    folder
}

/// Whether a server starts on the folder, and opens the upstream key for a call.
async fn serves(folder: &Folder, settings: &[(&str, &str)]) {
    let mut server = folder.start(settings);
    let reply = server.chat(&client(), "m", false, "words=3").await.expect("an answer");
    assert!(reply.status == 200 && reply.whole, "{}", reply.text());
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
}

fn key_of(folder: &Folder) -> String {
    fs::read_to_string(folder.data().join("secret.key")).expect("a key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_in_the_middle_of_rotations_leave_a_folder_that_opens() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = folder_with_key(&fake).await;
    let began = Instant::now();
    let (code, out, error) = run(&folder.data(), ROTATE, OWN_KEY);
    let whole = began.elapsed();
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("keys: 1") && out.contains("secret.key.until-"), "{out}");
    let mut outcomes = [0, 0];
    for round in 1..=KILLS {
        let before = key_of(&folder);
        kill_after(command(&folder.data(), ROTATE, OWN_KEY), whole * round / KILLS).await;
        serves(&folder, OWN_KEY).await;
        assert!(!folder.data().join("secret.key.new").exists(), "round {round}");
        outcomes[usize::from(key_of(&folder) != before)] += 1;
    }
    println!("kills of a rotation ({whole:?}): {} old keys, {} new keys", outcomes[0], outcomes[1]);
    assert!(outcomes[0] > 0, "{outcomes:?}: no kill was early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_from_outside_is_rotated_to_one_that_the_operator_names() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = Folder::new(&fake, &[]).await;
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let (backup, new_key, old_key) = (path("backup.db"), path("new.key"), path("old.key"));
    fs::write(&old_key, MASTER_KEY).expect("a key");
    assert_eq!(run(&folder.data(), &["backup", &backup], &[]).0, Some(0));

    let (code, _, error) = run(&folder.data(), ROTATE, &[]);
    assert!(code == Some(2) && error.contains("--new-key-file"), "{error}");
    let (code, _, error) = run(&folder.data(), ROTATE, &[("LANG", "zh_CN.UTF-8")]);
    assert!(code == Some(2) && error.contains("新密钥也需由您保存"), "{error}");
    let short = path("short.key");
    fs::write(&short, "short").expect("a key");
    let (code, _, error) = run(&folder.data(), &["admin", "rotate-key", "--new-key-file", &short], &[]);
    assert!(code == Some(2) && error.contains("32 characters"), "{error}");
    let same = ["admin", "rotate-key", "--new-key-file", &old_key];
    let (code, _, error) = run(&folder.data(), &same, &[]);
    assert!(code == Some(2) && error.contains("in force"), "{error}");

    let rotate = ["admin", "rotate-key", "--new-key-file", &new_key];
    let mut server = folder.start(&[]);
    let (code, _, error) = run(&folder.data(), &rotate, &[]);
    assert!(code == Some(1) && error.contains("another onepool runs"), "{error}");
    server.signal("TERM");
    assert_eq!(server.exit().await, Some(0));
    let (code, out, error) = run(&folder.data(), &rotate, &[]);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("SECRET_KEY_FILE") && out.contains(&new_key) && out.contains("old key"), "{out}");
    let key = fs::read_to_string(&new_key).expect("the new key");
    assert!(!out.contains(key.trim()) && !folder.data().join("secret.key").exists());

    let (code, _, error) = run(&folder.data(), &["backup"], &[]);
    assert!(code == Some(1) && error.contains("master key does not open"), "{error}");
    let given = [("SECRET_KEY", ""), ("SECRET_KEY_FILE", new_key.as_str())];
    serves(&folder, &given).await;

    // A backup from before needs the old key, and says so.
    let restore = ["restore", &backup, "--yes"];
    let (code, _, error) = run(&folder.data(), &restore, &given);
    assert!(code == Some(1) && error.contains("in force when the backup was made"), "{error}");
    let with_old_key = ["restore", &backup, "--yes", "--secret-key-file", &old_key];
    assert_eq!(run(&folder.data(), &with_old_key, &given).0, Some(0));
    serves(&folder, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_from_before_a_rotation_brings_its_key_back_into_the_folder() {
    let _alone = alone().await;
    let fake = Fake::start();
    let folder = folder_with_key(&fake).await;
    assert_eq!(run(&folder.data(), &["backup"], OWN_KEY).0, Some(0));
    assert_eq!(run(&folder.data(), ROTATE, OWN_KEY).0, Some(0));
    let find = |place: &str, begin: &str| {
        let entries = fs::read_dir(folder.data().join(place)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(begin)).map(|name| folder.data().join(place).join(name)).next()
    };
    let backup = find("backups", "onepool-").expect("a backup").to_string_lossy().into_owned();
    let old_key = find("", "secret.key.until-").expect("the old key").to_string_lossy().into_owned();
    let (rotated, arguments) =
        (key_of(&folder), ["restore", &backup, "--yes", "--secret-key-file", &old_key]);
    let (code, out, error) = run(&folder.data(), &arguments, OWN_KEY);
    assert_eq!(code, Some(0), "{error}");
    assert!(out.contains("is now the key that you gave"), "{out}");
    assert_eq!(key_of(&folder).trim(), MASTER_KEY);
    let aside = find("", "before-restore-").expect("the old files");
    assert_eq!(fs::read_to_string(aside.join("secret.key")).expect("its key"), rotated);
    serves(&folder, OWN_KEY).await;
}
