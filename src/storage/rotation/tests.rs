//! Rotations of real folders, with kills before and after the commit.

use std::collections::BTreeSet;

use super::*;
use crate::{
    model::{
        key::PastedKey,
        notice::{EventKind, NewTarget, Policy, Transport, Webhook},
        token::ClientProfile,
    },
    storage::{channels::NewChannel, keys::KeyAdded, on, settle, tokens::NewToken},
};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn key(name: &str) -> Secret {
    Secret::new(format!("{name}, a master key that is long enough"))
}

fn pasted(secret: &str) -> PastedKey {
    PastedKey {
        label: String::new(),
        secret: Secret::new(secret),
        quota_group: None,
        limits: Vec::new(),
        budget: None,
    }
}

fn token(name: &str, value: &str) -> NewToken {
    NewToken {
        name: name.into(),
        value: Secret::new(value),
        models: vec![],
        groups: vec![],
        cidrs: vec![],
        expires_at: None,
        quota: None,
        requests_per_minute: None,
        weight: 1,
        profile: ClientProfile::Generic,
        note: String::new(),
        enabled: true,
    }
}

/// A folder under its own key `old`, with everything that is sealed, some of it deleted.
async fn data_folder(path: &Path) -> DataFolder {
    let folder = DataFolder::create(path).unwrap();
    folder::write_key(&folder.key_file(), &key("old")).unwrap();
    let db = open(&folder, &key("old")).await.unwrap();
    for name in ["a", "b"] {
        let channel = NewChannel {
            name: name.into(),
            base_url: "https://example.com/v1".into(),
            headers: vec![("x-key".into(), Secret::new("header secret"))],
            proxy: (name == "a").then(|| Secret::new("socks5://user:proxy-secret@proxy:1080")),
            ..NewChannel::default()
        };
        let id = db.create_channel(&channel).await.unwrap();
        db.add_keys(id, &[pasted("sk-upstream-one"), pasted("sk-upstream-two")]).await.unwrap();
    }
    let gone = db.create_channel(&NewChannel { name: "gone".into(), ..NewChannel::default() }).await.unwrap();
    db.add_keys(gone, &[pasted("sk-upstream-gone")]).await.unwrap();
    db.delete_channel(gone).await.unwrap();
    let id = db.create_token(&token("t", "sk-first-value-of-the-token")).await.unwrap();
    db.rotate_token(id, &Secret::new("sk-second-value-of-the-token"), std::time::Duration::from_secs(60))
        .await
        .unwrap();
    db.create_notice_target(&NewTarget {
        name: "ops".into(),
        enabled: true,
        kinds: vec![EventKind::KeyInvalid],
        language: "en".into(),
        policy: Policy::default(),
        allow_private: false,
        transport: Transport::Webhook(Webhook {
            url: Secret::new("https://hooks.example/secret-path"),
            header: Some(("x-secret".into(), Secret::new("a secret of the receiver"))),
        }),
    })
    .await
    .unwrap();
    db.close().await;
    folder
}

async fn open(folder: &DataFolder, key: &Secret) -> Result<Db, OpenError> {
    Db::open(&folder.database(), Vault::new(key), Clock::manual(NOW)).await
}

/// Everything secret, as it opens with this key.
async fn secrets(folder: &DataFolder, key: &Secret) -> Vec<String> {
    let db = open(folder, key).await.unwrap();
    let mut all = Vec::new();
    for (channel, keys) in db.channels_with_keys().await.unwrap() {
        all.extend(channel.headers.iter().map(|(_, value)| value.expose().to_owned()));
        all.extend(channel.proxy.iter().map(|proxy| proxy.expose().to_owned()));
        // Adding a key again finds it by its keyed hash.
        let again = db.add_keys(channel.id, &[pasted("sk-upstream-one")]).await.unwrap();
        assert_eq!(again, [KeyAdded::Duplicate]);
        all.extend(keys.iter().map(|key| key.secret.expose().to_owned()));
    }
    for token in db.tokens().await.unwrap() {
        all.push(db.reveal_token(token.id).await.unwrap().expose().to_owned());
    }
    for target in db.notice_targets().await.unwrap() {
        let Transport::Webhook(webhook) = target.set.transport else { panic!("a webhook") };
        let header = webhook.header.map(|(_, value)| value.expose().to_owned());
        all.extend([webhook.url.expose().to_owned()].into_iter().chain(header));
    }
    db.close().await;
    all
}

fn names(folder: &DataFolder) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every box that is sealed now.
async fn boxes(folder: &DataFolder, key: &Secret) -> Vec<Vec<u8>> {
    const SQL: &str =
        "SELECT headers_sealed FROM channels UNION ALL SELECT proxy_sealed FROM channels UNION ALL
         SELECT secret_sealed FROM keys UNION ALL SELECT sealed FROM token_values UNION ALL
         SELECT config_sealed FROM notice_targets";
    let db = open(folder, key).await.unwrap();
    let all: Vec<Option<Vec<u8>>> = on!(db.read, |pool| sqlx::query_scalar(SQL).fetch_all(pool)).unwrap();
    db.close().await;
    all.into_iter().flatten().filter(|sealed| !sealed.is_empty()).collect()
}

#[tokio::test]
async fn everything_opens_with_the_new_key_and_no_box_of_the_old_one_is_left_in_the_file() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    let lock = folder.lock().unwrap();
    let before = secrets(&folder, &key("old")).await;
    assert_eq!(before.len(), 2 + 1 + 4 + 1 + 2);
    let old_boxes = boxes(&folder, &key("old")).await;
    assert_eq!(old_boxes.len(), 2 + 1 + 4 + 2 + 1);

    let rotated = rotate(&folder, &lock, None, &key("new"), Clock::manual(NOW)).await.unwrap();

    assert_eq!(rotated.resealed, Resealed { channels: 2, keys: 4, token_values: 2, notice_targets: 1 });
    assert_eq!(folder.master_key(None).unwrap(), key("new"));
    assert_eq!(secrets(&folder, &key("new")).await, before);
    assert!(matches!(open(&folder, &key("old")).await, Err(OpenError::WrongMasterKey { .. })));
    let old_key = rotated.old_key.unwrap();
    assert_eq!(folder::read_key(&old_key).unwrap(), Some(key("old")));
    assert_eq!(
        names(&folder),
        ["onepool.db", "onepool.lock", "secret.key", "secret.key.until-20270115-080000"]
    );
    let bytes = fs::read(folder.database()).unwrap();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(!old_boxes.iter().any(|sealed| holds(sealed)), "an old box is still in the file");
    assert!(boxes(&folder, &key("new")).await.iter().all(|sealed| holds(sealed)), "the search finds nothing");
}

#[tokio::test]
async fn a_key_from_outside_changes_no_file_but_the_database() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    fs::remove_file(folder.key_file()).unwrap();
    let lock = folder.lock().unwrap();
    let rotated = rotate(&folder, &lock, Some(&key("old")), &key("new"), Clock::manual(NOW)).await.unwrap();
    assert_eq!(rotated.old_key, None);
    assert_eq!(names(&folder), ["onepool.db", "onepool.lock"]);
    open(&folder, &key("new")).await.unwrap();
}

#[tokio::test]
async fn a_kill_before_the_commit_leaves_the_old_key_and_after_it_the_new_one() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    let lock = folder.lock().unwrap();
    // Killed when the new key was written.
    folder::write_key(&folder.next_key_file(), &key("new")).unwrap();
    fs::write(folder.path().join("secret.key.new.draft"), "half a k").unwrap();
    assert!(matches!(DataFolder::existing(folder.path()), Err(FolderError::Unfinished { .. })));
    settle(&folder, &lock, NOW).await.unwrap();
    assert_eq!(names(&folder), ["onepool.db", "onepool.lock", "secret.key"]);
    open(&folder, &folder.master_key(None).unwrap()).await.unwrap().close().await;

    // Killed after the commit.
    folder::write_key(&folder.next_key_file(), &key("new")).unwrap();
    let db = open(&folder, &key("old")).await.unwrap();
    db.reseal(&Vault::new(&key("new"))).await.unwrap();
    db.close().await;
    assert!(matches!(DataFolder::existing(folder.path()), Err(FolderError::Unfinished { .. })));
    settle(&folder, &lock, NOW).await.unwrap();
    assert_eq!(folder.master_key(None).unwrap(), key("new"));
    open(&folder, &key("new")).await.unwrap().close().await;
    // Killed again, when the old key was kept, but not yet replaced: one more copy of it does no harm.
    fs::rename(folder.key_file(), folder.next_key_file()).unwrap();
    folder::write_key(&folder.key_file(), &key("old")).unwrap();
    settle(&folder, &lock, NOW).await.unwrap();
    assert_eq!(folder.master_key(None).unwrap(), key("new"));
    assert!(!folder.next_key_file().exists());
}

#[tokio::test]
async fn a_rotation_that_fails_leaves_everything_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    let lock = folder.lock().unwrap();
    let before = names(&folder);
    let rotate_to = async |given: Option<Secret>, new: Secret| {
        rotate(&folder, &lock, given.as_ref(), &new, Clock::manual(NOW)).await
    };
    assert!(matches!(rotate_to(None, key("old")).await, Err(RotateError::SameKey)));
    assert!(matches!(
        rotate_to(Some(key("wrong")), key("new")).await,
        Err(RotateError::Open(OpenError::WrongMasterKey { .. }))
    ));
    // A box that does not open, in the last table.
    let db = open(&folder, &key("old")).await.unwrap();
    on!(db.write, |pool| sqlx::query("UPDATE token_values SET sealed = X'00'").execute(pool)).unwrap();
    let boxes_before = boxes(&folder, &key("old")).await;
    db.close().await;
    assert!(matches!(rotate_to(None, key("new")).await, Err(RotateError::Storage(_))));
    assert_eq!(names(&folder), before);
    assert_eq!(folder.master_key(None).unwrap(), key("old"));
    assert_eq!(boxes(&folder, &key("old")).await, boxes_before);
}

#[tokio::test]
async fn a_command_that_was_opened_before_a_rotation_seals_nothing_with_the_old_key() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    let lock = folder.lock().unwrap();
    let command = open(&folder, &key("old")).await.unwrap();
    rotate(&folder, &lock, None, &key("new"), Clock::manual(NOW)).await.unwrap();

    let errors = [
        command.add_keys(ChannelId(1), &[pasted("sk-upstream-three")]).await.err(),
        command.create_channel(&NewChannel { name: "c".into(), ..NewChannel::default() }).await.err(),
        command.create_token(&token("u", "sk-another-token-of-this-test")).await.err(),
    ];
    for error in errors {
        assert!(error.expect("a refusal").to_string().contains("rotated"));
    }
    command.close().await;
    assert_eq!(secrets(&folder, &key("new")).await.len(), 2 + 1 + 4 + 1 + 2);
}

/// A migration that adds a sealed column must add it to the rotation too, and then here.
#[tokio::test]
async fn no_sealed_column_of_the_schema_is_forgotten() {
    let place = tempfile::tempdir().unwrap();
    let folder = data_folder(place.path()).await;
    let db = open(&folder, &key("old")).await.unwrap();
    let columns: Vec<(String, String)> = on!(db.read, |pool| sqlx::query_as(
        "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.type = 'BLOB'"
    )
    .fetch_all(pool))
    .unwrap();
    let found: BTreeSet<String> =
        columns.into_iter().map(|(table, column)| format!("{table}.{column}")).collect();
    let resealed = [
        "channels.headers_sealed",
        "channels.proxy_sealed",
        "keys.secret_sealed",
        "keys.secret_hash",
        "token_values.sealed",
        "notice_targets.config_sealed",
    ];
    // Hashes without a key, and what is no secret.
    let plain = [
        "_sqlx_migrations.checksum",
        "access_tokens.hash",
        "calls.request_id",
        "day_sums.data",
        "sessions.secret_hash",
        "sheet_columns.data",
        "token_values.hash",
    ];
    let known: BTreeSet<String> = resealed.iter().chain(&plain).map(|name| (*name).to_owned()).collect();
    assert_eq!(found, known, "seal it in `Again`, or list it here as plain");
}
