//! The operator's table of prices, and all that is known of prices together.

use super::{Db, StorageError, StorageResult, on, providers::ProviderStore};
use crate::{
    model::{catalog::Catalog, channel::Price, id::ChannelId, price::OwnPrice, unit_price::UnitPrices},
    ranking::price::{Listed, PriceBook},
};

#[derive(sqlx::FromRow)]
struct Row {
    model: String,
    provider: String,
    input: Option<i64>,
    cached: Option<i64>,
    output: Option<i64>,
    reasoning: Option<i64>,
    unit_prices: Option<String>,
}

impl Db {
    /// The operator's table of prices, by model and provider.
    pub async fn own_prices(&self) -> StorageResult<Vec<OwnPrice>> {
        const SQL: &str = "SELECT model, provider, input, cached, output, reasoning, unit_prices FROM prices \
                           ORDER BY model, provider";
        let rows: Vec<Row> = on!(self.read, |pool| sqlx::query_as(SQL).fetch_all(pool))?;
        rows.into_iter()
            .map(|row| {
                let unit_prices: Option<Box<UnitPrices>> =
                    row.unit_prices.as_deref().map(serde_json::from_str).transpose().map_err(|_| {
                        StorageError::Unreadable(format!("unit prices of {}", row.model.escape_debug()))
                    })?;
                let price = row.input.zip(row.output).map(|(input, output)| Price {
                    input,
                    cached: row.cached,
                    output,
                    reasoning: row.reasoning,
                });
                let provider = Some(row.provider).filter(|provider| !provider.is_empty());
                Ok(OwnPrice { model: row.model, provider, price, unit_prices })
            })
            .collect()
    }

    /// Writes an entry of the table, in place of the one for the same model and provider. Reload the catalog afterwards.
    pub async fn save_own_price(&self, own: &OwnPrice) -> StorageResult<()> {
        const SQL: &str = "INSERT INTO prices (model, provider, input, cached, output, reasoning, unit_prices, updated_at) \
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (model, provider) DO UPDATE SET \
                           input = excluded.input, cached = excluded.cached, output = excluded.output, \
                           reasoning = excluded.reasoning, unit_prices = excluded.unit_prices, \
                           updated_at = excluded.updated_at";
        let units = own.unit_prices.as_ref().filter(|prices| !prices.is_empty());
        let units = units.map(serde_json::to_string).transpose();
        let units = units.map_err(|error| StorageError::Unreadable(error.to_string()))?;
        on!(self.write, |pool| {
            sqlx::query(SQL)
                .bind(own.model.to_ascii_lowercase())
                .bind(own.provider.clone().unwrap_or_default())
                .bind(own.price.map(|price| price.input))
                .bind(own.price.and_then(|price| price.cached))
                .bind(own.price.map(|price| price.output))
                .bind(own.price.and_then(|price| price.reasoning))
                .bind(units)
                .bind(self.now().0)
                .execute(pool)
        })?;
        Ok(())
    }

    /// Removes an entry of the table; says whether there was one. Reload the catalog afterwards.
    pub async fn delete_own_price(&self, model: &str, provider: Option<&str>) -> StorageResult<bool> {
        const SQL: &str = "DELETE FROM prices WHERE model = $1 AND provider = $2";
        let done = on!(self.write, |pool| {
            sqlx::query(SQL).bind(model.to_ascii_lowercase()).bind(provider.unwrap_or_default()).execute(pool)
        })?;
        Ok(done.rows_affected() > 0)
    }

    /// The prices that upstreams' lists tell, of models that they still have.
    async fn listed_prices(&self) -> StorageResult<Vec<Listed>> {
        const SQL: &str = "SELECT channel_id, name, json_extract(facts, '$.price') FROM discovered_models \
                           WHERE vanished_at IS NULL AND json_extract(facts, '$.price') IS NOT NULL";
        let rows: Vec<(i64, String, String)> = on!(self.read, |pool| sqlx::query_as(SQL).fetch_all(pool))?;
        let listed = rows.into_iter().filter_map(|(channel, model, price)| {
            // What an older version wrote and this one cannot read has no price.
            let price: Price = serde_json::from_str(&price).ok()?;
            Some(Listed { channel: ChannelId(channel), model, price })
        });
        Ok(listed.collect())
    }

    /// Everything that is known of prices beside the channels' own.
    pub async fn price_book(&self, catalog: &Catalog, providers: &ProviderStore) -> StorageResult<PriceBook> {
        let tables = providers.ranking().load();
        let identities = tables.identities.clone().with_own(&self.own_model_names().await?);
        let provider_of = |id: ChannelId| Some(catalog.channel(id)?.channel.provider.clone());
        let (own, listed) = (self.own_prices().await?, self.listed_prices().await?);
        Ok(PriceBook::new(identities, &own, &listed, &tables.prices, provider_of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::recording::tests::open;

    #[tokio::test]
    async fn an_entry_is_read_as_it_was_written_and_a_second_one_replaces_it() {
        let folder = tempfile::tempdir().unwrap();
        let db = open(folder.path()).await;
        let version = db.catalog_version().await.unwrap();
        let price = Price { input: 1, cached: Some(2), output: 3, reasoning: Some(4) };
        let own = OwnPrice { model: "Big-1".into(), provider: None, price: Some(price), unit_prices: None };
        db.save_own_price(&own).await.unwrap();
        let units = UnitPrices::parse("image=0.04").unwrap();
        let pictures = OwnPrice {
            provider: Some("groq".into()),
            price: None,
            unit_prices: Some(Box::new(units)),
            ..own.clone()
        };
        db.save_own_price(&pictures).await.unwrap();
        let lower = |own: &OwnPrice| OwnPrice { model: "big-1".into(), ..own.clone() };
        assert_eq!(db.own_prices().await.unwrap(), [lower(&own), lower(&pictures)]);
        let cheaper = OwnPrice { price: Some(Price::default()), ..own };
        db.save_own_price(&cheaper).await.unwrap();
        assert_eq!(db.own_prices().await.unwrap()[0].price, Some(Price::default()));
        assert!(db.delete_own_price("BIG-1", None).await.unwrap());
        assert!(!db.delete_own_price("big-1", None).await.unwrap());
        assert_eq!(db.own_prices().await.unwrap().len(), 1);
        assert!(db.catalog_version().await.unwrap() > version, "a running server takes notice");
    }
}
