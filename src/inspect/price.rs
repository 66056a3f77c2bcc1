//! What the models of the pool cost, and where that is known from.

use std::{collections::HashSet, sync::Arc};

use crate::model::{
    catalog::{Catalog, Route},
    channel::Price,
    id::ChannelId,
    price::{ListPrice, PriceSource},
    unit_price::UnitPrices,
};

/// What a model costs at a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    /// The channel.
    pub channel: ChannelId,
    /// Its name.
    pub channel_name: String,
    /// Its provider's id.
    pub provider: String,
    /// The upstream's name of the model.
    pub model: String,
    /// Whether the provider is known to charge nothing for it.
    pub free: bool,
    /// Where the price is known from; `None` if it is not known.
    pub source: Option<PriceSource>,
    /// Of a preset, the day that it is of.
    pub as_of: Option<String>,
    /// Whether it is what calls cost, and not only compared with.
    pub charged: bool,
    /// Per token.
    pub price: Option<Price>,
    /// Per picture, minute and the like.
    pub unit_prices: Option<UnitPrices>,
    /// What it is compared with, to tell what was saved.
    pub list: Option<Arc<ListPrice>>,
}

impl PriceRow {
    fn of(route: &Route) -> Self {
        let channel = &route.channel.channel;
        let is_own = channel.model(&route.upstream_model).is_some_and(|model| model.is_priced());
        let charged = (is_own || !route.free) && route.model.is_priced();
        let list = route.list.as_deref();
        let of_list = list.map(|list| list.source);
        let source = match (is_own, charged) {
            (true, _) => Some(PriceSource::Channel),
            // What a managed chain was built from is the upstream's list.
            (false, true) if of_list != Some(PriceSource::Table) => Some(PriceSource::Upstream),
            (false, _) => of_list,
        };
        let (price, unit_prices) = if charged {
            (route.model.price, route.model.unit_prices.as_deref().cloned())
        } else {
            let units = list.and_then(|list| list.unit_prices.as_deref().cloned());
            (list.and_then(|list| list.price), units)
        };
        Self {
            channel: channel.id,
            channel_name: channel.name.clone(),
            provider: channel.provider.clone(),
            model: route.upstream_model.to_string(),
            free: route.free && !is_own,
            source,
            as_of: list.filter(|list| source == Some(list.source)).and_then(|list| list.as_of.clone()),
            charged,
            price,
            unit_prices,
            list: route.list.clone(),
        }
    }
}

/// What every model of every channel that is on costs, each once, by name.
pub fn prices(catalog: &Catalog) -> Vec<PriceRow> {
    let mut seen = HashSet::new();
    let mut rows: Vec<PriceRow> = catalog
        .models()
        .flat_map(|model| &model.routes)
        .filter(|route| seen.insert((route.channel.channel.id, route.upstream_model.clone())))
        .map(PriceRow::of)
        .collect();
    rows.sort_by_cached_key(|row| (row.model.to_lowercase(), row.channel));
    rows
}
