-- What is used and known of the limits of keys, saved every second while it changes: one row of JSON,
-- scheduler::pool::Saved. `complete` says that the run which saved it ended in good order.
CREATE TABLE ledger (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    saved    TEXT NOT NULL,
    complete BOOLEAN NOT NULL
);

-- What operators declare of the limits of a channel's keys. Kinds are written as JSON, as in model::limit.
CREATE TABLE limits (
    id         INTEGER PRIMARY KEY,
    channel_id BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    key_id     BIGINT REFERENCES keys (id) ON DELETE CASCADE,   -- only this key
    models     TEXT NOT NULL,                -- JSON, Models
    per        TEXT NOT NULL,                -- JSON, Per
    metric     TEXT NOT NULL,                -- JSON, Metric
    period     TEXT NOT NULL,                -- JSON, Window
    most       BIGINT NOT NULL
);
CREATE INDEX limits_by_channel ON limits (channel_id);
CREATE TRIGGER limits_added AFTER INSERT ON limits
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER limits_removed AFTER DELETE ON limits
BEGIN UPDATE catalog_version SET version = version + 1; END;
