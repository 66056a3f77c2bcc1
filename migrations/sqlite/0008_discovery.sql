-- What upstreams list: the models of every channel, when each was seen, and what changed. Nothing here is in catalog
-- snapshots, so no change of it makes a new one.
CREATE TABLE discoveries (
    channel_id BIGINT PRIMARY KEY REFERENCES channels (id) ON DELETE CASCADE,
    tried_at   BIGINT NOT NULL,
    listed_at  BIGINT,                       -- the last list that could be read; NULL: none yet
    models     BIGINT NOT NULL,
    complete   BOOLEAN NOT NULL,             -- whether that list proves that what it lacks is gone
    fault      TEXT                          -- why the last try gave no list, or what of it was passed over
);

CREATE TABLE discovered_models (
    channel_id    BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    facts         TEXT NOT NULL,             -- JSON, provider::listing::ModelFacts
    free          BOOLEAN,                   -- as in the facts; NULL: unknown
    first_seen_at BIGINT NOT NULL,
    last_seen_at  BIGINT,                    -- NULL: in the channel's last list
    vanished_at   BIGINT,
    answered_at   BIGINT,                    -- the last call that it answered
    refused_at    BIGINT,                    -- the last call that was refused because of the model
    PRIMARY KEY (channel_id, name)
);
CREATE INDEX discovered_models_name ON discovered_models (name, channel_id);

CREATE TABLE model_changes (
    id         INTEGER PRIMARY KEY,
    at         BIGINT NOT NULL,
    channel_id BIGINT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,                -- appeared, changed, vanished
    fields     TEXT NOT NULL                 -- JSON array of [field, before, after]
);
CREATE INDEX model_changes_at ON model_changes (at);

-- Up to when an account has looked at the changes.
CREATE TABLE model_looks (
    user_id BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL
);
