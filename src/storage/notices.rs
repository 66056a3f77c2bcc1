//! Whom notifications go to, and how far the news were told.

use serde::{Deserialize, Serialize};

use super::{Db, StorageError, StorageResult, WriteTransaction, discovery::ChangeKind, on};
use crate::model::{
    id::{ChannelId, NoticeTargetId},
    notice::{Delivery, EventKind, NewTarget, Target, Transport, Webhook},
    secret::Secret,
    time::UnixMs,
};

/// The most targets.
pub const MOST_TARGETS: i64 = 50;
/// The longest text of a delivery that is kept, in characters.
const MOST_DETAIL: usize = 500;

pub(super) fn context(id: NoticeTargetId) -> String {
    format!("notice_target:{id}")
}

/// A transport as it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Config {
    Webhook { url: String, header: Option<(String, String)>, allow_private: bool },
}

impl Config {
    fn of(transport: &Transport) -> Self {
        let Transport::Webhook(webhook) = transport;
        let header = webhook.header.as_ref();
        Self::Webhook {
            url: webhook.url.expose().to_owned(),
            header: header.map(|(name, value)| (name.clone(), value.expose().to_owned())),
            allow_private: webhook.allow_private,
        }
    }

    fn transport(self) -> Transport {
        let Self::Webhook { url, header, allow_private } = self;
        let header = header.map(|(name, value)| (name, Secret::new(value)));
        Transport::Webhook(Webhook { url: Secret::new(url), header, allow_private })
    }
}

/// A change of a model as it waits to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntoldChange {
    /// Its place in the order of changes.
    pub id: i64,
    /// When it was noticed; those of one list have the same time.
    pub at: UnixMs,
    /// Where.
    pub channel: ChannelId,
    /// The channel's name.
    pub channel_name: String,
    /// The model.
    pub name: String,
    /// What happened to it.
    pub kind: ChangeKind,
}

type Row = (i64, String, bool, String, String, Vec<u8>, i64, Option<i64>, Option<bool>, Option<String>);
const COLUMNS: &str =
    "SELECT id, name, enabled, kinds, language, config_sealed, created_at, last_at, last_ok, last_detail
    FROM notice_targets";

fn unreadable(error: &serde_json::Error) -> StorageError {
    StorageError::Unreadable(format!("a notification target: {error}"))
}

fn json(value: &impl Serialize) -> StorageResult<String> {
    serde_json::to_string(value).map_err(|error| unreadable(&error))
}

fn taken(error: sqlx::Error) -> StorageError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StorageError::Taken("name"),
        _ => error.into(),
    }
}

impl Db {
    /// Every target, by name, secrets opened.
    pub async fn notice_targets(&self) -> StorageResult<Vec<Target>> {
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY LOWER(name), id"))).fetch_all(pool)
        })?;
        rows.into_iter().map(|row| self.target(row)).collect()
    }

    fn target(&self, row: Row) -> StorageResult<Target> {
        let (id, name, enabled, kinds, language, sealed, created_at, last_at, last_ok, last_detail) = row;
        let id = NoticeTargetId(id);
        let config = self.vault().open(&context(id), &sealed)?;
        let config: Config = serde_json::from_str(config.expose()).map_err(|error| unreadable(&error))?;
        let kinds: Vec<String> = serde_json::from_str(&kinds).map_err(|error| unreadable(&error))?;
        let last = last_at.map(|at| Delivery {
            at: UnixMs(at),
            ok: last_ok.unwrap_or_default(),
            detail: last_detail.unwrap_or_default(),
        });
        let set = NewTarget {
            name,
            enabled,
            // A kind that this version does not know is nothing that it could tell.
            kinds: kinds.iter().filter_map(|kind| EventKind::from_name(kind)).collect(),
            language,
            transport: config.transport(),
        };
        Ok(Target { id, set, created_at: UnixMs(created_at), last })
    }

    /// Makes a target. [`StorageError::Taken`] says `name`, or `targets` if there are [`MOST_TARGETS`] already.
    pub async fn create_notice_target(&self, new: &NewTarget) -> StorageResult<NoticeTargetId> {
        let mut tx = self.begin().await?;
        self.check_key_in_force(&mut tx).await?;
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM notice_targets").fetch_one(&mut *tx).await?;
        if count >= MOST_TARGETS {
            return Err(StorageError::Taken("targets"));
        }
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO notice_targets (name, enabled, kinds, language, config_sealed, created_at)
             VALUES ($1, FALSE, '[]', '', $2, $3) RETURNING id",
        )
        .bind(&new.name)
        .bind(&[][..])
        .bind(self.now().0)
        .fetch_one(&mut *tx)
        .await
        .map_err(taken)?;
        let id = NoticeTargetId(id);
        self.write_notice_target(&mut tx, id, new).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Changes a target. [`StorageError::Taken`] says `name`; [`StorageError::Missing`] that it is gone.
    pub async fn update_notice_target(&self, id: NoticeTargetId, new: &NewTarget) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.check_key_in_force(&mut tx).await?;
        self.write_notice_target(&mut tx, id, new).await?;
        Ok(tx.commit().await?)
    }

    async fn write_notice_target(
        &self,
        tx: &mut WriteTransaction,
        id: NoticeTargetId,
        new: &NewTarget,
    ) -> StorageResult<()> {
        let config = Secret::new(json(&Config::of(&new.transport))?);
        // The sealed value is bound to the id.
        let done = sqlx::query(
            "UPDATE notice_targets SET name = $2, enabled = $3, kinds = $4, language = $5, config_sealed = $6
             WHERE id = $1",
        )
        .bind(id.0)
        .bind(&new.name)
        .bind(new.enabled)
        .bind(json(&new.kinds)?)
        .bind(&new.language)
        .bind(self.vault().seal(&context(id), config.expose()))
        .execute(&mut **tx)
        .await
        .map_err(taken)?;
        if done.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }

    /// Deletes a target and its secrets. [`StorageError::Missing`] if there is none.
    pub async fn delete_notice_target(&self, id: NoticeTargetId) -> StorageResult<()> {
        let done = on!(self.write, |pool| {
            sqlx::query("DELETE FROM notice_targets WHERE id = $1").bind(id.0).execute(pool)
        })?;
        if done.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }

    /// Notes what came of a delivery; of a target that is gone meanwhile nothing is noted.
    pub async fn note_delivery(&self, id: NoticeTargetId, delivery: &Delivery) -> StorageResult<()> {
        let detail: String = delivery.detail.chars().take(MOST_DETAIL).collect();
        on!(self.write, |pool| {
            sqlx::query(
                "UPDATE notice_targets SET last_at = $2, last_ok = $3, last_detail = $4 WHERE id = $1",
            )
            .bind(id.0)
            .bind(delivery.at.0)
            .bind(delivery.ok)
            .bind(detail)
            .execute(pool)
        })?;
        Ok(())
    }

    /// Changes of models that were not told yet, the oldest first, at most `limit`. They count as told once
    /// [`Db::mark_changes_told`] says so. The first time nothing is untold.
    pub async fn untold_changes(&self, limit: usize) -> StorageResult<Vec<UntoldChange>> {
        let mark: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT mark FROM notice_marks WHERE source = 'model_changes'")
                .fetch_optional(pool)
        })?;
        let newest: i64 = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM model_changes").fetch_one(pool)
        })?;
        let Some(mark) = mark else {
            self.mark_changes_told(newest).await?;
            return Ok(Vec::new());
        };
        // Once all rows are old and deleted, ids begin anew.
        let after = if newest < mark { 0 } else { mark };
        if after == newest {
            return Ok(Vec::new());
        }
        type Row = (i64, i64, i64, String, String, String);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT m.id, m.at, m.channel_id, c.name, m.name, m.kind
                 FROM model_changes m JOIN channels c ON c.id = m.channel_id WHERE m.id > $1 ORDER BY m.id LIMIT $2",
            )
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(pool)
        })?;
        let change = |(id, at, channel, channel_name, name, kind): Row| {
            let kind = ChangeKind::from_name(&kind)
                .ok_or_else(|| StorageError::Unreadable(format!("a change of the kind {kind}")))?;
            Ok(UntoldChange { id, at: UnixMs(at), channel: ChannelId(channel), channel_name, name, kind })
        };
        rows.into_iter().map(change).collect()
    }

    /// Changes of models up to this one were told.
    pub async fn mark_changes_told(&self, id: i64) -> StorageResult<()> {
        on!(self.write, |pool| {
            sqlx::query(
                "INSERT INTO notice_marks (source, mark) VALUES ('model_changes', $1)
                 ON CONFLICT (source) DO UPDATE SET mark = excluded.mark",
            )
            .bind(id)
            .execute(pool)
        })?;
        Ok(())
    }

    /// Notes which facts hold now, and gives those that did not hold before. The first time all count as known.
    pub async fn note_facts(&self, facts: &[String]) -> StorageResult<Vec<String>> {
        let known: Vec<String> =
            on!(self.read, |pool| sqlx::query_scalar("SELECT fact FROM notice_facts").fetch_all(pool))?;
        let first: Option<i64> = on!(self.read, |pool| {
            sqlx::query_scalar("SELECT mark FROM notice_marks WHERE source = 'facts'").fetch_optional(pool)
        })?;
        let new: Vec<String> = facts.iter().filter(|fact| !known.contains(fact)).cloned().collect();
        let ended: Vec<&String> = known.iter().filter(|fact| !facts.contains(fact)).collect();
        if new.is_empty() && ended.is_empty() && first.is_some() {
            return Ok(new);
        }
        let mut tx = self.begin().await?;
        for fact in &new {
            sqlx::query("INSERT INTO notice_facts (fact) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(fact)
                .execute(&mut *tx)
                .await?;
        }
        for fact in ended {
            sqlx::query("DELETE FROM notice_facts WHERE fact = $1").bind(fact).execute(&mut *tx).await?;
        }
        sqlx::query("INSERT INTO notice_marks (source, mark) VALUES ('facts', 1) ON CONFLICT DO NOTHING")
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(if first.is_some() { new } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::Clock,
        storage::{channels::NewChannel, vault::Vault},
    };

    async fn open() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("a master key of a test, long enough"));
        let clock = Clock::manual(UnixMs(1_000_000));
        let db = Db::open(&folder.path().join("onepool.db"), vault, clock).await.unwrap();
        (folder, db)
    }

    fn target(name: &str) -> NewTarget {
        NewTarget {
            name: name.into(),
            enabled: true,
            kinds: vec![EventKind::ModelsAppeared, EventKind::KeyInvalid],
            language: "zh".into(),
            transport: Transport::Webhook(Webhook {
                url: Secret::new("https://hooks.example/path-with-a-secret"),
                header: Some(("x-secret".into(), Secret::new("value"))),
                allow_private: true,
            }),
        }
    }

    #[tokio::test]
    async fn a_target_is_kept_sealed_changed_and_deleted() {
        let (folder, db) = open().await;
        let id = db.create_notice_target(&target("Ops")).await.unwrap();
        assert!(matches!(db.create_notice_target(&target("ops")).await, Err(StorageError::Taken("name"))));
        assert_eq!(db.notice_targets().await.unwrap()[0].set, target("Ops"));
        let delivery = Delivery { at: UnixMs(5), ok: false, detail: "x".repeat(900) };
        db.note_delivery(id, &delivery).await.unwrap();
        let kept = db.notice_targets().await.unwrap()[0].last.clone().unwrap();
        assert_eq!((kept.ok, kept.detail.len()), (false, 500));
        let off = NewTarget { enabled: false, kinds: vec![], ..target("Ops 2") };
        db.update_notice_target(id, &off).await.unwrap();
        assert_eq!(db.notice_targets().await.unwrap()[0].set, off);
        for file in ["onepool.db", "onepool.db-wal"] {
            let bytes = std::fs::read(folder.path().join(file)).unwrap_or_default();
            assert!(!bytes.windows(18).any(|window| window == b"path-with-a-secret"), "{file}");
        }
        db.delete_notice_target(id).await.unwrap();
        assert!(matches!(db.delete_notice_target(id).await, Err(StorageError::Missing)));
        assert!(matches!(db.update_notice_target(id, &off).await, Err(StorageError::Missing)));
    }

    #[tokio::test]
    async fn the_number_of_targets_is_bounded() {
        let (_folder, db) = open().await;
        for number in 0..MOST_TARGETS {
            db.create_notice_target(&target(&number.to_string())).await.unwrap();
        }
        assert!(matches!(db.create_notice_target(&target("x")).await, Err(StorageError::Taken("targets"))));
    }

    #[tokio::test]
    async fn each_change_is_told_once_and_nothing_from_before_the_first_look() {
        let (_folder, db) = open().await;
        let channel = NewChannel { name: "c".into(), ..NewChannel::default() };
        let channel = db.create_channel(&channel).await.unwrap();
        let add = async |name: &str| {
            on!(db.write, |pool| {
                sqlx::query(
                    "INSERT INTO model_changes (at, channel_id, name, kind, fields) VALUES (7, $1, $2, 'appeared', '[]')",
                )
                .bind(channel.0)
                .bind(name)
                .execute(pool)
            })
            .unwrap();
        };
        add("old").await;
        assert_eq!(db.untold_changes(10).await.unwrap(), []);
        for name in ["a", "b"] {
            add(name).await;
        }
        let told = db.untold_changes(10).await.unwrap();
        let names: Vec<&str> = told.iter().map(|change| change.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(db.untold_changes(1).await.unwrap().len(), 1, "not told yet");
        db.mark_changes_told(told[1].id).await.unwrap();
        assert_eq!(db.untold_changes(10).await.unwrap(), []);
        on!(db.write, |pool| sqlx::query("DELETE FROM model_changes").execute(pool)).unwrap();
        add("anew").await;
        assert_eq!(db.untold_changes(10).await.unwrap().len(), 1, "ids began anew");
    }

    #[tokio::test]
    async fn a_fact_is_new_once_until_it_has_ended() {
        let (_folder, db) = open().await;
        let note = async |facts: &[&str]| {
            let facts: Vec<String> = facts.iter().map(|fact| (*fact).to_owned()).collect();
            db.note_facts(&facts).await.unwrap()
        };
        assert!(note(&["key_invalid:1"]).await.is_empty(), "known from the start");
        assert_eq!(note(&["key_invalid:1", "key_invalid:2"]).await, ["key_invalid:2"]);
        assert!(note(&["key_invalid:2"]).await.is_empty());
        assert_eq!(note(&["key_invalid:2", "key_invalid:1"]).await, ["key_invalid:1"], "it is back");
    }
}
