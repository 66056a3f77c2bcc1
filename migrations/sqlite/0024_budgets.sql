-- Budgets of tokens (their quotas), keys and channels; the operator's table of prices; what calls saved.

ALTER TABLE tokens ADD COLUMN quota_warn_at TEXT NOT NULL DEFAULT '[80,95]';   -- JSON array of percentages
ALTER TABLE tokens ADD COLUMN quota_at_limit TEXT NOT NULL DEFAULT 'stop';
ALTER TABLE channels ADD COLUMN budget TEXT;                                     -- JSON, model::token::Quota; NULL: none
ALTER TABLE keys ADD COLUMN budget TEXT;                                         -- likewise
CREATE TRIGGER key_budgets_changed AFTER UPDATE OF budget ON keys
BEGIN UPDATE catalog_version SET version = version + 1; END;

-- What keys and channels have spent of their budgets. Written in the same transaction as the usage rows that it sums up.
CREATE TABLE budget_spending (
    owner_kind   TEXT NOT NULL,              -- 'key' or 'channel'
    owner_id     BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    unit         TEXT NOT NULL,
    spent        BIGINT NOT NULL,
    PRIMARY KEY (owner_kind, owner_id, period_start, unit)
);
CREATE INDEX budget_spending_period ON budget_spending (period_start);

-- Micro-dollars per million reasoning tokens; NULL: those of completion tokens.
ALTER TABLE channel_models ADD COLUMN price_reasoning BIGINT;

-- The operator's table of prices. Prices per token are micro-dollars per million; input and output NULL: none.
CREATE TABLE prices (
    model       TEXT NOT NULL,               -- the identity, in small letters
    provider    TEXT NOT NULL,               -- its id; '' means any
    input       BIGINT,
    cached      BIGINT,
    output      BIGINT,
    reasoning   BIGINT,
    unit_prices TEXT,                        -- JSON, model::unit_price::UnitPrices
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (model, provider)
);
CREATE TRIGGER prices_added AFTER INSERT ON prices
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER prices_changed AFTER UPDATE ON prices
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER prices_removed AFTER DELETE ON prices
BEGIN UPDATE catalog_version SET version = version + 1; END;

-- What calls saved, in micro-dollars, by the hour (UTC) in which they came: see model::usage::UsageRecord. Kept for good. A row for
-- each owner and one for all calls, so that a sum of any of them reads one range of hours.
CREATE TABLE savings (
    owner_kind TEXT NOT NULL,                -- 'token', 'key', 'channel', or '' with id 0: all calls
    owner_id   BIGINT NOT NULL,
    hour       BIGINT NOT NULL,              -- its start, in milliseconds
    saved      BIGINT NOT NULL,
    PRIMARY KEY (owner_kind, owner_id, hour)
) WITHOUT ROWID;
