-- Times are milliseconds since 1970 that the program supplies; money is integer micro-dollars; JSON is TEXT.
-- `*_sealed` columns hold XChaCha20-Poly1305 boxes under the master key.
-- Rows with `deleted_at` are kept for their names in the usage log; their secrets are erased.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE settings (
    name       TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE users (
    id                   INTEGER PRIMARY KEY,
    name                 TEXT NOT NULL,
    password_hash        TEXT NOT NULL,
    must_change_password BOOLEAN NOT NULL DEFAULT FALSE,
    language             TEXT,
    theme                TEXT,
    created_at           BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (LOWER(name));

CREATE TABLE sessions (
    id          INTEGER PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    user_id     BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    address     TEXT NOT NULL,
    user_agent  TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE channels (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL,
    base_url         TEXT NOT NULL,
    protocol         TEXT NOT NULL,
    priority         BIGINT NOT NULL,
    weight           BIGINT NOT NULL,
    channel_groups   TEXT NOT NULL,          -- JSON array of names
    headers_sealed   BLOB NOT NULL,          -- JSON array of [name, value]
    proxy_sealed     BLOB,
    connect_ms       BIGINT,
    first_byte_ms    BIGINT,
    idle_ms          BIGINT,
    allow_private    BOOLEAN NOT NULL,
    note             TEXT NOT NULL,
    enabled          BOOLEAN NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    deleted_at       BIGINT
);
CREATE UNIQUE INDEX channels_name ON channels (LOWER(name)) WHERE deleted_at IS NULL;

CREATE TABLE channel_models (
    channel_id     BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    position       BIGINT NOT NULL,
    context_window BIGINT,
    max_output     BIGINT,
    vision         BOOLEAN,
    tools          BOOLEAN,
    reasoning      BOOLEAN,
    price_input    BIGINT,                   -- micro-dollars per million tokens; all three NULL: no price
    price_cached   BIGINT,
    price_output   BIGINT,
    PRIMARY KEY (channel_id, name)
);

CREATE TABLE redirects (
    channel_id BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    public     TEXT NOT NULL,
    upstream   TEXT NOT NULL,
    position   BIGINT NOT NULL,
    PRIMARY KEY (channel_id, public, upstream)
);

CREATE TABLE keys (
    id            INTEGER PRIMARY KEY,
    channel_id    BIGINT NOT NULL REFERENCES channels (id),
    label         TEXT NOT NULL,
    last4         TEXT NOT NULL,
    secret_sealed BLOB NOT NULL,
    secret_hash   BLOB NOT NULL,             -- keyed with the master key; only to find duplicates
    quota_group   TEXT,
    enabled       BOOLEAN NOT NULL,
    last_check    TEXT,                      -- JSON, model::key::KeyCheck
    created_at    BIGINT NOT NULL,
    deleted_at    BIGINT
);
CREATE UNIQUE INDEX keys_secret ON keys (channel_id, secret_hash) WHERE deleted_at IS NULL;
CREATE INDEX keys_channel ON keys (channel_id);

-- Keys, models and hosts that rest after a bad answer, so that a restart does not forget them.
CREATE TABLE rests (
    scope    TEXT PRIMARY KEY,               -- JSON, scheduler::rest::Scope
    rest     TEXT NOT NULL                   -- JSON, scheduler::rest::Rest
);

CREATE TABLE tokens (
    id                  INTEGER PRIMARY KEY,
    name                TEXT NOT NULL,
    models              TEXT NOT NULL,       -- JSON array of names and prefix*
    channel_groups      TEXT NOT NULL,       -- JSON array of names
    cidrs               TEXT NOT NULL,       -- JSON array of networks
    expires_at          BIGINT,
    quota_unit          TEXT,
    quota_limit         BIGINT,
    quota_reset         TEXT,
    requests_per_minute BIGINT,
    profile             TEXT NOT NULL,
    note                TEXT NOT NULL,
    enabled             BOOLEAN NOT NULL,
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    deleted_at          BIGINT
);
CREATE UNIQUE INDEX tokens_name ON tokens (LOWER(name)) WHERE deleted_at IS NULL;

-- The values of a token: the present one, and replaced ones until their grace time ends.
CREATE TABLE token_values (
    hash        BLOB PRIMARY KEY,            -- SHA-256 of the value
    token_id    BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    sealed      BLOB NOT NULL,
    last4       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    valid_until BIGINT                       -- NULL: the present value
);
CREATE INDEX token_values_token ON token_values (token_id);

-- What a token has spent in a quota period. Written in the same transaction as the usage rows that it sums up.
CREATE TABLE token_spending (
    token_id     BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    unit         TEXT NOT NULL,
    spent        BIGINT NOT NULL,
    PRIMARY KEY (token_id, period_start, unit)
);

CREATE TABLE usage (
    id                INTEGER PRIMARY KEY,
    request_id        TEXT NOT NULL UNIQUE,
    at                BIGINT NOT NULL,
    token_id          BIGINT NOT NULL,
    channel_id        BIGINT,
    key_id            BIGINT,
    asked_model       TEXT NOT NULL,
    served_model      TEXT,
    endpoint          TEXT NOT NULL,
    stream            BOOLEAN NOT NULL,
    status            BIGINT NOT NULL,
    result            TEXT NOT NULL,
    error_code        TEXT,
    queue_ms          BIGINT NOT NULL,
    first_token_ms    BIGINT,
    total_ms          BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cached_tokens     BIGINT NOT NULL,
    reasoning_tokens  BIGINT NOT NULL,
    estimated         BOOLEAN NOT NULL,
    cost_micros       BIGINT NOT NULL,
    client_address    TEXT NOT NULL,
    client_kind       TEXT NOT NULL,
    trace_id          TEXT,
    attempt_count     BIGINT NOT NULL
);
CREATE INDEX usage_at ON usage (at);
CREATE INDEX usage_token_at ON usage (token_id, at);
CREATE INDEX usage_channel_at ON usage (channel_id, at);
CREATE INDEX usage_key_at ON usage (key_id, at);

CREATE TABLE attempts (
    usage_id      BIGINT NOT NULL REFERENCES usage (id) ON DELETE CASCADE,
    position      BIGINT NOT NULL,
    channel_id    BIGINT NOT NULL,
    key_id        BIGINT NOT NULL,
    model         TEXT NOT NULL,
    started_ms    BIGINT NOT NULL,
    first_byte_ms BIGINT,
    duration_ms   BIGINT NOT NULL,
    status        BIGINT,
    class         TEXT NOT NULL,
    detail        TEXT NOT NULL,
    PRIMARY KEY (usage_id, position)
);

-- Sums per 15 minutes (UTC), kept for good. Ids of 0 and empty texts stand for "none".
CREATE TABLE rollups (
    bucket             BIGINT NOT NULL,      -- start, milliseconds
    token_id           BIGINT NOT NULL,
    channel_id         BIGINT NOT NULL,
    key_id             BIGINT NOT NULL,
    asked_model        TEXT NOT NULL,
    served_model       TEXT NOT NULL,
    endpoint           TEXT NOT NULL,
    client_kind        TEXT NOT NULL,
    stream             BOOLEAN NOT NULL,
    status             BIGINT NOT NULL,
    result             TEXT NOT NULL,
    requests           BIGINT NOT NULL,
    retried            BIGINT NOT NULL,      -- requests that took more than one attempt
    estimated          BIGINT NOT NULL,      -- requests whose counts are estimates
    prompt_tokens      BIGINT NOT NULL,
    completion_tokens  BIGINT NOT NULL,
    cached_tokens      BIGINT NOT NULL,
    reasoning_tokens   BIGINT NOT NULL,
    cost_micros        BIGINT NOT NULL,
    queue_ms           BIGINT NOT NULL,
    queue_histogram    TEXT NOT NULL,        -- JSON, storage::rollups::Histogram
    first_token_histogram TEXT NOT NULL,
    total_histogram    TEXT NOT NULL,
    PRIMARY KEY (bucket, token_id, channel_id, key_id, asked_model, served_model, endpoint, client_kind, stream,
                 status, result)
);

-- The same for attempts, so that a key's failures count where they happened.
CREATE TABLE attempt_rollups (
    bucket     BIGINT NOT NULL,
    channel_id BIGINT NOT NULL,
    key_id     BIGINT NOT NULL,
    model      TEXT NOT NULL,
    class      TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (bucket, channel_id, key_id, model, class)
);
