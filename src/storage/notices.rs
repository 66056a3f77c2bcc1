//! Whom notifications go to, and how far the news were told.

use serde::{Deserialize, Serialize};

use super::{Db, StorageError, StorageResult, WriteTransaction, discovery::ChangeKind, on};
use crate::model::{
    id::{ChannelId, NoticeTargetId},
    notice::{
        Delivery, EventKind, MailSecurity, Mailbox, NewTarget, Policy, Robot, Target, Transport, Webhook,
    },
    secret::Secret,
    time::UnixMs,
};

/// The most targets.
pub const MOST_TARGETS: i64 = 50;

pub(super) fn context(id: NoticeTargetId) -> String {
    format!("notice_target:{id}")
}

/// A target's secrets and addresses as they are sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    config: Config,
    #[serde(default)]
    allow_private: bool,
}

/// A transport as it is sealed.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Config {
    Webhook {
        url: String,
        header: Option<(String, String)>,
    },
    Email {
        host: String,
        port: u16,
        security: MailSecurity,
        login: Option<(String, String)>,
        from: String,
        to: Vec<String>,
    },
    Telegram {
        server: Option<String>,
        bot: String,
        chat: String,
    },
    Bark {
        server: Option<String>,
        device: String,
    },
    ServerChan {
        server: Option<String>,
        key: String,
    },
    DingTalk {
        url: String,
        secret: Option<String>,
    },
    Feishu {
        url: String,
        secret: Option<String>,
    },
    WeCom {
        url: String,
        secret: Option<String>,
    },
}

impl Config {
    fn of(transport: &Transport) -> Self {
        let open = |secret: &Secret| secret.expose().to_owned();
        let pair = |(name, secret): &(String, Secret)| (name.clone(), secret.expose().to_owned());
        match transport.clone() {
            Transport::Webhook(hook) => {
                Self::Webhook { url: open(&hook.url), header: hook.header.as_ref().map(pair) }
            }
            Transport::Email(mailbox) => {
                let Mailbox { host, port, security, login, from, to } = mailbox;
                Self::Email { host, port, security, login: login.as_ref().map(pair), from, to }
            }
            Transport::Telegram { server, bot, chat } => Self::Telegram { server, bot: open(&bot), chat },
            Transport::Bark { server, device } => Self::Bark { server, device: open(&device) },
            Transport::ServerChan { server, key } => Self::ServerChan { server, key: open(&key) },
            Transport::DingTalk(robot) => {
                Self::DingTalk { url: open(&robot.url), secret: robot.secret.as_ref().map(open) }
            }
            Transport::Feishu(robot) => {
                Self::Feishu { url: open(&robot.url), secret: robot.secret.as_ref().map(open) }
            }
            Transport::WeCom(robot) => {
                Self::WeCom { url: open(&robot.url), secret: robot.secret.as_ref().map(open) }
            }
        }
    }

    fn transport(self) -> Transport {
        let pair = |(name, secret): (String, String)| (name, Secret::new(secret));
        let robot = |url: String, secret: Option<String>| Robot {
            url: Secret::new(url),
            secret: secret.map(Secret::new),
        };
        match self {
            Self::Webhook { url, header } => {
                Transport::Webhook(Webhook { url: Secret::new(url), header: header.map(pair) })
            }
            Self::Email { host, port, security, login, from, to } => {
                Transport::Email(Mailbox { host, port, security, login: login.map(pair), from, to })
            }
            Self::Telegram { server, bot, chat } => {
                Transport::Telegram { server, bot: Secret::new(bot), chat }
            }
            Self::Bark { server, device } => Transport::Bark { server, device: Secret::new(device) },
            Self::ServerChan { server, key } => Transport::ServerChan { server, key: Secret::new(key) },
            Self::DingTalk { url, secret } => Transport::DingTalk(robot(url, secret)),
            Self::Feishu { url, secret } => Transport::Feishu(robot(url, secret)),
            Self::WeCom { url, secret } => Transport::WeCom(robot(url, secret)),
        }
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

type Row =
    (i64, String, bool, String, String, String, Vec<u8>, i64, Option<i64>, Option<bool>, Option<String>);
const COLUMNS: &str =
    "SELECT t.id, t.name, t.enabled, t.kinds, t.language, t.policy, t.config_sealed, t.created_at, m.tried_at, m.ok, m.report
    FROM notice_targets t LEFT JOIN notice_messages m ON m.id =
        (SELECT MAX(id) FROM notice_messages WHERE target_id = t.id AND tried_at IS NOT NULL)";

pub(super) fn unreadable(error: &serde_json::Error) -> StorageError {
    StorageError::Unreadable(format!("a notification target: {error}"))
}

pub(super) fn json(value: &impl Serialize) -> StorageResult<String> {
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
            sqlx::query_as(sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY LOWER(t.name), t.id")))
                .fetch_all(pool)
        })?;
        rows.into_iter().map(|row| self.target(row)).collect()
    }

    fn target(&self, row: Row) -> StorageResult<Target> {
        let (id, name, enabled, kinds, language, policy, sealed, created_at, tried_at, ok, report) = row;
        let id = NoticeTargetId(id);
        let config = self.vault().open(&context(id), &sealed)?;
        let sealed: Sealed = serde_json::from_str(config.expose()).map_err(|error| unreadable(&error))?;
        let kinds: Vec<String> = serde_json::from_str(&kinds).map_err(|error| unreadable(&error))?;
        let policy: Policy = serde_json::from_str(&policy).map_err(|error| unreadable(&error))?;
        let last = tried_at.map(|at| Delivery {
            at: UnixMs(at),
            ok: ok.unwrap_or_default(),
            // What another version noted in another way is shown without its words.
            report: report.and_then(|report| serde_json::from_str(&report).ok()).unwrap_or_default(),
        });
        let set = NewTarget {
            name,
            enabled,
            // A kind that this version does not know is nothing that it could tell.
            kinds: kinds.iter().filter_map(|kind| EventKind::from_name(kind)).collect(),
            language,
            policy,
            allow_private: sealed.allow_private,
            transport: sealed.config.transport(),
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
        let sealed = Sealed { config: Config::of(&new.transport), allow_private: new.allow_private };
        let config = Secret::new(json(&sealed)?);
        // The sealed value is bound to the id.
        let done = sqlx::query(
            "UPDATE notice_targets SET name = $2, enabled = $3, kinds = $4, language = $5, config_sealed = $6,
                 policy = $7 WHERE id = $1",
        )
        .bind(id.0)
        .bind(&new.name)
        .bind(new.enabled)
        .bind(json(&new.kinds)?)
        .bind(&new.language)
        .bind(self.vault().seal(&context(id), config.expose()))
        .bind(json(&new.policy)?)
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            notice::{Fault, Report},
            time::Clock,
        },
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
            policy: Policy { most_per_hour: 3, quiet: Some((1320, 420)), ..Policy::default() },
            allow_private: true,
            transport: Transport::Webhook(Webhook {
                url: Secret::new("https://hooks.example/path-with-a-secret"),
                header: Some(("x-secret".into(), Secret::new("value"))),
            }),
        }
    }

    #[tokio::test]
    async fn a_target_is_kept_sealed_changed_and_deleted() {
        let (folder, db) = open().await;
        let id = db.create_notice_target(&target("Ops")).await.unwrap();
        assert!(matches!(db.create_notice_target(&target("ops")).await, Err(StorageError::Taken("name"))));
        assert_eq!(db.notice_targets().await.unwrap()[0].set, target("Ops"));
        let said = "no".to_owned();
        let report = Report { fault: Some(Fault::Rejected), status: Some(404), said };
        let delivery = Delivery { at: UnixMs(5), ok: false, report };
        db.note_notice_test(id, &delivery).await.unwrap();
        assert_eq!(db.notice_targets().await.unwrap()[0].last, Some(delivery));
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
    async fn every_transport_is_kept_as_it_was() {
        let (_folder, db) = open().await;
        let robot = |secret: Option<&str>| Robot {
            url: Secret::new("https://robot.example/send?key=1"),
            secret: secret.map(Secret::new),
        };
        let transports = [
            Transport::Email(Mailbox {
                host: "smtp.example".into(),
                port: 587,
                security: MailSecurity::StartTls,
                login: Some(("user".into(), Secret::new("pw"))),
                from: "OnePool <a@b.example>".into(),
                to: vec!["c@d.example".into()],
            }),
            Transport::Telegram { server: None, bot: Secret::new("1:abc"), chat: "-100".into() },
            Transport::Bark { server: Some("https://bark.example".into()), device: Secret::new("d") },
            Transport::ServerChan { server: None, key: Secret::new("SCT1") },
            Transport::DingTalk(robot(Some("SEC"))),
            Transport::Feishu(robot(None)),
            Transport::WeCom(robot(None)),
        ];
        for transport in transports {
            let set = NewTarget { transport, ..target("x") };
            let id = db.create_notice_target(&set).await.unwrap();
            assert_eq!(db.notice_targets().await.unwrap()[0].set, set);
            db.delete_notice_target(id).await.unwrap();
        }
    }
}
