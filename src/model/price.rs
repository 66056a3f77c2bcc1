//! Prices that are not a channel's own: what a model costs at its vendor, by whom that is known, and since when.
//!
//! A channel's price and the operator's table say what a call *costs*, and are charged. What upstreams' lists and the
//! presets say is only compared with: it tells what was saved, and how much of a budget to reserve.

use serde::{Deserialize, Serialize};

use super::{
    channel::Price,
    token::named_enum,
    unit_price::UnitPrices,
    usage::{TokenCounts, Units},
};

named_enum! {
    /// Where a price is known from, from the strongest to the weakest.
    PriceSource {
        /// The channel's own.
        Channel = "channel",
        /// The operator's table of prices.
        Table = "table",
        /// The upstream's list of models.
        Upstream = "upstream",
        /// A preset that came with the program, or a file in the data folder.
        Preset = "preset",
    }
}

/// What a model costs by a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPrice {
    /// Per token.
    pub price: Option<Price>,
    /// Per picture, minute and the like.
    pub unit_prices: Option<Box<UnitPrices>>,
    /// Where it is known from.
    pub source: PriceSource,
    /// The day that a preset is of, such as `2026-08-05`.
    pub as_of: Option<String>,
}

impl ListPrice {
    /// What a call would cost, in micro-dollars, a part of one counted as a whole; `None` if nothing that it used has a price.
    pub fn cost_micros(&self, tokens: &TokenCounts, units: Option<&Units>) -> Option<i64> {
        let of_tokens = self.price.map(|price| price.cost_micros(tokens));
        match self.unit_prices.as_ref().zip(units).and_then(|(prices, units)| prices.cost_micros(units)) {
            None => of_tokens,
            Some(of_units) => Some(of_units.saturating_add(of_tokens.unwrap_or(0))),
        }
    }
}

/// An operator's entry in the table of prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPrice {
    /// The model: its identity, such as `gpt-oss-120b`, in small letters.
    pub model: String,
    /// Only at this provider (its id); `None`: at any.
    pub provider: Option<String>,
    /// Per token.
    pub price: Option<Price>,
    /// Per picture, minute and the like.
    pub unit_prices: Option<Box<UnitPrices>>,
}

impl OwnPrice {
    /// As a list price.
    pub fn list(&self) -> ListPrice {
        ListPrice {
            price: self.price,
            unit_prices: self.unit_prices.clone(),
            source: PriceSource::Table,
            as_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_price_is_of_tokens_and_units_together() {
        let price = Price { input: 1_000_000, cached: None, output: 2_000_000, reasoning: None };
        let list = ListPrice {
            price: Some(price),
            unit_prices: Some(Box::new(UnitPrices::parse("image=0.04").unwrap())),
            source: PriceSource::Preset,
            as_of: None,
        };
        let tokens = TokenCounts { prompt: 100, completion: 10, ..TokenCounts::default() };
        let units = Units { images: 2, ..Units::default() };
        assert_eq!(list.cost_micros(&tokens, None), Some(120));
        assert_eq!(list.cost_micros(&tokens, Some(&units)), Some(80_120));
        let none = ListPrice { price: None, unit_prices: None, ..list };
        assert_eq!(none.cost_micros(&tokens, Some(&units)), None);
    }
}
