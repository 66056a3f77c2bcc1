//! Keys: the upstream credentials of channels. Their secrets are sealed, each under its own id.

use super::{Db, StorageError, StorageResult, WriteTransaction, budgets, limits::write_limits, on};
use crate::model::{
    budget::Payer,
    id::{ChannelId, KeyId},
    key::{Key, KeyCheck, PastedKey},
    time::UnixMs,
    token::Quota,
};

/// What became of a key that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAdded {
    /// It is there now.
    Added(KeyId),
    /// The channel had it already, or it stood twice in the list.
    Duplicate,
}

/// A key as pages show it: everything but the secret.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    /// The operator's name for it; may be empty.
    pub label: String,
    /// The last four characters.
    pub last4: String,
    /// Whose quota it spends.
    pub quota_group: Option<String>,
    /// Whether the group was set by what the provider says of the key's account, and by nobody since.
    pub grouped_by_provider: bool,
    /// Whether it takes calls.
    pub enabled: bool,
    /// What the last test found.
    pub last_check: Option<KeyCheck>,
    /// When it was added.
    pub created_at: UnixMs,
}

type RawRow = (i64, String, String, Option<String>, Option<String>, bool, Option<String>, i64);

/// Who said which group a key belongs to.
const BY_OPERATOR: &str = "operator";
const BY_PROVIDER: &str = "provider";

/// The longest group that is made of an account's name, in characters; what a form takes as well.
const MAX_GROUP_CHARS: usize = 100;

pub(super) fn context(id: KeyId) -> String {
    format!("key:{id}")
}

impl Db {
    /// Adds keys to a channel, all or none; what the channel has already is left alone. The results stand in the order
    /// of `keys`. [`StorageError::Missing`] if the channel was deleted.
    pub async fn add_keys(&self, channel: ChannelId, keys: &[PastedKey]) -> StorageResult<Vec<KeyAdded>> {
        let keys: Vec<_> = keys.iter().map(|key| (key, true)).collect();
        self.add_switched_keys(channel, &keys).await
    }

    /// The same for keys of which each says whether it takes calls: one that is off never takes any in between.
    pub async fn add_switched_keys(
        &self,
        channel: ChannelId,
        keys: &[(&PastedKey, bool)],
    ) -> StorageResult<Vec<KeyAdded>> {
        let mut tx = self.begin().await?;
        self.check_key_in_force(&mut tx).await?;
        let known: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM channels WHERE id = $1 AND deleted_at IS NULL")
                .bind(channel.0)
                .fetch_one(&mut *tx)
                .await?;
        if known == 0 {
            return Err(StorageError::Missing);
        }
        let mut results = Vec::with_capacity(keys.len());
        for (key, enabled) in keys {
            let id = self.insert_key(&mut tx, channel, key, *enabled).await?;
            results.push(id.map_or(KeyAdded::Duplicate, KeyAdded::Added));
        }
        tx.commit().await?;
        Ok(results)
    }

    /// Adds a key to a channel, which must be there; `None` if the channel has it already.
    pub(super) async fn insert_key(
        &self,
        tx: &mut WriteTransaction,
        channel: ChannelId,
        key: &PastedKey,
        enabled: bool,
    ) -> StorageResult<Option<KeyId>> {
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO keys (channel_id, label, last4, secret_sealed, secret_hash, quota_group, enabled, created_at,
                 quota_group_by, budget)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (channel_id, secret_hash) WHERE deleted_at IS NULL DO NOTHING RETURNING id",
        )
        .bind(channel.0)
        .bind(&key.label)
        .bind(key.secret.last4())
        .bind(&[][..])
        .bind(self.vault().fingerprint(&key.secret))
        .bind(&key.quota_group)
        .bind(enabled)
        .bind(self.now().0)
        .bind(key.quota_group.as_ref().map(|_| BY_OPERATOR))
        .bind(budgets::write(key.budget)?)
        .fetch_optional(&mut **tx)
        .await?;
        let Some(id) = id.map(KeyId) else { return Ok(None) };
        write_limits(tx, channel, Some(id), &key.limits).await?;
        // The sealed secret is bound to the id.
        sqlx::query("UPDATE keys SET secret_sealed = $1 WHERE id = $2")
            .bind(self.vault().seal(&context(id), key.secret.expose()))
            .bind(id.0)
            .execute(&mut **tx)
            .await?;
        Ok(Some(id))
    }

    /// Every key that is not deleted, by id, secrets opened.
    pub(super) async fn keys(&self) -> StorageResult<Vec<Key>> {
        type Row = (i64, i64, String, String, Option<String>, bool, Vec<u8>, Option<String>);
        let rows: Vec<Row> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, channel_id, label, last4, quota_group, enabled, secret_sealed, budget
                 FROM keys WHERE deleted_at IS NULL ORDER BY id",
            )
            .fetch_all(pool)
        })?;
        let mut limits = self.limits_by_owner(None).await?;
        rows.into_iter()
            .map(|(id, channel_id, label, last4, quota_group, enabled, sealed, budget)| {
                let budget = budgets::read(budget.as_deref())
                    .map_err(|_| StorageError::Unreadable(format!("budget of key {id}")))?;
                let (id, channel_id) = (KeyId(id), ChannelId(channel_id));
                let secret = self.vault().open(&context(id), &sealed)?;
                let limits = limits.remove(&(channel_id, Some(id))).unwrap_or_default();
                Ok(Key { id, channel_id, label, last4, quota_group, enabled, secret, limits, budget })
            })
            .collect()
    }

    /// A channel's keys for its page, by id.
    pub async fn key_rows(&self, channel: ChannelId) -> StorageResult<Vec<KeyRow>> {
        let rows: Vec<RawRow> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, label, last4, quota_group, quota_group_by, enabled, last_check, created_at
                 FROM keys WHERE channel_id = $1 AND deleted_at IS NULL ORDER BY id",
            )
            .bind(channel.0)
            .fetch_all(pool)
        })?;
        Ok(rows
            .into_iter()
            .map(|(id, label, last4, quota_group, grouped_by, enabled, last_check, created_at)| KeyRow {
                id: KeyId(id),
                label,
                last4,
                grouped_by_provider: quota_group.is_some() && grouped_by.as_deref() == Some(BY_PROVIDER),
                quota_group,
                enabled,
                // What an older version wrote and this one cannot read is shown as "not tested".
                last_check: last_check.and_then(|check| serde_json::from_str(&check).ok()),
                created_at: UnixMs(created_at),
            })
            .collect())
    }

    /// Sets a key's label, quota group and limits, and whether it takes calls, all at once; its secret stays.
    pub async fn change_key(&self, key: &Key) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        write_whole_key(&mut tx, key).await?;
        Ok(tx.commit().await?)
    }

    /// Sets a key's label and quota group.
    pub async fn update_key(&self, id: KeyId, label: &str, quota_group: Option<&str>) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        write_key(&mut tx, id, label, quota_group).await?;
        Ok(tx.commit().await?)
    }

    /// Puts a key into the group of the account that its provider names, unless an operator has ever said which group it
    /// belongs to, or that it belongs to none. Keys of the account that have a group are joined; else the group is called
    /// as the account is. Gives the group that was set.
    pub async fn group_key_by_account(
        &self,
        channel: ChannelId,
        id: KeyId,
        account: &str,
    ) -> StorageResult<Option<String>> {
        let rows = self.key_rows(channel).await?;
        let of_account = |row: &KeyRow| {
            let told = row.last_check.as_ref().and_then(|check| check.account.as_deref());
            row.quota_group.clone().filter(|_| row.id != id && told == Some(account))
        };
        let group = rows
            .iter()
            .find_map(of_account)
            .unwrap_or_else(|| account.chars().filter(|c| !c.is_control()).take(MAX_GROUP_CHARS).collect());
        if group.is_empty() {
            return Ok(None);
        }
        let changed = on!(self.write, |pool| {
            sqlx::query(
                "UPDATE keys SET quota_group = $1, quota_group_by = $2
                 WHERE id = $3 AND deleted_at IS NULL AND quota_group IS NULL AND quota_group_by IS NULL",
            )
            .bind(&group)
            .bind(BY_PROVIDER)
            .bind(id.0)
            .execute(pool)
        })?;
        Ok((changed.rows_affected() > 0).then_some(group))
    }

    /// Switches a key on or off.
    pub async fn set_key_enabled(&self, id: KeyId, enabled: bool) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        switch_key(&mut tx, id, enabled).await?;
        Ok(tx.commit().await?)
    }

    /// Removes a key: its secret is erased, its label stays for the usage log.
    pub async fn delete_key(&self, id: KeyId) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.erase_key(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn erase_key(&self, tx: &mut WriteTransaction, id: KeyId) -> StorageResult<()> {
        let changed = sqlx::query(
            "UPDATE keys SET deleted_at = $1, enabled = FALSE, secret_sealed = $2, secret_hash = $2,
                 last_check = NULL
             WHERE id = $3 AND deleted_at IS NULL",
        )
        .bind(self.now().0)
        .bind(&[][..])
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
        // Nobody can ask for it any more.
        sqlx::query("DELETE FROM upstream_jobs WHERE key_id = $1").bind(id.0).execute(&mut **tx).await?;
        present(changed.rows_affected())
    }

    /// Keeps what a test of a key found.
    pub async fn save_key_check(&self, id: KeyId, check: &KeyCheck) -> StorageResult<()> {
        let text =
            serde_json::to_string(check).map_err(|error| StorageError::Unreadable(error.to_string()))?;
        let changed = on!(self.write, |pool| {
            sqlx::query("UPDATE keys SET last_check = $1 WHERE id = $2 AND deleted_at IS NULL")
                .bind(text)
                .bind(id.0)
                .execute(pool)
        })?;
        present(changed.rows_affected())
    }
}

/// [`Db::change_key`] within a transaction.
pub(super) async fn write_whole_key(tx: &mut WriteTransaction, key: &Key) -> StorageResult<()> {
    write_key(tx, key.id, &key.label, key.quota_group.as_deref()).await?;
    switch_key(tx, key.id, key.enabled).await?;
    write_budget(tx, key.id, key.budget).await?;
    write_limits(tx, key.channel_id, Some(key.id), &key.limits).await
}

/// [`Db::update_key`] within a transaction.
async fn write_key(
    tx: &mut WriteTransaction,
    id: KeyId,
    label: &str,
    quota_group: Option<&str>,
) -> StorageResult<()> {
    // Who changes the group has decided; who changes the label alone has not.
    let changed = sqlx::query(
        "UPDATE keys SET label = $1, quota_group = $2,
             quota_group_by = CASE WHEN COALESCE(quota_group, '') = COALESCE($2, '') THEN quota_group_by ELSE $4 END
         WHERE id = $3 AND deleted_at IS NULL",
    )
    .bind(label)
    .bind(quota_group)
    .bind(id.0)
    .bind(BY_OPERATOR)
    .execute(&mut **tx)
    .await?;
    present(changed.rows_affected())
}

/// Sets how much a key's calls may spend.
async fn write_budget(tx: &mut WriteTransaction, id: KeyId, budget: Option<Quota>) -> StorageResult<()> {
    budgets::forget_if_other(tx, Payer::Key(id), budget).await?;
    let changed = sqlx::query("UPDATE keys SET budget = $1 WHERE id = $2 AND deleted_at IS NULL")
        .bind(budgets::write(budget)?)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    present(changed.rows_affected())
}

/// [`Db::set_key_enabled`] within a transaction.
pub(super) async fn switch_key(tx: &mut WriteTransaction, id: KeyId, enabled: bool) -> StorageResult<()> {
    let changed = sqlx::query("UPDATE keys SET enabled = $1 WHERE id = $2 AND deleted_at IS NULL")
        .bind(enabled)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    present(changed.rows_affected())
}

fn present(rows_affected: u64) -> StorageResult<()> {
    if rows_affected == 0 { Err(StorageError::Missing) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            key::{CheckKind, CheckStep},
            secret::Secret,
            time::Clock,
        },
        storage::{channels::NewChannel, vault::Vault},
    };

    async fn open() -> (tempfile::TempDir, Db, ChannelId) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, Clock::system()).await.unwrap();
        let channel =
            db.create_channel(&NewChannel { name: "a".into(), ..Default::default() }).await.unwrap();
        (folder, db, channel)
    }

    fn pasted(secret: &str) -> PastedKey {
        PastedKey {
            label: "label".into(),
            secret: Secret::new(secret),
            quota_group: None,
            budget: None,
            limits: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_key_is_added_once_per_channel_and_opens_again() {
        let (_folder, db, channel) = open().await;
        let keys = [pasted("nvapi-000000000001"), pasted("nvapi-000000000002"), pasted("nvapi-000000000001")];
        let added = db.add_keys(channel, &keys).await.unwrap();
        assert!(matches!(added[..], [KeyAdded::Added(_), KeyAdded::Added(_), KeyAdded::Duplicate]));
        assert_eq!(db.add_keys(channel, &keys[..1]).await.unwrap(), [KeyAdded::Duplicate]);
        let read = db.keys().await.unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[1].secret.expose(), read[1].last4.as_str()), ("nvapi-000000000002", "0002"));

        db.delete_key(read[0].id).await.unwrap();
        assert!(matches!(db.add_keys(channel, &keys[..1]).await.unwrap()[..], [KeyAdded::Added(_)]));
        assert!(matches!(db.add_keys(ChannelId(99), &keys).await, Err(StorageError::Missing)));
    }

    #[tokio::test]
    async fn a_key_joins_the_group_of_its_account_unless_an_operator_has_decided() {
        let (_folder, db, channel) = open().await;
        let keys: Vec<PastedKey> =
            (1..=3).map(|number| pasted(&format!("sk-or-00000000000{number}"))).collect();
        db.add_keys(channel, &keys).await.unwrap();
        let ids: Vec<KeyId> = db.key_rows(channel).await.unwrap().iter().map(|row| row.id).collect();
        let told = |account: &str| KeyCheck {
            at: UnixMs(5),
            steps: Vec::new(),
            verdict: Default::default(),
            model: None,
            account: Some(account.into()),
        };
        db.save_key_check(ids[0], &told("user_1")).await.unwrap();
        assert_eq!(
            db.group_key_by_account(channel, ids[0], "user_1").await.unwrap().as_deref(),
            Some("user_1")
        );
        assert!(db.key_rows(channel).await.unwrap()[0].grouped_by_provider);
        db.update_key(ids[0], "other label", Some("user_1")).await.unwrap();
        assert!(db.key_rows(channel).await.unwrap()[0].grouped_by_provider, "the group is the same");
        db.update_key(ids[0], "", Some("mine")).await.unwrap();
        assert!(!db.key_rows(channel).await.unwrap()[0].grouped_by_provider, "the operator named it");
        assert_eq!(
            db.group_key_by_account(channel, ids[1], "user_1").await.unwrap().as_deref(),
            Some("mine"),
            "keys of one account stay together"
        );
        db.update_key(ids[1], "", None).await.unwrap();
        assert_eq!(db.group_key_by_account(channel, ids[1], "user_1").await.unwrap(), None, "it was undone");
        let long = "a".repeat(300);
        let group = db.group_key_by_account(channel, ids[2], &long).await.unwrap().unwrap();
        assert_eq!(group.len(), 100);
    }

    #[tokio::test]
    async fn a_keys_row_shows_its_label_group_state_and_last_test() {
        let (_folder, db, channel) = open().await;
        db.add_keys(channel, &[pasted("nvapi-000000000001")]).await.unwrap();
        let id = db.key_rows(channel).await.unwrap()[0].id;
        let step = CheckStep {
            kind: CheckKind::Chat,
            ok: false,
            status: Some(401),
            duration_ms: 12,
            text: "no".into(),
            class: None,
        };
        let check = KeyCheck {
            at: UnixMs(5),
            steps: vec![step],
            verdict: Default::default(),
            model: None,
            account: None,
        };
        db.update_key(id, "mine", Some("account 1")).await.unwrap();
        db.set_key_enabled(id, false).await.unwrap();
        db.save_key_check(id, &check).await.unwrap();
        let row = db.key_rows(channel).await.unwrap().remove(0);
        assert_eq!(
            (row.label.as_str(), row.quota_group.as_deref(), row.enabled),
            ("mine", Some("account 1"), false)
        );
        assert_eq!(row.last_check, Some(check));
        db.delete_key(id).await.unwrap();
        assert!(matches!(db.set_key_enabled(id, true).await, Err(StorageError::Missing)));
    }
}
