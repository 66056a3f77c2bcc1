//! Channels with their models and redirects; their keys are in [`keys`](super::keys).

use std::collections::HashMap;

use super::{Db, StorageError, StorageResult, WriteTransaction, budgets, limits::write_limits, on};
use crate::model::{
    budget::Payer,
    channel::{Channel, ChannelModel, Price, Protocol, Redirect, Shaping, Timeouts},
    endpoint::Endpoints,
    id::ChannelId,
    key::Key,
    limit::Limit,
    secret::Secret,
    token::Quota,
};
use crate::provider::{GENERIC, Providers};

/// What an operator says of a channel: everything but its id and its keys.
#[derive(Debug, Clone)]
pub struct NewChannel {
    /// The name; unique among channels that are not deleted.
    pub name: String,
    /// The upstream's base URL, without a trailing slash.
    pub base_url: String,
    /// The protocol that it speaks.
    pub protocol: Protocol,
    /// The id of the provider whose rules hold for it.
    pub provider: String,
    /// The plan of that provider which its limits depend on; `None` means the provider's usual one.
    pub plan: Option<String>,
    /// Tier; higher ones are tried first.
    pub priority: i64,
    /// Share of the calls within its tier; at least 1.
    pub weight: u32,
    /// Groups that may use it.
    pub groups: Vec<String>,
    /// Headers to add to every upstream request.
    pub headers: Vec<(String, Secret)>,
    /// Outbound proxy.
    pub proxy: Option<Secret>,
    /// Its own limits on the phases of a call.
    pub timeouts: Timeouts,
    /// Whether the upstream may be on a private, loopback or link-local address.
    pub allow_private: bool,
    /// The operator's note.
    pub note: String,
    /// Whether it takes calls.
    pub enabled: bool,
    /// The endpoints that it serves; none named means what its provider is known to serve.
    pub endpoints: Endpoints,
    /// Upstream models that are offered under their own names, in the order of pages. A name counts once.
    pub models: Vec<ChannelModel>,
    /// Further public names. A pair counts once.
    pub redirects: Vec<Redirect>,
    /// Its limits; [checked](crate::model::limit::Rule::check_all).
    pub limits: Vec<Limit>,
    /// How its requests are shaped.
    pub shaping: Shaping,
    /// How much all of its keys may spend together.
    pub budget: Option<Quota>,
}

impl Default for NewChannel {
    fn default() -> Self {
        Self {
            name: String::new(),
            base_url: String::new(),
            protocol: Protocol::default(),
            provider: GENERIC.into(),
            plan: None,
            priority: 0,
            weight: 1,
            groups: Vec::new(),
            headers: Vec::new(),
            proxy: None,
            timeouts: Timeouts::default(),
            allow_private: false,
            note: String::new(),
            enabled: true,
            endpoints: Endpoints::default(),
            models: Vec::new(),
            redirects: Vec::new(),
            limits: Vec::new(),
            shaping: Shaping::default(),
            budget: None,
        }
    }
}

impl NewChannel {
    /// The channel that this becomes under an id.
    pub fn with_id(self, id: ChannelId) -> Channel {
        Channel {
            id,
            name: self.name,
            base_url: self.base_url,
            protocol: self.protocol,
            provider: self.provider,
            plan: self.plan,
            priority: self.priority,
            weight: self.weight,
            groups: self.groups,
            headers: self.headers,
            proxy: self.proxy,
            timeouts: self.timeouts,
            allow_private: self.allow_private,
            note: self.note,
            enabled: self.enabled,
            endpoints: self.endpoints,
            models: self.models,
            redirects: self.redirects,
            limits: self.limits,
            shaping: self.shaping,
            budget: self.budget,
        }
    }
}

impl From<&Channel> for NewChannel {
    fn from(channel: &Channel) -> Self {
        let channel = channel.clone();
        Self {
            name: channel.name,
            base_url: channel.base_url,
            protocol: channel.protocol,
            provider: channel.provider,
            plan: channel.plan,
            priority: channel.priority,
            weight: channel.weight,
            groups: channel.groups,
            headers: channel.headers,
            proxy: channel.proxy,
            timeouts: channel.timeouts,
            allow_private: channel.allow_private,
            note: channel.note,
            enabled: channel.enabled,
            endpoints: channel.endpoints,
            models: channel.models,
            redirects: channel.redirects,
            limits: channel.limits,
            shaping: channel.shaping,
            budget: channel.budget,
        }
    }
}

#[derive(sqlx::FromRow)]
struct ChannelRow {
    id: i64,
    name: String,
    base_url: String,
    protocol: String,
    provider: String,
    plan: Option<String>,
    priority: i64,
    weight: i64,
    channel_groups: String,
    headers_sealed: Vec<u8>,
    proxy_sealed: Option<Vec<u8>>,
    connect_ms: Option<i64>,
    first_byte_ms: Option<i64>,
    idle_ms: Option<i64>,
    allow_private: bool,
    note: String,
    enabled: bool,
    shaping: String,
    endpoints: String,
    budget: Option<String>,
}

#[derive(sqlx::FromRow)]
struct ModelRow {
    channel_id: i64,
    name: String,
    context_window: Option<i64>,
    max_output: Option<i64>,
    vision: Option<bool>,
    tools: Option<bool>,
    reasoning: Option<bool>,
    price_input: Option<i64>,
    price_cached: Option<i64>,
    price_output: Option<i64>,
    price_reasoning: Option<i64>,
    unit_prices: Option<String>,
    endpoints: String,
}

#[derive(sqlx::FromRow)]
struct RedirectRow {
    channel_id: i64,
    public: String,
    upstream: String,
}

impl Db {
    /// Makes a channel without keys. [`StorageError::Taken`] if another one has the name.
    pub async fn create_channel(&self, new: &NewChannel) -> StorageResult<ChannelId> {
        let mut tx = self.begin().await?;
        let id = self.insert_channel(&mut tx, new).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The same within a transaction.
    pub(super) async fn insert_channel(
        &self,
        tx: &mut WriteTransaction,
        new: &NewChannel,
    ) -> StorageResult<ChannelId> {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO channels (name, base_url, protocol, priority, weight, channel_groups, headers_sealed,
                 allow_private, note, enabled, created_at, updated_at)
             VALUES ($1, '', $2, 0, 1, '[]', $3, FALSE, '', FALSE, $4, $4) RETURNING id",
        )
        .bind(&new.name)
        .bind(new.protocol.as_str())
        .bind(&[][..])
        .bind(self.now().0)
        .fetch_one(&mut **tx)
        .await
        .map_err(name_taken)?;
        // The sealed columns are bound to the id, so that the rest is written when it is known.
        self.write_channel(tx, ChannelId(id), new).await?;
        Ok(ChannelId(id))
    }

    /// Gives the channels of a database from before there were providers those that their base URLs belong to, else the
    /// generic one. Deleted ones get it as well.
    pub(super) async fn fill_in_providers(&self) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let without: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT id, name, base_url FROM channels WHERE provider = ''")
                .fetch_all(&mut *tx)
                .await?;
        if without.is_empty() {
            return Ok(());
        }
        let providers = Providers::embedded();
        for (id, name, base_url) in without {
            let provider = providers.proposed(&base_url);
            sqlx::query("UPDATE channels SET provider = $1 WHERE id = $2")
                .bind(provider)
                .bind(id)
                .execute(&mut *tx)
                .await?;
            tracing::info!(channel = name, provider, "the channel got the provider of its base URL");
        }
        Ok(tx.commit().await?)
    }

    /// Replaces everything that an operator says of a channel, models and redirects included; keys stay.
    /// [`StorageError::Taken`] if another one has the name, [`StorageError::Missing`] if the channel was deleted.
    pub async fn update_channel(&self, id: ChannelId, new: &NewChannel) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.write_channel(&mut tx, id, new).await?;
        Ok(tx.commit().await?)
    }

    /// The channel of an id, unless it was deleted.
    pub async fn find_channel(&self, id: ChannelId) -> StorageResult<Option<Channel>> {
        Ok(self.read_channels(Some(id)).await?.pop())
    }

    /// Every channel that is not deleted, with its keys, secrets opened: what the catalog is built from.
    pub(crate) async fn channels_with_keys(&self) -> StorageResult<Vec<(Channel, Vec<Key>)>> {
        let mut keys: HashMap<ChannelId, Vec<Key>> = HashMap::new();
        for key in self.keys().await? {
            keys.entry(key.channel_id).or_default().push(key);
        }
        let channels = self.read_channels(None).await?;
        Ok(channels
            .into_iter()
            .map(|channel| {
                let keys = keys.remove(&channel.id).unwrap_or_default();
                (channel, keys)
            })
            .collect())
    }

    /// Deletes a channel and its keys: their secrets are erased, their names stay for the usage log.
    pub async fn delete_channel(&self, id: ChannelId) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.erase_channel(&mut tx, id).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn erase_channel(&self, tx: &mut WriteTransaction, id: ChannelId) -> StorageResult<()> {
        let now = self.now().0;
        let deleted = sqlx::query(
            "UPDATE channels SET deleted_at = $1, updated_at = $1, enabled = FALSE, headers_sealed = $2,
                 proxy_sealed = NULL
             WHERE id = $3 AND deleted_at IS NULL",
        )
        .bind(now)
        .bind(&[][..])
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
        if deleted.rows_affected() == 0 {
            return Err(StorageError::Missing);
        }
        sqlx::query(
            "UPDATE keys SET deleted_at = $1, enabled = FALSE, secret_sealed = $2, secret_hash = $2, last_check = NULL
             WHERE channel_id = $3 AND deleted_at IS NULL",
        )
        .bind(now)
        .bind(&[][..])
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
        Self::erase_probes(tx, id).await?;
        sqlx::query("DELETE FROM discovered_models WHERE channel_id = $1")
            .bind(id.0)
            .execute(&mut **tx)
            .await?;
        sqlx::query("DELETE FROM upstream_jobs WHERE channel_id = $1").bind(id.0).execute(&mut **tx).await?;
        write_models(tx, id, &[], &[]).await
    }

    /// Switches a channel on or off.
    pub async fn set_channel_enabled(&self, id: ChannelId, enabled: bool) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        self.switch_channel(&mut tx, id, enabled).await?;
        Ok(tx.commit().await?)
    }

    /// The same within a transaction.
    pub(super) async fn switch_channel(
        &self,
        tx: &mut WriteTransaction,
        id: ChannelId,
        enabled: bool,
    ) -> StorageResult<()> {
        let changed = sqlx::query(
            "UPDATE channels SET enabled = $1, updated_at = $2 WHERE id = $3 AND deleted_at IS NULL",
        )
        .bind(enabled)
        .bind(self.now().0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
        if changed.rows_affected() == 0 { Err(StorageError::Missing) } else { Ok(()) }
    }

    /// Replaces a channel's models and redirects. A name, and a pair, counts once.
    pub async fn set_channel_models(
        &self,
        id: ChannelId,
        models: &[ChannelModel],
        redirects: &[Redirect],
    ) -> StorageResult<()> {
        let mut tx = self.begin().await?;
        let changed = sqlx::query("UPDATE channels SET updated_at = $1 WHERE id = $2 AND deleted_at IS NULL")
            .bind(self.now().0)
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
        if changed.rows_affected() == 0 {
            return Err(StorageError::Missing);
        }
        write_models(&mut tx, id, models, redirects).await?;
        Ok(tx.commit().await?)
    }

    /// [`update_channel`](Self::update_channel) within a transaction.
    pub(super) async fn write_channel(
        &self,
        tx: &mut WriteTransaction,
        id: ChannelId,
        new: &NewChannel,
    ) -> StorageResult<()> {
        self.check_key_in_force(tx).await?;
        budgets::forget_if_other(tx, Payer::Channel(id), new.budget).await?;
        let headers: Vec<(&str, &str)> =
            new.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        let headers = zeroize::Zeroizing::new(json(&headers)?);
        let proxy = new.proxy.as_ref().map(|proxy| self.vault().seal(&proxy_context(id), proxy.expose()));
        let changed = sqlx::query(
            "UPDATE channels SET name = $1, base_url = $2, protocol = $3, priority = $4, weight = $5,
                 channel_groups = $6, headers_sealed = $7, proxy_sealed = $8, connect_ms = $9, first_byte_ms = $10,
                 idle_ms = $11, allow_private = $12, note = $13, enabled = $14, updated_at = $15, provider = $16, plan = $17,
                 endpoints = $18, shaping = $19, budget = $20
             WHERE id = $21 AND deleted_at IS NULL",
        )
        .bind(&new.name)
        .bind(&new.base_url)
        .bind(new.protocol.as_str())
        .bind(new.priority)
        .bind(i64::from(new.weight.max(1)))
        .bind(json(&new.groups)?)
        .bind(self.vault().seal(&headers_context(id), &headers))
        .bind(proxy)
        .bind(new.timeouts.connect_ms.map(i64::from))
        .bind(new.timeouts.first_byte_ms.map(i64::from))
        .bind(new.timeouts.idle_ms.map(i64::from))
        .bind(new.allow_private)
        .bind(&new.note)
        .bind(new.enabled)
        .bind(self.now().0)
        .bind(&new.provider)
        .bind(&new.plan)
        .bind(new.endpoints.to_string())
        .bind(json(&new.shaping)?)
        .bind(new.budget.as_ref().map(json).transpose()?)
        .bind(id.0)
        .execute(&mut **tx)
        .await
        .map_err(name_taken)?;
        if changed.rows_affected() == 0 {
            return Err(StorageError::Missing);
        }
        write_models(tx, id, &new.models, &new.redirects).await?;
        write_limits(tx, id, None, &new.limits).await
    }

    async fn read_channels(&self, only: Option<ChannelId>) -> StorageResult<Vec<Channel>> {
        let only = only.map(|id| id.0);
        let rows: Vec<ChannelRow> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT id, name, base_url, protocol, provider, plan, priority, weight, channel_groups, headers_sealed,
                     proxy_sealed, connect_ms, first_byte_ms, idle_ms, allow_private, note, enabled,
                     endpoints, shaping, budget
                 FROM channels WHERE deleted_at IS NULL AND ($1 IS NULL OR id = $1) ORDER BY id",
            )
            .bind(only)
            .fetch_all(pool)
        })?;
        let mut models: HashMap<i64, Vec<ChannelModel>> = HashMap::new();
        let model_rows: Vec<ModelRow> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT channel_id, name, context_window, max_output, vision, tools, reasoning, price_input,
                     price_cached, price_output, price_reasoning, unit_prices, endpoints
                 FROM channel_models WHERE $1 IS NULL OR channel_id = $1 ORDER BY channel_id, position",
            )
            .bind(only)
            .fetch_all(pool)
        })?;
        for row in model_rows {
            models.entry(row.channel_id).or_default().push(row.model()?);
        }
        let mut redirects: HashMap<i64, Vec<Redirect>> = HashMap::new();
        let redirect_rows: Vec<RedirectRow> = on!(self.read, |pool| {
            sqlx::query_as(
                "SELECT channel_id, public, upstream FROM redirects WHERE $1 IS NULL OR channel_id = $1
                 ORDER BY channel_id, position",
            )
            .bind(only)
            .fetch_all(pool)
        })?;
        for row in redirect_rows {
            let redirect = Redirect { public: row.public, upstream: row.upstream };
            redirects.entry(row.channel_id).or_default().push(redirect);
        }
        let mut limits = self.limits_by_owner(only).await?;
        rows.into_iter()
            .map(|row| {
                let id = row.id;
                let models = models.remove(&id).unwrap_or_default();
                let limits = limits.remove(&(ChannelId(id), None)).unwrap_or_default();
                self.channel(row, models, redirects.remove(&id).unwrap_or_default(), limits)
            })
            .collect()
    }

    fn channel(
        &self,
        row: ChannelRow,
        models: Vec<ChannelModel>,
        redirects: Vec<Redirect>,
        limits: Vec<Limit>,
    ) -> StorageResult<Channel> {
        let id = ChannelId(row.id);
        let unreadable = |what: &str| StorageError::Unreadable(format!("{what} of channel {id}"));
        let headers = self.vault().open(&headers_context(id), &row.headers_sealed)?;
        let headers: Vec<(String, String)> =
            serde_json::from_str(headers.expose()).map_err(|_| unreadable("headers"))?;
        let proxy =
            row.proxy_sealed.map(|sealed| self.vault().open(&proxy_context(id), &sealed)).transpose()?;
        Ok(Channel {
            id,
            name: row.name,
            base_url: row.base_url,
            protocol: Protocol::from_name(&row.protocol).ok_or_else(|| unreadable("protocol"))?,
            provider: row.provider,
            plan: row.plan,
            priority: row.priority,
            weight: small(row.weight).unwrap_or(1),
            groups: serde_json::from_str(&row.channel_groups).map_err(|_| unreadable("groups"))?,
            headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
            proxy,
            timeouts: Timeouts {
                connect_ms: row.connect_ms.and_then(small),
                first_byte_ms: row.first_byte_ms.and_then(small),
                idle_ms: row.idle_ms.and_then(small),
            },
            allow_private: row.allow_private,
            note: row.note,
            enabled: row.enabled,
            endpoints: Endpoints::parse(&row.endpoints).map_err(|_| unreadable("endpoints"))?,
            models,
            redirects,
            limits,
            shaping: serde_json::from_str(&row.shaping).map_err(|_| unreadable("shaping"))?,
            budget: budgets::read(row.budget.as_deref()).map_err(|_| unreadable("budget"))?,
        })
    }
}

impl ModelRow {
    fn model(self) -> StorageResult<ChannelModel> {
        let price = self.price_input.zip(self.price_output);
        let unreadable = |what: &str| {
            StorageError::Unreadable(format!("{what} of a model of channel {}", self.channel_id))
        };
        let endpoints = Endpoints::parse(&self.endpoints).map_err(|_| unreadable("endpoints"))?;
        let unit_prices = self.unit_prices.as_deref().map(serde_json::from_str).transpose();
        let unit_prices = unit_prices.map_err(|_| unreadable("unit prices"))?;
        Ok(ChannelModel {
            name: self.name,
            context_window: self.context_window.and_then(small),
            max_output: self.max_output.and_then(small),
            vision: self.vision,
            tools: self.tools,
            reasoning: self.reasoning,
            endpoints,
            price: price.map(|(input, output)| Price {
                input,
                cached: self.price_cached,
                output,
                reasoning: self.price_reasoning,
            }),
            unit_prices,
        })
    }
}

async fn write_models(
    tx: &mut WriteTransaction,
    id: ChannelId,
    models: &[ChannelModel],
    redirects: &[Redirect],
) -> StorageResult<()> {
    sqlx::query("DELETE FROM channel_models WHERE channel_id = $1").bind(id.0).execute(&mut **tx).await?;
    sqlx::query("DELETE FROM redirects WHERE channel_id = $1").bind(id.0).execute(&mut **tx).await?;
    for (position, model) in (0_i64..).zip(models) {
        sqlx::query(
            "INSERT INTO channel_models (channel_id, name, position, context_window, max_output, vision, tools,
                 reasoning, price_input, price_cached, price_output, endpoints, unit_prices, price_reasoning)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
        )
        .bind(id.0)
        .bind(&model.name)
        .bind(position)
        .bind(model.context_window.map(i64::from))
        .bind(model.max_output.map(i64::from))
        .bind(model.vision)
        .bind(model.tools)
        .bind(model.reasoning)
        .bind(model.price.map(|price| price.input))
        .bind(model.price.and_then(|price| price.cached))
        .bind(model.price.map(|price| price.output))
        .bind(model.endpoints.to_string())
        .bind(model.unit_prices.as_ref().filter(|prices| !prices.is_empty()).map(json).transpose()?)
        .bind(model.price.and_then(|price| price.reasoning))
        .execute(&mut **tx)
        .await?;
    }
    for (position, redirect) in (0_i64..).zip(redirects) {
        sqlx::query(
            "INSERT INTO redirects (channel_id, public, upstream, position) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
        )
        .bind(id.0)
        .bind(&redirect.public)
        .bind(&redirect.upstream)
        .bind(position)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

pub(super) fn headers_context(id: ChannelId) -> String {
    format!("channel-headers:{id}")
}

pub(super) fn proxy_context(id: ChannelId) -> String {
    format!("channel-proxy:{id}")
}

fn name_taken(error: sqlx::Error) -> StorageError {
    match error.as_database_error() {
        Some(database) if database.is_unique_violation() => StorageError::Taken("name"),
        _ => error.into(),
    }
}

fn json(value: &impl serde::Serialize) -> StorageResult<String> {
    serde_json::to_string(value).map_err(|error| StorageError::Unreadable(error.to_string()))
}

fn small(value: i64) -> Option<u32> {
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::unit_price::UnitPrices,
        model::{key::PastedKey, time::Clock},
        storage::vault::Vault,
    };

    async fn open() -> (tempfile::TempDir, Db) {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, Clock::system()).await.unwrap();
        (folder, db)
    }

    fn example() -> NewChannel {
        NewChannel {
            name: "Groq".into(),
            base_url: "https://api.groq.example/openai/v1".into(),
            provider: "groq".into(),
            priority: 5,
            weight: 3,
            groups: vec!["free".into(), "fast".into()],
            headers: vec![("x-title".into(), Secret::new("header value"))],
            proxy: Some(Secret::new("socks5://user:proxy-password@127.0.0.1:1080")),
            timeouts: Timeouts { connect_ms: Some(2500), first_byte_ms: None, idle_ms: Some(60_000) },
            allow_private: true,
            note: "a note".into(),
            models: vec![
                ChannelModel {
                    name: "big".into(),
                    context_window: Some(131_072),
                    vision: Some(false),
                    price: Some(Price { input: 150_000, cached: None, output: 600_000, reasoning: None }),
                    unit_prices: UnitPrices::parse("image/high=0.1 search=0.002").ok().map(Box::new),
                    ..Default::default()
                },
                ChannelModel { name: "a-small".into(), ..Default::default() },
            ],
            redirects: vec![
                Redirect { public: "smart".into(), upstream: "big".into() },
                Redirect { public: "smart".into(), upstream: "a-small".into() },
            ],
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn a_channel_reads_back_as_it_was_written() {
        let (_folder, db) = open().await;
        let new = example();
        let id = db.create_channel(&new).await.unwrap();
        let read = NewChannel::from(&db.find_channel(id).await.unwrap().unwrap());
        assert_eq!(format!("{read:?}"), format!("{new:?}"));
        assert_eq!(read.headers[0].1.expose(), "header value");
        assert_eq!(read.proxy.unwrap().expose(), "socks5://user:proxy-password@127.0.0.1:1080");

        let changed = NewChannel { name: "Groq 2".into(), proxy: None, models: Vec::new(), ..new };
        db.update_channel(id, &changed).await.unwrap();
        let read = db.find_channel(id).await.unwrap().unwrap();
        assert_eq!((read.name.as_str(), read.proxy.is_none(), read.models.len()), ("Groq 2", true, 0));
    }

    #[tokio::test]
    async fn a_name_is_taken_until_its_channel_is_deleted() {
        let (_folder, db) = open().await;
        let id = db.create_channel(&example()).await.unwrap();
        let same = NewChannel { name: "GROQ".into(), ..example() };
        assert!(matches!(db.create_channel(&same).await, Err(StorageError::Taken("name"))));
        let other = db.create_channel(&NewChannel { name: "other".into(), ..example() }).await.unwrap();
        assert!(matches!(db.update_channel(other, &same).await, Err(StorageError::Taken("name"))));
        db.delete_channel(id).await.unwrap();
        db.create_channel(&same).await.unwrap();
    }

    #[tokio::test]
    async fn deleting_a_channel_erases_its_secrets_and_those_of_its_keys() {
        let (_folder, db) = open().await;
        let id = db.create_channel(&example()).await.unwrap();
        let key = PastedKey {
            label: String::new(),
            secret: Secret::new("nvapi-0123456789"),
            quota_group: None,
            limits: Vec::new(),
            budget: None,
        };
        db.add_keys(id, &[key]).await.unwrap();
        db.delete_channel(id).await.unwrap();
        assert!(db.find_channel(id).await.unwrap().is_none());
        assert!(db.channels_with_keys().await.unwrap().is_empty());
        let left: i64 = on!(db.read, |pool| {
            sqlx::query_scalar(
                "SELECT (SELECT SUM(LENGTH(headers_sealed)) + COUNT(proxy_sealed) FROM channels)
                     + (SELECT SUM(LENGTH(secret_sealed) + LENGTH(secret_hash)) FROM keys)",
            )
            .fetch_one(pool)
        })
        .unwrap();
        assert_eq!(left, 0);
        assert!(matches!(db.delete_channel(id).await, Err(StorageError::Missing)));
        assert!(matches!(db.set_channel_enabled(id, true).await, Err(StorageError::Missing)));
    }

    #[tokio::test]
    async fn channels_from_before_there_were_providers_get_that_of_their_base_url() {
        let (folder, db) = open().await;
        let channel = |name: &str, base_url: &str| NewChannel {
            name: name.into(),
            base_url: base_url.into(),
            ..Default::default()
        };
        let groq = db.create_channel(&channel("a", "https://api.groq.com/openai/v1")).await.unwrap();
        let other = db.create_channel(&channel("b", "https://a.example/v1")).await.unwrap();
        let mut chosen = channel("c", "https://api.groq.com/openai/v1");
        chosen.provider = "nvidia".into();
        let chosen = db.create_channel(&chosen).await.unwrap();
        // As the migration leaves them.
        on!(db.write, |pool| sqlx::query("UPDATE channels SET provider = '' WHERE name <> 'c'")
            .execute(pool))
        .unwrap();
        db.close().await;

        let vault = Vault::new(&Secret::new("0123456789abcdef"));
        let db = Db::open(&folder.path().join("onepool.db"), vault, Clock::system()).await.unwrap();
        for (id, expected) in [(groq, "groq"), (other, "generic"), (chosen, "nvidia")] {
            assert_eq!(db.find_channel(id).await.unwrap().unwrap().provider, expected);
        }
    }

    #[tokio::test]
    async fn models_and_redirects_are_replaced_in_their_order() {
        let (_folder, db) = open().await;
        let id = db.create_channel(&example()).await.unwrap();
        let names = ["z", "a", "m", "a"];
        let models: Vec<_> =
            names.iter().map(|name| ChannelModel { name: (*name).into(), ..Default::default() }).collect();
        db.set_channel_models(id, &models, &[]).await.unwrap();
        let read = db.find_channel(id).await.unwrap().unwrap();
        assert_eq!(read.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
        assert!(read.redirects.is_empty());
    }
}
