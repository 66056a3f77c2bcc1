-- Who is told of what happens in the pool. Nothing here is in catalog snapshots, so no change of it makes a new one.
CREATE TABLE notice_targets (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    enabled       BOOLEAN NOT NULL,
    kinds         TEXT NOT NULL,             -- JSON array, model::notice::EventKind
    language      TEXT NOT NULL,             -- en or zh
    config_sealed BLOB NOT NULL,             -- JSON: the kind of target, its address, its secret
    created_at    BIGINT NOT NULL,
    last_at       BIGINT,                    -- the last delivery that was tried
    last_ok       BOOLEAN,
    last_detail   TEXT
);
CREATE UNIQUE INDEX notice_targets_name ON notice_targets (LOWER(name));

-- Up to which row a table's news were told.
CREATE TABLE notice_marks (
    source TEXT PRIMARY KEY,
    mark   BIGINT NOT NULL
);

-- What holds now and was told, such as `key_invalid:12`: it is told again only after it has ended.
CREATE TABLE notice_facts (
    fact TEXT PRIMARY KEY
);

-- What a page of models looks through: without it, every search reads what is known of each model.
CREATE INDEX discovered_models_listed ON discovered_models (name, channel_id, free, vanished_at) WHERE vanished_at IS NULL;
CREATE INDEX discovered_models_answered ON discovered_models (name, channel_id) WHERE answered_at IS NOT NULL;
CREATE INDEX discovered_models_gone ON discovered_models (name, channel_id, vanished_at) WHERE vanished_at IS NOT NULL;

-- From now on what was listed goes with its channel, so that no page has to ask whether the channel is still there.
DELETE FROM discovered_models WHERE channel_id IN (SELECT id FROM channels WHERE deleted_at IS NOT NULL);
