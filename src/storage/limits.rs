//! The limits that operators declare for the keys of a channel.

use super::{Db, StorageError, StorageResult, on};
use crate::model::{
    id::{ChannelId, KeyId},
    limit::{Rule, Source},
};

type Row = (i64, Option<i64>, String, String, String, String, i64);

impl Db {
    /// Every declared limit of living channels and keys, channel by channel in the order in which they were declared.
    pub async fn limits(&self) -> StorageResult<Vec<Rule>> {
        const SQL: &str = "SELECT limits.channel_id, limits.key_id, limits.models, limits.per, limits.metric, \
                           limits.period, limits.most FROM limits \
                           JOIN channels ON channels.id = limits.channel_id AND channels.deleted_at IS NULL \
                           LEFT JOIN keys ON keys.id = limits.key_id \
                           WHERE limits.key_id IS NULL OR keys.deleted_at IS NULL \
                           ORDER BY limits.channel_id, limits.id";
        let rows: Vec<Row> = on!(self.read, |pool| sqlx::query_as(SQL).fetch_all(pool))?;
        rows.into_iter().map(rule).collect()
    }

    /// Replaces the declared limits of a channel and its keys; the caller has [checked](Rule::check_all) them. All or
    /// nothing.
    pub async fn set_limits(&self, channel: ChannelId, rules: &[Rule]) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO limits (channel_id, key_id, models, per, metric, period, most) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM limits WHERE channel_id = $1").bind(channel.0).execute(&mut *tx).await?;
        for rule in rules {
            let most = i64::try_from(rule.max).map_err(|_| unreadable(&"a limit is too large"))?;
            sqlx::query(SQL)
                .bind(channel.0)
                .bind(rule.key.map(|key| key.0))
                .bind(written(&rule.models)?)
                .bind(written(&rule.per)?)
                .bind(written(&rule.metric)?)
                .bind(written(&rule.window)?)
                .bind(most)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

fn rule((channel, key, models, per, metric, window, max): Row) -> StorageResult<Rule> {
    Ok(Rule {
        channel: ChannelId(channel),
        key: key.map(KeyId),
        models: read(&models)?,
        per: read(&per)?,
        metric: read(&metric)?,
        window: read(&window)?,
        max: u64::try_from(max).map_err(|error| unreadable(&error))?,
        source: Source::Declared,
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
    use crate::{
        model::limit::{CalendarUnit, Metric, Models, Per, Rule, Source, Window},
        storage::{channels::NewChannel, recording::tests::open},
    };

    #[tokio::test]
    async fn limits_read_back_as_they_were_declared_and_go_with_their_channel() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let channel =
            db.create_channel(&NewChannel { name: "a".into(), ..Default::default() }).await.unwrap();
        let rule = |metric, window, max| Rule {
            channel,
            key: None,
            models: Models(vec!["*:free".into()]),
            per: Per::Owner,
            metric,
            window,
            max,
            source: Source::Declared,
        };
        let day =
            Window::Calendar { unit: CalendarUnit::Day, zone: "Asia/Shanghai".into(), offset_minutes: 5 };
        let rules = [rule(Metric::Requests, Window::MINUTE, 40), rule(Metric::Tokens, day, 1_000_000)];
        let version = db.catalog_version().await.unwrap();
        db.set_limits(channel, &rules).await.unwrap();
        assert_eq!(db.limits().await.unwrap(), rules);
        assert!(db.catalog_version().await.unwrap() > version, "a running server hears of it");
        db.set_limits(channel, &rules[1..]).await.unwrap();
        assert_eq!(db.limits().await.unwrap(), rules[1..]);
        db.delete_channel(channel).await.unwrap();
        assert_eq!(db.limits().await.unwrap(), []);
    }
}
