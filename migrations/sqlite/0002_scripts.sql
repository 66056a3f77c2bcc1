-- What scripts and the command line need: a counter that tells a running server that somebody else has changed
-- something, wishes that it carries out, and access tokens for the admin API.

-- Counts the changes of everything that a catalog snapshot is built from, whoever makes them. Triggers count, so no
-- writer can forget to.
CREATE TABLE catalog_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO catalog_version (id, version) VALUES (1, 1);

CREATE TRIGGER channels_added AFTER INSERT ON channels
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER channels_changed AFTER UPDATE ON channels
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER channel_models_added AFTER INSERT ON channel_models
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER channel_models_removed AFTER DELETE ON channel_models
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER redirects_added AFTER INSERT ON redirects
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER redirects_removed AFTER DELETE ON redirects
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER keys_added AFTER INSERT ON keys
BEGIN UPDATE catalog_version SET version = version + 1; END;
-- What a test of a key found is not in the catalog.
CREATE TRIGGER keys_changed AFTER UPDATE OF label, secret_sealed, quota_group, enabled, deleted_at ON keys
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER tokens_added AFTER INSERT ON tokens
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER tokens_changed AFTER UPDATE ON tokens
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER token_values_added AFTER INSERT ON token_values
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER token_values_changed AFTER UPDATE ON token_values
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER token_values_removed AFTER DELETE ON token_values
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER settings_added AFTER INSERT ON settings
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER settings_changed AFTER UPDATE ON settings
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER settings_removed AFTER DELETE ON settings
BEGIN UPDATE catalog_version SET version = version + 1; END;

-- Rests that a command wants to be ended. They live in the running server's memory, so it is asked to.
CREATE TABLE retries (
    id    INTEGER PRIMARY KEY,
    scope TEXT NOT NULL                      -- JSON, scheduler::rest::Scope
);
CREATE TRIGGER retries_added AFTER INSERT ON retries
BEGIN UPDATE catalog_version SET version = version + 1; END;

-- Credentials of scripts for the admin API. Only the hash is kept.
CREATE TABLE access_tokens (
    id           INTEGER PRIMARY KEY,
    user_id      BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,       -- SHA-256 of the value
    last4        TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE UNIQUE INDEX access_tokens_name ON access_tokens (user_id, LOWER(name));
