-- Prices of a channel's model per picture, minute and the like (model::unit_price::UnitPrices), as JSON; NULL: none.
ALTER TABLE channel_models ADD COLUMN unit_prices TEXT;

-- The call that made what an upstream keeps, while nobody knows what it costs; NULL once somebody does.
ALTER TABLE upstream_jobs ADD COLUMN unpriced_call TEXT;
