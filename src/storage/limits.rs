//! The limits that operators declare on channels and on keys.

use std::collections::HashMap;

use super::{Db, StorageError, StorageResult, WriteTransaction, on};
use crate::model::{
    id::{ChannelId, KeyId},
    limit::{Limit, Source},
};

type Row = (i64, Option<i64>, String, String, String, String, i64, bool);

/// A channel, or one key of it.
pub(super) type Owner = (ChannelId, Option<KeyId>);

impl Db {
    /// The limits of every channel and key, or of one channel, each in the order in which they were declared.
    pub(super) async fn limits_by_owner(
        &self,
        only: Option<i64>,
    ) -> StorageResult<HashMap<Owner, Vec<Limit>>> {
        const SQL: &str = "SELECT channel_id, key_id, models, per, metric, period, most, insist FROM limits \
                           WHERE $1 IS NULL OR channel_id = $1 ORDER BY id";
        let rows: Vec<Row> = on!(self.read, |pool| sqlx::query_as(SQL).bind(only).fetch_all(pool))?;
        let mut limits: HashMap<Owner, Vec<Limit>> = HashMap::new();
        for row in rows {
            let owner = (ChannelId(row.0), row.1.map(KeyId));
            limits.entry(owner).or_default().push(limit(row)?);
        }
        Ok(limits)
    }

    /// Replaces the limits of a channel, or of one key of it; the caller has
    /// [checked](crate::model::limit::Rule::check_all) them. [`StorageError::Missing`] if it was deleted.
    pub async fn set_limits(
        &self,
        channel: ChannelId,
        key: Option<KeyId>,
        limits: &[Limit],
    ) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let sql = match key {
            None => "SELECT COUNT(*) FROM channels WHERE id = $1 AND $2 IS NULL AND deleted_at IS NULL",
            Some(_) => "SELECT COUNT(*) FROM keys WHERE channel_id = $1 AND id = $2 AND deleted_at IS NULL",
        };
        let known: i64 =
            sqlx::query_scalar(sql).bind(channel.0).bind(key.map(|key| key.0)).fetch_one(&mut *tx).await?;
        if known == 0 {
            return Err(StorageError::Missing);
        }
        write_limits(&mut tx, channel, key, limits).await?;
        Ok(tx.commit().await?)
    }
}

/// [`Db::set_limits`] within a transaction, on a channel or key that is there.
pub(super) async fn write_limits(
    tx: &mut WriteTransaction,
    channel: ChannelId,
    key: Option<KeyId>,
    limits: &[Limit],
) -> StorageResult<()> {
    const SQL: &str = "INSERT INTO limits (channel_id, key_id, models, per, metric, period, most, insist) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query("DELETE FROM limits WHERE channel_id = $1 AND key_id IS NOT DISTINCT FROM $2")
        .bind(channel.0)
        .bind(key.map(|key| key.0))
        .execute(&mut **tx)
        .await?;
    for limit in limits {
        let most = i64::try_from(limit.max).map_err(|_| unreadable(&"a limit is too large"))?;
        sqlx::query(SQL)
            .bind(channel.0)
            .bind(key.map(|key| key.0))
            .bind(written(&limit.models)?)
            .bind(written(&limit.per)?)
            .bind(written(&limit.metric)?)
            .bind(written(&limit.window)?)
            .bind(most)
            .bind(limit.source == Source::Operator)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

fn limit((_, _, models, per, metric, window, max, insist): Row) -> StorageResult<Limit> {
    Ok(Limit {
        models: read(&models)?,
        per: read(&per)?,
        metric: read(&metric)?,
        window: read(&window)?,
        max: u64::try_from(max).map_err(|error| unreadable(&error))?,
        source: if insist { Source::Operator } else { Source::Declared },
    })
}

fn written(value: &impl serde::Serialize) -> StorageResult<String> {
    serde_json::to_string(value).map_err(|error| unreadable(&error))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> StorageResult<T> {
    serde_json::from_str(text).map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::fmt::Display) -> StorageError {
    StorageError::Unreadable(format!("a declared limit: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            key::PastedKey,
            limit::{CalendarUnit, Metric, Models, Per, Window},
            secret::Secret,
        },
        storage::{channels::NewChannel, keys::KeyAdded, recording::tests::open},
    };

    fn limit(metric: Metric, window: Window, max: u64, source: Source) -> Limit {
        Limit { models: Models(vec!["*:free".into()]), per: Per::Owner, metric, window, max, source }
    }

    #[tokio::test]
    async fn limits_read_back_as_they_were_declared_and_go_with_their_channel_or_key() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let day =
            Window::Calendar { unit: CalendarUnit::Day, zone: "Asia/Shanghai".into(), offset_minutes: 5 };
        let limits = vec![
            limit(Metric::Requests, Window::MINUTE, 40, Source::Declared),
            limit(Metric::Tokens, day, 1_000_000, Source::Operator),
        ];
        let new = NewChannel { name: "a".into(), limits: limits.clone(), ..Default::default() };
        let channel = db.create_channel(&new).await.unwrap();
        let own = Limit { per: Per::Key, ..limits[0].clone() };
        let key = PastedKey {
            label: String::new(),
            secret: Secret::new("key-1"),
            quota_group: None,
            limits: vec![own],
            budget: None,
        };
        let [KeyAdded::Added(id)] = db.add_keys(channel, &[key]).await.unwrap()[..] else { panic!() };
        let found = async || db.channels_with_keys().await.unwrap().remove(0);
        let (read, keys) = found().await;
        assert_eq!((&read.limits, keys[0].limits[0].per), (&limits, Per::Key));

        let version = db.catalog_version().await.unwrap();
        db.set_limits(channel, None, &limits[1..]).await.unwrap();
        assert!(db.catalog_version().await.unwrap() > version, "a running server hears of it");
        let (read, keys) = found().await;
        assert_eq!((&read.limits[..], keys[0].limits.len()), (&limits[1..], 1), "a key's limits stay");
        db.set_limits(channel, Some(id), &[]).await.unwrap();
        assert_eq!((found().await.0.limits.len(), found().await.1[0].limits.len()), (1, 0));

        db.set_limits(channel, Some(id), &limits).await.unwrap();
        db.delete_key(id).await.unwrap();
        assert!(!db.limits_by_owner(None).await.unwrap().contains_key(&(channel, Some(id))));
        assert!(matches!(db.set_limits(channel, Some(id), &[]).await, Err(StorageError::Missing)));
        db.delete_channel(channel).await.unwrap();
        assert!(db.limits_by_owner(None).await.unwrap().is_empty());
        assert!(matches!(db.set_limits(channel, None, &[]).await, Err(StorageError::Missing)));
    }
}
