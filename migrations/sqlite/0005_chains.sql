-- Chains: virtual models made by hand, each an ordered list of public model names.
CREATE TABLE chains (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    enabled    BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX chains_name ON chains (LOWER(name));

CREATE TABLE chain_steps (
    chain_id BIGINT NOT NULL REFERENCES chains (id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    model    TEXT NOT NULL,
    spill_ms BIGINT,                         -- how long a call waits for the step; NULL: as long as it may wait at all
    PRIMARY KEY (chain_id, position)
);

-- Chains are in catalog snapshots.
CREATE TRIGGER chains_added AFTER INSERT ON chains
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER chains_changed AFTER UPDATE ON chains
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER chains_removed AFTER DELETE ON chains
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER chain_steps_added AFTER INSERT ON chain_steps
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER chain_steps_changed AFTER UPDATE ON chain_steps
BEGIN UPDATE catalog_version SET version = version + 1; END;
CREATE TRIGGER chain_steps_removed AFTER DELETE ON chain_steps
BEGIN UPDATE catalog_version SET version = version + 1; END;
