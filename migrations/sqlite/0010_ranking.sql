-- Managed chains (`auto` and its kin): what operators want of each, and the steps as they were built last.
CREATE TABLE managed_chains (
    name        TEXT PRIMARY KEY,            -- ranking::chain::Purpose
    enabled     BOOLEAN NOT NULL,
    free_only   BOOLEAN NOT NULL,
    most_models BIGINT NOT NULL,
    pins        TEXT NOT NULL,               -- JSON array of identities, the first one first
    built_at    BIGINT                       -- NULL: never
);
INSERT INTO managed_chains (name, enabled, free_only, most_models, pins) VALUES
    ('auto', TRUE, TRUE, 8, '[]'),
    ('auto:coding', TRUE, TRUE, 8, '[]'),
    ('auto:vision', TRUE, TRUE, 8, '[]'),
    ('auto:fast', TRUE, TRUE, 8, '[]');

CREATE TABLE managed_steps (
    chain          TEXT NOT NULL REFERENCES managed_chains (name) ON DELETE CASCADE,
    position       BIGINT NOT NULL,
    place          BIGINT NOT NULL,          -- of the model, from 0: one model may stand at several channels
    spare          BOOLEAN NOT NULL,         -- behind the last model of the chain: only its limits are watched
    channel_id     BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    identity       TEXT NOT NULL,
    model          TEXT NOT NULL,            -- JSON, model::channel::ChannelModel
    PRIMARY KEY (chain, position)
);

-- Steps are in catalog snapshots; what a chain is built by is not.
CREATE TRIGGER managed_chains_switched AFTER UPDATE OF enabled ON managed_chains
WHEN NEW.enabled <> OLD.enabled
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER managed_steps_added AFTER INSERT ON managed_steps
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER managed_steps_removed AFTER DELETE ON managed_steps
BEGIN UPDATE catalog_version SET version = version + 1; END;

-- One row: how much each component of a score counts, and up to where the usage log has been read.
CREATE TABLE ranking (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    weights TEXT,                            -- JSON, ranking::score::Weights; NULL: the usual ones
    read_to BIGINT,                          -- an id of the usage log; NULL: not read yet
    version BIGINT NOT NULL                  -- counts the changes that chains are built anew for
);
INSERT INTO ranking (id, version) VALUES (1, 1);

-- Names of models that operators have joined.
CREATE TABLE model_names (
    name     TEXT NOT NULL,
    provider TEXT NOT NULL,                  -- only at this provider; empty: at any
    identity TEXT NOT NULL,
    PRIMARY KEY (name, provider)
);

-- Whether models are alive; those of which nothing speaks against it have no row.
CREATE TABLE model_health (
    channel_id BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    model      TEXT NOT NULL,
    liveness   TEXT NOT NULL,                -- JSON, ranking::liveness::Liveness
    noted_at   BIGINT NOT NULL,
    PRIMARY KEY (channel_id, model)
);
-- The list of each channel that has been taken note of.
CREATE TABLE model_lists (
    channel_id BIGINT PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    listed_at  BIGINT NOT NULL
);

-- What was measured of models, by day (UTC).
CREATE TABLE model_days (
    day            BIGINT NOT NULL,          -- since 1970
    channel_id     BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    model          TEXT NOT NULL,
    answered       BIGINT NOT NULL,
    failed         BIGINT NOT NULL,
    first_tokens   BIGINT NOT NULL,          -- how many times until the first content, and their sum
    first_token_ms BIGINT NOT NULL,
    speeds         BIGINT NOT NULL,          -- how many speeds, and their sum in tokens per second
    speed          BIGINT NOT NULL,
    PRIMARY KEY (day, channel_id, model)
);

CREATE TRIGGER managed_chains_changed AFTER UPDATE OF enabled, free_only, most_models, pins ON managed_chains
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER ranking_weights_changed AFTER UPDATE OF weights ON ranking
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER model_names_added AFTER INSERT ON model_names
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER model_names_changed AFTER UPDATE ON model_names
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER model_names_removed AFTER DELETE ON model_names
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER model_lists_came AFTER INSERT ON discoveries
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER model_lists_changed AFTER UPDATE OF listed_at ON discoveries
BEGIN UPDATE ranking SET version = version + 1; END;
CREATE TRIGGER key_checks_changed AFTER UPDATE OF last_check ON keys
BEGIN UPDATE ranking SET version = version + 1; END;

-- What an attempt says against its model: model::usage::ModelFault.
ALTER TABLE attempts ADD COLUMN model_fault TEXT;
